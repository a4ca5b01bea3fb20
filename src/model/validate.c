/*
 * A parsed tree is checked as a whole: its shape (shape.c), references, then libyang's validation, whose faults are
 * told at their place in the text.
 */
#include "base/nearest.h"
#include "model/compile.h"
#include "model/schema.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* The path to the data that a fault is about, to be freed. NULL when it is about the schema only. */
static char *fault_path(const struct ly_err_item *fault)
{
#ifdef YANG_ERROR_HAS_DATA_PATH
	return fault->data_path ? strdup(fault->data_path) : NULL;
#else /* libyang 2: "Data location \"PATH\"..." */
	const char *first = fault->path ? strchr(fault->path, '"') : NULL;
	const char *last = first ? strrchr(first, '"') : NULL;

	if (!first || last == first || strncmp(fault->path, "Data", 4) != 0)
		return NULL;
	return strndup(first + 1, (size_t)(last - first - 1));
#endif
}

/* The node that libyang's last fault is about, or NULL. */
static struct lyd_node *faulty_node(const struct model *m, const struct ly_err_item *fault)
{
	struct lyd_node *node = NULL;
	char *path = fault_path(fault);

	if (path)
		lyd_find_path(m->tree, path, 0, &node);
	free(path);
	return node;
}

/* The type by which the node's value names something; NULL: it does not. In a union a word of its enumeration is none. */
static const struct lysc_type *reference_type(const struct lyd_node *node)
{
	const struct lysc_type *type = schema_type(node->schema), *found = NULL;
	LY_ARRAY_COUNT_TYPE i, k;

	if (!type || type->basetype == LY_TYPE_LEAFREF)
		return type;
	if (type->basetype != LY_TYPE_UNION)
		return NULL;
	const struct lysc_type_union *members = (const struct lysc_type_union *)type;
	LY_ARRAY_FOR(members->types, i)
	{
		if (members->types[i]->basetype == LY_TYPE_LEAFREF)
			found = members->types[i];
		if (members->types[i]->basetype != LY_TYPE_ENUM)
			continue;
		const struct lysc_type_enum *words = (const struct lysc_type_enum *)members->types[i];
		LY_ARRAY_FOR(words->enums, k)
		if (strcmp(words->enums[k].name, lyd_get_value(node)) == 0)
			return NULL;
	}
	return found;
}

/* A leafref's path as libyang's data functions want it: the module's name in place of the prefix. */
static void target_path(char *ret_path, size_t size, const struct lyd_node *node)
{
	const struct lysc_type *type = reference_type(node);
	const char *at = type ? lyxp_get_expr(((const struct lysc_type_leafref *)type)->path) : NULL;
	size_t n = 0;

	ret_path[0] = '\0';
	while (at && (at = strstr(at, "/pg:")) && n < size) {
		size_t step = strcspn(at + 4, "/");
		n += (size_t)snprintf(ret_path + n, size - n, "/plaingate:%.*s", (int)step, at + 4);
		at += 4 + step;
	}
}

/* ".../plaingate:zone/plaingate:name" has the kind "zone". */
static void target_kind(char ret_kind[64], const char *path)
{
	const char *last = strrchr(path, '/'), *word = last;

	while (word > path && word[-1] != ':')
		word--;
	snprintf(ret_kind, 64, "%.*s", last ? (int)(last - word) : 0, last ? word : "");
}

/* "found 'vnp', expected the name of a zone that exists; did you mean 'vpn'?" */
static enum rc fault_reference(const struct model *m, const struct lyd_node *node, struct faults *f)
{
	const char *value = lyd_get_value(node);
	struct nearest near = nearest_to(value, strlen(value));
	char expected[EXPECTED_MAX] = "", names[EXPECTED_MAX] = "", hint[160] = "";
	char path[256], kind[64];
	struct ly_set *set = NULL;
	char off[LOST_HINT_MAX] = "";

