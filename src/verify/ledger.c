/* The walk: key, heads, bundles and tiles, journal, seals, cosignatures; see verify.h for what it proves. */
#include "base/bytes.h"
#include "verify/internal.h"
#include "verify/limits.h"

#include <stdio.h>
#include <stdlib.h>

static verify_pass_fn verify_pass; /* for the log that ended in a recovery as well */

/* Was anything ever published? */
static bool tiles_there(struct walk *w)
{
	char path[TILE_PATH_MAX];
	uint8_t *bytes;
	size_t n;
	bool there = false;

	for (uint32_t width = 1; width <= TILE_WIDTH && !there; width++) {
		there = walk_file_read(w, tile_path(path, 0, 0, width), &bytes, &n) == RC_OK;
		free(bytes);
	}
	return there;
}

/* The checkpoint's file; none is there before the first publication. */
static enum rc checkpoint_take(
	struct walk *w, const uint8_t *bytes, size_t n, enum rc read, struct checkpoint *ret)
{
	struct signed_head *h = &w->heads[HEAD_CHECKPOINT];

	*ret = (struct checkpoint){ 0 };
	if (read == RC_OK) {
		enum rc rc = head_check(w, &w->stop, LEDGER_PATH_CHECKPOINT, bytes, n, true, &h->note, &h->c);
		h->any = rc == RC_OK;
		*ret = h->c;
		return rc;
	}
	if (read == RC_NOT_FOUND && tiles_there(w))
		return report_finding(&w->stop, VERIFY_CHECKPOINT, "%s is missing", LEDGER_PATH_CHECKPOINT);
	return read == RC_NOT_FOUND ? RC_OK : read;
}

/* Heads, as they are read before the tree is: in the order in which they are written, the newest last. */
static enum rc heads_read(struct walk *w, struct checkpoint *ret_checkpoint, struct err *e)
{
	struct signed_head *newest = &w->heads[HEAD_CHECKPOINT];

	/* The journal first: what is published meanwhile is then seen in both, never in neither. The head
	 * with its cosignatures before the checkpoint: it is the older one. */
	enum rc rc = journal_load(w, e);
	if (rc == RC_OK)
		rc = heads_load(w, e);
	enum rc read_rc = walk_file_read(w, LEDGER_PATH_CHECKPOINT, &newest->bytes, &newest->bytes_n);
	if (rc == RC_OK)
		rc = checkpoint_take(w, newest->bytes, newest->bytes_n, read_rc, ret_checkpoint);
	w->report->published = ret_checkpoint->size;
	heads_compare(w);
	if (rc == RC_OK)
		rc = since_check_older_heads(w);
	if (rc == RC_OK) { /* an empty tree is one as well */
		heads_check_at_size(w);
		journal_check_at_size(w);
	}
	return rc;
}

static void tree_grow_to_heads(struct walk *w)
{
	for (int i = HEAD_COSIGNED; i < (w->options->ended ? HEAD_KEPT : HEADS); i++) {
		struct finding before = w->stop;
		/* Where the entries are not there either heads_end() says that it was cut back. */
		if (w->heads[i].any && w->heads[i].c.size > w->edge.size &&
			bundles_check(w, w->heads[i].c.size) != RC_OK)
			w->stop = before;
	}
}

static enum rc walk_all(struct walk *w, struct err *e)
{
	struct checkpoint c = { 0 };
	enum rc rc = log_key_choose(w, e);

	if (rc == RC_OK)
		rc = scope_load(w);
	if (rc == RC_OK)
		rc = since_load(w, e);
	if (rc == RC_OK)
		rc = heads_read(w, &c, e);
	if (rc == RC_OK && c.size > 0)
		rc = tiles_check(w, &c);
	if (rc == RC_OK)
		rc = journal_check(w);
	if (rc == RC_OK)
		tree_grow_to_heads(w);
	if (rc == RC_OK && w->edge.size == 0)
		rc = report_finding(&w->stop, VERIFY_ROOT, "the ledger is empty");
	if (rc == RC_OK) {
		seals_end(w);
		heads_end(w);
		rc = recovery_end(w, verify_pass, e);
	}
	if (rc == RC_OK) {
		cosignatures_check(w);
		rc = partials_check(w, c.size);
	}
	if (rc == RC_OK && w->report->bundle)
		rc = bundled_end(w);
	return rc;
}

/* The worst of what was found: what was altered, before what is odd. */
static const struct finding *verdict(const struct walk *w)
{
	const struct finding *order[] = { &w->file, &w->stop, &w->head, &w->seal, &w->entry, &w->tile,
		&w->copy, &w->recovered, &w->bundled, &w->cosignature };

	/* A bundle or journal that goes wrong somewhere may do so because of an entry before. */
	if (w->stop.class == VERIFY_NONE || w->stop.class == VERIFY_JOURNAL ||
		w->stop.class == VERIFY_ENTRY_BUNDLE)
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
}

/* A finding stands, whatever could not be read; without one, what was not read or understood decides. */
static enum rc verdict_give(struct walk *w, struct err *e)
{
	struct verify_report *r = w->report;

	report_fill(w);
	if (!r->good)
		return err_add(e, RC_AUTH, "%s", r->finding);
	r->good = w->unread.class == VERIFY_NONE && w->newer.class == VERIFY_NONE;
	if (w->unread.class != VERIFY_NONE)
		return err_add(e, RC_IO, "%s", w->unread.text);
	if (w->newer.class != VERIFY_NONE)
		return err_add(e, RC_UNSUPPORTED,
			"entry %llu: %s: written by a newer version of Plaingate, verify with that version",
			(unsigned long long)w->newer.entry, w->newer.text);
	return RC_OK;
}

static enum rc verify_pass(const struct verify_source *source, const struct verify_options *options,
	struct verify_report *ret_report, struct err *e)
{
	struct walk *w = calloc(1, sizeof *w);

	*ret_report = (struct verify_report){ 0 };
	if (!w)
		return err_add(e, RC_LIMIT, "out of memory");
	w->source = source;
	w->options = options;
	w->report = ret_report;
	if (options->begin)
		options->begin(options->context);
	enum rc rc = walk_all(w, e);
	if (rc == RC_OK || rc == RC_AUTH || rc == RC_IO)
		rc = verdict_give(w, e);
	seals_free(&w->seals);
	heads_free(w);
	journal_free(w);
	recovery_free(w);
	bundled_free(w);
	free(w);
	return rc;
}

/* What changes when a ledger is written to, or moved to an archive. */
struct moment {
	uint8_t hash[SHA256_SIZE];
};

static struct moment moment_now(const struct verify_source *source)
{
	/* The mark of an archive is set before what is archived is removed. */
	const char *const paths[] = { LEDGER_PATH_CHECKPOINT, LEDGER_PATH_JOURNAL, VERIFY_PATH_COSIGNED,
		VERIFY_PATH_ARCHIVED };
	uint8_t hash[COUNT_OF(paths)][SHA256_SIZE] = { { 0 } };
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
		enum rc rc = verify_pass(source, options ? options : &none, ret_report, &why);
		if (rc == RC_AUTH && i < VERIFY_PASSES_MAX) {
			source->pause(source->context);
			struct moment after = moment_now(source);
			if (memcmp(&before, &after, sizeof before) != 0)
				continue;
		}
		return rc == RC_OK ? RC_OK : err_add(e, rc, "%s", why.text);
	}
}
