/*
 * A peer that may have lost its IKE SA: it makes a second one, it sends INITIAL_CONTACT, or a sender without
 * a key says that an SPI is not known.
 */
#include "puppet.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

static struct puppet p;

/* The IKE SA that the puppet had before, with what it needs to speak on it. */
static struct {
	uint8_t spi_i[8], spi_r[8];
	bool initiator;
	uint32_t child_in;
} old;

static int up_in(bool puppet_is_initiator)
{
	puppet_init(&p);
	puppet_start(&p);
	if (!puppet_up(&p, puppet_is_initiator))
		return -1;
	puppet_usage(&p, p.child_in, 100);
	puppet_run(&p, 1500);
	puppet_forget(&p);
	return 0;
}

static int up_as_initiator(void **state)
{
	(void)state;
	return up_in(true);
}

static int up_as_responder(void **state)
{
	(void)state;
	return up_in(false);
}

static int teardown(void **state)
{
	(void)state;
	puppet_done(&p);
	return 0;
}

static uint32_t old_id; /* of the puppet's next request on it */

static void remember(void)
{
	memcpy(old.spi_i, p.spi_i, 8);
	memcpy(old.spi_r, p.spi_r, 8);
	old.initiator = p.initiator;
	old.child_in = p.child_in;
	old_id = p.own_id;
}

/* Requests on the older IKE SA since puppet_forget(); ret_at: the last of them. */
static uint32_t asked_on_old(uint32_t *ret_at)
{
	uint32_t n = 0;

	for (uint32_t i = 0; i < p.sent_n; i++) {
		struct ike_header h;

		if (ike_header_read(&h, p.sent[i].bytes, p.sent[i].n, NULL) != RC_OK ||
			memcmp(h.spi_i, old.spi_i, 8) != 0 || memcmp(h.spi_r, old.spi_r, 8) != 0 ||
			(h.flags & IKE_FLAG_RESPONSE))
			continue;
		*ret_at = i;
		n++;
	}
	return n;
}

/* The peer rebooted: it makes a new IKE SA without INITIAL_CONTACT. */
static void second_ike_sa(void)
{
	remember();
	assert_true(puppet_init_as_initiator(&p, false));
	puppet_request(&p, EX_IKE_AUTH);
	puppet_auth_payloads(&p, 0x7000);
	puppet_forget(&p);
	puppet_send(&p);
	assert_int_equal(puppet_ike_sas(&p), 2);
}

static void a_second_ike_sa_puts_the_first_in_doubt(void **state)
{
	uint32_t at = 0;

	(void)state;
	second_ike_sa();
	assert_int_equal(asked_on_old(&at), 1);
	puppet_usage(&p, p.spis, 0); /* it has our response */
	puppet_run(&p, 10000);
	assert_int_equal(puppet_ike_sas(&p), 1);
	assert_int_equal(puppet_children(&p), 1);
	assert_int_not_equal(p.last_activated.spi_in, old.child_in);
	assert_int_equal(p.last_activated.spi_in, p.spis);
}

static uint32_t responses_on_old(void)
{
	uint32_t n = 0;

	for (uint32_t i = 0; i < p.sent_n; i++) {
		struct ike_header h;

		n += ike_header_read(&h, p.sent[i].bytes, p.sent[i].n, NULL) == RC_OK &&
		     memcmp(h.spi_i, old.spi_i, 8) == 0 && h.flags & IKE_FLAG_RESPONSE;
	}
	return n;
}

/* The peer has made a newer IKE SA and deletes the first: it hears when the data plane sends by the other child SA and what was sent before has
 * had time to arrive, or after a while. */
