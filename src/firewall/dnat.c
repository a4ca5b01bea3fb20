/*
 * Destination and static NAT: which rule takes a first packet, and what it makes of the destination. There is no
 * table of bindings: the session's two keys are the translation, as with source NAT.
 *
 * A range of servers: the client's address chooses one by a keyed hash, so all its connections reach the same server
 * while the process lives. A session keeps its server, whatever the hash says later; it ends when a commit takes
 * the server out of the rule.
 *
 * Static rules stand first. They exchange the leading bits of an address, both ways: RFC 3022 section 2.1 (basic NAT);
 * those of NPTv6 so that no checksum changes (RFC 6296).
 */
#include "firewall/internal.h"
#include "wire/nat64.h"
#include "wire/nptv6.h"

#include <assert.h>

_Static_assert(DNAT_RULES_MAX < FW_DNAT_NONE, "a session holds its rule in 16 bits");

/* The address at the same place of the other prefix; both are of one length (snapshot_check()). */
static struct ip_addr exchange(
	const struct ip_range *from, const struct ip_range *to, const struct ip_addr *a)
{
	struct ip_addr b = to->first;

	for (size_t i = 0; i < sizeof b.b; i++)
		b.b[i] = (uint8_t)(b.b[i] | (a->b[i] ^ from->first.b[i]));
	assert(range_holds(from, a) && range_holds(to, &b));
	return b;
}

/* What a static rule makes of an address of one of its prefixes. False: nothing, it has no mapping. */
static bool at_same_place(const struct snap_dnat_rule *r, const struct ip_range *from,
	const struct ip_range *to, const struct ip_addr *a, struct ip_addr *ret_addr)
{
	*ret_addr = (struct ip_addr){ 0 };
	if (r->action == DNAT_NPTV6)
		return nptv6_map(from, to, a, ret_addr);
	*ret_addr = exchange(from, to, a);
	return true;
}

static bool takes_port(const struct snap_service *v, uint8_t proto, uint16_t port)
{
	return v->proto == proto && port >= v->dst_first && port <= v->dst_last;
}

static uint16_t server_port(
	const struct snapshot *s, const struct snap_dnat_rule *r, uint8_t proto, uint16_t port)
{
	const struct snap_service *v = snap_services(s) + r->services.first;

	if (r->port_first == 0 || (proto != IP_TCP && proto != IP_UDP))
		return port;
	for (uint32_t i = 0; i < r->services.count && r->port_first != r->port_last; i++)
		if (takes_port(&v[i], proto, port))
			return (uint16_t)(r->port_first + (port - v[i].dst_first));
	return r->port_first;
}

/* The IPv4 server of a packet that NAT64 can translate. */
static enum drop_reason embedded(
	const struct snap_dnat_rule *r, const struct fw_tuple *t, struct ip_addr *ret_server)
{
	const struct ip_prefix prefix = { r->to.first, snap_prefix_bits(&r->to) };

	if (t->proto != IP_TCP && t->proto != IP_UDP &&
		(t->proto != IP_ICMPV6 || t->service_port != ICMP6_ECHO))
		return DROP_NAT_PROTOCOL;
	return nat64_extract(&prefix, &t->dst, ret_server) ? DROP_NONE : DROP_NAT64_ADDRESS;
}

static struct fw_dnat translation(const struct firewall *fw, uint32_t rule, const struct fw_tuple *t)
{
	const struct snapshot *s = fw->policy->snapshot;
	const struct snap_dnat_rule *r = &snap_dnat_rules(s)[rule];
	struct fw_dnat d = { 0 };

	if (r->action == DNAT_OFF)
		return d;
	d.rule = rule;
	if (snap_dnat_is_static(r))
		d.refused = at_same_place(r, &snap_ranges(s)[r->dst.first], &r->to, &t->dst, &d.dst)
				    ? DROP_NONE
				    : DROP_NAT_NO_MAPPING;
	else if (r->action == DNAT_NAT64)
		d.refused = embedded(r, t, &d.dst);
	else
		d.no_server = !fw_server_choose(fw, rule, &t->src, &d.dst);
	d.port = server_port(s, r, t->proto, t->service_port);
	return d;
}

