#include "proc/export/local.h"

#include "base/bytes.h"
#include "base/log.h"
#include "proc/export/files.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/random.h>
#include <unistd.h>

void local_init(struct local_log *l)
{
	*l = (struct local_log){ .dir = -1, .fd = -1, .file_bytes_max = SESSION_FILE_BYTES_MAX };
}

static void trouble(struct local_log *l, const char *what)
{
	int saved = errno;

	if (l->why[0] == '\0')
		log_error("the session log cannot be written: %s: %s", what, strerror(saved));
	snprintf(l->why, sizeof l->why, "%s: %s", what, strerror(saved));
}

/* One call, or nothing of it: what was written of a line is cut off again. */
static bool line_append(struct local_log *l, char *line, size_t n)
{
	line[n] = '\n';
	ssize_t done = write(l->fd, line, n + 1);
	if (done != (ssize_t)(n + 1)) {
		if (done >= 0)
			errno = ENOSPC; /* a part of it had room, which is no error of the call */
		trouble(l, "write a line");
		if (done > 0 && ftruncate(l->fd, (off_t)l->bytes) < 0) {
			close(l->fd); /* it ends in a part of a line: another file follows */
			l->fd = -1;
		}
		return false;
	}
	export_chain_add(&l->chain, line, n);
	l->bytes += n + 1;
	l->why[0] = '\0';
	return true;
}

static void oldest_find(struct local_log *l)
{
	char log[2 * SESSION_LOG_ID_BYTES + 1];
	struct err e = { 0 };

	/* A file that somebody has changed tells nothing: then nothing counts as deleted by us. */
	if (log_file_begin(l->dir, l->first, &l->oldest, log, &e) != RC_OK || strcmp(log, l->id) != 0)
		l->oldest = 1;
}

static void files_thin(struct local_log *l)
{
	char name[SESSION_FILE_NAME_MAX];

	while (l->last - l->first >= SESSION_FILES_MAX) {
		if (unlinkat(l->dir, log_file_name(name, l->first), 0) < 0 && errno != ENOENT) {
			trouble(l, "delete the oldest file");
			return;
		}
		l->first++;
	}
	oldest_find(l);
}

static bool file_begin(struct local_log *l, utc_us now)
{
	const struct session_record head = { .at = now, .event = SESSION_EVENT_LOG_FILE };
	char line[SESSION_LINE_MAX], name[SESSION_FILE_NAME_MAX];
	int fd = log_file_open(l->dir, l->last + 1, true);

	if (fd < 0) {
		trouble(l, "begin a file");
		return false;
	}
	if (l->fd >= 0) {
		fdatasync(l->fd);
		close(l->fd);
	}
	l->fd = fd;
	l->bytes = 0;
	size_t n = export_line(line, &head, l->id, &l->chain);
	if (!line_append(l, line, n)) {
		unlinkat(l->dir, log_file_name(name, l->last + 1), 0);
		close(l->fd);
		l->fd = -1;
		return false;
	}
	l->last++;
	l->first = l->first == 0 ? l->last : l->first;
	fsync(l->dir);
	l->file_begun = true;
	files_thin(l);
	return true;
}

/* A log of its own: what was there before, if anything, is another one. */
static void log_begin(struct local_log *l)
{
	uint8_t id[SESSION_LOG_ID_BYTES];

	if (getrandom(id, sizeof id, 0) != sizeof id)
		memset(id, 0, sizeof id);
	hex_from_bytes(l->id, id, sizeof id);
	l->chain = (struct export_chain){ 0 };
}

/* Where the newest file with a line ends. False: there is nothing to go on from. */
static bool log_continue(struct local_log *l)
{
	char name[SESSION_FILE_NAME_MAX];
	struct err e = { 0 };
	uint64_t line, bytes = 0;

	for (; l->last > 0 && l->last >= l->first; l->last--) {
		log_file_name(name, l->last);
		l->fd = log_file_open(l->dir, l->last, false);
		enum rc rc = l->fd < 0 ? err_errno(&e, RC_IO, "open '%s'", name)
				       : log_file_end(l->fd, &l->chain, &bytes, &e);
		if (rc == RC_OK && log_file_begin(l->dir, l->last, &line, l->id, &e) == RC_OK) {
			off_t end = lseek(l->fd, 0, SEEK_END);
			if (end > (off_t)bytes && ftruncate(l->fd, (off_t)bytes) == 0)
				log_warn("'%s' ended within a line: %lld octets were cut off", name,
					(long long)end - (long long)bytes);
			l->bytes = bytes;
			return true;
		}
		if (l->fd >= 0)
			close(l->fd);
		l->fd = -1;
		if (rc != RC_NOT_FOUND) {
			log_error("%s: '%s' is not continued, another log begins", e.text, name);
			return false;
		}
		unlinkat(l->dir, name, 0); /* begun and without a line */
	}
	return false;
}

void local_open(struct local_log *l, int dir, utc_us now)
{
	struct err e = { 0 };

	local_close(l);
	l->dir = dir;
	if (log_files_list(dir, &l->first, &l->last, &e) != RC_OK) {
		log_error("%s", e.text);
		snprintf(l->why, sizeof l->why, "%.*s", (int)sizeof l->why - 1, e.text);
	}
	if (log_continue(l)) {
		oldest_find(l);
		return;
	}
	log_begin(l);
	if (file_begin(l, now))
		log_info("session log %s begins", l->id);
}

static void record_append(struct local_log *l, const struct session_record *r)
{
	char line[SESSION_LINE_MAX];
	size_t n;

	if (l->dir >= 0 && (l->fd < 0 || l->bytes >= l->file_bytes_max))
		file_begin(l, r->at);
	if (l->fd >= 0 && (n = export_line(line, r, NULL, &l->chain)) > 0 && line_append(l, line, n)) {
		l->written++;
		return;
	}
	l->lost += r->event == SESSION_EVENT_LOST ? 0 : 1;
	l->unsaid += r->event == SESSION_EVENT_LOST ? r->count : 1;
}

void local_say_lost(struct local_log *l, utc_us now)
{
	const struct session_record r = { .event = SESSION_EVENT_LOST, .at = now, .count = l->unsaid };

	if (l->unsaid == 0)
		return;
	l->unsaid = 0;
	record_append(l, &r);
}

void local_write(struct local_log *l, const struct session_record *r)
{
	local_say_lost(l, r->at);
	record_append(l, r);
}

void local_lost(struct local_log *l, uint64_t n)
{
	l->lost += n;
	l->unsaid += n;
}

bool local_sync(struct local_log *l)
{
	return l->fd >= 0 && fdatasync(l->fd) == 0;
}

void local_close(struct local_log *l)
{
	if (l->fd >= 0)
		close(l->fd);
	if (l->dir >= 0)
		close(l->dir);
	l->fd = l->dir = -1;
}
