/*
 * The configuration mode. The candidate is this session's alone: it lives in this process, and is lost with it. It knows the text that it
 * was made from, and is committed over that
 * text only.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <fcntl.h>

#include "base/nearest.h"
#include "cli/commands.h"
#include "cli/configuration.h"
#include "cli/text.h"
#include "model/model.h"
#include "cli/shell/operational.h"
#include "cli/shell/shell.h"
#include "cli/shell/who.h"
#include "cli/shell/tables.h"

struct row {
	const char *word, *follows, *text;
};

static const struct row rows[CONFIGURE_COUNT] = {
#define E(id, word, follows, text) [CONFIGURE_##id] = { word, follows, text },
	CONFIGURE(E)
#undef E
};

static const struct row edit_rows[EDIT_COMMAND_COUNT] = {
#define E(id, word, follows, text) [EDIT_COMMAND_##id] = { word, follows, text },
	EDIT_COMMANDS(E)
#undef E
};

static const struct row load_rows[EDIT_LOAD_COUNT] = {
#define E(id, word, text) [EDIT_LOAD_##id] = { word, "FILE|terminal", text },
	EDIT_LOADS(E)
#undef E
};

/* ---- the candidate ---- */

void configure_done(struct shell *s)
{
	edit_free(s->candidate);
	s->candidate = NULL;
	free(s->base);
	s->base = NULL;
	free(s->laid_out);
	s->laid_out = NULL;
	candidate_forget_rollback(s);
}

void configure_begin(struct shell *s)
{
	struct err e = { 0 };

	if (candidate_begin(s, &e)) {
		shell_error(&e);
		configure_done(s);
		return;
	}
	fputs("Entering configuration mode\n", stdout);
}

void configure_leave(struct shell *s)
{
	if ((candidate_is_changed(s) || s->rollback) &&
		line_asks(s->lines,
			"The candidate has changes that are not committed. Leave, and lose them?") == LINE_NO)
		return;
	configure_done(s);
	fputs("Exiting configuration mode\n", stdout);
}

/* ---- show ---- */

static enum rc show_compare(struct shell *s, unsigned rollback, char **ret_text, struct err *e)
{
	char *text = NULL, name[40];
	size_t n = 0;
	enum rc rc = configuration_read(s->socket, rollback, &text, &n, e);

	snprintf(name, sizeof name, rollback ? "rollback %u" : "the running configuration", rollback);
	if (!rc)
		rc = edit_compare(s->candidate, text, n, name, ret_text, e);
	free(text);
	return rc;
}

static void show(struct shell *s, const char *words, struct pipe_chain *chain)
{
	struct err e = { 0 };
	char *text = NULL;
	uint32_t rollback;
	enum rc rc;

	if (pipe_has(chain, PIPE_COMPARE, &rollback) && *words)
		rc = err_add(&e, RC_MALFORMED,
			"| compare takes no path here: go there with edit, and show | compare from there");
	else if (pipe_has(chain, PIPE_COMPARE, &rollback))
		rc = show_compare(s, rollback, &text, &e);
	else
		rc = edit_show(s->candidate, words, pipe_has(chain, PIPE_SET, NULL), &text, &e);
	if (rc)
		shell_error(&e);
	else
		shell_print(chain, text);
	free(text);
}

/* ---- rollback, load, save ---- */

static enum rc number_of(const char *word, unsigned max, unsigned *ret_n, struct err *e)
{
	char *end;
	unsigned long n = strtoul(word, &end, 10);

	if (*word && (*word < '0' || *word > '9' || *end || n > max))
		return err_add(e, RC_MALFORMED, "found '%.40s', expected a number from 0 to %u", word, max);
	*ret_n = (unsigned)n;
	return RC_OK;
}

static void rollback(struct shell *s, const char *words)
{
	struct err e = { 0 };
	unsigned which = 0;

	if (number_of(words, 50, &which, &e) ||
		(which == 0 ? candidate_begin(s, &e) : candidate_rollback(s, which, &e)))
		shell_error(&e);
	else
		fputs("load complete\n", stdout);
}

/* Lines up to Ctrl-D, or to one that is a full stop; no more than a configuration may have. The caller frees *ret_text. */
static enum rc lines_read(struct shell *s, char **ret_text, size_t *ret_n, struct err *e)
{
	char *line = NULL;
	size_t n = 0;
	FILE *f = open_memstream(ret_text, ret_n);

