/*
 * `test policy` against the data path: each of many random packets is asked about first and then sent. What was said and
 * what was done are the same, and asking changes nothing.
 */
#include "gate.h"

#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>

/* Many ends and few ports, so that addresses, ports and limits are used up. */
static const char text[] =
	"zones {\n"
	"  zone trust { interfaces lan0; host-inbound ping; session-limit { source 60; } }\n"
	"  zone untrust { interfaces wan0; host-inbound [ ike ping ]; host-inbound-log; }\n"
	"  zone vpn { host-inbound ping; }\n"
	"}\n"
	"address-book {\n"
	"  address some { prefix 10.1.0.0/29; }\n"
	"  address odd { prefix [ 192.0.2.1/32 192.0.2.3/32 2001:db8:99::1/128 ]; }\n"
	"  address server { prefix 10.1.0.7/32; }\n"
	"  address pub9 { prefix 198.51.100.9/32; }\n"
	"}\n"
	"applications {\n"
	"  application low { protocol tcp; destination-port 1-4; inactivity-timeout 77; }\n"
	"  application from-low { protocol udp; source-port 2000-2001; }\n"
	"  application any-udp { protocol udp; }\n"
	"  application any-tcp { protocol tcp; }\n"
	"}\n"
	"policy {\n"
	"  from trust to untrust {\n"
	"    rule no-odd { match { source some; destination odd; application low; } then { reject; } }\n"
	"    rule few { match { source any; destination any; application from-low; } then { permit; session-limit 9; log { session-init; } } }\n"
	"    rule out { match { source any; destination any; application [ low any-udp ping gre ]; } then { permit; log { session-close; } } }\n"
	"  }\n"
	"  from untrust to trust {\n"
	"    rule in { match { source any; destination server; application any-tcp; } then { permit; } }\n"
	"  }\n"
	"  from trust to vpn { rule there { match { source any; destination any; application any; } then { permit; } } }\n"
	"  from vpn to trust { rule back { match { source any; destination any; application any-udp; } then { permit; } } }\n"
	"  global { rule last { match { source any; destination some; application any; } then { deny; log { session-init; } } } }\n"
	"}\n"
	"ike {\n"
	"  proposal p { encryption aes256gcm16; dh-group x25519; }\n"
	"  peer branch { local-address 198.51.100.2; remote-address 198.51.100.3; local-id gate.example.net;\n"
	"    remote-id branch.example.net; pre-shared-key branch; proposals p; start never; }\n"
	"}\n"
	"ipsec {\n"
	"  proposal p { encryption aes256gcm16; }\n"
	"  tunnel branch { peer branch; zone vpn; local [ 10.1.0.0/24 2001:db8:1::/64 ];\n"
	"    remote [ 10.2.0.0/24 2001:db8:2::/64 ]; proposals p; }\n"
	"}\n"
	"%s\n";

/* clang-format off */
static const char *const nats[] = {
	"",
	"nat { source { rule all { from trust; to untrust; then { source-nat interface; ports 41000-41003; } } } }",
	"nat { source {\n"
	"  rule no { from trust; to untrust; match { destination odd; } then { source-nat off; } }\n"
	"  rule some { from trust; to untrust; match { source some; } then { source-nat 198.51.100.20-198.51.100.21; ports 42000-42007; } }\n"
	"  rule kept { from trust; to untrust; then { source-nat 198.51.100.30; port-no-translation; } } }\n"
	"  destination { rule web { from untrust; match { destination pub9; application low; } then { destination-nat 10.1.0.7; } } }\n"
	"  static { rule one { from untrust; match { destination 198.51.100.10/32; } then { static-nat 10.1.0.7; } } } }",
	"nat { source { rule fixed { from trust; to untrust; then { source-nat 198.51.100.20-198.51.100.21; ports 42000-42031;\n"
	"  persistent-nat endpoint-independent; persistent-nat-limit 3; } } } }",
	"nat { source { rule blocks { from trust; to untrust; then { source-nat 198.51.100.20; ports 43008-43391;\n"
	"  port-block-size 64; maximum-blocks-per-host 1; } } } }",
};
/* clang-format on */

static struct gate g;
static struct packet packet;

struct made {
	struct packet_spec spec;
	char src[ADDR_TEXT_MAX], dst[ADDR_TEXT_MAX];
	uint32_t link; /* 0: out of the tunnel */
};

