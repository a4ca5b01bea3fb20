/*
 * NAT64: the addresses of RFC 6052, and packets of both families that the tests' own maker builds side by side: what is
 * translated must be what the other one is, octet for octet, and come back as it was.
 */
#include "packets.h"
#include "wire/nat64.h"

#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>

#define SRC6 "2001:db8:1::7"
#define DST6 "2001:db8:64::c633:6409" /* 198.51.100.9 */
#define SRC4 "203.0.113.5"
#define DST4 "198.51.100.9"

static struct packet room, other, made;
static uint64_t seed = 6052;

static struct ip_addr addr(const char *text)
{
	struct ip_addr a;

	assert_int_equal(addr_parse(&a, text), RC_OK);
	return a;
}

/* ---- addresses ---- */

static const struct {
	const char *prefix, *embedded; /* of 192.0.2.33: RFC 6052 section 2.4 */
} embedded[] = {
	{ "2001:db8::/32", "2001:db8:c000:221::" },
	{ "2001:db8:100::/40", "2001:db8:1c0:2:21::" },
	{ "2001:db8:122::/48", "2001:db8:122:c000:2:2100::" },
	{ "2001:db8:122:300::/56", "2001:db8:122:3c0:0:221::" },
	{ "2001:db8:122:344::/64", "2001:db8:122:344:c0:2:2100:0" },
	{ "2001:db8:122:344::/96", "2001:db8:122:344::c000:221" },
};

static void test_addresses(void **state)
{
	struct ip_addr v4 = addr("192.0.2.33"), back;
	struct ip_prefix p;

	(void)state;
	for (size_t i = 0; i < COUNT_OF(embedded); i++) {
		assert_int_equal(prefix_parse(&p, embedded[i].prefix), RC_OK);
		struct ip_addr a = nat64_embed(&p, &v4), want = addr(embedded[i].embedded);
		assert_true(addr_equal(&a, &want));
		assert_true(nat64_extract(&p, &a, &back));
		assert_true(addr_equal(&back, &v4));
		if (p.bits == 96)
			continue;
		a.b[15] = 1; /* behind the address */
		assert_true(nat64_extract(&p, &a, &back) && addr_equal(&back, &v4));
		a.b[8] = 1; /* within it */
		assert_false(nat64_extract(&p, &a, &back));
	}
}

static const struct {
	const char *addr;
	bool host, global;
} kinds[] = {
	{ "8.8.8.8", true, true },
	{ "10.0.0.1", true, false },
	{ "11.0.0.1", true, true },
	{ "100.63.255.255", true, true },
	{ "100.64.0.1", true, false },
	{ "100.127.255.255", true, false },
	{ "100.128.0.0", true, true },
	{ "172.15.0.1", true, true },
	{ "172.16.0.1", true, false },
	{ "172.31.255.1", true, false },
	{ "172.32.0.1", true, true },
	{ "192.168.7.7", true, false },
	{ "192.0.0.9", true, false },
	{ "192.0.2.33", true, false },
	{ "198.17.0.1", true, true },
	{ "198.19.0.1", true, false },
	{ "198.51.100.1", true, false },
	{ "203.0.113.1", true, false },
	{ "127.0.0.1", false, false },
	{ "0.0.0.1", false, false },
	{ "169.254.1.1", false, false },
	{ "224.0.0.1", false, false },
	{ "240.0.0.1", false, false },
	{ "255.255.255.255", false, false },
	{ "223.255.255.1", true, true },
};

/* Under the well-known prefix, global ones only. */
static void test_hosts(void **state)
{
	struct ip_prefix well, own;

	(void)state;
	assert_int_equal(prefix_parse(&well, "64:ff9b::/96"), RC_OK);
	assert_int_equal(prefix_parse(&own, "2001:db8:64::/96"), RC_OK);
	for (size_t i = 0; i < COUNT_OF(kinds); i++) {
		struct ip_addr v4 = addr(kinds[i].addr), a = nat64_embed(&well, &v4),
			       b = nat64_embed(&own, &v4), is;
		assert_int_equal(nat64_extract(&well, &a, &is), kinds[i].global);
		assert_int_equal(nat64_extract(&own, &b, &is), kinds[i].host);
	}
}

/* ---- packets ---- */

static struct packet_spec spec(bool v6, uint8_t proto, size_t payload_n)
{
	bool icmp = proto == IP_ICMP || proto == IP_ICMPV6;

	return (struct packet_spec){ .src = v6 ? SRC6 : SRC4,
		.dst = v6 ? DST6 : DST4,
		.proto = icmp ? (v6 ? IP_ICMPV6 : IP_ICMP) : proto,
		.src_port = v6 ? 1000 : 42000,
		.dst_port = icmp ? 0 : 80,
		.flags = TCP_SYN,
		.seq = 7,
		.icmp_type = v6 ? ICMP6_ECHO : ICMP4_ECHO,
		.hops = 63,
		.payload_n = payload_n };
}

