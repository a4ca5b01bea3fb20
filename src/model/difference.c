#include "model/difference.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/bytes.h"
#include "model/schema.h"
#include "model/tree.h"

#define KINDS_SLOTS 4096 /* a power of two, above all statements of the schema */

struct comparison {
	const struct model *before, *after;
	difference_fn *fn;
	void *context;
	struct err *e;
	bool ended;
	unsigned kinds;
	const struct lysc_node *told[KINDS_SLOTS]; /* by hash: each is told once */
};

/* Children without keys, of one block, sorted; `order` is the place in the text. */
struct member {
	const struct lyd_node *node;
	size_t order;
};

/* False: this kind of statement was told before. */
static bool is_new_kind(struct comparison *c, const struct lysc_node *schema)
{
	size_t i = ((uintptr_t)schema / 16 * 0x9e3779b1u) % KINDS_SLOTS;

	for (; c->told[i]; i = (i + 1) % KINDS_SLOTS)
		if (c->told[i] == schema)
			return false;
	assert(c->kinds < KINDS_SLOTS - 1); /* the schema has a few hundred */
	c->kinds++;
	c->told[i] = schema;
	return true;
}

static size_t schema_words(char *to, size_t size, const struct lysc_node *schema)
{
	size_t n = 0;

	while (schema && schema->nodetype & (LYS_CHOICE | LYS_CASE))
		schema = schema->parent;
	if (!schema)
		return 0;
	n = schema_words(to, size, schema->parent);
	if (n < size)
		n += (size_t)snprintf(to + n, size - n, "%s%s", n ? " " : "", schema_keyword(schema));
	return n;
}

static size_t node_words(char *to, size_t size, const struct lyd_node *node)
{
	char words[TREE_WORDS_MAX];
	size_t n;

	if (!node)
		return 0;
	n = node_words(to, size, lyd_parent(node));
	if (n < size)
		n += (size_t)snprintf(to + n, size - n, "%s%s", n ? " " : "", tree_words(words, node));
	return n;
}

static void tell_at(struct comparison *c, const struct lysc_node *schema, const struct lyd_node *node)
{
	char path[DIFFERENCE_PATH_MAX], where[DIFFERENCE_PATH_MAX];

	if (c->ended || !is_new_kind(c, schema))
		return;
	schema_words(path, sizeof path, schema);
	node_words(where, sizeof where, node);
	c->ended = !c->fn(c->context, path, where);
}

static bool is_key(const struct lyd_node *node)
{
	return node->schema->nodetype == LYS_LEAF && node->schema->flags & LYS_KEY;
}

/* It is there in one of the texts only. */
static void tell_all(struct comparison *c, const struct lyd_node *node)
{
	tell_at(c, node->schema, node);
	for (const struct lyd_node *child = lyd_child(node); child && !c->ended; child = child->next)
		if (!is_key(child))
			tell_all(c, child);
}

static int by_keys(const struct lyd_node *a, const struct lyd_node *b)
{
	const struct lyd_node *x = lyd_child(a), *y = lyd_child(b);
	int way = 0;

	for (; !way && x && y && is_key(x) && is_key(y); x = x->next, y = y->next)
		way = strcmp(lyd_get_value(x), lyd_get_value(y));
	return way;
}

/* Equal: the same statement, which may have another content. */
static int by_name(const struct lyd_node *a, const struct lyd_node *b)
{
	if (a->schema != b->schema)
		return strcmp(a->schema->name, b->schema->name);
	if (a->schema->nodetype == LYS_LIST)
		return by_keys(a, b);
	return a->schema->nodetype == LYS_LEAFLIST ? strcmp(lyd_get_value(a), lyd_get_value(b)) : 0;
}

static int member_order(const void *a, const void *b)
{
	const struct member *x = a, *y = b;
	int way = by_name(x->node, y->node);

	return way ? way : (x->order > y->order) - (x->order < y->order);
}

/* NULL: out of memory. */
static struct member *members_of(const struct lyd_node *first, size_t *ret_n)
{
	struct member *list;
	size_t n = 0;

	for (const struct lyd_node *node = first; node; node = node->next)
		n += !is_key(node);
	list = malloc((n + 1) * sizeof *list);
	*ret_n = 0;
	for (const struct lyd_node *node = first; list && node; node = node->next)
		if (!is_key(node))
			list[*ret_n] = (struct member){ node, *ret_n }, ++*ret_n;
	if (list)
		qsort(list, *ret_n, sizeof *list, member_order);
	return list;
}

/* Values that stand beside the tree (model/many.h). */
static bool many_differ(
	struct comparison *c, const struct lyd_node *a, const struct lyd_node *b, enum many_kind kind)
{
	const struct many_value *x = NULL, *y = NULL;

	do {
		x = many_next(&c->before->many, tree_own_place(a), kind, x);
		y = many_next(&c->after->many, tree_own_place(b), kind, y);
		if (!x != !y ||
			(x && strcmp(many_text(&c->before->many, x), many_text(&c->after->many, y)) != 0))
			return true;
	} while (x);
	return false;
}

