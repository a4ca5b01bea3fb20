#include "merkle/tile.h"

#include <stdio.h>

char *tile_path(char *ret_path, uint32_t level, uint64_t n, uint32_t width)
{
	char number[48];
	size_t at = 0;
	unsigned groups[8], count = 0;

	/* Groups of three digits, all but the last prefixed with x: 1234067 is x001/x234/067. */
	do {
		groups[count++] = (unsigned)(n % 1000);
		n /= 1000;
	} while (n > 0);
	for (unsigned i = count; i-- > 0;)
		at += (size_t)snprintf(number + at, sizeof number - at, i > 0 ? "x%03u/" : "%03u", groups[i]);
	if (level == TILE_LEVEL_ENTRIES)
		snprintf(ret_path, TILE_PATH_MAX, "tile/entries/%s", number);
	else
		snprintf(ret_path, TILE_PATH_MAX, "tile/%u/%s", (unsigned)level, number);
	if (width < TILE_WIDTH) {
		size_t used = strlen(ret_path);
		snprintf(ret_path + used, TILE_PATH_MAX - used, ".p/%u", (unsigned)width);
	}
	return ret_path;
}
