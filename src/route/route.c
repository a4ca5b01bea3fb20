#include "route/route.h"

#include "route/rules.h"
#include "route/spread.h"

#include <assert.h>
#include <stdlib.h>

#define LOCAL_SLOTS (4 * ROUTE_LOCALS_MAX)

_Static_assert(
	ROUTE_LOCALS_MAX < LOCAL_SLOTS && ROUTE_LOCALS_MAX < UINT16_MAX, "probing ends at an empty slot");
_Static_assert(
	(ROUTE_NEIGHBOUR_SLOTS_MIN & (ROUTE_NEIGHBOUR_SLOTS_MIN - 1)) == 0, "slots are found by a mask");

struct route_table {
	uint64_t generation;

	struct route_link links[ROUTE_LINKS_MAX];
	uint32_t links_n;

	struct route_local locals[ROUTE_LOCALS_MAX];
	uint32_t locals_n;
	uint16_t local_slot[LOCAL_SLOTS]; /* index + 1 by address; 0: empty */

	struct routes routes; /* main and local */
	struct tables tables; /* local once more, and the others */
	struct rules rules;
	struct nexthops_dead dead;
	struct ip_prefix withheld[ROUTE_WITHHELD_MAX];
	uint32_t withheld_n;
	bool vrfs; /* there are VRF devices */

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
	rules_init(&t->rules);
	t->tables.dead = &t->dead;
	t->neighbour_slots = ROUTE_NEIGHBOUR_SLOTS_MIN;
	t->neighbours = calloc(t->neighbour_slots, sizeof *t->neighbours);
	if (!t->neighbours || !routes_init(&t->routes, &t->dead)) {
		free(t->neighbours);
		free(t);
		return NULL;
	}
	return t;
}

void route_free(struct route_table *t)
{
	if (!t)
		return;
	routes_done(&t->routes);
	tables_done(&t->tables);
	rules_done(&t->rules);
	free(t->neighbours);
	free(t);
}

bool route_free_piece(struct route_table *t)
{
	if (!routes_release(&t->routes) || !tables_release(&t->tables))
		return false;
	route_free(t);
	return true;
}

void route_advise(struct route_table *t, void (*advise)(void *bytes, size_t n))
{
	t->routes.fib[0].blocks.advise = t->routes.fib[1].blocks.advise = advise;
}

void route_prepare(struct route_table *t)
{
	routes_prepare(&t->routes);
	for (uint32_t i = 0; i < t->tables.n; i++)
		routes_prepare(t->tables.list[i]);
}

uint64_t route_generation(const struct route_table *t)
{
	return t->generation;
}

void route_generation_continue(struct route_table *t, const struct route_table *older)
{
	t->generation = MAX_OF(t->generation, older->generation + 1);
	assert(t->generation > older->generation);
}

