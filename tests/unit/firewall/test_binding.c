/*
 * Bindings of persistent NAT: one mapping for all destinations, how long it lives, what it survives, its limits;
 * and a million random events against a reference that knows nothing but a list.
 */
#include "scene.h"

#include <stdio.h>

#define TIMEOUT_S 120 /* of bindings */
#define UDP_S	  60  /* world.c */

static struct snap_nat_rule *nat;

static void setup_with(uint32_t sessions, uint16_t ports)
{
	nat = scene_persistent(sessions, NAT_FILTER_ADDRESS_AND_PORT_DEPENDENT, ports, TIMEOUT_S);
}

static int setup(void **state)
{
	(void)state;
	setup_with(WORLD_SESSIONS, 1000);
	return 0;
}

static uint32_t bindings(void)
{
	uint32_t cursor = 0, n = 0;

	while (fw_binding_next(w.fw, &cursor))
		n++;
	assert_int_equal(fw_counters(w.fw)->bindings_now, n);
	return n;
}

/* RFC 4787 REQ-1: the same for every destination; another one for another port, host and protocol. */
static void one_mapping(void **state)
{
	uint16_t port = scene_mapped("10.0.0.2", 1000, "198.51.100.1", 53);

	(void)state;
	assert_in_range(port, 50000, 50999);
	assert_int_equal(scene_mapped("10.0.0.2", 1000, "198.51.100.1", 54), port);
	assert_int_equal(scene_mapped("10.0.0.2", 1000, "198.51.100.2", 53), port);
	assert_int_not_equal(scene_mapped("10.0.0.2", 1001, "198.51.100.2", 53), port);
	assert_int_not_equal(scene_mapped("10.0.0.3", 1000, "198.51.100.2", 53), port);
	assert_int_equal(bindings(), 3);
	assert_int_equal(scene_send(IP_TCP, "10.0.0.2", 1000, "198.51.100.1", 80, TCP_SYN), DROP_NONE);
	uint16_t tcp = w.t.src_port;
	assert_int_equal(scene_send(IP_TCP, "10.0.0.2", 1000, "198.51.100.9", 80, TCP_SYN), DROP_NONE);
	assert_int_equal(w.t.src_port, tcp);
	assert_int_equal(bindings(), 4);
	/* answers of whom it has sent to, and of nobody else */
	assert_int_equal(scene_send(IP_UDP, "198.51.100.2", 53, "203.0.113.1", port, TCP_SYN), DROP_NONE);
	assert_int_equal(w.t.dst_port, 1000);
	assert_int_equal(
		scene_send(IP_UDP, "198.51.100.2", 99, "203.0.113.1", port, TCP_SYN), DROP_HOST_INBOUND);
	/* a session is one, whatever the table holds beside it */
	assert_int_equal(fw_counters(w.fw)->sessions_created, 7);
	assert_int_equal(fw_counters(w.fw)->sessions_now, 7 + 4);
}

static void port_is_kept(void **state)
{
	(void)state;
	assert_int_equal(scene_mapped("10.0.0.2", 50007, "198.51.100.1", 53), 50007);
	/* in use for every destination */
	assert_int_not_equal(scene_mapped("10.0.0.3", 50007, "198.51.100.2", 53), 50007);
}

/* RFC 4787 REQ-5: the timeout runs from the end of the last session. */
static void timeouts(void **state)
{
	uint16_t port = scene_mapped("10.0.0.2", 1000, "198.51.100.1", 53);
	uint32_t cursor = 0;

	(void)state;
	for (int i = 0; i < 10; i++) { /* a session keeps it */
		scene_seconds(UDP_S - 5);
		assert_int_equal(scene_mapped("10.0.0.2", 1000, "198.51.100.1", 53), port);
	}
	scene_seconds(UDP_S + 3); /* none is left */
	assert_null(fw_session_next(w.fw, &cursor));
	assert_int_equal(bindings(), 1);
	scene_seconds(TIMEOUT_S - 6);
	assert_int_equal(scene_mapped("10.0.0.2", 1000, "198.51.100.7", 53), port);
	scene_seconds(UDP_S + TIMEOUT_S + 5);
	assert_int_equal(bindings(), 0);
	assert_int_equal(fw_counters(w.fw)->sessions_now, 0);
}