static void random_packet(struct made *m, uint64_t *seed)
{
	static const char *const dst4[] = { "192.0.2.1", "192.0.2.2", "192.0.2.3", "198.51.100.2",
		"198.51.100.9", "198.51.100.10", "10.1.0.1", "10.1.0.7", "10.2.0.9", "198.51.100.20",
		"198.51.100.21", "224.0.0.5" };
	static const char *const dst6[] = { "2001:db8:99::1", "2001:db8:99::2", "2001:db8:2::9",
		"2001:db8:1::7", "2001:db8:1::1", "fe80::1" };
	static const uint8_t protos[] = { IP_TCP, IP_TCP, IP_UDP, IP_UDP, IP_UDP, IP_ICMP, IP_GRE, IP_ESP,
		IP_AH, 99 };
	uint32_t r = next_random(seed);
	bool v6 = r % 5 == 0;

	memset(m, 0, sizeof *m);
	m->link = r >> 8 & 7 ? r >> 8 & 3 ? GATE_LAN : GATE_WAN : 0;
	uint32_t host = next_random(seed) % 12, at = next_random(seed);
	if (m->link == GATE_LAN)
		snprintf(m->src, sizeof m->src, v6 ? "2001:db8:1::%x" : "10.1.0.%u", host + 2);
	else if (m->link == GATE_WAN)
		snprintf(m->src, sizeof m->src, v6 ? "2001:db8:99::%x" : "192.0.2.%u", host + 1);
	else
		snprintf(m->src, sizeof m->src, v6 ? "2001:db8:2::%x" : "10.2.0.%u", host + 1);
	if (at % 31 == 0) /* of somewhere else */
		snprintf(m->src, sizeof m->src, v6 ? "2001:db8:2::%x" : "10.2.0.%u", host + 1);
	snprintf(m->dst, sizeof m->dst, "%s", v6 ? dst6[at % COUNT_OF(dst6)] : dst4[at % COUNT_OF(dst4)]);
	uint8_t proto = protos[(at >> 8) % COUNT_OF(protos)];
	m->spec = (struct packet_spec){ .src = m->src,
		.dst = m->dst,
		.proto = proto == IP_ICMP && v6 ? IP_ICMPV6 : proto,
		.src_port = (uint16_t)(2000 + (at >> 16) % 4),
		.dst_port = (uint16_t)(1 + (at >> 20) % 6),
		.flags = TCP_SYN,
		.icmp_type = v6 ? ICMP6_ECHO : ICMP4_ECHO,
		.payload_n = 20 };
}

static struct policy_question question_about(const struct made *m)
{
	struct policy_question q = { .src_port = m->spec.src_port,
		.dst_port = m->spec.dst_port,
		.proto = m->spec.proto,
		.zone = TRAIN_NONE,
		.interface = m->link ? gate_interface(&g, m->link) : TRAIN_NONE,
		.tunnel = m->link ? TRAIN_NONE : 0 };

	assert_int_equal(addr_parse(&q.src, m->src), RC_OK);
	assert_int_equal(addr_parse(&q.dst, m->dst), RC_OK);
	return q;
}

static const struct fw_session *session_of(const struct fw_key *k)
{
	const struct fw_session *s;

	for (uint32_t at = 0; (s = fw_session_next(g.fw, &at));)
		if (memcmp(&s->key[0], k, sizeof *k) == 0 || memcmp(&s->key[1], k, sizeof *k) == 0)
			return s;
	return NULL;
}

/* What anybody can see that asking must not change. */
struct seen {
	struct fw_counters counters;
	struct fw_rule_hits rules[6];
	uint64_t drops[DROP_COUNT], in, out;
	uint32_t outputs, bindings;
	struct fw_log logged;
	bool any_log;
};

static void see(struct seen *ret)
{
	memset(ret, 0, sizeof *ret);
	ret->counters = *fw_counters(g.fw);
	for (uint32_t i = 0; i < COUNT_OF(ret->rules) && fw_rule_hits(g.fw, i); i++)
		ret->rules[i] = *fw_rule_hits(g.fw, i);
	memcpy(ret->drops, g.p.drops, sizeof ret->drops);
	ret->in = g.p.packets_in;
	ret->out = g.p.packets_out;
	ret->outputs = g.out_n + g.acquired + g.asked;
	ret->any_log = fw_log_next(g.fw, &ret->logged);
}

