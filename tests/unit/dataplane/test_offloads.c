/*
 * What kernels hand over with work left undone: checksums that wait for a NIC, SCTP's among them, and what a
 * NIC has joined.
 */
#include "gate.h"
#include "wire/crc32c.h"

#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>
#include <stdio.h>

static const char *const hosts[] = { "10.1.0.2", "2001:db8:1::2" },
			 *const outside[] = { "192.0.2.80", "2001:db8:99::9" },
			 *const far[] = { "10.2.0.9", "2001:db8:2::9" };
static struct gate g;
static struct packet packet;

static int setup(void **state)
{
	static char text[8192];
	const char *at = strstr(gate_text, "policy {"), *end = strstr(gate_text, "ike {\n");

	(void)state;
	assert_true(at && end);
#define ALL "rule all { match { source any; destination any; application any; } then { permit; } } "
	snprintf(text, sizeof text,
		"%.*spolicy { from trust to untrust { " ALL "} from trust to vpn { " ALL "} }\n%s",
		(int)(at - gate_text), gate_text, end);
	gate_init(&g, text, "", 64);
	gate_sa(&g, false);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	gate_done(&g);
	return 0;
}

/* From the LAN, with this header in front; the verdict on the header, then the pipeline's. */
static bool taken(struct train *t, const struct virtio_net_hdr *h)
{
	pipeline_train_from_link(&g.p, t, gate_interface(&g, GATE_LAN));
	if (!pipeline_train_offloads(t, h, ETHERNET_SIZE))
		return false;
	gate_clear(&g);
	pipeline_burst(&g.p, t, 1, g.now);
	assert_string_equal(drop_name(t->drop), drop_name(DROP_NONE));
	return true;
}

static void test_vector(void **state)
{
	(void)state;
	assert_int_equal(crc32c((const uint8_t *)"123456789", 9), 0xe3069283u);
	assert_int_equal(crc32c((const uint8_t *)"", 0), 0);
}

static void test_sctp(void **state)
{
	(void)state;
	for (int v6 = 0; v6 < 2; v6++) {
		uint32_t l4 = v6 ? 40 : 20;
		struct packet_spec s = {
			.src = hosts[v6], .dst = outside[v6], .proto = IP_SCTP, .payload_n = 64
		};
		struct train t = packet_make(&packet, &s);
		struct virtio_net_hdr h = { .flags = VIRTIO_NET_HDR_F_NEEDS_CSUM,
			.csum_start = (uint16_t)(ETHERNET_SIZE + l4),
			.csum_offset = 8 };
		uint8_t was[64], is[64];

		memcpy(was, t.ip + l4, 64);
		assert_true(taken(&t, &h));
		assert_int_equal(g.out_n, 1);
		assert_int_equal(g.out[0].offload.flags & VIRTIO_NET_HDR_F_NEEDS_CSUM, 0);
		memcpy(is, g.out[0].bytes + l4, 64);
		uint32_t crc = (uint32_t)is[8] | (uint32_t)is[9] << 8 | (uint32_t)is[10] << 16 |
			       (uint32_t)is[11] << 24;
		memset(is + 8, 0, 4);
		assert_int_equal(crc, crc32c(is, 64));
		memset(was + 8, 0, 4);
		assert_memory_equal(was, is, 64); /* nothing else has changed, the ports least of all */
		/* the field must be there */
		t = packet_make(&packet, &s);
		t.len = l4 + 11;
		assert_false(taken(&t, &h));
	}
}

static struct packet_spec tcp(const char *src, const char *dst, uint8_t flags, uint32_t seq, uint32_t ack)
{
	return (struct packet_spec){ .src = src,
		.dst = dst,
		.proto = IP_TCP,
		.src_port = flags & TCP_SYN && flags & TCP_ACK ? 80 : 1000,
		.dst_port = flags & TCP_SYN && flags & TCP_ACK ? 1000 : 80,
		.flags = flags,
		.seq = seq,
		.ack = ack };
}

