/*
 * `ike terminate` at every moment of a handshake and of a rekey, with both real cores and keepers in the simulator's world: whatever was
 * under way, the tunnel is down afterwards, stays down, and neither side keeps anything of it.
 */
#include "world.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#define STEP_NS	 (NS_PER_MS * 7 / 10)
#define MOMENTS	 200
#define UP_NS	 (15 * NS_PER_S)
#define LATER_NS (120 * NS_PER_S)

static struct world w;

enum under_way { HANDSHAKE, CHILD_REKEY, IKE_REKEY };

/* Node 0 terminates so long after the beginning, by node `who`. True: it was over by then. */
static bool terminate(enum under_way what, int who, mono_ns after, const char *name)
{
	struct sim_side sides[2];
	char text[256];
	const char *wrong;
	uint32_t ike_sas, up;
	bool over;

	memset(&w, 0, sizeof w);
	sim_side_default(&sides[0], 0);
	sim_side_default(&sides[1], 1);
	sides[0].start = sides[1].start = PEER_START_NEVER; /* none comes back by itself */
	world_init(&w, 1, sides);
	w.net.delay_min = w.net.delay_max = 4;
	world_run(&w, NS_PER_S);
	world_order(&w, what == HANDSHAKE ? who : 0, IKE_ORDER_INITIATE, "t0");
	if (what != HANDSHAKE) {
		w.packets = true; /* so that each side knows that the other one has the child SA */
		world_run(&w, UP_NS);
		assert_int_equal(world_tunnels_up(&w, &ike_sas), 1);
		world_order(&w, who, what == CHILD_REKEY ? IKE_ORDER_REKEY_CHILD : IKE_ORDER_REKEY_IKE, "t0");
	}
	world_run(&w, w.now + after);
	over = ike_view_busy(w.nodes[0].ike) == 0 && ike_view_busy(w.nodes[1].ike) == 0 && after > 0;
	world_order(&w, 0, IKE_ORDER_TERMINATE, name);
	world_run(&w, w.now + LATER_NS);
	wrong = world_mismatch(&w, text, sizeof text);
	up = world_tunnels_up(&w, &ike_sas);
	if (wrong || up != 0 || (ike_sas != 0 && strcmp(name, "branch") == 0))
		fail_msg(
			"task %d of node %d, terminated after %llu us by the name %s: %u tunnels, %u IKE SAs, %s",
			what, who, (unsigned long long)after / 1000, name, up, ike_sas,
			wrong ? wrong : "the same on both sides");
	world_done(&w);
	return over;
}

static void at_every_moment(enum under_way what, int who)
{
	uint32_t busy = 0;

	for (uint32_t k = 0; k < MOMENTS; k++)
		busy += !terminate(what, who, k * STEP_NS, k % 2 ? "t0" : "branch");
	assert_in_range(busy, MOMENTS / 8, MOMENTS - 1); /* else this has not looked, or not to its end */
}

static void of_our_handshake(void **state)
{
	at_every_moment(HANDSHAKE, 0);
}

static void of_a_rekey_of_the_child(void **state)
{
	at_every_moment(CHILD_REKEY, 0);
	at_every_moment(CHILD_REKEY, 1);
}

static void of_a_rekey_of_the_ike_sa(void **state)
{
	at_every_moment(IKE_REKEY, 0);
	at_every_moment(IKE_REKEY, 1);
}

/* What `start always` alone wanted is not tried again after a commit that says `start never`. */
static void no_more_by_itself(void **state)
{
	struct sim_side sides[2];
	uint64_t sent;

	memset(&w, 0, sizeof w);
	sim_side_default(&sides[0], 0);
	sim_side_default(&sides[1], 1);
	sides[1].psk = "another pre-shared key of the simulator";
	world_init(&w, 1, sides);
	world_run(&w, 20 * NS_PER_S);
	assert_true(w.nodes[1].refused > 1);
	assert_int_equal(ike_view_busy(w.nodes[0].ike), 0); /* it waits for its next attempt */
	sent = w.nodes[0].sent;
	sides[0].start = PEER_START_NEVER;
	world_reconfigure(&w, 0, &sides[0]);
	world_run(&w, w.now + LATER_NS);
	assert_int_equal(w.nodes[0].sent, sent);
	world_done(&w);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(of_our_handshake),
		cmocka_unit_test(of_a_rekey_of_the_child),
		cmocka_unit_test(of_a_rekey_of_the_ike_sa),
		cmocka_unit_test(no_more_by_itself),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
