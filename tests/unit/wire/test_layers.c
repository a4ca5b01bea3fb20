/*
 * Trains in tunnels of others: each packet that is cut out of one is what its sender would have made had it
 * cut there, through all headers; what is no such train is not taken for one.
 */
#include "packets.h"
#include "wire/segment.h"

#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>

static struct packet room, alone;
static uint8_t payload[60000], was[TRAIN_BYTES_MAX];
static uint64_t seed;

static const char *const src[] = { "10.1.0.2", "2001:db8:1::2" },
			 *const dst[] = { "192.0.2.80", "2001:db8:99::9" },
			 *const src_inside[] = { "172.16.0.1", "fd00:5::1" },
			 *const dst_inside[] = { "172.16.0.2", "fd00:5::2" };

static uint32_t draw(uint32_t below)
{
	return next_random(&seed) % below;
}

static struct packet_spec outer_of(bool v6)
{
	return (struct packet_spec){ .src = src[v6], .dst = dst[v6], .src_port = 50000, .dst_port = 4789 };
}

static struct packet_spec inner_of(bool v6, bool tcp, uint32_t n)
{
	static const uint8_t options[12] = { 1, 1, 8, 10, 0, 0, 0, 1, 0, 0, 0, 2 };

	return (struct packet_spec){ .src = src_inside[v6],
		.dst = dst_inside[v6],
		.proto = tcp ? IP_TCP : IP_UDP,
		.src_port = 4000,
		.dst_port = 80,
		.flags = TCP_ACK | TCP_PSH | TCP_CWR,
		.seq = 0xfffff000,
		.ack = 1,
		.options = options,
		.options_n = draw(2) ? sizeof options : 0,
		.payload = payload,
		.payload_n = n,
		.partial = true };
}

/* Each packet of the train against the one that its sender would have made. */
static void cut(enum packet_tunnel how, bool outer6, bool inner6, bool tcp)
{
	uint32_t size = draw(4) ? 100 + draw(1300) : 1 + draw(40),
		 packets = 1 + draw(MIN_OF(60000 / size, 60u)), done = 0;
	struct packet_spec outer = outer_of(outer6),
			   inner = inner_of(inner6, tcp, (packets - 1) * size + 1 + draw(size));
	struct train t = packet_in(&room, how, outer, &inner);
	struct segment_cutter c;
	const uint8_t *ip;
	uint32_t n, total = (uint32_t)inner.payload_n;

	t.segment_size = (uint16_t)size;
	assert_string_equal(drop_name(train_parse(&t)), drop_name(DROP_NONE));
	assert_int_equal(train_packets(&t), packets);
	assert_int_equal(t.len - t.payload_offset, total);
	assert_true(segment_cut_begin(&c, &t, 0));
	inner.partial = false;
	for (uint32_t i = 0; i < packets; i++) {
		const uint8_t *innermost;
		inner.payload = payload + done;
		inner.payload_n = MIN_OF(size, total - done);
		inner.number = outer.number = (uint16_t)i;
		inner.flags = (uint8_t)(TCP_ACK | (i == 0 ? TCP_CWR : 0) | (i + 1 == packets ? TCP_PSH : 0));
		struct train one = packet_in(&alone, how, outer, &inner);
		assert_non_null(ip = segment_cut_next(&c, &n));
		assert_int_equal(n, one.len);
		assert_true(packet_sound_inside(ip, n, &innermost));
		assert_memory_equal(ip, one.ip, n);
		inner.seq += (uint32_t)inner.payload_n;
		done += (uint32_t)inner.payload_n;
	}
	assert_null(segment_cut_next(&c, &n));
}

