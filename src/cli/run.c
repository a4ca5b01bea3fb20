/*
 * What each command does. Exit status: 0 done, 1 refused or failed (with a text on standard error), 2 usage
 * error.
 */
#include "cli/run.h"

#include "cli/archive.h"
#include "cli/capture.h"
#include "cli/client.h"
#include "cli/configuration.h"
#include "cli/explain.h"
#include "cli/findings.h"
#include "cli/import.h"
#include "cli/investigate.h"
#include "cli/pki.h"
#include "cli/printer.h"
#include "cli/render.h"
#include "cli/replay.h"
#include "cli/shadowed.h"
#include "cli/text.h"
#include "cli/verify.h"
#include "cli/sign.h"
#include "cli/verify_config.h"
#include "cli/verify_log.h"
#include "cli/verify_release.h"
#include "model/model.h"

#include <jansson.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

static int failed(const struct err *e)
{
	struct findings f = { 0 };

	findings_error(&f, e->text);
	return STATUS_FAILED;
}

static int refused(const struct msg_result *r)
{
	struct err e = { 0 };

	err_add(&e, (enum rc)r->rc, "%s", r->text[0] ? r->text : rc_text((enum rc)r->rc));
	return failed(&e);
}

/* ---- requests to control ---- */

static enum rc ignore_row(void *context, const char *json, size_t n, struct err *e)
{
	return RC_OK;
}

/* Columns of the terminal on standard output, or of the one that the shell shows it on; 0: it is not a terminal. */
static size_t terminal_width(void)
{
	const char *behind = getenv(CLI_COLUMNS_ENV);
	struct winsize size;

	if (isatty(STDOUT_FILENO))
		return ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) == 0 ? size.ws_col : 0;
	return behind ? (size_t)strtoul(behind, NULL, 10) : 0;
}

/* What the rows of a table have counted; NULL: nothing. */
static const char *count_key(enum show_table table)
{
	return table == SHOW_COUNTERS || table == SHOW_IKE_COUNTERS ? "value"
	       : table == SHOW_POLICY || table == SHOW_NAT	    ? "hits"
								    : NULL;
}

static enum rc show_request(const struct cli_line *line, struct msg_cli_request *ret_q, struct err *e)
{
	enum show_table table;

	if (!cli_table_named(line->argument, &table)) /* cli_line_parse() has looked it up */
		return err_add(e, RC_INTERNAL, "there is no table '%s'", line->argument);
	if ((line->given & (OPT(BY) | OPT(ORDER))) && table != SHOW_TALKERS)
		return err_add(e, RC_MALFORMED,
			"--by and --order are for 'show talkers' only, not for 'show %s'", line->argument);
	if ((line->given & OPT(NONZERO)) && !count_key(table))
		return err_add(e, RC_MALFORMED,
			"--nonzero is for 'show counters', 'show ike counters', 'show policy' and 'show nat' only, "
			"not for 'show %s'",
			line->argument);
	if (table == SHOW_TALKERS && line->limit > TALKERS_SHOWN_MAX)
		return err_add(e, RC_MALFORMED, "--limit: %u found, expected at most %d talkers", line->limit,
			TALKERS_SHOWN_MAX);
	if (table == SHOW_NAT_BLOCKS && (line->given & OPT_FILTER & ~OPT_BLOCKS))
		return err_add(e, RC_MALFORMED,
			"show nat blocks: expected no other filters than --src, --nat-src and --nat-port");
	if ((line->given & OPT_FILTER) && table != SHOW_NAT_BLOCKS && table != SHOW_SESSIONS &&
		table != SHOW_SESSIONS_SUMMARY && table != SHOW_TALKERS)
		return err_add(e, RC_MALFORMED,
			"filters are for tables of sessions and for nat blocks only, not for 'show %s'",
			line->argument);
	ret_q->command = CLI_SHOW;
	ret_q->show.table = table;
	ret_q->show.filter = line->filter;
	ret_q->show.by = line->by;
	ret_q->show.order = line->order;
	/* with a NAME, or of rows that have counted, the limit counts these: the printer counts them */
	ret_q->show.limit = line->name || line->given & OPT(NONZERO) ? 0 : line->limit;
	return RC_OK;
}

