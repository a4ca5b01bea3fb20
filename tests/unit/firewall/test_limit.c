/*
 * Session limits of rules, zones, sources and destinations, alone and against an oracle that counts the
 * sessions that there are; with one, two and four workers, one after the other and at the same time (which
 * ThreadSanitizer can watch: -Db_sanitize=thread).
 */
#include "base/addr.h"
#include "world.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <cmocka.h>
#include <pthread.h>

#define WORKERS	   4
#define IN_THREADS 4000 /* sessions that each thread would begin */

static struct world w[WORKERS];
static uint32_t workers;
static struct policy p;

static void join(void)
{
	struct firewall *all[WORKERS];

	for (uint32_t i = 0; i < workers; i++)
		all[i] = w[i].fw;
	fw_join(all, workers);
}

static void restart(void)
{
	for (uint32_t i = 0; i < workers; i++)
		world_restart(&w[i]);
	join();
}

static void load(void)
{
	for (uint32_t i = 0; i < workers; i++)
		world_commit(&w[i], &p);
	for (uint32_t i = 0; i < workers; i++)
		world_load(&w[i], &p);
}

static int setup(void **state)
{
	workers = *(const uint32_t *)*state;
	for (uint32_t i = 0; i < workers; i++) {
		world_init(&w[i], 4096);
		w[i].limits.worker = i;
		w[i].limits.workers = workers;
	}
	restart();
	policy_init(&p);
	p.sessions_max = 4 * 4096;
	policy_rule(&p, "dns", TRUST, UNTRUST, "any", "any", "udp/53", RULE_PERMIT);
	policy_rule(&p, "rest", TRUST, UNTRUST, "any", "any", "any", RULE_PERMIT);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	for (uint32_t i = 0; i < workers; i++)
		world_done(&w[i]);
	policy_done(&p);
	return 0;
}

static uint64_t sessions_now(void)
{
	uint64_t n = 0;

	for (uint32_t i = 0; i < workers; i++)
		n += fw_counters(w[i].fw)->sessions_now;
	return n;
}

/* At its home. */
static enum drop_reason send(const struct packet_spec *s)
{
	struct train t = packet_make(&w[0].packet, s);

	assert_int_equal(train_parse(&t), DROP_NONE);
	return world_send(&w[fw_home(w[0].fw, &t)], s);
}

static enum drop_reason udp(uint32_t host, uint16_t port, uint32_t server, uint16_t to)
{
	char src[ADDR_TEXT_MAX], dst[ADDR_TEXT_MAX];

	snprintf(src, sizeof src, "10.0.0.%u", host);
	snprintf(dst, sizeof dst, "198.51.100.%u", server);
	return send(&(struct packet_spec){
		.src = src, .dst = dst, .proto = IP_UDP, .src_port = port, .dst_port = to, .payload_n = 8 });
}

static enum drop_reason udp_at(uint32_t worker, uint16_t port, uint32_t server)
{
	char dst[ADDR_TEXT_MAX];

	snprintf(dst, sizeof dst, "198.51.100.%u", server);
	return world_send(&w[worker], &(struct packet_spec){ .src = "10.0.0.2",
					      .dst = dst,
					      .proto = IP_UDP,
					      .src_port = port,
					      .dst_port = 53,
					      .payload_n = 8 });
}

#define IS(drop, call) assert_string_equal(drop_name(call), drop_name(drop))

static void end_all(void)
{
	for (uint32_t i = 0; i < 2 * workers; i++) { /* bindings outlive their sessions */
		w[i % workers].now += 1000 * NS_PER_S;
		fw_expire(w[i % workers].fw, w[i % workers].now, UINT32_MAX);
	}
	assert_int_equal(sessions_now(), 0);
}

static void of_a_rule(void **state)
{
	(void)state;
	p.rules[0].sessions_max = 3;
	load();
	for (uint16_t i = 0; i < 3; i++)
		IS(DROP_NONE, udp(2, (uint16_t)(1000 + i), 9, 53));
	IS(DROP_RULE_SESSION_LIMIT, udp(2, 1003, 9, 53));
	IS(DROP_RULE_SESSION_LIMIT, udp(3, 1003, 8, 53));
	IS(DROP_NONE, udp(2, 1000, 9, 53)); /* sessions that exist go on */
	IS(DROP_NONE, udp(2, 1000, 9, 54)); /* another rule */
	restart();
	load();
	IS(DROP_RULE_SESSION_LIMIT, udp(2, 1003, 9, 53));
	end_all();
	IS(DROP_NONE, udp(2, 1003, 9, 53));
}

static void time_passes(uint64_t seconds)
{
	for (uint32_t i = 0; i < workers; i++)
		fw_expire(w[i].fw, w[i].now += seconds * NS_PER_S, 1000);
}

/* New sessions a second, of all workers together; what is refused takes nothing. */
static void rate_of_a_rule(void **state)
{
	uint32_t begun = 0;

	p.rules[0].sessions_rate = 20;
	load();
	for (uint16_t i = 0; i < 100; i++)
		begun += udp(1, (uint16_t)(1000 + i), 1, 53) == DROP_NONE;
	assert_int_equal(begun, 20);
	assert_int_equal(udp(1, 2000, 1, 53), DROP_RULE_SESSION_RATE);
	assert_int_equal(udp(1, 1000, 1, 53), DROP_NONE); /* a session that there is */
	assert_int_equal(udp(1, 2000, 1, 54), DROP_NONE); /* another rule */
	time_passes(1);
	for (uint16_t i = 0; i < 100; i++)
		begun += udp(1, (uint16_t)(3000 + i), 1, 53) == DROP_NONE;
	assert_true(begun >= 39 && begun <= 41);
}

