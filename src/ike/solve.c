/*
 * Puzzles of peers (RFC 8019 section 7.1.2), as initiator. They are solved in pieces, one at a time for all IKE SAs together and with
 * a pause after each (settle.c), so that a responder which demands the hardest one does not hold up other peers. A few are worked on in
 * turn, the others wait: if all were, none would be solved in time. What is too hard, waits or takes too long, is answered with the cookie
 * alone, as an initiator would do that knows no puzzles.
 */
#include "ike/internal.h"

#include "crypto/prf.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>

void solve_drop(struct ike_sa *sa)
{
	if (!sa->puzzle)
		return;
	link_out(&sa->puzzle->of_solving);
	free(sa->puzzle);
	sa->puzzle = NULL;
}

static void leave(struct ike *c, struct ike_sa *sa, const char *why)
{
	c->counts[IKE_COUNT_PEER_PUZZLES_LEFT]++;
	ike_log(c, true,
		"peer %s demands a puzzle (RFC 8019) %s: the request is repeated with the cookie alone",
		sa_peer_name(c, sa), why);
}

bool solve_begin(struct ike *c, struct ike_sa *sa, const struct ike_payloads *p)
{
	const struct ike_notify *v = ike_notify_find(p, NTF_PUZZLE);
	struct ike_puzzle *z;
	char why[64];
	struct rd r;

	solve_drop(sa);
	if (!v)
		return false;
	r = rd_over(v->data.at, v->data.n);
	uint16_t prf = rd_u16(&r);
	uint8_t difficulty = rd_u8(&r);
	if (rd_end(&r) != RC_OK || prf_size(prf) == 0) {
		leave(c, sa, "with a function that is not known here");
		return false;
	}
	if (difficulty > c->setup.puzzle_hardest) {
		snprintf(why, sizeof why, "of %u zero bits, at most %u are tried", difficulty,
			c->setup.puzzle_hardest);
		leave(c, sa, why);
		return false;
	}
	z = sa->puzzle = ike_alloc(sizeof *z);
	z->sa = sa;
	z->until = c->now + IKE_PUZZLE_S * NS_PER_S;
	z->search.prf = prf;
	z->search.difficulty = difficulty > 0 ? difficulty : MIN_OF(IKE_PUZZLE_FREE, c->setup.puzzle_hardest);
	sa->again_at = 0; /* what the peer has answered is not repeated */
	if (list_empty(&c->solving))
		due_set(c, &c->solving_due, c->now + IKE_PUZZLE_PAUSE_MS * NS_PER_MS);
	link_last(&c->solving, &z->of_solving);
	return true;
}

/* The first one that waits, and how many have begun before it. */
static struct ike_puzzle *waiting(struct ike *c, unsigned *ret_begun)
{
	*ret_begun = 0;
	LIST_FOR (struct ike_puzzle, z, &c->solving, of_solving) {
		if (!z->begun)
			return z;
		(*ret_begun)++;
	}
	return NULL;
}

/* Whose turn it is: the first one's, unless one that waits can begin, or has waited too long. */
static struct ike_puzzle *turn(struct ike *c)
{
	unsigned begun;
	struct ike_puzzle *w = waiting(c, &begun);

	assert(begun <= IKE_PUZZLES_AT_ONCE);
	if (w && c->now >= w->until)
		return w;
	if (!w || begun == IKE_PUZZLES_AT_ONCE)
		return LIST_FIRST(&c->solving, struct ike_puzzle, of_solving);
	w->begun = true;
	w->until = c->now + IKE_PUZZLE_S * NS_PER_S;
	return w;
}

/* Behind the others that have begun, and before those that wait. */
static void put_back(struct ike *c, struct ike_puzzle *z)
{
	unsigned begun;
	struct ike_puzzle *w = waiting(c, &begun);

	link_last(w ? &w->of_solving : &c->solving, &z->of_solving); /* before w */
}

struct ike_sa *solve_piece(struct ike *c)
{
	struct ike_puzzle *z = turn(c);
	struct ike_sa *sa = z ? z->sa : NULL;

	if (!z)
		return NULL;
	assert(sa->puzzle == z && sa->state == ST_INIT_SENT);
	link_out(&z->of_solving);
	if (z->begun && puzzle_search_on(&z->search, &(struct ike_view){ sa->cookie, sa->cookie_n },
				IKE_PUZZLE_PIECE)) {
		c->counts[IKE_COUNT_PEER_PUZZLES_SOLVED]++;
	} else if (c->now >= z->until) {
		leave(c, sa, "that takes too long to solve");
		solve_drop(sa);
	} else {
		put_back(c, z);
		sa = NULL;
	}
	if (!list_empty(&c->solving))
		due_set(c, &c->solving_due, c->now + IKE_PUZZLE_PAUSE_MS * NS_PER_MS);
	return sa;
}
