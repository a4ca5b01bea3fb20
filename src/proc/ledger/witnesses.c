#include "proc/ledger/witnesses.h"
#include "base/log.h"
#include "proc/ledger/batch.h"
#include "proc/ledger/shell.h"
#include "proc/ledger/witness_ask.h"

#include <stdio.h>
#include <unistd.h>

/* ---- answers ---- */

/* With the cosignatures of the checkpoint that is published now. */
static void checkpoint_write(struct witnesses *w)
{
	static char lines[WITNESSES_MAX * COSIGN_LINE_MAX];
	uint64_t size = ledger_published(w->shell->log);
	struct err e = { 0 };
	unsigned count = 0;
	size_t n = 0;

	for (size_t i = 0; i < w->n; i++) {
		if (size == 0 || w->peer[i].line_size != size)
			continue;
		n += (size_t)snprintf(lines + n, sizeof lines - n, "%s", w->peer[i].line);
		count++;
	}
	if (n > 0 && ledger_cosigned(w->shell->log, lines, n, count >= w->config.quorum, &e) != RC_OK)
		log_error("cosignatures cannot be written: %s", e.text);
}

static void returned_enter(const struct witness_peer *p, mono_ns silent)
{
	struct ledger_body b;

	log_info("witness %s cosigns again", p->configured->name);
	ledger_body_begin(&b, LEDGER_WITNESS_RETURNED);
	ledger_body_u64(&b, "cosigned", p->poll.cosigned);
	ledger_body_u64(&b, "silent_s", silent / NS_PER_S);
	ledger_body_str(&b, "witness", p->configured->name);
	batch_own_entry_add(p->all->shell, &b);
}

static void add_answered(struct witness_peer *p, int status, const void *body, size_t body_n)
{
	struct witnesses *w = p->all;
	mono_ns silent = witnesses_now(w) - p->poll.heard;
	struct witness_reply reply;
	struct err e = { 0 };

	witness_reply_read(
		&reply, &p->poll.key, p->sent, p->sent_n, p->poll.asked_old, status, body, body_n, &e);
	if (reply.outcome == WITNESS_OUTCOME_DISAGREES || reply.outcome == WITNESS_OUTCOME_AHEAD)
		log_error("witness %s: %s; requesting its note", p->configured->name, e.text);
	enum witness_poll_news news =
		witness_poll_answered(&p->poll, &reply, e.text, witnesses_heartbeat(w), witnesses_now(w));
	if (news == WITNESS_POLL_NO_NEWS)
		return;
	memcpy(p->line, reply.line, sizeof p->line);
	p->line_size = reply.size;
	checkpoint_write(w);
	if (news == WITNESS_POLL_RETURNED)
		returned_enter(p, silent);
}

/* Is what it has seen a prefix of our log? RC_OK; RC_DENIED: no; otherwise it cannot be decided. The journal
 * counts: each of its records has a signed checkpoint, and whoever can read it can show that to a witness before it
 * is published. */
static enum rc seen_compare(const struct ledger_log *log, const struct checkpoint *seen)
{
	struct merkle_hash root = merkle_empty();
	enum rc rc = RC_OK;

	if (seen->size > ledger_size(log))
		return RC_DENIED;
	if (seen->size > 0)
		rc = ledger_prove(log, seen->size, &root, NULL);
	return rc ? rc : merkle_equal(&root, &seen->root) ? RC_OK : RC_DENIED;
}

static void seen_answered(struct witness_peer *p, int status, const void *body, size_t body_n)
{
	struct witnesses *w = p->all;
	struct ledger_shell *s = w->shell;
	struct seen_note seen = { .note_n = body_n };
	struct err e = { 0 };
	enum rc rc = status == 200 && body_n <= sizeof seen.note
			     ? witness_seen_parse(&seen.checkpoint, &seen.time_s, &s->key, &p->poll.key, body,
				       body_n, &e)
			     : err_add(&e, RC_NOT_FOUND,
				       "it answered %d to the request for its note of this log", status);

	rc = rc ? rc : seen_compare(s->log, &seen.checkpoint);
	if (rc != RC_OK && rc != RC_DENIED) {
		if (!e.text[0])
			err_add(&e, rc, "its note cannot be compared with our tiles");
		log_error("witness %s claims to have seen another log, without proof: %s",
			p->configured->name, e.text);
		witness_poll_failed(&p->poll, e.text, witnesses_heartbeat(w), witnesses_now(w));
		return;
	}
	if (!witness_poll_seen(
		    &p->poll, seen.checkpoint.size, rc == RC_OK, witnesses_heartbeat(w), witnesses_now(w))) {
		/* It is ahead of what is published, and our disk is not behind it: the start may continue. */
		p->poll.settled |= seen.checkpoint.size > ledger_published(s->log);
		return;
	}
	if (w->seen.witness[0])
		return;
	snprintf(seen.witness, sizeof seen.witness, "%s", p->configured->name);
	memcpy(seen.note, body, body_n);
	w->seen = seen;
}

