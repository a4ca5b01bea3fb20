/*
 * Zone policy and the choice of a NAT rule: ordered, first match, default deny. The same functions decide packets, answer
 * "which rule would match" and decide sessions anew after a commit.
 */
#include "firewall/internal.h"
#include "wire/ip.h"

#include <stdlib.h>

static bool addr_in(const struct snapshot *s, struct span span, const struct ip_addr *a)
{
	const struct ip_range *ranges = snap_ranges(s) + span.first;

	for (uint32_t i = 0; i < span.count; i++)
		if (range_holds(&ranges[i], a))
			return true;
	return span.count == 0;
}

static const struct snap_service *service_in(const struct snapshot *s, struct span span, uint8_t proto, uint16_t src_port,
	uint16_t dst_port, bool *ret_found)
{
	const struct snap_service *services = snap_services(s) + span.first;

	for (uint32_t i = 0; i < span.count; i++) {
		const struct snap_service *v = &services[i];
		if (v->proto != 0 && v->proto != proto)
			continue;
		bool ports = proto == IP_TCP || proto == IP_UDP, icmp = proto == IP_ICMP || proto == IP_ICMPV6;
		if (v->proto == 0 || (!ports && !icmp) ||
			(dst_port >= v->dst_first && dst_port <= v->dst_last &&
				(icmp || (src_port >= v->src_first && src_port <= v->src_last)))) {
			*ret_found = true;
			return v;
		}
	}
	*ret_found = span.count == 0;
	return NULL;
}

static bool rule_matches(const struct snapshot *s, const struct snap_rule *r, const struct ip_addr *src,
	const struct ip_addr *dst, uint8_t proto, uint16_t src_port, uint16_t dst_port, uint32_t *ret_timeout_s)
{
	bool found;

	if (!addr_in(s, r->src, src) || !addr_in(s, r->dst, dst))
		return false;
	const struct snap_service *v = service_in(s, r->services, proto, src_port, dst_port, &found);
	*ret_timeout_s = v ? v->timeout_s : 0;
	return found;
}

/* For ICMP the type stands where TCP and UDP have the destination port. */
uint16_t fw_service_port(const struct train *t)
{
	return t->proto == IP_ICMP || t->proto == IP_ICMPV6 ? t->icmp_type : t->dst_port;
}

enum rule_action fw_match(const struct firewall *fw, uint32_t from, uint32_t to, const struct ip_addr *src,
	const struct ip_addr *dst, uint8_t proto, uint16_t src_port, uint16_t dst_port, uint32_t *ret_rule,
	uint32_t *ret_timeout_s)
{
	const struct snapshot *s = fw->policy;

	*ret_rule = TRAIN_NONE;
	*ret_timeout_s = 0;
	if (!s || from >= s->zones.count || to >= s->zones.count)
		return RULE_DENY;
	const struct snap_rule *rules = snap_rules(s);
	const struct span spans[2] = { fw->pair[from * s->zones.count + to], fw->global };
	for (int k = 0; k < 2; k++)
		for (uint32_t i = spans[k].first; i < spans[k].first + spans[k].count; i++) {
			const struct snap_rule *r = &rules[i];
			if ((r->from_zone != ZONE_ANY && r->from_zone != from) ||
				(r->to_zone != ZONE_ANY && r->to_zone != to))
				continue;
			if (rule_matches(s, r, src, dst, proto, src_port, dst_port, ret_timeout_s)) {
				*ret_rule = i;
				return (enum rule_action)r->action;
			}
		}
	return RULE_DENY;
}

enum rule_action fw_policy_match(const struct firewall *fw, uint32_t from_zone, uint32_t to_zone, const struct train *t,
	uint32_t *ret_rule)
{
	uint32_t timeout_s;

	return fw_match(fw, from_zone, to_zone, &t->src, &t->dst, t->proto, t->src_port, fw_service_port(t), ret_rule,
		&timeout_s);
}

