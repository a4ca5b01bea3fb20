/*
 * The first packet of a session: policy, source NAT, the record. And a session whose forwarding decision has
 * changed. fw_consider() decides by the same functions about a packet that does not exist, and changes nothing.
 */
#include "firewall/internal.h"

#include <assert.h>

static void refuse(struct firewall *fw, struct train *t, enum drop_reason why, mono_ns now)
{
	t->drop = why;
	if (fw->policy && t->rule < fw->policy->snapshot->rules.count) {
		fw_hits_hit(&fw->policy->hits[FW_LIST_POLICY], t->rule, now);
		fw_log_deny(fw, t, now);
	} else if (why == DROP_HOST_INBOUND) {
		fw_host_refused(fw, t, now);
	}
}

/* What may begin a session: a SYN (with tcp-loose any segment but a reset), an INIT, an ICMP query, any packet of a
 * protocol that has no handshake. */
static enum drop_reason check_beginning(const struct firewall *fw, struct train *t, uint32_t from)
{
	uint8_t tcp = t->tcp_flags & (TCP_SYN | TCP_ACK | TCP_RST | TCP_FIN);

	if (t->flags & TRAIN_FRAGMENT)
		return DROP_FRAGMENT_INVALID; /* not reassembled */
	if (t->flags & TRAIN_ICMP_ERROR)
		return DROP_ICMP_UNRELATED;
	if (fw_is_icmp(t->proto) && !fw_is_icmp_query(t))
		return DROP_NO_SESSION;
	if (t->proto == IP_TCP && tcp != TCP_SYN && (tcp & TCP_RST || !fw_zone_is_loose(fw, from)))
		return DROP_NO_SESSION;
	if (t->proto == IP_SCTP && !fw_sctp_opens(t))
		return DROP_NO_SESSION;
	return train_verify_l4(t);
}

/* What policy and source NAT decide about: the first packet with its translated destination. */
static struct fw_tuple tuple_of(const struct train *t, const struct fw_dnat *d, uint32_t from, uint32_t to)
{
	struct fw_tuple tuple = fw_tuple_of_train(t, from, to);

	if (!fw_dnat_translates(d))
		return tuple;
	tuple.dst = d->dst;
	if (t->proto == IP_TCP || t->proto == IP_UDP)
		tuple.service_port = d->port;
	return tuple;
}

static enum drop_reason decide_policy(const struct firewall *fw, struct train *t, const struct fw_dnat *dnat,
	uint32_t from, uint32_t to, uint32_t *ret_timeout_s)
{
	struct fw_tuple tuple = tuple_of(t, dnat, from, to);

	*ret_timeout_s = 0;
	if (from == FW_ZONE_HOST)
		return fw_own_decide(fw, &tuple, &t->rule, ret_timeout_s);
	if (to == FW_ZONE_HOST)
		return fw_host_decide(fw, &tuple, &t->rule, ret_timeout_s);
	if (from == TRAIN_NONE || to == TRAIN_NONE)
		return DROP_NO_ZONE;
	enum rule_action action = dnat->by_binding
					  ? fw_inward_policy(fw, &tuple, t->src_port, &t->rule, ret_timeout_s)
					  : fw_policy_lookup(fw, &tuple, &t->rule, ret_timeout_s);
	switch (action) {
	case RULE_PERMIT:
		return DROP_NONE;
	case RULE_REJECT:
		return DROP_POLICY_REJECT;
	case RULE_DENY:
		break;
	}
	return t->rule == TRAIN_NONE ? DROP_DEFAULT_DENY : DROP_POLICY_DENY;
}

/* What translates a session; TRAIN_NONE: nothing. */
struct rules {
	uint32_t nat, dnat; /* dnat: also the static rule of its source */
	bool interface;	    /* the source becomes an address of the egress interface */
	uint32_t parent;    /* index + 1 of the session that let expect this one; 0: none */
	uint8_t alg;	    /* with a parent: what has read it there */
	struct ip_addr as;  /* of what is expected: its translated source; ADDR_NONE: by the rules */
	uint16_t as_port;   /* 0: its own */
	bool shares_port;   /* its translated source is that of its parent, and so is its binding */
	bool inward;	    /* its destination is translated by a binding */
	uint32_t block; /* index + 1 of the block of ports that its port is in; 0: none, or it is looked up */
	bool dry;	/* fw_consider(): nothing is taken, ended or logged for it */
};

/* A session has one binding: of one that a host begins by another's, it is that one's. */
static const struct snap_nat_rule *as_not_persistent(
	const struct snap_nat_rule *rule, struct snap_nat_rule *ret_plain)
{
	*ret_plain = *rule;
	ret_plain->filtering = NAT_NOT_PERSISTENT;
	return ret_plain;
}

