/*
 * NPTv6 (RFC 6296): an address of one IPv6 prefix becomes one of another prefix of the same length, so that the sum of
 * its 16-bit words stays what it was: no checksum over it changes. One word outside of the prefixes takes the difference,
 * in one's complement: bits 48 to 63 where the prefixes are of 48 bits or fewer (section 3.4), otherwise the first word of
 * the interface identifier that is not all ones (section 3.5). The same function maps back, with the prefixes exchanged.
 *
 * One's complement has two zeros, of which the result never is 0xffff: so an address in which that word is 0xffff
 * already has no mapping. It is the subnet 0xffff, or an interface identifier of all ones.
 *
 * Called by src/firewall/dnat.c for the first packet of a session; stateless.
 */
#ifndef WIRE_NPTV6_H
#define WIRE_NPTV6_H

#include "base/addr.h"

/* from, to: IPv6 prefixes of the same length, of 64 bits at most; a is in `from`. False: a has no mapping. */
bool nptv6_map(const struct ip_range *from, const struct ip_range *to, const struct ip_addr *a,
	struct ip_addr *ret_addr);

#endif
