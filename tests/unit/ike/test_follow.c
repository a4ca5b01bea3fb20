/*
 * A peer behind a NAT that gives it another port or address: who is followed, by what, and who is not. RFC
 * 7296 section 2.23. In both roles.
 */
#include "puppet.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

static struct puppet p;

static const struct {
	const char *name, *address; /* NULL: as before */
	uint16_t port;		    /* 0: as before */
} changes[] = {
	{ "another port", NULL, 31000 },
	{ "another address", "203.0.113.9", 0 },
	{ "another address and port", "203.0.113.9", 31000 },
};

static struct endpoint changed(size_t i)
{
	struct endpoint e = p.at;

	if (changes[i].address)
		assert_int_equal(addr_parse(&e.addr, changes[i].address), RC_OK);
	if (changes[i].port)
		e.port = changes[i].port;
	return e;
}

static void begin_over(bool v6, bool puppet_is_initiator, bool natted, bool core_natted)
{
	puppet_done(&p);
	puppet_init(&p);
	if (v6) {
		assert_int_equal(addr_parse(&p.at.addr, "2001:db8::2"), RC_OK);
		assert_int_equal(addr_parse(&p.core_at.addr, "2001:db8::1"), RC_OK);
		p.config.peers[0].remote = p.at.addr;
		p.config.peers[0].local = p.core_at.addr;
	}
	p.natted = natted;
	p.core_natted = core_natted;
	puppet_start(&p);
	assert_true(puppet_up(&p, puppet_is_initiator));
	assert_int_equal(p.last_install.remote.port, natted || core_natted ? 4500 : 500);
	puppet_usage(&p, p.child_in, 100);
	puppet_run(&p, 1500);
	puppet_forget(&p);
	p.moved = 0;
	p.last_log[0] = '\0';
}

static void begin(bool puppet_is_initiator, bool natted, bool core_natted)
{
	begin_over(false, puppet_is_initiator, natted, core_natted);
}

static int teardown(void **state)
{
	(void)state;
	puppet_done(&p);
	return 0;
}

/* Another child SA on the same IKE SA: of tunnel 1. Gives its inbound SPI. */
static uint32_t second_child(void)
{
	puppet_request(&p, EX_CREATE_CHILD_SA);
	puppet_offer_esp(&p, 0x3000, DH_ECP_256);
	puppet_nonce(&p, 0x60);
	puppet_ke(&p, DH_ECP_256);
	puppet_selectors(&p, 1);
	puppet_send(&p);
	assert_int_equal(puppet_children(&p), 2);
	puppet_run(&p, 100);
	return p.spis;
}

static void expect_shown_at(const struct endpoint *e)
{
	char row[2048], text[ENDPOINT_TEXT_MAX], want[ENDPOINT_TEXT_MAX + 16];
	uint32_t cursor = 0;

	assert_true(ike_show(p.core, p.now, &cursor, row, sizeof row) > 0);
	snprintf(want, sizeof want, "\"remote\":\"%s\"", endpoint_text(text, e));
	if (!strstr(row, want))
		fail_msg("not %s in %s", want, row);
}

/* To there goes what we ask next. */
static void expect_asked_at(const struct endpoint *e)
{
	puppet_forget(&p);
	puppet_run(&p, IKE_DPD_S * 1500);
	assert_true(p.sent_n > 0);
	for (uint32_t i = 0; i < p.sent_n; i++)
		assert_true(endpoint_same(&p.sent[i].remote, e));
}

static void esp_moves_the_ike_sa_and_all_its_children(void **state)
{
	(void)state;
	for (size_t i = 0; i < 2 * COUNT_OF(changes); i++) {
		struct endpoint to;
		uint32_t other;

		begin(i & 1, true, false);
		other = second_child();
		to = changed(i / 2);
		puppet_usage_from(&p, other, 10, &to);
		assert_int_equal(p.moved, 2);
		assert_true(endpoint_same(&p.last_moved.remote, &to));
		assert_non_null(strstr(p.last_log, "moved from 192.0.2.2:4500 to "));
		expect_shown_at(&to);
		/* Said again by what was on its way: no news. */
		p.last_log[0] = '\0';
		puppet_usage_from(&p, p.child_in, 10, &to);
		assert_int_equal(p.moved, 3);
		assert_int_equal(p.last_moved.spi_in, p.child_in);
		assert_int_equal(p.last_log[0], '\0');
		expect_asked_at(&to);
	}
}

