#include "proc/ledger/shell.h"
#include "base/log.h"
#include "proc/ledger/recovery.h"

#include <stdio.h>
#include <unistd.h>

static struct ledger_shell *shell_of(struct child *c)
{
	return c->context;
}

static enum rc key_read(struct ledger_shell *s, int fd, struct err *e)
{
	uint8_t public_key[ED25519_PUBLIC_SIZE];
	char origin[NOTE_NAME_MAX];
	ssize_t n = pread(fd, s->seed, sizeof s->seed, 0);

	close(fd);
	if (n != (ssize_t)sizeof s->seed)
		return err_add(e, RC_MALFORMED, "the ledger's key file has %zd bytes, expected a seed of %zu",
			n, sizeof s->seed);
	ed25519_public(public_key, s->seed);
	s->have_key = true;
	return note_key_make(&s->key, recovery_origin(origin, public_key), NOTE_ED25519, public_key);
}

static enum rc on_resource(struct child *c, const struct msg_resource *r, int fd, struct err *e)
{
	struct ledger_shell *s = shell_of(c);

	if (r->kind == RESOURCE_LEDGER_KEY)
		return key_read(s, fd, e);
	if (r->kind != RESOURCE_LEDGER_DIR) {
		close(fd);
		return err_add(e, RC_DENIED, "resource %s is not for the ledger",
			resource_name((enum resource)r->kind));
	}
	s->dir = fd;
	return RC_OK;
}

/* One line into the open batch. RC_LIMIT: the batch is full. */
static enum rc line_add(struct ledger_shell *s, struct ledger_entry *entry, uint64_t *ret_index)
{
	char text[LEDGER_ENTRY_MAX];

	memcpy(entry->boot, s->child->start.boot_id, sizeof entry->boot);
	entry->mono_us = MAX_OF(clock_mono() / 1000, s->last_mono_us);
	s->last_mono_us = entry->mono_us;
	utc_text(entry->utc, clock_utc());
	size_t n = ledger_entry_text(text, entry);
	return n == 0 ? RC_RANGE : ledger_add(s->log, text, n, ret_index);
}

static enum rc own_add(struct ledger_shell *s, struct ledger_body *b)
{
	struct ledger_entry entry = {
		.type = b->type, .run = s->child->ledger.run, .n = s->own_n + 1, .body = b->text
	};
	uint64_t index, due;

	entry.body_n = ledger_body_done(b);
	snprintf(entry.source, sizeof entry.source, "%s", proc_name(PROC_LEDGER));
	enum rc rc = entry.body_n ? line_add(s, &entry, &index) : RC_INTERNAL;
	if (rc != RC_OK) {
		log_error("the ledger's own %s was not entered: %s", ledger_type_name(b->type), rc_text(rc));
		return rc;
	}
	s->own_n++;
	if (!ledger_counters_follow(&s->counters, &entry, &due))
		log_error("the ledger's own %s does not follow", ledger_type_name(b->type));
	return RC_OK;
}

/* No entry stands under these numbers and none will: said before anything later of that source. */
static enum rc gap_add(struct ledger_shell *s, enum proc source, uint32_t run, uint64_t first, uint64_t last,
	const char *why)
{
	struct ledger_body b;

	ledger_body_begin(&b, LEDGER_COUNTER_GAP);
	ledger_body_u64(&b, "first", first);
	ledger_body_u64(&b, "last", last);
	ledger_body_str(&b, "reason", why);
	ledger_body_u64(&b, "run", run);
	ledger_body_str(&b, "source", proc_name(source));
	return own_add(s, &b);
}

/* The one-time keys that sign the checkpoints from the next one on. */
static enum rc epoch_add(struct ledger_shell *s, const struct merkle_hash *root)
{
	char hex[2 * SHA256_SIZE + 1];
	struct ledger_body b;

	ledger_body_begin(&b, LEDGER_SEAL_EPOCH);
	ledger_body_u64(&b, "keys", SEAL_KEYS);
	ledger_body_str(&b, "root", hex_from_bytes(hex, root->b, sizeof root->b));
	return own_add(s, &b);
}

