/*
 * Checkpoints: each is sealed with a one-time key (sealer.h), then published with its tiles (ledger/log.h),
 * and the witnesses are asked about it. Called by batch.c, opening.c and shell.c; one thread.
 */
#ifndef PROC_LEDGER_PUBLISH_H
#define PROC_LEDGER_PUBLISH_H

struct ledger_shell;

void publish_init(struct ledger_shell *s);
/* Now. On failure all entries are still in the journal, and the next try is armed. */
void publish_checkpoint(struct ledger_shell *s);
/* A batch was committed: publishes now or soon, by how many entries wait and whether an act waits for it. */
void publish_schedule(struct ledger_shell *s);

#endif
