/*
 * Zone policy, the choice of a NAT rule and host-inbound services: ordered, first match, default deny. The
 * same functions decide about packets and, after a commit, about established sessions.
 */
#include "firewall/internal.h"

#include <assert.h>
#include <stdlib.h>

static uint16_t service_port(const struct train *t)
{
	return fw_is_icmp(t->proto) ? t->icmp_type : t->dst_port;
}

struct fw_tuple fw_tuple_of_train(const struct train *t, uint32_t from, uint32_t to)
{
	return (struct fw_tuple){ .src = t->src,
		.dst = t->dst,
		.from = from,
		.to = to,
		.src_port = t->src_port,
		.service_port = service_port(t),
		.proto = t->proto,
		.icmp_code = fw_is_icmp(t->proto) ? t->icmp_code : 0,
		.fetched = t->fetched };
}

struct fw_tuple fw_tuple_of_session(const struct fw_session *s, uint32_t from, uint32_t to)
{
	const struct fw_key *k = &s->key[0], *reply = &s->key[1];
	uint16_t port = fw_is_icmp(k->proto) ? k->kind & 0xff : reply->src_port;

	return (struct fw_tuple){ .src = fw_key_src(k),
		.dst = fw_key_src(reply),
		.from = from,
		.to = to,
		.src_port = k->src_port,
		.service_port = port,
		.proto = k->proto,
		.icmp_code = fw_is_icmp(k->proto) ? s->icmp.code : 0 };
}

/* The gateway itself stands behind the zones. */
uint32_t fw_pair_index(const struct snapshot *s, uint32_t from, uint32_t to)
{
	uint32_t n = s->zones.count, row = from == FW_ZONE_HOST ? n : from,
		 column = to == FW_ZONE_HOST ? n : to;

	assert(row <= n && column <= n);
	return row * (n + 1) + column;
}

static enum rule_action action_of(const struct snapshot *s, uint32_t rule, uint32_t *ret_rule)
{
	assert(rule < s->rules.count);
	*ret_rule = rule;
	return (enum rule_action)snap_rules(s)[rule].action;
}

enum rule_action fw_policy_lookup(
	const struct firewall *fw, const struct fw_tuple *t, uint32_t *ret_rule, uint32_t *ret_timeout_s)
{
	const struct fw_policy *p = fw->policy;

	*ret_rule = TRAIN_NONE;
	*ret_timeout_s = 0;
	if (!p || t->from >= p->snapshot->zones.count || t->to >= p->snapshot->zones.count)
		return RULE_DENY;
	const struct snapshot *s = p->snapshot;
	const struct fw_matcher *m = p->pair[fw_pair_index(s, t->from, t->to)];
	uint32_t rule =
		t->fetched ? fw_matcher_rule_fetched(m, s, t, &fw->fetched[t->fetched - 1], ret_timeout_s)
			   : fw_matcher_rule(m, s, t, ret_timeout_s);
	if (rule == FW_NONE)
		rule = fw_matcher_rule(p->global, s, t, ret_timeout_s);
	return rule == FW_NONE ? RULE_DENY : action_of(s, rule, ret_rule);
}

/* Of those from a zone that have no session; `first` trains of the burst have a place already. */
static uint32_t tuples_of(struct train *const *trains, uint32_t n, uint32_t zone, uint32_t first,
	struct fw_tuple ret_tuples[TRAIN_BURST_MAX])
{
	uint32_t count = 0;

	for (uint32_t i = 0; i < n; i++) {
		struct train *t = trains[i];
		if (t->session != TRAIN_NONE || t->drop != DROP_NONE || fw_zone_in(t) != zone)
			continue;
		ret_tuples[count++] = fw_tuple_of_train(t, zone, 0);
		t->fetched = (uint8_t)(first + count);
	}
	return count;
}