static enum rc recovery_add(struct ledger_shell *s)
{
	const struct recovery *r = &s->recovery;
	char hex[2 * SHA256_SIZE + 1], note[LEDGER_BODY_TEXT_MAX / 4] = "";
	struct ledger_body b;

	/* Whole or not at all: with each line feed escaped it must not be cut. */
	size_t lines = 0;
	for (size_t i = 0; i < r->seen.note_n; i++)
		lines += r->seen.note[i] == '\n';
	if (r->seen.note_n + lines < sizeof note)
		snprintf(note, sizeof note, "%.*s", (int)r->seen.note_n, r->seen.note);

	ledger_body_begin(&b, LEDGER_LEDGER_RECOVERY);
	ledger_body_str(&b, "archive", r->archive);
	ledger_body_str(&b, "disk_root", hex_from_bytes(hex, r->root.b, sizeof r->root.b));
	ledger_body_u64(&b, "disk_size", r->size);
	ledger_body_str(&b, "origin", r->origin);
	ledger_body_str(&b, "seen_note", note);
	ledger_body_str(&b, "seen_root",
		hex_from_bytes(hex, r->seen.checkpoint.root.b, sizeof r->seen.checkpoint.root.b));
	ledger_body_u64(&b, "seen_size", r->seen.checkpoint.size);
	ledger_body_u64(&b, "seen_time", r->seen.time_s);
	ledger_body_str(&b, "witness", r->seen.witness);
	return own_add(s, &b);
}

/* A start reads no further back than to such an entry (ledger_replay()). */
static enum rc statement_add(struct ledger_shell *s)
{
	char text[LEDGER_COUNTERS_TEXT_MAX];
	struct ledger_body b;

	ledger_counters_text(&s->counters, text);
	ledger_body_begin(&b, LEDGER_COUNTERS);
	ledger_body_str(&b, "last", text);
	enum rc rc = own_add(s, &b);
	s->stating = rc == RC_OK;
	return rc;
}

/* What stands before the first entry of a batch: that the ledger began, and what was refused before. */
static enum rc batch_begin(struct ledger_shell *s, struct err *e)
{
	struct ledger_body b;
	struct merkle_hash keys_root;
	char vkey[NOTE_VKEY_MAX];
	enum rc rc = RC_OK;

	if (ledger_batch_n(s->log) > 0)
		return RC_OK;
	/* What can fail first: else ledger_start stood there without its keys, and others behind it. */
	bool is_due = sealer_due(&s->sealer);
	if (is_due && (rc = sealer_prepare(&s->sealer, &keys_root, e)) != RC_OK)
		return err_add(e, rc, "while making one-time keys of checkpoints");
	if (!s->announced) {
		ledger_body_begin(&b, LEDGER_LEDGER_START);
		ledger_body_str(&b, "key", note_key_text(vkey, &s->key));
		ledger_body_str(&b, "origin", s->key.name);
		ledger_body_u64(&b, "recovered", s->opened.published + s->opened.journaled);
		ledger_body_u64(&b, "torn_bytes", s->opened.torn_bytes);
		rc = own_add(s, &b);
	}
	if (rc == RC_OK && s->recovery.pending)
		rc = recovery_add(s);
	if (rc == RC_OK && is_due) {
		rc = epoch_add(s, &keys_root);
		s->soon = true;
	}
	for (unsigned p = 0; p < PROC_COUNT && rc == RC_OK; p++) {
		const struct refused *r = &s->refused[p];
		uint64_t due;
		if (r->last == 0)
			continue;
		due = ledger_counters_due(&s->counters, proc_name((enum proc)p), r->run);
		if (due > 0 && due <= r->last)
			rc = gap_add(s, (enum proc)p, r->run, due, r->last, r->why);
	}
	if (rc == RC_OK && ledger_size(s->log) - s->stated >= LEDGER_COUNTERS_EVERY)
		rc = statement_add(s);
	return rc;
}

void ledger_shell_receipt(
	struct ledger_shell *s, enum proc to, uint64_t tag, const struct msg_ledger_receipt *r)
{
	enum rc rc = ipc_send_LEDGER_RECEIPT(child_link(s->child, to), tag, r);

