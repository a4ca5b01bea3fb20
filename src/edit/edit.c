/* The candidate: its text, the level that commands begin at, and the table of commands. Pure. */
#include "edit/candidate.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "edit/read.h"

enum rc edit_new(struct edit **ret_edit, const char *text, size_t n, const char *name, struct err *err)
{
	struct edit *e;
	enum rc rc = schema_init(err);

	if (rc)
		return rc;
	if (!(e = calloc(1, sizeof *e)))
		return no_memory(err);
	if ((rc = edit_read(&e->root, NULL, text, n, name, false, err))) {
		free(e);
		return rc;
	}
	*ret_edit = e;
	return RC_OK;
}

static void completions_done(struct edit *e)
{
	for (unsigned i = 0; i < e->completions_n; i++)
		free(e->completion_words[i]);
	free(e->completion_words);
	free(e->completions);
}

void edit_free(struct edit *e)
{
	if (!e)
		return;
	level_cut(&e->level, 0);
	completions_done(e);
	stmt_free(e->root);
	free(e);
}

/* NULL where memory was short, with nothing left over. */
static char *text_end(struct text *t)
{
	text_put(t, "", 0);
	if (!t->bad)
		return t->at;
	free(t->at);
	return NULL;
}

char *edit_text(const struct edit *e)
{
	struct text t = { 0 };

	write_block(&t, e->root, 0);
	return text_end(&t);
}

bool edit_changed(const struct edit *e)
{
	return e->changed;
}

static enum rc enter(struct edit *e, const struct words *w, struct err *err)
{
	unsigned before = e->level.n;
	struct path p;
	enum rc rc = path_read(&p, level_schema(e), w, 0, w->n, err);

	if (rc)
		return rc;
	if (p.n == 0 || p.leaf)
		return err_add(err, RC_MALFORMED, "expected a block to go to: %s",
			p.leaf ? "this is no block" : "its path is missing");
	for (unsigned i = 0; i < p.n; i++) {
		const struct lysc_node *keys[SCHEMA_KEYS_MAX];
		unsigned n = schema_keys(p.steps[i].schema, keys);
		for (unsigned k = 0; k < n && !rc; k++)
			rc = value_check(keys[k], p.steps[i].keys[k], err);
	}
	for (unsigned i = 0; i < p.n && !rc; i++) {
		if (!level_add(&e->level, &p.steps[i]))
			rc = no_memory(err);
	}
	if (rc)
		level_cut(&e->level, before);
	level_text(e);
	return rc;
}

static enum rc enter_command(struct edit *e, const char *words, struct err *err)
{
	struct words w;
	enum rc rc = words_read(&w, words, err);

	if (rc)
		return rc;
	rc = enter(e, &w, err);
	words_free(&w);
	return rc;
}

enum rc edit_up(struct edit *e, unsigned levels, struct err *err)
{
	if (levels > e->level.n)
		return err_add(err, RC_RANGE,
			e->level.n ? "there are %u levels above this one, not %u" : "this is the top",
			e->level.n, levels);
	level_cut(&e->level, e->level.n - levels);
	level_text(e);
	return RC_OK;
}

static void to_top(struct edit *e)
{
	level_cut(&e->level, 0);
	level_text(e);
}

const char *edit_level(const struct edit *e)
{
	return e->level_text;
}

/* ---- what is there ---- */

/* path: the block's, for `set` lines. */
static void show_block(struct text *t, const struct stmt *block, const char *path, bool as_set)
{
	struct stmt *plain;

	if (!as_set) {
		write_block(t, block, 0);
		return;
	}
	if (!(plain = stmt_plain(block))) {
		t->bad = true;
		return;
	}
	write_sets(t, plain, path);
	stmt_free(plain);
}

/* A block with the statements of a leaf alone, or of a list without keys. NULL: out of memory. */
static struct stmt *only_leaf(const struct stmt *block, const struct path *p)
{
	struct stmt *only = stmt_new(block->schema);

	for (const struct stmt *s = block->first; s && only; s = s->next) {
		struct stmt *copy = s->schema == p->leaf ? stmt_copy(s) : NULL;
		if (copy)
			stmt_insert(only, copy, NULL);
		if (s->schema == p->leaf && !copy) {
			stmt_free(only);
			only = NULL;
		}
	}
	return only;
}

/* An entry or container by the commands that make it, its own mark among them. */
static enum rc show_entry_set(const struct stmt *entry, struct text *t, struct err *err)
{
	char path[PATH_TEXT_MAX];
	struct stmt *only = stmt_new(entry->parent->schema), *copy = only ? stmt_copy(entry) : NULL;

	if (copy)
		stmt_insert(only, copy, NULL);
	if (copy)
		show_block(t, only, path_text(path, entry->parent), true);
	stmt_free(only);
	return copy ? RC_OK : no_memory(err);
}

static enum rc show(const struct edit *e, const struct words *w, bool as_set, struct text *t, struct err *err)
{
	char path[PATH_TEXT_MAX];
	struct path p;
	bool bad;
	enum rc rc = path_read(&p, level_schema(e), w, 0, w->n, err);
	struct stmt *block = rc ? NULL : level_find(e, false, &bad);

