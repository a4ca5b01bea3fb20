/*
 * The fast path: finding the sessions of a burst, and applying them. Everything that an established session
 * costs is here: one keyed hash, one record, the header's changed octets. Records are prefetched for the
 * whole burst.
 */
#include "firewall/internal.h"
#include "wire/csum.h"
#include "wire/nat64.h"

#include <assert.h>

/* Skipped: dropped, or a fragment that was not reassembled. */
static bool skipped(const struct train *t)
{
	return t->drop != DROP_NONE || t->flags & TRAIN_FRAGMENT;
}

bool fw_key_wanted(const struct train *t, struct fw_key *ret_key)
{
	if (t->flags & TRAIN_ICMP_ERROR)
		return fw_error_key(t, ret_key);
	*ret_key = fw_key_of(t);
	return !fw_is_icmp(t->proto) || ret_key->kind != FW_KEY_PLAIN;
}

/* The ports of a closed connection are used again: the SYN, or the INIT, begins a new one, and fw_admit() ends the old
 * one. The kernel may have seen its end. */
static bool reopens_closed_session(struct firewall *fw, uint32_t index, const struct train *t)
{
	const struct fw_session *s = &fw->sessions[index];

	if (t->flags & TRAIN_ICMP_ERROR ||
		!(t->proto == IP_SCTP ? fw_sctp_opens(t) : (t->tcp_flags & (TCP_SYN | TCP_ACK)) == TCP_SYN))
		return false;
	if (fw_is_carried(s))
		fw_carried_sync(fw, index);
	return fw_is_closed(s);
}

static void session_found(
	struct firewall *fw, struct train *t, uint32_t index, uint32_t direction, mono_ns now)
{
	const struct fw_session *s = &fw->sessions[index];

	assert(s->live == FW_SESSION_LIVE); /* only live sessions are indexed */
	if (s->zones.epoch != fw->state->epoch && !fw_session_judge(fw, index, now))
		return;
	if (reopens_closed_session(fw, index, t))
		return;
	t->session = index;
	t->rule = s->rule;
	if (direction)
		t->flags |= TRAIN_REPLY;
	fw->counters.hits++;
	/* ICMP errors too: a router on the path is where the packets come from. */
	if (s->zones.zone[direction] != fw_zone_in(t))
		t->drop = DROP_SESSION_ZONE_MISMATCH;
}

static void lookup_some(struct firewall *fw, struct train **trains, size_t n, mono_ns now)
{
	struct fw_key key[TRAIN_BURST_MAX];
	uint64_t hash[TRAIN_BURST_MAX];
	bool wanted[TRAIN_BURST_MAX];

	assert(n <= TRAIN_BURST_MAX);
	for (size_t i = 0; i < n; i++) {
		struct train *t = trains[i];
		wanted[i] = !skipped(t) && fw_key_wanted(t, &key[i]);
		if (skipped(t))
			continue;
		t->session = t->rule = TRAIN_NONE;
		t->flags &= ~(uint32_t)TRAIN_REPLY;
		if (!wanted[i])
			continue;
		hash[i] = i > 0 && wanted[i - 1] && fw_key_equal(&key[i], &key[i - 1])
				  ? hash[i - 1]
				  : fw_key_hash(fw, &key[i]);
		__builtin_prefetch(&fw->bucket[hash[i] & fw->bucket_mask]);
	}
	for (size_t i = 0; i < n; i++) {
		if (wanted[i])
			fw_session_prefetch(fw, hash[i]);
	}
	for (size_t i = 0; i < n; i++) {
		uint32_t direction = 0;
		if (!wanted[i])
			continue;
		fw->counters.lookups++;
		uint32_t index = fw_session_find(fw, &key[i], hash[i], &direction);
		if (index != FW_NONE)
			session_found(fw, trains[i], index, direction, now);
	}
}

void fw_lookup_burst(struct firewall *fw, struct train **trains, size_t n, mono_ns now)
{
	fw->looked_up = fw->changes;
	for (size_t i = 0; i < n; i += TRAIN_BURST_MAX)
		lookup_some(fw, trains + i, MIN_OF(n - i, (size_t)TRAIN_BURST_MAX), now);
}

