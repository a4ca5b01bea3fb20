/*
 * A traffic selector (RFC 7296 section 3.13.1) in one shape without padding, so that it can travel between
 * processes and be compared with memcmp: what the codec reads, ike negotiates, the keeper admits, the
 * configuration holds and the data plane looks up.
 */
#ifndef BASE_SELECTOR_H
#define BASE_SELECTOR_H

#include "base/addr.h"

#define SELECTORS_MAX                                                                                        \
	8 /* of one side of a child SA; a payload on the wire may have more (wire/ike_limits.h) */

/* proto 0: any; ports 0..65535: any. */
struct selector {
	struct ip_range addrs;
	uint16_t port_first, port_last;
	uint8_t proto;
	uint8_t zero[3];
};

#endif