static void an_ike_message_moves_them_too(void **state)
{
	(void)state;
	for (size_t i = 0; i < 2 * COUNT_OF(changes); i++) {
		struct endpoint was;

		begin(i & 1, true, false);
		second_child();
		was = p.at;
		p.at = changed(i / 2);
		puppet_request(&p, EX_INFORMATIONAL);
		puppet_end(&p);
		p.buffer[50] ^= 1; /* not authentic */
		puppet_send_bytes(&p, p.buffer, load_be32(p.buffer + 24));
		assert_int_equal(p.moved, 0);
		p.own_id--;
		puppet_request(&p, EX_INFORMATIONAL);
		puppet_send(&p);
		assert_int_equal(p.moved, 2);
		assert_true(endpoint_same(&p.sent[p.sent_n - 1].remote, &p.at));
		expect_shown_at(&p.at);
		/* A repetition is answered where it came from, and moves nothing back. */
		puppet_forget(&p);
		p.at = was;
		p.own_id--;
		puppet_request(&p, EX_INFORMATIONAL);
		puppet_send(&p);
		assert_int_equal(p.moved, 2);
	}
}

/* What came in before the last message that told where the peer is says nothing. */
static void older_packets_move_nothing(void **state)
{
	struct endpoint to;

	(void)state;
	begin(true, true, false);
	to = changed(2);
	puppet_run(&p, 3000);
	puppet_request(&p, EX_INFORMATIONAL);
	puppet_send(&p);
	puppet_run(&p, 500);
	puppet_usage_from(&p, p.child_in, 2000, &to);
	assert_int_equal(p.moved, 0);
	puppet_usage_from(&p, p.child_in, 100, &to);
	assert_int_equal(p.moved, 1);
	/* And another pair's, which is older than the one that was followed. */
	puppet_usage_from(&p, p.child_in, 300, &p.at);
	assert_int_equal(p.moved, 1);
	expect_shown_at(&to);
	/* Another data plane is told once more: the one before may not have read it. */
	p.last_moved.spi_in = 0;
	ike_input_dataplane_up(p.core, p.now);
	puppet_settle(&p);
	assert_int_equal(p.moved, 2);
	assert_int_equal(p.last_moved.spi_in, p.child_in);
	assert_true(endpoint_same(&p.last_moved.remote, &to));
}

/* An address of the other family, or none, cannot be sent to from here. */
static void what_cannot_be_followed_is_not(void **state)
{
	struct endpoint to;

	(void)state;
	begin(true, true, false);
	to = changed(2);
	to.port = 0;
	puppet_usage_from(&p, p.child_in, 10, &to);
	assert_int_equal(addr_parse(&to.addr, "2001:db8::9"), RC_OK);
	to.port = 31000;
	puppet_usage_from(&p, p.child_in, 10, &to);
	assert_int_equal(p.moved, 0);
	/* A peer without a NAT has one place. */
	begin(true, false, true);
	to = changed(2);
	puppet_usage_from(&p, p.child_in, 10, &to);
	p.at = to;
	puppet_request(&p, EX_INFORMATIONAL);
	puppet_send(&p);
	assert_int_equal(p.moved, 0);
}

/* A child SA is installed with the endpoint of before, and the peer moves before the keeper has done it. */
static void a_child_being_installed_moves_with_the_others(void **state)
{
	struct endpoint to;

	(void)state;
	for (int role = 0; role < 2; role++) {
		begin(role, true, false);
		to = changed(2);
		p.hold = true;
		puppet_request(&p, EX_CREATE_CHILD_SA);
		puppet_offer_esp(&p, 0x3000, DH_ECP_256);
		puppet_nonce(&p, 0x60);
		puppet_ke(&p, DH_ECP_256);
		puppet_selectors(&p, 1);
		puppet_send(&p);
		puppet_answer_keeper(&p);
		assert_int_equal(p.asked_n, 1);
		assert_int_equal(p.asked[0].op, KEEPER_CHILD_INSTALL);
		assert_int_equal(p.asked[0].u.CHILD_INSTALL.remote.port, 4500);
		puppet_run(&p, 100);
		puppet_usage_from(&p, p.child_in, 10, &to);
		assert_int_equal(p.moved, 1);
		p.hold = false;
		puppet_answer_keeper(&p);
		assert_int_equal(puppet_children(&p), 2);
		assert_int_equal(p.moved, 2);
		assert_int_equal(p.last_moved.spi_in, p.spis);
		assert_true(endpoint_same(&p.last_moved.remote, &to));
	}
}

