/*
 * In: the fields of a train that has just arrived, its headers and its zone, and fragments that are reassembled
 * before anything else looks at them.
 */
#include "proc/dataplane/stages.h"

static void train_reset(struct train *t)
{
	uint8_t *ip = t->ip;
	uint32_t len = t->len;

	*t = (struct train){ .ip = ip,
		.len = len,
		.in_interface = TRAIN_NONE,
		.out_interface = TRAIN_NONE,
		.in_zone = TRAIN_NONE,
		.out_zone = TRAIN_NONE,
		.tunnel = TRAIN_NONE,
		.session = TRAIN_NONE,
		.rule = TRAIN_NONE };
}

void pipeline_train_from_link(const struct pipeline *p, struct train *t, uint32_t interface)
{
	train_reset(t);
	t->in_interface = interface;
	if (interface < INTERFACES_MAX)
		t->in_zone = p->interfaces[interface].zone;
}

void pipeline_train_from_tunnel(const struct pipeline *p, struct train *t, uint32_t tunnel)
{
	train_reset(t);
	t->flags = TRAIN_FROM_TUNNEL;
	t->tunnel = tunnel;
	if (tunnel < TUNNELS_MAX && p->snapshot && tunnel < p->snapshot->tunnels.count)
		t->in_zone = p->tunnels[tunnel].zone;
}

void pipeline_train_from_host(struct train *t)
{
	train_reset(t);
	t->flags = TRAIN_FROM_HOST;
}

bool ingress_accept(struct pipeline *p, struct packet_context *ctx)
{
	struct train *t = ctx->t;

	p->trains_in++;
	if (train_parse(t) != DROP_NONE)
		return false;
	uint32_t packets = train_packets(t);
	p->packets_in += packets;
	p->bytes_in += train_bytes(t);
	if (t->in_interface != TRAIN_NONE) {
		p->interfaces[t->in_interface].packets_in += packets;
		p->interfaces[t->in_interface].bytes_in += train_bytes(t);
	}
	if (p->trace.on)
		trace_begin(p, t);
	/* From a virtual machine, perhaps: one frame must not delay all others. */
	if (packets > TRAIN_PACKETS_MAX) {
		t->drop = DROP_SEGMENT_LIMIT;
		return false;
	}
	if (t->dst.b[0] == 0xff || (t->dst.family == ADDR_V4 && t->dst.b[0] >= 224)) {
		t->drop = DROP_MULTICAST;
		return false;
	}
	if (t->in_zone == TRAIN_NONE && !(t->flags & TRAIN_FROM_HOST)) {
		t->drop = DROP_NO_ZONE;
		return false;
	}
	if (!(t->flags & TRAIN_FRAGMENT))
		return true;
	if (fw_reassemble(p->fw, t, p->now))
		return true;
	ctx->counted = t->drop == DROP_NONE;
	return false;
}
