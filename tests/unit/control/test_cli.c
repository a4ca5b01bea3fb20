/*
 * The program's pure parts: the command line against its tables, rows as tables and as JSON.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include <jansson.h>

#include "cli/commands.h"
#include "cli/printer.h"
#include "cli/render.h"

static enum rc parse(struct cli_line *ret_line, const char *words, struct err *e)
{
	static char text[300];
	char *argv[20] = { NULL };
	int argc = 0;

	snprintf(text, sizeof text, "plaingate %s", words);
	for (char *w = strtok(text, " "); w; w = strtok(NULL, " "))
		argv[argc++] = w;
	*e = (struct err){ 0 };
	return cli_line_parse(ret_line, argc, argv, e);
}

static void lines(void **state)
{
	struct cli_line l;
	struct err e;
	char text[RANGE_TEXT_MAX], filters[PACKET_FILTERS_TEXT_MAX];

	assert_int_equal(parse(&l, "check a.conf", &e), RC_OK);
	assert_int_equal(l.command, COMMAND_CHECK);
	assert_string_equal(l.argument, "a.conf");
	assert_int_equal(parse(&l, "show configuration --json", &e), RC_OK);
	assert_int_equal(l.command, COMMAND_SHOW_CONFIG);
	assert_true(l.given & OPT(JSON));
	assert_int_equal(
		parse(&l, "show sessions --src 10.1.0.0/24 --proto tcp --dport 443 --limit 5", &e), RC_OK);
	assert_int_equal(l.command, COMMAND_SHOW);
	assert_string_equal(range_text(text, &l.filter.src), "10.1.0.0/24");
	assert_int_equal(l.filter.dst.first.family, ADDR_NONE);
	assert_int_equal(l.filter.proto, 6);
	assert_int_equal(l.filter.dport.first, 443);
	assert_int_equal(l.limit, 5);
	assert_int_equal(parse(&l, "show sessions summary --from-zone trust --idle-min 5m", &e), RC_OK);
	assert_string_equal(l.argument, "sessions summary");
	assert_null(l.name);
	assert_string_equal(l.filter.from_zone, "trust");
	assert_int_equal(l.filter.idle_min_s, 300);
	assert_int_equal(parse(&l, "show talkers --by pair --order packets --proto udp", &e), RC_OK);
	assert_int_equal(l.by, TALKER_BY_PAIR);
	assert_int_equal(l.order, TALKER_ORDER_PACKETS);
	assert_int_equal(parse(&l, "show talkers --by port", &e), RC_MALFORMED);
	assert_string_equal(e.text, "--by: 'port' found, expected one of: source, destination, pair");
	e = (struct err){ 0 };
	assert_int_equal(parse(&l, "show sessions 10.1.0.2:80", &e), RC_OK);
	assert_string_equal(l.argument, "sessions");
	assert_string_equal(l.name, "10.1.0.2:80");
	assert_int_equal(parse(&l, "--socket /x trace --dst 2001:db8::1-2001:db8::9", &e), RC_OK);
	assert_int_equal(l.command, COMMAND_TRACE);
	assert_int_equal(l.count, TRACE_COUNT_DEFAULT);
	assert_string_equal(l.socket, "/x");
	assert_string_equal(range_text(text, &l.filter.dst), "2001:db8::1-2001:db8::9");
	assert_int_equal(l.packets.n, 1);
	assert_int_equal(
		parse(&l, "trace --src 10.1.0.2 --dport 80 --or --src 10.1.0.3 --or --proto udp --count 3",
			&e),
		RC_OK);
	assert_string_equal(packet_filters_text(filters, &l.packets),
		"--src 10.1.0.2/32 --dport 80 --or --src 10.1.0.3/32 --or --proto 17");
	assert_int_equal(l.count, 3);
	assert_int_equal(parse(&l, "trace", &e), RC_OK);
	assert_int_equal(l.packets.n, 0);
	assert_int_equal(parse(&l, "ike rekey-child t", &e), RC_OK);
	assert_int_equal(l.command, COMMAND_IKE_REKEY_CHILD);
	assert_int_equal(parse(&l, "ike rekey p", &e), RC_OK);
	assert_int_equal(l.command, COMMAND_IKE_REKEY);
	assert_int_equal(parse(&l, "show --help", &e), RC_OK);
	assert_int_equal(l.command, COMMAND_HELP);
	assert_int_equal(parse(&l, "--version", &e), RC_OK);
	assert_int_equal(l.command, COMMAND_VERSION);
}

/* A packet to ask about has other options than a filter of sessions. */
static void a_question(void **state)
{
	struct cli_line l;
	struct err e;

	assert_int_equal(
		parse(&l,
			"test policy --src 10.1.0.2 --dst 192.0.2.1 --proto icmp --icmp-type 13 --icmp-code 2 --from-zone trust",
			&e),
		RC_OK);
	assert_int_equal(l.command, COMMAND_TEST_POLICY);
	assert_int_equal(l.icmp_type, 13);
	assert_int_equal(l.icmp_code, 2);
	assert_string_equal(l.filter.from_zone, "trust");
	assert_int_equal(parse(&l, "test policy --to-zone trust", &e), RC_MALFORMED);
	assert_string_equal(e.text, "test policy has no option --to-zone");
	assert_int_equal(parse(&l, "test", &e), RC_MALFORMED);
	assert_string_equal(e.text, "test needs another word: policy");
	assert_int_equal(parse(&l, "show test policy", &e), RC_NOT_FOUND);
}

