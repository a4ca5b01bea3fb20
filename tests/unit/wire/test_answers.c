/* ICMP errors, resets and fragments that we make: right by a plain recomputation, and none where the RFCs
 * forbid one. */
#include "packets.h"
#include "wire/fragment.h"
#include "wire/icmp_make.h"
#include "wire/quoted.h"

#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>

static struct packet room;

static struct train parsed(const struct packet_spec *s)
{
	struct train t = packet_make(&room, s);

	assert_int_equal(train_parse(&t), DROP_NONE);
	return t;
}

static const struct packet_spec udp4 = { .src = "10.0.0.2",
	.dst = "203.0.113.9",
	.proto = IP_UDP,
	.src_port = 1000,
	.dst_port = 53,
	.payload_n = 1400 };
static const struct packet_spec udp6 = { .src = "2001:db8::2",
	.dst = "2001:db8:1::9",
	.proto = IP_UDP,
	.src_port = 1000,
	.dst_port = 53,
	.payload_n = 1400 };

static const struct {
	enum icmp_answer what;
	uint8_t type4, code4, type6, code6;
} answers[] = {
	{ ICMP_ANSWER_TTL, 11, 0, 3, 0 },
	{ ICMP_ANSWER_TOO_BIG, 3, 4, 2, 0 },
	{ ICMP_ANSWER_NO_ROUTE, 3, 0, 1, 0 },
	{ ICMP_ANSWER_PROHIBITED, 3, 13, 1, 1 },
	{ ICMP_ANSWER_HOST, 3, 1, 1, 3 },
	{ ICMP_ANSWER_REASSEMBLY, 11, 1, 3, 1 },
};

static void check_answer(const struct packet_spec *s, size_t i, const char *from_text)
{
	struct train t = parsed(s);
	uint8_t made[ICMP_MADE_MAX];
	struct ip_addr from;
	struct quoted q;

	assert_int_equal(addr_parse(&from, from_text), RC_OK);
	size_t n = icmp_make(made, &t, answers[i].what, 1300, &from);
	bool v4 = from.family == ADDR_V4;
	assert_true(n > 0 && n <= (v4 ? 576 : 1280));
	assert_true(packet_sound(made, n));
	struct train a = { .ip = made, .len = (uint32_t)n };
	assert_int_equal(train_parse(&a), DROP_NONE);
	assert_true(a.flags & TRAIN_ICMP_ERROR);
	assert_int_equal(a.icmp_type, v4 ? answers[i].type4 : answers[i].type6);
	assert_int_equal(a.icmp_code, v4 ? answers[i].code4 : answers[i].code6);
	assert_true(addr_equal(&a.src, &from));
	assert_true(addr_equal(&a.dst, &t.src));
	if (answers[i].what == ICMP_ANSWER_TOO_BIG)
		assert_int_equal(load_be32(made + a.l4_offset + 4), 1300);
	assert_true(quoted_parse(&q, made + a.payload_offset, n - a.payload_offset));
	assert_true(addr_equal(&q.src, &t.src));
	assert_int_equal(q.dst_port, 53);
}

static void test_errors(void **state)
{
	(void)state;
	for (size_t i = 0; i < COUNT_OF(answers); i++) {
		check_answer(&udp4, i, "10.0.0.1");
		check_answer(&udp6, i, "2001:db8::1");
	}
}

static void test_no_errors(void **state)
{
	uint8_t made[ICMP_MADE_MAX];
	struct ip_addr from;
	struct packet_spec s = { .src = "10.0.0.2",
		.dst = "203.0.113.9",
		.proto = IP_ICMP,
		.icmp_type = ICMP4_UNREACHABLE,
		.payload_n = 30 };

	(void)state;
	assert_int_equal(addr_parse(&from, "10.0.0.1"), RC_OK);
	struct train t = parsed(&s);
	assert_int_equal(icmp_make(made, &t, ICMP_ANSWER_TTL, 0, &from), 0); /* about an error */
	s.icmp_type = ICMP4_ECHO;
	t = parsed(&s);
	assert_true(icmp_make(made, &t, ICMP_ANSWER_TTL, 0, &from) > 0);
	t.flags |= TRAIN_FRAGMENT;
	assert_int_equal(icmp_make(made, &t, ICMP_ANSWER_TTL, 0, &from), 0);
	t.flags |= TRAIN_FIRST_FRAGMENT;
	assert_true(icmp_make(made, &t, ICMP_ANSWER_TTL, 0, &from) > 0);
	t.flags = 0;
	t.dst.b[0] = 224; /* to a group */
	assert_int_equal(icmp_make(made, &t, ICMP_ANSWER_TTL, 0, &from), 0);
	t = parsed(&udp6);
	assert_int_equal(icmp_make(made, &t, ICMP_ANSWER_TTL, 0, &from), 0); /* the other family */
}

