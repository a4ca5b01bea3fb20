/*
 * A packet as the programs read it: headers of Ethernet, IP, TCP and UDP with nothing between them. For carry.bpf.c alone.
 */
#ifndef CARRY_PACKET_H
#define CARRY_PACKET_H

#include "carry/kernel.h"
#include "wire/ip.h"

#if __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__
#define NET16(v) __builtin_bswap16(v)
#define NET32(v) __builtin_bswap32(v)
#else
#define NET16(v) (v)
#define NET32(v) (v)
#endif

struct ip4 {
	uint8_t first, class;
	uint16_t total, id, fragment;
	uint8_t ttl, proto;
	uint16_t csum;
	uint32_t src, dst;
};

struct ip6 {
	uint32_t first;
	uint16_t payload;
	uint8_t next, hops;
	_Alignas(8) uint8_t src[16];
	uint8_t dst[16];
};

/* The beginning of a frame, copied. The IP header is aligned. */
struct frame {
	_Alignas(8) uint16_t zero;
	uint8_t mac[12];
	uint16_t type;
	union {
		struct ip4 v4;
		struct ip6 v6;
	};
};

struct l4 {
	_Alignas(8) uint16_t src_port;
	uint16_t dst_port;
	union {
		uint32_t seq;
		struct {
			uint16_t length, csum;
		};
	};
	uint32_t ack;
	uint8_t offset, flags;
	uint16_t window, tcp_csum, urgent;
};

#define FRAME_IP 14 /* octets in front of the IP header */
#define FRAME_V4 (FRAME_IP + IP4_HEADER_SIZE)
#define FRAME_V6 (FRAME_IP + IP6_HEADER_SIZE)

struct packet {
	struct frame f;
	struct l4 l4;
	uint32_t ip_n;	 /* octets of the IP header */
	uint32_t total;	 /* octets of IP header and payload */
	uint32_t head_n; /* of all headers */
	uint8_t family, proto;
};

_Static_assert(sizeof(struct ip4) == IP4_HEADER_SIZE, "as in the packet");
_Static_assert(sizeof(struct ip6) == IP6_HEADER_SIZE, "as in the packet");
_Static_assert(sizeof(struct l4) == 24 && __builtin_offsetof(struct l4, urgent) == 18, "as in the packet");

static __always_inline int load(const void *skb, uint32_t at, void *to, uint32_t n)
{
	return bpf_skb_load_bytes(skb, at, to, n) == 0;
}

/* The Internet checksum over 32-bit words, folded; RFC 1071. */
static __always_inline uint32_t fold(uint64_t sum)
{
	sum = (sum & 0xffffffff) + (sum >> 32);
	sum = (sum & 0xffffffff) + (sum >> 32);
	sum = (sum & 0xffff) + (sum >> 16);
	sum = (sum & 0xffff) + (sum >> 16);
	return (uint32_t)((sum & 0xffff) + (sum >> 16));
}

static __always_inline uint32_t word(const void *octets)
{
	uint32_t w;

	__builtin_memcpy(&w, octets, sizeof w);
	return w;
}

static __always_inline uint64_t ip4_sum(const struct ip4 *h)
{
	const uint8_t *b = (const uint8_t *)h;

	return (uint64_t)word(b) + word(b + 4) + word(b + 8) + word(b + 12) + word(b + 16);
}

static __always_inline uint64_t sum16(const uint8_t *b)
{
	return (uint64_t)word(b) + word(b + 4) + word(b + 8) + word(b + 12);
}

/* A whole datagram of TCP or UDP, with nothing between the headers that would need a decision. */
static __always_inline int read_ip4(const struct __sk_buff *skb, struct packet *p)
{
	const struct ip4 *h = &p->f.v4;

	p->family = 4;
	p->proto = h->proto;
	p->ip_n = IP4_HEADER_SIZE;
	p->total = NET16(h->total);
	return h->first == 0x45 && !(h->fragment & NET16(IP4_MF | IP4_OFFSET_MASK)) && h->ttl > 1 &&
	       fold(ip4_sum(h)) == 0xffff;
}

static __always_inline int read_ip6(const struct __sk_buff *skb, struct packet *p)
{
	const struct ip6 *h = &p->f.v6;

	p->family = 6;
	p->proto = h->next;
	p->ip_n = IP6_HEADER_SIZE;
	p->total = IP6_HEADER_SIZE + (uint32_t)NET16(h->payload);
	return (h->first & NET32(0xf0000000)) == NET32(0x60000000) && h->hops > 1;
}

static __always_inline int read_tcp(const struct __sk_buff *skb, struct packet *p)
{
	if (!load(skb, FRAME_IP + p->ip_n, &p->l4, TCP_HEADER_SIZE))
		return 0;
	uint32_t n = (uint32_t)(p->l4.offset >> 4) * 4;
	p->head_n = p->ip_n + n;
	/* What begins a connection and URG are never taken: nothing is looked up for them. */
	return n >= TCP_HEADER_SIZE && !(p->l4.flags & TCP_URG) && p->l4.flags & (TCP_ACK | TCP_RST);
}

static __always_inline int read_udp(const struct __sk_buff *skb, struct packet *p)
{
	if (!load(skb, FRAME_IP + p->ip_n, &p->l4, UDP_HEADER_SIZE))
		return 0;
	p->head_n = p->ip_n + UDP_HEADER_SIZE;
	uint32_t length = NET16(p->l4.length);
	/* That of a train is its first segment's or the whole. */
	return skb->gso_size ? length >= UDP_HEADER_SIZE : length == p->total - p->ip_n;
}

static __always_inline int packet_read(const struct __sk_buff *skb, struct packet *p)
{
	int whole;

	if (!load(skb, 0, p->f.mac, FRAME_V4))
		return 0;
	if (p->f.type == NET16(0x0800)) {
		whole = read_ip4(skb, p);
	} else if (p->f.type == NET16(0x86dd)) {
		if (!load(skb, FRAME_V4, (uint8_t *)&p->f.v6 + IP4_HEADER_SIZE, FRAME_V6 - FRAME_V4))
			return 0;
		whole = read_ip6(skb, p);
	} else {
		return 0;
	}
	if (!whole || skb->vlan_present)
		return 0;
	if (p->proto == IP_TCP)
		whole = read_tcp(skb, p);
	else
		whole = p->proto == IP_UDP && read_udp(skb, p);
	if (!whole || p->total < p->head_n)
		return 0;
	/* Short frames are padded; trains are not. */
	uint32_t there = skb->len - FRAME_IP;
	return skb->gso_size ? p->total == there : p->total <= there;
}

#endif
