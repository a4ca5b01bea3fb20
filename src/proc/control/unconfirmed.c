/*
 * A commit that waits to be confirmed: its state, and what is stored of it, so that a restart of control finds it.
 */
#include "base/log.h"
#include "proc/control/control.h"
#include "proc/control/limits.h"

#include <stdlib.h>

static void pending(struct control *k, utc_us deadline, uint32_t minutes)
{
	k->unconfirmed = (struct unconfirmed){ .pending = true, .deadline = deadline, .minutes = minutes };
	loop_arm(&k->child->loop, &k->confirm_timer, NS_PER_S, NS_PER_S);
}

enum rc unconfirmed_begin(struct control *k, uint32_t minutes, struct err *e)
{
	utc_us deadline = clock_utc() + minutes * MINUTE_US;
	const struct running *before = &k->running; /* with its certificates */
	char *text = NULL;
	size_t n = 0;
	uint32_t ignored;
	utc_us old;
	enum rc rc = RC_OK;

	if (k->unconfirmed.pending)
		rc = config_store_unconfirmed_read(k->config_dir, &old, &ignored, &text, &n, e);
	if (!rc)
		rc = text ? config_store_unconfirmed_write(k->config_dir, deadline, minutes, text, n, e)
			  : config_store_unconfirmed_begin(k->config_dir, deadline, minutes, before, e);
	free(text);
	if (!rc)
		pending(k, deadline, minutes);
	return rc;
}

enum rc unconfirmed_end(struct control *k, struct err *e)
{
	enum rc rc = config_store_unconfirmed_remove(k->config_dir, e);

	if (rc)
		return rc;
	k->unconfirmed.pending = false;
	loop_disarm(&k->child->loop, &k->confirm_timer);
	return RC_OK;
}

void unconfirmed_end_logged(struct control *k)
{
	struct err e = { 0 };

	if (!unconfirmed_end(k, &e))
		return;
	log_error("%s; the running configuration will be committed again in %u minutes", e.text,
		k->unconfirmed.minutes);
	k->unconfirmed.deadline = clock_utc() + k->unconfirmed.minutes * MINUTE_US;
}

void unconfirmed_load(struct control *k)
{
	char *text = NULL;
	struct err e = { 0 };
	uint32_t minutes;
	utc_us deadline;
	size_t n;
	enum rc rc = config_store_unconfirmed_read(k->config_dir, &deadline, &minutes, &text, &n, &e);

	if (rc == RC_OK)
		pending(k, deadline, minutes);
	else if (rc != RC_NOT_FOUND)
		log_error("%s; the unconfirmed commit stays in force", e.text);
	free(text);
}
