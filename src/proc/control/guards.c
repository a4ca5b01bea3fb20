/*
 * Two mistakes that a commit does not make by accident: a configuration that closes everything (an empty text,
 * above all), and one that cuts off the connection of its own administrator. Each is refused with the reason
 * unless an option of the request says that it is meant; then the ledger says so. That connection is named by
 * the administrator's program (cli/connection.c): a false one harms only the administrator who sends it.
 */
#include "base/log.h"
#include "ledger/types.h"
#include "proc/control/control.h"

/* What a guard says is kept in `kept` when it is overridden; else it is the error. */
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

static void config_override(
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

void entry_config_overrides(struct control *k, const struct commit *m)
{
	config_override(k, m, "--close-all", &m->close_all);
	config_override(k, m, "--cut-off", &m->cut_off);
}
