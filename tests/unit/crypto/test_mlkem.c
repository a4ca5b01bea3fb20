/*
 * ML-KEM: all of Wycheproof's vectors where libcrypto has it, two sides, wrong sizes, implicit rejection; and
 * where libcrypto does not have it, that it says so and gives nothing. Which of both is asked of libcrypto's
 * version, not of the code under test.
 */
#include "wycheproof.h"

#include "crypto/mlkem.h"

#include <openssl/crypto.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>

#include <cmocka.h>

static const uint16_t sets[] = { MLKEM_768, MLKEM_1024 };

static bool expected_here(void)
{
	return OPENSSL_version_major() > 3 || (OPENSSL_version_major() == 3 && OPENSSL_version_minor() >= 5);
}

static bool all_zero(const uint8_t *b, size_t n)
{
	uint8_t any = 0;

	for (size_t i = 0; i < n; i++)
		any |= b[i];
	return any == 0;
}

static void availability_is_libcryptos(void **state)
{
	for (size_t i = 0; i < COUNT_OF(sets); i++)
		assert_int_equal(mlkem_available(sets[i]), expected_here());
	assert_false(mlkem_available(0));
	assert_false(mlkem_available(31));
	assert_false(mlkem_available(35)); /* ML-KEM-512 is none of ours */
}

/* Without it: a sentence that names the version needed, and no secret. */
static void absence_is_said(void **state)
{
	uint8_t seed[MLKEM_SEED_SIZE] = { 1 }, key[MLKEM_KEY_MAX] = { 0 }, ct[MLKEM_CIPHERTEXT_MAX], k[32];
	struct mlkem_secret s;
	struct err e = { 0 };

	if (expected_here())
		skip();
	memset(k, 0xaa, sizeof k);
	assert_int_equal(mlkem_generate(&s, key, MLKEM_768, seed, &e), RC_UNSUPPORTED);
	assert_non_null(strstr(e.text, "ML-KEM-768 needs libcrypto 3.5 or later"));
	assert_int_equal(s.set, 0);
	assert_int_equal(mlkem_encapsulate(MLKEM_1024, key, sizeof key, seed, ct, k, NULL), RC_UNSUPPORTED);
	assert_true(all_zero(k, sizeof k));
	s.set = MLKEM_768;
	assert_int_equal(mlkem_decapsulate(&s, ct, 1088, k, NULL), RC_UNSUPPORTED);
}

static void two_sides_agree(void **state)
{
	if (!expected_here())
		skip();
	for (size_t i = 0; i < COUNT_OF(sets); i++) {
		uint8_t seed[MLKEM_SEED_SIZE], m[MLKEM_RANDOM_SIZE], key[2][MLKEM_KEY_MAX];
		uint8_t ct[2][MLKEM_CIPHERTEXT_MAX], k[3][MLKEM_SHARED_SIZE];
		size_t key_n = mlkem_key_size(sets[i]), ct_n = mlkem_ciphertext_size(sets[i]);
		struct mlkem_secret s, again;

		for (size_t j = 0; j < sizeof seed; j++)
			seed[j] = (uint8_t)(j * 7 + i);
		memset(m, 0x42, sizeof m);
		assert_int_equal(mlkem_generate(&s, key[0], sets[i], seed, NULL), RC_OK);
		assert_int_equal(mlkem_generate(&again, key[1], sets[i], seed, NULL), RC_OK);
		assert_memory_equal(key[0], key[1], key_n);
		for (int j = 0; j < 2; j++)
			assert_int_equal(
				mlkem_encapsulate(sets[i], key[0], key_n, m, ct[j], k[j], NULL), RC_OK);
		assert_memory_equal(ct[0], ct[1], ct_n);
		assert_int_equal(mlkem_decapsulate(&s, ct[0], ct_n, k[2], NULL), RC_OK);
		assert_memory_equal(k[0], k[2], sizeof k[2]);
		/* FIPS 203 algorithm 18: another ciphertext gives another secret, and no error. */
		ct[0][0] ^= 1;
		assert_int_equal(mlkem_decapsulate(&s, ct[0], ct_n, k[2], NULL), RC_OK);
		assert_memory_not_equal(k[0], k[2], sizeof k[2]);
		/* Other randomness, another ciphertext. */
		m[31] ^= 1;
		assert_int_equal(mlkem_encapsulate(sets[i], key[0], key_n, m, ct[0], k[1], NULL), RC_OK);
		assert_memory_not_equal(ct[0], ct[1], ct_n);
		mlkem_done(&s);
		assert_true(all_zero((const uint8_t *)&s, sizeof s));
	}
}

