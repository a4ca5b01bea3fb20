/*
 * The stages on a burst: lookup, admit, apply. See firewall.h for their order and for who owns what.
 */
#include "firewall/internal.h"
#include "wire/csum.h"
#include "wire/ip.h"

void fw_lookup_burst(struct firewall *fw, struct train **trains, size_t n, mono_ns now)
{
	struct fw_key key[TRAIN_BURST_MAX];
	uint64_t hash[TRAIN_BURST_MAX];

	(void)now;
	/* Two passes, so that the memory of the buckets is on its way while the other keys are hashed. */
	for (size_t i = 0; i < n; i++) {
		struct train *t = trains[i];
		t->session = TRAIN_NONE;
		t->flags &= ~(uint32_t)TRAIN_REPLY;
		if (t->drop)
			continue;
		if (t->flags & TRAIN_ICMP_ERROR) {
			if (!fw_error_key(t, &key[i])) {
				t->drop = DROP_ICMP_UNRELATED;
				continue;
			}
		} else {
			key[i] = fw_key_of(t);
		}
		hash[i] = fw_hash(fw, &key[i]);
		__builtin_prefetch(&fw->bucket[hash[i] & fw->bucket_mask]);
	}
	for (size_t i = 0; i < n; i++) {
		struct train *t = trains[i];
		uint32_t d;
		if (t->drop)
			continue;
		fw->counters.lookups++;
		uint32_t index = fw_find(fw, &key[i], hash[i], &d);
		if (index == FW_NONE)
			continue;
		/* A packet that comes in by another zone than its session's is none of the session's. */
		if (fw->sessions[index].zone[d] != t->in_zone)
			continue;
		fw->counters.hits++;
		t->session = index;
		t->rule = fw->sessions[index].rule;
		t->flags |= d ? TRAIN_REPLY : 0;
	}
}

void fw_log_add(struct firewall *fw, enum fw_log_kind kind, enum drop_reason drop, uint32_t rule, const struct fw_key *k0,
	const struct fw_session *s)
{
	uint32_t next = (fw->log_head + 1) % FW_LOG_RING;

	if (next == fw->log_tail) {
		fw->counters.logs_lost++;
		return;
	}
	struct fw_log *l = &fw->log[fw->log_head];
	memset(l, 0, sizeof *l);
	l->kind = kind;
	l->drop = drop;
	l->rule = rule;
	l->key[0] = *k0;
	l->key[1] = s ? s->key[1] : fw_key_reverse(k0);
	for (int d = 0; s && d < 2; d++) {
		l->packets[d] = s->packets[d];
		l->bytes[d] = s->bytes[d];
	}
	fw->log_head = next;
}

bool fw_log_next(struct firewall *fw, struct fw_log *ret_log)
{
	if (fw->log_tail == fw->log_head)
		return false;
	*ret_log = fw->log[fw->log_tail];
	fw->log_tail = (fw->log_tail + 1) % FW_LOG_RING;
	return true;
}

void fw_session_end(struct firewall *fw, uint32_t index)
{
	struct fw_session *s = &fw->sessions[index];
	const struct snapshot *p = fw->policy;

	if (index >= fw->limits.sessions_max || !s->live)
		return;
	if (s->tcp_state == FW_TCP_SYN_SENT || s->tcp_state == FW_TCP_SYN_RECEIVED)
		fw->counters.half_open_now -= fw->counters.half_open_now > 0;
	if (p && s->rule < p->rules.count && snap_rules(p)[s->rule].flags & RULE_LOG_CLOSE)
		fw_log_add(fw, FW_LOG_CLOSE, DROP_NONE, s->rule, &s->key[0], s);
	fw_session_remove(fw, index);
}

/* Which packets may begin a session: a SYN, an echo request, any packet of protocols that have no beginning. */
static enum drop_reason may_begin(const struct train *t)
{
	if (t->flags & TRAIN_ICMP_ERROR)
		return DROP_ICMP_UNRELATED;
	if (t->proto == IP_TCP)
		return (t->tcp_flags & (TCP_SYN | TCP_ACK | TCP_RST | TCP_FIN)) == TCP_SYN ? DROP_NONE : DROP_NO_SESSION;
	if (t->proto == IP_ICMP)
		return t->icmp_type == ICMP4_ECHO ? DROP_NONE : DROP_NO_SESSION;
	if (t->proto == IP_ICMPV6)
		return t->icmp_type == ICMP6_ECHO ? DROP_NONE : DROP_NO_SESSION;
	return DROP_NONE;
}

