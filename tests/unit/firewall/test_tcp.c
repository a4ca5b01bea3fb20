/*
 * TCP sessions: which packets may begin one, how its state moves, what the windows refuse, when it ends. The
 * last test lets two honest ends talk over a network that loses, repeats and reorders: nothing that brings
 * them on may be refused.
 */
#include "tcp_ends.h"

#include <stdio.h>

static void test_life(void **state)
{
	(void)state;
	PASS(C, TCP_SYN, 0);
	state_is(FW_TCP_SYN_SENT, 20);
	assert_int_equal(fw_counters(w.fw)->half_open_now, 1);
	PASS(S, TCP_SYN | TCP_ACK, 0, 1);
	state_is(FW_TCP_SYN_RECEIVED, 20);
	PASS(C, TCP_ACK, 1, 1);
	state_is(FW_TCP_ESTABLISHED, 3600);
	assert_int_equal(fw_counters(w.fw)->half_open_now, 0);
	PASS(C, TCP_ACK | TCP_PSH, 1, 1, 100);
	PASS(S, TCP_ACK, 1, 101, 1000);
	PASS(C, TCP_ACK | TCP_FIN, 101, 1001);
	state_is(FW_TCP_CLOSING, 300);
	PASS(S, TCP_ACK, 1001, 102, 500); /* half closed: the server still talks */
	PASS(C, TCP_ACK, 102, 1501);
	state_is(FW_TCP_CLOSING, 300);
	PASS(S, TCP_ACK | TCP_FIN, 1501, 102);
	PASS(C, TCP_ACK, 102, 1502);
	state_is(FW_TCP_TIME_WAIT, 20);
	assert_int_equal(session()->packets[0], 6);
	assert_int_equal(session()->packets[1], 4);
	assert_true(session()->flags & FW_SESSION_CONFIRMED);
}

static void test_beginnings(void **state)
{
	static const uint8_t none[] = { TCP_ACK, TCP_SYN | TCP_ACK, TCP_RST, TCP_RST | TCP_ACK,
		TCP_FIN | TCP_ACK, TCP_ACK | TCP_PSH | TCP_URG };

	(void)state;
	for (size_t i = 0; i < COUNT_OF(none); i++) {
		DROPS(DROP_NO_SESSION, C, none[i], 0, 0);
		DROPS(DROP_NO_SESSION, S, none[i], 0, 0);
	}
	DROPS(DROP_DEFAULT_DENY, S, TCP_SYN, 0);
	assert_int_equal(fw_counters(w.fw)->sessions_now, 0);
	PASS(C, TCP_SYN | TCP_ECE | TCP_CWR, 0); /* RFC 3168 section 6.1.1 */
}

/* All 64 combinations, without a session and within one: RFC 9293 knows which are possible. */
static void test_flags(void **state)
{
	(void)state;
	establish();
	for (uint8_t f = 0; f < 64; f++) {
		bool syn = f & TCP_SYN, ack = f & TCP_ACK, rst = f & TCP_RST, fin = f & TCP_FIN;
		bool bad = (syn && fin) || (syn && rst) || (!syn && !rst && !ack);
		enum drop_reason d = tcp_send((struct segment){ C, f, 1, 1 });
		if (bad != (d == DROP_TCP_FLAGS))
			fail_msg("flags %02x: %s", f, drop_name(d));
		client_port = (uint16_t)(3000 + f);
		d = tcp_send((struct segment){ C, f, 1, 1 });
		if (d != (bad ? DROP_TCP_FLAGS : syn && !ack ? DROP_NONE : DROP_NO_SESSION))
			fail_msg("flags %02x without a session: %s", f, drop_name(d));
		client_port = 1024;
		if (session()->state != FW_TCP_ESTABLISHED) { /* a FIN or a reset was right: again */
			world_done(&w);
			world_init(&w, WORLD_SESSIONS);
			world_load(&w, &p);
			establish();
		}
	}
}

/*
 * Whoever has not seen the called side's number does not complete a handshake: else one with a forged source
 * would hold sessions in somebody else's name (evict.c) for one guess in 65,000.
 */
