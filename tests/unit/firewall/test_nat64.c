/*
 * NAT64: what an IPv6 host and an IPv4 server see, what policy and source NAT decide about, ICMP errors from both sides,
 * what is refused, bindings, and what commits and restarts leave.
 */
#include "scene.h"

#define HOST	"2001:db8:1::7"
#define GATE	"203.0.113.1" /* of the world's UNTRUST interface */
#define SERVER	"198.51.100.9"
#define SERVER6 "2001:db8:64::c633:6409"
#define OTHER	"192.0.2.80"
#define OTHER6	"2001:db8:64::c000:250"

static int setup(void **state)
{
	(void)state;
	scene_begin(WORLD_SESSIONS);
	policy_rule(&p, "not", TRUST, UNTRUST, "any", "192.0.2.66", "any", RULE_DENY);
	policy_rule(&p, "web", TRUST, UNTRUST, "2001:db8:1::/64", "198.51.100.0/24 192.0.2.0/24",
		"tcp/80 udp/53 icmp6/128", RULE_PERMIT);
	struct snap_dnat_rule *r =
		policy_dnat(&p, "four", TRUST, "any", "2001:db8:64::/96", "any", "2001:db8:64::/96", 0, 0);
	r->action = DNAT_NAT64;
	r = policy_dnat(&p, "well-known", TRUST, "any", "64:ff9b::/96", "any", "64:ff9b::/96", 0, 0);
	r->action = DNAT_NAT64;
	policy_nat(&p, "six", TRUST, UNTRUST, "any", "any", NAT_INTERFACE6, NULL);
	policy_nat(&p, "interface", TRUST, UNTRUST, "2001:db8:1::/64", "any", NAT_INTERFACE, NULL);
	world_load(&w, &p);
	return 0;
}

/* dst_port 0: any. Returns its source port. */
static uint16_t leaves(const char *src, const char *dst, uint16_t dst_port)
{
	scene_leaves(src, w.t.src_port, dst, dst_port ? dst_port : w.t.dst_port);
	assert_int_equal(w.t.hop_limit, 63);
	return w.t.src_port;
}

static uint16_t connects(uint16_t port)
{
	scene_expect(DROP_NONE, scene_packet(IP_TCP, HOST, port, SERVER6, 80, false));
	uint16_t mapped = leaves(GATE, SERVER, 80);
	scene_expect(DROP_NONE, scene_packet(IP_TCP, SERVER, 80, GATE, mapped, true));
	assert_int_equal(leaves(SERVER6, HOST, port), 80);
	return mapped;
}

static void test_there_and_back(void **state)
{
	char text[FW_EXPLAIN_MAX];

	(void)state;
	connects(1000);
	assert_non_null(
		strstr(fw_explain(w.fw, &w.t, text), "destination " SERVER6 " port 80 translated to " SERVER
						     " port 80 by rule four, source " HOST));
	scene_expect(DROP_NONE, scene_packet(IP_UDP, HOST, 1000, SERVER6, 53, false));
	uint16_t port = leaves(GATE, SERVER, 53);
	scene_expect(DROP_NONE, scene_packet(IP_UDP, SERVER, 53, GATE, port, true));
	assert_int_equal(leaves(SERVER6, HOST, 1000), 53);
	scene_expect(DROP_NONE, scene_packet(IP_ICMPV6, HOST, 77, SERVER6, 0, false));
	uint16_t id = leaves(GATE, SERVER, 0);
	assert_int_equal(w.t.proto, IP_ICMP);
	scene_expect(DROP_NONE, scene_packet(IP_ICMP, SERVER, id, GATE, 0, true));
	assert_int_equal(leaves(SERVER6, HOST, 77), 77);
	assert_int_equal(w.t.proto, IP_ICMPV6);
	assert_int_equal(scene_sessions(), 3);
	assert_int_equal(fw_dnat_rule_hits(w.fw, 0)->hits, 3);
	assert_int_equal(fw_nat_rule_hits(w.fw, 1)->hits, 3);
	/* nobody else's answer */
	scene_expect(DROP_HOST_INBOUND, scene_packet(IP_UDP, SERVER, 54, GATE, port, true));
}

