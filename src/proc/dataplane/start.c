/*
 * The start: once the supervisor has handed over everything, the state is attached and the mirror of the
 * routes filled.
 */
#include "proc/dataplane/dataplane.h"

#include <poll.h>

enum rc dataplane_start(struct dataplane *d, struct err *e)
{
	if (d->state_fd < 0)
		return err_add(e, RC_NOT_FOUND, "the supervisor has not handed over the state memory");
	if (!d->routes)
		return err_add(e, RC_NOT_FOUND, "the supervisor has not handed over an rtnetlink socket");
	/* The mirror should be complete before the first packet, so that a restart loses as little as
	 * possible. */
	for (int i = 0; i < 200 && d->routes_next; i++) {
		struct pollfd p = { .fd = d->route_fd, .events = POLLIN };
		poll(&p, 1, 5);
		routes_receive(d);
	}
	/* As many workers as the sessions of the process before were divided among; the configuration, which comes
	 * later, may say otherwise. */
	enum rc rc = workers_set(d, memory_workers(d->state_fd), e);
	d->workers_wanted = d->workers_n;
	d->started = rc == RC_OK;
	return rc;
}
