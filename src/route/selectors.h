/*
 * Which tunnel a packet belongs to: the selectors of all configured tunnels, looked up before the routes.
 * What matches leaves by the tunnel or not at all; what comes in clear though it matches the other way round
 * is not believed. Tunnels with an interface are not among them: routes choose those.
 *
 * Where a tunnel's local side lies inside its remote side, as with a tunnel to everywhere, an address that is
 * in both stands on this side: the gateway and its LANs reach each other as without the tunnel.
 *
 * Built from a snapshot that stays mapped while the lookup is used. The remote ranges are laid out flat, one after
 * the other without overlaps, each flat range with the list of the pairs of parts that cover it, the most
 * specific first.
 */
#ifndef ROUTE_SELECTORS_H
#define ROUTE_SELECTORS_H

#include "model/snapshot.h"

#define SELECTORS_ITEMS_MAX (1u << 20) /* overlapping selectors beyond this are searched one by one */

#define SELECTORS_NONE UINT32_MAX

struct selectors;

/* NULL: no memory. A snapshot without tunnels gives a lookup that finds nothing. */
struct selectors *selectors_new(const struct snapshot *snapshot);
void selectors_free(struct selectors *s);

/* What of a packet selectors are about. Ports are 0 where there are none or they cannot be seen. */
struct selectors_packet {
	struct ip_addr src, dst;
	uint8_t proto;
	bool has_ports;
	uint16_t src_port, dst_port;
};

/*
 * The tunnel whose local side holds the source and whose remote side holds the destination. Where several do, the most specific
 * one: by the remote side's part, then by the local side's, each by addresses, protocol, ports; of equal ones the first in the
 * configuration (which `check` refuses).
 */
uint32_t selectors_find(const struct selectors *s, const struct selectors_packet *p);
/* The same for a packet that comes the other way: whose remote side holds the source. */
uint32_t selectors_find_inbound(const struct selectors *s, const struct selectors_packet *p);

#endif
