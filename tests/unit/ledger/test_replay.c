/*
 * What a start reads: a bounded number of octets however long the boot has lasted, the counters as if all had
 * been read, and nothing that the checkpoint does not sign.
 */
#include "memory.h"
#include "ledger_fixture.h"

#include "base/bytes.h"
#include "ledger/counters.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#define BUNDLE_BYTES_MAX (TILE_WIDTH * 300u) /* of the entries below */
#define BOUND_BUNDLES                                                                                        \
	((LEDGER_COUNTERS_EVERY + LEDGER_COUNTERS_BEHIND + 2 * LEDGER_BATCH_MAX) / TILE_WIDTH + 2)

static const char *const sources[] = { "supervisor", "keeper", "ike", "dataplane", "control", "entropy" };

/* A gateway's ledger as its process writes it, and what is true of it. */
static struct {
	struct disk disk;
	struct ledger_store store, counting;
	struct ledger_log *log;
	struct ledger_counters counters;
	uint8_t boot[LEDGER_BOOT_SIZE];
	uint64_t stated, mono;
	bool states; /* LEDGER_COUNTERS are made */
	uint64_t read_n, read_bytes, progress_n;
} world;

static enum rc counted_read(
	void *context, const char *path, uint8_t **ret_bytes, size_t *ret_n, struct err *e)
{
	enum rc rc = world.store.read(world.store.context, path, ret_bytes, ret_n, e);

	world.read_n++;
	world.read_bytes += rc == RC_OK ? *ret_n : 0;
	(void)context;
	return rc;
}

static void counted_progress(void *context, uint64_t done, uint64_t all)
{
	assert_true(done <= all);
	world.progress_n++;
	(void)context;
}

/* newer: a type that this version does not know; NULL: as it is. */
static void entry_put_as(enum ledger_type type, const char *newer, const char *source, struct ledger_body *b)
{
	struct ledger_entry entry = { .type = type, .mono_us = ++world.mono, .body = b->text };
	char text[LEDGER_ENTRY_MAX];
	uint64_t index, due;

	entry.body_n = ledger_body_done(b);
	assert_true(entry.body_n > 0);
	memcpy(entry.boot, world.boot, sizeof entry.boot);
	snprintf(entry.source, sizeof entry.source, "%s", source);
	entry.n = ledger_counters_due(&world.counters, source, 0);
	utc_text(entry.utc, 1450375200000000ull + world.mono);
	size_t n = ledger_entry_text(text, &entry);
	assert_true(n > 0 && n < 300 - 2);
	if (newer) {
		char *at = strstr(text, "\"type\":\"");
		assert_non_null(at);
		assert_int_equal(strlen(newer), strlen(ledger_type_name(type)));
		memcpy(at + strlen("\"type\":\""), newer, strlen(newer));
	}
	if (ledger_batch_n(world.log) == LEDGER_BATCH_MAX)
		assert_int_equal(ledger_commit(world.log, NULL), RC_OK);
	assert_int_equal(ledger_add(world.log, text, n, &index), RC_OK);
	assert_true(ledger_counters_follow(&world.counters, &entry, &due));
}

static void entry_put(enum ledger_type type, const char *source, struct ledger_body *b)
{
	entry_put_as(type, NULL, source, b);
}

static void statement_put(void)
{
	char text[LEDGER_COUNTERS_TEXT_MAX];
	struct ledger_body b;

	ledger_counters_text(&world.counters, text);
	ledger_body_begin(&b, LEDGER_COUNTERS);
	ledger_body_str(&b, "last", text);
	entry_put(LEDGER_COUNTERS, "ledger", &b);
	world.stated = ledger_size(world.log) + ledger_batch_n(world.log);
}

