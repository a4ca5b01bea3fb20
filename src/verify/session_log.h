/*
 * Whether a session log (export/line.h) is what the ledger says of it: lines in their order, each with the hash of the one
 * before, and at each entry `session_log` the line that it names with the hash that it has. First come the ledger's entries,
 * which verify_ledger() has found good, then the lines, file by file.
 *
 * What it proves: no line up to the last entry was changed, removed, added or moved since that entry. Files that the gateway
 * deleted for want of room are not missed: the ledger says which line is the oldest that is kept. What it does not prove:
 * anything about lines after the last entry, nor that the gateway wrote every record: what it lost it says in the log.
 *
 * Pure. Callers: cli/verify_log.c, tests.
 */
#ifndef VERIFY_SESSION_LOG_H
#define VERIFY_SESSION_LOG_H

#include "base/err.h"
#include "crypto/hash.h"
#include "model/session_log.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct ledger_entry;
struct session_log_check;

struct session_log_report {
	bool good;
	char finding[ERR_TEXT_MAX]; /* the first; a sentence, "" when good */
	uint64_t findings;
	uint64_t files, lines, logs; /* logs: identifiers that were seen */
	uint64_t entries;	     /* of the ledger, about these logs */
	uint64_t compared;	     /* of them, with their line */
	uint64_t deleted;	     /* lines before the oldest that is kept, as the ledger says */
	uint64_t uncovered;	     /* lines after the last entry */
	uint64_t lost;		     /* records that the log itself says are missing */
	char last_covered[40];	     /* time of the last line that an entry covers */
	char staleness
		[ERR_TEXT_MAX]; /* of the ledger, by who verified it: what its cosignatures lack; "": nothing, or not asked */
};

struct session_log_check *session_log_check_new(void); /* NULL: out of memory */
void session_log_check_free(struct session_log_check *c);
/* Forgets the ledger's entries: it is read again from its beginning. */
void session_log_check_restart(struct session_log_check *c);
/* Any entry of the ledger, in its order. RC_LIMIT: out of memory. */
enum rc session_log_check_entry(
	struct session_log_check *c, const struct ledger_entry *entry, uint64_t index);
/* A file of this name begins. */
void session_log_check_file(struct session_log_check *c, const char *name);
/* Its next line, without the line feed. ended: it had one; the last line of the newest file may be without. */
void session_log_check_line(struct session_log_check *c, const char *line, size_t n, bool ended);
void session_log_check_end(struct session_log_check *c, struct session_log_report *ret);

#define SESSION_LOG_TEXT_MAX 2048
size_t session_log_report_text(const struct session_log_report *r, char *ret_text, size_t size);
size_t session_log_report_json(const struct session_log_report *r, char *ret_text, size_t size);

#endif
