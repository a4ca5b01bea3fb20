#include "route/routes.h"

#include <assert.h>
#include <stdlib.h>

_Static_assert(FIB_NONE == NEXTHOPS_NONE, "no set");
_Static_assert(FIB_BURST >= ROUTE_BURST, "a burst is one");
_Static_assert(NEXTHOPS_CHUNK *NEXTHOPS_CHUNKS_MAX > ROUTE_ROUTES_MAX, "a number for each set");

bool routes_init(struct routes *r, const struct nexthops_dead *dead)
{
	*r = (struct routes){ 0 };
	fib_init(&r->fib[0], ADDR_V4);
	fib_init(&r->fib[1], ADDR_V6);
	struct nexthop_set *none = nexthops_init(&r->nexthops, dead) ? nexthop_set_new(0) : NULL;
	r->none = none ? nexthops_intern(&r->nexthops, none) : NULL;
	r->walks = calloc(ROUTES_WALKS, sizeof *r->walks);
	if (r->none && r->walks)
		return true;
	routes_done(r);
	return false;
}

void routes_done(struct routes *r)
{
	fib_done(&r->fib[0]);
	fib_done(&r->fib[1]);
	nexthops_done(&r->nexthops);
	free(r->walks);
	*r = (struct routes){ 0 };
}

void routes_prepare(struct routes *r)
{
	blocks_prepare(&r->fib[0].blocks);
	blocks_prepare(&r->fib[1].blocks);
}

bool routes_release(struct routes *r)
{
	return blocks_release(&r->fib[0].blocks) && blocks_release(&r->fib[1].blocks) &&
	       nexthops_release(&r->nexthops, ROUTES_RELEASE);
}

static struct fib *fib_of(struct routes *r, const struct ip_addr *a)
{
	return &r->fib[a->family == ADDR_V6];
}

static bool prefix_valid(const struct ip_prefix *p)
{
	return (p->addr.family == ADDR_V4 && p->bits <= 32) || (p->addr.family == ADDR_V6 && p->bits <= 128);
}

/* --- which route counts --- */

static bool hop_dead(const struct nexthop *hop)
{
	const struct nexthops_dead *d = hop->port->dead;

	for (uint32_t i = 0; i < d->n; i++)
		if (d->list[i].link == hop->port->index && addr_equal(&d->list[i].gateway, &hop->gateway))
			return true;
	return false;
}

/* Its link is up. */
static bool hop_linked(const struct nexthop *hop)
{
	bool nowhere = hop->kind == ROUTE_UNREACHABLE || hop->kind == ROUTE_THROW;

	if (!hop->port)
		return nowhere;
	return nowhere ? !__atomic_load_n(&hop->port->gone, __ATOMIC_RELAXED)
		       : __atomic_load_n(&hop->port->up, __ATOMIC_RELAXED);
}

static bool hop_usable(const struct nexthop *hop)
{
	return hop_linked(hop) && (!hop->port || hop->kind != ROUTE_UNICAST || !hop_dead(hop));
}

/* The first usable hop from this one on; the set's n: there is none. */
static uint32_t hop_from(const struct nexthop_set *set, uint32_t hop)
{
	while (hop < set->n && !hop_usable(&set->hop[hop]))
		hop++;
	return hop;
}

/* A link that is down and held counts. */
static bool hop_held(const struct nexthop *hop, const struct route_flow *flow)
{
	for (uint32_t i = 0; hop->port && hop->kind == ROUTE_UNICAST && i < flow->held_n; i++)
		if (flow->held[i] == hop->port->index)
			return true;
	return false;
}

/* flow NULL: no link is held. */
static uint32_t hop_first(const struct nexthop_set *set, const struct route_flow *flow)
{
	uint32_t hop = 0;

	if (!flow || flow->held_n == 0)
		return hop_from(set, 0);
	while (hop < set->n && !hop_usable(&set->hop[hop]) && !hop_held(&set->hop[hop], flow))
		hop++;
	return hop;
}

