/*
 * Rekeys of child and IKE SAs and their collisions (RFC 7296 1.3.2, 1.3.3, 2.8, 2.8.1, 2.25), in every order
 * that matters: the puppet decides when each message arrives and which nonces it has.
 */
#include "puppet.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>

#include <cmocka.h>

#define NEW_SPI	   0x4000 /* of the puppet's rekeys, as the core sends to it */
#define ANSWER_SPI 0x5000 /* of the puppet's answers */

static struct puppet p;

static int up_as(bool puppet_is_initiator)
{
	puppet_init(&p);
	puppet_start(&p);
	if (!puppet_up(&p, puppet_is_initiator))
		return -1;
	puppet_usage(&p, p.child_in, 100); /* the first child SA is up on both sides */
	return 0;
}

static int up_as_responder(void **state)
{
	return up_as(true);
}

static int up_as_initiator(void **state)
{
	return up_as(false);
}

static int teardown(void **state)
{
	puppet_done(&p);
	return 0;
}

/* ---- short forms ---- */

static bool said(uint8_t exchange, bool response)
{
	for (uint32_t i = p.sent_n; i-- > 0;)
		if (puppet_read(&p, i) && p.header.exchange == exchange &&
			!!(p.header.flags & IKE_FLAG_RESPONSE) == response)
			return true;
	return false;
}

static void order(enum ike_order what)
{
	assert_int_equal(ike_input_order(p.core, p.now, what, "t0", NULL), RC_OK);
	puppet_settle(&p);
}

static void rekey_child_begin(uint32_t old_spi, uint8_t protocol, uint32_t new_spi, uint8_t nonce)
{
	uint8_t spi[4];

	puppet_request(&p, EX_CREATE_CHILD_SA);
	store_be32(spi, old_spi);
	ike_out_notify_spi(&p.out, NTF_REKEY_SA, protocol, spi, 4, NULL, 0);
	puppet_offer_esp(&p, new_spi, DH_NONE);
	puppet_nonce(&p, nonce);
	puppet_selectors(&p, 0);
}

static void peer_rekeys_child(uint32_t old_spi, uint8_t nonce)
{
	rekey_child_begin(old_spi, IKE_PROTO_ESP, NEW_SPI, nonce);
	puppet_send(&p);
}

/* To the CREATE_CHILD_SA request that was said last. */
static void answer_child(uint32_t spi, uint8_t nonce)
{
	assert_true(said(EX_CREATE_CHILD_SA, false));
	puppet_response(&p);
	puppet_offer_esp(&p, spi, DH_NONE);
	puppet_nonce(&p, nonce);
	puppet_selectors_back(&p, 0);
	puppet_send(&p);
}

static void message_answer_notify(uint8_t exchange, uint16_t type)
{
	assert_true(said(exchange, false));
	puppet_response(&p);
	ike_out_notify(&p.out, type, NULL, 0);
	puppet_send(&p);
}

static void peer_deletes(uint32_t spi)
{
	puppet_request(&p, EX_INFORMATIONAL);
	ike_out_delete_esp(&p.out, &spi, 1);
	puppet_send(&p);
}

/* The core's delete of one child, named by its inbound SPI; answered. */
static void core_deletes(uint32_t spi_in)
{
	assert_true(said(EX_INFORMATIONAL, false));
	assert_int_equal(puppet_deletes(&p), 1);
	assert_int_equal(puppet_delete(&p).protocol, IKE_PROTO_ESP);
	assert_int_equal(load_be32(puppet_delete(&p).spis), spi_in);
	puppet_response(&p);
	puppet_send(&p);
	puppet_forget(&p);
}

static bool has_child(uint32_t spi_out)
{
	struct ike_child_view v;
	uint32_t cursor = 0;

	while (ike_view_child(p.core, &cursor, &v))
		if (v.spi_out == spi_out)
			return true;
	return false;
}

static void only_child_is(uint32_t spi_out)
{
	puppet_run(&p, 6000); /* what lingers goes */
	assert_int_equal(puppet_children(&p), 1);
	assert_true(has_child(spi_out));
	assert_int_equal(p.count[KEEPER_CHILD_INSTALL] - p.count[KEEPER_CHILD_REMOVE], 1);
	assert_int_equal(ike_view_busy(p.core), 0);
}

/* ---- a child, by one side ---- */

