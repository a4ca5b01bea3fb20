/*
 * Reading the log again: roots and proofs for witnesses, and the entries of the running boot after a start.
 * What a start reads is bounded: the counters are stated in the log now and then (LEDGER_COUNTERS), so it
 * goes back to such an entry and not to the beginning of the boot. Every bundle that is read is checked against the
 * tree that the checkpoint signs, the one with the statement included.
 */
#include "ledger/counters.h"
#include "ledger/internal.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* The root of 2^level leaves: from memory after the last full tile, else folded from a tile on the disk. */
static bool subtree_find(void *context, unsigned level, uint64_t index, struct merkle_hash *ret_hash)
{
	const struct ledger_log *l = context;
	unsigned tiles = level / 8, rest = level % 8;
	size_t count = (size_t)1 << rest, n = 0;
	const struct merkle_hash *hash;
	uint8_t *bytes = NULL;
	char path[TILE_PATH_MAX];

	if (tiles >= TILE_LEVELS)
		return false;
	const struct level *v = &l->level[tiles];
	uint64_t first = index << rest, in_memory = v->first_tile * TILE_WIDTH;
	assert(first % TILE_WIDTH + count <= TILE_WIDTH); /* a subtree of up to 2^7 hashes lies in one tile */
	if (first >= in_memory) {
		if (first - in_memory + count > v->n)
			return false;
		hash = &v->hash[first - in_memory];
	} else {
		tile_path(path, tiles, first / TILE_WIDTH, TILE_WIDTH);
		if (l->store.read(l->store.context, path, &bytes, &n, NULL) != RC_OK)
			return false;
		hash = (const struct merkle_hash *)(const void *)bytes + first % TILE_WIDTH;
	}
	bool found = !bytes || n == TILE_WIDTH * sizeof *hash;
	struct merkle_edge edge = { 0 };
	for (size_t i = 0; found && i < count; i++)
		merkle_edge_add(&edge, &hash[i]);
	if (found)
		*ret_hash = merkle_edge_root(&edge);
	free(bytes);
	return found;
}

enum rc ledger_prove(const struct ledger_log *l, uint64_t size, struct merkle_hash *ret_root,
	struct merkle_proof *ret_proof)
{
	if (size == 0 || size > (ret_proof ? l->published : l->edge.size))
		return RC_RANGE;
	enum rc rc = merkle_root(subtree_find, (void *)(uintptr_t)l, size, ret_root);
	if (rc == RC_OK && ret_proof)
		rc = merkle_prove_consistency(
			subtree_find, (void *)(uintptr_t)l, size, l->published, ret_proof);
	return rc;
}

/* ---- the entries of the boot ---- */

/* Entries that are looked through for a statement of the counters. Where none stands in these the boot is
 * young, or a Plaingate that made none has written it. */
#define SEARCH_BUNDLES                                                                                       \
	((LEDGER_COUNTERS_EVERY + LEDGER_COUNTERS_BEHIND + 2 * LEDGER_BATCH_MAX) / TILE_WIDTH + 2)

struct reading {
	const struct ledger_log *l;
	const uint8_t *boot;
	struct err *e;
	enum rc rc;		/* sticky */
	uint64_t bundle, index; /* the open one; of the entry that comes next */
	uint8_t *bytes;		/* of one from the disk */
	struct rd entries;
	/* the entry that was read last */
	struct ledger_entry entry;
	const uint8_t *text;
	size_t text_n;
	bool in_boot;
};

/* A bundle by its number: the last, open one from memory (and what follows it), the others from the disk.
 */
static void bundle_open(struct reading *g, uint64_t bundle)
{
	const struct ledger_log *l = g->l;
	char path[TILE_PATH_MAX];
	size_t n = 0;

	assert(bundle <= l->level[0].first_tile);
	free(g->bytes);
	g->bytes = NULL;
	g->bundle = bundle;
	g->index = bundle * TILE_WIDTH;
	g->entries = rd_over(l->bundle ? l->bundle : l->batch, l->bundle_n);
	if (bundle >= l->level[0].first_tile)
		return;
	g->rc = l->store.read(l->store.context, tile_path(path, TILE_LEVEL_ENTRIES, bundle, TILE_WIDTH),
		&g->bytes, &n, g->e);
	g->entries = rd_over(g->bytes ? g->bytes : l->batch, g->bytes ? n : 0);
}

/* The next entry's text. False: there is none in the open bundle, or g->rc. */
static bool text_next(struct reading *g)
{
	if (g->rc != RC_OK || !bundle_next(&g->entries, &g->text, &g->text_n)) {
		if (g->rc == RC_OK && g->entries.bad)
			g->rc = err_add(g->e, RC_MALFORMED, "malformed bundle: it ends within an entry");
		return false;
	}
	g->index++;
	return true;
}

/* What it says. False: g->rc. */
static bool entry_read(struct reading *g)
{
	g->rc = ledger_entry_parse(&g->entry, (const char *)g->text, g->text_n, g->e);
	if (g->rc ==
		RC_UNSUPPORTED) { /* of a newer version: its number, boot and time are all that is needed */
		g->rc = RC_OK;
		err_clear(g->e);
	}
	g->in_boot = g->rc == RC_OK && memcmp(g->entry.boot, g->boot, LEDGER_BOOT_SIZE) == 0;
	return g->rc == RC_OK;
}

static bool entry_next(struct reading *g)
{
	return text_next(g) && entry_read(g);
}

