/* The journal: what is committed and signed, and not in the tiles yet. */
#include "verify/internal.h"

#include <stdio.h>

static enum rc record_check(struct walk *w, const struct journal_record *j, size_t at)
{
	char where[64];
	struct journal_record left = *j;
	struct checkpoint c;
	struct note note;
	const uint8_t *entry;
	size_t entry_n;
	uint32_t count = 0;

	snprintf(where, sizeof where, "journal, the record at byte %zu", at);
	if (head_check(w, where, j->note, j->note_n, false, &note, &c) != RC_OK)
		return RC_AUTH;
	if (j->count <= w->report->published && j->first <= w->report->published - j->count)
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
		heads_meet(w);
		count++;
	}
	struct merkle_hash root = merkle_edge_root(&w->edge);
	if (left.entries.bad || count != j->count || c.size != w->edge.size || !merkle_equal(&root, &c.root))
		return found_at(&w->stop, VERIFY_JOURNAL, j->first,
			"%s: its entries are not what its head signs", where);
	w->report->made[VERIFY_CHECK_JOURNAL]++;
	w->report->made[VERIFY_CHECK_ENTRIES] += count;
	return RC_OK;
}

enum rc journal_check(struct walk *w, const uint8_t *bytes, size_t n)
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
