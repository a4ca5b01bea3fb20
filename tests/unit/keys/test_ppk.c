/*
 * Post-quantum pre-shared keys (RFC 8784): the derivation, against a second computation by libcrypto's HMAC; that both
 * sides have the same keys with it, and others than without; that a required one is not left out, whatever ike asks; and
 * that a PPK that was replaced ends what it made.
 */
#include "keys/derive.h"
#include "pair.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <openssl/evp.h>
#include <openssl/hmac.h>

#include <cmocka.h>

static struct pair p;
static const char ppk[] = "a post-quantum pre-shared key of the two";

static int before(void **state)
{
	pair_init(&p);
	pair_ppk = true;
	pair_ppk_fallback = false;
	return 0;
}

static int after(void **state)
{
	pair_done(&p);
	pair_ppk = pair_ppk_fallback = false;
	return 0;
}

/* prf+(PPK, SK) of one block and more: T1 = HMAC(PPK, SK | 1), T2 = HMAC(PPK, T1 | SK | 2). */
static void derivation(void **state)
{
	struct ike_keys keys = { .prf_n = 32 };
	uint8_t want[3][32], seed[33];
	unsigned n = 0;

	for (size_t i = 0; i < 32; i++) {
		keys.sk_d[i] = (uint8_t)i;
		keys.sk_pi[i] = (uint8_t)(i + 50);
		keys.sk_pr[i] = (uint8_t)(i + 100);
	}
	const uint8_t *all[3] = { keys.sk_d, keys.sk_pi, keys.sk_pr };
	for (int k = 0; k < 3; k++) {
		memcpy(seed, all[k], 32);
		seed[32] = 1;
		assert_non_null(HMAC(EVP_sha256(), ppk, sizeof ppk - 1, seed, sizeof seed, want[k], &n));
	}
	assert_int_equal(derive_with_ppk(PRF_HMAC_SHA2_256,
				 (struct octets){ (const uint8_t *)ppk, sizeof ppk - 1 }, &keys),
		RC_OK);
	for (int k = 0; k < 3; k++)
		assert_memory_equal(all[k], want[k], 32);
}

static const struct sa_install *installed(int at)
{
	const struct keys_action *a = NULL;

	assert_true(side_count(&p.side[at], 0, KEYS_SA_INSTALL, &a) > 0);
	return &a->u.install;
}

static void with_and_without(void **state)
{
	uint8_t kept[2][KEYMAT_MAX];

	for (int with = 0; with < 2; with++) {
		pair_done(&p);
		pair_init(&p);
		pair_ppk = with;
		if (with)
			pair_use_ppk(&p, 0);
		assert_int_equal(pair_ike(&p), RC_OK);
		assert_int_equal(side_entry(&p.side[0], KEYS_ENTRY_IKE_SA_UP)->ppk, with);
		assert_int_equal(pair_child(&p, DH_NONE, CHILD_NONCES_OF_IKE), RC_OK);
		assert_memory_equal(installed(0)->key_out, installed(1)->key_in, KEYMAT_MAX);
		memcpy(kept[with], installed(0)->key_out, KEYMAT_MAX);
		assert_int_equal(pair_rekey(&p), RC_OK);
		assert_int_equal(side_entry(&p.side[1], KEYS_ENTRY_IKE_SA_REKEYED)->ppk, with);
		assert_int_equal(pair_child(&p, DH_NONE, 0), RC_OK);
		assert_memory_equal(installed(0)->key_out, installed(1)->key_in, KEYMAT_MAX);
	}
	assert_memory_not_equal(kept[0], kept[1], KEYMAT_MAX); /* of the same nonces and secrets */
}

/* The initiator offers both, the responder takes the one without. */
static void fallback(void **state)
{
	struct keeper_auth_signed auth;

	pair_use_ppk(&p, 0);
	assert_int_equal(pair_begin(&p, 0, 0), RC_OK);
	assert_int_equal(pair_finish(&p), RC_OK);
	assert_int_equal(pair_sign(&p, p.initiator, &auth), RC_OK);
	assert_true(auth.no_ppk_n > 0);
	assert_memory_not_equal(auth.auth, auth.no_ppk, auth.auth_n);
	pair_ppk_fallback = true;
	assert_int_equal(pair_verify(&p, !p.initiator, &auth), RC_OK);
	pair_ppk_fallback = false;
	pair_ppk = false;
	assert_int_equal(pair_sign(&p, !p.initiator, &auth), RC_OK);
	assert_int_equal(auth.no_ppk_n, 0);
	assert_int_equal(pair_verify(&p, p.initiator, &auth), RC_OK);
	assert_false(side_entry(&p.side[0], KEYS_ENTRY_IKE_SA_UP)->ppk);
}

