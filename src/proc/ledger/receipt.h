/*
 * Receipts: the answers to the entries that other processes append. Called by append.c, batch.c, opening.c and
 * pending.c; one thread.
 */
#ifndef PROC_LEDGER_RECEIPT_H
#define PROC_LEDGER_RECEIPT_H

#include "ipc/messages.h"

struct ledger_shell;

void receipt_send(struct ledger_shell *s, enum proc to, uint64_t tag, const struct msg_ledger_receipt *r);
/* A refusal. The entry's number stays free, or belongs to an entry already. */
void receipt_refuse(struct ledger_shell *s, enum proc source, uint64_t tag, enum rc rc, const char *why);
/* A refusal that uses up the entry's number: it is stated by a counter_gap with the next batch. */
void receipt_refuse_number(struct ledger_shell *s, enum proc source, uint64_t tag, uint32_t run, uint64_t n,
	enum rc rc, const char *why);

#endif
