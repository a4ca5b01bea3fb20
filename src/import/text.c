/* What all parts of the importer write and read by: lines of the configuration, names, values, and what became of a statement. */
#include "import/translate.h"

#include <ctype.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define INDENT 4

/* ---- lines ---- */

__attribute__((format(printf, 2, 0))) static void out_text(struct out *o, const char *fmt, va_list args)
{
	va_list again;
	int n;

	va_copy(again, args);
	n = vsnprintf(NULL, 0, fmt, args);
	if (n >= 0 && o->n + (size_t)n + 1 > o->size) {
		o->size = 2 * (o->n + (size_t)n + 1);
		o->at = realloc(o->at, o->size);
		if (!o->at)
			abort(); /* as pool_room() */
	}
	if (n >= 0)
		o->n += (size_t)vsnprintf(o->at + o->n, (size_t)n + 1, fmt, again);
	va_end(again);
}

__attribute__((format(printf, 2, 3))) static void out_part(struct out *o, const char *fmt, ...)
{
	va_list args;

	va_start(args, fmt);
	out_text(o, fmt, args);
	va_end(args);
}

void out_line(struct out *o, const char *fmt, ...)
{
	va_list args;

	out_part(o, "%*s", (int)(INDENT * o->depth), "");
	va_start(args, fmt);
	out_text(o, fmt, args);
	va_end(args);
	out_part(o, ";\n");
}

void out_open(struct out *o, const char *fmt, ...)
{
	va_list args;

	out_part(o, "%*s", (int)(INDENT * o->depth), "");
	va_start(args, fmt);
	out_text(o, fmt, args);
	va_end(args);
	out_part(o, " {\n");
	o->depth++;
}

void out_close(struct out *o)
{
	o->depth--;
	out_part(o, "%*s}\n", (int)(INDENT * o->depth), "");
}

void out_lines(struct out *o, const struct out *lines)
{
	if (lines->n)
		out_part(o, "%s", lines->at);
}

void out_free(struct out *o)
{
	free(o->at);
	*o = (struct out){ 0 };
}

void out_remark(struct out *o, const char *fmt, ...)
{
	va_list args;

	out_part(o, "%*s# ", (int)(INDENT * o->depth), "");
	size_t from = o->n;
	va_start(args, fmt);
	out_text(o, fmt, args);
	va_end(args);
	for (size_t i = from; i < o->n; i++) {
		if ((unsigned char)o->at[i] < ' ' || (unsigned char)o->at[i] > '~')
			o->at[i] = '?';
	}
	out_part(o, "\n");
}

void out_description(struct import *m, struct out *o, const struct node *n)
{
	const char *text = value(m, n, "description");
	char quoted[2 * DESCRIPTION_MAX + 1];
	size_t used = 0, taken = 0;

	if (!text)
		return;
	for (; *text && taken < DESCRIPTION_MAX; text++) {
		if (*text < ' ' || *text > '~')
			continue;
		if (*text == '"' || *text == '\\')
			quoted[used++] = '\\';
		quoted[used++] = *text;
		taken++;
	}
	quoted[used] = '\0';
	if (taken)
		out_line(o, "description \"%s\"", quoted);
}

/* ---- what became of it ---- */

void say(struct import *m, struct node *n, enum import_outcome o, const char *fmt, ...)
{
	char text[512];
	va_list args;

	if (!n || n->outcome >= o)
		return;
	va_start(args, fmt);
	vsnprintf(text, sizeof text, fmt, args);
	va_end(args);
	n->outcome = o;
	n->note = pool_text(&m->tree.pool, text, strlen(text));
}

void done(struct node *n)
{
	if (n && n->outcome < IMPORT_TRANSLATED)
		n->outcome = IMPORT_TRANSLATED;
}

void done_all(struct node *n)
{
	if (!n)
		return;
	done(n);
	for (struct node *c = n->child; c; c = c->next)
		done_all(c);
}

struct node *value_node(const struct node *n, const char *word)
{
	struct node *statement = node_child(n, word);

	return statement ? statement->last : NULL;
}

const char *value(struct import *m, const struct node *n, const char *word)
{
	struct node *last = value_node(n, word);

	if (!last)
		return NULL;
	if (left_out(m, last) || left_out(m, last->parent))
		return NULL;
	for (struct node *v = last->parent->child; v != last; v = v->next)
		say(m, v, IMPORT_CHANGED, "a later statement, of line %u, replaces it", last->line);
	done(last);
	return last->word;
}

bool is_set(const struct node *n, const char *word)
{
	struct node *statement = node_child(n, word);

	if (!statement || statement->inactive)
		return false;
	done(statement);
	return true;
}

bool left_out(struct import *m, struct node *n)
{
	if (n->inactive)
		say(m, n, IMPORT_CHANGED, "deactivated there, and left out here");
	return n->inactive;
}

