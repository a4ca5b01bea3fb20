/*
 * Sessions of UDP, ICMP echo and protocols without ports; ICMP errors and the session they are about; the hop
 * limit; what a rule's log and counters say about them.
 */
#include "base/icmp.h"
#include "scene.h"

#include <stdlib.h>

#define INSIDE	 "10.0.0.2"
#define OUTSIDE	 "198.51.100.9"
#define INSIDE6	 "2001:db8:1::2"
#define OUTSIDE6 "2001:db8:99::9"

static int setup(void **state)
{
	(void)state;
	scene_begin(WORLD_SESSIONS);
	policy_rule(&p, "out", TRUST, UNTRUST, "any", "any", "any", RULE_PERMIT);
	policy_rule(&p, "ping-in", UNTRUST, TRUST, "any", "any", "icmp/8", RULE_PERMIT);
	world_load(&w, &p);
	return 0;
}

static struct ip_addr addr_of(const char *text)
{
	struct ip_addr a;

	assert_int_equal(addr_parse(&a, text), RC_OK);
	return a;
}

static void udp(enum drop_reason want, const char *src, uint16_t src_port, const char *dst, uint16_t dst_port)
{
	scene_expect(want, (struct packet_spec){ .src = src,
				   .dst = dst,
				   .proto = IP_UDP,
				   .src_port = src_port,
				   .dst_port = dst_port,
				   .payload_n = 20 });
}

static void echo(enum drop_reason want, const char *src, const char *dst, uint16_t id, bool reply)
{
	bool v4 = !strchr(src, ':');
	uint8_t type = v4 ? (reply ? ICMP4_ECHO_REPLY : ICMP4_ECHO) : (reply ? ICMP6_ECHO_REPLY : ICMP6_ECHO);

	scene_expect(want, (struct packet_spec){ .src = src,
				   .dst = dst,
				   .proto = v4 ? IP_ICMP : IP_ICMPV6,
				   .src_port = id,
				   .icmp_type = type,
				   .payload_n = 56 });
}

static void seconds(uint64_t n)
{
	w.now += n * NS_PER_S;
	fw_expire(w.fw, w.now, 1000);
}

static void test_udp(void **state)
{
	(void)state;
	for (int v6 = 0; v6 < 2; v6++) {
		const char *in = v6 ? INSIDE6 : INSIDE, *out = v6 ? OUTSIDE6 : OUTSIDE;
		udp(DROP_DEFAULT_DENY, out, 53, in, 1024);
		udp(DROP_NONE, in, 1024, out, 53);
		assert_false(scene_session()->flags & FW_SESSION_CONFIRMED);
		udp(DROP_NONE, out, 53, in, 1024);
		assert_true(scene_session()->flags & FW_SESSION_CONFIRMED);
		assert_true(w.t.flags & TRAIN_REPLY);
		udp(DROP_DEFAULT_DENY, out, 54, in, 1024);
		udp(DROP_DEFAULT_DENY, out, 53, in, 1025);
		seconds(59);
		udp(DROP_NONE, out, 53, in, 1024);
		seconds(59);
		udp(DROP_NONE, in, 1024, out, 53);
		assert_int_equal(scene_session()->packets[0], 2);
		assert_int_equal(scene_session()->packets[1], 2);
		assert_int_equal(scene_session()->bytes[0], 2 * (v6 ? 68 : 48));
		seconds(61);
		assert_null(scene_session());
		udp(DROP_DEFAULT_DENY, out, 53, in, 1024);
	}
}

