/*
 * Rules of policy to and from the gateway itself as text of the kernel's filter; part of the rule set of filter_text.c. Pure.
 *
 * To self: rules stand in the chains of their zone in front of what host-inbound opens, in their order; the first that
 * matches decides. What one permits is accepted, what one denies returns to a chain whose policy is to drop: so that of all
 * zones with tunnels, which come by one device, each opens what it opens. Rejecting is the data plane's, which has the packet
 * as well. What a rule permits has no entry in the kernel's table of connections, unless the rule limits sessions: then it is
 * what is counted, and the limit bounds the entries as well.
 *
 * From self: the zones that have such rules. By interface what the host sends to begin something meets them, and is dropped
 * where none permits it. Not asked are answers, IKE and ESP of the configured peers (OWN_MARK), and what the kernel needs on a
 * link. Into tunnels the data plane decides.
 */
#include "base/icmp.h"
#include "base/tw.h"
#include "proc/supervisor/filter_rules.h"
#include "proc/supervisor/supervisor.h"

#include <stdio.h>

#define IP_ANY_SERVICE ((struct snap_service){ .src_last = UINT16_MAX, .dst_last = UINT16_MAX })

void self_rules_find(struct self_rules *ret, const struct snapshot *snap, uint64_t schedules_off)
{
	*ret = (struct self_rules){ 0 };
	for (uint32_t i = 0; snap && i < snap->rules.count && ret->n < SELF_RULES_MAX; i++) {
		const struct snap_rule *r = &snap_rules(snap)[i];
		if (r->from_zone == ZONE_SELF)
			ret->from_self |= 1ull << r->to_zone;
		else if (r->to_zone != ZONE_SELF)
			continue;
		if (r->schedule < SCHEDULES_MAX)
			ret->schedules |= 1ull << r->schedule;
		if (r->schedule >= SCHEDULES_MAX || !(schedules_off >> r->schedule & 1))
			ret->at[ret->n++] = i;
	}
}

/* ---- sets of addresses: one for each family of each span ---- */

static void set_say(struct tw *t, const struct snapshot *snap, const struct span *from)
{
	for (int family = 4; family <= 6; family += 2) {
		bool any = false;
		for (uint32_t i = from->first; i < from->first + from->count; i++) {
			const struct ip_range *r = &snap_ranges(snap)[i];
			char first[ADDR_TEXT_MAX], last[ADDR_TEXT_MAX];
			if (r->first.family != (family == 4 ? ADDR_V4 : ADDR_V6))
				continue;
			if (!any)
				tw_say(t,
					"\tset from_%u_%u_v%d {\n\t\ttype ipv%d_addr; flags interval; "
					"elements = {",
					from->first, from->count, family, family);
			bool one = addr_compare(&r->first, &r->last) == 0;
			tw_say(t, "%s\n\t\t\t%s%s%s", any ? "," : "", addr_text(first, &r->first),
				one ? "" : "-", one ? "" : addr_text(last, &r->last));
			any = true;
		}
		if (any)
			tw_say(t, " }\n\t}\n");
	}
}

/* Of services of the zones, then sources and destinations of the rules. */
static const struct span *span_at(const struct snapshot *snap, const struct self_rules *self, uint32_t i)
{
	uint32_t services = snap->host_services.count;

	if (i < services)
		return &snap_host_services(snap)[i].from;
	const struct snap_rule *r = &snap_rules(snap)[self->at[(i - services) / 2]];
	return (i - services) % 2 ? &r->dst : &r->src;
}

/* Services of one statement, and all that name the same object of the book, share a set. */
void filter_sets(struct tw *t, const struct snapshot *snap, const struct self_rules *self)
{
	uint32_t n = snap->host_services.count + 2 * self->n;

	for (uint32_t i = 0; i < n; i++) {
		const struct span *span = span_at(snap, self, i);
		bool said = false;
		for (uint32_t k = 0; k < i && !said; k++)
			said = span_at(snap, self, k)->first == span->first &&
			       span_at(snap, self, k)->count == span->count;
		if (!said)
			set_say(t, snap, span);
	}
}

