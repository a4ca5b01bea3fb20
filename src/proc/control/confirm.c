/*
 * A commit that has to be confirmed: without `plaingate confirm` in its time, what ran before it is committed
 * again. The time and that text are on the disk before the commit is, so neither the end of control nor of
 * the machine takes them away. A further commit meanwhile confirms nothing: the text to go back to stays the
 * one that ran before the first. The time is the wall clock's; where that was set back, the whole time begins
 * anew.
 */
#include "base/log.h"
#include "proc/control/control.h"

#include <stdlib.h>

#define RETRY_US  (10 * 1000000ull) /* the ledger or the witnesses may be away */
#define MINUTE_US (60 * 1000000ull)

/* Its entry took its time. What it named may be on its way back by now, or another commit may run. */
void unconfirmed_confirm(struct client *c)
{
	const struct control *k = c->control;
	struct err e = { 0 };

	if (!k->unconfirmed.pending || k->commit.under_way || k->running.generation != c->generation) {
		const char *why = k->commit.under_way ? "another commit is under way"
						      : "another generation runs by now";
		enter_given_up(c->control, c, why);
		client_end(c, RC_AGAIN, 0, "generation %llu is not confirmed: %s",
			(unsigned long long)c->generation, why);
		return;
	}
	if (unconfirmed_end(c->control, &e)) {
		enter_given_up(c->control, c, e.text);
		client_end(c, RC_IO, 0, "generation %llu is not confirmed: %s",
			(unsigned long long)c->generation, e.text);
		return;
	}
	client_end(c, RC_OK, 0, "generation %llu is confirmed",
		(unsigned long long)c->control->running.generation);
}

void unconfirmed_look(struct loop *l, struct timer *t)
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
	u->deadline = now + RETRY_US;
	if (store_unconfirmed_read(k->config_dir, &deadline, &minutes, &text, &n, &e)) {
		log_error("%s; the configuration from before the unconfirmed commit cannot be restored",
			e.text);
		return;
	}
	log_warn("generation %llu was not confirmed within %u minutes: back to what ran before",
		(unsigned long long)k->running.generation, u->minutes);
	commit_back(k, text, n);
}
