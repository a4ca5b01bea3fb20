#include "model/warnings.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/bytes.h"

struct given_id {
	uint64_t id;
	uint32_t rule;
};

static int by_id(const void *a, const void *b)
{
	const struct given_id *x = a, *y = b;

	return (x->id > y->id) - (x->id < y->id);
}

static bool ranges_equal(const struct snapshot *a, struct span x, const struct snapshot *b, struct span y)
{
	return x.count == y.count &&
	       (x.count == 0 || memcmp(snap_ranges(a) + x.first, snap_ranges(b) + y.first,
					x.count * sizeof(struct ip_range)) == 0);
}

static bool services_equal(const struct snapshot *a, struct span x, const struct snapshot *b, struct span y)
{
	return x.count == y.count &&
	       (x.count == 0 || memcmp(snap_services(a) + x.first, snap_services(b) + y.first,
					x.count * sizeof(struct snap_service)) == 0);
}

/* Under another name, and for other packets. */
static bool is_another(const struct snapshot *a, const struct snap_rule *x, const struct snapshot *b,
	const struct snap_rule *y)
{
	return strcmp(x->name, y->name) != 0 &&
	       !(ranges_equal(a, x->src, b, y->src) && ranges_equal(a, x->dst, b, y->dst) &&
		       services_equal(a, x->services, b, y->services));
}

static const char *zone_of(const struct snapshot *s, uint32_t zone)
{
	return snap_rule_zone(s, zone);
}

/* Those that the text gives; what follows from names has more digits. */
static struct given_id *given_ids(const struct snapshot *s, size_t *ret_n)
{
	struct given_id *ids = calloc(s->rules.count + 1u, sizeof *ids);

	*ret_n = 0;
	for (uint32_t i = 0; ids && i < s->rules.count; i++)
		if (snap_rules(s)[i].id <= UINT32_MAX)
			ids[(*ret_n)++] = (struct given_id){ snap_rules(s)[i].id, i };
	if (ids)
		qsort(ids, *ret_n, sizeof *ids, by_id);
	return ids;
}

void snapshot_change_warnings(
	const struct snapshot *old, const struct snapshot *next, warning_fn *fn, void *context)
{
	size_t n = 0;
	struct given_id *ids = given_ids(old, &n);
	unsigned said = 0;

	for (uint32_t i = 0; ids && i < next->rules.count && said < CHANGES_SAID; i++) {
		const struct snap_rule *r = &snap_rules(next)[i];
		const struct given_id wanted = { .id = r->id }, *was = NULL;
		char text[600];

		if (r->id <= UINT32_MAX && n > 0)
			was = bsearch(&wanted, ids, n, sizeof *ids, by_id);
		if (!was || !is_another(old, &snap_rules(old)[was->rule], next, r))
			continue;
		const struct snap_rule *before = &snap_rules(old)[was->rule];
		said++;
		snprintf(text, sizeof text,
			"id %llu was that of rule '%s' from %s to %s, and is now that of rule '%s' from %s to %s, which matches "
			"other packets: hits and counts go on under it; give a new rule an id of its own",
			(unsigned long long)r->id, before->name, zone_of(old, before->from_zone),
			zone_of(old, before->to_zone), r->name, zone_of(next, r->from_zone),
			zone_of(next, r->to_zone));
		fn(context, text);
	}
	free(ids);
}
