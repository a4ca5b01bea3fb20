/*
 * A packet for each screen of headers: it meets that one, with that one alone on; every shorter part of it is read
 * without harm; ordinary packets, and the captures of real traffic, meet none that they should not.
 */
#include "../wire/capture.h"
#include "packets.h"
#include "screen/screen.h"

#include <glob.h>
#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define ROOM 2048
struct built {
	uint8_t b[ROOM];
	size_t n;
};

static void put(struct built *p, const void *bytes, size_t n)
{
	assert_true(p->n + n <= ROOM);
	if (n > 0)
		memcpy(p->b + p->n, bytes, n);
	p->n += n;
}

static void ip4_finish(struct built *p)
{
	store_be16(p->b + 2, (uint16_t)p->n);
	store_be16(p->b + 10, 0);
	store_be16(p->b + 10, plain_checksum(0, p->b, 4u * (p->b[0] & 15)));
}

/* From 192.0.2.1 to 10.1.0.2. */
static struct built ip4(
	uint8_t proto, uint16_t fragment, const void *options, size_t options_n, const void *body, size_t n)
{
	struct built p = { .n = 20 };

	p.b[0] = (uint8_t)(0x45 + options_n / 4);
	store_be16(p.b + 6, fragment);
	p.b[8] = 64;
	p.b[9] = proto;
	memcpy(p.b + 12, "\xc0\x00\x02\x01\x0a\x01\x00\x02", 8);
	put(&p, options, options_n);
	put(&p, body, n);
	ip4_finish(&p);
	return p;
}

/* From 2001:db8::1 to 2001:db8:1::2. */
static struct built ip6(uint8_t next, const void *body, size_t n)
{
	struct built p = { .n = 40 };

	p.b[0] = 0x60;
	store_be16(p.b + 4, (uint16_t)n);
	p.b[6] = next;
	p.b[7] = 64;
	memcpy(p.b + 8,
		"\x20\x01\x0d\xb8\0\0\0\0\0\0\0\0\0\0\0\x01\x20\x01\x0d\xb8\0\x01\0\0\0\0\0\0\0\0\0\x02", 32);
	put(&p, body, n);
	return p;
}

static struct built tcp(uint8_t flags, uint16_t port, uint16_t fragment)
{
	uint8_t b[40] = { 0x10, 0x00 };

	store_be16(b + 2, port);
	b[12] = 0x50;
	b[13] = flags;
	return ip4(IP_TCP, fragment, NULL, 0, b, sizeof b);
}

static struct built option(uint8_t kind, uint8_t n)
{
	uint8_t o[12] = { kind, n }, body[8] = { 0x10, 0, 0, 53, 0, 8 };

	return ip4(IP_UDP, 0, o, sizeof o, body, sizeof body);
}

/* A chain of these headers, each of eight octets, the first of which holds `first` after its length. */
static struct built chain(const uint8_t *headers, size_t n, const void *first)
{
	uint8_t b[256] = { 0 };

	for (size_t i = 0; i < n; i++) {
		b[8 * i] = i + 1 < n ? headers[i + 1] : IP_UDP;
		memcpy(b + 8 * i + 2, i == 0 && first ? first : "\x01\x04\0\0\0\0", 6);
	}
	memcpy(b + 8 * n, "\x10\0\0\x35\0\x08\0\0", 8);
	return ip6(headers[0], b, 8 * n + 8);
}

static struct built header(uint8_t kind)
{
	static const uint8_t zeros[24];
	if (kind == IP6_HOP_BY_HOP || kind == IP6_DESTINATION || kind == IP6_FRAGMENT)
		return chain(&kind, 1, kind == IP6_FRAGMENT ? "\0\0\0\0\0\0" : NULL);
	if (kind == IP6_ROUTING) /* type 2 */
		return chain(&kind, 1, "\x02\0\0\0\0\0");
	if (kind == IP_AH)
		return ip6(kind, "\x11\x01\0\0\0\0\0\x01\0\0\0\x01\x10\0\0\x35\0\x08\0\0", 20);
	return ip6(kind, zeros, kind == IP6_NO_NEXT ? 0 : sizeof zeros);
}

static struct built ip6_option(uint8_t kind)
{
	uint8_t first[6] = { kind, 4 },
		chained = kind == 0xc2 || kind == 5 ? IP6_HOP_BY_HOP : IP6_DESTINATION;

	return chain(&chained, 1, first);
}

