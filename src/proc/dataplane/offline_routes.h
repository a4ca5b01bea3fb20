/* Routes and addresses as iproute2 prints them, into the mirror of offline.c. */
#ifndef DATAPLANE_OFFLINE_ROUTES_H
#define DATAPLANE_OFFLINE_ROUTES_H

#include "proc/dataplane/offline.h"
#include "route/route.h"

#define OFFLINE_LINK_FIRST 1u /* the number of the first interface's link; others follow in their order */
#define OFFLINE_MTU	   65535u
#define OFFLINE_QUEUE_MAX  1024 /* what one packet makes workers hand over to each other is far less */
/* Between two packets: longer than every session lives, and no clock of a file that lies overflows ours. */
#define OFFLINE_GAP_NS_MAX (30ull * 86400 * 1000000000)

/* RC_MALFORMED: the error names the line. */
enum rc offline_routes_read(struct route_table *t, const struct snapshot *s, const char *text, size_t n,
	struct offline_routes *ret_read, struct err *e);

#endif
