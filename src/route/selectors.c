#include "route/selectors.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

/* A part of a tunnel's remote side and one of its local side: indices in the snapshot's selectors. */
struct item {
	uint32_t tunnel, remote, local;
};

struct flat {
	struct ip_addr start; /* up to the next one's start */
	uint32_t first, n;    /* of items, the most specific first */
};

struct selectors {
	const struct snapshot *snapshot;
	struct flat *flat;
	uint32_t flat_n;
	struct item *items;
	uint32_t items_n;
};

static int addr_order(const void *a, const void *b)
{
	return addr_compare(a, b);
}

/* The next address; false after the last of the family. */
static bool addr_next(struct ip_addr *a)
{
	for (size_t i = addr_size(a); i-- > 0;)
		if (++a->b[i] != 0)
			return true;
	return false;
}

/* Every pair of remote and local parts, in the order of the configuration. */
static struct item *all_items(const struct snapshot *snapshot, uint32_t *ret_n)
{
	size_t n = 0;

	for (uint32_t t = 0; t < snapshot->tunnels.count; t++)
		n += snap_tunnel_is_routed(&snap_tunnels(snapshot)[t])
			     ? 0
			     : (size_t)snap_tunnels(snapshot)[t].remote.count *
				       snap_tunnels(snapshot)[t].local.count;
	struct item *items = calloc(n + 1u, sizeof *items);
	*ret_n = (uint32_t)n;
	n = 0;
	for (uint32_t t = 0; items && t < snapshot->tunnels.count; t++) {
		struct span remote = snap_tunnels(snapshot)[t].remote,
			    local = snap_tunnels(snapshot)[t].local;
		if (snap_tunnel_is_routed(&snap_tunnels(snapshot)[t]))
			continue;
		for (uint32_t i = 0; i < remote.count * local.count; i++)
			items[n++] = (struct item){ t, remote.first + i / local.count,
				local.first + i % local.count };
	}
	return items;
}

/* How many addresses a range has, less one, as a number to compare. */
static void width_of(const struct ip_range *r, uint8_t ret_width[16])
{
	size_t n = addr_size(&r->first);
	int borrow = 0;

	memset(ret_width, 0, 16);
	for (size_t i = n; i-- > 0;) {
		int digit = r->last.b[i] - r->first.b[i] - borrow;
		borrow = digit < 0;
		ret_width[16 - n + i] = (uint8_t)digit;
	}
}

/* A narrower range first; of equal ones that of one protocol, then that of fewer ports. */
static int narrower(const struct selector *a, const struct selector *b)
{
	uint8_t width_a[16], width_b[16];
	int by;

	width_of(&a->addrs, width_a);
	width_of(&b->addrs, width_b);
	if ((by = memcmp(width_a, width_b, 16)) != 0)
		return by;
	if ((by = (a->proto == 0) - (b->proto == 0)) != 0)
		return by;
	return (a->port_last - a->port_first) - (b->port_last - b->port_first);
}

/* The most specific remote side first, of equal ones the most specific local side, then as configured. */
static int more_specific(const void *one, const void *other, void *context)
{
	const struct snapshot *snapshot = context;
	const struct item *a = one, *b = other;
	const struct selector *all = snap_selectors(snapshot);
	int by = narrower(&all[a->remote], &all[b->remote]);

	if (by == 0)
		by = narrower(&all[a->local], &all[b->local]);
	if (by == 0)
		by = a->tunnel < b->tunnel ? -1 : a->tunnel > b->tunnel;
	return by;
}

/* The flat range that holds the address; UINT32_MAX: none. */
static uint32_t flat_of(const struct selectors *s, const struct ip_addr *a)
{
	uint32_t low = 0, n = s->flat_n;

	if (n == 0 || addr_compare(a, &s->flat[0].start) < 0)
		return UINT32_MAX;
	while (n > 1) {
		uint32_t half = n / 2;
		low = addr_compare(a, &s->flat[low + half].start) < 0 ? low : low + half;
		n -= half;
	}
	return low;
}

/*
 * The list of each flat range: an item is in all of them from that of its first address to that of its last.
 * False: too many, or out of memory.
 */
