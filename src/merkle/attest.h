/*
 * An attestation: who cosigned a checkpoint, short enough for a field of an entry.
 *
 *   <size of the checkpoint> <base64 of key id || time || signature> …
 *
 * The blobs are those of the note's lines (merkle/cosign.h). Names are left out, and so are origin and root:
 * who judges it knows the log, computes the root of its first `size` entries, and has the witnesses' keys.
 * A challenge is drawn from the text, so it has one form: ascending by key id, each witness once, nothing
 * that no witness has signed. No octet of it is escaped in JSON. Pure. Callers: proc/ledger writes it,
 * proc/keeper makes a challenge of it, src/verify judges. Any thread.
 */
#ifndef MERKLE_ATTEST_H
#define MERKLE_ATTEST_H

#include "merkle/policy.h"

#define ATTEST_TEXT_MAX 768 /* without the terminator: seven cosignatures */

/* Adds a line of a witness, with or without its LF, to the text, which may be empty and is terminated. False:
 * it is no such line, the witness stands there already, or it does not fit; the text stays. */
bool attest_add(char text[ATTEST_TEXT_MAX + 1], uint64_t size, const char *line);

/* Is it of this form? The size, and in *ret_n how many cosignatures: one at the least. */
bool attest_read(const char *text, size_t n, uint64_t *ret_size, size_t *ret_n);

/*
 * Do those who cosigned this checkpoint reach the policy's quorum? The policy's log lines are not looked at,
 * and "quorum none" is reached by nobody. RC_OK; RC_NOT_FOUND: no quorum, or one of them is no witness of the
 * policy: what nobody checks could have been chosen; RC_AUTH: a cosignature of a witness of the policy is
 * wrong; RC_MALFORMED. *ret_verdict: who of the policy's witnesses cosigned, and when by their clocks.
 */
enum rc attest_judge(const char *text, size_t n, const struct checkpoint *of, const struct policy *policy,
	struct policy_verdict *ret_verdict, struct err *e);

#endif
