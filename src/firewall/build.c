/*
 * Makes a matcher (matcher.c) in pieces, between bursts. Each piece takes a budget of about as many edges, so that none stops
 * packets for long, whatever the list is. The result does not depend on the pieces.
 *
 * Rules that name the same object share a span, and are a class: they begin and end at the same points. For each dimension the
 * edges of the classes are collected, sorted and counted; then a sweep over them knows the classes that are open, and makes a set of
 * their rules where there is none of the same classes yet. Classes are recognised by a sum of 128 bits of random numbers: two
 * groups of them with the same sum are not to be expected in the life of the world. So an object of a million addresses, or a rule
 * in ten thousand of them, makes a few sets. Where sets would take too much memory or work all the same, the sweep begins again,
 * and as many intervals as necessary are joined.
 */
#include "base/lines.h"
#include "firewall/internal.h"

#include <assert.h>
#include <stdlib.h>

static bool grow(void **at, uint32_t *room, uint32_t n, size_t record)
{
	if (n < *room)
		return true;
	uint32_t more = *room ? 2 * *room : 64;
	void *grown = reallocarray(*at, more, record);
	if (!grown)
		return false;
	*at = grown;
	*room = more;
	return true;
}

static void spend(uint32_t *budget, uint64_t units)
{
	*budget -= (uint32_t)MIN_OF((uint64_t)*budget, units);
}

/* ---- classes ---- */

static void any_set(struct fw_build *b, uint32_t dimension, uint32_t rule)
{
	struct fw_dimension *d = &b->matcher->dimension[dimension];
	uint32_t word = rule / 64;

	d->any_top |= 1ull << word / 64;
	d->any[word / 64] |= 1ull << word % 64;
	d->any[fw_set_words(b->matcher->words) + word] |= 1ull << rule % 64;
}

/* False: no memory. */
static bool class_add(struct fw_classes *c, struct span span, uint32_t rule)
{
	uint32_t i = c->of[span.first];

	/* Spans are an object's, or a rule's own; two that begin at the same place are the same. Others are classes of their own. */
	if (i == 0 || c->class[i - 1].span.count != span.count) {
		if (!grow((void **)&c->class, &c->room, c->n, sizeof *c->class))
			return false;
		c->class[c->n] = (struct fw_class){ .span = span };
		i = c->of[span.first] = ++c->n;
	}
	struct fw_class *x = &c->class[i - 1];
	c->next[rule] = x->rules;
	x->rules = rule + 1;
	x->count++;
	return true;
}

/* The spans of rule i of the list; NULL: services are not asked for. A destination that is an interface's may be any address. */
static void spans_of(const struct fw_build *b, const struct snapshot *s, uint32_t i, struct span ret[FW_BYS])
{
	i += b->matcher->first;
	memset(ret, 0, FW_BYS * sizeof *ret);
	switch (b->list) {
	case FW_LIST_POLICY: {
		const struct snap_rule *r = &snap_rules(s)[i];
		ret[FW_BY_SRC] = r->src;
		ret[FW_BY_DST] = r->dst;
		ret[FW_BY_SERVICE] = r->services;
		return;
	}
	case FW_LIST_NAT: {
		const struct snap_nat_rule *r = &snap_nat_rules(s)[i];
		ret[FW_BY_SRC] = r->src;
		ret[FW_BY_DST] = r->dst;
		return;
	}
	case FW_LIST_DNAT: {
		const struct snap_dnat_rule *r = &snap_dnat_rules(s)[i];
		ret[FW_BY_SRC] = r->src;
		if (!r->interfaces)
			ret[FW_BY_DST] = r->dst;
		ret[FW_BY_SERVICE] = r->services;
		return;
	}
	}
}

