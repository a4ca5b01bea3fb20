/* The shell's grammar and its pipes, by tables: words to a command line, lines to lines, and what is offered. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "base/bytes.h"
#include "cli/commands.h"
#include "cli/shell/operational.h"
#include "cli/shell/pipe.h"

/* ---- operational commands ---- */

/* clang-format off */
static const struct {
	const char *line, *means;	/* the command line without `plaingate`, or with an error what it says */
	bool bad;
} lines[] = {
	{ "show sessions", "show sessions" },
	{ "sho sess", "show sessions" },
	{ "sho sessions", "show sessions" },
	{ "show sessions summary", "show sessions summary" },
	{ "show sessions sum", "show sessions sum" },		/* a name: behind a whole command words are not cut */
	{ "show ike branch", "show ike branch" },
	{ "show sessions src 10.0.0.1 dport 443", "show sessions --src 10.0.0.1 --dport 443" },
	{ "show sessions --src 10.0.0.1", "show sessions --src 10.0.0.1" },
	{ "show ike \"src\"", "show ike src" },
	{ "show counters nonzero", "show counters --nonzero" },
	{ "tes pol src 10.0.0.1 dst 10.0.0.2 proto tcp dport 80", "test policy --src 10.0.0.1 --dst 10.0.0.2 --proto tcp --dport 80" },
	{ "vpn exp branch", "vpn explain branch" },
	{ "clear sess", "clear sessions" },
	{ "clear", "needs another word", true },
	{ "s", "'s' needs another word", true },
	{ "ver", "'ver' is the beginning of several: verify, version", true },
	{ "versoin", "did you mean 'version'?", true },
	{ "show sesions", "did you mean 'sessions'?", true },
	{ "set zones zone a", "configuration mode", true },
	{ "p", "'p' is the beginning of several: ping, pki", true },
};
/* clang-format on */

static void operational_lines(void **state)
{
	for (size_t i = 0; i < COUNT_OF(lines); i++) {
		struct words_line w;
		struct operation o;
		struct err e = { 0 };
		char means[400] = "";
		assert_int_equal(words_split(&w, lines[i].line, &e), RC_OK);
		bool bad = operation_read(&o, &w, &e) != RC_OK;
		for (int k = 1; !bad && k < o.argc; k++)
			snprintf(means + strlen(means), sizeof means - strlen(means), "%s%s",
				k > 1 ? " " : "", o.argv[k]);
		if (bad != lines[i].bad ||
			(bad ? !strstr(e.text, lines[i].means) : strcmp(means, lines[i].means) != 0))
			fail_msg("'%s' means '%s' (%s)", lines[i].line, means, e.text);
		words_line_free(&w);
	}
}

/* Every command that the program has is one of the shell's, by its whole words, and help names it. */
static void every_command_is_there(void **state)
{
	for (unsigned i = 0; i < COMMANDS_N; i++) {
		struct words_line w;
		struct operation o;
		if (i == COMMAND_HELP || i == COMMAND_SHOW || i == COMMAND_SHOW_CONFIG)
			continue;
		assert_int_equal(words_split(&w, cli_commands[i].words, NULL), RC_OK);
		assert_int_equal(operation_read(&o, &w, NULL), RC_OK);
		assert_false(o.own);
		words_line_free(&w);
	}
	for (unsigned i = 0; i < SHOW_COUNT; i++) {
		struct words_line w;
		struct operation o;
		char line[80];
		snprintf(line, sizeof line, "show %s", cli_table((enum show_table)i).keyword);
		assert_int_equal(words_split(&w, line, NULL), RC_OK);
		assert_int_equal(operation_read(&o, &w, NULL), RC_OK);
		assert_string_equal(o.argv[1], "show");
		words_line_free(&w);
	}
}

struct wanted {
	const char *word;
	bool found;
};

static void offered(void *context, const char *word, const char *text, bool is_value)
{
	struct wanted *wanted = context;

	wanted->found |= strcmp(word, wanted->word) == 0;
}

static bool everything(const char *words)
{
	return true;
}

static bool looks_only(const char *words)
{
	return strncmp(words, "show", 4) == 0;
}

/* What a role does not permit is not offered, by whichever words; what needs no gateway is. */
static void what_a_role_permits(void **state)
{
	static const struct {
		const char *line, *word;
		bool is;
	} rows[] = { { "", "show", true }, { "", "clear", false }, { "", "commit", false },
		{ "", "trace", false }, { "ike ", "initiate", false }, { "vpn ", "up", false },
		{ "vpn ", "explain", true }, { "show ", "sessions", true }, { "", "verify", true },
		{ "", "configure", true }, { "", "ping", true }, { "show ", "configuration", true } };

	for (size_t i = 0; i < COUNT_OF(rows); i++) {
		struct wanted wanted = { .word = rows[i].word };
		operation_complete(rows[i].line, looks_only, offered, &wanted);
		if (wanted.found != rows[i].is)
			fail_msg("'%s': '%s' is %soffered", rows[i].line, rows[i].word,
				rows[i].is ? "not " : "");
	}
}

