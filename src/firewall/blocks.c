/*
 * Dynamic blocks of ports by inside host (port block allocation; RFC 6888 section 4, RFC 6269 section 12): a host's sessions by such a
 * rule have ports of its blocks only, so two records of the log for each block say who had an address and port at a time.
 *
 * A host gets its first block with its first session, at an address of the pool where one is free, and a further one of the
 * same address (RFC 4787 REQ-2) when no port was found free in those that it has, or the newest is older than
 * active-block-timeout. A block is given back when its last session, or binding of persistent NAT, has ended and
 * block-recycle-timeout is over. Without room for the record in the log no block is given, and one whose time is
 * over stays until there is room: so a record is lost only where a block must end at once (a full session table, a commit).
 *
 * A block is a record of the session table with FW_SESSION_BINDING and FW_SESSION_BLOCK, so it has the table's index,
 * timers and eviction, and outlives the process with it (as bindings do: binding.c):
 *
 *	key[0]  src: the host; src_port: the block's number, from 0; dst: the pool's first address; dst_port: the
 *	        block's size in units of NAT_BLOCK_MIN
 *	key[1]  dst: the translated address; dst_port: the first port
 *
 * both of kind FW_KEY_BLOCK. A host's blocks by pools that begin with one address and have one size are found by number;
 * block 0 stands as long as one of the others (they hold it as sessions do), and its record says which numbers there may be.
 * Sessions, and bindings, know their block by fw_place.binding. Which ports are taken, by any worker, is in claims.c.
 *
 * Of several workers one has all sessions of a host by such rules, and with them its blocks: the worker where its address
 * is at home (fw_admit_elsewhere()). So the limit of a host is exact.
 */
#include "firewall/internal.h"

#include <assert.h>

#define NUMBERS 32 /* blocks of a host, those of former configurations among them */

_Static_assert(NUMBERS >= 2 * NAT_BLOCKS_OF_HOST, "former blocks leave room for new ones");

static struct fw_key host_key(const struct snap_nat_rule *rule, const struct fw_key *forward, uint32_t number)
{
	struct ip_addr host = addr_source(fw_key_src(forward));
	struct fw_key k = { .src_port = (uint16_t)number,
		.dst_port = (uint16_t)(rule->block_size / NAT_BLOCK_MIN),
		.family = forward->family,
		.kind = FW_KEY_BLOCK };

	memcpy(k.src, host.b, 16);
	memcpy(k.dst, rule->pool.first.b, 16);
	return k;
}

static uint32_t find(struct firewall *fw, const struct fw_key *k)
{
	uint32_t direction;

	assert(k->kind == FW_KEY_BLOCK);
	return fw->counters.blocks_now > 0 || fw->adopt.end > 0
		       ? fw_session_find(fw, k, fw_key_hash(fw, k), &direction)
		       : FW_NONE;
}

struct fw_nat_ports fw_block_ports(const struct fw_session *b)
{
	uint32_t first = b->key[1].dst_port;

	assert(fw_is_block(b));
	return (struct fw_nat_ports){ (uint16_t)first, (uint16_t)(first + fw_block_size(b) - 1) };
}

/* Does the rule give ports of this block, which its key says is of its size? */
static bool is_of_rule(
	const struct firewall *fw, const struct snap_nat_rule *rule, const struct fw_session *b)
{
	struct fw_nat_ports ports = fw_block_ports(b);
	struct ip_addr addr = fw_key_dst(&b->key[1]);

	return ports.first >= rule->port_first && ports.last <= rule->port_last &&
	       fw_nat_pool_holds(fw->policy->snapshot, rule, &addr);
}

/* A host has few: by the time when they were given. */
static void newest_first(struct firewall *fw, uint32_t *block, uint32_t n)
{
	for (uint32_t i = 1; i < n; i++)
		for (uint32_t k = i;
			k > 0 && fw->sessions[block[k]].created > fw->sessions[block[k - 1]].created; k--) {
			uint32_t older = block[k - 1];
			block[k - 1] = block[k];
			block[k] = older;
		}
}

