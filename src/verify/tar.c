#include "verify/tar.h"

#include "base/rd.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* The header's fields: offset and size, as POSIX lays them out. */
enum {
	AT_NAME = 0,
	AT_MODE = 100,
	AT_UID = 108,
	AT_GID = 116,
	AT_SIZE = 124,
	AT_MTIME = 136,
	AT_SUM = 148,
	AT_TYPE = 156,
	AT_MAGIC = 257,
	AT_DEVICES = 329,
};

static const char magic[8] = { 'u', 's', 't', 'a', 'r', '\0', '0', '0' };

_Static_assert(AT_SUM + 8 == AT_TYPE && AT_MAGIC + sizeof magic <= AT_DEVICES, "the fields do not overlap");

bool tar_name_good(const char *name)
{
	static const char letters[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789._-";
	size_t n = strlen(name);

	if (n == 0 || n >= TAR_NAME_MAX)
		return false;
	for (const char *part = name;;) {
		size_t len = strcspn(part, "/");
		if (len == 0 || strspn(part, letters) < len || (len == 1 && part[0] == '.') ||
			(len == 2 && part[0] == '.' && part[1] == '.'))
			return false;
		if (!part[len])
			return true;
		part += len + 1;
	}
}

/* The sum of the header's octets, its own place taken as blanks. */
static unsigned sum_of(const uint8_t *block)
{
	unsigned sum = 0;

	for (unsigned i = 0; i < TAR_BLOCK; i++)
		sum += i >= AT_SUM && i < AT_SUM + 8 ? ' ' : block[i];
	return sum;
}

/* Writes `digits` octal digits and a terminator. */
static void octal_put(uint8_t *at, unsigned digits, uint64_t value)
{
	at[digits] = '\0';
	while (digits-- > 0) {
		at[digits] = (uint8_t)('0' + (value & 7));
		value >>= 3;
	}
}

bool tar_header(uint8_t ret_block[TAR_BLOCK], const char *name, uint64_t n, uint64_t mtime)
{
	uint64_t limit = 1ull << 33; /* eleven octal digits */

	if (!tar_name_good(name) || n >= limit || mtime >= limit)
		return false;
	memset(ret_block, 0, TAR_BLOCK);
	memcpy(ret_block + AT_NAME, name, strlen(name));
	octal_put(ret_block + AT_MODE, 7, 0644);
	octal_put(ret_block + AT_UID, 7, 0);
	octal_put(ret_block + AT_GID, 7, 0);
	octal_put(ret_block + AT_SIZE, 11, n);
	octal_put(ret_block + AT_MTIME, 11, mtime);
	ret_block[AT_TYPE] = '0';
	memcpy(ret_block + AT_MAGIC, magic, sizeof magic);
	octal_put(ret_block + AT_SUM, 6, sum_of(ret_block));
	ret_block[AT_SUM + 7] = ' ';
	return true;
}

/* Eleven octal digits and a terminator. */
static bool octal_take(const uint8_t *at, uint64_t *ret)
{
	*ret = 0;
	for (int i = 0; i < 11; i++) {
		if (at[i] < '0' || at[i] > '7')
			return false;
		*ret = *ret << 3 | (uint64_t)(at[i] - '0');
	}
	return at[11] == '\0';
}

static bool zeros(const uint8_t *at, size_t n)
{
	for (size_t i = 0; i < n; i++)
		if (at[i] != 0)
			return false;
	return true;
}

/* A header says exactly what tar_header() would: the one that it makes for name, size and time is the same.
 */
static bool header_take(const uint8_t *block, struct tar_file *ret_file)
{
	uint8_t again[TAR_BLOCK];
	uint64_t n, mtime;
	const uint8_t *end = memchr(block + AT_NAME, '\0', TAR_NAME_MAX);

	if (!end || !octal_take(block + AT_SIZE, &n) || !octal_take(block + AT_MTIME, &mtime))
		return false;
	memcpy(ret_file->name, block + AT_NAME, TAR_NAME_MAX);
	ret_file->n = (size_t)n;
	return tar_header(again, ret_file->name, n, mtime) && memcmp(again, block, TAR_BLOCK) == 0;
}

static bool file_add(struct tar *t, const struct tar_file *f)
{
	if (t->n == t->room) {
		size_t room = t->room ? 2 * t->room : 64;
		struct tar_file *more = realloc(t->file, room * sizeof *more);
		if (!more)
			return false;
		t->file = more;
		t->room = room;
	}
	t->file[t->n++] = *f;
	return true;
}

static int by_name(const void *a, const void *b)
{
	return strcmp(((const struct tar_file *)a)->name, ((const struct tar_file *)b)->name);
}

static enum rc files_parse(struct tar *t, struct rd *r, const uint8_t *base, struct err *e)
{
	for (;;) {
		size_t at = (size_t)(r->at - base);
		const uint8_t *block = rd_take(r, TAR_BLOCK);
		struct tar_file f;
		if (!block)
			return err_add(e, RC_TRUNCATED,
				"the bundle is truncated at byte %zu: its two final blocks are missing", at);
		if (zeros(block, TAR_BLOCK)) {
			if (rd_left(r) < TAR_BLOCK || !zeros(r->at, rd_left(r)))
				return err_add(e, RC_MALFORMED,
					"unexpected data after the bundle's end, from byte %zu", at);
			return RC_OK;
		}
		if (!header_take(block, &f))
			return err_add(e, RC_MALFORMED,
				"unexpected header at byte %zu: the bundle was altered or repacked", at);
		f.bytes = rd_take(r, f.n);
		const uint8_t *padding = f.bytes ? rd_take(r, tar_padding(f.n)) : NULL;
		if (!padding)
			return err_add(e, RC_TRUNCATED, "'%s' at byte %zu is truncated", f.name, at);
		if (!zeros(padding, tar_padding(f.n)))
			return err_add(e, RC_MALFORMED,
				"unexpected data in the padding after '%s' at byte %zu", f.name, at);
		if (t->n == TAR_FILES_MAX || !file_add(t, &f))
			return err_add(e, RC_LIMIT, "the bundle has too many files");
	}
}

enum rc tar_parse(struct tar *ret_tar, const void *bytes, size_t n, struct err *e)
{
	struct rd r = rd_over(bytes, n);
	struct tar t = { 0 };
	enum rc rc = files_parse(&t, &r, bytes, e);

	if (rc == RC_OK && t.n > 0)
		qsort(t.file, t.n, sizeof *t.file, by_name);
	for (size_t i = 1; rc == RC_OK && i < t.n; i++)
		if (strcmp(t.file[i].name, t.file[i - 1].name) == 0)
			rc = err_add(e, RC_EXISTS, "'%s' occurs twice in the bundle", t.file[i].name);
	if (rc != RC_OK)
		tar_done(&t);
	*ret_tar = t;
	return rc;
}

void tar_done(struct tar *t)
{
	free(t->file);
	*t = (struct tar){ 0 };
}

const struct tar_file *tar_find(const struct tar *t, const char *name)
{
	struct tar_file wanted;

	if (t->n == 0 || strlen(name) >= sizeof wanted.name)
		return NULL;
	snprintf(wanted.name, sizeof wanted.name, "%s", name);
	return bsearch(&wanted, t->file, t->n, sizeof *t->file, by_name);
}
