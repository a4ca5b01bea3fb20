/*
 * Text form to data tree. The grammar is the schema: it is asked which statements are allowed at a place, so
 * keywords are the model's names and errors can say what was expected. Recursion is bounded by the schema's
 * depth and checked against CONFIG_DEPTH_MAX. After a fault the parse goes on with the next statement, so that
 * one reading finds them all; the tree of a failed parse is freed by the caller.
 *
 *	container:  name { ... }            list:       name KEY { ... }    or  key KEY key KEY { ... }
 *	leaf:       name value;             leaf-list:  name value;  name [ value value ];
 *	empty leaf: name;                   a group without content may end with ';'
 *	lists of one key also take several entries without content:  name [ KEY KEY KEY ];
 *	`inactive:` before a statement: it is read, and the configuration is as if it were not there
 */
#include <assert.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/addr.h"
#include "base/bytes.h"
#include "model/habits.h"
#include "model/schema.h"
#include "model/tree.h"

struct parser {
	const char *text;
	size_t text_n;
	struct lexer lex;
	struct model *m;
	unsigned depth;
	unsigned nodes;
	bool lost;		 /* there is no next token, or it is unknown where it belongs */
	bool inactive;		 /* the statement that is being read, not those within it */
	bool resumes;		 /* only a mark is missing: what stands there is the next statement */
	bool counted;		 /* the braces, when they were first asked about */
	unsigned missing, extra; /* braces that close, in the text as a whole; less what was made up for */
	bool unwinds;		 /* a brace is missing: blocks end, up to those in unwind_to (NULL: all) */
	const struct lyd_node *unwind_to;
	struct lyd_node *closed;   /* the block that ended last */
	struct lyd_node *reenters; /* a brace was too many: it goes on */
	uint32_t bad_line;	   /* of the last token that could not be read */
	struct faults *faults;	   /* all so far: the parse goes on after each */
	struct place at;	   /* of the one in e */
	struct err *e;		   /* the current one, without its place */
};

static enum rc statements(struct parser *p, const struct lysc_node *schema, struct lyd_node *parent);

__attribute__((format(printf, 4, 5))) static enum rc fault(
	struct parser *p, enum rc rc, struct place at, const char *fmt, ...)
{
	char text[ERR_TEXT_MAX];
	va_list args;

	va_start(args, fmt);
	vsnprintf(text, sizeof text, fmt, args);
	va_end(args);
	p->at = at;
	return err_add(p->e, rc, "%s", text);
}

/* What cannot be read is told here, once in a line, and becomes a token that fits nowhere. */
static enum rc advance(struct parser *p)
{
	struct err e;

	err_clear(&e); /* not all of its room: this is done for each token */
	enum rc rc = lexer_next(&p->lex, &e);
	if (rc && !faults_enough(p->faults) && lexer_resume(&p->lex)) {
		if (p->lex.fault.line != p->bad_line)
			faults_note(p->faults, p->lex.fault.line, p->lex.fault.column, e.text);
		p->bad_line = p->lex.fault.line;
		return RC_OK;
	}
	if (rc) {
		p->lost = true;
		fault(p, rc, p->lex.fault, "%s", e.text);
	}
	return rc;
}

/* How many braces are missing in the whole text, or are too many. */
static void braces_count(struct parser *p)
{
	struct lexer l = lexer_over(p->text, p->text_n);
	uint32_t open = 0, close = 0;
	bool more = true;

	if (p->counted)
		return;
	p->counted = true;
	while (more) {
		more = lexer_next(&l, NULL) == RC_OK || lexer_resume(&l);
		open += l.token.kind == TOKEN_OPEN;
		close += l.token.kind == TOKEN_CLOSE;
		more &= l.token.kind != TOKEN_END;
	}
	p->missing = open > close ? open - close : 0;
	p->extra = close > open ? close - open : 0;
}

static bool begins_in_its_line(const struct parser *p)
{
	return p->lex.token.place.line != p->lex.before.line;
}

/*
 * "found 'x', expected one of: …; did you mean 'y'?" at the current token; where that is the first of its
 * line and `behind`, at the end of what stands before it: there something is missing.
 */