/* The first segment may be no larger for one side than for the other: the smaller maximum of both. */
static void test_many(void **state)
{
	(void)state;
	uint16_t first = connects(2000);
	scene_expect(DROP_NONE, scene_packet(IP_TCP, "2001:db8:1::8", 2000, SERVER6, 80, false));
	assert_int_not_equal(leaves(GATE, SERVER, 80), first);
	for (uint16_t i = 0; i < 50; i++)
		connects((uint16_t)(3000 + i));
	assert_int_equal(scene_sessions(), 52);
}

/* Of IPv4 and IPv6 rules the ones that name the host's and the server's real address. */
static void test_policy(void **state)
{
	(void)state;
	scene_expect(DROP_POLICY_DENY, scene_packet(IP_TCP, HOST, 1000, "2001:db8:64::c000:242", 80, false));
	scene_expect(DROP_DEFAULT_DENY, scene_packet(IP_TCP, HOST, 1000, SERVER6, 81, false));
	scene_expect(DROP_DEFAULT_DENY, scene_packet(IP_TCP, "2001:db8:1:1::7", 1000, SERVER6, 80, false));
	assert_int_equal(scene_sessions(), 0);
}

static void test_what_is_refused(void **state)
{
	(void)state;
	scene_expect(DROP_NAT_PROTOCOL, scene_packet(IP_GRE, HOST, 0, SERVER6, 0, false));
	scene_expect(DROP_NAT64_ADDRESS, scene_packet(IP_TCP, HOST, 1, "64:ff9b::c0a8:101", 80, false));
	scene_expect(DROP_NAT64_ADDRESS, scene_packet(IP_TCP, HOST, 1, "2001:db8:64::7f00:1", 80, false));
	scene_expect(DROP_NAT64_ADDRESS, scene_packet(IP_TCP, HOST, 1, "2001:db8:64::e000:1", 80, false));
	scene_expect(DROP_DEFAULT_DENY, scene_packet(IP_TCP, HOST, 1, "64:ff9b::808:808", 80, false));
	/* no IPv4 address for the host */
	p.nat_rules[1].action = NAT_OFF;
	world_load(&w, &p);
	scene_expect(DROP_NAT_NO_ADDRESS, scene_packet(IP_TCP, HOST, 1, SERVER6, 80, false));
	p.nat_rules_n = 1;
	world_load(&w, &p);
	scene_expect(DROP_NAT_NO_ADDRESS, scene_packet(IP_TCP, HOST, 1, SERVER6, 80, false));
	assert_int_equal(scene_sessions(), 0);
}

/* A server's side tells of an MTU: the host's is 20 octets more, from the router's address within the prefix. */
static void test_errors_to_the_host(void **state)
{
	struct packet_spec sent = scene_packet(IP_UDP, HOST, 1000, SERVER6, 53, false);
	uint8_t original[128], quote[128];

	(void)state;
	w.t = packet_make(&w.packet, &sent);
	uint32_t original_n = w.t.len;
	memcpy(original, w.t.ip, original_n);
	scene_expect(DROP_NONE, sent);
	uint32_t n = w.t.len;
	memcpy(quote, w.t.ip, n);
	struct packet_spec e = { .src = OTHER,
		.dst = GATE,
		.proto = IP_ICMP,
		.icmp_type = ICMP4_UNREACHABLE,
		.icmp_code = 3,
		.payload = quote,
		.payload_n = n };
	scene_expect(DROP_NONE, e);
	leaves(OTHER6, HOST, 0);
	assert_int_equal(w.t.proto, IP_ICMPV6);
	assert_int_equal(w.t.ip[40], ICMP6_UNREACHABLE);
	assert_int_equal(w.t.ip[41], 4);
	assert_int_equal(w.t.len - w.t.payload_offset, original_n);
	assert_memory_equal(w.t.ip + w.t.payload_offset + IP6_SRC, original + IP6_SRC, original_n - IP6_SRC);
	/* such a kind that nobody knows of it there */
	e.icmp_code = 14;
	scene_expect(DROP_NAT64_UNTRANSLATABLE, e);
}

