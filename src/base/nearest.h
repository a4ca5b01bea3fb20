/*
 * The candidate nearest to a misspelt word: what an error asks "did you mean" about. Pure; for callers that
 * know the words that would have been right.
 */
#ifndef BASE_NEAREST_H
#define BASE_NEAREST_H

#include <stddef.h>

#define NEAREST_WORD_MAX 40
#define NEAREST_HINT_MAX (NEAREST_WORD_MAX + 24)

struct nearest {
	const char *word; /* borrowed, as the candidates are */
	size_t word_n;
	const char *best; /* NULL: none is near */
	size_t best_n;
	unsigned best_distance;
};
struct nearest nearest_to(const char *word, size_t n);
void nearest_offer(struct nearest *n, const char *candidate, size_t candidate_n);

/* "; did you mean 'sessions'?", or nothing. ret_text holds NEAREST_HINT_MAX. */
char *nearest_hint(char *ret_text, const struct nearest *n);

#endif
