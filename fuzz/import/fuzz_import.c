/* Configurations of others: whatever they are, what is made of them has its braces closed and no octet that a text does not have. */
#include "import/import.h"
#include "must.h"

#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	struct import_row row;
	struct import *m;
	long open = 0;

	if (!n || import_text(&m, data[0] & 1 ? IMPORT_SCREENOS : IMPORT_JUNOS, (const char *)data + 1, n - 1,
			  "a=b,ge-0/0/0.0=wan0", NULL) != RC_OK)
		return 0;
	for (const char *line = import_configuration(m); *line;) {
		size_t length = strcspn(line, "\n");
		const char *word = line + strspn(line, " ");
		MUST(line[length] == '\n');
		for (size_t i = 0; i < length; i++)
			MUST(line[i] >= ' ' && line[i] <= '~');
		if (*word != '#' && length) {
			open += line[length - 1] == '{';
			open -= *word == '}';
			MUST(open >= 0 && strchr("{};", line[length - 1]));
		}
		line += length + 1;
	}
	MUST(open == 0);
	for (size_t i = 0; !import_row(&row, m, i); i++)
		MUST(row.outcome > IMPORT_UNSAID && row.outcome < IMPORT_OUTCOME_COUNT && row.note);
	import_free(m);
	return 0;
}
