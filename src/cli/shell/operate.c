/* Operational commands are carried out: those of the program in processes of their own, and the shell's. */
#include "cli/shell/shell.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cli/commands.h"
#include "cli/configuration.h"
#include "cli/shell/operational.h"

/* A host as an argument of a program: never an option. */
static bool is_host(const char *word)
{
	return *word && *word != '-' &&
	       word[strspn(word, "0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ.:-%_")] ==
		       '\0';
}

static bool is_number(const char *word, unsigned long max)
{
	char *end;
	unsigned long n = strtoul(word, &end, 10);

	return *word >= '0' && *word <= '9' && !*end && n >= 1 && n <= max;
}

/* What `program` is called with: its words, and the host behind them. */
static enum rc reach_arguments(const struct operation *o, char **argv, unsigned *n, struct err *e)
{
	bool ping = o->which == OPERATIONAL_PING;

	if (o->argc < 1 || !is_host(o->argv[0]))
		return err_add(e, RC_MALFORMED, "expected an address or a name%s%.60s",
			o->argc ? ", found " : "", o->argc ? o->argv[0] : "");
	for (int i = 1; i < o->argc; i += 2) {
		const char *word = o->argv[i], *value = i + 1 < o->argc ? o->argv[i + 1] : "";
		bool source = strcmp(word, "source") == 0 && is_host(value);
		bool count = ping && strcmp(word, "count") == 0 && is_number(value, SHELL_COUNT_MAX);
		bool size = ping && strcmp(word, "size") == 0 && is_number(value, 65507);
		if (!source && !count && !size)
			return err_add(e, RC_MALFORMED, "found '%.40s %.40s', expected %s", word, value,
				ping ? "count N, source ADDRESS or size OCTETS" : "source ADDRESS");
		argv[(*n)++] = argument(source ? ping ? "-I" : "-s" : count ? "-c" : "-s");
		argv[(*n)++] = o->argv[i + 1];
	}
	argv[(*n)++] = o->argv[0];
	argv[*n] = NULL;
	return RC_OK;
}

static void reach(const struct operation *o)
{
	static const char *const pings[] = { "/usr/bin/ping", "/bin/ping" }, *const routes[] = {
		"/usr/bin/traceroute", "/usr/sbin/traceroute"
	};
	bool ping = o->which == OPERATIONAL_PING;
	const char *const *programs = ping ? pings : routes;
	char *argv[SHELL_WORDS_MAX + 2] = { argument(programs[access(programs[0], X_OK) != 0]) };
	struct err e = { 0 };
	unsigned n = 1;

	if (access(argv[0], X_OK) != 0)
		printf("error: %s is not installed: the package %s has it\n", ping ? "ping" : "traceroute",
			ping ? "iputils-ping" : "traceroute");
	else if (reach_arguments(o, argv, &n, &e))
		shell_error(&e);
	else
		run_program(argv);
}

static volatile sig_atomic_t interrupted;

static void on_interrupt(int signal_number)
{
	interrupted = 1;
}

void operational_signals(void)
{
	struct sigaction noted = { .sa_handler = on_interrupt };

	sigaction(SIGINT, &noted, NULL);
	signal(SIGPIPE, SIG_IGN);
}

/* `show` again and again. */
static void monitor(const struct operation *o)
{
	char *argv[SHELL_WORDS_MAX + 4] = { argument("plaingate"), argument("show") };
	int argc = 2;

	for (int i = 0; i < o->argc; i++)
		argv[argc++] = o->argv[i];
	if (o->argc == 0) {
		fputs("error: expected a table, as of show\n", stdout);
		return;
	}
	interrupted = 0;
	while (!interrupted) {
		if (isatty(STDOUT_FILENO))
			fputs("\033[H\033[2J", stdout);
		if (run_child(argc, argv, NULL, true) != STATUS_OK || !isatty(STDOUT_FILENO))
			return;
		fputs("(again in a moment; Ctrl-C ends it)\n", stdout);
		fflush(stdout);
		sleep(SHELL_MONITOR_S);
	}
}

static void help(struct pipe_chain *chain)
{
	char *text = NULL;
	size_t n = 0;
	FILE *f = open_memstream(&text, &n);

	if (!f)
		return;
	fputs("Commands of this mode; ? behind a word says what may follow it, Tab completes it.\n\n", f);
	for (unsigned i = 0; i < OPERATIONAL_COUNT; i++)
		fprintf(f, "  %-24s %s\n", operational_words((enum operational)i),
			operational_text((enum operational)i));
	for (unsigned i = 0; i < COMMANDS_N; i++) {
		if (i != COMMAND_HELP && i != COMMAND_SHOW_CONFIG)
			fprintf(f, "  %-24s %.*s\n", cli_commands[i].words,
				(int)strcspn(cli_commands[i].text, "."), cli_commands[i].text);
	}
	fputs("\nBehind a command:\n\n", f);
	for (unsigned i = 0; i < PIPE_KIND_COUNT; i++)
		fprintf(f, "  | %-22s %s\n", pipe_rows[i].word, pipe_rows[i].text);
	fclose(f);
	shell_print(chain, text);
	free(text);
}

