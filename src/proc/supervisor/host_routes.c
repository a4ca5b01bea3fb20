#include "proc/supervisor/host_routes.h"

#include "base/siphash.h"

#include <assert.h>
#include <ifaddrs.h>
#include <net/if.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <sys/socket.h>

#define PLACES (2 * HOST_ROUTES_MAX)

static unsigned trailing_zeros(const struct ip_addr *a)
{
	unsigned n = 0;

	for (size_t i = addr_size(a); i-- > 0; n += 8)
		if (a->b[i] != 0)
			return n + (unsigned)__builtin_ctz(a->b[i]);
	return n;
}

/* The last address of the prefix that begins at `first` with `bits` bits. */
static struct ip_addr prefix_last(const struct ip_addr *first, unsigned bits)
{
	struct ip_addr a = *first;

	for (unsigned bit = bits; bit < 8 * addr_size(&a); bit++)
		a.b[bit / 8] |= (uint8_t)(0x80 >> (bit % 8));
	return a;
}

static bool addr_next(struct ip_addr *a)
{
	for (size_t i = addr_size(a); i-- > 0;)
		if (++a->b[i] != 0)
			return true;
	return false; /* it was the last of all */
}

/* First prefix of the range first..last that begins at first; advances first; false: the range is used up. */
static bool range_next_prefix(struct ip_range *r, struct ip_prefix *ret_prefix)
{
	if (r->first.family == ADDR_NONE || addr_compare(&r->first, &r->last) > 0)
		return false;
	unsigned width = 8 * (unsigned)addr_size(&r->first), bits = width - trailing_zeros(&r->first);
	assert(bits <= width);
	struct ip_addr last = prefix_last(&r->first, bits);
	while (addr_compare(&last, &r->last) > 0)
		last = prefix_last(&r->first, ++bits);
	*ret_prefix = (struct ip_prefix){ r->first, bits };
	r->first = last;
	if (!addr_next(&r->first))
		r->first.family = ADDR_NONE;
	return true;
}

/* An address that means something beyond its link. */
static bool travels(const struct ifaddrs *i)
{
	const struct sockaddr_in6 *six = (const void *)i->ifa_addr;

	return !(i->ifa_flags & IFF_LOOPBACK) &&
	       !(i->ifa_addr->sa_family == AF_INET6 && IN6_IS_ADDR_LINKLOCAL(&six->sin6_addr));
}

static void host_address(const struct ifaddrs *all, const struct selector *local, uint32_t n, uint8_t family,
	struct ip_addr *ret_addr)
{
	*ret_addr = (struct ip_addr){ .family = ADDR_NONE };
	for (const struct ifaddrs *i = all; i; i = i->ifa_next) {
		struct ip_addr a;
		if (!i->ifa_addr || !travels(i))
			continue;
		if (i->ifa_addr->sa_family == AF_INET && family == ADDR_V4)
			a = addr_v4(&((const struct sockaddr_in *)(const void *)i->ifa_addr)->sin_addr);
		else if (i->ifa_addr->sa_family == AF_INET6 && family == ADDR_V6)
			a = addr_v6(&((const struct sockaddr_in6 *)(const void *)i->ifa_addr)->sin6_addr);
		else
			continue;
		for (uint32_t k = 0; k < n; k++)
			if (range_holds(&local[k].addrs, &a)) {
				*ret_addr = a;
				return;
			}
	}
}

/* Where the route stands in the table of places, or the free place that it would take. */
static uint32_t *place_of(const struct host_routes *r, const struct host_route *route)
{
	static const uint8_t key[16]; /* prefixes are the administrator's own */
	uint8_t bytes[sizeof route->to + sizeof(uint64_t)] = { route->stays };

	memcpy(bytes + sizeof(uint64_t), &route->to, sizeof route->to);
	for (uint32_t at = (uint32_t)siphash13(key, bytes, sizeof bytes);; at++) {
		uint32_t *place = &r->places[at % PLACES];
		const struct host_route *held = *place ? &r->list[*place - 1] : NULL;
		if (!held ||
			(held->stays == route->stays && memcmp(&held->to, &route->to, sizeof held->to) == 0))
			return place;
	}
}

const struct host_route *host_routes_find(const struct host_routes *r, const struct host_route *route)
{
	uint32_t at = r->n > 0 ? *place_of(r, route) : 0;

	return at ? &r->list[at - 1] : NULL;
}

bool host_routes_hold(const struct host_routes *r, const struct host_route *route)
{
	return host_routes_find(r, route) != NULL;
}

/* False: there are too many. */
static bool add(struct host_routes *r, const struct host_route *route)
{
	uint32_t *place = place_of(r, route);

	if (*place != 0) {
		r->list[*place - 1] = *route;
		return true;
	}
	if (r->n == HOST_ROUTES_MAX)
		return false;
	r->list[r->n++] = *route;
	*place = (uint32_t)r->n;
	return true;
}

static bool add_range(struct host_routes *r, struct ip_range range, struct host_route route)
{
	while (range_next_prefix(&range, &route.to))
		if (!add(r, &route))
			return false;
	return true;
}

static bool collect_remote(const struct snapshot *snap, const struct snap_tunnel *t,
	const struct ifaddrs *addresses, struct host_routes *r)
{
	const struct selector *local = &snap_selectors(snap)[t->local.first];
	struct host_route four = { 0 }, six = { 0 };

	host_address(addresses, local, t->local.count, ADDR_V4, &four.from);
	host_address(addresses, local, t->local.count, ADDR_V6, &six.from);
	for (uint32_t i = 0; i < t->remote.count; i++) {
		const struct ip_range *range = &snap_selectors(snap)[t->remote.first + i].addrs;
		if (!add_range(r, *range, range->first.family == ADDR_V4 ? four : six))
			return false;
	}
	return true;
}

