/*
 * A question about a packet that does not exist: its headers are made, and the stages of pipeline_burst() decide about it by
 * their own functions, up to where a session would begin. So the answer is that of the data path, from the policy, routes,
 * SAs, sessions and ports of this moment.
 *
 * The packet is one that may begin a session: a SYN, an INIT, an ICMP query, a datagram; it has one hop more than needed and
 * fits every link. An answer that an application layer gateway expects on its parent's own port is not recognised.
 */
#include "base/wr.h"
#include "proc/dataplane/stages.h"
#include "wire/csum.h"
#include "wire/ip.h"

#include <assert.h>

/* Enough for each protocol's own header; what is behind the ports is zero but for what opens. */
static void l4_write(struct wr *w, const struct policy_question *q)
{
	static const uint8_t zeros[20];

	switch (q->proto) {
	case IP_TCP:
		wr_u16(w, q->src_port);
		wr_u16(w, q->dst_port);
		wr_bytes(w, zeros, 8); /* numbers */
		wr_u8(w, TCP_HEADER_SIZE / 4 << 4);
		wr_u8(w, TCP_SYN);
		wr_bytes(w, zeros, 6);
		break;
	case IP_UDP:
		wr_u16(w, q->src_port);
		wr_u16(w, q->dst_port);
		wr_u16(w, UDP_HEADER_SIZE);
		wr_u16(w, 0);
		break;
	case IP_SCTP: /* RFC 9260 section 3.3.2 */
		wr_u16(w, q->src_port);
		wr_u16(w, q->dst_port);
		wr_bytes(w, zeros, 8);
		wr_u8(w, SCTP_INIT);
		wr_u8(w, 0);
		wr_u16(w, 20);
		wr_u32(w, 1);	  /* tag */
		wr_u32(w, 65536); /* window */
		wr_u16(w, 1);	  /* streams */
		wr_u16(w, 1);
		wr_u32(w, 1);
		break;
	case IP_ICMP:
	case IP_ICMPV6:
		wr_u8(w, q->icmp_type ? q->icmp_type : q->proto == IP_ICMP ? ICMP4_ECHO : ICMP6_ECHO);
		wr_u8(w, q->icmp_code);
		wr_bytes(w, zeros, 2);
		wr_u16(w, q->src_port); /* identifier */
		wr_bytes(w, zeros, 18);
		break;
	default:
		wr_u16(w, q->src_port);
		wr_u16(w, q->dst_port);
		wr_bytes(w, zeros, sizeof zeros);
	}
}

/* Returns how many octets it has. */
static uint32_t packet_write(uint8_t packet[QUESTION_BYTES], const struct policy_question *q)
{
	uint8_t l4[64];
	struct wr body = wr_over(l4, sizeof l4), w = wr_over(packet, QUESTION_BYTES);

	l4_write(&body, q);
	if (q->src.family == ADDR_V4) {
		wr_u16(&w, 0x4500);
		wr_u16(&w, (uint16_t)(IP4_HEADER_SIZE + wr_len(&body)));
		wr_u32(&w, IP4_DF);
		wr_u8(&w, QUESTION_HOPS);
		wr_u8(&w, q->proto);
		wr_u16(&w, 0);
	} else {
		wr_u32(&w, 6u << 28);
		wr_u16(&w, (uint16_t)wr_len(&body));
		wr_u8(&w, q->proto);
		wr_u8(&w, QUESTION_HOPS);
	}
	wr_bytes(&w, q->src.b, addr_size(&q->src));
	wr_bytes(&w, q->dst.b, addr_size(&q->dst));
	if (q->src.family == ADDR_V4) {
		uint16_t sum = (uint16_t)~csum_fold(csum_add(0, packet, IP4_HEADER_SIZE));
		memcpy(packet + IP4_CSUM, &sum, sizeof sum);
	}
	wr_bytes(&w, l4, wr_len(&body));
	assert(!body.bad && !w.bad);
	return (uint32_t)wr_len(&w);
}

static bool is_of_zone(uint32_t wanted, uint32_t zone)
{
	return wanted == TRAIN_NONE || wanted == zone;
}

/* A tunnel of the zone that has an interface; TRAIN_NONE: it has none. */
static uint32_t routed_tunnel_in(const struct pipeline *p, uint32_t zone)
{
	for (uint32_t i = 0; i < p->snapshot->tunnels.count; i++)
		if (p->tunnels[i].routed && p->tunnels[i].zone == zone)
			return i;
	return TRAIN_NONE;
}

