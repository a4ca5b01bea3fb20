/*
 * Proofs about a range of leaves [start, end) of a tree, where start is a multiple of the smallest power of
 * two at or above the range's length, so that the range has a root of its own
 * (draft-ietf-plants-merkle-tree-certs, "Subtrees"). A range from 0 is an older tree: consistency is the
 * special case. Pure. No process needs it yet: all of it is for tests.
 */
#ifndef MERKLE_SUBTREE_H
#define MERKLE_SUBTREE_H

#include "merkle/tree.h"

/* Only for tests: start <= end, and start aligned to the range's length. */
bool merkle_subtree_aligned(uint64_t start, uint64_t end);

/*
 * Only for tests: is the range's root the one that lies in the tree of `size` leaves? An empty range has the root of the
 * empty tree and an empty proof. RC_OK, RC_RANGE for a range that cannot be, RC_AUTH when it does not prove.
 */
enum rc merkle_check_subtree(const struct merkle_proof *p, uint64_t start, uint64_t end, uint64_t size,
	const struct merkle_hash *subtree_root, const struct merkle_hash *root);

/* Only for tests: is the leaf in the range? As merkle_check_inclusion() with the range as the tree. */
enum rc merkle_check_subtree_inclusion(const struct merkle_proof *p, uint64_t index, uint64_t start,
	uint64_t end, const struct merkle_hash *leaf, const struct merkle_hash *subtree_root);

#endif
