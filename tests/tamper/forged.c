/* Attacks by somebody with the ledger's private key, and the one-time keys that were left. */
#include "world.h"

#include "base/bytes.h"
#include "ledger/counters.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

/* Room for lines of a forger's own. */
static char room[ENTRIES][LEDGER_ENTRY_MAX];
static struct line forged[ENTRIES];

/* ---- lines ---- */

/* What can be said otherwise with as many letters. */
static const char *const otherwise[][2] = { { "exit status 0", "exit status 1" }, { "rekeyed", "renewed" },
	{ "refused: test", "refused: text" } };

static const char *says(const struct line *l, size_t *ret_which)
{
	for (size_t i = 0; i < COUNT_OF(otherwise); i++) {
		const char *at = memmem(l->text, l->n, otherwise[i][0], strlen(otherwise[i][0]));
		*ret_which = i;
		if (at)
			return at;
	}
	return NULL;
}

/* Number i of the entries from `from` to before `to` that can say something else. False: that was all. */
static bool changeable(uint32_t i, uint64_t from, uint64_t to, uint64_t *ret_entry)
{
	size_t which;

	for (*ret_entry = from; *ret_entry < to; ++*ret_entry)
		if (says(&lines[*ret_entry], &which) && i-- == 0)
			return true;
	return false;
}

static void forge_begin(void)
{
	memcpy(forged, lines, sizeof forged);
}

static void forge_change(uint64_t entry)
{
	struct line *l = &forged[entry];
	size_t which, at;
	const char *there = says(l, &which);

	assert_non_null(there);
	at = (size_t)(there - l->text);
	memcpy(room[entry], l->text, l->n);
	memcpy(room[entry] + at, otherwise[which][1], strlen(otherwise[which][1]));
	l->text = room[entry];
}

static void forge_write(uint64_t at, const struct ledger_entry *entry)
{
	forged[at].n = ledger_entry_text(room[at], entry);
	forged[at].text = room[at];
	assert_true(forged[at].n > 0);
}

/* Leaves an entry out; `fit`: the numbers of its source that follow in its boot are made to fit. Returns the
 * lines left. */
static size_t forge_leave_out(uint64_t entry, size_t n, bool fit)
{
	const struct ledger_entry *gone = &lines[entry].entry;

	for (uint64_t i = entry + 1; i < n; i++) {
		struct ledger_entry e = lines[i].entry;
		struct ledger_body b;
		bool same_boot = memcmp(e.boot, gone->boot, sizeof e.boot) == 0;
		forged[i - 1] = lines[i];
		if (!fit || !same_boot)
			continue;
		if (strcmp(e.source, gone->source) == 0)
			e.n--;
		size_t name_n;
		const char *name = ledger_entry_field(&e, "source", &name_n);
		if (e.type == LEDGER_COUNTER_GAP && name_n == strlen(gone->source) &&
			memcmp(name, gone->source, name_n) == 0) {
			ledger_body_begin(&b, e.type);
			ledger_body_u64(&b, "first", ledger_entry_number(&e, "first") - 1);
			ledger_body_u64(&b, "last", ledger_entry_number(&e, "last") - 1);
			ledger_body_str(&b, "reason", "refused: test");
			ledger_body_u64(&b, "run", 0);
			ledger_body_str(&b, "source", gone->source);
			e.body_n = ledger_body_done(&b);
			e.body = b.text;
		}
		forge_write(i - 1, &e);
	}
	return n - 1;
}

/* Puts `more` entries of supervisor behind the first `at` lines; with an epoch: its entry before them. */
static size_t forge_go_on(size_t at, size_t more, const struct seal_epoch *epoch)
{
	struct ledger_counters c = { 0 };
	struct ledger_entry e = lines[at - 1].entry;
	struct ledger_body b;
	uint64_t due;
	char hex[65];

	for (size_t i = 0; i < at; i++) {
		if (i > 0 && memcmp(lines[i].entry.boot, lines[i - 1].entry.boot, LEDGER_BOOT_SIZE) != 0)
			memset(&c, 0, sizeof c);
		assert_true(ledger_counters_follow(&c, &lines[i].entry, &due));
	}
	e.run = 0;
	if (epoch) {
		ledger_body_begin(&b, LEDGER_SEAL_EPOCH);
		ledger_body_u64(&b, "keys", SEAL_KEYS);
		ledger_body_str(&b, "root", hex_from_bytes(hex, epoch->root.b, sizeof epoch->root.b));
		e.type = b.type;
		e.body_n = ledger_body_done(&b);
		e.body = b.text;
		snprintf(e.source, sizeof e.source, "ledger");
		e.n = ledger_counters_due(&c, e.source, 0);
		e.mono_us++;
		forge_write(at++, &e);
	}
	e.type = LEDGER_PROCESS_EXIT;
	snprintf(e.source, sizeof e.source, "supervisor");
	e.n = ledger_counters_due(&c, e.source, 0);
	for (size_t i = 0; i < more; i++) {
		ledger_body_begin(&b, e.type);
		ledger_body_u64(&b, "pid", 4242 + i);
		ledger_body_str(&b, "process", "ike");
		ledger_body_str(&b, "reason", "as if nothing had been");
		e.body_n = ledger_body_done(&b);
		e.body = b.text;
		e.mono_us++;
		forge_write(at++, &e);
		e.n++;
	}
	return at;
}

