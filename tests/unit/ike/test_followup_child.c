/*
 * Child SAs with IKE_FOLLOWUP_KE (RFC 9370), with a peer that says what it likes when it likes: what becomes of one that does not come to
 * its end, and of two at once. Those that are carried through with a real keeper: sim_ike.
 */
#include "puppet.h"

#include "crypto/mlkem.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>

#include <cmocka.h>

static struct puppet p;

static int setup(void **state)
{
	(void)state;
	puppet_init(&p);
	p.setup.mlkem = true;
	p.config.esp[1].additional[0] = MLKEM_768;
	p.config.esp[0] = p.config.esp[1];
	puppet_start(&p);
	if (!puppet_up(&p, true))
		return -1;
	puppet_usage(&p, p.child_in, 100);
	p.child_additional = MLKEM_768;
	puppet_forget(&p);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	puppet_done(&p);
	return 0;
}

/* The last message of that kind; then it is the one read. */
static bool said(uint8_t exchange, bool response)
{
	for (uint32_t i = p.sent_n; i-- > 0;)
		if (puppet_read(&p, i) && p.header.exchange == exchange &&
			!!(p.header.flags & IKE_FLAG_RESPONSE) == response)
			return true;
	return false;
}

/* rekeys: SPI of the peer's, 0: a new one of tunnel 1. */
static void peer_creates(uint32_t spi, uint32_t rekeys, uint8_t nonce)
{
	uint8_t old[4];

	puppet_request(&p, EX_CREATE_CHILD_SA);
	store_be32(old, rekeys);
	if (rekeys)
		ike_out_notify_spi(&p.out, NTF_REKEY_SA, IKE_PROTO_ESP, old, 4, NULL, 0);
	puppet_offer_esp(&p, spi, DH_ECP_256);
	puppet_nonce(&p, nonce);
	puppet_ke(&p, DH_ECP_256);
	puppet_selectors(&p, rekeys ? 0 : 1);
	puppet_send(&p);
	assert_true(said(EX_CREATE_CHILD_SA, true));
}

struct link_value {
	uint8_t at[64];
	size_t n;
};

/* Of the message that was read last. */
static struct link_value link_said(void)
{
	const struct ike_notify *v = ike_notify_find(&p.payloads, NTF_ADDITIONAL_KEY_EXCHANGE);
	struct link_value l = { .n = v ? v->data.n : 0 };

	assert_true(v && l.n > 0 && l.n <= sizeof l.at);
	memcpy(l.at, v->data.at, l.n);
	return l;
}

static void peer_follows(const struct link_value *l, uint16_t method, size_t n)
{
	static const uint8_t key[1568];

	puppet_request(&p, EX_IKE_FOLLOWUP_KE);
	ike_out_ke(&p.out, method, key, n);
	ike_out_notify(&p.out, NTF_ADDITIONAL_KEY_EXCHANGE, l->at, l->n);
	puppet_send(&p);
	assert_true(said(EX_IKE_FOLLOWUP_KE, true));
}

static void order_rekey(uint8_t nonce)
{
	p.nonce = nonce;
	assert_int_equal(ike_input_order(p.core, p.now, IKE_ORDER_REKEY_CHILD, "t0", NULL), RC_OK);
	puppet_settle(&p);
	assert_true(said(EX_CREATE_CHILD_SA, false));
}

/* Within two minutes, in which liveness checks are answered. */
static bool begun_again(void)
{
	for (uint32_t ms = 0; ms < 120000; ms += 500) {
		puppet_run(&p, 500);
		if (said(EX_CREATE_CHILD_SA, false))
			return true;
		if (!said(EX_INFORMATIONAL, false))
			continue;
		puppet_response(&p);
		puppet_forget(&p);
		puppet_send(&p);
	}
	return false;
}

/* The message that was read last is our CREATE_CHILD_SA. */
static void peer_answers(uint32_t spi, uint8_t nonce, bool with_link)
{
	puppet_response(&p);
	puppet_offer_esp(&p, spi, DH_ECP_256);
	puppet_nonce(&p, nonce);
	puppet_ke(&p, DH_ECP_256);
	puppet_selectors_back(&p, 0);
	if (with_link)
		ike_out_notify(&p.out, NTF_ADDITIONAL_KEY_EXCHANGE, "link", 4);
	puppet_send(&p);
}

static void peer_answers_followup(void)
{
	static const uint8_t ciphertext[1088];

	assert_true(said(EX_IKE_FOLLOWUP_KE, false));
	puppet_response(&p);
	ike_out_ke(&p.out, MLKEM_768, ciphertext, sizeof ciphertext);
	puppet_send(&p);
}

