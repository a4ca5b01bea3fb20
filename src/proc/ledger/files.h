/*
 * The ledger's files below a directory that the supervisor handed over: ledger/log.h's struct ledger_store
 * over openat(). Nothing here opens an absolute path. One thread.
 */
#ifndef PROC_LEDGER_FILES_H
#define PROC_LEDGER_FILES_H

#include "ledger/log.h"

struct ledger_files {
	int dir;
	int journal; /* kept open for appending, -1: not yet */
	void (*progress)(void *context, uint64_t done, uint64_t all); /* as in struct ledger_store; or NULL */
	void *progress_context;
};

/* dir stays the caller's; progress may be set afterwards. */
struct ledger_store ledger_files_over(struct ledger_files *s, int dir);
void ledger_files_done(struct ledger_files *s);

#endif
