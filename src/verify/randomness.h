/*
 * What the ledger's entries prove about randomness: public values here, ephemeral keys in leaves.h.
 *
 * Public values (model/public_values.h): each entry of an IKE SA or a child SA has the count and the proof
 * from which our nonce and SPI are derived. Recomputed here: the proof against the epoch's public key, which
 * was in the log before, and the SPI of the entry against the proof's output.
 *
 * What it proves: the SPIs of these entries, and the nonces that belong to them, are derived (VRF); nobody
 * chose them, and they carry no state of another generator. Its limits: the key of an epoch is one choice;
 * values of failed exchanges are proved only by an epoch whose key was disclosed (when the keeper stops in
 * order, or the epoch ends); that these values were really sent is shown by a capture of the wire only. With
 * one (verify/capture.h) the nonces that were sent are compared as well: those of handshakes that the entries
 * name, by their SPI, and at the end those derived with a disclosed key.
 *
 * Fed with one entry after the other, in the log's order. Callers: src/cli, tests. One thread.
 */
#ifndef VERIFY_RANDOMNESS_H
#define VERIFY_RANDOMNESS_H

#include "ledger/entry.h"
#include "model/public_values.h"
#include "verify/capture.h"
#include "verify/leaves.h"
#include "verify/order.h"

struct randomness_report {
	uint64_t epochs, epochs_disclosed; /* keys announced; of these, disclosed */
	uint64_t values_disclosed;	   /* derived with disclosed keys: all can be recomputed */
	uint64_t proofs_checked;
	uint64_t spi_candidates_skipped; /* before the SPI that was taken: in use, according to the keeper */
	/* Set by randomness_end(): derived with a key, and named by no exchange's entry: */
	uint64_t values_unnamed;
	uint64_t values_failed;	     /* of these, reported as of failed exchanges */
	uint64_t values_unaccounted; /* of these, neither, though their epoch ended ORDER_SETTLED_S ago */
	struct order_report order;
	uint64_t entries_unproved;  /* entries without a proof */
	uint64_t messages_captured; /* of IKE_SA_INIT, in the capture */
	uint64_t
		nonces_compared; /* of these, whose SPI the ledger knows: their nonces must be the derived ones */
	uint64_t
		keys_compared; /* of these, whose entry names a leaf: their public values must be the leaf's */
	uint64_t ours_unknown;		  /* sent by us, and of no known value */
	uint64_t wire_ordered, wire_late; /* sent by us, of a known value; of these, after a higher one */
	struct leaves_report leaves;	  /* set by randomness_end() */
	uint64_t failures;
	uint64_t first_failure;	    /* index of its entry */
	char finding[ERR_TEXT_MAX]; /* the first failure; "" when there is none */
};

struct randomness;

/* NULL: out of memory. The report belongs to the caller, outlives it, and is zeroed. */
struct randomness *randomness_new(struct randomness_report *report);
void randomness_free(struct randomness *r);
/* RC_OK, or RC_AUTH: this entry is a failure, and counted. RC_LIMIT: out of memory. */
enum rc randomness_entry(struct randomness *r, const struct ledger_entry *entry, uint64_t index);

/* Before the first entry: the capture of the wire, and the addresses from which this gateway sends, if they
 * are known. Both outlive the checker; which of the messages are known is marked in the capture. */
void randomness_compare(
	struct randomness *r, struct capture *capture, const struct ip_addr *ours, size_t ours_n);
/* Before the first entry: whose cosignatures are valid for a challenge, and the log's name, which is read
 * from the first entry on. Both outlive the checker. */
void randomness_witnesses(struct randomness *r, const struct policy *policy, const char *origin);
/* With witnesses: the tree at each size, between the entries. */
void randomness_grown(struct randomness *r, const struct merkle_edge *edge);
/* After the last entry: compares what no entry names with the disclosed keys, and counts what is left open of
 * batches of leaves. RC_OK or RC_AUTH, as above. */
enum rc randomness_end(struct randomness *r);

/*
 * Why less is proved than was asked for, although nothing is wrong; NULL: all is. `policy`: one was given.
 * Late exchanges count when there are RANDOMNESS_LATE_LEAST of them, and more than one in
 * RANDOMNESS_LATE_SHARE: a gateway whose peers all connect at once has that many, a quiet one has none.
 */
#define RANDOMNESS_LATE_SHARE 8
#define RANDOMNESS_LATE_LEAST 8
const char *randomness_weak(const struct randomness_report *r, bool policy);

#define RANDOMNESS_TEXT_MAX 6144
/* The report for people, and as a JSON object; asked: what the command line gave. Returns the length, 0:
 * it does not fit. A finding may quote a stranger's octets. */
struct randomness_asked {
	bool capture, policy;
};
size_t randomness_report_text(
	const struct randomness_report *r, struct randomness_asked asked, char *ret_text, size_t size);
size_t randomness_report_json(
	const struct randomness_report *r, struct randomness_asked asked, char *ret_text, size_t size);

/* for tests: the octets of value `count` of the epoch of this public key, if its key was disclosed.
 * RC_NOT_FOUND: no such epoch, not disclosed, or fewer values were derived. */
enum rc randomness_value(const struct randomness *r, const uint8_t key[PUBLIC_KEY_SIZE], uint64_t count,
	uint8_t ret_octets[PUBLIC_SIZE]);

#endif
