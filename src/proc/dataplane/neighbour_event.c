/*
 * What becomes of packets that wait for a neighbour's link address: they are sent when it is known, and
 * dropped with an answer to the sender when it is unreachable or took too long.
 */
#include "proc/dataplane/stages.h"

static void queued_fail(struct pipeline *p, struct queued_packet *h)
{
	struct train t = h->train;
	struct packet_context ctx = { .t = &t, .in_tunnel = TRAIN_NONE };

	neighbour_queued_free(p, h);
	t.drop = DROP_NEIGHBOUR;
	drop_reply(p, &ctx);
}

static void queued_send(struct pipeline *p, struct queued_packet *h)
{
	neighbour_queued_free(
		p, h); /* its bytes stay valid until the place is used again, which is after the flush */
	egress_send_own(p, &h->train, h->mtu);
	if (h->train.drop != DROP_NONE) {
		struct packet_context ctx = { .t = &h->train, .in_tunnel = TRAIN_NONE };
		drop_reply(p, &ctx);
	}
}

void pipeline_neighbour(struct pipeline *p, uint32_t link, const struct ip_addr *addr, mono_ns now)
{
	const struct route_neighbour *n = route_neighbour_find(p->routes, link, addr);
	uint8_t state = n ? n->state : ROUTE_NEIGHBOUR_NONE;
	bool usable = state == ROUTE_NEIGHBOUR_VALID || state == ROUTE_NEIGHBOUR_STALE;

	if (usable)
		neighbour_remember(p, link, addr);
	p->now = now;
	carried_neighbour(p, link, addr);
	if (p->neighbour_queue_n == 0 || (!usable && state != ROUTE_NEIGHBOUR_FAILED))
		return;
	p->scratch_n = 0;
	for (;;) { /* the oldest first, to keep their order */
		struct queued_packet *first = NULL;
		for (uint32_t i = 0; i < NEIGHBOUR_QUEUE_MAX; i++)
			if (neighbour_queued_for(p, &p->neighbour_queue[i], link, addr) &&
				(!first || p->neighbour_queue[i].since < first->since))
				first = &p->neighbour_queue[i];
		if (!first)
			break;
		if (usable)
			queued_send(p, first);
		else
			queued_fail(p, first);
	}
	egress_flush(p);
	p->io.flush(p->io.context);
}

void pipeline_tick(struct pipeline *p, mono_ns now)
{
	if (p->neighbour_queue_n == 0)
		return;
	p->now = now;
	p->scratch_n = 0;
	for (uint32_t i = 0; i < NEIGHBOUR_QUEUE_MAX; i++)
		if (p->neighbour_queue[i].since != 0 &&
			now - p->neighbour_queue[i].since >= NEIGHBOUR_QUEUE_TIMEOUT)
			queued_fail(p, &p->neighbour_queue[i]);
	egress_flush(p);
	p->io.flush(p->io.context);
}
