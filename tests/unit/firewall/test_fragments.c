/*
 * Reassembly before policy: every order of the pieces, what overlaps or cannot be, time and room; attacks by
 * name (ping of death, teardrop, tiny and overlapping first fragments, holes that never close).
 */
#include "wire/fragment.h"
#include "scene.h"

#include <stdio.h>
#include <stdlib.h>

#define INSIDE	 "10.0.0.2"
#define OUTSIDE	 "198.51.100.9"
#define INSIDE6	 "2001:db8:1::2"
#define OUTSIDE6 "2001:db8:99::9"
#define PIECES	 64

static int setup(void **state)
{
	(void)state;
	scene_begin(WORLD_SESSIONS);
	policy_rule(&p, "dns", TRUST, UNTRUST, "any", "any", "udp/53 icmp/8 tcp/80", RULE_PERMIT);
	policy_rule(&p, "proto", TRUST, UNTRUST, "any", "any", "proto/47", RULE_PERMIT);
	world_load(&w, &p);
	return 0;
}

/* Pieces of one datagram, each a packet of its own. */
static struct {
	uint8_t *bytes[PIECES];
	uint32_t n[PIECES], count;
	struct packet whole;
	struct train train;
} cut;

static void pieces_free(void)
{
	for (uint32_t i = 0; i < cut.count; i++)
		free(cut.bytes[i]);
	cut.count = 0;
}

static void pieces_make(const struct packet_spec *s, uint32_t mtu, uint32_t id)
{
	static uint8_t piece[TRAIN_BYTES_MAX];

	pieces_free();
	cut.train = packet_make(&cut.whole, s);
	assert_int_equal(train_parse(&cut.train), DROP_NONE);
	if (cut.train.src.family == ADDR_V4) {
		store_be16(cut.train.ip + 4, (uint16_t)id);
		store_be16(cut.train.ip + 10, 0);
		store_be16(cut.train.ip + 10, plain_checksum(0, cut.train.ip, 20));
	}
	for (size_t n; (n = fragment_cut(piece, &cut.train, mtu, cut.count, id)); cut.count++) {
		assert_true(cut.count < PIECES && n <= mtu);
		cut.bytes[cut.count] = malloc(n);
		memcpy(cut.bytes[cut.count], piece, n);
		cut.n[cut.count] = (uint32_t)n;
	}
}

static struct packet_spec udp(bool v6, uint16_t dst_port, size_t n)
{
	return (struct packet_spec){ .src = v6 ? INSIDE6 : INSIDE,
		.dst = v6 ? OUTSIDE6 : OUTSIDE,
		.proto = IP_UDP,
		.src_port = 1000,
		.dst_port = dst_port,
		.payload_n = n };
}

/* Sends n octets as a packet from its source's zone. DROP_NONE with w.t.session set: it passed whole. */
static enum drop_reason send_bytes(const uint8_t *bytes, uint32_t n)
{
	uint8_t *ip = w.packet.room + TRAIN_HEAD_ROOM;

	fw_reassemble_done(w.fw);
	memcpy(ip, bytes, n);
	w.t = (struct train){
		.ip = ip, .len = n, .tunnel = TRAIN_NONE, .session = TRAIN_NONE, .rule = TRAIN_NONE
	};
	return world_run(&w);
}

static enum drop_reason piece(uint32_t i)
{
	return send_bytes(cut.bytes[i], cut.n[i]);
}

static bool passed_whole(void)
{
	return w.t.session != TRAIN_NONE && w.t.flags & TRAIN_REASSEMBLED;
}

/* What comes out is what went in, one hop later. */
static void is_whole(void)
{
	assert_true(passed_whole());
	assert_int_equal(w.t.len, cut.train.len);
	assert_true(packet_sound(w.t.ip, w.t.len));
	uint32_t head = cut.train.l4_offset;
	assert_memory_equal(w.t.ip + head, cut.train.ip + head, cut.train.len - head);
	assert_memory_equal(
		w.t.ip + (head == 20 ? 12 : 8), cut.train.ip + (head == 20 ? 12 : 8), head == 20 ? 8 : 32);
}

static void shuffle(uint64_t *seed, uint32_t order[PIECES])
{
	for (uint32_t i = 0; i < cut.count; i++)
		order[i] = i;
	for (uint32_t i = cut.count; i > 1; i--) {
		uint32_t k = next_random(seed) % i, swap = order[i - 1];
		order[i - 1] = order[k];
		order[k] = swap;
	}
}

