/* Words between ledgers: offered, carried, refused, limited, and alive across a rekey. */
#include "puppet.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#define VENDOR "plaingate words between ledgers 1"

static struct puppet p;

static int up(const char *vendor, bool puppet_is_initiator)
{
	puppet_init(&p);
	p.vendor = vendor;
	puppet_start(&p);
	if (!puppet_up(&p, puppet_is_initiator))
		return -1;
	puppet_usage(&p, p.child_in, 100);
	puppet_forget(&p);
	return 0;
}

static int up_speaking(void **state)
{
	(void)state;
	return up(VENDOR, true);
}

static int teardown(void **state)
{
	(void)state;
	puppet_done(&p);
	return 0;
}

static enum rc say(enum ike_word kind, const char *text)
{
	enum rc rc = ike_input_word(p.core, p.now, "puppet", kind, text, strlen(text), NULL);

	puppet_settle(&p);
	return rc;
}

/* The last message sent is a request with that notify and nothing else. */
static void said(uint16_t type, const char *text)
{
	assert_true(puppet_read_last(&p));
	assert_int_equal(p.header.exchange, EX_INFORMATIONAL);
	assert_false(p.header.flags & IKE_FLAG_RESPONSE);
	assert_int_equal(p.payloads.notifies_n, 1);
	assert_int_equal(p.payloads.present, IKE_HAS(NOTIFY));
	assert_int_equal(p.payloads.notifies[0].type, type);
	assert_int_equal(p.payloads.notifies[0].data.n, strlen(text));
	assert_memory_equal(p.payloads.notifies[0].data.at, text, strlen(text));
}

static void answered(void)
{
	puppet_forget(&p);
	puppet_response(&p);
	puppet_send(&p);
}

static void offered_in_both_roles(void **state)
{
	(void)state;
	for (int role = 0; role < 2; role++) {
		puppet_done(&p);
		assert_int_equal(up(VENDOR, role), 0);
		assert_int_equal(say(IKE_WORD_ASK, "question"), RC_OK);
		said(NTF_PLAINGATE_WITNESS_ASK, "question");
		answered();
		assert_int_equal(p.sent_n, 0);
		assert_int_equal(say(IKE_WORD_ANSWER, "answer"), RC_OK);
		said(NTF_PLAINGATE_WITNESS_ANSWER, "answer");
	}
}

/* Nothing private goes to who has not offered it, and nothing of theirs is taken. */
static void not_offered(void **state)
{
	static const char *const vendors[] = { NULL, "plaingate words between ledgers 2", "plaingate words" };

	(void)state;
	for (size_t i = 0; i < COUNT_OF(vendors); i++) {
		puppet_done(&p);
		assert_int_equal(up(vendors[i], i % 2), 0);
		assert_int_equal(say(IKE_WORD_ASK, "question"), RC_UNSUPPORTED);
		assert_int_equal(p.sent_n, 0);
		puppet_request(&p, EX_INFORMATIONAL);
		ike_out_notify(&p.out, NTF_PLAINGATE_WITNESS_ASK, "theirs", 6);
		puppet_send(&p);
		assert_int_equal(p.sent_n, 1); /* answered all the same, as any unknown status notify is */
		assert_int_equal(p.words, 0);
	}
}

static void theirs_comes_in(void **state)
{
	(void)state;
	puppet_request(&p, EX_INFORMATIONAL);
	ike_out_notify(&p.out, NTF_PLAINGATE_WITNESS_ASK, "theirs", 6);
	puppet_send(&p);
	assert_int_equal(p.words, 1);
	assert_int_equal(p.last_word, IKE_WORD_ASK);
	assert_string_equal(p.last_word_peer, "puppet");
	assert_int_equal(p.last_word_n, 6);
	assert_memory_equal(p.last_word_bytes, "theirs", 6);
	assert_true(puppet_read_last(&p));
	assert_true(p.header.flags & IKE_FLAG_RESPONSE);
	assert_int_equal(p.payloads.present, 0);
	/* Too fast; another kind has its own pace; later again. */
	puppet_request(&p, EX_INFORMATIONAL);
	ike_out_notify(&p.out, NTF_PLAINGATE_WITNESS_ASK, "again", 5);
	ike_out_notify(&p.out, NTF_PLAINGATE_WITNESS_ANSWER, "other", 5);
	puppet_send(&p);
	assert_int_equal(p.words, 2);
	assert_int_equal(p.last_word, IKE_WORD_ANSWER);
	puppet_run(&p, IKE_WORD_EVERY_MS);
	puppet_request(&p, EX_INFORMATIONAL);
	ike_out_notify(&p.out, NTF_PLAINGATE_WITNESS_ASK, "later", 5);
	puppet_send(&p);
	assert_int_equal(p.words, 3);
}