void fw_policy_fetch(struct firewall *fw, struct train *const *trains, uint32_t n)
{
	const struct fw_policy *p = fw->policy;
	struct fw_tuple tuples[TRAIN_BURST_MAX];
	uint32_t first = 0;

	assert(n <= TRAIN_BURST_MAX);
	for (uint32_t zone = 0; p && zone < p->snapshot->zones.count; zone++) {
		uint32_t count = p->large[zone] ? tuples_of(trains, n, zone, first, tuples) : 0;
		if (count == 0)
			continue;
		fw_matcher_fetch(p->large[zone], p->snapshot, tuples, count, fw->fetched + first);
		for (uint32_t i = first; i < first + count; i++) {
			uint32_t rule = fw->fetched[i].rule;
			if (rule == FW_NONE)
				continue;
			__builtin_prefetch(&p->hits[FW_LIST_POLICY].of[rule], 1);
			__builtin_prefetch(&p->rule_sessions[rule], 1);
		}
		first += count;
	}
}

enum rule_action fw_policy_match(const struct firewall *fw, uint32_t from_zone, uint32_t to_zone,
	const struct train *t, uint32_t *ret_rule)
{
	struct fw_tuple tuple = fw_tuple_of_train(t, from_zone, to_zone);
	uint32_t timeout_s;

	return fw_policy_lookup(fw, &tuple, ret_rule, &timeout_s);
}

uint32_t fw_nat_lookup(const struct firewall *fw, const struct fw_tuple *t)
{
	return fw->policy ? fw_matcher_nat(fw->policy->nat, fw->policy->snapshot, t) : FW_NONE;
}

bool fw_zone_is_loose(const struct firewall *fw, uint32_t zone)
{
	const struct snapshot *s = fw_policy(fw);

	return s && zone < s->zones.count && snap_zones(s)[zone].flags & ZONE_TCP_LOOSE;
}

/* ---- to and from the gateway itself ---- */

static enum drop_reason refusal(enum rule_action action)
{
	return action == RULE_PERMIT   ? DROP_NONE
	       : action == RULE_REJECT ? DROP_POLICY_REJECT
				       : DROP_POLICY_DENY;
}

/* Ports of source NAT are closed whatever rules say: what comes there without a session is nobody's. */
static bool is_nat_port(const struct snapshot *s, const struct fw_tuple *t)
{
	return (t->proto == IP_TCP || t->proto == IP_UDP) && t->service_port >= s->nat_port_first &&
	       t->service_port <= s->nat_port_last;
}

enum drop_reason fw_host_decide(
	const struct firewall *fw, const struct fw_tuple *t, uint32_t *ret_rule, uint32_t *ret_timeout_s)
{
	const struct fw_policy *p = fw->policy;

	*ret_rule = TRAIN_NONE;
	*ret_timeout_s = 0;
	if (!p || t->from >= p->snapshot->zones.count)
		return DROP_HOST_INBOUND;
	const struct snapshot *s = p->snapshot;
	/* Of ICMP the data plane decides about queries only. Replies, errors, and what IPv6 needs on a
	 * link (RFC 4890 section 4.4) are left to the kernel. */
	if (fw_is_icmp(t->proto) && !(fw_icmp_kind(t->proto, (uint8_t)t->service_port) & FW_KEY_QUERY))
		return DROP_NONE;
	const struct fw_matcher *rules = p->pair[fw_pair_index(s, t->from, FW_ZONE_HOST)];
	uint32_t rule = is_nat_port(s, t) ? FW_NONE : fw_matcher_rule(rules, s, t, ret_timeout_s);
	if (rule != FW_NONE)
		return refusal(action_of(s, rule, ret_rule));
	return snap_zone_opens(s, t->from, t->proto, t->service_port, &t->src) ? DROP_NONE
									       : DROP_HOST_INBOUND;
}

