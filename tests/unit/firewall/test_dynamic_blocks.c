/*
 * Dynamic blocks of ports by host. What stands in the log alone says who has each translated address and port: that is the
 * reference, kept here by the records as they come, and compared with every packet that leaves. So a block that is given
 * to two hosts, a port outside of a block, a record that is missing and a block that is not returned are all found.
 */
#include "base/icmp.h"
#include "world.h"

#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>

#define FIRST	50000
#define LAST	50999
#define SIZE	64u
#define EACH	14u /* blocks of an address: 50048 to 50943 */
#define MAX	3u
#define RECYCLE 30u

static struct world w;
static struct policy p;
static struct snap_nat_rule *nat;

/* By the log: whose each port of a pool's address is, by its last octet; 0: nobody's. */
static uint32_t owner[256][65536 / 64];
static uint32_t blocks_of[1 << 16], taken, given, lost;

static void log_read(void)
{
	struct fw_log l;

	while (fw_log_next(w.fw, &l)) {
		lost += l.kind == FW_LOG_BLOCKS_LOST;
		if (l.kind != FW_LOG_BLOCK_TAKEN && l.kind != FW_LOG_BLOCK_GIVEN)
			continue;
		bool is_taken = l.kind == FW_LOG_BLOCK_TAKEN;
		uint32_t host = load_be32(l.key[0].src), octet = l.key[1].dst[3];
		assert_int_equal(l.nat_first % 64, 0);
		for (uint32_t port = l.nat_first; port <= l.nat_last; port += 64) {
			assert_int_equal(owner[octet][port / 64], is_taken ? 0 : host);
			owner[octet][port / 64] = is_taken ? host : 0;
		}
		blocks_of[host & 0xffff] += is_taken ? 1u : UINT32_MAX;
		taken += is_taken;
		given += !is_taken;
	}
}