static bool classes_begin(struct fw_build *b, const struct snapshot *s)
{
	struct fw_matcher *m = b->matcher;
	uint32_t any = fw_set_words(m->words) + m->words;

	for (int k = 0; k < FW_BYS; k++) {
		uint32_t spans = k == FW_BY_SERVICE ? s->services.count : s->ranges.count;
		b->by[k].of = calloc(spans + 1u, sizeof *b->by[k].of);
		b->by[k].next = calloc(m->count, sizeof *b->by[k].next);
		b->failed |= !b->by[k].of || !b->by[k].next;
	}
	/* As many words as a set has bits for are read. */
	for (int k = 0; k < FW_DIMENSIONS; k++) {
		m->dimension[k].any = calloc(any, sizeof *m->dimension[k].any);
		b->failed |= !m->dimension[k].any;
	}
	return !b->failed;
}

/* False: the budget is used up, or there is no memory. */
static bool classes_collect(struct fw_build *b, const struct snapshot *s, uint32_t *budget)
{
	if (b->next == 0 && !b->by[0].of && !classes_begin(b, s))
		return false;
	for (; b->next < b->matcher->count; b->next++) {
		struct span span[FW_BYS];
		if (*budget == 0)
			return false;
		spend(budget, 4);
		spans_of(b, s, b->next, span);
		for (int k = 0; k < FW_BYS; k++) {
			if (span[k].count > 0) {
				if (!class_add(&b->by[k], span[k], b->next)) {
					b->failed = true;
					return false;
				}
				continue;
			}
			any_set(b, k == FW_BY_SRC ? FW_SRC4 : k == FW_BY_DST ? FW_DST4 : FW_SERVICE, b->next);
			if (k != FW_BY_SERVICE)
				any_set(b, k == FW_BY_SRC ? FW_SRC6 : FW_DST6, b->next);
		}
	}
	return true;
}

static struct fw_classes *classes_of(struct fw_build *b)
{
	return &b->by[b->dimension == FW_SERVICE			   ? FW_BY_SERVICE
		      : b->dimension == FW_SRC4 || b->dimension == FW_SRC6 ? FW_BY_SRC
									   : FW_BY_DST];
}

static bool is_wide(uint32_t dimension)
{
	return dimension == FW_SRC6 || dimension == FW_DST6;
}

/* ---- events ---- */

#define FW_EVENTS_RESERVED (1u << 21) /* of a million ranges; memory that is not written is not there */

static bool event_add(struct fw_events *e, fw_point first, fw_point last, fw_point end_of_all, uint32_t class)
{
	if (!grow((void **)&e->event, &e->room, e->n + 1, sizeof *e->event))
		return false;
	e->event[e->n++] = (struct fw_event){ first, class, 1 };
	if (last != end_of_all) /* otherwise it has no end */
		e->event[e->n++] = (struct fw_event){ last + 1, class, -1 };
	return true;
}

static bool addr_event(struct fw_build *b, const struct ip_range *r, uint32_t class)
{
	uint8_t family = is_wide(b->dimension) ? ADDR_V6 : ADDR_V4;
	fw_point end = family == ADDR_V4 ? UINT32_MAX : ~(fw_point)0;

	if (range_is_wildcard(r))
		b->matcher->dimension[b->dimension].exact = false;
	return r->first.family != family ||
	       event_add(&b->events, fw_point_of(&r->first), fw_point_of(&r->last), end, class);
}

/* Protocol and port as one number; source ports are for the exact check only. */
static bool service_event(struct fw_build *b, const struct snap_service *v, uint32_t class)
{
	const fw_point end = 0xffffff;
	fw_point base = (fw_point)v->proto << 16, first = base, last = base | 0xffff;

	if (v->proto == 0)
		return event_add(&b->events, 0, end, end, class);
	if (ip_has_ports(v->proto) || fw_is_icmp(v->proto)) {
		first = base | v->dst_first;
		last = base | v->dst_last;
	}
	return event_add(&b->events, first, last, end, class);
}

/* Room for all of them at once: what grows is moved, which takes milliseconds in one piece. */
static bool events_reserve(struct fw_build *b, const struct fw_classes *c)
{
	uint32_t n = 0;

	for (uint32_t i = 0; i < c->n && n < FW_EVENTS_RESERVED; i++)
		n += 2 * MIN_OF(c->class[i].span.count, FW_EVENTS_RESERVED);
	n = MIN_OF(n, FW_EVENTS_RESERVED);
	if (n > 0 && (b->events.event = malloc((n + 1u) * sizeof *b->events.event)))
		b->events.room = n + 1;
	return n == 0 || b->events.event;
}

