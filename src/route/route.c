#include "route/route.h"

#include "route/ranges.h"

#include <assert.h>
#include <stdlib.h>

#define LOCAL_SLOTS	    (4 * ROUTE_LOCALS_MAX)
#define NEIGHBOUR_SLOTS_MIN 256u

struct route_table {
	uint64_t generation;
	bool stale; /* the ranges do not show the last events */

	struct route_link links[ROUTE_LINKS_MAX];
	uint32_t links_n;

	struct route_local locals[ROUTE_LOCALS_MAX];
	uint32_t locals_n;
	uint16_t local_slot[LOCAL_SLOTS]; /* index + 1 by address; 0: empty */

	struct route_entry *routes;
	uint32_t *route_chain; /* next index with the same hash */
	uint32_t *route_head;  /* route_room buckets, ROUTE_NONE: empty */
	uint32_t routes_n, route_room;

	struct ranges v4, v6;

	struct route_neighbour *neighbours; /* linear probing; state NONE: empty */
	uint32_t neighbours_n, neighbour_slots;
};

/* Tables are filled by the host's own administrator; this spreads, it need not withstand an adversary's
 * choice. Neighbours on a link can be chosen by strangers, but only ROUTE_NEIGHBOURS_MAX of them fit. */
static uint32_t hash_addr(const struct ip_addr *a, uint32_t more)
{
	uint64_t h = load_be64(a->b) * 0x9e3779b97f4a7c15ull;

	h = (h ^ load_be64(a->b + 8) ^ ((uint64_t)more << 32 | a->family)) * 0xd6e8feb86659fd93ull;
	h ^= h >> 32;
	return (uint32_t)(h * 0x9e3779b97f4a7c15ull >> 32);
}

struct route_table *route_new(void)
{
	struct route_table *t = calloc(1, sizeof *t);

	if (!t)
		return NULL;
	t->generation = 1;
	t->neighbour_slots = NEIGHBOUR_SLOTS_MIN;
	t->neighbours = calloc(t->neighbour_slots, sizeof *t->neighbours);
	if (!t->neighbours) {
		free(t);
		return NULL;
	}
	return t;
}

void route_free(struct route_table *t)
{
	if (!t)
		return;
	ranges_done(&t->v4);
	ranges_done(&t->v6);
	free(t->routes);
	free(t->route_chain);
	free(t->route_head);
	free(t->neighbours);
	free(t);
}

uint64_t route_generation(const struct route_table *t)
{
	return t->generation;
}

void route_generation_continue(struct route_table *t, const struct route_table *older)
{
	t->generation = MAX_OF(t->generation, older->generation + 1);
}

static void changed(struct route_table *t)
{
	t->generation++;
	t->stale = true;
}

/* --- links --- */

static struct route_link *link_find(struct route_table *t, uint32_t index)
{
	for (uint32_t i = 0; i < t->links_n; i++)
		if (t->links[i].index == index)
			return &t->links[i];
	return NULL;
}

const struct route_link *route_link_find(const struct route_table *t, uint32_t index)
{
	for (uint32_t i = 0; i < t->links_n; i++)
		if (t->links[i].index == index)
			return &t->links[i];
	return NULL;
}

enum rc route_link_set(struct route_table *t, const struct route_link *link)
{
	struct route_link *have = link_find(t, link->index);

	/* The kernel repeats itself with every counter: only a difference counts. */
	if (have && have->up == link->up && have->has_mac == link->has_mac && have->bare == link->bare &&
		have->mtu == link->mtu && memcmp(have->mac, link->mac, sizeof have->mac) == 0 &&
		strncmp(have->name, link->name, sizeof have->name) == 0)
		return RC_OK;
	if (!have) {
		if (t->links_n == ROUTE_LINKS_MAX)
			return RC_LIMIT;
		have = &t->links[t->links_n++];
	}
	*have = *link;
	changed(t);
	return RC_OK;
}

static void local_slots_build(struct route_table *t);
static void route_remove_at(struct route_table *t, uint32_t i);
static void neighbour_remove_at(struct route_table *t, uint32_t i);

void route_link_gone(struct route_table *t, uint32_t index)
{
	struct route_link *have = link_find(t, index);

	if (!have)
		return;
	*have = t->links[--t->links_n];
	for (uint32_t i = t->locals_n; i-- > 0;)
		if (t->locals[i].link == index)
			t->locals[i] = t->locals[--t->locals_n];
	local_slots_build(t);
	for (uint32_t i = t->routes_n; i-- > 0;)
		if (t->routes[i].link == index)
			route_remove_at(t, i);
	for (uint32_t i = 0; i < t->neighbour_slots;) {
		struct route_neighbour *n = &t->neighbours[i];
		if (n->state == ROUTE_NEIGHBOUR_NONE || n->link != index)
			i++;
		else /* another one may move into this slot */
			neighbour_remove_at(t, i);
	}
	changed(t);
}

