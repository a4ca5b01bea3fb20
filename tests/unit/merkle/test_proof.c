/* .tlog-proof files over the foreign example log and over our own notes; proofs made from leaves and from
 * tiles. */
#include "merkle_fixture.h"
#include "merkle/proof.h"
#include "base/bytes.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define EXAMPLE_KEY  "example.com/log/testdata+33d7b496+AeHTu4Q3hEIMHNqc6fASMsq3rKNx280NI+oO5xCFkkSx"
#define EXAMPLE_SIZE 15u

static struct policy policy;
static struct tlog_proof proof, again;
static char file[TLOG_PROOF_BYTES_MAX + 64], file_again[TLOG_PROOF_BYTES_MAX + 64];

/* The leaves of a log whose entry i is the number i, as naive_leaf(). */
static struct merkle_hash *leaves_make(uint64_t n)
{
	struct merkle_hash *leaf = calloc(n, sizeof *leaf);

	assert_non_null(leaf);
	for (uint64_t i = 0; i < n; i++)
		leaf[i] = naive_leaf(i);
	return leaf;
}

static unsigned tiles_read;

/* A log's tiles, computed when they are asked for; as strict as files would be. */
static bool tile_read(
	void *context, uint32_t level, uint64_t n, uint32_t width, struct merkle_hash *ret_hashes)
{
	struct merkle_leaves *l = context;

	tiles_read++;
	assert_true(width == TILE_WIDTH ? n < tile_full(level, l->n)
					: n == tile_full(level, l->n) && width == tile_partial(level, l->n));
	for (uint32_t i = 0; i < width; i++)
		if (!merkle_leaves_subtree(l, 8 * level, n * TILE_WIDTH + i, &ret_hashes[i]))
			return false;
	return true;
}

static void same_proof(const struct merkle_proof *a, const struct merkle_proof *b)
{
	assert_int_equal(a->n, b->n);
	assert_memory_equal(a->hash, b->hash, a->n * sizeof a->hash[0]);
}

static void sources(void **state)
{
	static const uint64_t sizes[] = { 1, 2, 3, 7, 8, 255, 256, 257, 300, 511, 512, 513, 65535, 65536,
		65537, 70000 };
	struct merkle_hash *leaf = leaves_make(70000);
	struct merkle_proof by_leaves, by_tiles;

	for (size_t s = 0; s < COUNT_OF(sizes); s++) {
		uint64_t size = sizes[s], step = size > 1000 ? 4999 : size > 100 ? 37 : 1;
		struct merkle_leaves l = { leaf, size };
		struct tile_source t = { .size = size, .read = tile_read, .context = &l };
		struct merkle_hash root, root_again;
		assert_int_equal(merkle_root(merkle_leaves_subtree, &l, size, &root), RC_OK);
		assert_int_equal(merkle_root(tile_source_subtree, &t, size, &root_again), RC_OK);
		assert_true(merkle_equal(&root, &root_again));
		if (size <= 600) {
			root_again = naive_root(0, size);
			assert_true(merkle_equal(&root, &root_again));
		}
		for (uint64_t i = 0; i < size; i += step) {
			assert_int_equal(
				merkle_prove_inclusion(merkle_leaves_subtree, &l, i, size, &by_leaves),
				RC_OK);
			assert_int_equal(
				merkle_prove_inclusion(tile_source_subtree, &t, i, size, &by_tiles), RC_OK);
			same_proof(&by_leaves, &by_tiles);
			assert_int_equal(merkle_check_inclusion(&by_tiles, i, size, &leaf[i], &root), RC_OK);
			struct merkle_leaves older = { leaf, i + 1 };
			struct merkle_hash old_root;
			assert_int_equal(merkle_root(merkle_leaves_subtree, &older, i + 1, &old_root), RC_OK);
			assert_int_equal(
				merkle_prove_consistency(merkle_leaves_subtree, &l, i + 1, size, &by_leaves),
				RC_OK);
			assert_int_equal(
				merkle_prove_consistency(tile_source_subtree, &t, i + 1, size, &by_tiles),
				RC_OK);
			same_proof(&by_leaves, &by_tiles);
			assert_int_equal(
				merkle_check_consistency(&by_tiles, i + 1, size, &old_root, &root), RC_OK);
		}
		/* What is not there is not made up. */
		struct merkle_hash h;
		for (unsigned level = 0; level < 70; level++) {
			uint64_t behind = level < 64 ? size >> level : 0;
			assert_false(merkle_leaves_subtree(&l, level, behind, &h));
			assert_false(tile_source_subtree(&t, level, behind, &h));
			assert_false(tile_source_subtree(&t, level, UINT64_MAX, &h));
		}
	}
	/* A proof over 70,000 leaves needs few tiles: each level's once. */
	struct merkle_leaves l = { leaf, 70000 };
	struct tile_source t = { .size = 70000, .read = tile_read, .context = &l };
	tiles_read = 0;
	assert_int_equal(merkle_prove_consistency(tile_source_subtree, &t, 69999, 70000, &by_tiles), RC_OK);
	assert_true(tiles_read >= 3 && tiles_read <= 9);
	free(leaf);
}

