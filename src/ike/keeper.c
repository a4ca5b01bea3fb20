/*
 * What comes from the keeper: answers to the requests of ask.c, and its end. An answer whose step was
 * abandoned is not ignored: the handles that it brings are dropped again, so that neither side keeps what the
 * other forgot.
 */
#include "ike/internal.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>

/* The step that asked has been abandoned. */
static void clean_up(
	struct ike *c, struct ike_sa *sa, const struct keeper_request *q, const struct keeper_reply *r)
{
	switch (q->op) {
	case KEEPER_EXCHANGE_BEGIN:
		if (r->u.EXCHANGE_BEGIN.rc == RC_OK)
			sa_ask_drop(c, sa, r->u.EXCHANGE_BEGIN.handle, 0);
		break;
	case KEEPER_EXCHANGE_ANSWER:
		if (r->u.EXCHANGE_ANSWER.rc == RC_OK)
			sa_ask_drop(c, sa, r->u.EXCHANGE_ANSWER.handle, 0);
		break;
	case KEEPER_CHILD_BEGIN:
		if (r->u.CHILD_BEGIN.rc == RC_OK)
			sa_ask_drop(c, sa, q->u.CHILD_BEGIN.handle, r->u.CHILD_BEGIN.child);
		break;
	case KEEPER_AUTH_VERIFY:
		/* The keeper has recorded the IKE SA as established; the drop in the queue must record its
		 * end. */
		if (r->u.AUTH_VERIFY.rc != RC_OK)
			break;
		for (struct ask *a = sa->asks; a; a = a->next)
			if (a->request.op == KEEPER_DROP && a->request.u.DROP.child == 0)
				a->request.u.DROP.was_up = 1;
		break;
	default:
		break;
	}
}

/*
 * A commit has reached one of the two processes and not the other. Whatever refers to peers and tunnels by
 * numbers that the commit changes was abandoned (config.c); so if the step continues, its numbers are
 * unchanged.
 */
static bool asks_again(struct ike *c, struct ike_sa *sa, const struct ask *a, const struct keeper_reply *r)
{
	uint32_t rc;

	memcpy(&rc, &r->u, sizeof rc); /* the first member of each reply */
	if (rc != RC_STALE || !a->then || a->epoch != sa->steps[a->side].epoch)
		return false;
	sa->flight = 0;
	sa->ask_at = c->now + IKE_STALE_MS * NS_PER_MS;
	sa_touch(c, sa);
	return true;
}

void ike_input_keeper_ended(struct ike *c, mono_ns now, const struct keeper_ended *ended)
{
	char text[KEEPER_TEXT_MAX];

	c->now = now;
	snprintf(text, sizeof text, "%.*s", (int)sizeof ended->text - 1, ended->text);
	LIST_FOR (struct ike_sa, sa, &c->sas, of_all) {
		if (sa->handle == 0 || sa->handle != ended->handle || sa->state == ST_DEAD)
			continue;
		if (sa->state == ST_LARVAL)
			break; /* its rekey has a step that holds it, and hears by its next request */
		ike_log(c, true, "peer %s: %s", sa_peer_name(c, sa), text);
		sa_close(c, sa, text);
		break;
	}
	sa_settle_all(c);
}

void ike_input_keeper(struct ike *c, mono_ns now, const struct keeper_reply *reply)
{
	struct ike_sa *sa = c->slots[reply->tag % IKE_SAS_MAX];
	struct step *st;
	struct ask *a;

	c->now = now;
	if (reply->tag == 0 || !sa || sa->flight != reply->tag || !sa->asks ||
		sa->asks->request.op != reply->op)
		return; /* an answer from before the keeper was lost */
	assert(sa->slot == reply->tag % IKE_SAS_MAX && sa->asks_n > 0);
	st = &sa->steps[sa->asks->side];
	if (asks_again(c, sa, sa->asks, reply)) {
		sa_settle_all(c);
		return;
	}
	a = sa_ask_take(sa);
	sa_touch(c, sa);
	if (a->then && a->epoch == st->epoch)
		a->then(c, sa, st, reply);
	else if (a->then)
		clean_up(c, sa, &a->request, reply);
	bytes_wipe(&a->request, sizeof a->request);
	free(a);
	sa_settle_all(c);
}

/*
 * A full queue loses nothing, nor does the time until there is another keeper, of whose end ike_input_keeper_lost() was told before: the
 * request stays the first of its own queue, whatever it asks.
 */
void ike_input_keeper_untaken(struct ike *c, mono_ns now, const struct keeper_request *q, enum rc rc)
{
	struct ike_sa *sa = c->slots[q->tag % IKE_SAS_MAX];
	struct keeper_reply r = { .op = q->op, .tag = q->tag };

	c->now = now;
	if (rc == RC_LIMIT || rc == RC_IO) {
		if (!sa || sa->flight != q->tag)
			return;
		sa->flight = 0;
		sa->ask_at = now + IKE_KEEPER_AGAIN_MS * NS_PER_MS;
		sa_touch(c, sa);
		sa_settle_all(c);
		return;
	}
	switch (q->op) {
#define E(id, request, reply, ike, child)                                                                    \
	case KEEPER_##id:                                                                                    \
		r.u.id.rc = (uint32_t)rc;                                                                    \
		snprintf(r.u.id.text, sizeof r.u.id.text, "the keeper did not take the request: %s",         \
			rc_text(rc));                                                                        \
		break;
		KEEPER_OPS(E)
#undef E
	case KEEPER_OP_COUNT:
		return;
	}
	ike_input_keeper(c, now, &r);
}

/*
 * All handles are void. Child SAs continue in the data plane without us: they become orphans of their tunnels
 * and are replaced when the tunnel is negotiated again: soon, as often as it happens, since none of it is the peer's failure, and the
 * supervisor starts keepers at growing intervals.
 */
void ike_input_keeper_lost(struct ike *c, mono_ns now)
{
	c->now = now;
	LIST_FOR (struct ike_sa, sa, &c->sas, of_all) {
		bool starting = sa->initiator && sa->state < ST_LARVAL;
		uint32_t first_tunnel = sa->first_tunnel;

		sa_asks_free(sa);
		LIST_FOR_SAFE (struct child_sa, ch, after, &sa->children, of_sa) {
			ch->handle = 0;
			if (ch->tunnel < c->tunnels_n && peer_is_template(c, sa->peer)) {
				c->tunnels[ch->tunnel].orphan_until = 0; /* seen again by its usage */
			} else if (ch->state == CH_UP && ch->tunnel < c->tunnels_n) {
				c->tunnels[ch->tunnel].orphan = ch->spi_in;
				c->tunnels[ch->tunnel].orphan_until = now + IKE_ORPHAN_S * NS_PER_S;
				c->tunnels[ch->tunnel].orphan_remove_at = 0;
				c->tunnels[ch->tunnel].want = true;
			}
			uint32_t carried = ch->state == CH_UP ? ch->tunnel : INDEX_NONE;
			if (sa->followup && sa->followup->child == ch)
				sa->followup->child = NULL;
			if (ch->state == CH_UP || (ch->state == CH_LARVAL && !ch->installing))
				child_unlink(c, sa, ch);
			tunnel_soon(c, carried);
		}
		sa->handle = 0;
		sa->was_up = false;
		sa->steps[SIDE_OWN].child = sa->steps[SIDE_PEER].child = NULL;
		sa_kill(c, sa, "the keeper was restarted");
		if (starting)
			tunnel_soon(c, first_tunnel);
	}
	sa_settle_all(c);
}
