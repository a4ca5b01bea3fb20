/*
 * Each value that an exchange took is named by one entry, or reported as unused, once: whatever the
 * exchange meets, and however it ends. None is left out in silence.
 */
#include "pair.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

enum { VALUES_MAX = 3 * PUBLIC_ORDER_WINDOW };

static struct pair p;
/* Of side 0, by count: how often an entry of an exchange named it, and how often it was told unused. */
static uint8_t named[VALUES_MAX], unused[VALUES_MAX];

static int setup(void **state)
{
	pair_init(&p);
	memset(named, 0, sizeof named);
	memset(unused, 0, sizeof unused);
	return 0;
}

static int teardown(void **state)
{
	pair_done(&p);
	return 0;
}

/* What came out since the last time. The pair forgets answered actions: to be called often enough. */
static void gather(struct side *s)
{
	for (size_t i = 0; i < s->actions_n; i++) {
		const struct keys_action *a = &s->actions[i];
		const struct keys_entry *x = &a->u.entry;
		if (a->kind == KEYS_UNUSED) {
			assert_int_equal(a->u.unused.epoch, 1);
			assert_true(
				a->u.unused.leaf.batch == 0 || a->u.unused.leaf.index == a->u.unused.count);
			unused[a->u.unused.count]++;
		}
		if (a->kind == KEYS_APPEND &&
			(x->kind == KEYS_ENTRY_IKE_SA_UP || x->kind == KEYS_ENTRY_IKE_SA_REKEYED ||
				x->kind == KEYS_ENTRY_SA_INSTALL))
			named[x->proof.count]++;
	}
	s->actions_n = s->answered = 0;
}

/* The request that side_ask() makes next will have this value. */
static uint64_t next_value(void)
{
	return p.side[0].drawn + 1;
}

static enum rc drop(uint32_t ike, uint32_t child)
{
	struct keeper_request q = { .op = KEEPER_DROP, .u.DROP = { .handle = ike, .child = child } };

	return side_ask(&p.side[0], &q);
}

static void what_comes_to_something_is_named(void **state)
{
	uint64_t ike = next_value(), child;

	assert_int_equal(pair_ike(&p), RC_OK);
	child = next_value();
	assert_int_equal(pair_child(&p, DH_CURVE25519, 0), RC_OK);
	gather(&p.side[0]);
	assert_int_equal(named[ike], 1);
	assert_int_equal(named[child], 1);
	assert_int_equal(drop(p.side[0].ike, 0), RC_OK);
	keys_stop(p.side[0].keys);
	gather(&p.side[0]);
	assert_int_equal(unused[ike] + unused[child], 0);
}

static void what_is_dropped_is_told(void **state)
{
	uint64_t begun = next_value(), keyed, child;

	assert_int_equal(pair_begin(&p, 0, 0), RC_OK);
	assert_int_equal(drop(p.side[0].ike, 0), RC_OK);
	keyed = next_value();
	assert_int_equal(pair_begin(&p, 0, 0), RC_OK);
	assert_int_equal(pair_finish(&p), RC_OK);
	child = next_value();
	assert_int_equal(pair_child_begin(&p, DH_CURVE25519), RC_OK);
	assert_int_equal(drop(p.side[0].ike, 0), RC_OK); /* with the child in it */
	gather(&p.side[0]);
	assert_int_equal(unused[begun], 1);
	assert_int_equal(unused[keyed], 1);
	assert_int_equal(unused[child], 1);
}

static void what_is_refused_is_told(void **state)
{
	struct keeper_request q = { .op = KEEPER_EXCHANGE_BEGIN, .u.EXCHANGE_BEGIN = { .role = 9 } };
	uint64_t value = next_value();

	assert_int_equal(side_ask(&p.side[0], &q), RC_MALFORMED);
	q = (struct keeper_request){ .op = KEEPER_CHILD_BEGIN };
	assert_int_equal(side_ask(&p.side[0], &q), RC_NOT_FOUND);
	gather(&p.side[0]);
	assert_int_equal(unused[value], 1);
	assert_int_equal(unused[value + 1], 1);
}

