/*
 * Longest prefix match as a sorted list of disjoint ranges: prefixes that nest are laid out flat once, and a
 * lookup is one binary search. Used by route.c for each family; callers rebuild after any change.
 */
#ifndef ROUTE_RANGES_H
#define ROUTE_RANGES_H

#include "base/addr.h"

#define RANGES_NONE UINT32_MAX

/* Each range goes from its start to the next one's start. Addresses are compared as two big numbers. */
struct ranges {
	struct ranges_key {
		uint64_t high, low;
	} *start;
	uint32_t *value;
	uint32_t n, room;
};

/* A prefix with what it leads to; of equal prefixes the one with the lowest rank wins, then the lowest value.
 */
struct ranges_prefix {
	struct ip_prefix prefix;
	uint32_t rank, value;
};

/*
 * prefixes: of one family; the call sorts them. RC_LIMIT: no memory, the ranges are then empty (nothing
 * matches).
 */
enum rc ranges_build(struct ranges *r, struct ranges_prefix *prefixes, uint32_t n);
void ranges_done(struct ranges *r);
uint32_t ranges_find(const struct ranges *r, const struct ip_addr *addr); /* value, or RANGES_NONE */

#endif