static enum rc found_at(struct parser *p, bool behind, const char *expected, const struct nearest *near)
{
	char found[TOKEN_TEXT_MAX], hint[NEAREST_HINT_MAX] = "", line[24] = "";
	const struct token *t = &p->lex.token;
	const char *of = strstr(expected, ", ") ? "one of: " : "";
	const char *quote = strpbrk(expected, " ,") ? "" : "'";
	const char *habit = NULL;

	behind = behind && begins_in_its_line(p);
	if (t->kind == TOKEN_WORD && !behind)
		habit = t->at[0] >= '0' && t->at[0] <= '9' && strcmp(expected, "{") == 0
				? "its values are statements of their own, in braces"
				: habit_hint(t->at, t->n, p->depth == 0);
	if (near)
		nearest_hint(hint, near);
	if (behind)
		snprintf(line, sizeof line, " in line %u", t->place.line);
	fault(p, RC_MALFORMED, behind ? p->lex.before : t->place, "found %s%s, expected %s%s%s%s%s",
		token_text(found, t), line, of, quote, expected, quote, hint);
	return habit ? err_add(p->e, RC_MALFORMED, "%s", habit) : RC_MALFORMED;
}

static enum rc unexpected(struct parser *p, const char *expected, const struct nearest *near)
{
	return found_at(p, false, expected, near);
}

static enum rc take(struct parser *p, enum token_kind kind, const char *expected)
{
	if (p->lex.token.kind == kind)
		return advance(p);
	p->resumes = kind == TOKEN_SEMICOLON && begins_in_its_line(p);
	return found_at(p, true, expected, NULL);
}

/* A word that begins with a single quote is not a value: it was meant to be in quotes. */
static bool is_value(const struct token *t)
{
	return (t->kind == TOKEN_WORD && t->at[0] != '\'') || t->kind == TOKEN_QUOTED;
}

static bool is_keyword_in(const struct token *t, const struct lyd_node *block)
{
	return t->kind == TOKEN_WORD && schema_child(block ? block->schema : NULL, t->at, t->n);
}

/*
 * A word of a block further out, in a text with too few braces: one is missing before it, and the blocks up to there end here. Where
 * the braces of the whole text are as many as they should be, the word stands in the wrong place only.
 */
static void brace_missing(struct parser *p, const struct lyd_node *parent)
{
	const struct lyd_node *block = parent;
	char words[TREE_WORDS_MAX];
	unsigned levels = 1;

	for (; block && !is_keyword_in(&p->lex.token, lyd_parent(block)) && begins_in_its_line(p); levels++)
		block = lyd_parent(block);
	if (!block || !is_keyword_in(&p->lex.token, lyd_parent(block)))
		return;
	braces_count(p);
	if (p->missing == 0)
		return;
	p->lost = levels > p->missing;
	p->unwinds = !p->lost;
	p->unwind_to = lyd_parent(block);
	p->missing -= MIN_OF(levels, p->missing);
	err_add(p->e, RC_MALFORMED, "is the '}' of %s, which begins in line %u, missing?",
		tree_words(words, parent), tree_place(parent).line);
}

/* A word of a block that is closed already: in a text with too many braces, that block goes on. */
static void brace_too_many(struct parser *p, const struct lyd_node *parent)
{
	const struct token *t = &p->lex.token;
	struct lyd_node *block = NULL;
	char words[TREE_WORDS_MAX];

	braces_count(p);
	if (!parent && t->kind == TOKEN_CLOSE)
		err_add(p->e, RC_MALFORMED, "there is a '}' too many, here or before");
	if (p->closed && lyd_parent(p->closed) == parent && is_keyword_in(t, p->closed))
		block = p->closed;
	for (struct lyd_node *group = parent ? NULL : p->m->tree; group && !block; group = group->next)
		if (is_keyword_in(t, group))
			block = group;
	if (!block || (parent && p->extra == 0))
		return;
	const char *quote =
		block->schema->nodetype == LYS_LIST ? "" : "'"; /* of an entry: its name has them */
	err_add(p->e, RC_MALFORMED,
		"it belongs in %s%s%s, which begins in line %u: is there a '}' too many before it?", quote,
		tree_words(words, block), quote, tree_place(block).line);
	if (p->extra == 0)
		return;
	p->extra--;
	p->reenters = block;
}

