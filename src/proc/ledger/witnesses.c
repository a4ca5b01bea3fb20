#include "proc/ledger/witnesses.h"
#include "base/log.h"
#include "proc/ledger/shell.h"

#include <stdio.h>
#include <unistd.h>

static mono_ns heartbeat_of(const struct witnesses *w)
{
	return w->config.heartbeat_s * NS_PER_S;
}

static mono_ns now_of(const struct witnesses *w)
{
	return w->shell->child->loop.now;
}

void witnesses_wake(struct witnesses *w)
{
	loop_arm(&w->shell->child->loop, &w->turn, 0, 0);
}

/* ---- acts that wait ---- */

bool witnesses_required(const struct witnesses *w, enum ledger_type type)
{
	uint32_t bit = type == LEDGER_CONFIG_COMMIT	 ? REQUIRED_COMMIT
		       : type == LEDGER_WITNESSES_CHANGE ? REQUIRED_WITNESSES
		       : type == LEDGER_ADMIN_ACT	 ? REQUIRED_ACT
							 : 0;

	return (w->config.required & bit) != 0;
}

bool witnesses_hold(
	struct witnesses *w, enum proc source, uint64_t tag, const struct msg_ledger_receipt *receipt)
{
	if (w->held_n == HELD_MAX)
		return false;
	w->held[w->held_n++] = (struct held){
		.source = source, .tag = tag, .receipt = *receipt, .until = now_of(w) + HELD_WAIT_NS
	};
	for (size_t i = 0; i < w->n; i++)
		witness_poll_urge(&w->peer[i].poll);
	witnesses_wake(w);
	return true;
}

static unsigned cosigned_count(const struct witnesses *w, uint64_t size)
{
	const struct witness_poll *all[WITNESSES_MAX];

	for (size_t i = 0; i < w->n; i++)
		all[i] = &w->peer[i].poll;
	return witness_poll_count(all, w->n, size);
}

static const char *reason_of(const struct witness_poll *a)
{
	return a->error[0] ? a->error : "no answer";
}

/* "1 of 3 cosigned it; not: two, three (connect: Connection refused)" */
static void missing_text(const struct witnesses *w, uint64_t size, char *ret_text, size_t room)
{
	bool told[WITNESSES_MAX] = { false };
	size_t n = (size_t)snprintf(
		ret_text, room, "%u of %u cosigned it; not:", cosigned_count(w, size), w->config.quorum);
	const char *between = " ";

	for (size_t i = 0; i < w->n && n < room; i++) {
		const struct witness_poll *a = &w->peer[i].poll;
		if (told[i] || a->cosigned >= size)
			continue;
		for (size_t k = i; k < w->n && n < room; k++) {
			const struct witness_poll *b = &w->peer[k].poll;
			if (b->cosigned >= size || strcmp(reason_of(a), reason_of(b)) != 0)
				continue;
			told[k] = true;
			n += (size_t)snprintf(
				ret_text + n, room - n, "%s%s", between, w->peer[k].configured->name);
			between = ", ";
		}
		if (n < room)
			n += (size_t)snprintf(ret_text + n, room - n, " (%.60s)", reason_of(a));
	}
}

static void held_end(struct witnesses *w, size_t i, enum rc rc, const char *why)
{
	struct held h = w->held[i];

	w->held[i] = w->held[--w->held_n];
	h.receipt.rc = rc;
	snprintf(h.receipt.text, sizeof h.receipt.text, "%.*s", (int)sizeof h.receipt.text - 1, why);
	if (rc != RC_OK)
		log_warn("entry %llu of %s was not cosigned in time: %s", (unsigned long long)h.receipt.index,
			proc_name(h.source), why);
	ledger_shell_receipt(w->shell, h.source, h.tag, &h.receipt);
}

static void held_look(struct witnesses *w)
{
	char why[sizeof((struct msg_ledger_receipt *)0)->text];

	for (size_t i = w->held_n; i-- > 0;) {
		const struct held *h = &w->held[i];
		uint64_t size = h->receipt.index + 1;
		if (w->config.quorum == 0 || cosigned_count(w, size) >= w->config.quorum) {
			held_end(w, i, RC_OK, "");
		} else if (now_of(w) >= h->until) {
			missing_text(w, size, why, sizeof why);
			held_end(w, i, RC_AGAIN, why);
		}
	}
}

void witnesses_fail_pending(struct witnesses *w, const char *why)
{
	while (w->held_n > 0)
		held_end(w, w->held_n - 1, RC_AGAIN, why);
	cosigned_drop(w);
}

