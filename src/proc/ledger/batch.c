#include "proc/ledger/batch.h"
#include "proc/ledger/outage.h"
#include "proc/ledger/own_entry.h"
#include "proc/ledger/publish.h"
#include "proc/ledger/receipt.h"
#include "proc/ledger/shell.h"

enum rc batch_begin(struct ledger_shell *s, struct err *e)
{
	struct ledger_body b;
	struct merkle_hash keys_root;
	char vkey[NOTE_VKEY_MAX];
	enum rc rc = RC_OK;

	if (ledger_batch_n(s->log) > 0)
		return RC_OK;
	/* First what can fail: otherwise ledger_start would be in the batch without its keys, and other entries after it. */
	bool is_due = sealer_due(&s->sealer);
	if (is_due && (rc = sealer_prepare(&s->sealer, &keys_root, e)) != RC_OK)
		return err_add(e, rc, "make the one-time keys that seal checkpoints");
	if (!s->announced) {
		ledger_body_begin(&b, LEDGER_LEDGER_START);
		ledger_body_str(&b, "key", note_key_text(vkey, &s->key));
		ledger_body_str(&b, "origin", s->key.name);
		ledger_body_u64(&b, "recovered", s->opened.published + s->opened.journaled);
		ledger_body_u64(&b, "torn_bytes", s->opened.torn_bytes);
		rc = own_entry_add(s, &b);
	}
	if (rc == RC_OK && s->recovery.pending)
		rc = own_entry_recovery(s);
	if (rc == RC_OK && is_due) {
		rc = own_entry_seal_epoch(s, &keys_root);
		s->priority = true;
	}
	for (unsigned p = 0; p < PROC_COUNT && rc == RC_OK; p++) {
		const struct refused *r = &s->refused[p];
		uint64_t due;
		if (r->last == 0)
			continue;
		due = ledger_counters_due(&s->counters, proc_name((enum proc)p), r->run);
		if (due > 0 && due <= r->last)
			rc = own_entry_gap(s, (enum proc)p, r->run, due, r->last, r->why);
	}
	if (rc == RC_OK && ledger_size(s->log) - s->stated >= LEDGER_COUNTERS_EVERY)
		rc = own_entry_counters(s);
	return rc;
}

void batch_fail(struct ledger_shell *s, enum rc rc, const struct err *e)
{
	outage_report(s, e->text);
	s->counters = s->durable;
	s->own_n = s->own_durable;
	s->stating = false;
	for (size_t i = 0; i < s->waiting_n; i++) {
		const struct waiting *w = &s->waiting[i];
		receipt_refuse_number(s, w->source, w->tag, w->run, w->n, rc, e->text);
	}
}

static void batch_end(struct ledger_shell *s)
{
	s->commits++;
	s->announced = true;
	s->recovery.pending = false;
	if (s->stating)
		s->stated = ledger_size(s->log);
	s->stating = false;
	sealer_change(&s->sealer);
	s->durable = s->counters;
	s->own_durable = s->own_n;
	for (unsigned p = 0; p < PROC_COUNT; p++) {
		uint64_t due = ledger_counters_due(&s->counters, proc_name((enum proc)p), s->refused[p].run);
		if (due == 0 || due > s->refused[p].last)
			s->refused[p].last = 0; /* stated */
	}
	for (size_t i = 0; i < s->waiting_n; i++) {
		const struct waiting *w = &s->waiting[i];
		struct msg_ledger_receipt r = { .rc = RC_OK, .index = w->index, .size = ledger_size(s->log) };
		struct merkle_hash leaf = ledger_leaf(s->log, w->index);
		memcpy(r.leaf_hash, leaf.b, sizeof r.leaf_hash);
		ledger_recent_put(&s->recent[w->source], w->run, w->n, w->said, w->index, &leaf);
		if (!w->required)
			receipt_send(s, w->source, w->tag, &r);
		else if (!pending_act_add(&s->witnesses, w->source, w->tag, &r))
			receipt_refuse(s, w->source, w->tag, RC_LIMIT,
				"too many actions wait for the witnesses; try again");
	}
}

void batch_commit(struct ledger_shell *s)
{
	struct err e = { 0 };

	loop_disarm(&s->child->loop, &s->commit);
	if (ledger_batch_n(s->log) == 0)
		return;
	enum rc rc = ledger_commit(s->log, &e);
	if (rc == RC_OK)
		batch_end(s);
	else
		batch_fail(s, rc, &e);
	s->waiting_n = s->waiting_seen = 0;
	publish_schedule(s);
}

/* As long as entries come in they go into the same batch and share its fsync; a round without any commits. */
static void on_commit(struct loop *l, struct timer *t)
{
	struct ledger_shell *s = t->context;

	if (s->waiting_n > s->waiting_seen) {
		s->waiting_seen = s->waiting_n;
		loop_arm(l, t, 0, 0);
		return;
	}
	batch_commit(s);
}

void batch_own_entry_add(struct ledger_shell *s, struct ledger_body *b)
{
	struct err e = { 0 };

	if (batch_begin(s, &e) == RC_OK && own_entry_add(s, b) == RC_OK)
		loop_arm(&s->child->loop, &s->commit, 0, 0);
}

void batch_init(struct ledger_shell *s)
{
	s->commit = (struct timer){ .fn = on_commit, .context = s };
}
