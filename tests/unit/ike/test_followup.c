/*
 * A rekey of the IKE SA with IKE_FOLLOWUP_KE (RFC 9370), with a peer that says what it likes when it likes: what becomes of one that
 * does not come to its end. Those that do: test_additional.c and sim_ike.
 */
#include "puppet.h"

#include "crypto/mlkem.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>

#include <cmocka.h>

static struct puppet p;
static const uint8_t spi[8] = { 0xee, 1 }, other_spi[8] = { 0xee, 2 };

/* Without an additional key exchange, which the proposals of both have as well. */
static int setup(void **state)
{
	(void)state;
	puppet_init(&p);
	p.setup.mlkem = true;
	p.config.ike[1] = p.config.ike[0];
	p.config.ike[1].additional[0] = MLKEM_768;
	puppet_start(&p);
	if (!puppet_up(&p, true))
		return -1;
	puppet_usage(&p, p.child_in, 100);
	p.additional = MLKEM_768;
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

static void peer_rekeys(const uint8_t of[8], uint8_t nonce)
{
	puppet_request(&p, EX_CREATE_CHILD_SA);
	puppet_offer_ike(&p, of);
	puppet_nonce(&p, nonce);
	puppet_ke(&p, DH_CURVE25519);
	puppet_send(&p);
	assert_true(said(EX_CREATE_CHILD_SA, true));
	assert_int_equal(p.payloads.sa.proposals_n, 1);
}

/* With the link of the response that was read last. */
static void peer_follows(void)
{
	static const uint8_t key[1184];
	uint8_t link[8];
	const struct ike_notify *v = ike_notify_find(&p.payloads, NTF_ADDITIONAL_KEY_EXCHANGE);

	assert_true(v && v->data.n == sizeof link);
	memcpy(link, v->data.at, sizeof link);
	puppet_request(&p, EX_IKE_FOLLOWUP_KE);
	ike_out_ke(&p.out, MLKEM_768, key, sizeof key);
	ike_out_notify(&p.out, NTF_ADDITIONAL_KEY_EXCHANGE, link, sizeof link);
	puppet_send(&p);
	assert_true(said(EX_IKE_FOLLOWUP_KE, true));
}

static uint32_t in_state(const char *state)
{
	uint32_t n = 0;

	for (uint32_t i = 0; puppet_state(&p, i)[0] != '\0'; i++)
		n += strcmp(puppet_state(&p, i), state) == 0;
	return n;
}

/* Both rekey, ours is the one that would stay, and the keeper cannot go on with it: the peer's is the successor, and not both or none. */
static void ours_fails_while_theirs_stands(void **state)
{
	uint8_t answer[8];

	(void)state;
	/* The first one with an additional key exchange, on which the test goes on. */
	peer_rekeys(spi, 0x60);
	memcpy(answer, p.payloads.sa.proposals[0].spi, 8);
	peer_follows();
	assert_int_equal(in_state("replaced"), 1);
	puppet_request(&p, EX_INFORMATIONAL);
	ike_out_delete_ike(&p.out);
	puppet_send(&p);
	memcpy(p.spi_i, spi, 8);
	memcpy(p.spi_r, answer, 8);
	p.own_id = 0;
	puppet_run(&p, 25000); /* what only repeats its last answer goes */
	assert_int_equal(puppet_ike_sas(&p), 1);
	puppet_forget(&p);

	p.nonce = 0x40;
	assert_int_equal(ike_input_order(p.core, p.now, IKE_ORDER_REKEY_IKE, "t0", NULL), RC_OK);
	puppet_settle(&p);
	assert_true(said(EX_CREATE_CHILD_SA, false));
	assert_int_equal(p.sent_n, 1);
	p.additional = 0;
	peer_rekeys(other_spi, 0x10);
	assert_int_equal(in_state("established"), 2); /* the response to ours decides */
	p.additional = MLKEM_768;
	p.fail[KEEPER_ADDITIONAL_BEGIN] = RC_AGAIN;
	assert_true(said(EX_CREATE_CHILD_SA, false));
	puppet_response(&p);
	puppet_offer_ike(&p, spi);
	puppet_nonce(&p, 0x50);
	puppet_ke(&p, DH_CURVE25519);
	ike_out_notify(&p.out, NTF_ADDITIONAL_KEY_EXCHANGE, "link", 4);
	puppet_send(&p);
	assert_int_equal(in_state("established"), 1);
	assert_int_equal(in_state("replaced"), 1);
	assert_int_equal(puppet_children(&p), 1);
}

/* Its time ends while the keeper works on a child SA of the peer: it is dropped as soon as that is answered. */
static void its_time_ends_in_another_exchange(void **state)
{
	uint32_t dropped;

	(void)state;
	peer_rekeys(spi, 0x60);
	dropped = p.count[KEEPER_DROP];
	puppet_run(&p, (IKE_FOLLOWUP_S - 1) * 1000);
	assert_int_equal(p.count[KEEPER_DROP], dropped);
	p.hold = true;
	puppet_request(&p, EX_CREATE_CHILD_SA);
	puppet_offer_esp(&p, 0x3000, DH_ECP_256);
	puppet_nonce(&p, 0x60);
	puppet_ke(&p, DH_ECP_256);
	puppet_selectors(&p, 1);
	puppet_send(&p);
	assert_int_equal(p.asked_n, 1);
	puppet_run(&p, 2000);
	assert_int_equal(p.count[KEEPER_DROP], dropped);
	p.hold = false;
	puppet_answer_keeper(&p);
	assert_int_equal(puppet_children(&p), 2);
	assert_int_equal(p.count[KEEPER_DROP], dropped + 1);
	assert_int_equal(puppet_ike_sas(&p), 1);
}

/* It begins one rekey after another and goes on with none: what we want has its turn nevertheless. */
static void its_rekeys_are_without_end(void **state)
{
	uint32_t begun = 0;

	(void)state;
	peer_rekeys(spi, 0x60);
	assert_int_equal(ike_input_order(p.core, p.now, IKE_ORDER_REKEY_CHILD, "t0", NULL), RC_OK);
	puppet_settle(&p);
	puppet_forget(&p);
	for (; !said(EX_CREATE_CHILD_SA, false); begun++) {
		assert_true(begun <= IKE_FOLLOWUPS_S / (IKE_FOLLOWUP_S / 2));
		peer_rekeys(begun % 2 ? spi : other_spi, 0x60);
		puppet_forget(&p);
		puppet_run(&p, IKE_FOLLOWUP_S * 1000 / 2);
	}
	assert_true(begun > 2); /* it had its time */
}

int main(void)
{
#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
	const struct CMUnitTest tests[] = {
		T(ours_fails_while_theirs_stands),
		T(its_time_ends_in_another_exchange),
		T(its_rekeys_are_without_end),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
