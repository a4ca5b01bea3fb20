/* train_parse(): vectors, every truncation of them, checksums against a plain loop. */
#include "packets.h"
#include "wire/csum.h"
#include "wire/quoted.h"

#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>
#include <stdlib.h>

/* IPv4 headers here carry checksum ffff: the test fills the right one in unless `keep`. */
static const struct {
	const char *name, *hex;
	enum drop_reason want;
	bool keep;
} vectors[] = {
	{ "UDP over IPv4", "4500001c00010000401100000a0000020a0100020400003500080000", DROP_NONE, false },
	{ "TCP SYN over IPv4",
		"4500002800010000400600000a0000020a010002040000500000000100000000500200ff00000000", DROP_NONE,
		false },
	{ "ICMP echo", "4500001c00010000400100000a0000020a0100020800f7ff00010000", DROP_NONE, false },
	{ "link padding behind the datagram",
		"4500001c00010000401100000a0000020a01000204000035000800000000000000", DROP_NONE, false },
	{ "wrong header checksum", "4500001c00010000401112340a0000020a0100020400003500080000",
		DROP_IP_CHECKSUM, true },
	{ "version 5", "5500001c00010000401100000a0000020a0100020400003500080000", DROP_MALFORMED, true },
	{ "header length 4 words", "4400001c00010000401100000a0000020a0100020400003500080000", DROP_MALFORMED,
		true },
	{ "total length below the header", "4500001300010000401100000a0000020a0100020400003500080000",
		DROP_MALFORMED, true },
	{ "UDP length below its header", "4500001c00010000401100000a0000020a0100020400003500070000",
		DROP_MALFORMED, false },
	{ "UDP length beyond the datagram", "4500001c00010000401100000a0000020a0100020400003500090000",
		DROP_MALFORMED, false },
	{ "TCP header length 4 words",
		"4500002800010000400600000a0000020a010002040000500000000100000000400200ff00000000",
		DROP_MALFORMED, false },
	{ "no TCP flags", "4500002800010000400600000a0000020a010002040000500000000100000000500000ff00000000",
		DROP_TCP_FLAGS, false },
	{ "SYN and FIN", "4500002800010000400600000a0000020a010002040000500000000100000000500300ff00000000",
		DROP_TCP_FLAGS, false },
	{ "FIN without ACK",
		"4500002800010000400600000a0000020a010002040000500000000100000000500100ff00000000",
		DROP_TCP_FLAGS, false },
	{ "SYN and RST", "4500002800010000400600000a0000020a010002040000500000000100000000500600ff00000000",
		DROP_TCP_FLAGS, false },
	{ "land", "4500001c00010000401100000a0000020a0000020400003500080000", DROP_LAND, false },
	{ "from loopback", "4500001c00010000401100007f0000010a0100020400003500080000", DROP_MARTIAN_SOURCE,
		false },
	{ "from multicast", "4500001c0001000040110000e00000010a0100020400003500080000", DROP_MARTIAN_SOURCE,
		false },
	{ "from nowhere", "4500001c0001000040110000000000000a0100020400003500080000", DROP_MARTIAN_SOURCE,
		false },
	{ "to multicast", "4500001c00010000401100000a000002e00000050400003500080000", DROP_MULTICAST, false },
	{ "to broadcast", "4500001c00010000401100000a000002ffffffff0400003500080000", DROP_MULTICAST, false },
	{ "to loopback", "4500001c00010000401100000a0000027f0000010400003500080000", DROP_MARTIAN_DESTINATION,
		false },
	{ "to class E", "4500001c00010000401100000a000002f00000010400003500080000", DROP_MARTIAN_DESTINATION,
		false },
	{ "router alert", "4600002000010000401100000a0000020a010002940400000400003500080000", DROP_NONE,
		false },
	{ "loose source route", "4600002000010000401100000a0000020a010002830304000400003500080000",
		DROP_SOURCE_ROUTE, false },
	{ "record route", "4600002000010000401100000a0000020a010002070304000400003500080000", DROP_IP_OPTIONS,
		false },
	{ "option without end", "4600002000010000401100000a0000020a010002940900000400003500080000",
		DROP_MALFORMED, false },
	{ "option of length 1", "4600002000010000401100000a0000020a010002940100000400003500080000",
		DROP_MALFORMED, false },
	{ "another protocol", "4500001800010000402f00000a0000020a010002deadbeef", DROP_NONE, false },
	{ "ICMPv6 over IPv4", "4500001c00010000403a00000a0000020a0100028000f7ff00010000", DROP_MALFORMED,
		false },
	{ "first fragment", "4500001c00012000401100000a0000020a0100020400003500080000", DROP_NONE, false },
	{ "UDP over IPv6",
		"600000000008114020010db800000000000000000000000120010db8000000000000000000000002040000350008"
		"0000",
		DROP_NONE, true },
	{ "hop-by-hop and destination options in front of UDP",
		"600000000018004020010db800000000000000000000000120010db8000000000000000000000002"
		"3c000104000000001100010400000000"
		"0400003500080000",
		DROP_NONE, true },
	{ "hop-by-hop in the second place",
		"6000000000183c4020010db800000000000000000000000120010db8000000000000000000000002"
		"00000104000000001100010400000000"
		"0400003500080000",
		DROP_MALFORMED, true },
	{ "routing header type 0",
		"6000000000102b4020010db800000000000000000000000120010db8000000000000000000000002"
		"1100000000000000"
		"0400003500080000",
		DROP_SOURCE_ROUTE, true },
	{ "routing header type 2",
		"6000000000102b4020010db800000000000000000000000120010db8000000000000000000000002"
		"1100020000000000"
		"0400003500080000",
		DROP_IP_OPTIONS, true },
	{ "atomic fragment",
		"6000000000102c4020010db800000000000000000000000120010db8000000000000000000000002"
		"1100000000000001"
		"0400003500080000",
		DROP_NONE, true },
	{ "IPv6 fragment",
		"6000000000102c4020010db800000000000000000000000120010db8000000000000000000000002"
		"1100000100000001"
		"0400003500080000",
		DROP_NONE, true },
	{ "to IPv6 multicast",
		"6000000000081140fe800000000000000000000000000001ff020000000000000000000000000001040000350008"
		"0000",
		DROP_MULTICAST, true },
	{ "from ::1",
		"600000000008114000000000000000000000000000000001"
		"20010db80000000000000000000000020400003500080000",
		DROP_MARTIAN_SOURCE, true },
	{ "jumbogram",
		"600000000000114020010db800000000000000000000000120010db8000000000000000000000002040000350008"
		"0000",
		DROP_MALFORMED, true },
	{ "ICMP over IPv6",
		"600000000008014020010db800000000000000000000000120010db80000000000000000000000020800f7ff0001"
		"0000",
		DROP_MALFORMED, true },
};

