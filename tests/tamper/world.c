#include "world.h"

#include "base/bytes.h"
#include "merkle/cosign.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

struct line lines[ENTRIES];
const uint32_t sealed_sizes[] = { 30, 91, 152, 213, 274, 350, 400, 450, 500, 550, 600 };
const size_t sealed_sizes_n = COUNT_OF(sealed_sizes), sealed_epoch_1_n = 5;

static uint8_t *journal;
static struct policy policy;
static char kept_note[NOTE_BYTES_MAX];
static size_t kept_n;

uint64_t mixed(uint64_t a, uint64_t b)
{
	uint64_t x = (a + 1) * 0x9e3779b97f4a7c15ull + b;

	x = (x ^ x >> 30) * 0xbf58476d1ce4e5b9ull;
	x = (x ^ x >> 27) * 0x94d049bb133111ebull;
	return x ^ x >> 31;
}

/* ---- files ---- */

uint8_t *bytes_of(const struct memory *m, const char *path, size_t *ret_n)
{
	const uint8_t *there = memory_get(m, path, ret_n);
	uint8_t *bytes = malloc(*ret_n + 1);

	assert_non_null(there);
	assert_non_null(bytes);
	memcpy(bytes, there, *ret_n);
	return bytes;
}

void splice(struct memory *m, const char *path, size_t at, size_t take, const void *with, size_t with_n)
{
	size_t n;
	const uint8_t *old = memory_get(m, path, &n);
	uint8_t *made = malloc(n + with_n + 1);

	assert_true(old && made && at + take <= n);
	memcpy(made, old, at);
	if (with_n > 0)
		memcpy(made + at, with, with_n);
	memcpy(made + at + with_n, old + at + take, n - at - take);
	memory_put(m, path, made, n - take + with_n);
	free(made);
}

void flip(struct memory *m, const char *path, size_t bit)
{
	size_t n;
	uint8_t *bytes = bytes_of(m, path, &n);

	assert_true(bit / 8 < n);
	bytes[bit / 8] ^= (uint8_t)(1 << bit % 8);
	memory_put(m, path, bytes, n);
	free(bytes);
}

const char *bundle_path(uint64_t index)
{
	static char path[TILE_PATH_MAX];
	uint64_t bundle = index / TILE_WIDTH;

	return tile_path(path, TILE_LEVEL_ENTRIES, bundle,
		bundle < PUBLISHED / TILE_WIDTH ? TILE_WIDTH : PUBLISHED % TILE_WIDTH);
}

size_t entry_size(uint64_t index)
{
	return 2 + lines[index].n;
}

const char *seals_path(int epoch)
{
	static char path[2][SEAL_PATH_MAX];
	size_t n;

	if (!path[0][0]) {
		for (size_t i = 0, e = 0; i < ENTRIES; i++) {
			struct merkle_hash root = { 0 };
			char hex[65] = "";
			const char *text;
			if (lines[i].entry.type != LEDGER_SEAL_EPOCH)
				continue;
			text = ledger_entry_field(&lines[i].entry, "root", &n);
			assert_true(text && n == 64 && e < 2);
			memcpy(hex, text, 64);
			assert_true(hex_to_bytes(root.b, sizeof root.b, hex));
			seal_path_seals(path[e++], &root);
		}
	}
	return path[epoch - 1];
}

enum tile_kind tile_kind(const char *path, uint32_t *ret_level, uint64_t *ret_tile)
{
	uint32_t width;

	if (!tile_path_parse(path, ret_level, ret_tile, &width))
		return NO_TILE;
	return width == TILE_WIDTH || (*ret_tile == tile_full(*ret_level, PUBLISHED) &&
					      width == tile_partial(*ret_level, PUBLISHED))
		       ? NEWEST
		       : OLDER_COPY;
}

/* ---- making ---- */

