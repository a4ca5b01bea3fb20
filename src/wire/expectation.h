/*
 * What an application layer gateway (src/alg) reads off a dialogue, and the firewall (src/firewall) may open: a
 * session that somebody is about to begin. Both cores include this; neither includes the other.
 */
#ifndef WIRE_EXPECTATION_H
#define WIRE_EXPECTATION_H

#include "base/addr.h"

/* Addresses are those that the ends themselves use: a translation is the firewall's. */
struct expectation {
	struct ip_addr src, dst;
	uint16_t src_port; /* 0: any */
	uint16_t dst_port;
	uint8_t proto;
	uint8_t from; /* who begins it: 0 the side that began the parent session, 1 the other */
	uint16_t zero;
	uint32_t lifetime_s; /* until its first packet */
};

#endif