struct fw_dnat fw_dnat(const struct firewall *fw, const struct train *t, uint64_t interfaces)
{
	struct fw_tuple tuple = fw_tuple_of_train(t, t->in_zone, TRAIN_NONE);
	const struct fw_dnat none = { 0 };
	bool by_interface;

	if (!fw->policy || !fw->policy->dnat || (fw_is_icmp(t->proto) && !fw_is_icmp_query(t)))
		return none;
	uint32_t rule =
		fw_matcher_dnat(fw->policy->dnat, fw->policy->snapshot, &tuple, interfaces, 0, &by_interface);
	if (rule == FW_NONE)
		return none;
	struct fw_dnat d = translation(fw, rule, &tuple);
	if (!d.refused && d.dst.family == ADDR_V4 && t->src.family == ADDR_V6 &&
		!(t->flags & TRAIN_FRAGMENT) && !nat64_is_translatable(t))
		d.refused = DROP_NAT64_UNTRANSLATABLE; /* it begins no session */
	return d;
}

bool fw_dnat_wants_interfaces(const struct firewall *fw)
{
	return fw->policy && fw->policy->dnat_interfaces;
}

bool fw_dnat_may_take(const struct firewall *fw, uint32_t zone, uint8_t proto, uint16_t port)
{
	const struct snapshot *s = fw_policy(fw);

	for (uint32_t i = 0; s && i < s->dnat_rules.count; i++) {
		const struct snap_dnat_rule *r = &snap_dnat_rules(s)[i];
		const struct snap_service *v = snap_services(s) + r->services.first;
		bool takes = r->services.count == 0;
		if (r->action == DNAT_OFF || r->action == DNAT_NAT64 ||
			(!snap_dnat_is_static(r) && r->from_zone != ZONE_ANY && r->from_zone != zone))
			continue;
		for (uint32_t k = 0; k < r->services.count; k++)
			takes |= v[k].proto == 0 || takes_port(&v[k], proto, port);
		if (takes)
			return true;
	}
	return false;
}

struct fw_key fw_dnat_reply_key(const struct fw_key *forward, const struct fw_dnat *d)
{
	struct fw_key reply = fw_key_reverse(forward);

	if (d->dst.family != forward->family) { /* NAT64; its own address is not chosen yet */
		reply.family = ADDR_V4;
		memset(reply.dst, 0, sizeof reply.dst);
		if (reply.proto == IP_ICMPV6) {
			reply.proto = IP_ICMP;
			reply.kind = FW_KEY_ANSWER | ICMP4_ECHO;
		}
	}
	memcpy(reply.src, d->dst.b, sizeof reply.src);
	if (forward->proto == IP_TCP || forward->proto == IP_UDP)
		reply.src_port = d->port;
	return reply;
}

/* ---- sessions whose destination is translated ---- */

/* Does the rule make of the first packet what the session has? */
static bool makes(
	const struct firewall *fw, uint32_t rule, const struct fw_session *s, const struct fw_tuple *asked)
{
	const struct snap_dnat_rule *r = &snap_dnat_rules(fw->policy->snapshot)[rule];
	struct fw_dnat d = translation(fw, rule, asked);
	struct ip_addr server = fw_key_src(&s->key[1]);

	if (!fw_dnat_translates(&d) || (!fw_is_icmp(asked->proto) && d.port != s->key[1].src_port))
		return false;
	return r->action == DNAT_SERVERS ? range_holds(&r->to, &server) : addr_equal(&d.dst, &server);
}

static struct fw_tuple tuple_as_asked(const struct fw_session *s, uint32_t from)
{
	struct fw_tuple t = fw_tuple_of_session(s, from, TRAIN_NONE);