/* The statement's word: one of the schema's children that has not been given yet, or the end of the block. */
static enum rc no_such_statement(
	struct parser *p, const struct lysc_node *schema, const struct lyd_node *parent)
{
	char expected[EXPECTED_MAX] = "";
	const struct token *t = &p->lex.token;
	struct nearest near = nearest_to(t->at, t->kind == TOKEN_WORD ? t->n : 0);
	const struct lyd_node *siblings = parent ? lyd_child(parent) : p->m->tree;
	const struct lysc_node *child = NULL;

	while ((child = schema_next(schema, child))) {
		const char *word = schema_keyword(child);
		bool once = !(child->nodetype & (LYS_LIST | LYS_LEAFLIST));
		if (once && lyd_find_sibling_val(siblings, child, NULL, 0, NULL) == LY_SUCCESS)
			continue;
		expected_add(expected, sizeof expected, word, strlen(word));
		nearest_offer(&near, word, strlen(word));
	}
	if (parent)
		expected_add(expected, sizeof expected, "}", 1);
	else
		expected_add(expected, sizeof expected, "the end of the text", 19);
	unexpected(p, expected, &near);
	brace_missing(p, parent);
	if (!p->unwinds && !p->lost)
		brace_too_many(p, parent);
	return RC_MALFORMED;
}

static enum rc given_twice(struct parser *p, const struct place *at, const struct lyd_node *first)
{
	struct place before = tree_place(first);
	char words[TREE_WORDS_MAX];

	return fault(p, RC_MALFORMED, *at, "%s is given twice, first in line %u", tree_words(words, first),
		before.line);
}

/*
 * A fresh entry of a list or leaf-list, which is taken out again if there is an equal one. It is made before it is looked for:
 * libyang would make another one to look for. Should it hold ours for the first one, its validation finds them.
 */
static enum rc only_one(struct parser *p, struct lyd_node *made, const struct place *at)
{
	struct lyd_node *first = NULL;
	enum rc rc;

	if (lyd_find_sibling_first(made, made, &first) != LY_SUCCESS || first == made)
		return RC_OK;
	rc = given_twice(p, at, first);
	lyd_free_tree(made);
	return rc;
}

static void value_copy(char *ret_text, const struct token *t)
{
	assert(t->n <= CONFIG_VALUE_MAX); /* the lexer refuses longer ones */
	memcpy(ret_text, t->at, t->n);
	ret_text[t->n] = '\0';
}

/* The seconds of one unit, where a number has one; 0: not a unit. */
static uint64_t seconds_in(const char *unit)
{
	return strcmp(unit, "s") == 0 || strcmp(unit, "sec") == 0 || strcmp(unit, "seconds") == 0 ? 1
	       : strcmp(unit, "m") == 0 || strcmp(unit, "min") == 0				  ? 60
	       : strcmp(unit, "h") == 0								  ? 3600
	       : strcmp(unit, "d") == 0								  ? 86400
												  : 0;
}

/* An address where only a name is allowed, as other firewalls have it. */
static bool is_address_in_rule(const struct lysc_node *leaf, const struct token *t)
{
	char text[ADDR_TEXT_MAX + 4];
	struct ip_addr addr;
	size_t n = 0;

	if (strcmp(leaf->name, "source") != 0 && strcmp(leaf->name, "destination") != 0)
		return false;
	/* of a range its first address, of a prefix its address */
	while (n < t->n && t->at[n] != '-' && t->at[n] != '/')
		n++;
	if (n >= sizeof text)
		return false;
	memcpy(text, t->at, n);
	text[n] = '\0';
	return addr_parse(&addr, text) == RC_OK;
}

/* A protocol and a port where only a name is allowed, as host-inbound has them. */
static bool is_port_in_rule(const struct lysc_node *leaf, const struct token *t)
{
	return strcmp(leaf->name, "application") == 0 && t->n > 4 &&
	       (memcmp(t->at, "tcp/", 4) == 0 || memcmp(t->at, "udp/", 4) == 0);
}