	/* Gone (RC_IO): a stop, or it asks again when it is back. */
	if (rc != RC_OK && rc != RC_IO)
		log_warn("%s did not take its receipt: %s", proc_name(to), rc_text(rc));
}

static void refuse(struct ledger_shell *s, enum proc source, uint64_t tag, enum rc rc, const char *why)
{
	struct msg_ledger_receipt r = { .rc = (uint32_t)rc, .size = ledger_size(s->log) };

	snprintf(r.text, sizeof r.text, "%.*s", (int)sizeof r.text - 1, why);
	ledger_shell_receipt(s, source, tag, &r);
}

/* The same, for a number that is used up by it. */
static void refuse_number(struct ledger_shell *s, enum proc source, uint64_t tag, uint32_t run, uint64_t n,
	enum rc rc, const char *why)
{
	struct refused *r = &s->refused[source];

	/* Another run while the last one's refusals wait: the gap of the next append will say that they never
	 * stood. */
	if (run != r->run || n > r->last) {
		r->run = run;
		r->last = n;
		snprintf(r->why, sizeof r->why, "refused: %.*s", (int)sizeof r->why - 10, why);
	}
	refuse(s, source, tag, rc, why);
}

/* Sealed first: a checkpoint never stands without its seal. */
static enum rc seal_now(struct ledger_shell *s, struct err *e)
{
	struct checkpoint c = { .size = ledger_size(s->log), .root = ledger_root(s->log) };

	if (c.size == ledger_published(s->log) || !s->sealer.epoch)
		return RC_OK;
	memcpy(c.origin, s->key.name, sizeof c.origin);
	return sealer_seal(&s->sealer, &c, e);
}

#define TROUBLE_EVERY_NS (60 * NS_PER_S)

/* What fails each second is said when it begins, now and then, and when it is over. */
static void trouble(struct ledger_shell *s, const char *text)
{
	mono_ns now = s->child->loop.now;

	s->failures++;
	if (s->trouble_since == 0 || now - s->trouble_said >= TROUBLE_EVERY_NS) {
		log_error("no entries are taken: %s", text);
		s->trouble_said = now;
	}
	if (s->trouble_since == 0)
		s->trouble_since = now;
}

static void trouble_over(struct ledger_shell *s)
{
	if (s->trouble_since > 0)
		log_info("entries are taken again, after %llu s",
			(unsigned long long)((s->child->loop.now - s->trouble_since) / NS_PER_S));
	s->trouble_since = 0;
}

static void publish_now(struct ledger_shell *s)
{
	struct err e = { 0 };

	bool waits = ledger_size(s->log) != ledger_published(s->log);

	loop_disarm(&s->child->loop, &s->publish);
	if (seal_now(s, &e) == RC_OK && ledger_publish(s->log, &e) == RC_OK) {
		s->last_checkpoint = clock_utc();
		if (waits)
			trouble_over(s);
		s->soon = false;
		if (s->witnesses.n > 0)
			witnesses_wake(&s->witnesses);
		return;
	}
	err_add(&e, e.rc, "the entries are safe in the journal");
	trouble(s, e.text);
	loop_arm(&s->child->loop, &s->publish, PUBLISH_EVERY_NS, 0);
}

static void on_publish(struct loop *l, struct timer *t)
{
	publish_now(t->context);
	(void)l;
}

static void batch_lost(struct ledger_shell *s, enum rc rc, const struct err *e)
{
	trouble(s, e->text);
	s->counters = s->durable;
	s->own_n = s->own_durable;
	s->stating = false;
	for (size_t i = 0; i < s->waiting_n; i++) {
		const struct waiting *w = &s->waiting[i];
		refuse_number(s, w->source, w->tag, w->run, w->n, rc, e->text);
	}
}

static void batch_kept(struct ledger_shell *s)
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
			ledger_shell_receipt(s, w->source, w->tag, &r);
		else if (!witnesses_hold(&s->witnesses, w->source, w->tag, &r))
			refuse(s, w->source, w->tag, RC_LIMIT, "too many acts wait for the witnesses");
	}
}

