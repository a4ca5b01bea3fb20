/* SipHash: a keyed hash for values that strangers choose (Aumasson and Bernstein, 2012). With 1 and 3 rounds for tables, with 2
 * and 4 where its output is seen by those who must not guess the next one. n is a multiple of 8. */
#ifndef BASE_SIPHASH_H
#define BASE_SIPHASH_H

#include "base/siphash_round.h"

#include <assert.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

static inline uint64_t siphash_rounds(
	const uint8_t key[16], const void *bytes, size_t n, int compression, int finalization)
{
	uint64_t k[2], v[4], m;
	const uint8_t *b = (const uint8_t *)bytes;

	assert(n % 8 == 0);
	memcpy(k, key, 16);
	v[0] = k[0] ^ 0x736f6d6570736575ull;
	v[1] = k[1] ^ 0x646f72616e646f6dull;
	v[2] = k[0] ^ 0x6c7967656e657261ull;
	v[3] = k[1] ^ 0x7465646279746573ull;
	for (size_t i = 0; i + 8 <= n; i += 8) {
		memcpy(&m, b + i, 8);
		v[3] ^= m;
		for (int r = 0; r < compression; r++)
			siphash_round(v);
		v[0] ^= m;
	}
	m = (uint64_t)n << 56;
	v[3] ^= m;
	for (int r = 0; r < compression; r++)
		siphash_round(v);
	v[0] ^= m;
	v[2] ^= 0xff;
	for (int r = 0; r < finalization; r++)
		siphash_round(v);
	return v[0] ^ v[1] ^ v[2] ^ v[3];
}

static inline uint64_t siphash13(const uint8_t key[16], const void *bytes, size_t n)
{
	return siphash_rounds(key, bytes, n, 1, 3);
}

static inline uint64_t siphash24(const uint8_t key[16], const void *bytes, size_t n)
{
	return siphash_rounds(key, bytes, n, 2, 4);
}

#endif
