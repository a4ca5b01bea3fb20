/*
 * Make before break by a new IKE SA: peers that refuse to rekey.
 */
#include "puppet.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static struct puppet p;
static uint32_t spi, refused, inits;

/* Datagram i, and the puppet speaks on its IKE SA from here on. */
static bool is_listening(uint32_t i)
{
	if (!puppet_read(&p, i))
		return false;
	memcpy(p.spi_i, p.header.spi_i, sizeof p.spi_i);
	memcpy(p.spi_r, p.header.spi_r, sizeof p.spi_r);
	return true;
}

/* The puppet's part in what the core sent: CREATE_CHILD_SA is refused by `notify`, all else is taken. */
static void answers(uint16_t notify)
{
	static const uint8_t auth[32];

	for (uint32_t i = 0; i < p.sent_n; i++) {
		if (!is_listening(i))
			continue;
		if (p.header.exchange == EX_IKE_SA_INIT) {
			inits++;
			assert_true(puppet_init_as_responder(&p));
			uint32_t tunnel = p.payloads.tsi.list[0].addrs.first.b[2]; /* 10.1.TUNNEL.0/24 */
			puppet_response(&p);
			puppet_id(&p, PL_IDR, PUPPET_ID);
			ike_out_auth(&p.out, AUTH_SHARED_KEY, auth, sizeof auth);
			puppet_offer_esp(&p, ++spi, DH_NONE);
			puppet_selectors_back(&p, tunnel);
			puppet_forget(&p);
			puppet_send(&p);
			return;
		}
		if (p.header.flags & IKE_FLAG_RESPONSE)
			continue;
		memcpy(p.spi_i, p.header.spi_i, 8); /* of several IKE SAs the one that asks */
		memcpy(p.spi_r, p.header.spi_r, 8);
		puppet_response(&p);
		if (p.header.exchange == EX_CREATE_CHILD_SA) {
			ike_out_notify(&p.out, notify, NULL, 0);
			refused++;
		}
		puppet_send(&p);
	}
	puppet_forget(&p);
}

/* The old child SA is not rekeyed; on another IKE SA the peer takes one host of each side. Returns how many.
 */
static uint32_t answers_less(void)
{
	static const uint8_t auth[32];
	uint32_t made = 0;

	for (uint32_t i = 0; i < p.sent_n; i++) {
		if (!is_listening(i))
			continue;
		bool init = p.header.exchange == EX_IKE_SA_INIT;
		if (!init && p.header.flags & IKE_FLAG_RESPONSE)
			continue;
		if (init)
			assert_true(puppet_init_as_responder(&p));
		struct selector local = p.payloads.tsi.list[0], remote = p.payloads.tsr.list[0];
		bool rekeys = p.payloads.notifies_n > 0 && puppet_says(&p, NTF_REKEY_SA);
		local.addrs.last = local.addrs.first;
		remote.addrs.last = remote.addrs.first;
		uint8_t exchange = p.header.exchange;
		puppet_response(&p);
		if (rekeys) {
			ike_out_notify(&p.out, NTF_NO_ADDITIONAL_SAS, NULL, 0);
		} else if (init || exchange == EX_CREATE_CHILD_SA) {
			made++;
			if (init) {
				puppet_id(&p, PL_IDR, PUPPET_ID);
				ike_out_auth(&p.out, AUTH_SHARED_KEY, auth, sizeof auth);
			}
			puppet_offer_esp(&p, ++spi, DH_NONE);
			if (!init)
				puppet_nonce(&p, (uint8_t)spi);
			ike_out_selectors(&p.out, PL_TSI, &local, 1);
			ike_out_selectors(&p.out, PL_TSR, &remote, 1);
		}
		if (init)
			puppet_forget(&p);
		puppet_send(&p);
		if (init)
			return made;
	}
	puppet_forget(&p);
	return made;
}

static void start(void)
{
	spi = 0x2000;
	refused = inits = 0;
	puppet_init(&p);
	p.config.head.tunnels.count = 1;
	p.config.peers[0].start = PEER_START_ALWAYS;
	puppet_start(&p);
	puppet_settle(&p);
	answers(NTF_NO_ADDITIONAL_SAS);
	assert_int_equal(puppet_children(&p), 1);
}

/* RFC 7296 section 4: a minimal peer. In six hours the tunnel is never without a child SA. */
static void a_peer_that_takes_no_create_child_sa(void **state)
{
	start();
	for (uint32_t k = 0; k < 6 * 3600 * 5; k++) {
		puppet_run(&p, 200);
		answers(NTF_NO_ADDITIONAL_SAS);
		assert_true(puppet_children(&p) >= 1);
		assert_true(puppet_ike_sas(&p) <= 3);
	}
	assert_in_range(inits, 6, 9); /* one for each lifetime of a child SA */
	assert_in_range(refused, 5, 20);
	puppet_done(&p);
}

/* PFS that the peer has not got shows at the first rekey only: near the end a new IKE SA, whose first child
 * needs none. */
static void a_peer_that_refuses_the_proposal_of_a_rekey(void **state)
{
	start();
	for (uint32_t k = 0; k < 6 * 3600 * 5; k++) {
		puppet_run(&p, 200);
		answers(NTF_NO_PROPOSAL_CHOSEN);
		assert_true(puppet_children(&p) >= 1);
	}
	assert_in_range(inits, 5, 9);
	puppet_done(&p);
}

