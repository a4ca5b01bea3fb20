/*
 * The ledger's key, its signed heads, and who cosigned them. There may be three heads: the checkpoint, the
 * last one that has its cosignatures, and one that was kept elsewhere. The tree must have the root of
 * each at its size.
 */
#include "base/bytes.h"
#include "verify/internal.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>

static const char *const names[HEADS] = {
	[HEAD_CHECKPOINT] = LEDGER_PATH_CHECKPOINT,
	[HEAD_COSIGNED] = VERIFY_PATH_COSIGNED,
	[HEAD_KEPT] = "the kept head",
	[HEAD_SINCE] = "the head of --since",
};

const char *head_name(int which)
{
	assert(which >= 0 && which < HEADS);
	return names[which];
}

static bool same_key(const struct note_key *a, const struct note_key *b)
{
	return memcmp(a->public_key, b->public_key, sizeof a->public_key) == 0 &&
	       strcmp(a->name, b->name) == 0;
}

/* A policy with log lines says which keys are those of logs. */
static enum rc key_by_policy(struct walk *w)
{
	const struct policy *p = w->options->policy;
	const char *other = NULL; /* its name: after a recovery the log of a key has a new one */

	for (size_t i = 0; i < p->logs_n; i++) {
		const struct note_key *k = &p->log[i].key;
		if (same_key(k, &w->key)) {
			w->report->vkey_given = w->report->vkey_by_policy = true;
			return RC_OK;
		}
		if (memcmp(k->public_key, w->key.public_key, sizeof k->public_key) == 0)
			other = k->name;
	}
	if (other)
		return report_finding(&w->stop, VERIFY_KEY,
			"%s is not of a log in the policy: it has the key of '%s' under the name that "
			"follows a recovery: ask its owner why, and name it in a policy file of its own",
			LEDGER_PATH_VKEY, other);
	return report_finding(&w->stop, VERIFY_KEY, "%s is not of a log in the policy", LEDGER_PATH_VKEY);
}

/* The report names it from the start: who looks at entries asks whose they are. */
static void key_take(struct walk *w)
{
	snprintf(w->report->origin, sizeof w->report->origin, "%s", w->key.name);
	note_key_text(w->report->vkey, &w->key);
}

enum rc log_key_choose(struct walk *w, struct err *e)
{
	struct note_key there;
	struct err why = { 0 };
	uint8_t *bytes;
	size_t n;

	w->report->vkey_given = w->options->vkey != NULL;
	if (w->options->vkey &&
		note_key_parse(&w->key, w->options->vkey, strlen(w->options->vkey), &why) != RC_OK)
		return err_add(e, RC_MALFORMED, "invalid verifier key: %s", why.text);
	if (w->options->vkey)
		key_take(w);
	enum rc rc = walk_file_read(w, LEDGER_PATH_VKEY, &bytes, &n);
	if (rc == RC_NOT_FOUND)
		return report_finding(&w->stop, VERIFY_KEY, "%s is missing: is this a ledger's directory?",
			LEDGER_PATH_VKEY);
	if (rc != RC_OK)
		return rc;
	rc = n > 0 && bytes[n - 1] == '\n' ? note_key_parse(&there, (const char *)bytes, n - 1, &why)
					   : err_add(&why, RC_MALFORMED, "expected a line feed at the end");
	free(bytes);
	if (rc != RC_OK)
		return report_finding(&w->stop, VERIFY_KEY, "%s: %s", LEDGER_PATH_VKEY, why.text);
	if (!w->options->vkey) {
		w->key = there;
		key_take(w);
	} else if (!same_key(&w->key, &there))
		return report_finding(&w->stop, VERIFY_KEY,
			"%s contains another verifier key than the given one", LEDGER_PATH_VKEY);
	if (!w->options->vkey && w->options->policy && w->options->policy->logs_n > 0)
		rc = key_by_policy(w);
	w->report->made[VERIFY_CHECK_KEY] += rc == RC_OK && w->report->vkey_given;
	return rc;
}

