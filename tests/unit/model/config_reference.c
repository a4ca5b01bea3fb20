/*
 * Makes the reference part of docs/configuration.md out of the schema and the table of built-in applications.
 *
 *	config_reference --check FILE    fails when the part differs from what is made now (this is the test)
 *	config_reference --update FILE   writes it
 *
 * The rest of the page is written by hand.
 */
#include <stdio.h>
#include <string.h>

#include "model/applications.h"
#include "model/model.h"
#include "model/schema.h"
#include "page.h"

#define BEGIN "<!-- reference: made by config_reference, do not edit -->\n"
#define END   "<!-- end of the reference -->\n"

/* Descriptions are filled paragraphs: line breaks and their indentation become one blank. */
static void put_filled(FILE *out, const char *text)
{
	for (; text && *text; text++) {
		if (*text == '\n') {
			fputc(' ', out);
			text += strspn(text + 1, " ");
		} else if (*text == '|') {
			fputs("\\|", out);
		} else {
			fputc(*text, out);
		}
	}
}

static void put_word(FILE *out, const char *name)
{
	for (; *name; name++)
		fputc(*name >= 'a' && *name <= 'z' ? *name - 'a' + 'A' : *name, out);
}

/* "rule NAME", "from FROM to TO", "match" */
static void put_statement(FILE *out, const struct lysc_node *node)
{
	const struct lysc_node *keys[SCHEMA_KEYS_MAX];
	unsigned n = schema_keys(node, keys);

	if (!schema_shown_by_keys(node))
		fputs(node->name, out);
	for (unsigned i = 0; i < n; i++) {
		if (schema_shown_by_keys(node))
			fprintf(out, "%s%s", i ? " " : "", keys[i]->name);
		fputc(' ', out);
		put_word(out, keys[i]->name);
	}
}

static void put_enums(FILE *out, const struct lysc_type *type)
{
	const struct lysc_type_enum *names = (const struct lysc_type_enum *)type;
	const struct lysc_type_union *members = (const struct lysc_type_union *)type;
	LY_ARRAY_COUNT_TYPE i;

	if (type->basetype == LY_TYPE_UNION) {
		LY_ARRAY_FOR(members->types, i)
		put_enums(out, members->types[i]);
	} else if (type->basetype == LY_TYPE_ENUM) {
		LY_ARRAY_FOR(names->enums, i)
		{
			fprintf(out, "<br>`%s`: ", names->enums[i].name);
			put_filled(out, names->enums[i].dsc);
		}
	}
}

static void put_value(FILE *out, const struct lysc_node *node)
{
	char expected[EXPECTED_MAX] = "";
	const struct lysc_type *type = schema_type(node);

	if (!type || type->basetype == LY_TYPE_EMPTY)
		return;
	schema_value_expected(node, expected, sizeof expected);
	put_filled(out, expected);
	if (node->nodetype == LYS_LEAFLIST)
		fputs("; several", out);
}

static void put_default(FILE *out, const struct lysc_node *node)
{
	const struct lysc_node_leaf *leaf = (const struct lysc_node_leaf *)node;
	const struct lysc_node_leaflist *list = (const struct lysc_node_leaflist *)node;

	if (node->nodetype == LYS_LEAF && leaf->dflt)
		fprintf(out, "`%s`", lyd_value_get_canonical(schema_ctx(), leaf->dflt));
	else if ((node->nodetype == LYS_LEAF && (node->flags & LYS_MAND_TRUE)) ||
		 (node->nodetype == LYS_LEAFLIST && list->min))
		fputs("required", out);
}

static bool is_group(const struct lysc_node *node)
{
	return node->nodetype & (LYS_CONTAINER | LYS_LIST);
}

/* Whose type says what the statement may be: the node itself, or the key of a list of what the model names. */
static const struct lysc_node *typed(const struct lysc_node *node)
{
	const struct lysc_node *keys[SCHEMA_KEYS_MAX];

	if (schema_keys(node, keys) != 1 || schema_type(keys[0])->basetype == LY_TYPE_STRING)
		return node;
	return keys[0];
}

static void put_rows(FILE *out, const struct lysc_node *parent)
{
	const struct lysc_node *child = NULL;

	fputs("| statement | value | default | what it does |\n| --- | --- | --- | --- |\n", out);
	while ((child = schema_next(parent, child))) {
		fputs("| `", out);
		put_statement(out, child);
		fputs(is_group(child) ? " { ... }` | " : "` | ", out);
		put_value(out, typed(child));
		fputs(" | ", out);
		put_default(out, child);
		fputs(" | ", out);
		put_filled(out, child->dsc);
		if (schema_type(typed(child)))
			put_enums(out, schema_type(typed(child)));
		fputs(" |\n", out);
	}
	fputc('\n', out);
}

static void put_path(FILE *out, const struct lysc_node *node)
{
	if (node->parent) {
		put_path(out, node->parent);
		fputs(" > ", out);
	}
	put_statement(out, node);
}

/* A section for each group, then for the groups inside. Choices have no level of their own in the text. */
static void put_group(FILE *out, const struct lysc_node *node)
{
	const struct lysc_node *child = NULL;

	fputs("### ", out);
	put_path(out, node);
	fputs("\n\n", out);
	put_filled(out, node->dsc);
	fputs("\n\n", out);
	put_rows(out, node);
	while ((child = schema_next(node, child))) {
		if (is_group(child))
			put_group(out, child);
	}
}

static void put_applications(FILE *out)
{
	fputs("### Built-in applications\n\n| application | IP protocol | destination ports, or ICMP type |\n"
	      "| --- | --- | --- |\n",
		out);
#define E(name, proto, first, last)                                                                          \
	if ((first) == (last))                                                                               \
		fprintf(out, "| `%s` | %d | %d |\n", name, proto, first);                                    \
	else if ((first) == 0 && (last) == 65535)                                                            \
		fprintf(out, "| `%s` | %d | any |\n", name, proto);                                          \
	else                                                                                                 \
		fprintf(out, "| `%s` | %d | %d-%d |\n", name, proto, first, last);
	BUILT_IN_APPLICATIONS(E)
#undef E
	fputc('\n', out);
}

static char *reference(void)
{
	const struct lysc_node *node = NULL;
	char *text = NULL;
	size_t n = 0;
	FILE *out = open_memstream(&text, &n);

	if (!out)
		return NULL;
	fputs("## Reference\n\n", out);
	while ((node = schema_next(NULL, node)))
		put_group(out, node);
	put_applications(out);
	fclose(out);
	return text;
}

int main(int argc, char **argv)
{
	struct err e = { 0 };
	int status;

	if (schema_init(&e) != RC_OK) {
		fprintf(stderr, "%s\n", e.text);
		return 1;
	}
	status = page_main(argc, argv, BEGIN, reference());
	schema_done();
	return status;
}
