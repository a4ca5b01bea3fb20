/*
 * All of Wycheproof for the algorithms that Plaingate uses, through its own faces. What a file marks as
 * acceptable and what becomes of it here is asserted by number: a change of libcrypto that changes a verdict
 * is seen.
 */
#include "wycheproof.h"

#include "crypto/aead.h"
#include "crypto/dh.h"
#include "crypto/prf.h"
#include "crypto/sign.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include <cmocka.h>

static enum wyche_verdict verdict(bool accepted)
{
	return accepted ? WYCHE_ACCEPTED : WYCHE_REFUSED;
}

/* Our face has 96-bit nonces and 128-bit tags only; other sizes cannot be expressed. */
static enum wyche_verdict judge_aead(const struct wyche_case *c, uint16_t encr)
{
	struct wyche_bytes key = wyche_hex(c->test, "key"), iv = wyche_hex(c->test, "iv"),
			   aad = wyche_hex(c->test, "aad");
	struct wyche_bytes msg = wyche_hex(c->test, "msg"), ct = wyche_hex(c->test, "ct"),
			   tag = wyche_hex(c->test, "tag");
	uint8_t material[64], sealed[2048], opened[2048];
	struct aead_key k;
	bool opens, seals;

	if (iv.n != 12 || tag.n != 16 || key.n > 32 || aead_material_size(encr, (uint16_t)(8 * key.n)) == 0)
		return WYCHE_NOT_OURS;
	assert_true(ct.n + 16 <= sizeof sealed);
	memcpy(material, key.b, key.n);
	memcpy(material + key.n, iv.b, 4);
	assert_int_equal(aead_key_init(&k, encr, (uint16_t)(8 * key.n), material, key.n + 4), RC_OK);
	memcpy(sealed, ct.b, ct.n);
	memcpy(sealed + ct.n, tag.b, 16);
	opens = aead_open(&k, iv.b + 4, aad.b, aad.n, sealed, ct.n + 16, opened) == RC_OK &&
		memcmp(opened, msg.b, msg.n) == 0;
	seals = aead_seal(&k, iv.b + 4, aad.b, aad.n, msg.b, msg.n, opened) == RC_OK &&
		memcmp(opened, sealed, ct.n + 16) == 0;
	return verdict(opens && (seals || c->result != WYCHE_VALID));
}

static enum wyche_verdict judge_gcm(const struct wyche_case *c)
{
	return judge_aead(c, ENCR_AES_GCM_16);
}

static enum wyche_verdict judge_chacha(const struct wyche_case *c)
{
	return judge_aead(c, ENCR_CHACHA20_POLY1305);
}

static void aes_gcm(void **state)
{
	struct wyche_count n = wyche_run("aes_gcm_test", 130, judge_gcm);

	assert_int_equal(n.acceptable_accepted + n.acceptable_refused, 0);
}

static void chacha20_poly1305(void **state)
{
	struct wyche_count n = wyche_run("chacha20_poly1305_test", 300, judge_chacha);

	assert_int_equal(n.acceptable_accepted + n.acceptable_refused, 0);
}

/* Acceptable and refused: results of zero, from points of low order. Acceptable and taken: twist,
 * non-canonical. */
static enum wyche_verdict judge_x25519(const struct wyche_case *c)
{
	struct wyche_bytes pub = wyche_hex(c->test, "public"), priv = wyche_hex(c->test, "private");
	struct wyche_bytes want = wyche_hex(c->test, "shared");
	uint8_t mine[32], shared[48], zero[32] = { 0 };
	struct dh_secret s;
	enum rc rc;

	assert_int_equal(dh_import(&s, mine, DH_CURVE25519, priv.b, priv.n), RC_OK);
	rc = dh_shared(&s, pub.b, pub.n, shared, NULL);
	if (memcmp(want.b, zero, 32) == 0)
		assert_int_equal(rc, RC_MALFORMED);
	else if (rc == RC_OK)
		assert_memory_equal(shared, want.b, 32);
	return verdict(rc == RC_OK);
}

static void x25519(void **state)
{
	struct wyche_count n = wyche_run("x25519_test", 518, judge_x25519);

	assert_int_equal(n.acceptable_accepted, 223);
	assert_int_equal(n.acceptable_refused, 31);
	assert_int_equal(n.not_ours, 0);
}

static enum wyche_verdict judge_ecdh(const struct wyche_case *c, uint16_t group)
{
	struct wyche_bytes pub = wyche_hex(c->test, "public"), priv = wyche_hex(c->test, "private");
	struct wyche_bytes want = wyche_hex(c->test, "shared");
	size_t size = dh_shared_size(group), skip_n = priv.n > size ? priv.n - size : 0;
	uint8_t scalar[48] = { 0 }, mine[96], shared[48];
	struct dh_secret s;

	memcpy(scalar + (size - (priv.n - skip_n)), priv.b + skip_n, priv.n - skip_n);
	assert_int_equal(dh_import(&s, mine, group, scalar, size), RC_OK);
	/* A KE payload has no octet for the form of the point: only the uncompressed one can be expressed. */
	if (pub.n == 0 || pub.b[0] != 4)
		return verdict(dh_shared(&s, pub.b, pub.n, shared, NULL) == RC_OK);
	return verdict(dh_shared(&s, pub.b + 1, pub.n - 1, shared, NULL) == RC_OK && want.n == size &&
		       memcmp(shared, want.b, size) == 0);
}

