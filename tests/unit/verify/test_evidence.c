/*
 * Evidence bundles, made in memory from a real ledger for many times: each is checked without the ledger,
 * holds all entries of its time, and whatever is changed in it is found.
 */
#include "verify_fixture.h"

#include "base/bytes.h"
#include "ledger/seal.h"
#include "merkle/cosign.h"
#include "verify/evidence.h"
#include "verify/timeline.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#define ENTRIES (PUBLISHED + JOURNALED)

static char utc[ENTRIES][UTC_TEXT_MAX];
static struct verify_report report;
static struct err why;

static void utc_take(void *context, const struct ledger_entry *entry, uint64_t index)
{
	memcpy(utc[index], entry->utc, sizeof utc[index]);
}

static int make(void **state)
{
	int rc = ledger_make(state);
	struct verify_source source = memory_source(&good);
	struct verify_options o = { .entry = utc_take };

	return rc == 0 && verify_ledger(&source, &o, &report, NULL) == RC_OK ? 0 : -1;
}

struct making {
	const struct verify_source *from;
	struct memory to;
};

static void file_take(void *context, const char *path)
{
	struct making *m = context;
	uint8_t *bytes;
	size_t n;

	if (evidence_file_read(m->from, path, &bytes, &n) != RC_OK)
		fail_msg("%s is not there", path);
	memory_put(&m->to, path, bytes, n);
	free(bytes);
}

static void page_take(void *context, const char *page, size_t n)
{
	memory_put(context, EVIDENCE_PATH_TIMELINE, page, n);
}

static enum rc verify_bundle(struct memory *m, bool making)
{
	char vkey[NOTE_VKEY_MAX];
	struct verify_source source = memory_source(m);
	struct verify_options o = { .vkey = note_key_text(vkey, &key), .making = making };
	struct memory page = { 0 };

	o.timeline = making ? page_take : NULL;
	o.context = &page;
	why = (struct err){ 0 };
	enum rc rc = verify_ledger(&source, &o, &report, &why);
	size_t n;
	const uint8_t *bytes = memory_get(&page, EVIDENCE_PATH_TIMELINE, &n);
	if (bytes)
		memory_put(m, EVIDENCE_PATH_TIMELINE, bytes, n);
	memory_done(&page);
	return rc;
}

/* The bundle of a time from a ledger; its range. */
static struct memory bundle_of(
	struct memory *ledger, const char *from, const char *to, struct verify_range *ret_range)
{
	struct verify_source source = memory_source(ledger);
	struct evidence *v = evidence_new(from, to);
	struct verify_options o = {
		.begin = evidence_begin, .entry = evidence_entry, .sealed = evidence_sealed, .context = v
	};
	struct making m = { .from = &source };
	char text[EVIDENCE_README_MAX];

	assert_non_null(v);
	assert_int_equal(verify_ledger(&source, &o, &report, NULL), RC_OK);
	uint64_t published = report.published;
	assert_int_equal(evidence_choose(v, published, report.cosigned_head, ret_range), RC_OK);
	utc_text(ret_range->made, 1450400000000000ull);
	snprintf(ret_range->version, sizeof ret_range->version, "0.1.0");
	size_t n = evidence_range_text(ret_range, text, sizeof text);
	assert_true(n > 0);
	memory_put(&m.to, EVIDENCE_PATH_RANGE, text, n);
	memory_put(&m.to, EVIDENCE_PATH_README, text, evidence_readme_text(ret_range, text, sizeof text));
	file_take(&m, LEDGER_PATH_VKEY);
	file_take(&m, LEDGER_PATH_CHECKPOINT);
	if (evidence_needs_journal(v))
		file_take(&m, LEDGER_PATH_JOURNAL);
	evidence_files(v, file_take, &m);
	evidence_free(v);
	if (verify_bundle(&m.to, true) != RC_OK)
		fail_msg("%s to %s: %s", from, to, why.text);
	if (verify_bundle(&m.to, false) != RC_OK)
		fail_msg("%s to %s: %s", from, to, why.text);
	return m.to;
}

