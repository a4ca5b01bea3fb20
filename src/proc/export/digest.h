/*
 * How far the session log has come, for the ledger: an entry when the process starts, with each hour (UTC) in which there was a
 * line, with each file, and at the end. Before the entry the lines are on the disk. Callers: shell.c.
 */
#ifndef PROC_EXPORT_DIGEST_H
#define PROC_EXPORT_DIGEST_H

#include "ipc/child.h"
#include "proc/export/local.h"

struct digest {
	bool begun;	      /* there is an entry of this start */
	uint64_t hour;	      /* since 1970 */
	uint64_t lines, lost; /* up to the last entry */
};

/* Enters it if it is due; always: if there is anything new. */
void digest_enter(struct digest *d, struct child *child, struct local_log *l, utc_us now, bool always);

#endif