/* The tile that is kept is never taken for another one. */
static void kept_tile(void **state)
{
	struct merkle_hash *leaf = leaves_make(70000), h;
	struct merkle_leaves l = { leaf, 70000 };
	struct tile_source t = { .size = 70000, .read = tile_read, .context = &l };

	for (unsigned level = 0; level < 17; level++)
		for (uint64_t index = 0; index < 70000u >> level; index += 1 + 3001 / (1 + level)) {
			struct merkle_hash want;
			for (int again_ = 0; again_ < 2; again_++) {
				assert_true(tile_source_subtree(&t, level, index, &h));
				assert_true(merkle_leaves_subtree(&l, level, index, &want));
				assert_true(merkle_equal(&h, &want));
			}
		}
	/* All tiles of a level one after the other, each of the same width. */
	for (uint64_t n = 0; n < 70000 / TILE_WIDTH; n++) {
		assert_true(tile_source_subtree(&t, 0, n * TILE_WIDTH + 7, &h));
		assert_true(merkle_equal(&h, &leaf[n * TILE_WIDTH + 7]));
	}
	free(leaf);
}

static unsigned failing_reads;

/* Fails after it has begun to write. */
static bool tile_fails(
	void *context, uint32_t level, uint64_t n, uint32_t width, struct merkle_hash *ret_hashes)
{
	memset(ret_hashes, 0, width * sizeof *ret_hashes);
	failing_reads++;
	return n == 0;
}

static void failed_tile(void **state)
{
	struct tile_source t = { .size = 600, .read = tile_fails };
	struct merkle_hash h;

	assert_true(tile_source_subtree(&t, 0, 3, &h));
	assert_false(tile_source_subtree(&t, 0, 300, &h));
	/* Neither the one that failed nor the one before it is in the place now. */
	assert_false(tile_source_subtree(&t, 0, 300, &h));
	assert_int_equal(failing_reads, 3);
	assert_true(tile_source_subtree(&t, 0, 3, &h));
	assert_int_equal(failing_reads, 4);
}

static bool tile_missing(
	void *context, uint32_t level, uint64_t n, uint32_t width, struct merkle_hash *ret_hashes)
{
	return level != 0 && tile_read(context, level, n, width, ret_hashes);
}

static void missing_tiles(void **state)
{
	struct merkle_hash *leaf = leaves_make(300);
	struct merkle_leaves l = { leaf, 300 };
	struct tile_source t = { .size = 300, .read = tile_missing, .context = &l };
	struct merkle_proof p;

	assert_int_equal(merkle_prove_inclusion(tile_source_subtree, &t, 7, 300, &p), RC_NOT_FOUND);
	assert_int_equal(merkle_prove_consistency(tile_source_subtree, &t, 256, 300, &p), RC_NOT_FOUND);
	free(leaf);
}

/* Every entry of the foreign log under every one of its checkpoints. */
static void example_log(void **state)
{
	struct merkle_hash leaf[EXAMPLE_SIZE];
	struct tlog_proof_verdict v;
	char name[32], text[256];
	size_t bundle_n, note_n, n, proofs = 0;
	const uint8_t *entry;

	if (!vectors_present("tlog-example"))
		skip();
	n = (size_t)snprintf(text, sizeof text, "log %s\nquorum none\n", EXAMPLE_KEY);
	assert_int_equal(policy_parse(&policy, text, n, NULL), RC_OK);
	char *bundle = file_read(vectors_path("tlog-example", "tile/entries/000.p/15"), &bundle_n);
	struct rd r = rd_over(bundle, bundle_n);
	for (unsigned i = 0; bundle_next(&r, &entry, &n); i++)
		leaf[i] = merkle_leaf(entry, n);
	for (unsigned size = 1; size <= EXAMPLE_SIZE; size++) {
		snprintf(name, sizeof name, "checkpoint.%u", size);
		char *note = file_read(vectors_path("tlog-example", name), &note_n);
		struct merkle_leaves l = { leaf, size };
		for (unsigned i = 0; i < size; i++) {
			memset(&proof, 0, sizeof proof);
			proof.index = i;
			proof.note = note;
			proof.note_n = note_n;
			assert_int_equal(
				merkle_prove_inclusion(merkle_leaves_subtree, &l, i, size, &proof.path),
				RC_OK);
			size_t file_n = tlog_proof_text(&proof, file, sizeof file);
			assert_true(file_n > 0);
			assert_int_equal(tlog_proof_parse(&again, file, file_n, NULL), RC_OK);
			assert_int_equal(tlog_proof_check(&again, &leaf[i], &policy, &v, NULL), RC_OK);
			assert_int_equal(v.checkpoint.size, size);
			assert_true(v.policy.log_signed && v.policy.quorum);
			for (unsigned other = 0; other < EXAMPLE_SIZE; other++)
				if (other != i && !merkle_equal(&leaf[other], &leaf[i]))
					assert_int_equal(
						tlog_proof_check(&again, &leaf[other], &policy, &v, NULL),
						RC_AUTH);
			again.index = size;
			assert_int_equal(tlog_proof_check(&again, &leaf[i], &policy, &v, NULL), RC_RANGE);
			proofs++;
		}
		free(note);
	}
	assert_int_equal(proofs, EXAMPLE_SIZE * (EXAMPLE_SIZE + 1) / 2);
	free(bundle);
}

