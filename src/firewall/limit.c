/*
 * Session limits of rules, zones, sources and destinations: exact counters for rules and zones; for addresses
 * counters by a keyed hash, only in zones that limit them. Each address has two counters, and the smaller one
 * says how many sessions it has at most (Cormode and Muthukrishnan's count-min sketch): strangers cannot make
 * the tables grow, and without the key nobody can choose addresses that share both counters with another.
 *
 * The counters belong to a policy, as rules and zones have its numbers. A session counts under the policy that
 * it stands under: after a commit it counts under the new one once it has been evaluated by it (judge.c).
 *
 * Of several workers each counts its own sessions, and whoever checks a limit adds up what all have counted
 * (fw_join()): the counters of others are only read, and their policies change while no worker runs. Workers that check at
 * the same moment may each admit one, so a limit is exceeded by at most the number of other workers.
 */
#include "base/rate.h"
#include "firewall/internal.h"

#include <assert.h>
#include <stdlib.h>

enum { SOURCE, DESTINATION, TABLES };

/* Places in limit_slots. */
struct places {
	size_t first, second;
};

static struct places places_of(
	const struct firewall *fw, const struct ip_addr *a, uint32_t zone, uint32_t what)
{
	struct {
		uint8_t address[sizeof a->b];
		uint32_t family, zone, what, zero;
	} hashed = { .family = a->family, .zone = zone, .what = what };
	_Static_assert(sizeof hashed == 32, "no padding: hashed as bytes");

	assert(zone < ZONES_MAX && what < TABLES);
	memcpy(hashed.address, a->b, sizeof hashed.address);
	uint64_t hash = siphash13(fw->limits.hash_key, &hashed, sizeof hashed);
	size_t table = (size_t)2 * what * FW_LIMIT_SLOTS;
	return (struct places){ table + hash % FW_LIMIT_SLOTS,
		table + FW_LIMIT_SLOTS + (hash >> 32) % FW_LIMIT_SLOTS };
}

static void address_count(const struct firewall *fw, struct fw_policy *p, const struct ip_addr *a,
	uint32_t zone, uint32_t what, int by)
{
	struct places at = places_of(fw, a, zone, what);

	fw_count(&p->limit_slots[at.first], by);
	fw_count(&p->limit_slots[at.second], by);
}

static bool counts_sources(const struct snap_zone *z)
{
	return z->source_sessions_max > 0 || z->flags & ZONE_COUNTS_SOURCES;
}

static bool counts_destinations(const struct snap_zone *z)
{
	return z->destination_sessions_max > 0 || z->flags & ZONE_COUNTS_DESTINATIONS;
}

bool fw_limits_new(struct fw_policy *p, const struct snapshot *s)
{
	bool addresses = false;

	for (uint32_t i = 0; i < s->zones.count; i++)
		addresses |= counts_sources(&snap_zones(s)[i]) || counts_destinations(&snap_zones(s)[i]);
	p->rule_sessions = lines_new(s->rules.count + 1u, sizeof *p->rule_sessions);
	if (addresses)
		p->limit_slots = calloc((size_t)2 * TABLES * FW_LIMIT_SLOTS, sizeof *p->limit_slots);
	return p->rule_sessions && (p->limit_slots || !addresses);
}

/*
 * What a host outside begins by a binding, and no rule permits for it, has the rule by which the inside host may talk to it
 * (inward.c). Until that host answers it takes nothing from what this rule allows: the source may be forged.
 */
static bool counts_to_rule(const struct snap_rule *r, const struct fw_session *s)
{
	bool own = (r->from_zone == ZONE_ANY || r->from_zone == s->zones.zone[0]) &&
		   (r->to_zone == ZONE_ANY || r->to_zone == s->zones.zone[1]);

	return !(s->flags & FW_SESSION_INWARD) || s->flags & FW_SESSION_CONFIRMED || own;
}

void fw_limit_count(const struct firewall *fw, struct fw_policy *p, const struct fw_session *s, int by)
{
	uint32_t zone = s->zones.zone[0];

	if (!p || fw_is_binding(s))
		return;
	if (s->rule < p->snapshot->rules.count && counts_to_rule(&snap_rules(p->snapshot)[s->rule], s))
		fw_count(&p->rule_sessions[s->rule], by);
	if (zone >= p->snapshot->zones.count)
		return; /* the gateway itself */
	const struct snap_zone *z = &snap_zones(p->snapshot)[zone];
	fw_count(&p->zone_sessions[zone], by);
	if (counts_sources(z)) {
		struct ip_addr source = addr_source(fw_key_src(&s->key[0]));
		address_count(fw, p, &source, zone, SOURCE, by);
	}
	if (counts_destinations(z)) {
		struct ip_addr destination = fw_key_src(&s->key[1]);
		address_count(fw, p, &destination, zone, DESTINATION, by);
	}
}

