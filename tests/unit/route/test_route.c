/*
 * The routing core: what events do, neighbours under many insertions and removals, limits. Routes against a plain
 * model: test_events.c; longest prefix match: test_fib.c.
 */
#include "route/route.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

static uint64_t seed;

static uint32_t draw(uint32_t below)
{
	seed = seed * 6364136223846793005ull + 1442695040888963407ull;
	return (uint32_t)(seed >> 33) % below;
}

static struct ip_addr addr(const char *text)
{
	struct ip_addr a;
	assert_int_equal(addr_parse(&a, text), RC_OK);
	return a;
}

static struct ip_prefix prefix(const char *text)
{
	struct ip_prefix p;
	assert_int_equal(prefix_parse(&p, text), RC_OK);
	return p;
}

static void link_up(struct route_table *t, uint32_t index, const char *name)
{
	struct route_link l = { .index = index,
		.mac = { 2, 0, 0, 0, 0, (uint8_t)index },
		.has_mac = true,
		.up = true,
		.mtu = 1500 };
	snprintf(l.name, sizeof l.name, "%s", name);
	assert_int_equal(route_link_set(t, &l), RC_OK);
}

static void add(struct route_table *t, const char *dst, const char *via, uint32_t link, uint32_t metric)
{
	struct route_entry e = { .dst = prefix(dst), .link = link, .metric = metric };
	if (via)
		e.gateway = addr(via);
	assert_int_equal(route_set(t, &e, ROUTE_APPEND), RC_OK);
}

static struct route_answer look(struct route_table *t, const char *dst)
{
	struct ip_addr a = addr(dst);
	struct route_answer r;
	route_lookup(t, 0, &a, &r);
	return r;
}

static void routes_follow_events(void **state)
{
	struct route_table *t = route_new();
	assert_non_null(t);
	assert_int_equal(look(t, "10.1.2.3").kind, ROUTE_UNREACHABLE);
	link_up(t, 2, "lan0");
	link_up(t, 3, "wan0");
	add(t, "10.1.0.0/16", NULL, 2, 0);
	add(t, "0.0.0.0/0", "192.0.2.1", 3, 100);
	struct route_answer r = look(t, "10.1.2.3");
	assert_int_equal(r.kind, ROUTE_UNICAST);
	assert_int_equal(r.link, 2);
	assert_int_equal(r.mtu, 1500);
	struct ip_addr want = addr("10.1.2.3");
	assert_true(addr_equal(&r.next_hop, &want));
	r = look(t, "198.51.100.7");
	assert_int_equal(r.link, 3);
	want = addr("192.0.2.1");
	assert_true(addr_equal(&r.next_hop, &want));

	/* A lower metric wins; taking it away brings the other back. */
	uint64_t before = route_generation(t);
	add(t, "0.0.0.0/0", "10.1.0.9", 2, 50);
	assert_true(route_generation(t) > before);
	assert_int_equal(look(t, "198.51.100.7").link, 2);
	struct route_entry gone = {
		.dst = prefix("0.0.0.0/0"), .link = 2, .metric = 50, .gateway = addr("10.1.0.9")
	};
	route_gone(t, &gone);
	assert_int_equal(look(t, "198.51.100.7").link, 3);

	/* Replacing: the new way only. */
	struct route_entry other = {
		.dst = prefix("0.0.0.0/0"), .link = 3, .metric = 100, .gateway = addr("192.0.2.2")
	};
	assert_int_equal(route_set(t, &other, ROUTE_REPLACE), RC_OK);
	want = addr("192.0.2.2");
	r = look(t, "198.51.100.7");
	assert_true(addr_equal(&r.next_hop, &want));
	uint32_t n = 0;
	while (route_at(t, n))
		n++;
	assert_int_equal(n, 2);

	/* A blackhole inside; a route's own MTU. */
	struct route_entry hole = {
		.dst = prefix("198.51.100.0/24"), .link = ROUTE_NONE, .kind = ROUTE_UNREACHABLE
	};
	assert_int_equal(route_set(t, &hole, ROUTE_APPEND), RC_OK);
	assert_int_equal(look(t, "198.51.100.7").kind, ROUTE_UNREACHABLE);
	struct route_entry small = { .dst = prefix("203.0.113.0/24"), .link = 3, .mtu = 1280 };
	assert_int_equal(route_set(t, &small, ROUTE_APPEND), RC_OK);
	assert_int_equal(look(t, "203.0.113.5").mtu, 1280);

	/* A link that goes down takes its routes with it; a link that is gone, its neighbours and addresses
	 * too. */
	struct route_link down = *route_link_find(t, 2);
	down.up = false;
	assert_int_equal(route_link_set(t, &down), RC_OK);
	assert_int_equal(look(t, "10.1.2.3").link, 3);
	struct route_local mine = { .link = 2, .addr = addr("10.1.0.1"), .bits = 16 };
	assert_int_equal(route_local_set(t, &mine), RC_OK);
	assert_true(route_is_local(t, 0, &mine.addr));
	assert_int_equal(look(t, "10.1.0.1").kind, ROUTE_LOCAL);
	struct route_neighbour nb = { .addr = addr("10.1.2.3"), .link = 2, .state = ROUTE_NEIGHBOUR_VALID };
	assert_int_equal(route_neighbour_set(t, &nb), RC_OK);
	route_link_gone(t, 2);
	assert_false(route_is_local(t, 0, &mine.addr));
	assert_null(route_neighbour_find(t, 2, &nb.addr));
	assert_null(route_link_find(t, 2));
	assert_non_null(route_link_find(t, 3));
	route_free(t);
}

