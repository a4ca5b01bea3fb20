/*
 * How large what leaves may be: fragments are no larger than they came, a route's own MTU holds whatever
 * tcp-mss says, and IPv6 packets of 1280 octets pass through any tunnel.
 */
#include "gate.h"
#include "wire/fragment.h"
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
#define FAR	  "10.2.0.9"
#define FAR6	  "2001:db8:2::9"

static struct gate g;
static struct packet packet, piece;

static int setup(void **state)
{
	gate_init(&g, gate_text, "", 64);
	gate_sa(&g, false);
	return 0;
}

static int teardown(void **state)
{
	gate_done(&g);
	return 0;
}

static void dont_fragment(struct train *t)
{
	store_be16(t->ip + 6, load_be16(t->ip + 6) | IP4_DF);
	store_be16(t->ip + 10, 0);
	store_be16(t->ip + 10, plain_checksum(0, t->ip, 20));
}

static struct packet_spec udp(const char *src, const char *dst, size_t n)
{
	return (struct packet_spec){
		.src = src, .dst = dst, .proto = IP_UDP, .src_port = 1000, .dst_port = 9, .payload_n = n
	};
}

/* One datagram from the LAN in fragments of at most `size`; the drop of the last. */
static enum drop_reason in_fragments(struct packet_spec s, uint32_t size, bool df)
{
	struct train whole = packet_make(&packet, &s);
	enum drop_reason d = DROP_NONE;
	uint32_t n;

	assert_int_equal(train_parse(&whole), DROP_NONE);
	gate_clear(&g);
	for (uint32_t i = 0;; i++) {
		uint8_t *ip = piece.room + TRAIN_HEAD_ROOM;
		if ((n = (uint32_t)fragment_cut(ip, &whole, size, i, 77)) == 0)
			return d;
		struct train t = { .ip = ip, .len = n, .csum = TRAIN_CSUM_UNKNOWN };
		if (df)
			dont_fragment(&t);
		d = gate_from_link(&g, GATE_LAN, t);
	}
}

static void wan_mtu(uint32_t mtu)
{
	struct route_link l = { .index = GATE_WAN,
		.name = "wan0",
		.mac = { 2, 0, 0, 0, 0, 2 },
		.up = true,
		.has_mac = true,
		.mtu = mtu };

	assert_int_equal(route_link_set(g.routes, &l), RC_OK);
	pipeline_changed(&g.p);
}

/* ---- fragments ---- */

static void no_larger_than_they_came(void **state)
{
	for (int v6 = 0; v6 < 2; v6++)
		for (uint32_t size = 1280; size > 0; size = size == 1280 ? 600 : 0) {
			uint32_t head = v6 ? 48 : 20, total = 0;
			struct packet_spec s = udp(v6 ? HOST6 : HOST, v6 ? INTERNET6 : INTERNET, 3000);
			s.src_port = (uint16_t)size;
			assert_int_equal(in_fragments(s, size, false), DROP_NONE);
			for (uint32_t i = 0; i < g.out_n; i++) {
				assert_int_equal(g.out[i].kind, GATE_OUT_LINK);
				assert_true(g.out[i].n <= size);
				total += g.out[i].n - head;
			}
			assert_int_equal(total, 3008);
		}
}

/* Into a tunnel as well: as many sealed packets as fragments came. */
static void into_a_tunnel_too(void **state)
{
	assert_int_equal(in_fragments(udp(HOST, FAR, 3000), 600, false), DROP_NONE);
	assert_int_equal(g.out_n, 6);
	assert_int_equal(in_fragments(udp(HOST6, FAR6, 3000), 1280, false), DROP_NONE);
	assert_int_equal(g.out_n, 3);
	for (uint32_t i = 0; i < g.out_n; i++)
		assert_true(g.out[i].n < 1280 + 60);
	/* A whole that would fit in one packet is what its sender knows the path does not take. */
	assert_int_equal(in_fragments(udp(HOST6, FAR6, 1300), 1280, false), DROP_NONE);
	assert_int_equal(g.out_n, 2);
}

/* Nor is the whole sealed to be cut outside, where it came in pieces. */
static void into_a_narrow_tunnel(void **state)
{
	pipeline_path_mtu(&g.p, 0, 1280);
	g.may_fragment = 0;
	assert_int_equal(in_fragments(udp(HOST6, FAR6, 1200), 800, false), DROP_NONE);
	assert_int_equal(g.out_n, 2);
	assert_int_equal(in_fragments(udp(HOST6, FAR6, 3000), 1280, false), DROP_NONE);
	assert_int_equal(g.out_n, 3);
	assert_int_equal(g.may_fragment, 0);
}

