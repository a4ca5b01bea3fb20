#include "ledger/internal.h"
#include "ledger/journal.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>

_Static_assert(LEDGER_ENTRY_MAX <= UINT16_MAX, "the length of an entry in a bundle has 16 bits");

static bool room_for(void **p, size_t *room, size_t need, size_t unit)
{
	if (need <= *room)
		return true;
	size_t more = MAX_OF(need, *room * 2);
	void *q = realloc(*p, more * unit);
	if (!q)
		return false;
	*p = q;
	*room = more;
	return true;
}

struct merkle_hash ledger_tile_root(const struct merkle_hash *hash)
{
	struct merkle_edge e = { 0 };

	for (unsigned i = 0; i < TILE_WIDTH; i++)
		merkle_edge_add(&e, &hash[i]);
	return merkle_edge_root(&e);
}

/* Adds a hash to a level; a full tile's root goes one level up. */
static bool level_add(struct ledger_log *l, unsigned level, const struct merkle_hash *h)
{
	struct level *v = &l->level[level];
	void *p = v->hash;

	assert(level < TILE_LEVELS);
	if (!room_for(&p, &v->room, v->n + 1, sizeof *v->hash))
		return false;
	v->hash = p;
	v->hash[v->n++] = *h;
	if (v->n % TILE_WIDTH != 0 || level + 1 == TILE_LEVELS)
		return true;
	struct merkle_hash up = ledger_tile_root(&v->hash[v->n - TILE_WIDTH]);
	return level_add(l, level + 1, &up);
}

/* Between two calls: every level and the open bundle end where the committed tree ends. */
static bool levels_agree(const struct ledger_log *l)
{
	for (unsigned level = 0; level < TILE_LEVELS; level++)
		if (l->level[level].first_tile * TILE_WIDTH + l->level[level].n !=
			l->edge.size >> (8 * level))
			return false;
	return l->bundle_count == l->level[0].n && l->published <= l->edge.size;
}

/* An entry becomes part of the committed log in memory. */
static bool entry_commit(struct ledger_log *l, const uint8_t *entry, size_t n)
{
	struct merkle_hash leaf = merkle_leaf(entry, n);
	void *p = l->bundle;

	if (!room_for(&p, &l->bundle_room, l->bundle_n + n + 2, 1))
		return false;
	l->bundle = p;
	if (!level_add(l, 0, &leaf))
		return false;
	store_be16(l->bundle + l->bundle_n, (uint16_t)n);
	memcpy(l->bundle + l->bundle_n + 2, entry, n);
	l->bundle_n += n + 2;
	l->bundle_count++;
	merkle_edge_add(&l->edge, &leaf);
	return true;
}

/* ---- opening ---- */

static enum rc note_check(
	const struct ledger_log *l, const void *bytes, size_t n, struct checkpoint *ret, struct err *e)
{
	struct note note;
	enum rc rc = note_parse(&note, bytes, n, e);

	rc = rc ? rc : note_verify(&note, &l->key, e);
	rc = rc ? rc : checkpoint_parse(ret, note.text, note.text_n, e);
	if (rc == RC_OK && strcmp(ret->origin, l->key.name) != 0)
		rc = err_add(e, RC_AUTH, "the checkpoint has the origin '%s', expected '%s'", ret->origin,
			l->key.name);
	return rc == RC_OK
		       ? RC_OK
		       : err_add(e, RC_AUTH, "the checkpoint on the disk is not signed by this log's key");
}

/* Ed25519 is deterministic: what was signed before is signed in the same way. */
static size_t checkpoint_sign(
	const struct ledger_log *l, const struct merkle_edge *edge, char ret_note[NOTE_BYTES_MAX])
{
	struct checkpoint c = { .size = edge->size, .root = merkle_edge_root(edge) };
	char text[NOTE_NAME_MAX + 96];

	memcpy(c.origin, l->key.name, sizeof c.origin);
	size_t n = checkpoint_text(text, sizeof text, &c);
	return n ? note_secret_sign(ret_note, NOTE_BYTES_MAX, text, n, &l->key, l->secret) : 0;
}

/* The hashes of the last tile of a level under a checkpoint of `size`, and with them the tree's edge. */
static enum rc level_read(struct ledger_log *l, unsigned level, uint64_t size, struct err *e)
{
	uint32_t width = tile_partial(level, size);
	uint64_t tile = tile_full(level, size);
	char path[TILE_PATH_MAX];
	uint8_t *bytes = NULL;
	size_t n = 0;