static void repeated_events_do_not_count(void **state)
{
	struct route_table *t = route_new();
	link_up(t, 2, "lan0");
	uint64_t before = route_generation(t);
	link_up(t, 2, "lan0");
	assert_int_equal(route_generation(t), before);
	struct route_local mine = { .link = 2, .addr = addr("10.1.0.1"), .bits = 16 };
	assert_int_equal(route_local_set(t, &mine), RC_OK);
	before = route_generation(t);
	assert_int_equal(route_local_set(t, &mine), RC_OK);
	assert_int_equal(route_generation(t), before);
	/* A route that is told again, with and without NLM_F_REPLACE, and one that goes and was not there. */
	struct route_entry entry = {
		.dst = prefix("10.2.0.0/16"), .link = 2, .metric = 100, .gateway = addr("10.1.0.9")
	};
	assert_int_equal(route_set(t, &entry, ROUTE_APPEND), RC_OK);
	assert_int_equal(look(t, "10.2.0.1").link, 2);
	before = route_generation(t);
	for (int i = 0; i < 4; i++) {
		assert_int_equal(route_set(t, &entry, i & 1 ? ROUTE_REPLACE : ROUTE_APPEND), RC_OK);
		assert_int_equal(route_generation(t), before);
	}
	struct route_entry other = entry;
	other.gateway = addr("10.1.0.8");
	route_gone(t, &other);
	other = entry;
	other.metric = 50;
	route_gone(t, &other);
	route_link_gone(t, 9);
	assert_int_equal(route_generation(t), before);
	/* Whatever is another counts, once. */
	struct route_entry changed[] = { entry, entry, entry };
	changed[0].mtu = 1400;
	changed[1].kind = ROUTE_UNREACHABLE;
	changed[2].gateway = addr("10.1.0.8");
	for (size_t i = 0; i < COUNT_OF(changed); i++)
		for (int again = 0; again < 2; again++) {
			before = route_generation(t);
			assert_int_equal(route_set(t, &changed[i], ROUTE_REPLACE), RC_OK);
			assert_int_equal(route_generation(t) > before, again == 0);
		}
	struct ip_addr want = addr("10.1.0.8");
	struct route_answer r = look(t, "10.2.0.1");
	assert_true(addr_equal(&r.next_hop, &want));
	before = route_generation(t);
	struct route_table *fresh = route_new();
	route_generation_continue(fresh, t);
	assert_true(route_generation(fresh) > before);
	route_free(fresh);
	route_free(t);
}

