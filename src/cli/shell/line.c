/* The line editor. */
#include "cli/shell/line.h"

#include <histedit.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cli/render.h"
#include "cli/shell/output.h"

struct offered {
	char *word, *text;
	bool is_value;
};

struct line_editor {
	const char *prompt;
	line_complete_fn *complete;
	void *context;
	EditLine *el; /* NULL: standard input is no terminal */
	History *history;
	bool interrupted;
	bool plain; /* a text is pasted: no key means anything */
	char *line;
	size_t room;
	struct offered offered[SHELL_OFFERS_MAX]; /* at the place of the cursor */
	unsigned offered_n;
};

static char *prompt_text(EditLine *el)
{
	struct line_editor *l = NULL;

	el_get(el, EL_CLIENTDATA, &l);
	return argument(l->prompt);
}

/* ---- completion ---- */

static void offered_free(struct line_editor *l)
{
	while (l->offered_n > 0) {
		l->offered_n--;
		free(l->offered[l->offered_n].word);
		free(l->offered[l->offered_n].text);
	}
}

static void offer_note(void *context, const char *word, const char *text, bool is_value)
{
	struct line_editor *l = context;

	if (l->offered_n == SHELL_OFFERS_MAX)
		return;
	struct offered o = { strdup(word), strdup(text), is_value };
	for (unsigned i = 0; i < l->offered_n && o.word; i++) {
		if (strcmp(l->offered[i].word, o.word) != 0)
			continue;
		free(o.word); /* it is there */
		o.word = NULL;
	}
	if (o.word && o.text) {
		l->offered[l->offered_n++] = o;
		return;
	}
	free(o.word);
	free(o.text);
}

static void offers_print(const struct line_editor *l)
{
	unsigned columns, rows;
	size_t width = 0;

	terminal_size(&columns, &rows);
	for (unsigned i = 0; i < l->offered_n; i++) {
		size_t n = strlen(l->offered[i].word);
		width = n > width && n <= 32 ? n : width;
	}
	fputc('\n', stdout);
	if (l->offered_n == 0)
		fputs("  <Enter>\n", stdout);
	for (unsigned i = 0; i < l->offered_n; i++) {
		size_t room = columns > width + 5 ? columns - width - 5 : SHELL_WIDTH_MIN,
		       n = strlen(l->offered[i].text);
		fputs("  ", stdout);
		render_safe(stdout, l->offered[i].word, strlen(l->offered[i].word), false);
		size_t word_n = strlen(l->offered[i].word);
		printf("%*s  ", (int)(width > word_n ? width - word_n : 0), "");
		render_safe(stdout, l->offered[i].text, n > room ? room : n, false);
		fputc('\n', stdout);
	}
	fflush(stdout);
}

/* The line up to the cursor; the caller frees it. */
static char *line_so_far(EditLine *el)
{
	const LineInfo *info = el_line(el);

	return strndup(info->buffer, (size_t)(info->cursor - info->buffer));
}

static bool in_quotes(const char *text)
{
	bool quoted = false;

	for (; *text; text++) {
		if (*text == '\\' && quoted && text[1])
			text++;
		else if (*text == '"')
			quoted = !quoted;
	}
	return quoted;
}

static char *gather(struct line_editor *l, EditLine *el)
{
	char *line = line_so_far(el);

	offered_free(l);
	if (line)
		l->complete(l->context, line, offer_note, l);
	return line;
}

/* ?: what may come here. Within quotes it is a character. */
static unsigned char on_help(EditLine *el, int key)
{
	struct line_editor *l = NULL;
	char *line;
	const char typed[2] = { (char)key, '\0' };

	el_get(el, EL_CLIENTDATA, &l);
	if (l->plain)
		return el_insertstr(el, typed) == 0 ? CC_REFRESH : CC_ERROR;
	line = gather(l, el);
	bool quoted = line && in_quotes(line);
	free(line);
	if (quoted)
		return el_insertstr(el, typed) == 0 ? CC_REFRESH : CC_ERROR;
	offers_print(l);
	return CC_REDISPLAY;
}

/* How many octets all words that can be typed have in common; *ret_words: how many words these are. */
static size_t common(const struct line_editor *l, unsigned *ret_words, const char **ret_first)
{
	size_t n = 0;

	*ret_words = 0;
	for (unsigned i = 0; i < l->offered_n; i++) {
		const char *word = l->offered[i].word;
		size_t same = 0;
		if (l->offered[i].is_value)
			continue;
		if ((*ret_words)++ == 0) {
			*ret_first = word;
			n = strlen(word);
			continue;
		}
		while (same < n && word[same] == (*ret_first)[same])
			same++;
		n = same;
	}
	return n;
}

/* Tab: the word, as far as it is certain; where nothing is, what there is. */
static unsigned char on_complete(EditLine *el, int key)
{
	struct line_editor *l = NULL;
	const char *first = "";
	unsigned words;
	char *line, *add;

	el_get(el, EL_CLIENTDATA, &l);
	if (l->plain)
		return el_insertstr(el, "\t") == 0 ? CC_REFRESH : CC_ERROR;
	if (!(line = gather(l, el)))
		return CC_ERROR;
	const char *word = line + strlen(line);
	while (word > line && !strchr(" \t[|", word[-1]))
		word--;
	size_t typed = strlen(word), n = common(l, &words, &first);
	free(line);
	if (words == 0 || n < typed || (n == typed && words > 1)) {
		offers_print(l);
		return CC_REDISPLAY;
	}
	if (!(add = calloc(1, n - typed + 2)))
		return CC_ERROR;
	memcpy(add, first + typed, n - typed);
	if (words == 1)
		add[n - typed] = ' ';
	bool good = el_insertstr(el, add) == 0;
	free(add);
	return good ? CC_REFRESH : CC_ERROR;
}

