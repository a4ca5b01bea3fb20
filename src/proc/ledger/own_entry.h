/*
 * Entries that the ledger writes itself, and how any entry becomes a line of the open batch. They are durable
 * with the batch (batch.h). Called by append.c and batch.c; one thread.
 */
#ifndef PROC_LEDGER_OWN_ENTRY_H
#define PROC_LEDGER_OWN_ENTRY_H

#include "ipc/messages.h"
#include "ledger/entry.h"
#include "merkle/tree.h"

struct ledger_shell;

/* Adds the entry, whose boot and times are set here, to the open batch. RC_LIMIT: the batch is full. RC_RANGE:
 * the entry is longer than LEDGER_ENTRY_MAX. */
enum rc own_entry_line(struct ledger_shell *s, struct ledger_entry *entry, uint64_t *ret_index);

/* An entry of the ledger with this body. */
enum rc own_entry_add(struct ledger_shell *s, struct ledger_body *b);
/* counter_gap: no entry has these numbers and none will, stated before anything later of that source. */
enum rc own_entry_gap(struct ledger_shell *s, enum proc source, uint32_t run, uint64_t first, uint64_t last,
	const char *why);
/* seal_epoch: commitment to the one-time keys that sign the checkpoints from the next one on. */
enum rc own_entry_seal_epoch(struct ledger_shell *s, const struct merkle_hash *root);
/* ledger_recovery, from s->recovery. */
enum rc own_entry_recovery(struct ledger_shell *s);
/* counters: a start reads no further back than to such an entry (ledger_replay()). */
enum rc own_entry_counters(struct ledger_shell *s);

#endif
