#include "model/warnings.h"

#include <stdio.h>

static const char *zone_name(const struct snapshot *s, uint32_t zone)
{
	return zone == ZONE_ANY ? "any zone" : snap_zones(s)[zone].name;
}

static bool matches_everything(const struct snap_rule *r)
{
	return r->src.count == 0 && r->dst.count == 0 && r->services.count == 0;
}

void snapshot_warnings(const struct snapshot *s, warning_fn *fn, void *context)
{
	const struct snap_rule *rules = snap_rules(s), *last = NULL;
	char text[400];

	/* The rules of a pair of zones stand together. */
	for (uint32_t i = 0; i < s->rules.count; i++) {
		const struct snap_rule *r = &rules[i];
		if (last && (last->from_zone != r->from_zone || last->to_zone != r->to_zone))
			last = NULL;
		if (last) {
			snprintf(text, sizeof text,
				"rule '%s' from %s to %s is never reached: rule '%s' before it matches "
				"everything",
				r->name, zone_name(s, r->from_zone), zone_name(s, r->to_zone), last->name);
			fn(context, text);
		} else if (matches_everything(r)) {
			last = r;
		}
	}
}