static void on_answer(struct exchange *x, int status, const void *body, size_t body_n, const char *why)
{
	struct witness_peer *p = x->context;
	struct witnesses *w = p->all;

	if (status == 0)
		witness_poll_failed(&p->poll, why, witnesses_heartbeat(w), witnesses_now(w));
	else if (p->poll.under_way == WITNESS_POLL_SEEN)
		seen_answered(p, status, body, body_n);
	else
		add_answered(p, status, body, body_n);
	if ((status == 429 || status == 503) && x->retry_s > 0)
		witness_poll_hold(&p->poll, x->retry_s, witnesses_now(w));
	witnesses_wake(w);
}

static struct witness_peer *peer_by_tag(struct witnesses *w, uint64_t tag)
{
	for (size_t i = 0; i < w->n; i++)
		if (tag != 0 && w->peer[i].exchange.tag == tag)
			return &w->peer[i];
	return NULL;
}

void witnesses_connected(struct witnesses *w, uint64_t tag, int fd)
{
	struct witness_peer *p = peer_by_tag(w, tag);

	if (p)
		exchange_connected(&p->exchange, fd);
	else
		close(fd); /* it was requested before the configuration changed, or is too late */
}

void witnesses_peer_answer(struct witnesses *w, const char *peer, const void *message, size_t n)
{
	struct rd r = rd_over(message, n);
	const uint8_t *head = rd_take(&r, 4); /* "200\n", then the body */
	int status = 0;

	for (int i = 0; head && i < 3; i++)
		status = 10 * status + (head[i] >= '0' && head[i] <= '9' ? head[i] - '0' : 1000);
	if (!head || head[3] != '\n' || status > 999)
		return;
	for (size_t i = 0; i < w->n; i++)
		if (witness_is_peer(&w->peer[i]) && strcmp(w->peer[i].configured->peer, peer) == 0)
			exchange_answered(&w->peer[i].exchange, status, 0, r.at, rd_left(&r));
}

void witnesses_answer(struct witnesses *w, uint64_t tag, const struct msg_witness_answer *m)
{
	struct witness_peer *p = peer_by_tag(w, tag);
	char why[sizeof m->why];

	if (!p || !witness_has_url(p))
		return; /* it is too late, or the configuration changed */
	snprintf(why, sizeof why, "%.*s", (int)sizeof m->why - 1, m->why);
	if (m->status == 0 || m->status > 999 || m->body_n > sizeof m->body)
		exchange_fail(&p->exchange,
			m->status == 0 ? why
				       : "malformed answer of the courier: expected a status and a body");
	else
		exchange_answered(&p->exchange, (int)m->status, m->retry_after_s, m->body, m->body_n);
}

void witnesses_courier(struct witnesses *w, bool up)
{
	for (size_t i = 0; i < w->n; i++) {
		struct witness_peer *p = &w->peer[i];
		if (!witness_has_url(p))
			continue;
		if (!up)
			exchange_fail(&p->exchange, "the courier ended; the supervisor will restart it");
		else if (p->poll.failures > 0)
			p->poll.next = MIN_OF(p->poll.next, witnesses_now(w));
	}
	witnesses_wake(w);
}

void witnesses_refused(struct witnesses *w, enum proc by, uint64_t tag, const char *why)
{
	struct witness_peer *p = peer_by_tag(w, tag);

	if (p && witness_is_peer(p) == (by == PROC_IKE))
		exchange_fail(&p->exchange, why);
}

/* ---- turns ---- */

