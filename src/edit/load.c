/* Texts that come as a whole: added, put in place of what is there, or carried out line by line. Pure. */
#include "edit/candidate.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "edit/read.h"

static void comments_take(struct stmt *to, struct stmt *from)
{
	if (from->above) {
		free(to->above);
		to->above = from->above;
		from->above = NULL;
	}
	if (from->beside) {
		free(to->beside);
		to->beside = from->beside;
		from->beside = NULL;
	}
}

/* Values that `to`'s block has nowhere yet. */
static bool values_add(struct stmt *block, struct stmt *s, bool *ret_taken)
{
	struct stmt *has;
	size_t i, k = 0;

	while (k < s->words_n) {
		if (leaf_list_has(block, s->schema, s->words[k], &has, &i))
			stmt_remove_word(s, k);
		else
			k++;
	}
	*ret_taken = s->words_n > 0; /* what is left stands as a statement of its own, with its comments */
	if (!*ret_taken)
		return true;
	if ((has = leaf_find(block, s->schema)) && !s->above && !s->beside && !has->beside &&
		has->inactive == s->inactive) {
		bool good = true;
		for (k = 0; k < s->words_n && good; k++)
			good = stmt_add_word(has, s->words[k], strlen(s->words[k]));
		*ret_taken = false;
		return good;
	}
	return true;
}

static void take(struct stmt *block, struct stmt *s)
{
	path_choose(block, s->schema);
	s->replaces = false;
	stmt_insert(block, s, stmt_place(block, s->schema));
}

static void replace_all(struct stmt *block, const struct lysc_node *leaf)
{
	for (struct stmt *s = block->first, *next; s; s = next) {
		next = s->next;
		if (s->schema != leaf)
			continue;
		stmt_unlink(s);
		stmt_free(s);
	}
}

static bool merge_leaf_list(struct stmt *block, struct stmt *s)
{
	bool taken;

	if (s->replaces)
		replace_all(block, s->schema);
	if (!values_add(block, s, &taken)) {
		stmt_free(s);
		return false;
	}
	if (taken)
		take(block, s);
	else
		stmt_free(s);
	return true;
}

/* Entries that have no content, written together: those that are there stay as they are. */
static bool merge_many(struct stmt *block, struct stmt *s)
{
	bool bad = false;

	for (size_t i = 0; i < s->words_n && !bad;) {
		char *keys[SCHEMA_KEYS_MAX] = { s->words[i] };
		if (stmt_find(block, s->schema, keys, false, &bad))
			stmt_remove_word(s, i);
		else
			i++;
	}
	s->many = s->words_n > 1;
	if (s->words_n > 0 && !bad)
		take(block, s);
	else
		stmt_free(s);
	return !bad;
}

static bool merge_block(struct stmt *into, struct stmt *from);

/* The statement of the new text, which is in no block and is used up. */
static bool merge_stmt(struct stmt *block, struct stmt *s)
{
	bool bad;

	if (s->many)
		return merge_many(block, s);
	if (s->schema->nodetype == LYS_LEAFLIST)
		return merge_leaf_list(block, s);
	struct stmt *has = stmt_find(block, s->schema, s->words, true, &bad);
	if (bad || !has) {
		if (bad)
			stmt_free(s);
		else
			take(block, s);
		return !bad;
	}
	if (s->replaces || s->schema->nodetype == LYS_LEAF) {
		struct stmt *behind = has->next;
		s->replaces = false;
		if (!s->above) {
			s->above = has->above;
			has->above = NULL;
		}
		stmt_unlink(has);
		stmt_free(has);
		stmt_insert(block, s, behind);
		return true;
	}
	has->inactive |= s->inactive; /* a text that is added activates nothing */
	comments_take(has, s);
	bool good = merge_block(has, s);
	stmt_free(s);
	return good;
}

static bool merge_block(struct stmt *into, struct stmt *from)
{
	bool good = true;

	while (from->first && good) {
		struct stmt *s = from->first;
		stmt_unlink(s);
		good = merge_stmt(into, s);
	}
	if (from->below && good) {
		free(into->below);
		into->below = from->below;
		from->below = NULL;
	}
	return good;
}

/* ---- commands ---- */

static enum rc line_run(
	struct edit *e, const char *line, size_t n, const char *name, unsigned number, struct err *err)
{
	struct err e_line = { 0 };
	char *copy;
	enum rc rc;

	while (n > 0 && (line[n - 1] == ' ' || line[n - 1] == '\t' || line[n - 1] == '\r'))
		n--;
	while (n > 0 && (*line == ' ' || *line == '\t')) {
		line++;
		n--;
	}
	if (n == 0 || *line == '#')
		return RC_OK;
	if (n > LINE_BYTES_MAX)
		return err_add(err, RC_LIMIT, "%s:%u: the line has %zu octets, at most %u are allowed", name,
			number, n, LINE_BYTES_MAX);
	if (memchr(line, '\0', n))
		return err_add(
			err, RC_MALFORMED, "%s:%u: found the octet 0x00, expected a text", name, number);
	if (!(copy = strndup(line, n)))
		return no_memory(err);
	rc = edit_command(e, copy, &e_line);
	free(copy);
	return rc ? err_add(err, rc, "%s:%u: %s", name, number, e_line.text) : RC_OK;
}

static enum rc lines_run(struct edit *e, const char *text, size_t n, const char *name, struct err *err)
{
	const char *end = text + n;
	enum rc rc = RC_OK;

	for (unsigned number = 1; text < end && !rc; number++) {
		const char *line_end = memchr(text, '\n', (size_t)(end - text));
		size_t line_n = line_end ? (size_t)(line_end - text) : (size_t)(end - text);
		rc = line_run(e, text, line_n, name, number, err);
		text += line_n + (line_end != NULL);
	}
	return rc;
}

/* ---- load ---- */

static enum rc load_text(
	struct edit *e, enum edit_load how, const char *text, size_t n, const char *name, struct err *err)
{
	bool whole = how == EDIT_LOAD_OVERRIDE;
	struct stmt *new, *block;
	enum rc rc =
		edit_read(&new, whole ? NULL : level_schema(e), text, n, name, how == EDIT_LOAD_REPLACE, err);

	if (rc)
		return rc;
	if (whole) {
		stmt_free(e->root);
		e->root = new;
		return RC_OK;
	}
	block = level_make(e);
	bool good = block && merge_block(block, new);
	stmt_free(new);
	return good ? RC_OK : no_memory(err);
}

enum rc edit_load(
	struct edit *e, enum edit_load how, const char *text, size_t n, const char *name, struct err *err)
{
	struct stmt *before = stmt_copy(e->root); /* whole again if a part of the text is wrong */
	struct level level = e->level;
	bool changed = e->changed;
	enum rc rc;

	if (!before)
		return no_memory(err);
	if (how == EDIT_LOAD_SET) {
		e->aside = &level;
		if (!level_copy(&e->level, &level))
			rc = no_memory(err);
		else
			rc = lines_run(e, text, n, name, err);
		e->aside = NULL;
		level_cut(&e->level, 0);
		e->level = level;
		level_text(e);
	} else {
		rc = load_text(e, how, text, n, name, err);
	}
	if (rc) {
		stmt_free(e->root);
		e->root = before;
		e->changed = changed;
		return rc;
	}
	stmt_free(before);
	e->changed = true;
	return RC_OK;
}