/* `n` entries, mostly of the keeper: the others say something now and then, control only at the beginning. */
static void entries_put(uint64_t n)
{
	for (uint64_t i = 0; i < n; i++) {
		const char *source = i % 100 == 7 ? sources[i / 100 % 4] : i == 3 ? "control" : "keeper";
		struct ledger_body b;
		if (world.states && ledger_size(world.log) + ledger_batch_n(world.log) - world.stated >=
					    LEDGER_COUNTERS_EVERY)
			statement_put();
		ledger_body_begin(&b, LEDGER_LEDGER_OUTAGE);
		ledger_body_u64(&b, "late", 0);
		ledger_body_u64(&b, "lost", 0);
		ledger_body_u64(&b, "refused", i);
		ledger_body_u64(&b, "unknown", 0);
		entry_put(LEDGER_LEDGER_OUTAGE, source, &b);
	}
	assert_int_equal(ledger_commit(world.log, NULL), RC_OK);
}

static void boot_begin(uint8_t boot)
{
	struct ledger_body b;

	memset(&world.counters, 0, sizeof world.counters);
	world.boot[0] = boot;
	world.stated = ledger_size(world.log);
	ledger_body_begin(&b, LEDGER_LEDGER_START);
	ledger_body_str(&b, "key", "");
	ledger_body_str(&b, "origin", "");
	ledger_body_u64(&b, "recovered", ledger_size(world.log));
	ledger_body_u64(&b, "torn_bytes", 0);
	entry_put(LEDGER_LEDGER_START, "ledger", &b);
}

static void reopen(void)
{
	struct ledger_opened opened;
	struct note_key key = fixture_key();

	ledger_close(world.log);
	world.log = NULL;
	assert_int_equal(ledger_open(&world.log, &world.counting, &key, fixture_seed, &opened, NULL), RC_OK);
}

static int setup(void **state)
{
	memset(&world, 0, sizeof world);
	world.states = true;
	world.store = world.counting = disk_store(&world.disk);
	world.counting.read = counted_read;
	world.counting.progress = counted_progress;
	reopen();
	boot_begin(1);
	return 0;
}

static int teardown(void **state)
{
	ledger_close(world.log);
	memory_done(&world.disk.files);
	return 0;
}

struct resumed {
	struct ledger_counters counters;
	uint64_t first, n;
	bool follows;
};

static void resume(
	void *context, const struct ledger_entry *entry, uint64_t index, const struct merkle_hash *leaf)
{
	struct resumed *r = context;
	uint64_t due;

	if (r->n == 0) {
		r->first = index;
		r->follows = entry->type != LEDGER_COUNTERS || ledger_counters_stated(entry, &r->counters);
	}
	r->follows &= index == r->first + r->n++ && ledger_counters_follow(&r->counters, entry, &due);
	(void)leaf;
}

/* As a start does it. */
static enum rc start(struct resumed *r)
{
	struct err e = { 0 };

	*r = (struct resumed){ 0 };
	reopen();
	world.read_n = world.read_bytes = world.progress_n = 0;
	return ledger_replay(world.log, world.boot, resume, r, &e);
}

static void assert_resumed(const struct resumed *r)
{
	char is[LEDGER_COUNTERS_TEXT_MAX], should[LEDGER_COUNTERS_TEXT_MAX];

	assert_true(r->follows);
	assert_int_equal(r->first + r->n, ledger_size(world.log));
	for (size_t i = 0; i < COUNT_OF(sources); i++)
		assert_int_equal(
			ledger_counters_due((struct ledger_counters *)(uintptr_t)&r->counters, sources[i], 0),
			ledger_counters_due(&world.counters, sources[i], 0));
	ledger_counters_text(&r->counters, is);
	ledger_counters_text(&world.counters, should);
	assert_int_equal(strlen(is), strlen(should));
}

/* However long the boot: the same bound, on what is read and on what is given. */
static void a_start_reads_no_more_than_a_bound(void **state)
{
	struct resumed r;

	for (int i = 0; i < 12; i++) {
		entries_put(15013); /* at all sorts of distances from a statement */
		if (i % 3 != 0)
			assert_int_equal(ledger_publish(world.log, NULL), RC_OK);
		assert_int_equal(start(&r), RC_OK);
		assert_resumed(&r);
		assert_true(r.n <= LEDGER_COUNTERS_EVERY + LEDGER_COUNTERS_BEHIND + 2 * LEDGER_BATCH_MAX);
		assert_true(world.read_n <= 3 * BOUND_BUNDLES);
		assert_true(world.read_bytes <=
			    2 * BOUND_BUNDLES * BUNDLE_BYTES_MAX + 3 * BOUND_BUNDLES * TILE_WIDTH * 32);
		/* and the last entries of each are known by what they say */
		assert_true(r.n >= MIN_OF(ledger_size(world.log), (uint64_t)LEDGER_COUNTERS_BEHIND));
	}
	assert_true(r.first > 8 * LEDGER_COUNTERS_EVERY);
}