static uint32_t timeout_s(const struct firewall *fw, const struct fw_session *s, uint32_t tcp_timeout_s)
{
	const struct snapshot *p = fw->policy;
	bool confirmed = s->flags & FW_SESSION_CONFIRMED;

	switch (s->key[0].proto) {
	case IP_TCP:
		if (s->tcp_state != FW_TCP_ESTABLISHED)
			return s->tcp_state <= FW_TCP_SYN_RECEIVED && p && p->half_open_timeout_s ? p->half_open_timeout_s :
												     tcp_timeout_s;
		return s->timeout_s ? s->timeout_s : p && p->tcp_timeout_s ? p->tcp_timeout_s : FW_TCP_TIMEOUT_S;
	case IP_UDP:
		return s->timeout_s ? s->timeout_s : p && p->udp_timeout_s ? p->udp_timeout_s : FW_UDP_TIMEOUT_S;
	case IP_ICMP:
	case IP_ICMPV6:
		return confirmed ? FW_ICMP_REPLY_TIMEOUT_S : p && p->icmp_timeout_s ? p->icmp_timeout_s : FW_ICMP_TIMEOUT_S;
	default:
		return s->timeout_s ? s->timeout_s : p && p->other_timeout_s ? p->other_timeout_s : FW_OTHER_TIMEOUT_S;
	}
}

/* Policy for a train without a session; from the gateway itself nothing is asked (its zone is TRAIN_NONE). */
static enum drop_reason decide(struct firewall *fw, struct train *t, const struct fw_egress *egress,
	uint32_t *ret_timeout_s)
{
	*ret_timeout_s = 0;
	t->rule = TRAIN_NONE;
	if (t->in_zone == TRAIN_NONE)
		return t->flags & TRAIN_FROM_HOST ? DROP_NONE : DROP_NO_ZONE;
	if (egress->to_host)
		return fw_host_inbound(fw, t);
	if (t->out_zone == TRAIN_NONE)
		return DROP_NO_ZONE;
	enum rule_action action = fw_match(fw, t->in_zone, t->out_zone, &t->src, &t->dst, t->proto, t->src_port,
		fw_service_port(t), &t->rule, ret_timeout_s);
	if (t->rule != TRAIN_NONE) {
		fw->rule_hits[t->rule].hits++;
		if (action != RULE_PERMIT && snap_rules(fw->policy)[t->rule].flags & RULE_LOG_INIT) {
			struct fw_key k = fw_key_of(t);
			fw_log_add(fw, FW_LOG_DENY, DROP_POLICY_DENY, t->rule, &k, NULL);
		}
	}
	if (action == RULE_PERMIT)
		return DROP_NONE;
	return t->rule == TRAIN_NONE ? DROP_DEFAULT_DENY : action == RULE_REJECT ? DROP_POLICY_REJECT : DROP_POLICY_DENY;
}

static enum drop_reason translate_choose(struct firewall *fw, const struct train *t, const struct fw_egress *egress,
	struct fw_key key[2], uint32_t *ret_rule)
{
	*ret_rule = FW_NONE;
	if (t->in_zone == TRAIN_NONE || egress->to_host || t->tunnel != TRAIN_NONE)
		return DROP_NONE; /* selectors of a tunnel are about the real addresses */
	uint32_t rule = fw_nat_match(fw, t->in_zone, t->out_zone, &t->src, &t->dst);
	if (rule == FW_NONE || snap_nat_rules(fw->policy)[rule].action == NAT_OFF)
		return DROP_NONE;
	*ret_rule = rule;
	fw->nat_hits[rule].hits++;
	return fw_nat_allocate(fw, &snap_nat_rules(fw->policy)[rule], egress, &key[0], &key[1]);
}