static void test_guessed_handshake(void **state)
{
	(void)state;
	PASS(C, TCP_SYN, 0);
	PASS(S, TCP_SYN | TCP_ACK, 0, 1);
	DROPS(DROP_TCP_STATE, C, TCP_ACK, 1, 0);
	DROPS(DROP_TCP_STATE, C, TCP_ACK, 1, (uint32_t)-60000);
	DROPS(DROP_TCP_STATE, C, TCP_ACK, 1, (uint32_t)-60000, 10);
	DROPS(DROP_TCP_STATE, C, TCP_ACK, 1, 2);
	state_is(FW_TCP_SYN_RECEIVED, 20);
	PASS(S, TCP_SYN | TCP_ACK, 0, 1); /* again */
	PASS(C, TCP_ACK, 1, 1);
	state_is(FW_TCP_ESTABLISHED, 3600);
	PASS(C, TCP_ACK, 1, 1, 10);
}

/* The first acknowledgement is taken for one wherever the called side's numbers begin. */
static void test_life_of_high_numbers(void **state)
{
	const uint32_t isn = 0x90000000u;

	(void)state;
	PASS(C, TCP_SYN, 0);
	PASS(S, TCP_SYN | TCP_ACK, isn, 1);
	PASS(C, TCP_ACK, 1, isn + 1);
	PASS(C, TCP_ACK | TCP_FIN, 1, isn + 1);
	PASS(S, TCP_ACK | TCP_FIN, isn + 1, 2);
	PASS(C, TCP_ACK, 2, isn + 2);
	state_is(FW_TCP_TIME_WAIT, 20);
}

static void test_answers_to_syn(void **state)
{
	(void)state;
	PASS(C, TCP_SYN, 0);
	PASS(C, TCP_SYN, 0);				   /* again */
	DROPS(DROP_TCP_STATE, S, TCP_SYN | TCP_ACK, 0, 2); /* acknowledges what was not sent */
	DROPS(DROP_TCP_STATE, S, TCP_SYN | TCP_ACK, 0, 0);
	DROPS(DROP_TCP_STATE, S, TCP_ACK, 1, 1, 10);
	DROPS(DROP_TCP_STATE, C, TCP_ACK, 1, 1);
	DROPS(DROP_TCP_STATE, S, TCP_RST | TCP_ACK, 0, 5); /* blind */
	state_is(FW_TCP_SYN_SENT, 20);
	PASS(S, TCP_RST | TCP_ACK, 0, 1); /* refused */
	state_is(FW_TCP_CLOSED, 5);
	DROPS(DROP_TCP_STATE, S, TCP_SYN | TCP_ACK, 0, 1);
	PASS(C, TCP_SYN, 100); /* the port again: another session */
	state_is(FW_TCP_SYN_SENT, 20);
	PASS(S, TCP_SYN | TCP_ACK, 0, 101);
}

/* RFC 5961 section 4: a server that remembers an older connection challenges, the client's reset must get
 * through. */
static void test_challenge(void **state)
{
	(void)state;
	PASS(C, TCP_SYN, 0);
	PASS(S, TCP_ACK, 7000, 9000);
	PASS(C, TCP_RST, 9000);
	state_is(FW_TCP_SYN_SENT, 20);
	PASS(C, TCP_SYN, 0);
	PASS(S, TCP_SYN | TCP_ACK, 0, 1);
}

/* RFC 9293 section 3.5, figure 8. */
static void test_both_begin(void **state)
{
	(void)state;
	PASS(C, TCP_SYN, 0);
	PASS(S, TCP_SYN, 0);
	PASS(C, TCP_SYN | TCP_ACK, 0, 1);
	PASS(S, TCP_SYN | TCP_ACK, 0, 1);
	PASS(C, TCP_ACK, 1, 1, 100);
	PASS(S, TCP_ACK, 1, 101, 100);
	state_is(FW_TCP_ESTABLISHED, 3600);
}

/*
 * The split handshake (Beardsley and Qian, 2010): the called side answers with a bare SYN, with or without an
 * ACK in front of it, so that the caller answers as if it were called. It is followed as the caller's
 * connection, in both forms: directions, rule and translation stay as the first SYN made them.
 */
