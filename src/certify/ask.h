/*
 * What a certifier is asked (struct certify_ask), from octets to a question for its engine; and the questions that wait: bounded, and fair
 * between peers. ike may be compromised, and strangers may name any peer. Pure. Callers: proc/certifier.
 */
#ifndef CERTIFY_ASK_H
#define CERTIFY_ASK_H

#include "certify/certify.h"

/*
 * The bag and the identity of *a, which *ret_q then points into; anchors, CRLs, time, role and revocation are the caller's. bag: room for
 * CERTIFY_BAG_MAX. CERTIFY_OK, else the verdict: _LIMIT, _MALFORMED, or _IDENTITY for an identification payload that no certificate can have.
 */
uint32_t certify_ask_read(
	struct certify_question *ret_q, struct certify_der *bag, const struct certify_ask *a);

#define QUESTIONS_MAX 64 /* waiting; 550 KB */
#define QUESTIONS_PER_PEER_MAX                                                                               \
	16 /* strangers who name one peer wait beside its own, and before nobody else's */

struct waiting_question {
	uint64_t number; /* of its arrival; 0: free */
	uint64_t since;	 /* the caller's time */
	struct certify_ask ask;
};

struct questions {
	uint64_t last;	    /* number */
	uint32_t last_peer; /* whose question was taken last */
	uint32_t n;
	struct waiting_question at[QUESTIONS_MAX];
};

/*
 * Keeps a copy of *a. Where there is no room the newest of whoever has most waiting goes, which may be *a: of peers, and of one peer (a template
 * has many instances) of sources. *ret_refused is a copy of that one. Another of the same IKE SA is replaced without a word. False: something
 * was refused.
 */
bool questions_add(
	struct questions *q, const struct certify_ask *a, uint64_t now, struct certify_ask *ret_refused);

/* The oldest of the next peer in turn, whose generation is not above `generation`; false: none. */
bool questions_take(struct questions *q, uint64_t generation, struct certify_ask *ret_ask);

/* Forgets those that came before `since`, and answers how many. */
uint32_t questions_expire(struct questions *q, uint64_t since);

#endif
