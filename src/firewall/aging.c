/*
 * Early ageing of sessions between two watermarks, as ScreenOS and Junos have it: from the high watermark on, sessions that
 * were idle for early-ageout end, whatever their timeout is, until no more than the low watermark stand. So room is
 * made before the table is full and somebody has to be evicted (evict.c), and what is idle pays for it.
 *
 * The records are walked in pieces between bursts, each pass where the last one ended; a pass that does not reach the
 * low watermark found nothing else that is idle for long enough, and the next one begins FW_AGING_EVERY later. As with
 * evictions, a binding that is in use stays. Watermarks are parts of session-limit; bindings have places in it, too.
 */
#include "firewall/internal.h"

#include <assert.h>

void fw_aging_set(struct firewall *fw, const struct snap_aging *configured)
{
	fw->aging.configured = *configured;
	fw->aging.pass_left = 0;
	fw->aging.next_pass = 0;
	if (configured->high_percent == 0) {
		fw->aging.active = false;
		fw->counters.aging_now = 0;
	}
}

/* So many sessions are that part of the limit. */
static uint64_t mark(const struct firewall *fw, uint32_t percent)
{
	return (uint64_t)fw->sessions_limit * percent / 100;
}

/* Between the watermarks it stays as it was. */
static bool is_active(struct firewall *fw)
{
	struct fw_aging *a = &fw->aging;

	if (!a->active && fw->counters.sessions_now >= mark(fw, a->configured.high_percent)) {
		a->active = true;
		fw->counters.aging_now = 1;
		a->pass_left = 0;
		a->next_pass = 0;
		fw->counters.aging_begun++;
	} else if (a->active && fw->counters.sessions_now <= mark(fw, a->configured.low_percent)) {
		a->active = false;
		fw->counters.aging_now = 0;
	}
	return a->active;
}

static bool is_idle(struct firewall *fw, uint32_t index, mono_ns now)
{
	const struct fw_session *s = &fw->sessions[index];

	if (fw_is_known(fw, index) && s->live && fw_is_carried(s))
		fw_carried_sync(fw, index);
	return fw_is_known(fw, index) && s->live && fw->place[index].uses == 0 &&
	       !(fw_bindings_held(fw) && fw_is_binding(s)) && now > s->last_seen &&
	       now - s->last_seen >= fw->aging.configured.early_s * NS_PER_S;
}

bool fw_age(struct firewall *fw, mono_ns now, uint32_t budget)
{
	struct fw_aging *a = &fw->aging;

	if (a->configured.high_percent == 0 || !is_active(fw))
		return true;
	if (a->pass_left == 0) {
		if (now < a->next_pass)
			return true;
		a->pass_left = fw->state->used;
		a->next_pass = now + FW_AGING_EVERY;
	}
	for (; a->pass_left > 0 && budget > 0; a->pass_left--, budget--) {
		if (a->cursor >= fw->state->used)
			a->cursor = 0;
		uint32_t index = a->cursor++;
		if (!is_idle(fw, index, now))
			continue;
		fw_session_end_over(fw, index, FW_END_AGED, now);
		fw->counters.aged_early++;
		if (!is_active(fw))
			return true;
	}
	return a->pass_left == 0;
}