/* What runs, in the forms that the configuration mode has of a candidate. */
static enum rc configuration_shown(
	struct shell *s, const char *words, struct pipe_chain *chain, char **ret_text, struct err *e)
{
	char *text = NULL, *old = NULL, name[24];
	struct edit *running = NULL;
	uint32_t rollback = 0;
	size_t n = 0, old_n = 0;
	enum rc rc = configuration_read(s->socket, 0, &text, &n, e);

	if (!rc)
		rc = edit_new(&running, text, n, "the running configuration", e);
	if (!rc && pipe_has(chain, PIPE_COMPARE, &rollback)) {
		snprintf(name, sizeof name, "rollback %u", rollback);
		if (rollback == 0)
			rc = err_add(e, RC_MALFORMED,
				"| compare: expected rollback N: what runs does not differ from itself");
		else if (!(rc = configuration_read(s->socket, rollback, &old, &old_n, e)))
			rc = edit_compare(running, old, old_n, name, ret_text, e);
	} else if (!rc) {
		rc = edit_show(running, words, pipe_has(chain, PIPE_SET, NULL), ret_text, e);
	}
	edit_free(running);
	free(old);
	free(text);
	return rc;
}

static void show_configuration(struct shell *s, const struct operation *o, struct pipe_chain *chain)
{
	char *shown = NULL, *words = NULL;
	struct err e = { 0 };
	size_t n = 0;
	FILE *f;

	if (pipe_has(chain, PIPE_JSON, NULL)) {
		char *argv[] = { argument("plaingate"), argument("show"), argument("configuration"),
			argument("--json"), NULL };
		run_child(4, argv, chain, false);
		return;
	}
	f = open_memstream(&words, &n);

	for (int i = 0; f && i < o->argc; i++)
		fprintf(f, "%s%s", i ? " " : "", o->argv[i]);
	if (!f || fclose(f) != 0)
		err_add(&e, RC_INTERNAL, "out of memory");
	else
		configuration_shown(s, words, chain, &shown, &e);
	if (e.rc)
		shell_error(&e);
	else
		shell_print(chain, shown);
	free(shown);
	free(words);
}

static void own_run(struct shell *s, const struct operation *o, struct pipe_chain *chain)
{
	switch (o->which) {
	case OPERATIONAL_CONFIGURE:
		if (o->argc > 0) {
			fputs("error: configure takes no word: each session has a candidate of its own, and a commit notices others\n",
				stdout);
			shell_failed();
			break;
		}
		if (s->candidate)
			fputs("this is the configuration mode\n", stdout);
		else
			s->wants_to_configure = true;
		break;
	case OPERATIONAL_SHOW_CONFIGURATION:
		show_configuration(s, o, chain);
		break;
	case OPERATIONAL_SHOW_VERSION:
		run_child(2, (char *[]){ argument("plaingate"), argument("version"), NULL }, chain, false);
		break;
	case OPERATIONAL_PING:
	case OPERATIONAL_TRACEROUTE:
		reach(o);
		break;
	case OPERATIONAL_MONITOR:
		monitor(o);
		break;
	case OPERATIONAL_HELP:
		help(chain);
		break;
	case OPERATIONAL_EXIT:
	case OPERATIONAL_QUIT:
		s->ends = !s->candidate;
		break;
	case OPERATIONAL_COUNT:
		break;
	}
}

static void run_noted(struct operation *o, struct pipe_chain *chain)
{
	if (run_child(o->argc, o->argv, chain, o->streams && chain->n == 0) != STATUS_OK)
		shell_failed();
}

void operational_line(struct shell *s, const char *line, struct pipe_chain *chain)
{
	struct words_line w;
	struct operation o;
	struct err e = { 0 };

	if (words_split(&w, line, &e)) {
		shell_error(&e);
		return;
	}
	if (w.open_quote)
		err_add(&e, RC_MALFORMED, "a quote is not closed");
	if (!e.rc && w.n > 0 && !operation_read(&o, &w, &e) &&
		(pipe_has(chain, PIPE_COMPARE, NULL) || pipe_has(chain, PIPE_SET, NULL)) &&
		!(o.own && o.which == OPERATIONAL_SHOW_CONFIGURATION))
		err_add(&e, RC_MALFORMED, "| compare and | display set are for configurations");
	if (!e.rc && w.n > 0) {
		if (pipe_has(chain, PIPE_JSON, NULL) && !o.own && o.argc <= SHELL_WORDS_MAX)
			o.argv[o.argc++] = argument("--json");
		o.argv[o.argc] = NULL;
		if (o.own)
			own_run(s, &o, chain);
		else
			run_noted(&o, chain);
	}
	if (e.rc)
		shell_error(&e);
	words_line_free(&w);
}
