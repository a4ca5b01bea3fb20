/*
 * Where the source of a packet is routed to: whether it may come the way that it came (RFC 3704), and where a packet that does not
 * exist would come in. A source that is routed into a tunnel with an interface does not come in clear text, whether it begins a
 * session or belongs to one.
 */
#include "base/siphash.h"
#include "proc/dataplane/stages.h"

/* By which one of a route's next hops is chosen: the same for each packet of a direction, whenever it is looked up. */
static uint64_t flow_hash(const struct pipeline *p, const struct selectors_packet *packet)
{
	uint8_t bytes[2 * sizeof packet->src.b + 8] = { 0 };
	uint32_t n = sizeof packet->src.b;

	memcpy(bytes, packet->src.b, n);
	memcpy(bytes + n, packet->dst.b, n);
	store_be16(bytes + 2 * n, packet->src_port);
	store_be16(bytes + 2 * n + 2, packet->dst_port);
	bytes[2 * n + 4] = packet->proto;
	return siphash13(p->hash_key, bytes, sizeof bytes);
}

struct route_flow forward_flow(
	const struct pipeline *p, const struct selectors_packet *packet, uint32_t in_link, uint8_t vrf)
{
	return (struct route_flow){ .src = packet->src,
		.dst = packet->dst,
		.in_link = in_link,
		.vrf = p->vrf_table[vrf],
		.src_port = packet->src_port,
		.dst_port = packet->dst_port,
		.proto = packet->proto,
		.ports = packet->has_ports,
		.hash = flow_hash(p, packet) };
}

uint32_t forward_link_of(const struct pipeline *p, uint32_t interface, uint32_t tunnel)
{
	if (interface < p->snapshot->interfaces.count)
		return p->interfaces[interface].link;
	return tunnel < p->snapshot->tunnels.count ? p->tunnels[tunnel].device : ROUTE_NONE;
}

uint32_t pipeline_interface_of_link(const struct pipeline *p, uint32_t link)
{
	for (uint32_t i = 0; i < p->snapshot->interfaces.count; i++)
		if (p->interfaces[i].link == link)
			return i;
	return TRAIN_NONE;
}

/*
 * RFC 3704: a packet that begins a session must have a source that our own routes place in its ingress zone: those
 * that its answers would take, which come by the interface that it leaves by. By zone and not by link, so that two
 * uplinks of one zone may be used asymmetrically. Of a route with several next hops any will do (RFC 8704).
 */
struct source_fit {
	bool routed, in_zone, by_interface;
	bool in_clear; /* by some link that is no tunnel */
	bool nowhere;  /* by a route to nowhere, as the one that guards a tunnel's */
};

/* leaves: the link that the packet leaves by, ROUTE_NONE: none. */
static struct source_fit source_fits(const struct pipeline *p, const struct packet_context *ctx,
	const struct selectors_packet *packet, uint32_t leaves)
{
	const struct train *t = ctx->t;
	const struct selectors_packet answer = { packet->dst, packet->src, packet->proto, packet->has_ports,
		packet->dst_port, packet->src_port };
	struct route_flow flow = forward_flow(p, &answer, leaves, t->vrf);
	flow.held = p->devices.link;
	flow.held_n = p->devices.any_down ? p->devices.n : 0;
	struct route_answer back[ROUTE_PATHS_MAX];
	struct source_fit fit = { 0 };
	uint32_t n = route_next_hops(p->routes, &flow, back, COUNT_OF(back));
	for (uint32_t i = 0; i < n; i++) {
		fit.nowhere |= back[i].kind == ROUTE_UNREACHABLE;
		if (back[i].kind != ROUTE_UNICAST)
			continue;
		uint32_t interface = pipeline_interface_of_link(p, back[i].link),
			 tunnel = pipeline_tunnel_of_link(p, back[i].link);
		fit.routed = true;
		fit.in_clear |= tunnel == TRAIN_NONE;
		if (tunnel != TRAIN_NONE) {
			fit.in_zone |= p->tunnels[tunnel].zone == t->in_zone;
			fit.by_interface |= tunnel == ctx->in_tunnel;
			continue;
		}
		fit.in_zone |= interface != TRAIN_NONE && p->interfaces[interface].zone == t->in_zone;
		fit.by_interface |= interface != TRAIN_NONE && interface == t->in_interface;
	}
	fit.in_clear &= !route_is_withheld(p->routes, &packet->src);
	return fit;
}

