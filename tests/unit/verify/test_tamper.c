/*
 * A real ledger, made by src/ledger and its sealer in a directory, and then whatever somebody without the
 * ledger's key could do to its files. Each change must be found, with the right class and, where one can be
 * told, the right entry. What is documented as not found (verify.h) is asserted as such.
 */
#include "verify_fixture.h"

#include "base/bytes.h"
#include "ledger/seal.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

/* ---- tools of the one who tampers ---- */

static enum rc verify(struct memory *m, const char *vkey, struct verify_report *ret_report)
{
	struct verify_source source = memory_source(m);
	struct verify_options options = { .vkey = vkey };
	struct err e = { 0 };
	enum rc rc = verify_ledger(&source, &options, ret_report, &e);

	assert_true((rc == RC_OK) == ret_report->good);
	assert_true((rc == RC_AUTH) == (ret_report->found != VERIFY_NONE));
	if (rc == RC_AUTH)
		assert_true(ret_report->finding[0] && strcmp(e.text, ret_report->finding) == 0);
	return rc;
}

#define BIT(class) (1u << VERIFY_##class)
#define ANY_ENTRY  UINT64_MAX

static struct memory copy_good(void)
{
	struct memory m;

	memory_copy(&m, &good);
	return m;
}

/* Found, as one of the classes; at this entry, unless it is ANY_ENTRY. The copy is freed. */
static void must_find(struct memory *m, uint32_t classes, uint64_t entry, const char *what, size_t at)
{
	struct verify_report r;

	if (verify(m, NULL, &r) != RC_AUTH)
		fail_msg("%s, %zu: not found", what, at);
	if (!(classes & 1u << r.found))
		fail_msg("%s, %zu: found as %s: %s", what, at, verify_class_name(r.found), r.finding);
	if (entry != ANY_ENTRY && (!r.at_entry || r.entry != entry))
		fail_msg("%s, %zu: expected entry %llu: %s", what, at, (unsigned long long)entry, r.finding);
	memory_done(m);
}

static uint8_t *bytes_of(const struct memory *m, const char *path, size_t *ret_n)
{
	const uint8_t *there = memory_get(m, path, ret_n);
	uint8_t *bytes = malloc(*ret_n + 1);

	assert_non_null(there);
	assert_non_null(bytes);
	memcpy(bytes, there, *ret_n);
	return bytes;
}

static struct memory with_byte(const char *path, size_t at, uint8_t flip)
{
	struct memory m = copy_good();
	size_t n;
	uint8_t *bytes = bytes_of(&m, path, &n);

	bytes[at] ^= flip;
	memory_put(&m, path, bytes, n);
	free(bytes);
	return m;
}

static struct memory cut_to(const char *path, size_t n)
{
	struct memory m = copy_good();
	size_t whole;
	uint8_t *bytes = bytes_of(&m, path, &whole);

	assert_true(n < whole);
	memory_put(&m, path, bytes, n);
	free(bytes);
	return m;
}

static struct memory without(const char *path)
{
	struct memory m = copy_good();

	memory_remove(&m, path);
	return m;
}

static const char *bundle_path(uint64_t index)
{
	static char path[TILE_PATH_MAX];
	uint64_t bundle = index / TILE_WIDTH;

	return tile_path(path, TILE_LEVEL_ENTRIES, bundle,
		bundle < PUBLISHED / TILE_WIDTH ? TILE_WIDTH : PUBLISHED % TILE_WIDTH);
}

/* The entry that a byte of a bundle belongs to, its length counted in. */
static uint64_t entry_of(uint64_t bundle, size_t at)
{
	uint64_t i = bundle * TILE_WIDTH;

	while (i + 1 < PUBLISHED && i + 1 < (bundle + 1) * TILE_WIDTH && entry_at[i + 1] <= at)
		i++;
	return i;
}

