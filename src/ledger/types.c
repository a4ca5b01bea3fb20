#include "ledger/types.h"
#include "base/bytes.h"
#include "ledger/canonical.h"

#include <assert.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

static const struct {
	const char *name, *sources, *text;
} types[LEDGER_TYPE_COUNT] = {
#define E(id, name, sources, text) [LEDGER_##id] = { name, sources, text },
	LEDGER_TYPES(E)
#undef E
};

static const struct ledger_field fields[] = {
#define E(type, key, kind, text) { LEDGER_##type, key, LEDGER_##kind, text },
	LEDGER_FIELDS(E)
#undef E
};

#define FIELDS_N (sizeof fields / sizeof fields[0])

const char *ledger_type_name(enum ledger_type t)
{
	return (unsigned)t < LEDGER_TYPE_COUNT ? types[t].name : "unknown";
}

const char *ledger_type_text(enum ledger_type t)
{
	return (unsigned)t < LEDGER_TYPE_COUNT ? types[t].text : "no such type";
}

enum ledger_type ledger_type_by_name(const char *name, size_t n)
{
	for (unsigned t = 0; t < LEDGER_TYPE_COUNT; t++)
		if (strlen(types[t].name) == n && memcmp(types[t].name, name, n) == 0)
			return (enum ledger_type)t;
	return LEDGER_TYPE_COUNT;
}

bool ledger_type_allowed(enum ledger_type t, const char *source)
{
	const char *at = (unsigned)t < LEDGER_TYPE_COUNT ? types[t].sources : "";
	size_t n = strlen(source);

	while (*at) {
		size_t word = strcspn(at, " ");
		if (word == n && memcmp(at, source, n) == 0)
			return true;
		at += word + (at[word] == ' ');
	}
	return false;
}

bool ledger_type_priority(enum ledger_type t)
{
	switch (t) {
#define E(id) case LEDGER_##id:
		LEDGER_PRIORITY(E)
#undef E
		return true;
	default:
		return false;
	}
}

const struct ledger_field *ledger_type_fields(enum ledger_type t, size_t *ret_n)
{
	size_t first = 0;

	while (first < FIELDS_N && fields[first].type != t)
		first++;
	*ret_n = 0;
	while (first + *ret_n < FIELDS_N && fields[first + *ret_n].type == t)
		++*ret_n;
	assert(first + *ret_n <= FIELDS_N);
	return &fields[first];
}

void ledger_body_begin(struct ledger_body *b, enum ledger_type type)
{
	assert((unsigned)type < LEDGER_TYPE_COUNT);
	b->type = type;
	b->next = 0;
	b->bad = false;
	b->w = jw_over(b->text, sizeof b->text, true);
	jw_object(&b->w, NULL);
}

/* The table's own key, so that the writer may keep a pointer to it. */
static const char *field_take(struct ledger_body *b, const char *key, enum ledger_kind kind)
{
	size_t n;
	const struct ledger_field *f = ledger_type_fields(b->type, &n);

	if (b->next >= n || strcmp(f[b->next].key, key) != 0 ||
		(f[b->next].kind == LEDGER_NUMBER) != (kind == LEDGER_NUMBER)) {
		b->bad = true;
		return NULL;
	}
	return f[b->next++].key;
}

/* Bytes that the writer makes of a text, quotes included. */
static size_t written_n(const char *value, size_t n)
{
	char text[LEDGER_BODY_TEXT_MAX / 4 * 6 + 3]; /* each byte as \u00NN */
	struct jw w = jw_over(text, sizeof text, false);

	assert(n <= LEDGER_BODY_TEXT_MAX / 4);
	jw_str_n(&w, NULL, value, n);
	return (size_t)(w.at - w.base);
}

/* What the fields after the next one need at least, and the end of the object. */
static size_t reserve(const struct ledger_body *b)
{
	size_t n, need = sizeof "}";
	const struct ledger_field *f = ledger_type_fields(b->type, &n);

	for (size_t i = b->next; i < n; i++)
		need += strlen(f[i].key) + sizeof ",\"\":" + (f[i].kind == LEDGER_NUMBER ? 24 : 2);
	return need;
}

void ledger_body_str(struct ledger_body *b, const char *key, const char *value)
{
	const char *k = field_take(b, key, LEDGER_STRING);
	size_t n = strnlen(value, LEDGER_BODY_TEXT_MAX / 4), written;

	if (!k)
		return;
	size_t left = (size_t)(b->w.end - b->w.at), taken = reserve(b) + strlen(k) + sizeof ",\"\":";
	size_t room = left > taken ? MIN_OF(left - taken, (size_t)LEDGER_BODY_TEXT_MAX / 4 + 2) : 0;
	while (n > 0 && (written = written_n(value, n)) > room) {
		/* a byte becomes six at most */
		n -= MIN_OF(n, (written - room + 5) / 6);
		for (int i = 0; i < 3 && n > 0 && ((unsigned char)value[n] & 0xc0) == 0x80; i++)
			n--; /* not within a character */
	}
	jw_str_n(&b->w, k, value, n);
}

