/*
 * Who gives way in a full session table, in constant time whatever else stands in it.
 *
 * A session gives way until it was answered: TCP until its handshake is complete, others until a packet came
 * back; and TCP again when it is over (else SYN and RST in pairs, from nowhere, would hold a table for
 * seconds). Answered ones are held, as long as their source and their zone hold no more than their share;
 * beyond it they live like the others while there is room, and give way to somebody who holds less when there
 * is none. The share is of what nobody holds yet (as in Choudhury and Hahne's dynamic thresholds for shared
 * buffers): one source alone comes to half of the table, one zone alone to eight ninths, and something is
 * always left for those who hold little.
 *
 * Of the three kinds the most numerous gives way, the oldest of them first: who fills the table pays, and an
 * honest answer comes within a round trip, so the session that has waited longest is the least likely to be
 * honest. A source is what addr_source() makes of an address.
 */
#include "base/siphash.h"
#include "firewall/internal.h"

#include <stdlib.h>

#define ZONE_SHARE 8 /* times what nobody holds */

/* One part in so many of the table is for those who wait for a first answer and hold less than a share. */
#define WAITING_PART 64

void fw_shares_init(struct firewall *fw)
{
	for (uint32_t k = 0; k < FW_EVICT_COUNT; k++)
		fw->evict_list[k] = (struct fw_evict_list){ .first = FW_NONE, .last = FW_NONE };
}

static void list_add(struct firewall *fw, uint32_t index, uint32_t kind)
{
	struct fw_evict_list *o = &fw->evict_list[kind];
	struct fw_place *p = &fw->place[index];

	p->evict_class = kind;
	p->evict_next = FW_NONE;
	p->evict_prev = o->last;
	*(o->last == FW_NONE ? &o->first : &fw->place[o->last].evict_next) = index;
	o->last = index;
	o->n++;
}

static void list_remove(struct firewall *fw, uint32_t index)
{
	struct fw_place *p = &fw->place[index];
	struct fw_evict_list *o = &fw->evict_list[p->evict_class];

	*(p->evict_prev == FW_NONE ? &o->first : &fw->place[p->evict_prev].evict_next) = p->evict_next;
	*(p->evict_next == FW_NONE ? &o->last : &fw->place[p->evict_next].evict_prev) = p->evict_prev;
	o->n--;
}

static uint32_t *protected_by_source(struct firewall *fw, const struct fw_key *k)
{
	struct ip_addr source = addr_source(fw_key_src(k));

	return &fw->protected_by_source[siphash13(fw->limits.hash_key, source.b, sizeof source.b) %
					FW_SOURCES];
}

static uint32_t *protected_by_zone(struct firewall *fw, uint32_t zone)
{
	return &fw->protected_by_zone[zone < ZONES_MAX ? zone : ZONES_MAX];
}

/* May who sends by this key, from this zone, hold one more? */
static bool share_left(struct firewall *fw, const struct fw_key *k, uint32_t zone)
{
	uint64_t nobodys = fw->sessions_limit > fw->protected_n ? fw->sessions_limit - fw->protected_n : 0;

	return *protected_by_source(fw, k) < nobodys && *protected_by_zone(fw, zone) < ZONE_SHARE * nobodys;
}

static void protected_count(struct firewall *fw, const struct fw_session *s, int by)
{
	fw->protected_n += (uint32_t)by;
	*protected_by_source(fw, &s->key[0]) += (uint32_t)by;
	*protected_by_zone(fw, s->zones.zone[0]) += (uint32_t)by;
}

static uint32_t class_of(struct firewall *fw, const struct fw_session *s)
{
	if (s->tcp_state == FW_TCP_SYN_SENT || s->tcp_state == FW_TCP_SYN_RECEIVED)
		return FW_EVICT_HALF_OPEN;
	if (s->tcp_state >= FW_TCP_TIME_WAIT ||
		(s->tcp_state == FW_TCP_NONE && !(s->flags & FW_SESSION_CONFIRMED)))
		return FW_EVICT_UNANSWERED;
	return share_left(fw, &s->key[0], s->zones.zone[0]) ? FW_EVICT_PROTECTED : FW_EVICT_OVER_SHARE;
}

void fw_shares_add(struct firewall *fw, uint32_t index)
{
	struct fw_session *s = &fw->sessions[index];
	uint32_t kind = class_of(fw, s);

	fw->place[index].evict_class = kind;
	if (kind == FW_EVICT_PROTECTED)
		protected_count(fw, s, 1);
	else
		list_add(fw, index, kind);
	if (kind == FW_EVICT_HALF_OPEN)
		s->flags |= FW_SESSION_HALF_OPEN;
	fw->counters.half_open_now = fw->evict_list[FW_EVICT_HALF_OPEN].n;
}