	if (!f)
		return err_add(e, RC_INTERNAL, "out of memory");
	if (line_is_terminal(s->lines))
		fputs("[the text, then Ctrl-D on a line of its own]\n", stdout);
	snprintf(s->prompt, sizeof s->prompt, "%s", "");
	line_plain(s->lines, true);
	while ((line = line_read(s->lines)) && strcmp(line, ".") != 0 && !line_was_interrupted(s->lines)) {
		n += strlen(line) + 1;
		if (n <= CONFIG_TEXT_MAX) /* what is beyond it is read, and not kept */
			fprintf(f, "%s\n", line);
	}
	line_plain(s->lines, false);
	if (fclose(f) != 0 || !*ret_text)
		return err_add(e, RC_INTERNAL, "out of memory");
	if (line && line_was_interrupted(s->lines))
		return err_add(e, RC_AGAIN, "interrupted: nothing is loaded");
	return n <= CONFIG_TEXT_MAX
		       ? RC_OK
		       : err_add(e, RC_LIMIT, "the text is longer than the %u octets of a configuration",
				 CONFIG_TEXT_MAX);
}

static void load(struct shell *s, const char *words)
{
	struct words_line w;
	struct err e = { 0 };
	char *text = NULL;
	size_t n = 0;
	unsigned how = 0;

	if (words_split(&w, words, &e)) {
		shell_error(&e);
		return;
	}
	while (w.n > 0 && how < EDIT_LOAD_COUNT && strcmp(load_rows[how].word, w.at[0]) != 0)
		how++;
	bool terminal = w.n == 2 && strcmp(w.at[1], "terminal") == 0;
	if (w.n != 2 || how == EDIT_LOAD_COUNT)
		err_add(&e, RC_MALFORMED, "expected merge, replace, override or set, and a file or terminal");
	else if (terminal)
		lines_read(s, &text, &n, &e);
	else
		text_read(w.at[1], &text, &n, &e);
	if (!e.rc &&
		!edit_load(s->candidate, (enum edit_load)how, text, n, terminal ? "terminal" : w.at[1], &e)) {
		candidate_forget_rollback(s);
		fputs("load complete\n", stdout);
	}
	if (e.rc)
		shell_error(&e);
	free(text);
	words_line_free(&w);
}

static void save(struct shell *s, const char *words)
{
	char *text = edit_text(s->candidate);
	struct words_line w = { 0 };
	struct err e = { 0 };
	FILE *f = NULL;

	if (words_split(&w, words, &e) == RC_OK && (w.n != 1 || w.open_quote))
		err_add(&e, RC_MALFORMED, "expected a file");
	const char *path = e.rc ? "" : w.at[0];
	int fd = e.rc ? -1 : open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
	if (!e.rc && (fd < 0 || !(f = fdopen(fd, "w"))))
		err_errno(&e, RC_IO, "%.200s", path);
	else if (!e.rc && (!text || fputs(text, f) == EOF || fflush(f) != 0 || fsync(fd) != 0))
		err_errno(&e, RC_IO, "write '%.200s'", path);
	if (f && fclose(f) != 0 && !e.rc)
		err_errno(&e, RC_IO, "close '%.200s'", path);
	if (f && e.rc)
		unlink(path);
	if (e.rc)
		shell_error(&e);
	else
		fputs("the candidate is saved\n", stdout);
	words_line_free(&w);
	free(text);
}

/* ---- lines ---- */

static void help(struct pipe_chain *chain)
{
	char *text = NULL;
	size_t n = 0;
	FILE *f = open_memstream(&text, &n);

	if (!f)
		return;
	fputs("Commands of the configuration mode; ? behind a word says what may follow it, Tab completes it.\n\n",
		f);
	for (unsigned i = 0; i < EDIT_COMMAND_COUNT; i++)
		fprintf(f, "  %-12s %s\n", edit_rows[i].word, edit_rows[i].text);
	for (unsigned i = 0; i < CONFIGURE_COUNT; i++)
		fprintf(f, "  %-12s %s\n", rows[i].word, rows[i].text);
	fclose(f);
	shell_print(chain, text);
	free(text);
}

