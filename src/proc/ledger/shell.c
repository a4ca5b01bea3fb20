#include "proc/ledger/shell.h"
#include "base/log.h"

#include <stdio.h>
#include <unistd.h>

static struct ledger_shell *shell_of(struct child *c)
{
	return c->context;
}

static enum rc key_read(struct ledger_shell *s, int fd, struct err *e)
{
	uint8_t public_key[ED25519_PUBLIC_SIZE], hash[SHA256_SIZE];
	char id[17], origin[NOTE_NAME_MAX];
	ssize_t n = pread(fd, s->seed, sizeof s->seed, 0);

	close(fd);
	if (n != (ssize_t)sizeof s->seed)
		return err_add(e, RC_MALFORMED, "the ledger's key file has %zd bytes, expected a seed of %zu",
			n, sizeof s->seed);
	ed25519_public(public_key, s->seed);
	sha256(hash, public_key, sizeof public_key);
	/* A name that is this log's alone and says nothing about its place. */
	snprintf(origin, sizeof origin, "plaingate/ledger/%s", hex_from_bytes(id, hash, 8));
	s->have_key = true;
	return note_key_make(&s->key, origin, NOTE_ED25519, public_key);
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
static enum rc line_add(struct ledger_shell *s, enum ledger_type type, const char *source, uint64_t n,
	const char *body, size_t body_n, uint64_t *ret_index)
{
	struct ledger_entry entry = { .type = type, .n = n, .body = body, .body_n = body_n };
	char text[LEDGER_ENTRY_MAX];

	snprintf(entry.source, sizeof entry.source, "%s", source);
	memcpy(entry.boot, s->child->start.boot_id, sizeof entry.boot);
	entry.mono_us = MAX_OF(clock_mono() / 1000, s->last_mono_us);
	s->last_mono_us = entry.mono_us;
	utc_text(entry.utc, clock_utc());
	size_t text_n = ledger_entry_text(text, &entry);
	return text_n == 0 ? RC_RANGE : ledger_add(s->log, text, text_n, ret_index);
}

static enum rc own_add(struct ledger_shell *s, struct ledger_body *b)
{
	uint64_t index;
	size_t n = ledger_body_done(b);
	enum rc rc = n ? line_add(s, b->type, proc_name(PROC_LEDGER), s->own_n + 1, b->text, n, &index)
		       : RC_INTERNAL;