static enum wyche_verdict judge_p256(const struct wyche_case *c)
{
	return judge_ecdh(c, DH_ECP_256);
}

static enum wyche_verdict judge_p384(const struct wyche_case *c)
{
	return judge_ecdh(c, DH_ECP_384);
}

/* The acceptable one of each is a compressed point: refused. */
static void ecdh_p256(void **state)
{
	struct wyche_count n = wyche_run("ecdh_secp256r1_ecpoint_test", 355, judge_p256);

	assert_int_equal(n.acceptable_accepted, 0);
}

static void ecdh_p384(void **state)
{
	struct wyche_count n = wyche_run("ecdh_secp384r1_ecpoint_test", 790, judge_p384);

	assert_int_equal(n.acceptable_accepted, 0);
}

static enum wyche_verdict judge_signature(const struct wyche_case *c, uint16_t hash)
{
	struct wyche_bytes spki = wyche_hex(c->group, "publicKeyDer"), msg = wyche_hex(c->test, "msg");
	struct wyche_bytes sig = wyche_hex(c->test, "sig");
	const char *pem = json_string_value(json_object_get(c->group, "publicKeyPem"));
	struct verify_key key, from_pem;

	assert_int_equal(verify_key_from_spki(&key, spki.b, spki.n, NULL), RC_OK);
	assert_int_equal(verify_key_from_pem(&from_pem, pem, strlen(pem), NULL), RC_OK);
	assert_memory_equal(&key, &from_pem, sizeof key);
	return verdict(sign_check(&key, hash, SIGN_DER, msg.b, msg.n, sig.b, sig.n) == RC_OK);
}

static enum wyche_verdict judge_sha256(const struct wyche_case *c)
{
	return judge_signature(c, HASH_SHA2_256);
}

static enum wyche_verdict judge_sha384(const struct wyche_case *c)
{
	return judge_signature(c, HASH_SHA2_384);
}

static enum wyche_verdict judge_identity(const struct wyche_case *c)
{
	return judge_signature(c, HASH_IDENTITY);
}

static void ecdsa_p256(void **state)
{
	wyche_run("ecdsa_secp256r1_sha256_test", 484, judge_sha256);
}

static void ecdsa_p384(void **state)
{
	wyche_run("ecdsa_secp384r1_sha384_test", 504, judge_sha384);
}

static void ed25519(void **state)
{
	wyche_run("ed25519_test", 151, judge_identity);
}

/* The truncated tags of the file are compared at their length: a PRF is not truncated here. */
static enum wyche_verdict judge_hmac(const struct wyche_case *c, uint16_t prf)
{
	struct wyche_bytes key = wyche_hex(c->test, "key"), msg = wyche_hex(c->test, "msg"),
			   tag = wyche_hex(c->test, "tag");
	struct prf_part part = { msg.b, msg.n };
	uint8_t out[48];

	assert_true(tag.n <= prf_size(prf));
	assert_int_equal(prf_run(prf, key.b, key.n, &part, 1, out), RC_OK);
	return verdict(bytes_equal_secret(out, tag.b, tag.n));
}

static enum wyche_verdict judge_hmac256(const struct wyche_case *c)
{
	return judge_hmac(c, PRF_HMAC_SHA2_256);
}

static enum wyche_verdict judge_hmac384(const struct wyche_case *c)
{
	return judge_hmac(c, PRF_HMAC_SHA2_384);
}

static void hmac(void **state)
{
	wyche_run("hmac_sha256_test", 174, judge_hmac256);
	wyche_run("hmac_sha384_test", 174, judge_hmac384);
}

/* HKDF is prf_run() and prf_plus(), see test_prf.c. The invalid ones ask for more than 255 blocks. */
static enum wyche_verdict judge_hkdf(const struct wyche_case *c)
{
	struct wyche_bytes ikm = wyche_hex(c->test, "ikm"), salt = wyche_hex(c->test, "salt");
	struct wyche_bytes info = wyche_hex(c->test, "info"), okm = wyche_hex(c->test, "okm");
	size_t size = (size_t)wyche_int(c->test, "size");
	const struct prf_part ikm_part = { ikm.b, ikm.n }, info_part = { info.b, info.n };
	static uint8_t out[16384];
	uint8_t prk[32];

	assert_true(size <= sizeof out);
	assert_int_equal(prf_run(PRF_HMAC_SHA2_256, salt.b, salt.n, &ikm_part, 1, prk), RC_OK);
	return verdict(prf_plus(PRF_HMAC_SHA2_256, prk, 32, &info_part, 1, out, size) == RC_OK &&
		       size == okm.n && memcmp(out, okm.b, size) == 0);
}

static void hkdf(void **state)
{
	wyche_run("hkdf_sha256_test", 86, judge_hkdf);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(aes_gcm),
		cmocka_unit_test(chacha20_poly1305),
		cmocka_unit_test(x25519),
		cmocka_unit_test(ecdh_p256),
		cmocka_unit_test(ecdh_p384),
		cmocka_unit_test(ecdsa_p256),
		cmocka_unit_test(ecdsa_p384),
		cmocka_unit_test(ed25519),
		cmocka_unit_test(hmac),
		cmocka_unit_test(hkdf),
	};
	if (!wyche_present())
		return 77; /* the whole program counts as skipped */
	return cmocka_run_group_tests(tests, NULL, NULL);
}
