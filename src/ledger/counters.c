#include "ledger/counters.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

_Static_assert(LEDGER_COUNTERS_TEXT_MAX >
		       LEDGER_SOURCES_MAX *
			       (LEDGER_SOURCE_MAX - 1 + sizeof ",  4294967295 18446744073709551615" - 1),
	"the text of all sources fits");

/* NULL: no room for one more. */
static struct ledger_source *source_find(struct ledger_counters *c, const char *name)
{
	assert(c->n <= LEDGER_SOURCES_MAX && strlen(name) < LEDGER_SOURCE_MAX);
	for (size_t i = 0; i < c->n; i++)
		if (strcmp(c->source[i].name, name) == 0)
			return &c->source[i];
	if (c->n == LEDGER_SOURCES_MAX)
		return NULL;
	struct ledger_source *s = &c->source[c->n++];
	*s = (struct ledger_source){ .any = false };
	snprintf(s->name, sizeof s->name, "%s", name);
	return s;
}

static uint64_t due_in(const struct ledger_source *s, uint32_t run)
{
	if (!s->any || run > s->run)
		return 1;
	return run == s->run ? s->last + 1 : 0;
}

uint64_t ledger_counters_due(struct ledger_counters *c, const char *source, uint32_t run)
{
	const struct ledger_source *s = source_find(c, source);

	return s ? due_in(s, run) : 0;
}

bool ledger_counters_gap(
	struct ledger_counters *c, const char *source, uint32_t run, uint64_t first, uint64_t last)
{
	struct ledger_source *s = source_find(c, source);

	if (!s || first == 0 || first != due_in(s, run) || last < first)
		return false;
	s->any = true;
	s->run = run;
	s->last = last;
	assert(due_in(s, run) == last + 1); /* the next one follows without a gap */
	return true;
}

bool ledger_counters_take(struct ledger_counters *c, const char *source, uint32_t run, uint64_t n)
{
	return ledger_counters_gap(c, source, run, n, n);
}

void ledger_counters_text(const struct ledger_counters *c, char ret_text[LEDGER_COUNTERS_TEXT_MAX])
{
	size_t n = 0;

	ret_text[0] = '\0';
	for (size_t i = 0; i < c->n; i++)
		if (c->source[i].any)
			n += (size_t)snprintf(ret_text + n, LEDGER_COUNTERS_TEXT_MAX - n, "%s%s %u %llu",
				n > 0 ? ", " : "", c->source[i].name, (unsigned)c->source[i].run,
				(unsigned long long)c->source[i].last);
	assert(n < LEDGER_COUNTERS_TEXT_MAX);
}

bool ledger_counters_stated(const struct ledger_entry *entry, struct ledger_counters *ret_c)
{
	size_t n = 0;
	const char *field = ledger_entry_field(entry, "last", &n);

	*ret_c = (struct ledger_counters){ 0 };
	return field && ledger_counters_read(field, n, ret_c);
}

/* Read leniently, then written again: if that differs, the text was not in its one form. */
bool ledger_counters_read(const char *field, size_t n, struct ledger_counters *ret_c)
{
	char text[LEDGER_COUNTERS_TEXT_MAX], again[LEDGER_COUNTERS_TEXT_MAX], *rest = NULL;

	*ret_c = (struct ledger_counters){ 0 };
	if (n >= sizeof text)
		return false;
	memcpy(text, field, n);
	text[n] = '\0';
	for (char *item = strtok_r(text, ",", &rest); item; item = strtok_r(NULL, ",", &rest)) {
		char *name = item + (*item == ' '), *end = strchr(name, ' ');
		if (!end || (size_t)(end - name) >= LEDGER_SOURCE_MAX)
			return false;
		*end++ = '\0';
		struct ledger_source *s = source_find(ret_c, name);
		if (!s || s->any)
			return false;
		s->any = true;
		s->run = (uint32_t)strtoull(end, &end, 10);
		s->last = strtoull(end, &end, 10);
	}
	ledger_counters_text(ret_c, again);
	return strlen(again) == n && memcmp(again, field, n) == 0;
}

/* Does the entry state the counters as they are? */
static bool statement_holds(const struct ledger_counters *c, const struct ledger_entry *entry)
{
	struct ledger_counters stated;
	size_t known = 0, same = 0;

	if (!ledger_counters_stated(entry, &stated))
		return false;
	for (size_t i = 0; i < c->n; i++) {
		const struct ledger_source *s = &c->source[i];
		known += s->any;
		for (size_t k = 0; s->any && k < stated.n; k++)
			same += strcmp(stated.source[k].name, s->name) == 0 &&
				stated.source[k].run == s->run && stated.source[k].last == s->last;
	}
	return known == same && known == stated.n;
}

bool ledger_counters_follow(struct ledger_counters *c, const struct ledger_entry *entry, uint64_t *ret_due)
{
	char name[LEDGER_SOURCE_MAX];
	size_t name_n = 0;

	*ret_due = ledger_counters_due(c, entry->source, entry->run);
	if (entry->type == LEDGER_COUNTERS && !statement_holds(c, entry))
		return false;
	if (!ledger_counters_take(c, entry->source, entry->run, entry->n))
		return false;
	if (entry->type != LEDGER_COUNTER_GAP)
		return true;
	const char *text = ledger_entry_field(entry, "source", &name_n);
	uint64_t run = ledger_entry_number(entry, "run");
	if (!text || name_n >= sizeof name || run > UINT32_MAX)
		return false;
	memcpy(name, text, name_n);
	name[name_n] = '\0';
	return ledger_counters_gap(c, name, (uint32_t)run, ledger_entry_number(entry, "first"),
		ledger_entry_number(entry, "last"));
}

void ledger_said(enum ledger_type type, const char *body, size_t body_n, uint8_t ret_hash[SHA256_SIZE])
{
	const char *name = ledger_type_name(type);

	sha256_parts(
		ret_hash, (const struct sha256_part[]){ { name, strlen(name) + 1 }, { body, body_n } }, 2);
}

void ledger_recent_put(struct ledger_recent *r, uint32_t run, uint64_t n, const uint8_t said[SHA256_SIZE],
	uint64_t index, const struct merkle_hash *leaf)
{
	size_t at = n % LEDGER_RECENT_MAX;

	assert(n > 0); /* 0: a place that is empty */
	r->entry[at].n = n;
	r->entry[at].run = run;
	r->entry[at].index = index;
	r->entry[at].leaf = *leaf;
	memcpy(r->entry[at].said, said, SHA256_SIZE);
}

bool ledger_recent_find(const struct ledger_recent *r, uint32_t run, uint64_t n,
	const uint8_t said[SHA256_SIZE], uint64_t *ret_index, struct merkle_hash *ret_leaf)
{
	size_t at = n % LEDGER_RECENT_MAX;

	if (n == 0 || r->entry[at].n != n || r->entry[at].run != run ||
		memcmp(said, r->entry[at].said, SHA256_SIZE) != 0)
		return false;
	*ret_index = r->entry[at].index;
	*ret_leaf = r->entry[at].leaf;
	return true;
}
