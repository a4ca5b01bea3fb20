#include "verify/session_log.h"

#include "base/bytes.h"
#include "base/clock.h"
#include "base/json.h"
#include "base/tw.h"
#include "ledger/entry.h"

#include <assert.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#define ID_SIZE (2 * SESSION_LOG_ID_BYTES + 1)

struct stated {
	char log[ID_SIZE];
	uint64_t last, oldest, index; /* index: in the ledger */
	uint8_t sha256[SHA256_SIZE];
	bool seen; /* lines of its log */
};

struct session_log_check {
	struct session_log_report report;
	struct stated *stated; /* sorted by log and line when the first line comes */
	size_t stated_n, stated_size, next;
	bool sorted;
	char name[64]; /* of the file */
	uint64_t line_in_file;
	char log[ID_SIZE]; /* that the present lines belong to; "" before the first */
	uint64_t n;	   /* of the last line */
	uint8_t last[SHA256_SIZE];
	bool torn; /* the last line had no line feed */
};

struct session_log_check *session_log_check_new(void)
{
	return calloc(1, sizeof(struct session_log_check));
}

void session_log_check_free(struct session_log_check *c)
{
	if (c)
		free(c->stated);
	free(c);
}

void session_log_check_restart(struct session_log_check *c)
{
	c->stated_n = 0;
}

static void __attribute__((format(printf, 2, 3))) finding(struct session_log_check *c, const char *fmt, ...)
{
	va_list ap;

	if (c->report.findings++ > 0)
		return;
	va_start(ap, fmt);
	vsnprintf(c->report.finding, sizeof c->report.finding, fmt, ap);
	va_end(ap);
}

/* ---- the ledger ---- */

enum rc session_log_check_entry(struct session_log_check *c, const struct ledger_entry *entry, uint64_t index)
{
	struct stated s = { .index = index };
	size_t n;

	if (entry->type != LEDGER_SESSION_LOG)
		return RC_OK;
	const char *log = ledger_entry_field(entry, "log", &n);
	if (!log || n != ID_SIZE - 1 || !ledger_entry_hex(entry, "sha256", s.sha256, sizeof s.sha256)) {
		finding(c,
			"entry %llu of the ledger is malformed: expected the identifier and the hash of a session log",
			(unsigned long long)index);
		return RC_OK;
	}
	memcpy(s.log, log, n);
	s.last = ledger_entry_number(entry, "last");
	s.oldest = ledger_entry_number(entry, "oldest");
	if (c->stated_n == c->stated_size) {
		size_t size = c->stated_size ? 2 * c->stated_size : 64;
		struct stated *more = reallocarray(c->stated, size, sizeof *more);
		if (!more)
			return RC_LIMIT;
		c->stated = more;
		c->stated_size = size;
	}
	c->stated[c->stated_n++] = s;
	return RC_OK;
}

static int stated_order(const void *a, const void *b)
{
	const struct stated *x = a, *y = b;
	int by_log = strcmp(x->log, y->log);

	if (by_log != 0)
		return by_log;
	if (x->last != y->last)
		return x->last < y->last ? -1 : 1;
	return x->index < y->index ? -1 : x->index > y->index;
}

static void stated_sort(struct session_log_check *c)
{
	if (c->sorted || c->stated_n == 0)
		return;
	qsort(c->stated, c->stated_n, sizeof c->stated[0], stated_order);
	c->sorted = true;
}

/* The first statement about the log; stated_n: none. */
static size_t stated_first(const struct session_log_check *c, const char *log)
{
	size_t i = 0;

	while (i < c->stated_n && strcmp(c->stated[i].log, log) != 0)
		i++;
	return i;
}

/* ---- lines ---- */

struct line {
	uint64_t n, count;
	uint8_t prev[SHA256_SIZE];
	bool has_n, has_prev, is_lost, is_head;
	char log[ID_SIZE], utc[UTC_TEXT_MAX];
};

static void text_copy(char *ret, size_t size, const struct canonical_text *t)
{
	snprintf(ret, size, "%.*s", (int)MIN_OF(t->n, size - 1), t->text);
}

static bool is_text(const struct canonical_text *t, const char *text)
{
	return t->n == strlen(text) && memcmp(t->text, text, t->n) == 0;
}

