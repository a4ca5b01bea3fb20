/*
 * Egress: fragments where a packet exceeds the path's MTU, link headers, sealing, the host's TUN device.
 */
#include "proc/dataplane/stages.h"
#include "wire/csum.h"
#include "wire/fragment.h"
#include "wire/ip.h"

#include <assert.h>

uint8_t *egress_scratch_take(struct pipeline *p, uint32_t n)
{
	uint32_t whole = (TRAIN_HEAD_ROOM + n + TRAIN_TAIL_ROOM + 63) & ~63u;

	assert(n <= TRAIN_BYTES_MAX);
	if (whole > SCRATCH_SIZE - p->scratch_n) {
		egress_flush(p);
		p->io.flush(p->io.context);
		p->scratch_n = 0;
	}
	uint8_t *at = p->scratch + p->scratch_n + TRAIN_HEAD_ROOM;
	p->scratch_n += whole;
	assert(p->scratch_n <= SCRATCH_SIZE);
	return at;
}

static uint32_t csum_field(uint8_t proto)
{
	return proto == IP_TCP ? TCP_CSUM : proto == IP_UDP ? UDP_CSUM : ICMP_CSUM;
}

/* The description of the packet for the kernel's offloads, in front of the link header (head_n octets) or
 * the packet. */
static void virtio_put(const struct train *t, uint8_t *at, uint32_t head_n)
{
	struct virtio_net_hdr h = { .flags = t->csum == TRAIN_CSUM_VALID ? VIRTIO_NET_HDR_F_DATA_VALID : 0 };

	if (t->csum == TRAIN_CSUM_PARTIAL) {
		h.flags = VIRTIO_NET_HDR_F_NEEDS_CSUM;
		h.csum_start = (uint16_t)(head_n + t->l4_offset);
		h.csum_offset = (uint16_t)csum_field(t->proto);
	}
	if (t->segment_size) {
		h.gso_type = t->proto == IP_UDP		? VIRTIO_NET_HDR_GSO_UDP_L4
			     : t->src.family == ADDR_V4 ? VIRTIO_NET_HDR_GSO_TCPV4
							: VIRTIO_NET_HDR_GSO_TCPV6;
		if (t->flags & TRAIN_TCP_CWR)
			h.gso_type |= VIRTIO_NET_HDR_GSO_ECN;
		h.gso_size = t->segment_size;
		h.hdr_len = (uint16_t)(head_n + t->payload_offset);
	}
	memcpy(at, &h, sizeof h);
}

static void sent_count(struct pipeline *p, const struct train *t)
{
	uint32_t packets = train_packets(t);

	p->packets_out += packets;
	p->bytes_out += train_bytes(t);
	if (t->out_interface != TRAIN_NONE) {
		p->interfaces[t->out_interface].packets_out += packets;
		p->interfaces[t->out_interface].bytes_out += train_bytes(t);
	}
}

/* One frame; t is not to be fragmented any more. */
static void frame_out(struct pipeline *p, struct train *t, const uint8_t *mac)
{
	const struct pipeline_interface *f = &p->interfaces[t->out_interface];
	uint32_t head = f->bare ? 0 : ETHERNET_SIZE;
	uint8_t *frame = t->ip - head;

	if (!f->bare) {
		memcpy(frame, mac, 6);
		memcpy(frame + 6, f->mac, 6);
		store_be16(frame + 12, t->src.family == ADDR_V4 ? 0x0800 : 0x86dd);
	}
	virtio_put(t, frame - VIRTIO_SIZE, head);
	sent_count(p, t);
	p->io.link_send(
		p->io.context, t->out_interface, frame - VIRTIO_SIZE, (uint32_t)VIRTIO_SIZE + head + t->len);
}

void egress_flush(struct pipeline *p)
{
	struct esp_view v;

	if (p->batch.packets == 0)
		return;
	assert(p->batch.pair != ESP_PAIR_NONE && p->batch.n <= p->batch.room);
	esp_view(p->esp, p->batch.pair, &v);
	enum drop_reason drop = p->io.tunnel_send(p->io.context, &v, &p->batch);
	if (drop != DROP_NONE)
		pipeline_count_drop(p, drop, p->batch.packets);
	esp_batch_begin(&p->batch);
}