static void test_split_handshake(void **state)
{
	(void)state;
	for (int ways = 4; ways <= 5; ways++) {
		client_port++;
		PASS(C, TCP_SYN, 0);
		if (ways == 5)
			PASS(S, TCP_ACK, 0, 1);
		PASS(S, TCP_SYN, 0);
		DROPS(DROP_TCP_STATE, C, TCP_SYN | TCP_ACK, 0, 50000); /* not what the SYN said */
		PASS(C, TCP_SYN | TCP_ACK, 0, 1);
		PASS(S, TCP_ACK, 1, 1);
		PASS(C, TCP_ACK, 1, 1, 10);
		assert_false(w.t.flags & TRAIN_REPLY);
		PASS(S, TCP_ACK, 1, 11, 10);
		assert_true(w.t.flags & TRAIN_REPLY);
		assert_int_equal(fw_session(w.fw, w.t.session)->state, FW_TCP_ESTABLISHED);
		DROPS(DROP_TCP_STATE, S, TCP_ACK, 90000, 11, 10); /* its numbers are checked */
	}
}

static void test_reset(void **state)
{
	(void)state;
	establish();
	PASS(C, TCP_ACK, 1, 1, 100);
	PASS(S, TCP_ACK, 1, 101, 200);
	/* out of the window, both ways */
	DROPS(DROP_TCP_STATE, S, TCP_RST, 201 + 70000);
	DROPS(DROP_TCP_STATE, S, TCP_RST, 201u - 70000);
	DROPS(DROP_TCP_STATE, C, TCP_RST, 101 + 70000);
	DROPS(DROP_TCP_STATE, C, TCP_RST, 101u - 70000);
	state_is(FW_TCP_ESTABLISHED, 3600);
	/* in the window, but not exact: the host will challenge it, the session stays */
	PASS(S, TCP_RST, 202);
	PASS(C, TCP_RST, 5000);
	state_is(FW_TCP_ESTABLISHED, 3600);
	PASS(C, TCP_ACK, 101, 201, 10);
	PASS(S, TCP_RST, 201);
	state_is(FW_TCP_CLOSED, 5);
	DROPS(DROP_TCP_STATE, S, TCP_ACK, 201, 111, 10);
	DROPS(DROP_TCP_STATE, C, TCP_ACK, 111, 201, 10);
	w.now += 6 * NS_PER_S;
	fw_expire(w.fw, w.now, 100);
	assert_int_equal(fw_counters(w.fw)->sessions_now, 0);
	DROPS(DROP_NO_SESSION, C, TCP_ACK, 111, 201, 10);
}

static void test_windows(void **state)
{
	(void)state;
	PASS(C, TCP_SYN, 0, 0, 0, 1000);
	PASS(S, TCP_SYN | TCP_ACK, 0, 1, 0, 2000);
	PASS(C, TCP_ACK, 1, 1, 0, 1000);
	PASS(C, TCP_ACK, 1, 1, 2000, 1000);
	DROPS(DROP_TCP_STATE, C, TCP_ACK, 2002, 1, 10, 1000); /* behind what the server allowed */
	PASS(C, TCP_ACK, 1, 1, 1000, 1000);		      /* again */
	DROPS(DROP_TCP_STATE, S, TCP_ACK, 1, 2002, 0, 2000);  /* acknowledges what was not sent */
	PASS(S, TCP_ACK, 1, 2001, 1000, 2000);
	DROPS(DROP_TCP_STATE, S, TCP_ACK, 1002, 2001, 1, 2000);
	DROPS(DROP_TCP_STATE, S, TCP_ACK, 1001u - 3000, 2001, 10, 2000); /* long ago */
	DROPS(DROP_TCP_STATE, S, TCP_ACK, 1001, 2001u - 70000, 0, 2000);
	PASS(S, TCP_ACK, 1000, 2001, 0, 2000); /* keep-alive */
	PASS(C, TCP_ACK, 2001, 1001, 0, CLOSED);
	PASS(S, TCP_ACK, 1001, 2001, 1, 2000); /* what was allowed before, and probes of the closed window */
	PASS(S, TCP_ACK, 1001, 2001, 1, CLOSED);
	PASS(C, TCP_ACK, 2001, 1002, 0, CLOSED);
}

