#include "proc/dataplane/carry_maps.h"

#include <sys/mman.h>
#include <unistd.h>

static const size_t sizes[CARRY_MAPS] = {
	[CARRY_PART_HEAD] = sizeof(struct carry_head),
	[CARRY_PART_BUCKETS] = CARRY_BUCKETS * sizeof(struct carry_bucket),
	[CARRY_PART_RECORDS] = CARRY_RECORDS_MAX * sizeof(struct carry_record),
	[CARRY_PART_HOST] = sizeof(struct carry_host),
};

void carry_maps_init(struct carry_maps *m)
{
	*m = (struct carry_maps){ .tap = -1 };
}

static void unmap(void *at, enum carry_part part)
{
	if (at)
		munmap(at, sizes[part]);
}

void carry_maps_done(struct carry_maps *m)
{
	unmap(m->head, CARRY_PART_HEAD);
	unmap(m->buckets, CARRY_PART_BUCKETS);
	unmap(m->records, CARRY_PART_RECORDS);
	unmap(m->host, CARRY_PART_HOST);
	if (m->tap >= 0)
		close(m->tap);
	carry_maps_init(m);
}

enum rc carry_maps_take(struct carry_maps *m, uint32_t part, int fd, struct err *e)
{
	if (part == CARRY_PART_TAP) {
		if (m->tap >= 0)
			close(m->tap);
		m->tap = fd;
		return RC_OK;
	}
	if (part >= CARRY_PARTS) {
		close(fd);
		return err_add(e, RC_RANGE, "part %u of what carries sessions is unknown: there are %d", part,
			CARRY_PARTS);
	}
	void *at = mmap(NULL, sizes[part], PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	close(fd);
	if (at == MAP_FAILED)
		return err_errno(e, RC_IO, "map part %u of what carries sessions into memory", part);
	void *was = NULL;
	switch (part) {
	case CARRY_PART_HEAD:
		was = m->head;
		m->head = at;
		break;
	case CARRY_PART_BUCKETS:
		was = m->buckets;
		m->buckets = at;
		break;
	case CARRY_PART_RECORDS:
		was = m->records;
		m->records = at;
		break;
	default:
		was = m->host;
		m->host = at;
	}
	unmap(was, (enum carry_part)part);
	return RC_OK;
}