uint32_t fw_blocks_find(struct firewall *fw, const struct snap_nat_rule *rule, const struct fw_key *forward,
	mono_ns now, uint32_t ret_blocks[NAT_BLOCKS_OF_HOST])
{
	struct fw_key k = host_key(rule, forward, 0);
	uint32_t head = find(fw, &k), n = 0;

	if (head == FW_NONE)
		return 0;
	uint32_t numbers = fw->sessions[head].block.numbers | 1, none = 0;
	for (uint32_t left = numbers; left && n < NAT_BLOCKS_OF_HOST; left &= left - 1) {
		uint32_t number = (uint32_t)__builtin_ctz(left);
		k.src_port = (uint16_t)number;
		uint32_t block = number == 0 ? head : find(fw, &k);
		if (block == FW_NONE)
			none |= 1u << number;
		else if (fw_block_judge(fw, block, now) && is_of_rule(fw, rule, &fw->sessions[block]))
			ret_blocks[n++] = block;
	}
	if (fw->sessions[head].live)
		fw->sessions[head].block.numbers = numbers & ~none;
	newest_first(fw, ret_blocks, n);
	return n;
}

bool fw_block_is_aged(
	const struct firewall *fw, const struct snap_nat_rule *rule, uint32_t block, mono_ns now)
{
	mono_ns created = fw->sessions[block].created;

	return rule->block_active_s > 0 && now >= created &&
	       now - created >= (uint64_t)rule->block_active_s * NS_PER_S;
}

/* ---- a new one ---- */

/* Has a record that is not adopted yet, of this worker or another, some of these ports? One's own is adopted, and claims
 * them then. */
static bool is_hidden(struct firewall *fw, const struct ip_addr *addr, uint32_t first, uint32_t size)
{
	uint32_t largest = 0;

	for (uint32_t i = 0; i < fw->all_n; i++) {
		uint32_t of = __atomic_load_n(&fw->all[i]->state->block_ports_max, __ATOMIC_RELAXED);
		largest = MAX_OF(largest, of);
	}
	uint32_t from = largest > first ? 0 : first + NAT_BLOCK_MIN - largest;
	for (uint32_t at = from; largest > 0 && at < first + size; at += NAT_BLOCK_MIN) {
		struct fw_key k = fw_block_key(addr, (uint16_t)at);
		find(fw, &k);
		if (fw_adopted_elsewhere(fw, &k) != FW_NONE)
			return true;
	}
	return false;
}

/* Are there records that no index names and nobody has looked at? Any of them may be a block. */
static bool has_gaps(const struct firewall *fw)
{
	for (uint32_t i = 0; i < fw->all_n; i++) {
		const struct fw_adopt *a = &fw->all[i]->adopt;
		if (a->gaps &&
			(fw->all[i] == fw ? a->end : __atomic_load_n(&a->hinted, __ATOMIC_RELAXED)) > 0)
			return true;
	}
	return false;
}

/* A free block of this address; where the search begins nobody outside can predict. */
static bool claim_at(struct firewall *fw, const struct snap_nat_rule *rule, const struct ip_addr *addr,
	uint32_t begin, uint16_t *ret_first)
{
	uint32_t each = snap_nat_blocks_each(rule), size = rule->block_size,
		 base = snap_nat_block_first(rule);
	struct fw_claims *c = fw->all[0]->claims;

	assert(each > 0);
	if (fw->adopt.end == 0 && !fw->adopt.others)
		return fw_claim_search(c, addr, base, size, each, begin % each, ret_first);
	for (uint32_t k = 0; k < each && !has_gaps(fw); k++) {
		uint32_t first = base + (begin % each + k) % each * size;
		if (is_hidden(fw, addr, first, size) || !fw_claim_take(c, addr, first, size))
			continue;
		*ret_first = (uint16_t)first;
		return true;
	}
	return false;
}

