/*
 * What a peer with valid keys may make of SPIs and of long messages: one SPI for several children, one named
 * again and again, Delete payloads and notifies without number. An SPI names one child of an IKE SA (RFC 7296
 * 1.4.1); a message that is syntactically right is never fatal (2.21.3), however long.
 */
#include "puppet.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>

#include <cmocka.h>

enum { TWIN = 0x2000, REKEYED = 0x7000, MANY = 512 };

static struct puppet p;

static int setup(void **state)
{
	puppet_init(&p);
	p.config.tunnels[0].rekey_s = 20; /* its own timer, before DPD */
	puppet_start(&p);
	if (!puppet_up(&p, true))
		return -1;
	puppet_usage(&p, p.child_in, 100);
	return 0;
}

static int teardown(void **state)
{
	puppet_done(&p);
	return 0;
}

static bool said(uint8_t exchange, bool response)
{
	for (uint32_t i = p.sent_n; i-- > 0;)
		if (puppet_read(&p, i) && p.header.exchange == exchange &&
			!!(p.header.flags & IKE_FLAG_RESPONSE) == response)
			return true;
	return false;
}

static void ask_child(uint32_t spi, uint8_t nonce)
{
	puppet_forget(&p);
	puppet_request(&p, EX_CREATE_CHILD_SA);
	puppet_offer_esp(&p, spi, DH_NONE);
	puppet_nonce(&p, nonce);
	puppet_selectors(&p, 0);
	puppet_send(&p);
	assert_true(said(EX_CREATE_CHILD_SA, true));
}

static void answer_rekey(uint32_t spi)
{
	assert_true(said(EX_CREATE_CHILD_SA, false));
	puppet_response(&p);
	puppet_offer_esp(&p, spi, DH_NONE);
	puppet_nonce(&p, 0x70);
	puppet_selectors_back(&p, 0);
	puppet_forget(&p);
	puppet_send(&p);
}

/* `payloads` Delete payloads with `each` times that SPI. */
static void delete_often(uint32_t spi, unsigned payloads, unsigned each)
{
	static uint32_t spis[2048];

	for (unsigned i = 0; i < each; i++)
		spis[i] = spi;
	puppet_forget(&p);
	puppet_request(&p, EX_INFORMATIONAL);
	for (unsigned i = 0; i < payloads; i++)
		ike_out_delete_esp(&p.out, spis, each);
	puppet_send(&p);
	assert_true(said(EX_INFORMATIONAL, true));
}

/* As responder: a child whose SPI another one has is refused, and is another matter when that one is gone. */
static void twin_of_a_request(void **state)
{
	ask_child(TWIN, 0x80);
	assert_true(puppet_says(&p, NTF_NO_PROPOSAL_CHOSEN));
	assert_non_null(strstr(p.refusal.reason, "SPI 00002000 is in use by another child SA"));
	assert_int_equal(puppet_children(&p), 1);
	assert_string_equal(puppet_state(&p, 0), "established");
	delete_often(TWIN, 1, 1);
	assert_int_equal(puppet_children(&p), 0);
	ask_child(TWIN, 0x81);
	assert_int_equal(puppet_children(&p), 1);
}

/* As initiator: the answer to our rekey may not have the SPI of the old child; ours is taken back. */
static void twin_of_an_answer(void **state)
{
	puppet_forget(&p);
	puppet_run(&p, 19500);
	answer_rekey(TWIN);
	assert_int_equal(p.count[KEEPER_CHILD_INSTALL], 1); /* that of IKE_AUTH */
	assert_true(said(EX_INFORMATIONAL, false));
	assert_int_equal(puppet_delete(&p).spis_n, 1);
	assert_int_equal(load_be32(puppet_delete(&p).spis), p.spis);
	assert_int_equal(puppet_children(&p), 1);
	assert_string_equal(puppet_state(&p, 0), "established");
}

/* While one child is being installed, the peer's request for another with its SPI. */
static void twin_of_one_being_installed(void **state)
{
	puppet_forget(&p);
	puppet_run(&p, 19500);
	p.hold = true;
	answer_rekey(REKEYED);
	ask_child(REKEYED, 0x82);
	assert_true(puppet_says(&p, NTF_NO_PROPOSAL_CHOSEN));
	p.hold = false;
	while (p.asked_n > 0)
		puppet_answer_keeper(&p);
	assert_string_equal(puppet_state(&p, 0), "established");
}

