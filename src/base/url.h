/*
 * URLs of services that are asked over HTTP (RFC 3986, RFC 9110 section 4.2): scheme, host, port and the path
 * in front of what is asked for. Strict: what another reader might take for another place is refused.
 * Callers: the compiler of configurations, the processes that ask witnesses.
 */
#ifndef BASE_URL_H
#define BASE_URL_H

#include "base/addr.h"

#define URL_LABEL_MAX 63 /* RFC 1035 section 2.3.4: octets of a label */

#define URL_HOST_MAX   254 /* 253 octets of a name (RFC 1035 section 2.3.4), and a terminator */
#define URL_PREFIX_MAX 192

struct url {
	char host[URL_HOST_MAX];     /* without the brackets of an IPv6 address */
	char prefix[URL_PREFIX_MAX]; /* "" or "/…" without a slash at the end */
	struct ip_addr address;	     /* family ADDR_NONE: the host is a name */
	uint16_t port;
	bool tls;
};

/* "http[s]://host[:port][/prefix]"; the port is 80 or 443 when it is not said. RC_MALFORMED, RC_LIMIT. */
enum rc url_parse(struct url *ret_url, const char *text, struct err *e);

#endif
