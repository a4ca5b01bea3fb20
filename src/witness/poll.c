#include "witness/poll.h"
#include "base/bytes.h"
#include "model/snapshot.h"

#include <assert.h>
#include <stdio.h>
#include <string.h>

void witness_poll_begin(struct witness_poll *a, const struct note_key *witness, mono_ns now)
{
	*a = (struct witness_poll){ .key = *witness, .heard = now, .next = now };
}

static mono_ns silent_at(const struct witness_poll *a, mono_ns heartbeat)
{
	return a->missing ? WITNESS_POLL_NEVER
			  : a->heard + WITNESS_POLL_HEARTBEATS_SILENT * MAX_OF(heartbeat, a->interval);
}

static bool has_something(const struct witness_poll *a, uint64_t size)
{
	return a->wants_note || !a->settled || a->cosigned < size;
}

/* A failure's pause holds for the heartbeat as well. */
static mono_ns question_at(const struct witness_poll *a, uint64_t size, mono_ns heartbeat)
{
	mono_ns next = MAX_OF(a->next, a->hold);

	return has_something(a, size) ? next : MAX_OF(next, a->heard + heartbeat);
}

enum witness_poll_question witness_poll_due(
	const struct witness_poll *a, uint64_t size, mono_ns heartbeat, mono_ns now)
{
	if (a->under_way != WITNESS_POLL_NONE || now < question_at(a, size, heartbeat))
		return WITNESS_POLL_NONE;
	return a->wants_note ? WITNESS_POLL_SEEN : WITNESS_POLL_ADD;
}

mono_ns witness_poll_at(const struct witness_poll *a, uint64_t size, mono_ns heartbeat)
{
	mono_ns silent = silent_at(a, heartbeat);

	return a->under_way != WITNESS_POLL_NONE ? silent : MIN_OF(silent, question_at(a, size, heartbeat));
}

void witness_poll_put(struct witness_poll *a, enum witness_poll_question q, uint64_t size)
{
	assert(a->under_way == WITNESS_POLL_NONE && q != WITNESS_POLL_NONE);
	a->under_way = q;
	a->asked = size;
	/* A size that it said once may be behind what it claimed since, never ahead of what we have. */
	a->asked_old = a->old_known ? MIN_OF(a->old, size) : size;
}

void witness_poll_urge(struct witness_poll *a)
{
	if (a->interval > WITNESS_SLOW_S * NS_PER_S)
		return;
	a->next = MIN_OF(a->next, a->failures > 0 ? a->failed + WITNESS_POLL_URGENT_NS : a->heard);
}

void witness_poll_failed(struct witness_poll *a, const char *why, mono_ns heartbeat, mono_ns now)
{
	mono_ns longest = MIN_OF(WITNESS_POLL_PAUSE_MAX_NS, heartbeat);
	mono_ns pause = WITNESS_POLL_PAUSE_MIN_NS << MIN_OF(a->failures, 10u);

	a->under_way = WITNESS_POLL_NONE;
	a->wants_note = a->resized = false;
	a->failures++;
	a->failed = now;
	a->next = now + MAX_OF(MIN_OF(pause, longest), a->interval);
	snprintf(a->error, sizeof a->error, "%s", why);
}

void witness_poll_hold(struct witness_poll *a, uint64_t seconds, mono_ns now)
{
	size_t n = strlen(a->error);
	mono_ns wait =
		seconds < WITNESS_POLL_HOLD_MAX_NS / NS_PER_S ? seconds * NS_PER_S : WITNESS_POLL_HOLD_MAX_NS;

	a->hold = now + wait;
	snprintf(a->error + n, sizeof a->error - n, "%sit asked to be left alone for %llu s (Retry-After)",
		n > 0 ? "; " : "", (unsigned long long)seconds);
}

enum witness_poll_news witness_poll_answered(struct witness_poll *a, const struct witness_reply *r,
	const char *why, mono_ns heartbeat, mono_ns now)
{
	bool was_missing = a->missing;

	switch (r->outcome) {
	case WITNESS_OUTCOME_GOOD:
		a->under_way = WITNESS_POLL_NONE;
		a->old_known = a->settled = true;
		a->old = r->size;
		a->cosigned = MAX_OF(a->cosigned, r->size);
		a->time_s = r->time_s;
		a->heard = now;
		a->next = now + MAX_OF((mono_ns)WITNESS_POLL_REST_NS, a->interval);
		a->failures = 0;
		a->missing = a->resized = false;
		a->error[0] = '\0';
		return was_missing ? WITNESS_POLL_RETURNED : WITNESS_POLL_COSIGNED;
	case WITNESS_OUTCOME_RETRY:
		/* At once, also when others failed before it: it is back, or was told of this log. One that
		 * says a new size each time is no better than one that fails. */
		if (!a->resized) {
			a->under_way = WITNESS_POLL_NONE;
			a->failures = MAX_OF(a->failures, 1u);
			a->failed = a->next = now;
			snprintf(a->error, sizeof a->error, "%s", why);
		} else {
			witness_poll_failed(a, why, heartbeat, now);
		}
		a->old_known = a->resized = true;
		a->old = r->size;
		return WITNESS_POLL_NO_NEWS;
	case WITNESS_OUTCOME_AHEAD:
	case WITNESS_OUTCOME_DISAGREES:
		/* Not settled: it is a claim that decides whether we may sign at all. */
		a->under_way = WITNESS_POLL_NONE;
		a->wants_note = true;
		a->next = a->failures > 0 ? now + WITNESS_POLL_PAUSE_MIN_NS : now;
		snprintf(a->error, sizeof a->error, "%s", why);
		return WITNESS_POLL_NO_NEWS;
	case WITNESS_OUTCOME_UNKNOWN:
	case WITNESS_OUTCOME_REFUSED:
		a->settled = true; /* it has seen nothing of this log, or nothing that it would tell */
		witness_poll_failed(a, why, heartbeat, now);
		return WITNESS_POLL_NO_NEWS;
	default:
		witness_poll_failed(a, why, heartbeat, now);
		return WITNESS_POLL_NO_NEWS;
	}
}

bool witness_poll_seen(struct witness_poll *a, uint64_t seen, bool ours, mono_ns heartbeat, mono_ns now)
{
	a->wants_note = false;
	if (!ours) {
		a->under_way = WITNESS_POLL_NONE;
		a->settled = true;
		return true;
	}
	a->old_known = true;
	a->old = seen;
	witness_poll_failed(
		a, "its own note does not show what it claims to have seen of this log", heartbeat, now);
	return false;
}

bool witness_poll_silent(struct witness_poll *a, mono_ns heartbeat, mono_ns now)
{
	if (now < silent_at(a, heartbeat))
		return false;
	a->missing = true;
	return true;
}

unsigned witness_poll_count(const struct witness_poll *const all[], size_t n, uint64_t size)
{
	unsigned count = 0;

	for (size_t i = 0; i < n; i++)
		count += all[i]->cosigned >= size;
	return count;
}
