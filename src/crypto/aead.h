/*
 * Authenticated encryption as IKEv2 uses it: AES-GCM with a 16-octet ICV (RFC 5282, RFC 4106) and
 * ChaCha20-Poly1305 (RFC 7634). The nonce is salt || IV: the salt comes with the keying material, the 8-octet
 * IV from the caller, who never repeats one under a key.
 *
 * For old peers AES-CBC with HMAC-SHA-2 (RFC 3602, RFC 4868), encrypted first (RFC 7296 section 3.14): the ICV is over associated
 * data, IV and ciphertext, and nothing is decrypted before it was found to be right. Octets of the IV, of the ICV, and those of which a plaintext
 * is a multiple: encr_iv_size(), encr_icv_size() and encr_block_size() of model/algorithms.h.
 *
 * A struct aead_key is a plain value without pointers: it may be copied, and is forgotten by aead_key_done().
 * For the few messages of IKE; the data plane's packets go through src/esp. Callers: src/ike, src/keys,
 * tests. Any thread.
 */
#ifndef CRYPTO_AEAD_H
#define CRYPTO_AEAD_H

#include "base/bytes.h"
#include "base/err.h"
#include "model/algorithms.h"

struct aead_key {
	uint16_t encr;	/* enum encr_number; 0: no key */
	uint16_t key_n; /* octets of key */
	uint8_t key[AEAD_KEY_MAX - AEAD_SALT_SIZE_GCM];
	uint8_t salt[AEAD_SALT_SIZE_GCM];
	uint8_t integ_key[INTEG_KEY_MAX]; /* of an integrity algorithm; zero with an AEAD */
};

/*
 * Octets of keying material, key and salt or the two keys, e.g. 36 for (20, 256); 0: no such algorithm here. Of them those of an integrity
 * algorithm, which are SK_a in an IKE SA: 0 with an AEAD.
 */
size_t aead_material_size(uint16_t encr, uint16_t bits);
size_t aead_integ_size(uint16_t encr);

/* material: key, then salt or integrity key, as KEYMAT delivers it. RC_UNSUPPORTED or RC_RANGE when n does not fit it.
 */
enum rc aead_key_init(struct aead_key *ret_key, uint16_t encr, uint16_t bits, const void *material, size_t n);
void aead_key_done(struct aead_key *k);

/*
 * The IV of a number that never comes again under the key: itself, or for CBC, where it has to be unpredictable (RFC 3602 section 3), what it
 * is encrypted under the key (NIST SP 800-38A appendix C, the first method). False when libcrypto fails.
 */
bool aead_iv_make(const struct aead_key *k, uint64_t number, uint8_t *ret_iv);

/*
 * ret_sealed gets n octets of ciphertext and those of the ICV; it may be `plain` itself, no other
 * overlap. RC_INTERNAL when libcrypto fails, and RC_RANGE when these are not whole blocks; ret_sealed is then wiped.
 */
enum rc aead_seal(const struct aead_key *k, const uint8_t *iv, const void *aad, size_t aad_n,
	const void *plain, size_t n, uint8_t *ret_sealed);

/*
 * sealed: ciphertext and ICV, n octets together. ret_plain gets all but the ICV; it may be `sealed`
 * itself. RC_TRUNCATED when there is no room for an ICV; RC_AUTH when it is wrong, and ret_plain is then
 * wiped.
 */
enum rc aead_open(const struct aead_key *k, const uint8_t *iv, const void *aad, size_t aad_n,
	const void *sealed, size_t n, uint8_t *ret_plain);

#endif
