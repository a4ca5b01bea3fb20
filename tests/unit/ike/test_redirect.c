/*
 * Redirect (RFC 5685) in both roles: who follows whom, where to, how often, and what an answer without protection may cause.
 */
#include "puppet.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

static struct puppet p;
static const uint8_t other[4] = { 198, 51, 100, 3 }, third[4] = { 198, 51, 100, 4 };

static void start(uint32_t flags)
{
	puppet_init(&p);
	p.config.peers[0].flags |= flags;
	puppet_start(&p);
}

static void send_to(const uint8_t *address)
{
	p.config.peers[0].redirect_to = (struct snap_id){ .type = ID_IPV4, .len = 4 };
	memcpy(p.config.peers[0].redirect_to.data, address, 4);
}

static void initiate(void)
{
	assert_int_equal(ike_input_order(p.core, p.now, IKE_ORDER_INITIATE, "t0", NULL), RC_OK);
	puppet_settle(&p);
}

static bool asks_at(const uint8_t *address)
{
	struct ip_addr a = addr_v4(address);

	return p.sent_n > 0 && puppet_read_last(&p) && p.header.exchange == EX_IKE_SA_INIT &&
	       addr_equal(&p.sent[p.sent_n - 1].remote.addr, &a);
}

/* The puppet answers from there from now on. */
static void be_at(const uint8_t *address)
{
	p.at.addr = addr_v4(address);
}

static void redirect_write(uint8_t type, const void *id, size_t n, const struct ike_view *nonce)
{
	struct ike_gateway g = {
		.type = type, .id = { id, n }, .nonce = nonce ? *nonce : (struct ike_view){ 0 }
	};
	uint8_t data[IKE_GATEWAY_MAX];

	ike_out_notify(&p.out, NTF_REDIRECT, data, ike_gateway_write(data, &g));
}

/* In answer to the IKE_SA_INIT that was sent last; change: a bit of the nonce, 0: as it was. */
static void answer_init(uint8_t type, const void *id, size_t n, uint8_t change)
{
	uint8_t nonce[IKE_NONCE_MAX];
	struct ike_view v = { nonce, 0 };

	assert_true(puppet_read_last(&p) && p.header.exchange == EX_IKE_SA_INIT);
	v.n = p.payloads.nonce.n;
	memcpy(nonce, p.payloads.nonce.at, v.n);
	nonce[0] ^= change;
	p.initiator = false;
	memcpy(p.spi_i, p.header.spi_i, 8);
	memset(p.spi_r, 0, 8);
	puppet_begin(&p, EX_IKE_SA_INIT, true, 0);
	redirect_write(type, id, n, &v);
	puppet_send(&p);
}

static const char *shown(void)
{
	static char rows[4 * 4096];
	uint32_t cursor = 0;
	size_t at = 0, n;

	rows[0] = 0;
	while (at + 4096 < sizeof rows && (n = ike_show(p.core, p.now, &cursor, rows + at, 4000)) > 0) {
		at += n;
		rows[at] = 0;
	}
	return rows;
}

/* ---- the one that is sent ---- */

static void only_where_it_is_configured(void **state)
{
	(void)state;
	start(0);
	initiate();
	assert_true(puppet_read_last(&p) && !puppet_says(&p, NTF_REDIRECT_SUPPORTED));
	puppet_forget(&p);
	p.sent_n = 0;
	puppet_done(&p);
	start(0);
	initiate();
	answer_init(GATEWAY_IPV4, other, 4, 0);
	puppet_run(&p, 10000);
	for (uint32_t i = 0; i < p.sent_n; i++)
		assert_int_not_equal(p.sent[i].remote.addr.b[3], other[3]);
	assert_int_equal(p.redirected, 0);
	puppet_done(&p);
}

