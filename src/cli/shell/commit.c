/* `commit`: the candidate goes to control, over the text that it was made from. */
#include "cli/shell/shell.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli/commands.h"
#include "cli/configuration.h"
#include "cli/shell/operational.h"
#include "crypto/hash.h"

struct commit_words {
	bool check, quit;
	struct commit_text commit;
};

static enum rc commit_minutes(struct commit_words *c, const struct words_line *w, unsigned *i, struct err *e)
{
	char *end;

	c->commit.confirm_minutes = 10;
	if (*i + 1 == w->n || w->at[*i + 1][0] < '0' || w->at[*i + 1][0] > '9')
		return RC_OK;
	unsigned long n = strtoul(w->at[++*i], &end, 10);
	if (*end || n < 1 || n > CONFIRM_MINUTES_MAX)
		return err_add(e, RC_MALFORMED, "commit confirmed: found '%.40s', expected minutes, 1 to %d",
			w->at[*i], CONFIRM_MINUTES_MAX);
	c->commit.confirm_minutes = (uint32_t)n;
	return RC_OK;
}

static enum rc commit_parse(struct commit_words *c, const struct words_line *w, struct err *e)
{
	for (unsigned i = 0; i < w->n; i++) {
		const char *word = w->at[i];
		enum rc rc = RC_OK;
		if (strcmp(word, "check") == 0) {
			c->check = true;
		} else if (strcmp(word, "and-quit") == 0) {
			c->quit = true;
		} else if (strcmp(word, "confirmed") == 0) {
			rc = commit_minutes(c, w, &i, e);
		} else if (strcmp(word, "close-all") == 0) {
			c->commit.flags |= COMMIT_CLOSE_ALL;
		} else if (strcmp(word, "cut-off") == 0) {
			c->commit.flags |= COMMIT_CUT_OFF;
		} else if (strcmp(word, "comment") == 0 && i + 1 < w->n) {
			c->commit.comment = w->at[++i];
			if (strlen(c->commit.comment) > 255)
				rc = err_add(e, RC_LIMIT, "a commit's comment has at most 255 characters");
		} else {
			rc = err_add(e, RC_MALFORMED,
				"found '%.40s', expected check, confirmed [MINUTES], comment \"TEXT\", close-all, cut-off or and-quit",
				word);
		}
		if (rc)
			return rc;
	}
	return RC_OK;
}

/* ---- what the candidate was made from ---- */

bool candidate_is_changed(const struct shell *s)
{
	char *text = edit_text(s->candidate);
	bool changed = !text || !s->laid_out || strcmp(text, s->laid_out) != 0;

	free(text);
	return changed;
}

/* The candidate as it is now counts as unchanged. False: out of memory. */
static bool lay_out(struct shell *s)
{
	free(s->laid_out);
	return (s->laid_out = edit_text(s->candidate)) != NULL;
}

static void base_take(struct shell *s, char *text, size_t n)
{
	free(s->base);
	s->base = text;
	s->base_n = n;
	sha256(s->base_sha256, text, n);
}

enum rc candidate_begin(struct shell *s, struct err *e)
{
	struct edit *fresh = NULL;
	char *text = NULL;
	size_t n = 0;
	enum rc rc = configuration_read(s->socket, 0, &text, &n, e);

	if (!rc)
		rc = edit_new(&fresh, text, n, "the running configuration", e);
	if (rc) {
		free(text);
		return rc;
	}
	base_take(s, text, n);
	edit_free(s->candidate);
	s->candidate = fresh;
	candidate_forget_rollback(s);
	return lay_out(s) ? RC_OK : err_add(e, RC_INTERNAL, "out of memory");
}

enum rc candidate_rollback(struct shell *s, unsigned which, struct err *e)
{
	char *text = NULL, name[24];
	size_t n = 0;
	enum rc rc = configuration_read(s->socket, which, &text, &n, e);

	snprintf(name, sizeof name, "rollback.%u", which);
	if (!rc)
		rc = edit_load(s->candidate, EDIT_LOAD_OVERRIDE, text, n, name, e);
	if (!rc && !lay_out(s))
		rc = err_add(e, RC_INTERNAL, "out of memory");
	if (rc) {
		free(text);
		return rc;
	}
	candidate_forget_rollback(s);
	s->rollback = which;
	s->rollback_text = text;
	s->rollback_n = n;
	return RC_OK;
}