uint32_t routes_hop_next(const struct nexthop_set *set, uint32_t hop)
{
	const struct nexthop *one = &set->hop[hop];
	uint32_t next = hop + 1;

	if (one->path == 0)
		return set->n;
	while (next < set->n && set->hop[next].metric == one->metric &&
		(set->hop[next].path != one->path || !hop_usable(&set->hop[next])))
		next++;
	return next < set->n && set->hop[next].metric == one->metric ? next : set->n;
}

/* Of the prefixes of at most `bits` bits that hold the address. ret_bits: how long the one found is; or NULL. */
static const struct nexthop_set *usable_within(const struct routes *r, const struct ip_addr *addr,
	uint32_t bits, const struct route_flow *flow, uint32_t *ret_hop, uint32_t *ret_bits)
{
	for (;;) {
		const struct nexthop_set *set = nexthops_at(
			&r->nexthops, fib_lookup_within(&r->fib[addr->family == ADDR_V6], addr, bits, &bits));
		if (!set)
			return NULL;
		*ret_hop = hop_first(set, flow);
		if (ret_bits)
			*ret_bits = bits;
		if (*ret_hop < set->n)
			return set;
		if (bits-- == 0)
			return NULL;
	}
}

const struct nexthop_set *routes_lookup(const struct routes *r, const struct ip_addr *addr, uint32_t *ret_hop)
{
	const struct nexthop_set *set =
		nexthops_at(&r->nexthops, fib_lookup(&r->fib[addr->family == ADDR_V6], addr));

	if (!set)
		return NULL;
	*ret_hop = hop_from(set, 0);
	if (*ret_hop < set->n)
		return set;
	return usable_within(r, addr, addr->family == ADDR_V6 ? 128 : 32, NULL, ret_hop, NULL);
}

void routes_prefetch(const struct routes *r, const struct ip_addr *const *addrs, uint32_t n)
{
	const struct ip_addr *list[2][ROUTE_BURST];
	uint32_t values[ROUTE_BURST], of[2] = { 0, 0 };

	assert(n <= ROUTE_BURST);
	for (uint32_t i = 0; i < n; i++) {
		uint32_t v6 = addrs[i]->family == ADDR_V6;
		list[v6][of[v6]++] = addrs[i];
	}
	for (uint32_t v6 = 0; v6 < 2; v6++) {
		fib_lookup_burst(&r->fib[v6], list[v6], of[v6], values);
		for (uint32_t i = 0; i < of[v6]; i++) {
			const struct nexthop_set *set = nexthops_at(&r->nexthops, values[i]);
			if (set)
				__builtin_prefetch(set->hop);
		}
	}
}

const struct nexthop_set *routes_lookup_flow(
	const struct routes *r, const struct route_flow *flow, uint32_t *ret_hop, uint32_t *ret_bits)
{
	uint32_t bits = flow->dst.family == ADDR_V6 ? 128 : 32;

	return ret_bits || flow->held_n > 0 ? usable_within(r, &flow->dst, bits, flow, ret_hop, ret_bits)
					    : routes_lookup(r, &flow->dst, ret_hop);
}

/* The hops that a destination's addresses go by when it has this set, or none (NULL). */
static const struct nexthop_set *effective(
	const struct routes *r, const struct ip_prefix *dst, const struct nexthop_set *set, uint32_t *ret_hop)
{
	*ret_hop = set ? hop_from(set, 0) : 0;
	if (set && *ret_hop < set->n)
		return set;
	return dst->bits > 0 ? usable_within(r, &dst->addr, dst->bits - 1, NULL, ret_hop, NULL) : NULL;
}

/* Whether its addresses go another way, or could by the choice among equal ones, with one set in place of
 * another. */
static bool answer_differs(const struct routes *r, const struct ip_prefix *dst, const struct nexthop_set *old,
	const struct nexthop_set *new)
{
	uint32_t i, k;
	const struct nexthop_set *a = effective(r, dst, old, &i), *b = effective(r, dst, new, &k);

	if (!a || !b)
		return a != b;
	uint32_t n = 0;
	bool weights = false;
	for (; i < a->n && k < b->n; i = routes_hop_next(a, i), k = routes_hop_next(b, k), n++) {
		const struct nexthop *x = &a->hop[i], *y = &b->hop[k];
		if (x->port != y->port || x->mtu != y->mtu || x->kind != y->kind ||
			!addr_equal(&x->gateway, &y->gateway))
			return true;
		weights |= x->weight != y->weight;
	}
	return (i < a->n) != (k < b->n) || (weights && n > 1);
}