	l->level[level].first_tile = tile;
	if (width == 0)
		return RC_OK;
	enum rc rc = l->store.read(l->store.context, tile_path(path, level, tile, width), &bytes, &n, e);
	if (rc == RC_OK && n != width * sizeof(struct merkle_hash))
		rc = err_add(e, RC_MALFORMED, "%s has %zu octets, expected %zu", path, n,
			width * sizeof(struct merkle_hash));
	void *p = NULL;
	if (rc == RC_OK && !room_for(&p, &l->level[level].room, TILE_WIDTH, sizeof(struct merkle_hash)))
		rc = RC_LIMIT;
	if (rc == RC_OK) {
		l->level[level].hash = p;
		memcpy(p, bytes, n);
		l->level[level].n = width;
	}
	free(bytes);
	return rc;
}

static enum rc bundle_read(struct ledger_log *l, uint64_t size, struct err *e)
{
	uint32_t width = tile_partial(TILE_LEVEL_ENTRIES, size);
	char path[TILE_PATH_MAX];
	const uint8_t *entry;
	size_t n;

	if (width == 0)
		return RC_OK;
	tile_path(path, TILE_LEVEL_ENTRIES, tile_full(TILE_LEVEL_ENTRIES, size), width);
	enum rc rc = l->store.read(l->store.context, path, &l->bundle, &l->bundle_n, e);
	if (rc != RC_OK)
		return rc;
	l->bundle_room = l->bundle_n;
	struct rd r = rd_over(l->bundle, l->bundle_n);
	while (bundle_next(&r, &entry, &n)) {
		struct merkle_hash h = merkle_leaf(entry, n);
		if (l->bundle_count >= width || !merkle_equal(&h, &l->level[0].hash[l->bundle_count]))
			return err_add(
				e, RC_AUTH, "%s: entry %zu does not match its hash", path, l->bundle_count);
		l->bundle_count++;
	}
	if (r.bad || l->bundle_count != width)
		return err_add(e, RC_MALFORMED, "%s has %zu complete entries, expected %u", path,
			l->bundle_count, width);
	return RC_OK;
}

static enum rc tiles_read(struct ledger_log *l, struct err *e)
{
	struct checkpoint c;
	uint8_t *bytes = NULL;
	size_t n = 0;
	enum rc rc = l->store.read(l->store.context, LEDGER_PATH_CHECKPOINT, &bytes, &n, NULL);

	if (rc == RC_NOT_FOUND)
		return RC_OK;
	rc = rc ? err_add(e, rc, "the checkpoint could not be read") : note_check(l, bytes, n, &c, e);
	free(bytes);
	for (unsigned level = 0; rc == RC_OK && level < TILE_LEVELS; level++)
		rc = level_read(l, level, c.size, e);
	if (rc == RC_OK)
		rc = bundle_read(l, c.size, e);
	if (rc != RC_OK)
		return rc;
	/* The edge, from the largest subtrees down. */
	for (unsigned level = TILE_LEVELS; level-- > 0;) {
		struct merkle_hash root;
		for (size_t i = 0; i < l->level[level].n;) {
			/* the largest aligned run of hashes from i on */
			size_t run = TILE_WIDTH;
			while (run > l->level[level].n - i || i % run != 0)
				run /= 2;
			struct merkle_edge part = { 0 };
			for (size_t k = 0; k < run; k++)
				merkle_edge_add(&part, &l->level[level].hash[i + k]);
			root = merkle_edge_root(&part);
			merkle_edge_add_subtree(&l->edge, 8 * level + (unsigned)__builtin_ctzll(run), &root);
			i += run;
		}
	}
	l->published = c.size;
	struct merkle_hash root = merkle_edge_root(&l->edge);
	if (l->edge.size != c.size || !merkle_equal(&root, &c.root))
		return err_add(e, RC_AUTH, "the tiles do not have the root of the checkpoint of size %llu",
			(unsigned long long)c.size);
	return RC_OK;
}

static enum rc record_apply(struct ledger_log *l, struct journal_record *j, struct err *e)
{
	struct checkpoint c;
	const uint8_t *entry;
	size_t n, count = 0;