/* An ike that is taken over, or a peer between the two, leaves it out: on no side, in no step. */
static void required_is_required(void **state)
{
	struct keeper_auth_signed auth;

	pair_use_ppk(&p, PEER_REQUIRE_PQ);
	assert_int_equal(pair_begin(&p, 0, 0), RC_OK);
	assert_int_equal(pair_finish(&p), RC_OK);
	pair_ppk = false;
	assert_int_equal(pair_sign(&p, p.initiator, &auth), RC_AUTH);
	pair_ppk = true;
	assert_int_equal(pair_sign(&p, p.initiator, &auth), RC_OK);
	assert_int_equal(auth.no_ppk_n, 0); /* there is nothing to fall back to */
	pair_ppk = false;
	assert_int_equal(pair_verify(&p, !p.initiator, &auth), RC_AUTH);
	assert_non_null(strstr(p.side[!p.initiator].reply.u.AUTH_VERIFY.text, "require-post-quantum"));
}

static void not_configured(void **state)
{
	struct keeper_auth_signed auth;

	assert_int_equal(pair_begin(&p, 0, 0), RC_OK);
	assert_int_equal(pair_finish(&p), RC_OK);
	assert_int_equal(pair_sign(&p, p.initiator, &auth), RC_DENIED);
	pair_use_ppk(&p, 0);
	keys_identities_clear(p.side[p.initiator].keys);
	assert_int_equal(
		keys_identity_psk(p.side[p.initiator].keys, "shared", "a secret of the two", 19, NULL),
		RC_OK);
	assert_int_equal(pair_sign(&p, p.initiator, &auth), RC_NOT_FOUND);
	assert_non_null(strstr(p.side[p.initiator].reply.u.AUTH_SIGN.text, "quantum.ppk"));
}

/* The receipt of its entry does not come, and the peer repeats its request: the keys are with the PPK once. */
static void asked_again(void **state)
{
	struct keeper_auth_signed auth;
	struct side *r;

	pair_use_ppk(&p, 0);
	r = &p.side[!p.initiator];
	assert_int_equal(pair_begin(&p, 0, 0), RC_OK);
	assert_int_equal(pair_finish(&p), RC_OK);
	assert_int_equal(pair_sign(&p, p.initiator, &auth), RC_OK);
	r->receipt_rc = RC_IO;
	assert_int_not_equal(pair_verify(&p, !p.initiator, &auth), RC_OK);
	pair_ppk_fallback = true;
	assert_int_equal(pair_verify(&p, !p.initiator, &auth), RC_DENIED); /* not the other keys now */
	pair_ppk_fallback = false;
	r->receipt_rc = RC_OK;
	assert_int_equal(pair_verify(&p, !p.initiator, &auth), RC_OK);
	assert_int_equal(pair_sign(&p, !p.initiator, &auth), RC_OK);
	assert_int_equal(pair_verify(&p, p.initiator, &auth), RC_OK);
	assert_int_equal(pair_child(&p, DH_NONE, CHILD_NONCES_OF_IKE), RC_OK);
	assert_memory_equal(installed(0)->key_out, installed(1)->key_in, KEYMAT_MAX);
}

static void replaced_or_required_since(void **state)
{
	struct pair_config *config = &p.side[0].config;

	for (int how = 0; how < 3; how++) {
		pair_done(&p);
		pair_init(&p);
		pair_ppk = how < 2;
		pair_use_ppk(&p, 0);
		assert_int_equal(pair_ike(&p), RC_OK);
		keys_recheck(p.side[0].keys);
		assert_int_equal(side_count(&p.side[0], 0, KEYS_ENDED, NULL), 0);
		if (how == 0)
			assert_int_equal(keys_identity_ppk(p.side[0].keys, "quantum",
						 "another post-quantum pre-shared key", 35, NULL),
				RC_OK);
		if (how == 1)
			config->peers[0].ppk_name[0] = '\0';
		if (how == 2)
			config->peers[0].flags |= PEER_REQUIRE_PQ;
		side_configure(&p.side[0]);
		keys_recheck(p.side[0].keys);
		assert_int_equal(side_count(&p.side[0], 0, KEYS_ENDED, NULL), 1);
		assert_int_equal(pair_child_begin(&p, DH_NONE), RC_DENIED);
	}
}

static void sizes(void **state)
{
	static const char octets[KEYS_PSK_MAX + 1];
	struct err e = { 0 };

	assert_int_equal(keys_identity_ppk(p.side[0].keys, "a", octets, KEYS_PPK_MIN, NULL), RC_OK);
	assert_int_equal(keys_identity_ppk(p.side[0].keys, "a", octets, KEYS_PSK_MAX, NULL), RC_OK);
	assert_int_equal(keys_identity_ppk(p.side[0].keys, "a", octets, KEYS_PPK_MIN - 1, &e), RC_RANGE);
	assert_non_null(strstr(e.text, "31 octets; 32 to 256"));
	assert_int_equal(keys_identity_ppk(p.side[0].keys, "a", octets, KEYS_PSK_MAX + 1, NULL), RC_RANGE);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(derivation),
		cmocka_unit_test_setup_teardown(with_and_without, before, after),
		cmocka_unit_test_setup_teardown(fallback, before, after),
		cmocka_unit_test_setup_teardown(required_is_required, before, after),
		cmocka_unit_test_setup_teardown(not_configured, before, after),
		cmocka_unit_test_setup_teardown(asked_again, before, after),
		cmocka_unit_test_setup_teardown(replaced_or_required_since, before, after),
		cmocka_unit_test_setup_teardown(sizes, before, after),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
