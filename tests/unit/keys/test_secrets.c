/*
 * Where secrets are and where they are not: nothing that leaves the core holds one but SK_e towards ike and
 * the child's keys towards the data plane; and when their time is over they are gone from its memory. Each
 * search is first shown to find what is there.
 */
#include "pair.h"

#include "crypto/dh.h"
#include "crypto/sign.h"
#include "keys/derive.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

static struct pair p;

/* All secrets of an IKE SA and its first child, computed beside the core from what the generators gave. */
static struct {
	uint8_t scalar[32], shared[32], seed[32], child_first[36], child_second[36];
	struct ike_keys_all sk;
} known;

static const char psk[] = "a secret of the two";

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

static bool holds(const void *in, size_t in_n, const void *what, size_t n)
{
	return memmem(in, in_n, what, n) != NULL;
}

static bool in_memory(const void *what, size_t n)
{
	size_t size;
	const void *memory = keys_memory(p.side[0].keys, &size);

	return holds(memory, size, what, n);
}

/* After pair_begin() and pair_finish(): hq is the initiator, its first draw was for this exchange. */
static void compute(void)
{
	struct keys_entropy drawn = side_drawn(&p.side[0], 1);
	struct octets ni = { p.side[0].begun.nonce, 32 }, nr = { p.side[1].begun.nonce, 32 };
	struct dh_secret dh;
	uint8_t ke[32];

	assert_int_equal(dh_generate(&dh, ke, DH_CURVE25519, drawn.secret), RC_OK);
	assert_memory_equal(ke, p.side[0].begun.ke, 32);
	memcpy(known.scalar, dh.scalar, 32);
	assert_int_equal(dh_shared(&dh, p.side[1].begun.ke, 32, known.shared, NULL), RC_OK);
	assert_int_equal(derive_skeyseed(5, ni, nr, (struct octets){ known.shared, 32 }, known.seed), RC_OK);
	assert_int_equal(derive_ike_keys(5, (struct octets){ known.seed, 32 }, ni, nr, p.spi_i, p.spi_r, 36,
				 0, &known.sk),
		RC_OK);
	assert_int_equal(derive_keymat(5, (struct octets){ known.sk.sk.sk_d, 32 }, ni, nr,
				 (struct octets){ known.shared, 0 }, (struct octets){ 0 }, known.child_first,
				 known.child_second, 36),
		RC_OK);
}

/* Every octet that goes to ike or to the ledger. */
static bool leaves(const void *what, size_t n)
{
	for (size_t i = 0; i < p.side[0].actions_n; i++) {
		const struct keys_action *a = &p.side[0].actions[i];

		if ((a->kind == KEYS_REPLY && holds(&a->u.reply, sizeof a->u.reply, what, n)) ||
			(a->kind == KEYS_APPEND && holds(&a->u.entry, sizeof a->u.entry, what, n)) ||
			(a->kind == KEYS_SA_REMOVE && holds(&a->u, sizeof a->u, what, n)))
			return true;
	}
	return false;
}

static void nothing_leaves(void **state)
{
	struct keeper_request q = { .op = KEEPER_DROP };

	assert_int_equal(pair_ike(&p), RC_OK);
	assert_int_equal(pair_child(&p, DH_NONE, CHILD_NONCES_OF_IKE), RC_OK);
	assert_int_equal(pair_child(&p, DH_CURVE25519, 0), RC_OK);
	compute();
	q.u.DROP.handle = p.side[0].ike;
	assert_int_equal(side_ask(&p.side[0], &q), RC_OK);
	/* The search finds what has to be there. */
	assert_true(leaves(known.sk.sk_ei, 36));
	assert_true(leaves(known.sk.sk_er, 36));
	assert_true(leaves(p.side[0].begun.nonce, 32));
	assert_true(leaves("sites", 5));
	/* And nothing else: a quarter of a secret would be too much. */
	for (size_t at = 0; at + 8 <= 32; at++) {
		assert_false(leaves(known.scalar + at, 8));
		assert_false(leaves(known.shared + at, 8));
		assert_false(leaves(known.seed + at, 8));
		assert_false(leaves(known.sk.sk.sk_d + at, 8));
		assert_false(leaves(known.sk.sk.sk_pi + at, 8));
		assert_false(leaves(known.sk.sk.sk_pr + at, 8));
		assert_false(leaves(known.child_first + at, 8));
		assert_false(leaves(known.child_second + at, 8));
	}
	assert_false(leaves(psk, 8));
}

