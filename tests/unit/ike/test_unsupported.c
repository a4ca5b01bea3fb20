/*
 * What is not supported is reported, not dropped in silence: RSA, fragments of IKE
 * messages, messages that are too long. A flood of them is bounded.
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

/* RFC 7427: SHA2-256 with RSA, then octets in place of the signature. */
static const uint8_t rsa_sha256[] = { 15, 0x30, 0x0d, 0x06, 0x09, 0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01,
	0x01, 0x0b, 0x05, 0x00 };
/* ecdsa-with-SHA256 */
static const uint8_t ecdsa_sha256[] = { 12, 0x30, 0x0a, 0x06, 0x08, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x04, 0x03,
	0x02 };

static void auth_payloads(bool request, uint8_t method, const uint8_t *head, size_t head_n, size_t n)
{
	uint8_t auth[2048] = { 0 };

	if (head_n)
		memcpy(auth, head, head_n);
	puppet_id(&p, request ? PL_IDI : PL_IDR, PUPPET_ID);
	ike_out_auth(&p.out, method, auth, n);
	puppet_offer_esp(&p, 0x2000, DH_NONE);
	if (request)
		puppet_selectors(&p, 0);
	else
		puppet_selectors_back(&p, 0);
	puppet_forget(&p);
	puppet_send(&p);
}

static void methods_of_authentication(void **state)
{
	static const struct {
		const char *says; /* NULL: the keeper decides */
		uint8_t method;
		const uint8_t *head;
		size_t head_n, n;
	} cases[] = {
		{ "RSA", 1, NULL, 0, 256 },
		{ "RSA", 1, NULL, 0, 512 },
		{ "RSA", 14, rsa_sha256, sizeof rsa_sha256, 16 + 256 },
		{ "RSA", 14, rsa_sha256, sizeof rsa_sha256, 16 + 512 },
		{ "DSS", 3, NULL, 0, 40 },
		{ "longer than", 14, ecdsa_sha256, sizeof ecdsa_sha256, 1200 },
		{ NULL, 14, ecdsa_sha256, sizeof ecdsa_sha256, 80 },
		{ NULL, 14, rsa_sha256, 9, 9 }, /* truncated */
		{ NULL, 14, NULL, 0, 1 },
	};

	(void)state;
	for (size_t i = 0; i < 2 * COUNT_OF(cases); i++) {
		size_t k = i / 2;
		bool request = i % 2;

		puppet_init(&p);
		p.config.head.tunnels.count = 1;
		p.config.peers[0].start = request ? PEER_START_NEVER : PEER_START_ALWAYS;
		puppet_start(&p);
		puppet_settle(&p);
		assert_true(request ? puppet_init_as_initiator(&p, false) : puppet_init_as_responder(&p));
		if (request)
			puppet_request(&p, EX_IKE_AUTH);
		else
			puppet_response(&p);
		auth_payloads(request, cases[k].method, cases[k].head, cases[k].head_n, cases[k].n);
		assert_int_equal(p.count[KEEPER_AUTH_VERIFY], cases[k].says == NULL);
		if (cases[k].says && (p.refusals != 1 || !strstr(p.refusal.reason, cases[k].says)))
			fail_msg("case %zu: '%s'", k, p.refusal.reason);
		assert_int_equal(puppet_children(&p), cases[k].says == NULL);
		puppet_done(&p);
	}
}

static void up(void)
{
	puppet_init(&p);
	puppet_start(&p);
	assert_true(puppet_up(&p, true));
	puppet_usage(&p, p.child_in, 100);
	puppet_forget(&p);
}

/* The encrypted fragment payload of RFC 7383 section 2.5, on a known IKE SA and on none. */
static void fragments(void **state)
{

	uint8_t m[28 + 60] = { 0 };

	(void)state;
	up();
	memcpy(m, p.spi_i, 8);
	memcpy(m + 8, p.spi_r, 8);
	m[16] = PL_SKF;
	m[17] = 0x20;
	m[18] = EX_INFORMATIONAL;
	m[19] = IKE_FLAG_INITIATOR;
	store_be32(m + 20, p.own_id);
	store_be32(m + 24, sizeof m);
	store_be16(m + 30, 60);
	for (int i = 0; i < 1000; i++)
		puppet_send_bytes(&p, m, sizeof m);
	assert_int_equal(p.sent_n, 0);
	assert_int_equal(p.refusals, IKE_REFUSALS_BURST);
	assert_non_null(strstr(p.refusal.reason, "fragments"));
	assert_string_equal(p.refusal.peer, "puppet");
	assert_int_equal(puppet_ike_sas(&p), 1);
	puppet_run(&p, 10 * IKE_REFUSAL_EVERY_S * 1000u);
	uint32_t refusals = p.refusals;
	m[8] ^= 1;
	puppet_send_bytes(&p, m, sizeof m);
	assert_int_equal(p.refusals, refusals);
	puppet_done(&p);
}

static void a_message_that_is_too_long(void **state)
{
	static uint8_t m[IKE_MESSAGE_MAX + 1000];

	(void)state;
	up();
	memcpy(m, p.spi_i, 8);
	memcpy(m + 8, p.spi_r, 8);
	m[16] = PL_SK;
	m[17] = 0x20;
	m[18] = EX_INFORMATIONAL;
	m[19] = IKE_FLAG_INITIATOR;
	store_be32(m + 20, p.own_id);
	store_be32(m + 24, sizeof m);
	for (int i = 0; i < 1000; i++)
		puppet_send_bytes(&p, m, sizeof m);
	assert_int_equal(p.sent_n, 0);
	assert_int_equal(p.refusals, IKE_REFUSALS_BURST);
	assert_non_null(strstr(p.refusal.reason, "9192 octets"));
	assert_int_equal(puppet_ike_sas(&p), 1);
	puppet_done(&p);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(methods_of_authentication),
		cmocka_unit_test(fragments),
		cmocka_unit_test(a_message_that_is_too_long),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
