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

static bool holds(
	const struct selector *ts, const struct ip_addr *a, const struct selectors_packet *p, uint16_t port)
{
	bool any_port = ts->port_first == 0 && ts->port_last == UINT16_MAX;

	return range_holds(&ts->addrs, a) && (ts->proto == 0 || ts->proto == p->proto) &&
	       (any_port || (p->has_ports && port >= ts->port_first && port <= ts->port_last));
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

/* The less, the more specific: the addresses here differ in the last 16 bits alone. */
static uint64_t breadth(const struct selector *ts)
{
	size_t at = addr_size(&ts->addrs.first) - 2;
	uint64_t width = (uint64_t)load_be16(ts->addrs.last.b + at) - load_be16(ts->addrs.first.b + at);

	return width << 17 | (uint64_t)(ts->proto == 0) << 16 | (uint64_t)(ts->port_last - ts->port_first);
}

/* Of all pairs of parts that hold the packet the most specific one, found by looking at each. */
static uint32_t plainly(const struct block *b, const struct selectors_packet *p, const struct ip_addr *near,
	uint16_t near_port, const struct ip_addr *far, uint16_t far_port)
{
	uint64_t best[2] = { UINT64_MAX, UINT64_MAX };
	uint32_t found = SELECTORS_NONE;

	for (uint32_t t = 0; t < b->head.tunnels.count; t++) {
		const struct snap_tunnel *tunnel = &b->tunnels[t];
		for (uint32_t i = 0; i < tunnel->remote.count * tunnel->local.count; i++) {
			const struct selector *r =
				&b->selectors[tunnel->remote.first + i / tunnel->local.count];
			const struct selector *l =
				&b->selectors[tunnel->local.first + i % tunnel->local.count];
			uint64_t now[2] = { breadth(r), breadth(l) };
			if (!holds(r, far, p, far_port) || !holds(l, near, p, near_port) ||
				stays(b, tunnel, r, far))
				continue;
			if (now[0] < best[0] || (now[0] == best[0] && now[1] < best[1])) {
				memcpy(best, now, sizeof best);
				found = t;
			}
		}
	}
	return found;
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
			uint32_t out = plainly(&b, &p, &p.src, p.src_port, &p.dst, p.dst_port);
			assert_int_equal(selectors_find(s, &p), out);
			assert_int_equal(selectors_find_inbound(s, &p),
				plainly(&b, &p, &p.dst, p.dst_port, &p.src, p.src_port));
			found += out != SELECTORS_NONE;
		}
		selectors_free(s);
	}
	assert_true(found > 1000); /* the rounds do hit tunnels */
}

static void part(struct selector *ts, uint8_t a, uint8_t b, uint8_t c, uint8_t bits)
{
	struct ip_prefix prefix = { addr_v4((const uint8_t[]){ a, b, c, 0 }), bits };

	*ts = (struct selector){ .addrs = range_from_prefix(&prefix), .port_last = UINT16_MAX };
}

/* A tunnel to all branches by way of a hub, and one to a branch itself: wherever they stand. */
static void the_more_specific_tunnel_wins_wherever_it_stands(void **state)
{
	for (uint32_t wide = 0; wide < 2; wide++) {
		static struct block b;
		struct selectors_packet p = { addr_v4((const uint8_t[]){ 10, 1, 0, 2 }),
			addr_v4((const uint8_t[]){ 10, 2, 0, 2 }), 6, false, 0, 0 };
		b = (struct block){ .head = { .tunnels = { offsetof(struct block, tunnels), 2 },
					    .selectors = { offsetof(struct block, selectors), 128 } } };
		part(&b.selectors[0], 10, 1, 0, 24);
		part(&b.selectors[1], 10, 0, 0, 8);
		part(&b.selectors[2], 10, 2, 0, 24);
		b.tunnels[wide] = (struct snap_tunnel){ .local = { 0, 1 }, .remote = { 1, 1 } };
		b.tunnels[1 - wide] = (struct snap_tunnel){ .local = { 0, 1 }, .remote = { 2, 1 } };
		struct selectors *s = selectors_new(&b.head);
		assert_int_equal(selectors_find(s, &p), 1 - wide);
		p.dst.b[1] = 3;
		assert_int_equal(selectors_find(s, &p), wide);
		selectors_free(s);
	}
}

#define EACH 8 /* networks of a remote side */

/* As many tunnels as there may be, with networks of their own and one to everywhere: built by work that grows
 * with what they hold. A square of it, seconds, would be over the test's time. */
static void many_tunnels(void **state)
{
	static struct {
		struct snapshot head;
		struct snap_tunnel tunnels[TUNNELS_MAX];
		struct selector selectors[2 * EACH * TUNNELS_MAX];
	} b;
	uint32_t n = 0;

	for (uint32_t t = 0; t < TUNNELS_MAX; t++) {
		b.tunnels[t].local = (struct span){ n, 1 };
		part(&b.selectors[n++], 192, 168, 0, 16);
		b.tunnels[t].remote = (struct span){ n, EACH };
		for (uint32_t i = 0; i < EACH; i++) {
			uint32_t net = t * EACH + i;
			part(&b.selectors[n++], (uint8_t)(16 + (net >> 16)), (uint8_t)(net >> 8),
				(uint8_t)net, 24);
		}
	}
	part(&b.selectors[n], 0, 0, 0, 0);
	b.tunnels[7].remote = (struct span){ n++, 1 };
	b.head.tunnels = (struct span){ (uint32_t)((uint8_t *)b.tunnels - (uint8_t *)&b), TUNNELS_MAX };
	b.head.selectors = (struct span){ (uint32_t)((uint8_t *)b.selectors - (uint8_t *)&b), n };
	for (int round = 0; round < 20; round++) {
		struct selectors *s = selectors_new(&b.head);
		struct selectors_packet p = { addr_v4((const uint8_t[]){ 192, 168, 0, 2 }),
			addr_v4((const uint8_t[]){ 16, 1, 1, 2 }), 6, false, 0, 0 };
		assert_int_equal(selectors_find(s, &p), 257 / EACH);
		p.dst = addr_v4((const uint8_t[]){ 8, 8, 8, 8 });
		assert_int_equal(selectors_find(s, &p), 7);
		selectors_free(s);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(lookups_equal_plain_search),
		cmocka_unit_test(the_more_specific_tunnel_wins_wherever_it_stands),
		cmocka_unit_test(many_tunnels) };
	return cmocka_run_group_tests(tests, NULL, NULL);
}
