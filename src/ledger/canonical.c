#include "ledger/canonical.h"
#include "base/bytes.h"

#include <assert.h>
#include <string.h>

struct canonical canonical_over(const char *text, size_t n)
{
	return (struct canonical){ text, text + n, false };
}

void canonical_char(struct canonical *c, char expected)
{
	if (c->bad || c->at == c->end || *c->at != expected)
		c->bad = true;
	else
		c->at++;
}

void canonical_key(struct canonical *c, const char *key)
{
	canonical_char(c, '"');
	for (; *key; key++)
		canonical_char(c, *key);
	canonical_char(c, '"');
	canonical_char(c, ':');
}

/* One escape after its backslash: a short one, or \u00NN where there is none. False: the writer would not write
 * it. */
static bool escape(struct canonical *c)
{
	static const char short_ones[] = "\"\\bfnrt", has_short[] = "\b\f\n\r\t\"\\";
	size_t left = (size_t)(c->end - c->at);

	if (left >= 1 && *c->at != 'u' && *c->at && strchr(short_ones, *c->at)) {
		c->at++;
		return true;
	}
	if (left < 5 || memcmp(c->at, "u00", 3) != 0)
		return false;
	unsigned value = 0;
	for (int i = 3; i < 5; i++) {
		char d = c->at[i];
		if (!((d >= '0' && d <= '9') || (d >= 'a' && d <= 'f')))
			return false;
		value = value << 4 | (unsigned)(d <= '9' ? d - '0' : d - 'a' + 10);
	}
	/* Only control characters without a short form, and octets that are not UTF-8. */
	if ((value >= 0x20 && value < 0x80) || (value < 0x20 && value && strchr(has_short, (int)value)))
		return false;
	c->at += 5;
	return true;
}

/*
 * Octets that are not UTF-8 are escaped one by one. Where such octets and their neighbours are UTF-8 the writer
 * would not have escaped them: so decode, and check that no escaped octet can begin or continue a character there.
 */
static bool high_escapes_needed(const char *text, size_t n)
{
	unsigned char bytes[CANONICAL_STRING_MAX];
	bool escaped[CANONICAL_STRING_MAX];
	size_t count = 0;

	for (size_t i = 0; i < n; count++) {
		if (count == CANONICAL_STRING_MAX)
			return false;
		escaped[count] = false;
		if (text[i] != '\\') {
			bytes[count] = (unsigned char)text[i++];
		} else if (text[i + 1] != 'u') {
			bytes[count] = 'x'; /* any short escape: an ASCII character */
			i += 2;
		} else {
			assert(i + 5 < n); /* escape() has read all of it */
			char digits[3] = { text[i + 4], text[i + 5], '\0' };
			hex_to_bytes(&bytes[count], 1, digits);
			escaped[count] = bytes[count] >= 0x80;
			i += 6;
		}
	}
	for (size_t i = 0; i < count;) {
		size_t len = utf8_length(bytes + i, count - i);
		if ((len == 0) != escaped[i])
			return false;
		for (size_t k = 1; k < len; k++)
			if (escaped[i + k])
				return false;
		i += len ? len : 1;
	}
	return true;
}

void canonical_string(struct canonical *c, struct canonical_text *ret_value)
{
	bool high = false;

	canonical_char(c, '"');
	ret_value->text = c->at;
	while (!c->bad && c->at < c->end && *c->at != '"') {
		if (*c->at == '\\') {
			const char *what = ++c->at;
			c->bad = !escape(c);
			high |= !c->bad && what[0] == 'u' && what[3] >= '8';
			continue;
		}
		size_t n = utf8_length((const unsigned char *)c->at, (size_t)(c->end - c->at));
		if (n == 0 || (unsigned char)*c->at < 0x20)
			c->bad = true;
		c->at += c->bad ? 0 : n;
	}
	assert(c->at <= c->end);
	ret_value->n = (size_t)(c->at - ret_value->text);
	canonical_char(c, '"');
	if (high && !c->bad && !high_escapes_needed(ret_value->text, ret_value->n))
		c->bad = true;
}

void canonical_number(struct canonical *c, uint64_t *ret_value)
{
	bool quoted = !c->bad && c->at < c->end && *c->at == '"';
	uint64_t v = 0;
	size_t digits = 0;

	if (quoted)
		c->at++;
	const char *first = c->at;
	while (!c->bad && c->at < c->end && *c->at >= '0' && *c->at <= '9') {
		uint64_t digit = (uint64_t)(*c->at - '0');
		if (digits++ >= 20 || v > (UINT64_MAX - digit) / 10) {
			c->bad = true;
			break;
		}
		v = v * 10 + digit;
		c->at++;
	}
	if (digits == 0 || (digits > 1 && *first == '0') || quoted != (v >> 53 != 0))
		c->bad = true;
	if (quoted)
		canonical_char(c, '"');
	if (ret_value)
		*ret_value = c->bad ? 0 : v;
}

void canonical_object(struct canonical *c, struct canonical_text *ret_value)
{
	struct canonical_text ignored;

	ret_value->text = c->at;
	canonical_char(c, '{');
	bool more = !c->bad && c->at < c->end && *c->at != '}';
	while (more && !c->bad) {
		canonical_string(c, &ignored);
		canonical_char(c, ':');
		if (!c->bad && c->at < c->end && *c->at == '"')
			canonical_string(c, &ignored);
		else
			canonical_number(c, NULL);
		more = !c->bad && c->at < c->end && *c->at == ',';
		c->at += more;
	}
	canonical_char(c, '}');
	ret_value->n = c->bad ? 0 : (size_t)(c->at - ret_value->text);
}

bool canonical_end(const struct canonical *c)
{
	assert(c->at <= c->end);
	return !c->bad && c->at == c->end;
}