static int run_show(const struct cli_line *line)
{
	static struct printer p;
	struct msg_cli_request q = { 0 };
	struct msg_result result = { 0 };
	struct err e = { 0 };
	struct cli_table columns;
	enum rc rc;

	if (show_request(line, &q, &e)) {
		failed(&e);
		return STATUS_USAGE;
	}
	columns = cli_table((enum show_table)q.show.table);
	printer_begin(&p, stdout, &columns);
	p.json = line->given & OPT(JSON);
	p.name = line->name;
	p.width = terminal_width();
	p.limit = line->limit;
	p.counted = line->given & OPT(NONZERO) ? count_key((enum show_table)q.show.table) : NULL;
	rc = client_request(line->socket, &q, NULL, printer_row, &p, &result, &e);
	printer_end(&p, !rc && !result.rc);
	if (rc)
		return failed(&e);
	if (result.rc)
		return refused(&result);
	if (line->name && p.printed == 0) {
		err_add(&e, RC_NOT_FOUND, "show %s: no row has the value '%.60s'%s", columns.keyword,
			line->name,
			q.show.table == SHOW_SESSIONS
				? "; filter addresses, ports, zones and more with options: see plaingate help"
				: "");
		return failed(&e);
	}
	return STATUS_OK;
}

/* What a packet has to have; e: what is missing, or too much. */
static enum rc packet_check(const struct cli_line *line, struct err *e)
{
	const struct session_filter *f = &line->filter;
	bool ports = f->proto == 6 || f->proto == 17 || f->proto == 132;
	bool icmp = f->proto == 1 || f->proto == 58;

	if (!(line->given & OPT(SRC)) || !(line->given & OPT(DST)) || !(line->given & OPT(PROTO)))
		return err_add(e, RC_MALFORMED, "test policy needs --src, --dst and --proto");
	if (!addr_equal(&f->src.first, &f->src.last) || !addr_equal(&f->dst.first, &f->dst.last))
		return err_add(e, RC_MALFORMED,
			"test policy: expected one address as %s, which a packet has, and not a prefix or range",
			addr_equal(&f->src.first, &f->src.last) ? "--dst" : "--src");
	if (f->src.first.family != f->dst.first.family)
		return err_add(e, RC_MALFORMED,
			"test policy: --src and --dst are of different families; for NAT64 ask with the IPv6 destination");
	if (ports && !(line->given & OPT(DPORT)))
		return err_add(e, RC_MALFORMED, "test policy needs --dport for TCP, UDP and SCTP");
	if (!ports && (line->given & (OPT(SPORT) | OPT(DPORT))))
		return err_add(e, RC_MALFORMED,
			"test policy: only TCP, UDP and SCTP have ports; ICMP has --icmp-type");
	if (f->sport.first != f->sport.last || f->dport.first != f->dport.last)
		return err_add(e, RC_MALFORMED,
			"test policy: expected one port, which a packet has, and not a range");
	if (!icmp && (line->given & (OPT(ICMP_TYPE) | OPT(ICMP_CODE))))
		return err_add(e, RC_MALFORMED,
			"test policy: --icmp-type and --icmp-code are for icmp and icmp6 only");
	if (!!(line->given & OPT(FROM_ZONE)) + !!(line->given & OPT(INTERFACE)) +
			!!(line->given & OPT(TUNNEL)) >
		1)
		return err_add(e, RC_MALFORMED,
			"test policy: where the packet comes in is said by one of --from-zone, --interface and --tunnel");
	return RC_OK;
}

static int run_test_policy(const struct cli_line *line)
{
	static struct printer p;
	struct msg_cli_request q = { .command = CLI_SHOW,
		.show = { .table = SHOW_TEST_POLICY,
			.icmp_type = line->icmp_type,
			.icmp_code = line->icmp_code,
			.filter = line->filter } };
	struct cli_table columns = cli_table(SHOW_TEST_POLICY);
	struct msg_result result = { 0 };
	struct err e = { 0 };

	if (packet_check(line, &e)) {
		failed(&e);
		return STATUS_USAGE;
	}
	printer_begin(&p, stdout, &columns);
	p.json = line->given & OPT(JSON);
	p.upright = true;
	enum rc rc = client_request(line->socket, &q, NULL, printer_row, &p, &result, &e);
	printer_end(&p, !rc && !result.rc);
	if (rc)
		return failed(&e);
	return result.rc ? refused(&result) : STATUS_OK;
}

/* {"line":N,"text":"…"}; bytes that are not ASCII become '?', so that the row is JSON. The caller frees
 * it. */
static char *json_line(json_int_t number, const char *text, size_t n)
{
	char *copy = strndup(text, n), *made = NULL;
	json_t *row = NULL;

	for (size_t i = 0; copy && i < n; i++) {
		if ((unsigned char)copy[i] >= 0x80 || copy[i] == '\0')
			copy[i] = '?';
	}
	if (copy)
		row = json_pack("{s:I, s:s}", "line", number, "text", copy);
	if (row)
		made = json_dumps(row, JSON_COMPACT | JSON_ENSURE_ASCII);
	json_decref(row);
	free(copy);
	return made;
}

