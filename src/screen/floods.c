/*
 * Counts of each second, in words that all workers share. Relaxed atomics suffice: a word is a counter and nothing else
 * depends on it; of two workers that begin a second at the same time one begins again.
 */
#include "screen/screen.h"

#define COUNT_MASK 0x7fffffffu
#define WAS_OVER   0x80000000u /* the second before had more than the threshold */

static uint32_t word_add(uint64_t *word, uint32_t n, uint32_t threshold, uint32_t second)
{
	uint64_t was = __atomic_load_n(word, __ATOMIC_RELAXED), is;

	do {
		uint32_t of = (uint32_t)(was >> 32), count = (uint32_t)was & COUNT_MASK;
		bool before = of + 1 == second && count > threshold;
		uint32_t low = of == second ? (uint32_t)was : before ? WAS_OVER : 0;
		uint32_t sum = (low & COUNT_MASK) + n;
		low = (low & WAS_OVER) | (sum > COUNT_MASK ? COUNT_MASK : sum);
		is = (uint64_t)second << 32 | low;
	} while (!__atomic_compare_exchange_n(word, &was, is, true, __ATOMIC_RELAXED, __ATOMIC_RELAXED));
	return (uint32_t)is;
}

struct flood flood_count(struct floods *f, uint64_t hash, uint32_t n, uint32_t threshold, mono_ns now)
{
	uint32_t second = (uint32_t)(now / NS_PER_S);
	uint32_t a = word_add(&f->slot[0][hash % FLOOD_SLOTS], n, threshold, second);
	uint32_t b = word_add(&f->slot[1][(hash >> 32) % FLOOD_SLOTS], n, threshold, second);
	uint32_t count = (a & COUNT_MASK) < (b & COUNT_MASK) ? a & COUNT_MASK : b & COUNT_MASK;
	bool over = count > threshold;

	return (struct flood){ .count = count, .over = over, .lasting = over || (a & b & WAS_OVER) };
}