static const uint8_t scale7[] = { 1, 3, 3, 7 }, scale20[] = { 1, 3, 3, 20 };

static void test_scaling(void **state)
{
	(void)state;
	PASS(C, TCP_SYN, 0, 0, 0, 1000, scale7, 4);
	PASS(S, TCP_SYN | TCP_ACK, 0, 1, 0, 1000, scale7, 4);
	PASS(C, TCP_ACK, 1, 1, 0, 10);
	PASS(S, TCP_ACK, 1, 1, 1000, 10);  /* the SYN's own window is not scaled */
	PASS(C, TCP_ACK, 1, 1001, 0, 10);  /* 1280 more */
	PASS(S, TCP_ACK, 2281, 1, 10, 10); /* the edge */
	DROPS(DROP_TCP_STATE, S, TCP_ACK, 2282, 1, 10, 10);
	client_port++; /* one side alone cannot scale */
	PASS(C, TCP_SYN, 0, 0, 0, 1000, scale7, 4);
	PASS(S, TCP_SYN | TCP_ACK, 0, 1, 0, 1000);
	PASS(C, TCP_ACK, 1, 1, 0, 1000);
	DROPS(DROP_TCP_STATE, S, TCP_ACK, 1002, 1, 10, 1000);
	client_port++; /* RFC 7323 section 2.3: more than 14 is 14 */
	PASS(C, TCP_SYN, 0, 0, 0, 1000, scale20, 4);
	PASS(S, TCP_SYN | TCP_ACK, 0, 1, 0, 1000, scale20, 4);
	PASS(C, TCP_ACK, 1, 1, 0, 1);
	PASS(S, TCP_ACK, 1 + 16384, 1, 10, 1);
	DROPS(DROP_TCP_STATE, S, TCP_ACK, 2 + 16384, 1, 10, 1);
}

/* The reused port of a connection that is over begins anew; a SYN inside a living one is the host's to
 * challenge. */
static void test_again(void **state)
{
	(void)state;
	establish();
	uint32_t id = session()->id;
	PASS(C, TCP_SYN, 90000);
	state_is(FW_TCP_ESTABLISHED, 3600);
	PASS(S, TCP_ACK, 1, 1);
	PASS(C, TCP_ACK | TCP_FIN, 1, 1);
	PASS(S, TCP_ACK | TCP_FIN, 1, 2);
	PASS(C, TCP_ACK, 2, 2);
	state_is(FW_TCP_TIME_WAIT, 20);
	assert_int_equal(session()->id, id);
	PASS(C, TCP_SYN, 90000);
	state_is(FW_TCP_SYN_SENT, 20);
	assert_int_not_equal(session()->id, id);
	assert_int_equal(fw_counters(w.fw)->sessions_now, 1);
}

static void test_timeouts(void **state)
{
	(void)state;
	PASS(C, TCP_SYN, 0);
	w.now += 19 * NS_PER_S;
	fw_expire(w.fw, w.now, 100);
	assert_int_equal(fw_counters(w.fw)->sessions_now, 1);
	w.now += 2 * NS_PER_S;
	fw_expire(w.fw, w.now, 100);
	assert_int_equal(fw_counters(w.fw)->sessions_now, 0);
	assert_int_equal(fw_counters(w.fw)->half_open_now, 0);
	DROPS(DROP_NO_SESSION, S, TCP_SYN | TCP_ACK, 0, 1);
	establish();
	/* each packet renews it, far beyond a turn of the wheel */
	for (int i = 0; i < 10; i++) {
		w.now += 3500 * NS_PER_S;
		fw_expire(w.fw, w.now, 100);
		PASS(i % 2 ? S : C, TCP_ACK, 1, 1);
	}
	w.now += 3599 * NS_PER_S;
	fw_expire(w.fw, w.now, 100);
	assert_int_equal(fw_counters(w.fw)->sessions_now, 1);
	w.now += 2 * NS_PER_S;
	fw_expire(w.fw, w.now, 100);
	assert_int_equal(fw_counters(w.fw)->sessions_now, 0);
}

/* The rule's timeout goes before its service's; neither counts before the handshake is complete or after a
 * FIN. */