static void local_address_for_answers(void **state)
{
	struct route_table *t = route_new();
	struct ip_addr got, near = addr("2001:db8::77");
	link_up(t, 2, "lan0");
	static const struct {
		const char *text;
		uint32_t bits;
	} locals[] = { { "2001:db8:1::1", 64 }, { "fe80::1", 64 }, { "2001:db8::1", 64 }, { "10.1.0.1", 24 },
		{ "fd00:1::1", 64 }, { "fe80::2", 64 }, { "169.254.7.7", 16 } };
	assert_false(route_local_on(t, 2, ADDR_V6, NULL, &got));
	for (size_t i = 0; i < COUNT_OF(locals); i++) {
		struct route_local l = { .link = 2, .addr = addr(locals[i].text), .bits = locals[i].bits };
		assert_int_equal(route_local_set(t, &l), RC_OK);
	}
	assert_true(route_local_on(t, 2, ADDR_V6, &near, &got));
	struct ip_addr want = addr("2001:db8::1");
	assert_true(addr_equal(&got, &want));
	assert_true(route_local_on(t, 2, ADDR_V6, NULL, &got));
	assert_true(addr_equal(&got, &want)); /* none of the link or the site while there is another */
	near = addr("fd00:1::77");
	assert_true(route_local_on(t, 2, ADDR_V6, &near, &got));
	want = addr("fd00:1::1");
	assert_true(addr_equal(&got, &want));
	assert_true(route_local_on(t, 2, ADDR_V4, NULL, &got));
	want = addr("10.1.0.1");
	assert_true(addr_equal(&got, &want));
	assert_false(route_local_on(t, 3, ADDR_V4, NULL, &got));
	route_free(t);
}

static void link_is(struct route_table *t, uint32_t index, bool up)
{
	struct route_link l = { .index = index, .up = up, .mtu = 1500 };

	snprintf(l.name, sizeof l.name, "wan%u", index);
	assert_int_equal(route_link_set(t, &l), RC_OK);
}

/* Two uplinks with an address and a default route each, of both families. */
static void another_uplink(void **state)
{
	static const char *const families[][4] = {
		/* addresses, the peer, everything */
		{ "198.51.100.2", "198.51.101.2", "203.0.113.2", "0.0.0.0/0" },
		{ "2001:db8:1::2", "2001:db8:2::2", "2001:db8:3::2", "::/0" },
	};

	for (size_t f = 0; f < COUNT_OF(families); f++) {
		struct route_table *t = route_new();
		struct ip_addr first = addr(families[f][0]), second = addr(families[f][1]),
			       peer = addr(families[f][2]);

		for (uint32_t link = 2; link <= 3; link++) {
			struct route_local l = {
				.link = link, .addr = link == 2 ? first : second, .bits = 24
			};
			struct route_entry e = { .link = link, .kind = ROUTE_UNICAST, .metric = link };
			link_is(t, link, true);
			assert_int_equal(prefix_parse(&e.dst, families[f][3]), RC_OK);
			assert_int_equal(route_local_set(t, &l), RC_OK);
			assert_int_equal(route_set(t, &e, ROUTE_REPLACE), RC_OK);
		}
		assert_false(route_leads_elsewhere(t, &first, &peer));
		assert_false(route_leads_elsewhere(t, &second, &peer)); /* not the better way, but it works */
		link_is(t, 2, false);
		assert_true(route_leads_elsewhere(t, &first, &peer));
		assert_false(route_leads_elsewhere(t, &second, &peer));
		link_is(t, 3, false); /* there is no other way: who waits may be lucky */
		assert_false(route_leads_elsewhere(t, &first, &peer));
		link_is(t, 3, true);
		struct route_local also = { .link = 3, .addr = first, .bits = 32 };
		assert_int_equal(route_local_set(t, &also), RC_OK); /* on both links */
		assert_false(route_leads_elsewhere(t, &first, &peer));
		route_free(t);
	}
}

