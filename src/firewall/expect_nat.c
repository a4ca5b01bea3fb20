/*
 * Translation of expected sessions. An end whose address is translated in the parent session is reached at its translated
 * address and a port that is chosen here; the first packet to it gets the real destination (fw_expected_dnat()), and
 * the session's two keys hold the translation from then on, as with destination NAT.
 *
 * The port is one of nat-ports (of the rule's own, where source NAT made the parent): no program of the gateway
 * listens there, and the supervisor's filter keeps the kernel from answering. With several workers it is one that the
 * translated address and port make this worker's own, as that of a binding, so no two choose the same.
 *
 * An end that is published and calls the other side does so from its published address: the other side may accept
 * nothing else.
 */
#include "firewall/internal.h"

#include <assert.h>

bool fw_session_end_translated(const struct fw_session *s, uint32_t side)
{
	assert(side < 2);
	return side == 0 ? fw_source_translated(s) : fw_destination_translated(s);
}

struct ip_addr fw_session_end_seen(const struct fw_session *s, uint32_t side)
{
	assert(side < 2);
	return fw_key_dst(&s->key[1 - side]);
}

void fw_session_shift(struct firewall *fw, uint32_t index, uint32_t d, int16_t shift)
{
	assert(d < 2 && fw_session(fw, index));
	fw->sessions[index].tcp[d].shift = shift;
}

void fw_session_keep(struct firewall *fw, uint32_t index, uint32_t seconds, mono_ns now)
{
	struct fw_session *s = &fw->sessions[index];

	assert(fw_session(fw, index) && s->parent == 0);
	s->alg = seconds ? EXPECTATION_SIP : EXPECTATION_NONE;
	s->timeout_s = seconds;
	fw_session_arm(fw, index, now, fw_session_timeout(fw, s));
}

/* The ports that may be told: first, last. */
static void ports_of(struct firewall *fw, const struct fw_session *parent, uint32_t side, uint32_t *ret_first,
	uint32_t *ret_last)
{
	const struct snapshot *s = fw->policy->snapshot;
	const struct snap_nat_rule *rule = side == 0 && parent->nat_rule < s->nat_rules.count
						   ? &snap_nat_rules(s)[parent->nat_rule]
						   : NULL;
	bool own = rule && rule->port_first != 0 && !(rule->flags & NAT_KEEP_PORT);

	struct fw_nat_ports ports = { s->nat_port_first, s->nat_port_last };
	if (own && !fw_nat_ports(fw, rule, parent, &ports))
		ports = (struct fw_nat_ports){ 1, 0 }; /* of another configuration: none */
	*ret_first = ports.first;
	*ret_last = ports.last;
}

static bool is_free(struct firewall *fw, const struct fw_expected *x, uint16_t port)
{
	if (fw_binding_at(fw, &x->dst, port, x->proto) != FW_NONE)
		return false;
	for (uint32_t i = fw_expected_first(fw, &x->dst, port, x->proto); i != FW_NONE;
		i = fw->expected[i].next) {
		const struct fw_expected *o = &fw->expected[i];
		if (o->used && o->dst_port == port && o->proto == x->proto && addr_equal(&o->dst, &x->dst))
			return false;
	}
	return true;
}

/* Pairs begin at even ports (RFC 3550 section 11). The second one's owner by its number does not matter: all UDP ports
 * that are told are those of pairs. */
static bool fits(struct firewall *fw, const struct fw_expected *x, uint32_t port, uint32_t last)
{
	bool even = x->proto == IP_UDP;

	if (even && (port % 2 != 0 || port + 1 > last || !is_free(fw, x, (uint16_t)(port + 1))))
		return false;
	return fw_end_home(fw, &x->dst, (uint16_t)port) == fw->limits.worker &&
	       is_free(fw, x, (uint16_t)port);
}

/* The same was told before, and stands still. */
static bool told_before(const struct firewall *fw, struct fw_expected *x)
{
	for (uint32_t i = fw_expected_told_first(fw, &x->to, x->to_port, x->proto); i != FW_NONE;
		i = fw->expected[i].told_next) {
		const struct fw_expected *o = &fw->expected[i];
		if (o->used && o->parent == x->parent && o->proto == x->proto && o->from == x->from &&
			o->to_port == x->to_port && addr_equal(&o->to, &x->to) &&
			addr_equal(&o->dst, &x->dst)) {
			x->dst_port = o->dst_port;
			return true;
		}
	}
	return false;
}

static bool port_choose(struct firewall *fw, const struct fw_session *parent, struct fw_expected *x)
{
	struct fw_key seed = { .src_port = x->to_port, .family = x->dst.family, .proto = x->proto };
	uint32_t first, last;

	ports_of(fw, parent, 1u - x->from, &first, &last);
	if (first > last)
		return false;
	if (told_before(fw, x))
		return true;
	x->dst_port = x->to_port;
	if (x->to_port >= first && x->to_port <= last && fits(fw, x, x->to_port, last))
		return true;
	memcpy(seed.src, x->to.b, sizeof seed.src);
	memcpy(seed.dst, parent->key[0].dst, sizeof seed.dst);
	uint32_t n = last - first + 1, start = (uint32_t)(fw_key_hash(fw, &seed) >> 32) % n;
	uint32_t tries = MIN_OF(n, 2 * FW_NAT_TRIES * fw->limits.workers);
	for (uint32_t k = 0; k < tries; k++) {
		x->dst_port = (uint16_t)(first + (start + k) % n);
		if (fits(fw, x, x->dst_port, last))
			return true;
	}
	return false;
}

bool fw_expected_translate(struct firewall *fw, const struct fw_session *parent, struct fw_expected *x)
{
	uint32_t called = 1u - x->from;
	struct ip_addr own = fw_key_src(&parent->key[called]);

	if (x->from == 1 && fw_session_end_translated(parent, 1))
		x->as = fw_session_end_seen(parent, 1);
	if (!fw_session_end_translated(parent, called))
		return true;
	if (!fw->policy || !addr_equal(&x->dst, &own))
		return false;
	x->to = x->dst;
	x->to_port = x->dst_port;
	x->dst = fw_session_end_seen(parent, called);
	return port_choose(fw, parent, x);
}