/* On the heap at its exact size, so that the sanitizer sees an octet read too many. */
static enum drop_reason parse_copy(const uint8_t *bytes, size_t n, struct train *ret_train)
{
	uint8_t *copy = malloc(n ? n : 1);

	assert_non_null(copy);
	memcpy(copy, bytes, n);
	*ret_train = (struct train){ .ip = copy, .len = (uint32_t)n };
	enum drop_reason d = train_parse(ret_train);
	assert_int_equal(d, ret_train->drop);
	free(copy);
	return d;
}

static size_t vector_bytes(size_t i, uint8_t *ret_bytes)
{
	size_t n = strlen(vectors[i].hex) / 2;

	assert_true(hex_to_bytes(ret_bytes, n, vectors[i].hex));
	if (!vectors[i].keep) {
		size_t head = 4u * (ret_bytes[0] & 15);
		store_be16(ret_bytes + 10, 0);
		store_be16(ret_bytes + 10, plain_checksum(0, ret_bytes, head));
	}
	return n;
}

static void test_vectors(void **state)
{
	uint8_t bytes[256];
	struct train t;

	(void)state;
	for (size_t i = 0; i < COUNT_OF(vectors); i++) {
		size_t n = vector_bytes(i, bytes);
		enum drop_reason d = parse_copy(bytes, n, &t);
		if (d != vectors[i].want)
			fail_msg("%s: %s, not %s", vectors[i].name, drop_name(d), drop_name(vectors[i].want));
	}
}

static void test_truncations(void **state)
{
	uint8_t bytes[256];
	struct train t;

	(void)state;
	for (size_t i = 0; i < COUNT_OF(vectors); i++) {
		size_t n = vector_bytes(i, bytes);
		/* Padding may be cut off; nothing that the header counts. */
		size_t whole = n;
		if (bytes[0] >> 4 == 4 && load_be16(bytes + 2) < n && load_be16(bytes + 2) >= 20)
			whole = load_be16(bytes + 2);
		for (size_t cut = 0; cut < whole; cut++)
			if (parse_copy(bytes, cut, &t) == DROP_NONE)
				fail_msg("%s: passes with %zu of %zu octets", vectors[i].name, cut, n);
	}
}

