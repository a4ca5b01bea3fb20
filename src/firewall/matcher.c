/*
 * First match over an ordered list of rules, in a time that hardly grows with the list.
 *
 * Each dimension (source and destination of either family, protocol with port) is divided into intervals at
 * the rules' edges; each interval has the set of rules that may match there, as bits. A lookup finds one
 * interval in each dimension, intersects the three sets word by word, and applies the exact check to each
 * remaining bit in order. The sets may be too large, never too small: where a list is so long that its sets
 * would take too much memory, neighbouring intervals are joined. Only the exact check decides; the test
 * compares the result with a linear search. build.c makes them.
 */
#include "firewall/internal.h"

#include <assert.h>
#include <stdlib.h>

bool fw_ranges_hold(const struct snapshot *s, struct span span, const struct ip_addr *a)
{
	const struct ip_range *ranges = snap_ranges(s) + span.first;

	for (uint32_t i = 0; i < span.count; i++)
		if (range_holds(&ranges[i], a))
			return true;
	return span.count == 0;
}

bool fw_nat_pool_holds(const struct snapshot *s, const struct snap_nat_rule *rule, const struct ip_addr *addr)
{
	return range_holds(&rule->pool, addr) ||
	       (rule->pool_more.count && fw_ranges_hold(s, rule->pool_more, addr));
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
		free(m->dimension[k].start);
		free(m->dimension[k].words);
	}
	free(m->dimension);
	free(m);
}

static const uint64_t *set_at(const struct fw_dimension *d, fw_point at, uint32_t words)
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
	bool src4 = t->src.family == ADDR_V4, dst4 = t->dst.family == ADDR_V4;
	const struct fw_dimension *d = m->dimension;

	return (struct sets){
		.src = set_at(&d[src4 ? FW_SRC4 : FW_SRC6], fw_point_of(&t->src), m->words),
		.dst = set_at(&d[dst4 ? FW_DST4 : FW_DST6], fw_point_of(&t->dst), m->words),
		.service = nat ? NULL
			       : set_at(&d[FW_SERVICE], (fw_point)t->proto << 16 | t->service_port, m->words),
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