static bool lists_fill(struct selectors *s, const struct item *all, uint32_t all_n)
{
	const struct selector *selectors = snap_selectors(s->snapshot);
	uint64_t n = 0;

	for (uint32_t i = 0; i < all_n && n <= SELECTORS_ITEMS_MAX; i++) {
		const struct ip_range *r = &selectors[all[i].remote].addrs;
		for (uint32_t f = flat_of(s, &r->first), end = flat_of(s, &r->last);
			f <= end && n <= SELECTORS_ITEMS_MAX; f++, n++)
			s->flat[f].n++;
	}
	if (n > SELECTORS_ITEMS_MAX || !(s->items = calloc(n + 1, sizeof *s->items)))
		return false;
	for (uint32_t f = 0; f < s->flat_n; f++) {
		assert(s->items_n + s->flat[f].n <= n);
		s->flat[f].first = s->items_n;
		s->items_n += s->flat[f].n;
		s->flat[f].n = 0;
	}
	for (uint32_t i = 0; i < all_n; i++) {
		const struct ip_range *r = &selectors[all[i].remote].addrs;
		for (uint32_t f = flat_of(s, &r->first), end = flat_of(s, &r->last); f <= end; f++)
			s->items[s->flat[f].first + s->flat[f].n++] = all[i];
	}
	return true;
}

struct selectors *selectors_new(const struct snapshot *snapshot)
{
	struct selectors *s = calloc(1, sizeof *s);
	uint32_t all_n = 0, bounds_n = 0;
	struct item *all = s ? all_items(snapshot, &all_n) : NULL;
	struct ip_addr *bounds = calloc(2 * (size_t)all_n + 1, sizeof *bounds);

	if (!s || !all || !bounds)
		goto fail;
	s->snapshot = snapshot;
	qsort_r(all, all_n, sizeof *all, more_specific, (void *)(uintptr_t)snapshot);
	for (uint32_t i = 0; i < all_n; i++) {
		struct ip_range r = snap_selectors(snapshot)[all[i].remote].addrs;
		bounds[bounds_n++] = r.first;
		if (addr_next(&r.last))
			bounds[bounds_n++] = r.last;
	}
	qsort(bounds, bounds_n, sizeof *bounds, addr_order);
	s->flat = calloc(bounds_n + 1u, sizeof *s->flat);
	if (!s->flat)
		goto fail;
	for (uint32_t i = 0; i < bounds_n; i++)
		if (i == 0 || !addr_equal(&bounds[i], &bounds[i - 1]))
			s->flat[s->flat_n++].start = bounds[i];
	free(bounds);
	if (lists_fill(s, all, all_n)) {
		free(all);
		return s;
	}
	/* One range over everything, searched linearly. */
	free(s->items);
	s->items = all;
	s->items_n = all_n;
	s->flat_n = 1;
	s->flat[0] = (struct flat){ .first = 0, .n = all_n };
	return s;
fail:
	free(bounds);
	free(all);
	selectors_free(s);
	return NULL;
}

void selectors_free(struct selectors *s)
{
	if (!s)
		return;
	free(s->flat);
	free(s->items);
	free(s);
}

static bool selector_holds(
	const struct selector *ts, const struct ip_addr *a, const struct selectors_packet *p, uint16_t port)
{
	if (!range_holds(&ts->addrs, a) || (ts->proto != 0 && ts->proto != p->proto))
		return false;
	if (ts->port_first == 0 && ts->port_last == UINT16_MAX)
		return true;
	return p->has_ports && port >= ts->port_first && port <= ts->port_last;
}

static bool stays(const struct selectors *s, const struct item *item, const struct ip_addr *far)
{
	const struct ip_range one = { *far, *far };

	return snap_tunnel_keeps(s->snapshot, &snap_tunnels(s->snapshot)[item->tunnel],
		&snap_selectors(s->snapshot)[item->remote].addrs, &one);
}

static uint32_t find(const struct selectors *s, const struct selectors_packet *p, const struct ip_addr *near,
	uint16_t near_port, const struct ip_addr *far, uint16_t far_port)
{
	const struct selector *all = snap_selectors(s->snapshot);
	uint32_t f = flat_of(s, far);

	for (uint32_t i = 0; f != UINT32_MAX && i < s->flat[f].n; i++) {
		const struct item *item = &s->items[s->flat[f].first + i];
		if (selector_holds(&all[item->remote], far, p, far_port) &&
			selector_holds(&all[item->local], near, p, near_port) && !stays(s, item, far))
			return item->tunnel;
	}
	return SELECTORS_NONE;
}

uint32_t selectors_find(const struct selectors *s, const struct selectors_packet *p)
{
	return find(s, p, &p->src, p->src_port, &p->dst, p->dst_port);
}

uint32_t selectors_find_inbound(const struct selectors *s, const struct selectors_packet *p)
{
	return find(s, p, &p->dst, p->dst_port, &p->src, p->src_port);
}
