/*
 * HKDF by its RFC's vectors; a leaf's parts against the functions that they are made by; the challenge as a
 * fair choice. The known answers of share/known-answers.json, by another implementation, are checked in
 * tests/unit/keys.
 */
#include "crypto/leaf.h"

#include "crypto/hkdf.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

/* RFC 5869 A.1 and A.3 (no salt, no info). */
static void hkdf_vectors(void **state)
{
	uint8_t material[22], salt[13], info[10], key[HKDF_KEY_SIZE], out[42], want[42];
	const struct prf_part part = { material, sizeof material };

	memset(material, 0x0b, sizeof material);
	for (uint8_t i = 0; i < sizeof salt; i++)
		salt[i] = i;
	for (uint8_t i = 0; i < sizeof info; i++)
		info[i] = (uint8_t)(0xf0 + i);
	assert_int_equal(hkdf_extract(salt, sizeof salt, &part, 1, key), RC_OK);
	assert_int_equal(hkdf_expand(key, info, sizeof info, out, sizeof out), RC_OK);
	assert_true(hex_to_bytes(want, sizeof want,
		"3cb25f25faacd57a90434f64d0362f2a2d2d0a90cf1a5a4c5db02d56ecc4c5bf34007208d5b887185865"));
	assert_memory_equal(out, want, sizeof want);
	assert_int_equal(hkdf_extract(NULL, 0, &part, 1, key), RC_OK);
	assert_int_equal(hkdf_expand(key, NULL, 0, out, sizeof out), RC_OK);
	assert_true(hex_to_bytes(want, sizeof want,
		"8da4e775a563c18f715f802a063c5a31b8a11f5c5ee1879ec3454e5f3c738d2d9d201395faa4b61a96c8"));
	assert_memory_equal(out, want, sizeof want);
	assert_int_equal(hkdf_expand(key, NULL, 0, out, 0), RC_OK);
}

static void groups(void **state)
{
	char text[LEAF_GROUPS_TEXT];
	uint32_t back;

	assert_string_equal(leaf_groups_text(text, LEAF_ALL_GROUPS),
		"modp2048 modp3072 modp4096 ecp256 ecp384 x25519 ml-kem-768 ml-kem-1024");
	assert_string_equal(leaf_groups_text(text, leaf_group_bit(DH_CURVE25519)), "x25519");
	for (uint32_t set = 1; set <= LEAF_ALL_GROUPS; set++) {
		leaf_groups_text(text, set);
		assert_true(leaf_groups_parse(text, strlen(text), &back));
		assert_int_equal(back, set);
		assert_false(leaf_groups_parse(text, strlen(text) - 1, &back));
	}
	assert_false(leaf_groups_parse("", 0, &back));
	assert_false(leaf_groups_parse("x25519 ecp256", 13, &back));
	assert_int_equal(leaf_group_bit(2), 0);
	assert_int_equal(leaf_group_bit(DH_NONE), 0);
}

/* Each group's value is that of its own secret; with another share or another order nothing is the same. */
static void leaf_parts(void **state)
{
	static const uint16_t numbers[] = { DH_ECP_256, DH_ECP_384, DH_CURVE25519 };
	uint8_t a[32] = { 1 }, b[32] = { 2 }, seed[32], swapped[32], secret[DH_SEED_SIZE];
	uint8_t data[LEAF_DATA_MAX], only[LEAF_DATA_MAX], public_value[DH_PUBLIC_MAX], hash[32];
	struct dh_secret dh;

	uint32_t all = leaf_groups_available();

	assert_int_equal(leaf_data_size(LEAF_ALL_GROUPS), LEAF_DATA_MAX);
	assert_int_equal(leaf_data(a, b, all, data), RC_OK);
	sha256(hash, a, sizeof a);
	assert_memory_equal(data, hash, 32);
	sha256(hash, b, sizeof b);
	assert_memory_equal(data + 32, hash, 32);
	assert_int_equal(leaf_seed(a, b, seed), RC_OK);
	assert_int_equal(leaf_seed(b, a, swapped), RC_OK);
	assert_memory_not_equal(seed, swapped, sizeof seed);
	for (size_t i = 0; i < COUNT_OF(numbers); i++) {
		size_t n = dh_public_size(numbers[i]);
		uint32_t bit = leaf_group_bit(numbers[i]);

		assert_int_equal(leaf_secret(seed, numbers[i], secret), RC_OK);
		assert_int_equal(dh_generate(&dh, public_value, numbers[i], secret), RC_OK);
		assert_memory_equal(leaf_public(data, all, numbers[i]), public_value, n);
		assert_int_equal(leaf_data(a, b, bit, only), RC_OK);
		assert_int_equal(leaf_data_size(bit), 64 + n);
		assert_memory_equal(leaf_public(only, bit, numbers[i]), public_value, n);
		assert_null(leaf_public(only, bit, numbers[(i + 1) % COUNT_OF(numbers)]));
		assert_int_equal(leaf_secret(swapped, numbers[i], secret), RC_OK);
		assert_int_equal(dh_generate(&dh, only, numbers[i], secret), RC_OK);
		assert_memory_not_equal(only, public_value, n);
	}
}

