#include "crypto/sign.h"

#include "crypto/ecdsa.h"
#include "crypto/ed25519.h"

#include <assert.h>
#include <openssl/bio.h>
#include <openssl/bn.h>
#include <openssl/core_names.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/pem.h>

/* clang-format off */
static const struct kind_row {
	const char *text, *group; /* libcrypto's name of the curve */
	uint32_t secret_n, public_n, signature_n;
	/* SubjectPublicKeyInfo up to the key's octets: DER has one form for each kind (RFC 8410, RFC 5480). */
	uint8_t spki_n, spki[28];
} kinds[] = {
#define E(id, secret_octets, public_octets, signature_octets, word) \
	[SIGN_##id] = { .text = word, .secret_n = secret_octets, .public_n = public_octets, .signature_n = signature_octets, SPKI_##id },
#define SPKI_ED25519 .group = NULL, .spki_n = 12, .spki = { \
	0x30, 0x2a, 0x30, 0x05, 0x06, 0x03, 0x2b, 0x65, 0x70, 0x03, 0x21, 0x00 }
#define SPKI_ECDSA_P256 .group = "prime256v1", .spki_n = 27, .spki = { \
	0x30, 0x59, 0x30, 0x13, 0x06, 0x07, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x02, 0x01, 0x06, 0x08, 0x2a, 0x86, 0x48, \
	0xce, 0x3d, 0x03, 0x01, 0x07, 0x03, 0x42, 0x00, 0x04 }
#define SPKI_ECDSA_P384 .group = "secp384r1", .spki_n = 24, .spki = { \
	0x30, 0x76, 0x30, 0x10, 0x06, 0x07, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x02, 0x01, 0x06, 0x05, 0x2b, 0x81, 0x04, \
	0x00, 0x22, 0x03, 0x62, 0x00, 0x04 }
#define SPKI_ECDSA_P521 .group = "secp521r1", .spki_n = 26, .spki = { \
	0x30, 0x81, 0x9b, 0x30, 0x10, 0x06, 0x07, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x02, 0x01, 0x06, 0x05, 0x2b, 0x81, \
	0x04, 0x00, 0x23, 0x03, 0x81, 0x86, 0x00, 0x04 }
	SIGN_KINDS(E)
#undef E
};

/* RFC 7427 appendix A and RFC 8420 appendix A: the identifiers as they stand in the AUTH payload. */
static const struct algorithm_row {
	uint32_t kind; /* SIGN_ECDSA_P256: any curve, the identifier does not say which */
	uint16_t hash;
	uint8_t n, der[12];
} algorithms[] = {
	{ SIGN_ED25519,    HASH_IDENTITY, 7,  { 0x30, 0x05, 0x06, 0x03, 0x2b, 0x65, 0x70 } },
	{ SIGN_ECDSA_P256, HASH_SHA2_256, 12, { 0x30, 0x0a, 0x06, 0x08, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x04, 0x03, 0x02 } },
	{ SIGN_ECDSA_P256, HASH_SHA2_384, 12, { 0x30, 0x0a, 0x06, 0x08, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x04, 0x03, 0x03 } },
	{ SIGN_ECDSA_P256, HASH_SHA2_512, 12, { 0x30, 0x0a, 0x06, 0x08, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x04, 0x03, 0x04 } },
};
/* clang-format on */

#define E(id, secret_octets, public_octets, signature_octets, word)                                          \
	_Static_assert((public_octets) <= SIGN_PUBLIC_MAX && (signature_octets) <= SIGN_SIGNATURE_MAX, word);
SIGN_KINDS(E)
#undef E

static const struct kind_row *kind_row(uint32_t kind)
{
	return kind > SIGN_NONE && kind < COUNT_OF(kinds) ? &kinds[kind] : NULL;
}

const char *sign_kind_text(uint32_t kind)
{
	return kind_row(kind) ? kinds[kind].text : "none";
}

size_t sign_public_size(uint32_t kind)
{
	return kind_row(kind) ? kinds[kind].public_n : 0;
}

static uint32_t algorithm_kind(uint32_t kind)
{
	return kind == SIGN_ECDSA_P384 || kind == SIGN_ECDSA_P521 ? SIGN_ECDSA_P256 : kind;
}

const uint8_t *sign_algorithm(uint32_t kind, uint16_t hash, size_t *ret_n)
{
	for (size_t i = 0; i < COUNT_OF(algorithms); i++) {
		if (algorithms[i].kind == algorithm_kind(kind) && algorithms[i].hash == hash) {
			*ret_n = algorithms[i].n;
			return algorithms[i].der;
		}
	}
	*ret_n = 0;
	return NULL;
}

