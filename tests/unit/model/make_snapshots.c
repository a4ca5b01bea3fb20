/*
 * make_snapshots FUZZ: are the seeds of fuzz_snapshot below that directory of the tree the blocks that the
 * compiler makes now of the seeds of fuzz_config_text? make_snapshots --update FUZZ: writes them. Run again
 * with --update when struct snapshot changes: a block of another size is refused before anything is read.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "model/model.h"
#include "model/snapshot.h"

static int complain(const char *path, const char *why)
{
	fprintf(stderr, "make_snapshots: '%s': %s\n", path, why);
	return 1;
}

/* 0: what the file has is the block, or is from now on. */
static int file_take(const char *path, const void *block, size_t n, bool updates)
{
	static char there[1 << 20];
	FILE *f = fopen(path, updates ? "we" : "re");

	if (!f)
		return complain(path, strerror(errno));
	size_t done = updates ? fwrite(block, 1, n, f) : fread(there, 1, sizeof there, f);
	if (fclose(f) != 0 || done != n || (!updates && memcmp(there, block, n) != 0))
		return complain(path, updates ? strerror(errno) : "stale: run make_snapshots --update FUZZ");
	return 0;
}

static int seed(const char *folder, const char *text, size_t text_n, const char *name, bool updates)
{
	char path[4096];
	struct model *m = NULL;
	void *block = NULL;
	struct err e = { 0 };
	size_t n = 0;

	snprintf(path, sizeof path, "%s/model/seeds/fuzz_snapshot/%s", folder, name);
	enum rc rc = model_load_text(text, text_n, name, &m, &e);
	rc = rc == RC_OK ? model_compile(m, 1, NULL, &block, &n, &e) : rc;
	rc = rc == RC_OK ? snapshot_check(block, n, &e) : rc;
	int failed = rc == RC_OK ? file_take(path, block, n, updates) : complain(name, e.text);
	free(block);
	model_free(m);
	return failed;
}

int main(int argc, char **argv)
{
	static const char *const names[] = { "hq", "branch", "small", "keys", "witnesses" };
	bool updates = argc == 3 && strcmp(argv[1], "--update") == 0;
	const char *folder = argv[argc - 1];
	int failed = 0;

	if (argc != 2 && !updates) {
		fprintf(stderr, "usage: make_snapshots [--update] FUZZ\n");
		return 2;
	}
	for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
		static char text[1 << 16];
		char path[4096];

		snprintf(path, sizeof path, "%s/model/seeds/fuzz_config_text/%s.conf", folder, names[i]);
		FILE *f = fopen(path, "re");
		if (!f)
			return complain(path, strerror(errno));
		size_t n = fread(text, 1, sizeof text, f);
		fclose(f);
		failed |= seed(folder, text, n, names[i], updates);
	}
	return failed | seed(folder, "", 0, "empty", updates);
}
