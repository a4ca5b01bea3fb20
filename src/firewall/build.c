/*
 * Makes a matcher (matcher.c) in pieces, between bursts: the edges of the rules in each dimension are collected,
 * sorted and counted, then a sweep over them writes the sets of its intervals. Each piece takes a budget of about as
 * many edges, so that none stops packets for long, whatever the list is. The result does not depend on the pieces.
 */
#include "firewall/internal.h"

#include <assert.h>
#include <stdlib.h>

static bool event_add(struct fw_events *e, fw_point first, fw_point last, fw_point end_of_all, uint32_t rule)
{
	if (e->n + 2 > e->room) {
		uint32_t room = e->room ? 2 * e->room : 256;
		struct fw_event *more = realloc(e->event, sizeof *more * room);
		if (!more)
			return false;
		e->event = more;
		e->room = room;
	}
	assert(e->n + 2 <= e->room);
	e->event[e->n++] = (struct fw_event){ first, rule, 1 };
	if (last != end_of_all) /* otherwise it has no end */
		e->event[e->n++] = (struct fw_event){ last + 1, rule, -1 };
	return true;
}

static bool addr_events(
	struct fw_events *e, const struct snapshot *s, struct span span, uint8_t family, uint32_t rule)
{
	fw_point end = family == ADDR_V4 ? UINT32_MAX : ~(fw_point)0;
	const struct ip_range *ranges = snap_ranges(s) + span.first;

	for (uint32_t i = 0; i < span.count; i++)
		if (ranges[i].first.family == family &&
			!event_add(e, fw_point_of(&ranges[i].first), fw_point_of(&ranges[i].last), end, rule))
			return false;
	return span.count > 0 || event_add(e, 0, end, end, rule);
}

/* Protocol and port as one number; source ports are for the exact check only. */
static bool service_events(struct fw_events *e, const struct snapshot *s, struct span span, uint32_t rule)
{
	const fw_point end = 0xffffff;
	const struct snap_service *services = snap_services(s) + span.first;

	for (uint32_t i = 0; i < span.count; i++) {
		const struct snap_service *v = &services[i];
		fw_point base = (fw_point)v->proto << 16, first = base, last = base | 0xffff;
		if (v->proto == 0)
			return event_add(e, 0, end, end, rule);
		if (ip_has_ports(v->proto) || fw_is_icmp(v->proto)) {
			first = base | v->dst_first;
			last = base | v->dst_last;
		}
		if (!event_add(e, first, last, end, rule))
			return false;
	}
	return span.count > 0 || event_add(e, 0, end, end, rule);
}

static bool rule_events(struct fw_events e[FW_DIMENSIONS], const struct snapshot *s, struct span src,
	struct span dst, const struct span *services, uint32_t rule)
{
	return addr_events(&e[FW_SRC4], s, src, ADDR_V4, rule) &&
	       addr_events(&e[FW_SRC6], s, src, ADDR_V6, rule) &&
	       addr_events(&e[FW_DST4], s, dst, ADDR_V4, rule) &&
	       addr_events(&e[FW_DST6], s, dst, ADDR_V6, rule) &&
	       (!services || service_events(&e[FW_SERVICE], s, *services, rule));
}

/* The events of rule i of the list. A destination that is an interface's may be any address. */
static bool list_events(struct fw_events e[FW_DIMENSIONS], const struct fw_matcher *m,
	const struct snapshot *s, enum fw_list list, uint32_t i)
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

/* False: the budget is used up, or there is no memory. */
static bool events_collect(struct fw_build *b, const struct snapshot *s, uint32_t *budget)
{
	while (b->next < b->matcher->count) {
		uint32_t before = 0, after = 0;
		if (*budget == 0)
			return false;
		for (uint32_t k = 0; k < FW_DIMENSIONS; k++)
			before += b->events[k].n;
		if (!list_events(b->events, b->matcher, s, b->list, b->next)) {
			b->failed = true;
			return false;
		}
		for (uint32_t k = 0; k < FW_DIMENSIONS; k++)
			after += b->events[k].n;
		b->next++;
		*budget -= MIN_OF(*budget, 1 + after - before);
	}
	return true;
}

/* Merge sort from below: each pass merges neighbouring runs of `run` events into `sorted`. */
static bool events_sort(struct fw_build *b, uint32_t *budget)
{
	struct fw_events *e = &b->events[b->dimension];

	if (e->n > 1 && !b->sorted && !(b->sorted = malloc(sizeof *b->sorted * e->n)))
		b->failed = true;
	if (b->failed)
		return false;
	for (; b->run < e->n; b->run *= 2) {
		for (; b->next < e->n; b->next++, --*budget) {
			uint32_t first = b->next - b->next % (2 * b->run);
			uint32_t middle = MIN_OF(first + b->run, e->n), end = MIN_OF(middle + b->run, e->n);
			if (*budget == 0)
				return false;
			if (b->next == first) {
				b->left = first;
				b->right = middle;
			}
			bool left = b->right == end ||
				    (b->left < middle && e->event[b->left].at <= e->event[b->right].at);
			assert(b->left < middle || !left);
			b->sorted[b->next] = e->event[left ? b->left++ : b->right++];
		}
		struct fw_event *was = e->event;
		e->event = b->sorted;
		e->room = e->n; /* it does not grow any more */
		b->sorted = was;
		b->next = 0;
	}
	free(b->sorted);
	b->sorted = NULL;
	return true;
}