/* The options of their first stand in each that leaves: more of them than wait for the flush of one burst. */
static void a_burst_of_small_ones(void **state)
{
	enum { DATAGRAMS = 8, PIECES = 64, DATA = 8 + (PIECES - 1) * 48 };
	static struct packet last[DATAGRAMS];
	struct packet_spec s = udp(HOST, INTERNET, DATA - 8);
	struct train trains[DATAGRAMS], whole = packet_make(&packet, &s);

	for (uint32_t k = 0; k < DATAGRAMS; k++)
		for (uint32_t i = 0; i < PIECES; i++) {
			uint32_t head = i ? 20 : 60, n = i ? 48 : 8, at = i ? 8 + (i - 1) * 48 : 0;
			uint8_t *ip = (i == PIECES - 1 ? &last[k] : &piece)->room + TRAIN_HEAD_ROOM;
			memcpy(ip, whole.ip, 20);
			memset(ip + 20, 1, head - 20); /* no operation */
			memcpy(ip + head, whole.ip + 20 + at, n);
			ip[0] = (uint8_t)(0x40 | head / 4);
			store_be16(ip + 2, (uint16_t)(head + n));
			store_be16(ip + 4, (uint16_t)k);
			store_be16(ip + 6, (uint16_t)(at / 8 | (i == PIECES - 1 ? 0 : IP4_MF)));
			store_be16(ip + 10, 0);
			store_be16(ip + 10, plain_checksum(0, ip, head));
			struct train t = { .ip = ip, .len = head + n, .csum = TRAIN_CSUM_UNKNOWN };
			if (i < PIECES - 1) {
				assert_int_equal(gate_from_link(&g, GATE_LAN, t), DROP_NONE);
			} else {
				pipeline_train_from_link(&g.p, &t, gate_interface(&g, GATE_LAN));
				trains[k] = t;
			}
		}
	gate_clear(&g);
	pipeline_burst(&g.p, trains, DATAGRAMS, g.now);
	assert_int_equal(g.p.drops[DROP_QUEUE_FULL], 0);
	assert_int_equal(g.out_n, DATAGRAMS * DATA / 8);
	for (uint32_t i = 0; i < g.out_n; i++)
		assert_int_equal(g.out[i].n, 60 + 8);
}

/* Fragments that must not be cut further: their sender is told, as for a whole packet (RFC 1191). */
static void fragments_with_df(void **state)
{
	assert_int_equal(in_fragments(udp(HOST, INTERNET, 3000), 1400, true), DROP_NONE);
	for (uint32_t i = 0; i < g.out_n; i++) {
		assert_true(g.out[i].n <= 1400);
		assert_true(load_be16(g.out[i].bytes + 6) & IP4_DF);
	}
	wan_mtu(1300);
	assert_int_equal(in_fragments(udp(HOST, INTERNET, 3000), 1400, true), DROP_TOO_BIG);
	assert_int_equal(g.out_n, 1);
	assert_int_equal(load_be16(g.out[0].bytes + 26), 1300);
	assert_int_equal(in_fragments(udp(HOST, INTERNET, 3000), 1400, false), DROP_NONE);
	for (uint32_t i = 0; i < g.out_n; i++)
		assert_true(g.out[i].n <= 1300 && !(load_be16(g.out[i].bytes + 6) & IP4_DF));
}

/* IPv6 is never cut to less than its sender has cut it to: that one is told, by a link and by a tunnel. */
static void fragments_of_ipv6(void **state)
{
	wan_mtu(1300);
	assert_int_equal(in_fragments(udp(HOST6, INTERNET6, 3000), 1400, false), DROP_TOO_BIG);
	assert_int_equal(g.out_n, 1);
	assert_int_equal(g.out[0].bytes[40], ICMP6_TOO_BIG);
	assert_int_equal(load_be32(g.out[0].bytes + 44), 1300);
	assert_int_equal(in_fragments(udp(HOST6, INTERNET6, 3000), 1300, false), DROP_NONE);
	assert_int_equal(g.out_n, 3);
	for (uint32_t i = 0; i < g.out_n; i++)
		assert_true(g.out[i].n <= 1300);
	pipeline_path_mtu(&g.p, 0, 1280);
	assert_int_equal(in_fragments(udp(HOST6, FAR6, 3000), 1400, false), DROP_TOO_BIG);
	assert_int_equal(g.out_n, 1);
	assert_int_equal(load_be32(g.out[0].bytes + 44), 1280);
	/* A datagram that was cut though it fits: its largest piece counts, and that fits as well. */
	assert_int_equal(in_fragments(udp(HOST6, INTERNET6, 1180), 1280, false), DROP_NONE);
}

/* ---- routes ---- */

