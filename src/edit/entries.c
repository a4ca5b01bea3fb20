/* Entries of lists get names, copies and places: rename, copy, insert. Pure. */
#include "edit/candidate.h"

#include <stdlib.h>
#include <string.h>

/* "[KEYWORD] NAME" from word `from` on: the keys of an entry of that list. */
static enum rc entry_read(struct step *ret_step, const struct lysc_node *list, const struct words *w,
	unsigned from, struct err *err)
{
	const struct lysc_node *keys[SCHEMA_KEYS_MAX];
	unsigned n = schema_keys(list, keys);
	bool by_keys = schema_shown_by_keys(list);
	enum rc rc = RC_OK;

	*ret_step = (struct step){ .schema = list };
	if (!by_keys && from + n < w->n && strcmp(w->at[from], list->name) == 0)
		from++;
	for (unsigned i = 0; i < n && !rc; i++) {
		if (by_keys && (from == w->n || strcmp(w->at[from++], keys[i]->name) != 0))
			return err_add(
				err, RC_MALFORMED, "expected '%s', and the new name of it", keys[i]->name);
		if (from == w->n)
			return err_add(err, RC_MALFORMED,
				"found the end of the command, expected the %s of a %s", keys[i]->name,
				list->name);
		ret_step->keys[i] = w->at[from++];
		rc = value_check(keys[i], ret_step->keys[i], err);
	}
	if (!rc && from < w->n)
		return err_add(
			err, RC_MALFORMED, "found '%.40s', expected the end of the command", w->at[from]);
	return rc;
}

/* "PATH to [KEYWORD] NAME". A path may have a `to` of its own: the first one that leaves a whole path before it is the command's. */
static enum rc from_to(
	struct edit *e, const struct words *w, struct stmt **ret_s, struct step *ret_to, struct err *err)
{
	struct err first = { 0 };
	unsigned best = 0;
	bool bad;

	for (unsigned i = 1; i < w->n; i++) {
		struct err at = { 0 };
		struct path p = { 0 };
		if (strcmp(w->at[i], "to") != 0)
			continue;
		enum rc rc = path_read(&p, level_schema(e), w, 0, i, &at);
		if (!rc && (p.leaf || p.n == 0 || p.steps[p.n - 1].schema->nodetype != LYS_LIST))
			rc = err_add(&at, RC_MALFORMED, "only what has a name can be given another one");
		if (!rc)
			rc = block_find(e, &p, w, false, ret_s, &at);
		if (!rc)
			rc = entry_read(ret_to, (*ret_s)->schema, w, i + 1, &at);
		if (!rc && stmt_find((*ret_s)->parent, (*ret_s)->schema, ret_to->keys, false, &bad))
			return err_add(
				err, RC_EXISTS, "there is a %s of that name already", (*ret_s)->schema->name);
		if (!rc)
			return block_find(e, &p, w, true, ret_s, err);
		if (p.n >= best) { /* what came furthest is what was meant */
			best = p.n;
			first = at;
		}
	}
	if (!first.rc)
		return err_add(
			err, RC_MALFORMED, "found the end of the command, expected 'to', and the new name");
	return err_add(err, first.rc, "%s", first.text);
}

static bool keys_set(struct stmt *s, const struct step *to)
{
	bool good = true;

	for (size_t i = 0; i < s->words_n && good; i++)
		good = stmt_set_word(s, i, to->keys[i]);
	return good;
}

/* ---- rename ---- */

static bool refers_to(const struct lysc_node *leaf, const struct lysc_node *list)
{
	const struct lysc_node *lists[SCHEMA_REFERS_MAX];
	unsigned n = schema_refers(leaf, lists);

	while (n > 0) {
		if (lists[--n] == list)
			return true;
	}
	return false;
}

/* Words of a statement that name the entry: values, and keys. False: out of memory. */
static bool follow(
	struct stmt *s, const struct lysc_node *list, const char *old, const char *name, unsigned *uses)
{
	const struct lysc_node *keys[SCHEMA_KEYS_MAX];
	bool is_list = s->schema->nodetype == LYS_LIST, good = true;
	unsigned n = is_list ? schema_keys(s->schema, keys) : 0;

	if (s->words_n == 0 || (!is_list && !refers_to(s->schema, list)))
		return true;
	for (size_t i = 0; i < s->words_n && good; i++) {
		if (strcmp(s->words[i], old) != 0 || (is_list && !refers_to(keys[s->many    ? 0
										    : i < n ? i
											    : 0],
									 list)))
			continue;
		good = stmt_set_word(s, i, name);
		*uses += good;
	}
	return good;
}

/* A level in or under the entry, or under what is named by it, goes by its new name. False: out of memory. */
static bool level_follow(
	const struct edit *e, struct level *l, const struct stmt *entry, const struct step *to)
{
	const struct lysc_node *keys[SCHEMA_KEYS_MAX];
	bool good = true;

	for (unsigned i = 0; l && i < l->n && good; i++) {
		unsigned n = schema_keys(l->schema[i], keys);
		bool is_it = level_block(e, l, i + 1) == entry;
		for (unsigned k = 0; k < n && good; k++) {
			const char *name = is_it ? to->keys[k] : NULL;
			if (entry->words_n == 1 && refers_to(keys[k], entry->schema) &&
				strcmp(l->keys[i][k], entry->words[0]) == 0)
				name = to->keys[0];
			char *copy = name ? strdup(name) : NULL;
			good = !name || copy;
			if (copy) {
				free(l->keys[i][k]);
				l->keys[i][k] = copy;
			}
		}
	}
	return good;
}