void fw_lookup_again(struct firewall *fw, struct train *t, mono_ns now)
{
	if (fw->looked_up == fw->changes)
		return;
	t->drop = DROP_NONE; /* a drop is that of the previous lookup */
	lookup_some(fw, &t, 1, now);
}

/* ---- application ---- */

/* RFC 1812 section 5.3.1, RFC 8200 section 3: not to the host itself, and not what it sends. */
static bool hop_is_counted(const struct fw_session *s)
{
	return s->zones.zone[0] != FW_ZONE_HOST && s->zones.zone[1] != FW_ZONE_HOST;
}

static void hop_count(struct train *t)
{
	assert(t->hop_limit > 1);
	if (t->src.family == ADDR_V4) {
		uint8_t was[2] = { t->ip[IP4_TTL], t->ip[IP4_TTL + 1] },
			is[2] = { (uint8_t)(was[0] - 1), was[1] };
		csum_update(t->ip + IP4_CSUM, was, is, 2);
		t->ip[IP4_TTL] = is[0];
	} else {
		t->ip[IP6_HOPS]--;
	}
	t->hop_limit--;
}

static uint32_t mss_of(const struct firewall *fw, const struct fw_session *s)
{
	uint32_t mss = fw->policy ? fw->policy->snapshot->tcp_mss : 0;

	for (int d = 0; d < 2; d++)
		if (s->forwarding[d].mss && (mss == 0 || s->forwarding[d].mss < mss))
			mss = s->forwarding[d].mss;
	return mss;
}

uint32_t fw_session_mss(const struct firewall *fw, const struct fw_session *s)
{
	uint32_t mss = mss_of(fw, s);

	return mss ? mss : UINT16_MAX;
}

static void clamp(const struct firewall *fw, const struct fw_session *s, struct train *t)
{
	uint32_t mss = mss_of(fw, s);

	if (mss)
		fw_tcp_clamp(t, mss);
}

static void count(struct firewall *fw, struct fw_session *s, const struct train *t, uint32_t d)
{
	uint32_t packets = train_packets(t);

	s->packets[d] += packets;
	s->bytes[d] += train_bytes(t);
	s->interface[d] = (uint16_t)t->in_interface;
	if (fw_rule_flags(fw->policy, s->rule) & RULE_COUNT) {
		struct fw_rule_hits *h = fw_hits_of(&fw->policy->hits[FW_LIST_POLICY], s->rule);
		h->packets += packets;
		h->bytes += train_bytes(t);
	}
}

/* What comes from outside keeps no session alive that it has begun by a binding, unless it is TCP that the inside host
 * has answered. */
static bool renews(const struct fw_session *s, uint32_t d)
{
	return d || !(s->flags & FW_SESSION_INWARD) ||
	       (s->state != FW_STATELESS && s->flags & FW_SESSION_CONFIRMED);
}

static void renew(struct firewall *fw, uint32_t index, struct fw_session *s, uint32_t d, mono_ns now)
{
	s->last_seen = now;
	if (d && !(s->flags & FW_SESSION_CONFIRMED)) {
		bool recount = s->flags & FW_SESSION_INWARD; /* limit.c */
		if (recount)
			fw_limit_count(fw, fw->policy, s, -1);
		s->flags |= FW_SESSION_CONFIRMED;
		if (recount)
			fw_limit_count(fw, fw->policy, s, 1);
	}
	fw_shares_update(fw, index);
	fw_session_arm(fw, index, now, fw_session_timeout(fw, s));
}

/* The rule's code point (RFC 2474); the two bits of congestion marks stay the packet's. */
static void mark(const struct firewall *fw, const struct fw_session *s, struct train *t)
{
	uint32_t flags = fw_rule_flags(fw->policy, s->rule);
	uint8_t class = (uint8_t)((flags & RULE_DSCP_MASK) >> RULE_DSCP_SHIFT << 2 | (t->traffic_class & 3u));

	if (!(flags & RULE_DSCP) || class == t->traffic_class)
		return;
	if (t->src.family == ADDR_V4) {
		uint8_t was[2] = { t->ip[0], t->ip[1] }, is[2] = { was[0], class };
		csum_update(t->ip + IP4_CSUM, was, is, 2);
		t->ip[1] = class;
	} else {
		t->ip[0] = (uint8_t)(0x60 | class >> 4);
		t->ip[1] = (uint8_t)(class << 4 | (t->ip[1] & 15));
	}
	t->traffic_class = class;
}

