/*
 * Child SAs for one worker each (RFC 9611), in both roles: what is asked for and what is granted, their limit, refusals, rekeys,
 * deletes, and commits with another number of workers.
 */
#include "puppet.h"

#include "ike/limits.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static struct puppet p;

static void start(uint32_t workers, bool configured)
{
	puppet_init(&p);
	p.config.head.workers = workers;
	p.config.tunnels[0].flags |= configured ? TUNNEL_PER_WORKER : 0;
	puppet_start(&p);
	puppet_settle(&p);
}

static void say_resource(void)
{
	ike_out_notify(&p.out, NTF_SA_RESOURCE_INFO, NULL, 0);
}

/* The IKE SA with its first child, which the puppet begins or answers. */
static void first_up(bool initiator, bool says)
{
	if (initiator) {
		assert_true(puppet_init_as_initiator(&p, false));
		puppet_request(&p, EX_IKE_AUTH);
	} else {
		assert_int_equal(ike_input_order(p.core, p.now, IKE_ORDER_INITIATE, "t0", NULL), RC_OK);
		puppet_settle(&p);
		assert_true(puppet_init_as_responder(&p));
		puppet_response(&p);
	}
	puppet_auth_payloads(&p, 0x2000);
	if (says)
		say_resource();
	puppet_forget(&p);
	puppet_send(&p);
	assert_int_equal(puppet_children(&p), 1);
	assert_int_equal(p.last_install.resource, 0);
}

/* The puppet requests one more, in place of the child with that SPI of its own (0: of none); it has the SPI. */
static void requests(uint32_t spi, uint32_t rekeys, bool says)
{
	uint8_t old[4];

	puppet_forget(&p);
	puppet_request(&p, EX_CREATE_CHILD_SA);
	store_be32(old, rekeys);
	if (rekeys)
		ike_out_notify_spi(&p.out, NTF_REKEY_SA, IKE_PROTO_ESP, old, 4, NULL, 0);
	if (says)
		say_resource();
	puppet_offer_esp(&p, spi, DH_NONE);
	puppet_nonce(&p, (uint8_t)spi);
	puppet_selectors(&p, 0);
	puppet_send(&p);
}

/* The last message is the core's answer. */
static bool granted(void)
{
	return puppet_read_last(&p) && p.header.exchange == EX_CREATE_CHILD_SA &&
	       (p.payloads.present & IKE_HAS(SA));
}

static bool refused(uint16_t notify)
{
	return puppet_read_last(&p) && !(p.payloads.present & IKE_HAS(SA)) && puppet_says(&p, notify);
}

/* The core's request for one more, after which puppet_response() answers; *ret_id: what it says of it, UINT32_MAX: nothing. */
static bool asks(uint32_t *ret_id)
{
	if (!puppet_read_last(&p) || p.header.exchange != EX_CREATE_CHILD_SA ||
		p.header.flags & IKE_FLAG_RESPONSE)
		return false;
	const struct ike_notify *v = ike_notify_find(&p.payloads, NTF_SA_RESOURCE_INFO);
	*ret_id = v && v->data.n == 4 ? load_be32(v->data.at) : UINT32_MAX;
	return true;
}

static void grants(uint32_t spi, bool says)
{
	puppet_response(&p);
	puppet_offer_esp(&p, spi, DH_NONE);
	puppet_nonce(&p, (uint8_t)spi);
	if (says)
		say_resource();
	puppet_selectors_back(&p, 0);
	puppet_forget(&p);
	puppet_send(&p);
}

static void answers(uint16_t notify)
{
	puppet_response(&p);
	ike_out_notify(&p.out, notify, NULL, 0);
	puppet_forget(&p);
	puppet_send(&p);
}

/* Those that the core wants, with SPIs from this one on. */
static void all_granted(uint32_t spi, uint32_t first, uint32_t n)
{
	uint32_t id;

	for (uint32_t i = 0; i < n; i++) {
		assert_true(asks(&id));
		assert_int_equal(id, first + i);
		assert_false(puppet_says(&p, NTF_REKEY_SA));
		grants(spi + i, true);
		assert_int_equal(p.last_install.resource, first + i + 1);
		assert_int_equal(p.last_install.flags & CHILD_OUTBOUND_LATER, 0);
	}
	assert_int_equal(p.sent_n, 0);
}