static void child_by_us(void **state)
{
	order(IKE_ORDER_REKEY_CHILD);
	assert_true(said(EX_CREATE_CHILD_SA, false));
	assert_true(puppet_says(&p, NTF_REKEY_SA));
	/* 1.3.3: "the SPI field ... identify the SA being rekeyed ... the SPI the exchange initiator would
	 * expect in inbound ESP" */
	assert_int_equal(load_be32(ike_notify_find(&p.payloads, NTF_REKEY_SA)->spi.at), p.child_in);
	assert_int_equal(puppet_children(&p), 1);
	answer_child(ANSWER_SPI, 0x50);
	/* The keeper replaces by name, and we send on the new one at once. */
	assert_int_equal(p.last_install.rekeys_spi_in, p.child_in);
	assert_int_equal(p.last_install.flags & CHILD_OUTBOUND_LATER, 0);
	assert_int_equal(p.count[KEEPER_CHILD_REMOVE], 0);
	core_deletes(p.child_in);
	/* What is on its way still comes in for a while. */
	assert_int_equal(p.count[KEEPER_CHILD_REMOVE], 0);
	puppet_run(&p, 4000);
	assert_int_equal(p.count[KEEPER_CHILD_REMOVE], 0);
	puppet_run(&p, 2000);
	assert_int_equal(p.count[KEEPER_CHILD_REMOVE], 1);
	only_child_is(ANSWER_SPI);
}

static void child_by_the_peer(void **state)
{
	peer_rekeys_child(p.child_out, 0x50);
	assert_true(said(EX_CREATE_CHILD_SA, true));
	assert_true(p.payloads.present & IKE_HAS(SA));
	assert_int_equal(p.last_install.rekeys_spi_in, p.child_in);
	/* 2.8: the responder continues to send on the old one until the peer shows that it has the new
	 * one. */
	assert_true(p.last_install.flags & CHILD_OUTBOUND_LATER);
	assert_int_equal(puppet_children(&p), 1);
	peer_deletes(p.child_out);
	assert_true(said(EX_INFORMATIONAL, true));
	assert_int_equal(load_be32(puppet_delete(&p).spis), p.child_in);
	assert_int_equal(p.activated, 1); /* now at the latest */
	assert_int_equal(p.count[KEEPER_CHILD_REMOVE], 0);
	only_child_is(NEW_SPI);
}

/* Both go in one event: the data plane is not told to send on what is removed next. */
static void both_go_with_their_ike_sa(void **state)
{
	uint32_t removed = p.count[KEEPER_CHILD_REMOVE];

	peer_rekeys_child(p.child_out, 0x50);
	puppet_request(&p, EX_INFORMATIONAL);
	ike_out_delete_ike(&p.out);
	puppet_send(&p);
	puppet_run(&p, 10);
	assert_int_equal(p.activated, 0);
	assert_int_equal(p.count[KEEPER_CHILD_REMOVE], removed + 2);
}

/* The peer forgets to delete the old one: after a minute we do. */
static void child_by_the_peer_not_deleted(void **state)
{
	peer_rekeys_child(p.child_out, 0x50);
	puppet_usage(&p, p.spis, 100);
	puppet_forget(&p);
	for (int i = 0; i < 61 && !said(EX_INFORMATIONAL, false); i++) {
		puppet_run(&p, 1000);
		puppet_usage(&p, p.spis, 100);
	}
	core_deletes(p.child_in);
	only_child_is(NEW_SPI);
}

/* Lifetimes: by time, by octets, by sequence numbers. */
static void child_by_its_age(void **state)
{
	struct sa_usage u = { .spi_in = p.child_in, .idle_in_ms = 10 };

	puppet_run(&p, 1000);
	assert_int_equal(p.sent_n, 0);
	u.flags = SA_SEQUENCE_LOW;
	ike_input_usage(p.core, p.now, &u);
	puppet_settle(&p);
	answer_child(ANSWER_SPI, 0x50);
	core_deletes(p.child_in);
	only_child_is(ANSWER_SPI);
	/* An hour is the default; both sides have their own chance before it. */
	puppet_forget(&p);
	for (int s = 0; s < 2900; s++) {
		puppet_run(&p, 1000);
		puppet_usage(&p, p.spis, 100);
	}
	assert_false(said(EX_CREATE_CHILD_SA, false));
	for (int s = 0; s < 400 && !said(EX_CREATE_CHILD_SA, false); s++) {
		puppet_run(&p, 1000);
		puppet_usage(&p, p.spis, 100);
	}
	assert_true(said(EX_CREATE_CHILD_SA, false));
}

/* ---- a child, by both at once ---- */

