/* Attacks by somebody who can write to the ledger's files and has no key; and earlier states of them. */
#include "world.h"

#include "base/bytes.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

/* ---- bits ---- */

bool attack_KEY_BITS(struct attempt *a, uint32_t i)
{
	size_t n;

	memory_get(&good, LEDGER_PATH_VKEY, &n);
	if (i >= 8 * n)
		return false;
	flip(&a->files, LEDGER_PATH_VKEY, i);
	return true;
}

bool attack_HEAD_BITS(struct attempt *a, uint32_t i)
{
	size_t n;
	const uint8_t *note = memory_get(&good, LEDGER_PATH_CHECKPOINT, &n);

	if (i >= 8 * cosignatures_at((const char *)note, n))
		return false;
	flip(&a->files, LEDGER_PATH_CHECKPOINT, i);
	return true;
}

bool attack_ENTRY_BITS(struct attempt *a, uint32_t i)
{
	uint64_t entry = i % PUBLISHED;

	if (i >= 1800)
		return false;
	flip(&a->files, bundle_path(entry), 8 * (entry_at[entry] + 2) + mixed(i, 1) % (8 * lines[entry].n));
	a->entry = entry;
	return true;
}

/* A wrong length shifts what is behind it, up to the bundle's end. */
bool attack_LENGTH_BITS(struct attempt *a, uint32_t i)
{
	uint64_t entry = i % PUBLISHED;

	if (i >= 640)
		return false;
	flip(&a->files, bundle_path(entry), 8 * entry_at[entry] + mixed(i, 2) % 16);
	return true;
}

/* Number i of the files for which want() says so. NULL: there are none at all. */
static const char *file_of(bool (*want)(const char *path), uint32_t i)
{
	uint32_t count = 0;

	for (size_t f = 0; f < good.n; f++)
		count += want(good.file[f].path);
	for (size_t f = 0; f < good.n && count > 0; f++)
		if (want(good.file[f].path) && i-- % count == 0)
			return good.file[f].path;
	return count > 0 ? file_of(want, i % count) : NULL;
}

static bool newest_tile(const char *path)
{
	uint32_t level;
	uint64_t tile;

	return tile_kind(path, &level, &tile) == NEWEST && level != TILE_LEVEL_ENTRIES;
}

static bool older_copy(const char *path)
{
	uint32_t level;
	uint64_t tile;

	return tile_kind(path, &level, &tile) == OLDER_COPY;
}

static bool seals_file(const char *path)
{
	return strstr(path, ".seals") != NULL;
}

static bool seal_keys_file(const char *path)
{
	return strstr(path, ".keys") != NULL;
}

/* A bit anywhere in file number i of a kind. Returns the octet. */
static size_t flip_in(struct attempt *a, const char *path, uint32_t i)
{
	size_t n;

	assert_non_null(memory_get(&good, path, &n));
	size_t bit = mixed(i, 3) % (8 * n);
	flip(&a->files, path, bit);
	return bit / 8;
}

bool attack_TILE_BITS(struct attempt *a, uint32_t i)
{
	const char *path = file_of(newest_tile, i);
	uint32_t level;
	uint64_t tile;

	if (i >= 900)
		return false;
	size_t at = flip_in(a, path, i);
	assert_int_equal(tile_kind(path, &level, &tile), NEWEST);
	a->entry = (tile * TILE_WIDTH + at / SHA256_SIZE) << (8 * level);
	return true;
}

bool attack_COPY_BITS(struct attempt *a, uint32_t i)
{
	if (i >= 210)
		return false;
	flip_in(a, file_of(older_copy, i), i);
	return true;
}

bool attack_JOURNAL_BITS(struct attempt *a, uint32_t i)
{
	if (i >= 700)
		return false;
	flip_in(a, LEDGER_PATH_JOURNAL, i);
	return true;
}

/* The sum over a record proves nothing: who alters it can make it again. Then the signed head speaks. */
bool attack_JOURNAL_SUMMED(struct attempt *a, uint32_t i)
{
	struct journal_record j;
	size_t n;
	uint8_t *bytes = bytes_of(&good, LEDGER_PATH_JOURNAL, &n);
	struct rd r = rd_over(bytes, n);

	assert_int_equal(journal_next(&r, &j), RC_OK);
	size_t record_n = (size_t)(r.at - bytes), signed_n = record_n - SHA256_SIZE;
	size_t bit = 8 * 8 + mixed(i, 4) % (8 * (signed_n - 8)); /* behind magic and length */
	bytes[bit / 8] ^= (uint8_t)(1 << bit % 8);
	sha256(bytes + signed_n, bytes, signed_n);
	memory_put(&a->files, LEDGER_PATH_JOURNAL, bytes, n);
	free(bytes);
	return i < 300;
}

