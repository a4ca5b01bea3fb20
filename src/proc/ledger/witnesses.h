/*
 * The ledger's witnesses: who they are (from the supervisor), when each is asked (witness/poll.h), what they
 * have answered and cosigned. Requests: witness_ask.h; acts that wait for cosignatures: pending.h; the keeper's
 * question about them: cosigned.h. Called by shell.c and opening.c; one thread.
 */
#ifndef PROC_LEDGER_WITNESSES_H
#define PROC_LEDGER_WITNESSES_H

#include "ipc/messages.h"
#include "ledger/types.h"
#include "proc/ledger/cosigned.h"
#include "proc/ledger/exchange.h"
#include "proc/ledger/pending.h"
#include "witness/poll.h"

#define WITNESS_NOTE_MAX 2048 /* a checkpoint with two signatures has some 500 */

struct ledger_shell;
struct witnesses;

struct witness_peer {
	struct witnesses *all;
	const struct snap_witness *configured;
	struct witness_poll poll;
	struct exchange exchange;
	char sent[WITNESS_NOTE_MAX]; /* the note in the request under way */
	size_t sent_n;
	char line[COSIGN_LINE_MAX]; /* its last cosignature */
	uint64_t line_size;	    /* entries of the checkpoint that it cosigns; 0: none */
};

/* A note that was signed by the log itself, and that the log on the disk does not continue. */
struct seen_note {
	char witness[NAME_MAX_BYTES]; /* "": there is none */
	struct checkpoint checkpoint;
	uint64_t time_s;
	char note[WITNESS_NOTE_MAX];
	size_t note_n;
};

struct witnesses {
	struct ledger_shell *shell;
	struct loop *loop;
	struct snap_evidence config;
	size_t n;
	struct witness_peer peer[WITNESSES_MAX];
	struct timer turn;
	uint64_t last_tag;
	struct pending_act pending[PENDING_ACTS_MAX];
	size_t pending_n;
	struct cosigned cosigned;
	struct seen_note seen;
};

static inline mono_ns witnesses_now(const struct witnesses *w)
{
	return w->loop->now;
}

static inline mono_ns witnesses_heartbeat(const struct witnesses *w)
{
	return w->config.heartbeat_s * NS_PER_S;
}

/* Something changed: a turn follows soon. */
static inline void witnesses_wake(struct witnesses *w)
{
	loop_arm(w->loop, &w->turn, 0, 0);
}

/* Reached through IKE, as a peer's ledger. */
static inline bool witness_is_peer(const struct witness_peer *p)
{
	return p->configured->peer[0] != '\0';
}

/* Reached by URL, through the courier. */
static inline bool witness_has_url(const struct witness_peer *p)
{
	return p->configured->url[0] != '\0';
}

/* on_turn: calls witnesses_turn() and, at its end, witnesses_turn_arm(). */
void witnesses_init(struct witnesses *w, struct ledger_shell *s, timer_fn *on_turn);
void witnesses_done(struct witnesses *w);
/* The configuration changed; what is known of witnesses that stay is kept. */
void witnesses_configure(struct witnesses *w, const struct snap_evidence *config);
/* The log is another one: nothing is known of what they have seen of it. */
void witnesses_begin(struct witnesses *w);
/* What is due: receipts of acts that wait, the keeper's answer, requests. */
void witnesses_turn(struct witnesses *w);
/* Arms the next turn. */
void witnesses_turn_arm(struct witnesses *w);
/* Has each of them answered what it has seen of this log? */
bool witnesses_settled(const struct witnesses *w);
/* The answer of a peer's ledger, which ike carried. */
void witnesses_peer_answer(struct witnesses *w, const char *peer, const void *message, size_t n);
/* The courier's answer to WITNESS_ASK. */
void witnesses_answer(struct witnesses *w, uint64_t tag, const struct msg_witness_answer *m);
/* The courier's link is up, or lost. */
void witnesses_courier(struct witnesses *w, bool up);
/* The supervisor's answers to WITNESS_CONNECT; a refusal also of ike, when a message cannot be sent. `by`: a
 * process refuses only what was asked of it. */
void witnesses_connected(struct witnesses *w, uint64_t tag, int fd);
void witnesses_refused(struct witnesses *w, enum proc by, uint64_t tag, const char *why);
/* All acts that wait are refused, and the keeper's question is answered with nothing. */
void witnesses_fail_pending(struct witnesses *w, const char *why);

/* A row for each. Returns how many. */
unsigned witnesses_show(struct witnesses *w, uint64_t tag);

#endif
