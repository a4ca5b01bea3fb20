/*
 * Partial tiles of older checkpoints are copies of the beginnings of what stands beside them, and may be
 * removed (C2SP tlog-tiles); one that is there and says something else is a finding. What is no part of a
 * ledger is counted.
 */
#include "base/bytes.h"
#include "verify/internal.h"

#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#define DEPTH_MAX 12 /* folders: a tile's path has at most ten */

/* The newest form of the tile, or bundle, at the size: full, or its partial. 0: beyond the size. */
static uint32_t newest_width(uint32_t level, uint64_t n, uint64_t size)
{
	uint64_t full = tile_full(level, size);

	return n < full ? TILE_WIDTH : n == full ? tile_partial(level, size) : 0;
}

static enum rc copy_check(
	struct walk *w, const char *path, uint32_t level, uint64_t n, uint32_t width, uint32_t newest)
{
	char newest_path[TILE_PATH_MAX];
	uint8_t *copy = NULL, *whole = NULL;
	size_t copy_n = 0, whole_n = 0;
	enum rc rc = file_read(w->dir, path, &copy, &copy_n);

	/* Removed by the ledger since it was listed. */
	if (rc == RC_OK &&
		file_read(w->dir, tile_path(newest_path, level, n, newest), &whole, &whole_n) == RC_OK) {
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
			found(&w->stop, level == TILE_LEVEL_ENTRIES ? VERIFY_BUNDLE : VERIFY_TILE,
				"%s is no beginning of %s", path, newest_path);
		w->report->old_partials++;
	}
	free(copy);
	free(whole);
	return w->stop.class == VERIFY_NONE ? RC_OK : RC_AUTH;
}

static enum rc file_check(struct walk *w, const char *path, uint64_t size)
{
	uint32_t level, width;
	uint64_t n;

	if (strncmp(path, "seal/", 5) == 0)
		return RC_OK;
	if (!tile_path_parse(path, &level, &n, &width)) {
		bool ours = strcmp(path, LEDGER_PATH_CHECKPOINT) == 0 ||
			    strcmp(path, LEDGER_PATH_JOURNAL) == 0 || strcmp(path, LEDGER_PATH_VKEY) == 0;
		w->report->strays += !ours;
		return RC_OK;
	}
	uint32_t newest = newest_width(level, n, size);
	/* What stands beyond the size is of a checkpoint that is about to come, or never did: nothing signs
	 * it. */
	if (newest == 0 || width > newest)
		w->report->strays++;
	else if (width < newest)
		return copy_check(w, path, level, n, width, newest);
	return RC_OK;
}

static enum rc folder_check(struct walk *w, int fd, const char *path, uint64_t size, int depth)
{
	DIR *d = fdopendir(fd);
	enum rc rc = RC_OK;

	if (!d) {
		close(fd);
		return found(&w->stop, VERIFY_FILE, "the folder '%s' cannot be read", path);
	}
	for (struct dirent *f; rc == RC_OK && (f = readdir(d)) != NULL;) {
		char name[2 * TILE_PATH_MAX];
		int n = snprintf(name, sizeof name, "%s%s%s", path, path[0] ? "/" : "", f->d_name);
		int below;

		if (strcmp(f->d_name, ".") == 0 || strcmp(f->d_name, "..") == 0)
			continue;
		if (n < 0 || (size_t)n >= sizeof name) {
			w->report->strays++;
			continue;
		}
		below = openat(dirfd(d), f->d_name, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
		if (below < 0)
			rc = file_check(w, name, size);
		else if (depth == DEPTH_MAX)
			close(below);
		else
			rc = folder_check(w, below, name, size, depth + 1);
	}
	closedir(d);
	return rc;
}

enum rc partials_check(struct walk *w, uint64_t size)
{
	int fd = openat(w->dir, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	return fd < 0 ? found(&w->stop, VERIFY_FILE, "the directory cannot be read")
		      : folder_check(w, fd, "", size, 0);
}
