/*
 * The forwarding decision: to the host, into a tunnel, or out of a link. Sessions cache it with the
 * generation of the tables that it was made from; only their first trains, and the first after a change of
 * the tables, need a lookup; beside tunnels with an interface also what is never answered (forward_source.c).
 * forward_consider() decides about a first train that does not exist, by the same functions.
 */
#include "base/icmp.h"
#include "proc/dataplane/stages.h"
#include "wire/ip.h"
#include "wire/nat64.h"

#include <assert.h>

struct forwarding_decision {
	bool to_host;
	uint8_t family; /* of the packet as it leaves: NAT64 changes it */
	uint8_t vrf;	/* of the interface */
	uint32_t interface, zone, tunnel;
	struct ip_addr next_hop;
	uint32_t mtu;
};

/*
 * The way that a session's packets took before, while it still belongs to a route: another next hop that has
 * come moves no session. Before the first of a direction it is the link that the session came by, for that is
 * where its address is known: the provider of another uplink would drop the answers (BCP 38).
 */
static const struct route_answer *way_before(
	const struct pipeline *p, const struct fw_forwarding *cached, struct route_answer *ret_way)
{
	if (cached && cached->tunnel < p->snapshot->tunnels.count && p->tunnels[cached->tunnel].routed) {
		*ret_way = (struct route_answer){ .link = p->tunnels[cached->tunnel].device };
		return ret_way;
	}
	if (!cached || cached->out_interface >= p->snapshot->interfaces.count)
		return NULL;
	*ret_way = (struct route_answer){ .link = p->interfaces[cached->out_interface].link,
		.next_hop = cached->next_hop };
	return ret_way;
}

/*
 * The tunnel that routes choose: by its interface. One that is down does not count, as no link does that is down; but what it
 * would have leaves by another tunnel or is dropped as tunnel-down, and never in clear.
 */
static uint32_t tunnel_of_route(
	const struct pipeline *p, const struct route_flow *flow, const struct route_answer *r)
{
	struct route_flow held = *flow;
	struct route_answer way;
	uint32_t tunnel = r->kind == ROUTE_UNICAST ? pipeline_tunnel_of_link(p, r->link) : TRAIN_NONE;

	if (tunnel != TRAIN_NONE || !p->devices.any_down)
		return tunnel;
	held.held = p->devices.link;
	held.held_n = p->devices.n;
	route_lookup_flow(p->routes, &held, NULL, &way);
	return way.kind == ROUTE_UNICAST ? pipeline_tunnel_of_link(p, way.link) : TRAIN_NONE;
}

static void into_tunnel(struct pipeline *p, uint32_t tunnel, struct forwarding_decision *ret_decision)
{
	ret_decision->tunnel = tunnel;
	ret_decision->zone = p->tunnels[tunnel].zone;
	ret_decision->mtu = pipeline_tunnel_mtu(p, tunnel);
}

/* packet: t with the addresses of the real hosts, before source NAT and after its reversal. cached: an earlier
 * decision about it, or NULL. vrf: that of the session's first packet, for both directions. So what source NAT brings
 * together finds back into its own VRF, though another one has the same addresses. */
static enum drop_reason forward_lookup(struct pipeline *p, const struct packet_context *ctx,
	const struct selectors_packet *packet, const struct fw_forwarding *cached, uint8_t vrf,
	struct forwarding_decision *ret_decision)
{
	const struct train *t = ctx->t;
	struct route_answer r, before;
	bool from_host = t->flags & TRAIN_FROM_HOST;