	if (rc)
		return rc;
	block = block ? path_find(block, &p, false, &bad) : NULL;
	if (bad)
		return no_memory(err);
	if (!block)
		return w->n ? not_there(&p, w, err) : RC_OK; /* a level that has nothing yet */
	for (const struct stmt *at = block; !as_set && at->parent; at = at->parent) {
		if (at->inactive)
			text_puts(t, at == block ? "## inactive\n" : "## in an inactive block\n");
	}
	if (!p.leaf && as_set && w->n > 0 && block->parent)
		return show_entry_set(block, t, err);
	path_text(path, block);
	if (!p.leaf) {
		show_block(t, block, path, as_set);
		return RC_OK;
	}
	struct stmt *only = only_leaf(block, &p);
	if (!only)
		return no_memory(err);
	if (only->first)
		show_block(t, only, path, as_set);
	else
		rc = not_there(&p, w, err);
	stmt_free(only);
	return rc;
}

enum rc edit_show(const struct edit *e, const char *words, bool as_set, char **ret_text, struct err *err)
{
	struct text t = { 0 };
	struct words w;
	enum rc rc = words_read(&w, words, err);

	if (rc)
		return rc;
	rc = show(e, &w, as_set, &t, err);
	words_free(&w);
	if (!rc && !(*ret_text = text_end(&t)))
		return no_memory(err);
	if (rc)
		free(t.at);
	return rc;
}

/* ---- commands ---- */

static enum rc up_command(struct edit *e, const char *words, struct err *err)
{
	char *end;
	unsigned long n = strtoul(words, &end, 10);

	end += strspn(end, " ");
	if (*end || (*words && (n == 0 || n > CONFIG_DEPTH_MAX)))
		return err_add(err, RC_MALFORMED,
			"found '%.40s', expected how many levels, or nothing for one", words);
	return edit_up(e, *words ? (unsigned)n : 1, err);
}

static enum rc rename_command(struct edit *e, const char *words, struct err *err)
{
	unsigned uses;

	return edit_rename(e, words, &uses, err);
}

static enum rc top_command(struct edit *e, const char *words, struct err *err)
{
	struct level before = e->level, *outer = e->aside;
	enum rc rc;

	if (!*words) {
		to_top(e);
		return RC_OK;
	}
	if (strncmp(words, "top", 3) == 0 && (words[3] == '\0' || words[3] == ' ' || words[3] == '\t'))
		return err_add(err, RC_MALFORMED, "top once is enough");
	e->level = (struct level){ 0 };
	e->aside = &before;
	rc = edit_command(e, words, err);
	e->aside = outer;
	if (e->level.n) { /* `top edit PATH` stays there */
		level_cut(&before, 0);
	} else {
		e->level = before;
	}
	level_text(e);
	return rc;
}

static enum rc activate_command(struct edit *e, const char *words, struct err *err)
{
	return edit_activate(e, words, true, err);
}

static enum rc deactivate_command(struct edit *e, const char *words, struct err *err)
{
	return edit_activate(e, words, false, err);
}

static const struct {
	const char *word;
	enum rc (*run)(struct edit *e, const char *words, struct err *err);
} commands[EDIT_COMMAND_COUNT] = {
	[EDIT_COMMAND_SET] = { "set", edit_set },
	[EDIT_COMMAND_DELETE] = { "delete", edit_delete },
	[EDIT_COMMAND_EDIT] = { "edit", enter_command },
	[EDIT_COMMAND_UP] = { "up", up_command },
	[EDIT_COMMAND_TOP] = { "top", top_command },
	[EDIT_COMMAND_RENAME] = { "rename", rename_command },
	[EDIT_COMMAND_COPY] = { "copy", edit_copy },
	[EDIT_COMMAND_INSERT] = { "insert", edit_insert },
	[EDIT_COMMAND_ACTIVATE] = { "activate", activate_command },
	[EDIT_COMMAND_DEACTIVATE] = { "deactivate", deactivate_command },
	[EDIT_COMMAND_ANNOTATE] = { "annotate", edit_annotate },
};

enum rc edit_command(struct edit *e, const char *line, struct err *err)
{
	struct nearest near;
	char hint[NEAREST_HINT_MAX];
	size_t n;

	line += strspn(line, " \t");
	n = strcspn(line, " \t");
	near = nearest_to(line, n);
	for (unsigned i = 0; i < EDIT_COMMAND_COUNT; i++) {
		nearest_offer(&near, commands[i].word, strlen(commands[i].word));
		if (strlen(commands[i].word) == n && memcmp(line, commands[i].word, n) == 0)
			return commands[i].run(e, line + n + strspn(line + n, " \t"), err);
	}
	return err_add(err, RC_MALFORMED, "found '%.*s', expected a command such as set or delete%s",
		(int)(n < 40 ? n : 40), line, nearest_hint(hint, &near));
}
