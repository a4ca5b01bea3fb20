/* The collectors of the configuration, and what the supervisor says about them. Callers: shell.c. One thread. */
#ifndef PROC_EXPORT_STREAMS_H
#define PROC_EXPORT_STREAMS_H

#include "ipc/child.h"
#include "proc/export/stream.h"

struct streams {
	struct child *child;
	struct stream list
		[LOG_STREAMS_MAX]; /* a stream keeps its place while its name is configured, and so what waits */
	struct stream *at[LOG_STREAMS_MAX]; /* n of them, in the configuration's order */
	uint32_t n;
	uint64_t last_tag;
};

void streams_init(struct streams *x, struct child *child);
void streams_put(struct streams *x, const struct session_record *r);
/* True: the message was one about them. */
bool streams_told(struct streams *x, struct ipc_frame *f);
enum rc streams_authorities(struct streams *x, uint32_t index, int fd, struct err *e);
void streams_end(struct streams *x);

#endif