/* When is the next checkpoint due? At once for an act that waits for it. */
static void publish_plan(struct ledger_shell *s)
{
	uint64_t size = ledger_size(s->log), published = ledger_published(s->log);
	bool soon = s->soon && s->witnesses.n > 0;
	mono_ns wait = soon ? PUBLISH_SOON_NS : PUBLISH_EVERY_NS;

	if (size == published)
		return;
	if (size - published >= PUBLISH_ENTRIES || s->witnesses.held_n > 0)
		publish_now(s);
	else if (!s->publish.armed || s->publish.at > s->child->loop.now + wait)
		loop_arm(&s->child->loop, &s->publish, wait, 0);
}

static void batch_commit(struct ledger_shell *s)
{
	struct err e = { 0 };

	loop_disarm(&s->child->loop, &s->commit);
	if (ledger_batch_n(s->log) == 0)
		return;
	enum rc rc = ledger_commit(s->log, &e);
	if (rc == RC_OK)
		batch_kept(s);
	else
		batch_lost(s, rc, &e);
	s->waiting_n = s->waiting_seen = 0;
	publish_plan(s);
}

/* While more comes in it goes into the same batch, and shares its fsync; a quiet round commits. */
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

/*
 * Is it a number that this source may use? Not one of another run: whoever is in a process could take the
 * numbers of the one that is started in its place. And none so far ahead that no number is left behind it.
 */
static bool number_claimed(
	struct ledger_shell *s, enum proc source, const struct msg_ledger_append *m, struct err *e)
{
	uint64_t due = ledger_counters_due(&s->counters, proc_name(source), m->run);

	if (m->run != s->child->runs[source])
		err_add(e, RC_DENIED, "an entry of run %u; %s is in its run %u", m->run, proc_name(source),
			s->child->runs[source]);
	else if (m->n == 0 || m->n - 1 >= NUMBER_MAX ||
		 (due > 0 && m->n > due && m->n - due > NUMBERS_AHEAD_MAX))
		err_add(e, RC_DENIED, "number %llu, where %llu is due", (unsigned long long)m->n,
			(unsigned long long)due);
	return e->rc == RC_OK;
}

/* May it be entered at all? The entry as it will stand, but for the times. */
static enum rc append_check(
	enum proc source, const struct msg_ledger_append *m, struct ledger_entry *ret, struct err *e)
{
	enum ledger_type type = (enum ledger_type)m->type;

	if (m->body_n > sizeof m->body)
		return err_add(e, RC_RANGE, "the body is longer than its room");
	if (!ledger_type_allowed(type, proc_name(source)))
		return err_add(e, RC_DENIED, "%s may not write entries of type %s", proc_name(source),
			ledger_type_name(type));
	*ret = (struct ledger_entry){
		.type = type, .run = m->run, .n = m->n, .body = m->body, .body_n = m->body_n
	};
	snprintf(ret->source, sizeof ret->source, "%s", proc_name(source));
	return ledger_body_check(type, m->body, m->body_n, e);
}

/* A number that is taken already: the same entry again, whose receipt was lost, or another one. */
static void append_passed(
	struct ledger_shell *s, enum proc source, uint64_t tag, const struct ledger_entry *entry)
{
	struct msg_ledger_receipt r = { .rc = RC_EXISTS, .size = ledger_size(s->log) };
	uint8_t said[SHA256_SIZE];
	struct merkle_hash leaf;

	ledger_said(entry->type, entry->body, entry->body_n, said);
	if (!ledger_recent_find(&s->recent[source], entry->run, entry->n, said, &r.index, &leaf)) {
		log_error("%s: number %llu of run %u is used already", proc_name(source),
			(unsigned long long)entry->n, entry->run);
		refuse(s, source, tag, RC_DENIED,
			"its number is used already, by another entry or a stated gap");
		return;
	}
	memcpy(r.leaf_hash, leaf.b, sizeof r.leaf_hash);
	snprintf(r.text, sizeof r.text, "entered already");
	ledger_shell_receipt(s, source, tag, &r);
}

/* Numbers that were left out before the entry's are stated first. */
static enum rc gap_before(
	struct ledger_shell *s, enum proc source, const struct ledger_entry *entry, uint64_t due)
{
	const struct refused *r = &s->refused[source];
	bool known = r->run == entry->run && r->last >= due && r->last < entry->n;

