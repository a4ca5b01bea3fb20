/*
 * What rules and zones log: each record names what decided and why; a flood leaves a bounded number of
 * records and one that says how many more there were.
 */
#include "firewall/internal.h"
#include "scene.h"

#include <stdlib.h>

#define INSIDE	"10.0.0.2"
#define OUTSIDE "198.51.100.7"
#define GATEWAY "203.0.113.1"

static int setup(void **state)
{
	scene_begin(WORLD_SESSIONS);
	policy_rule(&p, "out", TRUST, UNTRUST, "any", "any", "tcp/80 udp/53", RULE_PERMIT)->flags =
		RULE_LOG_INIT | RULE_LOG_CLOSE;
	policy_rule(&p, "rest", -1, -1, "any", "any", "any", RULE_DENY)->flags = RULE_LOG_INIT;
	policy_nat(&p, "hide", TRUST, UNTRUST, "any", "any", NAT_INTERFACE, NULL);
	p.zones[UNTRUST].flags = ZONE_LOG_HOST_INBOUND;
	world_load(&w, &p);
	return 0;
}

static enum drop_reason udp(const char *src, uint16_t src_port, const char *dst, uint16_t dst_port)
{
	return world_send(&w, &(struct packet_spec){ .src = src,
				      .dst = dst,
				      .proto = IP_UDP,
				      .src_port = src_port,
				      .dst_port = dst_port,
				      .payload_n = 20 });
}

static uint16_t nat_port;

static enum drop_reason tcp(bool back, uint8_t flags, uint32_t seq, uint32_t ack)
{
	enum drop_reason d = world_send(&w, &(struct packet_spec){ .src = back ? OUTSIDE : INSIDE,
						    .dst = back ? GATEWAY : OUTSIDE,
						    .proto = IP_TCP,
						    .src_port = back ? 80 : 4000,
						    .dst_port = back ? nat_port : 80,
						    .flags = flags,
						    .seq = seq,
						    .ack = ack });

	if (!back && !d && w.t.session != TRAIN_NONE)
		nat_port = w.t.src_port;
	return d;
}

static struct fw_log next(enum fw_log_kind kind)
{
	struct fw_log l = { 0 };

	assert_true(fw_log_next(w.fw, &l));
	assert_int_equal(l.kind, kind);
	return l;
}

static void pass(uint32_t seconds)
{
	w.now += seconds * NS_PER_S;
	fw_expire(w.fw, w.now, UINT32_MAX);
}

/* A rule that permits is not what denied it. */
static void the_reason_is_named(void **state)
{
	w.nat4 = (struct ip_addr){ 0 };
	assert_int_equal(udp(INSIDE, 1000, OUTSIDE, 53), DROP_NAT_NO_ADDRESS);
	struct fw_log l = next(FW_LOG_DENY);
	assert_true(l.permits);
	assert_int_equal(l.drop, DROP_NAT_NO_ADDRESS);
	assert_string_equal(l.rule_name, "out");
	assert_string_equal(l.zone_name[0], "trust");
	assert_string_equal(l.zone_name[1], "untrust");

	assert_int_equal(udp(OUTSIDE, 1000, INSIDE, 53), DROP_POLICY_DENY);
	l = next(FW_LOG_DENY);
	assert_false(l.permits);
	assert_int_equal(l.drop, DROP_POLICY_DENY);
	assert_string_equal(l.rule_name, "rest");
	assert_string_equal(l.zone_name[0], "untrust");
	assert_string_equal(l.zone_name[1], "trust");
}

static void host_inbound_where_asked_for(void **state)
{
	assert_int_equal(udp(INSIDE, 1000, GATEWAY, 161), DROP_HOST_INBOUND);
	assert_int_equal(udp(OUTSIDE, 1000, GATEWAY, 161), DROP_HOST_INBOUND);
	struct fw_log l = next(FW_LOG_DENY);
	assert_int_equal(l.rule, TRAIN_NONE);
	assert_int_equal(l.drop, DROP_HOST_INBOUND);
	assert_string_equal(l.zone_name[0], "untrust");
	assert_string_equal(l.zone_name[1], "host");
	assert_int_equal(l.key[0].dst_port, 161);
	assert_false(fw_log_next(w.fw, &l)); /* trust does not ask */
}

static struct fw_log closed(enum fw_end why)
{
	struct fw_log l = next(FW_LOG_CLOSE);

	assert_int_equal(l.end, why);
	assert_string_equal(l.rule_name, "out");
	return l;
}

static void connect_tcp(void)
{
	assert_int_equal(tcp(false, TCP_SYN, 100, 0), DROP_NONE);
	struct fw_log l = next(FW_LOG_INIT);
	assert_true(l.source_translated);
	assert_int_equal(l.key[1].dst_port, nat_port);
	assert_int_equal(tcp(true, TCP_SYN | TCP_ACK, 500, 101), DROP_NONE);
	assert_int_equal(tcp(false, TCP_ACK, 101, 501), DROP_NONE);
}