static struct built small4(const char *src, uint8_t proto)
{
	struct ip_addr a;
	struct built p = ip4(proto, 0, NULL, 0, "\x10\0\0\x35\0\x08\0\0", 8);

	assert_int_equal(addr_parse(&a, src), 0);
	memcpy(p.b + 12, a.b, 4);
	ip4_finish(&p);
	return p;
}

static struct built small6(const char *src)
{
	struct ip_addr a;
	struct built p = ip6(IP_UDP, "\x10\0\0\x35\0\x08\0\0", 8);

	assert_int_equal(addr_parse(&a, src), 0);
	memcpy(p.b + 8, a.b, 16);
	return p;
}

static struct built in(bool outer4, uint8_t proto, struct built inner)
{
	return outer4 ? ip4(proto, 0, NULL, 0, inner.b, inner.n) : ip6(proto, inner.b, inner.n);
}

static struct built gre(bool outer4, struct built inner)
{
	struct built b = { 0 };

	put(&b, inner.b[0] >> 4 == 4 ? "\x20\0\x08\0\0\0\0\x07" : "\x20\0\x86\xdd\0\0\0\x07",
		8); /* with a key */
	put(&b, inner.b, inner.n);
	return in(outer4, IP_GRE, b);
}

static struct built teredo(const void *before, size_t n)
{
	struct built b = { 0 }, inner = small6("2001::5");

	put(&b, "\x0d\xd8\x0d\xd8\0\0\0\0", 8);
	put(&b, before, n);
	put(&b, inner.b, inner.n);
	return in(true, IP_UDP, b);
}

static struct built icmp6(uint8_t type, size_t n)
{
	uint8_t b[8] = { type };

	return ip6(IP_ICMPV6, b, n);
}

static struct built icmp_large(void)
{
	static uint8_t b[1005] = { 8 };

	return ip4(IP_ICMP, 0, NULL, 0, b, sizeof b);
}

static struct built bad_length6(void)
{
	struct built p = small6("2001:db8::1");

	store_be16(p.b + 4, 900);
	return p;
}

static struct built land(void)
{
	struct built p = tcp(TCP_SYN, 80, 0);

	memcpy(p.b + 12, p.b + 16, 4);
	ip4_finish(&p);
	return p;
}

static struct built four_headers(void)
{
	return chain((const uint8_t[]){ IP6_DESTINATION, IP6_DESTINATION, IP6_DESTINATION, IP6_DESTINATION },
		4, NULL);
}

static struct built packet_of_ip4(enum screen i)
{
	switch (i) {
	case SCREEN_ICMP_FRAGMENT:
		return ip4(IP_ICMP, IP4_MF, NULL, 0, "\x08\0\0\0\0\0\0\0", 8);
	case SCREEN_ICMP_LARGE:
		return icmp_large();
	case SCREEN_ICMP_PING_DEATH:
		return ip4(IP_ICMP, 8190, NULL, 0, "\x08\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0", 16);
	case SCREEN_ICMPV6_MALFORMED:
		return icmp6(135, 8);
	case SCREEN_IP_BAD_OPTION:
		return option(7, 200);
	case SCREEN_IP_RECORD_ROUTE:
		return option(7, 11);
	case SCREEN_IP_TIMESTAMP:
		return option(68, 12);
	case SCREEN_IP_SECURITY:
		return option(130, 11);
	case SCREEN_IP_STREAM:
		return option(136, 4);
	case SCREEN_IP_LOOSE_ROUTE:
	case SCREEN_IP_SOURCE_ROUTE:
		return option(131, 11);
	case SCREEN_IP_STRICT_ROUTE:
		return option(137, 11);
	case SCREEN_IP_BLOCK_FRAG:
		return ip4(IP_UDP, 100, NULL, 0, "abcdefgh", 8);
	case SCREEN_IP_UNKNOWN_PROTOCOL:
		return ip4(137, 0, NULL, 0, "abcdefgh", 8);
	case SCREEN_TCP_LAND:
		return land();
	case SCREEN_TCP_WINNUKE:
		return tcp(TCP_ACK | TCP_URG, 139, 0);
	case SCREEN_TCP_SYN_FRAG:
		return tcp(TCP_SYN, 80, IP4_MF);
	case SCREEN_TCP_NO_FLAG:
		return tcp(0, 80, 0);
	case SCREEN_TCP_SYN_FIN:
		return tcp(TCP_SYN | TCP_FIN, 80, 0);
	case SCREEN_TCP_FIN_NO_ACK:
		return tcp(TCP_FIN, 80, 0);
	default: /* by what has come before, not by its headers */
		return (struct built){ 0 };
	}
}

