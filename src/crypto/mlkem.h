/*
 * ML-KEM-768 and ML-KEM-1024 (FIPS 203) over libcrypto, for the additional key exchanges of RFC 9370
 * (RFC 9242, draft-ietf-ipsecme-ikev2-mlkem). libcrypto has them from 3.5 on, which is found out at run time:
 * a binary built on Debian 12 uses them where it runs on Debian 13, and says RC_UNSUPPORTED where libcrypto
 * lacks them. Nothing else in the tree may assume that they are there.
 *
 * As with Diffie-Hellman (crypto/dh.h) nothing is drawn here: a key pair is made from the 64 octets d || z
 * of a seed, a ciphertext from 32 octets m, so that both can be made from a leaf (crypto/leaf.h).
 * A struct mlkem_secret is the seed, a plain value without pointers; the expanded key is made anew for the one
 * decapsulation that it is for. Any thread.
 */
#ifndef CRYPTO_MLKEM_H
#define CRYPTO_MLKEM_H

#include "base/bytes.h"
#include "base/err.h"
#include "model/algorithms.h"

#define MLKEM_SEED_SIZE	     64 /* d || z, FIPS 203 algorithm 16 */
#define MLKEM_RANDOM_SIZE    32 /* m, algorithm 17 */
#define MLKEM_SHARED_SIZE    32
#define MLKEM_KEY_MAX	     1568
#define MLKEM_CIPHERTEXT_MAX 1568

struct mlkem_secret {
	uint16_t set; /* enum mlkem_number; 0: no secret */
	uint8_t seed[MLKEM_SEED_SIZE];
};

/* 0 and false for another number. */
size_t mlkem_key_size(uint16_t set);
size_t mlkem_ciphertext_size(uint16_t set);
bool mlkem_available(uint16_t set); /* whether this libcrypto has it */

/*
 * ret_key gets mlkem_key_size() octets. RC_UNSUPPORTED: not in this
 * libcrypto. RC_INTERNAL.
 */
enum rc mlkem_generate(struct mlkem_secret *ret_secret, uint8_t *ret_key, uint16_t set,
	const uint8_t seed[MLKEM_SEED_SIZE], struct err *e);

/*
 * To the peer's encapsulation key. ret_ciphertext gets
 * mlkem_ciphertext_size() octets. RC_RANGE: wrong size; RC_MALFORMED: the key fails the modulus check of FIPS
 * 203 section 7.2. RC_UNSUPPORTED, RC_INTERNAL: not the peer's fault. On any error ret_shared is wiped.
 */
enum rc mlkem_encapsulate(uint16_t set, const void *key, size_t key_n,
	const uint8_t random[MLKEM_RANDOM_SIZE], uint8_t *ret_ciphertext,
	uint8_t ret_shared[MLKEM_SHARED_SIZE], struct err *e);

/*
 * RC_RANGE: the ciphertext has the wrong size. One of the right size never
 * fails: a wrong one gives another secret (implicit rejection), and AUTH fails.
 */
enum rc mlkem_decapsulate(const struct mlkem_secret *secret, const void *ciphertext, size_t ciphertext_n,
	uint8_t ret_shared[MLKEM_SHARED_SIZE], struct err *e);

void mlkem_done(struct mlkem_secret *secret);

#endif
