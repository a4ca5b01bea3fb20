/*
 * Addresses that fit no network of this machine's interfaces, or a network whose neighbours nobody answers: what is sent to them
 * is lost in silence. An interface that is not there, or has no address of the family yet, says nothing about any.
 */
#include "cli/networks.h"

#include <ifaddrs.h>
#include <net/if.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>

#define NAT_SAID 16

/* An address of an interface of a zone, and its network; false: it is of another interface, or of none of the two families. */
static bool network_of(const struct snapshot *s, const struct ifaddrs *at, uint32_t *ret_interface,
	struct ip_range *ret_network)
{
	const struct snap_interface *in = snap_interfaces(s);
	uint8_t mask[sizeof ret_network->first.b] = { 0 };
	struct ip_addr own;

	if (!at->ifa_addr || !at->ifa_netmask || (at->ifa_flags & (IFF_POINTOPOINT | IFF_NOARP)))
		return false;
	if (at->ifa_addr->sa_family == AF_INET) {
		own = addr_v4(&((const struct sockaddr_in *)(const void *)at->ifa_addr)->sin_addr);
		memcpy(mask, &((const struct sockaddr_in *)(const void *)at->ifa_netmask)->sin_addr, 4);
	} else if (at->ifa_addr->sa_family == AF_INET6) {
		own = addr_v6(&((const struct sockaddr_in6 *)(const void *)at->ifa_addr)->sin6_addr);
		memcpy(mask, &((const struct sockaddr_in6 *)(const void *)at->ifa_netmask)->sin6_addr, 16);
	} else {
		return false;
	}
	*ret_network = (struct ip_range){ .first = own, .last = own };
	for (size_t i = 0; i < addr_size(&own); i++) {
		ret_network->first.b[i] &= mask[i];
		ret_network->last.b[i] |= (uint8_t)~mask[i];
	}
	for (uint32_t i = 0; i < s->interfaces.count; i++)
		if (strcmp(in[i].name, at->ifa_name) == 0) {
			*ret_interface = i;
			return true;
		}
	return false;
}

/* The interface in whose network the address is; INDEX_NONE: there is none in this zone (ZONE_ANY: in any). */
static uint32_t link_of(
	const struct snapshot *s, const struct ifaddrs *all, uint32_t zone, const struct ip_addr *a)
{
	for (const struct ifaddrs *at = all; at; at = at->ifa_next) {
		struct ip_range network;
		uint32_t i;
		if (network_of(s, at, &i, &network) && range_holds(&network, a) &&
			!addr_equal(&network.first, a) &&
			(zone == ZONE_ANY || snap_interfaces(s)[i].zone == zone))
			return i;
	}
	return INDEX_NONE;
}

static bool is_answered(
	const struct snapshot *s, const struct ifaddrs *all, uint32_t interface, const struct ip_addr *a)
{
	for (uint32_t i = 0; i < s->proxies.count; i++)
		if (snap_proxies(s)[i].interface == interface && range_holds(&snap_proxies(s)[i].addrs, a))
			return true;
	for (const struct ifaddrs *at = all; at; at = at->ifa_next) {
		const void *own = at->ifa_addr;
		struct ip_addr here = { 0 };
		if (own && at->ifa_addr->sa_family == AF_INET)
			here = addr_v4(&((const struct sockaddr_in *)own)->sin_addr);
		else if (own && at->ifa_addr->sa_family == AF_INET6)
			here = addr_v6(&((const struct sockaddr_in6 *)own)->sin6_addr);
		if (here.family == a->family && addr_equal(&here, a))
			return true;
	}
	return false;
}

/* Both ends of a range are looked at, and none between. A range that begins as a network does, or before it, is not taken for
 * addresses that somebody is to answer for. */
static bool range_unanswered(const struct snapshot *s, const struct ifaddrs *all, uint32_t zone,
	const struct ip_range *r, uint32_t *ret_interface)
{
	*ret_interface = link_of(s, all, zone, &r->first);
	return *ret_interface != INDEX_NONE && !(is_answered(s, all, *ret_interface, &r->first) &&
						       is_answered(s, all, *ret_interface, &r->last));
}