static void deletes(uint32_t spi)
{
	puppet_forget(&p);
	puppet_request(&p, EX_INFORMATIONAL);
	ike_out_delete_esp(&p.out, &spi, 1);
	puppet_send(&p);
}

static void commit(uint32_t workers, bool configured)
{
	puppet_forget(&p);
	p.config.head.workers = workers;
	p.config.head.generation++;
	p.config.tunnels[0].flags &= ~(uint32_t)TUNNEL_PER_WORKER;
	p.config.tunnels[0].flags |= configured ? TUNNEL_PER_WORKER : 0;
	ike_config(p.core, p.now, &p.config.head);
	puppet_settle(&p);
}

/* ---- the peer begins ---- */

static void not_configured(void **state)
{
	(void)state;
	start(4, false);
	first_up(true, true);
	assert_true(puppet_read_last(&p));
	assert_false(puppet_says(&p, NTF_SA_RESOURCE_INFO));
	requests(0x2001, 0, true);
	assert_true(refused(NTF_TS_MAX_QUEUE));
	requests(0x2002, 0, false); /* as any peer may */
	assert_true(granted());
	assert_int_equal(p.last_install.resource, 0);
	requests(0x2003, 0x2000, true);
	assert_true(granted());
	assert_false(puppet_says(&p, NTF_SA_RESOURCE_INFO));
	puppet_done(&p);
}

static void as_many_as_there_may_be(void **state)
{
	uint32_t activated;

	(void)state;
	start(2, true);
	first_up(true, true);
	assert_true(puppet_read_last(&p) && puppet_says(&p, NTF_SA_RESOURCE_INFO));
	for (uint32_t i = 0; i < IKE_RESOURCES_MAX; i++) {
		activated = p.activated;
		requests(0x2001 + i, 0, true);
		assert_true(granted());
		const struct ike_notify *v = ike_notify_find(&p.payloads, NTF_SA_RESOURCE_INFO);
		assert_true(v && v->data.n == 4 && load_be32(v->data.at) == i % 2);
		assert_int_equal(p.last_install.resource, 1 + i % 2);
		assert_true(p.last_install.flags & CHILD_OUTBOUND_LATER);
		assert_int_equal(p.activated, activated + (i > 0)); /* the one before: the peer has it */
	}
	requests(0x2100, 0, true);
	assert_true(refused(NTF_TS_MAX_QUEUE));
	requests(0x2101, 0x2000, true); /* a rekey of the first one, and of another */
	assert_true(granted() && puppet_says(&p, NTF_SA_RESOURCE_INFO));
	assert_int_equal(p.last_install.resource, 0);
	requests(0x2102, 0x2002, false);
	assert_true(granted());
	assert_int_equal(p.last_install.resource, 2);
	deletes(0x2000);
	deletes(0x2002);
	requests(0x2103, 0, true);
	assert_true(refused(NTF_TS_MAX_QUEUE));
	deletes(0x2001);
	requests(0x2104, 0, true);
	assert_true(granted());
	assert_int_equal(p.last_install.resource, 1);
	/* Nothing of it is redundant. */
	puppet_run(&p, 60000);
	assert_int_equal(puppet_children(&p), 1 + IKE_RESOURCES_MAX);
	puppet_done(&p);
}

/* The peer has made fewer than we have workers: after a while we make the rest. */
static void the_rest_is_ours(void **state)
{
	uint32_t id;

	(void)state;
	start(3, true);
	first_up(true, true);
	requests(0x2001, 0, true);
	requests(0x2002, 0, true);
	puppet_forget(&p);
	puppet_run(&p, IKE_BESIDE_WAIT_MS / 2);
	assert_int_equal(p.sent_n, 0);
	puppet_run(&p, IKE_CONFIRM_S * 1000);
	assert_true(asks(&id) && id == 2);
	puppet_done(&p);
}

/* ---- we begin ---- */

static void one_for_each_worker(void **state)
{
	(void)state;
	start(3, true);
	first_up(false, true);
	all_granted(0x2001, 0, 3);
	assert_int_equal(puppet_children(&p), 4);
	puppet_run(&p, 5000);
	assert_int_equal(puppet_children(&p), 4);
	puppet_done(&p);
}

