/* See tcp_ends.h. */
#include "tcp_ends.h"

uint16_t client_port;

int ends_setup(void **state)
{
	(void)state;
	scene_begin(WORLD_SESSIONS);
	policy_rule(&p, "out", TRUST, UNTRUST, "any", "any", "tcp/80", RULE_PERMIT);
	world_load(&w, &p);
	client_port = 1024;
	return 0;
}

enum drop_reason tcp_send(struct segment g)
{
	bool c = g.from == C, closed = g.window == CLOSED;
	struct packet_spec s = { .src = c ? CLIENT : SERVER,
		.dst = c ? SERVER : CLIENT,
		.proto = IP_TCP,
		.src_port = c ? client_port : 80,
		.dst_port = c ? 80 : client_port,
		.flags = g.flags,
		.seq = g.seq + (c ? CLIENT_ISN : SERVER_ISN),
		.ack = g.flags & TCP_ACK ? g.ack + (c ? SERVER_ISN : CLIENT_ISN) : 0,
		.payload_n = g.n,
		.window = closed ? 0 : g.window,
		.window_closed = closed,
		.options = g.options,
		.options_n = g.options_n };
	enum drop_reason d = world_send(&w, &s);

	if (d == DROP_NONE) {
		assert_true(packet_sound(w.t.ip, w.t.len));
		assert_int_equal(w.t.hop_limit, 63);
	}
	return d;
}

const struct fw_session *session(void)
{
	const struct fw_session *s = scene_session();

	assert_non_null(s);
	return s;
}

void state_is(enum fw_protocol_state state, uint32_t timeout_s)
{
	assert_string_equal(fw_protocol_state_name(session()->state), fw_protocol_state_name(state));
	assert_int_equal((session()->expires - w.now) / NS_PER_S, timeout_s);
}

void establish(void)
{
	PASS(C, TCP_SYN, 0);
	PASS(S, TCP_SYN | TCP_ACK, 0, 1);
	PASS(C, TCP_ACK, 1, 1);
	state_is(FW_TCP_ESTABLISHED, 3600);
}
