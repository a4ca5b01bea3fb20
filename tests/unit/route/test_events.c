/*
 * The routes of the routing core against a plain model: random events of routes and links, from a seed that
 * stands here; what counts as a change; memory that ends anywhere; a link that takes a full table with it.
 */
#include "model.h"
#include "route/blocks.h"

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
	struct ip_addr any = random_addr(dst->addr.family);

	assert_true(model_answers(m, t, &whole.first));
	assert_true(model_answers(m, t, &whole.last));
	assert_true(model_answers(m, t, &any));
}

/* A route comes or goes, by both; the generation grows just when addresses of that very prefix go another
 * way. */
static void route_event(struct model *m, struct route_table *t)
{
	struct route_entry e = random_entry(m);
	struct route_answer before[HOPS_MAX], after[HOPS_MAX];
	uint64_t generation = route_generation(t);
	uint32_t before_n = model_next_hops(m, &e.dst.addr, e.dst.bits, before, HOPS_MAX);
	bool gone = m->n > 300 || draw(3) == 0, replace = draw(3) == 0;

	if (gone) {
		route_gone(t, &e);
		model_gone(m, &e);
	} else {
		assert_int_equal(route_set(t, &e, replace), RC_OK);
		model_set(m, &e, replace);
	}
	uint32_t after_n = model_next_hops(m, &e.dst.addr, e.dst.bits, after, HOPS_MAX);
	bool same = model_answers_equal(before, before_n, after, after_n);
	assert_int_equal(route_generation(t) > generation, !same);
	look_around(m, t, &e.dst);
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
			struct route_entry e = m.routes[draw(m.n)];
			route_gone(t, &e);
			model_gone(&m, &e);
			look_around(&m, t, &e.dst);
		}
		assert_null(route_at(t, 0));
		route_free(t);
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
		bool replace = draw(3) == 0;
		if (m.n < 250 && draw(3) > 0) {
			enum rc rc = RC_LIMIT;
			for (uint32_t blocks = 0; rc != RC_OK; blocks++) {
				blocks_left = blocks;
				rc = route_set(t, &e, replace);
				blocks_left = UINT32_MAX;
				if (rc == RC_OK)
					break;
				refused++;
				assert_int_equal(rc, RC_LIMIT);
				assert_int_equal(route_generation(t), generation);
				look_around(&m, t, &e.dst);
			}
			model_set(&m, &e, replace);
		} else {
			blocks_left = draw(4);
			route_gone(t, &e);
			blocks_left = UINT32_MAX;
			/* It is gone, and maybe the others of its destination with it. */
			model_gone(&m, &e);
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
		assert_int_equal(route_set(t, &e, false), RC_OK);
	}
	struct route_entry all = { .dst = { { .family = ADDR_V4 }, 0 }, .link = 3 };
	assert_int_equal(route_set(t, &all, false), RC_OK);
	route_link_gone(t, 2);
	assert_int_equal(route_link_set(t, &l), RC_OK);
	struct route_entry again = numbered(7, 2);
	assert_int_equal(route_set(t, &again, false), RC_OK);
	for (uint32_t i = 0; i < MANY; i += i < 20 ? 1 : 997) {
		struct route_entry e = numbered(i, 2);
		route_lookup(t, &e.dst.addr, &a);
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
		assert_int_equal(route_set(t, &e, false), RC_OK);
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
			assert_int_equal(route_set(t, &e, true), RC_OK);
		}
	for (uint32_t i = 0; i < 10000; i++) {
		struct route_entry e = numbered(i, 2);
		route_lookup(t, &e.dst.addr, &a);
		assert_int_equal(load_be32(a.next_hop.b), 0x0a000000u + i + 2);
	}
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
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
