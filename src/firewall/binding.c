/*
 * Bindings of persistent NAT: endpoint-independent mapping (RFC 4787 REQ-1, RFC 5382 REQ-1). An inside address
 * and port of TCP or UDP has one translated address and port, whatever it talks to, and keeps it from its
 * first session until its rule's timeout after its last one (RFC 4787 REQ-5). Only sessions that the inside
 * host began, or has answered, keep a binding alive: strangers do not (section 4.3).
 *
 * A binding is a record of the session table with FW_SESSION_BINDING, so it has the table's index, timers,
 * limits and eviction, and outlives the process with it:
 *
 *	key[0]  src: the inside address and port; dst: the interface's address, or the pool's first one
 *	key[1]  dst: the translated address and port; src: zero
 *
 * both of kind FW_KEY_BINDING, which no packet has. What key[0].dst holds keeps apart the bindings of one host
 * by different uplinks and pools. A session knows its binding by fw_place.binding, a binding by fw_place.uses
 * how many sessions use it; both are found again by adoption (adopt.c). A binding in use is not evicted.
 *
 * Of several workers one has all sessions of an inside address and port that such a rule translates, and with them its binding:
 * the worker where that address and port alone is at home (fw_admit_elsewhere()). So no binding is shared; the sessions are
 * away (away.c), mostly in both directions.
 */
#include "firewall/internal.h"

#include <assert.h>

static struct fw_key inside_key(
	const struct snap_nat_rule *rule, const struct ip_addr *interface, const struct fw_key *forward)
{
	const struct ip_addr *to = rule->action == NAT_POOL ? &rule->pool.first : interface;
	struct fw_key k = { .src_port = forward->src_port,
		.family = forward->family,
		.proto = forward->proto,
		.kind = FW_KEY_BINDING };

	memcpy(k.src, forward->src, 16);
	memcpy(k.dst, to->b, 16);
	return k;
}

static uint32_t find(struct firewall *fw, const struct fw_key *k)
{
	uint32_t direction;

	assert(k->kind == FW_KEY_BINDING);
	return fw->counters.bindings_now > 0 || fw->adopt.end > 0
		       ? fw_session_find(fw, k, fw_key_hash(fw, k), &direction)
		       : FW_NONE;
}

uint32_t fw_binding_at(struct firewall *fw, const struct ip_addr *addr, uint16_t port, uint8_t proto)
{
	struct fw_key k = fw_mapped_key(addr, port, proto);

	return find(fw, &k);
}

/* Those of all workers: each has some ports of an inside host. */
static uint64_t bindings_of_all(const struct firewall *fw, const struct fw_key *k)
{
	uint32_t slot = fw_bindings_slot(fw, k);
	uint64_t n = 0;

	for (uint32_t i = 0; i < fw->all_n; i++)
		n += fw_counted(&fw->all[i]->bindings_by_source[slot]);
	return n;
}

bool fw_binding_has_room(
	const struct firewall *fw, const struct snap_nat_rule *rule, const struct fw_key *forward)
{
	return bindings_of_all(fw, forward) < rule->bindings_max;
}

static enum drop_reason binding_new(struct firewall *fw, const struct fw_nat_ask *ask,
	const struct fw_key binding[2], uint32_t block, mono_ns now, uint32_t *ret_binding)
{
	const struct snap_nat_rule *rule = ask->rule;
	uint32_t zone = ask->zone;

	if (!fw_binding_has_room(fw, rule, &binding[0]))
		return DROP_NAT_BINDING_LIMIT;
	if (!fw_evict_for(fw, &binding[0], zone, now))
		return DROP_SESSION_LIMIT;
	uint32_t index = fw_record_new(fw, binding, now);
	if (index == FW_NONE)
		return DROP_SESSION_LIMIT;
	struct fw_session *b = &fw->sessions[index];
	assert(zone <= UINT16_MAX);
	b->flags = FW_SESSION_BINDING;
	b->zones = (struct fw_zones){ { (uint16_t)zone, (uint16_t)zone }, fw->state->epoch };
	b->nat_rule = ask->index;
	b->timeout_s = rule->binding_timeout_s;
	if (block != FW_NONE) {
		fw->place[index].binding = block;
		fw_session_hold(fw, block);
	}
	fw_session_arm(fw, index, now, b->timeout_s);
	fw_session_begin(fw, index);
	fw_count(&fw->bindings_by_source[fw_bindings_slot(fw, &binding[0])], 1);
	*ret_binding = index;
	return DROP_NONE;
}

