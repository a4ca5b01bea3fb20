/*
 * A tunnel with several networks and a peer that makes a child SA for each pair of them, or narrows ours to
 * one: the rest is asked for by the packets that need it (RFC 7296 section 2.9).
 */
#include "puppet.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static struct puppet p;

/* 10.SIDE.I.0/24 */
static struct selector net(uint8_t side, uint8_t i)
{
	return (struct selector){ .addrs = { addr_v4((const uint8_t[]){ 10, side, i, 0 }),
					  addr_v4((const uint8_t[]){ 10, side, i, 255 }) },
		.port_last = UINT16_MAX };
}

static struct selector host(uint8_t side, uint8_t i)
{
	struct ip_addr a = addr_v4((const uint8_t[]){ 10, side, i, 9 });

	return (struct selector){ .addrs = { a, a }, .proto = 17, .port_first = 53, .port_last = 53 };
}

/* One tunnel: 10.1.0.0/24 and 10.1.1.0/24 here, 10.2.0.0/24 there. */
static void start(uint16_t when)
{
	puppet_init(&p);
	p.config.selectors[0] = net(1, 0);
	p.config.selectors[1] = net(1, 1);
	p.config.selectors[2] = net(2, 0);
	p.config.tunnels[0].local = (struct span){ 0, 2 };
	p.config.tunnels[0].remote = (struct span){ 2, 1 };
	p.config.head.tunnels.count = 1;
	p.config.peers[0].start = when;
	puppet_start(&p);
	puppet_settle(&p);
}

/* The puppet's answer to the core's request for a child: narrowed to 10.1.I.0/24. */
static void answers_narrowed(uint8_t i, uint32_t spi)
{
	struct selector local = net(1, i), remote = net(2, 0);
	bool first = p.header.exchange == EX_IKE_AUTH;
	static const uint8_t auth[32];

	puppet_response(&p);
	if (first) {
		puppet_id(&p, PL_IDR, PUPPET_ID);
		ike_out_auth(&p.out, AUTH_SHARED_KEY, auth, sizeof auth);
	}
	puppet_offer_esp(&p, spi, DH_NONE);
	if (!first)
		puppet_nonce(&p, (uint8_t)spi);
	ike_out_selectors(&p.out, PL_TSI, &local, 1);
	ike_out_selectors(&p.out, PL_TSR, &remote, 1);
	puppet_forget(&p);
	puppet_send(&p);
}

static void up_narrowed_to(uint8_t i)
{
	start(PEER_START_ALWAYS);
	assert_true(puppet_init_as_responder(&p));
	assert_int_equal(p.header.exchange, EX_IKE_AUTH);
	assert_int_equal(p.payloads.tsi.n, 2);
	answers_narrowed(i, 0x2000);
	assert_int_equal(puppet_children(&p), 1);
	assert_int_equal(p.last_install.local_n, 1);
}

static void packet(uint8_t i)
{
	struct selector src = host(1, i), dst = host(2, 0);

	puppet_forget(&p);
	ike_input_acquire(p.core, p.now, 0, &src, &dst);
	puppet_settle(&p);
}

static bool asks_child(void)
{
	return puppet_read_last(&p) && p.header.exchange == EX_CREATE_CHILD_SA &&
	       !(p.header.flags & IKE_FLAG_RESPONSE);
}

/* The peer begins, one child for each pair: both stay. */
static void a_child_for_each_pair(void **state)
{
	static const uint8_t auth[32];
	struct selector there = net(2, 0), here[] = { net(1, 0), net(1, 1) };

	start(PEER_START_NEVER);
	assert_true(puppet_init_as_initiator(&p, false));
	puppet_request(&p, EX_IKE_AUTH);
	puppet_id(&p, PL_IDI, PUPPET_ID);
	ike_out_auth(&p.out, AUTH_SHARED_KEY, auth, sizeof auth);
	puppet_offer_esp(&p, 0x2000, DH_NONE);
	ike_out_selectors(&p.out, PL_TSI, &there, 1);
	ike_out_selectors(&p.out, PL_TSR, &here[0], 1);
	puppet_send(&p);
	assert_int_equal(puppet_children(&p), 1);
	puppet_request(&p, EX_CREATE_CHILD_SA);
	puppet_offer_esp(&p, 0x2001, DH_NONE);
	puppet_nonce(&p, 0x60);
	ike_out_selectors(&p.out, PL_TSI, &there, 1);
	ike_out_selectors(&p.out, PL_TSR, &here[1], 1);
	puppet_send(&p);
	assert_int_equal(puppet_children(&p), 2);
	assert_memory_equal(p.last_install.local_ts, &here[1], sizeof here[1]);
	puppet_run(&p, 5000);
	assert_int_equal(puppet_children(&p), 2);
	puppet_done(&p);
}

