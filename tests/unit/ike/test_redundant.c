/*
 * Both sides rekeyed one child, and the peer keeps another one of the two than we: because of messages that
 * were lost, or because it reads RFC 7296 2.8.1 in its own way. Whatever it thinks, after a while there is
 * one pair that both have, and we send on it.
 */
#include "puppet.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>

#include <cmocka.h>

enum { THEIRS = 0x7001, OURS = 0x7002, AGAIN = 0x7100 };

static struct puppet p;
static uint32_t theirs_in, ours_in;

static bool said(uint8_t exchange, bool response)
{
	for (uint32_t i = p.sent_n; i-- > 0;)
		if (puppet_read(&p, i) && p.header.exchange == exchange &&
			!!(p.header.flags & IKE_FLAG_RESPONSE) == response)
			return true;
	return false;
}

static uint32_t in_of(uint32_t spi_out)
{
	struct ike_child_view v;
	uint32_t cursor = 0;

	while (ike_view_child(p.core, &cursor, &v))
		if (v.spi_out == spi_out && !v.replaced)
			return v.spi_in;
	return 0;
}

/* Two rekeys of one child cross. By 2.8.1 ours stays and the peer deletes its own, which it does not. */
static int collide(void **state)
{
	struct ike_header h;
	uint8_t old[4];

	puppet_init(&p);
	puppet_start(&p);
	if (!puppet_up(&p, true))
		return -1;
	puppet_usage(&p, p.child_in, 100);
	ike_input_order(p.core, p.now, IKE_ORDER_REKEY_CHILD, "t0", NULL);
	puppet_settle(&p);
	assert_true(said(EX_CREATE_CHILD_SA, false));
	h = p.header;
	store_be32(old, p.child_out);
	puppet_request(&p, EX_CREATE_CHILD_SA);
	ike_out_notify_spi(&p.out, NTF_REKEY_SA, IKE_PROTO_ESP, old, 4, NULL, 0);
	puppet_offer_esp(&p, THEIRS, DH_NONE);
	puppet_nonce(&p, 0x10);
	puppet_selectors(&p, 0);
	puppet_forget(&p);
	puppet_send(&p);
	assert_true(said(EX_CREATE_CHILD_SA, true));
	p.header = h;
	puppet_response(&p);
	puppet_offer_esp(&p, OURS, DH_NONE);
	puppet_nonce(&p, 0x70);
	puppet_selectors_back(&p, 0);
	puppet_forget(&p);
	puppet_send(&p);
	/* the old child goes by our hand */
	assert_true(said(EX_INFORMATIONAL, false));
	assert_int_equal(load_be32(puppet_delete(&p).spis), p.child_in);
	puppet_response(&p);
	ike_out_delete_esp(&p.out, &p.child_out, 1);
	puppet_forget(&p);
	puppet_send(&p);
	theirs_in = in_of(THEIRS);
	ours_in = in_of(OURS);
	assert_true(theirs_in != 0 && ours_in != 0);
	return 0;
}

static int teardown(void **state)
{
	assert_null(ike_view_wrong(p.core));
	puppet_done(&p);
	return 0;
}

/* The peer has only that one: it answers to a rekey of another with CHILD_SA_NOT_FOUND. Counts rekeys. */
static unsigned live(uint32_t seconds, uint32_t peer_has)
{
	unsigned rekeys = 0;

	puppet_forget(&p);
	for (uint32_t s = 0; s < seconds; s++) {
		puppet_run(&p, 1000);
		if (said(EX_CREATE_CHILD_SA, false)) {
			uint32_t spi = load_be32(ike_notify_find(&p.payloads, NTF_REKEY_SA)->spi.at);
			uint8_t asked[4];

			store_be32(asked, spi);
			rekeys++;
			puppet_response(&p);
			if (peer_has != 0 && spi != peer_has) {
				ike_out_notify_spi(
					&p.out, NTF_CHILD_SA_NOT_FOUND, IKE_PROTO_ESP, asked, 4, NULL, 0);
			} else {
				puppet_offer_esp(&p, AGAIN + rekeys, DH_NONE);
				puppet_nonce(&p, (uint8_t)(0x80 + rekeys));
				puppet_selectors_back(&p, 0);
				peer_has = peer_has ? p.spis : 0;
			}
			puppet_forget(&p);
			puppet_send(&p);
		}
		if (said(EX_INFORMATIONAL, false)) { /* liveness, or a delete */
			puppet_response(&p);
			puppet_forget(&p);
			puppet_send(&p);
		}
	}
	return rekeys;
}