/* UDP before and after its first answer, GRE, ESP and the rest: each by its own timeout; the rule's for all. */
static void test_timeouts_by_protocol(void **state)
{
	static const uint8_t protocols[] = { IP_GRE, IP_ESP, 4 };
	static const uint64_t timeouts[] = { TIMEOUT_GRE, TIMEOUT_ESP, TIMEOUT_OTHER };
	struct snapshot *s = policy_snapshot(&p);
	struct err e = { 0 };

	(void)state;
	for (uint32_t i = 0; i < TIMEOUT_COUNT; i++)
		s->timeout_s[i] = 100 + i;
	assert_int_equal(fw_load(w.fw, s, w.now, &e), RC_OK);
#define LASTS(timeout) assert_int_equal(scene_session()->expires - w.now, (timeout) * NS_PER_S)
#define ENDS()                                                                                               \
	do {                                                                                                 \
		w.now += 1000 * NS_PER_S;                                                                    \
		fw_expire(w.fw, w.now, 100);                                                                 \
		assert_null(scene_session());                                                                \
	} while (0)
	udp(DROP_NONE, INSIDE, 1000, OUTSIDE, 53);
	LASTS(100 + TIMEOUT_UDP_UNANSWERED);
	udp(DROP_NONE, OUTSIDE, 53, INSIDE, 1000);
	LASTS(100 + TIMEOUT_UDP);
	ENDS();
	echo(DROP_NONE, INSIDE, OUTSIDE, 7, false);
	LASTS(100 + TIMEOUT_ICMP);
	ENDS();
	for (size_t i = 0; i < COUNT_OF(protocols); i++) {
		scene_expect(DROP_NONE,
			(struct packet_spec){
				.src = INSIDE, .dst = OUTSIDE, .proto = protocols[i], .payload_n = 20 });
		LASTS(100 + timeouts[i]);
		ENDS();
	}
	free(s);
	p.rules[0].timeout_s = 7;
	world_load(&w, &p);
	udp(DROP_NONE, INSIDE, 1000, OUTSIDE, 53);
	LASTS(7ull);
#undef LASTS
#undef ENDS
}

static void test_udp_without_checksum(void **state)
{
	struct packet_spec s = {
		.src = INSIDE, .dst = OUTSIDE, .proto = IP_UDP, .src_port = 9, .dst_port = 9, .payload_n = 4
	};

	(void)state;
	w.t = packet_make(&w.packet, &s);
	store_be16(w.t.ip + 26, 0);
	w.t.csum = TRAIN_CSUM_UNKNOWN;
	assert_int_equal(world_run(&w), DROP_NONE);
	assert_int_equal(load_be16(w.t.ip + 26), 0);
	s.src = INSIDE6;
	s.dst = OUTSIDE6;
	w.t = packet_make(&w.packet, &s);
	store_be16(w.t.ip + 46, 0);
	w.t.csum = TRAIN_CSUM_UNKNOWN;
	assert_int_equal(world_run(&w), DROP_L4_CHECKSUM); /* RFC 8200 section 8.1 */
}

static void test_echo(void **state)
{
	(void)state;
	echo(DROP_NO_SESSION, OUTSIDE, INSIDE, 7, true); /* nobody asked */
	echo(DROP_NONE, INSIDE, OUTSIDE, 7, false);
	echo(DROP_NONE, OUTSIDE, INSIDE, 7, true);
	echo(DROP_NO_SESSION, OUTSIDE, INSIDE, 8, true);
	/* The same identifier the other way round is another session, by another rule. */
	echo(DROP_NONE, OUTSIDE, INSIDE, 7, false);
	assert_string_equal(snap_rules(fw_policy(w.fw))[w.t.rule].name, "ping-in");
	echo(DROP_NONE, INSIDE, OUTSIDE, 7, true);
	assert_true(w.t.flags & TRAIN_REPLY);
	assert_int_equal(fw_counters(w.fw)->sessions_now, 2);
	seconds(19);
	assert_int_equal(fw_counters(w.fw)->sessions_now, 2);
	seconds(2);
	assert_int_equal(fw_counters(w.fw)->sessions_now, 0);
	echo(DROP_NONE, INSIDE6, OUTSIDE6, 7, false);
	echo(DROP_NONE, OUTSIDE6, INSIDE6, 7, true);
	echo(DROP_DEFAULT_DENY, OUTSIDE6, INSIDE6, 7, false); /* icmp/8 is IPv4's */
}

/* Queries but echo have no place through a firewall: no session, whatever policy says. */
static void test_other_icmp(void **state)
{
	static const uint8_t types4[] = { 9, 10, 14, 16, 18, 30, 37, 38, 43, 255 };
	static const uint8_t types6[] = { 130, 133, 134, 135, 136, 137, 140, 145, 255 };

	(void)state;
	for (size_t i = 0; i < COUNT_OF(types4); i++)
		scene_expect(DROP_NO_SESSION, (struct packet_spec){ .src = INSIDE,
						      .dst = OUTSIDE,
						      .proto = IP_ICMP,
						      .icmp_type = types4[i],
						      .payload_n = 12 });
	for (size_t i = 0; i < COUNT_OF(types6); i++)
		scene_expect(DROP_NO_SESSION, (struct packet_spec){ .src = INSIDE6,
						      .dst = OUTSIDE6,
						      .proto = IP_ICMPV6,
						      .icmp_type = types6[i],
						      .payload_n = 12 });
}