static void help_about(void **state)
{
	struct cli_line l;
	struct err e;

	assert_int_equal(parse(&l, "help", &e), RC_OK);
	assert_int_equal(l.command, COMMAND_HELP);
	assert_null(l.argument);
	assert_int_equal(parse(&l, "help show", &e), RC_OK);
	assert_string_equal(l.argument, "show");
	assert_null(l.name);
	assert_int_equal(parse(&l, "help ike rekey", &e), RC_OK);
	assert_string_equal(l.name, "rekey");
	assert_int_equal(parse(&l, "show sessions --help", &e), RC_OK);
	assert_int_equal(l.command, COMMAND_HELP);
	assert_string_equal(l.argument, "show");
	assert_int_equal(parse(&l, "help comit", &e), RC_MALFORMED);
	assert_string_equal(e.text, "there is no command 'comit'; did you mean 'commit'?");
	assert_true(cli_command_begins(COMMAND_IKE_REKEY, "ike", "rekey"));
	assert_false(cli_command_begins(COMMAND_IKE_REKEY_CHILD, "ike", "rekey"));
}

/* Half a command is told what is missing, and not that it does not exist. */
static void half_a_command(void **state)
{
	struct cli_line l;
	struct err e;

	assert_int_equal(parse(&l, "verify", &e), RC_MALFORMED);
	assert_string_equal(e.text, "verify needs another word: ledger, randomness, log, release, config");
	assert_int_equal(parse(&l, "clear session", &e), RC_MALFORMED);
	assert_string_equal(e.text, "clear needs another word: sessions, hit-count");
	assert_int_equal(parse(&l, "verif", &e), RC_MALFORMED);
	assert_string_equal(e.text, "there is no command 'verif'; did you mean 'verify'?");
	assert_int_equal(parse(&l, "comit x", &e), RC_MALFORMED);
	assert_string_equal(e.text, "there is no command 'comit'; did you mean 'commit'?");
	assert_int_equal(parse(&l, "rollback 1", &e), RC_MALFORMED);
	assert_string_equal(e.text,
		"there is no command 'rollback'; earlier configurations are committed: plaingate commit "
		"/var/lib/plaingate/config/rollback.1");
	assert_int_equal(parse(&l, "configure", &e), RC_MALFORMED);
	assert_non_null(strstr(e.text, "the configuration is a file"));
	assert_int_equal(parse(&l, "reboot", &e), RC_MALFORMED);
	assert_string_equal(e.text, "there is no command 'reboot'");
	assert_int_equal(parse(&l, "show", &e), RC_MALFORMED);
	assert_non_null(strstr(e.text, "show needs TABLE, one of: configuration, policy shadowed, "));
	for (unsigned i = 0; i < SHOW_COUNT; i++)
		assert_non_null(strstr(e.text, cli_table((enum show_table)i).keyword));
}

