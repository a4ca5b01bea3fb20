/*
 * SYN cookies alone: what a cookie keeps of random SYNs, under rotating secrets, and what is taken for one; SipHash by the vectors of
 * its authors; and numbers of joined connections against a plain model of both ends.
 */
#include "base/siphash.h"
#include "packets.h"
#include "screen/cookie.h"
#include "wire/tcp_join.h"

#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>
#include <string.h>

static const uint8_t key[16] = { 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15 };
static struct packet packet;
static uint8_t made[TRAIN_HEAD_ROOM + TCP_MADE_MAX];
static uint64_t seed = 1;

static uint32_t some(uint32_t n)
{
	return next_random(&seed) % n;
}

/* Aumasson and Bernstein: of the octets 0 to 7, and of 0 to 15. */
static void siphash_vectors(void **state)
{
	uint64_t eight = siphash24(key, key, 8), sixteen = siphash24(key, key, 16),
		 none = siphash24(key, NULL, 0);

	assert_true(eight == 0x93f5f5799a932462ull);
	assert_true(sixteen == 0x3f2acc7f57c29bdbull);
	assert_true(none == 0x726fdb47dd0e0e31ull);
}

static struct train train_of(const struct tcp_made *m)
{
	struct train t = { .ip = made + TRAIN_HEAD_ROOM, .csum = TRAIN_CSUM_UNKNOWN };

	t.len = (uint32_t)tcp_make(t.ip, m);
	assert_int_equal(train_parse(&t), DROP_NONE);
	assert_int_equal(train_verify_l4(&t), DROP_NONE);
	assert_true(packet_sound(t.ip, t.len));
	return t;
}

static struct tcp_made random_syn(void)
{
	bool v6 = some(2);
	struct tcp_made m = { .src_port = (uint16_t)some(65536),
		.dst_port = 80,
		.seq = next_random(&seed),
		.flags = TCP_SYN,
		.hop_limit = 64 };

	addr_parse(&m.src, v6 ? "2001:db8::7" : "192.0.2.7");
	addr_parse(&m.dst, v6 ? "2001:db8::8" : "192.0.2.8");
	m.options = (struct tcp_options){ .mss = (uint16_t)(some(4) ? 216 + some(65000) : 0),
		.scales = some(2),
		.sack = some(2),
		.stamps = some(2) };
	m.options.scale = (uint8_t)(m.options.scales ? some(15) : 0);
	m.options.ts = m.options.stamps ? next_random(&seed) : 0;
	return m;
}

static void round_trips(void **state)
{
	for (uint32_t i = 0; i < 20000; i++) {
		struct tcp_made m = random_syn();
		mono_ns now = (uint64_t)some(1000000) * NS_PER_MS;
		struct train t = train_of(&m);
		struct tcp_options was = m.options, is;
		uint32_t seq;
		tcp_options_read(&t, &is);
		assert_int_equal(is.mss, was.mss);
		assert_int_equal(is.ts, was.ts);
		assert_int_equal(is.scales << 8 | is.scale, was.scales << 8 | was.scale);
		assert_int_equal(is.sack << 1 | is.stamps, was.sack << 1 | was.stamps);
		struct syn_cookie c = syn_cookie_make(key, &t, &was, now);
		m.flags = TCP_ACK;
		m.ack = c.seq + 1;
		uint32_t first = m.seq;
		m.seq += some(2); /* or a probe */
		m.options = (struct tcp_options){
			.stamps = was.stamps, .ts = was.stamps ? 99 : 0, .ts_echo = was.stamps ? c.ts : 0
		};
		t = train_of(&m);
		bool in_time = some(2);
		now += in_time ? some(SYN_COOKIE_S * 1000) * NS_PER_MS
			       : 2 * SYN_COOKIE_S * NS_PER_S + some(1000000) * NS_PER_MS;
		assert_int_equal(syn_cookie_check(key, &t, now, &is, &seq), in_time);
		if (!in_time)
			continue;
		assert_int_equal(seq, first);
		assert_int_equal(is.scales, was.scales);
		assert_int_equal(is.scale, was.scale);
		assert_int_equal(is.sack, was.sack);
		assert_int_equal(is.stamps, was.stamps);
		uint32_t mss = was.mss ? was.mss : m.src.family == ADDR_V4 ? 536 : 1220;
		assert_true(is.mss <= mss && is.mss >= MIN_OF(mss, 1460u) * 2 / 5);
		/* one bit of anything */
		uint8_t *l4 = t.ip + t.l4_offset;
		static const uint32_t at[] = { 0, 2, 3, 8, 9, 10, 11 };
		uint32_t byte = at[some(COUNT_OF(at))];
		l4[byte] ^= (uint8_t)(1 << some(8));
		assert_int_equal(train_parse(&t), DROP_NONE);
		assert_false(syn_cookie_check(key, &t, now, &is, &seq));
	}
}