uint32_t fw_nat_match(const struct firewall *fw, uint32_t from, uint32_t to, const struct ip_addr *src,
	const struct ip_addr *dst)
{
	const struct snapshot *s = fw->policy;

	for (uint32_t i = 0; s && i < s->nat_rules.count; i++) {
		const struct snap_nat_rule *r = &snap_nat_rules(s)[i];
		if ((r->from_zone == ZONE_ANY || r->from_zone == from) && (r->to_zone == ZONE_ANY || r->to_zone == to) &&
			addr_in(s, r->src, src) && addr_in(s, r->dst, dst))
			return i;
	}
	return FW_NONE;
}

enum drop_reason fw_host_inbound(const struct firewall *fw, const struct train *t)
{
	static const struct {
		uint8_t proto;
		uint16_t first, last;
	} services[HOST_SERVICE_COUNT] = {
#define E(id, word, proto, first, last, text) [HOST_##id] = { proto, first, last },
		HOST_SERVICES(E)
#undef E
	};
	const struct snapshot *s = fw->policy;
	bool icmp = t->proto == IP_ICMP || t->proto == IP_ICMPV6;

	if (!s || t->in_zone >= s->zones.count)
		return DROP_HOST_INBOUND;
	uint32_t open = snap_zones(s)[t->in_zone].host_inbound;
	if (icmp) {
		/* Errors, and what IPv6 needs to live on a link (RFC 4890): neighbour discovery and path MTU. */
		bool echo = t->icmp_type == (t->proto == IP_ICMP ? ICMP4_ECHO : ICMP6_ECHO);
		return !echo || open & 1u << HOST_PING ? DROP_NONE : DROP_HOST_INBOUND;
	}
	if (t->proto == IP_ESP)
		return open & 1u << HOST_IKE ? DROP_NONE : DROP_HOST_INBOUND;
	for (uint32_t i = 0; i < HOST_SERVICE_COUNT; i++) {
		bool is_open = open & 1u << i || (i == HOST_IKE_NAT && open & 1u << HOST_IKE);
		if (is_open && services[i].proto == t->proto && t->dst_port >= services[i].first &&
			t->dst_port <= services[i].last)
			return DROP_NONE;
	}
	/* Answers to the gateway's own connections: its ports are its kernel's to judge. */
	if ((t->proto == IP_UDP || (t->proto == IP_TCP && t->tcp_flags & (TCP_ACK | TCP_RST))) &&
		t->dst_port >= s->host_port_first && t->dst_port <= s->host_port_last)
		return DROP_NONE;
	return DROP_HOST_INBOUND;
}

static void pairs_build(struct firewall *fw)
{
	const struct snapshot *s = fw->policy;
	const struct snap_rule *rules = snap_rules(s);

	fw->global = (struct span){ s->rules.count, 0 };
	for (uint32_t i = 0; i < s->rules.count; i++) {
		if (rules[i].from_zone == ZONE_ANY || rules[i].to_zone == ZONE_ANY) {
			if (fw->global.count == 0)
				fw->global.first = i;
			fw->global.count = i + 1 - fw->global.first;
			continue;
		}
		struct span *p = &fw->pair[rules[i].from_zone * s->zones.count + rules[i].to_zone];
		if (p->count == 0)
			p->first = i;
		p->count = i + 1 - p->first; /* rules of other pairs between are skipped by their zones */
	}
}

