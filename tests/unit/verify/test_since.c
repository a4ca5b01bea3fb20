/*
 * Verifying from a kept head on: what was kept of the ledger of 500 entries, then the ledger as it is. What
 * is wrong behind the head is found as ever; what is before is not read, and only that may be missed; the
 * file that was kept is taken whole or not at all.
 */
#include "verify_fixture.h"

#include "base/bytes.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#define KEPT 500u

struct kept {
	uint8_t bytes[VERIFY_SINCE_MAX];
	size_t n;
};

static struct kept kept, again;
static struct verify_report report;
static struct err why;
static size_t bundles_read; /* of entries */

static void keep(void *context, const void *bytes, size_t n)
{
	struct kept *k = context;

	assert_true(n <= sizeof k->bytes);
	memcpy(k->bytes, bytes, n);
	k->n = n;
}

static enum rc counted_read(void *context, const char *path, uint8_t **ret_bytes, size_t *ret_n)
{
	struct verify_source source = memory_source(context);

	bundles_read += strncmp(path, "tile/entries/", 13) == 0;
	return source.read(source.context, path, ret_bytes, ret_n);
}

static enum rc verify_with(struct memory *m, const void *since, size_t since_n, struct kept *ret_kept)
{
	struct verify_source source = memory_source(m);
	struct verify_options o = { .sealed_starts = true,
		.since = since,
		.since_n = since_n,
		.keep = ret_kept ? keep : NULL,
		.program = "0.0.test",
		.context = ret_kept };

	source.read = counted_read;
	bundles_read = 0;
	why = (struct err){ 0 };
	enum rc rc = verify_ledger(&source, &o, &report, &why);
	assert_true((rc == RC_OK) == report.good);
	return rc;
}

static enum rc verify_since(struct memory *m)
{
	return verify_with(m, kept.bytes, kept.n, NULL);
}

static int make(void **state)
{
	if (ledger_make(state) != 0)
		return -1;
	return verify_with(&before, NULL, 0, &kept) == RC_OK && kept.n > 0 ? 0 : -1;
}

/* The digest anew, as whoever edits the file would. */
static void digest_again(struct kept *k)
{
	char hex[2 * SHA256_SIZE + 1];
	uint8_t hash[SHA256_SIZE];
	size_t at = k->n - 2 * SHA256_SIZE - 1;

	sha256(hash, k->bytes, at - strlen("sha256 "));
	memcpy(k->bytes + at, hex_from_bytes(hex, hash, sizeof hash), 2 * SHA256_SIZE);
}

static void what_came_since_is_read(void **state)
{
	if (verify_since(&good) != RC_OK)
		fail_msg("%s", why.text);
	assert_int_equal(report.since, KEPT);
	assert_int_equal(report.size, PUBLISHED + JOURNALED);
	assert_int_equal(report.made[VERIFY_CHECK_ENTRIES], PUBLISHED + JOURNALED - KEPT);
	assert_int_equal(report.entries, PUBLISHED + JOURNALED - KEPT);
	assert_int_equal(report.made[VERIFY_CHECK_KEPT], 1);
	assert_int_equal(report.made[VERIFY_CHECK_LISTED], 0);
	assert_true(report.made[VERIFY_CHECK_SEALS] > 0);
	assert_int_equal(bundles_read, 2); /* the one that the head lies in, and the last */
	assert_string_equal(report.since_version, "0.0.test");
	/* The same again, and nothing came. */
	assert_int_equal(verify_since(&before), RC_OK);
	assert_int_equal(report.size, KEPT);
	assert_int_equal(report.entries, 0);
	assert_int_equal(bundles_read, 0);
}

/* Where a walk stands does not depend on where it began. */
static void walks_meet(void **state)
{
	static struct kept whole;

	assert_int_equal(verify_with(&good, NULL, 0, &whole), RC_OK);
	assert_int_equal(verify_with(&good, kept.bytes, kept.n, &again), RC_OK);
	assert_int_equal(whole.n, again.n);
	assert_memory_equal(whole.bytes, again.bytes, whole.n);
	assert_int_equal(verify_with(&good, again.bytes, again.n, NULL), RC_OK);
	assert_int_equal(report.since, PUBLISHED);
	assert_int_equal(report.entries, JOURNALED);
}

/* May a change of this file be missed, because it is of what was verified earlier and not read again? */
static bool is_before(const char *path)
{
	uint32_t level, width;
	uint64_t n;

	if (strncmp(path, "seal/", 5) == 0)
		return true; /* an ended epoch, or records before: told apart below */
	if (!tile_path_parse(path, &level, &n, &width))
		return false;
	if (width == TILE_WIDTH)
		return n < tile_full(level, KEPT);
	return n < tile_full(level, PUBLISHED) || width != tile_partial(level, PUBLISHED); /* an older copy */
}

/* Whatever is found without the kept head is found with it, but for what is before; and nothing else. */
static void what_is_wrong_is_found(void **state)
{
	size_t found_both = 0, missed = 0, seals_found = 0;

	for (size_t f = 0; f < good.n; f++) {
		const char *path = good.file[f].path;
		size_t n;
		const uint8_t *there = memory_get(&good, path, &n);
		for (size_t at = f % 7; at < n; at += 1 + n / 40) {
			struct memory m;
			uint8_t *bytes = malloc(n);
			assert_non_null(bytes);
			memcpy(bytes, there, n);
			bytes[at] ^= (uint8_t)(1u << at % 8);
			memory_copy(&m, &good);
			memory_put(&m, path, bytes, n);
			free(bytes);
			enum rc whole = verify_with(&m, NULL, 0, NULL);
			enum rc since = verify_since(&m);
			if (whole == RC_OK && since != RC_OK)
				fail_msg("%s, octet %zu: good, but not since: %s", path, at, why.text);
			if (whole != RC_OK && since == RC_OK && !is_before(path))
				fail_msg("%s, octet %zu: missed", path, at);
			found_both += whole != RC_OK && since != RC_OK;
			missed += whole != RC_OK && since == RC_OK;
			seals_found += whole != RC_OK && since != RC_OK && strncmp(path, "seal/", 5) == 0;
			memory_done(&m);
		}
	}
	printf("%zu found, %zu of what is before not looked at\n", found_both, missed);
	assert_true(found_both > 200 && missed > 50 && seals_found > 20);
}

