#include "crypto/dh.h"

#include "crypto/curve.h"

#include <openssl/bn.h>
#include <openssl/ec.h>
#include <openssl/obj_mac.h>
#include <sodium/crypto_scalarmult_curve25519.h>

#define E(id, number, bytes, word) _Static_assert((bytes) <= DH_PUBLIC_MAX, word);
DH_GROUPS(E)
#undef E

size_t dh_public_size(uint16_t group)
{
	switch (group) {
#define E(id, number, bytes, word)                                                                           \
	case number:                                                                                         \
		return bytes;
		DH_GROUPS(E)
#undef E
	}
	return 0;
}

static int curve_of(uint16_t group)
{
	return group == DH_ECP_256 ? NID_X9_62_prime256v1 : group == DH_ECP_384 ? NID_secp384r1 : NID_undef;
}

size_t dh_shared_size(uint16_t group)
{
	size_t n = dh_public_size(group);

	return curve_of(group) == NID_undef ? n : n / 2;
}

/* ---- MODP ---- */

static bool is_modp(uint16_t group)
{
	return group == DH_MODP_2048 || group == DH_MODP_3072 || group == DH_MODP_4096;
}

/* p of RFC 3526; to be freed. The generator is 2. */
static BIGNUM *modp_prime(uint16_t group)
{
	return group == DH_MODP_2048   ? BN_get_rfc3526_prime_2048(NULL)
	       : group == DH_MODP_3072 ? BN_get_rfc3526_prime_3072(NULL)
	       : group == DH_MODP_4096 ? BN_get_rfc3526_prime_4096(NULL)
				       : NULL;
}

/* base ^ scalar modulo p, in time that depends on neither; base NULL: the generator. */
static bool modp_power(const struct dh_secret *s, const void *base, uint8_t *ret_bytes)
{
	BIGNUM *p = modp_prime(s->group), *x = BN_new(), *b = BN_new(), *y = BN_new();
	BN_CTX *ctx = BN_CTX_new();
	int n = (int)dh_public_size(s->group);
	bool ok = p && x && b && y && ctx && BN_bin2bn(s->scalar, s->n, x) &&
		  (base ? BN_bin2bn(base, n, b) != NULL : BN_set_word(b, 2) == 1);

	if (ok) {
		BN_set_flags(x, BN_FLG_CONSTTIME);
		ok = BN_mod_exp_mont_consttime(y, b, x, p, ctx, NULL) == 1 &&
		     BN_bn2binpad(y, ret_bytes, n) == n;
	}
	BN_CTX_free(ctx);
	BN_clear_free(y);
	BN_free(b);
	BN_clear_free(x);
	BN_free(p);
	return ok;
}

/* ---- curves ---- */

/* A NIST curve with what one operation on it needs. Secret numbers are wiped when they are freed. */
struct curve {
	const EC_GROUP *group;
	BN_CTX *ctx;
	BIGNUM *scalar, *x, *y;
	EC_POINT *point;
};

static bool curve_init(struct curve *c, uint16_t group)
{
	c->group = curve_group(curve_of(group));
	c->ctx = BN_CTX_new();
	c->scalar = BN_new();
	c->x = BN_new();
	c->y = BN_new();
	c->point = c->group ? EC_POINT_new(c->group) : NULL;
	if (c->scalar)
		BN_set_flags(c->scalar, BN_FLG_CONSTTIME);
	return c->group && c->ctx && c->scalar && c->x && c->y && c->point;
}

static void curve_done(struct curve *c)
{
	EC_POINT_clear_free(c->point);
	BN_clear_free(c->y);
	BN_clear_free(c->x);
	BN_clear_free(c->scalar);
	BN_CTX_free(c->ctx);
}

