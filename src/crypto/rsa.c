#include "crypto/rsa.h"

#include "base/rd.h"
#include "base/wr.h"
#include "crypto/hash.h"
#include "crypto/hmac.h"

#include <openssl/bio.h>
#include <openssl/bn.h>
#include <openssl/core_names.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/param_build.h>
#include <openssl/pem.h>
#include <openssl/rsa.h>

enum { DIGEST_MAX = 64, EXPONENT_MAX = 8 };

/* clang-format off */
static const struct digest_row {
	uint16_t hash;
	const char *name;
	uint8_t size, oid; /* last octet of 2.16.840.1.101.3.4.2.x */
	uint8_t pkcs1;	   /* last octet of 1.2.840.113549.1.1.x */
} digests[] = {
	{ HASH_SHA2_256, "SHA256", 32, 1, 11 },
	{ HASH_SHA2_384, "SHA384", 48, 2, 12 },
	{ HASH_SHA2_512, "SHA512", 64, 3, 13 },
};
/* clang-format on */

static const uint8_t rsa_arc[] = { 0x06, 0x09, 0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x01 };
enum { ARC_RSA = 1, ARC_MGF1 = 8, ARC_PSS = 10 };

static const struct digest_row *digest_find(uint16_t hash)
{
	for (size_t i = 0; i < COUNT_OF(digests); i++)
		if (digests[i].hash == hash)
			return &digests[i];
	return NULL;
}

static bool digest_run(const struct digest_row *d, const void *bytes, size_t n, uint8_t *ret_digest)
{
	size_t got = 0;

	return EVP_Q_digest(NULL, d->name, NULL, bytes, n, ret_digest, &got) == 1 && got == d->size;
}

/* ---- identifiers ---- */

/* Of a hash; null: with parameters NULL. RFC 4055 section 2.1 allows both. */
static void hash_write(struct wr *w, const struct digest_row *d, bool null)
{
	static const uint8_t sha2[] = { 0x06, 0x09, 0x60, 0x86, 0x48, 0x01, 0x65, 0x03, 0x04, 0x02 };

	wr_u8(w, 0x30);
	wr_u8(w, null ? 13 : 11);
	wr_bytes(w, sha2, sizeof sha2);
	wr_u8(w, d->oid);
	if (null)
		wr_u16(w, 0x0500);
}

static void arc_write(struct wr *w, uint8_t last)
{
	wr_bytes(w, rsa_arc, sizeof rsa_arc);
	wr_u8(w, last);
}

/* RSASSA-PSS-params (RFC 4055 section 3.1): the hash, MGF1 with it, and a salt of its size. */
static size_t pss_write(const struct digest_row *d, bool null, uint8_t ret_der[RSA_ALGORITHM_MAX])
{
	struct wr w = wr_over(ret_der, RSA_ALGORITHM_MAX);
	uint8_t hash_n = null ? 15 : 13, mgf_n = 11 + hash_n;
	uint8_t params_n = (uint8_t)(2 + hash_n + 4 + mgf_n + 5);

	wr_u8(&w, 0x30);
	wr_u8(&w, (uint8_t)(11 + 2 + params_n));
	arc_write(&w, ARC_PSS);
	wr_u8(&w, 0x30);
	wr_u8(&w, params_n);
	wr_u8(&w, 0xa0);
	wr_u8(&w, hash_n);
	hash_write(&w, d, null);
	wr_u8(&w, 0xa1);
	wr_u8(&w, mgf_n + 2);
	wr_u8(&w, 0x30);
	wr_u8(&w, mgf_n);
	arc_write(&w, ARC_MGF1);
	hash_write(&w, d, null);
	wr_u8(&w, 0xa2);
	wr_u8(&w, 3);
	wr_u16(&w, 0x0201);
	wr_u8(&w, d->size);
	return w.bad ? 0 : wr_len(&w);
}

size_t rsa_algorithm(uint16_t hash, uint8_t ret_der[RSA_ALGORITHM_MAX])
{
	const struct digest_row *d = digest_find(hash);

	return d ? pss_write(d, true, ret_der) : 0;
}

