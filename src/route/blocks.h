/*
 * Memory for the forwarding table (fib.h): blocks of a few sizes that are read by others without a lock.
 * What is unlinked is retired: it stays as it is until blocks_reclaim() says that nobody reads it any more.
 *
 * Blocks are cut from slabs: the first of 4 KB, each a quarter of all before it, and of 2 MB beyond
 * BLOCKS_SMALL_BYTES; so a table of a few routes costs a few KB. The owner may tell the kernel about large ones: a lookup
 * that waits for memory takes about two thirds of the time in large pages, and in a virtual machine a change that
 * touches pages of 4 KB took 150 us once in a thousand times. A block that was given back is used
 * again for its size alone; slabs are freed with all of them. All calls take constant time but blocks_done(),
 * which frees the slabs (some tens of a full table), not the blocks.
 *
 * A block that is free or retired holds the link of its list in its last 8 octets, which callers do not
 * get: so readers of a retired block find it unchanged. No call fails but blocks_get().
 */
#ifndef ROUTE_BLOCKS_H
#define ROUTE_BLOCKS_H

#include "base/bytes.h"

#define BLOCKS_GRAIN	     32u   /* sizes are multiples, blocks aligned to it */
#define BLOCKS_SIZE_MAX	     2560u /* of what callers get: 64 children and 127 values of a node, see fib.c */
#define BLOCKS_CLASSES	     82u   /* one for each multiple up to BLOCKS_SIZE_MAX and the link */
#define BLOCKS_SLAB_SIZE_MIN (4u << 10)
#define BLOCKS_SLAB_SIZE_MAX (2u << 20)	 /* a large page, aligned as one */
#define BLOCKS_TOUCHES	     16u	 /* pages of 4 KB, in one piece */
#define BLOCKS_SMALL_BYTES   (64u << 10) /* some thousand routes */

struct blocks {
	uint8_t *free[BLOCKS_CLASSES];
	struct {
		uint8_t *first, *last;
	} retired[BLOCKS_CLASSES];
	uint64_t retired_classes[(BLOCKS_CLASSES + 63) / 64]; /* a bit for each that has some */
	uint8_t *slabs;					      /* all of them, linked */
	uint8_t *at, *end;				      /* what is left of the last one */
	uint8_t *spare;				 /* the next one of BLOCKS_SLAB_SIZE_MAX; or NULL */
	uint32_t spare_touched;			 /* so many octets of it have memory */
	void (*advise)(void *slab, size_t size); /* NULL, or called with each slab of BLOCKS_SLAB_SIZE_MAX */
	size_t bytes, used;			 /* of the slabs; of blocks handed out */
};

/* A struct of zeros is empty. */
void *blocks_get(struct blocks *b, size_t size); /* NULL: out of memory */
/* size: what it was got with. */
void blocks_put(struct blocks *b, void *block, size_t size);	/* nobody has seen it */
void blocks_retire(struct blocks *b, void *block, size_t size); /* somebody may still read it */
/* Whenever it is convenient: the next slab, while there is still room, and a piece of its memory. Otherwise who needs it
 * waits for the kernel, which clears 2 MB. */
void blocks_prepare(struct blocks *b);
/* Every reader has passed a quiet point since the last block was retired. */
void blocks_reclaim(struct blocks *b);
/* Before blocks_done(), which then has less to do: one slab is freed, and no block is used any more. True: that was the
 * last. */
bool blocks_release(struct blocks *b);
void blocks_done(struct blocks *b);

#endif
