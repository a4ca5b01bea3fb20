/*
 * Text writer: the mirror of base/json.h for text. Borrows a buffer; what does not fit makes it bad, and it
 * stays bad: a report that was cut short would be another report.
 */
#ifndef BASE_TW_H
#define BASE_TW_H

#include <stdbool.h>
#include <stddef.h>

struct tw {
	char *base, *at, *end;
	bool bad;
};

struct tw tw_over(char *text, size_t size);
void tw_say(struct tw *w, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
/* The length of the text, which is terminated; 0: it did not fit. */
size_t tw_done(const struct tw *w);

#endif
