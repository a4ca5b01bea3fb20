/*
 * Tunnels as the pipeline sees them: what a tunnel's packets may measure, which SA sends one, and what ike is
 * asked for when none does.
 */
#include "proc/dataplane/stages.h"
#include "wire/ip.h"

/* Octets that an outer packet has around the sealed one. */
static uint32_t outer_size(const struct esp_view *v)
{
	return (v->local->addr.family == ADDR_V4 ? IP4_HEADER_SIZE : IP6_HEADER_SIZE) +
	       (v->flags & CHILD_ENCAP ? UDP_HEADER_SIZE : 0);
}

uint32_t pipeline_tunnel_mtu(struct pipeline *p, uint32_t tunnel)
{
	struct pipeline_tunnel *t = &p->tunnels[tunnel];
	const struct snap_tunnel *configured = &snap_tunnels(p->snapshot)[tunnel];
	uint64_t generation = pipeline_generation(p);
	uint32_t pair = esp_outbound(p->esp, tunnel), outer = 0;

	if (t->mtu_generation == generation)
		return t->mtu;
	t->mtu_generation = generation;
	t->mtu = TUNNEL_MTU_UNKNOWN;
	if (pair != ESP_PAIR_NONE) {
		struct esp_view v;
		struct route_answer route;
		esp_view(p->esp, pair, &v);
		route_lookup(p->routes, 0, &v.remote->addr, &route);
		outer = route.kind == ROUTE_UNICAST && route.mtu ? route.mtu : 1500;
		if (t->path_mtu && t->path_mtu < outer)
			outer = t->path_mtu;
		outer = MAX_OF(outer, (uint32_t)TUNNEL_MTU_MIN) - outer_size(&v);
		t->mtu = esp_inner_max(v.encr,
			MIN_OF(outer, (uint32_t)BATCH_ROOM)); /* links of 64 KB are wider than a batch */
	}
	if (configured->mtu && configured->mtu < t->mtu)
		t->mtu = configured->mtu;
	t->mtu = MAX_OF(t->mtu, (uint32_t)TUNNEL_MTU_MIN);
	return t->mtu;
}

uint32_t pipeline_tunnel_of_link(const struct pipeline *p, uint32_t link)
{
	for (uint32_t i = 0; i < p->devices.n; i++)
		if (p->devices.link[i] == link)
			return p->devices.tunnel[i];
	return TRAIN_NONE;
}

/* RFC 8200 section 5: every link carries 1280 octets of IPv6; once sealed, they are fragmented outside if need be. */
uint32_t tunnel_mtu_for(struct pipeline *p, const struct train *t)
{
	uint32_t mtu = pipeline_tunnel_mtu(p, t->tunnel);

	return t->src.family == ADDR_V6 ? MAX_OF(mtu, (uint32_t)IP6_MTU_MIN) : mtu;
}

enum drop_reason tunnel_pair(const struct pipeline *p, const struct train *t, uint32_t *ret_pair)
{
	*ret_pair = esp_outbound_for(p->esp, t->tunnel, p->worker, t);
	if (*ret_pair != ESP_PAIR_NONE)
		return DROP_NONE;
	return esp_outbound(p->esp, t->tunnel) == ESP_PAIR_NONE ? DROP_TUNNEL_DOWN : DROP_ESP_SELECTOR;
}

static struct selector one_end(const struct train *t, const struct ip_addr *a, uint16_t port)
{
	bool ports = ip_has_ports(t->proto);

	return (struct selector){ .addrs = { *a, *a },
		.proto = t->proto,
		.port_first = ports ? port : 0,
		.port_last = ports ? port : UINT16_MAX };
}

void tunnel_acquire(struct pipeline *p, const struct train *t)
{
	struct pipeline_tunnel *tunnel = &p->tunnels[t->tunnel];
	struct sa_acquire asked = { .tunnel = t->tunnel };

	tunnel->drops_down += t->drop == DROP_TUNNEL_DOWN;
	mono_ns *acquire = &p->rates->acquire[t->tunnel], last = __atomic_load_n(acquire, __ATOMIC_RELAXED);
	/* The clock of another worker may be ahead. */
	if (last != 0 && last + ACQUIRE_INTERVAL > p->now)
		return;
	/* An error quotes a packet that came from there: it needs no SA of its own. */
	if (t->drop == DROP_ESP_SELECTOR && t->flags & TRAIN_ICMP_ERROR)
		return;
	asked.src = one_end(t, &t->src, t->src_port);
	asked.dst = one_end(t, &t->dst, t->dst_port);
	if (!__atomic_compare_exchange_n(acquire, &last, p->now, false, __ATOMIC_RELAXED, __ATOMIC_RELAXED))
		return; /* another worker has asked just now */
	p->io.acquire(p->io.context, &asked);
}
