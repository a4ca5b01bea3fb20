#include "cli/source.h"

#include "base/bytes.h"
#include "cli/directory.h"
#include "cli/limits.h"
#include "cli/url.h"
#include "verify/tar.h"
#include "cli/limits.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

/* One place: a directory, a file or an address. */
struct evidence_place {
	int dir; /* -1: none */
	uint8_t *bytes;
	struct tar tar;
	struct ledger_url *url;
	struct verify_source source;
};

struct source {
	struct evidence_place main, archive;
	bool archive_any;
};

enum rc source_file(const char *path, size_t max, uint8_t **ret_bytes, size_t *ret_n, struct err *e)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK); /* a pipe without a writer is no file */
	struct stat st;
	size_t at = 0;
	enum rc rc = RC_OK;

	*ret_bytes = NULL;
	*ret_n = 0;
	if (fd < 0)
		return err_errno(e, RC_IO, "open '%s'", path);
	if (fstat(fd, &st) < 0 || !S_ISREG(st.st_mode))
		rc = err_add(e, RC_IO, "'%s' is not a regular file", path);
	else if ((uint64_t)st.st_size > max)
		rc = err_add(e, RC_LIMIT, "'%s' has %lld bytes, at most %zu are allowed", path,
			(long long)st.st_size, max);
	else if (!(*ret_bytes = malloc((size_t)st.st_size + 1)))
		rc = err_add(e, RC_LIMIT, "out of memory");
	while (rc == RC_OK && at < (size_t)st.st_size) {
		ssize_t n = read(fd, *ret_bytes + at, (size_t)st.st_size - at);
		if (n < 0)
			rc = err_errno(e, RC_IO, "read '%s'", path);
		if (n <= 0)
			break;
		at += (size_t)n;
	}
	close(fd);
	if (rc != RC_OK) {
		free(*ret_bytes);
		*ret_bytes = NULL;
	}
	*ret_n = rc == RC_OK ? at : 0;
	return rc;
}

/* ---- a bundle ---- */

static enum rc bundle_read(void *context, const char *path, uint8_t **ret_bytes, size_t *ret_n)
{
	const struct tar_file *f = tar_find(context, path);

	*ret_bytes = NULL;
	*ret_n = 0;
	if (!f)
		return RC_NOT_FOUND;
	*ret_bytes = malloc(f->n + 1);
	if (!*ret_bytes)
		return RC_LIMIT;
	memcpy(*ret_bytes, f->bytes, f->n);
	*ret_n = f->n;
	return RC_OK;
}

static enum rc bundle_list(void *context, void (*each)(void *to, const char *path), void *to)
{
	const struct tar *t = context;

	for (size_t i = 0; i < t->n; i++)
		each(to, t->file[i].name);
	return RC_OK;
}

static void no_pause(void *context)
{
}

/* ---- places ---- */

static enum rc place_open(struct evidence_place *p, const char *where, struct err *e)
{
	struct stat st;
	size_t n;

	*p = (struct evidence_place){ .dir = -1 };
	if (url_is(where)) {
		enum rc rc = url_open(&p->url, where, e);
		if (rc == RC_OK)
			p->source = url_source(p->url);
		return rc;
	}
	if (stat(where, &st) < 0)
		return err_errno(e, RC_IO, "open '%s'", where);
	if (S_ISDIR(st.st_mode)) {
		p->dir = open(where, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
		if (p->dir < 0)
			return err_errno(e, RC_IO, "open the directory '%s'", where);
		p->source = directory_source(&p->dir);
		return RC_OK;
	}
	enum rc rc = source_file(where, CLI_BUNDLE_BYTES_MAX, &p->bytes, &n, e);
	if (rc == RC_OK)
		rc = tar_parse(&p->tar, p->bytes, n, e);
	if (rc != RC_OK)
		return err_add(e, rc, "while reading the bundle '%s'", where);
	p->source = (struct verify_source){
		.context = &p->tar, .read = bundle_read, .list = bundle_list, .pause = no_pause
	};
	return RC_OK;
}

static void place_close(struct evidence_place *p)
{
	if (p->dir >= 0)
		close(p->dir);
	url_close(p->url);
	tar_done(&p->tar);
	free(p->bytes);
}

/* ---- the ledger first, then its archive ---- */

static enum rc both_read(void *context, const char *path, uint8_t **ret_bytes, size_t *ret_n)
{
	struct source *s = context;
	enum rc rc = s->main.source.read(s->main.source.context, path, ret_bytes, ret_n);

	if (rc == RC_NOT_FOUND && s->archive_any)
		rc = s->archive.source.read(s->archive.source.context, path, ret_bytes, ret_n);
	return rc;
}

static enum rc main_list(void *context, void (*each)(void *to, const char *path), void *to)
{
	struct source *s = context;

	return s->main.source.list(s->main.source.context, each, to);
}

static void main_pause(void *context)
{
	struct source *s = context;

	s->main.source.pause(s->main.source.context);
}

enum rc source_open(struct source **ret_source, const char *where, const char *archive, struct err *e)
{
	struct source *s = calloc(1, sizeof *s);

	*ret_source = NULL;
	if (!s)
		return err_add(e, RC_LIMIT, "out of memory");
	s->archive.dir = -1;
	enum rc rc = place_open(&s->main, where, e);
	if (rc == RC_OK && archive) {
		rc = place_open(&s->archive, archive, e);
		s->archive_any = rc == RC_OK;
	}
	if (rc != RC_OK) {
		source_close(s);
		return rc;
	}
	*ret_source = s;
	return RC_OK;
}

void source_close(struct source *s)
{
	if (!s)
		return;
	place_close(&s->main);
	place_close(&s->archive);
	free(s);
}

struct verify_source source_of(struct source *s)
{
	return (struct verify_source){ .context = s,
		.read = both_read,
		.list = s->main.source.list ? main_list : NULL,
		.pause = main_pause };
}

const char *source_trouble(const struct source *s)
{
	const char *trouble = s->main.url ? url_trouble(s->main.url) : "";

	return trouble[0] || !s->archive.url ? trouble : url_trouble(s->archive.url);
}
