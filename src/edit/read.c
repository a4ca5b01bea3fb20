/*
 * Text to statements. The grammar is that of model/parse.c, but nothing is asked of values: what is wrong with a text as a whole `commit
 * check` says, with
 * all that is wrong at once. Here the first fault ends it. Comments go to the statement that they stand before, or behind.
 */
#include "edit/read.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "model/lexer.h"

struct reader {
	struct lexer lex;
	const char *name;
	const char *behind; /* the end of the token before the current one */
	struct stmt *ended; /* a comment on the rest of its line is its; NULL: there is none */
	struct text above;  /* comments that wait for their statement */
	unsigned depth;
	bool marks; /* `replace:` may stand before a statement */
	struct err *e;
};

/* ---- comments ---- */

static void text_add(struct text *t, const char *line, size_t n)
{
	text_put(t, line, n);
	text_put(t, "\n", 1);
}

/* The lines of a comment, each without the space around it. */
static void comment_lines(struct text *t, const char *at, const char *end)
{
	while (at < end) {
		const char *line_end = memchr(at, '\n', (size_t)(end - at));
		const char *next = line_end ? line_end + 1 : end;
		line_end = line_end ? line_end : end;
		while (at < line_end && (*at == ' ' || *at == '\t'))
			at++;
		while (line_end > at && (line_end[-1] == ' ' || line_end[-1] == '\t' || line_end[-1] == '\r'))
			line_end--;
		text_add(t, at, (size_t)(line_end - at));
		at = next;
	}
}

static const char *comment_end(const char *at, const char *end)
{
	if (*at == '#') {
		const char *line_end = memchr(at, '\n', (size_t)(end - at));
		return line_end ? line_end : end;
	}
	for (at += 2; at + 2 <= end && memcmp(at, "*/", 2) != 0;)
		at++;
	return at + 2;
}

/* On the line of the statement that has ended: its own, if it fits on that line. */
static bool is_beside(struct reader *r, const char *at, const char *end)
{
	return r->ended && !r->ended->beside && !memchr(at, '\n', (size_t)(end - at));
}

/* What stands between two tokens: space and comments. */
static void gap_read(struct reader *r, const char *at, const char *end)
{
	unsigned lines = 0;

	while (at < end) {
		if (*at != '#' && *at != '/') {
			lines += *at++ == '\n';
			continue;
		}
		const char *stop = comment_end(at, end);
		if (lines == 0 && is_beside(r, at, stop)) {
			if (!(r->ended->beside = strndup(at, (size_t)(stop - at))))
				r->above.bad = true;
		} else {
			if (lines > 1)
				text_add(&r->above, "", 0);
			comment_lines(&r->above, at, stop);
		}
		lines = 0;
		at = stop;
	}
	if (lines > 1)
		text_add(&r->above, "", 0);
	r->ended = NULL;
}

/* The comments that wait become those of `to`; true also where there are none. */
static bool above_take(struct reader *r, char **to)
{
	bool good = !r->above.bad;

	free(*to);
	*to = NULL;
	if (r->above.n)
		*to = r->above.at;
	else
		free(r->above.at);
	r->above = (struct text){ 0 };
	return good;
}

/* ---- tokens ---- */

__attribute__((format(printf, 3, 4))) static enum rc fault(
	struct reader *r, struct place at, const char *fmt, ...)
{
	char text[ERR_TEXT_MAX];
	va_list args;

	va_start(args, fmt);
	vsnprintf(text, sizeof text, fmt, args);
	va_end(args);
	return err_add(r->e, RC_MALFORMED, "%s:%u:%u: %s", r->name, at.line, at.column, text);
}

static enum rc no_memory(struct reader *r)
{
	return err_add(r->e, RC_INTERNAL, "out of memory");
}

static enum rc advance(struct reader *r)
{
	struct err e = { 0 };
	enum rc rc;

	r->behind = r->lex.at;
	if ((rc = lexer_next(&r->lex, &e)))
		return fault(r, r->lex.fault, "%s", e.text);
	gap_read(r, r->behind, r->lex.begin);
	return r->above.bad ? no_memory(r) : RC_OK;
}

static bool at_value(const struct reader *r)
{
	return r->lex.token.kind == TOKEN_WORD || r->lex.token.kind == TOKEN_QUOTED;
}

static bool at_word(const struct reader *r, const char *word)
{
	const struct token *t = &r->lex.token;

	return t->kind == TOKEN_WORD && t->n == strlen(word) && memcmp(t->at, word, t->n) == 0;
}

static enum rc unexpected(struct reader *r, const char *expected)
{
	char found[TOKEN_TEXT_MAX];

	return fault(
		r, r->lex.token.place, "found %s, expected %s", token_text(found, &r->lex.token), expected);
}

static enum rc no_such_statement(struct reader *r, const struct lysc_node *parent)
{
	const struct token *t = &r->lex.token;
	struct nearest near = nearest_to(t->at, t->kind == TOKEN_WORD ? t->n : 0);
	char expected[EXPECTED_MAX] = "", hint[NEAREST_HINT_MAX], found[TOKEN_TEXT_MAX];
	const struct lysc_node *child = NULL;

	while ((child = schema_next(parent, child))) {
		const char *word = schema_keyword(child);
		expected_add(expected, sizeof expected, word, strlen(word));
		nearest_offer(&near, word, strlen(word));
	}
	return fault(r, t->place, "found %s, expected one of: %s%s", token_text(found, t), expected,
		nearest_hint(hint, &near));
}

/* ---- statements ---- */

