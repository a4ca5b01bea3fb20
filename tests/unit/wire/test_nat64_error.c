/* NAT64 of ICMP errors: each type and code against a table of its own, and the packet that is quoted. */
#include "base/bytes.h"
#include "packets.h"
#include "wire/nat64.h"

#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>

#define HOST6	"2001:db8:1::7"
#define SERVER6 "2001:db8:64::c633:6409"
#define ROUTER6 "2001:db8:64::c000:201"
#define HOST4	"203.0.113.5"
#define SERVER4 "198.51.100.9"
#define ROUTER4 "192.0.2.1"

static struct packet room, inner, other;

static struct ip_addr addr(const char *text)
{
	struct ip_addr a;

	assert_int_equal(addr_parse(&a, text), RC_OK);
	return a;
}

/* What the host sent, as each side knows it. */
static struct packet_spec sent(bool v6, uint8_t proto)
{
	bool icmp = proto == IP_ICMP;

	return (struct packet_spec){ .src = v6 ? HOST6 : HOST4,
		.dst = v6 ? SERVER6 : SERVER4,
		.proto = icmp && v6 ? IP_ICMPV6 : proto,
		.src_port = v6 ? 1000 : 42000,
		.dst_port = icmp ? 0 : 80,
		.flags = TCP_ACK,
		.icmp_type = v6 ? ICMP6_ECHO : ICMP4_ECHO,
		.payload_n = 60 };
}

static struct nat64_ends ends(bool v6, uint8_t proto)
{
	struct packet_spec s = sent(v6, proto);

	return (struct nat64_ends){ addr(s.src), addr(s.dst), s.src_port,
		proto == IP_ICMP ? s.src_port : s.dst_port };
}

/* An error from a router about it, to the host. */
static struct train error(bool v6, uint8_t proto, uint8_t type, uint8_t code, uint32_t rest, uint32_t quote_n)
{
	struct packet_spec s = sent(v6, proto);
	struct train q = packet_make(&inner, &s);
	struct packet_spec e = { .src = v6 ? ROUTER6 : ROUTER4,
		.dst = v6 ? HOST6 : HOST4,
		.proto = v6 ? IP_ICMPV6 : IP_ICMP,
		.icmp_type = type,
		.icmp_code = code,
		.payload = q.ip,
		.payload_n = MIN_OF(quote_n, q.len) };
	struct train t = packet_make(&room, &e);

	assert_int_equal(train_parse(&t), DROP_NONE);
	uint8_t *icmp = t.ip + t.l4_offset;
	store_be32(icmp + 4, rest);
	t.csum = TRAIN_CSUM_PARTIAL;
	train_complete_l4(&t);
	assert_true(t.flags & TRAIN_ICMP_ERROR);
	return t;
}

static bool translated(struct train *t, bool to_v6, uint8_t proto)
{
	const struct nat64_ends to = { addr(to_v6 ? ROUTER6 : ROUTER4), addr(to_v6 ? HOST6 : HOST4), 0, 0 },
				quoted = ends(to_v6, proto);

	return nat64_translate_error(t, &to, &quoted);
}

