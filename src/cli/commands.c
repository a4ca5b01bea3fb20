/*
 * The command line against its tables.
 */
#include "cli/commands.h"

#include "base/nearest.h"
#include "cli/limits.h"
#include "pki/pki.h"
#include "release/release.h"
#include "verify/verify.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

const struct cli_command_row cli_commands[COMMANDS_N] = {
#define E(id, words, arguments, options, text) [COMMAND_##id] = { words, arguments, options, text },
	CLI_COMMANDS(E)
#undef E
};

const struct cli_option_row cli_options[OPTIONS_N] = {
#define E(id, word, value, text) [OPTION_##id] = { word, value, text },
	CLI_OPTIONS(E)
#undef E
};

/* How many of the line's words are the command's; 0: the line is another command. */
static int words_match(const char *words, int n, char *const *line)
{
	int i = 0;

	for (; *words; i++) {
		size_t len = strcspn(words, " ");
		if (i == n || strlen(line[i]) != len || memcmp(words, line[i], len) != 0)
			return 0;
		words += len + (words[len] == ' ');
	}
	return i;
}

static enum rc number(
	uint32_t *ret_value, const char *text, uint32_t min, uint32_t max, const char *what, struct err *e)
{
	char *end;
	unsigned long value = strtoul(text, &end, 10);

	if (*text < '0' || *text > '9' || *end || value < min || value > max)
		return err_add(
			e, RC_MALFORMED, "%s: '%.60s' is not a number from %u to %u", what, text, min, max);
	*ret_value = (uint32_t)value;
	return RC_OK;
}

/* Digits and a unit, or "any". */
static enum rc limit_value(uint64_t *ret, const char *text, bool time, const char *what, struct err *e)
{
	static const struct {
		char unit;
		uint32_t s;
	} units[] = { { 's', 1 }, { 'm', 60 }, { 'h', 3600 }, { 'd', 86400 } };
	size_t n = strspn(text, "0123456789");
	uint64_t factor = text[n] == '\0';

	*ret = VERIFY_ANY;
	if (strcmp(text, "any") == 0)
		return RC_OK;
	for (size_t i = 0; time && i < COUNT_OF(units); i++)
		if (text[n] == units[i].unit && text[n + 1] == '\0')
			factor = units[i].s;
	if (n == 0 || n > 12 || factor == 0)
		return err_add(e, RC_MALFORMED, "%s: '%.60s' is not a number%s or 'any'", what, text,
			time ? " of seconds, a number followed by s, m, h or d," : "");
	*ret = strtoull(text, NULL, 10) * factor;
	return RC_OK;
}

static enum rc addresses(struct cli_line *line, const char *text, const char *what, struct err *e)
{
	char one[ADDR_TEXT_MAX];

	for (line->ours_n = 0; line->ours_n < CLI_OURS_MAX; text++) {
		size_t n = strcspn(text, ",");

		snprintf(one, sizeof one, "%.*s", (int)MIN_OF(n, sizeof one - 1), text);
		if (n >= sizeof one || addr_parse(&line->ours[line->ours_n++], one) != RC_OK)
			return err_add(e, RC_MALFORMED, "%s: '%.60s' is not an address", what, one);
		text += n;
		if (*text == '\0')
			return RC_OK;
	}
	return err_add(e, RC_MALFORMED, "%s: at most %d addresses are allowed", what, CLI_OURS_MAX);
}

/* Where the value of an option is kept as given; NULL: it is parsed. */
static const char **option_text(struct cli_line *line, enum cli_option option)
{
	switch (option) {
	case OPTION_SOCKET:
		return &line->socket;
	case OPTION_KEY:
		return &line->key;
	case OPTION_POLICY:
		return &line->policy;
	case OPTION_SIGNERS:
		return &line->signers;
	case OPTION_CHECKPOINT:
		return &line->checkpoint;
	case OPTION_SINCE:
		return &line->since;
	case OPTION_KEEP:
		return &line->keep;
	case OPTION_CAPTURE:
		return &line->capture;
	case OPTION_ARCHIVE:
		return &line->archive;
	case OPTION_LEDGER:
		return &line->ledger;
	case OPTION_FROM:
		return &line->from;
	case OPTION_TO:
		return &line->to;
	case OPTION_BEFORE:
		return &line->before;
	case OPTION_OUTPUT:
		return &line->output;
	case OPTION_CONFIG:
		return &line->config;
	case OPTION_STAGE:
		return &line->stage;
	case OPTION_ROUTES:
		return &line->routes;
	case OPTION_INGRESS:
		return &line->ingress;
	case OPTION_INTERFACES:
		return &line->interfaces;
	case OPTION_SIGNATURE:
		return &line->signature;
	case OPTION_PIN_FILE:
		return &line->pin_file;
	case OPTION_SUBJECT:
		return &line->subject;
	case OPTION_SAN:
		return &line->names;
	case OPTION_COMMENT:
		return &line->comment;
	default:
		return NULL;
	}
}

