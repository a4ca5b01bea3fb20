/*
 * Which routes the host needs for its own traffic into tunnels, from a configuration and the host's
 * addresses. Pure; routes.c brings them into the kernel.
 *
 * The remote prefixes of all tunnels without an interface of their own lead to pg0. Where a tunnel's local side lies inside its remote side,
 * the local prefixes stay here: for these the kernel asks the main table (route/selectors.h says the same of
 * all other packets).
 */
#ifndef PROC_SUPERVISOR_HOST_ROUTES_H
#define PROC_SUPERVISOR_HOST_ROUTES_H

#include "model/snapshot.h"

#define HOST_ROUTES_MAX 65536u

struct ifaddrs;

struct host_route {
	struct ip_prefix to;
	bool stays;	     /* not into the tunnel: a throw route */
	struct ip_addr from; /* the host's address to use, ADDR_NONE: the kernel chooses */
};

/* Each prefix once for each value of `stays`. All zero: none. */
struct host_routes {
	struct host_route *list;
	size_t n;
	uint32_t *places; /* by hash: index in list + 1; 0: free */
};

/* addresses: as getifaddrs() gives them. Where prefixes of two tunnels are the same, the later one says from
 * which address. */
enum rc host_routes_collect(struct host_routes *ret_routes, const struct snapshot *snap,
	const struct ifaddrs *addresses, struct err *e);
void host_routes_done(struct host_routes *r);
/* The one to the same prefix, of the same kind, whatever its `from`; NULL: none. */
const struct host_route *host_routes_find(const struct host_routes *r, const struct host_route *route);
bool host_routes_hold(const struct host_routes *r, const struct host_route *route);

#endif
