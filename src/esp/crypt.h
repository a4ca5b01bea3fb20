/*
 * Keys of ESP, and its two AEADs by libIPSec_MB: AES-GCM by its direct calls, ChaCha20-Poly1305 by its job interface,
 * one packet a call. RFC 4106 and RFC 7634 both make the nonce of the salt and the packet's eight octets of
 * IV. AES-CBC with HMAC: esp/cbc.h.
 *
 * struct esp_key needs 64-byte alignment: the library loads the tables with aligned vector instructions.
 */
#ifndef ESP_CRYPT_H
#define ESP_CRYPT_H

#include "base/bytes.h"
#include "base/err.h"
#include "esp/cbc.h"
#include "model/algorithms.h"

#include <intel-ipsec-mb.h>

struct esp_key {
	union {
		struct gcm_key_data gcm;
		uint8_t chacha[32];
		struct esp_cbc_key cbc;
	};
	uint8_t salt[AEAD_SALT_SIZE_GCM];
	uint16_t encr, encr_bits;
} __attribute__((aligned(64)));

/* Whether esp_key_set() takes keys of this kind, with its errors. */
enum rc esp_key_check(uint16_t encr, uint16_t encr_bits, size_t keymat_n);
/* Keys as KEYMAT delivers them. RC_UNSUPPORTED: no such algorithm; RC_RANGE: keymat_n does not fit it.
 */
enum rc esp_key_set(IMB_MGR *mgr, struct esp_key *key, uint16_t encr, uint16_t encr_bits,
	const uint8_t *keymat, size_t keymat_n);

/* n octets of src to dst (in place is allowed), followed by the ICV in dst. */
void esp_key_seal(IMB_MGR *mgr, const struct esp_key *key, const uint8_t iv[AEAD_IV_SIZE], const uint8_t *aad,
	size_t aad_n, const uint8_t *src, size_t n, uint8_t *dst);
/* n octets of src, followed by the ICV, to n octets of dst. False: not authentic, and dst is undefined. */
bool esp_key_open(IMB_MGR *mgr, const struct esp_key *key, const uint8_t iv[AEAD_IV_SIZE], const uint8_t *aad,
	size_t aad_n, const uint8_t *src, size_t n, uint8_t *dst);

#endif
