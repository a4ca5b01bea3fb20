#include "route/selectors.h"

#include <stdlib.h>

#define ITEMS_MAX (1u << 20) /* overlapping selectors beyond this are searched one by one */

struct item {
	uint32_t tunnel, selector; /* of the remote side, index in the snapshot's selectors */
};

struct flat {
	struct ip_addr start; /* up to the next one's start */
	uint32_t first, n;    /* of items */
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

/* One address on; false behind the last of the family. */
static bool addr_next(struct ip_addr *a)
{
	for (size_t i = addr_size(a); i-- > 0;)
		if (++a->b[i] != 0)
			return true;
	return false;
}

/* All remote selectors, in the order of the tunnels. */
static struct item *remote_items(const struct snapshot *snapshot, uint32_t *ret_n)
{
	uint32_t n = 0;

	for (uint32_t t = 0; t < snapshot->tunnels.count; t++)
		n += snap_tunnels(snapshot)[t].remote.count;
	struct item *items = calloc(n + 1u, sizeof *items);
	*ret_n = n;
	n = 0;
	for (uint32_t t = 0; items && t < snapshot->tunnels.count; t++) {
		struct span remote = snap_tunnels(snapshot)[t].remote;
		for (uint32_t i = 0; i < remote.count; i++)
			items[n++] = (struct item){ t, remote.first + i };
	}
	return items;
}

static bool item_covers(const struct selectors *s, const struct item *item, const struct ip_addr *a)
{
	return range_holds(&snap_selectors(s->snapshot)[item->selector].addrs, a);
}

/* The list of each flat range. False: too many, or no memory. */
static bool lists_fill(struct selectors *s, const struct item *all, uint32_t all_n)
{
	uint32_t room = 0;

	for (uint32_t f = 0; f < s->flat_n; f++) {
		s->flat[f].first = s->items_n;
		for (uint32_t i = 0; i < all_n; i++) {
			if (!item_covers(s, &all[i], &s->flat[f].start))
				continue;
			if (s->items_n == room) {
				room = room ? 2 * room : 64;
				struct item *items =
					room > ITEMS_MAX ? NULL : realloc(s->items, room * sizeof *items);
				if (!items)
					return false;
				s->items = items;
			}
			s->items[s->items_n++] = all[i];
		}
		s->flat[f].n = s->items_n - s->flat[f].first;
	}
	return true;
}

struct selectors *selectors_new(const struct snapshot *snapshot)
{
	struct selectors *s = calloc(1, sizeof *s);
	uint32_t all_n = 0, bounds_n = 0;
	struct item *all = s ? remote_items(snapshot, &all_n) : NULL;
	struct ip_addr *bounds = calloc(2 * (size_t)all_n + 1, sizeof *bounds);

	if (!s || !all || !bounds)
		goto fail;
	s->snapshot = snapshot;
	for (uint32_t i = 0; i < all_n; i++) {
		struct ip_range r = snap_selectors(snapshot)[all[i].selector].addrs;
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
	/* One range over everything, searched one by one. */
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

static bool local_holds(const struct selectors *s, uint32_t tunnel, const struct ip_addr *a,
	const struct selectors_packet *p, uint16_t port)
{
	struct span local = snap_tunnels(s->snapshot)[tunnel].local;

	for (uint32_t i = 0; i < local.count; i++)
		if (selector_holds(&snap_selectors(s->snapshot)[local.first + i], a, p, port))
			return true;
	return false;
}

static bool stays(const struct selectors *s, const struct item *item, const struct ip_addr *far)
{
	const struct ip_range one = { *far, *far };

	return snap_tunnel_keeps(s->snapshot, &snap_tunnels(s->snapshot)[item->tunnel],
		&snap_selectors(s->snapshot)[item->selector].addrs, &one);
}

static uint32_t find(const struct selectors *s, const struct selectors_packet *p, const struct ip_addr *near,
	uint16_t near_port, const struct ip_addr *far, uint16_t far_port)
{
	uint32_t low = 0, n = s->flat_n;

	if (n == 0 || addr_compare(far, &s->flat[0].start) < 0)
		return SELECTORS_NONE;
	while (n > 1) {
		uint32_t half = n / 2;
		low = addr_compare(far, &s->flat[low + half].start) < 0 ? low : low + half;
		n -= half;
	}
	for (uint32_t i = 0; i < s->flat[low].n; i++) {
		const struct item *item = &s->items[s->flat[low].first + i];
		if (selector_holds(&snap_selectors(s->snapshot)[item->selector], far, p, far_port) &&
			local_holds(s, item->tunnel, near, p, near_port) && !stays(s, item, far))
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