/* Nonces of our request and its answer, of the peer's request and our answer; ours: our new one stays. */
static const struct race {
	const char *name;
	uint8_t our_request, their_answer, their_request, our_answer;
	bool ours_stays;
} races[] = {
	{ "lowest in the peer's request", 0x40, 0x50, 0x10, 0x60, true },
	{ "lowest in our answer", 0x40, 0x50, 0x60, 0x10, true },
	{ "lowest in our request", 0x10, 0x50, 0x60, 0x40, false },
	{ "lowest in the peer's answer", 0x40, 0x10, 0x60, 0x50, false },
	{ "the high ones do not count", 0x20, 0xff, 0x10, 0x30, true },
	{ "the high ones do not count either", 0x10, 0xff, 0x20, 0x21, false },
};

static void child_race(const struct race *r, bool our_request_arrives_first)
{
	uint32_t ours_in, theirs_in;

	p.nonce = r->our_request;
	order(IKE_ORDER_REKEY_CHILD);
	ours_in = p.spis;
	p.nonce = r->our_answer;
	if (our_request_arrives_first) {
		/* The peer's request was under way already: it answers ours before it has our answer. */
		rekey_child_begin(p.child_out, IKE_PROTO_ESP, NEW_SPI, r->their_request);
		puppet_send(&p);
		theirs_in = p.spis;
		assert_true(said(EX_CREATE_CHILD_SA, true));
		assert_true(p.payloads.present & IKE_HAS(SA));
		answer_child(ANSWER_SPI, r->their_answer);
	} else {
		uint8_t bytes[IKE_MESSAGE_MAX];
		size_t n;

		/* Ours is answered; the peer's request, sent before, comes late. */
		rekey_child_begin(p.child_out, IKE_PROTO_ESP, NEW_SPI, r->their_request);
		n = puppet_end(&p);
		memcpy(bytes, p.buffer, n);
		answer_child(ANSWER_SPI, r->their_answer);
		puppet_send_bytes(&p, bytes, n);
		assert_true(said(EX_CREATE_CHILD_SA, true));
		/* 2.25.1: the old one is being closed */
		assert_true(puppet_says(&p, NTF_TEMPORARY_FAILURE));
		return;
	}
	if (r->ours_stays) {
		/* We delete the old one, the peer its own new one. */
		core_deletes(p.child_in);
		peer_deletes(NEW_SPI);
		assert_true(said(EX_INFORMATIONAL, true));
		assert_int_equal(load_be32(puppet_delete(&p).spis), theirs_in);
		only_child_is(ANSWER_SPI);
	} else {
		/* The peer deletes the old one, which also shows us that it has its new one; then ours goes.
		 */
		assert_false(said(EX_INFORMATIONAL, false));
		peer_deletes(p.child_out);
		core_deletes(ours_in);
		only_child_is(NEW_SPI);
	}
}

static void child_by_both(void **state)
{
	for (size_t i = 0; i < COUNT_OF(races); i++)
		for (int role = 0; role < 2; role++) {
			puppet_done(&p);
			assert_int_equal(up_as(role), 0);
			child_race(&races[i], true);
		}
}

static void child_by_both_late(void **state)
{
	child_race(&races[0], false);
	core_deletes(p.child_in);
	only_child_is(ANSWER_SPI);
}

/* The peer has finished its own rekey already and refuses ours: its child SA is kept. */
static void child_by_both_refused(void **state)
{
	static const uint16_t answers[] = { NTF_TEMPORARY_FAILURE, NTF_CHILD_SA_NOT_FOUND,
		NTF_NO_ADDITIONAL_SAS };

	for (size_t i = 0; i < COUNT_OF(answers); i++) {
		puppet_done(&p);
		assert_int_equal(up_as(true), 0);
		order(IKE_ORDER_REKEY_CHILD);
		peer_rekeys_child(p.child_out, 0x10);
		message_answer_notify(EX_CREATE_CHILD_SA, answers[i]);
		assert_int_equal(puppet_children(&p), 1);
		peer_deletes(p.child_out);
		only_child_is(NEW_SPI);
	}
}

/* Ours waits for the keeper when the peer's comes: the peer's is enough. */
static void child_by_both_ours_not_sent(void **state)
{
	p.hold = true;
	order(IKE_ORDER_REKEY_CHILD);
	assert_int_equal(p.sent_n, 0);
	peer_rekeys_child(p.child_out, 0x50);
	p.hold = false;
	while (p.asked_n > 0)
		puppet_answer_keeper(&p);
	assert_false(said(EX_CREATE_CHILD_SA, false));
	peer_deletes(p.child_out);
	only_child_is(NEW_SPI);
	assert_int_equal(p.count[KEEPER_DROP], 1); /* what ours had begun */
}