static int setup(void **state)
{
	(void)state;
	memset(owner, 0, sizeof owner);
	memset(blocks_of, 0, sizeof blocks_of);
	taken = given = lost = 0;
	world_init(&w, 8192);
	policy_init(&p);
	policy_rule(&p, "out", TRUST, UNTRUST, "any", "any", "any", RULE_PERMIT);
	p.nat_port_first = FIRST;
	p.nat_port_last = LAST;
	nat = policy_nat(&p, "blocks", TRUST, UNTRUST, "any", "any", NAT_POOL, "203.0.113.16-203.0.113.18");
	nat->port_first = FIRST;
	nat->port_last = LAST;
	nat->block_size = SIZE;
	nat->blocks_max = MAX;
	nat->block_recycle_s = RECYCLE;
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

static enum drop_reason from_host(
	uint32_t host, uint8_t proto, uint16_t src_port, const char *dst, uint16_t dst_port)
{
	char src[32];

	snprintf(src, sizeof src, "10.0.%u.%u", host >> 8, host & 0xff);
	enum drop_reason d = world_send(&w, &(struct packet_spec){ .src = src,
						    .dst = dst,
						    .proto = proto,
						    .src_port = src_port,
						    .dst_port = dst_port,
						    .flags = TCP_SYN,
						    .seq = 9,
						    .icmp_type = ICMP4_ECHO });
	log_read();
	return d;
}

static uint32_t address_of(uint32_t host)
{
	return 10u << 24 | host;
}

/* The packet that left: by the log it is the host's. */
static void is_logged_as(uint32_t host)
{
	assert_int_equal(load_be32(w.t.src.b) & 0xffffff00, 203u << 24 | 113 << 8);
	assert_int_equal(owner[w.t.src.b[3]][w.t.src_port / 64], address_of(host));
}

/* ---- the simple cases ---- */

static void one_host(void **state)
{
	(void)state;
	assert_int_equal(from_host(3, IP_UDP, 2000, "198.51.100.1", 53), DROP_NONE);
	is_logged_as(3);
	uint8_t octet = w.t.src.b[3];
	assert_int_equal(taken, 1);
	for (uint32_t i = 1; i < SIZE * MAX; i++) {
		assert_int_equal(from_host(3, IP_UDP, (uint16_t)(2000 + i), "198.51.100.1", 53), DROP_NONE);
		is_logged_as(3);
		assert_int_equal(w.t.src.b[3], octet); /* RFC 4787 REQ-2 */
		assert_int_equal(taken, i / SIZE + 1);
	}
	assert_int_equal(fw_nat_rule_blocks(w.fw, 0), MAX);
	for (uint32_t i = 0; i < 20; i++)
		assert_int_equal(
			from_host(3, IP_UDP, (uint16_t)(5000 + i), "198.51.100.1", 53), DROP_NAT_BLOCK_LIMIT);
	assert_int_equal(fw_nat_rule_hits(w.fw, 0)->exhausted, 0);
	/* other destinations by the same ports, and other hosts by others */
	assert_int_equal(from_host(3, IP_UDP, 5000, "198.51.100.2", 53), DROP_NONE);
	assert_int_equal(from_host(3, IP_ICMP, 77, "198.51.100.1", 0), DROP_NONE);
	is_logged_as(3);
	assert_int_equal(from_host(4, IP_UDP, 5000, "198.51.100.1", 53), DROP_NONE);
	is_logged_as(4);
	assert_int_equal(taken, MAX + 1);
}

/* UDP that is not answered ends, then the time of its block. */
static void they_come_back(void **state)
{
	(void)state;
	one_host(NULL);
	assert_int_equal(given, 0);
	w.now += 400 * NS_PER_S; /* sessions */
	while (fw_expire(w.fw, w.now, 100000) <= w.now)
		;
	log_read();
	assert_int_equal(fw_counters(w.fw)->blocks_now, MAX + 1);
	w.now += (RECYCLE - 5) * NS_PER_S;
	fw_expire(w.fw, w.now, 100000);
	assert_int_equal(fw_counters(w.fw)->blocks_now, MAX + 1);
	for (uint32_t i = 0; i < 3; i++) { /* the first block waits for the others */
		w.now += (RECYCLE + 5) * NS_PER_S;
		fw_expire(w.fw, w.now, 100000);
	}
	log_read();
	assert_int_equal(given, MAX + 1);
	assert_int_equal(fw_counters(w.fw)->blocks_now, 0);
	assert_int_equal(fw_counters(w.fw)->sessions_now, 0);
	assert_int_equal(fw_nat_rule_blocks(w.fw, 0), 0);
	assert_int_equal(from_host(3, IP_UDP, 2000, "198.51.100.1", 53), DROP_NONE);
}

static void the_pool_is_used_up(void **state)
{
	uint32_t exhausted = 0;

	(void)state;
	for (uint32_t host = 1; host <= 3 * EACH; host++) {
		assert_int_equal(from_host(host, IP_TCP, 1000, "198.51.100.1", 80), DROP_NONE);
		is_logged_as(host);
	}
	for (uint32_t host = 100; host < 120; host++)
		exhausted += from_host(host, IP_TCP, 1000, "198.51.100.1", 80) == DROP_NAT_EXHAUSTED;
	assert_int_equal(exhausted, 20);
	assert_int_equal(fw_nat_rule_hits(w.fw, 0)->exhausted, 20);
	assert_int_equal(from_host(1, IP_TCP, 1001, "198.51.100.1", 80), DROP_NONE);
}

static void a_new_one_in_time(void **state)
{
	(void)state;
	nat->block_active_s = 60;
	world_load(&w, &p);
	assert_int_equal(from_host(3, IP_TCP, 2000, "198.51.100.1", 80), DROP_NONE);
	uint32_t first = w.t.src_port / 64;
	w.now += 59 * NS_PER_S;
	assert_int_equal(from_host(3, IP_TCP, 2001, "198.51.100.1", 80), DROP_NONE);
	assert_int_equal(w.t.src_port / 64, first);
	for (uint32_t i = 1; i < 6; i++) {
		w.now += 61 * NS_PER_S;
		for (uint32_t k = 0; k < 3; k++) /* that they stay */
			from_host(3, IP_UDP, (uint16_t)(7000 + 10 * i + k), "198.51.100.1", 53);
		is_logged_as(3);
		assert_int_equal(taken, i < MAX ? i + 1 : MAX);
	}
}

static void bindings(void **state)
{
	(void)state;
	nat->filtering = NAT_FILTER_ENDPOINT_INDEPENDENT;
	nat->binding_timeout_s = 125;
	nat->bindings_max = 1000;
	world_load(&w, &p);
	for (uint32_t i = 0; i < SIZE * MAX; i++) {
		assert_int_equal(from_host(9, IP_UDP, (uint16_t)(2000 + i), "198.51.100.1", 53), DROP_NONE);
		is_logged_as(9);
	}
	/* each port is one binding's, for all destinations */
	assert_int_equal(from_host(9, IP_UDP, 1000, "198.51.100.2", 53), DROP_NAT_BLOCK_LIMIT);
	assert_int_equal(from_host(9, IP_UDP, 2000, "198.51.100.2", 53), DROP_NONE);
	for (uint32_t i = 0; i < 8; i++) {
		w.now += 100 * NS_PER_S;
		while (fw_expire(w.fw, w.now, 100000) <= w.now)
			;
		log_read();
	}
	assert_int_equal(fw_counters(w.fw)->sessions_now, 0);
	assert_int_equal(given, taken);
}

/* GRE has no port: the address is the host's, and one other inside host may use the peer at another address. */
static void without_ports(void **state)
{
	(void)state;
	assert_int_equal(from_host(3, IP_UDP, 2000, "198.51.100.1", 53), DROP_NONE);
	uint8_t octet = w.t.src.b[3];
	assert_int_equal(from_host(3, IP_GRE, 0, "198.51.100.1", 0), DROP_NONE);
	assert_int_equal(w.t.src.b[3], octet);
	assert_int_equal(taken, 1);
	assert_int_equal(from_host(4, IP_GRE, 0, "198.51.100.9", 0), DROP_NONE);
	assert_int_equal(taken, 2);
}

/* ---- the log that takes no more ---- */

static void many_addresses(void)
{
	struct span all = policy_ranges(&p, "203.0.113.16-203.0.113.240");

	nat->pool = p.ranges[all.first];
}

static void nothing_is_unlogged(void **state)
{
	uint32_t refused = 0, n = 0;
	struct fw_log l;

	(void)state;
	nat->block_recycle_s = 1;
	many_addresses();
	world_load(&w, &p);
	for (uint32_t host = 1; host < 2000; host++) {
		char src[32];
		snprintf(src, sizeof src, "10.0.%u.%u", host >> 8, host & 0xff);
		enum drop_reason d = world_send(&w, &(struct packet_spec){ .src = src,
							    .dst = "198.51.100.1",
							    .proto = IP_UDP,
							    .src_port = 1,
							    .dst_port = 2 });
		assert_true(d == DROP_NONE || d == DROP_NAT_BLOCK_UNLOGGED);
		refused += d == DROP_NAT_BLOCK_UNLOGGED;
	}
	assert_in_range(refused, 900, 1100);
	uint64_t blocks = fw_counters(w.fw)->blocks_now;
	/* Nor do they end unsaid, while the shell takes no records. */
	w.now += 1000 * NS_PER_S;
	for (uint32_t i = 0; i < 10; i++) {
		w.now += 2 * NS_PER_S;
		while (fw_expire(w.fw, w.now, 100000) <= w.now)
			;
	}
	assert_int_equal(fw_counters(w.fw)->blocks_now, blocks);
	for (uint32_t i = 0; i < 10; i++) {
		log_read();
		w.now += 2 * NS_PER_S;
		while (fw_expire(w.fw, w.now, 100000) <= w.now)
			;
	}
	assert_int_equal(fw_counters(w.fw)->blocks_now, 0);
	assert_int_equal(taken, blocks);
	log_read();
	assert_int_equal(given, blocks);
	assert_int_equal(fw_counters(w.fw)->block_records_lost, 0);
	while (fw_log_next(w.fw, &l))
		n++;
	assert_int_equal(n, 0);
}

/* A commit without the rule ends what nobody uses: what finds no room is counted, and said. */
static void lost_records(void **state)
{
	(void)state;
	many_addresses();
	nat->block_recycle_s = 3000;
	world_load(&w, &p);
	for (uint32_t host = 1; host <= 1500; host++)
		assert_int_equal(from_host(host, IP_UDP, 1, "198.51.100.1", 2), DROP_NONE);
	w.now += 1000 * NS_PER_S;
	while (fw_expire(w.fw, w.now, 100000) <= w.now)
		;
	nat->block_size = 128;
	world_load(&w, &p);
	assert_int_equal(fw_counters(w.fw)->blocks_now, 0);
	uint64_t n = fw_counters(w.fw)->block_records_lost;
	assert_in_range(n, 400, 600);
	log_read();
	assert_int_equal(given, 1500 - n);
	memset(owner, 0, sizeof owner); /* what was lost is not known */
	assert_int_equal(from_host(1, IP_UDP, 1, "198.51.100.1", 2), DROP_NONE);
	assert_int_equal(lost, 1);
}

/* ---- against the log ---- */

static uint64_t x = 88172645463325252ull;

static uint32_t draw(uint32_t n)
{
	x ^= x << 13;
	x ^= x >> 7;
	x ^= x << 17;
	return (uint32_t)(x >> 20) % n;
}

/* Another pool, another size, other ports, and back. */
static void change(void)
{
	static const uint32_t sizes[] = { 64, 128, 192, 64 };
	uint32_t n = draw(4);

	nat->block_size = sizes[n];
	nat->port_first = (uint16_t)(n == 3 ? FIRST + 200 : FIRST);
	nat->blocks_max = 1 + draw(5);
	nat->block_active_s = draw(3) * 20;
	nat->block_recycle_s = 1 + draw(40);
	nat->filtering = draw(2) ? NAT_NOT_PERSISTENT : NAT_FILTER_ENDPOINT_INDEPENDENT;
	nat->binding_timeout_s = nat->filtering ? 120 : 0;
	nat->bindings_max = nat->filtering ? 1000 : 0;
	if (draw(2))
		world_commit(&w, &p);
	else
		world_load(&w, &p);
}

static uint32_t results[DROP_COUNT];

static void step(uint32_t i)
{
	static const uint8_t protos[] = { IP_UDP, IP_TCP, IP_ICMP, IP_UDP };
	uint32_t host = draw(2) ? 1 + draw(2) : 1 + draw(40);
	uint8_t proto = protos[draw(4)];
	char dst[16];

	snprintf(dst, sizeof dst, "198.51.100.%u", 1 + draw(2));
	enum drop_reason d = from_host(host, proto, (uint16_t)(1024 + draw(600)), dst,
		proto == IP_ICMP ? 0 : (uint16_t)(1 + draw(2)));
	results[d]++;
	assert_true(d == DROP_NONE || d == DROP_NAT_EXHAUSTED || d == DROP_NAT_BLOCK_LIMIT ||
		    d == DROP_TCP_STATE || d == DROP_SESSION_LIMIT || d == DROP_SESSION_COLLISION);
	/* Of an earlier configuration's sessions, too: their blocks stay while they do. */
	if (d == DROP_NONE)
		is_logged_as(host);
	if (draw(400) == 0)
		change();
	if (draw(900) == 0) {
		world_dies(&w);
		world_commit(&w, &p);
	}
	if (i % 7 == 0)
		fw_sweep(w.fw, w.now, 1 + draw(200));
	w.now += draw(300) == 0 ? draw(60) * NS_PER_S : NS_PER_S / 20;
	fw_expire(w.fw, w.now, 1000);
	log_read();
}

static void against_the_log(void **state)
{
	uint32_t sum = 0;

	(void)state;
	struct span all = policy_ranges(&p, "203.0.113.16-203.0.113.21");
	nat->pool = p.ranges[all.first];
	world_load(&w, &p);
	for (uint32_t i = 0; i < 100000; i++) {
		step(i);
		if (i % 5000 != 0)
			continue;
		while (!fw_sweep(w.fw, w.now, 1000))
			;
		log_read();
		sum = 0;
		for (uint32_t k = 0; k < COUNT_OF(blocks_of); k++)
			sum += blocks_of[k];
		assert_int_equal(sum, fw_counters(w.fw)->blocks_now);
	}
	assert_int_equal(fw_counters(w.fw)->block_records_lost, 0);
	assert_true(taken > 1000 && given > 1000 && results[DROP_NAT_EXHAUSTED] > 100 &&
		    results[DROP_NAT_BLOCK_LIMIT] > 100);
	while (!fw_sweep(w.fw, w.now, 1000))
		;
	w.now += 100000 * NS_PER_S;
	for (uint32_t i = 0; i < 20; i++) {
		while (fw_expire(w.fw, w.now, 1000) <= w.now)
			log_read();
		w.now += 100 * NS_PER_S;
	}
	log_read();
	assert_int_equal(taken, given);
	for (uint32_t i = 0; i < 256; i++)
		for (uint32_t k = 0; k < COUNT_OF(owner[0]); k++)
			assert_int_equal(owner[i][k], 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(one_host, setup, teardown),
		cmocka_unit_test_setup_teardown(they_come_back, setup, teardown),
		cmocka_unit_test_setup_teardown(the_pool_is_used_up, setup, teardown),
		cmocka_unit_test_setup_teardown(a_new_one_in_time, setup, teardown),
		cmocka_unit_test_setup_teardown(bindings, setup, teardown),
		cmocka_unit_test_setup_teardown(without_ports, setup, teardown),
		cmocka_unit_test_setup_teardown(nothing_is_unlogged, setup, teardown),
		cmocka_unit_test_setup_teardown(lost_records, setup, teardown),
		cmocka_unit_test_setup_teardown(against_the_log, setup, teardown),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
