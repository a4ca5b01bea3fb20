#include "memory.h"

#include "base/bytes.h"
#include "base/wr.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct blob {
	size_t refs, n, room;
	uint8_t bytes[];
};

/* A large file that grows has room for as much again: a journal is appended to thousands of times. */
#define LARGE (64u << 10)

static struct blob *blob_new(const void *a, size_t a_n, const void *b, size_t b_n)
{
	size_t n = a_n + b_n, room = b_n > 0 && n > LARGE ? 2 * n : n;
	struct blob *blob = malloc(sizeof *blob + room);

	assert(blob);
	blob->refs = 1;
	blob->n = n;
	blob->room = room;
	if (a_n > 0)
		memcpy(blob->bytes, a, a_n);
	if (b_n > 0)
		memcpy(blob->bytes + a_n, b, b_n);
	return blob;
}

static void blob_unref(struct blob *b)
{
	if (b && --b->refs == 0)
		free(b);
}

static struct memory_file *file_find(const struct memory *m, const char *path)
{
	for (size_t i = 0; i < m->n; i++)
		if (strcmp(m->file[i].path, path) == 0)
			return &m->file[i];
	return NULL;
}

const uint8_t *memory_get(const struct memory *m, const char *path, size_t *ret_n)
{
	const struct memory_file *f = file_find(m, path);

	*ret_n = f ? f->blob->n : 0;
	return f ? f->blob->bytes : NULL;
}

static void file_set(struct memory *m, const char *path, struct blob *blob)
{
	struct memory_file *f = file_find(m, path);

	if (!f) {
		if (m->n == m->room) {
			m->room = m->room ? 2 * m->room : 32;
			m->file = realloc(m->file, m->room * sizeof *m->file);
			assert(m->file);
		}
		f = &m->file[m->n++];
		f->blob = NULL;
		snprintf(f->path, sizeof f->path, "%s", path);
	}
	blob_unref(f->blob);
	f->blob = blob;
}

static void file_append(struct memory *m, const char *path, const void *bytes, size_t n)
{
	const struct memory_file *f = file_find(m, path);
	struct blob *b = f ? f->blob : NULL;

	if (b && b->refs == 1 && b->room - b->n >= n) { /* nobody else looks at it */
		if (n > 0)
			memcpy(b->bytes + b->n, bytes, n);
		b->n += n;
	} else
		file_set(m, path, blob_new(b ? b->bytes : NULL, b ? b->n : 0, bytes, n));
}

void memory_put(struct memory *m, const char *path, const void *bytes, size_t n)
{
	file_set(m, path, blob_new(bytes, n, NULL, 0));
}

void memory_remove(struct memory *m, const char *path)
{
	struct memory_file *f = file_find(m, path);

	if (!f)
		return;
	blob_unref(f->blob);
	*f = m->file[--m->n];
}

void memory_copy(struct memory *ret_to, const struct memory *from)
{
	*ret_to = (struct memory){ .n = from->n, .room = from->n };
	if (from->n == 0)
		return;
	ret_to->file = malloc(from->n * sizeof *from->file);
	assert(ret_to->file);
	memcpy(ret_to->file, from->file, from->n * sizeof *from->file);
	for (size_t i = 0; i < from->n; i++)
		from->file[i].blob->refs++;
}

void memory_done(struct memory *m)
{
	for (size_t i = 0; i < m->n; i++)
		blob_unref(m->file[i].blob);
	free(m->file);
	*m = (struct memory){ 0 };
}

size_t memory_pack(const struct memory *m, uint8_t *ret_bytes, size_t max)
{
	struct wr w = wr_over(ret_bytes, max);

	for (size_t i = 0; i < m->n; i++) {
		const char *path = m->file[i].path;
		size_t n;
		const uint8_t *bytes = memory_get(m, path, &n);

		assert(strlen(path) <= UINT8_MAX && n <= UINT16_MAX);
		wr_u8(&w, (uint8_t)strlen(path));
		wr_bytes(&w, path, strlen(path));
		wr_u16(&w, (uint16_t)n);
		wr_bytes(&w, bytes, n);
	}
	assert(!w.bad);
	return wr_len(&w);
}

struct memory memory_unpack(const uint8_t *bytes, size_t n)
{
	struct rd r = rd_over(bytes, n);
	struct memory m = { 0 };

