/*
 * First match over an ordered list of rules, in a time that hardly grows with the list.
 *
 * Each dimension (source and destination of either family, protocol with port) is divided into intervals at
 * the rules' edges; each interval has the set of rules that may match there, as bits. A lookup finds one
 * interval in each dimension, intersects the three sets word by word, and applies the exact check to each
 * remaining bit in order. The sets may be too large, never too small: where a list is so long that its sets
 * would take too much memory, neighbouring intervals are joined. Only the exact check decides; the test
 * compares the result with a linear search.
 */
#include "firewall/internal.h"

#include <assert.h>
#include <stdlib.h>

typedef unsigned __int128 point;

/* A rule begins or ends at a point. */
struct event {
	point at;
	uint32_t rule; /* from the matcher's first */
	int32_t step;  /* +1 or -1 */
};

struct events {
	struct event *event;
	uint32_t n, room;
};

static point point_of(const struct ip_addr *a)
{
	if (a->family == ADDR_V4)
		return load_be32(a->b);
	return (point)load_be64(a->b) << 64 | load_be64(a->b + 8);
}

bool fw_ranges_hold(const struct snapshot *s, struct span span, const struct ip_addr *a)
{
	const struct ip_range *ranges = snap_ranges(s) + span.first;

	for (uint32_t i = 0; i < span.count; i++)
		if (range_holds(&ranges[i], a))
			return true;
	return span.count == 0;
}

/* Services of protocols without ports match by protocol alone. */
static bool service_matches(const struct snap_service *v, const struct fw_tuple *t)
{
	bool ports = t->proto == IP_TCP || t->proto == IP_UDP;

	if (v->proto != t->proto)
		return v->proto == 0;
	if (!ports && !fw_is_icmp(t->proto))
		return true;
	if (t->service_port < v->dst_first || t->service_port > v->dst_last)
		return false;
	return !ports || (t->src_port >= v->src_first && t->src_port <= v->src_last);
}

static bool rule_matches(const struct snapshot *s, const struct snap_rule *r, const struct fw_tuple *t,
	uint32_t *ret_timeout_s)
{
	if ((r->from_zone != ZONE_ANY && r->from_zone != t->from) ||
		(r->to_zone != ZONE_ANY && r->to_zone != t->to) || !fw_ranges_hold(s, r->src, &t->src) ||
		!fw_ranges_hold(s, r->dst, &t->dst))
		return false;
	*ret_timeout_s = r->timeout_s;
	if (r->services.count == 0)
		return true;
	const struct snap_service *services = snap_services(s) + r->services.first;
	for (uint32_t i = 0; i < r->services.count; i++)
		if (service_matches(&services[i], t)) {
			if (r->timeout_s == 0)
				*ret_timeout_s = services[i].timeout_s;
			return true;
		}
	return false;
}

static bool nat_rule_matches(
	const struct snapshot *s, const struct snap_nat_rule *r, const struct fw_tuple *t)
{
	if ((r->from_zone != ZONE_ANY && r->from_zone != t->from) ||
		(r->to_zone != ZONE_ANY && r->to_zone != t->to))
		return false;
	/* A rule translates to one family only. */
	uint8_t family = r->action == NAT_POOL	       ? r->pool.first.family
			 : r->action == NAT_INTERFACE  ? ADDR_V4
			 : r->action == NAT_INTERFACE6 ? ADDR_V6
						       : t->src.family;
	if (family != t->src.family)
		return false;
	return fw_ranges_hold(s, r->src, &t->src) && fw_ranges_hold(s, r->dst, &t->dst);
}

/* *ret_by_interface: only because the destination is an address of one of these interfaces. */
static bool dnat_rule_matches(const struct snapshot *s, const struct snap_dnat_rule *r,
	const struct fw_tuple *t, uint64_t interfaces, bool *ret_by_interface)
{
	bool is_static = snap_dnat_is_static(r); /* of which the zone limits nothing that comes in */

	if ((!is_static && r->from_zone != ZONE_ANY && r->from_zone != t->from) ||
		(r->action != DNAT_OFF && r->to.first.family != t->src.family) ||
		!fw_ranges_hold(s, r->src, &t->src))
		return false;
	*ret_by_interface = r->dst.count == 0 || !fw_ranges_hold(s, r->dst, &t->dst);
	if (*ret_by_interface && !(r->interfaces & interfaces))
		return false;
	const struct snap_service *services = snap_services(s) + r->services.first;
	for (uint32_t i = 0; i < r->services.count; i++)
		if (service_matches(&services[i], t))
			return true;
	return r->services.count == 0;
}

