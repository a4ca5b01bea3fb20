/*
 * Partial tiles of older checkpoints are copies of prefixes of the present ones, and may be removed (C2SP
 * tlog-tiles); one that differs is a finding. Files that are not part of a ledger are counted.
 */
#include "base/bytes.h"
#include "verify/internal.h"

#include <stdlib.h>

/* The newest form of the tile, or bundle, at the size: full, or its partial. 0: beyond the size. */
static uint32_t newest_width(uint32_t level, uint64_t n, uint64_t size)
{
	uint64_t full = tile_full(level, size);

	return n < full ? TILE_WIDTH : n == full ? tile_partial(level, size) : 0;
}

static void copy_check(
	struct walk *w, const char *path, uint32_t level, uint64_t n, uint32_t width, uint32_t newest)
{
	char newest_path[TILE_PATH_MAX];
	uint8_t *copy = NULL, *whole = NULL;
	size_t copy_n = 0, whole_n = 0;
	enum rc rc = walk_file_read(w, path, &copy, &copy_n);

	/* Removed by the ledger since it was listed. */
	enum rc whole_rc = walk_file_read(w, tile_path(newest_path, level, n, newest), &whole, &whole_n);
	if (rc == RC_OK && whole_rc == RC_NOT_FOUND) {
		w->report->stray_files++; /* nothing here tells what it should be */
	} else if (rc == RC_OK && whole_rc == RC_OK) {
		bool same = copy_n <= whole_n && memcmp(copy, whole, copy_n) == 0;
		if (level != TILE_LEVEL_ENTRIES) {
			same = same && copy_n == width * sizeof(struct merkle_hash);
		} else {
			struct rd r = rd_over(copy, copy_n);
			const uint8_t *entry;
			size_t entry_n;
			uint32_t count = 0;
			while (bundle_next(&r, &entry, &entry_n))
				count++;
			same = same && !r.bad && count == width;
		}
		if (!same)
			report_finding(&w->copy,
				level == TILE_LEVEL_ENTRIES ? VERIFY_ENTRY_BUNDLE : VERIFY_TILE,
				"%s is not a prefix of %s", path, newest_path);
		w->report->old_partial_tiles++;
		w->report->made[VERIFY_CHECK_COPIES]++;
	}
	free(copy);
	free(whole);
}

struct listing {
	struct walk *w;
	uint64_t size;
};

static void file_check(void *context, const char *path)
{
	struct listing *l = context;
	uint32_t level, width;
	uint64_t n;

	if (l->w->copy.class != VERIFY_NONE || (!l->w->report->bundle && strncmp(path, "seal/", 5) == 0) ||
		strncmp(path, LEDGER_PATH_PEERS "/", strlen(LEDGER_PATH_PEERS "/")) ==
			0) /* not of this log */
		return;
	if (!l->w->report->bundle &&
		strncmp(path, LEDGER_PATH_BEFORE "/", strlen(LEDGER_PATH_BEFORE "/")) == 0) {
		const char *end = strrchr(path, '/');
		l->w->report->ended_logs += strcmp(end + 1, LEDGER_PATH_VKEY) == 0;
		return;
	}
	if (!tile_path_parse(path, &level, &n, &width)) {
		bool ours = strcmp(path, LEDGER_PATH_CHECKPOINT) == 0 ||
			    strcmp(path, LEDGER_PATH_JOURNAL) == 0 || strcmp(path, LEDGER_PATH_VKEY) == 0 ||
			    strcmp(path, VERIFY_PATH_COSIGNED) == 0 ||
			    strcmp(path, VERIFY_PATH_ARCHIVED) == 0;
		l->w->report->stray_files += !ours && !bundled_path(l->w, path);
		return;
	}
	uint32_t newest = newest_width(level, n, l->size);
	/* What is beyond the size belongs to a checkpoint that is not published yet, or never was: nothing
	 * signs it. */
	if (newest == 0 || width > newest || (width < newest && l->w->report->bundle))
		l->w->report->stray_files++;
	else if (width < newest)
		copy_check(l->w, path, level, n, width, newest);
}

enum rc partials_check(struct walk *w, uint64_t size)
{
	struct listing l = { w, size };

	if (!w->source->list || w->report->since > 0) /* that is all of the log */
		return RC_OK;
	if (w->source->list(w->source->context, file_check, &l) != RC_OK)
		return report_unread(w, "the list of files");
	w->report->made[VERIFY_CHECK_LISTED]++;
	return w->copy.class == VERIFY_NONE ? RC_OK : RC_AUTH;
}