static void ask(const struct made *m, struct policy_answer *ret_answer)
{
	struct policy_question q = question_about(m);
	struct seen before, after;
	struct err e = { 0 };
	struct fw_log drained;

	while (fw_log_next(g.fw, &drained))
		;
	see(&before);
	assert_int_equal(pipeline_ask(&g.p, &q, g.now, ret_answer, &e), RC_OK);
	see(&after);
	assert_memory_equal(&before, &after, sizeof before);
}

/* What happens to a packet that begins a session, or has one, and is not a matter of what was asked. */
static bool is_of_sending(enum drop_reason d)
{
	return d == DROP_NONE || d == DROP_NEIGHBOUR || d == DROP_NEIGHBOUR_LIMIT;
}

static void compare(const struct made *m, const struct policy_answer *a, enum drop_reason d)
{
	const struct fw_verdict *v = &a->verdict;
	char what[200];

	snprintf(what, sizeof what, "%s to %s, protocol %u, ports %u %u, by %u: said %s, was %s", m->src,
		m->dst, m->spec.proto, m->spec.src_port, m->spec.dst_port, m->link, drop_name(a->train.drop),
		drop_name(d));
	if (a->session != TRAIN_NONE)
		return; /* it is a session's, and need not be its first */
	if (a->train.drop != DROP_NONE && a->train.drop != d)
		fail_msg("%s", what);
	if (a->train.drop == DROP_NONE && !is_of_sending(d))
		fail_msg("%s", what);
	if (a->train.drop != DROP_NONE || !a->decided || !v->begins)
		return;
	const struct fw_session *s = session_of(&v->key[0]);
	if (!s) {
		fail_msg("%s: no session", what);
		return;
	}
	if (s->rule != v->rule || s->nat_rule != v->nat_rule ||
		(s->dnat_rule == FW_DNAT_NONE ? TRAIN_NONE : s->dnat_rule) != v->dnat_rule ||
		s->timeout_s != v->timeout_s || memcmp(&s->key[1], &v->key[1], sizeof s->key[1]) != 0)
		fail_msg("%s: another session", what);
	struct fw_log l;
	bool logged = false;
	while (fw_log_next(g.fw, &l))
		logged |= l.kind == FW_LOG_INIT;
	assert_int_equal(logged, (v->log & RULE_LOG_INIT) != 0);
	if (g.out_n == 1 && g.out[0].kind == GATE_OUT_LINK)
		assert_int_equal(g.out[0].interface, a->train.out_interface);
	if (g.out_n == 1 && g.out[0].kind == GATE_OUT_TUNNEL)
		assert_int_equal(a->train.tunnel, 0);
}

static void test_random(void **state)
{
	static uint32_t said[DROP_COUNT];
	uint64_t seed = 20261129;

	(void)state;
	memset(said, 0, sizeof said);
	for (size_t n = 0; n < COUNT_OF(nats); n++) {
		gate_init(&g, text, nats[n], 4096);
		for (int i = 0; i < 5000; i++) {
			struct policy_answer a;
			struct made m;
			if (i == 200)
				gate_sa(&g, false); /* until then the tunnel is down */
			random_packet(&m, &seed);
			gate_clear(&g);
			ask(&m, &a);
			said[a.train.drop]++;
			struct train t = packet_make(&packet, &m.spec);
			compare(&m, &a, m.link ? gate_from_link(&g, m.link, t) : gate_from_tunnel(&g, t));
			g.now += NS_PER_MS;
		}
		gate_done(&g);
	}
	static const enum drop_reason wanted[] = { DROP_NONE, DROP_DEFAULT_DENY, DROP_POLICY_DENY,
		DROP_POLICY_REJECT, DROP_HOST_INBOUND, DROP_SPOOFED, DROP_TUNNEL_REQUIRED, DROP_TUNNEL_DOWN,
		DROP_MULTICAST, DROP_NAT_EXHAUSTED, DROP_NAT_PROTOCOL, DROP_NAT_BINDING_LIMIT,
		DROP_RULE_SESSION_LIMIT, DROP_SOURCE_SESSION_LIMIT };
	for (size_t i = 0; i < COUNT_OF(wanted); i++)
		if (said[wanted[i]] == 0)
			fail_msg("never said: %s", drop_name(wanted[i]));
}

#define TEAM 3

