#include "esp/replay.h"

#include <assert.h>

uint64_t replay_extend(const struct replay *r, uint32_t window, bool esn, uint32_t low)
{
	uint32_t top_low = (uint32_t)r->top, bottom = top_low - window + 1;
	uint64_t high = r->top >> 32;

	if (!esn)
		return low;
	/* RFC 4303 A2.2: case A, the window lies in one subspace of 2^32 numbers; case B, it spans two. */
	if (top_low >= window - 1) {
		if (low < bottom)
			high++;
	} else if (low >= bottom) {
		if (high == 0)
			return 0;
		high--;
	}
	return high << 32 | low;
}

/* Where a block stands; two constants to divide by, not one variable. */
static uint64_t place(uint32_t window, uint64_t block)
{
	return window <= REPLAY_WINDOW_USUAL ? block % REPLAY_BLOCKS_USUAL : block % REPLAY_BLOCKS;
}

bool replay_allows(const struct replay *r, const uint64_t *wide, uint32_t window, uint64_t sequence)
{
	const uint64_t *blocks = window <= REPLAY_WINDOW_USUAL ? r->block : wide;

	if (sequence == 0)
		return false; /* RFC 4303 3.3.3: the first packet has 1 */
	if (sequence > r->top)
		return true;
	if (r->top - sequence >= window)
		return false;
	uint64_t block = blocks[place(window, sequence / REPLAY_BLOCK_BITS)];
	return !(block >> sequence % REPLAY_BLOCK_BITS & 1);
}

bool replay_take(struct replay *r, uint64_t *wide, uint32_t window, uint64_t sequence)
{
	uint64_t *blocks = window <= REPLAY_WINDOW_USUAL ? r->block : wide;
	uint64_t blocks_n = window <= REPLAY_WINDOW_USUAL ? REPLAY_BLOCKS_USUAL : REPLAY_BLOCKS;

	assert(window >= 1 && window <= REPLAY_WINDOW_LIMIT);
	if (!replay_allows(r, wide, window, sequence))
		return false;
	if (sequence > r->top) {
		uint64_t from = r->top / REPLAY_BLOCK_BITS, to = sequence / REPLAY_BLOCK_BITS;
		__atomic_store_n(&r->top, sequence, __ATOMIC_RELEASE);
		__atomic_signal_fence(__ATOMIC_SEQ_CST);
		if (to - from > blocks_n)
			from = to - blocks_n;
		while (from < to)
			blocks[place(window, ++from)] = 0;
		__atomic_signal_fence(__ATOMIC_SEQ_CST);
	}
	uint64_t *block = &blocks[place(window, sequence / REPLAY_BLOCK_BITS)];
	__atomic_store_n(block, *block | 1ull << sequence % REPLAY_BLOCK_BITS, __ATOMIC_RELEASE);
	return true;
}
