#include "base/nearest.h"

#include <assert.h>
#include <stdio.h>
#include <string.h>

#include "base/bytes.h"

struct nearest nearest_to(const char *word, size_t n)
{
	struct nearest near = { .word = word, .word_n = n };

	/* One slip in three letters, two at the least: "interface" is near "interfaces", "x" is near nothing.
	 */
	near.best_distance = n < 2 ? 0 : n < 6 ? 2 : (unsigned)MIN_OF(n / 3, 4) + 1;
	return near;
}

/* Edits that turn a into b: insert, delete, replace, exchange neighbours. Both at most NEAREST_WORD_MAX
 * bytes. */
static unsigned edit_distance(const char *a, size_t an, const char *b, size_t bn)
{
	unsigned rows[3][NEAREST_WORD_MAX + 1], *before = rows[0], *above = rows[1], *row = rows[2], *spare;

	assert(an <= NEAREST_WORD_MAX && bn <= NEAREST_WORD_MAX);
	for (size_t j = 0; j <= bn; j++)
		above[j] = (unsigned)j;
	memset(rows[0], 0, sizeof rows[0]);
	for (size_t i = 1; i <= an; i++) {
		row[0] = (unsigned)i;
		for (size_t j = 1; j <= bn; j++) {
			unsigned cost = above[j - 1] + (a[i - 1] != b[j - 1]);
			cost = MIN_OF(cost, above[j] + 1);
			cost = MIN_OF(cost, row[j - 1] + 1);
			if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1])
				cost = MIN_OF(cost, before[j - 2] + 1);
			row[j] = cost;
		}
		spare = before;
		before = above;
		above = row;
		row = spare;
	}
	return above[bn];
}

void nearest_offer(struct nearest *n, const char *candidate, size_t candidate_n)
{
	unsigned distance;

	if (n->word_n == 0 || n->word_n > NEAREST_WORD_MAX || candidate_n > NEAREST_WORD_MAX)
		return;
	distance = edit_distance(n->word, n->word_n, candidate, candidate_n);
	/* Nothing of a short candidate would be left: that is no likeness. */
	if (distance >= n->best_distance || distance >= candidate_n)
		return;
	n->best = candidate;
	n->best_n = candidate_n;
	n->best_distance = distance;
}

char *nearest_hint(char *ret_text, const struct nearest *n)
{
	ret_text[0] = '\0';
	if (n->best)
		snprintf(ret_text, NEAREST_HINT_MAX, "; did you mean '%.*s'?", (int)n->best_n, n->best);
	return ret_text;
}
