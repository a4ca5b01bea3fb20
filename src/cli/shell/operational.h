/*
 * The operational mode's grammar: commands of cli/commands.h, their tables and options, and a few of the shell's own. Words may be cut where one
 * command is left, and options need no dashes.
 */
#ifndef CLI_SHELL_OPERATIONAL_H
#define CLI_SHELL_OPERATIONAL_H

#include <stdbool.h>

#include "base/err.h"
#include "cli/shell/limits.h"

/* clang-format off */
#define OPERATIONAL(O)	/* id, words, arguments, text */								\
	O(CONFIGURE,  "configure",  "",				"Edits a candidate configuration")		\
	O(SHOW_CONFIGURATION, "show configuration", "[PATH]",	"The running configuration, or a part; | display set and | compare rollback N too")	\
	O(SHOW_VERSION, "show version", "",			"The program's version")			\
	O(PING,       "ping",       "ADDRESS-OR-NAME [count N] [source ADDRESS] [size OCTETS]", "Sends ICMP echo requests")	\
	O(TRACEROUTE, "traceroute", "ADDRESS-OR-NAME [source ADDRESS]", "Shows the way to a host")		\
	O(MONITOR,    "monitor",    "TABLE [NAME]",		"Shows a table again each two seconds, until Ctrl-C")	\
	O(HELP,       "help",       "[COMMAND]",		"Says what there is; so does ? at any place")	\
	O(EXIT,       "exit",       "",				"Ends the session")				\
	O(QUIT,       "quit",       "",				"Ends the session")
/* clang-format on */

enum operational {
#define OPERATIONAL_ID(id, words, arguments, text) OPERATIONAL_##id,
	OPERATIONAL(OPERATIONAL_ID) OPERATIONAL_COUNT
#undef OPERATIONAL_ID
};

const char *operational_words(enum operational which);
const char *operational_text(enum operational which);

struct words_line {
	char *bytes;
	char *at[SHELL_WORDS_MAX + 1]; /* NULL behind the last one */
	bool quoted[SHELL_WORDS_MAX];
	unsigned n;
	bool open_quote;
};

/* RC_LIMIT. */
enum rc words_split(struct words_line *ret_words, const char *line, struct err *e);
void words_line_free(struct words_line *w);

/* A line that was understood. */
struct operation {
	bool own; /* one of OPERATIONAL */
	enum operational which;
	char *argv[SHELL_WORDS_MAX +
		   2]; /* "plaingate", the words, NULL; for the shell's own: what stands behind its words */
	int argc;
	bool streams; /* it prints until it is interrupted */
};

/* The words whole, options with their dashes. They are of `w` or of tables. RC_NOT_FOUND, RC_MALFORMED with what was expected. */
enum rc operation_read(struct operation *ret_operation, const struct words_line *w, struct err *e);

/* What may come behind these words, of which the last one is unfinished unless a space follows. */
typedef void offer_fn(void *context, const char *word, const char *text, bool is_value);
/* may: whether the operator's role permits what control is asked with these words; commands that it does not permit are not offered. */
typedef bool may_fn(const char *words);
void operation_complete(const char *line, may_fn *may, offer_fn *offer, void *context);

#endif
