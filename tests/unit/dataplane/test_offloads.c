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
	h.gso_type = VIRTIO_NET_HDR_GSO_UDP_L4;
	assert_false(taken(&t, &h));
	t.len = 30;
	assert_false(taken(&t, &h));
}

#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = { T(test_vector), T(test_sctp), T(test_joined_by_a_nic) };

	return cmocka_run_group_tests_name("dataplane/offloads", tests, NULL, NULL);
}
