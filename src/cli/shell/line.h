/* Lines from the terminal (libedit: history, Tab and ? complete), or from whatever standard input is. */
#ifndef CLI_SHELL_LINE_H
#define CLI_SHELL_LINE_H

#include <stdbool.h>

#include "cli/shell/operational.h"

struct line_editor;

/* What may come at the end of the line up to the cursor. */
typedef void line_complete_fn(void *context, const char *line, offer_fn *offer, void *offer_context);

/* `prompt` is read at each line. NULL: out of memory. */
struct line_editor *line_editor_new(const char *prompt, line_complete_fn *complete, void *context);
void line_editor_free(struct line_editor *l);
/* The next line without its end, which may be written to until the next call; NULL: there are no more. An interrupted one is "". */
char *line_read(struct line_editor *l);
bool line_is_terminal(const struct line_editor *l);
/* Lines are a text, until it is false again: no key means anything but Ctrl-C and Ctrl-D, and nothing is remembered. */
void line_plain(struct line_editor *l, bool plain);
/* The last one, by Ctrl-C. */
bool line_was_interrupted(const struct line_editor *l);

enum line_answer { LINE_NO, LINE_YES, LINE_NO_TERMINAL };
enum line_answer line_asks(const struct line_editor *l, const char *question);

#endif