static void test_rule_timeout(void **state)
{
	(void)state;
	p.services[0].timeout_s = 100;
	p.rules[0].timeout_s = 200;
	world_load(&w, &p);
	PASS(C, TCP_SYN, 0);
	state_is(FW_TCP_SYN_SENT, 20);
	PASS(S, TCP_SYN | TCP_ACK, 0, 1);
	state_is(FW_TCP_SYN_RECEIVED, 20);
	PASS(C, TCP_ACK, 1, 1);
	state_is(FW_TCP_ESTABLISHED, 200);
	p.rules[0].timeout_s = 0; /* a commit counts for sessions that exist */
	world_load(&w, &p);
	PASS(C, TCP_ACK, 1, 1);
	state_is(FW_TCP_ESTABLISHED, 100);
	PASS(C, TCP_FIN | TCP_ACK, 1, 1);
	state_is(FW_TCP_CLOSING, 300);
}

/* A timeout of the rule's service, and a budget: what is over ends a few at a time. */
static void test_service_timeout(void **state)
{
	(void)state;
	p.services[0].timeout_s = 100;
	world_load(&w, &p);
	for (client_port = 1000; client_port < 1010; client_port++) {
		PASS(C, TCP_SYN, 0);
		PASS(S, TCP_SYN | TCP_ACK, 0, 1);
		PASS(C, TCP_ACK, 1, 1);
	}
	state_is(FW_TCP_ESTABLISHED, 100);
	w.now += 102 * NS_PER_S;
	assert_true(fw_expire(w.fw, w.now, 4) <= w.now);
	assert_int_equal(fw_counters(w.fw)->sessions_now, 6);
	assert_true(fw_expire(w.fw, w.now, 100) > w.now);
	assert_int_equal(fw_counters(w.fw)->sessions_now, 0);
}

static void test_half_open_limit(void **state)
{
	(void)state;
	p.half_open_max = 10;
	world_load(&w, &p);
	establish();
	for (client_port = 2000; client_port < 2012; client_port++)
		PASS(C, TCP_SYN, 0);
	assert_int_equal(fw_counters(w.fw)->half_open_now, 10);
	assert_int_equal(fw_counters(w.fw)->half_open_evicted, 2);
	assert_int_equal(fw_counters(w.fw)->sessions_now, 11);
	client_port = 2000; /* the oldest gave way, the youngest not, nor what is established */
	DROPS(DROP_NO_SESSION, S, TCP_SYN | TCP_ACK, 0, 1);
	client_port = 2011;
	PASS(S, TCP_SYN | TCP_ACK, 0, 1);
	client_port = 1024;
	PASS(C, TCP_ACK, 1, 1, 10);
}

/* A flood of a million SYNs: the table stays as it is, established sessions live. */
static void test_flood(void **state)
{
	(void)state;
	p.half_open_max = 40;
	world_load(&w, &p);
	establish();
	for (uint32_t i = 0; i < 1000000; i++) {
		char src[ADDR_TEXT_MAX];
		struct packet_spec s = { .src = src,
			.dst = SERVER,
			.proto = IP_TCP,
			.src_port = (uint16_t)i,
			.dst_port = 80,
			.flags = TCP_SYN };
		snprintf(src, sizeof src, "10.%u.%u.77", i >> 16 & 255, i >> 8 & 255);
		assert_int_equal(world_send(&w, &s), DROP_NONE);
	}
	assert_int_equal(fw_counters(w.fw)->half_open_now, 40);
	assert_int_equal(fw_counters(w.fw)->sessions_now, 41);
	PASS(C, TCP_ACK, 1, 1, 10);
	PASS(S, TCP_ACK, 1, 11, 10);
}

static void test_full(void **state)
{
	(void)state;
	for (client_port = 2000; client_port < 2000 + WORLD_SESSIONS; client_port++) {
		PASS(C, TCP_SYN, 0);
		PASS(S, TCP_SYN | TCP_ACK, 0, 1);
		PASS(C, TCP_ACK, 1, 1);
	}
	DROPS(DROP_SESSION_LIMIT, C, TCP_SYN, 0);
	assert_int_equal(w.t.session, TRAIN_NONE);
	client_port = 2005;
	PASS(C, TCP_RST, 1);
	w.now += 6 * NS_PER_S;
	fw_expire(w.fw, w.now, 100);
	client_port = 9000;
	PASS(C, TCP_SYN, 0);
}