enum drop_reason fw_own_decide(
	const struct firewall *fw, const struct fw_tuple *t, uint32_t *ret_rule, uint32_t *ret_timeout_s)
{
	const struct fw_policy *p = fw->policy;

	*ret_rule = TRAIN_NONE;
	*ret_timeout_s = 0;
	if (!p || t->to >= p->snapshot->zones.count)
		return DROP_NONE;
	const struct fw_matcher *m = p->pair[fw_pair_index(p->snapshot, FW_ZONE_HOST, t->to)];
	uint32_t rule = m ? fw_matcher_rule(m, p->snapshot, t, ret_timeout_s) : FW_NONE;
	return rule != FW_NONE ? refusal(action_of(p->snapshot, rule, ret_rule))
	       : m	       ? DROP_DEFAULT_DENY
			       : DROP_NONE;
}

bool fw_host_opens(const struct firewall *fw, const struct train *t)
{
	struct fw_tuple tuple = fw_tuple_of_train(t, t->in_zone, FW_ZONE_HOST);
	uint32_t rule, timeout_s;

	return fw_host_decide(fw, &tuple, &rule, &timeout_s) == DROP_NONE;
}

bool fw_host_open_to_all(const struct firewall *fw, uint32_t zone, uint8_t proto, uint16_t port)
{
	const struct snapshot *s = fw_policy(fw);

	return s && zone < s->zones.count && snap_self_access(s, zone, proto, port, NULL) == SELF_OPEN;
}

/* ---- the compiled policy ---- */

uint32_t fw_rule_flags(const struct fw_policy *p, uint32_t rule)
{
	return p && rule < p->snapshot->rules.count ? snap_rules(p->snapshot)[rule].flags : 0;
}

struct fw_policy *fw_policy_new(const struct snapshot *s)
{
	struct fw_policy *p = lines_new(1, sizeof *p);

	if (!p)
		return NULL;
	p->snapshot = malloc(s->bytes);
	p->pair = calloc((s->zones.count + 1u) * (s->zones.count + 1u), sizeof(struct fw_matcher *));
	const uint32_t rules[FW_LISTS] = { s->rules.count, s->nat_rules.count, s->dnat_rules.count };
	bool hits = true;
	for (uint32_t i = 0; i < FW_LISTS; i++)
		hits &= fw_hits_new(&p->hits[i], rules[i]);
	p->nat_sessions = lines_new(s->nat_rules.count + 1u, sizeof *p->nat_sessions);
	p->nat_bindings = lines_new(s->nat_rules.count + 1u, sizeof *p->nat_bindings);
	p->nat_blocks = lines_new(s->nat_rules.count + 1u, sizeof *p->nat_blocks);
	p->wide = calloc(s->nat_rules.count + 1u, sizeof *p->wide);
	p->nat_exhausted = lines_new(2 * (s->nat_rules.count + 1u), sizeof *p->nat_exhausted);
	p->servers_down = calloc(s->dnat_rules.count + 1u, sizeof *p->servers_down);
	p->log_suppressed = lines_new(s->rules.count + s->zones.count + 1u, sizeof *p->log_suppressed);
	if (p->snapshot)
		memcpy(p->snapshot, s, sizeof *s);
	if (!p->snapshot || !p->pair || !hits || !p->nat_sessions || !p->nat_bindings || !p->nat_blocks ||
		!p->wide || !p->nat_exhausted || !p->servers_down || !p->log_suppressed ||
		!fw_limits_new(p, s)) {
		fw_policy_free(p);
		return NULL;
	}
	return p;
}

void fw_policy_free(struct fw_policy *p)
{
	if (!p)
		return;
	uint32_t ends = p->snapshot && p->pair ? p->snapshot->zones.count + 1 : 0;
	for (uint32_t i = 0; i < ends * ends; i++)
		fw_matcher_free(p->pair[i]);
	fw_matcher_free(p->global);
	fw_matcher_free(p->nat);
	fw_matcher_free(p->dnat);
	free(p->pair);
	for (uint32_t i = 0; i < FW_LISTS; i++)
		fw_hits_done(&p->hits[i]);
	free(p->rule_sessions);
	free(p->limit_slots);
	free(p->nat_sessions);
	free(p->nat_bindings);
	free(p->nat_blocks);
	free(p->wide);
	free(p->nat_exhausted);
	free(p->servers_down);
	free(p->log_suppressed);
	free(p->snapshot);
	free(p);
}