/* Our request that was sent to the old endpoint is repeated to the new one, with all its retransmissions. */
static void a_request_under_way_follows(void **state)
{
	struct endpoint to;

	(void)state;
	begin(true, true, false);
	to = changed(1);
	assert_int_equal(ike_input_order(p.core, p.now, IKE_ORDER_REKEY_IKE, "puppet", NULL), RC_OK);
	puppet_settle(&p);
	assert_int_equal(p.sent_n, 1);
	puppet_run(&p, 30000);
	assert_true(p.sent_n > 1);
	puppet_forget(&p);
	puppet_usage_from(&p, p.child_in, 10, &to);
	puppet_run(&p, 1000);
	assert_true(p.sent_n > 0);
	assert_true(endpoint_same(&p.sent[0].remote, &to));
	puppet_run(&p, 29000);
	assert_string_equal(puppet_state(&p, 0), "established");
}

/* The IKE SA that replaces this one is being made while the peer moves. */
static void the_successor_is_where_the_peer_is(void **state)
{
	struct endpoint to;
	uint8_t spi[8] = { 7 };

	(void)state;
	begin(true, true, false);
	to = changed(2);
	p.hold = true;
	puppet_request(&p, EX_CREATE_CHILD_SA);
	puppet_offer_ike(&p, spi);
	puppet_nonce(&p, 0x60);
	puppet_ke(&p, DH_CURVE25519);
	puppet_send(&p);
	assert_int_equal(p.asked_n, 1);
	puppet_run(&p, 100);
	puppet_usage_from(&p, p.child_in, 10, &to);
	p.hold = false;
	puppet_answer_keeper(&p);
	assert_int_equal(puppet_ike_sas(&p), 2);
	expect_asked_at(&to);
}

/*
 * What the peer sent before its NAT changed was on its way when an IKE message came from the new mapping, and
 * it was the last on its child SA. Told after a rekey of the IKE SA, it moves nothing back.
 */
static void the_successor_knows_what_its_children_cannot(void **state)
{
	(void)state;
	for (int i = 0; i < 4; i++) {
		struct endpoint was, to;
		uint8_t spi[8] = { 7 };
		uint32_t moved;

		begin_over(i & 2, i & 1, true, false);
		was = to = p.at;
		to.port = 31000;
		p.at = to;
		puppet_request(&p, EX_INFORMATIONAL);
		puppet_send(&p);
		assert_int_equal(p.moved, 1);
		puppet_run(&p, 2000);
		puppet_request(&p, EX_CREATE_CHILD_SA);
		puppet_offer_ike(&p, spi);
		puppet_nonce(&p, 0x60);
		puppet_ke(&p, DH_CURVE25519);
		puppet_send(&p);
		puppet_run(&p, 100);
		assert_int_equal(puppet_ike_sas(&p), 2);
		moved = p.moved;
		puppet_usage_from(&p, p.child_in, 2000, &was);
		assert_int_equal(p.moved, moved);
		expect_asked_at(&to);
	}
}

/* The peer has deleted it and sends nothing on it: what came in was sent before. */
static void a_deleted_child_moves_nothing(void **state)
{
	(void)state;
	for (int i = 0; i < 4; i++) {
		struct endpoint to;
		uint8_t spi[4];

		begin_over(i & 2, i & 1, true, false);
		to = p.at;
		to.port = 31000;
		puppet_request(&p, EX_CREATE_CHILD_SA);
		store_be32(spi, p.child_out);
		ike_out_notify_spi(&p.out, NTF_REKEY_SA, IKE_PROTO_ESP, spi, 4, NULL, 0);
		puppet_offer_esp(&p, 0x3000, DH_NONE);
		puppet_nonce(&p, 0x60);
		puppet_selectors(&p, 0);
		puppet_send(&p);
		puppet_request(&p, EX_INFORMATIONAL);
		ike_out_delete_esp(&p.out, &p.child_out, 1);
		puppet_send(&p);
		assert_int_equal(puppet_children(&p), 1);
		puppet_run(&p, 1000);
		puppet_usage_from(&p, p.child_in, 900, &to);
		assert_int_equal(p.moved, 0);
		puppet_usage_from(&p, p.spis, 100, &to);
		assert_true(p.moved > 0);
		expect_shown_at(&to);
	}
}

