#include "model/dynamic.h"
#include "model/snapshot_check.h"

#include <stdlib.h>

static int range_order(const void *a, const void *b)
{
	const struct ip_range *x = a, *y = b;
	int order = addr_compare(&x->first, &y->first);

	if (range_is_wildcard(x) != range_is_wildcard(y))
		return range_is_wildcard(x) ? 1 : -1; /* behind the others, which are sorted and disjoint */
	return order ? order : addr_compare(&x->last, &y->last);
}

/* The next address; false after the last one of the family. */
static bool addr_next(struct ip_addr *a)
{
	for (size_t i = addr_size(a); i-- > 0;) {
		if (++a->b[i] != 0)
			return true;
	}
	return false;
}

static bool ranges_sorted(const struct ip_range *r, uint32_t n)
{
	for (uint32_t i = 1; i < n; i++)
		if (range_order(&r[i - 1], &r[i]) > 0)
			return false;
	return true;
}

uint32_t ranges_join(struct ip_range *r, uint32_t count)
{
	uint32_t n = 0;

	if (count == 0)
		return 0;
	if (!ranges_sorted(r, count))
		qsort(r, count, sizeof *r, range_order);
	for (uint32_t i = 1; i < count; i++) {
		struct ip_addr next = r[n].last;
		bool more = addr_next(&next);
		bool touches = !range_is_wildcard(&r[i]) && r[i].first.family == r[n].last.family &&
			       (!more || addr_compare(&r[i].first, &next) <= 0);
		if (!touches)
			r[++n] = r[i];
		else if (addr_compare(&r[i].last, &r[n].last) > 0)
			r[n].last = r[i].last;
	}
	return n + 1;
}

/* ---- what the resolver has found ---- */

static enum rc set_check(const struct ip_range *r, uint32_t n, uint32_t i, struct err *e)
{
	for (uint32_t k = 0; k < n; k++)
		if (range_is_wildcard(&r[k]) || !snapshot_range_ok(&r[k]) ||
			(k > 0 && addr_compare(&r[k - 1].last, &r[k].first) >= 0))
			return bad(e, "dynamics", i, "its addresses are not sorted and disjoint");
	return RC_OK;
}

/* Where each set is, first as a copy of what is shared, then checked. *ret_n: ranges of all of them. */
static enum rc spans_copy(
	struct dynamic_sets *x, const struct dynamic_area *a, uint32_t *ret_n, struct err *e)
{
	memcpy(x->set, a->set, x->count * sizeof *x->set);
	*ret_n = 0;
	for (uint32_t i = 0; i < x->count; i++) {
		if (x->set[i].first != *ret_n || x->set[i].count > DYNAMIC_RANGES_MAX - *ret_n)
			return bad(e, "dynamics", i, "its addresses do not follow those before them");
		*ret_n += x->set[i].count;
	}
	return RC_OK;
}

/* What was known before of those that are not known now, behind the others. */
static void before_keep(struct dynamic_sets *x, uint32_t n, uint32_t room, const struct dynamic_area *a,
	const struct dynamic_sets *before)
{
	for (uint32_t i = 0; i < x->count; i++) {
		const struct span *was = a->known[i] ? NULL : dynamic_set_of(before, &x->of[i]);
		if (!was || was->count == 0 || was->count > room - n)
			continue;
		memcpy(x->range + n, before->range + was->first, was->count * sizeof *x->range);
		x->set[i] = (struct span){ n, was->count };
		n += was->count;
	}
}

enum rc dynamic_sets_copy(struct dynamic_sets *ret, const struct dynamic_area *a,
	const struct snap_dynamic *of, uint32_t count, const struct dynamic_sets *before, struct err *e)
{
	struct dynamic_sets x = { .count = count };
	uint32_t n = 0, more = 0;
	enum rc rc = RC_LIMIT;

	for (uint32_t i = 0; i < before->count; i++)
		more += before->set[i].count;
	x.of = calloc(count + 1u, sizeof *x.of);
	x.set = calloc(count + 1u, sizeof *x.set);
	if (x.of && x.set) {
		memcpy(x.of, of, count * sizeof *of);
		rc = spans_copy(&x, a, &n, e);
		x.range = rc == RC_OK ? calloc((size_t)n + more + 1, sizeof *x.range) : NULL;
	}
	if (rc != RC_MALFORMED && !x.range)
		rc = err_add(e, RC_LIMIT, "out of memory for %u addresses", n + more);
	if (rc == RC_OK)
		memcpy(x.range, a->range, n * sizeof *x.range);
	for (uint32_t i = 0; rc == RC_OK && i < count; i++)
		rc = set_check(x.range + x.set[i].first, x.set[i].count, i, e);
	if (rc == RC_OK) {
		before_keep(&x, n, n + more, a, before);
		*ret = x;
	} else {
		dynamic_sets_done(&x);
	}
	return rc;
}

void dynamic_sets_done(struct dynamic_sets *x)
{
	free(x->of);
	free(x->set);
	free(x->range);
	*x = (struct dynamic_sets){ 0 };
}

const struct span *dynamic_set_of(const struct dynamic_sets *x, const struct snap_dynamic *d)
{
	for (uint32_t i = 0; i < x->count; i++)
		if (x->of[i].kind == d->kind && strcmp(x->of[i].object, d->object) == 0 &&
			strcmp(x->of[i].name, d->name) == 0)
			return &x->set[i];
	return NULL;
}

/* ---- the snapshot with them ---- */

struct fill {
	const struct snapshot *base;
	const struct dynamic_sets *x;
	struct span *known; /* by the record in dynamics: into x->range */
	struct span *made;  /* by the first range of a span: what it has become; count 0: nothing yet */
	struct ip_range *range;
	uint64_t n, room;
	bool failed;
};

