#include "route/spread.h"

#include "route/routes.h"

#include <assert.h>

#define FRACTION_BITS 24u

/* Its number for the flow: any of 64 bits with the same probability. */
static uint64_t number_of(const struct nexthop *hop, uint64_t flow)
{
	uint64_t words[] = { hop->port ? hop->port->index : 0, load_be64(hop->gateway.b),
		load_be64(hop->gateway.b + 8) };
	uint64_t h = flow;

	for (size_t i = 0; i < COUNT_OF(words); i++) {
		h = (h ^ words[i]) * 0x9e3779b97f4a7c15ull;
		h = (h ^ h >> 32) * 0xd6e8feb86659fd93ull;
		h ^= h >> 32;
	}
	return h;
}

/* -log2(number / 2^64), with FRACTION_BITS bits after the point: bit by bit, by squaring. */
static uint64_t minus_log2(uint64_t number)
{
	uint32_t whole = 63 - (uint32_t)__builtin_clzll(number | 1);
	uint64_t x = (number | 1) << (63 - whole) >> 32,
		 log = whole; /* 1 to 2, with 31 bits after the point */

	for (uint32_t i = 0; i < FRACTION_BITS; i++) {
		x = x * x >> 31;
		log = log << 1 | x >> 32;
		x >>= x >> 32;
	}
	return ((uint64_t)64 << FRACTION_BITS) - log;
}

uint32_t spread_hop(const struct nexthop_set *set, uint32_t first, uint64_t flow)
{
	uint32_t best = first;
	uint64_t best_cost = minus_log2(number_of(&set->hop[first], flow));

	assert(set->hop[first].weight > 0);
	for (uint32_t i = routes_hop_next(set, first); i < set->n; i = routes_hop_next(set, i)) {
		uint64_t cost = minus_log2(number_of(&set->hop[i], flow));
		/* cost / weight is exponentially distributed, and the smallest is a hop's in proportion to
		 * its weight. Costs have 31 bits, weights at most 32. */
		if (cost * set->hop[best].weight < best_cost * set->hop[i].weight) {
			best = i;
			best_cost = cost;
		}
	}
	return best;
}
