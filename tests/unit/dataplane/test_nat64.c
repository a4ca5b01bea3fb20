/*
 * NAT64 in the whole data plane: packets become 20 octets shorter or longer on their way, and every size that is told,
 * kept or cut to is that of the side that it is about.
 */
#include "base/bytes.h"
#include "gate.h"
#include "wire/ip.h"
#include "wire/nat64.h"

#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>
#include <stdio.h>
#include <linux/virtio_net.h>

#define HOST	"2001:db8:1::2"
#define SERVER	"192.0.2.80"
#define SERVER6 "2001:db8:64::c000:250"
#define WAN	"198.51.100.2"

static const char nat[] = "nat { nat64 { rule four { from trust; prefix 2001:db8:64::/96; } }\n"
			  "source { rule all { from trust; to untrust; then { source-nat interface; } } } }";
static struct gate g;
static struct packet packet;

static int setup(void **state)
{
	(void)state;
	gate_init(&g, gate_text, nat, 64);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	gate_done(&g);
	return 0;
}

static void fragment_field(struct train *t, uint16_t field)
{
	store_be16(t->ip + 6, field);
	store_be16(t->ip + IP4_CSUM, 0);
	store_be16(t->ip + IP4_CSUM, plain_checksum(0, t->ip, 20));
}

/* len: of the whole packet. */
static struct train udp(bool answer, uint16_t port, uint32_t len, bool df)
{
	struct packet_spec s = { .src = answer ? SERVER : HOST,
		.dst = answer ? WAN : SERVER6,
		.proto = IP_UDP,
		.src_port = answer ? 9 : port,
		.dst_port = answer ? port : 9,
		.number = 5,
		.payload_n = len - (answer ? 28 : 48) };
	struct train t = packet_make(&packet, &s);

	if (answer)
		fragment_field(&t, df ? IP4_DF : 0);
	return t;
}

static struct train came_out(uint32_t i)
{
	struct train t = { .ip = g.out[i].bytes, .len = g.out[i].n, .csum = TRAIN_CSUM_VALID };

	t.segment_size = g.out[i].offload.gso_type ? g.out[i].offload.gso_size : 0;
	assert_int_equal(train_parse(&t), DROP_NONE);
	return t;
}

static uint16_t begins(void)
{
	gate_clear(&g);
	assert_int_equal(gate_from_link(&g, GATE_LAN, udp(false, 1000, 100, false)), DROP_NONE);
	assert_int_equal(g.out_n, 1);
	struct train t = came_out(0);
	assert_int_equal(t.src.family, ADDR_V4);
	gate_clear(&g);
	return t.src_port;
}

static void to_the_server(void **state)
{
	(void)state;
	begins();
	assert_int_equal(gate_from_link(&g, GATE_LAN, udp(false, 1000, 1520, false)), DROP_NONE);
	assert_int_equal(g.out_n, 1);
	struct train t = came_out(0);
	assert_int_equal(t.len, 1500);
	assert_true(t.dont_fragment && packet_sound(t.ip, t.len));
	gate_clear(&g);
	assert_int_equal(gate_from_link(&g, GATE_LAN, udp(false, 1000, 1521, false)), DROP_TOO_BIG);
	assert_int_equal(g.out_n, 1);
	t = came_out(0);
	assert_int_equal(t.icmp_type, ICMP6_TOO_BIG);
	assert_int_equal(load_be32(t.ip + t.l4_offset + 4), 1520);
	/* the same for the first packet */
	gate_clear(&g);
	assert_int_equal(gate_from_link(&g, GATE_LAN, udp(false, 1001, 1521, false)), DROP_TOO_BIG);
	assert_int_equal(load_be32(g.out[0].bytes + 44), 1520);
}