static void none_without_the_peer(void **state)
{
	(void)state;
	start(3, true);
	first_up(false, false);
	puppet_run(&p, 10000);
	assert_int_equal(p.sent_n, 0);
	puppet_done(&p);
	start(1, true); /* the first one is the only worker's own */
	first_up(false, true);
	puppet_run(&p, 10000);
	assert_int_equal(p.sent_n, 0);
	puppet_done(&p);
}

static void refusals(void **state)
{
	uint32_t id;

	(void)state;
	start(2, true);
	first_up(false, true);
	assert_true(asks(&id) && id == 0);
	answers(NTF_TEMPORARY_FAILURE);
	assert_int_equal(p.sent_n, 0);
	puppet_run(&p, 3 * IKE_TEMPORARY_MS);
	assert_true(asks(&id) && id == 0);
	answers(NTF_TS_MAX_QUEUE);
	puppet_run(&p, 20000);
	assert_int_equal(p.sent_n, 0);
	assert_int_equal(puppet_children(&p), 1);
	/* With the next first one it is tried again. */
	requests(0x2050, 0x2000, true);
	assert_true(granted());
	deletes(0x2000);
	puppet_forget(&p);
	puppet_run(&p, 2 * IKE_BESIDE_WAIT_MS);
	assert_true(asks(&id) && id == 0);
	grants(0x2051, false);
	/* It does not know what it is for: deleted, and no other one. */
	assert_true(puppet_read_last(&p) && puppet_deletes(&p) == 1);
	puppet_response(&p);
	puppet_forget(&p);
	puppet_send(&p);
	puppet_run(&p, 20000);
	assert_int_equal(p.sent_n, 0);
	assert_int_equal(puppet_children(&p), 1);
	puppet_done(&p);
}

static void other_selectors(void **state)
{
	struct selector here = { 0 }, there = { 0 };
	uint32_t id;

	(void)state;
	start(2, true);
	first_up(false, true);
	assert_true(asks(&id));
	assert_int_equal(p.payloads.tsi.n, 1);
	here = p.payloads.tsi.list[0];
	there = p.payloads.tsr.list[0];
	here.addrs.last = here.addrs.first;
	puppet_response(&p);
	puppet_offer_esp(&p, 0x2001, DH_NONE);
	puppet_nonce(&p, 1);
	say_resource();
	ike_out_selectors(&p.out, PL_TSI, &here, 1);
	ike_out_selectors(&p.out, PL_TSR, &there, 1);
	puppet_forget(&p);
	puppet_send(&p);
	assert_true(puppet_read_last(&p) && puppet_deletes(&p) == 1);
	puppet_done(&p);
}

static void rekeyed_and_deleted(void **state)
{
	struct err e = { 0 };
	uint32_t id, removed;

	(void)state;
	start(2, true);
	first_up(false, true);
	all_granted(0x2001, 0, 2);
	/* By us: each for its worker, and the first one says again what it is. */
	assert_int_equal(ike_input_order(p.core, p.now, IKE_ORDER_REKEY_CHILD, "t0", &e), RC_OK);
	puppet_settle(&p);
	for (uint32_t i = 0; i < 3; i++) {
		uint32_t k = 0;
		while (!asks(&id) && k++ < 8) { /* the delete of the one before */
			assert_int_equal(puppet_deletes(&p), 1);
			puppet_response(&p);
			puppet_forget(&p);
			puppet_send(&p);
		}
		const struct ike_notify *v = ike_notify_find(&p.payloads, NTF_REKEY_SA);
		assert_non_null(v);
		const struct ike_notify *r = ike_notify_find(&p.payloads, NTF_SA_RESOURCE_INFO);
		grants(0x2010 + i, false);
		assert_true(r ? p.last_install.resource == 0 && r->data.n == 0 : p.last_install.resource > 0);
		assert_int_not_equal(p.last_install.rekeys_spi_in, 0);
	}
	puppet_run(&p, 10);
	for (uint32_t k = 0; k < 8 && puppet_read_last(&p) && puppet_deletes(&p) == 1; k++) {
		puppet_response(&p);
		puppet_forget(&p);
		puppet_send(&p);
	}
	assert_int_equal(puppet_children(&p), 3);
	puppet_run(&p, (IKE_LINGER_S + 1) * 1000);
	/* The peer deletes one: at once its worker is not to send by it; and it is not requested again at once. */
	removed = p.count[KEEPER_CHILD_REMOVE];
	deletes(0x2011);
	assert_int_equal(p.count[KEEPER_CHILD_REMOVE], removed + 1);
	puppet_forget(&p);
	for (uint32_t ms = 0; ms < IKE_BESIDE_MS_MAX; ms += 1000) {
		puppet_run(&p, 1000);
		if (puppet_read_last(&p) && p.header.exchange == EX_INFORMATIONAL) { /* a liveness check */
			puppet_response(&p);
			puppet_forget(&p);
			puppet_send(&p);
		}
		if (asks(&id))
			break;
		assert_true(ms < IKE_BESIDE_MS_MAX - 2000);
	}
	assert_true(id < 2);
	grants(0x2020, true);
	assert_int_equal(puppet_children(&p), 3);
	puppet_done(&p);
}

