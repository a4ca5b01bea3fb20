/*
 * First match over an ordered list of rules, in a time that hardly grows with the list.
 *
 * Each dimension (source and destination of either family, protocol with port) is divided into intervals at
 * the rules' edges; each interval has the set of rules that may match there, as bits. A lookup finds one
 * interval in each dimension, intersects the three sets, and applies the exact check to each remaining bit in order. Sets are
 * sparse: bits say which words of 64 rules are not empty, a word says which words of these bits are not, and these are
 * intersected first. A set of one rule is in its interval. The sets may be too large, never too small: where they would take too
 * much memory, neighbouring intervals are joined, and of a wildcard the least and the greatest address are known only. Where
 * neither is so, a rule of policy that is in an address's set has this address, and is not asked for it again. All else is decided by
 * the exact check; the tests compare the result with a linear search. build.c makes the sets.
 *
 * With many addresses a lookup waits for memory most of its time, one line after the other. So fw_matcher_fetch() goes the same way
 * with all first packets of a burst side by side, and fetches what the next step of each will read.
 */
#include "firewall/internal.h"

#include <assert.h>
#include <stddef.h>
#include <stdlib.h>

bool fw_ranges_hold(const struct snapshot *s, struct span span, const struct ip_addr *a)
{
	const struct ip_range *r = snap_ranges(s) + span.first;
	uint32_t n = span.count;

	for (; n > 0 && range_is_wildcard(&r[n - 1]);
		n--) /* behind the others, which are sorted and disjoint */
		if (range_holds(&r[n - 1], a))
			return true;
	if (n == 0)
		return span.count == 0;
	if (n <= FW_RANGES_LINEAR_MAX) {
		for (uint32_t i = 0; i < n; i++)
			if (range_holds(&r[i], a))
				return true;
		return false;
	}
	/* The last one that begins at or before the address, if any does. */
	while (n > 1) {
		uint32_t half = n / 2;
		r = addr_compare(&r[half].first, a) <= 0 ? r + half : r;
		n -= half;
	}
	return range_holds(r, a);
}

bool fw_nat_pool_holds(const struct snapshot *s, const struct snap_nat_rule *rule, const struct ip_addr *addr)
{
	const struct ip_range *more = snap_ranges(s) + rule->pool_more.first;

	if (range_holds(&rule->pool, addr))
		return true;
	for (uint32_t i = 0; i < rule->pool_more.count; i++) /* in the order of the text */
		if (range_holds(&more[i], addr))
			return true;
	return false;
}

/* Services of protocols without ports match by protocol alone. */
static bool service_matches(const struct snap_service *v, const struct fw_tuple *t)
{
	bool ports = ip_has_ports(t->proto);

	if (v->proto != t->proto)
		return v->proto == 0;
	if (!ports && !fw_is_icmp(t->proto))
		return true;
	if (t->service_port < v->dst_first || t->service_port > v->dst_last)
		return false;
	uint16_t source = ports ? t->src_port : t->icmp_code;
	return source >= v->src_first && source <= v->src_last;
}

/* What the search has found out already. */
struct known {
	bool src, dst; /* the rule has the address */
};

