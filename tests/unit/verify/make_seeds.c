/*
 * make_seeds FUZZ: are the seeds below that directory of the tree those that the code makes now, and does
 * verification accept them? make_seeds --update FUZZ: writes them. Run again with --update when the form of
 * entries, of the report in a bundle, or a label that is hashed changes.
 */
#include "seeds.h"

#include "../ledger/ledger_fixture.h"

#include "base/bytes.h"
#include "verify/randomness.h"
#include "verify/tar.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

static struct memory seeds;
static const char *folder;
static struct verify_report report;

static int update(void)
{
	for (size_t i = 0; i < seeds.n; i++) {
		char path[4096];
		size_t n;
		const uint8_t *bytes = memory_get(&seeds, seeds.file[i].path, &n);

		snprintf(path, sizeof path, "%s/%s", folder, seeds.file[i].path);
		FILE *f = fopen(path, "we");
		if (!f || fwrite(bytes, 1, n, f) != n || fclose(f) != 0) {
			fprintf(stderr, "make_seeds: write '%s': %s\n", path, strerror(errno));
			return 1;
		}
	}
	return 0;
}

static void seeds_are_in_the_tree(void **state)
{
	static uint8_t bytes[1 << 20];
	size_t stale = 0;

	for (size_t i = 0; i < seeds.n; i++) {
		char path[4096];
		size_t n, there = 0;
		const uint8_t *made = memory_get(&seeds, seeds.file[i].path, &n);

		snprintf(path, sizeof path, "%s/%s", folder, seeds.file[i].path);
		FILE *f = fopen(path, "re");
		if (f) {
			there = fread(bytes, 1, sizeof bytes, f);
			fclose(f);
		}
		if (there != n || memcmp(bytes, made, n) != 0) {
			print_message("%s is not what the code makes\n", path);
			stale++;
		}
	}
	if (stale > 0)
		fail_msg("%zu stale seeds: run make_seeds --update %s", stale, folder);
}

/* ---- what verification says of them ---- */

static const uint8_t *seed(const char *path, size_t *ret_n)
{
	const uint8_t *bytes = memory_get(&seeds, path, ret_n);

	if (!bytes)
		fail_msg("no seed '%s'", path);
	return bytes;
}

static void verify_good(struct memory *m, const char *name)
{
	static const struct policy nobody = { 0 };
	struct verify_source source = memory_source(m);
	const struct verify_options o = { .vkey = SEED_VKEY, .policy = &nobody };
	struct err e = { 0 };

	if (verify_ledger(&source, &o, &report, &e) != RC_OK || !report.good || !report.quorum)
		fail_msg("%s: %s", name, e.text);
}

static void is_size(const char *path, uint64_t size)
{
	size_t n;
	const uint8_t *bytes = seed(path, &n);
	struct memory m = memory_unpack(bytes, n);

	verify_good(&m, path);
	assert_int_equal(report.size, size);
	memory_done(&m);
}

static void small_ledgers(void)
{
	static const uint64_t size[] = SEED_SIZES;
	char text[LEDGER_ENTRY_MAX];
	struct merkle_edge edge = { 0 };

	is_size("merkle/seeds/fuzz_verify/three", size[0]);
	is_size("merkle/seeds/fuzz_verify/good", size[COUNT_OF(size) - 1]);
	/* Their entries are those by which the fuzzer knows a root. */
	for (uint64_t i = 0; i < report.size; i++) {
		struct merkle_hash leaf = merkle_leaf(text, fixture_entry(text, i, SEED_ENTRY_EXTRA));
		merkle_edge_add(&edge, &leaf);
	}
	struct merkle_hash root = merkle_edge_root(&edge);
	assert_memory_equal(root.b, report.root, sizeof report.root);
}

static void single_entries(void)
{
	static const char *const paths[] = { "merkle/seeds/fuzz_entry/line0",
		"merkle/seeds/fuzz_entry/line1" };

	for (size_t i = 0; i < COUNT_OF(paths); i++) {
		struct ledger_entry entry;
		size_t n;
		const uint8_t *bytes = seed(paths[i], &n);
		assert_int_equal(ledger_entry_parse(&entry, (const char *)bytes, n, NULL), RC_OK);
	}
}

static void bundles(void)
{
	static const struct {
		const char *path;
		uint64_t size, first, end, unseen;
	} rows[] = {
		{ "verify/seeds/fuzz_evidence/whole", 305, 0, 305, 0 },
		{ "verify/seeds/fuzz_evidence/end", 305, 299, 303, 256 },
		{ "verify/seeds/fuzz_evidence/few", 300, 10, 13, 44 },
		{ "verify/seeds/fuzz_evidence/empty", 300, 0, 0, 44 },
		{ "verify/seeds/fuzz_evidence/archived", 305, 0, 0, 256 },
	};

	for (size_t i = 0; i < COUNT_OF(rows); i++) {
		struct memory m = { 0 };
		struct tar t;
		size_t n;
		const uint8_t *bytes = seed(rows[i].path, &n);
		assert_int_equal(tar_parse(&t, bytes, n, NULL), RC_OK);
		for (size_t f = 0; f < t.n; f++)
			memory_put(&m, t.file[f].name, t.file[f].bytes, t.file[f].n);
		verify_good(&m, rows[i].path);
		assert_int_equal(report.size, rows[i].size);
		assert_int_equal(report.published, SEED_PUBLISHED);
		assert_int_equal(report.range.first, rows[i].first);
		assert_int_equal(report.range.end, rows[i].end);
		assert_int_equal(report.entries_unseen, rows[i].unseen);
		memory_done(&m);
		tar_done(&t);
	}
}

