/* What may come next on the line: statements of the schema, names that exist, values that are possible. Pure. */
#include "edit/candidate.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "edit/read.h"
#include "model/applications.h"

struct search {
	struct edit *e;
	enum edit_command command;
	const char *begin; /* of the word that is unfinished; "" */
};

static bool changes_what_is_there(enum edit_command c)
{
	return c != EDIT_COMMAND_SET && c != EDIT_COMMAND_EDIT && c != EDIT_COMMAND_TOP;
}

/* ---- offers ---- */

static bool room_for(struct edit *e)
{
	if (e->completions)
		return e->completions_n < COMPLETIONS_MAX;
	e->completions = calloc(COMPLETIONS_MAX, sizeof *e->completions);
	e->completion_words = calloc(COMPLETIONS_MAX, sizeof *e->completion_words);
	return e->completions && e->completion_words;
}

/* "word\0text", both in one piece of memory. Each word once. */
static void offer(struct search *s, const char *word, const char *text, bool is_value)
{
	size_t word_n = strlen(word) + 1, text_n = strlen(text) + 1;
	char *both;

	if (!is_value && strncmp(word, s->begin, strlen(s->begin)) != 0)
		return;
	for (unsigned i = 0; i < s->e->completions_n; i++) {
		if (strcmp(s->e->completions[i].word, word) == 0)
			return;
	}
	if (!room_for(s->e) || !(both = malloc(word_n + text_n)))
		return; /* fewer are offered */
	memcpy(both, word, word_n);
	memcpy(both + word_n, text, text_n);
	s->e->completion_words[s->e->completions_n] = both;
	s->e->completions[s->e->completions_n++] = (struct edit_completion){ both, both + word_n, is_value };
}

/* A name or value, as it would be typed. */
static void offer_word(struct search *s, const char *word, const char *text)
{
	struct text t = { 0 };

	write_word(&t, word);
	if (!t.bad)
		offer(s, t.at, text, false);
	free(t.at);
}

/* The first sentence of a description, on one line. */
static char *first_sentence(char *ret_text, const char *text)
{
	size_t n = 0;

	ret_text[0] = '\0';
	for (; text && *text && n < HELP_TEXT_MAX; text++) {
		bool space = *text == ' ' || *text == '\n' || *text == '\t';
		if (space && (n == 0 || ret_text[n - 1] == ' '))
			continue;
		if ((*text == '.' || *text == ';' || *text == ':') &&
			(text[1] == '\0' || text[1] == ' ' || text[1] == '\n'))
			break;
		ret_text[n++] = space ? ' ' : *text;
	}
	if (n == HELP_TEXT_MAX) { /* cut before the word that does not fit */
		while (n > 0 && ret_text[n - 1] != ' ')
			n--;
	}
	while (n > 0 && (ret_text[n - 1] == ' ' || ret_text[n - 1] == ','))
		n--;
	ret_text[n] = '\0';
	return ret_text;
}

/* ---- names and values ---- */

static void offer_applications(struct search *s)
{
#define OFFER_APPLICATION(name, ...) offer_word(s, name, "built in");
	BUILT_IN_APPLICATIONS(OFFER_APPLICATION)
#undef OFFER_APPLICATION
}

/* The names of all entries of the list. */
static void offer_entries(struct search *s, const struct lysc_node *list)
{
	for (struct stmt *at = s->e->root; at; at = stmt_walk(s->e->root, at)) {
		if (at->schema != list)
			continue;
		for (size_t i = 0; i < (at->many ? at->words_n : 1) && i < at->words_n; i++)
			offer_word(s, at->words[i], list->name);
	}
	if (strcmp(list->name, "application") == 0)
		offer_applications(s);
}

static void offer_type(struct search *s, const struct lysc_type *type)
{
	LY_ARRAY_COUNT_TYPE i;
	char text[HELP_TEXT_MAX + 1];

	if (type->basetype == LY_TYPE_ENUM) {
		const struct lysc_type_enum *names = (const struct lysc_type_enum *)type;
		LY_ARRAY_FOR(names->enums, i)
		offer_word(s, names->enums[i].name, first_sentence(text, names->enums[i].dsc));
	} else if (type->basetype == LY_TYPE_UNION) {
		const struct lysc_type_union *members = (const struct lysc_type_union *)type;
		LY_ARRAY_FOR(members->types, i)
		offer_type(s, members->types[i]);
	}
}

/* What a value or a key can be. */
static void offer_values(struct search *s, const struct lysc_node *leaf)
{
	const struct lysc_node *lists[SCHEMA_REFERS_MAX];
	unsigned n = schema_refers(leaf, lists);
	char expected[EXPECTED_MAX] = "", word[HELP_TEXT_MAX], text[HELP_TEXT_MAX + 1];

	while (n > 0)
		offer_entries(s, lists[--n]);
	offer_type(s, schema_type(leaf));
	schema_value_expected(leaf, expected, sizeof expected);
	snprintf(word, sizeof word, "<%.70s>", leaf->name);
	snprintf(text, sizeof text, "%.*s", HELP_TEXT_MAX, expected);
	offer(s, word, text, true);
}

/* ---- places ---- */

/* Statements of the block; `there`: only those that it has. */
static void offer_statements(
	struct search *s, const struct lysc_node *schema, const struct stmt *block, bool there)
{
	const struct lysc_node *child = NULL;
	char text[HELP_TEXT_MAX + 1];

