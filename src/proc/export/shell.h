/*
 * plaingate-export: takes session records from the data plane and brings them out of it: to the session log on the disk,
 * whose hash goes into the ledger every hour, and to the collectors of the configuration. It
 * also serves measurements (http.h). It holds that directory and no key; its
 * network is empty, and connections to collectors come from the supervisor. It is a process of its own because disks and
 * collectors may be slow, and neither may hold up a packet: the data plane counts what does not fit its link to here, and this
 * process what it cannot write or send.
 *
 * Single thread. Callers: main.c, and the tests over sockets of their own.
 */
#ifndef PROC_EXPORT_SHELL_H
#define PROC_EXPORT_SHELL_H

#include "proc/export/digest.h"
#include "proc/export/http.h"
#include "proc/export/streams.h"

struct export
{
	struct child *child;
	struct local_log local;
	struct digest digest;
	struct streams streams;
	struct http http;
	struct timer tick;
	uint64_t received, malformed;
	utc_us (*clock)(void); /* clock_utc(); tests have another */
};

/* Neither may move afterwards. */
void export_init(struct export *x, struct child *child, int supervisor_fd);

#endif