/* --- changes --- */

/* What readers may still have read is theirs up to here: there is one thread, and it is here. */
static void reclaim(struct routes *r, const struct ip_addr *a)
{
	fib_reclaim(fib_of(r, a));
	nexthops_reclaim(&r->nexthops);
}

/*
 * Gives the destination `fresh` in place of its set `old` (NULL: it has none). Without routes in it the
 * destination goes. fresh NULL: there was no memory for it. RC_LIMIT: no memory, nothing is changed.
 */
static enum rc set_exchange(struct routes *r, const struct ip_prefix *dst, struct nexthop_set *old,
	struct nexthop_set *fresh, bool *ret_changed)
{
	struct fib *f = fib_of(r, &dst->addr);
	struct nexthop_set *new = fresh ? nexthops_intern(&r->nexthops, fresh) : NULL;

	if (!new)
		return RC_LIMIT;
	bool changed = answer_differs(r, dst, old, new);
	/* A prefix that cannot be taken out for want of memory stays, and leads nowhere. */
	if ((new->n > 0 || fib_clear(f, dst) != RC_OK) && fib_set(f, dst, new->number) != RC_OK) {
		nexthops_unref(&r->nexthops, new);
		reclaim(r, &dst->addr);
		return RC_LIMIT;
	}
	if (fib_find(f, dst) != new->number)
		nexthops_unref(&r->nexthops, new);
	assert(!old || (old->refs > 0 && r->n >= old->n));
	r->n += new->n - (old ? old->n : 0);
	if (old)
		nexthops_unref(&r->nexthops, old);
	*ret_changed |= changed;
	reclaim(r, &dst->addr);
	return RC_OK;
}

/* The same for routes that go: they do so with all of their destination's if it cannot be otherwise. */
static void set_reduce(struct routes *r, const struct ip_prefix *dst, struct nexthop_set *old,
	struct nexthop_set *fresh, bool *ret_changed)
{
	if (set_exchange(r, dst, old, fresh, ret_changed) == RC_OK)
		return;
	*ret_changed |= answer_differs(r, dst, old, r->none);
	r->none->refs++;
	enum rc rc = fib_set(fib_of(r, &dst->addr), dst, r->none->number);
	assert(rc == RC_OK); /* the prefix is there: this takes no memory */
	assert(r->n >= old->n);
	r->n -= old->n;
	nexthops_unref(&r->nexthops, old);
	reclaim(r, &dst->addr);
}

static struct nexthop_set *set_find(const struct routes *r, const struct ip_prefix *dst)
{
	return nexthops_at(&r->nexthops, fib_find(&r->fib[dst->addr.family == ADDR_V6], dst));
}

/* Next hops alone and those of several are not the same, even by the same way; nor are a throw and an unreachable
 * route, which lead nowhere. */
static bool same_way(const struct nexthop *a, const struct nexthop *b)
{
	return a->metric == b->metric && a->port == b->port && (a->path == 0) == (b->path == 0) &&
	       (a->port || a->kind == b->kind) && addr_equal(&a->gateway, &b->gateway);
}

static bool same_route(const struct nexthop *a, const struct nexthop *b)
{
	return a == b || (a->metric == b->metric && a->path == b->path && a->path != 0);
}

/* The next hops of a route as an event has them. */
struct paths {
	struct nexthop hop[ROUTE_PATHS_MAX];
	uint32_t n;
	bool whole; /* they come and go as one: IPv4 with weights */
};

static bool paths_hold(const struct paths *p, const struct nexthop *hop)
{
	for (uint32_t i = 0; i < p->n; i++)
		if (same_way(&p->hop[i], hop))
			return true;
	return false;
}

static bool hop_gone(const struct nexthop *hop)
{
	return hop->port && hop->port->gone;
}

/* A hop of the set's route that is this one; the set's n: there is none. Those by links that were deleted do
 * not count: they are not the kernel's any more. */
