/*
 * A commit that waits to be confirmed: its state, and what is stored of it, so that a restart of control finds it.
 */
#include "base/log.h"
#include "proc/control/control.h"
#include "proc/control/limits.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum rc unconfirmed_admits(const struct control *k, const char *who, bool is_signed, struct err *e)
{
	const struct unconfirmed *u = &k->unconfirmed;
	char until[UTC_TEXT_MAX];

	if (!u->pending || (!is_signed && speakers_are_one(u->who, who)))
		return RC_OK;
	utc_text(until, u->deadline);
	return err_add(e, RC_AGAIN,
		"generation %llu by %s waits until %.19sZ to be confirmed, and what ran before it comes back unless it is: nothing is changed. Confirm "
		"it (plaingate confirm), or commit this after that time",
		(unsigned long long)k->running.generation, u->who[0] ? u->who : "somebody", until);
}

void unconfirmed_text(const struct control *k, char ret_text[UNCONFIRMED_TEXT_MAX])
{
	const struct unconfirmed *u = &k->unconfirmed;
	char until[UTC_TEXT_MAX];
	utc_us now = clock_utc();

	ret_text[0] = '\0';
	if (!u->pending)
		return;
	utc_text(until, u->deadline);
	snprintf(ret_text, UNCONFIRMED_TEXT_MAX,
		"generation %llu by %s is not confirmed: what ran before it comes back at %.19sZ (in %llu min) unless 'plaingate confirm' is run",
		(unsigned long long)k->running.generation, u->who[0] ? u->who : "somebody", until,
		(unsigned long long)(u->deadline > now ? (u->deadline - now + MINUTE_US - 1) / MINUTE_US
						       : 0));
}

static void pending(struct control *k, utc_us deadline, uint32_t minutes, const char *who)
{
	k->unconfirmed = (struct unconfirmed){ .pending = true, .deadline = deadline, .minutes = minutes };
	snprintf(k->unconfirmed.who, sizeof k->unconfirmed.who, "%s", who);
	loop_arm(&k->child->loop, &k->confirm_timer, NS_PER_S, NS_PER_S);
}

enum rc unconfirmed_begin(struct control *k, uint32_t minutes, const char *who, struct err *e)
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
		pending(k, deadline, minutes, who);
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
	char *text = NULL, who[SPEAKER_TEXT_MAX];
	struct err e = { 0 };
	uint32_t minutes;
	utc_us deadline;
	size_t n;
	enum rc rc = config_store_unconfirmed_read(k->config_dir, &deadline, &minutes, &text, &n, &e);

	history_who(k, who);
	if (rc == RC_OK)
		pending(k, deadline, minutes, who);
	else if (rc != RC_NOT_FOUND)
		log_error("%s; the unconfirmed commit stays in force", e.text);
	free(text);
}
