/*
 * ECDSA on P-256, P-384 and P-521 over libcrypto's curve arithmetic, with the deterministic nonces of RFC 6979
 * (libcrypto has them from 3.2 on only). Private to src/crypto; the others use crypto/sign.h. Kinds, sizes
 * and formats are sign.h's.
 */
#ifndef CRYPTO_ECDSA_H
#define CRYPTO_ECDSA_H

#include "crypto/sign.h"

#define ECDSA_DIGEST_MAX 64 /* octets: SHA-512 */

/* x || y of a scalar; RC_RANGE when it is 0 or not below the order. */
enum rc ecdsa_public(uint32_t kind, const uint8_t *scalar, uint8_t *ret_public);
/* RC_MALFORMED when x || y is not a point of the curve. */
enum rc ecdsa_public_check(uint32_t kind, const uint8_t *public_key);

enum rc ecdsa_sign(const struct sign_key *key, uint16_t hash, enum sign_format format, const void *message,
	size_t n, uint8_t *ret_signature, size_t *ret_n);
enum rc ecdsa_check(const struct verify_key *key, uint16_t hash, enum sign_format format, const void *message,
	size_t n, const void *signature, size_t signature_n);

#endif