	if (j->first + j->count <= l->edge.size && j->first < l->published)
		return RC_OK; /* the tiles have it: the crash came before the journal was emptied */
	if (j->first != l->edge.size)
		return err_add(e, RC_AUTH, "the journal continues at entry %llu, expected %llu",
			(unsigned long long)j->first, (unsigned long long)l->edge.size);
	while (bundle_next(&j->entries, &entry, &n)) {
		if (!entry_commit(l, entry, n))
			return err_add(e, RC_LIMIT, "out of memory");
		count++;
	}
	enum rc rc = note_check(l, j->note, j->note_n, &c, e);
	struct merkle_hash root = merkle_edge_root(&l->edge);
	if (rc == RC_OK && (j->entries.bad || count != j->count || c.size != l->edge.size ||
				   !merkle_equal(&root, &c.root)))
		rc = err_add(e, RC_AUTH,
			"the journal's entries up to %llu are not those that its checkpoint signs",
			(unsigned long long)l->edge.size);
	memcpy(l->note, j->note, MIN_OF(j->note_n, sizeof l->note));
	l->note_n = MIN_OF(j->note_n, sizeof l->note);
	return rc;
}

static enum rc journal_read(struct ledger_log *l, struct ledger_opened *o, struct err *e)
{
	struct journal_record j;
	uint8_t *bytes = NULL;
	size_t n = 0;
	enum rc rc = l->store.read(l->store.context, LEDGER_PATH_JOURNAL, &bytes, &n, NULL);

	if (rc == RC_NOT_FOUND)
		return l->store.replace(l->store.context, LEDGER_PATH_JOURNAL, "", 0, e);
	if (rc != RC_OK)
		return err_add(e, rc, "the journal could not be read");
	struct rd r = rd_over(bytes, n);
	const uint8_t *good = r.at;
	while ((rc = journal_next(&r, &j)) == RC_OK) {
		if (l->store.progress)
			l->store.progress(l->store.context, (uint64_t)(r.at - bytes), n);
		rc = record_apply(l, &j, e);
		if (rc != RC_OK)
			break;
		good = r.at;
	}
	l->journal_n = (size_t)(good - bytes);
	o->torn_bytes = n - l->journal_n;
	/* One append can be torn, the last. A record that is damaged with whole ones after it was altered:
	 * receipts were given for it. */
	if (rc != RC_NOT_FOUND && rc != RC_AUTH && rc != RC_LIMIT && journal_goes_on(good, o->torn_bytes))
		rc = err_add(e, RC_AUTH,
			"the journal was altered: the record at octet %zu is damaged, and intact ones follow",
			l->journal_n);
	free(bytes);
	if (rc == RC_AUTH || rc == RC_LIMIT)
		return rc;
	if (o->torn_bytes > 0)
		return l->store.truncate(l->store.context, LEDGER_PATH_JOURNAL, l->journal_n, e);
	return RC_OK;
}

static enum rc vkey_check(struct ledger_log *l, struct err *e)
{
	char text[NOTE_VKEY_MAX + 1];
	uint8_t *bytes = NULL;
	size_t n = 0, text_n;

	note_key_text(text, &l->key);
	text_n = strlen(text);
	text[text_n++] = '\n';
	enum rc rc = l->store.read(l->store.context, LEDGER_PATH_VKEY, &bytes, &n, NULL);
	if (rc == RC_NOT_FOUND)
		rc = l->store.replace(l->store.context, LEDGER_PATH_VKEY, text, text_n, e);
	else if (rc == RC_OK && (n != text_n || memcmp(bytes, text, n) != 0))
		rc = err_add(e, RC_AUTH,
			"%s does not match the ledger's key: restore the key of this log, or move the log away",
			LEDGER_PATH_VKEY);
	else if (rc != RC_OK)
		err_add(e, rc, "'%s' could not be read", LEDGER_PATH_VKEY);
	free(bytes);
	return rc;
}