static void test_orders(void **state)
{
	uint64_t seed = 3;
	uint32_t order[PIECES];

	(void)state;
	for (uint32_t round = 0; round < 400; round++) {
		struct packet_spec s = udp(round % 2, 53, 400 + next_random(&seed) % 2200);
		uint32_t mtu = 100 + next_random(&seed) % 300;
		pieces_make(&s, mtu, 1000 + round);
		shuffle(&seed, order);
		for (uint32_t i = 0; i < cut.count; i++) {
			assert_int_equal(piece(order[i]), DROP_NONE);
			if (i + 1 < cut.count) {
				assert_false(passed_whole());
				if (next_random(&seed) % 4 == 0) /* the same once more */
					assert_int_equal(piece(order[i]), DROP_NONE);
			}
		}
		is_whole();
	}
	assert_int_equal(fw_counters(w.fw)->reassembled, 400);
	pieces_free();
}

/* The largest there is, in the smallest pieces that fit the list, and policy on what only the whole shows. */
static void test_largest(void **state)
{
	(void)state;
	for (int v6 = 0; v6 < 2; v6++) {
		struct packet_spec s = udp(v6, 53, v6 ? 65487 - 40 : 65507);
		pieces_make(&s, 1500, 5);
		for (uint32_t i = cut.count; i-- > 0;)
			assert_int_equal(piece(i), DROP_NONE);
		is_whole();
	}
	pieces_free();
}

static void test_policy_sees_the_whole(void **state)
{
	struct packet_spec s = udp(false, 54, 2000);

	(void)state;
	pieces_make(&s, 1000, 6);
	assert_int_equal(piece(0), DROP_NONE); /* kept */
	assert_int_equal(piece(1), DROP_NONE);
	assert_int_equal(piece(2), DROP_DEFAULT_DENY);
	assert_int_equal(fw_counters(w.fw)->sessions_now, 0);
	/* a wrong checksum of the whole */
	s = udp(false, 53, 2000);
	pieces_make(&s, 1000, 7);
	cut.bytes[1][50] ^= 1;
	assert_int_equal(piece(0), DROP_NONE);
	assert_int_equal(piece(1), DROP_NONE);
	assert_int_equal(piece(2), DROP_L4_CHECKSUM);
	/* what the parser refuses, refused in pieces too */
	s = (struct packet_spec){ .src = INSIDE,
		.dst = OUTSIDE,
		.proto = IP_TCP,
		.src_port = 1000,
		.dst_port = 80,
		.flags = TCP_SYN | TCP_FIN,
		.payload_n = 100 };
	static struct packet room;
	struct train t = packet_make(&room, &s);
	s.flags = TCP_SYN;
	pieces_make(&s, 60, 8);
	cut.bytes[0][20 + 13] = t.ip[20 + 13];
	for (uint32_t i = 0; i + 1 < cut.count; i++)
		assert_int_equal(piece(i), DROP_NONE);
	assert_int_equal(piece(cut.count - 1), DROP_TCP_FLAGS);
	pieces_free();
}

/* ---- pieces by hand ---- */

/* A fragment of a datagram `id` from inside: n octets of `fill` at offset `at`. */
static enum drop_reason hand(bool v6, uint16_t id, uint32_t at, uint32_t n, bool more, uint8_t fill)
{
	static uint8_t b[2048];
	struct ip_addr src, dst;
	uint32_t head = v6 ? 48 : 20;

	addr_parse(&src, v6 ? INSIDE6 : INSIDE);
	addr_parse(&dst, v6 ? OUTSIDE6 : OUTSIDE);
	memset(b, 0, head);
	memset(b + head, fill, n);
	if (v6) {
		b[0] = 0x60;
		store_be16(b + 4, (uint16_t)(8 + n));
		b[6] = IP6_FRAGMENT;
		b[7] = 64;
		memcpy(b + 8, src.b, 16);
		memcpy(b + 24, dst.b, 16);
		b[40] = 47;
		store_be16(b + 42, (uint16_t)(at | more));
		store_be32(b + 44, id);
	} else {
		b[0] = 0x45;
		store_be16(b + 2, (uint16_t)(20 + n));
		store_be16(b + 4, id);
		store_be16(b + 6, (uint16_t)(at / 8 | (more ? IP4_MF : 0)));
		b[8] = 64;
		b[9] = 47;
		memcpy(b + 12, src.b, 4);
		memcpy(b + 16, dst.b, 4);
		store_be16(b + 10, plain_checksum(0, b, 20));
	}
	return send_bytes(b, head + n);
}

