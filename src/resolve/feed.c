#include "resolve/feed.h"

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct reader {
	const char *at, *end;
	uint32_t line;
	const struct snap_dynamic *d;
	struct feed *feed;
	uint32_t room;
	struct err *e;
};

static enum rc fault(struct reader *r, const char *found, size_t n, const char *expected)
{
	char text[FEED_FAULT_TEXT + 1];
	size_t k = n < FEED_FAULT_TEXT ? n : FEED_FAULT_TEXT;

	for (size_t i = 0; i < k; i++)
		text[i] = found[i] >= ' ' && found[i] <= '~' ? found[i] : '?';
	text[k] = '\0';
	return err_add(r->e, RC_MALFORMED, "line %u: found '%s'%s, expected %s", r->line, text,
		n > k ? "..." : "", expected);
}

/* An address, a prefix, or first-last. */
static bool range_read(struct ip_range *ret, const char *text, size_t n)
{
	char copy[RANGE_TEXT_MAX];
	struct ip_prefix p;

	if (n == 0 || n >= sizeof copy || memchr(text, '\0', n))
		return false;
	memcpy(copy, text, n);
	copy[n] = '\0';
	char *dash = strchr(copy, '-');
	if (!dash) {
		if (prefix_parse(&p, copy) != RC_OK)
			return false;
		*ret = range_from_prefix(&p);
		return true;
	}
	*dash = '\0';
	return addr_parse(&ret->first, copy) == RC_OK && addr_parse(&ret->last, dash + 1) == RC_OK &&
	       ret->first.family == ret->last.family && addr_compare(&ret->first, &ret->last) <= 0;
}

static enum rc address_add(struct reader *r, const char *text, size_t n)
{
	struct feed *f = r->feed;
	struct ip_range range = { 0 };

	if (!range_read(&range, text, n))
		return fault(r, text, n, "an address, a prefix without host bits, or FIRST-LAST");
	if (f->n == DYNAMIC_RANGES_MAX)
		return err_add(
			r->e, RC_LIMIT, "line %u: more than %u addresses", r->line, DYNAMIC_RANGES_MAX);
	if (f->n == r->room) {
		uint32_t room = r->room ? 2 * r->room : 256;
		struct ip_range *more = reallocarray(f->range, room, sizeof *more);
		if (!more)
			return err_add(r->e, RC_LIMIT, "out of memory for %u addresses", room);
		f->range = more;
		r->room = room;
	}
	f->range[f->n++] = range;
	return RC_OK;
}

/* ---- a plain list ---- */

static bool is_space(char c)
{
	return c == ' ' || c == '\t' || c == '\r' || c == '\n';
}

static enum rc list_read(struct reader *r)
{
	enum rc rc = RC_OK;

	for (; rc == RC_OK && r->at < r->end; r->line++) {
		const char *feed = memchr(r->at, '\n', (size_t)(r->end - r->at));
		const char *end = feed ? feed : r->end, *at = r->at, *word;
		while (at < end && is_space(*at))
			at++;
		for (word = at; at < end && !is_space(*at) && *at != '#' && *at != ';'; at++)
			;
		if (at > word)
			rc = address_add(r, word, (size_t)(at - word));
		r->at = feed ? feed + 1 : r->end;
	}
	return rc;
}

/* ---- JSON (RFC 8259) ---- */

static void space_skip(struct reader *r)
{
	for (; r->at < r->end && is_space(*r->at); r->at++)
		r->line += *r->at == '\n';
}

static enum rc json_fault(struct reader *r, const char *expected)
{
	if (r->at == r->end)
		return err_add(r->e, RC_MALFORMED, "line %u: the text ends, expected %s", r->line, expected);
	size_t n = (size_t)(r->end - r->at);
	return fault(r, r->at, n < 10 ? n : 10, expected);
}

/* A text without its quotes; escapes stay as they are, which no address and no member that is asked for has. */
static enum rc text_read(struct reader *r, const char **ret_text, size_t *ret_n)
{
	const char *at = r->at + 1;

	if (r->at == r->end || *r->at != '"')
		return json_fault(r, "a text in quotes");
	for (; at < r->end && *at != '"'; at++) {
		if ((unsigned char)*at < ' ')
			return json_fault(r, "the end of a text");
		at += *at == '\\' && r->end - at > 1;
	}
	if (at >= r->end) {
		r->at = r->end;
		return json_fault(r, "the end of a text");
	}
	*ret_text = r->at + 1;
	*ret_n = (size_t)(at - *ret_text);
	r->at = at + 1;
	return RC_OK;
}

