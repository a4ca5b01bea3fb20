/*
 * The rule set of the ingress filter as nft's text. Made only of typed fields of the snapshot and of
 * interface names that interface_name_ok() accepts. Pure.
 *
 * Two parts. `netdev`, on each zone interface, after the AF_PACKET tap: only what is for this host goes on
 * into the kernel (ARP; packets to local, broadcast and multicast addresses), and of that nothing to a port
 * of source NAT. No state is needed: the host's own ports and source NAT's are disjoint. Fragments without
 * ports pass here.
 *
 * `inet`: nothing is forwarded, and what goes to the host itself is checked after the kernel has put
 * fragments together (connection tracking makes it do so before any chain sees them, in both families): rules to
 * self (filter_rules.c), the services that the zone names, and answers to connections that the host has begun. ICMP errors pass, the
 * kernel drops those that belong to none of its sockets. That holds for what tunnels bring through pg0, or an interface of theirs, too.
 * What destination or static NAT takes is dropped before that. From the loopback device only the host itself
 * is accepted: a packet socket of one link sends on any other as well, so a compromised data plane could send
 * there with any source address.
 *
 * An interface without a zone has no services: default deny. Without a configuration, or with one that puts
 * no interface into a zone, no service is reachable; the host's own connections get their answers.
 */
#include "base/icmp.h"
#include "base/tw.h"
#include "proc/supervisor/filter_rules.h"
#include "proc/supervisor/supervisor.h"

#include <stdio.h>

