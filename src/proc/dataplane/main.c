#include "ipc/child.h"
#include "base/lines.h"
#include "base/log.h"
#include "proc/dataplane/dataplane.h"

#include <malloc.h>
#include <stdlib.h>

/* The sandbox is entered before anything is received. */
int main(void)
{
	struct err e = { 0 };
	struct dataplane *d;
	int status;

	/* Otherwise malloc() raises it with what is freed, and large tables come from memory that calloc() must clear and
	 * free() gives back many at once. */
	mallopt(M_MMAP_THRESHOLD, LARGE_BYTES);
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
