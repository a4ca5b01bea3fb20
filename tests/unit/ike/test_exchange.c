/*
 * Exchanges on an established IKE SA, with a peer that says what it likes when it likes: delete, liveness,
 * repetition, windows, malformed messages (RFC 7296 1.4, 2.1 to 2.4, 2.21). Rekeys: test_rekey.c.
 */
#include "puppet.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>

#include <cmocka.h>

/* Longer than an identity can be configured, though no message is malformed for that. */
#define LONG_NAME "peer.example.net.peer.example.net.peer.example.net.peer.example.net."
#define LONG_ID	  LONG_NAME LONG_NAME LONG_NAME LONG_NAME LONG_NAME "org"

static struct puppet p;

static int up_as_responder(void **state)
{
	puppet_init(&p);
	puppet_start(&p);
	return puppet_up(&p, true) ? 0 : -1;
}

static int up_as_initiator(void **state)
{
	puppet_init(&p);
	puppet_start(&p);
	return puppet_up(&p, false) ? 0 : -1;
}

static int teardown(void **state)
{
	puppet_done(&p);
	return 0;
}

/* The last message of that kind since puppet_forget(); then it is the one read. */
static bool said(uint8_t exchange, bool response)
{
	for (uint32_t i = p.sent_n; i-- > 0;)
		if (puppet_read(&p, i) && p.header.exchange == exchange &&
			!!(p.header.flags & IKE_FLAG_RESPONSE) == response)
			return true;
	return false;
}

static void send_delete_esp(uint32_t spi)
{
	puppet_request(&p, EX_INFORMATIONAL);
	ike_out_delete_esp(&p.out, &spi, 1);
	puppet_send(&p);
}

static void answer_empty(void)
{
	puppet_response(&p);
	puppet_send(&p);
}

static const char *shown_reason(void)
{
	static char row[2048];
	uint32_t cursor = 0;

	row[0] = '\0';
	while (ike_show(p.core, p.now, &cursor, row, sizeof row) > 0)
		if (strstr(row, "\"down\""))
			break;
	return row;
}

/* ---- a key exchange that fails ---- */

static uint16_t trouble_notify(enum rc rc)
{
	return rc == RC_MALFORMED || rc == RC_RANGE ? NTF_INVALID_SYNTAX
	       : rc == RC_LIMIT			    ? NTF_NO_ADDITIONAL_SAS
						    : NTF_TEMPORARY_FAILURE;
}

/* A bad value is the peer's, all else our own trouble: INVALID_SYNTAX, which many take for final, says that
 * what it sent is malformed. */
static void a_key_exchange_that_fails(void **state)
{
	static const struct {
		enum rc rc;
		bool theirs;
	} cases[] = { { RC_MALFORMED, true }, { RC_RANGE, true }, { RC_INTERNAL, false }, { RC_AGAIN, false },
		{ RC_DENIED, false }, { RC_IO, false }, { RC_LIMIT, false } };
	static const uint8_t spi[8] = { 0xee, 1 };

	for (size_t i = 0; i < COUNT_OF(cases); i++) {
		puppet_done(&p);
		puppet_init(&p);
		puppet_start(&p);
		p.fail[KEEPER_EXCHANGE_ANSWER] = cases[i].rc;
		assert_false(puppet_init_as_initiator(&p, false));
		assert_int_equal(said(EX_IKE_SA_INIT, true), cases[i].theirs);
		assert_true(!cases[i].theirs || puppet_says(&p, NTF_INVALID_SYNTAX));
		assert_non_null(strstr(p.refusal.reason, "key exchange"));
		assert_int_equal(puppet_ike_sas(&p), 0);
		p.fail[KEEPER_EXCHANGE_ANSWER] = RC_OK;
		assert_true(puppet_up(&p, true));
		p.fail[KEEPER_EXCHANGE_ANSWER] = cases[i].rc;
		puppet_forget(&p);
		puppet_request(&p, EX_CREATE_CHILD_SA);
		puppet_offer_ike(&p, spi);
		puppet_nonce(&p, 0x60);
		puppet_ke(&p, DH_CURVE25519);
		puppet_send(&p);
		assert_true(said(EX_CREATE_CHILD_SA, true));
		assert_true(puppet_says(&p, trouble_notify(cases[i].rc)));
		assert_int_equal(puppet_children(&p), 1);
	}
}

/*
 * A peer that rekeys while the ledger or the data plane is away: NO_ADDITIONAL_SAS would end what it has, for
 * another IKE SA that needs them as well. It asks again, and then it is done.
 */