#define ORIGIN "log.example"

/* A proof of leaf 2 of 5 by a log and a witness of ours, as a file; the policy asks for both. */
static size_t own_file(const char *extra, struct merkle_hash *ret_leaf)
{
	static char note[2048];
	uint8_t seed[32] = { 1 }, witness_seed[32] = { 2 }, public_key[32];
	struct note_key log_key, witness;
	struct checkpoint c = { .origin = ORIGIN, .size = 5, .root = naive_root(0, 5) };
	char text[400], vkeys[2][NOTE_VKEY_MAX];
	uint64_t size = 5;

	ed25519_public(public_key, seed);
	assert_int_equal(note_key_make(&log_key, ORIGIN, NOTE_ED25519, public_key), RC_OK);
	ed25519_public(public_key, witness_seed);
	assert_int_equal(note_key_make(&witness, "w", NOTE_COSIGNATURE_ED25519, public_key), RC_OK);
	size_t n = (size_t)snprintf(file, sizeof file, "log %s\nwitness W %s\nquorum W\n",
		note_key_text(vkeys[0], &log_key), note_key_text(vkeys[1], &witness));
	assert_int_equal(policy_parse(&policy, file, n, NULL), RC_OK);
	size_t text_n = checkpoint_text(text, sizeof text, &c);
	n = note_sign(note, sizeof note, text, text_n, &log_key, seed);
	n += cosign_line(note + n, sizeof note - n, text, text_n, &witness, witness_seed, 1000);
	memset(&proof, 0, sizeof proof);
	proof.index = 2;
	proof.note = note;
	proof.note_n = n;
	proof.extra_n = strlen(extra);
	memcpy(proof.extra, extra, proof.extra_n);
	assert_int_equal(merkle_prove_inclusion(naive_subtree, &size, 2, 5, &proof.path), RC_OK);
	*ret_leaf = naive_leaf(2);
	return tlog_proof_text(&proof, file, sizeof file);
}

static void round_trip(void **state)
{
	static const char *extras[] = { "", "x", "some extra data" };
	struct tlog_proof_verdict v;
	struct merkle_hash leaf;

	for (size_t i = 0; i < COUNT_OF(extras); i++) {
		size_t n = own_file(extras[i], &leaf);
		assert_true(n > 0);
		assert_int_equal(tlog_proof_parse(&again, file, n, NULL), RC_OK);
		assert_int_equal(again.extra_n, strlen(extras[i]));
		assert_memory_equal(again.extra, extras[i], again.extra_n);
		assert_int_equal(tlog_proof_check(&again, &leaf, &policy, &v, NULL), RC_OK);
		assert_int_equal(v.policy.quorum_time_s, 1000);
		assert_int_equal(tlog_proof_text(&again, file_again, sizeof file_again), n);
		assert_memory_equal(file, file_again, n);
		for (size_t max = 0; max <= n; max++)
			assert_int_equal(tlog_proof_text(&again, file_again, max), 0);
		/* Shorter files: not read, or not a proof. Every flipped bit outside of "extra": the same. */
		for (size_t cut = 0; cut < n; cut++)
			assert_false(tlog_proof_parse(&again, file, cut, NULL) == RC_OK &&
				     tlog_proof_check(&again, &leaf, &policy, &v, NULL) == RC_OK);
		for (size_t at = 0; extras[i][0] == '\0' && at < n; at++)
			for (unsigned bit = 0; bit < 8; bit++) {
				file[at] = (char)(file[at] ^ 1 << bit);
				assert_false(tlog_proof_parse(&again, file, n, NULL) == RC_OK &&
					     tlog_proof_check(&again, &leaf, &policy, &v, NULL) == RC_OK);
				file[at] = (char)(file[at] ^ 1 << bit);
			}
	}
	/* No log in the policy: nobody answers for the checkpoint, whatever witnesses say. */
	own_file("", &leaf);
	memset(&policy.log, 0, sizeof policy.log);
	policy.logs_n = 0;
	assert_int_equal(tlog_proof_check(&proof, &leaf, &policy, &v, NULL), RC_AUTH);
}