	while ((child = schema_next(schema, child))) {
		bool is_block = child->nodetype & (LYS_CONTAINER | LYS_LIST), has = false;
		if (s->command == EDIT_COMMAND_EDIT && !is_block)
			continue;
		for (const struct stmt *at = block ? block->first : NULL; at && !has; at = at->next)
			has = at->schema == child;
		if (there && !has)
			continue;
		offer(s, schema_keyword(child), first_sentence(text, child->dsc), false);
	}
}

/* Keys of the list's entries in this block, the first one or (with `first`) the second. */
static void offer_keys(
	struct search *s, const struct lysc_node *list, const struct stmt *block, const char *first)
{
	for (const struct stmt *at = block ? block->first : NULL; at; at = at->next) {
		if (at->schema != list)
			continue;
		for (size_t i = 0; i < at->words_n && !first; i++) {
			if (i == 0 || at->many)
				offer_word(s, at->words[i], "");
		}
		if (first && at->words_n > 1 && strcmp(at->words[0], first) == 0)
			offer_word(s, at->words[1], "");
	}
}

static void offer_there(struct search *s, const struct lysc_node *leaf, const struct stmt *block)
{
	for (const struct stmt *at = block ? block->first : NULL; at; at = at->next) {
		for (size_t i = 0; at->schema == leaf && i < at->words_n; i++)
			offer_word(s, at->words[i], "");
	}
}

struct place_in {
	const struct lysc_node *schema;
	struct stmt *block; /* NULL: it is not there */
	bool on_entry;	    /* right behind an entry's name */
};

/* The list's keys out of the words; false: the line ends among them, and what may follow was offered. */
static bool list_step(struct search *s, struct place_in *in, const struct lysc_node *list,
	const struct words *w, unsigned *at)
{
	const struct lysc_node *keys[SCHEMA_KEYS_MAX];
	unsigned n = schema_keys(list, keys);
	char *values[SCHEMA_KEYS_MAX] = { NULL };
	bool bad;

	for (unsigned i = 0; i < n; i++) {
		if (i > 0 && schema_shown_by_keys(list)) {
			if (*at == w->n)
				offer(s, keys[i]->name, "", false);
			if (*at == w->n || strcmp(w->at[(*at)++], keys[i]->name) != 0)
				return false;
		}
		if (*at == w->n) {
			offer_keys(s, list, in->block, values[0]);
			if (!changes_what_is_there(s->command))
				offer_values(s, keys[i]);
			return false;
		}
		values[i] = w->at[(*at)++];
	}
	in->block = in->block ? stmt_find(in->block, list, values, false, &bad) : NULL;
	if (in->block && in->block->many)
		in->block = NULL; /* it has no content */
	in->schema = list;
	in->on_entry = true;
	return true;
}

static void offer_words(struct search *s, const struct place_in *in)
{
	enum edit_command c = s->command;

	offer_statements(s, in->schema, in->block, changes_what_is_there(c));
	if (in->on_entry && (c == EDIT_COMMAND_RENAME || c == EDIT_COMMAND_COPY))
		offer(s, "to", "and the new name", false);
	if (in->on_entry && c == EDIT_COMMAND_INSERT) {
		offer(s, "before", "and which one", false);
		offer(s, "after", "and which one", false);
	}
}

static void search(struct search *s, const struct words *w)
{
	bool bad;
	struct place_in in = { .schema = level_schema(s->e), .block = level_find(s->e, false, &bad) };

	for (unsigned at = 0; at < w->n;) {
		const struct lysc_node *node = path_word(in.schema, w->at[at++]);
		if (!node)
			return;
		if (node->nodetype == LYS_LIST) {
			if (!list_step(s, &in, node, w, &at))
				return;
		} else if (node->nodetype == LYS_CONTAINER) {
			in.block = in.block ? stmt_find(in.block, node, NULL, false, &bad) : NULL;
			in.schema = node;
			in.on_entry = false;
		} else {
			if (schema_is_empty_leaf(node) || (node->nodetype == LYS_LEAF && at < w->n))
				return;
			if (changes_what_is_there(s->command))
				offer_there(s, node, in.block);
			else
				offer_values(s, node);
			return;
		}
	}
	offer_words(s, &in);
}

/* Brackets do not count here. */
static char *without_brackets(const char *words)
{
	char *copy = strdup(words);
	bool quoted = false;

	for (char *at = copy; at && *at; at++) {
		quoted ^= *at == '"';
		if (!quoted && (*at == '[' || *at == ']'))
			*at = ' ';
	}
	return copy;
}

unsigned edit_complete(struct edit *e, enum edit_command command, const char *words,
	const struct edit_completion **ret_completions)
{
	struct search s = { .e = e, .command = command, .begin = "" };
	size_t n = strlen(words);
	char *line = without_brackets(words);
	struct words w;

	for (unsigned i = 0; i < e->completions_n; i++)
		free(e->completion_words[i]);
	e->completions_n = 0;
	*ret_completions = NULL;
	if (!line || words_read(&w, line, NULL)) {
		free(line);
		return 0;
	}
	if (w.n > 0 && n > 0 && line[n - 1] != ' ')
		s.begin = w.at[--w.n];
	search(&s, &w);
	words_free(&w);
	free(line);
	*ret_completions = e->completions;
	return e->completions_n;
}