static void a_rekey_while_we_have_trouble(void **state)
{
	static const enum keeper_op ops[] = { KEEPER_CHILD_BEGIN, KEEPER_CHILD_INSTALL };
	static const enum rc rcs[] = { RC_AGAIN, RC_DENIED, RC_IO, RC_LIMIT, RC_RANGE };

	for (size_t i = 0; i < COUNT_OF(ops) * COUNT_OF(rcs); i++) {
		enum keeper_op op = ops[i / COUNT_OF(rcs)];
		enum rc rc = rcs[i % COUNT_OF(rcs)];
		uint8_t old[4];
		for (int again = 0; again < 2; again++) {
			if (!again) {
				puppet_done(&p);
				puppet_init(&p);
				puppet_start(&p);
				assert_true(puppet_up(&p, true));
			}
			p.fail[op] = again ? RC_OK : rc;
			store_be32(old, p.child_out);
			puppet_forget(&p);
			puppet_request(&p, EX_CREATE_CHILD_SA);
			ike_out_notify_spi(&p.out, NTF_REKEY_SA, IKE_PROTO_ESP, old, 4, NULL, 0);
			puppet_offer_esp(&p, 0x3000, DH_NONE);
			puppet_nonce(&p, (uint8_t)(0x60 + again));
			puppet_selectors(&p, 0);
			puppet_send(&p);
			assert_true(said(EX_CREATE_CHILD_SA, true));
			if (again)
				assert_true(p.payloads.present & IKE_HAS(SA));
			else
				assert_true(puppet_says(&p, trouble_notify(rc)));
		}
	}
}

/* ---- IKE_AUTH that fails ---- */

static const struct auth_case {
	const char *name;
	enum keeper_op op;
	enum rc rc;
	const char *id;	 /* of the peer */
	uint16_t notify; /* what the responder says; 0: nothing, no child */
	const char *why;
} auth_cases[] = {
	{ "AUTH is wrong", KEEPER_AUTH_VERIFY, RC_AUTH, PUPPET_ID, NTF_AUTHENTICATION_FAILED,
		"authentication failed" },
	{ "an unknown identity", KEEPER_OP_COUNT, RC_OK, "evil.example", NTF_AUTHENTICATION_FAILED,
		"no peer is configured for identity 'evil.example'" },
	{ "an identity that begins like ours", KEEPER_OP_COUNT, RC_OK, "peer.example.org",
		NTF_AUTHENTICATION_FAILED, "no peer is configured for identity 'peer.example.org'" },
	{ "an identity with control characters", KEEPER_OP_COUNT, RC_OK, "peer\n\x1b[2J",
		NTF_AUTHENTICATION_FAILED, "'peer\\x0a\\x1b[2J'" },
	{ "an identity longer than any of ours", KEEPER_OP_COUNT, RC_OK, LONG_ID, NTF_AUTHENTICATION_FAILED,
		"no peer is configured for identity 'peer.example.net.peer.example.net." },
	{ "no child SA can be begun", KEEPER_CHILD_BEGIN, RC_LIMIT, PUPPET_ID, NTF_NO_ADDITIONAL_SAS,
		"child SA" },
	{ "no child SA can be installed", KEEPER_CHILD_INSTALL, RC_DENIED, PUPPET_ID, NTF_NO_ADDITIONAL_SAS,
		"child SA" },
};

static void auth_refused_by_us(void **state)
{
	static const uint8_t auth[32];

	for (size_t i = 0; i < COUNT_OF(auth_cases); i++) {
		const struct auth_case *k = &auth_cases[i];

		puppet_done(&p);
		puppet_init(&p);
		puppet_start(&p);
		if (k->op < KEEPER_OP_COUNT)
			p.fail[k->op] = k->rc;
		assert_true(puppet_init_as_initiator(&p, false));
		puppet_request(&p, EX_IKE_AUTH);
		puppet_id(&p, PL_IDI, k->id);
		ike_out_auth(&p.out, AUTH_SHARED_KEY, auth, 32);
		puppet_offer_esp(&p, 0x2000, DH_NONE);
		puppet_selectors(&p, 0);
		puppet_send(&p);
		assert_true(said(EX_IKE_AUTH, true));
		if (!puppet_says(&p, k->notify))
			fail_msg("%s: not notify %u", k->name, k->notify);
		/* 2.21.2: without AUTHENTICATION_FAILED the IKE SA is established, with our AUTH. */
		assert_int_equal(!!(p.payloads.present & IKE_HAS(AUTH)), k->notify == NTF_NO_ADDITIONAL_SAS);
		assert_string_equal(
			puppet_state(&p, 0), k->notify == NTF_NO_ADDITIONAL_SAS ? "established" : "ended");
		assert_int_equal(puppet_children(&p), 0);
		if (!strstr(p.refusal.reason, k->why))
			fail_msg("%s: the ledger gets '%s'", k->name, p.refusal.reason);
		/* Refused ones only repeat their answer for a moment. */
		puppet_forget(&p);
		puppet_send_bytes(&p, p.buffer, load_be32(p.buffer + 24));
		assert_int_equal(p.sent_n, 1);
		if (k->notify == NTF_NO_ADDITIONAL_SAS)
			continue;
		puppet_run(&p, 21000);
		assert_string_equal(puppet_state(&p, 0), "");
	}
}

