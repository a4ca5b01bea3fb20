#include "proc/ledger/files.h"
#include "proc/ledger/limits.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#define TEMPORARY "new.tmp"

static enum rc all_write(int fd, const uint8_t *bytes, size_t n)
{
	while (n > 0) {
		ssize_t done = write(fd, bytes, n);
		if (done < 0 && errno == EINTR)
			continue;
		if (done <= 0)
			return RC_IO;
		bytes += done;
		n -= (size_t)done;
	}
	return RC_OK;
}

static enum rc files_read(void *context, const char *path, uint8_t **ret_bytes, size_t *ret_n, struct err *e)
{
	struct ledger_files *s = context;
	struct stat st;
	int fd = openat(s->dir, path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
	size_t at = 0;

	*ret_bytes = NULL;
	if (fd < 0)
		return errno == ENOENT || errno == ENOTDIR ? err_errno(e, RC_NOT_FOUND, "open '%s'", path)
							   : err_errno(e, RC_IO, "open '%s'", path);
	enum rc rc = RC_OK;
	if (fstat(fd, &st) != 0 || !S_ISREG(st.st_mode) || st.st_size > (off_t)LEDGER_FILE_BYTES_MAX)
		rc = err_add(e, RC_IO, "'%s' is not a regular file of at most %u octets", path,
			LEDGER_FILE_BYTES_MAX);
	else if (!(*ret_bytes = malloc((size_t)st.st_size + 1)))
		rc = err_add(e, RC_LIMIT, "out of memory for '%s'", path);
	while (rc == RC_OK && at < (size_t)st.st_size) {
		ssize_t n = read(fd, *ret_bytes + at, (size_t)st.st_size - at);
		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			rc = err_errno(e, RC_IO, "read '%s'", path);
		else
			at += (size_t)n;
	}
	*ret_n = at;
	if (rc != RC_OK) {
		free(*ret_bytes);
		*ret_bytes = NULL;
	}
	close(fd);
	return rc;
}

/* Makes the folders of a path and leaves the last one open; -1 and errno. New folders are synced into their
 * parents. */
static int folder_open(int dir, const char *path, const char **ret_name)
{
	int at = dup(dir);
	const char *slash;

	while (at >= 0 && (slash = strchr(path, '/')) != NULL) {
		char name[32];
		size_t n = (size_t)(slash - path);
		if (n == 0 || n >= sizeof name) {
			close(at);
			errno = ENAMETOOLONG;
			return -1;
		}
		memcpy(name, path, n);
		name[n] = '\0';
		if (mkdirat(at, name, 0755) == 0)
			fsync(at);
		int next = openat(at, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
		int saved = errno;
		close(at);
		errno = saved;
		at = next;
		path = slash + 1;
	}
	*ret_name = path;
	return at;
}

static enum rc files_replace(void *context, const char *path, const void *bytes, size_t n, struct err *e)
{
	struct ledger_files *s = context;
	const char *name;
	int folder = folder_open(s->dir, path, &name);
	int fd = folder < 0 ? -1
			    : openat(folder, TEMPORARY, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW,
				      0644);
	enum rc rc = RC_OK;

	if (fd < 0 || all_write(fd, bytes, n) != RC_OK || fsync(fd) != 0 ||
		renameat(folder, TEMPORARY, folder, name) != 0 || fsync(folder) != 0)
		rc = err_errno(e, RC_IO, "write '%s'", path);
	if (fd >= 0)
		close(fd);
	if (folder >= 0)
		close(folder);
	if (strcmp(path, LEDGER_PATH_JOURNAL) == 0 && s->journal >= 0) {
		close(s->journal); /* the name is another file now */
		s->journal = -1;
	}
	return rc;
}

static enum rc journal_open(struct ledger_files *s, struct err *e)
{
	if (s->journal < 0)
		s->journal =
			openat(s->dir, LEDGER_PATH_JOURNAL, O_WRONLY | O_APPEND | O_CLOEXEC | O_NOFOLLOW);
	return s->journal >= 0 ? RC_OK : err_errno(e, RC_IO, "open '%s'", LEDGER_PATH_JOURNAL);
}

static enum rc files_append(void *context, const char *path, const void *bytes, size_t n, struct err *e)
{
	struct ledger_files *s = context;
	enum rc rc = journal_open(s, e);

	if (rc == RC_OK && (all_write(s->journal, bytes, n) != RC_OK || fdatasync(s->journal) != 0))
		rc = err_errno(e, RC_IO, "append to '%s'", path);
	return rc;
}

static enum rc files_truncate(void *context, const char *path, size_t n, struct err *e)
{
	struct ledger_files *s = context;
	enum rc rc = journal_open(s, e);

	if (rc == RC_OK && (ftruncate(s->journal, (off_t)n) != 0 || fdatasync(s->journal) != 0))
		rc = err_errno(e, RC_IO, "truncate '%s' to %zu octets", path, n);
	return rc;
}

static void files_remove_partials(void *context, const char *path)
{
	struct ledger_files *s = context;
	int fd = openat(s->dir, path, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
	DIR *d = fd >= 0 ? fdopendir(fd) : NULL;

	if (!d) {
		if (fd >= 0)
			close(fd);
		return;
	}
	for (struct dirent *f; (f = readdir(d)) != NULL;)
		if (f->d_name[0] != '.')
			unlinkat(fd, f->d_name, 0);
	closedir(d);
	unlinkat(s->dir, path, AT_REMOVEDIR);
}

static void files_progress(void *context, uint64_t done, uint64_t all)
{
	const struct ledger_files *s = context;

	if (s->progress)
		s->progress(s->progress_context, done, all);
}

struct ledger_store ledger_files_over(struct ledger_files *s, int dir)
{
	*s = (struct ledger_files){ .dir = dir, .journal = -1 };
	return (struct ledger_store){ .context = s,
		.read = files_read,
		.replace = files_replace,
		.append = files_append,
		.truncate = files_truncate,
		.remove_partials = files_remove_partials,
		.progress = files_progress };
}

void ledger_files_done(struct ledger_files *s)
{
	if (s->journal >= 0)
		close(s->journal);
	s->journal = -1;
}