static struct built packet_of_ip6(enum screen i)
{
	switch (i) {
	case SCREEN_IP6_MALFORMED:
		return bad_length6();
	case SCREEN_IP6_HEADER_LIMIT:
		return four_headers();
	case SCREEN_IP6_HOP_BY_HOP:
		return header(IP6_HOP_BY_HOP);
	case SCREEN_IP6_ROUTING:
		return header(IP6_ROUTING);
	case SCREEN_IP6_FRAGMENT:
		return header(IP6_FRAGMENT);
	case SCREEN_IP6_DESTINATION:
		return header(IP6_DESTINATION);
	case SCREEN_IP6_AH:
		return header(IP_AH);
	case SCREEN_IP6_ESP:
		return header(IP_ESP);
	case SCREEN_IP6_MOBILITY:
		return header(135);
	case SCREEN_IP6_HIP:
		return header(139);
	case SCREEN_IP6_SHIM6:
		return header(140);
	case SCREEN_IP6_NO_NEXT:
		return header(IP6_NO_NEXT);
	case SCREEN_IP6_JUMBO:
		return ip6_option(0xc2);
	case SCREEN_IP6_ROUTER_ALERT:
		return ip6_option(5);
	case SCREEN_IP6_QUICK_START:
		return ip6_option(0x26);
	case SCREEN_IP6_CALIPSO:
		return ip6_option(7);
	case SCREEN_IP6_SMF_DPD:
		return ip6_option(8);
	case SCREEN_IP6_TUNNEL_LIMIT:
		return ip6_option(4);
	case SCREEN_IP6_HOME_ADDRESS:
		return ip6_option(0xc9);
	case SCREEN_IP6_ILNP_NONCE:
		return ip6_option(0x8b);
	case SCREEN_IP6_LINE_ID:
		return ip6_option(0x8c);
	default:
		return packet_of_ip4(i);
	}
}

static struct built packet_of(enum screen i)
{
	switch (i) {
	case SCREEN_TUNNEL_GRE_4IN4:
		return gre(true, small4("10.9.0.1", IP_UDP));
	case SCREEN_TUNNEL_GRE_4IN6:
		return gre(false, small4("10.9.0.1", IP_UDP));
	case SCREEN_TUNNEL_GRE_6IN4:
		return gre(true, small6("2001:db8:9::1"));
	case SCREEN_TUNNEL_GRE_6IN6:
		return gre(false, small6("2001:db8:9::1"));
	case SCREEN_TUNNEL_4IN4:
		return in(true, IP_IPIP, small4("10.9.0.1", IP_UDP));
	case SCREEN_TUNNEL_4IN6:
		return in(false, IP_IPIP, small4("10.9.0.1", IP_UDP));
	case SCREEN_TUNNEL_6IN4:
		return in(true, IP_IPV6, small6("2001:db8:9::1"));
	case SCREEN_TUNNEL_6IN6:
		return in(false, IP_IPV6, small6("2001:db8:9::1"));
	case SCREEN_TUNNEL_6TO4:
		return in(true, IP_IPV6, small6("2002:c000:201::1"));
	case SCREEN_TUNNEL_ISATAP:
		return in(true, IP_IPV6, small6("2001:db8:9::200:5efe:c000:201"));
	case SCREEN_TUNNEL_DS_LITE:
		return in(false, IP_IPIP, small4("192.0.0.2", IP_UDP));
	case SCREEN_TUNNEL_TEREDO:
		return teredo("\0\1\0\0abcdefgh\0\0\0\1\2\3\4\5\6", 21);
	case SCREEN_TUNNEL_NESTED:
		return in(true, IP_IPIP, small4("10.9.0.1", IP_GRE));
	case SCREEN_TUNNEL_BAD_INNER:
		return in(true, IP_IPIP, small4("127.0.0.1", IP_UDP));
	default:
		return packet_of_ip6(i);
	}
}

static enum screen meets(const struct snap_screen *x, const struct built *p, size_t n)
{
	uint8_t *exact = malloc(n + 1); /* the sanitizer sees each octet read too many */
	assert_non_null(exact);
	memcpy(exact, p->b, n);
	struct train t = { .ip = exact, .len = (uint32_t)n };
	train_parse(&t);
	enum screen i = screen_headers(x, &t);
	free(exact);
	return i;
}

