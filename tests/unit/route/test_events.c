/*
 * The routes of the routing core against a plain model: random events of routes and links, from a seed that
 * stands here; what counts as a change; memory that ends anywhere; a link that takes a full table with it.
 */
#include "model.h"
#include "route/blocks.h"
#include "route/routes.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#define SEED	 20261129u
#define HOPS_MAX 64

static uint64_t seed;

static uint32_t draw(uint32_t below)
{
	seed = seed * 6364136223846793005ull + 1442695040888963407ull;
	return (uint32_t)(seed >> 33) % below;
}

/* By link_args --wrap: memory ends after so many blocks more. */
static uint32_t blocks_left = UINT32_MAX;

void *__real_blocks_get(struct blocks *b, size_t size);
void *__wrap_blocks_get(struct blocks *b, size_t size);
void *__real_calloc(size_t n, size_t size);
void *__wrap_calloc(size_t n, size_t size);

static bool memory_ends(void)
{
	if (blocks_left == 0)
		return true;
	blocks_left -= blocks_left != UINT32_MAX;
	return false;
}

void *__wrap_blocks_get(struct blocks *b, size_t size)
{
	return memory_ends() ? NULL : __real_blocks_get(b, size);
}

void *__wrap_calloc(size_t n, size_t size)
{
	return memory_ends() ? NULL : __real_calloc(n, size);
}

/* --- random events --- */

static struct ip_addr random_addr(uint8_t family)
{
	static const uint8_t values[] = { 0, 1, 127, 128, 255 };
	struct ip_addr a = { .family = family };

	for (size_t i = 0; i < addr_size(&a); i++)
		a.b[i] = values[draw(i < 2 ? 2 : COUNT_OF(values))];
	return a;
}

static struct route_entry random_entry(const struct model *m)
{
	uint8_t family = draw(2) ? ADDR_V4 : ADDR_V6, gateway = draw(4) ? family : ADDR_V6;
	uint32_t max = family == ADDR_V4 ? 32 : 128, shape = draw(8);
	struct route_entry e = {
		.metric = draw(3) * 50, .link = 1 + draw(MODEL_LINKS_MAX), .mtu = draw(8) ? 0 : 1400
	};

	if (m->n > 0 && draw(2)) { /* a destination that has a route already */
		e.dst = m->routes[draw(m->n)].dst;
	} else {
		e.dst.bits = shape == 0 ? 0 : shape == 1 ? max : draw(max + 1);
		e.dst.addr = random_addr(family);
		e.dst.addr = range_from_prefix(&e.dst).first;
	}
	if (draw(3))
		e.gateway = random_addr(gateway);
	if (draw(12) == 0) {
		e.kind = ROUTE_UNREACHABLE;
		e.link = draw(2) ? ROUTE_NONE : e.link;
	} else if (draw(12) == 0) {
		e.kind = ROUTE_BROADCAST;
	}
	if (m->n > 0 && draw(4) == 0) /* the same route again, or nearly */
		e = m->routes[draw(m->n)];
	return e;
}

static struct route_link random_link(void)
{
	return (struct route_link){
		.index = 1 + draw(MODEL_LINKS_MAX), .up = draw(4) > 0, .mtu = draw(2) ? 1500 : 9000
	};
}

static void look_around(const struct model *m, const struct route_table *t, const struct ip_prefix *dst)
{
	struct ip_range whole = range_from_prefix(dst);
	struct ip_addr any = random_addr(dst->addr.family), other = random_addr(draw(2) ? ADDR_V4 : ADDR_V6);
	const struct ip_addr *all[] = { &whole.first, &other, &any, &whole.last };

	route_prefetch(t, all, draw(COUNT_OF(all) + 1));
	assert_true(model_answers(m, t, &other));
	assert_true(model_answers(m, t, &whole.first));
	assert_true(model_answers(m, t, &whole.last));
	assert_true(model_answers(m, t, &any));
}

