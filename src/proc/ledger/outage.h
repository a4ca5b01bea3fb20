/*
 * What is logged while the ledger cannot take entries: when that begins, once a minute, and when it is over.
 * Called by append.c, batch.c, opening.c and publish.c; one thread.
 */
#ifndef PROC_LEDGER_OUTAGE_H
#define PROC_LEDGER_OUTAGE_H

struct ledger_shell;

/* A failure, with its reason. */
void outage_report(struct ledger_shell *s, const char *text);
/* Entries are durable and published again. */
void outage_end(struct ledger_shell *s);

#endif
