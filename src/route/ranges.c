#include "route/ranges.h"

#include <assert.h>
#include <stdlib.h>

static struct ranges_key key_of(const struct ip_addr *a)
{
	return (struct ranges_key){ load_be64(a->b), load_be64(a->b + 8) };
}

static bool key_less(struct ranges_key a, struct ranges_key b)
{
	return a.high != b.high ? a.high < b.high : a.low < b.low;
}

static bool key_equal(struct ranges_key a, struct ranges_key b)
{
	return a.high == b.high && a.low == b.low;
}

/* One address on; false when there is none. IPv4 stands in the upper 32 bits of `high`. */
static bool key_next(struct ranges_key *k, uint8_t family)
{
	if (family == ADDR_V4) {
		k->high += 1ull << 32;
		return k->high >> 32 != 0;
	}
	k->low++;
	k->high += k->low == 0;
	return k->high != 0 || k->low != 0;
}

/* Outer prefixes before the ones inside them; of equal ones the winner first. */
static int prefix_order(const void *va, const void *vb)
{
	const struct ranges_prefix *a = va, *b = vb;
	int c = memcmp(a->prefix.addr.b, b->prefix.addr.b, sizeof a->prefix.addr.b);

	if (c != 0)
		return c;
	if (a->prefix.bits != b->prefix.bits)
		return a->prefix.bits < b->prefix.bits ? -1 : 1;
	if (a->rank != b->rank)
		return a->rank < b->rank ? -1 : 1;
	return a->value < b->value ? -1 : a->value > b->value;
}

/* From `start` on `value` counts, until the next call says otherwise. */
static void append(struct ranges *r, struct ranges_key start, uint32_t value)
{
	if (r->n > 0 && key_equal(r->start[r->n - 1], start)) {
		r->value[r->n - 1] = value;
		return;
	}
	if (r->n > 0 && r->value[r->n - 1] == value)
		return;
	assert(r->n < r->room);
	r->start[r->n] = start;
	r->value[r->n++] = value;
}

static enum rc room_for(struct ranges *r, uint32_t n)
{
	if (n <= r->room)
		return RC_OK;
	struct ranges_key *start = realloc(r->start, n * sizeof *start);
	if (start)
		r->start = start;
	uint32_t *value = realloc(r->value, n * sizeof *value);
	if (value)
		r->value = value;
	if (!start || !value)
		return RC_LIMIT;
	r->room = n;
	return RC_OK;
}

enum rc ranges_build(struct ranges *r, struct ranges_prefix *prefixes, uint32_t n)
{
	/* Prefixes that are open at the point reached; they nest, so there are at most 129. */
	struct {
		struct ranges_key last;
		uint32_t value, bits;
	} open[130];
	uint32_t depth = 0;

	r->n = 0;
	/* Each prefix starts one range and, behind its end, at most one more; and one in front of all. */
	if (room_for(r, 2 * n + 1) != RC_OK)
		return RC_LIMIT;
	append(r, (struct ranges_key){ 0, 0 }, RANGES_NONE);
	qsort(prefixes, n, sizeof *prefixes, prefix_order);
	for (uint32_t i = 0; i <= n; i++) {
		const struct ranges_prefix *p = i < n ? &prefixes[i] : NULL;
		struct ip_range whole = { 0 };
		if (p)
			whole = range_from_prefix(&p->prefix);
		/* Close what ends before this one starts; what encloses it counts again behind it. */
		while (depth > 0 && (!p || key_less(open[depth - 1].last, key_of(&whole.first)))) {
			struct ranges_key behind = open[--depth].last;
			if (!key_next(&behind, prefixes[0].prefix.addr.family))
				continue;
			append(r, behind, depth > 0 ? open[depth - 1].value : RANGES_NONE);
		}
		if (!p || (depth > 0 && open[depth - 1].bits == p->prefix.bits))
			continue; /* the same prefix again: the first wins */
		assert(depth < COUNT_OF(open));
		open[depth].last = key_of(&whole.last);
		open[depth].value = p->value;
		open[depth++].bits = p->prefix.bits;
		append(r, key_of(&whole.first), p->value);
	}
	return RC_OK;
}

void ranges_done(struct ranges *r)
{
	free(r->start);
	free(r->value);
	*r = (struct ranges){ 0 };
}

uint32_t ranges_find(const struct ranges *r, const struct ip_addr *addr)
{
	struct ranges_key key = key_of(addr);
	uint32_t low = 0, n = r->n;

	if (n == 0)
		return RANGES_NONE;
	/* The last start that is not above the address; the first start is 0. */
	while (n > 1) {
		uint32_t half = n / 2;
		low = key_less(key, r->start[low + half]) ? low : low + half;
		n -= half;
	}
	return r->value[low];
}
