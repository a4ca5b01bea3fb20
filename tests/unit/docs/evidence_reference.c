/*
 * Makes the reference part of docs/evidence.md out of the table of entry types.
 *
 *	evidence_reference --check FILE    fails when the part differs from what is made now (this is the test)
 *	evidence_reference --update FILE   writes it
 */
#include <stdio.h>
#include <stdlib.h>

#include "ledger/types.h"
#include "page.h"

#define BEGIN "<!-- reference: made by evidence_reference, do not edit -->\n"

static const char *const sources[LEDGER_TYPE_COUNT] = {
#define E(id, name, sources, text) [LEDGER_##id] = sources,
	LEDGER_TYPES(E)
#undef E
};

static void put_types(FILE *out)
{
	fputs("| type | written by | when |\n| --- | --- | --- |\n", out);
	for (unsigned i = 0; i < LEDGER_TYPE_COUNT; i++)
		fprintf(out, "| `%s` | %s | %s |\n", ledger_type_name((enum ledger_type)i), sources[i],
			ledger_type_text((enum ledger_type)i));
	for (unsigned i = 0; i < LEDGER_TYPE_COUNT; i++) {
		size_t n;
		const struct ledger_field *f = ledger_type_fields((enum ledger_type)i, &n);

		fprintf(out, "\n**%s**\n\n| field | | what |\n| --- | --- | --- |\n",
			ledger_type_name((enum ledger_type)i));
		for (size_t k = 0; k < n; k++)
			fprintf(out, "| `%s` | %s | %s |\n", f[k].key,
				f[k].kind == LEDGER_STRING ? "text" : "number", f[k].text);
	}
	fputc('\n', out);
}

int main(int argc, char **argv)
{
	char *made = NULL;
	size_t n = 0;
	FILE *out = open_memstream(&made, &n);

	if (!out)
		return 1;
	put_types(out);
	if (fclose(out) != 0)
		return 1;
	return page_main(argc, argv, BEGIN, made);
}