/* x, or x and y, each as `n` octets (RFC 5903 section 7). */
static bool point_write(struct curve *c, uint8_t *ret_bytes, size_t n, bool both)
{
	return EC_POINT_get_affine_coordinates(c->group, c->point, c->x, c->y, c->ctx) == 1 &&
	       BN_bn2binpad(c->x, ret_bytes, (int)n) == (int)n &&
	       (!both || BN_bn2binpad(c->y, ret_bytes + n, (int)n) == (int)n);
}

/* The scalar in c: its octets and, unless it is known already, its public value. */
static bool curve_finish(struct curve *c, struct dh_secret *s, uint8_t *ret_public)
{
	return BN_bn2binpad(c->scalar, s->scalar, s->n) == s->n &&
	       (!ret_public || (EC_POINT_mul(c->group, c->point, c->scalar, NULL, NULL, c->ctx) == 1 &&
				       point_write(c, ret_public, s->n, true)));
}

static bool curve_generate(struct dh_secret *s, uint8_t *ret_public, const uint8_t *seed)
{
	struct curve c = { 0 };
	BIGNUM *wide = BN_new(), *top = NULL;
	bool ok = false;

	if (!curve_init(&c, s->group) || !wide || !BN_bin2bn(seed, DH_SEED_SIZE, wide))
		goto out;
	BN_set_flags(wide, BN_FLG_CONSTTIME);
	top = BN_dup(EC_GROUP_get0_order(c.group));
	ok = top && BN_sub_word(top, 1) == 1 && BN_nnmod(c.scalar, wide, top, c.ctx) == 1 &&
	     BN_add_word(c.scalar, 1) == 1 && curve_finish(&c, s, ret_public);
out:
	BN_free(top);
	BN_clear_free(wide);
	curve_done(&c);
	return ok;
}

static bool secret_init(struct dh_secret *s, uint16_t group)
{
	memset(s, 0, sizeof *s);
	s->n = (uint16_t)(is_modp(group) ? sizeof s->scalar : dh_shared_size(group));
	s->group = s->n ? group : DH_NONE;
	return s->n > 0;
}

enum rc dh_generate(
	struct dh_secret *ret_secret, uint8_t *ret_public, uint16_t group, const uint8_t seed[DH_SEED_SIZE])
{
	bool ok;

	if (!secret_init(ret_secret, group))
		return RC_UNSUPPORTED;
	if (group == DH_CURVE25519) {
		memcpy(ret_secret->scalar, seed, ret_secret->n);
		ok = !ret_public || crypto_scalarmult_curve25519_base(ret_public, ret_secret->scalar) == 0;
	} else if (is_modp(group)) {
		memcpy(ret_secret->scalar, seed, ret_secret->n);
		ok = !ret_public || modp_power(ret_secret, NULL, ret_public);
	} else {
		ok = curve_generate(ret_secret, ret_public, seed);
	}
	if (!ok)
		dh_done(ret_secret);
	return ok ? RC_OK : RC_INTERNAL;
}

static enum rc curve_import(struct dh_secret *s, uint8_t *ret_public, const void *scalar)
{
	struct curve c = { 0 };
	enum rc rc = RC_INTERNAL;

	if (curve_init(&c, s->group) && BN_bin2bn(scalar, s->n, c.scalar)) {
		if (BN_is_zero(c.scalar) || BN_cmp(c.scalar, EC_GROUP_get0_order(c.group)) >= 0)
			rc = RC_RANGE;
		else if (curve_finish(&c, s, ret_public))
			rc = RC_OK;
	}
	curve_done(&c);
	return rc;
}

enum rc dh_import(
	struct dh_secret *ret_secret, uint8_t *ret_public, uint16_t group, const void *scalar, size_t n)
{
	enum rc rc;