/* --- addresses of this host --- */

static void local_slots_build(struct route_table *t)
{
	memset(t->local_slot, 0, sizeof t->local_slot);
	for (uint32_t i = 0; i < t->locals_n; i++) {
		uint32_t slot = hash_addr(&t->locals[i].addr, 0) % LOCAL_SLOTS;
		while (t->local_slot[slot] != 0)
			slot = (slot + 1) % LOCAL_SLOTS;
		t->local_slot[slot] = (uint16_t)(i + 1);
	}
}

enum rc route_local_set(struct route_table *t, const struct route_local *local)
{
	for (uint32_t i = 0; i < t->locals_n; i++) {
		struct route_local *have = &t->locals[i];
		if (have->link != local->link || !addr_equal(&have->addr, &local->addr))
			continue;
		if (have->bits != local->bits || have->temporary != local->temporary) {
			*have = *local;
			changed(t);
		}
		return RC_OK;
	}
	if (t->locals_n == ROUTE_LOCALS_MAX)
		return RC_LIMIT;
	t->locals[t->locals_n++] = *local;
	local_slots_build(t);
	changed(t);
	return RC_OK;
}

void route_local_gone(struct route_table *t, uint32_t link, const struct ip_addr *addr)
{
	for (uint32_t i = 0; i < t->locals_n; i++) {
		if (t->locals[i].link != link || !addr_equal(&t->locals[i].addr, addr))
			continue;
		t->locals[i] = t->locals[--t->locals_n];
		local_slots_build(t);
		changed(t);
		return;
	}
}

bool route_is_local(const struct route_table *t, const struct ip_addr *addr)
{
	uint32_t slot = hash_addr(addr, 0) % LOCAL_SLOTS;

	for (; t->local_slot[slot] != 0; slot = (slot + 1) % LOCAL_SLOTS)
		if (addr_equal(&t->locals[t->local_slot[slot] - 1].addr, addr))
			return true;
	return false;
}

bool route_is_local_on(const struct route_table *t, uint32_t link, const struct ip_addr *addr)
{
	for (uint32_t i = 0; i < t->locals_n; i++)
		if (t->locals[i].link == link && addr_equal(&t->locals[i].addr, addr))
			return true;
	return false;
}

/* How far somebody who answers to it may be: on the link, in the site (RFC 4193), anywhere. */
static int addr_reach(const struct ip_addr *a)
{
	bool unique_local = a->family == ADDR_V6 && (a->b[0] & 0xfe) == 0xfc;

	return addr_is_link_local(a) ? 0 : unique_local ? 1 : 2;
}

bool route_local_on(const struct route_table *t, uint32_t link, uint8_t family, const struct ip_addr *near,
	struct ip_addr *ret_addr)
{
	const struct route_local *best = NULL;

	for (uint32_t i = 0; i < t->locals_n; i++) {
		const struct route_local *l = &t->locals[i];
		if (l->link != link || l->addr.family != family || l->temporary)
			continue;
		struct ip_prefix p = { l->addr, l->bits };
		if (near && prefix_holds(&p, near)) {
			best = l;
			break;
		}
		if (!best || addr_reach(&l->addr) >= addr_reach(&best->addr))
			best = l;
	}
	if (best)
		*ret_addr = best->addr;
	return best != NULL;
}

/* --- routes --- */

static uint32_t route_bucket(const struct route_table *t, const struct ip_prefix *dst)
{
	return hash_addr(&dst->addr, dst->bits) & (t->route_room - 1);
}

static void route_link_in(struct route_table *t, uint32_t i)
{
	uint32_t bucket = route_bucket(t, &t->routes[i].dst);

	t->route_chain[i] = t->route_head[bucket];
	t->route_head[bucket] = i;
}

static void route_link_out(struct route_table *t, uint32_t i)
{
	uint32_t *at = &t->route_head[route_bucket(t, &t->routes[i].dst)];

	while (*at != i)
		at = &t->route_chain[*at];
	*at = t->route_chain[i];
}

static void route_remove_at(struct route_table *t, uint32_t i)
{
	uint32_t last = t->routes_n - 1;

	route_link_out(t, i);
	if (i != last) {
		route_link_out(t, last);
		t->routes[i] = t->routes[last];
		route_link_in(t, i);
	}
	t->routes_n--;
}

static enum rc routes_grow(struct route_table *t)
{
	uint32_t room = t->route_room ? 2 * t->route_room : 64;