/* We begin, the peer narrows to the first pair; a packet of the second asks for its own child, by its own
 * selectors. */
static void the_rest_is_asked_for_by_traffic(void **state)
{
	struct selector src = host(1, 1), dst = host(2, 0);

	up_narrowed_to(0);
	packet(1);
	assert_true(asks_child());
	assert_int_equal(p.payloads.tsi.n, 2); /* and the network that it is in */
	assert_int_equal(p.payloads.tsr.n, 2);
	assert_memory_equal(&p.payloads.tsi.list[0], &src, sizeof src);
	assert_memory_equal(&p.payloads.tsr.list[0], &dst, sizeof dst);
	packet(1); /* while it is under way: nothing more */
	assert_int_equal(p.sent_n, 0);
	p.header.exchange = EX_CREATE_CHILD_SA;
	answers_narrowed(1, 0x2001);
	assert_int_equal(puppet_children(&p), 2);
	for (uint8_t i = 0; i < 2; i++) {
		packet(i);
		assert_int_equal(p.sent_n, 0);
	}
	puppet_done(&p);
}

/* RFC 7296 section 4: what such a peer has narrowed moves to another IKE SA as it is, and the rest of the tunnel does not take
 * its place. */
static void what_moves_is_offered_as_it_is(void **state)
{
	struct selector here = net(1, 1);
	struct err e = { 0 };

	up_narrowed_to(1);
	assert_int_equal(ike_input_order(p.core, p.now, IKE_ORDER_REKEY_CHILD, "t0", &e), RC_OK);
	puppet_settle(&p);
	assert_true(asks_child());
	puppet_response(&p);
	ike_out_notify(&p.out, NTF_NO_ADDITIONAL_SAS, NULL, 0);
	puppet_forget(&p);
	puppet_send(&p);
	puppet_run(&p, 1000);
	assert_true(puppet_read_last(&p) && p.header.exchange == EX_IKE_SA_INIT);
	assert_true(puppet_init_as_responder(&p));
	assert_int_equal(p.header.exchange, EX_IKE_AUTH);
	assert_int_equal(p.payloads.tsi.n, 1);
	assert_memory_equal(&p.payloads.tsi.list[0], &here, sizeof here);
	puppet_done(&p);
}

/* It asks for the networks of two tunnels at once: it gets one, and is told that there is more. */
static void networks_of_two_tunnels_at_once(void **state)
{
	struct selector there[2], here[2];

	puppet_init(&p);
	assert_true(p.config.head.tunnels.count >= 2 && p.config.tunnels[1].peer == p.config.tunnels[0].peer);
	for (uint32_t i = 0; i < 2; i++) {
		here[i] = p.config.selectors[2 * i];
		there[i] = p.config.selectors[2 * i + 1];
	}
	puppet_start(&p);
	puppet_settle(&p);
	assert_true(puppet_up(&p, true));
	assert_false(puppet_says(&p, NTF_ADDITIONAL_TS_POSSIBLE));
	puppet_request(&p, EX_CREATE_CHILD_SA);
	puppet_offer_esp(&p, 0x2001, DH_NONE);
	puppet_nonce(&p, 0x60);
	ike_out_selectors(&p.out, PL_TSI, there, 2);
	ike_out_selectors(&p.out, PL_TSR, here, 2);
	puppet_forget(&p);
	puppet_send(&p);
	assert_true(puppet_read_last(&p) && p.header.flags & IKE_FLAG_RESPONSE);
	assert_int_equal(p.payloads.tsi.n, 1);
	assert_true(puppet_says(&p, NTF_ADDITIONAL_TS_POSSIBLE));
	puppet_done(&p);
}

static void peer_deletes(uint32_t spi)
{
	puppet_forget(&p);
	puppet_request(&p, EX_INFORMATIONAL);
	ike_out_delete_esp(&p.out, &spi, 1);
	puppet_send(&p);
}

/* The peer deletes one child while the other lives, which cannot carry its traffic: it goes at once, for nothing may be sent
 * on it any more, and its next packet asks for one more. */
