#include "merkle/tile.h"

#include <assert.h>
#include <stdio.h>
#include <string.h>

_Static_assert(
	sizeof "tile/entries/x018/x446/x744/x073/x709/x551/615.p/255" <= TILE_PATH_MAX, "every path fits");

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
	assert(count <= COUNT_OF(groups));
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

/* Decimal digits at *at, of any value that fits; false when there are none. */
static bool digits_take(const char **at, uint64_t *ret)
{
	uint64_t v = 0;
	const char *begin = *at;

	for (; **at >= '0' && **at <= '9'; (*at)++) {
		if (v > (UINT64_MAX - 9) / 10)
			return false;
		v = v * 10 + (uint64_t)(**at - '0');
	}
	*ret = v;
	return *at > begin;
}

bool tile_path_parse(const char *path, uint32_t *ret_level, uint64_t *ret_n, uint32_t *ret_width)
{
	uint64_t level = TILE_LEVEL_ENTRIES, n = 0, group, width = TILE_WIDTH;
	const char *at = path;
	char again[TILE_PATH_MAX];

	if (strncmp(at, "tile/", 5) != 0)
		return false;
	at += 5;
	if (strncmp(at, "entries", 7) == 0)
		at += 7;
	else if (!digits_take(&at, &level) || level >= TILE_LEVELS)
		return false;
	do {
		at += *at == '/' ? 1 : 0;
		at += *at == 'x' ? 1 : 0;
		if (!digits_take(&at, &group) || group > 999 || n > (UINT64_MAX - 999) / 1000)
			return false;
		n = n * 1000 + group;
	} while (*at == '/');
	if (strncmp(at, ".p/", 3) == 0) {
		at += 3;
		if (!digits_take(&at, &width) || width == 0 || width >= TILE_WIDTH)
			return false;
	}
	if (*at)
		return false;
	/* One text for one tile: what is left to check is that it is the one that is written. */
	if (strcmp(tile_path(again, (uint32_t)level, n, (uint32_t)width), path) != 0)
		return false;
	*ret_level = (uint32_t)level;
	*ret_n = n;
	*ret_width = (uint32_t)width;
	return true;
}