/* False: the budget is used up, or there is no memory. */
static bool events_collect(struct fw_build *b, const struct snapshot *s, uint32_t *budget)
{
	const struct fw_classes *c = classes_of(b);

	if (!b->events.event && !events_reserve(b, c)) {
		b->failed = true;
		return false;
	}
	for (; b->next < c->n; b->next++, b->range = 0) {
		const struct span *span = &c->class[b->next].span;
		for (; b->range < span->count; b->range++) {
			uint32_t i = span->first + b->range;
			if (*budget == 0)
				return false;
			spend(budget, 1);
			if (b->dimension == FW_SERVICE ? !service_event(b, &snap_services(s)[i], b->next)
						       : !addr_event(b, &snap_ranges(s)[i], b->next)) {
				b->failed = true;
				return false;
			}
		}
	}
	return true;
}

/* Merge sort from below: each pass merges neighbouring runs of `run` events into `sorted`. */
static bool events_sort(struct fw_build *b, uint32_t *budget)
{
	struct fw_events *e = &b->events;

	if (e->n > 1 && !b->sorted && !(b->sorted = malloc(sizeof *b->sorted * e->room)))
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
		b->sorted = was;
		b->next = 0;
	}
	return true;
}

/* Does event i begin another interval than the one before it? */
static bool is_edge(const struct fw_events *e, uint32_t i)
{
	return e->event[i].at != 0 && (i == 0 || e->event[i].at != e->event[i - 1].at);
}

static bool edges_count(struct fw_build *b, uint32_t *budget)
{
	const struct fw_events *e = &b->events;

	for (; b->next < e->n; b->next++, --*budget) {
		if (*budget == 0)
			return false;
		b->edges += is_edge(e, b->next);
	}
	return true;
}

/* ---- sets ---- */

static uint64_t mixed(uint64_t x)
{
	x += 0x9e3779b97f4a7c15ull;
	x = (x ^ x >> 30) * 0xbf58476d1ce4e5b9ull;
	x = (x ^ x >> 27) * 0x94d049bb133111ebull;
	return x ^ x >> 31;
}

static void sign_turn(struct fw_build *b, uint32_t class)
{
	b->sign[0] ^= mixed(2ull * class + 1);
	b->sign[1] ^= mixed(~(2ull * class));
}

static void class_note(struct fw_build *b, uint32_t class)
{
	struct fw_class *x = &classes_of(b)->class[class];
	uint32_t interval = b->matcher->dimension[b->dimension].n;

	if (b->join > 1 && x->seen != interval) {
		x->seen = interval;
		b->seen[b->seen_n++] = class;
	}
}

static void class_step(struct fw_build *b, uint32_t class, int32_t step)
{
	struct fw_class *x = &classes_of(b)->class[class];
	bool was = x->open > 0;

	x->open += (uint32_t)step;
	if (was == (x->open > 0))
		return;
	sign_turn(b, class);
	if (!was) {
		x->place = b->open_n;
		b->open[b->open_n++] = class;
		class_note(b, class);
	} else {
		uint32_t last = b->open[--b->open_n];
		b->open[x->place] = last;
		classes_of(b)->class[last].place = x->place;
	}
}

/* The rules of these classes, in b->now. */
static void rules_enter(struct fw_build *b, const uint32_t *class, uint32_t n)
{
	const struct fw_classes *c = classes_of(b);
	uint32_t bits = fw_set_words(b->matcher->words);

	for (uint32_t i = 0; i < n; i++)
		for (uint32_t r = c->class[class[i]].rules; r != 0; r = c->next[r - 1]) {
			uint32_t word = (r - 1) / 64;
			b->now[word / 64] |= 1ull << word % 64;
			b->now[bits + word] |= 1ull << (r - 1) % 64;
			b->work++;
		}
}

