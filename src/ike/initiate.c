/*
 * What our side begins next: the next exchange of an IKE SA whose window is free, and an IKE SA or a child SA
 * for a tunnel that is wanted. Called when an event is over (settle.c).
 */
#include "ike/internal.h"

#include <assert.h>
#include <stdio.h>

static bool begin_child_task(struct ike *c, struct ike_sa *sa)
{
	LIST_FOR (struct child_sa, ch, &sa->wanting, wanting) {
		if (ch->state != CH_CLOSING || !child_may_be_deleted(c, ch))
			continue;
		info_start(c, sa, TASK_CHILD_DELETE, ch);
		return true;
	}
	LIST_FOR (struct child_sa, ch, &sa->wanting, wanting) {
		if (sa->steps[SIDE_PEER].old_spi_in == ch->spi_in)
			continue; /* the peer is rekeying it already */
		if (ch->state == CH_UP && ch->want_rekey && c->now >= ch->retry_at && !sa->moving &&
			child_confirmed(c, ch))
			return child_start(c, sa, ch->tunnel, ch, DH_NONE);
	}
	LIST_FOR (struct child_sa, ch, &sa->wanting, wanting)
		if (ch->state == CH_UP && ch->wants_beside && c->now >= ch->beside_at && !sa->moving &&
			child_confirmed(c, ch))
			return child_start_beside(c, sa, ch, DH_NONE);
	return false;
}

static bool begin_tunnel_task(struct ike *c, struct ike_sa *sa)
{
	uint32_t tunnel;

	while ((tunnel = tunnel_ready(c, sa->peer)) != INDEX_NONE)
		if (child_start(c, sa, tunnel, NULL, DH_NONE))
			return true;
	return false;
}

/* Before it is deleted others have to send what its child SAs did. */
static bool hands_over(struct ike *c, struct ike_sa *sa)
{
	bool others = false;

	if (sa->handed_over)
		return false;
	sa->handed_over = true;
	LIST_FOR (struct child_sa, ch, &sa->children, of_sa)
		others |= (ch->state == CH_UP || ch->state == CH_REPLACED) && child_hand_over(c, ch);
	if (others)
		hold_begin(c, sa);
	return others;
}

void own_initiate(struct ike *c, struct ike_sa *sa)
{
	const struct step *theirs = &sa->steps[SIDE_PEER];

	if (sa->steps[SIDE_OWN].task != TASK_NONE)
		return;
	assert(sa->request.n == 0 && sa->again_at == 0); /* the window is free */
	if ((sa->state == ST_UP || sa->state == ST_REPLACED) && sa->want_delete) {
		if (sa->hold || hands_over(c, sa))
			return;
		info_start(c, sa, TASK_IKE_DELETE, NULL);
		return;
	}
	/* Not while the peer rekeys this IKE SA, and not on a new one that has not got its children yet. */
	if (sa->state != ST_UP || theirs->successor || sa->followup || sa->parent != 0 ||
		sa->peer_successor != 0)
		return;
	if (begin_child_task(c, sa) || (!sa->moving && begin_tunnel_task(c, sa)))
		return;
	/* Nor while the peer makes a child SA (RFC 7296, 2.25.2): it would go to the successor in the middle of its exchange. */
	if (sa->want_rekey && !sa->moving && !theirs->child && c->now >= sa->retry_at)
		rekey_start(c, sa, DH_NONE);
	else if (sa->want_token)
		info_start(c, sa, TASK_TOKEN, NULL);
	else if (sa->send_to.n > 0)
		info_start(c, sa, TASK_REDIRECT, NULL);
	else if (sa->want_lifetime)
		info_start(c, sa, TASK_LIFETIME, NULL);
	else if (peer_messages_wait(sa))
		info_start(c, sa, TASK_PEER_MESSAGE, NULL);
	else if (sa->want_dpd)
		info_start(c, sa, TASK_DPD, NULL);
}

