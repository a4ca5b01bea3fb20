/*
 * The session log: one line of canonical JSON (base/json.h) for each record. Each line has its number in the log and the
 * SHA-256 of the line before it, without the line feed, so no line can be changed, removed or moved without changing the
 * hash of the last one; the ledger has that hash every hour (`session_log`). verify/session_log.h checks both.
 *
 * Pure. Callers: proc/export/local.c and, with other numbers, what leaves for collectors.
 */
#ifndef EXPORT_LINE_H
#define EXPORT_LINE_H

#include "crypto/hash.h"
#include "model/session_log.h"
#include "model/session_record.h"

/* How far the log has come; all zero: not begun. */
struct export_chain {
	uint64_t n; /* lines so far */
	uint8_t last[SHA256_SIZE];
};

/* The record as the line that follows. log: its identifier, of SESSION_EVENT_LOG_FILE only, else NULL. chain NULL: without
 * number and hash, for collectors. Returns the length without a line feed; 0: it does not fit, which names of the
 * configuration cannot bring about. */
size_t export_line(char ret_text[SESSION_LINE_MAX], const struct session_record *r, const char *log,
	const struct export_chain *chain);

/* It is written. */
void export_chain_add(struct export_chain *chain, const char *line, size_t n);

/* Reads number and hash of a line that was written by export_line(); for the last line of a file, from which the chain goes
 * on. Also the log's identifier where it has one. False: it is no such line. */
bool export_line_read(const char *line, size_t n, struct export_chain *ret_chain,
	char ret_log[2 * SESSION_LOG_ID_BYTES + 1]);

#endif
