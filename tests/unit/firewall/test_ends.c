/*
 * What ends with what, and whom it is counted to: sessions that were expected end with the destination NAT of their parent, a
 * port that was told is nobody's after its parent, and strangers who begin sessions by a binding take nothing from the
 * inside hosts' rule.
 */
#include "scene.h"

#include <stdio.h>

#define INSIDE	  "10.0.0.2"
#define OUTSIDE	  "198.51.100.9"
#define PUBLISHED "203.0.113.50"
#define SERVER	  "192.168.0.5"
#define GATE	  "203.0.113.1"

static struct endpoint told;

static int setup(void **state)
{
	(void)state;
	scene_begin(2048);
	return 0;
}

/* A published server of FTP, and a data connection to it: what the rule published ends with the rule, whichever of its packets
 * comes first, and however the sessions stand in the table. */
static void with_the_rule_that_published_its_parent(void **state)
{
	struct policy other;

	(void)state;
	for (int child_first = 0; child_first < 2; child_first++) {
		policy_rule(&p, "files", UNTRUST, DMZ, "any", SERVER, "tcp/21", RULE_PERMIT);
		policy_dnat(&p, "server", UNTRUST, "any", PUBLISHED, "tcp/21", SERVER, 0, 0);
		world_load(&w, &p);
		assert_int_equal(scene_send(IP_TCP, OUTSIDE, 1000, PUBLISHED, 21, TCP_SYN), DROP_NONE);
		uint32_t control = w.t.session;
		struct expectation e = scene_expecting(OUTSIDE, SERVER, 50000, IP_TCP, 0);
		assert_true(fw_expect(w.fw, control, &e, w.now, &told));
		assert_int_equal(scene_send(IP_TCP, OUTSIDE, 1001, PUBLISHED, told.port, TCP_SYN), DROP_NONE);
		uint32_t data = w.t.session;
		/* a commit that leaves the rule: both stay */
		world_commit(&w, &p);
		assert_int_equal(scene_send(IP_TCP, OUTSIDE, 1001, PUBLISHED, told.port, TCP_SYN), DROP_NONE);
		assert_int_equal(w.t.session, data);
		while (!fw_sweep(w.fw, w.now, 100))
			;
		assert_non_null(fw_session(w.fw, control));
		policy_init(&other);
		policy_rule(&other, "files", UNTRUST, DMZ, "any", SERVER, "tcp/21", RULE_PERMIT);
		world_commit(&w, &other);
		if (child_first)
			assert_int_not_equal(
				scene_send(IP_TCP, OUTSIDE, 1001, PUBLISHED, told.port, TCP_SYN), DROP_NONE);
		while (!fw_sweep(w.fw, w.now, 100))
			;
		assert_null(fw_session(w.fw, control));
		assert_null(fw_session(w.fw, data));
		policy_done(&other);
		scene_end(NULL);
		setup(NULL);
	}
}

/* A commit denies the parent, and gives zones other numbers. */
static void a_told_port_after_its_parent(void **state)
{
	struct policy other;

	(void)state;
	policy_rule(&p, "calls", TRUST, UNTRUST, "any", "any", "udp/5060 udp/9000", RULE_PERMIT);
	policy_nat(&p, "all", TRUST, UNTRUST, "any", "any", NAT_INTERFACE, NULL);
	world_load(&w, &p);
	assert_int_equal(scene_send(IP_UDP, INSIDE, 5060, OUTSIDE, 5060, TCP_SYN), DROP_NONE);
	struct expectation e = scene_expecting(NULL, INSIDE, 40000, IP_UDP, 1);
	e.alg = EXPECTATION_SIP;
	e.pair = true;
	assert_true(fw_expect(w.fw, w.t.session, &e, w.now, &told));
	policy_init(&other);
	policy_rule(&other, "media", TRUST, UNTRUST, "any", "any", "udp/9000", RULE_PERMIT);
	policy_nat(&other, "all", TRUST, UNTRUST, "any", "any", NAT_INTERFACE, NULL)->port_first = 0;
	world_commit(&w, &other);
	assert_int_equal(scene_send(IP_UDP, INSIDE, 40000, OUTSIDE, 9000, TCP_SYN), DROP_NONE);
	assert_int_not_equal(w.t.src_port, told.port);
	assert_int_equal(fw_counters(w.fw)->expectations_now, 0);
	policy_done(&other);
}