/* "initiate, rekey, terminate" */
static void second_add(char *text, size_t size, const char *word)
{
	size_t used = strlen(text);

	snprintf(text + used, size - used, "%s%s", used ? ", " : "", word);
}

/* Which of the n words it is. */
static enum rc one_of(uint32_t *ret_index, const char *const *words, uint32_t n, const char *text,
	const char *what, struct err *e)
{
	char expected[ERR_TEXT_MAX / 2] = "";

	for (uint32_t i = 0; i < n; i++) {
		if (strcmp(words[i], text) == 0) {
			*ret_index = i;
			return RC_OK;
		}
		second_add(expected, sizeof expected, words[i]);
	}
	return err_add(e, RC_MALFORMED, "%s: '%.60s' found, expected one of: %s", what, text, expected);
}

static const char *const talkers_by[] = {
#define E(id, word) [TALKER_BY_##id] = word,
	TALKERS_BY(E)
#undef E
};

static const char *const talkers_order[] = {
#define E(id, word) [TALKER_ORDER_##id] = word,
	TALKERS_ORDER(E)
#undef E
};

static const char *const pki_key_types[] = {
#define E(id, word) [PKI_##id] = word,
	PKI_KEY_TYPES(E)
#undef E
};

static const char *const pki_uses[] = {
#define E(id, word) [PKI_##id] = word,
	PKI_USES(E)
#undef E
};

#define REASON_WORD(number, word) " " word

static enum rc option_value(struct cli_line *line, enum cli_option option, const char *value, struct err *e)
{
	const char *word = cli_options[option].word;
	const char **text = option_text(line, option);

	if (text)
		*text = value;
	switch (option) {
	case OPTION_MAX_AGE:
		return limit_value(&line->max_age_s, value, true, word, e);
	case OPTION_MAX_UNCOSIGNED:
		return limit_value(&line->max_uncosigned, value, false, word, e);
	case OPTION_OURS:
		return addresses(line, value, word, e);
	case OPTION_COMMENT:
		if (strlen(value) >= sizeof((struct msg_cli_request *)0)->comment)
			return err_add(e, RC_MALFORMED, "%s: at most 255 characters are allowed", word);
		return RC_OK;
	case OPTION_LIMIT:
		return number(&line->limit, value, 1, INT32_MAX, word, e);
	case OPTION_ABOVE:
		return number(&line->above, value, 1, RELEASE_NUMBER_MAX, word, e);
	case OPTION_BY:
		return one_of(&line->by, talkers_by, TALKER_BY_COUNT, value, word, e);
	case OPTION_ORDER:
		return one_of(&line->order, talkers_order, TALKER_ORDER_COUNT, value, word, e);
	case OPTION_ICMP_TYPE:
		return number(&line->icmp_type, value, 1, UINT8_MAX, word, e);
	case OPTION_ICMP_CODE:
		return number(&line->icmp_code, value, 0, UINT8_MAX, word, e);
	case OPTION_CONFIRM:
		return number(&line->confirm_minutes, value, 1, CONFIRM_MINUTES_MAX, word, e);
	case OPTION_DAYS:
		return number(&line->days, value, 1, PKI_DAYS_MAX, word, e);
	case OPTION_KEY_TYPE:
		return one_of(&line->key_type, pki_key_types, PKI_KEY_TYPE_COUNT, value, word, e);
	case OPTION_USE:
		return one_of(&line->use, pki_uses, PKI_USE_COUNT, value, word, e);
	case OPTION_REASON:
		if (pki_reason(&line->reason, value))
			return RC_OK;
		return err_add(e, RC_MALFORMED,
			"%s: '%.60s' found, expected one of:" PKI_REASONS(REASON_WORD), word, value);
	case OPTION_FILES:
		return number(&line->files, value, 1, CAPTURE_FILES_MAX, word, e);
	case OPTION_FILE_SIZE:
		return number(&line->file_size, value, 1, UINT32_MAX, word, e);
	case OPTION_COUNT:
		return number(&line->count, value, 1, INT32_MAX, word, e);
#define E(id, option, value_name, text)                                                                      \
	case OPTION_##id:                                                                                    \
		return session_filter_set(&line->filter, SESSION_FILTER_##id, value, e);
		SESSION_FILTERS(E)
#undef E
	default:
		return RC_OK;
	}
}

/* Of packets: what --or ends, or the line. Its options may be given again. */
static enum rc filter_take(struct cli_line *line, struct err *e)
{
	if (line->packets.n == PACKET_FILTERS_MAX)
		return err_add(e, RC_MALFORMED, "--or: at most %d filters are allowed", PACKET_FILTERS_MAX);
	line->packets.list[line->packets.n++] = packet_filter_from(&line->filter);
	return RC_OK;
}

static enum rc filter_next(struct cli_line *line, struct err *e)
{
	if (!(line->given & OPT_PACKETS))
		return err_add(e, RC_MALFORMED,
			"--or: expected options of a filter before it, such as --src ADDRESS");
	enum rc rc = filter_take(line, e);
	line->filter = (struct session_filter){ 0 };
	line->given = (line->given & ~OPT_PACKETS) | OPT(OR);
	return rc;
}

/* Takes an option and its value from the line; the rest are words. */
static enum rc take_option(struct cli_line *line, int argc, char *const *argv, int *at, struct err *e)
{
	const char *word = argv[*at];

