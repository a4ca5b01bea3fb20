/*
 * The order in which a ledger's exchanges used their values and leaves, and how much that order could encode.
 *
 * An exchange takes the next count, and the next leaf, when it begins (model/public_values.h); its entry
 * follows when it is complete. So entries name counts in rising order, except for exchanges that overlapped:
 * one that is named after a higher count is `late`. What holds even then, and is a finding otherwise:
 *
 * - leaves are in the same order as counts: each follows from the other;
 * - a count is named before PUBLIC_ORDER_WINDOW later ones have begun, or its exchange has ended.
 *
 * A keeper that lies about which were late can hide as much as there are ways to have n entries in order
 * except for k of them, each at most d entries late, with m counts skipped in between:
 *   log2( C(n + m, m) * C(n, k) * d^k )  bits, order_bits().
 *
 * Pure. Private to src/verify. One thread.
 */
#ifndef VERIFY_ORDER_H
#define VERIFY_ORDER_H

#include "ledger/entry.h"
#include "model/public_values.h"

/* So many seconds after the end of its batch or epoch an exchange has long been complete, and its entry
 * made. */
#define ORDER_SETTLED_S 300

struct order_report {
	uint64_t named;	   /* exchanges in order or late */
	uint64_t late;	   /* named after a higher count */
	uint64_t distance; /* most entries between the first higher count and a late one, itself counted */
	uint64_t late_s;   /* most seconds between the two, in one boot */
};

/* Where an exchange stands: epochs are counted in the log's order, from 0. */
struct order_place {
	uint64_t epoch, count;
	uint64_t leaf; /* grows from leaf to leaf and batch to batch; 0: none */
};

struct order;

/* NULL: out of memory. */
struct order *order_new(void);
void order_free(struct order *o);
/* The next exchange that an entry names. RC_OK; RC_AUTH: out of order, *e says how. */
enum rc order_named(
	struct order *o, const struct order_place *p, const struct ledger_entry *entry, struct err *e);
struct order_report order_state(const struct order *o);

/* Bits that the order of `named` can hold, `late` of them at most `distance` late, `left_out` counts between.
 */
double order_bits(uint64_t named, uint64_t late, uint64_t distance, uint64_t left_out);

/*
 * Numbers and ranges as exchange_failed has them, "3 5-9", rising and apart, from `least` to `most`. One step
 * of a walk over `text`, which begins with at = 0. False: the end, or not of this form; at == n tells which.
 */
struct order_ranges {
	const char *text;
	size_t n, at;
	uint32_t least, most;
	uint32_t first, last; /* of the range */
};
bool order_range_next(struct order_ranges *r);

#endif
