#include "crypto/vrf.h"

#include <sodium/crypto_core_ristretto255.h>
#include <sodium/crypto_hash_sha512.h>
#include <sodium/crypto_scalarmult_ristretto255.h>

#define POINT_SIZE     32
#define CHALLENGE_SIZE 16

_Static_assert(VRF_PROOF_SIZE == POINT_SIZE + CHALLENGE_SIZE + VRF_SCALAR_SIZE, "Gamma, c, s");
_Static_assert(VRF_SCALAR_SIZE == crypto_core_ristretto255_SCALARBYTES, "libsodium's scalars");
_Static_assert(VRF_SEED_SIZE == crypto_core_ristretto255_NONREDUCEDSCALARBYTES, "wide enough to be uniform");
_Static_assert(POINT_SIZE == crypto_core_ristretto255_BYTES, "libsodium's points");

/* suite_string of C2SP vrf-r255, without a terminator */
static const char suite[] = { '\xff', 'c', '2', 's', 'p', '.', 'o', 'r', 'g', '/', 'v', 'r', 'f', '-', 'r',
	'2', '5', '5' };

/* What separates the uses of the hash: RFC 9381 sections 5.2, 5.4.3, and C2SP's own two. */
enum domain { DOMAIN_CHALLENGE = 0x02, DOMAIN_HASH = 0x03, DOMAIN_NONCE = 0x81, DOMAIN_ENCODE = 0x82 };

struct part {
	const void *bytes;
	size_t n;
};

/* SHA-512(suite || domain || parts…), followed by 00 where the RFC has it */
static void digest(
	enum domain d, const struct part *parts, size_t parts_n, uint8_t ret[crypto_hash_sha512_BYTES])
{
	crypto_hash_sha512_state s;
	uint8_t octet = (uint8_t)d;

	crypto_hash_sha512_init(&s);
	crypto_hash_sha512_update(&s, (const uint8_t *)suite, sizeof suite);
	crypto_hash_sha512_update(&s, &octet, 1);
	for (size_t i = 0; i < parts_n; i++)
		crypto_hash_sha512_update(&s, parts[i].bytes, parts[i].n);
	if (d == DOMAIN_CHALLENGE || d == DOMAIN_HASH)
		crypto_hash_sha512_update(&s, (const uint8_t *)"", 1);
	crypto_hash_sha512_final(&s, ret);
	bytes_wipe(&s, sizeof s);
}

static bool all_zero(const uint8_t *b, size_t n)
{
	uint8_t any = 0;

	for (size_t i = 0; i < n; i++)
		any |= b[i];
	return any == 0;
}

/* Below q: what reducing leaves as it is. */
static bool scalar_canonical(const uint8_t s[VRF_SCALAR_SIZE])
{
	uint8_t wide[VRF_SEED_SIZE] = { 0 }, reduced[VRF_SCALAR_SIZE];

	memcpy(wide, s, VRF_SCALAR_SIZE);
	crypto_core_ristretto255_scalar_reduce(reduced, wide);
	bool same = bytes_equal_secret(reduced, s, VRF_SCALAR_SIZE);
	bytes_wipe(wide, sizeof wide);
	bytes_wipe(reduced, sizeof reduced);
	return same;
}

/* A point in its one encoding, and not the identity, whose encoding is all zero. */
static bool point_good(const uint8_t p[POINT_SIZE])
{
	return !all_zero(p, POINT_SIZE) && crypto_core_ristretto255_is_valid_point(p) == 1;
}

/* scalar * point, or scalar * B for NULL. Public scalars may be 0, where libsodium would report a failure. */
static bool multiply(uint8_t ret[POINT_SIZE], const uint8_t scalar[VRF_SCALAR_SIZE], const uint8_t *point)
{
	if (all_zero(scalar, VRF_SCALAR_SIZE)) {
		memset(ret, 0, POINT_SIZE);
		return true;
	}
	return (point ? crypto_scalarmult_ristretto255(ret, scalar, point)
		      : crypto_scalarmult_ristretto255_base(ret, scalar)) == 0;
}

enum rc vrf_key_import(struct vrf_key *ret_key, const uint8_t scalar[VRF_SCALAR_SIZE])
{
	if (all_zero(scalar, VRF_SCALAR_SIZE) || !scalar_canonical(scalar))
		return RC_RANGE;
	memcpy(ret_key->scalar, scalar, VRF_SCALAR_SIZE);
	return multiply(ret_key->public_key, ret_key->scalar, NULL) ? RC_OK : RC_INTERNAL;
}

enum rc vrf_key_make(struct vrf_key *ret_key, const uint8_t seed[VRF_SEED_SIZE])
{
	uint8_t scalar[VRF_SCALAR_SIZE];

	crypto_core_ristretto255_scalar_reduce(scalar, seed);
	enum rc rc = vrf_key_import(ret_key, scalar);
	bytes_wipe(scalar, sizeof scalar);
	return rc;
}

void vrf_key_done(struct vrf_key *key)
{
	if (key)
		bytes_wipe(key, sizeof *key);
}

/* RFC 9381 section 5.4.1, with the map of RFC 9496 section 4.3.4. */
static bool encode_to_curve(
	uint8_t ret[POINT_SIZE], const uint8_t public_key[VRF_PUBLIC_SIZE], const void *alpha, size_t alpha_n)
{
	uint8_t hash[crypto_hash_sha512_BYTES];

	digest(DOMAIN_ENCODE, (const struct part[]){ { public_key, VRF_PUBLIC_SIZE }, { alpha, alpha_n } }, 2,
		hash);
	return crypto_core_ristretto255_from_hash(ret, hash) == 0;
}

