/*
 * A configuration arrives: checked before anything in it is used, then the filter is set, then interfaces and
 * routes follow. When the filter cannot be set the old configuration stays and control is told.
 */
#include "base/log.h"
#include "proc/supervisor/limits.h"
#include "proc/supervisor/supervisor.h"

#include <stdio.h>

static enum rc names_check(const struct snapshot *snap, struct err *e)
{
	for (uint32_t i = 0; i < snap->interfaces.count; i++)
		if (!interface_name_ok(snap_interfaces(snap)[i].name))
			return err_add(e, RC_MALFORMED, "'%s' is not the name of an interface",
				snap_interfaces(snap)[i].name);
	if (snap->nat_port_first > snap->nat_port_last || snap->host_port_first > snap->host_port_last ||
		(snap->nat_port_first <= snap->host_port_last &&
			snap->host_port_first <= snap->nat_port_last))
		return err_add(
			e, RC_RANGE, "the ports of source NAT and of the host are not two disjoint ranges");
	return RC_OK;
}

static enum rc apply(struct supervisor *s, const struct snapshot *next, struct err *e)
{
	const struct snapshot *old = s->snapshot;

	enum rc rc = names_check(next, e);
	if (rc == RC_OK)
		rc = devices_check(s, next, e);
	if (rc != RC_OK)
		return rc;
	s->snapshot = next;
	interfaces_look(s);
	rc = filter_apply(s, e);
	/* Kernels before 6.16 refuse a rule set that names a link which is gone by then, as those of PPP and
	 * TUN may be at any moment: then it is made again of the links that exist. */
	for (int tries = 0; rc != RC_OK && tries < FILTER_TRIES_MAX && interfaces_look(s); tries++) {
		err_clear(e);
		rc = filter_apply(s, e);
	}
	if (rc == RC_OK) {
		kernel_settings(s);
		interfaces_open(s);
		health_apply(s);
		uplinks_apply(s);
		rc = routes_apply(s, e);
		return rc == RC_OK ? devices_apply(s, e) : rc;
	}
	s->snapshot = old;
	s->interfaces_n = 0;
	if (old)
		interfaces_look(s);
	return rc;
}

void snapshot_take(struct supervisor *s, struct child_process *from, struct ipc_frame *f)
{
	struct msg_result result = { 0 };
	struct err e = { 0 };
	struct snapshot_file next;
	enum rc rc = snapshot_file_take(&next, ipc_frame_take(f), f->u.SNAPSHOT.bytes, &e);

	if (rc == RC_OK)
		rc = apply(s, next.snapshot, &e);
	if (next.snapshot && s->snapshot == next.snapshot) {
		snapshot_file_done(&s->file);
		s->file = next;
		witnesses_take(s, &s->snapshot->evidence);
		streams_give(s);
		metrics_apply(s);
		log_info("configuration %llu is applied", (unsigned long long)s->snapshot->generation);
	} else {
		snapshot_file_done(&next);
	}
	if (rc != RC_OK)
		log_error("configuration %llu is not applied: %s",
			(unsigned long long)f->u.SNAPSHOT.generation, e.text);
	result.rc = rc;
	snprintf(result.text, sizeof result.text, "%s", e.text);
	ipc_send_SNAPSHOT_TAKEN(&from->port.link, f->head.tag, &result);
}
