/*
 * Signatures over AUTH with each kind of key: what our keeper makes, another one accepts under the method and the key that fit, and nothing
 * else. And that a certificate is of our key, without reading it.
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

#include "keys/internal.h"

static enum rc sunk(void *context, struct keys_action *action)
{
	return RC_OK;
}

static struct keys *k;

static void add(const char *name, EVP_PKEY *pkey)
{
	BIO *bio = BIO_new(BIO_s_mem());
	struct err e = { 0 };
	char *pem;
	long n;

	PEM_write_bio_PrivateKey(bio, pkey, NULL, NULL, 0, NULL, NULL);
	n = BIO_get_mem_data(bio, &pem);
	if (keys_identity_pem(k, name, pem, (size_t)n, &e) != RC_OK)
		fail_msg("%s: %s", name, e.text);
	BIO_free(bio);
	EVP_PKEY_free(pkey);
}

static const char *const names[] = { "p256", "p384", "p521", "ed", "rsa" };
enum { KINDS = 5 };

static int made(void **state)
{
	k = keys_new((struct keys_sink){ .act = sunk });
	add("p256", EVP_EC_gen("P-256"));
	add("p384", EVP_EC_gen("P-384"));
	add("p521", EVP_EC_gen("P-521"));
	add("ed", EVP_PKEY_Q_keygen(NULL, NULL, "ED25519"));
	add("rsa", EVP_RSA_gen(2048));
	return 0;
}

static int freed(void **state)
{
	keys_free(k);
	return 0;
}

#define ALL (1u << HASH_SHA2_256 | 1u << HASH_SHA2_384 | 1u << HASH_SHA2_512 | 1u << HASH_IDENTITY)

static const uint8_t text[] = "the octets of AUTH";
static const struct octets octets = { text, sizeof text };

static struct keeper_auth_verify signed_by(size_t i, uint32_t announced)
{
	struct keeper_auth_verify q = { 0 };
	struct keeper_auth_signed a = { 0 };
	struct err e = { 0 };
	size_t n;

	if (signature_make(k, identity_find(k, names[i], IDENTITY_PRIVATE), announced, text, sizeof text, &a,
		    &n, &e) != RC_OK)
		fail_msg("%s: %s", names[i], e.text);
	assert_true(n <= KEEPER_AUTH_OWN_MAX);
	q.method = a.method;
	q.auth_n = (uint16_t)n;
	memcpy(q.auth, a.auth, n);
	return q;
}

static enum rc checked(size_t i, const struct keeper_auth_verify *q, struct err *e)
{
	static struct snap_peer peer = { .name = "peer", .auth = PEER_AUTH_CERTIFICATE };
	uint8_t spki[KEYS_SPKI_MAX];
	size_t n = identity_spki(k, identity_find(k, names[i], IDENTITY_PRIVATE), spki);

	return signature_check(&peer, (struct octets){ spki, n }, q, octets, e);
}

static void each_kind(void **state)
{
	for (size_t i = 0; i < KINDS; i++) {
		struct keeper_auth_verify q = signed_by(i, ALL);
		struct err e = { 0 };

		assert_int_equal(q.method, AUTH_DIGITAL_SIGNATURE);
		for (size_t other = 0; other < KINDS; other++)
			assert_int_equal(checked(other, &q, NULL), other == i ? RC_OK : RC_AUTH);
		q.auth[q.auth_n - 1] ^= 1;
		assert_int_equal(checked(i, &q, &e), RC_AUTH);
		assert_non_null(strstr(e.text, "does not verify with the key in the certificate"));
		q.auth[q.auth_n - 1] ^= 1;
		for (uint16_t n = q.auth_n; n-- > 0;) { /* every truncation */
			q.auth_n = n;
			assert_int_equal(checked(i, &q, NULL), RC_AUTH);
		}
	}
}

/* The hash is one that the peer has announced. */
static void hashes(void **state)
{
	static const uint16_t one[] = { HASH_SHA2_256, HASH_SHA2_384, HASH_SHA2_512 };

	for (size_t h = 0; h < 3; h++)
		for (size_t i = 0; i < KINDS; i++) {
			struct keeper_auth_signed a;
			size_t n;
			if (i == 3) {
				assert_int_equal(
					signature_make(k, identity_find(k, names[i], IDENTITY_PRIVATE),
						1u << one[h], text, sizeof text, &a, &n, NULL),
					RC_UNSUPPORTED);
				continue;
			}
			struct keeper_auth_verify q = signed_by(i, 1u << one[h]);
			assert_int_equal(checked(i, &q, NULL), RC_OK);
		}
	/* RSA and P-521 have no older method that is done here. */
	for (size_t i = 0; i < KINDS; i++) {
		struct keeper_auth_signed a;
		size_t n;
		enum rc rc = signature_make(
			k, identity_find(k, names[i], IDENTITY_PRIVATE), 0, text, sizeof text, &a, &n, NULL);
		assert_int_equal(rc, i < 2 ? RC_OK : RC_UNSUPPORTED);
	}
}