/* What has no counterpart begins no session, is not counted, and stays as it came. */
static void test_untranslatable(void **state)
{
	uint8_t before[256];

	(void)state;
	for (int established = 0; established < 2; established++) {
		for (int icmp = 0; icmp < 2; icmp++) {
			struct packet_spec s = scene_packet(
				icmp ? IP_ICMPV6 : IP_UDP, HOST, 1000, SERVER6, icmp ? 0 : 53, false);
			if (established)
				scene_expect(DROP_NONE, s);
			uint64_t sessions_before = fw_counters(w.fw)->sessions_now;
			s.icmp_code = (uint8_t)icmp;
			w.t = packet_make(&w.packet, &s);
			if (!icmp)
				store_be16(w.t.ip + IP6_HEADER_SIZE + UDP_CSUM, 0); /* RFC 6935: none */
			w.t.csum = TRAIN_CSUM_VALID;
			assert_true(w.t.len <= sizeof before);
			memcpy(before, w.t.ip, w.t.len);
			assert_string_equal(drop_name(world_run(&w)), drop_name(DROP_NAT64_UNTRANSLATABLE));
			assert_memory_equal(before, w.t.ip, w.t.len);
			assert_int_equal(fw_counters(w.fw)->sessions_now, sessions_before);
			if (!established)
				assert_int_equal(sessions_before, 0);
		}
	}
	for (uint32_t cursor = 0; cursor < fw_sessions_used(w.fw);) {
		const struct fw_session *s = fw_session_next(w.fw, &cursor);
		assert_true(!s || s->packets[0] == 1);
	}
}

static void test_errors_to_the_server(void **state)
{
	uint8_t original[128], quote[128];

	(void)state;
	scene_expect(DROP_NONE, scene_packet(IP_UDP, HOST, 1000, SERVER6, 53, false));
	uint16_t port = leaves(GATE, SERVER, 53);
	struct packet_spec answer = scene_packet(IP_UDP, SERVER, 53, GATE, port, true);
	w.t = packet_make(&w.packet, &answer);
	uint32_t original_n = w.t.len;
	memcpy(original, w.t.ip, original_n);
	scene_expect(DROP_NONE, answer);
	uint32_t n = w.t.len;
	memcpy(quote, w.t.ip, n);
	struct packet_spec e = { .src = "2001:db8:1::99",
		.dst = SERVER6,
		.proto = IP_ICMPV6,
		.icmp_type = ICMP6_TIME_EXCEEDED,
		.payload = quote,
		.payload_n = n };
	scene_expect(DROP_NONE, e);
	leaves(GATE, SERVER, 0);
	assert_int_equal(w.t.ip[20], ICMP4_TIME_EXCEEDED);
	assert_memory_equal(w.t.ip + w.t.payload_offset + IP4_SRC, original + IP4_SRC, original_n - IP4_SRC);
}

static void test_commits_and_restarts(void **state)
{
	(void)state;
	uint16_t port = connects(1000);
	scene_expect(DROP_NONE, scene_packet(IP_ICMPV6, HOST, 77, SERVER6, 0, false));
	uint16_t id = leaves(GATE, SERVER, 0);
	for (int k = 0; k < 2; k++) {
		world_load(&w, &p);
		world_restart(&w);
		world_load(&w, &p);
		assert_int_equal(scene_sessions(), 2);
		assert_int_equal(fw_counters(w.fw)->records_discarded, 0);
	}
	scene_expect(DROP_NONE, scene_packet(IP_ICMP, SERVER, id, GATE, 0, true));
	leaves(SERVER6, HOST, 77);
	struct packet_spec ack = scene_packet(IP_TCP, HOST, 1000, SERVER6, 80, false);
	ack.flags = TCP_ACK;
	ack.seq = ack.ack = 2;
	scene_expect(DROP_NONE, ack);
	assert_int_equal(leaves(GATE, SERVER, 80), port);
	/* another prefix: what the hosts know is no longer translated */
	p.dnat_rules[0].dst = p.dnat_rules[1].dst;
	p.dnat_rules[0].to = p.dnat_rules[1].to;
	world_load(&w, &p);
	assert_int_equal(scene_sessions(), 0);
}

