/*
 * Requests to one witness: for a cosignature of the published checkpoint, and for what it has seen of this
 * log. By address over a connection that the supervisor opens, by URL through the courier, as a peer's ledger
 * through IKE. Called by witnesses.c; one thread.
 */
#ifndef PROC_LEDGER_WITNESS_ASK_H
#define PROC_LEDGER_WITNESS_ASK_H

#include "proc/ledger/witnesses.h"

#define COURIER_WAIT_NS (12 * NS_PER_S) /* more than the courier takes (ipc/errand.h) */

void witness_ask_add(struct witness_peer *p);
void witness_ask_seen(struct witness_peer *p);

#endif
