/* Trees and proofs of all small sizes against the definitions; every changed bit and every wrong size is
 * refused. */
#include "merkle_fixture.h"
#include "merkle/subtree.h"
#include "base/bytes.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

#define SIZE_MAX_TESTED 70u

static void known_hashes(void **state)
{
	/* SHA-256 of nothing, and of one zero byte: the empty tree and the leaf of an empty entry. */
	struct merkle_hash empty = merkle_empty(), leaf = merkle_leaf("", 0);
	char text[65];

	assert_string_equal(hex_from_bytes(text, empty.b, 32),
		"e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
	assert_string_equal(hex_from_bytes(text, leaf.b, 32),
		"6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d");
}

static void edge_has_the_defined_root(void **state)
{
	struct merkle_edge e = { 0 };

	for (uint64_t n = 0; n <= 600; n++) {
		struct merkle_hash want = naive_root(0, n), got = merkle_edge_root(&e), by_subtrees;
		assert_int_equal(e.size, n);
		assert_true(merkle_equal(&want, &got));
		if (n % 37 == 0) {
			assert_int_equal(merkle_root(naive_subtree, &n, n, &by_subtrees), RC_OK);
			assert_true(merkle_equal(&want, &by_subtrees));
		}
		struct merkle_hash leaf = naive_leaf(n);
		merkle_edge_add(&e, &leaf);
	}
}

static void edge_takes_subtrees(void **state)
{
	struct merkle_edge e = { 0 };
	const struct {
		unsigned level;
		uint64_t first;
	} parts[] = { { 4, 0 }, { 4, 16 }, { 3, 32 }, { 1, 40 }, { 0, 42 } };

	for (size_t i = 0; i < COUNT_OF(parts); i++) {
		struct merkle_hash h = naive_root(parts[i].first, 1ull << parts[i].level);
		merkle_edge_add_subtree(&e, parts[i].level, &h);
	}
	struct merkle_hash want = naive_root(0, 43), got = merkle_edge_root(&e);
	assert_int_equal(e.size, 43);
	assert_true(merkle_equal(&want, &got));
}

/* Each hash of a proof altered in one bit, one hash less, one more. */
static void proof_spoil(const struct merkle_proof *good, size_t how, struct merkle_proof *ret)
{
	*ret = *good;
	if (how < good->n)
		ret->hash[how].b[how % 32] ^= 0x10;
	else if (how == good->n && good->n > 0)
		ret->n--;
	else
		ret->hash[ret->n++] = merkle_empty();
}

static void inclusion(void **state)
{
	for (uint64_t size = 1; size <= SIZE_MAX_TESTED; size++) {
		struct merkle_hash root = naive_root(0, size);
		for (uint64_t i = 0; i < size; i++) {
			struct merkle_hash leaf = naive_leaf(i), other = naive_leaf(i + 1);
			struct merkle_proof p, bad;
			assert_int_equal(merkle_prove_inclusion(naive_subtree, &size, i, size, &p), RC_OK);
			assert_int_equal(merkle_check_inclusion(&p, i, size, &leaf, &root), RC_OK);
			assert_int_equal(merkle_check_inclusion(&p, i, size, &other, &root), RC_AUTH);
			assert_int_equal(merkle_check_inclusion(&p, i, size, &leaf, &other), RC_AUTH);
			for (uint64_t j = 0; j < size; j++)
				if (j != i)
					assert_int_equal(
						merkle_check_inclusion(&p, j, size, &leaf, &root), RC_AUTH);
			for (size_t how = 0; how < p.n + 2; how++) {
				proof_spoil(&p, how, &bad);
				assert_int_equal(
					merkle_check_inclusion(&bad, i, size, &leaf, &root), RC_AUTH);
			}
			assert_int_equal(merkle_check_inclusion(&p, size, size, &leaf, &root), RC_RANGE);
		}
	}
	struct merkle_proof none = { 0 };
	struct merkle_hash h = merkle_empty();
	assert_int_equal(merkle_check_inclusion(&none, 0, 0, &h, &h), RC_RANGE);
	uint64_t nothing = 0;
	assert_int_equal(merkle_prove_inclusion(naive_subtree, &nothing, 0, 4, &none), RC_NOT_FOUND);
	assert_int_equal(merkle_prove_inclusion(naive_subtree, &nothing, 4, 4, &none), RC_RANGE);
}

static void consistency(void **state)
{
	for (uint64_t size = 1; size <= SIZE_MAX_TESTED; size++) {
		struct merkle_hash root = naive_root(0, size);
		for (uint64_t old = 1; old <= size; old++) {
			struct merkle_hash old_root = naive_root(0, old), other = naive_root(1, old);
			struct merkle_proof p, bad;
			assert_int_equal(
				merkle_prove_consistency(naive_subtree, &size, old, size, &p), RC_OK);
			assert_int_equal(merkle_check_consistency(&p, old, size, &old_root, &root), RC_OK);
			assert_int_equal(merkle_check_subtree(&p, 0, old, size, &old_root, &root), RC_OK);
			assert_int_equal(merkle_check_consistency(&p, old, size, &other, &root), RC_AUTH);
			assert_int_equal(merkle_check_consistency(&p, old, size, &old_root, &other), RC_AUTH);
			for (size_t how = 0; how < p.n + 2; how++) {
				proof_spoil(&p, how, &bad);
				assert_int_equal(
					merkle_check_consistency(&bad, old, size, &old_root, &root), RC_AUTH);
			}
			assert_int_equal(
				merkle_check_consistency(&p, size + 1, size, &old_root, &root), RC_RANGE);
		}
	}
	struct merkle_proof none = { 0 };
	struct merkle_hash h = merkle_empty();
	assert_int_equal(merkle_check_consistency(&none, 0, 3, &h, &h), RC_RANGE);
	assert_int_equal(merkle_check_consistency(&none, 0, 0, &h, &h), RC_RANGE);
}

static bool any_subtree(void *context, unsigned level, uint64_t index, struct merkle_hash *ret_hash)
{
	(void)context;
	(void)level;
	(void)index;
	*ret_hash = merkle_empty();
	return true;
}

/* The longest proof of growth fills its place; a tree that is larger would need one hash more. */
static void consistency_of_the_largest(void **state)
{
	struct merkle_proof p;

	assert_int_equal(merkle_prove_consistency(any_subtree, NULL, 3, MERKLE_PROVEN_MAX, &p), RC_OK);
	assert_int_equal(p.n, MERKLE_PROOF_MAX);
	assert_int_equal(merkle_prove_consistency(any_subtree, NULL, 3, MERKLE_PROVEN_MAX + 1, &p), RC_RANGE);
	assert_int_equal(merkle_prove_consistency(any_subtree, NULL, 3, UINT64_MAX, &p), RC_RANGE);
	assert_int_equal(p.n, 0);
}

/* The proof by the draft's recursion, from the leaf up. b: the range's root is known to the checker. */
static void naive_subtree_proof(
	uint64_t first, uint64_t start, uint64_t end, uint64_t n, bool b, struct merkle_proof *p)
{
	uint64_t k = 1;

	if (start == 0 && end == n) {
		if (!b)
			p->hash[p->n++] = naive_root(first, n);
		return;
	}
	while (k * 2 < n)
		k *= 2;
	if (end <= k) {
		naive_subtree_proof(first, start, end, k, b, p);
		p->hash[p->n++] = naive_root(first + k, n - k);
	} else if (start >= k) {
		naive_subtree_proof(first + k, start - k, end - k, n - k, b, p);
		p->hash[p->n++] = naive_root(first, k);
	} else {
		naive_subtree_proof(first + k, 0, end - k, n - k, false, p);
		p->hash[p->n++] = naive_root(first, k);
	}
}

static void subtrees(void **state)
{
	unsigned checked = 0;

	for (uint64_t size = 1; size <= 40; size++) {
		struct merkle_hash root = naive_root(0, size);
		for (uint64_t start = 0; start < size; start++)
			for (uint64_t end = start + 1; end <= size; end++) {
				struct merkle_proof p = { 0 }, bad;
				uint64_t width = 1;
				while (width < end - start)
					width *= 2;
				struct merkle_hash part = naive_root(start, end - start);
				assert_int_equal(merkle_subtree_aligned(start, end), start % width == 0);
				if (start % width != 0) {
					assert_int_equal(
						merkle_check_subtree(&p, start, end, size, &part, &root),
						RC_RANGE);
					continue;
				}
				naive_subtree_proof(0, start, end, size, true, &p);
				assert_int_equal(
					merkle_check_subtree(&p, start, end, size, &part, &root), RC_OK);
				for (size_t how = 0; how < p.n + 2; how++) {
					proof_spoil(&p, how, &bad);
					assert_int_equal(
						merkle_check_subtree(&bad, start, end, size, &part, &root),
						RC_AUTH);
				}
				checked++;
			}
	}
	assert_true(checked > 1000);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(known_hashes),
		cmocka_unit_test(edge_has_the_defined_root),
		cmocka_unit_test(edge_takes_subtrees),
		cmocka_unit_test(inclusion),
		cmocka_unit_test(consistency),
		cmocka_unit_test(consistency_of_the_largest),
		cmocka_unit_test(subtrees),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
