/* plaingate.conf(5): every statement, from yang/plaingate.yang, and the table of built-in applications. */
#include "model/applications.h"
#include "model/model.h"
#include "model/schema.h"
#include "roff.h"

#include <stdlib.h>

static bool is_group(const struct lysc_node *node)
{
	return node->nodetype & (LYS_CONTAINER | LYS_LIST);
}

static void upper(FILE *out, const char *name)
{
	for (; *name; name++)
		fputc(*name >= 'a' && *name <= 'z' ? *name - 'a' + 'A' : *name, out);
}

/* What follows a macro name: "Ic rule Ar NAME", "Ic from Ar FROM Ic to Ar TO" */
static void statement(FILE *out, const struct lysc_node *node)
{
	const struct lysc_node *keys[SCHEMA_KEYS_MAX];
	unsigned n = schema_keys(node, keys);

	if (!schema_shown_by_keys(node))
		fprintf(out, " Ic %s", node->name);
	for (unsigned i = 0; i < n; i++) {
		if (schema_shown_by_keys(node))
			fprintf(out, " Ic %s", keys[i]->name);
		fputs(" Ar ", out);
		upper(out, keys[i]->name);
	}
}

static void path(FILE *out, const struct lysc_node *node)
{
	if (node->parent) {
		path(out, node->parent);
		fputs(" >", out);
	}
	statement(out, node);
}

static void values(FILE *out, const struct lysc_type *type)
{
	const struct lysc_type_enum *names = (const struct lysc_type_enum *)type;
	const struct lysc_type_union *members = (const struct lysc_type_union *)type;
	LY_ARRAY_COUNT_TYPE i;

	if (type->basetype == LY_TYPE_UNION) {
		LY_ARRAY_FOR(members->types, i)
		values(out, members->types[i]);
	} else if (type->basetype == LY_TYPE_ENUM) {
		LY_ARRAY_FOR(names->enums, i)
		{
			fprintf(out, ".br\n\\fB%s\\fR: ", names->enums[i].name);
			roff_words(out, names->enums[i].dsc ? names->enums[i].dsc : "");
			fputc('\n', out);
		}
	}
}

static void value(FILE *out, const struct lysc_node *node)
{
	const struct lysc_node_leaf *leaf = (const struct lysc_node_leaf *)node;
	const struct lysc_type *type = schema_type(node);
	char expected[EXPECTED_MAX] = "";

	if (!type || type->basetype == LY_TYPE_EMPTY)
		return;
	schema_value_expected(node, expected, sizeof expected);
	fputs(".br\nValue: ", out);
	roff_words(out, expected);
	fputs(node->nodetype == LYS_LEAFLIST ? "; several.\n" : ".\n", out);
	if (node->nodetype == LYS_LEAF && leaf->dflt) {
		fputs(".br\nDefault: ", out);
		roff_words(out, lyd_value_get_canonical(schema_ctx(), leaf->dflt));
		fputs(".\n", out);
	} else if (node->nodetype == LYS_LEAF && (node->flags & LYS_MAND_TRUE)) {
		fputs(".br\nRequired.\n", out);
	}
	values(out, type);
}

/* A section for each group, then sections for the groups inside it. */
static void group(FILE *out, const struct lysc_node *node)
{
	const struct lysc_node *child = NULL;

	fputs(".Ss", out);
	path(out, node);
	fputc('\n', out);
	roff_text(out, node->dsc);
	fputs(".Bl -tag -width Ds\n", out);
	while ((child = schema_next(node, child))) {
		fputs(".It", out);
		statement(out, child);
		fputs(is_group(child) ? " Brq ...\n" : "\n", out);
		roff_text(out, child->dsc);
		value(out, child);
	}
	fputs(".El\n", out);
	while ((child = schema_next(node, child)))
		if (is_group(child))
			group(out, child);
}

void page_configuration(FILE *out)
{
	const struct lysc_node *node = NULL;
	struct err e = { 0 };

	if (schema_init(&e) != RC_OK) {
		fprintf(stderr, "%s\n", e.text);
		exit(1);
	}
	while ((node = schema_next(NULL, node)))
		group(out, node);
	schema_done();
}

void page_applications(FILE *out)
{
	fputs(".Bl -column \"application name\" \"protocol\" \"destination ports or ICMP type\" -compact\n"
	      ".It application Ta protocol Ta destination ports or ICMP type\n",
		out);
#define E(name, proto, first, last)                                                                          \
	if ((first) == (last))                                                                               \
		fprintf(out, ".It %s Ta %d Ta %d\n", name, proto, first);                                    \
	else if ((first) == 0 && (last) == 65535)                                                            \
		fprintf(out, ".It %s Ta %d Ta any\n", name, proto);                                          \
	else                                                                                                 \
		fprintf(out, ".It %s Ta %d Ta %d\\-%d\n", name, proto, first, last);
	BUILT_IN_APPLICATIONS(E)
#undef E
	fputs(".El\n", out);
}