/* Section 5.4.3: the first 16 octets, little-endian, as a scalar. */
static void challenge(uint8_t ret[VRF_SCALAR_SIZE], const uint8_t *public_key, const uint8_t *h,
	const uint8_t *gamma, const uint8_t *u, const uint8_t *v)
{
	uint8_t hash[crypto_hash_sha512_BYTES];

	digest(DOMAIN_CHALLENGE,
		(const struct part[]){ { public_key, POINT_SIZE }, { h, POINT_SIZE }, { gamma, POINT_SIZE },
			{ u, POINT_SIZE }, { v, POINT_SIZE } },
		5, hash);
	memset(ret, 0, VRF_SCALAR_SIZE);
	memcpy(ret, hash, CHALLENGE_SIZE);
}

enum rc vrf_prove(
	const struct vrf_key *key, const void *alpha, size_t alpha_n, uint8_t ret_proof[VRF_PROOF_SIZE])
{
	uint8_t h[POINT_SIZE], gamma[POINT_SIZE], u[POINT_SIZE], v[POINT_SIZE];
	uint8_t wide[crypto_hash_sha512_BYTES], k[VRF_SCALAR_SIZE], c[VRF_SCALAR_SIZE], s[VRF_SCALAR_SIZE];
	enum rc rc = RC_INTERNAL;

	memset(ret_proof, 0, VRF_PROOF_SIZE);
	if (!encode_to_curve(h, key->public_key, alpha, alpha_n))
		return RC_INTERNAL;
	digest(DOMAIN_NONCE, (const struct part[]){ { key->scalar, VRF_SCALAR_SIZE }, { h, POINT_SIZE } }, 2,
		wide);
	crypto_core_ristretto255_scalar_reduce(k, wide);
	if (!multiply(gamma, key->scalar, h) || !multiply(u, k, NULL) || !multiply(v, k, h))
		goto out;
	challenge(c, key->public_key, h, gamma, u, v);
	crypto_core_ristretto255_scalar_mul(s, c, key->scalar);
	crypto_core_ristretto255_scalar_add(s, s, k);
	memcpy(ret_proof, gamma, POINT_SIZE);
	memcpy(ret_proof + POINT_SIZE, c, CHALLENGE_SIZE);
	memcpy(ret_proof + POINT_SIZE + CHALLENGE_SIZE, s, VRF_SCALAR_SIZE);
	rc = RC_OK;
out:
	bytes_wipe(wide, sizeof wide);
	bytes_wipe(k, sizeof k);
	bytes_wipe(s, sizeof s);
	return rc;
}

/* Section 5.4.4. */
static enum rc proof_split(const uint8_t proof[VRF_PROOF_SIZE], const uint8_t **ret_gamma,
	uint8_t ret_c[VRF_SCALAR_SIZE], const uint8_t **ret_s)
{
	const uint8_t *gamma = proof, *s = proof + POINT_SIZE + CHALLENGE_SIZE;

	if (!point_good(gamma) || !scalar_canonical(s))
		return RC_MALFORMED;
	memset(ret_c, 0, VRF_SCALAR_SIZE);
	memcpy(ret_c, proof + POINT_SIZE, CHALLENGE_SIZE);
	*ret_gamma = gamma;
	*ret_s = s;
	return RC_OK;
}

/* a * p - c * q; p is NULL for B */
static bool difference(
	uint8_t ret[POINT_SIZE], const uint8_t *a, const uint8_t *p, const uint8_t *c, const uint8_t *q)
{
	uint8_t left[POINT_SIZE], right[POINT_SIZE];

	return multiply(left, a, p) && multiply(right, c, q) &&
	       crypto_core_ristretto255_sub(ret, left, right) == 0;
}

static void gamma_hash(const uint8_t gamma[POINT_SIZE], uint8_t ret_hash[VRF_HASH_SIZE])
{
	digest(DOMAIN_HASH, &(const struct part){ gamma, POINT_SIZE }, 1, ret_hash);
}

enum rc vrf_verify(const uint8_t public_key[VRF_PUBLIC_SIZE], const void *alpha, size_t alpha_n,
	const uint8_t proof[VRF_PROOF_SIZE], uint8_t ret_hash[VRF_HASH_SIZE])
{
	uint8_t h[POINT_SIZE], u[POINT_SIZE], v[POINT_SIZE], c[VRF_SCALAR_SIZE], c_again[VRF_SCALAR_SIZE];
	const uint8_t *gamma, *s;

	if (ret_hash)
		memset(ret_hash, 0, VRF_HASH_SIZE);
	if (!point_good(public_key) || proof_split(proof, &gamma, c, &s) != RC_OK)
		return RC_MALFORMED;
	if (!encode_to_curve(h, public_key, alpha, alpha_n) || !difference(u, s, NULL, c, public_key) ||
		!difference(v, s, h, c, gamma))
		return RC_AUTH;
	challenge(c_again, public_key, h, gamma, u, v);
	if (!bytes_equal_secret(c, c_again, sizeof c))
		return RC_AUTH;
	if (ret_hash)
		gamma_hash(gamma, ret_hash);
	return RC_OK;
}

enum rc vrf_proof_hash(const uint8_t proof[VRF_PROOF_SIZE], uint8_t ret_hash[VRF_HASH_SIZE])
{
	uint8_t c[VRF_SCALAR_SIZE];
	const uint8_t *gamma, *s;

	memset(ret_hash, 0, VRF_HASH_SIZE);
	if (proof_split(proof, &gamma, c, &s) != RC_OK)
		return RC_MALFORMED;
	gamma_hash(gamma, ret_hash);
	return RC_OK;
}
