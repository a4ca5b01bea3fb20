/*
 * Two identities on one template, each with its half of the network: each of them is left alone by what the other one says, and by what
 * an administrator says of the other one; what is one's, the other one does not get.
 */
#include "puppet.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define OTHER_ID "other.example"

static struct puppet p;
static uint8_t first_spi[8];	/* of the IKE SA of PUPPET_ID */
static struct selector half[2]; /* of the network behind the template: that of PUPPET_ID, and the other one */

static uint32_t live_max, children_max; /* of the core; 0: as usual */

static void come_as(const char *id, uint32_t spi, bool initial_contact)
{
	p.id = id;
	p.behind = &half[strcmp(id, PUPPET_ID) != 0];
	assert_true(puppet_init_as_initiator(&p, false));
	puppet_request(&p, EX_IKE_AUTH);
	puppet_auth_payloads(&p, spi);
	if (initial_contact)
		ike_out_notify(&p.out, NTF_INITIAL_CONTACT, NULL, 0);
	puppet_forget(&p);
	puppet_send(&p);
}

static int begin(bool natted)
{
	struct snap_peer *peer = &p.config.peers[0];

	puppet_init(&p);
	p.natted = natted;
	peer->flags |= PEER_REMOTE_ANY | PEER_ID_PATTERN;
	peer->connections_max = 2;
	peer->remote = (struct ip_addr){ 0 };
	peer->remote_id = (struct snap_id){ .type = ID_FQDN, .len = 8, .data = ".example" };
	half[0] = half[1] = p.config.selectors[1];
	half[0].addrs.last.b[3] = 127;
	half[1].addrs.first.b[3] = 128;
	p.behind = &half[0];
	p.vendor = "plaingate ledger messages 1";
	p.setup.live_max = live_max;
	p.setup.children_max = children_max;
	puppet_start(&p);
	if (!puppet_up(&p, true))
		return -1;
	memcpy(first_spi, p.spi_i, 8);
	puppet_usage(&p, p.child_in, 100);
	puppet_run(&p, 1500);
	return 0;
}

static int setup(void **state)
{
	(void)state;
	return begin(false);
}

static int setup_natted(void **state)
{
	(void)state;
	return begin(true);
}

/* Two identities with two IKE SAs each, and each of them two child SAs in both tunnels, and one more of either kind for whoever wants it. */
static int setup_small(void **state)
{
	int rc;

	(void)state;
	live_max = 2 * IKE_SAS_SURE + 1;
	children_max = 2 * 2 * IKE_CHILDREN_SURE + 1;
	rc = begin(false);
	live_max = children_max = 0;
	return rc;
}

static int teardown(void **state)
{
	(void)state;
	puppet_done(&p);
	return 0;
}

/* Requests of the core on the IKE SA of PUPPET_ID since puppet_forget(). */
static uint32_t asked_on_first(void)
{
	struct ike_header h;
	uint32_t n = 0;

	for (uint32_t i = 0; i < p.sent_n; i++)
		n += ike_header_read(&h, p.sent[i].bytes, p.sent[i].n, NULL) == RC_OK &&
		     memcmp(h.spi_i, first_spi, 8) == 0 && !(h.flags & IKE_FLAG_RESPONSE);
	return n;
}

/* RFC 7296 2.4: INITIAL_CONTACT is about the IKE SAs "between the authenticated identities". */
static void initial_contact(void **state)
{
	(void)state;
	come_as(OTHER_ID, 0x7000, true);
	assert_int_equal(puppet_ike_sas(&p), 2);
	assert_int_equal(puppet_children(&p), 2);
	puppet_run(&p, 1500);
	come_as(PUPPET_ID, 0x7100, true);
	assert_int_equal(puppet_ike_sas(&p), 2);
	assert_int_equal(puppet_children(&p), 2);
	puppet_run(&p, 1500);
	come_as(OTHER_ID, 0x7200, true);
	assert_int_equal(puppet_ike_sas(&p), 2);
}

/* Another one's IKE SA does not make the first doubtful, and another one's child SA with the same selectors is not redundant. */
static void two_are_not_one(void **state)
{
	(void)state;
	come_as(OTHER_ID, 0x7000, false);
	puppet_run(&p, 10000);
	assert_int_equal(asked_on_first(), 0);
	assert_int_equal(puppet_ike_sas(&p), 2);
	assert_int_equal(puppet_children(&p), 2);
	come_as(PUPPET_ID, 0x7100, false);
	assert_int_equal(asked_on_first(), 1); /* this one does */
}