static void leave_level(struct shell *s, const char *words)
{
	struct err e = { 0 };

	if (*words || edit_up(s->candidate, 1, &e))
		configure_leave(s);
}

static void own_line(struct shell *s, enum configure which, const char *words, struct pipe_chain *chain)
{
	switch (which) {
	case CONFIGURE_SHOW:
		show(s, words, chain);
		break;
	case CONFIGURE_COMMIT:
		if (commit_line(s, words))
			configure_leave(s);
		break;
	case CONFIGURE_ROLLBACK:
		rollback(s, words);
		break;
	case CONFIGURE_LOAD:
		load(s, words);
		break;
	case CONFIGURE_SAVE:
		save(s, words);
		break;
	case CONFIGURE_RUN:
		operational_line(s, words, chain);
		break;
	case CONFIGURE_HELP:
		help(chain);
		break;
	case CONFIGURE_EXIT:
		leave_level(s, words);
		break;
	case CONFIGURE_QUIT:
		configure_leave(s);
		break;
	case CONFIGURE_COUNT:
		break;
	}
}

/* The command that the word is, or is the only beginning of: index into edit_rows, and behind these into rows; -1: none, -2: several. */
static int command_of(const char *word, size_t n)
{
	int found = -1;

	for (int i = 0; i < EDIT_COMMAND_COUNT + CONFIGURE_COUNT; i++) {
		const char *is =
			i < EDIT_COMMAND_COUNT ? edit_rows[i].word : rows[i - EDIT_COMMAND_COUNT].word;
		if (strncmp(is, word, n) != 0)
			continue;
		if (strlen(is) == n)
			return i;
		found = found == -1 ? i : -2;
	}
	return found;
}

static void not_a_command(const char *line, size_t n, bool several)
{
	struct nearest near = nearest_to(line, n);
	char hint[NEAREST_HINT_MAX];
	struct err e = { 0 };

	for (unsigned i = 0; i < EDIT_COMMAND_COUNT; i++)
		nearest_offer(&near, edit_rows[i].word, strlen(edit_rows[i].word));
	for (unsigned i = 0; i < CONFIGURE_COUNT; i++)
		nearest_offer(&near, rows[i].word, strlen(rows[i].word));
	err_add(&e, RC_NOT_FOUND,
		several ? "'%.*s' is the beginning of several commands%s; ? says which"
			: "there is no command '%.*s'%s; ? says what there is",
		(int)(n < 40 ? n : 40), line, several ? "" : nearest_hint(hint, &near));
	shell_error(&e);
}

/* A command of the editor, by its whole word. */
static void edit_line(struct shell *s, const char *top, enum edit_command which, const char *words)
{
	size_t room = strlen(top) + strlen(edit_rows[which].word) + strlen(words) + 2;
	char *command = malloc(room);
	struct err e = { 0 };
	unsigned uses = 0;
	enum rc rc;

	if (!command) {
		fputs("error: out of memory\n", stdout);
		return;
	}
	snprintf(command, room, "%s%s %s", top, edit_rows[which].word, words);
	if (which == EDIT_COMMAND_RENAME && !*top)
		rc = edit_rename(s->candidate, words, &uses, &e);
	else
		rc = edit_command(s->candidate, command, &e);
	free(command);
	if (rc)
		shell_error(&e);
	else if (uses > 0)
		printf("%u use%s of the name follow%s\n", uses, uses == 1 ? "" : "s", uses == 1 ? "s" : "");
}

/* Whether all that is at the level may go. */
static bool may_delete_all(struct shell *s, bool at_top)
{
	enum line_answer answer =
		line_asks(s->lines, at_top ? "Delete the whole candidate?" : "Delete all at this level?");
	struct err e = { 0 };

	if (answer != LINE_NO_TERMINAL)
		return answer == LINE_YES;
	err_add(&e, RC_MALFORMED, "delete without a path asks first, on a terminal: expected a path");
	shell_error(&e);
	return false;
}