static void one_deleted_while_another_lives(void **state)
{
	for (uint8_t gone = 0; gone < 2; gone++) {
		up_narrowed_to(0);
		packet(1);
		assert_true(asks_child());
		answers_narrowed(1, 0x2001);
		assert_int_equal(puppet_children(&p), 2);
		uint32_t activated = p.activated;
		peer_deletes(0x2000u + gone);
		assert_int_equal(puppet_children(&p), 1);
		assert_int_equal(p.count[KEEPER_CHILD_REMOVE], 1);
		assert_int_equal(p.activated, activated);
		packet(!gone);
		assert_int_equal(p.sent_n, 0);
		packet(gone);
		assert_true(asks_child());
		answers_narrowed(gone, 0x2002);
		assert_int_equal(puppet_children(&p), 2);
		peer_deletes(0x2002);
		peer_deletes(0x2001u - gone);
		assert_int_equal(puppet_children(&p), 0);
		assert_int_equal(p.count[KEEPER_CHILD_REMOVE], 3);
		puppet_done(&p);
	}
}

/* fd00:SIDE:I::/48 */
static struct selector net6(uint8_t side, uint8_t i)
{
	uint8_t first[16] = { 0xfd, 0, 0, side, 0, i }, last[16];

	memset(last, 0xff, sizeof last);
	memcpy(last, first, 6);
	return (struct selector){ .addrs = { addr_v6(first), addr_v6(last) }, .port_last = UINT16_MAX };
}

/* As many networks as there may be, of the longer family, on both sides: what is offered and what the peer grants is one message
 * each, also with the packet's own selectors in front, and in a rekey. */
static void as_many_networks_as_there_may_be(void **state)
{
	struct selector here[SELECTORS_MAX], there[SELECTORS_MAX];
	static const uint8_t auth[32];
	struct err e = { 0 };

	puppet_init(&p);
	assert_true(COUNT_OF(p.config.selectors) >= 2 * SELECTORS_MAX);
	for (uint8_t i = 0; i < SELECTORS_MAX; i++) {
		p.config.selectors[i] = here[i] = net6(1, i);
		p.config.selectors[SELECTORS_MAX + i] = there[i] = net6(2, i);
	}
	p.config.head.selectors.count = 2 * SELECTORS_MAX;
	p.config.tunnels[0].local = (struct span){ 0, SELECTORS_MAX };
	p.config.tunnels[0].remote = (struct span){ SELECTORS_MAX, SELECTORS_MAX };
	p.config.head.tunnels.count = 1;
	p.config.peers[0].start = PEER_START_ON_TRAFFIC;
	puppet_start(&p);
	puppet_settle(&p);
	struct selector src = here[7], dst = there[SELECTORS_MAX - 1];
	src.addrs.last = src.addrs.first;
	dst.addrs.last = dst.addrs.first;
	puppet_forget(&p);
	ike_input_acquire(p.core, p.now, 0, &src, &dst);
	puppet_settle(&p);
	assert_true(puppet_init_as_responder(&p));
	assert_int_equal(p.payloads.tsi.n, SELECTORS_MAX + 1);
	assert_int_equal(p.payloads.tsr.n, SELECTORS_MAX + 1);
	puppet_response(&p);
	puppet_id(&p, PL_IDR, PUPPET_ID);
	ike_out_auth(&p.out, AUTH_SHARED_KEY, auth, sizeof auth);
	puppet_offer_esp(&p, 0x2000, DH_NONE);
	ike_out_selectors(&p.out, PL_TSI, here, SELECTORS_MAX);
	ike_out_selectors(&p.out, PL_TSR, there, SELECTORS_MAX);
	puppet_forget(&p);
	puppet_send(&p);
	assert_int_equal(puppet_children(&p), 1);
	assert_int_equal(p.last_install.local_n, SELECTORS_MAX);
	assert_memory_equal(p.last_install.remote_ts, there, sizeof there);
	assert_int_equal(ike_input_order(p.core, p.now, IKE_ORDER_REKEY_CHILD, "t0", &e), RC_OK);
	puppet_settle(&p);
	assert_true(asks_child());
	assert_int_equal(p.payloads.tsi.n, SELECTORS_MAX);
	puppet_done(&p);
}

/* The peer leaves out what asked for it: not again with each packet. */
static void a_peer_that_narrows_away_what_asked(void **state)
{
	uint32_t asked = 0;

	up_narrowed_to(0);
	for (uint32_t s = 0; s < 600; s += 2) {
		packet(1);
		if (asks_child()) {
			asked++;
			answers_narrowed(0, 0x3000 + asked);
		}
		puppet_run(&p, 2000);
		while (puppet_read_last(&p) && !(p.header.flags & IKE_FLAG_RESPONSE) &&
			p.header.exchange == EX_INFORMATIONAL) {
			puppet_response(&p);
			puppet_forget(&p);
			puppet_send(&p);
		}
	}
	assert_in_range(asked, 2, 25);
	puppet_done(&p);
}