/* An interface of the zone; TRAIN_NONE: it has none. */
static uint32_t interface_in(const struct pipeline *p, uint32_t zone)
{
	for (uint32_t i = 0; i < p->snapshot->interfaces.count; i++)
		if (p->interfaces[i].zone == zone)
			return i;
	return TRAIN_NONE;
}

/*
 * Where it comes in: as it was said; else by the tunnel whose selectors have it, by the interface or the tunnel that its source is
 * routed to, or in the zone that was said by any interface, or by any tunnel that has one.
 */
static enum rc enters(const struct pipeline *p, const struct policy_question *q, struct train *t,
	uint32_t *ret_tunnel, struct err *e)
{
	const struct selectors_packet packet = forward_packet_of(t);
	uint32_t tunnel = q->tunnel, interface = q->interface;

	if (tunnel == TRAIN_NONE && interface == TRAIN_NONE) {
		uint32_t by = selectors_find_inbound(p->selectors, &packet);
		if (by != SELECTORS_NONE && is_of_zone(q->zone, p->tunnels[by].zone))
			tunnel = by;
		else
			forward_way_of_source(p, t, &interface, &tunnel);
		if (tunnel != TRAIN_NONE && !is_of_zone(q->zone, p->tunnels[tunnel].zone))
			tunnel = TRAIN_NONE;
	}
	if (tunnel == TRAIN_NONE && q->interface == TRAIN_NONE && q->zone != TRAIN_NONE &&
		(interface == TRAIN_NONE || p->interfaces[interface].zone != q->zone)) {
		interface = interface_in(p, q->zone);
		tunnel = interface == TRAIN_NONE ? routed_tunnel_in(p, q->zone) : TRAIN_NONE;
	}
	*ret_tunnel = tunnel;
	if (tunnel != TRAIN_NONE)
		pipeline_train_from_tunnel(p, t, tunnel);
	else
		pipeline_train_from_link(p, t, interface);
	if (tunnel != TRAIN_NONE || interface != TRAIN_NONE)
		return RC_OK;
	return q->zone == TRAIN_NONE
		       ? err_add(e, RC_NOT_FOUND,
				 "no route leads to the source by an interface of a zone: say where the packet comes in, by --from-zone, --interface or --tunnel")
		       : err_add(e, RC_NOT_FOUND,
				 "zone '%s' has no interface, and the selectors of its tunnels do not have this packet: it cannot come from there",
				 snap_zones(p->snapshot)[q->zone].name);
}

enum rc pipeline_ask(struct pipeline *p, const struct policy_question *q, mono_ns now,
	struct policy_answer *ret_answer, struct err *e)
{
	uint8_t packet[QUESTION_BYTES];
	struct policy_answer *a = ret_answer;
	struct train *t = &a->train;
	struct forward_answer way = { .owner = TRAIN_NONE };
	struct packet_context ctx = { .t = t, .asked = &way };

	assert(p->snapshot && q->src.family == q->dst.family);
	p->now = now;
	*a = (struct policy_answer){ .worker = p->worker, .session = TRAIN_NONE };
	*t = (struct train){ .ip = packet, .len = packet_write(packet, q), .csum = TRAIN_CSUM_VALID };
	enum drop_reason d = train_parse(t);
	enum rc rc = enters(p, q, t, &a->in_tunnel, e);
	if (rc != RC_OK)
		return rc;
	ctx.in_tunnel = a->in_tunnel;
	t->tunnel = TRAIN_NONE;
	t->csum = TRAIN_CSUM_VALID;
	t->flags |= q->redirected ? TRAIN_REDIRECTED : 0u;
	train_parse(t); /* where it is from is written over what was read */
	if (d == DROP_NONE && p->workers > 1)
		a->worker = fw_home(p->fw, t);
	t->drop = d ? d : pipeline_arrival_check(t);
	if (t->drop == DROP_NONE && a->worker == p->worker) {
		a->session = fw_session_of(p->fw, t, now);
		forward_consider(p, &ctx);
	}
	if (way.owner != TRAIN_NONE)
		a->worker = way.owner;
	a->redirected = a->worker != p->worker && fw_is_home(p->fw, t);
	a->dnat = way.dnat;
	a->verdict = way.verdict;
	a->decided = way.decided;
	a->to_host = way.to_host;
	a->mtu = ctx.mtu;
	t->ip = NULL;
	return RC_OK;
}
