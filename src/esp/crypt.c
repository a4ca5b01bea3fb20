#include "esp/crypt.h"

#include <assert.h>

#define NONCE_SIZE (AEAD_SALT_SIZE_GCM + AEAD_IV_SIZE)

enum rc esp_key_check(uint16_t encr, uint16_t encr_bits, size_t keymat_n)
{
	uint16_t integ = integ_transform(encr);
	size_t rest = integ ? integ_key_size(integ) : AEAD_SALT_SIZE_GCM;

	if (strcmp(encr_word(encr, encr_bits), "none") == 0)
		return RC_UNSUPPORTED;
	return keymat_n == encr_bits / 8u + rest ? RC_OK : RC_RANGE;
}

enum rc esp_key_set(IMB_MGR *mgr, struct esp_key *key, uint16_t encr, uint16_t encr_bits,
	const uint8_t *keymat, size_t keymat_n)
{
	size_t key_n = encr_bits / 8;
	enum rc rc = esp_key_check(encr, encr_bits, keymat_n);

	if (rc != RC_OK)
		return rc;
	assert((uintptr_t)key % 64 == 0);
	if (encr_is_legacy(encr))
		esp_cbc_key_set(mgr, &key->cbc, encr, encr_bits, keymat);
	else if (encr == ENCR_CHACHA20_POLY1305)
		memcpy(key->chacha, keymat, sizeof key->chacha);
	else if (encr_bits == 128)
		IMB_AES128_GCM_PRE(mgr, keymat, &key->gcm);
	else
		IMB_AES256_GCM_PRE(mgr, keymat, &key->gcm);
	if (!encr_is_legacy(encr))
		memcpy(key->salt, keymat + key_n, sizeof key->salt);
	key->encr = encr;
	key->encr_bits = encr_bits;
	return RC_OK;
}

static void nonce_make(uint8_t *nonce, const struct esp_key *key, const uint8_t *iv)
{
	memcpy(nonce, key->salt, AEAD_SALT_SIZE_GCM);
	memcpy(nonce + AEAD_SALT_SIZE_GCM, iv, AEAD_IV_SIZE);
}

static void chacha(IMB_MGR *mgr, const struct esp_key *key, IMB_CIPHER_DIRECTION direction,
	const uint8_t *nonce, const uint8_t *aad, size_t aad_n, const uint8_t *src, size_t n, uint8_t *dst,
	uint8_t *icv)
{
	IMB_JOB *job = IMB_GET_NEXT_JOB(mgr);

	job->cipher_mode = IMB_CIPHER_CHACHA20_POLY1305;
	job->hash_alg = IMB_AUTH_CHACHA20_POLY1305;
	job->cipher_direction = direction;
	job->chain_order = direction == IMB_DIR_ENCRYPT ? IMB_ORDER_CIPHER_HASH : IMB_ORDER_HASH_CIPHER;
	job->enc_keys = job->dec_keys = key->chacha;
	job->key_len_in_bytes = sizeof key->chacha;
	job->iv = nonce;
	job->iv_len_in_bytes = NONCE_SIZE;
	job->u.CHACHA20_POLY1305.aad = aad;
	job->u.CHACHA20_POLY1305.aad_len_in_bytes = aad_n;
	job->src = src;
	job->dst = dst;
	job->cipher_start_src_offset_in_bytes = job->hash_start_src_offset_in_bytes = 0;
	job->msg_len_to_cipher_in_bytes = job->msg_len_to_hash_in_bytes = n;
	job->auth_tag_output = icv;
	job->auth_tag_output_len_in_bytes = AEAD_ICV_SIZE;
	/* This algorithm has no lanes in the library: the job is done when the call returns. */
	job = IMB_SUBMIT_JOB_NOCHECK(mgr);
	assert(job && job->status == IMB_STATUS_COMPLETED);
}

void esp_key_seal(IMB_MGR *mgr, const struct esp_key *key, const uint8_t iv[AEAD_IV_SIZE], const uint8_t *aad,
	size_t aad_n, const uint8_t *src, size_t n, uint8_t *dst)
{
	uint8_t nonce[NONCE_SIZE];
	struct gcm_context_data context;

	nonce_make(nonce, key, iv);
	if (key->encr == ENCR_CHACHA20_POLY1305)
		chacha(mgr, key, IMB_DIR_ENCRYPT, nonce, aad, aad_n, src, n, dst, dst + n);
	else if (key->encr_bits == 128)
		IMB_AES128_GCM_ENC(
			mgr, &key->gcm, &context, dst, src, n, nonce, aad, aad_n, dst + n, AEAD_ICV_SIZE);
	else
		IMB_AES256_GCM_ENC(
			mgr, &key->gcm, &context, dst, src, n, nonce, aad, aad_n, dst + n, AEAD_ICV_SIZE);
}

bool esp_key_open(IMB_MGR *mgr, const struct esp_key *key, const uint8_t iv[AEAD_IV_SIZE], const uint8_t *aad,
	size_t aad_n, const uint8_t *src, size_t n, uint8_t *dst)
{
	uint8_t nonce[NONCE_SIZE], came[AEAD_ICV_SIZE], icv[AEAD_ICV_SIZE];
	struct gcm_context_data context;

	nonce_make(nonce, key, iv);
	memcpy(came, src + n, sizeof came); /* dst may lie over it */
	if (key->encr == ENCR_CHACHA20_POLY1305)
		chacha(mgr, key, IMB_DIR_DECRYPT, nonce, aad, aad_n, src, n, dst, icv);
	else if (key->encr_bits == 128)
		IMB_AES128_GCM_DEC(
			mgr, &key->gcm, &context, dst, src, n, nonce, aad, aad_n, icv, AEAD_ICV_SIZE);
	else
		IMB_AES256_GCM_DEC(
			mgr, &key->gcm, &context, dst, src, n, nonce, aad, aad_n, icv, AEAD_ICV_SIZE);
	return bytes_equal_secret(icv, came, sizeof icv);
}
