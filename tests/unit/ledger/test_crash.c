/*
 * The power is cut: before, within and behind every change that the ledger makes on the disk. After each cut
 * the ledger must open, hold exactly the entries that were acknowledged, or these and the whole batch that
 * was on its way, and go on.
 *
 * What a cut may leave (the promise of ledger/log.h's struct ledger_store): a replaced file is old or new; of
 * an append any part of the bytes stands, or its length stands and sectors of it were never written; partial
 * tiles whose removal nobody waited for are there again. Then the same with a disk that fails and fills up,
 * at random from fixed seeds.
 */
#include "ledger_fixture.h"
#include "memory.h"

#include "base/bytes.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#define SECTOR	    512
#define ENTRIES_MAX 70000

/* What must be there. */
static struct {
	uint64_t acknowledged;
	struct merkle_hash *leaf; /* of the acknowledged entries */
	struct merkle_edge edge;  /* over them */
	/* The batch behind them that may stand or not, since its append was begun; and the tree with it. */
	struct merkle_hash maybe[LEDGER_BATCH_MAX];
	size_t maybe_n;
	struct merkle_edge with;
	/* The batch that is about to be appended. */
	struct merkle_hash batch[LEDGER_BATCH_MAX];
	size_t batch_n;
} world;

static struct disk disk;
static struct memory removed; /* partial tiles whose removal is not surely on the disk */
static bool replay_all = true;
static unsigned long points, went_on, torn_found;
static uint64_t chance_state;

/* xorshift64: the same cuts at every run. */
static uint64_t chance(uint64_t below)
{
	chance_state ^= chance_state << 13;
	chance_state ^= chance_state >> 7;
	chance_state ^= chance_state << 17;
	return chance_state % below;
}

static void world_reset(uint64_t seed)
{
	memory_done(&disk.files);
	memory_done(&removed);
	disk = (struct disk){ 0 };
	free(world.leaf);
	memset(&world, 0, sizeof world);
	world.leaf = malloc(ENTRIES_MAX * sizeof *world.leaf);
	assert_non_null(world.leaf);
	chance_state = seed;
}

static int end(void **state)
{
	world_reset(1);
	free(world.leaf);
	world.leaf = NULL;
	return 0;
}

/* ---- what a ledger holds ---- */

static void maybe_is_acknowledged(void)
{
	for (size_t i = 0; i < world.maybe_n; i++) {
		world.leaf[world.acknowledged++] = world.maybe[i];
		merkle_edge_add(&world.edge, &world.maybe[i]);
	}
	world.maybe_n = 0;
}

/* What a change means for what may stand: called before it, whether it will happen or not. */
static void change_comes(const struct disk_change *c)
{
	if (c->what != DISK_APPEND)
		return;
	world.with = world.edge;
	world.maybe_n = world.batch_n;
	for (size_t i = 0; i < world.batch_n; i++) {
		world.maybe[i] = world.batch[i];
		merkle_edge_add(&world.with, &world.batch[i]);
	}
}

struct replay {
	uint64_t next;
	bool same;
};

static void replay_check(
	void *context, const struct ledger_entry *entry, uint64_t index, const struct merkle_hash *leaf)
{
	struct replay *r = context;
	const struct merkle_hash *expected =
		index < world.acknowledged ? &world.leaf[index] : &world.maybe[index - world.acknowledged];

	r->same &= index == r->next && merkle_equal(leaf, expected);
	r->next = index + 1;
}

/* Opens what is there and compares it. The log is the caller's. */
static struct ledger_log *open_and_compare(struct disk *d)
{
	const uint8_t boot[LEDGER_BOOT_SIZE] = { 0xb0, 0x07 };
	struct ledger_store store = disk_store(d);
	struct note_key key = fixture_key();
	struct ledger_opened opened;
	struct ledger_log *l = NULL;
	struct err e = { 0 };

