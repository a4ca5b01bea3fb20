/*
 * Source NAT: the choice of an address and a port. A translated address and port is in use when the session
 * table has the key of its replies, so one port serves many destinations. Only rules with persistent-nat have
 * bindings (binding.c): their port is in use for every destination.
 *
 * The port is kept where possible; otherwise the search starts at a port given by a keyed hash of the flow,
 * which nobody outside can predict (RFC 6056 section 3.3.3), and tries FW_NAT_TRIES ports: with nine of ten
 * in use for one destination, one search in 10^11 fails. ICMP queries: the identifier is the port.
 *
 * When all ports that were tried are in use, a session of the source that uses more than half of them is
 * evicted for another source; where there is no such source, one of another source that is unanswered or over
 * its share (shares.c). So one source cannot keep the others from a destination.
 *
 * Protocols without ports (GRE, ESP, 6in4) keep everything but their address, and so do node information queries. So does SCTP, whose
 * ports are those of the association at both ends (RFC 9260 section 3.1), on whichever address its packets come: what differs in
 * its ports is told apart. Nothing in their replies
 * tells inside hosts apart, so for each such protocol and translated address only one of them can use an
 * outside host.
 */
#include "firewall/internal.h"

#include <assert.h>

/* Ports that were tried and are in use, with the translated sessions that use them. */
struct taken {
	uint32_t n;
	struct {
		uint32_t session;
		uint16_t port;
	} place[FW_NAT_TRIES];
};

static bool is_free(struct firewall *fw, const struct fw_key *reply, struct taken *t)
{
	struct ip_addr addr = fw_key_dst(reply);
	uint32_t direction = 1, session = fw_binding_at(fw, &addr, reply->dst_port, reply->proto);

	/* A port that is bound is not free when the session that uses it ends. */
	if (session == FW_NONE)
		session = fw_session_find(fw, reply, fw_key_hash(fw, reply), &direction);
	if (session == FW_NONE)
		return fw_redirect_find(fw, reply) == FW_NONE && fw_adopted_elsewhere(fw, reply) == FW_NONE;
	if (direction == 1 && t->n < FW_NAT_TRIES) {
		t->place[t->n].session = session;
		t->place[t->n++].port = reply->dst_port;
	}
	return false;
}

static void port_set(struct fw_key *reply, uint16_t port)
{
	reply->dst_port = port;
	if (fw_is_icmp(reply->proto))
		reply->src_port = port;
}

/*
 * Of several workers each chooses among ports of its own, so no two can choose the same: those whose replies from this
 * destination come here; for a binding, which is for all destinations, those that the address and port alone make its own.
 */
static bool is_own(const struct firewall *fw, const struct snap_nat_rule *rule, const struct fw_key *reply)
{
	struct ip_addr to = fw_key_dst(reply);
	uint32_t home = fw_nat_is_persistent(rule, reply->proto) ? fw_end_home(fw, &to, reply->dst_port)
								 : fw_key_home(fw, reply);

	return home == fw->limits.worker;
}

static uint32_t common_divisor(uint32_t a, uint32_t b)
{
	while (b) {
		uint32_t rest = a % b;
		a = b;
		b = rest;
	}
	return a;
}

/*
 * The step from port to port, by the flow: with neighbouring ports, those in use would form runs longer than
 * the search. It has no common divisor with n, so the search reaches every port.
 */
static uint32_t stride(uint64_t hash, uint32_t n)
{
	uint32_t step = n <= FW_NAT_TRIES ? 1 : 1 + (uint32_t)hash % (n - 1);

	while (common_divisor(step, n) != 1)
		step++;
	assert(step <= n); /* at the latest n - 1 has none */
	return step;
}

static bool port_find(struct firewall *fw, const struct snap_nat_rule *rule, struct fw_nat_ports ports,
	const struct fw_key *forward, struct fw_key *reply, struct taken *t)
{
	bool parity = rule->flags & NAT_KEEP_PARITY && forward->proto == IP_UDP;
	uint32_t every = parity ? 2 : 1;
	uint32_t first = ports.first + (parity ? (ports.first ^ forward->src_port) & 1u : 0);
	uint32_t n = (ports.last - first) / every + 1;

	if (forward->src_port >= first && forward->src_port <= ports.last) {
		port_set(reply, forward->src_port);
		if (is_own(fw, rule, reply) && is_free(fw, reply, t))
			return true;
	}
	assert(first <= ports.last); /* two ports at least with parity: snapshot_check() */
	uint64_t hash = fw_key_hash(fw, forward);
	uint32_t start = (uint32_t)(hash >> 32) % n, step = stride(hash, n);
	/* Of a few ports perhaps none is this worker's: one of another's may be free all the same. Not for a binding. */
	uint32_t all = MIN_OF(n, (uint32_t)FW_NAT_TRIES * fw->limits.workers),
		 passes = n <= FW_NAT_TRIES && !fw_nat_is_persistent(rule, forward->proto) ? 2 : 1;
	for (uint32_t k = 0, tries = 0; k < passes * all && tries < FW_NAT_TRIES; k++) {
		port_set(reply, (uint16_t)(first + every * (((uint64_t)start + (uint64_t)k * step) % n)));
		if (is_own(fw, rule, reply) != (k < all))
			continue;
		if (is_free(fw, reply, t))
			return true;
		tries++;
	}
	return false;
}

