/*
 * The health tests: cutoffs computed again from SP 800-90B's formulas, exactly when they strike, that a
 * failure stays, and that a good source passes.
 */
#include "crypto/health.h"

#include "base/bytes.h"
#include "crypto/hash.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#define ALPHA_BITS 40 /* one false alarm in 2^40 */

static const double claimed[HEALTH_CLAIM_COUNT] = {
#define E(id, bits, repetition, proportion, text) [HEALTH_##id] = bits,
	HEALTH_CLAIMS(E)
#undef E
};

/* 4.4.2: 1 + the smallest c for which as many or fewer of W come with a chance of 1 - alpha. */
static uint32_t proportion_cutoff(double bits)
{
	long double p = powl(2, -(long double)bits), alpha = powl(2, -ALPHA_BITS), tail = 0;
	uint32_t c = HEALTH_WINDOW;

	for (;; c--) {
		long double term = expl(lgammal(HEALTH_WINDOW + 1.0L) - lgammal(c + 1.0L) -
					lgammal(HEALTH_WINDOW - c + 1.0L) + c * logl(p) +
					(HEALTH_WINDOW - c) * logl(1 - p));
		if (tail + term > alpha)
			return c + 1;
		tail += term;
	}
}

static void cutoffs_are_the_standards(void **state)
{
	for (int c = 0; c < HEALTH_CLAIM_COUNT; c++) {
		/* 4.4.1: 1 + ceil(-log2(alpha) / H) */
		assert_int_equal(health_cutoff((enum health_claim)c, HEALTH_REPETITION),
			1 + (uint32_t)ceil(ALPHA_BITS / claimed[c]));
		assert_int_equal(health_cutoff((enum health_claim)c, HEALTH_PROPORTION),
			proportion_cutoff(claimed[c]));
	}
}

static void stuck_source(void **state)
{
	for (int c = 0; c < HEALTH_CLAIM_COUNT; c++) {
		uint32_t cutoff = health_cutoff((enum health_claim)c, HEALTH_REPETITION);
		const uint8_t stuck = 0;
		struct health h;

		health_begin(&h, (enum health_claim)c);
		for (uint32_t i = 1; i < cutoff; i++)
			assert_true(health_take(&h, &stuck, 1));
		assert_false(health_take(&h, &stuck, 1));
		assert_int_equal(h.verdict, HEALTH_REPETITION);
		assert_int_equal(h.samples, cutoff);
	}
}

/* One value too often, though never long in a row: the second test alone finds it, in its first window. */
static void lopsided_source(void **state)
{
	static const uint64_t every[HEALTH_CLAIM_COUNT] = {
		[HEALTH_QUARTER_BIT] = 64, [HEALTH_FOUR_BITS] = 8
	};

	for (int c = 0; c < HEALTH_CLAIM_COUNT; c++) {
		uint32_t cutoff = health_cutoff((enum health_claim)c, HEALTH_PROPORTION), same = 0;
		struct health h;

		health_begin(&h, (enum health_claim)c);
		while (same < cutoff) {
			uint8_t sample = h.samples % every[c] == every[c] - 1 ? 8 : 7;

			same += sample == 7;
			assert_int_equal(health_take(&h, &sample, 1), same < cutoff);
		}
		assert_int_equal(h.verdict, HEALTH_PROPORTION);
		assert_true(h.samples <= HEALTH_WINDOW);
	}
}

static void a_failure_stays(void **state)
{
	const uint8_t stuck[16] = { 0 }, other[2] = { 1, 2 };
	struct health h;

	health_begin(&h, HEALTH_FOUR_BITS);
	assert_false(health_take(&h, stuck, sizeof stuck));
	assert_int_equal(h.samples, 11); /* no further sample is looked at */
	assert_false(health_take(&h, other, sizeof other));
	assert_false(health_started(&h));
	health_begin(&h, HEALTH_FOUR_BITS);
	assert_true(health_take(&h, other, sizeof other));
	assert_false(health_started(&h)); /* too few samples yet */
}

static void good_source(void **state)
{
	uint8_t octets[SHA256_SIZE];
	struct health h;

	health_begin(&h, HEALTH_FOUR_BITS);
	for (uint32_t i = 0; i < 1u << 16; i++) {
		sha256(octets, &i, sizeof i);
		assert_true(health_take(&h, octets, sizeof octets));
	}
	assert_true(health_started(&h));
	assert_int_equal(h.samples, (1u << 16) * SHA256_SIZE);
	/* Two bits in an octet are not four. */
	for (uint32_t i = 0; h.verdict == HEALTH_GOOD && i < 1000; i++) {
		sha256(octets, &i, sizeof i);
		for (size_t k = 0; k < sizeof octets; k++)
			octets[k] &= 3;
		health_take(&h, octets, sizeof octets);
	}
	assert_int_equal(h.verdict, HEALTH_PROPORTION);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(cutoffs_are_the_standards),
		cmocka_unit_test(stuck_source),
		cmocka_unit_test(lopsided_source),
		cmocka_unit_test(a_failure_stays),
		cmocka_unit_test(good_source),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
