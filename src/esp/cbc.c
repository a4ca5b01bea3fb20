#include "esp/cbc.h"

#include <assert.h>

static const uint8_t no_iv[CBC_BLOCK_SIZE];

/* The hash's state after one block: the key, each octet of it changed by `pad` (RFC 2104). */
static void hmac_half(
	IMB_MGR *mgr, IMB_HASH_ALG hash, const uint8_t *key, size_t key_n, uint8_t pad, uint8_t *ret_state)
{
	uint8_t block[IMB_SHA_512_BLOCK_SIZE];

	memset(block, pad, sizeof block);
	for (size_t i = 0; i < key_n; i++)
		block[i] ^= key[i];
	if (hash == IMB_AUTH_HMAC_SHA_256)
		IMB_SHA256_ONE_BLOCK(mgr, block, ret_state);
	else if (hash == IMB_AUTH_HMAC_SHA_384)
		IMB_SHA384_ONE_BLOCK(mgr, block, ret_state);
	else
		IMB_SHA512_ONE_BLOCK(mgr, block, ret_state);
	bytes_wipe(block, sizeof block);
}

void esp_cbc_key_set(
	IMB_MGR *mgr, struct esp_cbc_key *key, uint16_t encr, uint16_t encr_bits, const uint8_t *keymat)
{
	uint16_t integ = integ_transform(encr);
	const uint8_t *integ_key = keymat + encr_bits / 8;

	key->key_n = encr_bits / 8;
	key->icv_n = integ_icv_size(integ);
	key->hash = integ == INTEG_HMAC_SHA2_256   ? IMB_AUTH_HMAC_SHA_256
		    : integ == INTEG_HMAC_SHA2_384 ? IMB_AUTH_HMAC_SHA_384
						   : IMB_AUTH_HMAC_SHA_512;
	if (encr_bits == 128)
		IMB_AES_KEYEXP_128(mgr, keymat, key->encrypt, key->decrypt);
	else
		IMB_AES_KEYEXP_256(mgr, keymat, key->encrypt, key->decrypt);
	hmac_half(mgr, key->hash, integ_key, integ_key_size(integ), 0x36, key->inner);
	hmac_half(mgr, key->hash, integ_key, integ_key_size(integ), 0x5c, key->outer);
}

static IMB_JOB *job_begin(IMB_MGR *mgr, const struct esp_cbc_key *key, IMB_CIPHER_DIRECTION direction)
{
	IMB_JOB *job = IMB_GET_NEXT_JOB(mgr);

	memset(job, 0, sizeof *job);
	job->cipher_direction = direction;
	job->chain_order = direction == IMB_DIR_ENCRYPT ? IMB_ORDER_CIPHER_HASH : IMB_ORDER_HASH_CIPHER;
	job->enc_keys = key->encrypt;
	job->dec_keys = key->decrypt;
	job->key_len_in_bytes = key->key_n;
	job->iv_len_in_bytes = CBC_BLOCK_SIZE;
	job->cipher_mode = IMB_CIPHER_NULL;
	job->hash_alg = IMB_AUTH_NULL;
	return job;
}

static void hash_set(IMB_JOB *job, const struct esp_cbc_key *key, uint64_t n, uint8_t *icv)
{
	job->hash_alg = key->hash;
	job->u.HMAC._hashed_auth_key_xor_ipad = key->inner;
	job->u.HMAC._hashed_auth_key_xor_opad = key->outer;
	job->hash_start_src_offset_in_bytes = 0;
	job->msg_len_to_hash_in_bytes = n;
	job->auth_tag_output = icv;
	job->auth_tag_output_len_in_bytes = key->icv_n;
}

/* Nothing that is configured here can be refused by the library. */
static void finished(const IMB_JOB *job)
{
	assert(job->status == IMB_STATUS_COMPLETED);
	(void)job;
}

