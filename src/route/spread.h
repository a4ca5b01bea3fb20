/*
 * The choice among the next hops of one route, by flow (RFC 2991): weighted rendezvous hashing (Thaler,
 * Ravishankar: Using Name-Based Mappings to Increase Hit Rates, IEEE/ACM ToN 6(1), 1998). Each next hop
 * draws a number from the flow's hash and its own name, and the best one has the flow. So a next hop that
 * goes leaves the flows of all others where they are, which a table of hash ranges (RFC 2992) does not.
 */
#ifndef ROUTE_SPREAD_H
#define ROUTE_SPREAD_H

#include "route/nexthops.h"

/* A hop of the set's route that begins with the usable hop `first`. flow: evenly distributed. */
uint32_t spread_hop(const struct nexthop_set *set, uint32_t first, uint64_t flow);

#endif
