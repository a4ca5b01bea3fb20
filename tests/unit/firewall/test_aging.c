/*
 * Early ageing between two watermarks, against what the test knows: who was idle for how long, and how many there are.
 */
#include "base/addr.h"
#include "scene.h"

#include <stdio.h>
#include <stdlib.h>

#define LIMIT 1024
#define HIGH  716 /* 70 percent of it */
#define LOW   307 /* 30 percent */
#define EARLY 20

static uint64_t seed;

/* By its port: when it last had a packet; 0: there is none. */
static mono_ns seen[4096];

static int setup(void **state)
{
	scene_begin(LIMIT);
	p.sessions_max = LIMIT;
	p.aging = (struct snap_aging){ 70, 30, EARLY };
	policy_rule(&p, "all", TRUST, UNTRUST, "any", "any", "any", RULE_PERMIT)->timeout_s = 3600;
	world_load(&w, &p);
	memset(seen, 0, sizeof seen);
	seed = 77;
	return 0;
}

static void packet(uint16_t port)
{
	char src[ADDR_TEXT_MAX];

	snprintf(src, sizeof src, "10.0.%u.2", port % 200u);
	assert_string_equal(drop_name(world_send(&w, &(struct packet_spec){ .src = src,
							     .dst = "198.51.100.9",
							     .proto = IP_UDP,
							     .src_port = (uint16_t)(1000 + port),
							     .dst_port = 53,
							     .payload_n = 8 })),
		"none");
	seen[port] = w.now;
}

static uint64_t now_n(void)
{
	return fw_counters(w.fw)->sessions_now;
}

static void age(uint32_t budget)
{
	while (!fw_age(w.fw, w.now, budget))
		;
}

/* Which sessions there are, by port. */
static void there(bool ret_there[4096])
{
	const struct fw_session *s;
	uint32_t cursor = 0;

	memset(ret_there, 0, 4096 * sizeof *ret_there);
	while ((s = fw_session_next(w.fw, &cursor)))
		ret_there[s->key[0].src_port - 1000] = true;
}

static void between_the_watermarks(void **state)
{
	for (uint16_t i = 0; i < HIGH - 1; i++)
		packet(i);
	w.now += 2 * EARLY * NS_PER_S;
	age(100);
	assert_int_equal(now_n(), HIGH - 1); /* below the high watermark nobody ends early */
	assert_false(fw_counters(w.fw)->aging_now);
	packet(2000);
	age(100);
	assert_int_equal(now_n(), LOW);
	assert_int_equal(fw_counters(w.fw)->aged_early, HIGH - LOW);
	assert_int_equal(fw_counters(w.fw)->aging_begun, 1);
	assert_false(fw_counters(w.fw)->aging_now);
	packet(2000); /* it had a packet: it is there */
	assert_int_equal(now_n(), LOW);
}

/* Nobody is idle for long enough: nobody ends, and passes do not follow one another without a pause. */
static void only_idle_ones(void **state)
{
	for (uint16_t i = 0; i < HIGH + 100; i++)
		packet(i);
	w.now += (EARLY - 1) * NS_PER_S;
	age(64);
	assert_int_equal(now_n(), HIGH + 100);
	assert_true(fw_counters(w.fw)->aging_now);
	assert_true(fw_age(w.fw, w.now + NS_PER_S, 1)); /* nothing is to be done yet */
	for (uint16_t i = 0; i < 500; i++)
		packet(i);
	w.now += 2 * NS_PER_S;
	age(64);
	assert_int_equal(now_n(), 500); /* those without a packet are gone; the others keep it active */
	assert_true(fw_counters(w.fw)->aging_now);
	w.now += EARLY * NS_PER_S;
	age(64);
	assert_int_equal(now_n(), LOW);
}

/* Random arrivals, packets and pauses. What ends was idle; as many end as the low watermark asks for, or as are idle. */
static void against_an_oracle(void **state)
{
	static bool before[4096], after[4096];
	uint32_t aged = 0;
	bool active = false;

	for (uint32_t round = 0; round < 3000; round++) {
		for (uint32_t n = next_random(&seed) % 60; n > 0 && now_n() < LIMIT; n--)
			packet((uint16_t)(next_random(&seed) % 4096));
		w.now += next_random(&seed) % (6 * NS_PER_S) + 2 * NS_PER_S; /* so the next pass is due */
		there(before);
		uint64_t n = now_n(), idle = 0, ended = 0;
		for (uint32_t i = 0; i < 4096; i++)
			idle += before[i] && w.now - seen[i] >= EARLY * NS_PER_S;
		active = active ? n > LOW : n >= HIGH;
		uint64_t wanted = active ? MIN_OF(idle, n - LOW) : 0;
		age(1 + next_random(&seed) % 300);
		there(after);
		for (uint32_t i = 0; i < 4096; i++) {
			if (!before[i] || after[i])
				continue;
			assert_true(w.now - seen[i] >= EARLY * NS_PER_S);
			ended++;
		}
		assert_int_equal(ended, wanted);
		assert_int_equal(now_n(), n - ended);
		active = active && now_n() > LOW;
		assert_int_equal(fw_counters(w.fw)->aging_now, active);
		aged += ended > 0;
	}
	assert_true(aged > 50);
}

/* A commit changes the watermarks, or takes them away, while it is active. */
static void over_a_commit(void **state)
{
	for (uint16_t i = 0; i < HIGH; i++)
		packet(i);
	age(100);
	assert_true(fw_counters(w.fw)->aging_now);
	p.aging = (struct snap_aging){ 0 };
	world_load(&w, &p);
	w.now += 2 * EARLY * NS_PER_S;
	age(100);
	assert_false(fw_counters(w.fw)->aging_now);
	assert_int_equal(now_n(), HIGH);
	p.aging = (struct snap_aging){ 50, 40, 1 };
	world_load(&w, &p);
	age(100);
	assert_int_equal(now_n(), LIMIT * 40 / 100);
}

/* A binding of persistent NAT that a session uses stays, and so does its session's address. */
static void bindings_in_use_stay(void **state)
{
	policy_nat(&p, "out", TRUST, UNTRUST, "any", "any", NAT_INTERFACE, NULL);
	p.nat_rules[0].filtering = NAT_FILTER_ENDPOINT_INDEPENDENT;
	p.nat_rules[0].binding_timeout_s = 3600;
	p.nat_rules[0].bindings_max = 1000;
	world_load(&w, &p);
	for (uint16_t i = 0; i < HIGH / 2; i++)
		packet(i); /* a session and a binding each */
	w.now += EARLY * NS_PER_S;
	for (uint16_t i = 0; i < 100; i++)
		packet(i);
	age(100);
	for (uint16_t i = 0; i < 100; i++)
		packet(i);
	uint32_t cursor = 0, used = 0;
	while (fw_binding_next(w.fw, &cursor))
		used += fw_binding_sessions(w.fw, cursor - 1) > 0;
	assert_true(used >= 100);
	assert_true(now_n() >= LOW);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(between_the_watermarks, setup, scene_end),
		cmocka_unit_test_setup_teardown(only_idle_ones, setup, scene_end),
		cmocka_unit_test_setup_teardown(against_an_oracle, setup, scene_end),
		cmocka_unit_test_setup_teardown(over_a_commit, setup, scene_end),
		cmocka_unit_test_setup_teardown(bindings_in_use_stay, setup, scene_end),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
