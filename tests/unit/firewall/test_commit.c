/*
 * A commit that is not swept yet: sessions stand under several policies at once. Whatever the sweep has come to,
 * packets get the same verdicts as if fw_load() had evaluated every session itself.
 */
#include "firewall/internal.h"
#include "scene.h"

#include <stdio.h>
#include <stdlib.h>

#define INSIDE	"10.0.0.2"
#define OUTSIDE "198.51.100.9"
#define GATE	"203.0.113.1"

static void policy_begin(bool first)
{
	if (!first)
		policy_done(&p);
	policy_init(&p);
	p.sessions_max = 4096;
	p.half_open_max = 4096;
}

static void base_policy(bool first)
{
	policy_begin(first);
	policy_rule(&p, "dns", TRUST, UNTRUST, "any", "any", "udp/53", RULE_PERMIT)->flags =
		RULE_LOG_CLOSE | RULE_COUNT;
	policy_rule(&p, "dmz", TRUST, DMZ, "any", "any", "any", RULE_PERMIT);
	policy_nat(&p, "all", TRUST, UNTRUST, "any", "any", NAT_INTERFACE, NULL);
}

static int setup(void **state)
{
	(void)state;
	world_init(&w, 4096);
	base_policy(true);
	world_load(&w, &p);
	return 0;
}

static enum drop_reason udp(
	struct world *x, const char *src, uint16_t src_port, const char *dst, uint16_t dst_port)
{
	return world_send(x, &(struct packet_spec){ .src = src,
				     .dst = dst,
				     .proto = IP_UDP,
				     .src_port = src_port,
				     .dst_port = dst_port });
}

static void sweep_all(struct world *x)
{
	while (!fw_sweep(x->fw, x->now, 7))
		;
}

/* Not one packet in either direction, and the end is logged by the rule that permitted it. */
static void what_is_forbidden_passes_nothing(void **state)
{
	struct fw_log l;
	uint16_t nat[20];

	(void)state;
	for (uint16_t i = 0; i < 20; i++) {
		assert_int_equal(udp(&w, INSIDE, (uint16_t)(2000 + i), OUTSIDE, 53), DROP_NONE);
		nat[i] = w.t.src_port;
	}
	base_policy(false);
	p.rules[0].action = RULE_DENY;
	policy_rule(&p, "other", DMZ, TRUST, "any", "any", "any", RULE_PERMIT);
	world_commit(&w, &p);
	for (uint16_t i = 0; i < 20; i++)
		assert_int_equal(i % 2 ? udp(&w, INSIDE, (uint16_t)(2000 + i), OUTSIDE, 53)
				       : udp(&w, OUTSIDE, 53, GATE, nat[i]),
			i % 2 ? DROP_POLICY_DENY : DROP_HOST_INBOUND);
	assert_int_equal(fw_counters(w.fw)->sessions_now, 0);
	uint32_t closed = 0;
	while (fw_log_next(w.fw, &l)) { /* others are of packets that were denied */
		if (l.kind != FW_LOG_CLOSE)
			continue;
		closed++;
		assert_int_equal(l.end, FW_END_POLICY_CHANGED);
		assert_string_equal(l.rule_name, "dns");
		assert_string_equal(l.zone_name[1], "untrust");
	}
	assert_int_equal(closed, 20);
	sweep_all(&w);
}

/* Before a session is evaluated, and after: its packets are counted by the rule that permits it now. */
static void counts_are_of_the_loaded_policy(void **state)
{
	(void)state;
	for (uint16_t i = 0; i < 10; i++)
		assert_int_equal(udp(&w, INSIDE, (uint16_t)(2000 + i), OUTSIDE, 53), DROP_NONE);
	policy_begin(false);
	policy_rule(&p, "first", TRUST, DMZ, "any", "any", "any", RULE_DENY);
	policy_rule(&p, "dns", TRUST, UNTRUST, "any", "any", "udp/53", RULE_PERMIT)->flags = RULE_COUNT;
	policy_nat(&p, "none", TRUST, DMZ, "any", "any", NAT_OFF, NULL);
	policy_nat(&p, "all", TRUST, UNTRUST, "any", "any", NAT_INTERFACE, NULL);
	assert_int_equal(fw_nat_rule_sessions(w.fw, 0), 10);
	world_commit(&w, &p);
	assert_int_equal(fw_rule_hits(w.fw, 1)->packets, 10);
	for (uint16_t i = 0; i < 10; i += 2)
		assert_int_equal(udp(&w, INSIDE, (uint16_t)(2000 + i), OUTSIDE, 53), DROP_NONE);
	assert_int_equal(fw_rule_hits(w.fw, 1)->packets, 15);
	assert_int_equal(fw_rule_hits(w.fw, 1)->hits, 10);
	assert_int_equal(fw_nat_rule_sessions(w.fw, 1), 5);
	sweep_all(&w);
	assert_int_equal(fw_nat_rule_sessions(w.fw, 0), 0);
	assert_int_equal(fw_nat_rule_sessions(w.fw, 1), 10);
	fw_session_end(w.fw, w.t.session, w.now);
	assert_int_equal(fw_nat_rule_sessions(w.fw, 1), 9);
	world_restart(&w);
	world_load(&w, &p);
	assert_int_equal(fw_nat_rule_sessions(w.fw, 1), 9);
}

