/*
 * Configured tunnels: which are wanted, when the next attempt is due, why the last one failed. A tunnel that
 * is wanted is retried without end, with back-off; one that is down stays visible with its reason.
 */
#include "ike/internal.h"

#include <assert.h>
#include <stdio.h>

static const struct snap_peer *peer_of(const struct ike *c, uint32_t tunnel)
{
	return &snap_peers(c->snap)[snap_tunnels(c->snap)[tunnel].peer];
}

static bool replaces(const struct ike *c, const struct child_sa *other, const struct child_sa *ch)
{
	return other->sa != ch->sa && !other->sa->moving && other->state == CH_UP &&
	       child_within(ch, other) && child_same_user(c, ch, other);
}

/* Not counting `but`. */
static bool child_has_another(const struct ike *c, const struct child_sa *ch, const struct child_sa *but)
{
	const struct tunnel *t = child_tunnel(c, ch);

	if (!t)
		return true; /* it is no longer configured */
	LIST_FOR (struct child_sa, other, &t->children, of_tunnel)
		if (other != but && replaces(c, other, ch))
			return true;
	return false;
}

bool child_is_replaced(const struct ike *c, const struct child_sa *ch)
{
	const struct tunnel *t = child_tunnel(c, ch);

	if (!t)
		return true;
	LIST_FOR (struct child_sa, other, &t->children, of_tunnel)
		if (other->confirmed && replaces(c, other, ch))
			return true;
	return false;
}

static const struct child_sa *tunnel_moves(const struct ike *c, uint32_t tunnel)
{
	LIST_FOR (struct child_sa, ch, &c->tunnels[tunnel].children, of_tunnel)
		if (ch->sa->moving && ch->sa->state == ST_UP && ch->state == CH_UP &&
			!child_has_another(c, ch, NULL))
			return ch;
	return NULL;
}

static bool has_first(const struct ike *c, const struct tunnel *t, const struct child_sa *ch)
{
	LIST_FOR (struct child_sa, first, &t->children, of_tunnel)
		if (first->resource == 0 && first->state == CH_UP && child_within(ch, first) &&
			child_same_user(c, first, ch))
			return true;
	return false;
}

/*
 * One for a worker whose first one has ended (RFC 9611): the other workers have none to send by. Of a template its identities make
 * the new first one.
 */
static const struct child_sa *tunnel_lacks_first(const struct ike *c, uint32_t tunnel)
{
	const struct tunnel *t = &c->tunnels[tunnel];

	LIST_FOR (struct child_sa, ch, &t->children, of_tunnel)
		if (ch->resource != 0 && ch->state == CH_UP && ch->sa->state == ST_UP &&
			!ch->sa->want_delete && !ch->sa->moving && !peer_is_template(c, ch->sa->peer) &&
			!has_first(c, t, ch))
			return ch;
	return NULL;
}

const struct child_sa *tunnel_offers(const struct ike *c, uint32_t tunnel)
{
	const struct child_sa *moves = tunnel_moves(c, tunnel);

	if (c->tunnels[tunnel].has_packet)
		return NULL;
	return moves ? moves : tunnel_lacks_first(c, tunnel);
}

static bool child_replaces_none(const struct ike *c, const struct child_sa *fresh)
{
	LIST_FOR (struct child_sa, ch, &c->tunnels[fresh->tunnel].children, of_tunnel)
		if (ch->sa->moving && ch->state == CH_UP && child_has_another(c, ch, NULL) &&
			!child_has_another(c, ch, fresh))
			return false;
	return true;
}

/* At once or later. While it is up: by traffic that no child SA carries, to move to another IKE SA, or for a new first one. */
bool tunnel_is_wanted(const struct ike *c, uint32_t tunnel)
{
	const struct tunnel *t = &c->tunnels[tunnel];

	assert(tunnel < c->tunnels_n);
	return !t->held &&
	       (t->up == 0 ? t->want
			   : t->has_packet || tunnel_moves(c, tunnel) || tunnel_lacks_first(c, tunnel));
}

static bool tunnel_is_due(const struct ike *c, uint32_t tunnel)
{
	return tunnel_is_wanted(c, tunnel) && c->now >= c->tunnels[tunnel].retry_at;
}