	*ret_decision = (struct forwarding_decision){ .family = packet->dst.family,
		.interface = TRAIN_NONE,
		.zone = TRAIN_NONE,
		.tunnel = TRAIN_NONE };
	if (vrf == PIPELINE_VRF_UNUSED)
		return DROP_NO_ROUTE;
	if (!from_host && route_is_local(p->routes, p->vrf_table[vrf], &packet->dst)) {
		ret_decision->to_host = true;
		return DROP_NONE;
	}
	uint32_t tunnel = selectors_find(p->selectors, packet);
	if (tunnel != TRAIN_NONE) {
		into_tunnel(p, tunnel, ret_decision);
		return DROP_NONE;
	}
	if (from_host)
		return DROP_NO_ROUTE; /* the kernel itself sends the host's packets to links */
	const struct route_flow flow =
		forward_flow(p, packet, forward_link_of(p, t->in_interface, ctx->in_tunnel), vrf);
	route_lookup_flow(p->routes, &flow, way_before(p, cached, &before), &r);
	if (r.kind == ROUTE_LOCAL && vrf != 0) { /* an address of main, by the rules */
		ret_decision->to_host = true;
		return DROP_NONE;
	}
	if (r.kind == ROUTE_BROADCAST || r.kind == ROUTE_MULTICAST)
		return DROP_MULTICAST;
	tunnel = tunnel_of_route(p, &flow, &r);
	if (tunnel != TRAIN_NONE) {
		into_tunnel(p, tunnel, ret_decision);
		return DROP_NONE;
	}
	if (r.kind != ROUTE_UNICAST)
		return DROP_NO_ROUTE;
	ret_decision->interface = pipeline_interface_of_link(p, r.link);
	if (ret_decision->interface == TRAIN_NONE)
		return DROP_NO_ROUTE; /* a link of no zone, or the TUN device */
	if (route_is_withheld(p->routes, &packet->dst)) {
		ret_decision->interface = TRAIN_NONE;
		return DROP_ROUTE_LIMIT;
	}
	ret_decision->zone = p->interfaces[ret_decision->interface].zone;
	ret_decision->vrf = p->interfaces[ret_decision->interface].vrf;
	ret_decision->next_hop = r.next_hop;
	ret_decision->mtu = r.mtu;
	return DROP_NONE;
}

/*
 * The session's packets of t's direction with the addresses of its real ends, for the lookup in selectors and
 * routes. An ICMP error is not one of them but is forwarded like them: its own source may be any router.
 */
static struct selectors_packet packet_of_session(const struct fw_session *s, const struct train *t)
{
	uint32_t d = t->flags & TRAIN_REPLY ? 1 : 0;
	const struct fw_key *near = &s->key[d], *far = &s->key[1 - d];
	bool ports = ip_has_ports(near->proto);

	if (fw_is_nat64(s)) /* NAT64: all as it leaves */
		return (struct selectors_packet){ fw_key_dst(far), fw_key_src(far), far->proto, ports,
			ports ? far->dst_port : 0, ports ? far->src_port : 0 };
	return (struct selectors_packet){ fw_key_src(near), fw_key_src(far), near->proto, ports,
		ports ? near->src_port : 0, ports ? far->src_port : 0 };
}

/* How large a packet of t's family may arrive for a path out that takes so much: NAT64 makes it shorter or longer. */
static uint32_t mtu_on_arrival(const struct train *t, uint8_t family_out, uint32_t mtu)
{
	if (t->src.family == family_out || mtu == UINT32_MAX)
		return mtu;
	return family_out == ADDR_V4 ? mtu + NAT64_GROWS : mtu - MIN_OF(mtu, (uint32_t)NAT64_GROWS);
}

/* By the path's MTU; the configured tcp-mss is applied where a SYN is clamped. */
static uint32_t mss_for(uint8_t family, uint32_t mtu)
{
	uint32_t head = TCP_HEADER_SIZE + (family == ADDR_V4 ? IP4_HEADER_SIZE : IP6_HEADER_SIZE);
	return mtu > head + 100 ? mtu - head : 100;
}

/* The MTU towards where this packet came from: SYNs of both directions get the smaller of both. */
static uint32_t ingress_mtu(struct pipeline *p, const struct packet_context *ctx)
{
	if (ctx->in_tunnel != TRAIN_NONE)
		return pipeline_tunnel_mtu(p, ctx->in_tunnel);
	return ctx->t->in_interface != TRAIN_NONE ? p->interfaces[ctx->t->in_interface].mtu : 65535;
}

static void forward_cache(
	struct pipeline *p, struct packet_context *ctx, const struct forwarding_decision *decision)
{
	struct train other = *ctx->t;
	struct fw_forwarding *cached = fw_session_forwarding(p->fw, ctx->t);

	cached->generation = pipeline_generation(p);
	cached->out_interface = decision->interface;
	cached->tunnel = decision->tunnel;
	cached->next_hop = decision->next_hop;
	cached->mss = decision->to_host ? 0 : mss_for(decision->family, decision->mtu);
	other.flags ^= TRAIN_REPLY;
	cached = fw_session_forwarding(p->fw, &other);
	if (cached->generation == 0) { /* what its first packet begins with */
		cached->mss = mss_for(ctx->t->src.family, ingress_mtu(p, ctx));
		cached->out_interface = ctx->t->in_interface;
		cached->tunnel = ctx->in_tunnel;
	}
}

