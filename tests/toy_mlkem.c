/*
 * In the place of crypto/mlkem.c, for tests of what is around ML-KEM on machines whose libcrypto lacks it: a mechanism
 * of the same shape and sizes that protects nothing. The key is a stretched digest of d | z, the ciphertext is m in clear and
 * its digest with the key, the shared secret is a digest of both. A ciphertext that was changed gives another secret,
 * as by implicit rejection.
 */
#include "crypto/mlkem.h"

#include "crypto/hash.h"
#include "toy_mlkem.h"

bool toy_mlkem_missing;

static const struct {
	uint16_t number;
	size_t key_n, ciphertext_n;
} sets[] = {
#define E(id, number, key_n, ciphertext_n, name, word) { number, key_n, ciphertext_n },
	MLKEM_SETS(E)
#undef E
};

size_t mlkem_key_size(uint16_t set)
{
	for (size_t i = 0; i < COUNT_OF(sets); i++)
		if (sets[i].number == set)
			return sets[i].key_n;
	return 0;
}

size_t mlkem_ciphertext_size(uint16_t set)
{
	for (size_t i = 0; i < COUNT_OF(sets); i++)
		if (sets[i].number == set)
			return sets[i].ciphertext_n;
	return 0;
}

bool mlkem_available(uint16_t set)
{
	return !toy_mlkem_missing && mlkem_key_size(set) > 0;
}

static void stretch(uint8_t *ret, size_t n, const void *a, size_t a_n, const void *b, size_t b_n)
{
	for (size_t at = 0; at < n; at += SHA256_SIZE) {
		uint8_t block[SHA256_SIZE], counter[4];

		store_be32(counter, (uint32_t)at);
		const struct sha256_part parts[] = { { counter, 4 }, { a, a_n }, { b, b_n } };
		sha256_parts(block, parts, COUNT_OF(parts));
		memcpy(ret + at, block, MIN_OF(sizeof block, n - at));
	}
}

enum rc mlkem_generate(struct mlkem_secret *ret_secret, uint8_t *ret_key, uint16_t set,
	const uint8_t seed[MLKEM_SEED_SIZE], struct err *e)
{
	memset(ret_secret, 0, sizeof *ret_secret);
	if (!mlkem_available(set))
		return err_add(e, RC_UNSUPPORTED, "the test has no ML-KEM");
	stretch(ret_key, mlkem_key_size(set), "key", 3, seed, MLKEM_SEED_SIZE);
	ret_key[0] = 1; /* and nothing else: what is refused as malformed begins otherwise */
	ret_secret->set = set;
	memcpy(ret_secret->seed, seed, MLKEM_SEED_SIZE);
	return RC_OK;
}

enum rc mlkem_encapsulate(uint16_t set, const void *key, size_t key_n,
	const uint8_t random[MLKEM_RANDOM_SIZE], uint8_t *ret_ciphertext,
	uint8_t ret_shared[MLKEM_SHARED_SIZE], struct err *e)
{
	if (!mlkem_available(set))
		return err_add(e, RC_UNSUPPORTED, "the test has no ML-KEM");
	if (key_n != mlkem_key_size(set))
		return err_add(e, RC_RANGE, "the peer's key has %zu octets", key_n);
	if (((const uint8_t *)key)[0] != 1)
		return err_add(e, RC_MALFORMED, "the peer's key is malformed");
	stretch(ret_ciphertext, mlkem_ciphertext_size(set), random, MLKEM_RANDOM_SIZE, key, key_n);
	memcpy(ret_ciphertext, random, MLKEM_RANDOM_SIZE);
	stretch(ret_shared, MLKEM_SHARED_SIZE, ret_ciphertext, mlkem_ciphertext_size(set), key, key_n);
	return RC_OK;
}

enum rc mlkem_decapsulate(const struct mlkem_secret *secret, const void *ciphertext, size_t ciphertext_n,
	uint8_t ret_shared[MLKEM_SHARED_SIZE], struct err *e)
{
	uint8_t key[MLKEM_KEY_MAX];
	struct mlkem_secret again;
	enum rc rc = mlkem_generate(&again, key, secret->set, secret->seed, e);

	if (rc == RC_OK && ciphertext_n != mlkem_ciphertext_size(secret->set))
		rc = err_add(e, RC_RANGE, "the peer's ciphertext has %zu octets", ciphertext_n);
	if (rc == RC_OK)
		stretch(ret_shared, MLKEM_SHARED_SIZE, ciphertext, ciphertext_n, key,
			mlkem_key_size(secret->set));
	return rc;
}

void mlkem_done(struct mlkem_secret *secret)
{
	bytes_wipe(secret, sizeof *secret);
}