	if (room > ROUTE_ROUTES_MAX)
		return RC_LIMIT;
	struct route_entry *routes = realloc(t->routes, room * sizeof *routes);
	if (routes)
		t->routes = routes;
	uint32_t *chain = realloc(t->route_chain, room * sizeof *chain);
	if (chain)
		t->route_chain = chain;
	uint32_t *head = realloc(t->route_head, room * sizeof *head);
	if (head)
		t->route_head = head;
	if (!routes || !chain || !head)
		return RC_LIMIT;
	t->route_room = room;
	for (uint32_t i = 0; i < room; i++)
		head[i] = ROUTE_NONE;
	for (uint32_t i = 0; i < t->routes_n; i++)
		route_link_in(t, i);
	return RC_OK;
}

/* The entry of the same destination, metric and way; gateway and link do not matter when any_way. */
static uint32_t route_find(const struct route_table *t, const struct route_entry *e, bool any_way)
{
	if (t->route_room == 0)
		return ROUTE_NONE;
	uint32_t i = t->route_head[route_bucket(t, &e->dst)];
	for (; i != ROUTE_NONE; i = t->route_chain[i]) {
		const struct route_entry *r = &t->routes[i];
		if (r->dst.bits == e->dst.bits && addr_equal(&r->dst.addr, &e->dst.addr) &&
			r->metric == e->metric &&
			(any_way || (r->link == e->link && addr_equal(&r->gateway, &e->gateway))))
			return i;
	}
	return ROUTE_NONE;
}

/* Of two with the same destination, metric and way. */
static bool route_same(const struct route_entry *a, const struct route_entry *b)
{
	return a->mtu == b->mtu && a->kind == b->kind;
}

enum rc route_set(struct route_table *t, const struct route_entry *entry, bool replace)
{
	uint32_t i;

	while (replace && (i = route_find(t, entry, true)) != ROUTE_NONE) {
		const struct route_entry *r = &t->routes[i];
		if (r->link == entry->link && addr_equal(&r->gateway, &entry->gateway))
			replace = false; /* the same way: overwritten below */
		else {
			route_remove_at(t, i);
			changed(t);
		}
	}
	i = route_find(t, entry, false);
	if (i == ROUTE_NONE) {
		if (t->routes_n == t->route_room && routes_grow(t) != RC_OK)
			return RC_LIMIT;
		i = t->routes_n++;
		t->routes[i] = *entry;
		route_link_in(t, i);
	} else if (route_same(&t->routes[i], entry)) {
		return RC_OK; /* the kernel repeats itself: only a difference counts */
	} else {
		t->routes[i] = *entry;
	}
	changed(t);
	return RC_OK;
}

void route_gone(struct route_table *t, const struct route_entry *entry)
{
	uint32_t i = route_find(t, entry, false);

	if (i == ROUTE_NONE)
		return;
	route_remove_at(t, i);
	changed(t);
}

/* A route counts while its link is up; the kernel does not announce the routes that a link takes down with
 * it. */
static bool route_usable(const struct route_table *t, const struct route_entry *r)
{
	if (r->kind == ROUTE_UNREACHABLE)
		return true;
	const struct route_link *link = route_link_find(t, r->link);
	return link && link->up;
}

static void ranges_rebuild(struct route_table *t)
{
	struct ranges_prefix *list = calloc(t->routes_n + 1, sizeof *list);

	t->stale = false;
	for (int family = ADDR_V4; list && family <= ADDR_V6; family += ADDR_V6 - ADDR_V4) {
		uint32_t n = 0;
		for (uint32_t i = 0; i < t->routes_n; i++) {
			const struct route_entry *r = &t->routes[i];
			if (r->dst.addr.family == family && route_usable(t, r))
				list[n++] = (struct ranges_prefix){ r->dst, r->metric, i };
		}
		ranges_build(family == ADDR_V4 ? &t->v4 : &t->v6, list, n); /* empty on failure: no route */
	}
	if (!list) {
		t->v4.n = t->v6.n = 0;
		t->stale = true;
	}
	free(list);
}

void route_lookup(struct route_table *t, const struct ip_addr *dst, struct route_answer *ret_answer)
{
	*ret_answer = (struct route_answer){ .kind = ROUTE_UNREACHABLE, .link = ROUTE_NONE };
	if (route_is_local(t, dst)) {
		ret_answer->kind = ROUTE_LOCAL;
		ret_answer->next_hop = *dst;
		return;
	}
	if (t->stale)
		ranges_rebuild(t);
	uint32_t i = ranges_find(dst->family == ADDR_V4 ? &t->v4 : &t->v6, dst);
	if (i == RANGES_NONE)
		return;
	const struct route_entry *r = &t->routes[i];
	const struct route_link *link = r->link == ROUTE_NONE ? NULL : route_link_find(t, r->link);
	ret_answer->kind = r->kind;
	ret_answer->link = r->link;
	ret_answer->next_hop = r->gateway.family == ADDR_NONE ? *dst : r->gateway;
	ret_answer->mtu = link ? link->mtu : 0;
	if (r->mtu != 0 && (ret_answer->mtu == 0 || r->mtu < ret_answer->mtu))
		ret_answer->mtu = r->mtu;
}