/* Both behind one NAT, or one of them with a forged source: where one has gone, the other one has not. */
static void another_one_moves_nobody(void **state)
{
	uint32_t first_in = p.child_in, second_in;
	struct endpoint to = p.at;

	(void)state;
	come_as(OTHER_ID, 0x7000, false);
	assert_int_equal(puppet_children(&p), 2);
	second_in = p.spis;
	assert_int_not_equal(first_in, second_in);
	puppet_run(&p, 1500);
	p.moved = 0;
	to.port++;
	puppet_usage_from(&p, second_in, 10, &to);
	assert_int_equal(p.moved, 1);
	assert_int_equal(p.last_moved.spi_in, second_in);
	/* What came later from there does not keep the first one from going elsewhere. */
	to.port++;
	puppet_usage_from(&p, first_in, 5, &to);
	assert_int_equal(p.moved, 2);
	assert_int_equal(p.last_moved.spi_in, first_in);
}

/* 2.8.1 would have us delete the first one's child SA, which we began, for another one's with a higher nonce. */
static void another_ones_child_is_not_redundant(void **state)
{
	(void)state;
	puppet_forget(&p);
	ike_input_order(p.core, p.now, IKE_ORDER_REKEY_CHILD, "t0", NULL);
	puppet_settle(&p);
	assert_true(puppet_read_last(&p));
	assert_int_equal(p.header.exchange, EX_CREATE_CHILD_SA);
	puppet_response(&p);
	puppet_offer_esp(&p, 0x7000, DH_NONE);
	puppet_nonce(&p, 0x30);
	puppet_selectors_back(&p, 0);
	puppet_forget(&p);
	puppet_send(&p);
	assert_true(puppet_read_last(&p));
	assert_int_equal(puppet_deletes(&p), 1);
	puppet_response(&p);
	ike_out_delete_esp(&p.out, &p.child_out, 1);
	puppet_send(&p);
	assert_int_equal(puppet_children(&p), 1);
	p.nonce = 0x60;
	come_as(OTHER_ID, 0x7100, false);
	puppet_run(&p, 1500);
	assert_int_equal(asked_on_first(), 0);
	assert_int_equal(puppet_children(&p), 2);
}

static uint16_t last_error(void)
{
	const struct ike_notify *v;

	assert_true(puppet_read_last(&p));
	v = ike_notify_error(&p.payloads);
	return v ? v->type : 0;
}

static uint64_t shown(const char *key)
{
	char text[4096], what[64];
	uint32_t cursor = 0;
	uint64_t n = 0;

	snprintf(what, sizeof what, "\"%s\":", key);
	while (ike_show(p.core, p.now, &cursor, text, sizeof text) > 0)
		if (strstr(text, "\"state\":\"template\""))
			n = strtoull(strstr(text, what) + strlen(what), NULL, 10);
	return n;
}

/* An address is one identity's, whatever part of it another one asks for; that one's IKE SA stands. */
static void an_address_is_one_identitys(void **state)
{
	struct selector part = half[0];

	(void)state;
	part.addrs.first.b[3] = part.addrs.last.b[3] = 5;
	half[1] = part;
	come_as(OTHER_ID, 0x7000, false);
	assert_int_equal(last_error(), NTF_TS_UNACCEPTABLE);
	assert_int_equal(puppet_ike_sas(&p), 2);
	assert_int_equal(puppet_children(&p), 1);
	assert_non_null(strstr(p.refusal.reason, "in use by '" PUPPET_ID "'"));
	assert_int_equal(shown("addresses_refused"), 1);
	assert_int_equal(shown("identities"), 2);
	part.addrs.last.b[3] = 200; /* half of it would be free */
	half[1] = part;
	come_as("third.example", 0x7000, false);
	assert_int_equal(last_error(), NTF_TS_UNACCEPTABLE);
	assert_int_equal(shown("addresses_refused"), 2);
	part.addrs.first.b[3] = 128;
	half[1] = part;
	come_as(OTHER_ID, 0x7100, false);
	assert_int_equal(puppet_children(&p), 2);
	half[0].addrs.last.b[3] = 10; /* the same identity may come with less, and with what it has */
	come_as(PUPPET_ID, 0x7200, false);
	assert_int_equal(puppet_children(&p), 3);
}

/* IKE SAs of other identities take no place: the limit is of each of them. */
static void nobody_is_displaced(void **state)
{
	(void)state;
	for (uint32_t i = 0; i < 2 * IKE_SAS_PER_PEER_MAX; i++) {
		come_as(OTHER_ID, 0x7000 + i, false);
		puppet_run(&p, 20);
	}
	assert_true(puppet_ike_sas(&p) <= IKE_SAS_PER_PEER_MAX + 1);
	assert_string_equal(puppet_state(&p, 0), "established");
	come_as(PUPPET_ID, 0x8000, false);
	assert_int_equal(asked_on_first(), 1); /* and is still the first one's */
}

static bool gets_child(uint32_t spi)
{
	puppet_request(&p, EX_CREATE_CHILD_SA);
	puppet_offer_esp(&p, spi, DH_NONE);
	puppet_nonce(&p, (uint8_t)spi);
	puppet_selectors(&p, 0);
	puppet_forget(&p);
	puppet_send(&p);
	return puppet_read_last(&p) && p.payloads.present & IKE_HAS(SA);
}

