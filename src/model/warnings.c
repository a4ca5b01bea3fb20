#include "model/warnings.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "base/bytes.h"
#include "model/host_access.h"

#define PROTOCOL_UDP 17
#define PORT_IKE     500

struct warner {
	const struct snapshot *s;
	warning_fn *fn;
	void *context;
};

__attribute__((format(printf, 2, 3))) static void warn(const struct warner *w, const char *fmt, ...)
{
	char text[400];
	va_list args;

	va_start(args, fmt);
	vsnprintf(text, sizeof text, fmt, args);
	va_end(args);
	w->fn(w->context, text);
}

static const char *zone_name(const struct snapshot *s, uint32_t zone)
{
	return zone == ZONE_ANY ? "any zone" : snap_zones(s)[zone].name;
}

/* ---- rules that are never reached, because one before them matches all that they could ---- */

static bool matches_everything(const struct snap_rule *r)
{
	return r->src.count == 0 && r->dst.count == 0 && r->services.count == 0;
}

static void rules_behind(const struct warner *w)
{
	const struct snap_rule *rules = snap_rules(w->s), *last = NULL;

	/* The rules of a pair of zones stand together. */
	for (uint32_t i = 0; i < w->s->rules.count; i++) {
		const struct snap_rule *r = &rules[i];
		if (last && (last->from_zone != r->from_zone || last->to_zone != r->to_zone))
			last = NULL;
		if (last)
			warn(w,
				"rule '%s' from %s to %s is never reached: rule '%s' before it matches "
				"everything",
				r->name, zone_name(w->s, r->from_zone), zone_name(w->s, r->to_zone),
				last->name);
		else if (matches_everything(r))
			last = r;
	}
}

/* ADDR_NONE: both. */
static uint8_t nat_family(const struct snap_nat_rule *r)
{
	return r->action == NAT_POOL	     ? r->pool.first.family
	       : r->action == NAT_INTERFACE  ? ADDR_V4
	       : r->action == NAT_INTERFACE6 ? ADDR_V6
					     : ADDR_NONE;
}

/* All that b could match, a takes: its addresses are any. */
static bool nat_covers(const struct snap_nat_rule *a, const struct snap_nat_rule *b)
{
	return (a->from_zone == ZONE_ANY || a->from_zone == b->from_zone) &&
	       (a->to_zone == ZONE_ANY || a->to_zone == b->to_zone) &&
	       (nat_family(a) == ADDR_NONE || nat_family(a) == nat_family(b));
}

static void nat_rules_behind(const struct warner *w)
{
	const struct snap_nat_rule *rules = snap_nat_rules(w->s);
	const struct snap_nat_rule *wide[NAT_RULES_MAX];
	size_t n = 0, k;

	for (uint32_t i = 0; i < w->s->nat_rules.count; i++) {
		for (k = 0; k < n && !nat_covers(wide[k], &rules[i]); k++)
			;
		if (k < n)
			warn(w, "source NAT rule '%s' is never reached: rule '%s' before it matches all that it could",
				rules[i].name, wide[k]->name);
		else if (n < COUNT_OF(wide) && rules[i].src.count == 0 && rules[i].dst.count == 0)
			wide[n++] = &rules[i];
	}
}

/* ---- what nothing ever reaches ---- */

/* A configuration that closes everything says so by itself (snapshot_check_not_closed()). */
static void zones_of_nothing(const struct warner *w)
{
	const struct snapshot *s = w->s;
	uint64_t used = snapshot_zones_in_use(s);

	for (uint32_t zone = 0; zone < s->zones.count; zone++) {
		uint32_t rules = 0, nat_rules = 0;
		if (used >> zone & 1)
			continue;
		for (uint32_t i = 0; i < s->rules.count; i++)
			rules += snap_rules(s)[i].from_zone == zone || snap_rules(s)[i].to_zone == zone;
		for (uint32_t i = 0; i < s->nat_rules.count; i++)
			nat_rules += snap_nat_rules(s)[i].from_zone == zone ||
				     snap_nat_rules(s)[i].to_zone == zone;
		for (uint32_t i = 0; i < s->dnat_rules.count; i++)
			nat_rules += snap_dnat_rules(s)[i].from_zone == zone;
		if (rules + nat_rules == 0)
			warn(w, "zone '%s' has neither an interface nor a tunnel: it has no traffic",
				zone_name(s, zone));
		else
			warn(w,
				"zone '%s' has neither an interface nor a tunnel: rules that name it never match "
				"(policy rules: %u, NAT rules: %u)",
				zone_name(s, zone), rules, nat_rules);
	}
}