static enum rc read_vkey(void *context, const char *path, uint8_t **ret_bytes, size_t *ret_n)
{
	*ret_bytes = strcmp(path, LEDGER_PATH_VKEY) == 0 ? (uint8_t *)strdup(SEED_VKEY "\n") : NULL;
	*ret_n = *ret_bytes ? strlen(SEED_VKEY "\n") : 0;
	return *ret_bytes ? RC_OK : RC_NOT_FOUND;
}

static void no_pause(void *context)
{
}

/* As the fuzzer gives it: the state is taken, and there is no log that continues it. */
static void since(void)
{
	const struct verify_source source = { .read = read_vkey, .pause = no_pause };
	static char text[VERIFY_SINCE_MAX];
	char hex[2 * SHA256_SIZE + 1];
	uint8_t hash[SHA256_SIZE];
	size_t n;
	const uint8_t *bytes = seed("verify/seeds/fuzz_since/of-300-entries", &n);

	assert_true(n < sizeof text - 80);
	memcpy(text, bytes, n);
	sha256(hash, bytes, n);
	n += (size_t)snprintf(text + n, 80, "sha256 %s\n", hex_from_bytes(hex, hash, sizeof hash));
	const struct verify_options o = { .vkey = SEED_VKEY, .since = text, .since_n = n };
	assert_int_not_equal(verify_ledger(&source, &o, &report, NULL), RC_OK);
	assert_int_equal(report.since, SEED_PUBLISHED);
}

static struct randomness_report randomness_of(const char *path)
{
	struct randomness_report r;
	struct randomness *checker = randomness_new(&r);
	size_t n;
	const char *at = (const char *)seed(path, &n), *end = at + n;

	assert_non_null(checker);
	for (uint64_t index = 0; at < end; index++) {
		struct ledger_entry entry;
		const char *line_end = memchr(at, '\n', (size_t)(end - at));
		assert_non_null(line_end);
		assert_int_equal(ledger_entry_parse(&entry, at, (size_t)(line_end - at), NULL), RC_OK);
		randomness_entry(checker, &entry, index);
		at = line_end + 1;
	}
	randomness_end(checker);
	randomness_free(checker);
	return r;
}

static void randomness(void)
{
	static const struct {
		const char *path;
		uint64_t batches, opened, named, failed, proofs, disclosed;
	} rows[] = {
		{ "verify/seeds/fuzz_randomness/whole", 1, 1, 2, 0, 2, 2 },
		{ "verify/seeds/fuzz_randomness/odd", 2, 5, 1, 0, 1, 0 },
		{ "verify/seeds/fuzz_randomness/failed", 1, 1, 1, 1, 1, 4 },
	};

	for (size_t i = 0; i < COUNT_OF(rows); i++) {
		struct randomness_report r = randomness_of(rows[i].path);
		if (r.failures > 0)
			fail_msg("%s: %s", rows[i].path, r.finding);
		assert_int_equal(r.leaves.batches, rows[i].batches);
		assert_int_equal(r.leaves.opened, rows[i].opened);
		assert_int_equal(r.leaves.named, rows[i].named);
		assert_int_equal(r.leaves.failed, rows[i].failed);
		assert_int_equal(r.proofs_checked, rows[i].proofs);
		assert_int_equal(r.values_disclosed, rows[i].disclosed);
	}
	struct randomness_report r = randomness_of("verify/seeds/fuzz_randomness/wrong-half");
	assert_non_null(strstr(r.finding, "is not derived from the shares"));
}

static void seeds_reach_the_good_path(void **state)
{
	struct note_key key = fixture_key();
	char vkey[NOTE_VKEY_MAX];

	assert_string_equal(note_key_text(vkey, &key), SEED_VKEY);
	small_ledgers();
	single_entries();
	bundles();
	since();
	randomness();
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(seeds_reach_the_good_path),
		cmocka_unit_test(seeds_are_in_the_tree),
	};
	bool updates = argc == 3 && strcmp(argv[1], "--update") == 0;

	if (argc != 2 && !updates) {
		fprintf(stderr, "usage: make_seeds [--update] FUZZ\n");
		return 2;
	}
	folder = argv[argc - 1];
	seeds = seeds_make();
	int failed = updates ? update() : cmocka_run_group_tests(tests, NULL, NULL);
	memory_done(&seeds);
	return failed;
}
