/*
 * The compiled schema and the questions that parser, printer, error texts, reference page and the editor ask it. Private
 * to the room, the generator of the reference pages and src/edit. All pointers belong to libyang's context.
 */
#ifndef MODEL_SCHEMA_H
#define MODEL_SCHEMA_H

#include <stdbool.h>
#include <libyang/libyang.h>

#include "base/err.h"
#include "base/nearest.h"

#define SCHEMA_KEYS_MAX 2
#define EXPECTED_MAX	400 /* bytes of a list of what was expected */

enum rc schema_init(struct err *e);
void schema_done(void);
const struct ly_ctx *schema_ctx(void); /* NULL before schema_init() */
const struct lys_module *schema_module(void);

/*
 * The next statement that is allowed inside `parent` (NULL: at the top), choices flattened, keys left out;
 * `last` is the one before, NULL to begin. NULL at the end.
 */
const struct lysc_node *schema_next(const struct lysc_node *parent, const struct lysc_node *last);

/* What a statement of this node begins with: its name, or its first key's for a list shown by keys. */
const char *schema_keyword(const struct lysc_node *node);
const struct lysc_node *schema_child(const struct lysc_node *parent, const char *keyword, size_t n);
/* Whether there is such a statement: "zones zone host-inbound". */
bool schema_has_path(const char *words);

bool schema_shown_by_keys(const struct lysc_node *node);
/* Keys of a list in order; returns their number. */
unsigned schema_keys(const struct lysc_node *node, const struct lysc_node *ret_keys[SCHEMA_KEYS_MAX]);
bool schema_is_empty_leaf(const struct lysc_node *node);
const struct lysc_type *schema_type(const struct lysc_node *node); /* of a leaf or leaf-list, else NULL */

/*
 * The lists whose entries the leaf or leaf-list names: by a leafref, or by pg:refers, where the names of objects are strings for
 * libyang. Returns their number.
 */
#define SCHEMA_REFERS_MAX 2
unsigned schema_refers(const struct lysc_node *leaf, const struct lysc_node *ret_lists[SCHEMA_REFERS_MAX]);

/*
 * What a value of the leaf or leaf-list looks like, "a, b, a number 1..5 (seconds)" or a sentence, appended to
 * text as "x, y, z".
 */
void schema_type_expected(const struct lysc_type *type, char *text, size_t size);
void schema_value_expected(const struct lysc_node *leaf, char *text, size_t size);

/* Appends `word` to a list "a, b"; cut silently when full. */
void expected_add(char *text, size_t size, const char *word, size_t n);

/* The names of its enumerations. */
void nearest_offer_type(struct nearest *n, const struct lysc_type *type);

#endif