/* Does event i begin another interval than the one before it? */
static bool is_edge(const struct fw_events *e, uint32_t i)
{
	return e->event[i].at != 0 && (i == 0 || e->event[i].at != e->event[i - 1].at);
}

static bool intervals_count(struct fw_build *b, uint32_t *budget)
{
	const struct fw_events *e = &b->events[b->dimension];

	for (; b->next < e->n; b->next++, --*budget) {
		if (*budget == 0)
			return false;
		b->intervals += is_edge(e, b->next);
	}
	return true;
}

static bool sets_allocate(struct fw_build *b)
{
	struct fw_matcher *m = b->matcher;
	struct fw_dimension *d = &m->dimension[b->dimension];
	uint32_t n_max = MAX_OF(FW_MATCHER_WORDS_MAX / m->words, 1u);

	b->join = (b->intervals + n_max - 1) / n_max;
	b->room = b->intervals / b->join + 2;
	d->start = calloc(b->room, sizeof *d->start);
	d->words = calloc((size_t)b->room * m->words, sizeof *d->words);
	b->open = calloc(m->count, sizeof *b->open);
	b->now = calloc(m->words, sizeof *b->now);
	b->failed = !d->start || !d->words || !b->open || !b->now;
	return !b->failed;
}

/*
 * Sweeps over the sorted events with the set of rules that are open. `join` intervals make one: its set is
 * the union, so a rule that ends inside stays in it until the interval is closed.
 */
static bool sets_fill(struct fw_build *b, uint32_t *budget)
{
	const struct fw_events *e = &b->events[b->dimension];
	struct fw_dimension *d = &b->matcher->dimension[b->dimension];
	uint32_t words = b->matcher->words;

	for (; b->next < e->n; b->next++) {
		const struct fw_event *v = &e->event[b->next];
		uint64_t bit = 1ull << v->rule % 64;
		if (*budget == 0)
			return false;
		--*budget;
		if (is_edge(e, b->next) && ++b->inside == b->join) {
			b->inside = 0;
			assert(v->at > d->start[b->interval]); /* sorted, for the binary search */
			assert(b->interval + 1 < b->room);
			d->start[++b->interval] = v->at;
			memcpy(d->words + (size_t)b->interval * words, b->now, sizeof *b->now * words);
			*budget -= MIN_OF(*budget, words / FW_PREPARE_WORDS);
		}
		uint64_t *set = &d->words[(size_t)b->interval * words + v->rule / 64];
		b->open[v->rule] += (uint32_t)v->step;
		if (b->open[v->rule]) {
			b->now[v->rule / 64] |= bit;
			*set |= bit;
		} else {
			b->now[v->rule / 64] &= ~bit;
			if (b->inside == 0 && b->join == 1)
				*set &= ~bit;
		}
	}
	d->n = b->interval + 1;
	return true;
}

static void dimension_begin(struct fw_build *b, uint32_t dimension)
{
	free(b->open);
	free(b->now);
	b->open = NULL;
	b->now = NULL;
	b->dimension = dimension;
	b->next = b->interval = b->inside = 0;
	b->run = b->intervals = 1;
	b->step = dimension < FW_DIMENSIONS ? FW_BUILD_SORT : FW_BUILD_READY;
}

bool fw_build_begin(struct fw_build *b, uint32_t first, uint32_t count, enum fw_list list)
{
	struct fw_matcher *m = calloc(1, sizeof *m);

	assert(count > 0);
	*b = (struct fw_build){ .matcher = m, .list = list, .step = FW_BUILD_READY };
	if (!m)
		return false;
	m->first = first;
	m->count = count;
	m->words = (count + 63) / 64;
	if (count <= FW_MATCHER_LINEAR_MAX)
		return true;
	m->dimension = calloc(FW_DIMENSIONS, sizeof *m->dimension);
	b->step = FW_BUILD_EVENTS;
	return m->dimension;
}

bool fw_build_go(struct fw_build *b, const struct snapshot *s, uint32_t *budget)
{
	while (b->step != FW_BUILD_READY) {
		switch (b->step) {
		case FW_BUILD_EVENTS:
			if (!events_collect(b, s, budget))
				return false;
			dimension_begin(b, 0);
			break;
		case FW_BUILD_SORT:
			if (b->list == FW_LIST_NAT && b->dimension == FW_SERVICE) {
				dimension_begin(b, b->dimension + 1);
				break;
			}
			if (!events_sort(b, budget))
				return false;
			b->next = 0;
			b->step = FW_BUILD_COUNT;
			break;
		case FW_BUILD_COUNT:
			if (!intervals_count(b, budget) || !sets_allocate(b))
				return false;
			b->next = 0;
			b->step = FW_BUILD_FILL;
			break;
		case FW_BUILD_FILL:
			if (!sets_fill(b, budget))
				return false;
			dimension_begin(b, b->dimension + 1);
			break;
		case FW_BUILD_READY:
			break;
		}
	}
	return true;
}

struct fw_matcher *fw_build_take(struct fw_build *b)
{
	struct fw_matcher *m = b->matcher;

	assert(b->step == FW_BUILD_READY && m);
	b->matcher = NULL;
	fw_build_done(b);
	return m;
}

void fw_build_done(struct fw_build *b)
{
	fw_matcher_free(b->matcher);
	for (int k = 0; k < FW_DIMENSIONS; k++)
		free(b->events[k].event);
	free(b->sorted);
	free(b->open);
	free(b->now);
	*b = (struct fw_build){ .step = FW_BUILD_READY };
}