static struct snap_screen all(void)
{
	struct snap_screen x = { 0 };

	for (uint32_t i = 0; i < SCREEN_COUNT; i++)
		screen_add(&x.on, (enum screen)i);
	x.limit[SCREEN_IP6_HEADER_LIMIT] = 3;
	return x;
}

static void each_is_met(void **state)
{
	uint32_t n = 0;

	for (uint32_t i = 0; i < SCREEN_COUNT; i++) {
		struct built p = packet_of((enum screen)i);
		struct snap_screen x = { 0 };
		x.limit[SCREEN_IP6_HEADER_LIMIT] = 3;
		if (p.n == 0)
			continue;
		n++;
		assert_int_equal(meets(&x, &p, p.n), SCREEN_NONE);
		screen_add(&x.on, (enum screen)i);
		if (meets(&x, &p, p.n) != i)
			fail_msg("%s is not met", screen_row((enum screen)i)->name);
		for (size_t k = 0; k < p.n; k++)
			meets(&x, &p, k);
	}
	assert_int_equal(n, SCREEN_COUNT - 17); /* tear-drop, spoofing, and those that count */
}

/* With all on, none takes what a more particular one is for; but an IPv4 source route is always a loose or a strict one. */
static void particular_first(void **state)
{
	const struct snap_screen x = all();

	for (uint32_t i = 0; i < SCREEN_COUNT; i++) {
		struct built p = packet_of((enum screen)i);
		if (p.n == 0)
			continue;
		enum screen first = meets(&x, &p, p.n);
		if (first != (i == SCREEN_IP_SOURCE_ROUTE ? SCREEN_IP_LOOSE_ROUTE : i))
			fail_msg("%s is taken by %s", screen_row((enum screen)i)->name,
				first < SCREEN_COUNT ? screen_row(first)->name : "none");
	}
}

/* A SYN in fragments is known in the first one, or in the whole if that one held nothing but options. */
static void in_fragments(void **state)
{
	struct snap_screen x = { 0 };
	uint8_t b[28] = { IP_TCP, 0, 1, 4, 0, 0, 0, 0, 0x10, 0, 0, 80 };

	b[20] = 0x50;
	b[21] = TCP_SYN;
	struct built whole = ip6(IP6_DESTINATION, b, sizeof b);
	screen_add(&x.on, SCREEN_TCP_SYN_FRAG);
	assert_int_equal(meets(&x, &whole, whole.n), SCREEN_NONE);
	struct train t = { .ip = whole.b, .len = (uint32_t)whole.n, .flags = TRAIN_REASSEMBLED };
	train_parse(&t);
	assert_int_equal(screen_headers(&x, &t), SCREEN_TCP_SYN_FRAG);
}

/* The lengths of a tunnel's inner packet are those of the whole, of which the first fragment has a part. */
static void tunnel_in_fragments(void **state)
{
	static const enum screen tunnels[] = { SCREEN_TUNNEL_GRE_4IN4, SCREEN_TUNNEL_4IN4, SCREEN_TUNNEL_6IN4,
		SCREEN_TUNNEL_TEREDO };
	struct snap_screen x = { 0 };

	screen_add(&x.on, SCREEN_TUNNEL_BAD_INNER);
	for (uint32_t i = 0; i < COUNT_OF(tunnels); i++) {
		struct built p = packet_of(tunnels[i]);
		assert_int_equal(meets(&x, &p, p.n), SCREEN_NONE);
		p.n -= 8;
		ip4_finish(&p);
		assert_int_equal(meets(&x, &p, p.n), SCREEN_TUNNEL_BAD_INNER);
		store_be16(p.b + 6, IP4_MF);
		ip4_finish(&p);
		assert_int_equal(meets(&x, &p, p.n), SCREEN_NONE);
	}
}