static enum drop_reason apply_error(struct firewall *fw, struct fw_session *s, struct train *t, uint32_t d)
{
	bool counted = hop_is_counted(s);

	if (counted && t->hop_limit <= 1)
		return DROP_TTL;
	enum drop_reason drop = fw_translate_error(fw, s, t, d);
	if (!drop && counted)
		hop_count(t);
	return drop;
}

static enum drop_reason track_tcp(struct fw_session *s, struct train *t, uint32_t d, enum fw_step *ret_step)
{
	if (t->tcp_flags & (TCP_SYN | TCP_FIN | TCP_RST) && train_verify_l4(t) != DROP_NONE)
		return DROP_L4_CHECKSUM;
	return fw_tcp_track(s, t, d, ret_step);
}

static enum drop_reason apply_state(struct firewall *fw, struct fw_session *s, struct train *t, uint32_t d,
	mono_ns now, enum fw_step *ret_step)
{
	bool was_closed = fw_is_closed(s);
	enum drop_reason drop =
		t->proto == IP_SCTP ? fw_sctp_track(s, t, d, ret_step) : track_tcp(s, t, d, ret_step);

	if (drop)
		return drop;
	if (*ret_step == FW_STEP_REOPENS)
		fw_session_reopen(fw, t->session, now);
	fw->changes += was_closed != fw_is_closed(s);
	if (t->tcp_flags & TCP_SYN)
		clamp(fw, s, t);
	return DROP_NONE;
}

static enum drop_reason apply(struct firewall *fw, struct train *t, mono_ns now)
{
	struct fw_session *s = &fw->sessions[t->session];
	uint32_t d = fw_direction(t);
	enum fw_step step = FW_STEP_RENEWS;

	assert(s->live == FW_SESSION_LIVE); /* looked up just now */
	if (t->flags & TRAIN_ICMP_ERROR)    /* neither renews nor counts: anybody may send one */
		return apply_error(fw, s, t, d);
	bool counted = hop_is_counted(s);
	if (counted && t->hop_limit <= 1)
		return DROP_TTL;
	if (fw_is_nat64(s) && !nat64_is_translatable(t))
		return DROP_NAT64_UNTRANSLATABLE;
	if (s->flags & FW_SESSION_INWARD && d && !(t->proto == IP_TCP && t->tcp_flags & TCP_RST) &&
		!fw_inward_answered(fw, t->session)) {
		fw_session_end_of(fw, t, FW_END_TIMEOUT, now);
		return DROP_NO_SESSION; /* its binding has ended */
	}
	if (s->state != FW_STATELESS) {
		enum drop_reason drop = apply_state(fw, s, t, d, now, &step);
		if (drop)
			return drop;
	}
	if (step != FW_STEP_PASSES && renews(s, d))
		renew(fw, t->session, s, d, now);
	count(fw, s, t, d);
	mark(fw, s, t);
	if (counted)
		hop_count(t);
	if (fw_is_nat64(s))
		return fw_translate_nat64(fw, s, t, d);
	if (s->flags & FW_SESSION_TRANSLATED)
		fw_translate(s, t, d);
	return DROP_NONE;
}

/* A packet of a carried session that has come here: what opens or breaks a connection takes it back, before its numbers
 * become those of another connection. A FIN changes nothing that is carried. */
static void carried_come(struct firewall *fw, const struct train *t, mono_ns now)
{
	if (t->proto == IP_TCP && !(t->flags & TRAIN_ICMP_ERROR) && t->tcp_flags & (TCP_SYN | TCP_RST))
		fw_carried_hold(fw, t->session, now);
	else
		fw_carried_sync(fw, t->session);
}

void fw_apply(struct firewall *fw, struct train *t, mono_ns now)
{
	if (skipped(t) || t->session == TRAIN_NONE)
		return;
	if (fw_is_carried(&fw->sessions[t->session]))
		carried_come(fw, t, now);
	t->drop = apply(fw, t, now);
	if (t->session != TRAIN_NONE && fw_is_carried(&fw->sessions[t->session]))
		fw_carried_sync(fw, t->session); /* what the packet has changed */
}
