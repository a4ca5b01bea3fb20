/*
 * The keeper's question who has cosigned what covers an entry (COSIGNED_ASK). The answer is an attestation
 * (merkle/attest.h) of the quorum, all of one checkpoint; of as many as there are when the time is over, or
 * when all who are missing have failed since; at once nothing when there are no witnesses. One question at
 * a time: a later one takes the place of an earlier one. Called by witnesses.c and shell.c; one thread.
 */
#ifndef PROC_LEDGER_COSIGNED_H
#define PROC_LEDGER_COSIGNED_H

#include "base/clock.h"

#include <stdbool.h>
#include <stdint.h>

/* A key exchange may wait for the answer: a witness that is away must not keep a tunnel down for long. */
#define COSIGNED_WAIT_NS (2 * NS_PER_S)

struct witnesses;

struct cosigned {
	bool asked;
	uint64_t tag, index;
	mono_ns since;
};

void cosigned_ask(struct witnesses *w, uint64_t tag, uint64_t index);
/* Something was heard, or the time has gone on. */
void cosigned_look(struct witnesses *w);
/* When the time of the question is over; WITNESS_POLL_NEVER. */
mono_ns cosigned_at(const struct witnesses *w);
/* The log ends: what it was about will not be cosigned. */
void cosigned_drop(struct witnesses *w);

#endif