enum rc ledger_open(struct ledger_log **ret_log, const struct ledger_store *store, const struct note_key *key,
	const uint8_t seed[ED25519_SEED_SIZE], struct ledger_opened *ret_opened, struct err *e)
{
	struct ledger_log *l = calloc(1, sizeof *l);
	enum rc rc = RC_LIMIT;

	*ret_opened = (struct ledger_opened){ 0 };
	if (!l)
		return err_add(e, rc, "out of memory");
	l->store = *store;
	l->key = *key;
	ed25519_secret(l->secret, seed);
	l->record = malloc(JOURNAL_RECORD_MAX);
	if (l->record) {
		l->batch = l->record + JOURNAL_HEAD;
		rc = vkey_check(l, e);
	}
	rc = rc ? rc : tiles_read(l, e);
	if (rc == RC_OK && (l->head_n = checkpoint_sign(l, &l->edge, l->head)) == 0)
		rc = err_add(e, RC_INTERNAL, "the published checkpoint cannot be signed again");
	rc = rc ? rc : journal_read(l, ret_opened, e);
	if (rc != RC_OK) {
		ledger_close(l);
		return err_add(e, rc, "while opening the ledger");
	}
	assert(levels_agree(l) && l->batch_count == 0);
	ret_opened->published = l->published;
	ret_opened->journaled = l->edge.size - l->published;
	*ret_log = l;
	return RC_OK;
}

void ledger_close(struct ledger_log *l)
{
	if (!l)
		return;
	bytes_wipe(l->secret, sizeof l->secret);
	for (unsigned i = 0; i < TILE_LEVELS; i++)
		free(l->level[i].hash);
	free(l->bundle);
	free(l->record);
	free(l);
}

/* ---- appending ---- */

enum rc ledger_add(struct ledger_log *l, const void *entry, size_t n, uint64_t *ret_index)
{
	if (n == 0 || n > LEDGER_ENTRY_MAX)
		return RC_RANGE;
	if (l->batch_count == LEDGER_BATCH_MAX)
		return RC_LIMIT;
	assert(l->batch_n <= l->batch_count * (LEDGER_ENTRY_MAX + 2));
	store_be16(l->batch + l->batch_n, (uint16_t)n);
	memcpy(l->batch + l->batch_n + 2, entry, n);
	l->batch_n += n + 2;
	*ret_index = l->edge.size + l->batch_count++;
	return RC_OK;
}

/* The head as it will be with the batch: computed on the side, so that a failed write changes nothing. */
static enum rc head_sign(struct ledger_log *l, char note[NOTE_BYTES_MAX], size_t *ret_n, struct err *e)
{
	struct merkle_edge edge = l->edge;
	struct rd r = rd_over(l->batch, l->batch_n);
	const uint8_t *entry;
	size_t n;

	while (bundle_next(&r, &entry, &n)) {
		struct merkle_hash leaf = merkle_leaf(entry, n);
		merkle_edge_add(&edge, &leaf);
	}
	assert(!r.bad && edge.size == l->edge.size + l->batch_count); /* ledger_add() has made the batch */
	*ret_n = checkpoint_sign(l, &edge, note);
	return *ret_n ? RC_OK
		      : err_add(e, RC_INTERNAL, "the checkpoint of size %llu cannot be signed",
				(unsigned long long)edge.size);
}

/* Only when all of its records are in the tiles. */
static enum rc journal_empty(struct ledger_log *l, struct err *e)
{
	assert(l->published == l->edge.size);
	enum rc rc = l->store.replace(l->store.context, LEDGER_PATH_JOURNAL, "", 0, e);

	l->journal_stale = rc != RC_OK;
	if (rc == RC_OK) {
		l->journal_n = 0;
		l->journal_torn = false;
	}
	return rc;
}

static enum rc batch_write(struct ledger_log *l, struct err *e)
{
	char note[NOTE_BYTES_MAX];
	size_t note_n;

	assert(l->batch_count > 0 && l->batch_count <= LEDGER_BATCH_MAX);
	/* Its length is not known: what is cut to a length later must not be filled up with zeros. */
	if (l->journal_stale && journal_empty(l, e) != RC_OK)
		return err_add(e, RC_IO, "the journal could not be emptied");
	if (l->journal_torn) {
		enum rc rc = l->store.truncate(l->store.context, LEDGER_PATH_JOURNAL, l->journal_n, e);
		if (rc != RC_OK)
			return rc;
		l->journal_torn = false;
	}
	if (l->journal_n > JOURNAL_BYTES_MAX)
		return err_add(e, RC_LIMIT,
			"the journal is full (%zu octets), because its entries could not be published as tiles",
			l->journal_n);
	enum rc rc = head_sign(l, note, &note_n, e);
	if (rc != RC_OK)
		return rc;
	struct wr w = wr_over(l->record, JOURNAL_RECORD_MAX);
	size_t n =
		journal_write(&w, l->edge.size, (uint32_t)l->batch_count, l->batch, l->batch_n, note, note_n);
	if (n == 0)
		return err_add(e, RC_INTERNAL, "a batch of %zu octets does not fit a record of the journal",
			l->batch_n);
	rc = l->store.append(l->store.context, LEDGER_PATH_JOURNAL, l->record, n, e);
	l->journal_torn = rc != RC_OK;
	if (rc != RC_OK)
		return rc;
	l->journal_n += n;
	memcpy(l->note, note, note_n);
	l->note_n = note_n;
	return RC_OK;
}

