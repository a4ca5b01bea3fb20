/*
 * SCTP associations (RFC 9260): the handshake of four, tags of both directions, restart and collision, both ends of it, what
 * NAT and ICMP errors do; what a stranger forges; and random packets of two hosts and a stranger against a model that
 * remembers everything that has passed.
 */
#include "scene.h"

#include <stdio.h>
#include <stdlib.h>

#define INSIDE	  "10.0.0.2"
#define OUTSIDE	  "198.51.100.9"
#define A	  0xaaaa0001u /* tags */
#define B	  0xbbbb0001u
#define A2	  0xaaaa0002u
#define B2	  0xbbbb0002u
#define T	  1 /* the flag of ABORT and SHUTDOWN COMPLETE */
#define DATA	  0
#define HEARTBEAT 4

static uint16_t from_port;

static int setup(void **state)
{
	(void)state;
	scene_begin(WORLD_SESSIONS);
	policy_rule(&p, "out", TRUST, UNTRUST, "any", "any", "sctp/38412 icmp/8", RULE_PERMIT);
	world_load(&w, &p);
	from_port = 5000;
	return 0;
}

struct chunk {
	uint8_t type, flags;
	uint32_t initiate_tag; /* of INIT and INIT ACK */
};

static uint8_t bytes[2048];
static const char *host[2] = { INSIDE, OUTSIDE };

static struct packet_spec packet_of(uint32_t d, uint32_t tag, const struct chunk *chunks, size_t n)
{
	size_t at = SCTP_HEADER_SIZE;

	memset(bytes, 0, sizeof bytes);
	store_be16(bytes, d ? 38412 : from_port);
	store_be16(bytes + 2, d ? from_port : 38412);
	store_be32(bytes + 4, tag);
	for (size_t i = 0; i < n; i++) {
		bool begins = chunks[i].type == SCTP_INIT || chunks[i].type == SCTP_INIT_ACK;
		uint16_t length = begins ? 20 : chunks[i].type == DATA ? 17 : 8;
		bytes[at] = chunks[i].type;
		bytes[at + 1] = chunks[i].flags;
		store_be16(bytes + at + 2, length);
		if (begins)
			store_be32(bytes + at + 4, chunks[i].initiate_tag);
		at += (length + 3u) & ~3u;
	}
	return (struct packet_spec){
		.src = host[d], .dst = host[1 - d], .proto = IP_SCTP, .payload = bytes, .payload_n = at
	};
}

static enum drop_reason send_chunks(uint32_t d, uint32_t tag, const struct chunk *chunks, size_t n)
{
	struct packet_spec s = packet_of(d, tag, chunks, n);

	w.t = packet_make(&w.packet, &s);
	w.t.csum = TRAIN_CSUM_UNKNOWN;
	return world_run(&w);
}

static enum drop_reason one(uint32_t d, uint32_t tag, uint8_t type, uint8_t flags, uint32_t initiate_tag)
{
	return send_chunks(d, tag, &(struct chunk){ type, flags, initiate_tag }, 1);
}

static void is(enum drop_reason want, enum drop_reason is)
{
	assert_string_equal(drop_name(is), drop_name(want));
}

static void state_is(enum fw_protocol_state state, uint64_t timeout_s)
{
	assert_string_equal(fw_protocol_state_name(scene_session()->state), fw_protocol_state_name(state));
	assert_int_equal(scene_session()->expires - w.now, timeout_s * NS_PER_S);
}

static void established(void)
{
	is(DROP_NONE, one(0, 0, SCTP_INIT, 0, A));
	is(DROP_NONE, one(1, A, SCTP_INIT_ACK, 0, B));
	is(DROP_NONE, one(0, B, SCTP_COOKIE_ECHO, 0, 0));
	is(DROP_NONE, one(1, A, SCTP_COOKIE_ACK, 0, 0));
	assert_int_equal(scene_session()->state, FW_SCTP_ESTABLISHED);
}

/* Both directions have these tags, and no others. */
static void alive(uint32_t a, uint32_t b)
{
	is(DROP_NONE, one(0, b, DATA, 0, 0));
	is(DROP_NONE, one(1, a, HEARTBEAT, 0, 0));
	is(DROP_SCTP_STATE, one(0, b ^ 1, DATA, 0, 0));
	is(DROP_SCTP_STATE, one(1, a ^ 1, DATA, 0, 0));
	is(DROP_SCTP_STATE, one(0, 0, DATA, 0, 0));
	if (a != b)
		is(DROP_SCTP_STATE, one(0, a, DATA, 0, 0));
}

