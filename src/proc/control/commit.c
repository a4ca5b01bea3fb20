/*
 * A commit: the text is read, parsed and compiled (nothing has changed yet); entered in the ledger, whose
 * receipt is awaited; stored durably; given to every process; answered when all that run have taken it.
 * Whatever fails before the distribution leaves the old configuration running and on disk. One at a time.
 */
#include "base/json.h"
#include "base/log.h"
#include "model/warnings.h"
#include "proc/control/control.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>

static void commit_over(struct control *k)
{
	running_done(&k->commit.next);
	k->commit = (struct commit){ .next.memory = -1 };
}

/* Nothing has changed; the refusal is entered and told. */
static void commit_refuse(struct control *k, enum rc rc, const char *why)
{
	struct commit *m = &k->commit;

	assert(m->under_way);
	entry_config_refused(k, m->client, m->next.text ? m->next.sha256 : NULL, m->next.generation, why);
	if (m->client)
		client_end(m->client, rc, 0, "%s", why);
	commit_over(k);
}

static void names_of(char *ret_text, size_t size, uint32_t procs)
{
	size_t n = 0;

	ret_text[0] = '\0';
	for (unsigned i = 0; i < PROC_COUNT; i++) {
		if ((procs & 1u << i) && n < size)
			n += (size_t)snprintf(
				ret_text + n, size - n, "%s%s", n ? ", " : "", proc_name((enum proc)i));
	}
}

void commit_finish(struct control *k)
{
	struct commit *m = &k->commit;
	char silent[100], took[100], until[UTC_TEXT_MAX], restores[UTC_TEXT_MAX + 120] = "";
	unsigned long long generation = k->running.generation;

	if (!m->under_way || m->next.text)
		return; /* the receipt is still awaited */
	names_of(silent, sizeof silent, k->asked & ~k->taken);
	names_of(took, sizeof took, k->taken);
	if (k->unconfirmed.pending)
		snprintf(restores, sizeof restores,
			"; unless 'plaingate confirm' is run by %.19sZ, the configuration from before the "
			"unconfirmed commit is restored",
			utc_text(until, k->unconfirmed.deadline));
	if (m->client && k->refusal[0])
		client_end(m->client, RC_INTERNAL, 0, "generation %llu is committed, but refused by %s",
			generation, k->refusal);
	else if (m->client && silent[0])
		client_end(m->client, RC_AGAIN, 0,
			"generation %llu is committed, but %s did not take it in time", generation, silent);
	else if (m->client)
		client_end(m->client, RC_OK, 0, "generation %llu is running (loaded by %s)%s", generation,
			took[0] ? took : "no process yet", restores);
	commit_over(k);
}

/* RC_AGAIN: it is in the ledger, but the witnesses that the running configuration requires did not cosign
 * it. */
static bool commit_receipt_refuses(struct control *k, const struct msg_ledger_receipt *r)
{
	struct err e = { 0 };

	if (r->rc == RC_OK)
		return false;
	err_add(&e, RC_DENIED, "%s, so nothing is changed: %.*s",
		r->rc == RC_AGAIN ? "the witnesses did not cosign the commit"
				  : "the ledger did not enter the commit",
		(int)sizeof r->text, r->text);
	commit_refuse(k, RC_DENIED, e.text);
	return true;
}

