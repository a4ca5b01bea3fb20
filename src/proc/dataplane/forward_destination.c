/*
 * The real destination of a first packet, before any route is looked up: destination NAT, what an application layer gateway
 * expects, mappings of persistent NAT; and whether the packet may come the way that it came, in clear text or by a tunnel.
 */
#include "proc/dataplane/stages.h"

struct selectors_packet forward_packet_of(const struct train *t)
{
	bool ports = ip_has_ports(t->proto);

	return (struct selectors_packet){ t->src, t->dst, t->proto, ports, ports ? t->src_port : 0,
		ports ? t->dst_port : 0 };
}

static bool is_local(const struct pipeline *p, uint8_t vrf, const struct ip_addr *addr)
{
	return route_is_local(p->routes, p->vrf_table[vrf], addr);
}

uint64_t forward_interfaces_of(const struct pipeline *p, const struct train *t)
{
	uint64_t set = 0;

	if (!fw_dnat_wants_interfaces(p->fw) || !is_local(p, t->vrf, &t->dst))
		return 0;
	for (uint32_t i = 0; i < p->snapshot->interfaces.count; i++)
		if (p->interfaces[i].link != ROUTE_NONE &&
			route_is_local_on(p->routes, p->interfaces[i].link, &t->dst))
			set |= 1ull << i;
	return set;
}

/* Answers to the host's own connections, as the kernel's filter tells them: by the port. */
static bool is_answer_to_host(const struct pipeline *p, const struct train *t)
{
	return (t->proto == IP_TCP || t->proto == IP_UDP) && t->dst_port >= p->snapshot->host_port_first &&
	       t->dst_port <= p->snapshot->host_port_last && is_local(p, t->vrf, &t->dst);
}

struct train forward_with_destination(const struct train *t, const struct fw_dnat *d)
{
	struct train real = *t;

	if (fw_dnat_translates(d)) {
		real.dst = d->dst;
		real.dst_port = t->proto == IP_TCP || t->proto == IP_UDP ? d->port : t->dst_port;
		if (d->dst.family !=
			t->src.family) { /* NAT64: from which address is decided after the route */
			real.src = (struct ip_addr){ .family = d->dst.family };
			real.proto = t->proto == IP_ICMPV6 ? IP_ICMP : t->proto;
		}
	}
	return real;
}

/* Destination NAT of what comes from a link. What a tunnel brings has the real addresses, as its selectors have. */
static struct fw_dnat dnat_of(struct pipeline *p, const struct train *t)
{
	struct fw_dnat d = { 0 };

	if (t->flags & (TRAIN_FROM_TUNNEL | TRAIN_FROM_HOST) || is_answer_to_host(p, t))
		return d;
	d = fw_expected_dnat(p->fw, t, p->now);
	if (!d.expected && p->snapshot->dnat_rules.count > 0)
		d = fw_dnat(p->fw, t, forward_interfaces_of(p, t));
	if (fw_dnat_translates(&d) && train_is_traced(t)) {
		const struct train real = forward_with_destination(t, &d);
		struct endpoint asked = { t->dst, t->dst_port, 0 }, server = { real.dst, real.dst_port, 0 };
		bool ports = t->proto == IP_TCP || t->proto == IP_UDP;
		char from[ENDPOINT_TEXT_MAX], to[ENDPOINT_TEXT_MAX];
		const char *name = d.expected ? "" : snap_dnat_rules(p->snapshot)[d.rule].name;
		if (d.expected)
			trace_say(p, t, "alg", PACKET_NONE, "the session is expected, at %s",
				endpoint_text(to, &server));
		else if (d.no_server)
			trace_say(p, t, "nat", PACKET_NONE,
				"rule %s has no server for %s: all fail their health check", name,
				ports ? endpoint_text(from, &asked) : addr_text(from, &t->dst));
		else
			trace_say(p, t, "nat", PACKET_NONE, "rule %s translates the destination %s to %s",
				name, ports ? endpoint_text(from, &asked) : addr_text(from, &t->dst),
				ports ? endpoint_text(to, &server) : addr_text(to, &real.dst));
	}
	return d;
}