bool attack_SEAL_BITS(struct attempt *a, uint32_t i)
{
	if (i >= 600)
		return false;
	flip_in(a, file_of(seals_file, i), i);
	return true;
}

bool attack_SEAL_KEY_BITS(struct attempt *a, uint32_t i)
{
	if (i >= 120)
		return false;
	flip_in(a, file_of(seal_keys_file, i), i);
	return true;
}

/* ---- files ---- */

/* Does a record of the journal begin here, or does it end? */
static bool record_edge(size_t at)
{
	struct journal_record j;
	size_t n;
	const uint8_t *bytes = memory_get(&good, LEDGER_PATH_JOURNAL, &n);
	struct rd r = rd_over(bytes, n);

	do
		if ((size_t)(r.at - bytes) == at)
			return true;
	while (journal_next(&r, &j) == RC_OK);
	return false;
}

#define CUTS 24u /* of each file */

bool attack_FILE_CUT(struct attempt *a, uint32_t i)
{
	const char *path;
	size_t n;

	if (i >= CUTS * good.n)
		return false;
	path = good.file[i / CUTS].path;
	if (strcmp(path, seals_path(1)) == 0) /* see OLD_SEALS_CUT */
		path = seals_path(2);
	const uint8_t *bytes = memory_get(&good, path, &n);
	size_t to = n * (i % CUTS) / CUTS;
	if (strcmp(path, LEDGER_PATH_JOURNAL) == 0 && record_edge(to)) /* see JOURNAL_CUT */
		to++;
	memory_put(&a->files, path, bytes, to);
	return true;
}

static bool no_seals(const char *path)
{
	return !seals_file(path); /* where an octet more is as a seal that was torn: it says nothing */
}

bool attack_FILE_LONGER(struct attempt *a, uint32_t i)
{
	static const char more[] = { '\n', 0, ' ', 'A' };
	const char *path = file_of(no_seals, i / 4);
	size_t n;

	if (i >= 4 * (good.n - 2))
		return false;
	memory_get(&good, path, &n);
	splice(&a->files, path, n, 0, &more[i % 4], 1);
	return true;
}

bool attack_FILE_GONE(struct attempt *a, uint32_t i)
{
	for (size_t f = 0; f < good.n; f++)
		if (!older_copy(good.file[f].path) && i-- == 0) {
			memory_remove(&a->files, good.file[f].path);
			return true;
		}
	return false;
}

bool attack_COPY_GONE(struct attempt *a, uint32_t i)
{
	for (size_t f = 0; f < good.n; f++)
		if (older_copy(good.file[f].path) && i-- == 0) {
			memory_remove(&a->files, good.file[f].path);
			return true;
		}
	return false;
}

bool attack_STRAY_FILES(struct attempt *a, uint32_t i)
{
	static const char *const names[] = { "notes.txt", "tile/0/900", "tile/0/003.p/1", "tile/0/002.p/89",
		"tile/entries/002.p/89", "tile/entries/003", "tile/1/000.p/3", "tile/2/000.p/1",
		"checkpoint.new", "seal/0000000000000000.keys", "seal/0000000000000000.seals",
		"tile/entries/000.html" };

	if (i >= COUNT_OF(names))
		return false;
	memory_put(&a->files, names[i], "mine", 4);
	return true;
}

/* ---- entries and tiles in another order ---- */

/* Entry a, and a + 1 in the same bundle. False: that was all. */
static bool pair_of(uint32_t i, uint64_t *ret_a)
{
	uint64_t a = 3ull * i;

	*ret_a = a % TILE_WIDTH == TILE_WIDTH - 1 || a == PUBLISHED - 1 ? a - 1 : a;
	return a < PUBLISHED;
}

bool attack_ENTRY_SWAPPED(struct attempt *a, uint32_t i)
{
	uint8_t both[2 * (LEDGER_ENTRY_MAX + 2)];
	uint64_t e;
	size_t n;

	if (!pair_of(i, &e))
		return false;
	const uint8_t *at = memory_get(&good, bundle_path(e), &n) + entry_at[e];
	memcpy(both, at + entry_size(e), entry_size(e + 1));
	memcpy(both + entry_size(e + 1), at, entry_size(e));
	n = entry_size(e) + entry_size(e + 1);
	splice(&a->files, bundle_path(e), entry_at[e], n, both, n);
	a->entry = e;
	return true;
}

bool attack_ENTRY_TWICE(struct attempt *a, uint32_t i)
{
	uint64_t e;
	size_t n;

	if (!pair_of(i, &e))
		return false;
	const uint8_t *at = memory_get(&good, bundle_path(e), &n) + entry_at[e];
	splice(&a->files, bundle_path(e), entry_at[e + 1], 0, at, entry_size(e));
	a->entry = e + 1;
	return true;
}

