/*
 * Junos as text: `set` lines, or statements with braces. Both make the same tree.
 *
 * With braces a statement may be of several lines, and may be marked `inactive:`. Of set lines there are also `deactivate` and `delete`, which
 * change what came before.
 */
#include "import/tree.h"

#include <stdio.h>
#include <string.h>

/* Where the reading is. */
struct reader {
	struct tree *tree;
	const char *at, *end;
	uint32_t line;
	struct err *e;
};

static bool starts(const struct reader *r, const char *with)
{
	size_t n = strlen(with);

	return (size_t)(r->end - r->at) >= n && memcmp(r->at, with, n) == 0;
}

static enum rc fault(struct reader *r, uint32_t line, enum rc rc)
{
	struct err *e = r->e;

	if (e) {
		struct err said = *e;
		err_clear(e);
		err_add(e, rc, "line %u: %s", line, said.text);
	}
	return rc;
}

/* Past white space and comments. RC_MALFORMED: a comment has no end. */
static enum rc skip(struct reader *r)
{
	while (r->at < r->end) {
		uint32_t began = r->line;
		if (*r->at == '#') {
			while (r->at < r->end && *r->at != '\n')
				r->at++;
		} else if (starts(r, "/*")) {
			while (r->at < r->end && !starts(r, "*/"))
				r->line += *r->at++ == '\n';
			if (r->at == r->end) {
				err_add(r->e, RC_MALFORMED, "a comment without its end");
				return fault(r, began, RC_MALFORMED);
			}
			r->at += 2;
		} else if (strchr(" \t\r\n", *r->at) && *r->at) {
			r->line += *r->at++ == '\n';
		} else {
			break;
		}
	}
	return RC_OK;
}

/* ---- set lines ---- */

/* What came before, by its words; NULL: nothing did. */
static struct node *found(struct tree *t, const char *const *words, size_t n)
{
	struct node *at = &t->root;

	for (size_t i = 0; at && i < n; i++)
		at = node_child(at, words[i]);
	return at == &t->root ? NULL : at;
}

/* Statements that were taken back end nowhere any more. */
static void forget(struct tree *t, struct node *gone)
{
	struct node *parent = gone->parent, *before = NULL;
	size_t kept = 0;

	for (size_t i = 0; i < t->ends_n; i++) {
		const struct node *n = t->ends[i].node;
		while (n && n != gone)
			n = n->parent;
		if (!n)
			t->ends[kept++] = t->ends[i];
	}
	t->ends_n = kept;
	for (struct node *c = parent->child; c != gone; c = c->next)
		before = c;
	*(before ? &before->next : &parent->child) = gone->next;
	if (parent->last == gone)
		parent->last = before;
}

static void one_line(struct tree *t, const char **words, size_t n, uint32_t line)
{
	const char *verb = words[0];
	struct node *what;

	if (strcmp(verb, "set") == 0 && n > 1) {
		tree_state(t, &t->root, words + 1, n - 1, line);
	} else if (strcmp(verb, "deactivate") == 0 || strcmp(verb, "activate") == 0) {
		what = found(t, words + 1, n - 1);
		if (what)
			what->inactive = *verb == 'd';
	} else if (strcmp(verb, "delete") == 0) {
		what = found(t, words + 1, n - 1);
		if (what)
			forget(t, what);
	} else {
		what = tree_state(t, &t->root, words, n, line);
		what->outcome = IMPORT_UNKNOWN;
		what->note = "it does not begin with set, deactivate or delete";
	}
}

static enum rc read_lines(struct reader *r)
{
	const char *words[LINE_WORDS_MAX];

	while (r->at < r->end) {
		enum rc rc = skip(r);
		if (rc || r->at == r->end)
			return rc;
		const char *to = memchr(r->at, '\n', (size_t)(r->end - r->at));
		size_t n;
		if (!to)
			to = r->end;
		rc = line_words(r->tree, r->at, (size_t)(to - r->at), words, &n, r->e);
		if (rc)
			return fault(r, r->line, rc);
		if (n > TREE_DEPTH_MAX && !memchr(r->at, '[', (size_t)(to - r->at))) {
			err_add(r->e, RC_LIMIT, "a statement of more than %d words", TREE_DEPTH_MAX);
			return fault(r, r->line, RC_LIMIT);
		}
		if (n)
			one_line(r->tree, words, n, r->line);
		r->at = to;
	}
	return RC_OK;
}

