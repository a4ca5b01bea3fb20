/* Reading the text that a command is given. */
#include "cli/text.h"

#include "model/model.h"

#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum rc text_read(const char *path, char **ret_text, size_t *ret_n, struct err *e)
{
	bool standard_input = strcmp(path, "-") == 0;
	FILE *f = standard_input ? stdin : fopen(path, "re");
	char *text = malloc(CONFIG_TEXT_MAX + 1);
	enum rc rc = RC_OK;
	size_t n = 0;

	*ret_text = NULL;
	if (!f)
		rc = err_errno(e, RC_IO, "open '%s'", path);
	else if (!text)
		rc = err_add(e, RC_INTERNAL, "out of memory");
	else
		n = fread(text, 1, CONFIG_TEXT_MAX + 1, f);
	if (!rc && ferror(f))
		rc = err_errno(e, RC_IO, "read '%s'", path);
	if (f && !standard_input)
		fclose(f);
	if (rc) {
		free(text);
		return rc;
	}
	*ret_text = text;
	*ret_n = n; /* a text that is one byte too long is refused by its parser */
	return RC_OK;
}