/* At *addr, or where that has no family at any of the pool. */
static bool claim(struct firewall *fw, const struct snap_nat_rule *rule, const struct ip_addr *host,
	struct ip_addr *addr, uint16_t *ret_first)
{
	const struct snapshot *s = fw->policy->snapshot;
	uint64_t place = fw_source_place(fw, host), all = fw_pool_size(s, rule);

	if (addr->family != ADDR_NONE)
		return claim_at(fw, rule, addr, (uint32_t)(place >> 32), ret_first);
	for (uint32_t k = 0; k < MIN_OF(all + FW_BLOCK_PLACES, (uint64_t)FW_BLOCK_PLACES_ALL); k++) {
		*addr = fw_pool_addr(s, rule, k < FW_BLOCK_PLACES ? place + k : fw->block_place++);
		if (claim_at(fw, rule, addr, (uint32_t)(place >> 32), ret_first))
			return true;
	}
	return false;
}

/* The host's first block, and the lowest number that none of its blocks has; NUMBERS: there is none. */
static uint32_t number_free(struct firewall *fw, struct fw_key *k, uint32_t *ret_head)
{
	*ret_head = find(fw, k);
	if (*ret_head == FW_NONE)
		return 0;
	for (uint32_t i = 1; i < NUMBERS; i++) {
		k->src_port = (uint16_t)i;
		if (!(fw->sessions[*ret_head].block.numbers >> i & 1) && find(fw, k) == FW_NONE)
			return i;
	}
	return NUMBERS;
}

static void begin(
	struct firewall *fw, uint32_t index, uint32_t head, const struct fw_nat_ask *ask, mono_ns now)
{
	struct fw_session *b = &fw->sessions[index];

	assert(ask->zone <= UINT16_MAX);
	b->flags = FW_SESSION_BINDING | FW_SESSION_BLOCK;
	b->zones = (struct fw_zones){ { (uint16_t)ask->zone, (uint16_t)ask->zone }, fw->state->epoch };
	b->nat_rule = ask->index;
	b->timeout_s = ask->rule->block_recycle_s;
	if (fw_block_size(b) > fw->state->block_ports_max) /* others may read it */
		__atomic_store_n(&fw->state->block_ports_max, fw_block_size(b), __ATOMIC_RELAXED);
	if (head != FW_NONE) {
		fw->sessions[head].block.numbers |= 1u << b->key[0].src_port;
		fw_session_hold(fw, head);
	}
	fw->place[index].binding = head;
	fw_session_arm(fw, index, now, b->timeout_s);
	fw_session_begin(fw, index);
	fw->counters.blocks_taken++;
	fw_log_block(fw, fw->policy, index, FW_LOG_BLOCK_TAKEN, FW_END_COUNT, now);
}

enum drop_reason fw_block_new(struct firewall *fw, const struct fw_nat_ask *ask, const struct fw_key *forward,
	uint32_t has, const struct ip_addr *addr, mono_ns now, struct fw_nat_place *ret_place,
	uint32_t *ret_block)
{
	struct fw_key key[2] = { host_key(ask->rule, forward, 0) };
	struct ip_addr host = fw_key_src(&key[0]), at = addr ? *addr : (struct ip_addr){ 0 };
	uint64_t place = fw->block_place;
	uint32_t head;
	uint16_t first;

	*ret_block = FW_NONE;
	if (has >= ask->rule->blocks_max)
		return DROP_NAT_BLOCK_LIMIT;
	if (!fw_log_has_room(fw))
		return DROP_NAT_BLOCK_UNLOGGED;
	if (!ask->dry && !fw_evict_for(fw, forward, ask->zone, now))
		return DROP_SESSION_LIMIT;
	uint32_t number = number_free(fw, &key[0], &head);
	if (number == NUMBERS)
		return DROP_NAT_BLOCK_LIMIT;
	if (!claim(fw, ask->rule, &host, &at, &first))
		return DROP_NAT_EXHAUSTED;
	*ret_place = (struct fw_nat_place){ at, { first, (uint16_t)(first + ask->rule->block_size - 1) } };
	if (ask->dry) { /* no worker runs: nobody has missed it */
		fw_claim_give(fw->all[0]->claims, &at, first, ask->rule->block_size);
		fw->block_place = place;
		return DROP_NONE;
	}
	key[0].src_port = (uint16_t)number;
	key[1] = fw_block_key(&at, first);
	*ret_block = fw_record_new(fw, key, now);
	if (*ret_block == FW_NONE) {
		fw_claim_give(fw->all[0]->claims, &at, first, ask->rule->block_size);
		return DROP_SESSION_LIMIT;
	}
	begin(fw, *ret_block, head, ask, now);
	return DROP_NONE;
}

