/* Operational commands: words to a command line, and what may come next. Pure, but for names that the running gateway knows. */
#include "cli/shell/operational.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/bytes.h"
#include "base/nearest.h"
#include "cli/commands.h"
#include "cli/shell/output.h"

static const struct {
	const char *words, *arguments, *text;
} own_rows[OPERATIONAL_COUNT] = {
#define E(id, words, arguments, text) [OPERATIONAL_##id] = { words, arguments, text },
	OPERATIONAL(E)
#undef E
};

const char *operational_words(enum operational which)
{
	return own_rows[which].words;
}

const char *operational_text(enum operational which)
{
	return own_rows[which].text;
}

/* Every sequence of words that is a command: those of the shell, of cli_commands, and `show` with each table. */
#define SEQUENCES (OPERATIONAL_COUNT + COMMANDS_N + SHOW_COUNT)

struct sequence {
	char words[80];
	const char *arguments, *text;
	cli_options_set options;
	int own; /* enum operational; -1: of cli_commands */
	bool streams;
};

static bool sequence_of(unsigned i, struct sequence *s)
{
	*s = (struct sequence){ .own = -1 };
	if (i < OPERATIONAL_COUNT) {
		snprintf(s->words, sizeof s->words, "%s", own_rows[i].words);
		s->arguments = own_rows[i].arguments;
		s->text = own_rows[i].text;
		s->own = (int)i;
		return true;
	}
	i -= OPERATIONAL_COUNT;
	if (i < COMMANDS_N) {
		snprintf(s->words, sizeof s->words, "%s", cli_commands[i].words);
		s->arguments = cli_commands[i].arguments;
		s->text = cli_commands[i].text;
		s->options = cli_commands[i].options;
		s->streams = i == COMMAND_TRACE || i == COMMAND_CAPTURE;
		/* each table is a sequence of its own; the shell has its help, and its form of a configuration */
		return i != COMMAND_SHOW && i != COMMAND_HELP && i != COMMAND_SHOW_CONFIG;
	}
	struct cli_table t = cli_table((enum show_table)(i - COMMANDS_N));
	snprintf(s->words, sizeof s->words, "show %s", t.keyword);
	s->arguments = "[NAME]";
	s->text = t.text;
	s->options = cli_commands[COMMAND_SHOW].options;
	return true;
}

/* ---- words ---- */

enum rc words_split(struct words_line *ret_words, const char *line, struct err *e)
{
	struct words_line w = { .bytes = malloc(strlen(line) + SHELL_WORDS_MAX + 1) };
	char *to = w.bytes;

	if (!to)
		return err_add(e, RC_INTERNAL, "out of memory");
	while (*(line += strspn(line, " \t"))) {
		if (w.n == SHELL_WORDS_MAX) {
			free(w.bytes);
			return err_add(e, RC_LIMIT, "a command has at most %d words", SHELL_WORDS_MAX);
		}
		bool quoted = *line == '"';
		w.quoted[w.n] = quoted;
		w.at[w.n++] = to;
		for (line += quoted; *line && (quoted ? *line != '"' : *line != ' ' && *line != '\t');
			line++) {
			if (quoted && *line == '\\' && line[1])
				line++;
			*to++ = *line;
		}
		w.open_quote = quoted && !*line;
		line += quoted && *line;
		*to++ = '\0';
	}
	*ret_words = w;
	return RC_OK;
}

void words_line_free(struct words_line *w)
{
	free(w->bytes);
	w->bytes = NULL;
	w->n = 0;
}

/* Word i of a sequence; its length, 0: it has none. */
static size_t word_of(const char *words, unsigned i, const char **ret_at)
{
	while (i > 0 && *words) {
		words += strcspn(words, " ");
		words += *words == ' ';
		i--;
	}
	*ret_at = words;
	return strcspn(words, " ");
}

/* ---- finding ---- */

struct finding {
	struct sequence found; /* the one whose words are all there */
	bool is_found;
	unsigned used;	       /* words of the line that are its */
	bool alive[SEQUENCES]; /* whose words are those of the line so far */
	char expanded[8][40];  /* the line's words, whole */
};

/* How sequences go on with a word: those that have it, or begin with it. Returns how many words that are. */
static unsigned step(
	struct finding *f, unsigned i, const char *word, char *ret_whole, char *ret_all, size_t size)
{
	size_t n = strlen(word);
	struct sequence s;
	const char *at = NULL;
	unsigned words = 0;
	bool exact = false, next[SEQUENCES] = { false };