/* The file of seals of the first or the second epoch, which has more of them. */
static const char *seals_path(int epoch)
{
	static char path[TILE_PATH_MAX];
	size_t n[2] = { 0 };
	const char *found[2] = { NULL };
	int count = 0;

	for (size_t f = 0; f < good.n; f++)
		if (strstr(good.file[f].path, ".seals") && count < 2) {
			memory_get(&good, good.file[f].path, &n[count]);
			found[count++] = good.file[f].path;
		}
	assert_int_equal(count, 2);
	snprintf(path, sizeof path, "%s", found[(n[0] < n[1]) == (epoch == 2)]);
	return path;
}

/* ---- the tests ---- */

static void as_written_it_is_good(void **state)
{
	struct verify_report r;
	char vkey[NOTE_VKEY_MAX];

	assert_int_equal(verify(&good, note_key_text(vkey, &key), &r), RC_OK);
	assert_int_equal(r.size, PUBLISHED + JOURNALED);
	assert_int_equal(r.entries, r.size);
	assert_int_equal(r.published, PUBLISHED);
	assert_int_equal(r.boots, 2);
	assert_int_equal(r.seal_epochs, 2);
	assert_int_equal(r.sealed, PUBLISHED);
	assert_true(r.gaps >= 5);
	assert_true(r.old_partials > 0);
	assert_int_equal(r.strays, 0);
	assert_true(r.vkey_given);
	assert_string_equal(r.vkey, vkey);
}

/* Every bit of the small files. */
static void every_byte_of_key_and_checkpoint(void **state)
{
	size_t n;

	memory_get(&good, LEDGER_PATH_VKEY, &n);
	for (size_t at = 0; at < n; at++) {
		struct memory m = with_byte(LEDGER_PATH_VKEY, at, (uint8_t)(1 << at % 8));
		must_find(&m, BIT(KEY), ANY_ENTRY, "a byte of log.vkey", at);
	}
	memory_get(&good, LEDGER_PATH_CHECKPOINT, &n);
	for (size_t at = 0; at < n; at++) {
		struct memory m = with_byte(LEDGER_PATH_CHECKPOINT, at, (uint8_t)(1 << at % 8));
		must_find(&m, BIT(CHECKPOINT) | BIT(SIGNATURE), ANY_ENTRY, "a byte of the checkpoint", at);
	}
}

/* An altered entry is named, whatever byte of it it was. */
static void bytes_of_entries(void **state)
{
	for (uint64_t bundle = 0; bundle * TILE_WIDTH < PUBLISHED; bundle++) {
		const char *path = bundle_path(bundle * TILE_WIDTH);
		size_t n;
		memory_get(&good, path, &n);
		for (size_t at = 0; at < n; at += 1 + at % 131) {
			uint64_t entry = entry_of(bundle, at);
			struct memory m = with_byte(path, at, (uint8_t)(1 << at % 8));
			/* A wrong length shifts what is behind it, up to the bundle's end. */
			bool length = at - entry_at[entry] < 2;
			must_find(&m, length ? BIT(ENTRY) | BIT(BUNDLE) : BIT(ENTRY),
				length ? ANY_ENTRY : entry, path, at);
		}
	}
	/* Every byte of one entry. */
	for (size_t at = entry_at[300] + 2; at < entry_at[301]; at++) {
		struct memory m = with_byte(bundle_path(300), at, 1);
		must_find(&m, BIT(ENTRY), 300, "a byte of entry 300", at);
	}
}

static void bytes_of_tiles(void **state)
{
	for (size_t f = 0; f < good.n; f++) {
		const char *path = good.file[f].path;
		uint32_t level, width;
		uint64_t tile;
		size_t n;
		if (!tile_path_parse(path, &level, &tile, &width))
			continue;
		memory_get(&good, path, &n);
		bool newest = tile < PUBLISHED >> (8 * (level == TILE_LEVEL_ENTRIES ? 0 : level) + 8) ||
			      width == tile_partial(level, PUBLISHED);
		for (size_t at = 0; at < n; at += 1 + at % 101) {
			struct memory m = with_byte(path, at, (uint8_t)(1 << at % 8));
			if (level == TILE_LEVEL_ENTRIES && newest)
				memory_done(&m); /* see bytes_of_entries */
			else if (newest)
				must_find(&m, BIT(TILE), (tile * TILE_WIDTH + at / 32) << (8 * level), path,
					at);
			else
				must_find(&m, level == TILE_LEVEL_ENTRIES ? BIT(BUNDLE) : BIT(TILE),
					ANY_ENTRY, path, at);
		}
	}
}

