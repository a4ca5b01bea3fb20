/*
 * Address resolution on an Ethernet link: ARP (RFC 826, RFC 5227) and the two messages of Neighbor Discovery that
 * resolve (RFC 4861), as frames from the link header on. Pure.
 */
#ifndef WIRE_RESOLUTION_H
#define WIRE_RESOLUTION_H

#include "base/addr.h"

#define RESOLUTION_FRAME_MAX 86 /* Ethernet, IPv6, an advertisement with one option */

/* What a frame says. A gratuitous ARP only claims; a request or a solicitation may do both. */
struct resolution {
	struct ip_addr target; /* whose link address is asked for; ADDR_NONE: nothing is asked */
	struct ip_addr
		asker; /* to whom the answer goes; ADDR_NONE: who asks has no address yet (RFC 5227, RFC 4862) */
	struct ip_addr claimed; /* an address that the sender says is its own; ADDR_NONE: none */
	uint8_t mac[6];		/* the sender's */
};

/* False: the frame is neither, or is not valid (RFC 4861 sections 7.1.1 and 7.1.2). *ret_r is written only then. */
bool resolution_read(struct resolution *ret_r, const uint8_t *frame, size_t n);

/*
 * The frames of a node with this link address that has the address; each returns its length.
 *	answer        of what was asked for; who has no address yet is answered by multicast in IPv6
 *	probe         asks whether anybody else has the address
 *	announcement  tells all neighbours, so that those who knew another link address for it learn this one
 */
size_t resolution_answer(
	uint8_t ret_frame[RESOLUTION_FRAME_MAX], const struct resolution *asked, const uint8_t mac[6]);
size_t resolution_probe(
	uint8_t ret_frame[RESOLUTION_FRAME_MAX], const struct ip_addr *addr, const uint8_t mac[6]);
size_t resolution_announcement(
	uint8_t ret_frame[RESOLUTION_FRAME_MAX], const struct ip_addr *addr, const uint8_t mac[6]);

#endif