	if (entry->n == due)
		return RC_OK;
	return gap_add(
		s, source, entry->run, due, entry->n - 1, known ? r->why : "nothing came with these numbers");
}

static void append(struct ledger_shell *s, enum proc source, uint64_t tag, const struct msg_ledger_append *m)
{
	struct waiting *w = &s->waiting[s->waiting_n];
	struct ledger_entry entry;
	struct err e = { 0 };
	enum rc rc;

	if (!number_claimed(s, source, m, &e)) {
		log_error("refused an entry of %s: %s", proc_name(source), e.text);
		refuse(s, source, tag, RC_DENIED, e.text);
		return;
	}
	rc = append_check(source, m, &entry, &e);
	if (rc != RC_OK) {
		log_error("refused an entry of %s: %s", proc_name(source), e.text);
		refuse_number(s, source, tag, m->run, m->n, rc, e.text);
		return;
	}
	rc = batch_begin(s, &e);
	if (rc != RC_OK)
		trouble(s, e.text[0] ? e.text : "a batch could not be begun");
	uint64_t due = ledger_counters_due(&s->counters, entry.source, entry.run);
	if (due == 0 || entry.n < due) {
		append_passed(s, source, tag, &entry);
	} else {
		*w = (struct waiting){ .source = source, .tag = tag, .run = m->run, .n = m->n };
		ledger_said(entry.type, entry.body, entry.body_n, w->said);
		rc = rc ? rc : gap_before(s, source, &entry, due);
		rc = rc ? rc : line_add(s, &entry, &w->index);
		w->required = witnesses_required(&s->witnesses, entry.type);
		if (rc == RC_OK && ledger_counters_take(&s->counters, entry.source, entry.run, entry.n)) {
			s->waiting_n++;
			s->soon |= ledger_type_soon(entry.type);
		} else
			refuse_number(s, source, tag, m->run, m->n, rc,
				e.text[0] ? e.text : "the entry does not fit");
	}
	/* An entry may bring a gap with it; and batch_begin() may need one for each source. */
	if (ledger_batch_n(s->log) >= LEDGER_BATCH_MAX - PROC_COUNT - 5)
		batch_commit(s);
	else if (ledger_batch_n(s->log) > 0)
		loop_arm(&s->child->loop, &s->commit, 0, 0);
}

void ledger_shell_enter(struct ledger_shell *s, struct ledger_body *b)
{
	struct err e = { 0 };

	if (batch_begin(s, &e) == RC_OK && own_add(s, b) == RC_OK)
		loop_arm(&s->child->loop, &s->commit, 0, 0);
}

static void show(struct ledger_shell *s, uint64_t tag)
{
	struct msg_row row = { 0 };
	struct msg_result end = { 0 };
	struct merkle_hash root = ledger_root(s->log);
	char when[UTC_TEXT_MAX], vkey[NOTE_VKEY_MAX], cosigns_with[NOTE_VKEY_MAX];
	struct jw w = jw_over(row.json, sizeof row.json, true);

	jw_object(&w, NULL);
	jw_u64(&w, "commits", s->commits);
	jw_str(&w, "cosigns_with", peers_vkey(&s->peers, cosigns_with));
	jw_str(&w, "directory", s->directory);
	jw_u64(&w, "failures", s->failures);
	jw_str(&w, "last_checkpoint", s->last_checkpoint ? utc_text(when, s->last_checkpoint) : "");
	jw_str(&w, "origin", s->key.name);
	jw_u64(&w, "published", ledger_published(s->log));
	jw_hex(&w, "root", root.b, sizeof root.b);
	jw_u64(&w, "size", ledger_size(s->log));
	jw_str(&w, "vkey", note_key_text(vkey, &s->key));
	jw_end(&w);
	row.n = (uint32_t)jw_done(&w);
	ipc_send_SHOW_ROW(child_link(s->child, PROC_CONTROL), tag, &row);
	end.count = 1 + witnesses_show(&s->witnesses, tag) + peers_show(&s->peers, tag);
	ipc_send_SHOW_END(child_link(s->child, PROC_CONTROL), tag, &end);
}

