/*
 * A commit that has to be confirmed: without `plaingate confirm` in its time, the configuration before it is
 * restored by a commit. Its deadline and that text are on the disk before the commit is, so that they outlive
 * control and the machine. Until then only who made it may commit further, and nothing that needs signatures: what comes back
 * undoes nobody else's commit, and no signed one. Such a commit confirms nothing: what is restored stays what ran
 * before the first of them. The deadline is wall-clock time; when the clock is set back, the whole time starts
 * again.
 */
#include "base/log.h"
#include "proc/control/control.h"
#include "proc/control/limits.h"

#include <stdlib.h>

/* Its entry took its time: meanwhile the deadline may have passed, or another commit have begun. */
void confirm_now(struct client *c)
{
	const struct control *k = c->control;
	struct err e = { 0 };

	if (!k->unconfirmed.pending || k->commit.under_way || k->running.generation != c->generation) {
		const char *why = k->commit.under_way ? "another commit is in progress"
						      : "another generation is running by now";
		entry_admin_act_aborted(c->control, c, why);
		client_end(c, RC_AGAIN, 0, "generation %llu is not confirmed: %s",
			(unsigned long long)c->generation, why);
		return;
	}
	if (unconfirmed_end(c->control, &e)) {
		entry_admin_act_aborted(c->control, c, e.text);
		client_end(c, RC_IO, 0, "generation %llu is not confirmed: %s",
			(unsigned long long)c->generation, e.text);
		return;
	}
	client_end(c, RC_OK, 0, "generation %llu is confirmed",
		(unsigned long long)c->control->running.generation);
}

void confirm_expire(struct loop *l, struct timer *t)
{
	struct control *k = t->context;
	struct unconfirmed *u = &k->unconfirmed;
	char *text = NULL;
	struct err e = { 0 };
	uint32_t minutes;
	utc_us now = clock_utc(), deadline;
	size_t n = 0;

	if (u->deadline > now + u->minutes * MINUTE_US)
		u->deadline = now + u->minutes * MINUTE_US;
	if (now < u->deadline || k->commit.under_way)
		return;
	u->deadline = now + CONFIRM_RETRY_US;
	if (config_store_unconfirmed_read(k->config_dir, &deadline, &minutes, &text, &n, &e)) {
		log_error("%s; the configuration from before the unconfirmed commit cannot be restored",
			e.text);
		return;
	}
	log_warn(
		"generation %llu was not confirmed within %u min: restoring the configuration from before the "
		"unconfirmed commit",
		(unsigned long long)k->running.generation, u->minutes);
	commit_restore(k, text, n);
}