/* ---- tunnels ---- */

/* The established IKE SA of the peer that can carry a new child. */
static struct ike_sa *carrier(const struct ike *c, uint32_t peer)
{
	if (peer_is_template(c, peer))
		return NULL; /* whose network it is for, only its identities say */
	LIST_FOR (struct ike_sa, sa, &peer_entry(c, peer)->sas, of_peer)
		if (sa->state == ST_UP && !sa->want_delete && !sa->moving)
			return sa;
	return NULL;
}

/* Our own IKE SA with the peer is being made; the tunnel continues when that is established or has failed. */
static bool being_made(const struct ike *c, uint32_t peer)
{
	LIST_FOR (struct ike_sa, sa, &peer_entry(c, peer)->sas, of_peer)
		if (sa->initiator && sa->state >= ST_KEYS_OWN && sa->state <= ST_AUTH_SENT)
			return true;
	return false;
}

/* A child SA from before a restart: removed when another one carries the traffic, through that one's IKE
 * SA. */
static void orphan_look(struct ike *c, uint32_t tunnel)
{
	struct tunnel *t = &c->tunnels[tunnel];
	struct keeper_child_remove *q;

	assert(tunnel < c->tunnels_n);
	if (t->orphan != 0 && c->now >= t->orphan_until)
		t->orphan = 0; /* the data plane's own limits end it */
	if (t->orphan == 0 || t->up == 0)
		t->orphan_remove_at = 0;
	if (t->orphan_remove_at == 0 || c->now < t->orphan_remove_at)
		return;
	LIST_FOR (struct child_sa, ch, &t->children, of_tunnel) {
		if (ch->state != CH_UP)
			continue;
		q = &sa_ask(c, ch->sa, SIDE_OWN, KEEPER_CHILD_REMOVE, NULL)->u.CHILD_REMOVE;
		q->tunnel = tunnel;
		q->spi_in = t->orphan;
		snprintf(q->reason, sizeof q->reason, "left over from before a restart, replaced");
		t->orphan = 0;
		t->orphan_remove_at = 0;
		return;
	}
}

/* The tunnel is wanted, and its time has come. */
static void begin(struct ike *c, uint32_t tunnel)
{
	struct tunnel *t = &c->tunnels[tunnel];
	uint32_t peer = tunnel_config(c, tunnel)->peer;
	struct ike_sa *sa = t->alone ? NULL : carrier(c, peer);

	assert(c->now >= t->retry_at && !t->held);
	if (tunnel_in_work(c, tunnel))
		return;
	if (!sa && !being_made(c, peer)) {
		if (sa_may_begin(c))
			init_start(c, peer, tunnel);
		else if (!link_used(&t->of_turn))
			link_last(&c->turns, &t->of_turn);
		return;
	}
	if (!link_used(&t->of_ready))
		link_last(&peer_entry(c, peer)->ready, &t->of_ready);
	if (sa)
		sa_touch(c, sa); /* own_initiate() begins it when the window of the IKE SA is free */
}

void tunnel_settle(struct ike *c, uint32_t tunnel)
{
	struct tunnel *t = &c->tunnels[tunnel];
	mono_ns at;

	assert(tunnel < c->tunnels_n);
	child_take_over(c, tunnel);
	tunnel_redundancy_check(c, tunnel);
	tunnel_share_workers(c, tunnel);
	child_linger_limit(c, tunnel);
	orphan_look(c, tunnel);
	at = due_sooner(c, due_sooner(c, 0, t->orphan != 0 ? t->orphan_until : 0), t->orphan_remove_at);
	if (tunnel_is_wanted(c, tunnel)) {
		at = due_sooner(c, at, t->retry_at);
		if (c->now >= t->retry_at)
			begin(c, tunnel);
	}
	if (t->has_turn) {
		t->has_turn = false;
		sa_next_turn(c); /* if there is room still: this one may be wanted no more */
	}
	due_set(c, &t->due, at);
}
