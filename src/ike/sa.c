/*
 * The life of an IKE SA: made, found, changed in state, ended; its timers. The state changes in sa_enter()
 * alone.
 */
#include "ike/internal.h"

#include <assert.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#define TO(s) (1u << ST_##s)

/* Which state may follow which. */
static const uint32_t legal[ST_COUNT] = {
	[ST_NONE] = TO(KEYS_OWN) | TO(KEYS_PEER) | TO(LARVAL),
	[ST_KEYS_OWN] = TO(INIT_SENT) | TO(DEAD),
	[ST_INIT_SENT] = TO(KEYS_OWN) | TO(AUTH_SENT) | TO(DEAD),
	[ST_AUTH_SENT] = TO(UP) | TO(CLOSING) | TO(DEAD),
	[ST_KEYS_PEER] = TO(AUTH_WAIT) | TO(DEAD),
	[ST_AUTH_WAIT] = TO(UP) | TO(FAILED) | TO(DEAD),
	[ST_LARVAL] = TO(UP) | TO(DEAD),
	[ST_UP] = TO(REPLACED) | TO(CLOSING) | TO(FAILED) | TO(DEAD),
	[ST_REPLACED] = TO(CLOSING) | TO(FAILED) | TO(DEAD),
	[ST_CLOSING] = TO(FAILED) | TO(DEAD),
	[ST_FAILED] = TO(DEAD),
	[ST_DEAD] = 0,
};

struct ike_sa *sa_new(struct ike *c, bool initiator)
{
	struct ike_sa *sa;

	if (c->free_n == 0)
		return NULL;
	sa = ike_alloc(sizeof *sa);
	sa->slot = c->free_slots[--c->free_n];
	c->slots[sa->slot] = sa;
	sa->serial = ++c->serials;
	sa->initiator = initiator;
	sa->peer = sa->first_tunnel = INDEX_NONE;
	sa->asks_end = &sa->asks;
	sa->steps[SIDE_PEER].side = SIDE_PEER;
	sa->since = sa->heard_at = c->now;
	sa->due.kind = DUE_IKE_SA;
	list_init(&sa->children);
	list_init(&sa->wanting);
	list_init(&sa->unsure);
	link_last(&c->sas, &sa->of_all);
	sa_touch(c, sa);
	return sa;
}

static bool half_open(enum ike_state s)
{
	return s == ST_KEYS_PEER || s == ST_AUTH_WAIT;
}

void sa_enter(struct ike *c, struct ike_sa *sa, enum ike_state state)
{
	assert(legal[sa->state] >> state & 1);
	c->half_open += half_open(state);
	c->half_open -= half_open(sa->state);
	c->failed_n += state == ST_FAILED;
	c->failed_n -= sa->state == ST_FAILED;
	link_out(&sa->of_state);
	if (state == ST_AUTH_WAIT || state == ST_FAILED)
		link_last(state == ST_FAILED ? &c->failed : &c->waiting, &sa->of_state);
	if (!half_open(state))
		link_out(&sa->of_peer_spi);
	if (state == ST_FAILED || state == ST_DEAD)
		sa_leave_peer(c, sa);
	if (state == ST_DEAD)
		link_out(&sa->of_spi);
	sa->state = state;
	sa_touch(c, sa);
}

void sa_touch(struct ike *c, struct ike_sa *sa)
{
	if (!link_used(&sa->of_dirty))
		link_last(&c->dirty, &sa->of_dirty);
}

const struct snap_peer *sa_peer(const struct ike *c, const struct ike_sa *sa)
{
	return c->snap && sa->peer < c->snap->peers.count ? &snap_peers(c->snap)[sa->peer] : NULL;
}

const char *sa_peer_name(const struct ike *c, const struct ike_sa *sa)
{
	const struct snap_peer *p = sa_peer(c, sa);

	return p ? p->name : sa->former_peer[0] ? sa->former_peer : "(not known yet)";
}

