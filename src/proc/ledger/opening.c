#include "proc/ledger/opening.h"
#include "base/log.h"
#include "proc/ledger/append.h"
#include "proc/ledger/batch.h"
#include "proc/ledger/outage.h"
#include "proc/ledger/publish.h"
#include "proc/ledger/receipt.h"
#include "proc/ledger/shell.h"

#include <stdio.h>

/* Rebuilds the counters, and the entries to recognize when they are sent again because their receipt was lost. */
static void counters_recover(
	void *context, const struct ledger_entry *entry, uint64_t index, const struct merkle_hash *leaf)
{
	struct ledger_shell *s = context;
	uint8_t said[SHA256_SIZE];
	uint64_t due;

	/* The first that is read: the boot's first entry, or a statement of all counters. */
	if (s->counters.n == 0 && entry->type == LEDGER_COUNTERS &&
		!ledger_counters_stated(entry, &s->counters))
		log_error("entry %llu is malformed: expected the counters of all sources",
			(unsigned long long)index);
	if (s->counters.n == 0 || entry->type == LEDGER_COUNTERS)
		s->stated = index;
	s->last_mono_us = MAX_OF(s->last_mono_us, entry->mono_us);
	if (!ledger_counters_follow(&s->counters, entry, &due))
		log_error(
			"entry %llu does not continue the counter of its source; run `plaingate verify ledger`",
			(unsigned long long)index);
	for (unsigned p = 0; p < PROC_COUNT; p++) {
		if (strcmp(proc_name((enum proc)p), entry->source) != 0)
			continue;
		ledger_said(entry->type, entry->body, entry->body_n, said);
		ledger_recent_put(&s->recent[p], entry->run, entry->n, said, index, leaf);
		if (p == PROC_LEDGER)
			s->own_n = entry->run == s->child->ledger.run ? entry->n : 0;
	}
}

/* ---- opening ---- */

/* Tells the supervisor that a long start is still reading, so that it does not kill the process. */
static void on_progress(void *context, uint64_t done, uint64_t all)
{
	struct ledger_shell *s = context;
	const struct msg_progress m = { .done = done, .all = all };
	mono_ns now = clock_mono();

	if (now - s->progress_at < NS_PER_S)
		return;
	s->progress_at = now;
	ipc_send_PROGRESS(child_link(s->child, PROC_SUPERVISOR), 0, &m);
}

static enum rc log_open(struct ledger_shell *s, struct err *e)
{
	s->files = ledger_files_over(&s->store, s->dir);
	s->store.progress = on_progress;
	s->store.progress_context = s;
	s->stated = 0;
	sealer_init(&s->sealer, s->dir, &s->files);
	s->announced = false;
	return ledger_open(&s->log, &s->files, &s->key, s->seed, &s->opened, e);
}

/* Entries are taken from here on. */
static void opening_end(struct ledger_shell *s)
{
	/* What was refused meanwhile came after the entries that wait here: so does its gap. */
	struct refused *r = &s->refused[PROC_SUPERVISOR], later = *r;
	struct err e = { 0 };

	*r = (struct refused){ 0 };
	s->opening = false;
	loop_disarm(&s->child->loop, &s->opening_over);
	s->durable = s->counters;
	s->own_durable = s->own_n;
	/* With a full disk the process starts all the same, and refuses entries until there is room. */
	if (batch_begin(s, &e) != RC_OK) {
		err_add(&e, e.rc, "ledger_start could not be entered; it is tried again with the next entry");
		outage_report(s, e.text);
	}
	batch_commit(s);
	publish_checkpoint(s);
	log_info("log %s opened: %llu entries, %llu of them from the journal", s->key.name,
		(unsigned long long)ledger_size(s->log), (unsigned long long)s->opened.journaled);
	for (size_t i = 0; i < s->early_n; i++)
		append_entry(s, PROC_SUPERVISOR, s->early[i].tag, &s->early[i].m);
	s->early_n = 0;
	if (later.last > 0)
		*r = later;
	if (s->child->paused)
		child_resume_input(s->child);
}

void opening_check(struct ledger_shell *s)
{
	if (s->opening && witnesses_settled(&s->witnesses))
		opening_end(s);
}

/* A witness that cannot be reached must not keep the gateway from starting. */
static void on_opening_over(struct loop *l, struct timer *t)
{
	struct ledger_shell *s = t->context;

	(void)l;
	if (!s->opening)
		return;
	log_warn("starting without an answer from all witnesses about what they have seen of this log");
	opening_end(s);
}

