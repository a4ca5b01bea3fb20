/*
 * A new configuration: peers and tunnels get new numbers, and what is unchanged continues under them.
 */
#include "base/names.h"
#include "ike/internal.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>

/* Two spans of records, each in its own snapshot, hold the same values. */
static bool same_records(const struct snapshot *a, const struct snapshot *b, const void *array_a,
	const void *array_b, struct span in_a, struct span in_b, size_t size)
{
	return in_a.count == in_b.count &&
	       memcmp((const uint8_t *)array_a + in_a.first * size,
		       (const uint8_t *)array_b + in_b.first * size, in_a.count * size) == 0;
}

static bool same_octets(const struct snapshot *a, const struct snap_certificate *ca, const struct snapshot *b,
	const struct snap_certificate *cb)
{
	return ca->n == cb->n && memcmp(snap_certificate_der(a, ca), snap_certificate_der(b, cb), ca->n) == 0;
}

/* The same certificate of ours, and the same ones that the peer's may lead to. */
static bool same_certificates(const struct snapshot *a, const struct snap_peer *pa, const struct snapshot *b,
	const struct snap_peer *pb)
{
	const struct snap_certificate *in_a[CERTIFICATE_ANCHORS], *in_b[CERTIFICATE_ANCHORS];
	uint32_t n = snap_anchors(a, pa, in_a);
	struct span own_a = { 0 }, own_b = { 0 };

	if (n != snap_anchors(b, pb, in_b) || (pa->certificate == 0) != (pb->certificate == 0))
		return false;
	if (pa->certificate) {
		own_a = snap_certificate_files(a)[pa->certificate - 1].certificates;
		own_b = snap_certificate_files(b)[pb->certificate - 1].certificates;
	}
	if (own_a.count != own_b.count)
		return false;
	for (uint32_t i = 0; i < n; i++)
		if (!same_octets(a, in_a[i], b, in_b[i]))
			return false;
	for (uint32_t i = 0; i < own_a.count; i++)
		if (!same_octets(a, &snap_certificates(a)[own_a.first + i], b,
			    &snap_certificates(b)[own_b.first + i]))
			return false;
	return true;
}

/* Of DNS, or neither has one. */
static bool same_name(const struct snapshot *a, const struct snap_peer *pa, const struct snapshot *b,
	const struct snap_peer *pb)
{
	const char *x = snap_peer_dns_name(a, pa), *y = snap_peer_dns_name(b, pb);

	return x && y ? strcmp(x, y) == 0 : !x && !y;
}

/* Timers, who initiates, and how long our messages are do not concern the peer: they change in place, and the SAs stay. */
static bool same_peer(const struct snapshot *a, const struct snap_peer *pa, const struct snapshot *b,
	const struct snap_peer *pb)
{
	struct snap_peer x = *pa, y = *pb;

	x.proposals = y.proposals = (struct span){ 0 };
	x.rekey_s = y.rekey_s = x.dpd_s = y.dpd_s = x.reauth_s = y.reauth_s = x.start = y.start = 0;
	x.fragment_size = y.fragment_size = 0;
	x.trusted = y.trusted = (struct span){ 0 };
	x.certificate = y.certificate = 0;
	x.connections_max = y.connections_max = 0;
	x.dynamic = y.dynamic = 0; /* a number: compared by name */
	x.redirect_to = y.redirect_to = (struct snap_id){ 0 };
	if (!(x.flags & PEER_REDIRECT_ACCEPT)) /* what is allowed ends nothing; what was, may */
		y.flags &= ~(uint32_t)PEER_REDIRECT_ACCEPT;
	return same_name(a, pa, b, pb) && memcmp(&x, &y, sizeof x) == 0 &&
	       same_records(a, b, snap_ike_proposals(a), snap_ike_proposals(b), pa->proposals, pb->proposals,
		       sizeof(struct snap_ike_proposal)) &&
	       same_certificates(a, pa, b, pb);
}