static void to_the_host(void **state)
{
	uint16_t port = begins();
	uint32_t payload = 0;

	(void)state;
	assert_int_equal(gate_from_link(&g, GATE_WAN, udp(true, port, 1480, true)), DROP_NONE);
	assert_int_equal(g.out_n, 1);
	struct train t = came_out(0);
	assert_int_equal(t.len, 1500);
	assert_true(packet_sound(t.ip, t.len));
	gate_clear(&g);
	assert_int_equal(gate_from_link(&g, GATE_WAN, udp(true, port, 1481, true)), DROP_TOO_BIG);
	t = came_out(0);
	assert_int_equal(t.icmp_type, ICMP4_UNREACHABLE);
	assert_int_equal(load_be16(t.ip + t.l4_offset + 6), 1480);
	/* without DF: in fragments of 1280 octets at most */
	gate_clear(&g);
	assert_int_equal(gate_from_link(&g, GATE_WAN, udp(true, port, 1500, false)), DROP_NONE);
	assert_int_equal(g.out_n, 2);
	for (uint32_t i = 0; i < g.out_n; i++) {
		t = came_out(i);
		assert_true(t.flags & TRAIN_FRAGMENT && t.len <= 1280);
		payload += t.len - t.l4_offset;
	}
	assert_int_equal(payload, 1480);
	gate_clear(&g);
	assert_int_equal(gate_from_link(&g, GATE_WAN, udp(true, port, 1260, false)), DROP_NONE);
	assert_int_equal(g.out_n, 1);
	assert_int_equal(came_out(0).len, 1280);
}

/* The smaller of what both sides take: 1500 octets of IPv6. */
static void segment_size_of_tcp(void **state)
{
	const uint8_t mss[4] = { TCP_OPTION_MSS, 4, 0xff, 0xff };
	struct packet_spec s = { .src = HOST,
		.dst = SERVER6,
		.proto = IP_TCP,
		.src_port = 1000,
		.dst_port = 80,
		.flags = TCP_SYN,
		.options = mss,
		.options_n = 4 };

	(void)state;
	assert_int_equal(gate_from_link(&g, GATE_LAN, packet_make(&packet, &s)), DROP_NONE);
	struct train t = came_out(0);
	assert_int_equal(load_be16(t.ip + t.l4_offset + 22), 1440);
	assert_true(packet_sound(t.ip, t.len));
	uint16_t port = t.src_port;
	struct packet_spec answer = { .src = SERVER,
		.dst = WAN,
		.proto = IP_TCP,
		.src_port = 80,
		.dst_port = port,
		.flags = TCP_SYN | TCP_ACK,
		.ack = 1,
		.options = mss,
		.options_n = 4 };
	gate_clear(&g);
	assert_int_equal(gate_from_link(&g, GATE_WAN, packet_make(&packet, &answer)), DROP_NONE);
	t = came_out(0);
	assert_int_equal(load_be16(t.ip + t.l4_offset + 22), 1440);
	assert_true(packet_sound(t.ip, t.len));
	/* a train of the server: each segment fits */
	answer.flags = TCP_ACK;
	answer.seq = 1;
	answer.options_n = 0;
	answer.payload_n = 14400;
	answer.partial = true;
	struct train train = packet_make(&packet, &answer);
	train.segment_size = 1440;
	fragment_field(&train, IP4_DF);
	gate_clear(&g);
	assert_int_equal(gate_from_link(&g, GATE_WAN, train), DROP_NONE);
	assert_int_equal(g.out_n, 1);
	assert_int_equal(g.out[0].offload.gso_type, VIRTIO_NET_HDR_GSO_TCPV6);
	assert_int_equal(g.out[0].offload.gso_size, 1440);
	assert_int_equal(came_out(0).len, 14400 + 60);
	assert_true(packet_sound_partial(g.out[0].bytes, g.out[0].n));
	/* without DF in smaller ones, as packets in fragments */
	answer.seq += 14400;
	train = packet_make(&packet, &answer);
	train.segment_size = 1440;
	gate_clear(&g);
	assert_int_equal(gate_from_link(&g, GATE_WAN, train), DROP_NONE);
	assert_int_equal(g.out_n, 12);
	assert_int_equal(came_out(0).len, 1280);
}

