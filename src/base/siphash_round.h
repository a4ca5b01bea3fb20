/* The round of SipHash, without any other header: what runs in the kernel includes it too. */
#ifndef BASE_SIPHASH_ROUND_H
#define BASE_SIPHASH_ROUND_H

#include <stdint.h>

static inline uint64_t siphash_rotate(uint64_t v, int n)
{
	return v << n | v >> (64 - n);
}

static inline void siphash_round(uint64_t v[4])
{
	v[0] += v[1];
	v[1] = siphash_rotate(v[1], 13) ^ v[0];
	v[0] = siphash_rotate(v[0], 32);
	v[2] += v[3];
	v[3] = siphash_rotate(v[3], 16) ^ v[2];
	v[0] += v[3];
	v[3] = siphash_rotate(v[3], 21) ^ v[0];
	v[2] += v[1];
	v[1] = siphash_rotate(v[1], 17) ^ v[2];
	v[2] = siphash_rotate(v[2], 32);
}

#endif
