/*
 * The notifies of RFC 8784 from a peer that writes what it likes into them, in both roles: what the keeper is asked, and what
 * the peer is told. That the keys are right: test_auth.c and keys/test_ppk.c.
 */
#include "puppet.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#define NAME "quantum"

static struct puppet p;
static const uint8_t other_auth[KEEPER_AUTH_MAX + 1] = { 0x77 };

static void begin(bool ours, bool theirs)
{
	puppet_init(&p);
	p.ppk = theirs;
	if (ours)
		snprintf(p.config.peers[0].ppk_name, NAME_MAX_BYTES, NAME);
	puppet_start(&p);
}

/* An IKE_AUTH request with these notifies; NULL: without. The keeper's question about it stands in p.asked[0]. */
static void request(const void *identity, size_t identity_n, const void *no_ppk, size_t no_ppk_n)
{
	puppet_request(&p, EX_IKE_AUTH);
	puppet_auth_payloads(&p, 0x2000);
	if (identity)
		ike_out_notify(&p.out, NTF_PPK_IDENTITY, identity, identity_n);
	if (no_ppk)
		ike_out_notify(&p.out, NTF_NO_PPK_AUTH, no_ppk, no_ppk_n);
	puppet_forget(&p);
	p.hold = true;
	puppet_send(&p);
	p.hold = false;
}

static void agreed_by_both(void **state)
{
	(void)state;
	for (int ours = 0; ours < 2; ours++)
		for (int theirs = 0; theirs < 2; theirs++) {
			begin(ours, theirs);
			assert_true(puppet_init_as_initiator(&p, false));
			assert_int_equal(puppet_says(&p, NTF_USE_PPK), ours && theirs);
			puppet_done(&p);
			begin(ours, theirs);
			assert_int_equal(
				ike_input_order(p.core, p.now, IKE_ORDER_INITIATE, "t0", NULL), RC_OK);
			puppet_settle(&p);
			assert_true(puppet_read_last(&p));
			assert_int_equal(puppet_says(&p, NTF_USE_PPK), ours);
			assert_true(puppet_init_as_responder(&p));
			assert_int_equal(puppet_says(&p, NTF_PPK_IDENTITY), ours && theirs);
			if (ours && theirs) {
				const struct ike_notify *v = ike_notify_find(&p.payloads, NTF_PPK_IDENTITY);
				assert_int_equal(v->data.n, 1 + strlen(NAME));
				assert_memory_equal(v->data.at, "\x02" NAME, v->data.n); /* 2: PPK_ID_FIXED */
			}
			puppet_done(&p);
		}
}

static void named_rightly(void **state)
{
	(void)state;
	begin(true, true);
	assert_true(puppet_init_as_initiator(&p, false));
	request("\x02" NAME, 8, other_auth, 32);
	assert_int_equal(p.asked_n, 1);
	assert_int_equal(p.asked[0].op, KEEPER_AUTH_VERIFY);
	assert_int_equal(p.asked[0].u.AUTH_VERIFY.ppk, 1);
	assert_memory_not_equal(p.asked[0].u.AUTH_VERIFY.auth, other_auth, 32);
	while (p.asked_n > 0)
		puppet_answer_keeper(&p);
	assert_true(puppet_read(&p, 0));
	assert_non_null(ike_notify_find(&p.payloads, NTF_PPK_IDENTITY));
	assert_int_equal(ike_notify_find(&p.payloads, NTF_PPK_IDENTITY)->data.n, 0);
	assert_int_equal(puppet_children(&p), 1);
	puppet_done(&p);
}

static void named_wrongly(void **state)
{
	static const struct {
		const char *identity;
		size_t n;
	} cases[] = { { "", 0 }, { "\x02", 1 }, { "\x01" NAME, 8 },
		{ "\x02"
		  "quantu",
			7 },
		{ "\x02" NAME "x", 9 },
		{ "\x02"
		  "Quantum",
			8 },
		{ "\x02" NAME "\0", 9 } };

	(void)state;
	for (size_t k = 0; k < COUNT_OF(cases); k++) {
		begin(true, true);
		assert_true(puppet_init_as_initiator(&p, false));
		request(cases[k].identity, cases[k].n, NULL, 0);
		assert_int_equal(p.asked[0].op, KEEPER_DROP); /* nothing is verified */
		assert_non_null(strstr(p.refusal.reason, "with a PPK, and only so"));
		assert_true(puppet_read(&p, 0));
		assert_true(puppet_says(&p, NTF_AUTHENTICATION_FAILED));
		puppet_done(&p);

		begin(true, true);
		assert_true(puppet_init_as_initiator(&p, false));
		request(cases[k].identity, cases[k].n, other_auth, 32);
		assert_int_equal(p.asked_n, 1);
		assert_int_equal(p.asked[0].u.AUTH_VERIFY.ppk, 0);
		assert_int_equal(p.asked[0].u.AUTH_VERIFY.auth_n, 32);
		assert_memory_equal(p.asked[0].u.AUTH_VERIFY.auth, other_auth, 32);
		while (p.asked_n > 0)
			puppet_answer_keeper(&p);
		assert_true(puppet_read(&p, 0));
		assert_false(puppet_says(&p, NTF_PPK_IDENTITY));
		assert_int_equal(puppet_children(&p), 1);
		puppet_done(&p);
	}
}

/* Without an agreement in IKE_SA_INIT the notifies mean nothing; an AUTH that is empty or too long is none. */
static void sizes_and_no_agreement(void **state)
{
	(void)state;
	begin(true, false);
	assert_true(puppet_init_as_initiator(&p, false));
	request("\x02" NAME, 8, other_auth, 32);
	assert_int_equal(p.asked_n, 1);
	assert_int_equal(p.asked[0].u.AUTH_VERIFY.ppk, 0);
	assert_memory_not_equal(p.asked[0].u.AUTH_VERIFY.auth, other_auth, 32);
	puppet_done(&p);

	begin(true, true);
	assert_true(puppet_init_as_initiator(&p, false));
	request("\x02"
		"another",
		8, other_auth, 0);
	assert_int_equal(p.asked_n, 1);
	assert_int_equal(p.asked[0].u.AUTH_VERIFY.auth_n, 0); /* which the keeper refuses */
	puppet_done(&p);

	begin(true, true);
	assert_true(puppet_init_as_initiator(&p, false));
	request("\x02"
		"another",
		8, other_auth, sizeof other_auth);
	assert_int_equal(p.asked[0].op, KEEPER_DROP); /* nothing is verified */
	assert_non_null(strstr(p.refusal.reason, "longer than"));
	puppet_done(&p);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(agreed_by_both),
		cmocka_unit_test(named_rightly),
		cmocka_unit_test(named_wrongly),
		cmocka_unit_test(sizes_and_no_agreement),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
