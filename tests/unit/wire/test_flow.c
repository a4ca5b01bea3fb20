/*
 * The hash of flows: against a slow one of the test's own, the same in both directions and for all that belongs to a
 * flow, even, and computed by the program for the kernel, which an interpreter runs here.
 */
#include "packets.h"
#include "wire/flow.h"
#include "wire/fragment.h"

#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>

static uint64_t seed = 1;
static struct packet rooms[3];

static uint32_t pick(uint32_t n)
{
	return next_random(&seed) % n;
}

static struct flow_key key_of(uint64_t number)
{
	uint8_t secret[16] = { 0 };

	memcpy(secret, &number, sizeof number);
	return flow_key_make(secret);
}

/* ---- a reference ---- */

static uint64_t cut(uint64_t x)
{
	return x % (1ull << 32);
}

static uint64_t naive_end(const struct flow_key *k, const struct ip_addr *a, uint16_t port)
{
	uint64_t x = k->start;

	for (size_t i = 0; i < addr_size(a); i += 4) {
		uint64_t word = 0;
		for (size_t b = 0; b < 4; b++)
			word = word * 256 + a->b[i + b];
		x = cut((x ^ word) * k->by_word);
		x ^= x / 32768;
	}
	x = cut((x ^ port) * k->by_port);
	return x ^ x / 8192;
}

static struct ip_addr any_addr(bool v4)
{
	struct ip_addr a = { .family = v4 ? ADDR_V4 : ADDR_V6 };

	for (size_t i = 0; i < addr_size(&a); i++)
		a.b[i] = (uint8_t)pick(256);
	return a;
}

static void test_reference(void **state)
{
	(void)state;
	for (uint32_t i = 0; i < 1000000; i++) {
		const struct flow_key k = key_of(i / 1000);
		bool v4 = pick(2);
		struct ip_addr a = any_addr(v4), b = any_addr(v4);
		uint16_t p = (uint16_t)pick(65536), q = (uint16_t)pick(65536);
		uint8_t proto = (uint8_t)pick(256);
		uint32_t workers = 1 + pick(16), hash = flow_hash(&k, &a, p, &b, q, proto);

		uint64_t naive = cut((naive_end(&k, &a, p) + naive_end(&k, &b, q) + proto) * k.by_sum);
		assert_int_equal(hash, naive);
		assert_int_equal(hash, flow_hash(&k, &b, q, &a, p, proto));
		assert_int_equal(flow_home(hash, workers), hash / 65536 * workers / 65536);
	}
}

static void test_keys(void **state)
{
	const struct flow_key a = key_of(1), b = key_of(2);

	(void)state;
	assert_true(a.start != b.start && a.by_word != b.by_word && a.by_port != b.by_port &&
		    a.by_sum != b.by_sum);
	for (uint64_t i = 0; i < 1000; i++) {
		const struct flow_key k = key_of(i);
		assert_true(k.by_word & k.by_port & k.by_sum & 1);
	}
}

/* ---- packets ---- */

static char texts[2][ADDR_TEXT_MAX];

static struct packet_spec any_packet(void)
{
	static const uint8_t protos[] = { IP_TCP, IP_UDP, IP_ICMP, IP_GRE, IP_ESP, IP_SCTP };
	bool v4 = pick(2);
	struct ip_addr a = any_addr(v4), b = any_addr(v4);
	struct packet_spec s = { .proto = protos[pick(COUNT_OF(protos))],
		.src = addr_text(texts[0], &a),
		.dst = addr_text(texts[1], &b),
		.src_port = (uint16_t)(1 + pick(65535)),
		.dst_port = (uint16_t)(1 + pick(65535)),
		.flags = TCP_ACK,
		.payload_n = 32 + pick(100) };

	if (s.proto == IP_ICMP) {
		s.proto = v4 ? IP_ICMP : IP_ICMPV6;
		s.icmp_type = v4 ? (pick(2) ? ICMP4_ECHO : ICMP4_ECHO_REPLY)
				 : (pick(2) ? ICMP6_ECHO : ICMP6_ECHO_REPLY);
		if (!v4 && pick(2))
			s.icmp_type = pick(2) ? 139 : 140; /* node information */
	}
	return s;
}