/* ---- requests that meet the wrong moment ---- */

static void rekey_of_what_is_not(void **state)
{
	static const struct {
		uint32_t spi;
		uint8_t protocol;
		uint16_t want;
	} cases[] = {
		{ 0x9999, IKE_PROTO_ESP, NTF_CHILD_SA_NOT_FOUND },
		{ 0, IKE_PROTO_ESP, NTF_CHILD_SA_NOT_FOUND },
		{ 0x2000, IKE_PROTO_NONE, NTF_INVALID_SYNTAX }, /* CVE-2023-38710 */
		{ 0x2000, IKE_PROTO_IKE, NTF_INVALID_SYNTAX },
		{ 0x2000, IKE_PROTO_AH, NTF_INVALID_SYNTAX },
		{ 0x2000, 255, NTF_INVALID_SYNTAX },
	};

	for (size_t i = 0; i < COUNT_OF(cases); i++) {
		puppet_forget(&p);
		rekey_child_begin(cases[i].spi, cases[i].protocol, NEW_SPI, 0x50);
		puppet_send(&p);
		assert_true(said(EX_CREATE_CHILD_SA, true));
		assert_true(puppet_says(&p, cases[i].want));
		if (cases[i].want == NTF_CHILD_SA_NOT_FOUND)
			assert_int_equal(load_be32(p.payloads.notifies[0].spi.at), cases[i].spi);
		assert_int_equal(puppet_children(&p), 1);
		assert_int_equal(p.count[KEEPER_CHILD_BEGIN], 1);
	}
	assert_string_equal(puppet_state(&p, 0), "established");
}

/* 2.25.1: "a request to rekey a Child SA that it is currently trying to close" meets TEMPORARY_FAILURE. */
static void rekey_of_what_is_being_closed(void **state)
{
	order(IKE_ORDER_TERMINATE);
	assert_true(said(EX_INFORMATIONAL, false));
	peer_rekeys_child(p.child_out, 0x50);
	assert_true(said(EX_CREATE_CHILD_SA, true));
	assert_true(puppet_says(&p, NTF_TEMPORARY_FAILURE));
	assert_int_equal(p.count[KEEPER_CHILD_BEGIN], 1);
}

/* Twice by the peer: the second meets one that waits for its delete. */
static void rekey_of_what_is_replaced(void **state)
{
	peer_rekeys_child(p.child_out, 0x50);
	rekey_child_begin(p.child_out, IKE_PROTO_ESP, NEW_SPI + 1, 0x51);
	puppet_forget(&p);
	puppet_send(&p);
	assert_true(said(EX_CREATE_CHILD_SA, true));
	assert_true(puppet_says(&p, NTF_TEMPORARY_FAILURE));
	peer_deletes(p.child_out);
	only_child_is(NEW_SPI);
}

/* Answers to our rekey: later, or the child is gone over there. */
static void our_rekey_is_refused(void **state)
{
	uint32_t tries = 0;

	for (int i = 0; i < 3; i++) {
		puppet_forget(&p);
		if (i == 0)
			order(IKE_ORDER_REKEY_CHILD);
		for (int ms = 0; ms < 4000 && !said(EX_CREATE_CHILD_SA, false); ms += 100)
			puppet_run(&p, 100);
		tries += said(EX_CREATE_CHILD_SA, false);
		message_answer_notify(EX_CREATE_CHILD_SA, NTF_TEMPORARY_FAILURE);
		assert_int_equal(puppet_children(&p), 1);
	}
	assert_int_equal(tries, 3);
	puppet_forget(&p);
	for (int ms = 0; ms < 4000 && !said(EX_CREATE_CHILD_SA, false); ms += 100)
		puppet_run(&p, 100);
	answer_child(ANSWER_SPI, 0x50);
	core_deletes(p.child_in);
	only_child_is(ANSWER_SPI);
}

static void our_rekey_meets_nothing(void **state)
{
	order(IKE_ORDER_REKEY_CHILD);
	message_answer_notify(EX_CREATE_CHILD_SA, NTF_CHILD_SA_NOT_FOUND);
	/* 2.25.1: "the initiator of the rekey ... deletes" its own: the peer could not send to it. */
	assert_false(has_child(p.child_out));
	assert_int_equal(p.count[KEEPER_CHILD_REMOVE], 1);
	assert_string_equal(puppet_state(&p, 0), "established");
}