/* ---- while we are behind a NAT ourselves ---- */

static bool sent_to(const struct endpoint *e)
{
	for (uint32_t i = 0; i < p.sent_n; i++)
		if (endpoint_same(&p.sent[i].remote, e))
			return true;
	return false;
}

static void answer_last(const struct endpoint *from)
{
	assert_true(puppet_read_last(&p));
	p.at = *from;
	puppet_response(&p);
	puppet_send(&p);
}

static void behind_a_nat_ourselves_we_ask_at_both(void **state)
{
	(void)state;
	for (int i = 0; i < 8; i++) {
		struct endpoint was, to;

		begin(i & 1, true, true);
		was = p.at;
		to = changed(2);
		if (i & 2) {
			puppet_usage_from(&p, p.child_in, 10, &to);
		} else {
			p.at = to;
			puppet_request(&p, EX_INFORMATIONAL);
			puppet_send(&p);
		}
		assert_int_equal(p.moved, 0);
		expect_shown_at(&was);
		assert_true(sent_to(&was));
		assert_true(sent_to(&to));
		answer_last(i & 4 ? &to : &was);
		assert_int_equal(p.moved, i & 4 ? 1 : 0);
		expect_shown_at(i & 4 ? &to : &was);
		expect_asked_at(i & 4 ? &to : &was);
	}
}

/*
 * The next retransmission of our request is seconds away when ESP comes from elsewhere: the request is sent to
 * both after the first interval, not after the one that had been scheduled.
 */
static void a_request_under_way_probes_in_a_moment(void **state)
{
	(void)state;
	for (int i = 0; i < 8; i++) {
		struct endpoint was, to;

		begin_over(i & 4, i & 1, true, true);
		was = to = p.at;
		to.port = 31000;
		assert_int_equal(
			ike_input_order(p.core, p.now, i & 2 ? IKE_ORDER_REKEY_IKE : IKE_ORDER_REKEY_CHILD,
				i & 2 ? "puppet" : "t0", NULL),
			RC_OK);
		puppet_settle(&p);
		assert_int_equal(p.sent_n, 1);
		puppet_run(&p, 4500);
		assert_int_equal(p.sent_n, 4);
		puppet_forget(&p);
		puppet_usage_from(&p, p.child_in, 10, &to);
		assert_null(ike_view_wrong(p.core));
		assert_int_equal(p.sent_n, 0);
		puppet_run(&p, IKE_RETRANSMIT_FIRST_MS * IKE_RETRANSMIT_JITTER_TO / 1000);
		assert_int_equal(p.sent_n, 2);
		assert_true(sent_to(&was));
		assert_true(sent_to(&to));
	}
}

/* Who copies packets has us ask now and then, and each time the peer's own answer keeps us with it. */
static void copied_packets_cost_little(void **state)
{
	struct endpoint was, to;
	uint32_t asked = 0;

	(void)state;
	begin(true, true, true);
	was = p.at;
	to = changed(2);
	for (int s = 0; s < 100; s++) {
		puppet_forget(&p);
		puppet_usage_from(&p, p.child_in, 10, &to);
		if (p.sent_n > 0) {
			assert_int_equal(p.sent_n, 2);
			asked++;
			answer_last(&was);
		}
		puppet_run(&p, 1000);
	}
	assert_in_range(asked, 9, 11);
	assert_int_equal(p.moved, 0);
}

int main(void)
{
#define T(f) cmocka_unit_test_teardown(f, teardown)
	const struct CMUnitTest tests[] = {
		T(esp_moves_the_ike_sa_and_all_its_children),
		T(an_ike_message_moves_them_too),
		T(older_packets_move_nothing),
		T(what_cannot_be_followed_is_not),
		T(a_child_being_installed_moves_with_the_others),
		T(a_request_under_way_follows),
		T(the_successor_is_where_the_peer_is),
		T(the_successor_knows_what_its_children_cannot),
		T(a_deleted_child_moves_nothing),
		T(behind_a_nat_ourselves_we_ask_at_both),
		T(a_request_under_way_probes_in_a_moment),
		T(copied_packets_cost_little),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