/* What one has beyond its own places is not a place of another one, which has its own as long as all of them are that many. */
static void each_has_its_places(void **state)
{
	uint32_t n = 0;

	(void)state;
	for (uint32_t i = 0; i < 2 * IKE_SAS_PER_PEER_MAX; i++) {
		come_as(OTHER_ID, 0x7000 + i, false);
		puppet_run(&p, 20);
	}
	assert_int_equal(puppet_ike_sas(&p), 1 + IKE_SAS_SURE + 1);
	puppet_run(&p, 6000); /* what lingers has a place as well */
	while (gets_child(0x9000 + n) && n < 100)
		n++;
	assert_int_equal(puppet_children(&p), 1 + IKE_CHILDREN_SURE + 1);
	come_as(PUPPET_ID, 0x8000, false);
	assert_int_equal(puppet_ike_sas(&p), 2 + IKE_SAS_SURE + 1);
	assert_int_equal(puppet_children(&p), 2 + IKE_CHILDREN_SURE + 1);
	assert_string_equal(puppet_state(&p, 0), "established");
}

static uint32_t says_to_our_ledger(uint32_t n)
{
	uint32_t before = p.messages;

	for (uint32_t i = 0; i < n; i++) {
		puppet_request(&p, EX_INFORMATIONAL);
		ike_out_notify(&p.out, NTF_PLAINGATE_WITNESS_ASK, "word", 4);
		puppet_forget(&p);
		puppet_send(&p);
	}
	return p.messages - before;
}

/* Who says too much to our ledger has its own say cut off. */
static void each_has_its_say(void **state)
{
	(void)state;
	come_as(OTHER_ID, 0x7000, false);
	assert_int_equal(says_to_our_ledger(3 * IKE_PEER_MESSAGE_PER_S), IKE_PEER_MESSAGE_PER_S);
	come_as(OTHER_ID, 0x7001, false); /* nor is it more on another IKE SA */
	assert_int_equal(says_to_our_ledger(1), 0);
	come_as(PUPPET_ID, 0x8000, false);
	assert_int_equal(says_to_our_ledger(3 * IKE_PEER_MESSAGE_PER_S), IKE_PEER_MESSAGE_PER_S);
}

/* By its identity one ends, and no other. */
static void terminated_by_identity(void **state)
{
	struct err e = { 0 };

	(void)state;
	come_as(OTHER_ID, 0x7000, false);
	puppet_forget(&p);
	assert_int_equal(
		ike_input_order(p.core, p.now, IKE_ORDER_TERMINATE, "nobody.example", &e), RC_NOT_FOUND);
	assert_int_equal(
		ike_input_order(p.core, p.now, IKE_ORDER_TERMINATE, "other.exampl", &e), RC_NOT_FOUND);
	assert_int_equal(ike_input_order(p.core, p.now, IKE_ORDER_INITIATE, OTHER_ID, &e), RC_NOT_FOUND);
	assert_int_equal(ike_input_order(p.core, p.now, IKE_ORDER_TERMINATE, OTHER_ID, NULL), RC_OK);
	puppet_settle(&p);
	assert_true(puppet_read_last(&p));
	assert_int_equal(puppet_deletes(&p), 1);
	puppet_response(&p);
	puppet_send(&p);
	assert_int_equal(puppet_ike_sas(&p), 1);
	assert_int_equal(puppet_children(&p), 1);
	assert_int_equal(asked_on_first(), 0);
	assert_string_equal(puppet_state(&p, 0), "established");
	assert_int_equal(ike_input_order(p.core, p.now, IKE_ORDER_TERMINATE, OTHER_ID, &e), RC_NOT_FOUND);
	come_as(OTHER_ID, 0x7100, false); /* it may come back */
	assert_int_equal(puppet_ike_sas(&p), 2);
}

/* The order has room for 63 characters, and what is longer comes cut off. */
static void no_part_of_an_identity(void **state)
{
	static const char id[] = "a234567890123456789012345678901234567890123456789012345.example";
	struct err e = { 0 };

	(void)state;
	assert_int_equal(strlen(id), NAME_MAX_BYTES - 1);
	come_as(id, 0x7000, false);
	assert_int_equal(puppet_ike_sas(&p), 2);
	assert_int_equal(ike_input_order(p.core, p.now, IKE_ORDER_TERMINATE, id, &e), RC_NOT_FOUND);
}

int main(void)
{
#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
	const struct CMUnitTest tests[] = { T(initial_contact), T(two_are_not_one),
		T(another_ones_child_is_not_redundant), T(terminated_by_identity),
		T(an_address_is_one_identitys), T(nobody_is_displaced), T(no_part_of_an_identity),
		T(each_has_its_say),
		cmocka_unit_test_setup_teardown(each_has_its_places, setup_small, teardown),
		cmocka_unit_test_setup_teardown(another_one_moves_nobody, setup_natted, teardown) };

	return cmocka_run_group_tests(tests, NULL, NULL);
}