static void of_a_zone(void **state)
{
	(void)state;
	p.zones[TRUST].sessions_max = 2;
	load();
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
	load();
	IS(DROP_NONE, udp(2, 1000, 9, 53));
	IS(DROP_NONE, udp(2, 1001, 9, 53));
	IS(DROP_SOURCE_SESSION_LIMIT, udp(2, 1002, 8, 53));
	IS(DROP_NONE, udp(3, 1000, 9, 53));
	IS(DROP_DESTINATION_SESSION_LIMIT, udp(4, 1000, 9, 53));
	IS(DROP_NONE, udp(4, 1000, 8, 53));
	end_all();
	IS(DROP_NONE, udp(2, 1002, 8, 53));
	p.zones[TRUST].source_sessions_max = 1; /* a commit: what there is stays and counts */
	load();
	IS(DROP_NONE, udp(2, 1002, 8, 53));
	IS(DROP_SOURCE_SESSION_LIMIT, udp(2, 1003, 8, 53));
}

static enum drop_reason expected(uint32_t host, uint32_t server, uint16_t to)
{
	uint32_t cursor = 0, rule = to == 53 ? 0 : 1, of_rule = 0, all = 0, of_source = 0, of_destination = 0;

	for (uint32_t i = 0; i < workers; i++, cursor = 0)
		for (const struct fw_session *s; (s = fw_session_next(w[i].fw, &cursor));) {
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
				restart();
			for (uint32_t i = 0; i < workers; i++)
				world_commit(&w[i], &p); /* packets before everything is evaluated: counts
							    must not break */
			for (int i = 0; i < 50; i++)
				udp((uint32_t)(2 + i % 9), (uint16_t)(port - i), (uint32_t)(2 + i % 7), 53);
			time_passes(10);
			for (uint32_t i = 0; i < workers; i++)
				while (!fw_sweep(w[i].fw, w[i].now, 7))
					;
		}
		uint32_t host = (uint32_t)(2 + next_random(&seed) % 9);
		uint32_t server = (uint32_t)(2 + next_random(&seed) % 9);
		uint16_t to = next_random(&seed) % 2 ? 53 : 99;
		port++;
		IS(expected(host, server, to), udp(host, port, server, to));
		time_passes(next_random(&seed) % 3);
	}
}

/* Bindings of persistent NAT are counted over all of them too. */
static void bindings_of_a_host(void **state)
{
	(void)state;
	struct snap_nat_rule *rule = policy_nat(&p, "nat", TRUST, UNTRUST, "any", "any", NAT_INTERFACE, NULL);
	rule->filtering = NAT_FILTER_ADDRESS_AND_PORT_DEPENDENT;
	rule->bindings_max = 5;
	rule->binding_timeout_s = 300;
	load();
	for (uint16_t i = 0; i < 5; i++)
		for (uint32_t server = 7; server < 9; server++)
			IS(DROP_NONE, udp_at(i % workers, (uint16_t)(1000 + i), server));
	for (uint16_t i = 5; i < 5 + 2 * WORKERS; i++)
		IS(DROP_NAT_BINDING_LIMIT, udp_at(i % workers, (uint16_t)(1000 + i), 9));
	end_all();
	IS(DROP_NONE, udp_at(workers - 1, 2000, 9));
}

static void *flood(void *context)
{
	struct world *one = context;
	uint64_t admitted = 0;

	for (uint32_t i = 0; i < IN_THREADS; i++) {
		const struct packet_spec s = { .src = "10.0.0.2",
			.dst = "198.51.100.9",
			.proto = IP_UDP,
			.src_port = (uint16_t)(1 + i * workers + one->limits.worker),
			.dst_port = 53,
			.payload_n = 8 };
		admitted += world_send(one, &s) == DROP_NONE;
	}
	return (void *)(uintptr_t)admitted;
}

/* A limit is exceeded by the number of other workers at most, whatever they do at the same time. */
static void in_threads(void **state)
{
	const uint32_t limit = 2000;
	pthread_t threads[WORKERS];
	uint64_t admitted = 0;

	(void)state;
	p.rules[0].sessions_max = limit;
	p.zones[TRUST].sessions_max = p.zones[TRUST].source_sessions_max =
		p.zones[TRUST].destination_sessions_max = limit;
	load();
	for (uint32_t i = 0; i < workers; i++)
		assert_int_equal(pthread_create(&threads[i], NULL, flood, &w[i]), 0);
	for (uint32_t i = 0; i < workers; i++) {
		void *ret;
		assert_int_equal(pthread_join(threads[i], &ret), 0);
		admitted += (uintptr_t)ret;
	}
	assert_in_range(admitted, limit, limit + workers - 1);
	assert_int_equal(sessions_now(), admitted);
	end_all();
}

int main(void)
{
	static uint32_t counts[] = { 1, 2, 4 };
#define T(f, n) { #f " (" #n ")", f, setup, teardown, &counts[n == 1 ? 0 : n / 2] }
#define OF(n)                                                                                                \
	T(of_a_rule, n), T(rate_of_a_rule, n), T(of_a_zone, n), T(of_addresses, n),                          \
		T(bindings_of_a_host, n), T(against_an_oracle, n), T(in_threads, n)
	static const struct CMUnitTest tests[] = { OF(1), OF(2), OF(4) };

	return cmocka_run_group_tests(tests, NULL, NULL);
}
