/* Words between ledgers: offered, carried, refused, limited, and alive across a rekey. */
#include "puppet.h"

#include "witness/poll.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#define VENDOR "plaingate ledger messages 1"

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

static enum rc say(enum ike_peer_message kind, const char *text)
{
	enum rc rc = ike_input_peer_message(p.core, p.now, "puppet", kind, text, strlen(text), NULL);

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
		assert_int_equal(say(IKE_PEER_MESSAGE_ASK, "question"), RC_OK);
		said(NTF_PLAINGATE_WITNESS_ASK, "question");
		answered();
		assert_int_equal(p.sent_n, 0);
		assert_int_equal(say(IKE_PEER_MESSAGE_ANSWER, "answer"), RC_OK);
		said(NTF_PLAINGATE_WITNESS_ANSWER, "answer");
	}
}

/* Nothing private goes to who has not offered it, and nothing of theirs is taken. */
static void not_offered(void **state)
{
	static const char *const vendors[] = { NULL, "plaingate ledger messages 2", "plaingate words" };

	(void)state;
	for (size_t i = 0; i < COUNT_OF(vendors); i++) {
		puppet_done(&p);
		assert_int_equal(up(vendors[i], i % 2), 0);
		assert_int_equal(say(IKE_PEER_MESSAGE_ASK, "question"), RC_UNSUPPORTED);
		assert_int_equal(p.sent_n, 0);
		puppet_request(&p, EX_INFORMATIONAL);
		ike_out_notify(&p.out, NTF_PLAINGATE_WITNESS_ASK, "theirs", 6);
		puppet_send(&p);
		assert_int_equal(p.sent_n, 1); /* answered all the same, as any unknown status notify is */
		assert_int_equal(p.messages, 0);
	}
}

static void theirs_comes_in(void **state)
{
	(void)state;
	puppet_request(&p, EX_INFORMATIONAL);
	ike_out_notify(&p.out, NTF_PLAINGATE_WITNESS_ASK, "theirs", 6);
	puppet_send(&p);
	assert_int_equal(p.messages, 1);
	assert_int_equal(p.last_message, IKE_PEER_MESSAGE_ASK);
	assert_string_equal(p.last_word_peer, "puppet");
	assert_int_equal(p.last_word_n, 6);
	assert_memory_equal(p.last_message_bytes, "theirs", 6);
	assert_true(puppet_read_last(&p));
	assert_true(p.header.flags & IKE_FLAG_RESPONSE);
	assert_int_equal(p.payloads.present, 0);
}

static void asked(uint16_t notify)
{
	puppet_request(&p, EX_INFORMATIONAL);
	ike_out_notify(&p.out, notify, "theirs", 6);
	puppet_send(&p);
}

/* A ledger that asks as fast as it may, and at once when an act waits, is heard each time. */
static void as_fast_as_a_ledger_asks(void **state)
{
	(void)state;
	asked(NTF_PLAINGATE_WITNESS_ASK);
	for (uint32_t i = 1; i <= 50; i++) {
		puppet_run(&p, WITNESS_POLL_REST_NS / NS_PER_MS);
		asked(NTF_PLAINGATE_WITNESS_ASK);
		assert_int_equal(p.messages, 1 + i);
	}
	asked(NTF_PLAINGATE_WITNESS_ASK);
	assert_int_equal(p.messages, 52);
}

/* What comes faster is dropped; another kind has its own pace, another IKE SA of the same peer has not. */
static void faster_than_that(void **state)
{
	(void)state;
	for (int i = 0; i < 2 * IKE_PEER_MESSAGE_PER_S; i++)
		asked(NTF_PLAINGATE_WITNESS_ASK);
	assert_int_equal(p.messages, IKE_PEER_MESSAGE_PER_S);
	asked(NTF_PLAINGATE_WITNESS_ANSWER);
	assert_int_equal(p.messages, IKE_PEER_MESSAGE_PER_S + 1);
	assert_int_equal(p.last_message, IKE_PEER_MESSAGE_ANSWER);
	assert_true(puppet_up(&p, true));
	puppet_usage(&p, p.child_in, 100);
	asked(NTF_PLAINGATE_WITNESS_ASK);
	assert_int_equal(p.messages, IKE_PEER_MESSAGE_PER_S + 1);
	puppet_run(&p, 1000 / IKE_PEER_MESSAGE_PER_S);
	asked(NTF_PLAINGATE_WITNESS_ASK);
	assert_int_equal(p.messages, IKE_PEER_MESSAGE_PER_S + 2);
}