/* A NIC's own trains: no checksum is asked for, the segments were checked. */
static void test_joined_by_a_nic(void **state)
{
	(void)state;
	for (int k = 0; k < 8; k++) {
		bool v6 = k & 1, tunnel = k & 2;
		const char *dst = tunnel ? far[v6] : outside[v6];
		struct packet_spec s = tcp(hosts[v6], dst, TCP_SYN, 0, 0),
				   r = tcp(dst, hosts[v6], TCP_SYN | TCP_ACK, 0, 1);
		struct virtio_net_hdr none = { 0 }, h = { .gso_type = v6 ? VIRTIO_NET_HDR_GSO_TCPV6
									 : VIRTIO_NET_HDR_GSO_TCPV4,
			.flags = k & 4 ? VIRTIO_NET_HDR_F_DATA_VALID : 0,
			.gso_size = 1200 };

		s.src_port = r.dst_port = (uint16_t)(1000 + k);
		struct train t = packet_make(&packet, &s);
		assert_true(taken(&t, &none));
		t = packet_make(&packet, &r);
		assert_int_equal(
			tunnel ? gate_from_tunnel(&g, t) : gate_from_link(&g, GATE_WAN, t), DROP_NONE);
		s.flags = TCP_ACK;
		s.seq = s.ack = 1;
		s.payload_n = 10000;
		t = packet_make(&packet, &s);
		memset(t.ip + (v6 ? 40 : 20) + TCP_CSUM, 0x5a, 2); /* of one of the segments, perhaps */
		assert_true(taken(&t, &h));
		assert_int_equal(g.out_n, tunnel ? (10000 + 1199) / 1200 : 1);
		if (tunnel)
			continue;
		assert_int_equal(g.out[0].offload.gso_size, 1200);
		assert_true(g.out[0].offload.flags & VIRTIO_NET_HDR_F_NEEDS_CSUM);
		assert_true(packet_sound_partial(g.out[0].bytes, g.out[0].n));
	}
	/* not what only says so */
	struct packet_spec s = { .src = hosts[0],
		.dst = outside[0],
		.proto = IP_UDP,
		.src_port = 1,
		.dst_port = 9,
		.payload_n = 3000 };
	struct virtio_net_hdr h = { .gso_type = VIRTIO_NET_HDR_GSO_TCPV4, .gso_size = 1200 };
	struct train t = packet_make(&packet, &s);
	assert_false(taken(&t, &h));
	/* The kernel's lists of datagrams have no sum of the whole either. */
	h.gso_type = VIRTIO_NET_HDR_GSO_UDP_L4;
	memset(t.ip + 20 + UDP_CSUM, 0x5a, 2);
	assert_true(taken(&t, &h));
	assert_int_equal(g.out[0].offload.gso_size, 1200);
	assert_true(packet_sound_partial(g.out[0].bytes, g.out[0].n));
	t = packet_make(&packet, &s);
	t.len = 30;
	assert_false(taken(&t, &h));
}

/* A tunnel of others, whose device or whose NIC has left the cutting of what is in it to us: as packets, out
 * of a link and sealed. */