bool filter_set_has(const struct snapshot *snap, const struct span *span, uint8_t family)
{
	for (uint32_t i = span->first; i < span->first + span->count; i++)
		if (snap_ranges(snap)[i].first.family == family)
			return true;
	return false;
}

/* ---- one rule ---- */

static bool has_limits(const struct snap_rule *r)
{
	return r->action == RULE_PERMIT && (r->sessions_max || r->sessions_rate);
}

static void ports_say(struct tw *t, const char *name, const char *end, uint16_t first, uint16_t last)
{
	if (first == 0 && last == UINT16_MAX)
		return;
	tw_say(t, first == last ? "%s %s %u " : "%s %s %u-%u ", name, end, first, last);
}

/* answers: source and destination are the other way round. */
static void service_say(struct tw *t, const struct snap_service *v, bool answers)
{
	const char *name = v->proto == 6     ? "tcp"
			   : v->proto == 17  ? "udp"
			   : v->proto == 132 ? "sctp"
			   : v->proto == 1   ? "icmp"
					     : "icmpv6";

	if (v->proto)
		tw_say(t, "meta l4proto %u ", v->proto);
	if (v->proto == 6 || v->proto == 17 || v->proto == 132) {
		ports_say(t, name, answers ? "dport" : "sport", v->src_first, v->src_last);
		ports_say(t, name, answers ? "sport" : "dport", v->dst_first, v->dst_last);
	} else if (v->proto == 1 || v->proto == 58) {
		if (v->dst_first > 0 || v->dst_last < UINT8_MAX)
			tw_say(t, "%s type %u-%u ", name, MIN_OF(v->dst_first, 255u),
				MIN_OF(v->dst_last, 255u));
		if (!answers && (v->src_first > 0 || v->src_last < UINT8_MAX))
			tw_say(t, "%s code %u-%u ", name, MIN_OF(v->src_first, 255u),
				MIN_OF(v->src_last, 255u));
	}
}

static void address_say(struct tw *t, const struct span *span, uint8_t family, const char *end)
{
	if (span->count)
		tw_say(t, "%s %s @from_%u_%u_v%d ", family == ADDR_V4 ? "ip" : "ip6", end, span->first,
			span->count, family == ADDR_V4 ? 4 : 6);
}

static void verdict_say(struct tw *t, const struct snap_rule *r, uint32_t rule, enum self_use use)
{
	bool permits = r->action == RULE_PERMIT, in = use == SELF_IN, out = use == SELF_OUT;

	if ((in || out) && has_limits(r))
		tw_say(t, "jump rule_%u\n", rule);
	else if (in || out)
		tw_say(t, "%s\n",
			permits			   ? "accept"
			: in			   ? "return"
			: r->action == RULE_REJECT ? "reject with icmpx type admin-prohibited"
						   : "drop");
	else
		tw_say(t, permits && !has_limits(r) ? "notrack return\n" : "return\n");
}

static void line_say(struct tw *t, const struct snap_rule *r, uint32_t rule, uint8_t family,
	const struct snap_service *v, enum self_use use)
{
	bool answers = use == SELF_NOTRACK_OUT;

	tw_say(t, "\t\t");
	address_say(t, &r->src, family, answers ? "daddr" : "saddr");
	address_say(t, &r->dst, family, answers ? "saddr" : "daddr");
	service_say(t, v, answers);
	verdict_say(t, r, rule, use);
}

