#include "verify/timeline.h"

#include "base/bytes.h"
#include "base/wr.h"

#include <assert.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

struct page_text {
	char *bytes;
	size_t n, room;
	bool bad; /* out of memory */
};

struct timeline {
	struct page_text rows, context;
	uint64_t count[LEDGER_TYPE_COUNT];
};

static void put(struct page_text *t, const char *bytes, size_t n)
{
	if (t->bad)
		return;
	if (t->room - t->n < n) {
		size_t room = MAX_OF(t->n + n, MAX_OF(2 * t->room, (size_t)4096));
		char *more = realloc(t->bytes, room);
		if (!more) {
			t->bad = true;
			return;
		}
		t->bytes = more;
		t->room = room;
	}
	memcpy(t->bytes + t->n, bytes, n);
	t->n += n;
}

static void say(struct page_text *t, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
static void say(struct page_text *t, const char *fmt, ...)
{
	char line[1024];
	va_list ap;

	va_start(ap, fmt);
	int n = vsnprintf(line, sizeof line, fmt, ap);
	va_end(ap);
	put(t, line, n < 0 ? 0 : MIN_OF((size_t)n, sizeof line - 1));
}

/* ---- escaping ---- */

/* Characters that do not show, or that turn the direction of what follows. */
static bool hides(uint32_t c)
{
	static const struct {
		uint32_t first, last;
	} ranges[] = { { 0, 0x1f }, { 0x7f, 0x9f }, { 0xad, 0xad }, { 0x61c, 0x61c }, { 0x180e, 0x180e },
		{ 0x200b, 0x200f }, { 0x2028, 0x202e }, { 0x2060, 0x206f }, { 0xfeff, 0xfeff },
		{ 0xfff0, 0xffff }, { 0xe0000, 0x10ffff } };

	for (size_t i = 0; i < COUNT_OF(ranges); i++)
		if (c >= ranges[i].first && c <= ranges[i].last)
			return true;
	return false;
}

static uint32_t code_point(const unsigned char *s, size_t n)
{
	uint32_t c = n == 1 ? s[0] : s[0] & (0xffu >> (n + 1));

	for (size_t i = 1; i < n; i++)
		c = c << 6 | (s[i] & 0x3f);
	return c;
}

/* A text of a body as in canonical JSON: the quote and the backslash are unescaped, the rest is shown as
 * it is. */
static void put_escaped(struct page_text *t, const char *text, size_t n)
{
	const unsigned char *s = (const unsigned char *)text;

	for (size_t i = 0, len; i < n; i += len) {
		if (s[i] == '\\' && i + 1 < n && (s[i + 1] == '"' || s[i + 1] == '\\'))
			i++;
		len = utf8_length(s + i, n - i);
		uint32_t c = len ? code_point(s + i, len) : s[i];
		if (len == 0 || hides(c)) {
			say(t, "<u>U+%04X</u>", (unsigned)c);
			len = MAX_OF(len, (size_t)1);
		} else if (c == '&' || c == '<' || c == '>' || c == '"' || c == '\'') {
			say(t, "&#%u;", (unsigned)c);
		} else {
			put(t, text + i, len);
		}
	}
}

static void put_string(struct page_text *t, const char *text)
{
	put_escaped(t, text, strlen(text));
}

/* ---- rows ---- */

/* Actions of administrators, and what should not have happened: they are highlighted. */
static bool stands_out(enum ledger_type type)
{
	return type == LEDGER_CONFIG_COMMIT || type == LEDGER_CONFIG_OVERRIDE ||
	       type == LEDGER_CONFIG_REFUSED || type == LEDGER_ADMIN_ACT ||
	       type == LEDGER_ADMIN_ACT_ABORTED || type == LEDGER_ADMIN_REFUSED ||
	       type == LEDGER_PROCESS_EXIT || type == LEDGER_COUNTER_GAP || type == LEDGER_LEDGER_OUTAGE ||
	       type == LEDGER_KEYS_WIPED || type == LEDGER_LEDGER_START || type == LEDGER_LEDGER_RECOVERY ||
	       type == LEDGER_WITNESS_MISSING || type == LEDGER_WITNESSES_CHANGE ||
	       type == LEDGER_ENTROPY_FAILED;
}

static void put_row(struct page_text *t, const struct ledger_entry *entry, uint64_t index)
{
	size_t fields_n;
	const struct ledger_field *f = ledger_type_fields(entry->type, &fields_n);

	say(t, "<tr%s><td>%llu<td>", stands_out(entry->type) ? " class=k" : "", (unsigned long long)index);
	put_string(t, entry->utc);
	put(t, "<td>", 4);
	put_string(t, entry->source);
	say(t, "<td><b>%s</b><br>%s<td>", ledger_type_name(entry->type), ledger_type_text(entry->type));
	for (size_t i = 0; i < fields_n; i++) {
		size_t n;
		const char *value = ledger_entry_field(entry, f[i].key, &n);
		if (!value || n == 0)
			continue;
		say(t, "<span><i>%s</i> <bdi>", f[i].key);
		put_escaped(t, value, n);
		put(t, "</bdi></span> ", 14);
	}
	put(t, "\n", 1);
}

struct timeline *timeline_new(void)
{
	return calloc(1, sizeof(struct timeline));
}

void timeline_free(struct timeline *t)
{
	if (!t)
		return;
	free(t->rows.bytes);
	free(t->context.bytes);
	free(t);
}

void timeline_entry(struct timeline *t, const struct ledger_entry *entry, uint64_t index, bool context)
{
	assert(entry->type < LEDGER_TYPE_COUNT);
	put_row(context ? &t->context : &t->rows, entry, index);
	if (!context)
		t->count[entry->type]++;
}

/* ---- the page ---- */

static const char style[] =
	"body{font:15px/1.45 sans-serif;margin:2em;max-width:110em;color:#111;background:#fff}"
	"table{border-collapse:collapse}td,th{border-top:1px solid #ccc;padding:.3em .7em;text-align:left;"
	"vertical-align:top}td:first-child{text-align:right}tr.k{background:#fff4d6}"
	"code,bdi{font-family:monospace;overflow-wrap:anywhere}span{margin-right:.8em}i{color:#666}"
	"u{color:#a00}";

static void put_head(struct page_text *t, const struct verify_report *r)
{
	char hex[2 * SHA256_SIZE + 1];

	say(t, "<!DOCTYPE html>\n<html lang=en><meta charset=utf-8>\n"
	       "<meta http-equiv=Content-Security-Policy content=\"default-src 'none'; style-src "
	       "'unsafe-inline'\">\n<title>Timeline of ");
	put_string(t, r->origin);
	say(t, "</title>\n<style>%s</style>\n<h1>Timeline of <bdi>", style);
	put_string(t, r->origin);
	say(t, "</bdi></h1>\n<p>Every entry of the ledger from <b>");
	put_string(t, r->range.from);
	say(t, "</b> to <b>");
	put_string(t, r->range.to);
	say(t, "</b>: %llu entries, from number %llu on. Made by Plaingate ",
		(unsigned long long)(r->range.end - r->range.first), (unsigned long long)r->range.first);
	put_string(t, r->range.version);
	say(t, " on ");
	put_string(t, r->range.made);
	say(t, ".\n<p><b>This page proves nothing by itself.</b> It lies in a bundle together with the "
	       "entries that it "
	       "shows and with the proof that the ledger's key signed them: <code>plaingate verify ledger "
	       "BUNDLE "
	       "--key VKEY --explain</code> checks the proof, makes this page again and compares. Take the "
	       "key from "
	       "where it was noted, not from here.\n<table>\n<tr><th>key in the bundle<td><code>");
	put_string(t, r->vkey);
	say(t, "</code>\n<tr><th>signed head<td>%llu entries, root <code>%s</code>\n</table>\n",
		(unsigned long long)r->size, hex_from_bytes(hex, r->root, sizeof r->root));
}

static void put_counts(struct page_text *t, const struct timeline *from)
{
	say(t, "<h2>In numbers</h2>\n<table>\n");
	for (unsigned i = 0; i < LEDGER_TYPE_COUNT; i++)
		if (from->count[i] > 0)
			say(t, "<tr><td>%llu<td><b>%s</b><td>%s\n", (unsigned long long)from->count[i],
				ledger_type_name(i), ledger_type_text(i));
	say(t, "</table>\n");
}

static void put_table(struct page_text *t, const char *title, const struct page_text *rows)
{
	if (rows->n == 0)
		return;
	say(t, "<h2>%s</h2>\n<table>\n<tr><th>entry<th>time (UTC)<th>process<th>what<th>details\n", title);
	put(t, rows->bytes, rows->n);
	say(t, "</table>\n");
}

char *timeline_page(const struct timeline *t, const struct verify_report *r, size_t *ret_n)
{
	struct page_text page = { .bad = t->rows.bad || t->context.bad };

	put_head(&page, r);
	put_counts(&page, t);
	put_table(&page, "In force before", &t->context);
	put_table(&page, "Entries", &t->rows);
	if (page.bad) {
		free(page.bytes);
		return NULL;
	}
	*ret_n = page.n;
	return page.bytes;
}