/* A statement of another boot is none of ours, and the boot begins where it begins. */
static void boots_are_told_apart(void **state)
{
	struct resumed r;

	entries_put(40000);
	uint64_t size = ledger_size(world.log);
	boot_begin(2);
	for (int i = 0; i < 3; i++) {
		entries_put(i == 0 ? 1 : 5000);
		assert_int_equal(ledger_publish(world.log, NULL), RC_OK);
		assert_int_equal(start(&r), RC_OK);
		assert_resumed(&r);
		assert_int_equal(r.first, size);
	}
	entries_put(20000);
	assert_int_equal(start(&r), RC_OK);
	assert_resumed(&r);
	assert_true(r.first > size);
}

/* A Plaingate that stated nothing has written it: all of the boot is read, once, and its begin is found by
 * halving. */
static void without_a_statement_the_boot_is_read_with_progress(void **state)
{
	struct resumed r;

	entries_put(30000);
	uint64_t size = ledger_size(world.log);
	boot_begin(2);
	world.states = false;
	entries_put(60000);
	assert_int_equal(ledger_publish(world.log, NULL), RC_OK);
	assert_int_equal(start(&r), RC_OK);
	assert_resumed(&r);
	assert_int_equal(r.first, size);
	assert_true(world.progress_n >= 60000 / TILE_WIDTH / 64);
	assert_true(world.read_n <= 2 * 60000 / TILE_WIDTH + BOUND_BUNDLES + 20);
}

static void newer_put(const char *type)
{
	struct ledger_body b;

	ledger_body_begin(&b, LEDGER_LEDGER_OUTAGE);
	ledger_body_u64(&b, "late", 0);
	ledger_body_u64(&b, "lost", 0);
	ledger_body_u64(&b, "refused", 0);
	ledger_body_u64(&b, "unknown", 0);
	entry_put_as(LEDGER_LEDGER_OUTAGE, type, "keeper", &b);
	assert_int_equal(ledger_commit(world.log, NULL), RC_OK);
}

/* Who goes back to this version from a newer one has its entries in the log, in this boot and before: they
 * count, and the rest of the start is as ever. What no version writes is refused. */
static void entries_of_a_newer_version_are_counted(void **state)
{
	struct resumed r;

	entries_put(300);
	newer_put("ledger_outagf");
	assert_int_equal(start(&r), RC_OK);
	assert_resumed(&r);
	for (int i = 0; i < 600; i++)
		newer_put("ledger_outagf");
	assert_int_equal(ledger_publish(world.log, NULL), RC_OK);
	assert_int_equal(start(&r), RC_OK);
	assert_resumed(&r);
	uint64_t size = ledger_size(world.log);
	boot_begin(2);
	entries_put(30);
	assert_int_equal(start(&r), RC_OK);
	assert_resumed(&r);
	assert_int_equal(r.first, size);
	newer_put("Ledger_outage");
	assert_int_equal(start(&r), RC_MALFORMED);
}

/* What stands before the statement may be in an archive. */
static void old_bundles_may_be_gone(void **state)
{
	char path[TILE_PATH_MAX];
	struct resumed r;

	entries_put(70000);
	assert_int_equal(ledger_publish(world.log, NULL), RC_OK);
	assert_int_equal(start(&r), RC_OK);
	for (uint64_t i = 0; i < r.first / TILE_WIDTH; i++)
		memory_remove(&world.disk.files, tile_path(path, TILE_LEVEL_ENTRIES, i, TILE_WIDTH));
	assert_int_equal(start(&r), RC_OK);
	assert_resumed(&r);
	/* But not the one that it stands in, nor one behind it. */
	memory_remove(
		&world.disk.files, tile_path(path, TILE_LEVEL_ENTRIES, r.first / TILE_WIDTH, TILE_WIDTH));
	assert_int_not_equal(start(&r), RC_OK);
}