/* ---- building ---- */

static bool event_add(struct events *e, point first, point last, point end_of_all, uint32_t rule)
{
	if (e->n + 2 > e->room) {
		uint32_t room = e->room ? 2 * e->room : 256;
		struct event *more = realloc(e->event, sizeof *more * room);
		if (!more)
			return false;
		e->event = more;
		e->room = room;
	}
	assert(e->n + 2 <= e->room);
	e->event[e->n++] = (struct event){ first, rule, 1 };
	if (last != end_of_all) /* otherwise it has no end */
		e->event[e->n++] = (struct event){ last + 1, rule, -1 };
	return true;
}

static bool addr_events(
	struct events *e, const struct snapshot *s, struct span span, uint8_t family, uint32_t rule)
{
	point end = family == ADDR_V4 ? UINT32_MAX : ~(point)0;
	const struct ip_range *ranges = snap_ranges(s) + span.first;

	for (uint32_t i = 0; i < span.count; i++)
		if (ranges[i].first.family == family &&
			!event_add(e, point_of(&ranges[i].first), point_of(&ranges[i].last), end, rule))
			return false;
	return span.count > 0 || event_add(e, 0, end, end, rule);
}

/* Protocol and port as one number; source ports are for the exact check only. */
static bool service_events(struct events *e, const struct snapshot *s, struct span span, uint32_t rule)
{
	const point end = 0xffffff;
	const struct snap_service *services = snap_services(s) + span.first;

	for (uint32_t i = 0; i < span.count; i++) {
		const struct snap_service *v = &services[i];
		point base = (point)v->proto << 16, first = base, last = base | 0xffff;
		if (v->proto == 0)
			return event_add(e, 0, end, end, rule);
		if (v->proto == IP_TCP || v->proto == IP_UDP || fw_is_icmp(v->proto)) {
			first = base | v->dst_first;
			last = base | v->dst_last;
		}
		if (!event_add(e, first, last, end, rule))
			return false;
	}
	return span.count > 0 || event_add(e, 0, end, end, rule);
}

static int event_order(const void *a, const void *b)
{
	const struct event *x = a, *y = b;

	return x->at < y->at ? -1 : x->at > y->at;
}

static uint32_t points_n(const struct events *e)
{
	uint32_t n = 1;

	for (uint32_t i = 0; i < e->n; i++)
		n += e->event[i].at != 0 && (i == 0 || e->event[i].at != e->event[i - 1].at);
	return n;
}

/*
 * Sweeps over the sorted events with the set of rules that are open. `join` intervals make one: its set is
 * the union, so a rule that ends inside stays in it until the interval is closed.
 */
static bool dimension_fill(
	struct fw_dimension *d, const struct events *e, uint32_t words, uint32_t join, uint32_t *open)
{
	uint64_t *now = calloc(words, sizeof *now);
	uint32_t interval = 0, inside = 0;

	if (!now)
		return false;
	d->start[0] = 0;
	for (uint32_t i = 0; i < e->n;) {
		point at = e->event[i].at;
		if (at != 0 && ++inside == join) {
			inside = 0;
			assert(at > d->start[interval]); /* sorted, for the binary search */
			d->start[++interval] = at;
			memcpy(d->words + (size_t)interval * words, now, sizeof *now * words);
		}
		for (; i < e->n && e->event[i].at == at; i++) {
			uint32_t r = e->event[i].rule;
			uint64_t bit = 1ull << r % 64;
			open[r] += (uint32_t)e->event[i].step;
			if (open[r])
				now[r / 64] |= bit;
			else
				now[r / 64] &= ~bit;
			uint64_t *set = d->words + (size_t)interval * words;
			if (open[r])
				set[r / 64] |= bit;
			else if (inside == 0 && join == 1)
				set[r / 64] &= ~bit;
		}
	}
	d->n = interval + 1;
	free(now);
	return true;
}

