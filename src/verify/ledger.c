/* The walk: key, journal, checkpoint, bundles and tiles, seals; see verify.h for what it proves. */
#include "base/bytes.h"
#include "verify/internal.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#define PASSES_MAX 6 /* over a ledger that is being written to */

static void keep(struct finding *f, enum verify_class class, const char *fmt, va_list ap)
	__attribute__((format(printf, 3, 0)));
static void keep(struct finding *f, enum verify_class class, const char *fmt, va_list ap)
{
	if (f->class != VERIFY_NONE)
		return;
	f->class = class;
	vsnprintf(f->text, sizeof f->text, fmt, ap);
}

enum rc found(struct finding *f, enum verify_class class, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	keep(f, class, fmt, ap);
	va_end(ap);
	return RC_AUTH;
}

enum rc found_at(struct finding *f, enum verify_class class, uint64_t entry, const char *fmt, ...)
{
	bool first = f->class == VERIFY_NONE;
	va_list ap;

	va_start(ap, fmt);
	keep(f, class, fmt, ap);
	va_end(ap);
	if (first) {
		f->at_entry = true;
		f->entry = entry;
	}
	return RC_AUTH;
}

enum rc file_read(const struct walk *w, const char *path, uint8_t **ret_bytes, size_t *ret_n)
{
	*ret_bytes = NULL;
	*ret_n = 0;
	return w->source->read(w->source->context, path, ret_bytes, ret_n);
}

/* ---- key and heads ---- */

static enum rc key_choose(struct walk *w, struct err *e)
{
	struct note_key there;
	struct err why = { 0 };
	uint8_t *bytes;
	size_t n;

	w->report->vkey_given = w->options->vkey != NULL;
	if (w->options->vkey &&
		note_key_parse(&w->key, w->options->vkey, strlen(w->options->vkey), &why) != RC_OK)
		return err_add(e, RC_MALFORMED, "the verifier key that was given: %s", why.text);
	enum rc rc = file_read(w, LEDGER_PATH_VKEY, &bytes, &n);
	if (rc != RC_OK)
		return found(&w->stop, VERIFY_KEY, "%s %s", LEDGER_PATH_VKEY,
			rc == RC_NOT_FOUND ? "is missing" : "cannot be read");
	rc = n > 0 && bytes[n - 1] == '\n' ? note_key_parse(&there, (const char *)bytes, n - 1, &why)
					   : err_add(&why, RC_MALFORMED, "it does not end with a line feed");
	free(bytes);
	if (rc != RC_OK)
		return found(&w->stop, VERIFY_KEY, "%s: %s", LEDGER_PATH_VKEY, why.text);
	if (!w->options->vkey)
		w->key = there;
	else if (memcmp(w->key.public_key, there.public_key, sizeof there.public_key) != 0 ||
		 strcmp(w->key.name, there.name) != 0)
		return found(&w->stop, VERIFY_KEY, "%s names another key than the one that was given",
			LEDGER_PATH_VKEY);
	return RC_OK;
}

/* A signed head, of the checkpoint's file or in a record of the journal. */
static enum rc head_check(
	struct walk *w, const char *where, const void *bytes, size_t n, struct checkpoint *ret)
{
	struct note note;
	struct err e = { 0 };

	if (note_parse(&note, bytes, n, &e) != RC_OK)
		return found(&w->stop, VERIFY_CHECKPOINT, "%s: %s", where, e.text);
	if (note_verify(&note, &w->key, &e) != RC_OK)
		return found(&w->stop, VERIFY_SIGNATURE, "%s: %s", where, e.text);
	if (checkpoint_parse(ret, note.text, note.text_n, &e) != RC_OK)
		return found(&w->stop, VERIFY_CHECKPOINT, "%s: %s", where, e.text);
	/* Our ledgers sign with one key: another line could carry anything. */
	if (note.signatures_n != 1)
		return found(&w->stop, VERIFY_SIGNATURE, "%s has %zu signatures, expected the ledger's one",
			where, note.signatures_n);
	if (strcmp(ret->origin, w->key.name) != 0)
		return found(&w->stop, VERIFY_CHECKPOINT, "%s is of the log '%s', the key is of '%s'", where,
			ret->origin, w->key.name);
	return RC_OK;
}