static enum drop_reason allocate(
	struct firewall *fw, const struct fw_nat_ask *ask, mono_ns now, struct fw_key key[2], struct rules *r)
{
	struct fw_nat_ask asked = *ask;
	uint32_t block;

	asked.dry = r->dry;
	enum drop_reason d = fw_nat_allocate(fw, &asked, &key[0], &key[1], now, &block);
	r->block = block == FW_NONE ? 0 : block + 1;
	return d;
}

/*
 * An inside host that reaches another one by its mapped address and port has its own translated address there (RFC 4787
 * REQ-9): of the rule that would translate it on the way out; its mapped port where it has one and its binding is
 * this worker's, otherwise another one. False: no such rule.
 */
static bool hairpin_source(struct firewall *fw, const struct train *t, const struct fw_egress *egress,
	mono_ns now, struct fw_key key[2], struct rules *r, enum drop_reason *ret_drop)
{
	const struct snap_nat_rule *rules = snap_nat_rules(fw->policy->snapshot);
	uint32_t out = rules[egress->dnat.rule].to_zone;
	struct fw_tuple tuple = fw_tuple_of_train(t, fw_zone_in(t), out == ZONE_ANY ? TRAIN_NONE : out);
	uint32_t rule = fw_nat_lookup(fw, &tuple);
	struct snap_nat_rule plain;

	if (rule == FW_NONE || rules[rule].action == NAT_OFF ||
		(rules[rule].action != NAT_POOL && !egress->dnat.by_interface))
		return false;
	const struct snap_nat_rule *n = &rules[rule];
	if (!fw_nat_is_persistent(n, t->proto) || fw_binding_find(fw, n, &t->dst, &key[0], now) == FW_NONE)
		n = as_not_persistent(n, &plain);
	*ret_drop = allocate(fw, &(struct fw_nat_ask){ n, rule, fw_zone_in(t), &t->dst }, now, key, r);
	return true;
}

/* The key of replies after source NAT; key[1] is that without it. */
static enum drop_reason decide_source(struct firewall *fw, const struct train *t,
	const struct fw_tuple *tuple, const struct fw_egress *egress, mono_ns now, struct fw_key key[2],
	struct rules *r)
{
	const struct snapshot *s = fw->policy->snapshot;
	bool same_link = fw_dnat_translates(&egress->dnat) && egress->same_interface;
	struct ip_addr published;
	enum drop_reason d;
	uint32_t rule = egress->dnat.rule;

	if ((same_link && !egress->dnat.by_binding && fw_nptv6_hairpin(fw, rule, &tuple->src, &published)) ||
		fw_static_source(fw, tuple, &published, &rule)) {
		if (tuple->proto == IP_AH)
			return DROP_NAT_PROTOCOL;
		if (published.family == ADDR_NONE)
			return DROP_NAT_NO_MAPPING;
		r->dnat = r->dnat == TRAIN_NONE ? rule : r->dnat;
		memcpy(key[1].dst, published.b, sizeof key[1].dst);
		return DROP_NONE;
	}
	if (egress->dnat.by_binding && tuple->from == tuple->to &&
		hairpin_source(fw, t, egress, now, key, r, &d))
		return d;
	rule = fw_nat_lookup(fw, tuple);
	struct snap_nat_rule plain;
	const struct snap_nat_rule *n = rule == FW_NONE ? NULL : &snap_nat_rules(s)[rule];
	if (n && egress->dnat.by_binding)
		n = as_not_persistent(n, &plain);
	bool nat64 = key[0].family != key[1].family;
	if (nat64 && (!n || n->action == NAT_OFF))
		return DROP_NAT_NO_ADDRESS;
	if (n && n->action == NAT_OFF)
		return DROP_NONE;
	if (!n && !same_link)
		return DROP_NONE;
	/* Replies could not be told apart from ESP for the gateway itself, which the links do not deliver
	 * (io_filter.c). */
	if (tuple->proto == IP_ESP && snap_self_access(s, tuple->to, IP_ESP, 0, &tuple->dst) != SELF_CLOSED)
		return DROP_NAT_PROTOCOL;
	/* Where the server would answer the client on their own link, the answers must come here. */
	const struct snap_nat_rule by_gateway = {
		.action = NAT_INTERFACE, .port_first = s->nat_port_first, .port_last = s->nat_port_last
	};
	r->nat = n ? rule : TRAIN_NONE;
	r->interface = !n || n->action != NAT_POOL;
	const struct fw_key before = key[1];
	d = allocate(fw, &(struct fw_nat_ask){ n ? n : &by_gateway, r->nat, tuple->from, &egress->nat_addr },
		now, key, r);
	if (!r->dry && (d == DROP_NAT_EXHAUSTED || d == DROP_NAT_BLOCK_LIMIT))
		fw_log_exhausted(fw, r->nat, t, &egress->nat_addr, d, now);
	/* The source alone is translated. */
	assert(memcmp(key[1].src, before.src, sizeof before.src) == 0);
	return d;
}

