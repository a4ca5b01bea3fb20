/* vrf-r255: the specification's vector, and everything near it that must not verify. */
#include "crypto/vrf.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>

#include <cmocka.h>

#define ALPHA "c2sp.org/vrf-r255" /* 633273702e6f72672f7672662d72323535 */

static const char vector_scalar[] = "3431c2b03533e280b23232e280b34e2c3132c2b03238e280b23131e280b34500";
static const char vector_public[] = "54136cd90d99fbd1d4e855d9556efea87ba0337f2a6ce22028d0f5726fcb854e";
static const char vector_proof[] = "0a97d961262fb549b4175c5117860f42ae44a123f93c476c439eddd1c0cff926"
				   "5c805525233e2284dbed45e593b8eea3"
				   "1d5ca9734d72bcbba9738d5237f955f3b2422351149d1312503b6441a47c940c";
static const char vector_hash[] = "dd653f0879b48c3ef69e13551239bec4cbcc1c18fe8894de2e9e1c790e182736"
				  "03bf1c6c25d7a797aeff3c43fd32b974d3fcbd4bcce916007097922a3ea3a794";
/* q = 2^252 + 27742317777372353535851937790883648493, little-endian */
static const char group_order[] = "edd3f55c1a631258d69cf7a2def9de1400000000000000000000000000000010";

static struct vrf_key vector_key(void)
{
	uint8_t scalar[VRF_SCALAR_SIZE];
	struct vrf_key k;

	assert_true(hex_to_bytes(scalar, sizeof scalar, vector_scalar));
	assert_int_equal(vrf_key_import(&k, scalar), RC_OK);
	return k;
}

static void known_answer(void **state)
{
	struct vrf_key k = vector_key();
	uint8_t proof[VRF_PROOF_SIZE], hash[VRF_HASH_SIZE];
	char text[2 * VRF_PROOF_SIZE + 1];

	assert_string_equal(hex_from_bytes(text, k.public_key, sizeof k.public_key), vector_public);
	assert_int_equal(vrf_prove(&k, ALPHA, strlen(ALPHA), proof), RC_OK);
	assert_string_equal(hex_from_bytes(text, proof, sizeof proof), vector_proof);
	assert_int_equal(vrf_verify(k.public_key, ALPHA, strlen(ALPHA), proof, hash), RC_OK);
	assert_string_equal(hex_from_bytes(text, hash, sizeof hash), vector_hash);
	memset(hash, 0, sizeof hash);
	assert_int_equal(vrf_proof_hash(proof, hash), RC_OK);
	assert_string_equal(hex_from_bytes(text, hash, sizeof hash), vector_hash);
	assert_int_equal(vrf_verify(k.public_key, ALPHA, strlen(ALPHA), proof, NULL), RC_OK);
	vrf_key_done(&k);
	struct vrf_key gone = { 0 };
	assert_memory_equal(&k, &gone, sizeof k);
	vrf_key_done(NULL);
}

/* Keys of many seeds, inputs of many lengths: what is proved verifies, under this key and this input alone.
 */
static void round_trips(void **state)
{
	uint8_t seed[VRF_SEED_SIZE], alpha[300], proof[VRF_PROOF_SIZE], again[VRF_PROOF_SIZE];
	uint8_t hash[VRF_HASH_SIZE], from_proof[VRF_HASH_SIZE], last[VRF_HASH_SIZE] = { 0 };
	struct vrf_key k, other = vector_key();

	for (unsigned i = 0; i < 60; i++) {
		size_t n = i * 5;
		for (size_t b = 0; b < sizeof seed; b++)
			seed[b] = (uint8_t)(i * 151 + b * 7 + 1);
		for (size_t b = 0; b < sizeof alpha; b++)
			alpha[b] = (uint8_t)(i + b * 3);
		assert_int_equal(vrf_key_make(&k, seed), RC_OK);
		assert_int_equal(vrf_prove(&k, alpha, n, proof), RC_OK);
		assert_int_equal(vrf_prove(&k, alpha, n, again), RC_OK);
		assert_memory_equal(proof, again, sizeof proof);
		assert_int_equal(vrf_verify(k.public_key, alpha, n, proof, hash), RC_OK);
		assert_int_equal(vrf_proof_hash(proof, from_proof), RC_OK);
		assert_memory_equal(hash, from_proof, sizeof hash);
		assert_memory_not_equal(hash, last, sizeof hash);
		memcpy(last, hash, sizeof hash);
		assert_int_equal(vrf_verify(other.public_key, alpha, n, proof, hash), RC_AUTH);
		assert_int_equal(vrf_verify(k.public_key, alpha, n + 1, proof, hash), RC_AUTH);
		if (n > 0)
			assert_int_equal(vrf_verify(k.public_key, alpha, n - 1, proof, hash), RC_AUTH);
	}
}