static void bytes_of_the_journal(void **state)
{
	size_t n;

	memory_get(&good, LEDGER_PATH_JOURNAL, &n);
	for (size_t at = 0; at < n; at += 1 + at % 13) {
		struct memory m = with_byte(LEDGER_PATH_JOURNAL, at, (uint8_t)(1 << at % 8));
		must_find(&m, BIT(JOURNAL), ANY_ENTRY, "a byte of the journal", at);
	}
}

/* The sum over a record proves nothing: who alters an entry can make it again. Then the signed head speaks.
 */
static void a_record_with_its_sum_made_again(void **state)
{
	struct memory m;
	size_t n;
	uint8_t *bytes = bytes_of(&good, LEDGER_PATH_JOURNAL, &n);
	struct rd r = rd_over(bytes, n);
	struct journal_record j;

	assert_int_equal(journal_next(&r, &j), RC_OK);
	size_t record_n = (size_t)(r.at - bytes);
	for (size_t at = 8; at < record_n - SHA256_SIZE; at += 3) {
		bytes[at] ^= 1;
		sha256(bytes + record_n - SHA256_SIZE, bytes, record_n - SHA256_SIZE);
		m = copy_good();
		memory_put(&m, LEDGER_PATH_JOURNAL, bytes, n);
		bytes[at] ^= 1;
		must_find(&m,
			BIT(JOURNAL) | BIT(ENTRY) | BIT(COUNTER) | BIT(TIME) | BIT(CHECKPOINT) |
				BIT(SIGNATURE),
			ANY_ENTRY, "a byte of a record, its sum made again", at);
	}
	free(bytes);
}

static void every_truncation(void **state)
{
	for (size_t f = 0; f < good.n; f++) {
		const char *path = good.file[f].path;
		size_t n;
		memory_get(&good, path, &n);
		/* What is left of an older epoch's seals, and no journal at all: see
		 * not_found_without_a_witness. */
		if (strcmp(path, seals_path(1)) == 0)
			continue;
		for (size_t to = strcmp(path, LEDGER_PATH_JOURNAL) == 0; to < n; to += 1 + n / 40) {
			struct memory m = cut_to(path, to);
			must_find(&m, ~BIT(NONE), ANY_ENTRY, path, to);
		}
	}
}

static void bytes_behind_the_end(void **state)
{
	for (size_t f = 0; f < good.n; f++) {
		const char *path = good.file[f].path;
		struct memory m = copy_good();
		size_t n;
		uint8_t *bytes = bytes_of(&good, path, &n);
		bytes[n] = '\n';
		memory_put(&m, path, bytes, n + 1);
		free(bytes);
		if (strstr(path, ".seals")) {
			struct verify_report r;
			assert_int_equal(
				verify(&m, NULL, &r), RC_OK); /* as a seal that was torn: it says nothing */
			memory_done(&m);
		} else {
			must_find(&m, ~BIT(NONE), ANY_ENTRY, path, n);
		}
	}
}

static void missing_files(void **state)
{
	unsigned found = 0, copies = 0;

	for (size_t f = 0; f < good.n; f++) {
		const char *path = good.file[f].path;
		struct memory m = without(path);
		struct verify_report r;
		uint32_t level, width;
		uint64_t tile;
		bool copy = tile_path_parse(path, &level, &tile, &width) && width < TILE_WIDTH &&
			    width != tile_partial(level, PUBLISHED);
		if (copy) { /* may be removed */
			assert_int_equal(verify(&m, NULL, &r), RC_OK);
			memory_done(&m);
			copies++;
		} else {
			must_find(&m, ~BIT(NONE), ANY_ENTRY, path, 0);
			found++;
		}
	}
	assert_true(found >= 12 && copies > 0);
	struct memory nothing = { 0 };
	must_find(&nothing, BIT(KEY), ANY_ENTRY, "no files at all", 0);
}