/* The key of replies, translated where NAT rules say so. */
static enum drop_reason decide_nat(struct firewall *fw, const struct train *t, const struct fw_egress *egress,
	uint32_t from, uint32_t to, mono_ns now, struct fw_key key[2], struct rules *ret_rules)
{
	bool dnat = fw_dnat_translates(&egress->dnat);
	uint32_t direction;

	key[1] = dnat ? fw_dnat_reply_key(&key[0], &egress->dnat) : fw_key_reverse(&key[0]);
	key[1].vrf = egress->vrf;
	ret_rules->nat = TRAIN_NONE;
	ret_rules->inward = egress->dnat.by_binding;
	ret_rules->dnat =
		dnat && !ret_rules->inward ? egress->dnat.rule : TRAIN_NONE; /* none of what is expected */
	if (dnat && t->proto == IP_AH) /* its ICV covers the addresses: RFC 4302 section 3.3.3.1 */
		return DROP_NAT_PROTOCOL;
	/* A tunnel's selectors hold the real addresses: what is sent into one is not translated. */
	if (ret_rules->as.family != ADDR_NONE) {
		memcpy(key[1].dst, ret_rules->as.b, sizeof key[1].dst);
		key[1].dst_port = ret_rules->as_port ? ret_rules->as_port : key[1].dst_port;
	} else if (from != FW_ZONE_HOST && to != FW_ZONE_HOST && t->tunnel == TRAIN_NONE) {
		struct fw_tuple tuple = tuple_of(t, &egress->dnat, from, to);
		enum drop_reason d = decide_source(fw, t, &tuple, egress, now, key, ret_rules);
		bool chosen = ret_rules->nat != TRAIN_NONE || ret_rules->interface; /* its port is free */
		if (d || chosen)
			return d;
	} else if (key[0].family != key[1].family) {
		return DROP_NAT_NO_ADDRESS;
	}
	if (fw_redirect_find(fw, &key[1]) != FW_NONE)
		return DROP_SESSION_COLLISION; /* with another worker's */
	uint32_t other = fw_session_find(fw, &key[1], fw_key_hash(fw, &key[1]), &direction);
	return other == FW_NONE || (fw->policy && !fw_session_judge(fw, other, now)) ? DROP_NONE
										     : DROP_SESSION_COLLISION;
}

static const struct snap_nat_rule *nat_rule_at(const struct firewall *fw, uint32_t nat_rule)
{
	return nat_rule == TRAIN_NONE ? NULL : &snap_nat_rules(fw->policy->snapshot)[nat_rule];
}

/* The block of ports that its translated end is in; FW_NONE: none. Of a session by a binding, the binding has it. */
static uint32_t block_of(struct firewall *fw, const struct fw_key key[2], const struct rules *rules)
{
	if (rules->inward || rules->shares_port)
		return FW_NONE;
	return rules->block ? rules->block - 1 : fw_block_of_keys(fw, key);
}

/* The binding of a new session, where its rule has persistent-nat, or its block of ports; *ret_binding FW_NONE: neither. */
static enum drop_reason binding_of_new(struct firewall *fw, const struct fw_key key[2], uint32_t from,
	const struct rules *rules, const struct ip_addr *nat_addr, uint32_t block, mono_ns now,
	uint32_t *ret_binding)
{
	const struct snap_nat_rule *rule = nat_rule_at(fw, rules->nat);

	*ret_binding = rules->shares_port ? fw->place[rules->parent - 1].binding : block;
	if (!rules->shares_port && !rules->inward && rule && fw_nat_is_persistent(rule, key[0].proto)) {
		const struct fw_nat_ask ask = { rule, rules->nat, from, nat_addr };
		return fw_binding_take(fw, &ask, key, block, now, ret_binding);
	}
	if (*ret_binding != FW_NONE)
		fw_session_hold(fw, *ret_binding);
	return DROP_NONE;
}

