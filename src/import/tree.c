/* The tree of words, and the memory that it is in. */
#include "import/tree.h"

#include <assert.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define ALIGNMENT _Alignof(max_align_t)

struct chunk {
	struct chunk *older;
	size_t size, used;
	_Alignas(max_align_t) char room[];
};

void *pool_room(struct pool *p, size_t n)
{
	size_t taken = (n + ALIGNMENT - 1) / ALIGNMENT * ALIGNMENT;
	struct chunk *c = p->newest;

	if (!c || c->size - c->used < taken) {
		size_t size = taken > CHUNK_BYTES ? taken : CHUNK_BYTES;
		c = malloc(sizeof *c + size);
		if (!c)
			abort(); /* a program for one text can do nothing without memory */
		*c = (struct chunk){ .older = p->newest, .size = size };
		p->newest = c;
	}
	c->used += taken;
	return memset(c->room + c->used - taken, 0, taken);
}

char *pool_text(struct pool *p, const char *at, size_t n)
{
	char *copy = pool_room(p, n + 1);

	if (n)
		memcpy(copy, at, n);
	return copy;
}

char *pool_printf(struct pool *p, const char *fmt, ...)
{
	va_list args, again;
	char *text, none[1];
	int n;

	assert(fmt); /* GCC 12 with sanitizers thinks that there may be none */
	va_start(args, fmt);
	va_copy(again, args);
	n = vsnprintf(none, sizeof none, fmt, args);
	va_end(args);
	text = pool_room(p, (size_t)(n < 0 ? 0 : n) + 1);
	if (n > 0)
		vsnprintf(text, (size_t)n + 1, fmt, again);
	va_end(again);
	return text;
}

static void pool_done(struct pool *p)
{
	while (p->newest) {
		struct chunk *c = p->newest;
		p->newest = c->older;
		free(c);
	}
}

void tree_done(struct tree *t)
{
	pool_done(&t->pool);
	free(t->ends);
}

bool word_is_secret(const char *word)
{
	static const char *const within[] = { "password", "secret", "preshare", "pre-shared" };
	static const char *const whole[] = { "ascii-text", "hexadecimal", "md5", "sha1", "community",
		"authentication-key-chains" };
	size_t n = strlen(word);

	for (size_t i = 0; i < sizeof within / sizeof *within; i++) {
		if (strstr(word, within[i]))
			return true;
	}
	for (size_t i = 0; i < sizeof whole / sizeof *whole; i++) {
		if (strcmp(word, whole[i]) == 0)
			return true;
	}
	return n >= 3 && strcmp(word + n - 3, "key") == 0;
}

struct node *node_child(const struct node *n, const char *word)
{
	if (!n)
		return NULL;
	if (n->last && strcmp(n->last->word, word) == 0) /* statements about one object follow each other */
		return n->last;
	for (struct node *c = n->child; c; c = c->next) {
		if (strcmp(c->word, word) == 0)
			return c;
	}
	return NULL;
}

struct node *node_at(const struct node *n, ...)
{
	struct node *found = NULL;
	const char *word;
	va_list words;

	va_start(words, n);
	for (word = va_arg(words, const char *); n && word; word = va_arg(words, const char *))
		n = found = node_child(n, word);
	va_end(words);
	return found;
}

struct node *tree_enter(struct tree *t, struct node *at, const char *word, uint32_t line)
{
	struct node *n = node_child(at, word);

	if (n)
		return n;
	n = pool_room(&t->pool, sizeof *n);
	*n = (struct node){ .word = word, .parent = at, .line = line, .note = "" };
	if (at->last)
		at->last->next = n;
	else
		at->child = n;
	at->last = n;
	return n;
}

void tree_end(struct tree *t, struct node *node, uint32_t line)
{
	node->stated = true;
	if (t->ends_n == t->ends_size) {
		t->ends_size = t->ends_size ? 2 * t->ends_size : 1024;
		t->ends = realloc(t->ends, t->ends_size * sizeof *t->ends);
		if (!t->ends)
			abort();
	}
	t->ends[t->ends_n++] = (struct end){ .line = line, .node = node };
}

struct node *tree_state(struct tree *t, struct node *at, const char *const *words, size_t n, uint32_t line)
{
	size_t open = 0, close;

	while (open < n && strcmp(words[open], "[") != 0)
		at = tree_enter(t, at, words[open++], line);
	if (open == n) {
		tree_end(t, at, line);
		return at;
	}
	for (close = open + 1; close < n && strcmp(words[close], "]") != 0;)
		close++;
	for (size_t i = open + 1; i < close; i++) {
		struct node *item = tree_enter(t, at, words[i], line);
		for (size_t j = close + 1; j < n; j++) /* one list is all that a statement has */
			item = tree_enter(t, item, words[j], line);
		tree_end(t, item, line);
	}
	return close > open + 1 ? t->ends[t->ends_n - 1].node : at;
}

struct node *tree_say(struct tree *t, uint32_t line, const char *fmt, ...)
{
	const char *words[LINE_WORDS_MAX];
	char text[TREE_WORD_MAX];
	struct node *said = NULL;
	va_list args;
	size_t n = 0;

	va_start(args, fmt);
	int length = vsnprintf(text, sizeof text, fmt, args);
	va_end(args);
	if (length > 0 && (size_t)length < sizeof text &&
		!line_words(t, text, (size_t)length, words, &n, NULL) && n)
		said = tree_state(t, &t->root, words, n, line);
	return said;
}

/* Whether it ends a word that is not quoted. */
static bool ends_word(char c)
{
	return c == ' ' || c == '\t' || c == '\r' || c == '"' || c == '[' || c == ']';
}

static enum rc one_word(
	struct tree *t, const char **at, const char *end, const char **ret_word, struct err *e)
{
	const char *from = *at, *to;

	if (*from == '"') {
		char *word, *w;
		for (to = from + 1; to < end && *to != '"'; to++)
			to += *to == '\\' && to + 1 < end;
		if (to >= end)
			return err_add(e, RC_MALFORMED, "a quote without its end");
		word = w = pool_room(&t->pool, (size_t)(to - from));
		for (const char *c = from + 1; c < to; c++) {
			c += *c == '\\' && c + 1 < to;
			*w++ = *c;
		}
		*ret_word = word;
		*at = to + 1;
		return RC_OK;
	}
	to = from + 1;
	if (!ends_word(*from)) {
		while (to < end && !ends_word(*to))
			to++;
	}
	if (to - from > TREE_WORD_MAX)
		return err_add(e, RC_LIMIT, "a word of more than %d octets", TREE_WORD_MAX);
	*ret_word = pool_text(&t->pool, from, (size_t)(to - from));
	*at = to;
	return RC_OK;
}

enum rc line_words(
	struct tree *t, const char *at, size_t n, const char **ret_words, size_t *ret_n, struct err *e)
{
	const char *end = at + n;

	*ret_n = 0;
	while (at < end) {
		if (*at == ' ' || *at == '\t' || *at == '\r') {
			at++;
			continue;
		}
		if (*ret_n == LINE_WORDS_MAX)
			return err_add(e, RC_LIMIT, "more than %d words in a line", LINE_WORDS_MAX);
		enum rc rc = one_word(t, &at, end, &ret_words[*ret_n], e);
		if (rc)
			return rc;
		++*ret_n;
	}
	return RC_OK;
}
