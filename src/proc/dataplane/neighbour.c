/*
 * Link addresses of next hops. The kernel resolves them (on request of the supervisor); meanwhile packets are
 * queued here, few and not for long, as RFC 1122 section 2.3.2.2 demands.
 */
#include "proc/dataplane/stages.h"

#include <assert.h>
#include <stdlib.h>

void neighbour_queued_free(struct pipeline *p, struct queued_packet *h)
{
	h->since = 0;
	assert(p->neighbour_queue_n > 0);
	p->neighbour_queue_n--;
}

bool neighbour_queued_for(
	const struct pipeline *p, const struct queued_packet *h, uint32_t link, const struct ip_addr *addr)
{
	return h->since != 0 && p->interfaces[h->train.out_interface].link == link &&
	       addr_equal(&h->train.next_hop, addr);
}

/* The sender is told nothing: nothing is known yet about the neighbour. */
static void queued_drop(struct pipeline *p, struct queued_packet *h, enum drop_reason why)
{
	pipeline_count_drop(p, why, train_packets(&h->train));
	neighbour_queued_free(p, h);
}

/*
 * Queues a copy. The oldest packet for the same neighbour is dropped for it; when the queue is full, the
 * oldest of all: a neighbour that exists answers within milliseconds, so that one most likely waits for one
 * that does not. Only the first packet after a solicitation displaces another neighbour's: solicitations are
 * bounded, packets are not.
 */
static void queue_packet(struct pipeline *p, struct train *t, uint32_t mtu, uint32_t link, bool first)
{
	struct queued_packet *slot = NULL, *oldest = NULL, *oldest_same = NULL;
	uint32_t same = 0;

	for (uint32_t i = 0; i < NEIGHBOUR_QUEUE_MAX; i++) {
		struct queued_packet *h = &p->neighbour_queue[i];
		if (h->since == 0) {
			slot = slot ? slot : h;
			continue;
		}
		oldest = !oldest || h->since < oldest->since ? h : oldest;
		if (neighbour_queued_for(p, h, link, &t->next_hop)) {
			same++;
			oldest_same = !oldest_same || h->since < oldest_same->since ? h : oldest_same;
		}
	}
	if (same >= NEIGHBOUR_QUEUE_EACH_MAX) {
		slot = oldest_same;
		queued_drop(p, slot, DROP_NEIGHBOUR);
	} else if (!slot && !first) {
		t->drop = DROP_NEIGHBOUR_LIMIT;
		return;
	} else if (!slot) {
		slot = oldest;
		queued_drop(p, slot, DROP_NEIGHBOUR_LIMIT);
	}
	if (!slot->bytes)
		slot->bytes = malloc(NEIGHBOUR_QUEUE_BYTES); /* once for each place */
	if (!slot->bytes || t->len > TRAIN_BYTES_MAX) {
		t->drop = DROP_NEIGHBOUR_LIMIT;
		return;
	}
	slot->train = *t;
	slot->train.ip = slot->bytes + TRAIN_HEAD_ROOM;
	memcpy(slot->train.ip, t->ip, t->len);
	slot->mtu = mtu;
	slot->since = p->now;
	p->neighbour_queue_n++;
	assert(p->neighbour_queue_n <= NEIGHBOUR_QUEUE_MAX && p->now != 0); /* since 0: a free place */
}

const uint8_t *neighbour_resolve(struct pipeline *p, struct train *t, uint32_t mtu)
{
	const struct pipeline_interface *f = &p->interfaces[t->out_interface];
	const struct route_neighbour *n;

	if (!f->up) {
		t->drop = DROP_LINK_SEND_FAILED;
		return NULL;
	}
	if (f->bare)
		return f->mac; /* not used: the other end of the link receives it */
	n = route_neighbour_find(p->routes, f->link, &t->next_hop);
	if (n && n->state == ROUTE_NEIGHBOUR_VALID)
		return n->mac;
	if (n && n->state == ROUTE_NEIGHBOUR_STALE) {
		/* Usable; the kernel is asked to confirm it, and its answer replaces the entry. */
		neighbour_confirm(p, f->link, &t->next_hop);
		return n->mac;
	}
	enum solicit_result asked = neighbour_solicit(p, f->link, t);
	if (asked == SOLICIT_LIMITED) {
		t->drop = DROP_NEIGHBOUR_LIMIT;
		return NULL;
	}
	queue_packet(p, t, mtu, f->link, asked == SOLICIT_SENT);
	if (train_is_traced(t)) {
		char hop[ADDR_TEXT_MAX];
		trace_say(p, t, "egress", PACKET_QUEUED,
			"queued until the link address of the next hop, %s, is known",
			addr_text(hop, &t->next_hop));
	}
	return NULL;
}

void neighbour_queue_drop_all(struct pipeline *p)
{
	for (uint32_t i = 0; i < NEIGHBOUR_QUEUE_MAX; i++)
		if (p->neighbour_queue[i].since != 0)
			queued_drop(p, &p->neighbour_queue[i], DROP_NEIGHBOUR_LIMIT);
}
