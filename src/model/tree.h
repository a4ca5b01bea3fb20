/*
 * The checked tree of one configuration: libyang's data tree whose nodes know their place in the text (in the
 * node's private pointer: line in the upper half, column in the lower; and whether it was written behind
 * `inactive:`). Private to the room.
 */
#ifndef MODEL_TREE_H
#define MODEL_TREE_H

#include <libyang/libyang.h>

#include "model/lexer.h"
#include "model/lost.h"
#include "model/many.h"
#include "model/model.h"

#define MODEL_NAME_MAX 256

struct model {
	struct lyd_node *tree;
	struct lyd_node
		*written; /* with its inactive statements, where it has any and they are asked for; or NULL */
	struct many many;
	bool has_inactive;	   /* a node was written behind `inactive:` */
	char name[MODEL_NAME_MAX]; /* of the text, for errors */
	struct lost lost;
};

_Static_assert(sizeof(void *) == 8, "places are packed into a pointer");

/* No text has so many columns: CONFIG_TEXT_MAX. */
#define TREE_INACTIVE ((uintptr_t)1 << 31)
#define TREE_SPOILED                                                                                         \
	((uintptr_t)1 << 30) /* a statement of it was not understood: what it lacks may have been there */
#define TREE_DROPS                                                                                           \
	((uintptr_t)1 << 29) /* it lacks something, or has what does not go together: it cannot be compiled */
#define TREE_MARKS (TREE_INACTIVE | TREE_SPOILED | TREE_DROPS)

static inline void tree_set_place(struct lyd_node *node, struct place p)
{
	node->priv = (void *)((uintptr_t)p.line << 32 | p.column);
}

static inline struct place tree_own_place(const struct lyd_node *node)
{
	uintptr_t at = (uintptr_t)node->priv & ~TREE_MARKS;

	return (struct place){ (uint32_t)(at >> 32), (uint32_t)at };
}

static inline void tree_mark(struct lyd_node *node, uintptr_t mark)
{
	node->priv = (void *)((uintptr_t)node->priv | mark);
}

static inline bool tree_has(const struct lyd_node *node, uintptr_t marks)
{
	return (uintptr_t)node->priv & marks;
}

static inline bool tree_is_inactive(const struct lyd_node *node)
{
	return tree_has(node, TREE_INACTIVE);
}

/* Takes the inactive statements out of the tree: what is checked and compiled has none. keep: m->written gets
 * them all. RC_INTERNAL when out of memory. */
enum rc tree_drop_inactive(struct model *m, bool keep, struct err *e);

/* Of the node, or of the nearest ancestor that is in the text (defaults are not); 1:1 for none. */
struct place tree_place(const struct lyd_node *node);

/*
 * Takes the entries of lists out of the tree, and groups at the top, that cannot be compiled, so that the rest can be. Their names are
 * noted as lost.
 */
void tree_prune(struct model *m);

/* Notes a fault at the node's place, unless its value is among lost names. RC_MALFORMED. */
enum rc tree_fault(struct faults *f, const struct lyd_node *node, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));
enum rc tree_fault_at(struct faults *f, struct place at, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));

/* The node as the text writes it: "rule 'web'", "from 'trust' to 'vpn'", "then". ret_text holds
 * TREE_WORDS_MAX. */
#define TREE_WORDS_MAX 200
char *tree_words(char *ret_text, const struct lyd_node *node);

/* The child of that name, or NULL; parent NULL: at the top. */
struct lyd_node *tree_child(const struct model *m, const struct lyd_node *parent, const char *name);
/* Value of a leaf child, or NULL when it is not given (defaults are). */
const char *tree_value(const struct lyd_node *parent, const char *name);
/* The octets that the leaf's value has as hexadecimal digits, 2 * n of them, as the schema demands. */
void tree_hex(const struct lyd_node *leaf, uint8_t *to, size_t n);
/* Children of that name in order: first one, then next. */
struct lyd_node *tree_next(const struct lyd_node *node);

/* What is missing, and what does not go together (shape.c). */
void tree_check_shape(struct model *m, struct faults *f);

/*
 * Shape, references, libyang's checks over the whole tree; faults at the place of the text. Adds defaults. Where there are
 * faults, also before it, it goes on to what the compiler says of the parts that are whole (validate.c).
 */
enum rc tree_validate(struct model *m, struct faults *f, struct err *e);

/*
 * Statements of the text into m->tree, not validated; f: what is wrong with them (parse.c). The schema stands. RC_MALFORMED: the tree has
 * what was understood, unless *ret_lost: there is no telling where what follows belongs.
 */
enum rc parse_text(
	const char *text, size_t n, struct model *m, struct faults *f, bool *ret_lost, struct err *e);

#endif
