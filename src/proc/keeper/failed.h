/*
 * Public values and leaves of exchanges that failed, to be entered as exchange_failed. What an exchange took
 * is named by the entry of its success or by one of these, so that none can be left out unnoticed
 * (docs/evidence.md, "Order").
 *
 * Strangers can cause any number of such exchanges. So they are entered as ranges: the first entry
 * FAILED_DELAY_NS after the exchange ended, then one in FAILED_EVERY_NS, each with at most FAILED_TEXT_MAX
 * octets of ranges. Exchanges that follow each other are one range, however many they are. If more than
 * FAILED_RANGES_MAX wait, the rest is not entered: the verifier counts it as unaccounted for.
 *
 * One thread. Callers: shell.c, tests.
 */
#ifndef PROC_KEEPER_FAILED_H
#define PROC_KEEPER_FAILED_H

#include "proc/keeper/leaves.h"
#include "proc/keeper/public_values.h"

#define FAILED_DELAY_NS	   (10 * NS_PER_S)
#define FAILED_EVERY_NS	   NS_PER_S
#define FAILED_RANGES_MAX  1024 /* of one epoch or batch; between them lie begun exchanges */
#define FAILED_RANGES_FULL 32	/* with so many the next entry is not delayed */
#define FAILED_TEXT_MAX	   640
#define FAILED_SETS	   16 /* epochs and batches with ranges that wait: twice LEAVES_BURST */

/* Numbers of one epoch or batch as ranges: rising, with gaps between them. */
struct failed_set {
	uint32_t of; /* epoch, or serial of the batch */
	bool leaves;
	uint8_t name[SHA256_SIZE]; /* the epoch's public key, or the batch's root */
	size_t n;
	struct failed_range {
		uint32_t first, last;
	} range[FAILED_RANGES_MAX];
};

struct failed {
	struct child *child;
	const struct public_source *values;
	const struct leaves *leaves;
	struct timer timer;
	uint64_t lost;		/* numbers that found no room */
	struct failed_set *set; /* FAILED_SETS of them; public, so not in locked memory */
};

/* All three outlive it; it must not move. RC_LIMIT: out of memory. */
enum rc failed_init(struct failed *f, struct child *child, const struct public_source *values,
	const struct leaves *leaves);
void failed_add(struct failed *f, const struct keys_unused *unused);
/* The keeper ends: enters all that waits. Frees what failed_init() allocated. */
void failed_done(struct failed *f);

#endif
