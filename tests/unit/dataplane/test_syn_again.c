/*
 * Packets that the gateway sends in the place of a client whose connection began by a SYN cookie, while the server is silent: they
 * take the way of the client's own, and begin nothing. Clients on a link and behind a tunnel; an address of the gateway that
 * changes meanwhile.
 */
#include "gate.h"
#include "screen/cookie.h"

#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>
#include <stdio.h>
#include <string.h>

#define CLIENT "10.1.0.2"
#define FAR    "10.2.0.7" /* behind the tunnel */
#define SERVER "192.0.2.80"
#define WAN    "198.51.100.2"
#define WAN_2  "198.51.100.9"

static struct gate g;
static struct packet packet;

/* Floods into this zone are answered with cookies. */
static void begin(const char *zone, const char *nat)
{
	char all[8192], head[40];

	snprintf(head, sizeof head, "zone %s { ", zone);
	const char *at = strstr(gate_text, head) + strlen(head);
	snprintf(all, sizeof all,
		"screens { screen s { tcp { syn-flood { attack-threshold 1; } } } }\n%.*s screen s; %s",
		(int)(at - gate_text), gate_text, at);
	gate_init(&g, all, nat, 64);
	gate_sa(&g, false);
}

static enum drop_reason arrives(const struct packet_spec *s)
{
	struct train t = packet_make(&packet, s);

	gate_clear(&g);
	return strcmp(s->src, FAR) == 0 ? gate_from_tunnel(&g, t) : gate_from_link(&g, GATE_LAN, t);
}

/* A SYN of another connection, so that this second has had its first. */
static void flood(struct packet_spec s)
{
	s.src_port = 9;
	s.flags = TCP_SYN;
	s.payload_n = 0;
	arrives(&s);
}

static void time_passes(mono_ns ns)
{
	gate_clear(&g);
	g.now += ns;
	pipeline_joins_tick(&g.p, g.now);
}

/* Nothing but the client's SYN leaves, out of this link and from this address. */
static void syn_leaves(uint32_t link, const char *src)
{
	char text[ADDR_TEXT_MAX];

	assert_int_equal(g.out_n, 1);
	assert_int_equal(g.out[0].kind, GATE_OUT_LINK);
	assert_int_equal(g.out[0].interface, gate_interface(&g, link));
	struct train t = { .ip = g.out[0].bytes, .len = g.out[0].n };
	assert_int_equal(train_parse(&t), DROP_NONE);
	assert_int_equal(t.tcp_flags, TCP_SYN);
	assert_string_equal(addr_text(text, &t.src), src);
}

/* The client has returned its cookie; what it sends next. */
static struct packet_spec opening(const char *src, const char *dst)
{
	struct packet_spec s = { .src = src,
		.dst = dst,
		.src_port = 2000,
		.dst_port = 80,
		.proto = IP_TCP,
		.flags = TCP_SYN,
		.seq = 7,
		.window = 1000 };
	struct tcp_options o;

	flood(s);
	assert_int_equal(arrives(&s), DROP_NONE);
	struct train t = packet_make(&packet, &s);
	assert_int_equal(train_parse(&t), DROP_NONE);
	t.vrf = 0;
	tcp_options_read(&t, &o);
	s.ack = syn_cookie_make(g.p.hash_key, &t, &o, g.now).seq + 1;
	s.flags = TCP_ACK;
	s.seq++;
	assert_int_equal(arrives(&s), DROP_NONE);
	s.payload_n = 1; /* a probe of its closed window */
	return s;
}

/* Its SYN is repeated like any other one, though nothing has gone back by the tunnel yet; at last it is told. */
static void behind_a_tunnel(void **state)
{
	begin("vpn", "");
	const struct packet_spec s = opening(FAR, CLIENT);
	syn_leaves(GATE_LAN, FAR);
	for (uint32_t i = 0; i < 2; i++) {
		time_passes((i + 1) * NS_PER_S);
		syn_leaves(GATE_LAN, FAR);
	}
	assert_int_equal(arrives(&s), DROP_SYN_PROXY_OPENING);
	syn_leaves(GATE_LAN, FAR);
	time_passes(20 * NS_PER_S);
	assert_int_equal(g.out_n, 1);
	assert_int_equal(g.out[0].kind, GATE_OUT_TUNNEL);
	assert_int_equal(g.p.syn_counts[SYN_COUNT_RESET], 1);
	gate_done(&g);
}

static void address_moves(void)
{
	struct route_local l = { .link = GATE_WAN, .bits = 24 };

	addr_parse(&l.addr, WAN);
	route_local_gone(g.routes, GATE_WAN, &l.addr);
	addr_parse(&l.addr, WAN_2);
	assert_int_equal(route_local_set(g.routes, &l), RC_OK);
}

/* The session ends, and no other one begins that nobody could join to the client: the next of its probes begins one. */
static void another_address(void **state)
{
	for (int k = 0; k < 4; k++) {
		begin("trust",
			"nat { source { rule all { from trust; to untrust; then { source-nat interface; } } } }");
		const struct packet_spec s = opening(CLIENT, SERVER);
		syn_leaves(GATE_WAN, WAN);
		address_moves();
		if (k % 2)
			flood(s); /* its SYN would be answered with a cookie; or not */
		if (k < 2)
			time_passes(NS_PER_S);
		else
			assert_int_equal(arrives(&s), DROP_NAT_ADDRESS_CHANGED);
		assert_int_equal(g.out_n, 0);
		assert_int_equal(arrives(&s), DROP_NONE);
		syn_leaves(GATE_WAN, WAN_2);
		gate_done(&g);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(behind_a_tunnel),
		cmocka_unit_test(another_address) };
	return cmocka_run_group_tests_name("syn again", tests, NULL, NULL);
}
