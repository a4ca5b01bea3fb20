/*
 * Session records as entries of systemd's journal, in its native protocol: one datagram of lines KEY=value. The record's own
 * fields are those of the session log, in capitals behind PLAINGATE_. Pure.
 */
#ifndef EXPORT_JOURNAL_H
#define EXPORT_JOURNAL_H

#include "export/line.h"

#define JOURNAL_ENTRY_MAX 8192u

/* Returns the length, 0: it does not fit. */
size_t export_journal(char ret_text[JOURNAL_ENTRY_MAX], const struct session_record *r);

#endif
