/*
 * Private keys, and what every file of the room needs of libcrypto.
 */
#include "pki/internal.h"

#include <openssl/bio.h>
#include <openssl/ec.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/rsa.h>
#include <stdlib.h>
#include <string.h>

void pki_text_free(struct pki_text *t)
{
	if (t->at)
		bytes_wipe(t->at, t->n);
	free(t->at);
	*t = (struct pki_text){ 0 };
}

enum rc pki_library_failed(struct err *e, enum rc rc, const char *what)
{
	const char *data = "", *why;
	int flags = 0;
	unsigned long code = ERR_peek_error_all(NULL, NULL, NULL, &data, &flags);

	why = ERR_reason_error_string(code);
	if (!(flags & ERR_TXT_STRING) || !data)
		data = "";
	err_add(e, rc, "%s%s%s%s%.160s", what, why ? ": " : "", why ? why : "", data[0] ? ": " : "", data);
	ERR_clear_error();
	return rc;
}

enum rc pki_text_take(struct pki_text *ret, BIO *bio, bool good, const char *what, struct err *e)
{
	char *at = NULL;
	long n = good ? BIO_get_mem_data(bio, &at) : 0;

	*ret = (struct pki_text){ .at = n > 0 ? malloc((size_t)n + 1) : NULL };
	if (ret->at) {
		memcpy(ret->at, at, (size_t)n);
		ret->at[n] = '\0';
		ret->n = (size_t)n;
	}
	BIO_free(bio);
	return ret->at ? RC_OK : pki_library_failed(e, RC_INTERNAL, what);
}

static EVP_PKEY *generate(uint32_t type)
{
	switch (type) {
	case PKI_ECDSA_P256:
		return EVP_EC_gen("P-256");
	case PKI_ECDSA_P384:
		return EVP_EC_gen("P-384");
	case PKI_ED25519:
		return EVP_PKEY_Q_keygen(NULL, NULL, "ED25519");
	case PKI_RSA_3072:
		return EVP_RSA_gen(3072);
	case PKI_RSA_4096:
		return EVP_RSA_gen(4096);
	}
	return NULL;
}

enum rc pki_key_make(struct pki_text *ret_pem, uint32_t type, struct err *e)
{
	EVP_PKEY *key = generate(type);
	BIO *bio = BIO_new(BIO_s_secmem());
	bool good = key && bio && PEM_write_bio_PKCS8PrivateKey(bio, key, NULL, NULL, 0, NULL, NULL) == 1;
	enum rc rc = pki_text_take(ret_pem, bio, good, "a key could not be made", e);

	EVP_PKEY_free(key);
	return rc;
}

enum rc pki_key_strong(const EVP_PKEY *key, struct err *e)
{
	char group[32] = "";

	if (EVP_PKEY_is_a(key, "ED25519"))
		return RC_OK;
	if (EVP_PKEY_is_a(key, "RSA") && EVP_PKEY_get_bits(key) >= PKI_RSA_BITS_MIN)
		return RC_OK;
	if (EVP_PKEY_is_a(key, "EC") && EVP_PKEY_get_group_name(key, group, sizeof group, NULL) == 1 &&
		(strcmp(group, "prime256v1") == 0 || strcmp(group, "secp384r1") == 0 ||
			strcmp(group, "secp521r1") == 0))
		return RC_OK;
	return err_add(e, RC_RANGE,
		"the key is %s%s%s of %d bits, expected RSA of at least %d bits, ECDSA on P-256, P-384 or P-521, or Ed25519",
		EVP_PKEY_get0_type_name(key), group[0] ? " on " : "", group, EVP_PKEY_get_bits(key),
		PKI_RSA_BITS_MIN);
}

enum rc pki_key_adopt(struct pki_key *key, EVP_PKEY *secret, struct err *e)
{
	uint8_t *der = NULL;
	const uint8_t *at;
	int n = i2d_PUBKEY(secret, &der);

	key->secret = secret;
	at = der;
	key->open = n > 0 ? d2i_PUBKEY(NULL, &at, n) : NULL;
	OPENSSL_free(der);
	if (!key->open)
		return pki_library_failed(e, RC_UNSUPPORTED, "the key has no public half that can be read");
	ERR_clear_error();
	return pki_key_strong(key->open, e);
}

enum rc pki_key_read(struct pki_key **ret_key, const struct pki_text *pem, struct err *e)
{
	struct pki_key *key = calloc(1, sizeof *key);
	BIO *bio = BIO_new_mem_buf(pem->at, (int)pem->n);
	EVP_PKEY *secret = bio ? PEM_read_bio_PrivateKey(bio, NULL, NULL, (void *)(uintptr_t)"") : NULL;

	*ret_key = key;
	BIO_free(bio);
	if (key && secret)
		return pki_key_adopt(key, secret, e);
	EVP_PKEY_free(secret);
	if (pem->at && strstr(pem->at, "-----BEGIN TSS2 PRIVATE KEY-----")) {
		ERR_clear_error();
		return err_add(
			e, RC_MALFORMED, "the file has a key of a TPM: write tpm2tss: in front of its name");
	}
	return pki_library_failed(e, RC_MALFORMED, "no private key in PEM, not encrypted, was found");
}

void pki_key_free(struct pki_key *key)
{
	if (!key)
		return;
	EVP_PKEY_free(key->secret);
	EVP_PKEY_free(key->open);
	if (key->done)
		key->done(key);
	free(key);
}

bool pki_key_is_of(const struct pki_key *key, const X509 *certificate)
{
	const EVP_PKEY *theirs = X509_get0_pubkey(certificate);
	bool same = theirs && EVP_PKEY_eq(theirs, key->open) == 1;

	ERR_clear_error();
	return same;
}

static const char *digest_of(const EVP_PKEY *key)
{
	if (EVP_PKEY_is_a(key, "ED25519"))
		return NULL; /* its own */
	return EVP_PKEY_is_a(key, "EC") && EVP_PKEY_get_bits(key) > 256 ? "SHA384" : "SHA256";
}

EVP_MD_CTX *pki_key_signs(const struct pki_key *key)
{
	EVP_MD_CTX *signs = EVP_MD_CTX_new();

	if (signs && EVP_DigestSignInit_ex(
			     signs, NULL, digest_of(key->open), key->library, NULL, key->secret, NULL) == 1)
		return signs;
	EVP_MD_CTX_free(signs);
	return NULL;
}