static bool dimension_build(struct fw_dimension *d, struct events *e, uint32_t rules, uint32_t words)
{
	uint32_t *open = calloc(rules, sizeof *open);
	bool good = false;

	if (e->n > 0)
		qsort(e->event, e->n, sizeof *e->event, event_order);
	uint32_t n = points_n(e), n_max = MAX_OF(FW_MATCHER_WORDS_MAX / words, 1u);
	uint32_t join = (n + n_max - 1) / n_max;
	d->start = calloc(n / join + 2, sizeof *d->start);
	d->words = calloc((size_t)(n / join + 2) * words, sizeof *d->words);
	if (open && d->start && d->words)
		good = dimension_fill(d, e, words, join, open);
	assert(!good || d->n <= n / join + 1);
	free(open);
	return good;
}

static bool rule_events(struct events e[FW_DIMENSIONS], const struct snapshot *s, struct span src,
	struct span dst, const struct span *services, uint32_t rule)
{
	return addr_events(&e[FW_SRC4], s, src, ADDR_V4, rule) &&
	       addr_events(&e[FW_SRC6], s, src, ADDR_V6, rule) &&
	       addr_events(&e[FW_DST4], s, dst, ADDR_V4, rule) &&
	       addr_events(&e[FW_DST6], s, dst, ADDR_V6, rule) &&
	       (!services || service_events(&e[FW_SERVICE], s, *services, rule));
}

/* The events of rule i of the list. A destination that is an interface's may be any address. */
static bool list_events(struct events e[FW_DIMENSIONS], const struct fw_matcher *m, const struct snapshot *s,
	enum fw_list list, uint32_t i)
{
	const struct span any = { 0, 0 };

	switch (list) {
	case FW_LIST_POLICY: {
		const struct snap_rule *r = &snap_rules(s)[m->first + i];
		return rule_events(e, s, r->src, r->dst, &r->services, i);
	}
	case FW_LIST_NAT: {
		const struct snap_nat_rule *r = &snap_nat_rules(s)[m->first + i];
		return rule_events(e, s, r->src, r->dst, NULL, i);
	}
	case FW_LIST_DNAT: {
		const struct snap_dnat_rule *r = &snap_dnat_rules(s)[m->first + i];
		return rule_events(e, s, r->src, r->interfaces ? any : r->dst, &r->services, i);
	}
	}
	return false;
}

static bool dimensions_build(struct fw_matcher *m, const struct snapshot *s, enum fw_list list)
{
	struct events e[FW_DIMENSIONS] = { 0 };
	bool good = true;

	for (uint32_t i = 0; i < m->count && good; i++)
		good = list_events(e, m, s, list, i);
	for (int k = 0; k < FW_DIMENSIONS && good; k++)
		if (list != FW_LIST_NAT || k != FW_SERVICE)
			good = dimension_build(&m->dimension[k], &e[k], m->count, m->words);
	for (int k = 0; k < FW_DIMENSIONS; k++)
		free(e[k].event);
	return good;
}

struct fw_matcher *fw_matcher_new(const struct snapshot *s, uint32_t first, uint32_t count, enum fw_list list)
{
	struct fw_matcher *m = calloc(1, sizeof *m);

	assert(count > 0);
	if (!m)
		return NULL;
	m->first = first;
	m->count = count;
	m->words = (count + 63) / 64;
	if (count <= FW_MATCHER_LINEAR_MAX)
		return m;
	m->dimension = calloc(FW_DIMENSIONS, sizeof *m->dimension);
	if (!m->dimension || !dimensions_build(m, s, list)) {
		fw_matcher_free(m);
		return NULL;
	}
	return m;
}

void fw_matcher_free(struct fw_matcher *m)
{
	if (!m)
		return;
	for (int k = 0; m->dimension && k < FW_DIMENSIONS; k++) {
		free(m->dimension[k].start);
		free(m->dimension[k].words);
	}
	free(m->dimension);
	free(m);
}

/* ---- looking up ---- */