/* The first bundle that may hold an entry of the boot: entries of a boot stand together, at the end. */
static uint64_t boot_find(struct reading *g)
{
	uint64_t low = 0,
		 high = g->l->level[0].first_tile; /* the first that begins in the boot is not above */

	while (g->rc == RC_OK && low < high) {
		uint64_t middle = low + (high - low) / 2;
		bundle_open(g, middle);
		if (entry_next(g) && g->in_boot)
			high = middle;
		else
			low = middle + 1;
		if (g->rc == RC_NOT_FOUND) { /* it went to an archive, which takes old ones only */
			g->rc = RC_OK;
			err_clear(g->e);
		}
	}
	return low > 0 ? low - 1 : 0;
}

/* An entry in canonical form is of that type only when this stands in it; a text may quote it as well. */
static bool maybe_statement(const struct reading *g)
{
	char type[64];
	int n = snprintf(type, sizeof type, "\"type\":\"%s\"", ledger_type_name(LEDGER_COUNTERS));

	return memmem(g->text, g->text_n, type, (size_t)n) != NULL;
}

/* Index of the statement of the counters to begin with; UINT64_MAX: there is none, read the whole boot. */
static uint64_t statement_find(struct reading *g)
{
	uint64_t last = g->l->level[0].first_tile, found = UINT64_MAX;
	bool in_boot = true; /* the bundle's first entry: then others may stand before it */

	for (uint64_t i = 0; i < SEARCH_BUNDLES && i <= last && in_boot && found == UINT64_MAX; i++) {
		bundle_open(g, last - i);
		for (bool first = true; text_next(g); first = false) {
			if (!first &&
				!maybe_statement(g)) /* what is wrong with it is found when it is read */
				continue;
			if (!entry_read(g))
				break;
			in_boot = first ? g->in_boot : in_boot;
			if (g->entry.type == LEDGER_COUNTERS && g->in_boot &&
				g->index - 1 + LEDGER_COUNTERS_BEHIND <= g->l->edge.size)
				found = g->index - 1; /* the last of them counts */
		}
		if (g->rc != RC_OK)
			break;
	}
	return found;
}

/*
 * Is h the hash of this place in the tree? What is in memory made the root that was checked when the log was
 * opened; what is on the disk must have its own root one level up.
 */
static bool tree_holds(
	const struct ledger_log *l, unsigned level, uint64_t index, const struct merkle_hash *h)
{
	const struct level *v = &l->level[level];
	uint64_t in_memory = v->first_tile * TILE_WIDTH;
	struct merkle_hash tile[TILE_WIDTH], up;
	char path[TILE_PATH_MAX];
	uint8_t *bytes = NULL;
	size_t n = 0;

	assert(level < TILE_LEVELS);
	if (index >= in_memory)
		return index - in_memory < v->n && merkle_equal(&v->hash[index - in_memory], h);
	if (level + 1 == TILE_LEVELS ||
		l->store.read(l->store.context, tile_path(path, level, index / TILE_WIDTH, TILE_WIDTH),
			&bytes, &n, NULL) != RC_OK)
		return false;
	bool whole = n == sizeof tile;
	if (whole)
		memcpy(tile, bytes, sizeof tile);
	free(bytes);
	if (!whole || !merkle_equal(&tile[index % TILE_WIDTH], h))
		return false;
	up = ledger_tile_root(tile);
	return tree_holds(l, level + 1, index / TILE_WIDTH, &up);
}

/* The open bundle, if it is from the disk: one in memory was checked when the log was opened. */
static void bundle_check(struct reading *g)
{
	struct rd r = g->entries;
	struct merkle_hash leaf[TILE_WIDTH], root;
	const uint8_t *text;
	size_t n, count = 0;

	if (g->rc != RC_OK || !g->bytes)
		return;
	for (; count < TILE_WIDTH && bundle_next(&r, &text, &n); count++)
		leaf[count] = merkle_leaf(text, n);
	if (count == TILE_WIDTH && rd_left(&r) == 0) {
		root = ledger_tile_root(leaf);
		if (tree_holds(g->l, 1, g->bundle, &root))
			return;
	}
	g->rc = err_add(g->e, RC_AUTH, "the bundle's entries are not those that the checkpoint signs");
}

enum rc ledger_replay(const struct ledger_log *l, const uint8_t boot[LEDGER_BOOT_SIZE],
	ledger_replay_fn *each, void *context, struct err *e)
{
	struct reading g = { .l = l, .boot = boot, .e = e };
	uint64_t from = statement_find(&g), last = l->level[0].first_tile;
	uint64_t begin = MIN_OF(from / TILE_WIDTH, last); /* the last is as long as what is not published */

	if (g.rc == RC_OK && from == UINT64_MAX) {
		begin = boot_find(&g);
		from = 0;
	}
	assert(begin <= last);
	for (uint64_t bundle = begin; g.rc == RC_OK && bundle <= last; bundle++) {
		if ((bundle - begin) % LEDGER_PROGRESS_EVERY == 0 && l->store.progress)
			l->store.progress(l->store.context, bundle - begin, last - begin);
		bundle_open(&g, bundle);
		bundle_check(&g);
		while (entry_next(&g)) {
			struct merkle_hash leaf = merkle_leaf(g.text, g.text_n);
			if (g.in_boot && g.index > from)
				each(context, &g.entry, g.index - 1, &leaf);
		}
	}
	if (g.rc != RC_OK)
		err_add(e, g.rc, "while reading bundle %llu of this boot", (unsigned long long)g.bundle);
	free(g.bytes);
	return g.rc;
}
