/*
 * Entries: each by itself, in the order of its source's counter and of time; the tree over them, and the
 * tiles that keep its hashes.
 */
#include "base/bytes.h"
#include "verify/internal.h"

#include <stdlib.h>

static void boot_begins(struct walk *w, const struct ledger_entry *entry, uint64_t index)
{
	memset(&w->counters, 0, sizeof w->counters);
	memcpy(w->boot, entry->boot, sizeof w->boot);
	w->last_mono = 0;
	w->report->boots++;
	if (entry->type != LEDGER_LEDGER_START)
		found_at(&w->entry, VERIFY_ENTRY, index, "a new boot begins without ledger_start");
}

static void order_check(struct walk *w, const struct ledger_entry *entry, uint64_t index)
{
	uint64_t due;

	if (index == 0 || memcmp(entry->boot, w->boot, sizeof w->boot) != 0)
		boot_begins(w, entry, index);
	if (!ledger_counters_follow(&w->counters, entry, &due)) {
		if (entry->n == due)
			found_at(&w->entry, VERIFY_COUNTER, index,
				"the numbers that it says are missing are not those that are due");
		else
			found_at(&w->entry, VERIFY_COUNTER, index,
				"number %llu of %s in its run %u does not follow, %llu is due: entries are "
				"missing or stand twice",
				(unsigned long long)entry->n, entry->source, (unsigned)entry->run,
				(unsigned long long)due);
	}
	if (entry->mono_us < w->last_mono)
		found_at(&w->entry, VERIFY_TIME, index,
			"its monotonic time lies before that of the entry before it");
	w->last_mono = entry->mono_us;
	w->report->gaps += entry->type == LEDGER_COUNTER_GAP || entry->type == LEDGER_GAP;
	if (index == 0)
		memcpy(w->report->first_utc, entry->utc, sizeof entry->utc);
	else if (strcmp(entry->utc, w->last_utc) < 0)
		w->report->clock_steps++;
	memcpy(w->last_utc, entry->utc, sizeof w->last_utc);
	memcpy(w->report->last_utc, entry->utc, sizeof entry->utc);
}

void entry_check(struct walk *w, const uint8_t *bytes, size_t n)
{
	uint64_t index = w->edge.size;
	struct ledger_entry entry;
	struct err e = { 0 };

	if (w->entry.class != VERIFY_NONE)
		return;
	if (ledger_entry_parse(&entry, (const char *)bytes, n, &e) != RC_OK) {
		found_at(&w->entry, VERIFY_ENTRY, index, "%s", e.text);
		return;
	}
	order_check(w, &entry, index);
	if (w->entry.class != VERIFY_NONE)
		return;
	w->report->entries++;
	if (entry.type == LEDGER_SEAL_EPOCH)
		seals_begin(w, &entry, index);
	if (w->options->entry)
		w->options->entry(w->options->context, &entry, index);
}

/* The first `count` entries of a bundle, in bytes; the whole of it when it has fewer. */
static size_t bundle_beginning(const uint8_t *bytes, size_t n, uint32_t count)
{
	struct rd r = rd_over(bytes, n);
	const uint8_t *entry;
	size_t entry_n;

	while (count > 0 && bundle_next(&r, &entry, &entry_n))
		count--;
	return count > 0 ? n : (size_t)(r.at - bytes);
}

enum rc tile_read(const struct walk *w, uint32_t level, uint64_t tile, uint32_t width,
	char ret_path[TILE_PATH_MAX], uint8_t **ret_bytes, size_t *ret_n)
{
	enum rc rc = file_read(w, tile_path(ret_path, level, tile, width), ret_bytes, ret_n);
	char full[TILE_PATH_MAX];

	if (rc != RC_NOT_FOUND || width == TILE_WIDTH)
		return rc;
	/* The full one replaces it, and begins with the same. */
	rc = file_read(w, tile_path(full, level, tile, TILE_WIDTH), ret_bytes, ret_n);
	if (rc == RC_OK) {
		memcpy(ret_path, full, sizeof full);
		*ret_n = level == TILE_LEVEL_ENTRIES ? bundle_beginning(*ret_bytes, *ret_n, width)
						     : MIN_OF(*ret_n, width * sizeof(struct merkle_hash));
	}
	return rc;
}

enum rc tile_compare(struct walk *w, unsigned level, uint64_t tile, uint32_t width)
{
	char path[TILE_PATH_MAX];
	uint8_t *bytes;
	size_t n = 0;
	enum rc rc = tile_read(w, level, tile, width, path, &bytes, &n);

	if (rc != RC_OK)
		return found(&w->stop, VERIFY_TILE, "%s %s", path,
			rc == RC_NOT_FOUND ? "is missing" : "cannot be read");
	w->report->tiles++;
	if (n != width * sizeof(struct merkle_hash)) {
		rc = found(&w->stop, VERIFY_TILE, "%s has %zu bytes, expected %zu", path, n,
			width * sizeof(struct merkle_hash));
	} else if (memcmp(bytes, w->open[level], n) != 0) {
		uint32_t i = 0;
		while (memcmp(bytes + i * sizeof(struct merkle_hash), w->open[level][i].b, SHA256_SIZE) == 0)
			i++;
		/* Which of the two was altered the checkpoint will tell. */
		if (w->tile.class == VERIFY_NONE)
			w->tile_level = level;
		found_at(&w->tile, VERIFY_TILE, (tile * TILE_WIDTH + i) << (8 * level),
			"hash %u of %s is not that of what stands below it", i, path);
	}
	free(bytes);
	return rc;
}

uint64_t bundle_departs(struct walk *w, uint32_t width)
{
	uint64_t first = w->edge.size / TILE_WIDTH * TILE_WIDTH;
	size_t n, count = w->edge.size - first;
	char path[TILE_PATH_MAX];
	uint64_t at = w->edge.size;
	uint8_t *bytes;

	if (count == 0 || tile_read(w, 0, first / TILE_WIDTH, width, path, &bytes, &n) != RC_OK)
		return at;
	for (size_t i = 0; i < count && (i + 1) * sizeof(struct merkle_hash) <= n && at == w->edge.size; i++)
		if (memcmp(bytes + i * sizeof(struct merkle_hash), w->open[0][i].b, SHA256_SIZE) != 0)
			at = first + i;
	free(bytes);
	return at;
}

static enum rc hash_emit(struct walk *w, unsigned level, const struct merkle_hash *h)
{
	uint64_t at = w->hashes[level]++;

	w->open[level][at % TILE_WIDTH] = *h;
	return (at + 1) % TILE_WIDTH ? RC_OK : tile_compare(w, level, at / TILE_WIDTH, TILE_WIDTH);
}

enum rc leaf_add(struct walk *w, const struct merkle_hash *leaf)
{
	struct merkle_hash h = *leaf;
	enum rc rc = hash_emit(w, 0, &h);
	unsigned k = 0;

	/* As merkle_edge_add(), with an eye on the subtrees that the tiles keep: those of 256^level leaves.
	 */
	for (; w->edge.size >> k & 1 && rc == RC_OK; k++) {
		h = merkle_node(&w->edge.subtree[k], &h);
		if ((k + 1) % 8 == 0 && (k + 1) / 8 < TILE_LEVELS)
			rc = hash_emit(w, (k + 1) / 8, &h);
	}
	w->edge.subtree[k] = h;
	w->edge.size++;
	return rc;
}
