/*
 * Link addresses of next hops. The kernel resolves them (the supervisor asks it to); packets wait here
 * meanwhile, few and not for long, as RFC 1122 section 2.3.2.2 wants it.
 */
#include "proc/dataplane/stages.h"

#include <stdlib.h>

static void queued_free(struct pipeline *p, struct queued_packet *h)
{
	h->since = 0;
	p->neighbour_queue_n--;
}

static bool queued_is_for(
	const struct pipeline *p, const struct queued_packet *h, uint32_t link, const struct ip_addr *addr)
{
	return h->since != 0 && p->interfaces[h->train.out_interface].link == link &&
	       addr_equal(&h->train.next_hop, addr);
}

/* Without a word to the sender: nothing is known yet about the neighbour. */
static void queued_drop(struct pipeline *p, struct queued_packet *h, enum drop_reason why)
{
	pipeline_count_drop(p, why, train_packets(&h->train));
	queued_free(p, h);
}

/*
 * Keeps a copy. The oldest of the same neighbour makes room; when there is no place at all, the oldest of
 * all: a neighbour that is there answers within milliseconds, so it waits for one that most likely is not.
 * Only the first packet behind a question takes its place: questions are bounded, packets are not.
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
		if (queued_is_for(p, h, link, &t->next_hop)) {
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
		slot->bytes = malloc(
			NEIGHBOUR_QUEUE_BYTES); /* at most NEIGHBOUR_QUEUE_MAX times in the life of the process */
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
}

const uint8_t *neighbour_resolve(struct pipeline *p, struct train *t, uint32_t mtu)
{
	const struct pipeline_interface *f = &p->interfaces[t->out_interface];
	struct route_neighbour *n;

	if (!f->up) {
		t->drop = DROP_LINK_SEND;
		return NULL;
	}
	if (f->bare)
		return f->mac; /* whoever is at the other end gets it */
	n = route_neighbour_find(p->routes, f->link, &t->next_hop);
	if (n && n->state == ROUTE_NEIGHBOUR_VALID)
		return n->mac;
	if (n && n->state == ROUTE_NEIGHBOUR_STALE) {
		/* Usable, and the kernel is asked once to confirm it: its answer replaces the entry. */
		if (!n->asked)
			p->io.solicit(p->io.context, f->link, &t->next_hop);
		n->asked = 1;
		return n->mac;
	}
	enum solicit_result asked = neighbour_solicit(p, f->link, t);
	if (asked == SOLICIT_LIMITED) {
		t->drop = DROP_NEIGHBOUR_LIMIT;
		return NULL;
	}
	queue_packet(p, t, mtu, f->link, asked == SOLICIT_SENT);
	if (traced(t))
		trace_say(p, t, "out", "waits for the link address of the next hop");
	return NULL;
}

static void queued_fail(struct pipeline *p, struct queued_packet *h)
{
	struct train t = h->train;
	struct packet_context ctx = { .t = &t, .in_tunnel = TRAIN_NONE };

	queued_free(p, h);
	t.drop = DROP_NEIGHBOUR;
	drop_reply(p, &ctx);
}

static void queued_send(struct pipeline *p, struct queued_packet *h)
{
	queued_free(p, h); /* its bytes stay until the slot is used again, which is behind the flush */
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
	if (p->neighbour_queue_n == 0 || (!usable && state != ROUTE_NEIGHBOUR_FAILED))
		return;
	p->now = now;
	p->scratch_n = 0;
	for (;;) { /* the oldest first: they are in order */
		struct queued_packet *first = NULL;
		for (uint32_t i = 0; i < NEIGHBOUR_QUEUE_MAX; i++)
			if (queued_is_for(p, &p->neighbour_queue[i], link, addr) &&
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

void neighbour_queue_drop_all(struct pipeline *p)
{
	for (uint32_t i = 0; i < NEIGHBOUR_QUEUE_MAX; i++)
		if (p->neighbour_queue[i].since != 0)
			queued_drop(p, &p->neighbour_queue[i], DROP_NEIGHBOUR_LIMIT);
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
