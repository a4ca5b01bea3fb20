/*
 * Screens in the whole pipeline: what they recognise is dropped by their own reason, counted by zone, said in the log once in
 * ten seconds, and passes where the screen is one of alarms; floods, scans, session limits and spoofing; commits.
 */
#include "gate.h"
#include "proc/dataplane/rule_log.h"

#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define HOST	 "10.1.0.2"
#define INTERNET "192.0.2.80"

static struct gate g;
static struct packet packet;

/* gate_text, with a screen of trust. */
static void begin(const char *screen, bool again)
{
	static char text[8192];
	static const char zone[] = "zone trust { ";
	const char *at = strstr(gate_text, zone) + strlen(zone);

	snprintf(text, sizeof text, "screens { screen s { %s } }\n%.*s screen s; %s", screen,
		(int)(at - gate_text), gate_text, at);
	if (again)
		gate_load(&g, text, "");
	else
		gate_init(&g, text, "", 4096);
}

static int teardown(void **state)
{
	gate_done(&g);
	return 0;
}

static enum drop_reason send(struct packet_spec s)
{
	gate_clear(&g);
	s.src = s.src ? s.src : HOST;
	s.dst = s.dst ? s.dst : INTERNET;
	return gate_from_link(&g, GATE_LAN, packet_make(&packet, &s));
}

static enum drop_reason udp(const char *dst, uint16_t from, uint16_t to)
{
	return send((struct packet_spec){
		.dst = dst, .proto = IP_UDP, .src_port = from, .dst_port = to, .payload_n = 8 });
}

static enum drop_reason syn(const char *dst, uint16_t from, uint16_t to)
{
	return send((struct packet_spec){
		.dst = dst, .proto = IP_TCP, .src_port = from, .dst_port = to, .flags = TCP_SYN });
}

static enum drop_reason large_ping(void)
{
	return send((struct packet_spec){
		.proto = IP_ICMP, .src_port = 9, .icmp_type = ICMP4_ECHO, .payload_n = 1100 });
}

static uint64_t counted(enum screen i)
{
	return g.p.screens->met[0][i].packets;
}

/* The lines of the log since the last call. */
static const char *lines(uint32_t *ret_n)
{
	static char text[RULE_LOG_TEXT_MAX];
	struct fw_log l;

	for (*ret_n = 0; fw_log_next(g.fw, &l); ++*ret_n)
		rule_log_text(text, &l);
	return text;
}

static void dropped_counted_and_said(void **state)
{
	uint32_t n;

	begin("icmp { large; }", false);
	for (int i = 0; i < 30; i++) {
		assert_int_equal(large_ping(), DROP_SCREEN_ICMP_LARGE);
		assert_int_equal(g.out_n, 0);
		g.now += NS_PER_S / 2;
	}
	assert_int_equal(counted(SCREEN_ICMP_LARGE), 30);
	assert_int_equal(g.p.drops[DROP_SCREEN_ICMP_LARGE], 30);
	assert_string_equal(lines(&n),
		"screen-drop screen=s zone=trust reason=screen-icmp-large count=20 proto=icmp "
		"src=10.1.0.2:9 dst=192.0.2.80:9");
	assert_int_equal(n, 2);
	/* a commit keeps the counters; without a screen all pass */
	begin("icmp { fragment; }", true);
	assert_int_equal(counted(SCREEN_ICMP_LARGE), 30);
	assert_int_equal(large_ping(), DROP_NONE);
	gate_load(&g, gate_text, "");
	assert_false(g.p.screens->any);
	assert_int_equal(large_ping(), DROP_NONE);
}

static void alarm_only(void **state)
{
	uint32_t n;

	begin("alarm-without-drop; icmp { large; flood { threshold 2; } } ip { loose-source-route-option; }",
		false);
	for (int i = 0; i < 3; i++) {
		assert_int_equal(large_ping(), DROP_NONE);
		assert_int_equal(g.out_n, 1);
	}
	assert_int_equal(counted(SCREEN_ICMP_LARGE), 3);
	assert_int_equal(counted(SCREEN_ICMP_FLOOD), 1);
	assert_non_null(
		strstr(lines(&n), "screen-alarm screen=s zone=trust reason=screen-icmp-flood count=1 "));
	assert_int_equal(n, 2);
	/* each that it meets counts; where the first one drops it, that one alone */
	static const char *const modes[] = { "alarm-without-drop;", "" };
	for (uint32_t i = 0; i < 2; i++) {
		char text[128];
		snprintf(text, sizeof text, "%s tcp { winnuke; fin-no-ack; land; }", modes[i]);
		begin(text, true);
		send((struct packet_spec){ .proto = IP_TCP, .dst_port = 139, .flags = TCP_FIN | TCP_URG });
		assert_int_equal(counted(SCREEN_TCP_WINNUKE), i + 1);
		assert_int_equal(counted(SCREEN_TCP_FIN_NO_ACK), 1);
		assert_int_equal(counted(SCREEN_TCP_LAND), 0);
	}
}