/* RFC 8200 section 5: every link carries 1280 octets of IPv6; once sealed, they are fragmented outside if need be. */
static uint32_t mtu_for(const struct train *t, uint32_t mtu)
{
	bool v6 = t->src.family == ADDR_V6 && t->tunnel != TRAIN_NONE;

	return v6 ? MAX_OF(mtu, (uint32_t)IP6_MTU_MIN) : mtu;
}

static void decision_set(struct packet_context *ctx, const struct forwarding_decision *decision)
{
	/* one way out and no more */
	assert(decision->to_host + (decision->tunnel != TRAIN_NONE) + (decision->interface != TRAIN_NONE) ==
		1);
	ctx->t->out_interface = decision->interface;
	ctx->t->out_zone = decision->zone;
	ctx->t->tunnel = decision->tunnel;
	ctx->t->next_hop = decision->next_hop;
	ctx->to_host = decision->to_host;
	ctx->mtu_out = decision->to_host ? UINT32_MAX : mtu_for(ctx->t, decision->mtu);
	ctx->mtu = mtu_on_arrival(ctx->t, decision->family, ctx->mtu_out);
}

static void trace_host(struct pipeline *p, struct train *t)
{
	bool by_rule = t->rule < p->snapshot->rules.count;

	trace_say(p, t, "host", t->drop ? PACKET_NONE : PACKET_HOST, "%s%s%s", by_rule ? "rule " : "",
		by_rule ? snap_rules(p->snapshot)[t->rule].name : "",
		t->drop	  ? by_rule ? " does not permit it" : "the zone does not permit this service"
		: by_rule ? " permits it: delivered to the kernel"
			  : "delivered to the kernel");
}

/*
 * A packet for the host from a link: the kernel has a copy and answers it. From a tunnel with an interface: the kernel gets it by
 * that. It counts as dropped here only when it asks for a service that the zone does not permit, as the kernel's filter decides
 * too; replies to the host's own connections pass.
 */
static void forward_to_kernel(struct pipeline *p, struct packet_context *ctx)
{
	struct train *t = ctx->t;
	uint8_t query;
	bool begins = t->proto == IP_TCP   ? (t->tcp_flags & (TCP_SYN | TCP_ACK)) == TCP_SYN
		      : t->proto == IP_UDP ? t->dst_port < p->snapshot->host_port_first ||
						     t->dst_port > p->snapshot->host_port_last
		      : t->proto == IP_ICMP || t->proto == IP_ICMPV6
			      ? icmp_role(t->proto == IP_ICMP, t->icmp_type, &query) == ICMP_ROLE_QUERY
			      : t->proto != IP_ESP;

	t->drop = DROP_NONE;
	t->rule = TRAIN_NONE;
	if (begins)
		fw_host_packet(p->fw, t, ctx->asked, p->now);
	if (train_is_traced(t))
		trace_host(p, t);
	ctx->counted = t->drop == DROP_NONE && ctx->in_tunnel == TRAIN_NONE;
	ctx->to_host = true;
}

/* What links bring, and tunnels that routes choose. On such a tunnel as on any link, routing daemons at both ends have
 * addresses that stand in no route of their own. */
static bool source_is_checked(const struct pipeline *p, const struct packet_context *ctx,
	const struct forwarding_decision *decision)
{
	const struct train *t = ctx->t;

	if (t->flags & TRAIN_FROM_HOST)
		return false;
	if (!(t->flags & TRAIN_FROM_TUNNEL))
		return true;
	return forward_comes_routed(p, ctx) && !(decision->to_host && addr_is_link_local(&t->src));
}

/*
 * The address for source NAT on this egress interface: one in the next hop's prefix, otherwise any; never a
 * link-local one, to which nobody beyond the next router can reply, even where the next hop is link-local
 * (the default route of most providers).
 */
static struct ip_addr nat_address(
	const struct pipeline *p, const struct forwarding_decision *decision, uint8_t family)
{
	uint32_t link = p->interfaces[decision->interface].link;
	const struct ip_addr *near = addr_is_link_local(&decision->next_hop) ? NULL : &decision->next_hop;
	struct ip_addr addr = { 0 };

	if (!route_local_on(p->routes, link, family, near, &addr) || addr_is_link_local(&addr))
		addr = (struct ip_addr){ 0 };
	return addr;
}