/* The peer's answer is lost, and it rekeys what that made: this child SA is not "not found", we only do
 * not know it yet. */
static void their_answer_is_lost(void **state)
{
	order(IKE_ORDER_REKEY_CHILD);
	assert_true(said(EX_CREATE_CHILD_SA, false));
	rekey_child_begin(ANSWER_SPI, IKE_PROTO_ESP, NEW_SPI, 0x60);
	puppet_send(&p);
	assert_true(said(EX_CREATE_CHILD_SA, true));
	assert_true(puppet_says(&p, NTF_TEMPORARY_FAILURE));
	assert_int_equal(puppet_children(&p), 1);
	answer_child(ANSWER_SPI, 0x50);
	core_deletes(p.child_in);
	rekey_child_begin(ANSWER_SPI, IKE_PROTO_ESP, NEW_SPI, 0x60);
	puppet_send(&p);
	assert_true(said(EX_CREATE_CHILD_SA, true));
	assert_true(p.payloads.present & IKE_HAS(SA));
	peer_deletes(ANSWER_SPI);
	only_child_is(NEW_SPI);
}

/* Our answer is lost: the peer repeats its request, and until it has it we do not touch the new child. */
static void our_answer_is_lost(void **state)
{
	uint8_t request[IKE_MESSAGE_MAX];
	uint32_t new_in;
	size_t n;

	rekey_child_begin(p.child_out, IKE_PROTO_ESP, NEW_SPI, 0x50);
	n = puppet_end(&p);
	memcpy(request, p.buffer, n);
	puppet_send_bytes(&p, request, n);
	new_in = p.spis;
	puppet_forget(&p);
	/* An administrator wants a rekey now: the new child is not named to a peer that may not have it. */
	order(IKE_ORDER_REKEY_CHILD);
	puppet_run(&p, 2000);
	assert_false(said(EX_CREATE_CHILD_SA, false));
	puppet_send_bytes(&p, request, n);
	assert_true(said(EX_CREATE_CHILD_SA, true));
	peer_deletes(p.child_out); /* its next request shows that it has our answer */
	assert_true(said(EX_CREATE_CHILD_SA, false));
	assert_int_equal(load_be32(ike_notify_find(&p.payloads, NTF_REKEY_SA)->spi.at), new_in);
}

/* The peer has answered, we install yet: what it says about the new child meanwhile is not about nothing. */
static void peer_speaks_of_what_we_install(void **state)
{
	for (int deletes = 0; deletes < 2; deletes++) {
		puppet_done(&p);
		assert_int_equal(up_as(true), 0);
		order(IKE_ORDER_REKEY_CHILD);
		p.hold = true;
		answer_child(ANSWER_SPI, 0x50);
		assert_int_equal(p.asked_n, 1);
		if (deletes) {
			peer_deletes(ANSWER_SPI);
			assert_true(said(EX_INFORMATIONAL, true));
			assert_int_equal(load_be32(puppet_delete(&p).spis), p.spis);
		} else {
			peer_rekeys_child(ANSWER_SPI, 0x60);
			assert_true(said(EX_CREATE_CHILD_SA, true));
			assert_true(puppet_says(&p, NTF_TEMPORARY_FAILURE));
		}
		p.hold = false;
		while (p.asked_n > 0)
			puppet_answer_keeper(&p);
		if (deletes) { /* the old one stays up, and is rekeyed again later */
			assert_true(has_child(p.child_out) && !has_child(ANSWER_SPI));
			assert_int_equal(p.count[KEEPER_CHILD_INSTALL] - p.count[KEEPER_CHILD_REMOVE], 1);
			continue;
		}
		core_deletes(p.child_in);
		only_child_is(ANSWER_SPI);
	}
}

/* Its answer is lost, then it deletes what it had made: the answer that comes again makes nothing. */
static void deleted_before_the_answer(void **state)
{
	order(IKE_ORDER_REKEY_CHILD);
	peer_deletes(ANSWER_SPI);
	assert_true(said(EX_INFORMATIONAL, true));
	assert_int_equal(puppet_deletes(&p), 0);
	answer_child(ANSWER_SPI, 0x50);
	assert_false(has_child(ANSWER_SPI));
	assert_int_equal(p.count[KEEPER_CHILD_INSTALL], 1);
	assert_true(has_child(p.child_out));
	assert_int_equal(p.count[KEEPER_DROP], 1);
}

/* ---- the IKE SA ---- */

static uint8_t peer_spi[8] = { 0xee, 1 };

