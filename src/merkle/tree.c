#include "merkle/tree.h"

#include <assert.h>
#include <string.h>

struct merkle_hash merkle_leaf(const void *entry, size_t n)
{
	struct merkle_hash h;

	sha256_parts(h.b, (const struct sha256_part[]){ { "\0", 1 }, { entry, n } }, 2);
	return h;
}

struct merkle_hash merkle_node(const struct merkle_hash *left, const struct merkle_hash *right)
{
	struct merkle_hash h;
	uint8_t both[1 + 2 * SHA256_SIZE];

	both[0] = 1;
	memcpy(both + 1, left->b, SHA256_SIZE);
	memcpy(both + 1 + SHA256_SIZE, right->b, SHA256_SIZE);
	sha256(h.b, both, sizeof both);
	return h;
}

struct merkle_hash merkle_empty(void)
{
	struct merkle_hash h;

	sha256(h.b, "", 0);
	return h;
}

bool merkle_equal(const struct merkle_hash *a, const struct merkle_hash *b)
{
	return memcmp(a->b, b->b, SHA256_SIZE) == 0;
}

void merkle_edge_add_subtree(struct merkle_edge *e, unsigned level, const struct merkle_hash *subtree)
{
	struct merkle_hash h = *subtree;
	unsigned k = level;

	assert(level < 64 && (e->size & ((1ull << level) - 1)) == 0);
	for (; e->size >> k & 1; k++)
		h = merkle_node(&e->subtree[k], &h);
	e->subtree[k] = h;
	e->size += 1ull << level;
}

void merkle_edge_add(struct merkle_edge *e, const struct merkle_hash *leaf)
{
	merkle_edge_add_subtree(e, 0, leaf);
}

struct merkle_hash merkle_edge_root(const struct merkle_edge *e)
{
	struct merkle_hash h = merkle_empty();
	bool any = false;

	for (unsigned k = 0; k < 64; k++) {
		if (!(e->size >> k & 1))
			continue;
		h = any ? merkle_node(&e->subtree[k], &h) : e->subtree[k];
		any = true;
	}
	return h;
}

/* The largest power of two below n, n > 1. */
static uint64_t split(uint64_t n)
{
	assert(n > 1);
	return 1ull << (63 - __builtin_clzll(n - 1));
}

/* MTH(D[first : first + n]), where first is a multiple of the next power of two at or above n. */
static bool subtree_root(
	merkle_subtree_fn *subtree, void *context, uint64_t first, uint64_t n, struct merkle_hash *ret)
{
	assert(n > 0);
	if ((n & (n - 1)) == 0) {
		assert((first & (n - 1)) == 0);
		unsigned level = (unsigned)__builtin_ctzll(n);
		return subtree(context, level, first >> level, ret);
	}
	uint64_t k = split(n);
	struct merkle_hash left, right;
	if (!subtree_root(subtree, context, first, k, &left) ||
		!subtree_root(subtree, context, first + k, n - k, &right))
		return false;
	*ret = merkle_node(&left, &right);
	return true;
}

enum rc merkle_root(merkle_subtree_fn *subtree, void *context, uint64_t size, struct merkle_hash *ret_root)
{
	if (size == 0) {
		*ret_root = merkle_empty();
		return RC_OK;
	}
	return subtree_root(subtree, context, 0, size, ret_root) ? RC_OK : RC_NOT_FOUND;
}

/* PATH and SUBPROOF of RFC 9162 walk down; the hashes come out from the leaf up. So: collect downwards, then turn round. */
static void turn_round(struct merkle_proof *p)
{
	assert(p->n <= MERKLE_PROOF_MAX);
	for (size_t i = 0; i < p->n / 2; i++) {
		struct merkle_hash h = p->hash[i];
		p->hash[i] = p->hash[p->n - 1 - i];
		p->hash[p->n - 1 - i] = h;
	}
}

enum rc merkle_prove_inclusion(merkle_subtree_fn *subtree, void *context, uint64_t index, uint64_t size,
	struct merkle_proof *ret_proof)
{
	uint64_t first = 0, n = size;