void fw_admit(struct firewall *fw, struct train *t, const struct fw_egress *egress, mono_ns now)
{
	uint32_t rule_timeout_s, nat_rule, d;
	struct fw_key key[2] = { fw_key_of(t) };

	key[1] = fw_key_reverse(&key[0]);
	t->drop = may_begin(t);
	if (!t->drop)
		t->drop = decide(fw, t, egress, &rule_timeout_s);
	if (t->rule != TRAIN_NONE && fw->policy && t->rule < fw->policy->rules.count)
		fw->rule_hits[t->rule].last = now;
	if (t->drop)
		return;
	if (t->proto == IP_TCP && fw->policy && fw->policy->half_open_max &&
		fw->counters.half_open_now >= fw->policy->half_open_max) {
		t->drop = DROP_SESSION_LIMIT;
		return;
	}
	t->drop = translate_choose(fw, t, egress, key, &nat_rule);
	if (t->drop)
		return;
	/* The first packet's own key may be taken by a session of another zone, or the replies' by another source. */
	if (fw_find(fw, &key[0], fw_hash(fw, &key[0]), &d) != FW_NONE ||
		fw_find(fw, &key[1], fw_hash(fw, &key[1]), &d) != FW_NONE) {
		t->drop = DROP_SESSION_COLLISION;
		return;
	}
	uint32_t index = fw_session_new(fw, key, now);
	if (index == FW_NONE) {
		t->drop = DROP_SESSION_LIMIT;
		return;
	}
	struct fw_session *s = &fw->sessions[index];
	struct fw_key straight = fw_key_reverse(&key[0]);
	s->rule = t->rule;
	s->nat_rule = nat_rule;
	s->timeout_s = rule_timeout_s;
	s->flags = memcmp(&straight, &key[1], sizeof straight) ? FW_SESSION_TRANSLATED : 0;
	s->zone[0] = t->in_zone;
	s->zone[1] = egress->to_host ? TRAIN_NONE : t->out_zone;
	s->interface[0] = t->in_interface;
	s->interface[1] = t->out_interface;
	s->tcp_state = t->proto == IP_TCP ? FW_TCP_SYN_SENT : FW_TCP_NONE;
	fw->counters.half_open_now += t->proto == IP_TCP;
	if (nat_rule != FW_NONE)
		fw->nat_hits[nat_rule].last = now;
	fw_session_arm(fw, index, now, timeout_s(fw, s, FW_HALF_OPEN_TIMEOUT_S));
	__atomic_store_n(&s->live, FW_SESSION_LIVE, __ATOMIC_RELEASE);
	t->session = index;
	if (fw->policy && s->rule < fw->policy->rules.count && snap_rules(fw->policy)[s->rule].flags & RULE_LOG_INIT)
		fw_log_add(fw, FW_LOG_INIT, DROP_NONE, s->rule, &s->key[0], s);
}

/* RFC 1812 section 5.3.1: a hop limit that ends here is not forwarded. The gateway's own packets are not hops. */
static enum drop_reason hop(struct train *t)
{
	if (t->flags & TRAIN_FROM_HOST)
		return DROP_NONE;
	if (t->hop_limit <= 1)
		return DROP_TTL;
	t->hop_limit--;
	if (t->src.family == ADDR_V6) {
		t->ip[IP6_HOPS] = t->hop_limit;
		return DROP_NONE;
	}
	uint8_t old[2] = { t->ip[IP4_TTL], t->ip[IP4_TTL + 1] };
	t->ip[IP4_TTL] = t->hop_limit;
	csum_update(t->ip + IP4_CSUM, old, t->ip + IP4_TTL, 2);
	return DROP_NONE;
}

static void apply(struct firewall *fw, struct train *t, mono_ns now)
{
	struct fw_session *s = &fw->sessions[t->session];
	uint32_t d = t->flags & TRAIN_REPLY ? 1 : 0, tcp_s = 0;
	bool to_host = s->zone[!d] == TRAIN_NONE;
	uint8_t state = s->tcp_state;

	if (!to_host && (t->drop = hop(t)))
		return;
	if (t->flags & TRAIN_ICMP_ERROR) {
		if (s->flags & FW_SESSION_TRANSLATED)
			t->drop = fw_translate_error(s, t, d);
		return; /* an error neither keeps a session alive nor counts as its traffic */
	}
	if (t->proto == IP_TCP) {
		if ((t->drop = fw_tcp_track(s, t, d, &tcp_s)))
			return;
		bool was_open = state == FW_TCP_SYN_SENT || state == FW_TCP_SYN_RECEIVED;
		bool is_open = s->tcp_state == FW_TCP_SYN_SENT || s->tcp_state == FW_TCP_SYN_RECEIVED;
		if (was_open && !is_open)
			fw->counters.half_open_now -= fw->counters.half_open_now > 0;
		else if (!was_open && is_open)
			fw->counters.half_open_now++;
		if (t->tcp_flags & TCP_SYN && s->way[d].mss)
			fw_tcp_clamp(t, s->way[d].mss);
	}
	if (d)
		s->flags |= FW_SESSION_CONFIRMED;
	s->packets[d] += train_packets(t);
	s->bytes[d] += t->len;
	s->last_seen = now;
	s->interface[d] = t->in_interface;
	fw_session_arm(fw, t->session, now, timeout_s(fw, s, tcp_s));
	if (s->flags & FW_SESSION_TRANSLATED)
		fw_translate(s, t, d);
}

void fw_apply_burst(struct firewall *fw, struct train **trains, size_t n, mono_ns now)
{
	for (size_t i = 0; i < n; i++)
		if (!trains[i]->drop && trains[i]->session != TRAIN_NONE)
			apply(fw, trains[i], now);
}

struct fw_way *fw_way(struct firewall *fw, const struct train *t)
{
	return &fw->sessions[t->session].way[t->flags & TRAIN_REPLY ? 1 : 0];
}

const struct fw_counters *fw_counters(const struct firewall *fw)
{
	return &fw->counters;
}
