/*
 * Reauthentication with two real cores and keepers in the simulator's world: make before break, who comes when, what AUTH_LIFETIME says, and
 * that a Delete waits until the data plane sends by the other child SA.
 */
#include "world.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#define NODE_A "branch" /* of the first node the peer's name, and of the second */
#define NODE_B "hq"

static struct world w;
static char ended[2][200], rows[2][4096];

static void listen_to(struct world *world, int node, bool warning, const char *text)
{
	(void)world;
	(void)warning;
	if (strstr(text, "IKE SA ended") || strstr(text, "reauthentication"))
		snprintf(ended[node], sizeof ended[node], "%s", text);
}

/* `show ike` of a node, all rows. */
static const char *shown(int node)
{
	uint32_t cursor = 0;
	size_t at = 0, n;
	char row[4096];

	rows[node][0] = 0;
	while ((n = ike_show(w.nodes[node].ike, w.now, &cursor, row, sizeof row)) > 0)
		at += (size_t)snprintf(rows[node] + at, sizeof rows[node] - at, "%.*s\n", (int)n, row);
	return rows[node];
}

static void up(uint32_t reauth_a, uint32_t reauth_b, enum peer_start start_b)
{
	struct sim_side sides[2];

	memset(&w, 0, sizeof w);
	memset(ended, 0, sizeof ended);
	sim_side_default(&sides[0], 0);
	sim_side_default(&sides[1], 1);
	sides[0].tunnels = sides[1].tunnels = 2;
	sides[0].start = PEER_START_NEVER;
	sides[1].start = start_b;
	sides[0].reauth_s = reauth_a;
	sides[1].reauth_s = reauth_b;
	world_init(&w, 1, sides);
	w.on_log = listen_to;
	world_order(&w, 0, IKE_ORDER_INITIATE, NODE_A);
	world_run(&w, w.now + 3 * NS_PER_S);
	w.packets = true;
	w.packets_at = w.now;
}

static struct ike_sa_view only_sa(int node)
{
	struct ike_sa_view v, found = { 0 };
	uint32_t cursor = 0, n = 0;

	while (ike_view_sa(w.nodes[node].ike, &cursor, &v)) {
		found = v;
		n++;
	}
	assert_int_equal(n, 1);
	return found;
}

/* Both sides have one IKE SA with both children, and no test packet was lost. */
static void is_whole(void)
{
	char text[256];
	uint32_t ike_sas;

	const char *wrong = world_mismatch(&w, text, sizeof text);

	if (wrong)
		fail_msg("%s", wrong);
	assert_int_equal(world_tunnels_up(&w, &ike_sas), 2);
	assert_int_equal(ike_sas, 1);
	for (int i = 0; i < 2; i++)
		assert_int_equal(w.nodes[i].packets_lost + w.nodes[i].packets_no_sa, 0);
}

/* By a configured time, on either side; the initiator comes. */
static void before_its_time_is_over(void **state)
{
	(void)state;
	for (int configured = 1; configured <= 3; configured++) {
		up(configured & 1 ? 100 : 0, configured & 2 ? 100 : 0, PEER_START_NEVER);
		struct ike_sa_view first = only_sa(0), second;

		world_run(&w, w.now + 70 * NS_PER_S);
		second = only_sa(0);
		assert_memory_equal(first.spi_i, second.spi_i, 8);
		world_run(&w,
			w.now + 30 * NS_PER_S); /* 85 to 91 of 100 seconds, and five more for what lingers */
		second = only_sa(0);
		assert_memory_not_equal(first.spi_i, second.spi_i, 8);
		assert_true(second.initiator);
		is_whole();
		assert_non_null(strstr(ended[0], "a new IKE SA will replace this one: reauthentication"));
		assert_non_null(strstr(ended[1], "deleted by the peer, which has made a newer one"));
		assert_non_null(strstr(shown(0), "\"reauthentication_in_s\":"));
		world_done(&w);
	}
}

/* Rekeys of the IKE SA do not make it younger. */
static void rekeys_do_not_count(void **state)
{
	(void)state;
	up(100, 0, PEER_START_NEVER);
	world_run(&w, w.now + 40 * NS_PER_S);
	for (int i = 0; i < 2; i++) {
		world_order(&w, i, IKE_ORDER_REKEY_IKE, i ? NODE_B : NODE_A);
		world_run(&w, w.now + 2 * NS_PER_S);
	}
	struct ike_sa_view rekeyed = only_sa(0);
	world_run(&w, w.now + 55 * NS_PER_S);
	assert_memory_not_equal(rekeyed.spi_i, only_sa(0).spi_i, 8);
	is_whole();
	world_done(&w);
}

/* Who does not come has no IKE SA any more: ten seconds after what was announced, and not before. */
static void the_peer_does_not_come(void **state)
{
	(void)state;
	up(0, 100, PEER_START_NEVER);
	world_run(&w, w.now + 60 * NS_PER_S);
	w.packets = false;
	w.net.cut = true;
	world_run(&w, w.now + 40 * NS_PER_S);
	uint32_t ike_sas, cursor = 0;
	struct ike_sa_view v;
	world_tunnels_up(&w, &ike_sas);
	world_run(&w, w.now + 40 * NS_PER_S);
	assert_false(ike_view_sa(w.nodes[1].ike, &cursor, &v));
	w.net.cut = false;
	world_done(&w);

	/* A peer that cannot read the notify is the same: here its commit takes the time away, and what we announced counts. */
	up(100, 0, PEER_START_NEVER);
	assert_non_null(strstr(shown(0), "\"authentication_ends_in_s\":"));
	assert_null(strstr(shown(1), "\"authentication_ends_in_s\":"));
	world_done(&w);
}

/* A commit counts from the authentication, which is too old here: a minute is left, and the initiator is told. */
static void by_a_commit(void **state)
{
	struct sim_side side;

	(void)state;
	up(0, 0, PEER_START_NEVER);
	world_run(&w, w.now + 200 * NS_PER_S);
	struct ike_sa_view first = only_sa(0);
	side = w.nodes[1].side;
	side.reauth_s = 100;
	world_reconfigure(&w, 1, &side);
	world_run(&w, w.now + 20 * NS_PER_S);
	assert_memory_equal(first.spi_i, only_sa(0).spi_i, 8);
	world_run(&w, w.now + 50 * NS_PER_S);
	assert_memory_not_equal(first.spi_i, only_sa(0).spi_i, 8);
	is_whole();
	world_done(&w);
}

/* Both at once, by order and with both times: one IKE SA is left. */
static void both_at_once(void **state)
{
	(void)state;
	up(0, 0, PEER_START_ALWAYS);
	world_run(&w, w.now + 60 * NS_PER_S);
	world_order(&w, 0, IKE_ORDER_REAUTHENTICATE, NODE_A);
	world_order(&w, 1, IKE_ORDER_REAUTHENTICATE, NODE_B);
	world_run(&w, w.now + 40 * NS_PER_S);
	w.packets = false;
	world_run(&w, w.now + 40 * NS_PER_S);
	char text[256];
	uint32_t ike_sas;
	const char *wrong = world_mismatch(&w, text, sizeof text);

	if (wrong)
		fail_msg("%s", wrong);
	assert_int_equal(world_tunnels_up(&w, &ike_sas), 2);
	world_done(&w);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(before_its_time_is_over),
		cmocka_unit_test(rekeys_do_not_count),
		cmocka_unit_test(the_peer_does_not_come),
		cmocka_unit_test(by_a_commit),
		cmocka_unit_test(both_at_once),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