/* Signature lines of the ledger's own key. */
static size_t own_lines(const struct walk *w, const struct note *note)
{
	size_t count = 0;

	for (size_t i = 0; i < note->signatures_n; i++) {
		const struct note_signature *s = &note->signature[i];
		count += s->name_n == strlen(w->key.name) && memcmp(s->name, w->key.name, s->name_n) == 0 &&
			 memcmp(s->id, w->key.id, sizeof s->id) == 0;
	}
	return count;
}

enum rc head_check(struct walk *w, struct finding *f, const char *where, const void *bytes, size_t n,
	bool others, struct note *ret_note, struct checkpoint *ret)
{
	struct err e = { 0 };

	if (note_parse_foreign(ret_note, bytes, n, &e) != RC_OK)
		return report_finding(f, VERIFY_CHECKPOINT, "%s: %s", where, e.text);
	if (note_verify(ret_note, &w->key, &e) != RC_OK)
		return report_finding(f, VERIFY_SIGNATURE, "%s: %s", where, e.text);
	if (checkpoint_parse(ret, ret_note->text, ret_note->text_n, &e) != RC_OK)
		return report_finding(f, VERIFY_CHECKPOINT, "%s: %s", where, e.text);
	/* In the checkpoint lines of witnesses may follow the ledger's own; nowhere else. */
	size_t own = own_lines(w, ret_note);
	if (own != 1 || (!others && ret_note->signatures_n != 1))
		return report_finding(f, VERIFY_SIGNATURE,
			"%s has %zu signatures, expected one by the ledger's key", where,
			others ? own : ret_note->signatures_n);
	if (strcmp(ret->origin, w->key.name) != 0)
		return report_finding(f, VERIFY_CHECKPOINT, "%s is of the log '%s', but the key is of '%s'",
			where, ret->origin, w->key.name);
	w->report->made[VERIFY_CHECK_SIGNATURES]++;
	return RC_OK;
}

/* ---- further heads ---- */

/* Is it of the log of this name that ended when this one began, in a recovery? */
static bool of_ended_log(const struct walk *w, const struct note *n)
{
	const char *end = memchr(n->text, '\n', n->text_n);
	size_t origin_n = end ? (size_t)(end - n->text) : 0;

	return origin_n > 0 && origin_n < strlen(w->key.name) && w->key.name[origin_n] == '/' &&
	       memcmp(w->key.name, n->text, origin_n) == 0;
}

/* What is wrong with it is no finding about the ledger. */
enum rc head_load_given(struct walk *w, int which, const void *bytes, size_t n, struct err *e)
{
	struct signed_head *h = &w->heads[which];
	struct err why = { 0 };

	assert(which == HEAD_KEPT || which == HEAD_SINCE);
	assert(!h->any);
	if (note_parse_foreign(&h->note, bytes, n, &why) != RC_OK)
		return err_add(e, RC_MALFORMED, "the kept head is malformed: %s", why.text);
	if (of_ended_log(w, &h->note))
		return err_add(e, RC_MALFORMED,
			"the kept head is of the log that ended when this one began in a recovery: verify it "
			"with the directory '%s/...'",
			LEDGER_PATH_BEFORE);
	if (note_verify(&h->note, &w->key, &why) != RC_OK ||
		checkpoint_parse(&h->c, h->note.text, h->note.text_n, &why) != RC_OK)
		return err_add(e, RC_MALFORMED, "the kept head is not of this ledger: %s", why.text);
	h->any = true;
	w->report->made[VERIFY_CHECK_SIGNATURES]++;
	return RC_OK;
}

static enum rc kept_load(struct walk *w, struct err *e)
{
	if (!w->options->kept)
		return RC_OK;
	enum rc rc = head_load_given(w, HEAD_KEPT, w->options->kept, w->options->kept_n, e);
	w->report->kept_size = rc == RC_OK ? w->heads[HEAD_KEPT].c.size : 0;
	return rc;
}

static enum rc cosigned_load(struct walk *w)
{
	struct signed_head *h = &w->heads[HEAD_COSIGNED];
	size_t n;
	enum rc rc = walk_file_read(w, VERIFY_PATH_COSIGNED, &h->bytes, &n);

