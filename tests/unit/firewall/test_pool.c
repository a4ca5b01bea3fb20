/*
 * Pools of source NAT that have several ranges, against a list of their addresses; and what is said when they have no free
 * address and port.
 */
#include "firewall/limits.h"
#include "scene.h"

#include <stdio.h>

#define OUTSIDE "198.51.100.9"

static int setup(void **state)
{
	(void)state;
	scene_begin(WORLD_SESSIONS);
	policy_rule(&p, "out", TRUST, UNTRUST, "any", "any", "any", RULE_PERMIT);
	policy_nat(&p, "pool", TRUST, UNTRUST, "10.0.8.0/24", "any", NAT_POOL, "203.0.113.16-203.0.113.31");
	policy_nat(&p, "all", TRUST, UNTRUST, "any", "any", NAT_INTERFACE, NULL);
	return 0;
}

static struct packet_spec udp(const char *src, uint16_t src_port, const char *dst, uint16_t dst_port)
{
	return scene_packet(IP_UDP, src, src_port, dst, dst_port, false);
}

static uint32_t listed(const char *const *list, uint32_t n, const struct ip_addr *a)
{
	char text[ADDR_TEXT_MAX];

	addr_text(text, a);
	for (uint32_t i = 0; i < n; i++)
		if (strcmp(list[i], text) == 0)
			return i;
	fail_msg("%s is not of the pool", text);
	return n;
}

/* A pool of several ranges is one list of addresses. */
static void several_ranges(void **state)
{
	static const char *const list[] = { "203.0.113.16", "203.0.113.17", "203.0.113.18", "203.0.113.99",
		"203.0.113.50", "203.0.113.51", "203.0.113.52", "203.0.113.53" };
	uint32_t used[COUNT_OF(list)] = { 0 };
	char src[ADDR_TEXT_MAX];

	(void)state;
	p.nat_rules[0].pool.last.b[3] = 18;
	p.nat_rules[0].pool_more = policy_ranges(&p, "203.0.113.99/32 203.0.113.50-203.0.113.53");
	world_load(&w, &p);
	for (int host = 1; host < 200; host++) {
		struct ip_addr first = { 0 };
		snprintf(src, sizeof src, "10.0.8.%d", host);
		for (uint16_t port = 1; port < 4; port++) {
			struct packet_spec s = udp(src, port, OUTSIDE, 53);
			scene_expect(DROP_NONE, s);
			used[listed(list, COUNT_OF(list), &w.t.src)]++;
			first = port == 1 ? w.t.src : first;
			assert_true(addr_equal(&first, &w.t.src));
		}
	}
	for (uint32_t i = 0; i < COUNT_OF(list); i++)
		assert_in_range(used[i], 3 * 5, 3 * 70);
	p.nat_port_first = p.nat_port_last =
		50000; /* the next address of the list gives a port, across ranges */
	for (int host = 1; host < 100; host++) {
		uint32_t at = 0;
		world_done(&w);
		world_init(&w, WORLD_SESSIONS);
		world_load(&w, &p);
		snprintf(src, sizeof src, "10.0.8.%d", host);
		for (uint16_t port = 1; port <= FW_NAT_POOL_ADDRESSES; port++) {
			struct packet_spec s = udp(src, port, OUTSIDE, 53);
			scene_expect(DROP_NONE, s);
			uint32_t is = listed(list, COUNT_OF(list), &w.t.src);
			if (port > 1)
				assert_int_equal(is, (at + 1) % COUNT_OF(list));
			at = is;
		}
		struct packet_spec s = udp(src, 9, OUTSIDE, 53);
		scene_expect(DROP_NAT_EXHAUSTED, s);
	}
}

/* The log names the rule and its pool, without `log`, seldom; the policy's rule is not blamed. */
static void exhaustion_is_logged(void **state)
{
	struct packet_spec s = udp("10.0.8.2", 1, OUTSIDE, 53);
	struct fw_log l;
	char text[FW_EXPLAIN_MAX];

	(void)state;
	p.nat_port_first = p.nat_port_last = 50000;
	p.nat_rules[0].pool.last = p.nat_rules[0].pool.first;
	p.nat_rules[0].pool_more = policy_ranges(&p, "203.0.113.99/32");
	world_load(&w, &p);
	for (uint16_t i = 0; i < 2; i++, s.src_port++)
		scene_expect(DROP_NONE, s);
	assert_false(fw_log_next(w.fw, &l));
	for (uint32_t i = 0; i < 1000; i++) {
		s.src_port++;
		scene_expect(DROP_NAT_EXHAUSTED, s);
		w.now += NS_PER_S / 50;
	}
	assert_non_null(strstr(fw_explain(w.fw, &w.t, text), "source NAT rule pool has no free address"));
	assert_int_equal(fw_nat_rule_hits(w.fw, 0)->exhausted, 1000);
	assert_int_equal(fw_nat_rule_hits(w.fw, 1)->exhausted, 0);
	assert_int_equal(fw_nat_rule_hits(w.fw, 0)->hits, 2);
	for (uint32_t i = 0; i < 2; i++) { /* in twenty seconds */
		assert_true(fw_log_next(w.fw, &l));
		assert_int_equal(l.kind, FW_LOG_EXHAUSTED);
		assert_string_equal(l.nat_rule_name, "pool");
		assert_string_equal(l.rule_name, "");
		assert_int_equal(l.nat_pool.first.b[3], 16);
		assert_int_equal(l.nat_pools_more, 1);
		assert_int_equal(l.suppressed, i == 0 ? 1 : 500);
	}
	assert_false(fw_log_next(w.fw, &l));
	world_load(&w, &p);
	assert_int_equal(fw_nat_rule_hits(w.fw, 0)->exhausted, 1000);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(several_ranges, setup, scene_end),
		cmocka_unit_test_setup_teardown(exhaustion_is_logged, setup, scene_end),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
