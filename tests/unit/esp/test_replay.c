/*
 * The anti-replay window against a plain set of all numbers seen, extended sequence numbers over the wrap,
 * and what a kill between its stores leaves.
 */
#include "esp/replay.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

static uint64_t seed;
static uint64_t wide[REPLAY_BLOCKS]; /* of windows that need it */

static uint32_t draw(uint32_t below)
{
	seed = seed * 6364136223846793005ull + 1442695040888963407ull;
	return (uint32_t)(seed >> 33) % below;
}

/* Random walk with jumps around the edges of the window: each number passes once, and those in the window do
 * pass. */
static void window_equals_a_set(void **state)
{
	static const uint32_t windows[] = { 32, 64, 65, 1000, 1024, 4096 };
	enum { NUMBERS = 1 << 17 };
	uint8_t *seen = calloc(NUMBERS, 1);

	for (size_t w = 0; w < COUNT_OF(windows); w++) {
		struct replay r = { 0 };
		uint64_t top = 0;
		memset(seen, 0, NUMBERS);
		memset(wide, 0, sizeof wide);
		seed = w;
		for (uint32_t step = 0; step < 200000; step++) {
			uint64_t n;
			switch (draw(8)) {
			case 0:
				n = top + draw(3 * windows[w]);
				break;
			case 1:
				n = top + 1 -
				    MIN_OF(top, windows[w] - 2 + draw(5)); /* around the left edge */
				break;
			case 2:
				n = top + 1;
				break;
			default:
				n = top - MIN_OF(top, draw(2 * windows[w]));
			}
			if (n >= NUMBERS)
				break;
			bool want = n != 0 && (n > top || top - n < windows[w]) && !seen[n];
			assert_int_equal(replay_allows(&r, wide, windows[w], n), want);
			assert_int_equal(replay_take(&r, wide, windows[w], n), want);
			assert_false(replay_take(&r, wide, windows[w], n));
			if (want)
				seen[n] = 1;
			top = n > top ? n : top;
			assert_int_equal(r.top, top);
		}
	}
	free(seen);
}

/* The receiver finds the upper half for each number that a sender in or ahead of the window may use. */
static void extended_numbers_are_found(void **state)
{
	static const uint64_t tops[] = { 1, 500, 1023, 1024, 0xfffffffeu, 0xffffffffu, 0x100000000u,
		0x1000003ffu, 0x100000400u, 0x1fffffff0u, 0xabcdef00000005u };
	uint32_t window = 1024;

	for (size_t i = 0; i < COUNT_OF(tops); i++) {
		struct replay r = { .top = tops[i] };
		for (uint32_t back = 0; back < window && back < tops[i]; back++)
			assert_true(replay_extend(&r, window, true, (uint32_t)(tops[i] - back)) ==
				    tops[i] - back);
		for (uint64_t ahead = 1; ahead < 0xfffff000u; ahead = ahead * 3 + 1)
			assert_true(replay_extend(&r, window, true, (uint32_t)(tops[i] + ahead)) ==
				    tops[i] + ahead);
		assert_true(replay_extend(&r, window, false, (uint32_t)tops[i]) == (uint32_t)tops[i]);
	}
	/* Before the beginning there is nothing: the number 2^32 - 5 of "minus one" is none. */
	struct replay young = { .top = 3 };
	assert_true(replay_extend(&young, window, true, 0xfffffffbu) == 0);
}

static void the_wrap_of_32_bits_is_passed(void **state)
{
	struct replay r = { .top = 0xfffffff0u };

	for (uint64_t n = 0xfffffff1u; n < 0x100000010u; n++) {
		uint64_t full = replay_extend(&r, 64, true, (uint32_t)n);
		assert_true(full == n);
		assert_true(replay_take(&r, wide, 64, full));
		assert_false(replay_take(&r, wide, 64, replay_extend(&r, 64, true, (uint32_t)n)));
	}
	/* From before the wrap, seen already. */
	assert_false(replay_take(&r, wide, 64, replay_extend(&r, 64, true, 0xfffffffau)));
}

/*
 * A kill may leave the new top without the cleared blocks or without the bit. Whatever it leaves, no number
 * that was taken before is taken again.
 */
static void a_cut_in_between_lets_no_replay_in(void **state)
{
	for (uint32_t round = 0; round < 300; round++) {
		uint32_t window = round % 2 ? 1024 : 4096;
		struct replay r = { 0 }, cut;
		memset(wide, 0, sizeof wide);
		seed = round;
		uint64_t taken[600], top = 0;
		for (uint32_t i = 0; i < COUNT_OF(taken); i++) {
			uint64_t n = top + 1 + (draw(4) ? 0 : draw(90));
			assert_true(replay_take(&r, wide, window, n));
			taken[i] = top = n;
		}
		cut = r;
		cut.top = top + 1 + draw(3000); /* only the first store happened */
		for (uint32_t i = 0; i < COUNT_OF(taken); i++)
			assert_false(replay_allows(&cut, wide, window, taken[i]));
		/* And it works on. */
		assert_true(replay_take(&cut, wide, window, cut.top + 2 * REPLAY_WINDOW_LIMIT));
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(window_equals_a_set),
		cmocka_unit_test(extended_numbers_are_found),
		cmocka_unit_test(the_wrap_of_32_bits_is_passed),
		cmocka_unit_test(a_cut_in_between_lets_no_replay_in),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
