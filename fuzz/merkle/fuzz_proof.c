/*
 * Inclusion and consistency proofs in small trees whose leaves are known: a proof is accepted only if it is
 * the one that is made from the leaves. The input: two sizes and an index, then the hashes of the proof, or
 * changes to the right one.
 */
#include "base/bytes.h"
#include "base/rd.h"
#include "merkle/proof.h"

#include <assert.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

#define LEAVES 300

static struct merkle_hash leaf[LEAVES];

static struct merkle_hash root_of(uint64_t size)
{
	struct merkle_leaves leaves = { leaf, size };
	struct merkle_hash root;
	enum rc rc = merkle_root(merkle_leaves_subtree, &leaves, size, &root);

	assert(rc == RC_OK);
	return root;
}

/* The right proof with what is left of the input laid over it. */
static struct merkle_proof changed(const struct merkle_proof *right, struct rd *r)
{
	struct merkle_proof p = *right;
	uint8_t how = rd_u8(r);

	if (how & 1)
		p.n = rd_u8(r) % (MERKLE_PROOF_MAX + 1);
	if (how & 2)
		for (size_t at = 0; rd_left(r) > 0; at++)
			p.hash[at / SHA256_SIZE % MERKLE_PROOF_MAX].b[at % SHA256_SIZE] ^= rd_u8(r);
	return p;
}

static bool same(const struct merkle_proof *a, const struct merkle_proof *b)
{
	return a->n == b->n && (a->n == 0 || memcmp(a->hash, b->hash, a->n * sizeof a->hash[0]) == 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	struct rd r = rd_over(data, n);
	uint64_t size = rd_u16(&r), old = rd_u16(&r), index = rd_u16(&r);
	struct merkle_proof right = { 0 }, p;
	enum rc rc;

	if (leaf[1].b[0] == 0 && leaf[1].b[1] == 0)
		for (uint32_t i = 0; i < LEAVES; i++)
			leaf[i] = merkle_leaf(&i, sizeof i);
	size %= LEAVES + 1;
	struct merkle_leaves leaves = { leaf, size };
	struct merkle_hash root = root_of(size);
	rc = merkle_prove_inclusion(merkle_leaves_subtree, &leaves, index, size, &right);
	assert((rc == RC_OK) == (index < size));
	p = changed(&right, &r);
	rc = merkle_check_inclusion(&p, index, size, &leaf[index % LEAVES], &root);
	assert((rc == RC_OK) == (index < size && same(&p, &right)));

	right.n = 0;
	rc = merkle_prove_consistency(merkle_leaves_subtree, &leaves, old, size, &right);
	assert((rc == RC_OK) == (old > 0 && old <= size));
	if (rc == RC_OK) {
		struct merkle_hash old_root = root_of(old);
		p = changed(&right, &r);
		rc = merkle_check_consistency(&p, old, size, &old_root, &root);
		assert((rc == RC_OK) == same(&p, &right));
	}
	return 0;
}
