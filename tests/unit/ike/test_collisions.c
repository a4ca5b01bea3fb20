/*
 * The collisions that RFC 7296 names (2.8, 2.8.1, 2.8.2, 2.25.1, 2.25.2), with both real cores and keepers in the simulator's world: what
 * one side begins meets what the other one begins, whichever is first and by however much, and one of the first messages may be lost, so
 * that a request meets one that is repeated. A row says what is left. Which notify is sent in each case: test_rekey.c.
 */
#include "world.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#define OFFSETS	 6 /* of the second one to the first, in steps of STEP_NS */
#define STEP_NS	 (3 * NS_PER_MS)
#define LOST_MAX 3 /* the first, second or third message is lost; 0: none */
#define AFTER_NS (150 * NS_PER_S)

static struct world w;

enum what { REKEY_CHILD, DELETE_CHILD, CREATE_CHILD, REKEY_IKE, DELETE_IKE };

static const struct {
	const char *rfc;
	enum what ours, theirs; /* of node 0 and of node 1 */
	uint32_t tunnels, ike_sas;
	bool gapless; /* no packet is lost, where no message is */
} rows[] = {
	{ "2.8.1: simultaneous rekey of a child SA", REKEY_CHILD, REKEY_CHILD, 1, 1, true },
	{ "2.8.2: simultaneous rekey of the IKE SA", REKEY_IKE, REKEY_IKE, 1, 1, true },
	{ "2.8: both make the same child SA", CREATE_CHILD, CREATE_CHILD, 2, 1, true },
	{ "2.25.1: rekey of a child SA that is closed", REKEY_CHILD, DELETE_CHILD, 0, 1, false },
	{ "2.25.1: both close a child SA", DELETE_CHILD, DELETE_CHILD, 0, 1, false },
	{ "2.25.1: a child SA is made while another one is rekeyed", CREATE_CHILD, REKEY_CHILD, 2, 1, true },
	{ "2.25.1: a child SA is made while another one is closed", CREATE_CHILD, DELETE_CHILD, 1, 1, false },
	{ "2.25.2: rekey of the IKE SA, a child SA is rekeyed", REKEY_IKE, REKEY_CHILD, 1, 1, true },
	{ "2.25.2: rekey of the IKE SA, a child SA is made", REKEY_IKE, CREATE_CHILD, 2, 1, true },
	{ "2.25.2: rekey of the IKE SA, a child SA is closed", REKEY_IKE, DELETE_CHILD, 0, 1, false },
	{ "2.25.2: rekey of the IKE SA, which is closed", REKEY_IKE, DELETE_IKE, 0, 0, false },
	{ "2.25.2: rekey of a child SA whose IKE SA is closed", REKEY_CHILD, DELETE_IKE, 0, 0, false },
	{ "2.25.2: both close the IKE SA", DELETE_IKE, DELETE_IKE, 0, 0, false },
};

static void begin(int node, enum what what)
{
	switch (what) {
	case REKEY_CHILD:
		world_order(&w, node, IKE_ORDER_REKEY_CHILD, "t0");
		break;
	case DELETE_CHILD:
		world_order(&w, node, IKE_ORDER_TERMINATE, "t0");
		break;
	case CREATE_CHILD:
		world_order(&w, node, IKE_ORDER_INITIATE, "t1");
		break;
	case REKEY_IKE:
		world_order(&w, node, IKE_ORDER_REKEY_IKE, "t0");
		break;
	case DELETE_IKE:
		world_order(&w, node, IKE_ORDER_TERMINATE, node ? "hq" : "branch");
		break;
	}
}

static uint32_t sent, lost;

static void lose_one(struct world *world, int from, const uint8_t *bytes, size_t n)
{
	(void)from;
	(void)bytes;
	(void)n;
	world->net.cut = ++sent == lost;
}

static void meet(size_t row, bool theirs_first, uint32_t offset, uint32_t lose)
{
	struct sim_side sides[2];
	char text[256];
	const char *wrong;
	uint32_t ike_sas, tunnels;
	unsigned long missed;

	memset(&w, 0, sizeof w);
	sim_side_default(&sides[0], 0);
	sim_side_default(&sides[1], 1);
	sides[0].start = sides[1].start = PEER_START_NEVER; /* nothing comes back by itself */
	sides[0].tunnels = sides[1].tunnels = 2;
	world_init(&w, row + 1, sides);
	w.net.delay_min = w.net.delay_max = 4;
	world_order(&w, 0, IKE_ORDER_INITIATE, "t0");
	world_run(&w, w.now + 3 * NS_PER_S);
	w.packets = true;
	world_run(&w, w.now + 3 * NS_PER_S);
	assert_int_equal(world_tunnels_up(&w, &ike_sas), 1);
	missed = (unsigned long)(w.nodes[0].packets_lost + w.nodes[1].packets_lost);
	sent = 0;
	lost = lose;
	w.on_datagram = lose_one;
	begin(theirs_first, theirs_first ? rows[row].theirs : rows[row].ours);
	world_run(&w, w.now + offset * STEP_NS);
	begin(!theirs_first, theirs_first ? rows[row].ours : rows[row].theirs);
	world_run(&w, w.now + AFTER_NS);
	missed = (unsigned long)(w.nodes[0].packets_lost + w.nodes[1].packets_lost) - missed;
	wrong = world_mismatch(&w, text, sizeof text);
	tunnels = world_tunnels_up(&w, &ike_sas);
	if (wrong || tunnels != rows[row].tunnels || ike_sas != rows[row].ike_sas ||
		(rows[row].gapless && lose == 0 && missed > 0))
		fail_msg(
			"%s, node %d first by %u steps, message %u lost: %u tunnels, %u IKE SAs, %lu packets lost, %s",
			rows[row].rfc, theirs_first, offset, lose, tunnels, ike_sas, missed,
			wrong ? wrong : "the same on both sides");
	world_done(&w);
}

static void every_collision(void **state)
{
	(void)state;
	for (size_t row = 0; row < COUNT_OF(rows); row++)
		for (uint32_t offset = 0; offset < OFFSETS; offset++)
			for (uint32_t lose = 0; lose <= LOST_MAX; lose++)
				meet(row, offset % 2, offset, lose), meet(row, !(offset % 2), offset, lose);
}

int main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(every_collision) };

	return cmocka_run_group_tests_name("ike/collisions", tests, NULL, NULL);
}