/* The session's egress interface no longer has the address that its packets are translated to, or no interface that
 * destination NAT names the one that they come to. */
static bool nat_address_gone(
	const struct pipeline *p, const struct train *t, const struct forwarding_decision *decision)
{
	const struct fw_session *s = fw_session(p->fw, t->session);

	if (!fw_dnat_holds(p->fw, t, forward_interfaces_of(p, t)))
		return true;
	if (s && s->flags & FW_SESSION_INWARD) {
		struct ip_addr mapped = fw_key_dst(&s->key[0]);
		return s->flags & FW_SESSION_NAT_INTERFACE &&
		       !route_is_local(p->routes, p->vrf_table[s->key[0].vrf], &mapped);
	}
	if (!s || t->flags & TRAIN_REPLY || !(s->flags & FW_SESSION_NAT_INTERFACE) ||
		decision->interface == TRAIN_NONE)
		return false;
	struct ip_addr addr = fw_key_dst(&s->key[1]);
	return !route_is_local_on(p->routes, p->interfaces[decision->interface].link, &addr);
}

/* Why the packet could not be sent if policy permitted it: such a packet begins no session. */
static enum drop_reason egress_check(
	const struct pipeline *p, const struct packet_context *ctx, const struct fw_dnat *dnat)
{
	const struct train *t = ctx->t;

	if (t->tunnel != TRAIN_NONE) {
		uint32_t pair;
		const struct train real = forward_with_destination(t, dnat);
		enum drop_reason drop = tunnel_pair(p, &real, &pair);
		if (drop != DROP_NONE)
			return drop;
	} else if (t->out_interface != TRAIN_NONE && !p->interfaces[t->out_interface].up) {
		return DROP_LINK_SEND_FAILED;
	}
	return forward_size_check(ctx);
}

/*
 * Selectors are looked up by the addresses of the real ends, and into a tunnel nothing is translated. So what leaves by a link
 * with translated addresses that belong to a tunnel would pass it by in clear text, and its answers would not come back. Of NAT64
 * the own address is known only now. reply: of the packets that come back.
 */
static bool leaves_past_tunnel(const struct pipeline *p, const struct train *t, const struct fw_key *reply)
{
	if (p->snapshot->tunnels.count == 0 || t->out_interface == TRAIN_NONE)
		return false;
	bool ports = ip_has_ports(reply->proto);
	const struct selectors_packet leaves = { fw_key_dst(reply), fw_key_src(reply), reply->proto, ports,
		ports ? reply->dst_port : 0, ports ? reply->src_port : 0 };
	return selectors_find(p->selectors, &leaves) != TRAIN_NONE;
}

static bool nat_past_tunnel(struct pipeline *p, struct train *t)
{
	const struct fw_session *s = fw_session(p->fw, t->session);

	if (!(s->flags & FW_SESSION_TRANSLATED) ||
		!leaves_past_tunnel(p, t, &s->key[t->flags & TRAIN_REPLY ? 0 : 1]))
		return false;
	fw_session_end_of(p->fw, t, FW_END_ROUTE_CHANGED, p->now);
	t->drop = DROP_NAT_PAST_TUNNEL;
	return true;
}

/* The way of a first packet. False: it has a drop, or it is the kernel's or another worker's. */
static bool forward_way(struct pipeline *p, struct packet_context *ctx, struct fw_egress *ret_egress,
	struct forwarding_decision *ret_decision)
{
	struct train *t = ctx->t;
	struct selectors_packet packet;
	bool from_link = !(t->flags & (TRAIN_FROM_TUNNEL | TRAIN_FROM_HOST));
	struct fw_egress *egress = ret_egress;
	struct forwarding_decision *decision = ret_decision;

