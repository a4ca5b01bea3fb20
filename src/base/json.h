/*
 * Writer of canonical JSON: the subset of RFC 8785 (JCS) that Plaingate uses. Objects, arrays, strings, integers
 * and booleans; no white space; keys in ascending byte order (the writer asserts it: the same fact has one text).
 * Control bytes and invalid UTF-8 in strings are escaped as \u00NN, so any bytes can be named without breaking a line.
 */
#ifndef BASE_JSON_H
#define BASE_JSON_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define JSON_DEPTH_MAX 8

struct jw {
	char *base, *at, *end;
	bool bad; /* did not fit */
	int depth;
	struct {
		bool array, any;
		const char *last_key;
	} level[JSON_DEPTH_MAX];
	bool sorted; /* assert ascending keys */
};

/* A writer into `size` bytes; the text is always terminated. sorted: canonical, for the ledger. */
struct jw jw_over(char *text, size_t size, bool sorted);

/* key is NULL inside an array and at the top; else a literal that outlives the object. */
void jw_object(struct jw *w, const char *key);
void jw_array(struct jw *w, const char *key);
void jw_end(struct jw *w);
void jw_str(struct jw *w, const char *key, const char *value);
void jw_str_n(struct jw *w, const char *key, const char *value, size_t n);
/* up to 2^53-1 as JSON's number; above as a string */
void jw_u64(struct jw *w, const char *key, uint64_t value);
void jw_bool(struct jw *w, const char *key, bool value);
void jw_hex(struct jw *w, const char *key, const void *bytes, size_t n);
void jw_strf(struct jw *w, const char *key, const char *fmt, ...) __attribute__((format(printf, 3, 4)));

/* The length of a finished text, or 0 when it did not fit or an object is still open. */
size_t jw_done(struct jw *w);

#endif
