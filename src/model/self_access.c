/*
 * What a configuration lets in to the gateway itself: its rules of policy to self, in their order, and behind them the zone's
 * host-inbound. Where a rule may match some of the packets that are asked about, or matches at times only, both answers are
 * followed. Pure.
 */
#include "model/snapshot.h"

#include "base/bytes.h"

struct asked {
	uint8_t proto;
	uint16_t port;		    /* ICMP: type */
	const struct ip_addr *from; /* NULL: anybody */
};

enum match { MATCH_NONE, MATCH_SOME, MATCH_ALL };

static enum match address_match(const struct snapshot *s, struct span span, const struct ip_addr *a)
{
	if (span.count == 0)
		return MATCH_ALL;
	if (!a)
		return MATCH_SOME;
	for (uint32_t i = span.first; i < span.first + span.count; i++)
		if (range_holds(&snap_ranges(s)[i], a))
			return MATCH_ALL;
	return MATCH_NONE;
}

static enum match service_match(const struct snapshot *s, struct span span, const struct asked *x)
{
	bool ports = x->proto == 6 || x->proto == 17 || x->proto == 132;
	bool typed = x->proto == 1 || x->proto == 58;
	enum match best = span.count == 0 ? MATCH_ALL : MATCH_NONE;

	for (uint32_t i = span.first; i < span.first + span.count && best != MATCH_ALL; i++) {
		const struct snap_service *v = &snap_services(s)[i];
		bool any_source = (!ports && !typed) || (v->src_first == 0 && v->src_last == UINT16_MAX);
		if (v->proto == 0)
			best = MATCH_ALL;
		else if (v->proto == x->proto &&
			 ((!ports && !typed) || (x->port >= v->dst_first && x->port <= v->dst_last)))
			best = any_source ? MATCH_ALL : MATCH_SOME;
	}
	return best;
}

/* The destination is not asked about: which addresses the gateway has, only the machine knows. */
static enum match rule_match(const struct snapshot *s, const struct snap_rule *r, const struct asked *x)
{
	enum match source = address_match(s, r->src, x->from), service = service_match(s, r->services, x);

	if (source == MATCH_NONE || service == MATCH_NONE)
		return MATCH_NONE;
	return source == MATCH_ALL && service == MATCH_ALL && r->dst.count == 0 && r->schedule == INDEX_NONE
		       ? MATCH_ALL
		       : MATCH_SOME;
}

static enum match host_inbound(const struct snapshot *s, uint32_t zone, const struct asked *x)
{
	const struct span *services = &snap_zones(s)[zone].host_services;
	enum match best = MATCH_NONE;

	for (uint32_t i = services->first; i < services->first + services->count; i++) {
		const struct snap_host_service *v = &snap_host_services(s)[i];
		bool ports = v->first || v->last;
		if (v->proto == x->proto && (!ports || (x->port >= v->first && x->port <= v->last)))
			best = MAX_OF(best, address_match(s, v->from, x->from));
	}
	return best;
}

enum self_access snap_self_access(
	const struct snapshot *s, uint32_t zone, uint8_t proto, uint16_t port, const struct ip_addr *from)
{
	const struct asked x = { proto, port, from };
	bool opened = false, closed = false; /* by a rule that matches some of it */

	for (uint32_t i = 0; i < s->rules.count; i++) {
		const struct snap_rule *r = &snap_rules(s)[i];
		if (r->to_zone != ZONE_SELF || r->from_zone != zone)
			continue;
		enum match m = rule_match(s, r, &x);
		bool permits = r->action == RULE_PERMIT;
		if (m == MATCH_ALL)
			return (permits ? closed : opened) ? SELF_MAYBE : permits ? SELF_OPEN : SELF_CLOSED;
		opened |= m == MATCH_SOME && permits;
		closed |= m == MATCH_SOME && !permits;
	}
	enum match m = host_inbound(s, zone, &x);
	if (m == MATCH_ALL && !closed)
		return SELF_OPEN;
	return m != MATCH_NONE || opened ? SELF_MAYBE : SELF_CLOSED;
}

const char *snap_rule_zone(const struct snapshot *s, uint32_t zone)
{
	return zone == ZONE_SELF ? "self" : zone < s->zones.count ? snap_zones(s)[zone].name : "any";
}