static uint32_t route_find(const struct nexthop_set *set, const struct paths *p)
{
	for (uint32_t i = 0; i < set->n; i++) {
		bool all = !hop_gone(&set->hop[i]) && paths_hold(p, &set->hop[i]);
		for (uint32_t k = 0; all && p->whole && k < set->n; k++)
			all = !same_route(&set->hop[i], &set->hop[k]) || hop_gone(&set->hop[k]) ||
			      paths_hold(p, &set->hop[k]);
		if (all)
			return i;
	}
	return set->n;
}

/* The first of the metric that a new one replaces; IPv6 prefers one of its sort. */
static uint32_t route_replaced(const struct nexthop_set *set, const struct paths *p, bool v6)
{
	uint32_t first = set->n;

	for (uint32_t i = 0; i < set->n; i++) {
		if (set->hop[i].metric != p->hop[0].metric || hop_gone(&set->hop[i]))
			continue;
		if (!v6 || (set->hop[i].path == 0) == (p->hop[0].path == 0))
			return i;
		first = MIN_OF(first, i);
	}
	return first;
}

/* A number that no route of the metric has. */
static uint32_t path_number(const struct nexthop_set *set, uint32_t metric)
{
	uint32_t number = 1;

	for (uint32_t i = 0; set && i < set->n; i++)
		if (set->hop[i].metric == metric && set->hop[i].path == number) {
			number++;
			i = UINT32_MAX; /* from the first again */
		}
	return number;
}

/* The set old (NULL: none) with the paths, in the place of the route there that `out` is the first hop of. */
static struct nexthop_set *set_with(
	const struct nexthop_set *old, const struct paths *p, uint32_t out, bool out_whole, bool first)
{
	uint32_t old_n = old ? old->n : 0, metric = p->hop[0].metric;
	struct nexthop_set *s = nexthop_set_new(old_n + p->n);
	bool placed = false;

	if (!s)
		return NULL;
	for (uint32_t i = 0; i <= old_n; i++) {
		const struct nexthop *one = i < old_n ? &old->hop[i] : NULL;
		bool here = out < old_n ? i == out
					: !one || one->metric > metric || (first && one->metric == metric);
		for (uint32_t k = 0; here && !placed && k < p->n; k++)
			s->hop[s->n++] = p->hop[k];
		placed |= here;
		bool goes =
			one && out < old_n && (i == out || (out_whole && same_route(one, &old->hop[out])));
		if (one && !goes)
			s->hop[s->n++] = *one;
	}
	assert(placed && s->n <= old_n + p->n);
	return s;
}

static void sweep(struct routes *r);

/* The entries as hops; false: out of memory. make: with ports for links of which nothing is known yet. */
static bool paths_read(
	struct routes *r, const struct route_entry *entries, uint32_t n, bool make, struct paths *ret_paths)
{
	bool v6 = entries->dst.addr.family == ADDR_V6;

	assert(n > 0 && n <= ROUTE_PATHS_MAX);
	ret_paths->n = 0;
	ret_paths->whole = !v6 && entries->weight > 0;
	for (uint32_t i = 0; i < n; i++) {
		const struct route_entry *e = &entries[i];
		struct nexthops_port *port = NULL;
		if (e->link != ROUTE_NONE) {
			port = make ? nexthops_port_get(&r->nexthops, e->link)
				    : nexthops_port_find(&r->nexthops, e->link);
			if (!port && make)
				return false;
			if (!port)
				continue; /* nothing goes by this link */
		}
		ret_paths->hop[ret_paths->n++] = (struct nexthop){ port, e->gateway, e->metric, e->mtu,
			e->kind, e->weight, e->weight > 0 ? 1 : 0 };
	}
	return true;
}

static void ports_trim(struct routes *r, const struct route_entry *entries, uint32_t n)
{
	for (uint32_t i = 0; i < n; i++)
		if (entries[i].link != ROUTE_NONE)
			nexthops_port_trim(&r->nexthops, nexthops_port_find(&r->nexthops, entries[i].link));
}

