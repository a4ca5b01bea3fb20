/*
 * Two uplinks by one default route with two next hops, in both families: each session has one of them, by its
 * addresses and ports, and keeps it and its translated address; when a next hop goes only its own sessions
 * move or end; answers leave by the uplink that the session came by.
 */
#include "gate.h"
#include "wire/ip.h"

#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define HOST	  "10.1.0.2"
#define HOST6	  "2001:db8:1::2"
#define INTERNET  "192.0.2.80"
#define INTERNET6 "2001:db8:80::80"
#define WAN2	  3
#define FLOWS	  64u

static const char nat[] =
	"nat { source { rule all { from trust; to untrust; then { source-nat interface; } }\n"
	"  rule six { from trust; to untrust; then { source-nat interface-ipv6; } } } }";
static const char inbound[] = "from untrust to trust { rule in { match { source any; destination any; "
			      "application web; } then { permit; } } }";

static struct gate g;
static struct packet packet;

static struct ip_addr addr(const char *text)
{
	struct ip_addr a;

	assert_int_equal(addr_parse(&a, text), RC_OK);
	return a;
}

/* The default route of a family; wan1: with the second uplink beside the first, or the first alone. */
static void default_route(bool v6, uint32_t weight, bool wan1)
{
	struct route_entry e[2] = { { .link = GATE_WAN,
					    .kind = ROUTE_UNICAST,
					    .weight = weight,
					    .gateway = addr(v6 ? "2001:db8:ff::1" : "198.51.100.1") },
		{ .link = WAN2,
			.kind = ROUTE_UNICAST,
			.weight = 1,
			.gateway = addr(v6 ? "2001:db8:fe::1" : "203.0.113.1") } };

	for (uint32_t i = 0; i < 2; i++)
		assert_int_equal(prefix_parse(&e[i].dst, v6 ? "::/0" : "0.0.0.0/0"), RC_OK);
	assert_int_equal(route_paths_set(g.routes, e, wan1 ? 2 : 1, ROUTE_REPLACE), RC_OK);
}

static void wan1_set(bool up)
{
	struct route_link l = { .index = WAN2,
		.name = "wan1",
		.mac = { 2, 0, 0, 0, 0, 3 },
		.up = up,
		.has_mac = true,
		.mtu = 1500 };

	assert_int_equal(route_link_set(g.routes, &l), RC_OK);
	pipeline_changed(&g.p);
}

static void begin(const char *more)
{
	static char text[8192];
	const char *at = strstr(gate_text, "interfaces wan0"), *policy = strstr(at, "policy {");
	static const struct {
		const char *own, *next;
		uint32_t bits;
	} ends[] = { { "203.0.113.2", "203.0.113.1", 24 }, { "2001:db8:fe::2", "2001:db8:fe::1", 64 } };

	at += strlen("interfaces ");
	policy += strlen("policy {");
	snprintf(text, sizeof text, "%.*s[ wan0 wan1 ]%.*s%s%s", (int)(at - gate_text), gate_text,
		(int)(policy - at - 4), at + 4, inbound, policy);
	gate_init(&g, text, more, 4 * FLOWS);
	wan1_set(true);
	for (uint32_t i = 0; i < COUNT_OF(ends); i++) {
		struct route_local lo = { .link = WAN2, .addr = addr(ends[i].own), .bits = ends[i].bits };
		struct route_neighbour n = { .link = WAN2,
			.addr = addr(ends[i].next),
			.mac = { 2, 0, 0, 0, 1, 3 },
			.state = ROUTE_NEIGHBOUR_VALID };
		assert_int_equal(route_local_set(g.routes, &lo), RC_OK);
		assert_int_equal(route_neighbour_set(g.routes, &n), RC_OK);
		default_route(i == 1, 1, true);
	}
	pipeline_bind(&g.p, "wan1", WAN2);
}

static int teardown(void **state)
{
	gate_done(&g);
	return 0;
}

static enum drop_reason send(uint32_t link, const struct packet_spec *s)
{
	gate_clear(&g);
	return gate_from_link(&g, link, packet_make(&packet, s));
}

static struct packet_spec packet_out(uint32_t flow, bool v6, uint8_t proto, uint8_t tcp_flags)
{
	return (struct packet_spec){ .src = v6 ? HOST6 : HOST,
		.dst = v6 ? INTERNET6 : INTERNET,
		.proto = proto,
		.src_port = (uint16_t)(1000 + flow),
		.dst_port = proto == IP_TCP ? 80 : 9,
		.flags = tcp_flags,
		.seq = 100 + !(tcp_flags & TCP_SYN),
		.ack = tcp_flags & TCP_ACK ? 501 : 0,
		.payload_n = proto == IP_TCP ? 0 : 10 };
}