static struct packet_spec answer(struct packet_spec s)
{
	bool icmp = s.proto == IP_ICMP || s.proto == IP_ICMPV6;
	const char *src = s.src;

	s.src = s.dst;
	s.dst = src;
	if (icmp) {
		s.icmp_type = s.proto == IP_ICMP ? ICMP4_ECHO_REPLY
			      : s.icmp_type == ICMP6_ECHO || s.icmp_type == ICMP6_ECHO_REPLY
				      ? ICMP6_ECHO_REPLY
				      : 140;
	} else {
		uint16_t port = s.src_port;
		s.src_port = s.dst_port;
		s.dst_port = port;
	}
	return s;
}

/* Of the first one's source, who hears that it did not arrive. */
static struct packet_spec error_about(const struct train *t, const struct packet_spec *s)
{
	bool v4 = t->src.family == ADDR_V4;

	return (struct packet_spec){ .src = v4 ? "192.0.2.99" : "2001:db8::99",
		.dst = s->src,
		.proto = v4 ? IP_ICMP : IP_ICMPV6,
		.icmp_type = v4 ? ICMP4_UNREACHABLE : ICMP6_UNREACHABLE,
		.payload = t->ip,
		.payload_n = MIN_OF(t->len, 120u) };
}

static struct train parsed(struct packet *room, const struct packet_spec *s)
{
	struct train t = packet_make(room, s);

	/* Random addresses may be what no router forwards; the fields are there all the same. */
	train_parse(&t);
	return t;
}

static bool forwardable(const struct packet_spec *s)
{
	struct train t = packet_make(&rooms[0], s);

	return train_parse(&t) == DROP_NONE;
}

static void test_one_flow(void **state)
{
	const struct flow_key k = key_of(7);
	uint32_t n = 0;

	(void)state;
	for (uint32_t i = 0; i < 20000; i++) {
		struct packet_spec s = any_packet(), back = answer(s);
		if (!forwardable(&s) || !forwardable(&back))
			continue;
		struct train there = parsed(&rooms[0], &s), here = parsed(&rooms[1], &back);
		struct packet_spec error = error_about(&there, &s);
		struct train told = parsed(&rooms[2], &error);
		uint32_t hash = flow_hash_train(&k, &there);
		assert_int_equal(hash, flow_hash_train(&k, &here));
		assert_true(told.flags & TRAIN_ICMP_ERROR);
		assert_int_equal(hash, flow_hash_train(&k, &told));
		n++;
	}
	assert_true(n > 10000);
}

/* All of a datagram meet, in both directions, and so do datagrams of other ports. */
static void test_fragments(void **state)
{
	const struct flow_key k = key_of(7);

	(void)state;
	for (uint32_t i = 0; i < 2000; i++) {
		bool v4 = i % 2;
		struct packet_spec s = { .src = v4 ? "10.1.0.2" : "2001:db8:1::2",
			.dst = v4 ? "192.0.2.80" : "2001:db8:99::9",
			.proto = IP_UDP,
			.src_port = (uint16_t)pick(65536),
			.dst_port = (uint16_t)pick(65536),
			.payload_n = 3000 };
		struct train whole = parsed(&rooms[0], &s), piece = { .ip = rooms[1].room };
		uint32_t expected = flow_hash(&k, &whole.src, 0, &whole.dst, 0, 0);
		for (uint32_t f = 0; (piece.len = (uint32_t)fragment_cut(piece.ip, &whole, 1200, f, 1));
			f++) {
			assert_int_equal(train_parse(&piece), DROP_NONE);
			assert_int_equal(flow_hash_train(&k, &piece), expected);
		}
	}
}

/* ---- even ---- */

enum { FLOWS = 60000 };

/* With 15 degrees of freedom 60 is exceeded once in some millions. */
static void is_even(const uint32_t count[16], uint32_t workers, const char *what, uint64_t number)
{
	double expected = (double)FLOWS / workers, sum = 0;

	for (uint32_t i = 0; i < workers; i++)
		sum += (count[i] - expected) * (count[i] - expected) / expected;
	if (sum > 60)
		fail_msg("%s, key %lu, %u workers: %.0f", what, (unsigned long)number, workers, sum);
}

