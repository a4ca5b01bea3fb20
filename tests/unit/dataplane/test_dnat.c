/*
 * Destination NAT in the whole data plane: it comes before selectors and routes, a published address of an interface
 * is published as long as the interface has it, and what the kernel alone can answer stays the kernel's.
 */
#include "gate.h"
#include "wire/ip.h"

#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>
#include <stdio.h>
#include <string.h>

#define CLIENT	"192.0.2.80"
#define CLIENT6 "2001:db8:80::80"
#define SERVER	"10.1.0.2"
#define SERVER6 "2001:db8:1::2"
#define WAN	"198.51.100.2"
#define WAN6	"2001:db8:ff::2"

/* In the containers of gate_text. */
static const char applications[] = "applications {\n"
				   "  application alt { protocol tcp; destination-port 8000; }\n"
				   "  application own { protocol tcp; destination-port 32768-40959; }\n"
				   "  application other { protocol tcp; destination-port 8001; }\n";
static const char policy[] =
	"policy {\n"
	"  from untrust to trust { rule in {\n"
	"    match { source any; destination any; application web; } then { permit; } } }\n"
	"  from trust to trust { rule in {\n"
	"    match { source any; destination any; application web; } then { permit; } } }\n";
static const char nat[] =
	"address-book { address gate { prefix [ 198.51.100.2 10.1.0.1 ]; } address unused { prefix 198.51.100.77; } }\n"
	"nat { destination {\n"
	"  rule gate { from untrust; match { destination unused; } then { destination-nat 10.1.0.1; } }\n"
	"  rule web { match { destination-interface wan0; application alt; }\n"
	"    then { destination-nat 10.1.0.2; port 80; health-check; } }\n"
	"  rule web6 { match { destination-interface wan0; application alt; }\n"
	"    then { destination-nat 2001:db8:1::2; port 80; } }\n"
	"  rule branch { match { destination gate; application other; } then { destination-nat 10.2.0.2; port 80; } }\n"
	"  rule own { match { destination gate; application own; } then { destination-nat 10.1.0.2; port 80; } }\n"
	"} }\n";

static char conf[8192];

static void text_make(void)
{
	const char *a = strstr(gate_text, "applications {\n"), *b = strstr(gate_text, "policy {\n");

	assert_true(a && b && a < b);
	a += strlen("applications {\n");
	snprintf(conf, sizeof conf, "%.*s%s%.*s%s%s", (int)(a - strlen("applications {\n") - gate_text),
		gate_text, applications, (int)(b - a), a, policy, b + strlen("policy {\n"));
}

static struct gate g;
static struct packet packet;

static int setup(void **state)
{
	(void)state;
	text_make();
	gate_init(&g, conf, nat, 64);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	gate_done(&g);
	return 0;
}

static struct ip_addr addr(const char *text)
{
	struct ip_addr a;

	assert_int_equal(addr_parse(&a, text), RC_OK);
	return a;
}

static enum drop_reason send(
	uint32_t link, const char *src, uint16_t src_port, const char *dst, uint16_t dst_port, uint8_t flags)
{
	struct packet_spec s = { .src = src,
		.dst = dst,
		.proto = IP_TCP,
		.src_port = src_port,
		.dst_port = dst_port,
		.flags = flags,
		.seq = 100,
		.ack = flags & TCP_ACK ? 101 : 0 };

	gate_clear(&g);
	return gate_from_link(&g, link, packet_make(&packet, &s));
}

/* What left, out of which link. */
static void left(uint32_t link, const char *src, uint16_t src_port, const char *dst, uint16_t dst_port)
{
	struct train t;
	char a[ADDR_TEXT_MAX];

	assert_int_equal(g.out_n, 1);
	assert_int_equal(g.out[0].kind, GATE_OUT_LINK);
	assert_int_equal(g.out[0].interface, gate_interface(&g, link));
	t = (struct train){ .ip = g.out[0].bytes, .len = g.out[0].n, .csum = TRAIN_CSUM_VALID };
	assert_int_equal(train_parse(&t), DROP_NONE);
	assert_string_equal(addr_text(a, &t.src), src);
	assert_string_equal(addr_text(a, &t.dst), dst);
	assert_int_equal(t.src_port, src_port);
	assert_int_equal(t.dst_port, dst_port);
}

static uint64_t sessions(void)
{
	for (uint32_t i = 0; i < fw_sessions_used(g.fw); i++) /* what a commit left to be evaluated */
		fw_session_current(g.fw, i, g.now);
	return fw_counters(g.fw)->sessions_now;
}

static void published_by_interface(void **state)
{
	(void)state;
	assert_int_equal(send(GATE_WAN, CLIENT, 1000, WAN, 8000, TCP_SYN), DROP_NONE);
	left(GATE_LAN, CLIENT, 1000, SERVER, 80);
	assert_int_equal(send(GATE_LAN, SERVER, 80, CLIENT, 1000, TCP_SYN | TCP_ACK), DROP_NONE);
	left(GATE_WAN, WAN, 8000, CLIENT, 1000);
	assert_int_equal(send(GATE_WAN, CLIENT6, 1000, WAN6, 8000, TCP_SYN), DROP_NONE);
	left(GATE_LAN, CLIENT6, 1000, SERVER6, 80);
	/* another interface's address is not published, and the kernel's own ports are its own */
	assert_int_equal(send(GATE_LAN, SERVER, 1000, "10.1.0.1", 8000, TCP_SYN), DROP_HOST_INBOUND);
	assert_int_equal(send(GATE_WAN, CLIENT, 1000, WAN, 33000, TCP_SYN | TCP_ACK), DROP_NONE);
	assert_int_equal(g.out_n, 0);
	assert_int_equal(sessions(), 2);
	/* a commit changes nothing; when the address goes, its sessions end, and nothing of them leaves */
	gate_load(&g, conf, nat);
	assert_int_equal(sessions(), 2);
	assert_int_equal(send(GATE_WAN, CLIENT, 1000, WAN, 8000, TCP_SYN), DROP_NONE);
	struct ip_addr gone = addr(WAN);
	route_local_gone(g.routes, GATE_WAN, &gone);
	assert_int_equal(send(GATE_WAN, CLIENT, 1000, WAN, 8000, TCP_ACK), DROP_NAT_ADDRESS_CHANGED);
	assert_int_equal(sessions(), 1);
}