/* PKCS#1 v1.5 only where it is configured. */
static void pkcs1(void **state)
{
	static const uint8_t head[] = { 15, 0x30, 0x0d, 0x06, 0x09, 0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01,
		0x01, 0x0b, 0x05, 0x00 };
	struct snap_peer peer = { .name = "peer", .auth = PEER_AUTH_CERTIFICATE };
	const struct rsa_key *key = identity_rsa(k, identity_find(k, "rsa", IDENTITY_PRIVATE));
	const uint8_t *der = key->der;
	EVP_PKEY *pkey = d2i_PrivateKey(EVP_PKEY_RSA, NULL, &der, (long)key->der_n);
	struct keeper_auth_verify q = { .method = AUTH_DIGITAL_SIGNATURE };
	EVP_MD_CTX *ctx = EVP_MD_CTX_new();
	struct err e = { 0 };
	size_t n = 256;

	memcpy(q.auth, head, sizeof head);
	assert_int_equal(EVP_DigestSignInit_ex(ctx, NULL, "SHA256", NULL, NULL, pkey, NULL), 1);
	assert_int_equal(EVP_DigestSign(ctx, q.auth + sizeof head, &n, text, sizeof text), 1);
	q.auth_n = (uint16_t)(sizeof head + n);
	EVP_MD_CTX_free(ctx);
	EVP_PKEY_free(pkey);
	assert_int_equal(
		signature_check(&peer, (struct octets){ key->spki, key->spki_n }, &q, octets, &e), RC_AUTH);
	assert_non_null(strstr(e.text, "rsa-pkcs1"));
	peer.flags = PEER_RSA_PKCS1;
	assert_int_equal(
		signature_check(&peer, (struct octets){ key->spki, key->spki_n }, &q, octets, NULL), RC_OK);
	/* A pinned key is never RSA. */
	peer.auth = PEER_AUTH_PUBLIC_KEY;
	assert_int_equal(signature_check(&peer, (struct octets){ key->spki, key->spki_n }, &q, octets, NULL),
		RC_UNSUPPORTED);
}

static void own_certificate(void **state)
{
	struct {
		struct snapshot s;
		struct snap_certificate_file file;
		struct snap_certificate certificate;
		uint8_t octets[1024];
	} *c = calloc(1, sizeof *c);
	struct snap_peer peer = { .name = "peer", .auth = PEER_AUTH_CERTIFICATE, .certificate = 1 };

	c->s.certificate_files = (struct span){ offsetof(typeof(*c), file), 1 };
	c->s.certificates = (struct span){ offsetof(typeof(*c), certificate), 1 };
	c->s.certificate_octets = (struct span){ offsetof(typeof(*c), octets), sizeof c->octets / 8 };
	snprintf(c->file.name, sizeof c->file.name, "gw.crt");
	c->file.certificates.count = 1;
	c->certificate.n = sizeof c->octets;
	keys_configure(k, &c->s);
	for (size_t i = 0; i < KINDS; i++) {
		const struct keys_identity *id = identity_find(k, names[i], IDENTITY_PRIVATE);
		struct err e = { 0 };

		memset(c->octets, 0x30, sizeof c->octets);
		assert_int_equal(certificate_is_of_key(k, &peer, id, &e), RC_NOT_FOUND);
		assert_non_null(strstr(e.text, "'gw.crt' is not that of our key"));
		identity_spki(k, id, c->octets + 100);
		assert_int_equal(certificate_is_of_key(k, &peer, id, NULL), RC_OK);
		c->octets[104] ^= 1;
		assert_int_equal(certificate_is_of_key(k, &peer, id, NULL), RC_NOT_FOUND);
	}
	c->file.certificates.count = 0;
	assert_int_equal(certificate_is_of_key(k, &peer, identity_find(k, "rsa", IDENTITY_PRIVATE), NULL),
		RC_NOT_FOUND);
	keys_configure(k, NULL);
	free(c);
}

/* RSA keys have places of their own, which a key of the same name takes again; and all of it can be locked. */
static void places(void **state)
{
	EVP_PKEY *pkey = EVP_RSA_gen(2048);
	struct err e = { 0 };
	char name[16];
	size_t n;

	keys_memory(k, &n);
	assert_true(n <= 16u << 20);
	for (int i = 0; i < KEYS_RSA_MAX + 3; i++) {
		EVP_PKEY_up_ref(pkey);
		add("rsa", pkey);
	}
	assert_int_equal(k->rsa_n, 1);
	for (int i = 1; i < KEYS_RSA_MAX; i++) {
		snprintf(name, sizeof name, "r%d", i);
		EVP_PKEY_up_ref(pkey);
		add(name, pkey);
	}
	BIO *bio = BIO_new(BIO_s_mem());
	char *pem;
	PEM_write_bio_PrivateKey(bio, pkey, NULL, NULL, 0, NULL, NULL);
	long pem_n = BIO_get_mem_data(bio, &pem);
	assert_int_equal(keys_identity_pem(k, "more", pem, (size_t)pem_n, &e), RC_LIMIT);
	assert_non_null(strstr(e.text, "RSA keys"));
	BIO_free(bio);
	EVP_PKEY_free(pkey);
	keys_identities_clear(k);
	assert_int_equal(k->rsa_n, 0);
	for (size_t i = 0; i < sizeof k->rsa; i++)
		assert_int_equal(((const uint8_t *)k->rsa)[i], 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(each_kind),
		cmocka_unit_test(hashes),
		cmocka_unit_test(pkcs1),
		cmocka_unit_test(own_certificate),
		cmocka_unit_test(places),
	};

	return cmocka_run_group_tests_name("keys signature", tests, made, freed);
}