/* A number with a unit, a pool as a prefix, a host's name for its address: what is meant is offered. */
static void better_value(struct parser *p, const struct lysc_node *leaf, const char *expected)
{
	char text[CONFIG_VALUE_MAX + 1], first[ADDR_TEXT_MAX], last[ADDR_TEXT_MAX];
	const struct lysc_node_leaf *schema = (const struct lysc_node_leaf *)leaf;
	struct ip_prefix prefix;
	size_t digits;

	value_copy(text, &p->lex.token);
	digits = strspn(text, "0123456789");
	if (leaf->nodetype == LYS_LEAF && schema->units && strcmp(schema->units, "seconds") == 0) {
		uint64_t factor = seconds_in(text + digits);
		if (digits > 0 && digits < 7 && factor)
			err_add(p->e, RC_MALFORMED, "seconds are written without a unit: did you mean %llu?",
				(unsigned long long)(strtoull(text, NULL, 10) * factor));
	} else if (strstr(expected, "a range such as") && strchr(text, '/') &&
		   prefix_parse(&prefix, text) == RC_OK) {
		const struct ip_range all = range_from_prefix(&prefix);
		err_add(p->e, RC_MALFORMED, "did you mean %s-%s?", addr_text(first, &all.first),
			addr_text(last, &all.last));
	} else if (strstr(expected, "an IPv4 or IPv6 address") && !strstr(expected, "a domain name") &&
		   strchr(text, '.') && strpbrk(text, "ghijklmnopqrstuvwxyz")) {
		err_add(p->e, RC_MALFORMED, "host names are not looked up: write the address");
	}
}

/* The type says what it is: by a sentence ("a name is made of ..."), or by what is expected ("a time such as 08:00"). */
static enum rc bad_string(struct parser *p, const struct lysc_node *leaf, const char *type_says)
{
	const struct token *t = &p->lex.token;
	bool sentence = strstr(type_says, " is ") || strstr(type_says, " has ");
	char found[TOKEN_TEXT_MAX];

	fault(p, RC_MALFORMED, t->place, sentence ? "found %s; %s" : "found %s, expected %s",
		token_text(found, t), type_says);
	if (!sentence && t->n <= CONFIG_VALUE_MAX)
		better_value(p, leaf, type_says);
	return RC_MALFORMED;
}

/* The current token does not fit the type of `leaf`. */
static enum rc bad_value(struct parser *p, const struct lysc_node *leaf)
{
	char expected[EXPECTED_MAX] = "", found[TOKEN_TEXT_MAX];
	const struct lysc_type *type = schema_type(leaf);
	const struct token *t = &p->lex.token;
	struct nearest near = nearest_to(t->at, t->n);

	if (is_value(t) && is_address_in_rule(leaf, t))
		return fault(p, RC_MALFORMED, t->place,
			"found %s; rules name addresses: define 'address NAME { prefix %.*s; }' in "
			"address-book, and use NAME here",
			token_text(found, t), (int)t->n, t->at);
	if (is_value(t) && is_port_in_rule(leaf, t))
		return fault(p, RC_MALFORMED, t->place,
			"found %s; rules name applications: define 'application NAME { protocol %.3s; destination-port %.*s; }' in "
			"applications, and use NAME here",
			token_text(found, t), t->at, (int)t->n - 4, t->at + 4);
	if (is_value(t) && type->basetype == LY_TYPE_STRING)
		return bad_string(p, leaf, ly_errmsg(schema_ctx()));
	schema_value_expected(leaf, expected, sizeof expected);
	if (t->kind != TOKEN_WORD && !is_value(t) && type->basetype == LY_TYPE_STRING)
		return fault(p, RC_MALFORMED, t->place, "found %s, expected a value: %s",
			token_text(found, t), expected);
	nearest_offer_type(&near, type);
	unexpected(p, expected, &near);
	if (t->kind == TOKEN_WORD && t->n <= CONFIG_VALUE_MAX)
		better_value(p, leaf, expected);
	return RC_MALFORMED;
}

/* Links a fresh node (NULL: a value that has none); at the top the model holds the first sibling. */
static enum rc count_node(
	struct parser *p, struct lyd_node *node, const struct lyd_node *parent, struct place at)
{
	if (node)
		tree_set_place(node, at);
	if (node && p->inactive) {
		tree_mark(node, TREE_INACTIVE);
		p->m->has_inactive = true;
	}
	if (!parent)
		lyd_insert_sibling(p->m->tree, node, &p->m->tree);
	if (++p->nodes > CONFIG_NODES_MAX)
		return fault(p, RC_LIMIT, at, "the configuration has more than %d statements and values",
			CONFIG_NODES_MAX);
	return RC_OK;
}

