/* Paths and arithmetic of tiles: the specification's examples, and all layouts of small logs against
 * counting. */
#include "merkle/tile.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

static void paths(void **state)
{
	static const struct {
		uint32_t level;
		uint64_t n;
		uint32_t width;
		const char *want;
	} rows[] = {
		{ 0, 0, 256, "tile/0/000" },
		{ 0, 0, 5, "tile/0/000.p/5" },
		{ 0, 999, 256, "tile/0/999" },
		{ 0, 1000, 255, "tile/0/x001/000.p/255" },
		{ 0, 1234067, 256, "tile/0/x001/x234/067" },
		{ 1, 1234067, 1, "tile/1/x001/x234/067.p/1" },
		{ 7, 123, 256, "tile/7/123" },
		{ TILE_LEVEL_ENTRIES, 0, 256, "tile/entries/000" },
		{ TILE_LEVEL_ENTRIES, 273, 112, "tile/entries/273.p/112" },
		{ 0, 72057594037927935u, 256, "tile/0/x072/x057/x594/x037/x927/935" },
	};
	static const char *wrong[] = { "", "tile", "tile/", "tile/0", "tile/0/", "tile/0/0", "tile/0/00",
		"tile/0/0000", "tile/00/000", "tile/8/000", "tile/64/000", "tile/0/001/000", "tile/0/x001",
		"tile/0/x000/001", "tile/0/000.p", "tile/0/000.p/", "tile/0/000.p/0", "tile/0/000.p/256",
		"tile/0/000.p/05", "tile/0/000.p/5 ", "tile/0/-01", "tile/entry/000",
		"tile/entries/x001/x000", "/tile/0/000", "tile//0/000",
		"tile/0/x018/x446/x744/x073/x709/x551/616" };
	char path[TILE_PATH_MAX];
	uint32_t level, width;
	uint64_t n;

	for (size_t i = 0; i < COUNT_OF(rows); i++) {
		assert_string_equal(tile_path(path, rows[i].level, rows[i].n, rows[i].width), rows[i].want);
		assert_true(tile_path_parse(path, &level, &n, &width));
		assert_true(level == rows[i].level && n == rows[i].n && width == rows[i].width);
	}
	for (size_t i = 0; i < COUNT_OF(wrong); i++)
		if (tile_path_parse(wrong[i], &level, &n, &width))
			fail_msg("taken: '%s'", wrong[i]);
	/* The longest path fits. */
	assert_true(strlen(tile_path(path, TILE_LEVEL_ENTRIES, UINT64_MAX, 255)) < TILE_PATH_MAX);
	assert_string_equal(path, "tile/entries/x018/x446/x744/x073/x709/x551/615.p/255");
}

static void layout(void **state)
{
	/* The specification's example: 70,000 entries. */
	assert_int_equal(tile_full(0, 70000), 273);
	assert_int_equal(tile_partial(0, 70000), 112);
	assert_int_equal(tile_full(1, 70000), 1);
	assert_int_equal(tile_partial(1, 70000), 17);
	assert_int_equal(tile_full(2, 70000), 0);
	assert_int_equal(tile_partial(2, 70000), 1);
	assert_int_equal(tile_full(3, 70000), 0);
	assert_int_equal(tile_partial(3, 70000), 0);
	assert_int_equal(tile_full(TILE_LEVEL_ENTRIES, 70000), 273);
	assert_int_equal(tile_partial(TILE_LEVEL_ENTRIES, 70000), 112);
	/* No size has hashes beyond its leaves. */
	for (uint64_t size = 0; size < 200000; size += 511)
		for (uint32_t level = 0; level < 4; level++) {
			uint64_t span = 1ull << (8 * level),
				 hashes = tile_full(level, size) * 256 + tile_partial(level, size);
			assert_true(hashes * span <= size && (hashes + 1) * span > size);
		}
	assert_int_equal(tile_full(7, UINT64_MAX), 0);
	assert_int_equal(tile_partial(7, UINT64_MAX), 255);
}

static void bundles(void **state)
{
	static const uint8_t bytes[] = { 0, 3, 'a', 'b', 'c', 0, 0, 0, 1, 'z' };
	const uint8_t *entry;
	size_t n, starts[] = { 0, 5, 7, 10 };

	struct rd r = rd_over(bytes, sizeof bytes);
	assert_true(bundle_next(&r, &entry, &n) && n == 3 && memcmp(entry, "abc", 3) == 0);
	assert_true(bundle_next(&r, &entry, &n) && n == 0);
	assert_true(bundle_next(&r, &entry, &n) && n == 1 && entry[0] == 'z');
	assert_false(bundle_next(&r, &entry, &n));
	assert_false(r.bad);
	/* Every truncation that is not between entries is told. */
	for (size_t cut = 0; cut < sizeof bytes; cut++) {
		bool between = false;
		for (size_t i = 0; i < COUNT_OF(starts); i++)
			between |= cut == starts[i];
		r = rd_over(bytes, cut);
		while (bundle_next(&r, &entry, &n))
			;
		assert_int_equal(r.bad, !between);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(paths), cmocka_unit_test(layout),
		cmocka_unit_test(bundles) };
	return cmocka_run_group_tests(tests, NULL, NULL);
}
