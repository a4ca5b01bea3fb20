/*
 * A configuration's text as it is written: statements in their order, with the comments beside them. Unlike the tree of model/tree.h it keeps
 * what is not checked yet, what is written twice and what is inactive, so that a text that was edited is the text that it was but for the edit.
 * Private to the room.
 *
 * Words are decoded (without their quotes). The schema says what a statement is:
 *	container: no words             list: its keys; or `many`: each word is the key of an entry that has no content
 *	leaf: its value, none if empty  leaf-list: values; there may be several statements of one leaf-list
 */
#ifndef EDIT_TREE_H
#define EDIT_TREE_H

#include <stdbool.h>

#include "base/err.h"
#include "model/schema.h"

struct stmt {
	struct stmt *parent, *prev, *next, *first, *last;
	struct stmt *recent; /* in this block, found or made last: the next one is looked for there first */
	const struct lysc_node *schema; /* NULL: the whole text */
	char **words;
	size_t words_n, words_room;
	bool many, inactive;
	bool replaces; /* of a text that is loaded: it takes the place of what is there */
	/* Comments, without indentation: lines before the statement, an empty one for an empty line; behind its first line; at the end of its
	 * block. */
	char *above, *beside, *below;
};

/* NULL: out of memory, here and below. */
struct stmt *stmt_new(const struct lysc_node *schema);
/* With all that it contains; it is in no block. NULL is fine. */
void stmt_free(struct stmt *s);
/* The same again, in no block. */
struct stmt *stmt_copy(const struct stmt *s);
bool stmt_add_word(struct stmt *s, const char *word, size_t n);
void stmt_remove_word(struct stmt *s, size_t i);
/* Takes the place of the word. */
bool stmt_set_word(struct stmt *s, size_t i, const char *word);
/* Into the block of `parent` before `before`; NULL: at its end. */
void stmt_insert(struct stmt *parent, struct stmt *s, struct stmt *before);
void stmt_unlink(struct stmt *s);
/* Where a new statement belongs: behind its like, else where the schema has it among those that stand there. NULL: at the end. */
struct stmt *stmt_place(const struct stmt *parent, const struct lysc_node *schema);

/* A list's entry, or a container; not what is `many`. */
bool stmt_is_block(const struct stmt *s);
bool stmt_has_word(const struct stmt *s, const char *word, size_t *ret_i);
/* Both name the same thing: what they contain is not asked. */
bool stmt_same(const struct stmt *a, const struct stmt *b);
/* The statement in the block that has these words as its keys, or the container; or the first one of a leaf or leaf-list. Of entries that are written
 * together the one that is meant is written alone from now on, if `alone`. NULL: there is none, or *ret_bad: out of memory. */
struct stmt *stmt_find(
	struct stmt *parent, const struct lysc_node *schema, char *const *keys, bool alone, bool *ret_bad);

/* The next one in the order of the text, down and up, within `root`; NULL at the end. */
struct stmt *stmt_walk(const struct stmt *root, struct stmt *s);

/* What a comparison and the form of `set` lines are made of: entries and leaf-lists each for itself, no comments. */
struct stmt *stmt_plain(const struct stmt *s);

#endif
