/*
 * The order of requests (KEEPER_OPS): every request in every state of the IKE SA and of the child SA that it
 * names, held against the table and against a grid that is written down here a second time.
 */
#include "pair.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>

#include <cmocka.h>

static struct pair p;
static struct side *side; /* that is asked */

static const struct {
	const char *name;
	uint32_t ike, child;
} ops[] = {
#define E(id, request, reply, ike, child) { #id, ike, child },
	KEEPER_OPS(E)
#undef E
};

static const struct {
	enum rc rc;
	const char *text;
} ike_states[] = {
#define E(id, rc, text) { rc, text },
	KEEPER_IKE_STATES(E)
#undef E
}, child_states[] = {
#define E(id, rc, text) { rc, text },
	KEEPER_CHILD_STATES(E)
#undef E
};

/* x: admissible, -: refused, a blank: the request always names one. In the order of the tables. */
static const char *const ike_grid[KEEPER_OP_COUNT] = {
	/* clang-format off */
	/*                            none
	 *                            | unknown
	 *                            | | begun
	 *                            | | | its parent is gone
	 *                            | | | | an additional key exchange is due
	 *                            | | | | | and begun
	 *                            | | | | | | keyed, initiator
	 *                            | | | | | | | signed
	 *                            | | | | | | | | keyed, responder
	 *                            | | | | | | | | | verifying
	 *                            | | | | | | | | | | authenticated */
	[KEEPER_EXCHANGE_BEGIN]    = "x - - - - - - - - - x",
	[KEEPER_EXCHANGE_FINISH]   = "  - x - - - - - - - -",
	[KEEPER_EXCHANGE_ANSWER]   = "x - - - - - - - - - x",
	[KEEPER_ADDITIONAL_BEGIN]  = "  - - - x - - - - - -",
	[KEEPER_ADDITIONAL_FINISH] = "  - - - - x - - - - -",
	[KEEPER_AUTH_SIGN]         = "  - - - - - x x - - x",
	[KEEPER_AUTH_VERIFY]       = "  - - - - - - x x - -",
	[KEEPER_CHILD_BEGIN]       = "  - - - - - x x x - x",
	[KEEPER_CHILD_ADDITIONAL_BEGIN]  = "  - - - - - - - - - x",
	[KEEPER_CHILD_ADDITIONAL_FINISH] = "  - - - - - - - - - x",
	[KEEPER_CHILD_INSTALL]     = "  - - - - - - - - - x",
	[KEEPER_CHILD_REMOVE]      = "x                    ",
	[KEEPER_DROP]              = "x - x x x x x x x x x",
	/* clang-format on */
};

static const char *const child_grid[KEEPER_OP_COUNT] = {
	/* clang-format off */
	/*                         none
	 *                         | unknown
	 *                         | | begun
	 *                         | | | in an additional key exchange
	 *                         | | | | installing
	 *                         | | | | | installed
	 *                         | | | | | | removing */
	[KEEPER_EXCHANGE_BEGIN]  = "x            ",
	[KEEPER_EXCHANGE_FINISH] = "x            ",
	[KEEPER_EXCHANGE_ANSWER] = "x            ",
	[KEEPER_ADDITIONAL_BEGIN]  = "x            ",
	[KEEPER_ADDITIONAL_FINISH] = "x            ",
	[KEEPER_AUTH_SIGN]       = "x            ",
	[KEEPER_AUTH_VERIFY]     = "x            ",
	[KEEPER_CHILD_BEGIN]     = "x            ",
	[KEEPER_CHILD_ADDITIONAL_BEGIN]  = "  - x - - - -",
	[KEEPER_CHILD_ADDITIONAL_FINISH] = "  - - x - - -",
	[KEEPER_CHILD_INSTALL]   = "  - x - - - -",
	[KEEPER_CHILD_REMOVE]    = "x - x x - x -",
	[KEEPER_DROP]            = "x - x x - - -",
	/* clang-format on */
};

static const char *reply_text(const struct keeper_reply *r)
{
	switch (r->op) {
#define E(id, request, reply, ike, child)                                                                    \
	case KEEPER_##id:                                                                                    \
		return r->u.id.text;
		KEEPER_OPS(E)
#undef E
	case KEEPER_OP_COUNT:
		break;
	}
	return "";
}