static void unanswered(const struct snapshot *s, struct findings *f, const char *kind, const char *rule,
	const struct ip_range *r, uint32_t interface)
{
	const char *name = snap_interfaces(s)[interface].name;
	const char *word = r->first.family == ADDR_V4 ? "arp" : "ndp";
	char text[500], range[RANGE_TEXT_MAX];

	snprintf(text, sizeof text,
		"%s of %s rule '%s' is in the network of %s, and its addresses are neither this machine's nor named by proxy-%s: nobody answers "
		"for them there; write nat { proxy-%s %s { address %s; } }",
		range_text(range, r), kind, rule, name, word, word, name, range);
	findings_warning(f, text);
}

static void pools(const struct snapshot *s, const struct ifaddrs *all, struct findings *f)
{
	uint32_t said = 0, interface;

	for (uint32_t i = 0; i < s->nat_rules.count; i++) {
		const struct snap_nat_rule *r = &snap_nat_rules(s)[i];
		for (uint32_t k = 0; r->action == NAT_POOL && k <= r->pool_more.count; k++) {
			const struct ip_range *p =
				k == 0 ? &r->pool : &snap_ranges(s)[r->pool_more.first + k - 1];
			if (said < NAT_SAID && range_unanswered(s, all, r->to_zone, p, &interface)) {
				said++;
				unanswered(s, f, "source NAT", r->name, p, interface);
			}
		}
	}
}

/* Addresses that are published. */
static void published(const struct snapshot *s, const struct ifaddrs *all, struct findings *f)
{
	uint32_t said = 0, interface;

	for (uint32_t i = 0; i < s->dnat_rules.count; i++) {
		const struct snap_dnat_rule *r = &snap_dnat_rules(s)[i];
		if (r->action != DNAT_SERVERS && r->action != DNAT_STATIC)
			continue;
		for (uint32_t k = 0; k < r->dst.count && said < NAT_SAID; k++) {
			const struct ip_range *d = &snap_ranges(s)[r->dst.first + k];
			if (range_unanswered(s, all, r->from_zone, d, &interface)) {
				said++;
				unanswered(s, f, r->action == DNAT_STATIC ? "static NAT" : "destination NAT",
					r->name, d, interface);
			}
		}
	}
}

static bool has_family(
	const struct snapshot *s, const struct ifaddrs *all, uint32_t interface, const struct ip_addr *like)
{
	for (const struct ifaddrs *at = all; at; at = at->ifa_next) {
		struct ip_range network;
		uint32_t i;
		if (network_of(s, at, &i, &network) && i == interface && network.first.family == like->family)
			return true;
	}
	return false;
}

static void next_hops(const struct snapshot *s, const struct ifaddrs *all, struct findings *f)
{
	for (uint32_t i = 0; i < s->uplinks.count; i++) {
		const struct snap_uplink *u = &snap_uplinks(s)[i];
		const struct snap_interface *in = &snap_interfaces(s)[u->interface];
		char text[300], address[ADDR_TEXT_MAX];
		if (u->next_hop.family == ADDR_NONE || !has_family(s, all, u->interface, &u->next_hop) ||
			link_of(s, all, in->zone, &u->next_hop) != INDEX_NONE)
			continue;
		snprintf(text, sizeof text,
			"next-hop %s of uplink '%s' is in no network of %s: its probes reach nothing",
			addr_text(address, &u->next_hop), u->name, in->name);
		findings_warning(f, text);
	}
}

static void metrics(const struct snapshot *s, const struct ifaddrs *all, struct findings *f)
{
	const struct ip_addr *listen = &s->metrics.listen.addr;
	char text[200], address[ADDR_TEXT_MAX];

	if (!s->metrics.on || is_answered(s, all, INDEX_NONE, listen))
		return;
	snprintf(text, sizeof text,
		"listen %s of metrics is on no interface of this machine: they are served when it is",
		addr_text(address, listen));
	findings_warning(f, text);
}

void networks_warn(const struct snapshot *s, struct findings *f)
{
	struct ifaddrs *all = NULL;

	if (getifaddrs(&all) != 0)
		return;
	pools(s, all, f);
	published(s, all, f);
	next_hops(s, all, f);
	metrics(s, all, f);
	freeifaddrs(all);
}