static void each_end_is_named(void **state)
{
	connect_tcp();
	assert_int_equal(tcp(false, TCP_RST, 101, 0), DROP_NONE);
	pass(10);
	struct fw_log l = closed(FW_END_RESET);
	assert_int_equal(l.packets[0], 3);
	assert_int_equal(l.packets[1], 1);
	assert_true(l.at - l.begun >= 5 * NS_PER_S);

	connect_tcp();
	assert_int_equal(tcp(false, TCP_FIN | TCP_ACK, 101, 501), DROP_NONE);
	assert_int_equal(tcp(true, TCP_FIN | TCP_ACK, 501, 102), DROP_NONE);
	assert_int_equal(tcp(false, TCP_ACK, 102, 502), DROP_NONE);
	assert_int_equal(
		tcp(false, TCP_ACK, 102, 502), DROP_NONE);	 /* the answer to a FIN that was sent again */
	assert_int_equal(tcp(true, TCP_RST, 502, 0), DROP_NONE); /* by then it is over there */
	pass(30);
	l = closed(FW_END_FIN);
	assert_int_equal(l.packets[1], 3);

	connect_tcp();
	assert_int_equal(tcp(false, TCP_FIN | TCP_ACK, 101, 501), DROP_NONE);
	assert_int_equal(tcp(true, TCP_FIN | TCP_ACK, 501, 102), DROP_NONE);
	assert_int_equal(tcp(false, TCP_ACK, 102, 502), DROP_NONE);
	assert_int_equal(tcp(false, TCP_SYN, 5000, 0), DROP_NONE); /* the port again, at once */
	closed(FW_END_REUSED);
	next(FW_LOG_INIT);
	pass(30);
	closed(FW_END_TIMEOUT);

	assert_int_equal(udp(INSIDE, 1000, OUTSIDE, 53), DROP_NONE);
	next(FW_LOG_INIT);
	fw_session_end(w.fw, w.t.session, w.now);
	closed(FW_END_CLEARED);

	for (uint16_t i = 0; i <= WORLD_SESSIONS; i++)
		assert_int_equal(udp(INSIDE, 1000 + i, OUTSIDE, 53), DROP_NONE);
	for (uint16_t i = 0; i < WORLD_SESSIONS; i++)
		next(FW_LOG_INIT);
	closed(FW_END_EVICTED);
	next(FW_LOG_INIT);

	/* As they are counted. */
	const struct fw_counters *c = fw_counters(w.fw);
	static const enum fw_end once[] = { FW_END_RESET, FW_END_FIN, FW_END_REUSED, FW_END_TIMEOUT,
		FW_END_CLEARED, FW_END_EVICTED };
	for (size_t i = 0; i < COUNT_OF(once); i++)
		assert_int_equal(c->ended_by[once[i]], 1);
	assert_int_equal(c->sessions_ended, COUNT_OF(once));
}

/* What a process has left to the next one ends before that has evaluated it, or even has a policy: the records are there, once. */
static void ends_after_a_takeover(void **state)
{
	struct fw_log l;

	for (uint32_t loaded = 0; loaded < 3; loaded++) {
		connect_tcp();
		assert_int_equal(tcp(false, TCP_FIN | TCP_ACK, 101, 501), DROP_NONE);
		assert_int_equal(tcp(true, TCP_FIN | TCP_ACK, 501, 102), DROP_NONE);
		assert_int_equal(tcp(false, TCP_ACK, 102, 502), DROP_NONE);
		assert_int_equal(udp(INSIDE, 1000, OUTSIDE, 53), DROP_NONE);
		next(FW_LOG_INIT);
		if (loaded == 2)
			world_dies(&w); /* twice, before it has adopted anything */
		if (loaded == 0)
			world_restart(&w);
		else
			world_dies(&w);
		pass(25); /* no policy */
		assert_false(fw_log_next(w.fw, &l));
		world_commit(&w, &p);
		for (uint32_t budget = 0; budget < 3 && loaded; budget++)
			fw_adopt(w.fw, w.now, &(uint32_t){ 100 });
		pass(0);
		l = closed(FW_END_FIN);
		assert_int_equal(l.packets[0], 4);
		assert_int_equal(l.packets[1], 2);
		assert_string_equal(l.zone_name[0], "trust");
		pass(300);
		l = closed(FW_END_TIMEOUT);
		assert_int_equal(l.key[0].dst_port, 53);
		assert_false(fw_log_next(w.fw, &l));
		assert_int_equal(fw_counters(w.fw)->sessions_now, 0);
		while (!fw_sweep(w.fw, w.now, 100))
			;
	}
}