/* As show_question.c asks: who does not decide says who does. */
static void ask_team(struct gate *team, const struct made *m, struct policy_answer *ret_answer)
{
	struct policy_question q;
	struct err e = { 0 };
	uint32_t at = 0;

	g.p.snapshot = team[0].p.snapshot; /* question_about() */
	q = question_about(m);
	for (int i = 0; i < 4; i++) {
		assert_int_equal(pipeline_ask(&team[at].p, &q, team[at].now, ret_answer, &e), RC_OK);
		if (ret_answer->worker == at)
			return;
		at = ret_answer->worker;
		q.redirected = ret_answer->redirected;
	}
	fail_msg("no worker decides");
}

/* Of several workers the one answers that has the ports, the bindings and the blocks. */
static void test_workers(void **state)
{
	static struct gate team[TEAM];
	static struct gate_queue queues[TEAM];
	uint32_t on_the_way, begun = 0, collided = 0;
	uint64_t seed = 5;

	(void)state;
	for (size_t n = 1; n < COUNT_OF(nats); n++) {
		memset(queues, 0, sizeof queues);
		on_the_way = 0;
		gate_init_team(team, TEAM, text, nats[n], 1024);
		gate_link_team(team, TEAM, queues, &on_the_way);
		memcpy(g.p.interfaces, team[0].p.interfaces, sizeof g.p.interfaces);
		for (int i = 0; i < 600; i++) {
			const struct fw_session *s = NULL;
			struct policy_answer a;
			struct made m;
			random_packet(&m, &seed);
			ask_team(team, &m, &a);
			if (!m.link || a.session != TRAIN_NONE)
				continue;
			gate_from_link(&team[i % TEAM], m.link, packet_make(&packet, &m.spec));
			gate_run_team(team, TEAM);
			if (!a.decided || !a.verdict.begins)
				continue;
			g.fw = team[a.worker].fw;
			s = session_of(&a.verdict.key[0]);
			if (!s) { /* another worker said later that it has one with its translated ends */
				collided++;
				continue;
			}
			assert_int_equal(s->rule, a.verdict.rule);
			assert_int_equal(s->nat_rule, a.verdict.nat_rule);
			assert_memory_equal(&s->key[1], &a.verdict.key[1], sizeof s->key[1]);
			begun++;
		}
		for (uint32_t i = TEAM; i-- > 0;)
			gate_done(&team[i]);
	}
	assert_true(begun > 100 && 5 * collided < begun);
}

/* Where it comes in follows from the source where it is not said. */
static void test_ingress(void **state)
{
	struct policy_question q = { .src_port = 1,
		.dst_port = 9,
		.proto = IP_UDP,
		.zone = TRAIN_NONE,
		.interface = TRAIN_NONE,
		.tunnel = TRAIN_NONE };
	struct policy_answer a;
	struct err e = { 0 };

	(void)state;
	gate_init(&g, text, "", 64);
	addr_parse(&q.src, "10.1.0.5");
	addr_parse(&q.dst, "192.0.2.80");
	assert_int_equal(pipeline_ask(&g.p, &q, g.now, &a, &e), RC_OK);
	assert_int_equal(a.train.in_interface, gate_interface(&g, GATE_LAN));
	addr_parse(&q.src, "10.2.0.5");
	addr_parse(&q.dst, "10.1.0.5");
	assert_int_equal(pipeline_ask(&g.p, &q, g.now, &a, &e), RC_OK);
	assert_int_equal(a.in_tunnel, 0);
	assert_int_equal(a.train.drop, DROP_NONE);
	q.zone = 1; /* untrust: in clear what belongs in the tunnel */
	assert_int_equal(pipeline_ask(&g.p, &q, g.now, &a, &e), RC_OK);
	assert_int_equal(a.in_tunnel, TRAIN_NONE);
	assert_int_equal(a.train.drop, DROP_TUNNEL_REQUIRED);
	q.zone = 2; /* vpn, which has no interface */
	addr_parse(&q.src, "192.0.2.1");
	assert_int_equal(pipeline_ask(&g.p, &q, g.now, &a, &e), RC_NOT_FOUND);
	assert_non_null(strstr(e.text, "zone 'vpn' has no interface"));
	gate_done(&g);
}

int main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(test_random), cmocka_unit_test(test_workers),
		cmocka_unit_test(test_ingress) };

	return cmocka_run_group_tests(tests, NULL, NULL);
}