bool attack_ENTRY_REPLACED(struct attempt *a, uint32_t i)
{
	uint64_t e;
	size_t n;

	if (!pair_of(i, &e))
		return false;
	const uint8_t *at = memory_get(&good, bundle_path(e), &n) + entry_at[e];
	splice(&a->files, bundle_path(e), entry_at[e + 1], entry_size(e + 1), at, entry_size(e));
	a->entry = e + 1;
	return true;
}

bool attack_ENTRY_REMOVED(struct attempt *a, uint32_t i)
{
	uint64_t e;

	if (!pair_of(i, &e))
		return false;
	splice(&a->files, bundle_path(e), entry_at[e], entry_size(e), NULL, 0);
	a->entry = e;
	return true;
}

bool attack_ENTRY_HIDDEN(struct attempt *a, uint32_t i)
{
	uint8_t length[2];
	uint64_t e;

	if (!pair_of(i, &e))
		return false;
	store_be16(length, (uint16_t)(lines[e].n + entry_size(e + 1)));
	splice(&a->files, bundle_path(e), entry_at[e], 2, length, 2);
	return true;
}

bool attack_TILE_SWAPPED(struct attempt *a, uint32_t i)
{
	static const char *const pairs[][2] = { { "tile/0/000", "tile/0/001" },
		{ "tile/entries/000", "tile/entries/001" } };
	const uint8_t *first, *second;
	size_t first_n, second_n;

	if (i >= 6)
		return false;
	first = memory_get(&good, pairs[i % 2][0], &first_n);
	second = memory_get(&good, pairs[i % 2][1], &second_n);
	if (i / 2 != 1)
		memory_put(&a->files, pairs[i % 2][0], second, second_n);
	if (i / 2 != 2)
		memory_put(&a->files, pairs[i % 2][1], first, first_n);
	return true;
}

bool attack_RECORD_REMOVED(struct attempt *a, uint32_t i)
{
	struct journal_record j;
	size_t n, at = 0, next = 0;
	const uint8_t *bytes = memory_get(&good, LEDGER_PATH_JOURNAL, &n);
	struct rd r = rd_over(bytes, n);

	for (uint32_t k = 0; k <= i && journal_next(&r, &j) == RC_OK; k++) {
		at = next;
		next = (size_t)(r.at - bytes);
	}
	if (next == n)
		return false; /* the last one: see JOURNAL_CUT */
	splice(&a->files, LEDGER_PATH_JOURNAL, at, next - at, NULL, 0);
	return true;
}

/* ---- earlier states ---- */

/* The directory as it was with `size` entries, between two publications. */
static void as_it_was(struct attempt *a, size_t size)
{
	static char note[NOTE_BYTES_MAX];
	size_t published = 0;

	for (size_t i = 0; i < sealed_sizes_n && sealed_sizes[i] <= size; i++)
		published = sealed_sizes[i];
	memory_done(&a->files);
	log_write(&a->files, &key, fixture_seed, lines, size, published);
	seals_up_to(&a->files, size);
	memory_put(&a->files, LEDGER_PATH_CHECKPOINT, note, head_make(note, lines, published, 0, 0));
	if (size < EPOCH_2) {
		char keys[SEAL_PATH_MAX];
		snprintf(keys, sizeof keys, "%.*s.keys", (int)(strlen(seals_path(2)) - strlen(".seals")),
			seals_path(2));
		memory_remove(&a->files, seals_path(2));
		memory_remove(&a->files, keys);
	}
}

bool attack_ROLLBACK(struct attempt *a, uint32_t i)
{
	if (sealed_sizes[0] + i >= KEPT)
		return false;
	as_it_was(a, sealed_sizes[0] + i);
	return true;
}

bool attack_ROLLBACK_BEHIND(struct attempt *a, uint32_t i)
{
	if (KEPT + i >= PUBLISHED)
		return false;
	as_it_was(a, KEPT + i);
	return true;
}

bool attack_JOURNAL_CUT(struct attempt *a, uint32_t i)
{
	struct journal_record j;
	size_t n;
	const uint8_t *bytes = memory_get(&good, LEDGER_PATH_JOURNAL, &n);
	struct rd r = rd_over(bytes, n);

	for (uint32_t k = 0; k < i && journal_next(&r, &j) == RC_OK; k++)
		;
	if (r.at == r.end)
		return false;
	memory_put(&a->files, LEDGER_PATH_JOURNAL, bytes, (size_t)(r.at - bytes));
	return true;
}

bool attack_OLD_SEALS_CUT(struct attempt *a, uint32_t i)
{
	size_t n;
	const uint8_t *bytes = memory_get(&good, seals_path(1), &n);

	if (9u * i >= n)
		return false;
	memory_put(&a->files, seals_path(1), bytes, 9u * i);
	return true;
}
