/*
 * The keeper's question which witnesses have cosigned a checkpoint that covers an entry (COSIGNED_ASK). The
 * answer is an attestation (merkle/attest.h) by the quorum, all of one checkpoint; by fewer when the time is
 * over, or when all that are missing have failed since; empty at once when there are no witnesses. One question
 * at a time: a later one replaces an earlier one. Called by witnesses.c and shell.c; one thread.
 */
#ifndef PROC_LEDGER_COSIGNED_H
#define PROC_LEDGER_COSIGNED_H

#include "base/clock.h"

#include <stdbool.h>
#include <stdint.h>

/* A key exchange may wait for the answer: a witness that cannot be reached must not keep a tunnel down for long. */
#define COSIGNED_WAIT_NS (2 * NS_PER_S)

struct witnesses;

struct cosigned {
	bool asked;
	uint64_t tag, index;
	mono_ns since;
};

void cosigned_ask(struct witnesses *w, uint64_t tag, uint64_t index);
/* A witness has answered, or time has passed. */
void cosigned_check(struct witnesses *w);
/* When the time for the question is over; WITNESS_POLL_NEVER: no question is open. */
mono_ns cosigned_at(const struct witnesses *w);
/* The log ends: the entry in question will not be cosigned. */
void cosigned_drop(struct witnesses *w);

#endif