uint16_t rsa_algorithm_find(const void *der, size_t n, enum rsa_padding *ret_padding)
{
	uint8_t ours[RSA_ALGORITHM_MAX];

	for (size_t i = 0; i < 2 * COUNT_OF(digests); i++) {
		const struct digest_row *d = &digests[i / 2];
		if (n == pss_write(d, i % 2, ours) && memcmp(der, ours, n) == 0) {
			*ret_padding = RSA_PSS;
			return d->hash;
		}
	}
	/* RFC 7427 appendix A.1: with NULL, as RFC 4055 demands of these. */
	for (size_t i = 0; i < COUNT_OF(digests); i++) {
		struct wr w = wr_over(ours, sizeof ours);
		wr_u16(&w, 0x300d);
		arc_write(&w, digests[i].pkcs1);
		wr_u16(&w, 0x0500);
		if (n == wr_len(&w) && memcmp(der, ours, n) == 0) {
			*ret_padding = RSA_PKCS1;
			return digests[i].hash;
		}
	}
	return 0;
}

/* ---- public keys ---- */

/* The content of the next element; lengths as DER has them. */
static struct rd element(struct rd *r, uint8_t tag)
{
	size_t n;

	r->bad |= rd_u8(r) != tag;
	n = rd_u8(r);
	if (n == 0x81) {
		n = rd_u8(r);
		r->bad |= n < 0x80;
	} else if (n == 0x82) {
		n = rd_u16(r);
		r->bad |= n < 0x100;
	} else {
		r->bad |= n >= 0x80;
	}
	return rd_sub(r, n);
}

/* A positive INTEGER in its shortest form, without the octet that keeps it positive. */
static bool number(struct rd *r, struct rd *ret)
{
	*ret = element(r, 0x02);
	if (r->bad || rd_left(ret) == 0 || ret->at[0] & 0x80)
		return false;
	if (ret->at[0] != 0)
		return true;
	rd_u8(ret);
	return rd_left(ret) > 0 && ret->at[0] & 0x80;
}

static const uint8_t spki_algorithm[] = { 0x30, 0x0d, 0x06, 0x09, 0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01,
	0x01, ARC_RSA, 0x05, 0x00 };

static bool spki_read(const void *spki, size_t n, struct rd *ret_modulus, struct rd *ret_exponent)
{
	struct rd all = rd_over(spki, n), info = element(&all, 0x30);
	const uint8_t *algorithm = rd_take(&info, sizeof spki_algorithm);

	if (!algorithm || memcmp(algorithm, spki_algorithm, sizeof spki_algorithm) != 0 || all.bad ||
		rd_left(&all) > 0)
		return false;
	struct rd bits = element(&info, 0x03);
	if (rd_u8(&bits) != 0 || info.bad || rd_left(&info) > 0)
		return false;
	struct rd key = element(&bits, 0x30);
	return number(&key, ret_modulus) && number(&key, ret_exponent) && !bits.bad && rd_left(&bits) == 0 &&
	       rd_left(&key) == 0;
}

/* DER's tag and length before n octets of content, which take it to more than 127 or not. */
static void header_write(struct wr *w, uint8_t tag, size_t n)
{
	wr_u8(w, tag);
	if (n >= 0x100) {
		wr_u8(w, 0x82);
		wr_u16(w, (uint16_t)n);
	} else if (n >= 0x80) {
		wr_u8(w, 0x81);
		wr_u8(w, (uint8_t)n);
	} else {
		wr_u8(w, (uint8_t)n);
	}
}

static size_t header_size(size_t n)
{
	return n >= 0x100 ? 4 : n >= 0x80 ? 3 : 2;
}

static void number_write(struct wr *w, const uint8_t *bytes, size_t n)
{
	bool sign = bytes[0] & 0x80;

	header_write(w, 0x02, n + sign);
	if (sign)
		wr_u8(w, 0);
	wr_bytes(w, bytes, n);
}

size_t rsa_spki(const uint8_t *modulus, size_t modulus_n, const uint8_t *exponent, size_t exponent_n,
	uint8_t ret_spki[RSA_SPKI_MAX])
{
	struct wr w = wr_over(ret_spki, RSA_SPKI_MAX);

	if (modulus_n == 0 || exponent_n == 0 || modulus_n > RSA_BITS_MAX / 8 || exponent_n > EXPONENT_MAX)
		return 0;
	size_t m = modulus_n + (modulus[0] >> 7), x = exponent_n + (exponent[0] >> 7);
	size_t key = header_size(m) + m + header_size(x) + x, bits = 1 + header_size(key) + key;
	header_write(&w, 0x30, sizeof spki_algorithm + header_size(bits) + bits);
	wr_bytes(&w, spki_algorithm, sizeof spki_algorithm);
	header_write(&w, 0x03, bits);
	wr_u8(&w, 0);
	header_write(&w, 0x30, key);
	number_write(&w, modulus, modulus_n);
	number_write(&w, exponent, exponent_n);
	return w.bad ? 0 : wr_len(&w);
}