/* Neighbouring ports, neighbouring hosts, both, one host to many servers. */
static void test_even(void **state)
{
	static const char *const what[] = { "ports", "hosts", "hosts and ports", "servers", "IPv6 hosts" };

	(void)state;
	for (uint64_t number = 0; number < 200; number++)
		for (uint32_t kind = 0; kind < COUNT_OF(what); kind++) {
			const struct flow_key k = key_of(number);
			uint32_t count[16] = { 0 }, workers = 2 + (uint32_t)number % 15;
			bool v4 = kind < 4;
			for (uint32_t i = 0; i < FLOWS; i++) {
				struct ip_addr a = { .b = { 10, 1 }, .family = v4 ? ADDR_V4 : ADDR_V6 },
					       b = a;
				uint16_t port = (uint16_t)(kind == 0   ? 1024 + i
							   : kind == 2 ? 1024 + i % 250
								       : 4000);
				store_be32(a.b + (v4 ? 0 : 12), 0x0a010000 + (kind == 1 || kind == 4 ? i
										     : kind == 2     ? i / 250
												     : 2));
				store_be32(b.b + (v4 ? 0 : 12), 0xc0000250 + (kind == 3 ? i : 0));
				count[flow_home(flow_hash(&k, &a, port, &b, 443, IP_TCP), workers)]++;
			}
			is_even(count, workers, what[kind], number);
		}
}

/* ---- the program ---- */

struct machine {
	uint32_t a, x, memory[16];
	const uint8_t *ip;
	uint32_t n;
	bool failed; /* a load beyond the packet: the kernel ends the program with 0 */
};

static uint32_t load(struct machine *m, uint32_t at, uint32_t size)
{
	uint32_t value = 0;

	at -= (uint32_t)SKF_NET_OFF; /* all loads are from the network header */
	m->failed |= at >= m->n || size > m->n - at;
	for (uint32_t i = 0; i < size && !m->failed; i++)
		value = value << 8 | m->ip[at + i];
	return value;
}

static uint32_t alu(const struct machine *m, const struct sock_filter *f)
{
	uint32_t operand = BPF_SRC(f->code) == BPF_X ? m->x : f->k;

	switch (BPF_OP(f->code)) {
	case BPF_ADD:
		return m->a + operand;
	case BPF_MUL:
		return m->a * operand;
	case BPF_XOR:
		return m->a ^ operand;
	case BPF_RSH:
		assert_true(operand < 32);
		return m->a >> operand;
	default:
		fail_msg("operation %x", f->code);
		return 0;
	}
}

/* How far it jumps. */
static uint32_t jump(const struct machine *m, const struct sock_filter *f)
{
	switch (BPF_OP(f->code)) {
	case BPF_JA:
		return f->k;
	case BPF_JEQ:
		return m->a == f->k ? f->jt : f->jf;
	case BPF_JSET:
		return m->a & f->k ? f->jt : f->jf;
	default:
		fail_msg("jump %x", f->code);
		return 0;
	}
}

static uint32_t size_of(uint16_t code)
{
	return BPF_SIZE(code) == BPF_W ? 4 : BPF_SIZE(code) == BPF_H ? 2 : 1;
}

static void step(struct machine *m, const struct sock_filter *f)
{
	if (f->code == (BPF_LDX | BPF_B | BPF_MSH))
		m->x = 4 * (load(m, f->k, 1) & 15);
	else if (f->code == (BPF_LDX | BPF_MEM))
		m->x = m->memory[f->k];
	else if (f->code == (BPF_LD | BPF_MEM))
		m->a = m->memory[f->k];
	else if (f->code == (BPF_LD | BPF_IMM))
		m->a = f->k;
	else if (BPF_CLASS(f->code) == BPF_LD)
		m->a = load(m, f->k + (BPF_MODE(f->code) == BPF_IND ? m->x : 0), size_of(f->code));
	else if (f->code == BPF_ST)
		m->memory[f->k] = m->a;
	else if (BPF_CLASS(f->code) == BPF_ALU)
		m->a = alu(m, f);
	else if (f->code == (BPF_MISC | BPF_TAX))
		m->x = m->a;
	else
		fail_msg("instruction %x", f->code);
}