/* Where the one packet that came out has left: the link. Its source must be that uplink's own if translated. */
static uint32_t left(bool v6, bool translated)
{
	assert_int_equal(g.out_n, 1);
	assert_int_equal(g.out[0].kind, GATE_OUT_LINK);
	uint32_t link = g.out[0].interface == gate_interface(&g, WAN2) ? WAN2 : GATE_WAN;
	assert_int_equal(g.out[0].interface, gate_interface(&g, link));
	const char *own = link == WAN2 ? v6 ? "2001:db8:fe::2" : "203.0.113.2"
				       : (v6 ? "2001:db8:ff::2" : "198.51.100.2");
	struct ip_addr a = addr(!translated ? v6 ? HOST6 : HOST : own);
	assert_memory_equal(g.out[0].bytes + (v6 ? 8 : 12), a.b, addr_size(&a));
	assert_int_equal(g.out[0].mac[5], link == WAN2 ? 3 : 1); /* by its own next hop */
	return link;
}

/* The answer to the packet that has just left, from its link or the other one: it arrives at the host. */
static void answer(uint32_t link, bool v6, uint8_t proto, uint8_t tcp_flags)
{
	const uint8_t *ip = g.out[0].bytes, *l4 = ip + (v6 ? 40 : 20);
	struct ip_addr near = { .family = v6 ? ADDR_V6 : ADDR_V4 };
	char text[ADDR_TEXT_MAX];

	memcpy(near.b, ip + (v6 ? 8 : 12), addr_size(&near));
	struct packet_spec s = { .src = v6 ? INTERNET6 : INTERNET,
		.dst = addr_text(text, &near),
		.proto = proto,
		.src_port = load_be16(l4 + 2),
		.dst_port = load_be16(l4),
		.flags = tcp_flags,
		.seq = 500,
		.ack = 101,
		.payload_n = proto == IP_TCP ? 0 : 10 };
	assert_int_equal(send(link, &s), DROP_NONE);
	assert_int_equal(g.out_n, 1);
	assert_int_equal(g.out[0].interface, gate_interface(&g, GATE_LAN));
}

/* Opens every flow; where each went. */
static void open_all(bool v6, uint8_t proto, bool translated, uint32_t *ret_links)
{
	uint32_t second = 0;

	for (uint32_t i = 0; i < FLOWS; i++) {
		struct packet_spec s = packet_out(i, v6, proto, proto == IP_TCP ? TCP_SYN : 0);
		assert_int_equal(send(GATE_LAN, &s), DROP_NONE);
		ret_links[i] = left(v6, translated);
		second += ret_links[i] == WAN2;
		answer(ret_links[i], v6, proto, TCP_SYN | TCP_ACK);
	}
	assert_in_range(second, FLOWS / 4, FLOWS - FLOWS / 4);
}

/* A packet more of each flow: those of wan1 get `want`, the others go on as they did. */
static void go_on(
	bool v6, uint8_t proto, bool translated, const uint32_t *links, enum drop_reason want, uint32_t moved)
{
	for (uint32_t i = 0; i < FLOWS; i++) {
		struct packet_spec s = packet_out(i, v6, proto, TCP_ACK);
		enum drop_reason drop = send(GATE_LAN, &s);
		assert_int_equal(drop, links[i] == WAN2 ? want : DROP_NONE);
		if (drop == DROP_NONE)
			assert_int_equal(left(v6, translated), links[i] == WAN2 ? moved : links[i]);
	}
}

/* Routes of others, a commit, and a next hop that comes move no session; one that goes moves its own. */
static void a_session_keeps_its_uplink(void **state)
{
	for (uint32_t round = 0; round < 4; round++) {
		bool v6 = round & 1;
		uint8_t proto = round & 2 ? IP_TCP : IP_UDP;
		uint32_t links[FLOWS];
		begin(nat);
		open_all(v6, proto, true, links);
		default_route(v6, 100, true); /* other weights: for new sessions only */
		go_on(v6, proto, true, links, DROP_NONE, WAN2);
		pipeline_changed(&g.p);
		go_on(v6, proto, true, links, DROP_NONE, WAN2);
		/* The other uplink dies. What is translated to its address cannot go on: a connection ends, a
		 * datagram begins anew by the other address. */
		wan1_set(false);
		go_on(v6, proto, true, links, proto == IP_TCP ? DROP_NAT_ADDRESS_CHANGED : DROP_NONE,
			GATE_WAN);
		gate_done(&g);
	}
	begin(nat);
}

