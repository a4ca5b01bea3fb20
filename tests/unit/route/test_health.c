/*
 * Health of uplinks: random answers against a plain model of fall and rise; commits that keep, change and remove; what a
 * process before has found out; and next hops that are dead: what lookups do without them.
 */
#include "route/health.h"
#include "route/route.h"

#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define SEED	 20261129u
#define LINKS	 2
#define INTERVAL (500 * NS_PER_MS)

static struct uplinks_health h;
static uint64_t seed;

static uint32_t draw(uint32_t below)
{
	seed = seed * 6364136223846793005ull + 1442695040888963407ull;
	return (uint32_t)(seed >> 33) % below;
}

static struct ip_addr addr(const char *text)
{
	struct ip_addr a;

	assert_int_equal(addr_parse(&a, text), RC_OK);
	return a;
}

/* A snapshot with nothing else than these uplinks, each with two targets. */
static const struct snapshot *configuration(
	const char *const *names, uint32_t n, uint32_t flags, uint16_t fall, uint16_t rise)
{
	static struct {
		struct snapshot head;
		struct snap_uplink uplinks[4];
		struct snap_probe probes[8];
	} s;

	memset(&s, 0, sizeof s);
	s.head.uplinks = (struct span){ offsetof(__typeof__(s), uplinks), n };
	s.head.probes = (struct span){ offsetof(__typeof__(s), probes), 2 * n };
	for (uint32_t i = 0; i < n; i++) {
		s.uplinks[i] = (struct snap_uplink){
			.flags = flags, .probes = { 2 * i, 2 }, .interval_ms = 500, .fall = fall, .rise = rise
		};
		snprintf(s.uplinks[i].name, sizeof s.uplinks[i].name, "%s", names[i]);
		s.probes[2 * i].target = addr("192.0.2.1");
		s.probes[2 * i + 1].target = addr("192.0.2.2");
	}
	return &s.head;
}

static const char *const one[] = { "a" };

static bool round_of(mono_ns now, bool first, bool second)
{
	bool changed;

	assert_int_equal(health_round(&h, now, &changed), 0);
	assert_int_equal(health_round(&h, now, &(bool){ false }), ROUTE_NONE);
	if (first)
		health_answered(&h.list[0].target[0], h.list[0].target[0].round, now + 3 * NS_PER_MS);
	if (second)
		health_answered(&h.list[0].target[1], h.list[0].target[1].round, now + 4 * NS_PER_MS);
	return changed;
}

/* A target's state by all of its answers so far: the last change is where so many in a row contradict it. */
static bool model_down(const bool *answered, uint32_t n, uint32_t fall, uint32_t rise)
{
	bool down = false;
	uint32_t streak = 0;

	for (uint32_t i = 0; i < n; i++) {
		streak = answered[i] == down ? streak + 1 : 0;
		if (streak == (down ? rise : fall)) {
			down = !down;
			streak = 0;
		}
	}
	return down;
}

static void against_a_model(void **state)
{
	bool answered[2][200];

	seed = SEED;
	for (uint32_t run = 0; run < 300; run++) {
		uint32_t flags = draw(2) ? UPLINK_DOWN_WHEN_ANY : 0, fall = 1 + draw(4), rise = 1 + draw(4),
			 often = 1 + draw(9), changes = 0;
		bool was = false;
		memset(&h, 0, sizeof h);
		health_load(&h, configuration(one, 1, flags, (uint16_t)fall, (uint16_t)rise), 0);
		for (uint32_t i = 0; i < 200; i++) {
			answered[0][i] = draw(10) < often;
			answered[1][i] = draw(10) < often;
			bool changed = round_of(i * INTERVAL, answered[0][i], answered[1][i]);
			bool a = model_down(answered[0], i, fall, rise),
			     b = model_down(answered[1], i, fall, rise);
			bool down = flags ? a || b : a && b;
			assert_int_equal(h.list[0].target[0].down, a);
			assert_int_equal(h.list[0].target[1].down, b);
			assert_int_equal(h.list[0].down, down);
			assert_int_equal(changed, down != was);
			changes += changed;
			was = down;
		}
		assert_int_equal(h.list[0].changes, changes);
	}
}

