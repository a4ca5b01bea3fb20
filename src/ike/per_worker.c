/*
 * Child SAs for one worker each (RFC 9611): beside a first one, which is for all, more with the same selectors, so that workers of the data
 * plane seal without handing packets to each other. Both sides say in the exchange of the first one that they want it (SA_RESOURCE_INFO);
 * the others say it too, and are told from the first by that: there is a first one on their IKE SA.
 *
 * Each side numbers them for itself: one for worker w has resource w + 1, and the data plane gives it to that worker. A side makes those
 * that are missing for its own workers, first the one that began the first child SA, some seconds later the other one, which
 * usually finds that it has enough. So two sides with different numbers of workers have as many as the one with more.
 *
 * They are rekeyed like any other, each for its worker. When one ends and no successor is there, its worker sends by the first one again.
 * When the first one ends and others stay, another first one is made (tunnel.c).
 */
#include "ike/internal.h"

#include <assert.h>

bool tunnel_has_resources(const struct ike *c, uint32_t tunnel)
{
	const struct snap_tunnel *t = tunnel_config(c, tunnel);

	return t && t->flags & TUNNEL_PER_WORKER;
}

static uint32_t workers(const struct ike *c)
{
	return MIN_OF(MAX_OF(c->snap->workers, 1u), (uint32_t)WORKERS_MAX);
}

/* RFC 9611 section 6: protocol and SPI are empty, the identifier is for whoever looks for a fault. */
void resource_write(struct ike_out *o, uint16_t resource)
{
	uint8_t id[4];

	store_be32(id, resource - 1u);
	ike_out_notify(o, NTF_SA_RESOURCE_INFO, id, resource ? sizeof id : 0);
}

bool resource_is_asked(const struct ike_payloads *p)
{
	return ike_notify_find(p, NTF_SA_RESOURCE_INFO);
}

static bool identified(const struct ike_payloads *p)
{
	const struct ike_notify *v = ike_notify_find(p, NTF_SA_RESOURCE_INFO);

	return v && v->data.n > 0;
}

static bool same_selectors(const struct child_sa *a, const struct child_sa *b)
{
	return child_within(a, b) && child_within(b, a);
}

/* Does ch, for one worker, stand beside this one? */
static bool is_beside(const struct child_sa *ch, const struct child_sa *first)
{
	return ch->resource != 0 && ch->sa == first->sa && (ch->state == CH_UP || ch->state == CH_LARVAL) &&
	       same_selectors(ch, first);
}

/* By worker, how many there are beside `first`; returns the sum. */
static uint32_t resources_count(
	const struct ike *c, const struct child_sa *first, uint32_t ret_n[WORKERS_MAX + 1])
{
	const struct tunnel *t = child_tunnel(c, first);
	uint32_t sum = 0;

	memset(ret_n, 0, (WORKERS_MAX + 1) * sizeof *ret_n);
	if (!t)
		return 0;
	LIST_FOR (struct child_sa, ch, &t->children, of_tunnel) {
		if (!is_beside(ch, first))
			continue;
		assert(ch->resource <= WORKERS_MAX);
		ret_n[ch->resource]++;
		sum++;
	}
	return sum;
}

uint16_t resource_missing(const struct ike *c, const struct child_sa *first)
{
	uint32_t n[WORKERS_MAX + 1];

	/* Of one worker the first one is its own. */
	if (!tunnel_has_resources(c, first->tunnel) || workers(c) == 1 ||
		resources_count(c, first, n) >= IKE_RESOURCES_MAX)
		return 0;
	for (uint16_t r = 1; r <= workers(c); r++)
		if (n[r] == 0)
			return r;
	return 0;
}

/* For one that the peer makes: the worker that has fewest. */
static uint16_t resource_for_peer(const struct ike *c, const struct child_sa *first)
{
	uint32_t n[WORKERS_MAX + 1];
	uint16_t least = 1;

	resources_count(c, first, n);
	for (uint16_t r = 2; r <= workers(c); r++)
		least = n[r] < n[least] ? r : least;
	return least;
}

/* ---- negotiation ---- */

bool resource_answered(struct ike *c, const struct ike_payloads *p, struct child_sa *ch,
	struct child_sa *first, const struct child_sa *old, struct err *ret_why)
{
	if (!first) {
		ch->shares = ch->resource == 0 &&
			     ((old && old->shares) ||
				     (resource_is_asked(p) && tunnel_has_resources(c, ch->tunnel)));
		return true;
	}
	if (resource_is_asked(p) && same_selectors(ch, first))
		return true;
	first->shares = false; /* it would do the same again */
	if (resource_is_asked(p))
		err_add(ret_why, RC_MALFORMED,
			"the peer's response has other traffic selectors than the child SA beside which it is to stand");
	else
		err_add(ret_why, RC_MALFORMED, "the peer's response has no SA_RESOURCE_INFO");
	return false;
}