static bool rule_matches(const struct snapshot *s, const struct snap_rule *r, const struct fw_tuple *t,
	struct known known, uint32_t *ret_timeout_s)
{
	if (!snap_rule_in_force(s, r) || (r->from_zone != ZONE_ANY && r->from_zone != t->from) ||
		(r->to_zone != ZONE_ANY && r->to_zone != t->to) ||
		(!known.src && !fw_ranges_hold(s, r->src, &t->src)) ||
		(!known.dst && !fw_ranges_hold(s, r->dst, &t->dst)))
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
						       : t->dst.family;
	if (family != t->dst.family) /* that of the source is another one with NAT64 */
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

void fw_matcher_free(struct fw_matcher *m)
{
	if (!m)
		return;
	for (int k = 0; m->dimension && k < FW_DIMENSIONS; k++) {
		struct fw_dimension *d = &m->dimension[k];
		free(d->interval);
		free(d->start);
		free(d->set);
		for (uint32_t i = 0; i < d->levels; i++)
			free(d->level[i].start);
		free(d->sets);
		free(d->any);
	}
	free(m->dimension);
	free(m);
}

void fw_matcher_shed(struct fw_matcher *m, struct shed *shed)
{
	for (int k = 0; m && m->dimension && k < FW_DIMENSIONS; k++) {
		struct fw_dimension *d = &m->dimension[k];
		shed_add(shed, d->interval, d->room * sizeof *d->interval);
		shed_add(shed, d->start, d->room * sizeof *d->start);
		shed_add(shed, d->set, d->room * sizeof *d->set);
		shed_add(shed, d->sets, d->sets_room * sizeof *d->sets);
		d->interval = NULL;
		d->start = NULL;
		d->set = NULL;
		d->sets = NULL;
	}
}

/* A set of an interval, and with it the rules that any value will do for. */
struct set {
	uint64_t top; /* which words of bits are not empty */
	uint32_t one; /* bits NULL: the only rule of the set */
	const uint64_t *bits, *words, *any_bits, *any;
	const uint32_t *before; /* of each word of bits: words that are stored before its own */
};

/* The search for the last interval that begins at or before a point, first in the levels: start[low] <= at always holds. */
struct search {
	const struct fw_dimension *d;
	fw_point at;
	uint32_t low, n; /* it is one of so many from here */
	uint32_t level;	 /* of d->level, counted from 1; 0: of the intervals */
};

static inline struct search search_begin(const struct fw_dimension *d, fw_point at)
{
	return (struct search){ d, at, 0, d->levels ? d->level[d->levels - 1].n : d->n, d->levels };
}

static inline bool search_is_over(const struct search *s)
{
	return s->n == 1 && s->level == 0;
}

/* To the end of this level, or of the intervals; of many IPv6 addresses the half of what is left. */
static inline void search_step(struct search *s)
{
	const struct fw_dimension *d = s->d;
	uint32_t low = s->low, n = s->n, half, at = (uint32_t)s->at;

	if (s->level) {
		const uint32_t *start = d->level[s->level - 1].start;
		for (; n > 1; n -= half) {
			half = n / 2;
			low = start[low + half] <= at ? low + half : low;
		}
		uint32_t all = --s->level ? d->level[s->level - 1].n : d->n;
		uint32_t each = s->level ? FW_LEVEL : FW_LEAF;
		low *= each;
		n = MIN_OF(all - low, each);
	} else if (d->interval) {
		for (; n > 1; n -= half) {
			half = n / 2;
			low = d->interval[low + half].start <= at ? low + half : low;
		}
	} else {
		half = n / 2;
		low = d->start[low + half] <= s->at ? low + half : low;
		n -= half;
	}
	s->low = low;
	s->n = n;
}

static inline uint32_t search_end(const struct search *s)
{
	assert(s->low < s->d->n);
	return s->d->interval ? s->d->interval[s->low].set : s->d->set[s->low];
}

static uint32_t service_point(const struct fw_tuple *t)
{
	return (uint32_t)t->proto << 16 | t->service_port;
}

/* Of a packet: what is searched for in each of its three dimensions. */
static void searches_begin(const struct fw_matcher *m, const struct fw_tuple *t, struct search ret_search[3])
{
	bool is_v4 = t->src.family == ADDR_V4, to_v4 = t->dst.family == ADDR_V4;

	ret_search[0] = search_begin(
		&m->dimension[is_v4 ? FW_SRC4 : FW_SRC6], is_v4 ? load_be32(t->src.b) : fw_point_of(&t->src));
	ret_search[1] = search_begin(
		&m->dimension[to_v4 ? FW_DST4 : FW_DST6], to_v4 ? load_be32(t->dst.b) : fw_point_of(&t->dst));
	ret_search[2] = search_begin(&m->dimension[FW_SERVICE], service_point(t));
}

static struct set set_of(const struct fw_matcher *m, const struct fw_dimension *d, uint32_t at)
{
	uint32_t bits = fw_set_words(m->words), one = at & ~FW_SET_ONE;
	struct set set = { .any_bits = d->any, .any = d->any + bits };

