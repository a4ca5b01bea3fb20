/*
 * Packets for the tests: built octet by octet, with checksums from a plain loop of their own, so that what
 * src/wire computes is held against something else. Also used by the fuzzers to make their input a packet.
 */
#ifndef TESTS_WIRE_PACKETS_H
#define TESTS_WIRE_PACKETS_H

#include "wire/ip.h"
#include "wire/train.h"

/* A buffer with room around the packet. */
struct packet {
	uint8_t room[TRAIN_HEAD_ROOM + TRAIN_BYTES_MAX + TRAIN_TAIL_ROOM];
};

struct packet_spec {
	const char *src, *dst;
	uint8_t proto;		     /* IP_TCP, IP_UDP, IP_ICMP, IP_ICMPV6 or any other */
	uint16_t src_port, dst_port; /* ICMP: src_port is the identifier */
	uint8_t flags;		     /* TCP */
	uint32_t seq, ack;
	uint16_t window; /* 0: 65535 */
	bool window_closed;
	uint8_t icmp_type, icmp_code;
	const uint8_t *options; /* TCP, a multiple of 4 octets */
	size_t options_n;
	const uint8_t *payload; /* NULL: a pattern */
	size_t payload_n;
	uint8_t hops;	 /* 0: 64 */
	bool partial;	 /* leave the L4 checksum to the NIC */
	uint16_t number; /* of one of several, in the IPv4 identification */
};

/* Builds it and gives a train over it, not parsed, csum VALID or PARTIAL. */
struct train packet_make(struct packet *p, const struct packet_spec *s);

/* Tunnels that stand inside of what is forwarded. */
enum packet_tunnel {
	IN_GRE,
	IN_GRE_SUM,	 /* with a key and a checksum */
	IN_GRE_ETHERNET, /* and a VLAN */
	IN_IP,
	IN_IP_OPTIONS, /* IPv6 with a destination option in front, as ip6tnl makes it; IPv4 as IN_IP */
	IN_VXLAN,
	IN_VXLAN_NO_SUM,
	IN_COUNT
};

/*
 * The inner packet in a tunnel from outer->src to outer->dst (ports: IN_VXLAN's). inner->partial: as kernels
 * leave a train, lacking its segment_size.
 */
struct train packet_in(
	struct packet *p, enum packet_tunnel how, struct packet_spec outer, const struct packet_spec *inner);

/* The Internet checksum of n octets and a start value, octet by octet; 0 when the data holds a right one. */
uint16_t plain_checksum(uint32_t start, const uint8_t *bytes, size_t n);

/* Are all checksums of this packet right (IPv4 header, TCP, UDP, ICMP)? */
bool packet_sound(const uint8_t *ip, size_t n);
/* And those of the packets that stand in it, as packet_in() makes them; ret_inner: the innermost. */
bool packet_sound_inside(const uint8_t *ip, size_t n, const uint8_t **ret_inner);
/* For a packet whose L4 checksum is left to the NIC: the field holds the pseudo-header's sum, the IPv4
 * header's is right. */
bool packet_sound_partial(const uint8_t *ip, size_t n);

/* A generator for property tests: the same seed, the same numbers. */
static inline uint32_t next_random(uint64_t *state)
{
	*state += 0x9e3779b97f4a7c15ull;
	uint64_t z = *state;
	z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9ull;
	z = (z ^ z >> 27) * 0x94d049bb133111ebull;
	return (uint32_t)(z >> 32);
}

#endif
