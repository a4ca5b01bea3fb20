/* Statements are added, get other values, go: set, delete. Pure. */
#include "edit/candidate.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "edit/read.h"

static enum rc keys_check(const struct path *p, struct err *err)
{
	const struct lysc_node *keys[SCHEMA_KEYS_MAX];
	enum rc rc = RC_OK;

	for (unsigned i = 0; i < p->n && !rc; i++) {
		unsigned n = schema_keys(p->steps[i].schema, keys);
		for (unsigned k = 0; k < n && !rc; k++)
			rc = value_check(keys[k], p->steps[i].keys[k], err);
	}
	return rc;
}

/* ---- set ---- */

static struct stmt *leaf_make(struct stmt *block, const struct lysc_node *leaf)
{
	struct stmt *s = stmt_new(leaf);

	if (!s)
		return NULL;
	path_choose(block, leaf);
	stmt_insert(block, s, stmt_place(block, leaf));
	return s;
}

static enum rc set_leaf(struct stmt *block, const struct lysc_node *leaf, const char *value, struct err *err)
{
	struct stmt *s = leaf_find(block, leaf);

	if (!s && !(s = leaf_make(block, leaf)))
		return no_memory(err);
	if (!value)
		return RC_OK;
	if (s->words_n ? !stmt_set_word(s, 0, value) : !stmt_add_word(s, value, strlen(value)))
		return no_memory(err);
	return RC_OK;
}

/* To the last statement of it that is active; that which has a comment of its own stays as it is. */
static enum rc set_value(struct stmt *block, const struct lysc_node *leaf, const char *value, struct err *err)
{
	struct stmt *to = NULL, *s;
	size_t i;

	if (leaf_list_has(block, leaf, value, &s, &i))
		return RC_OK;
	for (s = block->first; s; s = s->next) {
		if (s->schema == leaf && !s->inactive && !s->beside)
			to = s;
	}
	if (!to && !(to = leaf_make(block, leaf)))
		return no_memory(err);
	return stmt_add_word(to, value, strlen(value)) ? RC_OK : no_memory(err);
}

static enum rc set_check(const struct path *p, const struct words *w, struct err *err)
{
	unsigned n = w->n - p->values;
	enum rc rc = keys_check(p, err);

	if (rc || !p->leaf)
		return rc;
	if (p->leaf->nodetype == LYS_LIST)
		return err_add(
			err, RC_MALFORMED, "found the end of the command, expected which %s", p->leaf->name);
	if (schema_is_empty_leaf(p->leaf))
		return n ? err_add(err, RC_MALFORMED,
				   "found '%.40s', expected the end of the command: '%s' has no value",
				   w->at[p->values], p->leaf->name)
			 : RC_OK;
	if (n == 0) {
		char expected[EXPECTED_MAX] = "";
		schema_value_expected(p->leaf, expected, sizeof expected);
		return err_add(err, RC_MALFORMED,
			"found the end of the command, expected the value of %s: %s", p->leaf->name,
			expected);
	}
	if (n > 1 && (p->leaf->nodetype == LYS_LEAF || w->single == w->n))
		return err_add(err, RC_MALFORMED,
			p->leaf->nodetype == LYS_LEAF
				? "found '%.40s', expected the end of the command; a value with spaces is written in double quotes"
				: "found '%.40s', expected the end of the command; several values are written in brackets: [ a b ]",
			w->at[p->values + 1]);
	for (unsigned i = p->values; i < w->n && !rc; i++)
		rc = value_check(p->leaf, w->at[i], err);
	return rc;
}

static enum rc set_at(struct edit *e, const struct path *p, const struct words *w, struct err *err)
{
	struct stmt *block = level_make(e);
	enum rc rc = RC_OK;

	if (!block || !(block = path_make(block, p)))
		return no_memory(err);
	if (!p->leaf)
		return RC_OK;
	if (p->leaf->nodetype == LYS_LEAF)
		return set_leaf(block, p->leaf, p->values < w->n ? w->at[p->values] : NULL, err);
	for (unsigned i = p->values; i < w->n && !rc; i++)
		rc = set_value(block, p->leaf, w->at[i], err);
	return rc;
}

/* Where brackets stand around names of entries, each of them is one. */
static enum rc set_entries(struct edit *e, struct path *p, const struct words *w, struct err *err)
{
	char **key = &p->steps[p->n - 1].keys[0];
	enum rc rc = RC_OK;