static void is_about(uint64_t first, uint64_t end, const struct verify_range *r)
{
	assert_int_equal(r->first, first);
	assert_int_equal(r->end, end);
	assert_true(report.bundle && report.good && verify_complete(&report));
	assert_int_equal(report.range.first, first);
	assert_int_equal(report.range.end, end);
	assert_int_equal(report.made[VERIFY_CHECK_RANGE], 2);
	assert_int_equal(report.made[VERIFY_CHECK_TIMELINE], 1);
	assert_true(report.made[VERIFY_CHECK_SEALS] > 0);
	assert_true(report.entries >= end - first);
	assert_int_equal(report.entries + report.entries_unseen, report.size);
}

static void every_time_can_be_shown(void **state)
{
	static const uint64_t marks[] = { 0, 1, 255, 256, 329, 331, 511, 512, 599, 600, 601, 623 };

	for (size_t i = 0; i < COUNT_OF(marks); i++)
		for (size_t j = i; j < COUNT_OF(marks); j++) {
			struct verify_range r;
			struct memory m = bundle_of(&good, utc[marks[i]], utc[marks[j]], &r);
			is_about(marks[i], marks[j] + 1, &r);
			memory_done(&m);
		}
}

static void times_without_entries(void **state)
{
	struct verify_range r;
	struct memory m = bundle_of(&good, "2001-01-01T00:00:00.000000Z", "2001-12-31T23:59:59.999999Z", &r);

	is_about(0, 0, &r);
	memory_done(&m);
	m = bundle_of(&good, "2031-01-01T00:00:00.000000Z", "2031-12-31T23:59:59.999999Z", &r);
	is_about(ENTRIES, ENTRIES, &r);
	memory_done(&m);
	/* Between the two boots, a second apart. */
	char from[UTC_TEXT_MAX], to[UTC_TEXT_MAX];
	utc_text(from, 1450375200000000ull + 1500000);
	utc_text(to, 1450375200000000ull + 1600000);
	m = bundle_of(&good, from, to, &r);
	is_about(EPOCH_2, EPOCH_2, &r);
	memory_done(&m);
}

/* A large ledger makes no large bundle: what is left out is left out by whole tiles. Here: 700 * 256 entries.
 */
static void what_is_far_away_is_left_out(void **state)
{
	struct disk d = { 0 };
	struct ledger_store store = disk_store(&d);
	struct ledger_opened opened;
	struct ledger_log *l;
	char text[LEDGER_ENTRY_MAX], from[UTC_TEXT_MAX] = "", to[UTC_TEXT_MAX] = "";
	uint64_t index, many = 700 * TILE_WIDTH + 77;
	static const uint64_t at[] = { 0, 40, 300 * TILE_WIDTH, 600 * TILE_WIDTH + 3, 700 * TILE_WIDTH + 70 };

	assert_int_equal(ledger_open(&l, &store, &key, fixture_seed, &opened, NULL), RC_OK);
	for (uint64_t i = 0; i < many; i++) {
		assert_int_equal(ledger_add(l, text, fixture_entry(text, i, 0), &index), RC_OK);
		if (i % 1024 == 1023)
			assert_int_equal(ledger_commit(l, NULL), RC_OK);
		if (i % 65536 == 65535)
			assert_int_equal(ledger_publish(l, NULL), RC_OK);
	}
	assert_int_equal(ledger_commit(l, NULL), RC_OK);
	assert_int_equal(ledger_publish(l, NULL), RC_OK);
	ledger_close(l);
	for (size_t i = 0; i < COUNT_OF(at); i++) {
		struct verify_range r;
		struct ledger_entry entry;
		size_t n = fixture_entry(text, at[i], 0);
		assert_int_equal(ledger_entry_parse(&entry, text, n, NULL), RC_OK);
		memcpy(from, entry.utc, sizeof from);
		memcpy(to, entry.utc, sizeof to);
		struct memory m = bundle_of(&d.files, from, to, &r);
		assert_true(r.end - r.first >= 1);
		assert_true(m.n < 16);
		assert_true(report.entries_unseen >= 695 * TILE_WIDTH);
		memory_done(&m);
	}
	memory_done(&d.files);
}

