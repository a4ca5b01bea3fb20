/*
 * SHA-1, for the one place where IKEv2 fixes it: the NAT detection notifies (RFC 7296 section 2.23), where it
 * hides an address and protects nothing. Nothing else may use it. Caller: src/ike. Any thread.
 */
#ifndef CRYPTO_SHA1_H
#define CRYPTO_SHA1_H

#include "base/bytes.h"
#include "base/err.h"
#include "crypto/prf.h"

#define SHA1_SIZE 20

/* RC_INTERNAL when libcrypto has none; ret_digest is then zero. */
enum rc sha1_run(const struct prf_part *parts, size_t parts_n, uint8_t ret_digest[SHA1_SIZE]);

#endif