	*egress = (struct fw_egress){ 0 };
	t->drop = forward_destination(p, ctx, &egress->dnat, &packet);
	if (ctx->counted)
		return false;
	if (t->drop == DROP_NONE)
		t->drop = forward_lookup(p, ctx, &packet, NULL, t->vrf, decision);
	if (t->drop != DROP_NONE)
		return false;
	decision_set(ctx, decision);
	if (decision->to_host && from_link) {
		forward_to_kernel(p, ctx);
		return false;
	}
	const struct selectors_packet arrived = forward_packet_of(t);
	if (source_is_checked(p, ctx, decision))
		forward_source_check(p, ctx, forward_is_nat64(t, &egress->dnat) ? &arrived : &packet,
			forward_link_of(p, decision->interface, decision->tunnel));
	if (t->drop == DROP_NONE && decision->to_host && forward_comes_routed(p, ctx)) {
		forward_to_kernel(p, ctx);
		return false;
	}
	if (t->drop == DROP_NONE && screens_apply(p, t))
		screen_sessions(p, t, &packet.dst);
	if (t->drop != DROP_NONE)
		return false;
	egress->to_host = decision->to_host;
	egress->vrf = decision->vrf;
	if (decision->interface != TRAIN_NONE)
		egress->nat_addr = nat_address(p, decision, packet.dst.family);
	egress->same_interface = from_link && decision->interface == t->in_interface;
	egress->drop = egress_check(p, ctx, &egress->dnat);
	return true;
}

/* What a segment may be long that takes this way in either direction. */
static uint32_t mss_of_way(
	struct pipeline *p, const struct packet_context *ctx, const struct forwarding_decision *decision)
{
	uint32_t in = mss_for(ctx->t->src.family, ingress_mtu(p, ctx)),
		 mss = MIN_OF(in, mss_for(decision->family, decision->mtu));
	return MIN_OF(mss, p->snapshot->tcp_mss ? p->snapshot->tcp_mss : UINT16_MAX);
}

/* joining: t returns a SYN cookie, and becomes its SYN. cookie: it is to be answered with one, if policy permits it. */
static void forward_first(
	struct pipeline *p, struct packet_context *ctx, bool cookie, const struct syn_joining *joining)
{
	struct train *t = ctx->t;
	struct fw_egress egress;
	struct forwarding_decision decision;
	uint32_t owner;

	if (!forward_way(p, ctx, &egress, &decision))
		return;
	if (cookie && !egress.to_host && fw_would_admit(p->fw, t, &egress, p->now) == DROP_NONE) {
		syn_answer(p, ctx, mss_of_way(p, ctx, &decision));
		return;
	}
	if (fw_admit_elsewhere(p->fw, t, &egress, p->now, &owner)) {
		handover_to_owner(p, ctx, owner);
		return;
	}
	if (joining)
		syn_open(p, t, joining);
	fw_admit(p->fw, t, &egress, p->now);
	if (t->drop == DROP_TUNNEL_DOWN || t->drop == DROP_ESP_SELECTOR) {
		const struct train real = forward_with_destination(t, &egress.dnat);
		tunnel_acquire(p, &real);
	}
	if (t->drop != DROP_NONE || t->session == TRAIN_NONE || nat_past_tunnel(p, t))
		return;
	forward_cache(p, ctx, &decision);
	if (joining)
		syn_opened(p, ctx, joining);
}

static void forward_new(struct pipeline *p, struct packet_context *ctx)
{
	struct train *t = ctx->t;
	struct syn_joining joining;

	if (ctx->syn == SYN_OURS)
		t->drop = DROP_NO_SESSION; /* its session has ended; the client begins another one, or none */
	bool cookie = t->drop == DROP_NONE && screens_apply(p, t) && screen_begins(p, t);
	if (t->drop != DROP_NONE)
		return;
	bool joins = syn_accepts(p, t, &joining);
	if (joins)
		screen_joins(p, t);
	if (t->drop == DROP_NONE)
		forward_first(p, ctx, cookie, joins ? &joining : NULL);
	if (joins && t->drop != DROP_NONE)
		syn_refuse(p, ctx, &joining);
}