static bool same_source(const struct fw_key *a, const struct fw_key *b)
{
	struct ip_addr x = addr_source(fw_key_src(a)), y = addr_source(fw_key_src(b));

	return addr_equal(&x, &y);
}

static const struct fw_key *key_of(const struct firewall *fw, const struct taken *t, uint32_t i)
{
	return &fw->sessions[t->place[i].session].key[0];
}

/* A key of the source that uses more than half of the ports; NULL: none does. */
static const struct fw_key *hoarder(const struct firewall *fw, const struct taken *t)
{
	const struct fw_key *most = NULL; /* if one uses more than half, it is this one (Boyer and Moore) */
	uint32_t lead = 0, n = 0;

	for (uint32_t i = 0; i < t->n; i++) {
		if (lead == 0)
			most = key_of(fw, t, i);
		lead = same_source(most, key_of(fw, t, i)) ? lead + 1 : lead - 1;
	}
	for (uint32_t i = 0; i < t->n; i++)
		n += same_source(most, key_of(fw, t, i));
	return n > t->n / 2 ? most : NULL;
}

/* Ends one of the sessions that use these ports, of another source, and takes its port. */
static bool port_take(struct firewall *fw, const struct fw_key *forward, struct fw_key *reply,
	const struct taken *t, mono_ns now)
{
	const struct fw_key *most = hoarder(fw, t);
	uint32_t victim = FW_NONE;
	bool gives_way = false;

	if (most && same_source(most, forward))
		return false;
	for (uint32_t i = 0; i < t->n; i++) {
		const struct fw_session *s = &fw->sessions[t->place[i].session];
		uint32_t class = fw->place[t->place[i].session].evict_class;
		bool gives = class < FW_EVICT_COUNT;
		if (class == FW_EVICT_HELD)
			continue;
		if (most ? !same_source(&s->key[0], most) : !gives || same_source(&s->key[0], forward))
			continue;
		if (victim == FW_NONE || gives > gives_way ||
			(gives == gives_way &&
				s->last_seen < fw->sessions[t->place[victim].session].last_seen)) {
			victim = i;
			gives_way = gives;
		}
	}
	if (victim == FW_NONE)
		return false;
	port_set(reply, t->place[victim].port);
	fw_evict_session(fw, t->place[victim].session, now);
	return true;
}

static uint32_t low_of(const struct ip_addr *a)
{
	return load_be32(a->b + (a->family == ADDR_V4 ? 4 : 16) - 4);
}

/* Of a wider IPv6 range only the addresses up to the next carry are used. */
static uint64_t range_size(const struct ip_range *r)
{
	bool wide = r->first.family == ADDR_V6 && memcmp(r->first.b, r->last.b, 12) != 0;

	return (wide ? UINT32_MAX : (uint64_t)low_of(&r->last)) - low_of(&r->first) + 1;
}

static struct ip_addr range_addr(const struct ip_range *r, uint64_t place)
{
	struct ip_addr a = r->first;

	assert(place < range_size(r));
	store_be32(a.b + (a.family == ADDR_V4 ? 4 : 16) - 4, low_of(&a) + (uint32_t)place);
	return a;
}

/* A source keeps its place (RFC 4787 section 4.1). */
static uint64_t source_place(const struct firewall *fw, const struct ip_addr *addr)
{
	struct fw_key source = { .family = addr->family };

	memcpy(source.src, addr->b, 16);
	return fw_key_hash(fw, &source);
}

struct ip_addr fw_range_addr(
	const struct firewall *fw, const struct ip_range *range, const struct ip_addr *source)
{
	return range_addr(range, source_place(fw, source) % range_size(range));
}

/* The address `step` after the source's own, wrapping within the pool. */
static struct ip_addr pool_addr(const struct snapshot *s, const struct snap_nat_rule *rule, uint64_t place)
{
	const struct ip_range *more = snap_ranges(s) + rule->pool_more.first;
	uint64_t all = range_size(&rule->pool);

	for (uint32_t i = 0; i < rule->pool_more.count; i++)
		all += range_size(&more[i]);
	place %= all;
	const struct ip_range *range = &rule->pool;
	for (uint32_t i = 0; place >= range_size(range); range = &more[i++]) {
		assert(i < rule->pool_more.count);
		place -= range_size(range);
	}
	return range_addr(range, place);
}

/* The pool's address at the same place; both are prefixes of one length. */
static struct ip_addr mapped_addr(const struct snap_nat_rule *rule, const struct fw_key *forward)
{
	struct ip_addr src = fw_key_src(forward), a = rule->pool.first;

