/*
 * Addresses that change without a commit, on their way from the resolver to the data plane. Control shares memory with the
 * resolver: the list of what is to be found, and what was found. It copies that, checks the copy, and puts the addresses into the
 * ranges of the running configuration (model/dynamic.h). The data plane takes the result as it takes a commit, beside which
 * nothing of it goes: one at a time, and the resolver writes again when the last one is in use.
 *
 * What is known stays known when the resolver dies, and from one configuration to the next. When control dies the data plane goes
 * on with what it has, and gets nothing before the resolver has told the new control what it knows (RESOLVER_WAIT_NS).
 */
#include "base/log.h"
#include "proc/control/control.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

static const struct snapshot *running(const struct control *k)
{
	return k->running.block;
}

static void filled_forget(struct dynamic *d)
{
	free(d->block);
	d->block = NULL;
	if (d->filled >= 0)
		close(d->filled);
	d->filled = -1;
}

/* The running configuration with what is known. On an error what was made before stays. */
static enum rc filled_make(struct control *k, struct err *e)
{
	struct dynamic *d = &k->dynamic;
	size_t bytes = 0;
	void *block = NULL;
	int fd = -1;
	enum rc rc = dynamic_fill(running(k), &d->sets, &block, &bytes, e);

	if (rc == RC_OK)
		rc = snapshot_memfd(&fd, block, bytes, e);
	if (rc != RC_OK) {
		free(block);
		return rc;
	}
	filled_forget(d);
	d->block = block;
	d->bytes = bytes;
	d->filled = fd;
	return RC_OK;
}

void dynamic_configure(struct control *k)
{
	struct dynamic *d = &k->dynamic;
	struct err e = { 0 };

	filled_forget(d);
	d->due = d->waits = false;
	d->why[0] = '\0';
	if (dynamic_any(running(k)) && filled_make(k, &e) != RC_OK) {
		log_error("the addresses that are known are not in use: %s", e.text);
		snprintf(d->why, sizeof d->why, "%s", e.text);
	}
	dynamic_list(k);
}

bool dynamic_snapshot(struct control *k, int *ret_memory, uint64_t *ret_bytes)
{
	const struct dynamic *d = &k->dynamic;

	if (d->hold_until)
		return false;
	*ret_memory = d->filled >= 0 ? d->filled : k->running.memory;
	*ret_bytes = d->filled >= 0 ? d->bytes : k->running.bytes;
	return true;
}

static void hold_end(struct control *k)
{
	if (!k->dynamic.hold_until)
		return;
	k->dynamic.hold_until = 0;
	k->dynamic.due = true;
	loop_disarm(&k->child->loop, &k->dynamic.hold);
}

static void on_hold(struct loop *l, struct timer *t)
{
	struct control *k = t->context;

	(void)l;
	log_warn("the resolver has not said what it knows: the data plane gets the configuration without it");
	hold_end(k);
	dynamic_go(k);
}

void dynamic_begin(struct control *k)
{
	if (!dynamic_any(running(k)))
		return;
	k->dynamic.hold_until = k->child->loop.now + RESOLVER_WAIT_NS;
	loop_arm(&k->child->loop, &k->dynamic.hold, RESOLVER_WAIT_NS, 0);
}

/* ---- towards the resolver ---- */

