/*
 * Who is evicted from a full session table, in constant time whatever else stands in it.
 *
 * Of the classes that may be evicted (shares.c) the most numerous is, its oldest session first: whoever fills
 * the table pays, and an honest answer comes within a round trip, so the session that has waited longest is
 * the least likely to be honest.
 */
#include "firewall/internal.h"

#include <assert.h>

void fw_evict_session(struct firewall *fw, uint32_t index, mono_ns now)
{
	uint64_t *const counters[] = { [FW_EVICT_HALF_OPEN] = &fw->counters.half_open_evicted,
		[FW_EVICT_UNANSWERED] = &fw->counters.unanswered_evicted,
		[FW_EVICT_OVER_SHARE] = &fw->counters.over_share_evicted,
		[FW_EVICT_PROTECTED] = &fw->counters.over_share_evicted };

	assert(fw->sessions[index].live && fw->place[index].evict_class <= FW_EVICT_PROTECTED);
	(*counters[fw->place[index].evict_class])++;
	fw_session_end_by(fw, index, FW_END_EVICTED, now);
}

/* The oldest of the list may have been answered by packets that the kernel forwarded: then it leaves the list. False: none has
 * left it. */
static bool evict(struct firewall *fw, uint32_t kind, mono_ns now)
{
	const struct fw_evict_list *o = &fw->evict_list[kind];
	bool left = false;

	for (uint32_t n = 0; n < FW_EVICT_CARRIED && o->n > 0; n++) {
		uint32_t index = o->first;
		if (fw_is_carried(&fw->sessions[index]))
			fw_carried_sync(fw, index);
		if (fw->place[index].evict_class == kind)
			break;
		left = true;
	}
	if (o->n == 0)
		return left;
	assert(o->first != FW_NONE);
	fw_evict_session(fw, o->first, now);
	return true;
}

/*
 * Few wait, and the next to be evicted belongs to somebody below their share: it is not evicted for somebody
 * above theirs. Otherwise, in a table that one source fills with answered sessions, its next session would
 * end the only handshakes that are under way.
 */
static bool is_entitled_to_wait(struct firewall *fw, uint32_t kind)
{
	const struct fw_evict_list *o = &fw->evict_list[kind];
	const struct fw_session *s = o->n > 0 ? &fw->sessions[o->first] : NULL;

	assert(!s || s->live == FW_SESSION_LIVE);
	return s && o->n <= fw->sessions_limit / FW_WAITING_PART &&
	       fw_shares_left(fw, &s->key[0], fw_zone_now(fw, s, 0));
}

static bool evict_most_numerous(struct firewall *fw, bool entitled, mono_ns now)
{
	uint32_t most = 0;

	for (uint32_t k = 1; k < (entitled ? FW_EVICT_COUNT : FW_EVICT_OVER_SHARE); k++)
		if (fw->evict_list[k].n > fw->evict_list[most].n)
			most = k;
	return (entitled || !is_entitled_to_wait(fw, most)) && evict(fw, most, now);
}

bool fw_evict_for(struct firewall *fw, const struct fw_key *k, uint32_t zone, mono_ns now)
{
	for (uint32_t n = 0; (k->proto == IP_TCP || k->proto == IP_SCTP) && n < FW_EVICT_EACH &&
			     fw->evict_list[FW_EVICT_HALF_OPEN].n >= fw->half_open_max;
		n++)
		if (!evict(fw, FW_EVICT_HALF_OPEN, now))
			return false;
	for (uint32_t n = 0; n < FW_EVICT_EACH && fw->counters.sessions_now >= fw->sessions_limit; n++)
		if (!evict_most_numerous(fw, fw_shares_left(fw, k, zone), now))
			return false;
	return true;
}

/* ---- a lower limit ---- */

/*
 * First what may be evicted, then the sessions that were idle longest, and no more than necessary. They are
 * found without sorting: how many sent their last packet in each interval of time says in which the youngest of
 * them did, and the next pass divides that one, until an interval is a nanosecond.
 */
static void silent_begin(struct fw_silent *x, mono_ns now)
{
	*x = (struct fw_silent){ .step = FW_SILENT_COUNT, .width = now / FW_SILENT_INTERVALS + 1 };
}

static void silent_count(struct fw_silent *x, const struct fw_session *s, mono_ns now)
{
	mono_ns seen = MIN_OF(s->last_seen, now); /* of memory that was damaged: any */

	if (seen >= x->first && (seen - x->first) / x->width < FW_SILENT_INTERVALS)
		x->count[(seen - x->first) / x->width]++;
}

/* A pass is over: the interval in which the last of `over` sessions is. */
static void silent_divide(struct fw_silent *x, uint64_t over)
{
	uint32_t i = 0;

	while (i < FW_SILENT_INTERVALS - 1 && x->before + x->count[i] < over)
		x->before += x->count[i++];
	x->first += i * x->width;
	x->cursor = 0;
	if (x->width == 1) {
		x->step = FW_SILENT_END; /* those before `first` + 1 */
		return;
	}
	x->width = (x->width - 1) / FW_SILENT_INTERVALS + 1;
	memset(x->count, 0, sizeof x->count);
}

bool fw_evict_over_limit(struct firewall *fw, mono_ns now, uint32_t budget)
{
	struct fw_silent *x = &fw->silent;

	for (; budget > 0 && fw->counters.sessions_now > fw->sessions_limit; budget--) {
		if (evict_most_numerous(fw, true, now))
			continue;
		if (x->step == FW_SILENT_IDLE)
			silent_begin(x, now);
		if (x->cursor >= fw->state->used && x->step == FW_SILENT_COUNT)
			silent_divide(x, fw->counters.sessions_now - fw->sessions_limit);
		else if (x->cursor >= fw->state->used && x->ended == 0)
			break; /* the others are held */
		else if (x->cursor >= fw->state->used)
			silent_begin(x, now); /* some were not idle meanwhile: others are */
		const struct fw_session *s = &fw->sessions[x->cursor++];
		if (!s->live || fw->place[x->cursor - 1].evict_class == FW_EVICT_HELD)
			continue;
		if (x->step == FW_SILENT_COUNT) {
			silent_count(x, s, now);
		} else if (s->last_seen <= x->first || s->last_seen > now) {
			fw_session_end_by(fw, x->cursor - 1, FW_END_EVICTED, now);
			fw->counters.limit_evicted++;
			x->ended++;
		}
	}
	if (fw->counters.sessions_now > fw->sessions_limit && budget == 0)
		return false;
	x->step = FW_SILENT_IDLE;
	return true;
}

uint32_t fw_sessions_limit(const struct firewall *fw)
{
	return fw->sessions_limit;
}