static void early_keep(struct ledger_shell *s, enum proc peer, const struct ipc_frame *f)
{
	const struct msg_ledger_append *m = &f->u.LEDGER_APPEND;

	if (peer == PROC_SUPERVISOR && s->early_n < OPENING_ENTRIES)
		s->early[s->early_n++] = (struct early){ .tag = f->head.tag, .m = *m };
	else
		refuse_number(s, peer, f->head.tag, m->run, m->n, RC_AGAIN, "the witnesses are asked first");
}

/* A connection that could not be opened, a word that could not go. */
static void refused_hear(struct ledger_shell *s, enum proc by, uint64_t tag, struct msg_result *r)
{
	r->text[sizeof r->text - 1] = '\0';
	if (r->rc != RC_OK)
		witnesses_refused(&s->witnesses, by, tag, r->text);
}

static void supervisor_says(struct ledger_shell *s, struct ipc_frame *f)
{
	struct err e = { 0 };

	switch (f->head.id) {
	case IPC_WITNESSES:
		if (snapshot_evidence_check(&f->u.WITNESSES, &e) == RC_OK) {
			witnesses_configure(&s->witnesses, &f->u.WITNESSES);
			peers_configure(&s->peers, &f->u.WITNESSES);
		} else
			log_error("%s", e.text);
		break;
	case IPC_WITNESS_SOCKET:
		witnesses_connected(&s->witnesses, f->head.tag, ipc_frame_take(f));
		break;
	default:
		refused_hear(s, PROC_SUPERVISOR, f->head.tag, &f->u.WITNESS_REFUSED);
	}
}

static void cosigned_question(struct ledger_shell *s, uint64_t tag, uint64_t index)
{
	if (s->witnesses.n > 0 && ledger_size(s->log) > ledger_published(s->log))
		publish_now(s);
	cosigned_ask(&s->witnesses, tag, index);
}

static void on_message(struct child *c, enum proc peer, struct ipc_frame *f)
{
	struct ledger_shell *s = shell_of(c);

	if (f->head.id == IPC_WITNESSES || f->head.id == IPC_WITNESS_SOCKET ||
		f->head.id == IPC_WITNESS_REFUSED)
		supervisor_says(s, f);
	/* ipc/child.c hears nobody before START. Should it ever: nothing is entered, and no receipt is given.
	 */
	else if (!s->log)
		log_error("a message before the ledger was opened");
	else if (f->head.id == IPC_LEDGER_APPEND && s->opening)
		early_keep(s, peer, f);
	else if (f->head.id == IPC_LEDGER_APPEND)
		append(s, peer, f->head.tag, &f->u.LEDGER_APPEND);
	else if (f->head.id == IPC_COSIGNED_ASK && !s->opening)
		cosigned_question(s, f->head.tag, f->u.COSIGNED_ASK.index);
	else if (f->head.id == IPC_WITNESS_ANSWER)
		witnesses_answer(&s->witnesses, f->head.tag, &f->u.WITNESS_ANSWER);
	else if (f->head.id == IPC_PEER_MESSAGE)
		peers_word(&s->peers, &f->u.PEER_MESSAGE);
	else if (f->head.id == IPC_PEER_MESSAGE_TAKEN)
		refused_hear(s, PROC_IKE, f->head.tag, &f->u.PEER_MESSAGE_TAKEN);
	else if (f->head.id == IPC_SHOW)
		show(s, f->head.tag);
}