static void its_life(void **state)
{
	const struct chunk with_data[] = { { SCTP_COOKIE_ECHO, 0, 0 }, { DATA, 0, 0 } };
	uint64_t id;

	(void)state;
	is(DROP_NO_SESSION, one(0, B, DATA, 0, 0));
	is(DROP_NO_SESSION, one(0, B, SCTP_ABORT, 0, 0));
	is(DROP_DEFAULT_DENY, one(1, 0, SCTP_INIT, 0, B));
	is(DROP_NONE, one(0, 0, SCTP_INIT, 0, A));
	id = scene_session()->id;
	state_is(FW_SCTP_COOKIE_WAIT, 20);
	assert_int_equal(fw_counters(w.fw)->half_open_now, 1);
	is(DROP_SCTP_STATE, one(0, 1, DATA, 0, 0));
	is(DROP_SCTP_STATE, one(1, A, DATA, 0, 0));
	is(DROP_SCTP_STATE, one(1, A ^ 1, SCTP_INIT_ACK, 0, B));
	is(DROP_NONE, one(1, A, SCTP_INIT_ACK, 0, B));
	is(DROP_SCTP_STATE, one(0, B, DATA, 0, 0));
	is(DROP_SCTP_STATE, one(0, B ^ 1, SCTP_COOKIE_ECHO, 0, 0));
	is(DROP_NONE, send_chunks(0, B, with_data, 2));
	state_is(FW_SCTP_COOKIE_ECHOED, 20);
	is(DROP_NONE, one(1, A, DATA, 0, 0)); /* the COOKIE ACK in front of it is lost */
	is(DROP_SCTP_STATE, one(1, A ^ 1, SCTP_COOKIE_ACK, 0, 0));
	is(DROP_NONE, one(1, A, SCTP_COOKIE_ACK, 0, 0));
	state_is(FW_SCTP_ESTABLISHED, 60);
	assert_int_equal(fw_counters(w.fw)->half_open_now, 0);
	alive(A, B);
	is(DROP_NONE, send_chunks(0, B, with_data, 2)); /* sent again */
	is(DROP_SCTP_STATE, one(1, A, SCTP_SHUTDOWN_ACK, 0, 0));
	is(DROP_SCTP_STATE, one(1, A, SCTP_SHUTDOWN_COMPLETE, 0, 0));
	is(DROP_NONE, one(0, B, SCTP_SHUTDOWN, 0, 0));
	state_is(FW_SCTP_SHUTDOWN_SENT, 30);
	is(DROP_NONE, one(1, A, DATA, 0, 0));
	is(DROP_NONE, one(1, A, SCTP_SHUTDOWN_ACK, 0, 0));
	is(DROP_SCTP_STATE, one(0, B ^ 1, SCTP_SHUTDOWN_COMPLETE, 0, 0));
	is(DROP_NONE, one(0, B, SCTP_SHUTDOWN_COMPLETE, 0, 0));
	state_is(FW_SCTP_SHUTDOWN_COMPLETE, 5);
	/* It was lost: the other end asks again, and who has forgotten answers with the tag that it was sent. */
	is(DROP_NONE, one(1, A, SCTP_SHUTDOWN_ACK, 0, 0));
	is(DROP_NONE, one(0, A, SCTP_SHUTDOWN_COMPLETE, T, 0));
	is(DROP_SCTP_STATE, one(0, A, SCTP_SHUTDOWN_COMPLETE, 0, 0));
	assert_int_equal(scene_session()->id, id);
	/* Its ports again. */
	is(DROP_NONE, one(0, 0, SCTP_INIT, 0, A2));
	assert_int_not_equal(scene_session()->id, id);
	state_is(FW_SCTP_COOKIE_WAIT, 20);
	assert_int_equal(fw_counters(w.fw)->sessions_now, 1);
}