enum rc ledger_commit(struct ledger_log *l, struct err *e)
{
	const uint8_t *entry;
	size_t n;

	if (l->batch_count == 0)
		return RC_OK;
	/* Room first: after the write nothing may fail. */
	void *bundle = l->bundle, *hashes = l->level[0].hash;
	bool room = room_for(&bundle, &l->bundle_room, l->bundle_n + l->batch_n, 1);
	l->bundle = bundle;
	room = room && room_for(&hashes, &l->level[0].room, l->level[0].n + l->batch_count,
			       sizeof(struct merkle_hash));
	l->level[0].hash = hashes;
	enum rc rc = room ? batch_write(l, e) : err_add(e, RC_LIMIT, "out of memory for a batch");
	if (rc == RC_OK) {
		struct rd r = rd_over(l->batch, l->batch_n);
		while (bundle_next(&r, &entry, &n))
			if (!entry_commit(l, entry, n))
				abort(); /* memory for one hash of an upper level: start again from the disk,
					    which is right */
		assert(levels_agree(l) && l->journal_n >= JOURNAL_HEAD);
	}
	l->batch_n = l->batch_count = 0;
	return rc;
}

/* ---- publishing ---- */

static enum rc level_write(struct ledger_log *l, unsigned level, struct err *e)
{
	struct level *v = &l->level[level];
	char path[TILE_PATH_MAX];
	size_t full = v->n / TILE_WIDTH, partial = v->n % TILE_WIDTH;
	uint64_t was_full = tile_full(level, l->published);
	enum rc rc = RC_OK;

	assert(v->first_tile == was_full); /* what was full at the last publication was forgotten then */
	for (size_t i = 0; i < full && rc == RC_OK; i++)
		rc = l->store.replace(l->store.context, tile_path(path, level, v->first_tile + i, TILE_WIDTH),
			&v->hash[i * TILE_WIDTH], TILE_WIDTH * sizeof *v->hash, e);
	bool same = v->first_tile + full == was_full && partial == tile_partial(level, l->published);
	if (rc == RC_OK && partial > 0 && !same)
		rc = l->store.replace(l->store.context,
			tile_path(path, level, v->first_tile + full, (uint32_t)partial),
			&v->hash[full * TILE_WIDTH], partial * sizeof *v->hash, e);
	return rc;
}

/* Bytes of the first `count` entries of a range in bundle form. */
static size_t bundle_prefix(const uint8_t *bytes, size_t n, size_t count)
{
	struct rd r = rd_over(bytes, n);
	const uint8_t *entry;
	size_t entry_n;

	while (count-- > 0 && bundle_next(&r, &entry, &entry_n))
		;
	return (size_t)(r.at - bytes);
}

static enum rc bundles_write(struct ledger_log *l, size_t *ret_full_bytes, struct err *e)
{
	uint64_t tile = l->level[0].first_tile;
	size_t at = 0, left = l->bundle_count;
	char path[TILE_PATH_MAX];
	enum rc rc = RC_OK;

	*ret_full_bytes = 0;
	while (left > 0 && rc == RC_OK) {
		size_t count = MIN_OF(left, (size_t)TILE_WIDTH);
		size_t n = bundle_prefix(l->bundle + at, l->bundle_n - at, count);
		tile_path(path, TILE_LEVEL_ENTRIES, tile++, (uint32_t)count);
		rc = l->store.replace(l->store.context, path, l->bundle + at, n, e);
		at += n;
		left -= count;
		if (count == TILE_WIDTH)
			*ret_full_bytes = at;
	}
	assert(rc != RC_OK || at == l->bundle_n);
	return rc;
}

/* A full tile stands: the folder of its partial ones goes. */
static void partials_remove(struct ledger_log *l, uint32_t level, uint64_t tile)
{
	char path[TILE_PATH_MAX], folder[TILE_PATH_MAX + 4];

	snprintf(folder, sizeof folder, "%s.p", tile_path(path, level, tile, TILE_WIDTH));
	l->store.remove_partials(l->store.context, folder);
}