/* The record of a session, with its binding where its rule has persistent-nat. */
static enum drop_reason record_new(struct firewall *fw, const struct fw_key key[2], uint32_t from,
	const struct rules *rules, const struct ip_addr *nat_addr, mono_ns now, uint32_t *ret_index)
{
	uint32_t binding, block = block_of(fw, key, rules);

	if (block != FW_NONE)
		fw_session_hold(fw, block); /* what is evicted for the new ones is another */
	enum drop_reason d = binding_of_new(fw, key, from, rules, nat_addr, block, now, &binding);
	if (d == DROP_NONE) {
		*ret_index = fw_evict_for(fw, &key[0], from, now) ? fw_record_new(fw, key, now) : FW_NONE;
		if (*ret_index == FW_NONE && binding != FW_NONE)
			fw_session_release(fw, binding, now);
		d = *ret_index == FW_NONE ? DROP_SESSION_LIMIT : DROP_NONE;
	}
	if (block != FW_NONE)
		fw_session_release(fw, block, now);
	if (d != DROP_NONE)
		return d;
	fw->place[*ret_index].binding = binding;
	if (binding != FW_NONE)
		fw_permit_count(fw, binding, &fw->sessions[*ret_index], 1);
	return DROP_NONE;
}

static enum drop_reason session_begin(struct firewall *fw, struct train *t, const struct fw_key key[2],
	uint32_t from, uint32_t to, const struct rules *rules, const struct ip_addr *nat_addr,
	uint32_t timeout_s, mono_ns now)
{
	uint32_t index;
	enum drop_reason d = record_new(fw, key, from, rules, nat_addr, now, &index);

	if (d != DROP_NONE)
		return d;
	struct fw_session *s = &fw->sessions[index];
	assert(from <= UINT16_MAX && to <= UINT16_MAX);
	s->zones = (struct fw_zones){ { (uint16_t)from, (uint16_t)to }, fw->state->epoch };
	s->rule = t->rule;
	s->nat_rule = rules->nat;
	s->dnat_rule = rules->dnat == TRAIN_NONE ? FW_DNAT_NONE : (uint16_t)rules->dnat;
	s->parent = rules->parent & 0xffffffu; /* FW_LINK_BITS */
	s->alg = rules->alg;
	s->timeout_s = timeout_s;
	if (fw_is_icmp(t->proto))
		s->icmp.code = t->icmp_code;
	s->interface[0] = (uint16_t)t->in_interface;
	s->interface[1] = (uint16_t)TRAIN_NONE;
	struct fw_key plain = fw_key_reverse(&key[0]);
	plain.vrf = key[1].vrf;
	if (!fw_key_equal(&key[1], &plain))
		s->flags |= FW_SESSION_TRANSLATED;
	if (rules->interface)
		s->flags |= FW_SESSION_NAT_INTERFACE;
	if (rules->inward)
		s->flags |= FW_SESSION_INWARD;
	if (t->proto == IP_SCTP)
		fw_sctp_begin(s, t);
	else if (t->proto == IP_TCP && fw_zone_is_loose(fw, from))
		fw_tcp_begin_loose(s);
	else if (t->proto == IP_TCP)
		fw_tcp_begin(s, t);
	fw_session_arm(fw, index, now, fw_session_timeout(fw, s));
	fw_session_begin(fw, index);
	t->session = index;
	if (fw->policy && rules->nat != TRAIN_NONE)
		fw_hits_hit(&fw->policy->hits[FW_LIST_NAT], rules->nat, now);
	fw_dnat_hit(fw, rules->dnat, now);
	fw_rule_hit(fw, t->rule, now);
	if (fw->policy && t->rule != TRAIN_NONE)
		fw_log_begin(fw, s, now);
	return DROP_NONE;
}

static enum drop_reason ends_here(
	const struct train *t, const struct fw_egress *egress, uint32_t from, uint32_t to)
{
	return from != FW_ZONE_HOST && to != FW_ZONE_HOST && t->hop_limit <= 1 ? DROP_TTL : egress->drop;
}

/* A closed connection whose ports are used again. */
static void closed_session_end(struct firewall *fw, const struct fw_key *key, mono_ns now)
{
	uint32_t direction, index = fw_session_find(fw, key, fw_key_hash(fw, key), &direction);

	if (index != FW_NONE)
		fw_session_end_by(fw, index, FW_END_REUSED, now);
}

/* The session of an expected answer, by the keys of its parent. */
static enum drop_reason answer_begin(
	struct firewall *fw, struct train *t, uint32_t parent, const struct rules *rules, mono_ns now)
{
	const struct fw_session was = fw->sessions[parent]; /* its record may be evicted for the new one */
	struct fw_key key[2] = { was.key[0], fw_key_of(t) };
	struct train asked = *t;
	uint32_t direction, from = was.zones.zone[0];

