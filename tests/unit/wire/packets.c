#include "packets.h"
#include "wire/crc32c.h"

#include <assert.h>
#include <stdlib.h>

uint16_t plain_checksum(uint32_t start, const uint8_t *bytes, size_t n)
{
	uint64_t sum = start;

	for (size_t i = 0; i < n; i++)
		sum += i % 2 ? bytes[i] : (uint32_t)bytes[i] << 8;
	while (sum >> 16)
		sum = (sum & 0xffff) + (sum >> 16);
	return (uint16_t)~sum;
}

static uint32_t pseudo(const uint8_t *src, const uint8_t *dst, size_t addr_n, uint8_t proto, size_t l4_n)
{
	uint32_t sum = proto + (uint32_t)(l4_n >> 16) + (uint32_t)(l4_n & 0xffff);

	for (size_t i = 0; i < addr_n; i += 2)
		sum += load_be16(src + i) + load_be16(dst + i);
	return sum;
}

static size_t csum_place(uint8_t proto)
{
	return proto == IP_TCP ? 16 : proto == IP_UDP ? 6 : proto == IP_ICMP || proto == IP_ICMPV6 ? 2 : 0;
}

/* Octet i of a payload that nobody gave is i * 7 + 1. In runs of 256: fuzzers make millions of octets of it. */
static void put_payload(uint8_t *at, const struct packet_spec *s)
{
	uint8_t run[256];

	if (s->payload) {
		memcpy(at, s->payload, s->payload_n);
		return;
	}
	for (size_t i = 0; i < sizeof run; i++)
		run[i] = (uint8_t)(i * 7 + 1);
	for (size_t i = 0; i < s->payload_n; i += sizeof run)
		memcpy(at + i, run, MIN_OF(sizeof run, s->payload_n - i));
}

/* An INIT of all the octets. */
static void put_init(uint8_t *l4, const struct packet_spec *s)
{
	memset(l4, 0, s->payload_n);
	store_be16(l4, s->src_port);
	store_be16(l4 + 2, s->dst_port);
	l4[12] = SCTP_INIT;
	store_be16(l4 + 14, (uint16_t)(s->payload_n - SCTP_HEADER_SIZE));
	store_be32(l4 + 16, 0xabcd1234);
}

static size_t put_l4(uint8_t *l4, const struct packet_spec *s)
{
	size_t head = 0;

	switch (s->proto) {
	case IP_TCP:
		head = TCP_HEADER_SIZE + s->options_n;
		memset(l4, 0, head);
		store_be16(l4, s->src_port);
		store_be16(l4 + 2, s->dst_port);
		store_be32(l4 + 4, s->seq);
		store_be32(l4 + 8, s->ack);
		l4[12] = (uint8_t)(head / 4 << 4);
		l4[13] = s->flags;
		store_be16(l4 + 14, s->window || s->window_closed ? s->window : 65535);
		if (s->options_n)
			memcpy(l4 + TCP_HEADER_SIZE, s->options, s->options_n);
		break;
	case IP_UDP:
		head = UDP_HEADER_SIZE;
		memset(l4, 0, head);
		store_be16(l4, s->src_port);
		store_be16(l4 + 2, s->dst_port);
		store_be16(l4 + 4, (uint16_t)(head + s->payload_n));
		break;
	case IP_ICMP:
	case IP_ICMPV6:
		head = ICMP_HEADER_SIZE;
		memset(l4, 0, head);
		l4[0] = s->icmp_type;
		l4[1] = s->icmp_code;
		if (s->proto == IP_ICMPV6 && (s->icmp_type == 139 || s->icmp_type == 140)) {
			head = 16; /* RFC 4620 section 4: the nonce */
			memset(l4 + ICMP_HEADER_SIZE, 0x5a, 8);
			store_be16(l4 + 8, s->src_port);
			break;
		}
		store_be16(l4 + 4, s->src_port);
		break;
	default:
		break;
	}
	put_payload(l4 + head, s);
	if (s->proto == IP_SCTP && !s->payload && s->payload_n >= SCTP_HEADER_SIZE + 20)
		put_init(l4, s);
	return head + s->payload_n;
}

struct train packet_make(struct packet *p, const struct packet_spec *s)
{
	uint8_t *ip = p->room + TRAIN_HEAD_ROOM;
	struct ip_addr src, dst;

