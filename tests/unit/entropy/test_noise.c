/*
 * The noise: with a clock that has none no share comes, with this machine's they come and differ.
 */
#include "proc/entropy/noise.h"

#include "base/bytes.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

static uint8_t memory[NOISE_MEMORY];
static const uint8_t zero[NOISE_SHARE_SIZE];

/* A clock that only counts calls, in steps. */
struct steady {
	uint64_t now, step;
};

static uint64_t steady_now(void *context)
{
	struct steady *s = context;

	return s->now += s->step;
}

/* A clock with noise, the same each time. */
static uint64_t lively_now(void *context)
{
	struct steady *s = context;
	uint8_t digest[SHA256_SIZE];

	sha256(digest, &s->now, sizeof s->now);
	s->step = 1000 + digest[0];
	return steady_now(s);
}

static void this_machine(void **state)
{
	uint8_t share[64][NOISE_SHARE_SIZE];
	struct noise n;
	struct err e = { 0 };

	noise_init(&n, memory);
	assert_int_equal(noise_share(&n, share[0], NULL), RC_DENIED); /* not before its start-up tests */
	if (noise_start(&n, &e) != RC_OK)
		fail_msg("%s", e.text);
	for (size_t i = 0; i < COUNT_OF(share); i++) {
		if (noise_share(&n, share[i], &e) != RC_OK)
			fail_msg("%s", e.text);
		assert_memory_not_equal(share[i], zero, sizeof zero);
		assert_memory_not_equal(share[i], n.pool, sizeof n.pool);
		for (size_t k = 0; k < i; k++)
			assert_memory_not_equal(share[i], share[k], NOISE_SHARE_SIZE);
	}
	noise_done(&n);
	assert_memory_equal(n.pool, zero, sizeof n.pool);
	assert_int_equal(noise_share(&n, share[0], NULL), RC_DENIED);
}

static void steady_clock(void **state)
{
	struct steady clock = { .step = 300 };
	enum health_verdict verdict;
	uint64_t samples;
	struct noise n;
	struct err e = { 0 };

	noise_init(&n, memory);
	n.clock = steady_now;
	n.context = &clock;
	assert_int_equal(noise_start(&n, &e), RC_DENIED);
	assert_non_null(strstr(e.text, "jitter"));
	assert_string_equal(noise_failed(&n, &verdict, &samples), "processor jitter");
	assert_int_equal(verdict, HEALTH_REPETITION);
	assert_int_equal(samples, 161);
}

/* It breaks later, in the middle of a share: none of it comes out, and none after it. */
static void clock_that_breaks(void **state)
{
	uint8_t share[NOISE_SHARE_SIZE];
	struct steady clock = { .now = 99 };
	struct noise n;

	noise_init(&n, memory);
	n.clock = lively_now;
	n.context = &clock;
	n.has_rdseed = false;
	assert_int_equal(noise_start(&n, NULL), RC_OK);
	assert_int_equal(noise_share(&n, share, NULL), RC_OK);
	assert_int_equal(noise_share(&n, share, NULL), RC_OK);
	n.clock = steady_now; /* continues with the last step */
	assert_int_equal(noise_share(&n, share, NULL), RC_DENIED);
	assert_memory_equal(share, zero, sizeof share);
	n.clock = NULL;
	assert_int_equal(noise_share(&n, share, NULL), RC_DENIED);
	assert_int_equal(noise_start(&n, NULL), RC_OK); /* a new start is a new judgement */
	assert_int_equal(noise_share(&n, share, NULL), RC_OK);
}

/* A share depends on each of the durations, and on what came before. */
static void shares_are_chained(void **state)
{
	uint8_t share[3][NOISE_SHARE_SIZE];

	for (int i = 0; i < 3; i++) {
		struct steady clock = { .now = i == 1 ? 12345 : 0 };
		struct noise n;

		noise_init(&n, memory);
		n.clock = lively_now;
		n.context = &clock;
		n.has_rdseed = false;
		assert_int_equal(noise_start(&n, NULL), RC_OK);
		n.pool[0] = i == 2;
		assert_int_equal(noise_share(&n, share[i], NULL), RC_OK);
	}
	assert_memory_not_equal(share[0], share[1], NOISE_SHARE_SIZE);
	assert_memory_not_equal(share[0], share[2], NOISE_SHARE_SIZE);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(this_machine),
		cmocka_unit_test(steady_clock),
		cmocka_unit_test(clock_that_breaks),
		cmocka_unit_test(shares_are_chained),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
