/*
 * One-time keys of checkpoints (ledger/seal.h): none is missing from the first on, each is signed, and what
 * was sealed has not changed.
 */
#include "base/bytes.h"
#include "verify/internal.h"

#include <assert.h>
#include <stdlib.h>

void seals_free(struct seals *s)
{
	free(s->keys);
	free(s->records);
	*s = (struct seals){ 0 };
}

/* The next record, checked by itself. Octets of a torn one at the end are not a seal: its checkpoint never
 * stood. */
static void seal_load(struct walk *w)
{
	struct seals *s = &w->seals;
	struct seal *n = &s->next;

	s->more = false;
	if (rd_left(&s->left) < SEAL_RECORD_SIZE || seal_next(&s->left, n) != RC_OK)
		return;
	if (n->index != s->expected || n->index >= SEAL_KEYS)
		report_finding(&w->seal, VERIFY_SEAL,
			"the seals announced by entry %llu: seal %u where seal %u is expected",
			(unsigned long long)s->begins, n->index, s->expected);
	else if (seal_check(n, w->key.name, &s->root, s->keys + n->index * (size_t)ED25519_PUBLIC_SIZE) !=
		 RC_OK)
		report_finding(&w->seal, VERIFY_SEAL,
			"the seals announced by entry %llu: seal %u is not signed by its one-time key",
			(unsigned long long)s->begins, n->index);
	else if (n->size <= MAX_OF(s->begins, s->sealed))
		report_finding(&w->seal, VERIFY_SEAL,
			"the seals announced by entry %llu: seal %u covers only %llu entries, expected more "
			"than those before it",
			(unsigned long long)s->begins, n->index, (unsigned long long)n->size);
	else
		s->more = true;
	s->expected++;
	w->report->seals++;
}

bool seal_epoch_root(const struct ledger_entry *entry, struct merkle_hash *ret_root)
{
	return ledger_entry_hex(entry, "root", ret_root->b, sizeof ret_root->b);
}

/*
 * The ledger enters ledger_start, ledger_recovery where there was one, and seal_epoch in one batch, before
 * anything else: who leaves the keys out so that nothing is sealed is found.
 */
void seals_check_announced(struct walk *w, const struct ledger_entry *entry, uint64_t index)
{
	if (w->start_open && w->options->sealed_starts && entry->type != LEDGER_SEAL_EPOCH &&
		entry->type != LEDGER_LEDGER_RECOVERY && entry->type != LEDGER_TYPE_COUNT)
		report_finding_at(&w->seal, VERIFY_SEAL, index,
			"expected seal_epoch: the ledger's start before it announced no one-time keys");
	w->start_open = entry->type == LEDGER_LEDGER_START ||
			(w->start_open && entry->type == LEDGER_LEDGER_RECOVERY);
}

static bool seal_file_read(struct walk *w, const char *path, uint8_t **ret_bytes, size_t *ret_n)
{
	enum rc rc = walk_file_read(w, path, ret_bytes, ret_n);

	/* Its announcement was verified earlier, and may have been moved since, with these. */
	bool moved = rc == RC_NOT_FOUND && w->seals.begins < MIN_OF(w->report->since, w->report->archived);
	if (moved)
		report_finding(&w->unread, VERIFY_FILE, "%s is in an archive: name it with --archive", path);
	else if (rc == RC_NOT_FOUND)
		report_finding(&w->seal, VERIFY_SEAL, "%s is missing", path);
	w->seals.hole |= rc == RC_IO || moved; /* nothing can be said about the seals that are due */
	return rc == RC_OK;
}

void seals_epoch_begin(struct walk *w, const struct ledger_entry *entry, uint64_t index)
{
	struct seals *s = &w->seals;

	/* The epoch before ends here: a seal beyond this entry would be of a log that went another way. */
	if (s->more)
		report_finding(&w->seal, VERIFY_SEAL,
			"seal %u of those announced by entry %llu covers %llu entries, but the next epoch "
			"begins at entry %llu: the log was truncated",
			s->next.index, (unsigned long long)s->begins, (unsigned long long)s->next.size,
			(unsigned long long)index);
	seals_free(s);
	if (!seal_epoch_root(entry, &s->root) || ledger_entry_number(entry, "keys") != SEAL_KEYS) {
		report_finding(&w->seal, VERIFY_SEAL,
			"entry %llu announces one-time keys in an unexpected form: expected a root and 4096 "
			"keys",
			(unsigned long long)index);
		return;
	}
	s->begins = index;
	s->any = true;
	w->report->seal_epochs++;
	seals_load(w);
}

void seals_load(struct walk *w)
{
	struct seals *s = &w->seals;
	char path[SEAL_PATH_MAX];
	size_t keys_n = 0, met_n = s->expected * (size_t)SEAL_RECORD_SIZE;

	assert(s->any && s->expected <= SEAL_KEYS);
	if (!seal_file_read(w, seal_path_keys(path, &s->root), &s->keys, &keys_n))
		return;
	struct merkle_hash root =
		keys_n == SEAL_KEYS * ED25519_PUBLIC_SIZE ? seal_keys_root(s->keys) : merkle_empty();
	if (!merkle_equal(&root, &s->root)) {
		report_finding(&w->seal, VERIFY_SEAL,
			"%s does not contain the keys that entry %llu committed to", path,
			(unsigned long long)s->begins);
		return;
	}
	if (!seal_file_read(w, seal_path_seals(path, &s->root), &s->records, &s->records_n))
		return;
	if (s->records_n < met_n) {
		report_finding(&w->seal, VERIFY_SEAL,
			"%s contains fewer than the %u seals that it had for --keep", path,
			(unsigned)s->expected);
		return;
	}
	s->left = rd_over(s->records + met_n, s->records_n - met_n);
	seal_load(w);
}

void seals_check_at_size(struct walk *w)
{
	struct seals *s = &w->seals;

	while (s->more && s->next.size <= w->edge.size) {
		struct merkle_hash root;
		assert(s->next.size > s->sealed);
		if (s->next.size < w->edge.size) { /* within a hole that was passed in one step */
			s->sealed = s->next.size;
			w->report->seals_unseen++;
			seal_load(w);
			continue;
		}
		root = merkle_edge_root(&w->edge);
		if (!merkle_equal(&root, &s->next.root)) {
			report_finding(&w->seal, VERIFY_SEAL,
				"the first %llu entries differ from those that were sealed: they were "
				"changed afterwards",
				(unsigned long long)s->next.size);
			s->more = false;
			return;
		}
		s->sealed = s->next.size;
		w->report->sealed = s->sealed;
		w->report->made[VERIFY_CHECK_SEALS]++;
		if (w->options->sealed)
			w->options->sealed(w->options->context, s->begins, s->sealed);
		seal_load(w);
	}
}

void seals_end(struct walk *w)
{
	struct seals *s = &w->seals;

	/* A seal is durable before its checkpoint is published; one that is further than what was read is of
	 * the next. */
	if (s->any && !s->hole && w->report->published > s->begins && s->sealed < w->report->published &&
		w->seal.class == VERIFY_NONE)
		report_finding(&w->seal, VERIFY_SEAL,
			"the checkpoint of %llu entries has no seal, the last seal covers %llu",
			(unsigned long long)w->report->published, (unsigned long long)s->sealed);
}