/* One to four next hops of a route that differ in link, gateway and weight. */
static uint32_t random_paths(const struct model *m, struct route_entry *ret_entries)
{
	uint32_t n = draw(3) ? 1 : 2 + draw(3), kept = 1;
	struct route_entry e = random_entry(m);

	e.weight = n > 1 || (e.dst.addr.family == ADDR_V6 && e.weight > 0) ? 1 + draw(3) : 0;
	if (n == 1 && e.dst.addr.family == ADDR_V6 && draw(2))
		e.weight = 1 + draw(3);
	ret_entries[0] = e;
	for (uint32_t i = 1; i < n; i++) {
		e.link = 1 + draw(MODEL_LINKS_MAX);
		e.weight = 1 + draw(3);
		e.gateway = draw(2) ? random_addr(e.dst.addr.family) : e.gateway;
		bool there = false;
		for (uint32_t k = 0; k < kept; k++)
			there |= ret_entries[k].link == e.link &&
				 addr_equal(&ret_entries[k].gateway, &e.gateway);
		if (!there)
			ret_entries[kept++] = e;
	}
	return kept;
}

/* A route comes or goes, by both; the generation grows when addresses of that very prefix go another way. */
static void route_event(struct model *m, struct route_table *t)
{
	struct route_entry e[4];
	struct route_answer before[HOPS_MAX], after[HOPS_MAX];
	uint64_t generation = route_generation(t);
	uint32_t n = random_paths(m, e);
	uint32_t before_n = model_next_hops(m, &e->dst.addr, e->dst.bits, before, HOPS_MAX);
	bool gone = m->n > 300 || draw(3) == 0;
	enum route_place place = draw(3);

	if (gone) {
		route_paths_gone(t, e, n);
		model_gone(m, e, n);
	} else {
		assert_int_equal(route_paths_set(t, e, n, place), RC_OK);
		model_set(m, e, n, place);
	}
	uint32_t after_n = model_next_hops(m, &e->dst.addr, e->dst.bits, after, HOPS_MAX);
	bool same = model_answers_equal(before, before_n, after, after_n);
	/* Another way by a gateway of just this address has the same answer for it, if not for its neighbours. */
	bool by_itself = before_n == 1 && addr_equal(&before[0].next_hop, &e->dst.addr);
	if (before_n <= 1 && after_n <= 1 && !by_itself) /* among several another weight is another answer */
		assert_int_equal(route_generation(t) > generation, !same);
	else
		assert_true(same || route_generation(t) > generation);
	route_prepare(t);
	look_around(m, t, &e->dst);
}

static void link_event(struct model *m, struct route_table *t)
{
	struct route_link l = random_link();
	struct ip_prefix all = { { .family = ADDR_V4 }, 0 };

	if (draw(8) == 0) {
		route_link_gone(t, l.index);
		model_link_gone(m, l.index);
	} else {
		assert_int_equal(route_link_set(t, &l), RC_OK);
		m->links[l.index] = l;
	}
	for (int i = 0; i < 8; i++)
		look_around(m, t, m->n > 0 ? &m->routes[draw(m->n)].dst : &all);
}

static void events_equal_the_model(void **state)
{
	static struct model m;

	seed = SEED;
	for (uint32_t round = 0; round < 40; round++) {
		struct route_table *t = route_new();
		m = (struct model){ .n = 0 };
		for (uint32_t i = 0; i < 1500; i++) {
			if (draw(round % 2 ? 8 : 100) == 0)
				link_event(&m, t);
			else
				route_event(&m, t);
			if (i % 250 == 0)
				assert_true(model_lists(&m, t));
		}
		assert_true(model_lists(&m, t));
		while (m.n > 0) {
			struct route_entry e = m.routes[draw(m.n)], all[HOPS_MAX];
			uint32_t n = 0;
			for (uint32_t i = 0; i < m.n;
				i++) /* of a destination all with weights, or this one */
				if (e.weight > 0 && m.routes[i].weight > 0 &&
					m.routes[i].metric == e.metric &&
					m.routes[i].dst.bits == e.dst.bits &&
					addr_equal(&m.routes[i].dst.addr, &e.dst.addr))
					all[n++] = m.routes[i];
			if (n == 0)
				all[n++] = e;
			route_paths_gone(t, all, n);
			model_gone(&m, all, n);
			look_around(&m, t, &e.dst);
		}
		assert_null(route_at(t, 0));
		while (!route_free_piece(t))
			;
	}
}