/* Puts `with` in the place of bytes [from, to) of the entry's bundle. */
static struct memory spliced(uint64_t index, size_t from, size_t to, const uint8_t *with, size_t with_n)
{
	struct memory m = copy_good();
	size_t n;
	uint8_t *bytes = bytes_of(&good, bundle_path(index), &n), *made = malloc(n + with_n);

	assert_non_null(made);
	memcpy(made, bytes, from);
	memcpy(made + from, with, with_n);
	memcpy(made + from + with_n, bytes + to, n - to);
	memory_put(&m, bundle_path(index), made, n - (to - from) + with_n);
	free(bytes);
	free(made);
	return m;
}

static void swapped_doubled_removed_entries(void **state)
{
	const uint64_t some[] = { 0, 1, 7, 100, 254, 256, 330, 400, 598 };
	size_t n;

	for (size_t i = 0; i < COUNT_OF(some); i++) {
		uint64_t a = some[i];
		const uint8_t *bundle = memory_get(&good, bundle_path(a), &n);
		size_t first = entry_at[a], second = entry_at[a + 1];
		size_t third = (a + 2) % TILE_WIDTH == 0 || a + 2 == PUBLISHED ? n : entry_at[a + 2];
		uint8_t two[2 * LEDGER_ENTRY_MAX];
		memcpy(two, bundle + second, third - second);
		memcpy(two + (third - second), bundle + first, second - first);
		struct memory m = spliced(a, first, third, two, third - first);
		must_find(&m, BIT(ENTRY), a, "swapped with the next one", a);
		m = spliced(a, second, second, bundle + first, second - first);
		must_find(&m, BIT(ENTRY) | BIT(COUNTER) | BIT(BUNDLE), a + 1, "stands twice", a);
		m = spliced(a, second, third, bundle + first, second - first);
		must_find(&m, BIT(ENTRY), a + 1, "in the place of the next one", a);
		m = spliced(a, first, second, bundle, 0);
		must_find(&m, BIT(ENTRY) | BIT(COUNTER) | BIT(BUNDLE), a, "removed", a);
	}
	/* Whole bundles and tiles in each other's place. */
	struct memory m = copy_good();
	const uint8_t *other = memory_get(&good, "tile/entries/001", &n);
	memory_put(&m, "tile/entries/000", other, n);
	must_find(&m, BIT(ENTRY), 0, "bundle 1 as bundle 0", 0);
	m = copy_good();
	other = memory_get(&good, "tile/0/001", &n);
	memory_put(&m, "tile/0/000", other, n);
	must_find(&m, BIT(TILE), 0, "tile 1 as tile 0", 0);
}

/* Everything is made again but for the signature. */
static void a_history_of_its_own_with_the_old_signature(void **state)
{
	struct disk d = { 0 };
	struct ledger_store store = disk_store(&d);
	struct ledger_opened opened;
	struct ledger_log *l;
	char text[LEDGER_ENTRY_MAX];
	uint64_t index;
	size_t n;

	assert_int_equal(ledger_open(&l, &store, &key, fixture_seed, &opened, NULL), RC_OK);
	for (uint64_t i = 0; i < PUBLISHED; i++)
		assert_int_equal(ledger_add(l, text, fixture_entry(text, i, 3), &index), RC_OK);
	assert_int_equal(ledger_commit(l, NULL), RC_OK);
	assert_int_equal(ledger_publish(l, NULL), RC_OK);
	ledger_close(l);
	const uint8_t *head = memory_get(&good, LEDGER_PATH_CHECKPOINT, &n);
	memory_put(&d.files, LEDGER_PATH_CHECKPOINT, head, n);
	must_find(&d.files, BIT(ROOT), ANY_ENTRY, "another history under the old checkpoint", 0);
}

