/*
 * Traffic selectors (RFC 7296 section 2.9): what two lists have in common, whether one is inside the other,
 * and the same of tunnels, their child SAs and packets.
 */
#include "ike/internal.h"

#include <assert.h>
#include <stdio.h>

static bool intersect(struct selector *ret, const struct selector *a, const struct selector *b)
{
	struct selector s = { 0 };

	if (a->addrs.first.family != b->addrs.first.family ||
		(a->proto && b->proto && a->proto != b->proto) || a->port_first > a->port_last ||
		b->port_first > b->port_last)
		return false;
	s.proto = a->proto ? a->proto : b->proto;
	s.port_first = MAX_OF(a->port_first, b->port_first);
	s.port_last = MIN_OF(a->port_last, b->port_last);
	s.addrs.first = addr_compare(&a->addrs.first, &b->addrs.first) > 0 ? a->addrs.first : b->addrs.first;
	s.addrs.last = addr_compare(&a->addrs.last, &b->addrs.last) < 0 ? a->addrs.last : b->addrs.last;
	if (s.port_first > s.port_last || addr_compare(&s.addrs.first, &s.addrs.last) > 0)
		return false;
	*ret = s;
	return true;
}

static bool within(const struct selector *inner, const struct selector *outer)
{
	struct selector s;

	return intersect(&s, inner, outer) && memcmp(&s, inner, sizeof s) == 0;
}

bool selectors_within(
	const struct selector *inner, uint32_t inner_n, const struct selector *outer, uint32_t outer_n)
{
	for (uint32_t i = 0; i < inner_n; i++) {
		bool found = false;

		for (uint32_t k = 0; k < outer_n && !found; k++)
			found = within(&inner[i], &outer[k]);
		if (!found)
			return false;
	}
	return inner_n > 0;
}

/* Is anything in both? */
static bool selectors_meet(const struct selector *a, uint32_t a_n, const struct selector *b, uint32_t b_n)
{
	struct selector s;

	for (uint32_t i = 0; i < a_n; i++)
		for (uint32_t k = 0; k < b_n; k++)
			if (intersect(&s, &a[i], &b[k]))
				return true;
	return false;
}

/* At most SELECTORS_MAX. */
static uint32_t selectors_intersect(
	struct selector *ret, const struct selector *a, uint32_t a_n, const struct selector *b, uint32_t b_n)
{
	uint32_t n = 0;

	for (uint32_t i = 0; i < a_n; i++) {
		for (uint32_t k = 0; k < b_n && n < SELECTORS_MAX; k++) {
			if (!intersect(&ret[n], &a[i], &b[k]))
				continue;
			/* The first selector may be one packet's own addresses (2.9), inside another one. */
			if (n > 0 && selectors_within(&ret[n], 1, ret, n))
				continue;
			n++;
		}
	}
	assert(n <= SELECTORS_MAX);
	/* Those that are inside a later, wider one are removed. */
	for (uint32_t i = 0; i + 1 < n;) {
		if (!selectors_within(&ret[i], 1, ret + i + 1, n - i - 1)) {
			i++;
			continue;
		}
		memmove(&ret[i], &ret[i + 1], (n - i - 1) * sizeof *ret);
		n--;
	}
	return n;
}

char *selectors_text(char *ret_text, size_t size, const struct selector *list, uint32_t n)
{
	char range[RANGE_TEXT_MAX];
	size_t at = 0;

	ret_text[0] = '\0';
	for (uint32_t i = 0; i < n && at + 1 < size; i++) {
		int k = snprintf(
			ret_text + at, size - at, "%s%s", i ? " " : "", range_text(range, &list[i].addrs));

		at += k > 0 ? (size_t)k : 0;
		if (at + 1 < size && list[i].proto) {
			k = snprintf(ret_text + at, size - at, "[%u]", list[i].proto);
			at += k > 0 ? (size_t)k : 0;
		}
	}
	return ret_text;
}

/* ---- of tunnels and child SAs ---- */

const struct selector *tunnel_locals(const struct ike *c, const struct snap_tunnel *t)
{
	return &snap_selectors(c->snap)[t->local.first];
}

const struct selector *tunnel_remotes(const struct ike *c, const struct snap_tunnel *t)
{
	return &snap_selectors(c->snap)[t->remote.first];
}

bool child_packet_fits(
	const struct ike *c, uint32_t tunnel, const struct selector *local, const struct selector *remote)
{
	const struct snap_tunnel *t = tunnel_config(c, tunnel);

	return selectors_within(local, 1, tunnel_locals(c, t), t->local.count) &&
	       selectors_within(remote, 1, tunnel_remotes(c, t), t->remote.count);
}

bool child_holds_packet(const struct ike *c, uint32_t tunnel)
{
	const struct tunnel *t = &c->tunnels[tunnel];

	LIST_FOR (struct child_sa, ch, &t->children, of_tunnel)
		if (ch->state == CH_UP && selectors_within(&t->packet[0], 1, ch->local_ts, ch->local_n) &&
			selectors_within(&t->packet[1], 1, ch->remote_ts, ch->remote_n))
			return true;
	return false;
}

bool child_within(const struct child_sa *inner, const struct child_sa *outer)
{
	return selectors_within(inner->local_ts, inner->local_n, outer->local_ts, outer->local_n) &&
	       selectors_within(inner->remote_ts, inner->remote_n, outer->remote_ts, outer->remote_n);
}