static void aborts(void **state)
{
	(void)state;
	/* nobody listens */
	is(DROP_NONE, one(0, 0, SCTP_INIT, 0, A));
	is(DROP_SCTP_STATE, one(1, A ^ 1, SCTP_ABORT, 0, 0));
	is(DROP_SCTP_STATE, one(1, 0, SCTP_ABORT, T, 0));
	is(DROP_NONE, one(1, A, SCTP_ABORT, 0, 0));
	state_is(FW_SCTP_ABORTED, 5);
	for (uint32_t d = 0; d < 2; d++) {
		for (uint8_t flags = 0; flags < 2; flags++) {
			uint32_t own = d ? B : A, other = d ? A : B;
			established();
			is(DROP_SCTP_STATE, one(d, flags ? other : own, SCTP_ABORT, flags, 0));
			is(DROP_SCTP_STATE, one(d, 0, SCTP_ABORT, flags, 0));
			assert_int_equal(scene_session()->state, FW_SCTP_ESTABLISHED);
			is(DROP_NONE, one(d, flags ? own : other, SCTP_ABORT, flags, 0));
			state_is(FW_SCTP_ABORTED, 5);
			is(DROP_NONE, one(1 - d, d ? B : A, DATA, 0, 0)); /* it was lost: answered again */
			is(DROP_NONE, one(d, own, SCTP_ABORT, T, 0));
			assert_int_equal(scene_session()->state, FW_SCTP_ABORTED);
		}
	}
	w.now += 10 * NS_PER_S;
	fw_expire(w.fw, w.now, 1000);
	assert_null(scene_session());
}

/* Section 5.2: a host that has lost its state. The association ends by nothing but the end of the new handshake. */
static void restarts(void **state)
{
	(void)state;
	for (uint32_t d = 0; d < 2; d++) {
		uint32_t is_new[2] = { A2, B2 };
		established();
		uint32_t id = scene_session()->id;
		is(DROP_NONE, one(d, 0, SCTP_INIT, 0, is_new[d]));
		alive(A, B);
		is(DROP_NONE, one(1 - d, is_new[d], SCTP_INIT_ACK, 0, is_new[1 - d]));
		alive(A, B);
		is(DROP_NONE, one(d, is_new[1 - d], SCTP_COOKIE_ECHO, 0, 0));
		is(DROP_NONE, one(0, B, DATA, 0, 0)); /* perhaps it does not arrive */
		is(DROP_SCTP_STATE, one(1 - d, is_new[d], SCTP_SHUTDOWN, 0, 0));
		assert_int_equal(scene_session()->state, FW_SCTP_ESTABLISHED);
		is(DROP_NONE, one(1 - d, is_new[d], SCTP_COOKIE_ACK, 0, 0));
		alive(A2, B2);
		is(DROP_SCTP_STATE, one(0, B, DATA, 0, 0));
		assert_int_not_equal(scene_session()->id, id);
		is(DROP_NONE, one(0, B2, SCTP_ABORT, 0, 0));
	}
}

/* One that is refused leaves the association as it is. */
static void a_refused_restart(void **state)
{
	(void)state;
	established();
	is(DROP_NONE, one(0, 0, SCTP_INIT, 0, A2));
	is(DROP_NONE, one(1, A2, SCTP_ABORT, 0, 0));
	alive(A, B);
	is(DROP_SCTP_STATE, one(1, A2, SCTP_INIT_ACK, 0, B2)); /* it has ended */
}

/* Section 5.2.1: both send an INIT. */
static void both_begin(void **state)
{
	(void)state;
	is(DROP_NONE, one(0, 0, SCTP_INIT, 0, A));
	is(DROP_NONE, one(1, 0, SCTP_INIT, 0, B));
	is(DROP_NONE, one(1, A, SCTP_INIT_ACK, 0, B));
	is(DROP_NONE, one(0, B, SCTP_INIT_ACK, 0, A));
	is(DROP_NONE, one(0, B, SCTP_COOKIE_ECHO, 0, 0));
	is(DROP_NONE, one(1, A, SCTP_COOKIE_ECHO, 0, 0));
	is(DROP_NONE, one(0, B, SCTP_COOKIE_ACK, 0, 0));
	is(DROP_NONE, one(1, A, SCTP_COOKIE_ACK, 0, 0));
	alive(A, B);
}

/* An INIT that is sent again is answered by another tag: the cookie of either may come. */
static void answered_twice(void **state)
{
	(void)state;
	for (uint32_t which = 0; which < 2; which++) {
		uint32_t b = which ? B2 : B;
		is(DROP_NONE, one(0, 0, SCTP_INIT, 0, A));
		is(DROP_NONE, one(0, 0, SCTP_INIT, 0, A));
		is(DROP_NONE, one(1, A, SCTP_INIT_ACK, 0, B));
		is(DROP_NONE, one(1, A, SCTP_INIT_ACK, 0, B2));
		is(DROP_NONE, one(0, b, SCTP_COOKIE_ECHO, 0, 0));
		is(DROP_NONE, one(1, A, SCTP_COOKIE_ACK, 0, 0));
		alive(A, b);
		is(DROP_NONE, one(0, b, SCTP_ABORT, 0, 0));
	}
}