/* A name that another kind of object has which the same statements name: uses could not be told apart any more. */
static bool name_is_taken(struct edit *e, const struct lysc_node *list, const char *name)
{
	const struct lysc_node *lists[SCHEMA_REFERS_MAX];
	size_t i;

	for (struct stmt *s = e->root; s; s = stmt_walk(e->root, s)) {
		if (!s->schema || !(s->schema->nodetype & (LYS_LEAF | LYS_LEAFLIST)) ||
			!refers_to(s->schema, list))
			continue;
		unsigned n = schema_refers(s->schema, lists);
		for (struct stmt *at = n > 1 ? e->root : NULL; at; at = stmt_walk(e->root, at)) {
			bool other = at->schema && at->schema != list &&
				     (at->schema == lists[0] || at->schema == lists[1]);
			if (other && stmt_has_word(at, name, &i))
				return true;
		}
		if (n > 1)
			return false; /* all statements that name it name the same kinds */
	}
	return false;
}

static enum rc rename_words(struct edit *e, struct words *w, struct err *err)
{
	struct stmt *entry;
	struct step to;
	enum rc rc = from_to(e, w, &entry, &to, err);
	char *old;
	bool good = true;

	if (rc)
		return rc;
	if (entry->words_n == 1 && name_is_taken(e, entry->schema, to.keys[0]))
		return err_add(err, RC_EXISTS,
			"there is another object of that name already, which the same rules can name");
	if (!level_follow(e, &e->level, entry, &to) || !level_follow(e, e->aside, entry, &to))
		return no_memory(err);
	if (entry->words_n == 1) {
		if (!(old = strdup(entry->words[0])))
			return no_memory(err);
		for (struct stmt *s = e->root; s && good; s = stmt_walk(e->root, s)) {
			if (s->schema && s != entry)
				good = follow(s, entry->schema, old, to.keys[0], &e->uses);
		}
		free(old);
	}
	return good && keys_set(entry, &to) ? RC_OK : no_memory(err);
}

enum rc edit_rename(struct edit *e, const char *words, unsigned *ret_uses, struct err *err)
{
	enum rc rc;

	e->uses = 0;
	rc = with_words(e, words, rename_words, err);
	*ret_uses = e->uses;
	return rc;
}

/* ---- copy ---- */

static enum rc copy_words(struct edit *e, struct words *w, struct err *err)
{
	struct stmt *entry, *copy;
	struct step to;
	enum rc rc = from_to(e, w, &entry, &to, err);

	if (rc)
		return rc;
	if (!(copy = stmt_copy(entry)) || !keys_set(copy, &to)) {
		stmt_free(copy);
		return no_memory(err);
	}
	stmt_insert(entry->parent, copy, entry->next);
	return RC_OK;
}

enum rc edit_copy(struct edit *e, const char *words, struct err *err)
{
	return with_words(e, words, copy_words, err);
}

/* ---- insert ---- */

static bool same_keys(const struct step *a, const struct step *b)
{
	for (unsigned i = 0; i < SCHEMA_KEYS_MAX; i++) {
		if (!a->keys[i] != !b->keys[i] || (a->keys[i] && strcmp(a->keys[i], b->keys[i]) != 0))
			return false;
	}
	return true;
}

static enum rc insert_words(struct edit *e, struct words *w, struct err *err)
{
	struct stmt *moved = NULL, *by = NULL;
	bool before = false, bad = false;
	struct path p;
	struct step q;
	unsigned at = w->n;
	enum rc rc;

	for (unsigned i = 1; i < w->n; i++) {
		if (strcmp(w->at[i], "before") == 0 || strcmp(w->at[i], "after") == 0)
			at = i;
	}
	if (at == w->n)
		return err_add(err, RC_MALFORMED, "expected 'before' or 'after', and which one");
	before = strcmp(w->at[at], "before") == 0;
	if ((rc = path_read(&p, level_schema(e), w, 0, at, err)) ||
		(rc = block_find(e, &p, w, false, &moved, err)))
		return rc;
	if (p.leaf || p.n == 0 || moved->schema->nodetype != LYS_LIST ||
		!(moved->schema->flags & LYS_ORDBY_USER))
		return err_add(err, RC_MALFORMED,
			"only entries of a list whose order counts are moved, as rules; values stand in the order in which they are set");
	if ((rc = entry_read(&q, moved->schema, w, at + 1, err)))
		return rc;
	by = stmt_find(moved->parent, moved->schema, q.keys, false, &bad);
	if (!by || same_keys(&p.steps[p.n - 1], &q))
		return err_add(err, RC_NOT_FOUND,
			by ? "that is the same %s" : "there is no such %s in this block",
			moved->schema->name);
	struct stmt *block = moved->parent;
	if ((rc = block_find(e, &p, w, true, &moved, err)))
		return rc;
	if (!(by = stmt_find(block, moved->schema, q.keys, true, &bad)))
		return no_memory(err);
	stmt_unlink(moved);
	stmt_insert(block, moved, before ? by : by->next);
	return RC_OK;
}

enum rc edit_insert(struct edit *e, const char *words, struct err *err)
{
	return with_words(e, words, insert_words, err);
}
