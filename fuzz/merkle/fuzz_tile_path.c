/* Paths of tiles: what is taken as a path is exactly what is written for its numbers, and any numbers come
 * back. */
#include "merkle/tile.h"

#include <assert.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

static void numbers(const uint8_t *data, size_t n)
{
	struct rd r = rd_over(data, n);
	uint32_t level = rd_u8(&r) % (TILE_LEVELS + 1), width = rd_u8(&r) + 1u, back_level, back_width;
	uint64_t tile = rd_u64(&r), back_tile;
	char path[TILE_PATH_MAX];

	if (r.bad)
		return;
	level = level == TILE_LEVELS ? TILE_LEVEL_ENTRIES : level;
	tile >>= 8 + (tile & 31); /* of 2^64 leaves there are 2^56 tiles */
	tile_path(path, level, tile, width);
	assert(memchr(path, 0, sizeof path));
	bool good = tile_path_parse(path, &back_level, &back_tile, &back_width);
	assert(good && back_level == level && back_tile == tile && back_width == width);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	char text[2 * TILE_PATH_MAX], path[TILE_PATH_MAX];
	uint32_t level, width;
	uint64_t tile;

	numbers(data, n);
	if (n >= sizeof text)
		return 0;
	memcpy(text, data, n);
	text[n] = '\0';
	if (tile_path_parse(text, &level, &tile, &width)) {
		assert(width >= 1 && width <= TILE_WIDTH);
		assert(strcmp(tile_path(path, level, tile, width), text) == 0);
	}
	return 0;
}
