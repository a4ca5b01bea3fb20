/* What the supervisor knows about the servers whose health is checked; health.c. */
#ifndef PROC_SUPERVISOR_HEALTH_H
#define PROC_SUPERVISOR_HEALTH_H

#include "ipc/loop.h"
#include "model/snapshot.h"

struct supervisor;

struct health_server {
	struct supervisor *supervisor;
	struct endpoint at;
	uint16_t interval_s, timeout_s, rise, fall;
	bool used, wanted, down, probing;
	uint32_t streak; /* of results that contradict the state */
	uint64_t checks, failures;
	mono_ns since;	    /* the state has lasted */
	char why[100];	    /* the last check failed; else empty */
	struct watch watch; /* of a connection that is being made */
	struct timer timer; /* the next check, or the end of the one under way */
};

struct servers_health {
	struct health_server list[HEALTH_SERVERS_MAX];
};

#endif