static void restarts(void **state)
{
	uint16_t port = scene_mapped("10.0.0.2", 1000, "198.51.100.1", 53);
	uint32_t cursor = 0;

	(void)state;
	world_restart(&w);
	world_load(&w, &p);
	const struct fw_session *b = fw_binding_next(w.fw, &cursor);
	assert_non_null(b);
	assert_int_equal(b->nat_rule, 0);
	assert_int_equal(fw_binding_sessions(w.fw, cursor - 1), 1);
	assert_int_equal(scene_mapped("10.0.0.2", 1000, "198.51.100.2", 53), port);
	scene_seconds(UDP_S + 3);
	world_restart(&w); /* without a session */
	world_load(&w, &p);
	assert_int_equal(bindings(), 1);
	assert_int_equal(scene_mapped("10.0.0.2", 1000, "198.51.100.3", 53), port);
	scene_seconds(UDP_S + 3);
	world_restart(&w);
	scene_seconds(TIMEOUT_S + 3);
	assert_int_equal(bindings(), 1); /* nothing ends before there is a policy */
	world_load(&w, &p);
	scene_seconds(1);
	assert_int_equal(bindings(), 0);
	assert_int_equal(fw_counters(w.fw)->records_discarded, 0);
}

/* What a killed process may have left is examined. */
static void unsound_records(void **state)
{
	uint32_t cursor = 0;

	(void)state;
	for (int fault = 0; fault < 6; fault++) {
		scene_mapped("10.0.0.2", 1000, "198.51.100.1", 53);
		cursor = 0;
		struct fw_session *b = (struct fw_session *)(uintptr_t)fw_binding_next(w.fw, &cursor);
		assert_non_null(b);
		switch (fault) {
		case 0:
			b->key[0].kind = FW_KEY_PLAIN;
			break;
		case 1:
			b->key[1].src[0] = 1;
			break;
		case 2:
			b->key[0].proto = b->key[1].proto = IP_ICMP;
			break;
		case 3:
			b->timeout_s = 0;
			break;
		case 4:
			b->flags |= FW_SESSION_TRANSLATED;
			break;
		default:
			b->key[0].dst[9] = 1;
			break;
		}
		world_restart(&w);
		world_load(&w, &p);
		assert_int_equal(fw_counters(w.fw)->records_discarded, 1);
		assert_int_equal(bindings(), 0);
		scene_seconds(UDP_S + 3);
	}
}

static void limit_of_a_host(void **state)
{
	(void)state;
	nat->bindings_max = 3;
	world_load(&w, &p);
	for (uint16_t i = 0; i < 3; i++)
		scene_mapped("10.0.0.2", (uint16_t)(1000 + i), "198.51.100.1", 53);
	assert_int_equal(
		scene_send(IP_UDP, "10.0.0.2", 1003, "198.51.100.1", 53, TCP_SYN), DROP_NAT_BINDING_LIMIT);
	scene_mapped("10.0.0.2", 1002, "198.51.100.2", 53);
	scene_mapped("10.0.0.3", 1003, "198.51.100.1", 53);
	world_restart(&w);
	world_load(&w, &p);
	assert_int_equal(
		scene_send(IP_UDP, "10.0.0.2", 1003, "198.51.100.1", 53, TCP_SYN), DROP_NAT_BINDING_LIMIT);
	scene_seconds(UDP_S + TIMEOUT_S + 5);
	scene_mapped("10.0.0.2", 1003, "198.51.100.1", 53);
}