/* Bytes of the bundle of the statement that a start begins at. Returns where it says "keeper". */
static uint8_t *statement_bytes(uint64_t index, char path[TILE_PATH_MAX], size_t *ret_n, uint8_t **ret_keeper)
{
	const uint8_t *bytes = memory_get(&world.disk.files,
		tile_path(path, TILE_LEVEL_ENTRIES, index / TILE_WIDTH, TILE_WIDTH), ret_n);
	assert_non_null(bytes);
	uint8_t *copy = malloc(*ret_n);
	assert_non_null(copy);
	memcpy(copy, bytes, *ret_n);
	*ret_keeper = memmem(copy, *ret_n, "keeper 0 ", 9);
	assert_non_null(*ret_keeper);
	return copy;
}

/* Altered, cut, of another place or another log: it is not believed. */
static void a_statement_that_is_not_signed_is_not_believed(void **state)
{
	char path[TILE_PATH_MAX], other[TILE_PATH_MAX];
	struct resumed r;
	uint8_t *keeper;
	size_t n, other_n;

	entries_put(70000);
	assert_int_equal(ledger_publish(world.log, NULL), RC_OK);
	assert_int_equal(start(&r), RC_OK);
	uint8_t *bytes = statement_bytes(r.first, path, &n, &keeper);
	for (int what = 0; what < 4; what++) {
		struct memory before;
		memory_copy(&before, &world.disk.files);
		if (what == 0) { /* one digit */
			keeper[9] = keeper[9] == '9' ? '8' : (uint8_t)(keeper[9] + 1);
			memory_put(&world.disk.files, path, bytes, n);
		} else if (what == 1) { /* cut within an entry */
			memory_put(&world.disk.files, path, bytes, n - 5);
		} else if (what == 2) { /* another bundle of the same log */
			const uint8_t *there = memory_get(&world.disk.files,
				tile_path(other, TILE_LEVEL_ENTRIES, 1, TILE_WIDTH), &other_n);
			memory_put(&world.disk.files, path, there, other_n);
		} else { /* one that makes a tile of its own, as of another log */
			struct merkle_hash leaf[TILE_WIDTH];
			struct rd rd = rd_over(bytes, n);
			const uint8_t *entry;
			size_t entry_n, i = 0;
			while (bundle_next(&rd, &entry, &entry_n))
				leaf[i++] = merkle_leaf(entry, entry_n);
			memory_put(&world.disk.files, path, bytes, n);
			memory_put(&world.disk.files, tile_path(other, 0, r.first / TILE_WIDTH, TILE_WIDTH),
				leaf, sizeof leaf);
		}
		if (what == 0 || what == 3)
			assert_int_equal(start(&r), RC_AUTH);
		else
			assert_int_not_equal(start(&r), RC_OK);
		memory_done(&world.disk.files);
		world.disk.files = before;
		assert_int_equal(start(&r), RC_OK);
		assert_resumed(&r);
	}
	free(bytes);
}

/* The power is cut at each change of the disk while a statement is made: what is there then is read as if it
 * was not yet, or as it is. */
static unsigned cut_at, changes;

static enum rc power(void *context, struct disk *d, const struct disk_change *c)
{
	(void)context;
	if (changes++ < cut_at)
		return RC_OK;
	if (c->what == DISK_APPEND && changes - 1 == cut_at) { /* half of it stands */
		struct disk_change half = *c;
		half.n /= 2;
		disk_apply(&d->files, &half);
	}
	return RC_IO;
}

