/*
 * Nodes of the tree: their place in the text, their children by name, and how faults name them.
 */
#include "model/tree.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "model/schema.h"

struct place tree_place(const struct lyd_node *node)
{
	while (node && !node->priv)
		node = lyd_parent(node);
	if (!node)
		return (struct place){ 1, 1 };
	return tree_own_place(node);
}

static __attribute__((format(printf, 3, 0))) enum rc fault(
	struct faults *f, struct place at, const char *fmt, va_list args)
{
	char text[ERR_TEXT_MAX];

	vsnprintf(text, sizeof text, fmt, args);
	faults_note(f, at.line, at.column, text);
	return RC_MALFORMED;
}

enum rc tree_fault(struct faults *f, const struct lyd_node *node, const char *fmt, ...)
{
	va_list args;

	if (f->lost && lyd_get_value(node) && lost_holds(f->lost, lyd_get_value(node)))
		return RC_MALFORMED;
	va_start(args, fmt);
	enum rc rc = fault(f, tree_place(node), fmt, args);
	va_end(args);
	return rc;
}

enum rc tree_fault_at(struct faults *f, struct place at, const char *fmt, ...)
{
	va_list args;

	va_start(args, fmt);
	enum rc rc = fault(f, at, fmt, args);
	va_end(args);
	return rc;
}

char *tree_words(char *ret_text, const struct lyd_node *node)
{
	const struct lyd_node *key = lyd_child(node);
	size_t n;

	if (schema_type(node->schema) && !(node->schema->nodetype == LYS_LEAFLIST)) {
		snprintf(ret_text, TREE_WORDS_MAX, "%s", node->schema->name);
		return ret_text;
	}
	if (node->schema->nodetype == LYS_LEAFLIST) {
		snprintf(ret_text, TREE_WORDS_MAX, "%s '%.60s'", node->schema->name, lyd_get_value(node));
		return ret_text;
	}
	if (schema_shown_by_keys(node->schema))
		n = 0;
	else
		n = (size_t)snprintf(ret_text, TREE_WORDS_MAX, "%s", node->schema->name);
	for (; key && (key->schema->flags & LYS_KEY) && n < TREE_WORDS_MAX; key = key->next) {
		if (schema_shown_by_keys(node->schema))
			n += (size_t)snprintf(ret_text + n, TREE_WORDS_MAX - n, "%s%s '%.60s'", n ? " " : "",
				key->schema->name, lyd_get_value(key));
		else
			n += (size_t)snprintf(
				ret_text + n, TREE_WORDS_MAX - n, " '%.60s'", lyd_get_value(key));
	}
	return ret_text;
}

/* Marks of one tree onto its copy. */
static void marks_copy(struct lyd_node *to, const struct lyd_node *from)
{
	for (; to && from; to = to->next, from = from->next) {
		to->priv = from->priv;
		marks_copy(lyd_child(to), lyd_child(from));
	}
}

static void drop_among(struct model *m, struct lyd_node *node)
{
	struct lyd_node *next;

	for (; node; node = next) {
		next = node->next;
		if (!tree_is_inactive(node)) {
			drop_among(m, lyd_child(node));
			continue;
		}
		if (m->tree == node)
			m->tree = next;
		lost_off(&m->lost, node);
		lyd_free_tree(node);
	}
}

/* Entries of lists within it are no part of it. */
static bool has_mark(const struct lyd_node *node, uintptr_t marks)
{
	if (tree_has(node, marks))
		return true;
	for (const struct lyd_node *child = lyd_child(node); child; child = child->next)
		if (child->schema->nodetype != LYS_LIST && has_mark(child, marks))
			return true;
	return false;
}

/* libyang takes an empty group for one that it has made itself, and gives it no defaults. */
static bool is_empty_group(const struct lyd_node *node)
{
	return node->schema->nodetype == LYS_CONTAINER && !(node->schema->flags & LYS_PRESENCE) &&
	       !lyd_child(node);
}

static void prune_among(struct model *m, struct lyd_node *node)
{
	struct lyd_node *next;

	for (; node; node = next) {
		bool list = node->schema->nodetype == LYS_LIST, top = !lyd_parent(node);
		next = node->next;
		if (!(list && has_mark(node, TREE_SPOILED | TREE_DROPS)) &&
			!(top && has_mark(node, TREE_DROPS))) {
			prune_among(m, lyd_child(node));
			if (!is_empty_group(node))
				continue;
		}
		if (m->tree == node)
			m->tree = next;
		lost_gone(&m->lost, node);
		lyd_free_tree(node);
	}
}

void tree_prune(struct model *m)
{
	prune_among(m, m->tree);
}

enum rc tree_drop_inactive(struct model *m, bool keep, struct err *e)
{
	if (!m->has_inactive)
		return RC_OK;
	if (keep && lyd_dup_siblings(m->tree, NULL, LYD_DUP_RECURSIVE, &m->written) != LY_SUCCESS)
		return err_add(e, RC_INTERNAL, "libyang: %s", ly_errmsg(schema_ctx()));
	marks_copy(m->written, m->tree);
	drop_among(m, m->tree);
	return RC_OK;
}

struct lyd_node *tree_child(const struct model *m, const struct lyd_node *parent, const char *name)
{
	struct lyd_node *node = parent ? lyd_child(parent) : m->tree;

	while (node && strcmp(node->schema->name, name) != 0)
		node = node->next;
	return node;
}

const char *tree_value(const struct lyd_node *parent, const char *name)
{
	const struct lyd_node *leaf = parent ? tree_child(NULL, parent, name) : NULL;
	return leaf ? lyd_get_value(leaf) : NULL;
}

struct lyd_node *tree_next(const struct lyd_node *node)
{
	return node->next && node->next->schema == node->schema ? node->next : NULL;
}

void tree_hex(const struct lyd_node *leaf, uint8_t *to, size_t n)
{
	const char *hex = lyd_get_value(leaf);

	for (size_t i = 0; i < n; i++) {
		const char pair[3] = { hex[2 * i], hex[2 * i + 1] };
		to[i] = (uint8_t)strtoul(pair, NULL, 16);
	}
}