static void auth_request_made(void)
{
	static const uint8_t auth[32];

	puppet_request(&p, EX_IKE_AUTH);
	puppet_id(&p, PL_IDI, PUPPET_ID);
	ike_out_auth(&p.out, AUTH_SHARED_KEY, auth, 32);
	puppet_offer_esp(&p, 0x2000, DH_NONE);
	puppet_selectors(&p, 0);
}

static const struct {
	const char *name;
	enum keeper_op op;
	enum rc rc;
} own_troubles[] = {
	{ "the ledger is away or full", KEEPER_AUTH_VERIFY, RC_DENIED },
	{ "too many wait", KEEPER_AUTH_VERIFY, RC_AGAIN },
	{ "the pre-shared key's file is missing", KEEPER_AUTH_VERIFY, RC_NOT_FOUND },
	{ "too many wait, as we sign", KEEPER_AUTH_SIGN, RC_AGAIN },
	{ "our private key's file is missing", KEEPER_AUTH_SIGN, RC_NOT_FOUND },
};

/* Only a wrong proof is AUTHENTICATION_FAILED. What ails ourselves is not told; the peer repeats, and is up
 * when it is over. */
static void own_trouble_is_not_the_peers(void **state)
{
	for (size_t i = 0; i < COUNT_OF(own_troubles); i++) {
		enum keeper_op op = own_troubles[i].op;

		puppet_done(&p);
		puppet_init(&p);
		puppet_start(&p);
		p.fail[op] = own_troubles[i].rc;
		assert_true(puppet_init_as_initiator(&p, false));
		auth_request_made();
		puppet_forget(&p);
		puppet_send(&p);
		const size_t n = load_be32(p.buffer + 24);
		for (uint32_t again = 1; again <= 3; again++) {
			if (p.sent_n != 0 || p.count[op] != again)
				fail_msg("%s: %u datagrams, asked %u times", own_troubles[i].name, p.sent_n,
					p.count[op]);
			puppet_run(&p, 20000); /* longer than IKE_HALF_OPEN_S in all */
			puppet_send_bytes(&p, p.buffer, n);
		}
		assert_int_equal(p.refusals, 1); /* entered once, not for each repetition */
		assert_non_null(strstr(p.refusal.reason, "authentication could not be completed here"));
		p.fail[op] = RC_OK;
		puppet_send_bytes(&p, p.buffer, n);
		assert_true(said(EX_IKE_AUTH, true));
		assert_string_equal(puppet_state(&p, 0), "established");
		assert_int_equal(puppet_children(&p), 1);
		assert_int_equal(p.count[KEEPER_AUTH_VERIFY], op == KEEPER_AUTH_VERIFY ? 5 : 1);
	}
}

/*
 * Until its IKE_AUTH is answered, a peer may only repeat it (RFC 7296 section 2.3). Another one could name somebody else
 * for an IKE SA that counts as the first one's already.
 */
static void another_auth_while_one_waits(void **state)
{
	static const enum keeper_op ops[] = { KEEPER_AUTH_VERIFY, KEEPER_AUTH_SIGN };
	static const uint8_t auth[32];
	uint8_t first[IKE_MESSAGE_MAX];

	for (size_t i = 0; i < COUNT_OF(ops); i++) {
		puppet_done(&p);
		puppet_init(&p);
		puppet_start(&p);
		p.fail[ops[i]] = RC_UNSUPPORTED;
		assert_true(puppet_init_as_initiator(&p, false));
		auth_request_made();
		puppet_forget(&p);
		puppet_send(&p);
		const size_t n = load_be32(p.buffer + 24);
		memcpy(first, p.buffer, n);
		puppet_request(&p, EX_IKE_AUTH);
		puppet_id(&p, PL_IDI, "stranger.example");
		ike_out_auth(&p.out, AUTH_SHARED_KEY, auth, 32);
		puppet_offer_esp(&p, 0x2000, DH_NONE);
		puppet_selectors(&p, 0);
		puppet_send(&p);
		assert_int_equal(p.sent_n, 0);
		assert_int_equal(p.count[KEEPER_AUTH_VERIFY], 1);
		p.fail[ops[i]] = RC_OK;
		puppet_send_bytes(&p, first, n);
		assert_true(said(EX_IKE_AUTH, true));
		assert_string_equal(puppet_state(&p, 0), "established");
	}
}

static void own_trouble_ends_with_the_peers_patience(void **state)
{
	puppet_done(&p);
	puppet_init(&p);
	puppet_start(&p);
	p.fail[KEEPER_AUTH_VERIFY] = RC_DENIED;
	assert_true(puppet_init_as_initiator(&p, false));
	auth_request_made();
	puppet_forget(&p);
	puppet_send(&p);
	puppet_run(&p, 31000);
	assert_int_equal(p.sent_n, 0);
	assert_int_equal(puppet_ike_sas(&p), 0);
}

