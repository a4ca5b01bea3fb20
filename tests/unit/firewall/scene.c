/* See scene.h. */
#include "scene.h"

struct world w;
struct policy p;

void scene_begin(uint32_t sessions)
{
	world_init(&w, sessions);
	policy_init(&p);
}

int scene_end(void **state)
{
	(void)state;
	world_done(&w);
	policy_done(&p);
	return 0;
}

struct packet_spec scene_packet(
	uint8_t proto, const char *src, uint16_t src_port, const char *dst, uint16_t dst_port, bool answer)
{
	uint8_t echo = answer ? ICMP4_ECHO_REPLY : ICMP4_ECHO;

	if (proto == IP_ICMPV6)
		echo = answer ? ICMP6_ECHO_REPLY : ICMP6_ECHO;
	return (struct packet_spec){ .src = src,
		.dst = dst,
		.proto = proto,
		.src_port = src_port,
		.dst_port = dst_port,
		.flags = answer ? TCP_SYN | TCP_ACK : TCP_SYN,
		.seq = 1,
		.ack = answer ? 2 : 0,
		.icmp_type = echo,
		.payload_n = proto == IP_TCP ? 0 : 21 };
}

struct snap_nat_rule *scene_persistent(
	uint32_t sessions, uint32_t filtering, uint16_t ports, uint32_t timeout_s)
{
	scene_begin(sessions);
	policy_rule(&p, "out", TRUST, UNTRUST, "any", "any", "any", RULE_PERMIT);
	p.nat_port_first = 50000;
	p.nat_port_last = (uint16_t)(50000 + ports - 1);
	struct snap_nat_rule *nat = policy_nat(&p, "all", TRUST, UNTRUST, "any", "any", NAT_INTERFACE, NULL);
	nat->filtering = filtering;
	nat->binding_timeout_s = timeout_s;
	nat->bindings_max = 1000;
	world_load(&w, &p);
	return nat;
}

enum drop_reason scene_send(
	uint8_t proto, const char *src, uint16_t src_port, const char *dst, uint16_t dst_port, uint8_t flags)
{
	return world_send(&w, &(struct packet_spec){ .src = src,
				      .dst = dst,
				      .proto = proto,
				      .src_port = src_port,
				      .dst_port = dst_port,
				      .flags = flags,
				      .seq = 9,
				      .ack = flags & TCP_ACK ? 10 : 0 });
}

uint16_t scene_mapped(const char *src, uint16_t src_port, const char *dst, uint16_t dst_port)
{
	assert_int_equal(scene_send(IP_UDP, src, src_port, dst, dst_port, 0), DROP_NONE);
	assert_true(packet_sound(w.t.ip, w.t.len));
	return w.t.src_port;
}

void scene_seconds(uint32_t n)
{
	for (uint32_t i = 0; i < n; i++) {
		w.now += NS_PER_S;
		fw_expire(w.fw, w.now, 100000);
	}
}

void scene_expect(enum drop_reason want, struct packet_spec s)
{
	enum drop_reason d = world_send(&w, &s);

	if (d != want)
		fail_msg("%s to %s port %u: %s, not %s", s.src, s.dst, s.dst_port, drop_name(d),
			drop_name(want));
	if (d == DROP_NONE)
		assert_true(packet_sound(w.t.ip, w.t.len));
}

void scene_leaves(const char *src, uint16_t src_port, const char *dst, uint16_t dst_port)
{
	struct train t = { .ip = w.t.ip, .len = w.t.len, .csum = w.t.csum };
	char text[ADDR_TEXT_MAX];

	assert_int_equal(train_parse(&t), DROP_NONE);
	assert_int_equal(t.hop_limit, w.t.hop_limit);
	for (int k = 0; k < 2; k++) {
		const struct train *x = k ? &t : &w.t;
		assert_string_equal(addr_text(text, &x->src), src);
		assert_string_equal(addr_text(text, &x->dst), dst);
		assert_int_equal(x->src_port, src_port);
		assert_int_equal(x->dst_port, dst_port);
	}
}

uint32_t scene_sessions(void)
{
	for (uint32_t i = 0; i < fw_sessions_used(w.fw); i++)
		fw_session_current(w.fw, i, w.now);
	return (uint32_t)fw_counters(w.fw)->sessions_now;
}

const struct fw_session *scene_session(void)
{
	uint32_t cursor = 0;

	return fw_session_next(w.fw, &cursor);
}

struct expectation scene_expecting(
	const char *src, const char *dst, uint16_t port, uint8_t proto, uint8_t from)
{
	struct expectation e = { .dst_port = port, .proto = proto, .from = from, .lifetime_s = 30 };

	if (src)
		assert_int_equal(addr_parse(&e.src, src), RC_OK);
	assert_int_equal(addr_parse(&e.dst, dst), RC_OK);
	return e;
}