static void from_inside(void **state)
{
	(void)state;
	assert_int_equal(send(GATE_LAN, "10.1.0.3", 50000, WAN, 8000, TCP_SYN), DROP_NONE);
	left(GATE_LAN, "10.1.0.1", 50000, SERVER, 80);
	assert_int_equal(send(GATE_LAN, SERVER, 80, "10.1.0.1", 50000, TCP_SYN | TCP_ACK), DROP_NONE);
	assert_true(
		g.out_n == 1 || g.p.neighbour_queue_n == 1); /* its link address may have to be asked for */
	/* the session ends with the gateway's address there, as those of source NAT do */
	struct ip_addr gone = addr("10.1.0.1");
	route_local_gone(g.routes, GATE_LAN, &gone);
	send(GATE_LAN, "10.1.0.3", 50000, WAN, 8000, TCP_ACK);
	assert_int_equal(sessions(), 0);
}

static void not_to_nobody(void **state)
{
	struct endpoint server = { addr(SERVER), 80, 0 };

	(void)state;
	fw_server_set(g.fw, &server, false);
	assert_int_equal(send(GATE_WAN, CLIENT, 1000, WAN, 8000, TCP_SYN), DROP_NAT_NO_SERVER);
	assert_int_equal(sessions(), 0);
	fw_server_set(g.fw, &server, true);
	assert_int_equal(send(GATE_WAN, CLIENT, 1000, WAN, 8000, TCP_SYN), DROP_NONE);
}

/* What a trace says of it: which rule translates, or that it has no server. */
static void is_traced(void **state)
{
	const struct packet_filters all = { .count = 3 };
	struct endpoint server = { addr(SERVER), 80, 0 };

	(void)state;
	pipeline_trace(&g.p, &all);
	fw_server_set(g.fw, &server, false);
	assert_int_equal(send(GATE_WAN, CLIENT, 1000, WAN, 8000, TCP_SYN), DROP_NAT_NO_SERVER);
	assert_non_null(strstr(
		g.traced, "nat rule web has no server for 198.51.100.2:8000: all fail their health check\n"));
	assert_null(strstr(g.traced, "translates"));
	assert_int_equal(g.facts.verdict, PACKET_DROP);
	assert_string_equal(g.facts.drop, "nat-no-server");
	assert_string_equal(g.facts.in_interface, "wan0");
	assert_string_equal(g.facts.from_zone, "untrust");
	fw_server_set(g.fw, &server, true);
	assert_int_equal(send(GATE_WAN, CLIENT, 1000, WAN, 8000, TCP_SYN), DROP_NONE);
	assert_non_null(strstr(
		g.traced, "nat rule web translates the destination 198.51.100.2:8000 to 10.1.0.2:80\n"));
	assert_non_null(strstr(
		g.traced, "destination 198.51.100.2 port 8000 translated to 10.1.0.2 port 80 by rule web"));
	send(GATE_LAN, SERVER, 80, CLIENT, 1000, TCP_SYN | TCP_ACK);
	assert_non_null(strstr(g.traced, "egress interface wan0, next hop 198.51.100.1\n"));
	assert_int_equal(g.facts.verdict, PACKET_PASS);
	assert_string_equal(g.facts.out_interface, "wan0");
	assert_string_equal(g.facts.nat_dst_rule, "web");
	assert_true(g.facts.reply && g.facts.session && g.facts.nat_dst.port == 80 && !g.facts.drop[0]);
	assert_int_equal(g.facts.nat_src.addr.family, ADDR_NONE);
	assert_int_equal(g.facts.src.port, 8000); /* as it leaves */
}

static void not_to_the_gateway(void **state)
{
	(void)state;
	assert_int_equal(send(GATE_WAN, CLIENT, 1000, "198.51.100.77", 80, TCP_SYN), DROP_NAT_TO_GATEWAY);
	assert_int_equal(sessions(), 0);
}

/* The route is that of the server: into the tunnel only what its selectors hold, and in clear text nothing that they
 * hold. */
static void selectors_hold_real_addresses(void **state)
{
	(void)state;
	gate_sa(&g, false);
	assert_int_equal(send(GATE_LAN, SERVER, 1000, "10.1.0.1", 8001, TCP_SYN), DROP_NONE);
	assert_int_equal(g.out_n, 1);
	assert_int_equal(g.out[0].kind, GATE_OUT_TUNNEL);
	assert_int_equal(sessions(), 1);
	/* a host of the branch, in clear text, to the published address: translated, it is the tunnel's */
	assert_int_equal(send(GATE_WAN, "10.2.0.9", 1000, WAN, 8000, TCP_SYN), DROP_TUNNEL_REQUIRED);
	assert_int_equal(sessions(), 1);
}

#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(published_by_interface),
		T(from_inside),
		T(not_to_nobody),
		T(is_traced),
		T(not_to_the_gateway),
		T(selectors_hold_real_addresses),
	};
	return cmocka_run_group_tests_name("dataplane/dnat", tests, NULL, NULL);
}
