/*
 * Drops: one counter each, and the ICMP error or TCP reset that the sender is owed. It is sent back to where
 * the packet came from, with an address of ours that belongs there, at a limited rate.
 */
#include "base/rate.h"
#include "base/siphash.h"
#include "proc/dataplane/stages.h"
#include "wire/ip.h"

/*
 * An address of ours within the tunnel's local selectors, which every peer accepts. Otherwise any address of
 * the egress link: the error is then sent by the packet that it quotes (RFC 4301 section 6.2).
 */
static bool address_in_tunnel(
	const struct pipeline *p, const struct packet_context *ctx, struct ip_addr *ret_addr)
{
	const struct train *t = ctx->t;
	const struct route_local *l;

	for (uint32_t i = 0; (l = route_local_at(p->routes, i)); i++) {
		struct selectors_packet packet = {
			.src = l->addr, .dst = t->src, .proto = t->src.family == ADDR_V4 ? IP_ICMP : IP_ICMPV6
		};
		if (l->addr.family == t->src.family &&
			selectors_find(p->selectors, &packet) == ctx->in_tunnel) {
			*ret_addr = l->addr;
			return true;
		}
	}
	return t->out_interface != TRAIN_NONE &&
	       route_local_on(
		       p->routes, p->interfaces[t->out_interface].link, t->src.family, &t->dst, ret_addr);
}

/* Of a tunnel with an interface as of a link: an address of the interface, else of a link of ours; its selectors do not choose. */
static bool address_on_device(
	const struct pipeline *p, const struct packet_context *ctx, struct ip_addr *ret_addr)
{
	const struct train *t = ctx->t;
	bool found = route_local_on(
		p->routes, p->tunnels[ctx->in_tunnel].device, t->src.family, &t->src, ret_addr);

	for (uint32_t i = 0; i < p->snapshot->interfaces.count && !found; i++)
		found = route_local_on(p->routes, p->interfaces[i].link, t->src.family, NULL, ret_addr);
	return found;
}

static bool reply_address(
	const struct pipeline *p, const struct packet_context *ctx, struct ip_addr *ret_addr)
{
	const struct train *t = ctx->t;

	if (ctx->in_tunnel != TRAIN_NONE)
		return p->tunnels[ctx->in_tunnel].routed ? address_on_device(p, ctx, ret_addr)
							 : address_in_tunnel(p, ctx, ret_addr);
	if (t->flags & TRAIN_FROM_HOST) {
		*ret_addr = t->dst; /* to the host itself, about the far end */
		return true;
	}
	return t->in_interface != TRAIN_NONE && route_local_on(p->routes, p->interfaces[t->in_interface].link,
							t->src.family, &t->src, ret_addr);
}

/* Sends n octets at ip, made about ctx->t, back to where that came from. */
static void reply_send(struct pipeline *p, const struct packet_context *ctx, uint8_t *ip, uint32_t n)
{
	struct train answer = { .ip = ip, .len = n };
	struct route_answer r;
	uint32_t mtu = UINT32_MAX;

	pipeline_train_from_host(&answer);
	answer.csum = TRAIN_CSUM_VALID;
	if (train_parse(&answer) != DROP_NONE)
		return;
	if (ctx->in_tunnel != TRAIN_NONE) {
		answer.tunnel = ctx->in_tunnel;
	} else if (ctx->t->in_interface != TRAIN_NONE) {
		answer.out_interface = ctx->t->in_interface;
		answer.next_hop = answer.dst;
		mtu = p->interfaces[answer.out_interface].mtu;
		route_lookup(p->routes, pipeline_vrf_of(p, answer.out_interface), &answer.dst, &r);
		if (r.kind != ROUTE_UNICAST || r.link != p->interfaces[answer.out_interface].link)
			return; /* the source is elsewhere: the reply would go to another host */
		answer.next_hop = r.next_hop;
	}
	p->error_replies_sent++;
	egress_send_own(p, &answer, mtu);
	if (answer.drop != DROP_NONE)
		pipeline_count_drop(p, answer.drop, 1);
}

/* A tunnel that is down causes no error: an SA is requested, and the sender's next attempt may pass. */
static bool reply_kind(const struct pipeline *p, const struct packet_context *ctx, enum icmp_answer *ret_kind,
	bool *ret_reset)
{
	const struct train *t = ctx->t;
	bool tcp_rst = t->in_zone != TRAIN_NONE && p->snapshot &&
		       snap_zones(p->snapshot)[t->in_zone].flags & ZONE_TCP_RST;

	*ret_reset = false;
	switch (t->drop) {
	case DROP_TTL:
		*ret_kind = ICMP_ANSWER_TTL;
		return true;
	case DROP_TOO_BIG:
		*ret_kind = ICMP_ANSWER_TOO_BIG;
		return true;
	case DROP_NO_ROUTE:
		*ret_kind = ICMP_ANSWER_NO_ROUTE;
		return true;
	case DROP_NEIGHBOUR:
	case DROP_NAT_NO_MAPPING:
		*ret_kind = ICMP_ANSWER_HOST;
		return true;
	case DROP_POLICY_REJECT:
		*ret_reset = t->proto == IP_TCP;
		*ret_kind = ICMP_ANSWER_PROHIBITED;
		return true;
	case DROP_POLICY_DENY:
	case DROP_DEFAULT_DENY:
	case DROP_NO_SESSION:
	case DROP_HOST_INBOUND:
	case DROP_NAT_ADDRESS_CHANGED:
		*ret_reset = t->proto == IP_TCP && tcp_rst;
		return *ret_reset;
	default:
		return false;
	}
}

/*
 * Each host has its own rate of errors, and each zone: so a flood of packets with low hop limits cannot keep
 * the path MTU from an honest host (RFC 4443 section 2.4 f). Of all workers together.
 */
static bool reply_allowed(struct pipeline *p, const struct train *t)
{
	uint64_t hash = siphash13(p->hash_key, t->src.b, sizeof t->src.b);
	mono_ns *host = &p->rates->error_host[hash % ERROR_HOSTS];
	mono_ns *zone = &p->rates->error_zone[MIN_OF(t->in_zone, (uint32_t)ZONES_MAX)];

	return rate_shared_left(zone, ERROR_ZONE_PER_SECOND, ERROR_ZONE_BURST, p->now) &&
	       rate_shared_take(host, ERROR_HOST_PER_SECOND, ERROR_HOST_BURST, p->now) &&
	       rate_shared_take(zone, ERROR_ZONE_PER_SECOND, ERROR_ZONE_BURST, p->now);
}

void drop_reply(struct pipeline *p, struct packet_context *ctx)
{
	struct train *t = ctx->t;
	enum icmp_answer kind = ICMP_ANSWER_TTL;
	struct ip_addr from;
	bool reset;

	/* What could not be parsed counts as one packet. */
	pipeline_count_drop(
		p, t->drop, t->payload_offset && t->payload_offset <= t->len ? train_packets(t) : 1);
	if (train_is_traced(t))
		trace_say(p, t, "drop", PACKET_DROP, "%s: %s", drop_name(t->drop), drop_text(t->drop));
	if (!reply_kind(p, ctx, &kind, &reset))
		return;
	if (!reply_allowed(p, t)) {
		p->error_replies_suppressed++;
		return;
	}
	uint8_t *ip = egress_scratch_take(p, ICMP_MADE_MAX);
	size_t n = 0;
	if (reset)
		n = tcp_reset_make(ip, t);
	else if (reply_address(p, ctx, &from))
		n = icmp_make(ip, t, kind, ctx->mtu, &from);
	if (n > 0)
		reply_send(p, ctx, ip, (uint32_t)n);
}