static void in_the_first_answer(void **state)
{
	(void)state;
	start(PEER_REDIRECT_ACCEPT);
	initiate();
	assert_true(puppet_read_last(&p) && puppet_says(&p, NTF_REDIRECT_SUPPORTED));
	answer_init(GATEWAY_IPV4, other, 4, 1); /* the nonce of somebody who has not seen our request */
	puppet_run(&p, IKE_SETUP_GRACE_MS + 100);
	assert_false(asks_at(other));
	answer_init(GATEWAY_IPV4, other, 4, 0);
	puppet_run(&p, IKE_SETUP_GRACE_MS - 500); /* a better answer may come */
	assert_int_equal(p.redirected, 0);
	puppet_run(&p, 1000);
	assert_int_equal(p.redirected, 1);
	assert_string_equal(p.last_redirected, "198.51.100.3 (not authenticated)");
	assert_true(asks_at(other));
	assert_false(puppet_says(&p, NTF_REDIRECT_SUPPORTED));
	const struct ike_notify *from = ike_notify_find(&p.payloads, NTF_REDIRECTED_FROM);
	assert_non_null(from);
	assert_int_equal(from->data.n, 6);
	assert_memory_equal(from->data.at, ((const uint8_t[]){ 1, 4, 192, 0, 2, 2 }), 6);
	assert_non_null(strstr(shown(), "\"redirected_from\":\"192.0.2.2\""));
	/* The other one is it only if it proves to be. */
	be_at(other);
	assert_true(puppet_init_as_responder(&p));
	puppet_response(&p);
	puppet_auth_payloads(&p, 0x2000);
	puppet_send(&p);
	assert_int_equal(puppet_children(&p), 1);
	assert_int_equal(p.last_install.remote.addr.b[3], other[3]);
	puppet_done(&p);
}

static void the_true_answer_comes_after_all(void **state)
{
	(void)state;
	start(PEER_REDIRECT_ACCEPT);
	initiate();
	answer_init(GATEWAY_IPV4, other, 4, 0);
	assert_true(puppet_read_last(&p));
	assert_true(puppet_init_as_responder(&p));
	puppet_run(&p, 10000);
	assert_int_equal(p.redirected, 0);
	puppet_done(&p);
}

static void not_everywhere(void **state)
{
	static const uint8_t ours[4] = { 192, 0, 2, 1 }, there[4] = { 192, 0, 2, 2 };
	static const uint8_t v6[16] = { 0x20, 1, 0xd, 0xb8, [15] = 1 };
	static const struct {
		uint8_t type;
		const void *id;
		size_t n;
		const char *why;
	} cases[] = {
		{ GATEWAY_IPV4, "\0\0\0\0", 4, "0.0.0.0, which no gateway has" },
		{ GATEWAY_IPV4, "\x7f\0\0\x01", 4, "127.0.0.1, which no gateway has" },
		{ GATEWAY_IPV4, "\xe0\0\0\x05", 4, "224.0.0.5, which no gateway has" },
		{ GATEWAY_IPV4, "\xff\xff\xff\xff", 4, "255.255.255.255, which no gateway has" },
		{ GATEWAY_IPV4, "\xa9\xfe\x01\x01", 4, "169.254.1.1, which is link-local" },
		{ GATEWAY_IPV4, ours, 4, "192.0.2.1, which is ours" },
		{ GATEWAY_IPV4, there, 4, "192.0.2.2, where we are already" },
		{ GATEWAY_IPV6, v6, 16, "not of the family" },
		{ GATEWAY_FQDN, "gw.example.net", 14,
			"gw.example.net, a name that is no peer's remote-address" },
	};

	(void)state;
	for (size_t i = 0; i < COUNT_OF(cases); i++) {
		start(PEER_REDIRECT_ACCEPT);
		initiate();
		answer_init(cases[i].type, cases[i].id, cases[i].n, 0);
		if (!strstr(p.refusal.reason, cases[i].why))
			fail_msg("'%s' lacks '%s'", p.refusal.reason, cases[i].why);
		puppet_run(&p, IKE_SETUP_GRACE_MS + 500);
		assert_int_equal(p.redirected, 0);
		for (uint32_t k = 0; k < p.sent_n; k++)
			assert_memory_equal(p.sent[k].remote.addr.b, there, 4);
		puppet_done(&p);
	}
}