/* RFC 6146 section 3.5: one mapping for all destinations. */
static void test_bindings(void **state)
{
	(void)state;
	p.nat_rules[1].filtering = NAT_FILTER_ADDRESS_AND_PORT_DEPENDENT;
	p.nat_rules[1].binding_timeout_s = 300;
	p.nat_rules[1].bindings_max = 10;
	world_load(&w, &p);
	scene_expect(DROP_NONE, scene_packet(IP_UDP, HOST, 1000, SERVER6, 53, false));
	uint16_t port = leaves(GATE, SERVER, 53);
	scene_expect(DROP_NONE, scene_packet(IP_UDP, HOST, 1000, OTHER6, 53, false));
	assert_int_equal(leaves(GATE, OTHER, 53), port);
	assert_int_equal(fw_counters(w.fw)->bindings_now, 1);
	world_restart(&w);
	world_load(&w, &p);
	assert_int_equal(scene_sessions(), 3);
	scene_expect(DROP_NONE, scene_packet(IP_UDP, HOST, 1000, "2001:db8:64::c633:6477", 53, false));
	assert_int_equal(leaves(GATE, "198.51.100.119", 53), port);
	assert_int_equal(fw_counters(w.fw)->bindings_now, 1);
	/* strangers cannot begin a session by it, whatever the filtering is */
	p.nat_rules[1].filtering = NAT_FILTER_ENDPOINT_INDEPENDENT;
	policy_rule(&p, "in", UNTRUST, TRUST, "any", "any", "any", RULE_PERMIT);
	world_load(&w, &p);
	scene_expect(DROP_NAT_FILTERED, scene_packet(IP_UDP, "192.0.2.77", 9, GATE, port, false));
	/* another host has another one */
	scene_expect(DROP_NONE, scene_packet(IP_UDP, "2001:db8:1::8", 1000, SERVER6, 53, false));
	assert_int_not_equal(leaves(GATE, SERVER, 53), port);
}

static void test_pool(void **state)
{
	(void)state;
	p.nat_rules[1].action = NAT_POOL;
	assert_int_equal(addr_parse(&p.nat_rules[1].pool.first, "203.0.113.64"), RC_OK);
	assert_int_equal(addr_parse(&p.nat_rules[1].pool.last, "203.0.113.64"), RC_OK);
	world_load(&w, &p);
	scene_expect(DROP_NONE, scene_packet(IP_UDP, HOST, 1000, SERVER6, 53, false));
	leaves("203.0.113.64", SERVER, 53);
	/* IPv6 to IPv6 by the other rule */
	policy_rule(&p, "all", TRUST, UNTRUST, "any", "2001:db8:99::/48", "any", RULE_PERMIT);
	world_load(&w, &p);
	scene_expect(DROP_NONE, scene_packet(IP_UDP, HOST, 1000, "2001:db8:99::9", 53, false));
	leaves("2001:db8:3::1", "2001:db8:99::9", 53);
}

#define T(f) cmocka_unit_test_setup_teardown(f, setup, scene_end)

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(test_there_and_back),
		T(test_many),
		T(test_policy),
		T(test_what_is_refused),
		T(test_errors_to_the_host),
		T(test_untranslatable),
		T(test_errors_to_the_server),
		T(test_commits_and_restarts),
		T(test_bindings),
		T(test_pool),
	};
	return cmocka_run_group_tests_name("firewall/nat64", tests, NULL, NULL);
}