	if (addr_parse(&src, s->src) != RC_OK || addr_parse(&dst, s->dst) != RC_OK)
		abort();
	bool v4 = src.family == ADDR_V4;
	size_t head = v4 ? IP4_HEADER_SIZE : IP6_HEADER_SIZE, addr_n = v4 ? 4 : 16;
	uint8_t *l4 = ip + head;
	size_t l4_n = put_l4(l4, s), at = csum_place(s->proto);
	uint32_t sum = s->proto == IP_ICMP ? 0 : pseudo(src.b, dst.b, addr_n, s->proto, l4_n);

	memset(ip, 0, head);
	if (v4) {
		ip[0] = 0x45;
		store_be16(ip + 2, (uint16_t)(head + l4_n));
		store_be16(ip + 4, (uint16_t)(0x1234 + s->number));
		ip[8] = s->hops ? s->hops : 64;
		ip[9] = s->proto;
		memcpy(ip + 12, src.b, 4);
		memcpy(ip + 16, dst.b, 4);
		store_be16(ip + 10, plain_checksum(0, ip, head));
	} else {
		ip[0] = 0x60;
		store_be16(ip + 4, (uint16_t)l4_n);
		ip[6] = s->proto;
		ip[7] = s->hops ? s->hops : 64;
		memcpy(ip + 8, src.b, 16);
		memcpy(ip + 24, dst.b, 16);
	}
	if (at) {
		uint16_t c =
			s->partial ? (uint16_t)~plain_checksum(sum, NULL, 0) : plain_checksum(sum, l4, l4_n);
		store_be16(l4 + at, c == 0 && s->proto == IP_UDP ? 0xffff : c);
	}
	if (s->proto == IP_SCTP && l4_n >= SCTP_HEADER_SIZE) {
		memset(l4 + SCTP_CSUM, 0, 4);
		uint32_t crc = __builtin_bswap32(crc32c(l4, l4_n)); /* the least octet first */
		store_be32(l4 + SCTP_CSUM, crc);
	}
	return (struct train){ .ip = ip,
		.len = (uint32_t)(head + l4_n),
		.csum = s->partial ? TRAIN_CSUM_PARTIAL : TRAIN_CSUM_VALID,
		.in_interface = TRAIN_NONE,
		.out_interface = TRAIN_NONE,
		.in_zone = TRAIN_NONE,
		.out_zone = TRAIN_NONE,
		.tunnel = TRAIN_NONE,
		.session = TRAIN_NONE,
		.rule = TRAIN_NONE };
}

static size_t put_tunnel(uint8_t *at, enum packet_tunnel how, bool v4)
{
	static const uint8_t ethernet[] = { 2, 0, 0, 0, 9, 1, 2, 0, 0, 0, 9, 2 }, gre_sum[] = { 0xa0, 0 },
			     options[] = { 0, 0, 4, 1, 4, 1, 1, 0 };
	uint16_t type = v4 ? 0x0800 : 0x86dd;

	memset(at, 0, 64);
	switch (how) {
	case IN_GRE:
		store_be16(at + 2, type);
		return 4;
	case IN_GRE_SUM:
		memcpy(at, gre_sum, 2);
		store_be16(at + 2, type);
		store_be32(at + 8, 77);
		return 12;
	case IN_GRE_ETHERNET:
		store_be16(at + 2, 0x6558);
		memcpy(at + 4, ethernet, 12);
		store_be32(at + 16, 0x81000005);
		store_be16(at + 20, type);
		return 22;
	case IN_IP_OPTIONS:
		memcpy(at, options, sizeof options);
		at[0] = v4 ? IP_IPIP : IP_IPV6;
		return sizeof options;
	case IN_VXLAN:
	case IN_VXLAN_NO_SUM:
		at[0] = 8;
		at[6] = 5;
		memcpy(at + 8, ethernet, 12);
		store_be16(at + 20, type);
		return 22;
	default:
		return 0;
	}
}

struct train packet_in(
	struct packet *p, enum packet_tunnel how, struct packet_spec outer, const struct packet_spec *inner)
{
	static struct packet inside;
	static uint8_t bytes[TRAIN_BYTES_MAX];
	struct train t = packet_make(&inside, inner);
	bool v4 = t.ip[0] >> 4 == 4, outer4 = !strchr(outer.src, ':'),
	     udp = how == IN_VXLAN || how == IN_VXLAN_NO_SUM;

