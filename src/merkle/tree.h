/*
 * Merkle trees of RFC 9162 section 2.1: hashing, growing roots, inclusion and consistency proofs. Pure.
 * May include crypto/hash.h: hashing is all that it does.
 */
#ifndef MERKLE_TREE_H
#define MERKLE_TREE_H

#include "base/err.h"
#include "crypto/hash.h"

#include <stdbool.h>

#define MERKLE_PROOF_MAX 64 /* hashes: one for each level of a 64-bit tree */

/* Leaves of a tree whose growth can be proven: such a proof has a hash for each level and one more. */
#define MERKLE_PROVEN_MAX (1ull << (MERKLE_PROOF_MAX - 1))

struct merkle_hash {
	uint8_t b[SHA256_SIZE];
};
_Static_assert(sizeof(struct merkle_hash) == SHA256_SIZE, "tiles in files are arrays of hashes");

/* SHA-256(00 || entry), SHA-256(01 || left || right), SHA-256(""). */
struct merkle_hash merkle_leaf(const void *entry, size_t n);
struct merkle_hash merkle_node(const struct merkle_hash *left, const struct merkle_hash *right);
struct merkle_hash merkle_empty(void);
bool merkle_equal(const struct merkle_hash *a, const struct merkle_hash *b);

/*
 * The right edge of a growing tree: the roots of its perfect subtrees, largest first. Adding a leaf costs one hash on average.
 */
struct merkle_edge {
	uint64_t size;
	struct merkle_hash subtree[64]; /* [k]: set when bit k of size is; a subtree of 2^k leaves */
};

void merkle_edge_add(struct merkle_edge *e, const struct merkle_hash *leaf);
/* The same with a whole subtree of 2^level leaves; size must be a multiple of 2^level. */
void merkle_edge_add_subtree(struct merkle_edge *e, unsigned level, const struct merkle_hash *subtree);
struct merkle_hash merkle_edge_root(const struct merkle_edge *e);

/* The root of the perfect subtree number `index` of 2^level leaves, from whoever keeps them. False: not there. */
typedef bool merkle_subtree_fn(void *context, unsigned level, uint64_t index, struct merkle_hash *ret_hash);

struct merkle_proof {
	size_t n;
	struct merkle_hash hash[MERKLE_PROOF_MAX];
};

/* Root of the first `size` leaves. */
enum rc merkle_root(merkle_subtree_fn *subtree, void *context, uint64_t size, struct merkle_hash *ret_root);
/* Only for tests: index < size. RC_RANGE, or RC_NOT_FOUND when a subtree is missing. */
enum rc merkle_prove_inclusion(merkle_subtree_fn *subtree, void *context, uint64_t index, uint64_t size,
	struct merkle_proof *ret_proof);
/* 0 < old <= size <= MERKLE_PROVEN_MAX, else RC_RANGE. */
enum rc merkle_prove_consistency(merkle_subtree_fn *subtree, void *context, uint64_t old, uint64_t size,
	struct merkle_proof *ret_proof);

/* RFC 9162 sections 2.1.3.2 and 2.1.4.2. RC_OK, RC_RANGE for impossible sizes, RC_AUTH when it does not prove. */
enum rc merkle_check_inclusion(const struct merkle_proof *p, uint64_t index, uint64_t size,
	const struct merkle_hash *leaf, const struct merkle_hash *root);
enum rc merkle_check_consistency(const struct merkle_proof *p, uint64_t old, uint64_t size,
	const struct merkle_hash *old_root, const struct merkle_hash *root);

#endif
