/*
 * The routes of the routing core (route.h), of both families: which are known, and which of them an address
 * goes by. A destination's routes are one next-hop set (nexthops.h), the set's number is the value of the
 * destination in the forwarding table (fib.h). A change of a route makes another set and stores its number:
 * microseconds, whatever else is in the table. Nothing is built later, so a lookup finds what the last
 * event left.
 *
 * Which route counts: of the longest prefix that has a usable one, the usable route with the lowest metric,
 * of equal ones the first in the kernel's order; of its next hops, each that is usable (spread.h chooses). A
 * next hop is usable while its link is known and up and it is not named as dead (route_dead_set()), or if it is
 * unreachable. A destination without a usable route is as if it were not there.
 *
 * A link that is deleted takes its routes with it. They are not usable from then on; their memory comes
 * back by and by, ROUTES_SWEEP destinations with each later event, so that no event works through a full
 * table.
 *
 * Memory: what fib.h says for each destination, some tens of octets for each set. When it ends, a route
 * that comes is not taken (RC_LIMIT, nothing changed). A route that goes never stays: where a smaller set
 * cannot be made, the destination loses all of its routes until the next mirror of the kernel's table
 * brings them back.
 */
#ifndef ROUTE_ROUTES_H
#define ROUTE_ROUTES_H

#include "route/fib.h"
#include "route/nexthops.h"
#include "route/route.h"

#define ROUTES_SWEEP   64u   /* destinations an event: some microseconds */
#define ROUTES_RELEASE 1024u /* buckets of next-hop sets that are freed at once: a set each */
#define ROUTES_WALKS   4u    /* whole tables that are read at once without a fresh beginning for each piece */

/* Somebody who reads the whole table: where he is. */
struct routes_walk {
	uint32_t next, family,
		hop; /* the index of the next route; its place: after this hop of this prefix */
	bool begun;
	struct ip_prefix prefix;
	struct route_entry entry; /* of index next - 1 */
};

struct routes {
	struct fib fib[2]; /* IPv4, IPv6 */
	struct nexthops nexthops;
	struct nexthop_set *none; /* the set without routes */
	uint32_t n;
	uint32_t table;		  /* its number, 0 for main: for who reads it */
	struct routes_walk sweep; /* prefix: all up to it have been swept */
	bool sweeping;
	struct routes_walk *
		walks; /* ROUTES_WALKS, the last used first; a pointer, for they move when the table is only read */
};

/* False: out of memory. r is not moved afterwards; dead outlives it. */
bool routes_init(struct routes *r, const struct nexthops_dead *dead);
void routes_done(struct routes *r);
void routes_prepare(struct routes *r); /* as route_prepare() */
/* A piece of it, after which only this and routes_done() are called. True: what is left is little. */
bool routes_release(struct routes *r);

/* As route_paths_set() and route_paths_gone(); *ret_changed: an address goes another way than before, or
 * may. */
enum rc routes_set(struct routes *r, const struct route_entry *entries, uint32_t n, enum route_place place,
	bool *ret_changed);
void routes_gone(struct routes *r, const struct route_entry *entries, uint32_t n, bool *ret_changed);
enum rc routes_link_set(
	struct routes *r, uint32_t index, bool up, uint32_t mtu); /* RC_LIMIT: out of memory */
void routes_link_gone(struct routes *r, uint32_t index);

/* The set that an address goes by, and its first usable hop; NULL: there is none. */
const struct nexthop_set *routes_lookup(
	const struct routes *r, const struct ip_addr *addr, uint32_t *ret_hop);
/* The same for a flow, whose held links count. And of which length the destination is that has it; ret_bits may be NULL. */
const struct nexthop_set *routes_lookup_flow(
	const struct routes *r, const struct route_flow *flow, uint32_t *ret_hop, uint32_t *ret_bits);
/* Of n addresses, at most ROUTE_BURST, of both families: what routes_lookup() reads of them comes into the caches. */
void routes_prefetch(const struct routes *r, const struct ip_addr *const *addrs, uint32_t n);
/* The next usable hop of the same route after this one; the set's n: there is none. */
uint32_t routes_hop_next(const struct nexthop_set *set, uint32_t hop);

/* Of the default route of a family, the first next hop by this link, whether it is usable or not; NULL: none. */
const struct nexthop *routes_default_by(const struct routes *r, uint8_t family, uint32_t link);
/*
 * If the default route has a next hop that would count but for its being dead: the one that is used in its place. NULL:
 * no such next hop, or nothing takes its place.
 */
const struct nexthop *routes_default_detour(const struct routes *r, uint8_t family);

/* As route_at(). One after the other costs little; an index out of order begins from the first. */
const struct route_entry *routes_at(const struct routes *r, uint32_t i);

#endif
