/*
 * Bundles of entries up to a size, and the tree over them against the checkpoint. Where the source says that
 * entries are elsewhere, their hashes are taken from the tiles: from the lowest level that is there.
 */
#include "base/bytes.h"
#include "verify/internal.h"

#include <assert.h>
#include <stdlib.h>

/* The entries of a bundle that are not in the tree yet. RC_NOT_FOUND: it is elsewhere; RC_IO: it could not be
 * read, and perhaps its hashes can. */
static enum rc bundle_check(struct walk *w, uint64_t bundle, uint32_t width)
{
	char path[TILE_PATH_MAX];
	uint8_t *bytes;
	const uint8_t *entry;
	size_t n, entry_n;
	uint32_t count = 0, known = (uint32_t)(w->edge.size - bundle * TILE_WIDTH);
	enum rc rc = tile_read(w, TILE_LEVEL_ENTRIES, bundle, width, path, &bytes, &n);

	/* What was verified earlier may have been moved since. */
	assert(known < width);
	bool resumed =
		known > 0 && bundle == w->report->since / TILE_WIDTH && w->edge.size == w->report->since;
	if (rc == RC_NOT_FOUND && (known == 0 || resumed) && scope_excludes(w, bundle))
		return rc;
	if (rc == RC_NOT_FOUND)
		return report_finding_at(&w->stop, VERIFY_ENTRY_BUNDLE, w->edge.size, "%s is missing", path);
	if (rc != RC_OK)
		return rc;
	w->report->entry_bundles++;
	w->leaves_given = false;
	struct rd r = rd_over(bytes, n);
	while (rc == RC_OK && count < width && bundle_next(&r, &entry, &entry_n)) {
		struct merkle_hash leaf = merkle_leaf(entry, entry_n);
		if (count++ < known) {
			if (resumed && !merkle_equal(&leaf, &w->open[0][count - 1]))
				rc = report_finding_at(&w->stop, VERIFY_ENTRY,
					bundle * TILE_WIDTH + count - 1,
					"it was altered after it was verified");
			continue;
		}
		entry_check(w, entry, entry_n);
		rc = tree_subtree_add(w, 0, &leaf);
		w->report->made[VERIFY_CHECK_ENTRIES]++;
	}
	bool more = !r.bad && rd_left(&r) > 0;
	if (rc == RC_OK && (r.bad || count != width || more))
		rc = report_finding_at(&w->stop, VERIFY_ENTRY_BUNDLE, bundle_first_mismatch(w, width),
			"%s contains %s%u complete entries, expected %u", path, more ? "more than " : "",
			count, width);
	free(bytes);
	return rc;
}

/* ---- holes ---- */

static void hole_note(struct walk *w, uint64_t first, uint64_t end)
{
	struct verify_report *r = w->report;

	assert(first < end);
	r->entries_unseen += end - first;
	w->hole = true;
	w->seals.hole = true;
	if (r->holes_n > 0 && r->holes_n <= VERIFY_HOLES_MAX && r->hole[r->holes_n - 1].end == first) {
		r->hole[r->holes_n - 1].end = end;
		return;
	}
	if (r->holes_n < VERIFY_HOLES_MAX) {
		r->hole[r->holes_n].first = first;
		r->hole[r->holes_n].end = end;
	}
	r->holes_n++;
}

/* The hashes of the bundle's entries, one by one. */
static enum rc leaves_take(struct walk *w, uint64_t bundle, uint32_t width)
{
	uint32_t known = (uint32_t)(w->edge.size - bundle * TILE_WIDTH);
	char path[TILE_PATH_MAX];
	uint8_t *bytes;
	size_t n;
	enum rc rc = tile_read(w, 0, bundle, width, path, &bytes, &n);

	if (rc == RC_OK && n != width * sizeof(struct merkle_hash))
		rc = report_finding(&w->stop, VERIFY_TILE, "%s has %zu bytes, expected %zu", path, n,
			width * sizeof(struct merkle_hash));
	w->leaves_given = true;
	for (uint32_t i = 0; rc == RC_OK && i < width; i++) {
		struct merkle_hash leaf;
		memcpy(leaf.b, bytes + i * sizeof leaf, sizeof leaf.b);
		if (i >= known)
			rc = tree_subtree_add(w, 0, &leaf);
		else if (!merkle_equal(&leaf, &w->open[0][i]))
			rc = report_finding_at(&w->stop, VERIFY_TILE, bundle * TILE_WIDTH + i,
				"its hash in %s was altered after it was verified", path);
	}
	free(bytes);
	return rc;
}