/* Forged sources to a mapped port: they fill nothing that the inside hosts' rule allows. */
static void strangers_by_a_binding(void **state)
{
	char from[ADDR_TEXT_MAX];

	(void)state;
	policy_rule(&p, "out", TRUST, UNTRUST, "any", "any", "any", RULE_PERMIT)->sessions_max = 5;
	struct snap_nat_rule *n = policy_nat(&p, "all", TRUST, UNTRUST, "any", "any", NAT_INTERFACE, NULL);
	n->filtering = NAT_FILTER_ENDPOINT_INDEPENDENT;
	n->binding_timeout_s = 300;
	n->bindings_max = 1000;
	world_load(&w, &p);
	assert_int_equal(scene_send(IP_UDP, INSIDE, 1000, OUTSIDE, 53, TCP_SYN), DROP_NONE);
	uint16_t mapped = w.t.src_port;
	for (int i = 0; i < 20; i++) {
		snprintf(from, sizeof from, "198.51.100.%d", 100 + i);
		assert_int_equal(scene_send(IP_UDP, from, 3000, GATE, mapped, TCP_SYN), DROP_NONE);
	}
	for (uint16_t i = 0; i < 4; i++)
		assert_int_equal(scene_send(IP_UDP, "10.0.0.3", (uint16_t)(1000 + i), OUTSIDE, 53, TCP_SYN),
			DROP_NONE);
	assert_int_equal(scene_send(IP_UDP, "10.0.0.3", 2000, OUTSIDE, 53, TCP_SYN), DROP_RULE_SESSION_LIMIT);
	/* whom the inside host answers counts */
	w.now += 100 * NS_PER_S;
	fw_expire(w.fw, w.now, 1000);
	assert_int_equal(fw_counters(w.fw)->sessions_now, fw_counters(w.fw)->bindings_now);
	for (int i = 0; i < 5; i++) {
		snprintf(from, sizeof from, "198.51.100.%d", 100 + i);
		assert_int_equal(scene_send(IP_UDP, from, 3000, GATE, mapped, TCP_SYN), DROP_NONE);
		assert_int_equal(scene_send(IP_UDP, INSIDE, 1000, from, 3000, TCP_SYN), DROP_NONE);
	}
	assert_int_equal(scene_send(IP_UDP, "10.0.0.3", 2000, OUTSIDE, 53, TCP_SYN), DROP_RULE_SESSION_LIMIT);
	world_restart(&w);
	world_load(&w, &p);
	assert_int_equal(scene_send(IP_UDP, "10.0.0.3", 2000, OUTSIDE, 53, TCP_SYN), DROP_RULE_SESSION_LIMIT);
	w.now += 500 * NS_PER_S;
	fw_expire(w.fw, w.now, 1000);
	assert_int_equal(scene_send(IP_UDP, "10.0.0.3", 2000, OUTSIDE, 53, TCP_SYN), DROP_NONE);
}

/* Parents of three zones begin and end, time passes, policies are committed: no expectation is left over, none is lost, and
 * there is always room for a source that has none. */
static void room_for_everybody(void **state)
{
	static const char *const servers[] = { "198.51.100.1", "10.9.0.1", "192.168.9.1" };
	uint64_t seed = 7, made = 0;
	char from[ADDR_TEXT_MAX];

	(void)state;
	policy_rule(&p, "all", -1, -1, "any", "any", "udp/5060 udp/69", RULE_PERMIT);
	policy_nat(&p, "all", TRUST, UNTRUST, "any", "any", NAT_INTERFACE, NULL);
	world_load(&w, &p);
	for (uint32_t i = 0; i < 20000; i++) {
		uint32_t what = next_random(&seed) % 400, zone = next_random(&seed) % 3;
		uint32_t host = (uint32_t)(next_random(&seed) % (i < 10000 ? 200 : 3));
		if (what == 0)
			world_commit(&w, &p);
		else if (what < 40)
			fw_session_end(w.fw, next_random(&seed) % 2048, w.now);
		else if (what < 60)
			w.now += next_random(&seed) % (20 * NS_PER_S);
		fw_expire(w.fw, w.now, 100);
		snprintf(from, sizeof from,
			zone == 0   ? "10.0.0.%u"
			: zone == 1 ? "198.51.100.%u"
				    : "192.168.0.%u",
			2 + host);
		if (scene_send(IP_UDP, from, (uint16_t)(2000 + next_random(&seed) % 9),
			    servers[(zone + 1) % 3], 5060, 0) != DROP_NONE)
			continue;
		struct expectation e = scene_expecting(
			NULL, from, (uint16_t)(40000 + 2 * (next_random(&seed) % 40)), IP_UDP, 1);
		e.alg = EXPECTATION_SIP;
		e.pair = next_random(&seed) % 2;
		e.lifetime_s = (uint32_t)(next_random(&seed) % 200 + 1);
		bool first = host > 100; /* of a few sources one may have its half */
		bool is = fw_expect(w.fw, w.t.session, &e, w.now, &told);
		assert_true(is || !first || zone == 0); /* a translated one needs a port */
		made += is;
		assert_in_range(fw_counters(w.fw)->expectations_now, 0, 512);
	}
	assert_true(made > 10000);
	for (uint32_t i = 0; i < 2048; i++)
		fw_session_end(w.fw, i, w.now);
	assert_int_equal(fw_counters(w.fw)->expectations_now, 0);
}

#define T(f) cmocka_unit_test_setup_teardown(f, setup, scene_end)

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(with_the_rule_that_published_its_parent),
		T(a_told_port_after_its_parent),
		T(strangers_by_a_binding),
		T(room_for_everybody),
	};
	return cmocka_run_group_tests_name("firewall/ends", tests, NULL, NULL);
}
