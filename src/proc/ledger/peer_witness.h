/*
 * This gateway as a witness of its peers' ledgers: what a peer's ledger asks over IKE (ike/peer_message.c) is
 * decided by the same core as in plaingate-witness (witness/witness.h), and what was cosigned last stands
 * durably in the ledger's directory, as peers/<16 hex>: the cosigned note.
 *
 * The key follows from the ledger's by HKDF, so there is no other file to keep; it signs nothing but
 * cosignatures. A peer's log is trusted only from that peer. What was cosigned is not entered in our own
 * ledger (two gateways would keep each other awake); silence, return and another history are.
 *
 * Asks: the body of add-checkpoint, or "seen\n". Answers: "<status>\n", then the body of HTTP's answer; for
 * "seen" the note. Caller: proc/ledger/shell.c. One thread.
 */
#ifndef PROC_LEDGER_PEER_WITNESS_H
#define PROC_LEDGER_PEER_WITNESS_H

#include "base/clock.h"
#include "ledger/log.h"
#include "witness/witness.h"

#define PEER_WITNESS_LOGS_MAX	  8
#define PEER_WITNESS_PEER_BYTES	  64
#define PEER_WITNESS_ASK_SEEN	  "seen\n"
#define PEER_WITNESS_SILENT_AFTER 3 /* heartbeats */
/* "peers/", hex, ".fork" */
#define PEER_WITNESS_PATH_MAX	  32

struct peer_witness_log {
	char peer[PEER_WITNESS_PEER_BYTES]; /* who may ask for it */
	struct note_key key;
	uint64_t size;	  /* cosigned last, since the start of this process */
	mono_ns heard_at; /* of that, or of the beginning */
	bool silent;	  /* told by peer_witness_silence() */
	bool forked;	  /* told: its key has signed two histories */
};

struct peer_witness {
	struct witness witness;
	const struct ledger_store *files;
	struct peer_witness_log logs[PEER_WITNESS_LOGS_MAX];
	size_t logs_n;
	mono_ns heartbeat; /* how often they ask at least: ours, which theirs should be */
};

enum peer_witness_news { PEER_WITNESS_NOTHING, PEER_WITNESS_RETURNED, PEER_WITNESS_FORKED };

enum rc peer_witness_begin(struct peer_witness *v, const struct ledger_store *files,
	const struct note_key *ledger, const uint8_t seed[ED25519_SEED_SIZE]);
void peer_witness_done(struct peer_witness *v);

/* The whole list; those that stay keep what is known of them. RC_LIMIT. */
enum rc peer_witness_set(struct peer_witness *v, const struct peer_witness_log *logs, size_t n,
	mono_ns heartbeat, mono_ns now);

/*
 * The answer to what a peer asked, into ret (max at least WITNESS_BODY_MAX + 8). Returns its length, 0:
 * nobody is to be answered, because no log of that peer is configured. *ret_log: whom *ret_news is about.
 */
size_t peer_witness_answer(struct peer_witness *v, const char *peer, const void *ask, size_t n,
	uint64_t now_s, mono_ns now, char *ret, size_t max, enum peer_witness_news *ret_news,
	const struct peer_witness_log **ret_log);

/* A log of which nothing was cosigned for PEER_WITNESS_SILENT_AFTER heartbeats, once each time; NULL: none. */
const struct peer_witness_log *peer_witness_silence(struct peer_witness *v, mono_ns now);

/* "peers/<16 hex>": where the note of an origin stands. */
char *peer_witness_path(char ret_path[PEER_WITNESS_PATH_MAX], const char *origin);

#endif