/* The counters as the log has them, so that an entry whose receipt was lost is known when it comes again. */
static void counters_recover(
	void *context, const struct ledger_entry *entry, uint64_t index, const struct merkle_hash *leaf)
{
	struct ledger_shell *s = context;
	uint8_t said[SHA256_SIZE];
	uint64_t due;

	/* The first that is read: the boot's first entry, or a statement of how the counters stood. */
	if (s->counters.n == 0 && entry->type == LEDGER_COUNTERS &&
		!ledger_counters_stated(entry, &s->counters))
		log_error("entry %llu states no counters", (unsigned long long)index);
	if (s->counters.n == 0 || entry->type == LEDGER_COUNTERS)
		s->stated = index;
	s->last_mono_us = MAX_OF(s->last_mono_us, entry->mono_us);
	if (!ledger_counters_follow(&s->counters, entry, &due))
		log_error("entry %llu does not follow; `plaingate verify ledger` says more",
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

/* A start that reads much is not killed for it. */
static void still_reading(void *context, uint64_t done, uint64_t all)
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
	s->files = store_over(&s->store, s->dir);
	s->store.progress = still_reading;
	s->store.progress_context = s;
	s->stated = 0;
	sealer_init(&s->sealer, s->dir, &s->files);
	s->announced = false;
	return ledger_open(&s->log, &s->files, &s->key, s->seed, &s->opened, e);
}

/* From here on entries are taken. */
static void opening_end(struct ledger_shell *s)
{
	/* What was refused meanwhile came behind what waits here: its gap is stated behind it. */
	struct refused *r = &s->refused[PROC_SUPERVISOR], later = *r;
	struct err e = { 0 };

	*r = (struct refused){ 0 };
	s->opening = false;
	loop_disarm(&s->child->loop, &s->opening_over);
	s->durable = s->counters;
	s->own_durable = s->own_n;
	/* A full disk at the start: up all the same, refusing, until there is room. */
	if (batch_begin(s, &e) != RC_OK) {
		err_add(&e, e.rc, "the start of the ledger could not be entered; the next entry tries again");
		trouble(s, e.text);
	}
	batch_commit(s);
	publish_now(s);
	log_info("%s: %llu entries, %llu of them from the journal", s->key.name,
		(unsigned long long)ledger_size(s->log), (unsigned long long)s->opened.journaled);
	for (size_t i = 0; i < s->early_n; i++)
		append(s, PROC_SUPERVISOR, s->early[i].tag, &s->early[i].m);
	s->early_n = 0;
	if (later.last > 0)
		*r = later;
	if (s->child->deaf)
		child_hear(s->child);
}

bool ledger_shell_opening(const struct ledger_shell *s)
{
	return s->opening;
}

void ledger_shell_settled(struct ledger_shell *s)
{
	if (s->opening && witnesses_settled(&s->witnesses))
		opening_end(s);
}

/* Without them: a witness that is away must not keep the gateway from starting. */
static void on_opening_over(struct loop *l, struct timer *t)
{
	struct ledger_shell *s = t->context;

	(void)l;
	if (!s->opening)
		return;
	log_warn("not every witness has said what it has seen of this log; going on without");
	opening_end(s);
}

static enum rc on_start(struct child *c, const struct msg_start *m, struct err *e)
{
	struct ledger_shell *s = shell_of(c);

	snprintf(s->directory, sizeof s->directory, "%.*s", (int)sizeof s->directory - 1, m->state_path);
	if (!s->have_key || s->dir < 0)
		return err_add(e, RC_NOT_FOUND, "the supervisor handed over no %s",
			s->have_key ? "directory" : "key");
	recovery_name(s->dir, &s->key);
	enum rc rc = log_open(s, e);
	rc = rc ? rc : ledger_replay(s->log, m->boot_id, counters_recover, s, e);
	if (rc == RC_OK && peers_begin(&s->peers) != RC_OK)
		rc = err_add(e, RC_INTERNAL, "derive the key of cosignatures");
	if (rc != RC_OK) {
		/* The process ends, but perhaps not before it hears what waits in its links: nothing of that
		 * may be written behind entries that were not read. */
		ledger_close(s->log);
		s->log = NULL;
		return rc;
	}
	/* It was begun, and the crash came before its first entries. */
	if (ledger_size(s->log) == 0 && recovery_recall(s->dir, &s->key, &s->recovery))
		log_warn("the log that ended, '%s', is still to be entered", s->recovery.origin);
	if (s->opened.torn_bytes > 0)
		log_warn("cut %zu bytes of a batch that nobody got a receipt for", s->opened.torn_bytes);
	if (s->witnesses.n == 0) {
		opening_end(s);
		return RC_OK;
	}
	s->opening = c->deaf = true;
	loop_arm(&c->loop, &s->opening_over, OPENING_NS, 0);
	witnesses_begin(&s->witnesses);
	return RC_OK;
}

/* ---- recovery ---- */

/* What the others have entered in this boot stands in the log that ended: their numbers go on, and the new
 * log says so. */
static void numbers_go_on(struct ledger_shell *s)
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
		snprintf(r->why, sizeof r->why, "they stand in the log before the recovery epoch");
	}
	s->counters = (struct ledger_counters){ 0 };
	s->own_n = 0;
}

