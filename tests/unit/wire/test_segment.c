/*
 * Trains into packets and back: what is cut has right lengths, sequence numbers, flags and checksums, and
 * joining it gives the train again, octet for octet; what does not belong together is not joined.
 */
#include "wire/segment.h"

#include "wire/csum.h"
#include "wire/ip.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#define BUFFER_SIZE (1 << 20)

static uint64_t seed;

static uint32_t draw(uint32_t below)
{
	seed = seed * 6364136223846793005ull + 1442695040888963407ull;
	return (uint32_t)(seed >> 33) % below;
}

struct shape {
	int version;
	uint8_t proto, tcp_flags;
	uint32_t options_n, payload_n, segment_size;
	bool dont_fragment;
	uint16_t id, src_port;
	uint32_t sequence;
};

/* A train of that shape as a kernel hands it over: partial checksum, whole lengths. */
static void build(struct train *t, uint8_t *ip, const struct shape *s)
{
	uint32_t l4 = s->version == 4 ? 20 : 40, head = l4 + (s->proto == IP_TCP ? 20 + s->options_n : 8);
	uint32_t n = head + s->payload_n;
	size_t addr_n = s->version == 4 ? 4 : 16;

	memset(ip, 0, head);
	if (s->version == 4) {
		ip[0] = 0x45;
		store_be16(ip + 2, (uint16_t)n);
		store_be16(ip + 4, s->id);
		store_be16(ip + 6, s->dont_fragment ? IP4_DF : 0);
		ip[8] = 61;
		ip[9] = s->proto;
		memcpy(ip + 12, "\x0a\x01\x00\x02\x0a\x02\x00\x02", 8);
		uint16_t sum = (uint16_t)~csum_fold(csum_add(0, ip, 20));
		memcpy(ip + 10, &sum, 2);
	} else {
		ip[0] = 0x60;
		store_be16(ip + 4, (uint16_t)(n - 40));
		ip[6] = s->proto;
		ip[7] = 61;
		memcpy(ip + 8, "\x20\x01\x0d\xb8\0\1\0\0\0\0\0\0\0\0\0\2", 16);
		memcpy(ip + 24, "\x20\x01\x0d\xb8\0\2\0\0\0\0\0\0\0\0\0\2", 16);
	}
	uint8_t *p = ip + l4;
	store_be16(p, s->src_port);
	store_be16(p + 2, 80);
	if (s->proto == IP_TCP) {
		store_be32(p + 4, s->sequence);
		store_be32(p + 8, 0x11223344);
		p[12] = (uint8_t)((20 + s->options_n) / 4 << 4);
		p[13] = s->tcp_flags;
		store_be16(p + 14, 501);
		for (uint32_t i = 0; i < s->options_n; i++)
			p[20 + i] = 1;
	} else {
		store_be16(p + 4, (uint16_t)(n - l4));
	}
	uint16_t partial = csum_fold(csum_pseudo(
		ip + (s->version == 4 ? 12 : 8), ip + (s->version == 4 ? 16 : 24), addr_n, s->proto, n - l4));
	memcpy(p + (s->proto == IP_TCP ? TCP_CSUM : UDP_CSUM), &partial, 2);
	for (uint32_t i = 0; i < s->payload_n; i++)
		ip[head + i] = (uint8_t)draw(256);
	*t = (struct train){
		.ip = ip, .len = n, .segment_size = (uint16_t)s->segment_size, .csum = TRAIN_CSUM_PARTIAL
	};
	assert_int_equal(train_parse(t), DROP_NONE);
	assert_int_equal(t->payload_offset, head);
}

/* A packet alone must stand every check of the parser, its checksums included. */
static void packet_is_whole(const uint8_t *ip, uint32_t n, struct train *ret_train)
{
	static uint8_t copy[65536];
	memcpy(copy, ip, n);
	*ret_train = (struct train){ .ip = copy, .len = n };
	assert_int_equal(train_parse(ret_train), DROP_NONE);
	assert_int_equal(ret_train->len, n);
	assert_int_equal(train_verify_l4(ret_train), DROP_NONE);
	assert_int_equal(ret_train->csum, TRAIN_CSUM_VALID);
}

static _Alignas(64) uint8_t room[BUFFER_SIZE];
static uint8_t original[70000], cutting[70000 + 256];

