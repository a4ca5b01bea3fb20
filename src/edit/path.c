/* A command's words, and the statements that they lead to. Pure. */
#include "edit/path.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "edit/read.h"
#include "model/lexer.h"

/* ---- words ---- */

static enum rc word_add(struct words *w, char **to, const struct token *t, struct err *e)
{
	if (w->n == LINE_WORDS_MAX)
		return err_add(e, RC_LIMIT, "the command has more than %d words", LINE_WORDS_MAX);
	memcpy(*to, t->at, t->n);
	(*to)[t->n] = '\0';
	w->at[w->n] = *to;
	w->quoted[w->n++] = t->kind == TOKEN_QUOTED;
	*to += t->n + 1;
	return RC_OK;
}

static enum rc words_take(struct words *w, const char *line, struct err *e)
{
	struct lexer l = lexer_over(line, strlen(line));
	bool open = false, closed = false;
	char found[TOKEN_TEXT_MAX], *to = w->bytes;
	enum rc rc;

	while (!(rc = lexer_next(&l, e)) && l.token.kind != TOKEN_END) {
		enum token_kind kind = l.token.kind;
		if (kind == TOKEN_LIST && !open && !closed) {
			w->single = w->n;
			open = true;
		} else if (kind == TOKEN_LIST_END && open && w->n > w->single) {
			open = false;
			closed = true;
		} else if ((kind == TOKEN_WORD || kind == TOKEN_QUOTED) && !closed) {
			rc = word_add(w, &to, &l.token, e);
		} else if (closed) {
			return err_add(e, RC_MALFORMED,
				"found %s, expected the end of the command: nothing follows the brackets",
				token_text(found, &l.token));
		} else {
			return err_add(e, RC_MALFORMED,
				"found %s, expected a word, or the end of the command",
				token_text(found, &l.token));
		}
		if (rc)
			return rc;
	}
	if (!closed)
		w->single = w->n;
	return !rc && open ? err_add(e, RC_MALFORMED, "found the end of the command, expected ]") : rc;
}

enum rc words_read(struct words *ret_words, const char *line, struct err *e)
{
	size_t n = strlen(line);
	struct words w = { 0 };
	enum rc rc;

	if (n > LINE_BYTES_MAX)
		return err_add(
			e, RC_LIMIT, "the command has %zu octets, at most %u are allowed", n, LINE_BYTES_MAX);
	w.bytes = malloc(n * 2 + 2);
	w.at = calloc(n + 1, sizeof *w.at);
	w.quoted = calloc(n + 1, sizeof *w.quoted);
	rc = w.bytes && w.at && w.quoted ? words_take(&w, line, e) : err_add(e, RC_INTERNAL, "out of memory");
	if (rc)
		words_free(&w);
	*ret_words = w;
	return rc;
}

void words_free(struct words *w)
{
	free(w->bytes);
	free(w->at);
	free(w->quoted);
	*w = (struct words){ 0 };
}

/* ---- paths ---- */

const struct lysc_node *path_word(const struct lysc_node *parent, const char *word)
{
	size_t n = strlen(word);
	const struct lysc_node *exact = schema_child(parent, word, n), *begins = NULL, *child = NULL;
	unsigned several = 0;

	if (exact)
		return exact;
	while ((child = schema_next(parent, child))) {
		if (strncmp(schema_keyword(child), word, n) == 0) {
			begins = child;
			several++;
		}
	}
	return several == 1 ? begins : NULL;
}

static enum rc no_such_word(const struct lysc_node *parent, const char *word, struct err *e)
{
	struct nearest near = nearest_to(word, strlen(word));
	char expected[EXPECTED_MAX] = "", begins[EXPECTED_MAX] = "", hint[NEAREST_HINT_MAX];
	const struct lysc_node *child = NULL;

	while ((child = schema_next(parent, child))) {
		const char *is = schema_keyword(child);
		if (strncmp(is, word, strlen(word)) == 0)
			expected_add(begins, sizeof begins, is, strlen(is));
		expected_add(expected, sizeof expected, is, strlen(is));
		nearest_offer(&near, is, strlen(is));
	}
	if (*begins)
		return err_add(e, RC_MALFORMED, "'%.40s' is the beginning of several: %s", word, begins);
	return err_add(e, RC_NOT_FOUND, "found '%.40s', expected one of: %s%s", word, expected,
		nearest_hint(hint, &near));
}