bool dynamic_any(const struct snapshot *s)
{
	for (uint32_t i = 0; i < s->dynamics.count; i++)
		if (dynamic_has_ranges(snap_dynamics(s)[i].kind))
			return true;
	return false;
}

bool dynamic_in(const struct snapshot *s, struct span span)
{
	for (; span.count > 0 && range_is_wildcard(&snap_ranges(s)[span.first + span.count - 1]);
		span.count--)
		if (range_is_dynamic(&snap_ranges(s)[span.first + span.count - 1]))
			return true;
	return false;
}

static void fill_add(struct fill *f, const struct ip_range *r, uint32_t n)
{
	while (!f->failed && f->n + n > f->room) {
		uint64_t room = f->room ? 2 * f->room : 1024;
		struct ip_range *more = reallocarray(f->range, room, sizeof *more);
		f->failed = !more;
		if (more) {
			f->range = more;
			f->room = room;
		}
	}
	if (f->failed || n == 0)
		return;
	memcpy(f->range + f->n, r, n * sizeof *r);
	f->n += n;
}

/* The span with addresses in place of what stands for them. Where that is nothing one stays that matches nothing: a span without
 * ranges would be any address. */
static struct span span_make(struct fill *f, struct span span)
{
	const struct ip_range *r = snap_ranges(f->base) + span.first;
	uint64_t first = f->n;

	for (uint32_t i = 0; i < span.count && f->n < RANGES_MAX; i++) {
		if (!range_is_dynamic(&r[i])) {
			fill_add(f, &r[i], 1);
			continue;
		}
		struct span set = f->known[range_dynamic(&r[i])];
		fill_add(f, f->x->range + set.first, set.count);
	}
	if (f->failed)
		return span;
	f->n = first + ranges_join(f->range + first, (uint32_t)(f->n - first));
	if (f->n == first)
		fill_add(f, &r[span.count - 1], 1);
	return (struct span){ (uint32_t)(f->base->ranges.count + first), (uint32_t)(f->n - first) };
}

static void span_fill(struct fill *f, struct span *span)
{
	struct span was = *span;

	if (f->failed || !dynamic_in(f->base, was))
		return;
	struct span *made = &f->made[was.first];
	/* Two spans that begin at the same place are the same: those of one object. */
	if (made->count == 0)
		*made = span_make(f, was);
	*span = *made;
}

static void spans_fill(struct fill *f, struct snapshot *s)
{
	struct snap_rule *rules = (void *)((uint8_t *)s + s->rules.first);
	struct snap_nat_rule *nat = (void *)((uint8_t *)s + s->nat_rules.first);

	for (uint32_t i = 0; i < s->rules.count; i++) {
		span_fill(f, &rules[i].src);
		span_fill(f, &rules[i].dst);
	}
	for (uint32_t i = 0; i < s->nat_rules.count; i++) {
		span_fill(f, &nat[i].src);
		span_fill(f, &nat[i].dst);
	}
}

static enum rc ranges_place(struct fill *f, struct snapshot **s, size_t *ret_bytes, struct err *e)
{
	size_t at = ((size_t)f->base->bytes + 7) / 8 * 8;
	uint64_t n = f->base->ranges.count + f->n;
	size_t bytes = (at + n * sizeof *f->range + 7) / 8 * 8;

	if (n > RANGES_MAX || bytes > SNAPSHOT_BYTES_MAX)
		return err_add(e, RC_LIMIT,
			"all rules together name more than %u addresses with those of domain names, feeds and countries",
			RANGES_MAX);
	struct snapshot *more = realloc(*s, bytes);
	if (!more)
		return err_add(e, RC_LIMIT, "out of memory for %llu addresses", (unsigned long long)n);
	*s = more;
	memset((uint8_t *)more + f->base->bytes, 0, bytes - f->base->bytes);
	if (f->base->ranges.count)
		memcpy((uint8_t *)more + at, snap_ranges(f->base), f->base->ranges.count * sizeof *f->range);
	if (f->n)
		memcpy((uint8_t *)more + at + f->base->ranges.count * sizeof *f->range, f->range,
			f->n * sizeof *f->range);
	more->ranges = (struct span){ (uint32_t)at, (uint32_t)n };
	more->bytes = (uint32_t)bytes;
	*ret_bytes = bytes;
	return RC_OK;
}

enum rc dynamic_fill(const struct snapshot *base, const struct dynamic_sets *x, void **ret_block,
	size_t *ret_bytes, struct err *e)
{
	struct fill f = { .base = base, .x = x };
	struct snapshot *s = malloc(base->bytes);
	enum rc rc = RC_LIMIT;

	*ret_block = NULL;
	f.known = calloc(base->dynamics.count + 1u, sizeof *f.known);
	f.made = calloc(base->ranges.count + 1u, sizeof *f.made);
	f.failed = !s || !f.known || !f.made;
	for (uint32_t i = 0; !f.failed && i < base->dynamics.count; i++) {
		const struct span *set = dynamic_set_of(x, &snap_dynamics(base)[i]);
		if (set)
			f.known[i] = *set;
	}
	if (!f.failed) {
		memcpy(s, base, base->bytes);
		spans_fill(&f, s);
	}
	rc = f.failed ? err_add(e, RC_LIMIT,
				"out of memory for addresses of domain names, feeds and countries")
		      : ranges_place(&f, &s, ret_bytes, e);
	if (rc == RC_OK)
		*ret_block = s;
	else
		free(s);
	free(f.known);
	free(f.made);
	free(f.range);
	return rc;
}