/* As it was committed, or as rows {"line": N, "text": "…"}. */
static void print_configuration(const char *text, size_t n, bool json)
{
	const char *between = "[\n";
	json_int_t number = 0;

	for (size_t at = 0; at < n;) {
		const char *end = memchr(text + at, '\n', n - at);
		size_t len = end ? (size_t)(end - (text + at)) : n - at;
		number++;
		if (json) {
			char *part = json_line(number, text + at, len);
			printf("%s%s", between, part ? part : "");
			free(part);
			between = ",\n";
		} else {
			render_safe(stdout, text + at, len, true);
			fputc('\n', stdout);
		}
		at += len + 1;
	}
	if (json)
		fputs(number ? "\n]\n" : "[]\n", stdout);
}

static int run_vpn_explain(const struct cli_line *line)
{
	struct err e = { 0 };
	uint32_t faults = 0;
	char *text;
	size_t n;
	enum rc rc = configuration_read(line->socket, 0, &text, &n, &e);

	if (rc == RC_OK)
		rc = explain_print(
			line->socket, text, n, line->argument, line->given & OPT(JSON), &faults, &e);
	free(text);
	if (rc)
		return failed(&e);
	return faults ? STATUS_FAILED : STATUS_OK;
}

static int run_show_config(const struct cli_line *line)
{
	struct err e = { 0 };
	char *text;
	size_t n;
	int status = STATUS_OK;

	if (configuration_read(line->socket, 0, &text, &n, &e) != RC_OK)
		status = failed(&e);
	else
		print_configuration(text, n, line->given & OPT(JSON));
	free(text);
	return status;
}

static int run_show_shadowed(const struct cli_line *line)
{
	struct err e = { 0 };
	char *text;
	size_t n;
	int status = STATUS_OK;

	if (configuration_read(line->socket, 0, &text, &n, &e) != RC_OK ||
		shadowed_print(text, n, line->given & OPT(JSON), &e) != RC_OK)
		status = failed(&e);
	free(text);
	return status;
}

/* Sends a request whose answer is one sentence, or a number, which *ret_count gets then. */
static int ask(const struct cli_line *line, const struct msg_cli_request *q, uint32_t *ret_count)
{
	struct msg_result result = { 0 };
	struct err e = { 0 };

	if (client_request(line->socket, q, NULL, ignore_row, NULL, &result, &e))
		return failed(&e);
	if (result.rc)
		return refused(&result);
	if (ret_count) {
		*ret_count = result.count;
		return STATUS_OK;
	}
	render_safe(stdout, result.text, strlen(result.text), false);
	fputc('\n', stdout);
	return STATUS_OK;
}

static int run_check(const struct cli_line *line)
{
	struct findings f = { .name = line->argument, .json = line->given & OPT(JSON) };
	struct err e = { 0 };
	char *text = NULL;
	size_t n = 0;

	if (text_read(line->argument, &text, &n, &e))
		findings_error(&f, e.text);
	else
		configuration_check(line->socket, line->argument, text, n, line->given & OPT(CLOSE_ALL), &f);
	findings_end(&f);
	model_done();
	free(text);
	return f.errors ? STATUS_FAILED : STATUS_OK;
}

static int run_commit(const struct cli_line *line)
{
	const char *base = strrchr(line->argument, '/');
	struct commit_text c = { .comment = line->comment,
		.confirm_minutes = line->confirm_minutes,
		.flags = (line->given & OPT(CLOSE_ALL) ? COMMIT_CLOSE_ALL : 0u) |
			 (line->given & OPT(CUT_OFF) ? COMMIT_CUT_OFF : 0u) };
	struct findings f = { .json = line->given & OPT(JSON) };
	struct err e = { 0 };
	char *text = NULL;

	c.name = f.name = strcmp(line->argument, "-") == 0 ? "standard-input"
			  : base			   ? base + 1
							   : line->argument;
	if (text_read(line->argument, &text, &c.n, &e)) {
		findings_error(&f, e.text);
	} else {
		c.text = text;
		configuration_commit(line->socket, &c, &f);
	}
	findings_end(&f);
	model_done();
	free(text);
	return f.errors ? STATUS_FAILED : STATUS_OK;
}

static int run_confirm(const struct cli_line *line)
{
	struct msg_cli_request q = { .command = CLI_CONFIRM };

	return ask(line, &q, NULL);
}