/* Whatever is forged without the tags, the association lives, and so does a handshake that is under way. */
static void a_stranger(void **state)
{
	(void)state;
	established();
	for (uint32_t i = 0; i < 20000; i++) {
		uint32_t d = i & 1, tag = 0xc0000000u + i;
		for (uint8_t type = 0; type < 16; type++)
			if (type != SCTP_INIT)
				is(DROP_SCTP_STATE, type == SCTP_INIT_ACK ? one(d, 5, type, 0, tag)
									  : one(d, tag, type, i >> 1 & 1, 0));
		is(DROP_NONE, one(d, 0, SCTP_INIT, 0, tag));
	}
	alive(A, B);
	is(DROP_NONE, one(0, B, SCTP_ABORT, 0, 0));
	is(DROP_NONE, one(0, 0, SCTP_INIT, 0, A2));
	is(DROP_NONE, one(1, A2, SCTP_INIT_ACK, 0, B2));
	for (uint32_t i = 0; i < 100; i++)
		is(DROP_NONE, one(i & 1, 0, SCTP_INIT, 0, 0xc0000000u + i));
	is(DROP_NONE, one(0, B2, SCTP_COOKIE_ECHO, 0, 0));
	for (uint32_t i = 0; i < 100; i++)
		is(DROP_NONE, one(i & 1, 0, SCTP_INIT, 0, 0xc0000000u + i));
	is(DROP_NONE, one(1, A2, SCTP_COOKIE_ACK, 0, 0));
	alive(A2, B2);
}

/* Each with a port of its own: the oldest gives way, and who has completed a handshake stays. */
static void a_flood(void **state)
{
	(void)state;
	p.half_open_max = 16;
	world_load(&w, &p);
	established();
	for (uint32_t i = 0; i < 1000; i++) {
		from_port = (uint16_t)(6000 + i);
		is(DROP_NONE, one(0, 0, SCTP_INIT, 0, A + i));
		assert_true(fw_counters(w.fw)->half_open_now <= 16);
	}
	assert_int_equal(fw_counters(w.fw)->half_open_evicted, 1000 - 16);
	from_port = 5000;
	alive(A, B);
}

static void what_is_malformed(void **state)
{
	const struct chunk two[] = { { SCTP_INIT, 0, A }, { DATA, 0, 0 } },
			   ack[] = { { SCTP_INIT_ACK, 0, B }, { DATA, 0, 0 } },
			   ends[] = { { SCTP_SHUTDOWN_COMPLETE, 0, 0 }, { DATA, 0, 0 } };

	(void)state;
	is(DROP_NO_SESSION, send_chunks(0, 0, two, 2)); /* alone, with tag 0, and names one */
	is(DROP_NO_SESSION, one(0, 5, SCTP_INIT, 0, A));
	is(DROP_NO_SESSION, one(0, 0, SCTP_INIT, 0, 0));
	established();
	is(DROP_MALFORMED, send_chunks(0, 0, two, 2));
	is(DROP_MALFORMED, send_chunks(1, A, ack, 2));
	is(DROP_MALFORMED, send_chunks(1, A, ends, 2));
	is(DROP_MALFORMED, one(0, 0, SCTP_INIT, 0, 0));
	struct packet_spec s = packet_of(0, B, &(struct chunk){ DATA, 0, 0 }, 1);
	for (uint32_t n = 0; n < s.payload_n; n++) {
		struct packet_spec cut = s;
		cut.payload_n = n;
		enum drop_reason d = world_send(&w, &cut);
		/* the padding of the last chunk may be missing */
		is(n < SCTP_HEADER_SIZE + 4 ? DROP_TRUNCATED : n < 29 ? DROP_MALFORMED : DROP_NONE, d);
	}
	bytes[15] = 3; /* no chunk is shorter than its header */
	is(DROP_MALFORMED, world_send(&w, &s));
	s = packet_of(0, B, &(struct chunk){ SCTP_ABORT, 0, 0 }, 1);
	w.t = packet_make(&w.packet, &s);
	w.t.csum = TRAIN_CSUM_UNKNOWN;
	w.t.ip[30] ^= 1;
	is(DROP_L4_CHECKSUM, world_run(&w));
	alive(A, B);
}