void fw_shares_remove(struct firewall *fw, uint32_t index)
{
	struct fw_session *s = &fw->sessions[index];

	if (fw->place[index].evict_class == FW_EVICT_PROTECTED)
		protected_count(fw, s, -1);
	else
		list_remove(fw, index);
	s->flags &= (uint8_t)~FW_SESSION_HALF_OPEN;
	fw->counters.half_open_now = fw->evict_list[FW_EVICT_HALF_OPEN].n;
}

void fw_shares_update(struct firewall *fw, uint32_t index)
{
	const struct fw_session *s = &fw->sessions[index];
	uint32_t kind = fw->place[index].evict_class;

	if (kind == FW_EVICT_PROTECTED ? s->tcp_state < FW_TCP_TIME_WAIT : class_of(fw, s) == kind)
		return;
	fw_shares_remove(fw, index);
	fw_shares_add(fw, index);
}

void fw_evict_session(struct firewall *fw, uint32_t index, mono_ns now)
{
	uint64_t *const counters[] = { [FW_EVICT_HALF_OPEN] = &fw->counters.half_open_evicted,
		[FW_EVICT_UNANSWERED] = &fw->counters.unanswered_evicted,
		[FW_EVICT_OVER_SHARE] = &fw->counters.over_share_evicted,
		[FW_EVICT_PROTECTED] = &fw->counters.over_share_evicted };

	(*counters[fw->place[index].evict_class])++;
	fw_session_end_by(fw, index, FW_END_EVICTED, now);
}

static bool evict(struct firewall *fw, uint32_t kind, mono_ns now)
{
	if (fw->evict_list[kind].n == 0)
		return false;
	fw_evict_session(fw, fw->evict_list[kind].first, now);
	return true;
}

/*
 * Few wait, and the next to give way holds less than its share: it does not give way to one who holds more.
 * Else, in a table that somebody fills with answered sessions, his next one would end the only handshakes
 * that are under way.
 */
static bool waits_safely(struct firewall *fw, uint32_t kind)
{
	const struct fw_evict_list *o = &fw->evict_list[kind];
	const struct fw_session *s = o->n > 0 ? &fw->sessions[o->first] : NULL;

	return s && o->n <= fw->sessions_limit / WAITING_PART && share_left(fw, &s->key[0], s->zones.zone[0]);
}

static bool evict_most_numerous(struct firewall *fw, bool entitled, mono_ns now)
{
	uint32_t most = 0;

	for (uint32_t k = 1; k < (entitled ? FW_EVICT_COUNT : FW_EVICT_OVER_SHARE); k++)
		if (fw->evict_list[k].n > fw->evict_list[most].n)
			most = k;
	return (entitled || !waits_safely(fw, most)) && evict(fw, most, now);
}

bool fw_evict_for(struct firewall *fw, const struct fw_key *k, uint32_t zone, mono_ns now)
{
	while (k->proto == IP_TCP && fw->evict_list[FW_EVICT_HALF_OPEN].n >= fw->half_open_max)
		if (!evict(fw, FW_EVICT_HALF_OPEN, now))
			return false;
	while (fw->counters.sessions_now >= fw->sessions_limit)
		if (!evict_most_numerous(fw, share_left(fw, k, zone), now))
			return false;
	return true;
}

void fw_shares_renumber(struct firewall *fw)
{
	memset(fw->protected_by_zone, 0, sizeof fw->protected_by_zone);
	for (uint32_t i = 0; i < fw->state->used; i++)
		if (fw->sessions[i].live && fw->place[i].evict_class == FW_EVICT_PROTECTED)
			(*protected_by_zone(fw, fw->sessions[i].zones.zone[0]))++;
}

void fw_shares_recount(struct firewall *fw)
{
	fw->protected_n = 0;
	memset(fw->protected_by_zone, 0, sizeof fw->protected_by_zone);
	memset(fw->protected_by_source, 0, FW_SOURCES * sizeof *fw->protected_by_source);
	for (uint32_t i = 0; i < fw->state->used; i++)
		if (fw->sessions[i].live && fw->place[i].evict_class == FW_EVICT_PROTECTED)
			fw_shares_add(fw, i);
}

/* ---- a smaller limit ---- */

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
 * What gives way goes first, then those that were silent longest, and no more than must. Without memory to
 * sort them they stay until they end; nothing new begins meanwhile.
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
		if (fw->sessions[i].live)
			list[n++] = (struct aged){ fw->sessions[i].last_seen, i };
	if (list)
		qsort(list, n, sizeof *list, older);
	for (size_t i = 0; i < MIN_OF(n, over); i++) {
		fw_session_end_by(fw, list[i].index, FW_END_EVICTED, now);
		fw->counters.limit_evicted++;
	}
	free(list);
}

uint32_t fw_sessions_limit(const struct firewall *fw)
{
	return fw->sessions_limit;
}