/* Memory ends at each place of an event in turn, until there is enough of it. */
static void without_memory(void **state)
{
	static struct model m;
	struct route_table *t = route_new();
	uint32_t refused = 0, lost = 0;

	seed = SEED;
	m = (struct model){ .n = 0 };
	for (uint32_t i = 1; i <= MODEL_LINKS_MAX; i++) {
		m.links[i] = (struct route_link){ .index = i, .up = true, .mtu = 1500 };
		assert_int_equal(route_link_set(t, &m.links[i]), RC_OK);
	}
	for (uint32_t i = 0; i < 6000; i++) {
		struct route_entry e = random_entry(&m);
		uint64_t generation = route_generation(t);
		enum route_place place = draw(3) ? ROUTE_APPEND : ROUTE_REPLACE;
		if (m.n < 250 && draw(3) > 0) {
			enum rc rc = RC_LIMIT;
			for (uint32_t blocks = 0; rc != RC_OK; blocks++) {
				blocks_left = blocks;
				rc = route_set(t, &e, place);
				blocks_left = UINT32_MAX;
				if (rc == RC_OK)
					break;
				refused++;
				assert_int_equal(rc, RC_LIMIT);
				assert_int_equal(route_generation(t), generation);
				look_around(&m, t, &e.dst);
			}
			model_set(&m, &e, 1, place);
		} else {
			blocks_left = draw(4);
			route_gone(t, &e);
			blocks_left = UINT32_MAX;
			/* It is gone, and maybe the others of its destination with it. */
			model_gone(&m, &e, 1);
			if (!model_lists(&m, t)) {
				model_destination_gone(&m, &e.dst);
				lost++;
			}
		}
		look_around(&m, t, &e.dst);
		assert_true(model_lists(&m, t));
	}
	assert_true(refused > 1000 && lost > 10);
	for (uint32_t blocks = 0; blocks < 7; blocks++) {
		blocks_left = blocks;
		struct route_table *none = route_new();
		blocks_left = UINT32_MAX;
		route_free(none);
	}
	route_free(t);
}

/* --- what the events of a router with many routes cost others --- */

static struct route_entry numbered(uint32_t i, uint32_t link)
{
	struct route_entry e = { .dst = { { .family = ADDR_V4 }, 32 }, .link = link };

	store_be32(e.dst.addr.b, 0x14000000u + i);
	return e;
}

/* A link with 100,000 routes is deleted, and another one with its number comes: none of them is the new
 * one's. */
static void a_link_goes_with_many_routes(void **state)
{
	enum { MANY = 100000 };
	struct route_table *t = route_new();
	struct route_link l = { .index = 2, .up = true, .mtu = 1500 },
			  other = { .index = 3, .up = true, .mtu = 1500 };
	struct route_answer a;

	assert_int_equal(route_link_set(t, &l), RC_OK);
	assert_int_equal(route_link_set(t, &other), RC_OK);
	for (uint32_t i = 0; i < MANY; i++) {
		struct route_entry e = numbered(i, 2);
		assert_int_equal(route_set(t, &e, ROUTE_APPEND), RC_OK);
	}
	struct route_entry all = { .dst = { { .family = ADDR_V4 }, 0 }, .link = 3 };
	assert_int_equal(route_set(t, &all, ROUTE_APPEND), RC_OK);
	route_link_gone(t, 2);
	assert_int_equal(route_link_set(t, &l), RC_OK);
	struct route_entry again = numbered(7, 2);
	assert_int_equal(route_set(t, &again, ROUTE_APPEND), RC_OK);
	for (uint32_t i = 0; i < MANY; i += i < 20 ? 1 : 997) {
		struct route_entry e = numbered(i, 2);
		route_lookup(t, 0, &e.dst.addr, &a);
		assert_int_equal(a.link, i == 7 ? 2 : 3);
	}
	/* The table shows what there is; later events take the rest out. */
	uint32_t n = 0;
	while (route_at(t, n))
		n++;
	assert_int_equal(n, 2);
	for (uint32_t i = 0; i < MANY / 64 + 10; i++) {
		l.mtu++;
		assert_int_equal(route_link_set(t, &l), RC_OK);
	}
	assert_non_null(route_at(t, 1));
	assert_null(route_at(t, 2));
	route_free(t);
}