#define HASH "CsUYapGGPo4dkMgIAUqom/Xajj7h2fB2MPA3j2jxq2I="
#define H    "c2sp.org/tlog-proof@v1\n"

static void refused(void **state)
{
	static const struct {
		const char *name, *text;
		enum rc want;
		const char *says;
	}
	/* clang-format off */
	rows[] = {
		{ "nothing", "", RC_MALFORMED, "line 1" },
		{ "no hashes", H "index 0\n\n", RC_OK, "" },
		{ "one hash", H "index 18446744073709551\n" HASH "\n\nnote", RC_OK, "" },
		{ "another version", "c2sp.org/tlog-proof@v2\nindex 0\n\n", RC_MALFORMED, "line 1" },
		{ "a longer header", "c2sp.org/tlog-proof@v1 \nindex 0\n\n", RC_MALFORMED, "line 1" },
		{ "no index", H, RC_MALFORMED, "line 2" },
		{ "hash for the index", H HASH "\n\n", RC_MALFORMED, "line 2" },
		{ "leading zero", H "index 01\n\n", RC_MALFORMED, "line 2: found 'index 01'" },
		{ "negative", H "index -1\n\n", RC_MALFORMED, "line 2" },
		{ "two blanks", H "index  1\n\n", RC_MALFORMED, "line 2" },
		{ "index too large", H "index 100000000000000000000\n\n", RC_MALFORMED, "line 2" },
		{ "extra", H "extra AA==\nindex 1\n\n", RC_OK, "" },
		{ "extra behind the index", H "index 1\nextra AA==\n\n", RC_MALFORMED, "line 3" },
		{ "two extras", H "extra AA==\nextra AA==\nindex 1\n\n", RC_MALFORMED, "line 3" },
		{ "empty extra", H "extra \nindex 1\n\n", RC_MALFORMED, "line 2" },
		{ "extra with unused bits", H "extra AB==\nindex 1\n\n", RC_MALFORMED, "line 2" },
		{ "extra at the end", H "extra AA==\n", RC_MALFORMED, "line 3" },
		{ "short hash", H "index 1\nAAAA\n\n", RC_MALFORMED, "line 3: found 'AAAA'" },
		{ "hash with unused bits", H "index 1\n47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFV=\n\n", RC_MALFORMED, "line 3" },
		{ "no empty line", H "index 1\n" HASH "\n", RC_MALFORMED, "line 4" },
		{ "carriage returns", "c2sp.org/tlog-proof@v1\r\nindex 1\r\n\r\n", RC_MALFORMED, "line 1" },
	};
	/* clang-format on */

	for (size_t i = 0; i < COUNT_OF(rows); i++) {
		struct err e = { 0 };
		enum rc rc = tlog_proof_parse(&proof, rows[i].text, strlen(rows[i].text), &e);
		if (rc != rows[i].want || !strstr(e.text, rows[i].says))
			fail_msg("%s: %s, '%s'", rows[i].name, rc_text(rc), e.text);
	}
	/* 64 hashes are what a tree can need; one more is not read, nor is a file larger than any can be. */
	size_t n = (size_t)snprintf(file, sizeof file, H "index 0\n");
	for (unsigned i = 0; i <= 64; i++) {
		snprintf(file + n, sizeof file - n, "\n");
		assert_int_equal(tlog_proof_parse(&proof, file, n + 1, NULL), RC_OK);
		assert_int_equal(proof.path.n, i);
		n += (size_t)snprintf(file + n, sizeof file - n, HASH "\n");
	}
	snprintf(file + n, sizeof file - n, "\n");
	assert_int_equal(tlog_proof_parse(&proof, file, n + 1, NULL), RC_LIMIT);
	assert_int_equal(tlog_proof_parse(&proof, file, TLOG_PROOF_BYTES_MAX + 1, NULL), RC_LIMIT);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(sources),
		cmocka_unit_test(kept_tile),
		cmocka_unit_test(failed_tile),
		cmocka_unit_test(missing_tiles),
		cmocka_unit_test(example_log),
		cmocka_unit_test(round_trip),
		cmocka_unit_test(refused),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
