/*
 * How IKE SAs end: at once, with a delete to the peer, or keeping their last response for a while; how a step
 * is abandoned; and which IKE SA ends when there are too many.
 */
#include "ike/internal.h"

#include <assert.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

void step_reset(struct ike *c, struct ike_sa *sa, struct step *st)
{
	struct child_sa *ch = st->child, *old = NULL;
	struct ike_sa *successor = st->successor;

	if (st->task == TASK_CHILD_NEW)
		tunnel_touch(c, st->tunnel);
	if (st->task == TASK_CHILD_REKEY)
		old = child_by_in(c, sa, st->old_spi_in);
	if (old)
		child_redundancy_mark(c, old); /* that had to wait for this exchange */
	step_values_free(st);
	*st = (struct step){ .side = st->side, .epoch = st->epoch + 1 };
	if (successor && successor->state != ST_DEAD)
		sa_kill(c, successor, "abandoned");
	if (!ch)
		return;
	if (ch->installing) {
		child_gone(c, sa, ch, "abandoned");
		return;
	}
	child_drop_handle(c, sa, ch);
	child_unlink(c, sa, ch);
}

void followup_drop(struct ike *c, struct ike_sa *sa)
{
	struct ike_sa *successor = sa->followup ? sa->followup->successor : NULL;
	struct child_sa *ch = sa->followup ? sa->followup->child : NULL;

	followup_free(sa);
	if (successor && successor->state != ST_DEAD)
		sa_kill(c, successor, "abandoned");
	if (!ch)
		return;
	child_drop_handle(c, sa, ch);
	child_unlink(c, sa, ch);
}

/* Whichever of the two IKE SAs of a rekey ends, the other one keeps the children. */
static void end_relations(struct ike *c, struct ike_sa *sa)
{
	struct ike_sa *successor = sa_by_serial(c, sa->peer, sa->peer_successor),
		      *parent = sa_by_serial(c, sa->peer, sa->parent);

	if (successor)
		rekey_settle_to(c, successor);
	if (parent && parent->peer_successor == sa->serial)
		parent->peer_successor = 0;
	sa->parent = 0;
}

static void end_all(struct ike *c, struct ike_sa *sa)
{
	step_reset(c, sa, &sa->steps[SIDE_OWN]);
	step_reset(c, sa, &sa->steps[SIDE_PEER]);
	followup_drop(c, sa);
	LIST_FOR_SAFE (struct child_sa, ch, after, &sa->children, of_sa)
		child_gone(c, sa, ch, text_of(sa->reason));
	assert(!sa->steps[SIDE_OWN].child && !sa->steps[SIDE_PEER].child);
	sa_drop_handle(c, sa);
	blob_free(&sa->request);
	sa->again_at = sa->give_up_at = sa->rekey_at = sa->expire_at = sa->keepalive_at = sa->timer_at = 0;
	sa->want_delete = sa->want_rekey = sa->want_dpd = sa->want_token = false;
}

/* From any state to DEAD or FAILED. */
static void end(struct ike *c, struct ike_sa *sa, enum ike_state to)
{
	bool was_live, was_starting, elsewhere;
	char why[IKE_REASON_MAX] = "";

	assert(to == ST_DEAD || to == ST_FAILED);
	end_relations(c, sa);
	was_live = sa->state == ST_UP;
	was_starting = sa->initiator && sa->state < ST_LARVAL;
	sa_enter(c, sa, to);
	end_all(c, sa);
	tunnels_retry(c, sa->peer);
	elsewhere = redirect_over(c, sa); /* at the configured address again, or there */
	elsewhere |= was_starting && !sa->terminated && redirect_follow(c, sa, false, why);
	if (why[0])
		text_set(&sa->reason, "%s", why);
	if (!was_live && !was_starting)
		return;
	ike_log(c, true, "peer %s: IKE SA %s: %s", sa_peer_name(c, sa),
		was_live ? "ended" : "not established", text_of(sa->reason));
	if (was_starting && !sa->terminated &&
		(elsewhere || (!sa->redirected_from && named_next(c, sa->peer, &sa->remote.addr)))) {
		tunnel_at_once(c, sa->first_tunnel, text_of(sa->reason));
		return;
	}
	named_ask(c, sa->peer); /* it may be somewhere else by now */
	if (was_starting)
		tunnel_failed(c, sa->first_tunnel, text_of(sa->reason));
	else
		tunnels_lost(c, sa->peer, text_of(sa->reason));
}

void sa_kill(struct ike *c, struct ike_sa *sa, const char *fmt, ...)
{
	char text[IKE_REASON_MAX];
	va_list args;

	if (sa->state == ST_DEAD)
		return;
	va_start(args, fmt);
	vsnprintf(text, sizeof text, fmt, args);
	va_end(args);
	text_set(&sa->reason, "%s", text);
	end(c, sa, ST_DEAD);
}

/*
 * Of the IKE SAs in a state that unauthenticated peers can cause the one that has been in it longest. An
 * honest peer continues within a round trip, so under a flood the oldest is the least likely to be one. Not
 * while the keeper works for it.
 */
static struct ike_sa *oldest_of(const struct link *list)
{
	LIST_FOR (struct ike_sa, sa, list, of_state)
		if (!sa->steps[SIDE_PEER].busy)
			return sa;
	return NULL;
}