/* Of MODP the digest stands there. */
static void leaf_digests(void **state)
{
	uint8_t a[32] = { 1 }, b[32] = { 2 }, seed[32], secret[DH_SEED_SIZE], data[LEAF_DATA_MAX];
	uint8_t value[DH_PUBLIC_MAX], hash[32];
	uint32_t bits = leaf_group_bit(DH_MODP_2048) | leaf_group_bit(DH_CURVE25519);
	struct dh_secret dh;

	assert_int_equal(leaf_data_size(bits), 4 * 32);
	assert_int_equal(leaf_data(a, b, bits, data), RC_OK);
	assert_int_equal(leaf_seed(a, b, seed), RC_OK);
	assert_int_equal(leaf_secret(seed, DH_MODP_2048, secret), RC_OK);
	assert_int_equal(dh_generate(&dh, value, DH_MODP_2048, secret), RC_OK);
	sha256(hash, value, 256);
	assert_memory_equal(leaf_public(data, bits, DH_MODP_2048), hash, 32);
	assert_true(leaf_has_public(data, bits, DH_MODP_2048, value, 256));
	assert_false(leaf_has_public(data, bits, DH_MODP_2048, value, 255));
	assert_false(leaf_has_public(data, bits, DH_MODP_3072, value, 384));
	assert_false(leaf_has_public(data, bits, DH_MODP_2048, hash, 32));
	value[255] ^= 1;
	assert_false(leaf_has_public(data, bits, DH_MODP_2048, value, 256));
	assert_true(leaf_has_public(data, bits, DH_CURVE25519, leaf_public(data, bits, DH_CURVE25519), 32));
}

/* By HKDF a second time; and in the data the digest of the key that they make, where libcrypto can make it. */
static void additional_exchanges(void **state)
{
	static const uint16_t sets[] = { MLKEM_768, MLKEM_1024 };
	uint8_t a[32] = { 1 }, b[32] = { 2 }, seed[32], additional[32], want[64], got[64], key[MLKEM_KEY_MAX];
	uint8_t data[LEAF_DATA_MAX], info[64];
	uint32_t both = leaf_group_bit(MLKEM_768) | leaf_group_bit(MLKEM_1024);
	struct mlkem_secret secret;

	assert_int_equal(leaf_seed(a, b, seed), RC_OK);
	assert_int_equal(leaf_additional(seed, additional), RC_OK);
	assert_int_equal(hkdf_expand(seed, "additional key exchanges", 24, want, 32), RC_OK);
	assert_memory_equal(additional, want, 32);
	for (size_t i = 0; i < COUNT_OF(sets); i++) {
		memcpy(info, "key exchange", 12);
		store_be16(info + 12, sets[i]);
		assert_int_equal(hkdf_expand(additional, info, 14, want, 64), RC_OK);
		assert_int_equal(leaf_key_pair(additional, sets[i], got), RC_OK);
		assert_memory_equal(got, want, 64);
		memcpy(info, "encapsulation", 13);
		store_be16(info + 13, sets[i]);
		assert_int_equal(hkdf_expand(additional, info, 15, want, 32), RC_OK);
		assert_int_equal(leaf_encapsulation(additional, sets[i], got), RC_OK);
		assert_memory_equal(got, want, 32);
	}
	assert_int_equal(leaf_data_size(both), 4 * 32);
	if (!mlkem_available(MLKEM_768)) {
		assert_int_equal(leaf_data(a, b, both, data), RC_UNSUPPORTED);
		assert_int_equal(leaf_groups_available(), LEAF_DH_GROUPS);
		return;
	}
	assert_int_equal(leaf_groups_available(), LEAF_ALL_GROUPS);
	assert_int_equal(leaf_data(a, b, both, data), RC_OK);
	for (size_t i = 0; i < COUNT_OF(sets); i++) {
		assert_int_equal(leaf_key_pair(additional, sets[i], got), RC_OK);
		assert_int_equal(mlkem_generate(&secret, key, sets[i], got, NULL), RC_OK);
		sha256(want, key, mlkem_key_size(sets[i]));
		assert_memory_equal(leaf_public(data, both, sets[i]), want, 32);
	}
}

/* k different ones; each place comes about as often as another; what came later changes the choice. */
static void challenge_is_fair(void **state)
{
	enum { N = 256, K = 64, ROUNDS = 4000 };
	uint32_t picked[K], other[K], count[N] = { 0 };
	uint8_t root[SHA256_SIZE];

	for (uint32_t r = 0; r < ROUNDS; r++) {
		bool seen[N] = { false };

		sha256(root, &r, sizeof r);
		leaf_challenge(root, NULL, 0, N, K, picked);
		for (size_t i = 0; i < K; i++) {
			assert_true(picked[i] < N && !seen[picked[i]]);
			seen[picked[i]] = true;
			count[picked[i]]++;
		}
	}
	/* Binomial: 1000 on average, standard deviation 27; six of them is one in 10^9 for each place. */
	for (size_t i = 0; i < N; i++)
		assert_in_range(count[i], 1000 - 6 * 27, 1000 + 6 * 27);
	leaf_challenge(root, "x", 1, N, K, other);
	assert_memory_not_equal(other, picked, sizeof other);
	leaf_challenge(root, NULL, 0, 1, 1, other);
	assert_int_equal(other[0], 0);
	root[0] ^= 1;
	leaf_challenge(root, NULL, 0, N, K, other);
	assert_memory_not_equal(other, picked, sizeof other);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(hkdf_vectors),
		cmocka_unit_test(groups),
		cmocka_unit_test(leaf_parts),
		cmocka_unit_test(leaf_digests),
		cmocka_unit_test(additional_exchanges),
		cmocka_unit_test(challenge_is_fair),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
