/*
 * Words of the configuration's text with their places. Private to the room, and to src/edit, which reads the same text.
 *
 * A token borrows the text, except that the value of a quoted string with escapes is in the lexer's own
 * buffer until the next token. Everything is bounded: a word by CONFIG_VALUE_MAX, the text by its caller.
 */
#ifndef MODEL_LEXER_H
#define MODEL_LEXER_H

#include <stdbool.h>

#include "model/model.h"

struct place {
	uint32_t line, column; /* from 1; a column is one character of UTF-8, a tab is one */
};

enum token_kind {
	TOKEN_END,
	TOKEN_WORD,
	TOKEN_QUOTED,
	TOKEN_OPEN,
	TOKEN_CLOSE,
	TOKEN_LIST,
	TOKEN_LIST_END,
	TOKEN_SEMICOLON,
	TOKEN_BAD /* what cannot be read; the fault was told */
};

struct token {
	enum token_kind kind;
	struct place place;
	const char *at; /* the word, or the quoted string's value */
	size_t n;
	bool is_word;	/* TOKEN_BAD: it begins as a word */
	bool ends_line; /* TOKEN_BAD: a string without its end, and no mark at the end of its line */
};

struct lexer {
	const char *at, *end;
	struct place place;
	struct place before; /* right after the token before the current one */
	const char *
		begin; /* of the current token, in the text: between it and the one before are space and comments */
	struct place fault; /* of what lexer_next() has refused */
	struct token token; /* the current one */
	char value[CONFIG_VALUE_MAX];
};

struct lexer lexer_over(const char *text, size_t n);

/* Reads the next token into l->token. RC_MALFORMED: the place is l->fault; then lexer_resume() comes next. */
enum rc lexer_next(struct lexer *l, struct err *e);

/*
 * Behind what lexer_next() has refused, which becomes a TOKEN_BAD: behind the bytes; of a string behind its quotes, or where it does
 * not end on its line before the mark at the end of that. False: nothing behind it can be read (a comment that does not end, UTF-16).
 */
bool lexer_resume(struct lexer *l);

/* The token as error texts show it: "'web'" or "the end of the text"; cut at 40 bytes, control bytes as \xNN.
 */
#define TOKEN_TEXT_MAX 200
char *token_text(char *ret_text, const struct token *t);

/* Whether a value needs no quotes in the text. */
bool word_is_plain(const char *value, size_t n);

#endif