uint16_t sign_algorithm_find(uint32_t kind, const void *der, size_t n)
{
	for (size_t i = 0; i < COUNT_OF(algorithms); i++)
		if (algorithms[i].kind == algorithm_kind(kind) && algorithms[i].n == n &&
			memcmp(algorithms[i].der, der, n) == 0)
			return algorithms[i].hash;
	return 0;
}

enum rc verify_key_from_spki(struct verify_key *ret_key, const void *der, size_t n, struct err *e)
{
	memset(ret_key, 0, sizeof *ret_key);
	for (uint32_t kind = SIGN_NONE + 1; kind < COUNT_OF(kinds); kind++) {
		const struct kind_row *row = &kinds[kind];

		if (n != row->spki_n + row->public_n || memcmp(der, row->spki, row->spki_n) != 0)
			continue;
		ret_key->kind = kind;
		ret_key->n = row->public_n;
		memcpy(ret_key->bytes, (const uint8_t *)der + row->spki_n, row->public_n);
		if (row->group && ecdsa_public_check(kind, ret_key->bytes) != RC_OK) {
			memset(ret_key, 0, sizeof *ret_key);
			return err_add(e, RC_MALFORMED, "the public key is not a point of its curve");
		}
		return RC_OK;
	}
	return err_add(e, RC_UNSUPPORTED,
		"malformed public key: expected DER of Ed25519 or ECDSA P-256, P-384 or P-521 "
		"(uncompressed point)");
}

size_t verify_key_spki(const struct verify_key *key, uint8_t *ret_der)
{
	const struct kind_row *row = kind_row(key->kind);

	if (!row)
		return 0;
	assert(key->n == row->public_n && row->spki_n + row->public_n <= SIGN_SPKI_MAX);
	memcpy(ret_der, row->spki, row->spki_n);
	memcpy(ret_der + row->spki_n, key->bytes, row->public_n);
	return row->spki_n + row->public_n;
}

enum rc verify_key_from_pem(struct verify_key *ret_key, const void *pem, size_t n, struct err *e)
{
	BIO *bio = BIO_new_mem_buf(pem, (int)MIN_OF(n, 65536u));
	char *name = NULL, *header = NULL;
	unsigned char *der = NULL;
	long der_n = 0;
	enum rc rc;

	memset(ret_key, 0, sizeof *ret_key);
	if (!bio || PEM_read_bio(bio, &name, &header, &der, &der_n) != 1 ||
		strcmp(name, PEM_STRING_PUBLIC) != 0)
		rc = err_add(e, RC_MALFORMED,
			"malformed public key: expected a '-----BEGIN PUBLIC KEY-----' block");
	else
		rc = verify_key_from_spki(ret_key, der, (size_t)der_n, e);
	OPENSSL_free(name);
	OPENSSL_free(header);
	OPENSSL_free(der);
	BIO_free(bio);
	ERR_clear_error();
	return rc;
}

enum rc sign_key_from_secret(struct sign_key *ret_key, enum sign_kind kind, const void *secret, size_t n)
{
	const struct kind_row *row = kind_row(kind);
	enum rc rc = RC_OK;

	memset(ret_key, 0, sizeof *ret_key);
	if (!row)
		return RC_UNSUPPORTED;
	if (n != row->secret_n)
		return RC_RANGE;
	assert(n <= sizeof ret_key->secret);
	ret_key->kind = ret_key->public_part.kind = kind;
	ret_key->n = row->secret_n;
	ret_key->public_part.n = row->public_n;
	memcpy(ret_key->secret, secret, n);
	if (kind == SIGN_ED25519)
		ed25519_public(ret_key->public_part.bytes, ret_key->secret);
	else
		rc = ecdsa_public(kind, ret_key->secret, ret_key->public_part.bytes);
	if (rc != RC_OK)
		sign_key_done(ret_key);
	return rc;
}

/* The raw secret of a key that libcrypto read. */
static enum rc secret_take(struct sign_key *ret_key, EVP_PKEY *pkey, struct err *e)
{
	uint8_t secret[SIGN_SECRET_MAX];
	size_t n = sizeof secret;
	char group[32];
	enum rc rc = RC_UNSUPPORTED;