static void wrong_sizes_are_refused(void **state)
{
	uint8_t seed[MLKEM_SEED_SIZE] = { 1 }, bytes[MLKEM_KEY_MAX + 1] = { 0 }, ct[MLKEM_CIPHERTEXT_MAX];
	uint8_t k[MLKEM_SHARED_SIZE];

	if (!expected_here())
		skip();
	for (size_t i = 0; i < COUNT_OF(sets); i++) {
		struct mlkem_secret s;
		struct err e = { 0 };

		assert_int_equal(mlkem_generate(&s, bytes, sets[i], seed, NULL), RC_OK);
		for (size_t n = 0; n <= sizeof bytes; n++) {
			if (n != mlkem_key_size(sets[i]))
				assert_int_equal(
					mlkem_encapsulate(sets[i], bytes, n, seed, ct, k, NULL), RC_RANGE);
			if (n != mlkem_ciphertext_size(sets[i]))
				assert_int_equal(mlkem_decapsulate(&s, bytes, n, k, NULL), RC_RANGE);
			assert_true(all_zero(k, sizeof k));
		}
		memset(bytes, 0xff, 3); /* a coefficient of 4095 */
		assert_int_equal(mlkem_encapsulate(sets[i], bytes, mlkem_key_size(sets[i]), seed, ct, k, &e),
			RC_MALFORMED);
		assert_non_null(strstr(e.text, "3329"));
		assert_true(all_zero(k, sizeof k));
	}
	assert_int_equal(mlkem_encapsulate(35, bytes, 800, seed, ct, k, NULL), RC_UNSUPPORTED);
	assert_int_equal(mlkem_decapsulate(&(struct mlkem_secret){ 0 }, bytes, 1088, k, NULL), RC_INTERNAL);
}

static enum wyche_verdict verdict(bool accepted)
{
	return accepted ? WYCHE_ACCEPTED : WYCHE_REFUSED;
}

static uint16_t set_of(const struct wyche_case *c)
{
	const char *name = json_string_value(json_object_get(c->group, "parameterSet"));

	return strcmp(name, "ML-KEM-768") == 0 ? MLKEM_768 : MLKEM_1024;
}

/* The decapsulation key as octets (dk) is never ours: the seed is what is kept. */
static enum wyche_verdict judge_keygen(const struct wyche_case *c)
{
	struct wyche_bytes seed = wyche_hex(c->test, "seed"), ek = wyche_hex(c->test, "ek");
	uint8_t key[MLKEM_KEY_MAX];
	struct mlkem_secret s;

	assert_int_equal(seed.n, MLKEM_SEED_SIZE);
	assert_int_equal(mlkem_generate(&s, key, set_of(c), seed.b, NULL), RC_OK);
	return verdict(ek.n == mlkem_key_size(set_of(c)) && memcmp(key, ek.b, ek.n) == 0);
}

static enum wyche_verdict judge_encaps(const struct wyche_case *c)
{
	struct wyche_bytes ek = wyche_hex(c->test, "ek"), m = wyche_hex(c->test, "m");
	struct wyche_bytes want = wyche_hex(c->test, "c"), want_k = wyche_hex(c->test, "K");
	uint8_t ct[MLKEM_CIPHERTEXT_MAX], k[MLKEM_SHARED_SIZE];

	if (m.n != MLKEM_RANDOM_SIZE)
		return WYCHE_NOT_OURS; /* cannot be expressed */
	if (mlkem_encapsulate(set_of(c), ek.b, ek.n, m.b, ct, k, NULL) != RC_OK)
		return WYCHE_REFUSED;
	return verdict(want.n == mlkem_ciphertext_size(set_of(c)) && memcmp(ct, want.b, want.n) == 0 &&
		       want_k.n == sizeof k && memcmp(k, want_k.b, sizeof k) == 0);
}

static enum wyche_verdict judge_decaps(const struct wyche_case *c)
{
	struct wyche_bytes seed = wyche_hex(c->test, "seed"), ct = wyche_hex(c->test, "c");
	struct wyche_bytes want = wyche_hex(c->test, "K");
	uint8_t key[MLKEM_KEY_MAX], k[MLKEM_SHARED_SIZE];
	struct mlkem_secret s;

	if (seed.n != MLKEM_SEED_SIZE)
		return WYCHE_NOT_OURS; /* cannot be expressed */
	assert_int_equal(mlkem_generate(&s, key, set_of(c), seed.b, NULL), RC_OK);
	if (mlkem_decapsulate(&s, ct.b, ct.n, k, NULL) != RC_OK)
		return WYCHE_REFUSED;
	return verdict(want.n == sizeof k && memcmp(k, want.b, sizeof k) == 0);
}

static void wycheproof(void **state)
{
	if (!expected_here() || !wyche_present())
		skip();
	wyche_run("mlkem_768_keygen_seed_test", 100, judge_keygen);
	wyche_run("mlkem_1024_keygen_seed_test", 100, judge_keygen);
	wyche_run("mlkem_768_encaps_test", 200, judge_encaps);
	wyche_run("mlkem_1024_encaps_test", 200, judge_encaps);
	wyche_run("mlkem_768_test", 150, judge_decaps);
	wyche_run("mlkem_1024_test", 150, judge_decaps);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(availability_is_libcryptos),
		cmocka_unit_test(absence_is_said),
		cmocka_unit_test(two_sides_agree),
		cmocka_unit_test(wrong_sizes_are_refused),
		cmocka_unit_test(wycheproof),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