/* The next request of the core that is no liveness check and no delete, within so many seconds; these are answered. */
static bool asks_within(uint32_t s, uint32_t *ret_id)
{
	for (uint32_t ms = 0; ms < s * 1000; ms += 100) {
		if (asks(ret_id))
			return true;
		if (puppet_read_last(&p) && p.header.exchange == EX_INFORMATIONAL &&
			!(p.header.flags & IKE_FLAG_RESPONSE)) {
			puppet_response(&p);
			puppet_forget(&p);
			puppet_send(&p);
		}
		puppet_run(&p, 100);
	}
	return false;
}

/* The peer deletes the first one, and those for workers stay: another first one is made beside which they stand, more slowly each time. */
static void another_first_one(void **state)
{
	uint32_t id = 0;

	(void)state;
	start(2, true);
	first_up(false, true);
	all_granted(0x2001, 0, 2);
	puppet_run(&p, IKE_SHORT_LIVED_S * 1000);
	deletes(0x2000);
	puppet_forget(&p);
	assert_int_equal(puppet_children(&p), 2);
	assert_true(asks_within(2, &id));
	assert_int_equal(id, UINT32_MAX);
	assert_true(puppet_says(&p, NTF_SA_RESOURCE_INFO));
	assert_false(puppet_says(&p, NTF_REKEY_SA));
	grants(0x2010, true);
	assert_int_equal(p.last_install.resource, 0);
	assert_int_equal(puppet_children(&p), 3);
	assert_false(asks_within(5, &id)); /* the workers have theirs */
	for (uint32_t i = 1; i < 5; i++) {
		deletes(0x2010 + i - 1);
		puppet_forget(&p);
		assert_false(asks_within(1u << i >> 2, &id));
		assert_true(asks_within(1u << (i + 1), &id));
		assert_int_equal(id, UINT32_MAX);
		grants(0x2010 + i, true);
	}
	/* Not while an administrator does not want the tunnel. */
	assert_int_equal(ike_input_order(p.core, p.now, IKE_ORDER_TERMINATE, "t0", NULL), RC_OK);
	puppet_settle(&p);
	assert_false(asks_within(60, &id));
	puppet_done(&p);
}

static void commits(void **state)
{
	(void)state;
	start(2, true);
	first_up(false, true);
	all_granted(0x2001, 0, 2);
	commit(4, true);
	all_granted(0x2003, 2, 2);
	commit(4, true);
	assert_int_equal(p.sent_n, 0);
	commit(3, true);
	assert_true(puppet_read_last(&p) && puppet_deletes(&p) == 1);
	puppet_response(&p);
	puppet_forget(&p);
	puppet_send(&p);
	assert_int_equal(puppet_children(&p), 4);
	assert_int_equal(p.sent_n, 0);
	commit(3, false);
	for (uint32_t i = 0; i < 3; i++) {
		assert_true(puppet_read_last(&p) && puppet_deletes(&p) == 1);
		puppet_response(&p);
		puppet_forget(&p);
		puppet_send(&p);
	}
	assert_int_equal(puppet_children(&p), 1);
	assert_int_equal(p.sent_n, 0);
	puppet_done(&p);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(not_configured),
		cmocka_unit_test(as_many_as_there_may_be),
		cmocka_unit_test(the_rest_is_ours),
		cmocka_unit_test(one_for_each_worker),
		cmocka_unit_test(none_without_the_peer),
		cmocka_unit_test(refusals),
		cmocka_unit_test(other_selectors),
		cmocka_unit_test(rekeyed_and_deleted),
		cmocka_unit_test(another_first_one),
		cmocka_unit_test(commits),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