static bool same_tunnel(const struct snapshot *a, const struct snap_tunnel *ta, const struct snapshot *b,
	const struct snap_tunnel *tb)
{
	struct snap_tunnel x = *ta, y = *tb;

	x.proposals = y.proposals = x.local = y.local = x.remote = y.remote = (struct span){ 0 };
	x.peer = y.peer = x.zone = y.zone = 0; /* indices: compared by name */
	x.rekey_s = y.rekey_s = 0;
	x.rekey_bytes = y.rekey_bytes = x.rekey_packets = y.rekey_packets = 0;
	x.mtu = y.mtu = 0; /* the data plane's, as the interface is */
	x.flags &=
		~(uint32_t)
			TUNNEL_PER_WORKER; /* ends what is beside the first child SAs, or begins with their rekeys */
	y.flags &= ~(uint32_t)TUNNEL_PER_WORKER;
	memset(x.interface, 0, sizeof x.interface);
	memset(y.interface, 0, sizeof y.interface);
	return memcmp(&x, &y, sizeof x) == 0 &&
	       strcmp(snap_peers(a)[ta->peer].name, snap_peers(b)[tb->peer].name) == 0 &&
	       same_records(a, b, snap_esp_proposals(a), snap_esp_proposals(b), ta->proposals, tb->proposals,
		       sizeof(struct snap_esp_proposal)) &&
	       same_records(a, b, snap_selectors(a), snap_selectors(b), ta->local, tb->local,
		       sizeof(struct selector)) &&
	       same_records(a, b, snap_selectors(a), snap_selectors(b), ta->remote, tb->remote,
		       sizeof(struct selector));
}

static uint32_t new_peer(
	const struct names *names, const struct snapshot *old, const struct snapshot *s, uint32_t index)
{
	const struct snap_peer *p = old && index < old->peers.count ? &snap_peers(old)[index] : NULL;
	uint32_t at = p ? names_find(names, p->name) : NAMES_NONE;

	return at != NAMES_NONE && same_peer(old, p, s, &snap_peers(s)[at]) ? at : INDEX_NONE;
}

static uint32_t new_tunnel(
	const struct names *names, const struct snapshot *old, const struct snapshot *s, uint32_t index)
{
	const struct snap_tunnel *t = old && index < old->tunnels.count ? &snap_tunnels(old)[index] : NULL;
	uint32_t at = t ? names_find(names, t->name) : NAMES_NONE;

	return at != NAMES_NONE && same_tunnel(old, t, s, &snap_tunnels(s)[at]) ? at : INDEX_NONE;
}

/* Which of the next configuration's are the same ones as before. */
static void renumber(struct ike *c, const struct snapshot *s, uint32_t *tunnels, uint32_t *peers)
{
	uint32_t slots_n = names_slots(MAX_OF(s->peers.count, s->tunnels.count)),
		 *slot = ike_alloc(slots_n * sizeof *slot);
	struct names names;

	names_make(&names, slot, slots_n, snap_tunnels(s), sizeof(struct snap_tunnel), s->tunnels.count);
	for (uint32_t i = 0; i < c->tunnels_n; i++)
		tunnels[i] = new_tunnel(&names, c->snap, s, i);
	names_make(&names, slot, slots_n, snap_peers(s), sizeof(struct snap_peer), s->peers.count);
	for (uint32_t i = 0; i < c->peers_n; i++)
		peers[i] = new_peer(&names, c->snap, s, i);
	free(slot);
}

/* Old numbers to new ones; INDEX_NONE: changed or removed. */
struct renumbering {
	const struct snapshot *old;
	const uint32_t *tunnels, *peers;
	uint32_t tunnels_n, peers_n;
};

static uint32_t renumbered_peer(const struct renumbering *to, uint32_t peer)
{
	return peer < to->peers_n ? to->peers[peer] : INDEX_NONE;
}

static uint32_t renumbered(const struct renumbering *to, uint32_t tunnel)
{
	return tunnel < to->tunnels_n ? to->tunnels[tunnel] : INDEX_NONE;
}