/* In a full table what is idle gives way; a binding in use stays as long as its session. */
static void full_table(void **state)
{
	(void)state;
	for (uint32_t i = 0; i < 500; i++) {
		char host[16];
		snprintf(host, sizeof host, "10.0.%u.2", i % 250);
		uint16_t port = scene_mapped(host, (uint16_t)(1000 + i), "198.51.100.1", 53);
		assert_int_equal(scene_mapped(host, (uint16_t)(1000 + i), "198.51.100.2", 53), port);
		assert_in_range(fw_counters(w.fw)->sessions_now, 3, WORLD_SESSIONS);
	}
	scene_seconds(UDP_S + TIMEOUT_S + 5);
	assert_int_equal(fw_counters(w.fw)->sessions_now, 0);
	p.sessions_max = 1024;
}

/* All ports are bound: an idle binding gives way where its source has most of them, or by age. */
static void ports_exhausted(void **state)
{
	(void)state;
	p.nat_port_last = 50003;
	world_load(&w, &p);
	for (uint16_t i = 0; i < 4; i++)
		scene_mapped("10.0.0.2", (uint16_t)(1000 + i), "198.51.100.1", 53);
	assert_int_equal(scene_send(IP_UDP, "10.0.0.3", 1, "198.51.100.1", 53, TCP_SYN), DROP_NAT_EXHAUSTED);
	scene_seconds(UDP_S + 3); /* idle now */
	scene_mapped("10.0.0.3", 1, "198.51.100.1", 53);
	assert_int_equal(bindings(), 4);
}

static void new_policies(void **state)
{
	uint16_t port = scene_mapped("10.0.0.2", 1000, "198.51.100.1", 53);
	uint32_t cursor = 0;

	(void)state;
	nat->filtering = NAT_NOT_PERSISTENT;
	nat->binding_timeout_s = nat->bindings_max = 0;
	world_load(&w, &p);
	assert_int_equal(bindings(), 1); /* in use */
	assert_int_equal(fw_binding_next(w.fw, &cursor)->nat_rule, TRAIN_NONE);
	assert_int_equal(scene_mapped("10.0.0.2", 1000, "198.51.100.1", 53), port);
	scene_seconds(UDP_S + 3);
	world_load(&w, &p);
	assert_int_equal(bindings(), 0);
}

/* A rule without persistent-nat does not use a port that is bound. */
static void beside_others(void **state)
{
	(void)state;
	nat->src = policy_ranges(&p, "10.0.0.0/16");
	policy_nat(&p, "rest", TRUST, UNTRUST, "any", "any", NAT_INTERFACE, NULL);
	world_load(&w, &p);
	assert_int_equal(scene_mapped("10.0.0.2", 50001, "198.51.100.1", 53), 50001);
	assert_int_not_equal(scene_mapped("10.9.0.2", 50001, "198.51.100.2", 53), 50001);
	assert_int_equal(bindings(), 1);
}

/* RFC 4787 REQ-2: all ports of a host are of one address. */
static void paired(void **state)
{
	struct ip_addr first = { 0 };

	(void)state;
	nat->action = NAT_POOL;
	nat->pool = (struct ip_range){ 0 };
	policy_done(&p);
	policy_init(&p);
	p.nat_port_first = 50000;
	p.nat_port_last = 50001;
	policy_rule(&p, "out", TRUST, UNTRUST, "any", "any", "any", RULE_PERMIT);
	nat = policy_nat(&p, "pool", TRUST, UNTRUST, "any", "any", NAT_POOL, "203.0.113.16-203.0.113.31");
	nat->filtering = NAT_FILTER_ADDRESS_AND_PORT_DEPENDENT;
	nat->binding_timeout_s = TIMEOUT_S;
	nat->bindings_max = 100;
	world_load(&w, &p);
	for (uint16_t i = 0; i < 2; i++) {
		scene_mapped("10.0.0.2", (uint16_t)(1000 + i), "198.51.100.1", 53);
		if (i == 0)
			first = w.t.src;
		assert_true(addr_equal(&first, &w.t.src));
	}
	assert_int_equal(
		scene_send(IP_UDP, "10.0.0.2", 1002, "198.51.100.1", 53, TCP_SYN), DROP_NAT_EXHAUSTED);
}