static void log_end(struct ledger_shell *s)
{
	const struct err e = { .rc = RC_AGAIN, .text = "the log ends; a new one begins" };

	if (s->waiting_n > 0)
		batch_lost(s, RC_AGAIN, &e);
	s->waiting_n = s->waiting_seen = 0;
	witnesses_fail_pending(&s->witnesses, e.text);
	loop_disarm(&s->child->loop, &s->commit);
	loop_disarm(&s->child->loop, &s->publish);
	ledger_close(s->log);
	s->log = NULL;
	sealer_done(&s->sealer);
	store_done(&s->store);
}

void ledger_shell_recover(struct ledger_shell *s, const struct seen_note *seen)
{
	struct recovery *r = &s->recovery;
	struct err e = { 0 };

	log_error("witness %s has cosigned %llu entries of %s that this disk, with %llu, does not continue: "
		  "the log "
		  "was cut, changed or restored. It is not signed any further; a new log begins",
		seen->witness, (unsigned long long)seen->checkpoint.size, s->key.name,
		(unsigned long long)ledger_size(s->log));
	*r = (struct recovery){
		.pending = true, .size = ledger_size(s->log), .root = ledger_root(s->log), .seen = *seen
	};
	snprintf(r->origin, sizeof r->origin, "%s", s->key.name);
	log_end(s);
	numbers_go_on(s);
	enum rc rc = recovery_archive(s->dir, r, clock_utc(), &s->key, &e);
	rc = rc ? rc : log_open(s, &e);
	if (rc != RC_OK) { /* the next start finds the same, and tries again */
		log_error("%s; while beginning a new log", e.text);
		child_stop(s->child, 1);
		return;
	}
	log_error("the new log is %s; tell the witnesses its verifier key (`plaingate show ledger`)",
		s->key.name);
	opening_end(s);
	witnesses_begin(&s->witnesses);
}

/* The others have ended before us, and what they said last may still lie in their sockets behind the order to
 * stop. */
static void last_words(struct child *c)
{
	struct err e = { 0 };

	for (int round = 0; round < 16; round++) {
		c->loop.stop = false; /* else a round ends before the first of them */
		if (loop_once(&c->loop, 0, &e) != RC_OK)
			return;
	}
}

static void on_stop(struct child *c)
{
	struct ledger_shell *s = shell_of(c);

	if (s->log && !s->opening) {
		last_words(c);
		batch_commit(s);
		publish_now(s);
	}
	witnesses_done(&s->witnesses);
	peers_done(&s->peers);
	ledger_close(s->log);
	sealer_done(&s->sealer);
	store_done(&s->store);
	bytes_wipe(s->seed, sizeof s->seed);
}

static void on_link(struct child *c, enum proc peer)
{
	if (peer == PROC_COURIER)
		witnesses_courier(&shell_of(c)->witnesses, true);
}

static void on_link_lost(struct child *c, enum proc peer)
{
	if (peer == PROC_COURIER)
		witnesses_courier(&shell_of(c)->witnesses, false);
}

const struct child_ops ledger_shell_ops = {
	.on_resource = on_resource,
	.on_link = on_link,
	.on_link_lost = on_link_lost,
	.on_start = on_start,
	.on_message = on_message,
	.on_stop = on_stop,
};

void ledger_shell_init(struct ledger_shell *s, struct child *c)
{
	memset(s, 0, sizeof *s);
	s->child = c;
	s->dir = -1;
	s->store.journal = -1;
	s->commit = (struct timer){ .fn = on_commit, .context = s };
	s->publish = (struct timer){ .fn = on_publish, .context = s };
	s->opening_over = (struct timer){ .fn = on_opening_over, .context = s };
	witnesses_init(&s->witnesses, s);
	peers_init(&s->peers, s);
}