/* ---- names ---- */

bool is_number(const char *text, uint64_t from, uint64_t to)
{
	uint64_t n = 0;

	if (!*text)
		return false;
	for (; *text; text++) {
		if (!isdigit((unsigned char)*text) || n > UINT64_MAX / 10 - 9)
			return false;
		n = 10 * n + (uint64_t)(*text - '0');
	}
	return n >= from && n <= to;
}

const char *letters_of(struct import *m, const char *word, const char *also, size_t max)
{
	char text[OBJECT_NAME_MAX + 1];
	size_t n = 0;

	for (; *word && n < max && n < OBJECT_NAME_MAX; word++)
		text[n++] = (isalnum((unsigned char)*word) && !(*word & 0x80)) || strchr(also, *word) ? *word
												      : '_';
	if (!n || text[0] == '.' || text[0] == '-')
		text[n ? 0 : n++] = '_';
	return pool_text(&m->tree.pool, text, n);
}

static bool taken(struct import *m, struct node *kind, const char *name)
{
	struct node *n = node_child(kind, name);

	if (!n)
		tree_enter(&m->tree, kind, name, 0);
	return n;
}

const char *object_name(struct import *m, const char *kind, const char *word)
{
	const char *name = letters_of(m, word, "-_.", OBJECT_NAME_MAX), *also = name;
	struct node *names = tree_enter(&m->tree, m->names, kind, 0);

	if (strcmp(name, "any") == 0 || strcmp(name, "self") == 0)
		also = name = pool_printf(&m->tree.pool, "%s_", name);
	for (unsigned i = 2; taken(m, names, also) && i < TRIES_MAX; i++)
		also = pool_printf(&m->tree.pool, "%.*s.%u", OBJECT_NAME_MAX - 6, name, i);
	return also;
}

/* What the administrator says that it is called. */
static const char *told_name(struct import *m, const char *word)
{
	size_t n = strlen(word);

	for (const char *at = m->interfaces; at && *at;) {
		size_t all = strcspn(at, ",");
		if (all > n + 1 && memcmp(at, word, n) == 0 && at[n] == '=')
			return pool_text(&m->tree.pool, at + n + 1, all - n - 1);
		at += all + (at[all] == ',');
	}
	return NULL;
}

const char *interface_name(struct import *m, const char *word)
{
	const char *told = told_name(m, word);
	char text[128];
	size_t n = 0;

	if (!told) {
		size_t all = strlen(word);
		if (all > 2 && strcmp(word + all - 2, ".0") == 0 &&
			strncmp(word, "st0", 3) != 0) /* unit 0 is the device itself */
			all -= 2;
		if (all >= sizeof text)
			return NULL;
		for (size_t i = 0; i < all; i++)
			text[n++] = word[i] == '/' ? '-' : word[i];
		text[n] = '\0';
		told = letters_of(m, text, "-_.@", OBJECT_NAME_MAX);
	}
	return strlen(told) <= IMPORT_INTERFACE_MAX ? told : NULL;
}

/* ---- addresses ---- */

const char *prefix_of(struct import *m, const char *text)
{
	char plain[ADDR_TEXT_MAX + 8], shown[PREFIX_TEXT_MAX];
	const char *slash = strchr(text, '/');
	struct ip_prefix p = { 0 };
	uint32_t all;

	if (!text || strlen(text) >= sizeof plain)
		return NULL;
	snprintf(plain, sizeof plain, "%.*s", (int)(slash ? slash - text : (long)strlen(text)), text);
	if (addr_parse(&p.addr, plain))
		return NULL;
	all = 8 * (uint32_t)addr_size(&p.addr);
	if (slash && !is_number(slash + 1, 0, all))
		return NULL;
	p.bits = slash ? (uint32_t)strtoul(slash + 1, NULL, 10) : all;
	for (uint32_t i = p.bits; i < all; i++)
		p.addr.b[i / 8] &= (uint8_t)~(0x80u >> i % 8);
	prefix_text(shown, &p);
	return pool_text(&m->tree.pool, shown, strlen(shown));
}

const char *address_of(struct import *m, const char *text)
{
	struct ip_addr a;
	char shown[ADDR_TEXT_MAX];

	if (!text || addr_parse(&a, text))
		return NULL;
	addr_text(shown, &a);
	return pool_text(&m->tree.pool, shown, strlen(shown));
}

bool is_domain(const char *text)
{
	size_t n = strlen(text);

	return n && n <= DOMAIN_MAX &&
	       strspn(text, "0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ-_.") == n &&
	       text[strspn(text, "0123456789.")] != '\0';
}

bool in_order(const char *first, const char *last)
{
	struct ip_addr a, b;

	return !addr_parse(&a, first) && !addr_parse(&b, last) && a.family == b.family &&
	       addr_compare(&a, &b) <= 0;
}