enum drop_reason fw_binding_take(struct firewall *fw, const struct fw_nat_ask *ask,
	const struct fw_key key[2], uint32_t block, mono_ns now, uint32_t *ret_binding)
{
	const struct snap_nat_rule *rule = ask->rule;
	struct ip_addr to = fw_key_dst(&key[1]);
	struct fw_key binding[2] = { inside_key(rule, ask->interface, &key[0]),
		fw_mapped_key(&to, key[1].dst_port, key[1].proto) };
	uint32_t index = find(fw, &binding[0]);

	assert(rule->filtering != NAT_NOT_PERSISTENT);
	if (index == FW_NONE) {
		enum drop_reason d = binding_new(fw, ask, binding, block, now, &index);
		if (d != DROP_NONE)
			return d;
	}
	assert(fw_key_equal(&fw->sessions[index].key[1], &binding[1])); /* fw_nat_allocate() has looked */
	assert(fw->sessions[index].zones.epoch == fw->state->epoch);
	fw_nat_bound(fw->policy, &fw->sessions[index], -1);
	fw->sessions[index].nat_rule = ask->index;
	fw_nat_bound(fw->policy, &fw->sessions[index], 1);
	fw->sessions[index].timeout_s = rule->binding_timeout_s;
	fw_session_hold(fw, index);
	*ret_binding = index;
	return DROP_NONE;
}

/* ---- what outlives the process, and a new policy ---- */

/* The rule that serves the binding now: of its zone and source, and with its pool or for an interface. */
static uint32_t rule_of(const struct firewall *fw, const struct fw_session *b, uint32_t zone)
{
	const struct snapshot *s = fw->policy->snapshot;
	const struct snap_nat_rule *rules = snap_nat_rules(s);
	struct ip_addr src = fw_key_src(&b->key[0]), to = fw_key_dst(&b->key[1]);
	uint8_t none[16] = { 0 };
	bool by_interface = memcmp(b->key[0].dst, b->key[1].dst, sizeof none) == 0;

	for (uint32_t i = 0; i < s->nat_rules.count; i++) {
		const struct snap_nat_rule *r = &rules[i];
		if (r->filtering == NAT_NOT_PERSISTENT ||
			(r->from_zone != ZONE_ANY && r->from_zone != zone) ||
			!fw_ranges_hold(s, r->src, &src))
			continue;
		if (r->action == NAT_POOL
				? fw_nat_pool_holds(s, r, &to)
				: by_interface && (r->action == NAT_INTERFACE) == (to.family == ADDR_V4))
			return i;
	}
	return TRAIN_NONE;
}

bool fw_binding_judge(struct firewall *fw, uint32_t index, mono_ns now)
{
	return fw_bound_judge(fw, index, rule_of, now);
}

uint32_t fw_binding_find(struct firewall *fw, const struct snap_nat_rule *rule,
	const struct ip_addr *interface, const struct fw_key *forward, mono_ns now)
{
	struct fw_key k = inside_key(rule, interface, forward);
	uint32_t index = find(fw, &k);

	return index != FW_NONE && fw_binding_judge(fw, index, now) ? index : FW_NONE;
}

/* ---- inspection ---- */

static const struct fw_session *binding_at(const struct firewall *fw, uint32_t index)
{
	return index < fw->state->used && fw_is_known(fw, index) && fw->sessions[index].live &&
			       fw_is_binding(&fw->sessions[index])
		       ? &fw->sessions[index]
		       : NULL;
}

const struct fw_session *fw_binding_next(const struct firewall *fw, uint32_t *cursor)
{
	while (*cursor < fw->state->used) {
		const struct fw_session *b = binding_at(fw, (*cursor)++);
		if (b)
			return b;
	}
	return NULL;
}

uint32_t fw_binding_sessions(const struct firewall *fw, uint32_t index)
{
	assert(binding_at(fw, index));
	return fw->place[index].uses;
}