/* ---- the reference ---- */

#define HOSTS	8
#define PORTS	6
#define REMOTES 12

struct endpoint_ref {
	uint16_t port; /* 0: none that must hold */
	mono_ns last;  /* packet of any of its sessions */
};

static struct endpoint_ref ref[HOSTS][PORTS];

static void must_not_share(uint32_t host, uint32_t port, uint16_t got)
{
	for (uint32_t h = 0; h < HOSTS; h++)
		for (uint32_t q = 0; q < PORTS; q++)
			if ((h != host || q != port) && ref[h][q].port == got &&
				w.now <= ref[h][q].last + (UDP_S + TIMEOUT_S) * NS_PER_S)
				fail_msg("two live endpoints have port %u", got);
}

static void event(uint32_t r)
{
	uint32_t host = r % HOSTS, port = r / HOSTS % PORTS, remote = r / HOSTS / PORTS % REMOTES;
	struct endpoint_ref *e = &ref[host][port];
	char src[16], dst[16];

	snprintf(src, sizeof src, "10.0.%u.2", host);
	snprintf(dst, sizeof dst, "198.51.100.%u", 1 + remote);
	uint16_t got = scene_mapped(src, (uint16_t)(1000 + port), dst, 53);
	mono_ns idle = w.now - e->last;
	if (e->port && idle <= (UDP_S + TIMEOUT_S) * NS_PER_S)
		assert_int_equal(got, e->port);
	must_not_share(host, port, got);
	*e = (struct endpoint_ref){ got, w.now };
	if (r >> 20 & 1) { /* it answers */
		assert_int_equal(scene_send(IP_UDP, dst, 53, "203.0.113.1", got, TCP_SYN), DROP_NONE);
		assert_int_equal(w.t.dst_port, 1000 + port);
		assert_int_equal(w.t.dst.b[2], host);
	}
}

static void random_events(void **state)
{
	uint64_t x = 88172645463325252ull;

	(void)state;
	scene_end(NULL);
	setup_with(4096, 64);
	memset(ref, 0, sizeof ref);
	for (uint32_t i = 0; i < 1000000; i++) {
		x ^= x << 13;
		x ^= x >> 7;
		x ^= x << 17;
		event((uint32_t)(x >> 16));
		if (x % 64 == 0)
			scene_seconds(1 + (uint32_t)(x >> 50) % 30);
		if (x % 4096 == 1)
			scene_seconds(100 + (uint32_t)(x >> 50) % 200);
		if (x % 16384 == 2)
			world_restart(&w);
		if (x % 16384 == 2 || x % 8192 == 3)
			world_load(&w, &p);
	}
	assert_int_equal(fw_counters(w.fw)->records_discarded, 0);
	scene_seconds(UDP_S + TIMEOUT_S + 5);
	assert_int_equal(bindings(), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(one_mapping, setup, scene_end),
		cmocka_unit_test_setup_teardown(port_is_kept, setup, scene_end),
		cmocka_unit_test_setup_teardown(timeouts, setup, scene_end),
		cmocka_unit_test_setup_teardown(restarts, setup, scene_end),
		cmocka_unit_test_setup_teardown(unsound_records, setup, scene_end),
		cmocka_unit_test_setup_teardown(limit_of_a_host, setup, scene_end),
		cmocka_unit_test_setup_teardown(full_table, setup, scene_end),
		cmocka_unit_test_setup_teardown(ports_exhausted, setup, scene_end),
		cmocka_unit_test_setup_teardown(new_policies, setup, scene_end),
		cmocka_unit_test_setup_teardown(beside_others, setup, scene_end),
		cmocka_unit_test_setup_teardown(paired, setup, scene_end),
		cmocka_unit_test_setup_teardown(random_events, setup, scene_end),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