#define KEPT(...)                                                                                            \
	do {                                                                                                 \
		assert_int_equal(hand(__VA_ARGS__), DROP_NONE);                                              \
		assert_false(passed_whole());                                                                \
	} while (0)
#define WHOLE(...)                                                                                           \
	do {                                                                                                 \
		assert_int_equal(hand(__VA_ARGS__), DROP_NONE);                                              \
		assert_true(passed_whole());                                                                 \
	} while (0)
#define REFUSED(reason, ...) assert_string_equal(drop_name(hand(__VA_ARGS__)), drop_name(reason))

/* RFC 5722: one overlap ends the datagram; nothing of it is used afterwards. */
static void test_overlap(void **state)
{
	static const struct {
		uint32_t at, n;
		bool more;
	} second[] = { { 0, 80, true }, { 8, 16, true }, { 56, 16, true }, { 56, 8, true }, { 0, 64, true },
		{ 16, 200, true }, { 56, 200, false }, { 0, 72, true } };

	(void)state;
	for (int v6 = 0; v6 < 2; v6++)
		for (uint16_t i = 0; i < COUNT_OF(second); i++) {
			KEPT(v6, i, 0, 64, true, 'a');
			uint64_t gone = fw_counters(w.fw)->fragments_overlap;
			REFUSED(DROP_FRAGMENT_OVERLAP, v6, i, second[i].at, second[i].n, second[i].more, 'b');
			assert_int_equal(fw_counters(w.fw)->fragments_overlap, gone + 1);
			KEPT(v6, i, 64, 64, false, 'a'); /* the rest alone makes nothing */
		}
	assert_int_equal(fw_counters(w.fw)->sessions_now, 0);
	/* an exact repetition is none */
	KEPT(false, 100, 0, 64, true, 'a');
	KEPT(false, 100, 0, 64, true, 'a');
	KEPT(false, 100, 16, 16, true, 'a');
	WHOLE(false, 100, 64, 64, false, 'a');
}

static void test_teardrop(void **state)
{
	(void)state;
	KEPT(false, 1, 0, 36 / 8 * 8, true, 'a');
	REFUSED(DROP_FRAGMENT_OVERLAP, false, 1, 24, 4, false, 'b'); /* inside the first, and the last */
}

/* Offsets near the end: what would end beyond 65535 octets with its header. */
static void test_ping_of_death(void **state)
{
	(void)state;
	REFUSED(DROP_FRAGMENT_INVALID, false, 1, 65528, 8, false, 'a');
	REFUSED(DROP_FRAGMENT_INVALID, false, 1, 65528, 1000, false, 'a');
	REFUSED(DROP_FRAGMENT_INVALID, true, 1, 65528, 8, false, 'a');
	KEPT(false, 1, 65504, 11, false, 'a'); /* 65515 and a header of 20 */
	REFUSED(DROP_FRAGMENT_INVALID, false, 2, 65504, 12, false, 'a');
	KEPT(true, 1, 65488, 7, false, 'a'); /* 65495 and a header of 40 */
	REFUSED(DROP_FRAGMENT_INVALID, true, 2, 65488, 8, false, 'a');
}

/*
 * The first fragment's header is longer than the others': the whole may be too long though each fitted. IPv4
 * with 40 octets of options, IPv6 with 80 of hop-by-hop options.
 */
