/* plaingate-ike: IKEv2. Confined first, then everything else. */
#include "base/log.h"
#include "ledger/types.h"
#include "proc/ike/shell.h"

int main(void)
{
	static struct ike_shell shell;
	static struct child child;
	struct err e = { 0 };

	if (child_enter(PROC_IKE, &e) != RC_OK) {
		log_error("%s", e.text);
		return 1;
	}
	ike_shell_init(&shell, &child);
	child_init(&child, PROC_IKE, &ike_shell_ops, &shell, LEDGER_LEDGER_OUTAGE, CHILD_SUPERVISOR_FD);
	return child_run(&child);
}
