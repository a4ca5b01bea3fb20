/*
 * Administrators who come by ssh: who they are for the process `ssh`, and their sessions. sshd has proved a key; here the kernel says whose process
 * asks (its user, of a pool that no account of the machine has), and the ledger's receipt comes before the session. Without an open
 * session such a user
 * may nothing. A session ends when its administrator, its key or the process `ssh` is gone.
 */
#include "base/log.h"
#include "ledger/types.h"
#include "proc/control/control.h"
#include "proc/control/limits.h"
#include "ssh/setup.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* ---- what the process `ssh` is given ---- */

/* A key of the configuration as the process `ssh` takes it: without its comment. */
static bool key_line(char ret_line[SSH_LINE_MAX], const char *text)
{
	struct ssh_key key;

	_Static_assert(SSH_KEY_TEXT_MAX <= SSH_LINE_MAX, "every key fits");
	if (ssh_key_parse(&key, text, strlen(text), NULL, NULL, NULL) != RC_OK)
		return false;
	ssh_key_text(ret_line, &key);
	return true;
}

static uint32_t key_lines(char ret_lines[][SSH_LINE_MAX], uint32_t max, const struct admin_words *keys)
{
	uint32_t n = 0;

	for (uint32_t i = 0; i < keys->n && n < max; i++)
		n += key_line(ret_lines[n], keys->at[i]);
	return n;
}

static void setup_fill(struct ssh_setup *setup, const struct control *k)
{
	const struct administrators *a = k->running.administrators;

	memset(setup, 0, sizeof *setup);
	if (!a)
		return;
	setup->is_on = a->ssh.on;
	setup->port = a->ssh.port;
	setup->idle_s = a->ssh.idle_s;
	for (uint32_t i = 0; i < a->n && setup->accounts_n < SSH_ACCOUNTS_MAX; i++) {
		struct ssh_account *account = &setup->account[setup->accounts_n];
		uint32_t uid = ssh_uid_of(&k->ssh_uids, a->at[i].name);
		if (uid == 0)
			continue;
		setup->accounts_n++;
		account->uid = uid;
		snprintf(account->name, sizeof account->name, "%s", a->at[i].name);
		account->keys_n = key_lines(account->key, SSH_KEYS_MAX, &a->at[i].keys);
	}
	setup->authorities_n = key_lines(setup->authority, SSH_AUTHORITIES_MAX, &a->authorities);
}

bool sessions_give(struct control *k)
{
	static struct ssh_setup setup;
	struct msg_snapshot m = { .generation = k->running.generation, .bytes = sizeof setup };
	struct ipc_link *l = child_link(k->child, PROC_SSH);
	struct err e = { 0 };
	int memory;

	if (!ipc_link_up(l))
		return false;
	setup_fill(&setup, k);
	enum rc rc = snapshot_memfd(&memory, &setup, sizeof setup, &e);
	if (rc == RC_OK) {
		rc = ipc_send_SSH_SETUP(l, k->running.generation, &m, memory);
		close(memory);
	}
	if (rc != RC_OK)
		log_error("the administrators cannot be sent to ssh: %s%s", rc_text(rc), e.text);
	return rc == RC_OK;
}

void sessions_load(struct control *k)
{
	char *text = NULL;
	size_t n;
	struct err e = { 0 };
	enum rc rc = config_store_ssh_uids_read(k->config_dir, &text, &n, &e);

	if (rc == RC_OK)
		rc = ssh_uids_read(&k->ssh_uids, text, &e);
	if (rc != RC_OK && rc != RC_NOT_FOUND)
		log_warn("the users of administrators who come by ssh are given anew: %s", e.text);
	free(text);
}

/* ---- sessions ---- */

/* n: octets of the fingerprint. */
static bool is_one_of(const char *fingerprint, size_t n, const struct admin_words *keys)
{
	char own[SSH_FINGERPRINT_SIZE];
	struct ssh_key key;

	for (uint32_t i = 0; i < keys->n; i++)
		if (ssh_key_parse(&key, keys->at[i], strlen(keys->at[i]), NULL, NULL, NULL) == RC_OK &&
			strlen(ssh_key_fingerprint(own, &key)) == n && memcmp(own, fingerprint, n) == 0)
			return true;
	return false;
}

/* Why this session is not, or no longer, permitted; NULL: it is. */
static const char *objection(const struct client *c)
{
	const struct control *k = c->control;
	const struct administrators *a = k->running.administrators;
	const char *name = ssh_uid_name(&k->ssh_uids, c->uid);
	const struct administrator *one = name ? administrator_named(a, name) : NULL;
	const char *key = c->session.key, *of = strstr(key, SSH_CERTIFICATE_OF);

	if (!one || !a->ssh.on)
		return "the configuration has no such administrator any more";
	if (c->session.name[0] && strcmp(c->session.name, name) != 0)
		return "this user is another administrator's by now";
	if (of) {
		of += strlen(SSH_CERTIFICATE_OF);
		return is_one_of(of, strcspn(of, ")"), &a->authorities)
			       ? NULL
			       : "the configuration does not have the authority of this certificate any more";
	}
	return is_one_of(key, strlen(key), &one->keys)
		       ? NULL
		       : "the configuration does not have this administrator's key any more";
}

