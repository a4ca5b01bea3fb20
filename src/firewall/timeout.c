/*
 * When an idle session ends: by protocol and state; where the session is in use, by its rule or its application
 * in place of them. The defaults and their words are SESSION_TIMEOUTS, model/snapshot.h.
 */
#include "firewall/internal.h"

#include <assert.h>

void fw_timeouts_default(struct firewall *fw)
{
	static const uint32_t defaults[TIMEOUT_COUNT] = {
#define E(id, word, s) [TIMEOUT_##id] = (s),
		SESSION_TIMEOUTS(E)
#undef E
	};

	memcpy(fw->timeout_s, defaults, sizeof fw->timeout_s);
}

/* Of TCP and SCTP in the handshake, at their end and after it: whatever the rule or the application says, for these
 * states are strangers' to make. */
static enum session_timeout transitory(uint8_t state)
{
	static const uint8_t timeouts[FW_PROTOCOL_STATE_COUNT] = {
#define E(id, proto, name, phase, timeout, end) [FW_##id] = TIMEOUT_##timeout,
		FW_PROTOCOL_STATES(E)
#undef E
	};

	assert(state < FW_PROTOCOL_STATE_COUNT);
	return (enum session_timeout)timeouts[state];
}

static enum session_timeout of_protocol(const struct fw_session *s)
{
	switch (s->key[0].proto) {
	case IP_TCP:
		return TIMEOUT_TCP;
	case IP_UDP:
		return s->flags & FW_SESSION_CONFIRMED ? TIMEOUT_UDP : TIMEOUT_UDP_UNANSWERED;
	case IP_ICMP:
	case IP_ICMPV6:
		return TIMEOUT_ICMP;
	case IP_GRE:
		return TIMEOUT_GRE;
	case IP_ESP:
		return TIMEOUT_ESP;
	case IP_SCTP:
		return TIMEOUT_SCTP;
	default:
		return TIMEOUT_OTHER;
	}
}

/* A screen of the zone gives up earlier. */
static uint32_t half_open_timeout(const struct firewall *fw, const struct fw_session *s, uint32_t seconds)
{
	uint32_t zone = s->zones.zone[0];

	if (!fw->policy || s->zones.epoch != fw->state->epoch || zone >= fw->policy->snapshot->zones.count)
		return seconds;
	uint32_t early = snap_zones(fw->policy->snapshot)[zone].half_open_s;
	return early > 0 && early < seconds ? early : seconds;
}

uint32_t fw_session_timeout(const struct firewall *fw, const struct fw_session *s)
{
	enum session_timeout of = transitory(s->state);

	if (of == TIMEOUT_COUNT && s->timeout_s)
		return s->timeout_s;
	uint32_t seconds = fw->timeout_s[of == TIMEOUT_COUNT ? of_protocol(s) : of];
	assert(seconds > 0); /* snapshot_check() */
	if (of == TIMEOUT_TCP_SYN_SENT || of == TIMEOUT_TCP_SYN_RECEIVED)
		return half_open_timeout(fw, s, seconds);
	return seconds;
}