bool sa_half_open_room(struct ike *c)
{
	struct ike_sa *oldest;

	assert(c->half_open <= IKE_HALF_OPEN_MAX);
	if (c->half_open < IKE_HALF_OPEN_MAX)
		return true;
	oldest = oldest_of(&c->waiting);
	c->counts[IKE_COUNT_HALF_OPEN_EVICTED] += oldest != NULL;
	if (oldest)
		sa_kill(c, oldest, "evicted: too many half-open IKE SAs and no IKE_AUTH yet");
	return oldest;
}

static void failed_limit(struct ike *c)
{
	struct ike_sa *oldest = c->failed_n > IKE_FAILED_MAX ? oldest_of(&c->failed) : NULL;

	if (oldest)
		sa_kill(c, oldest, "%s", text_of(oldest->reason));
}

void sa_fail(struct ike *c, struct ike_sa *sa, const char *reason)
{
	if (sa->state == ST_DEAD || sa->state == ST_FAILED)
		return;
	if (reason != sa->reason)
		text_set(&sa->reason, "%s", reason);
	end(c, sa, ST_FAILED);
	sa->timer_at = c->now + IKE_FAILED_S * NS_PER_S;
	failed_limit(c);
}

void sa_close(struct ike *c, struct ike_sa *sa, const char *reason)
{
	if (sa->state == ST_UP || sa->state == ST_REPLACED) {
		if (!sa->want_delete)
			text_set(&sa->reason, "%s", reason);
		sa->want_delete = true;
		tunnels_retry(c, sa->peer);
		sa_touch(c, sa);
	} else if (sa->state != ST_CLOSING && sa->state != ST_DEAD && sa->state != ST_FAILED) {
		sa_kill(c, sa, "%s", reason);
	}
}

/*
 * By an administrator, in whatever state it is. One that the peer may take for established as soon as it has our IKE_AUTH is closed when it is
 * established here: ended at once, it would stay with the peer.
 */
void sa_terminate(struct ike *c, struct ike_sa *sa, const char *reason)
{
	sa->terminated = true;
	switch (sa->state) {
	case ST_KEYS_OWN:
	case ST_INIT_SENT:
	case ST_ADDITIONAL_SENT:
	case ST_UP:
		sa_close(c, sa, reason);
		break;
	case ST_AUTH_SENT:
	case ST_AUTH_WAIT: /* and authenticated: it is in the peer's list */
		text_set(&sa->reason, "%s", reason);
		sa->want_delete = true;
		break;
	default: /* it ends already, or comes from one that is terminated as well */
		break;
	}
	sa_touch(c, sa);
}

/* ---- too many with one peer ---- */

/* Those that count as one peer's: of a template the IKE SAs of one identity. `keep` NULL: of no template. */
static bool counts(const struct ike *c, const struct ike_sa *sa, const struct ike_sa *keep)
{
	return !keep || sa_same_user(c, sa, keep);
}

static bool peer_has_room(const struct ike *c, struct ike_peer *p, const struct ike_sa *keep)
{
	uint32_t n = p->sas_n, has = n;

	if (keep && keep->user.n > 0 && peer_is_template(c, keep->peer)) {
		struct ike_instance *i = instance_get(p, &keep->user);

		has = p->each ? i->sas_n : has;
		n = i->sas_n - link_used(&keep->of_peer);
		instance_put(i); /* if it has none */
	}
	return has < IKE_SAS_SURE ||
	       (n < IKE_SAS_PER_PEER_MAX && c->sas_extra < c->setup.live_max - c->sas_sure);
}

/* One that is being replaced or closed first, else the oldest established one. */
static struct ike_sa *peer_victim(const struct ike *c, const struct ike_peer *p, const struct ike_sa *keep)
{
	struct ike_sa *oldest = NULL;

	LIST_FOR (struct ike_sa, sa, &p->sas, of_peer) {
		if (sa == keep || !counts(c, sa, keep))
			continue;
		if (sa->state == ST_REPLACED || sa->state == ST_CLOSING)
			return sa;
		if (sa->state == ST_UP && (!oldest || sa->since < oldest->since))
			oldest = sa;
	}
	return oldest;
}

bool sa_peer_room(struct ike *c, uint32_t peer, const struct ike_sa *keep)
{
	struct ike_peer *p = peer_entry(c, peer);

	while (!peer_has_room(c, p, keep)) {
		struct ike_sa *victim = peer_victim(c, p, keep);

		assert(!victim || victim != keep);
		if (!victim)
			return false;
		sa_kill(c, victim, "too many IKE SAs with this peer: the oldest is closed");
	}
	return true;
}

void sa_peer_limit(struct ike *c, const struct ike_sa *fresh)
{
	struct ike_sa *oldest = NULL;
	uint32_t n = 0;

	LIST_FOR (struct ike_sa, sa, &peer_entry(c, fresh->peer)->sas, of_peer) {
		if (sa->state != ST_UP || sa->want_delete || !sa_same_user(c, sa, fresh))
			continue;
		n++;
		if (sa != fresh && (!oldest || sa->since < oldest->since))
			oldest = sa;
	}
	if (n <= IKE_SAS_UP_PER_PEER_MAX || !oldest)
		return;
	/* One that is in doubt has a request under way, and no delete can be sent before that is answered. */
	if (oldest->doubted && oldest->again_at != 0)
		sa_kill(c, oldest, "too many IKE SAs with this peer: the oldest is closed");
	else
		sa_close(c, oldest, "too many IKE SAs with this peer: the oldest is closed");
}