/* ---- entries in bundles ---- */

/* The entries of a bundle that are not in the tree yet. */
static enum rc bundle_check(struct walk *w, uint64_t bundle, uint32_t width)
{
	char path[TILE_PATH_MAX];
	uint8_t *bytes;
	const uint8_t *entry;
	size_t n, entry_n;
	uint32_t count = 0, known = (uint32_t)(w->edge.size - bundle * TILE_WIDTH);
	enum rc rc = tile_read(w, TILE_LEVEL_ENTRIES, bundle, width, path, &bytes, &n);

	if (rc != RC_OK)
		return found_at(&w->stop, VERIFY_BUNDLE, w->edge.size, "%s %s", path,
			rc == RC_NOT_FOUND ? "is missing" : "cannot be read");
	w->report->bundles++;
	struct rd r = rd_over(bytes, n);
	while (rc == RC_OK && count < width && bundle_next(&r, &entry, &entry_n)) {
		if (count++ < known)
			continue;
		struct merkle_hash leaf = merkle_leaf(entry, entry_n);
		entry_check(w, entry, entry_n);
		rc = leaf_add(w, &leaf);
		seals_meet(w);
	}
	bool more = !r.bad && rd_left(&r) > 0;
	if (rc == RC_OK && (r.bad || count != width || more))
		rc = found_at(&w->stop, VERIFY_BUNDLE, bundle_departs(w, width),
			"%s holds %s%u whole entries, expected %u", path, more ? "more than " : "", count,
			width);
	free(bytes);
	return rc;
}

/* The entries of the bundles, from where the tree is up to the size. */
static enum rc bundles_check(struct walk *w, uint64_t size)
{
	enum rc rc = RC_OK;

	while (rc == RC_OK && w->edge.size < size) {
		uint64_t bundle = w->edge.size / TILE_WIDTH, left = size - bundle * TILE_WIDTH;
		rc = bundle_check(w, bundle, (uint32_t)MIN_OF(left, (uint64_t)TILE_WIDTH));
	}
	return rc;
}

/* What is in the tiles, against the checkpoint. */
static enum rc tiles_check(struct walk *w, const struct checkpoint *c)
{
	if (bundles_check(w, c->size) != RC_OK)
		return RC_AUTH;
	for (unsigned level = 0; level < TILE_LEVELS; level++) {
		uint32_t width = tile_partial(level, c->size);
		if (width && tile_compare(w, level, tile_full(level, c->size), width) != RC_OK)
			return RC_AUTH;
	}
	struct merkle_hash root = merkle_edge_root(&w->edge);
	if (merkle_equal(&root, &c->root))
		return RC_OK;
	/* The entries are not those that were signed. The tiles may still know which one it is. */
	if (w->tile.class != VERIFY_NONE)
		return found_at(&w->stop, VERIFY_ENTRY, w->tile.entry, "it%s was altered: %s",
			w->tile_level > 0 ? ", or one behind it," : "", w->tile.text);
	if (w->entry.class == VERIFY_ENTRY)
		return RC_AUTH;
	return found(&w->stop, VERIFY_ROOT,
		"the root of the %llu entries is not the one that the checkpoint signs",
		(unsigned long long)c->size);
}

/* ---- the journal: committed, not yet in the tiles ---- */

static enum rc record_check(struct walk *w, const struct journal_record *j, size_t at)
{
	char where[64];
	struct journal_record left = *j;
	struct checkpoint c;
	const uint8_t *entry;
	size_t entry_n;
	uint32_t count = 0;

