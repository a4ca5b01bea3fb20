#include "model/many.h"
#include "model/text_hash.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

enum many_kind many_kind(const struct lysc_node *leaf)
{
	const struct lysc_node *list = leaf->parent;

	if (!list || list->nodetype != LYS_LIST || strcmp(list->name, "address") != 0 ||
		strcmp(list->parent->name, "address-book") != 0)
		return MANY_NONE;
	return strcmp(leaf->name, "prefix") == 0  ? MANY_PREFIX
	       : strcmp(leaf->name, "range") == 0 ? MANY_RANGE
						  : MANY_NONE;
}

static size_t address_n(const char *text)
{
	return strspn(text, "0123456789abcdefABCDEF:.");
}

bool many_fits(enum many_kind kind, const char *text, size_t n)
{
	size_t first = address_n(text), rest;

	assert(kind != MANY_NONE);
	if (first == 0)
		return false;
	if (kind == MANY_RANGE) {
		rest = text[first] == '-' ? address_n(text + first + 1) : 0;
		return rest > 0 && first + 1 + rest == n && n >= 5 && n <= 91;
	}
	if (n < 2 || n > 49)
		return false;
	rest = text[first] == '/' ? strspn(text + first + 1, "0123456789") : 0;
	return first == n || (rest >= 1 && rest <= 3 && first + 1 + rest == n);
}

static const struct many_value *value_at(const struct many *m, size_t i)
{
	assert(i < m->values.n);
	return (const struct many_value *)(const void *)m->values.at + i;
}

static bool same_place(struct place a, struct place b)
{
	return a.line == b.line && a.column == b.column;
}

void many_begin(struct many *m, struct place in)
{
	m->values.record = sizeof(struct many_value);
	if (m->values.n > m->first && same_place(value_at(m, m->first)->in, in))
		return;
	m->first = m->values.n;
	memset(m->active, 0, sizeof m->active);
}

/* The slot of the value, or the one where it belongs. */
static uint32_t *slot_of(const struct many *m, enum many_kind kind, const char *text)
{
	assert(m->slots_n > 0);
	for (size_t i = text_hash(kind, text, strlen(text));; i++) {
		uint32_t *slot = &m->slots[i & (m->slots_n - 1)];
		if (*slot <= m->first)
			return slot;
		const struct many_value *v = value_at(m, *slot - 1);
		if (v->kind == kind && strcmp(many_text(m, v), text) == 0)
			return slot;
	}
}

const struct many_value *many_find(const struct many *m, enum many_kind kind, const char *text)
{
	uint32_t at = m->slots_n ? *slot_of(m, kind, text) : 0;

	return at > m->first ? value_at(m, at - 1) : NULL;
}

/* At most half of the slots are used. */
static bool slots_grow(struct many *m)
{
	size_t n = m->slots_n ? 2 * m->slots_n : 64;
	uint32_t *slots = calloc(n, sizeof *slots);

	if (!slots)
		return false;
	free(m->slots);
	m->slots = slots;
	m->slots_n = n;
	for (size_t i = m->first; i < m->values.n; i++) {
		const struct many_value *v = value_at(m, i);
		*slot_of(m, v->kind, many_text(m, v)) = (uint32_t)i + 1;
	}
	return true;
}

static bool text_add(struct many *m, const char *text, uint32_t *ret_at)
{
	size_t n = strlen(text) + 1;

	if (m->texts_room - m->texts_n < n) {
		size_t room = 2 * m->texts_room + 4096;
		char *texts = realloc(m->texts, room);
		if (!texts)
			return false;
		m->texts = texts;
		m->texts_room = room;
	}
	*ret_at = (uint32_t)m->texts_n; /* CONFIG_TEXT_MAX and a terminator for each fit */
	memcpy(m->texts + m->texts_n, text, n);
	m->texts_n += n;
	return true;
}

bool many_add(struct many *m, struct many_value v, const char *text)
{
	struct many_value *to;

	assert(v.kind != MANY_NONE);
	if (2 * (m->values.n - m->first + 1) > m->slots_n && !slots_grow(m))
		return false;
	if (!text_add(m, text, &v.text) || !(to = vec_add(&m->values)))
		return false;
	*to = v;
	m->active[v.kind] |= !v.inactive;
	*slot_of(m, v.kind, text) = (uint32_t)m->values.n;
	return true;
}

void many_added(struct many *m)
{
	free(m->slots);
	m->slots = NULL;
	m->slots_n = 0;
}

void many_done(struct many *m)
{
	many_added(m);
	vec_done(&m->values);
	free(m->texts);
	*m = (struct many){ 0 };
}

static bool is_before(struct place a, struct place b)
{
	return a.line != b.line ? a.line < b.line : a.column < b.column;
}

/* The first value of an entry that is not before the place. */
static size_t first_of(const struct many *m, struct place in)
{
	size_t low = 0, n = m->values.n;

	while (n > 0) {
		size_t half = n / 2;
		bool before = is_before(value_at(m, low + half)->in, in);
		low = before ? low + half + 1 : low;
		n = before ? n - half - 1 : half;
	}
	return low;
}

const struct many_value *many_next(
	const struct many *m, struct place in, enum many_kind kind, const struct many_value *last)
{
	size_t i = last ? (size_t)(last - (const struct many_value *)(const void *)m->values.at) + 1
			: first_of(m, in);

	for (; i < m->values.n && same_place(value_at(m, i)->in, in); i++)
		if (value_at(m, i)->kind == kind && !value_at(m, i)->inactive)
			return value_at(m, i);
	return NULL;
}
