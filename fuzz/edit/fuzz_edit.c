/* Texts and commands for the editor: what a text becomes can be read again and is the same then, does not differ from itself; a command
 * that fails changes nothing. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "edit/edit.h"
#include "must.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

static void readable(const char *text)
{
	struct edit *again;
	char *same, *differs;

	MUST(edit_new(&again, text, strlen(text), "again", NULL) == RC_OK);
	same = edit_text(again);
	MUST(same && strcmp(same, text) == 0);
	MUST(edit_compare(again, text, strlen(text), "same", &differs, NULL) == RC_OK && !*differs);
	free(differs);
	free(same);
	edit_free(again);
}

static void run(struct edit *e, const char *line)
{
	const struct edit_completion *all;
	char *before = edit_text(e), *after;

	for (unsigned c = 0; c < EDIT_COMMAND_COUNT; c += 3)
		edit_complete(e, (enum edit_command)c, line, &all);
	enum rc rc = edit_command(e, line, NULL);
	after = edit_text(e);
	MUST(before && after && (rc == RC_OK || strcmp(before, after) == 0));
	readable(after);
	free(before);
	free(after);
}

/* A text, and behind an octet 0 commands in lines. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	const uint8_t *commands = n ? memchr(data, 0, n) : NULL;
	size_t text_n = commands ? (size_t)(commands - data) : n;
	struct edit *e;

	if (n > 20000 || edit_new(&e, (const char *)data, text_n, "t", NULL) != RC_OK)
		return 0;
	if (commands) {
		char *lines = strndup((const char *)commands + 1, n - text_n - 1), *next = lines, *line;
		for (unsigned i = 0; i < 40 && (line = strsep(&next, "\n")); i++)
			run(e, line);
		free(lines);
	}
	char *text = edit_text(e);
	readable(text);
	free(text);
	edit_free(e);
	return 0;
}
