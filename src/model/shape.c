/*
 * What is missing or does not go together in a tree: mandatory leaves and choices, least numbers, two cases
 * of a choice, one interface in two zones. libyang checks the same but names only the schema; here the fault
 * has its place in the text. Part of tree_validate().
 */
#include <stdio.h>
#include <string.h>

#include "model/schema.h"
#include "model/tree.h"

struct shape {
	struct model *m;
	struct faults *faults;
};

/* Where we are: a node of the text, and below it groups that the text does not have. */
struct spot {
	struct lyd_node *node;
	const struct lysc_node *absent; /* the innermost of these groups; NULL when node itself is meant */
};

static void shape_of(const struct shape *s, const struct spot *at, const struct lysc_node *child);

static struct lyd_node *instance(const struct spot *at, const struct lysc_node *schema)
{
	struct lyd_node *node = at->absent ? NULL : lyd_child(at->node);

	while (node && (node->schema != schema || !node->priv))
		node = node->next;
	return node;
}

/* "match", "then log": the group's name behind those that it stands in, up to `within`. Added to text. */
static void absent_words(char *text, const struct lysc_node *group, const struct lysc_node *within)
{
	if (!group || group == within)
		return;
	absent_words(text, group->parent, within);
	size_t n = strlen(text);
	snprintf(text + n, TREE_WORDS_MAX - n, "%s%s", n ? " " : "", group->name);
}

static void lacks(const struct shape *s, const struct spot *at, const char *what)
{
	char words[TREE_WORDS_MAX], absent[TREE_WORDS_MAX] = "";

	tree_mark(at->node, TREE_DROPS);
	if (tree_has(at->node, TREE_SPOILED))
		return;
	absent_words(absent, at->absent, at->node->schema);
	tree_fault(s->faults, at->node, "%s lacks %s%s%s", tree_words(words, at->node), absent,
		at->absent ? " with " : "", what);
}

/* The first node of the case's statements that the text has. */
static const struct lyd_node *case_instance(const struct spot *at, const struct lysc_node_case *one)
{
	const struct lyd_node *node = NULL;

	for (const struct lysc_node *child = one->child; child && !node; child = child->next)
		node = instance(at, child);
	return node;
}

static void choice_of(const struct shape *s, const struct spot *at, const struct lysc_node_choice *choice)
{
	char expected[EXPECTED_MAX] = "", what[EXPECTED_MAX + 16];
	const struct lyd_node *first = NULL;

	for (const struct lysc_node_case *one = choice->cases; one;
		one = (const struct lysc_node_case *)one->next) {
		const struct lyd_node *node = case_instance(at, one);
		const char *word = one->child ? one->child->name : one->name;
		if (node && first) {
			tree_mark(at->node, TREE_DROPS);
			tree_fault(s->faults, node, "%s cannot be combined with %s", node->schema->name,
				first->schema->name);
			return;
		}
		if (node)
			first = node;
		expected_add(expected, sizeof expected, word, strlen(word));
	}
	if (first || !(choice->flags & LYS_MAND_TRUE))
		return;
	snprintf(what, sizeof what, "one of: %s", expected);
	lacks(s, at, what);
}

static void count_of(
	const struct shape *s, const struct spot *at, const struct lysc_node *child, uint32_t min)
{
	const struct lyd_node *node = instance(at, child);
	uint32_t n = 0;

	for (; node && n < min; node = tree_next(node))
		n++;
	if (n < min)
		lacks(s, at, child->name);
}

static void children_of(const struct shape *s, const struct spot *at, const struct lysc_node *schema)
{
	for (const struct lysc_node *child = lysc_node_child(schema); child && !faults_enough(s->faults);
		child = child->next)
		shape_of(s, at, child);
}

static void shape_of(const struct shape *s, const struct spot *at, const struct lysc_node *child)
{
	struct lyd_node *node;
	struct spot below = { 0 };

	switch (child->nodetype) {
	case LYS_LEAF:
		if ((child->flags & LYS_MAND_TRUE) && !(child->flags & LYS_KEY) && !instance(at, child))
			lacks(s, at, child->name);
		break;
	case LYS_CHOICE:
		choice_of(s, at, (const struct lysc_node_choice *)child);
		break;
	case LYS_LEAFLIST:
		count_of(s, at, child, ((const struct lysc_node_leaflist *)child)->min);
		break;
	case LYS_CONTAINER:
		below.node = instance(at, child);
		if (!below.node && child->flags & LYS_PRESENCE)
			return; /* it is absent, and needs nothing */
		if (!below.node) {
			below.node = at->node;
			below.absent = child;
		}
		children_of(s, &below, child);
		break;
	case LYS_LIST:
		count_of(s, at, child, ((const struct lysc_node_list *)child)->min);
		for (node = instance(at, child); node && !faults_enough(s->faults);
			node = (struct lyd_node *)(uintptr_t)tree_next(node)) {
			below.node = node;
			children_of(s, &below, child);
		}
		break;
	default:
		break;
	}
}

/* The zone before this place that has the interface already. NULL: none. */
static const struct lyd_node *zone_before(
	const struct shape *s, const struct lyd_node *zone, const struct lyd_node *place)
{
	for (; zone; zone = tree_next(zone)) {
		const struct lyd_node *leaf = tree_child(s->m, zone, "interfaces");
		for (; leaf; leaf = tree_next(leaf)) {
			if (leaf == place)
				return NULL;
			if (strcmp(lyd_get_value(leaf), lyd_get_value(place)) == 0)
				return zone;
		}
	}
	return NULL;
}

static void interfaces_once(const struct shape *s)
{
	const struct lyd_node *zones = tree_child(s->m, NULL, "zones");
	const struct lyd_node *all = zones ? tree_child(s->m, zones, "zone") : NULL;

	for (const struct lyd_node *zone = all; zone; zone = tree_next(zone)) {
		const struct lyd_node *leaf = tree_child(s->m, zone, "interfaces");
		for (; leaf; leaf = tree_next(leaf)) {
			const struct lyd_node *has = zone_before(s, all, leaf);
			if (has)
				tree_fault(s->faults, leaf,
					"interface '%s' belongs to zone '%s' already, and an interface "
					"belongs to one zone only",
					lyd_get_value(leaf), tree_value(has, "name"));
		}
	}
}

void tree_check_shape(struct model *m, struct faults *f)
{
	const struct shape s = { .m = m, .faults = f };

	/* The top has only groups, and none is mandatory. */
	for (struct lyd_node *node = m->tree; node; node = node->next) {
		struct spot at = { .node = node };
		children_of(&s, &at, node->schema);
	}
	interfaces_once(&s);
}