static void entry_of_session(struct ledger_body *b, const struct client *c, enum ledger_type type)
{
	ledger_body_begin(b, type);
	ledger_body_str(b, "admin", c->session.name);
}

static void logout_enter(struct client *c)
{
	static struct ledger_body b;

	entry_of_session(&b, c, LEDGER_ADMIN_LOGOUT);
	ledger_body_str(&b, "reason", c->session.reason[0] ? c->session.reason : "it was left");
	ledger_body_u64(&b, "session", c->session.number);
	ledger_body_u64(&b, "unentered", c->session.unentered);
	if (entry_send(c->control, LEDGER_ASYNC, &b, NULL, 0))
		log_error("the end of a session of '%s' cannot be entered in the ledger", c->session.name);
	c->session.open = false;
}

void session_forget(struct client *c)
{
	if (c->session.open)
		logout_enter(c);
}

static void session_end(struct client *c, const char *why)
{
	snprintf(c->session.reason, sizeof c->session.reason, "%s", why);
	session_forget(c);
	client_end(c, RC_DENIED, 0, "%s", why);
}

static void sessions_follow(struct control *k)
{
	for (size_t i = 0; i < CLIENTS_MAX; i++) {
		struct client *c = &k->clients[i];
		const char *why = c->work == CLIENT_SESSION || c->work == CLIENT_LOGIN ? objection(c) : NULL;
		if (why)
			session_end(c, why);
	}
}

void sessions_configure(struct control *k)
{
	static char before[SSH_UIDS_TEXT_MAX], text[SSH_UIDS_TEXT_MAX];
	size_t before_n = ssh_uids_write(before, &k->ssh_uids);

	ssh_uids_assign(&k->ssh_uids, k->running.administrators);
	size_t n = ssh_uids_write(text, &k->ssh_uids);
	if (n != before_n || memcmp(before, text, n) != 0)
		config_store_ssh_uids_write(k->config_dir, text, n);
	sessions_follow(k);
}

void sessions_lost(struct control *k)
{
	for (size_t i = 0; i < CLIENTS_MAX; i++)
		if (k->clients[i].work == CLIENT_SESSION)
			session_end(&k->clients[i], "the process ssh has ended: log in again");
}

static const char *role_of(const struct client *c)
{
	const struct administrators *a = c->control->running.administrators;

	const struct administrator *one = administrator_named(a, c->session.name);

	return one ? role_word(a, one->role) : "none";
}

static void on_receipt(void *context, uint64_t cookie, const struct msg_ledger_receipt *r)
{
	struct control *k = ((struct child *)context)->context;
	struct client *c = client_by_tag(k, cookie, CLIENT_LOGIN);
	struct msg_row row = { 0 };

	if (!c)
		return; /* it has gone, or was ended: nobody was let in */
	if (r->rc != RC_OK) {
		client_end(c, RC_DENIED, 0, "the ledger did not enter the login: %s", r->text);
		return;
	}
	struct jw w = jw_over(row.json, sizeof row.json, false);
	char waits[UNCONFIRMED_TEXT_MAX];
	unconfirmed_text(k, waits);
	if (waits[0])
		client_warning(c, waits); /* ahead of what begins the shell */
	jw_object(&w, NULL);
	jw_str(&w, "name", c->session.name);
	jw_str(&w, "role", role_of(c));
	jw_end(&w);
	row.n = (uint32_t)jw_done(&w);
	c->work = CLIENT_SESSION;
	c->session.open = true;
	c->session.since = clock_utc();
	client_row(c, &row);
}

void sessions_tell(struct control *k, const char *except, const char *text)
{
	for (size_t i = 0; i < CLIENTS_MAX && text[0]; i++)
		if (k->clients[i].work == CLIENT_SESSION &&
			!speakers_are_one(except, k->clients[i].session.name))
			client_warning(&k->clients[i], text);
}

static unsigned sessions_of(const struct control *k, uint32_t uid)
{
	unsigned n = 0;

	for (size_t i = 0; i < CLIENTS_MAX; i++)
		n += (k->clients[i].work == CLIENT_SESSION || k->clients[i].work == CLIENT_LOGIN) &&
		     (uid == 0 || k->clients[i].uid == uid);
	return n;
}

static enum rc login_enter(struct client *c)
{
	static struct ledger_body b;
	char source[ADDR_TEXT_MAX] = "";

