/*
 * What the data plane says about the lifetime of a child SA (RFC 4301 section 4.4.2.1): near its end it is rekeyed, at its hard end it is
 * deleted, whatever became of the rekey.
 */
#include "puppet.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>

#include <cmocka.h>

static struct puppet p;

static int up(void **state)
{
	(void)state;
	puppet_init(&p);
	p.config.tunnels[0].rekey_packets = 1000;
	p.config.tunnels[0].rekey_bytes = 1 << 20;
	puppet_start(&p);
	if (!puppet_up(&p, true))
		return -1;
	puppet_usage(&p, p.child_in, 100); /* the first child SA is up on both sides */
	puppet_forget(&p);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	puppet_done(&p);
	return 0;
}

static void report(uint32_t flags, uint64_t octets, uint64_t packets)
{
	struct sa_usage u = { .spi_in = p.child_in,
		.idle_in_ms = 10,
		.flags = flags,
		.bytes_in = octets / 2,
		.bytes_out = octets - octets / 2,
		.packets_in = packets / 2,
		.packets_out = packets - packets / 2 };

	ike_input_usage(p.core, p.now, &u);
	puppet_settle(&p);
}

/* Our request, if there is one. */
static bool asks(uint8_t exchange)
{
	return puppet_read_last(&p) && p.header.exchange == exchange && !(p.header.flags & IKE_FLAG_RESPONSE);
}

static bool rekeys(void)
{
	return asks(EX_CREATE_CHILD_SA) && puppet_says(&p, NTF_REKEY_SA);
}

static void by_octets(void **state)
{
	(void)state;
	report(0, (1 << 20) - 1, 999);
	assert_int_equal(p.sent_n, 0);
	report(0, 1 << 20, 999);
	assert_true(rekeys());
}

static void by_packets(void **state)
{
	(void)state;
	report(0, 0, 999);
	assert_int_equal(p.sent_n, 0);
	report(0, 0, 1000);
	assert_true(rekeys());
}

/* The data plane has it from a configuration with less. */
static void by_what_was_configured(void **state)
{
	(void)state;
	report(SA_LIFE_LOW, 5, 5);
	assert_true(rekeys());
}

static void deleted_by_us(void)
{
	assert_true(asks(EX_INFORMATIONAL));
	assert_int_equal(puppet_deletes(&p), 1);
	assert_int_equal(load_be32(puppet_delete(&p).spis), p.child_in);
	assert_int_equal(puppet_children(&p), 0);
	puppet_response(&p);
	puppet_send(&p);
	assert_int_equal(p.count[KEEPER_CHILD_REMOVE], 1);
	report(SA_LIFE_OVER, 5, 5); /* of what is gone */
	assert_int_equal(ike_view_busy(p.core), 0);
}

static void hard_end(void **state)
{
	(void)state;
	report(SA_LIFE_LOW | SA_LIFE_OVER, 5, 5);
	deleted_by_us();
}

/* The peer refuses the rekey, and goes on sending. */
static void hard_end_after_a_refusal(void **state)
{
	(void)state;
	report(SA_LIFE_LOW, 5, 5);
	assert_true(rekeys());
	ike_out_notify(puppet_response(&p), NTF_NO_PROPOSAL_CHOSEN, NULL, 0);
	puppet_send(&p);
	assert_int_equal(puppet_children(&p), 1);
	puppet_forget(&p);
	report(SA_LIFE_LOW | SA_LIFE_OVER, 9, 9);
	deleted_by_us();
}

/* The answer to the rekey comes after it: the new child SA is up, and the old one goes as after any rekey. */
static void hard_end_during_a_rekey(void **state)
{
	(void)state;
	report(SA_LIFE_LOW, 5, 5);
	assert_true(rekeys());
	report(SA_LIFE_LOW | SA_LIFE_OVER, 9, 9);
	assert_int_equal(puppet_children(&p), 0);
	puppet_forget(&p);
	puppet_response(&p);
	puppet_offer_esp(&p, 0x5000, DH_NONE);
	puppet_nonce(&p, 0x50);
	puppet_selectors_back(&p, 0);
	puppet_send(&p);
	assert_int_equal(puppet_children(&p), 1);
	assert_true(asks(EX_INFORMATIONAL));
	assert_int_equal(load_be32(puppet_delete(&p).spis), p.child_in);
	puppet_response(&p);
	puppet_send(&p);
	puppet_run(&p, 6000);
	assert_int_equal(puppet_children(&p), 1);
	assert_int_equal(p.count[KEEPER_CHILD_REMOVE], 1);
}

int main(void)
{
#define T(f) cmocka_unit_test_setup_teardown(f, up, teardown)
	const struct CMUnitTest tests[] = {
		T(by_octets),
		T(by_packets),
		T(by_what_was_configured),
		T(hard_end),
		T(hard_end_after_a_refusal),
		T(hard_end_during_a_rekey),
	};
	return cmocka_run_group_tests_name("ike/life", tests, NULL, NULL);
}
