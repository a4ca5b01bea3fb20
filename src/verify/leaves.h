/*
 * What the ledger's entries prove about ephemeral keys (crypto/leaf.h): each batch of leaves was committed
 * to, then challenged, then the leaves that the challenge picks were opened; each key exchange names one of
 * the others, once. All of it is recomputed here: the root from the leaf hashes, the challenge, the opened
 * leaves from their shares, the inclusion of the leaves that were used, and that no leaf has a share or a
 * public value of another one, in this batch or an earlier one: opened shares are public.
 *
 * What it proves: if m leaves of a batch of n had been made otherwise than by the specified function of the
 * two shares, none of these would have been among the k opened ones with a probability of at most
 *   (1 - k/n)^m
 * Its limits: it does not show that a source was unpredictable; a challenge from the root alone could be
 * chosen by making many batches and entering one (`weak`), a challenge from cosignatures only by asking the
 * witnesses again until an answer suits, or by knowing their keys; a batch that was challenged and not opened
 * may have been abandoned for what it would have shown (`unopened`); that the leaf's public value is what
 * went over the wire is shown by a capture (leaves_check_public()). Private to src/verify; randomness.c has
 * the rest.
 */
#ifndef VERIFY_LEAVES_H
#define VERIFY_LEAVES_H

#include "crypto/leaf.h"
#include "ledger/entry.h"
#include "merkle/policy.h"

struct leaves_report {
	uint64_t batches;  /* committed to */
	uint64_t unopened; /* of these, challenged but not completely opened */
	uint64_t
		uncomputed; /* leaves that were opened, and have keys of ML-KEM, which this libcrypto lacks */
	uint64_t abandoned; /* of these, not even challenged: the keeper ended or abandoned it */
	uint64_t weak;	    /* opened, and challenged by the root alone, or by fewer than the quorum */
	uint64_t cosigned;  /* opened, and challenged by what the policy's quorum cosigned after the root */
	uint64_t
		unchecked; /* opened, and challenged by cosignatures that were not checked: there was no policy */
	/* Of the cosigned ones: how long at most the cosignatures came after the commitment. Who wants to
	 * choose among challenges needs time or entries. */
	uint64_t wait_s; /* by the witnesses' clocks and the gateway's */
	uint64_t wait_entries;
	uint64_t opened;      /* leaves recomputed */
	uint64_t named;	      /* exchanges that named their leaf */
	uint64_t failed;      /* leaves of failed exchanges, according to the keeper */
	uint64_t skipped;     /* leaves before one that was used which no exchange names, those included */
	uint64_t unaccounted; /* used of batches that have long been over, and neither named nor said to have
				 failed */
	uint64_t unnamed;     /* exchanges without a leaf: nothing is proved of their keys */
	uint32_t leaves, opens; /* of the opened batch with the lowest share of opened ones; 0: none */
};

struct leaves_check;

/* NULL: out of memory. */
struct leaves_check *leaves_check_new(void);
void leaves_check_free(struct leaves_check *c);
/* Whose cosignatures make a challenge good; the log's origin stands there from the first entry on. Both
 * outlive it. */
void leaves_check_witnesses(struct leaves_check *c, const struct policy *policy, const char *origin);
/* The tree has grown: to be told of each size when there are witnesses. */
void leaves_check_grown(struct leaves_check *c, const struct merkle_edge *edge);
/* RC_OK; RC_AUTH: a failure, *e says which; RC_LIMIT: out of memory. Other types of entries are skipped. */
enum rc leaves_check_entry(
	struct leaves_check *c, const struct ledger_entry *entry, uint64_t index, struct err *e);
/* Whether the value of a key exchange is that of the leaf that the entry names; the entry was found good before.
 * RC_NOT_FOUND: it names none; RC_AUTH: the leaf has another one, or none of this group. */
enum rc leaves_check_public(const struct leaves_check *c, const struct ledger_entry *entry, uint16_t group,
	const void *value, size_t value_n);
/* Which leaf the entry names, in the order in which leaves are used; 0: none that is known. */
uint64_t leaves_check_place(const struct leaves_check *c, const struct ledger_entry *entry);
/* As far as it went. */
void leaves_check_state(const struct leaves_check *c, struct leaves_report *ret_report);

/* The probability that none of `bad` leaves is among the opened ones: exact, drawn without replacement. */
double leaves_escape(uint32_t leaves, uint32_t opens, uint32_t bad);

#endif