static void a_statement_that_was_cut_off_is_not_there(void **state)
{
	struct resumed r;
	struct memory before;

	entries_put(LEDGER_COUNTERS_EVERY - 200);
	assert_int_equal(ledger_publish(world.log, NULL), RC_OK);
	memory_copy(&before, &world.disk.files);
	const struct ledger_counters counters = world.counters;
	const uint64_t stated = world.stated;
	for (cut_at = 0;; cut_at++) {
		memory_done(&world.disk.files);
		memory_copy(&world.disk.files, &before);
		world.counters = counters;
		world.stated = stated;
		reopen();
		changes = 0;
		world.disk.before = power;
		for (int batch = 0; batch < 12; batch++) { /* the statement is in the first */
			struct ledger_counters known = world.counters;
			for (int i = 0; i < 1000; i++) {
				struct ledger_body b;
				if (i == 500 && batch == 0)
					statement_put();
				ledger_body_begin(&b, LEDGER_LEDGER_OUTAGE);
				ledger_body_u64(&b, "late", 0);
				ledger_body_u64(&b, "lost", 0);
				ledger_body_u64(&b, "refused", (uint64_t)i);
				ledger_body_u64(&b, "unknown", 0);
				entry_put(LEDGER_LEDGER_OUTAGE, "keeper", &b);
			}
			if (ledger_commit(world.log, NULL) != RC_OK) {
				world.counters = known;
				break;
			}
			if (ledger_publish(world.log, NULL) != RC_OK)
				break;
		}
		bool whole = changes <= cut_at;
		world.disk.before = NULL;
		assert_int_equal(start(&r), RC_OK);
		assert_resumed(&r);
		if (whole)
			break;
	}
	assert_true(cut_at > 12 * 5);
	assert_true(r.first > 0);
	memory_done(&before);
}

static enum rc no_tiles(void *context, struct disk *d, const struct disk_change *c)
{
	(void)context, (void)d;
	return c->what == DISK_REPLACE && strncmp(c->path, "tile/", 5) == 0 ? RC_IO : RC_OK;
}

/* No room for new files, but for more octets: the journal, and memory with it, has an end, and a start reads
 * it. */
static void a_journal_that_is_not_published_has_an_end(void **state)
{
	struct resumed r;
	struct err e = { 0 };

	entries_put(1);
	assert_int_equal(ledger_publish(world.log, NULL), RC_OK);
	world.disk.before = no_tiles;
	for (int batches = 0; e.rc == RC_OK; batches++) {
		const struct ledger_counters known = world.counters;
		struct ledger_body b;
		assert_true(batches < 1000);
		for (int i = 0; i < LEDGER_BATCH_MAX; i++) {
			ledger_body_begin(&b, LEDGER_LEDGER_OUTAGE);
			ledger_body_u64(&b, "late", 0);
			ledger_body_u64(&b, "lost", 0);
			ledger_body_u64(&b, "refused", (uint64_t)i);
			ledger_body_u64(&b, "unknown", 0);
			entry_put(LEDGER_LEDGER_OUTAGE, "keeper", &b);
		}
		if (ledger_commit(world.log, &e) != RC_OK)
			world.counters = known;
		if (batches % 100 == 0)
			assert_int_not_equal(ledger_publish(world.log, NULL), RC_OK);
	}
	assert_int_equal(e.rc, RC_LIMIT);
	assert_int_equal(start(&r), RC_OK);
	assert_resumed(&r);
	world.disk.before = NULL;
	assert_int_equal(ledger_publish(world.log, NULL), RC_OK);
	entries_put(1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(a_start_reads_no_more_than_a_bound, setup, teardown),
		cmocka_unit_test_setup_teardown(boots_are_told_apart, setup, teardown),
		cmocka_unit_test_setup_teardown(
			without_a_statement_the_boot_is_read_with_progress, setup, teardown),
		cmocka_unit_test_setup_teardown(entries_of_a_newer_version_are_counted, setup, teardown),
		cmocka_unit_test_setup_teardown(old_bundles_may_be_gone, setup, teardown),
		cmocka_unit_test_setup_teardown(
			a_statement_that_is_not_signed_is_not_believed, setup, teardown),
		cmocka_unit_test_setup_teardown(a_journal_that_is_not_published_has_an_end, setup, teardown),
		cmocka_unit_test_setup_teardown(a_statement_that_was_cut_off_is_not_there, setup, teardown),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