/* As initiator we say no more than that the IKE SA ends. */
static void own_trouble_as_initiator(void **state)
{
	static const uint8_t auth[32];

	puppet_done(&p);
	puppet_init(&p);
	puppet_start(&p);
	p.fail[KEEPER_AUTH_VERIFY] = RC_DENIED;
	ike_input_order(p.core, p.now, IKE_ORDER_INITIATE, "t0", NULL);
	puppet_settle(&p);
	assert_true(puppet_init_as_responder(&p));
	puppet_response(&p);
	puppet_id(&p, PL_IDR, PUPPET_ID);
	ike_out_auth(&p.out, AUTH_SHARED_KEY, auth, 32);
	puppet_offer_esp(&p, 0x2000, DH_NONE);
	puppet_selectors_back(&p, 0);
	puppet_forget(&p);
	puppet_send(&p);
	assert_true(said(EX_INFORMATIONAL, false));
	assert_false(puppet_says(&p, NTF_AUTHENTICATION_FAILED));
	answer_empty();
	assert_int_equal(puppet_ike_sas(&p), 0);
	assert_non_null(strstr(shown_reason(), "could not be completed here"));
}

/* 2.21.2: as initiator we tell in an exchange of its own, and the peer's child never is. */
static void auth_refused_as_initiator(void **state)
{
	static const uint8_t auth[32];

	for (int wrong_id = 0; wrong_id < 3; wrong_id++) {
		puppet_done(&p);
		puppet_init(&p);
		puppet_start(&p);
		p.fail[KEEPER_AUTH_VERIFY] = wrong_id ? RC_OK : RC_AUTH;
		ike_input_order(p.core, p.now, IKE_ORDER_INITIATE, "t0", NULL);
		puppet_settle(&p);
		assert_true(puppet_init_as_responder(&p));
		puppet_response(&p);
		puppet_id(&p, PL_IDR, wrong_id == 2 ? LONG_ID : wrong_id ? "evil.example" : PUPPET_ID);
		ike_out_auth(&p.out, AUTH_SHARED_KEY, auth, 32);
		puppet_offer_esp(&p, 0x2000, DH_NONE);
		puppet_selectors_back(&p, 0);
		puppet_forget(&p);
		puppet_send(&p);
		assert_int_equal(p.count[KEEPER_AUTH_VERIFY], !wrong_id);
		assert_int_equal(p.count[KEEPER_CHILD_INSTALL], 0);
		assert_true(said(EX_INFORMATIONAL, false));
		assert_true(puppet_says(&p, NTF_AUTHENTICATION_FAILED));
		assert_int_equal(puppet_deletes(&p), 1);
		answer_empty();
		assert_int_equal(puppet_ike_sas(&p), 0);
		assert_int_equal(p.refusals, 1);
		assert_non_null(strstr(shown_reason(), wrong_id == 2 ? LONG_NAME
						       : wrong_id    ? "evil.example"
								     : "authentication failed"));
	}
}

/* ---- delete ---- */

static void child_deleted_by_the_peer(void **state)
{
	send_delete_esp(p.child_out);
	assert_true(said(EX_INFORMATIONAL, true));
	/* 1.4.1: the answer names our half. */
	assert_int_equal(puppet_deletes(&p), 1);
	assert_int_equal(puppet_delete(&p).spis_n, 1);
	assert_int_equal(load_be32(puppet_delete(&p).spis), p.child_in);
	assert_int_equal(puppet_children(&p), 0);
	assert_int_equal(p.count[KEEPER_CHILD_REMOVE], 1);
	assert_string_equal(puppet_state(&p, 0), "established");
	/* Again, or one that never was: an empty answer. */
	puppet_forget(&p);
	send_delete_esp(p.child_out);
	assert_true(said(EX_INFORMATIONAL, true));
	assert_int_equal(puppet_deletes(&p), 0);
	assert_int_equal(p.count[KEEPER_CHILD_REMOVE], 1);
}

static void one_delete_names_many(void **state)
{
	uint32_t spis[3] = { 0x9999, 0x2000, 0x2000 };

	puppet_request(&p, EX_INFORMATIONAL);
	spis[1] = spis[2] = p.child_out;
	ike_out_delete_esp(&p.out, spis, 3);
	ike_out_delete_esp(&p.out, spis, 0);
	puppet_send(&p);
	assert_true(said(EX_INFORMATIONAL, true));
	assert_int_equal(puppet_delete(&p).spis_n, 1);
	assert_int_equal(p.count[KEEPER_CHILD_REMOVE], 1);
}

static void order_to_end_the_child(void)
{
	puppet_usage(&p, p.child_in, 100); /* else it waits until the peer surely has it */
	assert_int_equal(ike_input_order(p.core, p.now, IKE_ORDER_TERMINATE, "t0", NULL), RC_OK);
	puppet_settle(&p);
}

