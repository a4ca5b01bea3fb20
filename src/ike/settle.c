/*
 * Timers, and the end of an event: each IKE SA and tunnel that an event touched begins what it wants next,
 * and gets its next deadline.
 */
#include "ike/internal.h"

#include <assert.h>

static mono_ns dpd_at(const struct ike *c, const struct ike_sa *sa)
{
	const struct snap_peer *p = sa_peer(c, sa);
	mono_ns heard = sa->heard_at;

	return heard + (p && p->dpd_s ? p->dpd_s : IKE_DPD_S) * NS_PER_S;
}

static bool reached(const struct ike *c, mono_ns at)
{
	return at != 0 && c->now >= at;
}

static void tick_timer(struct ike *c, struct ike_sa *sa)
{
	sa->timer_at = 0;
	switch (sa->state) {
	case ST_AUTH_WAIT:
		/* While the keeper works on IKE_AUTH nothing is missing from the peer. */
		if (sa->steps[SIDE_PEER].busy)
			sa->timer_at = c->now + IKE_HALF_OPEN_S * NS_PER_S;
		else
			sa_kill(c, sa, "%s",
				sa->put_off		? text_of(sa->reason)
				: additional_is_due(sa) ? "the peer did not send IKE_INTERMEDIATE in time"
							: "the peer did not send IKE_AUTH in time");
		break;
	case ST_FAILED:
		sa_kill(c, sa, "%s", text_of(sa->reason));
		break;
	case ST_REPLACED:
		sa_close(c, sa, "replaced; the peer did not delete it");
		break;
	default:
		break;
	}
}

/* A second IKE SA with the same peer that has had no child SA for a while: closed by whoever began it. */
static void look_childless(struct ike *c, struct ike_sa *sa)
{
	assert(sa->state == ST_UP);
	if (!list_empty(&sa->children) || !sa->initiator || sa->want_delete || sa->parent != 0) {
		sa->childless_at = 0;
		return;
	}
	LIST_FOR (struct ike_sa, other, &peer_entry(c, sa->peer)->sas, of_peer) {
		if (other == sa || other->state != ST_UP || other->want_delete || !sa_same_user(c, other, sa))
			continue;
		if (list_empty(&other->children) && nonce_compare(&other->lowest, &sa->lowest) < 0)
			continue; /* neither has one: as in 2.8.1, that with the lowest nonce is closed */
		if (sa->childless_at == 0)
			sa->childless_at = c->now + IKE_CHILDLESS_S * NS_PER_S;
		if (reached(c, sa->childless_at))
			sa_close(c, sa, "a second IKE SA with the same peer");
		return;
	}
	sa->childless_at = 0;
}

static void tick_up(struct ike *c, struct ike_sa *sa)
{
	struct ike_action *a;

	assert(sa->state == ST_UP);
	if (reached(c, sa->rekey_at)) {
		sa->want_rekey = true;
		sa->rekey_at = 0;
	}
	if (reached(c, sa->expire_at)) {
		sa->expire_at = 0;
		sa_close(c, sa, "its lifetime ended and no rekey succeeded");
		return;
	}
	reauth_tick(c, sa);
	if (reached(c, sa->leaves_at)) {
		sa->leaves_at = 0;
		sa_close(c, sa, "the peer was redirected, and did not leave");
	}
	if (reached(c, dpd_at(c, sa)) && sa->steps[SIDE_OWN].task == TASK_NONE)
		sa->want_dpd = true;
	if (reached(c, sa->keepalive_at)) {
		a = ike_action_add(c, IKE_KEEPALIVE);
		a->local = sa->local;
		a->remote = sa->remote;
		sa->keepalive_at = c->now + IKE_KEEPALIVE_S * NS_PER_S;
	}
}

static void set_due(struct ike *c, struct ike_sa *sa)
{
	mono_ns at = due_sooner(c, due_sooner(c, 0, sa->timer_at), sa->again_at);

	at = due_sooner(c, due_sooner(c, at, sa->give_up_at), sa->ask_at);
	if (sa->hold)
		at = due_sooner(c, at, sa->hold->until);
	if (sa->followup)
		at = due_sooner(c, at, sa->followup->until);
	if (sa->state == ST_UP) {
		at = due_sooner(c, at, sa->rekey_at);
		at = due_sooner(c, at, sa->expire_at);
		at = due_sooner(c, at, sa->keepalive_at);
		at = due_sooner(c, due_sooner(c, at, sa->authenticated.begin), sa->authenticated.end);
		at = due_sooner(c, due_sooner(c, at, sa->childless_at), sa->leaves_at);
	}
	if (sa->state == ST_UP && sa->steps[SIDE_OWN].task == TASK_NONE) {
		at = due_sooner(c, at, dpd_at(c, sa));
		at = due_sooner(c, at, sa->want_rekey ? sa->retry_at : 0);
	}
	assert(at == 0 || at > c->now); /* what is due already has been done, or waits for an event */
	due_set(c, &sa->due, at);
}

