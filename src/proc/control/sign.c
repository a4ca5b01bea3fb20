/*
 * A signature comes for a proposal (proposals.c), or its end. Who carries it here says nothing: whose it is follows from the key, and whether it
 * counts from the configuration that runs.
 */
#include "proc/control/control.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

/* Those that it has, judged again, and a new one (n > 0). */
static enum rc recount(struct control *k, struct proposal *p, const struct admin_words *paths,
	const uint8_t *blob, size_t n, struct err *e)
{
	const struct administrators *a = k->running.administrators;
	const struct administrator *who;
	struct signed_count count = { 0 };
	struct signed_by *s;
	char key[SSH_FINGERPRINT_SIZE];
	enum rc rc = RC_OK;

	for (uint32_t i = 0; i < p->signed_by.n && !rc; i++)
		rc = signed_count_add(&count, a, &p->statement, paths, p->signature[i].blob,
			p->signature[i].n, key, &who, e);
	if (rc)
		return err_add(
			e, RC_DENIED, "while checking the signatures that proposal %" PRIu64 " has", p->id);
	rc = signed_count_add(&count, a, &p->statement, paths, blob, n, key, &who, e);
	if (rc == RC_EXISTS && p->signed_by.n >= p->required) {
		err_clear(e); /* it has enough: its commit is tried again */
		return RC_OK;
	}
	if (rc)
		return rc;
	if (p->signed_by.n == SIGNED_REQUIRED_MAX)
		return err_add(e, RC_LIMIT, "proposal %" PRIu64 " has %d signatures, more are not taken",
			p->id, SIGNED_REQUIRED_MAX);
	s = &p->signature[p->signed_by.n];
	*s = (struct signed_by){ .n = n };
	snprintf(s->admin, sizeof s->admin, "%s", who->name);
	memcpy(s->key, key, sizeof s->key);
	memcpy(s->blob, blob, n);
	p->signed_by = count;
	return RC_OK;
}

/* The text and what it needs; ret_text is the caller's. */
static enum rc sign(struct control *k, struct proposal *p, const uint8_t *blob, size_t blob_n,
	char **ret_text, size_t *ret_n, struct err *e)
{
	struct admin_words paths = { 0 };
	uint32_t had = p->signed_by.n;
	enum rc rc = proposal_text(k, p, ret_text, ret_n, e);

	if (!rc)
		rc = proposals_needed(
			k, *ret_text, *ret_n, p->statement.certificates, &paths, &p->required, e);
	if (!rc)
		rc = recount(k, p, &paths, blob, blob_n, e);
	if (!rc && p->signed_by.n > had && proposal_store(k, p, *ret_text, *ret_n, e)) {
		p->signed_by.by[p->signed_by.n - 1] = false;
		p->signed_by.n = had;
		rc = e->rc;
	}
	admin_words_done(&paths);
	return rc;
}

void proposals_sign(struct client *c)
{
	struct control *k = c->control;
	struct proposal *p;
	char *armor = NULL, *text = NULL;
	uint8_t blob[SSHSIG_BLOB_MAX];
	size_t armor_n = 0, blob_n = 0, n = 0;
	struct err e = { 0 };
	enum rc rc;

	proposals_sweep(k);
	if (!(p = proposal_find(k, c->request.rollback))) {
		client_end(c, RC_NOT_FOUND, 0,
			"there is no proposal %u: show system commit proposals lists them",
			c->request.rollback);
		return;
	}
	rc = k->commit.under_way ? err_add(&e, RC_AGAIN, "another commit is in progress")
				 : client_memory_read(c, &armor, &armor_n, &e);
	if (!rc)
		rc = sshsig_from_armor(blob, &blob_n, armor, armor_n, &e);
	uint32_t had = p->signed_by.n;
	if (!rc)
		rc = sign(k, p, blob, blob_n, &text, &n, &e);
	free(armor);
	if (rc) {
		free(text);
		client_end(c, rc, 0, "%s", e.text);
		return;
	}
	if (p->signed_by.n > had)
		entry_proposal(k, p, p->signature[had].admin, "signed", p->signature[had].key);
	if (p->signed_by.n < p->required) {
		free(text);
		client_end(c, RC_OK, (uint32_t)p->id, "proposal %" PRIu64 " has %u of %u signatures", p->id,
			p->signed_by.n, p->required);
		return;
	}
	commit_signed(c, p, text, n);
}

/* Who has proposed it, and who could sign it. */
static enum rc may_withdraw(const struct client *c, const struct proposal *p, struct err *e)
{
	struct control *k = c->control;
	struct admin_words paths = { 0 };
	const char *refused = NULL;
	char *text = NULL;
	uint32_t required;
	size_t n;

	if (speakers_are_one(p->author, c->who))
		return RC_OK;
	enum rc rc = proposal_text(k, p, &text, &n, e);
	if (!rc)
		rc = proposals_needed(k, text, n, p->statement.certificates, &paths, &required, e);
	for (uint32_t i = 0; i < paths.n && !rc && !refused; i++)
		if (!role_may_change(k->running.administrators, c->speaker.role, paths.at[i]))
			refused = paths.at[i];
	if (!rc && (refused || c->speaker.kind == SPEAKER_ROOT))
		rc = err_add(e, RC_DENIED,
			"proposal %u is of %s: only who has proposed it or may sign it withdraws it%s%s%s",
			c->request.rollback, p->author, refused ? ", and this role may not change '" : "",
			refused ? refused : "", refused ? "'" : "");
	admin_words_done(&paths);
	free(text);
	return rc;
}

void proposals_withdraw(struct client *c)
{
	struct control *k = c->control;
	struct proposal *p = proposal_find(k, c->request.rollback);
	struct err e = { 0 };

	if (!p) {
		client_end(c, RC_NOT_FOUND, 0, "there is no proposal %u", c->request.rollback);
		return;
	}
	if (may_withdraw(c, p, &e)) {
		client_end(c, e.rc, 0, "%s", e.text);
		return;
	}
	proposal_remove(k, p, c->who, "withdrawn");
	client_end(c, RC_OK, 0, "proposal %u is withdrawn", c->request.rollback);
}
