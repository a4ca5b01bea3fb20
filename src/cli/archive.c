/*
 * What is moved never changes again: full entry bundles, and the seals of epochs that have ended. So the
 * ledger may be written to meanwhile. The order makes it safe to be killed at any point: copies, each named
 * only when complete; then all of them flushed to the disk; then the ledger verified with the copies in place
 * of what is about to be removed; then the mark that states what is elsewhere; only then is anything removed.
 * Running it again continues where it ended.
 *
 * The last entries of the running boot stay: the ledger reads them again when it is restarted
 * (verify/retention.h).
 */
#include "cli/archive.h"

#include "base/bytes.h"
#include "cli/directory.h"
#include "cli/render.h"
#include "cli/source.h"
#include "cli/times.h"
#include "verify/retention.h"
#include "cli/limits.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#define PATH_ROOM 128

struct mover {
	int ledger, archive; /* directories */
	struct retention *plan;
	uint64_t moved, bytes;
	bool masked; /* what is about to go is read from the archive alone */
	struct err *e;
	enum rc rc; /* the first failure */
};

/* ---- files below a directory ---- */

/* The directory of the path, and its name there. -1: errno. */
static int folder_open(int dir, const char *path, const char **ret_name)
{
	const char *slash = strrchr(path, '/');
	char folder[PATH_ROOM];

	*ret_name = slash ? slash + 1 : path;
	snprintf(folder, sizeof folder, "%.*s", slash ? (int)(slash - path) : 1, slash ? path : ".");
	return directory_open(dir, folder, O_RDONLY | O_DIRECTORY);
}

/* Folders of the path, made where they are missing. */
static enum rc folders_make(int dir, const char *path, struct err *e)
{
	char part[PATH_ROOM];

	for (const char *slash = strchr(path, '/'); slash; slash = strchr(slash + 1, '/')) {
		snprintf(part, sizeof part, "%.*s", (int)(slash - path), path);
		const char *last;
		int in = folder_open(dir, part, &last);
		bool made = in >= 0 && (mkdirat(in, last, 0700) == 0 || errno == EEXIST);
		if (!made)
			err_errno(e, RC_IO, "create the directory '%s' in the archive", part);
		if (in >= 0)
			close(in);
		if (!made)
			return RC_IO;
	}
	return RC_OK;
}

static bool bytes_put(int fd, const uint8_t *bytes, size_t n)
{
	for (size_t at = 0; at < n;) {
		ssize_t part = write(fd, bytes + at, n - at);
		if (part < 0 && errno == EINTR)
			continue;
		if (part <= 0)
			return false;
		at += (size_t)part;
	}
	return true;
}

/* Under its name only when it is whole. Durable with the next sync of the whole archive. */
static enum rc file_put(int dir, const char *path, const uint8_t *bytes, size_t n, struct err *e)
{
	char name[PATH_ROOM];
	enum rc rc = folders_make(dir, path, e);

	if (rc != RC_OK)
		return rc;
	const char *last;
	int in = folder_open(dir, path, &last);
	snprintf(name, sizeof name, "%s.new", last);
	int fd = in >= 0 ? openat(in, name, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0600) : -1;
	bool good = fd >= 0 && bytes_put(fd, bytes, n) && fsync(fd) == 0 && renameat(in, name, in, last) == 0;
	rc = good ? RC_OK : err_errno(e, RC_IO, "write '%s'", path);
	if (fd >= 0)
		close(fd);
	if (in >= 0)
		close(in);
	return rc;
}

static enum rc file_get(int dir, const char *path, uint8_t **ret_bytes, size_t *ret_n)
{
	struct verify_source source = directory_source(&dir);

	return source.read(source.context, path, ret_bytes, ret_n);
}

/* ---- copying ---- */

