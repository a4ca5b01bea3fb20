/*
 * NPTv6 among the other rules of NAT: sessions in both directions, what policy decides about, ICMP errors, addresses
 * without a mapping, hosts that reach each other by their published addresses, and what commits and restarts leave.
 */
#include "world.h"

#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>

#define OUTSIDE	  "2001:db8:99::9"
#define INSIDE	  "2001:db8:2:1::1234"
#define PUBLISHED "2001:db8:7:fffb::1234" /* 1 + 2 - 7, in one's complement */

static struct world w;
static struct policy p;

static int setup(void **state)
{
	(void)state;
	world_init(&w, WORLD_SESSIONS);
	policy_init(&p);
	policy_rule(&p, "web", UNTRUST, DMZ, "any", "2001:db8:2::/48", "tcp/80 icmp6/128", RULE_PERMIT);
	policy_rule(&p, "out", DMZ, UNTRUST, "2001:db8:2::/48", "any", "any", RULE_PERMIT);
	policy_rule(&p, "own", DMZ, DMZ, "any", "any", "tcp/80", RULE_PERMIT);
	policy_static(&p, "site", UNTRUST, "2001:db8:7::/48", "2001:db8:2::/48")->action = DNAT_NPTV6;
	policy_static(&p, "branch", UNTRUST, "2001:db8:8:1::/64", "2001:db8:1:1::/64")->action = DNAT_NPTV6;
	policy_nat(&p, "rest", DMZ, UNTRUST, "any", "any", NAT_INTERFACE6, NULL);
	world_load(&w, &p);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	world_done(&w);
	policy_done(&p);
	return 0;
}

static struct packet_spec packet(
	uint8_t proto, const char *src, uint16_t src_port, const char *dst, uint16_t dst_port, bool answer)
{
	return (struct packet_spec){ .src = src,
		.dst = dst,
		.proto = proto,
		.src_port = src_port,
		.dst_port = dst_port,
		.flags = answer ? TCP_SYN | TCP_ACK : TCP_SYN,
		.seq = 1,
		.ack = answer ? 2 : 0,
		.icmp_type = answer ? ICMP6_ECHO_REPLY : ICMP6_ECHO,
		.payload_n = proto == IP_TCP ? 0 : 21 };
}

static uint16_t csum_field(const struct packet_spec *s, const struct train *t)
{
	return load_be16(t->ip + t->l4_offset +
			 (s->proto == IP_TCP	      ? TCP_CSUM
				 : s->proto == IP_UDP ? UDP_CSUM
						      : ICMP_CSUM));
}

/* What passes has the checksum with which it came. */
static void expect(enum drop_reason want, struct packet_spec s)
{
	struct packet room;
	struct train was = packet_make(&room, &s);

	assert_int_equal(train_parse(&was), DROP_NONE);
	assert_string_equal(drop_name(world_send(&w, &s)), drop_name(want));
	if (want != DROP_NONE)
		return;
	assert_true(packet_sound(w.t.ip, w.t.len));
	assert_int_equal(csum_field(&s, &w.t), csum_field(&s, &was));
}

static void leaves(const char *src, uint16_t src_port, const char *dst, uint16_t dst_port)
{
	struct train t = { .ip = w.t.ip, .len = w.t.len, .csum = w.t.csum };
	char text[ADDR_TEXT_MAX];

	assert_int_equal(train_parse(&t), DROP_NONE);
	assert_string_equal(addr_text(text, &t.src), src);
	assert_string_equal(addr_text(text, &t.dst), dst);
	assert_int_equal(t.src_port, src_port);
	assert_int_equal(t.dst_port, dst_port);
}

static uint32_t sessions(void)
{
	for (uint32_t i = 0; i < fw_sessions_used(w.fw); i++)
		fw_session_current(w.fw, i, w.now);
	return (uint32_t)fw_counters(w.fw)->sessions_now;
}

static void test_out(void **state)
{
	char text[FW_EXPLAIN_MAX];

	(void)state;
	expect(DROP_NONE, packet(IP_TCP, INSIDE, 1000, OUTSIDE, 443, false));
	leaves(PUBLISHED, 1000, OUTSIDE, 443);
	assert_non_null(strstr(fw_explain(w.fw, &w.t, text),
		"source " INSIDE " port 1000 translated to " PUBLISHED " port 1000 by rule site"));
	expect(DROP_NONE, packet(IP_TCP, OUTSIDE, 443, PUBLISHED, 1000, true));
	leaves(OUTSIDE, 443, INSIDE, 1000);
	expect(DROP_NONE, packet(IP_UDP, INSIDE, 1000, OUTSIDE, 53, false));
	leaves(PUBLISHED, 1000, OUTSIDE, 53);
	expect(DROP_NONE, packet(IP_ICMPV6, INSIDE, 77, OUTSIDE, 0, false));
	leaves(PUBLISHED, 77, OUTSIDE, 77);
	expect(DROP_NONE, packet(IP_ICMPV6, OUTSIDE, 77, PUBLISHED, 0, true));
	leaves(OUTSIDE, 77, INSIDE, 77);
	assert_int_equal(fw_dnat_rule_hits(w.fw, 0)->hits, 3);
	expect(DROP_NAT_PROTOCOL, packet(IP_AH, INSIDE, 0, OUTSIDE, 0, false));
}

