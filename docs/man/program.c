/* plaingate(8): commands, options, tables and exit statuses, from src/cli and src/verify. */
#include "cli/commands.h"
#include "roff.h"
#include "verify/verify.h"

static void option(FILE *out, const char *macro, unsigned i)
{
	fprintf(out, "%s Fl %s", macro, cli_options[i].word + 1);
	if (cli_options[i].value[0])
		fprintf(out, " Ar %s", cli_options[i].value);
	fputc('\n', out);
}

/* "TABLE [NAME]" */
static void arguments(FILE *out, const char *words)
{
	while (*words) {
		size_t n = 0;
		int optional = *words == '[';

		words += optional;
		while (words[n] && words[n] != ' ' && words[n] != ']')
			n++;
		fprintf(out, " %sAr %.*s", optional ? "Op " : "", (int)n, words);
		words += n + (words[n] == ']');
		words += *words == ' ';
	}
}

void page_commands(FILE *out)
{
	fputs(".Bl -tag -width Ds\n", out);
	for (unsigned i = 0; i < COMMANDS_N; i++) {
		const struct cli_command_row *c = &cli_commands[i];
		fprintf(out, ".It Xo\n.Ic %s", c->words);
		arguments(out, c->arguments);
		fputc('\n', out);
		for (unsigned k = 0; k < OPTIONS_N; k++)
			if (c->options & 1ull << k)
				option(out, ".Op", k);
		fputs(".Xc\n", out);
		roff_text(out, c->text);
	}
	fputs(".El\n", out);
}

void page_options(FILE *out)
{
	fputs(".Bl -tag -width Ds\n", out);
	for (unsigned i = 0; i < OPTIONS_N; i++) {
		option(out, ".It", i);
		roff_text(out, cli_options[i].text);
	}
	fputs(".El\n", out);
}

void page_tables(FILE *out)
{
	fputs(".Bl -tag -width Ds\n", out);
	for (unsigned i = 0; i < SHOW_COUNT; i++) {
		struct cli_table t = cli_table((enum show_table)i);
		fprintf(out, ".It Ic %s\n", t.keyword);
		roff_text(out, t.text);
		fputs(".br\nKeys in JSON:\n", out);
		for (size_t j = 0; j < t.n; j++)
			fprintf(out, "%s%s\n", t.columns[j].key, j + 1 < t.n ? "," : ".");
	}
	fputs(".El\n", out);
}

void page_statuses(FILE *out)
{
	fputs(".Bl -tag -width Ds\n", out);
#define E(id, number, text)                                                                                  \
	fprintf(out, ".It %d\n", number);                                                                    \
	roff_text(out, text);
	VERIFY_STATUSES(E)
#undef E
	fputs(".El\n", out);
}
