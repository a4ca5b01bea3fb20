/*
 * What is the same in two configurations: rules by their identifier, zones by their name or, once renamed, by what is in
 * them. Pure.
 */
#include <stdio.h>
#include <string.h>

#include "model/snapshot.h"

static uint64_t fnv(uint64_t h, const char *text)
{
	for (; *text; text++)
		h = (h ^ (uint8_t)*text) * 0x100000001b3ull;
	return (h ^ 0xff) * 0x100000001b3ull; /* no name has this octet */
}

uint64_t snap_rule_id_of(const char *from, const char *to, const char *name)
{
	return fnv(fnv(fnv(0xcbf29ce484222325ull, from), to), name) | RULE_ID_OF_NAMES;
}

char *snap_rule_id_text(char ret_text[RULE_ID_TEXT_MAX], uint64_t id)
{
	snprintf(ret_text, RULE_ID_TEXT_MAX, id & RULE_ID_OF_NAMES ? "%016llx" : "%llu",
		(unsigned long long)id);
	return ret_text;
}

static uint32_t zone_named(const struct snapshot *s, const char *name)
{
	for (uint32_t i = 0; i < s->zones.count; i++)
		if (strcmp(snap_zones(s)[i].name, name) == 0)
			return i;
	return INDEX_NONE;
}

/* Is each interface and tunnel of zone x in zone y? *ret_n: how many there are. */
static bool zone_inside(
	const struct snapshot *a, uint32_t x, const struct snapshot *b, uint32_t y, uint32_t *ret_n)
{
	bool all = true;

	*ret_n = 0;
	for (uint32_t i = 0; i < a->interfaces.count && all; i++) {
		bool found = snap_interfaces(a)[i].zone != x;
		*ret_n += !found;
		for (uint32_t k = 0; k < b->interfaces.count && !found; k++)
			found = snap_interfaces(b)[k].zone == y &&
				strcmp(snap_interfaces(a)[i].name, snap_interfaces(b)[k].name) == 0;
		all = found;
	}
	for (uint32_t i = 0; i < a->tunnels.count && all; i++) {
		bool found = snap_tunnels(a)[i].zone != x;
		*ret_n += !found;
		for (uint32_t k = 0; k < b->tunnels.count && !found; k++)
			found = snap_tunnels(b)[k].zone == y &&
				strcmp(snap_tunnels(a)[i].name, snap_tunnels(b)[k].name) == 0;
		all = found;
	}
	return all;
}

uint32_t snap_zone_was(const struct snapshot *now, const struct snapshot *next, uint32_t zone)
{
	uint32_t was = zone_named(now, snap_zones(next)[zone].name), n, m;

	for (uint32_t i = 0; was == INDEX_NONE && i < now->zones.count; i++)
		if (zone_named(next, snap_zones(now)[i].name) == INDEX_NONE &&
			zone_inside(now, i, next, zone, &n) && n > 0 && zone_inside(next, zone, now, i, &m))
			was = i;
	return was;
}