	for (unsigned i = 0; i < OPTIONS_N; i++) {
		const char *value = "";
		if (strcmp(cli_options[i].word, word) != 0)
			continue;
		if (i == OPTION_OR)
			return filter_next(line, e);
		if (line->given & OPT_BIT(i))
			return err_add(e, RC_MALFORMED, "%s is given twice", word);
		line->given |= OPT_BIT(i);
		if (cli_options[i].value[0]) {
			if (*at + 1 == argc)
				return err_add(
					e, RC_MALFORMED, "%s needs a value: %s", word, cli_options[i].value);
			value = argv[++*at];
		}
		return option_value(line, (enum cli_option)i, value, e);
	}
	return err_add(e, RC_MALFORMED, "there is no option '%.60s'", word);
}

#define OF_FILES                                                                                                                        \
	"the configuration is a file: edit it, then 'plaingate check FILE' and 'plaingate commit FILE'; the running one is printed by " \
	"'plaingate show configuration'"

/* First words of other firewalls' command lines, and what does the same here. */
static const struct {
	const char *word, *hint;
} other_words[] = {
	{ "rollback",
		"earlier configurations are committed: plaingate commit /var/lib/plaingate/config/rollback.1" },
	{ "configure", OF_FILES },
	{ "edit", OF_FILES },
	{ "set", OF_FILES },
	{ "delete", OF_FILES },
	{ "compare", "diff /var/lib/plaingate/config/running.conf FILE" },
	{ "sh", "write: show" },
	{ "get", "write: show" },
	{ "run", "leave it out" },
	{ "debug", "plaingate trace follows packets; plaingate capture writes them into a file" },
	{ "monitor", "plaingate trace follows packets; plaingate capture writes them into a file" },
	{ "packet-tracer", "write: test policy" },
	{ "tcpdump", "write: capture" },
	{ "request", "IKE is controlled by plaingate vpn and plaingate ike" },
};

/* The fault of a line that does not begin with the words of any command. */
static enum rc no_command(int n, char *const *words, struct err *e)
{
	size_t len = n ? strlen(words[0]) : 0;
	char second[ERR_TEXT_MAX] = "";
	struct nearest near = nearest_to(n ? words[0] : "", len);
	char hint[NEAREST_HINT_MAX];