/* ---- questions ---- */

static void connection_ask(struct witness_peer *p, enum witness_poll_question q, uint64_t size)
{
	struct witnesses *w = p->all;
	uint64_t tag = ++w->last_tag;

	witness_poll_put(&p->poll, q, size);
	exchange_begin(&p->exchange, tag, WITNESS_POLL_WAIT_NS);
	if (ipc_send_WITNESS_CONNECT(child_link(w->shell->child, PROC_SUPERVISOR), tag, &p->configured->at) !=
		RC_OK)
		exchange_fail(&p->exchange, "the supervisor does not listen");
}

static bool is_peer(const struct witness_peer *p)
{
	return p->configured->peer[0] != '\0';
}

static bool has_url(const struct witness_peer *p)
{
	return p->configured->url[0] != '\0';
}

#define COURIER_WAIT_NS (12 * NS_PER_S) /* more than the courier takes (proc/courier/errand.h) */

/* Through the courier. body NULL: a GET. */
static void courier_ask(struct witness_peer *p, enum witness_poll_question q, uint64_t size, const char *at,
	const void *body, size_t body_n)
{
	static struct msg_witness_ask m;
	struct witnesses *w = p->all;
	uint64_t tag = ++w->last_tag;

	witness_poll_put(&p->poll, q, size);
	exchange_begin(&p->exchange, tag, COURIER_WAIT_NS);
	p->exchange.sent = body_n + 1; /* what the deadline's words are of */
	memset(&m, 0, sizeof m);
	snprintf(m.witness, sizeof m.witness, "%s", p->configured->name);
	snprintf(m.at, sizeof m.at, "%s", at);
	m.post = body != NULL;
	m.body_n = (uint32_t)body_n;
	if (body_n > sizeof m.body) {
		exchange_fail(&p->exchange, "the question is too long for the courier");
		return;
	}
	if (body)
		memcpy(m.body, body, body_n);
	if (ipc_send_WITNESS_ASK(child_link(w->shell->child, PROC_COURIER), tag, &m) != RC_OK)
		exchange_fail(&p->exchange, "the courier is not running; the supervisor will restart it");
}

/* The same through IKE: the body alone, or PEER_WITNESS_ASK_SEEN. */
static void word_ask(
	struct witness_peer *p, enum witness_poll_question q, uint64_t size, const void *word, size_t n)
{
	struct witnesses *w = p->all;
	uint64_t tag = ++w->last_tag;

	witness_poll_put(&p->poll, q, size);
	exchange_begin(&p->exchange, tag, WITNESS_POLL_WAIT_NS);
	p->exchange.sent = n;
	if (!peers_say(&w->shell->peers, tag, p->configured->peer, PEER_MESSAGE_ASK, word, n))
		exchange_fail(&p->exchange, "the question is too long for IKE, or ike is not there");
}

static struct url url_of(const struct witness_peer *p)
{
	struct url u = { .address = p->configured->at.addr, .port = p->configured->at.port };

	addr_text(u.host, &u.address);
	return u;
}

static void add_ask(struct witness_peer *p)
{
	struct ledger_shell *s = p->all->shell;
	uint64_t size = ledger_published(s->log), old;
	static char body[WITNESS_BODY_MAX];
	struct merkle_proof proof = { 0 };
	struct url url = url_of(p);
	struct merkle_hash root;
	enum rc rc = RC_OK;
	size_t head_n;
	const char *head = ledger_head(s->log, &head_n);
	bool at_address = !is_peer(p) && !has_url(p);

	old = p->poll.old_known ? MIN_OF(p->poll.old, size) : size;
	if (old > 0 && old < size)
		rc = ledger_prove(s->log, old, &root, &proof);
	size_t body_n = rc == RC_OK && head_n <= sizeof p->sent
				? witness_request_text(body, sizeof body, old, &proof, head, head_n)
				: 0;
	p->exchange.request_n = 0;
	if (body_n > 0 && at_address)
		p->exchange.request_n = http_request_text(p->exchange.request, sizeof p->exchange.request,
			&url, "/add-checkpoint", body, body_n);
	if (body_n == 0 || (at_address && p->exchange.request_n == 0)) {
		witness_poll_failed(&p->poll, "the proof from what it has seen cannot be made",
			heartbeat_of(p->all), now_of(p->all));
		return;
	}
	memcpy(p->sent, head, head_n);
	p->sent_n = head_n;
	if (is_peer(p))
		word_ask(p, WITNESS_POLL_ADD, size, body, body_n);
	else if (has_url(p))
		courier_ask(p, WITNESS_POLL_ADD, size, "/add-checkpoint", body, body_n);
	else
		connection_ask(p, WITNESS_POLL_ADD, size);
}

