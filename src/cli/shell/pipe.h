/*
 * What stands behind a command: `| match WORD | count`. Lines go in at one end, those that are left come out at the other. Pure, but for its memory.
 */
#ifndef CLI_SHELL_PIPE_H
#define CLI_SHELL_PIPE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <regex.h>

#include "base/err.h"
#include "cli/shell/limits.h"

/* clang-format off */
#define PIPES(P)	/* id, word, what follows, text */						\
	P(MATCH,   "match",   "PATTERN", "Lines that have it: an extended regular expression, whatever the case of letters")	\
	P(EXCEPT,  "except",  "PATTERN", "Lines that do not have it")						\
	P(FIND,    "find",    "PATTERN", "From the first line on that has it")					\
	P(COUNT,   "count",   "",        "Only how many lines there are")					\
	P(LAST,    "last",    "[LINES]", "The last lines; 10 without a number")				\
	P(NO_MORE, "no-more", "",        "Without stops at the end of each screen")				\
	P(JSON,    "json",    "",        "As JSON, of commands that have it")					\
	P(SET,     "display set", "",    "A configuration as `set` commands")					\
	P(COMPARE, "compare", "[rollback N]", "How the candidate differs from the running configuration, or from one before it")
/* clang-format on */

enum pipe_kind {
#define PIPE_ID(id, word, follows, text) PIPE_##id,
	PIPES(PIPE_ID) PIPE_KIND_COUNT
#undef PIPE_ID
};

struct pipe_row {
	const char *word, *follows, *text;
};
extern const struct pipe_row pipe_rows[PIPE_KIND_COUNT];

typedef void pipe_line_fn(void *context, const char *line, size_t n);

struct pipe_stage {
	enum pipe_kind kind;
	regex_t pattern; /* of match, except, find */
	bool compiled;
	bool found; /* by find */
	uint32_t n; /* lines of last; which of compare, 0: the running one */
	uint64_t counted;
	char **kept; /* by last: a ring of n */
	size_t kept_at, kept_n;
};

struct pipe_chain {
	struct pipe_stage stages[SHELL_PIPES_MAX];
	unsigned n;
	pipe_line_fn *out;
	void *context;
};

/* The part of the line behind the first `|` outside of quotes, and that `|` becomes its end; NULL: there is none. */
char *pipe_split(char *line);
/* RC_MALFORMED with what was expected. pipe_done() then, too. */
enum rc pipe_parse(struct pipe_chain *ret_chain, const char *text, struct err *e);
bool pipe_has(const struct pipe_chain *c, enum pipe_kind kind, uint32_t *ret_n);
/* A line without its end goes in. */
void pipe_put(struct pipe_chain *c, const char *line, size_t n);
/* No more lines come: what was held back comes out. */
void pipe_end(struct pipe_chain *c);
void pipe_done(struct pipe_chain *c);

#endif
