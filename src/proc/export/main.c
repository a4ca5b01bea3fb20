/*
 * plaingate-export: session records to the session log. Confined first, then everything else.
 */
#include "base/log.h"
#include "proc/export/shell.h"

int main(void)
{
	static struct export export;
	static struct child child;
	struct err e = { 0 };

	if (child_enter(PROC_EXPORT, &e) != RC_OK) {
		log_error("%s", e.text);
		return 1;
	}
	export_init(&export, &child, CHILD_SUPERVISOR_FD);
	return child_run(&child);
}