/* Its own source is a host's of the IPv6 side, and is checked as that. */
static void from_another_network(void **state)
{
	struct packet_spec s = {
		.src = "2001:db8:77::1", .dst = SERVER6, .proto = IP_UDP, .src_port = 1, .dst_port = 9
	};

	(void)state;
	assert_int_equal(gate_from_link(&g, GATE_LAN, packet_make(&packet, &s)), DROP_SPOOFED);
}

static void not_to_the_gateway(void **state)
{
	struct packet_spec s = {
		.src = HOST, .dst = "2001:db8:64::a01:1", .proto = IP_UDP, .src_port = 1, .dst_port = 9
	};

	(void)state;
	assert_int_equal(gate_from_link(&g, GATE_LAN, packet_make(&packet, &s)), DROP_NAT_TO_GATEWAY);
}

/*
 * The translated address is one of a tunnel's own side: what leaves with it would belong to the tunnel, into which nothing is
 * translated. So it does not leave, of either family; and not either when the tunnel comes later.
 */
static void not_past_a_tunnel(void **state)
{
	static const char pool[] =
		"nat { nat64 { rule four { from trust; prefix 2001:db8:64::/96; } }\n"
		"source { rule all { from trust; to untrust; then { source-nat 10.1.0.200/32; } } } }";
	static const struct packet_spec ones[] = {
		{ .src = HOST, .dst = "2001:db8:64::a02:9", .proto = IP_UDP, .src_port = 1, .dst_port = 9 },
		{ .src = "10.1.7.7", .dst = "10.2.0.9", .proto = IP_UDP, .src_port = 1, .dst_port = 9 },
	};
	struct route_entry lan = { .link = GATE_LAN, .kind = ROUTE_UNICAST };
	char before[1 << 14];

	(void)state;
	/* the tunnel's other side is another network at first */
	const char *at = strstr(gate_text, "remote [ 10.2.0.0/24");
	assert_non_null(at);
	snprintf(before, sizeof before, "%.*sremote [ 10.9.0.0/24%s", (int)(at - gate_text), gate_text,
		at + strlen("remote [ 10.2.0.0/24"));
	assert_int_equal(prefix_parse(&lan.dst, "10.1.7.0/24"), RC_OK);
	for (uint32_t i = 0; i < COUNT_OF(ones); i++) {
		gate_load(&g, before, pool);
		route_set(g.routes, &lan, ROUTE_REPLACE);
		pipeline_changed(&g.p);
		gate_clear(&g);
		assert_int_equal(gate_from_link(&g, GATE_LAN, packet_make(&packet, &ones[i])), DROP_NONE);
		assert_int_equal(g.out_n, 1);
		assert_int_equal(came_out(0).src.family, ADDR_V4);
		gate_load(&g, gate_text, pool);
		for (int again = 0; again < 2; again++) {
			gate_clear(&g);
			enum drop_reason d = gate_from_link(&g, GATE_LAN, packet_make(&packet, &ones[i]));
			assert_true(d == DROP_NAT_PAST_TUNNEL || (d && again == 0)); /* or by its policy */
			assert_int_equal(g.out_n, 0);
			assert_int_equal(fw_counters(g.fw)->sessions_now, 0);
		}
	}
	/* to others it does */
	struct packet_spec s = ones[0];
	s.dst = SERVER6;
	assert_int_equal(gate_from_link(&g, GATE_LAN, packet_make(&packet, &s)), DROP_NONE);
	assert_int_equal(g.out_n, 1);
	assert_int_equal(came_out(0).src.family, ADDR_V4);
}

#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(to_the_server),
		T(to_the_host),
		T(segment_size_of_tcp),
		T(from_another_network),
		T(not_to_the_gateway),
		T(not_past_a_tunnel),
	};
	return cmocka_run_group_tests_name("dataplane/nat64", tests, NULL, NULL);
}