/* The SPI of a child that is being installed, as often as a message holds it: answered for once. */
static void deleted_often_before_it_is_installed(void **state)
{
	static const unsigned shapes[][2] = { { 8, 64 }, { 1, 2000 }, { 600, 1 }, { 9, 65 } };

	for (size_t i = 0; i < COUNT_OF(shapes); i++) {
		puppet_done(&p);
		assert_int_equal(setup(state), 0);
		puppet_forget(&p);
		puppet_run(&p, 19500);
		p.hold = true; /* the keeper waits for the receipt of the ledger, as it does */
		answer_rekey(REKEYED);
		delete_often(REKEYED, shapes[i][0], shapes[i][1]);
		assert_int_equal(puppet_deletes(&p), 1);
		assert_int_equal(puppet_delete(&p).spis_n, 1);
		assert_int_equal(load_be32(puppet_delete(&p).spis), p.spis);
		p.hold = false;
		while (p.asked_n > 0)
			puppet_answer_keeper(&p);
		assert_int_equal(puppet_children(&p), 1);
		assert_int_equal(p.count[KEEPER_CHILD_REMOVE], 1);
		assert_string_equal(puppet_state(&p, 0), "established");
	}
}

/* All children in one message, each named many times: each is answered for once. */
static void all_deleted_often(void **state)
{
	uint32_t spis[MANY];
	unsigned children = 1;

	while (children < 6) {
		ask_child(TWIN + children, (uint8_t)(0x80 + children));
		children++;
	}
	assert_int_equal(puppet_children(&p), children);
	for (unsigned i = 0; i < MANY; i++)
		spis[i] = TWIN + i % children;
	puppet_forget(&p);
	puppet_request(&p, EX_INFORMATIONAL);
	ike_out_delete_esp(&p.out, spis, MANY);
	puppet_send(&p);
	assert_true(said(EX_INFORMATIONAL, true));
	assert_int_equal(puppet_delete(&p).spis_n, children);
	assert_int_equal(puppet_children(&p), 0);
	assert_string_equal(puppet_state(&p, 0), "established");
}

/* Unknown SPIs fill what is remembered of them, and more than that is forgotten; one said twice counts
 * once. */
static void many_of_nobody_while_an_answer_is_awaited(void **state)
{
	static uint32_t spis[IKE_DEAD_SPIS_MAX];

	puppet_forget(&p);
	puppet_run(&p, 19500);
	assert_true(said(EX_CREATE_CHILD_SA, false));
	for (unsigned i = 0; i < IKE_DEAD_SPIS_MAX; i++)
		spis[i] = i + 1 < IKE_DEAD_SPIS_MAX ? 0x9999 : REKEYED;
	puppet_request(&p, EX_INFORMATIONAL);
	for (unsigned i = 0; i < 40; i++)
		ike_out_delete_esp(&p.out, spis, IKE_DEAD_SPIS_MAX);
	puppet_send(&p);
	answer_rekey(REKEYED); /* which it deleted: the answer had been lost */
	assert_int_equal(p.count[KEEPER_CHILD_INSTALL], 1);
	assert_string_equal(puppet_state(&p, 0), "established");
}

/* 3.10.1: status notifies that are not known are ignored, in any number; so are all that find no room. */
static void notifies_without_number(void **state)
{
	static const uint16_t types[] = { NTF_SET_WINDOW_SIZE, 16397, 40960, NTF_NAT_DETECTION_SOURCE_IP };

	for (size_t i = 0; i < COUNT_OF(types); i++) {
		puppet_forget(&p);
		puppet_request(&p, EX_INFORMATIONAL);
		for (unsigned k = 0; k < 900; k++)
			ike_out_notify(&p.out, types[i], NULL, 0);
		puppet_send(&p);
		assert_true(said(EX_INFORMATIONAL, true));
		assert_int_equal(p.payloads.notifies_n, 0);
		assert_string_equal(puppet_state(&p, 0), "established");
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(twin_of_a_request, setup, teardown),
		cmocka_unit_test_setup_teardown(twin_of_an_answer, setup, teardown),
		cmocka_unit_test_setup_teardown(twin_of_one_being_installed, setup, teardown),
		cmocka_unit_test_setup_teardown(deleted_often_before_it_is_installed, setup, teardown),
		cmocka_unit_test_setup_teardown(all_deleted_often, setup, teardown),
		cmocka_unit_test_setup_teardown(many_of_nobody_while_an_answer_is_awaited, setup, teardown),
		cmocka_unit_test_setup_teardown(notifies_without_number, setup, teardown),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
