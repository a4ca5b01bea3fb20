/*
 * Diffie-Hellman for IKEv2: Curve25519 (RFC 8031, RFC 7748), the NIST curves P-256 and P-384 (RFC 5903), and for old peers
 * the groups of MODP with 2048, 3072 and 4096 bits (RFC 3526).
 *
 * Secrets are made from 64 octets of seed by a fixed rule, so that the core that calls draws no randomness
 * itself; equal seeds give equal secrets. A struct dh_secret is a plain value without pointers. A peer's
 * value is refused when it has the wrong size, is not on the curve, is not between 1 and p - 1 (RFC 6989) or gives the
 * all-zero result: what CVE-2023-41913 and its kind came from. Caller: src/keys. Any thread.
 */
#ifndef CRYPTO_DH_H
#define CRYPTO_DH_H

#include "base/bytes.h"
#include "base/err.h"
#include "model/algorithms.h"

#define DH_SEED_SIZE  64
#define DH_PUBLIC_MAX 512 /* of a group of MODP; of a curve DH_CURVE_MAX */
#define DH_SHARED_MAX 512
#define DH_CURVE_MAX  96

struct dh_secret {
	uint16_t group; /* enum dh_number; DH_NONE: no secret */
	uint16_t n;
	uint8_t scalar
		[48]; /* of MODP the exponent: twice the 152 bits that 4096 are worth (SP 800-56A), and more */
};

/* Octets of the public value in a KE payload: 32, 64, 96, of MODP those of p; 0 when there is no such group here. */
size_t dh_public_size(uint16_t group);
/* Octets of the shared secret g^ir: 32, 32, 48. RFC 5903 section 7: the x coordinate alone. RFC 7296 section 2.14: of MODP
 * those of p, "padded with zeros if necessary". */
size_t dh_shared_size(uint16_t group);

/*
 * Curve25519: the first 32 octets of seed, clamped by the function itself. P-256, P-384: seed as a 512-bit
 * integer modulo n - 1, plus 1 (FIPS 186-5 A.2.1). MODP: the first 48 octets as an integer. ret_public gets dh_public_size() octets;
 * NULL: it is known. RC_UNSUPPORTED, RC_INTERNAL.
 */
enum rc dh_generate(
	struct dh_secret *ret_secret, uint8_t *ret_public, uint16_t group, const uint8_t seed[DH_SEED_SIZE]);

/* for tests: a given scalar, big-endian for the NIST curves, of the group's size. RC_RANGE: 0 or above n. */
enum rc dh_import(
	struct dh_secret *ret_secret, uint8_t *ret_public, uint16_t group, const void *scalar, size_t n);

/* Of a group of MODP: 1 < y < p - 1 (RFC 6989 section 2.1); these primes are safe ones. Of every group the size. */
enum rc dh_peer_check(uint16_t group, const void *peer, size_t peer_n, struct err *e);

/*
 * g^ir with the peer's value as the KE payload has it; ret_shared gets dh_shared_size() octets.
 * RC_RANGE: wrong size; RC_MALFORMED: not a point of the curve, or one of low order, the result would be
 * zero. RC_INTERNAL, RC_UNSUPPORTED: not the peer's fault.
 */
enum rc dh_shared(
	const struct dh_secret *secret, const void *peer, size_t peer_n, uint8_t *ret_shared, struct err *e);

void dh_done(struct dh_secret *secret);

#endif
