/*
 * Operational log: one line each on standard error, which the supervisor owns. For shells only; cores return
 * what happened instead. Not evidence: evidence goes to the ledger.
 */
#ifndef BASE_LOG_H
#define BASE_LOG_H

#include <stdbool.h>

#define LOG_TEXT_MAX 1024 /* of one line; what is longer is cut */

enum log_level { LOG_DEBUG, LOG_INFO, LOG_WARN, LOG_ERROR };

/* Names the process in front of every line and sets the lowest level shown. */
void log_init(const char *process, enum log_level lowest);

/*
 * Lines of one kind (one format text) are bounded: LOG_KIND_BURST at once, LOG_KIND_PER_SECOND on end. How
 * many were left out is said after the next one that is not: whatever a stranger makes a process log, it does
 * not fill a disk.
 */
#define LOG_KIND_PER_SECOND 10
#define LOG_KIND_BURST	    1000

/* "2026-11-23T03:00:00.000000Z ike warn: …" ; control bytes in the text are shown as \xNN, so no line forges
 * another. */
void log_line(enum log_level level, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

/* The same for a text that is made already; kind: the format text that it was made by, a constant. */
void log_kind(enum log_level level, const char *kind, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));

/* The same at level info, for records that are bounded by who makes them. False: the line is lost, standard error takes no
 * more. */
bool log_record(const char *text);

#define log_debug(...) log_line(LOG_DEBUG, __VA_ARGS__)
#define log_info(...)  log_line(LOG_INFO, __VA_ARGS__)
#define log_warn(...)  log_line(LOG_WARN, __VA_ARGS__)
#define log_error(...) log_line(LOG_ERROR, __VA_ARGS__)

#endif
