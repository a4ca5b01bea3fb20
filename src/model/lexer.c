/*
 * The lexer of the configuration's text: white space, comments, words, quoted strings, braces. Pure; the
 * parser calls it.
 */
#include "model/lexer.h"

#include <assert.h>
#include <stdio.h>
#include <string.h>

#include "base/bytes.h"

struct lexer lexer_over(const char *text, size_t n)
{
	return (struct lexer){ .at = text, .end = text + n, .place = { 1, 1 } };
}

static enum rc fault(struct lexer *l, struct place p, struct err *e, const char *what)
{
	l->fault = p;
	return err_add(e, RC_MALFORMED, "%s", what);
}

/* One byte on. Bytes that continue a character of UTF-8 are no columns of their own. */
static void step(struct lexer *l)
{
	unsigned char c = (unsigned char)*l->at++;

	if (c == '\n') {
		l->place.line++;
		l->place.column = 1;
	} else if ((c & 0xc0) != 0x80) {
		l->place.column++;
	}
}

static bool starts(const struct lexer *l, const char *two)
{
	return l->end - l->at >= 2 && l->at[0] == two[0] && l->at[1] == two[1];
}

static bool is_space(char c)
{
	return c == ' ' || c == '\t' || c == '\n' || c == '\r';
}

/* Bytes that end a word; all else that is printable ASCII belongs to it. */
static bool is_special(char c)
{
	switch (c) {
	case '{':
	case '}':
	case '[':
	case ']':
	case ';':
	case '"':
	case '#':
	case '\0':
		return true;
	default:
		return false;
	}
}

static bool is_word(char c)
{
	return c > ' ' && c <= '~' && !is_special(c);
}

static enum rc skip_comment(struct lexer *l, struct err *e)
{
	struct place begin = l->place;

	step(l);
	step(l);
	while (l->at < l->end && !starts(l, "*/")) {
		if (*l->at == '\0')
			return fault(l, l->place, e, "found the byte 0x00 in a comment: this is no text");
		step(l);
	}
	if (l->at == l->end)
		return fault(l, begin, e, "the comment that begins here is not closed, expected '*/'");
	step(l);
	step(l);
	return RC_OK;
}

/* A third of a text is how far its lines are indented. */
static void blanks_skip(struct lexer *l)
{
	const char *at = l->at;

	while (at < l->end && *at == ' ')
		at++;
	l->place.column += (uint32_t)(at - l->at);
	l->at = at;
}

static enum rc skip_space(struct lexer *l, struct err *e)
{
	while (l->at < l->end) {
		if (*l->at == ' ') {
			blanks_skip(l);
		} else if (is_space(*l->at)) {
			step(l);
		} else if (*l->at == '#') {
			while (l->at < l->end && *l->at != '\n') {
				if (*l->at == '\0')
					return fault(l, l->place, e,
						"found the byte 0x00 in a comment: this is no text");
				step(l);
			}
		} else if (starts(l, "/*")) {
			enum rc rc = skip_comment(l, e);
			if (rc)
				return rc;
		} else {
			break;
		}
	}
	return RC_OK;
}

static enum rc take_quoted(struct lexer *l, struct err *e)
{
	size_t n = 0;

	l->token.kind = TOKEN_QUOTED;
	step(l);
	while (l->at < l->end && *l->at != '"') {
		if (*l->at == '\\') {
			if (!starts(l, "\\\"") && !starts(l, "\\\\"))
				return fault(l, l->place, e, "found '\\', expected one of: '\\\"', '\\\\'");
			step(l);
		}
		if (*l->at < ' ' || *l->at > '~')
			return fault(l, l->place, e,
				"a quoted string may contain printable ASCII only and must end on its line");
		if (n == sizeof l->value)
			return fault(l, l->token.place, e, "the quoted string is longer than 512 characters");
		l->value[n++] = *l->at;
		step(l);
	}
	if (l->at == l->end)
		return fault(l, l->token.place, e,
			"the quoted string that begins here is not closed, expected '\"'");
	step(l);
	l->token.at = l->value;
	l->token.n = n;
	return RC_OK;
}

/* What word processors and web pages put in place of plain characters is named, other bytes are shown. */
static enum rc bad_byte(struct lexer *l, struct err *e)
{
	static const struct {
		const char *bytes, *says;
	} known[] = {
		{ "\xef\xbb\xbf", "found a byte-order mark; save the text without it" },
		{ "\xff\xfe", "found the byte-order mark of UTF-16; save the text as UTF-8 without one" },
		{ "\xfe\xff", "found the byte-order mark of UTF-16; save the text as UTF-8 without one" },
		{ "\xc2\xa0", "found a no-break space; write a plain one" },
		{ "\xe2\x80\x9c", "found a typographic quotation mark; write '\"'" },
		{ "\xe2\x80\x9d", "found a typographic quotation mark; write '\"'" },
		{ "\xe2\x80\x93", "found a typographic dash; write '-'" },
	};

	for (size_t i = 0; i < COUNT_OF(known); i++) {
		size_t n = strlen(known[i].bytes);
		if ((size_t)(l->end - l->at) >= n && memcmp(l->at, known[i].bytes, n) == 0)
			return fault(l, l->place, e, known[i].says);
	}
	l->fault = l->place;
	return err_add(e, RC_MALFORMED,
		"found the byte 0x%02x; only printable ASCII is allowed outside of comments, and of an internationalized domain name its A-labels (xn--...)",
		(unsigned char)*l->at);
}