/* Every type that bears an identifier: its answer finds it, by another identifier or type none does. */
static void test_queries(void **state)
{
	static const struct {
		bool v4;
		uint8_t query, answer;
	} kinds[] = {
#define Q(v4, query, answer, at, name) { v4, query, answer },
		ICMP_QUERIES(Q)
#undef Q
	};

	(void)state;
	for (size_t i = 0; i < COUNT_OF(kinds); i++) {
		struct packet_spec s = { .src = kinds[i].v4 ? INSIDE : INSIDE6,
			.dst = kinds[i].v4 ? OUTSIDE : OUTSIDE6,
			.proto = kinds[i].v4 ? IP_ICMP : IP_ICMPV6,
			.icmp_type = kinds[i].query,
			.src_port = 77,
			.payload_n = 12 };
		struct packet_spec back = s;

		back.src = s.dst;
		back.dst = s.src;
		back.icmp_type = kinds[i].answer;
		scene_expect(DROP_NO_SESSION, back);
		scene_expect(DROP_NONE, s);
		scene_expect(DROP_NONE, back);
		back.src_port = 78;
		scene_expect(DROP_NO_SESSION, back);
		back.src_port = 77;
		back.icmp_type = kinds[i ? 0 : 1].answer;
		if (kinds[i].v4)
			scene_expect(DROP_NO_SESSION, back);
		fw_session_end(w.fw, 0, w.now);
	}
}

/* RFC 4620: the nonce tells queries apart. NAT translates addresses and leaves all that the message says. */
static void test_node_information(void **state)
{
	struct packet_spec query = { .src = INSIDE6,
		.dst = OUTSIDE6,
		.proto = IP_ICMPV6,
		.icmp_type = 139,
		.src_port = 0x1234,
		.payload_n = 16 },
			   other = query, back = query, e;
	uint8_t said[32], quote[256];

	(void)state;
	policy_nat(&p, "hide", TRUST, UNTRUST, "any", "any", NAT_POOL, "2001:db8:99::77");
	world_load(&w, &p);
	memcpy(said, packet_make(&w.packet, &query).ip + IP6_HEADER_SIZE, sizeof said);
	scene_expect(DROP_NONE, query);
	assert_memory_equal(w.t.ip + 8, addr_of("2001:db8:99::77").b, 16);
	assert_memory_equal(w.t.ip + IP6_HEADER_SIZE + 4, said + 4, sizeof said - 4);
	memcpy(quote, w.t.ip, 80);
	other.src = "2001:db8:1::3"; /* the same nonce from another host cannot be told apart */
	scene_expect(DROP_NAT_PROTOCOL, other);
	other.src_port = 0x1235;
	scene_expect(DROP_NONE, other);
	back = (struct packet_spec){ .src = OUTSIDE6,
		.dst = "2001:db8:99::77",
		.proto = IP_ICMPV6,
		.icmp_type = 140,
		.src_port = 0x1234,
		.payload_n = 40 };
	scene_expect(DROP_NONE, back);
	assert_memory_equal(w.t.ip + 24, addr_of(INSIDE6).b, 16);
	back.src_port = 0x1235;
	scene_expect(DROP_NONE, back);
	assert_memory_equal(w.t.ip + 24, addr_of("2001:db8:1::3").b, 16);
	back.src_port = 0x1236;
	scene_expect(DROP_NO_SESSION, back);
	e = (struct packet_spec){ .src = "2001:db8:77::1",
		.dst = "2001:db8:99::77",
		.proto = IP_ICMPV6,
		.icmp_type = ICMP6_TIME_EXCEEDED,
		.payload = quote,
		.payload_n = 80 };
	scene_expect(DROP_NONE, e);
	const uint8_t *inner = w.t.ip + w.t.payload_offset;
	assert_memory_equal(inner + 8, addr_of(INSIDE6).b, 16);
	assert_memory_equal(inner + IP6_HEADER_SIZE, said, sizeof said);
	/* without its nonce it is no such message */
	w.t = packet_make(&w.packet, &query);
	store_be16(w.t.ip + 4, 15);
	w.t.len = IP6_HEADER_SIZE + 15;
	assert_int_equal(world_run(&w), DROP_TRUNCATED);
}