/* Seals all packets of the cutter; full batches are sent in between. */
static void seal_out(struct pipeline *p, uint32_t pair, struct segment_cutter *cutter, struct train *t)
{
	enum drop_reason drop = DROP_NONE;

	while (!esp_seal(p->esp, pair, cutter, t->traffic_class, &p->batch, p->now, &drop)) {
		if (drop != DROP_NONE) {
			t->drop = drop;
			return;
		}
		egress_flush(p);
	}
}

/* Seals the packet into the batch. */
static void piece_to_tunnel(struct pipeline *p, struct train *piece)
{
	struct segment_cutter cutter;

	segment_cut_begin(&cutter, piece, 0);
	seal_out(p, p->egress_pair, &cutter, piece);
	sent_count(p, piece);
}

/* The cutter overwrites this packet with the next one's headers: what waits for the flush must be a copy. */
static void piece_to_link(struct pipeline *p, struct train *piece, const uint8_t *mac)
{
	uint8_t *copy = egress_scratch_take(p, piece->len);

	memcpy(copy, piece->ip, piece->len);
	piece->ip = copy;
	frame_out(p, piece, mac);
}

/* No two workers may give the same one to packets of two hosts (RFC 8200 section 4.5). */
static uint32_t fragment_id_next(struct pipeline *p)
{
	p->fragment_id += p->workers == 1 ? 1 : WORKERS_MAX;
	return p->fragment_id;
}

/* One packet in fragments of at most mtu octets; mac NULL: into the tunnel. */
static void fragments_out(struct pipeline *p, struct train *t, uint32_t mtu, const uint8_t *mac)
{
	uint32_t id = fragment_id_next(p);

	for (uint32_t i = 0;; i++) {
		struct train piece = *t;
		piece.ip = egress_scratch_take(p, mtu);
		piece.len = (uint32_t)fragment_cut(piece.ip, t, mtu, i, id);
		piece.segment_size = 0;
		piece.csum = TRAIN_CSUM_UNKNOWN;
		if (piece.len == 0)
			return;
		if (mac)
			frame_out(p, &piece, mac);
		else
			piece_to_tunnel(p, &piece);
		if (piece.drop != DROP_NONE) {
			t->drop = piece.drop;
			return;
		}
	}
}

/*
 * RFC 2473 section 7.1: an IPv6 packet of up to 1280 octets is sent into a tunnel whose path MTU is smaller;
 * the outer packet is fragmented, which is invisible inside. It is alone in its batch, as only its send may
 * be fragmented.
 */
static void seal_and_fragment_outside(struct pipeline *p, struct train *t)
{
	egress_flush(p);
	piece_to_tunnel(p, t);
	p->batch.may_fragment = p->batch.packets > 0;
	egress_flush(p);
}

/*
 * A packet or train that exceeds the MTU and may be divided: TCP gets smaller segments, as if its sender had
 * known the MTU; anything else becomes fragments. Also a train inside a foreign tunnel, which no kernel
 * accepts as a train: its packets are sent as if they had never been joined.
 */
static void send_cut(struct pipeline *p, struct train *t, uint32_t mtu, const uint8_t *mac)
{
	struct segment_cutter cutter;
	bool tcp = t->proto == IP_TCP && !(t->flags & TRAIN_FRAGMENT) && t->payload_offset + 64u < mtu;
	uint32_t n;
	uint8_t *ip;

	if (tcp && train_verify_l4(t) != DROP_NONE)
		return; /* segments get new checksums, which must not hide a wrong one */
	if (!segment_cut_begin(&cutter, t, tcp ? (uint16_t)(mtu - t->payload_offset) : 0)) {
		t->drop = DROP_TOO_BIG;
		return;
	}
	while (t->drop == DROP_NONE && (ip = segment_cut_next(&cutter, &n))) {
		struct train one = *t;
		one.ip = ip;
		one.len = n;
		one.segment_size = one.inner_l4 = 0;
		one.csum = TRAIN_CSUM_VALID;
		bool whole6 = one.src.family == ADDR_V6 && !(one.flags & TRAIN_REASSEMBLED);
		if (n > mtu && !mac && whole6 && n <= IP6_MTU_MIN)
			seal_and_fragment_outside(p, &one);
		else if (n > mtu)
			fragments_out(p, &one, mtu, mac);
		else if (!mac)
			piece_to_tunnel(p, &one);
		else
			piece_to_link(p, &one, mac);
		t->drop = one.drop;
	}
}