/* Ctrl-C: the line is none. */
static unsigned char on_interrupt(EditLine *el, int key)
{
	struct line_editor *l = NULL;

	el_get(el, EL_CLIENTDATA, &l);
	l->interrupted = true;
	fputs("^C", stdout);
	return CC_NEWLINE;
}

/* ---- the editor ---- */

static bool terminal_begin(struct line_editor *l)
{
	HistEvent event;

	if (!(l->el = el_init("plaingate", stdin, stdout, stderr)) || !(l->history = history_init()))
		return false;
	history(l->history, &event, H_SETSIZE, SHELL_HISTORY_MAX);
	history(l->history, &event, H_SETUNIQUE, 1);
	el_set(l->el, EL_CLIENTDATA, l);
	el_set(l->el, EL_PROMPT, prompt_text);
	el_set(l->el, EL_EDITOR, "emacs");
	el_set(l->el, EL_HIST, history, l->history);
	el_set(l->el, EL_ADDFN, "plaingate-help", "What may come here", on_help);
	el_set(l->el, EL_ADDFN, "plaingate-complete", "Complete the word", on_complete);
	el_set(l->el, EL_ADDFN, "plaingate-interrupt", "Leave the line", on_interrupt);
	/* M-x would take libedit's own commands, by which keys are bound, and one of vi's keys executes an editor. */
	el_set(l->el, EL_BIND, "\\370", "ed-unassigned", NULL);
	el_set(l->el, EL_BIND, "\\330", "ed-unassigned", NULL);
	el_set(l->el, EL_BIND, "?", "plaingate-help", NULL);
	el_set(l->el, EL_BIND, "\t", "plaingate-complete", NULL);
	el_set(l->el, EL_BIND, "^C", "plaingate-interrupt", NULL);
	el_set(l->el, EL_BIND, "^R", "em-inc-search-prev", NULL);
	el_set(l->el, EL_SETTY, "-d", "-isig", NULL); /* Ctrl-C is a key while a line is written */
	return true;
}

struct line_editor *line_editor_new(const char *prompt, line_complete_fn *complete, void *context)
{
	struct line_editor *l = calloc(1, sizeof *l);

	if (!l)
		return NULL;
	l->prompt = prompt;
	l->complete = complete;
	l->context = context;
	if (isatty(STDIN_FILENO) && isatty(STDOUT_FILENO) && !terminal_begin(l)) {
		line_editor_free(l);
		return NULL;
	}
	return l;
}

void line_editor_free(struct line_editor *l)
{
	if (!l)
		return;
	if (l->el)
		el_end(l->el);
	if (l->history)
		history_end(l->history);
	offered_free(l);
	free(l->line);
	free(l);
}

bool line_is_terminal(const struct line_editor *l)
{
	return l->el != NULL;
}

static char *plain_read(struct line_editor *l)
{
	ssize_t n = getline(&l->line, &l->room, stdin);

	if (n < 0)
		return NULL;
	if (n > 0 && l->line[n - 1] == '\n')
		l->line[--n] = '\0';
	if (memchr(l->line, '\0', (size_t)n)) { /* what stands before it is another command */
		fputs("error: the octet 0x00 is in a line, which is passed over\n", stdout);
		shell_failed();
		l->line[0] = '\0';
	}
	return l->line;
}

char *line_read(struct line_editor *l)
{
	HistEvent event;
	const char *text;
	int n = 0;

	if (!l->el)
		return plain_read(l);
	l->interrupted = false;
	if (!(text = el_gets(l->el, &n)) || n <= 0) {
		fputc('\n', stdout);
		return NULL;
	}
	free(l->line);
	if (!(l->line = strdup(l->interrupted ? "" : text)))
		return NULL;
	l->line[strcspn(l->line, "\n")] = '\0';
	if (l->line[strspn(l->line, " ")] && !l->plain)
		history(l->history, &event, H_ENTER, l->line);
	return l->line;
}

enum line_answer line_asks(const struct line_editor *l, const char *question)
{
	char answer[16] = "";

	if (!line_is_terminal(l))
		return LINE_NO_TERMINAL;
	printf("%s [yes,no] (no) ", question);
	fflush(stdout);
	clearerr(stdin); /* Ctrl-D answered one before */
	if (!fgets(answer, sizeof answer, stdin)) {
		fputc('\n', stdout);
		clearerr(stdin);
		return LINE_NO_TERMINAL; /* it may be gone */
	}
	return strcmp(answer, "yes\n") == 0 || strcmp(answer, "y\n") == 0 ? LINE_YES : LINE_NO;
}

void line_plain(struct line_editor *l, bool plain)
{
	l->plain = plain;
}

bool line_was_interrupted(const struct line_editor *l)
{
	return l->interrupted;
}