static int run_clear_sessions(const struct cli_line *line)
{
	struct msg_cli_request q = { .command = CLI_CLEAR_SESSIONS, .show.filter = line->filter };
	uint32_t n = 0;
	int status = ask(line, &q, &n);

	if (status == STATUS_OK)
		printf("%u session%s ended\n", n, n == 1 ? "" : "s");
	return status;
}

static int run_clear_hit_count(const struct cli_line *line)
{
	struct msg_cli_request q = { .command = CLI_CLEAR_HIT_COUNT };
	uint32_t n = 0;
	int status = ask(line, &q, &n);

	if (status == STATUS_OK)
		printf("counters of %u rule%s begin again\n", n, n == 1 ? "" : "s");
	return status;
}

static int run_ike(const struct cli_line *line, enum ike_command command)
{
	struct msg_cli_request q = { .command = CLI_IKE, .ike_command = command };
	uint32_t n;
	int status;

	if (command == IKE_REDIRECT &&
		(strcmp(line->name, "to") != 0 || strlen(line->third) >= sizeof q.comment)) {
		fprintf(stderr, "plaingate: expected NAME to GATEWAY, an address or a name of DNS\n");
		return STATUS_USAGE;
	}
	if (command == IKE_REDIRECT)
		snprintf(q.comment, sizeof q.comment, "%s", line->third);
	snprintf(q.name, sizeof q.name, "%.*s", NAME_MAX_BYTES - 1, line->argument);
	status = ask(line, &q, &n);
	/* The peer has not answered yet. */
	if (status == STATUS_OK)
		puts("started; see show ike and show ipsec for the result");
	return status;
}

/* ---- trace: printed as it comes ---- */

struct trace_printer {
	bool json;
	size_t n;
};

static enum rc trace_row(void *context, const char *json, size_t n, struct err *e)
{
	struct trace_printer *t = context;
	char *row = strndup(json, n);
	enum rc rc = row ? RC_OK : err_add(e, RC_INTERNAL, "out of memory");

	if (!rc && t->json) {
		fputs(t->n ? ",\n" : "[\n", stdout);
		rc = render_object_json(stdout, row, e);
	} else if (!rc) {
		rc = render_object_line(stdout, row, e);
	}
	t->n++;
	fflush(stdout);
	free(row);
	return rc;
}

static int run_trace(const struct cli_line *line)
{
	struct msg_cli_request q = { .command = CLI_TRACE, .packets = line->packets };
	struct trace_printer t = { .json = line->given & OPT(JSON) };
	struct msg_result result = { 0 };
	struct err e = { 0 };
	enum rc rc;

	q.packets.count = line->count;
	rc = client_request(line->socket, &q, NULL, trace_row, &t, &result, &e);
	if (t.json && !rc)
		fputs(t.n ? "\n]\n" : "[]\n", stdout);
	if (rc)
		return failed(&e);
	return result.rc ? refused(&result) : STATUS_OK;
}

/* ---- help ---- */

static void print_command(const struct cli_command_row *c)
{
	int used = printf("  %s%s%s", c->words, c->arguments[0] ? " " : "", c->arguments);

	printf("%*s%s\n", used < 28 ? 28 - used : 2, "", c->text);
}

static void print_tables(void)
{
	fputs("\ntables of `show`:\n", stdout);
	for (unsigned i = 0; i < SHOW_COUNT; i++) {
		struct cli_table t = cli_table((enum show_table)i);
		printf("  %-25s %s\n", t.keyword, t.text);
	}
}

static void print_options(cli_options_set set)
{
	fputs("\noptions:\n", stdout);
	for (unsigned i = 0; i < OPTIONS_N; i++) {
		if (!(set >> i & 1))
			continue;
		int used = printf("  %s %s", cli_options[i].word, cli_options[i].value);
		printf("%*s%s\n", used < 28 ? 28 - used : 2, "", cli_options[i].text);
	}
}

/* With a command's first words only what belongs to it. */
static int run_help(const struct cli_line *line)
{
	cli_options_set options = 0;
	bool tables = !line->argument;

	if (!line->argument)
		fputs("plaingate: checks, changes and shows a Plaingate VPN firewall\n\ncommands:\n", stdout);
	for (unsigned i = 0; i < COMMANDS_N; i++) {
		if (line->argument && !cli_command_begins((enum cli_command_id)i, line->argument, line->name))
			continue;
		print_command(&cli_commands[i]);
		options |= cli_commands[i].options;
		tables |= i == COMMAND_SHOW;
	}
	if (tables)
		print_tables();
	if (options)
		print_options(options);
	if (!line->argument)
		fputs("\nexit status: 0 done, 1 refused or failed, 2 usage error\n", stdout);
	return STATUS_OK;
}

