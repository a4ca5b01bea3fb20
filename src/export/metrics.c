#include "export/metrics.h"

#include "base/bytes.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define NONE UINT32_MAX

enum metric_how { NUMBER, MICRO, AGO, START, UTC, IS, ONE };
enum metric_more { FIRST, SUM, MOST };

static const struct metric_row {
	const char *name, *type, *table, *key;
	enum metric_how how;
	const char *word, *only, *labels;
	enum metric_more more;
	const char *help;
} rows[METRIC_COUNT] = {
#define COUNTER "counter"
#define GAUGE	"gauge"
#define E(name, type, table, key, how, word, only, labels, more, help)                                       \
	[METRIC_##name] = { "plaingate_" #name, type, table, key, how, word, only, labels, more, help },
	METRICS(E)
#undef E
};

struct sample {
	uint32_t metric, labels_at, labels_n;
	uint32_t next; /* of the same metric */
	uint64_t value;
};

#define SLOTS (2 * METRICS_SAMPLES_MAX)

struct metrics {
	utc_us now;
	struct sample *sample; /* METRICS_SAMPLES_MAX */
	uint32_t samples_n, first[METRIC_COUNT], last[METRIC_COUNT];
	uint32_t *slot; /* sample + 1 by metric and labels, linear probing */
	char *labels;	/* METRICS_LABEL_BYTES_MAX */
	size_t labels_n;
	uint64_t left_out;
	struct flat row;
};

struct metrics *metrics_new(void)
{
	struct metrics *m = calloc(1, sizeof *m);

	if (!m)
		return NULL;
	m->sample = calloc(METRICS_SAMPLES_MAX, sizeof *m->sample);
	m->slot = calloc(SLOTS, sizeof *m->slot);
	m->labels = malloc(METRICS_LABEL_BYTES_MAX); /* pages that are not written to are not there */
	if (!m->sample || !m->slot || !m->labels) {
		metrics_free(m);
		return NULL;
	}
	return m;
}

void metrics_free(struct metrics *m)
{
	if (!m)
		return;
	free(m->sample);
	free(m->slot);
	free(m->labels);
	free(m);
}

/* ---- labels ---- */

/* What there is no room for makes the sample one that is left out. */
struct labels {
	struct metrics *m;
	size_t n; /* from m->labels_n on */
	bool bad;
};

static void label_bytes(struct labels *l, const char *bytes, size_t n)
{
	if (l->bad || METRICS_LABEL_BYTES_MAX - l->m->labels_n - l->n < n) {
		l->bad = true;
		return;
	}
	memcpy(l->m->labels + l->m->labels_n + l->n, bytes, n);
	l->n += n;
}

static void label_put(struct labels *l, const char *name, size_t name_n, const char *value)
{
	label_bytes(l, l->n ? "," : "{", 1);
	label_bytes(l, name, name_n);
	label_bytes(l, "=\"", 2);
	for (const char *at = value; *at; at++) {
		if (*at == '\\' || *at == '"')
			label_bytes(l, "\\", 1);
		if (*at == '\n')
			label_bytes(l, "\\n", 2);
		else
			label_bytes(l, at, 1);
	}
	label_bytes(l, "\"", 1);
}

/* Of a condition "key=value-" by the same key: what comes behind the prefix. */
static const char *behind_prefix(const struct metric_row *r, const char *key, const char *text)
{
	size_t key_n = strlen(key), n = strlen(r->only);

	if (n > key_n + 1 && r->only[n - 1] == '-' && strncmp(r->only, key, key_n) == 0 &&
		r->only[key_n] == '=')
		return text + (n - key_n - 1);
	return text;
}

/* False: the row lacks one of them. */
static bool labels_read(struct labels *l, const struct metric_row *r, const struct flat *row)
{
	for (const char *at = r->labels; *at;) {
		size_t n = strcspn(at, ",");
		bool optional = *at == '?';
		const char *name = at + optional, *colon = memchr(at, ':', n);
		size_t name_n = colon ? (size_t)(colon - name) : n - optional;
		char key[64];
		snprintf(key, sizeof key, "%.*s", colon ? (int)(n - (size_t)(colon + 1 - at)) : (int)name_n,
			colon ? colon + 1 : name);
		const struct flat_field *f = flat_find(row, key);
		if (f)
			label_put(l, name, name_n, behind_prefix(r, key, f->text));
		else if (!optional)
			return false;
		at += n + (at[n] == ',');
	}
	if (l->n)
		label_bytes(l, "}", 1);
	return true;
}

/* ---- samples ---- */

static bool same_sample(
	const struct metrics *m, const struct sample *a, uint32_t metric, const char *labels, size_t n)
{
	return a->metric == metric && a->labels_n == n && memcmp(m->labels + a->labels_at, labels, n) == 0;
}

/* FNV-1a: labels are the administrator's choice, and no stranger's. */
static uint32_t slot_of(uint32_t metric, const char *labels, size_t n)
{
	uint32_t h = 2166136261u ^ metric;

	for (size_t i = 0; i < n; i++)
		h = (h ^ (uint8_t)labels[i]) * 16777619u;
	return h % SLOTS;
}

static void sample_put(struct metrics *m, uint32_t metric, const struct labels *l, uint64_t value)
{
	const char *labels = m->labels + m->labels_n;
	uint32_t at = slot_of(metric, labels, l->n);

	if (l->bad) {
		m->left_out++;
		return;
	}
	for (; m->slot[at]; at = (at + 1) % SLOTS) {
		struct sample *x = &m->sample[m->slot[at] - 1];
		if (!same_sample(m, x, metric, labels, l->n))
			continue;
		if (rows[metric].more == SUM)
			x->value += value;
		else if (rows[metric].more == MOST)
			x->value = MAX_OF(x->value, value);
		return;
	}
	if (m->samples_n == METRICS_SAMPLES_MAX) {
		m->left_out++;
		return;
	}
	uint32_t i = m->samples_n++;
	m->sample[i] = (struct sample){ metric, (uint32_t)m->labels_n, (uint32_t)l->n, NONE, value };
	m->labels_n += l->n;
	m->slot[at] = i + 1;
	if (m->first[metric] == NONE)
		m->first[metric] = i;
	else
		m->sample[m->last[metric]].next = i;
	m->last[metric] = i;
}

void metrics_begin(struct metrics *m, utc_us now)
{
	m->now = now;
	m->samples_n = 0;
	m->labels_n = 0;
	m->left_out = 0;
	memset(m->slot, 0, SLOTS * sizeof *m->slot);
	memset(m->first, 0xff, sizeof m->first);
	memset(m->last, 0xff, sizeof m->last);
	sample_put(m, METRIC_samples_left_out, &(struct labels){ .m = m }, 0); /* the first one has room */
}

/* ---- rows ---- */

static bool row_meets(const struct metric_row *r, const struct flat *row)
{
	const char *equals = strchr(r->only, '=');
	char key[64];

	if (!equals)
		return true;
	snprintf(key, sizeof key, "%.*s", (int)(equals - r->only), r->only);
	const struct flat_field *f = flat_find(row, key);
	size_t n = strlen(equals + 1);
	if (!f)
		return false;
	return equals[n] == '-' ? strncmp(f->text, equals + 1, n) == 0 : strcmp(f->text, equals + 1) == 0;
}

static bool is_one_of(const char *words, const char *text)
{
	size_t n = strlen(text);

	for (const char *at = words; *at; at += strcspn(at, "|"), at += *at == '|')
		if (strcspn(at, "|") == n && memcmp(at, text, n) == 0)
			return true;
	return false;
}

static bool value_of(
	const struct metrics *m, const struct metric_row *r, const struct flat_field *f, uint64_t *ret_value)
{
	uint64_t now = m->now / 1000000;
	utc_us t;

	switch (r->how) {
	case NUMBER:
	case MICRO:
		*ret_value = f->number;
		return f->is_number;
	case AGO:
	case START:
		*ret_value = f->number < now ? now - f->number : 0;
		return f->is_number && (r->how == AGO || f->number > 0);
	case UTC:
		if (!utc_read(&t, f->text))
			return false;
		*ret_value = t / 1000000;
		return true;
	case IS:
		*ret_value = is_one_of(r->word, f->text);
		return true;
	case ONE:
		*ret_value = 1;
		return true;
	}
	return false;
}

bool metrics_row(struct metrics *m, const char *table, const char *json, size_t n)
{
	if (!flat_read(&m->row, json, n))
		return false;
	for (uint32_t i = 0; i < METRIC_COUNT; i++) {
		const struct metric_row *r = &rows[i];
		struct labels l = { .m = m };
		uint64_t value;
		if (strcmp(r->table, table) != 0 || !row_meets(r, &m->row))
			continue;
		const struct flat_field *f = flat_find(&m->row, r->key);
		if (f && value_of(m, r, f, &value) && labels_read(&l, r, &m->row))
			sample_put(m, i, &l, value);
	}
	return true;
}

void metrics_own(struct metrics *m, enum metric which, const char *value, uint64_t number)
{
	struct labels l = { .m = m };

	if (value) {
		label_put(&l, rows[which].labels, strlen(rows[which].labels), value);
		label_bytes(&l, "}", 1);
	}
	sample_put(m, which, &l, number);
}

/* ---- the page ---- */

struct page {
	char *text; /* NULL: out of memory */
	size_t n, size;
};

__attribute__((format(printf, 3, 4))) static void page_put(struct page *p, size_t most, const char *fmt, ...)
{
	va_list args;

	if (p->text && p->size - p->n <= most) {
		p->size = 2 * p->size + most;
		char *larger = realloc(p->text, p->size);
		if (!larger)
			free(p->text);
		p->text = larger;
	}
	if (!p->text)
		return;
	va_start(args, fmt);
	p->n += (size_t)vsnprintf(p->text + p->n, p->size - p->n, fmt, args);
	va_end(args);
}

static void page_metric(struct page *p, const struct metrics *m, uint32_t which)
{
	const struct metric_row *r = &rows[which];

	if (m->first[which] == NONE)
		return;
	page_put(p, 1024, "# HELP %s %s\n# TYPE %s %s\n", r->name, r->help, r->name, r->type);
	for (uint32_t i = m->first[which]; i != NONE; i = m->sample[i].next) {
		const struct sample *x = &m->sample[i];
		unsigned long long v = x->value;
		page_put(
			p, 256 + x->labels_n, "%s%.*s ", r->name, (int)x->labels_n, m->labels + x->labels_at);
		if (r->how == MICRO)
			page_put(p, 64, "%llu.%06llu\n", v / 1000000, v % 1000000);
		else
			page_put(p, 64, "%llu\n", v);
	}
}

char *metrics_page(struct metrics *m, size_t *ret_n)
{
	struct page p = { .size = 64 << 10 };

	m->sample[m->first[METRIC_samples_left_out]].value = m->left_out;
	p.text = malloc(p.size);
	for (uint32_t i = 0; i < METRIC_COUNT && p.text; i++)
		page_metric(&p, m, i);
	*ret_n = p.n;
	return p.text;
}

const char *metrics_table(unsigned i)
{
	for (uint32_t k = 0; k < METRIC_COUNT; k++) {
		bool before = rows[k].table[0] == '\0';
		for (uint32_t j = 0; j < k && !before; j++)
			before = strcmp(rows[j].table, rows[k].table) == 0;
		if (!before && i-- == 0)
			return rows[k].table;
	}
	return NULL;
}

struct metric_facts metric_facts(enum metric which)
{
	const struct metric_row *r = &rows[which];

	return (struct metric_facts){ r->name, r->type, r->table, r->labels, r->help };
}