static struct nat64_ends ends(bool v6, uint8_t proto)
{
	struct packet_spec s = spec(v6, proto, 0);
	bool icmp = proto == IP_ICMP;

	return (struct nat64_ends){ addr(s.src), addr(s.dst), s.src_port, icmp ? s.src_port : s.dst_port };
}

static struct train parsed(struct packet *p, const struct packet_spec *s)
{
	struct train t = packet_make(p, s);

	assert_int_equal(train_parse(&t), DROP_NONE);
	return t;
}

/* Parsed again, the octets say what the fields say. */
static void agrees(const struct train *t)
{
	struct train again = { .ip = t->ip, .len = t->len, .csum = t->csum, .segment_size = t->segment_size };

	assert_int_equal(train_parse(&again), DROP_NONE);
	assert_true(addr_equal(&again.src, &t->src) && addr_equal(&again.dst, &t->dst));
	assert_int_equal(again.len, t->len);
	assert_int_equal(again.src_port, t->src_port);
	assert_int_equal(again.dst_port, t->dst_port);
	assert_int_equal(again.proto, t->proto);
	assert_int_equal(again.l4_offset, t->l4_offset);
	assert_int_equal(again.payload_offset, t->payload_offset);
	assert_int_equal(again.icmp_type, t->icmp_type);
	assert_int_equal(again.hop_limit, t->hop_limit);
	assert_int_equal(again.traffic_class, t->traffic_class);
	if (t->src.family == ADDR_V4 && !(t->flags & TRAIN_REASSEMBLED))
		assert_int_equal(again.dont_fragment, t->dont_fragment);
}

static void like(const struct train *is, const struct train *want)
{
	assert_int_equal(is->len - is->l4_offset, want->len - want->l4_offset);
	assert_memory_equal(is->ip + is->l4_offset, want->ip + want->l4_offset, want->len - want->l4_offset);
}

static void there_and_back(uint8_t proto, size_t payload_n, bool partial)
{
	for (int from6 = 0; from6 < 2; from6++) {
		struct packet_spec a = spec(from6, proto, payload_n), b = spec(!from6, proto, payload_n);
		a.partial = b.partial = partial;
		struct train t = parsed(&room, &a), want = parsed(&other, &b), was = parsed(&made, &a);
		struct nat64_ends to = ends(!from6, proto), home = ends(from6, proto);
		assert_true(nat64_translate(&t, &to, 77));
		agrees(&t);
		assert_true(partial ? packet_sound_partial(t.ip, t.len) : packet_sound(t.ip, t.len));
		like(&t, &want);
		if (from6) { /* RFC 7915 section 5.1 */
			assert_int_equal(t.dont_fragment, t.len > 1260);
			assert_int_equal(load_be16(t.ip + 4), t.len > 1260 ? 0 : 77);
		}
		assert_true(nat64_translate(&t, &home, 77));
		agrees(&t);
		like(&t, &was);
	}
}

static void test_packets(void **state)
{
	static const size_t sizes[] = { 0, 1, 7, 8, 9, 100, 1212, 1213, 1232, 1400, 9000 };

	(void)state;
	for (size_t i = 0; i < COUNT_OF(sizes); i++) {
		there_and_back(IP_TCP, sizes[i], false);
		there_and_back(IP_UDP, sizes[i], false);
		there_and_back(IP_ICMP, sizes[i], false);
		there_and_back(IP_TCP, sizes[i], true);
		there_and_back(IP_UDP, sizes[i], true);
	}
}

/* All of a train's segments shrink, and its headers say so. */
static void test_trains(void **state)
{
	(void)state;
	for (int udp = 0; udp < 2; udp++) {
		struct packet_spec s = spec(true, udp ? IP_UDP : IP_TCP, 20000);
		s.partial = true;
		s.flags = TCP_ACK;
		struct train t = packet_make(&room, &s);
		t.segment_size = 1400;
		assert_int_equal(train_parse(&t), DROP_NONE);
		struct nat64_ends to = ends(false, IP_TCP);
		assert_true(nat64_translate(&t, &to, 1));
		agrees(&t);
		assert_int_equal(t.segment_size, 1400);
		assert_true(t.dont_fragment);
		assert_true(packet_sound_partial(t.ip, t.len));
	}
}

/* UDP may have no checksum over IPv4, never over IPv6. */
static void test_udp_without_checksum(void **state)
{
	struct packet_spec s = spec(false, IP_UDP, 33), s6 = spec(true, IP_UDP, 33);
	struct nat64_ends to6 = ends(true, IP_UDP), to4 = ends(false, IP_UDP);
	struct train t = parsed(&room, &s), want = parsed(&other, &s6);

	(void)state;
	store_be16(t.ip + t.l4_offset + UDP_CSUM, 0);
	assert_true(nat64_translate(&t, &to6, 1));
	like(&t, &want);
	store_be16(t.ip + t.l4_offset + UDP_CSUM, 0);
	assert_false(nat64_translate(&t, &to4, 1));
	like(&t, &t);
	/* a train of such */
	s.payload_n = 3000;
	t = packet_make(&room, &s);
	t.segment_size = 1000;
	assert_int_equal(train_parse(&t), DROP_NONE);
	store_be16(t.ip + t.l4_offset + UDP_CSUM, 0);
	assert_true(nat64_translate(&t, &to6, 1));
	assert_int_equal(t.csum, TRAIN_CSUM_PARTIAL);
	assert_true(packet_sound_partial(t.ip, t.len));
}