bool rsa_is_spki(const void *spki, size_t n)
{
	struct rd all = rd_over(spki, n), info = element(&all, 0x30);
	const uint8_t *algorithm = rd_take(&info, sizeof spki_algorithm);

	return algorithm && memcmp(algorithm, spki_algorithm, sizeof spki_algorithm) == 0;
}

static EVP_PKEY *public_make(const struct rd *modulus, const struct rd *exponent)
{
	BIGNUM *n = BN_bin2bn(modulus->at, (int)rd_left(modulus), NULL),
	       *x = BN_bin2bn(exponent->at, (int)rd_left(exponent), NULL);
	OSSL_PARAM_BLD *b = OSSL_PARAM_BLD_new();
	EVP_PKEY_CTX *ctx = EVP_PKEY_CTX_new_from_name(NULL, "RSA", NULL);
	OSSL_PARAM *params = NULL;
	EVP_PKEY *key = NULL;

	if (n && x && b && OSSL_PARAM_BLD_push_BN(b, OSSL_PKEY_PARAM_RSA_N, n) == 1 &&
		OSSL_PARAM_BLD_push_BN(b, OSSL_PKEY_PARAM_RSA_E, x) == 1)
		params = OSSL_PARAM_BLD_to_param(b);
	if (params && ctx && EVP_PKEY_fromdata_init(ctx) == 1 &&
		EVP_PKEY_fromdata(ctx, &key, EVP_PKEY_PUBLIC_KEY, params) != 1)
		key = NULL;
	OSSL_PARAM_free(params);
	OSSL_PARAM_BLD_free(b);
	EVP_PKEY_CTX_free(ctx);
	BN_free(n);
	BN_free(x);
	return key;
}

/* number() has left no octets of zero in front. */
static size_t bits_of(const struct rd *modulus)
{
	size_t bits = 8 * rd_left(modulus);

	for (uint8_t bit = 0x80; bit && !(modulus->at[0] & bit); bit >>= 1)
		bits--;
	return bits;
}

/* A peer's key may have any number of bits between, as the certifiers have it; our own has whole octets (key_take()). */
static bool bounds_ok(const struct rd *modulus, const struct rd *exponent, uint32_t bits_min)
{
	size_t bits = bits_of(modulus), e_n = rd_left(exponent);
	uint8_t last = modulus->end[-1] & exponent->end[-1];

	return bits >= bits_min && bits <= RSA_BITS_MAX && last & 1 && e_n >= 3 && e_n <= EXPONENT_MAX;
}

static enum rc bounds_fault(const struct rd *modulus, uint32_t bits_min, struct err *e)
{
	return err_add(e, RC_UNSUPPORTED,
		"an RSA key of %zu bits, or its exponent: %u to %d bits and an odd exponent from 65537 are allowed",
		bits_of(modulus), bits_min, RSA_BITS_MAX);
}

enum rc rsa_public_check(const uint8_t *modulus, size_t modulus_n, const uint8_t *exponent, size_t exponent_n,
	uint32_t bits_min, struct err *e)
{
	struct rd m = rd_over(modulus, modulus_n), x = rd_over(exponent, exponent_n);

	if (modulus_n == 0 || exponent_n == 0 || modulus[0] == 0 || exponent[0] == 0)
		return err_add(e, RC_MALFORMED, "malformed RSA key: expected a modulus and an exponent");
	return bounds_ok(&m, &x, bits_min) ? RC_OK : bounds_fault(&m, bits_min, e);
}