static void seen_ask(struct witness_peer *p)
{
	struct ledger_shell *s = p->all->shell;
	char path[WITNESS_PATH_MAX];
	struct url url = url_of(p);

	if (is_peer(p)) {
		word_ask(p, WITNESS_POLL_SEEN, ledger_published(s->log), PEER_WITNESS_ASK_SEEN,
			sizeof PEER_WITNESS_ASK_SEEN - 1);
		return;
	}
	if (has_url(p)) {
		courier_ask(p, WITNESS_POLL_SEEN, ledger_published(s->log),
			witness_monitor_path(path, s->key.name), NULL, 0);
		return;
	}
	p->exchange.request_n = http_request_text(p->exchange.request, sizeof p->exchange.request, &url,
		witness_monitor_path(path, s->key.name), NULL, 0);
	connection_ask(p, WITNESS_POLL_SEEN, ledger_published(s->log));
}

/* ---- answers ---- */

/* The lines that are of the checkpoint as it is published now. */
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
		log_error("cosignatures: %s", e.text);
}

static void back_enter(const struct witness_peer *p, mono_ns silent)
{
	struct ledger_body b;

	log_info("witness %s cosigns again", p->configured->name);
	ledger_body_begin(&b, LEDGER_WITNESS_RETURNED);
	ledger_body_u64(&b, "cosigned", p->poll.cosigned);
	ledger_body_u64(&b, "silent_s", silent / NS_PER_S);
	ledger_body_str(&b, "witness", p->configured->name);
	ledger_shell_enter(p->all->shell, &b);
}

static void add_answered(struct witness_peer *p, int status, const void *body, size_t body_n)
{
	struct witnesses *w = p->all;
	mono_ns silent = now_of(w) - p->poll.heard;
	struct witness_reply reply;
	struct err e = { 0 };

	witness_reply_read(
		&reply, &p->poll.key, p->sent, p->sent_n, p->poll.asked_old, status, body, body_n, &e);
	if (reply.outcome == WITNESS_OUTCOME_DISAGREES || reply.outcome == WITNESS_OUTCOME_AHEAD)
		log_error("witness %s: %s; its note is asked for", p->configured->name, e.text);
	enum witness_poll_news news =
		witness_poll_answered(&p->poll, &reply, e.text, heartbeat_of(w), now_of(w));
	if (news == WITNESS_POLL_NO_NEWS)
		return;
	memcpy(p->line, reply.line, sizeof p->line);
	p->line_size = reply.size;
	checkpoint_write(w);
	if (news == WITNESS_POLL_RETURNED)
		back_enter(p, silent);
}

/* Is what it has seen the beginning of what we have? RC_OK, RC_DENIED: no; else it cannot be told. The
 * journal counts: each of its records holds a signed head, and whoever can read it can show that to a witness
 * before it is published. */
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
			     : err_add(&e, RC_NOT_FOUND, "status %d for its note of this log", status);

	rc = rc ? rc : seen_compare(s->log, &seen.checkpoint);
	if (rc != RC_OK && rc != RC_DENIED) {
		if (!e.text[0])
			err_add(&e, rc, "its note cannot be compared with our tiles");
		log_error("witness %s claims to have seen another log, and does not prove it: %s",
			p->configured->name, e.text);
		witness_poll_failed(&p->poll, e.text, heartbeat_of(w), now_of(w));
		return;
	}
	if (!witness_poll_seen(&p->poll, seen.checkpoint.size, rc == RC_OK, heartbeat_of(w), now_of(w))) {
		/* It is ahead of what is published, and our disk is not behind it: a start may go on. */
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
		witness_poll_failed(&p->poll, why, heartbeat_of(w), now_of(w));
	else if (p->poll.under_way == WITNESS_POLL_SEEN)
		seen_answered(p, status, body, body_n);
	else
		add_answered(p, status, body, body_n);
	if ((status == 429 || status == 503) && x->retry_s > 0)
		witness_poll_hold(&p->poll, x->retry_s, now_of(w));
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
		close(fd); /* it was asked for before the configuration changed, or came too late */
}