static void test_in_tunnels(void **state)
{
	(void)state;
	for (int k = 0; k < IN_COUNT * 16; k++) {
		bool v6 = k & 1, inner6 = k & 2, tcp = k & 4, tunnel = k & 8, told = k % 3;
		enum packet_tunnel how = (enum packet_tunnel)(k >> 4);
		bool udp_tunnel = how == IN_VXLAN || how == IN_VXLAN_NO_SUM;
		struct packet_spec outer = { .src = hosts[v6],
			.dst = tunnel ? far[v6] : outside[v6],
			.src_port = (uint16_t)(50000 + k),
			.dst_port = 4789 };
		struct packet_spec inner = { .src = inner6 ? "fd00:5::1" : "172.16.0.1",
			.dst = inner6 ? "fd00:5::2" : "172.16.0.2",
			.proto = tcp ? IP_TCP : IP_UDP,
			.flags = TCP_ACK,
			.payload_n = 10000,
			.partial = true };
		struct train t = packet_in(&packet, how, outer, &inner);
		struct virtio_net_hdr h = { .gso_type = !tcp	 ? VIRTIO_NET_HDR_GSO_UDP_L4
							: inner6 ? VIRTIO_NET_HDR_GSO_TCPV6
								 : VIRTIO_NET_HDR_GSO_TCPV4,
			.gso_size = 1200 };
		const uint8_t *innermost;

		if (told || udp_tunnel)
			h = (struct virtio_net_hdr){ .flags = VIRTIO_NET_HDR_F_NEEDS_CSUM,
				.gso_type = h.gso_type,
				.gso_size = 1200,
				.csum_start = (uint16_t)(ETHERNET_SIZE + t.inner_l4),
				.csum_offset = tcp ? TCP_CSUM : UDP_CSUM };
		assert_true(taken(&t, &h));
		assert_int_equal(g.out_n, (10000 + 1199) / 1200);
		for (uint32_t i = 0; i < g.out_n && !tunnel; i++) {
			assert_int_equal(g.out[i].offload.gso_size, 0);
			assert_int_equal(g.out[i].offload.flags & VIRTIO_NET_HDR_F_NEEDS_CSUM, 0);
			assert_true(packet_sound_inside(g.out[i].bytes, g.out[i].n, &innermost));
			assert_int_equal(innermost - g.out[i].bytes, t.inner_l4 - (inner6 ? 40 : 20));
		}
		/* the header must say what is there */
		h.gso_type = tcp ? VIRTIO_NET_HDR_GSO_UDP_L4 : VIRTIO_NET_HDR_GSO_TCPV4;
		t = packet_in(&packet, how, outer, &inner);
		assert_false(taken(&t, &h));
	}
}

/* What is larger than the way: cut in pieces of its own where it may be, else its sender is told. */
static void test_in_tunnels_too_large(void **state)
{
	struct packet_spec outer = { .src = hosts[0], .dst = outside[0] };
	struct packet_spec inner = { .src = "172.16.0.1",
		.dst = "172.16.0.2",
		.proto = IP_TCP,
		.flags = TCP_ACK,
		.payload_n = 10000,
		.partial = true };
	struct virtio_net_hdr h = { .gso_type = VIRTIO_NET_HDR_GSO_TCPV4, .gso_size = 1440 };

	(void)state;
	struct train t = packet_in(&packet, IN_GRE, outer, &inner);
	assert_true(taken(&t, &h));
	assert_int_equal(g.out_n, 7 + 6); /* all but the last in two fragments */
	for (uint32_t i = 0; i < g.out_n; i++)
		assert_true(g.out[i].n <= 1500 && plain_checksum(0, g.out[i].bytes, 20) == 0);
	t = packet_in(&packet, IN_GRE, outer, &inner);
	store_be16(t.ip + 6, IP4_DF);
	store_be16(t.ip + 10, 0);
	store_be16(t.ip + 10, plain_checksum(0, t.ip, 20));
	pipeline_train_from_link(&g.p, &t, gate_interface(&g, GATE_LAN));
	assert_true(pipeline_train_offloads(&t, &h, ETHERNET_SIZE));
	gate_clear(&g);
	pipeline_burst(&g.p, &t, 1, g.now);
	assert_int_equal(t.drop, DROP_TOO_BIG);
	assert_int_equal(g.out_n, 1);
	assert_int_equal(load_be16(g.out[0].bytes + 26), 1500);
}

#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = { T(test_vector), T(test_sctp), T(test_joined_by_a_nic),
		T(test_in_tunnels), T(test_in_tunnels_too_large) };

	return cmocka_run_group_tests_name("dataplane/offloads", tests, NULL, NULL);
}