	ret_all[0] = '\0';
	for (unsigned k = 0; k < SEQUENCES; k++) {
		size_t has = f->alive[k] && sequence_of(k, &s) ? word_of(s.words, i, &at) : 0;
		exact |= has == n && memcmp(at, word, n) == 0;
	}
	for (unsigned k = 0; k < SEQUENCES; k++) {
		size_t has = f->alive[k] && sequence_of(k, &s) ? word_of(s.words, i, &at) : 0;
		if (has == 0 || (exact || f->is_found ? has != n : has < n) || memcmp(at, word, n) != 0)
			continue;
		next[k] = true;
		if (words > 0 && strlen(ret_whole) == has && memcmp(ret_whole, at, has) == 0)
			continue;
		words++;
		snprintf(ret_whole, 40, "%.*s", (int)has, at);
		snprintf(ret_all + strlen(ret_all), size - strlen(ret_all), "%s%s", words > 1 ? ", " : "",
			ret_whole);
	}
	if (words == 1)
		memcpy(f->alive, next, sizeof next);
	return words;
}

static void note_found(struct finding *f, unsigned i)
{
	struct sequence s;
	const char *at;

	for (unsigned k = 0; k < SEQUENCES; k++) {
		if (!f->alive[k] || !sequence_of(k, &s) || word_of(s.words, i, &at) > 0)
			continue;
		f->found = s;
		f->is_found = true;
		f->used = i;
	}
}

/* The sequence that the line begins with. RC_AGAIN: the line ends before one is whole; RC_NOT_FOUND, RC_MALFORMED: word *ret_at does not fit. */
static enum rc find(struct finding *f, const struct words_line *w, unsigned n, unsigned *ret_at,
	char *ret_all, size_t size)
{
	struct sequence s;

	*f = (struct finding){ 0 };
	for (unsigned k = 0; k < SEQUENCES; k++)
		f->alive[k] = sequence_of(k, &s);
	for (unsigned i = 0; i < n && i < COUNT_OF(f->expanded); i++) {
		*ret_at = i;
		unsigned words = w->quoted[i] || w->at[i][0] == '-'
					 ? 0
					 : step(f, i, w->at[i], f->expanded[i], ret_all, size);
		if (words == 0)
			return f->is_found ? RC_OK : RC_NOT_FOUND;
		if (words > 1)
			return f->is_found ? RC_OK : RC_MALFORMED;
		note_found(f, i + 1);
	}
	return f->is_found ? RC_OK : RC_AGAIN;
}

static enum rc not_a_command(const struct words_line *w, unsigned at, struct err *e)
{
	struct nearest near = nearest_to(w->at[at], strlen(w->at[at]));
	char hint[NEAREST_HINT_MAX];
	struct sequence s;
	const char *word;

	for (unsigned k = 0; k < SEQUENCES; k++) {
		size_t n = sequence_of(k, &s) ? word_of(s.words, at, &word) : 0;
		if (n == 0 || (at > 0 && strncmp(s.words, w->at[0], strlen(w->at[0])) != 0))
			continue;
		/* nearest_offer() borrows, and this table is made anew each time: a literal of the tables it was made from */
		nearest_offer(&near,
			k < OPERATIONAL_COUNT ? own_rows[k].words
			: k < OPERATIONAL_COUNT + COMMANDS_N
				? cli_commands[k - OPERATIONAL_COUNT].words + (word - s.words)
				: cli_table((enum show_table)(k - OPERATIONAL_COUNT - COMMANDS_N)).keyword,
			n);
	}
	if (at == 0 && (strcmp(w->at[0], "set") == 0 || strcmp(w->at[0], "delete") == 0 ||
			       strcmp(w->at[0], "edit") == 0))
		return err_add(e, RC_NOT_FOUND,
			"'%s' is a command of the configuration mode: write configure first", w->at[0]);
	return err_add(e, RC_NOT_FOUND, "there is no command '%s%s%.40s'%s; ? says what there is",
		at > 0 ? w->at[0] : "", at > 0 ? " " : "", w->at[at], nearest_hint(hint, &near));
}

/* "src" for "--src", where the command has that option. */
static const char *option_of(const struct sequence *s, const char *word, unsigned *ret_i)
{
	for (unsigned i = 0; i < OPTIONS_N; i++) {
		if (!(s->options >> i & 1) || i == OPTION_SOCKET)
			continue;
		if (strcmp(cli_options[i].word, word) == 0 ||
			strcmp(cli_options[i].word + strspn(cli_options[i].word, "-"), word) == 0) {
			*ret_i = i;
			return cli_options[i].word;
		}
	}
	return NULL;
}

static void arguments_add(struct operation *o, const struct finding *f, const struct words_line *w)
{
	const struct sequence *s = &f->found;

	for (unsigned i = f->used; i < w->n; i++) {
		unsigned option = 0;
		const char *word = s->own < 0 && !w->quoted[i] ? option_of(s, w->at[i], &option) : NULL;
		o->argv[o->argc++] = word ? argument(word) : w->at[i];
		if (word && cli_options[option].value[0] && i + 1 < w->n)
			o->argv[o->argc++] = w->at[++i];
	}
	o->argv[o->argc] = NULL;
}

