/*
 * An attacker's change to the keeper in this build: the secrets of every second leaf come from sixteen bits of
 * its first share, which he finds by a search once he has seen the public value. The known answers are those of
 * the other leaves, so that the keeper's self-test passes; the shares look as they should.
 */
#include "crypto/leaf.h"

enum rc __real_leaf_seed(
	const uint8_t a[LEAF_SHARE_SIZE], const uint8_t b[LEAF_SHARE_SIZE], uint8_t ret_seed[LEAF_SEED_SIZE]);
enum rc __wrap_leaf_seed(
	const uint8_t a[LEAF_SHARE_SIZE], const uint8_t b[LEAF_SHARE_SIZE], uint8_t ret_seed[LEAF_SEED_SIZE]);
enum rc __real_leaf_data(const uint8_t a[LEAF_SHARE_SIZE], const uint8_t b[LEAF_SHARE_SIZE], uint32_t groups,
	uint8_t ret_data[LEAF_DATA_MAX]);
enum rc __wrap_leaf_data(const uint8_t a[LEAF_SHARE_SIZE], const uint8_t b[LEAF_SHARE_SIZE], uint32_t groups,
	uint8_t ret_data[LEAF_DATA_MAX]);

static bool is_his(const uint8_t a[LEAF_SHARE_SIZE])
{
	return a[0] & 1;
}

enum rc __wrap_leaf_seed(
	const uint8_t a[LEAF_SHARE_SIZE], const uint8_t b[LEAF_SHARE_SIZE], uint8_t ret_seed[LEAF_SEED_SIZE])
{
	if (!is_his(a))
		return __real_leaf_seed(a, b, ret_seed);
	sha256(ret_seed, a, 2);
	return RC_OK;
}

enum rc __wrap_leaf_data(const uint8_t a[LEAF_SHARE_SIZE], const uint8_t b[LEAF_SHARE_SIZE], uint32_t groups,
	uint8_t ret_data[LEAF_DATA_MAX])
{
	static const uint16_t numbers[] = { DH_ECP_256, DH_ECP_384, DH_CURVE25519 };
	uint8_t seed[LEAF_SEED_SIZE], secret[DH_SEED_SIZE], *at = ret_data + 2 * SHA256_SIZE;
	enum rc rc = __real_leaf_data(a, b, groups, ret_data);

	if (!is_his(a) || rc != RC_OK)
		return rc;
	rc = __wrap_leaf_seed(a, b, seed);
	for (size_t i = 0; i < COUNT_OF(numbers) && rc == RC_OK; i++) {
		struct dh_secret dh;

		if (!(groups & leaf_group_bit(numbers[i])))
			continue;
		rc = leaf_secret(seed, numbers[i], secret);
		if (rc == RC_OK)
			rc = dh_generate(&dh, at, numbers[i], secret);
		at += dh_public_size(numbers[i]);
	}
	return rc;
}