/* Two gateways that send us to each other. */
static void not_without_end(void **state)
{
	uint32_t asked = 0;

	(void)state;
	start(PEER_REDIRECT_ACCEPT);
	initiate();
	be_at((const uint8_t[]){ 192, 0, 2, 2 });
	for (int i = 0; i < 5 * 60; i++) {
		if (p.sent_n > 0 && puppet_read_last(&p) && p.header.exchange == EX_IKE_SA_INIT) {
			asked++;
			p.at.addr = p.sent[p.sent_n - 1].remote.addr;
			answer_init(GATEWAY_IPV4, p.at.addr.b[3] == other[3] ? third : other, 4, 0);
			puppet_forget(&p);
		}
		puppet_run(&p, 900);
	}
	assert_int_equal(p.redirected, IKE_REDIRECTS_MAX);
	assert_non_null(strstr(shown(), "redirected 5 times within 300 s"));
	assert_in_range(asked, IKE_REDIRECTS_MAX + 1, 30);
	puppet_done(&p);
}

static void nobody_is_there(void **state)
{
	(void)state;
	start(PEER_REDIRECT_ACCEPT);
	initiate();
	answer_init(GATEWAY_IPV4, other, 4, 0);
	puppet_run(&p, IKE_SETUP_GRACE_MS + 100);
	assert_true(asks_at(other));
	puppet_run(&p, 60000);
	assert_true(asks_at((const uint8_t[]){ 192, 0, 2, 2 }));
	assert_true(puppet_says(&p, NTF_REDIRECT_SUPPORTED));
	puppet_done(&p);
}

static void in_the_answer_to_ike_auth(void **state)
{
	static const uint8_t auth[32];

	(void)state;
	start(PEER_REDIRECT_ACCEPT);
	initiate();
	assert_true(puppet_init_as_responder(&p));
	puppet_response(&p);
	puppet_id(&p, PL_IDR, PUPPET_ID);
	ike_out_auth(&p.out, AUTH_SHARED_KEY, auth, sizeof auth);
	redirect_write(GATEWAY_IPV4, other, 4, NULL);
	puppet_forget(&p);
	puppet_send(&p);
	assert_int_equal(p.redirected, 1);
	assert_string_equal(p.last_redirected, "198.51.100.3");
	bool deleted = false;
	for (uint32_t i = 0; i < p.sent_n; i++)
		deleted |= puppet_read(&p, i) && p.header.exchange == EX_INFORMATIONAL &&
			   puppet_deletes(&p) == 1;
	assert_true(deleted);
	assert_true(asks_at(other));
	puppet_done(&p);
}

static void of_an_established_one(void **state)
{
	(void)state;
	start(PEER_REDIRECT_ACCEPT);
	assert_true(puppet_up(&p, false));
	puppet_request(&p, EX_INFORMATIONAL);
	redirect_write(GATEWAY_IPV4, other, 4, NULL);
	puppet_send(&p);
	assert_int_equal(p.redirected, 1);
	bool answered = false;
	for (uint32_t i = 0; i < p.sent_n; i++)
		answered |= puppet_read(&p, i) && p.header.exchange == EX_INFORMATIONAL;
	assert_true(answered);
	assert_true(asks_at(other));
	assert_int_equal(puppet_children(&p), 1); /* stays until the new one has taken its place */
	be_at(other);
	p.child_out = 0;
	assert_true(puppet_init_as_responder(&p));
	puppet_response(&p);
	puppet_auth_payloads(&p, 0x3000);
	puppet_forget(&p);
	puppet_send(&p);
	puppet_run(&p, 1000);
	bool deleted = false;
	for (uint32_t i = 0; i < p.sent_n; i++)
		deleted |= puppet_read(&p, i) && p.header.exchange == EX_INFORMATIONAL &&
			   puppet_deletes(&p) == 1;
	assert_true(deleted);
	assert_int_equal(puppet_children(&p), 2); /* until that is answered */
	puppet_done(&p);
}

/* Who has no right to: the one that we have not told that we follow. */
static void of_one_that_began_itself(void **state)
{
	(void)state;
	start(PEER_REDIRECT_ACCEPT);
	assert_true(puppet_up(&p, true));
	puppet_request(&p, EX_INFORMATIONAL);
	redirect_write(GATEWAY_IPV4, other, 4, NULL);
	puppet_send(&p);
	puppet_run(&p, 1000);
	assert_int_equal(p.redirected, 0);
	assert_int_equal(puppet_children(&p), 1);
	puppet_done(&p);
}

/* ---- the gateway ---- */

