/*
 * Configured tunnels: which are wanted, when the next try is due, why the last one failed. A tunnel that is
 * to be up is tried for ever, with back-off; one that is down stays visible with its reason.
 */
#include "ike/internal.h"

#include <stdio.h>

const struct snap_tunnel *tunnel_config(const struct ike *c, uint32_t tunnel)
{
	return c->snap && tunnel < c->tunnels_n ? &snap_tunnels(c->snap)[tunnel] : NULL;
}

static const struct snap_peer *peer_of(const struct ike *c, uint32_t tunnel)
{
	return &snap_peers(c->snap)[snap_tunnels(c->snap)[tunnel].peer];
}

bool tunnel_wants(const struct ike *c, uint32_t tunnel)
{
	const struct tunnel *t = &c->tunnels[tunnel];

	return t->want && !t->held && t->up == 0 && c->now >= t->retry_at;
}

/* An exchange that would bring it up is under way. */
bool tunnel_in_work(const struct ike *c, uint32_t tunnel)
{
	for (const struct ike_sa *sa = c->sas; sa; sa = sa->next) {
		const struct step *own = &sa->steps[SIDE_OWN], *theirs = &sa->steps[SIDE_PEER];

		if (sa->state == ST_DEAD || sa->state == ST_FAILED)
			continue;
		if (sa->initiator && sa->state < ST_UP && sa->first_tunnel == tunnel &&
			sa->state != ST_LARVAL)
			return true;
		if (sa->state == ST_UP && own->child && own->tunnel == tunnel)
			return true;
		if (sa->state == ST_UP && own->task == TASK_CHILD_NEW && own->tunnel == tunnel)
			return true;
		if (theirs->busy && theirs->child && theirs->tunnel == tunnel)
			return true;
	}
	return false;
}

static void back_off(struct ike *c, struct tunnel *t)
{
	t->backoff_ms = t->backoff_ms == 0 ? IKE_BACKOFF_FIRST_MS
					   : MIN_OF(2 * t->backoff_ms, (uint32_t)IKE_BACKOFF_MAX_MS);
	t->retry_at = c->now + ike_chance(c, t->backoff_ms / 2, t->backoff_ms) * NS_PER_MS;
}

void tunnel_failed(struct ike *c, uint32_t tunnel, const char *reason)
{
	struct tunnel *t = tunnel < c->tunnels_n ? &c->tunnels[tunnel] : NULL;

	if (!t || t->up > 0)
		return;
	snprintf(t->reason, sizeof t->reason, "%s", reason);
	back_off(c, t);
	/* Traffic asks again when there is any, an administrator when he likes. */
	if (peer_of(c, tunnel)->start != PEER_START_ALWAYS && t->orphan == 0)
		t->want = false;
	ike_wake(c, t->retry_at);
}

void tunnels_lost(struct ike *c, uint32_t peer, const char *reason)
{
	for (uint32_t i = 0; i < c->tunnels_n; i++) {
		struct tunnel *t = &c->tunnels[i];

		if (snap_tunnels(c->snap)[i].peer != peer || t->up > 0)
			continue;
		snprintf(t->reason, sizeof t->reason, "%s", reason);
		if (t->backoff_ms == 0)
			t->retry_at = c->now + ike_chance(c, 100, 500) * NS_PER_MS;
		if (peer_of(c, i)->start != PEER_START_ALWAYS && t->orphan == 0)
			t->want = false;
		ike_wake(c, t->retry_at);
	}
}

/* The established IKE SA of the peer that can carry a new child. */
static struct ike_sa *carrier(const struct ike *c, uint32_t peer)
{
	for (struct ike_sa *sa = c->sas; sa; sa = sa->next)
		if (sa->peer == peer && sa->state == ST_UP && !sa->want_delete)
			return sa;
	return NULL;
}

/* Our own IKE SA to the peer is being made; its end brings the tunnel on, or fails. */
static bool being_made(const struct ike *c, uint32_t peer)
{
	for (const struct ike_sa *sa = c->sas; sa; sa = sa->next)
		if (sa->peer == peer && sa->initiator && sa->state >= ST_KEYS_OWN &&
			sa->state <= ST_AUTH_SENT)
			return true;
	return false;
}

/* An established IKE SA by which the keeper can be asked. */
static struct ike_sa *any_up(const struct ike *c)
{
	for (struct ike_sa *sa = c->sas; sa; sa = sa->next)
		if (sa->state == ST_UP)
			return sa;
	return NULL;
}

static void orphan_tick(struct ike *c, uint32_t tunnel)
{
	struct tunnel *t = &c->tunnels[tunnel];
	struct keeper_child_remove *q;
	struct ike_sa *sa;

	if (t->orphan != 0 && c->now >= t->orphan_until)
		t->orphan = 0; /* the data plane's own limits end it */
	if (t->orphan == 0 || t->up == 0)
		t->orphan_remove_at = 0;
	if (t->orphan_remove_at == 0)
		return;
	sa = any_up(c);
	if (c->now < t->orphan_remove_at || !sa) {
		ike_wake(c, t->orphan_remove_at);
		return;
	}
	q = &sa_ask(c, sa, SIDE_OWN, KEEPER_CHILD_REMOVE, NULL)->u.CHILD_REMOVE;
	q->tunnel = tunnel;
	q->spi_in = t->orphan;
	snprintf(q->reason, sizeof q->reason, "left from before a restart, replaced");
	t->orphan = 0;
	t->orphan_remove_at = 0;
}

void tunnels_tick(struct ike *c)
{
	for (uint32_t i = 0; i < c->tunnels_n; i++) {
		struct tunnel *t = &c->tunnels[i];
		uint32_t peer = snap_tunnels(c->snap)[i].peer;
		struct ike_sa *sa;

		orphan_tick(c, i);
		if (!t->want || t->held || t->up > 0)
			continue;
		if (c->now < t->retry_at) {
			ike_wake(c, t->retry_at);
			continue;
		}
		if (tunnel_in_work(c, i))
			continue;
		sa = carrier(c, peer);
		if (sa)
			sa_touch(c, sa); /* own_next() begins it when the IKE SA is free */
		else if (!being_made(c, peer))
			init_start(c, peer, i);
	}
}