/* Policy names the inside addresses; what no rule permits is not published. */
static void test_in(void **state)
{
	(void)state;
	expect(DROP_NONE, packet(IP_TCP, OUTSIDE, 2000, PUBLISHED, 80, false));
	leaves(OUTSIDE, 2000, INSIDE, 80);
	expect(DROP_NONE, packet(IP_TCP, INSIDE, 80, OUTSIDE, 2000, true));
	leaves(PUBLISHED, 80, OUTSIDE, 2000);
	expect(DROP_DEFAULT_DENY, packet(IP_TCP, OUTSIDE, 2000, PUBLISHED, 22, false));
}

static void test_no_mapping(void **state)
{
	(void)state;
	policy_rule(&p, "lan", TRUST, UNTRUST, "any", "any", "any", RULE_PERMIT);
	world_load(&w, &p);
	expect(DROP_NAT_NO_MAPPING, packet(IP_TCP, "2001:db8:2:ffff::1", 1000, OUTSIDE, 443, false));
	expect(DROP_NAT_NO_MAPPING, packet(IP_TCP, OUTSIDE, 1000, "2001:db8:7:ffff::1", 80, false));
	expect(DROP_NAT_NO_MAPPING,
		packet(IP_UDP, "2001:db8:1:1:ffff:ffff:ffff:ffff", 1000, OUTSIDE, 443, false));
	expect(DROP_NONE, packet(IP_UDP, "2001:db8:1:1:ffff:ffff:ffff:1", 1000, OUTSIDE, 443, false));
	assert_int_equal(sessions(), 1);
	/* where policy denies it, that is what is said */
	expect(DROP_DEFAULT_DENY, packet(IP_TCP, "2001:db8:2:ffff::1", 1000, "2001:db8:1::7", 443, false));
}

/* The error's receiver knows the quoted packet as it sent it, and the router is not told of. */
static void test_errors(void **state)
{
	struct packet_spec sent = packet(IP_UDP, INSIDE, 1000, OUTSIDE, 53, false);
	uint8_t original[128], quote[128];

	(void)state;
	w.t = packet_make(&w.packet, &sent);
	memcpy(original, w.t.ip, w.t.len);
	expect(DROP_NONE, sent);
	uint32_t n = w.t.len;
	memcpy(quote, w.t.ip, n);
	struct packet_spec error = { .src = "2001:db8:99::1",
		.dst = PUBLISHED,
		.proto = IP_ICMPV6,
		.icmp_type = ICMP6_TOO_BIG,
		.payload = quote,
		.payload_n = n };
	expect(DROP_NONE, error);
	leaves("2001:db8:99::1", 0, INSIDE, 0);
	assert_memory_equal(w.t.ip + w.t.payload_offset + IP6_SRC, original + IP6_SRC, n - IP6_SRC);
}

/* Both are known by their published addresses to each other. */
static void test_hairpin(void **state)
{
	(void)state;
	expect(DROP_NONE, packet(IP_TCP, "2001:db8:2:1::5", 1000, PUBLISHED, 80, false));
	leaves("2001:db8:7:fffb::5", 1000, INSIDE, 80);
	expect(DROP_NONE, packet(IP_TCP, INSIDE, 80, "2001:db8:7:fffb::5", 1000, true));
	leaves(PUBLISHED, 80, "2001:db8:2:1::5", 1000);
}

static void test_commits(void **state)
{
	(void)state;
	expect(DROP_NONE, packet(IP_TCP, INSIDE, 1000, OUTSIDE, 443, false));
	expect(DROP_NONE, packet(IP_TCP, OUTSIDE, 2000, PUBLISHED, 80, false));
	world_load(&w, &p);
	world_restart(&w);
	world_load(&w, &p);
	assert_int_equal(sessions(), 2);
	expect(DROP_NONE, packet(IP_TCP, OUTSIDE, 443, PUBLISHED, 1000, true));
	leaves(OUTSIDE, 443, INSIDE, 1000);
	/* exchanged bit by bit, the published address is another host */
	p.dnat_rules[0].action = DNAT_STATIC;
	world_load(&w, &p);
	assert_int_equal(sessions(), 1);
}

#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(test_out),
		T(test_in),
		T(test_no_mapping),
		T(test_errors),
		T(test_hairpin),
		T(test_commits),
	};
	return cmocka_run_group_tests_name("firewall/nptv6", tests, NULL, NULL);
}
