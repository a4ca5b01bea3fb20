#include "model/host_access.h"

#define PROTOCOL_TCP 6

uint64_t snapshot_zones_in_use(const struct snapshot *s)
{
	uint64_t zones = 0;

	for (uint32_t i = 0; i < s->interfaces.count; i++)
		zones |= 1ull << snap_interfaces(s)[i].zone;
	for (uint32_t i = 0; i < s->tunnels.count; i++)
		zones |= 1ull << snap_tunnels(s)[i].zone;
	return zones;
}

static bool in_use(uint64_t zones, uint32_t zone)
{
	return zone == ZONE_ANY || zone == ZONE_SELF ? zones != 0 : zones >> zone & 1;
}

static bool something_is_open(const struct snapshot *s)
{
	uint64_t zones = snapshot_zones_in_use(s);

	for (uint32_t i = 0; i < s->zones.count; i++)
		if (in_use(zones, i) && snap_zones(s)[i].host_services.count > 0)
			return true;
	for (uint32_t i = 0; i < s->rules.count; i++) {
		const struct snap_rule *r = &snap_rules(s)[i];
		if (r->action == RULE_PERMIT && r->from_zone != ZONE_SELF && in_use(zones, r->from_zone) &&
			in_use(zones, r->to_zone))
			return true;
	}
	return false;
}

enum rc snapshot_check_not_closed(const struct snapshot *s, const char *name, struct err *e)
{
	if (s->interfaces.count > 0 && something_is_open(s))
		return RC_OK;
	return err_add(e, RC_DENIED,
		"%s: %s, so everything would be closed: nothing would be forwarded, and no service of the gateway "
		"reachable; %s, or use --close-all if that is intended",
		name,
		s->interfaces.count == 0
			? "no zone has an interface"
			: "no rule permits anything between zones with interfaces or tunnels, and "
			  "none of these zones has host-inbound",
		s->interfaces.count == 0 ? "put interfaces into zones"
					 : "permit something by a rule or by host-inbound");
}

/* Is a within b, and less than it? */
static bool narrower(const struct ip_range *a, const struct ip_range *b)
{
	return range_holds(b, &a->first) && range_holds(b, &a->last) &&
	       (!addr_equal(&a->first, &b->first) || !addr_equal(&a->last, &b->last));
}

/* The tunnel that takes what the host sends to this address, the most specific one (route/selectors.c);
 * INDEX_NONE: none. */
static uint32_t tunnel_to(const struct snapshot *s, const struct ip_addr *remote)
{
	const struct ip_range what = { *remote, *remote }, *best = NULL;
	uint32_t tunnel = INDEX_NONE;

	for (uint32_t i = 0; i < s->tunnels.count; i++) {
		const struct snap_tunnel *t = &snap_tunnels(s)[i];
		for (uint32_t k = t->remote.first;
			!snap_tunnel_is_routed(t) && k < t->remote.first + t->remote.count; k++) {
			const struct ip_range *range = &snap_selectors(s)[k].addrs;
			if (!range_holds(range, remote) || snap_tunnel_keeps(s, t, range, &what) ||
				(best && !narrower(range, best)))
				continue;
			best = range;
			tunnel = i;
		}
	}
	return tunnel;
}

static uint32_t zone_of_interface(const struct snapshot *s, const char *name)
{
	for (uint32_t i = 0; i < s->interfaces.count; i++)
		if (strcmp(snap_interfaces(s)[i].name, name) == 0)
			return snap_interfaces(s)[i].zone;
	for (uint32_t i = 0; i < s->tunnels.count; i++)
		if (strcmp(snap_tunnels(s)[i].interface, name) == 0)
			return snap_tunnels(s)[i].zone;
	return INDEX_NONE;
}

/* The interface is not known: any zone will do. */
static enum rc some_zone_opens(const struct snapshot *s, const struct host_connection *c, struct err *e)
{
	for (uint32_t i = 0; i < s->zones.count; i++)
		if (snap_self_access(s, i, PROTOCOL_TCP, c->local_port, &c->remote) != SELF_CLOSED)
			return RC_OK;
	return err_add(e, RC_DENIED,
		"no zone opens TCP port %u of the host to this address, by a rule to self or by host-inbound",
		c->local_port);
}

enum rc snapshot_admits(const struct snapshot *s, const struct host_connection *c, struct err *e)
{
	bool by_tunnel = strcmp(c->interface, TUN_NAME) == 0;
	uint32_t tunnel = tunnel_to(s, &c->remote), zone;
	char remote[ADDR_TEXT_MAX];

	/* From the host to itself, or a connection that the host began: answers pass. */
	if (strcmp(c->interface, "lo") == 0 ||
		(!c->accepted && c->local_port >= s->host_port_first && c->local_port <= s->host_port_last))
		return RC_OK;
	addr_text(remote, &c->remote);
	if (!c->interface[0])
		return some_zone_opens(s, c, e);
	if (by_tunnel && tunnel == INDEX_NONE)
		return err_add(e, RC_DENIED, "no tunnel has %s among its remote networks", remote);
	if (!by_tunnel && tunnel != INDEX_NONE)
		return err_add(e, RC_DENIED, "what the host sends to %s would go into tunnel '%s'", remote,
			snap_tunnels(s)[tunnel].name);
	zone = by_tunnel ? snap_tunnels(s)[tunnel].zone : zone_of_interface(s, c->interface);
	if (zone == INDEX_NONE)
		return err_add(e, RC_DENIED, "interface %s is in no zone", c->interface);
	if (snap_self_access(s, zone, PROTOCOL_TCP, c->local_port, &c->remote) != SELF_CLOSED)
		return RC_OK;
	return err_add(e, RC_DENIED,
		"zone '%s' does not open TCP port %u of the host to %s, by a rule to self or by host-inbound",
		snap_zones(s)[zone].name, c->local_port, remote);
}

enum rc snapshot_keeps_connection(const struct snapshot *now, const struct snapshot *next,
	const struct host_connection *c, struct err *e)
{
	bool first = now->interfaces.count == 0;
	char remote[ADDR_TEXT_MAX];

	if (c->remote.family == ADDR_NONE || (!first && snapshot_admits(now, c, NULL)) ||
		!snapshot_admits(next, c, e))
		return RC_OK;
	return err_add(e, RC_DENIED,
		"the connection from %s by which this commit comes would no longer be admitted; change that, "
		"or use --cut-off if it is intended",
		addr_text(remote, &c->remote));
}
