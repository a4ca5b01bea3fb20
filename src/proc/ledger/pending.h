/*
 * Acts that wait for the witnesses: their entry is durable, and its receipt is sent when the quorum has
 * cosigned it, or refused when the time is over. Called by batch.c and witnesses.c; one thread.
 */
#ifndef PROC_LEDGER_PENDING_H
#define PROC_LEDGER_PENDING_H

#include "base/clock.h"
#include "ipc/messages.h"
#include "ledger/types.h"

#define PENDING_ACTS_MAX    32
#define PENDING_ACT_WAIT_NS (4 * NS_PER_S) /* less than LEDGER_GATE_WAIT_NS, so that the reason arrives */

struct witnesses;

struct pending_act {
	enum proc source;
	uint64_t tag;
	struct msg_ledger_receipt receipt;
	mono_ns until;
};

/* Must the receipt of such an entry wait for the quorum? */
bool pending_act_required(const struct witnesses *w, enum ledger_type type);
/* Keeps the receipt of a durable entry. False: too many wait. */
bool pending_act_add(
	struct witnesses *w, enum proc source, uint64_t tag, const struct msg_ledger_receipt *receipt);
/* Sends the receipts whose entries the quorum has cosigned, and refuses those whose time is over. */
void pending_acts_check(struct witnesses *w);
/* All are refused. */
void pending_acts_fail(struct witnesses *w, const char *why);

#endif
