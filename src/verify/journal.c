/*
 * The journal: what is committed and signed, and not in the tiles yet. A record whose entries are published
 * has a signed head as every other: the tree must have its root at its size, and its entries must be those.
 */
#include "base/bytes.h"
#include "verify/internal.h"

#include <stdio.h>
#include <stdlib.h>

static int by_first(const void *a, const void *b)
{
	const struct signed_record *const *x = a, *const *y = b;

	return (*x)->j.first<(*y)->j.first ? -1 : (*x)->j.first>(*y)->j.first;
}

static int by_size(const void *a, const void *b)
{
	const struct signed_record *const *x = a, *const *y = b;

	return (*x)->c.size<(*y)->c.size ? -1 : (*x)->c.size>(*y)->c.size;
}

static struct signed_record **sorted(struct journal *j, int (*order)(const void *, const void *))
{
	struct signed_record **to = calloc(j->records_n + 1, sizeof *to);

	for (size_t i = 0; to && i < j->records_n; i++)
		to[i] = &j->record[i];
	if (to)
		qsort(to, j->records_n, sizeof *to, order);
	return to;
}

/* RC_AUTH: see j->bad. */
static enum rc record_take(struct walk *w, const struct journal_record *record, size_t at)
{
	struct journal *j = &w->journal;
	struct signed_record r = { .at = at, .j = *record };
	struct note note;
	char where[64];

	if (j->records_n == j->records_room) {
		size_t room = MAX_OF(2 * j->records_room, (size_t)64);
		struct signed_record *grown = realloc(j->record, room * sizeof *grown);
		if (!grown)
			return RC_LIMIT;
		j->record = grown;
		j->records_room = room;
	}
	snprintf(where, sizeof where, "the journal's record at byte %zu", at);
	enum rc rc = head_check(w, &j->bad, where, record->note, record->note_n, false, &note, &r.c);
	if (rc == RC_OK)
		j->record[j->records_n++] = r;
	return rc;
}

enum rc journal_load(struct walk *w, struct err *e)
{
	struct journal *j = &w->journal;
	struct journal_record record;
	enum rc rc = walk_file_read(w, LEDGER_PATH_JOURNAL, &j->bytes, &j->n);

	/* An evidence bundle has it only if its range extends into it. */
	if (rc == RC_NOT_FOUND && !w->report->bundle)
		report_finding(&j->bad, VERIFY_JOURNAL, "the journal is missing");
	j->end = RC_NOT_FOUND;
	if (rc == RC_OK) {
		struct rd r = rd_over(j->bytes, j->n);
		while (rc == RC_OK && (j->end = journal_next(&r, &record)) == RC_OK) {
			rc = record_take(w, &record, j->end_at);
			j->end_at = (size_t)(r.at - j->bytes);
		}
	}
	j->by_first = sorted(j, by_first);
	j->by_size = sorted(j, by_size);
	if (rc == RC_LIMIT || !j->by_first || !j->by_size)
		return err_add(e, RC_LIMIT, "out of memory");
	return RC_OK;
}

void journal_free(struct walk *w)
{
	free(w->journal.bytes);
	free(w->journal.record);
	free(w->journal.by_first);
	free(w->journal.by_size);
}

/* Its entries, on the tree before them, make what its head signs. */
bool journal_record_good(const struct walk *w, const struct signed_record *r)
{
	struct merkle_edge edge = w->edge;
	struct journal_record left = r->j;
	const uint8_t *entry;
	size_t entry_n;
	uint32_t count = 0;

	while (bundle_next(&left.entries, &entry, &entry_n)) {
		struct merkle_hash leaf = merkle_leaf(entry, entry_n);
		merkle_edge_add(&edge, &leaf);
		count++;
	}
	struct merkle_hash root = merkle_edge_root(&edge);
	return !left.entries.bad && count == r->j.count && r->c.size == edge.size &&
	       merkle_equal(&root, &r->c.root);
}

/* Published while the journal was read; the rest is looked at after the tiles. */
bool journal_record_published(const struct walk *w, const struct signed_record *r)
{
	return r->j.count <= w->report->published && r->j.first <= w->report->published - r->j.count;
}

void journal_check_at_size(struct walk *w)
{
	struct journal *j = &w->journal;

	for (; j->firsts_passed < j->records_n && j->by_first[j->firsts_passed]->j.first <= w->edge.size;
		j->firsts_passed++) {
		const struct signed_record *r = j->by_first[j->firsts_passed];
		if (r->j.first == w->edge.size && journal_record_published(w, r) &&
			!journal_record_good(w, r))
			report_finding_at(&w->head, VERIFY_JOURNAL, r->j.first,
				"the journal's record at byte %zu: its entries do not have the root that its "
				"head signs",
				r->at);
	}
	for (; j->sizes_passed < j->records_n && j->by_size[j->sizes_passed]->c.size <= w->edge.size;
		j->sizes_passed++) {
		const struct signed_record *r = j->by_size[j->sizes_passed];
		struct merkle_hash root = merkle_edge_root(&w->edge);
		if (r->c.size < w->report->since) {
			if (r->c.size > 0)
				since_check_consistency(w, &r->c, "a record of the journal");
		} else if (r->c.size < w->edge.size) /* within a hole that was passed in one step */
			w->report->heads_unseen++;
		else if (journal_record_published(w, r) && !merkle_equal(&root, &r->c.root))
			report_finding(&w->head, VERIFY_HEAD,
				"the first %llu entries differ from those that the journal's record at byte "
				"%zu signs: the log's key has signed two histories",
				(unsigned long long)r->c.size, r->at);
	}
}