	if (!range_holds(&rule->base, &src))
		return (struct ip_addr){ 0 };
	for (size_t i = 0; i < sizeof a.b; i++)
		a.b[i] = (uint8_t)(a.b[i] | (src.b[i] ^ rule->base.first.b[i]));
	assert(range_holds(&rule->pool, &a));
	return a;
}

/* RFC 7422: which address and ports a host has follows from the configuration alone. */
static bool block_of(const struct snapshot *s, const struct snap_nat_rule *rule, const struct ip_addr *src,
	struct ip_addr *ret_addr, struct fw_nat_ports *ret_ports)
{
	if (!range_holds(&rule->base, src))
		return false;
	uint32_t host = low_of(src) - low_of(&rule->base.first), each = snap_nat_blocks_each(rule),
		 first = rule->port_first + host % each * rule->block_size;
	assert(host < snap_nat_blocks(snap_ranges(s) + rule->pool_more.first, rule));
	*ret_addr = pool_addr(s, rule, host / each);
	*ret_ports = (struct fw_nat_ports){ (uint16_t)first, (uint16_t)(first + rule->block_size - 1) };
	return true;
}

bool fw_nat_ports(const struct snapshot *s, const struct snap_nat_rule *rule, const struct ip_addr *src,
	struct fw_nat_ports *ret_ports)
{
	struct ip_addr addr;

	*ret_ports = (struct fw_nat_ports){ rule->port_first, rule->port_last };
	return rule->block_size == 0 || block_of(s, rule, src, &addr, ret_ports);
}

/* The address and port that the inside address and port has already. */
static bool bound(struct firewall *fw, const struct snap_nat_rule *rule, const struct ip_addr *interface,
	const struct fw_key *forward, struct fw_key *reply, mono_ns now)
{
	uint32_t binding = fw_binding_find(fw, rule, interface, forward, now);

	if (binding == FW_NONE)
		return false;
	memcpy(reply->dst, fw->sessions[binding].key[1].dst, sizeof reply->dst);
	port_set(reply, fw->sessions[binding].key[1].dst_port);
	return true;
}

enum drop_reason fw_nat_allocate(struct firewall *fw, const struct snap_nat_rule *rule,
	const struct ip_addr *interface, const struct fw_key *forward, struct fw_key *reply, mono_ns now)
{
	bool has_port = fw_key_has_port(forward);
	bool ports = has_port && !(rule->flags & NAT_KEEP_PORT);
	struct taken first = { .n = 0 }, later;
	struct ip_addr own = { 0 }, source = fw_key_src(forward);
	uint32_t direction, addresses = rule->action == NAT_POOL ? FW_NAT_POOL_ADDRESSES : 1;

	if (forward->proto == IP_AH) /* its ICV covers the addresses: RFC 4302 section 3.3.3.1 */
		return DROP_NAT_PROTOCOL;
	struct ip_addr block;
	struct fw_nat_ports range = { rule->port_first, rule->port_last };
	if (rule->flags & NAT_MAP_PREFIX || rule->block_size)
		addresses = 1;
	if (rule->block_size && !block_of(fw->policy->snapshot, rule, &source, &block, &range))
		return DROP_NAT_NO_ADDRESS;
	if (fw_nat_is_persistent(rule, forward->proto)) {
		addresses = 1; /* RFC 4787 REQ-2: all of a host's ports are of one address */
		if (bound(fw, rule, interface, forward, reply,
			    now)) /* to another destination it is another session */
			return fw_session_find(fw, reply, fw_key_hash(fw, reply), &direction) == FW_NONE &&
					       fw_redirect_find(fw, reply) == FW_NONE
				       ? DROP_NONE
				       : DROP_SESSION_COLLISION;
	}
	for (uint32_t k = 0; k < addresses; k++) {
		struct ip_addr a = rule->block_size		  ? block
				   : rule->flags & NAT_MAP_PREFIX ? mapped_addr(rule, forward)
				   : rule->action == NAT_POOL	  ? pool_addr(fw->policy->snapshot, rule,
									    source_place(fw, &source) + k)
								  : *interface;
		if (a.family != reply->family)
			return DROP_NAT_NO_ADDRESS;
		if (k > 0 && addr_equal(&a, &own))
			break; /* wrapped: a pool of few addresses */
		own = k == 0 ? a : own;
		later.n = 0;
		memcpy(reply->dst, a.b, 16);
		if (ports ? port_find(fw, rule, range, forward, reply, k == 0 ? &first : &later)
			  : is_free(fw, reply, &later))
			return DROP_NONE;
	}
	if (!ports)
		return has_port ? DROP_NAT_EXHAUSTED : DROP_NAT_PROTOCOL;
	memcpy(reply->dst, own.b, 16);
	return port_take(fw, forward, reply, &first, now) ? DROP_NONE : DROP_NAT_EXHAUSTED;
}
