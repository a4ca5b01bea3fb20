/* What commands print: through `|`, and on a terminal a screen at a time. */
#ifndef CLI_SHELL_OUTPUT_H
#define CLI_SHELL_OUTPUT_H

#include "cli/shell/pipe.h"

/* A literal as a word of a command line: nobody writes to it. */
static inline char *argument(const char *text)
{
	return (char *)(uintptr_t)text;
}

/* A text goes out through the chain. */
void shell_print(struct pipe_chain *chain, const char *text);
/* "error: ..." */
void shell_error(const struct err *e);
/* A command has failed: what a script's exit status says. */
void shell_failed(void);
bool shell_has_failed(void);

/* Columns and rows of the terminal on standard output; 0: it is none. */
void terminal_size(unsigned *ret_columns, unsigned *ret_rows);

/*
 * Runs a command of cli/run.h in a process of its own, which can be interrupted; what it prints goes through the chain. direct: it prints
 * as it goes, to
 * the terminal itself. The exit status.
 */
int run_child(int argc, char **argv, struct pipe_chain *chain, bool direct);
/* Another program, without a shell. */
int run_program(char *const *argv);

#endif