void forward_consider(struct pipeline *p, struct packet_context *ctx)
{
	struct train *t = ctx->t;
	struct forward_answer *a = ctx->asked;
	struct fw_egress egress;
	struct forwarding_decision decision;

	*a = (struct forward_answer){ .owner = TRAIN_NONE };
	if (!p->snapshot) {
		t->drop = DROP_NO_ZONE;
		return;
	}
	p->screens->dry = true;
	bool goes_on = forward_way(p, ctx, &egress, &decision);
	p->screens->dry = false;
	a->dnat = egress.dnat;
	a->to_host = ctx->to_host;
	if (!goes_on || fw_admit_elsewhere(p->fw, t, &egress, p->now, &a->owner))
		return;
	fw_consider(p->fw, t, &egress, p->now, &a->verdict);
	a->decided = true;
	t->drop = a->verdict.drop;
	t->rule = a->verdict.rule;
	struct fw_key plain = a->verdict.key[0];
	bool translated = memcmp(plain.src, a->verdict.key[1].dst, sizeof plain.src) != 0 ||
			  memcmp(plain.dst, a->verdict.key[1].src, sizeof plain.dst) != 0 ||
			  plain.src_port != a->verdict.key[1].dst_port ||
			  plain.dst_port != a->verdict.key[1].src_port;
	if (t->drop == DROP_NONE && a->verdict.begins && translated &&
		leaves_past_tunnel(p, t, &a->verdict.key[1]))
		t->drop = DROP_NAT_PAST_TUNNEL;
	if (t->drop == DROP_NONE)
		t->drop = forward_size_check(ctx);
}

/* Its answers would not be known: they arrive in another VRF than the session's key says. */
static bool has_other_vrf(
	const struct fw_session *s, const struct train *t, const struct forwarding_decision *decision)
{
	return s->key[t->flags & TRAIN_REPLY ? 0 : 1].vrf != decision->vrf;
}

/* arrived: packet with the addresses that it has where it comes in. */
static enum drop_reason clear_text_check(const struct pipeline *p, const struct packet_context *ctx,
	const struct fw_session *s, const struct selectors_packet *arrived,
	const struct forwarding_decision *decision)
{
	return forward_clear_text_check(
		p, ctx, s, arrived, forward_link_of(p, decision->interface, decision->tunnel));
}

/* A session without a decision, or with one from older tables. */
static void forward_renew(struct pipeline *p, struct packet_context *ctx,
	const struct selectors_packet *packet, const struct selectors_packet *arrived)
{
	const struct fw_session *s = fw_session(p->fw, ctx->t->session);
	struct forwarding_decision decision;

	ctx->t->drop = forward_lookup(
		p, ctx, packet, fw_session_forwarding(p->fw, ctx->t), s->key[0].vrf, &decision);
	if (ctx->t->drop == DROP_NONE) /* before it ends the session, or moves it */
		ctx->t->drop = clear_text_check(p, ctx, s, arrived, &decision);
	if (ctx->t->drop != DROP_NONE)
		return;
	if (has_other_vrf(s, ctx->t, &decision)) {
		fw_session_end_of(p->fw, ctx->t, FW_END_ROUTE_CHANGED, p->now);
		forward_new(p, ctx);
		return;
	}
	if (nat_address_gone(p, ctx->t, &decision)) {
		fw_session_end_of(p->fw, ctx->t, FW_END_NAT_ADDRESS_CHANGED, p->now);
		if (ctx->t->proto == IP_TCP && !(ctx->t->tcp_flags & TCP_SYN))
			ctx->t->drop = DROP_NAT_ADDRESS_CHANGED; /* the peer knows the old address */
		else
			forward_new(p, ctx);
		return;
	}
	decision_set(ctx, &decision);
	fw_reroute(p->fw, ctx->t, decision.to_host, p->now);
	if (ctx->t->drop == DROP_NONE && !nat_past_tunnel(p, ctx->t))
		forward_cache(p, ctx, &decision);
}

/* The same for an ICMP error: by the present decision about its session. It changes nothing of the
 * session. */
static void forward_error(struct pipeline *p, struct packet_context *ctx, const struct fw_session *s,
	const struct selectors_packet *packet, const struct selectors_packet *arrived)
{
	uint16_t zone = s->zones.zone[ctx->t->flags & TRAIN_REPLY ? 0 : 1];
	struct forwarding_decision decision;

	ctx->t->drop = forward_lookup(
		p, ctx, packet, fw_session_forwarding(p->fw, ctx->t), s->key[0].vrf, &decision);
	if (ctx->t->drop == DROP_NONE)
		ctx->t->drop = clear_text_check(p, ctx, s, arrived, &decision);
	if (ctx->t->drop != DROP_NONE)
		return;
	if (nat_address_gone(p, ctx->t, &decision)) {
		ctx->t->drop = DROP_NAT_ADDRESS_CHANGED;
		return;
	}
	decision_set(ctx, &decision);
	if (zone != (decision.to_host ? FW_ZONE_HOST : decision.zone) || has_other_vrf(s, ctx->t, &decision))
		ctx->t->drop = DROP_SESSION_ZONE_MISMATCH;
}

