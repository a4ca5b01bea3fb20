/*
 * Connections that begin anew, or end, on a session that stands: ends that have forgotten, ports that are
 * used again, resets and SYNs that are challenged (RFC 5961), what renews a session and what does not.
 */
#include "tcp_ends.h"

/* Both ends were switched off; the client calls from the same port, the server answers with new numbers. */
static void test_both_forgot(void **state)
{
	(void)state;
	establish();
	PASS(C, TCP_ACK, 1, 1, 1000);
	PASS(S, TCP_ACK, 1, 1001, 5000);
	PASS(C, TCP_ACK, 1001, 5001);
	uint32_t id = session()->id;
	w.now += 100 * NS_PER_S;
	PASS(C, TCP_SYN, 700000000);
	state_is(FW_TCP_ESTABLISHED, 3500); /* not renewed */
	DROPS(DROP_TCP_STATE, S, TCP_SYN | TCP_ACK, 900000000, 700000000);
	DROPS(DROP_TCP_STATE, S, TCP_SYN | TCP_ACK, 900000000, 700000002);
	assert_int_equal(session()->id, id);
	PASS(S, TCP_SYN | TCP_ACK, 900000000, 700000001);
	state_is(FW_TCP_SYN_RECEIVED, 20);
	assert_int_not_equal(session()->id, id);
	assert_int_equal(session()->packets[0], 0);
	PASS(C, TCP_ACK, 700000001, 900000001);
	state_is(FW_TCP_ESTABLISHED, 3600);
	PASS(C, TCP_ACK, 700000001, 900000001, 500);
	PASS(S, TCP_ACK, 900000001, 700000501, 500);
	/* nothing of the old connection passes any more */
	DROPS(DROP_TCP_STATE, C, TCP_ACK, 1001, 5001, 10);
	DROPS(DROP_TCP_STATE, S, TCP_ACK, 5001, 1001, 10);
	assert_int_equal(fw_counters(w.fw)->sessions_now, 1);
}

static void test_unanswered_renews_nothing(void **state)
{
	(void)state;
	establish();
	for (int i = 0; i < 3599; i++) {
		w.now += NS_PER_S;
		fw_expire(w.fw, w.now, 1000);
		PASS(C, TCP_SYN, 100000u + (uint32_t)i);
	}
	w.now += 2 * NS_PER_S;
	fw_expire(w.fw, w.now, 1000);
	assert_int_equal(fw_counters(w.fw)->sessions_now, 0);
	PASS(C, TCP_SYN, 5); /* half-open neither */
	w.now += 19 * NS_PER_S;
	PASS(C, TCP_SYN, 5);
	w.now += 2 * NS_PER_S;
	fw_expire(w.fw, w.now, 1000);
	assert_int_equal(fw_counters(w.fw)->sessions_now, 0);
}

/* The server remembers: its challenge passes, and the reset that answers it ends the session. */
static void test_only_the_client_forgot(void **state)
{
	(void)state;
	establish();
	PASS(C, TCP_ACK, 1, 1, 1000);
	PASS(S, TCP_ACK, 1, 1001);
	PASS(C, TCP_SYN, 700000000);
	PASS(S, TCP_ACK, 1, 1001);
	PASS(C, TCP_RST, 1001);
	state_is(FW_TCP_CLOSED, 5);
	PASS(C, TCP_SYN, 700000000);
	state_is(FW_TCP_SYN_SENT, 20);
	PASS(S, TCP_SYN | TCP_ACK, 3, 700000001);
	PASS(C, TCP_ACK, 700000001, 4);
	state_is(FW_TCP_ESTABLISHED, 3600);
}

/* It remembers another one than the session does: its challenge is out of every window, and gets through both
 * ways. */