	if (ledger_open(&l, &store, &key, fixture_seed, &opened, &e) != RC_OK)
		fail_msg("after cut %lu: %s", points, e.text);
	torn_found += opened.torn_bytes > 0;
	uint64_t size = ledger_size(l);
	assert_int_equal(size, opened.published + opened.journaled);
	if (size != world.acknowledged && size != world.acknowledged + world.maybe_n)
		fail_msg("after cut %lu: %llu entries, acknowledged are %llu and %zu may stand", points,
			(unsigned long long)size, (unsigned long long)world.acknowledged, world.maybe_n);
	struct merkle_hash there = ledger_root(l);
	struct merkle_hash expected =
		merkle_edge_root(size == world.acknowledged ? &world.edge : &world.with);
	assert_true(merkle_equal(&there, &expected));
	if (replay_all) {
		struct replay r = { .same = true };
		assert_int_equal(ledger_replay(l, boot, replay_check, &r, NULL), RC_OK);
		assert_true(r.same);
		assert_int_equal(r.next, size);
	}
	return l;
}

/* One more entry, laid out as tiles, and the same again from the disk; then what an auditor says of it. */
static void go_on(struct ledger_log *l, struct disk *d)
{
	char text[LEDGER_ENTRY_MAX];
	uint64_t size = ledger_size(l), index;
	struct ledger_store store = disk_store(d);
	struct note_key key = fixture_key();
	struct ledger_opened opened;
	struct err e = { 0 };
	struct verify_report report;
	struct verify_source source = memory_source(&d->files);

	assert_int_equal(ledger_add(l, text, fixture_entry(text, size, 5), &index), RC_OK);
	assert_int_equal(index, size);
	assert_int_equal(ledger_commit(l, &e), RC_OK);
	assert_int_equal(ledger_publish(l, &e), RC_OK);
	struct merkle_hash root = ledger_root(l);
	ledger_close(l);
	assert_int_equal(ledger_open(&l, &store, &key, fixture_seed, &opened, &e), RC_OK);
	assert_int_equal(opened.published, size + 1);
	assert_int_equal(opened.torn_bytes, 0);
	struct merkle_hash again = ledger_root(l);
	assert_true(merkle_equal(&again, &root));
	ledger_close(l);
	if (verify_ledger(&source, NULL, &report, &e) != RC_OK)
		fail_msg("after cut %lu and one more entry: %s", points, e.text);
	assert_int_equal(report.size, size + 1);
	went_on++;
}

/* The power is cut with these files left. */
static void cut(const struct memory *left)
{
	struct disk d = { 0 };

	memory_copy(&d.files, left);
	points++;
	struct ledger_log *l = open_and_compare(&d);
	if (points % 16 == 0)
		go_on(l, &d);
	else
		ledger_close(l);
	memory_done(&d.files);
}

/* ---- every cut of one life ---- */

static void cut_with_partials_back(const struct memory *left)
{
	struct memory m;

	if (removed.n == 0)
		return;
	memory_copy(&m, left);
	for (size_t i = 0; i < removed.n; i++) {
		size_t n;
		const uint8_t *bytes = memory_get(&removed, removed.file[i].path, &n);
		if (chance(2))
			memory_put(&m, removed.file[i].path, bytes, n);
	}
	cut(&m);
	memory_done(&m);
}

static void cut_append_at(const struct memory *before, const struct disk_change *c, size_t n)
{
	struct memory m;

	memory_copy(&m, before);
	disk_apply(&m, &(struct disk_change){ DISK_APPEND, c->path, c->bytes, n });
	cut(&m);
	memory_done(&m);
}

/* The file is as long as it should be, but sectors of what was appended were never written. */
static void cut_append_holed(const struct memory *before, const struct disk_change *c)
{
	struct memory m;
	size_t old_n;
	uint8_t *bytes = malloc(c->n);
	bool holed = false;

	assert_non_null(bytes);
	memory_get(before, c->path, &old_n);
	memcpy(bytes, c->bytes, c->n);
	for (size_t at = 0; at < c->n;) {
		size_t end_of_sector = MIN_OF((old_n + at) / SECTOR * SECTOR + SECTOR - old_n, c->n);
		if (chance(2)) {
			memset(bytes + at, 0, end_of_sector - at);
			holed = true;
		}
		at = end_of_sector;
	}
	if (holed) {
		memory_copy(&m, before);
		disk_apply(&m, &(struct disk_change){ DISK_APPEND, c->path, bytes, c->n });
		cut(&m);
		memory_done(&m);
	}
	free(bytes);
}

static size_t append_step = 37;