/* One that names this IKE SA and this child SA, and holds no values: what is admitted fails at them. */
static struct keeper_request request_naming(enum keeper_op op, uint32_t ike, uint32_t child)
{
	struct keeper_request q = { .op = op };

	switch (op) {
	case KEEPER_EXCHANGE_BEGIN:
		q.u.EXCHANGE_BEGIN.parent = ike;
		break;
	case KEEPER_EXCHANGE_FINISH:
		q.u.EXCHANGE_FINISH.handle = ike;
		break;
	case KEEPER_EXCHANGE_ANSWER:
		q.u.EXCHANGE_ANSWER.parent = ike;
		break;
	case KEEPER_ADDITIONAL_BEGIN:
		q.u.ADDITIONAL_BEGIN.handle = ike;
		break;
	case KEEPER_ADDITIONAL_FINISH:
		q.u.ADDITIONAL_FINISH.handle = ike;
		break;
	case KEEPER_AUTH_SIGN:
		q.u.AUTH_SIGN.handle = ike;
		break;
	case KEEPER_AUTH_VERIFY:
		q.u.AUTH_VERIFY.handle = ike;
		break;
	case KEEPER_CHILD_BEGIN:
		q.u.CHILD_BEGIN.handle = ike;
		break;
	case KEEPER_CHILD_ADDITIONAL_BEGIN:
		q.u.CHILD_ADDITIONAL_BEGIN.handle = ike;
		q.u.CHILD_ADDITIONAL_BEGIN.child = child;
		break;
	case KEEPER_CHILD_ADDITIONAL_FINISH:
		q.u.CHILD_ADDITIONAL_FINISH.handle = ike;
		q.u.CHILD_ADDITIONAL_FINISH.child = child;
		break;
	case KEEPER_CHILD_INSTALL:
		q.u.CHILD_INSTALL.handle = ike;
		q.u.CHILD_INSTALL.child = child;
		break;
	case KEEPER_CHILD_REMOVE:
		q.u.CHILD_REMOVE.child = child;
		break;
	case KEEPER_DROP:
		q.u.DROP.handle = ike;
		q.u.DROP.child = child;
		break;
	case KEEPER_OP_COUNT:
		break;
	}
	return q;
}

/* Asks, and holds the answer against what the table says of the state. */
static void ask(enum keeper_op op, uint32_t ike, uint32_t child, bool admissible, enum rc refusal)
{
	struct keeper_request q = request_naming(op, ike, child);
	size_t replies = side->replies;
	uint64_t refused = keys_count(side->keys).refused;
	enum rc rc = side_ask(side, &q);
	bool answered = side->replies > replies;
	bool denied = answered && strstr(reply_text(&side->reply), " is not allowed: ");

	if (denied == admissible || (denied && rc != refusal))
		fail_msg("%s: %s, rc %d", ops[op].name, answered ? reply_text(&side->reply) : "waits", rc);
	if (!denied)
		return;
	assert_int_equal(strncmp(reply_text(&side->reply), ops[op].name, strlen(ops[op].name)), 0);
	/* What is no race of two processes is entered. */
	assert_int_equal(keys_count(side->keys).refused - refused, rc == RC_DENIED);
}

static void drop(struct side *s, uint32_t ike)
{
	struct keeper_request q = request_naming(KEEPER_DROP, ike, 0);

	assert_int_equal(side_ask(s, &q), RC_OK);
}

