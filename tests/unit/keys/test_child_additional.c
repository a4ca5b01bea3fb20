/* Additional key exchanges of child SAs (src/keys/child_additional.c): both keepers, with the toy in the place of ML-KEM. */

#include "pair.h"

#include "../../toy_mlkem.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>

#include <cmocka.h>

static struct pair p;

static int setup(void **state)
{
	pair_init(&p);
	assert_int_equal(pair_ike(&p), RC_OK);
	return 0;
}

static int teardown(void **state)
{
	pair_done(&p);
	return 0;
}

/* In all ESP proposals with a group of both sides. */
static void configure(uint16_t first, uint16_t second)
{
	p.child_additional[0] = first;
	p.child_additional[1] = second;
	for (int i = 0; i < 2; i++)
		for (size_t k = 0; k < PAIR_ESP_PROPOSALS; k++)
			if (p.side[i].config.esp[k].dh != DH_NONE)
				memcpy(p.side[i].config.esp[k].additional, p.child_additional,
					sizeof p.child_additional);
}

static enum rc begin_at(int at, uint16_t method, const struct keeper_additional_begun *theirs)
{
	struct keeper_request q = { .op = KEEPER_CHILD_ADDITIONAL_BEGIN };
	struct keeper_child_additional_begin *b = &q.u.CHILD_ADDITIONAL_BEGIN;

	b->handle = p.side[at].ike;
	b->child = p.side[at].child;
	b->method = method;
	if (theirs) {
		b->peer_ke_n = theirs->ke_n;
		memcpy(b->peer_ke, theirs->ke, theirs->ke_n);
	}
	return side_ask(&p.side[at], &q);
}

static enum rc finish_at(int at, const struct keeper_additional_begun *theirs)
{
	struct keeper_request q = { .op = KEEPER_CHILD_ADDITIONAL_FINISH };
	struct keeper_child_additional_finish *f = &q.u.CHILD_ADDITIONAL_FINISH;

	f->handle = p.side[at].ike;
	f->child = p.side[at].child;
	f->peer_ke_n = theirs->ke_n;
	memcpy(f->peer_ke, theirs->ke, theirs->ke_n);
	return side_ask(&p.side[at], &q);
}

/* One exchange; spoil: the initiator gets another ciphertext of the same size. */
static void exchange(uint16_t method, bool spoil)
{
	struct keeper_additional_begun key, ciphertext;
	int i = p.initiator;

	assert_int_equal(begin_at(i, method, NULL), RC_OK);
	key = p.side[i].reply.u.CHILD_ADDITIONAL_BEGIN;
	assert_int_equal(key.ke_n, mlkem_key_size(method));
	assert_int_equal(begin_at(!i, method, &key), RC_OK);
	ciphertext = p.side[!i].reply.u.CHILD_ADDITIONAL_BEGIN;
	assert_int_equal(ciphertext.ke_n, mlkem_ciphertext_size(method));
	ciphertext.ke[0] ^= spoil;
	assert_int_equal(finish_at(i, &ciphertext), RC_OK);
}

static const struct sa_install *installed(int at)
{
	const struct keys_action *last = NULL;

	side_count(&p.side[at], 0, KEYS_SA_INSTALL, &last);
	assert_non_null(last);
	return &last->u.install;
}

static bool keys_agree(void)
{
	return memcmp(installed(0)->key_in, installed(1)->key_out, KEYMAT_MAX) == 0 &&
	       memcmp(installed(0)->key_out, installed(1)->key_in, KEYMAT_MAX) == 0;
}

/*
 * Each side as the initiator, of a curve and of MODP, whose shared secret a responder does not keep; with the keys of an AEAD, and with the
 * longest ones, of an encryption and an integrity algorithm.
 */
static void both_make_the_same_keys(void **state)
{
	static const uint16_t groups[] = { DH_CURVE25519, DH_MODP_2048 };
	static const uint16_t lists[][2] = { { MLKEM_768, 0 }, { MLKEM_1024, 0 }, { MLKEM_1024, MLKEM_768 } };

	for (size_t g = 0; g < 2 * COUNT_OF(groups); g++)
		for (size_t k = 0; k < 2 * COUNT_OF(lists); k++) {
			uint16_t group = groups[g / 2];
			const struct keys_action *entry = NULL;

			p.encr = g % 2 ? ENCR_AES_CBC_SHA512 : ENCR_AES_GCM_16;
			p.bits = 256;
			p.group = group;
			p.initiator = k % 2;
			configure(lists[k / 2][0], lists[k / 2][1]);
			assert_int_equal(pair_child_begin(&p, group), RC_OK);
			exchange(lists[k / 2][0], false);
			if (lists[k / 2][1])
				exchange(lists[k / 2][1], false);
			assert_int_equal(pair_child_install(&p, 0), RC_OK);
			assert_true(keys_agree());
			assert_int_equal(installed(0)->key_n, g % 2 ? KEYMAT_MAX : 36);
			assert_true(installed(0)->key_in[installed(0)->key_n - 1] != 0 ||
				    installed(0)->key_in[installed(0)->key_n - 2] != 0);
			side_count(&p.side[0], 0, KEYS_APPEND, &entry);
			assert_non_null(entry);
			assert_memory_equal(
				entry->u.entry.additional, p.child_additional, sizeof p.child_additional);
		}
}