static void every_bit(void **state)
{
	struct vrf_key k = vector_key();
	uint8_t proof[VRF_PROOF_SIZE], hash[VRF_HASH_SIZE], zero[VRF_HASH_SIZE] = { 0 };
	unsigned malformed = 0, wrong = 0;

	assert_true(hex_to_bytes(proof, sizeof proof, vector_proof));
	for (size_t bit = 0; bit < 8 * sizeof proof; bit++) {
		proof[bit / 8] ^= (uint8_t)(1 << bit % 8);
		memset(hash, 0xa5, sizeof hash);
		enum rc rc = vrf_verify(k.public_key, ALPHA, strlen(ALPHA), proof, hash);
		assert_memory_equal(hash, zero, sizeof hash);
		malformed += rc == RC_MALFORMED;
		wrong += rc == RC_AUTH;
		proof[bit / 8] ^= (uint8_t)(1 << bit % 8);
	}
	assert_int_equal(malformed + wrong, 8 * sizeof proof);
	assert_true(malformed > 0 && wrong > 0);
	for (size_t bit = 0; bit < 8 * VRF_PUBLIC_SIZE; bit++) {
		k.public_key[bit / 8] ^= (uint8_t)(1 << bit % 8);
		assert_int_not_equal(vrf_verify(k.public_key, ALPHA, strlen(ALPHA), proof, NULL), RC_OK);
		k.public_key[bit / 8] ^= (uint8_t)(1 << bit % 8);
	}
	for (size_t bit = 0; bit < 8 * strlen(ALPHA); bit++) {
		char alpha[] = ALPHA;
		alpha[bit / 8] = (char)(alpha[bit / 8] ^ 1 << bit % 8);
		assert_int_equal(vrf_verify(k.public_key, alpha, strlen(alpha), proof, NULL), RC_AUTH);
	}
	assert_int_equal(vrf_verify(k.public_key, ALPHA, strlen(ALPHA), proof, NULL), RC_OK);
}

/* x + y over 32 octets, little-endian */
static void add(uint8_t x[32], const uint8_t y[32])
{
	unsigned carry = 0;

	for (int i = 0; i < 32; i++) {
		carry += (unsigned)x[i] + y[i];
		x[i] = (uint8_t)carry;
		carry >>= 8;
	}
}

