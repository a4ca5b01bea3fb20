/*
 * Sessions that hosts outside begin to a mapped address and port of persistent NAT, where its rule's filtering lets them
 * (RFC 4787 section 5, RFC 5382 REQ-3): by anybody (endpoint-independent), or by an address with which the binding has a
 * session (address-dependent, permit.c). Their destination becomes the inside address and port.
 *
 * Filtering alone opens nothing. A rule of policy that matches the packet with its translated destination decides; where
 * there is none, or only a last one that denies everything, the session is permitted by the rule that would let the inside host
 * begin one to that remote address and port, and shows that rule. So nothing passes that a rule names and denies, and
 * no inside host talks to whom it may not talk.
 *
 * Such a session has FW_SESSION_INWARD. Until the inside host has answered it does not hold its binding and takes nothing of
 * the session limit of that inside host's rule (limit.c), and what comes from outside does not renew it: strangers keep
 * neither alive (RFC 4787 section 4.3). Of a session with UDP, only packets of the inside host ever do.
 *
 * Of several workers the binding's has it: packets from outside go from their flow's home to the home of the mapped address
 * and port, by which the port was chosen (nat.c).
 */
#include "firewall/internal.h"

#include <assert.h>

/* Can the destination be a mapped one of a rule whose filtering lets others begin? */
static bool may_be_mapped(const struct firewall *fw, const struct train *t, bool local)
{
	const struct snapshot *s = fw_policy(fw);

	if (!s || fw->policy->wide_n == 0 || !fw_has_bindings(t->proto))
		return false;
	for (uint32_t i = 0; i < fw->policy->wide_n; i++) {
		const struct snap_nat_rule *r = &snap_nat_rules(s)[fw->policy->wide[i]];
		if ((r->flags & NAT_KEEP_PORT ||
			    (t->dst_port >= r->port_first && t->dst_port <= r->port_last)) &&
			(r->action == NAT_POOL ? fw_nat_pool_holds(s, r, &t->dst) : local))
			return true;
	}
	return false;
}

bool fw_inward_elsewhere(const struct firewall *fw, const struct train *t, bool local, uint32_t *ret_worker)
{
	if (fw->limits.workers == 1 || t->flags & (TRAIN_REDIRECTED | TRAIN_ICMP_ERROR) ||
		!may_be_mapped(fw, t, local))
		return false;
	*ret_worker = fw_end_home(fw, &t->dst, t->dst_port);
	return *ret_worker != fw->limits.worker;
}

/* May this remote host, in that zone, begin a session by the binding, which stands under the loaded policy? stands: it has
 * one; the session by which it might may not have been adopted yet. */
static bool filter_permits(
	const struct firewall *fw, uint32_t binding, const struct ip_addr *remote, uint32_t zone, bool stands)
{
	const struct fw_session *b = &fw->sessions[binding];
	const struct snapshot *s = fw_policy(fw);

	assert(b->zones.epoch == fw->state->epoch);
	if (b->nat_rule >= s->nat_rules.count)
		return false;
	const struct snap_nat_rule *r = &snap_nat_rules(s)[b->nat_rule];
	/* From where the inside host's sessions go, or from its own zone (hairpin: RFC 4787 REQ-9). */
	bool outside = r->to_zone == ZONE_ANY || r->to_zone == zone, own = b->zones.zone[0] == zone;
	if (r->filtering == NAT_FILTER_ENDPOINT_INDEPENDENT)
		return outside || own;
	return r->filtering == NAT_FILTER_ADDRESS_DEPENDENT && outside &&
	       ((stands && fw_bindings_held(fw)) || fw_permit_holds(fw, binding, remote));
}

enum drop_reason fw_inward(
	struct firewall *fw, const struct train *t, bool local, mono_ns now, struct fw_dnat *ret_dnat)
{
	*ret_dnat = (struct fw_dnat){ 0 };
	if (t->flags & (TRAIN_ICMP_ERROR | TRAIN_FRAGMENT) || !may_be_mapped(fw, t, local))
		return DROP_NONE;
	uint32_t binding = fw_binding_at(fw, &t->dst, t->dst_port, t->proto);
	/* What the zone opens of the gateway itself stays its own. */
	if (binding == FW_NONE || !fw_binding_judge(fw, binding, now) || (local && fw_host_opens(fw, t)))
		return DROP_NONE;
	const struct fw_session *b = &fw->sessions[binding];
	/* Those of NAT64 lead to a host of the other family, to which nobody can begin a session. */
	if (fw_is_nat64(b) || !filter_permits(fw, binding, &t->src, t->in_zone, false))
		return DROP_NAT_FILTERED;
	*ret_dnat = (struct fw_dnat){ .dst = fw_key_src(&b->key[0]),
		.port = b->key[0].src_port,
		.rule = b->nat_rule,
		.by_binding = true,
		.by_interface = snap_nat_rules(fw_policy(fw))[b->nat_rule].action != NAT_POOL };
	return DROP_NONE;
}

/* The usual last rule, which says in words what is the default anyway. */
static bool denies_all(const struct snap_rule *r)
{
	return r->action != RULE_PERMIT && r->src.count == 0 && r->dst.count == 0 && r->services.count == 0;
}

enum rule_action fw_inward_policy(const struct firewall *fw, const struct fw_tuple *t, uint16_t remote_port,
	uint32_t *ret_rule, uint32_t *ret_timeout_s)
{
	enum rule_action action = fw_policy_lookup(fw, t, ret_rule, ret_timeout_s);
	uint32_t rule = *ret_rule;

	if (rule != TRAIN_NONE && !denies_all(&snap_rules(fw_policy(fw))[rule]))
		return action;
	struct fw_tuple back = { .src = t->dst,
		.dst = t->src,
		.from = t->to,
		.to = t->from,
		.src_port = t->service_port,
		.service_port = remote_port,
		.proto = t->proto };
	if (fw_policy_lookup(fw, &back, ret_rule, ret_timeout_s) == RULE_PERMIT)
		return RULE_PERMIT;
	*ret_rule = rule;
	*ret_timeout_s = 0;
	return rule == TRAIN_NONE ? RULE_DENY : action;
}

bool fw_inward_stays(
	struct firewall *fw, uint32_t index, uint32_t from_zone, mono_ns now, uint32_t *ret_nat_rule)
{
	const struct fw_session *s = &fw->sessions[index];
	struct ip_addr remote = fw_key_src(&s->key[0]);
	uint32_t binding = fw_binding_of_session(fw, s);

	assert(s->flags & FW_SESSION_INWARD);
	*ret_nat_rule = TRAIN_NONE;
	if (binding == FW_NONE || !fw_binding_judge(fw, binding, now) ||
		!filter_permits(fw, binding, &remote, from_zone, true))
		return false;
	*ret_nat_rule = fw->sessions[binding].nat_rule;
	return true;
}

bool fw_inward_answered(struct firewall *fw, uint32_t index)
{
	const struct fw_session *s = &fw->sessions[index];
	uint32_t binding = fw->place[index].binding;

	assert(s->flags & FW_SESSION_INWARD);
	if (binding != FW_NONE)
		return true;
	binding = fw_binding_of_session(fw, s);
	if (binding == FW_NONE)
		return false;
	fw->place[index].binding = binding;
	fw_session_hold(fw, binding);
	fw_permit_count(fw, binding, s, 1);
	return true;
}
