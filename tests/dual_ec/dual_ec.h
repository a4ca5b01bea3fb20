/*
 * A generator in the manner of Dual_EC_DRBG (SP 800-90A of 2012, withdrawn in 2014) on P-256, and the listener
 * who chose its second point. For tests alone: nothing of src/ knows of it.
 *
 * The state s is a number. A block of output is the x coordinate of s*Q without its two highest octets; the
 * next state is the x coordinate of s*P. Who knows d with P = d*Q finds the point of a block by trying the
 * two octets that are missing, and has d*(s*Q) = s*P: the next state, and with it all that comes.
 */
#ifndef TESTS_DUAL_EC_H
#define TESTS_DUAL_EC_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define DUAL_EC_BLOCK 30 /* octets */

struct dual_ec {
	uint8_t state[32];
};

/* Aborts when libcrypto fails. */
void dual_ec_begin(struct dual_ec *g, const uint8_t seed[32]);
/* The last block's octets that are left over are thrown away. */
void dual_ec_octets(struct dual_ec *g, void *ret, size_t n);

/*
 * The states that the generator may have been in behind the first block of what it put out: seen holds one
 * whole block and `n` - 30 octets of the second, by which wrong guesses are sorted out; two octets leave half
 * a wrong one, ten none. Returns how many, at most `max`.
 */
size_t dual_ec_listen(const uint8_t *seen, size_t n, struct dual_ec *ret, size_t max);

#endif