static void what_may_come_next(void **state)
{
	static const struct {
		const char *line, *word;
		bool is;
	} rows[] = { { "", "show", true }, { "", "configure", true }, { "sh", "show", true },
		{ "sh", "configure", false }, { "show ", "sessions", true }, { "show s", "sessions", true },
		{ "show sessions ", "src", true }, { "show sessions ", "summary", true },
		{ "show sessions sr", "src", true }, { "show sessions --sr", "--src", true },
		{ "show sessions src ", "<ADDRESS>", true }, { "show ike ", "<[NAME]>", true },
		{ "vpn ", "explain", true }, { "nonsense ", "show", false },
		{ "show sessions ", "socket", false } };

	for (size_t i = 0; i < COUNT_OF(rows); i++) {
		struct wanted wanted = { .word = rows[i].word };
		operation_complete(rows[i].line, everything, offered, &wanted);
		if (wanted.found != rows[i].is)
			fail_msg("'%s': '%s' is %soffered", rows[i].line, rows[i].word,
				rows[i].is ? "not " : "");
	}
}

/* ---- pipes ---- */

struct gathered {
	char text[400];
};

static void gather(void *context, const char *line, size_t n)
{
	struct gathered *g = context;

	snprintf(g->text + strlen(g->text), sizeof g->text - strlen(g->text), "%.*s;", (int)n, line);
}

static void pipes(void **state)
{
	static const char *const text[] = { "zone trust", "zone vpn", "rule web", "", "zone dmz" };
	static const struct {
		const char *pipes, *out;
	} rows[] = { { "match zone", "zone trust;zone vpn;zone dmz;" }, { "match ^ZONE.*T$", "zone trust;" },
		{ "except zone", "rule web;;" }, { "find rule", "rule web;;zone dmz;" },
		{ "count", "Count: 5 lines;" }, { "match zone | count", "Count: 3 lines;" },
		{ "last 2", ";zone dmz;" }, { "last", "zone trust;zone vpn;rule web;;zone dmz;" },
		{ "last 2 | match z", "zone dmz;" }, { "no-more", "zone trust;zone vpn;rule web;;zone dmz;" },
		{ "match \"zone v\"", "zone vpn;" }, { "mat vpn", "zone vpn;" },
		{ "match \"a|web\"", "rule web;" }, { "except zone | except . | count", "Count: 1 lines;" } };

	for (size_t i = 0; i < COUNT_OF(rows); i++) {
		struct gathered g = { "" };
		struct pipe_chain c;
		struct err e = { 0 };
		if (pipe_parse(&c, rows[i].pipes, &e) != RC_OK)
			fail_msg("%s: %s", rows[i].pipes, e.text);
		c.out = gather;
		c.context = &g;
		for (size_t k = 0; k < COUNT_OF(text); k++)
			pipe_put(&c, text[k], strlen(text[k]));
		pipe_end(&c);
		pipe_done(&c);
		assert_string_equal(g.text, rows[i].out);
	}
}

static void pipes_that_are_none(void **state)
{
	static const struct {
		const char *pipes, *says;
	} rows[] = { { "", "expected match" }, { "mtach x", "did you mean 'match'?" },
		{ "match", "expected a pattern" }, { "match (", "is no pattern" }, { "count 3", "found '3'" },
		{ "last x", "expected a number" }, { "last 0", "expected a number" },
		{ "last 2 3", "found '3'" }, { "match a |", "expected match" },
		{ "display xml", "expected set" }, { "compare running", "expected rollback" },
		{ "compare rollback 51", "1 to 50" }, { "c", "beginning of several" },
		{ "count|count|count|count|count|count|count|count|count", "at most" } };

	for (size_t i = 0; i < COUNT_OF(rows); i++) {
		struct pipe_chain c;
		struct err e = { 0 };
		assert_int_not_equal(pipe_parse(&c, rows[i].pipes, &e), RC_OK);
		if (!strstr(e.text, rows[i].says))
			fail_msg("%s: %s", rows[i].pipes, e.text);
		pipe_done(&c);
	}
}

static void where_pipes_begin(void **state)
{
	char line[] = "annotate zones \"a | b \\\" | c\" | match x", none[] = "annotate \"a | b";

	assert_string_equal(pipe_split(line), " match x");
	assert_string_equal(line, "annotate zones \"a | b \\\" | c\" ");
	assert_null(pipe_split(none));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(operational_lines),
		cmocka_unit_test(every_command_is_there),
		cmocka_unit_test(what_may_come_next),
		cmocka_unit_test(what_a_role_permits),
		cmocka_unit_test(pipes),
		cmocka_unit_test(pipes_that_are_none),
		cmocka_unit_test(where_pipes_begin),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
