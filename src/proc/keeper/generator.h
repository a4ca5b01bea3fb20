/*
 * The generator of the VRF keys that public values are derived with (public_values.h). It shares no state, no
 * seed and no call of getrandom(2) with what secrets are made of (shares.h): a nonce reveals nothing about
 * the source of a secret. The firewalls of 2008 with Dual_EC_DRBG lacked that separation (tests/dual_ec).
 *
 * It is ChaCha20 (RFC 8439) with fast key erasure under a fresh seed for every draw:
 *   key <- HMAC-SHA-256(key, label | seed);  key | output <- ChaCha20(key, nonce 0, block counter 0 and up).
 * The key that made an output is overwritten before the output leaves, so reading the memory later does not
 * reveal it; the seed of 32 octets from the kernel is new for each draw, so reading the memory now does not
 * reveal the next output.
 *
 * Pure except for generator_fresh(), which asks the kernel. One thread.
 */
#ifndef PROC_KEEPER_GENERATOR_H
#define PROC_KEEPER_GENERATOR_H

#include "base/bytes.h"
#include "base/err.h"

#define GENERATOR_SEED_SIZE  32
#define GENERATOR_OUTPUT_MAX 256

struct generator {
	const char *label; /* its purpose; part of the input */
	uint8_t key[32];
};

/* label outlives it. The key is zero until the first draw mixes a seed in. */
void generator_init(struct generator *g, const char *label);

/* n octets, at most GENERATOR_OUTPUT_MAX. False: libcrypto or libsodium failed, and nothing may be used. */
bool generator_draw(struct generator *g, const uint8_t seed[GENERATOR_SEED_SIZE], void *ret_bytes, size_t n);

/* The same with a seed from getrandom(2), which waits until the kernel's generator is ready. */
enum rc generator_fresh(struct generator *g, void *ret_bytes, size_t n, struct err *e);

void generator_done(struct generator *g);

#endif
