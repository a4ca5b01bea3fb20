/* The calls that take a nonce of the caller's choice are marked deprecated in libcrypto 3 without a successor
 * in 3.0. */
#define OPENSSL_SUPPRESS_DEPRECATED

#include "crypto/ecdsa.h"

#include "crypto/curve.h"
#include "crypto/hmac.h"

#include <openssl/bn.h>
#include <openssl/ec.h>
#include <openssl/ecdsa.h>
#include <openssl/err.h>
#include <openssl/obj_mac.h>

static const struct digest_row {
	uint16_t hash; /* enum signature_hash */
	const char *name;
	size_t size;
} digests[] = {
	{ HASH_SHA2_256, "SHA256", 32 },
	{ HASH_SHA2_384, "SHA384", 48 },
	{ HASH_SHA2_512, "SHA512", 64 },
};

static const struct digest_row *digest_find(uint16_t hash)
{
	for (size_t i = 0; i < COUNT_OF(digests); i++)
		if (digests[i].hash == hash)
			return &digests[i];
	return NULL;
}

static int curve_of(uint32_t kind)
{
	return kind == SIGN_ECDSA_P256	 ? NID_X9_62_prime256v1
	       : kind == SIGN_ECDSA_P384 ? NID_secp384r1
	       : kind == SIGN_ECDSA_P521 ? NID_secp521r1
					 : NID_undef;
}

/* Octets of a coordinate, a scalar and the order: the same on these curves. */
static size_t field_size(uint32_t kind)
{
	return kind == SIGN_ECDSA_P256 ? 32 : kind == SIGN_ECDSA_P384 ? 48 : kind == SIGN_ECDSA_P521 ? 66 : 0;
}

/* RFC 6979 section 2.3.2: the leftmost bits, as many as the order has. */
static bool bits_to_int(const uint8_t *bits, size_t n, const BIGNUM *order, BIGNUM *ret)
{
	int surplus = (int)(8 * n) - BN_num_bits(order);

	return BN_bin2bn(bits, (int)n, ret) && (surplus <= 0 || BN_rshift(ret, ret, surplus) == 1);
}

static EC_KEY *public_load(uint32_t kind, const uint8_t *public_key)
{
	size_t n = 2 * field_size(kind);
	uint8_t encoded[1 + SIGN_PUBLIC_MAX] = { 4 }; /* SEC 1: uncompressed */
	const EC_GROUP *group = curve_group(curve_of(kind));
	EC_POINT *point = group ? EC_POINT_new(group) : NULL;
	EC_KEY *key = point ? EC_KEY_new() : NULL;

	memcpy(encoded + 1, public_key, n);
	/*
	 * Demands both coordinates below p and the curve's equation. That is all: these curves have cofactor 1, so each point but
	 * infinity, which has no such encoding, has the group's order. To multiply it by the order, as EC_KEY_check_key() does,
	 * would show the same and takes as long as a signature.
	 */
	if (!key || EC_POINT_oct2point(group, point, encoded, 1 + n, NULL) != 1 ||
		EC_KEY_set_group(key, group) != 1 || EC_KEY_set_public_key(key, point) != 1) {
		EC_KEY_free(key);
		key = NULL;
	}
	EC_POINT_free(point);
	return key;
}

enum rc ecdsa_public_check(uint32_t kind, const uint8_t *public_key)
{
	EC_KEY *key = public_load(kind, public_key);
	enum rc rc = key ? RC_OK : RC_MALFORMED;

	EC_KEY_free(key);
	ERR_clear_error();
	return rc;
}

enum rc ecdsa_public(uint32_t kind, const uint8_t *scalar, uint8_t *ret_public)
{
	int n = (int)field_size(kind);
	const EC_GROUP *group = curve_group(curve_of(kind));
	BIGNUM *d = BN_bin2bn(scalar, n, NULL), *x = BN_new(), *y = BN_new();
	EC_POINT *point = group ? EC_POINT_new(group) : NULL;
	enum rc rc = RC_INTERNAL;

	if (!point || !d || !x || !y)
		goto out;
	BN_set_flags(d, BN_FLG_CONSTTIME);
	if (BN_is_zero(d) || BN_cmp(d, EC_GROUP_get0_order(group)) >= 0)
		rc = RC_RANGE;
	else if (EC_POINT_mul(group, point, d, NULL, NULL, NULL) == 1 &&
		 EC_POINT_get_affine_coordinates(group, point, x, y, NULL) == 1 &&
		 BN_bn2binpad(x, ret_public, n) == n && BN_bn2binpad(y, ret_public + n, n) == n)
		rc = RC_OK;
out:
	EC_POINT_free(point);
	BN_free(y);
	BN_free(x);
	BN_clear_free(d);
	return rc;
}