/* A route's own, smaller MTU follows from the segment size that was computed from it. */
uint32_t forward_link_mtu(const struct pipeline *p, const struct fw_forwarding *cached, uint8_t family)
{
	uint32_t head = TCP_HEADER_SIZE + (family == ADDR_V4 ? IP4_HEADER_SIZE : IP6_HEADER_SIZE);

	return MIN_OF(cached->mss + head, p->interfaces[cached->out_interface].mtu);
}

static void forward_cached(struct pipeline *p, struct packet_context *ctx, const struct fw_forwarding *cached)
{
	struct train *t = ctx->t;
	const struct fw_session *s = fw_session(p->fw, t->session);
	uint8_t family = s->key[t->flags & TRAIN_REPLY ? 0 : 1].family; /* as it leaves */

	t->out_interface = cached->out_interface;
	t->tunnel = cached->tunnel;
	t->next_hop = cached->next_hop;
	ctx->to_host = cached->tunnel == TRAIN_NONE && cached->out_interface == TRAIN_NONE;
	if (ctx->to_host) {
		ctx->mtu_out = UINT32_MAX;
	} else if (t->tunnel != TRAIN_NONE) {
		t->out_zone = p->tunnels[t->tunnel].zone;
		ctx->mtu_out = tunnel_mtu_for(p, t);
	} else {
		t->out_zone = p->interfaces[t->out_interface].zone;
		ctx->mtu_out = forward_link_mtu(p, cached, family);
	}
	ctx->mtu = mtu_on_arrival(t, family, ctx->mtu_out);
}

/*
 * Did the packet arrive as the session's packets of its direction do: from their tunnel, or in clear text
 * when they belong to none? An ICMP error counts as one of them here, but its own addresses count as well, as
 * for any packet (RFC 4301 section 5.2). What routes say of its source comes with the decision: forward_clear_text_check().
 */
static enum drop_reason arrival_check(
	const struct pipeline *p, const struct packet_context *ctx, const struct selectors_packet *packet)
{
	const struct train *t = ctx->t;
	bool error = t->flags & TRAIN_ICMP_ERROR;
	bool selected = selectors_find_inbound(p->selectors, packet) != SELECTORS_NONE;
	struct selectors_packet own = { t->src, packet->dst, t->proto, false, 0, 0 };

	if (t->flags & TRAIN_FROM_HOST)
		return DROP_NONE;
	if (forward_comes_routed(p, ctx))
		return selected ? DROP_TUNNEL_REQUIRED : DROP_NONE;
	if (t->flags & TRAIN_FROM_TUNNEL) /* its SA's selectors say nothing of a quoted packet */
		return error && selectors_find_inbound(p->selectors, packet) != ctx->in_tunnel
			       ? DROP_SESSION_ZONE_MISMATCH
			       : DROP_NONE;
	if (selected || (error && selectors_find_inbound(p->selectors, &own) != SELECTORS_NONE))
		return DROP_TUNNEL_REQUIRED;
	return DROP_NONE;
}

/* Once policy has decided about the present decision, the zone tells tunnelled from clear text, unless links share a
 * tunnel's zone, or tunnels of both kinds a zone. */
static bool zone_is_enough(const struct pipeline *p, const struct packet_context *ctx)
{
	const struct train *t = ctx->t;

	if (t->flags & TRAIN_FROM_HOST)
		return true;
	if (t->flags & TRAIN_FROM_TUNNEL)
		return !p->zone_has_selectors[t->in_zone] || !forward_comes_routed(p, ctx);
	return !p->zone_has_tunnels[t->in_zone];
}

