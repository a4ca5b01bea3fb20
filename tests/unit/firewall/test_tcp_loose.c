/*
 * Zones with tcp-loose: sessions that begin in the middle, or of which only one direction passes; and what is
 * still refused.
 */
#include "tcp_ends.h"

static int loose_setup(void **state)
{
	int rc = ends_setup(state);

	p.zones[TRUST].flags |= ZONE_TCP_LOOSE;
	world_load(&w, &p);
	return rc;
}

/* Picked up in the middle: half-open until an answer, then to its end by FINs of both sides. */
static void test_pickup(void **state)
{
	(void)state;
	PASS(C, TCP_ACK, 5000, 70000, 10);
	state_is(FW_TCP_SYN_SENT, 20);
	assert_int_equal(fw_counters(w.fw)->half_open_now, 1);
	PASS(S, TCP_ACK, 123, 456, 10);
	state_is(FW_TCP_ESTABLISHED, 3600);
	assert_int_equal(fw_counters(w.fw)->half_open_now, 0);
	PASS(C, TCP_ACK, 99, 1, 10); /* whatever its numbers */
	PASS(C, TCP_FIN | TCP_ACK, 1, 1);
	state_is(FW_TCP_CLOSING, 300);
	PASS(S, TCP_FIN | TCP_ACK, 1, 2);
	state_is(FW_TCP_TIME_WAIT, 20);
	PASS(C, TCP_SYN, 0); /* the ports again */
	state_is(FW_TCP_SYN_SENT, 20);
	assert_int_equal(fw_counters(w.fw)->sessions_now, 1);
}

/* Only what the client sends passes here: it does so for as long as it likes, half-open. */
static void test_one_direction(void **state)
{
	(void)state;
	PASS(C, TCP_SYN, 0);
	for (uint32_t i = 0; i < 100; i++) {
		PASS(C, TCP_ACK, 1 + 1000 * i, 1 + 90000 * i, 1000);
		w.now += 10 * NS_PER_S;
		fw_expire(w.fw, w.now, 100);
	}
	state_is(FW_TCP_SYN_SENT, 10);
	w.now += 21 * NS_PER_S;
	fw_expire(w.fw, w.now, 100);
	assert_int_equal(fw_counters(w.fw)->sessions_now, 0);
	PASS(C, TCP_ACK, 500000, 1, 10); /* and is picked up again */
}

static void test_handshake_and_reset(void **state)
{
	(void)state;
	PASS(C, TCP_SYN, 0);
	PASS(S, TCP_SYN | TCP_ACK, 0, 1);
	state_is(FW_TCP_SYN_RECEIVED, 20);
	PASS(C, TCP_ACK, 1, 1);
	state_is(FW_TCP_ESTABLISHED, 3600);
	PASS(S, TCP_RST, 77, 0);
	state_is(FW_TCP_CLOSED, 5);
	PASS(C, TCP_ACK, 1, 1); /* it was not accepted */
	state_is(FW_TCP_ESTABLISHED, 3600);
}

/* A reset begins nothing; the other zone is not loose; policy decides as about a SYN. */
static void test_refused(void **state)
{
	(void)state;
	DROPS(DROP_NO_SESSION, C, TCP_RST, 1);
	DROPS(DROP_NO_SESSION, C, TCP_RST | TCP_ACK, 1, 1);
	DROPS(DROP_NO_SESSION, S, TCP_ACK, 1, 1, 10);
	p.rules[0].action = RULE_DENY;
	world_load(&w, &p);
	DROPS(DROP_POLICY_DENY, C, TCP_ACK, 1, 1, 10);
	assert_int_equal(fw_counters(w.fw)->sessions_now, 0);
}

/* Without tcp-loose in a new configuration its sessions end: they could not be checked. Others stay. */
static void test_switched_off(void **state)
{
	(void)state;
	PASS(C, TCP_ACK, 1, 1, 10);
	PASS(S, TCP_ACK, 1, 1, 10);
	world_restart(&w);
	world_load(&w, &p);
	assert_int_equal(fw_counters(w.fw)->sessions_now, 1);
	PASS(S, TCP_ACK, 900000, 1, 10);
	p.zones[TRUST].flags &= ~(uint32_t)ZONE_TCP_LOOSE;
	world_load(&w, &p);
	assert_int_equal(fw_counters(w.fw)->sessions_now, 0);
	DROPS(DROP_NO_SESSION, C, TCP_ACK, 1, 1, 10);
	establish();
	p.zones[TRUST].flags |= ZONE_TCP_LOOSE;
	world_load(&w, &p);
	DROPS(DROP_TCP_STATE, S, TCP_RST, 900000, 0); /* it is still checked */
}

/* Strangers' ACKs are no more than SYNs: they take no place of answered sessions. */
static void test_flood(void **state)
{
	(void)state;
	p.half_open_max = 10;
	world_load(&w, &p);
	establish();
	uint16_t established = client_port;
	for (client_port = 2000; client_port < 12000; client_port++)
		PASS(C, TCP_ACK, 1, 1, 10);
	assert_int_equal(fw_counters(w.fw)->half_open_now, 10);
	assert_int_equal(fw_counters(w.fw)->sessions_now, 11);
	client_port = established;
	PASS(S, TCP_ACK, 1, 1, 10);
}

int main(void)
{
#define T(f) cmocka_unit_test_setup_teardown(f, loose_setup, scene_end)
	static const struct CMUnitTest tests[] = { T(test_pickup), T(test_one_direction),
		T(test_handshake_and_reset), T(test_refused), T(test_switched_off), T(test_flood) };

	return cmocka_run_group_tests(tests, NULL, NULL);
}