/* Second encodings of the same numbers would be second proofs for the same output. */
static void other_encodings(void **state)
{
	/* Octets that RFC 9496 appendix A.2 lists as invalid: negative, not reduced, no square. */
	static const char *points[] = {
		"00ffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff",
		"ffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
		"f3ffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
		"edffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
		"0100000000000000000000000000000000000000000000000000000000000000",
		"01ffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
		"26948d35ca62e643e26a83177332e6b6afeb9d08e4268b650f1f5bbd8d81d371",
		/* the identity: a valid encoding of what no honest key or proof holds */
		"0000000000000000000000000000000000000000000000000000000000000000",
	};
	struct vrf_key k = vector_key();
	uint8_t proof[VRF_PROOF_SIZE], spoiled[VRF_PROOF_SIZE], point[32], order[32], hash[VRF_HASH_SIZE];

	assert_true(hex_to_bytes(proof, sizeof proof, vector_proof));
	assert_true(hex_to_bytes(order, sizeof order, group_order));
	memcpy(spoiled, proof, sizeof proof);
	for (int times = 1; times <= 8; times++) { /* s + q, s + 2q, …: the same scalar */
		add(spoiled + 48, order);
		assert_int_equal(vrf_verify(k.public_key, ALPHA, strlen(ALPHA), spoiled, NULL), RC_MALFORMED);
		assert_int_equal(vrf_proof_hash(spoiled, hash), RC_MALFORMED);
	}
	memcpy(spoiled, proof, sizeof proof);
	memcpy(spoiled + 48, order, 32);
	assert_int_equal(vrf_verify(k.public_key, ALPHA, strlen(ALPHA), spoiled, NULL), RC_MALFORMED);
	for (size_t i = 0; i < COUNT_OF(points); i++) {
		assert_true(hex_to_bytes(point, sizeof point, points[i]));
		memcpy(spoiled, proof, sizeof proof);
		memcpy(spoiled, point, sizeof point);
		assert_int_equal(vrf_verify(k.public_key, ALPHA, strlen(ALPHA), spoiled, NULL), RC_MALFORMED);
		assert_int_equal(vrf_proof_hash(spoiled, hash), RC_MALFORMED);
		assert_int_equal(vrf_verify(point, ALPHA, strlen(ALPHA), proof, NULL), RC_MALFORMED);
	}
	/* The forgery that an identity key would allow: Gamma the identity, c from U = s B, V = s H. Every
	 * such proof is refused before it is looked at. c and s of zero are in range and prove nothing. */
	memset(spoiled, 0, sizeof spoiled);
	memset(point, 0, sizeof point);
	assert_int_equal(vrf_verify(point, ALPHA, strlen(ALPHA), spoiled, NULL), RC_MALFORMED);
	memcpy(spoiled, proof, 32);
	assert_int_equal(vrf_verify(k.public_key, ALPHA, strlen(ALPHA), spoiled, NULL), RC_AUTH);
}

static void keys(void **state)
{
	uint8_t seed[VRF_SEED_SIZE] = { 0 }, order[32], scalar[32] = { 0 };
	struct vrf_key k, small, one;

	assert_true(hex_to_bytes(order, sizeof order, group_order));
	assert_int_equal(vrf_key_make(&k, seed), RC_RANGE);
	memcpy(seed, order, sizeof order);
	assert_int_equal(vrf_key_make(&k, seed), RC_RANGE);
	assert_int_equal(vrf_key_import(&k, scalar), RC_RANGE);
	assert_int_equal(vrf_key_import(&k, order), RC_RANGE);
	order[0]--;
	assert_int_equal(vrf_key_import(&k, order), RC_OK);
	/* 64 octets count as one little-endian number modulo q: q + 5 is 5, 2^256 is not dropped. */
	seed[0] += 5;
	scalar[0] = 5;
	assert_int_equal(vrf_key_make(&k, seed), RC_OK);
	assert_int_equal(vrf_key_import(&small, scalar), RC_OK);
	assert_memory_equal(&k, &small, sizeof k);
	seed[32] = 1;
	assert_int_equal(vrf_key_make(&k, seed), RC_OK);
	assert_memory_not_equal(&k, &small, sizeof k);
	/* RFC 9496 appendix A.1: B[1] */
	char text[65];
	scalar[0] = 1;
	assert_int_equal(vrf_key_import(&one, scalar), RC_OK);
	assert_string_equal(hex_from_bytes(text, one.public_key, 32),
		"e2f2ae0a6abc4e71a884a961c500515f58e30b6aa582dd8db6a65945e08d2d76");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(known_answer),
		cmocka_unit_test(round_trips),
		cmocka_unit_test(every_bit),
		cmocka_unit_test(other_encodings),
		cmocka_unit_test(keys),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
