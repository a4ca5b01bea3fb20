/*
 * NPTv6 among the other rules of NAT: sessions in both directions, what policy decides about, ICMP errors, addresses
 * without a mapping, hosts that reach each other by their published addresses, and what commits and restarts leave.
 */
#include "scene.h"

#define OUTSIDE	  "2001:db8:99::9"
#define INSIDE	  "2001:db8:2:1::1234"
#define PUBLISHED "2001:db8:7:fffb::1234" /* 1 + 2 - 7, in one's complement */

static int setup(void **state)
{
	(void)state;
	scene_begin(WORLD_SESSIONS);
	policy_rule(&p, "web", UNTRUST, DMZ, "any", "2001:db8:2::/48", "tcp/80 icmp6/128", RULE_PERMIT);
	policy_rule(&p, "out", DMZ, UNTRUST, "2001:db8:2::/48", "any", "any", RULE_PERMIT);
	policy_rule(&p, "own", DMZ, DMZ, "any", "any", "tcp/80", RULE_PERMIT);
	policy_static(&p, "site", UNTRUST, "2001:db8:7::/48", "2001:db8:2::/48")->action = DNAT_NPTV6;
	policy_static(&p, "branch", UNTRUST, "2001:db8:8:1::/64", "2001:db8:1:1::/64")->action = DNAT_NPTV6;
	policy_nat(&p, "rest", DMZ, UNTRUST, "any", "any", NAT_INTERFACE6, NULL);
	world_load(&w, &p);
	return 0;
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
	scene_expect(want, s);
	if (want == DROP_NONE)
		assert_int_equal(csum_field(&s, &w.t), csum_field(&s, &was));
}

static void test_out(void **state)
{
	char text[FW_EXPLAIN_MAX];

	(void)state;
	expect(DROP_NONE, scene_packet(IP_TCP, INSIDE, 1000, OUTSIDE, 443, false));
	scene_leaves(PUBLISHED, 1000, OUTSIDE, 443);
	assert_non_null(strstr(fw_explain(w.fw, &w.t, text),
		"source " INSIDE " port 1000 translated to " PUBLISHED " port 1000 by rule site"));
	expect(DROP_NONE, scene_packet(IP_TCP, OUTSIDE, 443, PUBLISHED, 1000, true));
	scene_leaves(OUTSIDE, 443, INSIDE, 1000);
	expect(DROP_NONE, scene_packet(IP_UDP, INSIDE, 1000, OUTSIDE, 53, false));
	scene_leaves(PUBLISHED, 1000, OUTSIDE, 53);
	expect(DROP_NONE, scene_packet(IP_ICMPV6, INSIDE, 77, OUTSIDE, 0, false));
	scene_leaves(PUBLISHED, 77, OUTSIDE, 77);
	expect(DROP_NONE, scene_packet(IP_ICMPV6, OUTSIDE, 77, PUBLISHED, 0, true));
	scene_leaves(OUTSIDE, 77, INSIDE, 77);
	assert_int_equal(fw_dnat_rule_hits(w.fw, 0)->hits, 3);
	expect(DROP_NAT_PROTOCOL, scene_packet(IP_AH, INSIDE, 0, OUTSIDE, 0, false));
}

/* Policy names the inside addresses; what no rule permits is not published. */
static void test_in(void **state)
{
	(void)state;
	expect(DROP_NONE, scene_packet(IP_TCP, OUTSIDE, 2000, PUBLISHED, 80, false));
	scene_leaves(OUTSIDE, 2000, INSIDE, 80);
	expect(DROP_NONE, scene_packet(IP_TCP, INSIDE, 80, OUTSIDE, 2000, true));
	scene_leaves(PUBLISHED, 80, OUTSIDE, 2000);
	expect(DROP_DEFAULT_DENY, scene_packet(IP_TCP, OUTSIDE, 2000, PUBLISHED, 22, false));
}

static void test_no_mapping(void **state)
{
	(void)state;
	policy_rule(&p, "lan", TRUST, UNTRUST, "any", "any", "any", RULE_PERMIT);
	world_load(&w, &p);
	expect(DROP_NAT_NO_MAPPING, scene_packet(IP_TCP, "2001:db8:2:ffff::1", 1000, OUTSIDE, 443, false));
	expect(DROP_NAT_NO_MAPPING, scene_packet(IP_TCP, OUTSIDE, 1000, "2001:db8:7:ffff::1", 80, false));
	expect(DROP_NAT_NO_MAPPING,
		scene_packet(IP_UDP, "2001:db8:1:1:ffff:ffff:ffff:ffff", 1000, OUTSIDE, 443, false));
	expect(DROP_NONE, scene_packet(IP_UDP, "2001:db8:1:1:ffff:ffff:ffff:1", 1000, OUTSIDE, 443, false));
	assert_int_equal(scene_sessions(), 1);
	/* where policy denies it, that is what is said */
	expect(DROP_DEFAULT_DENY,
		scene_packet(IP_TCP, "2001:db8:2:ffff::1", 1000, "2001:db8:1::7", 443, false));
}

/* The error's receiver knows the quoted packet as it sent it, and the router is not told of. */
static void test_errors(void **state)
{
	struct packet_spec sent = scene_packet(IP_UDP, INSIDE, 1000, OUTSIDE, 53, false);
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
	scene_leaves("2001:db8:99::1", 0, INSIDE, 0);
	assert_memory_equal(w.t.ip + w.t.payload_offset + IP6_SRC, original + IP6_SRC, n - IP6_SRC);
}

/* Both are known by their published addresses to each other. */
static void test_hairpin(void **state)
{
	(void)state;
	expect(DROP_NONE, scene_packet(IP_TCP, "2001:db8:2:1::5", 1000, PUBLISHED, 80, false));
	scene_leaves("2001:db8:7:fffb::5", 1000, INSIDE, 80);
	expect(DROP_NONE, scene_packet(IP_TCP, INSIDE, 80, "2001:db8:7:fffb::5", 1000, true));
	scene_leaves(PUBLISHED, 80, "2001:db8:2:1::5", 1000);
}

static void test_commits(void **state)
{
	(void)state;
	expect(DROP_NONE, scene_packet(IP_TCP, INSIDE, 1000, OUTSIDE, 443, false));
	expect(DROP_NONE, scene_packet(IP_TCP, OUTSIDE, 2000, PUBLISHED, 80, false));
	world_load(&w, &p);
	world_restart(&w);
	world_load(&w, &p);
	assert_int_equal(scene_sessions(), 2);
	expect(DROP_NONE, scene_packet(IP_TCP, OUTSIDE, 443, PUBLISHED, 1000, true));
	scene_leaves(OUTSIDE, 443, INSIDE, 1000);
	/* exchanged bit by bit, the published address is another host */
	p.dnat_rules[0].action = DNAT_STATIC;
	world_load(&w, &p);
	assert_int_equal(scene_sessions(), 1);
}

#define T(f) cmocka_unit_test_setup_teardown(f, setup, scene_end)

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