/* Full tiles are written: their partials go, and memory keeps what comes after them. */
static void forget_full(struct ledger_log *l, size_t full_bytes)
{
	size_t bundles = l->bundle_count / TILE_WIDTH;

	assert(full_bytes <= l->bundle_n);
	for (size_t i = 0; i < bundles; i++)
		partials_remove(l, TILE_LEVEL_ENTRIES, l->level[0].first_tile + i);
	memmove(l->bundle, l->bundle + full_bytes, l->bundle_n - full_bytes);
	l->bundle_n -= full_bytes;
	l->bundle_count -= bundles * TILE_WIDTH;
	for (unsigned level = 0; level < TILE_LEVELS; level++) {
		struct level *v = &l->level[level];
		size_t full = v->n / TILE_WIDTH;
		for (size_t i = 0; i < full; i++)
			partials_remove(l, level, v->first_tile + i);
		if (full == 0)
			continue;
		memmove(v->hash, &v->hash[full * TILE_WIDTH], (v->n - full * TILE_WIDTH) * sizeof *v->hash);
		v->n -= full * TILE_WIDTH;
		v->first_tile += full;
	}
}

enum rc ledger_publish(struct ledger_log *l, struct err *e)
{
	size_t full_bytes;
	enum rc rc;

	assert(l->published <= l->edge.size);
	if (l->edge.size == l->published)
		return RC_OK;
	assert(l->note_n > 0 && l->journal_n > 0);
	/* l->note is of the last commit that succeeded: a failed one may have signed a head that never came
	 * to be. */
	rc = bundles_write(l, &full_bytes, e);
	for (unsigned level = 0; rc == RC_OK && level < TILE_LEVELS; level++)
		if (l->level[level].n > 0)
			rc = level_write(l, level, e);
	rc = rc ? rc : l->store.replace(l->store.context, LEDGER_PATH_CHECKPOINT, l->note, l->note_n, e);
	if (rc != RC_OK)
		return err_add(e, rc, "while publishing the ledger's tiles");
	l->published = l->edge.size;
	memcpy(l->head, l->note, l->note_n);
	l->head_n = l->note_n;
	forget_full(l, full_bytes);
	assert(l->bundle_count == l->edge.size % TILE_WIDTH && l->level[0].n == l->bundle_count);
	/* The journal's records are in the tiles now. Should this fail, they are skipped at the next start,
	 * and the next batch tries it first. */
	journal_empty(l, NULL);
	return RC_OK;
}

/* ---- looking in ---- */

uint64_t ledger_size(const struct ledger_log *l)
{
	return l->edge.size;
}

uint64_t ledger_published(const struct ledger_log *l)
{
	return l->published;
}

size_t ledger_batch_n(const struct ledger_log *l)
{
	return l->batch_count;
}

struct merkle_hash ledger_root(const struct ledger_log *l)
{
	return merkle_edge_root(&l->edge);
}

struct merkle_hash ledger_leaf(const struct ledger_log *l, uint64_t index)
{
	uint64_t first = l->level[0].first_tile * TILE_WIDTH;

	return index >= first && index - first < l->level[0].n ? l->level[0].hash[index - first]
							       : merkle_empty();
}

/* ---- for witnesses ---- */

const char *ledger_head(const struct ledger_log *l, size_t *ret_n)
{
	*ret_n = l->head_n;
	return l->head;
}

enum rc ledger_cosigned(struct ledger_log *l, const char *lines, size_t n, bool quorum, struct err *e)
{
	char note[NOTE_BYTES_MAX];

	if (l->published == 0)
		return err_add(e, RC_RANGE, "no checkpoint is published yet");
	assert(l->head_n > 0 && l->head_n <= sizeof note);
	if (n > sizeof note - l->head_n)
		return err_add(e, RC_LIMIT, "the cosignatures do not fit a note");
	memcpy(note, l->head, l->head_n);
	memcpy(note + l->head_n, lines, n);
	enum rc rc = l->store.replace(l->store.context, LEDGER_PATH_CHECKPOINT, note, l->head_n + n, e);
	if (rc == RC_OK && quorum)
		rc = l->store.replace(l->store.context, LEDGER_PATH_COSIGNED, note, l->head_n + n, e);
	return rc;
}
