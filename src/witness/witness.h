/*
 * A witness for anyone's log (C2SP tlog-witness 1.0): what it decides when a log requests a cosignature.
 *
 * For each origin it knows the last tree that it cosigned, and cosigns another one only with a proof that
 * it continues that one. Deciding and storing are one step: 200 is answered only after a successful put(),
 * which is durable, and fails if the tree has changed in between. So two cosignatures of one witness are
 * never about trees that contradict each other, whatever crashes and when.
 *
 * Pure: request in, answer out; store and time come from the caller. Callers: src/proc/witness,
 * src/proc/ledger (gateways that witness each other), tests. One thread for each store.
 */
#ifndef WITNESS_WITNESS_H
#define WITNESS_WITNESS_H

#include "merkle/cosign.h"

#define WITNESS_TRIES_MAX 8 /* of others that come between deciding and keeping */

/* What `add-checkpoint` answers: the table of the specification, and what no table of a protocol can prevent.
 */
/* clang-format off */
#define WITNESS_STATUSES(S)	/* id, HTTP status, when */								\
	S(COSIGNED,       200, "the body contains the cosignature")							\
	S(MALFORMED,      400, "the old size is larger than the checkpoint's, or the body is malformed")		\
	S(WRONG_KEY,      403, "no signature, or an invalid one, by a key that is trusted for the origin")			\
	S(UNKNOWN_LOG,    404, "the origin is unknown")									\
	S(CONFLICT,       409, "the old size is not the one that was cosigned last; the body contains that one")		\
	S(INCONSISTENT,   422, "the proof does not prove, or roots that must be equal differ")				\
	S(STORE_FAILED,   500, "the checkpoint could not be stored, so it is not cosigned")				\
	S(CLOCK_BEHIND,   503, "the clock is far behind what was signed before")
/* clang-format on */

enum witness_status {
#define E(id, status, when) WITNESS_##id = status,
	WITNESS_STATUSES(E)
#undef E
};

#define WITNESS_PROOF_MAX	 63	   /* hashes in a request */
#define WITNESS_SIZE_MAX	 INT64_MAX /* leaves; larger trees are refused as malformed */
/* "old", the hashes, the empty line, the note */
#define WITNESS_BODY_MAX	 (NOTE_BYTES_MAX + WITNESS_PROOF_MAX * 45 + 32)
/* Seconds that the clock may step back before the witness stops to sign; within them it repeats the last
 * time. */
#define WITNESS_CLOCK_BACK_S_MAX 300
#define WITNESS_PATH_MAX	 (1 + 2 * SHA256_SIZE + sizeof "/checkpoint")
#define WITNESS_SIZE_TYPE	 "text/x.tlog.size" /* of the body of a 409 */

/* The body of a request. Views into its bytes. */
struct witness_request {
	uint64_t old;
	struct merkle_proof proof;
	const char *note;
	size_t note_n;
};

/* Strict; the note itself is not looked at. RC_MALFORMED, RC_LIMIT with line, found and expected. */
enum rc witness_request_parse(struct witness_request *ret_request, const void *body, size_t n, struct err *e);

/* The tree of an origin that was cosigned last. */
struct witness_head {
	uint64_t size;
	struct merkle_hash root;
	uint64_t time_s; /* of the cosignature */
};

struct witness_store {
	void *context;
	/* RC_OK; RC_NOT_FOUND: nothing was cosigned for this origin yet. Anything else: 500. */
	enum rc (*get)(void *context, const char *origin, struct witness_head *ret_head, struct err *e);
	/*
	 * The head of the origin is `now` from here on, with the cosigned note for whoever monitors, if it is
	 * still `was` (NULL: none). RC_OK: durable, before a byte of the answer is sent. RC_AGAIN: it is
	 * another by now; nothing is changed. Anything else: 500, and the old head stands.
	 */
	enum rc (*put)(void *context, const char *origin, const struct witness_head *was,
		const struct witness_head *now, const char *note, size_t note_n, struct err *e);
};

struct witness {
	struct note_key key; /* type 04 */
	uint8_t seed[ED25519_SEED_SIZE];
	const struct note_key *log; /* type 01: who is trusted for the log's origin; any order */
	const char *const
		*log_origin; /* of each log: NULL where it is the key's name; or NULL: it is of all */
	size_t logs_n;
	struct witness_store store;
};

/* The first line of its checkpoints: the name of its key SHOULD be that, and need not. */
static inline const char *witness_log_origin(const struct witness *w, size_t i)
{
	return w->log_origin && w->log_origin[i] ? w->log_origin[i] : w->log[i].name;
}

struct witness_answer {
	enum witness_status status;
	const char *content_type;
	size_t body_n;
	char body[1024]; /* with a terminator: cosignature, size, or a sentence about what is wrong */
	/* Set once a trusted key's signature was found right; before, what a stranger claims is not repeated.
	 */
	char origin[NOTE_NAME_MAX];
	uint64_t size; /* of the checkpoint */
	struct merkle_hash root;
	/* The log's key signed another root for the size that was cosigned last: with 409 and 422. The two
	 * notes prove it to anyone, so whoever calls should keep this one. */
	bool forked;
};

/* Decides about one request. now_s: seconds since 1970, UTC. */
void witness_add_checkpoint(const struct witness *w, const void *body, size_t n, uint64_t now_s,
	struct witness_answer *ret_answer);

/* "/<lowercase hex of SHA-256(origin)>/checkpoint": where the cosigned note stands. ret_path:
 * WITNESS_PATH_MAX. */
char *witness_monitor_path(char *ret_path, const char *origin);

#endif
