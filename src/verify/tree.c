/* The tree over the entries, as it grows, against the tiles that keep its hashes and what is signed of it. */
#include "verify/internal.h"

#include <assert.h>
#include <stdlib.h>

enum rc tile_compare(struct walk *w, unsigned level, uint64_t tile, uint32_t width)
{
	char path[TILE_PATH_MAX];
	uint8_t *bytes;
	size_t n = 0;

	assert(level < TILE_LEVELS && width > 0 && width <= TILE_WIDTH);
	/* What came from the tile itself says nothing about it. */
	if (level == 0 && w->leaves_given)
		return RC_OK;
	enum rc rc = tile_read(w, level, tile, width, path, &bytes, &n);
	if (rc == RC_NOT_FOUND)
		return report_finding(&w->stop, VERIFY_TILE, "%s is missing", path);
	if (rc != RC_OK) /* noted; the tree is made from the entries */
		return RC_OK;
	w->report->tiles++;
	w->report->made[VERIFY_CHECK_TILES]++;
	if (n != width * sizeof(struct merkle_hash)) {
		rc = report_finding(&w->stop, VERIFY_TILE, "%s has %zu bytes, expected %zu", path, n,
			width * sizeof(struct merkle_hash));
	} else if (memcmp(bytes, w->open[level], n) != 0) {
		uint32_t i = 0;
		while (memcmp(bytes + i * sizeof(struct merkle_hash), w->open[level][i].b, SHA256_SIZE) == 0)
			i++;
		/* Which of the two was altered the checkpoint will tell. */
		if (w->tile.class == VERIFY_NONE)
			w->tile_level = level;
		report_finding_at(&w->tile, VERIFY_TILE, (tile * TILE_WIDTH + i) << (8 * level),
			"hash %u of %s does not match what is below it", i, path);
	}
	free(bytes);
	return rc;
}

uint64_t bundle_first_mismatch(struct walk *w, uint32_t width)
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

void tree_check_at_size(struct walk *w)
{
	seals_check_at_size(w);
	heads_check_at_size(w);
	journal_check_at_size(w);
}

enum rc tree_subtree_add(struct walk *w, unsigned level, const struct merkle_hash *hash)
{
	struct merkle_hash h = *hash;
	enum rc rc = hash_emit(w, level, &h);
	unsigned k = 8 * level;

	/* Only whole subtrees stand on the left of one of 256^level leaves. */
	assert(level < TILE_LEVELS && w->edge.size % (1ull << k) == 0);
	/* As merkle_edge_add_subtree(), with an eye on the subtrees that the tiles keep: those of 256^level
	 * leaves. */
	for (; w->edge.size >> k & 1 && rc == RC_OK; k++) {
		h = merkle_node(&w->edge.subtree[k], &h);
		if ((k + 1) % 8 == 0 && (k + 1) / 8 < TILE_LEVELS)
			rc = hash_emit(w, (k + 1) / 8, &h);
	}
	w->edge.subtree[k] = h;
	w->edge.size += 1ull << (8 * level);
	if (rc == RC_OK) {
		tree_check_at_size(w);
		if (w->options->grown)
			w->options->grown(w->options->context, &w->edge);
	}
	return rc;
}