/* Another firewall's word for a table: the one that is near is offered, else all of them. */
static void no_such_table(void **state)
{
	struct cli_line l;
	struct err e;

	assert_int_equal(parse(&l, "show session", &e), RC_NOT_FOUND);
	assert_string_equal(e.text, "there is no table 'session'; did you mean 'sessions'?");
	assert_int_equal(parse(&l, "show geoip", &e), RC_NOT_FOUND);
	assert_string_equal(e.text, "there is no table 'geoip'; write: show resolver");
	assert_int_equal(parse(&l, "show chassis", &e), RC_NOT_FOUND);
	assert_non_null(strstr(
		e.text, "there is no table 'chassis', expected one of: configuration, policy shadowed, "));
	for (unsigned i = 0; i < SHOW_COUNT; i++)
		assert_non_null(strstr(e.text, cli_table((enum show_table)i).keyword));
}

static void wrong_lines(void **state)
{
	static const char *const wrong[] = {
		"",
		"shwo",
		"show",
		"check",
		"check a b",
		"clear",
		"clear sessions now",
		"show sessions --nope",
		"show sessions --limit",
		"show sessions --limit -1",
		"show sessions --limit 1x",
		"check a --limit 3",
		"show ike --comment x",
		"trace --proto tpc",
		"trace --proto 256",
		"clear sessions --proto 0",
		"clear sessions --sport 0",
		"clear sessions --dport 0",
		"trace --count 0",
		"show sessions --limit 0",
		"trace --sport 65536",
		"trace --from-zone trust",
		"clear sessions --age-min 5w",
		"show sessions summary now please",
		"trace --src 10.0.0.1/8",
		"trace --src 10.0.0.9-10.0.0.1",
		"trace --src 10.0.0.1-::1",
		"trace --src x",
		"trace --or",
		"trace --or --src 10.0.0.1",
		"trace --src 10.0.0.1 --or",
		"trace --src 10.0.0.1 --or --json",
		"trace --src 10.0.0.1 --or --src 10.0.0.2 --src 10.0.0.3",
		"show sessions --src 10.0.0.1 --or --src 10.0.0.2",
		"show ike --json --json",
		"a b c d e f g h i",
	};

	for (size_t i = 0; i < COUNT_OF(wrong); i++) {
		struct cli_line l;
		struct err e;
		if (parse(&l, wrong[i], &e) == RC_OK)
			fail_msg("accepted: %s", wrong[i]);
		assert_true(e.text[0] != '\0');
	}
}

/* What the rows come to; table NULL: as JSON. */
static char *rendered(const char *const *rows, size_t n, const struct cli_table *table)
{
	struct printer p;
	struct err e = { 0 };
	char *text = NULL;
	size_t size = 0;
	FILE *out = open_memstream(&text, &size);

	printer_begin(&p, out, table ? table : &(struct cli_table){ 0 });
	p.json = !table;
	for (size_t i = 0; i < n; i++)
		assert_int_equal(printer_row(&p, rows[i], strlen(rows[i]), &e), RC_OK);
	printer_end(&p, true);
	fclose(out);
	return text;
}

static const struct cli_column columns[] = { { "name", "name", false }, { "absent", "absent", false },
	{ "hits", "hits", true } };
static const struct cli_table table = { "x", "x", columns, COUNT_OF(columns) };

static void tables(void **state)
{
	static const char *const rows[] = {
		"{\"name\":\"web\",\"hits\":7,\"extra\":true}",
		"{\"hits\":12345,\"name\":\"a-longer-name\",\"list\":[\"p\",2]}",
	};
	char *text = rendered(rows, 2, &table);

	assert_string_equal(text, "name            hits  extra  list\n"
				  "web                7  yes    \n"
				  "a-longer-name  12345         p 2\n");
	free(text);
}

/* Rows about something else, below each other. */
static void two_kinds_of_rows(void **state)
{
	static const char *const rows[] = { "{\"hits\":7}", "{\"witness\":\"one\",\"age_s\":1}",
		"{\"witness\":\"another\"}", "{\"name\":\"x\"}" };
	char *text = rendered(rows, 4, &table);

	assert_string_equal(text, "hits\n   7\n\n"
				  "witness  age_s\n"
				  "one          1\n"
				  "another       \n\n"
				  "name\nx\n");
	free(text);
}