/* A value of many: the first that is active, and those that are not, are also nodes. */
static enum rc one_of_many(
	struct parser *p, const struct lysc_node *leaf, struct lyd_node *parent, enum many_kind kind)
{
	char text[CONFIG_VALUE_MAX + 1];
	const struct token *t = &p->lex.token;
	struct many *many = &p->m->many;
	struct lyd_node *node = NULL;
	enum rc rc;

	value_copy(text, t);
	many_begin(many, tree_place(parent));
	const struct many_value *first = many_find(many, kind, text);
	if (first)
		return fault(p, RC_MALFORMED, t->place, "%s '%.60s' is given twice, first in line %u",
			leaf->name, text, first->at.line);
	if (p->inactive || !many->active[kind]) {
		if (lyd_new_term(parent, schema_module(), leaf->name, text, 0, &node) != LY_SUCCESS)
			return bad_value(p, leaf);
	} else if (!many_fits(kind, text, t->n) &&
		   lyd_value_validate(schema_ctx(), leaf, text, t->n, NULL, NULL, NULL) != LY_SUCCESS) {
		return bad_value(p, leaf);
	}
	if (!many_add(many,
		    (struct many_value){
			    .in = tree_place(parent), .at = t->place, .kind = kind, .inactive = p->inactive },
		    text))
		return err_add(p->e, RC_INTERNAL, "out of memory");
	rc = count_node(p, node, parent, t->place);
	return rc ? rc : advance(p);
}

/* One value of a leaf or leaf-list, from the current token. */
static enum rc value(struct parser *p, const struct lysc_node *leaf, struct lyd_node *parent)
{
	enum many_kind kind = leaf->nodetype == LYS_LEAFLIST ? many_kind(leaf) : MANY_NONE;
	char text[CONFIG_VALUE_MAX + 1];
	struct lyd_node *node = NULL;
	enum rc rc;

	if (!is_value(&p->lex.token))
		return bad_value(p, leaf);
	if (kind != MANY_NONE)
		return one_of_many(p, leaf, parent, kind);
	value_copy(text, &p->lex.token);
	if (lyd_new_term(parent, schema_module(), leaf->name, text, 0, &node) != LY_SUCCESS)
		return bad_value(p, leaf);
	if (leaf->nodetype == LYS_LEAFLIST && (rc = only_one(p, node, &p->lex.token.place)))
		return rc;
	rc = count_node(p, node, parent, p->lex.token.place);
	return rc ? rc : advance(p);
}

/* One value is followed by another one. */
static void brackets_missing(struct parser *p, const char *keyword, const struct lyd_node *block)
{
	const struct token *t = &p->lex.token;

	if (!p->lost && is_value(t) && !begins_in_its_line(p) && !is_keyword_in(t, block))
		err_add(p->e, RC_MALFORMED, "several values are written in brackets: %s [ ... %.*s ];",
			keyword, (int)MIN_OF(t->n, (size_t)40), t->at);
}

static enum rc leaf_list(struct parser *p, const struct lysc_node *leaf, struct lyd_node *parent)
{
	enum rc rc;

	if (p->lex.token.kind != TOKEN_LIST) {
		rc = value(p, leaf, parent);
		if (!rc && (rc = take(p, TOKEN_SEMICOLON, ";")))
			brackets_missing(p, leaf->name, parent);
		return rc;
	}
	if ((rc = advance(p)))
		return rc;
	do {
		if ((rc = value(p, leaf, parent)))
			return rc;
	} while (is_value(&p->lex.token));
	if ((rc = take(p, TOKEN_LIST_END, "a value, ]")))
		return rc;
	return take(p, TOKEN_SEMICOLON, ";");
}

/* The only value of a text is followed by another word. */
static void quotes_missing(struct parser *p, const struct lysc_node *leaf)
{
	if (!p->lost && is_value(&p->lex.token) && !begins_in_its_line(p) &&
		schema_type(leaf)->basetype == LY_TYPE_STRING)
		err_add(p->e, RC_MALFORMED, "a value with spaces is written in double quotes");
}

static enum rc leaf(struct parser *p, const struct lysc_node *node, struct lyd_node *parent, struct place at)
{
	struct lyd_node *made = NULL;
	enum rc rc;