static void the_wrong_key(void **state)
{
	uint8_t public_key[ED25519_PUBLIC_SIZE], seed[ED25519_SEED_SIZE] = { 8 };
	struct verify_report r;
	struct note_key other;
	struct memory m;
	char vkey[NOTE_VKEY_MAX + 1];

	ed25519_public(public_key, seed);
	assert_int_equal(note_key_make(&other, key.name, NOTE_ED25519, public_key), RC_OK);
	note_key_text(vkey, &other);
	assert_int_equal(verify(&good, vkey, &r), RC_AUTH);
	assert_int_equal(r.found, VERIFY_KEY);
	assert_int_equal(verify(&good, "no key", &r), RC_MALFORMED);
	m = copy_good();
	strcat(vkey, "\n");
	memory_put(&m, LEDGER_PATH_VKEY, vkey, strlen(vkey));
	must_find(&m, BIT(SIGNATURE), ANY_ENTRY, "another key in log.vkey", 0);
}

/* ---- signed by the ledger's own key, and wrong all the same: a ledger that was taken over, or is broken
 * ---- */

/* A line of a ledger that holds nothing else wrong; replaced by the tests. */
struct line {
	char text[LEDGER_ENTRY_MAX];
	size_t n;
};

static void line_replace(struct line *l, const char *from, const char *to)
{
	char *at = memmem(l->text, l->n, from, strlen(from));
	char rest[LEDGER_ENTRY_MAX];
	size_t rest_n;

	assert_non_null(at);
	rest_n = l->n - (size_t)(at - l->text) - strlen(from);
	memcpy(rest, at + strlen(from), rest_n);
	memcpy(at, to, strlen(to));
	memcpy(at + strlen(to), rest, rest_n);
	l->n += strlen(to) - strlen(from);
}

#define LINES 12u

/* Entry `which` says `to` in the place of `from` (NULL: it is left out), all of it signed, in tiles or in the
 * journal. */
static void signed_and_wrong(uint64_t which, const char *from, const char *to, uint32_t class)
{
	for (int published = 0; published < 2; published++) {
		struct disk d = { 0 };
		struct ledger_store store = disk_store(&d);
		struct ledger_opened opened;
		struct ledger_log *l;
		uint64_t index;

		assert_int_equal(ledger_open(&l, &store, &key, fixture_seed, &opened, NULL), RC_OK);
		for (uint64_t i = 0; i < LINES; i++) {
			struct line line;
			line.n = fixture_entry(line.text, i, 5);
			if (i == which && !from)
				continue;
			if (i == which)
				line_replace(&line, from, to);
			assert_int_equal(ledger_add(l, line.text, line.n, &index), RC_OK);
		}
		assert_int_equal(ledger_commit(l, NULL), RC_OK);
		if (published)
			assert_int_equal(ledger_publish(l, NULL), RC_OK);
		ledger_close(l);
		must_find(&d.files, class, which, from ? from : "left out", (size_t)published);
	}
}

static void signed_but_no_right_entries(void **state)
{
	const char boot[] = "\"boot\":\"b0070000", other_boot[] = "\"boot\":\"b0080000";

	signed_and_wrong(4, NULL, NULL, BIT(COUNTER));
	signed_and_wrong(4, "\"n\":4", "\"n\":5", BIT(COUNTER));
	signed_and_wrong(4, "\"n\":4", "\"n\":3", BIT(COUNTER));
	signed_and_wrong(4, "\"run\":0", "\"run\":1", BIT(COUNTER));
	signed_and_wrong(4, "\"mono\":1004", "\"mono\":1002", BIT(TIME));
	signed_and_wrong(4, boot, other_boot, BIT(ENTRY));
	signed_and_wrong(0, NULL, NULL, BIT(ENTRY)); /* no ledger_start */
	signed_and_wrong(4, "\"process_exit\"", "\"process_gone\"", BIT(ENTRY));
	signed_and_wrong(4, "\"supervisor\"", "\"keeper\"", BIT(ENTRY));
	signed_and_wrong(4, "\"run\":0", "\"run\": 0", BIT(ENTRY));
	signed_and_wrong(4, "{\"pid\"", "{\"gid\"", BIT(ENTRY));
	signed_and_wrong(11, "}", "}}", BIT(ENTRY));
}