	if (!secret_init(ret_secret, group))
		return RC_UNSUPPORTED;
	if (n != ret_secret->n) {
		rc = RC_RANGE;
	} else if (group == DH_CURVE25519) {
		memcpy(ret_secret->scalar, scalar, n);
		rc = crypto_scalarmult_curve25519_base(ret_public, ret_secret->scalar) == 0 ? RC_OK
											    : RC_INTERNAL;
	} else if (is_modp(group)) {
		memcpy(ret_secret->scalar, scalar, n);
		rc = modp_power(ret_secret, NULL, ret_public) ? RC_OK : RC_INTERNAL;
	} else {
		rc = curve_import(ret_secret, ret_public, scalar);
	}
	if (rc != RC_OK)
		dh_done(ret_secret);
	return rc;
}

static enum rc curve_shared(
	const struct dh_secret *s, const uint8_t *peer, uint8_t *ret_shared, struct err *e)
{
	uint8_t encoded[1 + DH_CURVE_MAX] = { 4 }; /* SEC 1: uncompressed */
	EC_POINT *theirs = NULL;
	struct curve c = { 0 };
	enum rc rc = RC_INTERNAL;

	memcpy(encoded + 1, peer, 2u * s->n);
	if (!curve_init(&c, s->group) || !BN_bin2bn(s->scalar, s->n, c.scalar))
		goto out;
	theirs = EC_POINT_new(c.group);
	/* Demands both coordinates below p and the curve's equation; both curves have cofactor 1. */
	if (theirs && EC_POINT_oct2point(c.group, theirs, encoded, 1 + 2u * s->n, c.ctx) != 1)
		rc = err_add(e, RC_MALFORMED, "the peer's Diffie-Hellman value is not a point of the curve");
	else if (theirs && EC_POINT_mul(c.group, c.point, NULL, theirs, c.scalar, c.ctx) == 1 &&
		 point_write(&c, ret_shared, s->n, false))
		rc = RC_OK;
out:
	EC_POINT_clear_free(theirs);
	curve_done(&c);
	return rc;
}

enum rc dh_peer_check(uint16_t group, const void *peer, size_t peer_n, struct err *e)
{
	size_t want = dh_public_size(group);
	BIGNUM *p, *y;
	enum rc rc = RC_INTERNAL;

	if (want == 0)
		return err_add(e, RC_INTERNAL, "Diffie-Hellman group %u is not supported", group);
	if (peer_n != want)
		return err_add(e, RC_RANGE,
			"the peer's Diffie-Hellman value has %zu octets; group %u needs %zu", peer_n, group,
			want);
	if (!is_modp(group))
		return RC_OK;
	p = modp_prime(group);
	y = BN_bin2bn(peer, (int)peer_n, NULL);
	if (p && y && BN_sub_word(p, 1) == 1)
		rc = !BN_is_zero(y) && !BN_is_one(y) && BN_cmp(y, p) < 0 ? RC_OK : RC_MALFORMED;
	BN_free(y);
	BN_free(p);
	return rc == RC_MALFORMED
		       ? err_add(e, rc,
				 "the peer's Diffie-Hellman value is not between 1 and p - 1 of group %u",
				 group)
		       : rc;
}

enum rc dh_shared(
	const struct dh_secret *secret, const void *peer, size_t peer_n, uint8_t *ret_shared, struct err *e)
{
	enum rc rc = dh_peer_check(secret->group, peer, peer_n, e);

	if (rc != RC_OK)
		return rc;
	if (is_modp(secret->group))
		return modp_power(secret, peer, ret_shared) ? RC_OK : RC_INTERNAL;
	if (secret->group != DH_CURVE25519)
		return curve_shared(secret, peer, ret_shared, e);
	/* Fails on low-order points and on the all-zero result: RFC 7748 section 6.1, RFC 8031 section 2. */
	if (crypto_scalarmult_curve25519(ret_shared, secret->scalar, peer) != 0) {
		bytes_wipe(ret_shared, secret->n);
		return err_add(e, RC_MALFORMED, "the peer's Diffie-Hellman value has low order");
	}
	return RC_OK;
}

void dh_done(struct dh_secret *secret)
{
	bytes_wipe(secret, sizeof *secret);
}