/* Without DF an IPv4 packet leaves in IPv6 fragments of 1280 octets at most; with it whole. */
static void test_fragments(void **state)
{
	struct nat64_ends to6 = ends(true, IP_UDP), to4 = ends(false, IP_UDP);

	(void)state;
	for (uint32_t k = 0; k < 8; k++) {
		bool large = k & 1, df = k & 2, came_in_pieces = k & 4;
		struct packet_spec s = spec(false, IP_UDP, large ? 2000 : 1200);
		struct train t = parsed(&room, &s);
		t.dont_fragment = df;
		t.flags |= came_in_pieces ? TRAIN_REASSEMBLED : 0;
		t.fragment_max = 1500;
		assert_true(nat64_translate(&t, &to6, 1));
		bool pieces = large && (!df || came_in_pieces);
		assert_int_equal(t.flags & TRAIN_REASSEMBLED ? 1 : 0, pieces);
		assert_true(t.dont_fragment && (!pieces || t.fragment_max == 1280));
		/* the other way: as large as the fragments were, less what their headers were longer */
		s = spec(true, IP_UDP, large ? 2000 : 1200);
		t = parsed(&room, &s);
		t.flags |= came_in_pieces ? TRAIN_REASSEMBLED : 0;
		t.fragment_max = 1480;
		assert_true(nat64_translate(&t, &to4, 9));
		assert_int_equal(t.dont_fragment, large && !came_in_pieces);
		assert_int_equal(t.fragment_max, came_in_pieces ? 1452 : 1480);
	}
}

/* Extension headers go; an unknown ICMP type does not. */
static void test_what_is_left_out(void **state)
{
	struct packet_spec s = spec(true, IP_TCP, 50), s4 = spec(false, IP_TCP, 50);
	struct nat64_ends to4 = ends(false, IP_TCP), to6 = ends(true, IP_ICMP);
	struct train t = packet_make(&room, &s), want = parsed(&other, &s4);

	(void)state;
	memmove(t.ip - 8, t.ip, 40);
	t.ip -= 8;
	t.len += 8;
	store_be16(t.ip + 4, (uint16_t)(t.len - 40));
	t.ip[6] = IP6_DESTINATION;
	memcpy(t.ip + 40, (uint8_t[]){ IP_TCP, 0, 1, 4, 0, 0, 0, 0 }, 8);
	assert_int_equal(train_parse(&t), DROP_NONE);
	assert_int_equal(t.l4_offset, 48);
	assert_true(nat64_translate(&t, &to4, 1));
	agrees(&t);
	like(&t, &want);
	s = spec(false, IP_ICMP, 12);
	s.icmp_type = 13; /* timestamp */
	t = parsed(&room, &s);
	assert_false(nat64_translate(&t, &to6, 1));
	assert_true(packet_sound(t.ip, t.len));
}

/* ICMP checks a sum over nothing but zeros as all ones. */
static void test_zeros(void **state)
{
	uint8_t zeros[8] = { 0 };
	struct packet_spec s = spec(true, IP_ICMPV6, 8);
	struct nat64_ends to = ends(false, IP_ICMP);

	(void)state;
	s.icmp_type = ICMP6_ECHO_REPLY;
	s.payload = zeros;
	to.src_port = to.dst_port = 0;
	struct train t = parsed(&room, &s);
	assert_true(nat64_translate(&t, &to, 1));
	assert_true(packet_sound(t.ip, t.len));
	for (uint32_t i = 0; i < 200000; i++) { /* any sum */
		uint8_t payload[4];
		store_be32(payload, next_random(&seed));
		bool from6 = i & 1, udp = i & 2;
		s = spec(from6, udp ? IP_UDP : IP_TCP, 4);
		s.payload = payload;
		s.src_port = (uint16_t)next_random(&seed);
		to = ends(!from6, IP_TCP);
		to.src_port = (uint16_t)next_random(&seed);
		t = parsed(&room, &s);
		assert_true(nat64_translate(&t, &to, 1));
		assert_true(packet_sound(t.ip, t.len));
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_addresses),
		cmocka_unit_test(test_hosts),
		cmocka_unit_test(test_packets),
		cmocka_unit_test(test_trains),
		cmocka_unit_test(test_udp_without_checksum),
		cmocka_unit_test(test_fragments),
		cmocka_unit_test(test_what_is_left_out),
		cmocka_unit_test(test_zeros),
	};
	return cmocka_run_group_tests_name("wire/nat64", tests, NULL, NULL);
}