	s->own_n += rc == RC_OK;
	return rc;
}

/* What was refused while the disk failed stands in the log before anything else follows. */
static void failures_enter(struct ledger_shell *s)
{
	for (unsigned p = 0; p < PROC_COUNT; p++) {
		struct ledger_body b;
		if (s->refused[p] == 0)
			continue;
		ledger_body_begin(&b, LEDGER_LEDGER_FAILED);
		ledger_body_u64(&b, "count", s->refused[p]);
		ledger_body_str(&b, "source", proc_name((enum proc)p));
		ledger_body_str(&b, "why", s->why);
		if (own_add(s, &b) != RC_OK)
			log_error("the statement about %llu refused entries of %s did not fit",
				(unsigned long long)s->refused[p], proc_name((enum proc)p));
	}
}

static void receipt_send(
	struct ledger_shell *s, enum proc to, uint64_t tag, const struct msg_ledger_receipt *r)
{
	if (ipc_send_LEDGER_RECEIPT(child_link(s->child, to), tag, r) != RC_OK)
		log_warn("%s did not take its receipt", proc_name(to));
}

static void publish_now(struct ledger_shell *s)
{
	struct err e = { 0 };

	if (ledger_publish(s->log, &e) == RC_OK) {
		s->last_checkpoint = clock_utc();
		return;
	}
	s->failures++;
	log_error("%s; the entries are safe in the journal", e.text);
}

static void on_publish(struct loop *l, struct timer *t)
{
	publish_now(t->context);
	(void)l;
}

static void batch_commit(struct ledger_shell *s)
{
	struct err e = { 0 };
	enum rc rc;

	if (s->waiting_n == 0)
		return;
	rc = ledger_commit(s->log, &e);
	s->commits += rc == RC_OK;
	s->failures += rc != RC_OK;
	if (rc != RC_OK) {
		log_error("%zu entries were refused: %s", s->waiting_n, e.text);
		snprintf(s->why, sizeof s->why, "%.*s", (int)sizeof s->why - 1, e.text);
	} else {
		memset(s->refused, 0, sizeof s->refused);
	}
	for (size_t i = 0; i < s->waiting_n; i++) {
		const struct waiting *w = &s->waiting[i];
		struct msg_ledger_receipt r = { .rc = (uint32_t)rc, .size = ledger_size(s->log) };
		if (rc == RC_OK) {
			struct merkle_hash leaf = ledger_leaf(s->log, w->index);
			r.index = w->index;
			memcpy(r.leaf_hash, leaf.b, sizeof r.leaf_hash);
		} else {
			s->refused[w->source]++;
			snprintf(r.text, sizeof r.text, "%.*s", (int)sizeof r.text - 1, e.text);
		}
		receipt_send(s, w->source, w->tag, &r);
	}
	s->waiting_n = 0;
	if (ledger_size(s->log) - ledger_published(s->log) >= PUBLISH_ENTRIES)
		publish_now(s);
	else if (!s->publish.armed)
		loop_arm(&s->child->loop, &s->publish, PUBLISH_EVERY_NS, 0);
}

static void on_commit(struct loop *l, struct timer *t)
{
	batch_commit(t->context);
	(void)l;
}

static void refuse(struct ledger_shell *s, enum proc source, uint64_t tag, enum rc rc, const char *why)
{
	struct msg_ledger_receipt r = { .rc = (uint32_t)rc, .size = ledger_size(s->log) };

	snprintf(r.text, sizeof r.text, "%.*s", (int)sizeof r.text - 1, why);
	receipt_send(s, source, tag, &r);
}

static enum rc counter_take(struct ledger_shell *s, enum proc source, uint64_t n)
{
	struct ledger_counter *c = &s->counter[source];

	/* A process that was started again counts from 1; one whose ledger was started again goes on where it
	 * was. */
	if (!s->known[source] && (n == 1 || c->max == 0)) {
		memset(c, 0, sizeof *c);
		c->max = n - 1;
	}
	s->known[source] = true;
	return ledger_counter_take(c, n);
}

static void append(struct ledger_shell *s, enum proc source, uint64_t tag, const struct msg_ledger_append *m)
{
	enum ledger_type type = (enum ledger_type)m->type;
	struct err e = { 0 };
	uint64_t index;

	if (m->body_n > sizeof m->body) {
		refuse(s, source, tag, RC_RANGE, "the body is longer than its room");
		return;
	}
	if (!ledger_type_allowed(type, proc_name(source))) {
		log_error("%s may not write entries of type %s", proc_name(source), ledger_type_name(type));
		refuse(s, source, tag, RC_DENIED, "this process may not write entries of this type");
		return;
	}
	if (ledger_body_check(type, m->body, m->body_n, &e) != RC_OK) {
		log_error("%s: %s", proc_name(source), e.text);
		refuse(s, source, tag, RC_MALFORMED, e.text);
		return;
	}
	enum rc rc = counter_take(s, source, m->n);
	if (rc != RC_OK) {
		refuse(s, source, tag, rc,
			rc == RC_EXISTS ? "entered already" : "the counter leaves out too many");
		return;
	}
	if (s->waiting_n == 0)
		failures_enter(s);
	rc = line_add(s, type, proc_name(source), m->n, m->body, m->body_n, &index);
	if (rc != RC_OK) {
		s->refused[source]++;
		refuse(s, source, tag, rc, "the entry does not fit");
		return;
	}
	s->waiting[s->waiting_n++] = (struct waiting){ source, tag, index };
	/* The batch's own room, less what failures_enter() may need. */
	if (s->waiting_n >= LEDGER_BATCH_MAX - PROC_COUNT)
		batch_commit(s);
	else
		loop_arm(&s->child->loop, &s->commit, 0, 0);
}

static void show(struct ledger_shell *s, uint64_t tag)
{
	struct msg_row row = { 0 };
	struct msg_result end = { .count = 1 };
	struct merkle_hash root = ledger_root(s->log);
	char when[UTC_TEXT_MAX], vkey[NOTE_VKEY_MAX];
	struct jw w = jw_over(row.json, sizeof row.json, true);

	jw_object(&w, NULL);
	jw_u64(&w, "commits", s->commits);
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
	ipc_send_SHOW_END(child_link(s->child, PROC_CONTROL), tag, &end);
}

static void on_message(struct child *c, enum proc peer, struct ipc_frame *f)
{
	struct ledger_shell *s = shell_of(c);

	if (f->head.id == IPC_LEDGER_APPEND)
		append(s, peer, f->head.tag, &f->u.LEDGER_APPEND);
	else if (f->head.id == IPC_SHOW)
		show(s, f->head.tag);
}

/* The counters as the log has them, so that an entry whose receipt was lost is known when it comes again. */
static void counters_recover(struct ledger_shell *s)
{
	size_t cursor = 0, n;
	const uint8_t *text;
	struct ledger_entry entry;

	while (ledger_tail_next(s->log, &cursor, &text, &n)) {
		if (ledger_entry_parse(&entry, (const char *)text, n, NULL) != RC_OK ||
			memcmp(entry.boot, s->child->start.boot_id, sizeof entry.boot) != 0)
			continue;
		s->last_mono_us = MAX_OF(s->last_mono_us, entry.mono_us);
		for (unsigned p = 0; p < PROC_COUNT; p++) {
			struct ledger_counter *k = &s->counter[p];
			if (strcmp(proc_name((enum proc)p), entry.source) != 0)
				continue;
			if (entry.n == 1 || k->max == 0) {
				memset(k, 0, sizeof *k);
				k->max = entry.n - 1;
			}
			ledger_counter_take(k, entry.n);
			if (p == PROC_LEDGER)
				s->own_n = entry.n;
		}
	}
}

static enum rc on_start(struct child *c, const struct msg_start *m, struct err *e)
{
	struct ledger_shell *s = shell_of(c);
	struct ledger_opened opened;
	struct ledger_body b;
	char vkey[NOTE_VKEY_MAX];