/* The keeper may be working with the step's tunnel by its old number. */
static bool own_step_moves(const struct ike_sa *sa, const struct renumbering *to)
{
	const struct step *own = &sa->steps[SIDE_OWN];

	switch (own->task) {
	case TASK_CHILD_NEW:
	case TASK_CHILD_REKEY:
		return renumbered(to, own->tunnel) != own->tunnel;
	case TASK_INIT:
	case TASK_ADDITIONAL:
	case TASK_AUTH:
		return renumbered(to, sa->first_tunnel) != sa->first_tunnel;
	default:
		return false;
	}
}

/* The peer's request is abandoned, since it was processed under the old numbers: the peer tries again. */
static void abandon_request(struct ike *c, struct ike_sa *sa, bool peer_moves, const struct renumbering *to)
{
	struct step *st = &sa->steps[SIDE_PEER];
	bool child_moves = st->child && renumbered(to, st->child->tunnel) != st->child->tunnel;

	if (!(st->busy || sa->put_off) || (!peer_moves && !child_moves))
		return;
	if (sa->state >= ST_UP) {
		message_answer_notify(c, sa, NTF_TEMPORARY_FAILURE, NULL, 0);
	} else if (sa->state == ST_AUTH_WAIT && st->in && st->in->h.exchange == EX_IKE_AUTH) {
		/* Without an answer the peer would repeat IKE_AUTH until it gives up. */
		message_answer_notify(c, sa, NTF_TEMPORARY_FAILURE, NULL, 0);
		sa_fail(c, sa, "the configuration has changed");
	} else {
		sa_kill(c, sa, "the configuration has changed");
	}
}

static void renumber_children(struct ike *c, struct ike_sa *sa, const struct renumbering *to)
{
	LIST_FOR (struct child_sa, ch, &sa->children, of_sa) {
		assert(!link_used(&ch->of_tunnel));
		ch->tunnel = renumbered(to, ch->tunnel);
		child_join_tunnel(c, ch);
		/* The data plane removes what its own snapshot no longer has. One whose exchange is under way
		 * ends with it. */
		if (ch->tunnel == INDEX_NONE && ch->state != CH_LARVAL)
			child_want_delete(c, sa, ch, "its tunnel was changed or removed");
	}
}

/*
 * Steps refer to tunnels and peers by number and may have asked the keeper with them: those whose numbers
 * change are abandoned, all others continue, so that a commit disturbs no rekey.
 */
static void renumber_sa(struct ike *c, struct ike_sa *sa, bool joined, const struct renumbering *to)
{
	uint32_t peer = sa->peer, now = renumbered_peer(to, peer);
	bool own_moves = own_step_moves(sa, to);

	if (sa->state != ST_DEAD && sa->state != ST_LARVAL)
		abandon_request(c, sa, now != peer, to);
	assert(!link_used(&sa->of_peer));
	sa->peer = now;
	if (joined)
		sa_join_peer(c, sa);
	sa->first_tunnel = renumbered(to, sa->first_tunnel);
	sa->steps[SIDE_OWN].tunnel = renumbered(to, sa->steps[SIDE_OWN].tunnel);
	sa->steps[SIDE_PEER].tunnel = renumbered(to, sa->steps[SIDE_PEER].tunnel);
	renumber_children(c, sa, to);
	if (sa->state == ST_DEAD ||
		sa->state == ST_LARVAL) /* LARVAL: ends with the IKE SA whose rekey makes it */
		return;
	if (peer != INDEX_NONE && now == INDEX_NONE) {
		snprintf(sa->former_peer, sizeof sa->former_peer, "%s", snap_peers(to->old)[peer].name);
		sa_close(c, sa, "its peer was changed or removed");
	} else if (own_moves || (sa->state < ST_UP && now != peer)) {
		sa_close(c, sa, "the configuration has changed");
	}
	reauth_configured(c, sa);
}

/* Takes IKE SAs and child SAs out of the tables by peer and tunnel, whose numbers change. */
static void leave_tables(struct ike *c)
{
	list_init(&c->turns); /* all tunnels are looked at again */
	LIST_FOR (struct ike_sa, sa, &c->sas, of_all) {
		sa_leave_peer(c, sa);
		LIST_FOR (struct child_sa, ch, &sa->children, of_sa)
			child_leave_tunnel(c, ch);
	}
	for (uint32_t i = 0; i < c->tunnels_n; i++)
		due_set(c, &c->tunnels[i].due, 0);
}

