/*
 * Session limits of rules, zones, sources and destinations, alone and against an oracle that counts the
 * sessions that there are.
 */
#include "base/addr.h"
#include "world.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <cmocka.h>

static struct world w;
static struct policy p;

static int setup(void **state)
{
	(void)state;
	world_init(&w, 4096);
	policy_init(&p);
	p.sessions_max = 4096;
	policy_rule(&p, "dns", TRUST, UNTRUST, "any", "any", "udp/53", RULE_PERMIT);
	policy_rule(&p, "rest", TRUST, UNTRUST, "any", "any", "any", RULE_PERMIT);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	world_done(&w);
	policy_done(&p);
	return 0;
}

static enum drop_reason udp(uint32_t host, uint16_t port, uint32_t server, uint16_t to)
{
	char src[ADDR_TEXT_MAX], dst[ADDR_TEXT_MAX];

	snprintf(src, sizeof src, "10.0.0.%u", host);
	snprintf(dst, sizeof dst, "198.51.100.%u", server);
	return world_send(&w, &(struct packet_spec){ .src = src,
				      .dst = dst,
				      .proto = IP_UDP,
				      .src_port = port,
				      .dst_port = to,
				      .payload_n = 8 });
}

#define IS(drop, call) assert_string_equal(drop_name(call), drop_name(drop))

static void end_all(void)
{
	w.now += 1000 * NS_PER_S;
	fw_expire(w.fw, w.now, UINT32_MAX);
	assert_int_equal(fw_counters(w.fw)->sessions_now, 0);
}

static void of_a_rule(void **state)
{
	(void)state;
	p.rules[0].sessions_max = 3;
	world_load(&w, &p);
	for (uint16_t i = 0; i < 3; i++)
		IS(DROP_NONE, udp(2, (uint16_t)(1000 + i), 9, 53));
	IS(DROP_RULE_SESSION_LIMIT, udp(2, 1003, 9, 53));
	IS(DROP_RULE_SESSION_LIMIT, udp(3, 1003, 8, 53));
	IS(DROP_NONE, udp(2, 1000, 9, 53)); /* sessions that exist go on */
	IS(DROP_NONE, udp(2, 1000, 9, 54)); /* another rule */
	world_restart(&w);
	world_load(&w, &p);
	IS(DROP_RULE_SESSION_LIMIT, udp(2, 1003, 9, 53));
	fw_session_end(w.fw, 0, w.now);
	end_all();
	IS(DROP_NONE, udp(2, 1003, 9, 53));
}

static void of_a_zone(void **state)
{
	(void)state;
	p.zones[TRUST].sessions_max = 2;
	world_load(&w, &p);
	IS(DROP_NONE, udp(2, 1000, 9, 53));
	IS(DROP_NONE, udp(3, 1000, 8, 99));
	IS(DROP_ZONE_SESSION_LIMIT, udp(4, 1000, 7, 53));
	end_all();
	IS(DROP_NONE, udp(4, 1000, 7, 53));
}

static void of_addresses(void **state)
{
	(void)state;
	p.zones[TRUST].source_sessions_max = 2;
	p.zones[TRUST].destination_sessions_max = 3;
	world_load(&w, &p);
	IS(DROP_NONE, udp(2, 1000, 9, 53));
	IS(DROP_NONE, udp(2, 1001, 9, 53));
	IS(DROP_SOURCE_SESSION_LIMIT, udp(2, 1002, 8, 53));
	IS(DROP_NONE, udp(3, 1000, 9, 53));
	IS(DROP_DESTINATION_SESSION_LIMIT, udp(4, 1000, 9, 53));
	IS(DROP_NONE, udp(4, 1000, 8, 53));
	end_all();
	IS(DROP_NONE, udp(2, 1002, 8, 53));
	p.zones[TRUST].source_sessions_max = 1; /* a commit: what there is stays and counts */
	world_load(&w, &p);
	IS(DROP_NONE, udp(2, 1002, 8, 53));
	IS(DROP_SOURCE_SESSION_LIMIT, udp(2, 1003, 8, 53));
}

static enum drop_reason expected(uint32_t host, uint32_t server, uint16_t to)
{
	uint32_t cursor = 0, rule = to == 53 ? 0 : 1, of_rule = 0, all = 0, of_source = 0, of_destination = 0;

	for (const struct fw_session *s; (s = fw_session_next(w.fw, &cursor));) {
		all++;
		of_rule += s->rule == rule;
		of_source += s->key[0].src[3] == host;
		of_destination += s->key[0].dst[3] == server;
	}
	if (p.rules[rule].sessions_max && of_rule >= p.rules[rule].sessions_max)
		return DROP_RULE_SESSION_LIMIT;
	return all >= p.zones[TRUST].sessions_max			   ? DROP_ZONE_SESSION_LIMIT
	       : of_source >= p.zones[TRUST].source_sessions_max	   ? DROP_SOURCE_SESSION_LIMIT
	       : of_destination >= p.zones[TRUST].destination_sessions_max ? DROP_DESTINATION_SESSION_LIMIT
									   : DROP_NONE;
}

/* Beginnings, ends, commits and restarts at random. */
static void against_an_oracle(void **state)
{
	uint64_t seed = 11;
	uint16_t port = 1;

	(void)state;
	for (int round = 0; round < 20000; round++) {
		if (round % 500 == 0) {
			p.rules[0].sessions_max = (uint32_t)(20 + next_random(&seed) % 40);
			p.zones[TRUST].sessions_max = (uint32_t)(60 + next_random(&seed) % 60);
			p.zones[TRUST].source_sessions_max = (uint32_t)(5 + next_random(&seed) % 20);
			p.zones[TRUST].destination_sessions_max = (uint32_t)(5 + next_random(&seed) % 20);
			if (round % 1000 == 0)
				world_restart(&w);
			world_commit(
				&w, &p); /* packets before everything is evaluated: counts must not break */
			for (int i = 0; i < 50; i++)
				udp((uint32_t)(2 + i % 9), (uint16_t)(port - i), (uint32_t)(2 + i % 7), 53);
			fw_expire(w.fw, w.now += 10 * NS_PER_S, 1000);
			while (!fw_sweep(w.fw, w.now, 7))
				;
		}
		uint32_t host = (uint32_t)(2 + next_random(&seed) % 9);
		uint32_t server = (uint32_t)(2 + next_random(&seed) % 9);
		uint16_t to = next_random(&seed) % 2 ? 53 : 99;
		port++;
		IS(expected(host, server, to), udp(host, port, server, to));
		w.now += NS_PER_S * (next_random(&seed) % 3);
		fw_expire(w.fw, w.now, 1000);
	}
}

int main(void)
{
#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
	static const struct CMUnitTest tests[] = { T(of_a_rule), T(of_a_zone), T(of_addresses),
		T(against_an_oracle) };

	return cmocka_run_group_tests(tests, NULL, NULL);
}
