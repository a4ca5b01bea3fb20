#include "seeds.h"

#include "../ledger/ledger_fixture.h"

#include "base/bytes.h"
#include "base/wr.h"
#include "ledger/seal.h"
#include "verify/evidence.h"
#include "verify/tar.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define SEED_BYTES_MAX (1u << 20)

static uint8_t bytes_made[SEED_BYTES_MAX];

/* ---- ledgers ---- */

static struct ledger_log *log_open(struct disk *d, struct ledger_store *ret_store)
{
	struct note_key key = fixture_key();
	struct ledger_opened opened;
	struct ledger_log *l;

	*ret_store = disk_store(d);
	enum rc rc = ledger_open(&l, ret_store, &key, fixture_seed, &opened, NULL);
	assert(rc == RC_OK);
	return l;
}

static void entries_add(struct ledger_log *l, uint64_t up_to, size_t extra)
{
	char text[LEDGER_ENTRY_MAX];
	uint64_t index;

	for (uint64_t i = ledger_size(l); i < up_to; i++) {
		enum rc rc = ledger_add(l, text, fixture_entry(text, i, extra), &index);
		assert(rc == RC_OK && index == i);
	}
	enum rc rc = ledger_commit(l, NULL);
	assert(rc == RC_OK);
}

static void published(struct ledger_log *l)
{
	enum rc rc = ledger_publish(l, NULL);

	assert(rc == RC_OK);
}

/* 300 entries in tiles and 5 in the journal. */
static struct memory ledger_of_300(void)
{
	struct disk d = { 0 };
	struct ledger_store store;
	struct ledger_log *l = log_open(&d, &store);

	entries_add(l, SEED_PUBLISHED, 0);
	published(l);
	entries_add(l, SEED_PUBLISHED + SEED_JOURNALED, 0);
	ledger_close(l);
	return d.files;
}

/* ---- fuzz_verify ---- */

static void files_put(struct memory *to, const char *path, const struct memory *files)
{
	memory_put(to, path, bytes_made, memory_pack(files, bytes_made, sizeof bytes_made));
}

static void small_ledgers(struct memory *to)
{
	static const uint64_t size[] = SEED_SIZES;
	struct disk d = { 0 };
	struct ledger_store store;
	struct ledger_log *l = log_open(&d, &store);
	const uint8_t *journal;
	size_t n;

	_Static_assert(COUNT_OF(size) == 4, "two checkpoints, two records in the journal");
	entries_add(l, size[0], SEED_ENTRY_EXTRA);
	published(l);
	files_put(to, "merkle/seeds/fuzz_verify/three", &d.files);
	entries_add(l, size[1], SEED_ENTRY_EXTRA);
	published(l);
	entries_add(l, size[2], SEED_ENTRY_EXTRA);
	entries_add(l, size[3], SEED_ENTRY_EXTRA);
	files_put(to, "merkle/seeds/fuzz_verify/good", &d.files);
	journal = memory_get(&d.files, LEDGER_PATH_JOURNAL, &n);
	memory_put(to, "merkle/seeds/fuzz_journal/records", journal, n);
	ledger_close(l);
	memory_done(&d.files);
}

/* ---- fuzz_entry, and the bundles of fuzz_journal ---- */

static void single_entries(struct memory *to)
{
	char text[LEDGER_ENTRY_MAX], path[TILE_PATH_MAX];
	struct wr w = wr_over(bytes_made, sizeof bytes_made);

	wr_u8(&w, 2);
	for (unsigned i = 0; i < 2; i++) {
		snprintf(path, sizeof path, "merkle/seeds/fuzz_entry/line%u", i);
		memory_put(to, path, text, fixture_entry(text, i, SEED_ENTRY_EXTRA));
		size_t n = fixture_entry(text, i, 0);
		wr_u16(&w, (uint16_t)n);
		wr_bytes(&w, text, n);
	}
	memory_put(to, "merkle/seeds/fuzz_journal/two", bytes_made, wr_len(&w));
	/* After them the beginning of a record. */
	wr_bytes(&w, "PGJ1\0\0\0\x40", 8);
	for (unsigned i = 0; i < 40; i++)
		wr_u8(&w, 7);
	assert(!w.bad);
	memory_put(to, "merkle/seeds/fuzz_journal/torn", bytes_made, wr_len(&w));
}

