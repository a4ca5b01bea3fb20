/*
 * The queue of an IKE SA's requests to the keeper. They go one after the other, so the first of the queue is
 * the one under way, and a CHILD_REMOVE never overtakes its install. Answers: keeper.c.
 */
#include "ike/internal.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>

/* ike_input_keeper() finds the IKE SA by the slot in the tag. */
_Static_assert(IKE_SAS_MAX <= 65536 && 65536 % IKE_SAS_MAX == 0, "the slot is the tag modulo IKE_SAS_MAX");

/* Its numbers of peers and tunnels are those of the current configuration. */
static void stamp(struct ike *c, struct keeper_request *q)
{
	uint64_t *generation = keeper_generation(q);

	assert(!generation || c->snap);
	if (generation)
		*generation = c->snap->generation;
}

bool keeper_rc_blames_peer(uint32_t rc)
{
	return rc == RC_MALFORMED || rc == RC_RANGE;
}

/*
 * What a CREATE_CHILD_SA is refused with when the keeper could not do it. That the ledger or the data plane
 * does not answer is temporary: NO_ADDITIONAL_SAS would have the peer make another IKE SA, which needs more
 * of the same.
 */
uint16_t keeper_rc_notify(uint32_t rc)
{
	return keeper_rc_blames_peer(rc) ? NTF_INVALID_SYNTAX
	       : rc == RC_LIMIT		 ? NTF_NO_ADDITIONAL_SAS
					 : NTF_TEMPORARY_FAILURE;
}

struct keeper_request *sa_ask(
	struct ike *c, struct ike_sa *sa, enum side side, enum keeper_op op, ike_then *then)
{
	struct ask *a = ike_alloc(sizeof *a);

	/* a step that waits for the keeper accepts no message meanwhile */
	assert(op < KEEPER_OP_COUNT && (!then || sa->steps[side].busy));
	a->side = side;
	a->epoch = sa->steps[side].epoch;
	a->then = then;
	a->request.op = op;
	stamp(c, &a->request);
	*sa->asks_end = a;
	sa->asks_end = &a->next;
	sa->asks_n++;
	sa_touch(c, sa);
	return &a->request;
}

struct ask *sa_ask_take(struct ike_sa *sa)
{
	struct ask *a = sa->asks;

	assert(a && sa->asks_n > 0);
	sa->asks = a->next;
	if (!sa->asks)
		sa->asks_end = &sa->asks;
	sa->asks_n--;
	sa->flight = 0;
	return a;
}

/* Sends the first of the queue, if none is under way. */
void sa_ask_next(struct ike *c, struct ike_sa *sa)
{
	struct ask *a;
	struct ike_action *act;

	assert(sa->flight == 0 || sa->asks); /* the first of the queue is the one under way */
	/* One that was to be repeated, of a step that has been abandoned meanwhile. */
	if (sa->ask_at != 0 && sa->flight == 0 && sa->asks && sa->asks->then &&
		sa->asks->epoch != sa->steps[sa->asks->side].epoch) {
		free(sa_ask_take(sa));
		sa->ask_at = 0;
	}
	a = sa->asks;
	if (!a || sa->flight != 0 || c->now < sa->ask_at)
		return;
	/* See asks_again() in keeper.c: its numbers are still valid. */
	if (sa->ask_at != 0 && a->then)
		stamp(c, &a->request);
	sa->ask_at = 0;
	a->request.tag = ++c->tags << 16 | sa->slot;
	sa->flight = a->request.tag;
	if (a->request.op == KEEPER_AUTH_VERIFY && a->epoch == sa->steps[a->side].epoch)
		certify_ask_emit(c, &a->request.u.AUTH_VERIFY, sa->steps[a->side].in);
	act = ike_action_add(c, IKE_ASK);
	act->keeper = ike_alloc(sizeof *act->keeper);
	*act->keeper = a->request;
}

void sa_asks_free(struct ike_sa *sa)
{
	while (sa->asks)
		free(sa_ask_take(sa));
	sa->ask_at = 0;
}

void sa_ask_drop(struct ike *c, struct ike_sa *sa, uint32_t handle, uint32_t child)
{
	struct keeper_drop *d = &sa_ask(c, sa, SIDE_OWN, KEEPER_DROP, NULL)->u.DROP;

	d->handle = handle;
	d->child = child;
	d->peer = sa->peer;
	snprintf(d->reason, sizeof d->reason, "abandoned");
}

void sa_drop_handle(struct ike *c, struct ike_sa *sa)
{
	struct keeper_drop *d;

	if (sa->handle == 0)
		return;
	d = &sa_ask(c, sa, SIDE_OWN, KEEPER_DROP, NULL)->u.DROP;
	d->handle = sa->handle;
	d->was_up = sa->was_up;
	d->peer = sa->peer;
	snprintf(d->reason, sizeof d->reason, "%.190s", text_of(sa->reason));
	sa->handle = 0;
	sa->was_up = false;
	aead_key_done(&sa->key_in);
	aead_key_done(&sa->key_out);
}