/* With the defaults a dead uplink is down within two seconds of its last answer, and up two and a half after its first. */
static void how_soon(void **state)
{
	mono_ns now = 0;

	memset(&h, 0, sizeof h);
	health_load(&h, configuration(one, 1, 0, 3, 5), 0);
	assert_int_equal(health_next(&h), 0);
	round_of(now, true, true);
	mono_ns last = now;
	while (!h.list[0].down)
		round_of(now += INTERVAL, false, false);
	assert_in_range(now - last, 1, 2 * NS_PER_S);
	assert_int_equal(h.list[0].since, now);
	char why[HEALTH_WHY_BYTES];
	health_why(&h.list[0], why);
	assert_string_equal(why, "no answer from 192.0.2.1 and 1 other target");
	mono_ns first = now += INTERVAL;
	round_of(now, true, false);
	while (h.list[0].down)
		round_of(now += INTERVAL, true, false);
	assert_int_equal(now - first, 5 * INTERVAL);
	health_why(&h.list[0], why);
	assert_string_equal(why, "");
	assert_int_equal(h.list[0].target[0].rtt_us, 3000);
}

/* Late ones, and those of a round that was not sent, are none. */
static void answers_that_do_not_count(void **state)
{
	memset(&h, 0, sizeof h);
	health_load(&h, configuration(one, 1, UPLINK_DOWN_WHEN_ANY, 2, 1), 0);
	round_of(0, true, true);
	round_of(INTERVAL, true, false);
	health_answered(&h.list[0].target[1], h.list[0].target[1].round - 1, INTERVAL);
	round_of(2 * INTERVAL, true, false);
	assert_false(h.list[0].down);
	assert_true(round_of(3 * INTERVAL, true, true));
	assert_true(round_of(4 * INTERVAL, true, true));
	assert_false(h.list[0].down);
	h.list[0].obstacle = "the link is down";
	round_of(5 * INTERVAL, true, true);
	h.list[0].obstacle = "the link is down";
	assert_true(round_of(6 * INTERVAL, true, true));
	assert_true(h.list[0].down);
}

static void commits(void **state)
{
	static const char *const two[] = { "b", "a" };

	memset(&h, 0, sizeof h);
	memset(h.key, 0x5a, sizeof h.key);
	health_load(&h, configuration(one, 1, 0, 1, 1), 0);
	round_of(0, false, false);
	assert_true(round_of(INTERVAL, false, false));
	uint64_t probes = h.list[0].target[0].probes;
	health_load(&h, configuration(two, 2, 0, 1, 1), 2 * INTERVAL);
	assert_int_equal(h.n, 2);
	assert_false(h.list[0].down);
	assert_true(h.list[1].down); /* it goes on */
	assert_int_equal(h.list[1].target[0].probes, probes);
	assert_int_equal(h.key[3], 0x5a);
	health_load(&h, configuration(one, 0, 0, 1, 1), 3 * INTERVAL);
	assert_int_equal(health_next(&h), UINT64_MAX);
	health_load(&h, configuration(one, 1, 0, 1, 1), 4 * INTERVAL);
	assert_false(h.list[0].down); /* nothing is known of it any more */
}

static void what_was_found_before(void **state)
{
	memset(&h, 0, sizeof h);
	health_load(&h, configuration(one, 1, 0, 3, 2), 0);
	assert_false(health_follow(&h, "b", 0));
	assert_true(health_follow(&h, "a", 0));
	assert_false(health_follow(&h, "a", 0));
	assert_true(h.list[0].down);
	assert_true(h.list[0].follows);
	round_of(0, true, true);
	assert_true(h.list[0].follows); /* no target has been asked yet */
	assert_false(round_of(INTERVAL, true, true));
	assert_false(h.list[0].follows);
	assert_true(round_of(2 * INTERVAL, true, true)); /* so many answers as rise wants */
	assert_false(health_follow(&h, "a", 0));	 /* it knows better by now */
}

