/*
 * The ledger's witnesses at work: who they are (from the supervisor), when each is asked (witness/poll.h),
 * what they have cosigned, and which acts wait for it. Called by shell.c; one thread.
 *
 * All decisions are taken in on_turn(), which runs from the loop alone: whoever changes something
 * calls witnesses_wake(). So no log is closed under the feet of somebody who is working on it.
 */
#ifndef PROC_LEDGER_WITNESSES_H
#define PROC_LEDGER_WITNESSES_H

#include "ipc/messages.h"
#include "ledger/types.h"
#include "proc/ledger/cosigned.h"
#include "proc/ledger/exchange.h"
#include "witness/poll.h"

#define HELD_MAX	 32
#define HELD_WAIT_NS	 (4 * NS_PER_S) /* less than LEDGER_GATE_WAIT_NS, so that the reason arrives */
#define WITNESS_NOTE_MAX 2048		/* a checkpoint with two signatures has some 500 */

struct ledger_shell;
struct witnesses;

struct witness_peer {
	struct witnesses *all;
	const struct snap_witness *configured;
	struct witness_poll poll;
	struct exchange exchange;
	char sent[WITNESS_NOTE_MAX]; /* the note in the question under way */
	size_t sent_n;
	char line[COSIGN_LINE_MAX]; /* its last cosignature */
	uint64_t line_size;	    /* of the checkpoint that this is of; 0: none */
};

/* A receipt that waits for the quorum. */
struct held {
	enum proc source;
	uint64_t tag;
	struct msg_ledger_receipt receipt;
	mono_ns until;
};

/* A note that the log itself signed and that the log on the disk does not continue. */
struct seen_note {
	char witness[NAME_MAX_BYTES]; /* "": there is none */
	struct checkpoint checkpoint;
	uint64_t time_s;
	char note[WITNESS_NOTE_MAX];
	size_t note_n;
};

struct witnesses {
	struct ledger_shell *shell;
	struct snap_evidence config;
	size_t n;
	struct witness_peer peer[WITNESSES_MAX];
	struct timer turn;
	uint64_t last_tag;
	struct held held[HELD_MAX];
	size_t held_n;
	struct cosigned cosigned;
	struct seen_note seen;
};

void witnesses_init(struct witnesses *w, struct ledger_shell *s);
void witnesses_done(struct witnesses *w);
/* The configuration changed; what is known of witnesses that stay is kept. */
void witnesses_configure(struct witnesses *w, const struct snap_evidence *config);
/* The log is another one: nothing is known of what they have seen of it. */
void witnesses_begin(struct witnesses *w);
/* Something changed: a turn follows soon. */
void witnesses_wake(struct witnesses *w);
/* Has each of them said what it has seen of this log? */
bool witnesses_settled(const struct witnesses *w);
/* A peer's ledger has answered, in a word that ike carried. */
void witnesses_word(struct witnesses *w, const char *peer, const void *word, size_t n);
/* The courier's answer to WITNESS_ASK. */
void witnesses_answer(struct witnesses *w, uint64_t tag, const struct msg_witness_answer *m);
/* The courier has come, or is gone. */
void witnesses_courier(struct witnesses *w, bool there);
/* The supervisor's answers to WITNESS_CONNECT; the latter also ike's, when a word cannot go: each speaks only
 * of what was asked of it. */
void witnesses_connected(struct witnesses *w, uint64_t tag, int fd);
void witnesses_refused(struct witnesses *w, enum proc by, uint64_t tag, const char *why);

/* Must the receipt of such an entry wait for the quorum? */
bool witnesses_required(const struct witnesses *w, enum ledger_type type);
/* Keeps the receipt of a durable entry until the quorum has cosigned it, or the time is over. False: too many
 * wait. */
bool witnesses_hold(
	struct witnesses *w, enum proc source, uint64_t tag, const struct msg_ledger_receipt *receipt);
/* All acts that wait are refused, and the keeper's question is answered with nothing. */
void witnesses_fail_pending(struct witnesses *w, const char *why);

/* A row for each. Returns how many. */
unsigned witnesses_show(struct witnesses *w, uint64_t tag);

#endif