/* Against a plain array, with removals, growth and many collisions. */
static void neighbours_survive_churn(void **state)
{
	enum { ADDRS = 600 };
	struct route_table *t = route_new();
	static bool there[ADDRS];
	memset(there, 0, sizeof there);
	seed = 7;
	for (uint32_t step = 0; step < 30000; step++) {
		uint32_t k = draw(ADDRS);
		struct route_neighbour n = { .link = 2 + k % 3, .state = ROUTE_NEIGHBOUR_VALID };
		n.addr = addr("10.0.0.0");
		store_be32(n.addr.b, 0x0a000000u + k);
		n.mac[5] = (uint8_t)k;
		if (draw(2)) {
			assert_int_equal(route_neighbour_set(t, &n), RC_OK);
			there[k] = true;
		} else {
			route_neighbour_gone(t, n.link, &n.addr);
			there[k] = false;
		}
	}
	for (uint32_t k = 0; k < ADDRS; k++) {
		struct ip_addr a = addr("10.0.0.0");
		store_be32(a.b, 0x0a000000u + k);
		const struct route_neighbour *n = route_neighbour_find(t, 2 + k % 3, &a);
		assert_int_equal(n != NULL, there[k]);
		if (n)
			assert_int_equal(n->mac[5], (uint8_t)k);
		assert_null(route_neighbour_find(t, 2 + (k + 1) % 3, &a));
	}
	route_free(t);
}

static void tables_have_limits(void **state)
{
	struct route_table *t = route_new();
	struct route_local l = { .link = 2, .addr = addr("10.0.0.0"), .bits = 32 };
	for (uint32_t i = 0; i < ROUTE_LOCALS_MAX; i++) {
		store_be32(l.addr.b, 0x0a000000u + i);
		assert_int_equal(route_local_set(t, &l), RC_OK);
	}
	store_be32(l.addr.b, 0x0b000000u);
	assert_int_equal(route_local_set(t, &l), RC_LIMIT);
	for (uint32_t i = 1; i <= ROUTE_LINKS_MAX; i++)
		link_up(t, i, "x");
	struct route_link more = { .index = ROUTE_LINKS_MAX + 1 };
	assert_int_equal(route_link_set(t, &more), RC_LIMIT);
	/* What strangers on a link can fill: those who are there stay, and one who goes leaves a place. */
	struct route_neighbour n = { .link = 2, .addr = addr("10.0.0.0"), .state = ROUTE_NEIGHBOUR_WAITING };
	for (uint32_t i = 0; i <= ROUTE_NEIGHBOURS_MAX; i++) {
		store_be32(n.addr.b, 0x0a000000u + i);
		assert_int_equal(route_neighbour_set(t, &n), i < ROUTE_NEIGHBOURS_MAX ? RC_OK : RC_LIMIT);
	}
	struct ip_addr there = addr("10.0.0.7");
	assert_non_null(route_neighbour_find(t, 2, &there));
	route_neighbour_gone(t, 2, &there);
	assert_int_equal(route_neighbour_set(t, &n), RC_OK);
	struct route_entry e = { .dst = { addr("0.0.0.0"), 32 }, .link = 2, .kind = ROUTE_UNICAST };
	for (uint32_t i = 0; i <= ROUTE_ROUTES_MAX; i++) {
		store_be32(e.dst.addr.b, 0x14000000u + i);
		assert_int_equal(route_set(t, &e, ROUTE_APPEND), i < ROUTE_ROUTES_MAX ? RC_OK : RC_LIMIT);
	}
	route_free(t);
}

