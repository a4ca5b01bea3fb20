#include "ipc/child.h"
#include "base/lines.h"
#include "base/log.h"
#include "proc/dataplane/dataplane.h"

#include <stdlib.h>

/* The sandbox is entered before anything is received. */
int main(void)
{
	struct err e = { 0 };
	struct dataplane *d;
	int status;

	if (child_enter(PROC_DATAPLANE, &e) != RC_OK) {
		log_error("%s", e.text);
		return 1;
	}
	d = lines_new(1, sizeof *d);
	if (!d || !dataplane_init(d, CHILD_SUPERVISOR_FD)) {
		log_error("out of memory at the start of the data plane");
		return 1;
	}
	status = dataplane_run(d);
	dataplane_done(d);
	free(d);
	return status;
}