static void sa_tick(struct ike *c, struct ike_sa *sa)
{
	if (reached(c, sa->timer_at))
		tick_timer(c, sa);
	if (reached(c, sa->give_up_at))
		sa_kill(c, sa, "%s", text_of(sa->reason));
	if (sa->followup && reached(c, sa->followup->until) && !sa->steps[SIDE_PEER].busy)
		followup_drop(c, sa);
	if (sa->hold && reached(c, sa->hold->until))
		hold_release(c, sa);
	if (reached(c, sa->again_at))
		own_retransmit(c, sa);
	if (sa->state == ST_UP)
		tick_up(c, sa);
	sa_touch(c, sa);
}

static void child_tick(struct ike *c, struct ike_sa *sa, struct child_sa *ch)
{
	if (ch->remove_at != 0 && c->now >= ch->remove_at) {
		child_lingered(c, ch);
		return;
	}
	if (ch->activate_at != 0 && c->now >= ch->activate_at) {
		ch->activate_at = 0;
		child_activate(c, ch);
	}
	if (ch->state == CH_UP && ch->rekey_at != 0 && c->now >= ch->rekey_at) {
		ch->want_rekey = true;
		ch->rekey_at = 0;
	}
	if ((ch->state == CH_UP || ch->state == CH_REPLACED) && ch->expire_at != 0 &&
		c->now >= ch->expire_at) {
		ch->expire_at = 0;
		child_want_delete(c, sa, ch,
			ch->state == CH_UP ? "its lifetime ended" : "replaced; the peer did not delete it");
	}
	if (ch->state == CH_UP && ch->doubt_at != 0 && c->now >= ch->doubt_at)
		child_verify(c, ch);
	child_confirmed(c, ch);
	child_changed(c, ch);
}

/* ---- the end of an event ---- */

static void sa_settle(struct ike *c, struct ike_sa *sa)
{
	link_out(&sa->of_dirty);
	if (sa->state == ST_UP)
		look_childless(c, sa);
	if (sa->state == ST_UP && sa->moving && !sa->want_delete)
		sa_move_on(c, sa);
	/* Its time ended while the keeper worked on a part of it. */
	if (sa->followup && reached(c, sa->followup->until) && !sa->steps[SIDE_PEER].busy)
		followup_drop(c, sa);
	own_initiate(c, sa);
	sa_ask_next(c, sa);
	set_due(c, sa);
	if (sa->state == ST_DEAD && !sa->asks && list_empty(&sa->children) && !link_used(&sa->of_dirty))
		sa_free_dead(c, sa);
}

/*
 * After an event each IKE SA that it touched sends its next request to the keeper, begins what it wants next,
 * and is freed if it is dead; each tunnel that it touched is begun if it is wanted. Settling one may touch
 * another; the lists become empty because each pass only begins something, and windows of one bound what can
 * begin.
 */
void sa_settle_all(struct ike *c)
{
	for (;;) {
		struct ike_sa *sa = LIST_FIRST(&c->dirty, struct ike_sa, of_dirty);
		struct tunnel *t = LIST_FIRST(&c->dirty_tunnels, struct tunnel, of_dirty);

		if (sa) {
			sa_settle(c, sa);
		} else if (t) {
			link_out(&t->of_dirty);
			tunnel_settle(c, (uint32_t)(t - c->tunnels));
		} else if (!holds_settle(c)) {
			return;
		}
	}
}

/* Handles what is due, and nothing else. Each gets its next deadline when the event is over. */
void ike_tick(struct ike *c, mono_ns now)
{
	struct due *d;

	c->now = now;
	while ((d = due_first(c)) != NULL && d->at <= now) {
		due_set(c, d, 0);
		switch (d->kind) {
		case DUE_IKE_SA:
			sa_tick(c, LINK_OWNER(d, struct ike_sa, due));
			break;
		case DUE_CHILD: {
			struct child_sa *ch = LINK_OWNER(d, struct child_sa, due);
			child_tick(c, ch->sa, ch);
			break;
		}
		case DUE_PUZZLES: {
			struct ike_sa *solved = solve_piece(c);
			if (solved)
				init_again(c, solved);
			break;
		}
		case DUE_TUNNEL:
			tunnel_touch(c, (uint32_t)(LINK_OWNER(d, struct tunnel, due) - c->tunnels));
			break;
		}
	}
	sa_settle_all(c);
}
