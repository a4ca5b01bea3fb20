/*
 * Expectations: a session that a parent let expect is permitted once, by the parent's rule, from and to where it was
 * expected; what bounds them; and what becomes of such sessions with a new policy and a new process.
 */
#include "scene.h"

#include <stdio.h>

#define INSIDE	"10.0.0.2"
#define OUTSIDE "198.51.100.9"
#define GATE	"203.0.113.1"

static struct endpoint told;

enum { PLAIN, NAT, PERSISTENT_NAT };

static void begin(int nat, const char *services)
{
	scene_begin(2048);
	policy_rule(&p, "files", TRUST, UNTRUST, "any", "any", services, RULE_PERMIT);
	if (nat != PLAIN) {
		struct snap_nat_rule *n =
			policy_nat(&p, "all", TRUST, UNTRUST, "any", "any", NAT_INTERFACE, NULL);
		n->filtering = nat == NAT ? NAT_NOT_PERSISTENT : NAT_FILTER_ADDRESS_AND_PORT_DEPENDENT;
		n->binding_timeout_s = nat == NAT ? 0 : 300;
		n->bindings_max = nat == NAT ? 0 : 1000;
	}
	world_load(&w, &p);
}

static void end(void)
{
	scene_end(NULL);
}

/* The parent, and its index. */
static uint32_t parent(uint16_t src_port, uint8_t proto, uint16_t port)
{
	assert_int_equal(scene_send(proto, INSIDE, src_port, OUTSIDE, port, TCP_SYN), DROP_NONE);
	return w.t.session;
}

static void passive(void **state)
{
	(void)state;
	for (int nat = 0; nat < 2; nat++) {
		begin(nat, "tcp/21");
		uint32_t control = parent(1000, IP_TCP, 21);
		uint32_t rule = fw_session(w.fw, control)->rule;
		struct expectation e = scene_expecting(INSIDE, OUTSIDE, 51210, IP_TCP, 0);
		assert_int_equal(
			scene_send(IP_TCP, INSIDE, 1001, OUTSIDE, 51210, TCP_SYN), DROP_DEFAULT_DENY);
		assert_true(fw_expect(w.fw, control, &e, w.now, &told));
		/* another port, another source, another destination, another protocol */
		assert_int_equal(
			scene_send(IP_TCP, INSIDE, 1001, OUTSIDE, 51211, TCP_SYN), DROP_DEFAULT_DENY);
		assert_int_equal(
			scene_send(IP_TCP, "10.0.0.3", 1001, OUTSIDE, 51210, TCP_SYN), DROP_DEFAULT_DENY);
		assert_int_equal(
			scene_send(IP_TCP, INSIDE, 1001, "198.51.100.8", 51210, TCP_SYN), DROP_DEFAULT_DENY);
		assert_int_equal(
			scene_send(IP_UDP, INSIDE, 1001, OUTSIDE, 51210, TCP_SYN), DROP_DEFAULT_DENY);
		assert_int_equal(scene_send(IP_TCP, INSIDE, 1001, OUTSIDE, 51210, TCP_SYN), DROP_NONE);
		assert_int_equal(fw_session(w.fw, w.t.session)->rule, rule);
		assert_int_equal(!!(fw_session(w.fw, w.t.session)->flags & FW_SESSION_TRANSLATED), nat);
		/* once */
		assert_int_equal(
			scene_send(IP_TCP, INSIDE, 1002, OUTSIDE, 51210, TCP_SYN), DROP_DEFAULT_DENY);
		assert_int_equal(fw_counters(w.fw)->expectations_now, 0);
		assert_int_equal(fw_counters(w.fw)->expectations_made, 1);
		end();
	}
}