/* A commit that renumbers the zones and takes one of them, or the rule, away: the records are of before. */
static void a_commit_ends_by_policy(void **state)
{
	struct fw_log l;

	assert_int_equal(udp(INSIDE, 1000, OUTSIDE, 53), DROP_NONE);
	next(FW_LOG_INIT);
	policy_done(&p);
	policy_init(&p);
	p.zones[TRUST] = p.zones[DMZ];
	p.zones_n = p.interfaces_n = 2;
	policy_rule(&p, "another", 0, 1, "any", "any", "any", RULE_PERMIT)->flags = RULE_LOG_CLOSE;
	world_load(&w, &p);
	l = closed(FW_END_POLICY_CHANGED);
	assert_string_equal(l.zone_name[0], "trust");
	assert_string_equal(l.zone_name[1], "untrust");
	assert_false(fw_log_next(w.fw, &l));

	scene_end(NULL);
	setup(NULL);
	assert_int_equal(udp(INSIDE, 1000, OUTSIDE, 53), DROP_NONE);
	next(FW_LOG_INIT);
	p.rules[0].action = RULE_DENY;
	world_load(&w, &p);
	closed(FW_END_POLICY_CHANGED);
}

/* Of a rule that has said all it may: what a commit ends is counted as well, and told by the old names. */
static void a_commit_leaves_nothing_untold(void **state)
{
	struct fw_log l;
	uint64_t more = 0;

	for (int i = 0; i < 512; i++) { /* two records each */
		assert_int_equal(udp(INSIDE, 1000, OUTSIDE, 53), DROP_NONE);
		fw_session_end(w.fw, w.t.session, w.now);
		while (fw_log_next(w.fw, &l))
			;
	}
	for (uint16_t i = 0; i < 10; i++)
		assert_int_equal(udp(INSIDE, 2000 + i, OUTSIDE, 53), DROP_NONE);
	policy_done(&p);
	policy_init(&p);
	policy_rule(&p, "another", TRUST, UNTRUST, "any", "any", "tcp/80", RULE_PERMIT);
	world_load(&w, &p);
	for (int again = 0; again < 2; again++) {
		fw_expire(w.fw, w.now, UINT32_MAX);
		while (fw_log_next(w.fw, &l)) {
			assert_int_equal(l.kind, FW_LOG_SUPPRESSED);
			assert_string_equal(l.rule_name, "out");
			assert_string_equal(l.zone_name[0], "trust");
			assert_string_equal(l.zone_name[1], "untrust");
			more += l.suppressed;
		}
	}
	assert_int_equal(more, 10 + 10); /* beginnings, and ends */
}

/* Each kind of a stranger's packet that makes records: denied, to the host, and sessions that begin and end.
 */
static uint64_t flood(uint16_t dst_port, const char *src, const char *dst, uint32_t n, uint64_t *ret_more)
{
	uint64_t records = 0;
	struct fw_log l;

	*ret_more = 0;
	for (uint32_t i = 0; i < n; i++) {
		udp(src, (uint16_t)(1 + i % 60000), dst, dst_port);
		w.now += NS_PER_MS / 10;
		if (i % 1000 == 0)
			fw_expire(w.fw, w.now, UINT32_MAX);
		while (fw_log_next(w.fw, &l)) {
			records++;
			*ret_more += l.kind == FW_LOG_SUPPRESSED ? l.suppressed : 0;
		}
	}
	pass(70); /* what is left of them ends */
	pass(11);
	while (fw_log_next(w.fw, &l)) {
		records++;
		*ret_more += l.kind == FW_LOG_SUPPRESSED ? l.suppressed : 0;
	}
	return records;
}

static void floods_are_bounded(void **state)
{
	static const struct {
		const char *src, *dst;
		uint16_t dst_port;
		uint32_t each; /* records that one packet makes */
	} kinds[] = { { OUTSIDE, INSIDE, 53, 1 }, { OUTSIDE, GATEWAY, 161, 1 }, { INSIDE, OUTSIDE, 53, 2 } };
	uint64_t more;

	for (size_t i = 0; i < COUNT_OF(kinds); i++) {
		uint64_t n =
			flood(kinds[i].dst_port, kinds[i].src, kinds[i].dst, 100000, &more); /* in 10 s */
		assert_true(n >= 1000 && n < 1024 + 100 * 100);
		assert_true(more + n >= 100000 * kinds[i].each);
		assert_true(more + n <= 100000 * kinds[i].each + 10); /* the records that tell of more */
		scene_end(NULL);
		setup(NULL);
	}
}

/* Another rule's records do not suffer. */
static void a_flood_hides_only_its_own_rule(void **state)
{
	struct fw_log l;
	uint64_t more;

	flood(54, OUTSIDE, INSIDE, 5000, &more);
	for (uint32_t i = 0; i < 5000; i++)
		udp(OUTSIDE, (uint16_t)(1 + i), INSIDE, 53);
	while (fw_log_next(w.fw, &l))
		;
	assert_int_equal(udp(INSIDE, 1000, OUTSIDE, 53), DROP_NONE);
	next(FW_LOG_INIT);
}

int main(void)
{
#define T(f) cmocka_unit_test_setup_teardown(f, setup, scene_end)
	const struct CMUnitTest tests[] = {
		T(the_reason_is_named),
		T(host_inbound_where_asked_for),
		T(each_end_is_named),
		T(ends_after_a_takeover),
		T(a_commit_ends_by_policy),
		T(a_commit_leaves_nothing_untold),
		T(floods_are_bounded),
		T(a_flood_hides_only_its_own_rule),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
