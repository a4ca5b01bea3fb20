/*
 * One libyang context with the embedded module, and the walks over it. libyang keeps the context's strings
 * with reference counts, so models share it; one thread only. The context never reads a file: the module is
 * in memory, and it imports nothing.
 */
#include "model/schema.h"

#include <assert.h>
#include <stdio.h>
#include <string.h>

#include "base/bytes.h"
#include "model/text_hash.h"
#include "plaingate_yang.h"

/* A statement where it is allowed. parent NULL: at the top; node NULL: a free slot. */
struct word {
	const struct lysc_node *parent, *node;
	const char *keyword;
	size_t n;
};

#define WORDS 2048 /* slots; the schema has fewer statements than half of them */

static struct ly_ctx *ctx;
static const struct lys_module *module;
static struct word
	slots[WORDS]; /* by hash: a large text asks a million times which statement a word begins */

static enum rc words_add(const struct lysc_node *parent, unsigned *n, struct err *e);

enum rc schema_init(struct err *e)
{
	struct lys_module *loaded = NULL;

	if (ctx)
		return RC_OK;
	/* Faults come back as values; libyang writes nothing to standard error. */
	ly_log_options(LY_LOSTORE_LAST);
	if (ly_ctx_new(NULL, LY_CTX_NO_YANGLIBRARY | LY_CTX_DISABLE_SEARCHDIRS, &ctx) != LY_SUCCESS) {
		ctx = NULL;
		return err_add(e, RC_INTERNAL, "libyang: cannot make a context");
	}
	if (lys_parse_mem(ctx, plaingate_yang, LYS_IN_YANG, &loaded) != LY_SUCCESS) {
		err_add(e, RC_INTERNAL, "libyang: %s; while loading the configuration's model",
			ly_errmsg(ctx));
		schema_done();
		return RC_INTERNAL;
	}
	module = loaded;
	unsigned n = 0;
	enum rc rc = words_add(NULL, &n, e);
	if (rc)
		schema_done();
	return rc;
}

void schema_done(void)
{
	ly_ctx_destroy(ctx);
	ctx = NULL;
	module = NULL;
	memset(slots, 0, sizeof slots);
}

const struct ly_ctx *schema_ctx(void)
{
	return ctx;
}

const struct lys_module *schema_module(void)
{
	return module;
}

static bool is_key(const struct lysc_node *node)
{
	return node->nodetype == LYS_LEAF && (node->flags & LYS_KEY);
}

const struct lysc_node *schema_next(const struct lysc_node *parent, const struct lysc_node *last)
{
	assert(module); /* schema_init() was called */
	do
		last = lys_getnext(last, parent, module->compiled, 0);
	while (last && is_key(last));
	return last;
}

bool schema_shown_by_keys(const struct lysc_node *node)
{
	LY_ARRAY_COUNT_TYPE i;

	if (node->nodetype != LYS_LIST)
		return false;
	LY_ARRAY_FOR(node->exts, i)
	{
		if (strcmp(node->exts[i].def->name, "shown-by-keys") == 0)
			return true;
	}
	return false;
}

unsigned schema_keys(const struct lysc_node *node, const struct lysc_node *ret_keys[SCHEMA_KEYS_MAX])
{
	const struct lysc_node *child;
	unsigned n = 0;

	if (node->nodetype != LYS_LIST)
		return 0;
	for (child = lysc_node_child(node); child && n < SCHEMA_KEYS_MAX; child = child->next) {
		if (is_key(child))
			ret_keys[n++] = child;
	}
	return n;
}

const char *schema_keyword(const struct lysc_node *node)
{
	const struct lysc_node *keys[SCHEMA_KEYS_MAX] = { NULL };

	if (schema_shown_by_keys(node) && schema_keys(node, keys) > 0)
		return keys[0]->name;
	return node->name;
}

/* The word's slot, or the free one where it belongs. */
static struct word *word_slot(const struct lysc_node *parent, const char *keyword, size_t n)
{
	for (size_t i = text_hash((uintptr_t)parent >> 4, keyword, n);; i++) {
		struct word *w = &slots[i % WORDS];
		if (!w->node || (w->parent == parent && w->n == n && memcmp(w->keyword, keyword, n) == 0))
			return w;
	}
}

/* All statements within the parent. */
static enum rc words_add(const struct lysc_node *parent, unsigned *n, struct err *e)
{
	enum rc rc = RC_OK;