	for (unsigned i = w->single; i < w->n && !rc; i++) {
		*key = w->at[i];
		rc = set_check(p, w, err);
	}
	for (unsigned i = w->single; i < w->n && !rc; i++) {
		*key = w->at[i];
		rc = set_at(e, p, w, err);
	}
	return rc;
}

static enum rc set_words(struct edit *e, struct words *w, struct err *err)
{
	unsigned path_end = w->single < w->n ? w->single + 1 : w->n;
	struct path p;
	enum rc rc = path_read(&p, level_schema(e), w, 0, path_end, err);

	if (rc)
		return rc;
	if (p.n == 0 && !p.leaf)
		return err_add(err, RC_MALFORMED, "found the end of the command, expected what is to be set");
	if (!p.leaf && w->single < w->n) {
		if (p.steps[p.n - 1].schema->nodetype != LYS_LIST ||
			schema_shown_by_keys(p.steps[p.n - 1].schema))
			return err_add(err, RC_MALFORMED,
				"brackets stand around values, or around names of entries");
		return set_entries(e, &p, w, err);
	}
	if (p.leaf && p.leaf->nodetype == LYS_LEAF && w->single < w->n)
		return err_add(err, RC_MALFORMED, "'%s' has one value, without brackets", p.leaf->name);
	if ((rc = set_check(&p, w, err)))
		return rc;
	return set_at(e, &p, w, err);
}

enum rc edit_set(struct edit *e, const char *words, struct err *err)
{
	return with_words(e, words, set_words, err);
}

/* ---- delete ---- */

/* Containers that have nothing any more, and mean nothing by being there. */
static void prune(struct stmt *block)
{
	while (block->parent && !block->first && !block->below && block->schema->nodetype == LYS_CONTAINER &&
		!(block->schema->flags & LYS_PRESENCE)) {
		struct stmt *parent = block->parent;
		stmt_unlink(block);
		stmt_free(block);
		block = parent;
	}
}

static void remove_stmt(struct stmt *s)
{
	struct stmt *parent = s->parent;

	stmt_unlink(s);
	stmt_free(s);
	prune(parent);
}

static enum rc delete_values(struct stmt *block, const struct path *p, const struct words *w, struct err *err)
{
	struct stmt *s;
	size_t at;

	for (unsigned i = p->values; i < w->n; i++) {
		if (!leaf_list_has(block, p->leaf, w->at[i], &s, &at))
			return err_add(
				err, RC_NOT_FOUND, "there is no '%s %.60s' here", p->leaf->name, w->at[i]);
	}
	for (unsigned i = p->values; i < w->n; i++) {
		if (!leaf_list_has(block, p->leaf, w->at[i], &s, &at))
			continue; /* it was named twice */
		stmt_remove_word(s, at);
		if (s->words_n == 0) {
			stmt_unlink(s);
			stmt_free(s);
		}
	}
	prune(block);
	return RC_OK;
}

static enum rc delete_leaf(struct stmt *block, const struct path *p, const struct words *w, struct err *err)
{
	bool any = false;

	if (p->values < w->n)
		return delete_values(block, p, w, err);
	for (struct stmt *s = block->first, *next; s; s = next) {
		next = s->next;
		if (s->schema != p->leaf)
			continue;
		any = true;
		stmt_unlink(s);
		stmt_free(s);
	}
	if (any)
		prune(block);
	return any ? RC_OK : not_there(p, w, err);
}

static enum rc delete_words(struct edit *e, struct words *w, struct err *err)
{
	struct stmt *block = NULL;
	struct path p;
	enum rc rc = path_read(&p, level_schema(e), w, 0, w->n, err);

	if (!rc)
		rc = block_find(e, &p, w, false, &block, err);
	if (rc)
		return rc;
	if (p.leaf)
		return delete_leaf(block, &p, w, err);
	if (w->n > 0) {
		if (!(rc = block_find(e, &p, w, true, &block, err)))
			remove_stmt(block);
		return rc;
	}
	while (block->first) {
		struct stmt *s = block->first;
		stmt_unlink(s);
		stmt_free(s);
	}
	return RC_OK;
}

enum rc edit_delete(struct edit *e, const char *words, struct err *err)
{
	return with_words(e, words, delete_words, err);
}