static void cut_then_join(const struct shape *s)
{
	struct train t, one;
	struct segment_cutter c;
	static struct segment_joiner j;
	uint32_t n, packets = 0, at = 0;
	uint8_t *ip;

	memset(cutting, 0xaa, sizeof cutting);
	build(&t, cutting + 128, s);
	memcpy(original, t.ip, t.len);
	uint32_t want_len = t.len, head_n = t.payload_offset, expected = train_packets(&t);
	assert_true(segment_cut_begin(&c, &t, 0));
	segment_join_begin(&j, room, sizeof room);
	while ((n = segment_cut_peek(&c)) > 0) {
		uint32_t given;
		ip = segment_cut_next(&c, &given);
		assert_int_equal(given, n);
		packet_is_whole(ip, n, &one);
		bool last = ++packets == expected;
		if (s->proto == IP_TCP) {
			assert_int_equal(load_be32(one.ip + one.l4_offset + 4), s->sequence + at);
			uint8_t want = s->tcp_flags;
			if (!last)
				want &= (uint8_t)~(TCP_FIN | TCP_PSH);
			if (packets > 1)
				want &= (uint8_t)~TCP_CWR;
			assert_int_equal(one.tcp_flags, want);
		}
		assert_int_equal(n - head_n, last ? s->payload_n - at : s->segment_size);
		at += n - head_n;
		uint8_t *spot = segment_join_spot(&j, n);
		assert_non_null(spot);
		memcpy(spot, ip, n);
		segment_join_take(&j, spot, n, 7);
	}
	assert_int_equal(packets, expected);
	assert_null(segment_cut_next(&c, &n));
	segment_join_end(&j);
	assert_int_equal(j.n, 1);
	assert_int_equal(j.list[0].len, want_len);
	assert_int_equal(j.list[0].segment_size, packets > 1 ? s->segment_size : 0);
	struct train back = { .ip = j.list[0].ip,
		.len = want_len,
		.segment_size = j.list[0].segment_size,
		.csum = j.list[0].csum };
	if (packets == 1) {
		assert_int_equal(train_parse(&back), DROP_NONE);
		assert_int_equal(train_verify_l4(&back), DROP_NONE);
		memset(back.ip + back.l4_offset + (s->proto == IP_TCP ? TCP_CSUM : UDP_CSUM), 0, 2);
		memset(original + back.l4_offset + (s->proto == IP_TCP ? TCP_CSUM : UDP_CSUM), 0, 2);
	} else {
		assert_int_equal(back.csum, TRAIN_CSUM_PARTIAL);
	}
	assert_memory_equal(j.list[0].ip, original, want_len);
}

static void joining_what_was_cut_gives_the_train(void **state)
{
	for (uint32_t round = 0; round < 3000; round++) {
		seed = round + 1;
		struct shape s = {
			.version = draw(2) ? 4 : 6,
			.proto = draw(3) ? IP_TCP : IP_UDP,
			.options_n = 4 * draw(11),
			.dont_fragment = draw(2),
			.id = (uint16_t)draw(65536),
			.src_port = (uint16_t)(1 + draw(65535)),
			.sequence = draw(3) ? 0xffffff00u + draw(256) : draw(UINT32_MAX),
			.segment_size = draw(4) ? 1 + draw(1460) : 1 + draw(20),
		};
		/* Flags that end a train stand on the last packet only; CWR on the first. */
		s.tcp_flags = (uint8_t)(TCP_ACK | (draw(2) ? TCP_PSH : 0) | (draw(8) == 0 ? TCP_FIN : 0) |
					(draw(8) == 0 ? TCP_CWR : 0));
		uint32_t packets_max = MIN_OF(SEGMENT_PACKETS_MAX, 65000u / s.segment_size);
		uint32_t packets = 1 + draw(packets_max);
		s.payload_n = (packets - 1) * s.segment_size + 1 + draw(s.segment_size);
		if (s.payload_n <= s.segment_size)
			s.tcp_flags |=
				TCP_PSH; /* a single packet; may grow otherwise, with the same result */
		cut_then_join(&s);
	}
}

static void single_packet_has_its_checksum_completed(void **state)
{
	struct shape s = { .version = 4, .proto = IP_UDP, .src_port = 9, .payload_n = 31 };
	struct train t, one;
	struct segment_cutter c;
	uint32_t n;

	build(&t, cutting + 128, &s);
	assert_true(segment_cut_begin(&c, &t, 0));
	assert_int_equal(segment_cut_peek(&c), 59);
	uint8_t *ip = segment_cut_next(&c, &n);
	packet_is_whole(ip, n, &one);
	assert_int_equal(segment_cut_peek(&c), 0);
	assert_null(segment_cut_next(&c, &n));
}