	if (rc != RC_OK) /* what could not be read is reported; the rest can be checked */
		return RC_OK;
	rc = head_check(w, &w->stop, VERIFY_PATH_COSIGNED, h->bytes, n, true, &h->note, &h->c);
	h->any = rc == RC_OK;
	w->report->cosigned_head = h->c.size;
	return rc;
}

enum rc heads_load(struct walk *w, struct err *e)
{
	enum rc rc = kept_load(w, e);

	return rc == RC_OK ? cosigned_load(w) : rc;
}

static void report_fork(struct walk *w, const char *a, const char *b, uint64_t size)
{
	report_finding(&w->head, VERIFY_HEAD,
		"%s and %s are signed for %llu entries with different roots: the log's key has signed two "
		"histories",
		a, b, (unsigned long long)size);
}

void heads_compare(struct walk *w)
{
	const struct journal *j = &w->journal;

	for (int a = 0; a < HEADS; a++) {
		const struct signed_head *h = &w->heads[a];
		for (int b = a + 1; b < HEADS; b++) {
			const struct signed_head *other = &w->heads[b];
			if (b == HEAD_KEPT && w->options->ended) /* it ended the log, because of this */
				continue;
			if (h->any && other->any && h->c.size == other->c.size &&
				!merkle_equal(&h->c.root, &other->c.root))
				report_fork(w, head_name(a), head_name(b), h->c.size);
		}
		bool alien = a == HEAD_KEPT && w->options->ended;
		for (size_t i = 0; h->any && !alien && i < j->records_n; i++)
			if (j->record[i].c.size == h->c.size &&
				!merkle_equal(&j->record[i].c.root, &h->c.root))
				report_fork(w, head_name(a), "a record of the journal", h->c.size);
	}
	for (size_t i = 1; i < j->records_n; i++)
		if (j->by_size[i]->c.size == j->by_size[i - 1]->c.size &&
			!merkle_equal(&j->by_size[i]->c.root, &j->by_size[i - 1]->c.root))
			report_fork(w, "a record of the journal", "another record of the journal",
				j->by_size[i]->c.size);
}

void heads_check_at_size(struct walk *w)
{
	for (int i = 0; i < HEADS; i++) {
		struct signed_head *h = &w->heads[i];
		if (!h->any || h->confirmed || h->c.size != w->edge.size)
			continue;
		struct merkle_hash root = merkle_edge_root(&w->edge);
		h->confirmed = merkle_equal(&root, &h->c.root);
		if (!h->confirmed && !(i == HEAD_KEPT && w->options->ended) &&
			i != HEAD_CHECKPOINT) /* that one is checked when all its entries are read */
			report_finding(&w->head, VERIFY_HEAD,
				"the first %llu entries differ from those that %s covers: history was "
				"rewritten",
				(unsigned long long)h->c.size, head_name(i));
		if (h->confirmed && i == HEAD_KEPT)
			w->report->made[VERIFY_CHECK_KEPT]++;
	}
}

void heads_end(struct walk *w)
{
	for (int i = HEAD_COSIGNED; i < (w->options->ended ? HEAD_KEPT : HEADS); i++) {
		const struct signed_head *h = &w->heads[i];
		if (!h->any || h->confirmed || h->c.size <= 0)
			continue;
		if (h->c.size > w->edge.size) {
			report_finding(&w->head, VERIFY_HEAD,
				"%s covers %llu entries, but the ledger has only %llu: it was truncated",
				head_name(i), (unsigned long long)h->c.size,
				(unsigned long long)w->edge.size);
		} else if (w->head.class == VERIFY_NONE) {
			report_finding(&w->unread, VERIFY_FILE,
				"%s covers %llu entries and ends within entries that are not here: its root "
				"cannot be checked",
				head_name(i), (unsigned long long)h->c.size);
		}
	}
}

void heads_free(struct walk *w)
{
	for (int i = 0; i < HEADS; i++)
		free(w->heads[i].bytes);
}