static void ordinary(void **state)
{
	const struct snap_screen x = all();
	const struct built some[] = { tcp(TCP_SYN, 80, 0), tcp(TCP_ACK | TCP_PSH, 80, 0),
		tcp(TCP_ACK | TCP_FIN, 80, 0), tcp(TCP_RST, 80, 0), tcp(TCP_ACK | TCP_URG, 80, 0),
		small6("2001:db8::1"), small4("192.0.2.1", IP_UDP), small4("192.0.2.1", IP_ESP),
		icmp6(128, 8), ip4(IP_ICMP, 0, NULL, 0, "\x08\0\0\0\0\0\0\0", 8) };

	for (size_t i = 0; i < COUNT_OF(some); i++)
		if (meets(&x, &some[i], some[i].n) != SCREEN_NONE)
			fail_msg("ordinary packet %zu meets %s", i,
				screen_row(meets(&x, &some[i], some[i].n))->name);
}

/* What is said to be ordinary meets nothing when it is looked at. */
static void short_cut(void **state)
{
	const struct snap_screen x = all();
	uint64_t seed = 4;

	for (int i = 0; i < 200000; i++) {
		struct built p = packet_of((enum screen)(next_random(&seed) % SCREEN_COUNT));
		if (p.n == 0)
			p = tcp((uint8_t)next_random(&seed), (uint16_t)next_random(&seed), 0);
		for (uint32_t k = next_random(&seed) % 3; k > 0; k--)
			p.b[next_random(&seed) % p.n] = (uint8_t)next_random(&seed);
		if (p.b[0] >> 4 == 4 && p.b[0] % 16 >= 5 && 4u * (p.b[0] % 16) <= p.n) {
			store_be16(p.b + 10, 0);
			store_be16(p.b + 10, plain_checksum(0, p.b, 4u * (p.b[0] & 15)));
		}
		struct train t = { .ip = p.b, .len = (uint32_t)p.n };
		train_parse(&t);
		if (!screen_is_ordinary(&t))
			continue;
		struct train looked = t;
		looked.drop = DROP_MALFORMED;
		looked.len = t.len;
		enum screen met = screen_headers(&x, &looked);
		if (met != SCREEN_NONE)
			fail_msg("ordinary, but meets %s", screen_row(met)->name);
	}
}

/* Which screens real traffic of the collections meets: fragments, tunnels, extension headers and such are there on purpose;
 * what no honest host sends is rare. */
static void capture_read(
	const char *path, const struct snap_screen *x, uint64_t *packets, uint64_t met[SCREEN_COUNT])
{
	struct capture c;
	const uint8_t *ip;
	size_t n;

	if (!capture_open(&c, path))
		return;
	while (capture_next(&c, &ip, &n)) {
		struct built p = { .n = n };
		if (!ip || n > ROOM)
			continue;
		memcpy(p.b, ip, n);
		enum screen i = meets(x, &p, n);
		++*packets;
		if (i != SCREEN_NONE)
			met[i]++;
	}
	capture_close(&c);
}

static void captures(void **state)
{
	uint64_t packets = 0, met[SCREEN_COUNT] = { 0 }, attacks = 0;
	const struct snap_screen x = all();
	char pattern[4096];
	glob_t files;

	if (!captures_folder())
		skip();
	snprintf(pattern, sizeof pattern, "%s/*/*", captures_folder());
	assert_int_equal(glob(pattern, 0, NULL, &files), 0);
	for (size_t i = 0; i < files.gl_pathc; i++)
		capture_read(files.gl_pathv[i], &x, &packets, met);
	globfree(&files);
	for (uint32_t i = 0; i < SCREEN_COUNT; i++) {
		if (met[i])
			print_message("%s: %lu\n", screen_row((enum screen)i)->name, (unsigned long)met[i]);
		if (i == SCREEN_TCP_WINNUKE || i == SCREEN_TCP_SYN_FRAG || i == SCREEN_TCP_NO_FLAG ||
			i == SCREEN_TCP_SYN_FIN || i == SCREEN_TCP_FIN_NO_ACK ||
			i == SCREEN_ICMP_PING_DEATH || i == SCREEN_IP_SECURITY || i == SCREEN_IP_STREAM ||
			i == SCREEN_IP_STRICT_ROUTE)
			attacks += met[i];
	}
	print_message("%lu packets\n", (unsigned long)packets);
	assert_true(packets > 1000);
	assert_true(attacks * 500 < packets);
}

int main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(each_is_met), cmocka_unit_test(particular_first),
		cmocka_unit_test(in_fragments), cmocka_unit_test(tunnel_in_fragments),
		cmocka_unit_test(ordinary), cmocka_unit_test(short_cut), cmocka_unit_test(captures) };
	return cmocka_run_group_tests_name("screens of headers", tests, NULL, NULL);
}