	for (const struct lysc_node *child = NULL; !rc && (child = schema_next(parent, child));) {
		const char *keyword = schema_keyword(child);
		if (++*n > WORDS / 2)
			return err_add(e, RC_INTERNAL,
				"the configuration's model has more than %d statements", WORDS / 2);
		struct word *w = word_slot(parent, keyword, strlen(keyword));
		if (!w->node) /* of two with one word the first one, as in the order of the model */
			*w = (struct word){ parent, child, keyword, strlen(keyword) };
		if (child->nodetype & (LYS_CONTAINER | LYS_LIST))
			rc = words_add(child, n, e);
	}
	return rc;
}

const struct lysc_node *schema_child(const struct lysc_node *parent, const char *keyword, size_t n)
{
	assert(module); /* schema_init() was called */
	return word_slot(parent, keyword, n)->node;
}

bool schema_has_path(const char *words)
{
	const struct lysc_node *node = NULL;

	for (; words && *words; words += strspn(words, " ")) {
		size_t n = strcspn(words, " ");
		if (!(node = schema_child(node, words, n)))
			return false;
		words += n;
	}
	return node != NULL;
}

const struct lysc_type *schema_type(const struct lysc_node *node)
{
	if (node->nodetype == LYS_LEAF)
		return ((const struct lysc_node_leaf *)node)->type;
	if (node->nodetype == LYS_LEAFLIST)
		return ((const struct lysc_node_leaflist *)node)->type;
	return NULL;
}

bool schema_is_empty_leaf(const struct lysc_node *node)
{
	const struct lysc_type *type = schema_type(node);
	return type && type->basetype == LY_TYPE_EMPTY;
}

/* "zones/zone", with or without prefixes, up to the end or to a space: the list of that path. */
static const struct lysc_node *list_of_path(const char *path, size_t n)
{
	const struct lysc_node *node = NULL;
	const char *end = path + n;

	while (path < end) {
		const char *step = path, *colon;
		while (path < end && *path != '/')
			path++;
		if ((colon = memchr(step, ':', (size_t)(path - step))))
			step = colon + 1;
		const struct lysc_node *child = NULL;
		while (step < path && (child = schema_next(node, child)) &&
			(strlen(child->name) != (size_t)(path - step) ||
				memcmp(child->name, step, (size_t)(path - step)) != 0))
			;
		if (step < path && !child)
			return NULL;
		node = step < path ? child : node;
		path += path < end;
	}
	return node && node->nodetype == LYS_LIST ? node : NULL;
}

static unsigned refers_add(const struct lysc_node **lists, unsigned n, const char *path, size_t path_n)
{
	const struct lysc_node *list = list_of_path(path, path_n);

	assert(list); /* the model names what it has: unit tests ask for all of them */
	if (n < SCHEMA_REFERS_MAX)
		lists[n++] = list;
	return n;
}

static unsigned type_refers(const struct lysc_type *type, const struct lysc_node **lists, unsigned n)
{
	LY_ARRAY_COUNT_TYPE i;

	if (type->basetype == LY_TYPE_LEAFREF) {
		const char *path = lyxp_get_expr(((const struct lysc_type_leafref *)type)->path);
		return refers_add(
			lists, n, path, (size_t)(strrchr(path, '/') - path)); /* the key is the last step */
	}
	if (type->basetype == LY_TYPE_UNION) {
		const struct lysc_type_union *members = (const struct lysc_type_union *)type;
		LY_ARRAY_FOR(members->types, i)
		n = type_refers(members->types[i], lists, n);
	}
	return n;
}

unsigned schema_refers(const struct lysc_node *leaf, const struct lysc_node *ret_lists[SCHEMA_REFERS_MAX])
{
	const struct lysc_type *type = schema_type(leaf);
	unsigned n = type ? type_refers(type, ret_lists, 0) : 0;
	LY_ARRAY_COUNT_TYPE i;

	LY_ARRAY_FOR(leaf->exts, i)
	{
		if (strcmp(leaf->exts[i].def->name, "refers") != 0)
			continue;
		for (const char *at = leaf->exts[i].argument; *at; at += strspn(at, " ")) {
			size_t path_n = strcspn(at, " ");
			n = refers_add(ret_lists, n, at, path_n);
			at += path_n;
		}
	}
	return n;
}

void expected_add(char *text, size_t size, const char *word, size_t n)
{
	size_t used = strlen(text);

	assert(used < size);
	snprintf(text + used, size - used, "%s%.*s", used ? ", " : "", (int)n, word);
}