static void as_their_sender_would(void **state)
{
	for (uint32_t i = 0; i < sizeof payload; i++)
		payload[i] = (uint8_t)next_random(&seed);
	for (seed = 1; seed <= 40; seed++)
		for (int how = 0; how < IN_COUNT; how++)
			for (int bits = 0; bits < 8; bits++) {
				uint64_t kept = seed;
				seed = seed * 1000 + (uint64_t)how * 8 + (uint64_t)bits;
				cut((enum packet_tunnel)how, bits & 1, bits & 2, bits & 4);
				seed = kept;
			}
}

/* Every header octet changed by turns: read as before, refused, or at least nothing beyond the packet. */
static void nothing_else_is_taken(void **state)
{
	struct segment_layers l;

	for (int how = 0; how < IN_COUNT; how++)
		for (int bits = 0; bits < 8; bits++) {
			struct packet_spec inner = inner_of(bits & 2, bits & 4, 3000);
			struct train t =
				packet_in(&room, (enum packet_tunnel)how, outer_of(bits & 1), &inner);
			bool udp_tunnel = how == IN_VXLAN || how == IN_VXLAN_NO_SUM;
			assert_true(segment_layers_read(&l, t.ip, t.len, t.inner_l4));
			assert_int_equal(l.l4_offset, t.inner_l4);
			/* Where nobody says where to cut, a tunnel in UDP is a datagram like any other. */
			assert_true(segment_layers_read(&l, t.ip, t.len, 0));
			assert_int_equal(l.l4_offset == t.inner_l4, !udp_tunnel);
			for (uint32_t l4 = 1; l4 < 200; l4++)
				if (l4 != t.inner_l4)
					assert_true(!segment_layers_read(&l, t.ip, t.len, l4) || udp_tunnel);
			for (uint32_t n = 0; n < t.len; n += n < 200 ? 1 : 97)
				assert_false(segment_layers_read(&l, t.ip, n, t.inner_l4));
			assert_false(segment_layers_read(
				&l, t.ip, t.len + 1, t.inner_l4)); /* padding is no payload */
			memcpy(was, t.ip, t.len);
			for (uint32_t at = 0; at < t.inner_l4 + 20u; at++)
				for (int bit = 0; bit < 8; bit++) {
					t.ip[at] ^= (uint8_t)(1 << bit);
					if (segment_layers_read(&l, t.ip, t.len, t.inner_l4))
						assert_true(l.n <= SEGMENT_LAYERS_MAX &&
							    l.l4_offset == t.inner_l4 &&
							    l.head_n <= SEGMENT_HEAD_MAX &&
							    l.layer[0].kind == SEGMENT_IP &&
							    l.layer[l.n - 1].kind == SEGMENT_IP);
					t.ip[at] ^= (uint8_t)(1 << bit);
				}
			assert_memory_equal(was, t.ip, t.len);
		}
}

/* A sequence number of GRE would have to be made up, and what is a fragment, within or without, is no train.
 */
static void what_cannot_be_cut(void **state)
{
	struct packet_spec inner = inner_of(false, true, 3000);
	struct segment_layers l;
	struct segment_cutter c;
	struct train t = packet_in(&room, IN_GRE, outer_of(false), &inner);

	t.ip[20] = 0x10;
	assert_false(segment_layers_read(&l, t.ip, t.len, t.inner_l4));
	for (uint32_t at = 0; at < 48; at += 24) {
		t = packet_in(&room, IN_GRE, outer_of(false), &inner);
		t.segment_size = 1000;
		store_be16(t.ip + at + 6, IP4_MF);
		store_be16(t.ip + at + 10, 0);
		store_be16(t.ip + at + 10, plain_checksum(0, t.ip + at, 20));
		assert_false(segment_layers_read(&l, t.ip, t.len, t.inner_l4));
		assert_int_equal(train_parse(&t), DROP_MALFORMED);
		assert_false(segment_cut_begin(&c, &t, 0));
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(as_their_sender_would),
		cmocka_unit_test(nothing_else_is_taken), cmocka_unit_test(what_cannot_be_cut) };

	return cmocka_run_group_tests_name("wire/layers", tests, NULL, NULL);
}
