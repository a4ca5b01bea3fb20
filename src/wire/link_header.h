/*
 * Where the IP packet is in a captured frame, by the type of its link (tcpdump.org, LINKTYPE_…): Ethernet, Linux's cooked formats, BSD's
 * loopback, raw IP; with tags of 802.1Q and 802.1ad behind an Ethernet type. Pure; bytes through cursors.
 */
#ifndef WIRE_LINK_HEADER_H
#define WIRE_LINK_HEADER_H

#include "base/rd.h"

#define LINKTYPE_RAW 101 /* from the IP header on */

struct link_header {
	bool ip;       /* an IP packet follows it */
	bool outbound; /* a cooked format says that the machine which captured it sent it */
	uint32_t tags; /* of VLANs */
};

bool link_header_known(uint32_t type);
/* Takes the header of a frame of a known link. ret->ip is false when something else follows, or the header is cut. */
void link_header_take(uint32_t type, struct rd *frame, struct link_header *ret);

#endif