/* ---- fuzz_evidence ---- */

static void tar_put(struct memory *to, const char *path, const struct memory *files)
{
	struct wr w = wr_over(bytes_made, sizeof bytes_made);
	static const uint8_t zeros[2 * TAR_BLOCK];

	for (size_t i = 0; i < files->n; i++) {
		uint8_t block[TAR_BLOCK];
		size_t n;
		const uint8_t *bytes = memory_get(files, files->file[i].path, &n);
		bool good = tar_header(block, files->file[i].path, n, SEED_CLOCK_US / 1000000);

		assert(good);
		wr_bytes(&w, block, sizeof block);
		wr_bytes(&w, bytes, n);
		wr_bytes(&w, zeros, tar_padding(n));
	}
	wr_bytes(&w, zeros, sizeof zeros);
	assert(!w.bad);
	memory_put(to, path, bytes_made, wr_len(&w));
}

struct making {
	const struct verify_source *from;
	struct memory *to;
};

static void file_take(void *context, const char *path)
{
	struct making *m = context;
	uint8_t *bytes;
	size_t n;
	enum rc rc = evidence_file_read(m->from, path, &bytes, &n);

	assert(rc == RC_OK);
	memory_put(m->to, path, bytes, n);
	free(bytes);
}

static void page_take(void *context, const char *page, size_t n)
{
	memory_put(context, EVIDENCE_PATH_TIMELINE, page, n);
}

static void bundle_put(
	struct memory *to, const char *path, struct memory *ledger, const char *from, const char *until)
{
	static struct verify_report report;
	struct verify_source source = memory_source(ledger);
	struct evidence *v = evidence_new(from, until);
	struct verify_options o = {
		.begin = evidence_begin, .entry = evidence_entry, .sealed = evidence_sealed, .context = v
	};
	struct memory bundle = { 0 }, page = { 0 };
	struct making m = { .from = &source, .to = &bundle };
	struct verify_range range;
	char text[EVIDENCE_README_MAX];
	size_t n;

	assert(v);
	enum rc rc = verify_ledger(&source, &o, &report, NULL);
	assert(rc == RC_OK);
	rc = evidence_choose(v, report.published, report.cosigned_head, &range);
	assert(rc == RC_OK);
	utc_text(range.made, SEED_CLOCK_US);
	snprintf(range.version, sizeof range.version, "0.1.0");
	n = evidence_readme_text(&range, text, sizeof text);
	memory_put(&bundle, EVIDENCE_PATH_README, text, n);
	n = evidence_range_text(&range, text, sizeof text);
	memory_put(&bundle, EVIDENCE_PATH_RANGE, text, n);
	file_take(&m, LEDGER_PATH_VKEY);
	file_take(&m, LEDGER_PATH_CHECKPOINT);
	if (evidence_needs_journal(v))
		file_take(&m, LEDGER_PATH_JOURNAL);
	evidence_files(v, file_take, &m);
	evidence_free(v);
	source = memory_source(&bundle);
	o = (struct verify_options){ .making = true, .timeline = page_take, .context = &page };
	rc = verify_ledger(&source, &o, &report, NULL);
	assert(rc == RC_OK);
	const uint8_t *html = memory_get(&page, EVIDENCE_PATH_TIMELINE, &n);
	assert(html);
	memory_put(&bundle, EVIDENCE_PATH_TIMELINE, html, n);
	tar_put(to, path, &bundle);
	memory_done(&page);
	memory_done(&bundle);
}

static void evidence_bundles(struct memory *to)
{
	struct memory ledger = ledger_of_300();

	bundle_put(to, "verify/seeds/fuzz_evidence/whole", &ledger, "2015-12-17T00:00:00.000000Z",
		"2015-12-17T23:59:59.999999Z");
	bundle_put(to, "verify/seeds/fuzz_evidence/end", &ledger, "2015-12-17T18:00:00.000299Z",
		"2015-12-17T18:00:00.000302Z");
	bundle_put(to, "verify/seeds/fuzz_evidence/few", &ledger, "2015-12-17T18:00:00.000010Z",
		"2015-12-17T18:00:00.000012Z");
	bundle_put(to, "verify/seeds/fuzz_evidence/empty", &ledger, "2001-12-17T00:00:00.000000Z",
		"2002-12-17T23:59:59.999999Z");
	/* No bundle, but a ledger whose first entries are in an archive. */
	memory_remove(&ledger, "tile/entries/000");
	memory_put(&ledger, LEDGER_PATH_ARCHIVED, "256\n", 4);
	tar_put(to, "verify/seeds/fuzz_evidence/archived", &ledger);
	memory_done(&ledger);
}