	if (!schema_is_empty_leaf(node)) {
		rc = value(p, node, parent);
		if (!rc && (rc = take(p, TOKEN_SEMICOLON, ";")))
			quotes_missing(p, node);
		return rc;
	}
	if (lyd_new_term(parent, schema_module(), node->name, "", 0, &made) != LY_SUCCESS)
		return err_add(p->e, RC_INTERNAL, "libyang: %s", ly_errmsg(schema_ctx()));
	rc = count_node(p, made, parent, at);
	return rc ? rc : take(p, TOKEN_SEMICOLON, ";");
}

/* What stands between the braces, with the one that closes. */
static enum rc block_rest(struct parser *p, struct lyd_node *node)
{
	char words[TREE_WORDS_MAX];
	enum rc rc;

	if (++p->depth > CONFIG_DEPTH_MAX)
		return fault(p, RC_LIMIT, p->lex.token.place, "braces are nested more than %d deep",
			CONFIG_DEPTH_MAX);
	rc = statements(p, node->schema, node);
	assert(p->depth > 0);
	p->depth--;
	p->closed = node;
	if (rc || p->unwinds)
		return rc;
	if (p->lex.token.kind == TOKEN_CLOSE)
		return advance(p);
	p->lost = true; /* the blocks around it are open as well: one fault says it */
	return fault(p, RC_MALFORMED, p->lex.token.place,
		"found the end of the text, expected '}': %s begins in line %u", tree_words(words, node),
		tree_place(node).line);
}

/* "{ statements }" or ";". */
static enum rc block(struct parser *p, struct lyd_node *node)
{
	enum rc rc;

	if (p->lex.token.kind == TOKEN_SEMICOLON)
		return advance(p);
	if ((rc = take(p, TOKEN_OPEN, "{"))) {
		tree_mark(node, TREE_SPOILED);
		if (node->schema->nodetype == LYS_LIST && !schema_shown_by_keys(node->schema))
			brackets_missing(p, node->schema->name, lyd_parent(node));
		return rc;
	}
	return block_rest(p, node);
}

static enum rc container(
	struct parser *p, const struct lysc_node *node, struct lyd_node *parent, struct place at)
{
	struct lyd_node *made = NULL;
	enum rc rc;

	if (lyd_new_inner(parent, schema_module(), node->name, 0, &made) != LY_SUCCESS)
		return err_add(p->e, RC_INTERNAL, "libyang: %s", ly_errmsg(schema_ctx()));
	rc = count_node(p, made, parent, at);
	return rc ? rc : block(p, made);
}

struct list_keys {
	unsigned n;
	const struct lysc_node *schema[SCHEMA_KEYS_MAX];
	char text[SCHEMA_KEYS_MAX][CONFIG_VALUE_MAX + 1];
	struct place place[SCHEMA_KEYS_MAX];
};

/*
 * One key. Where another one follows, the value is checked here, so that its fault has its own place; the last one is left to
 * who makes the entry, and is the current token still.
 */
static enum rc key_value(struct parser *p, struct list_keys *k, unsigned i)
{
	const struct token *t = &p->lex.token;

	if (!is_value(t))
		return bad_value(p, k->schema[i]);
	value_copy(k->text[i], t);
	k->place[i] = t->place;
	if (i + 1 == k->n)
		return RC_OK;
	if (lyd_value_validate(schema_ctx(), k->schema[i], k->text[i], t->n, NULL, NULL, NULL) == LY_EVALID)
		return bad_value(p, k->schema[i]);
	return advance(p);
}

static enum rc key_values(struct parser *p, const struct lysc_node *list, struct list_keys *k)
{
	bool by_keys = schema_shown_by_keys(list);
	enum rc rc = RC_OK;

	k->n = schema_keys(list, k->schema);
	assert(k->n > 0); /* YANG: a list of a configuration has keys */
	for (unsigned i = 0; i < k->n && !rc; i++) {
		const struct token *t = &p->lex.token;
		if (by_keys && i > 0) {
			const char *word = k->schema[i]->name;
			if (t->kind != TOKEN_WORD || t->n != strlen(word) || memcmp(t->at, word, t->n) != 0)
				return unexpected(p, word, NULL);
			if ((rc = advance(p)))
				return rc;
		}
		rc = key_value(p, k, i);
	}
	return rc;
}