	key[0].dst_port = t->src_port;
	asked.rule = t->rule = was.rule;
	asked.src = fw_key_src(&key[0]);
	if (fw_session_find(fw, &key[0], fw_key_hash(fw, &key[0]), &direction) != FW_NONE)
		return DROP_SESSION_COLLISION;
	enum drop_reason d = check_beginning(fw, t, from);
	if (!d)
		d = fw_limit_check(fw, &asked, &t->src, from);
	if (!d && !fw_rate_take(fw, t->rule, now))
		d = DROP_RULE_SESSION_RATE;
	if (!d)
		d = session_begin(fw, t, key, from, was.zones.zone[1], rules, &(struct ip_addr){ 0 },
			was.timeout_s, now);
	return d;
}

void fw_expected_answer(struct firewall *fw, struct train *t, mono_ns now)
{
	uint32_t expected = t->drop ? FW_NONE : fw_expect_find(fw, t, now);

	if (expected == FW_NONE || !fw->expected[expected].answers)
		return;
	uint32_t parent = fw->expected[expected].parent;
	const struct fw_session *p = &fw->sessions[parent];
	const struct rules rules = { .nat = p->nat_rule,
		.dnat = TRAIN_NONE,
		.interface = p->flags & FW_SESSION_NAT_INTERFACE,
		.parent = parent + 1,
		.alg = fw->expected[expected].alg,
		.shares_port = true };
	t->drop = answer_begin(fw, t, parent, &rules, now);
	if (t->drop)
		return;
	fw->sessions[t->session].interface[0] = (uint16_t)TRAIN_NONE;
	fw->sessions[t->session].interface[1] = (uint16_t)t->in_interface;
	t->flags |= TRAIN_REPLY;
	if (fw->expected[expected].used)
		fw_expected_end(fw, expected);
}

/* Policy, or what a session that policy permits lets expect. */
static enum drop_reason decide_expected(struct firewall *fw, struct train *t, const struct fw_dnat *dnat,
	uint32_t from, uint32_t to, uint32_t expected, uint32_t *ret_timeout_s)
{
	if (expected == FW_NONE)
		return decide_policy(fw, t, dnat, from, to, ret_timeout_s);
	t->rule = fw->sessions[fw->expected[expected].parent].rule;
	*ret_timeout_s = 0;
	return DROP_NONE;
}

/* The expectation that t fulfils, if it also goes where the parent's other side is. */
static uint32_t expected_by(
	struct firewall *fw, const struct train *t, const struct fw_dnat *dnat, uint32_t to, mono_ns now)
{
	uint32_t i = fw_dnat_translates(dnat) && !dnat->expected ? FW_NONE : fw_expect_find(fw, t, now);

	if (i == FW_NONE)
		return i;
	const struct fw_expected *x = &fw->expected[i];
	if ((x->to.family != ADDR_NONE) !=
		dnat->expected) /* it came out of a tunnel, or the first has ended since */
		return FW_NONE;
	return fw->sessions[x->parent].zones.zone[1 - x->from] == to ? i : FW_NONE;
}

/* What the new session was expected by, and the port that it is sent from: both were for one session. */
static void fulfilled(struct firewall *fw, uint32_t expected, uint32_t told)
{
	if (expected != FW_NONE && fw->expected[expected].used)
		fw_expected_end(fw, expected);
	if (told != FW_NONE && told != expected && fw->expected[told].used)
		fw_expected_end(fw, told);
}

/* What is decided about a first packet before anything changes for it. */
struct decided {
	uint32_t from, to, timeout_s;
	uint32_t expected, told; /* what it fulfils; FW_NONE: nothing */
	struct rules rules;
	bool is_over; /* no session begins, and no rule has refused it: t->drop, or it passes without one */
};

static void expectations_of(struct firewall *fw, const struct train *t, const struct fw_egress *egress,
	mono_ns now, struct decided *x)
{
	x->expected = expected_by(fw, t, &egress->dnat, x->to, now);
	x->told = t->tunnel == TRAIN_NONE ? fw_expect_told(fw, t, x->to, now) : FW_NONE;
	if (x->expected != FW_NONE) {
		const struct fw_expected *e = &fw->expected[x->expected];
		x->rules = (struct rules){ .parent = e->parent + 1, .alg = e->alg, .as = e->as };
	}
	if (x->told != FW_NONE) { /* media go out by the port at which they are received (RFC 4961) */
		x->rules.as = fw->expected[x->told].dst;
		x->rules.as_port = fw->expected[x->told].dst_port;
		x->rules.alg = fw->expected[x->told].alg;
	}
}