/* The destination's set with the paths in it; NULL: out of memory. */
static struct nexthop_set *set_changed(
	const struct nexthop_set *old, struct paths *p, bool v6, enum route_place place)
{
	bool replace = place == ROUTE_REPLACE;
	/* IPv6 replaces the first of the sort even where the same route is there as another one. */
	uint32_t none = old ? old->n : 0, out = old && !(v6 && replace) ? route_find(old, p) : none;
	bool again = out < none;

	if (!again && replace && old)
		out = route_replaced(old, p, v6);
	if (p->whole) {
		uint32_t number = again ? old->hop[out].path : path_number(old, p->hop[0].metric);
		for (uint32_t i = 0; i < p->n; i++)
			p->hop[i].path = number;
	}
	return set_with(old, p, out, replace || p->whole, place == ROUTE_PREPEND && !v6);
}

enum rc routes_set(struct routes *r, const struct route_entry *entries, uint32_t n, enum route_place place,
	bool *ret_changed)
{
	const struct ip_prefix *dst = &entries->dst;
	bool v6 = dst->addr.family == ADDR_V6;
	struct paths p;
	enum rc rc = RC_OK;

	if (!prefix_valid(dst))
		return RC_RANGE;
	/* Siblings come to those that are there, one by one. */
	if (v6 && n > 1 && place != ROUTE_REPLACE) {
		for (uint32_t i = 0; i < n && rc == RC_OK; i++)
			rc = routes_set(r, &entries[i], 1, place, ret_changed);
		return rc;
	}
	sweep(r);
	rc = RC_LIMIT;
	if (paths_read(r, entries, n, true, &p)) {
		struct nexthop_set *old = set_find(r, dst), *fresh = set_changed(old, &p, v6, place);
		if (fresh && r->n - (old ? old->n : 0) + fresh->n > ROUTE_ROUTES_MAX)
			free(fresh);
		else if (fresh)
			rc = set_exchange(r, dst, old, fresh, ret_changed);
	}
	if (rc != RC_OK)
		ports_trim(r, entries, n);
	return rc;
}

void routes_gone(struct routes *r, const struct route_entry *entries, uint32_t n, bool *ret_changed)
{
	const struct ip_prefix *dst = &entries->dst;
	struct paths p;

	if (!prefix_valid(dst))
		return;
	if (dst->addr.family == ADDR_V6 && n > 1) {
		for (uint32_t i = 0; i < n; i++)
			routes_gone(r, &entries[i], 1, ret_changed);
		return;
	}
	sweep(r);
	paths_read(r, entries, n, false, &p);
	struct nexthop_set *old = set_find(r, dst);
	uint32_t at = old && p.n > 0 ? route_find(old, &p) : 0, kept = 0;
	if (!old || p.n == 0 || at == old->n)
		return;
	struct nexthop_set *fresh = nexthop_set_new(old->n - 1);
	for (uint32_t i = 0; fresh && i < old->n; i++)
		if (i != at && !(p.whole && same_route(&old->hop[i], &old->hop[at])))
			fresh->hop[kept++] = old->hop[i];
	if (fresh)
		fresh->n = kept;
	set_reduce(r, dst, old, fresh, ret_changed);
}

/* --- links --- */

enum rc routes_link_set(struct routes *r, uint32_t index, bool up, uint32_t mtu)
{
	struct nexthops_port *port = nexthops_port_get(&r->nexthops, index);

	if (!port)
		return RC_LIMIT;
	port->known = true;
	__atomic_store_n(&port->mtu, mtu, __ATOMIC_RELAXED);
	__atomic_store_n(&port->up, up, __ATOMIC_RELEASE);
	sweep(r);
	return RC_OK;
}

void routes_link_gone(struct routes *r, uint32_t index)
{
	struct nexthops_port *port = nexthops_port_find(&r->nexthops, index);

	if (!port)
		return;
	nexthops_port_gone(&r->nexthops, port);
	r->sweep = (struct routes_walk){ 0 };
	r->sweeping = true;
	sweep(r);
}

/* --- whole tables --- */

/* The set of the next destination of a walk, IPv4 first; NULL: that was the last one. */
static struct nexthop_set *walk_prefix(const struct routes *r, struct routes_walk *w)
{
	uint32_t number;

