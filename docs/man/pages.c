/*
 * Generates a manual page, or the shell completion, from a template and the tables that the programs themselves use:
 *
 *	pages TEMPLATE >PAGE
 *
 * A line "@name@" of the template is replaced by the contents of the table of that name; everything else is copied.
 */
#include "base/bytes.h"
#include "base/options.h"
#include "proc/supervisor/options.h"
#include "proc/witness/options.h"
#include "roff.h"

#include <string.h>

void roff_words(FILE *out, const char *text)
{
	int bold = 0;

	for (const char *c = text; *c; c++) {
		size_t between = strspn(c + 1, " \n");
		if (*c == '\n') {
			fputc(' ', out);
			c += strspn(c + 1, " ");
		} else if (c[0] == '.' && between && c[1 + between] >= 'A' && c[1 + between] <= 'Z') {
			fputs(".\n",
				out); /* a sentence begins a line, so that the formatter sees where it ends */
			c += between;
		} else if (*c == '`') {
			fputs((bold = !bold) ? "\\fB" : "\\fR", out);
		} else if (*c == '\\') {
			fputs("\\e", out);
		} else if (*c == '-') {
			fputs("\\-", out);
		} else {
			fputc(*c, out);
		}
	}
	if (bold)
		fputs("\\fR", out);
}

void roff_text(FILE *out, const char *text)
{
	if (!text || !*text)
		return;
	if (*text == '.' || *text == '\'')
		fputs("\\&", out);
	roff_words(out, text);
	fputc('\n', out);
}

static void server_options(FILE *out, const struct option_row *rows, size_t n)
{
	fputs(".Bl -tag -width Ds\n", out);
	for (size_t i = 0; i < n; i++) {
		fprintf(out, ".It Fl -%s", rows[i].word);
		if (rows[i].value[0])
			fprintf(out, " Ar %s", rows[i].value);
		fputc('\n', out);
		roff_text(out, rows[i].text);
	}
	fputs(".El\n", out);
}

#define E(letter, word, value, text) { letter, word, value, text },
static void supervisor_options(FILE *out)
{
	static const struct option_row rows[] = { SUPERVISOR_OPTIONS(E) };

	server_options(out, rows, COUNT_OF(rows));
}

static void witness_options(FILE *out)
{
	static const struct option_row rows[] = { WITNESS_OPTIONS(E) };

	server_options(out, rows, COUNT_OF(rows));
}
#undef E

static const struct part {
	const char *line;
	void (*write)(FILE *out);
} parts[] = {
	{ "@commands@\n", page_commands },
	{ "@options@\n", page_options },
	{ "@tables@\n", page_tables },
	{ "@statuses@\n", page_statuses },
	{ "@configuration@\n", page_configuration },
	{ "@applications@\n", page_applications },
	{ "@supervisor-options@\n", supervisor_options },
	{ "@witness-options@\n", witness_options },
	{ "@completion@\n", page_completion },
};

/* Returns 0 if the line was written. */
static int line_write(FILE *out, const char *line)
{
	if (line[0] != '@') {
		fputs(line, out);
		return 0;
	}
	for (size_t i = 0; i < COUNT_OF(parts); i++)
		if (strcmp(parts[i].line, line) == 0) {
			parts[i].write(out);
			return 0;
		}
	fprintf(stderr, "no table is named %s", line);
	return 1;
}

int main(int argc, char **argv)
{
	char line[1024];
	FILE *in = argc == 2 ? fopen(argv[1], "r") : NULL;
	int failed = 0;

	if (!in) {
		fputs("usage: pages TEMPLATE >PAGE\n", stderr);
		return 2;
	}
	while (!failed && fgets(line, sizeof line, in))
		failed = line_write(stdout, line);
	failed |= ferror(in) || fflush(stdout) != 0;
	fclose(in);
	return failed;
}
