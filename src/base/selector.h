/*
 * A traffic selector (RFC 7296 section 3.13.1) in one shape without padding, so that it can travel between
 * processes and be compared with memcmp: what the codec reads, ike negotiates, the keeper admits, the
 * configuration holds and the data plane looks up.
 */
#ifndef BASE_SELECTOR_H
#define BASE_SELECTOR_H

#include "base/addr.h"

/*
 * Of one side of a tunnel and of a child SA. Both sides of IPv6 take 5,200 octets of an IKE message
 * (IKE_MESSAGE_MAX, in parts by RFC 7383), the packet's own included, and leave 3,000 for the rest of it; with them
 * a child SA takes 6 KB in each process that knows it. A payload on the wire may have more (wire/ike_limits.h).
 */
#define SELECTORS_MAX 64

/* proto 0: any; ports 0..65535: any. */
struct selector {
	struct ip_range addrs;
	uint16_t port_first, port_last;
	uint8_t proto;
	uint8_t zero[3];
};

#define SELECTOR_TEXT_MAX 140

#define SELECTOR_REST_MAX 96 /* octets of `rest` */

/* "A, B", or where that is longer than size: "A, and 12 more" and `rest`. */
char *selector_list_text(
	char *ret_text, size_t size, const struct selector *list, size_t n, const char *rest);

#endif