static enum rc cut_around(void *context, struct disk *d, const struct disk_change *c)
{
	cut(&d->files);
	change_comes(c);
	cut_with_partials_back(&d->files);
	if (c->what == DISK_APPEND) {
		for (size_t n = 1; n < c->n; n += n < 32 || n + 32 > c->n ? 1 : append_step)
			cut_append_at(&d->files, c, n);
		for (int i = 0; i < 6; i++)
			cut_append_holed(&d->files, c);
	} else if (c->what == DISK_REMOVE) {
		for (size_t i = 0; i < d->files.n; i++) {
			size_t n;
			const uint8_t *bytes = memory_get(&d->files, d->files.file[i].path, &n);
			if (strncmp(d->files.file[i].path, c->path, strlen(c->path)) == 0)
				memory_put(&removed, d->files.file[i].path, bytes, n);
		}
	}
	return RC_OK;
}

static struct ledger_log *life_begin(void)
{
	struct ledger_store store = disk_store(&disk);
	struct note_key key = fixture_key();
	struct ledger_opened opened;
	struct ledger_log *l;

	assert_int_equal(ledger_open(&l, &store, &key, fixture_seed, &opened, NULL), RC_OK);
	return l;
}

static void batch_fill(struct ledger_log *l, size_t count, size_t extra)
{
	char text[LEDGER_ENTRY_MAX];
	uint64_t index;

	for (size_t i = 0; i < count; i++) {
		size_t n = fixture_entry(text, world.acknowledged + i, extra);
		assert_int_equal(ledger_add(l, text, n, &index), RC_OK);
		assert_int_equal(index, world.acknowledged + i);
		world.batch[i] = merkle_leaf(text, n);
	}
	world.batch_n = count;
}

/* Acknowledged. */
static void batch_stands(void)
{
	change_comes(&(struct disk_change){ .what = DISK_APPEND });
	maybe_is_acknowledged();
}

static void batch_add(struct ledger_log *l, size_t count, size_t extra)
{
	batch_fill(l, count, extra);
	assert_int_equal(ledger_commit(l, NULL), RC_OK);
	batch_stands();
}

static void a_cut_at_every_change(void **state)
{
	world_reset(0x706c61696e);
	points = 0;
	disk.before = cut_around;
	struct ledger_log *l = life_begin();
	for (int round = 0; world.acknowledged < 530; round++) {
		batch_add(l, 1 + chance(round % 5 == 4 ? 30 : 6), chance(40));
		if (round % 3 == 2)
			assert_int_equal(ledger_publish(l, NULL), RC_OK);
	}
	/* a batch over the edge of two tiles at once, none published before */
	batch_add(l, 700, 3);
	batch_add(l, 1, 700);
	assert_int_equal(ledger_publish(l, NULL), RC_OK);
	ledger_close(l);
	cut(&disk.files);
	printf("%lu cuts, %lu with a torn batch, after %lu the ledger went on\n", points, torn_found,
		went_on);
	assert_true(points >= 10000);
	assert_true(torn_found > 5000);
}

/* The tile of the second level fills up at entry 65,536. */
static void a_cut_at_the_second_level(void **state)
{
	world_reset(0x67617465);
	points = 0;
	replay_all = false;
	struct ledger_log *l = life_begin();
	while (world.acknowledged < 65536 - 300) {
		batch_add(l, MIN_OF((uint64_t)1000, 65536 - 300 - world.acknowledged), 0);
		assert_int_equal(ledger_publish(l, NULL), RC_OK);
	}
	disk.before = cut_around;
	append_step = 9999;
	batch_add(l, 299, 0);
	assert_int_equal(ledger_publish(l, NULL), RC_OK);
	batch_add(l, 1, 0);
	assert_int_equal(ledger_publish(l, NULL), RC_OK);
	batch_add(l, 300, 0);
	assert_int_equal(ledger_publish(l, NULL), RC_OK);
	ledger_close(l);
	cut(&disk.files);
	printf("%lu cuts around entry 65536\n", points);
	assert_true(points > 100);
	size_t n;
	assert_non_null(memory_get(&disk.files, "tile/1/000", &n));
	assert_int_equal(n, 8192);
	assert_non_null(memory_get(&disk.files, "tile/2/000.p/1", &n));
	replay_all = true;
}

/* ---- a disk that fails, fills up and loses its power, life after life ---- */

