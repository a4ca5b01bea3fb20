/*
 * Blocks of ports by host (RFC 7422): against the formula of configuration.md, written down a second time; a host cannot
 * use up another one's; a block that is full.
 */
#include "scene.h"

#include <stdio.h>

#define FIRST 50000
#define LAST  50999
#define SIZE  128
#define EACH  7 /* blocks of an address: 1,000 / 128 */

static struct snap_nat_rule *nat;

static int setup(void **state)
{
	(void)state;
	scene_begin(8192);
	policy_rule(&p, "out", TRUST, UNTRUST, "any", "any", "any", RULE_PERMIT);
	p.nat_port_first = FIRST;
	p.nat_port_last = LAST;
	nat = policy_nat(&p, "blocks", TRUST, UNTRUST, "any", "any", NAT_POOL, "203.0.113.16-203.0.113.18");
	nat->pool_more = policy_ranges(&p, "203.0.113.32-203.0.113.34");
	nat->base = p.ranges[policy_ranges(&p, "10.0.0.0/27").first];
	nat->block_size = SIZE;
	world_load(&w, &p);
	return 0;
}

static enum drop_reason from_host(
	uint32_t host, uint8_t proto, uint16_t src_port, const char *dst, uint16_t dst_port)
{
	char src[16];

	snprintf(src, sizeof src, "10.0.0.%u", host);
	return world_send(&w, &(struct packet_spec){ .src = src,
				      .dst = dst,
				      .proto = proto,
				      .src_port = src_port,
				      .dst_port = dst_port,
				      .flags = TCP_SYN,
				      .seq = 9 });
}

/* Host n has block n modulo B of address n divided by B. */
static void is_in_its_block(uint32_t host)
{
	static const char *const pool[] = { "203.0.113.16", "203.0.113.17", "203.0.113.18", "203.0.113.32",
		"203.0.113.33", "203.0.113.34" };
	uint32_t first = FIRST + host % EACH * SIZE;
	char text[ADDR_TEXT_MAX];

	assert_string_equal(addr_text(text, &w.t.src), pool[host / EACH]);
	assert_in_range(w.t.src_port, first, first + SIZE - 1);
}

static void random_hosts(void **state)
{
	uint64_t x = 88172645463325252ull;

	(void)state;
	for (uint32_t i = 0; i < 100000; i++) {
		x ^= x << 13;
		x ^= x >> 7;
		x ^= x << 17;
		uint32_t host = (uint32_t)(x >> 20) % 32;
		char dst[16];
		snprintf(dst, sizeof dst, "198.51.100.%u", 1 + (uint32_t)(x >> 30) % 200);
		enum drop_reason d = from_host(host, x & 1 ? IP_UDP : IP_TCP,
			(uint16_t)(1024 + (x >> 40) % 60000), dst, (uint16_t)(1 + (x >> 8) % 9));
		if (d == DROP_NAT_EXHAUSTED)
			continue;
		assert_int_equal(d, DROP_NONE);
		is_in_its_block(host);
		if (x % 997 == 0)
			world_restart(&w);
		if (x % 997 == 0 || x % 499 == 1)
			world_load(&w, &p);
		w.now += NS_PER_S / 16;
		fw_expire(w.fw, w.now, 1000);
	}
}

/* All its ports in use for a destination: it is refused, and nobody else is, nor other destinations. */
static void full(void **state)
{
	struct fw_log l;
	uint32_t lines = 0;

	(void)state;
	for (uint32_t i = 0; i < SIZE; i++)
		assert_int_equal(from_host(3, IP_UDP, (uint16_t)(2000 + i), "198.51.100.1", 53), DROP_NONE);
	for (uint32_t i = 0; i < 50; i++)
		assert_int_equal(
			from_host(3, IP_UDP, (uint16_t)(5000 + i), "198.51.100.1", 53), DROP_NAT_EXHAUSTED);
	assert_int_equal(from_host(3, IP_UDP, 9000, "198.51.100.2", 53), DROP_NONE);
	assert_int_equal(from_host(4, IP_UDP, 9000, "198.51.100.1", 53), DROP_NONE);
	is_in_its_block(4);
	assert_int_equal(fw_nat_rule_hits(w.fw, 0)->exhausted, 50);
	while (fw_log_next(w.fw, &l))
		lines += l.kind == FW_LOG_EXHAUSTED;
	assert_int_equal(lines, 1);
}

static void others(void **state)
{
	(void)state;
	assert_int_equal(from_host(32, IP_UDP, 1000, "198.51.100.1", 53), DROP_NAT_NO_ADDRESS);
	assert_int_equal(from_host(5, IP_ICMP, 7, "198.51.100.1", 0), DROP_NO_SESSION); /* no query */
	/* with bindings, too */
	nat->filtering = NAT_FILTER_ENDPOINT_INDEPENDENT;
	nat->binding_timeout_s = 125;
	nat->bindings_max = 1000;
	world_load(&w, &p);
	for (uint32_t i = 0; i < SIZE; i++) {
		assert_int_equal(from_host(9, IP_UDP, (uint16_t)(2000 + i), "198.51.100.1", 53), DROP_NONE);
		is_in_its_block(9);
	}
	assert_int_equal(from_host(9, IP_UDP, 1000, "198.51.100.2", 53), DROP_NAT_EXHAUSTED);
	assert_int_equal(from_host(10, IP_UDP, 1000, "198.51.100.2", 53), DROP_NONE);
	is_in_its_block(10);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(random_hosts, setup, scene_end),
		cmocka_unit_test_setup_teardown(full, setup, scene_end),
		cmocka_unit_test_setup_teardown(others, setup, scene_end),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