static bool peer_is_used(const struct snapshot *s, uint32_t peer)
{
	const struct snap_evidence *v = &s->evidence;
	const char *name = snap_peers(s)[peer].name;

	for (uint32_t i = 0; i < s->tunnels.count; i++)
		if (snap_tunnels(s)[i].peer == peer)
			return true;
	for (uint32_t i = 0; i < v->count; i++)
		if (strcmp(v->witness[i].peer, name) == 0)
			return true;
	for (uint32_t i = 0; i < v->cosign_count; i++)
		if (strcmp(v->cosign[i].peer, name) == 0)
			return true;
	return false;
}

static void peers_of_nothing(const struct warner *w)
{
	for (uint32_t i = 0; i < w->s->peers.count; i++)
		if (!peer_is_used(w->s, i))
			warn(w, "peer '%s' has no tunnel, and neither a witness nor a ledger to cosign names it",
				snap_peers(w->s)[i].name);
}

static bool takes_ike(const struct snapshot *s, const struct snap_zone *zone)
{
	for (uint32_t i = 0; i < zone->host_services.count; i++) {
		const struct snap_host_service *v = &snap_host_services(s)[zone->host_services.first + i];
		if (v->proto == PROTOCOL_UDP && v->first <= PORT_IKE && PORT_IKE <= v->last)
			return true;
	}
	return false;
}

/* Answers are no exception: IKE and ESP come to the gateway by the zone's services alone. */
static void peers_unheard(const struct warner *w)
{
	const struct snapshot *s = w->s;
	uint64_t used = snapshot_zones_in_use(s);

	for (uint32_t zone = 0; zone < s->zones.count; zone++)
		if (used >> zone & 1 && takes_ike(s, &snap_zones(s)[zone]))
			return;
	if (s->peers.count > 0 && s->interfaces.count > 0)
		warn(w,
			"no zone has host-inbound ike: IKE messages of peer '%s' are dropped, requests and "
			"responses (peers: %u)",
			snap_peers(s)[0].name, s->peers.count);
}

/* ---- what destination NAT takes from the gateway ---- */

static const char *host_service_name(const struct snap_host_service *v)
{
	static const struct {
		const char *name;
		uint8_t proto;
		uint16_t first, last;
	} services[] = {
#define E(word, proto, first, last) { word, proto, first, last },
		HOST_SERVICES(E)
#undef E
	};

	for (size_t i = 0; i < COUNT_OF(services); i++)
		if (services[i].proto == v->proto && services[i].first == v->first &&
			services[i].last == v->last)
			return services[i].name;
	return "a service";
}

static bool takes(const struct snapshot *s, const struct snap_dnat_rule *r, const struct snap_host_service *v)
{
	const struct snap_service *x = snap_services(s) + r->services.first;

	for (uint32_t i = 0; i < r->services.count; i++)
		if (x[i].proto == 0 ||
			(x[i].proto == v->proto && x[i].dst_first <= v->last && v->first <= x[i].dst_last))
			return true;
	return r->services.count == 0;
}

/* A service that the zone opens and the rule takes first. One warning for a rule and a zone. */
static void host_services_taken(const struct warner *w)
{
	const struct snapshot *s = w->s;
	uint64_t used = snapshot_zones_in_use(s);

	for (uint32_t i = 0; i < s->dnat_rules.count; i++) {
		const struct snap_dnat_rule *r = &snap_dnat_rules(s)[i];
		for (uint32_t zone = 0; zone < s->zones.count; zone++) {
			const struct span *all = &snap_zones(s)[zone].host_services;
			uint32_t k = all->first, end = all->first + all->count;
			if (r->action != DNAT_SERVERS || !(used >> zone & 1) ||
				(r->from_zone != ZONE_ANY && r->from_zone != zone))
				continue;
			while (k < end && !takes(s, r, &snap_host_services(s)[k]))
				k++;
			if (k < end)
				warn(w,
					"destination NAT rule '%s' takes %s, which zone '%s' opens by host-inbound: "
					"the gateway does not answer it at the rule's addresses",
					r->name, host_service_name(&snap_host_services(s)[k]),
					zone_name(s, zone));
		}
	}
}

void snapshot_warnings(const struct snapshot *s, warning_fn *fn, void *context)
{
	const struct warner w = { s, fn, context };

	rules_behind(&w);
	nat_rules_behind(&w);
	zones_of_nothing(&w);
	peers_of_nothing(&w);
	peers_unheard(&w);
	host_services_taken(&w);
}