static void its_delete_waits_for_the_data_plane(void **state)
{
	(void)state;
	second_ike_sa();
	memcpy(p.spi_i, old.spi_i, 8);
	memcpy(p.spi_r, old.spi_r, 8);
	p.initiator = old.initiator;
	p.own_id = old_id;
	p.silent = true;
	puppet_forget(&p);
	puppet_request(&p, EX_INFORMATIONAL);
	ike_out_delete_ike(&p.out);
	puppet_send(&p);
	assert_int_equal(p.last_activated.spi_in, p.spis);
	assert_int_equal(responses_on_old(), 0);
	puppet_run(&p, IKE_HOLD_MS / 2);
	assert_int_equal(responses_on_old(), 0);
	ike_input_activated(p.core, p.now, UINT64_MAX);
	puppet_settle(&p);
	puppet_run(&p, IKE_FLIGHT_MS / 2);
	assert_int_equal(responses_on_old(), 0);
	puppet_run(&p, IKE_FLIGHT_MS);
	assert_int_equal(responses_on_old(), 1);
	puppet_run(&p, 2 * IKE_HOLD_MS);
	assert_int_equal(responses_on_old(), 1);
	p.silent = false;
}

/* A request that the peer has not answered yet is the check, and gets no more retransmissions than another
 * one. */
static void what_is_under_way_asks(void **state)
{
	(void)state;
	ike_input_order(p.core, p.now, IKE_ORDER_REKEY_CHILD, "puppet", NULL);
	puppet_settle(&p);
	puppet_run(&p, 3000);
	second_ike_sa();
	puppet_usage(&p, p.spis, 0);
	puppet_run(&p, 5000);
	assert_int_equal(puppet_ike_sas(&p), 2);
	puppet_run(&p, 5000);
	assert_int_equal(puppet_ike_sas(&p), 1);
}

/* A peer that has both answers, and both stay, with the usual number of retransmissions. */
static void an_answer_ends_the_doubt(void **state)
{
	uint32_t at = 0;

	(void)state;
	second_ike_sa();
	assert_int_equal(asked_on_old(&at), 1);
	memcpy(p.spi_i, old.spi_i, 8);
	memcpy(p.spi_r, old.spi_r, 8);
	p.initiator = old.initiator;
	assert_true(puppet_read(&p, at));
	puppet_response(&p);
	puppet_send(&p);
	puppet_run(&p, 20000);
	assert_int_equal(puppet_ike_sas(&p), 2);
}

/* 2.4: "The INITIAL_CONTACT notification, if sent, MUST be in the first IKE_AUTH request or response". */
static void initial_contact_in_an_answer(void **state)
{
	(void)state;
	remember();
	/* The older one cannot carry a child: the core has to begin another IKE SA. */
	puppet_run(&p, 1000);
	ike_input_order(p.core, p.now, IKE_ORDER_TERMINATE, "puppet", NULL);
	puppet_settle(&p);
	ike_input_order(p.core, p.now, IKE_ORDER_INITIATE, "puppet", NULL);
	puppet_settle(&p);
	assert_true(puppet_init_as_responder(&p));
	assert_true(puppet_read_last(&p));
	assert_int_equal(p.header.exchange, EX_IKE_AUTH);
	puppet_response(&p);
	puppet_auth_payloads(&p, 0x7000);
	ike_out_notify(&p.out, NTF_INITIAL_CONTACT, NULL, 0);
	puppet_send(&p);
	assert_int_equal(puppet_ike_sas(&p), 1);
	assert_string_equal(puppet_state(&p, 0), "established");
}

/*
 * The old pair sends for a moment after our response, until the peer's data plane has the new one; also when the
 * keeper took longer than that for the install.
 */
static void initial_contact_with_a_slow_keeper(void **state)
{
	(void)state;
	assert_true(puppet_init_as_initiator(&p, false));
	puppet_request(&p, EX_IKE_AUTH);
	puppet_auth_payloads(&p, 0x7000);
	ike_out_notify(&p.out, NTF_INITIAL_CONTACT, NULL, 0);
	p.hold = true;
	puppet_send(&p);
	while (p.asked_n == 1 && p.asked[0].op != KEEPER_CHILD_INSTALL)
		puppet_answer_keeper(&p);
	assert_int_equal(p.asked_n, 1);
	puppet_run(&p, 2 * IKE_ACTIVATE_MS);
	p.hold = false;
	while (p.asked_n > 0)
		puppet_answer_keeper(&p);
	assert_int_equal(puppet_ike_sas(&p), 1);
	p.activated = 0;
	puppet_run(&p, IKE_ACTIVATE_MS - 10);
	assert_int_equal(p.activated, 0);
	puppet_run(&p, 20);
	assert_int_equal(p.activated, 1);
	assert_int_equal(p.last_activated.spi_in, p.spis);
}