static void test_longer_header(void **state)
{
	static uint8_t b[2048];
	struct ip_addr src, dst;

	(void)state;
	for (int v6 = 0; v6 < 2; v6++) {
		uint32_t end = v6 ? 65488 : 65504, at = 1448;
		/* the middle, from behind, in 46 pieces */
		KEPT(v6, 9, end, v6 ? 7 : 11, false, 'a');
		for (uint32_t to = end; to > at;) {
			uint32_t n = MIN_OF(to - at, 1448u);
			KEPT(v6, 9, to - n, n, true, 'a');
			to -= n;
		}
		addr_parse(&src, v6 ? INSIDE6 : INSIDE);
		addr_parse(&dst, v6 ? OUTSIDE6 : OUTSIDE);
		memset(b, 'a', sizeof b);
		uint32_t head = v6 ? 128 : 60;
		memset(b, 0, head);
		if (v6) {
			b[0] = 0x60;
			store_be16(b + 4, (uint16_t)(88 + at));
			b[7] = 64;
			memcpy(b + 8, src.b, 16);
			memcpy(b + 24, dst.b, 16);
			b[40] = IP6_FRAGMENT;
			b[41] = 9;
			b[120] = 47;
			store_be16(b + 122, IP6_MF);
			store_be32(b + 124, 9);
		} else {
			b[0] = 0x4f;
			store_be16(b + 2, (uint16_t)(60 + at));
			store_be16(b + 4, 9);
			store_be16(b + 6, IP4_MF);
			b[8] = 64;
			b[9] = 47;
			memcpy(b + 12, src.b, 4);
			memcpy(b + 16, dst.b, 4);
			memset(b + 20, 1, 40); /* fillers */
			store_be16(b + 10, plain_checksum(0, b, 60));
		}
		assert_string_equal(drop_name(send_bytes(b, head + at)), drop_name(DROP_FRAGMENT_INVALID));
	}
	assert_int_equal(fw_counters(w.fw)->sessions_now, 0);
}

/* RFC 1858: a first fragment too small for what policy reads; sizes that no sender makes. */
static void test_tiny_and_odd(void **state)
{
	struct packet_spec s = { .src = INSIDE,
		.dst = OUTSIDE,
		.proto = IP_TCP,
		.src_port = 1000,
		.dst_port = 80,
		.flags = TCP_SYN,
		.payload_n = 20 };

	(void)state;
	pieces_make(&s, 28, 1); /* eight octets of TCP: no flags */
	assert_int_equal(piece(0), DROP_FRAGMENT_INVALID);
	pieces_make(&s, 36, 2);
	assert_int_equal(piece(0), DROP_NONE);
	for (int v6 = 0; v6 < 2; v6++) {
		REFUSED(DROP_FRAGMENT_INVALID, v6, 3, 0, 12, true, 'a'); /* not a multiple of 8 */
		REFUSED(DROP_FRAGMENT_INVALID, v6, 3, 8, 0, true, 'a');	 /* nothing in it */
		REFUSED(DROP_FRAGMENT_INVALID, v6, 3, 8, 0, false, 'a');
		/* two ends, or something behind the end */
		KEPT(v6, 4, 64, 8, false, 'a');
		REFUSED(DROP_FRAGMENT_INVALID, v6, 4, 128, 8, false, 'a');
		KEPT(v6, 5, 64, 8, false, 'a');
		REFUSED(DROP_FRAGMENT_INVALID, v6, 5, 72, 8, true, 'a');
		KEPT(v6, 6, 64, 8, true, 'a');
		REFUSED(DROP_FRAGMENT_INVALID, v6, 6, 8, 8, false, 'a');
	}
	pieces_free();
}

/* RFC 1858 section 4, the other attack: offset 8 must not rewrite the flags of what was let through. */
static void test_overlapping_flags(void **state)
{
	struct packet_spec s = { .src = INSIDE,
		.dst = OUTSIDE,
		.proto = IP_TCP,
		.src_port = 1000,
		.dst_port = 80,
		.flags = TCP_ACK,
		.payload_n = 20 };
	static uint8_t second[64];

	(void)state;
	pieces_make(&s, 44, 1); /* 24 octets and 16 */
	assert_int_equal(piece(0), DROP_NONE);
	memcpy(second, cut.bytes[0], 36);
	store_be16(second + 2, 36);
	store_be16(second + 6, IP4_MF | 1); /* offset 8 */
	second[20 + 5] = TCP_SYN;	    /* where the flags are */
	store_be16(second + 10, 0);
	store_be16(second + 10, plain_checksum(0, second, 20));
	assert_int_equal(send_bytes(second, 36), DROP_FRAGMENT_OVERLAP);
	assert_int_equal(piece(1), DROP_NONE);
	assert_false(passed_whole());
	pieces_free();
}

/* Many small holes: the list of a datagram is bounded (its cost would grow with the square). */
static void test_holes(void **state)
{
	enum drop_reason d = DROP_NONE;
	uint32_t i = 0;

	(void)state;
	for (; i < 4000 && d == DROP_NONE; i++)
		d = hand(false, 1, 16 + 16 * i, 8, true, 'a');
	assert_int_equal(d, DROP_FRAGMENT_LIMIT);
	assert_in_range(i, 60, 70);
	KEPT(false, 1, 0, 16, true, 'a'); /* begins anew, the others are forgotten */
}

