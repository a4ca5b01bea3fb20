/*
 * The foreign vectors as requests: tessera's example log from its first checkpoint to its last, and each of
 * transparency-dev/merkle's consistency proofs as what a log might send to a witness that has cosigned size1.
 */
#include "merkle_fixture.h"
#include "witness_fixture.h"

#include <dirent.h>
#include <jansson.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#define EXAMPLE_KEY  "example.com/log/testdata+33d7b496+AeHTu4Q3hEIMHNqc6fASMsq3rKNx280NI+oO5xCFkkSx"
#define EXAMPLE_SIZE 15u
#define NOW	     1000000u

static struct fixture f;
static char body[WITNESS_BODY_MAX + 4096];

static char *example_note(unsigned size, size_t *ret_n)
{
	char name[32];

	snprintf(name, sizeof name, "checkpoint.%u", size);
	return file_read(vectors_path("tlog-example", name), ret_n);
}

static enum witness_status example_ask(const struct merkle_hash *leaf, unsigned old, unsigned size)
{
	struct merkle_leaves l = { leaf, size };
	struct merkle_proof p = { 0 };
	struct witness_answer a;
	size_t note_n;
	char *note = example_note(size, &note_n);

	if (old > 0 && old <= size)
		assert_int_equal(merkle_prove_consistency(merkle_leaves_subtree, &l, old, size, &p), RC_OK);
	size_t n = witness_request_text(body, sizeof body, old, &p, note, note_n);
	witness_add_checkpoint(&f.witness, body, n, NOW + size, &a);
	if (a.status == WITNESS_COSIGNED) {
		struct witness_reply r;
		witness_reply_read(&r, &f.witness.key, note, note_n, old, 200, a.body, a.body_n, NULL);
		assert_int_equal(r.outcome, WITNESS_OUTCOME_GOOD);
	}
	free(note);
	return a.status;
}

static void example_log(void **state)
{
	struct merkle_hash leaf[EXAMPLE_SIZE];
	struct note_key key;
	const uint8_t *entry;
	size_t bundle_n, n;

	if (!vectors_present("tlog-example"))
		skip();
	fixture_init(&f);
	assert_int_equal(note_key_parse(&key, EXAMPLE_KEY, strlen(EXAMPLE_KEY), NULL), RC_OK);
	f.witness.log = &key;
	f.witness.logs_n = 1;
	char *bundle = file_read(vectors_path("tlog-example", "tile/entries/000.p/15"), &bundle_n);
	struct rd r = rd_over(bundle, bundle_n);
	for (unsigned i = 0; bundle_next(&r, &entry, &n); i++)
		leaf[i] = merkle_leaf(entry, n);
	free(bundle);
	/* one by one, then from everywhere to everywhere */
	for (unsigned size = 0; size <= EXAMPLE_SIZE; size++)
		assert_int_equal(example_ask(leaf, size ? size - 1 : 0, size), WITNESS_COSIGNED);
	for (unsigned from = 0; from <= EXAMPLE_SIZE; from++)
		for (unsigned to = 0; to <= EXAMPLE_SIZE; to++) {
			f.kept_n = 0;
			assert_int_equal(example_ask(leaf, 0, from), WITNESS_COSIGNED);
			assert_int_equal(example_ask(leaf, from, to),
				to < from ? WITNESS_MALFORMED : WITNESS_COSIGNED);
			if (from < to) {
				assert_int_equal(example_ask(leaf, from, from), WITNESS_CONFLICT);
				assert_int_equal(f.kept[0].head.size, to);
			}
		}
	/* Without the key nobody speaks for the log. */
	f.witness.logs_n = 0;
	assert_int_equal(example_ask(leaf, EXAMPLE_SIZE, EXAMPLE_SIZE), WITNESS_UNKNOWN_LOG);
}

static struct {
	unsigned run, cosigned, malformed, inconsistent;
} count;

/* A root as it stands in a vector; those that are mere names are known by their SHA-256. */
static struct merkle_hash root_of(json_t *o, const char *key)
{
	const char *text = json_string_value(json_object_get(o, key));
	struct merkle_hash h;
	uint8_t bytes[256];
	size_t n = 0;

	assert_true(text && base64_to_bytes(bytes, sizeof bytes, &n, text, strlen(text)));
	if (n == sizeof h.b)
		memcpy(h.b, bytes, n);
	else
		sha256(h.b, bytes, n);
	return h;
}

static uint64_t number(json_t *o, const char *key)
{
	double d = json_real_value(json_object_get(o, key));

	return d >= 0x1p63 ? UINT64_MAX : (uint64_t)d;
}

static void vector_run(const char *path)
{
	json_error_t error;
	json_t *o = json_load_file(path, JSON_DECODE_INT_AS_REAL, &error);
	struct witness_answer a;
	char note[2048];

	if (!o)
		fail_msg("%s: %s", path, error.text);
	uint64_t old = number(o, "size1"), size = number(o, "size2");
	struct merkle_hash old_root = root_of(o, "root1"), root = root_of(o, "root2");
	json_t *proof = json_object_get(o, "proof");
	bool want_error = json_is_true(json_object_get(o, "wantErr"));

	fixture_init(&f);
	if (old > 0)
		fixture_keep(&f, FIXTURE_ORIGIN, old, &old_root, NOW);
	/* Hashes are sent as they stand in the vector, whatever their length. */
	size_t n = (size_t)snprintf(body, sizeof body, "old %llu\n", (unsigned long long)old);
	for (size_t i = 0; i < json_array_size(proof); i++)
		n += (size_t)snprintf(
			body + n, sizeof body - n, "%s\n", json_string_value(json_array_get(proof, i)));
	size_t note_n = fixture_note(&f, note, sizeof note, 0, NULL, size, &root);
	body[n++] = '\n';
	memcpy(body + n, note, note_n);
	witness_add_checkpoint(&f.witness, body, n + note_n, NOW, &a);
	/*
	 * From nothing to something there is no proof, so a witness takes the first tree as it is; a checker
	 * of proofs refuses to say anything about that. That is the only place where the two part.
	 */
	bool first = old == 0 && json_array_size(proof) == 0 && size > 0;
	if (!first && (a.status != WITNESS_COSIGNED) != want_error)
		fail_msg("%s (%s): %d, the vector wants %s", path,
			json_string_value(json_object_get(o, "desc")), (int)a.status,
			want_error ? "a refusal" : "good");
	assert_true(!first || a.status == WITNESS_COSIGNED);
	count.run++;
	count.cosigned += a.status == WITNESS_COSIGNED;
	count.malformed += a.status == WITNESS_MALFORMED;
	count.inconsistent += a.status == WITNESS_INCONSISTENT;
	assert_int_equal(f.puts, a.status == WITNESS_COSIGNED);
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

static void consistency(void **state)
{
	if (!vectors_present("merkle"))
		skip();
	folder_run(vectors_path("merkle", "consistency"));
	printf("%u proofs: %u cosigned, %u malformed, %u inconsistent\n", count.run, count.cosigned,
		count.malformed, count.inconsistent);
	assert_true(count.run > 90 && count.cosigned > 0 && count.malformed > 0 && count.inconsistent > 0);
	assert_int_equal(count.cosigned + count.malformed + count.inconsistent, count.run);
}

int main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(example_log), cmocka_unit_test(consistency) };
	return cmocka_run_group_tests(tests, NULL, NULL);
}
