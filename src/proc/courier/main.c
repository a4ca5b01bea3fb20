/*
 * plaingate-courier: questions to witnesses that have a URL. Confined first, then everything else.
 */
#include "base/log.h"
#include "proc/courier/shell.h"

int main(void)
{
	static struct courier courier;
	static struct child child;
	struct err e = { 0 };

	if (child_enter(PROC_COURIER, &e) != RC_OK) {
		log_error("%s", e.text);
		return 1;
	}
	courier_init(&courier, &child, CHILD_SUPERVISOR_FD);
	return child_run(&child);
}
