/* Filters of lines. */
#include "cli/shell/pipe.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/nearest.h"

const struct pipe_row pipe_rows[PIPE_KIND_COUNT] = {
#define E(id, word, follows, text) [PIPE_##id] = { word, follows, text },
	PIPES(E)
#undef E
};

char *pipe_split(char *line)
{
	bool quoted = false;

	for (; *line; line++) {
		if (*line == '\\' && quoted && line[1])
			line++;
		else if (*line == '"')
			quoted = !quoted;
		else if (*line == '|' && !quoted) {
			*line = '\0';
			return line + 1;
		}
	}
	return NULL;
}

/* ---- parsing ---- */

/* A word, or what stands between quotes; *at is behind it. NULL: there is none. The caller frees it. */
static char *word_take(const char **at)
{
	const char *begin = *at + strspn(*at, " \t");
	char *word;
	size_t n;

	if (*begin == '"') {
		n = strcspn(++begin, "\"");
		*at = begin + n + (begin[n] == '"');
	} else {
		n = strcspn(begin, " \t");
		*at = begin + n;
		if (n == 0)
			return NULL;
	}
	if ((word = strndup(begin, n)))
		return word;
	return NULL;
}

/* The row that the text begins with; words may be cut where only one row is left. */
static bool row_find(const char **at, enum pipe_kind *ret_kind, struct err *e)
{
	const char *text = *at + strspn(*at, " \t");
	size_t n = strcspn(text, " \t");
	struct nearest near = nearest_to(text, n);
	char hint[NEAREST_HINT_MAX];
	unsigned found = 0;

	for (unsigned i = 0; i < PIPE_KIND_COUNT; i++) {
		const char *word = pipe_rows[i].word;
		nearest_offer(&near, word, strcspn(word, " "));
		if (n == 0 || strncmp(word, text, n) != 0)
			continue;
		found++;
		*ret_kind = (enum pipe_kind)i;
		if (strcspn(word, " ") == n) {
			found = 1;
			break;
		}
	}
	*at = text + n;
	if (found == 1 && *ret_kind == PIPE_SET) { /* its second word */
		const char *second = *at + strspn(*at, " \t");
		size_t second_n = strcspn(second, " \t");
		if (second_n == 0 || strncmp("set", second, second_n) != 0)
			return err_add(e, RC_MALFORMED, "| display: expected set"), false;
		*at = second + second_n;
	}
	if (found == 1)
		return true;
	err_add(e, RC_MALFORMED,
		found ? "| %.*s: that is the beginning of several%s"
		      : "| %.*s: expected match, except, find, count, last, json, display set, compare or no-more%s",
		(int)(n < 40 ? n : 40), text, found ? "" : nearest_hint(hint, &near));
	return false;
}

static enum rc pattern_take(struct pipe_stage *s, const char **at, struct err *e)
{
	char *pattern = word_take(at), why[200];
	int bad;

	if (!pattern)
		return err_add(e, RC_MALFORMED, "| %s: expected a pattern", pipe_rows[s->kind].word);
	bad = regcomp(&s->pattern, pattern, REG_EXTENDED | REG_ICASE | REG_NOSUB);
	s->compiled = bad == 0;
	if (bad) {
		regerror(bad, &s->pattern, why, sizeof why);
		err_add(e, RC_MALFORMED, "| %s: '%.60s' is no pattern: %s", pipe_rows[s->kind].word, pattern,
			why);
	}
	free(pattern);
	return bad ? RC_MALFORMED : RC_OK;
}

static enum rc number_take(
	uint32_t *ret_n, const char **at, uint32_t min, uint32_t max, const char *what, struct err *e)
{
	char *word = word_take(at), *end = NULL;
	unsigned long n = word ? strtoul(word, &end, 10) : 0;
	bool good = word && *word >= '0' && *word <= '9' && !*end && n >= min && n <= max;

	if (word && !good)
		err_add(e, RC_MALFORMED, "%s: found '%.40s', expected a number from %u to %u", what, word,
			min, max);
	if (good)
		*ret_n = (uint32_t)n;
	bool given = word != NULL;
	free(word);
	return given && !good ? RC_MALFORMED : RC_OK;
}

static enum rc compare_take(struct pipe_stage *s, const char **at, struct err *e)
{
	char *word = word_take(at);
	bool rollback = word && strcmp(word, "rollback") == 0;
	enum rc rc = RC_OK;

	if (word && !rollback)
		rc = err_add(
			e, RC_MALFORMED, "| compare: found '%.40s', expected rollback, or the end", word);
	free(word);
	return rollback ? number_take(&s->n, at, 1, 50, "| compare rollback", e) : rc;
}