/* With and without tcp-mss, larger and smaller than the route's; a session's first packet and a later one. */
static void a_routes_mtu_holds(void **state)
{
	static const char *const mss[] = { "", "tcp-mss 1300; ", "tcp-mss 1360; ", "tcp-mss 1400; ",
		"tcp-mss 536; " };
	static char text[8192];
	const char *at = strstr(gate_text, "host-name gate;");

	for (size_t i = 0; i < COUNT_OF(mss); i++)
		for (int v6 = 0; v6 < 2; v6++) {
			struct route_entry e = { .link = GATE_WAN, .kind = ROUTE_UNICAST, .mtu = 1400 };
			gate_done(&g);
			snprintf(text, sizeof text, "%.*s%s%s", (int)(at - gate_text), gate_text, mss[i], at);
			gate_init(&g, text, "", 64);
			assert_int_equal(
				prefix_parse(&e.dst, v6 ? "2001:db8:80::/64" : "192.0.2.0/24"), RC_OK);
			assert_int_equal(
				addr_parse(&e.gateway, v6 ? "2001:db8:ff::1" : "198.51.100.1"), RC_OK);
			assert_int_equal(route_set(g.routes, &e, ROUTE_REPLACE), RC_OK);
			for (int later = 0; later < 3; later++) {
				struct packet_spec s = udp(v6 ? HOST6 : HOST, v6 ? INTERNET6 : INTERNET,
					later == 1 ? 10
					: v6	   ? 1420
						   : 1440);
				struct train t = packet_make(&packet, &s);
				if (!v6)
					dont_fragment(&t);
				gate_clear(&g);
				assert_int_equal(gate_from_link(&g, GATE_LAN, t),
					later == 1 ? DROP_NONE : DROP_TOO_BIG);
				if (later != 1)
					assert_int_equal(v6 ? load_be32(g.out[0].bytes + 44)
							    : load_be16(g.out[0].bytes + 26),
						1400);
			}
		}
}

/* ---- narrow tunnels ---- */

static enum drop_reason through(const char *src, const char *dst, uint32_t ip_n, bool v6)
{
	struct packet_spec s = udp(src, dst, ip_n - (v6 ? 48 : 28));
	struct train t = packet_make(&packet, &s);

	if (!v6)
		dont_fragment(&t);
	gate_clear(&g);
	g.may_fragment = 0;
	return gate_from_link(&g, GATE_LAN, t);
}

static void ipv6_of_1280_passes(void **state)
{
	static const uint32_t paths[] = { 1280, 1000, 576 };

	for (size_t i = 0; i < COUNT_OF(paths); i++) {
		pipeline_path_mtu(&g.p, 0, paths[i]);
		uint32_t mtu = pipeline_tunnel_mtu(&g.p, 0);
		assert_true(mtu < 1280);
		assert_int_equal(through(HOST6, FAR6, mtu, true), DROP_NONE);
		assert_int_equal(g.may_fragment, 0);
		for (uint32_t n = mtu + 1; n <= 1280; n = n < 1279 ? 1279 : n + 1) {
			assert_int_equal(through(HOST6, FAR6, n, true), DROP_NONE);
			assert_int_equal(g.out_n, 1);
			assert_int_equal(g.may_fragment, 1);
		}
		/* And no longer behind it. */
		assert_int_equal(through(HOST6, FAR6, mtu, true), DROP_NONE);
		assert_int_equal(g.may_fragment, 0);
		assert_int_equal(through(HOST6, FAR6, 1281, true), DROP_TOO_BIG);
		assert_int_equal(load_be32(g.out[0].bytes + 44), 1280);
		/* IPv4 is told the tunnel's own. */
		assert_int_equal(through(HOST, FAR, mtu + 1, false), DROP_TOO_BIG);
		assert_int_equal(load_be16(g.out[0].bytes + 26), mtu);
		g.now += NS_PER_S;
	}
}

/* A train of datagrams, each of which fits only so. */
static void a_train_of_them(void **state)
{
	struct packet_spec s = udp(HOST6, FAR6, 5 * 1200);
	struct train t = packet_make(&packet, &s);

	pipeline_path_mtu(&g.p, 0, 1280);
	t.segment_size = 1200;
	g.may_fragment = 0;
	assert_int_equal(gate_from_link(&g, GATE_LAN, t), DROP_NONE);
	assert_int_equal(g.out_n, 5);
	assert_int_equal(g.may_fragment, 5);
}

/*
 * A link of 65,520 octets (IPoIB; a virtual link): what fits it may still not fit a batch. It is cut, or its sender is told,
 * as for any other link.
 */
static void a_link_wider_than_a_batch(void **state)
{
	wan_mtu(65520);
	uint32_t mtu = pipeline_tunnel_mtu(&g.p, 0);
	for (uint32_t n = 64900; n <= UINT16_MAX; n++) {
		assert_int_equal(through(HOST, FAR, n, false), n > mtu ? DROP_TOO_BIG : DROP_NONE);
		assert_int_equal(g.out_n, 1);
		g.now += NS_PER_S;
	}
}

int main(void)
{
#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
	const struct CMUnitTest tests[] = {
		T(no_larger_than_they_came),
		T(into_a_tunnel_too),
		T(into_a_narrow_tunnel),
		T(a_burst_of_small_ones),
		T(fragments_with_df),
		T(fragments_of_ipv6),
		T(a_routes_mtu_holds),
		T(ipv6_of_1280_passes),
		T(a_train_of_them),
		T(a_link_wider_than_a_batch),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