static void too_long_or_empty(void **state)
{
	static uint8_t big[IKE_PEER_MESSAGE_MAX + 1];

	(void)state;
	assert_int_equal(
		ike_input_peer_message(p.core, p.now, "puppet", IKE_PEER_MESSAGE_ASK, big, sizeof big, NULL),
		RC_RANGE);
	assert_int_equal(ike_input_peer_message(p.core, p.now, "puppet", IKE_PEER_MESSAGE_ASK, big, 0, NULL),
		RC_RANGE);
	assert_int_equal(ike_input_peer_message(p.core, p.now, "nobody", IKE_PEER_MESSAGE_ASK, big, 1, NULL),
		RC_NOT_FOUND);
	puppet_request(&p, EX_INFORMATIONAL);
	ike_out_notify(&p.out, NTF_PLAINGATE_WITNESS_ASK, big, sizeof big);
	ike_out_notify(&p.out, NTF_PLAINGATE_WITNESS_ANSWER, NULL, 0);
	puppet_send(&p);
	assert_int_equal(p.messages, 0);
}

/* ---- in parts ---- */

static uint8_t message[IKE_PEER_MESSAGE_MAX];

static void say_long(size_t n, uint8_t seed)
{
	for (size_t i = 0; i < n; i++)
		message[i] = (uint8_t)(i * 7 + i / 256 + seed);
	assert_int_equal(
		ike_input_peer_message(p.core, p.now, "puppet", IKE_PEER_MESSAGE_ASK, message, n, NULL),
		RC_OK);
	puppet_settle(&p);
}

/* The peer's hands: what the core sent is said back to it, as another core would take it. */
static void echoed(const struct ike_notify *v)
{
	uint8_t data[IKE_PEER_MESSAGE_MAX + 4];
	size_t n = v->data.n;
	uint16_t type = v->type;

	memcpy(data, v->data.at, n);
	puppet_request(&p, EX_INFORMATIONAL);
	ike_out_notify(&p.out, type, data, n);
	puppet_send(&p);
}

/* Whatever its length: no datagram is larger than 1280 octets with the headers of IPv6 and UDP and the
 * marker. */
static void long_ones_go_in_parts(void **state)
{
	static const size_t sizes[] = { 1, IKE_PEER_MESSAGE_PART_MAX, IKE_PEER_MESSAGE_PART_MAX + 1, 1600,
		2 * IKE_PEER_MESSAGE_PART_MAX, IKE_PEER_MESSAGE_MAX };

	(void)state;
	for (size_t i = 0; i < COUNT_OF(sizes); i++) {
		uint32_t before = p.messages, messages = 0;

		puppet_forget(&p);
		say_long(sizes[i], (uint8_t)i);
		while (p.sent_n > 0) {
			assert_int_equal(p.sent_n, 1);
			assert_true(p.sent[0].n + 40 + 8 + 4 <= 1280);
			assert_true(puppet_read(&p, 0));
			struct ike_notify said = p.payloads.notifies[0];
			static uint8_t kept[IKE_MESSAGE_MAX];
			memcpy(kept, said.data.at, said.data.n);
			said.data.at = kept;
			messages++;
			puppet_forget(&p);
			puppet_response(&p);
			puppet_send(&p); /* the next part may be in sent[0] now */
			struct puppet_datagram next = p.sent[0];
			bool more = p.sent_n > 0;
			echoed(&said);
			puppet_forget(&p);
			if (more) {
				p.sent[0] = next;
				p.sent_n = 1;
			}
		}
		assert_int_equal(
			messages, (sizes[i] + IKE_PEER_MESSAGE_PART_MAX - 1) / IKE_PEER_MESSAGE_PART_MAX);
		assert_int_equal(p.messages, before + 1);
		assert_int_equal(p.last_word_n, sizes[i]);
		assert_memory_equal(p.last_message_bytes, message, sizes[i]);
	}
}

/* Half sent it is forgotten on both sides. */
static void a_newer_one_takes_its_place(void **state)
{
	(void)state;
	say_long(3000, 1);
	assert_true(puppet_read_last(&p));
	echoed(&p.payloads.notifies[0]);
	assert_int_equal(say(IKE_PEER_MESSAGE_ASK, "short"), RC_OK);
	assert_true(puppet_read(&p, 0));
	answered();
	said(NTF_PLAINGATE_WITNESS_ASK, "short");
	answered();
	assert_int_equal(p.sent_n, 0);
}

static void part(uint8_t kind, uint8_t last, uint16_t before, size_t n)
{
	static uint8_t data[IKE_PEER_MESSAGE_MAX + 8];

	data[0] = kind;
	data[1] = last;
	store_be16(data + 2, before);
	puppet_request(&p, EX_INFORMATIONAL);
	ike_out_notify(&p.out, NTF_PLAINGATE_WITNESS_PART, data, n);
	puppet_forget(&p);
	puppet_send(&p);
	assert_int_equal(p.sent_n, 1); /* answered, whatever it says */
}