static uint32_t interpret(const struct sock_filter *program, uint32_t length, const uint8_t *ip, uint32_t n)
{
	struct machine m = { .ip = ip, .n = n };

	for (uint32_t at = 0; !m.failed; at++) {
		assert_true(at < length);
		const struct sock_filter *f = &program[at];
		if (BPF_CLASS(f->code) == BPF_RET)
			return BPF_RVAL(f->code) == BPF_A ? m.a : f->k;
		if (BPF_CLASS(f->code) == BPF_JMP)
			at += jump(&m, f);
		else
			step(&m, f);
	}
	return 0;
}

static void test_program(void **state)
{
	struct sock_filter program[FLOW_PROGRAM_MAX];
	uint32_t n = 0;

	(void)state;
	for (uint32_t i = 0; i < 200000; i++) {
		const struct flow_key k = key_of(i / 100);
		uint32_t workers = 1 + pick(16), length = flow_program(&k, workers, program);
		struct packet_spec s = any_packet();
		if (!forwardable(&s))
			continue;
		struct train t = parsed(&rooms[0], &s);
		uint32_t home = interpret(program, length, t.ip, t.len);
		assert_int_equal(home, flow_home(flow_hash_train(&k, &t), workers));
		n += home > 0;
	}
	assert_true(n > 50000);
}

/* The ports stand behind the options. */
static void test_program_options(void **state)
{
	struct sock_filter program[FLOW_PROGRAM_MAX];
	const struct flow_key k = key_of(9);
	uint32_t length = flow_program(&k, 16, program);

	(void)state;
	for (uint32_t i = 0; i < 1000; i++) {
		struct packet_spec s = { .src = "10.1.0.2",
			.dst = "192.0.2.80",
			.proto = IP_UDP,
			.src_port = (uint16_t)i,
			.dst_port = 53,
			.payload_n = 20 };
		struct train t = parsed(&rooms[0], &s);
		uint32_t home = flow_home(flow_hash_train(&k, &t), 16);
		assert_int_equal(interpret(program, length, t.ip, t.len), home);
		memmove(t.ip + 28, t.ip + 20, t.len - 20);
		memset(t.ip + 20, 1, 8); /* no operation */
		t.ip[0] = 0x47;
		assert_int_equal(interpret(program, length, t.ip, t.len + 8), home);
	}
}

static void test_program_fragments(void **state)
{
	struct sock_filter program[FLOW_PROGRAM_MAX];
	const struct flow_key k = key_of(11);
	uint32_t length = flow_program(&k, 16, program);

	(void)state;
	for (uint32_t i = 0; i < 400; i++) {
		bool v4 = i % 2;
		struct packet_spec s = { .src = v4 ? "10.1.0.2" : "2001:db8:1::2",
			.dst = v4 ? "192.0.2.80" : "2001:db8:99::9",
			.proto = IP_UDP,
			.src_port = (uint16_t)pick(65536),
			.dst_port = (uint16_t)pick(65536),
			.payload_n = 3000 };
		struct train whole = parsed(&rooms[0], &s), piece = { .ip = rooms[1].room };
		for (uint32_t f = 0; (piece.len = (uint32_t)fragment_cut(piece.ip, &whole, 1200, f, 1));
			f++) {
			assert_int_equal(train_parse(&piece), DROP_NONE);
			assert_int_equal(interpret(program, length, piece.ip, piece.len),
				flow_home(flow_hash_train(&k, &piece), 16));
		}
	}
}

/* What is cut off, or no IP: some worker, which finds out. */
static void test_program_anything(void **state)
{
	struct sock_filter program[FLOW_PROGRAM_MAX];
	const struct flow_key k = key_of(13);
	uint32_t length = flow_program(&k, 16, program);
	uint8_t bytes[64];

	(void)state;
	for (uint32_t i = 0; i < 200000; i++) {
		uint32_t n = pick(sizeof bytes + 1);
		for (uint32_t b = 0; b < sizeof bytes; b++)
			bytes[b] = (uint8_t)pick(256);
		if (pick(2))
			bytes[0] = pick(2) ? 0x45 : 0x60;
		assert_true(interpret(program, length, bytes, n) < 16);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_reference),
		cmocka_unit_test(test_keys),
		cmocka_unit_test(test_one_flow),
		cmocka_unit_test(test_fragments),
		cmocka_unit_test(test_even),
		cmocka_unit_test(test_program),
		cmocka_unit_test(test_program_options),
		cmocka_unit_test(test_program_fragments),
		cmocka_unit_test(test_program_anything),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