static enum rc list_entry(struct parser *p, const struct lysc_node *list, struct lyd_node *parent,
	struct place at, struct lyd_node **ret_made)
{
	struct list_keys k = { 0 };
	struct lyd_node *made = NULL;
	enum rc rc = key_values(p, list, &k);
	LY_ERR err;

	if (rc)
		return rc;
	if (k.n == 1)
		err = lyd_new_list(parent, schema_module(), list->name, 0, &made, k.text[0]);
	else
		err = lyd_new_list(parent, schema_module(), list->name, 0, &made, k.text[0], k.text[1]);
	if (err != LY_SUCCESS)
		return bad_value(p, k.schema[k.n - 1]);
	if ((rc = only_one(p, made, &at)))
		return rc;
	rc = count_node(p, made, parent, at);
	for (struct lyd_node *key = lyd_child(made); key && !rc; key = key->next) {
		for (unsigned i = 0; i < k.n; i++) {
			if (key->schema == k.schema[i])
				tree_set_place(key, k.place[i]);
		}
	}
	*ret_made = made;
	return rc ? rc : advance(p);
}

static enum rc list(struct parser *p, const struct lysc_node *list, struct lyd_node *parent, struct place at)
{
	const struct lysc_node *keys[SCHEMA_KEYS_MAX];
	struct lyd_node *made = NULL;
	enum rc rc;

	if (p->lex.token.kind != TOKEN_LIST || schema_keys(list, keys) > 1) {
		rc = list_entry(p, list, parent, at, &made);
		return rc ? rc : block(p, made);
	}
	if ((rc = advance(p)))
		return rc;
	do {
		if ((rc = list_entry(p, list, parent, p->lex.token.place, &made)))
			return rc;
	} while (is_value(&p->lex.token));
	if ((rc = take(p, TOKEN_LIST_END, "a value, ]")))
		return rc;
	return take(p, TOKEN_SEMICOLON, ";");
}

static enum rc active_statement(struct parser *p, const struct lysc_node *schema, struct lyd_node *parent)
{
	const struct token *t = &p->lex.token;
	const struct lysc_node *node = t->kind == TOKEN_WORD ? schema_child(schema, t->at, t->n) : NULL;
	struct lyd_node *first = NULL;
	struct place at = t->place;
	enum rc rc;

	if (!node)
		return no_such_statement(p, schema, parent);
	if (!(node->nodetype & (LYS_LIST | LYS_LEAFLIST)) &&
		lyd_find_sibling_val(parent ? lyd_child(parent) : p->m->tree, node, NULL, 0, &first) ==
			LY_SUCCESS)
		return given_twice(p, &at, first);
	if ((rc = advance(p)))
		return rc;
	switch (node->nodetype) {
	case LYS_CONTAINER:
		return container(p, node, parent, at);
	case LYS_LIST:
		return list(p, node, parent, at);
	case LYS_LEAFLIST:
		return leaf_list(p, node, parent);
	default:
		return leaf(p, node, parent, at);
	}
}

static bool is_inactive_mark(const struct token *t)
{
	return t->kind == TOKEN_WORD && t->n == strlen("inactive:") && memcmp(t->at, "inactive:", t->n) == 0;
}

static enum rc statement(struct parser *p, const struct lysc_node *schema, struct lyd_node *parent)
{
	bool around = p->inactive;
	enum rc rc = RC_OK;

	p->inactive = is_inactive_mark(&p->lex.token);
	if (p->inactive)
		rc = advance(p);
	if (!rc)
		rc = active_statement(p, schema, parent);
	p->inactive = around;
	return rc;
}

/* A comment of another language: the rest of its line is skipped. */
static bool is_slashes(const struct token *t)
{
	return t->kind == TOKEN_WORD && t->n >= 2 && t->at[0] == '/' && t->at[1] == '/';
}

/* The rest of the statement: to its ';', or to the end of its block. */
static enum rc skip_statement(struct parser *p)
{
	unsigned open = 0;

