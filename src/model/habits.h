/*
 * Words that people write because another firewall or language has them, and what to write here: a hint for
 * the error text. Pure.
 */
#ifndef MODEL_HABITS_H
#define MODEL_HABITS_H

#include <stdbool.h>
#include <stddef.h>

/* top: it stands outside of all braces. NULL: the word is not known. */
const char *habit_hint(const char *word, size_t n, bool top);

#endif