static struct memory some_bundle(struct verify_range *ret_range)
{
	return bundle_of(&good, utc[290], utc[340], ret_range);
}

static void must_be_found(struct memory *m, const char *what, size_t at)
{
	if (verify_bundle(m, false) != RC_AUTH)
		fail_msg("%s, %zu: not found", what, at);
	memory_done(m);
}

static void whatever_is_changed_is_found(void **state)
{
	struct verify_range r;
	struct memory m = some_bundle(&r);

	for (size_t f = 0; f < m.n; f++) {
		const char *path = m.file[f].path;
		size_t n, step;
		const uint8_t *bytes = memory_get(&m, path, &n);
		/* The one-time keys by few samples, the rest closer. */
		step = strstr(path, ".keys") ? 40009 : n > 4000 ? 263 : 3;
		for (size_t at = 0; at < n; at += step) {
			struct memory bad;
			memory_copy(&bad, &m);
			uint8_t *altered = malloc(n);
			assert_non_null(altered);
			memcpy(altered, bytes, n);
			altered[at] ^= (uint8_t)(1 << at % 8);
			memory_put(&bad, path, altered, n);
			free(altered);
			must_be_found(&bad, path, at);
		}
		/* The last seals can be cut off, as in a ledger: then less is proved, and said to be. */
		for (size_t cut = 0; cut < n && !strstr(path, ".seals"); cut += 1 + n / 5) {
			struct memory bad;
			memory_copy(&bad, &m);
			memory_put(&bad, path, bytes, cut);
			must_be_found(&bad, "cut", cut);
		}
		struct memory bad;
		memory_copy(&bad, &m);
		memory_remove(&bad, path);
		if (strcmp(path, EVIDENCE_PATH_RANGE) != 0) /* then it is a ledger with much missing */
			must_be_found(&bad, path, 0);
		else
			must_be_found(&bad, "a ledger with holes", 0);
	}
	memory_done(&m);
}

static void nothing_lies_beside(void **state)
{
	static const char *const paths[] = { "notes.txt", "seal/0123456789abcdef.keys", "tile/0/000.p/3",
		"tile/entries/900", "tile/7/000", "config/ab.conf", "timeline.htm", "index.html" };
	struct verify_range r;
	struct memory m = some_bundle(&r);

	for (size_t i = 0; i < COUNT_OF(paths); i++) {
		struct memory more;
		memory_copy(&more, &m);
		memory_put(&more, paths[i], "more", 4);
		must_be_found(&more, paths[i], 0);
	}
	memory_done(&m);
}

/* Who makes a bundle cannot leave out an entry of its time and say that it is whole. */
static void an_entry_of_the_time_cannot_be_left_out(void **state)
{
	struct verify_range r, other;
	struct memory m = some_bundle(&r), lie;
	char text[512];

	for (int i = 0; i < 4; i++) {
		other = r;
		other.first += i == 0;
		other.end -= i == 1;
		other.first -= i == 2;
		other.end += i == 3;
		memory_copy(&lie, &m);
		memory_put(&lie, EVIDENCE_PATH_RANGE, text, evidence_range_text(&other, text, sizeof text));
		assert_int_equal(verify_bundle(&lie, true), RC_AUTH); /* with a page that would fit */
		assert_int_equal(report.found, VERIFY_EVIDENCE_BUNDLE);
		memory_done(&lie);
	}
	/* Far beyond what is there. */
	other = r;
	other.end = 100000;
	memory_copy(&lie, &m);
	memory_put(&lie, EVIDENCE_PATH_RANGE, text, evidence_range_text(&other, text, sizeof text));
	must_be_found(&lie, "a range beyond the ledger", 0);
	memory_done(&m);
}