	if (EVP_PKEY_is_a(pkey, "ED25519")) {
		if (EVP_PKEY_get_raw_private_key(pkey, secret, &n) == 1)
			rc = sign_key_from_secret(ret_key, SIGN_ED25519, secret, n);
	} else if (EVP_PKEY_is_a(pkey, "EC") &&
		   EVP_PKEY_get_utf8_string_param(
			   pkey, OSSL_PKEY_PARAM_GROUP_NAME, group, sizeof group, &n) == 1) {
		uint32_t kind = strcmp(group, kinds[SIGN_ECDSA_P256].group) == 0   ? SIGN_ECDSA_P256
				: strcmp(group, kinds[SIGN_ECDSA_P384].group) == 0 ? SIGN_ECDSA_P384
				: strcmp(group, kinds[SIGN_ECDSA_P521].group) == 0 ? SIGN_ECDSA_P521
										   : SIGN_NONE;
		int size = (int)kinds[kind].secret_n;
		BIGNUM *d = NULL;

		if (kind != SIGN_NONE && EVP_PKEY_get_bn_param(pkey, OSSL_PKEY_PARAM_PRIV_KEY, &d) == 1 &&
			BN_bn2binpad(d, secret, size) == size)
			rc = sign_key_from_secret(ret_key, kind, secret, (size_t)size);
		BN_clear_free(d);
	}
	bytes_wipe(secret, sizeof secret);
	return rc == RC_OK ? RC_OK
			   : err_add(e, rc, "not an Ed25519, ECDSA P-256, P-384 or P-521 private key");
}

/* Keys with a passphrase are refused: it cannot be entered. */
static int no_passphrase(char *buffer, int size, int writing, void *user)
{
	return -1;
}

enum rc sign_key_from_pem(struct sign_key *ret_key, const void *pem, size_t n, struct err *e)
{
	BIO *bio = BIO_new_mem_buf(pem, (int)MIN_OF(n, 65536u));
	EVP_PKEY *pkey = bio ? PEM_read_bio_PrivateKey(bio, NULL, no_passphrase, NULL) : NULL;
	enum rc rc;

	memset(ret_key, 0, sizeof *ret_key);
	if (pkey)
		rc = secret_take(ret_key, pkey, e);
	else
		rc = err_add(e, RC_MALFORMED,
			"malformed private key: expected an unencrypted '-----BEGIN PRIVATE KEY-----' "
			"(PKCS#8) or '-----BEGIN EC PRIVATE KEY-----' block");
	EVP_PKEY_free(pkey);
	BIO_free(bio);
	ERR_clear_error();
	return rc;
}

void sign_key_done(struct sign_key *key)
{
	bytes_wipe(key, sizeof *key);
}

static enum rc ed25519_sign_checked(
	const struct sign_key *key, const void *message, size_t n, uint8_t *ret_signature)
{
	uint8_t secret[ED25519_SECRET_SIZE];

	/* Our public key was derived of the seed when the key was loaded; were it another by now, the check below would fail. */
	memcpy(secret, key->secret, ED25519_SEED_SIZE);
	memcpy(secret + ED25519_SEED_SIZE, key->public_part.bytes, ED25519_PUBLIC_SIZE);
	ed25519_secret_sign(ret_signature, secret, message, n);
	bytes_wipe(secret, sizeof secret);
	if (ed25519_verify(key->public_part.bytes, message, n, ret_signature))
		return RC_OK;
	bytes_wipe(ret_signature, ED25519_SIGNATURE_SIZE);
	return RC_INTERNAL;
}

enum rc sign_message(const struct sign_key *key, uint16_t hash, enum sign_format format, const void *message,
	size_t n, uint8_t *ret_signature, size_t *ret_n)
{
	size_t algorithm_n;

	*ret_n = 0;
	if (!kind_row(key->kind) || !sign_algorithm(key->kind, hash, &algorithm_n))
		return RC_UNSUPPORTED;
	assert(key->n == kinds[key->kind].secret_n && key->public_part.kind == key->kind);
	if (key->kind != SIGN_ED25519)
		return ecdsa_sign(key, hash, format, message, n, ret_signature, ret_n);
	*ret_n = ED25519_SIGNATURE_SIZE;
	return ed25519_sign_checked(key, message, n, ret_signature);
}

enum rc sign_check(const struct verify_key *key, uint16_t hash, enum sign_format format, const void *message,
	size_t n, const void *signature, size_t signature_n)
{
	size_t algorithm_n;

	if (!kind_row(key->kind) || !sign_algorithm(key->kind, hash, &algorithm_n))
		return RC_UNSUPPORTED;
	if (key->kind != SIGN_ED25519)
		return ecdsa_check(key, hash, format, message, n, signature, signature_n);
	if (signature_n != ED25519_SIGNATURE_SIZE)
		return RC_AUTH;
	return ed25519_verify(key->bytes, message, n, signature) ? RC_OK : RC_AUTH;
}