/* What does not fit together is nothing, and what comes after it is whole again. */
static void parts_that_do_not_fit(void **state)
{
	(void)state;
	part(0, 1, 10, 14); /* no beginning */
	part(0, 0, 0, 0);   /* nothing in it */
	part(0, 0, 0, 3);
	part(0, 1, 0, 4);
	part(IKE_PEER_MESSAGE_COUNT, 1, 0, 14); /* no such kind */
	part(0, 0, 0, 14);
	part(0, 1, 11, 14); /* a gap */
	part(0, 1, 10, 14); /* of what was dropped */
	part(0, 0, 0, 4 + IKE_PEER_MESSAGE_MAX);
	part(0, 1, IKE_PEER_MESSAGE_MAX, 4 + 1); /* too long together */
	assert_int_equal(p.messages, 0);
	part(0, 0, 0, 14);
	part(1, 0, 0, 14); /* the other kind has its own */
	part(0, 1, 10, 14);
	assert_int_equal(p.messages, 1);
	assert_int_equal(p.last_word_n, 20);
	assert_int_equal(p.last_message, IKE_PEER_MESSAGE_ASK);
	part(1, 1, 10, 5);
	assert_int_equal(p.messages, 2);
	assert_int_equal(p.last_word_n, 11);
	for (int i = 1; i < 2 * IKE_PEER_MESSAGE_PER_S; i++) /* too fast at last */
		part(0, 1, 0, 14);
	assert_int_equal(p.messages, 1 + IKE_PEER_MESSAGE_PER_S);
}

/* While one is on its way the newest waits; both kinds go, one after the other. */
static void the_newest_waits(void **state)
{
	(void)state;
	assert_int_equal(say(IKE_PEER_MESSAGE_ASK, "one"), RC_OK);
	assert_int_equal(say(IKE_PEER_MESSAGE_ASK, "two"), RC_OK);
	assert_int_equal(say(IKE_PEER_MESSAGE_ASK, "three"), RC_OK);
	assert_int_equal(say(IKE_PEER_MESSAGE_ANSWER, "four"), RC_OK);
	assert_int_equal(p.sent_n, 1);
	said(NTF_PLAINGATE_WITNESS_ASK, "one");
	answered();
	said(NTF_PLAINGATE_WITNESS_ASK, "three");
	answered();
	said(NTF_PLAINGATE_WITNESS_ANSWER, "four");
	answered();
	assert_int_equal(p.sent_n, 0);
}

/* What waits while the peer rekeys the IKE SA is sent on the new one. */
static void moves_to_the_successor(void **state)
{
	static const uint8_t spi[8] = { 0x77 };
	uint8_t successor_spi[8];

	(void)state;
	assert_int_equal(say(IKE_PEER_MESSAGE_ASK, "first"), RC_OK); /* not answered: the window is taken */
	assert_int_equal(say(IKE_PEER_MESSAGE_ASK, "second"), RC_OK);
	puppet_forget(&p);
	puppet_request(&p, EX_CREATE_CHILD_SA);
	puppet_offer_ike(&p, spi);
	puppet_nonce(&p, 3);
	puppet_ke(&p, DH_CURVE25519);
	puppet_send(&p);
	assert_true(puppet_read(&p, 0));
	assert_int_equal(p.payloads.sa.proposals[0].spi_n, 8);
	memcpy(successor_spi, p.payloads.sa.proposals[0].spi, 8);
	assert_int_equal(p.sent_n, 2);
	p.initiator = true;
	memcpy(p.spi_i, spi, 8);
	memcpy(p.spi_r, successor_spi, 8);
	p.own_id = 0;
	said(NTF_PLAINGATE_WITNESS_ASK, "second");
	assert_memory_equal(p.header.spi_r, successor_spi, 8);
}

static void no_ike_sa(void **state)
{
	(void)state;
	puppet_request(&p, EX_INFORMATIONAL);
	ike_out_delete_ike(&p.out);
	puppet_send(&p);
	assert_int_equal(say(IKE_PEER_MESSAGE_ASK, "question"), RC_AGAIN);
}

#define T(name) cmocka_unit_test_setup_teardown(name, up_speaking, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(offered_in_both_roles),
		T(not_offered),
		T(theirs_comes_in),
		T(as_fast_as_a_ledger_asks),
		T(faster_than_that),
		T(too_long_or_empty),
		T(long_ones_go_in_parts),
		T(a_newer_one_takes_its_place),
		T(parts_that_do_not_fit),
		T(the_newest_waits),
		T(moves_to_the_successor),
		T(no_ike_sa),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
