/*
 * How two texts differ, as `show | compare` of Junos writes it: each block in which something differs with its path, and under it what the one
 * does not have (+) or only the other has (-). A block that only one of them has is written whole. ! marks entries of a list that stand in
 * another order.
 * Pure.
 */
#include "edit/candidate.h"

#include <stdlib.h>
#include <string.h>

#include "edit/read.h"

struct compare {
	struct text out;
	const char *level; /* at which both begin */
	bool said;	   /* the path of the block at hand */
	bool full;	   /* what follows is left out */
};

static void say_path(struct compare *c, const struct stmt *block)
{
	char path[PATH_TEXT_MAX];

	if (c->said)
		return;
	c->said = true;
	path_text(path, block);
	text_puts(&c->out, "[edit");
	text_puts(&c->out, *c->level ? " " : "");
	text_puts(&c->out, c->level);
	text_puts(&c->out, *path ? " " : "");
	text_puts(&c->out, path);
	text_puts(&c->out, "]\n");
}

/* A statement whole, each line behind its mark. */
static void say_stmt(struct compare *c, const struct stmt *block, char mark, const struct stmt *s)
{
	struct text t = { 0 };

	if (c->full)
		return;
	say_path(c, block);
	write_stmt(&t, s, 0);
	for (const char *at = t.at; at && *at && !t.bad;) {
		size_t n = strcspn(at, "\n");
		text_put(&c->out, &mark, 1);
		text_puts(&c->out, "  ");
		text_put(&c->out, at, n);
		text_puts(&c->out, "\n");
		at += n + (at[n] == '\n');
	}
	c->out.bad |= t.bad;
	free(t.at);
	if (c->out.n <= DIFFERENCES_MAX)
		return;
	c->full = true;
	text_puts(&c->out, "... and more\n");
}

/* A statement without what it contains. */
static void say_head(struct compare *c, const struct stmt *block, char mark, const struct stmt *s)
{
	struct stmt head = *s;

	head.first = head.last = NULL;
	head.below = NULL;
	say_stmt(c, block, mark, &head);
}

/* Its counterpart in the other block, in which it is looked for from `from` on: mostly it is the first one there. */
static const struct stmt *counterpart(const struct stmt *s, const struct stmt *other, const struct stmt *from)
{
	for (const struct stmt *at = from; at; at = at->next) {
		if (stmt_same(s, at) && (s->schema->nodetype != LYS_LEAFLIST || s->inactive == at->inactive))
			return at;
	}
	for (const struct stmt *at = other->first; at != from; at = at->next) {
		if (stmt_same(s, at) && (s->schema->nodetype != LYS_LEAFLIST || s->inactive == at->inactive))
			return at;
	}
	return NULL;
}

static int by_text(const void *a, const void *b)
{
	return strcmp(*(char *const *)a, *(char *const *)b);
}

/* Values that only `a` has, as one statement. A list may have a million. */
static void say_values(
	struct compare *c, const struct stmt *block, char mark, const struct stmt *a, const struct stmt *b)
{
	struct stmt only = { .schema = a->schema, .inactive = a->inactive };
	char **sorted = malloc((b->words_n + 1) * sizeof *sorted);

	if (!sorted) {
		c->out.bad = true;
		return;
	}
	if (b->words_n)
		memcpy(sorted, b->words, b->words_n * sizeof *sorted);
	qsort(sorted, b->words_n, sizeof *sorted, by_text);
	for (size_t k = 0; k < a->words_n; k++) {
		if (!bsearch(&a->words[k], sorted, b->words_n, sizeof *sorted, by_text) &&
			!stmt_add_word(&only, a->words[k], strlen(a->words[k])))
			c->out.bad = true;
	}
	free(sorted);
	if (only.words_n > 0)
		say_stmt(c, block, mark, &only);
	for (size_t k = 0; k < only.words_n; k++)
		free(only.words[k]);
	free(only.words);
}

/* The same values in another order, of a list whose order counts (proposals: which is preferred). */
static bool other_order(const struct stmt *old, const struct stmt *new)
{
	struct stmt sorted[2] = { { 0 } };
	bool other = old->words_n == new->words_n && old->schema->flags &LYS_ORDBY_USER, same = true;

	for (size_t i = 0; i < old->words_n && other && same; i++)
		same = strcmp(old->words[i], new->words[i]) == 0;
	if (!other || same)
		return false;
	for (unsigned k = 0; k < 2; k++) {
		const struct stmt *of = k ? new : old;
		if ((sorted[k].words = malloc(of->words_n * sizeof *of->words))) {
			memcpy(sorted[k].words, of->words, of->words_n * sizeof *of->words);
			qsort(sorted[k].words, of->words_n, sizeof *of->words, by_text);
		}
	}
	for (size_t i = 0; i < old->words_n && other && sorted[0].words && sorted[1].words; i++)
		other = strcmp(sorted[0].words[i], sorted[1].words[i]) == 0;
	free(sorted[0].words);
	free(sorted[1].words);
	return other;
}