/* Strict: canonical, with number, hash, event and time. */
static bool line_parse(struct line *ret, const char *text, size_t n)
{
	struct canonical c = canonical_over(text, n);
	struct ledger_value v = { 0 };
	bool event = false;
	char hex[2 * SHA256_SIZE + 1];
	utc_us at;

	*ret = (struct line){ 0 };
	canonical_char(&c, '{');
	while (ledger_body_next(&c, &v)) {
		if (ledger_value_named(&v, "n") && !v.string && v.value.n < 20) {
			ret->n = strtoull(v.value.text, NULL, 10);
			ret->has_n = true;
		} else if (ledger_value_named(&v, "count") && !v.string) {
			ret->count = strtoull(v.value.text, NULL, 10);
		} else if (ledger_value_named(&v, "prev") && v.string && v.value.n == sizeof hex - 1) {
			text_copy(hex, sizeof hex, &v.value);
			ret->has_prev = hex_to_bytes(ret->prev, sizeof ret->prev, hex);
		} else if (ledger_value_named(&v, "event")) {
			event = true;
			ret->is_lost = is_text(&v.value, "records-lost");
			ret->is_head = is_text(&v.value, "log-file");
		} else if (ledger_value_named(&v, "log")) {
			text_copy(ret->log, sizeof ret->log, &v.value);
		} else if (ledger_value_named(&v, "utc")) {
			text_copy(ret->utc, sizeof ret->utc, &v.value);
		}
	}
	canonical_char(&c, '}');
	return canonical_end(&c) && ret->has_n && ret->has_prev && event && utc_read(&at, ret->utc);
}

/* The end of the lines of one log: what the ledger says further of it. */
static void log_end(struct session_log_check *c)
{
	uint64_t last = 0;

	if (!c->log[0])
		return;
	size_t first = stated_first(c, c->log);
	for (size_t i = first; i < c->stated_n && strcmp(c->stated[i].log, c->log) == 0; i++)
		last = MAX_OF(last, c->stated[i].last);
	if (last > c->n)
		finding(c, "lines %llu to %llu are missing at the end: the ledger has an entry about them",
			(unsigned long long)c->n + 1, (unsigned long long)last);
	c->report.uncovered += c->n > last ? c->n - last : 0;
}

/* Lines of another log begin, or the first ones. */
static void log_begin(struct session_log_check *c, const struct line *l)
{
	uint64_t oldest = 0;

	log_end(c);
	memcpy(c->log, l->log, sizeof c->log);
	c->report.logs++;
	size_t first = c->next = stated_first(c, c->log);
	if (first == c->stated_n)
		finding(c, "'%s': the ledger has no entry about the log %s", c->name, c->log);
	for (size_t i = first; i < c->stated_n && strcmp(c->stated[i].log, c->log) == 0; i++) {
		oldest = MAX_OF(oldest, c->stated[i].oldest);
		c->stated[i].seen = true;
		c->report.entries++;
	}
	if (first < c->stated_n && l->n > MAX_OF(oldest, 1))
		finding(c,
			"lines %llu to %llu are missing at the beginning: the ledger has no entry that they were deleted",
			(unsigned long long)MAX_OF(oldest, 1), (unsigned long long)l->n - 1);
	c->report.deleted += l->n > 0 ? l->n - 1 : 0;
	c->n = l->n - 1;
	memcpy(c->last, l->prev,
		sizeof c->last); /* of what was deleted, the next lines and the ledger vouch for it */
	while (c->next < c->stated_n && strcmp(c->stated[c->next].log, c->log) == 0 &&
		c->stated[c->next].last < l->n)
		c->next++;
}

static void line_compare(struct session_log_check *c, const struct line *l)
{
	bool covered = false;

	for (; c->next < c->stated_n && strcmp(c->stated[c->next].log, c->log) == 0 &&
		c->stated[c->next].last <= c->n;
		c->next++) {
		const struct stated *s = &c->stated[c->next];
		if (s->last < c->n)
			continue;
		c->report.compared++;
		covered = true;
		if (memcmp(s->sha256, c->last, sizeof s->sha256) != 0)
			finding(c,
				"'%s' line %llu: line %llu of the log, or one before it, is not what entry %llu of the "
				"ledger says",
				c->name, (unsigned long long)c->line_in_file, (unsigned long long)c->n,
				(unsigned long long)s->index);
	}
	if (covered)
		snprintf(c->report.last_covered, sizeof c->report.last_covered, "%s", l->utc);
}