/* A router that is dead behind a living link is as a link that is down: its sessions move or end, and no other's. */
static void a_dead_router_moves_its_sessions(void **state)
{
	for (uint32_t round = 0; round < 4; round++) {
		bool v6 = round & 1;
		uint8_t proto = round & 2 ? IP_TCP : IP_UDP;
		struct route_dead dead = { WAN2, addr(v6 ? "2001:db8:fe::1" : "203.0.113.1") };
		uint32_t links[FLOWS];
		begin(nat);
		open_all(v6, proto, true, links);
		route_dead_set(g.routes, &dead, 1);
		go_on(v6, proto, true, links, proto == IP_TCP ? DROP_NAT_ADDRESS_CHANGED : DROP_NONE,
			GATE_WAN);
		route_dead_set(g.routes, NULL, 0);
		for (uint32_t i = 0; i < FLOWS; i++) { /* new ones take both again, and nobody moves back */
			struct packet_spec s = packet_out(i, v6, proto, TCP_ACK);
			if (links[i] != WAN2) {
				assert_int_equal(send(GATE_LAN, &s), DROP_NONE);
				assert_int_equal(left(v6, true), GATE_WAN);
			}
		}
		gate_done(&g);
	}
	begin(nat);
}

/* Without translation it moves, connections too. Its own way comes back for new sessions only. */
static void without_translation_it_moves(void **state)
{
	for (uint32_t round = 0; round < 4; round++) {
		bool v6 = round & 1;
		uint8_t proto = round & 2 ? IP_TCP : IP_UDP;
		uint32_t links[FLOWS];
		begin("");
		open_all(v6, proto, false, links);
		default_route(v6, 1, false);
		go_on(v6, proto, false, links, DROP_NONE, GATE_WAN);
		default_route(v6, 1, true);
		go_on(v6, proto, false, links, DROP_NONE, GATE_WAN);
		gate_done(&g);
	}
	begin("");
}

/* From outside: answered by the uplink that it came by, whatever the hash of the answers is. */
static void answers_leave_by_their_uplink(void)
{
	for (uint32_t i = 0; i < 2 * FLOWS; i++) {
		uint32_t link = i & 1 ? WAN2 : GATE_WAN;
		bool v6 = i & 2;
		struct packet_spec s = { .src = v6 ? INTERNET6 : INTERNET,
			.dst = v6 ? HOST6 : HOST,
			.proto = IP_TCP,
			.src_port = (uint16_t)(2000 + i),
			.dst_port = 80,
			.flags = TCP_SYN,
			.seq = 100 };
		struct packet_spec back = { .src = s.dst,
			.dst = s.src,
			.proto = IP_TCP,
			.src_port = 80,
			.dst_port = s.src_port,
			.flags = TCP_SYN | TCP_ACK,
			.seq = 500,
			.ack = 101 };
		assert_int_equal(send(link, &s), DROP_NONE);
		assert_int_equal(g.out[0].interface, gate_interface(&g, GATE_LAN));
		for (uint32_t again = 0; again < 2; again++) {
			assert_int_equal(send(GATE_LAN, &back), DROP_NONE);
			assert_int_equal(left(v6, false), link);
			pipeline_changed(&g.p); /* and after a change that is not about it */
		}
	}
}

static void answers_leave_where_the_session_came(void **state)
{
	begin("");
	answers_leave_by_their_uplink();
}

/* Also where the configuration's first tunnel has an interface: no session came by that one. */
static void answers_leave_by_no_tunnel(void **state)
{
	begin("");
	assert_true(g.p.snapshot->tunnels.count > 0);
	g.p.tunnels[0].routed = true;
	g.p.tunnels[0].device = WAN2 + 1;
	answers_leave_by_their_uplink();
}

int main(void)
{
#define T(f) cmocka_unit_test_teardown(f, teardown)
	const struct CMUnitTest tests[] = {
		T(a_session_keeps_its_uplink),
		T(a_dead_router_moves_its_sessions),
		T(without_translation_it_moves),
		T(answers_leave_where_the_session_came),
		T(answers_leave_by_no_tunnel),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