static void child_deleted_by_us(void **state)
{
	order_to_end_the_child();
	assert_true(said(EX_INFORMATIONAL, false));
	assert_int_equal(load_be32(puppet_delete(&p).spis), p.child_in);
	assert_int_equal(p.count[KEEPER_CHILD_REMOVE], 0); /* not before the peer knows */
	puppet_response(&p);
	ike_out_delete_esp(&p.out, &p.child_out, 1);
	puppet_send(&p);
	assert_int_equal(puppet_children(&p), 0);
	assert_int_equal(p.count[KEEPER_CHILD_REMOVE], 1);
}

/* While an order to begin is under way, why it ended before is no reason any more. */
static void reason_of_the_last_order(void **state)
{
	child_deleted_by_us(state);
	assert_non_null(strstr(shown_reason(), "terminated by an administrator"));
	assert_int_equal(ike_input_order(p.core, p.now, IKE_ORDER_INITIATE, "t0", NULL), RC_OK);
	puppet_settle(&p);
	assert_non_null(strstr(shown_reason(), "\"initiated by an administrator"));
}

/* 2.25.1: deletes that cross: an answer without a Delete payload, and the child ends once. */
static void child_deletes_cross(void **state)
{
	order_to_end_the_child();
	send_delete_esp(p.child_out);
	assert_true(said(EX_INFORMATIONAL, true));
	assert_int_equal(puppet_deletes(&p), 0);
	assert_true(puppet_read(&p, 0));
	answer_empty();
	assert_int_equal(p.count[KEEPER_CHILD_REMOVE], 1);
	assert_int_equal(puppet_children(&p), 0);
	assert_string_equal(puppet_state(&p, 0), "established");
	assert_int_equal(ike_view_busy(p.core), 0);
}

static void ike_deleted_by_the_peer(void **state)
{
	puppet_request(&p, EX_INFORMATIONAL);
	ike_out_delete_ike(&p.out);
	puppet_send(&p);
	assert_true(said(EX_INFORMATIONAL, true));
	assert_int_equal(p.payloads.present, 0); /* 1.4.1: empty */
	assert_string_equal(puppet_state(&p, 0), "ended");
	assert_int_equal(puppet_children(&p), 0);
	assert_int_equal(p.count[KEEPER_CHILD_REMOVE], 1);
	assert_int_equal(p.count[KEEPER_DROP], 1);
	puppet_run(&p, 25000);
	assert_string_equal(puppet_state(&p, 0), "");
	assert_non_null(strstr(shown_reason(), "deleted by the peer"));
}

static void ike_deletes_cross(void **state)
{
	ike_input_order(p.core, p.now, IKE_ORDER_TERMINATE, "puppet", NULL);
	puppet_settle(&p);
	assert_true(said(EX_INFORMATIONAL, false));
	puppet_request(&p, EX_INFORMATIONAL);
	ike_out_delete_ike(&p.out);
	puppet_send(&p);
	assert_true(said(EX_INFORMATIONAL, true));
	assert_int_equal(puppet_ike_sas(&p), 0);
	puppet_run(&p, 30000);
	assert_string_equal(puppet_state(&p, 0), "");
	assert_int_equal(p.count[KEEPER_CHILD_REMOVE], 1);
}

/* ---- liveness ---- */

static void silence_is_asked_about(void **state)
{
	puppet_run(&p, 29000);
	assert_int_equal(p.sent_n, 0);
	puppet_run(&p, 1200);
	assert_int_equal(p.sent_n, 1);
	assert_true(said(EX_INFORMATIONAL, false));
	assert_int_equal(p.payloads.present, 0);
	answer_empty();
	puppet_forget(&p);
	puppet_run(&p, 29000);
	assert_int_equal(p.sent_n, 0);
	assert_string_equal(puppet_state(&p, 0), "established");
}

/* What comes in on the child shows that the peer lives (2.4); what goes out shows nothing. */
static void traffic_is_life(void **state)
{
	for (int i = 0; i < 60; i++) {
		puppet_run(&p, 1000);
		puppet_usage(&p, p.child_in, 100);
	}
	assert_int_equal(p.sent_n, 0);
	for (int i = 0; i < 31; i++) {
		puppet_run(&p, 1000);
		puppet_usage(&p, p.child_in, (uint32_t)(100 + 1000 * i));
	}
	assert_int_equal(p.sent_n, 1);
}

static void death_is_noticed(void **state)
{
	puppet_run(&p, 30200);
	assert_int_equal(p.sent_n, 1);
	puppet_run(&p, 45000);
	assert_int_equal(p.sent_n, 8); /* and seven repetitions */
	for (uint32_t i = 1; i < p.sent_n; i++)
		assert_memory_equal(p.sent[i].bytes, p.sent[0].bytes, p.sent[0].n);
	assert_int_equal(puppet_ike_sas(&p), 0);
	assert_int_equal(p.count[KEEPER_CHILD_REMOVE], 1);
	assert_non_null(strstr(shown_reason(), "no answer from 192.0.2.2:500 to INFORMATIONAL"));
}