static void ports_and_errors(void **state)
{
	uint8_t quote[28];
	struct packet_spec e = { .src = "192.0.2.1",
		.dst = INSIDE,
		.proto = IP_ICMP,
		.icmp_type = ICMP4_UNREACHABLE,
		.payload = quote,
		.payload_n = sizeof quote };

	(void)state;
	is(DROP_NONE, one(0, 0, SCTP_INIT, 0, A));
	memcpy(quote, w.t.ip, sizeof quote);
	is(DROP_NONE, world_send(&w, &e)); /* about the INIT */
	is(DROP_NONE, one(1, A, SCTP_INIT_ACK, 0, B));
	is(DROP_NONE, one(0, B, SCTP_COOKIE_ECHO, 0, 0));
	is(DROP_NONE, one(1, A, SCTP_COOKIE_ACK, 0, 0));
	is(DROP_ICMP_UNRELATED, world_send(&w, &e)); /* nothing of tag 0 is on its way */
	is(DROP_NONE, one(0, B, DATA, 0, 0));
	memcpy(quote, w.t.ip, sizeof quote);
	is(DROP_NONE, world_send(&w, &e));
	quote[27] ^= 1;
	is(DROP_ICMP_UNRELATED, world_send(&w, &e));
	/* other ports are another association, and the rule is about one of them */
	from_port = 5001;
	is(DROP_NO_SESSION, one(0, B, DATA, 0, 0));
	established();
	assert_int_equal(fw_counters(w.fw)->sessions_now, 2);
	struct packet_spec s = packet_of(0, 0, &(struct chunk){ SCTP_INIT, 0, A }, 1);
	store_be16(bytes + 2, 38413);
	is(DROP_DEFAULT_DENY, world_send(&w, &s));
}

/* The address alone is translated, and the checksum does not cover it. */
static void translated(void **state)
{
	(void)state;
	policy_nat(&p, "hide", TRUST, UNTRUST, "any", "any", NAT_INTERFACE, NULL);
	world_load(&w, &p);
	is(DROP_NONE, one(0, 0, SCTP_INIT, 0, A));
	assert_memory_equal(w.t.ip + IP4_SRC, w.nat4.b, 4);
	packet_of(0, 0, &(struct chunk){ SCTP_INIT, 0, A }, 1);
	assert_memory_equal(w.t.ip + 20, bytes, 8); /* ports and tag */
	w.t.csum = TRAIN_CSUM_UNKNOWN;
	is(DROP_NONE, train_verify_l4(&w.t));
	host[0] = "203.0.113.1";
	is(DROP_NONE, one(1, A, SCTP_INIT_ACK, 0, B));
	struct ip_addr inside;
	assert_int_equal(addr_parse(&inside, INSIDE), RC_OK);
	assert_memory_equal(w.t.ip + IP4_DST, inside.b, 4);
	host[0] = "10.0.0.3"; /* with the same ports nothing tells it apart; with others it passes */
	is(DROP_NAT_PROTOCOL, one(0, 0, SCTP_INIT, 0, A));
	from_port = 5001;
	is(DROP_NONE, one(0, 0, SCTP_INIT, 0, A));
	host[0] = INSIDE;
}

static void over_a_restart_of_the_process(void **state)
{
	(void)state;
	established();
	is(DROP_NONE, one(0, 0, SCTP_INIT, 0, A2));
	world_restart(&w);
	world_load(&w, &p);
	assert_int_equal(fw_counters(w.fw)->records_discarded, 0);
	alive(A, B);
	is(DROP_NONE, one(1, A2, SCTP_INIT_ACK, 0, B2));
	struct fw_session *s = (struct fw_session *)(uintptr_t)scene_session(); /* the memory is the test's */
	s->sctp.tag[1] = 0;
	world_restart(&w);
	assert_int_equal(fw_counters(w.fw)->records_discarded, 1);
	assert_null(scene_session());
}

/* ---- against a model ---- */

static uint64_t random_state;

static uint32_t pick(uint32_t n)
{
	random_state = random_state * 6364136223846793005u + 1442695040888963407u;
	return (uint32_t)(random_state >> 33) % n;
}