/* Sessions live on only where today's policy permits them; their NAT binding stays. */
static void sessions_decide_anew(struct firewall *fw, const uint32_t *zone_of_old, uint32_t old_zones)
{
	for (uint32_t i = 0; i < fw->limits.sessions_max; i++) {
		struct fw_session *s = &fw->sessions[i];
		bool lives = true;
		if (!s->live)
			continue;
		for (int d = 0; d < 2 && zone_of_old; d++)
			if (s->zone[d] != TRAIN_NONE)
				s->zone[d] = s->zone[d] < old_zones ? zone_of_old[s->zone[d]] : ZONE_ANY;
		for (int d = 0; d < 2; d++)
			lives &= s->zone[d] == TRAIN_NONE || s->zone[d] < fw->policy->zones.count;
		s->way[0].generation = s->way[1].generation = 0;
		if (lives && s->zone[0] != TRAIN_NONE && s->zone[1] != TRAIN_NONE) {
			struct ip_addr src = fw_key_src(&s->key[0]), dst = fw_key_dst(&s->key[0]);
			uint32_t rule, timeout_s;
			bool v4 = src.family == ADDR_V4, icmp = s->key[0].proto == IP_ICMP || s->key[0].proto == IP_ICMPV6;
			uint16_t port = icmp ? (v4 ? ICMP4_ECHO : ICMP6_ECHO) : s->key[0].dst_port;
			lives = fw_match(fw, s->zone[0], s->zone[1], &src, &dst, s->key[0].proto, s->key[0].src_port,
					port, &rule, &timeout_s) == RULE_PERMIT;
			s->rule = rule;
			s->timeout_s = timeout_s;
			/* Translation is not redone, so the index is only a name; a rule that is gone has none. */
			if (s->nat_rule >= fw->policy->nat_rules.count)
				s->nat_rule = FW_NONE;
		}
		if (!lives)
			fw_session_end(fw, i);
	}
}

enum rc fw_load(struct firewall *fw, const struct snapshot *s, const uint32_t *zone_of_old, mono_ns now, struct err *e)
{
	struct snapshot *copy = malloc(s->bytes);
	struct span *pair = calloc((size_t)s->zones.count * s->zones.count + 1, sizeof *pair);
	struct fw_rule_hits *rule_hits = calloc(s->rules.count + 1u, sizeof *rule_hits);
	struct fw_rule_hits *nat_hits = calloc(s->nat_rules.count + 1u, sizeof *nat_hits);
	uint32_t old_zones = fw->policy ? fw->policy->zones.count : 0;

	if (!copy || !pair || !rule_hits || !nat_hits) {
		free(copy);
		free(pair);
		free(rule_hits);
		free(nat_hits);
		return err_add(e, RC_LIMIT, "no memory for a policy of %u rules", s->rules.count);
	}
	memcpy(copy, s, s->bytes);
	/* Hit counts follow a rule by its name and zones, so that a commit elsewhere does not set them to zero. */
	for (uint32_t i = 0; fw->policy && i < s->rules.count; i++)
		for (uint32_t k = 0; k < fw->policy->rules.count; k++) {
			uint32_t at = (i + k) % fw->policy->rules.count; /* nearly always the same place */
			const struct snap_rule *was = &snap_rules(fw->policy)[at], *is = &snap_rules(s)[i];
			if (strcmp(was->name, is->name) == 0 && was->from_zone == is->from_zone &&
				was->to_zone == is->to_zone) {
				rule_hits[i] = fw->rule_hits[at];
				break;
			}
		}
	free(fw->policy);
	free(fw->pair);
	free(fw->rule_hits);
	free(fw->nat_hits);
	fw->policy = copy;
	fw->pair = pair;
	fw->rule_hits = rule_hits;
	fw->nat_hits = nat_hits;
	pairs_build(fw);
	(void)now;
	sessions_decide_anew(fw, zone_of_old, old_zones);
	return RC_OK;
}

const struct fw_rule_hits *fw_rule_hits(const struct firewall *fw, uint32_t rule)
{
	return fw->policy && rule < fw->policy->rules.count ? &fw->rule_hits[rule] : NULL;
}

const struct fw_rule_hits *fw_nat_rule_hits(const struct firewall *fw, uint32_t nat_rule)
{
	return fw->policy && nat_rule < fw->policy->nat_rules.count ? &fw->nat_hits[nat_rule] : NULL;
}

const struct snapshot *fw_policy(const struct firewall *fw)
{
	return fw->policy;
}
