/*
 * An entry of another process: is its number the one that is due, may the source write it, was it entered
 * already. Called by shell.c and opening.c; one thread.
 */
#ifndef PROC_LEDGER_APPEND_H
#define PROC_LEDGER_APPEND_H

#include "ipc/messages.h"

struct ledger_shell;

/* Into the open batch, or refused. */
void append_entry(struct ledger_shell *s, enum proc source, uint64_t tag, const struct msg_ledger_append *m);

#endif