	for (; w->family < 2; w->family++, w->begun = false)
		if (fib_next(&r->fib[w->family], w->begun ? &w->prefix : NULL, &w->prefix, &number)) {
			w->begun = true;
			return nexthops_at(&r->nexthops, number);
		}
	return NULL;
}

/* Takes routes by deleted links out of some more destinations. */
static void sweep(struct routes *r)
{
	for (uint32_t n = 0; r->sweeping && n < ROUTES_SWEEP; n++) {
		struct nexthop_set *old = walk_prefix(r, &r->sweep);
		uint32_t kept = 0;
		bool changed = false; /* it is not: nobody went by these */
		if (!old) {
			r->sweeping = false;
			break;
		}
		for (uint32_t i = 0; i < old->n; i++)
			kept += !old->hop[i].port || !old->hop[i].port->gone;
		if (kept == old->n && old->n > 0)
			continue;
		struct nexthop_set *fresh = nexthop_set_new(kept);
		for (uint32_t i = 0; fresh && i < old->n; i++)
			if (!old->hop[i].port || !old->hop[i].port->gone)
				fresh->hop[fresh->n++] = old->hop[i];
		assert(!fresh || fresh->n == kept);
		set_reduce(r, &r->sweep.prefix, old, fresh, &changed);
	}
}

/* On to the next route; false: that was the last one. */
static bool walk_route(const struct routes *r, struct routes_walk *w)
{
	const struct nexthop_set *set = w->begun && w->family < 2 ? set_find(r, &w->prefix) : NULL;

	for (;; w->hop++) {
		while (!set || w->hop >= set->n) {
			if (!(set = walk_prefix(r, w)))
				return false;
			w->hop = 0;
		}
		const struct nexthop *hop = &set->hop[w->hop];
		if (hop->port && hop->port->gone)
			continue;
		w->entry = (struct route_entry){ w->prefix, hop->metric,
			hop->port ? hop->port->index : ROUTE_NONE, hop->gateway, hop->mtu, hop->kind,
			hop->weight, r->table };
		w->hop++;
		w->next++;
		return true;
	}
}

const struct route_entry *routes_at(const struct routes *r, uint32_t i)
{
	uint32_t k = 0;

	/* Who goes on from where somebody was, or asks for the same again; the first index begins a walk. */
	while (k < ROUTES_WALKS && (i == 0 || (r->walks[k].next != i && r->walks[k].next != i + 1)))
		k++;
	struct routes_walk w = k < ROUTES_WALKS ? r->walks[k] : (struct routes_walk){ 0 };
	/* The one that was used last stands first; the last one makes room. */
	memmove(&r->walks[1], &r->walks[0], MIN_OF(k, ROUTES_WALKS - 1) * sizeof w);
	r->walks[0] = w;
	while (r->walks[0].next <= i)
		if (!walk_route(r, &r->walks[0]))
			return NULL;
	return &r->walks[0].entry;
}

/* --- the default route --- */

static const struct nexthop_set *default_set(const struct routes *r, uint8_t family)
{
	const struct ip_prefix all = { { .family = family }, 0 };

	return set_find(r, &all);
}

const struct nexthop *routes_default_by(const struct routes *r, uint8_t family, uint32_t link)
{
	const struct nexthop_set *set = default_set(r, family);

	for (uint32_t i = 0; set && i < set->n; i++)
		if (set->hop[i].port && set->hop[i].port->index == link && !set->hop[i].port->gone)
			return &set->hop[i];
	return NULL;
}

const struct nexthop *routes_default_detour(const struct routes *r, uint8_t family)
{
	const struct nexthop_set *set = default_set(r, family);
	uint32_t usable = set ? hop_from(set, 0) : 0, first = 0;

	if (!set || usable == set->n || set->hop[usable].kind != ROUTE_UNICAST)
		return NULL;
	while (!hop_linked(&set->hop[first]))
		first++;
	/* Of the route that would count without them. */
	for (uint32_t i = first; i < set->n; i++)
		if (same_route(&set->hop[i], &set->hop[first]) && hop_linked(&set->hop[i]) &&
			!hop_usable(&set->hop[i]))
			return &set->hop[usable];
	return NULL;
}
