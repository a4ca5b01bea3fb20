/*
 * Values and leaves whose exchanges came to nothing, on their way into the ledger (exchange_failed). What an
 * exchange took in its turn is named by the entry of what it came to, or here: so that leaving one out is
 * never silent (docs/evidence.md, "Order").
 *
 * A stranger can bring such exchanges about as fast as he likes. So they are entered as ranges: an entry at
 * most every FAILED_EVERY_NS, the first FAILED_DELAY_NS after the exchange ended, each of at most
 * FAILED_TEXT_MAX octets of ranges. What ends one after the other is one range, however much it is. When
 * more than FAILED_RANGES_MAX wait, the rest is not entered: the verifier counts it as unaccounted for.
 *
 * One thread. Caller: shell.c, tests.
 */
#ifndef PROC_KEEPER_FAILED_H
#define PROC_KEEPER_FAILED_H

#include "proc/keeper/leaves.h"
#include "proc/keeper/public.h"

#define FAILED_DELAY_NS (10 * NS_PER_S)
#define FAILED_EVERY_NS NS_PER_S
#define FAILED_RANGES_MAX                                                                                    \
	1024 /* of one epoch or batch; begun exchanges lie between them, at most KEYS_IKE_MAX */
#define FAILED_RANGES_FULL 32 /* are entered without delay */
#define FAILED_TEXT_MAX	   640
#define FAILED_SETS	   16 /* epochs and batches with something to say: of batches LEAVES_BURST at once */

/* Numbers of one epoch or batch, rising and apart. */
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
	uint64_t lost;		/* found no room */
	struct failed_set *set; /* FAILED_SETS of them: public, so not in memory that is locked */
};

/* All three outlive it; it must not move. RC_LIMIT: no memory. */
enum rc failed_init(struct failed *f, struct child *child, const struct public_source *values,
	const struct leaves *leaves);
void failed_add(struct failed *f, const struct keys_unused *unused);
/* The end of the keeper: all of it, now. Frees what failed_init() took. */
void failed_done(struct failed *f);

#endif