static void test_bad_checksum(void **state)
{
	static const uint8_t flags[] = { TCP_SYN, TCP_SYN | TCP_ACK, TCP_ACK | TCP_FIN, TCP_RST };

	(void)state;
	establish();
	for (size_t i = 0; i < COUNT_OF(flags); i++) {
		struct packet_spec s = { .src = CLIENT,
			.dst = SERVER,
			.proto = IP_TCP,
			.src_port = i == 0 ? 5000 : client_port,
			.dst_port = 80,
			.flags = flags[i],
			.seq = CLIENT_ISN + 1,
			.ack = SERVER_ISN + 1 };
		w.t = packet_make(&w.packet, &s);
		w.t.ip[36] ^= 1;
		w.t.csum = TRAIN_CSUM_UNKNOWN;
		assert_int_equal(world_run(&w), DROP_L4_CHECKSUM);
	}
	state_is(FW_TCP_ESTABLISHED, 3600);
	assert_int_equal(fw_counters(w.fw)->sessions_now, 1);
}

/* The smaller of both ways' segment sizes, in SYNs of both directions, with the checksum kept right. */
static void test_mss(void **state)
{
	static const uint8_t options[2][8] = { { 2, 4, 5, 180, 1, 3, 3, 7 }, { 1, 2, 4, 5, 180, 3, 3, 7 } };

	(void)state;
	for (int odd = 0; odd < 2; odd++) {
		client_port++;
		p.tcp_mss = 1200;
		world_load(&w, &p);
		PASS(C, TCP_SYN, 0, 0, 0, 0, options[odd], 8);
		assert_int_equal(load_be16(w.t.ip + 42 + odd), 1200);
		fw_session_forwarding(w.fw, &w.t)->mss = 1000;
		PASS(S, TCP_SYN | TCP_ACK, 0, 1, 0, 0, options[odd], 8);
		assert_int_equal(load_be16(w.t.ip + 42 + odd), 1000);
		p.tcp_mss = 9000;
		world_load(&w, &p);
		PASS(C, TCP_SYN, 0, 0, 0, 0, options[odd], 8);
		assert_int_equal(load_be16(w.t.ip + 42 + odd), 1000);
	}
}

/* ---- two honest ends ---- */

struct end {
	uint32_t next, acked; /* sent up to, acknowledged up to */
	uint32_t received;    /* in order */
	uint32_t window, edge,
		allowed; /* announced now; the right edge that was announced; the other's edge as heard */
	bool fin_sent;
	uint8_t scale;
};

struct flying {
	struct segment g;
	uint32_t edge;
};

#define FLYING_MAX 12

struct talk {
	struct end end[2];
	struct flying flying[FLYING_MAX];
	uint32_t flying_n, total[2];
	uint64_t seed;
};

static void say(struct talk *k, enum side from, uint32_t seq, uint32_t n, uint8_t flags)
{
	struct end *e = &k->end[from];

	if (k->flying_n == FLYING_MAX)
		return; /* lost */
	/* A window never shrinks (RFC 9293 section 3.8.6), and is never quite zero: 0 stands for the default
	 * here. */
	uint32_t window = MAX_OF(e->window >> e->scale, 1u);
	if ((int32_t)(e->edge - (e->received + (window << e->scale))) > 0)
		window = (e->edge - e->received + (1u << e->scale) - 1) >> e->scale;
	e->edge = e->received + (window << e->scale);
	k->flying[k->flying_n++] =
		(struct flying){ .g = { from, flags | TCP_ACK, seq, e->received, n, (uint16_t)window },
			.edge = e->edge };
}

static void speak(struct talk *k, enum side from)
{
	struct end *e = &k->end[from];
	uint32_t room = e->allowed - e->next, n = 1 + next_random(&k->seed) % 1400;

	if (e->fin_sent)
		return;
	if ((int32_t)room <= 0) {
		say(k, from, e->next, 0, 0);
		return;
	}
	n = MIN_OF(n, room);
	bool last = e->next + n - 1 >= k->total[from];
	say(k, from, e->next, n, last ? TCP_FIN : 0);
	e->next += n + last;
	e->fin_sent = last;
}

