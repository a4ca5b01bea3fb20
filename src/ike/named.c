/*
 * Peers by name (remote-address vpn.example.com): the addresses that DNS has for them, as the resolver tells. An address is where such a
 * peer may be, and no proof of anything: as initiator we send IKE_SA_INIT there, and as responder the peers that have the sender's
 * address are the ones whose proposals and identities are tried before those of `any`. So whoever lies about a name can send us to
 * the wrong place, which cannot prove the identity.
 *
 * As responder an address counts while the newest answer has it, and for that answer's time to live afterwards: names with many addresses
 * give another part of them each time. As initiator only those of the newest answer are tried, one after the other: the one that
 * answered last first, else IPv6 before IPv4 (RFC 6724), and only the family of local-address. An answer that changes leaves
 * IKE SAs alone: liveness checks end them (RFC 7296 section 2.4). Without an answer the last good one stays, however old it is.
 */
#include "ike/internal.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>

void named_new(struct ike *c)
{
	for (uint32_t i = 0; i < c->peers_n; i++)
		if (snap_peers(c->snap)[i].flags & PEER_REMOTE_NAME)
			c->peers[i].named = ike_alloc(sizeof *c->peers[i].named);
}

void named_move(struct ike_peer *to, struct ike_peer *from)
{
	struct ike_named *empty = to->named;

	to->named = from->named;
	from->named = empty;
}

void peers_free(struct ike_peer *peers, uint32_t n)
{
	for (uint32_t i = 0; peers && i < n; i++) {
		if (peers[i].named)
			text_clear(&peers[i].named->why);
		free(peers[i].named);
		free(peers[i].redirect);
	}
	free(peers);
}

static struct ike_named *named_of(const struct ike *c, uint32_t peer)
{
	return peer < c->peers_n ? c->peers[peer].named : NULL;
}

/* Of one that is by name. */
static struct ike_named *named_surely(const struct ike *c, uint32_t peer)
{
	struct ike_named *x = named_of(c, peer);

	assert(x);
	return x;
}

void named_ask(struct ike *c, uint32_t peer)
{
	struct ike_action *a = named_of(c, peer) ? ike_action_add(c, IKE_RESOLVE) : NULL;

	if (a)
		snprintf(a->resolve.peer, sizeof a->resolve.peer, "%s", snap_peers(c->snap)[peer].name);
}

void named_ask_unknown(struct ike *c)
{
	for (uint32_t i = 0; i < c->peers_n; i++)
		if (c->peers[i].named && !c->peers[i].named->known)
			named_ask(c, i);
}

bool named_has_address(const struct ike *c, uint32_t peer, const struct ip_addr *remote)
{
	const struct ike_named *x = named_of(c, peer);

	for (uint32_t i = 0; x && i < x->n; i++)
		if (addr_equal(&x->at[i], remote))
			return true;
	return false;
}

/* ---- whom to begin with ---- */

static bool is_usable(const struct ike *c, uint32_t peer, const struct ip_addr *a)
{
	uint8_t family = snap_peers(c->snap)[peer].local.family;

	return family == ADDR_NONE || family == a->family;
}

/* Place in the newest answer; `current`: it is not there. */
static uint32_t place_of(const struct ike_named *x, const struct ip_addr *a)
{
	uint32_t i = 0;

	while (i < x->current && !addr_equal(&x->at[i], a))
		i++;
	return i;
}

/* The first that can be begun with from this place on; `current`: none. */
static uint32_t usable_from(const struct ike *c, uint32_t peer, const struct ike_named *x, uint32_t from)
{
	while (from < x->current && !is_usable(c, peer, &x->at[from]))
		from++;
	return from;
}

bool named_begin_with(const struct ike *c, uint32_t peer, struct ip_addr *ret_remote)
{
	const struct ike_named *x = named_surely(c, peer);
	uint32_t at = usable_from(c, peer, x, x->next);

	if (at == x->current)
		at = usable_from(c, peer, x, 0);
	if (at == x->current)
		return false;
	*ret_remote = x->at[at];
	return true;
}