/* What a rule says, in few words: the kernel's own answers are in dataplane/test_kernel_routes.c. */
static void rules_choose_the_table(void **state)
{
	struct route_table *t = route_new();
	struct route_link l = { .index = 1, .name = "lan0", .up = true };
	struct route_flow f = { .in_link = 1 };
	struct route_answer a;
	struct route_rule rule = { .family = ADDR_V4, .table = ROUTE_TABLE_LOCAL, .suppress_bits = -1 };

	for (; l.index <= 3; l.index++)
		assert_int_equal(route_link_set(t, &l), RC_OK);
	for (uint32_t table = 0; table <= 77; table += 77) {
		struct route_entry e = { .dst.addr.family = ADDR_V4, .link = table ? 3 : 2, .table = table };
		assert_int_equal(route_set(t, &e, ROUTE_APPEND), RC_OK);
	}
	assert_int_equal(addr_parse(&f.src, "10.1.0.2"), RC_OK);
	assert_int_equal(addr_parse(&f.dst, "192.0.2.80"), RC_OK);
	route_lookup_flow(t, &f, NULL, &a);
	assert_int_equal(a.link, 2); /* without rules: main */
	assert_int_equal(route_rule_add(t, &rule), RC_OK);
	rule = (struct route_rule){
		.family = ADDR_V4, .priority = 32766, .table = ROUTE_TABLE_MAIN, .suppress_bits = -1
	};
	assert_int_equal(route_rule_add(t, &rule), RC_OK);
	rule.priority = 100;
	rule.table = 77;
	assert_int_equal(prefix_parse(&rule.src, "10.1.0.0/16"), RC_OK);
	uint64_t generation = route_generation(t);
	assert_int_equal(route_rule_add(t, &rule), RC_OK);
	assert_true(route_generation(t) > generation);
	route_lookup_flow(t, &f, NULL, &a);
	assert_int_equal(a.link, 3);
	f.src.b[1] = 2;
	route_lookup_flow(t, &f, NULL, &a);
	assert_int_equal(a.link, 2);
	rule.priority = 50;
	rule.action = ROUTE_RULE_UNREACHABLE;
	rule.invert = true; /* not from 10.1.0.0/16 */
	assert_int_equal(route_rule_add(t, &rule), RC_OK);
	route_lookup_flow(t, &f, NULL, &a);
	assert_int_equal(a.kind, ROUTE_UNREACHABLE);
	for (uint32_t i = 4; i < ROUTE_RULES_MAX; i++)
		assert_int_equal(route_rule_add(t, &rule), RC_OK);
	assert_int_equal(route_rule_add(t, &rule), RC_LIMIT);
	route_free(t);
}

/* However many destinations are withheld: each of them is, nothing is as long as there is room for all, and answers count as
 * changed. */
static void withheld_stays_withheld(void **state)
{
	static struct ip_prefix all[4 * ROUTE_WITHHELD_MAX];

	srand(5);
	for (uint32_t round = 0; round < 20; round++) {
		struct route_table *t = route_new();
		for (uint32_t n = 0; n < COUNT_OF(all); n++) {
			struct ip_prefix *p = &all[n];
			/* at first of one family alone, in some rounds */
			bool v6 = n >= ROUTE_WITHHELD_MAX || round % 2 ? rand() % 2 : round % 4 == 0;
			uint32_t bits = (uint32_t)(8 + rand() % (v6 ? 120 : 24));
			*p = (struct ip_prefix){ .addr.family = v6 ? ADDR_V6 : ADDR_V4, .bits = bits };
			for (uint32_t i = 0; i < bits; i++)
				p->addr.b[i / 8] |= (uint8_t)((rand() & 1) << (7 - i % 8));
			uint64_t generation = route_generation(t);
			bool was = route_is_withheld(t, &p->addr);
			route_withhold(t, p);
			assert_true(was || route_generation(t) > generation);
			for (uint32_t i = 0; i <= n; i++)
				assert_true(route_is_withheld(t, &all[i].addr));
			assert_in_range(route_withheld(t), 1, ROUTE_WITHHELD_MAX);
			if (n < 8 && !was) { /* the sibling: a bit that differs */
				struct ip_addr other = p->addr;
				bool within = false;
				other.b[(bits - 1) / 8] ^= (uint8_t)(0x80 >> (bits - 1) % 8);
				for (uint32_t i = 0; i <= n; i++)
					within |= prefix_holds(&all[i], &other);
				assert_int_equal(route_is_withheld(t, &other), within);
			}
		}
		route_free(t);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(routes_follow_events),
		cmocka_unit_test(repeated_events_do_not_count),
		cmocka_unit_test(local_address_for_answers),
		cmocka_unit_test(another_uplink),
		cmocka_unit_test(neighbours_survive_churn),
		cmocka_unit_test(tables_have_limits),
		cmocka_unit_test(withheld_stays_withheld),
		cmocka_unit_test(rules_choose_the_table),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