/* Both sides have a timer; different windows of chance keep them from rekeying at the same moment. */
static mono_ns rekey_time(struct ike *c, bool ours, uint32_t lifetime_s)
{
	uint64_t lo = ours ? IKE_REKEY_OURS_FROM : IKE_REKEY_THEIRS_FROM,
		 hi = ours ? IKE_REKEY_OURS_TO : IKE_REKEY_THEIRS_TO;

	return c->now + lifetime_s * NS_PER_S / 1000 * ike_chance(c, lo, hi);
}

void sa_established(struct ike *c, struct ike_sa *sa)
{
	const struct snap_peer *p = sa_peer(c, sa);

	sa->since = sa->heard_at = c->now;
	sa->reason[0] = '\0'; /* of an earlier try with this SA */
	sa->rekey_at = rekey_time(c, sa->initiator, p && p->rekey_s ? p->rekey_s : IKE_LIFETIME_S);
	sa->expire_at =
		c->now + (p && p->rekey_s ? p->rekey_s : IKE_LIFETIME_S) * NS_PER_S / 1000 * IKE_SA_EXPIRE;
	if (sa->we_natted && sa->encap)
		sa->keepalive_at = c->now + IKE_KEEPALIVE_S * NS_PER_S;
	sa->lowest = *nonce_lower(&sa->nonce_i, &sa->nonce_r);
	blob_free(&sa->init_ours);
	blob_free(&sa->init_theirs);
	LIST_FOR (struct ike_sa, other, &peer_entry(c, sa->peer)->sas, of_peer)
		sa_touch(c, other); /* one without children is a second one now */
}

void step_reset(struct ike *c, struct ike_sa *sa, struct step *st)
{
	struct child_sa *ch = st->child, *old = NULL;
	struct ike_sa *successor = st->successor;
	struct keeper_drop *d;

	if (st->task == TASK_CHILD_NEW)
		tunnel_touch(c, st->tunnel);
	if (st->task == TASK_CHILD_REKEY)
		old = child_by_in(c, sa, st->old_spi_in);
	if (old)
		child_compare_later(c, old); /* it had to wait for this exchange */
	free(st->in);
	*st = (struct step){ .side = st->side, .epoch = st->epoch + 1 };
	if (successor && successor->state != ST_DEAD)
		sa_kill(c, successor, "given up");
	if (!ch)
		return;
	if (ch->installing) {
		child_gone(c, sa, ch, "given up");
		return;
	}
	if (ch->handle != 0 && sa->handle != 0) {
		d = &sa_ask(c, sa, SIDE_OWN, KEEPER_DROP, NULL)->u.DROP;
		d->handle = sa->handle;
		d->child = ch->handle;
		d->peer = sa->peer;
		snprintf(d->reason, sizeof d->reason, "given up");
	}
	child_unlink(c, sa, ch);
}

/* Whoever of two IKE SAs of a rekey ends, the other one goes on with the children. */
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
	LIST_FOR_SAFE (struct child_sa, ch, after, &sa->children, of_sa)
		child_gone(c, sa, ch, sa->reason);
	sa_drop_handle(c, sa);
	blob_free(&sa->request);
	sa->again_at = sa->give_up_at = sa->rekey_at = sa->expire_at = sa->keepalive_at = sa->timer_at = 0;
	sa->want_delete = sa->want_rekey = sa->want_dpd = false;
}

/* From any state to DEAD or FAILED. */
static void end(struct ike *c, struct ike_sa *sa, enum ike_state to)
{
	bool was_live, was_starting;

	end_relations(c, sa);
	was_live = sa->state == ST_UP;
	was_starting = sa->initiator && sa->state < ST_LARVAL;
	sa_enter(c, sa, to);
	end_all(c, sa);
	tunnels_retry(c, sa->peer);
	if (!was_live && !was_starting)
		return;
	ike_log(c, true, "peer %s: IKE SA %s: %s", sa_peer_name(c, sa),
		was_live ? "ended" : "not established", sa->reason);
	if (was_starting)
		tunnel_failed(c, sa->first_tunnel, sa->reason);
	else
		tunnels_lost(c, sa->peer, sa->reason);
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
	memcpy(sa->reason, text, sizeof sa->reason);
	end(c, sa, ST_DEAD);
}

