/*
 * The log's side of tlog-witness: the body of a request, and what an answer means. Tolerates older witnesses
 * (403 for an unknown log, 429, 409 for another root) and those that read at most 16 KiB.
 *
 * Only two things in an answer prove anything: a cosignature, and the note of witness_seen_parse(), which the
 * log itself signed. A size in a 409 is a claim: a witness that says it saw more than the log has is asked
 * for that note. Pure. Callers: witness/poll.c, src/proc/ledger, tests. Any thread.
 */
#ifndef WITNESS_CLIENT_H
#define WITNESS_CLIENT_H

#include "witness/witness.h"

enum witness_outcome {
	WITNESS_OUTCOME_GOOD,	   /* the witness has cosigned this checkpoint */
	WITNESS_OUTCOME_RETRY,	   /* it has seen a smaller tree than was assumed: prove from its size */
	WITNESS_OUTCOME_AHEAD,	   /* it claims to have seen a larger tree than this: ask for its note */
	WITNESS_OUTCOME_DISAGREES, /* it has seen another history of this log */
	WITNESS_OUTCOME_UNKNOWN,   /* it does not know this log */
	WITNESS_OUTCOME_REFUSED,   /* it does not trust the key, or does not know the log */
	WITNESS_OUTCOME_BUSY,	   /* it cannot answer now */
	/* the last: the answer is none of the protocol's, or its cosignature is wrong */
	WITNESS_OUTCOME_BROKEN,
};

#define WITNESS_PEER_BODY_MAX 16384 /* what every witness reads */

/*
 * The body that asks for a cosignature of the note: `proof` leads from the tree of `old` leaves to the
 * checkpoint's; none for old = 0 or when nothing grew. note: text and the log's own signature are enough.
 * Returns the length, 0: does not fit or more than WITNESS_PROOF_MAX hashes.
 */
size_t witness_request_text(char *ret_body, size_t max, uint64_t old, const struct merkle_proof *proof,
	const char *note, size_t note_n);

struct witness_reply {
	enum witness_outcome outcome;
	uint64_t size;		    /* GOOD: of the checkpoint; RETRY, AHEAD: what the witness says it has */
	uint64_t time_s;	    /* GOOD: of the cosignature */
	char line[COSIGN_LINE_MAX]; /* GOOD: the witness's signature line, verified, to stand in the note */
};

/*
 * What the answer to that request means. note: the note that was sent, which must be a checkpoint; old: the
 * old size that was sent. Lines of unknown keys are ignored. *e says why an outcome is not GOOD; may be NULL.
 */
void witness_reply_read(struct witness_reply *ret_reply, const struct note_key *witness, const char *note,
	size_t note_n, uint64_t old, int status, const void *body, size_t body_n, struct err *e);

/*
 * What the monitoring path of a witness gave: the last note of the log that it cosigned. RC_OK: signed by the
 * log's key, of its origin, and cosigned by the witness; so the log did publish this tree. RC_NOT_FOUND,
 * RC_AUTH, RC_MALFORMED otherwise. ret_time_s may be NULL.
 */
enum rc witness_seen_parse(struct checkpoint *ret_checkpoint, uint64_t *ret_time_s,
	const struct note_key *log, const struct note_key *witness, const void *note, size_t note_n,
	struct err *e);

#endif
