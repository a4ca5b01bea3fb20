/*
 * plaingate-control. libyang's context is made inside the sandbox: the model is in the executable, no file is
 * needed.
 */
#include "ledger/types.h"
#include "proc/control/control.h"

/* child_main() owns the struct child; its context is the struct control, which learns the child here. */
static struct control control;

static enum rc on_resource_first(struct child *c, const struct msg_resource *r, int fd, struct err *e)
{
	if (!control.child)
		control_init(&control, c);
	return control_ops.on_resource(c, r, fd, e);
}

int main(void)
{
	struct child_ops ops = control_ops;

	ops.on_resource = on_resource_first;
	return child_main(PROC_CONTROL, &ops, &control, LEDGER_LEDGER_OUTAGE);
}
