/* Statements to text: as a configuration, and as the commands that make it. Pure. */
#include "edit/read.h"

#include <stdlib.h>
#include <string.h>

#include "model/lexer.h"

void text_put(struct text *t, const char *at, size_t n)
{
	if (t->bad)
		return;
	if (t->size - t->n <= n) {
		size_t size = (t->size + n) * 2 + 64;
		char *larger = realloc(t->at, size);
		if (!larger) {
			t->bad = true;
			return;
		}
		t->at = larger;
		t->size = size;
	}
	memcpy(t->at + t->n, at, n);
	t->n += n;
	t->at[t->n] = '\0';
}

void text_puts(struct text *t, const char *text)
{
	text_put(t, text, strlen(text));
}

static void indent(struct text *t, unsigned depth)
{
	while (depth-- > 0)
		text_puts(t, "    ");
}

void write_word(struct text *t, const char *word)
{
	if (word_is_plain(word, strlen(word))) {
		text_puts(t, word);
		return;
	}
	text_puts(t, "\"");
	for (; *word; word++) {
		if (*word == '"' || *word == '\\')
			text_puts(t, "\\");
		text_put(t, word, 1);
	}
	text_puts(t, "\"");
}

/* Lines of comments. Those inside of a comment of several lines stand under its first one. No empty line at the beginning of a block. */
static void put_comments(struct text *t, const char *lines, unsigned depth, bool first)
{
	bool inside = false;

	while (lines && *lines) {
		size_t n = strcspn(lines, "\n");
		if (n > 0) {
			indent(t, depth);
			if (inside)
				text_puts(t, lines[0] == '*' ? " " : "   ");
			text_put(t, lines, n);
		}
		if (n > 0 || !first)
			text_puts(t, "\n");
		first = false;
		if (!inside && n >= 2 && memcmp(lines, "/*", 2) == 0)
			inside = true;
		if (inside && n >= 2 && memcmp(lines + n - 2, "*/", 2) == 0)
			inside = false;
		lines += n + (lines[n] == '\n');
	}
}

static void put_words(struct text *t, const struct stmt *s)
{
	bool several = s->words_n > 1;

	text_puts(t, several ? " [ " : " ");
	for (size_t i = 0; i < s->words_n; i++) {
		text_puts(t, i ? " " : "");
		write_word(t, s->words[i]);
	}
	text_puts(t, several ? " ]" : "");
}

static void put_keys(struct text *t, const struct stmt *s)
{
	const struct lysc_node *keys[SCHEMA_KEYS_MAX];
	unsigned n = schema_keys(s->schema, keys);
	bool by_keys = schema_shown_by_keys(s->schema);

	if (!by_keys)
		text_puts(t, s->schema->name);
	for (unsigned i = 0; i < n && i < s->words_n; i++) {
		if (by_keys) {
			text_puts(t, i ? " " : "");
			text_puts(t, keys[i]->name);
		}
		text_puts(t, " ");
		write_word(t, s->words[i]);
	}
}

void write_head(struct text *t, const struct stmt *s)
{
	if (s->schema->nodetype == LYS_LIST && !s->many) {
		put_keys(t, s);
		return;
	}
	text_puts(t, s->schema->name);
	if (s->words_n > 0)
		put_words(t, s);
}

static void put_beside(struct text *t, const struct stmt *s)
{
	if (s->beside) {
		text_puts(t, " ");
		text_puts(t, s->beside);
	}
	text_puts(t, "\n");
}

/* Nothing stands in the block: an empty line alone would not be written, and the next reader would see no block. */
static bool is_empty(const struct stmt *block)
{
	return !block->first && (!block->below || block->below[strspn(block->below, "\n")] == '\0');
}

void write_stmt(struct text *t, const struct stmt *s, unsigned depth)
{
	put_comments(t, s->above, depth, s->parent && !s->prev);
	indent(t, depth);
	if (s->inactive)
		text_puts(t, "inactive: ");
	write_head(t, s);
	if (!stmt_is_block(s) || is_empty(s)) {
		text_puts(t, ";");
		put_beside(t, s);
		return;
	}
	text_puts(t, " {");
	put_beside(t, s);
	write_block(t, s, depth + 1);
	indent(t, depth);
	text_puts(t, "}\n");
}

void write_block(struct text *t, const struct stmt *block, unsigned depth)
{
	for (const struct stmt *s = block->first; s; s = s->next)
		write_stmt(t, s, depth);
	put_comments(t, block->below, depth, !block->first);
}

/* ---- commands ---- */

static void put_set(struct text *t, const char *verb, const char *path, const struct stmt *s)
{
	text_puts(t, verb);
	text_puts(t, path);
	text_puts(t, *path ? " " : "");
	if (!s)
		return;
	if (s->schema->nodetype == LYS_LIST)
		put_keys(t, s);
	else
		text_puts(t, s->schema->name);
}

static void set_values(struct text *t, const char *verb, const char *path, const struct stmt *s)
{
	for (size_t i = 0; i < s->words_n || i == 0; i++) {
		put_set(t, verb, path, s);
		if (i < s->words_n) {
			text_puts(t, " ");
			write_word(t, s->words[i]);
		}
		text_puts(t, "\n");
	}
}

static void set_stmt(struct text *t, const struct stmt *s, const char *path)
{
	struct text inner = { 0 };

	if (!stmt_is_block(s)) {
		set_values(t, "set ", path, s);
		if (s->inactive)
			set_values(t, "deactivate ", path, s);
		return;
	}
	put_set(&inner, "", path, s);
	if (!s->first) {
		put_set(t, "set ", path, s);
		text_puts(t, "\n");
	}
	t->bad |= inner.bad;
	if (!inner.bad)
		write_sets(t, s, inner.at);
	free(inner.at);
	if (s->inactive) {
		put_set(t, "deactivate ", path, s);
		text_puts(t, "\n");
	}
}

void write_sets(struct text *t, const struct stmt *block, const char *path)
{
	for (const struct stmt *s = block->first; s; s = s->next)
		set_stmt(t, s, path);
}
