/*
 * Makes the reference part of docs/metrics.md out of the table of measurements.
 *
 *	metrics_reference --check FILE    fails when the part differs from what is made now (this is the test)
 *	metrics_reference --update FILE   writes it
 */
#include <stdio.h>
#include <string.h>

#include "export/metrics.h"
#include "page.h"

#define BEGIN "<!-- reference: made by metrics_reference, do not edit -->\n"

/* "reason:counter,?to": the labels alone. */
static void put_labels(FILE *out, const char *labels)
{
	for (const char *at = labels; *at; at += strcspn(at, ","), at += *at == ',')
		fprintf(out, "%s`%.*s`", at > labels ? ", " : "", (int)strcspn(at + (*at == '?'), ":,"),
			at + (*at == '?'));
}

int main(int argc, char **argv)
{
	char *made = NULL;
	size_t n = 0;
	FILE *out = open_memstream(&made, &n);

	if (!out)
		return 1;
	fputs("\n| name | type | labels | from `show` | what it says |\n| --- | --- | --- | --- | --- |\n",
		out);
	for (unsigned i = 0; i < METRIC_COUNT; i++) {
		struct metric_facts f = metric_facts((enum metric)i);
		fprintf(out, "| `%s` | %s | ", f.name, f.type);
		put_labels(out, f.labels);
		fprintf(out, " | %s | %s |\n", f.table, f.help);
	}
	fputc('\n', out);
	fclose(out);
	return page_main(argc, argv, BEGIN, made);
}