static void peers(void **state)
{
	struct link_value l;

	peer_creates(0x3000, 0, 0x60);
	assert_int_equal(p.payloads.sa.proposals_n, 1);
	l = link_said();
	assert_int_equal(p.count[KEEPER_CHILD_INSTALL], 1); /* that of IKE_AUTH */
	peer_follows(&l, MLKEM_768, 1184);
	assert_int_equal(p.payloads.ke_group, MLKEM_768);
	assert_int_equal(p.payloads.ke.n, 1088);
	assert_int_equal(puppet_children(&p), 2);
	assert_int_equal(p.last_install.additional[0], MLKEM_768);
	assert_int_equal(p.last_install.peer_nonce[0], 0x60);
	peer_follows(&l, MLKEM_768, 1184); /* it is over */
	assert_true(puppet_says(&p, NTF_STATE_NOT_FOUND));
	assert_int_equal(puppet_children(&p), 2);
}

static void peers_with_another_value(void **state)
{
	static const struct {
		uint16_t method;
		size_t n;
	} wrong[] = { { MLKEM_1024, 1568 }, { MLKEM_768, 1183 }, { DH_ECP_256, 64 } };

	for (size_t i = 0; i < COUNT_OF(wrong); i++) {
		struct link_value l;

		peer_creates(0x3000 + (uint32_t)i, 0, 0x60);
		l = link_said();
		peer_follows(&l, wrong[i].method, wrong[i].n);
		assert_true(puppet_says(&p, NTF_INVALID_SYNTAX));
		peer_follows(&l, MLKEM_768, 1184);
		assert_true(puppet_says(&p, NTF_STATE_NOT_FOUND));
	}
	assert_int_equal(puppet_children(&p), 1);
	assert_int_equal(p.count[KEEPER_DROP], COUNT_OF(wrong));
}

/* One at a time for each IKE SA, the newest, and for a while only. */
static void peers_that_is_left(void **state)
{
	struct link_value first, second;

	peer_creates(0x3000, 0, 0x60);
	first = link_said();
	peer_creates(0x3001, 0, 0x61);
	second = link_said();
	assert_int_equal(p.count[KEEPER_DROP], 1);
	peer_follows(&first, MLKEM_768, 1184);
	assert_true(puppet_says(&p, NTF_STATE_NOT_FOUND));
	puppet_run(&p, IKE_FOLLOWUP_S * 1000 + 100);
	assert_int_equal(p.count[KEEPER_DROP], 2);
	peer_follows(&second, MLKEM_768, 1184);
	assert_true(puppet_says(&p, NTF_STATE_NOT_FOUND));
	assert_int_equal(puppet_children(&p), 1);
	peer_creates(0x3002, 0, 0x62);
	puppet_request(&p, EX_INFORMATIONAL); /* the IKE SA ends meanwhile */
	ike_out_delete_ike(&p.out);
	puppet_send(&p);
	assert_int_equal(p.count[KEEPER_DROP], 4); /* and the IKE SA itself */
	assert_int_equal(puppet_children(&p), 0);
}

/* It begins one after another and goes on with none: what we want has its turn nevertheless. */
static void peers_without_end(void **state)
{
	uint32_t begun = 0;

	peer_creates(0x3000, 0, 0x60);
	assert_int_equal(ike_input_order(p.core, p.now, IKE_ORDER_REKEY_CHILD, "t0", NULL), RC_OK);
	puppet_settle(&p);
	puppet_forget(&p);
	for (; !said(EX_CREATE_CHILD_SA, false); begun++) {
		assert_true(begun <= IKE_FOLLOWUPS_S / (IKE_FOLLOWUP_S / 2));
		peer_creates(0x3001 + begun, 0, 0x60);
		puppet_forget(&p);
		puppet_run(&p, IKE_FOLLOWUP_S * 1000 / 2);
	}
	assert_true(begun > 2); /* it had its time */
}

/* What it was to replace is gone before its end. */
static void peers_rekey_of_one_that_is_gone(void **state)
{
	struct link_value l;
	uint32_t out = p.child_out;

	peer_creates(0x3000, out, 0x60);
	l = link_said();
	puppet_request(&p, EX_INFORMATIONAL);
	ike_out_delete_esp(&p.out, &out, 1);
	puppet_send(&p);
	assert_int_equal(puppet_children(&p), 0);
	peer_follows(&l, MLKEM_768, 1184);
	assert_true(puppet_says(&p, NTF_TEMPORARY_FAILURE));
	assert_int_equal(puppet_children(&p), 0);
}

static void ours(void **state)
{
	order_rekey(0x40);
	assert_int_equal(p.payloads.sa.transforms[2].type, TT_ADDKE_FIRST);
	peer_answers(0x4000, 0x50, true);
	assert_true(said(EX_IKE_FOLLOWUP_KE, false));
	assert_int_equal(link_said().n, 4);
	assert_int_equal(puppet_children(&p), 1);
	peer_answers_followup();
	assert_int_equal(p.last_install.spi_out, 0x4000);
	assert_int_equal(p.last_install.additional[0], MLKEM_768);
	assert_int_equal(p.last_install.peer_nonce[0], 0x50);
	assert_true(p.last_install.peer_ke_n == 64);
	assert_true(said(EX_INFORMATIONAL, false)); /* the old one is deleted */
	assert_int_equal(puppet_children(&p), 1);
	assert_int_equal(puppet_ike_sas(&p), 1);
}