/* ---- fuzz_since ---- */

static void epoch_begin(struct ledger_log *l, struct memory *files, struct seal_epoch *ret_epoch)
{
	static const uint8_t seed[SEAL_SEED_SIZE] = "one-time keys, for tests";
	char path[SEAL_PATH_MAX], hex[2 * SHA256_SIZE + 1], text[LEDGER_ENTRY_MAX];
	struct ledger_entry entry = {
		.type = LEDGER_SEAL_EPOCH, .n = 2, .mono_us = 1000, .boot = { 0xb0, 0x07 }, .source = "ledger"
	};
	struct ledger_body b;
	uint64_t index;
	enum rc rc = seal_epoch_begin(ret_epoch, seed);

	assert(rc == RC_OK);
	memory_put(
		files, seal_path_keys(path, &ret_epoch->root), ret_epoch->publics, sizeof ret_epoch->publics);
	ledger_body_begin(&b, LEDGER_SEAL_EPOCH);
	ledger_body_u64(&b, "keys", SEAL_KEYS);
	ledger_body_str(&b, "root", hex_from_bytes(hex, ret_epoch->root.b, sizeof ret_epoch->root.b));
	entry.body = b.text;
	entry.body_n = ledger_body_done(&b);
	utc_text(entry.utc, 1450375200000000ull);
	rc = ledger_add(l, text, ledger_entry_text(text, &entry), &index);
	assert(rc == RC_OK && index == 1);
}

static void epoch_seal(struct ledger_log *l, struct memory *files, struct seal_epoch *epoch)
{
	struct note_key key = fixture_key();
	struct checkpoint c = { .size = ledger_size(l), .root = ledger_root(l) };
	char path[SEAL_PATH_MAX];
	uint8_t record[SEAL_RECORD_SIZE];

	memcpy(c.origin, key.name, sizeof c.origin);
	enum rc rc = seal_sign(epoch, &c, record);
	assert(rc == RC_OK);
	memory_put(files, seal_path_seals(path, &epoch->root), record, sizeof record);
}

/* What a walk over a ledger of 300 entries and one seal leaves; the fuzzer adds the digest itself. */
static void keep(void *context, const void *bytes, size_t n)
{
	size_t digest_n = strlen("sha256 \n") + 2 * SHA256_SIZE;

	assert(n > digest_n);
	memory_put(context, "verify/seeds/fuzz_since/of-300-entries", bytes, n - digest_n);
}

static void since(struct memory *to)
{
	static struct seal_epoch epoch;
	static struct verify_report report;
	struct disk d = { 0 };
	struct ledger_store store;
	struct ledger_log *l = log_open(&d, &store);
	char text[LEDGER_ENTRY_MAX];
	uint64_t index;
	enum rc rc = ledger_add(l, text, fixture_entry(text, 0, 0), &index);

	assert(rc == RC_OK);
	epoch_begin(l, &d.files, &epoch);
	for (uint64_t i = 1; i < SEED_PUBLISHED - 1; i++) {
		rc = ledger_add(l, text, fixture_entry(text, i, 0), &index);
		assert(rc == RC_OK);
	}
	rc = ledger_commit(l, NULL);
	assert(rc == RC_OK);
	epoch_seal(l, &d.files, &epoch);
	published(l);
	ledger_close(l);
	struct verify_source source = memory_source(&d.files);
	const struct verify_options o = {
		.vkey = SEED_VKEY, .sealed_starts = true, .keep = keep, .program = "0.1.0", .context = to
	};
	rc = verify_ledger(&source, &o, &report, NULL);
	assert(rc == RC_OK && report.seals == 1);
	seal_epoch_end(&epoch);
	memory_done(&d.files);
}

struct memory seeds_make(void)
{
	struct memory seeds = { 0 };

	small_ledgers(&seeds);
	single_entries(&seeds);
	evidence_bundles(&seeds);
	since(&seeds);
	seeds_randomness(&seeds);
	return seeds;
}