static enum rc stage_parse(struct pipe_stage *s, const char *text, struct err *e)
{
	enum rc rc = RC_OK;

	if (!row_find(&text, &s->kind, e))
		return RC_MALFORMED;
	switch (s->kind) {
	case PIPE_MATCH:
	case PIPE_EXCEPT:
	case PIPE_FIND:
		rc = pattern_take(s, &text, e);
		break;
	case PIPE_LAST:
		s->n = 10;
		rc = number_take(&s->n, &text, 1, SHELL_LAST_MAX, "| last", e);
		if (!rc && !(s->kept = calloc(s->n, sizeof *s->kept)))
			rc = err_add(e, RC_INTERNAL, "out of memory");
		break;
	case PIPE_COMPARE:
		rc = compare_take(s, &text, e);
		break;
	default:
		break;
	}
	text += strspn(text, " \t");
	if (!rc && *text)
		rc = err_add(e, RC_MALFORMED, "| %s: found '%.40s', expected the end, or another |",
			pipe_rows[s->kind].word, text);
	return rc;
}

enum rc pipe_parse(struct pipe_chain *ret_chain, const char *text, struct err *e)
{
	char *copy = strdup(text), *next = copy;
	enum rc rc = copy ? RC_OK : err_add(e, RC_INTERNAL, "out of memory");

	*ret_chain = (struct pipe_chain){ 0 };
	while (next && !rc) {
		char *part = next;
		next = pipe_split(part);
		if (ret_chain->n == SHELL_PIPES_MAX)
			rc = err_add(e, RC_LIMIT, "a command has at most %d |", SHELL_PIPES_MAX);
		else
			rc = stage_parse(&ret_chain->stages[ret_chain->n++], part, e);
	}
	free(copy);
	return rc;
}

bool pipe_has(const struct pipe_chain *c, enum pipe_kind kind, uint32_t *ret_n)
{
	for (unsigned i = 0; i < c->n; i++) {
		if (c->stages[i].kind != kind)
			continue;
		if (ret_n)
			*ret_n = c->stages[i].n;
		return true;
	}
	return false;
}

/* ---- lines ---- */

static bool matches(struct pipe_stage *s, const char *line, size_t n)
{
	regmatch_t all = { 0, (regoff_t)n };

	return regexec(&s->pattern, line, 1, &all, REG_STARTEND) == 0;
}

static void keep(struct pipe_stage *s, const char *line, size_t n)
{
	free(s->kept[s->kept_at]);
	s->kept[s->kept_at] = strndup(line, n);
	s->kept_at = (s->kept_at + 1) % s->n;
	s->kept_n += s->kept_n < s->n;
}

/* Into the stages from `from` on. */
static void put_from(struct pipe_chain *c, unsigned from, const char *line, size_t n)
{
	for (unsigned i = from; i < c->n; i++) {
		struct pipe_stage *s = &c->stages[i];
		switch (s->kind) {
		case PIPE_MATCH:
			if (!matches(s, line, n))
				return;
			break;
		case PIPE_EXCEPT:
			if (matches(s, line, n))
				return;
			break;
		case PIPE_FIND:
			s->found = s->found || matches(s, line, n);
			if (!s->found)
				return;
			break;
		case PIPE_COUNT:
			s->counted++;
			return;
		case PIPE_LAST:
			keep(s, line, n);
			return;
		default:
			break;
		}
	}
	c->out(c->context, line, n);
}

void pipe_put(struct pipe_chain *c, const char *line, size_t n)
{
	put_from(c, 0, line, n);
}

void pipe_end(struct pipe_chain *c)
{
	char text[40];

	for (unsigned i = 0; i < c->n; i++) {
		struct pipe_stage *s = &c->stages[i];
		if (s->kind == PIPE_COUNT) {
			int n = snprintf(
				text, sizeof text, "Count: %llu lines", (unsigned long long)s->counted);
			put_from(c, i + 1, text, (size_t)n);
		}
		for (size_t k = 0; s->kind == PIPE_LAST && k < s->kept_n; k++) {
			const char *line = s->kept[(s->kept_at + s->n - s->kept_n + k) % s->n];
			if (line)
				put_from(c, i + 1, line, strlen(line));
		}
	}
}

void pipe_done(struct pipe_chain *c)
{
	for (unsigned i = 0; i < c->n; i++) {
		struct pipe_stage *s = &c->stages[i];
		if (s->compiled)
			regfree(&s->pattern);
		for (size_t k = 0; s->kept && k < s->n; k++)
			free(s->kept[k]);
		free(s->kept);
	}
	c->n = 0;
}
