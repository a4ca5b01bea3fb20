/*
 * Packets for `plaingate capture`: copied where a stage sees them, with what was decided about them when their way ends, into the ring of
 * the worker (ipc/capture_ring.h). They are traced trains without lines: trace.c calls here with the facts.
 */
#include "proc/dataplane/stages.h"

static struct capture_record *packet_copy(
	struct pipeline *p, const struct train *t, enum capture_stage stage, bool out)
{
	struct capture_state *c = &p->capture;
	struct capture_record *r = capture_reserve(c->ring, &c->head, t->len);

	if (!r)
		return NULL;
	r->stage = stage;
	r->out = out;
	r->when = p->now;
	memcpy(r + 1, t->ip, t->len);
	return r;
}

static bool wants(const struct pipeline *p, const struct train *t, enum capture_stage stage)
{
	return p->capture.stages & 1u << stage &&
	       packet_filters_hold(&p->capture.filters, &t->src, &t->dst, t->proto, t->src_port, t->dst_port);
}

void capture_arrived(struct pipeline *p, struct train *t, uint32_t in_tunnel)
{
	struct capture_state *c = &p->capture;
	enum capture_stage stage = t->flags & TRAIN_FROM_TUNNEL ? CAPTURE_DECRYPTED : CAPTURE_RECEIVED;
	bool arrives = wants(p, t, stage) && !(t->flags & TRAIN_FROM_HOST);

	assert(c->n < TRAIN_BURST_MAX);
	/* One that is not wanted as it came may be wanted as it leaves: only then it is known. */
	c->list[c->n].record = arrives ? packet_copy(p, t, stage, false) : NULL;
	c->list[c->n].in_tunnel = in_tunnel;
	c->list[c->n++].train = t;
	t->flags |= TRAIN_TRACED;
}

void capture_ended(struct pipeline *p, const struct train *t, enum packet_verdict verdict)
{
	struct capture_state *c = &p->capture;
	enum capture_stage stage = t->tunnel != TRAIN_NONE ? CAPTURE_DECRYPTED : CAPTURE_SENT;

	for (uint32_t i = 0; i < c->n; i++) {
		if (c->list[i].train != t)
			continue;
		struct capture_record *came = c->list[i].record;
		if (came)
			packet_facts_of(p, t, c->list[i].in_tunnel, verdict, &came->facts);
		if (verdict != PACKET_PASS || !wants(p, t, stage))
			return;
		struct capture_record *leaves = packet_copy(p, t, stage, true);
		if (leaves)
			packet_facts_of(p, t, c->list[i].in_tunnel, verdict, &leaves->facts);
		return;
	}
}

void capture_flush(struct pipeline *p)
{
	struct capture_state *c = &p->capture;

	for (uint32_t i = 0; i < c->n; i++)
		if (c->list[i].record && c->list[i].record->facts.verdict == PACKET_NONE)
			packet_facts_of(p, c->list[i].train, c->list[i].in_tunnel,
				c->list[i].train->flags & TRAIN_FRAGMENT ? PACKET_FRAGMENT : PACKET_NONE,
				&c->list[i].record->facts);
	c->n = 0;
	capture_publish(c->ring, c->head);
}

void pipeline_capture(struct pipeline *p, struct capture_ring *ring, const struct msg_capture *what)
{
	memset(&p->capture, 0, sizeof p->capture);
	if (!ring)
		return;
	p->capture.ring = ring;
	p->capture.filters = what->packets;
	p->capture.stages = what->stages;
}