static void missing_enter(const struct witness_peer *p)
{
	struct ledger_body b;
	uint64_t silent_s = (witnesses_now(p->all) - p->poll.heard) / NS_PER_S;

	log_error("witness %s has not cosigned for %llu s: %s", p->configured->name,
		(unsigned long long)silent_s, p->poll.error);
	ledger_body_begin(&b, LEDGER_WITNESS_MISSING);
	ledger_body_u64(&b, "cosigned", p->poll.cosigned);
	ledger_body_str(&b, "error", p->poll.error);
	ledger_body_u64(&b, "silent_s", silent_s);
	ledger_body_str(&b, "witness", p->configured->name);
	batch_own_entry_add(p->all->shell, &b);
}

static void peer_turn(struct witness_peer *p)
{
	struct witnesses *w = p->all;

	if (!w->shell->opening && witness_poll_silent(&p->poll, witnesses_heartbeat(w), witnesses_now(w)))
		missing_enter(p);
	switch (witness_poll_due(
		&p->poll, ledger_published(w->shell->log), witnesses_heartbeat(w), witnesses_now(w))) {
	case WITNESS_POLL_ADD:
		witness_ask_add(p);
		break;
	case WITNESS_POLL_SEEN:
		witness_ask_seen(p);
		break;
	case WITNESS_POLL_NONE:
		break;
	}
}

void witnesses_turn_arm(struct witnesses *w)
{
	mono_ns at = WITNESS_POLL_NEVER, now = witnesses_now(w);

	for (size_t i = 0; i < w->n; i++)
		at = MIN_OF(at, witness_poll_at(&w->peer[i].poll, ledger_published(w->shell->log),
					witnesses_heartbeat(w)));
	for (size_t i = 0; i < w->pending_n; i++)
		at = MIN_OF(at, w->pending[i].until);
	at = MIN_OF(at, cosigned_at(w));
	/* Not in this round again, whatever is due: a mistake here must not loop at full speed. */
	if (at != WITNESS_POLL_NEVER && !w->turn.armed)
		loop_arm(w->loop, &w->turn, at > now + NS_PER_MS ? at - now : NS_PER_MS, 0);
}

void witnesses_turn(struct witnesses *w)
{
	pending_acts_check(w);
	cosigned_check(w);
	for (size_t i = 0; i < w->n; i++)
		peer_turn(&w->peer[i]);
}

bool witnesses_settled(const struct witnesses *w)
{
	for (size_t i = 0; i < w->n; i++)
		if (!w->peer[i].poll.settled)
			return false;
	return !w->seen.witness[0];
}

/* ---- configuration ---- */

/* What is known of the same witness, which may have another address now, or nothing yet. */
static void peer_inherit(struct witness_peer *p, const struct witness_peer *before, size_t n)
{
	struct note_key key = p->poll.key;

	witness_poll_begin(&p->poll, &key, witnesses_now(p->all));
	for (size_t i = 0; i < n; i++) {
		const struct witness_poll *a = &before[i].poll;
		if (a->key.type != key.type ||
			memcmp(a->key.public_key, key.public_key, sizeof key.public_key) != 0 ||
			strcmp(a->key.name, key.name) != 0)
			continue;
		p->poll = *a;
		p->poll.under_way = WITNESS_POLL_NONE;
		p->poll.next = witnesses_now(p->all); /* it may have another address */
		p->poll.hold = 0;
		memcpy(p->line, before[i].line, sizeof p->line);
		p->line_size = before[i].line_size;
	}
}

/* IKE and the courier start after the ledger: its start does not wait for witnesses reached through them. */
static bool answers_later(const struct witness_peer *p)
{
	return witness_is_peer(p) || witness_has_url(p);
}