/* The entry is durable: from here on the new text applies. */
static void on_commit_receipt(void *context, uint64_t cookie, const struct msg_ledger_receipt *r)
{
	struct child *child = context;
	struct control *k = child->context;
	struct commit *m = &k->commit;
	struct err e = { 0 };

	if (!m->under_way || m->cookie != cookie)
		return;
	if (commit_receipt_refuses(k, r))
		return;
	/* Where one is unconfirmed already, what it restores is on the disk: the deadline of this one is written
	 * after its text, so that a commit that fails extends nothing. */
	bool begins = m->confirm_minutes && !k->unconfirmed.pending, extends = m->confirm_minutes && !begins;
	if ((begins && unconfirmed_begin(k, m->confirm_minutes, m->who, &e)) ||
		config_store_write(k->config_dir, &m->next, &k->running, &e)) {
		if (begins)
			unconfirmed_end_logged(k);
		err_add(&e, RC_IO, "so nothing is changed");
		commit_refuse(k, e.rc, e.text);
		return;
	}
	history_note(k, m, r->index);
	running_done(&k->running);
	k->running = m->next;
	m->next = (struct running){ .memory = -1 };
	authorize_again(k);
	proposals_committed(k, m->proposal);
	if (m->restores)
		unconfirmed_end_logged(k);
	else if (extends && unconfirmed_begin(k, m->confirm_minutes, m->who, &e))
		log_warn("%s; the deadline of the unconfirmed commit before it is kept", e.text);
	char waits[UNCONFIRMED_TEXT_MAX];
	unconfirmed_text(k, waits);
	if (m->confirm_minutes)
		sessions_tell(k, m->who, waits);
	if (m->restores)
		sessions_tell(k, "", m->comment);
	if (m->restores)
		log_info("generation %llu restores the configuration from before the unconfirmed commit",
			(unsigned long long)k->running.generation);
	else
		log_info("generation %llu was committed by %s", (unsigned long long)k->running.generation,
			m->who);
	distribute_all(k, TAKEN_WAIT_NS);
	if (distribute_complete(k))
		commit_finish(k);
}

static void commit_enter(struct control *k)
{
	entry_config_overrides(k, &k->commit);
	entry_config_certificates(k, &k->commit.next);
	if (entry_config_signatures(k, &k->commit) || entry_config_commit(k, &k->commit, on_commit_receipt))
		commit_refuse(k, RC_DENIED, "the ledger is not running, so nothing is changed");
}

/* First that the witnesses change, by the rules of the old ones. */
static void on_witnesses_receipt(void *context, uint64_t cookie, const struct msg_ledger_receipt *r)
{
	struct child *child = context;
	struct control *k = child->context;

	if (k->commit.under_way && k->commit.cookie == cookie && !commit_receipt_refuses(k, r))
		commit_enter(k);
}

static void fault_row(struct client *c, const struct fault *f)
{
	struct msg_row row = { 0 };
	struct jw w = jw_over(row.json, sizeof row.json, false);

	jw_object(&w, NULL);
	if (f->line > 0) {
		jw_u64(&w, "line", f->line);
		jw_u64(&w, "column", f->column);
	}
	jw_str(&w, "text", f->text);
	jw_end(&w);
	row.n = (uint32_t)jw_done(&w);
	if (row.n > 0)
		client_row(c, &row);
}

/* All faults of the text: the answer itself has room for the first ones only. */
static void faults_rows(struct client *c, const struct faults *f)
{
	struct fault more = { 0 };

	for (unsigned i = 0; i < f->n; i++)
		fault_row(c, &f->at[i]);
	faults_more_text(more.text, f, f->more);
	if (f->more)
		fault_row(c, &more);
}

/* Reads and compiles into r; e says what is wrong, for the person. */
static enum rc prepare(struct client *c, struct running *r, struct err *e)
{
	struct faults faults = { 0 };
	const char *name = c->request.name[0] ? c->request.name : "configuration";
	char *text = NULL;
	size_t n = 0;
	enum rc rc = client_memory_read(c, &text, &n, e);

	r->generation = c->control->running.generation + 1;
	if (!rc)
		rc = running_compile(c->control, r, text, n, name,
			config_store_is_history(name) ? CERTIFICATES_HISTORY : CERTIFICATES_FILES, &faults,
			e);
	faults_rows(c, &faults);
	if (!rc && config_store_is_history(name) && r->certificates)
		client_warning(c,
			r->certificates_kept
				? "the certificates are those that ran with this text, and not those of the directory: "
				  "commit a copy of it under another name to take these"
				: "the certificates that ran with this text are not kept, and those of the directory are "
				  "taken");
	return rc;
}

