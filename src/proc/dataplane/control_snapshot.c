/*
 * A new configuration comes from control: checked in pieces between bursts, then its policy is prepared in pieces beside the loaded
 * one, then it takes effect in one pause, and control hears of it. A later one takes the place of one that is not loaded yet.
 */
#include "base/log.h"
#include "proc/dataplane/dataplane.h"

#include <stdlib.h>
#include <unistd.h>

#define CHECK_ROWS 8 /* of a snapshot that cost as much as an edge of a rule */

static void snapshot_answer(struct dataplane *d, enum rc rc, const struct err *e)
{
	struct msg_result result = { .rc = rc };

	if (rc != RC_OK)
		log_error("configuration %llu was not loaded: %s", (unsigned long long)d->pending.generation,
			e->text);
	else
		log_line(d->pending.tag & SNAPSHOT_ADDRESSES ? LOG_DEBUG : LOG_INFO,
			"configuration %llu is in use%s", (unsigned long long)d->pending.generation,
			d->pending.tag & SNAPSHOT_ADDRESSES ? " with other addresses" : "");
	memcpy(result.text, e->text, sizeof result.text);
	d->taken.waits = true;
	d->taken.tag = d->pending.tag;
	d->taken.result = result;
	/* With another number of workers it is in use when that has changed, outside of the pause. */
	if (d->workers_wanted == d->workers_n)
		control_snapshot_taken(d);
}

static void *mapping_end(void *context)
{
	struct snapshot_file *f = context;

	snapshot_file_done(f);
	free(f);
	return NULL;
}

/* To unmap fifty megabytes, and to free them as the last process that has them, takes milliseconds: that is done in a thread of its
 * own, if there is one to be had. */
static void snapshot_file_drop(struct snapshot_file *f)
{
	struct snapshot_file *gone = f->snapshot ? malloc(sizeof *gone) : NULL;

	if (gone) {
		*gone = *f;
		*f = (struct snapshot_file){ 0 };
		if (!thread_run_once(mapping_end, gone))
			mapping_end(gone);
	}
	snapshot_file_done(f);
}

/* The pending one, whose file is sealed: otherwise control could change what was checked while it is in use. What was
 * being prepared when it came is nobody's any more. */
void control_snapshot_begin(struct dataplane *d)
{
	struct err e = { 0 };

	if (d->pending.fd < 0)
		return;
	workers_prepare_end(d);
	snapshot_file_drop(&d->unchecked);
	snapshot_file_drop(&d->snapshot_next);
	enum rc rc = snapshot_file_map(&d->unchecked, d->pending.fd, d->pending.bytes, &e);
	d->pending.fd = -1;
	if (rc == RC_OK)
		rc = snapshot_check_begin(&d->checking, d->unchecked.snapshot, d->unchecked.bytes, &e);
	if (rc != RC_OK) {
		snapshot_file_drop(&d->unchecked);
		snapshot_answer(d, rc, &e);
	}
}

/* A piece of checking it. After the last one it is being prepared. */
static void snapshot_check_piece(struct dataplane *d, uint32_t budget)
{
	struct err e = { 0 };
	bool ready = false;
	uint64_t rows = (uint64_t)budget * CHECK_ROWS;

	if (!d->unchecked.snapshot)
		return;
	enum rc rc =
		snapshot_check_some(&d->checking, (uint32_t)MIN_OF(rows, (uint64_t)UINT32_MAX), &ready, &e);
	if (rc == RC_OK && !ready)
		return;
	if (rc == RC_OK)
		rc = workers_prepare(d, d->unchecked.snapshot, &e);
	if (rc == RC_OK)
		d->snapshot_next = d->unchecked;
	else
		snapshot_file_drop(&d->unchecked);
	d->unchecked = (struct snapshot_file){ 0 };
	if (rc != RC_OK)
		snapshot_answer(d, rc, &e);
}

/* A piece of preparing the next one. True: it can be loaded. */
static bool snapshot_prepare(struct dataplane *d, uint32_t budget)
{
	struct err e = { 0 };
	bool ready = false;

	if (!d->snapshot_next.snapshot) {
		snapshot_check_piece(d, budget);
		return false;
	}
	enum rc rc = workers_prepare_go(d, budget, &ready, &e);
	if (rc != RC_OK) {
		snapshot_file_drop(&d->snapshot_next);
		snapshot_answer(d, rc, &e);
	}
	return rc == RC_OK && ready;
}

/* In a pause. */
static void snapshot_load(struct dataplane *d)
{
	struct err e = { 0 };

	workers_load_prepared(d);
	snapshot_file_drop(&d->snapshot);
	d->snapshot = d->snapshot_next;
	d->snapshot_next = (struct snapshot_file){ 0 };
	uplinks_load(d);
	d->workers_wanted = d->snapshot.snapshot->workers;
	snapshot_answer(d, RC_OK, &e);
}

bool control_load(struct dataplane *d, uint32_t budget)
{
	if (snapshot_prepare(d, budget)) {
		pause_begin(&d->pause);
		snapshot_load(d);
		workers_carry_check(d);
		pause_end(&d->pause);
	}
	return !d->unchecked.snapshot && !d->snapshot_next.snapshot;
}

void control_load_now(struct dataplane *d)
{
	while (d->unchecked.snapshot || d->snapshot_next.snapshot) {
		if (d->unchecked.snapshot)
			snapshot_check_piece(d, UINT32_MAX);
		else if (snapshot_prepare(d, UINT32_MAX))
			snapshot_load(d);
		else if (d->snapshot_next.snapshot) /* there is no room before the sweep has ended */
			workers_sweep(d);
	}
}

void control_snapshot_taken(struct dataplane *d)
{
	if (d->taken.waits)
		ipc_send_SNAPSHOT_TAKEN(child_link(&d->child, PROC_CONTROL), d->taken.tag, &d->taken.result);
	d->taken.waits = false;
}

void control_snapshot(struct dataplane *d, struct ipc_frame *f)
{
	if (d->pending.fd >= 0)
		close(d->pending.fd);
	d->pending.fd = ipc_frame_take(f);
	d->pending.bytes = f->u.SNAPSHOT.bytes;
	d->pending.generation = f->u.SNAPSHOT.generation;
	d->pending.tag = f->head.tag;
	/* Before the start there is nothing to load it into. */
	if (dataplane_ready(d))
		control_snapshot_begin(d);
}
