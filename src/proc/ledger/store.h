/*
 * The ledger's files below a directory that the supervisor handed over: ledger/log.h's struct ledger_store
 * over openat(). Nothing here opens an absolute path. One thread.
 */
#ifndef PROC_LEDGER_STORE_H
#define PROC_LEDGER_STORE_H

#include "ledger/log.h"

struct store {
	int dir;
	int journal; /* kept open for appending, -1: not yet */
	void (*progress)(void *context, uint64_t done, uint64_t all); /* as in struct ledger_store; or NULL */
	void *progress_context;
};

/* dir stays the caller's; progress may be set afterwards. */
struct ledger_store store_over(struct store *s, int dir);
void store_done(struct store *s);

#endif