static void lines_take(void)
{
	struct journal_record j;
	uint64_t i = 0;
	size_t n, entry_n;
	const uint8_t *entry;

	for (; i < PUBLISHED; i++) {
		const uint8_t *bundle = memory_get(&good, bundle_path(i), &n);
		lines[i].text = (const char *)bundle + entry_at[i] + 2;
		lines[i].n = load_be16(bundle + entry_at[i]);
	}
	journal = bytes_of(&good, LEDGER_PATH_JOURNAL, &n);
	struct rd r = rd_over(journal, n);
	while (journal_next(&r, &j) == RC_OK)
		while (bundle_next(&j.entries, &entry, &entry_n) && i < ENTRIES)
			lines[i++] = (struct line){ .text = (const char *)entry, .n = entry_n };
	assert_int_equal(i, ENTRIES);
	for (i = 0; i < ENTRIES; i++)
		assert_int_equal(ledger_entry_parse(&lines[i].entry, lines[i].text, lines[i].n, NULL), RC_OK);
}

static void witness_key(
	struct note_key *ret_key, uint8_t ret_seed[ED25519_SEED_SIZE], unsigned w, bool stranger)
{
	uint8_t public_key[ED25519_PUBLIC_SIZE];
	char name[32];

	memset(ret_seed, (int)(0x40 + w + 0x20u * stranger), ED25519_SEED_SIZE);
	ed25519_public(public_key, ret_seed);
	snprintf(name, sizeof name, "witness.example/%u", w + 1);
	assert_int_equal(note_key_make(ret_key, name, NOTE_COSIGNATURE_ED25519, public_key), RC_OK);
}

static void policy_make(void)
{
	char text[4096], vkey[NOTE_VKEY_MAX];
	uint8_t seed[ED25519_SEED_SIZE];
	struct note_key k;
	int n = snprintf(text, sizeof text, "log %s\n", note_key_text(vkey, &key));

	for (unsigned w = 0; w < WITNESSES; w++) {
		witness_key(&k, seed, w, false);
		n += snprintf(text + n, sizeof text - (size_t)n, "witness w%u %s\n", w + 1,
			note_key_text(vkey, &k));
	}
	n += snprintf(text + n, sizeof text - (size_t)n, "group everybody all w1 w2 w3\nquorum everybody\n");
	assert_int_equal(policy_parse(&policy, text, (size_t)n, NULL), RC_OK);
}

void world_make(void)
{
	static char note[NOTE_BYTES_MAX];

	assert_int_equal(ledger_make(NULL), 0);
	lines_take();
	policy_make();
	kept_n = head_make(kept_note, lines, KEPT, 7, 0);
	memory_put(&good, LEDGER_PATH_CHECKPOINT, note, head_make(note, lines, PUBLISHED, 0, 0));
}

void world_done(void)
{
	free(journal);
	ledger_unmake(NULL);
}

void log_write(struct memory *ret_to, const struct note_key *by, const uint8_t seed[ED25519_SEED_SIZE],
	const struct line *l, size_t n, size_t published)
{
	struct disk d = { 0 };
	struct ledger_store store = disk_store(&d);
	struct ledger_opened opened;
	struct ledger_log *log;
	uint64_t index;

	assert_int_equal(ledger_open(&log, &store, by, seed, &opened, NULL), RC_OK);
	for (size_t i = 0; i < n; i++) {
		assert_int_equal(ledger_add(log, l[i].text, l[i].n, &index), RC_OK);
		if (i + 1 != published && i + 1 != n && (i < published || (i - published) % 8 != 7))
			continue;
		if (i < published && i + 1 != published)
			continue;
		assert_int_equal(ledger_commit(log, NULL), RC_OK);
		if (i + 1 == published)
			assert_int_equal(ledger_publish(log, NULL), RC_OK);
	}
	ledger_close(log);
	*ret_to = d.files;
}

void seals_up_to(struct memory *to, uint64_t size)
{
	for (size_t f = 0; f < good.n; f++) {
		const char *path = good.file[f].path;
		size_t n, keep = 0;
		if (strncmp(path, "seal/", 5) != 0)
			continue;
		const uint8_t *bytes = memory_get(&good, path, &n);
		if (strstr(path, ".keys"))
			keep = n;
		else
			while (keep + SEAL_RECORD_SIZE <= n && load_be64(bytes + keep + 4) <= size)
				keep += SEAL_RECORD_SIZE;
		memory_put(to, path, bytes, keep);
	}
}