static void changed(struct route_table *t)
{
	assert(t->generation > 0); /* 0: no cached answer */
	t->generation++;
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

/* The table of the VRF device; 0: it is none. */
static uint32_t vrf_table(const struct route_table *t, uint32_t link)
{
	const struct route_link *device = t->vrfs ? route_link_find(t, link) : NULL;

	return device ? device->vrf : 0;
}

uint32_t route_vrf_of(const struct route_table *t, uint32_t link)
{
	const struct route_link *l = t->vrfs ? route_link_find(t, link) : NULL;

	return !l ? 0 : l->vrf ? l->vrf : vrf_table(t, l->master);
}

static void local_slots_build(struct route_table *t);

/* After any change of links: which addresses are main's follows from them. */
static void vrfs_settle(struct route_table *t)
{
	bool before = t->vrfs;

	t->vrfs = false;
	for (uint32_t i = 0; i < t->links_n; i++)
		t->vrfs |= t->links[i].vrf != 0;
	if (before || t->vrfs)
		local_slots_build(t);
}

enum rc route_link_set(struct route_table *t, const struct route_link *link)
{
	struct route_link *have = link_find(t, link->index);

	/* The kernel repeats itself with every counter: only a difference counts. */
	if (have && have->up == link->up && have->has_mac == link->has_mac && have->bare == link->bare &&
		have->mtu == link->mtu && have->master == link->master && have->vrf == link->vrf &&
		memcmp(have->mac, link->mac, sizeof have->mac) == 0 &&
		strncmp(have->name, link->name, sizeof have->name) == 0)
		return RC_OK;
	if (!have && t->links_n == ROUTE_LINKS_MAX)
		return RC_LIMIT;
	if (routes_link_set(&t->routes, link->index, link->up, link->mtu) != RC_OK ||
		tables_link_set(&t->tables, link) != RC_OK)
		return RC_LIMIT;
	if (!have)
		have = &t->links[t->links_n++];
	*have = *link;
	vrfs_settle(t);
	changed(t);
	return RC_OK;
}

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
	vrfs_settle(t);
	local_slots_build(t);
	routes_link_gone(&t->routes, index);
	tables_link_gone(&t->tables, index);
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
	assert(t->locals_n <= ROUTE_LOCALS_MAX);
	memset(t->local_slot, 0, sizeof t->local_slot);
	for (uint32_t i = 0; i < t->locals_n; i++) {
		if (route_vrf_of(t, t->locals[i].link) != 0) /* found by the walk of route_is_local() */
			continue;
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

static bool is_local_of_vrf(const struct route_table *t, uint32_t vrf, const struct ip_addr *addr)
{
	for (uint32_t i = 0; i < t->locals_n; i++)
		if (addr_equal(&t->locals[i].addr, addr) && route_vrf_of(t, t->locals[i].link) == vrf)
			return true;
	return false;
}

bool route_is_local(const struct route_table *t, uint32_t vrf, const struct ip_addr *addr)
{
	uint32_t slot = hash_addr(addr, 0) % LOCAL_SLOTS;

	if (vrf != 0)
		return is_local_of_vrf(t, vrf, addr);
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

static enum rc set_in(struct route_table *t, struct routes *routes, const struct route_entry *entries,
	uint32_t n, enum route_place place)
{
	bool differs = false;
	enum rc rc = routes_set(routes, entries, n, place, &differs);

	if (differs)
		changed(t);
	return rc;
}

enum rc route_paths_set(
	struct route_table *t, const struct route_entry *entries, uint32_t n, enum route_place place)
{
	uint32_t id = entries->table == 0 ? ROUTE_TABLE_MAIN : entries->table, tables_n = t->tables.n;

	if (id == ROUTE_TABLE_MAIN)
		return set_in(t, &t->routes, entries, n, place);
	if (tables_routes(&t->tables) >= ROUTE_ROUTES_MAX)
		return RC_LIMIT;
	struct routes *routes = tables_get(&t->tables, id, t->links, t->links_n);
	if (!routes)
		return RC_LIMIT;
	enum rc rc = set_in(t, routes, entries, n, place);
	if (rc == RC_OK && id == ROUTE_TABLE_LOCAL)
		rc = set_in(t, &t->routes, entries, n, place);
	if (t->tables.n != tables_n)
		rules_settle(&t->rules, &t->tables);
	return rc;
}

void route_paths_gone(struct route_table *t, const struct route_entry *entries, uint32_t n)
{
	uint32_t id = entries->table == 0 ? ROUTE_TABLE_MAIN : entries->table;
	struct routes *routes = id == ROUTE_TABLE_MAIN ? NULL : tables_find(&t->tables, id);
	bool differs = false;

	if (routes)
		routes_gone(routes, entries, n, &differs);
	if (id == ROUTE_TABLE_MAIN || id == ROUTE_TABLE_LOCAL)
		routes_gone(&t->routes, entries, n, &differs);
	if (differs)
		changed(t);
}

enum rc route_rule_add(struct route_table *t, const struct route_rule *rule)
{
	enum rc rc = rules_add(&t->rules, rule);

	if (rc == RC_OK) {
		rules_settle(&t->rules, &t->tables);
		changed(t);
	}
	return rc;
}

/* --- routes that found no room --- */

static uint32_t bits_in_common(const struct ip_prefix *a, const struct ip_prefix *b)
{
	uint32_t bits = 0, most = MIN_OF(a->bits, b->bits);

	if (a->addr.family != b->addr.family)
		return 0;
	while (bits < most && !((a->addr.b[bits / 8] ^ b->addr.b[bits / 8]) & 0x80 >> bits % 8))
		bits++;
	return bits;
}

static void prefix_shorten(struct ip_prefix *p, uint32_t bits)
{
	for (uint32_t i = bits; i < p->bits; i++)
		p->addr.b[i / 8] &= (uint8_t)~(0x80 >> i % 8);
	p->bits = bits;
}

/* Into the one that has most in common with it. */
static void withheld_join(struct route_table *t, const struct ip_prefix *dst)
{
	struct ip_prefix *best = NULL;

	for (uint32_t i = 0; i < t->withheld_n; i++)
		if (t->withheld[i].addr.family == dst->addr.family &&
			(!best || bits_in_common(&t->withheld[i], dst) > bits_in_common(best, dst)))
			best = &t->withheld[i];
	if (best) {
		prefix_shorten(best, bits_in_common(best, dst));
		return;
	}
	/* All places are the other family's: that becomes one. */
	prefix_shorten(&t->withheld[0], 0);
	t->withheld[1] = *dst;
	t->withheld_n = 2;
}

void route_withhold(struct route_table *t, const struct ip_prefix *dst)
{
	for (uint32_t i = 0; i < t->withheld_n; i++)
		if (t->withheld[i].bits <= dst->bits && prefix_holds(&t->withheld[i], &dst->addr))
			return;
	if (t->withheld_n < ROUTE_WITHHELD_MAX)
		t->withheld[t->withheld_n++] = *dst;
	else
		withheld_join(t, dst);
	changed(t);
}

bool route_is_withheld(const struct route_table *t, const struct ip_addr *addr)
{
	for (uint32_t i = 0; i < t->withheld_n; i++)
		if (prefix_holds(&t->withheld[i], addr))
			return true;
	return false;
}

uint32_t route_withheld(const struct route_table *t)
{
	return t->withheld_n;
}

/* --- dead next hops --- */

bool route_is_dead(const struct route_table *t, uint32_t link, const struct ip_addr *gateway)
{
	for (uint32_t i = 0; i < t->dead.n; i++)
		if (t->dead.list[i].link == link && addr_equal(&t->dead.list[i].gateway, gateway))
			return true;
	return false;
}

void route_dead_set(struct route_table *t, const struct route_dead *list, uint32_t n)
{
	bool same = n == t->dead.n;

	assert(n <= ROUTE_DEAD_MAX);
	for (uint32_t i = 0; i < n; i++)
		same &= route_is_dead(t, list[i].link, &list[i].gateway);
	if (same)
		return;
	for (uint32_t i = 0; i < n; i++)
		t->dead.list[i] = list[i];
	t->dead.n = n;
	changed(t);
}

bool route_default_gateway(
	const struct route_table *t, uint32_t link, uint8_t family, struct ip_addr *ret_gateway)
{
	const struct nexthop *hop = routes_default_by(&t->routes, family, link);

	for (uint32_t i = 0; !hop && i < t->tables.n; i++)
		hop = routes_default_by(t->tables.list[i], family, link);
	if (hop)
		*ret_gateway = hop->gateway;
	return hop != NULL;
}

bool route_default_detour(
	const struct route_table *t, uint8_t family, uint32_t *ret_link, struct ip_addr *ret_gateway)
{
	const struct nexthop *hop = t->dead.n > 0 ? routes_default_detour(&t->routes, family) : NULL;

	if (!hop || !hop->port)
		return false;
	*ret_link = hop->port->index;
	*ret_gateway = hop->gateway;
	return true;
}

enum rc route_set(struct route_table *t, const struct route_entry *entry, enum route_place place)
{
	return route_paths_set(t, entry, 1, place);
}

void route_gone(struct route_table *t, const struct route_entry *entry)
{
	route_paths_gone(t, entry, 1);
}

/* The way by a hop to dst. */
static struct route_answer answer_by(const struct nexthop *hop, const struct ip_addr *dst)
{
	struct route_answer a = { .kind = hop->kind, .link = ROUTE_NONE };

	if (hop->port) {
		a.link = hop->port->index;
		a.mtu = __atomic_load_n(&hop->port->mtu, __ATOMIC_RELAXED);
	}
	a.next_hop = hop->gateway.family == ADDR_NONE ? *dst : hop->gateway;
	if (hop->mtu != 0 && (a.mtu == 0 || hop->mtu < a.mtu))
		a.mtu = hop->mtu;
	return a;
}

static const struct route_answer unreachable = { .kind = ROUTE_UNREACHABLE, .link = ROUTE_NONE };

/*
 * A route by a VRF's device leads into that VRF: its table says by which link. So does the kernel, which looks up once
 * more for each such device on the way.
 */
static const struct nexthop_set *through_vrfs(const struct route_table *t, const struct nexthop_set *set,
	const struct ip_addr *dst, uint32_t *ret_hop)
{
	for (uint32_t i = 0; t->vrfs && set; i++) {
		const struct nexthop *hop = &set->hop[*ret_hop];
		uint32_t vrf = hop->kind == ROUTE_UNICAST && hop->port ? vrf_table(t, hop->port->index) : 0;
		if (vrf == 0)
			break;
		const struct routes *routes = i < ROUTE_VRF_STEPS ? tables_find(&t->tables, vrf) : NULL;
		set = routes ? routes_lookup(routes, dst, ret_hop) : NULL;
		/* The kernel would take the packet itself, and the host's filter does not let it. */
		if (set && set->hop[*ret_hop].kind == ROUTE_LOCAL)
			return NULL;
	}
	return set && set->hop[*ret_hop].kind != ROUTE_THROW ? set : NULL;
}

void route_lookup(
	const struct route_table *t, uint32_t vrf, const struct ip_addr *dst, struct route_answer *ret_answer)
{
	*ret_answer = unreachable;
	if (route_is_local(t, vrf, dst)) {
		ret_answer->kind = ROUTE_LOCAL;
		ret_answer->next_hop = *dst;
		return;
	}
	uint32_t hop;
	const struct routes *routes = vrf ? tables_find(&t->tables, vrf) : &t->routes;
	const struct nexthop_set *set = routes ? routes_lookup(routes, dst, &hop) : NULL;
	set = through_vrfs(t, set, dst, &hop);
	if (set)
		*ret_answer = answer_by(&set->hop[hop], dst);
}

void route_prefetch(const struct route_table *t, const struct ip_addr *const *dsts, uint32_t n)
{
	routes_prefetch(&t->routes, dsts, n);
}

/* Not for addresses of this host. */
static const struct nexthop_set *set_of_flow(
	const struct route_table *t, const struct route_flow *flow, uint32_t *ret_hop)
{
	const struct nexthop_set *set;

	if (flow->vrf == 0 && rules_plain(&t->rules, &flow->dst)) {
		set = routes_lookup_flow(&t->routes, flow, ret_hop, NULL);
	} else {
		const struct route_link *in = route_link_find(t, flow->in_link);
		const struct route_link *master = in && t->vrfs ? route_link_find(t, in->master) : NULL;
		set = rules_lookup(&t->rules, &t->routes, &t->tables, flow, in,
			master && master->vrf ? master : NULL, ret_hop);
	}
	return through_vrfs(t, set, &flow->dst, ret_hop);
}

void route_lookup_flow(const struct route_table *t, const struct route_flow *flow,
	const struct route_answer *before, struct route_answer *ret_answer)
{
	uint32_t hop;

	*ret_answer = unreachable;
	if (route_is_local(t, flow->vrf, &flow->dst)) {
		ret_answer->kind = ROUTE_LOCAL;
		ret_answer->next_hop = flow->dst;
		return;
	}
	const struct nexthop_set *set = set_of_flow(t, flow, &hop);
	if (!set)
		return;
	*ret_answer = answer_by(&set->hop[hop], &flow->dst);
	if (ret_answer->kind != ROUTE_UNICAST || set->hop[hop].path == 0)
		return;
	for (uint32_t i = hop; before && i < set->n; i = routes_hop_next(set, i)) {
		struct route_answer one = answer_by(&set->hop[i], &flow->dst);
		if (one.link == before->link && (before->next_hop.family == ADDR_NONE ||
							addr_equal(&one.next_hop, &before->next_hop))) {
			*ret_answer = one;
			return;
		}
	}
	*ret_answer = answer_by(&set->hop[spread_hop(set, hop, flow->hash)], &flow->dst);
}

uint32_t route_next_hops(const struct route_table *t, const struct route_flow *flow,
	struct route_answer *ret_answers, uint32_t room)
{
	uint32_t hop, n = 0;
	const struct nexthop_set *set =
		route_is_local(t, flow->vrf, &flow->dst) ? NULL : set_of_flow(t, flow, &hop);

	for (; set && hop < set->n && n < room; hop = routes_hop_next(set, hop))
		ret_answers[n++] = answer_by(&set->hop[hop], &flow->dst);
	return n;
}

bool route_leads_elsewhere(struct route_table *t, const struct ip_addr *local, const struct ip_addr *to)
{
	struct route_answer answer;

	for (uint32_t i = 0; i < t->locals_n; i++) {
		const struct route_link *link = route_link_find(t, t->locals[i].link);
		if (addr_equal(&t->locals[i].addr, local) && (!link || link->up))
			return false;
	}
	route_lookup(t, 0, to, &answer); /* by links that are up only */
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

	assert((slots_n & (slots_n - 1)) == 0 && t->neighbours_n < slots_n);
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

/* Closes the gap at slot i: entries after it that only probing brought there move up (Knuth 6.4, algorithm
 * R). */
static void neighbour_remove_at(struct route_table *t, uint32_t i)
{
	uint32_t mask = t->neighbour_slots - 1, gap = i;

	assert(t->neighbours_n > 0 && t->neighbours[i].state != ROUTE_NEIGHBOUR_NONE);
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

const struct route_neighbour *route_neighbour_find(
	const struct route_table *t, uint32_t link, const struct ip_addr *addr)
{
	uint32_t i = neighbour_slot(t->neighbours, t->neighbour_slots, link, addr);

	return t->neighbours[i].state == ROUTE_NEIGHBOUR_NONE ? NULL : &t->neighbours[i];
}

/* --- whole tables --- */

const struct route_local *route_local_at(const struct route_table *t, uint32_t i)
{
	return i < t->locals_n ? &t->locals[i] : NULL;
}

uint32_t route_count(const struct route_table *t)
{
	return t->routes.n;
}

const struct route_entry *route_at(const struct route_table *t, uint32_t i)
{
	return routes_at(&t->routes, i);
}

bool route_at_table(
	const struct route_table *t, uint32_t place, uint32_t i, const struct route_entry **ret_entry)
{
	if (place >= t->tables.n)
		return false;
	const struct routes *one = t->tables.list[place];
	*ret_entry = one->table == ROUTE_TABLE_LOCAL ? NULL : routes_at(one, i);
	return true;
}

const struct route_neighbour *route_neighbour_at(const struct route_table *t, uint32_t i)
{
	return i < t->neighbour_slots ? &t->neighbours[i] : NULL;
}
