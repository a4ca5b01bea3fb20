/*
 * Floods and scans against a plain model that forgets nothing, with random numbers and times; and what strangers can do to
 * the tables: nothing is evicted that matters, and a flood of forged sources is nobody else's.
 */
#include "packets.h"
#include "screen/screen.h"

#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>
#include <stdlib.h>
#include <string.h>

static struct floods *floods;
static struct scans *scans;

static int setup(void **state)
{
	floods = calloc(1, sizeof *floods);
	scans = calloc(1, sizeof *scans);
	return floods && scans ? 0 : -1;
}

static int teardown(void **state)
{
	free(floods);
	free(scans);
	return 0;
}

static uint64_t hash(uint64_t of)
{
	uint64_t state = of * 0x9e3779b97f4a7c15ull + 1;

	return (uint64_t)next_random(&state) << 32 | next_random(&state);
}

/* Few keys, so none share both counters. */
static void floods_model(void **state)
{
	enum { KEYS = 8, THRESHOLD = 50 };
	uint32_t count[KEYS] = { 0 }, before[KEYS] = { 0 };
	uint64_t seed = 1, second = 10;

	for (int i = 0; i < 100000; i++) {
		uint32_t k = next_random(&seed) % KEYS, n = 1 + next_random(&seed) % 3;
		if (next_random(&seed) % (k == 0 ? 100 : 400) == 0) {
			uint64_t skip = 1 + next_random(&seed) % 2;
			for (int j = 0; j < KEYS; j++) {
				before[j] = skip == 1 ? count[j] : 0;
				count[j] = 0;
			}
			second += skip;
		}
		count[k] += n;
		struct flood f = flood_count(
			floods, hash(k), n, THRESHOLD, second * NS_PER_S + next_random(&seed) % NS_PER_S);
		assert_int_equal(f.count, count[k]);
		assert_int_equal(f.over, count[k] > THRESHOLD);
		assert_int_equal(f.lasting, count[k] > THRESHOLD || before[k] > THRESHOLD);
	}
}

/* A million packets of forged sources in one second: who else sends shows few more than he sent. */
static void forged_sources(void **state)
{
	uint32_t worst = 0;

	for (uint64_t i = 0; i < 1000000; i++) {
		flood_count(floods, hash(1000 + i), 1, 4000, NS_PER_S);
		if (i % 1000 == 999) {
			struct flood f = flood_count(floods, hash(7), 1, 4000, NS_PER_S);
			assert_false(f.over);
			worst = f.count - (uint32_t)(i / 1000) > worst ? f.count - (uint32_t)(i / 1000)
								       : worst;
		}
	}
	assert_true(worst < 2 * 1000000 / FLOOD_SLOTS);
}

static void scan_exact(void **state)
{
	mono_ns now = NS_PER_S;

	/* nine ports, several times each, then the tenth */
	for (uint16_t i = 0; i < 27; i++)
		assert_false(scan_note(scans, hash(1), i % 9, 5000, now + i));
	assert_true(scan_note(scans, hash(1), 9, 5000, now + 4999 * NS_PER_US));
	/* for the rest of the time whatever it is, then from the beginning */
	assert_true(scan_note(scans, hash(1), 3, 5000, now + 4999 * NS_PER_US));
	for (uint16_t i = 0; i < 9; i++)
		assert_false(scan_note(scans, hash(1), i, 5000, now + 5000 * NS_PER_US));
	/* slower than that */
	for (uint16_t i = 0; i < 100; i++)
		assert_false(scan_note(scans, hash(2), i, 5000, now + i * 556 * NS_PER_US));
}

/* Sources with one port each do not push out one with several, nor let go one that was recognised. */
static void forged_sources_of_scans(void **state)
{
	mono_ns now = NS_PER_S;
	uint64_t other = 1000;

	for (uint16_t port = 0; port < SCAN_COUNT; port++) {
		bool scan = scan_note(scans, hash(1), port, 1000000, now);
		assert_int_equal(scan, port == SCAN_COUNT - 1);
		for (int i = 0; port > 0 && i < 20000; i++)
			assert_false(scan_note(scans, hash(other++), 1, 1000000, now));
	}
	assert_true(scan_note(scans, hash(1), 1, 1000000, now));
}

static void scans_model(void **state)
{
	enum { SOURCES = 40 };
	struct {
		mono_ns until;
		bool seen[32];
		uint32_t n;
	} model[SOURCES] = { 0 };
	uint64_t seed = 5;
	mono_ns now = NS_PER_S;

	for (int i = 0; i < 300000; i++) {
		uint32_t who = next_random(&seed) % SOURCES;
		uint16_t what = (uint16_t)(next_random(&seed) % (who % 2 ? 9 : 32));
		now += next_random(&seed) % (50 * NS_PER_US);
		if (model[who].until <= now) {
			memset(&model[who], 0, sizeof model[who]);
			model[who].until = now + 5000 * NS_PER_US;
		}
		if (model[who].n < SCAN_COUNT && !model[who].seen[what]) {
			model[who].seen[what] = true;
			model[who].n++;
		}
		assert_int_equal(scan_note(scans, hash(who), what, 5000, now), model[who].n == SCAN_COUNT);
	}
}

int main(void)
{
#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
	const struct CMUnitTest tests[] = { T(floods_model), T(forged_sources), T(scan_exact),
		T(forged_sources_of_scans), T(scans_model) };
	return cmocka_run_group_tests_name("floods and scans", tests, NULL, NULL);
}