static void active(void **state)
{
	(void)state;
	begin(false, "tcp/21");
	uint32_t control = parent(1000, IP_TCP, 21);
	struct expectation e = scene_expecting(OUTSIDE, INSIDE, 50000, IP_TCP, 1);
	assert_true(fw_expect(w.fw, control, &e, w.now, &told));
	assert_int_equal(scene_send(IP_TCP, "198.51.100.8", 20, INSIDE, 50000, TCP_SYN), DROP_DEFAULT_DENY);
	assert_int_equal(scene_send(IP_TCP, OUTSIDE, 20, INSIDE, 50000, TCP_SYN), DROP_NONE);
	end();
	/* a translated client is reached at what the server is told; it keeps its port where that is free */
	begin(true, "tcp/21");
	control = parent(1000, IP_TCP, 21);
	assert_true(fw_expect(w.fw, control, &e, w.now, &told));
	assert_string_equal(addr_text((char[ADDR_TEXT_MAX]){ 0 }, &told.addr), GATE);
	assert_int_equal(told.port, 50000);
	assert_int_equal(scene_send(IP_TCP, "198.51.100.8", 20, GATE, 50000, TCP_SYN), DROP_HOST_INBOUND);
	assert_int_equal(scene_send(IP_TCP, OUTSIDE, 20, GATE, 50000, TCP_SYN), DROP_NONE);
	assert_string_equal(addr_text((char[ADDR_TEXT_MAX]){ 0 }, &w.t.dst), INSIDE);
	assert_int_equal(w.t.dst_port, 50000);
	/* another one is not */
	e.dst_port = 22;
	assert_true(fw_expect(w.fw, control, &e, w.now, &told));
	assert_in_range(told.port, 40960, 65535);
	struct endpoint first = told;
	assert_true(fw_expect(w.fw, control, &e, w.now, &told));
	assert_int_equal(told.port, first.port);
	/* what is not its own */
	e.dst.b[3]++;
	assert_false(fw_expect(w.fw, control, &e, w.now, &told));
	end();
}

static void answers_of_tftp(void **state)
{
	(void)state;
	for (int nat = PLAIN; nat <= PERSISTENT_NAT; nat++) {
		begin(nat, "udp/69");
		uint32_t request = parent(1000, IP_UDP, 69);
		struct expectation e = scene_expecting(OUTSIDE, INSIDE, 1000, IP_UDP, 1);
		struct fw_key reply = fw_session(w.fw, request)->key[1];
		const char *to = nat ? GATE : INSIDE;
		assert_true(fw_expect(w.fw, request, &e, w.now, &told));
		assert_int_equal(scene_send(IP_UDP, "198.51.100.8", 3000, to, reply.dst_port, TCP_SYN),
			nat ? DROP_HOST_INBOUND : DROP_DEFAULT_DENY);
		assert_int_equal(scene_send(IP_UDP, OUTSIDE, 3000, to, reply.dst_port, TCP_SYN), DROP_NONE);
		uint32_t child = w.t.session;
		assert_int_not_equal(child, request);
		assert_string_equal(addr_text((char[ADDR_TEXT_MAX]){ 0 }, &w.t.dst), INSIDE);
		assert_int_equal(w.t.dst_port, 1000);
		assert_true(packet_sound(w.t.ip, w.t.len));
		/* both directions go on in it, and nobody else's datagrams */
		assert_int_equal(scene_send(IP_UDP, INSIDE, 1000, OUTSIDE, 3000, TCP_SYN), DROP_NONE);
		assert_int_equal(w.t.session, child);
		assert_string_equal(addr_text((char[ADDR_TEXT_MAX]){ 0 }, &w.t.src), nat ? GATE : INSIDE);
		assert_int_equal(w.t.src_port, reply.dst_port);
		assert_int_not_equal(
			scene_send(IP_UDP, OUTSIDE, 3001, to, reply.dst_port, TCP_SYN), DROP_NONE);
		/* it goes on when its parent has ended, with the parent's binding, over a commit and a restart */
		fw_session_end(w.fw, request, w.now);
		w.now += 10 * NS_PER_S;
		assert_int_equal(scene_send(IP_UDP, INSIDE, 1000, OUTSIDE, 3000, TCP_SYN), DROP_NONE);
		assert_int_equal(w.t.src_port, reply.dst_port);
		assert_int_equal(fw_counters(w.fw)->bindings_now, nat == PERSISTENT_NAT);
		world_restart(&w);
		world_load(&w, &p);
		assert_int_equal(fw_counters(w.fw)->bindings_now, nat == PERSISTENT_NAT);
		end();
	}
}