static void test_other_protocols(void **state)
{
	static const uint8_t protos[] = { 47, 50, 51, 4, 41, 255 };

	(void)state;
	for (size_t i = 0; i < COUNT_OF(protos); i++) {
		struct packet_spec s = { .src = INSIDE, .dst = OUTSIDE, .proto = protos[i], .payload_n = 40 };
		struct packet_spec back = {
			.src = OUTSIDE, .dst = INSIDE, .proto = protos[i], .payload_n = 40
		};
		scene_expect(DROP_DEFAULT_DENY, back);
		scene_expect(DROP_NONE, s);
		scene_expect(DROP_NONE, back);
	}
	assert_int_equal(fw_counters(w.fw)->sessions_now, COUNT_OF(protos));
	seconds(61);
	assert_int_equal(fw_counters(w.fw)->sessions_now, 0);
}

/* ---- errors ---- */

/* An error of `type` from `router` to the quoted packet's source, quoting the first n octets of a packet. */
static struct packet_spec error_about(
	const char *router, uint8_t type, const struct packet_spec *about, size_t n, uint8_t quote[256])
{
	static struct packet other;
	struct train t = packet_make(&other, about);
	bool v4 = t.ip[0] >> 4 == 4;

	memcpy(quote, t.ip, MIN_OF(n, (size_t)t.len));
	return (struct packet_spec){ .src = router,
		.dst = about->src,
		.proto = v4 ? IP_ICMP : IP_ICMPV6,
		.icmp_type = type,
		.payload = quote,
		.payload_n = MIN_OF(n, (size_t)t.len) };
}

static void test_errors(void **state)
{
	static const struct {
		bool v6;
		uint8_t type;
		enum drop_reason want;
	} cases[] = {
		{ false, ICMP4_UNREACHABLE, DROP_NONE },
		{ false, ICMP4_TIME_EXCEEDED, DROP_NONE },
		{ false, ICMP4_PARAMETER, DROP_NONE },
		{ false, ICMP4_SOURCE_QUENCH, DROP_ICMP_UNRELATED }, /* RFC 6633 */
		{ false, ICMP4_REDIRECT, DROP_ICMP_UNRELATED },	     /* RFC 1812 section 5.2.7.2 */
		{ true, ICMP6_UNREACHABLE, DROP_NONE },
		{ true, ICMP6_TOO_BIG, DROP_NONE },
		{ true, ICMP6_TIME_EXCEEDED, DROP_NONE },
		{ true, ICMP6_PARAMETER, DROP_NONE },
		{ true, 100, DROP_ICMP_UNRELATED },
	};
	uint8_t quote[256];

	(void)state;
	for (size_t i = 0; i < COUNT_OF(cases); i++) {
		bool v6 = cases[i].v6;
		struct packet_spec out = { .src = v6 ? INSIDE6 : INSIDE,
			.dst = v6 ? OUTSIDE6 : OUTSIDE,
			.proto = IP_UDP,
			.src_port = 1024,
			.dst_port = 53,
			.payload_n = 30 };
		const char *router = v6 ? "2001:db8:77::1" : "192.0.2.1";
		struct packet_spec e = error_about(router, cases[i].type, &out, 200, quote);
		world_done(&w);
		world_init(&w, WORLD_SESSIONS);
		world_load(&w, &p);
		scene_expect(DROP_ICMP_UNRELATED, e); /* about nothing */
		scene_expect(DROP_NONE, out);
		uint64_t expires = scene_session()->expires;
		w.now += NS_PER_S;
		scene_expect(cases[i].want, e);
		if (cases[i].want == DROP_NONE) {
			assert_true(w.t.flags & TRAIN_REPLY);
			assert_memory_equal(w.t.ip + w.t.payload_offset, quote, e.payload_n);
		}
		/* anybody may send one: it renews nothing and counts nowhere */
		assert_int_equal(scene_session()->expires, expires);
		assert_int_equal(scene_session()->packets[1], 0);
	}
}