static void a_single_tcp_packet_can_be_cut_smaller(void **state)
{
	struct shape s = { .version = 4,
		.proto = IP_TCP,
		.tcp_flags = TCP_ACK | TCP_PSH,
		.src_port = 9,
		.payload_n = 1460,
		.sequence = 5 };
	struct train t, one;
	struct segment_cutter c;
	uint32_t n, sum = 0, packets = 0;
	uint8_t *ip;

	build(&t, cutting + 128, &s);
	assert_true(segment_cut_begin(&c, &t, 500));
	while ((ip = segment_cut_next(&c, &n))) {
		packet_is_whole(ip, n, &one);
		assert_int_equal(load_be32(one.ip + 24), 5 + sum);
		sum += n - 40;
		packets++;
	}
	assert_int_equal(sum, 1460);
	assert_int_equal(packets, 3);
}

static void what_has_no_segments_is_not_cut(void **state)
{
	struct shape s = {
		.version = 4, .proto = IP_UDP, .src_port = 9, .payload_n = 3000, .segment_size = 1000
	};
	struct train t;
	struct segment_cutter c;

	build(&t, cutting + 128, &s);
	t.flags |= TRAIN_FRAGMENT;
	assert_false(segment_cut_begin(&c, &t, 0));
	t.flags = 0;
	t.proto = 132;
	assert_false(segment_cut_begin(&c, &t, 0));
}

/* Builds one packet with a complete checksum at the joiner's spot. */
static void put(struct segment_joiner *j, const struct shape *s, uint32_t key, void (*spoil)(uint8_t *ip))
{
	struct train t;
	static uint8_t packet[4096];
	build(&t, packet, s);
	train_complete_l4(&t);
	if (spoil)
		spoil(packet);
	uint8_t *spot = segment_join_spot(j, t.len);
	assert_non_null(spot);
	memcpy(spot, packet, t.len);
	segment_join_take(j, spot, t.len, key);
}

static void spoil_payload(uint8_t *ip)
{
	ip[45] ^= 1;
}

static void ip_checksum_again(uint8_t *ip)
{
	memset(ip + 10, 0, 2);
	uint16_t sum = (uint16_t)~csum_fold(csum_add(0, ip, 20));
	memcpy(ip + 10, &sum, 2);
}

static void spoil_class(uint8_t *ip)
{
	ip[1] = 4;
	ip_checksum_again(ip);
}

static void spoil_ttl(uint8_t *ip)
{
	ip[8]--;
	ip_checksum_again(ip);
}

static void spoil_ip_checksum(uint8_t *ip)
{
	ip[10] ^= 1;
}

/* Window, acknowledgement: with the TCP checksum kept right. */
static void spoil_tcp_word(uint8_t *at, uint8_t *field)
{
	uint8_t old[2] = { at[0], at[1] };
	at[1] ^= 1;
	csum_update(field, old, at, 2);
}

static void spoil_window(uint8_t *ip)
{
	spoil_tcp_word(ip + 34, ip + 36);
}

static void spoil_acknowledgement(uint8_t *ip)
{
	spoil_tcp_word(ip + 30, ip + 36);
}

static void spoil_ports(uint8_t *ip)
{
	spoil_tcp_word(ip + 20, ip + 36);
}

static void spoil_sequence(uint8_t *ip)
{
	spoil_tcp_word(ip + 26, ip + 36);
}

static void what_differs_is_not_joined(void **state)
{
	static struct segment_joiner j;
	static void (*const spoilers[])(uint8_t *) = { NULL, spoil_payload, spoil_class, spoil_ttl,
		spoil_ip_checksum, spoil_window, spoil_acknowledgement, spoil_ports, spoil_sequence };

	for (size_t i = 0; i < COUNT_OF(spoilers); i++) {
		struct shape s = { .version = 4,
			.proto = IP_TCP,
			.tcp_flags = TCP_ACK,
			.src_port = 9,
			.payload_n = 500,
			.sequence = 5,
			.dont_fragment = true };
		segment_join_begin(&j, room, sizeof room);
		put(&j, &s, 1, NULL);
		s.sequence += 500;
		put(&j, &s, 1, spoilers[i]);
		segment_join_end(&j);
		assert_int_equal(j.n, i == 0 ? 1 : 2);
		/* The one in front is whole, however it ended. */
		struct train t = { .ip = j.list[0].ip,
			.len = j.list[0].len,
			.segment_size = j.list[0].segment_size,
			.csum = j.list[0].csum };
		assert_int_equal(train_parse(&t), DROP_NONE);
		assert_int_equal(t.len, i == 0 ? 1040 : 540);
		if (i > 0) {
			t.csum = TRAIN_CSUM_UNKNOWN;
			assert_int_equal(train_verify_l4(&t), DROP_NONE);
		}
		assert_int_equal(j.list[j.n - 1].key, 1);
	}
	struct shape s = { .version = 4,
		.proto = IP_TCP,
		.tcp_flags = TCP_ACK,
		.src_port = 9,
		.payload_n = 500,
		.sequence = 5,
		.dont_fragment = true };
	segment_join_begin(&j, room, sizeof room);
	put(&j, &s, 1, NULL);
	s.sequence += 500;
	put(&j, &s, 2, NULL); /* from another SA */
	segment_join_end(&j);
	assert_int_equal(j.n, 2);
}

