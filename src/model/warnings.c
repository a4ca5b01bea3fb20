#include "model/warnings.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "base/bytes.h"
#include "model/host_access.h"
#include "model/iso_country.h"
#include "model/shadow.h"

#define PROTOCOL_TCP 6
#define PROTOCOL_UDP 17
#define PORT_IKE     500

#define DENIED_NAMES_SAID 8

struct warner {
	const struct snapshot *s;
	warning_fn *fn;
	void *context;
};

__attribute__((format(printf, 2, 3))) static void warn(const struct warner *w, const char *fmt, ...)
{
	char text[600];
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

/* ---- rules that are never reached, because those before them match all that they could ---- */

static void rule_shadowed(void *context, const struct snapshot *s, const struct shadow *x)
{
	const struct warner *w = context;
	char text[SHADOW_TEXT_MAX];

	w->fn(w->context, shadow_text(text, s, x));
}

static void rules_behind(const struct warner *w)
{
	struct warner each = *w;
	uint32_t undecided = snapshot_shadowed(w->s, rule_shadowed, &each);

	if (undecided > 0)
		warn(w, "%u policy rules have not been compared with all rules before them, which would take too long: they may never be reached",
			undecided);
}

/* The first that the span has of addresses that change without a commit; NULL: none. */
static const struct snap_dynamic *first_dynamic(const struct snapshot *s, struct span span)
{
	const struct snap_dynamic *first = NULL;

	for (uint32_t n = span.count; n > 0 && range_is_wildcard(&snap_ranges(s)[span.first + n - 1]); n--)
		if (range_is_dynamic(&snap_ranges(s)[span.first + n - 1]))
			first = &snap_dynamics(s)[range_dynamic(&snap_ranges(s)[span.first + n - 1])];
	return first;
}

/* What such a rule means to keep out comes in until the addresses are known. */
static void rules_that_deny_names(const struct warner *w)
{
	uint32_t n = 0;

	for (uint32_t i = 0; i < w->s->rules.count; i++) {
		const struct snap_rule *r = &snap_rules(w->s)[i];
		const struct snap_dynamic *d = first_dynamic(w->s, r->src);
		d = d ? d : first_dynamic(w->s, r->dst);
		if (r->action == RULE_PERMIT || !d || ++n > DENIED_NAMES_SAID)
			continue;
		warn(w, "rule '%s' from %s to %s denies '%s', whose addresses change without a commit: while none are known it denies nothing of that, and later rules decide",
			r->name, zone_name(w->s, r->from_zone), zone_name(w->s, r->to_zone), d->object);
	}
	if (n > DENIED_NAMES_SAID)
		warn(w, "%u more rules deny objects whose addresses change without a commit",
			n - DENIED_NAMES_SAID);
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

/* Is each of these ranges within one of those? */
static bool ranges_within(const struct snapshot *s, struct span a, struct span b)
{
	const struct ip_range *in = snap_ranges(s) + a.first, *of = snap_ranges(s) + b.first;

	for (uint32_t i = 0; i < a.count; i++) {
		uint32_t k = 0;
		while (k < b.count && !(addr_compare(&of[k].first, &in[i].first) <= 0 &&
					      addr_compare(&in[i].last, &of[k].last) <= 0))
			k++;
		if (k == b.count)
			return false;
	}
	return true;
}

static bool services_within(const struct snapshot *s, struct span a, struct span b)
{
	const struct snap_service *in = snap_services(s) + a.first, *of = snap_services(s) + b.first;

	if (b.count == 0)
		return true;
	for (uint32_t i = 0; i < a.count; i++) {
		uint32_t k = 0;
		while (k < b.count &&
			!(of[k].proto == in[i].proto && of[k].src_first <= in[i].src_first &&
				in[i].src_last <= of[k].src_last && of[k].dst_first <= in[i].dst_first &&
				in[i].dst_last <= of[k].dst_last))
			k++;
		if (k == b.count)
			return false;
	}
	return a.count > 0;
}

/* ADDR_NONE: both. Of the others the destination has the family. */
static uint8_t dnat_family(const struct snap_dnat_rule *r)
{
	return r->action == DNAT_SERVERS ? r->to.first.family : ADDR_NONE;
}

/* All that b could match, a takes. A rule that is one to one takes what comes from any zone (snapshot.h). */
static bool dnat_covers(
	const struct snapshot *s, const struct snap_dnat_rule *a, const struct snap_dnat_rule *b)
{
	bool any_zone = a->from_zone == ZONE_ANY || a->action == DNAT_STATIC || a->action == DNAT_NPTV6;
	bool one_to_one = b->action == DNAT_STATIC || b->action == DNAT_NPTV6;

	return (any_zone || (a->from_zone == b->from_zone && !one_to_one)) && a->src.count == 0 &&
	       (dnat_family(a) == ADDR_NONE || dnat_family(a) == dnat_family(b)) &&
	       (b->interfaces & ~a->interfaces) == 0 && ranges_within(s, b->dst, a->dst) &&
	       services_within(s, b->services, a->services);
}

static const char *dnat_kind(const struct snap_dnat_rule *r)
{
	return r->action == DNAT_STATIC || r->action == DNAT_NPTV6 ? "static NAT"
	       : r->action == DNAT_NAT64			   ? "NAT64"
								   : "destination NAT";
}

#define DNAT_COMPARED 256 /* rules of which each is compared with those before it */

/* Static rules stand first, whatever the order of the text. Real hosts of a static rule that is not reached keep their published address. */
static void dnat_rules_behind(const struct warner *w)
{
	const struct snap_dnat_rule *rules = snap_dnat_rules(w->s);

	for (uint32_t i = 0; i < w->s->dnat_rules.count && i < DNAT_COMPARED; i++) {
		uint32_t k = 0;
		while (k < i && !dnat_covers(w->s, &rules[k], &rules[i]))
			k++;
		if (k < i)
			warn(w, "%s rule '%s' is never reached by what comes in: %s rule '%s' before it matches all that it could",
				dnat_kind(&rules[i]), rules[i].name, dnat_kind(&rules[k]), rules[k].name);
	}
}

/* Everything that the rule of policy names as its destination, d translates to something else, before policy decides. */
static bool dnat_hides(const struct snapshot *s, const struct snap_dnat_rule *d, const struct snap_rule *r)
{
	bool any_zone = d->from_zone == ZONE_ANY || d->action == DNAT_STATIC;

	if ((d->action != DNAT_SERVERS && d->action != DNAT_STATIC) || d->dst.count == 0 ||
		d->src.count > 0 || (!any_zone && d->from_zone != r->from_zone) ||
		!ranges_within(s, r->dst, d->dst) || !services_within(s, r->services, d->services))
		return false;
	for (uint32_t i = 0; i < r->dst.count; i++)
		if (snap_ranges(s)[r->dst.first + i].first.family != d->to.first.family ||
			ranges_meet(&snap_ranges(s)[r->dst.first + i], &d->to))
			return false;
	return true;
}

/* A rule with off before it may leave some of it as it is. */
static const struct snap_dnat_rule *dnat_that_hides(const struct snapshot *s, const struct snap_rule *r)
{
	const struct snap_dnat_rule *d = snap_dnat_rules(s);

	if (r->dst.count == 0 || r->from_zone == ZONE_SELF || r->to_zone == ZONE_SELF)
		return NULL;
	for (uint32_t i = 0; i < s->dnat_rules.count && i < DNAT_COMPARED && d[i].action != DNAT_OFF; i++)
		if (dnat_hides(s, &d[i], r))
			return &d[i];
	return NULL;
}

#define HIDDEN_SAID 16

/* As ScreenOS has it: its policies name the VIP or MIP. */
static void rules_for_published(const struct warner *w)
{
	const struct snapshot *s = w->s;
	uint32_t said = 0;

	for (uint32_t i = 0; i < s->rules.count && said < HIDDEN_SAID; i++) {
		const struct snap_rule *r = &snap_rules(s)[i];
		const struct snap_dnat_rule *d = dnat_that_hides(s, r);
		char to[RANGE_TEXT_MAX];
		if (!d)
			continue;
		said++;
		warn(w,
			"rule '%s' from %s to %s names an address that %s rule '%s' publishes, and matches nothing: policy decides "
			"about the translated destination, so name what is in %s, with the port there",
			r->name, zone_name(s, r->from_zone), zone_name(s, r->to_zone), dnat_kind(d), d->name,
			range_text(to, &d->to));
	}
}

/* ---- blocks of ports that are not their hosts' alone ---- */

static const struct ip_range *pool_at(const struct snapshot *s, const struct snap_nat_rule *r, uint32_t i)
{
	return i == 0 ? &r->pool : snap_ranges(s) + r->pool_more.first + i - 1;
}

static bool pools_meet(const struct snapshot *s, const struct snap_nat_rule *a, const struct snap_nat_rule *b)
{
	if (a->action != NAT_POOL || b->action != NAT_POOL ||
		(!(b->flags & NAT_KEEP_PORT) &&
			(a->port_last < b->port_first || b->port_last < a->port_first)))
		return false;
	for (uint32_t i = 0; i <= a->pool_more.count; i++)
		for (uint32_t k = 0; k <= b->pool_more.count; k++)
			if (ranges_meet(pool_at(s, a, i), pool_at(s, b, k)))
				return true;
	return false;
}

/* Dynamic blocks of two rules are claimed from one table; deterministic ones may be the same ones, to another zone. */
static bool blocks_agree(const struct snap_nat_rule *a, const struct snap_nat_rule *b)
{
	bool dynamic = a->blocks_max > 0 && b->blocks_max > 0;
	bool same = a->blocks_max == 0 && b->blocks_max == 0 && a->block_size == b->block_size &&
		    a->port_first == b->port_first && a->port_last == b->port_last &&
		    memcmp(&a->base, &b->base, sizeof a->base) == 0 &&
		    memcmp(&a->pool, &b->pool, sizeof a->pool) == 0 && a->pool_more.count == 0 &&
		    b->pool_more.count == 0;

	return dynamic || same;
}

#define BLOCKS_COMPARED 64 /* rules with blocks; each with all rules of source NAT */

static void blocks_shared(const struct warner *w)
{
	const struct snap_nat_rule *rules = snap_nat_rules(w->s);
	uint32_t n = 0, count = w->s->nat_rules.count;

	for (uint32_t i = 0; i < count && n < BLOCKS_COMPARED; i++) {
		if (rules[i].block_size == 0)
			continue;
		n++;
		for (uint32_t k = 0; k < count; k++) {
			if (k == i || (k < i && rules[k].block_size > 0) || /* said by the other one */
				blocks_agree(&rules[i], &rules[k]) || !pools_meet(w->s, &rules[i], &rules[k]))
				continue;
			warn(w,
				"source NAT rule '%s' uses addresses and ports of the blocks of rule '%s': which host had them cannot "
				"be told from the blocks; use other addresses, or ports of their own",
				rules[k].name, rules[i].name);
		}
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

/* The first algorithm for old peers that it may use, in IKE or in a tunnel; NULL: none. */
static const char *peer_old_algorithm(const struct snapshot *s, uint32_t peer)
{
	const struct span ike = snap_peers(s)[peer].proposals;

	for (uint32_t i = ike.first; i < ike.first + ike.count; i++) {
		const struct snap_ike_proposal *p = &snap_ike_proposals(s)[i];
		if (encr_is_legacy(p->encr))
			return encr_word(p->encr, p->encr_bits);
		if (dh_is_legacy(p->dh))
			return dh_word(p->dh);
	}
	for (uint32_t t = 0; t < s->tunnels.count; t++) {
		const struct span esp = snap_tunnels(s)[t].proposals;
		for (uint32_t i = esp.first; snap_tunnels(s)[t].peer == peer && i < esp.first + esp.count;
			i++) {
			const struct snap_esp_proposal *p = &snap_esp_proposals(s)[i];
			if (encr_is_legacy(p->encr))
				return encr_word(p->encr, p->encr_bits);
			if (dh_is_legacy(p->dh))
				return dh_word(p->dh);
		}
	}
	return NULL;
}

static void peers_of_old(const struct warner *w)
{
	for (uint32_t i = 0; i < w->s->peers.count; i++) {
		const char *word = peer_old_algorithm(w->s, i);
		if (word)
			warn(w, "peer '%s' may use %s, which is for old peers (legacy-algorithms): take it out as soon as the peer has a newer one",
				snap_peers(w->s)[i].name, word);
	}
}

/* Answers are no exception: IKE and ESP come to the gateway by rules to self and the zone's services alone. */
static void peers_unheard(const struct warner *w)
{
	const struct snapshot *s = w->s;
	uint64_t used = snapshot_zones_in_use(s);

	for (uint32_t zone = 0; zone < s->zones.count; zone++)
		if (used >> zone & 1 &&
			snap_self_access(s, zone, PROTOCOL_UDP, PORT_IKE, NULL) != SELF_CLOSED)
			return;
	if (s->peers.count > 0 && s->interfaces.count > 0)
		warn(w,
			"no zone has host-inbound ike, or a rule to self for it: IKE messages of peer '%s' are dropped, requests and "
			"responses (peers: %u)",
			snap_peers(s)[0].name, s->peers.count);
}

/* ---- rules to and from the gateway itself ---- */

static const char *without_session(const struct snap_rule *r)
{
	return r->timeout_s		   ? "timeout"
	       : r->flags & RULE_DSCP	   ? "dscp"
	       : r->flags & RULE_COUNT	   ? "count"
	       : r->flags & RULE_LOG_CLOSE ? "log session-close"
					   : NULL;
}

static void self_rules(const struct warner *w)
{
	const struct snapshot *s = w->s;
	uint64_t tunnels = 0;

	for (uint32_t i = 0; i < s->tunnels.count; i++)
		if (!snap_tunnel_is_routed(&snap_tunnels(s)[i]))
			tunnels |= 1ull << snap_tunnels(s)[i].zone;
	for (uint32_t i = 0; i < s->zones.count; i++)
		if (strcmp(snap_zones(s)[i].name, "self") == 0)
			warn(w, "zone 'self': in policy its name stands for the zone, so no rule can name the gateway itself; give the zone another name");
	for (uint32_t i = 0; i < s->rules.count; i++) {
		const struct snap_rule *r = &snap_rules(s)[i];
		uint32_t zone = r->to_zone == ZONE_SELF ? r->from_zone : r->to_zone;
		if ((r->to_zone != ZONE_SELF && r->from_zone != ZONE_SELF) || tunnels >> zone & 1 ||
			!without_session(r))
			continue;
		warn(w, "rule '%s' from %s to %s: %s has no effect, because zone '%s' has no tunnel that selectors choose: of what interfaces bring for the gateway itself, or it sends by them, the kernel has the session",
			r->name, snap_rule_zone(s, r->from_zone), snap_rule_zone(s, r->to_zone),
			without_session(r), zone_name(s, zone));
	}
}

static void metrics_unreachable(const struct warner *w)
{
	const struct snapshot *s = w->s;
	uint16_t port = s->metrics.listen.port;

	for (uint32_t i = 0; i < s->host_services.count; i++) {
		const struct snap_host_service *v = &snap_host_services(s)[i];
		if (v->proto == PROTOCOL_TCP && v->first <= port && port <= v->last)
			return;
	}
	for (uint32_t i = 0; i < s->rules.count; i++)
		if (snap_rules(s)[i].to_zone == ZONE_SELF)
			return; /* one of them may permit it */
	if (s->metrics.on)
		warn(w, "no zone has host-inbound tcp/%u: metrics are served to this machine alone", port);
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

/* ---- schedulers and screens ---- */

/* How many of its days have all hours, and how many none. */
static void days_of(const struct snap_schedule *v, unsigned *ret_whole, unsigned *ret_none)
{
	*ret_whole = *ret_none = 0;
	for (size_t i = 0; i < COUNT_OF(v->day); i++) {
		*ret_whole += v->day[i].first == 0 && v->day[i].end == DAY_S;
		*ret_none += v->day[i].end == 0;
	}
}

static void schedulers_of_no_time(const struct warner *w)
{
	const struct snapshot *s = w->s;

	for (uint32_t i = 0; i < s->schedules.count; i++) {
		const struct snap_schedule *v = &snap_schedules(s)[i];
		uint32_t rules = 0;
		unsigned whole, none;
		for (uint32_t k = 0; k < s->rules.count; k++)
			rules += snap_rules(s)[k].schedule == i;
		days_of(v, &whole, &none);
		if (rules == 0)
			warn(w, "no rule of policy has scheduler-name %s: this scheduler has no effect",
				v->name);
		else if (none == COUNT_OF(v->day))
			warn(w, "scheduler '%s' excludes every day: its rules are never in force (policy rules: %u)",
				v->name, rules);
		else if (whole == COUNT_OF(v->day) && v->from_minute == 0 && v->until_minute == 0)
			warn(w,
				"scheduler '%s' has no times: its rules are always in force (policy rules: %u); "
				"write for example: daily { start-time 08:00; stop-time 18:00; }",
				v->name, rules);
	}
}

static void screens_of_nothing(const struct warner *w)
{
	const struct snapshot *s = w->s;

	for (uint32_t i = 0; i < s->screens.count; i++) {
		uint32_t zone = 0;
		while (zone < s->zones.count && snap_zones(s)[zone].screen != i + 1)
			zone++;
		if (zone == s->zones.count)
			warn(w, "no zone has screen %s: it recognises nothing", snap_screens(s)[i].name);
	}
}

/* Between the two numbers SYNs of honest clients are dropped, too. */
static void cookies_too_late(const struct warner *w)
{
	const struct snapshot *s = w->s;

	for (uint32_t i = 0; i < s->screens.count; i++) {
		const struct snap_screen *v = &snap_screens(s)[i];
		uint32_t attack = v->limit[SCREEN_SYN_FLOOD_ATTACK],
			 all = v->limit[SCREEN_SYN_FLOOD_DESTINATION];
		if (all > 0 && attack > all)
			warn(w,
				"screen %s: SYNs to one destination beyond destination-threshold %u are dropped, honest ones among them, before "
				"attack-threshold %u answers them with SYN cookies: give attack-threshold the lower number",
				v->name, all, attack);
	}
}

/* ---- countries ---- */

#define COUNTRIES_SAID 16

static void countries_of_nothing(const struct warner *w)
{
	const struct snapshot *s = w->s;
	uint32_t said = 0;

	for (uint32_t i = 0; i < s->dynamics.count && said < COUNTRIES_SAID; i++) {
		const struct snap_dynamic *d = &snap_dynamics(s)[i];
		if (d->kind != DYNAMIC_COUNTRY || iso_country_is_assigned(d->name))
			continue;
		const char *meant = iso_country_meant(d->name);
		said++;
		warn(w, "country %s of address '%s' is no code of ISO 3166-1, so no database has a network of it%s%s%s",
			d->name, d->object, meant ? "; did you mean " : "", meant ? meant : "",
			meant ? "?" : "");
	}
}

/* ---- NAT64 ---- */

/* Its hosts have IPv6 alone: without a rule of source NAT to IPv4 none of their connections can begin. */
static void nat64_without_source(const struct warner *w)
{
	const struct snapshot *s = w->s;

	for (uint32_t i = 0; i < s->dnat_rules.count; i++) {
		const struct snap_dnat_rule *r = &snap_dnat_rules(s)[i];
		uint32_t k = 0;
		if (r->action != DNAT_NAT64)
			continue;
		for (; k < s->nat_rules.count; k++) {
			const struct snap_nat_rule *n = &snap_nat_rules(s)[k];
			if (nat_family(n) == ADDR_V4 &&
				(r->from_zone == ZONE_ANY || n->from_zone == ZONE_ANY ||
					n->from_zone == r->from_zone))
				break;
		}
		if (k == s->nat_rules.count)
			warn(w,
				"nat64 rule '%s': no rule of source NAT gives hosts of zone '%s' an IPv4 address, so their connections "
				"are dropped (nat-no-address); write one from %s with source-nat interface or a pool of IPv4",
				r->name, zone_name(s, r->from_zone), zone_name(s, r->from_zone));
	}
}

/* ---- tunnels whose networks overlap: the narrower ones are used (route/selectors.h) ---- */

#define TUNNELS_COMPARED 256 /* each with those before it */
#define OVERLAPS_SAID	 16

static bool is_everything(const struct ip_range *r)
{
	for (size_t i = 0; i < addr_size(&r->first); i++)
		if (r->first.b[i] != 0 || r->last.b[i] != 0xff)
			return false;
	return true;
}

/* a is a part of b, and not all of it. */
static bool range_within(const struct ip_range *a, const struct ip_range *b)
{
	return addr_compare(&b->first, &a->first) <= 0 && addr_compare(&a->last, &b->last) <= 0 &&
	       !(addr_equal(&a->first, &b->first) && addr_equal(&a->last, &b->last));
}

/* Networks of one side of two tunnels that meet: the first pair of them. A tunnel to everywhere is meant to be the wider one. */
static bool sides_meet(const struct snapshot *s, struct span a, struct span b, bool remote,
	const struct ip_range *ret_pair[2])
{
	for (uint32_t i = 0; i < a.count; i++)
		for (uint32_t k = 0; k < b.count; k++) {
			ret_pair[0] = &snap_selectors(s)[a.first + i].addrs;
			ret_pair[1] = &snap_selectors(s)[b.first + k].addrs;
			if (ranges_meet(ret_pair[0], ret_pair[1]) &&
				!(remote && (is_everything(ret_pair[0]) || is_everything(ret_pair[1]))))
				return true;
		}
	return false;
}

/* By their remote sides, and where those are the same by the local ones. */
static void overlap_said(const struct warner *w, const struct snap_tunnel *t[2],
	const struct ip_range *const here[2], const struct ip_range *const there[2])
{
	bool same = addr_equal(&there[0]->first, &there[1]->first) &&
		    addr_equal(&there[0]->last, &there[1]->last);
	const struct ip_range *const *pair = same ? here : there;
	const char *side = same ? "local" : "remote";
	char one[RANGE_TEXT_MAX], other[RANGE_TEXT_MAX];

	for (int i = 0; i < 2; i++)
		if (range_within(pair[i], pair[!i])) {
			warn(w,
				"tunnels '%s' and '%s' overlap: %s of tunnel '%s' is within %s of tunnel '%s'; packets that "
				"fit both use tunnel '%s', even while it is down",
				t[0]->name, t[1]->name, range_text(one, pair[i]), t[i]->name,
				range_text(other, pair[!i]), t[!i]->name, t[i]->name);
			return;
		}
	warn(w,
		"tunnels '%s' and '%s' overlap: %s %s and %s have addresses in common; packets that fit both use the "
		"tunnel with the narrower networks, even while it is down",
		t[0]->name, t[1]->name, side, range_text(one, pair[0]), range_text(other, pair[1]));
}

static void tunnels_overlap(const struct warner *w)
{
	const struct snap_tunnel *t = snap_tunnels(w->s);
	uint32_t said = 0;

	for (uint32_t i = 0; i < w->s->tunnels.count && i < TUNNELS_COMPARED; i++)
		for (uint32_t k = 0; k < i && said < OVERLAPS_SAID; k++) {
			const struct ip_range *here[2], *there[2];
			const struct snap_tunnel *two[2] = { &t[k], &t[i] };
			if (snap_tunnel_is_routed(&t[k]) || snap_tunnel_is_routed(&t[i]) ||
				!sides_meet(w->s, t[k].local, t[i].local, false, here) ||
				!sides_meet(w->s, t[k].remote, t[i].remote, true, there))
				continue;
			said++;
			overlap_said(w, two, here, there);
		}
}

/* Its carrier comes with the tunnel, and without carrier neither the kernel nor a routing daemon sends anything by it. */
static void tunnels_never_begun(const struct warner *w)
{
	const struct snapshot *s = w->s;

	for (uint32_t i = 0; i < s->tunnels.count; i++) {
		const struct snap_tunnel *t = &snap_tunnels(s)[i];
		const struct snap_peer *p = &snap_peers(s)[t->peer];
		if (snap_tunnel_is_routed(t) && p->start == PEER_START_ON_TRAFFIC)
			warn(w, "tunnel '%s' has interface %s, which has no carrier before the tunnel is up, so this gateway itself sends nothing by it that would bring it up: let peer '%s' start always",
				t->name, t->interface, p->name);
	}
}

void snapshot_warnings(const struct snapshot *s, warning_fn *fn, void *context)
{
	const struct warner w = { s, fn, context };

	rules_behind(&w);
	rules_that_deny_names(&w);
	nat_rules_behind(&w);
	dnat_rules_behind(&w);
	rules_for_published(&w);
	blocks_shared(&w);
	zones_of_nothing(&w);
	peers_of_nothing(&w);
	peers_unheard(&w);
	peers_of_old(&w);
	self_rules(&w);
	metrics_unreachable(&w);
	host_services_taken(&w);
	schedulers_of_no_time(&w);
	screens_of_nothing(&w);
	cookies_too_late(&w);
	countries_of_nothing(&w);
	nat64_without_source(&w);
	tunnels_overlap(&w);
	tunnels_never_begun(&w);
}