/* The root of 256^level leaves, from the tile of that level. RC_NOT_FOUND: it is not there, or none can be.
 */
static enum rc subtree_take(struct walk *w, unsigned level, uint64_t size)
{
	uint64_t leaves = 1ull << (8 * level), index = w->edge.size >> (8 * level);
	uint64_t tile = index / TILE_WIDTH;
	uint32_t at = (uint32_t)(index % TILE_WIDTH);
	uint32_t width = tile < tile_full(level, size) ? TILE_WIDTH : tile_partial(level, size);
	char path[TILE_PATH_MAX];
	struct merkle_hash hash;
	uint8_t *bytes;
	size_t n;

	if (w->edge.size % leaves != 0 || size - w->edge.size < leaves || at >= width)
		return RC_NOT_FOUND;
	enum rc rc = tile_read(w, level, tile, width, path, &bytes, &n);
	if (rc == RC_OK && n != width * sizeof hash)
		rc = report_finding(&w->stop, VERIFY_TILE, "%s has %zu bytes, expected %zu", path, n,
			width * sizeof hash);
	if (rc == RC_OK) {
		memcpy(hash.b, bytes + at * sizeof hash, sizeof hash.b);
		for (unsigned below = 0; below < level; below++)
			w->hashes[below] += 1ull << (8 * (level - below));
		rc = tree_subtree_add(w, level, &hash);
	}
	free(bytes);
	return rc;
}

static enum rc hole_pass(struct walk *w, uint64_t bundle, uint32_t width, uint64_t size)
{
	uint64_t first = w->edge.size;
	enum rc rc = leaves_take(w, bundle, width);

	for (unsigned level = 1; rc == RC_NOT_FOUND && level < TILE_LEVELS; level++)
		rc = subtree_take(w, level, size);
	if (rc == RC_NOT_FOUND && w->unread.class != VERIFY_NONE)
		return RC_IO; /* they are noted as what could not be read */
	if (rc == RC_NOT_FOUND)
		return report_finding_at(&w->stop, VERIFY_TILE, first,
			"the entries from here on are missing, and so are the tiles with their hashes");
	if (rc == RC_OK)
		hole_note(w, first, w->edge.size);
	return rc;
}

enum rc bundles_check(struct walk *w, uint64_t size)
{
	enum rc rc = RC_OK;

	while (rc == RC_OK && w->edge.size < size) {
		uint64_t bundle = w->edge.size / TILE_WIDTH, left = size - bundle * TILE_WIDTH;
		uint32_t width = (uint32_t)MIN_OF(left, (uint64_t)TILE_WIDTH);
		rc = bundle_check(w, bundle, width);
		if (rc == RC_NOT_FOUND || (rc == RC_IO && w->edge.size % TILE_WIDTH == 0))
			rc = hole_pass(w, bundle, width, size);
	}
	return rc;
}

/* ---- the tree ---- */

enum rc tiles_check(struct walk *w, const struct checkpoint *c)
{
	enum rc rc = bundles_check(w, c->size);

	if (rc != RC_OK)
		return rc;
	assert(w->edge.size == c->size);
	for (unsigned level = 0; level < TILE_LEVELS; level++) {
		uint32_t width = tile_partial(level, c->size);
		if (width && (rc = tile_compare(w, level, tile_full(level, c->size), width)) != RC_OK)
			return rc;
	}
	struct merkle_hash root = merkle_edge_root(&w->edge);
	if (merkle_equal(&root, &c->root)) {
		since_keep(w);
		return RC_OK;
	}
	/* The entries are not those that were signed. The tiles may still know which one it is. */
	if (w->tile.class != VERIFY_NONE)
		return report_finding_at(&w->stop, VERIFY_ENTRY, w->tile.entry, "it%s was altered: %s",
			w->tile_level > 0 ? ", or one after it," : "", w->tile.text);
	if (w->entry.class == VERIFY_ENTRY)
		return RC_AUTH;
	return report_finding(&w->stop, VERIFY_ROOT,
		"the root of the %llu entries differs from the one that the checkpoint signs",
		(unsigned long long)c->size);
}