/* Of a leaf or leaf-list its values, of a block whether it is inactive. */
static void pair(struct compare *c, const struct stmt *old_block, const struct stmt *old,
	const struct stmt *new_block, const struct stmt *new)
{
	bool other_value = old->schema->nodetype == LYS_LEAF && old->words_n &&
			   new->words_n &&strcmp(old->words[0], new->words[0]) != 0;

	if (old->schema->nodetype == LYS_LEAFLIST) {
		say_values(c, old_block, '-', old, new);
		say_values(c, new_block, '+', new, old);
		if (other_order(old, new))
			say_stmt(c, new_block, '!', new);
	} else if (old->inactive != new->inactive || other_value) {
		say_head(c, old_block, '-', old);
		say_head(c, new_block, '+', new);
	}
}

/* Entries of a list whose order counts, and that both have: those that stand before one which they stood behind. */
static void say_order(struct compare *c, const struct stmt *old, const struct stmt *new)
{
	const struct stmt *last = NULL; /* the counterpart of the entry before */

	for (const struct stmt *s = new->first; s; s = s->next) {
		if (s->schema->nodetype != LYS_LIST || !(s->schema->flags & LYS_ORDBY_USER))
			continue;
		if (last && last->schema != s->schema)
			last = NULL;
		const struct stmt *was = counterpart(s, old, last ? last : old->first), *at = last;
		if (!was)
			continue;
		while (at && at != was)
			at = at->next;
		if (last && !at)
			say_head(c, new, '!', s);
		else
			last = was;
	}
}

/* What only `a` has. */
static void say_only(struct compare *c, char mark, const struct stmt *a, const struct stmt *b)
{
	const struct stmt *next = b->first;

	for (const struct stmt *s = a->first; s; s = s->next) {
		const struct stmt *other = counterpart(s, b, next);
		if (other)
			next = other->next;
		else
			say_stmt(c, a, mark, s);
	}
}

/* First the block's own statements, then what is within those that both have, each under a path of its own. */
static void blocks(struct compare *c, const struct stmt *old, const struct stmt *new)
{
	const struct stmt *next = new->first, *other;

	c->said = false;
	say_only(c, '-', old, new);
	say_only(c, '+', new, old);
	say_order(c, old, new);
	for (const struct stmt *s = old->first; s; s = s->next) {
		if ((other = counterpart(s, new, next))) {
			pair(c, old, s, new, other);
			next = other->next;
		}
	}
	next = new->first;
	for (const struct stmt *s = old->first; s; s = s->next) {
		if ((other = counterpart(s, new, next))) {
			if (s->first || other->first)
				blocks(c, s, other);
			next = other->next;
		}
	}
}

static enum rc compare_at(const struct edit *e, struct stmt *old_root, struct compare *c, struct err *err)
{
	struct edit other = *e;
	bool bad = false, bad_too = false;
	struct stmt nothing = { 0 };

	other.root = old_root;
	struct stmt *old = level_find(&other, false, &bad), *new = level_find(e, false, &bad_too);
	if (bad || bad_too)
		return no_memory(err);
	nothing.schema = level_schema(e);
	struct stmt *old_plain = stmt_plain(old ? old : &nothing),
		    *new_plain = stmt_plain(new ? new : &nothing);
	if (old_plain && new_plain)
		blocks(c, old_plain, new_plain);
	bad = !old_plain || !new_plain || c->out.bad;
	stmt_free(old_plain);
	stmt_free(new_plain);
	return bad ? no_memory(err) : RC_OK;
}

enum rc edit_compare(
	const struct edit *e, const char *text, size_t n, const char *name, char **ret_text, struct err *err)
{
	struct compare c = { .level = e->level_text };
	struct stmt *old = NULL;
	enum rc rc = edit_read(&old, NULL, text, n, name, false, err);

	if (rc)
		return rc;
	rc = compare_at(e, old, &c, err);
	stmt_free(old);
	text_put(&c.out, "", 0);
	if (rc || c.out.bad) {
		free(c.out.at);
		return rc ? rc : no_memory(err);
	}
	*ret_text = c.out.at;
	return RC_OK;
}
