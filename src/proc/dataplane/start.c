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
	enum rc rc = memory_attach(d, d->state_fd, e);
	if (rc != RC_OK)
		return rc;
	struct worker *w = d->workers[0];
	w->pipeline.fw = w->fw;
	w->pipeline.esp = d->esp;
	w->pipeline.routes = d->routes;
	/* The mirror should be complete before the first packet, so that a restart loses as little as
	 * possible. */
	for (int i = 0; i < 200 && d->routes_next; i++) {
		struct pollfd p = { .fd = d->route_fd, .events = POLLIN };
		poll(&p, 1, 5);
		routes_receive(d);
	}
	d->started = true;
	pipeline_changed(&w->pipeline);
	return RC_OK;
}