static void check_judged(struct control *k, struct client *c)
{
	const struct err *fault = &c->judgement.fault;

	client_end(c, fault->rc, 0, "%s", fault->rc ? fault->text : "the configuration is valid");
}

void commit_check(struct client *c)
{
	struct running r = { .memory = -1 };
	struct err e = { 0 };
	enum rc rc = prepare(c, &r, &e);

	if (!rc && !(c->request.flags & COMMIT_CLOSE_ALL))
		rc = snapshot_check_not_closed(r.block, c->request.name, &e);
	c->work = CLIENT_CHECK;
	if (rc)
		client_end(c, rc, 0, "%s", e.text);
	else if (!certifiers_ask(c->control, &c->judgement, &r, c, check_judged))
		check_judged(c->control, c);
	running_done(&r); /* those who are asked have the memory */
}

/* A text that was made from another one than runs now would take back what was committed meanwhile. */
static bool base_is_old(const struct client *c)
{
	const struct running *r = &c->control->running;

	return c->request.flags & COMMIT_BASE && memcmp(c->request.base, r->sha256, sizeof r->sha256) != 0;
}

/* It is compiled: now the ledger. */
static void commit_go(struct control *k)
{
	struct commit *m = &k->commit;

	if (!evidence_changes(k, &m->next))
		commit_enter(k);
	else if (entry_witnesses_change(k, m, on_witnesses_receipt))
		commit_refuse(k, RC_DENIED, "the ledger is not running, so nothing is changed");
}

/* The configuration is good; whether it needs signatures is the running one's matter. */
static void commit_decide(struct control *k)
{
	struct commit *m = &k->commit;
	struct admin_words paths = { 0 };
	uint32_t required = 0;
	struct err e = { 0 };
	enum rc rc = m->proposal ? RC_OK
				 : proposals_needed(k, m->next.text, m->next.n, m->next.certificates_sha256,
					   &paths, &required, &e);

	admin_words_done(&paths);
	if (rc) {
		commit_refuse(k, rc, e.text);
	} else if (required == 0) {
		commit_go(k);
	} else {
		if (m->client)
			proposals_add(k, m, m->client, required);
		commit_over(k);
	}
}

static void commit_judged(struct control *k, struct client *c)
{
	struct commit *m = &k->commit;

	if (m->judgement.fault.rc != RC_OK)
		commit_refuse(k, m->judgement.fault.rc, m->judgement.fault.text);
	else
		commit_decide(k);
}

/* Compiled, and not refused: warnings, the certifiers, the ledger. */
static void commit_proceed(struct control *k, struct client *c)
{
	struct commit *m = &k->commit;

	if (k->running.block)
		snapshot_change_warnings(k->running.block, m->next.block, client_warning, c);
	if (!certifiers_ask(k, &m->judgement, &m->next, c, commit_judged))
		commit_decide(k);
}