/* RFC 9293 section 3.10.7.1 */
static void test_resets(void **state)
{
	uint8_t made[ICMP_MADE_MAX];
	struct packet_spec s = { .src = "10.0.0.2",
		.dst = "203.0.113.9",
		.proto = IP_TCP,
		.src_port = 1000,
		.dst_port = 80,
		.flags = TCP_SYN,
		.seq = 0xffffffff,
		.payload_n = 5 };

	(void)state;
	struct train t = parsed(&s);
	size_t n = tcp_reset_make(made, &t);
	assert_int_equal(n, 40);
	assert_true(packet_sound(made, n));
	assert_int_equal(made[33], TCP_RST | TCP_ACK);
	assert_int_equal(load_be32(made + 24), 0);
	assert_int_equal(load_be32(made + 28), 5); /* ffffffff + SYN + 5 */
	assert_int_equal(load_be16(made + 20), 80);

	s.flags = TCP_ACK;
	s.ack = 777;
	t = parsed(&s);
	n = tcp_reset_make(made, &t);
	assert_int_equal(made[33], TCP_RST);
	assert_int_equal(load_be32(made + 24), 777);
	s.flags = TCP_RST;
	t = parsed(&s);
	assert_int_equal(tcp_reset_make(made, &t), 0);
	t = parsed(&udp4);
	assert_int_equal(tcp_reset_make(made, &t), 0);
}

/* Fragments hold the whole payload, in steps of eight, none above the MTU. */
static void check_cut(const struct packet_spec *s, uint32_t mtu, bool hop_by_hop)
{
	static uint8_t whole[TRAIN_BYTES_MAX];
	static uint8_t out[TRAIN_BYTES_MAX];
	struct train t = parsed(s);
	bool v4 = t.src.family == ADDR_V4;

	if (hop_by_hop) { /* push the payload back and put an option header in front of it */
		memmove(t.ip + 48, t.ip + 40, t.len - 40);
		const uint8_t options[8] = { t.ip[6], 0, 1, 4, 0, 0, 0, 0 };
		memcpy(t.ip + 40, options, 8);
		t.ip[6] = IP6_HOP_BY_HOP;
		t.len += 8;
		store_be16(t.ip + 4, (uint16_t)(t.len - 40));
		assert_int_equal(train_parse(&t), DROP_NONE);
	}
	uint32_t fixed = v4 ? 20 : hop_by_hop ? 48 : 40, at = 0;
	size_t n;
	for (uint32_t i = 0; (n = fragment_cut(out, &t, mtu, i, 0xabcdef01)) > 0; i++) {
		assert_true(n <= mtu);
		struct train f = { .ip = out, .len = (uint32_t)n };
		assert_int_equal(train_parse(&f), DROP_NONE);
		assert_true(f.flags & TRAIN_FRAGMENT);
		assert_int_equal(f.len, n);
		uint32_t offset =
			v4 ? 8u * (load_be16(out + 6) & 0x1fff) : load_be16(out + f.l4_offset - 6) & 0xfff8u;
		assert_int_equal(offset, at);
		assert_int_equal(!!(f.flags & TRAIN_FIRST_FRAGMENT), i == 0);
		memcpy(whole + at, out + f.l4_offset, n - f.l4_offset);
		at += (uint32_t)n - f.l4_offset;
		assert_int_equal(!!(f.flags & TRAIN_MORE_FRAGMENTS), at < t.len - fixed);
		assert_int_equal(f.proto, s->proto);
	}
	assert_int_equal(at, t.len - fixed);
	assert_memory_equal(whole, t.ip + fixed, at);
}

static void test_fragments(void **state)
{
	struct packet_spec big4 = udp4, big6 = udp6;

	(void)state;
	for (size_t n = 1300; n < 4000; n += 111) {
		big4.payload_n = big6.payload_n = n;
		check_cut(&big4, 576, false);
		check_cut(&big4, 1283, false);
		check_cut(&big6, 1280, false);
		check_cut(&big6, 1280, true);
	}
	big4.payload_n = 65507;
	check_cut(&big4, 1500, false);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_errors),
		cmocka_unit_test(test_no_errors),
		cmocka_unit_test(test_resets),
		cmocka_unit_test(test_fragments),
	};
	return cmocka_run_group_tests_name("wire/answers", tests, NULL, NULL);
}