/* A line of somebody else's below the checkpoint could carry anything. */
static void another_signature_on_the_checkpoint(void **state)
{
	static const char line[] = "\xe2\x80\x94 example.com/witness AAAAAAA=\n";
	struct memory m = copy_good();
	size_t n;
	uint8_t *bytes = bytes_of(&m, LEDGER_PATH_CHECKPOINT, &n), *longer = realloc(bytes, n + sizeof line);

	assert_non_null(longer);
	memcpy(longer + n, line, sizeof line);
	memory_put(&m, LEDGER_PATH_CHECKPOINT, longer, n + sizeof line - 1);
	free(longer);
	must_find(&m, BIT(SIGNATURE) | BIT(CHECKPOINT), ANY_ENTRY, "another signature", 0);
}

/* ---- seals ---- */

static void bytes_of_seals(void **state)
{
	for (int epoch = 1; epoch <= 2; epoch++) {
		size_t n;
		memory_get(&good, seals_path(epoch), &n);
		assert_int_equal(n % SEAL_RECORD_SIZE, 0);
		for (size_t at = 0; at < n; at += 1 + at % 7) {
			struct memory m = with_byte(seals_path(epoch), at, (uint8_t)(1 << at % 8));
			must_find(&m, BIT(SEAL), ANY_ENTRY, "a byte of a seal", at);
		}
	}
	for (size_t f = 0; f < good.n; f++)
		if (strstr(good.file[f].path, ".keys"))
			for (size_t at = 0; at < 32 * SEAL_KEYS; at += 9973) {
				struct memory m = with_byte(good.file[f].path, at, 1);
				must_find(&m, BIT(SEAL), ANY_ENTRY, "a byte of the one-time keys", at);
			}
}

/*
 * Who has the ledger's key makes another history from entry 400 on, with valid signatures everywhere. The
 * one-time keys that sealed 400 entries and more are erased: the seals say that it was otherwise.
 */
static void the_stolen_key_cannot_rewrite_what_was_sealed(void **state)
{
	struct disk d = { 0 };
	struct ledger_store store = disk_store(&d);
	struct ledger_opened opened;
	struct ledger_log *l;
	struct verify_report r;
	char text[LEDGER_ENTRY_MAX];
	uint64_t index;

	assert_int_equal(ledger_open(&l, &store, &key, fixture_seed, &opened, NULL), RC_OK);
	for (uint64_t i = 0; i < PUBLISHED; i++) {
		size_t n;
		const uint8_t *bundle = memory_get(&good, bundle_path(i), &n);
		const uint8_t *entry = bundle + entry_at[i] + 2;
		size_t entry_n = load_be16(bundle + entry_at[i]);
		memcpy(text, entry, entry_n);
		char *reason = i >= 400 ? memmem(text, entry_n, "exit status 0", 13) : NULL;
		if (reason)
			reason[12] = '1';
		assert_int_equal(ledger_add(l, text, entry_n, &index), RC_OK);
	}
	assert_int_equal(ledger_commit(l, NULL), RC_OK);
	assert_int_equal(ledger_publish(l, NULL), RC_OK);
	ledger_close(l);
	for (size_t f = 0; f < good.n; f++)
		if (strncmp(good.file[f].path, "seal/", 5) == 0) {
			size_t n;
			const uint8_t *bytes = memory_get(&good, good.file[f].path, &n);
			memory_put(&d.files, good.file[f].path, bytes, n);
		}
	assert_int_equal(verify(&d.files, NULL, &r), RC_AUTH);
	assert_int_equal(r.found, VERIFY_SEAL);
	assert_non_null(strstr(r.finding, "450 entries"));
	memory_done(&d.files);
}

