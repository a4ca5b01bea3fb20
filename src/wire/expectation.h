/*
 * What an application layer gateway (src/alg) reads off a dialogue, and the firewall (src/firewall) may open: a
 * session that somebody is about to begin. Both cores include this; neither includes the other.
 */
#ifndef WIRE_EXPECTATION_H
#define WIRE_EXPECTATION_H

#include "base/addr.h"

/* Who has read it; for `show`. */
enum expectation_alg {
	EXPECTATION_NONE,
	EXPECTATION_FTP,
	EXPECTATION_TFTP,
	EXPECTATION_SIP,
	EXPECTATION_ALGS
};

/* "ftp"; "" of a session that none has announced */
static inline const char *expectation_alg_name(uint32_t alg)
{
	static const char *const names[EXPECTATION_ALGS] = { "", "ftp", "tftp", "sip" };

	return alg < EXPECTATION_ALGS ? names[alg] : "";
}

/* Addresses are those that the ends themselves use: a translation is the firewall's. */
struct expectation {
	struct ip_addr src, dst; /* src: ADDR_NONE for any */
	uint16_t src_port;	 /* 0: any */
	uint16_t dst_port;
	uint8_t proto;
	uint8_t from; /* who begins it: 0 the side that began the parent session, 1 the other */
	uint8_t alg;  /* enum expectation_alg */
	bool pair; /* dst_port is even, and the next one is expected, too: RTP and RTCP (RFC 3550 section 11) */
	uint32_t lifetime_s; /* until its first packet */
	uint32_t call;	     /* the dialogue that it belongs to, of several of one session; 0: none */
};

#endif