/* One packet of those on the way arrives through the firewall, is lost behind it, or stays and comes twice.
 */
static void arrive(struct talk *k, uint32_t at)
{
	struct flying f = k->flying[at];
	struct end *to = &k->end[1 - f.g.from];
	enum drop_reason d = tcp_send(f.g);

	uint32_t end = f.g.seq + (uint32_t)f.g.n + !!(f.g.flags & TCP_FIN);
	bool useful = (int32_t)(end - to->received) > 0 || (int32_t)(f.g.ack - to->acked) > 0;
	if (d != DROP_NONE && useful)
		fail_msg("%s refused: from %s, seq %u, ack %u, %zu octets, flags %02x, state %s",
			drop_name(d), f.g.from == C ? "client" : "server", f.g.seq, f.g.ack, f.g.n, f.g.flags,
			fw_protocol_state_name(session()->state));
	if (next_random(&k->seed) % 8) /* else it comes again */
		k->flying[at] = k->flying[--k->flying_n];
	if (next_random(&k->seed) % 6 == 0)
		return; /* lost behind us */
	if (d != DROP_NONE)
		return;
	if ((int32_t)(to->received - f.g.seq) >= 0 && (int32_t)(end - to->received) > 0)
		to->received = end;
	if ((int32_t)(f.g.ack - to->acked) > 0)
		to->acked = f.g.ack;
	if ((int32_t)(f.edge - to->allowed) > 0)
		to->allowed = f.edge;
	if (f.g.n || f.g.flags & TCP_FIN)
		say(k, 1 - f.g.from, to->next, 0, 0);
}

static void again(struct talk *k, enum side from)
{
	struct end *e = &k->end[from];
	uint32_t left = e->next - e->acked, n = MIN_OF(left, 1400u);

	if (left == 0)
		return;
	bool fin = e->fin_sent && n == left;
	say(k, from, e->acked, n - fin, fin ? TCP_FIN : 0);
}

static void talk_once(uint64_t seed)
{
	struct talk k = { .seed = seed };
	uint8_t options[2][4];

	for (int i = 0; i < 2; i++) {
		k.end[i] = (struct end){
			.next = 1, .acked = 1, .received = 1, .window = 1460 << next_random(&k.seed) % 6
		};
		k.end[i].scale = (uint8_t)(next_random(&k.seed) % 8);
		k.total[i] = next_random(&k.seed) % 60000;
		memcpy(options[i], (uint8_t[]){ 1, 3, 3, k.end[i].scale }, 4);
	}
	PASS(C, TCP_SYN, 0, 0, 0, 8000, options[C], 4);
	PASS(S, TCP_SYN | TCP_ACK, 0, 1, 0, 8000, options[S], 4);
	k.end[C].edge = k.end[S].edge =
		1; /* nothing announced but in the SYNs; both begin with an acknowledgement */
	PASS(C, TCP_ACK, 1, 1, 0, (uint16_t)MAX_OF(k.end[C].window >> k.end[C].scale, 1u));
	k.end[C].edge = 1 + (MAX_OF(k.end[C].window >> k.end[C].scale, 1u) << k.end[C].scale);
	k.end[S].edge = 8001;
	k.end[C].allowed = 8001;
	k.end[S].allowed = k.end[C].edge;
	for (int step = 0; step < 4000; step++) {
		uint32_t what = next_random(&k.seed) % 10;
		enum side who = (enum side)(next_random(&k.seed) % 2);
		if (what < 5 && k.flying_n)
			arrive(&k, next_random(&k.seed) % k.flying_n);
		else if (what < 8)
			speak(&k, who);
		else
			again(&k, who);
		if (session()->state == FW_TCP_TIME_WAIT)
			break;
	}
}

/* An error about a segment of `from` whose number is `seq` from its ISN; the quotation ends behind `n` octets
 * of TCP. */