/* b->now is packed behind the other sets, and is empty again. False: no memory. */
static bool set_pack(struct fw_build *b, struct fw_dimension *d)
{
	uint32_t bits = fw_set_words(b->matcher->words), head = 1 + bits + (bits + 1) / 2, n = 0;

	if (b->sets_n + head + b->matcher->words > d->sets_room) {
		uint64_t room = 2 * d->sets_room + head + b->matcher->words;
		uint64_t *more = reallocarray(d->sets, room, sizeof *more);
		if (!more)
			return false;
		d->sets = more;
		d->sets_room = room;
	}
	uint64_t *top = d->sets + b->sets_n, *block = top + 1, *words = top + head;
	uint32_t *before = (uint32_t *)(void *)(block + bits);
	memset(top, 0, head * sizeof *top);
	for (uint32_t i = 0; i < bits; i++) {
		*top |= (uint64_t)(b->now[i] != 0) << i;
		before[i] = n;
		block[i] = b->now[i];
		for (uint64_t left = block[i]; left; left &= left - 1) {
			uint64_t *word = &b->now[bits + 64 * i + (uint32_t)__builtin_ctzll(left)];
			words[n++] = *word;
			*word = 0;
		}
		b->now[i] = 0;
	}
	b->sets_n += head + n;
	return true;
}

/* The set of the classes that are open; ret_set counted from 1, 0: there is none yet. */
static uint32_t set_find(const struct fw_build *b)
{
	uint32_t i = b->bucket[b->sign[0] & b->bucket_mask];

	while (i != 0 && memcmp(b->signs[i - 1].sign, b->sign, sizeof b->sign) != 0)
		i = b->signs[i - 1].next;
	return i;
}

/* The block of the set of the classes that are open. False: no memory. */
static bool block_give(struct fw_build *b, uint32_t *ret_at, uint32_t *budget)
{
	struct fw_dimension *d = &b->matcher->dimension[b->dimension];
	uint32_t i = b->join > 1 ? 0 : set_find(b);
	uint64_t before = b->work;

	if (i == 0) {
		if (!grow((void **)&b->signs, &b->room_sets, d->n_sets, sizeof *b->signs))
			return false;
		struct fw_sign *x = &b->signs[d->n_sets];
		assert(b->sets_n < FW_SET_ONE);
		x->at = (uint32_t)b->sets_n;
		rules_enter(b, b->join > 1 ? b->seen : b->open, b->join > 1 ? b->seen_n : b->open_n);
		if (!set_pack(b, d))
			return false;
		i = ++d->n_sets;
		memcpy(x->sign, b->sign, sizeof x->sign);
		x->next = b->bucket[b->sign[0] & b->bucket_mask];
		b->bucket[b->sign[0] & b->bucket_mask] = i;
		spend(budget, 1 + (b->work - before + b->matcher->words / 8) / FW_PREPARE_WORDS);
	}
	*ret_at = b->signs[i - 1].at;
	return true;
}

/* A set for the last interval. False: no memory. */
static bool set_give(struct fw_build *b, uint32_t *budget)
{
	struct fw_dimension *d = &b->matcher->dimension[b->dimension];
	const struct fw_class *only =
		b->join == 1 && b->open_n == 1 ? &classes_of(b)->class[b->open[0]] : NULL;
	uint32_t at;

	if (only && only->count == 1)
		at = FW_SET_ONE | (only->rules - 1);
	else if (!block_give(b, &at, budget))
		return false;
	if (is_wide(b->dimension))
		d->set[d->n - 1] = at;
	else
		d->interval[d->n - 1].set = at;
	return true;
}

/* Room for all of them: each edge begins one at most. What is not written costs no memory. */
static bool intervals_new(struct fw_build *b, struct fw_dimension *d, uint32_t n)
{
	size_t bytes = ((size_t)n * sizeof *d->interval + LINE_PAIR - 1) / LINE_PAIR * LINE_PAIR;

	free(d->interval);
	free(d->start);
	free(d->set);
	d->interval = NULL;
	d->start = NULL;
	d->set = NULL;
	d->room = n;
	if (!is_wide(b->dimension)) {
		d->interval = aligned_alloc(LINE_PAIR, bytes);
		return d->interval;
	}
	d->start = malloc(n * sizeof *d->start);
	d->set = malloc(n * sizeof *d->set);
	return d->start && d->set;
}

