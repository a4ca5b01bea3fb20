/*
 * A message of ours that cannot be sealed ends its IKE SA, at each step where one is due: what the step had
 * made goes with it, in the keeper too, and nothing of it is accessed after that. The sealing fails by
 * link_args --wrap=aead_seal; that of the puppet works.
 */
#include "puppet.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

static struct puppet p;
static unsigned sealed, fail_at; /* messages of the core; which of them fails, 0: none */

enum rc __real_aead_seal(const struct aead_key *k, const uint8_t iv[AEAD_IV_SIZE], const void *aad,
	size_t aad_n, const void *plain, size_t n, uint8_t *ret_sealed);
enum rc __wrap_aead_seal(const struct aead_key *k, const uint8_t iv[AEAD_IV_SIZE], const void *aad,
	size_t aad_n, const void *plain, size_t n, uint8_t *ret_sealed);

enum rc __wrap_aead_seal(const struct aead_key *k, const uint8_t iv[AEAD_IV_SIZE], const void *aad,
	size_t aad_n, const void *plain, size_t n, uint8_t *ret_sealed)
{
	uintptr_t at = (uintptr_t)ret_sealed, from = (uintptr_t)p.buffer;

	if (at >= from && at < from + sizeof p.buffer)
		return __real_aead_seal(k, iv, aad, aad_n, plain, n, ret_sealed);
	return ++sealed == fail_at ? RC_INTERNAL : __real_aead_seal(k, iv, aad, aad_n, plain, n, ret_sealed);
}

static void begin(bool initiator, unsigned at)
{
	puppet_init(&p);
	p.config.head.tunnels.count = 1;
	p.config.peers[0].start = PEER_START_NEVER;
	sealed = 0;
	fail_at = at;
	puppet_start(&p);
	puppet_settle(&p);
}

/* Children that the keeper holds: each that was begun was removed, or its IKE SA's keys were dropped. */
static void assert_nothing_left(void)
{
	assert_int_equal(sealed, fail_at);
	assert_int_equal(puppet_children(&p), 0);
	assert_true(p.count[KEEPER_DROP] > 0);
	for (uint32_t i = 0; i < puppet_ike_sas(&p); i++)
		assert_string_not_equal(puppet_state(&p, i), "established");
}

/* As the responder the first message that we seal is the answer to IKE_AUTH: the child is up by then. */
static void the_answer_to_ike_auth(void **state)
{
	begin(true, 1);
	puppet_up(&p, true);
	assert_int_equal(p.count[KEEPER_CHILD_INSTALL], 1);
	assert_nothing_left();
	assert_int_equal(puppet_ike_sas(&p), 0);
	puppet_run(&p, 120000);
	assert_int_equal(puppet_ike_sas(&p), 0);
	puppet_done(&p);
}

/* Without a child: there is no tunnel for the selectors. */
static void the_answer_without_a_child(void **state)
{
	begin(true, 1);
	assert_true(puppet_init_as_initiator(&p, false));
	puppet_request(&p, EX_IKE_AUTH);
	puppet_id(&p, PL_IDI, PUPPET_ID);
	ike_out_auth(&p.out, 2, "0123456789abcdef0123456789abcdef", 32);
	puppet_offer_esp(&p, 0x2000, DH_NONE);
	puppet_selectors_back(&p, 1);
	puppet_send(&p);
	assert_nothing_left();
	assert_int_equal(puppet_ike_sas(&p), 0);
	puppet_done(&p);
}

static void our_ike_auth(void **state)
{
	begin(false, 1);
	puppet_up(&p, false);
	assert_nothing_left();
	puppet_done(&p);
}

/* Whatever we say afterwards: answers to the peer's requests and requests of our own, in both roles. */
static void each_message_after_that(void **state)
{
	unsigned failed = 0;

	for (int initiator = 0; initiator < 2; initiator++)
		for (unsigned at = 2; at < 12; at++) {
			begin(initiator, at);
			if (!puppet_up(&p, initiator))
				fail_msg("role %d: not up before message %u", initiator, at);
			for (int i = 0; i < 6; i++) {
				puppet_request(&p, EX_INFORMATIONAL);
				puppet_send(&p);
				puppet_request(&p, EX_CREATE_CHILD_SA);
				puppet_offer_esp(&p, 0x3000u + (unsigned)i, DH_NONE);
				puppet_nonce(&p, (uint8_t)(9 + i));
				puppet_selectors(&p, 0);
				puppet_send(&p);
			}
			puppet_run(&p, 60000);
			failed += sealed >= fail_at;
			if (sealed >= fail_at)
				assert_int_equal(puppet_children(&p), 0);
			puppet_done(&p);
		}
	assert_int_equal(failed, 20);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_answer_to_ike_auth),
		cmocka_unit_test(the_answer_without_a_child),
		cmocka_unit_test(our_ike_auth),
		cmocka_unit_test(each_message_after_that),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
