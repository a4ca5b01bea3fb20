/*
 * Source NAT by the outgoing interface's address, when that changes: sessions end with the address, or when
 * their way leads out of another interface, and nothing leaves by an address that the gateway does not have
 * there. IPv6 is translated only where a rule asks for it, and never to a link-local address.
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

static const char nat[] =
	"nat { source { rule all { from trust; to untrust; then { source-nat interface; } }\n"
	"  rule six { from trust; to untrust; then { source-nat interface-ipv6; } } } }";
static const char nat4[] =
	"nat { source { rule all { from trust; to untrust; then { source-nat interface; } } } }";
static const char pool[] =
	"nat { source { rule all { from trust; to untrust; then { source-nat 198.51.100.40; } } } }";

static struct gate g;
static struct packet packet;

static struct ip_addr addr(const char *text)
{
	struct ip_addr a;

	assert_int_equal(addr_parse(&a, text), RC_OK);
	return a;
}

/* A second uplink in the zone of the first: wan1, 203.0.113.2. */
static void begin(const char *more)
{
	static char text[8192];
	const char *at = strstr(gate_text, "interfaces wan0");
	struct route_link l = { .index = WAN2,
		.name = "wan1",
		.mac = { 2, 0, 0, 0, 0, 3 },
		.up = true,
		.has_mac = true,
		.mtu = 1500 };
	struct route_local lo = { .link = WAN2, .addr = addr("203.0.113.2"), .bits = 24 };
	struct route_neighbour n = { .link = WAN2,
		.addr = addr("203.0.113.1"),
		.mac = { 2, 0, 0, 0, 1, 3 },
		.state = ROUTE_NEIGHBOUR_VALID };

	snprintf(text, sizeof text, "%.*sinterfaces [ wan0 wan1 ]%s", (int)(at - gate_text), gate_text,
		at + strlen("interfaces wan0"));
	gate_init(&g, text, more, 64);
	assert_int_equal(route_link_set(g.routes, &l), RC_OK);
	assert_int_equal(route_local_set(g.routes, &lo), RC_OK);
	lo.addr = addr("2001:db8:fe::2");
	lo.bits = 64;
	assert_int_equal(route_local_set(g.routes, &lo), RC_OK);
	assert_int_equal(route_neighbour_set(g.routes, &n), RC_OK);
	n.addr = addr("2001:db8:fe::1");
	assert_int_equal(route_neighbour_set(g.routes, &n), RC_OK);
	pipeline_bind(&g.p, "wan1", WAN2);
}

static int teardown(void **state)
{
	gate_done(&g);
	return 0;
}

static void address_add(uint32_t link, const char *text, uint32_t bits)
{
	struct route_local l = { .link = link, .addr = addr(text), .bits = bits };

	assert_int_equal(route_local_set(g.routes, &l), RC_OK);
}

static void address_gone(uint32_t link, const char *text)
{
	struct ip_addr a = addr(text);

	route_local_gone(g.routes, link, &a);
}

static void default_route(uint32_t link, const char *prefix, const char *gateway)
{
	struct route_entry e = { .link = link, .kind = ROUTE_UNICAST, .gateway = addr(gateway) };

	assert_int_equal(prefix_parse(&e.dst, prefix), RC_OK);
	assert_int_equal(route_set(g.routes, &e, ROUTE_REPLACE), RC_OK);
}

static enum drop_reason send(uint8_t proto, uint8_t tcp_flags, bool v6)
{
	struct packet_spec s = { .src = v6 ? HOST6 : HOST,
		.dst = v6 ? INTERNET6 : INTERNET,
		.proto = proto,
		.src_port = 1000,
		.dst_port = proto == IP_TCP ? 80 : 9,
		.flags = tcp_flags,
		.seq = 100,
		.icmp_type = proto == IP_ICMP	  ? 8
			     : proto == IP_ICMPV6 ? 128
						  : 0,
		.payload_n = proto == IP_TCP ? 0 : 10 };

	gate_clear(&g);
	return gate_from_link(&g, GATE_LAN, packet_make(&packet, &s));
}

/* What left: out of which link, from which source. */
static void left(uint32_t link, const char *src)
{
	struct ip_addr a = addr(src);

	assert_int_equal(g.out_n, 1);
	assert_int_equal(g.out[0].kind, GATE_OUT_LINK);
	assert_int_equal(g.out[0].interface, gate_interface(&g, link));
	assert_memory_equal(g.out[0].bytes + (a.family == ADDR_V4 ? 12 : 8), a.b, addr_size(&a));
}

static uint64_t sessions(void)
{
	return fw_counters(g.fw)->sessions_now;
}