/* RFC 7915 figures 3 and 6, sections 4.2 and 5.2; to_type 0xff: dropped. */
static const struct {
	bool v6;
	uint8_t type, code;
	uint32_t rest;
	uint8_t to_type, to_code;
	uint32_t to_rest;
} types[] = {
	{ false, 3, 0, 0, 1, 0, 0 },
	{ false, 3, 1, 0, 1, 0, 0 },
	{ false, 3, 2, 0, 4, 1, 6 },
	{ false, 3, 3, 0, 1, 4, 0 },
	{ false, 3, 4, 1400, 2, 0, 1420 },
	{ false, 3, 4, 600, 2, 0, 1280 },
	{ false, 3, 4, 0, 2, 0, 1280 },
	{ false, 3, 5, 0, 1, 0, 0 },
	{ false, 3, 6, 0, 1, 0, 0 },
	{ false, 3, 7, 0, 1, 0, 0 },
	{ false, 3, 8, 0, 1, 0, 0 },
	{ false, 3, 9, 0, 1, 1, 0 },
	{ false, 3, 10, 0, 1, 1, 0 },
	{ false, 3, 11, 0, 1, 0, 0 },
	{ false, 3, 12, 0, 1, 0, 0 },
	{ false, 3, 13, 0, 1, 1, 0 },
	{ false, 3, 14, 0, 0xff, 0, 0 },
	{ false, 3, 15, 0, 1, 1, 0 },
	{ false, 3, 16, 0, 0xff, 0, 0 },
	{ false, 11, 0, 0, 3, 0, 0 },
	{ false, 11, 1, 0, 3, 1, 0 },
	{ false, 11, 2, 0, 0xff, 0, 0 },
	{ false, 12, 0, 0u << 24, 4, 0, 0 },
	{ false, 12, 0, 1u << 24, 4, 0, 1 },
	{ false, 12, 0, 3u << 24, 4, 0, 4 },
	{ false, 12, 0, 5u << 24, 0xff, 0, 0 },
	{ false, 12, 0, 8u << 24, 4, 0, 7 },
	{ false, 12, 2, 9u << 24, 4, 0, 6 },
	{ false, 12, 0, 10u << 24, 0xff, 0, 0 },
	{ false, 12, 0, 15u << 24, 4, 0, 8 },
	{ false, 12, 0, 16u << 24, 4, 0, 24 },
	{ false, 12, 0, 20u << 24, 0xff, 0, 0 },
	{ false, 12, 1, 0, 0xff, 0, 0 },
	{ false, 4, 0, 0, 0xff, 0, 0 },
	{ false, 5, 0, 0, 0xff, 0, 0 },
	{ true, 1, 0, 0, 3, 1, 0 },
	{ true, 1, 1, 0, 3, 10, 0 },
	{ true, 1, 2, 0, 3, 1, 0 },
	{ true, 1, 3, 0, 3, 1, 0 },
	{ true, 1, 4, 0, 3, 3, 0 },
	{ true, 1, 5, 0, 0xff, 0, 0 },
	{ true, 2, 0, 1500, 3, 4, 1480 },
	{ true, 2, 0, 1280, 3, 4, 1260 },
	{ true, 2, 0, 70, 3, 4, 1260 },
	{ true, 2, 0, 0xffffffff, 3, 4, 65535 },
	{ true, 3, 0, 0, 11, 0, 0 },
	{ true, 3, 1, 0, 11, 1, 0 },
	{ true, 4, 0, 0, 12, 0, 0 },
	{ true, 4, 0, 1, 12, 0, 1u << 24 },
	{ true, 4, 0, 2, 0xff, 0, 0 },
	{ true, 4, 0, 5, 12, 0, 2u << 24 },
	{ true, 4, 0, 6, 12, 0, 9u << 24 },
	{ true, 4, 0, 7, 12, 0, 8u << 24 },
	{ true, 4, 0, 8, 12, 0, 12u << 24 },
	{ true, 4, 0, 23, 12, 0, 12u << 24 },
	{ true, 4, 0, 24, 12, 0, 16u << 24 },
	{ true, 4, 0, 39, 12, 0, 16u << 24 },
	{ true, 4, 0, 40, 0xff, 0, 0 },
	{ true, 4, 0, 0xffffffff, 0xff, 0, 0 },
	{ true, 4, 1, 6, 3, 2, 0 },
	{ true, 4, 2, 0, 0xff, 0, 0 },
	{ true, 100, 0, 0, 0xff, 0, 0 },
};