static void long_policy(void)
{
	char name[NAME_MAX_BYTES], range[64];

	policy_begin(false);
	for (uint32_t i = 0; i < 2000; i++) {
		snprintf(name, sizeof name, "r%u", i);
		snprintf(range, sizeof range, "172.16.%u.%u", i >> 8, i & 255);
		policy_rule(&p, name, TRUST, UNTRUST, range, "any", "tcp/443", RULE_PERMIT);
	}
	policy_rule(&p, "dns", TRUST, UNTRUST, "any", "any", "udp/53", RULE_DENY);
}

/* Until it is loaded the former policy decides alone, and what it counts meanwhile is not lost; no piece does more than
 * its budget. One that is given up leaves nothing. */
static void prepared_in_pieces(void **state)
{
	bool ready = false;
	uint32_t pieces = 0;

	(void)state;
	long_policy();
	struct snapshot *s = policy_snapshot(&p);
	struct fw_prepared *given_up = fw_prepare(w.fw, s, NULL);
	for (int i = 0; i < 300; i++) {
		assert_int_equal(fw_prepare_go(given_up, 100, &ready, NULL), RC_OK);
		assert_false(ready);
	}
	fw_prepared_free(given_up);
	struct fw_prepared *x = fw_prepare(w.fw, s, NULL);
	for (; !ready; pieces++) {
		assert_int_equal(fw_prepare_go(x, 1000, &ready, NULL), RC_OK);
		assert_int_equal(udp(&w, INSIDE, (uint16_t)(2000 + pieces), OUTSIDE, 53), DROP_NONE);
	}
	assert_true(pieces > 50 && pieces < 1000); /* edges are sorted in a dozen passes */
	assert_int_equal(fw_rule_hits(w.fw, 0)->hits, pieces);
	fw_load_prepared(w.fw, x, w.now);
	memset(s, 0xff, sizeof *s); /* it has been copied */
	free(s);
	assert_int_equal(fw_rule_hits(w.fw, 2000)->hits, pieces);
	assert_int_equal(udp(&w, INSIDE, 2000, OUTSIDE, 53), DROP_POLICY_DENY);
	assert_int_equal(world_send(&w, &(struct packet_spec){ .src = "172.16.7.7",
						.dst = OUTSIDE,
						.proto = IP_TCP,
						.src_port = 9,
						.dst_port = 443,
						.flags = TCP_SYN }),
		DROP_DEFAULT_DENY); /* out of untrust, by the tests' routes */
}

/* Four commits whose sweeps have not ended: the next one waits for them. */
static void no_room_for_one_more(void **state)
{
	(void)state;
	sweep_all(&w);
	for (int i = 0; i < 3; i++) {
		assert_true(fw_load_has_room(w.fw));
		world_commit(&w, &p);
	}
	assert_false(fw_load_has_room(w.fw));
	sweep_all(&w);
	assert_true(fw_load_has_room(w.fw));
}

/* Zones have another number in each, and one that was gone in between is not the same when it is back. */
static void commits_follow_each_other(void **state)
{
	(void)state;
	assert_int_equal(udp(&w, INSIDE, 2000, OUTSIDE, 53), DROP_NONE);
	assert_int_equal(udp(&w, INSIDE, 2000, "192.168.1.1", 53), DROP_NONE);
	for (int round = 0; round < 20; round++) {
		bool exchanged = round % 2 == 0;
		base_policy(false);
		strcpy(p.zones[0].name, exchanged ? "dmz" : "trust");
		strcpy(p.zones[2].name, exchanged ? "trust" : "dmz");
		if (exchanged) {
			policy_begin(false);
			strcpy(p.zones[0].name, "dmz");
			strcpy(p.zones[2].name, "trust");
			policy_rule(&p, "dns", 2, 1, "any", "any", "udp/53", RULE_PERMIT);
			policy_rule(&p, "dmz", 2, 0, "any", "any", "any", RULE_PERMIT);
		}
		world_commit(&w, &p);
		fw_sweep(w.fw, w.now, (uint32_t)round % 3);
		assert_int_equal(fw_counters(w.fw)->sessions_now, 2);
	}
	assert_int_equal(udp(&w, INSIDE, 2000, OUTSIDE, 53), DROP_NONE);
	sweep_all(&w);
	base_policy(false);
	strcpy(p.zones[DMZ].name, "elsewhere");
	strcpy(p.interfaces[DMZ].name, "if-other"); /* not the same one, renamed */
	world_commit(&w, &p);
	base_policy(false);
	world_commit(&w, &p);
	assert_int_equal(fw_counters(w.fw)->sessions_now, 2);
	sweep_all(&w);
	assert_int_equal(fw_counters(w.fw)->sessions_now, 1);
	assert_int_equal(udp(&w, INSIDE, 2000, OUTSIDE, 53), DROP_NONE);
	assert_int_equal(fw_counters(w.fw)->sessions_created, 2);
}

