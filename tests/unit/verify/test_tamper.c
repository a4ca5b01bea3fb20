/*
 * What verification says of a real ledger, of entries that were signed and are wrong all the same, of the
 * wrong key, of copies that were made while it was written to. What somebody can do to its files, thousands
 * of times each, is in tests/tamper.
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

static const char *bundle_path(uint64_t index)
{
	static char path[TILE_PATH_MAX];
	uint64_t bundle = index / TILE_WIDTH;

	return tile_path(path, TILE_LEVEL_ENTRIES, bundle,
		bundle < PUBLISHED / TILE_WIDTH ? TILE_WIDTH : PUBLISHED % TILE_WIDTH);
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
	assert_true(r.old_partial_tiles > 0);
	assert_int_equal(r.stray_files, 0);
	assert_true(r.vkey_given);
	assert_string_equal(r.vkey, vkey);
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
	signed_and_wrong(4, "\"process_exit\"", "\"Process_exit\"", BIT(ENTRY));
	signed_and_wrong(4, "\"supervisor\"", "\"keeper\"", BIT(ENTRY));
	signed_and_wrong(4, "\"run\":0", "\"run\": 0", BIT(ENTRY));
	signed_and_wrong(4, "{\"pid\"", "{\"gid\"", BIT(ENTRY));
	signed_and_wrong(11, "}", "}}", BIT(ENTRY));
}

static struct memory with_line(const char *path, const char *line)
{
	struct memory m = copy_good();
	size_t n;
	uint8_t *bytes = bytes_of(&m, path, &n), *longer = realloc(bytes, n + strlen(line));

	assert_non_null(longer);
	memcpy(longer + n, line, strlen(line));
	memory_put(&m, path, longer, n + strlen(line));
	free(longer);
	return m;
}

/* Lines of keys that nobody asked about are no concern; a second one of the ledger's own key is, and so is a
 * line that is none. */
static void another_signature_on_the_checkpoint(void **state)
{
	struct memory m = with_line(LEDGER_PATH_CHECKPOINT, "\xe2\x80\x94 example.com/witness AAAAAAA=\n");
	struct verify_report r;
	size_t n;
	const char *head = (const char *)memory_get(&good, LEDGER_PATH_CHECKPOINT, &n);
	const char *own = memmem(head, n, "\n\n", 2);
	char line[512];

	assert_int_equal(verify(&m, NULL, &r), RC_OK);
	memory_done(&m);
	snprintf(line, sizeof line, "%.*s", (int)(head + n - own - 2), own + 2);
	m = with_line(LEDGER_PATH_CHECKPOINT, line);
	must_find(&m, BIT(SIGNATURE), ANY_ENTRY, "the ledger's line twice", 0);
	line[strlen(line) - 20] ^= 1;
	m = with_line(LEDGER_PATH_CHECKPOINT, line);
	must_find(&m, BIT(SIGNATURE) | BIT(CHECKPOINT), ANY_ENTRY, "and a wrong one", 0);
	m = with_line(LEDGER_PATH_CHECKPOINT, "example.com/witness AAAAAAA=\n");
	must_find(&m, BIT(CHECKPOINT), ANY_ENTRY, "no signature line", 0);
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

static void files_beside_are_counted(void **state)
{
	struct memory m = copy_good();
	struct verify_report r;

	memory_put(&m, "notes.txt", "mine", 4);
	memory_put(&m, "tile/0/900", "mine", 4);
	assert_int_equal(verify(&m, NULL, &r), RC_OK);
	assert_int_equal(r.stray_files, 2);
	/* A log that ended in a recovery lies there by right, and is another one. */
	memory_put(&m, "before/20151217T180000/log.vkey", "its", 3);
	memory_put(&m, "before/20151217T180000/tile/0/000", "its", 3);
	assert_int_equal(verify(&m, NULL, &r), RC_OK);
	assert_int_equal(r.stray_files, 2);
	assert_int_equal(r.ended_logs, 1);
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
		cmocka_unit_test(the_wrong_key),
		cmocka_unit_test(signed_but_no_right_entries),
		cmocka_unit_test(another_signature_on_the_checkpoint),
		cmocka_unit_test(a_checkpoint_older_than_the_rest),
		cmocka_unit_test(a_journal_older_than_the_rest),
		cmocka_unit_test(files_beside_are_counted),
		cmocka_unit_test(the_report_can_be_printed),
	};

	return cmocka_run_group_tests(tests, ledger_make, ledger_unmake);
}
