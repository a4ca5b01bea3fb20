/*
 * How many sessions each source and each zone holds, and by that which sessions may be evicted from a full
 * table.
 *
 * A session may be evicted until it is answered: TCP and SCTP until the handshake is complete, other protocols until
 * a packet came back; and those two again once closed (else pairs of SYN and RST from forged sources would
 * hold a table for seconds). Answered sessions are protected as long as their source and their zone hold no
 * more than their share. A binding of persistent NAT may be evicted while no session uses it. Those over
 * the share live like the others while there is room, and are evicted for somebody who holds less when
 * there is none.
 *
 * The share is measured by what is still free (as in Choudhury and Hahne's dynamic thresholds for shared
 * buffers): one source alone comes to half of the table, one zone alone to eight ninths, and something is
 * always left for those who hold little. A source is what addr_source() makes of an address.
 *
 * evict.c chooses among the lists that are kept here; session.c reports each begin, change and end.
 */
#include "base/siphash.h"
#include "firewall/internal.h"

#include <assert.h>

void fw_shares_init(struct firewall *fw)
{
	for (uint32_t k = 0; k < FW_EVICT_COUNT; k++)
		fw->evict_list[k] = (struct fw_evict_list){ .first = FW_NONE, .last = FW_NONE };
}

static void list_add(struct firewall *fw, uint32_t index, uint32_t kind)
{
	struct fw_evict_list *o = &fw->evict_list[kind];
	struct fw_place *p = &fw->place[index];

	assert(kind < FW_EVICT_COUNT && (o->n == 0) == (o->last == FW_NONE));
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

	assert(p->evict_class < FW_EVICT_COUNT && o->n > 0);
	assert((p->evict_prev == FW_NONE ? o->first : fw->place[p->evict_prev].evict_next) == index);
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
	return &fw->protected_by_zone[zone < ZONES_MAX ? zone : ZONES_MAX + (zone == FW_ZONE_GONE)];
}

/* May who sends by this key, from this zone, hold one more? */
bool fw_shares_left(struct firewall *fw, const struct fw_key *k, uint32_t zone)
{
	uint64_t unclaimed = fw->sessions_limit > fw->protected_n ? fw->sessions_limit - fw->protected_n : 0;

	assert(fw->protected_n <= fw->counters.sessions_now);
	return *protected_by_source(fw, k) < unclaimed &&
	       *protected_by_zone(fw, zone) < FW_ZONE_SHARE * unclaimed;
}

static void protected_count(struct firewall *fw, const struct fw_session *s, int by)
{
	assert(by > 0 || (fw->protected_n > 0 && *protected_by_source(fw, &s->key[0]) > 0 &&
				 *protected_by_zone(fw, fw_zone_now(fw, s, 0)) > 0));
	fw->protected_n += (uint32_t)by;
	*protected_by_source(fw, &s->key[0]) += (uint32_t)by;
	*protected_by_zone(fw, fw_zone_now(fw, s, 0)) += (uint32_t)by;
}

static uint32_t class_of(struct firewall *fw, const struct fw_session *s)
{
	if (fw_is_binding(s))
		return fw->place[s - fw->sessions].uses || fw_bindings_held(fw) ? FW_EVICT_HELD
										: FW_EVICT_UNANSWERED;
	if (fw_phase(s) == FW_PHASE_HALF_OPEN)
		return FW_EVICT_HALF_OPEN;
	if (fw_is_closed(s) || (fw_phase(s) == FW_PHASE_STATELESS && !(s->flags & FW_SESSION_CONFIRMED)))
		return FW_EVICT_UNANSWERED;
	return fw_shares_left(fw, &s->key[0], fw_zone_now(fw, s, 0)) ? FW_EVICT_PROTECTED
								     : FW_EVICT_OVER_SHARE;
}

void fw_shares_add(struct firewall *fw, uint32_t index)
{
	struct fw_session *s = &fw->sessions[index];
	uint32_t kind = class_of(fw, s);

	assert(s->live == FW_SESSION_LIVE && !(s->flags & FW_SESSION_HALF_OPEN));
	fw->place[index].evict_class = kind;
	if (kind == FW_EVICT_PROTECTED)
		protected_count(fw, s, 1);
	else if (kind != FW_EVICT_HELD)
		list_add(fw, index, kind);
	if (kind == FW_EVICT_HALF_OPEN)
		s->flags |= FW_SESSION_HALF_OPEN;
	fw->counters.half_open_now = fw->evict_list[FW_EVICT_HALF_OPEN].n;
}

void fw_shares_remove(struct firewall *fw, uint32_t index)
{
	struct fw_session *s = &fw->sessions[index];

	assert(!!(s->flags & FW_SESSION_HALF_OPEN) == (fw->place[index].evict_class == FW_EVICT_HALF_OPEN));
	if (fw->place[index].evict_class == FW_EVICT_PROTECTED)
		protected_count(fw, s, -1);
	else if (fw->place[index].evict_class != FW_EVICT_HELD)
		list_remove(fw, index);
	s->flags &= (uint8_t)~FW_SESSION_HALF_OPEN;
	fw->counters.half_open_now = fw->evict_list[FW_EVICT_HALF_OPEN].n;
}

void fw_shares_update(struct firewall *fw, uint32_t index)
{
	const struct fw_session *s = &fw->sessions[index];
	uint32_t kind = fw->place[index].evict_class;

	if (kind == FW_EVICT_PROTECTED ? !fw_is_closed(s) : class_of(fw, s) == kind)
		return;
	fw_shares_remove(fw, index);
	fw_shares_add(fw, index);
}

void fw_shares_renumber(struct firewall *fw, const uint16_t to[ZONES_MAX])
{
	uint32_t was[ZONES_MAX];

	memcpy(was, fw->protected_by_zone, sizeof was);
	memset(fw->protected_by_zone, 0, sizeof was);
	for (uint32_t i = 0; i < ZONES_MAX; i++)
		if (was[i] > 0)
			*protected_by_zone(fw, to[i]) += was[i];
}

void fw_shares_recount(struct firewall *fw, uint32_t index)
{
	if (!fw->sessions[index].live || fw->place[index].evict_class != FW_EVICT_PROTECTED)
		return;
	fw_shares_remove(fw, index);
	fw_shares_add(fw, index);
}