	if (how == IN_IP_OPTIONS && outer4)
		how = IN_IP;
	size_t head = put_tunnel(bytes, how, v4), l4 = outer4 ? IP4_HEADER_SIZE : IP6_HEADER_SIZE;
	memcpy(bytes + head, t.ip, t.len);
	if (how == IN_GRE_SUM && !inner->partial)
		store_be16(bytes + 4, plain_checksum(0, bytes, head + t.len));
	outer.proto = udp		     ? IP_UDP
		      : how == IN_IP	     ? (v4 ? IP_IPIP : IP_IPV6)
		      : how == IN_IP_OPTIONS ? IP6_DESTINATION
					     : IP_GRE;
	outer.payload = bytes;
	outer.payload_n = head + t.len;
	outer.partial = udp && inner->partial;
	t = packet_make(p, &outer);
	if (how == IN_VXLAN_NO_SUM)
		store_be16(t.ip + l4 + UDP_CSUM, 0);
	t.csum = how == IN_VXLAN && inner->partial ? TRAIN_CSUM_PARTIAL : TRAIN_CSUM_VALID;
	if (inner->partial)
		t.inner_l4 = (uint16_t)(l4 + (udp ? UDP_HEADER_SIZE : 0) + head +
					(v4 ? IP4_HEADER_SIZE : IP6_HEADER_SIZE));
	return t;
}

static bool sound(const uint8_t *ip, size_t n, bool partial)
{
	bool v4 = n >= 20 && ip[0] >> 4 == 4;
	size_t head = v4 ? 4u * (ip[0] & 15) : 40, addr_n = v4 ? 4 : 16;

	if (n < head || (v4 && plain_checksum(0, ip, head) != 0) ||
		(v4 ? load_be16(ip + 2) : load_be16(ip + 4) + 40u) != n)
		return false;
	uint8_t proto = v4 ? ip[9] : ip[6];
	size_t at = csum_place(proto);
	const uint8_t *l4 = ip + head;
	uint32_t sum = proto == IP_ICMP
			       ? 0
			       : pseudo(ip + (v4 ? 12 : 8), ip + (v4 ? 16 : 24), addr_n, proto, n - head);
	if (at == 0)
		return true;
	if (partial) {
		uint16_t want = (uint16_t)~plain_checksum(sum, NULL, 0), is = load_be16(l4 + at);
		return is == want || (is == 0xffff && want == 0) || (is == 0 && want == 0xffff);
	}
	if (proto == IP_UDP && load_be16(l4 + at) == 0)
		return v4;
	return plain_checksum(sum, l4, n - head) == 0;
}

bool packet_sound(const uint8_t *ip, size_t n)
{
	return sound(ip, n, false);
}

bool packet_sound_inside(const uint8_t *ip, size_t n, const uint8_t **ret_inner)
{
	bool v4 = n >= 20 && ip[0] >> 4 == 4;
	size_t at = v4 ? 20 : 40;
	uint8_t proto = ip[v4 ? 9 : 6];
	bool no_sum = proto == IP_UDP && n > at + 8 && load_be16(ip + at + UDP_CSUM) == 0; /* RFC 6935 */

	*ret_inner = ip;
	if (!no_sum && !packet_sound(ip, n))
		return false;
	if (proto == IP6_DESTINATION) {
		proto = ip[at];
		at += 8;
	}
	if (proto == IP_GRE) {
		bool sum = ip[at] & 0x80, ethernet = load_be16(ip + at + 2) == 0x6558;
		if (sum && plain_checksum(0, ip + at, n - at) != 0)
			return false;
		at += sum ? 12 : ethernet ? 22 : 4;
	} else if (proto == IP_UDP && n > at + 30 && ip[at + 8] == 8 && ip[at + 14] == 5) {
		if (load_be16(ip + at + 4) != n - at)
			return false;
		at += 30;
	} else if (proto != IP_IPIP && proto != IP_IPV6) {
		return true;
	}
	return packet_sound_inside(ip + at, n - at, ret_inner);
}

bool packet_sound_partial(const uint8_t *ip, size_t n)
{
	return sound(ip, n, true);
}