/* --- dead next hops --- */

static struct route_table *t;

static void route(const char *dst, uint32_t link, const char *gateway, uint32_t metric, uint32_t table)
{
	struct route_entry e = { .link = link, .metric = metric, .table = table, .kind = ROUTE_UNICAST };

	assert_int_equal(prefix_parse(&e.dst, dst), RC_OK);
	if (gateway)
		e.gateway = addr(gateway);
	assert_int_equal(route_paths_set(t, &e, 1, ROUTE_APPEND), RC_OK);
}

static uint32_t link_to(const char *dst)
{
	struct ip_addr a = addr(dst);
	struct route_answer answer;

	route_lookup(t, 0, &a, &answer);
	return answer.kind == ROUTE_UNICAST ? answer.link : 0;
}

static void dead_next_hops(void **state)
{
	struct route_dead dead[2] = { { 1, addr("198.51.100.1") }, { 2, addr("198.51.101.1") } };
	struct ip_addr gateway;
	uint32_t link;

	assert_non_null(t = route_new());
	for (uint32_t i = 1; i <= LINKS; i++) {
		struct route_link l = { .index = i, .up = true, .mtu = 1500 };
		assert_int_equal(route_link_set(t, &l), RC_OK);
	}
	route("198.51.100.0/24", 1, NULL, 0, 0);
	route("0.0.0.0/0", 1, "198.51.100.1", 100, 0);
	route("0.0.0.0/0", 2, "198.51.101.1", 200, 0);
	route("10.0.0.0/8", 1, "198.51.100.1", 0, 0); /* more specific, by the same router */
	route("0.0.0.0/0", 1, "198.51.100.9", 0, 77);
	uint64_t generation = route_generation(t);
	route_dead_set(t, dead, 0);
	assert_int_equal(route_generation(t), generation);
	assert_false(route_default_detour(t, ADDR_V4, &link, &gateway));
	assert_int_equal(link_to("192.0.2.1"), 1);
	route_dead_set(t, dead, 1);
	assert_true(route_generation(t) > generation);
	assert_int_equal(link_to("192.0.2.1"), 2);
	assert_int_equal(link_to("10.1.1.1"), 2);
	assert_int_equal(link_to("198.51.100.7"), 1); /* the link itself lives */
	assert_true(route_default_detour(t, ADDR_V4, &link, &gateway));
	assert_int_equal(link, 2);
	assert_true(addr_equal(&gateway, &dead[1].gateway));
	assert_false(route_default_detour(t, ADDR_V6, &link, &gateway));
	/* Routes that come while it is dead are not used either. */
	route("172.16.0.0/12", 1, "198.51.100.1", 0, 0);
	assert_int_equal(link_to("172.16.0.1"), 2);
	generation = route_generation(t);
	route_dead_set(t, dead, 1);
	assert_int_equal(route_generation(t), generation);
	route_dead_set(t, dead, 2);
	assert_int_equal(link_to("192.0.2.1"), 0);
	assert_false(route_default_detour(t, ADDR_V4, &link, &gateway)); /* there is nothing better */
	route_dead_set(t, dead + 1, 1);
	assert_int_equal(link_to("192.0.2.1"), 1);
	assert_false(route_default_detour(t, ADDR_V4, &link, &gateway)); /* it did not count */
	assert_true(route_default_gateway(t, 2, ADDR_V4, &gateway));	 /* dead or not */
	assert_true(addr_equal(&gateway, &dead[1].gateway));
	assert_true(route_default_gateway(t, 1, ADDR_V4, &gateway));
	assert_true(addr_equal(&gateway, &dead[0].gateway)); /* main before 77 */
	assert_false(route_default_gateway(t, 1, ADDR_V6, &gateway));
	route_free(t);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(against_a_model),
		cmocka_unit_test(how_soon),
		cmocka_unit_test(answers_that_do_not_count),
		cmocka_unit_test(commits),
		cmocka_unit_test(what_was_found_before),
		cmocka_unit_test(dead_next_hops),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