/* Random acknowledgements: one in 2^22 would be taken. */
static void guesses(void **state)
{
	uint32_t taken = 0;

	for (uint32_t i = 0; i < 200000; i++) {
		struct tcp_made m = random_syn();
		struct tcp_options o;
		uint32_t seq;
		m.flags = TCP_ACK;
		m.ack = next_random(&seed);
		m.options = (struct tcp_options){ 0 };
		struct train t = train_of(&m);
		taken += syn_cookie_check(key, &t, 100 * NS_PER_S, &o, &seq);
	}
	assert_in_range(taken, 0, 3);
}

/* An answer that has no option which the SYN has not is never longer, whatever options the SYN has, packed as tight as can be. */
static void never_longer(void **state)
{
	for (uint32_t bits = 0; bits < 16; bits++) {
		struct tcp_made m = random_syn();
		m.options = (struct tcp_options){
			.mss = bits & 1 ? 1460 : 0, .scales = bits & 2, .sack = bits & 4, .stamps = bits & 8
		};
		uint32_t tight = (bits & 1 ? 4u : 0u) + (bits & 2 ? 3u : 0u) + (bits & 4 ? 2u : 0u) +
				 (bits & 8 ? 10u : 0u);
		struct train t = train_of(&m);
		assert_int_equal(t.payload_offset - t.l4_offset, 20 + (tight + 3) / 4 * 4);
	}
}

/* Joined numbers: there and back; and each checksum stays right, of trains that a NIC completes too. */
static void joined_numbers(void **state)
{
	uint8_t options[24] = { 1, 1, 8, 10, 0, 0, 0, 7, 0, 0, 0, 9, 1, 5, 10 };

	for (uint32_t i = 0; i < 20000; i++) {
		struct tcp_join j = { .seq = next_random(&seed),
			.ts = next_random(&seed),
			.scale = (uint8_t)some(15),
			.flags = (uint8_t)(TCP_JOIN_ON | (some(2) ? TCP_JOIN_SCALES : 0) |
					   (some(2) ? TCP_JOIN_STAMPS : 0)),
			.server_scale = (uint8_t)some(15),
			.server = (uint8_t)some(4) };
		uint32_t ack = next_random(&seed), seq = next_random(&seed), edge = next_random(&seed);
		store_be32(options + 15, edge);
		store_be32(options + 19, edge + 5);
		struct packet_spec s = { .src = "192.0.2.1",
			.dst = "192.0.2.2",
			.proto = IP_TCP,
			.flags = TCP_ACK,
			.seq = seq,
			.ack = ack,
			.window = (uint16_t)(1 + some(65535)),
			.options = options,
			.options_n = sizeof options,
			.payload_n = some(50),
			.partial = some(2) };
		struct train t = packet_make(&packet, &s);
		assert_int_equal(train_parse(&t), DROP_NONE);
		bool server = some(2);
		if (server)
			tcp_join_from_server(&t, &j);
		else
			tcp_join_from_client(&t, &j);
		assert_true(s.partial ? packet_sound_partial(t.ip, t.len) : packet_sound(t.ip, t.len));
		const uint8_t *l4 = t.ip + t.l4_offset;
		bool sack = server || j.server & TCP_SERVER_SACK, stamps = j.flags & TCP_JOIN_STAMPS;
		assert_int_equal(load_be32(l4 + 4), server ? seq + j.seq : seq);
		assert_int_equal(load_be32(l4 + 8), server ? ack : ack - j.seq);
		assert_int_equal(load_be32(l4 + 24), server && stamps ? 7 + j.ts : 7);
		assert_int_equal(load_be32(l4 + 28), !server && stamps ? 9 - j.ts : 9);
		assert_int_equal(l4[33], sack ? 5 : 1);
		if (sack)
			assert_int_equal(load_be32(l4 + 35), server ? edge : edge - j.seq);
	}
}

int main(void)
{
#define T(f) cmocka_unit_test(f)
	const struct CMUnitTest tests[] = { T(siphash_vectors), T(round_trips), T(guesses), T(never_longer),
		T(joined_numbers) };
	return cmocka_run_group_tests_name("cookies", tests, NULL, NULL);
}
