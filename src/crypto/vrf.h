/*
 * C2SP vrf-r255: a verifiable random function, which is ECVRF (RFC 9381) over ristretto255 with SHA-512. Who
 * holds the key maps any input `alpha` to 64 octets that look random, and to no others; the proof shows to
 * anyone with the public key that the octets were derived from alpha. Nonces and SPIs on the wire are made
 * this way.
 *
 * A struct vrf_key is a plain value without pointers; it holds a secret and ends with vrf_key_done(). Equal
 * inputs give equal proofs: the nonce is derived (section 5.4.2), no randomness is drawn here. Work on
 * secrets takes the same time for all of them. Callers: proc/keeper, src/verify. Any thread.
 */
#ifndef CRYPTO_VRF_H
#define CRYPTO_VRF_H

#include "base/bytes.h"
#include "base/err.h"

#define VRF_SEED_SIZE	64
#define VRF_SCALAR_SIZE 32
#define VRF_PUBLIC_SIZE 32
#define VRF_PROOF_SIZE	80 /* Gamma (32), c (16), s (32) */
#define VRF_HASH_SIZE	64

struct vrf_key {
	uint8_t scalar[VRF_SCALAR_SIZE]; /* little-endian, 0 < scalar < q */
	uint8_t public_key[VRF_PUBLIC_SIZE];
};

/* The key of 64 octets from a good generator: their value modulo q. RC_RANGE when that is 0. */
enum rc vrf_key_make(struct vrf_key *ret_key, const uint8_t seed[VRF_SEED_SIZE]);
/* A given scalar, as it is kept or stands in a known answer. RC_RANGE: 0, or not below q. */
enum rc vrf_key_import(struct vrf_key *ret_key, const uint8_t scalar[VRF_SCALAR_SIZE]);
void vrf_key_done(struct vrf_key *key);

/* RC_INTERNAL: libsodium failed, which valid keys rule out; ret_proof is zero. */
enum rc vrf_prove(
	const struct vrf_key *key, const void *alpha, size_t alpha_n, uint8_t ret_proof[VRF_PROOF_SIZE]);

/*
 * RC_OK: ret_hash is the output of this key for alpha, and the only one there is. RC_MALFORMED: the key or
 * the proof holds no point in its one encoding, the identity, or a scalar that is not below q. RC_AUTH: it
 * does not prove. ret_hash is zero unless RC_OK; it may be NULL.
 */
enum rc vrf_verify(const uint8_t public_key[VRF_PUBLIC_SIZE], const void *alpha, size_t alpha_n,
	const uint8_t proof[VRF_PROOF_SIZE], uint8_t ret_hash[VRF_HASH_SIZE]);

/*
 * The output that belongs to a proof, for who made the proof or has verified it: by itself it proves nothing.
 * RC_MALFORMED as above.
 */
enum rc vrf_proof_hash(const uint8_t proof[VRF_PROOF_SIZE], uint8_t ret_hash[VRF_HASH_SIZE]);

#endif
