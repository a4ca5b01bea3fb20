/*
 * The session log on the disk: files in a directory, each at most SESSION_FILE_BYTES_MAX and one line, the oldest of
 * SESSION_FILES_MAX deleted for the next. A line is written by one call, so that a death leaves it whole or cut at the end,
 * where the next start cuts it off. What cannot be written is counted, and the next line that can says how many. Callers:
 * shell.c, digest.c. One thread.
 */
#ifndef PROC_EXPORT_LOCAL_H
#define PROC_EXPORT_LOCAL_H

#include "base/err.h"
#include "export/line.h"

struct local_log {
	int dir, fd;	      /* -1: none */
	uint32_t first, last; /* numbers of files; last is written. 0: none yet */
	uint64_t bytes;	      /* of the file that is written */
	uint64_t oldest;      /* number of the first line that is kept */
	char id[2 * SESSION_LOG_ID_BYTES + 1];
	struct export_chain chain;
	uint64_t written, lost;	 /* since this start */
	uint64_t unsaid;	 /* of those that were lost, since the last line that says so */
	bool file_begun;	 /* since this was set to false: for digest.c */
	uint64_t file_bytes_max; /* SESSION_FILE_BYTES_MAX; tests have a smaller one */
	char why[160];		 /* the last error; empty: none since the last line */
};

void local_init(struct local_log *l);
/* Goes on where the files end; takes dir over. Errors are in l->why: lines are lost until it works. */
void local_open(struct local_log *l, int dir, utc_us now);
/* r->event is not LOST or LOG_FILE. */
void local_write(struct local_log *l, const struct session_record *r);
/* So many records did not reach this process. */
void local_lost(struct local_log *l, uint64_t n);
/* A line about what was lost, if it is still unsaid. */
void local_say_lost(struct local_log *l, utc_us now);
/* What was written is on the disk. */
bool local_sync(struct local_log *l);
void local_close(struct local_log *l);

#endif
