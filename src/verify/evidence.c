#include "verify/evidence.h"

#include "base/bytes.h"
#include "ledger/log.h"
#include "ledger/seal.h"
#include "verify/internal.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>

/* ---- choosing ---- */

struct announced_epoch {
	uint64_t begins;
	struct merkle_hash root;
};

struct mark {
	bool any;
	uint64_t begins, size; /* the epoch's entry; what was sealed */
};

struct evidence {
	char from[VERIFY_TIME_MAX], to[VERIFY_TIME_MAX];
	uint64_t size;	     /* entries walked over */
	bool any;	     /* an entry is of the time */
	uint64_t first, end; /* where dates come to the time first, and where they have passed it */
	bool passed;	     /* since `end` */
	uint64_t behind;     /* entries up to the last one that is before the time, when none is of it */
	bool config_before;
	uint64_t config_index; /* the configuration in use at `first` */
	struct mark sealed;    /* the first seal that covers `end` */
	struct mark last;
	struct announced_epoch *epoch;
	size_t epochs_n, epochs_room;
	struct config {
		uint64_t index;
		uint8_t hash[SHA256_SIZE];
	} *config; /* the one in use when the time begins, and all after it */
	size_t config_n, config_room;
	bool out_of_memory;
	/* chosen */
	uint64_t published;
	uint64_t *entries, *leaves; /* bundles whose entries, and whose hashes, are needed; ascending */
	size_t entries_n, leaves_n;
};

/* Makes room for one more of `size` octets in an array. NULL: out of memory. */
static void *array_grow(void *array, size_t *n, size_t *room, size_t size)
{
	if (*n == *room) {
		size_t more = MAX_OF(2 * *room, (size_t)16);
		void *grown = realloc(array, more * size);
		if (!grown)
			return NULL;
		*room = more;
		array = grown;
	}
	++*n;
	return array;
}

struct evidence *evidence_new(const char *from, const char *to)
{
	struct evidence *v = calloc(1, sizeof *v);

	if (v) {
		snprintf(v->from, sizeof v->from, "%s", from);
		snprintf(v->to, sizeof v->to, "%s", to);
	}
	return v;
}

void evidence_free(struct evidence *v)
{
	if (!v)
		return;
	free(v->epoch);
	free(v->config);
	free(v->entries);
	free(v->leaves);
	free(v);
}

void evidence_begin(void *context)
{
	struct evidence *v = context, fresh = { .epoch = v->epoch,
		.epochs_room = v->epochs_room,
		.config = v->config,
		.config_room = v->config_room };

	memcpy(fresh.from, v->from, sizeof fresh.from);
	memcpy(fresh.to, v->to, sizeof fresh.to);
	*v = fresh;
}

static void epoch_keep(struct evidence *v, const struct ledger_entry *entry, uint64_t index)
{
	struct announced_epoch *grown = array_grow(v->epoch, &v->epochs_n, &v->epochs_room, sizeof *v->epoch);

	if (!grown) {
		v->out_of_memory = true;
		return;
	}
	v->epoch = grown;
	grown[v->epochs_n - 1].begins = index;
	if (!ledger_entry_hex(entry, "root", grown[v->epochs_n - 1].root.b, SHA256_SIZE))
		v->epochs_n--;
}

static void config_keep(struct evidence *v, const struct ledger_entry *entry, uint64_t index)
{
	void *grown = array_grow(v->config, &v->config_n, &v->config_room, sizeof *v->config);

	if (!grown) {
		v->out_of_memory = true;
		return;
	}
	v->config = grown;
	v->config[v->config_n - 1].index = index;
	if (!ledger_entry_hex(entry, "sha256", v->config[v->config_n - 1].hash, SHA256_SIZE))
		v->config_n--;
}

static bool is_config(const struct ledger_entry *entry)
{
	return entry->type == LEDGER_CONFIG_LOAD || entry->type == LEDGER_CONFIG_COMMIT;
}