enum rc operation_read(struct operation *ret_operation, const struct words_line *w, struct err *e)
{
	static char
		words[sizeof((struct sequence *)0)->words]; /* what argv[] points into until the next one */
	struct finding f;
	char all[400];
	unsigned at = 0;
	enum rc rc = find(&f, w, w->n, &at, all, sizeof all);

	if (rc == RC_AGAIN)
		return err_add(e, RC_MALFORMED, "'%.40s' needs another word; ? says which there are",
			w->at[w->n - 1]);
	if (rc == RC_MALFORMED)
		return err_add(e, RC_MALFORMED, "'%.40s' is the beginning of several: %s", w->at[at], all);
	if (rc)
		return not_a_command(w, at, e);
	*ret_operation = (struct operation){ .own = f.found.own >= 0, .streams = f.found.streams };
	if (ret_operation->own) {
		ret_operation->which = (enum operational)f.found.own;
	} else {
		ret_operation->argv[ret_operation->argc++] = argument("plaingate");
		memcpy(words, f.found.words, sizeof words);
		for (char *next = words, *word; (word = strsep(&next, " "));)
			ret_operation->argv[ret_operation->argc++] = word;
	}
	arguments_add(ret_operation, &f, w);
	return RC_OK;
}

/* ---- what may come next ---- */

/* Of commands by other words than a role has for them. */
static const struct {
	const char *words, *asks;
} synonyms[] = {
	{ "ike initiate", "vpn up" }, { "ike rekey-child", "vpn rekey-child" }, { "ike rekey", "vpn rekey" },
	{ "ike terminate", "vpn down" }, { "ike redirect", "vpn redirect" },
	{ "ike reauthenticate", "vpn rekey" }, { "vpn reauthenticate", "vpn rekey" },
	{ "vpn explain", "show" }, /* it only looks */
	{ "configure",
		"show configuration" }, /* a candidate is one's own: what it may become is seen by `commit` */
};

static bool is_offered(const struct sequence *s, may_fn *may)
{
	const char *words = s->words;

	for (size_t i = 0; i < COUNT_OF(synonyms); i++)
		if (strcmp(synonyms[i].words, words) == 0)
			words = synonyms[i].asks;
	return s->own >= 0 ? strncmp(words, "show configuration", 18) != 0 || may(words)
			   : !(s->options & OPT(SOCKET)) || may(words);
}

static void offer_next(const struct finding *f, unsigned i, const char *begin, offer_fn *offer, void *context)
{
	struct sequence s;
	const char *at;
	char word[40];

	for (unsigned k = 0; k < SEQUENCES; k++) {
		size_t n = f->alive[k] && sequence_of(k, &s) ? word_of(s.words, i, &at) : 0;
		if (n == 0 || strncmp(at, begin, strlen(begin)) != 0)
			continue;
		snprintf(word, sizeof word, "%.*s", (int)n, at);
		offer(context, word, at[n] ? "" : s.text, false);
	}
}

static void offer_options(const struct finding *f, const char *begin, offer_fn *offer, void *context)
{
	for (unsigned i = 0; i < OPTIONS_N; i++) {
		const char *word = cli_options[i].word + strspn(cli_options[i].word, "-");
		if ((f->found.options >> i & 1) && i != OPTION_SOCKET &&
			(strncmp(word, begin, strlen(begin)) == 0 ||
				strncmp(cli_options[i].word, begin, strlen(begin)) == 0))
			offer(context, begin[0] == '-' ? cli_options[i].word : word, cli_options[i].text,
				false);
	}
}

void operation_complete(const char *line, may_fn *may, offer_fn *offer, void *context)
{
	struct words_line w;
	struct finding f;
	char all[400], arguments[60];
	unsigned at = 0, option;
	size_t n = strlen(line);

	if (words_split(&w, line, NULL))
		return;
	bool unfinished = w.n > 0 && line[n - 1] != ' ';
	const char *begin = unfinished ? w.at[--w.n] : "";
	enum rc rc = find(&f, &w, w.n, &at, all, sizeof all);
	bool wants_value = f.is_found && w.n > f.used && option_of(&f.found, w.at[w.n - 1], &option) &&
			   cli_options[option].value[0];
	for (unsigned k = 0; k < SEQUENCES; k++) {
		struct sequence s;
		f.alive[k] = f.alive[k] && sequence_of(k, &s) && is_offered(&s, may);
	}
	if (rc == RC_AGAIN || (rc == RC_OK && f.used == w.n))
		offer_next(&f, w.n, begin, offer, context);
	if (wants_value) {
		snprintf(arguments, sizeof arguments, "<%.50s>", cli_options[option].value);
		offer(context, arguments, cli_options[option].text, true);
	} else if (rc == RC_OK) {
		if (f.found.arguments[0] && f.used == w.n) {
			snprintf(arguments, sizeof arguments, "<%.50s>", f.found.arguments);
			offer(context, arguments, f.found.text, true);
		}
		offer_options(&f, begin, offer, context);
	}
	words_line_free(&w);
}