bool forward_is_nat64(const struct train *t, const struct fw_dnat *d)
{
	return fw_dnat_translates(d) && d->dst.family != t->src.family;
}

/* Where a packet that begins a session may come from, by the addresses of its real ends. */
static enum drop_reason origin_check(
	const struct pipeline *p, const struct packet_context *ctx, const struct selectors_packet *packet)
{
	const struct train *t = ctx->t;
	bool tunnelled = selectors_find_inbound(p->selectors, packet) != SELECTORS_NONE;

	if (t->flags & TRAIN_FROM_HOST)
		return DROP_NONE;
	if (forward_comes_routed(p, ctx)) /* sources are as on a link */
		return tunnelled ? DROP_TUNNEL_REQUIRED : DROP_NONE;
	if (t->flags & TRAIN_FROM_TUNNEL) /* otherwise the peer uses the address of a network on this side */
		return tunnelled ? DROP_NONE : DROP_SPOOFED;
	return tunnelled ? DROP_TUNNEL_REQUIRED : DROP_NONE;
}

/*
 * What destination NAT leaves alone may be for an address and port that persistent NAT has mapped, whose binding says who may
 * begin a session. Where another worker has the bindings of this address and port, that one goes on; ctx->counted then.
 */
static enum drop_reason mapped_destination(
	struct pipeline *p, struct packet_context *ctx, struct fw_dnat *ret_dnat)
{
	const struct train *t = ctx->t;
	uint32_t owner;

	if (t->flags & (TRAIN_FROM_TUNNEL | TRAIN_FROM_HOST))
		return DROP_NONE;
	bool local = is_local(p, t->vrf, &t->dst);
	if (fw_inward_elsewhere(p->fw, t, local, &owner)) {
		if (ctx->asked) {
			ctx->asked->owner = owner;
			ctx->counted = true;
			return DROP_NONE;
		}
		handover_to_owner(p, ctx, owner);
		return ctx->t->drop;
	}
	enum drop_reason d = fw_inward(p->fw, t, local, p->now, ret_dnat);
	if (fw_dnat_translates(ret_dnat) && train_is_traced(t)) {
		struct endpoint asked = { t->dst, t->dst_port, 0 },
				inside = { ret_dnat->dst, ret_dnat->port, 0 };
		char from[ENDPOINT_TEXT_MAX], to[ENDPOINT_TEXT_MAX];
		trace_say(p, t, "nat", PACKET_NONE, "the mapping of rule %s leads from %s to %s",
			snap_nat_rules(p->snapshot)[ret_dnat->rule].name, endpoint_text(from, &asked),
			endpoint_text(to, &inside));
	}
	return d;
}

enum drop_reason forward_destination(struct pipeline *p, struct packet_context *ctx, struct fw_dnat *ret_dnat,
	struct selectors_packet *ret_packet)
{
	struct train real;

	*ret_packet = forward_packet_of(ctx->t);
	enum drop_reason d = origin_check(p, ctx, ret_packet);
	*ret_dnat = dnat_of(p, ctx->t);
	if (d == DROP_NONE && ret_dnat->refused)
		return ret_dnat->refused;
	if (d == DROP_NONE && !fw_dnat_translates(ret_dnat))
		d = mapped_destination(p, ctx, ret_dnat);
	if (d != DROP_NONE || ctx->counted || !fw_dnat_translates(ret_dnat))
		return d;
	real = forward_with_destination(ctx->t, ret_dnat);
	*ret_packet = forward_packet_of(&real);
	if (ret_dnat->no_server)
		return DROP_NAT_NO_SERVER;
	if (is_local(p, ctx->t->vrf, &real.dst))
		return DROP_NAT_TO_GATEWAY;
	return forward_is_nat64(ctx->t, ret_dnat) ? DROP_NONE : origin_check(p, ctx, ret_packet);
}
