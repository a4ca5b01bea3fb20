/*
 * Mistakes that a commit does not make by accident: a configuration that closes everything (an empty text,
 * above all), one that cuts off the connection of its own administrator, and one by which no administrator
 * could change administrators any more. Each is refused with the reason
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

/* root at the console can always change them back, and is told. */
static enum rc shuts_out(struct commit *m, const struct running *now, struct client *c, struct err *e)
{
	if (!administrators_can_enter(now->administrators) ||
		administrators_can_enter(m->next.administrators))
		return RC_OK;
	err_add(&m->shut_out, RC_DENIED,
		"no administrator who may change administrators has a key or an account by this configuration: only root at the console could");
	if (c->speaker.kind != SPEAKER_ROOT)
		return guard(RC_DENIED, c->request.flags & COMMIT_CUT_OFF, &m->shut_out, e);
	client_warning(c, m->shut_out.text);
	err_clear(&m->shut_out);
	return RC_OK;
}

enum rc guards_check(struct commit *m, const struct running *now, struct client *c, struct err *e)
{
	const struct msg_cli_request *q = &c->request;
	const struct snapshot *next = m->next.block;
	const struct host_connection from = sound(&q->from);
	enum rc rc;

	rc = guard(snapshot_check_not_closed(next, q->name, &m->close_all), q->flags & COMMIT_CLOSE_ALL,
		&m->close_all, e);
	if (!rc)
		rc = guard(snapshot_keeps_connection(now->block, next, &from, &m->cut_off),
			q->flags & COMMIT_CUT_OFF, &m->cut_off, e);
	return rc ? rc : shuts_out(m, now, c, e);
}

static void config_override(
	struct control *k, const struct commit *m, const char *option, const struct err *warning)
{
	struct ledger_body b;

	if (warning->rc == RC_OK)
		return;
	ledger_body_begin(&b, LEDGER_CONFIG_OVERRIDE);
	ledger_body_str(&b, "admin", m->who);
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
	config_override(k, m, "--cut-off", &m->shut_out);
}