bool named_is_silent(const struct ike *c, uint32_t peer)
{
	const struct ike_named *x = named_surely(c, peer);

	return !x->known && !x->why;
}

bool named_is_stale(const struct ike *c, uint32_t peer)
{
	return named_of(c, peer) && named_of(c, peer)->why;
}

const char *named_obstacle(const struct ike *c, uint32_t peer, char *text, size_t size)
{
	const struct ike_named *x = named_surely(c, peer);
	const char *name = snap_peer_dns_name(c->snap, &snap_peers(c->snap)[peer]);

	if (named_is_silent(c, peer))
		snprintf(text, size, "waiting for an address of %.100s", name);
	else if (!x->known)
		snprintf(text, size, "no address of %.100s is known: %.120s", name, text_of(x->why));
	else
		snprintf(text, size, "%.100s has no address of the family of local-address, %s", name,
			snap_peers(c->snap)[peer].local.family == ADDR_V4 ? "IPv4" : "IPv6");
	return text;
}

bool named_has_others(const struct ike *c, uint32_t peer, const struct ip_addr *remote)
{
	const struct ike_named *x = named_of(c, peer);

	for (uint32_t i = 0; x && i < x->current; i++)
		if (is_usable(c, peer, &x->at[i]) && !addr_equal(&x->at[i], remote))
			return true;
	return false;
}

bool named_next(struct ike *c, uint32_t peer, const struct ip_addr *failed)
{
	struct ike_named *x = named_of(c, peer);
	uint32_t at;

	if (!x || x->current == 0)
		return false;
	at = place_of(x, failed);
	if (at == x->current)
		return true; /* the name has others by now */
	x->next = usable_from(c, peer, x, at + 1);
	if (x->next < x->current)
		return true;
	x->next = 0;
	return false;
}

/* ---- what the resolver tells ---- */

/* Of the newest answer, and behind them those that are only expected: IPv6 first. */
static void addresses_take(struct ike_named *x, const struct peer_name_told *t)
{
	x->n = 0;
	for (uint32_t held = 0; held <= 1; held++) {
		for (int family = 0; family <= 1; family++)
			for (uint32_t i = held ? t->current : 0; i < (held ? t->n : t->current); i++)
				if ((t->at[i].family == ADDR_V4) == (family == 1))
					x->at[x->n++] = t->at[i];
		if (!held)
			x->current = x->n;
	}
}

bool named_told(struct ike *c, uint32_t peer, const struct peer_name_told *t)
{
	struct ike_named *x = named_surely(c, peer), was;

	if (t->why[0])
		text_set(&x->why, "%s", t->why);
	else
		text_clear(&x->why);
	if (!t->known)
		return false; /* the resolver has begun anew: what it told before stays */
	was = *x;
	x->known = true;
	x->answered_at = c->now - MIN_OF(c->now, t->age_s * NS_PER_S);
	addresses_take(x, t);
	if (was.n == x->n && was.current == x->current && memcmp(was.at, x->at, x->n * sizeof x->at[0]) == 0)
		return false;
	x->next = was.next < was.current ? place_of(x, &was.at[was.next]) : 0;
	if (x->next == x->current)
		x->next = 0;
	peers_by_address(c);
	return true;
}

/* Once in a second: whoever changes the answer all the time would otherwise have us begin each time, without a back-off. */
bool named_may_act(struct ike *c, uint32_t peer)
{
	struct ike_named *x = named_surely(c, peer);

	if (x->acted_at != 0 && c->now < x->acted_at + NS_PER_S)
		return false;
	x->acted_at = c->now;
	return true;
}

bool named_is_current(const struct ike *c, uint32_t peer, const struct ip_addr *remote)
{
	const struct ike_named *x = named_of(c, peer);

	return x && place_of(x, remote) < x->current;
}