void witnesses_configure(struct witnesses *w, const struct snap_evidence *config)
{
	static struct witness_peer before[WITNESSES_MAX];
	size_t before_n = w->n;

	if (memcmp(&w->config, config, sizeof *config) == 0)
		return;
	for (size_t i = 0; i < w->n; i++)
		exchange_stop(&w->peer[i].exchange);
	memcpy(before, w->peer, sizeof before);
	w->config = *config;
	w->n = 0;
	for (uint32_t i = 0; i < config->count; i++) {
		const struct snap_witness *c = &w->config.witness[i];
		struct witness_peer *p = &w->peer[w->n];
		struct err e = { 0 };
		struct note_key key;
		enum rc rc = note_key_parse(&key, c->key, strlen(c->key), &e);
		if (rc == RC_OK && key.type != NOTE_COSIGNATURE_ED25519)
			rc = err_add(&e, RC_UNSUPPORTED, "the key has type %u, expected %u", key.type,
				NOTE_COSIGNATURE_ED25519);
		if (rc != RC_OK) { /* control lets none through; the quorum stays as it is */
			log_error("witness %s is ignored: %s", c->name, e.text);
			continue;
		}
		p->all = w;
		p->configured = c;
		p->line_size = 0;
		p->poll.key = key;
		exchange_init(&p->exchange, w->loop, on_answer, p);
		peer_inherit(p, before, before_n);
		p->poll.interval = c->interval_s * NS_PER_S;
		p->poll.settled |= answers_later(p);
		w->n++;
	}
	if (w->n + before_n > 0)
		log_info("%zu witnesses are configured, quorum %u", w->n, config->quorum);
	witnesses_wake(w);
}

void witnesses_begin(struct witnesses *w)
{
	for (size_t i = 0; i < w->n; i++) {
		struct witness_peer *p = &w->peer[i];
		struct note_key key = p->poll.key;
		exchange_stop(&p->exchange);
		witness_poll_begin(&p->poll, &key, witnesses_now(w));
		p->poll.interval = p->configured->interval_s * NS_PER_S;
		p->poll.settled = answers_later(p);
		p->line_size = 0;
	}
	w->seen.witness[0] = '\0';
	witnesses_wake(w);
}

void witnesses_init(struct witnesses *w, struct ledger_shell *s, timer_fn *on_turn)
{
	memset(w, 0, sizeof *w);
	w->shell = s;
	w->loop = &s->child->loop;
	w->turn = (struct timer){ .fn = on_turn, .context = w };
	w->config.heartbeat_s = 30;
}

void witnesses_fail_pending(struct witnesses *w, const char *why)
{
	pending_acts_fail(w, why);
	cosigned_drop(w);
}

void witnesses_done(struct witnesses *w)
{
	witnesses_fail_pending(w, "the ledger process ends");
	for (size_t i = 0; i < w->n; i++)
		exchange_stop(&w->peer[i].exchange);
	loop_disarm(w->loop, &w->turn);
	w->n = 0;
}

/* ---- show ---- */

static const char *state_of(const struct witnesses *w, const struct witness_poll *a)
{
	if (a->missing)
		return "missing";
	if (a->error[0])
		return "failing";
	return a->cosigned >= ledger_published(w->shell->log) ? "cosigned" : "asked";
}

/* The year 10000: a witness may say what it likes. */
#define COSIGNED_AT_END 253402300800u

unsigned witnesses_show(struct witnesses *w, uint64_t tag)
{
	for (size_t i = 0; i < w->n; i++) {
		const struct witness_peer *p = &w->peer[i];
		struct msg_row row = { 0 };
		struct jw j = jw_over(row.json, sizeof row.json, false);
		char at[ENDPOINT_TEXT_MAX], utc[UTC_TEXT_MAX];
		jw_object(&j, NULL);
		jw_str(&j, "witness", p->configured->name);
		jw_str(&j, "via",
			witness_is_peer(p)   ? p->configured->peer
			: witness_has_url(p) ? p->configured->url
					     : endpoint_text(at, &p->configured->at));
		jw_str(&j, "state", state_of(w, &p->poll));
		jw_u64(&j, "cosigned_size", p->poll.cosigned);
		if (p->poll.time_s > 0) {
			jw_u64(&j, "last_contact_s", (witnesses_now(w) - p->poll.heard) / NS_PER_S);
			if (p->poll.time_s < COSIGNED_AT_END)
				jw_str(&j, "cosigned_at", utc_text(utc, p->poll.time_s * 1000000));
		}
		jw_str(&j, "error", p->poll.error);
		jw_str(&j, "key", p->configured->key);
		jw_end(&j);
		row.n = (uint32_t)jw_done(&j);
		ipc_send_SHOW_ROW(child_link(w->shell->child, PROC_CONTROL), tag, &row);
	}
	return (unsigned)w->n;
}