/*
 * Our request is lost again and again, but the peer continues to send requests: it is not dead, and its
 * children stay. When it falls silent as well, or never answers this request, it ends after all.
 */
static void no_answer_but_life(void **state)
{
	for (int stays = 0; stays < 2; stays++) {
		puppet_done(&p);
		assert_int_equal(up_as_responder(state), 0);
		puppet_run(&p, 30200);
		assert_int_equal(p.sent_n, 1);
		for (uint32_t s = 0; s < (stays ? 600 : 120) && puppet_ike_sas(&p) > 0; s += 5) {
			puppet_request(&p, EX_INFORMATIONAL);
			puppet_send(&p);
			puppet_run(&p, 5000);
			puppet_forget(&p);
			if (s < 150)
				assert_int_equal(puppet_children(&p), 1);
		}
		assert_int_equal(puppet_ike_sas(&p), !stays);
		puppet_run(&p, (IKE_ALIVE_S + 9) * 1000);
		assert_int_equal(puppet_ike_sas(&p), 0);
	}
}

static void peer_asks_for_life(void **state)
{
	for (uint32_t i = 0; i < 50; i++) {
		puppet_forget(&p);
		puppet_request(&p, EX_INFORMATIONAL);
		puppet_send(&p);
		assert_true(said(EX_INFORMATIONAL, true));
		assert_int_equal(p.header.message_id, p.own_id - 1);
		assert_int_equal(p.payloads.present, 0);
	}
}

/* ---- windows and repetition ---- */

static void windows(void **state)
{
	uint8_t first[512], answer[512];
	size_t n, answer_n;

	puppet_request(&p, EX_CREATE_CHILD_SA);
	puppet_offer_esp(&p, 0x3000, DH_ECP_256);
	puppet_nonce(&p, 3);
	puppet_ke(&p, DH_ECP_256);
	puppet_selectors(&p, 1);
	puppet_send(&p);
	assert_int_equal(p.sent_n, 1);
	n = load_be32(p.buffer + 24);
	memcpy(first, p.buffer, n);
	answer_n = p.sent[0].n;
	memcpy(answer, p.sent[0].bytes, answer_n);
	assert_int_equal(puppet_children(&p), 2);
	/* Repeated: the same answer, nothing is done twice. */
	for (int i = 0; i < 3; i++) {
		puppet_forget(&p);
		puppet_send_bytes(&p, first, n);
		assert_int_equal(p.sent[0].n, answer_n);
		assert_memory_equal(p.sent[0].bytes, answer, answer_n);
	}
	assert_int_equal(puppet_children(&p), 2);
	assert_int_equal(p.count[KEEPER_CHILD_INSTALL], 2);
	/* The same id with other content (2.1: not a repetition), an id ahead, an old id: no response. */
	puppet_forget(&p);
	for (int ahead = -2; ahead <= 2; ahead++) {
		if (ahead == 0)
			continue;
		puppet_begin(&p, EX_INFORMATIONAL, false, p.own_id + (uint32_t)ahead);
		ike_out_delete_esp(&p.out, &p.child_out, 1);
		puppet_send(&p);
	}
	assert_int_equal(p.sent_n, 0);
	assert_int_equal(puppet_children(&p), 2);
	/* The next one is taken. */
	send_delete_esp(0x3000);
	assert_int_equal(p.sent_n, 1);
	assert_int_equal(puppet_children(&p), 1);
}

static void answers_nobody_waits_for(void **state)
{
	/* No request of ours is under way. */
	for (uint32_t id = 0; id < 4; id++) {
		puppet_begin(&p, EX_INFORMATIONAL, true, id);
		ike_out_delete_ike(&p.out);
		puppet_send(&p);
	}
	assert_string_equal(puppet_state(&p, 0), "established");
	/* One is: the wrong id, the wrong exchange, then twice the right one. */
	order_to_end_the_child();
	assert_true(said(EX_INFORMATIONAL, false));
	puppet_begin(&p, EX_INFORMATIONAL, true, p.header.message_id + 1);
	puppet_send(&p);
	puppet_begin(&p, EX_CREATE_CHILD_SA, true, p.header.message_id);
	puppet_send(&p);
	assert_int_equal(p.count[KEEPER_CHILD_REMOVE], 0);
	answer_empty();
	assert_int_equal(p.count[KEEPER_CHILD_REMOVE], 1);
	answer_empty();
	assert_int_equal(p.count[KEEPER_CHILD_REMOVE], 1);
	assert_string_equal(puppet_state(&p, 0), "established");
}

