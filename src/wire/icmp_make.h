/*
 * Replies that a gateway owes the sender of a packet that it does not forward: ICMP and ICMPv6 errors (RFC
 * 1812 section 4.3, RFC 4443 section 2.4) and TCP resets for rejected connections (RFC 9293 section 3.5.2).
 * Pure. The caller limits their rate (RFC 1812 section 4.3.2.8, RFC 4443 section 2.4 f).
 */
#ifndef WIRE_ICMP_MAKE_H
#define WIRE_ICMP_MAKE_H

#include "wire/train.h"

#define ICMP4_PACKET_MAX 576 /* RFC 1812 section 4.3.2.3: octets of an error */

enum icmp_answer {
	ICMP_ANSWER_TTL,	/* time exceeded in transit */
	ICMP_ANSWER_TOO_BIG,	/* fragmentation needed, packet too big: with the next hop's MTU */
	ICMP_ANSWER_NO_ROUTE,	/* network unreachable, no route */
	ICMP_ANSWER_PROHIBITED, /* communication administratively prohibited */
	ICMP_ANSWER_HOST,	/* host unreachable, address unreachable */
	ICMP_ANSWER_REASSEMBLY, /* time exceeded, fragment reassembly */
};

#define ICMP_MADE_MAX                                                                                        \
	1280 /* RFC 4443: not above the minimum MTU; ICMPv4 stays at 576 (RFC 1812 section 4.3.2.3) */

/*
 * Writes the error about t, from `from` (one of our addresses, of t's family) to t's source, into packet.
 * Returns its length, or 0 where none may be sent: about ICMP errors, fragments other than the first, or
 * destinations that are not a single host.
 */
size_t icmp_make(uint8_t packet[ICMP_MADE_MAX], const struct train *t, enum icmp_answer what, uint32_t mtu,
	const struct ip_addr *from);

/* Writes the reset that answers t (TCP) into packet. Returns its length, 0 when t is itself a reset. */
size_t tcp_reset_make(uint8_t packet[ICMP_MADE_MAX], const struct train *t);

#endif
