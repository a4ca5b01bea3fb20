/*
 * First match over an ordered list of rules, in a time that hardly grows with the list.
 *
 * Each dimension (source and destination of either family, protocol with port) is divided into intervals at
 * the rules' edges; each interval has the set of rules that may match there, as bits. A lookup finds one
 * interval in each dimension, intersects the three sets, and applies the exact check to each remaining bit in order. Sets are
 * sparse and have two levels: bits say which words of 64 rules are not empty, and these bits are intersected first, so that
 * of 100,000 rules a lookup reads 25 words of each set and few of the 1,563 below them. The sets may be too large, never
 * too small: where they would take too much memory, neighbouring intervals are joined. Only the exact check decides; the test
 * compares the result with a linear search. build.c makes them.
 */
#include "firewall/internal.h"

#include <assert.h>
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
	return !ports || (t->src_port >= v->src_first && t->src_port <= v->src_last);
}

static bool rule_matches(const struct snapshot *s, const struct snap_rule *r, const struct fw_tuple *t,
	uint32_t *ret_timeout_s)
{
	if (!snap_rule_in_force(s, r) || (r->from_zone != ZONE_ANY && r->from_zone != t->from) ||
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
		free(d->top);
		free(d->sets);
		free(d->any);
	}
	free(m->dimension);
	free(m);
}

/* A set of an interval, and with it the rules that any value will do for. */
struct set {
	const uint64_t *bits, *words, *any_bits, *any;
	const uint32_t *before; /* of each word of bits: words that are stored before its own */
};

/* The set of the last interval that begins at or before the point: start[low] <= at always holds. */
static uint32_t set_at(const struct fw_dimension *d, uint32_t at)
{
	uint32_t low = d->top ? d->top[at >> 16] : 0;

	for (uint32_t n = d->top ? d->top[(at >> 16) + 1] - low + 1 : d->n; n > 1;) {
		uint32_t half = n / 2;
		low = d->interval[low + half].start <= at ? low + half : low;
		n -= half;
	}
	assert(low < d->n);
	return d->interval[low].set;
}

static uint32_t wide_set_at(const struct fw_dimension *d, fw_point at)
{
	uint32_t low = 0;

	for (uint32_t n = d->n; n > 1;) {
		uint32_t half = n / 2;
		low = d->start[low + half] <= at ? low + half : low;
		n -= half;
	}
	assert(low < d->n);
	return d->set[low];
}

static struct set set_of(const struct fw_matcher *m, const struct fw_dimension *d, uint32_t at)
{
	uint32_t bits = fw_set_words(m->words);
	const uint64_t *block = d->sets + at;

	return (struct set){ .bits = block,
		.before = (const uint32_t *)(const void *)(block + bits),
		.words = block + bits + (bits + 1) / 2,
		.any_bits = d->any,
		.any = d->any + bits };
}

static struct set addr_set(const struct fw_matcher *m, uint32_t v4, uint32_t v6, const struct ip_addr *a)
{
	bool is_v4 = a->family == ADDR_V4;
	const struct fw_dimension *d = &m->dimension[is_v4 ? v4 : v6];

	return set_of(m, d, is_v4 ? set_at(d, load_be32(a->b)) : wide_set_at(d, fw_point_of(a)));
}

static inline uint64_t set_bits(const struct set *s, uint32_t i)
{
	return s->bits[i] | s->any_bits[i];
}

/* Of word 64 * i + bit. */
static inline uint64_t set_word(const struct set *s, uint32_t i, uint32_t bit)
{
	uint64_t word = s->any[64 * i + bit];

	if (s->bits[i] >> bit & 1)
		word |= s->words[s->before[i] +
				 (uint32_t)__builtin_popcountll(s->bits[i] & ((1ull << bit) - 1))];
	return word;
}

/* Candidates, one after the other: the next word of 64 that has some. */
struct candidates {
	struct set set[3];
	uint32_t words; /* of bits */
	uint32_t i;
	uint64_t left; /* bits of word i */
};

static struct candidates candidates_of(
	const struct fw_matcher *m, const struct fw_tuple *t, bool services, uint32_t from)
{
	struct candidates c = { .words = fw_set_words(m->words), .i = from / 4096 };

	c.set[0] = addr_set(m, FW_SRC4, FW_SRC6, &t->src);
	c.set[1] = addr_set(m, FW_DST4, FW_DST6, &t->dst);
	if (services) {
		const struct fw_dimension *d = &m->dimension[FW_SERVICE];
		c.set[2] = set_of(m, d, set_at(d, (uint32_t)t->proto << 16 | t->service_port));
	} else {
		c.set[2] = c.set[1]; /* changes nothing */
	}
	c.left = UINT64_MAX << from / 64 % 64;
	return c;
}

/* False: there are no more. */
static bool candidates_next(struct candidates *c, uint32_t *ret_word, uint64_t *ret_rules)
{
	const struct set *a = &c->set[0], *b = &c->set[1], *d = &c->set[2];

	for (; c->i < c->words; c->i++, c->left = UINT64_MAX) {
		c->left &= set_bits(a, c->i) & set_bits(b, c->i) & set_bits(d, c->i);
		while (c->left) {
			uint32_t bit = (uint32_t)__builtin_ctzll(c->left);
			uint64_t rules = set_word(a, c->i, bit) & set_word(b, c->i, bit);
			c->left &= c->left - 1;
			if (rules)
				rules &= set_word(d, c->i, bit);
			if (rules) {
				*ret_word = 64 * c->i + bit;
				*ret_rules = rules;
				return true;
			}
		}
	}
	return false;
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
	struct candidates c = candidates_of(m, t, true, 0);
	uint32_t w;
	for (uint64_t left; candidates_next(&c, &w, &left);)
		for (; left; left &= left - 1) {
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