static void they_end(void **state)
{
	(void)state;
	begin(false, "tcp/21");
	uint32_t control = parent(1000, IP_TCP, 21);
	struct expectation e = scene_expecting(INSIDE, OUTSIDE, 51210, IP_TCP, 0);
	assert_true(fw_expect(w.fw, control, &e, w.now, &told));
	w.now += 30 * NS_PER_S;
	assert_int_equal(scene_send(IP_TCP, INSIDE, 1001, OUTSIDE, 51210, TCP_SYN), DROP_DEFAULT_DENY);
	assert_true(fw_expect(w.fw, control, &e, w.now, &told));
	fw_session_end(w.fw, control, w.now); /* with the parent */
	assert_int_equal(scene_send(IP_TCP, INSIDE, 1001, OUTSIDE, 51210, TCP_SYN), DROP_DEFAULT_DENY);
	control = parent(1000, IP_TCP, 21); /* another session in its record */
	assert_int_equal(scene_send(IP_TCP, INSIDE, 1001, OUTSIDE, 51210, TCP_SYN), DROP_DEFAULT_DENY);
	assert_true(fw_expect(w.fw, control, &e, w.now, &told));
	assert_int_equal(fw_counters(w.fw)->expectations_now, 1);
	world_restart(&w);
	world_load(&w, &p);
	assert_int_equal(scene_send(IP_TCP, INSIDE, 1001, OUTSIDE, 51210, TCP_SYN), DROP_DEFAULT_DENY);
	end();
}

/* So many of a parent; half of the table for a source; and another source is still served. */
static void they_are_bounded(void **state)
{
	struct expectation e = scene_expecting(INSIDE, OUTSIDE, 0, IP_TCP, 0);
	uint64_t made = 0;

	(void)state;
	begin(false, "tcp/21");
	uint32_t control = parent(999, IP_TCP, 21);
	for (uint16_t i = 0; i < 10; i++) {
		e.dst_port = (uint16_t)(40000 + i);
		assert_true(fw_expect(w.fw, control, &e, w.now + i, &told));
	}
	uint64_t own = fw_counters(w.fw)->expectations_now;
	assert_in_range(own, 1, 9);
	/* the oldest gave way */
	assert_int_equal(scene_send(IP_TCP, INSIDE, 1001, OUTSIDE, 40000, TCP_SYN), DROP_DEFAULT_DENY);
	assert_int_equal(scene_send(IP_TCP, INSIDE, 1001, OUTSIDE, 40009, TCP_SYN), DROP_NONE);
	for (uint16_t i = 0; i < 1000; i++) {
		control = parent((uint16_t)(2000 + i), IP_TCP, 21);
		e.dst_port = (uint16_t)(41000 + i);
		made += fw_expect(w.fw, control, &e, w.now, &told);
	}
	assert_in_range(made, 200, 300);
	assert_int_equal(fw_counters(w.fw)->expectations_refused, 1000 - made);
	assert_int_equal(scene_send(IP_TCP, "10.0.0.3", 5000, OUTSIDE, 21, TCP_SYN), DROP_NONE);
	e = scene_expecting("10.0.0.3", OUTSIDE, 50000, IP_TCP, 0);
	assert_true(fw_expect(w.fw, w.t.session, &e, w.now, &told));
	assert_int_equal(scene_send(IP_TCP, "10.0.0.3", 5001, OUTSIDE, 50000, TCP_SYN), DROP_NONE);
	/* time makes room */
	w.now += 31 * NS_PER_S;
	assert_int_equal(scene_send(IP_TCP, INSIDE, 999, OUTSIDE, 21, TCP_SYN), DROP_NONE);
	e = scene_expecting(INSIDE, OUTSIDE, 50000, IP_TCP, 0);
	assert_true(fw_expect(w.fw, w.t.session, &e, w.now, &told));
	assert_int_equal(fw_counters(w.fw)->expectations_now, 1);
	end();
}

static uint64_t expectations(void)
{
	return fw_counters(w.fw)->expectations_now;
}