/*
 * Of the IKE SAs in a state that strangers can bring about the one that has been there longest. An honest
 * peer goes on within a round trip, so under a flood it is the least likely to be one. Not while the keeper
 * works for it.
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

	if (c->half_open < IKE_HALF_OPEN_MAX)
		return true;
	oldest = oldest_of(&c->waiting);
	if (oldest)
		sa_kill(c, oldest, "others began meanwhile, and the peer did not send IKE_AUTH");
	return oldest;
}

static void failed_limit(struct ike *c)
{
	struct ike_sa *oldest = c->failed_n > IKE_FAILED_MAX ? oldest_of(&c->failed) : NULL;

	if (oldest)
		sa_kill(c, oldest, "%s", oldest->reason);
}

void sa_fail(struct ike *c, struct ike_sa *sa, const char *reason)
{
	if (sa->state == ST_DEAD || sa->state == ST_FAILED)
		return;
	if (reason != sa->reason)
		snprintf(sa->reason, sizeof sa->reason, "%s", reason);
	end(c, sa, ST_FAILED);
	sa->timer_at = c->now + IKE_FAILED_S * NS_PER_S;
	failed_limit(c);
}

void sa_close(struct ike *c, struct ike_sa *sa, const char *reason)
{
	if (sa->state == ST_UP || sa->state == ST_REPLACED) {
		if (!sa->want_delete)
			snprintf(sa->reason, sizeof sa->reason, "%s", reason);
		sa->want_delete = true;
		tunnels_retry(c, sa->peer);
		sa_touch(c, sa);
	} else if (sa->state != ST_CLOSING && sa->state != ST_DEAD && sa->state != ST_FAILED) {
		sa_kill(c, sa, "%s", reason);
	}
}

void sa_take_children(struct ike *c, struct ike_sa *from, struct ike_sa *to)
{
	to->children_n += from->children_n;
	from->children_n = 0;
	LIST_FOR_SAFE (struct child_sa, ch, after, &from->children, of_sa) {
		link_out(&ch->of_sa);
		link_out(&ch->wanting);
		link_out(&ch->unsure);
		link_last(&to->children, &ch->of_sa);
		ch->sa = to;
		child_changed(c, ch);
	}
	to->childless_at = 0;
	sa_touch(c, to);
}

/* ---- timers ---- */

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
		/* While the keeper works on IKE_AUTH the peer has done its part. */
		if (sa->steps[SIDE_PEER].busy)
			sa->timer_at = c->now + IKE_HALF_OPEN_S * NS_PER_S;
		else
			sa_kill(c, sa, "%s",
				sa->put_off ? sa->reason : "the peer did not send IKE_AUTH in time");
		break;
	case ST_FAILED:
		sa_kill(c, sa, "%s", sa->reason);
		break;
	case ST_REPLACED:
		sa_close(c, sa, "replaced; the peer did not delete it");
		break;
	default:
		break;
	}
}

/* A second IKE SA to the same peer that has carried nothing for a while: closed by whoever began it. */
static void look_childless(struct ike *c, struct ike_sa *sa)
{
	if (!list_empty(&sa->children) || !sa->initiator || sa->want_delete || sa->parent != 0) {
		sa->childless_at = 0;
		return;
	}
	LIST_FOR (struct ike_sa, other, &peer_entry(c, sa->peer)->sas, of_peer) {
		if (other == sa || other->state != ST_UP || other->want_delete)
			continue;
		if (list_empty(&other->children) && nonce_compare(&other->lowest, &sa->lowest) < 0)
			continue; /* both are empty: 2.8.1's rule, the one with the lowest nonce goes */
		if (sa->childless_at == 0)
			sa->childless_at = c->now + IKE_CHILDLESS_S * NS_PER_S;
		if (reached(c, sa->childless_at))
			sa_close(c, sa, "a second IKE SA to the same peer");
		return;
	}
	sa->childless_at = 0;
}