/* The ledger refuses, or the IKE SA has ended when it does. */
static void without_a_receipt_it_is_told(void **state)
{
	struct keeper_auth_signed a;
	uint64_t value = next_value();

	for (int dropped = 0; dropped < 2; dropped++) {
		for (int refused = 0; refused < 2; refused++) {
			value = next_value();
			assert_int_equal(pair_begin(&p, 0, 0), RC_OK);
			assert_int_equal(pair_finish(&p), RC_OK);
			assert_int_equal(pair_sign(&p, 0, &a), RC_OK);
			assert_int_equal(pair_verify(&p, 1, &a), RC_OK);
			assert_int_equal(pair_sign(&p, 1, &a), RC_OK);
			p.side[0].ledger = PAIR_HOLD;
			p.side[0].receipt_rc = refused ? RC_LIMIT : RC_OK;
			assert_int_equal(pair_verify(&p, 0, &a), RC_AGAIN);
			gather(&p.side[0]); /* the entry is on its way, and forgotten here */
			if (dropped)
				assert_int_equal(drop(p.side[0].ike, 0), RC_OK);
			gather(&p.side[0]);
			assert_int_equal(unused[value], 0);
			keys_receipt(p.side[0].keys, p.side[0].last_gate, p.side[0].receipt_rc, "");
			if (!dropped)
				assert_int_equal(drop(p.side[0].ike, 0), RC_OK);
			p.side[0].ledger = PAIR_AT_ONCE;
			p.side[0].receipt_rc = RC_OK;
			gather(&p.side[0]);
			assert_int_equal(unused[value], refused);
		}
	}
}

static void a_refused_child_is_told(void **state)
{
	uint64_t child;

	assert_int_equal(pair_ike(&p), RC_OK);
	child = next_value();
	assert_int_equal(pair_child_begin(&p, DH_CURVE25519), RC_OK);
	p.side[0].receipt_rc = RC_LIMIT;
	assert_int_not_equal(pair_child_install(&p, 0), RC_OK);
	gather(&p.side[0]);
	assert_int_equal(unused[child], 1);
}

static void when_ike_is_lost(void **state)
{
	uint64_t begun, child;

	assert_int_equal(pair_ike(&p), RC_OK);
	child = next_value();
	assert_int_equal(pair_child_begin(&p, DH_CURVE25519), RC_OK);
	begun = next_value();
	assert_int_equal(pair_begin(&p, 0, 0), RC_OK);
	keys_ike_lost(p.side[0].keys);
	gather(&p.side[0]);
	assert_int_equal(unused[begun], 1);
	assert_int_equal(unused[child], 1);
}

/* One that is overtaken by too many others ends: it could not be named any more. */
static void what_is_too_old_ends(void **state)
{
	struct keeper_request q = { .op = KEEPER_EXCHANGE_BEGIN,
		.u.EXCHANGE_BEGIN = { .role = KEEPER_INITIATOR, .dh_group = DH_CURVE25519 } };
	uint64_t old;

	assert_int_equal(pair_ike(&p), RC_OK);
	uint32_t standing = p.side[0].ike;
	old = next_value();
	assert_int_equal(side_ask(&p.side[0], &q), RC_OK);
	uint32_t handle = p.side[0].reply.u.EXCHANGE_BEGIN.handle;
	while (next_value() < old + PUBLIC_ORDER_WINDOW) {
		gather(&p.side[0]);
		assert_int_equal(
			unused[old], next_value() + 256 > old + PUBLIC_ORDER_WINDOW ? unused[old] : 0);
		q.op = KEEPER_EXCHANGE_BEGIN;
		q.u.EXCHANGE_BEGIN =
			(struct keeper_exchange_begin){ .role = KEEPER_INITIATOR, .dh_group = DH_CURVE25519 };
		assert_int_equal(side_ask(&p.side[0], &q), RC_OK);
		assert_int_equal(drop(p.side[0].reply.u.EXCHANGE_BEGIN.handle, 0), RC_OK);
	}
	gather(&p.side[0]);
	assert_int_equal(unused[old], 1);
	assert_int_equal(drop(handle, 0), RC_NOT_FOUND);
	assert_int_equal(drop(standing, 0), RC_OK); /* that one is named, and stays */
}

int main(void)
{
#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
	const struct CMUnitTest tests[] = {
		T(what_comes_to_something_is_named),
		T(what_is_dropped_is_told),
		T(what_is_refused_is_told),
		T(without_a_receipt_it_is_told),
		T(a_refused_child_is_told),
		T(when_ike_is_lost),
		T(what_is_too_old_ends),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
