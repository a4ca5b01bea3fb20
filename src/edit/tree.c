/* Statements and their words: made, found, moved. Pure. */
#include "edit/tree.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

struct stmt *stmt_new(const struct lysc_node *schema)
{
	struct stmt *s = calloc(1, sizeof *s);

	if (s)
		s->schema = schema;
	return s;
}

void stmt_free(struct stmt *s)
{
	if (!s)
		return;
	assert(!s->parent);
	while (s->first) {
		struct stmt *child = s->first;
		stmt_unlink(child);
		stmt_free(child);
	}
	for (size_t i = 0; i < s->words_n; i++)
		free(s->words[i]);
	free(s->words);
	free(s->above);
	free(s->beside);
	free(s->below);
	free(s);
}

bool stmt_add_word(struct stmt *s, const char *word, size_t n)
{
	char *copy;

	if (s->words_n == s->words_room) {
		size_t room = s->words_room * 2 + 1;
		char **words = realloc(s->words, room * sizeof *words);
		if (!words)
			return false;
		s->words = words;
		s->words_room = room;
	}
	if (!(copy = strndup(word, n)))
		return false;
	s->words[s->words_n++] = copy;
	return true;
}

void stmt_remove_word(struct stmt *s, size_t i)
{
	assert(i < s->words_n);
	free(s->words[i]);
	memmove(s->words + i, s->words + i + 1, (s->words_n - i - 1) * sizeof *s->words);
	s->words_n--;
}

bool stmt_set_word(struct stmt *s, size_t i, const char *word)
{
	char *copy = strdup(word);

	assert(i < s->words_n);
	if (!copy)
		return false;
	free(s->words[i]);
	s->words[i] = copy;
	return true;
}

void stmt_insert(struct stmt *parent, struct stmt *s, struct stmt *before)
{
	assert(!s->parent && (!before || before->parent == parent));
	s->parent = parent;
	s->next = before;
	s->prev = before ? before->prev : parent->last;
	*(s->prev ? &s->prev->next : &parent->first) = s;
	*(s->next ? &s->next->prev : &parent->last) = s;
}

void stmt_unlink(struct stmt *s)
{
	if (s->parent->recent == s)
		s->parent->recent = NULL;
	*(s->prev ? &s->prev->next : &s->parent->first) = s->next;
	*(s->next ? &s->next->prev : &s->parent->last) = s->prev;
	s->parent = s->prev = s->next = NULL;
}

static bool text_copy(char **to, const char *from)
{
	*to = from ? strdup(from) : NULL;
	return !from || *to;
}

/* The statement without what it contains. */
static struct stmt *copy_alone(const struct stmt *s, bool comments)
{
	struct stmt *copy = stmt_new(s->schema);
	bool good = copy != NULL;

	if (!copy)
		return NULL;
	copy->many = s->many;
	copy->inactive = s->inactive;
	copy->replaces = s->replaces;
	for (size_t i = 0; i < s->words_n && good; i++)
		good = stmt_add_word(copy, s->words[i], strlen(s->words[i]));
	if (good && comments)
		good = text_copy(&copy->above, s->above) && text_copy(&copy->beside, s->beside) &&
		       text_copy(&copy->below, s->below);
	if (good)
		return copy;
	stmt_free(copy);
	return NULL;
}

struct stmt *stmt_copy(const struct stmt *s)
{
	struct stmt *copy = copy_alone(s, true);

	for (const struct stmt *child = s->first; child && copy; child = child->next) {
		struct stmt *c = stmt_copy(child);
		if (!c) {
			stmt_free(copy);
			return NULL;
		}
		stmt_insert(copy, c, NULL);
	}
	return copy;
}

bool stmt_is_block(const struct stmt *s)
{
	return !s->schema || (!s->many && s->schema->nodetype & (LYS_CONTAINER | LYS_LIST));
}

bool stmt_has_word(const struct stmt *s, const char *word, size_t *ret_i)
{
	for (size_t i = 0; i < s->words_n; i++) {
		if (strcmp(s->words[i], word) == 0) {
			*ret_i = i;
			return true;
		}
	}
	return false;
}