/* All that has passed since the session began. */
static struct {
	struct past {
		uint32_t d, tag, initiate_tag;
		uint8_t type;
	} past[400];
	uint32_t n;
	uint32_t tag[2]; /* of the association */
	uint32_t since;	 /* handshakes before this one are over */
	int state;	 /* -1: there is no session */
	bool cookie;	 /* the last packet was the COOKIE ECHO of a handshake */
} m;

/* The first INIT ACK with this pair, from 1; 0: none has passed. */
static uint32_t model_acked(uint32_t initiator, uint32_t tag_i, uint32_t tag_r)
{
	for (uint32_t i = m.since; i < m.n; i++)
		if (m.past[i].type == SCTP_INIT_ACK && m.past[i].d != initiator && m.past[i].tag == tag_i &&
			m.past[i].initiate_tag == tag_r)
			return i + 1;
	return 0;
}

/* The last such packet, from 1; 0: none has passed. */
static uint32_t model_last(uint8_t type, uint32_t d, uint32_t tag, uint32_t initiate_tag)
{
	for (uint32_t i = m.n; i-- > m.since;)
		if (m.past[i].type == type && m.past[i].d == d && m.past[i].tag == tag &&
			(initiate_tag == 0 || m.past[i].initiate_tag == initiate_tag))
			return i + 1;
	return 0;
}

/* The last COOKIE ECHO of this handshake, whose INIT ACK was there before; 0: none. */
static uint32_t model_echoed(uint32_t initiator, uint32_t tag_i, uint32_t tag_r)
{
	uint32_t acked = model_acked(initiator, tag_i, tag_r),
		 last = model_last(SCTP_COOKIE_ECHO, initiator, tag_r, 0);

	return acked > 0 && last > acked ? last : 0;
}

static bool model_open(void)
{
	return m.state == FW_SCTP_ESTABLISHED || m.state == FW_SCTP_SHUTDOWN_SENT ||
	       m.state == FW_SCTP_SHUTDOWN_ACK_SENT;
}

static bool model_closed(void)
{
	return m.state == FW_SCTP_ABORTED || m.state == FW_SCTP_SHUTDOWN_COMPLETE;
}

/* What passes by the letter of RFC 9260. The tags of sides are disjoint, so a pair says who is who. Aborts of handshakes are left
 * to other tests: here they come in associations alone. */
static bool model_step(uint32_t d, uint32_t tag, uint8_t type, uint8_t flags, uint32_t initiate_tag)
{
	static const uint32_t of[2][2] = { { A, A2 }, { B, B2 } };

	if (type == SCTP_INIT) {
		if (m.state < 0 || model_closed()) {
			if (d == 1)
				return false;
			m.n = m.since = 0;
			m.tag[0] = m.tag[1] = 0;
			m.state = FW_SCTP_COOKIE_WAIT;
		}
		return true;
	}
	if (m.state < 0)
		return false;
	if (type == SCTP_INIT_ACK)
		return model_last(SCTP_INIT, 1 - d, 0, tag) > 0;
	bool own = tag != 0 && tag == m.tag[1 - d], reflected = tag != 0 && tag == m.tag[d];
	if (type == SCTP_ABORT || type == SCTP_SHUTDOWN_COMPLETE) {
		bool end = type == SCTP_ABORT || m.state == FW_SCTP_SHUTDOWN_ACK_SENT || model_closed();
		if (!(flags & T ? reflected : own) || !end)
			return false;
		if (!model_closed()) {
			m.state = type == SCTP_ABORT ? FW_SCTP_ABORTED : FW_SCTP_SHUTDOWN_COMPLETE;
			m.since = m.n;
		}
		return true;
	}
	bool fits = false; /* a cookie with this tag has been sent */
	uint32_t last = 0, theirs = 0;
	for (uint32_t i = 0; i < 2; i++) {
		uint32_t mine = of[d][i];
		if (type == SCTP_COOKIE_ECHO && model_acked(d, mine, tag)) {
			if (m.state == FW_SCTP_COOKIE_WAIT)
				m.state = FW_SCTP_COOKIE_ECHOED;
			return m.cookie = true;
		}
		fits |= model_echoed(d, mine, tag) > 0;
		uint32_t echoed = model_echoed(1 - d, tag, mine);
		if (echoed > last) {
			last = echoed;
			theirs = mine;
		}
	}
	if (type == SCTP_COOKIE_ACK && last > 0) {
		m.tag[d] = theirs;
		m.tag[1 - d] = tag;
		m.state = FW_SCTP_ESTABLISHED;
		m.since = m.n;
		return true;
	}
	fits |= last > 0;
	if (!own)
		return fits && type != SCTP_SHUTDOWN && type != SCTP_SHUTDOWN_ACK;
	if (type == SCTP_SHUTDOWN_ACK && m.state == FW_SCTP_ESTABLISHED)
		return false;
	if (type == SCTP_SHUTDOWN && m.state == FW_SCTP_ESTABLISHED)
		m.state = FW_SCTP_SHUTDOWN_SENT;
	if (type == SCTP_SHUTDOWN_ACK && model_open())
		m.state = FW_SCTP_SHUTDOWN_ACK_SENT;
	return true;
}