/* The bounds of an unsigned type, "16..4194304"; several parts are joined by " | ". */
static void number_expected(const struct lysc_type_num *type, char *text, size_t size)
{
	char words[128] = "a number";
	LY_ARRAY_COUNT_TYPE i;
	size_t used = strlen(words);

	if (type->range) {
		LY_ARRAY_FOR(type->range->parts, i)
		{
			used += (size_t)snprintf(words + used, sizeof words - used, "%s%llu..%llu",
				i ? " | " : " ", (unsigned long long)type->range->parts[i].min_u64,
				(unsigned long long)type->range->parts[i].max_u64);
			if (used >= sizeof words)
				break;
		}
	} else if (type->basetype == LY_TYPE_UINT8) {
		snprintf(words + used, sizeof words - used, " 0..255");
	} else if (type->basetype == LY_TYPE_UINT16) {
		snprintf(words + used, sizeof words - used, " 0..65535");
	}
	expected_add(text, size, words, strlen(words));
}

static void string_expected(const struct lysc_type_str *type, char *text, size_t size)
{
	const char *what = "a string";
	LY_ARRAY_COUNT_TYPE i;

	if (type->length && type->length->emsg)
		what = type->length->emsg;
	LY_ARRAY_FOR(type->patterns, i)
	{
		if (!type->patterns[i]->inverted && type->patterns[i]->emsg)
			what = type->patterns[i]->emsg;
	}
	expected_add(text, size, what, strlen(what));
}

static void leafref_expected(const struct lysc_type *type, char *text, size_t size)
{
	char words[64] = "the name of an object";
	const char *path = lyxp_get_expr(((const struct lysc_type_leafref *)type)->path);
	const char *end = path ? strrchr(path, '/') : NULL, *at = end;

	/* ".../pg:zone/pg:name": the list's name stands before the last step. */
	while (at && at > path && at[-1] != '/' && at[-1] != ':')
		at--;
	if (at && at < end)
		snprintf(words, sizeof words, "the name of a %.*s", (int)(end - at), at);
	expected_add(text, size, words, strlen(words));
}

void schema_type_expected(const struct lysc_type *type, char *text, size_t size)
{
	LY_ARRAY_COUNT_TYPE i;

	switch (type->basetype) {
	case LY_TYPE_ENUM: {
		const struct lysc_type_enum *names = (const struct lysc_type_enum *)type;
		LY_ARRAY_FOR(names->enums, i)
		expected_add(text, size, names->enums[i].name, strlen(names->enums[i].name));
		break;
	}
	case LY_TYPE_UNION: {
		const struct lysc_type_union *members = (const struct lysc_type_union *)type;
		LY_ARRAY_FOR(members->types, i)
		schema_type_expected(members->types[i], text, size);
		break;
	}
	case LY_TYPE_LEAFREF:
		leafref_expected(type, text, size);
		break;
	case LY_TYPE_STRING:
		string_expected((const struct lysc_type_str *)type, text, size);
		break;
	case LY_TYPE_UINT8:
	case LY_TYPE_UINT16:
	case LY_TYPE_UINT32:
	case LY_TYPE_UINT64:
		number_expected((const struct lysc_type_num *)type, text, size);
		break;
	default:
		expected_add(text, size, "a value", 7);
		break;
	}
}

void schema_value_expected(const struct lysc_node *leaf, char *text, size_t size)
{
	const char *units = leaf->nodetype == LYS_LEAF ? ((const struct lysc_node_leaf *)leaf)->units : NULL;
	size_t used;

	schema_type_expected(schema_type(leaf), text, size);
	used = strlen(text);
	if (units)
		snprintf(text + used, size - used, " (%s)", units);
}

void nearest_offer_type(struct nearest *n, const struct lysc_type *type)
{
	LY_ARRAY_COUNT_TYPE i;

	if (type->basetype == LY_TYPE_ENUM) {
		const struct lysc_type_enum *names = (const struct lysc_type_enum *)type;
		LY_ARRAY_FOR(names->enums, i)
		nearest_offer(n, names->enums[i].name, strlen(names->enums[i].name));
	} else if (type->basetype == LY_TYPE_UNION) {
		const struct lysc_type_union *members = (const struct lysc_type_union *)type;
		LY_ARRAY_FOR(members->types, i)
		nearest_offer_type(n, members->types[i]);
	}
}