static void rule_say(struct tw *t, const struct snapshot *snap, uint32_t rule, enum self_use use)
{
	const struct snap_rule *r = &snap_rules(snap)[rule];
	const struct snap_service any = IP_ANY_SERVICE;
	static const uint8_t families[] = { ADDR_V4, ADDR_V6 };

	for (uint32_t k = 0; k < MAX_OF(r->services.count, 1u); k++) {
		const struct snap_service *v =
			r->services.count ? &snap_services(snap)[r->services.first + k] : &any;
		bool icmp = v->proto == 1 || v->proto == 58;
		if (icmp && use == SELF_NOTRACK_OUT)
			continue;
		if (r->src.count == 0 && r->dst.count == 0) {
			line_say(t, r, rule, ADDR_NONE, v, use);
			continue;
		}
		for (size_t f = 0; f < COUNT_OF(families); f++)
			if ((r->src.count == 0 || filter_set_has(snap, &r->src, families[f])) &&
				(r->dst.count == 0 || filter_set_has(snap, &r->dst, families[f])) &&
				(!icmp || (v->proto == 1) == (families[f] == ADDR_V4)))
				line_say(t, r, rule, families[f], v, use);
	}
}

void filter_rules_to(struct tw *t, const struct snapshot *snap, const struct self_rules *self, uint32_t zone,
	enum self_use use)
{
	for (uint32_t i = 0; i < self->n; i++)
		if (snap_rules(snap)[self->at[i]].to_zone == ZONE_SELF &&
			snap_rules(snap)[self->at[i]].from_zone == zone)
			rule_say(t, snap, self->at[i], use);
}

/* ---- limits, and what the gateway begins ---- */

/* Counted when a connection begins, by all lines of the rule together. */
void filter_rules_limits(struct tw *t, const struct snapshot *snap, const struct self_rules *self)
{
	for (uint32_t i = 0; i < self->n; i++) {
		const struct snap_rule *r = &snap_rules(snap)[self->at[i]];
		if (!has_limits(r))
			continue;
		tw_say(t, "\tchain rule_%u {\n", self->at[i]);
		if (r->sessions_rate)
			tw_say(t, "\t\tct state new limit rate over %u/second burst %u packets drop\n",
				r->sessions_rate, r->sessions_rate);
		if (r->sessions_max)
			tw_say(t, "\t\tct state new ct count over %u drop\n", r->sessions_max);
		tw_say(t, "\t\taccept\n\t}\n");
	}
}

void filter_rules_from(struct tw *t, const struct snapshot *snap, const struct self_rules *self)
{
	for (uint32_t zone = 0; zone < snap->zones.count; zone++) {
		if (!(self->from_self >> zone & 1))
			continue;
		tw_say(t, "\tchain own_%u {\n", zone);
		for (uint32_t i = 0; i < self->n; i++)
			if (snap_rules(snap)[self->at[i]].from_zone == ZONE_SELF &&
				snap_rules(snap)[self->at[i]].to_zone == zone)
				rule_say(t, snap, self->at[i], SELF_OUT);
		tw_say(t, "\t\tdrop\n\t}\n");
	}
}

void filter_queries(struct tw *t, bool v4)
{
	static const struct {
		bool v4;
		uint8_t type;
	} queries[] = {
#define Q(is4, query, answer, at, name) { is4, query },
		ICMP_QUERIES(Q)
#undef Q
	};
	bool any = false;

	for (uint32_t i = 0; i < COUNT_OF(queries); i++) {
		if (queries[i].v4 != v4)
			continue;
		tw_say(t, "%s%u", any ? ", " : "", queries[i].type);
		any = true;
	}
}

static void queries_not(struct tw *t, bool v4)
{
	tw_say(t, "\t\t%s type != { ", v4 ? "icmp" : "icmpv6");
	filter_queries(t, v4);
	tw_say(t, " } accept\n");
}

void filter_rules_output(struct tw *t, const struct self_rules *self)
{
	if (self->from_self == 0)
		return;
	tw_say(t,
		"\t\tmeta mark %u accept\n"
		/* answers: of services, which have no entry, and of rules with limits */
		"\t\tct state untracked meta l4proto != tcp accept\n"
		"\t\tct state untracked tcp flags & (syn | ack) != syn accept\n"
		"\t\tct direction reply accept\n"
		/* what is no query: errors, answers, neighbours and groups of a link */
		"\t\tmeta l4proto igmp accept\n",
		OWN_MARK);
	queries_not(t, true);
	queries_not(t, false);
}
