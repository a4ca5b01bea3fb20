/*
 * Which tunnel: against a plain search over random selectors, in both directions; ports and protocols.
 */
#include "route/selectors.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

static uint64_t seed;

static uint32_t draw(uint32_t below)
{
	seed = seed * 6364136223846793005ull + 1442695040888963407ull;
	return (uint32_t)(seed >> 33) % below;
}

struct block {
	struct snapshot head;
	struct snap_tunnel tunnels[32];
	struct selector selectors[128];
};

static struct ip_addr small_addr(uint8_t family, uint32_t n)
{
	struct ip_addr a = { .family = family };
	store_be16(a.b + (family == ADDR_V4 ? 2 : 14), (uint16_t)n);
	return a;
}

static struct ip_addr random_addr(void)
{
	return small_addr(draw(3) ? ADDR_V4 : ADDR_V6, draw(3) ? draw(400) : 0xff00u + draw(256));
}

static void random_block(struct block *b)
{
	uint32_t selectors_n = 0;

	*b = (struct block){ .head = { .tunnels = { offsetof(struct block, tunnels), draw(24) },
				     .selectors = { offsetof(struct block, selectors), 128 } } };
	for (uint32_t t = 0; t < b->head.tunnels.count; t++) {
		struct span *sides[] = { &b->tunnels[t].local, &b->tunnels[t].remote };
		for (int side = 0; side < 2; side++) {
			*sides[side] = (struct span){ selectors_n, 1 + draw(2) };
			for (uint32_t i = 0; i < sides[side]->count; i++) {
				struct selector *ts = &b->selectors[selectors_n++];
				struct ip_addr a = random_addr(), z = a;
				ts->addrs.first = a;
				uint32_t last = (uint32_t)load_be16(z.b + addr_size(&z) - 2) + draw(200);
				ts->addrs.last = small_addr(a.family, MIN_OF(last, 0xffffu));
				ts->port_last = UINT16_MAX;
				if (draw(4) == 0) {
					ts->proto = 17;
					ts->port_first = (uint16_t)draw(3);
					ts->port_last = (uint16_t)(ts->port_first + draw(2));
				}
			}
		}
	}
}

static bool holds(const struct block *b, struct span side, const struct ip_addr *a,
	const struct selectors_packet *p, uint16_t port)
{
	for (uint32_t i = side.first; i < side.first + side.count; i++) {
		const struct selector *ts = &b->selectors[i];
		bool any_port = ts->port_first == 0 && ts->port_last == UINT16_MAX;
		if (range_holds(&ts->addrs, a) && (ts->proto == 0 || ts->proto == p->proto) &&
			(any_port || (p->has_ports && port >= ts->port_first && port <= ts->port_last)))
			return true;
	}
	return false;
}

/* Is the address of the far side on this one: in a part of local that lies inside the part of remote? */
static bool stays(const struct block *b, const struct snap_tunnel *t, const struct selector *remote,
	const struct ip_addr *a)
{
	for (uint32_t i = t->local.first; i < t->local.first + t->local.count; i++) {
		const struct ip_range *l = &b->selectors[i].addrs, *r = &remote->addrs;
		bool within = range_holds(r, &l->first) && range_holds(r, &l->last);
		bool same = addr_equal(&l->first, &r->first) && addr_equal(&l->last, &r->last);
		if (range_holds(l, a) && within && !same)
			return true;
	}
	return false;
}

static bool belongs(const struct block *b, uint32_t tunnel, const struct selectors_packet *p,
	const struct ip_addr *near, uint16_t near_port, const struct ip_addr *far, uint16_t far_port)
{
	const struct snap_tunnel *t = &b->tunnels[tunnel];

	for (uint32_t i = t->remote.first; i < t->remote.first + t->remote.count; i++)
		if (holds(b, t->local, near, p, near_port) &&
			holds(b, (struct span){ i, 1 }, far, p, far_port) &&
			!stays(b, t, &b->selectors[i], far))
			return true;
	return false;
}

static void lookups_equal_plain_search(void **state)
{
	static struct block b;
	uint32_t found = 0;

	for (uint32_t round = 0; round < 500; round++) {
		seed = round + 1;
		random_block(&b);
		struct selectors *s = selectors_new(&b.head);
		assert_non_null(s);
		for (uint32_t k = 0; k < 300; k++) {
			struct selectors_packet p = { random_addr(), random_addr(), draw(2) ? 17 : 6, draw(2),
				0, 0 };
			p.src_port = (uint16_t)(p.has_ports ? draw(4) : 0);
			p.dst_port = (uint16_t)(p.has_ports ? draw(4) : 0);
			uint32_t out = SELECTORS_NONE, in = SELECTORS_NONE;
			for (uint32_t t = b.head.tunnels.count; t-- > 0;) {
				if (belongs(&b, t, &p, &p.src, p.src_port, &p.dst, p.dst_port))
					out = t;
				if (belongs(&b, t, &p, &p.dst, p.dst_port, &p.src, p.src_port))
					in = t;
			}
			assert_int_equal(selectors_find(s, &p), out);
			assert_int_equal(selectors_find_inbound(s, &p), in);
			found += out != SELECTORS_NONE;
		}
		selectors_free(s);
	}
	assert_true(found > 1000); /* the rounds do hit tunnels */
}

int main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(lookups_equal_plain_search) };
	return cmocka_run_group_tests(tests, NULL, NULL);
}
