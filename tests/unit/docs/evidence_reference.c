/*
 * Makes the reference parts of docs/evidence.md out of the tables of visible fields and of entry types.
 *
 *	evidence_reference --check FILE    fails when a part differs from what is made now (this is the test)
 *	evidence_reference --update FILE   writes them
 *	evidence_reference --fields        the visible fields for a test: a line "ID SOURCE" each
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "ledger/types.h"
#include "page.h"
#include "verify/verify.h"
#include "verify/visible.h"

#define BEGIN	      "<!-- reference: made by evidence_reference, do not edit -->\n"
#define BEGIN_STATUS  "<!-- exit statuses: made by evidence_reference, do not edit -->\n"
#define BEGIN_FREE    "<!-- free bits: made by evidence_reference, do not edit -->\n"
#define BEGIN_VISIBLE "<!-- visible fields: made by evidence_reference, do not edit -->\n"

static const char *const determined_by[] = {
#define E(id, text) [VISIBLE_##id] = text,
	VISIBLE_SOURCES(E)
#undef E
};

static const struct visible {
	const char *id, *source_id, *where, *field, *how;
	enum visible_source source;
} fields[] = {
#define E(id, where, field, source, how) { #id, #source, where, field, how, VISIBLE_##source },
	VISIBLE_FIELDS(E)
#undef E
};

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
				f[k].kind == LEDGER_NUMBER  ? "number"
				: f[k].kind == LEDGER_ADDED ? "text, not in old entries"
							    : "text",
				f[k].text);
	}
	fputc('\n', out);
}

static void put_visible(FILE *out)
{
	fputs("| where | field | determined by | how |\n| --- | --- | --- | --- |\n", out);
	for (size_t i = 0; i < sizeof fields / sizeof fields[0]; i++)
		fprintf(out, "| %s | %s | %s | %s |\n", fields[i].where, fields[i].field,
			determined_by[fields[i].source], fields[i].how);
	fputc('\n', out);
}

static void put_free(FILE *out)
{
	fputs("| what nothing determines | bits | who could use it | what prevents or counts it |\n| --- | --- | --- | --- |\n",
		out);
#define E(what, bits, who, how) fprintf(out, "| %s | %s | %s | %s |\n", what, bits, who, how);
	VISIBLE_FREE(E)
#undef E
	fputc('\n', out);
}

static void put_statuses(FILE *out)
{
	fputs("| status | means |\n| --- | --- |\n", out);
#define E(id, number, text) fprintf(out, "| %d | %s |\n", number, text);
	VERIFY_STATUSES(E)
#undef E
	fputc('\n', out);
}

static int part(int argc, char **argv, const char *begin, void (*put)(FILE *out))
{
	char *made = NULL;
	size_t n = 0;
	FILE *out = open_memstream(&made, &n);

	if (!out)
		return 1;
	put(out);
	if (fclose(out) != 0)
		return 1;
	return page_main(argc, argv, begin, made);
}

int main(int argc, char **argv)
{
	if (argc == 2 && strcmp(argv[1], "--fields") == 0) {
		for (size_t i = 0; i < sizeof fields / sizeof fields[0]; i++)
			printf("%s %s\n", fields[i].id, fields[i].source_id);
		return 0;
	}
	int status = part(argc, argv, BEGIN_STATUS, put_statuses);
	status = status ? status : part(argc, argv, BEGIN_VISIBLE, put_visible);
	status = status ? status : part(argc, argv, BEGIN_FREE, put_free);
	return status ? status : part(argc, argv, BEGIN, put_types);
}
