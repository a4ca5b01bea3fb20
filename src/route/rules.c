#include "route/rules.h"

#include <assert.h>
#include <stdlib.h>

void rules_init(struct rules *r)
{
	*r = (struct rules){ .plain = { true, true } };
}

void rules_done(struct rules *r)
{
	free(r->list);
	rules_init(r);
}

enum rc rules_add(struct rules *r, const struct route_rule *rule)
{
	assert(rule->family == ADDR_V4 || rule->family == ADDR_V6);
	if (r->n == ROUTE_RULES_MAX)
		return RC_LIMIT;
	if ((r->n & (r->n - 1)) == 0) { /* full: room for as many more */
		struct route_rule *list = realloc(r->list, MAX_OF(2 * r->n, 8u) * sizeof *list);
		if (!list)
			return RC_LIMIT;
		r->list = list;
	}
	uint32_t at = r->n++;
	for (; at > 0 && r->list[at - 1].priority > rule->priority; at--)
		r->list[at] = r->list[at - 1];
	r->list[at] = *rule;
	return RC_OK;
}

/* --- which rule fits --- */

static bool holds(const struct ip_prefix *p, const struct ip_addr *a)
{
	return p->bits == 0 || prefix_holds(p, a);
}

static bool in_range(const struct route_port_range *r, bool ports, uint16_t port)
{
	return r->last == 0 || (ports && port >= r->first && port <= r->last);
}

static bool is_called(const struct route_link *link, const struct route_rule *rule)
{
	return link && strncmp(link->name, rule->in, sizeof rule->in) == 0;
}

static bool fits(const struct route_rule *rule, const struct route_flow *f, const struct route_link *in,
	const struct route_link *vrf)
{
	bool all = !rule->never && (!rule->vrf || f->vrf != 0) && holds(&rule->src, &f->src) &&
		   holds(&rule->dst, &f->dst) &&
		   (rule->in[0] == 0 || is_called(in, rule) || is_called(vrf, rule)) &&
		   (rule->proto == 0 || rule->proto == f->proto) &&
		   in_range(&rule->src_ports, f->ports, f->src_port) &&
		   in_range(&rule->dst_ports, f->ports, f->dst_port);

	return all != rule->invert;
}

/* A rule for every packet. */
static bool fits_all(const struct route_rule *rule)
{
	bool conditions = rule->src.bits || rule->dst.bits || rule->in[0] || rule->proto ||
			  rule->src_ports.last || rule->dst_ports.last;

	return rule->invert ? rule->never || rule->vrf : !rule->never && !rule->vrf && !conditions;
}

/* Of those that are in no VRF. */
static bool fits_none(const struct route_rule *rule)
{
	return (rule->never || rule->vrf) && !rule->invert;
}

static bool is_main(uint32_t table)
{
	return table == ROUTE_TABLE_MAIN;
}

void rules_settle(struct rules *r, const struct tables *tables)
{
	for (uint32_t v6 = 0; v6 < 2; v6++) {
		static const uint32_t usual[] = { ROUTE_TABLE_LOCAL, ROUTE_TABLE_MAIN };
		uint32_t seen = 0;
		bool plain = true, any = false;
		for (uint32_t i = 0; i < r->n; i++) {
			const struct route_rule *rule = &r->list[i];
			if (rule->family != (v6 ? ADDR_V6 : ADDR_V4) || fits_none(rule))
				continue;
			any = true;
			bool lookup = rule->action == ROUTE_RULE_LOOKUP;
			if (rule->action == ROUTE_RULE_NOTHING ||
				(lookup && rule->table != ROUTE_TABLE_LOCAL && !is_main(rule->table) &&
					!tables_find(tables, rule->table)))
				continue;
			plain = plain && lookup && fits_all(rule) && rule->suppress_bits < 0 && seen < 2 &&
				rule->table == usual[seen];
			seen++;
		}
		r->plain[v6] = !any || (plain && seen == 2);
	}
}

/* --- the lookup --- */

/* The set of a table; NULL: go on to the next rule. */
static const struct nexthop_set *look_in(const struct routes *routes, const struct route_rule *rule,
	const struct route_flow *f, uint32_t *ret_hop)
{
	uint32_t bits = 0;
	const struct nexthop_set *set =
		routes ? routes_lookup_flow(routes, f, ret_hop, rule->suppress_bits < 0 ? NULL : &bits)
		       : NULL;

	if (!set || set->hop[*ret_hop].kind == ROUTE_THROW ||
		(rule->suppress_bits >= 0 && bits <= (uint32_t)rule->suppress_bits))
		return NULL;
	return set;
}

/* The kernel's rules point ahead only; where there is no such rule the one that points is passed over. */
static uint32_t target_of(const struct rules *r, uint32_t from)
{
	for (uint32_t i = from + 1; i < r->n; i++)
		if (r->list[i].priority == r->list[from].target && r->list[i].family == r->list[from].family)
			return i;
	return from + 1;
}

const struct nexthop_set *rules_lookup(const struct rules *r, const struct routes *main_routes,
	const struct tables *tables, const struct route_flow *f, const struct route_link *in,
	const struct route_link *vrf, uint32_t *ret_hop)
{
	for (uint32_t i = 0; i < r->n;) {
		const struct route_rule *rule = &r->list[i];
		if (rule->family != f->dst.family || !fits(rule, f, in, vrf)) {
			i++;
			continue;
		}
		if (rule->action == ROUTE_RULE_UNREACHABLE)
			return NULL;
		if (rule->action == ROUTE_RULE_GOTO) {
			i = target_of(r, i);
			continue;
		}
		uint32_t id = rule->vrf ? f->vrf : rule->table;
		const struct nexthop_set *set =
			rule->action == ROUTE_RULE_LOOKUP
				? look_in(is_main(id) ? main_routes : tables_find(tables, id), rule, f,
					  ret_hop)
				: NULL;
		if (set)
			return set;
		i++;
	}
	return NULL;
}
