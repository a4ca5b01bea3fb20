/* What is known of the states of protocols beside their phase (internal.h) and their timeout (timeout.c). */
#include "firewall/internal.h"

const char *fw_protocol_state_name(uint8_t state)
{
	static const char *const names[FW_PROTOCOL_STATE_COUNT] = {
#define E(id, proto, name, phase, timeout, end) [FW_##id] = name,
		FW_PROTOCOL_STATES(E)
#undef E
	};

	return state < FW_PROTOCOL_STATE_COUNT ? names[state] : "unknown";
}

uint8_t fw_state_protocol(uint8_t state)
{
	static const uint8_t protocols[FW_PROTOCOL_STATE_COUNT] = {
#define E(id, proto, name, phase, timeout, end) [FW_##id] = proto,
		FW_PROTOCOL_STATES(E)
#undef E
	};

	assert(state < FW_PROTOCOL_STATE_COUNT);
	return protocols[state];
}