static void peer_rekeys_ike(uint8_t nonce)
{
	puppet_request(&p, EX_CREATE_CHILD_SA);
	puppet_offer_ike(&p, peer_spi);
	puppet_nonce(&p, nonce);
	puppet_ke(&p, DH_CURVE25519);
	puppet_send(&p);
}

static void answer_ike(const uint8_t spi[8], uint8_t nonce)
{
	assert_true(said(EX_CREATE_CHILD_SA, false));
	puppet_response(&p);
	puppet_offer_ike(&p, spi);
	puppet_nonce(&p, nonce);
	puppet_ke(&p, DH_CURVE25519);
	puppet_send(&p);
}

/* Where the puppet speaks: on the IKE SA with these SPIs. */
struct line {
	bool initiator;
	uint8_t spi_i[8], spi_r[8];
	uint32_t own_id;
};

static struct line line_now(void)
{
	struct line l = { .initiator = p.initiator, .own_id = p.own_id };

	memcpy(l.spi_i, p.spi_i, 8);
	memcpy(l.spi_r, p.spi_r, 8);
	return l;
}

static void speak_on(const struct line *l)
{
	p.initiator = l->initiator;
	memcpy(p.spi_i, l->spi_i, 8);
	memcpy(p.spi_r, l->spi_r, 8);
	p.own_id = l->own_id;
}

/* The IKE SA that an answer of the core made; the puppet began it. */
static struct line line_of_answer(void)
{
	struct line l = { .initiator = true };

	assert_true(said(EX_CREATE_CHILD_SA, true));
	assert_int_equal(p.payloads.sa.proposals[0].spi_n, 8);
	memcpy(l.spi_i, peer_spi, 8);
	memcpy(l.spi_r, p.payloads.sa.proposals[0].spi, 8);
	return l;
}

/* The IKE SA that the core's request is to make. */
static struct line line_of_request(const uint8_t answer_spi[8])
{
	struct line l = { 0 };

	assert_true(said(EX_CREATE_CHILD_SA, false));
	assert_int_equal(p.payloads.sa.proposals[0].spi_n, 8);
	memcpy(l.spi_i, p.payloads.sa.proposals[0].spi, 8);
	memcpy(l.spi_r, answer_spi, 8);
	return l;
}

/* The core deletes the IKE SA with that initiator's SPI; answered on it. */
static void core_deletes_ike(const struct line *l)
{
	for (uint32_t i = 0; i < p.sent_n; i++) {
		if (!puppet_read(&p, i) || p.header.exchange != EX_INFORMATIONAL ||
			(p.header.flags & IKE_FLAG_RESPONSE) || memcmp(p.header.spi_i, l->spi_i, 8) != 0)
			continue;
		assert_int_equal(puppet_deletes(&p), 1);
		assert_int_equal(puppet_delete(&p).protocol, IKE_PROTO_IKE);
		speak_on(l);
		puppet_response(&p);
		puppet_send(&p);
		return;
	}
	fail_msg("the core did not delete that IKE SA");
}

static void peer_deletes_ike(struct line *l)
{
	speak_on(l);
	puppet_request(&p, EX_INFORMATIONAL);
	ike_out_delete_ike(&p.out);
	puppet_send(&p);
	l->own_id = p.own_id;
}

/* One IKE SA is left, this one, with the child that always stood, and it is usable. */
static void only_ike_is(const struct line *l)
{
	struct ike_child_view v;
	uint32_t cursor = 0;

	puppet_run(&p, 25000); /* what only repeats its last answer goes */
	assert_int_equal(puppet_ike_sas(&p), 1);
	assert_int_equal(puppet_children(&p), 1);
	assert_true(ike_view_child(p.core, &cursor, &v));
	assert_int_equal(v.spi_in, p.child_in);
	assert_memory_equal(v.spi_i, l->spi_i, 8);
	assert_memory_equal(v.spi_r, l->spi_r, 8);
	assert_int_equal(p.count[KEEPER_CHILD_REMOVE], 0);
	assert_int_equal(p.count[KEEPER_CHILD_INSTALL], 1);
	puppet_forget(&p);
	speak_on(l);
	puppet_request(&p, EX_INFORMATIONAL);
	puppet_send(&p);
	assert_true(said(EX_INFORMATIONAL, true));
}

static void ike_by_us(void **state)
{
	static const uint8_t spi[8] = { 0xaa, 1 };
	struct line old = line_now(), new;

	order(IKE_ORDER_REKEY_IKE);
	new = line_of_request(spi);
	answer_ike(spi, 0x50);
	core_deletes_ike(&old); /* on the old one, whose children have moved */
	only_ike_is(&new);
}