void ledger_body_strf(struct ledger_body *b, const char *key, const char *fmt, ...)
{
	char text[LEDGER_BODY_TEXT_MAX / 4 + 1];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(text, sizeof text, fmt, ap);
	va_end(ap);
	ledger_body_str(b, key, text);
}

void ledger_body_u64(struct ledger_body *b, const char *key, uint64_t value)
{
	const char *k = field_take(b, key, LEDGER_NUMBER);

	if (k)
		jw_u64(&b->w, k, value);
}

size_t ledger_body_done(struct ledger_body *b)
{
	size_t n;

	ledger_type_fields(b->type, &n);
	assert(b->next <= n);
	jw_end(&b->w);
	return b->bad || b->next != n ? 0 : jw_done(&b->w);
}

/* What a key or a type may be called: by this, one of a newer version is told from nonsense. */
bool ledger_word_good(const char *text, size_t n)
{
	for (size_t i = 0; i < n; i++)
		if (!(text[i] >= 'a' && text[i] <= 'z') &&
			!(i > 0 && ((text[i] >= '0' && text[i] <= '9') || text[i] == '_')))
			return false;
	return n > 0 && n <= LEDGER_WORD_MAX;
}

bool ledger_body_next(struct canonical *c, struct ledger_value *ret)
{
	struct canonical_text before = ret->key;

	if (c->bad || c->at == c->end || *c->at == '}')
		return false;
	if (before.text)
		canonical_char(c, ',');
	canonical_string(c, &ret->key);
	canonical_char(c, ':');
	/* Keys in byte order, each once. */
	int order = before.text && !c->bad ? memcmp(before.text, ret->key.text, MIN_OF(before.n, ret->key.n))
					   : -1;
	c->bad = c->bad || order > 0 || (order == 0 && before.n >= ret->key.n);
	ret->whole.text = c->at;
	ret->string = !c->bad && c->at < c->end && *c->at == '"';
	if (ret->string)
		canonical_string(c, &ret->value);
	else
		canonical_number(c, NULL);
	ret->whole.n = (size_t)(c->at - ret->whole.text);
	if (!ret->string)
		ret->value = ret->whole;
	return !c->bad;
}

/* From 2^53 on a number stands in quotes. */
static bool value_is_of(const struct ledger_value *v, enum ledger_kind kind)
{
	struct canonical c = canonical_over(v->whole.text, v->whole.n);

	if (kind != LEDGER_NUMBER)
		return v->string;
	canonical_number(&c, NULL);
	return canonical_end(&c);
}

bool ledger_value_named(const struct ledger_value *v, const char *key)
{
	return v->key.n == strlen(key) && memcmp(v->key.text, key, v->key.n) == 0;
}

static enum rc field_missing(enum ledger_type type, const struct ledger_field *f, struct err *e)
{
	return err_add(e, RC_MALFORMED,
		"entry of type %s: field '%s' is missing, out of order or not canonical",
		ledger_type_name(type), f->key);
}

enum rc ledger_body_check(enum ledger_type type, const char *text, size_t n, struct err *e)
{
	struct canonical c = canonical_over(text, n);
	struct canonical_text newer = { 0 };
	struct ledger_value v = { 0 };
	size_t count, i = 0;

	if ((unsigned)type >= LEDGER_TYPE_COUNT)
		return err_add(e, RC_MALFORMED, "entry type %u is unknown, expected less than %u",
			(unsigned)type, (unsigned)LEDGER_TYPE_COUNT);
	const struct ledger_field *f = ledger_type_fields(type, &count);
	canonical_char(&c, '{');
	while (ledger_body_next(&c, &v)) {
		if (i + 1 < count && f[i].kind == LEDGER_ADDED && ledger_value_named(&v, f[i + 1].key))
			i++;
		if (i < count && ledger_value_named(&v, f[i].key)) {
			if (!value_is_of(&v, f[i].kind))
				return field_missing(type, &f[i], e);
			i++;
		} else if (ledger_word_good(v.key.text, v.key.n)) {
			newer = newer.text ? newer : v.key;
		} else {
			c.bad = true;
		}
	}
	assert(i <= count);
	if (i < count && f[i].kind != LEDGER_ADDED)
		return field_missing(type, &f[i], e);
	canonical_char(&c, '}');
	if (!canonical_end(&c))
		return err_add(e, RC_MALFORMED, "entry of type %s: unexpected data after its last field",
			ledger_type_name(type));
	if (newer.text)
		return err_add(e, RC_UNSUPPORTED, "entry of type %s: field '%.*s' is unknown to this version",
			ledger_type_name(type), (int)newer.n, newer.text);
	return RC_OK;
}
