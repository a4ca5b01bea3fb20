/*
 * A security key in software, as a provider of ssh-sk-helper (OpenSSH, PROTOCOL.u2f; its interface is sk-api.h's). ssh-keygen makes and uses its keys
 * as it does those of a token on a USB port: only who holds the private key and who is touched is another. The handle is the private key.
 * SECURITY_KEY_UNTOUCHED=1: it signs without a touch.
 */
#include "base/bytes.h"
#include "base/wr.h"

#include <openssl/bn.h>
#include <openssl/core_names.h>
#include <openssl/ec.h>
#include <openssl/evp.h>
#include <stdlib.h>

/* clang-format off */
struct sk_option { char *name, *value; uint8_t required; };
struct sk_enroll_response {
	uint8_t flags;
	uint8_t *public_key; size_t public_key_len;
	uint8_t *key_handle; size_t key_handle_len;
	uint8_t *signature; size_t signature_len;
	uint8_t *attestation_cert; size_t attestation_cert_len;
	uint8_t *authdata; size_t authdata_len;
};
struct sk_sign_response {
	uint8_t flags;
	uint32_t counter;
	uint8_t *sig_r; size_t sig_r_len;
	uint8_t *sig_s; size_t sig_s_len;
};
/* clang-format on */

enum { ALG_ECDSA = 0, ALG_ED25519 = 1, API_VERSION = 0x000a0000, FAILED = -1, USER_PRESENT = 1 };

uint32_t sk_api_version(void);
int sk_enroll(uint32_t alg, const uint8_t *challenge, size_t challenge_len, const char *application,
	uint8_t flags, const char *pin, struct sk_option **options, struct sk_enroll_response **ret);
int sk_sign(uint32_t alg, const uint8_t *data, size_t data_len, const char *application,
	const uint8_t *key_handle, size_t key_handle_len, uint8_t flags, const char *pin,
	struct sk_option **options, struct sk_sign_response **ret);
int sk_load_resident_keys(const char *pin, struct sk_option **options, void ***ret, size_t *ret_n);

uint32_t sk_api_version(void)
{
	return API_VERSION;
}

static uint8_t *copied(const uint8_t *bytes, size_t n, size_t *ret_n)
{
	uint8_t *to = calloc(1, n);

	if (to && bytes)
		memcpy(to, bytes, n);
	*ret_n = to ? n : 0;
	return to;
}

static EVP_PKEY *key_of(const uint8_t *handle, size_t n)
{
	return d2i_AutoPrivateKey(NULL, &handle, (long)n);
}

int sk_enroll(uint32_t alg, const uint8_t *challenge, size_t challenge_len, const char *application,
	uint8_t flags, const char *pin, struct sk_option **options, struct sk_enroll_response **ret)
{
	EVP_PKEY *key = alg == ALG_ED25519 ? EVP_PKEY_Q_keygen(NULL, NULL, "ED25519")
					   : EVP_PKEY_Q_keygen(NULL, NULL, "EC", "P-256");
	struct sk_enroll_response *r = calloc(1, sizeof *r);
	uint8_t public[65], handle[256], *at = handle;
	size_t public_n = sizeof public;
	int handle_n;

	if (!key || !r || (handle_n = i2d_PrivateKey(key, NULL)) <= 0 || (size_t)handle_n > sizeof handle)
		return FAILED;
	i2d_PrivateKey(key, &at);
	if (alg == ALG_ED25519 ? EVP_PKEY_get_raw_public_key(key, public, &public_n) != 1
			       : EVP_PKEY_get_octet_string_param(key, OSSL_PKEY_PARAM_ENCODED_PUBLIC_KEY,
					 public, sizeof public, &public_n) != 1)
		return FAILED;
	r->flags = flags;
	r->public_key = copied(public, public_n, &r->public_key_len);
	r->key_handle = copied(handle, (size_t)handle_n, &r->key_handle_len);
	r->signature = copied(NULL, 64, &r->signature_len);
	EVP_PKEY_free(key);
	*ret = r;
	return 0;
}

/* r and s of a signature in DER. */
static int der_apart(const uint8_t *der, size_t n, struct sk_sign_response *r)
{
	ECDSA_SIG *sig = d2i_ECDSA_SIG(NULL, &der, (long)n);
	uint8_t number[32];
	int got;

	if (!sig)
		return FAILED;
	got = BN_bn2bin(ECDSA_SIG_get0_r(sig), number);
	r->sig_r = copied(number, (size_t)got, &r->sig_r_len);
	got = BN_bn2bin(ECDSA_SIG_get0_s(sig), number);
	r->sig_s = copied(number, (size_t)got, &r->sig_s_len);
	ECDSA_SIG_free(sig);
	return 0;
}

int sk_sign(uint32_t alg, const uint8_t *data, size_t data_len, const char *application,
	const uint8_t *key_handle, size_t key_handle_len, uint8_t flags, const char *pin,
	struct sk_option **options, struct sk_sign_response **ret)
{
	const char *untouched = getenv("SECURITY_KEY_UNTOUCHED");
	struct sk_sign_response *r = calloc(1, sizeof *r);
	EVP_PKEY *key = key_of(key_handle, key_handle_len);
	EVP_MD_CTX *context = EVP_MD_CTX_new();
	uint8_t bytes[32 + 1 + 4 + 32], signature[80], hash[32];
	size_t n = sizeof signature;
	struct wr w = wr_over(bytes, sizeof bytes);

	if (!r || !key || !context)
		return FAILED;
	r->flags = untouched && *untouched == '1' ? 0 : USER_PRESENT;
	r->counter = 0x12345678;
	EVP_Q_digest(NULL, "SHA256", NULL, application, strlen(application), hash, NULL);
	wr_bytes(&w, hash, sizeof hash);
	wr_u8(&w, r->flags);
	wr_u32(&w, r->counter);
	EVP_Q_digest(NULL, "SHA256", NULL, data, data_len, hash, NULL);
	wr_bytes(&w, hash, sizeof hash);
	if (EVP_DigestSignInit_ex(
		    context, NULL, alg == ALG_ED25519 ? NULL : "SHA256", NULL, NULL, key, NULL) != 1 ||
		EVP_DigestSign(context, signature, &n, bytes, wr_len(&w)) != 1)
		return FAILED;
	if (alg == ALG_ED25519)
		r->sig_r = copied(signature, n, &r->sig_r_len);
	else if (der_apart(signature, n, r))
		return FAILED;
	EVP_MD_CTX_free(context);
	EVP_PKEY_free(key);
	*ret = r;
	return 0;
}

int sk_load_resident_keys(const char *pin, struct sk_option **options, void ***ret, size_t *ret_n)
{
	*ret = NULL;
	*ret_n = 0;
	return FAILED;
}