/* An interval begins; its set is given when its last event is known. */
static void interval_begin(struct fw_build *b, fw_point at)
{
	struct fw_dimension *d = &b->matcher->dimension[b->dimension];

	assert(d->n < d->room);
	if (is_wide(b->dimension))
		d->start[d->n] = at;
	else
		d->interval[d->n].start = (uint32_t)at;
	d->n++;
	b->inside = 0;
	b->seen_n = 0;
	for (uint32_t i = 0; i < b->open_n && b->join > 1; i++)
		class_note(b, b->open[i]);
}

/* From the first event on, with so many intervals in one. False: no memory. */
static bool sweep_begin(struct fw_build *b, uint32_t join)
{
	struct fw_classes *c = classes_of(b);
	struct fw_dimension *d = &b->matcher->dimension[b->dimension];
	uint32_t bits = fw_set_words(b->matcher->words), buckets = 64;

	while (buckets < b->edges / 4 && buckets < 1u << 20)
		buckets *= 2;
	free(b->open);
	free(b->seen);
	free(b->now);
	free(b->bucket);
	b->open = calloc(c->n + 1u, sizeof *b->open);
	b->seen = calloc(c->n + 1u, sizeof *b->seen);
	b->now = calloc(bits + 64ull * bits, sizeof *b->now);
	b->bucket = calloc(buckets, sizeof *b->bucket);
	b->bucket_mask = buckets - 1;
	b->join = join;
	d->exact &= join == 1;
	b->next = b->inside = b->open_n = b->seen_n = 0;
	b->work = b->sets_n = b->sign[0] = b->sign[1] = 0;
	d->n = d->n_sets = 0;
	for (uint32_t i = 0; i < c->n; i++)
		c->class[i].open = c->class[i].seen = 0;
	b->failed =
		!b->open || !b->seen || !b->now || !b->bucket || !intervals_new(b, d, b->edges / join + 2);
	if (!b->failed)
		interval_begin(b, 0);
	return !b->failed;
}

/* So many intervals in one that neither the memory nor the work is too much, whatever the sets are. */
static uint32_t join_of(const struct fw_build *b)
{
	uint64_t all = (uint64_t)b->edges * (b->matcher->words + 2 * fw_set_words(b->matcher->words)),
		 work = (uint64_t)b->edges * b->matcher->count;

	return (uint32_t)MAX_OF(2 + all / FW_MATCHER_WORDS_MAX, 2 + work / FW_MATCHER_WORK_MAX);
}

/*
 * Sweeps over the sorted events with the classes that are open. `join` intervals make one: its set is the union, so a class that
 * ends inside stays in it until the interval is closed.
 */
static bool sets_fill(struct fw_build *b, uint32_t *budget)
{
	const struct fw_events *e = &b->events;

	for (; b->next < e->n; b->next++) {
		const struct fw_event *v = &e->event[b->next];
		if (*budget == 0)
			return false;
		--*budget;
		if (is_edge(e, b->next) && ++b->inside == b->join) {
			b->failed = !set_give(b, budget);
			if (b->failed)
				return false;
			interval_begin(b, v->at);
			if (b->join == 1 &&
				(b->sets_n > FW_MATCHER_WORDS_MAX || b->work > FW_MATCHER_WORK_MAX))
				return sweep_begin(b, join_of(b)) && sets_fill(b, budget);
		}
		class_step(b, v->class, v->step);
	}
	b->failed = !set_give(b, budget);
	return !b->failed;
}

/* Begins the next level, if there is one: of what the last one stands for so many have a place in it. */
static bool level_begin(struct fw_build *b, struct fw_dimension *d)
{
	uint32_t below = d->levels ? d->level[d->levels - 1].n : d->n, each = d->levels ? FW_LEVEL : FW_LEAF;

	if (is_wide(b->dimension) || d->n < FW_LEVELS_MIN || below <= FW_LEVEL)
		return false;
	assert(d->levels < FW_LEVELS_MAX);
	struct fw_level *l = &d->level[d->levels];
	l->n = (below + each - 1) / each;
	l->start =
		aligned_alloc(LINE_PAIR, (l->n * sizeof *l->start + LINE_PAIR - 1) / LINE_PAIR * LINE_PAIR);
	b->failed = !l->start;
	d->levels += !b->failed;
	b->next = 0;
	return !b->failed;
}