	while (!p->lost && p->lex.token.kind != TOKEN_END) {
		enum token_kind kind = p->lex.token.kind;
		bool ends = kind == TOKEN_SEMICOLON || kind == TOKEN_CLOSE ||
			    (kind == TOKEN_BAD && p->lex.token.ends_line);
		if (kind == TOKEN_CLOSE && open == 0)
			return RC_OK; /* of the block around it */
		open += kind == TOKEN_OPEN;
		open -= kind == TOKEN_CLOSE;
		if (advance(p) != RC_OK || (open == 0 && ends))
			break;
	}
	return p->lost ? RC_MALFORMED : RC_OK;
}

static enum rc skip_line(struct parser *p)
{
	uint32_t line = p->lex.token.place.line;

	while (p->lex.token.kind != TOKEN_END && p->lex.token.place.line == line && advance(p) == RC_OK)
		;
	return p->lost ? RC_MALFORMED : RC_OK;
}

/* The fault is noted, unless it is that of a token that was told already; the parse goes on at the next statement. */
static enum rc recover(struct parser *p)
{
	if (p->lex.token.kind != TOKEN_BAD || p->lost)
		faults_note(p->faults, p->at.line, p->at.column, p->e->text);
	err_clear(p->e);
	p->lost |= faults_enough(p->faults);
	if (p->lost)
		return RC_MALFORMED;
	if (p->resumes || p->unwinds || p->reenters) {
		p->resumes = false;
		return RC_OK;
	}
	return is_slashes(&p->lex.token) ? skip_line(p) : skip_statement(p);
}

/* A statement that begins with what cannot be read: only that is skipped, unless it was the word of what stands behind it. */
static enum rc bad_statement(struct parser *p)
{
	enum rc rc;

	if (p->lex.token.is_word)
		return skip_statement(p);
	rc = advance(p);
	if (!rc && (p->lex.token.kind == TOKEN_SEMICOLON || p->lex.token.kind == TOKEN_OPEN))
		rc = skip_statement(p);
	return rc;
}

/* One statement, and what it takes to go on behind one that is at fault. */
static enum rc statement_or_next(struct parser *p, const struct lysc_node *schema, struct lyd_node *parent)
{
	bool bad = p->lex.token.kind == TOKEN_BAD;
	const char *begin = bad || p->lex.token.kind == TOKEN_WORD ? p->lex.token.at : p->lex.at;
	enum rc rc = bad ? bad_statement(p) : statement(p, schema, parent);

	if (p->lost || (!bad && rc != RC_MALFORMED))
		return rc;
	if (parent && !p->resumes)
		tree_mark(parent, TREE_SPOILED);
	if (rc)
		rc = recover(p);
	lost_skip(&p->m->lost, begin, p->lex.at);
	if (rc || !p->reenters)
		return rc;
	struct lyd_node *again = p->reenters;
	p->reenters = NULL;
	return block_rest(p, again);
}

/* Up to the brace that closes the block, or to the end of the text. */
static enum rc statements(struct parser *p, const struct lysc_node *schema, struct lyd_node *parent)
{
	enum rc rc = RC_OK;

	while (!rc && p->lex.token.kind != TOKEN_END && (p->lex.token.kind != TOKEN_CLOSE || !parent)) {
		bool stray = p->lex.token.kind == TOKEN_CLOSE;
		rc = statement_or_next(p, schema, parent);
		if (p->unwinds && p->unwind_to != parent)
			return rc;
		p->unwinds = false;
		if (rc || !stray)
			continue;
		/* A brace too many at the top: what follows it is where it seems if it is one of those in the text. */
		rc = p->extra > 0 ? advance(p) : RC_MALFORMED;
		p->extra -= p->extra > 0;
	}
	return rc;
}

enum rc parse_text(
	const char *text, size_t n, struct model *m, struct faults *f, bool *ret_lost, struct err *e)
{
	struct err current = { 0 };
	struct parser p = {
		.text = text, .text_n = n, .m = m, .faults = f, .e = &current, .lex = lexer_over(text, n)
	};
	enum rc rc = advance(&p);

	if (!rc)
		rc = statements(&p, NULL, NULL);
	many_added(&m->many);
	*ret_lost = rc != RC_OK; /* what could be passed over is no error here */
	if (rc == RC_INTERNAL)
		return err_add(e, rc, "%s", current.text);
	if (current.text[0])
		faults_note(f, p.at.line, p.at.column, current.text);
	return rc ? rc : f->n ? RC_MALFORMED : RC_OK;
}