/* Brings `side` there; its handle. */
static uint32_t reach_ike(enum keeper_ike_state state)
{
	struct keeper_request begin = { .op = KEEPER_ADDITIONAL_BEGIN,
		.u.ADDITIONAL_BEGIN.method = MLKEM_768 };
	struct keeper_auth_signed auth;
	uint32_t parent;

	pair_init(&p);
	side = &p.side[0];
	switch (state) {
	case KEEPER_IKE_NONE:
	case KEEPER_IKE_STATE_COUNT:
		return 0;
	case KEEPER_IKE_UNKNOWN:
		assert_int_equal(pair_begin(&p, 0, 0), RC_OK);
		return side->ike + (1u << 14); /* the next generation of a place that is in use */
	case KEEPER_IKE_BEGUN:
		assert_int_equal(pair_begin(&p, 0, 0), RC_OK);
		break;
	case KEEPER_IKE_PARENT_GONE:
		assert_int_equal(pair_ike(&p), RC_OK);
		parent = side->ike;
		assert_int_equal(pair_begin(&p, parent, p.side[1].ike), RC_OK);
		drop(side, parent);
		break;
	case KEEPER_IKE_ADDITIONAL_DUE:
	case KEEPER_IKE_ADDITIONAL_BEGUN:
		p.additional[0] = MLKEM_768;
		assert_int_equal(pair_exchange(&p, 0, 0), RC_OK);
		if (state == KEEPER_IKE_ADDITIONAL_DUE)
			break;
		begin.u.ADDITIONAL_BEGIN.handle = side->ike;
		assert_int_equal(side_ask(side, &begin), RC_OK);
		break;
	case KEEPER_IKE_KEYED_RESPONDER:
		side = &p.side[1];
		__attribute__((fallthrough));
	case KEEPER_IKE_KEYED_INITIATOR:
		assert_int_equal(pair_begin(&p, 0, 0), RC_OK);
		assert_int_equal(pair_finish(&p), RC_OK);
		break;
	case KEEPER_IKE_SIGNED:
		assert_int_equal(pair_begin(&p, 0, 0), RC_OK);
		assert_int_equal(pair_finish(&p), RC_OK);
		assert_int_equal(pair_sign(&p, 0, &auth), RC_OK);
		break;
	case KEEPER_IKE_VERIFYING:
		side = &p.side[1];
		assert_int_equal(pair_begin(&p, 0, 0), RC_OK);
		assert_int_equal(pair_finish(&p), RC_OK);
		assert_int_equal(pair_sign(&p, 0, &auth), RC_OK);
		side->ledger = PAIR_HOLD;
		assert_int_equal(pair_verify(&p, 1, &auth), RC_AGAIN);
		break;
	case KEEPER_IKE_AUTHENTICATED:
		assert_int_equal(pair_ike(&p), RC_OK);
		break;
	}
	return side->ike;
}

/* A child SA of `side` that waits for the peer's value of an additional key exchange. */
static uint32_t additional_begun(void)
{
	struct keeper_request q = { .op = KEEPER_CHILD_ADDITIONAL_BEGIN };

	p.child_additional[0] = MLKEM_768;
	assert_int_equal(pair_child_begin(&p, DH_CURVE25519), RC_OK);
	q.u.CHILD_ADDITIONAL_BEGIN = (struct keeper_child_additional_begin){
		.handle = side->ike, .child = side->child, .method = MLKEM_768
	};
	assert_int_equal(side_ask(side, &q), RC_OK);
	return side->child;
}

static void every_request_in_every_state_of_an_ike_sa(void **state)
{
	for (int op = 0; op < KEEPER_OP_COUNT; op++) {
		assert_int_equal(strlen(ike_grid[op]), 2 * KEEPER_IKE_STATE_COUNT - 1);
		for (int is = 0; is < KEEPER_IKE_STATE_COUNT; is++) {
			char want = ike_grid[op][2 * is];
			bool admissible = ops[op].ike >> is & 1;
			uint32_t handle, child = 0;

			if (want == ' ')
				continue;
			if ((want == 'x') != admissible)
				fail_msg("%s, IKE SA %s: the table says %d", ops[op].name,
					ike_states[is].text, admissible);
			handle = reach_ike((enum keeper_ike_state)is);
			if (is == KEEPER_IKE_AUTHENTICATED &&
				(op == KEEPER_CHILD_INSTALL || op == KEEPER_CHILD_ADDITIONAL_BEGIN)) {
				assert_int_equal(pair_child_begin(&p, DH_NONE), RC_OK);
				child = side->child;
			}
			if (is == KEEPER_IKE_NONE && op == KEEPER_DROP) {
				assert_int_equal(pair_ike(&p), RC_OK);
				assert_int_equal(pair_child_begin(&p, DH_NONE), RC_OK);
				child = side->child;
			}
			if (is == KEEPER_IKE_AUTHENTICATED && op == KEEPER_CHILD_ADDITIONAL_FINISH)
				child = additional_begun();
			ask((enum keeper_op)op, handle, child, admissible, ike_states[is].rc);
			pair_done(&p);
		}
	}
}

