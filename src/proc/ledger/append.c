#include "proc/ledger/append.h"
#include "base/log.h"
#include "proc/ledger/batch.h"
#include "proc/ledger/outage.h"
#include "proc/ledger/own_entry.h"
#include "proc/ledger/receipt.h"
#include "proc/ledger/shell.h"

#include <assert.h>
#include <stdio.h>

/*
 * May the source use this number? Not one of another run: a compromised process could use up the numbers of its
 * successor. And none so far ahead that no numbers would be left after it.
 */
static bool number_allowed(
	struct ledger_shell *s, enum proc source, const struct msg_ledger_append *m, struct err *e)
{
	uint64_t due = ledger_counters_due(&s->counters, proc_name(source), m->run);

	if (m->run != s->child->runs[source])
		err_add(e, RC_DENIED, "the entry is of run %u, expected %u", m->run, s->child->runs[source]);
	else if (m->n == 0 || m->n - 1 >= NUMBER_MAX ||
		 (due > 0 && m->n > due && m->n - due > NUMBERS_AHEAD_MAX))
		err_add(e, RC_DENIED, "the entry has number %llu, expected %llu", (unsigned long long)m->n,
			(unsigned long long)due);
	return e->rc == RC_OK;
}

/* May it be entered at all? *ret: the entry without its times. */
static enum rc append_check(
	enum proc source, const struct msg_ledger_append *m, struct ledger_entry *ret, struct err *e)
{
	enum ledger_type type = (enum ledger_type)m->type;

	if (m->body_n > sizeof m->body)
		return err_add(
			e, RC_RANGE, "the entry's body is too long, at most %zu octets", sizeof m->body);
	if (!ledger_type_allowed(type, proc_name(source)))
		return err_add(e, RC_DENIED, "%s may not write entries of type %s", proc_name(source),
			ledger_type_name(type));
	*ret = (struct ledger_entry){
		.type = type, .run = m->run, .n = m->n, .body = m->body, .body_n = m->body_n
	};
	snprintf(ret->source, sizeof ret->source, "%s", proc_name(source));
	return ledger_body_check(type, m->body, m->body_n, e);
}

/* A number that is used already: the same entry again, because its receipt was lost, or another one. */
static void append_repeated(
	struct ledger_shell *s, enum proc source, uint64_t tag, const struct ledger_entry *entry)
{
	struct msg_ledger_receipt r = { .rc = RC_EXISTS, .size = ledger_size(s->log) };
	uint8_t said[SHA256_SIZE];
	struct merkle_hash leaf;

	ledger_said(entry->type, entry->body, entry->body_n, said);
	if (!ledger_recent_find(&s->recent[source], entry->run, entry->n, said, &r.index, &leaf)) {
		log_error("refused an entry of %s: number %llu of run %u is already used", proc_name(source),
			(unsigned long long)entry->n, entry->run);
		receipt_refuse(s, source, tag, RC_DENIED,
			"the number is already used by another entry or a stated gap");
		return;
	}
	memcpy(r.leaf_hash, leaf.b, sizeof r.leaf_hash);
	snprintf(r.text, sizeof r.text, "already entered");
	receipt_send(s, source, tag, &r);
}

/* Numbers that are missing before the entry's are stated first. */
static enum rc gap_before(
	struct ledger_shell *s, enum proc source, const struct ledger_entry *entry, uint64_t due)
{
	const struct refused *r = &s->refused[source];
	bool known = r->run == entry->run && r->last >= due && r->last < entry->n;

	if (entry->n == due)
		return RC_OK;
	return own_entry_gap(s, source, entry->run, due, entry->n - 1,
		known ? r->why : "no entries with these numbers were received");
}

void append_entry(struct ledger_shell *s, enum proc source, uint64_t tag, const struct msg_ledger_append *m)
{
	struct waiting *w = &s->waiting[s->waiting_n];
	struct ledger_entry entry;
	struct err e = { 0 };
	enum rc rc;

	/* Each has an entry in the open batch, which is committed below before it is full. */
	assert(s->waiting_n < LEDGER_BATCH_MAX && s->waiting_n <= ledger_batch_n(s->log));
	if (!number_allowed(s, source, m, &e)) {
		log_error("refused an entry of %s: %s", proc_name(source), e.text);
		receipt_refuse(s, source, tag, RC_DENIED, e.text);
		return;
	}
	rc = append_check(source, m, &entry, &e);
	if (rc != RC_OK) {
		log_error("refused an entry of %s: %s", proc_name(source), e.text);
		receipt_refuse_number(s, source, tag, m->run, m->n, rc, e.text);
		return;
	}
	rc = batch_begin(s, &e);
	if (rc != RC_OK)
		outage_report(s, e.text[0] ? e.text : "the batch could not be started");
	uint64_t due = ledger_counters_due(&s->counters, entry.source, entry.run);
	if (due == 0 || entry.n < due) {
		append_repeated(s, source, tag, &entry);
	} else {
		*w = (struct waiting){ .source = source, .tag = tag, .run = m->run, .n = m->n };
		ledger_said(entry.type, entry.body, entry.body_n, w->said);
		rc = rc ? rc : gap_before(s, source, &entry, due);
		rc = rc ? rc : own_entry_line(s, &entry, &w->index);
		w->required = pending_act_required(&s->witnesses, entry.type);
		if (rc == RC_OK && ledger_counters_take(&s->counters, entry.source, entry.run, entry.n)) {
			s->waiting_n++;
			s->priority |= ledger_type_priority(entry.type);
		} else {
			receipt_refuse_number(s, source, tag, m->run, m->n, rc,
				e.text[0] ? e.text : "the entry does not fit a batch");
		}
	}
	/* The next entry may need a gap before it, and batch_begin() one for each source. */
	if (ledger_batch_n(s->log) >= LEDGER_BATCH_MAX - PROC_COUNT - 5)
		batch_commit(s);
	else if (ledger_batch_n(s->log) > 0)
		loop_arm(&s->child->loop, &s->commit, 0, 0);
}
