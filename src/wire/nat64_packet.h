/* What the files of nat64.h share: one packet's headers, in front of its transport header. */
#ifndef WIRE_NAT64_PACKET_H
#define WIRE_NAT64_PACKET_H

#include "wire/nat64.h"

struct nat64_head {
	uint8_t traffic_class, hop_limit, proto; /* proto: of the family that it is written in */
	uint32_t l4_n;				 /* octets of the transport header and its payload */
	uint16_t id;				 /* IPv4 only, as the next */
	bool dont_fragment;
};

/* Writes the IP header that ends where the transport header begins; returns where it begins itself. */
uint8_t *nat64_head_put(uint8_t *l4, const struct nat64_head *h, const struct nat64_ends *to);

/*
 * Ports or identifier, type and checksum at l4, of which n octets are here (a quotation may be cut off). old: the addresses
 * that its pseudo-header has; l4_n: octets that the whole had. partial: the field holds the pseudo-header's sum.
 */
struct nat64_l4 {
	uint8_t *at;
	uint32_t n, l4_n;
	uint8_t proto; /* before */
	bool partial;
	struct ip_addr old_src, old_dst;
};
/* False: no counterpart; nothing is changed. */
bool nat64_l4_put(const struct nat64_l4 *l, const struct nat64_ends *to);

#endif