void esp_cbc_seal(
	IMB_MGR *mgr, const struct esp_cbc_key *key, uint8_t *packet, uint32_t n, uint64_t sequence, bool esn)
{
	IMB_JOB *job = job_begin(mgr, key, IMB_DIR_ENCRYPT);
	uint8_t *icv = packet + ESP_CBC_HEAD + n;

	assert(n > 0 && n % CBC_BLOCK_SIZE == 0);
	memset(packet + 8, 0, CBC_BLOCK_SIZE);
	store_be64(packet + 8 + CBC_BLOCK_SIZE - 8, sequence);
	job->cipher_mode = IMB_CIPHER_CBC;
	job->src = packet;
	job->dst = packet + 8;
	job->iv = no_iv;
	job->cipher_start_src_offset_in_bytes = 8;
	job->msg_len_to_cipher_in_bytes = CBC_BLOCK_SIZE + n;
	if (esn)
		store_be32(icv, (uint32_t)(sequence >> 32)); /* until the ICV is written over it */
	hash_set(job, key, ESP_CBC_HEAD + n + (esn ? 4u : 0u), icv);
	if ((job = IMB_SUBMIT_JOB_NOCHECK(mgr)) != NULL)
		finished(job);
	while ((job = IMB_GET_COMPLETED_JOB(mgr)) != NULL)
		finished(job);
}

void esp_cbc_finish(IMB_MGR *mgr)
{
	for (IMB_JOB *job; (job = IMB_FLUSH_JOB(mgr)) != NULL;)
		finished(job);
}

/* One job alone, to its end. */
static void job_run(IMB_MGR *mgr)
{
	IMB_JOB *job = IMB_SUBMIT_JOB_NOCHECK(mgr);

	if (!job)
		job = IMB_FLUSH_JOB(mgr);
	assert(job);
	finished(job);
}

static bool is_authentic(
	IMB_MGR *mgr, const struct esp_cbc_key *key, const uint8_t *bytes, uint64_t n, const uint8_t *came)
{
	uint8_t icv[INTEG_KEY_MAX];
	IMB_JOB *job = job_begin(mgr, key, IMB_DIR_DECRYPT);

	job->src = bytes;
	hash_set(job, key, n, icv);
	job_run(mgr);
	return bytes_equal_secret(icv, came, key->icv_n);
}

static void decrypt(IMB_MGR *mgr, const struct esp_cbc_key *key, const uint8_t *iv, const uint8_t *src,
	uint32_t n, uint8_t *dst)
{
	IMB_JOB *job = job_begin(mgr, key, IMB_DIR_DECRYPT);

	job->cipher_mode = IMB_CIPHER_CBC;
	job->src = src;
	job->dst = dst;
	job->iv = iv;
	job->msg_len_to_cipher_in_bytes = n;
	job_run(mgr);
}

bool esp_cbc_open(IMB_MGR *mgr, const struct esp_cbc_key *key, const uint8_t *packet, uint32_t n,
	uint64_t sequence, bool esn, uint8_t *dst)
{
	uint32_t sealed = ESP_CBC_HEAD + n;
	uint8_t came[INTEG_ICV_MAX];

	assert(n > 0 && n % CBC_BLOCK_SIZE == 0 && key->icv_n <= sizeof came);
	memcpy(came, packet + sealed, key->icv_n);
	if (!esn && dst != packet) {
		if (!is_authentic(mgr, key, packet, sealed, came))
			return false;
		decrypt(mgr, key, packet + 8, packet + ESP_CBC_HEAD, n, dst);
		return true;
	}
	/* What is hashed has to be in one piece, and is not all in the packet; nor may the result lie half over it. */
	memmove(dst, packet, sealed);
	if (esn)
		store_be32(dst + sealed, (uint32_t)(sequence >> 32));
	if (!is_authentic(mgr, key, dst, sealed + (esn ? 4u : 0u), came))
		return false;
	decrypt(mgr, key, dst + 8, dst + ESP_CBC_HEAD, n, dst + ESP_CBC_HEAD);
	memmove(dst, dst + ESP_CBC_HEAD, n);
	return true;
}
