/* What a client is answered: rows, and the end. */
#include "base/json.h"
#include "base/log.h"
#include "proc/control/control.h"

#include <assert.h>
#include <stdarg.h>
#include <stdio.h>

/* It cannot be answered any more; the next tick closes it. */
static void client_fail(struct client *c)
{
	c->forget(c);
	c->deadline = c->control->child->loop.now;
}

struct client *client_by_tag(struct control *k, uint64_t tag, enum client_work work)
{
	for (size_t i = 0; i < CLIENTS_MAX; i++) {
		if (k->clients[i].work == work && k->clients[i].tag == tag)
			return &k->clients[i];
	}
	return NULL;
}

void client_row(struct client *c, const struct msg_row *row)
{
	enum rc rc = ipc_send_CLI_ROW(&c->port.link, 1, row);

	if (rc) {
		log_warn("closing client (uid %u), which is not reading: %s", c->uid, rc_text(rc));
		client_fail(c);
	}
}

void client_warning(void *client, const char *text)
{
	struct msg_row row = { 0 };
	struct jw w = jw_over(row.json, sizeof row.json, false);

	jw_object(&w, NULL);
	jw_str(&w, "kind", "warning");
	jw_str(&w, "text", text);
	jw_end(&w);
	row.n = (uint32_t)jw_done(&w);
	if (row.n > 0)
		client_row(client, &row);
}

void client_end(struct client *c, enum rc rc, uint32_t count, const char *fmt, ...)
{
	struct msg_result r = { .rc = rc, .count = count };
	va_list args;

	va_start(args, fmt);
	vsnprintf(r.text, sizeof r.text, fmt, args);
	va_end(args);
	assert(c->work != CLIENT_FREE);
	c->work = CLIENT_ENDED;
	c->deadline = c->control->child->loop.now + CLIENT_WAIT_NS;
	if (ipc_send_CLI_END(&c->port.link, 1, &r))
		client_fail(c);
}