	if (c->request.from.remote.family != ADDR_NONE)
		addr_text(source, &c->request.from.remote);
	snprintf(c->session.source, sizeof c->session.source, "%s", source);
	entry_of_session(&b, c, LEDGER_ADMIN_LOGIN);
	ledger_body_str(&b, "key", c->session.key);
	ledger_body_str(&b, "role", role_of(c));
	ledger_body_u64(&b, "session", c->session.number);
	ledger_body_str(&b, "source", source);
	return entry_send(c->control, LEDGER_GATE, &b, on_receipt, c->tag);
}

void session_begin(struct client *c)
{
	struct control *k = c->control;
	const char *name = ssh_uid_name(&k->ssh_uids, c->uid), *why;

	if (!ssh_uid_is_ours(c->uid) || !name || !k->running.administrators) {
		client_end(c, RC_DENIED, 0, "only an administrator who came by ssh has a session");
		return;
	}
	if (sessions_of(k, c->uid) >= LOGINS_EACH_MAX || sessions_of(k, 0) >= LOGINS_MAX) {
		client_end(c, RC_LIMIT, 0,
			"there are %d sessions of one administrator or %d of all: end one first",
			LOGINS_EACH_MAX, LOGINS_MAX);
		return;
	}
	c->session = (struct session){ .number = ++k->sessions_n };
	snprintf(c->session.name, sizeof c->session.name, "%s", name);
	snprintf(c->session.key, sizeof c->session.key, "%.*s", (int)sizeof c->session.key - 1,
		c->request.comment);
	if ((why = objection(c))) {
		client_end(c, RC_DENIED, 0, "%s", why);
		return;
	}
	c->tag = k->next_tag++;
	c->work = CLIENT_LOGIN;
	if (login_enter(c))
		client_end(c, RC_DENIED, 0, "the ledger is not running, so nobody is let in");
}

static struct client *session_of(struct control *k, uint32_t uid)
{
	for (size_t i = 0; i < CLIENTS_MAX; i++)
		if (k->clients[i].work == CLIENT_SESSION && k->clients[i].uid == uid)
			return &k->clients[i];
	return NULL;
}

static const char *request_words(const struct msg_cli_request *q)
{
	static const char *const tables[] = {
#define E(id, word, owner, text) [SHOW_##id] = "show " word,
		SHOW_TABLES(E)
#undef E
			[SHOW_TEST_POLICY] = "test policy",
	};

	switch (q->command) {
	case CLI_SHOW:
		return q->show.table < COUNT_OF(tables) ? tables[q->show.table] : "show";
	case CLI_CHECK:
		return "check";
	case CLI_CONFIG:
		return "show configuration";
	case CLI_PROPOSAL:
		return "commit text";
	default:
		return NULL; /* what acts has an entry of its own, before it acts */
	}
}

/* What only looks is entered beside it, at a bounded rate. */
static void command_enter(struct client *session, const struct msg_cli_request *q)
{
	static struct ledger_body b;
	const char *words = request_words(q);
	mono_ns now = session->control->child->loop.now;

	if (!words)
		return;
	if (now - session->session.minute >= 60 * NS_PER_S) {
		session->session.minute = now;
		session->session.in_minute = 0;
	}
	if (session->session.in_minute >= COMMANDS_EACH_MINUTE) {
		session->session.unentered++;
		return;
	}
	session->session.in_minute++;
	entry_of_session(&b, session, LEDGER_ADMIN_COMMAND);
	ledger_body_str(&b, "command", words);
	ledger_body_u64(&b, "session", session->session.number);
	ledger_body_u64(&b, "unentered", session->session.unentered);
	if (entry_send(session->control, LEDGER_ASYNC, &b, NULL, 0) == RC_OK)
		session->session.unentered = 0;
}

bool session_admits(struct client *c)
{
	struct client *session = ssh_uid_is_ours(c->uid) ? session_of(c->control, c->uid) : NULL;

	if (!ssh_uid_is_ours(c->uid))
		return true;
	if (session)
		command_enter(session, &c->request);
	return session != NULL;
}

/* ---- show system users ---- */

void sessions_show(struct client *to)
{
	const struct control *k = to->control;
	uint32_t rows = 0;

	for (size_t i = 0; i < CLIENTS_MAX; i++) {
		const struct client *c = &k->clients[i];
		struct msg_row row = { 0 };
		struct jw w = jw_over(row.json, sizeof row.json, false);
		char since[UTC_TEXT_MAX];
		if (c->work != CLIENT_SESSION || (to->request.show.limit && rows >= to->request.show.limit))
			continue;
		jw_object(&w, NULL);
		jw_u64(&w, "session", c->session.number);
		jw_str(&w, "name", c->session.name);
		jw_str(&w, "role", role_of(c));
		jw_str(&w, "since", utc_text(since, c->session.since));
		jw_str(&w, "source", c->session.source);
		jw_str(&w, "key", c->session.key);
		jw_end(&w);
		row.n = (uint32_t)jw_done(&w);
		if (row.n > 0)
			client_row(to, &row);
		rows++;
	}
	client_end(to, RC_OK, rows, "%s", "");
}