/* Several who read the table in pieces, or one while it changes: what stays is seen by each of them. */
static void read_in_pieces(uint32_t readers, bool changing)
{
	enum { ROUTES = 3000, READERS_MAX = 4 };
	static bool seen[READERS_MAX][ROUTES];
	struct route_table *t = route_new();
	uint32_t at[READERS_MAX] = { 0 };

	seed = SEED;
	memset(seen, 0, sizeof seen);
	for (uint32_t i = 0; i < ROUTES; i++) {
		struct route_entry e = numbered(i, 2);
		assert_int_equal(route_set(t, &e, ROUTE_APPEND), RC_OK);
	}
	for (uint32_t done = 0; done < readers;) {
		done = 0;
		for (uint32_t r = 0; r < readers; r++) {
			const struct route_entry *e = NULL;
			for (uint32_t piece = 0; piece < 64 + r && (e = route_at(t, at[r])); piece++, at[r]++)
				seen[r][load_be32(e->dst.addr.b) - 0x14000000u] = true;
			done += e == NULL;
			e = route_at(t, at[r]); /* looked at, and left for the next piece */
		}
		struct route_entry odd = numbered(draw(ROUTES) | 1, 2);
		if (changing)
			route_gone(t, &odd);
	}
	for (uint32_t i = 0; i < ROUTES; i += 2)
		for (uint32_t r = 0; r < readers; r++)
			assert_true(seen[r][i]);
	route_free(t);
}

static void a_table_is_read_in_pieces(void **state)
{
	read_in_pieces(1, true);
	read_in_pieces(4, false);
}

/* Ten thousand destinations by a gateway of each: as many sets, found again. */
static void as_many_sets_as_routes(void **state)
{
	struct route_table *t = route_new();
	struct route_link l = { .index = 2, .up = true, .mtu = 1500 };
	struct route_answer a;

	assert_int_equal(route_link_set(t, &l), RC_OK);
	for (uint32_t round = 0; round < 3; round++)
		for (uint32_t i = 0; i < 10000; i++) {
			struct route_entry e = numbered(i, 2);
			e.gateway.family = ADDR_V4;
			store_be32(e.gateway.b, 0x0a000000u + i + round);
			assert_int_equal(route_set(t, &e, ROUTE_REPLACE), RC_OK);
		}
	for (uint32_t i = 0; i < 10000; i++) {
		struct route_entry e = numbered(i, 2);
		route_lookup(t, 0, &e.dst.addr, &a);
		assert_int_equal(load_be32(a.next_hop.b), 0x0a000000u + i + 2);
	}
	route_free(t);
}

/* Also those of other tables and links that are gone, whatever was prepared; no piece frees more than a slab or some
 * buckets. */
static void a_table_is_freed_in_pieces(void **state)
{
	struct route_table *t = route_new();
	struct route_link l = { .index = 2, .up = true, .mtu = 1500 }, other = { .index = 3, .up = true };
	const uint32_t routes = 20000;
	uint32_t pieces = 1;

	assert_int_equal(route_link_set(t, &l), RC_OK);
	assert_int_equal(route_link_set(t, &other), RC_OK);
	for (uint32_t i = 0; i < routes; i++) {
		struct route_entry e = numbered(i, 2 + i % 2);
		e.gateway.family = ADDR_V4;
		store_be32(e.gateway.b, 0x0a000000u + i);
		e.table = i % 100 == 0 ? 7 : 0;
		assert_int_equal(route_set(t, &e, ROUTE_REPLACE), RC_OK);
		route_prepare(t);
	}
	route_link_gone(t, 3);
	for (; !route_free_piece(t); pieces++)
		;
	assert_true(pieces > routes / ROUTES_RELEASE);
	t = route_new(); /* an empty one */
	while (!route_free_piece(t))
		;
}

/* --- flows over several next hops --- */

#define FLOWS 60000u

static struct route_table *uplinks(uint32_t n, const uint32_t *weights, uint8_t family)
{
	struct route_table *t = route_new();
	struct route_entry e[4] = { 0 };

	for (uint32_t i = 0; i < n; i++) {
		struct route_link l = { .index = 1 + i, .up = true, .mtu = 1500 };
		assert_int_equal(route_link_set(t, &l), RC_OK);
		e[i] = (struct route_entry){ .dst = { { .family = family }, 0 },
			.link = 1 + i,
			.weight = weights[i],
			.gateway = { .b = { 254, 128, [7] = (uint8_t)i }, .family = family } };
	}
	assert_int_equal(route_paths_set(t, e, n, ROUTE_APPEND), RC_OK);
	return t;
}

static uint32_t link_of_flow(const struct route_table *t, uint32_t i, uint8_t family)
{
	struct ip_addr dst = { .b = { 192, 0, 2, 1 }, .family = family };
	struct route_answer a;

	/* Any even distribution does: the shell's flows are keyed hashes. */
	uint64_t flow = (i + 1) * 0x9e3779b97f4a7c15ull;
	flow = (flow ^ flow >> 31) * 0xbf58476d1ce4e5b9ull;
	struct route_flow f = { .dst = dst, .in_link = ROUTE_NONE, .hash = flow ^ flow >> 29 };
	route_lookup_flow(t, &f, NULL, &a);
	assert_int_equal(a.kind, ROUTE_UNICAST);
	return a.link;
}