/* One more IKE SA of the same peer is no second pace. */
static void by_another_ike_sa(void **state)
{
	(void)state;
	puppet_request(&p, EX_INFORMATIONAL);
	ike_out_notify(&p.out, NTF_PLAINGATE_WITNESS_ASK, "theirs", 6);
	puppet_send(&p);
	assert_int_equal(p.words, 1);
	assert_true(puppet_up(&p, true));
	puppet_usage(&p, p.child_in, 100);
	for (int i = 0; i < 2; i++) {
		puppet_request(&p, EX_INFORMATIONAL);
		ike_out_notify(&p.out, NTF_PLAINGATE_WITNESS_ASK, "theirs", 6);
		puppet_send(&p);
		assert_int_equal(p.words, 1 + i);
		puppet_run(&p, IKE_WORD_EVERY_MS);
	}
}

static void too_long_or_empty(void **state)
{
	static uint8_t big[IKE_WORD_MAX + 1];

	(void)state;
	assert_int_equal(
		ike_input_word(p.core, p.now, "puppet", IKE_WORD_ASK, big, sizeof big, NULL), RC_RANGE);
	assert_int_equal(ike_input_word(p.core, p.now, "puppet", IKE_WORD_ASK, big, 0, NULL), RC_RANGE);
	assert_int_equal(ike_input_word(p.core, p.now, "nobody", IKE_WORD_ASK, big, 1, NULL), RC_NOT_FOUND);
	puppet_request(&p, EX_INFORMATIONAL);
	ike_out_notify(&p.out, NTF_PLAINGATE_WITNESS_ASK, big, sizeof big);
	ike_out_notify(&p.out, NTF_PLAINGATE_WITNESS_ANSWER, NULL, 0);
	puppet_send(&p);
	assert_int_equal(p.words, 0);
	assert_int_equal(
		ike_input_word(p.core, p.now, "puppet", IKE_WORD_ASK, big, IKE_WORD_MAX, NULL), RC_OK);
	puppet_settle(&p);
	assert_true(puppet_read_last(&p));
	assert_int_equal(p.payloads.notifies[0].data.n, IKE_WORD_MAX);
}

/* While one is on its way the newest waits; both kinds go, one after the other. */
static void the_newest_waits(void **state)
{
	(void)state;
	assert_int_equal(say(IKE_WORD_ASK, "one"), RC_OK);
	assert_int_equal(say(IKE_WORD_ASK, "two"), RC_OK);
	assert_int_equal(say(IKE_WORD_ASK, "three"), RC_OK);
	assert_int_equal(say(IKE_WORD_ANSWER, "four"), RC_OK);
	assert_int_equal(p.sent_n, 1);
	said(NTF_PLAINGATE_WITNESS_ASK, "one");
	answered();
	said(NTF_PLAINGATE_WITNESS_ASK, "three");
	answered();
	said(NTF_PLAINGATE_WITNESS_ANSWER, "four");
	answered();
	assert_int_equal(p.sent_n, 0);
}

/* What waits while the peer rekeys the IKE SA goes on the new one. */
static void moves_to_the_heir(void **state)
{
	static const uint8_t spi[8] = { 0x77 };
	uint8_t heir_spi[8];

	(void)state;
	assert_int_equal(say(IKE_WORD_ASK, "first"), RC_OK); /* not answered: the window is taken */
	assert_int_equal(say(IKE_WORD_ASK, "second"), RC_OK);
	puppet_forget(&p);
	puppet_request(&p, EX_CREATE_CHILD_SA);
	puppet_offer_ike(&p, spi);
	puppet_nonce(&p, 3);
	puppet_ke(&p, DH_CURVE25519);
	puppet_send(&p);
	assert_true(puppet_read(&p, 0));
	assert_int_equal(p.payloads.sa.proposals[0].spi_n, 8);
	memcpy(heir_spi, p.payloads.sa.proposals[0].spi, 8);
	assert_int_equal(p.sent_n, 2);
	p.initiator = true;
	memcpy(p.spi_i, spi, 8);
	memcpy(p.spi_r, heir_spi, 8);
	p.own_id = 0;
	said(NTF_PLAINGATE_WITNESS_ASK, "second");
	assert_memory_equal(p.header.spi_r, heir_spi, 8);
}

static void no_ike_sa(void **state)
{
	(void)state;
	puppet_request(&p, EX_INFORMATIONAL);
	ike_out_delete_ike(&p.out);
	puppet_send(&p);
	assert_int_equal(say(IKE_WORD_ASK, "question"), RC_AGAIN);
}

#define T(name) cmocka_unit_test_setup_teardown(name, up_speaking, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(offered_in_both_roles),
		T(not_offered),
		T(theirs_comes_in),
		T(by_another_ike_sa),
		T(too_long_or_empty),
		T(the_newest_waits),
		T(moves_to_the_heir),
		T(no_ike_sa),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
