/*
 * The clock on the wall, by which schedules are on. The time zone is that of the process's start (sandbox/enter.c): the sandbox
 * opens no file.
 */
#include <time.h>

#include "proc/dataplane/dataplane.h"

struct local_time wall_now(void)
{
	time_t now = time(NULL), wall;
	struct tm tm;

	if (!localtime_r(&now, &tm))
		return (struct local_time){ 0 };
	wall = now + tm.tm_gmtoff;
	return (struct local_time){ (uint32_t)(wall / DAY_S), (uint32_t)(wall % DAY_S) };
}

void schedules_tell(struct dataplane *d, const struct snapshot *s)
{
	d->schedules_off = snap_schedules_off(s, wall_now());
	for (uint32_t i = 0; i < d->workers_n; i++)
		fw_schedules_set(d->workers[i]->fw, d->schedules_off);
	d->schedules_reload = false; /* whatever is loaded now has it */
}
