/*
 * What the text formats of transparency logs are made of: lines that end in LF, decimals without leading
 * zeros, hashes in base64. Callers: src/merkle, src/witness, src/release. Pure.
 */
#ifndef MERKLE_LINES_H
#define MERKLE_LINES_H

#include "base/bytes.h"
#include "merkle/tree.h"

/* The line at *at without its LF; false at the end, or when there is no LF. */
static inline bool line_take(const char **at, const char *end, const char **ret_line, size_t *ret_n)
{
	const char *lf = *at < end ? memchr(*at, '\n', (size_t)(end - *at)) : NULL;

	if (!lf)
		return false;
	*ret_line = *at;
	*ret_n = (size_t)(lf - *at);
	*at = lf + 1;
	return true;
}

/* The first control character of a line other than a tab, which no text has; NULL: none. Names are compared as strings and printed. */
static inline const char *line_control(const char *line, size_t n)
{
	for (const char *c = line; c < line + n; c++)
		if (((unsigned char)*c < 0x20 && *c != '\t') || *c == 0x7f)
			return c;
	return NULL;
}

/* Up to 19 digits, no leading zero but in "0". */
static inline bool line_decimal(const char *text, size_t n, uint64_t *ret)
{
	uint64_t v = 0;

	if (n == 0 || n > 19 || (n > 1 && text[0] == '0'))
		return false;
	for (size_t i = 0; i < n; i++) {
		if (text[i] < '0' || text[i] > '9')
			return false;
		v = v * 10 + (uint64_t)(text[i] - '0');
	}
	*ret = v;
	return true;
}

/* Exactly 32 bytes in base64. */
static inline bool line_hash(const char *text, size_t n, struct merkle_hash *ret)
{
	struct merkle_hash h;
	size_t hash_n;

	if (!base64_to_bytes(h.b, sizeof h.b, &hash_n, text, n) || hash_n != sizeof h.b)
		return false;
	*ret = h;
	return true;
}

#endif
