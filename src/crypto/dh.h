/*
 * Diffie-Hellman for IKEv2: Curve25519 (RFC 8031, RFC 7748) and the NIST curves P-256 and P-384 (RFC 5903).
 *
 * Secrets are made from 64 octets of seed by a fixed rule, so that the core that calls draws no randomness
 * itself; equal seeds give equal secrets. A struct dh_secret is a plain value without pointers. A peer's
 * value is refused when it has the wrong size, is not on the curve or gives the all-zero result: what
 * CVE-2023-41913 and its kind came from. Caller: src/keys. Any thread.
 */
#ifndef CRYPTO_DH_H
#define CRYPTO_DH_H

#include "base/bytes.h"
#include "base/err.h"
#include "model/algorithms.h"

#define DH_SEED_SIZE  64
#define DH_PUBLIC_MAX 96
#define DH_SHARED_MAX 48

struct dh_secret {
	uint16_t group; /* enum dh_number; DH_NONE: no secret */
	uint16_t n;
	uint8_t scalar[48];
};

/* Octets of the public value in a KE payload: 32, 64, 96; 0 when there is no such group here. */
size_t dh_public_size(uint16_t group);
/* Octets of the shared secret g^ir: 32, 32, 48. RFC 5903 section 7: the x coordinate alone. */
size_t dh_shared_size(uint16_t group);

/*
 * Curve25519: the first 32 octets of seed, clamped by the function itself. P-256, P-384: seed as a 512-bit
 * integer modulo n - 1, plus 1 (FIPS 186-5 A.2.1). ret_public gets dh_public_size() octets. RC_UNSUPPORTED,
 * RC_INTERNAL.
 */
enum rc dh_generate(
	struct dh_secret *ret_secret, uint8_t *ret_public, uint16_t group, const uint8_t seed[DH_SEED_SIZE]);

/* for tests: a given scalar, big-endian for the NIST curves, of the group's size. RC_RANGE: 0 or above n. */
enum rc dh_import(
	struct dh_secret *ret_secret, uint8_t *ret_public, uint16_t group, const void *scalar, size_t n);

/*
 * g^ir with the peer's value as the KE payload has it; ret_shared gets dh_shared_size() octets.
 * RC_RANGE: wrong size; RC_MALFORMED: not a point of the curve, or one of low order, the result would be
 * zero. RC_INTERNAL, RC_UNSUPPORTED: not the peer's fault.
 */
enum rc dh_shared(
	const struct dh_secret *secret, const void *peer, size_t peer_n, uint8_t *ret_shared, struct err *e);

void dh_done(struct dh_secret *secret);

#endif
