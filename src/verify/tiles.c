/* Reading tiles and bundles of entries, as they stand at a size of the log. */
#include "base/bytes.h"
#include "verify/internal.h"

/* The first `count` entries of a bundle, in bytes; the whole of it when it has fewer. */
static size_t bundle_beginning(const uint8_t *bytes, size_t n, uint32_t count)
{
	struct rd r = rd_over(bytes, n);
	const uint8_t *entry;
	size_t entry_n;

	while (count > 0 && bundle_next(&r, &entry, &entry_n))
		count--;
	return count > 0 ? n : (size_t)(r.at - bytes);
}

enum rc tile_source_read(const struct verify_source *source, uint32_t level, uint64_t tile, uint32_t width,
	char ret_path[TILE_PATH_MAX], uint8_t **ret_bytes, size_t *ret_n)
{
	char full[TILE_PATH_MAX];

	*ret_bytes = NULL;
	*ret_n = 0;
	enum rc rc = source->read(source->context, tile_path(ret_path, level, tile, width), ret_bytes, ret_n);
	if (rc != RC_NOT_FOUND || width == TILE_WIDTH)
		return rc;
	/* The full one replaces it, and begins with the same. */
	rc = source->read(source->context, tile_path(full, level, tile, TILE_WIDTH), ret_bytes, ret_n);
	if (rc == RC_OK) {
		memcpy(ret_path, full, sizeof full);
		*ret_n = level == TILE_LEVEL_ENTRIES ? bundle_beginning(*ret_bytes, *ret_n, width)
						     : MIN_OF(*ret_n, width * sizeof(struct merkle_hash));
	}
	return rc;
}

enum rc tile_read(struct walk *w, uint32_t level, uint64_t tile, uint32_t width, char ret_path[TILE_PATH_MAX],
	uint8_t **ret_bytes, size_t *ret_n)
{
	enum rc rc = tile_source_read(w->source, level, tile, width, ret_path, ret_bytes, ret_n);

	return report_read_result(w, ret_path, rc);
}