/* A request that comes again while the keeper still works on it is not begun twice. */
static void repeated_while_busy(void **state)
{
	size_t n;

	p.hold = true;
	puppet_request(&p, EX_CREATE_CHILD_SA);
	puppet_offer_esp(&p, 0x3000, DH_NONE);
	puppet_nonce(&p, 3);
	puppet_selectors(&p, 0);
	puppet_send(&p);
	n = load_be32(p.buffer + 24);
	for (int i = 0; i < 3; i++)
		puppet_send_bytes(&p, p.buffer, n);
	assert_int_equal(p.asked_n, 1);
	assert_int_equal(p.sent_n, 0);
	p.hold = false;
	puppet_answer_keeper(&p);
	assert_int_equal(p.sent_n, 1);
	assert_int_equal(p.count[KEEPER_CHILD_BEGIN], 2);
}

/* ---- what is not authentic, and what is not well formed ---- */

/* RFC 6290: one datagram in the clear, with a token that belongs to an IKE SA which is none of ours. */
static void told_that_it_is_gone(void)
{
	struct ike_payloads told;

	assert_int_equal(p.sent_n, 1);
	assert_int_equal(ike_header_read(&p.header, p.sent[0].bytes, p.sent[0].n, NULL), RC_OK);
	assert_int_equal(ike_payloads_read(&told, p.header.next_payload, p.sent[0].bytes + IKE_HEADER_SIZE,
				 p.sent[0].n - IKE_HEADER_SIZE, false, NULL),
		RC_OK);
	assert_false(told.present & IKE_HAS(SK));
	assert_int_equal(told.notifies_n, 2);
	assert_non_null(ike_notify_find(&told, NTF_INVALID_IKE_SPI));
	assert_non_null(ike_notify_find(&told, NTF_QCD_TOKEN));
}

static void every_flipped_bit_is_silent(void **state)
{
	uint8_t bytes[256];
	size_t n;

	puppet_request(&p, EX_INFORMATIONAL);
	ike_out_delete_ike(&p.out);
	n = puppet_end(&p);
	for (size_t bit = 0; bit < n * 8; bit++) {
		memcpy(bytes, p.buffer, n);
		bytes[bit / 8] ^= (uint8_t)(1u << bit % 8);
		puppet_send_bytes(&p, bytes, n);
		/* A wrong version is told, with nothing in it that helps (2.5), and that an SPI is none of ours; all else is silence. */
		if (bit / 64 == p.initiator)
			told_that_it_is_gone();
		else if (p.sent_n > 0)
			assert_int_equal(bit / 8, 17);
		puppet_forget(&p);
	}
	assert_string_equal(puppet_state(&p, 0), "established");
	assert_int_equal(puppet_children(&p), 1);
	for (size_t k = 0; k < n; k++)
		puppet_send_bytes(&p, p.buffer, k);
	assert_string_equal(puppet_state(&p, 0), "established");
	puppet_send_bytes(&p, p.buffer, n);
	assert_int_equal(puppet_ike_sas(&p), 0);
}

/* Sealed well, malformed inside (2.21.3): INVALID_SYNTAX, fatal for both; never a crash, never half an act.
 */
static const struct inside {
	const char *name;
	uint8_t exchange, first;
	const char *plain; /* with the pad length octet */
	uint16_t notify;   /* what is said */
	bool survives;
} insides[] = {
	{ "padding longer than the message", EX_INFORMATIONAL, 0, "ff", NTF_INVALID_SYNTAX, false },
	{ "padding that is all", EX_INFORMATIONAL, 0, "000002", 0, true },
	{ "payload length 0", EX_INFORMATIONAL, PL_DELETE, "0000000000", NTF_INVALID_SYNTAX, false },
	{ "payload beyond the end", EX_INFORMATIONAL, PL_DELETE, "000000090100000000", NTF_INVALID_SYNTAX,
		false },
	{ "octets after the last payload", EX_INFORMATIONAL, PL_DELETE, "0000000801000000ff00",
		NTF_INVALID_SYNTAX, false },
	{ "SK inside SK", EX_INFORMATIONAL, PL_SK, "0000000400", NTF_INVALID_SYNTAX, false },
	{ "IKEv1's payload", EX_INFORMATIONAL, 1, "0000000400", NTF_INVALID_SYNTAX, false },
	{ "unknown payload", EX_INFORMATIONAL, 201, "0000000400", 0, true },
	{ "critical unknown payload", EX_INFORMATIONAL, 201, "0080000400", NTF_UNSUPPORTED_CRITICAL_PAYLOAD,
		true },
	{ "delete for no protocol", EX_INFORMATIONAL, PL_DELETE, "000000080000000000", NTF_INVALID_SYNTAX,
		false },
	{ "INFORMATIONAL with KE", EX_INFORMATIONAL, PL_KE,
		"0000000c001f000001020304"
		"00",
		NTF_INVALID_SYNTAX, false },
	{ "CREATE_CHILD_SA without anything", EX_CREATE_CHILD_SA, 0, "00", NTF_INVALID_SYNTAX, false },
	{ "IKE_AUTH again", EX_IKE_AUTH, 0, "00", NTF_INVALID_SYNTAX, false },
	{ "exchange 240", 240, 0, "00", NTF_INVALID_SYNTAX, false },
	{ "the peer says INVALID_SYNTAX", EX_INFORMATIONAL, PL_NOTIFY, "000000080000000700", 0, false },
	{ "the peer says AUTHENTICATION_FAILED", EX_INFORMATIONAL, PL_NOTIFY, "000000080000001800", 0,
		false },
	{ "a notify of no meaning", EX_INFORMATIONAL, PL_NOTIFY, "000000080000fff000", 0, true },
};

