/*
 * Tunnels with an interface as links of the host. What it sends by such an interface leaves through that tunnel or not at all, and
 * what the tunnel brings for it is the kernel's to accept or refuse, as on any link: neither has a session here.
 *
 * Groups of a link (RFC 5771 section 4, RFC 4291 section 2.7) are for the other end alone: routing daemons at both ends speak to them,
 * as OSPF to 224.0.0.5 and ff02::5. No other group is heard.
 *
 * IKE and ESP packets of the gateway's own follow the kernel's routes as well. Into the interface of another tunnel they may be sent;
 * into that of the tunnel that they carry, or that one of these leads back to, they would be sealed again and again.
 */
#include "proc/dataplane/stages.h"

#include "base/log.h"

#define IKE_PORT      500
#define IKE_PORT_NATT 4500

/* Groups that no router forwards. */
static bool is_of_link(const struct ip_addr *group)
{
	static const uint8_t four[] = { 224, 0, 0 };

	if (group->family == ADDR_V4)
		return memcmp(group->b, four, sizeof four) == 0;
	return group->b[0] == 0xff && (group->b[1] & 0x0f) == 2;
}

bool forward_hears_group(const struct pipeline *p, const struct packet_context *ctx)
{
	return p->snapshot && is_of_link(&ctx->t->dst) && (ctx->by_device || forward_comes_routed(p, ctx));
}

/* Where the tunnel's sealed packets go to; ADDR_NONE: that is not known before there is an SA. */
static struct ip_addr tunnel_endpoint(const struct pipeline *p, uint32_t tunnel)
{
	uint32_t pair = esp_outbound(p->esp, tunnel);
	struct esp_view v;

	if (pair == ESP_PAIR_NONE)
		return snap_peers(p->snapshot)[snap_tunnels(p->snapshot)[tunnel].peer].remote;
	esp_view(p->esp, pair, &v);
	return v.remote->addr;
}

/* The tunnel with an interface that this is routed into, up or down; TRAIN_NONE: none. */
static uint32_t routed_into(const struct pipeline *p, const struct ip_addr *dst)
{
	const struct route_flow flow = { .src.family = dst->family,
		.dst = *dst,
		.in_link = ROUTE_NONE,
		.held = p->devices.link,
		.held_n = p->devices.n };
	struct route_answer r;

	if (dst->family == ADDR_NONE)
		return TRAIN_NONE;
	route_lookup_flow(p->routes, &flow, NULL, &r);
	return r.kind == ROUTE_UNICAST ? pipeline_tunnel_of_link(p, r.link) : TRAIN_NONE;
}

static bool is_sealed(const struct train *t)
{
	return t->proto == IP_ESP ||
	       (t->proto == IP_UDP && (t->src_port == IKE_PORT || t->src_port == IKE_PORT_NATT));
}

/* The tunnel's own packets are for this address, or go by other tunnels and come back to it. */
static bool carries_itself(const struct pipeline *p, uint32_t tunnel, const struct ip_addr *dst)
{
	struct ip_addr to = tunnel_endpoint(p, tunnel);

	if (addr_equal(&to, dst))
		return true;
	for (uint32_t i = 0, next; i < p->devices.n; i++) {
		next = routed_into(p, &to);
		if (next == tunnel)
			return true;
		if (next == TRAIN_NONE)
			return false;
		to = tunnel_endpoint(p, next);
	}
	return false;
}

static void recursion_say(struct pipeline *p, const struct train *t)
{
	const struct snap_tunnel *tunnel = &snap_tunnels(p->snapshot)[t->tunnel];
	mono_ns *said = &p->tunnels[t->tunnel].recursion_said;
	char to[ADDR_TEXT_MAX];

	if (*said != 0 && p->now - *said < RECURSION_INTERVAL)
		return;
	*said = p->now;
	addr_text(to, &t->dst);
	log_error(
		"IKE and ESP packets to %s are routed into %s, and tunnel '%s' would carry itself (recursive routing): they are dropped as %s; give %s a route by another interface, and let no routing daemon learn one through the tunnel",
		to, tunnel->interface, tunnel->name, drop_name(DROP_TUNNEL_RECURSION), to);
}

void forward_by_device(struct pipeline *p, struct packet_context *ctx)
{
	struct train *t = ctx->t;
	uint32_t pair;

	t->session = t->rule = TRAIN_NONE;
	t->tunnel = ctx->by_device - 1;
	t->out_zone = p->tunnels[t->tunnel].zone;
	if (is_sealed(t) && carries_itself(p, t->tunnel, &t->dst)) {
		t->drop = DROP_TUNNEL_RECURSION;
		recursion_say(p, t);
		return;
	}
	ctx->mtu = ctx->mtu_out = tunnel_mtu_for(p, t);
	t->drop = tunnel_pair(p, t, &pair);
	if (t->drop == DROP_NONE)
		t->drop = forward_size_check(ctx);
	else
		tunnel_acquire(p, t);
}
