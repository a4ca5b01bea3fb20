/*
 * The packet that an ICMP error quotes: as much of it as is there. RFC 792 promises eight octets behind the
 * IP header, RFC 4443 as much as fits. Used to find the session an error is about and to translate the
 * quotation.
 */
#ifndef WIRE_QUOTED_H
#define WIRE_QUOTED_H

#include "base/addr.h"

struct quoted {
	struct ip_addr src, dst;
	uint16_t src_port, dst_port; /* TCP, UDP; ICMP echo: identifier in both; else 0 */
	uint8_t proto, icmp_type;
	uint32_t l4_offset;   /* from the quoted IP header */
	uint32_t csum_offset; /* of the L4 checksum from the quoted IP header; 0: not in the quotation, or
				 none */
};

/* False: too short, not IP, or a fragment without ports. ICMP within must be an echo or its answer. */
bool quoted_parse(struct quoted *ret_quoted, const uint8_t *bytes, size_t n);

#endif