/* Requests of TFTP from forged sources of one zone: another zone's expectations stay, and begin. */
static void forged_sources(void **state)
{
	struct expectation e = scene_expecting(INSIDE, OUTSIDE, 50000, IP_TCP, 0);
	char from[ADDR_TEXT_MAX];

	(void)state;
	scene_begin(4096);
	policy_rule(&p, "out", TRUST, UNTRUST, "any", "any", "tcp/21", RULE_PERMIT);
	policy_rule(&p, "in", UNTRUST, TRUST, "any", "any", "udp/69", RULE_PERMIT);
	world_load(&w, &p);
	uint32_t control = parent(1000, IP_TCP, 21);
	assert_true(fw_expect(w.fw, control, &e, w.now, &told));
	for (uint32_t i = 0; i < 1200; i++) {
		snprintf(from, sizeof from, "198.51.%u.%u", 100 + i / 200, 1 + i % 200);
		assert_int_equal(scene_send(IP_UDP, from, 3000, "10.0.0.80", 69, TCP_SYN), DROP_NONE);
		struct expectation tftp = scene_expecting("10.0.0.80", from, 3000, IP_UDP, 1);
		w.now += NS_PER_MS;
		assert_true(fw_expect(w.fw, w.t.session, &tftp, w.now, &told));
		/* again: the same one */
		uint64_t now = expectations();
		assert_true(fw_expect(w.fw, w.t.session, &tftp, w.now, &told));
		assert_int_equal(expectations(), now);
	}
	assert_int_equal(expectations(), 512);
	assert_int_equal(scene_send(IP_TCP, INSIDE, 1001, OUTSIDE, 50000, TCP_SYN), DROP_NONE);
	for (uint16_t i = 0; i < 100; i++) {
		control = parent((uint16_t)(2000 + i), IP_TCP, 21);
		e.dst_port = (uint16_t)(50001 + i);
		assert_true(fw_expect(w.fw, control, &e, w.now, &told));
	}
	for (uint16_t i = 0; i < 100; i++)
		assert_int_equal(
			scene_send(IP_TCP, INSIDE, 1001, OUTSIDE, (uint16_t)(50001 + i), TCP_SYN), DROP_NONE);
	/* the last that was asked for is among them in its own zone, too */
	assert_int_equal(scene_send(IP_UDP, "10.0.0.80", 4000, from, 3000, TCP_SYN), DROP_NONE);
	assert_int_equal(fw_counters(w.fw)->expectations_refused, 0);
	end();
}

/* A child lives as long as its parent is permitted, over a commit and in a new process. */
static void with_a_new_policy(void **state)
{
	struct policy other;

	(void)state;
	begin(true, "tcp/21");
	uint32_t control = parent(1000, IP_TCP, 21);
	struct expectation e = scene_expecting(INSIDE, OUTSIDE, 51210, IP_TCP, 0);
	assert_true(fw_expect(w.fw, control, &e, w.now, &told));
	assert_int_equal(scene_send(IP_TCP, INSIDE, 1001, OUTSIDE, 51210, TCP_SYN), DROP_NONE);
	uint32_t data = w.t.session;
	world_load(&w, &p);
	assert_non_null(fw_session(w.fw, data));
	world_restart(&w);
	world_load(&w, &p);
	assert_non_null(fw_session(w.fw, data));
	assert_int_equal(fw_session(w.fw, data)->rule, fw_session(w.fw, control)->rule);
	policy_init(&other);
	world_load(&w, &other);
	assert_null(fw_session(w.fw, data));
	assert_null(fw_session(w.fw, control));
	policy_done(&other);
	end();
	/* without its parent it needs a rule of its own */
	begin(false, "tcp/21");
	control = parent(1000, IP_TCP, 21);
	assert_true(fw_expect(w.fw, control, &e, w.now, &told));
	assert_int_equal(scene_send(IP_TCP, INSIDE, 1001, OUTSIDE, 51210, TCP_SYN), DROP_NONE);
	data = w.t.session;
	fw_session_end(w.fw, control, w.now);
	assert_int_equal(
		scene_send(IP_TCP, INSIDE, 1005, OUTSIDE, 21, TCP_SYN), DROP_NONE); /* takes the record */
	assert_int_equal(w.t.session, control);
	world_load(&w, &p);
	assert_null(fw_session(w.fw, data));
	end();
}

int main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(passive), cmocka_unit_test(active),
		cmocka_unit_test(answers_of_tftp), cmocka_unit_test(they_end),
		cmocka_unit_test(they_are_bounded), cmocka_unit_test(forged_sources),
		cmocka_unit_test(with_a_new_policy) };

	return cmocka_run_group_tests(tests, NULL, NULL);
}