/* Each next hop has its share by weight, within three per cent of it. */
static void flows_are_spread_by_weight(void **state)
{
	static const uint32_t weights[][4] = { { 1, 1, 1, 1 }, { 1, 2, 3, 4 }, { 255, 256, 1, 128 },
		{ 20000, 40000, 10000, 60000 } };

	for (size_t w = 0; w < COUNT_OF(weights); w++)
		for (uint32_t v6 = 0; v6 < 2; v6++) {
			uint8_t family = v6 ? ADDR_V6 : ADDR_V4;
			struct route_table *t = uplinks(4, weights[w], family);
			uint32_t count[5] = { 0 }, all = 0;
			for (uint32_t i = 0; i < FLOWS; i++)
				count[link_of_flow(t, i, family)]++;
			for (uint32_t i = 0; i < 4; i++)
				all += weights[w][i];
			for (uint32_t i = 0; i < 4; i++) {
				double want = (double)FLOWS * weights[w][i] / all;
				double far = count[1 + i] > want ? count[1 + i] - want : want - count[1 + i];
				assert_true(far < want * 0.03 + 60);
			}
			route_free(t);
		}
}

/* A next hop that is lost, by its link or by its route, moves its own flows only, and has them again. */
static void a_lost_next_hop_moves_its_own_flows(void **state)
{
	static const uint32_t weights[4] = { 3, 1, 2, 2 };
	static uint8_t was[FLOWS];
	struct route_table *t = uplinks(4, weights, ADDR_V4);
	struct route_link l = { .index = 2, .mtu = 1500 };
	uint32_t moved[5] = { 0 };

	for (uint32_t i = 0; i < FLOWS; i++)
		was[i] = (uint8_t)link_of_flow(t, i, ADDR_V4);
	assert_int_equal(route_link_set(t, &l), RC_OK);
	for (uint32_t i = 0; i < FLOWS; i++) {
		uint32_t now = link_of_flow(t, i, ADDR_V4);
		assert_true(was[i] == 2 ? now != 2 : now == was[i]);
		moved[now] += was[i] == 2;
	}
	assert_true(moved[1] > 0 && moved[3] > 0 && moved[4] > 0);
	l.up = true;
	assert_int_equal(route_link_set(t, &l), RC_OK);
	for (uint32_t i = 0; i < FLOWS; i++)
		assert_int_equal(link_of_flow(t, i, ADDR_V4), was[i]);
	route_free(t);
}

/* A flow keeps the next hop that it has when another one comes, and as long as it can. */
static void a_flow_stays(void **state)
{
	static const uint32_t weights[4] = { 1, 1, 1, 1 };
	struct route_table *t = uplinks(4, weights, ADDR_V6);
	struct route_flow f = { .dst = { .b = { 0x20, 1 }, .family = ADDR_V6 } };
	struct route_answer a, b;
	struct route_link l = { .mtu = 1500 };

	for (uint64_t flow = 1; flow < 200; flow++) {
		f.hash = flow << 40;
		route_lookup_flow(t, &f, NULL, &a);
		f.hash = ~flow << 41;
		route_lookup_flow(t, &f, &a, &b);
		assert_true(a.link == b.link && addr_equal(&a.next_hop, &b.next_hop));
	}
	l.index = a.link;
	assert_int_equal(route_link_set(t, &l), RC_OK);
	f.hash = 7;
	route_lookup_flow(t, &f, &a, &b);
	assert_true(b.link != a.link && b.kind == ROUTE_UNICAST);
	route_free(t);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(events_equal_the_model),
		cmocka_unit_test(without_memory),
		cmocka_unit_test(a_link_goes_with_many_routes),
		cmocka_unit_test(a_table_is_read_in_pieces),
		cmocka_unit_test(as_many_sets_as_routes),
		cmocka_unit_test(a_table_is_freed_in_pieces),
		cmocka_unit_test(flows_are_spread_by_weight),
		cmocka_unit_test(a_lost_next_hop_moves_its_own_flows),
		cmocka_unit_test(a_flow_stays),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