static void malformed_inside(void **state)
{
	for (size_t i = 0; i < COUNT_OF(insides); i++) {
		const struct inside *k = &insides[i];
		uint8_t plain[64];
		size_t n = strlen(k->plain) / 2;

		puppet_done(&p);
		assert_int_equal(up_as_responder(NULL), 0);
		assert_true(hex_to_bytes(plain, n, k->plain));
		puppet_send_plain(&p, k->exchange, false, p.own_id++, k->first, plain, n);
		if (!puppet_read_last(&p))
			fail_msg("%s: no answer", k->name);
		if ((k->notify == 0) != (p.payloads.notifies_n == 0) ||
			(k->notify && !puppet_says(&p, k->notify)))
			fail_msg("%s: the answer has %u notifies", k->name, p.payloads.notifies_n);
		if ((puppet_ike_sas(&p) == 1) != k->survives)
			fail_msg("%s: state '%s'", k->name, puppet_state(&p, 0));
		assert_int_equal(puppet_children(&p), k->survives);
	}
}

/* A whole child SA request, shortened by each number of octets and validly encrypted. */
static void every_truncation_inside(void **state)
{
	uint8_t plain[512];
	size_t n;

	puppet_request(&p, EX_CREATE_CHILD_SA);
	puppet_offer_esp(&p, 0x3000, DH_ECP_256);
	puppet_nonce(&p, 3);
	puppet_ke(&p, DH_ECP_256);
	puppet_selectors(&p, 1);
	n = (size_t)(p.out.w.at - p.buffer) - IKE_HEADER_SIZE - 4 - AEAD_IV_SIZE;
	memcpy(plain, p.buffer + IKE_HEADER_SIZE + 4 + AEAD_IV_SIZE, n);
	for (size_t k = 0; k <= n; k++) {
		uint8_t cut[512];

		puppet_done(&p);
		assert_int_equal(up_as_responder(NULL), 0);
		memcpy(cut, plain, k);
		cut[k] = 0;
		puppet_send_plain(&p, EX_CREATE_CHILD_SA, false, p.own_id++, PL_SA, cut, k + 1);
		assert_true(puppet_read_last(&p));
		if (k < n) {
			assert_true(puppet_says(&p, NTF_INVALID_SYNTAX));
			assert_int_equal(puppet_ike_sas(&p), 0);
			assert_int_equal(p.count[KEEPER_CHILD_BEGIN], 1);
		} else {
			assert_int_equal(puppet_children(&p), 2);
		}
	}
}

/* The keeper dies: all handles are void; the tunnel is wanted again, its SA left to the data plane. */
static void keeper_lost(void **state)
{
	uint32_t removed = p.count[KEEPER_CHILD_REMOVE];

	ike_input_keeper_lost(p.core, p.now);
	puppet_settle(&p);
	assert_int_equal(puppet_ike_sas(&p), 0);
	assert_int_equal(p.count[KEEPER_CHILD_REMOVE], removed);
	puppet_run(&p, 2000);
	assert_true(said(EX_IKE_SA_INIT, false));
}

#define R(name) cmocka_unit_test_setup_teardown(name, up_as_responder, teardown)
#define I(name) cmocka_unit_test_setup_teardown(name, up_as_initiator, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		R(a_key_exchange_that_fails),
		R(a_rekey_while_we_have_trouble),
		R(auth_refused_by_us),
		R(own_trouble_is_not_the_peers),
		R(another_auth_while_one_waits),
		R(own_trouble_ends_with_the_peers_patience),
		R(own_trouble_as_initiator),
		R(auth_refused_as_initiator),
		R(child_deleted_by_the_peer),
		I(child_deleted_by_the_peer),
		R(one_delete_names_many),
		R(child_deleted_by_us),
		I(child_deleted_by_us),
		R(reason_of_the_last_order),
		R(child_deletes_cross),
		I(child_deletes_cross),
		R(ike_deleted_by_the_peer),
		I(ike_deleted_by_the_peer),
		R(ike_deletes_cross),
		I(ike_deletes_cross),
		R(silence_is_asked_about),
		I(silence_is_asked_about),
		R(traffic_is_life),
		R(death_is_noticed),
		R(no_answer_but_life),
		R(peer_asks_for_life),
		I(peer_asks_for_life),
		R(windows),
		I(windows),
		R(answers_nobody_waits_for),
		R(repeated_while_busy),
		R(every_flipped_bit_is_silent),
		I(every_flipped_bit_is_silent),
		R(malformed_inside),
		R(every_truncation_inside),
		R(keeper_lost),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