/* Names come from strangers: nothing of them may steer the terminal. */
static void terminal_escapes(void **state)
{
	static const char *const rows[] = {
		"{\"name\":\"a\\u001b[2J\\u0007\\u009b\xc3\xa9\\n\",\"k\\u001b\":1}"
	};
	char *text = rendered(rows, 1, &table);

	assert_non_null(strstr(text, "a\\x1b[2J\\x07\\xc2\\x9b\\xc3\\xa9\\x0a"));
	assert_non_null(strstr(text, "k\\x1b"));
	for (const char *c = text; *c; c++)
		assert_true(*c == '\n' || (*c >= ' ' && *c <= '~'));
	free(text);
	text = rendered(rows, 1, NULL);
	assert_non_null(strstr(text, "\\u001B[2J"));
	for (const char *c = text; *c; c++)
		assert_true(*c == '\n' || (*c >= ' ' && *c <= '~'));
	free(text);
}

static void lines_of_a_trace(void **state)
{
	static const struct {
		const char *row, *line;
	} cases[] = {
		{ "{\"packet\":1,\"stage\":\"policy\",\"text\":\"rule \\u001bweb: permit\"}",
			"   1  policy      rule \\x1bweb: permit\n" },
		{ "{\"a\":1,\"b\":\"x\"}", "a 1  b x\n" },
	};

	for (size_t i = 0; i < COUNT_OF(cases); i++) {
		char *text = NULL;
		size_t size = 0;
		FILE *out = open_memstream(&text, &size);
		assert_int_equal(render_object_line(out, cases[i].row, NULL), RC_OK);
		fclose(out);
		assert_string_equal(text, cases[i].line);
		free(text);
	}
}

static void json_is_one_array(void **state)
{
	static const char *const rows[] = { "{\"a\":1}", "{\"b\":[true]}" };

	for (size_t n = 0; n <= 2; n++) {
		char *text = rendered(rows, n, NULL);
		json_t *array = json_loads(text, 0, NULL);
		assert_true(json_is_array(array));
		assert_int_equal(json_array_size(array), n);
		json_decref(array);
		free(text);
	}
}

static void bad_rows(void **state)
{
	static const char *const bad[] = { "", "[]", "{\"a\":1", "7", "{\"a\":1,\"a\":2}" };

	for (size_t i = 0; i < COUNT_OF(bad); i++) {
		struct printer p;
		struct err e = { 0 };
		char *text = NULL;
		size_t size = 0;
		FILE *out = open_memstream(&text, &size);
		printer_begin(&p, out, &table);
		assert_int_equal(printer_row(&p, bad[i], strlen(bad[i]), &e), RC_MALFORMED);
		printer_end(&p, false);
		fclose(out);
		assert_string_equal(text, "");
		free(text);
	}
}

/* Printed in parts: widths and columns of a later part may differ, and no row is missing. */
static void a_long_table(void **state)
{
	static struct printer p;
	struct err e = { 0 };
	char *text = NULL, row[64];
	size_t size = 0, lines = 0, headers = 0;
	FILE *out = open_memstream(&text, &size);

	printer_begin(&p, out, &table);
	for (unsigned i = 0; i < 3 * PRINTER_PART + 7; i++) {
		snprintf(
			row, sizeof row, i < 600 ? "{\"name\":\"n%u\"}" : "{\"name\":\"n%u\",\"hits\":1}", i);
		assert_int_equal(printer_row(&p, row, strlen(row), &e), RC_OK);
		assert_true(p.part_n < PRINTER_PART);
	}
	printer_end(&p, true);
	fclose(out);
	for (const char *at = text; *at; at = strchr(at, '\n') + 1) {
		lines += *at == 'n' && at[1] >= '0' && at[1] <= '9';
		headers += strncmp(at, "name", 4) == 0;
	}
	assert_int_equal(lines, 3 * PRINTER_PART + 7);
	assert_int_equal(headers, 2); /* once more where hits begin */
	free(text);
}