static void compare_many(struct comparison *c, const struct lyd_node *a, const struct lyd_node *b)
{
	const struct lysc_node *child = NULL;

	if (c->before->many.values.n + c->after->many.values.n == 0)
		return;
	while ((child = schema_next(a->schema, child)) && !c->ended)
		if (child->nodetype == LYS_LEAFLIST && many_kind(child) != MANY_NONE &&
			many_differ(c, a, b, many_kind(child)))
			tell_at(c, child, b);
}

static enum rc compare_blocks(struct comparison *c, const struct lyd_node *a, const struct lyd_node *b);

/* The same statement in both. */
static enum rc compare_node(struct comparison *c, const struct lyd_node *a, const struct lyd_node *b)
{
	const char *x = lyd_get_value(a), *y = lyd_get_value(b);

	if (tree_is_inactive(a) != tree_is_inactive(b)) {
		tell_all(c, a);
		tell_all(c, b);
	}
	if (x && y && strcmp(x, y) != 0)
		tell_at(c, b->schema, b);
	if (a->schema->nodetype == LYS_LIST)
		compare_many(c, a, b);
	return compare_blocks(c, lyd_child(a), lyd_child(b));
}

/* Where the order counts: of what both have. pair[i].order is the place before, and they stand as they do after. */
static int after_order(const void *a, const void *b)
{
	const struct member *x = a, *y = b;

	return (x->order > y->order) - (x->order < y->order);
}

struct pair {
	struct member after; /* first, for after_order() */
	size_t before;
};

static void compare_order(struct comparison *c, struct pair *pairs, size_t n)
{
	qsort(pairs, n, sizeof *pairs, after_order);
	for (size_t i = 0; i < n; i++) {
		const struct lysc_node *schema = pairs[i].after.node->schema;
		size_t k = i + 1;
		while (k < n && pairs[k].after.node->schema != schema)
			k++; /* of another list between them */
		if (k < n && lysc_is_userordered(schema) && pairs[k].before < pairs[i].before)
			tell_all(c, pairs[k].after.node);
	}
}

static enum rc compare_members(struct comparison *c, const struct member *a, size_t a_n,
	const struct member *b, size_t b_n, struct pair *pairs)
{
	size_t i = 0, k = 0, n = 0;
	enum rc rc = RC_OK;

	while (!rc && !c->ended && (i < a_n || k < b_n)) {
		int way = i == a_n ? 1 : k == b_n ? -1 : by_name(a[i].node, b[k].node);
		if (way < 0) {
			tell_all(c, a[i++].node);
		} else if (way > 0) {
			tell_all(c, b[k++].node);
		} else {
			pairs[n++] = (struct pair){ b[k], a[i].order };
			rc = compare_node(c, a[i++].node, b[k++].node);
		}
	}
	if (!rc && !c->ended)
		compare_order(c, pairs, n);
	return rc;
}

static enum rc compare_blocks(struct comparison *c, const struct lyd_node *a, const struct lyd_node *b)
{
	size_t a_n = 0, b_n = 0;
	struct member *x, *y;
	struct pair *pairs;
	enum rc rc;

	if (c->ended || (!a && !b))
		return RC_OK;
	x = members_of(a, &a_n);
	y = members_of(b, &b_n);
	pairs = malloc((MIN_OF(a_n, b_n) + 1) * sizeof *pairs);
	rc = x && y && pairs ? compare_members(c, x, a_n, y, b_n, pairs)
			     : err_add(c->e, RC_INTERNAL, "out of memory; while comparing configurations");
	free(pairs);
	free(y);
	free(x);
	return rc;
}

/* As it is written; model_free() frees what there is of it. */
static enum rc read_written(struct model **ret, const char *text, size_t n, struct err *e)
{
	struct model *m = calloc(1, sizeof *m);
	struct faults f = { 0 };
	bool lost = false;
	enum rc rc = m ? schema_init(e) : err_add(e, RC_INTERNAL, "out of memory");

	*ret = m;
	if (rc)
		return rc;
	snprintf(m->name, sizeof m->name, "configuration");
	rc = parse_text(text, n, m, &f, &lost, e);
	faults_to_err(&f, m->name, e);
	return rc;
}

enum rc model_difference(const char *before, size_t before_n, const char *after, size_t after_n,
	difference_fn *fn, void *context, struct err *e)
{
	struct model *a = NULL, *b = NULL;
	struct comparison *c = calloc(1, sizeof *c);
	enum rc rc = c ? read_written(&a, before, before_n, e) : err_add(e, RC_INTERNAL, "out of memory");

	if (!rc)
		rc = read_written(&b, after, after_n, e);
	if (!rc) {
		*c = (struct comparison){ .before = a, .after = b, .fn = fn, .context = context, .e = e };
		rc = compare_blocks(c, a->tree, b->tree);
	}
	model_free(b);
	model_free(a);
	free(c);
	return rc;
}