/* Of several tunnels each gets an IKE SA of its own. */
static void two_tunnels_at_such_a_peer(void **state)
{
	spi = 0x2000;
	refused = inits = 0;
	puppet_init(&p);
	p.config.peers[0].start = PEER_START_ALWAYS;
	puppet_start(&p);
	puppet_settle(&p);
	for (uint32_t k = 0; k < 60; k++) {
		answers(NTF_NO_ADDITIONAL_SAS);
		puppet_run(&p, 200);
	}
	assert_int_equal(puppet_children(&p), 2);
	assert_int_equal(inits, 2);
	puppet_done(&p);
}

/*
 * A peer that refuses a rekey and then takes less on the new IKE SA than the old child SA had: however often
 * it is asked it gives no more, so it is asked at growing intervals.
 */
static void a_peer_that_takes_less_on_the_new_one(void **state)
{
	uint32_t made = 0;

	start();
	for (uint32_t k = 0; k < 4000 * 5; k++) {
		puppet_run(&p, 200);
		made += answers_less();
	}
	assert_in_range(made, 1, 40);
	puppet_done(&p);
}

/* Packets that a child SA carries already come meanwhile: they ask for nothing, and take nothing away. */
static void packets_while_it_moves(void **state)
{
	struct ip_addr here = addr_v4((const uint8_t[]){ 10, 1, 0, 9 }),
		       there = addr_v4((const uint8_t[]){ 10, 2, 0, 9 });
	struct selector src = { .addrs = { here, here }, .port_last = UINT16_MAX },
			dst = { .addrs = { there, there }, .port_last = UINT16_MAX };

	start();
	for (uint32_t k = 0; k < 2 * 3600 * 5; k++) {
		puppet_run(&p, 200);
		ike_input_acquire(p.core, p.now, 0, &src, &dst);
		answers(NTF_NO_ADDITIONAL_SAS);
		assert_true(puppet_children(&p) >= 1);
	}
	assert_in_range(inits, 2, 4);
	puppet_done(&p);
}

static uint32_t asked(uint8_t exchange)
{
	uint32_t n = 0;

	for (uint32_t i = 0; i < p.sent_n; i++)
		n += puppet_read(&p, i) && p.header.exchange == exchange &&
		     !(p.header.flags & IKE_FLAG_RESPONSE);
	return n;
}

/* What moves ends: it is not rekeyed as well, neither when its time has come nor by order. */
static void what_moves_is_not_rekeyed(void **state)
{
	start();
	ike_input_order(p.core, p.now, IKE_ORDER_REKEY_CHILD, "t0", NULL);
	puppet_settle(&p);
	assert_true(puppet_read_last(&p));
	assert_int_equal(p.header.exchange, EX_CREATE_CHILD_SA);
	puppet_response(&p);
	ike_out_notify(&p.out, NTF_NO_ADDITIONAL_SAS, NULL, 0);
	puppet_forget(&p);
	puppet_send(&p);
	assert_int_equal(asked(EX_IKE_SA_INIT), 1);
	ike_input_order(p.core, p.now, IKE_ORDER_REKEY_IKE, "t0", NULL);
	ike_input_order(p.core, p.now, IKE_ORDER_REKEY_CHILD, "t0", NULL);
	puppet_settle(&p);
	puppet_run(&p, 1000);
	assert_int_equal(asked(EX_CREATE_CHILD_SA), 0);
	assert_int_equal(puppet_children(&p), 1);
	puppet_done(&p);
}

/* Where only the peer can begin nothing can be moved: it is asked again. */
static void what_only_the_peer_can_begin_stays(void **state)
{
	static const uint8_t link_local[16] = { 0xfe, 0x80, [15] = 2 };

	spi = 0x2000;
	refused = 0;
	puppet_init(&p);
	p.config.head.tunnels.count = 1;
	p.config.peers[0].local = (struct ip_addr){ 0 };
	p.config.peers[0].remote = (struct ip_addr){ .family = ADDR_V6 };
	memcpy(p.config.peers[0].remote.b, link_local, sizeof link_local);
	p.at.addr = p.core_at.addr = p.config.peers[0].remote;
	puppet_start(&p);
	assert_true(puppet_up(&p, true));
	puppet_usage(&p, p.child_in, 100);
	ike_input_order(p.core, p.now, IKE_ORDER_REKEY_CHILD, "t0", NULL);
	puppet_settle(&p);
	for (int i = 0; i < 10 * IKE_REKEY_RETRY_S; i++) {
		answers(NTF_NO_ADDITIONAL_SAS);
		puppet_run(&p, 1000);
	}
	assert_in_range(refused, 3, 11);
	assert_int_equal(puppet_children(&p), 1);
	puppet_done(&p);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_peer_that_takes_no_create_child_sa),
		cmocka_unit_test(a_peer_that_refuses_the_proposal_of_a_rekey),
		cmocka_unit_test(two_tunnels_at_such_a_peer),
		cmocka_unit_test(packets_while_it_moves),
		cmocka_unit_test(what_moves_is_not_rekeyed),
		cmocka_unit_test(what_only_the_peer_can_begin_stays),
		cmocka_unit_test(a_peer_that_takes_less_on_the_new_one),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