/* A file that the ledger has is in the archive from now on, with the same octets. */
static void file_copy(void *context, const char *path)
{
	struct mover *m = context;
	uint8_t *here = NULL, *there = NULL;
	size_t here_n, there_n;

	if (m->rc != RC_OK)
		return;
	enum rc rc = file_get(m->ledger, path, &here, &here_n);
	if (rc == RC_NOT_FOUND)
		return; /* moved before */
	enum rc there_rc = rc == RC_OK ? file_get(m->archive, path, &there, &there_n) : rc;
	if (rc != RC_OK)
		m->rc = err_add(m->e, rc, "read '%s' of the ledger", path);
	else if (there_rc == RC_NOT_FOUND)
		m->rc = file_put(m->archive, path, here, here_n, m->e);
	else if (there_rc != RC_OK)
		m->rc = err_add(m->e, there_rc, "read '%s' of the archive", path);
	else if (here_n != there_n || memcmp(here, there, here_n) != 0)
		m->rc = err_add(m->e, RC_EXISTS,
			"the archive has a different '%s': it belongs to another ledger", path);
	if (m->rc == RC_OK) {
		m->moved++;
		m->bytes += here_n;
	}
	free(here);
	free(there);
}

/* Copied, so that the archive says whose it is; it stays in the ledger. */
static void key_copy(struct mover *m)
{
	uint64_t moved = m->moved, bytes = m->bytes;

	file_copy(m, "log.vkey");
	m->moved = moved;
	m->bytes = bytes;
}

/* ---- the ledger, as it will be read afterwards ---- */

static enum rc joined_read(void *context, const char *path, uint8_t **ret_bytes, size_t *ret_n)
{
	const struct mover *m = context;
	enum rc rc = RC_NOT_FOUND;

	*ret_bytes = NULL;
	*ret_n = 0;
	if (!m->masked || !retention_moves(m->plan, path))
		rc = file_get(m->ledger, path, ret_bytes, ret_n);
	return rc == RC_NOT_FOUND ? file_get(m->archive, path, ret_bytes, ret_n) : rc;
}

static void short_pause(void *context)
{
	usleep(50000);
}

/* Entries that are in neither place: they were moved to another archive. */
static enum rc joined_verify(struct mover *m, const struct verify_options *o, uint64_t *ret_archived)
{
	struct verify_source source = { .context = m, .read = joined_read, .pause = short_pause };
	static struct verify_report report;
	enum rc rc = verify_ledger(&source, o, &report, m->e);

	if (rc == RC_OK && report.bundle)
		return err_add(m->e, RC_RANGE, "this is an evidence bundle: expected a ledger's directory");
	if (rc == RC_OK && report.entries_unseen)
		return err_add(m->e, RC_RANGE,
			"%llu entries are in another archive: move further entries to the same archive",
			(unsigned long long)report.entries_unseen);
	*ret_archived = report.archived;
	return rc;
}

/* ---- removing ---- */

static enum rc mark_put(struct mover *m)
{
	char text[24];
	struct stat st;
	int n = snprintf(text, sizeof text, "%llu\n", (unsigned long long)retention_end(m->plan));
	enum rc rc = file_put(m->ledger, VERIFY_PATH_ARCHIVED, (const uint8_t *)text, (size_t)n, m->e);

	/* As readable as the rest of the ledger, and of the same owner. */
	if (rc == RC_OK && fstatat(m->ledger, "log.vkey", &st, AT_SYMLINK_NOFOLLOW) == 0 &&
		(fchmodat(m->ledger, VERIFY_PATH_ARCHIVED, st.st_mode & 0777, 0) < 0 ||
			fchownat(m->ledger, VERIFY_PATH_ARCHIVED, st.st_uid, st.st_gid, AT_SYMLINK_NOFOLLOW) <
				0))
		rc = err_errno(m->e, RC_IO, "give '%s' to the ledger's owner", VERIFY_PATH_ARCHIVED);
	if (rc == RC_OK && fsync(m->ledger) < 0)
		rc = err_errno(m->e, RC_IO, "sync the ledger's directory");
	return rc;
}

static void file_remove(void *context, const char *path)
{
	struct mover *m = context;
	const char *last;

	if (m->rc != RC_OK)
		return;
	int in = folder_open(m->ledger, path, &last);
	if ((in < 0 || unlinkat(in, last, 0) < 0) && errno != ENOENT)
		m->rc = err_errno(m->e, RC_IO, "remove '%s', which is in the archive", path);
	if (in >= 0)
		close(in);
}

