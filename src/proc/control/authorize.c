/*
 * Who speaks, and whether that is permitted: before anything else is done with a request. The kernel has said which user is at the other end; the
 * configuration that runs says who that is and what the role permits (admin/). A commit is judged by what runs, never by what it brings: nobody
 * raises the own role. It is the statements that differ which count, wherever the text came from: an editor, a file, the history.
 */
#include "base/log.h"
#include "model/difference.h"
#include "proc/control/control.h"

#include <stdio.h>
#include <string.h>

static const char *const tables[] = {
#define E(id, word, owner, text) [SHOW_##id] = "show " word,
	SHOW_TABLES(E)
#undef E
		[SHOW_TEST_POLICY] = "test policy",
};

static const enum admin_act acts[] = {
	[CLI_CHECK] = ADMIN_CHECK,
	[CLI_COMMIT] = ADMIN_COMMIT,
	[CLI_CLEAR_SESSIONS] = ADMIN_CLEAR_SESSIONS,
	[CLI_CLEAR_HIT_COUNT] = ADMIN_CLEAR_HIT_COUNT,
	[CLI_TRACE] = ADMIN_TRACE,
	[CLI_CONFIG] = ADMIN_CONFIGURATION,
	[CLI_CONFIRM] = ADMIN_CONFIRM,
	[CLI_CAPTURE] = ADMIN_CAPTURE,
	[CLI_PROPOSAL] = ADMIN_CONFIGURATION,
	[CLI_SIGN] = ADMIN_COMMIT, /* whose signature it is, the key says */
	[CLI_WITHDRAW] = ADMIN_COMMIT,
};

static const enum admin_act ike_acts[] = {
	[IKE_INITIATE] = ADMIN_VPN_UP,
	[IKE_REKEY_IKE] = ADMIN_VPN_REKEY,
	[IKE_REKEY_CHILD] = ADMIN_VPN_REKEY_CHILD,
	[IKE_TERMINATE] = ADMIN_VPN_DOWN,
	[IKE_REAUTHENTICATE] = ADMIN_VPN_REKEY,
	[IKE_REDIRECT] = ADMIN_VPN_REDIRECT,
};

/* As a role names it; what does not exist is permitted to nobody but root, who is told. */
static const char *request_words(const struct msg_cli_request *q)
{
	if (q->command == CLI_SHOW && q->show.table < COUNT_OF(tables))
		return tables[q->show.table];
	if (q->command == CLI_IKE && q->ike_command < COUNT_OF(ike_acts))
		return admin_acts[ike_acts[q->ike_command]];
	if (q->command < COUNT_OF(acts) && q->command != CLI_SHOW && q->command != CLI_IKE)
		return admin_acts[acts[q->command]];
	return "an unknown request";
}

static void speaker_set(struct client *c)
{
	const struct control *k = c->control;

	c->speaker = speaker_of(k->running.administrators, &k->ssh_uids, c->uid);
	speaker_text(c->who, &c->speaker);
}

static bool is_permitted(const struct client *c)
{
	return role_may_command(
		c->control->running.administrators, c->speaker.role, request_words(&c->request));
}

bool authorize_request(struct client *c)
{
	const struct administrators *a = c->control->running.administrators;
	const char *words = request_words(&c->request);
	char who_may[ERR_TEXT_MAX / 2];

	speaker_set(c);
	if (is_permitted(c))
		return true;
	log_warn("denied: %s (role %s): %s", c->who, role_word(a, c->speaker.role), words);
	entry_admin_refused(c->control, c, words);
	client_end(c, RC_DENIED, 0, "%s%s has the role %s, which does not permit '%s': %s may", c->who,
		c->speaker.kind == SPEAKER_STRANGER ? ", who is no administrator," : "",
		role_word(a, c->speaker.role), words,
		roles_that_may(who_may, sizeof who_may, a, words, false));
	return false;
}

/* ---- what a commit changes ---- */

struct judge {
	const struct client *client;
	struct err *e;
};

static bool changed(void *context, const char *path, const char *where)
{
	const struct judge *j = context;
	const struct administrators *a = j->client->control->running.administrators;
	uint32_t role = j->client->speaker.role;
	char who_may[ERR_TEXT_MAX / 4];

	if (role_may_change(a, role, path))
		return true;
	err_add(j->e, RC_DENIED, "%s has the role %s, which does not permit to change '%s': %s may",
		j->client->who, role_word(a, role), where,
		roles_that_may(who_may, sizeof who_may, a, path, true));
	return false;
}

/* They come with a text of the history, or are read again: the statements do not tell. */
static bool certificates_differ(const struct running *a, const struct running *b)
{
	return memcmp(a->certificates_sha256, b->certificates_sha256, sizeof a->certificates_sha256) != 0;
}

enum rc authorize_commit(struct client *c, const struct running *next, struct err *e)
{
	const struct running *now = &c->control->running;
	struct judge j = { c, e };
	enum rc rc;

	if (c->speaker.role == ROLE_ROOT)
		return RC_OK;
	rc = model_difference(now->text, now->n, next->text, next->n, changed, &j, e);
	if (!rc && e->rc == RC_OK && certificates_differ(now, next))
		changed(&j, "pki", "pki, whose certificates are others than those that run");
	return rc ? rc : e->rc;
}

void authorize_again(struct control *k)
{
	for (size_t i = 0; i < CLIENTS_MAX; i++) {
		struct client *c = &k->clients[i];
		if (c->work != CLIENT_ENTRY && c->work != CLIENT_RELAY && c->work != CLIENT_PAUSED &&
			c->work != CLIENT_TRACE && c->work != CLIENT_CAPTURE && c->work != CLIENT_CHECK)
			continue;
		struct speaker before = c->speaker;
		speaker_set(c);
		if (is_permitted(c) && strcmp(before.name, c->speaker.name) == 0)
			continue;
		c->forget(c);
		client_end(c, RC_DENIED, 0,
			"the configuration that has just been committed does not permit this to %s any more",
			c->who);
	}
}