/* In the bundle that the head lies in the entries before it are held to what they were. */
static void the_begun_bundle_is_held(void **state)
{
	for (uint64_t i = KEPT / TILE_WIDTH * TILE_WIDTH; i < 2 * TILE_WIDTH; i += 7) {
		struct memory m;
		size_t n;
		const uint8_t *there = memory_get(&good, "tile/entries/001", &n);
		uint8_t *bytes = malloc(n);
		assert_non_null(bytes);
		memcpy(bytes, there, n);
		bytes[entry_at[i] + 12] ^= 1;
		memory_copy(&m, &good);
		memory_put(&m, "tile/entries/001", bytes, n);
		free(bytes);
		assert_int_equal(verify_since(&m), RC_AUTH);
		assert_true(report.at_entry);
		assert_int_equal(report.entry, i);
		memory_done(&m);
	}
}

/* What is before may be gone altogether: that much is not read. */
static void what_is_before_may_be_gone(void **state)
{
	struct memory m;

	memory_copy(&m, &good);
	memory_remove(&m, "tile/entries/000");
	memory_remove(&m, "tile/0/000");
	assert_int_equal(verify_since(&m), RC_OK);
	memory_done(&m);
}

static void a_ledger_that_was_cut_back(void **state)
{
	static struct kept later;

	assert_int_equal(verify_with(&good, NULL, 0, &later), RC_OK);
	assert_int_equal(verify_with(&before, later.bytes, later.n, NULL), RC_AUTH);
	assert_int_equal(report.found, VERIFY_HEAD);
}

/* Every beginning of the file, and every octet of it that is another. */
static void the_file_is_whole_or_refused(void **state)
{
	for (size_t n = 0; n < kept.n; n++) {
		uint8_t *cut = malloc(n + 1); /* of just this size, for the sanitizer */
		assert_non_null(cut);
		memcpy(cut, kept.bytes, n);
		enum rc rc = verify_with(&good, cut, n, NULL);
		if (rc != RC_MALFORMED && rc != RC_UNSUPPORTED)
			fail_msg("%zu octets: %d", n, rc);
		free(cut);
	}
	for (size_t at = 0; at < kept.n; at += 1 + kept.n / 2000) {
		memcpy(again.bytes, kept.bytes, again.n = kept.n);
		again.bytes[at] ^= (uint8_t)(1u << at % 8);
		enum rc rc = verify_with(&good, again.bytes, again.n, NULL);
		if (rc != RC_MALFORMED && rc != RC_UNSUPPORTED)
			fail_msg("octet %zu: %d", at, rc);
	}
}

/* Also when its digest is made anew: the tree is that of the signed head, or nothing is said. */
static void the_tree_is_that_of_the_head(void **state)
{
	const char *tile = memmem(kept.bytes, kept.n, "\ntile 0 ", 8);
	size_t at = (size_t)((const uint8_t *)tile - kept.bytes) + 8;

	for (size_t i = 0; i < 64 * (KEPT % TILE_WIDTH); i += 61) {
		memcpy(again.bytes, kept.bytes, again.n = kept.n);
		again.bytes[at + i] = again.bytes[at + i] == '0' ? '1' : '0';
		digest_again(&again);
		assert_int_equal(verify_with(&good, again.bytes, again.n, NULL), RC_MALFORMED);
	}
	memcpy(again.bytes, kept.bytes, again.n = kept.n);
	digest_again(&again);
	assert_memory_equal(again.bytes, kept.bytes, kept.n);
	/* and lines that are missing */
	char *line = memmem(again.bytes, again.n, "\ncounters ", 10);
	char *end = memchr(line + 1, '\n', 200);
	size_t gone = (size_t)(end - line);
	memmove(line, end, (size_t)((char *)again.bytes + again.n - end));
	again.n -= gone;
	digest_again(&again);
	assert_int_equal(verify_with(&good, again.bytes, again.n, NULL), RC_MALFORMED);
}

static void a_file_of_another_version(void **state)
{
	memcpy(again.bytes, kept.bytes, again.n = kept.n);
	char *form = memmem(again.bytes, again.n, "verified/1\n", 11);
	form[9] = '2';
	digest_again(&again);
	assert_int_equal(verify_with(&good, again.bytes, again.n, NULL), RC_UNSUPPORTED);
	assert_non_null(strstr(why.text, "another version"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_came_since_is_read),
		cmocka_unit_test(walks_meet),
		cmocka_unit_test(what_is_wrong_is_found),
		cmocka_unit_test(the_begun_bundle_is_held),
		cmocka_unit_test(what_is_before_may_be_gone),
		cmocka_unit_test(a_ledger_that_was_cut_back),
		cmocka_unit_test(the_file_is_whole_or_refused),
		cmocka_unit_test(the_tree_is_that_of_the_head),
		cmocka_unit_test(a_file_of_another_version),
	};

	return cmocka_run_group_tests(tests, make, ledger_unmake);
}
