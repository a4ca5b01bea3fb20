/*
 * The generator of the keys that force what everybody sees (public.h). It shares no state, no seed and no
 * call of getrandom(2) with what secrets are made of (shares.h): what leaves in a nonce says nothing of
 * where a secret comes from. That is what the generator of 2008 lacked (docs/threat-model.md).
 *
 * It is ChaCha20 (RFC 8439) with fast key erasure under a fresh seed for every draw:
 *   key <- HMAC-SHA-256(key, label | seed);  key | output <- ChaCha20(key, nonce 0, block counter 0 and up).
 * The key that made an output is gone when the output leaves, so a look at the memory later does not give it
 * back; the seed of 32 octets from the kernel is new each time, so a look at the memory now does not give the
 * next one.
 *
 * Pure but for generator_fresh(), which asks the kernel. One thread.
 */
#ifndef PROC_KEEPER_GENERATOR_H
#define PROC_KEEPER_GENERATOR_H

#include "base/bytes.h"
#include "base/err.h"

#define GENERATOR_SEED_SIZE  32
#define GENERATOR_OUTPUT_MAX 256

struct generator {
	const char *label; /* what it is for; part of the mixture */
	uint8_t key[32];
};

/* label outlives it. The key is zero until the first draw mixes a seed in. */
void generator_init(struct generator *g, const char *label);

/* n octets, at most GENERATOR_OUTPUT_MAX; false when libcrypto fails, and nothing may be used then. */
bool generator_draw(struct generator *g, const uint8_t seed[GENERATOR_SEED_SIZE], void *ret_bytes, size_t n);

/* The same with a seed from getrandom(2), which waits until the kernel's generator is ready. */
enum rc generator_fresh(struct generator *g, void *ret_bytes, size_t n, struct err *e);

void generator_done(struct generator *g);

#endif
