/*
 * HKDF with SHA-256 (RFC 5869). Its expansion is prf+ of IKEv2 under another name, so both are made by
 * crypto/prf.c. Callers: crypto/leaf.c, and the keeper's check of known answers. Any thread.
 */
#ifndef CRYPTO_HKDF_H
#define CRYPTO_HKDF_H

#include "crypto/prf.h"

#define HKDF_KEY_SIZE 32

/* PRK = HMAC(salt, input keying material in parts). RC_INTERNAL. */
enum rc hkdf_extract(const void *salt, size_t salt_n, const struct prf_part *material, size_t material_n,
	uint8_t ret_key[HKDF_KEY_SIZE]);
/* n octets, at most 255 * 32. RC_LIMIT, RC_INTERNAL; ret_out is wiped then. */
enum rc hkdf_expand(
	const uint8_t key[HKDF_KEY_SIZE], const void *info, size_t info_n, uint8_t *ret_out, size_t n);

#endif