static struct {
	bool off;	     /* the power is gone: nothing happens any more */
	unsigned fail, cuts; /* one change in so many fails; … is the last */
} weather;

/* Part of a change that fails or is cut. */
static void partly(struct disk *d, const struct disk_change *c)
{
	struct disk_change part = *c;

	if (c->what == DISK_APPEND)
		part.n = chance(4) == 0 ? c->n : chance(c->n + 1);
	else if (chance(2))
		return;
	if (c->what == DISK_APPEND && weather.off && chance(2))
		cut_append_holed(&d->files, c); /* looks at it; what stays is a prefix */
	disk_apply(&d->files, &part);
}

static enum rc in_this_weather(void *context, struct disk *d, const struct disk_change *c)
{
	if (weather.off)
		return RC_IO;
	change_comes(c);
	if (weather.cuts && chance(weather.cuts) == 0) {
		weather.off = true;
		partly(d, c);
		return RC_IO;
	}
	if (weather.fail && chance(weather.fail) == 0) {
		partly(d, c);
		return RC_IO;
	}
	return RC_OK;
}

/* From one start to the loss of power. False: the disk failed at the start already, nothing was opened. */
static bool one_life(unsigned long *ret_refused)
{
	struct ledger_store store = disk_store(&disk);
	struct note_key key = fixture_key();
	struct ledger_opened opened;
	struct ledger_log *l;
	struct err e = { 0 };
	enum rc rc = ledger_open(&l, &store, &key, fixture_seed, &opened, &e);

	if (rc != RC_OK) {
		if (rc == RC_AUTH)
			fail_msg("what the ledger wrote itself does not open: %s", e.text);
		return false;
	}
	/* What stood, stands: a start decides about the batch that may be there. */
	if (ledger_size(l) == world.acknowledged + world.maybe_n)
		maybe_is_acknowledged();
	world.maybe_n = 0;
	struct merkle_hash root = ledger_root(l), expected = merkle_edge_root(&world.edge);
	assert_int_equal(ledger_size(l), world.acknowledged);
	assert_true(merkle_equal(&root, &expected));
	for (int i = 0; i < 60 && !weather.off; i++) {
		batch_fill(l, 1 + chance(20), chance(50));
		if (ledger_commit(l, NULL) == RC_OK)
			batch_stands();
		else
			++*ret_refused;
		assert_int_equal(ledger_size(l), world.acknowledged);
		if (chance(3) == 0)
			ledger_publish(l, NULL);
	}
	ledger_close(l);
	return true;
}

static void lives_in_bad_weather(void **state)
{
	unsigned long refused = 0, lives = 0, entries = 0;

	points = 0;
	for (uint64_t seed = 1; seed <= 150; seed++) {
		world_reset(seed * 0x9e3779b97f4a7c15ull | 1);
		disk.before = in_this_weather;
		weather.fail = seed % 3 == 0 ? 0 : 3 + (unsigned)chance(20);
		for (int life = 0; life < 8; life++) {
			weather.off = false;
			weather.cuts = 4 + (unsigned)chance(60);
			lives += one_life(&refused);
			weather.off = true;
			cut(&disk.files);
		}
		disk.before = NULL;
		struct ledger_log *l = open_and_compare(&disk);
		entries += ledger_size(l);
		go_on(l, &disk);
	}
	printf("%lu lives, %lu entries, %lu batches refused\n", lives, entries, refused);
	assert_true(refused > 100);
	assert_true(entries > 10000);
}

/* ---- a full disk ---- */

static size_t room_left;

static enum rc full(void *context, struct disk *d, const struct disk_change *c)
{
	if (c->what == DISK_TRUNCATE || c->what == DISK_REMOVE || c->n <= room_left)
		return RC_OK;
	if (c->what == DISK_APPEND)
		disk_apply(&d->files, &(struct disk_change){ DISK_APPEND, c->path, c->bytes, room_left });
	return RC_IO;
}

/* Refused while there is no room, at every amount of it; taken again when there is; nothing of what was
 * refused stands. */