/* False: the budget is used up, or there is no memory. */
static bool levels_make(struct fw_build *b, uint32_t *budget)
{
	struct fw_dimension *d = &b->matcher->dimension[b->dimension];

	do {
		struct fw_level *l = d->levels ? &d->level[d->levels - 1] : NULL;
		for (; l && b->next < l->n; b->next++) {
			if (*budget == 0)
				return false;
			spend(budget, b->next % 4 == 0);
			l->start[b->next] = d->levels > 1 ? l[-1].start[FW_LEVEL * b->next]
							  : d->interval[FW_LEAF * b->next].start;
		}
	} while (level_begin(b, d));
	return !b->failed;
}

/* ---- all of it ---- */

/* What is large of it is freed in pieces (FW_BUILD_SHED). */
static void dimension_end(struct fw_build *b)
{
	shed_add(&b->shed, b->events.event, b->events.room * sizeof *b->events.event);
	shed_add(&b->shed, b->sorted, b->events.room * sizeof *b->sorted);
	free(b->open);
	free(b->seen);
	free(b->now);
	shed_add(&b->shed, b->signs, b->room_sets * sizeof *b->signs);
	free(b->bucket);
	b->events = (struct fw_events){ 0 };
	b->sorted = NULL;
	b->open = b->seen = b->bucket = NULL;
	b->now = NULL;
	b->signs = NULL;
	b->room_sets = b->edges = 0;
}

static void dimension_begin(struct fw_build *b, uint32_t dimension)
{
	dimension_end(b);
	b->dimension = dimension;
	b->next = b->range = 0;
	b->run = 1;
	b->step = dimension < FW_DIMENSIONS ? FW_BUILD_EVENTS : FW_BUILD_READY;
	if (dimension < FW_SERVICE) /* of services source ports are not in the sets */
		b->matcher->dimension[dimension].exact = b->list == FW_LIST_POLICY;
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
	assert(m->words <= 64 * 64); /* RULES_MAX: bits of words have 64 words at most */
	if (count <= FW_MATCHER_LINEAR_MAX)
		return true;
	m->dimension = calloc(FW_DIMENSIONS, sizeof *m->dimension);
	b->step = FW_BUILD_CLASSES;
	return m->dimension;
}

bool fw_build_go(struct fw_build *b, const struct snapshot *s, uint32_t *budget)
{
	while (b->step != FW_BUILD_READY) {
		switch (b->step) {
		case FW_BUILD_CLASSES:
			if (!classes_collect(b, s, budget))
				return false;
			dimension_begin(b, 0);
			break;
		case FW_BUILD_EVENTS:
			if (!events_collect(b, s, budget))
				return false;
			b->next = 0;
			b->step = FW_BUILD_SORT;
			break;
		case FW_BUILD_SORT:
			if (!events_sort(b, budget))
				return false;
			b->next = 0;
			b->step = FW_BUILD_COUNT;
			break;
		case FW_BUILD_COUNT:
			if (!edges_count(b, budget) || !sweep_begin(b, 1))
				return false;
			b->step = FW_BUILD_FILL;
			break;
		case FW_BUILD_FILL:
			if (!sets_fill(b, budget))
				return false;
			b->next = 0;
			b->step = FW_BUILD_LEVELS;
			break;
		case FW_BUILD_LEVELS:
			if (!levels_make(b, budget))
				return false;
			dimension_end(b);
			b->step = FW_BUILD_SHED;
			break;
		case FW_BUILD_SHED:
			if (!shed_some(&b->shed, budget))
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
	uint32_t all = UINT32_MAX;

	fw_matcher_free(b->matcher);
	dimension_end(b);
	shed_some(&b->shed, &all); /* nothing, of one that is ready */
	for (int k = 0; k < FW_BYS; k++) {
		free(b->by[k].class);
		free(b->by[k].of);
		free(b->by[k].next);
	}
	*b = (struct fw_build){ .step = FW_BUILD_READY };
}