static const uint64_t *set_at(const struct fw_dimension *d, point at, uint32_t words)
{
	uint32_t low = 0, n = d->n;

	assert(n > 0);
	/* The last interval that begins at or before the point: start[low] <= at always holds. */
	while (n > 1) {
		uint32_t half = n / 2;
		low = d->start[low + half] <= at ? low + half : low;
		n -= half;
	}
	return d->words + (size_t)low * words;
}

/* The candidates among 64 rules. */
struct sets {
	const uint64_t *src, *dst, *service; /* service may be NULL */
};

static struct sets sets_of(const struct fw_matcher *m, const struct fw_tuple *t, bool nat)
{
	bool v4 = t->src.family == ADDR_V4;
	const struct fw_dimension *d = m->dimension;

	return (struct sets){
		.src = set_at(&d[v4 ? FW_SRC4 : FW_SRC6], point_of(&t->src), m->words),
		.dst = set_at(&d[v4 ? FW_DST4 : FW_DST6], point_of(&t->dst), m->words),
		.service = nat ? NULL
			       : set_at(&d[FW_SERVICE], (point)t->proto << 16 | t->service_port, m->words),
	};
}

uint32_t fw_matcher_rule(const struct fw_matcher *m, const struct snapshot *s, const struct fw_tuple *t,
	uint32_t *ret_timeout_s)
{
	const struct snap_rule *rules = snap_rules(s) + (m ? m->first : 0);

	if (!m)
		return FW_NONE;
	if (!m->dimension) {
		for (uint32_t i = 0; i < m->count; i++)
			if (rule_matches(s, &rules[i], t, ret_timeout_s))
				return m->first + i;
		return FW_NONE;
	}
	struct sets set = sets_of(m, t, false);
	for (uint32_t w = 0; w < m->words; w++)
		for (uint64_t left = set.src[w] & set.dst[w] & set.service[w]; left; left &= left - 1) {
			uint32_t i = 64 * w + (uint32_t)__builtin_ctzll(left);
			assert(i < m->count);
			if (rule_matches(s, &rules[i], t, ret_timeout_s))
				return m->first + i;
		}
	return FW_NONE;
}

uint32_t fw_matcher_nat(const struct fw_matcher *m, const struct snapshot *s, const struct fw_tuple *t)
{
	const struct snap_nat_rule *rules = snap_nat_rules(s) + (m ? m->first : 0);

	if (!m)
		return FW_NONE;
	if (!m->dimension) {
		for (uint32_t i = 0; i < m->count; i++)
			if (nat_rule_matches(s, &rules[i], t))
				return m->first + i;
		return FW_NONE;
	}
	struct sets set = sets_of(m, t, true);
	for (uint32_t w = 0; w < m->words; w++)
		for (uint64_t left = set.src[w] & set.dst[w]; left; left &= left - 1) {
			uint32_t i = 64 * w + (uint32_t)__builtin_ctzll(left);
			assert(i < m->count);
			if (nat_rule_matches(s, &rules[i], t))
				return m->first + i;
		}
	return FW_NONE;
}

uint32_t fw_matcher_dnat(const struct fw_matcher *m, const struct snapshot *s, const struct fw_tuple *t,
	uint64_t interfaces, uint32_t from, bool *ret_by_interface)
{
	const struct snap_dnat_rule *rules = snap_dnat_rules(s);

	if (!m)
		return FW_NONE;
	assert(m->first == 0); /* the list is the whole array */
	if (!m->dimension) {
		for (uint32_t i = from; i < m->count; i++)
			if (dnat_rule_matches(s, &rules[i], t, interfaces, ret_by_interface))
				return i;
		return FW_NONE;
	}
	struct sets set = sets_of(m, t, false);
	for (uint32_t w = from / 64; w < m->words; w++)
		for (uint64_t left = set.src[w] & set.dst[w] & set.service[w]; left; left &= left - 1) {
			uint32_t i = 64 * w + (uint32_t)__builtin_ctzll(left);
			assert(i < m->count);
			if (i >= from && dnat_rule_matches(s, &rules[i], t, interfaces, ret_by_interface))
				return i;
		}
	return FW_NONE;
}
