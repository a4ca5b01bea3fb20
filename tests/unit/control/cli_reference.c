/*
 * Makes the reference part of docs/cli.md out of the program's tables.
 *
 *	cli_reference --check FILE    fails when the part differs from what is made now (this is the test)
 *	cli_reference --update FILE   writes it
 */
#include <stdio.h>
#include <string.h>

#include "cli/commands.h"
#include "cli/shell/operational.h"
#include "cli/shell/pipe.h"
#include "cli/shell/tables.h"
#include "edit/edit.h"
#include "page.h"
#include "verify/verify.h"

#define BEGIN "<!-- reference: made by cli_reference, do not edit -->\n"

static void put_options(FILE *out, cli_options_set options)
{
	const char *between = "";

	for (unsigned i = 0; i < OPTIONS_N; i++) {
		if (!(options & OPT_BIT(i)))
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

/* A cell of a table: `|` would end it. */
static void put_cell(FILE *out, const char *text)
{
	for (; *text; text++) {
		if (*text == '|')
			fputc('\\', out);
		fputc(*text, out);
	}
}

static void put_shell_row(FILE *out, const char *word, const char *follows, const char *text)
{
	fprintf(out, "| `%s%s", word, *follows ? " " : "");
	put_cell(out, follows);
	fputs("` | ", out);
	put_cell(out, text);
	fputs(" |\n", out);
}

static void put_shell(FILE *out)
{
	fputs("## Commands of the shell's own, in the operational mode\n\n| command | what it does |\n| --- | --- |\n",
		out);
#define E(id, words, follows, text) put_shell_row(out, words, follows, text);
	OPERATIONAL(E)
#undef E
	fputs("\n## Commands of the configuration mode\n\n| command | what it does |\n| --- | --- |\n", out);
#define E(id, word, follows, text) put_shell_row(out, word, follows, text);
	EDIT_COMMANDS(E)
	CONFIGURE(E)
#undef E
	fputs("\n## Behind a command of the shell\n\n| filter | what it leaves |\n| --- | --- |\n", out);
	for (unsigned i = 0; i < PIPE_KIND_COUNT; i++) {
		char word[40];
		snprintf(word, sizeof word, "\\| %s", pipe_rows[i].word);
		put_shell_row(out, word, pipe_rows[i].follows, pipe_rows[i].text);
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
	put_shell(out);
	fclose(out);
	return page_main(argc, argv, BEGIN, made);
}
