/* States of protocols, and SCTP's; a part of internal.h. */
#ifndef FIREWALL_STATES_H
#define FIREWALL_STATES_H

#include "firewall/firewall.h"

#include <assert.h>

/* state.c */
uint8_t fw_state_protocol(uint8_t state); /* 0: FW_STATELESS */

/* What a packet that passes does to its session. */
enum fw_step {
	FW_STEP_RENEWS,
	FW_STEP_PASSES,	 /* nothing: what it asks has not been answered */
	FW_STEP_REOPENS, /* completes what was noted: another connection on the same addresses and ports */
};

/* What has passed of it without the firewall: fw_session_passed(). Returns whether its state is another one now. */
bool fw_tcp_passed(struct fw_session *s, const struct fw_passed *passed);

/* sctp.c */
enum drop_reason fw_sctp_begin(struct fw_session *s, const struct train *t);
/* An INIT, alone in its packet: it may begin an association. */
bool fw_sctp_opens(const struct train *t);
/* The checksum is verified where the packet changes a state. */
enum drop_reason fw_sctp_track(
	struct fw_session *s, struct train *t, uint32_t direction, enum fw_step *ret_step);
bool fw_sctp_sound(const struct fw_session *s); /* of what stood in the memory, for attach.c */
/* Can side d have sent a packet with this verification tag? What an ICMP error quotes is checked by it. */
bool fw_sctp_sent(const struct fw_session *s, uint32_t d, uint32_t tag);

static inline enum fw_phase fw_phase(const struct fw_session *s)
{
	static const uint8_t phases[FW_PROTOCOL_STATE_COUNT] = {
#define E(id, proto, name, phase, timeout, end) [FW_##id] = FW_PHASE_##phase,
		FW_PROTOCOL_STATES(E)
#undef E
	};

	assert(s->state < FW_PROTOCOL_STATE_COUNT);
	return (enum fw_phase)phases[s->state];
}

/* The addresses and ports of such a connection may be used again. */
static inline bool fw_is_closed(const struct fw_session *s)
{
	return fw_phase(s) == FW_PHASE_CLOSED;
}

#endif