void witnesses_word(struct witnesses *w, const char *peer, const void *word, size_t n)
{
	struct rd r = rd_over(word, n);
	const uint8_t *head = rd_take(&r, 4); /* "200\n", then the body */
	int status = 0;

	for (int i = 0; head && i < 3; i++)
		status = 10 * status + (head[i] >= '0' && head[i] <= '9' ? head[i] - '0' : 1000);
	if (!head || head[3] != '\n' || status > 999)
		return;
	for (size_t i = 0; i < w->n; i++)
		if (is_peer(&w->peer[i]) && strcmp(w->peer[i].configured->peer, peer) == 0)
			exchange_answered(&w->peer[i].exchange, status, 0, r.at, rd_left(&r));
}

void witnesses_answer(struct witnesses *w, uint64_t tag, const struct msg_witness_answer *m)
{
	struct witness_peer *p = peer_by_tag(w, tag);
	char why[sizeof m->why];

	if (!p || !has_url(p))
		return; /* it came too late, or the configuration changed */
	snprintf(why, sizeof why, "%.*s", (int)sizeof m->why - 1, m->why);
	if (m->status == 0 || m->status > 999 || m->body_n > sizeof m->body)
		exchange_fail(&p->exchange, m->status == 0 ? why : "the courier's answer is malformed");
	else
		exchange_answered(&p->exchange, (int)m->status, m->retry_after_s, m->body, m->body_n);
}

void witnesses_courier(struct witnesses *w, bool there)
{
	for (size_t i = 0; i < w->n; i++) {
		struct witness_peer *p = &w->peer[i];
		if (!has_url(p))
			continue;
		if (!there)
			exchange_fail(&p->exchange, "the courier ended; the supervisor will restart it");
		else if (p->poll.failures > 0)
			p->poll.next = MIN_OF(p->poll.next, now_of(w));
	}
	witnesses_wake(w);
}

void witnesses_refused(struct witnesses *w, enum proc by, uint64_t tag, const char *why)
{
	struct witness_peer *p = peer_by_tag(w, tag);

	if (p && is_peer(p) == (by == PROC_IKE))
		exchange_fail(&p->exchange, why);
}

/* ---- turns ---- */

static void missing_enter(const struct witness_peer *p)
{
	struct ledger_body b;
	uint64_t silent_s = (now_of(p->all) - p->poll.heard) / NS_PER_S;

	log_error("witness %s has not cosigned for %llu s: %s", p->configured->name,
		(unsigned long long)silent_s, p->poll.error);
	ledger_body_begin(&b, LEDGER_WITNESS_MISSING);
	ledger_body_u64(&b, "cosigned", p->poll.cosigned);
	ledger_body_str(&b, "error", p->poll.error);
	ledger_body_u64(&b, "silent_s", silent_s);
	ledger_body_str(&b, "witness", p->configured->name);
	ledger_shell_enter(p->all->shell, &b);
}

static void peer_turn(struct witness_peer *p)
{
	struct witnesses *w = p->all;

	if (!ledger_shell_opening(w->shell) && witness_poll_silent(&p->poll, heartbeat_of(w), now_of(w)))
		missing_enter(p);
	switch (witness_poll_due(&p->poll, ledger_published(w->shell->log), heartbeat_of(w), now_of(w))) {
	case WITNESS_POLL_ADD:
		add_ask(p);
		break;
	case WITNESS_POLL_SEEN:
		seen_ask(p);
		break;
	case WITNESS_POLL_NONE:
		break;
	}
}

static void turn_again(struct witnesses *w)
{
	mono_ns at = WITNESS_POLL_NEVER, now = now_of(w);

	for (size_t i = 0; i < w->n; i++)
		at = MIN_OF(at,
			witness_poll_at(&w->peer[i].poll, ledger_published(w->shell->log), heartbeat_of(w)));
	for (size_t i = 0; i < w->held_n; i++)
		at = MIN_OF(at, w->held[i].until);
	at = MIN_OF(at, cosigned_at(w));
	/* Not in this round again, whatever is due: a mistake here must not eat the processor. */
	if (at != WITNESS_POLL_NEVER && !w->turn.armed)
		loop_arm(&w->shell->child->loop, &w->turn, at > now + NS_PER_MS ? at - now : NS_PER_MS, 0);
}

static void on_turn(struct loop *l, struct timer *t)
{
	struct witnesses *w = t->context;

	(void)l;
	if (!w->shell->log)
		return;
	if (w->seen.witness[0]) {
		struct seen_note seen = w->seen;
		w->seen.witness[0] = '\0';
		ledger_shell_recover(w->shell, &seen);
		return;
	}
	held_look(w);
	cosigned_look(w);
	for (size_t i = 0; i < w->n; i++)
		peer_turn(&w->peer[i]);
	ledger_shell_settled(w->shell);
	turn_again(w);
}

