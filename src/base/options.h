/*
 * Options of a server's command line, one row each: getopt's list, the usage and the manual page are made of the rows.
 * Callers: src/proc/{supervisor,witness}/main.c, docs/man. Any thread.
 */
#ifndef BASE_OPTIONS_H
#define BASE_OPTIONS_H

#include <getopt.h>
#include <stddef.h>

struct option_row {
	char letter;			 /* what getopt_long() gives back */
	const char *word, *value, *text; /* value: "" when it takes none */
};

#define OPTIONS_MAX 24

/* n rows at the most OPTIONS_MAX - 1; the end of the list follows them. */
void options_list(struct option ret_list[OPTIONS_MAX], const struct option_row *rows, size_t n);
#define OPTIONS_USAGE_MAX 4096

/* A line for each, cut at the end of ret_text: "  --word VALUE  text". Returns ret_text. */
const char *options_usage(char ret_text[OPTIONS_USAGE_MAX], const struct option_row *rows, size_t n);

#endif