	snprintf(s->directory, sizeof s->directory, "%.*s", (int)sizeof s->directory - 1, m->state_path);
	if (!s->have_key || s->dir < 0)
		return err_add(e, RC_NOT_FOUND, "the supervisor handed over no %s",
			s->have_key ? "directory" : "key");
	struct ledger_store store = store_over(&s->store, s->dir);
	enum rc rc = ledger_open(&s->log, &store, &s->key, s->seed, &opened, e);
	if (rc != RC_OK)
		return rc;
	if (opened.torn_bytes > 0)
		log_warn("cut %zu bytes of a batch that nobody got a receipt for", opened.torn_bytes);
	counters_recover(s);
	ledger_body_begin(&b, LEDGER_LEDGER_START);
	ledger_body_str(&b, "key", note_key_text(vkey, &s->key));
	ledger_body_str(&b, "origin", s->key.name);
	ledger_body_u64(&b, "recovered", opened.published + opened.journaled);
	rc = own_add(s, &b);
	/* A full disk at the start: up all the same, refusing, until there is room. */
	struct err why = { 0 };
	if (rc == RC_OK && ledger_commit(s->log, &why) != RC_OK) {
		log_error("%s", why.text);
		s->refused[PROC_LEDGER]++;
		snprintf(s->why, sizeof s->why, "%.*s", (int)sizeof s->why - 1, why.text);
	}
	publish_now(s);
	log_info("%s: %llu entries, %llu of them from the journal", s->key.name,
		(unsigned long long)ledger_size(s->log), (unsigned long long)opened.journaled);
	return rc;
}

static void on_link(struct child *c, enum proc peer)
{
	shell_of(c)->known[peer] = false;
}

static void on_stop(struct child *c)
{
	struct ledger_shell *s = shell_of(c);

	if (s->log) {
		batch_commit(s);
		publish_now(s);
	}
	ledger_close(s->log);
	store_done(&s->store);
	bytes_wipe(s->seed, sizeof s->seed);
}

const struct child_ops ledger_shell_ops = {
	.on_resource = on_resource,
	.on_start = on_start,
	.on_link = on_link,
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
}
