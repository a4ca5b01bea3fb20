#include "merkle/subtree.h"

#include <assert.h>

bool merkle_subtree_aligned(uint64_t start, uint64_t end)
{
	uint64_t n = end - start;

	if (start > end)
		return false;
	if (n <= 1)
		return true;
	unsigned bits = 64 - (unsigned)__builtin_clzll(
				     n - 1); /* the smallest power of two at or above n is 1 << bits */
	return bits < 64 ? (start & ((1ull << bits) - 1)) == 0 : start == 0;
}

/*
 * fn, sn, tn: the path of the range's first leaf, of its last leaf and of the tree's last leaf. They move up
 * together; the range's root is complete where fn meets sn, the tree's root where tn is used up.
 */
struct path {
	uint64_t fn, sn, tn;
};

static void up(struct path *p)
{
	p->fn >>= 1;
	p->sn >>= 1;
	p->tn >>= 1;
}

enum rc merkle_check_subtree(const struct merkle_proof *p, uint64_t start, uint64_t end, uint64_t size,
	const struct merkle_hash *subtree_root, const struct merkle_hash *root)
{
	struct merkle_hash empty = merkle_empty(), fr, sr;
	size_t i = 0;

	if (end > size || !merkle_subtree_aligned(start, end))
		return RC_RANGE;
	if (start == end)
		return p->n == 0 && merkle_equal(subtree_root, &empty) ? RC_OK : RC_AUTH;
	struct path at = { start, end - 1, size - 1 };
	/* What lies wholly in the range needs no hash of the proof: go up to where the range's right edge
	 * leaves a left child. */
	while (at.fn != at.sn && (at.sn == at.tn || at.sn & 1))
		up(&at);
	assert(at.fn <= at.sn && at.sn <= at.tn && p->n <= MERKLE_PROOF_MAX);
	if (at.fn == at.sn) {
		fr = *subtree_root;
	} else {
		if (p->n == 0)
			return RC_AUTH;
		fr = p->hash[i++];
	}
	sr = fr;
	for (; i < p->n; i++) {
		const struct merkle_hash *c = &p->hash[i];
		if (at.tn == 0)
			return RC_AUTH;
		if (at.sn & 1 || at.sn == at.tn) {
			if (at.fn < at.sn)
				fr = merkle_node(c, &fr);
			sr = merkle_node(c, &sr);
			while (!(at.sn & 1) && at.sn != 0)
				up(&at);
		} else {
			sr = merkle_node(&sr, c);
		}
		up(&at);
	}
	return at.tn == 0 && merkle_equal(&fr, subtree_root) && merkle_equal(&sr, root) ? RC_OK : RC_AUTH;
}

enum rc merkle_check_subtree_inclusion(const struct merkle_proof *p, uint64_t index, uint64_t start,
	uint64_t end, const struct merkle_hash *leaf, const struct merkle_hash *subtree_root)
{
	if (!merkle_subtree_aligned(start, end) || index < start || index >= end)
		return RC_RANGE;
	return merkle_check_inclusion(p, index - start, end - start, leaf, subtree_root);
}