/* Policy and what comes before it. */
static enum drop_reason decide(struct firewall *fw, struct train *t, const struct fw_egress *egress,
	mono_ns now, struct decided *ret_decided)
{
	uint32_t from = fw_zone_in(t), to = egress->to_host ? FW_ZONE_HOST : t->out_zone;
	bool is_sessionless = fw_is_icmp(t->proto) && !fw_is_icmp_query(t);
	struct decided *x = ret_decided;

	*x = (struct decided){ .from = from, .to = to };
	expectations_of(fw, t, egress, now, x);
	if (is_sessionless && (to == FW_ZONE_HOST || from == FW_ZONE_HOST)) {
		/* ICMP errors and replies of the gateway and for it pass */
		x->is_over = true;
		return DROP_NONE;
	}
	enum drop_reason d = check_beginning(fw, t, from);
	/* RFC 4291 section 2.5.6, RFC 3927 section 2.7: these are not forwarded. */
	if (!d && from != FW_ZONE_HOST && to != FW_ZONE_HOST &&
		(addr_is_link_local(&t->src) || addr_is_link_local(&t->dst)))
		d = addr_is_link_local(&t->src) ? DROP_MARTIAN_SOURCE : DROP_MARTIAN_DESTINATION;
	if (!d)
		d = decide_expected(fw, t, &egress->dnat, from, to, x->expected, &x->timeout_s);
	/* What policy permits but cannot be sent begins no session: ICMP errors about it would match that
	 * session. */
	if (!d && (t->drop = ends_here(t, egress, from, to))) {
		x->is_over = true;
		return t->drop;
	}
	return d;
}

/* Limits, and the translation. */
static enum drop_reason decide_rest(struct firewall *fw, const struct train *t,
	const struct fw_egress *egress, mono_ns now, struct fw_key key[2], struct decided *x)
{
	const struct fw_dnat *dnat = &egress->dnat;
	enum drop_reason d = fw_limit_check(fw, t, fw_dnat_translates(dnat) ? &dnat->dst : &t->dst, x->from);

	if (!d)
		d = decide_nat(fw, t, egress, x->from, x->to, now, key, &x->rules);
	if (dnat->by_binding) { /* whose rule the session shows */
		x->rules.nat = dnat->rule;
		x->rules.interface = dnat->by_interface;
	}
	return d;
}

void fw_admit(struct firewall *fw, struct train *t, const struct fw_egress *egress, mono_ns now)
{
	struct fw_key key[2] = { fw_key_of(t) };
	struct decided x;

	t->session = t->rule = TRAIN_NONE;
	if (t->drop)
		return;
	enum drop_reason d = decide(fw, t, egress, now, &x);
	if (x.is_over)
		return;
	if (!d && (t->proto == IP_TCP || t->proto == IP_SCTP))
		closed_session_end(fw, &key[0], now);
	if (!d)
		d = decide_rest(fw, t, egress, now, key, &x);
	if (!d && !fw_rate_take(fw, t->rule, now))
		d = DROP_RULE_SESSION_RATE;
	if (!d)
		d = session_begin(fw, t, key, x.from, x.to, &x.rules, &egress->nat_addr, x.timeout_s, now);
	if (d)
		refuse(fw, t, d, now);
	else
		fulfilled(fw, x.expected, x.told);
}

void fw_host_packet(struct firewall *fw, struct train *t, bool dry, mono_ns now)
{
	struct fw_tuple tuple = fw_tuple_of_train(t, t->in_zone, FW_ZONE_HOST);
	uint32_t timeout_s;

	t->rule = TRAIN_NONE;
	/* The host's filter takes nothing that comes by a VRF (filter_text.c). */
	t->drop = t->vrf ? DROP_HOST_INBOUND : fw_host_decide(fw, &tuple, &t->rule, &timeout_s);
	if (dry)
		return;
	if (t->rule == TRAIN_NONE) {
		if (t->drop)
			fw_host_refused(fw, t, now);
		return;
	}
	fw_rule_hit(fw, t->rule, now);
	if (t->drop)
		fw_log_deny(fw, t, now);
	else
		fw_log_host_begin(fw, t, now);
}

enum drop_reason fw_would_admit(
	struct firewall *fw, const struct train *asked, const struct fw_egress *egress, mono_ns now)
{
	struct train t = *asked;
	struct decided x;

	t.session = t.rule = TRAIN_NONE;
	if (t.drop)
		return t.drop;
	enum drop_reason d = decide(fw, &t, egress, now, &x);
	if (d || x.is_over)
		return d ? d : DROP_NO_SESSION;
	d = fw_limit_check(fw, &t, fw_dnat_translates(&egress->dnat) ? &egress->dnat.dst : &t.dst, x.from);
	return d ? d : fw_rate_left(fw, t.rule, now) ? DROP_NONE : DROP_RULE_SESSION_RATE;
}

