/*
 * Source NAT: an address and port for a new session, such that the replies' key is nobody else's. Bindings have no
 * table of their own: a port is taken exactly when a session has it, so the two can never disagree.
 */
#include "firewall/internal.h"
#include "wire/ip.h"

static bool key_free(const struct firewall *fw, const struct fw_key *reply)
{
	uint32_t d;

	return fw_find(fw, reply, fw_hash(fw, reply), &d) == FW_NONE;
}

/* The n-th address of the pool, chosen by the source so that one host keeps one address (RFC 4787 REQ-2). */
static struct ip_addr pool_addr(const struct firewall *fw, const struct ip_range *pool, const struct fw_key *forward)
{
	struct fw_key source = { .family = forward->family };
	struct ip_addr a = pool->first;
	size_t size = addr_size(&a);

	memcpy(source.src, forward->src, 16);
	/* Pools differ in their last 32 bits only; the snapshot's check saw to first <= last. */
	uint32_t first = load_be32(pool->first.b + size - 4), last = load_be32(pool->last.b + size - 4);
	uint64_t count = last >= first ? (uint64_t)last - first + 1 : 1;
	store_be32(a.b + size - 4, (uint32_t)(first + fw_hash(fw, &source) % count));
	return a;
}

enum drop_reason fw_nat_allocate(struct firewall *fw, const struct snap_nat_rule *rule, const struct fw_egress *egress,
	const struct fw_key *forward, struct fw_key *reply)
{
	const struct snapshot *s = fw->policy;
	struct ip_addr to = rule->action == NAT_POOL ? pool_addr(fw, &rule->pool, forward) : egress->nat_addr;
	uint32_t first = s->nat_port_first, count = (uint32_t)s->nat_port_last - first + 1;

	if (to.family != forward->family)
		return DROP_NAT_EXHAUSTED; /* the interface has no address of this family */
	memcpy(reply->dst, to.b, 16);
	if (forward->proto == IP_ICMP || forward->proto == IP_ICMPV6) {
		/* An echo's identifier stands in both ports. */
	} else if (forward->proto != IP_TCP && forward->proto != IP_UDP) {
		return key_free(fw, reply) ? DROP_NONE : DROP_NAT_PROTOCOL;
	}
	bool icmp = forward->proto != IP_TCP && forward->proto != IP_UDP;
	if (forward->src_port >= first && forward->src_port <= s->nat_port_last && key_free(fw, reply))
		return DROP_NONE; /* port preserved (RFC 4787 section 4.2.1) */
	uint64_t start = fw_hash(fw, forward) + fw->next_id; /* not to be guessed from outside (RFC 6056) */
	for (uint32_t i = 0; i < MIN_OF(count, (uint32_t)FW_NAT_TRIES); i++) {
		uint16_t port = (uint16_t)(first + (start + i) % count);
		reply->dst_port = port;
		if (icmp)
			reply->src_port = port;
		if (key_free(fw, reply))
			return DROP_NONE;
	}
	return DROP_NAT_EXHAUSTED;
}