static void a_full_disk_refuses_and_recovers(void **state)
{
	world_reset(7);
	struct ledger_log *l = life_begin();
	batch_add(l, 10, 20);
	assert_int_equal(ledger_publish(l, NULL), RC_OK);
	batch_add(l, 3, 20);
	for (room_left = 0; room_left < 2000; room_left += 7) {
		char text[LEDGER_ENTRY_MAX];
		uint64_t index;
		struct err e = { 0 };
		disk.before = full;
		world.batch_n = 0;
		for (unsigned i = 0; i < 8; i++)
			assert_int_equal(
				ledger_add(l, text, fixture_entry(text, 50000 + i, 60), &index), RC_OK);
		assert_int_equal(ledger_commit(l, &e), RC_IO);
		assert_true(e.text[0]);
		assert_int_equal(ledger_size(l), world.acknowledged);
		if (room_left < 300)
			assert_int_equal(ledger_publish(l, NULL),
				ledger_published(l) == ledger_size(l) ? RC_OK : RC_IO);
		cut(&disk.files);
		disk.before = NULL;
		batch_add(l, 1, 20);
		cut(&disk.files);
	}
	assert_int_equal(ledger_publish(l, NULL), RC_OK);
	go_on(l, &disk);
}

/* ---- a disk that cannot be read, or only read ---- */

static enum rc nothing_changes(void *context, struct disk *d, const struct disk_change *c)
{
	return RC_IO;
}

static void assert_as_it_was(const struct memory *was)
{
	size_t n, then_n;

	assert_int_equal(disk.files.n, was->n);
	for (size_t i = 0; i < was->n; i++) {
		const uint8_t *then = memory_get(was, was->file[i].path, &then_n);
		const uint8_t *now = memory_get(&disk.files, was->file[i].path, &n);
		assert_int_equal(n, then_n);
		assert_non_null(now);
		if (n > 0)
			assert_memory_equal(now, then, n);
	}
}

static enum rc start_and_replay(uint64_t *ret_replayed)
{
	const uint8_t boot[LEDGER_BOOT_SIZE] = { 0xb0, 0x07 };
	struct ledger_store store = disk_store(&disk);
	struct note_key key = fixture_key();
	struct replay r = { .same = true };
	struct ledger_opened opened;
	struct ledger_log *l = NULL;
	enum rc rc = ledger_open(&l, &store, &key, fixture_seed, &opened, NULL);

	*ret_replayed = 0;
	if (rc != RC_OK)
		return rc;
	assert_int_equal(ledger_size(l), world.acknowledged);
	rc = ledger_replay(l, boot, replay_check, &r, NULL);
	assert_true(r.same);
	*ret_replayed = r.next;
	ledger_close(l);
	return rc;
}

/* Each read of a start fails once: the start fails, says so as what it is, and nothing is changed, forgotten
 * or begun anew; the next start has everything. */
static void a_disk_that_cannot_be_read(void **state)
{
	struct memory was;
	uint64_t replayed;

	world_reset(13);
	struct ledger_log *l = life_begin();
	batch_add(l, 700, 20);
	assert_int_equal(ledger_publish(l, NULL), RC_OK);
	batch_add(l, 40, 20);
	ledger_close(l);
	disk.reads = 0;
	assert_int_equal(start_and_replay(&replayed), RC_OK);
	assert_int_equal(replayed, world.acknowledged);
	unsigned long reads = disk.reads;
	assert_true(reads >= 8);
	memory_copy(&was, &disk.files);
	for (unsigned long at = 1; at <= reads; at++) {
		disk.reads = 0;
		disk.read_fails = at;
		enum rc rc = start_and_replay(&replayed);
		if (rc != RC_IO)
			fail_msg("read %lu of %lu: %d", at, reads, rc);
		disk.read_fails = 0;
		assert_as_it_was(&was);
		assert_int_equal(start_and_replay(&replayed), RC_OK);
		assert_int_equal(replayed, world.acknowledged);
	}
	memory_done(&was);
}

/* A start over a log that is whole needs to write nothing; one over a torn batch, or none, does not begin.
 * Entries are refused, and taken again when the disk is writable. */