static void test_timeout(void **state)
{
	(void)state;
	KEPT(false, 1, 0, 64, true, 'a');
	w.now += 29 * NS_PER_S;
	fw_expire(w.fw, w.now, 100);
	assert_int_equal(fw_counters(w.fw)->fragments_timeout, 0);
	KEPT(false, 1, 64, 64, true, 'a'); /* does not renew */
	w.now += 2 * NS_PER_S;
	fw_expire(w.fw, w.now, 100);
	assert_int_equal(fw_counters(w.fw)->fragments_timeout, 2);
	KEPT(false, 1, 128, 64, false, 'a');
	KEPT(false, 1, 0, 64, true, 'a');
	WHOLE(false, 1, 64, 64, true, 'a');
}

/* More datagrams than there is room: the one that waits longest gives way. */
static void test_room(void **state)
{
	(void)state;
	for (uint16_t i = 0; i < w.limits.reassembly_max; i++, w.now += NS_PER_MS)
		KEPT(false, i, 0, 64, true, 'a');
	KEPT(false, 100, 0, 64, true, 'a');
	assert_int_equal(fw_counters(w.fw)->fragments_limit, 1);
	WHOLE(false, 1, 64, 64, false, 'a');
	KEPT(false, 0, 64, 64, false, 'a'); /* its first piece is gone */
	KEPT(false, 2, 8, 8, true, 'a');
}

/*
 * Places are shared: who fills them all takes none from another zone, nor from another source of its own; an
 * IPv6 host that is a neighbour takes none by its one address, one elsewhere by none of its /64.
 */
static void test_shares(void **state)
{
	static const struct {
		bool v6;
		const char *src, *dst;
		bool many; /* src is the first half of all their addresses */
	} floods[] = { { false, "10.0.0.66", OUTSIDE, false }, { false, OUTSIDE, INSIDE, false },
		{ true, "2001:db8:1::66", OUTSIDE6, false }, { true, OUTSIDE6, INSIDE6, false },
		{ true, "2001:db8:1:66::", OUTSIDE6, true } };
	static uint8_t honest[2][256];
	uint32_t n[2];

	(void)state;
	for (size_t i = 0; i < COUNT_OF(floods); i++) {
		uint32_t mtu = floods[i].v6 ? 128 : 100;
		struct packet_spec s = udp(floods[i].v6, 53, 100), flood = s;
		flood.dst = floods[i].dst;
		pieces_make(&s, mtu, 7);
		assert_int_equal(cut.count, 2);
		for (int k = 0; k < 2; k++)
			memcpy(honest[k], cut.bytes[k], n[k] = cut.n[k]);
		assert_int_equal(send_bytes(honest[0], n[0]), DROP_NONE);
		for (uint32_t id = 0; id < 1000; id++, w.now += NS_PER_MS) {
			char src[ADDR_TEXT_MAX];
			snprintf(src, sizeof src, "%s%x", floods[i].src, id);
			flood.src = floods[i].many ? src : floods[i].src;
			pieces_make(&flood, mtu, id);
			assert_int_equal(piece(0), DROP_NONE);
		}
		assert_int_equal(send_bytes(honest[1], n[1]), DROP_NONE);
		assert_true(passed_whole());
	}
	pieces_free();
}

/* Whole ones of a burst stay until it has left; then there is no room for another, and it is said so. */
static void test_room_in_a_burst(void **state)
{
	struct packet_spec s = udp(false, 53, 100);
	static struct packet rooms[2 * 16];
	uint32_t whole = 0, refused = 0;

	(void)state;
	for (uint32_t i = 0; i < 12; i++) {
		pieces_make(&s, 100, i + 1);
		assert_int_equal(cut.count, 2);
		for (int k = 0; k < 2; k++) {
			struct train t = { .ip = rooms[2 * i + k].room + TRAIN_HEAD_ROOM, .len = cut.n[k] };
			memcpy(t.ip, cut.bytes[k], cut.n[k]);
			assert_int_equal(train_parse(&t), DROP_NONE);
			whole += fw_reassemble(w.fw, &t, TRAIN_NONE, w.now);
			refused += t.drop == DROP_FRAGMENT_LIMIT;
		}
	}
	assert_int_equal(whole, w.limits.reassembly_max);
	assert_int_equal(refused, 2 * (12 - w.limits.reassembly_max));
	fw_reassemble_done(w.fw);
	pieces_make(&s, 100, 99);
	assert_int_equal(piece(0), DROP_NONE);
	assert_int_equal(piece(1), DROP_NONE);
	is_whole();
	pieces_free();
}