/* Does some rule have it logged? */
static uint32_t log_of(const struct firewall *fw, const struct train *t, enum drop_reason d)
{
	uint32_t flags = fw_rule_flags(fw->policy, t->rule) & (RULE_LOG_INIT | RULE_LOG_CLOSE);

	return d == DROP_NONE || t->rule != TRAIN_NONE ? flags
	       : d == DROP_HOST_INBOUND && t->in_zone < fw->policy->snapshot->zones.count &&
			       snap_zones(fw->policy->snapshot)[t->in_zone].flags & ZONE_LOG_HOST_INBOUND
		       ? RULE_LOG_INIT
		       : 0;
}

/* Its binding is that of a rule with persistent-nat, which may be one too many. */
static enum drop_reason consider_binding(struct firewall *fw, const struct fw_key *key,
	const struct rules *rules, const struct ip_addr *nat_addr, mono_ns now)
{
	const struct snap_nat_rule *rule = nat_rule_at(fw, rules->nat);

	if (rules->shares_port || rules->inward || !rule || !fw_nat_is_persistent(rule, key->proto) ||
		fw_binding_find(fw, rule, nat_addr, key, now) != FW_NONE)
		return DROP_NONE;
	return fw_binding_has_room(fw, rule, key) ? DROP_NONE : DROP_NAT_BINDING_LIMIT;
}

uint32_t fw_session_of(struct firewall *fw, const struct train *t, mono_ns now)
{
	const struct fw_key k = fw_key_of(t);
	uint32_t direction, index = fw_session_find(fw, &k, fw_key_hash(fw, &k), &direction);

	return index != FW_NONE && fw_session_judge(fw, index, now) ? index : TRAIN_NONE;
}

void fw_consider(struct firewall *fw, const struct train *asked, const struct fw_egress *egress, mono_ns now,
	struct fw_verdict *ret_verdict)
{
	struct train t = *asked;
	struct fw_verdict *v = ret_verdict;
	struct decided x;

	assert(!t.drop && fw->policy);
	*v = (struct fw_verdict){ .rule = TRAIN_NONE,
		.nat_rule = TRAIN_NONE,
		.dnat_rule = TRAIN_NONE,
		.session = fw_session_of(fw, &t, now),
		.key = { fw_key_of(&t) } };
	t.session = t.rule = TRAIN_NONE;
	v->drop = decide(fw, &t, egress, now, &x);
	x.rules.dry = true;
	x.rules.nat = TRAIN_NONE;
	if (!v->drop && !x.is_over && v->session != TRAIN_NONE) {
		const struct fw_session *s = &fw->sessions[v->session];
		memcpy(v->key, s->key, sizeof v->key);
		x.rules.nat = s->nat_rule;
		x.rules.dnat = s->dnat_rule == FW_DNAT_NONE ? TRAIN_NONE : s->dnat_rule;
	} else if (!v->drop && !x.is_over) {
		v->drop = decide_rest(fw, &t, egress, now, v->key, &x);
		if (!v->drop && !fw_rate_left(fw, t.rule, now))
			v->drop = DROP_RULE_SESSION_RATE;
		if (!v->drop)
			v->drop = consider_binding(fw, &v->key[0], &x.rules, &egress->nat_addr, now);
	}
	v->rule = t.rule;
	v->timeout_s = x.timeout_s;
	v->log = log_of(fw, &t, v->drop);
	v->exhausted_rule = v->drop ? x.rules.nat : TRAIN_NONE;
	if (v->drop || x.is_over)
		return;
	v->begins = true;
	v->nat_rule = x.rules.nat;
	v->dnat_rule = x.rules.dnat;
	v->inward = x.rules.inward;
	v->expected = x.expected != FW_NONE;
}