/*
 * Three networks here, two there, a peer that makes a child SA for each pair and refuses one of them without end: packets of all pairs come all
 * the time, that of the refused one first, and all the others have their child SA as soon as each has been asked for once.
 */
static void many_pairs_are_missing(void **state)
{
	enum { HERE = 3, THERE = 2, REFUSED = 4 };
	uint32_t asked[HERE * THERE] = { 0 }, rounds = 0, spi = 0x3000;
	static const uint8_t auth[32];

	puppet_init(&p);
	for (uint8_t i = 0; i < HERE; i++)
		p.config.selectors[i] = net(1, i);
	for (uint8_t i = 0; i < THERE; i++)
		p.config.selectors[HERE + i] = net(2, i);
	p.config.head.selectors.count = HERE + THERE;
	p.config.tunnels[0].local = (struct span){ 0, HERE };
	p.config.tunnels[0].remote = (struct span){ HERE, THERE };
	p.config.head.tunnels.count = 1;
	p.config.peers[0].start = PEER_START_ALWAYS;
	puppet_start(&p);
	puppet_settle(&p);
	assert_true(puppet_init_as_responder(&p));
	puppet_response(&p);
	puppet_id(&p, PL_IDR, PUPPET_ID);
	ike_out_auth(&p.out, AUTH_SHARED_KEY, auth, sizeof auth);
	puppet_offer_esp(&p, spi, DH_NONE);
	ike_out_selectors(&p.out, PL_TSI, &p.config.selectors[0], 1);
	ike_out_selectors(&p.out, PL_TSR, &p.config.selectors[HERE], 1);
	puppet_send(&p);
	assert_int_equal(puppet_children(&p), 1);
	for (; puppet_children(&p) < HERE * THERE - 1 && rounds < 20; rounds++)
		for (uint8_t n = 0; n < HERE * THERE; n++) {
			uint8_t pair = (uint8_t)((n + REFUSED) % (HERE * THERE)), l = pair / THERE,
				r = pair % THERE;
			struct selector src = host(1, l), dst = host(2, r);

			puppet_forget(&p);
			ike_input_acquire(p.core, p.now, 0, &src, &dst);
			puppet_settle(&p);
			if (!asks_child())
				continue;
			assert_memory_equal(&p.payloads.tsi.list[0], &src, sizeof src);
			asked[pair]++;
			puppet_response(&p);
			if (pair == REFUSED) {
				ike_out_notify(&p.out, NTF_TS_UNACCEPTABLE, NULL, 0);
			} else {
				puppet_offer_esp(&p, ++spi, DH_NONE);
				puppet_nonce(&p, (uint8_t)spi);
				ike_out_selectors(&p.out, PL_TSI, &p.config.selectors[l], 1);
				ike_out_selectors(&p.out, PL_TSR, &p.config.selectors[HERE + r], 1);
			}
			puppet_send(&p);
			puppet_run(&p, 10);
		}
	assert_int_equal(rounds, 1);
	for (uint32_t i = 0; i < HERE * THERE; i++)
		assert_int_equal(asked[i], i == 0 ? 0 : 1);
	puppet_done(&p);
}

/* A rekey asks for what the child has, not for all of the tunnel. */
static void a_rekey_keeps_the_pair(void **state)
{
	struct selector local = net(1, 0), remote = net(2, 0);
	struct err e = { 0 };

	up_narrowed_to(0);
	puppet_forget(&p);
	assert_int_equal(ike_input_order(p.core, p.now, IKE_ORDER_REKEY_CHILD, "t0", &e), RC_OK);
	puppet_settle(&p);
	assert_true(asks_child());
	assert_true(puppet_says(&p, NTF_REKEY_SA));
	assert_int_equal(p.payloads.tsi.n, 1);
	assert_memory_equal(&p.payloads.tsi.list[0], &local, sizeof local);
	assert_memory_equal(&p.payloads.tsr.list[0], &remote, sizeof remote);
	puppet_done(&p);
}

