#include "crypto/aead.h"

#include <assert.h>
#include <limits.h>
#include <openssl/evp.h>

#define E(id, number, key_bits, word)                                                                        \
	_Static_assert((key_bits) / 8 + AEAD_SALT_SIZE_GCM <= AEAD_KEY_MAX, word);
ENCR_ALGORITHMS(E)
#undef E

size_t aead_material_size(uint16_t encr, uint16_t bits)
{
#define E(id, number, key_bits, word)                                                                        \
	if (encr == (number) && bits == (key_bits))                                                          \
		return (key_bits) / 8 + AEAD_SALT_SIZE_GCM;
	ENCR_ALGORITHMS(E)
#undef E
	return 0;
}

enum rc aead_key_init(struct aead_key *ret_key, uint16_t encr, uint16_t bits, const void *material, size_t n)
{
	size_t want = aead_material_size(encr, bits);

	memset(ret_key, 0, sizeof *ret_key);
	if (want == 0)
		return RC_UNSUPPORTED;
	if (n != want)
		return RC_RANGE;
	assert(n - AEAD_SALT_SIZE_GCM <= sizeof ret_key->key);
	ret_key->encr = encr;
	ret_key->key_n = (uint16_t)(n - AEAD_SALT_SIZE_GCM);
	memcpy(ret_key->key, material, ret_key->key_n);
	memcpy(ret_key->salt, (const uint8_t *)material + ret_key->key_n, AEAD_SALT_SIZE_GCM);
	return RC_OK;
}

void aead_key_done(struct aead_key *k)
{
	bytes_wipe(k, sizeof *k);
}

static const EVP_CIPHER *cipher_of(const struct aead_key *k)
{
	switch (k->encr) {
	case ENCR_AES_GCM_16:
		return k->key_n == 16 ? EVP_aes_128_gcm() : k->key_n == 32 ? EVP_aes_256_gcm() : NULL;
	case ENCR_CHACHA20_POLY1305:
		return k->key_n == 32 ? EVP_chacha20_poly1305() : NULL;
	}
	return NULL;
}

/* A context keyed and with its AAD fed; both transforms have libcrypto's default nonce size of 12. */
static EVP_CIPHER_CTX *start(
	const struct aead_key *k, const uint8_t *iv, const void *aad, size_t aad_n, size_t n, int encrypt)
{
	uint8_t nonce[AEAD_SALT_SIZE_GCM + AEAD_IV_SIZE];
	const EVP_CIPHER *cipher = cipher_of(k);
	EVP_CIPHER_CTX *ctx;
	int got;

	if (!cipher || aad_n > INT_MAX || n > INT_MAX)
		return NULL;
	memcpy(nonce, k->salt, AEAD_SALT_SIZE_GCM);
	memcpy(nonce + AEAD_SALT_SIZE_GCM, iv, AEAD_IV_SIZE);
	ctx = EVP_CIPHER_CTX_new();
	if (ctx && EVP_CipherInit_ex(ctx, cipher, NULL, k->key, nonce, encrypt) == 1 &&
		(aad_n == 0 || EVP_CipherUpdate(ctx, NULL, &got, aad, (int)aad_n) == 1))
		return ctx;
	EVP_CIPHER_CTX_free(ctx);
	return NULL;
}

enum rc aead_seal(const struct aead_key *k, const uint8_t iv[AEAD_IV_SIZE], const void *aad, size_t aad_n,
	const void *plain, size_t n, uint8_t *ret_sealed)
{
	EVP_CIPHER_CTX *ctx = start(k, iv, aad, aad_n, n, 1);
	enum rc rc = RC_INTERNAL;
	int got = 0;

	if (ctx && (n == 0 || EVP_CipherUpdate(ctx, ret_sealed, &got, plain, (int)n) == 1) &&
		(size_t)got == n && EVP_CipherFinal_ex(ctx, ret_sealed + n, &got) == 1 && got == 0 &&
		EVP_CIPHER_CTX_ctrl(ctx, EVP_CTRL_AEAD_GET_TAG, AEAD_ICV_SIZE, ret_sealed + n) == 1)
		rc = RC_OK;
	EVP_CIPHER_CTX_free(ctx);
	if (rc != RC_OK)
		bytes_wipe(ret_sealed, n + AEAD_ICV_SIZE);
	return rc;
}

enum rc aead_open(const struct aead_key *k, const uint8_t iv[AEAD_IV_SIZE], const void *aad, size_t aad_n,
	const void *sealed, size_t n, uint8_t *ret_plain)
{
	const uint8_t *in = sealed;
	uint8_t icv[AEAD_ICV_SIZE], none[AEAD_ICV_SIZE];
	enum rc rc = RC_AUTH;
	EVP_CIPHER_CTX *ctx;
	int got = 0;

	if (n < AEAD_ICV_SIZE)
		return RC_TRUNCATED;
	n -= AEAD_ICV_SIZE;
	memcpy(icv, in + n, AEAD_ICV_SIZE); /* a copy: ret_plain may be the same buffer */
	ctx = start(k, iv, aad, aad_n, n, 0);
	if (!ctx)
		rc = RC_INTERNAL;
	else if (EVP_CIPHER_CTX_ctrl(ctx, EVP_CTRL_AEAD_SET_TAG, AEAD_ICV_SIZE, icv) == 1 &&
		 (n == 0 || EVP_CipherUpdate(ctx, ret_plain, &got, in, (int)n) == 1) && (size_t)got == n &&
		 EVP_CipherFinal_ex(ctx, none, &got) == 1)
		rc = RC_OK;
	EVP_CIPHER_CTX_free(ctx);
	if (rc != RC_OK)
		bytes_wipe(ret_plain, n);
	return rc;
}