static enum rc move_all(struct mover *m, const char *key)
{
	struct verify_options o = { .vkey = key,
		.sealed_starts = true,
		.begin = retention_begin,
		.entry = retention_entry,
		.context = m->plan };
	uint64_t archived;
	enum rc rc = joined_verify(m, &o, &archived);

	if (rc != RC_OK)
		return rc;
	if (!retention_choose(m->plan, archived))
		return RC_OK;
	key_copy(m);
	retention_files(m->plan, file_copy, m);
	if (m->rc == RC_OK && syncfs(m->archive) < 0)
		m->rc = err_errno(m->e, RC_IO, "sync the archive");
	if (m->rc != RC_OK)
		return m->rc;
	m->masked = true;
	o = (struct verify_options){ .vkey = key, .sealed_starts = true };
	if ((rc = joined_verify(m, &o, &archived)) != RC_OK)
		return err_add(m->e, rc, "with the copies in the archive; nothing was removed");
	if ((rc = mark_put(m)) != RC_OK)
		return rc;
	retention_files(m->plan, file_remove, m);
	return m->rc;
}

/* ---- the command ---- */

static int complain(const struct err *e, int status)
{
	fputs("plaingate: ", stderr);
	render_safe(stderr, e->text, strlen(e->text), false);
	fputc('\n', stderr);
	return status;
}

/* An archive within the ledger's directory would be neither. */
static enum rc apart(const char *ledger, const char *archive, struct err *e)
{
	char *a = realpath(ledger, NULL), *b = realpath(archive, NULL);
	size_t n = a ? strlen(a) : 0;
	bool within = a && b && strncmp(a, b, n) == 0 && (b[n] == '\0' || b[n] == '/');

	free(a);
	free(b);
	return within ? err_add(e, RC_MALFORMED,
				"the archive is inside the ledger's directory: choose a "
				"directory outside of it")
		      : RC_OK;
}

static enum rc directories_open(struct mover *m, const char *ledger, const char *archive, struct err *e)
{
	m->ledger = open(ledger, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (m->ledger < 0)
		return err_errno(e, RC_IO, "open the ledger's directory '%s'", ledger);
	if (mkdir(archive, 0700) < 0 && errno != EEXIST)
		return err_errno(e, RC_IO, "create the archive '%s'", archive);
	m->archive = open(archive, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (m->archive < 0)
		return err_errno(e, RC_IO, "open the archive '%s'", archive);
	if (flock(m->archive, LOCK_EX | LOCK_NB) < 0)
		return err_errno(e, RC_IO, "another process is using the archive '%s'", archive);
	return apart(ledger, archive, e);
}

int run_archive(const struct cli_line *line)
{
	struct err e = { 0 };
	struct mover m = { .ledger = -1, .archive = -1, .e = &e };
	char before[UTC_TEXT_MAX];

	if (!line->before || !line->to) {
		err_add(&e, RC_MALFORMED, "archive needs --before and --to");
		return complain(&e, STATUS_USAGE);
	}
	if (time_parse(before, line->before, false, &e) != RC_OK)
		return complain(&e, STATUS_USAGE);
	enum rc rc = directories_open(&m, line->argument, line->to, &e);
	int status = rc == RC_OK ? STATUS_FAILED : STATUS_USAGE;
	if (rc == RC_OK && !(m.plan = retention_new(before)))
		rc = err_add(&e, RC_LIMIT, "out of memory");
	if (rc == RC_OK)
		rc = move_all(&m, line->key);
	if (rc == RC_OK && m.moved == 0)
		puts("nothing to move: only whole bundles of 256 entries from before that time are moved; "
		     "the entries since the last start, or the last 8,192 to 26,000 of a long run, always stay");
	else if (rc == RC_OK)
		printf("moved %llu files (%llu bytes); entries below %llu are in the archive\n",
			(unsigned long long)m.moved, (unsigned long long)m.bytes,
			(unsigned long long)retention_end(m.plan));
	retention_free(m.plan);
	if (m.ledger >= 0)
		close(m.ledger);
	if (m.archive >= 0)
		close(m.archive);
	return rc == RC_OK ? STATUS_OK : complain(&e, status);
}