static enum rc word_take(struct reader *r, struct stmt *s, const char *expected)
{
	if (!at_value(r))
		return unexpected(r, expected);
	if (!stmt_add_word(s, r->lex.token.at, r->lex.token.n))
		return no_memory(r);
	return advance(r);
}

/* "value" or "[ value value ]". */
static enum rc words_take(struct reader *r, struct stmt *s)
{
	enum rc rc;

	if (r->lex.token.kind != TOKEN_LIST)
		return word_take(r, s, "a value");
	if ((rc = advance(r)))
		return rc;
	do {
		if ((rc = word_take(r, s, "a value")))
			return rc;
	} while (at_value(r));
	return r->lex.token.kind == TOKEN_LIST_END ? advance(r) : unexpected(r, "a value, ]");
}

static enum rc keys_take(struct reader *r, struct stmt *s)
{
	const struct lysc_node *keys[SCHEMA_KEYS_MAX];
	unsigned n = schema_keys(s->schema, keys);
	enum rc rc = RC_OK;

	if (n == 1 && r->lex.token.kind == TOKEN_LIST) {
		rc = words_take(r, s);
		s->many = s->words_n > 1;
		return rc;
	}
	for (unsigned i = 0; i < n && !rc; i++) {
		if (i > 0 && schema_shown_by_keys(s->schema)) {
			if (!at_word(r, keys[i]->name))
				return unexpected(r, keys[i]->name);
			if ((rc = advance(r)))
				return rc;
		}
		rc = word_take(r, s, keys[i]->name);
	}
	return rc;
}

static enum rc end_take(struct reader *r, struct stmt *s)
{
	if (r->lex.token.kind != TOKEN_SEMICOLON)
		return unexpected(r, ";");
	r->ended = s;
	return advance(r);
}

static enum rc statements(struct reader *r, struct stmt *block);

static enum rc block_take(struct reader *r, struct stmt *s)
{
	struct place begin = r->lex.token.place;
	enum rc rc;

	if (s->many || r->lex.token.kind != TOKEN_OPEN)
		return end_take(r, s);
	if (++r->depth > CONFIG_DEPTH_MAX)
		return fault(r, begin, "braces are nested more than %d deep", CONFIG_DEPTH_MAX);
	r->ended = s;
	if ((rc = advance(r)) || (rc = statements(r, s)))
		return rc;
	r->depth--;
	if (r->lex.token.kind != TOKEN_CLOSE)
		return fault(r, r->lex.token.place,
			"found the end of the text, expected '}': its '{' is in line %u", begin.line);
	if (!above_take(r, &s->below))
		return no_memory(r);
	return advance(r);
}

static enum rc content_take(struct reader *r, struct stmt *s)
{
	enum rc rc = RC_OK;

	switch (s->schema->nodetype) {
	case LYS_CONTAINER:
		return block_take(r, s);
	case LYS_LIST:
		rc = keys_take(r, s);
		return rc ? rc : block_take(r, s);
	case LYS_LEAFLIST:
		rc = words_take(r, s);
		return rc ? rc : end_take(r, s);
	default:
		if (!schema_is_empty_leaf(s->schema))
			rc = word_take(r, s, "a value");
		return rc ? rc : end_take(r, s);
	}
}

static enum rc marks_take(struct reader *r, bool *inactive, bool *replaces)
{
	enum rc rc = RC_OK;

	while (!rc) {
		if (!*inactive && at_word(r, "inactive:"))
			*inactive = true;
		else if (r->marks && !*replaces && at_word(r, "replace:"))
			*replaces = true;
		else
			break;
		rc = advance(r);
	}
	return rc;
}

static enum rc statement(struct reader *r, struct stmt *block)
{
	bool inactive = false, replaces = false;
	const struct token *t = &r->lex.token;
	char *above = NULL;
	enum rc rc;

	if (!above_take(r, &above) || (rc = marks_take(r, &inactive, &replaces))) {
		free(above);
		return r->e && r->e->rc ? r->e->rc : no_memory(r);
	}
	const struct lysc_node *schema =
		t->kind == TOKEN_WORD ? schema_child(block->schema, t->at, t->n) : NULL;
	struct stmt *s = schema ? stmt_new(schema) : NULL;
	if (!s) {
		free(above);
		return schema ? no_memory(r) : no_such_statement(r, block->schema);
	}
	s->above = above;
	s->inactive = inactive;
	s->replaces = replaces;
	stmt_insert(block, s, NULL);
	rc = advance(r);
	return rc ? rc : content_take(r, s);
}

static enum rc statements(struct reader *r, struct stmt *block)
{
	enum rc rc = RC_OK;

	while (!rc && r->lex.token.kind != TOKEN_END && (r->lex.token.kind != TOKEN_CLOSE || r->depth == 0))
		rc = statement(r, block);
	return rc;
}

enum rc edit_read(struct stmt **ret_root, const struct lysc_node *within, const char *text, size_t n,
	const char *name, bool marks, struct err *e)
{
	struct err fault_text = { 0 };
	struct reader r = { .lex = lexer_over(text, n), .name = name, .marks = marks, .e = &fault_text };
	struct stmt *root = stmt_new(within);
	enum rc rc = root ? advance(&r) : no_memory(&r);

	if (!rc)
		rc = statements(&r, root);
	if (!rc && !above_take(&r, &root->below))
		rc = no_memory(&r);
	free(r.above.at);
	if (rc) {
		stmt_free(root);
		return err_add(e, rc, "%s", fault_text.text);
	}
	*ret_root = root;
	return RC_OK;
}
