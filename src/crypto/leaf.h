/*
 * Ephemeral keys by cut and choose: how a leaf of a batch is made of its two shares, and which leaves of a
 * batch are opened. The keeper makes them, src/verify makes those that were opened again: one fact, here.
 *
 *   a          = SHA-256("plaingate/kernel-share/v1" | what the kernel's generator gave, 32 octets)
 *   b          the share of the entropy process, which is a hash already (proc/entropy/noise.h)
 *   seed       = HKDF-Extract(salt "plaingate/leaf/v1", a | b)
 *   secret(g)  = HKDF-Expand(seed, "key exchange" | g as 16 bits), 64 octets, for dh_generate() of group g
 *   additional = HKDF-Expand(seed, "additional key exchanges"), 32 octets
 *   d | z (g)  = HKDF-Expand(additional, "key exchange" | g as 16 bits), 64 octets, for mlkem_generate() of set g
 *   m (g)      = HKDF-Expand(additional, "encapsulation" | g as 16 bits), 32 octets, for mlkem_encapsulate() of set g
 *   data       = SHA-256(a) | SHA-256(b) | public values of the batch's groups, by rising number; in the place of a
 *                value of MODP and of an encapsulation key of ML-KEM its SHA-256
 *   leaf hash  = SHA-256(00 | data), and the batch's root by RFC 9162
 *
 * So one leaf is for an IKE SA's Diffie-Hellman exchange and for the additional key exchanges after it, and what is
 * kept for these tells nothing of the first. A ciphertext depends on the peer's key: of a responder's part in ML-KEM the
 * data proves nothing, and an opened leaf shows m.
 *
 * A quarter of the shares is published. They are hashes: nobody can read the state of a generator from its
 * output there.
 *
 * challenge: n and k are known, `later` is what came after the root was in the ledger (cosignatures of
 * witnesses; empty without one). Block i = SHA-256("plaingate/leaf-challenge/v1" | root | length of later in
 * 32 bits | later | i in 32 bits), read as numbers of 32 bits; the first k steps of a Fisher-Yates shuffle of
 * 0 … n-1 with them, each taken modulo the numbers left, those that would make it uneven skipped.
 *
 * Pure. Any thread.
 */
#ifndef CRYPTO_LEAF_H
#define CRYPTO_LEAF_H

#include "crypto/dh.h"
#include "crypto/hash.h"
#include "crypto/mlkem.h"

#define LEAF_SHARE_SIZE	 32
#define LEAF_SEED_SIZE	 32
#define LEAF_COUNT_MAX	 256
#define LEAF_DATA_MAX	 (2 * SHA256_SIZE + 3 * SHA256_SIZE + 32 + 64 + 96 + 2 * SHA256_SIZE)
#define LEAF_VALUE_MAX	 DH_CURVE_MAX /* octets of one value in it */
#define LEAF_GROUPS_TEXT 80

/* A set of groups is a bit for each row of DH_GROUPS, then of MLKEM_SETS, in their order. */
#define LEAF_DH_GROUPS	63u
#define LEAF_ALL_GROUPS 255u

/* Which leaf a secret came from, as the keeper names it within itself. batch 0: none. */
struct leaf_name {
	uint32_t batch, index;
};

/* The bit of a group or set, 0: no such group. */
uint32_t leaf_group_bit(uint16_t group);
/* Those that can be computed here: all, or without ML-KEM where libcrypto lacks it. */
uint32_t leaf_groups_available(void);
/* "ecp256 x25519"; ret_text holds LEAF_GROUPS_TEXT. */
const char *leaf_groups_text(char *ret_text, uint32_t groups);
/* False: not the text of a set, which is not empty. */
bool leaf_groups_parse(const char *text, size_t n, uint32_t *ret_groups);

/* Share a, of what the kernel's generator gave. */
void leaf_kernel_share(const uint8_t raw[LEAF_SHARE_SIZE], uint8_t ret_a[LEAF_SHARE_SIZE]);
/* RC_INTERNAL: libcrypto failed; the output is wiped. */
enum rc leaf_seed(
	const uint8_t a[LEAF_SHARE_SIZE], const uint8_t b[LEAF_SHARE_SIZE], uint8_t ret_seed[LEAF_SEED_SIZE]);
enum rc leaf_secret(const uint8_t seed[LEAF_SEED_SIZE], uint16_t group, uint8_t ret_secret[DH_SEED_SIZE]);
enum rc leaf_additional(const uint8_t seed[LEAF_SEED_SIZE], uint8_t ret_additional[LEAF_SEED_SIZE]);
/* Of a set of ML-KEM: d | z of an initiator, m of a responder. */
enum rc leaf_key_pair(
	const uint8_t additional[LEAF_SEED_SIZE], uint16_t set, uint8_t ret_seed[MLKEM_SEED_SIZE]);
enum rc leaf_encapsulation(
	const uint8_t additional[LEAF_SEED_SIZE], uint16_t set, uint8_t ret_random[MLKEM_RANDOM_SIZE]);

size_t leaf_data_size(uint32_t groups);
/* RC_UNSUPPORTED: groups has a set of ML-KEM, which this libcrypto lacks. RC_INTERNAL. */
enum rc leaf_data(const uint8_t a[LEAF_SHARE_SIZE], const uint8_t b[LEAF_SHARE_SIZE], uint32_t groups,
	uint8_t ret_data[LEAF_DATA_MAX]);
/*
 * The public value of a group in the data of a leaf, dh_public_size() octets, of MODP and ML-KEM SHA256_SIZE of digest;
 * NULL: the batch lacks the group.
 */
const uint8_t *leaf_public(const uint8_t *data, uint32_t groups, uint16_t group);
/* Whether that is the value of a key exchange; false also without the group. */
bool leaf_has_public(const uint8_t *data, uint32_t groups, uint16_t group, const void *value, size_t value_n);

/* k different numbers below n, in the order in which they are opened. 0 < k <= n <= LEAF_COUNT_MAX. */
void leaf_challenge(const uint8_t root[SHA256_SIZE], const void *later, size_t later_n, uint32_t n,
	uint32_t k, uint32_t *ret_indices);

#endif
