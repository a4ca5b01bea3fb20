/* plaingate-ledger: append, sign, answer. There is no code in it that changes or deletes an entry. */
#include "base/log.h"
#include "proc/ledger/shell.h"

int main(void)
{
	static struct ledger_shell shell;
	static struct child child;
	struct err e = { 0 };

	if (child_enter(PROC_LEDGER, &e) != RC_OK) {
		log_error("%s", e.text);
		return 1;
	}
	ledger_shell_init(&shell, &child);
	child_init(&child, PROC_LEDGER, &ledger_shell_ops, &shell, LEDGER_LEDGER_OUTAGE, CHILD_SUPERVISOR_FD);
	return child_run(&child);
}
