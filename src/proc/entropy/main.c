/*
 * plaingate-entropy: the second source of entropy. Confined first, then everything else.
 */
#include "base/log.h"
#include "proc/entropy/shell.h"

int main(void)
{
	static struct entropy entropy;
	static struct child child;
	struct err e = { 0 };

	if (child_enter(PROC_ENTROPY, &e) != RC_OK || entropy_is_apart(NULL, &e) != RC_OK) {
		log_error("%s", e.text);
		return 1;
	}
	entropy_init(&entropy, &child, CHILD_SUPERVISOR_FD);
	return child_run(&child);
}