static void tick_up(struct ike *c, struct ike_sa *sa)
{
	struct ike_action *a;

	if (reached(c, sa->rekey_at)) {
		sa->want_rekey = true;
		sa->rekey_at = 0;
	}
	if (reached(c, sa->expire_at)) {
		sa->expire_at = 0;
		sa_close(c, sa, "its lifetime is over, and no rekey succeeded");
		return;
	}
	if (reached(c, dpd_at(c, sa)) && sa->steps[SIDE_OWN].task == TASK_NONE)
		sa->want_dpd = true;
	if (reached(c, sa->keepalive_at)) {
		a = ike_act(c, IKE_KEEPALIVE);
		a->local = sa->local;
		a->remote = sa->remote;
		sa->keepalive_at = c->now + IKE_KEEPALIVE_S * NS_PER_S;
	}
}

static void set_due(struct ike *c, struct ike_sa *sa)
{
	mono_ns at = due_sooner(c, due_sooner(c, 0, sa->timer_at), sa->again_at);

	at = due_sooner(c, due_sooner(c, at, sa->give_up_at), sa->ask_at);
	if (sa->state == ST_UP) {
		at = due_sooner(c, at, sa->rekey_at);
		at = due_sooner(c, at, sa->expire_at);
		at = due_sooner(c, at, sa->keepalive_at);
		at = due_sooner(c, at, sa->childless_at);
	}
	if (sa->state == ST_UP && sa->steps[SIDE_OWN].task == TASK_NONE) {
		at = due_sooner(c, at, dpd_at(c, sa));
		at = due_sooner(c, at, sa->want_rekey ? sa->retry_at : 0);
	}
	due_set(c, &sa->due, at);
}

static void sa_tick(struct ike *c, struct ike_sa *sa)
{
	if (reached(c, sa->timer_at))
		tick_timer(c, sa);
	if (reached(c, sa->give_up_at))
		sa_kill(c, sa, "%s", sa->reason);
	if (reached(c, sa->again_at))
		own_retransmit(c, sa);
	if (sa->state == ST_UP)
		tick_up(c, sa);
	sa_touch(c, sa);
}

/* ---- the end of an event ---- */

void sa_memory_free(struct ike_sa *sa)
{
	struct link *links[] = { &sa->of_all, &sa->of_dirty, &sa->of_spi, &sa->of_peer_spi, &sa->of_peer,
		&sa->of_state };

	for (size_t i = 0; i < COUNT_OF(links); i++)
		link_out(links[i]);
	blob_free(&sa->init_ours);
	blob_free(&sa->init_theirs);
	blob_free(&sa->request);
	blob_free(&sa->peer_request);
	blob_free(&sa->response);
	peer_messages_free(sa);
	bytes_wipe(sa, sizeof *sa);
	free(sa);
}

static void sa_free_dead(struct ike *c, struct ike_sa *sa)
{
	due_set(c, &sa->due, 0);
	c->slots[sa->slot] = NULL;
	c->free_slots[c->free_n++] = sa->slot;
	free(sa->steps[SIDE_OWN].in);
	free(sa->steps[SIDE_PEER].in);
	sa_memory_free(sa);
}

static void sa_settle(struct ike *c, struct ike_sa *sa)
{
	link_out(&sa->of_dirty);
	if (sa->state == ST_UP)
		look_childless(c, sa);
	if (sa->state == ST_UP && sa->moving && !sa->want_delete)
		sa_move_on(c, sa);
	own_next(c, sa);
	sa_ask_next(c, sa);
	set_due(c, sa);
	if (sa->state == ST_DEAD && !sa->asks && list_empty(&sa->children) && !link_used(&sa->of_dirty))
		sa_free_dead(c, sa);
}

/*
 * After an event each IKE SA that it touched sends what it has to ask the keeper, begins what it wants next,
 * and is freed when it is over; each tunnel that it touched is begun if it has to be. Settling one may touch
 * another; the lists run empty because each pass only begins, and windows of one bound what can begin.
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
			tunnel_look(c, (uint32_t)(t - c->tunnels));
		} else {
			return;
		}
	}
}

/* What is due, and nothing else. Whatever is looked at gets its next time when the event is over. */
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
		case DUE_TUNNEL:
			tunnel_touch(c, (uint32_t)(LINK_OWNER(d, struct tunnel, due) - c->tunnels));
			break;
		}
	}
	sa_settle_all(c);
}