	if (at & FW_SET_ONE) {
		set.one = one;
		set.top = d->any_top | 1ull << one / 4096;
		return set;
	}
	const uint64_t *block = d->sets + at;
	set.top = d->any_top | block[0];
	set.bits = block + 1;
	set.before = (const uint32_t *)(const void *)(set.bits + bits);
	set.words = set.bits + bits + (bits + 1) / 2;
	return set;
}

static inline uint64_t set_bits(const struct set *s, uint32_t i)
{
	uint64_t one = s->one / 4096 == i ? 1ull << s->one / 64 % 64 : 0;

	return (s->bits ? s->bits[i] : one) | s->any_bits[i];
}

/* Of word 64 * i + bit. */
static inline uint64_t set_word(const struct set *s, uint32_t i, uint32_t bit)
{
	uint64_t word = s->any[64 * i + bit];

	if (!s->bits)
		return word | (s->one / 64 == 64 * i + bit ? 1ull << s->one % 64 : 0);
	if (s->bits[i] >> bit & 1)
		word |= s->words[s->before[i] +
				 (uint32_t)__builtin_popcountll(s->bits[i] & ((1ull << bit) - 1))];
	return word;
}

/* Candidates, one after the other: the next word of 64 that has some. */
struct candidates {
	struct set set[3];
	uint32_t from; /* the first rule */
	uint64_t top;  /* words of bits that are not read yet */
	uint32_t i;    /* the one that is being read */
	uint64_t left; /* its bits */
};

static struct candidates candidates_at(
	const struct fw_matcher *m, const struct search search[3], bool services, uint32_t from)
{
	struct candidates c = { .from = from, .top = UINT64_MAX << from / 4096 };

	for (int k = 0; k < (services ? 3 : 2); k++)
		c.set[k] = set_of(m, search[k].d, search_end(&search[k]));
	if (!services)
		c.set[2] = c.set[1]; /* changes nothing */
	for (int k = 0; k < 3; k++)
		c.top &= c.set[k].top;
	return c;
}

static struct candidates candidates_of(
	const struct fw_matcher *m, const struct fw_tuple *t, bool services, uint32_t from)
{
	struct search search[3];

	searches_begin(m, t, search);
	for (int k = 0; k < (services ? 3 : 2); k++)
		while (!search_is_over(&search[k]))
			search_step(&search[k]);
	return candidates_at(m, search, services, from);
}

/* False: there are no more. */
static bool candidates_next(struct candidates *c, uint32_t *ret_word, uint64_t *ret_rules)
{
	const struct set *a = &c->set[0], *b = &c->set[1], *d = &c->set[2];

	for (;;) {
		for (; c->left; c->left &= c->left - 1) {
			uint32_t bit = (uint32_t)__builtin_ctzll(c->left);
			uint64_t rules = set_word(a, c->i, bit) & set_word(b, c->i, bit);
			if (rules)
				rules &= set_word(d, c->i, bit);
			if (!rules)
				continue;
			c->left &= c->left - 1;
			*ret_word = 64 * c->i + bit;
			*ret_rules = rules;
			return true;
		}
		if (!c->top)
			return false;
		c->i = (uint32_t)__builtin_ctzll(c->top);
		c->top &= c->top - 1;
		c->left = set_bits(a, c->i) & set_bits(b, c->i) & set_bits(d, c->i);
		if (c->i == c->from / 4096)
			c->left &= UINT64_MAX << c->from / 64 % 64;
	}
}

static struct known known_of(const struct fw_matcher *m, const struct fw_tuple *t)
{
	return (struct known){ m->dimension[t->src.family == ADDR_V4 ? FW_SRC4 : FW_SRC6].exact,
		m->dimension[t->dst.family == ADDR_V4 ? FW_DST4 : FW_DST6].exact };
}

uint32_t fw_matcher_rule(const struct fw_matcher *m, const struct snapshot *s, const struct fw_tuple *t,
	uint32_t *ret_timeout_s)
{
	const struct snap_rule *rules = snap_rules(s) + (m ? m->first : 0);

	if (!m)
		return FW_NONE;
	if (!m->dimension) {
		for (uint32_t i = 0; i < m->count; i++)
			if (rule_matches(s, &rules[i], t, (struct known){ 0 }, ret_timeout_s))
				return m->first + i;
		return FW_NONE;
	}
	const struct known known = known_of(m, t);
	struct candidates c = candidates_of(m, t, true, 0);
	uint32_t w;
	for (uint64_t left; candidates_next(&c, &w, &left);)
		for (; left; left &= left - 1) {
			uint32_t i = 64 * w + (uint32_t)__builtin_ctzll(left);
			assert(i < m->count);
			if (rule_matches(s, &rules[i], t, known, ret_timeout_s))
				return m->first + i;
		}
	return FW_NONE;
}

uint32_t fw_matcher_rule_fetched(const struct fw_matcher *m, const struct snapshot *s,
	const struct fw_tuple *t, const struct fw_fetched *f, uint32_t *ret_timeout_s)
{
	if (!m || f->matcher != m || f->service != service_point(t) || !addr_equal(&f->dst, &t->dst) ||
		!addr_equal(&f->src, &t->src))
		return fw_matcher_rule(m, s, t, ret_timeout_s);
	if (f->rule == FW_NONE || rule_matches(s, &snap_rules(s)[f->rule], t, known_of(m, t), ret_timeout_s))
		return f->rule;
	return fw_matcher_rule(m, s, t, ret_timeout_s);
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
	struct candidates c = candidates_of(m, t, false, 0);
	uint32_t w;
	for (uint64_t left; candidates_next(&c, &w, &left);)
		for (; left; left &= left - 1) {
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
	struct candidates c = candidates_of(m, t, true, from);
	uint32_t w;
	for (uint64_t left; candidates_next(&c, &w, &left);)
		for (; left; left &= left - 1) {
			uint32_t i = 64 * w + (uint32_t)__builtin_ctzll(left);
			assert(i < m->count);
			if (i >= from && dnat_rule_matches(s, &rules[i], t, interfaces, ret_by_interface))
				return i;
		}
	return FW_NONE;
}

/* ---- fetching for many packets ---- */

static void lines_fetch(const void *at, size_t n)
{
	const uint8_t *line = at;

	for (size_t i = 0; i < n; i += 64)
		__builtin_prefetch(line + i);
	__builtin_prefetch(line + n - 1);
}

/* What search_step() reads next: of a level all that is left. */
static void step_fetch(const struct search *s)
{
	const struct fw_dimension *d = s->d;
	uint32_t middle = s->low + s->n / 2;

	if (s->level)
		lines_fetch(&d->level[s->level - 1].start[s->low], s->n * sizeof *d->level->start);
	else if (d->levels)
		lines_fetch(&d->interval[s->low], s->n * sizeof *d->interval);
	else
		__builtin_prefetch(d->interval ? (const void *)&d->interval[middle] : &d->start[middle]);
}

/* All of them step by step; those that have levels, a level at a time. */
static void searches_fetch(
	const struct fw_matcher *m, const struct fw_tuple *t, uint32_t n, struct search (*ret_search)[3])
{
	bool more = true;

	for (uint32_t i = 0; i < n; i++) {
		searches_begin(m, &t[i], ret_search[i]);
		for (int k = 0; k < 3; k++)
			step_fetch(&ret_search[i][k]);
	}
	while (more) {
		more = false;
		for (uint32_t i = 0; i < 3 * n; i++) {
			struct search *s = &ret_search[i / 3][i % 3];
			if (search_is_over(s))
				continue;
			search_step(s);
			if (!search_is_over(s))
				step_fetch(s);
			more = true;
		}
	}
}

/* Octets of a rule that are read: all behind its names. */
#define RULE_READ (sizeof(struct snap_rule) - offsetof(struct snap_rule, from_zone))

static void span_fetch(const struct snapshot *s, struct span span)
{
	const struct ip_range *r = snap_ranges(s) + span.first;

	if (span.count > 0)
		lines_fetch(r, MIN_OF(span.count, (uint32_t)FW_RANGES_LINEAR_MAX) * sizeof *r);
}

/* Of a set the words that candidates_next() reads first. */
static void set_fetch(const struct set *s, uint32_t i)
{
	if (!s->bits)
		return;
	__builtin_prefetch(&s->bits[i]);
	__builtin_prefetch(&s->before[i]);
	__builtin_prefetch(s->words);
}

/* The first rule of the candidates that are left, or FW_NONE. */
static uint32_t first_candidate(const struct fw_matcher *m, struct candidates *c)
{
	uint64_t left;
	uint32_t w;

	return candidates_next(c, &w, &left) ? m->first + 64 * w + (uint32_t)__builtin_ctzll(left) : FW_NONE;
}

void fw_matcher_fetch(const struct fw_matcher *m, const struct snapshot *s, const struct fw_tuple *t,
	uint32_t n, struct fw_fetched *ret_fetched)
{
	struct search search[TRAIN_BURST_MAX][3];
	struct candidates c[TRAIN_BURST_MAX];

	assert(m->dimension && n <= TRAIN_BURST_MAX);
	searches_fetch(m, t, n, search);
	for (uint32_t i = 0; i < n; i++)
		for (int k = 0; k < 3; k++) {
			uint32_t at = search_end(&search[i][k]);
			if (!(at & FW_SET_ONE))
				__builtin_prefetch(search[i][k].d->sets + at);
		}
	for (uint32_t i = 0; i < n; i++) {
		c[i] = candidates_at(m, search[i], true, 0);
		for (int k = 0; k < 3 && c[i].top; k++)
			set_fetch(&c[i].set[k], (uint32_t)__builtin_ctzll(c[i].top));
	}
	for (uint32_t i = 0; i < n; i++) {
		uint32_t rule = first_candidate(m, &c[i]);
		ret_fetched[i] = (struct fw_fetched){ m, t[i].src, t[i].dst, service_point(&t[i]), rule };
		if (rule != FW_NONE)
			lines_fetch(&snap_rules(s)[rule].from_zone, RULE_READ);
	}
	for (uint32_t i = 0; i < n; i++) {
		if (ret_fetched[i].rule == FW_NONE)
			continue;
		const struct snap_rule *r = &snap_rules(s)[ret_fetched[i].rule];
		const struct known known = known_of(m, &t[i]);
		if (!known.src)
			span_fetch(s, r->src);
		if (!known.dst)
			span_fetch(s, r->dst);
		if (r->services.count > 0)
			__builtin_prefetch(snap_services(s) + r->services.first);
	}
}
