/*
 * The generators: known answers that were computed by another implementation, erasure, and that two of them
 * have nothing in common.
 */
#include "proc/keeper/generator.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>

#include <cmocka.h>

/*
 * By Python's hmac and openssl enc -chacha20, for the label "secret" and seeds of 00 01 … 1f, then 01 02 …
 * 20: the first 16 octets of two draws of 96.
 */
static void known_answers(void **state)
{
	static const char *const want[2] = {
		"7549b9bc762b5937cdf1fe708c68bce4",
		"24693216a523f939e2574ab89a829ee6",
	};
	uint8_t seed[32], out[96], expected[16];
	struct generator g;

	generator_init(&g, "secret");
	for (uint8_t i = 0; i < 2; i++) {
		for (uint8_t k = 0; k < 32; k++)
			seed[k] = (uint8_t)(i + k);
		assert_true(generator_draw(&g, seed, out, sizeof out));
		assert_true(hex_to_bytes(expected, 16, want[i]));
		assert_memory_equal(out, expected, 16);
	}
}

static void labels_part(void **state)
{
	uint8_t seed[32] = { 7 }, a[64], b[64];
	struct generator secrets, public_values;

	generator_init(&secrets, "secret");
	generator_init(&public_values, "public");
	assert_true(generator_draw(&secrets, seed, a, sizeof a));
	assert_true(generator_draw(
		&public_values, seed, b, sizeof b)); /* even with one seed, which never happens */
	assert_memory_not_equal(a, b, sizeof a);
	assert_memory_not_equal(secrets.key, public_values.key, 32);
}

/* The key that made an output is gone, and no part of the output is the key. */
static void erasure(void **state)
{
	uint8_t seed[32] = { 9 }, before[32], out[GENERATOR_OUTPUT_MAX];
	struct generator g;

	generator_init(&g, "secret");
	assert_true(generator_draw(&g, seed, out, 32));
	memcpy(before, g.key, 32);
	assert_true(generator_draw(&g, seed, out, sizeof out));
	assert_memory_not_equal(g.key, before, 32);
	for (size_t at = 0; at + 32 <= sizeof out; at++)
		assert_memory_not_equal(out + at, g.key, 32);
	assert_false(generator_draw(&g, seed, out, GENERATOR_OUTPUT_MAX + 1));
	generator_done(&g);
	memset(before, 0, sizeof before);
	assert_memory_equal(g.key, before, 32);
}

static void fresh(void **state)
{
	uint8_t a[96], b[96], c[96];
	struct generator g, h;

	generator_init(&g, "secret");
	generator_init(&h, "secret");
	assert_int_equal(generator_fresh(&g, a, sizeof a, NULL), RC_OK);
	assert_int_equal(generator_fresh(&g, b, sizeof b, NULL), RC_OK);
	assert_int_equal(generator_fresh(&h, c, sizeof c, NULL), RC_OK);
	assert_memory_not_equal(a, b, sizeof a);
	assert_memory_not_equal(a, c, sizeof a); /* the kernel's seed differs */
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(known_answers),
		cmocka_unit_test(labels_part),
		cmocka_unit_test(erasure),
		cmocka_unit_test(fresh),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
