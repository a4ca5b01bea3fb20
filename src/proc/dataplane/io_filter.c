/*
 * Socket filters of the links: sealed packets for the host itself are not delivered. The kernel delivers
 * those to the tunnels' sockets; without a filter every sealed octet would be copied a second time, only to
 * be discarded.
 *
 * A filter names the host's own addresses exactly, because what others send to port 4500 of others is
 * forwarded. It excludes only what the zone permits to the host: what it does not permit is still delivered,
 * and counted. Fragments and packets with extension headers are delivered as well; there are few of them.
 */
#include "base/log.h"
#include "proc/dataplane/dataplane.h"
#include "proc/dataplane/stages.h"
#include "wire/ip.h"
#include "proc/dataplane/limits.h"

#include <assert.h>
#include <linux/filter.h>

#define IPSEC_PORT 4500
#define AT_TYPE	   12 /* octets from the frame's first */
#define AT_IP	   ETHERNET_SIZE
#define KEEP_ALL   UINT32_MAX

struct program {
	struct sock_filter code[LINK_FILTER_MAX];
	uint32_t n;
};

static void put(struct program *p, uint16_t code, uint8_t yes, uint8_t no, uint32_t k)
{
	assert(p->n < LINK_FILTER_MAX);
	p->code[p->n++] = (struct sock_filter){ code, yes, no, k };
}

static void verdict(struct program *p, uint32_t octets)
{
	put(p, BPF_RET | BPF_K, 0, 0, octets);
}

static void load(struct program *p, uint16_t size, uint32_t at)
{
	put(p, BPF_LD | size | BPF_ABS, 0, 0, at);
}

/* Anything else than k is delivered. */
static void must_be(struct program *p, uint32_t k)
{
	put(p, BPF_JMP | BPF_JEQ | BPF_K, 1, 0, k);
	verdict(p, KEEP_ALL);
}

/* Continues with ESP, and with UDP to port 4500; the protocol is loaded. */
static void must_be_sealed(struct program *p, bool v4)
{
	put(p, BPF_JMP | BPF_JEQ | BPF_K, v4 ? 6 : 5, 0, IP_ESP); /* past the ports */
	must_be(p, IP_UDP);
	if (v4)
		put(p, BPF_LDX | BPF_B | BPF_MSH, 0, 0, AT_IP); /* octets of the IPv4 header */
	put(p, BPF_LD | BPF_H | (v4 ? BPF_IND : BPF_ABS), 0, 0, AT_IP + (v4 ? 0 : IP6_HEADER_SIZE) + 2);
	must_be(p, IPSEC_PORT);
}

static void leave_out(struct program *p, const struct ip_addr *a)
{
	uint32_t words = addr_size(a) / 4, at = AT_IP + (words == 1 ? IP4_DST : IP6_DST);

	for (uint32_t i = 0; i < words; i++) {
		if (words > 1)
			load(p, BPF_W, at + 4 * i);
		/* If it differs, past the verdict. */
		put(p, BPF_JMP | BPF_JEQ | BPF_K, 0, (uint8_t)(words > 1 ? 2 * (words - 1 - i) + 1 : 1),
			load_be32(a->b + 4 * i));
	}
	verdict(p, 0);
}

static void leave_out_locals(struct program *p, const struct route_table *routes, uint8_t family)
{
	const struct route_local *l;
	uint32_t n = 0;

	for (uint32_t i = 0; (l = route_local_at(routes, i)) && n < FILTER_LOCALS_MAX; i++) {
		if (l->addr.family != family)
			continue;
		leave_out(p, &l->addr);
		n++;
	}
	verdict(p, KEEP_ALL);
}

/* What the gateway sends itself: older kernels give it to a group of sockets, whatever each of them asks for. */
static void leave_out_own(struct program *p)
{
	p->n = 0;
	load(p, BPF_B, (uint32_t)(SKF_AD_OFF + SKF_AD_PKTTYPE));
	put(p, BPF_JMP | BPF_JEQ | BPF_K, 0, 1, PACKET_OUTGOING);
	verdict(p, 0);
}

static void build(struct program *p, const struct route_table *routes)
{
	load(p, BPF_H, AT_TYPE);
	put(p, BPF_JMP | BPF_JEQ | BPF_K, 0, 1, 0x0800);
	put(p, BPF_JMP | BPF_JA, 0, 0, 0); /* to IPv4: the offset is filled in below */
	uint32_t jump = p->n - 1;
	must_be(p, 0x86dd);
	load(p, BPF_B, AT_IP + 6);
	must_be_sealed(p, false);
	leave_out_locals(p, routes, ADDR_V6);
	p->code[jump].k = p->n - jump - 1;
	load(p, BPF_H, AT_IP + 6);
	put(p, BPF_ALU | BPF_AND | BPF_K, 0, 0, IP4_MF | IP4_OFFSET_MASK);
	must_be(p, 0);
	load(p, BPF_B, AT_IP + 9);
	must_be_sealed(p, true);
	load(p, BPF_W, AT_IP + IP4_DST);
	leave_out_locals(p, routes, ADDR_V4);
}

