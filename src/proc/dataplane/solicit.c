/*
 * Which link addresses the kernel is asked to resolve. A stranger may name any address of a link, a whole
 * /64 of them: each request costs the supervisor a call and the kernel an entry of its neighbour table, which
 * all links share (RFC 6583 section 4). So requests are bounded: by neighbour, by source, by zone, and all
 * together (limits.h).
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

static mono_ns *source_rate(struct pipeline *p, const struct train *t)
{
	struct ip_addr source = addr_source(t->src);

	return &p->solicitations.source[tag_of(p, t->in_zone, &source) % SOLICIT_SOURCES];
}

void neighbour_remember(struct pipeline *p, uint32_t link, const struct ip_addr *addr)
{
	uint64_t tag = tag_of(p, link, addr);

	p->solicitations.known[tag / 2 % SOLICIT_KNOWN_MAX] = tag;
}

static bool allowed(struct pipeline *p, const struct train *t, uint64_t tag)
{
	mono_ns *zone = &p->solicitations.zone[t->in_zone < ZONES_MAX ? t->in_zone : ZONES_MAX];

	if (p->solicitations.known[tag / 2 % SOLICIT_KNOWN_MAX] == tag)
		return rate_take(
			&p->solicitations.all_known, SOLICIT_KNOWN_PER_SECOND, SOLICIT_KNOWN_BURST, p->now);
	return rate_take(source_rate(p, t), SOLICIT_SOURCE_PER_SECOND, SOLICIT_SOURCE_BURST, p->now) &&
	       rate_take(zone, SOLICIT_ZONE_PER_SECOND, SOLICIT_ZONE_BURST, p->now) &&
	       rate_take(&p->solicitations.all, SOLICIT_ALL_PER_SECOND, SOLICIT_ALL_BURST, p->now);
}

void neighbour_confirm(struct pipeline *p, uint32_t link, const struct ip_addr *addr)
{
	uint64_t tag = tag_of(p, link, addr);
	struct solicitation *a = &p->solicitations.recent[tag / 2 % SOLICIT_RECENT_MAX];

	if (a->tag == tag && p->now - a->at < SOLICIT_CONFIRM_INTERVAL)
		return;
	if (!rate_take(&p->solicitations.all_known, SOLICIT_KNOWN_PER_SECOND, SOLICIT_KNOWN_BURST, p->now))
		return;
	*a = (struct solicitation){ tag, p->now };
	p->io.solicit(p->io.context, link, addr);
}

enum solicit_result neighbour_solicit(struct pipeline *p, uint32_t link, const struct train *t)
{
	uint64_t tag = tag_of(p, link, &t->next_hop);
	struct solicitation *a = &p->solicitations.recent[tag / 2 % SOLICIT_RECENT_MAX];

	if (a->tag == tag && p->now - a->at < SOLICIT_INTERVAL)
		return SOLICIT_RECENT;
	if (!allowed(p, t, tag))
		return SOLICIT_LIMITED;
	*a = (struct solicitation){ tag, p->now };
	p->io.solicit(p->io.context, link, &t->next_hop);
	return SOLICIT_SENT;
}
