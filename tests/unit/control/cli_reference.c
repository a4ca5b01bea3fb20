/*
 * Makes the reference part of docs/cli.md out of the program's tables.
 *
 *	cli_reference --check FILE    fails when the part differs from what is made now (this is the test)
 *	cli_reference --update FILE   writes it
 */
#include <stdio.h>
#include <string.h>

#include "cli/commands.h"
#include "page.h"
#include "verify/verify.h"

#define BEGIN "<!-- reference: made by cli_reference, do not edit -->\n"

static void put_options(FILE *out, uint64_t options)
{
	const char *between = "";

	for (unsigned i = 0; i < OPTIONS_N; i++) {
		if (!(options & 1ull << i))
			continue;
		fprintf(out, "%s`%s%s%s`", between, cli_options[i].word, cli_options[i].value[0] ? " " : "",
			cli_options[i].value);
		between = " ";
	}
}

static void put_commands(FILE *out)
{
	fputs("## Commands\n\n| command | options | what it does |\n| --- | --- | --- |\n", out);
	for (unsigned i = 0; i < COMMANDS_N; i++) {
		const struct cli_command_row *c = &cli_commands[i];
		fprintf(out, "| `plaingate %s%s%s` | ", c->words, c->arguments[0] ? " " : "", c->arguments);
		put_options(out, c->options);
		fprintf(out, " | %s |\n", c->text);
	}
	fputs("\n## Options\n\n| option | what it does |\n| --- | --- |\n", out);
	for (unsigned i = 0; i < OPTIONS_N; i++)
		fprintf(out, "| `%s%s%s` | %s |\n", cli_options[i].word, cli_options[i].value[0] ? " " : "",
			cli_options[i].value, cli_options[i].text);
}

static void put_statuses(FILE *out)
{
	fputs("\n## Exit statuses of `verify ledger`\n\n| status | means |\n| --- | --- |\n", out);
#define E(id, number, text) fprintf(out, "| %d | %s |\n", number, text);
	VERIFY_STATUSES(E)
#undef E
}

static const char *owner_of(unsigned table)
{
	switch (table) {
#define E(id, word, owner, text)                                                                             \
	case SHOW_##id:                                                                                      \
		return proc_name(PROC_##owner);
		SHOW_TABLES(E)
#undef E
	}
	return "";
}

static void put_tables(FILE *out)
{
	fputs("\n## Tables of `show`\n\n| table | from | what it shows | columns: JSON key (header) |\n"
	      "| --- | --- | --- | --- |\n",
		out);
	for (unsigned i = 0; i < SHOW_COUNT; i++) {
		struct cli_table t = cli_table((enum show_table)i);
		fprintf(out, "| `%s` | %s | %s |", t.keyword, owner_of(i), t.text);
		for (size_t j = 0; j < t.n; j++) {
			fprintf(out, "%s `%s`", j ? "," : "", t.columns[j].key);
			if (strcmp(t.columns[j].key, t.columns[j].header) != 0)
				fprintf(out, " (%s)", t.columns[j].header);
		}
		fputs(" |\n", out);
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
	put_commands(out);
	put_statuses(out);
	put_tables(out);
	fclose(out);
	return page_main(argc, argv, BEGIN, made);
}