/* ---- cosignatures go along ---- */

static struct note_key witness;
static uint8_t witness_seed[ED25519_SEED_SIZE] = { 0x77 };

static void cosign(struct memory *to, const char *path, const struct memory *from)
{
	char bytes[NOTE_BYTES_MAX], line[COSIGN_LINE_MAX];
	size_t n;
	const uint8_t *head = memory_get(from, LEDGER_PATH_CHECKPOINT, &n);
	struct note note;

	assert_int_equal(note_parse(&note, head, n, NULL), RC_OK);
	size_t line_n =
		cosign_line(line, sizeof line, note.text, note.text_n, &witness, witness_seed, 1450375300);
	assert_true(line_n > 0);
	memcpy(bytes, head, n);
	memcpy(bytes + n, line, line_n);
	memory_put(to, path, bytes, n + line_n);
}

static enum rc verify_by_policy(struct memory *m)
{
	static struct policy policy;
	struct verify_source source = memory_source(m);
	struct verify_options o = { .policy = &policy };
	char text[1024], log[NOTE_VKEY_MAX], w[NOTE_VKEY_MAX];
	int n = snprintf(text, sizeof text, "log %s\nwitness w %s\nquorum w\n", note_key_text(log, &key),
		note_key_text(w, &witness));

	assert_int_equal(policy_parse(&policy, text, (size_t)n, NULL), RC_OK);
	return verify_ledger(&source, &o, &report, NULL);
}

static void cosignatures_go_along(void **state)
{
	uint8_t public_key[ED25519_PUBLIC_SIZE];
	struct memory ledger, m;
	struct verify_range r;

	ed25519_public(public_key, witness_seed);
	assert_int_equal(
		note_key_make(&witness, "witness.example", NOTE_COSIGNATURE_ED25519, public_key), RC_OK);
	m = bundle_of(&good, utc[10], utc[20], &r);
	assert_int_equal(verify_by_policy(&m), RC_AUTH);
	assert_int_equal(report.found, VERIFY_COSIGNATURE);
	memory_done(&m);
	/* On the head itself. */
	memory_copy(&ledger, &good);
	cosign(&ledger, LEDGER_PATH_CHECKPOINT, &good);
	m = bundle_of(&ledger, utc[10], utc[20], &r);
	assert_int_equal(verify_by_policy(&m), RC_OK);
	assert_int_equal(report.cosigned, PUBLISHED);
	assert_true(report.vkey_by_policy);
	memory_done(&m);
	memory_done(&ledger);
	/* On an older one, whose size lies far from the bundle's time: its root can be compared all the same.
	 */
	memory_copy(&ledger, &good);
	cosign(&ledger, VERIFY_PATH_COSIGNED, &before);
	m = bundle_of(&ledger, utc[10], utc[20], &r);
	size_t n;
	const uint8_t *cosigned = memory_get(&ledger, VERIFY_PATH_COSIGNED, &n);
	memory_put(&m, VERIFY_PATH_COSIGNED, cosigned, n);
	assert_int_equal(verify_by_policy(&m), RC_OK);
	assert_int_equal(report.cosigned, 500);
	assert_true(report.entries_unseen > 0);
	memory_done(&m);
	memory_done(&ledger);
}

/* ---- the range's text ---- */