/* ---- seals ---- */

/* The forger's own one-time keys: the same in every attempt, none used. */
static const struct seal_epoch *own_epoch(void)
{
	static struct seal_epoch epoch;
	static const uint8_t seed[SEAL_SEED_SIZE] = "keys that the forger has made";
	static bool made;

	if (!made)
		assert_int_equal(seal_epoch_begin(&epoch, seed), RC_OK);
	made = true;
	return &epoch;
}

/* A seal over the first n forged lines, by the next key of a copy of the epoch; as_index: the number it is
 * given, -1: its own. */
static void seal_add(struct memory *to, const struct seal_epoch *epoch, size_t n, int as_index)
{
	static struct seal_epoch copy;
	struct checkpoint c = { .size = n, .root = root_of_lines(forged, n) };
	uint8_t record[SEAL_RECORD_SIZE];
	char path[SEAL_PATH_MAX];
	size_t there_n;

	copy = *epoch;
	memcpy(c.origin, key.name, sizeof c.origin);
	assert_int_equal(seal_sign(&copy, &c, record), RC_OK);
	if (as_index >= 0)
		store_be32(record, (uint32_t)as_index);
	seal_path_seals(path, &epoch->root);
	if (!memory_get(to, path, &there_n))
		memory_put(to, path, record, sizeof record);
	else
		splice(to, path, there_n, 0, record, sizeof record);
	if (!memory_get(to, seal_path_keys(path, &epoch->root), &there_n))
		memory_put(to, path, epoch->publics, sizeof epoch->publics);
}

/* All of it signed anew by the ledger's key, with the seals up to `sealed` entries; the first `as_before` are
 * as they were. */
static void sign_anew(struct attempt *a, size_t n, size_t published, size_t sealed, size_t as_before)
{
	memory_done(&a->files);
	log_write(&a->files, &key, fixture_seed, forged, n, published);
	seals_up_to(&a->files, sealed);
	cosigned_up_to(&a->files, as_before);
}

/* How many seals of epoch 2 cover at most `size` entries. */
static int seals_of_epoch_2(uint64_t size)
{
	int n = 0;

	for (size_t i = sealed_epoch_1_n; i < sealed_sizes_n; i++)
		n += sealed_sizes[i] <= size;
	return n;
}

/* ---- the attacks ---- */

bool attack_FOREIGN_HISTORY(struct attempt *a, uint32_t i)
{
	static const char *const from_good[] = { LEDGER_PATH_CHECKPOINT, LEDGER_PATH_JOURNAL };
	uint64_t entry;

	if (!changeable(11 * i, 0, PUBLISHED, &entry))
		return false;
	forge_begin();
	forge_change(entry);
	sign_anew(a, PUBLISHED, PUBLISHED, PUBLISHED, entry);
	for (size_t f = 0; f < COUNT_OF(from_good); f++) {
		size_t n;
		const uint8_t *bytes = memory_get(&good, from_good[f], &n);
		memory_put(&a->files, from_good[f], bytes, n);
	}
	return true;
}

bool attack_SEALED_REWRITTEN(struct attempt *a, uint32_t i)
{
	uint64_t entry;

	if (!changeable(2 * i, 0, PUBLISHED, &entry))
		return false;
	forge_begin();
	forge_change(entry);
	sign_anew(a, ENTRIES, PUBLISHED, ENTRIES, entry);
	return true;
}

bool attack_SEALS_TAKEN(struct attempt *a, uint32_t i)
{
	uint64_t entry;

	if (!changeable(2 * i, 0, PUBLISHED, &entry))
		return false;
	forge_begin();
	forge_change(entry);
	sign_anew(a, ENTRIES, PUBLISHED, entry, entry);
	return true;
}

static bool reseal(struct attempt *a, uint32_t i, bool as_due)
{
	uint64_t entry;

	if (!changeable(i, EPOCH_2 + 2, PUBLISHED, &entry))
		return false;
	forge_begin();
	forge_change(entry);
	sign_anew(a, ENTRIES, PUBLISHED, entry, entry);
	seal_add(&a->files, &left_epoch, PUBLISHED, as_due ? seals_of_epoch_2(entry) : -1);
	return true;
}