static void test_challenge_of_an_older_one(void **state)
{
	(void)state;
	establish();
	PASS(C, TCP_SYN, 700000000);
	w.now += 10 * NS_PER_S;
	PASS(S, TCP_ACK, 123456789, 400000000);
	PASS(C, TCP_RST, 400000000);
	DROPS(DROP_TCP_STATE, S, TCP_ACK, 123456789, 400000000, 10); /* with data it is no challenge */
	DROPS(DROP_TCP_STATE, S, TCP_ACK | TCP_FIN, 123456789, 400000000);
	DROPS(DROP_TCP_STATE, C, TCP_ACK, 400000000, 123456789, 10);
	state_is(FW_TCP_ESTABLISHED, 3590);
	PASS(C, TCP_SYN, 700000000);
	PASS(S, TCP_SYN | TCP_ACK, 900000000, 700000001);
	PASS(C, TCP_ACK, 700000001, 900000001);
	state_is(FW_TCP_ESTABLISHED, 3600);
}

static void test_refused(void **state)
{
	(void)state;
	establish();
	PASS(C, TCP_SYN, 700000000);
	DROPS(DROP_TCP_STATE, S, TCP_RST | TCP_ACK, 900000000, 700000000);
	DROPS(DROP_TCP_STATE, S, TCP_RST, 900000000);
	PASS(S, TCP_RST | TCP_ACK, 900000000, 700000001);
	state_is(FW_TCP_CLOSED, 5);
	PASS(C, TCP_SYN, 800000000);
	state_is(FW_TCP_SYN_SENT, 20);
}

/* A stranger's SYN into a living connection is of no consequence. */
static void test_spoofed_syn(void **state)
{
	(void)state;
	establish();
	uint32_t id = session()->id;
	PASS(C, TCP_SYN, 700000000);
	PASS(S, TCP_ACK, 1, 1);
	PASS(C, TCP_ACK, 1, 1, 100);
	/* the client has not forgotten: what answers the SYN is not awaited any more */
	DROPS(DROP_TCP_STATE, S, TCP_SYN | TCP_ACK, 900000000, 700000001);
	DROPS(DROP_TCP_STATE, S, TCP_ACK, 123456789, 400000000);
	PASS(S, TCP_ACK, 1, 101, 100);
	state_is(FW_TCP_ESTABLISHED, 3600);
	assert_int_equal(session()->id, id);
	/* nor is one from the other side, which never called */
	DROPS(DROP_TCP_STATE, S, TCP_SYN, 900000000);
}

/* The SYN+ACK was lost behind us: the SYN comes again, and a server with SYN cookies may answer with another
 * number. */
static void test_syn_again(void **state)
{
	(void)state;
	PASS(C, TCP_SYN, 0);
	PASS(S, TCP_SYN | TCP_ACK, 0, 1);
	uint32_t id = session()->id;
	PASS(C, TCP_SYN, 0);
	PASS(S, TCP_SYN | TCP_ACK, 0, 1);
	state_is(FW_TCP_SYN_RECEIVED, 20);
	PASS(C, TCP_SYN, 0);
	PASS(S, TCP_SYN | TCP_ACK, 70000000, 1);
	PASS(C, TCP_ACK, 1, 70000001);
	state_is(FW_TCP_ESTABLISHED, 3600);
	assert_int_equal(session()->id, id);
}

/* A reset whose number was exact as far as we saw, and not for its receiver, to whom segments are on their
 * way. */
static void test_reset_challenged(void **state)
{
	(void)state;
	establish();
	PASS(C, TCP_ACK, 1, 1, 1000); /* lost behind us */
	PASS(C, TCP_RST, 1001);
	PASS(S, TCP_ACK, 1, 1);
	state_is(FW_TCP_ESTABLISHED, 3600);
	PASS(C, TCP_RST, 1);
	state_is(FW_TCP_CLOSED, 5);
	/* the same the other way, with an acknowledgement that was not sent yet */
	client_port++;
	world_done(&w);
	world_init(&w, WORLD_SESSIONS);
	world_load(&w, &p);
	establish();
	PASS(S, TCP_ACK, 1, 1, 1000);
	PASS(S, TCP_RST, 1);
	PASS(C, TCP_ACK, 1, 1001);
	PASS(C, TCP_ACK, 1, 1001, 10); /* a stranger's: the connection goes on */
	PASS(S, TCP_ACK, 1001, 11, 10);
	state_is(FW_TCP_ESTABLISHED, 3600);
	PASS(C, TCP_ACK | TCP_FIN, 11, 1011);
	PASS(S, TCP_ACK, 1011, 12, 10);
	PASS(S, TCP_RST, 1021);
	PASS(C, TCP_ACK, 12, 1011);
	state_is(FW_TCP_CLOSING, 300); /* as it was */
	PASS(S, TCP_RST, 1011);
	state_is(FW_TCP_CLOSED, 5);
	PASS(C, TCP_SYN, 500000); /* and then begins anew */
	state_is(FW_TCP_SYN_SENT, 20);
}

