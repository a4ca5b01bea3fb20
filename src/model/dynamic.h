/*
 * Addresses that change without a commit: what the resolver has found for each record of a snapshot's `dynamics`, and the snapshot
 * with these addresses in its ranges, which is what the data plane gets.
 *
 * The resolver parses what strangers say, so what it gives is checked here before anything uses it: it can choose addresses for
 * the objects that the configuration has given to it, and change nothing else.
 *
 * Pure. Callers: control, the resolver, tests.
 */
#ifndef MODEL_DYNAMIC_H
#define MODEL_DYNAMIC_H

#include "model/snapshot.h"

/*
 * Memory that control makes, sealed against a change of its size, and shares with the resolver. Control writes count and `of`
 * before it hands it over; the resolver writes the rest, and not while control reads.
 */
struct dynamic_area {
	uint32_t count, zero;
	struct snap_dynamic of[DYNAMICS_MAX];
	struct span set[DYNAMICS_MAX]; /* into range: one after the other, without gaps */
	uint8_t known
		[DYNAMICS_MAX]; /* 0: nothing yet, since the resolver began; what was known before goes on */
	struct ip_range range[DYNAMIC_RANGES_MAX];
};

/* A copy of what stands there, which nobody changes any more. */
struct dynamic_sets {
	uint32_t count;
	struct snap_dynamic *of;
	struct span *set;
	struct ip_range *range;
};

/*
 * For the records `of`, which were written there; of those that are not known, before's. RC_MALFORMED: they are not one after the
 * other, or a set is not sorted and disjoint. RC_LIMIT: out of memory.
 */
enum rc dynamic_sets_copy(struct dynamic_sets *ret, const struct dynamic_area *a,
	const struct snap_dynamic *of, uint32_t count, const struct dynamic_sets *before, struct err *e);
void dynamic_sets_done(struct dynamic_sets *x);

/* The set for this record, which may be of another configuration; NULL: nothing is known (for tests: what a span stands for). */
const struct span *dynamic_set_of(const struct dynamic_sets *x, const struct snap_dynamic *d);

/* Is an address among these whose ranges change without a commit? Then it may be any, one day. */
bool dynamic_in(const struct snapshot *s, struct span span);

/* Has it objects of rules whose addresses change? IKE's peers by name and CRLs are not: the data plane has no use for them. */
bool dynamic_any(const struct snapshot *s);

/* Sorted, IPv4 first; overlapping and adjacent ones joined, wildcards last. Returns how many are left. */
uint32_t ranges_join(struct ip_range *r, uint32_t n);

/*
 * A new block, which the caller frees: the snapshot as it is, with the addresses of x in place of what stands for them. An object
 * of which nothing is known matches nothing. RC_LIMIT: there are too many, or no memory.
 */
enum rc dynamic_fill(const struct snapshot *base, const struct dynamic_sets *x, void **ret_block,
	size_t *ret_bytes, struct err *e);

#endif