/* Every shorter quotation: ports are enough, less is about nothing. */
static void test_quotations(void **state)
{
	struct packet_spec out = { .src = INSIDE,
		.dst = OUTSIDE,
		.proto = IP_UDP,
		.src_port = 1024,
		.dst_port = 53,
		.payload_n = 30 };
	uint8_t quote[256];

	(void)state;
	scene_expect(DROP_NONE, out);
	for (size_t n = 0; n < 58; n++) {
		struct packet_spec e = error_about("192.0.2.1", ICMP4_UNREACHABLE, &out, n, quote);
		scene_expect(n < 24 ? DROP_ICMP_UNRELATED : DROP_NONE, e);
	}
	struct packet_spec e = error_about("192.0.2.1", ICMP4_UNREACHABLE, &out, 58, quote);
	e.dst = "10.0.0.3"; /* not to whom the quoted packet is from */
	scene_expect(DROP_ICMP_UNRELATED, e);
	e.dst = INSIDE;
	quote[6] = 0x00, quote[7] = 0x01; /* a fragment behind the first: no ports in it */
	scene_expect(DROP_ICMP_UNRELATED, e);
	quote[6] = 0x20, quote[7] = 0x00; /* the first has them */
	scene_expect(DROP_NONE, e);
	e.src = "192.168.3.3"; /* from another zone than the session's */
	scene_expect(DROP_SESSION_ZONE_MISMATCH, e);
}

/* An error about an error, an echo reply's, a wrong sum, no hops left. */
static void test_errors_refused(void **state)
{
	struct packet_spec ping = {
		.src = INSIDE, .dst = OUTSIDE, .proto = IP_ICMP, .icmp_type = ICMP4_ECHO, .src_port = 7
	};
	struct packet_spec pong = {
		.src = OUTSIDE, .dst = INSIDE, .proto = IP_ICMP, .icmp_type = ICMP4_ECHO_REPLY, .src_port = 7
	};
	uint8_t quote[256], second[256];

	(void)state;
	scene_expect(DROP_NONE, ping);
	struct packet_spec e = error_about("192.0.2.1", ICMP4_UNREACHABLE, &ping, 28, quote);
	scene_expect(DROP_NONE, e);
	struct packet_spec twice = error_about(INSIDE, ICMP4_UNREACHABLE, &e, 200, second);
	scene_expect(DROP_ICMP_UNRELATED, twice);
	struct packet_spec back = error_about("10.9.9.9", ICMP4_TIME_EXCEEDED, &pong, 28, second);
	scene_expect(DROP_NONE, back); /* about the reply, from inside */
	assert_false(w.t.flags & TRAIN_REPLY);
	e.hops = 1;
	scene_expect(DROP_TTL, e);
	e.hops = 0;
	w.t = packet_make(&w.packet, &e);
	w.t.ip[22] ^= 1;
	w.t.csum = TRAIN_CSUM_UNKNOWN;
	assert_int_equal(world_run(&w), DROP_L4_CHECKSUM);
}

static void test_hops(void **state)
{
	struct packet_spec s = {
		.src = INSIDE, .dst = OUTSIDE, .proto = IP_UDP, .src_port = 5, .dst_port = 5
	};

	(void)state;
	for (int v6 = 0; v6 < 2; v6++) {
		s.src = v6 ? INSIDE6 : INSIDE;
		s.dst = v6 ? OUTSIDE6 : OUTSIDE;
		s.hops = 1;
		scene_expect(DROP_TTL, s);
		/* as it came: an error may quote it */
		assert_int_equal(w.t.ip[v6 ? IP6_HOPS : IP4_TTL], 1);
		assert_true(packet_sound(w.t.ip, w.t.len));
		s.hops = 2;
		scene_expect(DROP_NONE, s);
		assert_int_equal(w.t.ip[v6 ? IP6_HOPS : IP4_TTL], 1);
	}
	/* to the gateway itself the hop limit does not count */
	policy_opens(&p, TRUST, "udp/53", "any");
	world_load(&w, &p);
	s = (struct packet_spec){
		.src = INSIDE, .dst = "203.0.113.1", .proto = IP_UDP, .src_port = 5, .dst_port = 53, .hops = 1
	};
	scene_expect(DROP_NONE, s);
	assert_int_equal(w.t.ip[IP4_TTL], 1);
}

/* Addresses of one link only are not forwarded. */
static void test_link_local(void **state)
{
	(void)state;
	udp(DROP_MARTIAN_DESTINATION, INSIDE, 5, "169.254.3.3", 5);
	udp(DROP_MARTIAN_DESTINATION, INSIDE6, 5, "fe80::1", 5);
	udp(DROP_MARTIAN_SOURCE, "fe80::1", 5, "2001:db8:1::9", 5);
}

/* ---- the host ---- */