static void ike_by_the_peer(void **state)
{
	struct line old = line_now(), new;

	peer_rekeys_ike(0x50);
	new = line_of_answer();
	old.own_id = p.own_id;
	assert_string_equal(puppet_state(&p, 0), "replaced");
	/* Late on the old one: 2.25.2 */
	peer_rekeys_child(p.child_out, 1);
	old.own_id = p.own_id;
	assert_true(said(EX_CREATE_CHILD_SA, true));
	assert_true(puppet_says(&p, NTF_TEMPORARY_FAILURE));
	peer_deletes_ike(&old);
	only_ike_is(&new);
}

/* The peer does not delete the old one: after a minute we do. */
static void ike_by_the_peer_not_deleted(void **state)
{
	struct line old = line_now(), new;

	peer_rekeys_ike(0x50);
	new = line_of_answer();
	puppet_forget(&p);
	for (int s = 0; s < 61; s++) {
		puppet_run(&p, 1000);
		puppet_usage(&p, p.child_in, 10);
	}
	core_deletes_ike(&old);
	only_ike_is(&new);
}

static uint32_t established(void)
{
	uint32_t n = 0;

	for (uint32_t i = 0; puppet_state(&p, i)[0] != '\0'; i++)
		n += strcmp(puppet_state(&p, i), "established") == 0;
	return n;
}

static void ike_by_both(void **state)
{
	static const uint8_t spi[8] = { 0xaa, 2 };

	for (size_t i = 0; i < COUNT_OF(races); i++) {
		const struct race *r = &races[i];
		struct line old, ours, theirs;

		puppet_done(&p);
		assert_int_equal(up_as(i % 2), 0);
		p.nonce = r->our_request;
		order(IKE_ORDER_REKEY_IKE);
		old = line_now();
		ours = line_of_request(spi);
		p.nonce = r->our_answer;
		peer_rekeys_ike(r->their_request);
		theirs = line_of_answer();
		old.own_id = p.own_id;
		answer_ike(spi, r->their_answer);
		if (r->ours_stays) {
			core_deletes_ike(&old);
			assert_int_equal(established(), 1); /* theirs only waits for its delete */
			peer_deletes_ike(&theirs);
			only_ike_is(&ours);
		} else {
			core_deletes_ike(&ours);
			peer_deletes_ike(&old);
			only_ike_is(&theirs);
		}
	}
}

/* The peer had not seen ours when it deleted the old one: its successor gets the children, ours goes. */
static void ike_by_both_peer_goes_on(void **state)
{
	struct line old = line_now(), theirs;

	order(IKE_ORDER_REKEY_IKE);
	peer_rekeys_ike(0x60);
	theirs = line_of_answer();
	old.own_id = p.own_id;
	/* A child request on its successor shows that the peer uses it. */
	speak_on(&theirs);
	puppet_forget(&p);
	rekey_child_begin(0x9999, IKE_PROTO_ESP, NEW_SPI, 1);
	puppet_send(&p);
	theirs.own_id = p.own_id;
	assert_true(said(EX_CREATE_CHILD_SA, true));
	assert_true(puppet_says(&p, NTF_CHILD_SA_NOT_FOUND));
	peer_deletes_ike(&old);
	only_ike_is(&theirs);
}

/*
 * The peer is faster than our keeper: it has both answers, holds its own successor for the one that stays and
 * deletes the old one while the keys of ours are being made. Ours exists at the peer, so it must be deleted.
 */
static void ike_by_both_peer_is_faster(void **state)
{
	static const uint8_t spi[8] = { 0xaa, 4 };
	struct line old, ours, theirs;

	p.nonce = 0x10;
	order(IKE_ORDER_REKEY_IKE);
	old = line_now();
	ours = line_of_request(spi);
	p.nonce = 0x40;
	peer_rekeys_ike(0x60);
	theirs = line_of_answer();
	old.own_id = p.own_id;
	p.hold = true;
	answer_ike(spi, 0x50);
	puppet_forget(&p);
	peer_deletes_ike(&old);
	assert_int_equal(p.sent_n, 0);
	p.hold = false;
	puppet_answer_keeper(&p);
	assert_int_equal(established(), 1);
	core_deletes_ike(&ours);
	only_ike_is(&theirs);
}

