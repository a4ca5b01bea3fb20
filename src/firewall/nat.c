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
	bool few = n <= FW_NAT_TRIES || snap_nat_has_dynamic_blocks(rule);
	uint32_t all = MIN_OF(n, (uint32_t)FW_NAT_TRIES * fw->limits.workers),
		 passes = few && !fw_nat_is_persistent(rule, forward->proto) ? 2 : 1;
	for (uint32_t k = 0, tries = 0; k < passes * all && tries < passes * FW_NAT_TRIES; k++) {
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

/* Ends one of the sessions that use these ports, of another source, and takes its port; dry: it would. */
static bool port_take(struct firewall *fw, bool dry, const struct fw_key *forward, struct fw_key *reply,
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
	if (!dry)
		fw_evict_session(fw, t->place[victim].session, now);
	return true;
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
static void block_of_host(const struct snapshot *s, const struct snap_nat_rule *rule, uint32_t host,
	struct ip_addr *ret_addr, struct fw_nat_ports *ret_ports)
{
	uint32_t each = snap_nat_blocks_each(rule), first = rule->port_first + host % each * rule->block_size;

	assert(host < snap_nat_blocks(snap_ranges(s) + rule->pool_more.first, rule));
	*ret_addr = fw_pool_addr(s, rule, host / each);
	*ret_ports = (struct fw_nat_ports){ (uint16_t)first, (uint16_t)(first + rule->block_size - 1) };
}

static bool block_of(const struct snapshot *s, const struct snap_nat_rule *rule, const struct ip_addr *src,
	struct ip_addr *ret_addr, struct fw_nat_ports *ret_ports)
{
	if (!range_holds(&rule->base, src))
		return false;
	block_of_host(s, rule, fw_addr_low(src) - fw_addr_low(&rule->base.first), ret_addr, ret_ports);
	return true;
}

bool fw_block_of_number(const struct snapshot *s, uint32_t nat_rule, uint64_t n, struct fw_block *ret_block)
{
	const struct snap_nat_rule *rule = &snap_nat_rules(s)[nat_rule];
	struct fw_nat_ports ports;

	assert(nat_rule < s->nat_rules.count);
	if (rule->block_size == 0 || rule->blocks_max || n >= snap_nat_hosts(rule))
		return false;
	*ret_block = (struct fw_block){ .nat_rule = nat_rule, .from = rule->from_zone };
	block_of_host(s, rule, (uint32_t)n, &ret_block->addr, &ports);
	struct ip_addr host = rule->base.first;
	store_be32(host.b, fw_addr_low(&host) + (uint32_t)n);
	ret_block->host = (struct ip_range){ host, host };
	ret_block->first = ports.first;
	ret_block->last = ports.last;
	return true;
}

bool fw_nat_ports(struct firewall *fw, const struct snap_nat_rule *rule, const struct fw_session *s,
	struct fw_nat_ports *ret_ports)
{
	struct ip_addr addr, client = fw_key_src(&s->key[0]), as = fw_key_dst(&s->key[1]);

	*ret_ports = (struct fw_nat_ports){ rule->port_first, rule->port_last };
	if (rule->block_size == 0)
		return true;
	if (!rule->blocks_max)
		return block_of(fw->policy->snapshot, rule, &client, &addr, ret_ports);
	uint32_t block = fw_block_at(fw, &as, s->key[1].dst_port);
	if (block == FW_NONE)
		return false;
	*ret_ports = fw_block_ports(&fw->sessions[block]);
	return true;
}

/* ---- dynamic blocks ---- */

/* A port of this block, or for what has none its address. */
static bool place_fits(struct firewall *fw, const struct snap_nat_rule *rule,
	const struct fw_nat_place *place, const struct fw_key *forward, struct fw_key *reply)
{
	struct taken t = { .n = 0 };

	memcpy(reply->dst, place->addr.b, sizeof reply->dst);
	return fw_key_has_port(forward) ? port_find(fw, rule, place->ports, forward, reply, &t)
					: is_free(fw, reply, &t);
}

static bool block_fits(struct firewall *fw, const struct snap_nat_rule *rule, uint32_t block,
	const struct fw_key *forward, struct fw_key *reply)
{
	const struct fw_session *b = &fw->sessions[block];
	const struct fw_nat_place place = { fw_key_dst(&b->key[1]), fw_block_ports(b) };

	return place_fits(fw, rule, &place, forward, reply);
}

/* In one of the host's blocks: of the newest, and of some others by the flow; aged: of those, too, that are to have no
 * further sessions. FW_NONE: none is free. */
static uint32_t block_choose(struct firewall *fw, const struct snap_nat_rule *rule, const uint32_t *block,
	uint32_t n, bool aged, const struct fw_key *forward, struct fw_key *reply, mono_ns now)
{
	uint64_t hash = n > 1 ? fw_key_hash(fw, forward) : 0;

	for (uint32_t k = 0; k < MIN_OF(n, (uint32_t)FW_NAT_BLOCKS_TRIED); k++) {
		uint32_t i = block[k == 0 ? 0 : 1 + (uint32_t)(hash % (n - 1) + k - 1) % (n - 1)];
		if (fw_block_is_aged(fw, rule, i, now) == aged && block_fits(fw, rule, i, forward, reply))
			return i;
	}
	return FW_NONE;
}

static enum drop_reason in_blocks(struct firewall *fw, const struct fw_nat_ask *ask,
	const struct fw_key *forward, struct fw_key *reply, mono_ns now, uint32_t *ret_block)
{
	uint32_t block[NAT_BLOCKS_OF_HOST];
	uint32_t n = fw_blocks_find(fw, ask->rule, forward, now, block);

	if (reply->family != ADDR_V4)
		return DROP_NAT_NO_ADDRESS;
	*ret_block = block_choose(fw, ask->rule, block, n, false, forward, reply, now);
	if (*ret_block != FW_NONE)
		return DROP_NONE;
	if (n > 0 && !fw_key_has_port(forward) && !fw_block_is_aged(fw, ask->rule, block[0], now))
		return DROP_NAT_PROTOCOL; /* all are of one address */
	struct ip_addr addr = n > 0 ? fw_key_dst(&fw->sessions[block[0]].key[1]) : (struct ip_addr){ 0 };
	struct fw_nat_place place;
	enum drop_reason d = fw_block_new(fw, ask, forward, n, n > 0 ? &addr : NULL, now, &place, ret_block);
	if (d == DROP_NONE)
		return place_fits(fw, ask->rule, &place, forward, reply) ? DROP_NONE
		       : fw_key_has_port(forward)			 ? DROP_NAT_EXHAUSTED
									 : DROP_NAT_PROTOCOL;
	/* To make room for a new one an old one that nobody used may have gone. */
	n = fw_blocks_find(fw, ask->rule, forward, now, block);
	*ret_block = block_choose(fw, ask->rule, block, n, true, forward, reply, now);
	return *ret_block != FW_NONE ? DROP_NONE : d;
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

/* At an address that the rule's blocks do not say, at any port of `range`. */
static enum drop_reason in_range(struct firewall *fw, const struct fw_nat_ask *ask,
	const struct ip_addr *block, struct fw_nat_ports range, const struct fw_key *forward,
	struct fw_key *reply, mono_ns now)
{
	const struct snap_nat_rule *rule = ask->rule;
	bool has_port = fw_key_has_port(forward);
	bool ports = has_port && !(rule->flags & NAT_KEEP_PORT);
	struct taken first = { .n = 0 }, later;
	struct ip_addr own = { 0 }, source = fw_key_src(forward);
	bool one = rule->flags & NAT_MAP_PREFIX || rule->block_size ||
		   fw_nat_is_persistent(rule,
			   forward->proto); /* RFC 4787 REQ-2: all of a host's ports are of one address */
	uint32_t addresses = rule->action == NAT_POOL && !one ? FW_NAT_POOL_ADDRESSES : 1;

	for (uint32_t k = 0; k < addresses; k++) {
		struct ip_addr a = rule->block_size		  ? *block
				   : rule->flags & NAT_MAP_PREFIX ? mapped_addr(rule, forward)
				   : rule->action == NAT_POOL	  ? fw_pool_addr(fw->policy->snapshot, rule,
									    fw_source_place(fw, &source) + k)
								  : *ask->interface;
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
	return port_take(fw, ask->dry, forward, reply, &first, now) ? DROP_NONE : DROP_NAT_EXHAUSTED;
}

enum drop_reason fw_nat_allocate(struct firewall *fw, const struct fw_nat_ask *ask,
	const struct fw_key *forward, struct fw_key *reply, mono_ns now, uint32_t *ret_block)
{
	const struct snap_nat_rule *rule = ask->rule;
	struct fw_nat_ports range = { rule->port_first, rule->port_last };
	struct ip_addr source = fw_key_src(forward), block;
	uint32_t direction;

	*ret_block = FW_NONE;
	if (forward->proto == IP_AH) /* its ICV covers the addresses: RFC 4302 section 3.3.3.1 */
		return DROP_NAT_PROTOCOL;
	if (rule->block_size && !rule->blocks_max &&
		!block_of(fw->policy->snapshot, rule, &source, &block, &range))
		return DROP_NAT_NO_ADDRESS;
	if (fw_nat_is_persistent(rule, forward->proto) &&
		bound(fw, rule, ask->interface, forward, reply,
			now)) /* to another destination it is another session */
		return fw_session_find(fw, reply, fw_key_hash(fw, reply), &direction) == FW_NONE &&
				       fw_redirect_find(fw, reply) == FW_NONE
			       ? DROP_NONE
			       : DROP_SESSION_COLLISION;
	if (snap_nat_has_dynamic_blocks(rule))
		return in_blocks(fw, ask, forward, reply, now, ret_block);
	return in_range(fw, ask, &block, range, forward, reply, now);
}