static void test_host(void **state)
{
	struct packet_spec in = { .src = OUTSIDE,
		.dst = "203.0.113.1",
		.proto = IP_TCP,
		.src_port = 5000,
		.dst_port = 22,
		.flags = TCP_SYN };

	(void)state;
	scene_expect(DROP_HOST_INBOUND, in);
	policy_opens(&p, UNTRUST, "tcp/22", "any");
	world_load(&w, &p);
	scene_expect(DROP_NONE, in);
	assert_int_equal(scene_session()->zones.zone[1], FW_ZONE_HOST);
	/* the answer comes from the host, and the session goes with the service */
	struct packet_spec back = { .src = "203.0.113.1",
		.dst = OUTSIDE,
		.proto = IP_TCP,
		.src_port = 22,
		.dst_port = 5000,
		.flags = TCP_SYN | TCP_ACK,
		.seq = 100,
		.ack = 1 };
	w.t = packet_make(&w.packet, &back);
	w.t.flags = TRAIN_FROM_HOST;
	assert_int_equal(world_run(&w), DROP_NONE);
	assert_true(w.t.flags & TRAIN_REPLY);
	assert_int_equal(w.t.hop_limit, 64);
	p.zones[UNTRUST].host_services.count = 0;
	world_load(&w, &p);
	assert_null(scene_session());
	/* what the host begins needs no policy; the answer is a session's */
	back = (struct packet_spec){
		.src = "203.0.113.1", .dst = OUTSIDE, .proto = IP_UDP, .src_port = 33000, .dst_port = 53
	};
	w.t = packet_make(&w.packet, &back);
	w.t.flags = TRAIN_FROM_HOST;
	assert_int_equal(world_run(&w), DROP_NONE);
	udp(DROP_NONE, OUTSIDE, 53, "203.0.113.1", 33000);
	udp(DROP_HOST_INBOUND, OUTSIDE, 54, "203.0.113.1", 33000);
	/* what has no session by nature: a neighbour's question passes, an echo does not */
	scene_expect(DROP_NONE,
		(struct packet_spec){
			.src = OUTSIDE6, .dst = "2001:db8:3::1", .proto = IP_ICMPV6, .icmp_type = 135 });
	assert_int_equal(w.t.session, TRAIN_NONE);
	echo(DROP_HOST_INBOUND, OUTSIDE6, "2001:db8:3::1", 7, false);
}

/* ---- what rules count and log ---- */

static void test_counts(void **state)
{
	struct fw_log l;

	(void)state;
	policy_done(&p);
	policy_init(&p);
	policy_rule(&p, "dns", TRUST, UNTRUST, "any", "any", "udp/53", RULE_PERMIT)->flags =
		RULE_LOG_INIT | RULE_LOG_CLOSE | RULE_COUNT;
	policy_rule(&p, "none", TRUST, UNTRUST, "any", "any", "udp/54", RULE_DENY)->flags = RULE_LOG_INIT;
	policy_rule(&p, "quiet", TRUST, UNTRUST, "any", "any", "udp/55", RULE_REJECT);
	world_load(&w, &p);
	mono_ns begun = w.now;
	udp(DROP_NONE, INSIDE, 1000, OUTSIDE, 53);
	udp(DROP_NONE, OUTSIDE, 53, INSIDE, 1000);
	udp(DROP_NONE, INSIDE, 1001, OUTSIDE, 53);
	w.now += NS_PER_S;
	udp(DROP_POLICY_DENY, INSIDE, 1000, OUTSIDE, 54);
	assert_int_equal(w.t.rule, 1);
	for (int i = 0; i < 3; i++)
		udp(DROP_POLICY_REJECT, INSIDE, 1000, OUTSIDE, 55);
	udp(DROP_DEFAULT_DENY, INSIDE, 1000, OUTSIDE, 56);
	assert_int_equal(w.t.rule, TRAIN_NONE);
	assert_int_equal(fw_rule_hits(w.fw, 0)->hits, 2); /* sessions, not packets */
	assert_int_equal(fw_rule_hits(w.fw, 0)->packets, 3);
	assert_int_equal(fw_rule_hits(w.fw, 0)->bytes, 3 * 48);
	assert_int_equal(fw_rule_hits(w.fw, 0)->last, begun);
	assert_int_equal(fw_rule_hits(w.fw, 1)->hits, 1);
	assert_int_equal(fw_rule_hits(w.fw, 1)->last, w.now);
	assert_int_equal(fw_rule_hits(w.fw, 2)->hits, 3);
	assert_null(fw_rule_hits(w.fw, 3));
	seconds(60);
	static const struct {
		enum fw_log_kind kind;
		uint32_t rule;
		uint64_t there, back;
	} want[] = { { FW_LOG_INIT, 0, 0, 0 }, { FW_LOG_INIT, 0, 0, 0 }, { FW_LOG_DENY, 1, 1, 0 },
		{ FW_LOG_CLOSE, 0, 1, 1 }, { FW_LOG_CLOSE, 0, 1, 0 } };
	uint64_t closed = 0;
	for (size_t i = 0; i < COUNT_OF(want); i++) {
		assert_true(fw_log_next(w.fw, &l));
		assert_int_equal(l.kind, want[i].kind);
		assert_int_equal(l.rule, want[i].rule);
		if (l.kind == FW_LOG_CLOSE)
			closed += l.packets[0] + 10 * l.packets[1]; /* in any order */
		else
			assert_int_equal(l.packets[0], want[i].there);
	}
	assert_int_equal(closed, 12);
	assert_false(fw_log_next(w.fw, &l));
}

