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
};

/* dir stays the caller's. */
struct ledger_store store_over(struct store *s, int dir);
void store_done(struct store *s);

#endif
