/*
 * What sessions that the kernel carries stand in (carry/layout.h): the maps as the supervisor hands them over, in this
 * process's memory, and the tap for the packet sockets. They may come at any time, or never; they stay until the process ends.
 */
#ifndef PROC_DATAPLANE_CARRY_MAPS_H
#define PROC_DATAPLANE_CARRY_MAPS_H

#include "base/err.h"
#include "carry/layout.h"

#include <stdbool.h>

struct carry_maps {
	struct carry_head *head;
	struct carry_bucket *buckets; /* CARRY_BUCKETS */
	struct carry_record *records; /* CARRY_RECORDS_MAX */
	struct carry_host *host;
	int tap; /* a socket filter's program; -1: none */
};

void carry_maps_init(struct carry_maps *m);
void carry_maps_done(struct carry_maps *m);
/* Takes fd over, also on failure. part: enum carry_part. */
enum rc carry_maps_take(struct carry_maps *m, uint32_t part, int fd, struct err *e);

/* All of them are there. */
static inline bool carry_maps_ready(const struct carry_maps *m)
{
	return m->head && m->buckets && m->records && m->host && m->tap >= 0;
}

#endif