static bool keys_are(const struct stmt *s, char *const *keys)
{
	for (size_t i = 0; i < s->words_n; i++) {
		if (strcmp(s->words[i], keys[i]) != 0)
			return false;
	}
	return true;
}

bool stmt_same(const struct stmt *a, const struct stmt *b)
{
	if (a->schema != b->schema)
		return false;
	if (a->schema->nodetype != LYS_LIST)
		return true;
	return a->words_n == b->words_n && keys_are(a, b->words);
}

/* Out of several entries: the one with this key, right behind the others. */
static struct stmt *entry_alone(struct stmt *s, size_t i)
{
	struct stmt *entry = stmt_new(s->schema);

	if (!entry || !stmt_add_word(entry, s->words[i], strlen(s->words[i]))) {
		stmt_free(entry);
		return NULL;
	}
	entry->inactive = s->inactive;
	stmt_insert(s->parent, entry, s->next);
	stmt_remove_word(s, i);
	if (s->words_n == 1)
		s->many = false;
	return entry;
}

struct stmt *stmt_find(
	struct stmt *parent, const struct lysc_node *schema, char *const *keys, bool alone, bool *ret_bad)
{
	size_t i;

	struct stmt *recent = parent->recent;

	*ret_bad = false;
	if (recent && schema->nodetype == LYS_LIST && recent->schema == schema && !recent->many &&
		keys_are(recent, keys))
		return recent;
	for (struct stmt *s = parent->first; s; s = s->next) {
		if (s->schema != schema)
			continue;
		if (schema->nodetype != LYS_LIST || (!s->many && keys_are(s, keys))) {
			parent->recent = s;
			return s;
		}
		if (!s->many || !stmt_has_word(s, keys[0], &i))
			continue;
		struct stmt *found = alone ? entry_alone(s, i) : s;
		*ret_bad = !found;
		return found;
	}
	return NULL;
}

/* Its position among the schema's statements of that block. */
static unsigned schema_order(const struct lysc_node *parent, const struct lysc_node *node)
{
	const struct lysc_node *at = NULL;
	unsigned n = 0;

	while ((at = schema_next(parent, at)) && at != node)
		n++;
	return n;
}

struct stmt *stmt_place(const struct stmt *parent, const struct lysc_node *schema)
{
	unsigned order = schema_order(parent->schema, schema);

	for (struct stmt *s = parent->last; s; s = s->prev) {
		if (s->schema == schema)
			return s->next;
	}
	for (struct stmt *s = parent->first; s; s = s->next) {
		if (schema_order(parent->schema, s->schema) > order)
			return s;
	}
	return NULL;
}

struct stmt *stmt_walk(const struct stmt *root, struct stmt *s)
{
	if (s->first)
		return s->first;
	while (s != root && !s->next)
		s = s->parent;
	return s == root ? NULL : s->next;
}

/* Each word becomes an entry, or is added to the statement of its leaf-list that is there. */
static bool plain_words(struct stmt *into, const struct stmt *s)
{
	struct stmt *list = NULL;
	bool leaf_list = s->schema->nodetype == LYS_LEAFLIST;

	for (struct stmt *at = into->last; at && leaf_list && !list; at = at->prev) {
		if (at->schema == s->schema && at->inactive == s->inactive)
			list = at;
	}
	for (size_t i = 0; i < s->words_n; i++) {
		if (!list || !leaf_list) {
			if (!(list = stmt_new(s->schema)))
				return false;
			list->inactive = s->inactive;
			list->replaces = s->replaces;
			stmt_insert(into, list, NULL);
		}
		if (!stmt_add_word(list, s->words[i], strlen(s->words[i])))
			return false;
	}
	return true;
}

struct stmt *stmt_plain(const struct stmt *s)
{
	struct stmt *plain = copy_alone(s, false);
	bool good = plain != NULL;

	for (const struct stmt *child = s->first; child && good; child = child->next) {
		if (child->many || child->schema->nodetype == LYS_LEAFLIST) {
			good = plain_words(plain, child);
			continue;
		}
		struct stmt *c = stmt_plain(child);
		if ((good = c != NULL))
			stmt_insert(plain, c, NULL);
	}
	if (good)
		return plain;
	stmt_free(plain);
	return NULL;
}