void fw_policy_discard(struct firewall *fw, struct fw_policy *p)
{
	if (!p)
		return;
	const struct snapshot *s = p->snapshot;
	struct fw_hits *hits = &p->hits[FW_LIST_POLICY];
	uint32_t ends = s->zones.count + 1;
	for (uint32_t i = 0; i < ends * ends; i++)
		fw_matcher_shed(p->pair[i], &fw->shed);
	fw_matcher_shed(p->global, &fw->shed);
	shed_add(&fw->shed, hits->of, lines_bytes(hits->n + 1u, sizeof *hits->of));
	hits->of = NULL;
	for (uint32_t i = 0; i < ends * ends; i++) {
		fw_matcher_free(p->pair[i]);
		p->pair[i] = NULL;
	}
	shed_add(&fw->shed, p->snapshot, s->bytes);
	p->snapshot = NULL; /* and with it the number of pairs */
	fw_policy_free(p);
}

void fw_rule_hit(struct firewall *fw, uint32_t rule, mono_ns now)
{
	if (fw->policy && rule < fw->policy->snapshot->rules.count)
		fw_hits_hit(&fw->policy->hits[FW_LIST_POLICY], rule, now);
}

void fw_rule_hits_clear(struct firewall *fw, mono_ns now)
{
	if (fw->policy)
		fw_hits_clear(&fw->policy->hits[FW_LIST_POLICY], now);
}

static const struct fw_rule_hits *hits_of(const struct firewall *fw, enum fw_list list, uint32_t rule)
{
	struct fw_hits *h = fw->policy ? &fw->policy->hits[list] : NULL;

	return h && rule < h->n ? fw_hits_of(h, rule) : NULL;
}

const struct fw_rule_hits *fw_rule_hits(const struct firewall *fw, uint32_t rule)
{
	return hits_of(fw, FW_LIST_POLICY, rule);
}

const struct fw_rule_hits *fw_nat_rule_hits(const struct firewall *fw, uint32_t nat_rule)
{
	return hits_of(fw, FW_LIST_NAT, nat_rule);
}

void fw_nat_bound(struct fw_policy *p, const struct fw_session *s, int by)
{
	bool counts = s->flags & (FW_SESSION_TRANSLATED | FW_SESSION_BINDING);

	if (!p || !counts || s->nat_rule >= p->snapshot->nat_rules.count)
		return;
	uint32_t *n = fw_is_block(s)	 ? &p->nat_blocks[s->nat_rule]
		      : fw_is_binding(s) ? &p->nat_bindings[s->nat_rule]
					 : &p->nat_sessions[s->nat_rule];
	assert(by > 0 || *n > 0);
	*n += (uint32_t)by;
}

uint32_t fw_nat_rule_sessions(const struct firewall *fw, uint32_t nat_rule)
{
	const struct fw_policy *p = fw->policy;

	return p && nat_rule < p->snapshot->nat_rules.count ? p->nat_sessions[nat_rule] : 0;
}

uint32_t fw_nat_rule_bindings(const struct firewall *fw, uint32_t nat_rule)
{
	const struct fw_policy *p = fw->policy;

	return p && nat_rule < p->snapshot->nat_rules.count ? p->nat_bindings[nat_rule] : 0;
}

uint32_t fw_nat_rule_blocks(const struct firewall *fw, uint32_t nat_rule)
{
	const struct fw_policy *p = fw->policy;

	return p && nat_rule < p->snapshot->nat_rules.count ? p->nat_blocks[nat_rule] : 0;
}

const struct fw_rule_hits *fw_dnat_rule_hits(const struct firewall *fw, uint32_t dnat_rule)
{
	return hits_of(fw, FW_LIST_DNAT, dnat_rule);
}

const struct snapshot *fw_policy(const struct firewall *fw)
{
	return fw->policy ? fw->policy->snapshot : NULL;
}