/* One more than there are, so that it is never empty. */
static uint32_t *numbers(uint32_t n)
{
	return ike_alloc((n + 1) * sizeof(uint32_t));
}

static void tunnels_new(struct ike *c, struct tunnel *old, const struct renumbering *to)
{
	c->tunnels_n = c->snap->tunnels.count;
	c->tunnels = ike_alloc((c->tunnels_n + 1) * sizeof *c->tunnels);
	for (uint32_t i = 0; i < to->tunnels_n; i++) {
		struct tunnel *t = to->tunnels[i] == INDEX_NONE ? NULL : &c->tunnels[to->tunnels[i]];

		if (!t)
			continue;
		/* What was wanted because of `start always` alone ends with that. */
		t->want = old[i].want &&
			  (old[i].orphan != 0 || snap_peers(to->old)[snap_tunnels(to->old)[i].peer].start !=
							 PEER_START_ALWAYS);
		t->held = old[i].held;
		t->orphan = old[i].orphan;
		t->orphan_until = old[i].orphan_until;
		t->orphan_remove_at = old[i].orphan_remove_at;
		t->reason = old[i].reason;
		old[i].reason = NULL;
	}
	for (uint32_t i = c->tunnels_n; i-- > 0;) {
		struct tunnel *t = &c->tunnels[i];
		uint32_t peer = tunnel_config(c, i)->peer;

		list_init(&t->children);
		t->due.kind = DUE_TUNNEL;
		t->next_of_peer = c->peers[peer].tunnels;
		c->peers[peer].tunnels = i;
		t->want |= snap_peers(c->snap)[peer].start == PEER_START_ALWAYS;
		tunnel_touch(c, i);
	}
}

void ike_config(struct ike *c, mono_ns now, const struct snapshot *s)
{
	struct snapshot *old = c->snap, *copy = ike_alloc(s->bytes);
	struct tunnel *old_tunnels = c->tunnels;
	struct ike_peer *old_peers = c->peers;
	uint32_t *tunnels = numbers(c->tunnels_n), *peers = numbers(c->peers_n);
	struct renumbering to = { old, tunnels, peers, c->tunnels_n, c->peers_n };

	c->now = now;
	memcpy(copy, s, s->bytes);
	renumber(c, copy, tunnels, peers);
	bool *joined = ike_alloc(IKE_SAS_MAX * sizeof *joined);
	LIST_FOR (struct ike_sa, sa, &c->sas, of_all)
		joined[sa->slot] = link_used(&sa->of_peer);
	leave_tables(c);
	memset(c->expected, 0, sizeof c->expected); /* by their old numbers */
	c->snap = copy;
	anchor_hashes_make(c);
	peers_new(c, copy->peers.count);
	named_new(c);
	places_share(c);
	for (uint32_t i = 0; i < to.peers_n; i++)
		if (peers[i] != INDEX_NONE) {
			memcpy(c->peers[peers[i]].peer_messages_taken, old_peers[i].peer_messages_taken,
				sizeof old_peers[i].peer_messages_taken);
			c->peers[peers[i]].instances_refused = old_peers[i].instances_refused;
			c->peers[peers[i]].claims_refused = old_peers[i].claims_refused;
			named_move(&c->peers[peers[i]], &old_peers[i]);
			redirect_move(&c->peers[peers[i]], &old_peers[i]);
		}
	peers_by_address(c);
	tunnels_new(c, old_tunnels, &to);
	LIST_FOR (struct ike_sa, sa, &c->sas, of_all)
		renumber_sa(c, sa, joined[sa->slot], &to);
	free(joined);
	free(peers);
	free(tunnels);
	free(old);
	tunnels_free(old_tunnels, to.tunnels_n);
	peers_free(old_peers, to.peers_n);
	named_ask_unknown(c);
	sa_settle_all(c);
}