void opening_keep(struct ledger_shell *s, enum proc peer, const struct ipc_frame *f)
{
	const struct msg_ledger_append *m = &f->u.LEDGER_APPEND;

	if (peer == PROC_SUPERVISOR && s->early_n < OPENING_ENTRIES)
		s->early[s->early_n++] = (struct early){ .tag = f->head.tag, .m = *m };
	else
		receipt_refuse_number(s, peer, f->head.tag, m->run, m->n, RC_AGAIN,
			"the ledger waits for its witnesses' answers; try again");
}

enum rc opening_begin(struct ledger_shell *s, const uint8_t boot_id[LEDGER_BOOT_SIZE], struct err *e)
{
	recovery_name(s->dir, &s->key);
	enum rc rc = log_open(s, e);
	rc = rc ? rc : ledger_replay(s->log, boot_id, counters_recover, s, e);
	if (rc == RC_OK && peers_begin(&s->peers) != RC_OK)
		rc = err_add(e, RC_INTERNAL, "the key of cosignatures cannot be derived");
	if (rc != RC_OK) {
		/* The process ends, but may read what waits in its links before: nothing of that may be written
		 * after entries that were not read. */
		ledger_close(s->log);
		s->log = NULL;
		return rc;
	}
	/* It was begun by a recovery, and a crash came before its first entries. */
	if (ledger_size(s->log) == 0 && recovery_recall(s->dir, &s->key, &s->recovery))
		log_warn("the recovery from the log '%s' is not entered yet; it is entered now",
			s->recovery.origin);
	if (s->opened.torn_bytes > 0)
		log_warn(
			"removed %zu octets of an incomplete batch from the journal; no receipt was given for it",
			s->opened.torn_bytes);
	if (s->witnesses.n == 0) {
		opening_end(s);
		return RC_OK;
	}
	s->opening = s->child->paused = true;
	loop_arm(&s->child->loop, &s->opening_over, OPENING_NS, 0);
	witnesses_begin(&s->witnesses);
	return RC_OK;
}

/* ---- recovery ---- */

/* Other processes' entries of this boot are in the previous log. Their numbers continue, and the new log states
 * them as a gap. */
static void numbers_carry_over(struct ledger_shell *s)
{
	for (unsigned p = 0; p < PROC_COUNT; p++) {
		struct refused *r = &s->refused[p];
		uint32_t run = s->child->runs[p];
		uint64_t due = p == PROC_LEDGER
				       ? 0
				       : ledger_counters_due(&s->counters, proc_name((enum proc)p), run);
		if (due <= 1)
			continue;
		r->last = r->run == run ? MAX_OF(r->last, due - 1) : due - 1;
		r->run = run;
		snprintf(r->why, sizeof r->why, "they are in the log that ended with this recovery");
	}
	s->counters = (struct ledger_counters){ 0 };
	s->own_n = 0;
}

static void log_end(struct ledger_shell *s)
{
	const struct err e = { .rc = RC_AGAIN, .text = "this log ends and a new one begins; try again" };

	if (s->waiting_n > 0)
		batch_fail(s, RC_AGAIN, &e);
	s->waiting_n = s->waiting_seen = 0;
	witnesses_fail_pending(&s->witnesses, e.text);
	loop_disarm(&s->child->loop, &s->commit);
	loop_disarm(&s->child->loop, &s->publish);
	ledger_close(s->log);
	s->log = NULL;
	sealer_done(&s->sealer);
	ledger_files_done(&s->store);
}

void opening_recover(struct ledger_shell *s, const struct seen_note *seen)
{
	struct recovery *r = &s->recovery;
	struct err e = { 0 };

	log_error(
		"witness %s has cosigned %llu entries of %s that this disk, with %llu "
		"entries, does not continue: the log was truncated, changed or restored from a backup. It is not "
		"signed any further; a new log begins",
		seen->witness, (unsigned long long)seen->checkpoint.size, s->key.name,
		(unsigned long long)ledger_size(s->log));
	*r = (struct recovery){
		.pending = true, .size = ledger_size(s->log), .root = ledger_root(s->log), .seen = *seen
	};
	snprintf(r->origin, sizeof r->origin, "%s", s->key.name);
	log_end(s);
	numbers_carry_over(s);
	enum rc rc = recovery_archive(s->dir, r, clock_utc(), &s->key, &e);
	rc = rc ? rc : log_open(s, &e);
	if (rc != RC_OK) { /* the next start finds the same, and tries again */
		log_error("beginning a new log failed: %s", e.text);
		child_stop(s->child, 1);
		return;
	}
	log_error("the new log is %s; give the witnesses its verifier key (`plaingate show ledger`)",
		s->key.name);
	opening_end(s);
	witnesses_begin(&s->witnesses);
}

void opening_init(struct ledger_shell *s)
{
	s->opening_over = (struct timer){ .fn = on_opening_over, .context = s };
}