bool fw_admit_elsewhere(struct firewall *fw, const struct train *t, const struct fw_egress *egress,
	mono_ns now, uint32_t *ret_worker)
{
	uint32_t from = fw_zone_in(t), to = egress->to_host ? FW_ZONE_HOST : t->out_zone;
	struct ip_addr published;
	uint32_t rule;

	if (fw->limits.workers == 1 || t->flags & TRAIN_REDIRECTED || t->drop || !fw->policy ||
		!fw->policy->persistent || from == FW_ZONE_HOST || to == FW_ZONE_HOST ||
		t->tunnel != TRAIN_NONE || egress->dnat.by_binding)
		return false;
	struct fw_tuple tuple = tuple_of(t, &egress->dnat, from, to);
	if (fw_static_source(fw, &tuple, &published, &rule))
		return false;
	rule = fw_nat_lookup(fw, &tuple);
	const struct snap_nat_rule *n = rule == FW_NONE ? NULL : nat_rule_at(fw, rule);
	bool blocks = n && snap_nat_has_dynamic_blocks(n);
	if (!n || !(blocks || fw_nat_is_persistent(n, t->proto)) || fw_expect_find(fw, t, now) != FW_NONE)
		return false;
	struct ip_addr host = addr_source(t->src);
	*ret_worker = blocks ? fw_end_home(fw, &host, 0) : fw_end_home(fw, &t->src, t->src_port);
	return *ret_worker != fw->limits.worker;
}

/* With another translation of its source it would be another connection to the other side. Nothing is translated into a
 * tunnel. */
static bool same_source_nat(
	const struct firewall *fw, const struct fw_session *s, const struct fw_tuple *tuple, bool tunnel)
{
	struct ip_addr published, is = fw_key_dst(&s->key[1]);
	uint32_t rule;

	if (tunnel)
		return !fw_source_translated(s);
	if (fw_static_source(fw, tuple, &published, &rule))
		return addr_equal(&published, &is);
	rule = fw_nat_lookup(fw, tuple);
	return fw_source_translated(s)
		       ? rule == s->nat_rule
		       : rule == FW_NONE || snap_nat_rules(fw->policy->snapshot)[rule].action == NAT_OFF;
}

/* The zone is the same, and has links and tunnels: may the session go on from one to the other? */
static bool same_kind_of_way(const struct firewall *fw, const struct fw_session *s, const struct train *t)
{
	if (fw_direction(t) == 1 || s->flags & FW_SESSION_INWARD || s->zones.zone[0] == FW_ZONE_HOST ||
		s->zones.zone[1] == FW_ZONE_HOST || !fw->policy)
		return true;
	if (t->tunnel != TRAIN_NONE)
		return !fw_source_translated(s);
	struct fw_tuple tuple = fw_tuple_of_session(s, s->zones.zone[0], s->zones.zone[1]);
	/* Numbers of tunnels change with the policy; that it was one does not. */
	return s->forwarding[0].tunnel == TRAIN_NONE || same_source_nat(fw, s, &tuple, false);
}

void fw_reroute(struct firewall *fw, struct train *t, bool to_host, mono_ns now)
{
	if (t->drop || t->session == TRAIN_NONE)
		return;
	struct fw_session *s = &fw->sessions[t->session];
	uint32_t d = fw_direction(t), to = to_host ? FW_ZONE_HOST : t->out_zone, rule, timeout_s;

	if (s->zones.zone[1 - d] == to) {
		if (same_kind_of_way(fw, s, t))
			return;
		t->drop = DROP_SESSION_ZONE_MISMATCH;
		fw_session_end_by(fw, t->session, FW_END_ROUTE_CHANGED, now);
		return;
	}
	if (d == 1 || s->flags & FW_SESSION_INWARD || to == FW_ZONE_HOST || to == TRAIN_NONE ||
		s->zones.zone[0] == FW_ZONE_HOST || s->zones.zone[1] == FW_ZONE_HOST) {
		t->drop = DROP_SESSION_ZONE_MISMATCH;
		return;
	}
	if (!fw->policy) {
		t->drop = DROP_SESSION_ZONE_MISMATCH;
		return;
	}
	struct fw_tuple tuple = fw_tuple_of_session(s, s->zones.zone[0], to);
	enum rule_action action = fw_policy_lookup(fw, &tuple, &rule, &timeout_s);
	if (action == RULE_PERMIT && same_source_nat(fw, s, &tuple, t->tunnel != TRAIN_NONE)) {
		struct fw_zones z = s->zones;
		z.zone[1] = (uint16_t)to;
		fw_zones_store(s, z);
		fw->changes++;
		fw_limit_count(fw, fw_policy_of(fw, s), s, -1);
		s->rule = rule;
		fw_limit_count(fw, fw_policy_of(fw, s), s, 1);
		s->timeout_s = timeout_s;
		return;
	}
	t->rule = rule;
	t->drop = action == RULE_PERMIT	  ? DROP_SESSION_ZONE_MISMATCH
		  : rule == TRAIN_NONE	  ? DROP_DEFAULT_DENY
		  : action == RULE_REJECT ? DROP_POLICY_REJECT
					  : DROP_POLICY_DENY;
	fw_session_end_by(fw, t->session, FW_END_ROUTE_CHANGED, now);
}
