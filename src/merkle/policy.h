/*
 * Policy files (C2SP tlog-policy): which logs are known, which witnesses, and which of them suffice.
 *
 *   log <vkey> [<url>]
 *   witness <name> <vkey> [<url>]
 *   group <name> all|any|<k> <name>…
 *   quorum <name>|none
 *
 * Lines end in LF; items are separated by blanks and tabs; '#' begins a line of comment. A line refers to
 * lines before it only, so there are no circles and one pass in order decides everything. A name is a member
 * of one group at most, so no witness counts twice. Octets above 0x7f are opaque. Pure.
 * Callers: src/proc/witness, src/verify, src/cli, merkle/proof.c. Any thread.
 */
#ifndef MERKLE_POLICY_H
#define MERKLE_POLICY_H

#include "merkle/cosign.h"

/* The specification asks for at least 32 of each. */
#define POLICY_LOGS_MAX	      64
#define POLICY_WITNESSES_MAX  64
#define POLICY_GROUPS_MAX     64
#define POLICY_URL_MAX	      256
#define POLICY_BYTES_MAX      (256 * 1024)
#define POLICY_ML_DSA_44_SIZE 1312

/* A member of a group, or the quorum: a witness, a group, nobody. */
enum policy_kind { POLICY_NONE, POLICY_WITNESS, POLICY_GROUP };
struct policy_ref {
	uint8_t kind; /* enum policy_kind */
	uint8_t index;
};

struct policy_log {
	struct note_key key;	  /* type 01; its name is the log's origin */
	char url[POLICY_URL_MAX]; /* "": none */
};

struct policy_witness {
	char name[NOTE_NAME_MAX]; /* of this file; the key has its own */
	struct note_key key;	  /* type 04; or 06, then its public_key is the SHA-256 of `large` */
	char url[POLICY_URL_MAX];
	/* A key of type 06, ML-DSA-44: such a witness may be named, and its cosignatures are not counted. */
	uint8_t large[POLICY_ML_DSA_44_SIZE];
};

/* Can its cosignatures be verified here? Those of others are not looked at. */
static inline bool policy_counts(const struct policy_witness *w)
{
	return w->key.type == NOTE_COSIGNATURE_ED25519;
}

struct policy_group {
	char name[NOTE_NAME_MAX];
	uint8_t threshold; /* 1 … members_n */
	uint8_t members_n;
	struct policy_ref member[POLICY_WITNESSES_MAX + POLICY_GROUPS_MAX];
};

/* Some 170 KB: give it a place that is no small stack. */
struct policy {
	size_t logs_n, witnesses_n, groups_n;
	struct policy_log log[POLICY_LOGS_MAX];
	struct policy_witness witness[POLICY_WITNESSES_MAX];
	struct policy_group group[POLICY_GROUPS_MAX];
	struct policy_ref quorum;
};

/*
 * RC_OK, or an error whose text names the line, what was found and what was expected: RC_MALFORMED,
 * RC_NOT_FOUND (a name that no line before defines), RC_EXISTS (defined, listed or keyed twice), RC_RANGE
 * (k), RC_LIMIT. ret_policy is changed in any case.
 */
enum rc policy_parse(struct policy *ret_policy, const char *text, size_t n, struct err *e);

/* Only for tests: the policy as a file again, its lines in the order log, witness, group, quorum. Returns the length,
 * 0: does not fit. */
size_t policy_text(const struct policy *p, char *ret_text, size_t max);

struct policy_verdict {
	bool log_signed;      /* by a log of the policy whose name is the checkpoint's first line */
	size_t log;	      /* its number */
	bool quorum;	      /* reached */
	uint64_t signed_mask; /* bit i: witness i cosigned */
	uint64_t future_mask; /* and at a time that has not come yet: not in signed_mask */
	uint64_t time_s[POLICY_WITNESSES_MAX]; /* of witness i, where its bit is set */
	/* The latest time T such that those who cosigned at T or later are a quorum; 0 for "quorum none". */
	uint64_t quorum_time_s;
};

/*
 * Does the note satisfy the policy? RC_OK: a log of the policy signed it and the quorum cosigned. Otherwise
 * RC_AUTH, and the text says which is missing; a wrong signature or cosignature of a known key refuses the
 * whole note. A policy without logs asks for no signature of one: then the caller knows the log and verifies
 * it. ret_verdict holds what was found in any case.
 */
enum rc policy_evaluate(
	const struct policy *p, const struct note *note, struct policy_verdict *ret_verdict, struct err *e);

/* The same at a time: what witnesses say they have cosigned later than that does not count. */
enum rc policy_evaluate_at(const struct policy *p, const struct note *note, uint64_t now_s,
	struct policy_verdict *ret_verdict, struct err *e);

/* The witnesses' part of it alone, for who knows the log: RC_OK whether or not the quorum is reached; RC_AUTH
 * for a wrong cosignature. */
enum rc policy_witnesses(
	const struct policy *p, const struct note *note, struct policy_verdict *ret_verdict, struct err *e);

#endif
