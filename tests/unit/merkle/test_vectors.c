/*
 * The foreign vectors: transparency-dev/merkle's proofs (inclusion, consistency, subtrees; good ones and
 * spoiled ones) and the C2SP example log of tessera, byte by byte.
 *
 * The proof vectors are for libraries whose hashes are byte strings of any length. Here a hash has 32 bytes
 * by its type, so the decision about another length is made where bytes become hashes, as it would be in a
 * decoder. Four vectors turn on that and on the empty tree; they are named below, and the test demands that
 * they are met.
 */
#include "merkle_fixture.h"
#include "base/bytes.h"
#include "merkle/note.h"
#include "merkle/subtree.h"
#include "merkle/tile.h"

#include <dirent.h>
#include <jansson.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static struct {
	unsigned run, refused, policy;
} count;

/* What a decoder does first: 32 bytes or nothing. Roots that vectors use as mere names ("dont care") are
 * known by their SHA-256. */
static bool hash_of(const json_t *v, bool is_root, struct merkle_hash *ret)
{
	uint8_t bytes[256];
	const char *text = json_string_value(v);
	size_t n;

	if (!text || !base64_to_bytes(bytes, sizeof bytes, &n, text, strlen(text)))
		return false;
	if (n == sizeof ret->b)
		memcpy(ret->b, bytes, n);
	else
		sha256(ret->b, bytes, n);
	return n == sizeof ret->b || is_root;
}

static bool proof_of(json_t *list, struct merkle_proof *ret)
{
	ret->n = 0;
	for (size_t i = 0; i < json_array_size(list); i++) {
		if (ret->n == MERKLE_PROOF_MAX ||
			!hash_of(json_array_get(list, i), false, &ret->hash[ret->n]))
			return false;
		ret->n++;
	}
	return true;
}

static uint64_t number(json_t *o, const char *key)
{
	json_t *v = json_object_get(o, key);

	/* Read as reals: jansson's integers end at 2^63 - 1, and one set has "index - 1" for index 0. */
	assert_true(json_is_real(v));
	double d = json_real_value(v);
	return d >= 0x1p64 ? UINT64_MAX : (uint64_t)d;
}

static enum rc judge_inclusion(json_t *o, const struct merkle_proof *p)
{
	struct merkle_hash leaf, root;

	/* Policy 1, "empty leaf": the algorithm compares a lone leaf with the root; that a leaf hash has 32
	 * bytes is asked first. */
	if (!hash_of(json_object_get(o, "leafHash"), false, &leaf)) {
		count.policy += json_string_length(json_object_get(o, "leafHash")) == 0;
		return RC_MALFORMED;
	}
	if (!hash_of(json_object_get(o, "root"), true, &root))
		return RC_MALFORMED;
	if (json_object_get(o, "start"))
		return merkle_check_subtree_inclusion(
			p, number(o, "leafIdx"), number(o, "start"), number(o, "end"), &leaf, &root);
	return merkle_check_inclusion(p, number(o, "leafIdx"), number(o, "treeSize"), &leaf, &root);
}

static enum rc judge_consistency(json_t *o, const struct merkle_proof *p)
{
	struct merkle_hash old_root, root;

	if (!hash_of(json_object_get(o, "root1"), true, &old_root) ||
		!hash_of(json_object_get(o, "root2"), true, &root))
		return RC_MALFORMED;
	if (json_object_get(o, "start"))
		return merkle_check_subtree(
			p, number(o, "start"), number(o, "end"), number(o, "size"), &old_root, &root);
	/* Policies 2 to 4: RFC 9162 asks for 0 < size1. Everything is consistent with the empty tree, so a
	 * proof for it says nothing, and a checker that answered "good" would be used as if it had said
	 * something. */
	enum rc rc = merkle_check_consistency(p, number(o, "size1"), number(o, "size2"), &old_root, &root);
	if (number(o, "size1") == 0) {
		count.policy++;
		assert_int_equal(rc, RC_RANGE);
	}
	return rc;
}

static void vector_run(const char *path)
{
	json_error_t error;
	json_t *o = json_load_file(path, JSON_DECODE_INT_AS_REAL, &error);
	struct merkle_proof p;

	if (!o)
		fail_msg("%s: %s", path, error.text);
	bool want_error = json_is_true(json_object_get(o, "wantErr"));
	bool is_inclusion = json_object_get(o, "leafIdx") != NULL;
	enum rc rc = !proof_of(json_object_get(o, "proof"), &p) ? RC_MALFORMED
		     : is_inclusion				? judge_inclusion(o, &p)
								: judge_consistency(o, &p);
	if ((rc != RC_OK) != want_error)
		fail_msg("%s (%s): got '%s', the vector wants %s", path,
			json_string_value(json_object_get(o, "desc")), rc_text(rc),
			want_error ? "a refusal" : "good");
	count.run++;
	count.refused += rc != RC_OK;
	json_decref(o);
}

