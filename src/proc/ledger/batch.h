/*
 * The open batch: entries become durable together, with one write and one sync, then each gets its receipt.
 * Called by append.c, opening.c, peers.c, shell.c and witnesses.c; one thread.
 */
#ifndef PROC_LEDGER_BATCH_H
#define PROC_LEDGER_BATCH_H

#include "base/err.h"
#include "ledger/types.h"

struct ledger_shell;

void batch_init(struct ledger_shell *s);
/* Before the first entry of a batch: ledger_start, seal_epoch and refused numbers come first. Does nothing
 * when the batch has entries. On failure the batch may have some of these; they go with the next entry. */
enum rc batch_begin(struct ledger_shell *s, struct err *e);
/* An entry of the ledger's own, into the open batch or a new one. */
void batch_own_entry_add(struct ledger_shell *s, struct ledger_body *b);
/* Makes the batch durable; sends the receipts, or refusals. */
void batch_commit(struct ledger_shell *s);
/* The batch is lost: the counters are those of the last durable one, and what waits is refused. */
void batch_fail(struct ledger_shell *s, enum rc rc, const struct err *e);

#endif
