/*
 * RSA: our signatures against libcrypto's own PSS, its signatures of PKCS#1 v1.5 against ours, the identifiers against RFC 7427, and
 * what is not a key or not its signature.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/rsa.h>

#include "crypto/rsa.h"

static EVP_PKEY *pkey; /* of 2048 bits */
static struct rsa_key key;

static enum rc load(struct rsa_key *ret_key, EVP_PKEY *from, struct err *e)
{
	BIO *bio = BIO_new(BIO_s_mem());
	char *pem;
	long n;

	PEM_write_bio_PrivateKey(bio, from, NULL, NULL, 0, NULL, NULL);
	n = BIO_get_mem_data(bio, &pem);
	enum rc rc = rsa_key_from_pem(ret_key, pem, (size_t)n, e);
	BIO_free(bio);
	return rc;
}

static int made(void **state)
{
	pkey = EVP_RSA_gen(2048);
	return pkey && load(&key, pkey, NULL) == RC_OK ? 0 : -1;
}

static int freed(void **state)
{
	EVP_PKEY_free(pkey);
	rsa_key_done(&key);
	return 0;
}

static const uint16_t hashes[] = { HASH_SHA2_256, HASH_SHA2_384, HASH_SHA2_512 };
static const char *const names[] = { "SHA256", "SHA384", "SHA512" };

static void signs(void **state)
{
	uint8_t signature[RSA_OWN_SIGNATURE_MAX], again[RSA_OWN_SIGNATURE_MAX];
	size_t n, again_n;

	for (size_t i = 0; i < COUNT_OF(hashes); i++) {
		assert_int_equal(rsa_sign(&key, hashes[i], "text", 4, signature, &n), RC_OK);
		assert_int_equal(n, 256);
		/* By libcrypto, with the salt's length that the identifier states. */
		EVP_MD_CTX *ctx = EVP_MD_CTX_new();
		EVP_PKEY_CTX *of;
		assert_int_equal(EVP_DigestVerifyInit_ex(ctx, &of, names[i], NULL, NULL, pkey, NULL), 1);
		EVP_PKEY_CTX_set_rsa_padding(of, RSA_PKCS1_PSS_PADDING);
		EVP_PKEY_CTX_set_rsa_pss_saltlen(of, 32 + 16 * (int)i);
		assert_int_equal(EVP_DigestVerify(ctx, signature, n, (const uint8_t *)"text", 4), 1);
		EVP_MD_CTX_free(ctx);
		/* No bit is free. */
		assert_int_equal(rsa_sign(&key, hashes[i], "text", 4, again, &again_n), RC_OK);
		assert_memory_equal(signature, again, n);
		assert_int_equal(rsa_sign(&key, hashes[i], "other", 5, again, &again_n), RC_OK);
		assert_memory_not_equal(signature, again, n);
		assert_int_equal(
			rsa_check(key.spki, key.spki_n, RSA_PSS, hashes[i], "text", 4, signature, n, NULL),
			RC_OK);
		assert_int_equal(
			rsa_check(key.spki, key.spki_n, RSA_PKCS1, hashes[i], "text", 4, signature, n, NULL),
			RC_AUTH);
		assert_int_equal(rsa_check(key.spki, key.spki_n, RSA_PSS, hashes[(i + 1) % 3], "text", 4,
					 signature, n, NULL),
			RC_AUTH);
		assert_int_equal(
			rsa_check(key.spki, key.spki_n, RSA_PSS, hashes[i], "texT", 4, signature, n, NULL),
			RC_AUTH);
		assert_int_equal(rsa_check(key.spki, key.spki_n, RSA_PSS, hashes[i], "text", 4, signature,
					 n - 1, NULL),
			RC_AUTH);
	}
	for (size_t at = 0; at < n; at += 7) {
		signature[at] ^= 1;
		assert_int_equal(rsa_check(key.spki, key.spki_n, RSA_PSS, HASH_SHA2_512, "text", 4, signature,
					 n, NULL),
			RC_AUTH);
		signature[at] ^= 1;
	}
	assert_int_equal(rsa_sign(&key, HASH_IDENTITY, "text", 4, signature, &n), RC_UNSUPPORTED);
}

static void pkcs1(void **state)
{
	uint8_t signature[256];
	size_t n = sizeof signature;
	EVP_MD_CTX *ctx = EVP_MD_CTX_new();

	assert_int_equal(EVP_DigestSignInit_ex(ctx, NULL, "SHA256", NULL, NULL, pkey, NULL), 1);
	assert_int_equal(EVP_DigestSign(ctx, signature, &n, (const uint8_t *)"text", 4), 1);
	EVP_MD_CTX_free(ctx);
	assert_int_equal(
		rsa_check(key.spki, key.spki_n, RSA_PKCS1, HASH_SHA2_256, "text", 4, signature, n, NULL),
		RC_OK);
	assert_int_equal(
		rsa_check(key.spki, key.spki_n, RSA_PSS, HASH_SHA2_256, "text", 4, signature, n, NULL),
		RC_AUTH);
}