/* The data plane ends before it reads SA_ACTIVATE: the next one is told, and what was answered is not said again. */
static void a_data_plane_that_ends_meanwhile(void **state)
{
	(void)state;
	assert_true(puppet_init_as_initiator(&p, false));
	puppet_request(&p, EX_IKE_AUTH);
	puppet_auth_payloads(&p, 0x7000);
	ike_out_notify(&p.out, NTF_INITIAL_CONTACT, NULL, 0);
	p.silent = true;
	puppet_send(&p);
	p.activated = 0;
	puppet_run(&p, IKE_ACTIVATE_MS + 10);
	assert_int_equal(p.activated, 1);
	p.last_activated.spi_in = 0;
	ike_input_dataplane_up(p.core, p.now);
	puppet_settle(&p);
	assert_int_equal(p.activated, 2);
	assert_int_equal(p.last_activated.spi_in, p.spis);
	p.silent = false; /* and one that has it */
	ike_input_dataplane_up(p.core, p.now);
	puppet_settle(&p);
	assert_int_equal(p.activated, 3);
	ike_input_dataplane_up(p.core, p.now);
	puppet_settle(&p);
	assert_int_equal(p.activated, 3);
}

/* ---- what anybody can say ---- */

static void say_unprotected(
	const uint8_t spi_i[8], const uint8_t spi_r[8], uint8_t flags, uint16_t type, uint32_t spi)
{
	struct ike_header h = { .version = 0x20, .exchange = EX_INFORMATIONAL, .flags = flags };
	struct ike_out o;
	uint8_t data[4];

	memcpy(h.spi_i, spi_i, 8);
	memcpy(h.spi_r, spi_r, 8);
	store_be32(data, spi);
	o = ike_out_begin(p.buffer, sizeof p.buffer, &h);
	ike_out_notify(&o, type, data, spi ? 4 : 0);
	puppet_forget(&p);
	puppet_send_bytes(&p, p.buffer, ike_out_end(&o));
}

static void say_invalid_spi(uint32_t spi)
{
	static const uint8_t zero[8];

	say_unprotected(zero, zero, IKE_FLAG_INITIATOR, NTF_INVALID_SPI, spi);
}

static void answer(void)
{
	assert_true(puppet_read_last(&p));
	puppet_response(&p);
	puppet_send(&p);
}

/* 2.4, 1.5: they are hints. The peer is checked, at a limited rate and with the usual retransmissions. */
static void unprotected_words_only_ask(void **state)
{
	(void)state;
	remember();
	say_invalid_spi(p.child_out + 1);
	assert_int_equal(p.sent_n, 0);
	say_invalid_spi(p.child_out);
	assert_int_equal(p.sent_n, 1);
	answer();
	for (int i = 0; i < 9; i++) { /* the rate is bounded */
		say_invalid_spi(p.child_out);
		assert_int_equal(p.sent_n, 0);
		puppet_run(&p, 1000);
	}
	puppet_run(&p, 1500);
	say_unprotected(p.spi_i, p.spi_r, IKE_FLAG_RESPONSE, NTF_INVALID_IKE_SPI, 0);
	assert_int_equal(p.sent_n, 1);
	/* No answer, and it is said again and again: not sooner at an end than without. */
	for (int i = 0; i < 30; i++) {
		say_unprotected(p.spi_i, p.spi_r, IKE_FLAG_RESPONSE, NTF_INVALID_IKE_SPI, 0);
		say_invalid_spi(p.child_out);
		puppet_run(&p, 1000);
	}
	assert_int_equal(puppet_ike_sas(&p), 1);
	puppet_run(&p, 15000);
	assert_int_equal(puppet_ike_sas(&p), 0);
}