void forward_source_check(struct pipeline *p, const struct packet_context *ctx,
	const struct selectors_packet *packet, uint32_t leaves)
{
	struct train *t = ctx->t;
	const struct source_fit fit = source_fits(p, ctx, packet, leaves);
	enum screen_spoofing how = screens_apply(p, t) ? screen_spoofing(p, t) : SPOOFING_ZONE;
	bool needs_zone = how != SPOOFING_LOOSE;
	bool fits = how == SPOOFING_LOOSE    ? fit.routed
		    : how == SPOOFING_STRICT ? fit.in_zone && fit.by_interface
					     : fit.in_zone;

	if (!fits && screens_apply(p, t))
		screen_spoofed(p, t);
	if (needs_zone && !fit.in_zone && t->drop == DROP_NONE)
		t->drop = DROP_SPOOFED;
	/* In a zone of tunnels and links only the route tells tunnelled from clear text. */
	if (t->drop == DROP_NONE && ctx->in_tunnel == TRAIN_NONE && fit.routed && !fit.in_clear)
		t->drop = DROP_TUNNEL_REQUIRED;
}

static bool answers_enter_tunnel(const struct pipeline *p, const struct packet_context *ctx,
	const struct selectors_packet *packet, uint32_t leaves)
{
	const struct source_fit fit = source_fits(p, ctx, packet, leaves);

	return fit.nowhere || (fit.routed && !fit.in_clear);
}

enum drop_reason forward_clear_text_check(const struct pipeline *p, const struct packet_context *ctx,
	const struct fw_session *s, const struct selectors_packet *packet, uint32_t leaves)
{
	const struct train *t = ctx->t;
	const struct fw_forwarding *back = &s->forwarding[t->flags & TRAIN_REPLY ? 0 : 1];
	if (t->flags & (TRAIN_FROM_HOST | TRAIN_FROM_TUNNEL) || p->devices.n == 0)
		return DROP_NONE;
	/*
	 * Its answers' own decision, where that is not older than the routes: without a lookup for each packet, but for a direction that is not
	 * answered. An ICMP error counts as a packet of its session: any router on the way may have sent it.
	 */
	bool tunnelled =
		back->generation == pipeline_generation(p)
			? back->tunnel < p->snapshot->tunnels.count && p->tunnels[back->tunnel].routed
			: answers_enter_tunnel(p, ctx, packet, leaves);
	return tunnelled ? DROP_TUNNEL_REQUIRED : DROP_NONE;
}

void forward_way_of_source(
	const struct pipeline *p, const struct train *t, uint32_t *ret_interface, uint32_t *ret_tunnel)
{
	const struct selectors_packet back = { t->dst, t->src, t->proto, false, 0, 0 };
	struct route_flow flow = forward_flow(p, &back, ROUTE_NONE, t->vrf);
	struct route_answer r;

	flow.held = p->devices.link;
	flow.held_n = p->devices.any_down ? p->devices.n : 0;
	route_lookup_flow(p->routes, &flow, NULL, &r);
	bool found = r.kind == ROUTE_UNICAST;
	*ret_tunnel = found ? pipeline_tunnel_of_link(p, r.link) : TRAIN_NONE;
	*ret_interface =
		found && *ret_tunnel == TRAIN_NONE ? pipeline_interface_of_link(p, r.link) : TRAIN_NONE;
}