/* From the top, for this command alone. */
static void top_line(struct shell *s, const char *line, struct pipe_chain *chain)
{
	size_t n = strcspn(line, " \t");
	int which = command_of(line, n);
	const char *words = line + n + strspn(line + n, " \t");
	char *level = strdup(edit_level(s->candidate)), *back = NULL;
	struct err e = { 0 };

	if (which < 0)
		not_a_command(line, n, which == -2);
	else if (which == EDIT_COMMAND_DELETE && !*words && !may_delete_all(s, true))
		; /* it stays */
	else if (which < EDIT_COMMAND_COUNT)
		edit_line(s, "top ", (enum edit_command)which, words);
	else if (level && asprintf(&back, "edit %s", level) >= 0) {
		edit_command(s->candidate, "top", &e);
		own_line(s, (enum configure)(which - EDIT_COMMAND_COUNT), words, chain);
		if (s->candidate && *level && !*edit_level(s->candidate))
			edit_command(s->candidate, back, &e);
	}
	free(back);
	free(level);
}

void configure_line(struct shell *s, const char *line, struct pipe_chain *chain)
{
	size_t n = strcspn(line, " \t");
	int which = command_of(line, n);
	const char *words = line + n + strspn(line + n, " \t");

	if (which < 0)
		not_a_command(line, n, which == -2);
	else if (which >= EDIT_COMMAND_COUNT)
		own_line(s, (enum configure)(which - EDIT_COMMAND_COUNT), words, chain);
	else if (which == EDIT_COMMAND_TOP && *words)
		top_line(s, words, chain);
	else if (which != EDIT_COMMAND_DELETE || *words || may_delete_all(s, !*edit_level(s->candidate)))
		edit_line(s, "", (enum edit_command)which, words);
}

/* ---- what may come next ---- */

static void offer_beginning(
	const char *word, const struct row *row, unsigned n, offer_fn *offer, void *context)
{
	for (unsigned i = 0; i < n; i++) {
		if (strncmp(row[i].word, word, strlen(word)) == 0)
			offer(context, row[i].word, row[i].text, false);
	}
}

static void complete_own(
	struct shell *s, enum configure which, const char *words, offer_fn *offer, void *context)
{
	static const struct row commits[] = { { "check", "", "Only says whether it is valid" },
		{ "confirmed", "",
			"Goes back unless commit comes again within 10 minutes, or those that follow" },
		{ "comment", "", "The reason, in quotes, for the ledger" },
		{ "and-quit", "", "Then leaves the configuration mode" },
		{ "close-all", "", "Accepts a configuration that permits nothing" },
		{ "cut-off", "", "Accepts one that does not permit this connection" } };
	const struct edit_completion *all;
	const char *last = strrchr(words, ' ');
	unsigned n;

	switch (which) {
	case CONFIGURE_SHOW:
		n = edit_complete(s->candidate, EDIT_COMMAND_DELETE, words, &all);
		for (unsigned i = 0; i < n; i++)
			offer(context, all[i].word, all[i].text, all[i].is_value);
		break;
	case CONFIGURE_COMMIT:
		offer_beginning(
			last ? last + 1 : words, commits, sizeof commits / sizeof *commits, offer, context);
		break;
	case CONFIGURE_LOAD:
		if (last)
			offer(context, "<FILE>", "a file, or terminal", true);
		else
			offer_beginning(words, load_rows, EDIT_LOAD_COUNT, offer, context);
		break;
	case CONFIGURE_RUN:
		operation_complete(words, who_may, offer, context);
		break;
	default:
		if (rows[which].follows[0] && !*words)
			offer(context, rows[which].follows, rows[which].text, true);
	}
}

void configure_complete(struct shell *s, const char *line, offer_fn *offer, void *context)
{
	size_t n = strcspn(line, " ");
	const char *words = line + n + strspn(line + n, " ");
	const struct edit_completion *all;

	if (!line[n]) {
		offer_beginning(line, edit_rows, EDIT_COMMAND_COUNT, offer, context);
		offer_beginning(line, rows, CONFIGURE_COUNT, offer, context);
		return;
	}
	int which = command_of(line, n);
	if (which == EDIT_COMMAND_TOP) {
		configure_complete(s, words, offer, context);
	} else if (which >= EDIT_COMMAND_COUNT) {
		complete_own(s, (enum configure)(which - EDIT_COMMAND_COUNT), words, offer, context);
	} else if (which >= 0) {
		unsigned found = edit_complete(s->candidate, (enum edit_command)which, words, &all);
		for (unsigned i = 0; i < found; i++)
			offer(context, all[i].word, all[i].text, all[i].is_value);
	}
}