/* The keys of a list, with the words between them where it is shown by them. *at stays where there is none. */
static enum rc keys_read(struct step *s, const struct words *w, unsigned *at, unsigned to, struct err *e)
{
	const struct lysc_node *keys[SCHEMA_KEYS_MAX];
	unsigned n = schema_keys(s->schema, keys);

	for (unsigned i = 0; i < n; i++) {
		if (i > 0 && schema_shown_by_keys(s->schema)) {
			if (*at == to || strcmp(w->at[*at], keys[i]->name) != 0)
				return err_add(e, RC_MALFORMED, "found %s%.40s%s, expected '%s'",
					*at < to ? "'" : "", *at < to ? w->at[*at] : "the end of the command",
					*at < to ? "'" : "", keys[i]->name);
			++*at;
		}
		if (*at == to)
			return err_add(e, RC_MALFORMED,
				"found the end of the command, expected the %s of a %s", keys[i]->name,
				s->schema->name);
		s->keys[i] = w->at[(*at)++];
	}
	return RC_OK;
}

enum rc path_read(struct path *ret_path, const struct lysc_node *level, const struct words *w, unsigned from,
	unsigned to, struct err *e)
{
	struct path p = { .values = to };
	unsigned at = from;

	while (at < to) {
		const struct lysc_node *node = path_word(level, w->at[at]);
		enum rc rc;
		if (!node)
			return no_such_word(level, w->at[at], e);
		at++;
		bool all = node->nodetype == LYS_LIST && at == to;
		if (all || node->nodetype & (LYS_LEAF | LYS_LEAFLIST)) {
			p.leaf = node;
			p.values = at;
			break;
		}
		if (p.n == CONFIG_DEPTH_MAX)
			return err_add(e, RC_LIMIT, "the path has more than %d parts", CONFIG_DEPTH_MAX);
		struct step *s = &p.steps[p.n++];
		s->schema = node;
		if (node->nodetype == LYS_LIST && (rc = keys_read(s, w, &at, to, e)))
			return rc;
		level = node;
	}
	*ret_path = p;
	return RC_OK;
}

struct stmt *path_find(struct stmt *level, const struct path *p, bool alone, bool *ret_bad)
{
	*ret_bad = false;
	for (unsigned i = 0; i < p->n && level; i++)
		level = stmt_find(level, p->steps[i].schema, p->steps[i].keys, alone, ret_bad);
	return level;
}

/* The case of a choice that the statement is of; NULL: of none. A case of one statement may be that statement. */
static const struct lysc_node *case_of(const struct lysc_node *node)
{
	return node->parent && node->parent->nodetype == LYS_CASE ? node->parent : NULL;
}

void path_choose(struct stmt *block, const struct lysc_node *schema)
{
	const struct lysc_node *mine = case_of(schema), *other;

	for (struct stmt *s = mine ? block->first : NULL, *next; s; s = next) {
		next = s->next;
		other = case_of(s->schema);
		if (!other || other == mine || other->parent != mine->parent)
			continue;
		stmt_unlink(s);
		stmt_free(s);
	}
}

static struct stmt *step_make(struct stmt *block, const struct step *step)
{
	const struct lysc_node *keys[SCHEMA_KEYS_MAX];
	unsigned n = schema_keys(step->schema, keys);
	struct stmt *s = stmt_new(step->schema);
	bool good = s != NULL;

	for (unsigned i = 0; i < n && good; i++)
		good = stmt_add_word(s, step->keys[i], strlen(step->keys[i]));
	if (!good) {
		stmt_free(s);
		return NULL;
	}
	path_choose(block, step->schema);
	stmt_insert(block, s, stmt_place(block, step->schema));
	block->recent = s;
	return s;
}

struct stmt *path_make(struct stmt *level, const struct path *p)
{
	bool bad = false;

	for (unsigned i = 0; i < p->n && level && !bad; i++) {
		struct stmt *found = stmt_find(level, p->steps[i].schema, p->steps[i].keys, true, &bad);
		level = found || bad ? found : step_make(level, &p->steps[i]);
	}
	return level;
}

char *path_text(char *ret_text, const struct stmt *block)
{
	const struct stmt *up[CONFIG_DEPTH_MAX + 1];
	struct text t = { 0 };
	unsigned n = 0;

	for (; block->parent && n < CONFIG_DEPTH_MAX + 1; block = block->parent)
		up[n++] = block;
	while (n-- > 0) {
		write_head(&t, up[n]);
		text_puts(&t, n ? " " : "");
	}
	snprintf(ret_text, PATH_TEXT_MAX, "%s", t.at ? t.at : "");
	free(t.at);
	return ret_text;
}