void session_log_check_file(struct session_log_check *c, const char *name)
{
	stated_sort(c);
	if (c->torn)
		finding(c, "'%s' ends within a line, and another file follows", c->name);
	c->torn = false;
	snprintf(c->name, sizeof c->name, "%s", name);
	c->line_in_file = 0;
	c->report.files++;
}

void session_log_check_line(struct session_log_check *c, const char *line, size_t n, bool ended)
{
	struct line l;

	c->line_in_file++;
	if (!ended) {
		c->torn = true; /* it is being written, or its writer died */
		return;
	}
	if (!line_parse(&l, line, n)) {
		finding(c, "'%s' line %llu is malformed: expected canonical JSON with n, prev, event and utc",
			c->name, (unsigned long long)c->line_in_file);
		return;
	}
	if (l.is_head != (c->line_in_file == 1) || (l.is_head && strlen(l.log) != ID_SIZE - 1))
		finding(c, "'%s' line %llu: a file begins with one event log-file and has no other", c->name,
			(unsigned long long)c->line_in_file);
	if (l.is_head && strcmp(l.log, c->log) != 0)
		log_begin(c, &l);
	if (l.n != c->n + 1)
		finding(c,
			"'%s' line %llu is number %llu of the log, expected %llu: lines were removed, added or moved",
			c->name, (unsigned long long)c->line_in_file, (unsigned long long)l.n,
			(unsigned long long)c->n + 1);
	else if (memcmp(l.prev, c->last, sizeof l.prev) != 0)
		finding(c,
			"'%s' line %llu does not have the hash of the line before: one of the two was changed",
			c->name, (unsigned long long)c->line_in_file);
	c->report.lines++;
	c->report.lost += l.is_lost ? l.count : 0;
	c->n = l.n;
	sha256(c->last, line, n);
	line_compare(c, &l);
}

void session_log_check_end(struct session_log_check *c, struct session_log_report *ret)
{
	stated_sort(c);
	log_end(c);
	for (size_t i = 0; i < c->stated_n; i++)
		if (!c->stated[i].seen && (i == 0 || strcmp(c->stated[i].log, c->stated[i - 1].log) != 0))
			finding(c, "no line of the log %s is there, of which the ledger has entry %llu",
				c->stated[i].log, (unsigned long long)c->stated[i].index);
	c->report.good = c->report.findings == 0;
	*ret = c->report;
}

/* ---- the report ---- */

size_t session_log_report_text(const struct session_log_report *r, char *ret_text, size_t size)
{
	struct tw w = tw_over(ret_text, size);

	if (r->good)
		tw_say(&w, "session log: good\n");
	else
		tw_say(&w, "session log: NOT GOOD\n%s\n", r->finding);
	if (r->staleness[0])
		tw_say(&w,
			"NOT PROVED: whoever has the ledger's key may have written this log and its entries: %s\n",
			r->staleness);
	if (r->findings > 1)
		tw_say(&w, "%llu more findings\n", (unsigned long long)r->findings - 1);
	tw_say(&w, "%llu lines in %llu files, compared with %llu entries of the ledger\n",
		(unsigned long long)r->lines, (unsigned long long)r->files, (unsigned long long)r->compared);
	if (r->last_covered[0])
		tw_say(&w, "covered by the ledger up to the line of %s\n", r->last_covered);
	tw_say(&w, "%llu lines after the last entry are not covered yet\n", (unsigned long long)r->uncovered);
	if (r->deleted > 0)
		tw_say(&w, "%llu lines before were deleted by the gateway for want of room\n",
			(unsigned long long)r->deleted);
	tw_say(&w, "%llu records were lost, as the log itself says\n", (unsigned long long)r->lost);
	return tw_done(&w);
}

size_t session_log_report_json(const struct session_log_report *r, char *ret_text, size_t size)
{
	struct jw w = jw_over(ret_text, size, true);

	jw_object(&w, NULL);
	jw_u64(&w, "compared", r->compared);
	jw_u64(&w, "deleted", r->deleted);
	jw_u64(&w, "entries", r->entries);
	jw_u64(&w, "files", r->files);
	jw_str(&w, "finding", r->finding);
	jw_u64(&w, "findings", r->findings);
	jw_bool(&w, "good", r->good);
	jw_str(&w, "last_covered", r->last_covered);
	jw_u64(&w, "lines", r->lines);
	jw_u64(&w, "lost", r->lost);
	jw_str(&w, "staleness", r->staleness);
	jw_u64(&w, "uncovered", r->uncovered);
	jw_end(&w);
	return jw_done(&w);
}