/* ---- a new policy ---- */

static uint32_t rule_of(const struct firewall *fw, const struct fw_session *b, uint32_t zone)
{
	const struct snapshot *s = fw->policy->snapshot;
	const struct snap_nat_rule *rules = snap_nat_rules(s);
	struct ip_addr host = fw_key_src(&b->key[0]);

	for (uint32_t i = 0; i < s->nat_rules.count; i++) {
		const struct snap_nat_rule *r = &rules[i];
		struct fw_key k = host_key(r, &b->key[0], b->key[0].src_port);
		if (snap_nat_has_dynamic_blocks(r) && (r->from_zone == ZONE_ANY || r->from_zone == zone) &&
			fw_key_equal(&k, &b->key[0]) && fw_ranges_hold(s, r->src, &host) &&
			is_of_rule(fw, r, b))
			return i;
	}
	return TRAIN_NONE;
}

bool fw_bound_judge(struct firewall *fw, uint32_t index, fw_bound_rule *rule_of_it, mono_ns now)
{
	struct fw_session *b = &fw->sessions[index];
	uint16_t zone = (uint16_t)fw_zone_now(fw, b, 0);

	assert(b->live == FW_SESSION_LIVE && fw_is_binding(b));
	if (b->zones.epoch == fw->state->epoch)
		return true;
	if (!fw->policy)
		return false;
	if (zone == FW_ZONE_GONE)
		zone = FW_ZONE_HOST;
	uint32_t rule = zone == FW_ZONE_HOST ? TRAIN_NONE : rule_of_it(fw, b, zone);
	if (rule == TRAIN_NONE && fw->place[index].uses == 0 && !fw_bindings_held(fw)) {
		fw_session_end_by(fw, index, FW_END_POLICY_CHANGED, now);
		return false;
	}
	fw_nat_bound(fw_policy_of(fw, b), b, -1);
	b->nat_rule = rule;
	if (fw_is_block(b) && rule != TRAIN_NONE)
		b->timeout_s = snap_nat_rules(fw->policy->snapshot)[rule].block_recycle_s;
	fw_zones_store(b, (struct fw_zones){ { zone, zone }, fw->state->epoch });
	fw_nat_bound(fw->policy, b, 1);
	return true;
}

bool fw_block_judge(struct firewall *fw, uint32_t index, mono_ns now)
{
	assert(fw_is_block(&fw->sessions[index]));
	return fw_bound_judge(fw, index, rule_of, now);
}

/* ---- inspection ---- */

bool fw_block_view(struct firewall *fw, uint32_t index, mono_ns now, struct fw_block *ret_block)
{
	if (index >= fw->state->used)
		return false;
	fw_adopt_at(fw, index);
	const struct fw_session *b = &fw->sessions[index];
	if (!fw_is_known(fw, index) || !b->live || !fw_is_block(b) || !fw_block_judge(fw, index, now))
		return false;
	struct fw_nat_ports ports = fw_block_ports(b);
	struct ip_prefix host = { fw_key_src(&b->key[0]), b->key[0].family == ADDR_V4 ? 32 : 64 };
	*ret_block = (struct fw_block){ .host = range_from_prefix(&host),
		.addr = fw_key_dst(&b->key[1]),
		.first = ports.first,
		.last = ports.last,
		.id = b->id,
		.nat_rule = b->nat_rule,
		.from = b->zones.zone[0],
		.users = fw->place[index].uses,
		.since = b->created,
		.ends = fw->place[index].uses ? 0 : b->expires };
	return true;
}