static bool verify(EVP_PKEY *key, enum rsa_padding padding, const struct digest_row *d, const void *message,
	size_t n, const void *signature, size_t signature_n)
{
	EVP_MD_CTX *ctx = EVP_MD_CTX_new();
	EVP_PKEY_CTX *of = NULL;
	bool ok = ctx && EVP_DigestVerifyInit_ex(ctx, &of, d->name, NULL, NULL, key, NULL) == 1 &&
		  EVP_PKEY_CTX_set_rsa_padding(
			  of, padding == RSA_PSS ? RSA_PKCS1_PSS_PADDING : RSA_PKCS1_PADDING) == 1 &&
		  (padding != RSA_PSS || EVP_PKEY_CTX_set_rsa_pss_saltlen(of, RSA_PSS_SALTLEN_DIGEST) == 1) &&
		  EVP_DigestVerify(ctx, signature, signature_n, message, n) == 1;

	EVP_MD_CTX_free(ctx);
	return ok;
}

enum rc rsa_check(const void *spki, size_t spki_n, enum rsa_padding padding, uint16_t hash,
	const void *message, size_t n, const void *signature, size_t signature_n, struct err *e)
{
	const struct digest_row *d = digest_find(hash);
	struct rd modulus, exponent;
	EVP_PKEY *key;
	enum rc rc;

	if (!d)
		return err_add(
			e, RC_UNSUPPORTED, "RSA with another hash: expected SHA2-256, SHA2-384 or SHA2-512");
	if (!spki_read(spki, spki_n, &modulus, &exponent))
		return err_add(
			e, RC_MALFORMED, "malformed RSA key: expected its SubjectPublicKeyInfo in DER");
	if (!bounds_ok(&modulus, &exponent, RSA_OWN_BITS_MIN))
		return bounds_fault(&modulus, RSA_OWN_BITS_MIN, e);
	key = public_make(&modulus, &exponent);
	rc = !key ? RC_INTERNAL
	     : signature_n == rd_left(&modulus) && verify(key, padding, d, message, n, signature, signature_n)
		     ? RC_OK
		     : RC_AUTH;
	EVP_PKEY_free(key);
	ERR_clear_error();
	return rc;
}

/* ---- our own ---- */

static int no_passphrase(char *buffer, int size, int writing, void *user)
{
	return -1;
}

static enum rc key_take(struct rsa_key *ret_key, EVP_PKEY *pkey, struct err *e)
{
	int bits = EVP_PKEY_get_bits(pkey), der_n, spki_n;
	uint8_t *der = ret_key->der, *spki = ret_key->spki;
	struct rd modulus, exponent;

	if (bits < RSA_OWN_BITS_MIN || bits > RSA_OWN_BITS_MAX || bits % 8 != 0)
		return err_add(e, RC_UNSUPPORTED,
			"an RSA key of %d bits: %d to %d, in whole octets, are allowed", bits,
			RSA_OWN_BITS_MIN, RSA_OWN_BITS_MAX);
	der_n = i2d_PrivateKey(pkey, NULL);
	spki_n = i2d_PUBKEY(pkey, NULL);
	if (der_n <= 0 || der_n > RSA_PRIVATE_MAX || spki_n <= 0 || spki_n > RSA_OWN_SPKI_MAX)
		return err_add(e, RC_UNSUPPORTED, "an RSA key with more than two primes, or a long exponent");
	ret_key->bits = (uint32_t)bits;
	ret_key->der_n = (uint32_t)i2d_PrivateKey(pkey, &der);
	ret_key->spki_n = (uint32_t)i2d_PUBKEY(pkey, &spki);
	if (!spki_read(ret_key->spki, ret_key->spki_n, &modulus, &exponent) ||
		!bounds_ok(&modulus, &exponent, RSA_OWN_BITS_MIN))
		return err_add(e, RC_UNSUPPORTED, "an RSA key whose exponent is not odd and from 65537");
	return RC_OK;
}

enum rc rsa_key_from_pem(struct rsa_key *ret_key, const void *pem, size_t n, struct err *e)
{
	BIO *bio = BIO_new_mem_buf(pem, (int)MIN_OF(n, 65536u));
	EVP_PKEY *pkey = bio ? PEM_read_bio_PrivateKey(bio, NULL, no_passphrase, NULL) : NULL;
	enum rc rc = RC_NOT_FOUND;

	memset(ret_key, 0, sizeof *ret_key);
	if (pkey && EVP_PKEY_is_a(pkey, "RSA"))
		rc = key_take(ret_key, pkey, e);
	if (rc != RC_OK)
		rsa_key_done(ret_key);
	EVP_PKEY_free(pkey);
	BIO_free(bio);
	ERR_clear_error();
	return rc;
}