void fw_join(struct firewall *const *all, uint32_t n)
{
	assert(n > 0 && n <= WORKERS_MAX);
	for (uint32_t i = 0; i < n; i++) {
		assert(all[i]->limits.worker == i && all[i]->limits.workers == n);
		/* By the same key the same address has the same counters. */
		assert(memcmp(all[i]->limits.hash_key, all[0]->limits.hash_key,
			       sizeof all[0]->limits.hash_key) == 0);
		memcpy(all[i]->all, all, n * sizeof *all);
		all[i]->all_n = n;
	}
	for (uint32_t i = 0; i < n; i++)
		all[i]->adopt.others = fw_others_adopt(all[i]);
}

void fw_leave(struct firewall *fw)
{
	for (uint32_t i = 0; i < fw->all_n; i++) {
		struct firewall *other = fw->all[i];
		if (other == fw)
			continue;
		other->all[0] = other;
		other->all_n = 1;
	}
}

/* One that has no policy yet has no sessions under it. */
static const struct fw_policy *policy_at(const struct firewall *fw, uint32_t worker)
{
	const struct fw_policy *p = fw->all[worker]->policy;

	assert(!p || p->snapshot->rules.count == fw->policy->snapshot->rules.count);
	return p;
}

static bool rule_is_full(const struct firewall *fw, uint32_t rule, uint32_t limit)
{
	uint64_t n = 0;

	for (uint32_t i = 0; limit > 0 && i < fw->all_n; i++) {
		const struct fw_policy *p = policy_at(fw, i);
		n += p ? fw_counted(&p->rule_sessions[rule]) : 0;
	}
	return limit > 0 && n >= limit;
}

static bool zone_is_full(const struct firewall *fw, uint32_t zone, uint32_t limit)
{
	uint64_t n = 0;

	for (uint32_t i = 0; limit > 0 && i < fw->all_n; i++) {
		const struct fw_policy *p = policy_at(fw, i);
		n += p ? fw_counted(&p->zone_sessions[zone]) : 0;
	}
	return limit > 0 && n >= limit;
}

static bool address_is_full(
	const struct firewall *fw, const struct ip_addr *a, uint32_t zone, uint32_t what, uint32_t limit)
{
	uint64_t first = 0, second = 0;

	if (limit == 0)
		return false;
	struct places at = places_of(fw, a, zone, what);
	for (uint32_t i = 0; i < fw->all_n; i++) {
		const struct fw_policy *p = policy_at(fw, i);
		first += p ? fw_counted(&p->limit_slots[at.first]) : 0;
		second += p ? fw_counted(&p->limit_slots[at.second]) : 0;
	}
	return MIN_OF(first, second) >= limit;
}

bool fw_sessions_reach(
	const struct firewall *fw, uint32_t zone, const struct ip_addr *a, bool destination, uint32_t limit)
{
	struct ip_addr source = addr_source(*a);

	return fw->policy && fw->policy->limit_slots && zone < fw->policy->snapshot->zones.count &&
	       address_is_full(
		       fw, destination ? a : &source, zone, destination ? DESTINATION : SOURCE, limit);
}

enum drop_reason fw_limit_check(
	const struct firewall *fw, const struct train *t, const struct ip_addr *destination, uint32_t from)
{
	if (!fw->policy)
		return DROP_NONE;
	const struct snapshot *s = fw->policy->snapshot;
	if (t->rule < s->rules.count && rule_is_full(fw, t->rule, snap_rules(s)[t->rule].sessions_max))
		return DROP_RULE_SESSION_LIMIT;
	if (from >= s->zones.count)
		return DROP_NONE;
	const struct snap_zone *z = &snap_zones(s)[from];
	struct ip_addr source = addr_source(t->src);
	if (zone_is_full(fw, from, z->sessions_max))
		return DROP_ZONE_SESSION_LIMIT;
	if (address_is_full(fw, &source, from, SOURCE, z->source_sessions_max))
		return DROP_SOURCE_SESSION_LIMIT;
	if (address_is_full(fw, destination, from, DESTINATION, z->destination_sessions_max))
		return DROP_DESTINATION_SESSION_LIMIT;
	return DROP_NONE;
}

static uint32_t rate_of(const struct firewall *fw, uint32_t rule)
{
	const struct snapshot *s = fw->policy ? fw->policy->snapshot : NULL;

	return s && rule < s->rules.count ? snap_rules(s)[rule].sessions_rate : 0;
}

bool fw_rate_take(struct firewall *fw, uint32_t rule, mono_ns now)
{
	uint32_t rate = rate_of(fw, rule);

	return rate == 0 || rate_shared_take(&fw->all[0]->log_rates->session[rule], rate, rate, now);
}

bool fw_rate_left(const struct firewall *fw, uint32_t rule, mono_ns now)
{
	uint32_t rate = rate_of(fw, rule);

	return rate == 0 || rate_shared_left(&fw->all[0]->log_rates->session[rule], rate, rate, now);
}