/* A child of an authenticated IKE SA; its handle. */
static uint32_t reach_child(enum keeper_child_state state)
{
	struct keeper_request q = { .op = KEEPER_CHILD_INSTALL };

	reach_ike(KEEPER_IKE_AUTHENTICATED);
	if (state == KEEPER_CHILD_IS_NONE)
		return 0;
	if (state == KEEPER_CHILD_IS_ADDITIONAL)
		return additional_begun();
	assert_int_equal(pair_child_begin(&p, DH_NONE), RC_OK);
	if (state == KEEPER_CHILD_IS_BEGUN)
		return side->child;
	if (state == KEEPER_CHILD_IS_UNKNOWN)
		return side->child + (1u << 14);
	if (state == KEEPER_CHILD_IS_INSTALLING)
		side->ledger = PAIR_HOLD;
	q.u.CHILD_INSTALL = side_install_request(&p, 0, CHILD_NONCES_OF_IKE);
	assert_int_equal(side_ask(side, &q), state == KEEPER_CHILD_IS_INSTALLING ? RC_AGAIN : RC_OK);
	if (state != KEEPER_CHILD_IS_REMOVING)
		return side->child;
	side->dataplane = PAIR_HOLD;
	q = request_naming(KEEPER_CHILD_REMOVE, 0, side->child);
	assert_int_equal(side_ask(side, &q), RC_AGAIN); /* waits for the data plane */
	return side->child;
}

static void every_request_in_every_state_of_a_child_sa(void **state)
{
	for (int op = 0; op < KEEPER_OP_COUNT; op++) {
		assert_int_equal(strlen(child_grid[op]), 2 * KEEPER_CHILD_STATE_COUNT - 1);
		for (int is = 0; is < KEEPER_CHILD_STATE_COUNT; is++) {
			char want = child_grid[op][2 * is];
			bool admissible = ops[op].child >> is & 1;
			uint32_t handle;

			if (want == ' ')
				continue;
			if ((want == 'x') != admissible)
				fail_msg("%s, child SA %s: the table says %d", ops[op].name,
					child_states[is].text, admissible);
			if (!(ops[op].ike >> KEEPER_IKE_AUTHENTICATED & 1) && op != KEEPER_CHILD_REMOVE)
				continue; /* names no child SA: the other grid */
			handle = reach_child((enum keeper_child_state)is);
			ask((enum keeper_op)op, side->ike, handle, admissible, child_states[is].rc);
			pair_done(&p);
		}
	}
}

/* A child SA that was begun in another IKE SA is unknown to this one. */
static void children_of_another_ike_sa(void **state)
{
	uint32_t other;

	reach_ike(KEEPER_IKE_AUTHENTICATED);
	other = side->ike;
	assert_int_equal(pair_ike(&p), RC_OK);
	assert_int_equal(pair_child_begin(&p, DH_NONE), RC_OK);
	ask(KEEPER_CHILD_INSTALL, other, side->child, false, RC_NOT_FOUND);
	ask(KEEPER_CHILD_INSTALL, side->ike, side->child, true, RC_OK);
	pair_done(&p);
}

/* Only handles that were given out are known: with an empty table, of no place, of a place after the last. */
static void handles_that_are_none(void **state)
{
	static const uint32_t handles[] = { 0, 1, 1u << 14, 1u << 14 | 1, 1u << 14 | 2, 0x3fff, 0xffffffff };

	pair_init(&p);
	side = &p.side[0];
	for (int op = 0; op < KEEPER_OP_COUNT; op++)
		for (size_t i = 0; i < COUNT_OF(handles); i++)
			if (op != KEEPER_CHILD_REMOVE &&
				(handles[i] != 0 ||
					(op != KEEPER_EXCHANGE_BEGIN && op != KEEPER_EXCHANGE_ANSWER)))
				ask((enum keeper_op)op, handles[i],
					op == KEEPER_CHILD_INSTALL ? handles[i] : 0, false, RC_NOT_FOUND);
	for (size_t i = 1; i < COUNT_OF(handles); i++) {
		ask(KEEPER_CHILD_REMOVE, 0, handles[i], false, RC_NOT_FOUND);
		ask(KEEPER_DROP, 0, handles[i], false, RC_NOT_FOUND);
	}
	pair_done(&p);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_request_in_every_state_of_an_ike_sa),
		cmocka_unit_test(every_request_in_every_state_of_a_child_sa),
		cmocka_unit_test(children_of_another_ike_sa),
		cmocka_unit_test(handles_that_are_none),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
