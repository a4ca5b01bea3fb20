/* What the commands share: the level they begin at, words, the places that these name, values. Pure. */
#include "edit/candidate.h"

#include <stdlib.h>
#include <string.h>

#include "edit/read.h"

enum rc no_memory(struct err *err)
{
	return err_add(err, RC_INTERNAL, "out of memory");
}

/* ---- the level ---- */

void level_cut(struct level *l, unsigned n)
{
	for (; l->n > n; l->n--)
		for (unsigned i = 0; i < SCHEMA_KEYS_MAX; i++) {
			free(l->keys[l->n - 1][i]);
			l->keys[l->n - 1][i] = NULL;
		}
}

const struct lysc_node *level_schema(const struct edit *e)
{
	return e->level.n ? e->level.schema[e->level.n - 1] : NULL;
}

static void level_path(const struct level *l, struct path *ret_path)
{
	*ret_path = (struct path){ .n = l->n };
	for (unsigned i = 0; i < l->n; i++) {
		ret_path->steps[i].schema = l->schema[i];
		memcpy(ret_path->steps[i].keys, l->keys[i], sizeof l->keys[i]);
	}
}

struct stmt *level_find(const struct edit *e, bool alone, bool *ret_bad)
{
	struct path p;

	level_path(&e->level, &p);
	return path_find(e->root, &p, alone, ret_bad);
}

const struct stmt *level_block(const struct edit *e, const struct level *l, unsigned n)
{
	struct path p;
	bool bad;

	level_path(l, &p);
	p.n = n;
	return path_find(e->root, &p, false, &bad);
}

struct stmt *level_make(struct edit *e)
{
	struct path p;

	level_path(&e->level, &p);
	return path_make(e->root, &p);
}

void level_text(struct edit *e)
{
	struct stmt blocks[CONFIG_DEPTH_MAX + 1] = { { 0 } };
	unsigned n = e->level.n;

	for (unsigned i = 0; i < n; i++)
		blocks[i + 1] = (struct stmt){ .parent = &blocks[i],
			.schema = e->level.schema[i],
			.words = e->level.keys[i],
			.words_n = schema_keys(
				e->level.schema[i], (const struct lysc_node *[SCHEMA_KEYS_MAX]){ NULL }) };
	path_text(e->level_text, &blocks[n]);
}

bool level_add(struct level *l, const struct step *s)
{
	if (l->n == CONFIG_DEPTH_MAX)
		return false;
	l->schema[l->n++] = s->schema;
	for (unsigned i = 0; i < SCHEMA_KEYS_MAX; i++) {
		char *copy = s->keys[i] ? strdup(s->keys[i]) : NULL;
		if (s->keys[i] && !copy)
			return false;
		l->keys[l->n - 1][i] = copy;
	}
	return true;
}

bool level_copy(struct level *ret_copy, const struct level *l)
{
	*ret_copy = (struct level){ 0 };
	for (unsigned i = 0; i < l->n; i++) {
		struct step s = { .schema = l->schema[i] };
		memcpy(s.keys, l->keys[i], sizeof s.keys);
		if (!level_add(ret_copy, &s))
			return false;
	}
	return true;
}

/* ---- places ---- */

enum rc value_check(const struct lysc_node *leaf, const char *value, struct err *err)
{
	char expected[EXPECTED_MAX] = "", hint[NEAREST_HINT_MAX];
	struct nearest near = nearest_to(value, strlen(value));
	LY_ERR valid = lyd_value_validate(schema_ctx(), leaf, value, strlen(value), NULL, NULL, NULL);

	if (valid == LY_SUCCESS ||
		valid == LY_EINCOMPLETE) /* a reference: the whole text says whether it is one to something */
		return RC_OK;
	schema_value_expected(leaf, expected, sizeof expected);
	nearest_offer_type(&near, schema_type(leaf));
	return err_add(
		err, RC_RANGE, "found '%.60s', expected %s%s", value, expected, nearest_hint(hint, &near));
}

enum rc not_there(const struct path *p, const struct words *w, struct err *err)
{
	struct text t = { 0 };
	enum rc rc;

	for (unsigned i = 0; i < w->n; i++) {
		text_puts(&t, i ? " " : "");
		text_puts(&t, w->at[i]);
	}
	rc = err_add(err, RC_NOT_FOUND, "there is no '%.200s' here%s", t.at ? t.at : "",
		p->leaf && p->leaf->nodetype == LYS_LIST ? "; nor any other" : "");
	free(t.at);
	return rc;
}

enum rc with_words(struct edit *e, const char *line,
	enum rc (*run)(struct edit *e, struct words *w, struct err *err), struct err *err)
{
	struct words w;
	enum rc rc = words_read(&w, line, err);

	if (rc)
		return rc;
	rc = run(e, &w, err);
	if (!rc)
		e->changed = true;
	words_free(&w);
	return rc;
}

enum rc block_find(struct edit *e, const struct path *p, const struct words *w, bool alone,
	struct stmt **ret_block, struct err *err)
{
	bool bad;
	struct stmt *block = level_find(e, alone, &bad);

	if (block)
		block = path_find(block, p, alone, &bad);
	if (bad)
		return no_memory(err);
	*ret_block = block;
	return block ? RC_OK : not_there(p, w, err);
}

struct stmt *leaf_find(struct stmt *block, const struct lysc_node *leaf)
{
	bool bad;

	return stmt_find(block, leaf, NULL, false, &bad);
}

bool leaf_list_has(struct stmt *block, const struct lysc_node *leaf, const char *value, struct stmt **ret_s,
	size_t *ret_i)
{
	for (struct stmt *s = block->first; s; s = s->next) {
		if (s->schema == leaf && stmt_has_word(s, value, ret_i)) {
			*ret_s = s;
			return true;
		}
	}
	return false;
}