bool child_meets(const struct child_sa *a, const struct child_sa *b)
{
	return selectors_meet(a->local_ts, a->local_n, b->local_ts, b->local_n) &&
	       selectors_meet(a->remote_ts, a->remote_n, b->remote_ts, b->remote_n);
}

bool child_has_stand_in(const struct ike *c, const struct child_sa *ch)
{
	LIST_FOR (struct child_sa, other, &child_tunnel(c, ch)->children, of_tunnel)
		if (other != ch && other->state == CH_UP && child_within(ch, other) &&
			child_same_user(c, ch, other))
			return true;
	return false;
}

/*
 * The packet's own selector and after it all of the side; or, where other child SAs are up, only the network
 * that it is in: a peer with a child SA for each pair of networks takes the first that matches when it is
 * offered all.
 */
static void offer_side(
	struct ike_out *o, uint8_t type, const struct tunnel *t, const struct selector *side, uint32_t n)
{
	struct selector list[SELECTORS_MAX + 1];
	uint32_t own = 0;

	assert(n <= SELECTORS_MAX);
	if (t->has_packet)
		list[own++] = t->packet[type == PL_TSR];
	for (uint32_t i = 0, all = own; i < n && !(all && t->one_pair); i++)
		if (!all || t->up == 0 || selectors_within(&list[0], 1, &side[i], 1))
			list[own++] = side[i];
	ike_out_selectors(o, type, list, own);
}

void child_offer_selectors(
	const struct ike *c, struct ike_out *o, uint32_t tunnel, const struct child_sa *old)
{
	const struct snap_tunnel *t = tunnel_config(c, tunnel);

	if (old) {
		ike_out_selectors(o, PL_TSI, old->local_ts, old->local_n);
		ike_out_selectors(o, PL_TSR, old->remote_ts, old->remote_n);
	} else {
		offer_side(o, PL_TSI, &c->tunnels[tunnel], tunnel_locals(c, t), t->local.count);
		offer_side(o, PL_TSR, &c->tunnels[tunnel], tunnel_remotes(c, t), t->remote.count);
	}
}

uint32_t child_tunnel_for(const struct ike *c, uint32_t peer, const struct ike_selectors *remote_ts,
	const struct ike_selectors *local_ts)
{
	uint32_t best = INDEX_NONE, best_score = 0;

	if (remote_ts->n == 0 || local_ts->n == 0)
		return INDEX_NONE;
	for (uint32_t i = peer_entry(c, peer)->tunnels; i != INDEX_NONE; i = c->tunnels[i].next_of_peer) {
		const struct snap_tunnel *t = tunnel_config(c, i);
		uint32_t score = 1;

		if (!selectors_meet(tunnel_locals(c, t), t->local.count, local_ts->list, local_ts->n) ||
			!selectors_meet(tunnel_remotes(c, t), t->remote.count, remote_ts->list, remote_ts->n))
			continue;
		/* 2.9: the first pair may be the packet that asked for it; it must be inside. */
		if (selectors_within(local_ts->list, 1, tunnel_locals(c, t), t->local.count) &&
			selectors_within(remote_ts->list, 1, tunnel_remotes(c, t), t->remote.count))
			score += 2;
		if (selectors_within(tunnel_locals(c, t), t->local.count, local_ts->list, local_ts->n) &&
			selectors_within(
				tunnel_remotes(c, t), t->remote.count, remote_ts->list, remote_ts->n))
			score += 1;
		if (score > best_score) {
			best_score = score;
			best = i;
		}
	}
	return best;
}

bool child_more_possible(const struct ike *c, const struct ike_sa *sa, const struct child_sa *ch,
	const struct ike_selectors *remote_ts, const struct ike_selectors *local_ts)
{
	for (uint32_t i = peer_entry(c, sa->peer)->tunnels; i != INDEX_NONE; i = c->tunnels[i].next_of_peer) {
		const struct snap_tunnel *t = tunnel_config(c, i);

		if (i != ch->tunnel &&
			selectors_meet(tunnel_locals(c, t), t->local.count, local_ts->list, local_ts->n) &&
			selectors_meet(tunnel_remotes(c, t), t->remote.count, remote_ts->list, remote_ts->n))
			return true;
	}
	return false;
}

uint32_t tunnel_remote_part(const struct ike *c, uint32_t tunnel, const struct ike_selectors *asked,
	struct selector ret[SELECTORS_MAX])
{
	const struct snap_tunnel *t = tunnel_config(c, tunnel);

	return selectors_intersect(ret, asked->list, asked->n, tunnel_remotes(c, t), t->remote.count);
}

bool child_narrow(const struct ike *c, struct child_sa *ch, const struct ike_selectors *remote_ts,
	const struct ike_selectors *local_ts)
{
	const struct snap_tunnel *t = tunnel_config(c, ch->tunnel);
	struct selector local[SELECTORS_MAX], remote[SELECTORS_MAX];
	uint32_t local_n, remote_n;

	local_n =
		selectors_intersect(local, local_ts->list, local_ts->n, tunnel_locals(c, t), t->local.count);
	remote_n = selectors_intersect(
		remote, remote_ts->list, remote_ts->n, tunnel_remotes(c, t), t->remote.count);
	selectors_keep(ch, local, local_n, remote, remote_n);
	return ch->local_n > 0 && ch->remote_n > 0;
}
