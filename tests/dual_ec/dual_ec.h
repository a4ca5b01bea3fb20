/*
 * A generator in the manner of Dual_EC_DRBG (SP 800-90A of 2012, withdrawn in 2014) on P-256, and the listener
 * who chose its second point. For tests only: nothing in src/ uses it.
 *
 * The state s is a number. A block of output is the x coordinate of s*Q without its two highest octets; the
 * next state is the x coordinate of s*P. Somebody who knows d with P = d*Q finds the point of a block by trying
 * the two missing octets, and has d*(s*Q) = s*P: the next state, and with it everything that follows.
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

/* Aborts if libcrypto fails. */
void dual_ec_begin(struct dual_ec *g, const uint8_t seed[32]);
/* Unused octets of the last block are discarded. */
void dual_ec_octets(struct dual_ec *g, void *ret, size_t n);

/*
 * The possible states of the generator after the first block of its output: seen contains one whole block and
 * `n` - 30 octets of the second, which eliminate wrong guesses; two octets leave half a wrong one on average,
 * ten none. Returns the number of states, at most `max`.
 */
size_t dual_ec_listen(const uint8_t *seen, size_t n, struct dual_ec *ret, size_t max);

#endif
