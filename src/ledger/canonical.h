/*
 * Reader of the canonical JSON that base/json.h writes: strict, so that one fact has one text. A cursor with
 * a sticky error; values are borrowed views. Used by the ledger on what processes send, and by verification
 * on what is in the log.
 */
#ifndef LEDGER_CANONICAL_H
#define LEDGER_CANONICAL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define CANONICAL_STRING_MAX 4096 /* octets of one string that has escaped octets above 7f */

struct canonical {
	const char *at, *end;
	bool bad;
};

/* Between the quotes, still escaped. */
struct canonical_text {
	const char *text;
	size_t n;
};

struct canonical canonical_over(const char *text, size_t n);
void canonical_char(struct canonical *c, char expected);
/* "key": */
void canonical_key(struct canonical *c, const char *key);
/* A string with exactly the writer's escapes; well-formed UTF-8. */
void canonical_string(struct canonical *c, struct canonical_text *ret_value);
/* A number without sign or leading zero; from 2^53 on the writer puts it in quotes. ret_value may be NULL. */
void canonical_number(struct canonical *c, uint64_t *ret_value);
/* An object without arrays or objects inside, as a view with its braces. */
void canonical_object(struct canonical *c, struct canonical_text *ret_value);
bool canonical_end(const struct canonical *c);

#endif