	while (rd_left(&r) > 0 && m.n < MEMORY_UNPACK_MAX) {
		char path[TILE_PATH_MAX] = "";
		size_t path_n = rd_u8(&r);
		struct rd name = rd_sub(&r, path_n), file = rd_sub(&r, rd_u16(&r));
		if (r.bad || path_n >= sizeof path)
			break;
		memcpy(path, name.at, path_n);
		memory_put(&m, path, file.at, rd_left(&file));
	}
	return m;
}

void disk_apply(struct memory *files, const struct disk_change *c)
{
	size_t n, folder_n = strlen(c->path);
	const uint8_t *old = memory_get(files, c->path, &n);

	switch (c->what) {
	case DISK_REPLACE:
		memory_put(files, c->path, c->bytes, c->n);
		break;
	case DISK_APPEND:
		file_append(files, c->path, c->bytes, c->n);
		break;
	case DISK_TRUNCATE:
		/* As ftruncate() does: a larger size fills up with zeros. */
		if (c->n <= n) {
			memory_put(files, c->path, old, c->n);
		} else {
			void *zeros = calloc(1, c->n - n);
			assert(zeros);
			file_set(files, c->path, blob_new(old, n, zeros, c->n - n));
			free(zeros);
		}
		break;
	case DISK_REMOVE:
		for (size_t i = 0; i < files->n;)
			if (strncmp(files->file[i].path, c->path, folder_n) == 0 &&
				files->file[i].path[folder_n] == '/')
				memory_remove(files, files->file[i].path);
			else
				i++;
		break;
	}
}

/* ---- ledger/log.h ---- */

static enum rc change(struct disk *d, const struct disk_change *c, struct err *e)
{
	enum rc rc = d->before ? d->before(d->context, d, c) : RC_OK;

	if (rc != RC_OK)
		return err_add(e, rc, "'%s' on a disk that fails", c->path);
	disk_apply(&d->files, c);
	return RC_OK;
}

static enum rc bytes_read(const struct memory *m, const char *path, uint8_t **ret_bytes, size_t *ret_n)
{
	const uint8_t *bytes = memory_get(m, path, ret_n);

	*ret_bytes = NULL;
	if (!bytes)
		return RC_NOT_FOUND;
	*ret_bytes = malloc(*ret_n + 1);
	assert(*ret_bytes);
	memcpy(*ret_bytes, bytes, *ret_n);
	return RC_OK;
}

static enum rc disk_read(void *context, const char *path, uint8_t **ret_bytes, size_t *ret_n, struct err *e)
{
	struct disk *d = context;

	*ret_bytes = NULL;
	*ret_n = 0;
	if (++d->reads == d->read_fails)
		return err_add(e, RC_IO, "'%s' on a disk that cannot be read", path);
	enum rc rc = bytes_read(&d->files, path, ret_bytes, ret_n);

	return rc == RC_OK ? RC_OK : err_add(e, rc, "no file '%s'", path);
}

static enum rc disk_replace(void *context, const char *path, const void *bytes, size_t n, struct err *e)
{
	return change(context, &(struct disk_change){ DISK_REPLACE, path, bytes, n }, e);
}

static enum rc disk_append(void *context, const char *path, const void *bytes, size_t n, struct err *e)
{
	return change(context, &(struct disk_change){ DISK_APPEND, path, bytes, n }, e);
}

static enum rc disk_truncate(void *context, const char *path, size_t n, struct err *e)
{
	return change(context, &(struct disk_change){ DISK_TRUNCATE, path, NULL, n }, e);
}

static void disk_remove_partials(void *context, const char *path)
{
	change(context, &(struct disk_change){ DISK_REMOVE, path, NULL, 0 }, NULL);
}

struct ledger_store disk_store(struct disk *d)
{
	return (struct ledger_store){ .context = d,
		.read = disk_read,
		.replace = disk_replace,
		.append = disk_append,
		.truncate = disk_truncate,
		.remove_partials = disk_remove_partials };
}

/* ---- verify/verify.h ---- */

static enum rc source_read(void *context, const char *path, uint8_t **ret_bytes, size_t *ret_n)
{
	return bytes_read(context, path, ret_bytes, ret_n);
}

static enum rc source_list(void *context, void (*each)(void *to, const char *path), void *to)
{
	const struct memory *m = context;

	for (size_t i = 0; i < m->n; i++)
		each(to, m->file[i].path);
	return RC_OK;
}

/* Nobody writes meanwhile. */
static void source_pause(void *context)
{
}

struct verify_source memory_source(struct memory *m)
{
	return (struct verify_source){
		.context = m, .read = source_read, .list = source_list, .pause = source_pause
	};
}