	snprintf(where, sizeof where, "journal, the record at byte %zu", at);
	if (head_check(w, where, j->note, j->note_n, &c) != RC_OK)
		return RC_AUTH;
	if (j->first + j->count <= w->report->published)
		return RC_OK; /* published meanwhile */
	/* A checkpoint that was read or copied before the journal is older than it: what lies between stands
	 * in the bundles, and this record's head signs it too. */
	if (j->first > w->edge.size && w->edge.size == w->report->published &&
		bundles_check(w, j->first) != RC_OK) {
		w->stop.class = VERIFY_NONE;
		return found_at(&w->stop, VERIFY_JOURNAL, w->edge.size,
			"%s begins at entry %llu, the checkpoint covers %llu, and what lies between is not "
			"whole",
			where, (unsigned long long)j->first, (unsigned long long)w->report->published);
	}
	if (j->first != w->edge.size)
		return found_at(&w->stop, VERIFY_JOURNAL, w->edge.size, "%s begins at entry %llu", where,
			(unsigned long long)j->first);
	while (bundle_next(&left.entries, &entry, &entry_n)) {
		struct merkle_hash leaf = merkle_leaf(entry, entry_n);
		entry_check(w, entry, entry_n);
		merkle_edge_add(&w->edge, &leaf);
		seals_meet(w);
		count++;
	}
	struct merkle_hash root = merkle_edge_root(&w->edge);
	if (left.entries.bad || count != j->count || c.size != w->edge.size || !merkle_equal(&root, &c.root))
		return found_at(&w->stop, VERIFY_JOURNAL, j->first,
			"%s: its entries are not what its head signs", where);
	return RC_OK;
}

static enum rc journal_check(struct walk *w, const uint8_t *bytes, size_t n)
{
	struct rd r = rd_over(bytes, n);
	struct journal_record j;
	const uint8_t *at = r.at;
	enum rc rc;

	for (; (rc = journal_next(&r, &j)) == RC_OK; at = r.at)
		if (record_check(w, &j, (size_t)(at - bytes)) != RC_OK)
			return RC_AUTH;
	if (rc == RC_NOT_FOUND)
		return RC_OK;
	return found_at(&w->stop, VERIFY_JOURNAL, w->edge.size, "the journal's record at byte %zu %s%s",
		(size_t)(at - bytes), rc == RC_TRUNCATED ? "is cut" : "was altered or torn",
		journal_goes_on(at, n - (size_t)(at - bytes))
			? ", and others follow it"
			: "; after a loss of power the next start of the ledger cuts it off, nobody had a "
			  "receipt for it");
}

/* ---- all of it ---- */

/* Was anything ever published? */
static bool tiles_there(const struct walk *w)
{
	char path[TILE_PATH_MAX];
	uint8_t *bytes;
	size_t n;
	bool there = false;

	for (uint32_t width = 1; width <= TILE_WIDTH && !there; width++) {
		there = file_read(w, tile_path(path, 0, 0, width), &bytes, &n) == RC_OK;
		free(bytes);
	}
	return there;
}

/* The checkpoint's file; none is there before the first publication. */
static enum rc checkpoint_take(
	struct walk *w, const uint8_t *bytes, size_t n, enum rc read, struct checkpoint *ret)
{
	*ret = (struct checkpoint){ 0 };
	if (read == RC_OK)
		return head_check(w, LEDGER_PATH_CHECKPOINT, bytes, n, ret);
	if (read == RC_NOT_FOUND && !tiles_there(w))
		return RC_OK;
	return found(&w->stop, VERIFY_CHECKPOINT, "%s %s", LEDGER_PATH_CHECKPOINT,
		read == RC_NOT_FOUND ? "is missing" : "cannot be read");
}

static enum rc walk_all(struct walk *w, struct err *e)
{
	uint8_t *journal = NULL, *head = NULL;
	size_t journal_n = 0, head_n = 0;
	struct checkpoint c;
	enum rc rc = key_choose(w, e);

	if (rc != RC_OK)
		return rc;
	/* The journal first: what is published meanwhile is then seen in both, never in neither. */
	enum rc journal_rc = file_read(w, LEDGER_PATH_JOURNAL, &journal, &journal_n);
	enum rc head_rc = file_read(w, LEDGER_PATH_CHECKPOINT, &head, &head_n);
	rc = checkpoint_take(w, head, head_n, head_rc, &c);
	w->report->published = c.size;
	if (rc == RC_OK && c.size > 0)
		rc = tiles_check(w, &c);
	if (rc == RC_OK && journal_rc != RC_OK)
		rc = found(&w->stop, VERIFY_JOURNAL, "the journal %s",
			journal_rc == RC_NOT_FOUND ? "is missing" : "cannot be read");
	if (rc == RC_OK)
		rc = journal_check(w, journal, journal_n);
	if (rc == RC_OK && w->edge.size == 0)
		rc = found(&w->stop, VERIFY_ROOT, "the ledger is empty");
	if (rc == RC_OK)
		seals_end(w);
	if (rc == RC_OK)
		rc = partials_check(w, c.size);
	free(journal);
	free(head);
	return rc;
}

