#include "proc/dataplane/pipeline.h"

#include "base/lines.h"
#include "base/log.h"
#include "base/siphash.h"
#include "proc/dataplane/stages.h"
#include "wire/ip.h"

#include <assert.h>
#include <stdlib.h>
#include <sys/mman.h>

#define LARGE_PAGE  (2u << 20)
#define VRF_NUMBERS 251 /* a prime: tables are numbered in round steps */
_Static_assert((WORKERS_MAX & (WORKERS_MAX - 1)) == 0, "identifications of fragments divide by it");
_Static_assert(SCRATCH_SIZE + (66u << 10) <= LARGE_PAGE, "scratch and batch share a page");

bool pipeline_init(struct pipeline *p, const struct pipeline_io *io, struct firewall *fw, struct esp *esp,
	struct route_table *routes, const uint8_t hash_key[16])
{
	*p = (struct pipeline){
		.io = *io, .fw = fw, .esp = esp, .routes = routes, .changes = 1, .workers = 1
	};
	for (uint32_t i = 0; i < INTERFACES_MAX; i++)
		p->interfaces[i].link = ROUTE_NONE;
	p->alg = alg_new();
	bool screens = screens_new(p), syn = syn_proxy_new(p);
	p->tunnels = lines_new(TUNNELS_MAX, sizeof *p->tunnels);
	p->rates = p->rates_own = lines_new(1, sizeof *p->rates_own);
	/* One large page where the machine has some: all sealed octets pass through it. */
	p->scratch = aligned_alloc(LARGE_PAGE, LARGE_PAGE);
	if (p->scratch) {
		madvise(p->scratch, LARGE_PAGE, MADV_HUGEPAGE);
		p->batch.bytes = p->scratch + SCRATCH_SIZE;
	}
	p->batch.room = BATCH_ROOM;
	p->batch.packets_max = BATCH_PACKETS;
	esp_batch_begin(&p->batch);
	memcpy(p->hash_key, hash_key, sizeof p->hash_key);
	p->fragment_id = (uint32_t)siphash13(hash_key, NULL, 0); /* fragments disclose it, but not the key */
	if (!p->tunnels || !p->rates || !p->scratch || !p->alg || !screens || !syn) {
		pipeline_done(p);
		return false;
	}
	return true;
}

void pipeline_join(struct pipeline *const *all, uint32_t n)
{
	assert(n > 0 && n <= WORKERS_MAX);
	for (uint32_t i = 0; i < n; i++) {
		struct pipeline *p = all[i];
		assert(n == 1 || (p->io.home && p->io.hand_over && p->io.note));
		p->worker = i;
		p->workers = n;
		p->fragment_id = p->fragment_id / WORKERS_MAX * WORKERS_MAX + i;
		/* By the same key the same host has the same place. */
		p->rates = all[0]->rates_own;
		p->screens->floods = all[0]->screens->floods_own;
		p->screens->scans = all[0]->screens->scans_own;
		memcpy(p->hash_key, all[0]->hash_key, sizeof p->hash_key);
	}
}

void pipeline_done(struct pipeline *p)
{
	for (uint32_t i = 0; i < NEIGHBOUR_QUEUE_MAX; i++)
		free(p->neighbour_queue[i].bytes);
	pipeline_prepare_end(p);
	selectors_free(p->selectors);
	free(p->tunnels);
	free(p->rates_own);
	free(p->alg);
	carry_free(p->carried.carry);
	screens_free(p);
	syn_proxy_free(p);
	free(p->scratch);
	*p = (struct pipeline){ 0 };
}

/*
 * The number by which keys of sessions tell a VRF from others. It follows from the number of its table alone, so that sessions are
 * found by the next process as well. Of two tables with the same one the second is not used.
 */
static uint8_t vrf_number(struct pipeline *p, const char *interface, uint32_t table)
{
	uint8_t n = table == 0 ? 0 : (uint8_t)(1 + table % VRF_NUMBERS);

	if (p->vrf_table[n] == 0)
		p->vrf_table[n] = table;
	if (p->vrf_table[n] == table)
		return n;
	if (p->worker == 0)
		log_error(
			"interface %s is not used: the tables %u and %u of two VRFs have the same remainder by %d; give one of them another table",
			interface, p->vrf_table[n], table, VRF_NUMBERS);
	return PIPELINE_VRF_UNUSED;
}