static void test_fields(void **state)
{
	static struct packet p;
	struct packet_spec s = { .src = "10.0.0.2",
		.dst = "10.1.0.2",
		.proto = IP_TCP,
		.src_port = 1024,
		.dst_port = 80,
		.flags = TCP_SYN,
		.payload_n = 10,
		.hops = 9 };
	struct train t = packet_make(&p, &s);

	(void)state;
	assert_int_equal(train_parse(&t), DROP_NONE);
	assert_int_equal(t.src_port, 1024);
	assert_int_equal(t.dst_port, 80);
	assert_int_equal(t.l4_offset, 20);
	assert_int_equal(t.payload_offset, 40);
	assert_int_equal(t.hop_limit, 9);
	assert_int_equal(t.tcp_flags, TCP_SYN);
	assert_false(t.dont_fragment);

	s = (struct packet_spec){ .src = "2001:db8::1",
		.dst = "2001:db8:1::1",
		.proto = IP_ICMPV6,
		.icmp_type = ICMP6_ECHO,
		.src_port = 77,
		.payload_n = 8 };
	t = packet_make(&p, &s);
	assert_int_equal(train_parse(&t), DROP_NONE);
	assert_int_equal(t.src_port, 77);
	assert_int_equal(t.dst_port, 77);
	assert_true(t.dont_fragment);
	assert_false(t.flags & TRAIN_ICMP_ERROR);
	s.icmp_type = ICMP6_TOO_BIG;
	t = packet_make(&p, &s);
	assert_int_equal(train_parse(&t), DROP_NONE);
	assert_true(t.flags & TRAIN_ICMP_ERROR);
	assert_int_equal(t.src_port, 0);
}

static void test_fragment_flags(void **state)
{
	static const struct {
		uint16_t field;
		uint32_t flags;
	} cases[] = {
		{ 0x4000, 0 },
		{ 0x2000, TRAIN_FRAGMENT | TRAIN_FIRST_FRAGMENT | TRAIN_MORE_FRAGMENTS },
		{ 0x2001, TRAIN_FRAGMENT | TRAIN_MORE_FRAGMENTS },
		{ 0x0001, TRAIN_FRAGMENT },
	};
	static struct packet p;
	struct packet_spec s = {
		.src = "10.0.0.2", .dst = "10.1.0.2", .proto = IP_UDP, .src_port = 9, .dst_port = 9
	};

	(void)state;
	for (size_t i = 0; i < COUNT_OF(cases); i++) {
		struct train t = packet_make(&p, &s);
		store_be16(t.ip + 6, cases[i].field);
		store_be16(t.ip + 10, 0);
		store_be16(t.ip + 10, plain_checksum(0, t.ip, 20));
		assert_int_equal(train_parse(&t), DROP_NONE);
		assert_int_equal(t.flags, cases[i].flags);
		assert_int_equal(t.src_port, cases[i].flags ? 0 : 9);
	}
}

/* The fast sum equals the plain one for all lengths and random octets. */
static void test_sum(void **state)
{
	uint8_t bytes[1600];
	uint64_t seed = 1;

	(void)state;
	for (size_t n = 0; n < sizeof bytes; n++) {
		for (size_t i = 0; i < n; i++)
			bytes[i] = n % 3 ? (uint8_t)next_random(&seed) : 0xff;
		uint16_t fast = (uint16_t)~csum_fold(csum_add(0, bytes, n));
		assert_int_equal(__builtin_bswap16(fast), plain_checksum(0, bytes, n));
	}
}

/* The largest packet of the largest octets: no lane of the sum may overflow. */
static void test_sum_largest(void **state)
{
	static uint8_t bytes[65535];

	(void)state;
	memset(bytes, 0xff, sizeof bytes);
	for (size_t n = sizeof bytes; n > 65400; n--) {
		uint16_t fast = (uint16_t)~csum_fold(csum_add(0xffffffff, bytes, n));
		assert_int_equal(__builtin_bswap16(fast), plain_checksum(0xffff, bytes, n));
	}
}