struct merkle_hash root_of_lines(const struct line *l, size_t n)
{
	struct merkle_edge edge = { 0 };

	for (size_t i = 0; i < n; i++) {
		struct merkle_hash leaf = merkle_leaf(l[i].text, l[i].n);
		merkle_edge_add(&edge, &leaf);
	}
	return merkle_edge_root(&edge);
}

size_t head_make(
	char ret_note[NOTE_BYTES_MAX], const struct line *l, size_t n, unsigned missing, unsigned strangers)
{
	struct checkpoint c = { .size = n, .root = root_of_lines(l, n) };
	char text[NOTE_NAME_MAX + 96];
	uint8_t seed[ED25519_SEED_SIZE];
	struct note_key k;

	memcpy(c.origin, key.name, sizeof c.origin);
	size_t text_n = checkpoint_text(text, sizeof text, &c);
	size_t note_n = note_sign(ret_note, NOTE_BYTES_MAX, text, text_n, &key, fixture_seed);
	assert_true(note_n > 0);
	for (unsigned w = 0; w < WITNESSES; w++) {
		if (missing >> w & 1)
			continue;
		witness_key(&k, seed, w, strangers >> w & 1);
		size_t more = cosign_line(
			ret_note + note_n, NOTE_BYTES_MAX - note_n, text, text_n, &k, seed, 1450375200 + w);
		assert_true(more > 0);
		note_n += more;
	}
	return note_n;
}

size_t cosignatures_at(const char *note, size_t n)
{
	const char *end = memmem(note, n, "\n\n", 2);

	assert_non_null(end);
	end = memchr(end + 2, '\n', n - (size_t)(end + 2 - note));
	assert_non_null(end);
	return (size_t)(end + 1 - note);
}

void cosigned_up_to(struct memory *to, uint64_t size)
{
	static char notes[COUNT_OF(sealed_sizes)][NOTE_BYTES_MAX];
	static size_t n[COUNT_OF(sealed_sizes)];

	for (size_t i = COUNT_OF(sealed_sizes); i-- > 0;) {
		if (sealed_sizes[i] > size)
			continue;
		if (n[i] == 0)
			n[i] = head_make(notes[i], lines, sealed_sizes[i], 0, 0);
		memory_put(to, VERIFY_PATH_COSIGNED, notes[i], n[i]);
		return;
	}
}

uint32_t audit(struct attempt *a, enum material m, struct verify_report *ret_report, const char **ret_finding)
{
	struct verify_source source = memory_source(&a->files);
	struct verify_options o = { 0 };
	static struct err e;
	char vkey[NOTE_VKEY_MAX];

	e = (struct err){ 0 };
	*ret_finding = e.text;
	if (m >= KEY_AT_HAND)
		o.vkey = note_key_text(vkey, &key);
	if (m >= POLICY_AT_HAND)
		o.policy = &policy;
	if (m == HEAD_AT_HAND) {
		o.kept = kept_note;
		o.kept_n = kept_n;
	} else if (m == WITNESS_AT_HAND) {
		uint32_t found = audit(a, HEAD_AT_HAND, ret_report, ret_finding);
		if (found)
			return found;
		o.kept = a->witnessed;
		o.kept_n = a->witnessed_n;
	}
	enum rc rc = verify_ledger(&source, &o, ret_report, &e);
	assert_true((rc == RC_OK) == ret_report->good);
	assert_true((rc == RC_AUTH) == (ret_report->found != VERIFY_NONE));
	if (rc == RC_OK)
		return 0;
	assert_int_equal(rc, RC_AUTH);
	assert_true(ret_report->finding[0] && strcmp(e.text, ret_report->finding) == 0);
	return 1u << ret_report->found;
}
