/*
 * Two mistakes that a commit does not make by accident: a configuration that closes everything (an empty text,
 * above all), and one that cuts off the connection on which its own administrator sits. Each
 * is refused with the reason unless the request says by its option that it is meant; then the ledger says so.
 * Where the administrator sits is the program's word (cli/connection.c): a false one harms nobody but who
 * gives it.
 */
#include "base/log.h"
#include "ledger/types.h"
#include "proc/control/control.h"

/* What the guard says is kept when it is overridden, else it is the error. */
static enum rc guard(enum rc rc, bool meant, struct err *kept, struct err *e)
{
	if (rc && meant)
		return RC_OK;
	if (rc)
		*e = *kept;
	err_clear(kept);
	return rc;
}

/* What came from the client, before it is used as text. */
static struct host_connection sound(const struct host_connection *from)
{
	struct host_connection c = *from;

	c.interface[sizeof c.interface - 1] = '\0';
	if (c.local.family != c.remote.family || (c.remote.family != ADDR_V4 && c.remote.family != ADDR_V6))
		c.remote.family = ADDR_NONE;
	return c;
}

enum rc guards_check(
	struct commit *m, const struct running *now, const struct msg_cli_request *q, struct err *e)
{
	const struct snapshot *next = m->next.block;
	const struct host_connection from = sound(&q->from);
	enum rc rc;

	rc = guard(snapshot_check_not_closed(next, q->name, &m->close_all), q->flags & COMMIT_CLOSE_ALL,
		&m->close_all, e);
	return rc ? rc
		  : guard(snapshot_keeps_connection(now->block, next, &from, &m->cut_off),
			    q->flags & COMMIT_CUT_OFF, &m->cut_off, e);
}

static void enter_override(
	struct control *k, const struct commit *m, const char *option, const struct err *warning)
{
	struct ledger_body b;

	if (warning->rc == RC_OK)
		return;
	ledger_body_begin(&b, LEDGER_CONFIG_OVERRIDE);
	ledger_body_strf(&b, "admin", "uid %u", m->uid);
	ledger_body_u64(&b, "generation", m->next.generation);
	ledger_body_str(&b, "option", option);
	ledger_body_str(&b, "warning", warning->text);
	if (entry_send(k, LEDGER_ASYNC, &b, NULL, 0))
		log_error("the overridden check cannot be entered in the ledger: %s", warning->text);
}

void enter_overrides(struct control *k, const struct commit *m)
{
	enter_override(k, m, "--close-all", &m->close_all);
	enter_override(k, m, "--cut-off", &m->cut_off);
}