	t.dst = fw_key_dst(&s->key[0]);
	if (!fw_is_icmp(t.proto))
		t.service_port = s->key[0].dst_port;
	return t;
}

bool fw_dnat_session_stays(
	const struct firewall *fw, const struct fw_session *s, uint32_t from_zone, uint32_t *ret_rule)
{
	struct fw_tuple asked = tuple_as_asked(s, from_zone);
	bool by_interface = true;
	uint32_t rule = FW_NONE;

	*ret_rule = TRAIN_NONE;
	if (s->parent) /* translated as its parent is, by no rule */
		return true;
	/* A rule that may match, by an interface, and would translate otherwise is passed over. */
	for (uint32_t from = 0; by_interface; from = rule + 1) {
		rule = fw_matcher_dnat(
			fw->policy->dnat, fw->policy->snapshot, &asked, UINT64_MAX, from, &by_interface);
		if (rule == FW_NONE)
			return false;
		if (makes(fw, rule, s, &asked)) {
			*ret_rule = rule;
			return true;
		}
	}
	return false;
}

bool fw_dnat_holds(const struct firewall *fw, const struct train *t, uint64_t interfaces)
{
	const struct fw_session *s = fw_session(fw, t->session);
	bool by_interface;

	if (!s || t->flags & TRAIN_REPLY || !fw_destination_translated(s) || !fw->policy || s->parent ||
		s->flags & FW_SESSION_INWARD)
		return true;
	struct fw_tuple asked = tuple_as_asked(s, s->zones.zone[0]);
	uint32_t rule =
		fw_matcher_dnat(fw->policy->dnat, fw->policy->snapshot, &asked, interfaces, 0, &by_interface);
	return rule != FW_NONE && makes(fw, rule, s, &asked);
}

/* ---- the other way ---- */

bool fw_static_source(
	const struct firewall *fw, const struct fw_tuple *t, struct ip_addr *ret_addr, uint32_t *ret_rule)
{
	uint32_t n = fw->policy && t->src.family == t->dst.family ? fw->policy->statics_n : 0;

	for (uint32_t i = 0; i < n; i++) {
		const struct snapshot *s = fw->policy->snapshot;
		const struct snap_dnat_rule *r = &snap_dnat_rules(s)[i];
		if ((r->from_zone != ZONE_ANY && r->from_zone != t->to) || !range_holds(&r->to, &t->src))
			continue;
		at_same_place(r, &r->to, &snap_ranges(s)[r->dst.first], &t->src, ret_addr);
		*ret_rule = i;
		return true;
	}
	return false;
}

bool fw_nptv6_hairpin(
	const struct firewall *fw, uint32_t rule, const struct ip_addr *source, struct ip_addr *ret_addr)
{
	const struct snapshot *s = fw->policy->snapshot;
	const struct snap_dnat_rule *r = &snap_dnat_rules(s)[rule];

	if (r->action != DNAT_NPTV6 || !range_holds(&r->to, source))
		return false;
	at_same_place(r, &r->to, &snap_ranges(s)[r->dst.first], source, ret_addr);
	return true;
}

void fw_nat64_address(const struct firewall *fw, const struct fw_session *s, const struct ip_addr *v4,
	struct ip_addr *ret_addr)
{
	const struct snapshot *snap = fw_policy(fw);

	if (!snap || s->dnat_rule >= snap->dnat_rules.count)
		return;
	const struct snap_dnat_rule *r = &snap_dnat_rules(snap)[s->dnat_rule];
	const struct ip_prefix prefix = { r->to.first, snap_prefix_bits(&r->to) };
	if (r->action == DNAT_NAT64)
		*ret_addr = nat64_embed(&prefix, v4);
}

void fw_dnat_hit(struct firewall *fw, uint32_t rule, mono_ns now)
{
	if (fw->policy && rule < fw->policy->snapshot->dnat_rules.count)
		fw_hits_hit(&fw->policy->hits[FW_LIST_DNAT], rule, now);
}