bool route_leads_elsewhere(struct route_table *t, const struct ip_addr *local, const struct ip_addr *to)
{
	struct route_answer answer;

	for (uint32_t i = 0; i < t->locals_n; i++) {
		const struct route_link *link = route_link_find(t, t->locals[i].link);
		if (addr_equal(&t->locals[i].addr, local) && (!link || link->up))
			return false;
	}
	route_lookup(t, to, &answer); /* by links that are up only */
	return answer.kind == ROUTE_UNICAST;
}

/* --- neighbours --- */

static uint32_t neighbour_slot(
	const struct route_neighbour *slots, uint32_t slots_n, uint32_t link, const struct ip_addr *addr)
{
	uint32_t i = hash_addr(addr, link) & (slots_n - 1);

	while (slots[i].state != ROUTE_NEIGHBOUR_NONE &&
		(slots[i].link != link || !addr_equal(&slots[i].addr, addr)))
		i = (i + 1) & (slots_n - 1);
	return i;
}

static enum rc neighbours_grow(struct route_table *t)
{
	uint32_t slots_n = 2 * t->neighbour_slots;
	struct route_neighbour *slots = calloc(slots_n, sizeof *slots);

	if (!slots)
		return RC_LIMIT;
	for (uint32_t i = 0; i < t->neighbour_slots; i++) {
		const struct route_neighbour *n = &t->neighbours[i];
		if (n->state != ROUTE_NEIGHBOUR_NONE)
			slots[neighbour_slot(slots, slots_n, n->link, &n->addr)] = *n;
	}
	free(t->neighbours);
	t->neighbours = slots;
	t->neighbour_slots = slots_n;
	return RC_OK;
}

enum rc route_neighbour_set(struct route_table *t, const struct route_neighbour *n)
{
	assert(n->state != ROUTE_NEIGHBOUR_NONE);
	uint32_t i = neighbour_slot(t->neighbours, t->neighbour_slots, n->link, &n->addr);

	if (t->neighbours[i].state == ROUTE_NEIGHBOUR_NONE) {
		if (t->neighbours_n == ROUTE_NEIGHBOURS_MAX)
			return RC_LIMIT;
		if (2 * (t->neighbours_n + 1) > t->neighbour_slots) {
			if (neighbours_grow(t) != RC_OK)
				return RC_LIMIT;
			i = neighbour_slot(t->neighbours, t->neighbour_slots, n->link, &n->addr);
		}
		t->neighbours_n++;
	}
	t->neighbours[i] = *n;
	return RC_OK;
}

/* Closes the gap at slot i: entries behind it that only probing brought there move up (Knuth 6.4, algorithm
 * R). */
static void neighbour_remove_at(struct route_table *t, uint32_t i)
{
	uint32_t mask = t->neighbour_slots - 1, gap = i;

	t->neighbours_n--;
	for (;;) {
		t->neighbours[gap] = (struct route_neighbour){ 0 };
		for (;;) {
			i = (i + 1) & mask;
			if (t->neighbours[i].state == ROUTE_NEIGHBOUR_NONE)
				return;
			uint32_t home = hash_addr(&t->neighbours[i].addr, t->neighbours[i].link) & mask;
			if (((i - home) & mask) >= ((i - gap) & mask))
				break;
		}
		t->neighbours[gap] = t->neighbours[i];
		gap = i;
	}
}

void route_neighbour_gone(struct route_table *t, uint32_t link, const struct ip_addr *addr)
{
	uint32_t i = neighbour_slot(t->neighbours, t->neighbour_slots, link, addr);

	if (t->neighbours[i].state != ROUTE_NEIGHBOUR_NONE)
		neighbour_remove_at(t, i);
}

struct route_neighbour *route_neighbour_find(struct route_table *t, uint32_t link, const struct ip_addr *addr)
{
	uint32_t i = neighbour_slot(t->neighbours, t->neighbour_slots, link, addr);

	return t->neighbours[i].state == ROUTE_NEIGHBOUR_NONE ? NULL : &t->neighbours[i];
}

/* --- whole tables --- */

const struct route_local *route_local_at(const struct route_table *t, uint32_t i)
{
	return i < t->locals_n ? &t->locals[i] : NULL;
}

const struct route_entry *route_at(const struct route_table *t, uint32_t i)
{
	return i < t->routes_n ? &t->routes[i] : NULL;
}

const struct route_neighbour *route_neighbour_at(const struct route_table *t, uint32_t i)
{
	return i < t->neighbour_slots ? &t->neighbours[i] : NULL;
}