#define SEEDS 4000
#define STEPS 250

/* One packet of either host, or of neither. only_inside: side 0 alone sends INITs, and each side has two tags; otherwise both do,
 * and each has one: so a session notes all handshakes that there can be. */
static void random_step(uint32_t seed, uint32_t step, bool only_inside)
{
	static const uint8_t types[] = { SCTP_INIT, SCTP_INIT_ACK, SCTP_COOKIE_ECHO, SCTP_COOKIE_ACK, DATA,
		SCTP_SHUTDOWN, SCTP_SHUTDOWN_ACK, SCTP_SHUTDOWN_COMPLETE, SCTP_ABORT };
	const uint32_t own[2][2] = { { A, only_inside ? A2 : A }, { B, only_inside ? B2 : B } };
	uint8_t type = types[pick(pick(4) ? 5 : COUNT_OF(types))], flags = (uint8_t)pick(2);
	uint32_t d = pick(2), initiate_tag = 0, tag = own[pick(8) ? 1 - d : d][pick(2)];

	if (type == SCTP_INIT || type == SCTP_INIT_ACK)
		initiate_tag = own[d][pick(2)];
	if (type == SCTP_INIT) {
		tag = 0;
		d = only_inside ? 0 : d;
		initiate_tag = own[d][pick(2)];
	}
	bool ends = type == SCTP_ABORT && tag == m.tag[flags & T ? d : 1 - d];
	if (type == SCTP_ABORT && !ends)
		tag = 0xdead0000; /* those of handshakes: other tests */
	m.cookie = false;
	bool wanted = model_step(d, tag, type, flags, initiate_tag);
	enum drop_reason drop = one(d, tag, type, flags, initiate_tag);
	if (wanted != (drop == DROP_NONE))
		fail_msg("seed %u step %u: chunk %u of side %u, tag %x: %s", seed, step, type, d, tag,
			drop_name(drop));
	if (wanted && (type == SCTP_INIT || type == SCTP_INIT_ACK || m.cookie)) {
		assert_true(m.n < COUNT_OF(m.past));
		m.past[m.n++] = (struct past){ d, tag, initiate_tag, type };
	}
	if (m.state >= 0)
		assert_string_equal(fw_protocol_state_name(scene_session()->state),
			fw_protocol_state_name((uint8_t)m.state));
}

static void against_a_model(void **state)
{
	uint32_t reached[FW_PROTOCOL_STATE_COUNT] = { 0 };

	(void)state;
	for (uint32_t seed = 0; seed < SEEDS; seed++) {
		random_state = seed;
		pick(1);
		m.n = m.since = 0;
		m.tag[0] = m.tag[1] = 0;
		m.state = -1;
		for (uint32_t step = 0; step < STEPS; step++) {
			random_step(seed, step, seed % 2);
			if (m.state >= 0)
				reached[m.state]++;
		}
		fw_session_end(w.fw, 0, w.now);
		assert_null(scene_session());
	}
	for (uint32_t i = FW_SCTP_COOKIE_WAIT; i <= FW_SCTP_ABORTED; i++)
		assert_true(reached[i] > 1000);
}

int main(void)
{
#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, scene_end)
	const struct CMUnitTest tests[] = { TEST(its_life), TEST(aborts), TEST(restarts),
		TEST(a_refused_restart), TEST(both_begin), TEST(answered_twice), TEST(a_stranger),
		TEST(a_flood), TEST(what_is_malformed), TEST(ports_and_errors), TEST(translated),
		TEST(over_a_restart_of_the_process), TEST(against_a_model) };

	return cmocka_run_group_tests(tests, NULL, NULL);
}