/* 2.25.2: no IKE rekey while we rekey a child, no child while we rekey the IKE SA. */
static void ike_against_child(void **state)
{
	order(IKE_ORDER_REKEY_CHILD);
	peer_rekeys_ike(0x50);
	assert_true(said(EX_CREATE_CHILD_SA, true));
	assert_true(puppet_says(&p, NTF_TEMPORARY_FAILURE));
	answer_child(ANSWER_SPI, 0x50);
	core_deletes(p.child_in);
	only_child_is(ANSWER_SPI);
	order(IKE_ORDER_REKEY_IKE);
	rekey_child_begin(ANSWER_SPI, IKE_PROTO_ESP, NEW_SPI, 1);
	puppet_send(&p);
	assert_true(said(EX_CREATE_CHILD_SA, true));
	assert_true(puppet_says(&p, NTF_TEMPORARY_FAILURE));
	assert_true(has_child(ANSWER_SPI));
}

static void ike_answers_that_do_not_fit(void **state)
{
	static const uint8_t spi[8] = { 0xaa, 3 }, zero[8];

	for (int i = 0; i < 4; i++) {
		puppet_done(&p);
		assert_int_equal(up_as(true), 0);
		order(IKE_ORDER_REKEY_IKE);
		assert_true(said(EX_CREATE_CHILD_SA, false));
		puppet_forget(&p);
		puppet_response(&p);
		if (i == 3) {
			puppet_offer_esp(&p, 0x6000, DH_CURVE25519);
		} else {
			puppet_offer_ike(&p, i == 0 ? zero : i == 1 ? NULL : spi);
		}
		puppet_nonce(&p, 2);
		puppet_ke(&p, i == 2 ? DH_ECP_256 : DH_CURVE25519);
		puppet_send(&p);
		/* Which IKE SA the peer now has is unclear: the old one is closed, and a new one made.
		 */
		assert_true(said(EX_INFORMATIONAL, false));
		assert_int_equal(puppet_delete(&p).protocol, IKE_PROTO_IKE);
	}
}

static void initial_contact_replaces(void **state)
{
	static const uint8_t auth[32];

	/* The peer has lost all and comes again: no delete for what it does not know (2.4). */
	puppet_run(&p, 1000);
	assert_true(puppet_init_as_initiator(&p, false));
	puppet_request(&p, EX_IKE_AUTH);
	puppet_id(&p, PL_IDI, PUPPET_ID);
	ike_out_notify(&p.out, NTF_INITIAL_CONTACT, NULL, 0);
	ike_out_auth(&p.out, AUTH_SHARED_KEY, auth, 32);
	puppet_offer_esp(&p, 0x7000, DH_NONE);
	puppet_selectors(&p, 0);
	puppet_forget(&p);
	puppet_send(&p);
	assert_int_equal(p.sent_n, 1);
	assert_int_equal(puppet_ike_sas(&p), 1);
	assert_true(has_child(0x7000));
	assert_false(has_child(p.child_out));
	/* Until the peer's data plane has it, what it has of before may carry the traffic. */
	puppet_run(&p, 8000);
	assert_int_equal(p.last_activated.spi_in, p.spis);
	only_child_is(0x7000);
}

#define R(name) cmocka_unit_test_setup_teardown(name, up_as_responder, teardown)
#define I(name) cmocka_unit_test_setup_teardown(name, up_as_initiator, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		R(child_by_us),
		I(child_by_us),
		R(both_go_with_their_ike_sa),
		I(both_go_with_their_ike_sa),
		R(their_answer_is_lost),
		I(their_answer_is_lost),
		R(child_by_the_peer),
		I(child_by_the_peer),
		R(child_by_the_peer_not_deleted),
		R(child_by_its_age),
		R(child_by_both),
		R(child_by_both_late),
		R(child_by_both_refused),
		R(child_by_both_ours_not_sent),
		R(rekey_of_what_is_not),
		R(rekey_of_what_is_being_closed),
		R(rekey_of_what_is_replaced),
		R(our_rekey_is_refused),
		R(our_rekey_meets_nothing),
		R(our_answer_is_lost),
		R(peer_speaks_of_what_we_install),
		R(deleted_before_the_answer),
		R(ike_by_us),
		I(ike_by_us),
		R(ike_by_the_peer),
		I(ike_by_the_peer),
		R(ike_by_the_peer_not_deleted),
		R(ike_by_both),
		R(ike_by_both_peer_goes_on),
		R(ike_by_both_peer_is_faster),
		R(ike_against_child),
		R(ike_answers_that_do_not_fit),
		R(initial_contact_replaces),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