static bool too_large(const struct train *t, uint32_t mtu)
{
	return (t->segment_size ? t->payload_offset + t->segment_size : t->len) > mtu;
}

/* What was received in fragments is sent in fragments that are no larger: its sender knows of a smaller
 * path MTU. */
static uint32_t size_bound(const struct train *t, uint32_t mtu)
{
	return t->flags & TRAIN_REASSEMBLED ? MIN_OF(mtu, (uint32_t)t->fragment_max) : mtu;
}

static void send_to_tunnel(struct pipeline *p, struct train *t)
{
	struct segment_cutter cutter;
	uint32_t pair, mtu = size_bound(t, pipeline_tunnel_mtu(p, t->tunnel));

	t->drop = tunnel_pair(p, t, &pair);
	if (t->drop != DROP_NONE) {
		tunnel_acquire(p, t);
		return;
	}
	uint32_t owner = esp_owner(p->esp, pair);
	if (owner != p->worker) {
		handover_to_tunnel(p, t, owner);
		return;
	}
	p->egress_pair = pair;
	if (train_is_traced(t))
		trace_say(p, t, "egress", PACKET_PASS, "sealed for tunnel %s",
			snap_tunnels(p->snapshot)[t->tunnel].name);
	if (too_large(t, mtu)) {
		send_cut(p, t, mtu, NULL);
		return;
	}
	sent_count(p, t);
	if (!segment_cut_begin(&cutter, t, 0)) {
		t->drop = DROP_MALFORMED; /* headers that no offload can have produced */
		return;
	}
	seal_out(p, pair, &cutter, t);
}

static void send_to_link(struct pipeline *p, struct train *t, uint32_t mtu)
{
	const uint8_t *mac = neighbour_resolve(p, t, mtu);

	mtu = size_bound(t, mtu);
	if (!mac)
		return;
	if (train_is_traced(t)) {
		const char *name = snap_interfaces(p->snapshot)[t->out_interface].name;
		char hop[ADDR_TEXT_MAX];
		if (t->next_hop.family == ADDR_NONE || addr_equal(&t->next_hop, &t->dst))
			trace_say(p, t, "egress", PACKET_PASS, "interface %s", name);
		else
			trace_say(p, t, "egress", PACKET_PASS, "interface %s, next hop %s", name,
				addr_text(hop, &t->next_hop));
	}
	carried_offer(p, t);
	if (too_large(t, mtu) || t->inner_l4)
		send_cut(p, t, mtu, mac);
	else
		frame_out(p, t, mac);
}

/* in_tunnel: by which it arrived, or TRAIN_NONE. Its interface has the packet, if it has one. */
static void send_to_host(struct pipeline *p, struct train *t, uint32_t in_tunnel)
{
	bool by_device = in_tunnel != TRAIN_NONE && p->tunnels[in_tunnel].routed;

	if (train_is_traced(t))
		trace_say(p, t, "egress", PACKET_HOST, "the gateway itself");
	virtio_put(t, t->ip - VIRTIO_SIZE, 0);
	sent_count(p, t);
	t->drop = p->io.host_send(p->io.context, by_device ? in_tunnel : TRAIN_NONE, t->ip - VIRTIO_SIZE,
		(uint32_t)VIRTIO_SIZE + t->len);
}

void egress_send_own(struct pipeline *p, struct train *t, uint32_t mtu)
{
	if (t->tunnel != TRAIN_NONE)
		send_to_tunnel(p, t);
	else if (t->out_interface != TRAIN_NONE)
		send_to_link(p, t, mtu);
	else
		send_to_host(p, t, TRAIN_NONE);
}

void egress_send(struct pipeline *p, struct packet_context *ctx)
{
	if (ctx->to_host)
		send_to_host(p, ctx->t, ctx->in_tunnel);
	else
		egress_send_own(p, ctx->t, ctx->mtu_out);
}