uint16_t resource_refusal(
	struct ike *c, const struct ike_payloads *p, struct child_sa *ch, const struct child_sa *old)
{
	bool asked = resource_is_asked(p), configured = tunnel_has_resources(c, ch->tunnel);
	uint32_t n[WORKERS_MAX + 1];
	struct child_sa *first;

	if (old) {
		/* "the rekeyed Child SA should be bound to the same resource(s) as the Child SA that is being rekeyed" */
		ch->resource = old->resource;
		ch->shares = old->resource == 0 && (old->shares || (asked && configured));
		return 0;
	}
	if (!asked)
		return 0;
	first = child_first_of(c, ch);
	/* Both sides may have begun the first one at once (RFC 7296 2.8.1): the peer's, which has no identifier, is no other one's neighbour. */
	if (!first || (!identified(p) && first->ours && c->now < first->since + IKE_CONFIRM_S * NS_PER_S)) {
		ch->shares = configured;
		return 0;
	}
	if (!configured || resources_count(c, first, n) >= IKE_RESOURCES_MAX) {
		ike_log(c, true, "peer %s: tunnel %s: a child SA for one more processor was refused: %s",
			sa_peer_name(c, ch->sa), tunnel_config(c, ch->tunnel)->name,
			configured ? "it has as many as it may have" : "`per-worker-sas` is not configured");
		return NTF_TS_MAX_QUEUE;
	}
	ch->resource = resource_for_peer(c, first);
	return 0;
}

/* ---- what we want ---- */

void resource_failed(struct ike *c, struct child_sa *first, uint16_t notify)
{
	/* Any refusal but the one that says "later": none is asked for until the first one is replaced. */
	if (notify != 0 && notify != NTF_TEMPORARY_FAILURE)
		first->shares = false;
	if (notify == NTF_TEMPORARY_FAILURE)
		child_put_off_beside(c, first, IKE_TEMPORARY_MS, 3 * IKE_TEMPORARY_MS);
	else
		child_put_off_beside(c, first, IKE_BESIDE_MS_MIN, IKE_BESIDE_MS_MAX);
	tunnel_touch(c, first->tunnel);
}

/* The first one was redundant, and that of another IKE SA is kept: nobody sends by what stood beside it. */
static bool is_left(const struct ike *c, const struct tunnel *t, const struct child_sa *ch)
{
	bool left = false;

	LIST_FOR (struct child_sa, other, &t->children, of_tunnel) {
		bool sends = other->state == CH_UP || (other->state == CH_CLOSING && !other->delete_sent);

		if (other->resource != 0 || !sends || !same_selectors(other, ch))
			continue;
		if (other->sa == ch->sa)
			return false;
		left |= other->state == CH_UP && other->confirmed && !other->sa->moving &&
			child_same_user(c, ch, other);
	}
	return left;
}

/* Ours that are of no use: for workers that a commit has taken away, or all of them, or left by their first one. */
static void end_useless(struct ike *c, uint32_t tunnel)
{
	struct tunnel *t = &c->tunnels[tunnel];
	uint32_t most = tunnel_has_resources(c, tunnel) ? workers(c) : 0;

	LIST_FOR (struct child_sa, ch, &t->children, of_tunnel) {
		if (ch->resource == 0 || ch->state != CH_UP || !ch->ours)
			continue;
		if (ch->resource > most)
			child_want_delete(c, ch->sa, ch, "the data plane has fewer workers");
		else if (is_left(c, t, ch))
			child_want_delete(c, ch->sa, ch, "the child SA beside which it stood has ended");
	}
}

void tunnel_share_workers(struct ike *c, uint32_t tunnel)
{
	struct tunnel *t = &c->tunnels[tunnel];

	assert(tunnel < c->tunnels_n);
	end_useless(c, tunnel);
	LIST_FOR (struct child_sa, ch, &t->children, of_tunnel) {
		bool wants = ch->state == CH_UP && ch->resource == 0 && ch->shares && !t->held &&
			     resource_missing(c, ch) != 0;

		if (wants == ch->wants_beside)
			continue;
		ch->wants_beside = wants;
		child_changed(c, ch);
	}
}
