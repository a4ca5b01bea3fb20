/*
 * The anti-replay window of an inbound SA: RFC 4303 section 3.4.3 with the ring bitmap of RFC 6479, and the
 * upper half of extended sequence numbers by RFC 4303 appendix A.
 *
 * It lies in memory that outlives the process and may be left at any store by a kill. The order of the stores
 * makes that safe: the top moves first, then the blocks it moved over are cleared, then the bit is set; the
 * packet is let through only after that. A cut in between can refuse a few new numbers, it never lets a
 * delivered one in again.
 */
#ifndef ESP_REPLAY_H
#define ESP_REPLAY_H

#include "base/bytes.h"

#define REPLAY_BLOCK_BITS   64
#define REPLAY_WINDOW_LIMIT 4096
#define REPLAY_WINDOW_USUAL 1024 /* windows up to this one have their blocks in struct replay */
/* One block more than the window: the block that is being filled never holds numbers that still count. */
#define REPLAY_BLOCKS	    (REPLAY_WINDOW_LIMIT / REPLAY_BLOCK_BITS + 1)
#define REPLAY_BLOCKS_USUAL (REPLAY_WINDOW_USUAL / REPLAY_BLOCK_BITS + 1)

_Static_assert(REPLAY_WINDOW_LIMIT % REPLAY_BLOCK_BITS == 0 && REPLAY_WINDOW_USUAL % REPLAY_BLOCK_BITS == 0,
	"a window is whole blocks");

struct replay {
	uint64_t top; /* the highest number that was authenticated; 0: none yet */
	uint64_t block[REPLAY_BLOCKS_USUAL];
};

/* The blocks of a longer window, REPLAY_BLOCKS of them, are elsewhere: `wide`, which shorter ones do not touch. */

/* The full number of a packet whose lower half came; 0, which no packet has, when it lies before the
 * beginning. */
uint64_t replay_extend(const struct replay *r, uint32_t window, bool esn, uint32_t low);
/* May this number still come? Asked before decryption, and decided by replay_take() after it. */
bool replay_allows(const struct replay *r, const uint64_t *wide, uint32_t window, uint64_t sequence);
/* Enters an authenticated number; false when it is a replay. */
bool replay_take(struct replay *r, uint64_t *wide, uint32_t window, uint64_t sequence);

#endif
