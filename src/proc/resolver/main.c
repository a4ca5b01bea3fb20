/*
 * plaingate-resolver: addresses that change without a commit. Confined first, then everything else.
 */
#include "base/log.h"
#include "proc/resolver/shell.h"

int main(void)
{
	static struct resolver resolver;
	static struct child child;
	struct err e = { 0 };

	if (child_enter(PROC_RESOLVER, &e) != RC_OK) {
		log_error("%s", e.text);
		return 1;
	}
	resolver_init(&resolver, &child, CHILD_SUPERVISOR_FD);
	return child_run(&child);
}
