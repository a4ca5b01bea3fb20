/*
 * Link addresses of next hops. The kernel resolves them (the supervisor asks it to); packets wait here
 * meanwhile, few and not for long, as RFC 1122 section 2.3.2.2 wants it.
 */
#include "proc/dataplane/stages.h"

#include <stdlib.h>

static void held_free(struct pipeline *p, struct held *h)
{
	h->since = 0;
	p->held_now--;
}

static bool held_is_for(
	const struct pipeline *p, const struct held *h, uint32_t link, const struct ip_addr *addr)
{
	return h->since != 0 && p->interfaces[h->train.out_interface].link == link &&
	       addr_equal(&h->train.next_hop, addr);
}

/* Without a word to the sender: nothing is known yet about the neighbour. */
static void held_drop(struct pipeline *p, struct held *h, enum drop_reason why)
{
	pipeline_count_drop(p, why, train_packets(&h->train));
	held_free(p, h);
}

/*
 * Keeps a copy. The oldest of the same neighbour makes room; when there is no place at all, the oldest of
 * all: a neighbour that is there answers within milliseconds, so it waits for one that most likely is not.
 * Only the first packet behind a question takes its place: questions are bounded, packets are not.
 */
static void hold(struct pipeline *p, struct train *t, uint32_t mtu, uint32_t link, bool first)
{
	struct held *slot = NULL, *oldest = NULL, *oldest_same = NULL;
	uint32_t same = 0;

	for (uint32_t i = 0; i < HELD_MAX; i++) {
		struct held *h = &p->held[i];
		if (h->since == 0) {
			slot = slot ? slot : h;
			continue;
		}
		oldest = !oldest || h->since < oldest->since ? h : oldest;
		if (held_is_for(p, h, link, &t->next_hop)) {
			same++;
			oldest_same = !oldest_same || h->since < oldest_same->since ? h : oldest_same;
		}
	}
	if (same >= HELD_EACH_MAX) {
		slot = oldest_same;
		held_drop(p, slot, DROP_NEIGHBOUR);
	} else if (!slot && !first) {
		t->drop = DROP_NEIGHBOUR_LIMIT;
		return;
	} else if (!slot) {
		slot = oldest;
		held_drop(p, slot, DROP_NEIGHBOUR_LIMIT);
	}
	if (!slot->bytes)
		slot->bytes = malloc(HELD_BYTES); /* at most HELD_MAX times in the life of the process */
	if (!slot->bytes || t->len > TRAIN_BYTES_MAX) {
		t->drop = DROP_NEIGHBOUR_LIMIT;
		return;
	}
	slot->train = *t;
	slot->train.ip = slot->bytes + TRAIN_HEAD_ROOM;
	memcpy(slot->train.ip, t->ip, t->len);
	slot->mtu = mtu;
	slot->since = p->now;
	p->held_now++;
}

const uint8_t *hold_or_mac(struct pipeline *p, struct train *t, uint32_t mtu)
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
			p->io.neighbour_ask(p->io.context, f->link, &t->next_hop);
		n->asked = 1;
		return n->mac;
	}
	enum ask_answer asked = asks_make(p, f->link, t);
	if (asked == ASK_TOO_MANY) {
		t->drop = DROP_NEIGHBOUR_LIMIT;
		return NULL;
	}
	hold(p, t, mtu, f->link, asked == ASK_MADE);
	if (traced(t))
		trace_say(p, t, "out", "waits for the link address of the next hop");
	return NULL;
}

static void held_fail(struct pipeline *p, struct held *h)
{
	struct train t = h->train;
	struct passage w = { .t = &t, .in_tunnel = TRAIN_NONE };

	held_free(p, h);
	t.drop = DROP_NEIGHBOUR;
	answer_drop(p, &w);
}

static void held_leave(struct pipeline *p, struct held *h)
{
	held_free(p, h); /* its bytes stay until the slot is used again, which is behind the flush */
	leave_own(p, &h->train, h->mtu);
	if (h->train.drop != DROP_NONE) {
		struct passage w = { .t = &h->train, .in_tunnel = TRAIN_NONE };
		answer_drop(p, &w);
	}
}

void pipeline_neighbour(struct pipeline *p, uint32_t link, const struct ip_addr *addr, mono_ns now)
{
	const struct route_neighbour *n = route_neighbour_find(p->routes, link, addr);
	uint8_t state = n ? n->state : ROUTE_NEIGHBOUR_NONE;
	bool usable = state == ROUTE_NEIGHBOUR_VALID || state == ROUTE_NEIGHBOUR_STALE;

	if (usable)
		asks_known(p, link, addr);
	if (p->held_now == 0 || (!usable && state != ROUTE_NEIGHBOUR_FAILED))
		return;
	p->now = now;
	p->scratch_n = 0;
	for (;;) { /* the oldest first: they are in order */
		struct held *first = NULL;
		for (uint32_t i = 0; i < HELD_MAX; i++)
			if (held_is_for(p, &p->held[i], link, addr) &&
				(!first || p->held[i].since < first->since))
				first = &p->held[i];
		if (!first)
			break;
		if (usable)
			held_leave(p, first);
		else
			held_fail(p, first);
	}
	leave_flush(p);
	p->io.flush(p->io.context);
}

void hold_drop_all(struct pipeline *p)
{
	for (uint32_t i = 0; i < HELD_MAX; i++)
		if (p->held[i].since != 0)
			held_drop(p, &p->held[i], DROP_NEIGHBOUR_LIMIT);
}

void pipeline_tick(struct pipeline *p, mono_ns now)
{
	if (p->held_now == 0)
		return;
	p->now = now;
	p->scratch_n = 0;
	for (uint32_t i = 0; i < HELD_MAX; i++)
		if (p->held[i].since != 0 && now - p->held[i].since >= HELD_TIMEOUT)
			held_fail(p, &p->held[i]);
	leave_flush(p);
	p->io.flush(p->io.context);
}
