/*
 * Which link addresses the kernel is asked to resolve. A stranger may name any address of a link, a whole
 * /64 of them: each request costs the supervisor a call and the kernel an entry of its neighbour table, which
 * all links share (RFC 6583 section 4). So requests are bounded: by neighbour, by source, by zone, and all
 * together (limits.h); by all workers.
 *
 * A neighbour that has answered before is resolved whatever sources and zones have used up (RFC 6583 section
 * 7.1): a scan does not cut anybody off from existing neighbours.
 */
#include "base/rate.h"
#include "base/siphash.h"
#include "proc/dataplane/stages.h"

static uint64_t tag_of(const struct pipeline *p, uint32_t link, const struct ip_addr *addr)
{
	struct {
		uint8_t addr[16];
		uint32_t link, family;
	} key = { .link = link, .family = addr->family };

	memcpy(key.addr, addr->b, sizeof key.addr);
	return siphash13(p->hash_key, &key, sizeof key) | 1; /* 0 marks an empty place */
}

void neighbour_remember(struct pipeline *p, uint32_t link, const struct ip_addr *addr)
{
	uint64_t tag = tag_of(p, link, addr);

	p->solicitations.known[tag / 2 % SOLICIT_KNOWN_MAX] = tag;
}

/* ---- when a neighbour was asked for last, by any worker ---- */

static uint64_t *recent_of(const struct pipeline *p, uint64_t tag)
{
	return &p->rates->solicit_recent[tag / 2 % SOLICIT_RECENT_MAX];
}

static uint64_t recent_now(const struct pipeline *p, uint64_t tag)
{
	return tag >> 32 << 32 | (uint32_t)(p->now / NS_PER_MS);
}

/* The clock of the worker that asked may be ahead of this one's by as much as a burst takes. */
static bool is_recent(const struct pipeline *p, uint64_t recent, uint64_t tag, mono_ns interval)
{
	uint32_t ahead_max = (uint32_t)(NS_PER_S / NS_PER_MS), now = (uint32_t)(p->now / NS_PER_MS);

	return recent != 0 && recent >> 32 == tag >> 32 &&
	       now - (uint32_t)recent + ahead_max < interval / NS_PER_MS + ahead_max;
}

/* False: another worker has asked for it since `seen` was read. */
static bool recent_replace(const struct pipeline *p, uint64_t seen, uint64_t tag)
{
	uint64_t *place = recent_of(p, tag), is = recent_now(p, tag);

	while (!__atomic_compare_exchange_n(place, &seen, is, false, __ATOMIC_RELAXED, __ATOMIC_RELAXED))
		if (is_recent(p, seen, tag, SOLICIT_INTERVAL))
			return false;
	return true;
}

/* ---- */

static bool known_allowed(struct pipeline *p)
{
	return rate_shared_take(
		&p->rates->solicit_known, SOLICIT_KNOWN_PER_SECOND, SOLICIT_KNOWN_BURST, p->now);
}

static bool allowed(struct pipeline *p, const struct train *t, uint64_t tag)
{
	struct pipeline_rates *r = p->rates;
	struct ip_addr address = addr_source(t->src);
	mono_ns *source = &r->solicit_source[tag_of(p, t->in_zone, &address) % SOLICIT_SOURCES];
	mono_ns *zone = &r->solicit_zone[t->in_zone < ZONES_MAX ? t->in_zone : ZONES_MAX];

	if (p->solicitations.known[tag / 2 % SOLICIT_KNOWN_MAX] == tag)
		return known_allowed(p);
	return rate_shared_left(&r->solicit_all, SOLICIT_ALL_PER_SECOND, SOLICIT_ALL_BURST, p->now) &&
	       rate_shared_left(zone, SOLICIT_ZONE_PER_SECOND, SOLICIT_ZONE_BURST, p->now) &&
	       rate_shared_take(source, SOLICIT_SOURCE_PER_SECOND, SOLICIT_SOURCE_BURST, p->now) &&
	       rate_shared_take(zone, SOLICIT_ZONE_PER_SECOND, SOLICIT_ZONE_BURST, p->now) &&
	       rate_shared_take(&r->solicit_all, SOLICIT_ALL_PER_SECOND, SOLICIT_ALL_BURST, p->now);
}

void neighbour_confirm(struct pipeline *p, uint32_t link, const struct ip_addr *addr)
{
	uint64_t tag = tag_of(p, link, addr), recent = __atomic_load_n(recent_of(p, tag), __ATOMIC_RELAXED);

	if (is_recent(p, recent, tag, SOLICIT_CONFIRM_INTERVAL) || !known_allowed(p))
		return;
	if (recent_replace(p, recent, tag))
		p->io.solicit(p->io.context, link, addr);
}

enum solicit_result neighbour_solicit(struct pipeline *p, uint32_t link, const struct train *t)
{
	uint64_t tag = tag_of(p, link, &t->next_hop),
		 recent = __atomic_load_n(recent_of(p, tag), __ATOMIC_RELAXED);

	if (is_recent(p, recent, tag, SOLICIT_INTERVAL))
		return SOLICIT_RECENT;
	if (!allowed(p, t, tag))
		return SOLICIT_LIMITED;
	if (!recent_replace(p, recent, tag))
		return SOLICIT_RECENT;
	p->io.solicit(p->io.context, link, &t->next_hop);
	return SOLICIT_SENT;
}
