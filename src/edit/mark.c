/* What is written beside a statement: that it is inactive, and comments. Pure. */
#include "edit/candidate.h"

#include <stdlib.h>
#include <string.h>

#include "edit/read.h"

/* The statement's words from word i on become another statement behind it. NULL: out of memory. */
static struct stmt *words_behind(struct stmt *s, size_t i)
{
	struct stmt *behind = stmt_new(s->schema);
	bool good = behind != NULL;

	for (size_t k = i; k < s->words_n && good; k++)
		good = stmt_add_word(behind, s->words[k], strlen(s->words[k]));
	if (!good) {
		stmt_free(behind);
		return NULL;
	}
	behind->inactive = s->inactive;
	stmt_insert(s->parent, behind, s->next);
	while (s->words_n > i)
		stmt_remove_word(s, s->words_n - 1);
	return behind;
}

/* A value of several becomes a statement of its own, which can have a mark of its own; the order of all stays. NULL: out of memory. */
static struct stmt *value_alone(struct stmt *s, size_t i)
{
	if (i > 0 && !(s = words_behind(s, i)))
		return NULL;
	return s->words_n == 1 || words_behind(s, 1) ? s : NULL;
}

static enum rc mark_leaf(
	struct stmt *block, const struct path *p, const struct words *w, bool active, struct err *err)
{
	struct stmt *s;
	bool any = false;
	size_t at;

	for (unsigned i = p->values; i < w->n; i++) {
		if (!leaf_list_has(block, p->leaf, w->at[i], &s, &at))
			return err_add(
				err, RC_NOT_FOUND, "there is no '%s %.60s' here", p->leaf->name, w->at[i]);
	}
	for (unsigned i = p->values; i < w->n; i++) {
		if (!leaf_list_has(block, p->leaf, w->at[i], &s, &at) || !(s = value_alone(s, at)))
			return no_memory(err);
		s->inactive = !active;
		any = true;
	}
	for (s = block->first; s && p->values == w->n; s = s->next) {
		if (s->schema == p->leaf) {
			s->inactive = !active;
			any = true;
		}
	}
	return any ? RC_OK : not_there(p, w, err);
}

static enum rc mark_words(struct edit *e, struct words *w, bool active, struct err *err)
{
	struct stmt *block = NULL;
	struct path p;
	enum rc rc = path_read(&p, level_schema(e), w, 0, w->n, err);

	if (!rc && w->n == 0)
		rc = err_add(err, RC_MALFORMED, "found the end of the command, expected a statement");
	if (!rc)
		rc = block_find(e, &p, w, false, &block, err);
	if (rc)
		return rc;
	if (p.leaf)
		return mark_leaf(block, &p, w, active, err);
	if (!(rc = block_find(e, &p, w, true, &block, err)))
		block->inactive = !active;
	return rc;
}

static enum rc activate_words(struct edit *e, struct words *w, struct err *err)
{
	return mark_words(e, w, true, err);
}

static enum rc deactivate_words(struct edit *e, struct words *w, struct err *err)
{
	return mark_words(e, w, false, err);
}

enum rc edit_activate(struct edit *e, const char *words, bool active, struct err *err)
{
	return with_words(e, words, active ? activate_words : deactivate_words, err);
}

static enum rc comment_check(const char *text, struct err *err)
{
	if (strstr(text, "*/"))
		return err_add(err, RC_MALFORMED, "a comment cannot have '*/' in it");
	return RC_OK;
}

static enum rc annotate_words(struct edit *e, struct words *w, struct err *err)
{
	struct stmt *s = NULL;
	struct path p;
	enum rc rc;

	if (w->n < 2 || !w->quoted[w->n - 1])
		return err_add(err, RC_MALFORMED, "expected a statement, and its comment in double quotes");
	const char *comment = w->at[w->n - 1];
	if ((rc = comment_check(comment, err)) ||
		(rc = path_read(&p, level_schema(e), w, 0, w->n - 1, err)) ||
		(rc = block_find(e, &p, w, false, &s, err)))
		return rc;
	if (p.leaf && p.leaf->nodetype == LYS_LIST)
		return err_add(err, RC_MALFORMED, "found the comment, expected which %s", p.leaf->name);
	if (p.leaf && !(s = leaf_find(s, p.leaf)))
		return not_there(&p, w, err);
	if (!p.leaf && (rc = block_find(e, &p, w, true, &s, err)))
		return rc;
	struct text t = { 0 };
	if (s->above && s->above[0] == '\n')
		text_puts(&t, "\n"); /* the empty line before it stays */
	if (*comment) {
		text_puts(&t, "/* ");
		text_puts(&t, comment);
		text_puts(&t, " */\n");
	}
	if (t.bad) {
		free(t.at);
		return no_memory(err);
	}
	free(s->above);
	s->above = t.at;
	return RC_OK;
}

enum rc edit_annotate(struct edit *e, const char *words, struct err *err)
{
	return with_words(e, words, annotate_words, err);
}