void commit_signed(struct client *c, const struct proposal *p, char *text, size_t n)
{
	struct control *k = c->control;
	struct commit *m = &k->commit;
	struct faults faults = { 0 };
	struct err e = { 0 };
	enum rc rc = unconfirmed_admits(k, c->who, true, &e);

	assert(!m->under_way);
	if (rc) {
		free(text);
		client_end(c, rc, 0, "%s", e.text);
		return;
	}
	*m = (struct commit){
		.under_way = true, .client = c, .cookie = k->next_tag++, .uid = c->uid, .next.memory = -1
	};
	m->proposal = p->id;
	m->signatures_n = p->signed_by.n;
	m->options = p->statement.options;
	memcpy(m->signature, p->signature, sizeof m->signature);
	memcpy(m->comment, p->comment, sizeof m->comment);
	memcpy(m->who, c->who, sizeof m->who);
	m->confirm_minutes = p->statement.confirm_minutes;
	m->next.generation = k->running.generation + 1;
	c->work = CLIENT_COMMIT;
	c->request.flags = p->flags;
	memcpy(c->request.name, p->name, sizeof c->request.name);
	rc = running_compile(k, &m->next, text, n, p->name,
		config_store_is_history(p->name) ? CERTIFICATES_HISTORY : CERTIFICATES_FILES, &faults, &e);
	k->child->loop.now = clock_mono();
	faults_rows(c, &faults);
	if (!rc && memcmp(m->next.sha256, p->statement.text, sizeof m->next.sha256) != 0)
		rc = err_add(&e, RC_MALFORMED,
			"proposal %llu is damaged on the disk: its text is another one",
			(unsigned long long)p->id);
	if (!rc && memcmp(m->next.certificates_sha256, p->statement.certificates,
			   sizeof p->statement.certificates) != 0)
		rc = err_add(&e, RC_STALE,
			"the certificates in the directory are not those any more that were signed with proposal %llu: put them back, or commit again",
			(unsigned long long)p->id);
	if (!rc)
		rc = guards_check(m, &k->running, c, &e);
	if (rc)
		commit_refuse(k, rc, e.text);
	else
		commit_proceed(k, c);
}

void commit_begin(struct client *c)
{
	struct control *k = c->control;
	struct commit *m = &k->commit;
	struct err e = { 0 };
	enum rc rc;

	if (m->under_way) {
		client_end(c, RC_AGAIN, 0, "another commit is in progress");
		return;
	}
	if (base_is_old(c)) {
		client_end(c, RC_STALE, 0,
			"another configuration has been committed since this candidate was begun (generation %llu runs now): nothing is changed",
			(unsigned long long)k->running.generation);
		return;
	}
	if (unconfirmed_admits(k, c->who, false, &e)) {
		client_end(c, e.rc, 0, "%s", e.text);
		return;
	}
	*m = (struct commit){
		.under_way = true, .client = c, .cookie = k->next_tag++, .uid = c->uid, .next.memory = -1
	};
	memcpy(m->comment, c->request.comment, sizeof m->comment);
	memcpy(m->who, c->who, sizeof m->who);
	m->confirm_minutes = MIN_OF(c->request.confirm_minutes, CONFIRM_MINUTES_MAX);
	c->work = CLIENT_COMMIT;
	rc = prepare(c, &m->next, &e);
	k->child->loop.now =
		clock_mono(); /* a large text has taken its time: who is asked now has all of theirs */
	if (!rc)
		rc = authorize_commit(c, &m->next, &e);
	if (!rc)
		rc = guards_check(m, &k->running, c, &e);
	if (rc) {
		commit_refuse(k, rc, e.text);
		return;
	}
	commit_proceed(k, c);
}

void commit_restore(struct control *k, char *text, size_t n)
{
	struct commit *m = &k->commit;
	struct faults faults;
	struct err e = { 0 };

	assert(!m->under_way);
	*m = (struct commit){
		.under_way = true, .restores = true, .cookie = k->next_tag++, .next.memory = -1
	};
	snprintf(m->comment, sizeof m->comment, "generation %llu was not confirmed within %u min",
		(unsigned long long)k->running.generation, k->unconfirmed.minutes);
	m->next.generation = k->running.generation + 1;
	enum rc rc =
		running_compile(k, &m->next, text, n, "unconfirmed", CERTIFICATES_UNCONFIRMED, &faults, &e);
	k->child->loop.now = clock_mono();
	if (rc)
		commit_refuse(k, e.rc, e.text);
	else
		commit_go(k);
}

void commit_forget(struct client *c)
{
	if (c->control->commit.client == c)
		c->control->commit.client = NULL;
}

void commit_tick(struct control *k)
{
	if (k->commit.under_way && !k->commit.next.text && k->child->loop.now >= k->taken_deadline)
		commit_finish(k);
}