static void test_update(void **state)
{
	uint64_t seed = 2;

	(void)state;
	for (int round = 0; round < 20000; round++) {
		uint8_t data[40], is[16];
		for (size_t i = 0; i < sizeof data; i++)
			data[i] =
				round % 5 ? (uint8_t)next_random(&seed) : (uint8_t)-(next_random(&seed) & 1);
		size_t n = 2 * (1 + next_random(&seed) % 8), at = 2 + 2 * (next_random(&seed) % 10);
		for (size_t i = 0; i < n; i++)
			is[i] = round % 7 ? (uint8_t)next_random(&seed) : (uint8_t)-(next_random(&seed) & 1);
		store_be16(data, 0);
		store_be16(data, plain_checksum(0, data, sizeof data));
		csum_update(data, data + at, is, n);
		memcpy(data + at, is, n);
		assert_int_equal(plain_checksum(0, data, sizeof data), 0);
	}
}

static void test_verify_and_complete(void **state)
{
	static const struct {
		uint8_t proto, type;
		const char *src, *dst;
	} cases[] = {
		{ IP_TCP, 0, "10.0.0.2", "10.1.0.2" },
		{ IP_UDP, 0, "10.0.0.2", "10.1.0.2" },
		{ IP_ICMP, ICMP4_ECHO, "10.0.0.2", "10.1.0.2" },
		{ IP_TCP, 0, "2001:db8::2", "2001:db8:1::2" },
		{ IP_UDP, 0, "2001:db8::2", "2001:db8:1::2" },
		{ IP_ICMPV6, ICMP6_ECHO, "2001:db8::2", "2001:db8:1::2" },
	};
	static struct packet p;

	(void)state;
	for (size_t i = 0; i < COUNT_OF(cases); i++)
		for (size_t n = 0; n < 70; n++) {
			struct packet_spec s = { .src = cases[i].src,
				.dst = cases[i].dst,
				.proto = cases[i].proto,
				.icmp_type = cases[i].type,
				.src_port = 5,
				.dst_port = 6,
				.flags = TCP_SYN,
				.payload_n = n };
			struct train t = packet_make(&p, &s);
			t.csum = TRAIN_CSUM_UNKNOWN;
			assert_int_equal(train_parse(&t), DROP_NONE);
			assert_int_equal(train_verify_l4(&t), DROP_NONE);
			assert_int_equal(t.csum, TRAIN_CSUM_VALID);
			t.ip[t.l4_offset] ^= 1;
			t.csum = TRAIN_CSUM_UNKNOWN;
			assert_int_equal(train_verify_l4(&t), DROP_L4_CHECKSUM);
			s.partial = true;
			t = packet_make(&p, &s);
			assert_int_equal(train_parse(&t), DROP_NONE);
			if (s.proto != IP_ICMP)
				assert_true(packet_sound_partial(t.ip, t.len));
			train_complete_l4(&t);
			assert_true(packet_sound(t.ip, t.len));
		}
}

static void test_quoted_truncations(void **state)
{
	static struct packet p;
	struct packet_spec s = { .src = "10.0.0.2",
		.dst = "10.1.0.2",
		.proto = IP_TCP,
		.src_port = 5,
		.dst_port = 6,
		.flags = TCP_ACK,
		.seq = 77,
		.payload_n = 20 };
	struct train t = packet_make(&p, &s);
	struct quoted q;

	(void)state;
	for (size_t n = 0; n <= t.len; n++) {
		uint8_t *copy = malloc(n ? n : 1);
		memcpy(copy, t.ip, n);
		assert_int_equal(quoted_parse(&q, copy, n), n >= 28); /* the eight octets of RFC 792 */
		free(copy);
		if (n >= 28) {
			assert_int_equal(q.src_port, 5);
			assert_int_equal(q.tcp_seq, 77);
			assert_int_equal(q.csum_offset, n >= 38 ? 36 : 0);
		}
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_vectors),
		cmocka_unit_test(test_truncations),
		cmocka_unit_test(test_fields),
		cmocka_unit_test(test_fragment_flags),
		cmocka_unit_test(test_sum),
		cmocka_unit_test(test_sum_largest),
		cmocka_unit_test(test_update),
		cmocka_unit_test(test_verify_and_complete),
		cmocka_unit_test(test_quoted_truncations),
	};
	return cmocka_run_group_tests_name("wire/parse", tests, NULL, NULL);
}