/* Hits are always counted; packets and octets where the rule says `count`. */
static void test_count_asked_for(void **state)
{
	(void)state;
	for (int count = 0; count < 2; count++) {
		p.rules[0].flags = count ? RULE_COUNT : 0;
		world_load(&w, &p);
		udp(DROP_NONE, INSIDE, (uint16_t)(1000 + count), OUTSIDE, 53);
		assert_int_equal(fw_rule_hits(w.fw, 0)->hits, 1 + count);
		assert_int_equal(fw_rule_hits(w.fw, 0)->packets, count);
		assert_int_equal(fw_rule_hits(w.fw, 0)->bytes, 48 * count);
	}
}

/* Nobody drains the ring: records are lost and counted, nothing else. */
static void test_log_overflow(void **state)
{
	struct fw_log l;
	uint32_t n = 0;

	(void)state;
	p.rules[0].flags = RULE_LOG_INIT | RULE_LOG_CLOSE;
	world_load(&w, &p);
	for (uint32_t i = 0; i < 3000; i++) {
		udp(DROP_NONE, INSIDE, (uint16_t)(i + 1), OUTSIDE, 53);
		fw_session_end(w.fw, w.t.session, w.now);
	}
	while (fw_log_next(w.fw, &l))
		n++;
	assert_int_equal(n + fw_counters(w.fw)->log_records_suppressed, 6000);
	assert_true(n > 1000);
}

/* A burst: misses become sessions once, the second train of the same flow finds what the first began. */
static void test_burst(void **state)
{
	static struct packet packets[TRAIN_BURST_MAX];
	struct train trains[TRAIN_BURST_MAX], *burst[TRAIN_BURST_MAX];
	struct fw_egress egress = { .nat_addr = w.nat4 };

	(void)state;
	for (uint32_t i = 0; i < TRAIN_BURST_MAX; i++) {
		struct packet_spec s = { .src = INSIDE,
			.dst = OUTSIDE,
			.proto = IP_UDP,
			.src_port = (uint16_t)(1000 + i / 4),
			.dst_port = 53 };
		trains[i] = packet_make(&packets[i], &s);
		train_parse(&trains[i]);
		trains[i].in_zone = TRUST;
		trains[i].out_zone = UNTRUST;
		burst[i] = &trains[i];
	}
	fw_lookup_burst(w.fw, burst, TRAIN_BURST_MAX, w.now);
	for (uint32_t i = 0; i < TRAIN_BURST_MAX; i++) {
		assert_int_equal(trains[i].session, TRAIN_NONE);
		fw_lookup_again(w.fw, &trains[i], w.now);
		assert_int_equal(trains[i].session != TRAIN_NONE, i % 4 > 0);
		if (trains[i].session == TRAIN_NONE)
			fw_admit(w.fw, &trains[i], &egress, w.now);
		fw_apply(w.fw, &trains[i], w.now);
		assert_int_equal(trains[i].drop, DROP_NONE);
	}
	assert_int_equal(fw_counters(w.fw)->sessions_now, TRAIN_BURST_MAX / 4);
	for (uint32_t i = 0; i < TRAIN_BURST_MAX; i++) {
		assert_int_equal(trains[i].drop, DROP_NONE);
		assert_int_equal(fw_session(w.fw, trains[i].session)->packets[0], 4);
	}
}

/*
 * A full table of half-open sessions: the SYN of a burst takes the record of the one whose answer stands
 * behind it in the same burst. That answer finds no session any more.
 */