bool witnesses_settled(const struct witnesses *w)
{
	for (size_t i = 0; i < w->n; i++)
		if (!w->peer[i].poll.settled)
			return false;
	return !w->seen.witness[0];
}

/* ---- who they are ---- */

/* What is known of the same witness at the same place, or nothing yet. */
static void peer_inherit(struct witness_peer *p, const struct witness_peer *before, size_t n)
{
	struct note_key key = p->poll.key;

	witness_poll_begin(&p->poll, &key, now_of(p->all));
	for (size_t i = 0; i < n; i++) {
		const struct witness_poll *a = &before[i].poll;
		if (a->key.type != key.type ||
			memcmp(a->key.public_key, key.public_key, sizeof key.public_key) != 0 ||
			strcmp(a->key.name, key.name) != 0)
			continue;
		p->poll = *a;
		p->poll.under_way = WITNESS_POLL_NONE;
		p->poll.next = now_of(p->all); /* perhaps at another address */
		p->poll.hold = 0;
		memcpy(p->line, before[i].line, sizeof p->line);
		p->line_size = before[i].line_size;
	}
}

/* There is no IKE and no courier before the ledger: the start does not wait for what they bring. */
static bool comes_later(const struct witness_peer *p)
{
	return is_peer(p) || has_url(p);
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
			rc = err_add(&e, RC_UNSUPPORTED, "a key of type %u", key.type);
		if (rc != RC_OK) { /* control lets none through; the quorum stays as it is */
			log_error("witness %s is not asked: %s", c->name, e.text);
			continue;
		}
		p->all = w;
		p->configured = c;
		p->line_size = 0;
		p->poll.key = key;
		exchange_init(&p->exchange, &w->shell->child->loop, on_answer, p);
		peer_inherit(p, before, before_n);
		p->poll.interval = c->interval_s * NS_PER_S;
		p->poll.settled |= comes_later(p);
		w->n++;
	}
	if (w->n + before_n > 0)
		log_info("%zu witnesses, quorum %u", w->n, config->quorum);
	witnesses_wake(w);
}

void witnesses_begin(struct witnesses *w)
{
	for (size_t i = 0; i < w->n; i++) {
		struct witness_peer *p = &w->peer[i];
		struct note_key key = p->poll.key;
		exchange_stop(&p->exchange);
		witness_poll_begin(&p->poll, &key, now_of(w));
		p->poll.interval = p->configured->interval_s * NS_PER_S;
		p->poll.settled = comes_later(p);
		p->line_size = 0;
	}
	w->seen.witness[0] = '\0';
	witnesses_wake(w);
}

void witnesses_init(struct witnesses *w, struct ledger_shell *s)
{
	memset(w, 0, sizeof *w);
	w->shell = s;
	w->turn = (struct timer){ .fn = on_turn, .context = w };
	w->config.heartbeat_s = 30;
}

void witnesses_done(struct witnesses *w)
{
	witnesses_fail_pending(w, "the ledger ends");
	for (size_t i = 0; i < w->n; i++)
		exchange_stop(&w->peer[i].exchange);
	loop_disarm(&w->shell->child->loop, &w->turn);
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

unsigned witnesses_show(struct witnesses *w, uint64_t tag)
{
	for (size_t i = 0; i < w->n; i++) {
		const struct witness_peer *p = &w->peer[i];
		struct msg_row row = { 0 };
		struct jw j = jw_over(row.json, sizeof row.json, false);
		char at[ENDPOINT_TEXT_MAX];
		jw_object(&j, NULL);
		jw_str(&j, "witness", p->configured->name);
		jw_str(&j, "at",
			is_peer(p)   ? p->configured->peer
			: has_url(p) ? p->configured->url
				     : endpoint_text(at, &p->configured->at));
		jw_str(&j, "state", state_of(w, &p->poll));
		jw_u64(&j, "cosigned", p->poll.cosigned);
		if (p->poll.time_s > 0)
			jw_u64(&j, "age_s", (now_of(w) - p->poll.heard) / NS_PER_S);
		jw_str(&j, "error", p->poll.error);
		jw_str(&j, "key", p->configured->key);
		jw_end(&j);
		row.n = (uint32_t)jw_done(&j);
		ipc_send_SHOW_ROW(child_link(w->shell->child, PROC_CONTROL), tag, &row);
	}
	return (unsigned)w->n;
}