bool attack_RESEALED(struct attempt *a, uint32_t i)
{
	return reseal(a, i, false);
}

bool attack_RESEALED_AS_DUE(struct attempt *a, uint32_t i)
{
	return reseal(a, i, true);
}

bool attack_CUT_AND_RESUMED(struct attempt *a, uint32_t i)
{
	size_t at = EPOCH_2 + 2 + i;

	if (at >= PUBLISHED)
		return false;
	forge_begin();
	size_t n = forge_go_on(at, 1 + i % 16, NULL);
	sign_anew(a, n, n, at, at);
	seal_add(&a->files, &left_epoch, n, -1);
	return true;
}

/* Not one that states a gap: then numbers of another source would be missing too. */
bool attack_SEALED_HIDDEN(struct attempt *a, uint32_t i)
{
	uint64_t entry = 0;

	i *= 2;
	for (;; entry++) {
		if (entry == PUBLISHED)
			return false;
		if ((lines[entry].entry.type == LEDGER_PROCESS_EXIT ||
			    lines[entry].entry.type == LEDGER_SA_REMOVE) &&
			i-- == 0)
			break;
	}
	forge_begin();
	size_t n = forge_leave_out(entry, ENTRIES, true);
	sign_anew(a, n, PUBLISHED, ENTRIES, entry);
	return true;
}

bool attack_UNSEALED_HIDDEN(struct attempt *a, uint32_t i)
{
	/* Behind the last of a source no number is due. */
	if (PUBLISHED + i + 3 >= ENTRIES)
		return false;
	forge_begin();
	size_t n = forge_leave_out(PUBLISHED + i, ENTRIES, false);
	sign_anew(a, n, PUBLISHED, ENTRIES, PUBLISHED);
	return true;
}

bool attack_UNSEALED_CHANGED(struct attempt *a, uint32_t i)
{
	uint64_t entry;

	if (!changeable(i, PUBLISHED, ENTRIES, &entry))
		return false;
	forge_begin();
	forge_change(entry);
	sign_anew(a, ENTRIES, PUBLISHED, ENTRIES, PUBLISHED);
	return true;
}

bool attack_ALL_IN_JOURNAL(struct attempt *a, uint32_t i)
{
	uint64_t entry;

	if (!changeable(7 * i, sealed_sizes[0], KEPT, &entry))
		return false;
	forge_begin();
	forge_change(entry);
	sign_anew(a, ENTRIES, EPOCH_2, entry, entry);
	return true;
}

/* Written on from `at` under the forger's own one-time keys, by the ledger's key or another of its name.
 * Returns the size. */
static size_t own_history(
	struct attempt *a, const struct note_key *by, const uint8_t *seed, size_t at, size_t more)
{
	forge_begin();
	size_t n = forge_go_on(at, more, own_epoch());
	memory_done(&a->files);
	log_write(&a->files, by, seed, forged, n, n);
	seals_up_to(&a->files, at);
	cosigned_up_to(&a->files, at);
	seal_add(&a->files, own_epoch(), n, -1);
	return n;
}

bool attack_OTHER_KEY(struct attempt *a, uint32_t i)
{
	uint8_t public_key[ED25519_PUBLIC_SIZE], seed[ED25519_SEED_SIZE] = { 8, (uint8_t)i };
	struct note_key other;

	if (i >= 24)
		return false;
	ed25519_public(public_key, seed);
	assert_int_equal(note_key_make(&other, key.name, NOTE_ED25519, public_key), RC_OK);
	own_history(a, &other, seed, 1 + 20 * i, 3 + i);
	memory_remove(&a->files, VERIFY_PATH_COSIGNED);
	return true;
}

bool attack_OWN_EPOCH(struct attempt *a, uint32_t i)
{
	size_t at = sealed_sizes[0] + 6 * i;

	if (at >= KEPT)
		return false;
	own_history(a, &key, fixture_seed, at, i % 3 ? i % 50 : PUBLISHED - at);
	return true;
}

bool attack_OWN_EPOCH_BEHIND(struct attempt *a, uint32_t i)
{
	size_t at = KEPT + 3 * i;

	if (at >= PUBLISHED)
		return false;
	own_history(a, &key, fixture_seed, at, 1 + i % 20);
	return true;
}

/* ---- cosignatures ---- */

void attempt_begin(struct attempt *a)
{
	static char note[NOTE_BYTES_MAX];
	static size_t n;

	memory_copy(&a->files, &good);
	a->entry = ANY_ENTRY;
	if (n == 0)
		n = head_make(note, lines, PUBLISHED, 0, 0);
	memcpy(a->witnessed, note, n);
	a->witnessed_n = n;
}