void rsa_key_done(struct rsa_key *key)
{
	bytes_wipe(key, sizeof *key);
}

/* RFC 8017 appendix B.2.1, over what is in ret_mask. */
static bool mgf1_xor(const struct digest_row *d, const uint8_t *seed, uint8_t *ret_mask, size_t n)
{
	uint8_t input[DIGEST_MAX + 4], block[DIGEST_MAX];

	memcpy(input, seed, d->size);
	for (size_t at = 0; at < n; at += d->size) {
		store_be32(input + d->size, (uint32_t)(at / d->size));
		if (!digest_run(d, input, d->size + 4u, block))
			return false;
		for (size_t i = 0; i < MIN_OF(n - at, (size_t)d->size); i++)
			ret_mask[at + i] ^= block[i];
	}
	return true;
}

/* As long as the hash, by HMAC over the message's digest with a key that only our own gives. */
static bool salt_make(
	const struct rsa_key *key, const struct digest_row *d, const uint8_t *digest, uint8_t *ret_salt)
{
	static const char label[] = "plaingate/pss-salt/v1";
	uint8_t secret[SHA256_SIZE];
	const struct sha256_part of[] = { { label, sizeof label - 1 }, { key->der, key->der_n } };
	const struct prf_part parts[] = { { digest, d->size } };

	sha256_parts(secret, of, COUNT_OF(of));
	bool ok = hmac_run(d->name, secret, sizeof secret, parts, 1, ret_salt, d->size) == RC_OK;
	bytes_wipe(secret, sizeof secret);
	return ok;
}

/* EMSA-PSS (RFC 8017 section 9.1.1) of a modulus of whole octets, so of one bit less than those of ret_em. */
static bool pss_encode(
	const struct rsa_key *key, const struct digest_row *d, const void *message, size_t n, uint8_t *ret_em)
{
	size_t em_n = key->bits / 8, db_n = em_n - d->size - 1u;
	uint8_t whole[8 + 2 * DIGEST_MAX] = { 0 }, *digest = whole + 8, *salt = digest + d->size;
	uint8_t *h = ret_em + db_n;

	if (!digest_run(d, message, n, digest) || !salt_make(key, d, digest, salt) ||
		!digest_run(d, whole, 8 + 2u * d->size, h))
		return false;
	memset(ret_em, 0, db_n);
	ret_em[db_n - d->size - 1u] = 1;
	memcpy(ret_em + db_n - d->size, salt, d->size);
	if (!mgf1_xor(d, h, ret_em, db_n))
		return false;
	ret_em[0] &= 0x7f;
	ret_em[em_n - 1] = 0xbc;
	return true;
}

enum rc rsa_sign(const struct rsa_key *key, uint16_t hash, const void *message, size_t n,
	uint8_t *ret_signature, size_t *ret_n)
{
	const struct digest_row *d = digest_find(hash);
	const uint8_t *der = key->der;
	uint8_t em[RSA_OWN_SIGNATURE_MAX];
	size_t em_n = key->bits / 8, signature_n = em_n;
	EVP_PKEY *pkey = NULL;
	EVP_PKEY_CTX *ctx = NULL;
	enum rc rc = RC_INTERNAL;

	*ret_n = 0;
	if (!d)
		return RC_UNSUPPORTED;
	pkey = d2i_PrivateKey(EVP_PKEY_RSA, NULL, &der, (long)key->der_n);
	ctx = pkey ? EVP_PKEY_CTX_new_from_pkey(NULL, pkey, NULL) : NULL;
	if (ctx && em_n <= sizeof em && pss_encode(key, d, message, n, em) && EVP_PKEY_sign_init(ctx) == 1 &&
		EVP_PKEY_CTX_set_rsa_padding(ctx, RSA_NO_PADDING) == 1 &&
		EVP_PKEY_sign(ctx, ret_signature, &signature_n, em, em_n) == 1 && signature_n == em_n &&
		verify(pkey, RSA_PSS, d, message, n, ret_signature, signature_n)) {
		*ret_n = signature_n;
		rc = RC_OK;
	} else {
		bytes_wipe(ret_signature, RSA_OWN_SIGNATURE_MAX);
	}
	EVP_PKEY_CTX_free(ctx);
	EVP_PKEY_free(pkey); /* libcrypto wipes its numbers */
	ERR_clear_error();
	return rc;
}