/* What touches a word and cannot be read was to be part of it. */
static bool touches_bad(const struct lexer *l)
{
	return l->at < l->end && !is_word(*l->at) && !is_space(*l->at) && !is_special(*l->at);
}

static enum rc take_word(struct lexer *l, struct err *e)
{
	const char *at = l->at;

	while (at < l->end && is_word(*at) && !(*at == '/' && l->end - at > 1 && at[1] == '*'))
		at++;
	l->token.kind = TOKEN_WORD;
	l->token.at = l->at;
	l->token.n = (size_t)(at - l->at);
	l->at = at;
	l->place.column += (uint32_t)l->token.n; /* each octet is a character, and none ends the line */
	if (l->token.n > CONFIG_VALUE_MAX)
		return fault(l, l->token.place, e, "the word is longer than 512 characters");
	return touches_bad(l) ? bad_byte(l, e) : RC_OK;
}

/* TOKEN_BAD: it is none. */
static enum token_kind mark_kind(char c)
{
	switch (c) {
	case '{':
		return TOKEN_OPEN;
	case '}':
		return TOKEN_CLOSE;
	case '[':
		return TOKEN_LIST;
	case ']':
		return TOKEN_LIST_END;
	case ';':
		return TOKEN_SEMICOLON;
	default:
		return TOKEN_BAD;
	}
}

enum rc lexer_next(struct lexer *l, struct err *e)
{
	enum token_kind mark;
	enum rc rc;

	assert(l->at <= l->end);
	l->before = l->place;
	if ((rc = skip_space(l, e)))
		return rc;
	l->begin = l->at;
	l->token = (struct token){ .kind = TOKEN_END, .place = l->place, .at = l->at };
	if (l->at == l->end)
		return RC_OK;
	if (is_word(*l->at))
		return take_word(l, e);
	if ((mark = mark_kind(*l->at)) != TOKEN_BAD) {
		l->token.kind = mark;
		l->token.n = 1;
		step(l);
		return RC_OK;
	}
	return *l->at == '"' ? take_quoted(l, e) : bad_byte(l, e);
}

/* Behind the quote that ends the string on this line; false: none does. */
static bool quote_end(struct lexer *l)
{
	const char *at = l->token.at + 1;

	while (at < l->end && *at != '\n' && *at != '"')
		at += *at == '\\' && l->end - at > 1 && at[1] != '\n' ? 2 : 1;
	if (at >= l->end || *at != '"')
		return false;
	while (l->at <= at)
		step(l);
	return true;
}

/* At the mark that ends the line, behind which a comment may stand; false: none does, and this is the line's end. */
static bool line_mark(struct lexer *l)
{
	const char *end = memchr(l->at, '\n', (size_t)(l->end - l->at));

	end = end ? end : l->end;
	for (const char *mark = end; mark > l->token.at && (is_space(mark[-1]) || strchr(";{}", mark[-1]));
		mark--)
		if (mark[-1] == ';' || mark[-1] == '{') {
			if (mark - 1 < l->at)
				return false;
			while (l->at < mark - 1)
				step(l);
			return true;
		}
	while (l->at < end)
		step(l);
	return false;
}

static bool bytes_skip(struct lexer *l)
{
	static const char *const alone[] = { "\xef\xbb\xbf", "\xc2\xa0" };
	const char *begin = l->at;

	if (starts(l, "\xff\xfe") || starts(l, "\xfe\xff") || *l->at == '\0')
		return false; /* another coding, or no text at all */
	for (size_t i = 0; i < COUNT_OF(alone); i++) {
		size_t n = strlen(alone[i]);
		while ((size_t)(l->end - l->at) >= n && memcmp(l->at, alone[i], n) == 0)
			for (size_t k = 0; k < n; k++)
				step(l);
	}
	if (l->at > begin)
		return true;
	/* With what touches it: that was to be one word. */
	while (l->at < l->end && *l->at && !is_space(*l->at) && !is_special(*l->at))
		step(l);
	return true;
}

bool lexer_resume(struct lexer *l)
{
	bool quoted = l->token.kind == TOKEN_QUOTED, word = l->token.kind == TOKEN_WORD;

	if (l->at == l->end && !quoted)
		return false;
	if (quoted) { /* from its begin, in whose line it would have to end */
		l->at = l->token.at;
		l->place = l->token.place;
		step(l);
	}
	l->token.kind = TOKEN_BAD;
	l->token.n = 0;
	l->token.is_word = word;
	if (quoted)
		l->token.ends_line = !quote_end(l) && !line_mark(l);
	else if (!word || touches_bad(l))
		return bytes_skip(l);
	return true;
}

char *token_text(char *ret_text, const struct token *t)
{
	size_t used = 0, n = MIN_OF(t->n, (size_t)40);

	if (t->kind == TOKEN_END) {
		snprintf(ret_text, TOKEN_TEXT_MAX, "the end of the text");
		return ret_text;
	}
	ret_text[used++] = '\'';
	for (size_t i = 0; i < n; i++) {
		unsigned char c = (unsigned char)t->at[i];
		if (c >= ' ' && c <= '~')
			ret_text[used++] = (char)c;
		else
			used += (size_t)snprintf(ret_text + used, 5, "\\x%02x", c);
	}
	snprintf(ret_text + used, TOKEN_TEXT_MAX - used, "%s'", n < t->n ? "..." : "");
	return ret_text;
}

bool word_is_plain(const char *value, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		if (!is_word(value[i]) || (value[i] == '*' && i > 0 && value[i - 1] == '/'))
			return false;
	}
	return n > 0 && value[0] != '\''; /* parse.c takes it for a mistake */
}