static void ranges(void **state)
{
	struct verify_range r, again;
	char text[512];
	struct memory m = some_bundle(&r);
	size_t n = evidence_range_text(&r, text, sizeof text);

	memory_done(&m);
	assert_int_equal(evidence_range_parse(&again, text, n, NULL), RC_OK);
	assert_memory_equal(&again, &r, sizeof r);
	for (size_t cut = 0; cut < n; cut++)
		assert_int_equal(evidence_range_parse(&again, text, cut, NULL), RC_MALFORMED);
	assert_int_equal(evidence_range_text(&r, text, n), 0);
	n = evidence_range_text(&r, text, sizeof text);
	text[n] = '\n';
	assert_int_equal(evidence_range_parse(&again, text, n + 1, NULL), RC_MALFORMED);
	r.first = r.end + 1;
	n = evidence_range_text(&r, text, sizeof text);
	assert_int_equal(evidence_range_parse(&again, text, n, NULL), RC_RANGE);
}

/* ---- the page ---- */

static size_t entry_with(char text[LEDGER_ENTRY_MAX], const char *why_text)
{
	struct ledger_body b;
	struct ledger_entry entry = { .type = LEDGER_PROCESS_EXIT, .n = 1, .mono_us = 1 };

	ledger_body_begin(&b, LEDGER_PROCESS_EXIT);
	ledger_body_u64(&b, "pid", 1);
	ledger_body_str(&b, "process", "ike");
	ledger_body_str(&b, "reason", why_text);
	entry.body = b.text;
	entry.body_n = ledger_body_done(&b);
	snprintf(entry.source, sizeof entry.source, "supervisor");
	utc_text(entry.utc, 1450375200000000ull);
	return ledger_entry_text(text, &entry);
}

static void nothing_in_the_page_acts_or_hides(void **state)
{
	static const struct {
		const char *said, *shown;
	} rows[] = {
		{ "<script>alert(1)</script>", "&#60;script&#62;alert(1)&#60;/script&#62;" },
		{ "a\"b'c&d", "a&#34;b&#39;c&#38;d" },
		{ "back\\slash", "back\\slash" },
		{ "\xe2\x80\xae"
		  "desrever",
			"<u>U+202E</u>desrever" },
		{ "zero\xe2\x80\x8bwidth", "zero<u>U+200B</u>width" },
		{ "tag\xf3\xa0\x81\x81", "tag<u>U+E0041</u>" },
		{ "Gr\xc3\xbc\xc3\x9f"
		  "e",
			"Gr\xc3\xbc\xc3\x9f"
			"e" },
		{ "line\nfeed", "line\\nfeed" },
		{ "\x01\xff", "\\u0001\\u00ff" },
	};

	for (size_t i = 0; i < COUNT_OF(rows); i++) {
		char text[LEDGER_ENTRY_MAX];
		struct ledger_entry entry;
		struct verify_report r = { .origin = "<b>", .vkey = "<i>" };
		size_t n = entry_with(text, rows[i].said), page_n;
		struct timeline *t = timeline_new();
		assert_int_equal(ledger_entry_parse(&entry, text, n, NULL), RC_OK);
		timeline_entry(t, &entry, 7, false);
		char *page = timeline_page(t, &r, &page_n);
		assert_non_null(page);
		if (!memmem(page, page_n, rows[i].shown, strlen(rows[i].shown)))
			fail_msg("'%s' is not shown as '%s'", rows[i].said, rows[i].shown);
		assert_null(memmem(page, page_n, "<script", 7));
		assert_null(memmem(page, page_n, "<bdi><b>", 8));
		assert_null(memmem(page, page_n, "\xe2\x80\xae", 3));
		free(page);
		timeline_free(t);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_time_can_be_shown),
		cmocka_unit_test(times_without_entries),
		cmocka_unit_test(what_is_far_away_is_left_out),
		cmocka_unit_test(whatever_is_changed_is_found),
		cmocka_unit_test(nothing_lies_beside),
		cmocka_unit_test(an_entry_of_the_time_cannot_be_left_out),
		cmocka_unit_test(cosignatures_go_along),
		cmocka_unit_test(ranges),
		cmocka_unit_test(nothing_in_the_page_acts_or_hides),
	};

	return cmocka_run_group_tests(tests, make, ledger_unmake);
}
