/*
 * Rules of policy that never match: each packet that one could match is matched by the rules before it, by one of them or by
 * several together. Pure.
 *
 * Exact for what it names: addresses, protocols and ports are sets of intervals, and what rules take away is subtracted until
 * nothing is left. Work is bounded (SHADOW_STEPS_MAX): rules that are not decided within it are counted, and not named.
 * Rules of a pair of zones are compared with those of their pair, rules of `global` with those of `global`.
 */
#ifndef MODEL_SHADOW_H
#define MODEL_SHADOW_H

#include "model/snapshot.h"

#include <stdbool.h>

#define SHADOW_STEPS_MAX 100000000 /* comparisons of intervals, of all rules together: half a second */
#define SHADOW_PARTS_MAX 512	   /* pieces of one rule that are left at a time */
#define SHADOW_BY_MAX	 8

struct shadow {
	uint32_t rule;
	uint32_t by[SHADOW_BY_MAX],
		by_n; /* rules before it that together match all that it could; by_n may be more than are named */
};

typedef void shadow_fn(void *context, const struct snapshot *s, const struct shadow *x);

/* fn is called for each rule that never matches, in their order. Returns how many rules were not decided. */
uint32_t snapshot_shadowed(const struct snapshot *s, shadow_fn *fn, void *context);

#define SHADOW_TEXT_MAX 900
/* "rule 'x' from a to b is never reached: …" Returns ret_text. */
const char *shadow_text(char ret_text[SHADOW_TEXT_MAX], const struct snapshot *s, const struct shadow *x);

#endif
