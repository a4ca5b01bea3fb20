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

bool replay_allows(const struct replay *r, uint32_t window, uint64_t sequence)
{
	if (sequence == 0)
		return false; /* RFC 4303 3.3.3: the first packet has 1 */
	if (sequence > r->top)
		return true;
	if (r->top - sequence >= window)
		return false;
	uint64_t block = r->block[sequence / REPLAY_BLOCK_BITS % REPLAY_BLOCKS];
	return !(block >> sequence % REPLAY_BLOCK_BITS & 1);
}

bool replay_take(struct replay *r, uint32_t window, uint64_t sequence)
{
	assert(window >= 1 && window <= REPLAY_WINDOW_LIMIT);
	if (!replay_allows(r, window, sequence))
		return false;
	if (sequence > r->top) {
		uint64_t from = r->top / REPLAY_BLOCK_BITS, to = sequence / REPLAY_BLOCK_BITS;
		__atomic_store_n(&r->top, sequence, __ATOMIC_RELEASE);
		__atomic_signal_fence(__ATOMIC_SEQ_CST);
		if (to - from > REPLAY_BLOCKS)
			from = to - REPLAY_BLOCKS;
		while (from < to)
			r->block[++from % REPLAY_BLOCKS] = 0;
		__atomic_signal_fence(__ATOMIC_SEQ_CST);
	}
	uint64_t *block = &r->block[sequence / REPLAY_BLOCK_BITS % REPLAY_BLOCKS];
	__atomic_store_n(block, *block | 1ull << sequence % REPLAY_BLOCK_BITS, __ATOMIC_RELEASE);
	return true;
}