/* What any of the exchanges gave is in the keys: with another result there are others. */
static void each_result_is_in_the_keys(void **state)
{
	configure(MLKEM_768, MLKEM_1024);
	for (int spoilt = 0; spoilt < 2; spoilt++) {
		assert_int_equal(pair_child_begin(&p, DH_CURVE25519), RC_OK);
		exchange(MLKEM_768, spoilt == 0);
		exchange(MLKEM_1024, spoilt == 1);
		assert_int_equal(pair_child_install(&p, 0), RC_OK);
		assert_false(keys_agree());
	}
}

static enum rc install(const uint16_t additional[ADDITIONAL_MAX])
{
	struct keeper_request q = { .op = KEEPER_CHILD_INSTALL };

	q.u.CHILD_INSTALL = side_install_request(&p, 0, 0);
	memcpy(q.u.CHILD_INSTALL.additional, additional, sizeof q.u.CHILD_INSTALL.additional);
	return side_ask(&p.side[0], &q);
}

/* A compromised ike gets no child SA with fewer exchanges than configured, with others, or in another order. */
static void no_other_exchanges_than_configured(void **state)
{
	static const uint16_t none[2], one[2] = { MLKEM_768 }, both[2] = { MLKEM_768, MLKEM_1024 },
				       other[2] = { MLKEM_1024, MLKEM_768 };

	configure(MLKEM_768, MLKEM_1024);
	assert_int_equal(pair_child_begin(&p, DH_CURVE25519), RC_OK);
	assert_int_equal(install(none), RC_DENIED); /* not configured */
	assert_int_equal(install(both), RC_DENIED); /* not made */
	exchange(MLKEM_768, false);
	assert_int_equal(install(one), RC_DENIED);  /* not configured */
	assert_int_equal(install(both), RC_DENIED); /* not made */
	exchange(MLKEM_1024, false);
	assert_int_equal(install(none), RC_DENIED);
	assert_int_equal(install(other), RC_DENIED); /* not in this order */
	assert_int_equal(install(both), RC_OK);

	assert_int_equal(pair_child_begin(&p, DH_CURVE25519), RC_OK);
	exchange(MLKEM_1024, false);
	exchange(MLKEM_768, false);
	assert_int_equal(install(other), RC_DENIED); /* made, and not configured */
	assert_true(keys_count(p.side[0].keys).refused > 0);
}

static void refusals(void **state)
{
	struct keeper_additional_begun key;
	struct keeper_request q = { .op = KEEPER_CHILD_BEGIN };

	configure(MLKEM_768, MLKEM_1024);
	assert_int_equal(pair_child_begin(&p, DH_CURVE25519), RC_OK);
	assert_int_equal(begin_at(0, DH_CURVE25519, NULL), RC_UNSUPPORTED);
	assert_int_equal(begin_at(0, 0, NULL), RC_UNSUPPORTED);
	assert_int_equal(begin_at(1, MLKEM_768, NULL), RC_MALFORMED); /* a responder's without the key */
	assert_int_equal(begin_at(0, MLKEM_768, NULL), RC_OK);
	key = p.side[0].reply.u.CHILD_ADDITIONAL_BEGIN;
	assert_int_equal(begin_at(0, MLKEM_768, NULL), RC_DENIED); /* it is begun */
	key.ke_n--;
	assert_int_equal(begin_at(1, MLKEM_768, &key), RC_MALFORMED);
	assert_int_equal(finish_at(0, &key), RC_MALFORMED);
	key.ke_n++;
	assert_int_equal(begin_at(1, MLKEM_768, &key), RC_OK);
	assert_int_equal(begin_at(1, MLKEM_768, &key), RC_DENIED); /* twice */
	key = p.side[1].reply.u.CHILD_ADDITIONAL_BEGIN;
	assert_int_equal(finish_at(1, &key), RC_DENIED); /* it has finished with its beginning */

	p.child_additional[0] = 0; /* begun as one without */
	assert_int_equal(pair_child_begin(&p, DH_CURVE25519), RC_OK);
	assert_int_equal(begin_at(0, MLKEM_768, NULL), RC_DENIED);

	q.u.CHILD_BEGIN = (struct keeper_child_begin){ .handle = p.side[0].ike, .role = KEEPER_INITIATOR };
	q.u.CHILD_BEGIN.followed = 1; /* without a group */
	assert_int_equal(side_ask(&p.side[0], &q), RC_MALFORMED);
	q.u.CHILD_BEGIN.dh_group = DH_CURVE25519;
	q.u.CHILD_BEGIN.followed = 2;
	assert_int_equal(side_ask(&p.side[0], &q), RC_MALFORMED);
}

/* What an exchange that comes to nothing had is wiped, in every state. */
static void dropped_in_the_middle(void **state)
{
	for (int begun = 0; begun < 2; begun++) {
		struct keeper_request q = { .op = KEEPER_DROP };

		configure(MLKEM_768, MLKEM_1024);
		assert_int_equal(pair_child_begin(&p, DH_CURVE25519), RC_OK);
		exchange(MLKEM_768, false);
		if (begun)
			assert_int_equal(begin_at(0, MLKEM_1024, NULL), RC_OK);
		assert_int_equal(keys_count(p.side[0].keys).children_begun, 1);
		q.u.DROP.handle = p.side[0].ike;
		q.u.DROP.child = p.side[0].child;
		assert_int_equal(side_ask(&p.side[0], &q), RC_OK);
		assert_int_equal(keys_count(p.side[0].keys).children_begun, 0);
		assert_int_equal(begin_at(0, MLKEM_1024, NULL), RC_NOT_FOUND);
	}
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(both_make_the_same_keys),
		TEST(each_result_is_in_the_keys),
		TEST(no_other_exchanges_than_configured),
		TEST(refusals),
		TEST(dropped_in_the_middle),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
