#include "verify/order.h"

#include "base/bytes.h"

#include <assert.h>
#include <math.h>
#include <stdlib.h>

#define KEPT (2 * PUBLIC_ORDER_WINDOW) /* of the last two epochs, those that a late one may fall between */

struct seen {
	struct order_place place;
	uint64_t ordinal, mono_us;
	uint8_t boot[LEDGER_BOOT_SIZE];
};

struct order {
	struct order_report report;
	size_t n;
	struct seen seen[KEPT]; /* by place */
};

struct order *order_new(void)
{
	return calloc(1, sizeof(struct order));
}

void order_free(struct order *o)
{
	free(o);
}

static bool is_before(const struct order_place *a, const struct order_place *b)
{
	return a->epoch < b->epoch || (a->epoch == b->epoch && a->count < b->count);
}

/* The neighbours that have a leaf have it on the same side. */
static bool leaf_fits(const struct order *o, size_t at, uint64_t leaf)
{
	size_t before = at, behind = at;

	while (before > 0 && o->seen[before - 1].place.leaf == 0)
		before--;
	while (behind < o->n && o->seen[behind].place.leaf == 0)
		behind++;
	return leaf == 0 || ((before == 0 || o->seen[before - 1].place.leaf < leaf) &&
				    (behind == o->n || leaf < o->seen[behind].place.leaf));
}

/* The distance is from the first-named one with a higher count. */
static void late_note(struct order *o, size_t at, const struct seen *s)
{
	struct order_report *r = &o->report;
	const struct seen *first = &o->seen[at];

	assert(at < o->n);
	for (size_t i = at; i < o->n; i++)
		if (o->seen[i].ordinal < first->ordinal)
			first = &o->seen[i];
	r->late++;
	r->distance = MAX_OF(r->distance, s->ordinal - first->ordinal);
	if (memcmp(first->boot, s->boot, sizeof s->boot) == 0 && s->mono_us > first->mono_us)
		r->late_s = MAX_OF(r->late_s, (s->mono_us - first->mono_us) / 1000000);
}

static void insert(struct order *o, size_t at, const struct seen *s)
{
	assert(at <= o->n && o->n <= KEPT);
	if (o->n == KEPT) {
		size_t drop = MIN_OF((size_t)PUBLIC_ORDER_WINDOW, at);
		memmove(o->seen, o->seen + drop, (o->n - drop) * sizeof *o->seen);
		o->n -= drop;
		at -= drop;
	}
	if (o->n == KEPT)
		return; /* before all that is kept: nothing later is compared with it */
	memmove(o->seen + at + 1, o->seen + at, (o->n - at) * sizeof *o->seen);
	o->seen[at] = *s;
	o->n++;
}

enum rc order_named(
	struct order *o, const struct order_place *p, const struct ledger_entry *entry, struct err *e)
{
	struct seen s = { .place = *p, .ordinal = o->report.named++, .mono_us = entry->mono_us };
	size_t at = o->n;

	memcpy(s.boot, entry->boot, sizeof s.boot);
	while (at > 0 && is_before(p, &o->seen[at - 1].place))
		at--;
	bool fits = leaf_fits(o, at, p->leaf), is_late = at < o->n;
	const struct order_place highest = o->n > 0 ? o->seen[o->n - 1].place : *p;
	if (is_late)
		late_note(o, at, &s);
	insert(o, at, &s);
	if (!fits)
		return err_add(e, RC_AUTH,
			"its leaf of ephemeral keys is out of order: value %llu used a leaf that was not the "
			"next one",
			(unsigned long long)p->count);
	if (is_late &&
		(highest.epoch == p->epoch ? highest.count - p->count : highest.count) > PUBLIC_ORDER_WINDOW)
		return err_add(e, RC_AUTH,
			"value %llu is named after value %llu: at most %d values may lie between",
			(unsigned long long)p->count, (unsigned long long)highest.count, PUBLIC_ORDER_WINDOW);
	return RC_OK;
}

struct order_report order_state(const struct order *o)
{
	return o->report;
}

static double log2_choose(double n, double k)
{
	return k <= 0 || k >= n ? 0 : (lgamma(n + 1) - lgamma(k + 1) - lgamma(n - k + 1)) / log(2);
}

double order_bits(uint64_t named, uint64_t late, uint64_t distance, uint64_t left_out)
{
	double n = (double)named, k = (double)late, m = (double)left_out;

	return log2_choose(n + m, m) + log2_choose(n, k) + (distance > 1 ? k * log2((double)distance) : 0);
}

static bool number_take(struct order_ranges *r, size_t *at, uint32_t *ret_number)
{
	size_t first = *at;
	uint64_t v = 0;

	while (*at < r->n && r->text[*at] >= '0' && r->text[*at] <= '9' && v <= UINT32_MAX)
		v = 10 * v + (uint64_t)(r->text[(*at)++] - '0');
	*ret_number = (uint32_t)v;
	return *at > first && v >= r->least && v <= r->most && (r->text[first] != '0' || *at == first + 1);
}

bool order_range_next(struct order_ranges *r)
{
	bool is_first = r->at == 0;
	size_t at = r->at;
	uint32_t first, last;

	if (at == r->n || (!is_first && r->text[at++] != ' ') || !number_take(r, &at, &first))
		return false;
	last = first;
	if (at < r->n && r->text[at] == '-') {
		at++;
		if (!number_take(r, &at, &last) || last <= first)
			return false;
	}
	/* Apart: else the two were one. */
	if (!is_first && (first <= r->last || first - r->last < 2))
		return false;
	r->at = at;
	r->first = first;
	r->last = last;
	return true;
}