/* A fragment within fragments, a fragment header in the wrong chain, and what an atomic one is. */
static void test_nested(void **state)
{
	static uint8_t b[200];
	struct ip_addr src, dst;

	(void)state;
	addr_parse(&src, INSIDE6);
	addr_parse(&dst, OUTSIDE6);
	b[0] = 0x60;
	store_be16(b + 4, 24 + 16);
	b[6] = IP6_FRAGMENT;
	b[7] = 64;
	memcpy(b + 8, src.b, 16);
	memcpy(b + 24, dst.b, 16);
	b[40] = IP6_FRAGMENT; /* an atomic one, then another */
	b[48] = IP_UDP;
	store_be16(b + 50, IP6_MF);
	store_be16(b + 60, 24);
	assert_int_equal(send_bytes(b, 80), DROP_FRAGMENT_INVALID);
	/* fragments whose content is a fragment */
	memset(b + 40, 0, 100);
	b[40] = IP6_FRAGMENT;
	store_be16(b + 42, IP6_MF);
	b[48] = IP_UDP;
	store_be16(b + 50, IP6_MF);
	store_be16(b + 4, 8 + 16);
	assert_int_equal(send_bytes(b, 64), DROP_NONE);
	store_be16(b + 42, 16);
	assert_int_equal(send_bytes(b, 64), DROP_FRAGMENT_INVALID);
	assert_int_equal(fw_counters(w.fw)->sessions_now, 0);
}

/* RFC 3168 section 5.3: one piece marked congested marks the whole. */
static void test_congestion(void **state)
{
	struct packet_spec s = udp(false, 53, 300);

	(void)state;
	pieces_make(&s, 100, 1);
	for (uint32_t i = 0; i < cut.count; i++) {
		cut.bytes[i][1] = i == 1 ? 3 : 2;
		store_be16(cut.bytes[i] + 10, 0);
		store_be16(cut.bytes[i] + 10, plain_checksum(0, cut.bytes[i], 20));
		assert_int_equal(piece(i), DROP_NONE);
	}
	assert_true(passed_whole());
	assert_int_equal(w.t.ip[1], 3);
	pieces_free();
}

/* Random pieces of few datagrams, in all sizes and orders: never more than what was sent, never a wrong
 * octet. */
static void test_random(void **state)
{
	uint64_t seed = 11;
	uint32_t whole = 0;

	(void)state;
	for (uint32_t i = 0; i < 200000; i++) {
		uint32_t id = next_random(&seed) % 12, at = 8 * (next_random(&seed) % 6),
			 n = 8 * (1 + next_random(&seed) % 4);
		if (next_random(&seed) % 3 == 0)
			w.now += NS_PER_S / 4;
		enum drop_reason d = hand(id % 2, (uint16_t)id, at, n, at + n < 40, (uint8_t)id);
		if (i % 64 == 0)
			fw_expire(w.fw, w.now, 100);
		if (d || !passed_whole())
			continue;
		uint32_t head = w.t.l4_offset;
		whole++;
		assert_true(w.t.len - head >= 40 && (w.t.len - head) % 8 == 0);
		for (uint32_t k = head; k < w.t.len; k++)
			assert_int_equal(w.t.ip[k], id);
	}
	assert_true(whole > 1000);
}

#define T(f) cmocka_unit_test_setup_teardown(f, setup, scene_end)

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(test_orders),
		T(test_largest),
		T(test_policy_sees_the_whole),
		T(test_overlap),
		T(test_teardrop),
		T(test_ping_of_death),
		T(test_longer_header),
		T(test_tiny_and_odd),
		T(test_overlapping_flags),
		T(test_holes),
		T(test_timeout),
		T(test_room),
		T(test_shares),
		T(test_room_in_a_burst),
		T(test_nested),
		T(test_congestion),
		T(test_random),
	};
	return cmocka_run_group_tests_name("firewall/fragments", tests, NULL, NULL);
}
