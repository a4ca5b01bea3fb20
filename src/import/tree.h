/*
 * The statements of a configuration as one tree of words, as Junos has them: `set security zones security-zone trust tcp-rst` is five words deep.
 * ScreenOS's statements are said in Junos's words. Every statement ends at a node, where it is kept what became of it.
 */
#ifndef IMPORT_TREE_H
#define IMPORT_TREE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "import/import.h"
#include "import/limits.h"

/* Memory that is given back as a whole. */
struct pool {
	struct chunk *newest;
};

void *pool_room(
	struct pool *p, size_t n); /* zero; aligned for any object. Without memory the program ends. */
char *pool_text(struct pool *p, const char *at, size_t n);
char *pool_printf(struct pool *p, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

struct node {
	const char *word;
	struct node *parent, *child, *last, *next;
	uint32_t line; /* of the statement that had it first */
	bool stated;   /* a statement ends here */
	bool inactive; /* deactivated there */
	enum import_outcome
		outcome; /* of what ends here; what it says of statements below: settle() of import.c */
	const char *note;
	const char *as; /* its name here */
	unsigned state; /* for who translates it */
};

/* A statement: where it ends. One with a list in brackets is several. */
struct end {
	uint32_t line;
	struct node *node;
	enum import_outcome outcome; /* when all is translated */
	const char *note;
	size_t at;	  /* among all, as they were read */
	const char *said; /* the statement's own words, where they are others; NULL: the node's */
};

struct tree {
	struct pool pool;
	struct node root;
	struct end *ends;
	size_t ends_n, ends_size;
};

/* The node's child of this word, made where there is none. */
struct node *tree_enter(struct tree *t, struct node *at, const char *word, uint32_t line);
/* A statement of n words below `at`; `[` and `]` enclose a list. Returns the last end. */
struct node *tree_state(struct tree *t, struct node *at, const char *const *words, size_t n, uint32_t line);
/* A statement ends at the node. */
void tree_end(struct tree *t, struct node *node, uint32_t line);
/* Words in one text, separated by spaces: for a statement that is said in other words. */
struct node *tree_say(struct tree *t, uint32_t line, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));
void tree_done(struct tree *t);

/* What stands behind it is a secret, or may be. */
bool word_is_secret(const char *word);

struct node *node_child(const struct node *n, const char *word);
/* The node that is reached by these words, the last one NULL; NULL: there is none, or n is. */
struct node *node_at(const struct node *n, ...) __attribute__((sentinel));

/* A statement of an application that a reader could not say: without it the application would be another one. */
#define NOT_UNDERSTOOD "not-understood"

/* Reads Junos, with braces or as set lines. */
enum rc junos_read(struct tree *t, const char *text, size_t n, struct err *e);
enum rc screenos_read(struct tree *t, const char *text, size_t n, struct err *e);

/* A line in words: quoted ones without their quotes, brackets as words of their own. RC_MALFORMED, RC_LIMIT. */
enum rc line_words(
	struct tree *t, const char *at, size_t n, const char **ret_words, size_t *ret_n, struct err *e);

#endif
