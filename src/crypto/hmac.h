/*
 * HMAC over libcrypto by the digest's name ("SHA256", "SHA384", "SHA512"): what crypto/prf.c and the
 * deterministic nonces of crypto/ecdsa.c share. Private to src/crypto; the others use crypto/prf.h.
 */
#ifndef CRYPTO_HMAC_H
#define CRYPTO_HMAC_H

#include "crypto/prf.h"

#include <openssl/evp.h>

/* A keyed context, or NULL. May be copied with EVP_MAC_CTX_dup(). */
EVP_MAC_CTX *hmac_start(const char *digest, const void *key, size_t key_n);
bool hmac_feed(EVP_MAC_CTX *ctx, const struct prf_part *parts, size_t parts_n);

/* One HMAC over the parts; ret_out gets `size` octets, which is the digest's. RC_INTERNAL: ret_out is wiped.
 */
enum rc hmac_run(const char *digest, const void *key, size_t key_n, const struct prf_part *parts,
	size_t parts_n, uint8_t *ret_out, size_t size);

#endif
