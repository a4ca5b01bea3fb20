/*
 * Sequences of route and link events into the routing core, beside the plain model of the unit tests: after
 * each one both give the same answers inside the destination, at its edges and just outside, the generation
 * grows just when an answer of the destination differs, and at the end both list the same routes.
 *
 * An event is a control octet and what it asks for; destinations are made of few octets, so that they nest
 * and repeat.
 */
#include "model.h"

#include "base/rd.h"

#include <stdio.h>
#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define HOPS_MAX   64
#define EVENTS_MAX 300 /* fewer than the model holds routes */

static void must(bool held, const char *what)
{
	if (!held) {
		fprintf(stderr, "not held: %s\n", what);
		abort();
	}
}

/* Five octets of an address come from the input, the others repeat the last one. */
static struct ip_addr addr_read(struct rd *r, uint8_t family)
{
	struct ip_addr a = { .family = family };
	uint8_t octet = 0;

	for (size_t i = 0; i < addr_size(&a); i++)
		a.b[i] = octet = i < 5 ? rd_u8(r) : octet;
	return a;
}

static struct route_entry entry_read(struct rd *r, uint8_t control)
{
	uint8_t family = control & 1 ? ADDR_V6 : ADDR_V4, more = rd_u8(r), way = rd_u8(r);
	struct route_entry e = { .dst.bits = rd_u8(r) % (family == ADDR_V4 ? 33 : 129) };

	e.dst.addr = addr_read(r, family);
	e.dst.addr = range_from_prefix(&e.dst).first;
	e.metric = more % 3;
	e.mtu = more & 0x80 ? 1400 : 0;
	e.kind = (more >> 2 & 7) == 7 ? ROUTE_UNREACHABLE : ROUTE_UNICAST;
	e.link = way & 15 ? 1 + (way & 15) % MODEL_LINKS_MAX : ROUTE_NONE;
	e.gateway = (struct ip_addr){ .b = { 10, 0, 0, way >> 4 }, .family = way >> 4 ? ADDR_V4 : ADDR_NONE };
	return e;
}

static void look(const struct model *m, const struct route_table *t, const struct ip_prefix *dst)
{
	struct ip_range whole = range_from_prefix(dst);
	struct ip_addr outside = whole.last;

	outside.b[addr_size(&outside) - 1] ^= 1;
	must(model_answers(m, t, &whole.first), "the first address");
	must(model_answers(m, t, &whole.last), "the last address");
	must(model_answers(m, t, &outside), "the address next to it");
}

static void route_event(struct model *m, struct route_table *t, struct rd *r, uint8_t control)
{
	struct route_entry e = entry_read(r, control);
	struct route_answer before[HOPS_MAX], after[HOPS_MAX];
	uint64_t generation = route_generation(t);
	uint32_t before_n = model_next_hops(m, &e.dst.addr, e.dst.bits, before, HOPS_MAX);

	if (control & 2) {
		route_gone(t, &e);
		model_gone(m, &e, 1);
	} else {
		must(route_set(t, &e, control & 4 ? ROUTE_REPLACE : ROUTE_APPEND) == RC_OK, "there is room");
		model_set(m, &e, 1, control & 4 ? ROUTE_REPLACE : ROUTE_APPEND);
	}
	uint32_t after_n = model_next_hops(m, &e.dst.addr, e.dst.bits, after, HOPS_MAX);
	must(route_generation(t) > generation != model_answers_equal(before, before_n, after, after_n),
		"the generation grows when an answer differs");
	look(m, t, &e.dst);
}

static void link_event(struct model *m, struct route_table *t, struct rd *r)
{
	uint8_t what = rd_u8(r);
	struct route_link l = {
		.index = 1 + what % MODEL_LINKS_MAX, .up = what & 0x40, .mtu = what & 0x20 ? 9000 : 1500
	};

	if (what & 0x80) {
		route_link_gone(t, l.index);
		model_link_gone(m, l.index);
	} else {
		must(route_link_set(t, &l) == RC_OK, "there is room for links");
		m->links[l.index] = l;
	}
	for (uint32_t i = 0; i < m->n; i++)
		look(m, t, &m->routes[i].dst);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct model m;
	struct route_table *t = route_new();
	struct rd r = { data, data + size, false };

	m = (struct model){ .n = 0 };
	for (uint32_t events = 0; t && events < EVENTS_MAX; events++) {
		uint8_t control = rd_u8(&r);
		if (r.bad)
			break;
		if ((control & 0xf0) == 0xf0)
			link_event(&m, t, &r);
		else
			route_event(&m, t, &r, control);
	}
	must(!t || model_lists(&m, t), "the same routes");
	route_free(t);
	return 0;
}