/* A response that cannot be followed up ends our attempt and nothing else; so do STATE_NOT_FOUND and the keeper's refusals, and it is begun
 * again. */
static void ours_that_fails(void **state)
{
	order_rekey(0x40);
	for (int how = 0; how < 4; how++) {
		uint32_t dropped;

		assert_true(said(EX_CREATE_CHILD_SA, false));
		dropped = p.count[KEEPER_DROP];
		p.fail[KEEPER_CHILD_ADDITIONAL_BEGIN] = how == 1 ? RC_AGAIN : RC_OK;
		p.fail[KEEPER_CHILD_ADDITIONAL_FINISH] = how == 3 ? RC_INTERNAL : RC_OK;
		peer_answers(0x4000 + (uint32_t)how, 0x50, how != 0);
		if (how == 2) {
			assert_true(said(EX_IKE_FOLLOWUP_KE, false));
			puppet_response(&p);
			ike_out_notify(&p.out, NTF_STATE_NOT_FOUND, NULL, 0);
			puppet_send(&p);
		}
		if (how == 3) { /* the last one: the peer has it, and is told */
			peer_answers_followup();
			assert_true(said(EX_INFORMATIONAL, false));
			assert_int_equal(puppet_deletes(&p), 1);
			break;
		}
		assert_int_equal(p.count[KEEPER_DROP], dropped + 1);
		assert_int_equal(puppet_children(&p), 1);
		assert_false(said(EX_INFORMATIONAL, false));
		p.fail[KEEPER_CHILD_ADDITIONAL_BEGIN] = RC_OK;
		puppet_forget(&p);
		assert_true(begun_again());
	}
	assert_int_equal(puppet_ike_sas(&p), 1);
}

/* The peer deletes it before its last response, which was lost, has come again. */
static void ours_that_is_deleted_early(void **state)
{
	uint32_t spi = 0x4000;

	order_rekey(0x40);
	peer_answers(spi, 0x50, true);
	puppet_request(&p, EX_INFORMATIONAL);
	ike_out_delete_esp(&p.out, &spi, 1);
	puppet_send(&p);
	peer_answers_followup();
	assert_int_equal(puppet_children(&p), 1);
	assert_int_equal(p.count[KEEPER_CHILD_INSTALL], 1);
}

/* Ours is answered and goes on: the peer's, which comes later, is put off. Of another child SA it is served. */
static void theirs_comes_late(void **state)
{
	order_rekey(0x40);
	peer_answers(0x4000, 0x50, true);
	peer_creates(0x3000, p.child_out, 0x60);
	assert_true(puppet_says(&p, NTF_TEMPORARY_FAILURE));
	peer_creates(0x3001, 0, 0x61);
	link_said();
	peer_answers_followup();
	assert_int_equal(p.last_install.spi_out, 0x4000);
}

/* Both at once: when the response to ours is there the nonces decide, and one is not continued. */
static void both_at_once(void **state)
{
	for (int theirs = 0; theirs < 2; theirs++) {
		struct link_value l;
		uint32_t old = p.child_out;

		puppet_forget(&p);
		order_rekey(0x40);
		p.nonce = 0x70;
		peer_creates(0x3000 + (uint32_t)theirs, old, theirs ? 0x60 : 0x10);
		l = link_said();
		assert_true(said(EX_CREATE_CHILD_SA, false));
		peer_answers(0x4000 + (uint32_t)theirs, 0x50,
			true); /* the lowest of ours is 0x40, of theirs 0x10 or 0x60 */
		if (theirs) {
			assert_false(said(EX_IKE_FOLLOWUP_KE, false));
			peer_follows(&l, MLKEM_768, 1184);
			assert_int_equal(p.last_install.spi_out, 0x3001);
			assert_int_equal(p.last_install.rekeys_spi_in, p.child_in);
		} else {
			assert_true(said(EX_IKE_FOLLOWUP_KE, false));
			peer_follows(&l, MLKEM_768, 1184);
			assert_true(puppet_says(&p, NTF_STATE_NOT_FOUND));
			peer_answers_followup();
			assert_int_equal(p.last_install.spi_out, 0x4000);
			assert_true(said(EX_INFORMATIONAL, false));
			puppet_response(&p);
			puppet_send(&p);
			p.child_in = 0;
			p.child_out = 0x4000;
			for (uint32_t cursor = 0; p.child_in == 0;) {
				struct ike_child_view v;

				assert_true(ike_view_child(p.core, &cursor, &v));
				p.child_in = v.replaced ? 0 : v.spi_in;
			}
		}
		assert_int_equal(puppet_children(&p), 1);
	}
}

int main(void)
{
#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
	const struct CMUnitTest tests[] = {
		T(peers),
		T(peers_with_another_value),
		T(peers_that_is_left),
		T(peers_without_end),
		T(peers_rekey_of_one_that_is_gone),
		T(ours),
		T(ours_that_fails),
		T(ours_that_is_deleted_early),
		T(theirs_comes_late),
		T(both_at_once),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
