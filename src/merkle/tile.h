/*
 * C2SP tlog-tiles 0.1: where the hashes and entries of a log stand in files. A full tile has 256 hashes (8192
 * bytes); hash i of tile (level, n) is the root of 256^level leaves, the (n * 256 + i)-th such subtree. An
 * entry bundle repeats length (16 bits, big-endian) and entry.
 */
#ifndef MERKLE_TILE_H
#define MERKLE_TILE_H

#include "base/rd.h"
#include "merkle/tree.h"

#define TILE_WIDTH 256u
_Static_assert(TILE_WIDTH == 1u << 8, "a tile has eight levels of the tree");
#define TILE_LEVEL_ENTRIES UINT32_MAX /* entry bundles in the place of a level */
#define TILE_LEVELS	   8	      /* 256^8 leaves are all that 64 bits can count */
#define TILE_PATH_MAX	   64

/* "tile/0/x001/x234/067.p/5"; width 256: full, without .p. ret_path holds TILE_PATH_MAX. */
char *tile_path(char *ret_path, uint32_t level, uint64_t n, uint32_t width);

/* The other way, strict: exactly what tile_path() writes for a width of 1 to 256. */
bool tile_path_parse(const char *path, uint32_t *ret_level, uint64_t *ret_n, uint32_t *ret_width);

/* Hashes in the last, partial tile of the level for a log of that size, 0: there is none. */
static inline uint32_t tile_partial(uint32_t level, uint64_t size)
{
	uint32_t bits = level == TILE_LEVEL_ENTRIES ? 0 : 8 * level;
	return bits >= 64 ? 0 : (uint32_t)(size >> bits) % TILE_WIDTH;
}

/* Full tiles of the level. */
static inline uint64_t tile_full(uint32_t level, uint64_t size)
{
	uint32_t bits = (level == TILE_LEVEL_ENTRIES ? 0 : 8 * level) + 8;
	return bits >= 64 ? 0 : size >> bits;
}

/* The next entry of a bundle as a borrowed view; false at the end, r->bad when it is cut. */
static inline bool bundle_next(struct rd *r, const uint8_t **ret_entry, size_t *ret_n)
{
	if (rd_left(r) == 0)
		return false;
	*ret_n = rd_u16(r);
	*ret_entry = rd_take(r, *ret_n);
	return !r->bad;
}

#endif
