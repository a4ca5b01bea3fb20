/*
 * Who is evicted from a full session table, in constant time whatever else stands in it.
 *
 * Of the classes that may be evicted (shares.c) the most numerous is, its oldest session first: whoever fills
 * the table pays, and an honest answer comes within a round trip, so the session that has waited longest is
 * the least likely to be honest.
 */
#include "firewall/internal.h"

#include <assert.h>
#include <stdlib.h>

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

static bool evict(struct firewall *fw, uint32_t kind, mono_ns now)
{
	if (fw->evict_list[kind].n == 0)
		return false;
	assert(fw->evict_list[kind].first != FW_NONE);
	fw_evict_session(fw, fw->evict_list[kind].first, now);
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
	       fw_shares_left(fw, &s->key[0], s->zones.zone[0]);
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
	while (k->proto == IP_TCP && fw->evict_list[FW_EVICT_HALF_OPEN].n >= fw->half_open_max)
		if (!evict(fw, FW_EVICT_HALF_OPEN, now))
			return false;
	while (fw->counters.sessions_now >= fw->sessions_limit)
		if (!evict_most_numerous(fw, fw_shares_left(fw, k, zone), now))
			return false;
	return true;
}

/* ---- a lower limit ---- */

struct aged {
	mono_ns last_seen;
	uint32_t index;
};

static int older(const void *a, const void *b)
{
	const struct aged *x = a, *y = b;

	return x->last_seen < y->last_seen ? -1 : x->last_seen > y->last_seen;
}

/*
 * First what may be evicted, then the sessions that were idle longest, and no more than necessary. Without
 * memory to sort them they stay until they end, and no new one begins until then.
 */
void fw_evict_over_limit(struct firewall *fw, mono_ns now)
{
	while (fw->counters.sessions_now > fw->sessions_limit && evict_most_numerous(fw, true, now))
		;
	if (fw->counters.sessions_now <= fw->sessions_limit)
		return;
	size_t n = 0, over = fw->counters.sessions_now - fw->sessions_limit;
	struct aged *list = malloc(fw->counters.sessions_now * sizeof *list);
	for (uint32_t i = 0; list && i < fw->state->used; i++)
		if (fw->sessions[i].live && fw->place[i].evict_class != FW_EVICT_HELD) {
			assert(n < fw->counters.sessions_now);
			list[n++] = (struct aged){ fw->sessions[i].last_seen, i };
		}
	if (list)
		qsort(list, n, sizeof *list, older);
	for (size_t i = 0; i < MIN_OF(n, over); i++) {
		fw_session_end_by(fw, list[i].index, FW_END_EVICTED, now);
		fw->counters.limit_evicted++;
	}
	/* Bindings that the ended sessions used. */
	while (fw->counters.sessions_now > fw->sessions_limit && evict_most_numerous(fw, true, now))
		;
	free(list);
}

uint32_t fw_sessions_limit(const struct firewall *fw)
{
	return fw->sessions_limit;
}