/* RFC 6979 section 3.2: the state K, V and its two steps. */
struct nonce_maker {
	const struct digest_row *digest;
	uint8_t k[ECDSA_DIGEST_MAX], v[ECDSA_DIGEST_MAX];
};

static bool nonce_step(struct nonce_maker *m, int separator, const struct prf_part *seed)
{
	const uint8_t octet = (uint8_t)separator;
	struct prf_part parts[4] = { { m->v, m->digest->size }, { &octet, 1 } };
	size_t n = 2;

	if (seed) {
		parts[n++] = seed[0];
		parts[n++] = seed[1];
	}
	return hmac_run(m->digest->name, m->k, m->digest->size, parts, n, m->k, m->digest->size) == RC_OK &&
	       hmac_run(m->digest->name, m->k, m->digest->size, parts, 1, m->v, m->digest->size) == RC_OK;
}

/* Steps b to h: the next candidate below the order goes to ret_k. h1: the digest of the message. */
static bool nonce_make(const struct sign_key *key, const struct digest_row *digest, const uint8_t *h1,
	const BIGNUM *order, BIGNUM *ret_k)
{
	struct nonce_maker m = { .digest = digest };
	size_t n = field_size(key->kind), got;
	uint8_t hash_octets[SIGN_SECRET_MAX], t[SIGN_SECRET_MAX + ECDSA_DIGEST_MAX];
	BIGNUM *z = BN_new();
	const struct prf_part seed[2] = { { key->secret, n }, { hash_octets, n } };
	bool ok = z && bits_to_int(h1, digest->size, order, z) &&
		  (BN_cmp(z, order) < 0 || BN_sub(z, z, order) == 1) && /* bits2octets: z1 mod q */
		  BN_bn2binpad(z, hash_octets, (int)n) == (int)n;

	memset(m.v, 1, sizeof m.v);
	ok = ok && nonce_step(&m, 0, seed) && nonce_step(&m, 1, seed);
	while (ok) {
		for (got = 0; ok && got < n; got += digest->size) {
			const struct prf_part v = { m.v, digest->size };
			ok = hmac_run(digest->name, m.k, digest->size, &v, 1, m.v, digest->size) == RC_OK;
			memcpy(t + got, m.v, digest->size);
		}
		ok = ok && bits_to_int(t, n, order, ret_k);
		if (!ok || (!BN_is_zero(ret_k) && BN_cmp(ret_k, order) < 0))
			break;
		ok = nonce_step(&m, 0, NULL);
	}
	bytes_wipe(&m, sizeof m);
	bytes_wipe(t, sizeof t);
	BN_free(z);
	return ok;
}

/* k^-1 and r = x(k * G) mod q, for libcrypto's blinded computation of s. The inverse by Fermat, in constant
 * time. */
static bool nonce_spend(const EC_GROUP *group, BIGNUM *k, BIGNUM *ret_inverse, BIGNUM *ret_r)
{
	const BIGNUM *order = EC_GROUP_get0_order(group);
	EC_POINT *point = EC_POINT_new(group);
	BIGNUM *power = BN_dup(order);
	BN_CTX *ctx = BN_CTX_new();
	bool ok;

	BN_set_flags(k, BN_FLG_CONSTTIME);
	ok = point && power && ctx && BN_sub_word(power, 2) == 1 &&
	     BN_mod_exp_mont_consttime(ret_inverse, k, power, order, ctx, NULL) == 1 &&
	     EC_POINT_mul(group, point, k, NULL, NULL, ctx) == 1 &&
	     EC_POINT_get_affine_coordinates(group, point, ret_r, NULL, ctx) == 1 &&
	     BN_nnmod(ret_r, ret_r, order, ctx) == 1 && !BN_is_zero(ret_r);
	BN_CTX_free(ctx);
	BN_free(power);
	EC_POINT_clear_free(point);
	return ok;
}

static bool digest_run(const struct digest_row *d, const void *message, size_t n, uint8_t *ret_digest)
{
	size_t got = 0;

	return EVP_Q_digest(NULL, d->name, NULL, message, n, ret_digest, &got) == 1 && got == d->size;
}