	nearest_offer_type(&near, schema_type(node->schema)); /* a word in its place */
	target_path(path, sizeof path, node);
	target_kind(kind, path);
	lost_hint(off, &m->lost, kind, value);
	if (path[0] && lyd_find_xpath(m->tree, path, &set) == LY_SUCCESS) {
		for (uint32_t i = 0; i < set->count; i++) {
			const char *candidate = lyd_get_value(set->dnodes[i]);
			nearest_offer(&near, candidate, strlen(candidate));
		}
	}
	if (!off[0])
		nearest_hint(hint, &near);
	for (uint32_t i = 0; set && !near.best && !off[0] && i < set->count; i++)
		expected_add(names, sizeof names, lyd_get_value(set->dnodes[i]),
			strlen(lyd_get_value(set->dnodes[i])));
	if (names[0])
		snprintf(hint, sizeof hint, " (%.150s)", names);
	ly_set_free(set, NULL);
	schema_type_expected(reference_type(node), expected, sizeof expected);
	return tree_fault(f, node, "found '%.60s', expected %s that exists%s%s", value, expected, hint, off);
}

static enum rc fault_too_many(const struct lyd_node *node, struct faults *f)
{
	uint32_t max = node->schema->nodetype == LYS_LIST
			       ? ((const struct lysc_node_list *)node->schema)->max
			       : ((const struct lysc_node_leaflist *)node->schema)->max;
	return tree_fault(
		f, node, "more than %u times '%s': at most %u are allowed", max, node->schema->name, max);
}

static bool is_reference(const struct lyd_node *node)
{
	return reference_type(node) != NULL;
}

/* The one that it names: ".../zone/name" with a value is ".../zone[name='value']". */
static bool reference_is_good(const struct model *m, const struct lyd_node *node)
{
	char path[256 + CONFIG_VALUE_MAX];
	struct ly_set *set = NULL;
	const char *last;
	bool good;
	size_t n;

	target_path(path, 256, node);
	last = strrchr(path, '/');
	assert(last); /* every leafref of our module has an absolute path */
	n = (size_t)(last - path);
	snprintf(path + n, sizeof path - n, "[plaingate:name='%s']", lyd_get_value(node));
	good = lyd_find_xpath(m->tree, path, &set) == LY_SUCCESS && set->count > 0;
	ly_set_free(set, NULL);
	return good;
}

/* libyang stops at the first one. */
static void references(const struct model *m, struct faults *f)
{
	struct lyd_node *top, *node;

	LY_LIST_FOR(m->tree, top)
	{
		LYD_TREE_DFS_BEGIN(top, node)
		{
			if (is_reference(node) && !faults_enough(f) && !reference_is_good(m, node))
				fault_reference(m, node, f);
			LYD_TREE_DFS_END(top, node);
		}
	}
}

/* What libyang's validation says: its first fault. */
static enum rc libyang_fault(const struct model *m, struct faults *f, struct err *e)
{
	const struct ly_err_item *fault = ly_err_first(schema_ctx());
	const struct lyd_node *node;
	const char *tag;

	if (!fault)
		return err_add(e, RC_INTERNAL, "libyang gave no reason");
	fault = fault->prev; /* the ring's last */
	tag = fault->apptag ? fault->apptag : "";
	node = faulty_node(m, fault);
	if (!node)
		return err_add(e, RC_MALFORMED, "%s: %s", m->name, fault->msg);
	if (strcmp(tag, "too-many-elements") == 0 && (node->schema->nodetype & (LYS_LIST | LYS_LEAFLIST)))
		return fault_too_many(node, f);
	return tree_fault(f, node, "%s", fault->msg);
}

enum rc tree_validate(struct model *m, struct faults *f, struct err *e)
{
	tree_check_shape(m, f);
	f->lost = &m->lost;
	references(m, f);
	f->lost = NULL;
	if (!f->n)
		return lyd_validate_module(&m->tree, schema_module(), 0, NULL) == LY_SUCCESS
			       ? RC_OK
			       : libyang_fault(m, f, e);
	tree_prune(m);
	/* Ports of rules are compared with these. */
	if (lost_holds(&m->lost, "nat-ports") || lost_holds(&m->lost, "host-ports"))
		return RC_MALFORMED;
	f->lost = &m->lost;
	if (lyd_new_implicit_module(&m->tree, schema_module(), 0, NULL) == LY_SUCCESS)
		compile_faults(m, f);
	f->lost = NULL;
	return RC_MALFORMED;
}