void candidate_forget_rollback(struct shell *s)
{
	free(s->rollback_text);
	s->rollback_text = NULL;
	s->rollback = 0;
}

/* ---- the commit ---- */

/* It is what runs now. */
static void is_committed(struct shell *s, char *text, size_t n)
{
	base_take(s, text, n);
	candidate_forget_rollback(s);
	if (!lay_out(s))
		fputs("error: out of memory\n", stdout);
}

/*
 * A commit failed. Control may have carried it out all the same (a process did not take it in time): then true. Or somebody else
 * committed meanwhile.
 */
static bool carried_out(struct shell *s, const struct commit_text *sent)
{
	struct err e = { 0 };
	struct edit *now = NULL;
	char *text = NULL, *difference = NULL;
	size_t n = 0;
	bool done = false;

	if (configuration_read(s->socket, 0, &text, &n, &e)) {
		shell_error(&e);
	} else if (n == sent->n && memcmp(text, sent->text, n) == 0 &&
		   (n != s->base_n || memcmp(text, s->base, n) != 0)) {
		fputs("It is committed all the same.\n", stdout);
		done = true;
	} else if ((n != s->base_n || memcmp(text, s->base, n) != 0) && !edit_new(&now, text, n, "now", &e) &&
		   !edit_compare(now, s->base, s->base_n, "before", &difference, &e)) {
		struct pipe_chain none = { 0 };
		fputs("Committed meanwhile:\n", stdout);
		shell_print(&none, difference);
		fputs("To keep this candidate: `save FILE`, then `rollback`, and `load` what of it is wanted.\n",
			stdout);
	}
	free(difference);
	edit_free(now);
	free(text);
	return done;
}

/* A commit that waits to be confirmed is. alone: there is nothing else to commit. */
static void confirm(struct shell *s, bool alone)
{
	struct err e = { 0 };
	char says[256] = "";

	if (configuration_confirm(s->socket, says, sizeof says, &e) == RC_OK)
		printf("%s\n", says);
	else if (alone && e.rc == RC_NOT_FOUND)
		fputs("there is nothing to commit: the candidate is what runs\n", stdout);
	else if (e.rc != RC_NOT_FOUND)
		shell_error(&e);
}

static bool commit_run(struct shell *s, struct commit_words *c, bool changed)
{
	bool as_it_was = s->rollback && !changed;
	char name[24] = "candidate", *text = as_it_was ? s->rollback_text : edit_text(s->candidate);
	struct findings f = { .name = name };
	int status;

	if (!text) {
		fputs("error: out of memory\n", stdout);
		return false;
	}
	if (as_it_was) { /* octet by octet: its certificates are found by its digest */
		snprintf(name, sizeof name, "rollback.%u", s->rollback);
		s->rollback_text = NULL;
	}
	c->commit.text = text;
	c->commit.n = as_it_was ? s->rollback_n : strlen(text);
	c->commit.name = name;
	c->commit.base = s->base_sha256;
	fflush(stdout);
	status = c->check ? configuration_check(s->socket, name, text, c->commit.n,
				    c->commit.flags & COMMIT_CLOSE_ALL, &f)
			  : configuration_commit(s->socket, &c->commit, &f);
	findings_end(&f);
	if (status != STATUS_OK)
		shell_failed();
	if (!c->check && c->commit.ret_proposal == 0 && (status == STATUS_OK || carried_out(s, &c->commit))) {
		is_committed(s, text, c->commit.n);
		if (c->commit.confirm_minutes == 0)
			confirm(s, false);
		return true;
	}
	if (as_it_was)
		s->rollback_text = text;
	else
		free(text);
	return false;
}

/* True: it is done, and the operator wants to leave the mode. */
bool commit_line(struct shell *s, const char *words)
{
	struct commit_words c = { 0 };
	struct words_line w;
	struct err e = { 0 };
	bool done = false;

	if (words_split(&w, words, &e)) {
		shell_error(&e);
		return false;
	}
	bool changed = candidate_is_changed(s);
	if (w.open_quote)
		err_add(&e, RC_MALFORMED, "a quote is not closed");
	if (e.rc || commit_parse(&c, &w, &e)) {
		shell_error(&e);
	} else if (!changed && !s->rollback && !c.check && c.commit.confirm_minutes == 0) {
		confirm(s, true);
		done = true;
	} else {
		done = commit_run(s, &c, changed);
	}
	words_line_free(&w);
	return done && c.quit;
}