static void sends_away_at_once(void **state)
{
	(void)state;
	puppet_init(&p);
	send_to(other);
	puppet_start(&p);
	p.redirect = true;
	assert_false(puppet_init_as_initiator(&p, false));
	const struct ike_notify *v = ike_notify_find(&p.payloads, NTF_REDIRECT);
	assert_non_null(v);
	assert_int_equal(v->data.n, 6 + 32);
	assert_memory_equal(v->data.at, ((const uint8_t[]){ 1, 4, 198, 51, 100, 3, 0x50, 0x50 }), 8);
	assert_int_equal(puppet_ike_sas(&p), 0);
	assert_int_equal(p.count[KEEPER_EXCHANGE_ANSWER], 0);
	assert_int_equal(ike_view_count(p.core, IKE_COUNT_REDIRECTS_SENT), 1);
	/* One that does not follow is served, and one that comes from there. */
	p.redirect = false;
	assert_true(puppet_init_as_initiator(&p, false));
	p.redirected_from = other;
	assert_true(puppet_init_as_initiator(&p, false));
	p.redirected_from = third;
	assert_false(puppet_init_as_initiator(&p, false));
	assert_true(puppet_says(&p, NTF_REDIRECT));
	puppet_done(&p);
}

/* The identity says to whom it applies; here it comes by a commit meanwhile. */
static void sends_away_by_identity(void **state)
{
	(void)state;
	puppet_init(&p);
	puppet_start(&p);
	p.redirect = true;
	assert_true(puppet_init_as_initiator(&p, false));
	send_to(other);
	ike_config(p.core, p.now, &p.config.head);
	puppet_settle(&p);
	puppet_request(&p, EX_IKE_AUTH);
	puppet_auth_payloads(&p, 0x2000);
	puppet_forget(&p);
	puppet_send(&p);
	assert_true(puppet_read_last(&p) && p.header.exchange == EX_IKE_AUTH);
	assert_true(puppet_says(&p, NTF_REDIRECT) && p.payloads.present & IKE_HAS(AUTH));
	assert_false(p.payloads.present & IKE_HAS(SA));
	assert_int_equal(puppet_children(&p), 0);
	puppet_forget(&p);
	puppet_run(&p, IKE_REDIRECTED_S * 1000 + 1000); /* it does not go */
	assert_string_equal(puppet_state(&p, 0), "closing");
	puppet_done(&p);
}

static void sends_away_by_order(void **state)
{
	struct snap_id to = { .type = ID_FQDN, .len = 11, .data = "gw2.example" };
	struct err e = { 0 };

	(void)state;
	start(0);
	assert_int_equal(ike_input_redirect(p.core, p.now, "puppet", &to, &e), RC_AGAIN);
	assert_int_equal(ike_input_redirect(p.core, p.now, "nobody", &to, &e), RC_NOT_FOUND);
	assert_true(puppet_up(&p, true));
	assert_int_equal(ike_input_redirect(p.core, p.now, "puppet", &to, &e), RC_UNSUPPORTED);
	puppet_done(&p);
	start(0);
	p.redirect = true;
	assert_true(puppet_up(&p, true));
	assert_int_equal(ike_input_redirect(p.core, p.now, "puppet", &to, &e), RC_OK);
	puppet_settle(&p);
	assert_true(puppet_read_last(&p) && p.header.exchange == EX_INFORMATIONAL);
	const struct ike_notify *v = ike_notify_find(&p.payloads, NTF_REDIRECT);
	assert_non_null(v);
	assert_int_equal(v->data.n, 2 + 11);
	assert_memory_equal(v->data.at, "\x03\x0bgw2.example", 13);
	puppet_done(&p);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(only_where_it_is_configured),
		cmocka_unit_test(in_the_first_answer),
		cmocka_unit_test(the_true_answer_comes_after_all),
		cmocka_unit_test(not_everywhere),
		cmocka_unit_test(not_without_end),
		cmocka_unit_test(nobody_is_there),
		cmocka_unit_test(in_the_answer_to_ike_auth),
		cmocka_unit_test(of_an_established_one),
		cmocka_unit_test(of_one_that_began_itself),
		cmocka_unit_test(sends_away_at_once),
		cmocka_unit_test(sends_away_by_identity),
		cmocka_unit_test(sends_away_by_order),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