/* Its own name instead of the gateway's, for what is never forwarded; and that stays so where only an alarm is wanted. */
static void finer_reasons(void **state)
{
	struct packet_spec s = { .proto = IP_TCP, .src_port = 5, .dst_port = 80, .flags = TCP_SYN | TCP_FIN };

	begin("tcp { syn-fin; }", false);
	assert_int_equal(send(s), DROP_SCREEN_TCP_SYN_FIN);
	s.flags = 0;
	assert_int_equal(send(s), DROP_TCP_FLAGS);
	begin("alarm-without-drop; tcp { tcp-no-flag; }", true);
	assert_int_equal(send(s), DROP_TCP_FLAGS);
	assert_int_equal(counted(SCREEN_TCP_NO_FLAG), 1);
}

/* Another zone's packets are its own matter. */
static void other_zone(void **state)
{
	begin("icmp { large; flood { threshold 1; } }", false);
	struct packet_spec s = {
		.src = INTERNET, .dst = HOST, .proto = IP_ICMP, .icmp_type = ICMP4_ECHO, .payload_n = 1100
	};
	for (int i = 0; i < 3; i++) {
		gate_clear(&g);
		assert_int_equal(gate_from_link(&g, GATE_WAN, packet_make(&packet, &s)), DROP_DEFAULT_DENY);
	}
}

static void floods(void **state)
{
	begin("icmp { flood { threshold 10; } } udp { flood { threshold 10; } }", false);
	g.now = 100 * NS_PER_S;
	for (uint16_t i = 0; i < 14; i++)
		assert_int_equal(
			udp(INTERNET, (uint16_t)(100 + i), 9), i < 10 ? DROP_NONE : DROP_SCREEN_UDP_FLOOD);
	/* another destination; the next second as well, and then no longer */
	assert_int_equal(udp("192.0.2.81", 100, 9), DROP_NONE);
	g.now += NS_PER_S;
	assert_int_equal(udp(INTERNET, 200, 9), DROP_SCREEN_UDP_FLOOD);
	g.now += NS_PER_S;
	assert_int_equal(udp(INTERNET, 200, 9), DROP_NONE);
	/* who has answered is not flooded */
	struct packet_spec back = {
		.src = INTERNET, .dst = HOST, .proto = IP_UDP, .src_port = 9, .dst_port = 200
	};
	assert_int_equal(gate_from_link(&g, GATE_WAN, packet_make(&packet, &back)), DROP_NONE);
	for (uint16_t i = 0; i < 50; i++)
		assert_int_equal(udp(INTERNET, 200, 9), DROP_NONE);
	/* one that has not, within one session */
	for (uint16_t i = 0; i < 50; i++)
		assert_int_equal(udp("192.0.2.99", 200, 9), i < 10 ? DROP_NONE : DROP_SCREEN_UDP_FLOOD);
	for (uint16_t i = 0; i < 12; i++)
		assert_int_equal(send((struct packet_spec){
					 .proto = IP_ICMP, .src_port = 1, .icmp_type = ICMP4_ECHO }),
			i < 10 ? DROP_NONE : DROP_SCREEN_ICMP_FLOOD);
}

static void syn_thresholds(void **state)
{
	char dst[32];

	begin("tcp { syn-flood { source-threshold 20; destination-threshold 5; alarm-threshold 3; } }",
		false);
	g.now = 100 * NS_PER_S;
	for (uint16_t i = 0; i < 6; i++)
		assert_int_equal(syn(INTERNET, (uint16_t)(100 + i), 80),
			i < 5 ? DROP_NONE : DROP_SCREEN_SYN_FLOOD_DESTINATION);
	for (uint16_t i = 0; i < 20; i++) {
		snprintf(dst, sizeof dst, "192.0.3.%u", i);
		assert_int_equal(syn(dst, 100, 80), i < 14 ? DROP_NONE : DROP_SCREEN_SYN_FLOOD_SOURCE);
	}
	g.now += NS_PER_S;
	assert_int_equal(syn(INTERNET, 300, 80), DROP_NONE);
	assert_int_equal(counted(SCREEN_SYN_FLOOD_ALARM), 2);
}