/*
 * The range goes from the entry after the last one that is dated before the time to the first one that is
 * dated after it: if the clock was set in between, it has entries of other dates.
 */
static void range_grow(struct evidence *v, const struct ledger_entry *entry, uint64_t index)
{
	bool early = strcmp(entry->utc, v->from) < 0, late = strcmp(entry->utc, v->to) > 0;

	if (!v->any && early) {
		v->behind = index + 1;
		v->sealed.any = false;
	}
	if (!early && !late) {
		if (!v->any)
			v->first = v->behind;
		v->any = true;
		v->passed = false;
	}
	v->passed = v->passed || (v->any && late);
	if (v->any && !v->passed) {
		v->end = index + 1;
		v->sealed.any = false; /* does not cover this one */
	}
}

void evidence_entry(void *context, const struct ledger_entry *entry, uint64_t index)
{
	struct evidence *v = context;

	v->size = index + 1;
	if (entry->type == LEDGER_SEAL_EPOCH)
		epoch_keep(v, entry, index);
	range_grow(v, entry, index);
	if (!is_config(entry))
		return;
	if (!v->any && strcmp(entry->utc, v->from) < 0) {
		v->config_before = true;
		v->config_index = index;
		v->config_n = 0; /* the ones before were replaced */
	}
	config_keep(v, entry, index);
}

void evidence_sealed(void *context, uint64_t begins, uint64_t size)
{
	struct evidence *v = context;

	v->last = (struct mark){ true, begins, size };
	if (!v->sealed.any)
		v->sealed = v->last;
}

static bool number_put(uint64_t **array, size_t *n, size_t *room, uint64_t value)
{
	uint64_t *grown = array_grow(*array, n, room, sizeof **array);

	if (!grown)
		return false;
	*array = grown;
	grown[*n - 1] = value;
	return true;
}

static int ascending(const void *a, const void *b)
{
	uint64_t x, y;

	memcpy(&x, a, sizeof x);
	memcpy(&y, b, sizeof y);
	return x < y ? -1 : x > y;
}

static size_t sorted_once(uint64_t *array, size_t n)
{
	size_t kept = 0;

	if (n > 0)
		qsort(array, n, sizeof *array, ascending);
	for (size_t i = 0; i < n; i++)
		if (i == 0 || array[i] != array[i - 1])
			array[kept++] = array[i];
	return kept;
}

/* The number of an entry that is needed for itself. */
static bool entry_want(struct evidence *v, size_t *room, uint64_t index)
{
	return index >= v->published || number_put(&v->entries, &v->entries_n, room, index / TILE_WIDTH);
}

enum rc evidence_choose(struct evidence *v, uint64_t size, uint64_t cosigned, struct verify_range *ret_range)
{
	size_t entries_room = 0, leaves_room = 0;
	bool good = !v->out_of_memory;

	free(v->entries);
	free(v->leaves);
	v->entries = v->leaves = NULL;
	v->entries_n = v->leaves_n = 0;
	v->published = size;
	if (!v->any)
		v->first = v->end = v->behind;
	assert(v->first <= v->end && v->end <= v->size);
	uint64_t from = v->first > 0 ? v->first - 1 : 0, to = MIN_OF(v->end, size > 0 ? size - 1 : 0);
	for (uint64_t b = from / TILE_WIDTH; good && from < size && b <= to / TILE_WIDTH; b++)
		good = number_put(&v->entries, &v->entries_n, &entries_room, b);
	if (v->config_before)
		good = good && entry_want(v, &entries_room, v->config_index);
	if (v->sealed.any)
		good = good && entry_want(v, &entries_room, v->sealed.begins);
	if (v->last.any)
		good = good && entry_want(v, &entries_room, v->last.begins);
	for (size_t i = v->epochs_n; good && i-- > 0;)
		if (v->epoch[i].begins <= v->first) { /* in use when the range begins */
			good = entry_want(v, &entries_room, v->epoch[i].begins);
			break;
		}
	v->entries_n = sorted_once(v->entries, v->entries_n);
	for (size_t i = 0; good && i < v->entries_n; i++)
		good = number_put(&v->leaves, &v->leaves_n, &leaves_room, v->entries[i]);
	/* Sizes at which the root must be known. */
	const uint64_t sizes[] = { v->sealed.any ? v->sealed.size : 0, cosigned, size };
	for (size_t i = 0; good && i < COUNT_OF(sizes); i++)
		if (sizes[i] > 0 && sizes[i] <= size)
			good = number_put(
				&v->leaves, &v->leaves_n, &leaves_room, (sizes[i] - 1) / TILE_WIDTH);
	v->leaves_n = sorted_once(v->leaves, v->leaves_n);
	if (!good)
		return RC_LIMIT;
	*ret_range = (struct verify_range){ .first = v->first, .end = v->end };
	memcpy(ret_range->from, v->from, sizeof v->from);
	memcpy(ret_range->to, v->to, sizeof v->to);
	return RC_OK;
}