bool interface_name_ok(const char *name)
{
	size_t n = strnlen(name, INTERFACE_NAME_BYTES);

	if (n == 0 || n >= INTERFACE_NAME_BYTES || name[0] == '-' || strcmp(name, ".") == 0 ||
		strcmp(name, "..") == 0)
		return false;
	for (size_t i = 0; i < n; i++) {
		char c = name[i];
		if (!((c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
			    c == '_' || c == '.' || c == '-' || c == '@'))
			return false;
	}
	return true;
}

/*
 * What destination and static NAT take from the host: a copy of it comes to the kernel, which must not answer. The
 * chain holds whatever zones open, for connections that exist, too. As in the data plane, the first rule that matches
 * decides, `off` leaves the packet to the host, and answers to the host's own connections are not taken.
 */
static void ranges_say(struct tw *t, const struct snapshot *snap, const struct span *span, uint8_t family)
{
	char first[ADDR_TEXT_MAX], last[ADDR_TEXT_MAX];
	bool any = false;

	for (uint32_t i = span->first; i < span->first + span->count; i++) {
		const struct ip_range *r = &snap_ranges(snap)[i];
		bool one = addr_compare(&r->first, &r->last) == 0;
		if (r->first.family != family)
			continue;
		tw_say(t, "%s%s%s%s", any ? ", " : "{ ", addr_text(first, &r->first), one ? "" : "-",
			one ? "" : addr_text(last, &r->last));
		any = true;
	}
	tw_say(t, " } ");
}

static void taken_service(struct tw *t, const struct snap_service *v)
{
	const char *name = v->proto == 6     ? "tcp"
			   : v->proto == 17  ? "udp"
			   : v->proto == 132 ? "sctp"
			   : v->proto == 1   ? "icmp"
					     : "icmpv6";

	if (v->proto == 6 || v->proto == 17 || v->proto == 132)
		tw_say(t, "%s sport %u-%u %s dport %u-%u ", name, v->src_first, v->src_last, name,
			v->dst_first, v->dst_last);
	else if (v->proto == 1 || v->proto == 58) {
		tw_say(t, "%s type { ", name);
		filter_queries(t, v->proto == 1); /* of ICMP, only queries are translated */
		tw_say(t, " } %s type %u-%u ", name, MIN_OF(v->dst_first, 255u), MIN_OF(v->dst_last, 255u));
	} else if (v->proto)
		tw_say(t, "meta l4proto %u ", v->proto);
	else
		tw_say(t, "meta l4proto != { 1, 58 } ");
}

/* interface NULL: by the rule's addresses. */
static void taken_by(struct tw *t, const struct snapshot *snap, const struct snap_dnat_rule *r,
	uint8_t family, const struct snap_service *v, const struct snap_interface *interface)
{
	const char *ip = family == ADDR_V4 ? "ip" : "ip6";
	const char *verdict = r->action == DNAT_OFF ? "return" : "drop";
	char of[32] = "";

	if (!snap_dnat_is_static(r) && r->from_zone != ZONE_ANY)
		snprintf(of, sizeof of, "iifname @zone_%u ", r->from_zone);
	/* Which addresses it has at the time, only the kernel knows: by the interface itself; and by the others
	 * what is not theirs. */
	for (int other = 0; other < (interface ? 2 : 1); other++) {
		tw_say(t, "\t\t%s", of);
		if (interface)
			tw_say(t,
				"meta nfproto %s iifname %s\"%s\" fib daddr . iif type %slocal fib daddr type local ",
				family == ADDR_V4 ? "ipv4" : "ipv6", other ? "!= " : "", interface->name,
				other ? "!= " : "");
		if (r->src.count) {
			tw_say(t, "%s saddr ", ip);
			ranges_say(t, snap, &r->src, family);
		}
		if (!interface) {
			tw_say(t, "%s daddr ", ip);
			ranges_say(t, snap, &r->dst, family);
		}
		taken_service(t, v);
		tw_say(t, "%s\n", verdict);
	}
}

static void taken_service_of(struct tw *t, const struct snapshot *snap, const struct snap_dnat_rule *r,
	uint8_t family, const struct snap_service *v)
{
	if (filter_set_has(snap, &r->dst, family))
		taken_by(t, snap, r, family, v, NULL);
	for (uint32_t i = 0; i < snap->interfaces.count; i++)
		if (r->interfaces >> i & 1 && interface_name_ok(snap_interfaces(snap)[i].name))
			taken_by(t, snap, r, family, v, &snap_interfaces(snap)[i]);
}

static void taken_rule(
	struct tw *t, const struct snapshot *snap, const struct snap_dnat_rule *r, uint8_t family)
{
	const struct snap_service any[] = { { .proto = 0 },
		{ .proto = family == ADDR_V4 ? 1 : 58, .dst_last = UINT16_MAX } };

	/* No address within a prefix of NAT64 is the kernel's. */
	if (r->action == DNAT_NAT64 || (r->action != DNAT_OFF && r->to.first.family != family) ||
		(r->src.count && !filter_set_has(snap, &r->src, family)))
		return;
	for (uint32_t k = 0; k < r->services.count; k++) {
		const struct snap_service *v = &snap_services(snap)[r->services.first + k];
		if (v->proto != (family == ADDR_V4 ? 58 : 1))
			taken_service_of(t, snap, r, family, v);
	}
	for (uint32_t k = 0; k < COUNT_OF(any) && r->services.count == 0; k++)
		taken_service_of(t, snap, r, family, &any[k]);
}

static void taken(struct tw *t, const struct snapshot *snap)
{
	for (uint32_t zone = 0; zone < snap->zones.count; zone++) {
		tw_say(t, "\tset zone_%u {\n\t\ttype ifname\n", zone);
		bool any = false;
		for (uint32_t i = 0; i < snap->interfaces.count; i++) {
			const struct snap_interface *in = &snap_interfaces(snap)[i];
			if (in->zone != zone || !interface_name_ok(in->name))
				continue;
			tw_say(t, "%s\"%s\"", any ? ", " : "\t\telements = { ", in->name);
			any = true;
		}
		tw_say(t, "%s\t}\n", any ? " }\n" : "");
	}
	tw_say(t, "\tchain translated {\n\t\tmeta l4proto { tcp, udp } th dport %u-%u return\n",
		snap->host_port_first, snap->host_port_last);
	for (uint32_t i = 0; i < snap->dnat_rules.count; i++) {
		taken_rule(t, snap, &snap_dnat_rules(snap)[i], ADDR_V4);
		taken_rule(t, snap, &snap_dnat_rules(snap)[i], ADDR_V6);
	}
	tw_say(t, "\t}\n");
}

/*
 * What a zone opens makes three chains. What comes to a service, and what the service answers, has no
 * entry in the kernel's table of connections: strangers cannot fill it, and a service that is closed is
 * closed at once, for those who used it, too.
 */
static const struct use {
	const char *suffix, *port, *peer, *verdict;
	bool answers;
	enum self_use of_rules;
} ACCEPT = { "", "dport", "saddr", "accept", false, SELF_IN },
  UNTRACKED_IN = { "_in", "dport", "saddr", "notrack", false, SELF_NOTRACK_IN },
  UNTRACKED_OUT = { "_out", "sport", "daddr", "notrack", true, SELF_NOTRACK_OUT };

static void one_service(
	struct tw *t, const struct snap_host_service *v, const struct use *u, const char *whom)
{
	char ports[16];

	int n = snprintf(ports, sizeof ports, "%u", v->first);
	if (v->last != v->first)
		snprintf(ports + n, sizeof ports - (size_t)n, "-%u", v->last);
	if (v->proto == 6 || v->proto == 17)
		tw_say(t, "\t\t%s%s %s %s %s\n", whom, v->proto == 6 ? "tcp" : "udp", u->port, ports,
			u->verdict);
	else if (v->proto != 1 && v->proto != 58)
		tw_say(t, "\t\t%smeta l4proto %u %s\n", whom, v->proto, u->verdict);
	else if (!u->answers)
		tw_say(t, "\t\t%s%s type %s %s\n", whom, v->proto == 1 ? "icmp" : "icmpv6", ports,
			u->verdict);
}

static void zone_chain(struct tw *t, const struct snapshot *snap, const struct self_rules *self,
	uint32_t zone, const struct use *u)
{
	const struct span *services = &snap_zones(snap)[zone].host_services;

	tw_say(t, "\tchain zone_%u%s {\n", zone, u->suffix);
	filter_rules_to(t, snap, self, zone, u->of_rules);
	for (uint32_t i = services->first; i < services->first + services->count; i++) {
		const struct snap_host_service *v = &snap_host_services(snap)[i];
		char whom[64];
		if (v->from.count == 0)
			one_service(t, v, u, "");
		for (int family = 4; family <= 6; family += 2) {
			if (!filter_set_has(snap, &v->from, family == 4 ? ADDR_V4 : ADDR_V6))
				continue;
			snprintf(whom, sizeof whom, "%s %s @from_%u_%u_v%d ", family == 4 ? "ip" : "ip6",
				u->peer, v->from.first, v->from.count, family);
			one_service(t, v, u, whom);
		}
	}
	tw_say(t, "\t}\n");
}

/* To the chain of each interface's zone. What tunnels bring was checked by its own zone in the data plane; a
 * compromised data plane reaches no more than all of them together. */
static void zone_jumps(struct tw *t, const struct snapshot *snap, const char *match, const struct use *u)
{
	const struct snap_interface *in = snap_interfaces(snap);
	uint64_t tunnels = 0;

	for (uint32_t i = 0; i < snap->interfaces.count; i++) {
		if (!interface_name_ok(in[i].name))
			continue;
		tw_say(t, "\t\t%s \"%s\" jump zone_%u%s\n", match, in[i].name, in[i].zone, u->suffix);
	}
	for (uint32_t k = 0; k < snap->tunnels.count; k++) {
		const struct snap_tunnel *one = &snap_tunnels(snap)[k];
		if (!snap_tunnel_is_routed(one))
			tunnels |= 1ull << one->zone;
		else if (interface_name_ok(one->interface))
			tw_say(t, "\t\t%s \"%s\" jump zone_%u%s\n", match, one->interface, one->zone,
				u->suffix);
	}
	for (uint32_t zone = 0; zone < snap->zones.count; zone++)
		if (tunnels >> zone & 1)
			tw_say(t, "\t\t%s \"" TUN_NAME "\" jump zone_%u%s\n", match, zone, u->suffix);
}

/* What is for a sub-interface in a zone of its own passes to it: there it meets that one's filter. */
static void sub_interfaces(struct tw *t, const struct zone_interface *interfaces, size_t n, uint32_t parent)
{
	for (size_t i = 0; i < n; i++) {
		const struct zone_interface *z = &interfaces[i];
		if (z->index == 0 || z->parent != parent)
			continue;
		if (z->vlan)
			tw_say(t, "\t\tvlan id %u accept\n", z->vlan);
		else
			tw_say(t, "\t\tether daddr %02x:%02x:%02x:%02x:%02x:%02x accept\n", z->mac[0],
				z->mac[1], z->mac[2], z->mac[3], z->mac[4], z->mac[5]);
	}
}

static void ingress(
	struct tw *t, const struct snapshot *snap, const struct zone_interface *interfaces, size_t n)
{
	tw_say(t, "add table netdev plaingate\ndelete table netdev plaingate\ntable netdev plaingate {\n");
	/* Of a datagram in fragments only the first has ports; the others would be judged by their payload.
	 * They may come in, for alone they are nothing. */
	tw_say(t,
		"\tchain host {\n"
		"\t\tip frag-off & 0x1fff != 0 accept\n"
		"\t\tfrag frag-off != 0 accept\n"
		"\t\tmeta l4proto { tcp, udp } th dport %u-%u drop\n"
		"\t\taccept\n\t}\n",
		snap->nat_port_first, snap->nat_port_last);
	for (size_t i = 0; i < n; i++) {
		if (!interfaces[i].index)
			continue;
		tw_say(t,
			"\tchain interface_%zu {\n"
			"\t\ttype filter hook ingress device \"%s\" priority 0; policy drop;\n",
			i, interfaces[i].name);
		sub_interfaces(t, interfaces, n, interfaces[i].index);
		tw_say(t, "\t\tfib daddr type { local, broadcast, multicast } goto host\n"
			  "\t\tmeta protocol arp accept\n"
			  /* To an address of a VRF's link, which the table of local ones does not have. */
			  "\t\ticmpv6 type { nd-neighbor-solicit, nd-neighbor-advert } accept\n"
			  /* To the address that is offered and not yet ours (RFC 2131 section 4.1): for the
			   * client's packet socket; the kernel itself takes no such packet. */
			  "\t\tudp sport 67 udp dport 68 accept\n\t}\n");
	}
	tw_say(t, "}\n");
}

/* Every tunnel's interface: pg0 for all those that selectors choose, and each one's own. There is one. */
static void tunnel_names(struct tw *t, const struct snapshot *snap, const char *before)
{
	bool any = false, selectors = false;

	for (uint32_t i = 0; i < snap->tunnels.count; i++) {
		const struct snap_tunnel *one = &snap_tunnels(snap)[i];
		bool routed = snap_tunnel_is_routed(one);
		if (!routed && selectors)
			continue;
		selectors |= !routed;
		tw_say(t, "%s\"%s\"", any ? ", " : before, routed ? one->interface : TUN_NAME);
		any = true;
	}
	tw_say(t, " }");
}

/*
 * What the host has sent into a tunnel is not answered in clear text: where the route back to the source enters a tunnel, the answer
 * has to come out of one; of which one the data plane decides. Not in VRFs, whose addresses are others. A DHCP client has
 * its answers from a server on the link that its socket is bound to, wherever that is routed.
 */
static void answers_in_clear(struct tw *t, const struct snapshot *snap)
{
	static const char *const dhcp = "udp sport 67 udp dport 68";

	for (uint32_t i = 0; snap && i < snap->tunnels.count; i++)
		if (snap_tunnel_is_routed(&snap_tunnels(snap)[i]) &&
			!interface_name_ok(snap_tunnels(snap)[i].interface))
			return;
	if (!snap || snap->tunnels.count == 0)
		return;
	tw_say(t, "\t\t%s ct state established ct direction reply accept\n", dhcp);
	tw_say(t, "\t\tct state established ct direction reply meta sdif 0 ");
	tunnel_names(t, snap, "iifname != { ");
	tunnel_names(t, snap, " fib saddr oifname { ");
	tw_say(t, " drop\n");
}

static void input(struct tw *t, const struct snapshot *snap)
{
	tw_say(t, "\tchain input {\n"
		  "\t\ttype filter hook input priority 0; policy drop;\n"
		  "\t\tiifname \"lo\" fib saddr type local accept\n");
	answers_in_clear(t, snap);
	tw_say(t,
		/* Of what the host has begun. What others have begun is decided about packet by packet. */
		"\t\tct state established ct direction reply accept\n"
		"\t\ticmp type { destination-unreachable, time-exceeded, parameter-problem } accept\n"
		"\t\ticmpv6 type { destination-unreachable, packet-too-big, time-exceeded, "
		"parameter-problem } "
		"accept\n"
		/* RFC 4861: what crossed a router is not of this link. */
		"\t\ticmpv6 type 133-137 ip6 hoplimit != 255 drop\n"
		"\t\ticmpv6 type { nd-neighbor-solicit, nd-neighbor-advert } accept\n"
		"\t\ticmpv6 type mld-listener-query accept\n");
	if (snap)
		zone_jumps(t, snap, "iifname", &ACCEPT);
	tw_say(t, "\t}\n");
}

/*
 * Connection tracking, of connections that the host itself begins: what is forwarded never comes here, and
 * what strangers begin has no entry. Nor has the machine's traffic with itself, and IKE and ESP: what comes is
 * for a service, and what goes out bears the mark. Answers of ping make no entry by themselves.
 */
static void tracking(struct tw *t, const struct snapshot *snap)
{
	tw_say(t, "\tchain before_tracking_in {\n"
		  "\t\ttype filter hook prerouting priority raw; policy accept;\n"
		  "\t\tiifname \"lo\" notrack\n");
	for (uint32_t zone = 0; snap && snap->dnat_rules.count && zone < snap->zones.count; zone++)
		tw_say(t, "\t\tiifname @zone_%u jump translated\n", zone);
	if (snap)
		zone_jumps(t, snap, "iifname", &UNTRACKED_IN);
	tw_say(t,
		"\t}\n\tchain before_tracking_out {\n"
		"\t\ttype filter hook output priority raw; policy accept;\n"
		"\t\toifname \"lo\" notrack\n"
		"\t\tmeta mark %u notrack\n",
		OWN_MARK);
	if (snap)
		zone_jumps(t, snap, "oifname", &UNTRACKED_OUT);
	tw_say(t, "\t}\n");
}

size_t filter_text(char *ret_text, size_t size, const struct snapshot *snap, uint64_t schedules_off,
	const struct zone_interface *interfaces, size_t n)
{
	struct tw t = tw_over(ret_text, size);
	struct self_rules self;

	self_rules_find(&self, snap, schedules_off);
	if (snap)
		ingress(&t, snap, interfaces, n);
	tw_say(&t, "add table inet plaingate\ndelete table inet plaingate\ntable inet plaingate {\n"
		   "\tchain forward {\n\t\ttype filter hook forward priority 0; policy drop;\n\t}\n");
	if (snap) {
		filter_sets(&t, snap, &self);
		filter_rules_limits(&t, snap, &self);
		filter_rules_from(&t, snap, &self);
	}
	for (uint32_t i = 0; snap && i < snap->zones.count; i++) {
		zone_chain(&t, snap, &self, i, &ACCEPT);
		zone_chain(&t, snap, &self, i, &UNTRACKED_IN);
		zone_chain(&t, snap, &self, i, &UNTRACKED_OUT);
	}
	if (snap && snap->dnat_rules.count)
		taken(&t, snap);
	tracking(&t, snap);
	input(&t, snap);
	/* A compromised ike process has two UDP sockets that reach any address; the host's own services trust
	 * local senders. */
	tw_say(&t,
		"\tchain output {\n\t\ttype filter hook output priority 0; policy accept;\n"
		"\t\tmeta mark %u oifname \"lo\" drop\n",
		OWN_MARK);
	filter_rules_output(&t, &self);
	for (uint32_t i = 0; snap && i < snap->interfaces.count; i++) {
		const struct snap_interface *in = &snap_interfaces(snap)[i];
		if (self.from_self >> in->zone & 1 && interface_name_ok(in->name))
			tw_say(&t, "\t\toifname \"%s\" jump own_%u\n", in->name, in->zone);
	}
	for (uint32_t i = 0; snap && i < snap->tunnels.count; i++) {
		const struct snap_tunnel *one = &snap_tunnels(snap)[i];
		if (snap_tunnel_is_routed(one) && self.from_self >> one->zone & 1 &&
			interface_name_ok(one->interface))
			tw_say(&t, "\t\toifname \"%s\" jump own_%u\n", one->interface, one->zone);
	}
	tw_say(&t, "\t}\n}\n");
	return tw_done(&t);
}