static void test_record_taken_within_a_burst(void **state)
{
	static struct packet packets[2];
	struct train t[2], *burst[2] = { &t[0], &t[1] };
	struct packet_spec syn = { .src = INSIDE,
		.dst = OUTSIDE,
		.proto = IP_TCP,
		.src_port = 1000,
		.dst_port = 80,
		.flags = TCP_SYN };
	struct packet_spec answer = { .src = OUTSIDE,
		.dst = INSIDE,
		.proto = IP_TCP,
		.src_port = 80,
		.dst_port = 1000,
		.flags = TCP_SYN | TCP_ACK,
		.ack = 1 };
	struct fw_egress egress = { .nat_addr = w.nat4 };

	(void)state;
	for (uint32_t i = 0; i < WORLD_SESSIONS; i++, syn.src_port++)
		scene_expect(DROP_NONE, syn);
	syn.src_port = 9999;
	t[0] = packet_make(&packets[0], &syn);
	t[1] = packet_make(&packets[1], &answer);
	for (int i = 0; i < 2; i++) {
		train_parse(&t[i]);
		t[i].in_zone = i ? UNTRUST : TRUST;
		t[i].out_zone = i ? TRUST : UNTRUST;
	}
	fw_lookup_burst(w.fw, burst, 2, w.now);
	assert_int_not_equal(t[1].session, TRAIN_NONE);
	fw_admit(w.fw, &t[0], &egress, w.now);
	assert_int_equal(t[0].drop, DROP_NONE);
	assert_int_equal(t[0].session, t[1].session);
	fw_apply(w.fw, &t[0], w.now);
	assert_int_equal(t[0].drop, DROP_NONE);
	fw_lookup_again(w.fw, &t[1], w.now);
	assert_int_equal(t[1].session, TRAIN_NONE);
	fw_admit(w.fw, &t[1], &egress, w.now);
	assert_int_equal(t[1].drop, DROP_NO_SESSION);
}

/* The way out of a session leads to another zone: policy decides again, replies may not move at all. */
static void test_reroute(void **state)
{
	(void)state;
	policy_rule(&p, "dmz", TRUST, DMZ, "any", "any", "udp/53", RULE_PERMIT);
	struct snap_rule swap = p.rules[1]; /* pairs stand together */
	p.rules[1] = p.rules[2];
	p.rules[2] = swap;
	world_load(&w, &p);
	udp(DROP_NONE, INSIDE, 1000, OUTSIDE, 53);
	w.t.drop = DROP_NONE;
	w.t.out_zone = DMZ;
	fw_reroute(w.fw, &w.t, false, w.now);
	assert_int_equal(w.t.drop, DROP_NONE);
	assert_int_equal(scene_session()->zones.zone[1], DMZ);
	assert_string_equal(snap_rules(fw_policy(w.fw))[scene_session()->rule].name, "dmz");
	udp(DROP_SESSION_ZONE_MISMATCH, OUTSIDE, 53, INSIDE,
		1000); /* still comes from where it went before */
	w.t.drop = DROP_NONE;
	w.t.in_zone = DMZ;
	w.t.out_zone = UNTRUST;
	fw_reroute(w.fw, &w.t, false, w.now);
	assert_int_equal(w.t.drop, DROP_SESSION_ZONE_MISMATCH);
	udp(DROP_NONE, INSIDE, 1001, OUTSIDE, 99);
	w.t.out_zone = DMZ;
	fw_reroute(w.fw, &w.t, false, w.now);
	assert_int_equal(w.t.drop, DROP_DEFAULT_DENY);
	assert_int_equal(fw_counters(w.fw)->sessions_now, 1); /* it ended */
	udp(DROP_NONE, INSIDE, 1002, OUTSIDE, 99);
	fw_reroute(w.fw, &w.t, true, w.now);
	assert_int_equal(w.t.drop, DROP_SESSION_ZONE_MISMATCH);
}

#define T(f) cmocka_unit_test_setup_teardown(f, setup, scene_end)

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(test_udp),
		T(test_timeouts_by_protocol),
		T(test_udp_without_checksum),
		T(test_echo),
		T(test_other_icmp),
		T(test_queries),
		T(test_node_information),
		T(test_other_protocols),
		T(test_errors),
		T(test_quotations),
		T(test_errors_refused),
		T(test_hops),
		T(test_link_local),
		T(test_host),
		T(test_counts),
		T(test_count_asked_for),
		T(test_log_overflow),
		T(test_burst),
		T(test_record_taken_within_a_burst),
		T(test_reroute),
	};
	return cmocka_run_group_tests_name("firewall/datagrams", tests, NULL, NULL);
}
