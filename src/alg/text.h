/* Numbers and addresses in text that is not terminated. Used by the readers of this room. */
#ifndef ALG_TEXT_H
#define ALG_TEXT_H

#include "base/addr.h"
#include "base/rd.h"

static inline bool text_is_digit(uint8_t c)
{
	return c >= '0' && c <= '9';
}

static inline uint8_t text_lower(uint8_t c)
{
	return c >= 'A' && c <= 'Z' ? (uint8_t)(c - 'A' + 'a') : c;
}

/* The next octet without taking it; 0 at the end. */
static inline uint8_t text_peek(const struct rd *r)
{
	return rd_left(r) ? *r->at : 0;
}

/* Takes the octet if it is the next. */
static inline bool text_skip(struct rd *r, uint8_t c)
{
	if (rd_left(r) == 0 || *r->at != c)
		return false;
	r->at++;
	return true;
}

/* Takes a word, whatever its case, which is given in lower case. */
static inline bool text_word(struct rd *r, const char *word)
{
	size_t n = strlen(word);

	if (rd_left(r) < n)
		return false;
	for (size_t i = 0; i < n; i++)
		if (text_lower(r->at[i]) != (uint8_t)word[i])
			return false;
	r->at += n;
	return true;
}

static inline void text_blanks(struct rd *r)
{
	while (text_skip(r, ' ') || text_skip(r, '\t'))
		;
}

/* A decimal number of at most max; bad otherwise. */
static inline uint32_t text_number(struct rd *r, uint32_t max)
{
	uint64_t v = 0;

	if (!text_is_digit(text_peek(r)))
		r->bad = true;
	while (text_is_digit(text_peek(r))) {
		v = v * 10 + rd_u8(r) - '0';
		if (v > max)
			r->bad = true;
	}
	return r->bad ? 0 : (uint32_t)v;
}

/* The address that fills the range; false: it is none. */
static inline bool text_addr(struct ip_addr *ret_addr, const uint8_t *at, size_t n)
{
	char text[ADDR_TEXT_MAX];

	if (n == 0 || n >= sizeof text || memchr(at, 0, n))
		return false;
	memcpy(text, at, n);
	text[n] = 0;
	return addr_parse(ret_addr, text) == RC_OK && ret_addr->family != ADDR_NONE;
}

#endif