	if (!n)
		return err_add(e, RC_MALFORMED, "no command is given");
	for (unsigned i = 0; i < COMMANDS_N; i++) {
		const char *row = cli_commands[i].words;
		nearest_offer(&near, row, strcspn(row, " "));
		if (strncmp(row, words[0], len) == 0 && row[len] == ' ')
			second_add(second, sizeof second, row + len + 1);
	}
	if (second[0])
		return err_add(e, RC_MALFORMED, "%s needs another word: %s", words[0], second);
	for (size_t i = 0; i < COUNT_OF(other_words); i++)
		if (strcmp(other_words[i].word, words[0]) == 0)
			return err_add(e, RC_MALFORMED, "there is no command '%s'; %s", words[0],
				other_words[i].hint);
	return err_add(e, RC_MALFORMED, "there is no command '%.60s'%s", words[0], nearest_hint(hint, &near));
}

/* How many arguments a command takes after its own words; those in brackets are optional. */
static int arguments_n(const char *arguments, int *ret_needed)
{
	int n = 0;

	*ret_needed = 0;
	for (const char *at = arguments; *at; at += *at == ' ') {
		*ret_needed += *at != '[';
		at += strcspn(at, " ");
		n++;
	}
	return n;
}

#define TABLES_TEXT_MAX (ERR_TEXT_MAX - 128)

static const char *tables_text(char ret_text[TABLES_TEXT_MAX])
{
	size_t n = (size_t)snprintf(ret_text, TABLES_TEXT_MAX, "configuration, policy shadowed");

	for (unsigned i = 0; i < SHOW_COUNT && n < TABLES_TEXT_MAX; i++)
		n += (size_t)snprintf(
			ret_text + n, TABLES_TEXT_MAX - n, ", %s", cli_table((enum show_table)i).keyword);
	return ret_text;
}

static enum rc lacks_argument(enum cli_command_id id, struct err *e)
{
	const struct cli_command_row *row = &cli_commands[id];
	char tables[TABLES_TEXT_MAX];

	if (id != COMMAND_SHOW)
		return err_add(e, RC_MALFORMED, "%s needs %s", row->words, row->arguments);
	return err_add(e, RC_MALFORMED, "show needs TABLE, one of: %s", tables_text(tables));
}

/* Tables of other firewalls, and where that is here. */
static const struct {
	const char *word, *hint;
} other_tables[] = {
	{ "security",
		"the tables of security have names of their own, as: show policy, show sessions, show nat, show ike, show ipsec, "
		"show screens" },
	{ "zones", "write: show interfaces, or show configuration" },
	{ "zone", "write: show interfaces, or show configuration" },
	{ "arp", "neighbours are in show routes" },
	{ "neighbours", "write: show routes" },
	{ "feeds", "write: show resolver" },
	{ "feed", "write: show resolver" },
	{ "geoip", "write: show resolver" },
	{ "countries", "write: show resolver" },
	{ "country", "write: show resolver" },
	{ "fqdn", "write: show resolver" },
	{ "schedulers", "write: show policy, which has the scheduler of each rule and whether it is on" },
	{ "log", "write: journalctl -u plaingate; where records of sessions go: show export" },
	{ "streams", "write: show export" },
	{ "alg", "sessions that an ALG reads are in show sessions" },
	{ "flow", "write: show sessions" },
	{ "drops", "write: show counters" },
	{ "system", "write: show status, or show system commit" },
	{ "version", "write: plaingate version" },
	{ "rollback", "write: show system commit; plaingate without a command has configure and rollback N" },
	{ "compare", "write: diff /var/lib/plaingate/config/running.conf FILE" },
	{ "metrics", "they are served to Prometheus: docs/metrics.md" },
};

static enum rc no_table(const char *word, struct err *e)
{
	struct nearest near = nearest_to(word, strlen(word));
	char hint[NEAREST_HINT_MAX], tables[TABLES_TEXT_MAX];

