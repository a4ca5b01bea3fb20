#include "base/json.h"
#include "base/bytes.h"

#include <assert.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

struct jw jw_over(char *text, size_t size, bool sorted)
{
	struct jw w = { .base = text, .at = text, .end = text + size, .bad = size == 0, .sorted = sorted };

	if (size > 0)
		text[0] = '\0';
	return w;
}

static void put(struct jw *w, const char *text, size_t n)
{
	if (w->bad || (size_t)(w->end - w->at) < n + 1) {
		w->bad = true;
		return;
	}
	memcpy(w->at, text, n);
	w->at += n;
	*w->at = '\0';
}

static void puts_raw(struct jw *w, const char *text)
{
	put(w, text, strlen(text));
}

/* Length of the well-formed UTF-8 sequence at s (RFC 3629 section 4), or 0. */
static size_t utf8_len(const unsigned char *s, size_t n)
{
	size_t len = s[0] < 0x80		   ? 1
		     : s[0] >= 0xc2 && s[0] < 0xe0 ? 2
		     : (s[0] & 0xf0) == 0xe0	   ? 3
		     : s[0] >= 0xf0 && s[0] < 0xf5 ? 4
						   : 0;

	if (len == 0 || len > n)
		return 0;
	for (size_t i = 1; i < len; i++)
		if ((s[i] & 0xc0) != 0x80)
			return 0;
	if ((s[0] == 0xe0 && s[1] < 0xa0) || (s[0] == 0xed && s[1] >= 0xa0) ||
		(s[0] == 0xf0 && s[1] < 0x90) || (s[0] == 0xf4 && s[1] >= 0x90))
		return 0;
	return len;
}

static void put_string(struct jw *w, const char *value, size_t n)
{
	const unsigned char *s = (const unsigned char *)value;

	put(w, "\"", 1);
	for (size_t i = 0; i < n;) {
		size_t len = utf8_len(s + i, n - i);
		char esc[8];

		if (s[i] == '"' || s[i] == '\\') {
			snprintf(esc, sizeof esc, "\\%c", s[i]);
			puts_raw(w, esc);
			len = 1;
		} else if (s[i] == '\n' || s[i] == '\t' || s[i] == '\r' || s[i] == '\b' || s[i] == '\f') {
			const char *letter = memchr("\bb\tt\nn\ff\rr", s[i], 10);
			snprintf(esc, sizeof esc, "\\%c", letter[1]);
			puts_raw(w, esc);
			len = 1;
		} else if (s[i] < 0x20 || len == 0) {
			snprintf(esc, sizeof esc, "\\u%04x", s[i]);
			puts_raw(w, esc);
			len = 1;
		} else {
			put(w, value + i, len);
		}
		i += len;
	}
	put(w, "\"", 1);
}

static void begin(struct jw *w, const char *key)
{
	if (w->depth == 0)
		return;
	int d = w->depth - 1;
	if (w->level[d].any)
		put(w, ",", 1);
	w->level[d].any = true;
	assert(w->level[d].array == !key);
	if (key) {
		assert(!w->sorted || !w->level[d].last_key || strcmp(w->level[d].last_key, key) < 0);
		w->level[d].last_key = key;
		put_string(w, key, strlen(key));
		put(w, ":", 1);
	}
}

static void open_level(struct jw *w, const char *key, bool array)
{
	begin(w, key);
	put(w, array ? "[" : "{", 1);
	assert(w->depth < JSON_DEPTH_MAX);
	w->level[w->depth].array = array;
	w->level[w->depth].any = false;
	w->level[w->depth].last_key = NULL;
	w->depth++;
}

void jw_object(struct jw *w, const char *key)
{
	open_level(w, key, false);
}

void jw_array(struct jw *w, const char *key)
{
	open_level(w, key, true);
}

void jw_end(struct jw *w)
{
	assert(w->depth > 0);
	w->depth--;
	put(w, w->level[w->depth].array ? "]" : "}", 1);
}

void jw_str_n(struct jw *w, const char *key, const char *value, size_t n)
{
	begin(w, key);
	put_string(w, value, n);
}

void jw_str(struct jw *w, const char *key, const char *value)
{
	jw_str_n(w, key, value, strlen(value));
}

void jw_u64(struct jw *w, const char *key, uint64_t value)
{
	char text[24];

	begin(w, key);
	snprintf(text, sizeof text, value >> 53 ? "\"%llu\"" : "%llu", (unsigned long long)value);
	puts_raw(w, text);
}

void jw_bool(struct jw *w, const char *key, bool value)
{
	begin(w, key);
	puts_raw(w, value ? "true" : "false");
}

void jw_hex(struct jw *w, const char *key, const void *bytes, size_t n)
{
	begin(w, key);
	put(w, "\"", 1);
	for (size_t i = 0; i < n; i++) {
		char two[3];
		hex_from_bytes(two, (const uint8_t *)bytes + i, 1);
		put(w, two, 2);
	}
	put(w, "\"", 1);
}

void jw_strf(struct jw *w, const char *key, const char *fmt, ...)
{
	char text[1024];
	va_list ap;

	va_start(ap, fmt);
	int n = vsnprintf(text, sizeof text, fmt, ap);
	va_end(ap);
	if (n < 0 || (size_t)n >= sizeof text)
		w->bad = true;
	else
		jw_str_n(w, key, text, (size_t)n);
}

size_t jw_done(struct jw *w)
{
	return w->bad || w->depth > 0 ? 0 : (size_t)(w->at - w->base);
}
