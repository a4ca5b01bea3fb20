/*
 * Authenticated encryption as IKEv2 uses it: AES-GCM with a 16-octet ICV (RFC 5282, RFC 4106) and
 * ChaCha20-Poly1305 (RFC 7634). The nonce is salt || IV: the salt comes with the keying material, the 8-octet
 * IV from the caller, who never repeats one under a key.
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
	uint16_t encr;	/* IANA number of the transform; 0: no key */
	uint16_t key_n; /* octets of key */
	uint8_t key[AEAD_KEY_MAX - AEAD_SALT_SIZE_GCM];
	uint8_t salt[AEAD_SALT_SIZE_GCM];
};

/* Octets of keying material (key and salt) for a transform, e.g. 36 for (20, 256); 0: no such algorithm here.
 */
size_t aead_material_size(uint16_t encr, uint16_t bits);

/* material: key, then salt, as KEYMAT and SK_e deliver it. RC_UNSUPPORTED or RC_RANGE when n does not fit it.
 */
enum rc aead_key_init(struct aead_key *ret_key, uint16_t encr, uint16_t bits, const void *material, size_t n);
void aead_key_done(struct aead_key *k);

/*
 * ret_sealed gets n octets of ciphertext and AEAD_ICV_SIZE of ICV; it may be `plain` itself, no other
 * overlap. RC_INTERNAL when libcrypto fails; ret_sealed is then wiped.
 */
enum rc aead_seal(const struct aead_key *k, const uint8_t iv[AEAD_IV_SIZE], const void *aad, size_t aad_n,
	const void *plain, size_t n, uint8_t *ret_sealed);

/*
 * sealed: ciphertext and ICV, n octets together. ret_plain gets n - AEAD_ICV_SIZE octets; it may be `sealed`
 * itself. RC_TRUNCATED when there is no room for an ICV; RC_AUTH when it is wrong, and ret_plain is then
 * wiped.
 */
enum rc aead_open(const struct aead_key *k, const uint8_t iv[AEAD_IV_SIZE], const void *aad, size_t aad_n,
	const void *sealed, size_t n, uint8_t *ret_plain);

#endif