	for (size_t i = 0; i < COUNT_OF(other_tables); i++)
		if (strcmp(other_tables[i].word, word) == 0)
			return err_add(
				e, RC_NOT_FOUND, "there is no table '%s'; %s", word, other_tables[i].hint);
	for (unsigned i = 0; i < SHOW_COUNT; i++) {
		const char *table = cli_table((enum show_table)i).keyword;
		nearest_offer(&near, table, strlen(table));
	}
	if (nearest_hint(hint, &near)[0])
		return err_add(e, RC_NOT_FOUND, "there is no table '%.60s'%s", word, hint);
	return err_add(
		e, RC_NOT_FOUND, "there is no table '%.60s', expected one of: %s", word, tables_text(tables));
}

/* How many of the words name a table: `sessions summary` is two. 0: there is no such table. */
static int table_words(int n, char *const *words, enum show_table *ret_table)
{
	int most = 0;

	for (unsigned i = 0; i < SHOW_COUNT; i++) {
		int used = words_match(cli_table((enum show_table)i).keyword, n, words);
		if (used > most) {
			most = used;
			*ret_table = (enum show_table)i;
		}
	}
	return most;
}

static enum rc take_command(struct cli_line *line, int n, char *const *words, struct err *e)
{
	for (unsigned i = 0; i < COMMANDS_N; i++) {
		const struct cli_command_row *row = &cli_commands[i];
		int used = words_match(row->words, n, words), needs, wants, table_n;
		enum show_table table = SHOW_STATUS;
		if (used == 0)
			continue;
		wants = arguments_n(row->arguments, &needs);
		if (i == COMMAND_REPLAY)
			wants = CLI_CAPTURES_MAX;
		if (n - used < needs)
			return lacks_argument((enum cli_command_id)i, e);
		if (i == COMMAND_SHOW && !(table_n = table_words(n - used, words + used, &table)))
			return no_table(words[used], e);
		if (i == COMMAND_SHOW)
			used += table_n - 1;
		if (n - used > wants)
			return err_add(e, RC_MALFORMED, "%s: unexpected argument '%.60s'", row->words,
				words[used + wants]);
		for (unsigned o = 0; o < OPTIONS_N; o++) {
			if ((line->given & OPT_BIT(o)) && !(row->options & OPT_BIT(o)))
				return err_add(e, RC_MALFORMED, "%s has no option %s", row->words,
					cli_options[o].word);
		}
		line->command = (enum cli_command_id)i;
		line->argument = i == COMMAND_SHOW ? cli_table(table).keyword
				 : n - used > 0	   ? words[used]
						   : NULL;
		line->name = n - used > 1 ? words[used + 1] : NULL;
		line->third = n - used > 2 ? words[used + 2] : NULL;
		for (int k = used; i == COMMAND_REPLAY && k < n; k++)
			line->captures[line->captures_n++] = words[k];
		return RC_OK;
	}
	return no_command(n, words, e);
}

bool cli_command_begins(enum cli_command_id id, const char *first, const char *second)
{
	const char *words = cli_commands[id].words;
	size_t n = strcspn(words, " "), m = words[n] ? strcspn(words + n + 1, " ") : 0;

	return strlen(first) == n && memcmp(first, words, n) == 0 &&
	       (!second || (strlen(second) == m && memcmp(second, words + n + 1, m) == 0));
}

/* `help show`, and `show … --help`: what stands behind the command's own words does not matter. */
static enum rc take_help(struct cli_line *line, int n, char *const *words, struct err *e)
{
	bool one = false, both = false;

	for (unsigned i = 0; i < COMMANDS_N && n > 0; i++) {
		one |= cli_command_begins((enum cli_command_id)i, words[0], NULL);
		both |= n > 1 && cli_command_begins((enum cli_command_id)i, words[0], words[1]);
	}
	if (n > 0 && !one)
		return no_command(1, words, e);
	line->command = COMMAND_HELP;
	line->argument = n > 0 ? words[0] : NULL;
	line->name = both ? words[1] : NULL;
	return RC_OK;
}

enum rc cli_line_parse(struct cli_line *ret_line, int argc, char *const *argv, struct err *e)
{
	char *words[CLI_WORDS_MAX];
	int n = 0;
	enum rc rc;

	*ret_line = (struct cli_line){ .socket = getenv(CLI_SOCKET_ENV),
		.count = TRACE_COUNT_DEFAULT,
		.max_age_s = VERIFY_DEFAULT,
		.max_uncosigned = VERIFY_DEFAULT };
	if (!ret_line->socket || !ret_line->socket[0])
		ret_line->socket = CLI_SOCKET_DEFAULT;
	for (int i = 1; i < argc; i++) {
		if (strcmp(argv[i], "--help") == 0 || strcmp(argv[i], "-h") == 0)
			return take_help(ret_line, n, words, e);
		if (strcmp(argv[i], "--version") == 0) {
			ret_line->command = COMMAND_VERSION;
			return RC_OK;
		}
		if (argv[i][0] == '-' && argv[i][1]) {
			if ((rc = take_option(ret_line, argc, argv, &i, e)))
				return rc;
		} else if (n == CLI_WORDS_MAX) {
			return err_add(
				e, RC_MALFORMED, "too many arguments: at most %d are allowed", CLI_WORDS_MAX);
		} else {
			words[n++] = argv[i];
		}
	}
	if (n > 0 && strcmp(words[0], "help") == 0 && !ret_line->given)
		return take_help(ret_line, n - 1, words + 1, e);
	if ((ret_line->given & OPT(OR)) && !(ret_line->given & OPT_PACKETS))
		return err_add(e, RC_MALFORMED,
			"--or: expected options of a filter behind it, such as --src ADDRESS");
	if (ret_line->given & OPT_PACKETS && (rc = filter_take(ret_line, e)))
		return rc;
	return take_command(ret_line, n, words, e);
}