static enum drop_reason error_about(enum side from, uint32_t seq, size_t n)
{
	static struct packet of;
	struct packet_spec q = { .src = from == C ? CLIENT : SERVER,
		.dst = from == C ? SERVER : CLIENT,
		.proto = IP_TCP,
		.src_port = from == C ? client_port : 80,
		.dst_port = from == C ? 80 : client_port,
		.flags = TCP_ACK,
		.seq = seq + (from == C ? CLIENT_ISN : SERVER_ISN) };
	struct packet_spec e = { .src = from == C ? "198.51.100.77" : "10.0.0.77",
		.dst = q.src,
		.proto = IP_ICMP,
		.icmp_type = ICMP4_UNREACHABLE,
		.icmp_code = 4,
		.payload = packet_make(&of, &q).ip,
		.payload_n = 20 + n };

	return world_send(&w, &e);
}

/* RFC 5927 section 4.1: only about what can be on its way. */
static void test_errors(void **state)
{
	(void)state;
	PASS(C, TCP_SYN, 0, .window = 1000);
	assert_int_equal(error_about(C, 0, 8), DROP_NONE);
	assert_int_equal(error_about(C, 2, 8), DROP_ICMP_UNRELATED);
	assert_int_equal(error_about(C, (uint32_t)-1, 8), DROP_ICMP_UNRELATED);
	assert_int_equal(error_about(S, 0, 8), DROP_ICMP_UNRELATED); /* it has not said anything */
	PASS(S, TCP_SYN | TCP_ACK, 0, 1, .window = 2000);
	assert_int_equal(error_about(S, 0, 8), DROP_NONE);
	PASS(C, TCP_ACK, 1, 1, .window = 1000);
	PASS(C, TCP_ACK, 1, 1, 1500, .window = 1000);
	const struct fw_session before = *session();
	assert_int_equal(error_about(C, 1, 8), DROP_NONE);
	assert_int_equal(error_about(C, 1000, 8), DROP_NONE);
	assert_int_equal(error_about(C, 1501, 8), DROP_NONE);
	assert_int_equal(error_about(C, 1502, 8), DROP_ICMP_UNRELATED);
	assert_int_equal(error_about(C, 1501 - 2000 - 2, 8), DROP_ICMP_UNRELATED);
	assert_int_equal(error_about(C, 1u << 31, 8), DROP_ICMP_UNRELATED);
	assert_int_equal(error_about(S, 1, 8), DROP_NONE);
	assert_int_equal(error_about(S, 2, 8), DROP_ICMP_UNRELATED);
	assert_int_equal(error_about(S, 1 - 1000 - 2, 8), DROP_ICMP_UNRELATED);
	/* RFC 792 promises eight octets of it: less is not believed */
	assert_int_equal(error_about(C, 1, 7), DROP_ICMP_UNRELATED);
	assert_memory_equal(&before, session(), sizeof before);
	uint32_t taken = 0;
	for (uint64_t seed = 1, i = 0; i < 10000; i++)
		taken += error_about(C, next_random(&seed), 8) == DROP_NONE;
	assert_in_range(taken, 0, 3);
}

static void test_honest_ends(void **state)
{
	uint32_t finished = 0;

	(void)state;
	for (uint64_t seed = 1; seed <= 300; seed++) {
		client_port++;
		talk_once(seed);
		finished += session()->state == FW_TCP_TIME_WAIT;
		world_done(&w);
		world_init(&w, WORLD_SESSIONS);
		world_load(&w, &p);
	}
	assert_true(finished > 150); /* else the test would be about beginnings only */
}

#define T(f) cmocka_unit_test_setup_teardown(f, ends_setup, scene_end)

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(test_life),
		T(test_beginnings),
		T(test_flags),
		T(test_guessed_handshake),
		T(test_life_of_high_numbers),
		T(test_answers_to_syn),
		T(test_challenge),
		T(test_both_begin),
		T(test_split_handshake),
		T(test_reset),
		T(test_windows),
		T(test_scaling),
		T(test_again),
		T(test_timeouts),
		T(test_rule_timeout),
		T(test_service_timeout),
		T(test_half_open_limit),
		T(test_flood),
		T(test_full),
		T(test_bad_checksum),
		T(test_mss),
		T(test_errors),
		T(test_honest_ends),
	};
	return cmocka_run_group_tests_name("firewall/tcp", tests, NULL, NULL);
}