static bool area_make(struct dynamic *d)
{
	int fd = memfd_create("addresses", MFD_CLOEXEC | MFD_ALLOW_SEALING);
	void *area = MAP_FAILED;

	if (fd >= 0 && ftruncate(fd, sizeof *d->area) == 0 &&
		fcntl(fd, F_ADD_SEALS, F_SEAL_GROW | F_SEAL_SHRINK | F_SEAL_SEAL) == 0)
		area = mmap(NULL, sizeof *d->area, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	if (area == MAP_FAILED) {
		log_error("make the memory for addresses of the resolver: %m");
		if (fd >= 0)
			close(fd);
		return false;
	}
	d->area = area;
	d->memory = fd;
	return true;
}

static void area_done(struct dynamic *d)
{
	if (d->area)
		munmap(d->area, sizeof *d->area);
	if (d->memory >= 0)
		close(d->memory);
	d->area = NULL;
	d->memory = -1;
}

/* Always new memory: who had the one before may still write there. */
void dynamic_list(struct control *k)
{
	struct dynamic *d = &k->dynamic;
	const struct snapshot *s = running(k);
	struct ipc_link *l = child_link(k->child, PROC_RESOLVER);

	d->owed = 0;
	d->generation = k->running.generation;
	d->listed = s->dynamics.count;
	if (!ipc_link_up(l))
		return;
	area_done(d);
	if (!area_make(d))
		return;
	d->area->count = d->listed;
	if (d->listed)
		memcpy(d->area->of, snap_dynamics(s), d->listed * sizeof d->area->of[0]);
	const struct msg_dynamics m = { .count = d->listed };
	enum rc rc = ipc_send_DYNAMICS(l, 0, &m, d->memory);
	if (rc)
		log_error("the list of domain names, feeds and countries cannot be sent to the resolver: %s",
			rc_text(rc));
}

static void answer(struct control *k)
{
	struct dynamic *d = &k->dynamic;
	struct msg_result r = { .rc = d->why[0] ? RC_LIMIT : RC_OK };

	if (!d->owed)
		return;
	snprintf(r.text, sizeof r.text, "%s", d->why);
	ipc_send_DYNAMICS_TAKEN(child_link(k->child, PROC_RESOLVER), d->owed, &r);
	d->owed = 0;
}

void dynamic_found(struct control *k, const struct ipc_frame *f)
{
	struct dynamic *d = &k->dynamic;
	struct dynamic_sets next;
	struct err e = { 0 };

	/* A list that is not the present one; its answer comes to the new memory. */
	if (!d->area || f->u.DYNAMICS_FOUND.count != d->listed || d->owed || f->head.tag == 0)
		return;
	d->owed = f->head.tag;
	d->why[0] = '\0';
	enum rc rc = dynamic_sets_copy(&next, d->area, snap_dynamics(running(k)), d->listed, &d->sets, &e);
	if (rc == RC_OK) {
		struct dynamic_sets was = d->sets;
		d->sets = next;
		if (dynamic_any(running(k)) && (rc = filled_make(k, &e)) != RC_OK) {
			d->sets = was;
			was = next;
		}
		dynamic_sets_done(&was);
	}
	if (rc != RC_OK) {
		log_error("addresses of the resolver are not in use: %s", e.text);
		snprintf(d->why, sizeof d->why, "%s", e.text);
		answer(k);
	}
	d->due |= rc == RC_OK && dynamic_any(running(k));
	hold_end(k);
	dynamic_go(k);
}

/* ---- towards the data plane ---- */

void dynamic_go(struct control *k)
{
	struct dynamic *d = &k->dynamic;
	struct msg_snapshot m = { .generation = k->running.generation };
	bool commit = (k->asked & ~k->taken) >> PROC_DATAPLANE & 1; /* comes first */
	int memory;

	if (d->waits || commit || !dynamic_snapshot(k, &memory, &m.bytes))
		return;
	if (d->due) { /* where there is no link now, it gets them with the next one */
		d->due = false;
		d->waits = ipc_send_SNAPSHOT(child_link(k->child, PROC_DATAPLANE),
				   SNAPSHOT_ADDRESSES | m.generation, &m, memory) == RC_OK;
	}
	if (!d->waits)
		answer(k);
}

bool dynamic_taken(struct control *k, const struct ipc_frame *f)
{
	struct dynamic *d = &k->dynamic;
	const struct msg_result *r = &f->u.SNAPSHOT_TAKEN;

	if (!(f->head.tag & SNAPSHOT_ADDRESSES))
		return false;
	if (!d->waits || (f->head.tag & ~SNAPSHOT_ADDRESSES) != k->running.generation)
		return true; /* to those of another configuration */
	d->waits = false;
	if (r->rc != RC_OK) {
		log_error("the data plane refused addresses of the resolver: %.*s", (int)sizeof r->text,
			r->text);
		snprintf(d->why, sizeof d->why, "%.*s", (int)sizeof r->text - 1, r->text);
	}
	answer(k);
	return true;
}

void dynamic_lost(struct control *k, enum proc peer)
{
	struct dynamic *d = &k->dynamic;

	if (peer == PROC_DATAPLANE)
		d->waits = d->due = false; /* it gets them with its next link */
	if (peer == PROC_RESOLVER) {
		d->owed = 0;
		area_done(d);
	}
}

void dynamic_init(struct control *k)
{
	k->dynamic = (struct dynamic){ .memory = -1, .filled = -1 };
	k->dynamic.hold = (struct timer){ .fn = on_hold, .context = k };
}

void dynamic_done(struct control *k)
{
	loop_disarm(&k->child->loop, &k->dynamic.hold);
	area_done(&k->dynamic);
	filled_forget(&k->dynamic);
	dynamic_sets_done(&k->dynamic.sets);
}