static bool signature_write(
	const ECDSA_SIG *s, uint32_t kind, enum sign_format format, uint8_t *ret_signature, size_t *ret_n)
{
	int n = (int)field_size(kind), length;

	if (format == SIGN_PLAIN) {
		*ret_n = 2 * (size_t)n;
		return BN_bn2binpad(ECDSA_SIG_get0_r(s), ret_signature, n) == n &&
		       BN_bn2binpad(ECDSA_SIG_get0_s(s), ret_signature + n, n) == n;
	}
	length = i2d_ECDSA_SIG(s, NULL);
	if (length <= 0 || length > SIGN_SIGNATURE_MAX)
		return false;
	*ret_n = (size_t)i2d_ECDSA_SIG(s, &ret_signature);
	return true;
}

enum rc ecdsa_sign(const struct sign_key *key, uint16_t hash, enum sign_format format, const void *message,
	size_t n, uint8_t *ret_signature, size_t *ret_n)
{
	const struct digest_row *d = digest_find(hash);
	BIGNUM *secret = NULL, *k = BN_new(), *inverse = BN_new(), *r = BN_new();
	uint8_t h1[ECDSA_DIGEST_MAX];
	ECDSA_SIG *s = NULL;
	EC_KEY *pair = NULL;
	enum rc rc = RC_INTERNAL;

	if (!d) {
		rc = RC_UNSUPPORTED;
		goto out;
	}
	pair = public_load(key->kind, key->public_part.bytes);
	secret = BN_bin2bn(key->secret, (int)field_size(key->kind), NULL);
	if (!pair || !secret || !k || !inverse || !r || EC_KEY_set_private_key(pair, secret) != 1)
		goto out;
	if (digest_run(d, message, n, h1) &&
		nonce_make(key, d, h1, EC_GROUP_get0_order(EC_KEY_get0_group(pair)), k) &&
		nonce_spend(EC_KEY_get0_group(pair), k, inverse, r))
		s = ECDSA_do_sign_ex(h1, (int)d->size, inverse, r, pair);
	if (s && ECDSA_do_verify(h1, (int)d->size, s, pair) == 1 &&
		signature_write(s, key->kind, format, ret_signature, ret_n))
		rc = RC_OK;
out:
	ECDSA_SIG_free(s);
	EC_KEY_free(pair);
	BN_clear_free(secret);
	BN_clear_free(k);
	BN_clear_free(inverse);
	BN_free(r);
	ERR_clear_error();
	return rc;
}

/* Strict: fixed size, or DER that encodes back to the same octets. NULL: not a signature at all. */
static ECDSA_SIG *signature_read(uint32_t kind, enum sign_format format, const uint8_t *bytes, size_t n)
{
	size_t size = field_size(kind);
	uint8_t again[SIGN_SIGNATURE_MAX], *out = again;
	const uint8_t *in = bytes;
	ECDSA_SIG *s;

	if (format == SIGN_PLAIN) {
		BIGNUM *r, *t;

		if (n != 2 * size || !(s = ECDSA_SIG_new()))
			return NULL;
		r = BN_bin2bn(bytes, (int)size, NULL);
		t = BN_bin2bn(bytes + size, (int)size, NULL);
		if (r && t && ECDSA_SIG_set0(s, r, t) == 1)
			return s;
		BN_free(r);
		BN_free(t);
		ECDSA_SIG_free(s);
		return NULL;
	}
	s = n > 0 && n <= sizeof again ? d2i_ECDSA_SIG(NULL, &in, (long)n) : NULL;
	if (s && in == bytes + n && i2d_ECDSA_SIG(s, NULL) == (int)n && i2d_ECDSA_SIG(s, &out) == (int)n &&
		memcmp(again, bytes, n) == 0)
		return s;
	ECDSA_SIG_free(s);
	return NULL;
}

enum rc ecdsa_check(const struct verify_key *key, uint16_t hash, enum sign_format format, const void *message,
	size_t n, const void *signature, size_t signature_n)
{
	const struct digest_row *d = digest_find(hash);
	uint8_t h1[ECDSA_DIGEST_MAX];
	ECDSA_SIG *s;
	EC_KEY *pub;
	enum rc rc = RC_AUTH;

	if (!d)
		return RC_UNSUPPORTED;
	s = signature_read(key->kind, format, signature, signature_n);
	pub = public_load(key->kind, key->bytes);
	if (s && pub && digest_run(d, message, n, h1) && ECDSA_do_verify(h1, (int)d->size, s, pub) == 1)
		rc = RC_OK;
	EC_KEY_free(pub);
	ECDSA_SIG_free(s);
	ERR_clear_error();
	return rc;
}