static void a_train_ends_where_it_must(void **state)
{
	static struct segment_joiner j;
	struct shape s = { .version = 4,
		.proto = IP_TCP,
		.tcp_flags = TCP_ACK,
		.src_port = 9,
		.payload_n = 500,
		.sequence = 5,
		.dont_fragment = true };

	/* A push, a shorter packet and a longer one each end it. */
	for (int kind = 0; kind < 3; kind++) {
		segment_join_begin(&j, room, sizeof room);
		s.payload_n = 500;
		s.tcp_flags = TCP_ACK;
		put(&j, &s, 1, NULL);
		s.sequence += 500;
		s.payload_n = kind == 0 ? 500 : kind == 1 ? 100 : 501;
		s.tcp_flags = kind == 0 ? TCP_ACK | TCP_PSH : TCP_ACK;
		put(&j, &s, 1, NULL);
		s.sequence += s.payload_n;
		s.payload_n = 500;
		s.tcp_flags = TCP_ACK;
		put(&j, &s, 1, NULL);
		segment_join_end(&j);
		assert_int_equal(j.n, 2);
		assert_int_equal(j.list[0].segment_size, kind == 2 ? 0 : 500);
		assert_int_equal(load_be16(j.list[0].ip + 2), j.list[0].len);
	}
	/* Acknowledgements alone, and SYNs, stay single. */
	segment_join_begin(&j, room, sizeof room);
	s.payload_n = 0;
	put(&j, &s, 1, NULL);
	put(&j, &s, 1, NULL);
	s.tcp_flags = TCP_SYN;
	put(&j, &s, 1, NULL);
	segment_join_end(&j);
	assert_int_equal(j.n, 3);
}

static void leaving_a_spot_restores_the_train(void **state)
{
	static struct segment_joiner j;
	struct shape s = { .version = 4,
		.proto = IP_TCP,
		.tcp_flags = TCP_ACK,
		.src_port = 9,
		.payload_n = 10,
		.sequence = 5,
		.dont_fragment = true };

	segment_join_begin(&j, room, sizeof room);
	put(&j, &s, 1, NULL);
	memcpy(original, j.list[0].ip, 50);
	uint8_t *spot = segment_join_spot(&j, 1400);
	memset(spot, 0xee, 1400); /* as a failed decryption leaves it */
	segment_join_leave(&j, spot);
	segment_join_end(&j);
	assert_int_equal(j.n, 1);
	assert_memory_equal(j.list[0].ip, original, 50);
}

static void the_list_and_the_buffer_are_bounded(void **state)
{
	static struct segment_joiner j;
	struct shape s = { .version = 4, .proto = IP_UDP, .src_port = 9, .payload_n = 100 };
	uint32_t n = 0;

	segment_join_begin(&j, room, sizeof room);
	while (segment_join_spot(&j, 128)) {
		s.src_port++;
		put(&j, &s, 1, NULL);
		n++;
	}
	assert_int_equal(n, SEGMENT_TRAINS_MAX);
	segment_join_begin(&j, room, 4096);
	for (n = 0; segment_join_spot(&j, 1400); n++) {
		s.src_port++;
		put(&j, &s, 1, NULL);
	}
	assert_int_equal(
		n, 10); /* 64 of alignment, then 256 and more for each, while 128 + 1400 + 64 are left */
	segment_join_end(&j);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(joining_what_was_cut_gives_the_train),
		cmocka_unit_test(single_packet_has_its_checksum_completed),
		cmocka_unit_test(a_single_tcp_packet_can_be_cut_smaller),
		cmocka_unit_test(what_has_no_segments_is_not_cut),
		cmocka_unit_test(what_differs_is_not_joined),
		cmocka_unit_test(a_train_ends_where_it_must),
		cmocka_unit_test(leaving_a_spot_restores_the_train),
		cmocka_unit_test(the_list_and_the_buffer_are_bounded),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
