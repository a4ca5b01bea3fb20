/* Completions for the shell: branches of a `case`, from the tables of src/cli. */
#include "cli/commands.h"
#include "roff.h"

#include <string.h>

static size_t first_word(const char *words)
{
	return strcspn(words, " ");
}

/* Does the previous command of the table begin with the same word? */
static int is_said(unsigned command)
{
	size_t n = first_word(cli_commands[command].words);

	for (unsigned i = 0; i < command; i++)
		if (first_word(cli_commands[i].words) == n && !strncmp(cli_commands[i].words, cli_commands[command].words, n))
			return 1;
	return 0;
}

static void seconds(FILE *out, const char *first, size_t n)
{
	fprintf(out, "\t\"%.*s\") reply=\"", (int)n, first);
	for (unsigned i = 0; i < COMMANDS_N; i++) {
		const char *words = cli_commands[i].words;
		if (first_word(words) == n && !strncmp(words, first, n) && words[n])
			fprintf(out, "%s ", words + n + 1);
	}
	if (n == 4 && !strncmp(first, "show", n))
		for (unsigned i = 0; i < SHOW_COUNT; i++)
			if (!strchr(cli_table((enum show_table)i).keyword, ' '))
				fprintf(out, "%s ", cli_table((enum show_table)i).keyword);
	fputs("\" ;;\n", out);
}

static void options(FILE *out, const struct cli_command_row *c)
{
	for (unsigned k = 0; k < OPTIONS_N; k++)
		if (c->options & 1ull << k)
			fprintf(out, "%s ", cli_options[k].word);
}

/* Tables of two words: the second one, beside what the first word alone may have. */
static void tables_of_two_words(FILE *out)
{
	for (unsigned i = 0; i < SHOW_COUNT; i++) {
		const char *keyword = cli_table((enum show_table)i).keyword;
		size_t n = first_word(keyword);
		if (!keyword[n])
			continue;
		fprintf(out, "\t\"show %.*s\") reply=\"%s ", (int)n, keyword, keyword + n + 1);
		options(out, &cli_commands[COMMAND_SHOW]);
		fputs("\" ;;\n", out);
	}
}

/* For each beginning of a command line: the words that may come next, including options. */
void page_completion(FILE *out)
{
	fputs("\t\"\") reply=\"", out);
	for (unsigned i = 0; i < COMMANDS_N; i++)
		if (!is_said(i))
			fprintf(out, "%.*s ", (int)first_word(cli_commands[i].words), cli_commands[i].words);
	fputs("\" ;;\n", out);
	for (unsigned i = 0; i < COMMANDS_N; i++)
		if (!is_said(i) && cli_commands[i].words[first_word(cli_commands[i].words)])
			seconds(out, cli_commands[i].words, first_word(cli_commands[i].words));
	tables_of_two_words(out);
	for (unsigned i = 0; i < COMMANDS_N; i++) {
		const struct cli_command_row *c = &cli_commands[i];
		fprintf(out, "\t\"%s\" | \"%s \"*) reply=\"", c->words, c->words);
		options(out, c);
		fputs("\" ;;\n", out);
	}
}