/* 2.9: SINGLE_PAIR_REQUIRED: the next try has the packet's own selectors alone. */
static void a_peer_that_takes_single_pairs(void **state)
{
	struct selector src = host(1, 1);

	up_narrowed_to(0);
	packet(1);
	assert_true(asks_child());
	puppet_response(&p);
	ike_out_notify(&p.out, NTF_SINGLE_PAIR_REQUIRED, NULL, 0);
	puppet_send(&p);
	puppet_run(&p, 2 * IKE_BACKOFF_FIRST_MS);
	packet(1);
	assert_true(asks_child());
	assert_int_equal(p.payloads.tsi.n, 1);
	assert_memory_equal(&p.payloads.tsi.list[0], &src, sizeof src);
	assert_int_equal(p.payloads.tsr.n, 1);
	puppet_done(&p);
}

/* What is not inside the tunnel's selectors, and what a compromised data plane could say: nothing is asked
 * for. */
static void packets_of_elsewhere(void **state)
{
	struct selector src = host(1, 1), dst = host(3, 0);

	up_narrowed_to(0);
	puppet_forget(&p);
	ike_input_acquire(p.core, p.now, 0, &src, &dst);
	ike_input_acquire(p.core, p.now, 0, NULL, NULL);
	ike_input_acquire(p.core, p.now, 77, &src, &dst);
	puppet_settle(&p);
	assert_int_equal(p.sent_n, 0);
	puppet_done(&p);
}

/* 2.21.2: an error in IKE_AUTH that is not the child's alone means that the peer has no IKE SA: it is gone
 * here too, without a Delete. With one that is the child's alone it stays. */
static void errors_in_the_answer_to_ike_auth(void **state)
{
	static const struct {
		uint16_t notify;
		uint32_t stays;
	} cases[] = { { NTF_INVALID_SYNTAX, 0 }, { NTF_UNSUPPORTED_CRITICAL_PAYLOAD, 0 },
		{ NTF_AUTHENTICATION_FAILED, 0 }, { 8192, 0 }, { NTF_TS_UNACCEPTABLE, 1 },
		{ NTF_NO_PROPOSAL_CHOSEN, 1 }, { NTF_NO_ADDITIONAL_SAS, 1 },
		{ NTF_SINGLE_PAIR_REQUIRED, 1 } };
	static const uint8_t auth[32];

	for (size_t i = 0; i < COUNT_OF(cases); i++) {
		start(PEER_START_ALWAYS);
		assert_true(puppet_init_as_responder(&p));
		puppet_response(&p);
		puppet_id(&p, PL_IDR, PUPPET_ID);
		ike_out_auth(&p.out, AUTH_SHARED_KEY, auth, sizeof auth);
		ike_out_notify(&p.out, cases[i].notify, NULL, 0);
		puppet_forget(&p);
		puppet_send(&p);
		for (uint32_t k = 0; k < p.sent_n; k++)
			assert_false(puppet_read(&p, k) && p.header.exchange == EX_INFORMATIONAL);
		assert_int_equal(strcmp(puppet_state(&p, 0), "established") == 0, cases[i].stays);
		puppet_done(&p);
	}
}

/* NO_ADDITIONAL_SAS may be a moment's trouble: the child SA that needed an IKE SA of its own is the only
 * one. */
static void one_refusal_is_not_for_ever(void **state)
{
	static const uint8_t auth[32];
	struct selector src, dst;

	up_narrowed_to(0);
	packet(1);
	assert_true(asks_child());
	puppet_response(&p);
	ike_out_notify(&p.out, NTF_NO_ADDITIONAL_SAS, NULL, 0);
	puppet_forget(&p);
	puppet_send(&p);
	puppet_run(&p, 2000);
	packet(1);
	assert_true(puppet_init_as_responder(&p)); /* an IKE SA of its own */
	src = p.payloads.tsi.list[0];
	dst = p.payloads.tsr.list[0];
	puppet_response(&p);
	puppet_id(&p, PL_IDR, PUPPET_ID);
	ike_out_auth(&p.out, AUTH_SHARED_KEY, auth, sizeof auth);
	puppet_offer_esp(&p, 0x2001, DH_NONE);
	ike_out_selectors(&p.out, PL_TSI, &src, 1); /* the packet's own */
	ike_out_selectors(&p.out, PL_TSR, &dst, 1);
	puppet_forget(&p);
	puppet_send(&p);
	assert_int_equal(puppet_children(&p), 2);
	assert_int_equal(p.sent_n, 0); /* that we made it says nothing against the first IKE SA */
	src.addrs.first.b[3] = src.addrs.last.b[3] = 10; /* another host */
	puppet_run(&p, 3000);
	puppet_forget(&p);
	ike_input_acquire(p.core, p.now, 0, &src, &dst);
	puppet_settle(&p);
	assert_true(asks_child());
	puppet_done(&p);
}

