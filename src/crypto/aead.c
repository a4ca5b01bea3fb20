#include "crypto/aead.h"

#include "crypto/hmac.h"

#include <assert.h>
#include <limits.h>
#include <openssl/evp.h>

#define E(id, number, key_bits, word)                                                                        \
	_Static_assert((key_bits) / 8 + AEAD_SALT_SIZE_GCM <= AEAD_KEY_MAX, word);
ENCR_ALGORITHMS(E)
#undef E
#define E(id, number, key_n, icv_n, digest)                                                                  \
	_Static_assert((key_n) <= INTEG_KEY_MAX && (icv_n) <= INTEG_ICV_MAX, digest);
INTEG_ALGORITHMS(E)
#undef E

static const char *digest_of(uint16_t integ)
{
#define E(id, number, key_n, icv_n, digest)                                                                  \
	if (integ == (number))                                                                               \
		return digest;
	INTEG_ALGORITHMS(E)
#undef E
	return NULL;
}

size_t aead_integ_size(uint16_t encr)
{
	return integ_key_size(integ_transform(encr));
}

size_t aead_material_size(uint16_t encr, uint16_t bits)
{
#define E(id, number, key_bits, word)                                                                        \
	if (encr == (number) && bits == (key_bits))                                                          \
		return (key_bits) / 8 +                                                                      \
		       (integ_transform(encr) ? aead_integ_size(encr) : (size_t)AEAD_SALT_SIZE_GCM);
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
	ret_key->encr = encr;
	ret_key->key_n = bits / 8;
	assert(ret_key->key_n <= sizeof ret_key->key);
	memcpy(ret_key->key, material, ret_key->key_n);
	memcpy(integ_transform(encr) ? ret_key->integ_key : ret_key->salt,
		(const uint8_t *)material + ret_key->key_n, n - ret_key->key_n);
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
	if (encr_transform(k->encr) == ENCR_AES_CBC)
		return k->key_n == 16 ? EVP_aes_128_cbc() : k->key_n == 32 ? EVP_aes_256_cbc() : NULL;
	return NULL;
}

/* ---- AES-CBC with HMAC ---- */

/* Whole blocks, without padding of libcrypto's. */
static bool cbc_run(
	const struct aead_key *k, const uint8_t *iv, const void *in, size_t n, uint8_t *ret_out, int encrypt)
{
	EVP_CIPHER_CTX *ctx = EVP_CIPHER_CTX_new();
	uint8_t none[CBC_BLOCK_SIZE];
	int got = 0, rest = 0;
	bool ok = ctx && n <= INT_MAX &&
		  EVP_CipherInit_ex(ctx, cipher_of(k), NULL, k->key, iv, encrypt) == 1 &&
		  EVP_CIPHER_CTX_set_padding(ctx, 0) == 1 &&
		  EVP_CipherUpdate(ctx, ret_out, &got, in, (int)n) == 1 && (size_t)got == n &&
		  EVP_CipherFinal_ex(ctx, none, &rest) == 1 && rest == 0;

	EVP_CIPHER_CTX_free(ctx);
	return ok;
}

/* RFC 4868 section 2.1.2: the first octets of the HMAC. */
static enum rc icv_make(const struct aead_key *k, const uint8_t *iv, const void *aad, size_t aad_n,
	const uint8_t *sealed, size_t n, uint8_t ret_icv[INTEG_KEY_MAX])
{
	const struct prf_part parts[] = { { aad, aad_n }, { iv, CBC_BLOCK_SIZE }, { sealed, n } };
	size_t size = aead_integ_size(k->encr); /* RFC 4868 section 2.1.1: as long as the digest */

	return hmac_run(digest_of(integ_transform(k->encr)), k->integ_key, size, parts, COUNT_OF(parts),
		ret_icv, size);
}

static enum rc cbc_seal(const struct aead_key *k, const uint8_t *iv, const void *aad, size_t aad_n,
	const void *plain, size_t n, uint8_t *ret_sealed)
{
	uint8_t icv[INTEG_KEY_MAX];
	enum rc rc = n > 0 && n % CBC_BLOCK_SIZE == 0 ? RC_OK : RC_RANGE;

	if (rc == RC_OK && !cbc_run(k, iv, plain, n, ret_sealed, 1))
		rc = RC_INTERNAL;
	if (rc == RC_OK)
		rc = icv_make(k, iv, aad, aad_n, ret_sealed, n, icv);
	if (rc == RC_OK)
		memcpy(ret_sealed + n, icv, encr_icv_size(k->encr));
	else
		bytes_wipe(ret_sealed, n + encr_icv_size(k->encr));
	return rc;
}

/* sealed: n octets of ciphertext, then the ICV. */
static enum rc cbc_open(const struct aead_key *k, const uint8_t *iv, const void *aad, size_t aad_n,
	const uint8_t *sealed, size_t n, uint8_t *ret_plain)
{
	uint8_t icv[INTEG_KEY_MAX];
	enum rc rc = icv_make(k, iv, aad, aad_n, sealed, n, icv);

	if (rc == RC_OK && (!bytes_equal_secret(icv, sealed + n, encr_icv_size(k->encr)) || n == 0 ||
				   n % CBC_BLOCK_SIZE != 0))
		rc = RC_AUTH;
	if (rc == RC_OK && !cbc_run(k, iv, sealed, n, ret_plain, 0))
		rc = RC_INTERNAL;
	if (rc != RC_OK)
		bytes_wipe(ret_plain, n);
	return rc;
}

bool aead_iv_make(const struct aead_key *k, uint64_t number, uint8_t *ret_iv)
{
	static const uint8_t none[CBC_BLOCK_SIZE];
	uint8_t block[CBC_BLOCK_SIZE] = { 0 };

	if (encr_transform(k->encr) != ENCR_AES_CBC) {
		store_be64(ret_iv, number);
		return true;
	}
	store_be64(block + CBC_BLOCK_SIZE - 8, number);
	return cbc_run(k, none, block, sizeof block, ret_iv, 1);
}

/* ---- AEADs ---- */

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

enum rc aead_seal(const struct aead_key *k, const uint8_t *iv, const void *aad, size_t aad_n,
	const void *plain, size_t n, uint8_t *ret_sealed)
{
	if (encr_transform(k->encr) == ENCR_AES_CBC)
		return cbc_seal(k, iv, aad, aad_n, plain, n, ret_sealed);
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

enum rc aead_open(const struct aead_key *k, const uint8_t *iv, const void *aad, size_t aad_n,
	const void *sealed, size_t n, uint8_t *ret_plain)
{
	const uint8_t *in = sealed;
	uint8_t icv[AEAD_ICV_SIZE], none[AEAD_ICV_SIZE];
	enum rc rc = RC_AUTH;
	EVP_CIPHER_CTX *ctx;
	int got = 0;

	if (n < encr_icv_size(k->encr))
		return RC_TRUNCATED;
	n -= encr_icv_size(k->encr);
	if (encr_transform(k->encr) == ENCR_AES_CBC)
		return cbc_open(k, iv, aad, aad_n, in, n, ret_plain);
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