bool attack_COSIGNATURE_BITS(struct attempt *a, uint32_t i)
{
	char note[NOTE_BYTES_MAX], base64[BASE64_SIZE(128)];
	uint8_t blob[128];
	size_t n, blob_n;
	const uint8_t *good_note = memory_get(&good, LEDGER_PATH_CHECKPOINT, &n);
	const char *line = (const char *)good_note + cosignatures_at((const char *)good_note, n);

	if (i >= 660)
		return false;
	for (unsigned w = i % WITNESSES; w > 0; w--)
		line = strchr(line, '\n') + 1;
	memcpy(note, good_note, n);
	/* Well-formed all the same: what is not is found without any witness. */
	const char *text = strchr(strchr(line, ' ') + 1, ' ') + 1, *end = strchr(text, '\n');
	assert_true(base64_to_bytes(blob, sizeof blob, &blob_n, text, (size_t)(end - text)));
	size_t bit = mixed(i, 5) % (8 * blob_n);
	blob[bit / 8] ^= (uint8_t)(1 << bit % 8);
	assert_int_equal(base64_from_bytes(base64, blob, blob_n), end - text);
	memcpy(note + (text - (const char *)good_note), base64, (size_t)(end - text));
	memory_put(&a->files, LEDGER_PATH_CHECKPOINT, note, n);
	return true;
}

bool attack_COSIGNED_MOVED(struct attempt *a, uint32_t i)
{
	char note[NOTE_BYTES_MAX], other[NOTE_BYTES_MAX];
	size_t n, other_n, from = i / 6;

	/* Of the heads before, and of one that would be, each with one, two or all of the lines. */
	if (from >= sealed_sizes_n)
		return false;
	other_n = sealed_sizes[from] == PUBLISHED ? head_make(other, lines, ENTRIES, 0, 0)
						  : head_make(other, lines, sealed_sizes[from], 0, 0);
	unsigned moved = 1 + i % 6;
	n = head_make(note, lines, PUBLISHED, 7, 0);
	for (unsigned w = 0; w < WITNESSES; w++) {
		char own[NOTE_BYTES_MAX];
		size_t own_n = head_make(own, lines, PUBLISHED, 7u & ~(1u << w), 0);
		const char *source = own + cosignatures_at(own, own_n), *end = own + own_n;
		if (moved >> w & 1) {
			source = other + cosignatures_at(other, other_n);
			for (unsigned k = 0; k < w; k++)
				source = (const char *)memchr(
						 source, '\n', (size_t)(other + other_n - source)) +
					 1;
			end = (const char *)memchr(source, '\n', (size_t)(other + other_n - source)) + 1;
		}
		memcpy(note + n, source, (size_t)(end - source));
		n += (size_t)(end - source);
	}
	memory_put(&a->files, LEDGER_PATH_CHECKPOINT, note, n);
	return true;
}

bool attack_COSIGNER_UNKNOWN(struct attempt *a, uint32_t i)
{
	static char note[NOTE_BYTES_MAX];

	if (i + 1 >= 1u << WITNESSES)
		return false;
	memory_put(&a->files, LEDGER_PATH_CHECKPOINT, note, head_make(note, lines, PUBLISHED, 0, i + 1));
	return true;
}

bool attack_COSIGNER_MISSING(struct attempt *a, uint32_t i)
{
	static char note[NOTE_BYTES_MAX];

	if (i + 1 >= 1u << WITNESSES)
		return false;
	memory_put(&a->files, LEDGER_PATH_CHECKPOINT, note, head_make(note, lines, PUBLISHED, i + 1, 0));
	return true;
}

bool attack_SPLIT_VIEW(struct attempt *a, uint32_t i)
{
	uint64_t entry;

	if (i >= sealed_sizes_n || !changeable(0, sealed_sizes[i] - 4, sealed_sizes[i], &entry))
		return false;
	forge_begin();
	forge_change(entry);
	a->witnessed_n = head_make(a->witnessed, forged, sealed_sizes[i], 0, 0);
	return true;
}

bool attack_ALL_WITNESSES(struct attempt *a, uint32_t i)
{
	size_t at = KEPT + 6 * i;

	if (at >= PUBLISHED)
		return false;
	size_t n = own_history(a, &key, fixture_seed, at, 1 + i % 20);
	a->witnessed_n = head_make(a->witnessed, forged, n, 0, 0);
	memory_put(&a->files, LEDGER_PATH_CHECKPOINT, a->witnessed, a->witnessed_n);
	return true;
}
