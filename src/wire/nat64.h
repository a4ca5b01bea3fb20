/*
 * Translation between IPv6 and IPv4: addresses that embed one (RFC 6052), and whole packets (RFC 7915). Pure: headers are
 * written anew in front of the transport header, which stays where it is; checksums follow by the difference (RFC 1624).
 * A train keeps its segments: each becomes 20 octets shorter or longer.
 *
 *	nat64_address.c   IPv4 addresses in IPv6 ones
 *	nat64.c           packets of TCP, UDP and ICMP echo
 *	nat64_error.c     ICMP errors, with the packet that they quote
 *
 * What RFC 7915 leaves to the translator: fragments do not come here, the data plane has put them together before (RFC 6146
 * section 3.4). Extension headers and IPv4 options are left out; those that are not forwarded were refused by
 * train_parse(). UDP without a checksum gets one. An IPv4 packet that may be fragmented (no DF) leaves in IPv6 fragments
 * of at most 1280 octets where it would be larger; an IPv6 packet of at most 1280 octets leaves with DF clear, a larger
 * one with DF set. Extensions of ICMP errors (RFC 4884) are cut off.
 */
#ifndef WIRE_NAT64_H
#define WIRE_NAT64_H

#include "wire/train.h"

#define NAT64_GROWS 20 /* octets by which an IPv6 header is longer than an IPv4 one */

/* ---- addresses ---- */

/* p: IPv6, of such a length; its octet 8 is zero if it is of 96 bits. */
struct ip_addr nat64_embed(const struct ip_prefix *p, const struct ip_addr *v4);
/*
 * a is in p. False: its octet 8 is not zero, it embeds no host's address (this network, loopback, link-local, multicast,
 * reserved), or one that is not global under the well-known prefix 64:ff9b::/96 (RFC 6052 section 3.1). Octets after the
 * embedded address are ignored (section 2.2).
 */
bool nat64_extract(const struct ip_prefix *p, const struct ip_addr *a, struct ip_addr *ret_v4);

/* ---- packets ---- */

/* As a packet leaves: all of the other family than it came by. ICMP echo: the identifier in both ports. */
struct nat64_ends {
	struct ip_addr src, dst;
	uint16_t src_port, dst_port;
};

/* Will it pass nat64_translate()? t: parsed, no fragment and no ICMP error. */
bool nat64_is_translatable(const struct train *t);

/*
 * t: parsed, TCP, UDP or ICMP echo, no fragment, not a train inside another tunnel. id: the IPv4 identification of a packet
 * that may be fragmented. False: it has no counterpart (an ICMP type), UDP over IPv6 without a checksum, or too long;
 * t is as it was. It needs NAT64_GROWS octets of head room.
 */
bool nat64_translate(struct train *t, const struct nat64_ends *to, uint16_t id);

/*
 * t: an ICMP error, one packet, whose checksum is valid; to: its own addresses, without ports. quoted: those of the packet
 * that it quotes. False: the type, its code or pointer, or what it quotes has no counterpart; t is as it was. It needs
 * twice NAT64_GROWS octets of head room.
 */
bool nat64_translate_error(struct train *t, const struct nat64_ends *to, const struct nat64_ends *quoted);

#endif
