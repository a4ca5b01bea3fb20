/*
 * Is a schedule on? By the clock on the wall: where it is set back an hour, that hour comes twice. Pure.
 */
#include "model/snapshot.h"

static bool day_holds(const struct snap_schedule *v, uint32_t day, uint32_t second)
{
	uint32_t week_day = (day + 3) % 7; /* 1970-01-01 was a Thursday; 0: Monday */

	return second >= v->day[week_day].first && second < v->day[week_day].end;
}

static bool is_on(const struct snap_schedule *v, struct local_time t)
{
	uint32_t minute = t.day * (DAY_S / 60) + t.second / 60;

	if (minute < v->from_minute || (v->until_minute && minute >= v->until_minute))
		return false;
	/* What began yesterday may end today. */
	return day_holds(v, t.day, t.second) || (t.day > 0 && day_holds(v, t.day - 1, t.second + DAY_S));
}

uint64_t snap_schedules_off(const struct snapshot *s, struct local_time t)
{
	uint64_t off = 0;

	for (uint32_t i = 0; i < s->schedules.count; i++)
		if (!is_on(&snap_schedules(s)[i], t))
			off |= 1ull << i;
	return off;
}