/* ---- the ledger's files ---- */

static void tile_give(const struct evidence *v, uint32_t level, uint64_t n,
	void (*each)(void *to, const char *path), void *to)
{
	char path[TILE_PATH_MAX];
	uint64_t full = tile_full(level, v->published);
	uint32_t width = n < full ? TILE_WIDTH : n == full ? tile_partial(level, v->published) : 0;

	if (width > 0)
		each(to, tile_path(path, level, n, width));
}

bool evidence_needs_journal(const struct evidence *v)
{
	return v->end > v->published || v->published == 0;
}

void evidence_files(const struct evidence *v, void (*each)(void *to, const char *path), void *to)
{
	char path[SEAL_PATH_MAX];

	for (size_t i = 0; i < v->entries_n; i++)
		tile_give(v, TILE_LEVEL_ENTRIES, v->entries[i], each, to);
	for (uint32_t level = 0; level < TILE_LEVELS; level++) {
		uint64_t last = UINT64_MAX, edge = tile_full(level, v->published);
		for (size_t i = 0; i < v->leaves_n; i++) {
			uint64_t n = v->leaves[i] >> (8 * level);
			if (n != last)
				tile_give(v, level, n, each, to);
			last = n;
		}
		if (last != edge) /* the right edge, from which the root is made */
			tile_give(v, level, edge, each, to);
	}
	for (size_t i = 0; i < v->epochs_n; i++) {
		uint64_t bundle = v->epoch[i].begins / TILE_WIDTH;
		if (v->epoch[i].begins < v->published &&
			!bsearch(&bundle, v->entries, v->entries_n, sizeof bundle, ascending))
			continue;
		if (v->epoch[i].begins >= v->published && !evidence_needs_journal(v))
			continue; /* announced in the journal, which stays out */
		each(to, seal_path_keys(path, &v->epoch[i].root));
		each(to, seal_path_seals(path, &v->epoch[i].root));
	}
}

enum rc evidence_file_read(
	const struct verify_source *source, const char *path, uint8_t **ret_bytes, size_t *ret_n)
{
	char taken[TILE_PATH_MAX];
	uint32_t level, width;
	uint64_t n;

	if (!tile_path_parse(path, &level, &n, &width))
		return source->read(source->context, path, ret_bytes, ret_n);
	return tile_source_read(source, level, n, width, taken, ret_bytes, ret_n);
}

bool evidence_config(const struct evidence *v, const void *text, size_t n, char ret_path[EVIDENCE_PATH_MAX])
{
	uint8_t hash[SHA256_SIZE];

	sha256(hash, text, n);
	for (size_t i = 0; i < v->config_n; i++) {
		bool named = v->config[i].index < v->end ||
			     (v->config_before && v->config[i].index == v->config_index);
		if (!named || memcmp(v->config[i].hash, hash, sizeof hash) != 0)
			continue;
		evidence_config_path(ret_path, hash);
		return true;
	}
	return false;
}
