/*
 * The journal as the next start finds it. The input's first octet says how many of its entries (a bundle) are
 * made into records that are right and signed; what is left stands behind them as it is. The ledger opens
 * with these records and cuts off the rest, or refuses because a whole record stands behind a damaged one;
 * nothing in the rest is ever taken as an entry.
 */
#include "../../tests/unit/ledger/ledger_fixture.h"
#include "../../tests/unit/ledger/memory.h"

#include "ledger/journal.h"

#include <assert.h>
#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

static uint8_t journal[1 << 20];

/* One record with the entry; returns its length. */
static size_t record(uint8_t *to, size_t room, struct merkle_edge *edge, const struct note_key *key,
	const uint8_t *entry, size_t n)
{
	struct wr w = wr_over(to, room);
	struct checkpoint c = { 0 };
	struct merkle_hash leaf = merkle_leaf(entry, n);
	char text[NOTE_NAME_MAX + 96], note[NOTE_BYTES_MAX];
	uint64_t first = edge->size;
	uint8_t bundle[LEDGER_ENTRY_MAX + 2];

	merkle_edge_add(edge, &leaf);
	memcpy(c.origin, key->name, sizeof c.origin);
	c.size = edge->size;
	c.root = merkle_edge_root(edge);
	size_t text_n = checkpoint_text(text, sizeof text, &c);
	size_t note_n = note_sign(note, sizeof note, text, text_n, key, fixture_seed);
	store_be16(bundle, (uint16_t)n);
	memcpy(bundle + 2, entry, n);
	return journal_write(&w, first, 1, bundle, n + 2, note, note_n);
}

/* Every record that the reader takes lies in the bytes, and the reader goes on. */
static void records_read(const uint8_t *bytes, size_t n)
{
	struct rd r = rd_over(bytes, n);
	const uint8_t *at = r.at;
	struct journal_record j;

	while (journal_next(&r, &j) == RC_OK) {
		assert(r.at > at && (const uint8_t *)j.note >= at &&
			(const uint8_t *)j.note + j.note_n <= r.at);
		assert(j.entries.at >= at && j.entries.end <= r.at);
		at = r.at;
	}
	journal_goes_on(at, n - (size_t)(at - bytes));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	struct note_key key = fixture_key();
	struct rd r = rd_over(data, n);
	unsigned count = rd_u8(&r) % 4;
	struct merkle_edge edge = { 0 };
	struct ledger_opened opened;
	struct ledger_log *l = NULL;
	struct disk d = { 0 };
	struct ledger_store store = disk_store(&d);
	const uint8_t *entry;
	size_t entry_n, used = 0;

	records_read(data, n);
	while (edge.size < count && bundle_next(&r, &entry, &entry_n) && entry_n > 0 &&
		entry_n <= LEDGER_ENTRY_MAX)
		used += record(journal + used, sizeof journal - used, &edge, &key, entry, entry_n);
	size_t left = rd_left(&r);
	if (left > sizeof journal - used)
		return 0;
	if (left > 0)
		memcpy(journal + used, r.at, left);
	memory_put(&d.files, LEDGER_PATH_JOURNAL, journal, used + left);
	enum rc rc = ledger_open(&l, &store, &key, fixture_seed, &opened, NULL);
	assert(rc == RC_OK || rc == RC_AUTH);
	if (rc == RC_OK) {
		struct merkle_hash root = ledger_root(l), expected = merkle_edge_root(&edge);
		assert(ledger_size(l) == edge.size && merkle_equal(&root, &expected));
		assert(opened.torn_bytes == left);
		memory_get(&d.files, LEDGER_PATH_JOURNAL, &entry_n);
		assert(entry_n == used);
	}
	ledger_close(l);
	memory_done(&d.files);
	return 0;
}
