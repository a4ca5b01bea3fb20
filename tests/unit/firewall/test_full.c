/*
 * A full session table: a stranger's UDP that nobody answers fills it, and gives way to whoever comes, in
 * place of honest handshakes.
 */
#include "world.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

static struct world w;

static int setup(void **state)
{
	struct policy p;

	world_init(&w, WORLD_SESSIONS);
	policy_init(&p);
	policy_rule(&p, "dns", UNTRUST, DMZ, "any", "any", "udp/53", RULE_PERMIT);
	policy_rule(&p, "web", TRUST, UNTRUST, "any", "any", "tcp/80", RULE_PERMIT);
	world_load(&w, &p);
	policy_done(&p);
	return 0;
}

static int teardown(void **state)
{
	world_done(&w);
	return 0;
}

static enum drop_reason query(uint16_t port)
{
	return world_send(&w, &(struct packet_spec){ .src = "198.51.100.66",
				      .dst = "192.168.0.53",
				      .proto = IP_UDP,
				      .src_port = port,
				      .dst_port = 53,
				      .payload_n = 20 });
}

static enum drop_reason web(uint8_t flags, bool answer)
{
	return world_send(&w, &(struct packet_spec){ .src = answer ? "203.0.113.80" : "10.0.0.7",
				      .dst = answer ? "10.0.0.7" : "203.0.113.80",
				      .proto = IP_TCP,
				      .src_port = answer ? 80 : 4000,
				      .dst_port = answer ? 4000 : 80,
				      .flags = flags,
				      .seq = answer ? 500 : 100,
				      .ack = answer ? 101 : 0 });
}

static void unanswered_gives_way(void **state)
{
	for (uint16_t i = 0; i < WORLD_SESSIONS; i++)
		assert_int_equal(query(1024 + i), DROP_NONE);
	assert_int_equal(fw_counters(w.fw)->sessions_now, WORLD_SESSIONS);
	assert_int_equal(web(TCP_SYN, false), DROP_NONE);
	/* The flood goes on before the answer comes: the handshake is not what gives way. */
	for (uint16_t i = 0; i < 3 * WORLD_SESSIONS; i++)
		assert_int_equal(query(5000 + i), DROP_NONE);
	assert_int_equal(web(TCP_SYN | TCP_ACK, true), DROP_NONE);
	assert_true(fw_counters(w.fw)->sessions_now <= WORLD_SESSIONS);
}

int main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test_setup_teardown(
		unanswered_gives_way, setup, teardown) };

	return cmocka_run_group_tests(tests, NULL, NULL);
}