/* An exchange that would bring it up is under way. */
bool tunnel_in_work(const struct ike *c, uint32_t tunnel)
{
	LIST_FOR (struct ike_sa, sa, &peer_entry(c, tunnel_config(c, tunnel)->peer)->sas, of_peer) {
		const struct step *own = &sa->steps[SIDE_OWN], *theirs = &sa->steps[SIDE_PEER];

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
	assert(t->backoff_ms >= IKE_BACKOFF_FIRST_MS && t->backoff_ms <= IKE_BACKOFF_MAX_MS);
	t->retry_at = c->now + ike_jitter(c, t->backoff_ms / 2, t->backoff_ms) * NS_PER_MS;
}

/* It is wanted again by the next packet or an administrator's order. */
static void unwanted(struct ike *c, uint32_t tunnel)
{
	struct tunnel *t = &c->tunnels[tunnel];

	assert(tunnel < c->tunnels_n);
	if (peer_of(c, tunnel)->start != PEER_START_ALWAYS && t->orphan == 0)
		t->want = false;
	t->has_packet = false;
	tunnel_touch(c, tunnel);
}

void tunnel_failed(struct ike *c, uint32_t tunnel, const char *reason)
{
	struct tunnel *t = tunnel < c->tunnels_n ? &c->tunnels[tunnel] : NULL;

	if (!t)
		return;
	if (t->up > 0) {
		if (tunnel_is_wanted(c, tunnel) && !(t->has_packet && pair_put_off(c, tunnel)))
			back_off(c, t);
		t->has_packet = false;
		tunnel_touch(c, tunnel);
		return;
	}
	text_set(&t->reason, "%s", reason);
	back_off(c, t);
	unwanted(c, tunnel);
}

void tunnel_put_off(struct ike *c, uint32_t tunnel, const char *reason)
{
	struct tunnel *t = &c->tunnels[tunnel];

	text_set(&t->reason, "%s", reason);
	back_off(c, t);
	tunnel_touch(c, tunnel);
}

void tunnel_at_once(struct ike *c, uint32_t tunnel, const char *reason)
{
	struct tunnel *t = tunnel < c->tunnels_n ? &c->tunnels[tunnel] : NULL;

	if (!t)
		return;
	if (reason && t->up == 0)
		text_set(&t->reason, "%s", reason);
	t->retry_at = 0;
	tunnel_touch(c, tunnel);
}

void tunnel_soon(struct ike *c, uint32_t tunnel)
{
	struct tunnel *t = tunnel < c->tunnels_n ? &c->tunnels[tunnel] : NULL;

	if (!t)
		return;
	t->backoff_ms = 0;
	t->retry_at = c->now + ike_jitter(c, IKE_LOST_MS_MIN, IKE_LOST_MS_MAX) * NS_PER_MS;
	tunnel_touch(c, tunnel);
}

void tunnel_child_added(struct ike *c, const struct child_sa *fresh)
{
	uint32_t tunnel = fresh->tunnel;
	struct tunnel *t = &c->tunnels[tunnel];

	assert(fresh->state == CH_UP && t->up > 0);
	t->alone = false;
	LIST_FOR (struct child_sa, ch, &t->children, of_tunnel)
		if (ch->sa->moving)
			sa_touch(c, ch->sa);
	/* The peer grants less than what has to be moved: without back-off it would be asked again at
	 * once. */
	if (tunnel_moves(c, tunnel) && child_replaces_none(c, fresh))
		back_off(c, t);
	if (t->has_packet && child_holds_packet(c, tunnel)) {
		t->has_packet = false;
		t->backoff_ms = 0;
		pair_granted(c, tunnel);
	}
}

void tunnel_child_granted(struct ike *c, uint32_t tunnel)
{
	struct tunnel *t = &c->tunnels[tunnel];

	if (!t->has_packet)
		return;
	/* Else each packet would request one more of the same. */
	if (!pair_put_off(c, tunnel))
		back_off(c, t);
	t->has_packet = false;
	ike_log(c, true,
		"tunnel %s: the peer narrowed the child SA, and the packet that requested it is outside of it",
		tunnel_config(c, tunnel)->name);
}

void tunnel_refused(struct ike *c, uint32_t tunnel, uint16_t notify, bool of_auth)
{
	if (tunnel >= c->tunnels_n)
		return;
	c->tunnels[tunnel].one_pair |= notify == NTF_SINGLE_PAIR_REQUIRED;
	/* If it was refused on an IKE SA of its own, another one is of no use: the existing one is asked
	 * next time. */
	if (notify == NTF_NO_ADDITIONAL_SAS)
		c->tunnels[tunnel].alone = !of_auth;
}

void tunnel_unwanted(struct ike *c, uint32_t tunnel, const char *reason)
{
	struct tunnel *t = tunnel < c->tunnels_n ? &c->tunnels[tunnel] : NULL;

	if (t && t->up > 0 && tunnel_lacks_first(c, tunnel))
		back_off(c, t); /* a peer that deletes each first one is not asked without end */
	if (!t || t->up > 0)
		return;
	text_set(&t->reason, "%s", reason);
	unwanted(c, tunnel);
}

/*
 * A child SA that ended almost at once counts as a failed attempt: else a peer that accepts each child SA and
 * deletes it, or two configurations that only match in the handshake, would cause one after the other without
 * end.
 */
void tunnel_down(struct ike *c, uint32_t tunnel, mono_ns lived)
{
	struct tunnel *t = &c->tunnels[tunnel];

	assert(t->up == 0);
	if (lived < IKE_SHORT_LIVED_S * NS_PER_S) {
		back_off(c, t);
	} else {
		t->backoff_ms = 0;
		t->retry_at = 0;
	}
	if (!t->reason)
		text_set(&t->reason, "its child SA ended after %llu s",
			(unsigned long long)(lived / NS_PER_S));
	tunnel_touch(c, tunnel);
}

void tunnels_lost(struct ike *c, uint32_t peer, const char *reason)
{
	for (uint32_t i = peer_entry(c, peer)->tunnels; i != INDEX_NONE; i = c->tunnels[i].next_of_peer) {
		struct tunnel *t = &c->tunnels[i];

		if (t->up > 0)
			continue;
		text_set(&t->reason, "%s", reason);
		if (t->backoff_ms == 0)
			tunnel_soon(c, i);
		unwanted(c, i);
	}
}

void tunnels_retry(struct ike *c, uint32_t peer)
{
	LIST_FOR_SAFE (struct tunnel, t, after, &peer_entry(c, peer)->ready, of_ready) {
		link_out(&t->of_ready);
		tunnel_touch(c, (uint32_t)(t - c->tunnels));
	}
}

uint32_t tunnel_ready(struct ike *c, uint32_t peer)
{
	LIST_FOR_SAFE (struct tunnel, t, after, &peer_entry(c, peer)->ready, of_ready) {
		uint32_t tunnel = (uint32_t)(t - c->tunnels);

		link_out(&t->of_ready);
		if (tunnel_is_due(c, tunnel) && !tunnel_in_work(c, tunnel) && !t->alone)
			return tunnel;
		tunnel_touch(c, tunnel);
	}
	return INDEX_NONE;
}