/* `--nonzero`: what has counted nothing is not printed, and the limit counts what is. */
static void only_what_has_counted(void **state)
{
	static const char *const rows[] = { "{\"name\":\"a\",\"hits\":0}", "{\"name\":\"b\",\"hits\":7}",
		"{\"name\":\"c\",\"hits\":0}", "{\"name\":\"d\"}", "{\"name\":\"e\",\"hits\":1}" };
	static struct printer p;
	struct err e = { 0 };
	char *text = NULL;
	size_t size = 0;
	FILE *out = open_memstream(&text, &size);

	printer_begin(&p, out, &table);
	p.counted = "hits";
	p.limit = 2;
	for (size_t i = 0; i < COUNT_OF(rows); i++)
		assert_int_equal(printer_row(&p, rows[i], strlen(rows[i]), &e), RC_OK);
	printer_end(&p, true);
	fclose(out);
	assert_string_equal(text, "name  hits\n"
				  "b        7\n"
				  "d         \n");
	free(text);
}

/* Wider than the terminal, or the rows of one name: a line for each value. */
static void vertically(void **state)
{
	static const char *const rows[] = { "{\"name\":\"one two\",\"hits\":7}",
		"{\"name\":\"three\",\"list\":[\"four\"]}", "{\"name\":\"onetwo\"}" };
	static const struct {
		size_t width;
		const char *name, *text;
	} cases[] = {
		{ 0, NULL, "name     hits  list\none two     7  \nthree          four\nonetwo         \n" },
		{ 19, NULL, "name     hits  list\none two     7  \nthree          four\nonetwo         \n" },
		{ 18, NULL, "name  one two\nhits  7\n\nname  three\nlist  four\n\nname  onetwo\n" },
		{ 0, "two", "name  one two\nhits  7\n" },
		{ 0, "four", "name  three\nlist  four\n" },
		{ 0, "on", "" },
	};

	for (size_t i = 0; i < COUNT_OF(cases); i++) {
		static struct printer p;
		struct err e = { 0 };
		char *text = NULL;
		size_t size = 0;
		FILE *out = open_memstream(&text, &size);
		printer_begin(&p, out, &table);
		p.width = cases[i].width;
		p.name = cases[i].name;
		for (size_t k = 0; k < COUNT_OF(rows); k++)
			assert_int_equal(printer_row(&p, rows[k], strlen(rows[k]), &e), RC_OK);
		printer_end(&p, true);
		fclose(out);
		if (cases[i].name)
			assert_string_equal(text, cases[i].text);
		else if (cases[i].width == 18)
			assert_string_equal(text, cases[i].text);
		else
			assert_int_equal(strncmp(text, cases[i].text, 20), 0);
		free(text);
	}
}

static void an_empty_table(void **state)
{
	char *text = rendered(NULL, 0, &table);

	assert_string_equal(text, "none\n");
	free(text);
	text = rendered(NULL, 0, NULL);
	assert_string_equal(text, "[]\n");
	free(text);
}

static void every_table_has_columns(void **state)
{
	for (unsigned i = 0; i < SHOW_COUNT; i++) {
		struct cli_table t = cli_table((enum show_table)i);
		enum show_table found;
		assert_true(t.n > 0);
		assert_true(cli_table_named(t.keyword, &found) && found == (enum show_table)i);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(lines),
		cmocka_unit_test(wrong_lines),
		cmocka_unit_test(a_question),
		cmocka_unit_test(help_about),
		cmocka_unit_test(half_a_command),
		cmocka_unit_test(no_such_table),
		cmocka_unit_test(tables),
		cmocka_unit_test(two_kinds_of_rows),
		cmocka_unit_test(terminal_escapes),
		cmocka_unit_test(json_is_one_array),
		cmocka_unit_test(bad_rows),
		cmocka_unit_test(a_long_table),
		cmocka_unit_test(only_what_has_counted),
		cmocka_unit_test(vertically),
		cmocka_unit_test(an_empty_table),
		cmocka_unit_test(lines_of_a_trace),
		cmocka_unit_test(every_table_has_columns),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