static int run_verify(const struct cli_line *line)
{
	switch (line->command) {
	case COMMAND_VERIFY_RANDOMNESS:
		return run_verify_randomness(line);
	case COMMAND_VERIFY_LOG:
		return run_verify_log(line);
	case COMMAND_VERIFY_CONFIG:
		return run_verify_config(line);
	case COMMAND_VERIFY_RELEASE:
		return run_verify_release(line);
	default:
		return run_verify_ledger(line);
	}
}

static int run_order(const struct cli_line *line)
{
	switch (line->command) {
	case COMMAND_IKE_INITIATE:
	case COMMAND_VPN_UP:
		return run_ike(line, IKE_INITIATE);
	case COMMAND_IKE_REKEY:
	case COMMAND_VPN_REKEY:
		return run_ike(line, IKE_REKEY_IKE);
	case COMMAND_IKE_REKEY_CHILD:
		return run_ike(line, IKE_REKEY_CHILD);
	case COMMAND_IKE_REAUTHENTICATE:
	case COMMAND_VPN_REAUTHENTICATE:
		return run_ike(line, IKE_REAUTHENTICATE);
	case COMMAND_IKE_REDIRECT:
	case COMMAND_VPN_REDIRECT:
		return run_ike(line, IKE_REDIRECT);
	default:
		return run_ike(line, IKE_TERMINATE);
	}
}

static int run_any_show(const struct cli_line *line)
{
	return line->command == COMMAND_SHOW_CONFIG	? run_show_config(line)
	       : line->command == COMMAND_SHOW_SHADOWED ? run_show_shadowed(line)
							: run_show(line);
}

int cli_run(const struct cli_line *line)
{
	switch (line->command) {
	case COMMAND_IMPORT_JUNOS:
	case COMMAND_IMPORT_SCREENOS:
		return run_import(line);
	case COMMAND_CHECK:
		return run_check(line);
	case COMMAND_COMMIT:
		return run_commit(line);
	case COMMAND_COMMIT_STATEMENT:
	case COMMAND_COMMIT_TEXT:
	case COMMAND_COMMIT_SIGN:
	case COMMAND_COMMIT_WITHDRAW:
		return run_proposal(line);
	case COMMAND_CONFIRM:
		return run_confirm(line);
	case COMMAND_SHOW_CONFIG:
	case COMMAND_SHOW_SHADOWED:
	case COMMAND_SHOW:
		return run_any_show(line);
	case COMMAND_TRACE:
		return run_trace(line);
	case COMMAND_TEST_POLICY:
		return run_test_policy(line);
	case COMMAND_CLEAR_SESSIONS:
		return run_clear_sessions(line);
	case COMMAND_CLEAR_HIT_COUNT:
		return run_clear_hit_count(line);
	case COMMAND_IKE_INITIATE:
	case COMMAND_VPN_UP:
	case COMMAND_IKE_REKEY:
	case COMMAND_VPN_REKEY:
	case COMMAND_IKE_REKEY_CHILD:
	case COMMAND_IKE_TERMINATE:
	case COMMAND_VPN_DOWN:
	case COMMAND_IKE_REAUTHENTICATE:
	case COMMAND_VPN_REAUTHENTICATE:
	case COMMAND_IKE_REDIRECT:
	case COMMAND_VPN_REDIRECT:
		return run_order(line);
	case COMMAND_VPN_EXPLAIN:
		return run_vpn_explain(line);
	case COMMAND_VERIFY_LEDGER:
	case COMMAND_VERIFY_RANDOMNESS:
	case COMMAND_VERIFY_LOG:
	case COMMAND_VERIFY_CONFIG:
	case COMMAND_VERIFY_RELEASE:
		return run_verify(line);
	case COMMAND_INVESTIGATE:
		return run_investigate(line);
	case COMMAND_ARCHIVE:
		return run_archive(line);
	case COMMAND_CAPTURE:
		return run_capture(line);
	case COMMAND_REPLAY:
		return run_replay(line);
	case COMMAND_PKI_AUTHORITY:
	case COMMAND_PKI_REQUEST:
	case COMMAND_PKI_ISSUE:
	case COMMAND_PKI_REVOKE:
	case COMMAND_PKI_CRL:
	case COMMAND_PKI_SHOW:
		return run_pki(line);
	case COMMAND_VERSION:
		puts("plaingate " PLAINGATE_VERSION);
		return STATUS_OK;
	case COMMAND_HELP:
	case COMMANDS_N:
		break;
	}
	return run_help(line);
}