static void folder_run(const char *path)
{
	DIR *d = opendir(path);
	struct dirent *entry;
	char below[1024];

	if (!d)
		fail_msg("cannot open %s", path);
	while ((entry = readdir(d))) {
		if (entry->d_name[0] == '.')
			continue;
		assert_true(snprintf(below, sizeof below, "%s/%s", path, entry->d_name) < (int)sizeof below);
		if (entry->d_type == DT_DIR)
			folder_run(below);
		else
			vector_run(below);
	}
	closedir(d);
}

static void proofs(void **state)
{
	static const struct {
		const char *folder;
		unsigned policy;
	} sets[] = { { "inclusion", 6 }, { "consistency", 9 }, { "subtreeinclusion", 12 },
		{ "subtreeconsistency", 0 } };
	unsigned total = 0;

	if (!vectors_present("merkle"))
		skip();
	for (size_t i = 0; i < COUNT_OF(sets); i++) {
		memset(&count, 0, sizeof count);
		folder_run(vectors_path("merkle", sets[i].folder));
		printf("%s: %u vectors, %u of them refused\n", sets[i].folder, count.run, count.refused);
		assert_true(count.run > count.refused && count.refused > 0);
		assert_int_equal(count.policy, sets[i].policy);
		total += count.run;
	}
	assert_true(total > 500);
}

/* ---- the example log ---- */

#define EXAMPLE_KEY  "example.com/log/testdata+33d7b496+AeHTu4Q3hEIMHNqc6fASMsq3rKNx280NI+oO5xCFkkSx"
#define EXAMPLE_SIZE 15u

/* The checkpoint of this size (or the head for 0): signed, well-formed, and of this root. */
static struct checkpoint example_checkpoint(const char *name)
{
	struct note_key key;
	struct checkpoint c;
	struct note note;
	size_t n;
	char *bytes = file_read(vectors_path("tlog-example", name), &n);

	assert_int_equal(note_key_parse(&key, EXAMPLE_KEY, strlen(EXAMPLE_KEY), NULL), RC_OK);
	assert_int_equal(note_parse(&note, bytes, n, NULL), RC_OK);
	assert_int_equal(note_verify(&note, &key, NULL), RC_OK);
	assert_int_equal(checkpoint_parse(&c, note.text, note.text_n, NULL), RC_OK);
	assert_string_equal(c.origin, "example.com/log/testdata");
	/* Every byte of the note, and every shorter one: not accepted. */
	for (size_t i = 0; i < n; i++) {
		struct checkpoint ignored;
		bytes[i] ^= 1;
		assert_false(note_parse(&note, bytes, n, NULL) == RC_OK &&
			     note_verify(&note, &key, NULL) == RC_OK &&
			     checkpoint_parse(&ignored, note.text, note.text_n, NULL) == RC_OK);
		bytes[i] ^= 1;
		assert_false(note_parse(&note, bytes, i, NULL) == RC_OK &&
			     note_verify(&note, &key, NULL) == RC_OK);
	}
	free(bytes);
	return c;
}

static void example_log(void **state)
{
	struct merkle_edge edge = { 0 };
	struct merkle_hash leaves[EXAMPLE_SIZE];
	char path[TILE_PATH_MAX], name[32];
	size_t bundle_n, tile_n, n;
	const uint8_t *entry;

	if (!vectors_present("tlog-example"))
		skip();
	for (unsigned size = 0; size <= EXAMPLE_SIZE; size++) {
		snprintf(name, sizeof name, "checkpoint.%u", size);
		if (size == 0) {
			/* Tessera's first checkpoint is of the empty tree. */
			struct checkpoint c = example_checkpoint(name);
			struct merkle_hash empty = merkle_empty();
			assert_int_equal(c.size, 0);
			assert_true(merkle_equal(&c.root, &empty));
			continue;
		}
		char *bundle =
			file_read(vectors_path("tlog-example", tile_path(path, TILE_LEVEL_ENTRIES, 0, size)),
				&bundle_n);
		char *tile = file_read(vectors_path("tlog-example", tile_path(path, 0, 0, size)), &tile_n);
		struct rd r = rd_over(bundle, bundle_n);
		unsigned i = 0;
		assert_int_equal(tile_n, 32 * tile_partial(0, size));
		for (; bundle_next(&r, &entry, &n); i++) {
			assert_true(i < size);
			leaves[i] = merkle_leaf(entry, n);
			assert_memory_equal(leaves[i].b, tile + 32 * i, 32);
		}
		assert_false(r.bad);
		assert_int_equal(i, size);
		free(bundle);
		free(tile);
		merkle_edge_add(&edge, &leaves[size - 1]);
		struct merkle_hash root = merkle_edge_root(&edge);
		struct checkpoint c = example_checkpoint(name);
		assert_int_equal(c.size, size);
		assert_true(merkle_equal(&c.root, &root));
	}
	struct checkpoint head = example_checkpoint("checkpoint");
	struct merkle_hash root = merkle_edge_root(&edge);
	assert_int_equal(head.size, EXAMPLE_SIZE);
	assert_true(merkle_equal(&head.root, &root));
}

int main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(proofs), cmocka_unit_test(example_log) };
	return cmocka_run_group_tests(tests, NULL, NULL);
}