static void test_types(void **state)
{
	(void)state;
	for (size_t i = 0; i < COUNT_OF(types); i++) {
		struct train t =
			error(types[i].v6, IP_UDP, types[i].type, types[i].code, types[i].rest, 9999);
		struct train was = t;
		if (translated(&t, !types[i].v6, IP_UDP) != (types[i].to_type != 0xff))
			fail_msg("type %u code %u", types[i].type, types[i].code);
		if (types[i].to_type == 0xff) {
			assert_memory_equal(&t, &was, sizeof t);
			assert_true(packet_sound(t.ip, t.len));
			continue;
		}
		const uint8_t *icmp = t.ip + t.l4_offset;
		assert_int_equal(icmp[0], types[i].to_type);
		assert_int_equal(icmp[1], types[i].to_code);
		assert_int_equal(load_be32(icmp + 4), types[i].to_rest);
		assert_true(packet_sound(t.ip, t.len));
	}
}

/* RFC 1191: a router that states no MTU. */
static void test_plateau(void **state)
{
	struct train t = error(false, IP_UDP, 3, 4, 0, 9999);

	(void)state;
	store_be16(t.ip + t.payload_offset + 2, 9000);
	t.csum = TRAIN_CSUM_PARTIAL;
	train_complete_l4(&t);
	assert_true(translated(&t, true, IP_UDP));
	assert_int_equal(load_be32(t.ip + t.l4_offset + 4), 8166 + 20);
}

/* The quotation is the packet as its sender knows it, whole or cut off. */
static void test_quotations(void **state)
{
	static const uint8_t protos[] = { IP_TCP, IP_UDP, IP_ICMP };

	(void)state;
	for (uint32_t k = 0; k < 6; k++) {
		bool from6 = k & 1;
		uint8_t proto = protos[k / 2];
		uint32_t head = from6 ? 40 : 20, to_head = from6 ? 20 : 40;
		for (uint32_t n = 8; n < 140; n++) {
			if (proto == IP_TCP &&
				n == TCP_CSUM + 1) /* half of its checksum: nobody could tell */
				continue;
			struct train t = error(from6, proto, from6 ? 1 : 3, 1, 0, head + n);
			assert_true(translated(&t, !from6, proto));
			assert_true(packet_sound(t.ip, t.len));
			struct train again = { .ip = t.ip, .len = t.len, .csum = t.csum };
			assert_int_equal(train_parse(&again), DROP_NONE);
			assert_true(addr_equal(&again.src, &t.src) && addr_equal(&again.dst, &t.dst));
			assert_int_equal(again.payload_offset, t.payload_offset);
			assert_true(again.flags & TRAIN_ICMP_ERROR);
			struct packet_spec s = sent(!from6, proto);
			struct train want = packet_make(&other, &s);
			uint32_t quote_n = t.len - t.payload_offset;
			assert_int_equal(quote_n, MIN_OF(to_head + n, want.len));
			const uint8_t *quote = t.ip + t.payload_offset;
			assert_memory_equal(quote + to_head, want.ip + to_head, quote_n - to_head);
			assert_int_equal(
				load_be16(quote + (from6 ? 2 : 4)), load_be16(want.ip + (from6 ? 2 : 4)));
			assert_memory_equal(
				quote + (from6 ? 12 : 8), want.ip + (from6 ? 12 : 8), from6 ? 8 : 32);
		}
	}
}

/* Extensions are cut off, and what the quotation was padded to is kept. */
static void test_extensions(void **state)
{
	struct train t = error(false, IP_UDP, 11, 0, 18u << 16, 9999);

	(void)state;
	assert_true(translated(&t, true, IP_UDP));
	assert_int_equal(t.len, 40 + 8 + 40 + 72 - 20);
	assert_int_equal(load_be32(t.ip + t.l4_offset + 4), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_types),
		cmocka_unit_test(test_plateau),
		cmocka_unit_test(test_quotations),
		cmocka_unit_test(test_extensions),
	};
	return cmocka_run_group_tests_name("wire/nat64_error", tests, NULL, NULL);
}