static void from_elsewhere_they_are_nothing(void **state)
{
	uint8_t other[8];

	(void)state;
	memcpy(other, p.spi_r, 8);
	other[0] ^= 1;
	say_unprotected(p.spi_i, other, IKE_FLAG_RESPONSE, NTF_INVALID_IKE_SPI, 0);
	assert_int_equal(p.sent_n, 0);
	say_unprotected(p.spi_i, p.spi_r, IKE_FLAG_RESPONSE, NTF_NO_PROPOSAL_CHOSEN, 0);
	assert_int_equal(p.sent_n, 0);
	p.at.addr.b[3] ^= 1;
	say_unprotected(p.spi_i, p.spi_r, IKE_FLAG_RESPONSE, NTF_INVALID_IKE_SPI, 0);
	assert_int_equal(p.sent_n, 0);
	say_invalid_spi(p.child_out);
	assert_int_equal(p.sent_n, 0);
}

/* ---- our own address ---- */

/* What the data plane says of the child SA, once a second. */
static void second(bool gone)
{
	struct sa_usage u = { .spi_in = p.child_in, .idle_in_ms = 100, .flags = gone ? SA_LOCAL_GONE : 0 };

	puppet_run(&p, 1000);
	ike_input_usage(p.core, p.now, &u);
	puppet_settle(&p);
}

static void up_from(bool configured, uint32_t start)
{
	puppet_done(&p);
	puppet_init(&p);
	if (!configured)
		p.config.peers[0].local = (struct ip_addr){ 0 };
	p.config.head.tunnels.count = 1;
	p.config.peers[0].start = start;
	puppet_start(&p);
	assert_true(puppet_up(&p, start != PEER_START_ALWAYS));
}

/* It is removed and added again within a second, as DHCP does, and nothing happens; else a new IKE SA is
 * made. */
static void an_address_that_is_gone(void **state)
{
	(void)state;
	up_from(false, PEER_START_ALWAYS);
	for (int i = 0; i < 5; i++) {
		second(true);
		second(false);
	}
	assert_int_equal(p.sent_n, 0);
	assert_int_equal(puppet_children(&p), 1);
	second(true);
	second(true);
	assert_int_equal(puppet_children(&p), 0);
	puppet_run(&p, 1000);
	assert_true(puppet_init_as_responder(&p));
}

/* Where another address would not do, or the peer has to begin, it is waited for as for any path. */
static void an_address_that_has_to_come_back(void **state)
{
	static const struct {
		bool configured;
		uint32_t start;
	} cases[] = { { true, PEER_START_ALWAYS }, { false, PEER_START_NEVER } };

	(void)state;
	for (size_t i = 0; i < COUNT_OF(cases); i++) {
		up_from(cases[i].configured, cases[i].start);
		for (int k = 0; k < 10; k++)
			second(true);
		assert_int_equal(puppet_children(&p), 1);
	}
}

#define R(name) cmocka_unit_test_setup_teardown(name, up_as_responder, teardown)
#define I(name) cmocka_unit_test_setup_teardown(name, up_as_initiator, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		I(a_second_ike_sa_puts_the_first_in_doubt),
		I(its_delete_waits_for_the_data_plane),
		R(a_second_ike_sa_puts_the_first_in_doubt),
		I(what_is_under_way_asks),
		R(what_is_under_way_asks),
		I(an_answer_ends_the_doubt),
		R(an_answer_ends_the_doubt),
		I(initial_contact_in_an_answer),
		I(initial_contact_with_a_slow_keeper),
		I(a_data_plane_that_ends_meanwhile),
		R(initial_contact_in_an_answer),
		R(initial_contact_with_a_slow_keeper),
		I(unprotected_words_only_ask),
		R(unprotected_words_only_ask),
		I(from_elsewhere_they_are_nothing),
		R(from_elsewhere_they_are_nothing),
		R(an_address_that_is_gone),
		R(an_address_that_has_to_come_back),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