static bool is_member(const struct snap_dynamic *d, const char *name, size_t n)
{
	for (size_t i = 0; i < DYNAMIC_MEMBERS_MAX; i++)
		if (d->member[i][0] && strlen(d->member[i]) == n && memcmp(d->member[i], name, n) == 0)
			return true;
	return false;
}

static bool has_members(const struct snap_dynamic *d)
{
	return d->member[0][0] != '\0';
}

/* A number, true, false, null. */
static enum rc word_skip(struct reader *r)
{
	const char *word = r->at;

	while (r->at < r->end && (isalnum((unsigned char)*r->at) || strchr("+-.", *r->at)) && *r->at)
		r->at++;
	return r->at > word ? RC_OK : json_fault(r, "a value");
}

static enum rc value_read(struct reader *r, bool wanted, unsigned depth);

/* What stands between the brackets, a value after the other. */
static enum rc parts_read(struct reader *r, bool object, bool wanted, unsigned depth)
{
	const char close = object ? '}' : ']';
	enum rc rc = RC_OK;

	if (depth == FEED_DEPTH_MAX)
		return err_add(r->e, RC_MALFORMED, "line %u: values are nested more than %d deep", r->line,
			FEED_DEPTH_MAX);
	r->at++;
	space_skip(r);
	if (r->at < r->end && *r->at == close) {
		r->at++;
		return RC_OK;
	}
	while (rc == RC_OK) {
		const char *name = NULL;
		size_t n = 0;
		space_skip(r);
		if (object && (rc = text_read(r, &name, &n)) != RC_OK)
			return rc;
		space_skip(r);
		if (object && (r->at == r->end || *r->at++ != ':'))
			return json_fault(r, "':'");
		if ((rc = value_read(r, object ? is_member(r->d, name, n) : wanted, depth + 1)) != RC_OK)
			return rc;
		space_skip(r);
		if (r->at < r->end && *r->at == close) {
			r->at++;
			return RC_OK;
		}
		if (r->at == r->end || *r->at != ',')
			return json_fault(r, object ? "',' or '}'" : "',' or ']'");
		r->at++;
	}
	return rc;
}

/* wanted: texts of it are addresses. */
static enum rc value_read(struct reader *r, bool wanted, unsigned depth)
{
	const char *text;
	size_t n;
	enum rc rc;

	space_skip(r);
	if (r->at == r->end)
		return json_fault(r, "a value");
	switch (*r->at) {
	case '{':
		return parts_read(r, true, false, depth);
	case '[':
		return parts_read(r, false, wanted || (depth == 0 && !has_members(r->d)), depth);
	case '"':
		rc = text_read(r, &text, &n);
		return rc == RC_OK && wanted ? address_add(r, text, n) : rc;
	default:
		return word_skip(r);
	}
}

static enum rc json_read(struct reader *r)
{
	enum rc rc = RC_OK;

	for (space_skip(r); rc == RC_OK && r->at < r->end; space_skip(r))
		rc = value_read(r, false, 0);
	return rc;
}

/* ---- both ---- */

enum rc feed_parse(struct feed *ret, const char *text, size_t n, const struct snap_dynamic *d, struct err *e)
{
	struct feed f = { 0 };
	struct reader r = { .at = text, .end = text + n, .line = 1, .d = d, .feed = &f, .e = e };
	enum rc rc = n > FEED_BYTES_MAX ? err_add(e, RC_LIMIT, "longer than %u octets", FEED_BYTES_MAX)
		     : d->format == DYNAMIC_JSON ? json_read(&r)
						 : list_read(&r);

	*ret = (struct feed){ 0 };
	if (rc == RC_OK && f.n == 0)
		rc = err_add(e, RC_NOT_FOUND,
			d->format == DYNAMIC_JSON && has_members(d)
				? "it has no address under the member '%s'"
				: "it has no address",
			d->member[0]);
	if (rc != RC_OK) {
		feed_done(&f);
		return rc;
	}
	f.n = ranges_join(f.range, f.n);
	*ret = f;
	return RC_OK;
}

void feed_done(struct feed *f)
{
	free(f->range);
	*f = (struct feed){ 0 };
}
