/*
 * A configuration arrives: checked before a byte of it is believed, then the filter first, then what it
 * closes off. When the filter cannot be set the old configuration stays and control is told.
 */
#include "base/log.h"
#include "proc/supervisor/supervisor.h"

#include <fcntl.h>
#include <stdio.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#define SEALS (F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE)

/* The block, checked; NULL and *e. */
static const struct snapshot *map(int fd, const struct msg_snapshot *m, struct err *e)
{
	struct stat st;

	/* Sealed: nobody can change it between the check and the use, or make it shorter under us. */
	if ((fcntl(fd, F_GET_SEALS) & SEALS) != SEALS) {
		err_add(e, RC_MALFORMED, "the snapshot's memory is not sealed");
		return NULL;
	}
	if (fstat(fd, &st) < 0 || st.st_size < 0 || m->bytes == 0 || m->bytes > SNAPSHOT_BYTES_MAX ||
		(uint64_t)st.st_size < m->bytes) {
		err_add(e, RC_RANGE, "the snapshot's size is wrong");
		return NULL;
	}
	void *p = mmap(NULL, m->bytes, PROT_READ, MAP_SHARED, fd, 0);
	if (p == MAP_FAILED) {
		err_errno(e, RC_IO, "map the snapshot");
		return NULL;
	}
	if (snapshot_check(p, m->bytes, e) == RC_OK)
		return p;
	munmap(p, m->bytes);
	return NULL;
}

static enum rc names_check(const struct snapshot *snap, struct err *e)
{
	for (uint32_t i = 0; i < snap->interfaces.count; i++)
		if (!interface_name_ok(snap_interfaces(snap)[i].name))
			return err_add(e, RC_MALFORMED, "'%s' is no interface's name",
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
	if (rc != RC_OK)
		return rc;
	s->snapshot = next;
	interfaces_look(s);
	rc = filter_apply(s, e);
	if (rc == RC_OK) {
		kernel_settings(s);
		interfaces_open(s);
		return routes_apply(s, e);
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
	const struct snapshot *old = s->snapshot, *next = map(f->file, &f->u.SNAPSHOT, &e);
	enum rc rc = next ? apply(s, next, &e) : e.rc;

	if (next && s->snapshot == next) {
		if (old)
			munmap((void *)(uintptr_t)old, s->snapshot_bytes);
		s->snapshot_bytes = f->u.SNAPSHOT.bytes;
		log_info("configuration %llu applied", (unsigned long long)next->generation);
	} else if (next) {
		munmap((void *)(uintptr_t)next, f->u.SNAPSHOT.bytes);
	}
	if (rc != RC_OK)
		log_error("configuration %llu: %s", (unsigned long long)f->u.SNAPSHOT.generation, e.text);
	result.rc = rc;
	snprintf(result.text, sizeof result.text, "%s", e.text);
	ipc_send_SNAPSHOT_TAKEN(&from->port.link, f->head.tag, &result);
}
