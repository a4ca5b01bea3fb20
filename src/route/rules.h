/*
 * The kernel's routing rules (`ip rule`): which table a packet is looked up in, and in which order, for packets
 * that are forwarded. The first rule that fits and whose table has a route for the destination decides; a table
 * without one, and a route of type throw, go on to the next rule.
 *
 * What is as every host has it (local, then main, and nothing behind) is recognised when rules, links or tables
 * change, and then nobody walks rules: rules_plain().
 */
#ifndef ROUTE_RULES_H
#define ROUTE_RULES_H

#include "route/tables.h"

struct rules {
	struct route_rule
		*list; /* of both families, by rising priority, in the order of arrival within one */
	uint32_t n;
	bool plain[2]; /* IPv4, IPv6 */
};

void rules_init(struct rules *r);
void rules_done(struct rules *r);
enum rc rules_add(struct rules *r, const struct route_rule *rule); /* RC_LIMIT: not added */
/* After any change of rules and tables. */
void rules_settle(struct rules *r, const struct tables *tables);

static inline bool rules_plain(const struct rules *r, const struct ip_addr *dst)
{
	return r->plain[dst->family == ADDR_V6];
}

/*
 * The set that a flow goes by, and its first usable hop; NULL: none, it is unreachable. in: the link that it
 * comes by, vrf: the device of the VRF that this one is in; NULL for none. A rule may name either.
 */
const struct nexthop_set *rules_lookup(const struct rules *r, const struct routes *main_routes,
	const struct tables *tables, const struct route_flow *f, const struct route_link *in,
	const struct route_link *vrf, uint32_t *ret_hop);

#endif