/* Does the zone permit both forms of sealed packets to the host? */
static bool zone_opens(const struct worker *w, const struct link_io *l)
{
	uint32_t zone = w->pipeline.interfaces[l->interface].zone;

	/* Destination NAT takes such packets to another host: they must be delivered. */
	if (fw_dnat_may_take(w->fw, zone, IP_UDP, IPSEC_PORT) || fw_dnat_may_take(w->fw, zone, IP_ESP, 0))
		return false;
	return fw_host_open_to_all(w->fw, zone, IP_UDP, IPSEC_PORT) &&
	       fw_host_open_to_all(w->fw, zone, IP_ESP, 0);
}

/* Does the zone want nothing of what is sealed for the host? */
static bool leaves_out(const struct worker *w, const struct link_io *l)
{
	return l->interface != TRAIN_NONE && !w->pipeline.interfaces[l->interface].bare && zone_opens(w, l);
}

/* ---- where the kernel carries sessions: the tap in the filter's place, and what it leaves out in a map ---- */

static void host_addresses(struct carry_host *h, const struct route_table *routes)
{
	const struct route_local *l;

	h->v4_n = h->v6_n = 0;
	for (uint32_t i = 0; (l = route_local_at(routes, i)); i++) {
		if (l->addr.family == ADDR_V4 && h->v4_n < CARRY_LOCALS_MAX)
			memcpy(h->v4[h->v4_n++], l->addr.b, 4);
		else if (l->addr.family == ADDR_V6 && h->v6_n < CARRY_LOCALS_MAX)
			memcpy(h->v6[h->v6_n++], l->addr.b, 16);
	}
}

/* By the main thread's worker, for all. */
static void host_write(const struct worker *w, struct carry_host *h)
{
	uint32_t n = 0;

	__atomic_store_n(&h->links_n, 0, __ATOMIC_SEQ_CST);
	host_addresses(h, w->pipeline.routes);
	for (uint32_t i = 0; i < w->links_n && n < CARRY_LINKS_MAX; i++)
		if (leaves_out(w, w->links[i]))
			h->link[n++] = w->links[i]->link;
	__atomic_store_n(&h->links_n, n, __ATOMIC_RELEASE);
}

static void attach(const struct link_io *l, struct program *p)
{
	struct sock_fprog program = { (unsigned short)p->n, p->code };

	if (setsockopt(l->fd, SOL_SOCKET, SO_ATTACH_FILTER, &program, sizeof program) < 0)
		log_error("attach the socket filter of interface %s: %m", l->name);
}

static void tap_attach(const struct worker *w, struct link_io *l)
{
	int tap = w->dataplane->carry.tap;
	struct program p;

	if (l->tapped)
		return;
	l->tapped = true;
	l->filter_n = 0;
	/* While one replaces another the kernel counts both. Where the limit is 20480 octets (net.core.optmem_max before Linux 6.7)
	 * the tap of the process before would leave no room for ours. */
	leave_out_own(&p);
	verdict(&p, KEEP_ALL);
	attach(l, &p);
	if (setsockopt(l->fd, SOL_SOCKET, SO_ATTACH_BPF, &tap, sizeof tap) < 0)
		log_error("attach the tap of carried sessions to interface %s: %m", l->name);
}

static void filter_attach(const struct worker *w, struct link_io *l)
{
	struct program p;

	leave_out_own(&p);
	if (leaves_out(w, l))
		build(&p, w->pipeline.routes);
	else
		verdict(&p, KEEP_ALL);
	size_t bytes = p.n * sizeof p.code[0];
	if (l->filter_n == p.n && memcmp(l->filter, p.code, bytes) == 0)
		return;
	memcpy(l->filter, p.code, bytes);
	l->filter_n = p.n;
	l->tapped = false;
	attach(l, &p);
}

void filters_refresh(struct worker *w)
{
	uint64_t generation;

	if (!dataplane_ready(w->dataplane) || !w->pipeline.snapshot || w->dataplane->routes_next)
		return;
	bool tapped = carry_maps_ready(&w->dataplane->carry) && w->pipeline.snapshot->offload;
	generation = pipeline_generation(&w->pipeline);
	if (generation == w->filters_generation && tapped == w->filters_tapped)
		return;
	w->filters_generation = generation;
	w->filters_tapped = tapped;
	if (tapped && w->index == 0)
		host_write(w, w->dataplane->carry.host);
	for (uint32_t i = 0; i < w->links_n; i++) {
		struct link_io *l = w->links[i];
		if (!l->reads)
			continue;
		if (tapped)
			tap_attach(w, l);
		else
			filter_attach(w, l);
	}
}
