/*
 * Data tree to text form: the mirror of parse.c. Walks the data, which libyang keeps in schema order; what
 * was not given (defaults) is left out. Parsing what comes out and printing again gives the same text.
 */
#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "model/schema.h"
#include "model/tree.h"

struct printer {
	const struct many *many;
	char *text;
	size_t n, size;
	bool bad; /* memory was short */
};

static void put(struct printer *p, const char *bytes, size_t n)
{
	if (p->bad)
		return;
	if (p->size - p->n <= n) {
		size_t size = (p->size + n) * 2 + 256;
		char *text = realloc(p->text, size);
		if (!text) {
			p->bad = true;
			return;
		}
		p->text = text;
		p->size = size;
	}
	assert(p->size - p->n > n);
	memcpy(p->text + p->n, bytes, n);
	p->n += n;
	p->text[p->n] = '\0';
}

static void put_text(struct printer *p, const char *text)
{
	put(p, text, strlen(text));
}

static void put_value(struct printer *p, const char *value)
{
	if (word_is_plain(value, strlen(value))) {
		put_text(p, value);
		return;
	}
	put(p, "\"", 1);
	for (; *value; value++) {
		if (*value == '"' || *value == '\\')
			put(p, "\\", 1);
		put(p, value, 1);
	}
	put(p, "\"", 1);
}

static void put_indent(struct printer *p, unsigned depth)
{
	while (depth-- > 0)
		put(p, "    ", 4);
}

static bool is_shown(const struct lyd_node *node)
{
	return !(node->flags & LYD_DEFAULT) && !(node->schema->flags & LYS_KEY);
}

/* The active values of many, where the node is the first of them. */
static void put_many(struct printer *p, const struct lyd_node *node, enum many_kind kind)
{
	const struct place in = tree_place(lyd_parent(node));
	const struct many_value *v = many_next(p->many, in, kind, NULL);
	bool several = many_next(p->many, in, kind, v);

	put_text(p, node->schema->name);
	put_text(p, several ? " [ " : " ");
	for (const struct many_value *next; v; v = next) {
		put_value(p, many_text(p->many, v));
		if ((next = many_next(p->many, in, kind, v)))
			put(p, " ", 1);
	}
	put_text(p, several ? " ];\n" : ";\n");
}

/* All values of a leaf-list stand together, but those that are inactive from the others: returns the last of them. */
static const struct lyd_node *put_leaf_list(struct printer *p, const struct lyd_node *node)
{
	enum many_kind kind = many_kind(node->schema);
	const struct lyd_node *last = node;
	bool several;

	if (kind != MANY_NONE && !tree_is_inactive(node)) {
		put_many(p, node, kind);
		return node;
	}
	while (last->next && last->next->schema == node->schema &&
		tree_is_inactive(last->next) == tree_is_inactive(node))
		last = last->next;
	several = last != node;
	put_text(p, node->schema->name);
	put_text(p, several ? " [ " : " ");
	for (;; node = node->next) {
		put_value(p, lyd_get_value(node));
		if (node == last)
			break;
		put(p, " ", 1);
	}
	put_text(p, several ? " ];\n" : ";\n");
	return last;
}

static void put_nodes(struct printer *p, const struct lyd_node *node, unsigned depth);

static void put_list_head(struct printer *p, const struct lyd_node *node)
{
	const struct lyd_node *key;
	bool by_keys = schema_shown_by_keys(node->schema), first = true;

	if (!by_keys)
		put_text(p, node->schema->name);
	for (key = lyd_child(node); key && (key->schema->flags & LYS_KEY); key = key->next, first = false) {
		if (by_keys) {
			put_text(p, first ? "" : " ");
			put_text(p, key->schema->name);
		}
		put(p, " ", 1);
		put_value(p, lyd_get_value(key));
	}
}

static bool has_shown_child(const struct lyd_node *node)
{
	const struct lyd_node *child = lyd_child(node);

	while (child && !is_shown(child))
		child = child->next;
	return child != NULL;
}

static void put_inner(struct printer *p, const struct lyd_node *node, unsigned depth)
{
	if (node->schema->nodetype == LYS_LIST)
		put_list_head(p, node);
	else
		put_text(p, node->schema->name);
	if (!has_shown_child(node)) {
		put_text(p, ";\n");
		return;
	}
	put_text(p, " {\n");
	put_nodes(p, lyd_child(node), depth + 1);
	put_indent(p, depth);
	put_text(p, "}\n");
}

static void put_nodes(struct printer *p, const struct lyd_node *node, unsigned depth)
{
	for (; node; node = node->next) {
		if (!is_shown(node))
			continue;
		put_indent(p, depth);
		if (tree_is_inactive(node))
			put_text(p, "inactive: ");
		if (node->schema->nodetype & (LYS_CONTAINER | LYS_LIST)) {
			put_inner(p, node, depth);
		} else if (node->schema->nodetype == LYS_LEAFLIST) {
			node = put_leaf_list(p, node);
		} else {
			put_text(p, node->schema->name);
			if (!schema_is_empty_leaf(node->schema)) {
				put(p, " ", 1);
				put_value(p, lyd_get_value(node));
			}
			put_text(p, ";\n");
		}
	}
}

char *model_print(const struct model *m, size_t *ret_n)
{
	struct printer p = { .many = &m->many };

	put(&p, "", 0);
	put_nodes(&p, m->written ? m->written : m->tree, 0);
	if (p.bad) {
		free(p.text);
		return NULL;
	}
	*ret_n = p.n;
	return p.text;
}