static void a_disk_that_is_read_only(void **state)
{
	struct memory was;
	uint64_t replayed, index;
	char text[LEDGER_ENTRY_MAX];
	size_t n;

	world_reset(17);
	disk.before = nothing_changes;
	assert_int_equal(start_and_replay(&replayed), RC_IO);
	disk.before = NULL;
	struct ledger_log *l = life_begin();
	batch_add(l, 300, 20);
	assert_int_equal(ledger_publish(l, NULL), RC_OK);
	batch_add(l, 10, 20);
	ledger_close(l);
	disk.before = nothing_changes;
	memory_copy(&was, &disk.files);
	assert_int_equal(start_and_replay(&replayed), RC_OK);
	assert_int_equal(replayed, world.acknowledged);
	l = life_begin();
	for (int i = 0; i < 3; i++) {
		assert_int_equal(ledger_add(l, text, fixture_entry(text, 50000, 60), &index), RC_OK);
		assert_int_equal(ledger_commit(l, NULL), RC_IO);
		assert_int_equal(ledger_publish(l, NULL), RC_IO);
		assert_int_equal(ledger_size(l), world.acknowledged);
	}
	assert_as_it_was(&was);
	disk.before = NULL;
	batch_add(l, 5, 20);
	go_on(l, &disk);
	/* torn */
	memory_done(&disk.files);
	disk.files = was;
	const uint8_t *journal = memory_get(&disk.files, LEDGER_PATH_JOURNAL, &n);
	disk_apply(&disk.files, &(struct disk_change){ DISK_APPEND, LEDGER_PATH_JOURNAL, journal, n / 20 });
	world.acknowledged = 310;
	memory_copy(&was, &disk.files);
	disk.before = nothing_changes;
	assert_int_equal(start_and_replay(&replayed), RC_IO);
	assert_as_it_was(&was);
	disk.before = NULL;
	assert_int_equal(start_and_replay(&replayed), RC_OK);
	assert_int_equal(replayed, 310);
	memory_done(&was);
}

/* ---- what is not a loss of power ---- */

static void what_was_altered_does_not_open(void **state)
{
	struct ledger_store store = disk_store(&disk);
	struct note_key key = fixture_key();
	struct ledger_opened opened;
	struct ledger_log *l;
	size_t n;

	world_reset(11);
	l = life_begin();
	batch_add(l, 20, 10);
	assert_int_equal(ledger_publish(l, NULL), RC_OK);
	for (int i = 0; i < 3; i++)
		batch_add(l, 4, 10);
	ledger_close(l);
	/* Any byte of a record that has another behind it: receipts were given for it. */
	const uint8_t *journal = memory_get(&disk.files, LEDGER_PATH_JOURNAL, &n);
	uint8_t *bytes = malloc(n);
	assert_non_null(bytes);
	memcpy(bytes, journal, n);
	size_t last = n;
	struct rd r = rd_over(bytes, n);
	struct journal_record j;
	for (const uint8_t *at = r.at; journal_next(&r, &j) == RC_OK; at = r.at)
		last = (size_t)(at - bytes);
	for (size_t at = 0; at < last; at++) {
		struct memory before;
		memory_copy(&before, &disk.files);
		bytes[at] ^= 1;
		memory_put(&disk.files, LEDGER_PATH_JOURNAL, bytes, n);
		bytes[at] ^= 1;
		assert_int_equal(ledger_open(&l, &store, &key, fixture_seed, &opened, NULL), RC_AUTH);
		/* and it is left as it is, for somebody to look at */
		const uint8_t *still = memory_get(&disk.files, LEDGER_PATH_JOURNAL, &(size_t){ 0 });
		assert_true(still[at] == (bytes[at] ^ 1));
		memory_done(&disk.files);
		disk.files = before;
	}
	free(bytes);
	assert_true(last > 1000);
	/* another key */
	uint8_t public_key[ED25519_PUBLIC_SIZE], other[ED25519_SEED_SIZE] = { 9 };
	ed25519_public(public_key, other);
	assert_int_equal(note_key_make(&key, "plaingate/ledger/test", NOTE_ED25519, public_key), RC_OK);
	assert_int_equal(ledger_open(&l, &store, &key, other, &opened, NULL), RC_AUTH);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_cut_at_every_change),
		cmocka_unit_test(a_cut_at_the_second_level),
		cmocka_unit_test(lives_in_bad_weather),
		cmocka_unit_test(a_full_disk_refuses_and_recovers),
		cmocka_unit_test(a_disk_that_cannot_be_read),
		cmocka_unit_test(a_disk_that_is_read_only),
		cmocka_unit_test(what_was_altered_does_not_open),
	};

	return cmocka_run_group_tests(tests, NULL, end);
}