static void policy_random(uint64_t *seed)
{
	policy_begin(false);
	for (uint32_t i = 0, first = next_random(seed) % 5; i < 4; i++) {
		char name[16], service[16];
		snprintf(name, sizeof name, "r%u", i);
		snprintf(service, sizeof service, "udp/%u", 50 + i);
		policy_rule(&p, name, TRUST, i < first ? DMZ : UNTRUST, "any", "any", service,
			next_random(seed) % 3 ? RULE_PERMIT : RULE_DENY);
	}
	if (next_random(seed) % 8 == 0)
		strcpy(p.zones[DMZ].name, "elsewhere");
}

/* Two firewalls get the same packets and commits; one is swept at once, the other one in pieces at any time. */
static void the_same_as_at_once(void **state)
{
	struct world at_once;
	uint64_t seed = 3, passed = 0;

	(void)state;
	world_init(&at_once, 4096);
	for (uint32_t round = 0; round < 400; round++) {
		/* Of two commits without a packet in between, the later one alone decides: so sweep. */
		sweep_all(&w);
		assert_int_equal(fw_counters(w.fw)->sessions_now, fw_counters(at_once.fw)->sessions_now);
		policy_random(&seed);
		world_load(&at_once, &p);
		world_commit(&w, &p);
		for (uint32_t i = 0; i < 40; i++) {
			char host[32];
			bool back = next_random(&seed) % 3 == 0;
			snprintf(host, sizeof host, "%s.%u",
				next_random(&seed) % 2 ? "192.168.1" : "198.51.100",
				1 + (uint32_t)next_random(&seed) % 3);
			uint16_t port = (uint16_t)(2000 + next_random(&seed) % 3),
				 service = (uint16_t)(50 + next_random(&seed) % 4);
			enum drop_reason a, b;
			if (back) {
				a = udp(&at_once, host, service, INSIDE, port);
				b = udp(&w, host, service, INSIDE, port);
			} else {
				a = udp(&at_once, INSIDE, port, host, service);
				b = udp(&w, INSIDE, port, host, service);
			}
			assert_int_equal(a, b);
			passed += a == DROP_NONE;
			if (next_random(&seed) % 16 == 0)
				fw_sweep(w.fw, w.now, 1 + (uint32_t)next_random(&seed) % 8);
		}
	}
	assert_true(passed > 2000);
	world_done(&at_once);
}

/* While a lower limit does not hold yet, new sessions begin all the same and evict more than one each. */
static void a_lower_limit_in_pieces(void **state)
{
	(void)state;
	for (uint32_t i = 0; i < 3000; i++)
		assert_int_equal(udp(&w, INSIDE, (uint16_t)(2000 + i), OUTSIDE, 53), DROP_NONE);
	base_policy(false);
	p.sessions_max = 1024;
	world_commit(&w, &p);
	assert_int_equal(fw_counters(w.fw)->sessions_now, 3000);
	for (uint32_t i = 0; i < 100; i++)
		assert_int_equal(udp(&w, "10.0.0.3", (uint16_t)(2000 + i), OUTSIDE, 53), DROP_NONE);
	assert_int_equal(fw_counters(w.fw)->sessions_now, 2900);
	for (uint64_t was; !fw_sweep(w.fw, w.now, 100);) {
		was = fw_counters(w.fw)->sessions_now;
		assert_true(was >= 1024);
	}
	assert_int_equal(fw_counters(w.fw)->sessions_now, 1024);
}

int main(void)
{
#define T(f) cmocka_unit_test_setup_teardown(f, setup, scene_end)
	const struct CMUnitTest tests[] = {
		T(what_is_forbidden_passes_nothing),
		T(counts_are_of_the_loaded_policy),
		T(prepared_in_pieces),
		T(no_room_for_one_more),
		T(commits_follow_each_other),
		T(the_same_as_at_once),
		T(a_lower_limit_in_pieces),
	};
	return cmocka_run_group_tests_name("firewall/commit", tests, NULL, NULL);
}