	ret_proof->n = 0;
	if (index >= size)
		return RC_RANGE;
	while (n > 1) {
		uint64_t k = split(n);
		bool left = index - first < k;
		assert(ret_proof->n < MERKLE_PROOF_MAX);
		struct merkle_hash *h = &ret_proof->hash[ret_proof->n++];
		if (!(left ? subtree_root(subtree, context, first + k, n - k, h)
			   : subtree_root(subtree, context, first, k, h)))
			return RC_NOT_FOUND;
		first += left ? 0 : k;
		n = left ? k : n - k;
	}
	turn_round(ret_proof);
	return RC_OK;
}

enum rc merkle_prove_consistency(merkle_subtree_fn *subtree, void *context, uint64_t old, uint64_t size,
	struct merkle_proof *ret_proof)
{
	uint64_t first = 0, m = old, n = size;
	bool whole = true; /* the old tree itself: its root is known to the checker */

	ret_proof->n = 0;
	if (old == 0 || old > size || size > MERKLE_PROVEN_MAX)
		return RC_RANGE;
	while (m != n) {
		uint64_t k = split(n);
		bool left = m <= k;
		assert(ret_proof->n < MERKLE_PROOF_MAX);
		struct merkle_hash *h = &ret_proof->hash[ret_proof->n++];
		if (!(left ? subtree_root(subtree, context, first + k, n - k, h)
			   : subtree_root(subtree, context, first, k, h)))
			return RC_NOT_FOUND;
		first += left ? 0 : k;
		m -= left ? 0 : k;
		n = left ? k : n - k;
		whole &= left;
	}
	assert(ret_proof->n < MERKLE_PROOF_MAX); /* a hash for each level below 2^63 leaves, and this one */
	if (!whole && !subtree_root(subtree, context, first, m, &ret_proof->hash[ret_proof->n++]))
		return RC_NOT_FOUND;
	turn_round(ret_proof);
	return RC_OK;
}

enum rc merkle_check_inclusion(const struct merkle_proof *p, uint64_t index, uint64_t size,
	const struct merkle_hash *leaf, const struct merkle_hash *root)
{
	uint64_t fn = index, sn = size - 1;
	struct merkle_hash r = *leaf;

	assert(p->n <= MERKLE_PROOF_MAX);
	if (index >= size)
		return RC_RANGE;
	for (size_t i = 0; i < p->n; i++) {
		if (sn == 0)
			return RC_AUTH;
		if (fn & 1 || fn == sn) {
			r = merkle_node(&p->hash[i], &r);
			while (!(fn & 1) && fn != 0) {
				fn >>= 1;
				sn >>= 1;
			}
		} else {
			r = merkle_node(&r, &p->hash[i]);
		}
		fn >>= 1;
		sn >>= 1;
	}
	return sn == 0 && merkle_equal(&r, root) ? RC_OK : RC_AUTH;
}

enum rc merkle_check_consistency(const struct merkle_proof *p, uint64_t old, uint64_t size,
	const struct merkle_hash *old_root, const struct merkle_hash *root)
{
	assert(p->n <= MERKLE_PROOF_MAX);
	if (old == 0 || old > size)
		return RC_RANGE;
	if (old == size)
		return p->n == 0 && merkle_equal(old_root, root) ? RC_OK : RC_AUTH;
	bool power = (old & (old - 1)) == 0;
	if (!power && p->n == 0)
		return RC_AUTH;
	uint64_t fn = old - 1, sn = size - 1;
	while (fn & 1) {
		fn >>= 1;
		sn >>= 1;
	}
	struct merkle_hash fr = power ? *old_root : p->hash[0], sr = fr;
	for (size_t i = power ? 0 : 1; i < p->n; i++) {
		const struct merkle_hash *c = &p->hash[i];
		if (sn == 0)
			return RC_AUTH;
		if (fn & 1 || fn == sn) {
			fr = merkle_node(c, &fr);
			sr = merkle_node(c, &sr);
			while (!(fn & 1) && fn != 0) {
				fn >>= 1;
				sn >>= 1;
			}
		} else {
			sr = merkle_node(&sr, c);
		}
		fn >>= 1;
		sn >>= 1;
	}
	return sn == 0 && merkle_equal(&fr, old_root) && merkle_equal(&sr, root) ? RC_OK : RC_AUTH;
}