/* The decision about a train that has a session. */
static void forward_session(struct pipeline *p, struct packet_context *ctx)
{
	struct train *t = ctx->t;
	const struct fw_forwarding *cached = fw_session_forwarding(p->fw, t);
	bool error = t->flags & TRAIN_ICMP_ERROR;
	bool fresh = cached->generation == pipeline_generation(p);

	if (fresh && zone_is_enough(p, ctx) && !error) {
		forward_cached(p, ctx, cached);
		return;
	}
	const struct fw_session *s = fw_session(p->fw, t->session);
	struct selectors_packet packet = packet_of_session(s, t), arrived = packet;
	if (fw_is_nat64(s)) {
		const struct fw_key *k = &s->key[t->flags & TRAIN_REPLY ? 1 : 0];
		arrived = (struct selectors_packet){ fw_key_src(k), fw_key_dst(k), k->proto, packet.has_ports,
			packet.has_ports ? k->src_port : 0, packet.has_ports ? k->dst_port : 0 };
	}
	t->drop = arrival_check(p, ctx, &arrived);
	if (t->drop == DROP_NONE && fresh)
		t->drop = forward_clear_text_check(
			p, ctx, s, &arrived, forward_link_of(p, cached->out_interface, cached->tunnel));
	if (t->drop != DROP_NONE)
		return;
	if (fresh)
		forward_cached(p, ctx, cached);
	else if (error)
		forward_error(p, ctx, s, &packet, &arrived);
	else
		forward_renew(p, ctx, &packet, &arrived);
}

bool forward_answers(struct pipeline *p, uint32_t index)
{
	const struct fw_session *s = fw_session(p->fw, index);
	const struct fw_key *k = &s->key[1];
	struct train t = { .session = index,
		.flags = TRAIN_REPLY,
		.in_interface = s->forwarding[0].out_interface,
		.out_interface = TRAIN_NONE,
		.tunnel = TRAIN_NONE,
		.in_zone = s->zones.zone[1],
		.vrf = k->vrf,
		.src = fw_key_src(k),
		.dst = fw_key_dst(k),
		.src_port = k->src_port,
		.dst_port = k->dst_port,
		.proto = k->proto };
	struct packet_context ctx = { .t = &t, .in_tunnel = TRAIN_NONE };
	const struct selectors_packet packet = packet_of_session(s, &t);
	struct forwarding_decision decision;

	if (s->forwarding[1].generation == pipeline_generation(p))
		return true;
	if (arrival_check(p, &ctx, &packet) != DROP_NONE ||
		forward_lookup(p, &ctx, &packet, fw_session_forwarding(p->fw, &t), s->key[0].vrf,
			&decision) != DROP_NONE ||
		clear_text_check(p, &ctx, s, &packet, &decision) != DROP_NONE ||
		decision.interface == TRAIN_NONE || decision.zone != s->zones.zone[0] ||
		has_other_vrf(s, &t, &decision) || nat_address_gone(p, &t, &decision))
		return false;
	decision_set(&ctx, &decision);
	if (s->flags & FW_SESSION_TRANSLATED && leaves_past_tunnel(p, &t, &s->key[0]))
		return false;
	forward_cache(p, &ctx, &decision);
	return true;
}

/* Who was sent datagrams and has sent some back is not flooded; ICMP queries count whether they are answered or not. */
static bool session_is_answered(const struct pipeline *p, const struct train *t)
{
	const struct fw_session *s = fw_session(p->fw, t->session);

	return t->proto == IP_UDP && (t->flags & TRAIN_REPLY || s->flags & FW_SESSION_CONFIRMED);
}

void forward_decide(struct pipeline *p, struct packet_context *ctx)
{
	struct train *t = ctx->t;

	if (t->drop != DROP_NONE)
		return;
	if (!p->snapshot) {
		t->drop = DROP_NO_ZONE;
		return;
	}
	if (ctx->by_device) {
		forward_by_device(p, ctx);
		return;
	}
	if (t->dst.b[0] >= 224 && forward_hears_group(p, ctx)) {
		forward_to_kernel(p, ctx);
		return;
	}
	if (t->session == TRAIN_NONE)
		fw_expected_answer(p->fw, t, p->now);
	if (t->drop != DROP_NONE)
		return;
	if (t->session == TRAIN_NONE || syn_reopens(p, t)) {
		forward_new(p, ctx);
	} else {
		if (screens_apply(p, t) && t->proto != IP_TCP && !session_is_answered(p, t))
			screen_unanswered(p, t);
		if (t->drop == DROP_NONE)
			forward_session(p, ctx);
	}
	if (t->drop == DROP_NONE && !ctx->counted)
		t->drop = forward_size_check(ctx);
	if (train_is_traced(t) && !ctx->counted) {
		char text[FW_EXPLAIN_MAX];
		trace_say(p, t, "forward", PACKET_NONE, "%s", fw_explain(p->fw, t, text));
	}
}
