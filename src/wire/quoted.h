/*
 * The packet that an ICMP error quotes, as far as it is quoted: RFC 792 promises eight octets after the IP
 * header, RFC 4443 as much as fits. Used to find the session or the SA that an error is about, and to
 * translate the quotation.
 */
#ifndef WIRE_QUOTED_H
#define WIRE_QUOTED_H

#include "base/addr.h"

#define QUOTED_EXTENSIONS_MAX 8 /* extension headers of a quoted packet that are walked */

struct quoted {
	struct ip_addr src, dst;
	uint16_t src_port, dst_port; /* TCP, UDP, SCTP; ICMP queries: identifier in both; else 0 */
	uint8_t proto, icmp_type;
	uint32_t tcp_seq;     /* TCP: among the eight octets that every error quotes */
	uint32_t sctp_tag;    /* SCTP: the same */
	uint32_t l4_offset;   /* from the quoted IP header */
	uint32_t csum_offset; /* of the L4 checksum from the quoted IP header; 0: not in the quotation, or
				 none */
};

/* for tests: without the ICMP header. False: too short, not IP, or a fragment without ports. ICMP inside
 * must be a query or its answer. */
bool quoted_parse(struct quoted *ret_quoted, const uint8_t *bytes, size_t n);

/*
 * The packet that an ICMP error quotes: n octets, from the ICMP header on.
 * False also for messages that are no such errors, and for redirects and source quenches, which are not
 * forwarded (RFC 1812 section 5.2.7.2, RFC 6633).
 */
bool quoted_in_error(struct quoted *ret_quoted, uint8_t proto, const uint8_t *icmp, size_t n);

#endif