/* Copies what the kernel reports about the links into the table that the stages use. */
static void interfaces_refresh(struct pipeline *p)
{
	memset(p->vrf_table, 0, sizeof p->vrf_table);
	for (uint32_t i = 0; p->routes && i < INTERFACES_MAX; i++) {
		struct pipeline_interface *f = &p->interfaces[i];
		const struct route_link *link =
			f->link == ROUTE_NONE ? NULL : route_link_find(p->routes, f->link);
		f->bare = link && link->bare;
		f->up = link && link->up && (link->has_mac || link->bare);
		f->vrf = 0;
		if (!link)
			continue;
		f->vrf = vrf_number(p, link->name, route_vrf_of(p->routes, link->index));
		f->up &= f->vrf != PIPELINE_VRF_UNUSED;
		memcpy(f->mac, link->mac, sizeof f->mac);
		f->mtu = link->mtu;
	}
	p->devices.any_down = false;
	for (uint32_t i = 0; p->routes && i < p->devices.n; i++) {
		const struct route_link *link = route_link_find(p->routes, p->devices.link[i]);
		p->devices.any_down |= !link || !link->up;
	}
}

void pipeline_changed(struct pipeline *p)
{
	p->changes++;
	interfaces_refresh(p);
}

void pipeline_routes(struct pipeline *p, struct route_table *routes)
{
	route_generation_continue(routes, p->routes);
	p->routes = routes;
	pipeline_changed(p);
}

void pipeline_prepare_end(struct pipeline *p)
{
	fw_prepared_free(p->preparing.policy);
	selectors_free(p->preparing.selectors);
	memset(&p->preparing, 0, sizeof p->preparing);
}

enum rc pipeline_prepare(struct pipeline *p, const struct snapshot *s, struct err *e)
{
	pipeline_prepare_end(p);
	p->preparing.selectors = selectors_new(s);
	if (!p->preparing.selectors)
		return err_add(e, RC_LIMIT, "out of memory for the tunnels' traffic selectors");
	p->preparing.policy = fw_prepare(p->fw, s, e);
	if (!p->preparing.policy) {
		pipeline_prepare_end(p);
		return RC_LIMIT;
	}
	p->preparing.snapshot = s;
	return RC_OK;
}

enum rc pipeline_prepare_go(struct pipeline *p, uint32_t budget, bool *ret_ready, struct err *e)
{
	enum rc rc = fw_prepare_go(p->preparing.policy, budget, ret_ready, e);

	if (rc != RC_OK)
		pipeline_prepare_end(p);
	return rc;
}

/* Interfaces of tunnels are bound anew. */
static void tunnels_load(struct pipeline *p)
{
	const struct snap_tunnel *all = snap_tunnels(p->snapshot);

	memset(p->zone_has_tunnels, 0, sizeof p->zone_has_tunnels);
	memset(p->zone_has_selectors, 0, sizeof p->zone_has_selectors);
	memset(p->tunnels, 0, TUNNELS_MAX * sizeof *p->tunnels);
	p->devices.n = 0;
	for (uint32_t i = 0; i < p->snapshot->tunnels.count; i++) {
		struct pipeline_tunnel *t = &p->tunnels[i];
		t->zone = all[i].zone;
		t->routed = snap_tunnel_is_routed(&all[i]);
		t->device = ROUTE_NONE;
		p->zone_has_tunnels[t->zone] = true;
		p->zone_has_selectors[t->zone] |= !t->routed;
	}
}

void pipeline_load_prepared(struct pipeline *p, mono_ns now)
{
	struct pipeline_interface before[INTERFACES_MAX];
	const struct snapshot *old = p->snapshot, *s = p->preparing.snapshot;

	fw_load_prepared(p->fw, p->preparing.policy, now);
	neighbour_queue_drop_all(p); /* they refer to interfaces and zones by the old numbers */
	selectors_free(p->selectors);
	p->selectors = p->preparing.selectors;
	p->snapshot = s;
	memset(&p->preparing, 0, sizeof p->preparing);
	if (p->worker == 0) /* all workers have the same SAs */
		esp_bind(p->esp, snap_tunnels(s), s->tunnels.count);
	tunnels_load(p);
	/* Links that were handed over keep their counters; they are matched by name. */
	memcpy(before, p->interfaces, sizeof before);
	for (uint32_t i = 0; i < INTERFACES_MAX; i++) {
		p->interfaces[i] = (struct pipeline_interface){ .link = ROUTE_NONE };
		if (i >= s->interfaces.count)
			continue;
		for (uint32_t k = 0; old && k < old->interfaces.count; k++)
			if (strcmp(snap_interfaces(old)[k].name, snap_interfaces(s)[i].name) == 0)
				p->interfaces[i] = before[k];
		p->interfaces[i].zone = snap_interfaces(s)[i].zone;
	}
	proxies_load(p, old);
	screens_load(p, old);
	syn_proxy_forget(p);
	pipeline_changed(p);
	/* Nobody hears of the new policy while the kernel carries by the former one. */
	pipeline_carry_check(p);
}