/* What was seen with another implementation: it has its own pair alone, and the IKE SA is in order. */
static void peer_keeps_its_own(void **state)
{
	assert_true(live(75, theirs_in) >= 1);
	assert_int_equal(puppet_children(&p), 1);
	assert_int_equal(in_of(OURS), 0);
	assert_string_equal(puppet_state(&p, 0), "established");
	if (in_of(THEIRS) != 0) /* it is up, and sends */
		assert_int_equal(p.last_activated.spi_in, theirs_in);
}

/* The other way round: the peer does not have ours, and in the end one is up. */
static void peer_keeps_ours(void **state)
{
	live(75, ours_in);
	assert_int_equal(puppet_children(&p), 1);
	assert_int_equal(in_of(THEIRS), 0);
}

/* It has both and is content: each is asked about once, and then one is ours to delete. */
static void peer_keeps_both(void **state)
{
	assert_in_range(live(300, 0), 1, 3);
	assert_int_equal(puppet_children(&p), 1);
}

/* What carries traffic is not asked about. */
static void used_ones_are_left_alone(void **state)
{
	puppet_forget(&p);
	for (uint32_t s = 0; s < 100; s++) {
		puppet_usage(&p, ours_in, 0);
		puppet_usage(&p, theirs_in, 0);
		puppet_run(&p, 1000);
		assert_false(said(EX_CREATE_CHILD_SA, false));
	}
	assert_int_equal(puppet_children(&p), 2);
}

/* The peer began a rekey and gave it up before it had our answer; then we rekey what that made. */
static int give_up(bool puppet_is_initiator)
{
	uint8_t old[4];

	puppet_init(&p);
	puppet_start(&p);
	if (!puppet_up(&p, puppet_is_initiator))
		return -1;
	puppet_usage(&p, p.child_in, 100);
	store_be32(old, p.child_out);
	puppet_request(&p, EX_CREATE_CHILD_SA);
	ike_out_notify_spi(&p.out, NTF_REKEY_SA, IKE_PROTO_ESP, old, 4, NULL, 0);
	puppet_offer_esp(&p, THEIRS, DH_NONE);
	puppet_nonce(&p, 0x10);
	puppet_selectors(&p, 0);
	puppet_send(&p);
	puppet_request(&p, EX_INFORMATIONAL);
	puppet_send(&p);
	assert_int_not_equal(in_of(THEIRS), 0);
	puppet_forget(&p);
	return ike_input_order(p.core, p.now, IKE_ORDER_REKEY_CHILD, "t0", NULL) == RC_OK ? 0 : -1;
}

static int give_up_as_initiator(void **state)
{
	return give_up(true);
}

static int give_up_as_responder(void **state)
{
	return give_up(false);
}

/* The predecessor is used again and rekeyed, instead of waiting for its delete. */
static void peer_keeps_the_one_of_before(void **state)
{
	assert_int_equal(live(5, p.child_in), 2);
	assert_int_equal(puppet_children(&p), 1);
	assert_int_equal(in_of(THEIRS), 0);
	assert_int_not_equal(in_of(AGAIN + 2), 0);
}

/* It does not have that one either: none is up, and the tunnel is negotiated again by whoever wants it. */
static void peer_keeps_none(void **state)
{
	assert_int_equal(live(5, 1), 2);
	assert_int_equal(puppet_children(&p), 0);
	assert_string_equal(puppet_state(&p, 0), "established");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(peer_keeps_its_own, collide, teardown),
		cmocka_unit_test_setup_teardown(peer_keeps_ours, collide, teardown),
		cmocka_unit_test_setup_teardown(peer_keeps_both, collide, teardown),
		cmocka_unit_test_setup_teardown(used_ones_are_left_alone, collide, teardown),
		cmocka_unit_test_setup_teardown(peer_keeps_the_one_of_before, give_up_as_initiator, teardown),
		cmocka_unit_test_setup_teardown(peer_keeps_the_one_of_before, give_up_as_responder, teardown),
		cmocka_unit_test_setup_teardown(peer_keeps_none, give_up_as_initiator, teardown),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