/* Denied ports count as well: they are what a scan meets most. */
static void scans(void **state)
{
	char dst[32];

	begin("tcp { port-scan { } tcp-sweep { } } udp { port-scan { } udp-sweep { } } icmp { ip-sweep { } }",
		false);
	for (uint16_t i = 0; i < 12; i++)
		assert_int_equal(syn(INTERNET, 100, (uint16_t)(2000 + i)),
			i < 9 ? DROP_DEFAULT_DENY : DROP_SCREEN_TCP_PORT_SCAN);
	g.now += 5 * NS_PER_MS;
	assert_int_equal(syn(INTERNET, 101, 80), DROP_NONE);
	for (uint16_t i = 0; i < 12; i++)
		assert_int_equal(udp(INTERNET, 100, (uint16_t)(2000 + i)),
			i < 9 ? DROP_DEFAULT_DENY : DROP_SCREEN_UDP_PORT_SCAN);
	g.now += NS_PER_S;
	for (uint16_t i = 0; i < 11; i++) {
		snprintf(dst, sizeof dst, "192.0.3.%u", i);
		assert_int_equal(syn(dst, 100, 80), i < 9 ? DROP_NONE : DROP_SCREEN_TCP_SWEEP);
		assert_int_equal(udp(dst, 100, 9), i < 9 ? DROP_NONE : DROP_SCREEN_UDP_SWEEP);
		assert_int_equal(
			send((struct packet_spec){
				.dst = dst, .proto = IP_ICMP, .src_port = 1, .icmp_type = ICMP4_ECHO }),
			i < 9 ? DROP_NONE : DROP_SCREEN_ICMP_SWEEP);
	}
}

static void sessions(void **state)
{
	begin("limit-session { source-ip-based 4; destination-ip-based 3; source-session-rate 6; }", false);
	g.now = 100 * NS_PER_S;
	for (uint16_t i = 0; i < 5; i++)
		assert_int_equal(udp(INTERNET, (uint16_t)(100 + i), 9),
			i < 3 ? DROP_NONE : DROP_SCREEN_DESTINATION_SESSIONS);
	assert_int_equal(udp("192.0.2.81", 100, 9), DROP_NONE);
	assert_int_equal(udp("192.0.2.82", 100, 9), DROP_SCREEN_SOURCE_RATE);
	g.now += NS_PER_S;
	assert_int_equal(udp("192.0.2.82", 100, 9), DROP_SCREEN_SOURCE_SESSIONS);
	assert_int_equal(udp("192.0.2.81", 100, 9), DROP_NONE); /* of the session that is there */
	begin("alarm-without-drop; limit-session { source-ip-based 4; }", true);
	fw_sweep(g.fw, g.now, UINT32_MAX); /* they count under the policy that has evaluated them */
	assert_int_equal(udp("192.0.2.82", 100, 9), DROP_NONE);
	assert_int_equal(counted(SCREEN_SOURCE_SESSIONS), 2);
}

static enum drop_reason from(const char *src)
{
	return send((struct packet_spec){ .src = src, .proto = IP_UDP, .src_port = 7, .dst_port = 9 });
}

/* The route to 192.0.2.7 leads out of wan0, as everything that is not known. */
static void spoofing(void **state)
{
	begin("icmp { large; }", false);
	assert_int_equal(from("192.0.2.7"), DROP_SPOOFED);
	begin("ip { spoofing zone; }", true);
	assert_int_equal(from("192.0.2.7"), DROP_SCREEN_IP_SPOOFING);
	assert_int_equal(from(HOST), DROP_NONE);
	begin("ip { spoofing strict; }", true);
	assert_int_equal(from("192.0.2.7"), DROP_SCREEN_IP_SPOOFING);
	assert_int_equal(from("10.1.0.3"), DROP_NONE);
	begin("alarm-without-drop; ip { spoofing strict; }", true);
	assert_int_equal(from("192.0.2.7"), DROP_SPOOFED); /* what the gateway itself asks for */
	begin("ip { spoofing loose; }", true);
	assert_int_equal(from("192.0.2.7"), DROP_NONE);
}

/* A SYN that is not answered ends after the screen's time, not after the protocol's. */
static void half_open(void **state)
{
	begin("tcp { syn-flood { timeout 3; } }", false);
	assert_int_equal(syn(INTERNET, 100, 80), DROP_NONE);
	assert_int_equal(fw_counters(g.fw)->sessions_now, 1);
	g.now += 5 * NS_PER_S;
	fw_expire(g.fw, g.now, 100);
	assert_int_equal(fw_counters(g.fw)->sessions_now, 0);
}

int main(void)
{
#define T(f) cmocka_unit_test_teardown(f, teardown)
	const struct CMUnitTest tests[] = { T(dropped_counted_and_said), T(alarm_only), T(finer_reasons),
		T(other_zone), T(floods), T(syn_thresholds), T(scans), T(sessions), T(spoofing),
		T(half_open) };
	return cmocka_run_group_tests_name("screens", tests, NULL, NULL);
}