enum rc pipeline_load(struct pipeline *p, const struct snapshot *s, mono_ns now, struct err *e)
{
	enum rc rc = pipeline_prepare(p, s, e);

	for (bool ready = false; rc == RC_OK && !ready;)
		rc = pipeline_prepare_go(p, UINT32_MAX, &ready, e);
	if (rc == RC_OK)
		pipeline_load_prepared(p, now);
	return rc;
}

uint32_t pipeline_bind(struct pipeline *p, const char *name, uint32_t link)
{
	for (uint32_t i = 0; p->snapshot && i < p->snapshot->interfaces.count; i++) {
		if (strcmp(snap_interfaces(p->snapshot)[i].name, name) != 0)
			continue;
		p->interfaces[i].link = link;
		pipeline_changed(p);
		return i;
	}
	return TRAIN_NONE;
}

void pipeline_unbind(struct pipeline *p, uint32_t link)
{
	for (uint32_t i = 0; i < INTERFACES_MAX; i++)
		if (p->interfaces[i].link == link)
			p->interfaces[i].link = ROUTE_NONE;
	pipeline_changed(p);
}

uint32_t pipeline_device_bind(struct pipeline *p, const char *name, uint32_t link)
{
	pipeline_device_unbind(p, link);
	for (uint32_t i = 0; p->snapshot && i < p->snapshot->tunnels.count; i++) {
		if (strcmp(snap_tunnels(p->snapshot)[i].interface, name) != 0 ||
			p->devices.n == TUNNEL_INTERFACES_MAX)
			continue;
		p->tunnels[i].device = link;
		p->devices.link[p->devices.n] = link;
		p->devices.tunnel[p->devices.n++] = i;
		pipeline_changed(p);
		return i;
	}
	return TRAIN_NONE;
}

void pipeline_device_unbind(struct pipeline *p, uint32_t link)
{
	for (uint32_t i = 0; i < p->devices.n; i++) {
		if (p->devices.link[i] != link)
			continue;
		p->tunnels[p->devices.tunnel[i]].device = ROUTE_NONE;
		p->devices.n--;
		p->devices.link[i] = p->devices.link[p->devices.n];
		p->devices.tunnel[i] = p->devices.tunnel[p->devices.n];
		pipeline_changed(p);
		return;
	}
}

void pipeline_path_mtu(struct pipeline *p, uint32_t tunnel, uint32_t mtu)
{
	p->tunnels[tunnel].path_mtu = mtu;
	pipeline_changed(p);
}

static bool arrival_read(struct pipeline *p, const struct packet_context *ctx)
{
	struct train *t = ctx->t;
	uint32_t in_tunnel = ctx->in_tunnel;

	p->trains_in++;
	train_parse(t);
	if (t->drop == DROP_MULTICAST && forward_hears_group(p, ctx))
		t->drop = DROP_NONE;
	if (screens_apply(p, t) && !screen_is_ordinary(t))
		screen_arrived(p, t, in_tunnel);
	if (t->drop != DROP_NONE)
		return false;
	uint32_t packets = train_packets(t);
	p->packets_in += packets;
	p->bytes_in += train_bytes(t);
	if (t->in_interface != TRAIN_NONE) {
		p->interfaces[t->in_interface].packets_in += packets;
		p->interfaces[t->in_interface].bytes_in += train_bytes(t);
	}
	return true;
}

enum drop_reason pipeline_arrival_check(const struct train *t)
{
	if (t->dst.b[0] == 0xff || (t->dst.family == ADDR_V4 && t->dst.b[0] >= 224))
		return DROP_MULTICAST;
	return t->in_zone == TRAIN_NONE && !(t->flags & TRAIN_FROM_HOST) ? DROP_NO_ZONE : DROP_NONE;
}

/*
 * Headers, home, zone, fragments. False: the train ends here (dropped, handed over, or kept for reassembly).
 * Fragments are put together where their addresses are at home, and the whole datagram goes on from there.
 */
