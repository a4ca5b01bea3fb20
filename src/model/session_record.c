#include "model/session_record.h"

#include <assert.h>

static const char *const events[] = {
#define E(id, name, text) [SESSION_EVENT_##id] = name,
	SESSION_EVENTS(E)
#undef E
};

static const struct {
	const char *name;
	uint8_t flow_end;
} ends[] = {
#define E(id, name, flow_end, text) [SESSION_END_##id] = { name, flow_end },
	SESSION_ENDS(E)
#undef E
};

const char *session_event_name(enum session_event e)
{
	assert((unsigned)e < SESSION_EVENT_COUNT);
	return events[e];
}

const char *session_end_name(enum session_end e)
{
	assert((unsigned)e < SESSION_END_COUNT);
	return ends[e].name;
}

uint8_t session_end_flow_end(enum session_end e)
{
	assert((unsigned)e < SESSION_END_COUNT);
	return ends[e].flow_end;
}

static bool endpoint_sound(const struct endpoint *e)
{
	return e->addr.family == ADDR_NONE || e->addr.family == ADDR_V4 || e->addr.family == ADDR_V6;
}

bool session_record_sound(struct session_record *r, uint32_t reasons)
{
	r->from[sizeof r->from - 1] = r->to[sizeof r->to - 1] = r->rule[sizeof r->rule - 1] =
		r->rule_id[sizeof r->rule_id - 1] = r->nat_rule[sizeof r->nat_rule - 1] =
			r->tunnel[sizeof r->tunnel - 1] = r->user[sizeof r->user - 1] = '\0';
	if (!endpoint_sound(&r->src) || !endpoint_sound(&r->dst) || !endpoint_sound(&r->nat_src) ||
		!endpoint_sound(&r->nat_dst) || r->event >= SESSION_EVENT_COUNT || r->src_bits > 128)
		return false;
	bool of_screen = r->event == SESSION_EVENT_SCREEN_DROP || r->event == SESSION_EVENT_SCREEN_ALARM;
	return r->event == SESSION_EVENT_DENY || r->event == SESSION_EVENT_DROP || of_screen
		       ? r->reason < reasons
		       : r->reason < SESSION_END_COUNT;
}