/* With nothing on its way there is no doubt: an exact reset ends it. */
static void test_reset_exact(void **state)
{
	(void)state;
	establish();
	PASS(C, TCP_ACK, 1, 1, 1000);
	PASS(S, TCP_ACK, 1, 1001);
	w.now += 100 * NS_PER_S;
	PASS(C, TCP_RST, 1002); /* not exact: passes, for the server to challenge, and renews nothing */
	state_is(FW_TCP_ESTABLISHED, 3500);
	PASS(C, TCP_RST, 1001);
	state_is(FW_TCP_CLOSED, 5);
	DROPS(DROP_TCP_STATE, S, TCP_ACK, 1, 1001);
	DROPS(DROP_TCP_STATE, C, TCP_ACK, 1001, 1, 10);
}

/* RFC 5382 REQ-5: a half-closed connection may be silent for as long as is configured. */
static void test_half_closed(void **state)
{
	(void)state;
	establish();
	PASS(C, TCP_ACK | TCP_FIN, 1, 1);
	PASS(S, TCP_ACK, 1, 2);
	w.now += 299 * NS_PER_S;
	fw_expire(w.fw, w.now, 1000);
	PASS(S, TCP_ACK, 1, 2, 100);
	state_is(FW_TCP_CLOSING, 300);
	w.now += 301 * NS_PER_S;
	fw_expire(w.fw, w.now, 1000);
	DROPS(DROP_NO_SESSION, S, TCP_ACK, 101, 2, 100);
}

/* What ends here by its hop limit, or goes no further for the shell's reasons, begins no session. */
static void test_nothing_begins(void **state)
{
	struct packet_spec s = { .src = CLIENT,
		.dst = SERVER,
		.proto = IP_TCP,
		.src_port = 7,
		.dst_port = 80,
		.flags = TCP_SYN,
		.hops = 1 };
	struct fw_egress egress = { .drop = DROP_TOO_BIG };

	(void)state;
	assert_int_equal(world_send(&w, &s), DROP_TTL);
	s.dst_port = 81; /* policy has the first word */
	assert_int_equal(world_send(&w, &s), DROP_DEFAULT_DENY);
	s.dst_port = 80;
	s.hops = 2;
	w.t = packet_make(&w.packet, &s);
	assert_int_equal(train_parse(&w.t), DROP_NONE);
	w.t.in_zone = TRUST;
	w.t.out_zone = UNTRUST;
	fw_admit(w.fw, &w.t, &egress, w.now);
	assert_int_equal(w.t.drop, DROP_TOO_BIG);
	assert_int_equal(fw_counters(w.fw)->sessions_created, 0);
	assert_int_equal(fw_rule_hits(w.fw, 0)->hits, 0);
}

#define T(f) cmocka_unit_test_setup_teardown(f, ends_setup, scene_end)

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(test_both_forgot),
		T(test_unanswered_renews_nothing),
		T(test_only_the_client_forgot),
		T(test_challenge_of_an_older_one),
		T(test_refused),
		T(test_spoofed_syn),
		T(test_syn_again),
		T(test_reset_challenged),
		T(test_reset_exact),
		T(test_half_closed),
		T(test_nothing_begins),
	};
	return cmocka_run_group_tests_name("firewall/tcp_anew", tests, NULL, NULL);
}