/*
 * The remote sides of all tunnels, by their first address, as a balanced tree: the middle of a stretch of the
 * list is above its two halves, and knows the last address of all of them. So those that hold a range are
 * found without a look at each.
 */
struct remotes {
	struct remote {
		struct ip_range addrs;
		struct ip_addr last_below; /* of this one and of those below it in the tree */
		uint32_t tunnel;
	} *list;
	uint32_t n;
};

static int remote_order(const void *one, const void *other)
{
	const struct remote *a = one, *b = other;

	return addr_compare(&a->addrs.first, &b->addrs.first);
}

static const struct ip_addr *remotes_last(struct remotes *r, uint32_t from, uint32_t to)
{
	uint32_t middle = from + (to - from) / 2;
	struct remote *m = &r->list[middle];

	m->last_below = m->addrs.last;
	for (int half = 0; half < 2; half++) {
		uint32_t first = half ? middle + 1 : from, end = half ? to : middle;
		const struct ip_addr *last = first < end ? remotes_last(r, first, end) : NULL;
		if (last && addr_compare(last, &m->last_below) > 0)
			m->last_below = *last;
	}
	return &m->last_below;
}

static bool remotes_collect(struct remotes *r, const struct snapshot *snap)
{
	size_t n = 0;

	for (uint32_t t = 0; t < snap->tunnels.count; t++)
		n += snap_tunnels(snap)[t].remote.count;
	*r = (struct remotes){ calloc(n + 1, sizeof *r->list), 0 };
	if (!r->list)
		return false;
	for (uint32_t t = 0; t < snap->tunnels.count; t++) {
		const struct span *remote = &snap_tunnels(snap)[t].remote;
		for (uint32_t i = remote->first;
			!snap_tunnel_is_routed(&snap_tunnels(snap)[t]) && i < remote->first + remote->count;
			i++)
			r->list[r->n++] =
				(struct remote){ .addrs = snap_selectors(snap)[i].addrs, .tunnel = t };
	}
	qsort(r->list, r->n, sizeof *r->list, remote_order);
	if (r->n > 0)
		remotes_last(r, 0, r->n);
	return true;
}

/* Of those from..to that hold the range: does each tunnel keep it? *ret_held: there was one. */
static bool each_keeps(const struct remotes *r, uint32_t from, uint32_t to, const struct snapshot *snap,
	const struct ip_range *local, bool *ret_held)
{
	uint32_t middle = from + (to - from) / 2;
	const struct remote *m = &r->list[middle];

	if (from == to || addr_compare(&m->last_below, &local->last) < 0)
		return true;
	if (!each_keeps(r, from, middle, snap, local, ret_held))
		return false;
	if (addr_compare(&m->addrs.first, &local->first) > 0)
		return true; /* and so do all after it */
	if (range_holds(&m->addrs, &local->first) && range_holds(&m->addrs, &local->last)) {
		if (!snap_tunnel_keeps(snap, &snap_tunnels(snap)[m->tunnel], &m->addrs, local))
			return false;
		*ret_held = true;
	}
	return each_keeps(r, middle + 1, to, snap, local, ret_held);
}

/*
 * Of a part of a tunnel's local side: some remote side holds it, and each tunnel whose remote side does keeps
 * it here. What one tunnel keeps and another one takes goes to the other: never in clear.
 */
static bool all_keep(const struct remotes *r, const struct snapshot *snap, const struct ip_range *local)
{
	bool held = false;

	return each_keeps(r, 0, r->n, snap, local, &held) && held;
}

static bool collect_local(const struct remotes *remotes, const struct snapshot *snap,
	const struct snap_tunnel *t, struct host_routes *r)
{
	for (uint32_t i = 0; i < t->local.count; i++) {
		const struct ip_range *range = &snap_selectors(snap)[t->local.first + i].addrs;
		if (all_keep(remotes, snap, range) &&
			!add_range(r, *range, (struct host_route){ .stays = true }))
			return false;
	}
	return true;
}

enum rc host_routes_collect(struct host_routes *ret_routes, const struct snapshot *snap,
	const struct ifaddrs *addresses, struct err *e)
{
	struct host_routes r = { calloc(HOST_ROUTES_MAX, sizeof *r.list), 0,
		calloc(PLACES, sizeof *r.places) };
	struct remotes remotes = { 0 };
	bool fits = true;
	enum rc rc = RC_OK;

	if (!r.list || !r.places || !remotes_collect(&remotes, snap)) {
		rc = err_add(e, RC_LIMIT, "out of memory for routes into tunnels");
		goto out;
	}
	for (uint32_t t = 0; t < snap->tunnels.count && fits; t++)
		fits = snap_tunnel_is_routed(&snap_tunnels(snap)[t]) ||
		       collect_remote(snap, &snap_tunnels(snap)[t], addresses, &r);
	for (uint32_t t = 0; t < snap->tunnels.count && fits; t++)
		fits = snap_tunnel_is_routed(&snap_tunnels(snap)[t]) ||
		       collect_local(&remotes, snap, &snap_tunnels(snap)[t], &r);
	if (!fits)
		rc = err_add(e, RC_LIMIT, "more than %u routes into tunnels", HOST_ROUTES_MAX);
out:
	free(remotes.list);
	if (rc == RC_OK)
		*ret_routes = r;
	else
		host_routes_done(&r);
	return rc;
}

void host_routes_done(struct host_routes *r)
{
	free(r->list);
	free(r->places);
	*r = (struct host_routes){ 0 };
}