static bool ingress_accept(struct pipeline *p, struct packet_context *ctx)
{
	struct train *t = ctx->t;

	if ((!(t->flags & TRAIN_HANDED_OVER) && !arrival_read(p, ctx)) || !handover_at_home(p, ctx))
		return false;
	if (p->trace.on && !train_is_traced(t))
		trace_begin(p, t, ctx->in_tunnel);
	if (p->capture.ring)
		capture_arrived(p, t, ctx->in_tunnel);
	/* From a virtual machine, perhaps: one frame must not delay all others. */
	if (train_packets(t) > TRAIN_PACKETS_MAX) {
		t->drop = DROP_SEGMENT_LIMIT;
		return false;
	}
	t->drop = pipeline_arrival_check(t);
	if (t->drop == DROP_MULTICAST && forward_hears_group(p, ctx))
		t->drop = DROP_NONE;
	if (t->drop != DROP_NONE)
		return false;
	if (!(t->flags & TRAIN_FRAGMENT))
		return true;
	bool whole = fw_reassemble(
		p->fw, t, t->flags & TRAIN_FROM_HOST ? ctx->by_device - 1 : ctx->in_tunnel, p->now);
	if (screens_apply(p, t))
		screen_reassembled(p, t);
	if (whole)
		return t->drop == DROP_NONE && handover_at_home(p, ctx);
	ctx->counted = t->drop == DROP_NONE;
	return false;
}

/* First packets are looked up in the routes one by one, in their order: what these lookups read is fetched before. */
static void routes_fetch(const struct pipeline *p, struct train *const *live, uint32_t n)
{
	const struct ip_addr *dst[TRAIN_BURST_MAX];
	uint32_t first = 0;

	for (uint32_t i = 0; i < n; i++)
		if (live[i]->session == TRAIN_NONE && live[i]->drop == DROP_NONE)
			dst[first++] = &live[i]->dst;
	if (first > 1)
		route_prefetch(p->routes, dst, first);
}

void pipeline_burst(struct pipeline *p, struct train *trains, uint32_t n, mono_ns now)
{
	struct packet_context list[TRAIN_BURST_MAX];
	struct train *live[TRAIN_BURST_MAX];
	uint32_t passed = 0;

	assert(n <= TRAIN_BURST_MAX);
	p->now = now;
	p->scratch_n = 0;
	pipeline_carry_check(p);
	carried_notes(p, now);
	alg_burst(p);
	syn_proxy_burst(p);
	for (uint32_t i = 0; i < n; i++) {
		struct packet_context *ctx = &list[passed];
		bool from_host = trains[i].flags & TRAIN_FROM_HOST;
		*ctx = (struct packet_context){ .t = &trains[i],
			.in_tunnel = from_host ? TRAIN_NONE : trains[i].tunnel,
			.by_device = from_host ? trains[i].tunnel + 1 : 0 };
		trains[i].tunnel = TRAIN_NONE;
		if (!ingress_accept(p, ctx)) {
			if (!ctx->counted)
				drop_reply(p, ctx);
			continue;
		}
		live[passed++] = &trains[i];
	}
	fw_lookup_burst(p->fw, live, passed, now);
	routes_fetch(p, live, passed);
	fw_policy_fetch(p->fw, live, passed);
	/* Each train sees the sessions as the trains before it have left them: a burst has the same effect
	 * as its trains one by one. */
	for (uint32_t i = 0; i < passed; i++) {
		fw_lookup_again(p->fw, live[i], now);
		forward_decide(p, &list[i]);
		syn_proxy_settle(p, &list[i]);
		syn_proxy_apply(p, live[i]);
		pipeline_notes(p);
	}
	for (uint32_t i = 0; i < passed; i++) {
		if (list[i].t->drop == DROP_NONE && !list[i].counted)
			egress_send(p, &list[i]);
		if (list[i].t->drop != DROP_NONE && !list[i].counted)
			drop_reply(p, &list[i]);
	}
	egress_flush(p);
	assert(p->batch.packets == 0 && p->batch.n == 0);
	carried_burst(p, false);
	p->io.flush(p->io.context);
	carried_burst(p, true);
	fw_reassemble_done(p->fw);
	if (p->trace.on)
		trace_flush(p);
	if (p->capture.ring)
		capture_flush(p);
}

void pipeline_burst_tunnel(struct pipeline *p, struct train *trains, uint32_t n, mono_ns now)
{
	assert(n <= TRAIN_BURST_MAX);
	p->now = now;
	p->scratch_n = 0;
	for (uint32_t i = 0; i < n; i++) {
		struct packet_context ctx = { .t = &trains[i], .in_tunnel = TRAIN_NONE };
		egress_send_own(p, &trains[i], 0);
		if (trains[i].drop != DROP_NONE)
			drop_reply(p, &ctx);
	}
	egress_flush(p);
	p->io.flush(p->io.context);
}