/* Both families, UDP and echo: the flow goes on at once, from the address that is there. */
static void the_address_changes(void **state)
{
	static const struct {
		uint8_t proto;
		bool v6;
	} flows[] = { { IP_UDP, false }, { IP_ICMP, false }, { IP_UDP, true }, { IP_ICMPV6, true } };

	for (size_t i = 0; i < COUNT_OF(flows); i++) {
		const char *was = flows[i].v6 ? "2001:db8:ff::2" : "198.51.100.2",
			   *is = flows[i].v6 ? "2001:db8:ff::9" : "198.51.100.9";
		begin(nat);
		assert_int_equal(send(flows[i].proto, 0, flows[i].v6), DROP_NONE);
		left(GATE_WAN, was);
		address_add(GATE_WAN, is,
			flows[i].v6 ? 64 : 24); /* beside it: nothing changes for who is there */
		assert_int_equal(send(flows[i].proto, 0, flows[i].v6), DROP_NONE);
		left(GATE_WAN, was);
		address_gone(GATE_WAN, was);
		assert_int_equal(send(flows[i].proto, 0, flows[i].v6), DROP_NONE);
		left(GATE_WAN, is);
		assert_int_equal(sessions(), 1);
		gate_done(&g);
	}
	begin(nat);
}

/* A connection cannot move: it ends, and a new one begins by the new address. */
static void tcp_ends_with_the_address(void **state)
{
	begin(nat);
	assert_int_equal(send(IP_TCP, TCP_SYN, false), DROP_NONE);
	left(GATE_WAN, "198.51.100.2");
	address_gone(GATE_WAN, "198.51.100.2");
	address_add(GATE_WAN, "198.51.100.9", 24);
	assert_int_equal(send(IP_TCP, TCP_ACK, false), DROP_NAT_ADDRESS_CHANGED);
	assert_int_equal(g.out_n, 0);
	assert_int_equal(sessions(), 0);
	assert_int_equal(send(IP_TCP, TCP_SYN, false), DROP_NONE);
	left(GATE_WAN, "198.51.100.9");
}

/* The default route moves to the other uplink of the zone, whose first one stays as it is. */
static void the_uplink_changes(void **state)
{
	begin(nat);
	assert_int_equal(send(IP_UDP, 0, false), DROP_NONE);
	left(GATE_WAN, "198.51.100.2");
	assert_int_equal(send(IP_UDP, 0, true), DROP_NONE);
	left(GATE_WAN, "2001:db8:ff::2");
	default_route(WAN2, "0.0.0.0/0", "203.0.113.1");
	default_route(WAN2, "::/0", "2001:db8:fe::1");
	assert_int_equal(send(IP_UDP, 0, false), DROP_NONE);
	left(WAN2, "203.0.113.2");
	assert_int_equal(send(IP_UDP, 0, true), DROP_NONE);
	left(WAN2, "2001:db8:fe::2");
	assert_int_equal(sessions(), 2);
}

/* A pool's address is routed to the gateway; it need not be an address of its own. */
static void a_pool_stays(void **state)
{
	begin(pool);
	assert_int_equal(send(IP_UDP, 0, false), DROP_NONE);
	left(GATE_WAN, "198.51.100.40");
	address_gone(GATE_WAN, "198.51.100.2");
	assert_int_equal(send(IP_UDP, 0, false), DROP_NONE);
	left(GATE_WAN, "198.51.100.40");
}

/* Nothing left to translate to: named, and in clear of nothing. */
static void no_address_is_left(void **state)
{
	begin(nat);
	assert_int_equal(send(IP_UDP, 0, false), DROP_NONE);
	address_gone(GATE_WAN, "198.51.100.2");
	assert_int_equal(send(IP_UDP, 0, false), DROP_NAT_NO_ADDRESS);
	assert_int_equal(g.out_n, 0);
	assert_int_equal(sessions(), 0);
}

static void ipv6_only_where_asked_for(void **state)
{
	begin(nat4);
	assert_int_equal(send(IP_UDP, 0, true), DROP_NONE);
	left(GATE_WAN, HOST6);
	assert_int_equal(send(IP_UDP, 0, false), DROP_NONE);
	left(GATE_WAN, "198.51.100.2");
}

/* The default route of a router advertisement: by fe80::. */
static void never_link_local(void **state)
{
	struct route_neighbour n = { .link = GATE_WAN,
		.addr = addr("fe80::1"),
		.mac = { 2, 0, 0, 0, 1, 4 },
		.state = ROUTE_NEIGHBOUR_VALID };

	begin(nat);
	address_add(GATE_WAN, "fe80::2", 64);
	assert_int_equal(route_neighbour_set(g.routes, &n), RC_OK);
	default_route(GATE_WAN, "::/0", "fe80::1");
	assert_int_equal(send(IP_UDP, 0, true), DROP_NONE);
	left(GATE_WAN, "2001:db8:ff::2");
	address_gone(GATE_WAN, "2001:db8:ff::2");
	assert_int_equal(send(IP_UDP, 0, true), DROP_NAT_NO_ADDRESS); /* only the link-local one is left */
	assert_int_equal(g.out_n, 0);
}

int main(void)
{
#define T(f) cmocka_unit_test_teardown(f, teardown)
	const struct CMUnitTest tests[] = {
		T(the_address_changes),
		T(tcp_ends_with_the_address),
		T(the_uplink_changes),
		T(a_pool_stays),
		T(no_address_is_left),
		T(ipv6_only_where_asked_for),
		T(never_link_local),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