/* ---- braces ---- */

/* The words up to `;`, `{` or `}`, which *ret_mark is; '\0' at the end of the text. */
static enum rc read_words(
	struct reader *r, const char **words, size_t *ret_n, char *ret_mark, uint32_t *ret_line)
{
	*ret_n = 0;
	*ret_mark = '\0';
	for (;;) {
		enum rc rc = skip(r);
		if (rc)
			return rc;
		if (!*ret_n)
			*ret_line = r->line;
		if (r->at == r->end)
			return RC_OK;
		if (*r->at && strchr(";{}", *r->at)) {
			*ret_mark = *r->at++;
			return RC_OK;
		}
		const char *to = r->at;
		bool quoted = false;
		while (to < r->end && *to != '\n' && (quoted || !*to || !strchr(";{}#", *to))) {
			if (quoted && *to == '\\' && to + 1 < r->end && to[1] != '\n')
				to++; /* and what it quotes */
			else
				quoted ^= *to == '"';
			to++;
		}
		size_t n;
		rc = line_words(r->tree, r->at, (size_t)(to - r->at), words + *ret_n, &n, r->e);
		if (rc)
			return fault(r, r->line, rc);
		*ret_n += n;
		r->at = to;
		if (*ret_n > LINE_WORDS_MAX) {
			err_add(r->e, RC_LIMIT, "a statement of more than %d words", LINE_WORDS_MAX);
			return fault(r, *ret_line, RC_LIMIT);
		}
	}
}

static bool is_mark(const char *word)
{
	return strcmp(word, "inactive:") == 0 || strcmp(word, "protect:") == 0 ||
	       strcmp(word, "replace:") == 0;
}

static enum rc read_braces(struct reader *r)
{
	struct node *open[TREE_DEPTH_MAX] = { &r->tree->root };
	const char *room[2 * LINE_WORDS_MAX];
	size_t depth = 0, n;
	uint32_t line;
	char mark;

	for (;;) {
		const char **words = room;
		enum rc rc = read_words(r, words, &n, &mark, &line);
		bool inactive = false;
		if (rc)
			return rc;
		for (; n && is_mark(words[0]); words++, n--)
			inactive |= words[0][0] == 'i';
		if (mark == '}' && !n && depth) {
			depth--;
		} else if (mark == ';' && n) {
			size_t before = r->tree->ends_n;
			tree_state(r->tree, open[depth], words, n, line);
			for (size_t i = before; i < r->tree->ends_n; i++)
				r->tree->ends[i].node->inactive |= inactive;
		} else if (mark == '{' && n && n <= TREE_DEPTH_MAX && depth + 1 < TREE_DEPTH_MAX) {
			struct node *at = open[depth];
			for (size_t i = 0; i < n; i++)
				at = tree_enter(r->tree, at, words[i], line);
			open[++depth] = at;
			at->inactive |= inactive;
		} else if (!mark && !n && !depth) {
			return RC_OK;
		} else if (mark == '{' && n) {
			err_add(r->e, RC_LIMIT, "more than %d open braces, or words before one",
				TREE_DEPTH_MAX);
			return fault(r, line, RC_LIMIT);
		} else {
			if (mark)
				err_add(r->e, RC_MALFORMED, "'%c' without what belongs before it", mark);
			else
				err_add(r->e, RC_MALFORMED, "the text ends within a statement or a brace");
			return fault(r, line, RC_MALFORMED);
		}
	}
}

enum rc junos_read(struct tree *t, const char *text, size_t n, struct err *e)
{
	struct reader r = { .tree = t, .at = text, .end = text + n, .line = 1, .e = e };
	enum rc rc = skip(&r);

	if (rc)
		return rc;
	return starts(&r, "set ") || starts(&r, "delete ") || starts(&r, "deactivate ") ? read_lines(&r)
											: read_braces(&r);
}