/* In IKE_AUTH it is no reason for one more IKE SA: the child SA is asked for where there is one now. */
static void refused_on_an_ike_sa_of_its_own(void **state)
{
	static const uint8_t auth[32];

	start(PEER_START_ALWAYS);
	assert_true(puppet_init_as_responder(&p));
	puppet_response(&p);
	puppet_id(&p, PL_IDR, PUPPET_ID);
	ike_out_auth(&p.out, AUTH_SHARED_KEY, auth, sizeof auth);
	ike_out_notify(&p.out, NTF_NO_ADDITIONAL_SAS, NULL, 0);
	puppet_forget(&p);
	puppet_send(&p);
	puppet_run(&p, IKE_BACKOFF_FIRST_MS);
	assert_true(asks_child());
	assert_int_equal(puppet_ike_sas(&p), 1);
	puppet_done(&p);
}

/* Our exchange is busy when the packet asks, and meanwhile the peer rekeys another child SA: that is none
 * for the packet, which is still asked for. */
static void a_rekey_of_another_takes_nothing_away(void **state)
{
	struct selector there = net(2, 0), here = net(1, 0);
	uint8_t spi[4];
	uint32_t at = 0;

	up_narrowed_to(0);
	puppet_forget(&p);
	puppet_run(&p, (IKE_DPD_S + 1) * 1000);
	assert_true(puppet_read(&p, at) && p.header.exchange == EX_INFORMATIONAL);
	struct selector src = host(1, 1), dst = host(2, 0);
	ike_input_acquire(p.core, p.now, 0, &src, &dst);
	puppet_settle(&p);
	assert_true(puppet_read_last(&p) && p.header.exchange == EX_INFORMATIONAL);
	store_be32(spi, 0x2000);
	puppet_request(&p, EX_CREATE_CHILD_SA);
	ike_out_notify_spi(&p.out, NTF_REKEY_SA, IKE_PROTO_ESP, spi, 4, NULL, 0);
	puppet_offer_esp(&p, 0x2100, DH_NONE);
	puppet_nonce(&p, 0x60);
	ike_out_selectors(&p.out, PL_TSI, &there, 1);
	ike_out_selectors(&p.out, PL_TSR, &here, 1);
	puppet_send(&p);
	assert_int_equal(puppet_children(&p), 1);
	assert_true(puppet_read(&p, at));
	puppet_response(&p);
	puppet_forget(&p);
	puppet_send(&p);
	assert_true(asks_child());
	assert_memory_equal(&p.payloads.tsi.list[0], &src, sizeof src);
	puppet_done(&p);
}

/* A packet asked for one more, without an answer. Then the whole tunnel is negotiated again. */
static void made_anew_it_is_the_whole_tunnel(void **state)
{
	struct selector all[] = { net(1, 0), net(1, 1) };

	up_narrowed_to(0);
	packet(1);
	assert_true(asks_child());
	puppet_run(&p, 60000);
	assert_int_equal(puppet_children(&p), 0);
	puppet_forget(&p);
	puppet_run(&p, 2 * IKE_BACKOFF_MAX_MS);
	assert_true(puppet_init_as_responder(&p));
	assert_int_equal(p.payloads.tsi.n, 2);
	assert_memory_equal(p.payloads.tsi.list, all, sizeof all);
	puppet_done(&p);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(one_refusal_is_not_for_ever),
		cmocka_unit_test(refused_on_an_ike_sa_of_its_own),
		cmocka_unit_test(a_rekey_of_another_takes_nothing_away),
		cmocka_unit_test(made_anew_it_is_the_whole_tunnel),
		cmocka_unit_test(a_child_for_each_pair),
		cmocka_unit_test(the_rest_is_asked_for_by_traffic),
		cmocka_unit_test(a_peer_that_narrows_away_what_asked),
		cmocka_unit_test(many_pairs_are_missing),
		cmocka_unit_test(as_many_networks_as_there_may_be),
		cmocka_unit_test(what_moves_is_offered_as_it_is),
		cmocka_unit_test(networks_of_two_tunnels_at_once),
		cmocka_unit_test(one_deleted_while_another_lives),
		cmocka_unit_test(a_rekey_keeps_the_pair),
		cmocka_unit_test(a_peer_that_takes_single_pairs),
		cmocka_unit_test(packets_of_elsewhere),
		cmocka_unit_test(errors_in_the_answer_to_ike_auth),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