/* RFC 7427 appendices A.1 and A.4.3. */
static void identifiers(void **state)
{
	static const char pss256[] = "304106092a864886f70d01010a3034a00f300d06096086480165030402010500"
				     "a11c301a06092a864886f70d010108300d06096086480165030402010500a203020120";
	static const char pkcs256[] = "300d06092a864886f70d01010b0500";
	uint8_t der[RSA_ALGORITHM_MAX], want[RSA_ALGORITHM_MAX];
	enum rsa_padding padding;

	assert_int_equal(rsa_algorithm(HASH_SHA2_256, der), sizeof pss256 / 2);
	assert_true(hex_to_bytes(want, sizeof pss256 / 2, pss256));
	assert_memory_equal(der, want, sizeof pss256 / 2);
	assert_true(hex_to_bytes(want, sizeof pkcs256 / 2, pkcs256));
	assert_int_equal(rsa_algorithm_find(want, sizeof pkcs256 / 2, &padding), HASH_SHA2_256);
	assert_int_equal(padding, RSA_PKCS1);
	for (size_t i = 0; i < COUNT_OF(hashes); i++) {
		size_t n = rsa_algorithm(hashes[i], der);
		assert_int_equal(rsa_algorithm_find(der, n, &padding), hashes[i]);
		assert_int_equal(padding, RSA_PSS);
		for (size_t shorter = 0; shorter < n; shorter++)
			assert_int_equal(rsa_algorithm_find(der, shorter, &padding), 0);
		der[n - 1]--; /* a salt of another length */
		assert_int_equal(rsa_algorithm_find(der, n, &padding), 0);
	}
	assert_int_equal(rsa_algorithm(HASH_IDENTITY, der), 0);
}

/* Each prefix of a key, and each octet of its structure changed. */
static void other_keys(void **state)
{
	uint8_t signature[RSA_OWN_SIGNATURE_MAX], spki[RSA_OWN_SPKI_MAX];
	size_t n;
	struct rsa_key no;
	struct err e = { 0 };
	EVP_PKEY *other;

	assert_int_equal(rsa_sign(&key, HASH_SHA2_256, "text", 4, signature, &n), RC_OK);
	for (uint32_t i = 0; i < key.spki_n; i++)
		assert_int_equal(
			rsa_check(key.spki, i, RSA_PSS, HASH_SHA2_256, "text", 4, signature, n, NULL),
			RC_MALFORMED);
	for (uint32_t i = 0; i < key.spki_n; i++) {
		memcpy(spki, key.spki, key.spki_n);
		spki[i] ^= 0x41;
		assert_int_not_equal(
			rsa_check(spki, key.spki_n, RSA_PSS, HASH_SHA2_256, "text", 4, signature, n, NULL),
			RC_OK);
	}
	assert_true(rsa_is_spki(key.spki, key.spki_n));
	assert_false(rsa_is_spki(key.spki + 1, key.spki_n - 1));
	other = EVP_RSA_gen(1024);
	assert_int_equal(load(&no, other, &e), RC_UNSUPPORTED);
	assert_non_null(strstr(e.text, "2048 to 4096"));
	EVP_PKEY_free(other);
	other = EVP_EC_gen("P-256");
	assert_int_equal(load(&no, other, NULL), RC_NOT_FOUND);
	EVP_PKEY_free(other);
	assert_int_equal(rsa_key_from_pem(&no, "nothing", 7, NULL), RC_NOT_FOUND);
}

static size_t sign_by(EVP_PKEY *by, enum rsa_padding padding, uint8_t ret_signature[512])
{
	EVP_MD_CTX *ctx = EVP_MD_CTX_new();
	EVP_PKEY_CTX *of = NULL;
	size_t n = 512;

	assert_int_equal(EVP_DigestSignInit_ex(ctx, &of, "SHA256", NULL, NULL, by, NULL), 1);
	if (padding == RSA_PSS) {
		EVP_PKEY_CTX_set_rsa_padding(of, RSA_PKCS1_PSS_PADDING);
		EVP_PKEY_CTX_set_rsa_pss_saltlen(of, RSA_PSS_SALTLEN_DIGEST);
	}
	assert_int_equal(EVP_DigestSign(ctx, ret_signature, &n, (const uint8_t *)"text", 4), 1);
	EVP_MD_CTX_free(ctx);
	return n;
}

/* A peer's key may have any number of bits, as it may have for the certifiers; ours has whole octets. */
static void odd_sizes(void **state)
{
	static const struct {
		unsigned bits;
		enum rc rc;
	} rows[] = { { 2046, RC_UNSUPPORTED }, { 2050, RC_OK }, { 2052, RC_OK } };
	uint8_t signature[512], spki[1024];
	struct err e = { 0 };
	struct rsa_key no;

	for (size_t i = 0; i < COUNT_OF(rows); i++) {
		EVP_PKEY *other = EVP_RSA_gen(rows[i].bits);
		uint8_t *at = spki;
		size_t spki_n = (size_t)i2d_PUBKEY(other, &at);
		assert_int_equal(EVP_PKEY_get_bits(other), rows[i].bits);
		for (enum rsa_padding padding = RSA_PSS; padding <= RSA_PKCS1; padding++) {
			size_t n = sign_by(other, padding, signature);
			assert_int_equal(rsa_check(spki, spki_n, padding, HASH_SHA2_256, "text", 4, signature,
						 n, NULL),
				rows[i].rc);
			signature[n / 2] ^= 1;
			assert_int_equal(rsa_check(spki, spki_n, padding, HASH_SHA2_256, "text", 4, signature,
						 n, NULL),
				rows[i].rc == RC_OK ? RC_AUTH : rows[i].rc);
		}
		assert_int_equal(load(&no, other, &e), RC_UNSUPPORTED);
		EVP_PKEY_free(other);
	}
	assert_non_null(strstr(e.text, "in whole octets"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(odd_sizes),
		cmocka_unit_test(signs),
		cmocka_unit_test(pkcs1),
		cmocka_unit_test(identifiers),
		cmocka_unit_test(other_keys),
	};

	return cmocka_run_group_tests_name("crypto rsa", tests, made, freed);
}