/* Private keys neither, whatever they sign with. */
static void no_private_key_leaves(void **state)
{
	for (int kind = 0; kind < PAIR_KEYS; kind++) {
		const char *pem = pair_pem[0][kind];
		struct sign_key key;

		pair_done(&p);
		pair_init(&p);
		pair_use_signatures(&p, (enum pair_key)kind, (enum pair_key)kind);
		assert_int_equal(sign_key_from_pem(&key, pem, strlen(pem), NULL), RC_OK);
		assert_int_equal(pair_ike(&p), RC_OK);
		assert_true(in_memory(key.secret, key.n));
		for (size_t at = 0; at + 8 <= key.n; at++)
			assert_false(leaves(key.secret + at, 8));
		keys_identities_clear(p.side[0].keys);
		assert_false(in_memory(key.secret, key.n));
	}
}

static void secrets_have_their_time(void **state)
{
	struct keeper_request q = { .op = KEEPER_DROP };

	assert_int_equal(pair_begin(&p, 0, 0), RC_OK);
	compute();
	assert_true(in_memory(known.scalar, 32)); /* the exchange is under way */
	assert_int_equal(pair_finish(&p), RC_OK);
	assert_false(in_memory(known.scalar, 32));
	assert_false(in_memory(known.shared, 32));
	assert_false(in_memory(known.seed, 32));
	assert_false(in_memory(known.sk.sk_ei, 36)); /* ike's, not ours */
	assert_false(in_memory(known.sk.sk_er, 36));
	assert_true(in_memory(known.sk.sk.sk_d, 32));
	assert_true(in_memory(known.sk.sk.sk_pi, 32));
	assert_true(in_memory(known.sk.sk.sk_pr, 32));
	assert_int_equal(pair_authenticate(&p), RC_OK);
	/* The child's keys are here while its entry is on the way, and not after the hand-over. */
	assert_int_equal(pair_child_begin(&p, DH_NONE), RC_OK);
	p.side[0].ledger = PAIR_HOLD;
	q = (struct keeper_request){ .op = KEEPER_CHILD_INSTALL };
	q.u.CHILD_INSTALL = side_install_request(&p, 0, CHILD_NONCES_OF_IKE);
	assert_int_equal(side_ask(&p.side[0], &q), RC_AGAIN);
	assert_true(in_memory(known.child_first, 36));
	p.side[0].ledger = PAIR_AT_ONCE;
	side_pump(&p.side[0]);
	assert_int_equal(p.side[0].reply.u.CHILD_INSTALL.rc, RC_OK);
	assert_false(in_memory(known.child_first, 36));
	assert_false(in_memory(known.child_second, 36));
	q = (struct keeper_request){ .op = KEEPER_DROP };
	q.u.DROP.handle = p.side[0].ike;
	assert_int_equal(side_ask(&p.side[0], &q), RC_OK);
	assert_false(in_memory(known.sk.sk.sk_d, 32));
	assert_false(in_memory(known.sk.sk.sk_pi, 32));
	assert_false(in_memory(known.sk.sk.sk_pr, 32));
}

static void refused_child_leaves_nothing(void **state)
{
	struct keeper_request q = { .op = KEEPER_CHILD_INSTALL };

	assert_int_equal(pair_ike(&p), RC_OK);
	compute();
	assert_int_equal(pair_child_begin(&p, DH_NONE), RC_OK);
	p.side[0].receipt_rc = RC_LIMIT;
	q.u.CHILD_INSTALL = side_install_request(&p, 0, CHILD_NONCES_OF_IKE);
	assert_int_equal(side_ask(&p.side[0], &q), RC_DENIED);
	assert_false(in_memory(known.child_first, 36));
	assert_false(in_memory(known.child_second, 36));
}

static void ike_lost_wipes(void **state)
{
	assert_int_equal(pair_ike(&p), RC_OK);
	compute();
	assert_true(in_memory(known.sk.sk.sk_d, 32));
	keys_ike_lost(p.side[0].keys);
	assert_false(in_memory(known.sk.sk.sk_d, 32));
	assert_false(in_memory(known.sk.sk.sk_pi, 32));
	assert_false(in_memory(known.sk.sk.sk_pr, 32));
}

int main(void)
{
#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
	const struct CMUnitTest tests[] = {
		T(nothing_leaves),
		T(no_private_key_leaves),
		T(secrets_have_their_time),
		T(refused_child_leaves_nothing),
		T(ike_lost_wipes),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