/* ---- copies that were made while the ledger was written to ---- */

static void a_checkpoint_older_than_the_rest(void **state)
{
	struct memory m = copy_good();
	struct verify_report r;
	size_t n;
	const uint8_t *head = memory_get(&before, LEDGER_PATH_CHECKPOINT, &n);

	memory_put(&m, LEDGER_PATH_CHECKPOINT, head, n);
	/* Its partial tile has been replaced by the full one since, and the journal begins behind it. */
	assert_null(memory_get(&m, "tile/0/001.p/244", &n));
	assert_int_equal(verify(&m, NULL, &r), RC_OK);
	assert_int_equal(r.published, 500);
	assert_int_equal(r.size, PUBLISHED + JOURNALED);
	/* An entry between them is covered by the journal's heads. */
	for (uint64_t i = 500; i < PUBLISHED; i += 7) {
		struct memory bad;
		uint8_t *bytes;
		memory_copy(&bad, &m);
		bytes = bytes_of(&bad, bundle_path(i), &n);
		bytes[entry_at[i] + 20] ^= 1;
		memory_put(&bad, bundle_path(i), bytes, n);
		free(bytes);
		must_find(&bad, BIT(ENTRY) | BIT(COUNTER) | BIT(TIME) | BIT(JOURNAL), ANY_ENTRY,
			"an entry behind the checkpoint", i);
	}
	memory_remove(&m, "tile/entries/002.p/88");
	must_find(&m, BIT(JOURNAL), ANY_ENTRY, "what lies between is missing", 0);
}

static void a_journal_older_than_the_rest(void **state)
{
	struct memory m = copy_good(), older;
	struct verify_report r;
	size_t n;
	const uint8_t *journal = memory_get(&good, LEDGER_PATH_JOURNAL, &n);

	/* Records that are in the tiles by now: of the ledger as it goes on after `good`. */
	struct disk d = { .files = m };
	struct ledger_store store = disk_store(&d);
	struct ledger_opened opened;
	struct ledger_log *l;
	assert_int_equal(ledger_open(&l, &store, &key, fixture_seed, &opened, NULL), RC_OK);
	assert_int_equal(ledger_publish(l, NULL), RC_OK);
	ledger_close(l);
	memory_copy(&older, &d.files);
	memory_put(&older, LEDGER_PATH_JOURNAL, journal, n);
	assert_int_equal(verify(&older, NULL, &r), RC_AUTH); /* this publication was not sealed */
	assert_int_equal(r.found, VERIFY_SEAL);
	assert_int_equal(r.size, PUBLISHED + JOURNALED);
	memory_done(&older);
	memory_done(&d.files);
}

/* ---- what is not found, as verify.h says ---- */

