/*
 * HKDF (RFC 5869) with the hash of a pseudorandom function: PRF_HMAC_SHA2_256 or PRF_HMAC_SHA2_384.
 * Callers: the keeper's generators. Any thread.
 */
#ifndef CRYPTO_HKDF_H
#define CRYPTO_HKDF_H

#include "crypto/prf.h"

/* Section 2.2: ret_key gets prf_size(prf) octets. salt_n 0: as many zero octets, which HMAC makes of an empty
 * key. */
enum rc hkdf_extract(
	uint16_t prf, const void *salt, size_t salt_n, const void *input, size_t input_n, uint8_t *ret_key);

/* Section 2.3: n octets of output, at most 255 blocks (RC_LIMIT). */
enum rc hkdf_expand(uint16_t prf, const void *key, size_t key_n, const void *info, size_t info_n,
	uint8_t *ret_out, size_t n);

#endif
