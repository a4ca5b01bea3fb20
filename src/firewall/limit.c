/*
 * Session limits of rules, zones, sources and destinations: exact counters for rules and zones; for addresses
 * counters by a keyed hash, only in zones that limit them. Each address has two counters, and the smaller one
 * says how many sessions it has at most (Cormode and Muthukrishnan's count-min sketch): strangers cannot make
 * the tables grow, and without the key nobody can choose addresses that share both counters with another.
 *
 * The counters belong to a policy, as rules and zones have its numbers. A session counts under the policy that
 * it stands under: after a commit it counts under the new one once it has been evaluated by it (judge.c).
 */
#include "firewall/internal.h"

#include <assert.h>
#include <stdlib.h>

enum { SOURCE, DESTINATION, TABLES };

struct counters {
	uint32_t *first, *second;
};

static struct counters counters_of(const struct firewall *fw, const struct fw_policy *p,
	const struct ip_addr *a, uint32_t zone, uint32_t what)
{
	struct {
		uint8_t address[sizeof a->b];
		uint32_t family, zone, what, zero;
	} hashed = { .family = a->family, .zone = zone, .what = what };
	_Static_assert(sizeof hashed == 32, "no padding: hashed as bytes");

	assert(zone < ZONES_MAX && what < TABLES);
	memcpy(hashed.address, a->b, sizeof hashed.address);
	uint64_t hash = siphash13(fw->limits.hash_key, &hashed, sizeof hashed);
	uint32_t *table = p->limit_slots + (size_t)2 * what * FW_LIMIT_SLOTS;
	return (struct counters){ &table[hash % FW_LIMIT_SLOTS],
		&table[FW_LIMIT_SLOTS + (hash >> 32) % FW_LIMIT_SLOTS] };
}

static void count(uint32_t *counter, int by)
{
	assert(by > 0 || *counter > 0);
	*counter += (uint32_t)by;
}

static void address_count(const struct firewall *fw, struct fw_policy *p, const struct ip_addr *a,
	uint32_t zone, uint32_t what, int by)
{
	struct counters c = counters_of(fw, p, a, zone, what);

	count(c.first, by);
	count(c.second, by);
}

bool fw_limits_new(struct fw_policy *p)
{
	const struct snapshot *s = p->snapshot;
	bool addresses = false;

	for (uint32_t i = 0; i < s->zones.count; i++)
		addresses |=
			snap_zones(s)[i].source_sessions_max || snap_zones(s)[i].destination_sessions_max;
	p->rule_sessions = calloc(s->rules.count + 1u, sizeof *p->rule_sessions);
	if (addresses)
		p->limit_slots = calloc((size_t)2 * TABLES * FW_LIMIT_SLOTS, sizeof *p->limit_slots);
	return p->rule_sessions && (p->limit_slots || !addresses);
}

void fw_limit_count(const struct firewall *fw, struct fw_policy *p, const struct fw_session *s, int by)
{
	uint32_t zone = s->zones.zone[0];

	if (!p || fw_is_binding(s))
		return;
	if (s->rule < p->snapshot->rules.count)
		count(&p->rule_sessions[s->rule], by);
	if (zone >= p->snapshot->zones.count)
		return; /* the gateway itself */
	const struct snap_zone *z = &snap_zones(p->snapshot)[zone];
	count(&p->zone_sessions[zone], by);
	if (z->source_sessions_max) {
		struct ip_addr source = addr_source(fw_key_src(&s->key[0]));
		address_count(fw, p, &source, zone, SOURCE, by);
	}
	if (z->destination_sessions_max) {
		struct ip_addr destination = fw_key_src(&s->key[1]);
		address_count(fw, p, &destination, zone, DESTINATION, by);
	}
}

static bool address_is_full(
	const struct firewall *fw, const struct ip_addr *a, uint32_t zone, uint32_t what, uint32_t limit)
{
	if (limit == 0)
		return false;
	struct counters c = counters_of(fw, fw->policy, a, zone, what);
	return MIN_OF(*c.first, *c.second) >= limit;
}

enum drop_reason fw_limit_check(
	const struct firewall *fw, const struct train *t, const struct ip_addr *destination, uint32_t from)
{
	if (!fw->policy)
		return DROP_NONE;
	const struct snapshot *p = fw->policy->snapshot;
	if (t->rule < p->rules.count) {
		uint32_t limit = snap_rules(p)[t->rule].sessions_max;
		if (limit && fw->policy->rule_sessions[t->rule] >= limit)
			return DROP_RULE_SESSION_LIMIT;
	}
	if (from >= p->zones.count)
		return DROP_NONE;
	const struct snap_zone *z = &snap_zones(p)[from];
	struct ip_addr source = addr_source(t->src);
	if (z->sessions_max && fw->policy->zone_sessions[from] >= z->sessions_max)
		return DROP_ZONE_SESSION_LIMIT;
	if (address_is_full(fw, &source, from, SOURCE, z->source_sessions_max))
		return DROP_SOURCE_SESSION_LIMIT;
	if (address_is_full(fw, destination, from, DESTINATION, z->destination_sessions_max))
		return DROP_DESTINATION_SESSION_LIMIT;
	return DROP_NONE;
}
