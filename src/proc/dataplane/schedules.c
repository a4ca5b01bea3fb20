/*
 * Rules of schedulers come and go by the clock: once a second it is looked which schedules are on, and where that has changed
 * the same configuration is loaded again, in pieces as a commit's, and sessions are evaluated by what is in force then.
 */
#include "base/log.h"
#include "proc/dataplane/dataplane.h"

void schedules_second(struct dataplane *d)
{
	const struct snapshot *s = d->snapshot.snapshot;
	struct err e = { 0 };

	/* A commit that is under way will look itself. */
	if (!s || s->schedules.count == 0 || d->unchecked.snapshot || d->snapshot_next.snapshot ||
		d->schedules_reload || snap_schedules_off(s, wall_now()) == d->schedules_off)
		return;
	if (workers_prepare(d, s, &e) == RC_OK)
		d->schedules_reload = true;
	else
		log_error("rules of schedulers stay as they are: %s", e.text);
}

bool schedules_load(struct dataplane *d, uint32_t budget)
{
	struct err e = { 0 };
	bool ready = false;

	if (d->unchecked.snapshot || d->snapshot_next.snapshot)
		d->schedules_reload = false; /* its preparation has taken the place of this one */
	if (!d->schedules_reload)
		return true;
	if (workers_prepare_go(d, budget, &ready, &e) != RC_OK) {
		log_error("rules of schedulers stay as they are: %s", e.text);
		d->schedules_reload = false;
	} else if (ready) {
		pause_begin(&d->pause);
		workers_load_prepared(d);
		workers_carry_check(d);
		pause_end(&d->pause);
		log_info("rules of schedulers have changed by the clock");
	}
	return !d->schedules_reload;
}
