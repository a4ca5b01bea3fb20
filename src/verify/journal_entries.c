/* The journal's entries that are not in the tiles yet: into the tree, each record against its head. */
#include "verify/internal.h"

static enum rc record_check(struct walk *w, const struct signed_record *r)
{
	struct journal_record left = r->j;
	const uint8_t *entry;
	size_t entry_n;
	uint32_t count = 0;

	if (journal_record_published(w, r))
		return RC_OK;
	/* A checkpoint that was read or copied before the journal is older than it: what lies between stands
	 * in the bundles, and this record's head signs it too. */
	if (r->j.first > w->edge.size && w->edge.size == w->report->published) {
		enum rc rc = bundles_check(w, r->j.first);
		if (rc == RC_IO)
			return rc;
		if (rc != RC_OK) {
			w->stop.class = VERIFY_NONE;
			return report_finding_at(&w->stop, VERIFY_JOURNAL, w->edge.size,
				"the journal's record at byte %zu begins at entry %llu, the checkpoint "
				"covers %llu entries, and those between are incomplete",
				r->at, (unsigned long long)r->j.first,
				(unsigned long long)w->report->published);
		}
	}
	if (r->j.first != w->edge.size)
		return report_finding_at(&w->stop, VERIFY_JOURNAL, w->edge.size,
			"the journal's record at byte %zu begins at entry %llu, expected this entry", r->at,
			(unsigned long long)r->j.first);
	bool good = journal_record_good(w, r);
	while (bundle_next(&left.entries, &entry, &entry_n)) {
		struct merkle_hash leaf = merkle_leaf(entry, entry_n);
		entry_check(w, entry, entry_n);
		merkle_edge_add(&w->edge, &leaf);
		tree_check_at_size(w);
		count++;
	}
	if (!good)
		return report_finding_at(&w->stop, VERIFY_JOURNAL, r->j.first,
			"the journal's record at byte %zu: its entries do not have the root that its head "
			"signs",
			r->at);
	w->report->made[VERIFY_CHECK_JOURNAL]++;
	w->report->made[VERIFY_CHECK_ENTRIES] += count;
	return RC_OK;
}

enum rc journal_check(struct walk *w)
{
	const struct journal *j = &w->journal;
	enum rc rc = RC_OK;

	for (size_t i = 0; i < j->records_n && rc == RC_OK; i++)
		rc = record_check(w, &j->record[i]);
	if (rc != RC_OK)
		return rc;
	if (j->bad.class != VERIFY_NONE) {
		w->stop = j->bad;
		return RC_AUTH;
	}
	if (j->end == RC_NOT_FOUND)
		return RC_OK;
	return report_finding_at(&w->stop, VERIFY_JOURNAL, w->edge.size,
		"the journal's record at byte %zu %s%s", j->end_at,
		j->end == RC_TRUNCATED ? "is truncated" : "is altered or incomplete",
		journal_goes_on(j->bytes + j->end_at, j->n - j->end_at)
			? ", and other records follow it"
			: "; after a power loss the ledger removes it at its next start: it was not "
			  "acknowledged");
}
