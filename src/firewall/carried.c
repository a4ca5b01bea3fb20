/*
 * Sessions whose packets the kernel forwards (struct fw_carrier): they pass without this firewall, and what passed is
 * entered here when somebody asks for the session. The record stays the truth about what the session is; the shell has
 * the numbers of what has passed since, and takes the session back when it may not go on without the firewall.
 *
 * `carried` of a session is the shell's link, or, with FW_CARRIED_HELD, until when it is not carried again: who sends
 * segments that take a session back makes it no more work than once in that time. It outlives the process, as the
 * shell's records do, and is believed only together with them.
 */
#include "firewall/internal.h"

#include <assert.h>

static uint32_t now_ms(mono_ns now)
{
	return (uint32_t)(now / NS_PER_MS) & ~FW_CARRIED_HELD;
}

void fw_set_carrier(struct firewall *fw, const struct fw_carrier *carrier)
{
	fw->carrier = carrier;
}

void fw_session_link(struct firewall *fw, uint32_t index, uint32_t link)
{
	assert(!(link & FW_CARRIED_HELD));
	fw->sessions[index].carried = link;
}

void fw_carried_hold(struct firewall *fw, uint32_t index, mono_ns now)
{
	fw_carried_end(fw, index);
	if (fw_phase(&fw->sessions[index]) == FW_PHASE_HALF_OPEN)
		return;
	fw->sessions[index].carried = FW_CARRIED_HELD | now_ms(now + FW_CARRIED_HOLD_MS * NS_PER_MS);
}

/* Milliseconds are counted in 31 bits. */
static bool is_held(const struct fw_session *s, mono_ns now)
{
	return s->carried & FW_CARRIED_HELD && (int32_t)((s->carried << 1) - (now_ms(now) << 1)) > 0;
}

/* Nothing is left to be seen of it but numbers in the window, an answer to its SYN, and its end. */
static bool protocol_is_open(const struct fw_session *s)
{
	if (s->key[0].proto == IP_UDP)
		return s->flags & FW_SESSION_CONFIRMED;
	return s->key[0].proto == IP_TCP && s->state >= FW_TCP_SYN_SENT && s->state <= FW_TCP_CLOSING &&
	       s->noted.flags == 0 && s->tcp[0].shift == 0 && s->tcp[1].shift == 0;
}

bool fw_session_may_be_carried(const struct firewall *fw, uint32_t index, mono_ns now)
{
	const struct fw_session *s = fw_session(fw, index);

	return s && protocol_is_open(s) && s->zones.epoch == fw->state->epoch && fw->policy &&
	       !fw_is_nat64(s) && !(s->flags & (FW_SESSION_INWARD | FW_SESSION_LOOSE)) &&
	       s->zones.zone[0] != FW_ZONE_HOST && s->zones.zone[1] != FW_ZONE_HOST &&
	       fw->place[index].expects == 0 && !is_held(s, now);
}

int fw_session_dscp(const struct firewall *fw, const struct fw_session *s)
{
	uint32_t flags = fw_rule_flags(fw->policy, s->rule);

	return flags & RULE_DSCP ? (int)((flags & RULE_DSCP_MASK) >> RULE_DSCP_SHIFT) : -1;
}

static void rule_count(struct firewall *fw, const struct fw_session *s, const struct fw_passed *passed)
{
	if (s->zones.epoch != fw->state->epoch || !(fw_rule_flags(fw->policy, s->rule) & RULE_COUNT))
		return;
	struct fw_rule_hits *h = fw_hits_of(&fw->policy->hits[FW_LIST_POLICY], s->rule);
	for (int d = 0; d < 2; d++) {
		h->packets += passed->packets[d];
		h->bytes += passed->bytes[d];
	}
}

void fw_session_passed(struct firewall *fw, uint32_t index, const struct fw_passed *passed)
{
	struct fw_session *s = &fw->sessions[index];

	assert(s->live == FW_SESSION_LIVE && !fw_is_binding(s));
	bool was_closed = fw_is_closed(s), moved;
	for (int d = 0; d < 2; d++) {
		s->packets[d] += passed->packets[d];
		s->bytes[d] += passed->bytes[d];
	}
	rule_count(fw, s, passed);
	moved = s->key[0].proto == IP_TCP && fw_tcp_passed(s, passed);
	if (passed->packets[1] > 0)
		s->flags |= FW_SESSION_CONFIRMED;
	fw->changes += was_closed != fw_is_closed(s);
	if (passed->last <= s->last_seen && !moved)
		return;
	s->last_seen = MAX_OF(s->last_seen, passed->last);
	fw_shares_update(fw, index);
	fw_session_arm(fw, index, s->last_seen, fw_session_timeout(fw, s));
}