static void not_found_without_a_witness(void **state)
{
	struct verify_report r;
	struct memory m;

	/* The directory as a whole as it was earlier. */
	assert_int_equal(verify(&before, NULL, &r), RC_OK);
	assert_int_equal(r.size, 500);
	/* The last records of the journal, cut off where a record begins. */
	size_t n;
	uint8_t *bytes = bytes_of(&good, LEDGER_PATH_JOURNAL, &n);
	struct rd rd = rd_over(bytes, n);
	struct journal_record j;
	assert_int_equal(journal_next(&rd, &j), RC_OK);
	m = copy_good();
	memory_put(&m, LEDGER_PATH_JOURNAL, bytes, (size_t)(rd.at - bytes));
	free(bytes);
	assert_int_equal(verify(&m, NULL, &r), RC_OK);
	assert_int_equal(r.size, PUBLISHED + 8);
	memory_done(&m);
	/* The last seals of an epoch that has ended. */
	m = cut_to(seals_path(1), SEAL_RECORD_SIZE);
	assert_int_equal(verify(&m, NULL, &r), RC_OK);
	memory_done(&m);
	/* A ledger of somebody else's with its own key, where no key is given; with the key it is found. */
	uint8_t public_key[ED25519_PUBLIC_SIZE], seed[ED25519_SEED_SIZE] = { 8 };
	char vkey[NOTE_VKEY_MAX], text[LEDGER_ENTRY_MAX];
	struct disk d = { 0 };
	struct ledger_store store = disk_store(&d);
	struct ledger_opened opened;
	struct ledger_log *l;
	struct note_key other;
	uint64_t index;
	ed25519_public(public_key, seed);
	assert_int_equal(note_key_make(&other, key.name, NOTE_ED25519, public_key), RC_OK);
	assert_int_equal(ledger_open(&l, &store, &other, seed, &opened, NULL), RC_OK);
	assert_int_equal(ledger_add(l, text, fixture_entry(text, 0, 0), &index), RC_OK);
	assert_int_equal(ledger_commit(l, NULL), RC_OK);
	ledger_close(l);
	assert_int_equal(verify(&d.files, NULL, &r), RC_OK);
	assert_false(r.vkey_given);
	assert_int_equal(verify(&d.files, note_key_text(vkey, &key), &r), RC_AUTH);
	memory_done(&d.files);
	/* Other files beside: counted. */
	m = copy_good();
	memory_put(&m, "notes.txt", "mine", 4);
	memory_put(&m, "tile/0/900", "mine", 4);
	assert_int_equal(verify(&m, NULL, &r), RC_OK);
	assert_int_equal(r.strays, 2);
	memory_done(&m);
}

static void the_report_can_be_printed(void **state)
{
	struct verify_report r;
	char text[VERIFY_TEXT_MAX];
	struct memory m = with_byte(bundle_path(300), entry_at[300] + 40, 1);

	assert_int_equal(verify(&good, NULL, &r), RC_OK);
	assert_true(verify_ledger_text(&r, text, sizeof text) > 0);
	assert_true(verify_ledger_json(&r, text, sizeof text) > 0);
	assert_non_null(strstr(text, "\"good\":true"));
	assert_int_equal(verify(&m, NULL, &r), RC_AUTH);
	assert_true(verify_ledger_text(&r, text, sizeof text) > 0);
	assert_non_null(strstr(text, "entry 300"));
	assert_true(verify_ledger_json(&r, text, sizeof text) > 0);
	assert_non_null(strstr(text, "\"entry\":300,"));
	assert_non_null(strstr(text, "\"good\":false"));
	assert_int_equal(verify_ledger_json(&r, text, 100), 0);
	memory_done(&m);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(as_written_it_is_good),
		cmocka_unit_test(every_byte_of_key_and_checkpoint),
		cmocka_unit_test(bytes_of_entries),
		cmocka_unit_test(bytes_of_tiles),
		cmocka_unit_test(bytes_of_the_journal),
		cmocka_unit_test(a_record_with_its_sum_made_again),
		cmocka_unit_test(every_truncation),
		cmocka_unit_test(bytes_behind_the_end),
		cmocka_unit_test(missing_files),
		cmocka_unit_test(swapped_doubled_removed_entries),
		cmocka_unit_test(a_history_of_its_own_with_the_old_signature),
		cmocka_unit_test(the_wrong_key),
		cmocka_unit_test(signed_but_no_right_entries),
		cmocka_unit_test(another_signature_on_the_checkpoint),
		cmocka_unit_test(bytes_of_seals),
		cmocka_unit_test(the_stolen_key_cannot_rewrite_what_was_sealed),
		cmocka_unit_test(a_checkpoint_older_than_the_rest),
		cmocka_unit_test(a_journal_older_than_the_rest),
		cmocka_unit_test(not_found_without_a_witness),
		cmocka_unit_test(the_report_can_be_printed),
	};

	return cmocka_run_group_tests(tests, ledger_make, ledger_unmake);
}