/* The worst of what was found: what was altered, before what is odd. */
static const struct finding *verdict(const struct walk *w)
{
	const struct finding *order[] = { &w->stop, &w->seal, &w->entry, &w->tile, &w->copy };

	/* A bundle or journal that goes wrong somewhere may do so because of an entry before. */
	if (w->stop.class == VERIFY_NONE || w->stop.class == VERIFY_JOURNAL || w->stop.class == VERIFY_BUNDLE)
		if (w->entry.class != VERIFY_NONE && (!w->stop.at_entry || w->entry.entry <= w->stop.entry))
			return &w->entry;
	for (size_t i = 0; i < COUNT_OF(order); i++)
		if (order[i]->class != VERIFY_NONE)
			return order[i];
	return NULL;
}

static void report_fill(struct walk *w)
{
	struct verify_report *r = w->report;
	const struct finding *f = verdict(w);

	r->good = !f;
	if (f) {
		r->found = f->class;
		r->at_entry = f->at_entry;
		r->entry = f->entry;
		if (f->at_entry)
			snprintf(r->finding, sizeof r->finding, "entry %llu: %.*s",
				(unsigned long long)f->entry, (int)sizeof r->finding - 40, f->text);
		else
			snprintf(r->finding, sizeof r->finding, "%s", f->text);
	}
	r->size = w->edge.size;
	struct merkle_hash root = merkle_edge_root(&w->edge);
	memcpy(r->root, root.b, sizeof r->root);
	snprintf(r->origin, sizeof r->origin, "%s", w->key.name);
	if (w->key.name[0])
		note_key_text(r->vkey, &w->key);
}

static enum rc pass(const struct verify_source *source, const struct verify_options *options,
	struct verify_report *ret_report, struct err *e)
{
	struct walk *w = calloc(1, sizeof *w);

	*ret_report = (struct verify_report){ 0 };
	if (!w)
		return err_add(e, RC_LIMIT, "no memory");
	w->source = source;
	w->options = options;
	w->report = ret_report;
	if (options->begin)
		options->begin(options->context);
	enum rc rc = walk_all(w, e);
	if (rc == RC_OK || rc == RC_AUTH) {
		report_fill(w);
		rc = ret_report->good ? RC_OK : err_add(e, RC_AUTH, "%s", ret_report->finding);
	}
	seals_free(&w->seals);
	free(w);
	return rc;
}

/* What changes when a ledger is written to. */
struct moment {
	uint8_t hash[SHA256_SIZE];
};

static struct moment moment_now(const struct verify_source *source)
{
	const char *const paths[] = { LEDGER_PATH_CHECKPOINT, LEDGER_PATH_JOURNAL };
	uint8_t hash[2][SHA256_SIZE] = { { 0 } };
	struct moment m;

	for (size_t i = 0; i < COUNT_OF(paths); i++) {
		uint8_t *bytes = NULL;
		size_t n = 0;
		if (source->read(source->context, paths[i], &bytes, &n) == RC_OK)
			sha256(hash[i], bytes, n);
		free(bytes);
	}
	sha256(m.hash, hash, sizeof hash);
	return m;
}

/* What is found wrong may be two states of a ledger that is written to, mixed: then it is read again. */
enum rc verify_ledger(const struct verify_source *source, const struct verify_options *options,
	struct verify_report *ret_report, struct err *e)
{
	static const struct verify_options none;

	for (int i = 1;; i++) {
		struct err why = { 0 };
		struct moment before = moment_now(source);
		enum rc rc = pass(source, options ? options : &none, ret_report, &why);
		if (rc == RC_AUTH && i < PASSES_MAX) {
			source->pause(source->context);
			struct moment after = moment_now(source);
			if (memcmp(&before, &after, sizeof before) != 0)
				continue;
		}
		return rc == RC_OK ? RC_OK : err_add(e, rc, "%s", why.text);
	}
}
