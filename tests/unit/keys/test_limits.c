/*
 * One test for each row of KEYS_LIMITS that is filled from outside: one peer or tunnel has its share and no
 * more, and the others are still served.
 */
#include "pair.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

static struct pair p;

static int setup(void **state)
{
	pair_init(&p);
	return 0;
}

static int teardown(void **state)
{
	pair_done(&p);
	return 0;
}

/* From here on the peer at the other end is another one, for the configuration and the tunnel. */
static void another_peer(void)
{
	snprintf(p.side[0].config.peers[0].name, sizeof p.side[0].config.peers[0].name, "another");
	snprintf(p.side[0].config.tunnels[0].name, sizeof p.side[0].config.tunnels[0].name, "another");
	keys_configure(p.side[0].keys, &p.side[0].config.head);
}

static enum rc rekey_begin(uint32_t parent)
{
	struct keeper_request q = { .op = KEEPER_EXCHANGE_BEGIN,
		.u.EXCHANGE_BEGIN = {
			.role = KEEPER_INITIATOR, .parent = parent, .dh_group = DH_CURVE25519 } };

	return side_ask(&p.side[0], &q);
}

static void ike_sas_of_one_peer(void **state)
{
	for (unsigned i = 0; i < KEYS_IKE_PER_PEER_MAX; i++) {
		assert_int_equal(pair_ike(&p), RC_OK);
		/* Of the other side, which would be full as well. */
		struct keeper_request q = { .op = KEEPER_DROP, .u.DROP = { .handle = p.side[1].ike } };
		assert_int_equal(side_ask(&p.side[1], &q), RC_OK);
	}
	uint32_t one = p.side[0].ike;
	assert_int_equal(pair_ike(&p), RC_LIMIT);
	assert_non_null(strstr(p.side[0].reply.u.AUTH_VERIFY.text, "peer 'branch' has 32 IKE SAs"));
	assert_int_equal(rekey_begin(one), RC_LIMIT);
	another_peer();
	assert_int_equal(pair_ike(&p), RC_OK);
	assert_int_equal(rekey_begin(p.side[0].ike), RC_OK);
}

/* Rekeys that are begun and not finished count as well. */
static void rekeys_of_one_peer(void **state)
{
	assert_int_equal(pair_ike(&p), RC_OK);
	for (unsigned i = 1; i < KEYS_IKE_PER_PEER_MAX; i++)
		assert_int_equal(rekey_begin(p.side[0].ike), RC_OK);
	assert_int_equal(rekey_begin(p.side[0].ike), RC_LIMIT);
	another_peer();
	assert_int_equal(pair_ike(&p), RC_OK);
}

static void children_of_one_tunnel(void **state)
{
	assert_int_equal(pair_ike(&p), RC_OK);
	for (unsigned i = 0; i < KEYS_CHILDREN_PER_TUNNEL_MAX; i++)
		assert_int_equal(pair_child(&p, DH_NONE, 0), RC_OK);
	assert_int_equal(pair_child_begin(&p, DH_NONE), RC_LIMIT);
	assert_non_null(strstr(p.side[0].reply.u.CHILD_BEGIN.text, "tunnel 'sites' has 608 child SAs"));
	another_peer();
	snprintf(p.side[1].config.tunnels[0].name, sizeof p.side[1].config.tunnels[0].name, "another");
	side_configure(&p.side[1]);
	assert_int_equal(pair_ike(&p), RC_OK);
	assert_int_equal(pair_child(&p, DH_NONE, 0), RC_OK);
}

static void requests_of_one_peer_that_wait(void **state)
{
	struct keeper_auth_signed a;

	p.side[0].ledger = PAIR_HOLD;
	for (unsigned i = 0; i < KEYS_PENDING_PER_PEER_MAX; i++) {
		p.side[0].actions_n = p.side[0].answered = 0;
		assert_int_equal(pair_begin(&p, 0, 0), RC_OK);
		assert_int_equal(pair_finish(&p), RC_OK);
		size_t replies = p.side[0].replies;
		assert_int_equal(pair_sign(&p, 0, &a), RC_AGAIN);
		assert_int_equal(p.side[0].replies, replies); /* it waits */
	}
	assert_int_equal(pair_begin(&p, 0, 0), RC_OK);
	assert_int_equal(pair_finish(&p), RC_OK);
	size_t replies = p.side[0].replies;
	assert_int_equal(pair_sign(&p, 0, &a), RC_AGAIN);
	assert_int_equal(p.side[0].replies, replies + 1); /* it is refused */
	assert_non_null(strstr(p.side[0].reply.u.AUTH_SIGN.text, "32 requests of peer 'branch' are waiting"));
	another_peer();
	assert_int_equal(pair_sign(&p, 0, &a), RC_AGAIN);
	assert_int_equal(p.side[0].replies, replies + 1); /* it waits */
}

int main(void)
{
#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
	const struct CMUnitTest tests[] = {
		T(ike_sas_of_one_peer),
		T(rekeys_of_one_peer),
		T(children_of_one_tunnel),
		T(requests_of_one_peer_that_wait),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
