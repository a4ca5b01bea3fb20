/*
 * Sessions carried by the kernel against sessions that are not: the same random traffic goes through a gateway whose packets
 * meet the programs first (as ordinary functions: ../carry/kernel.h) and through one without them. What leaves, what is
 * dropped and why, TCP's numbers, counters and ends must be the same.
 */
#include "../carry/kernel.h"
#include "carried_teams.h"
#include "carried_traffic.h"
#include "firewall/internal.h"
#include "gate.h"

#include <linux/pkt_cls.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#define FLOWS 16

/* ---- traffic: carried_traffic.c ---- */

static void packet_goes(struct flow *f, uint32_t n)
{
	static struct packet p;
	static const uint8_t stamps[12] = { 1, 1, 8, 10, 0, 0, 0, 1, 0, 0, 0, 2 };
	struct fw_key key = flow_key(f);
	const struct fw_session *session = find(&plain, &key);
	uint32_t d = session && some(2);
	char src[ADDR_TEXT_MAX], dst[ADDR_TEXT_MAX];
	struct ip_addr from, to;
	uint16_t ports[2] = { key.src_port, key.dst_port };
	struct packet_spec s = { .proto = key.proto };

	from = fw_key_src(session ? &session->key[d] : &key);
	to = fw_key_dst(session ? &session->key[d] : &key);
	if (session) {
		ports[0] = session->key[d].src_port;
		ports[1] = session->key[d].dst_port;
	}
	s.src = addr_text(src, &from);
	s.dst = addr_text(dst, &to);
	s.src_port = ports[0];
	s.dst_port = ports[1];
	uint16_t segment = 0;
	s.payload_n = some(3) ? some(1500) : 0;
	if (session && session->flags & FW_SESSION_CONFIRMED && some(4) == 0) {
		segment = (uint16_t)(100 + some(1380));
		s.payload_n = segment + 1 + some(20000);
		s.partial = some(2);
	}
	s.partial |= some(8) == 0;
	bool is_open = session && (session->state == FW_TCP_ESTABLISHED || session->state == FW_TCP_CLOSING);
	if (f->tcp && !is_open) {
		s.payload_n = segment = 0;
		s.window = 5000;
		if (!session || session->state >= FW_TCP_TIME_WAIT) {
			s.flags = TCP_SYN;
			s.seq = next_random(&seed);
			if (session && d) {
				s.flags = TCP_ACK;
				tcp_numbers(&s, session, d);
			}
		} else if (session->state == FW_TCP_SYN_SENT) {
			s.flags = d ? TCP_SYN | TCP_ACK : TCP_SYN;
			s.seq = d ? next_random(&seed) : session->tcp[0].end - 1;
			s.ack = session->tcp[0].end - (some(20) == 0);
			if (d && some(10) == 0)
				s.flags = some(2) ? TCP_RST | TCP_ACK : TCP_ACK;
			syn_options(&s);
		} else {
			s.flags = some(20) ? TCP_ACK : TCP_RST;
			s.seq = session->tcp[d].end;
			s.ack = session->tcp[1 - d].end - (some(10) == 0);
		}
	} else if (f->tcp) {
		if (some(2)) {
			s.options = stamps;
			s.options_n = sizeof stamps;
		}
		tcp_numbers(&s, session, d);
		if (tcp_closes(&s, session, d))
			s.payload_n = segment = 0;
	}
	struct train t = packet_make(&p, &s);
	t.segment_size = segment;
	if (!segment)
		oddities(&t, f->v6);
	both(d ? GATE_WAN : GATE_LAN, &t);
	if (!session && some(4) == 0)
		flow_new(f, n);
}

static void restart(void)
{
	if (some(2))
		tables_equal(); /* all is entered */
	else
		rules_differ = true;
	carry_tables_begin(&tables, gate_flow_key, true);
	team_restarts(&plain);
	team_restarts(&carries);
}

/* What may change, in both. */
static void event(void)
{
	uint32_t what = some(5);

	if (what == 4) {
		restart();
		return;
	}
	for (uint32_t k = 0; k < 2; k++) {
		struct team *t = k ? &plain : &carries;
		struct route_neighbour n = { .link = GATE_WAN, .state = ROUTE_NEIGHBOUR_VALID };
		struct ip_addr a;
		assert_int_equal(addr_parse(&a, "198.51.100.1"), RC_OK);
		n.addr = a;
		if (what == 0) { /* the neighbour has another address, or none */
			memcpy(n.mac, "\2\0\0\1\1", 5);
			n.mac[5] = (uint8_t)(now() / NS_PER_MS);
			assert_int_equal(route_neighbour_set(t->gate[0].routes, &n), RC_OK);
			for (uint32_t i = 0; i < t->n; i++)
				pipeline_neighbour(&t->gate[i].p, GATE_WAN, &a, now());
		} else if (what == 1) {
			for (uint32_t i = 0; i < t->n; i++)
				pipeline_changed(&t->gate[i].p);
		} else if (what == 2 && t->n == 1) {
			gate_load(&t->gate[0], team_text(), nat);
		}
	}
	for (uint32_t i = 0; i < carries.n; i++)
		pipeline_carry_check(&carries.gate[i].p);
}

static void model(uint32_t workers, uint64_t from, uint32_t steps)
{
	struct flow flows[FLOWS];

	seed = from;
	nat = nats[from % COUNT_OF(nats)];
	begin(workers);
	for (uint32_t i = 0; i < FLOWS; i++)
		flow_new(&flows[i], i);
	for (uint32_t step = 0; step < steps; step++) {
		uint32_t n = some(some(2) ? FLOWS : 4);
		packet_goes(&flows[n], n);
		uint32_t roll = some(1000);
		if (roll < 300)
			time_goes(some(20) * NS_PER_MS);
		else if (roll < 305)
			event();
		else if (roll < 310)
			time_goes(some(5) * NS_PER_S);
		else if (roll == 310)
			time_goes(some(600) * NS_PER_S);
		if (step % 50 == 0)
			tables_equal();
	}
	tables_equal();
	uint64_t placed = 0;
	for (uint32_t i = 0; i < workers; i++)
		placed += carries.gate[i].p.carried.placed;
	print_message("%u workers: %llu packets carried, %llu passed, %llu times placed\n", workers,
		(unsigned long long)sent, (unsigned long long)passed, (unsigned long long)placed);
	assert_true(sent > steps / 10 && passed > steps / 10);
	assert_int_equal(lost, 0);
	end();
}

/* ---- one session ---- */

static struct packet packet;

/* Of a short connection the SYN alone comes here; it is half-open until the kernel has seen it answered. */
static void short_connection(void **state)
{
	static const uint8_t mss[] = { 2, 4, 35, 40 };
	struct flow f;
	struct firewall *fw;
	struct carry *carry;

	nat = nats[1];
	begin(1);
	fw = carries.gate[0].fw;
	carry = carries.gate[0].p.carried.carry;
	for (uint32_t by_data_plane = 0; by_data_plane < 2; by_data_plane++) {
		flow_new(&f, 0);
		sent = passed = 0;
		goes(&f, 0, TCP_SYN, 0);
		assert_int_equal(carry_opening(carry, now()), 1);
		options = by_data_plane ? mss : NULL; /* it is to be clamped */
		goes(&f, 1, TCP_SYN | TCP_ACK, 0);
		options = NULL;
		assert_int_equal(fw_counters(fw)->half_open_now, 1);
		goes(&f, 0, TCP_ACK, 0);
		time_goes(0);
		assert_int_equal(fw_counters(fw)->half_open_now, 0);
		assert_int_equal(carry_opening(carry, now()), by_data_plane); /* the record of before rests */
		goes(&f, 1, TCP_ACK | TCP_PSH, 1);
		goes(&f, 0, TCP_RST | TCP_ACK, 0);
		assert_int_equal(passed, 1 + by_data_plane);
		assert_int_equal(sent, 4 - by_data_plane);
		time_goes(0);
		assert_int_equal(carry_used(carry), 0);
		goes(&f, 1, TCP_ACK, 5); /* dropped, by both */
		tables_equal();
		goes(&f, 0, TCP_SYN, 0); /* the next one by the same ports */
		assert_int_equal(fw_counters(fw)->half_open_now, 1);
		goes(&f, 1, TCP_RST | TCP_ACK, 0); /* refused: its record rests */
		assert_int_equal(carry_opening(carry, now()), 1 + by_data_plane);
		time_goes(CARRY_REST_NS);
		assert_int_equal(carry_used(carry), 0);
		tables_equal();
	}
	/* The note of its end is read under another policy than that of its packets: they count all the same. */
	flow_new(&f, 0);
	goes(&f, 0, TCP_SYN, 0);
	goes(&f, 1, TCP_SYN | TCP_ACK, 0);
	goes(&f, 0, TCP_ACK, 0);
	goes(&f, 0, TCP_RST, 0);
	for (uint32_t k = 0; k < 2; k++)
		gate_load(k ? &plain.gate[0] : &carries.gate[0], team_text(), nat);
	time_goes(0);
	tables_equal();
	end();
}

/* Who opens connections that nobody answers leaves records to those that are established. */
static void opening(void **state)
{
	struct flow f, other;

	established(&f, 0);
	struct carry *c = carries.gate[0].p.carried.carry;
	for (uint32_t i = 1; carry_opening(c, now()) < carry_records(c) / CARRIED_OPENING; i++) {
		struct carry_entry e = { .family = 4, .proto = IP_TCP, .tcp = CARRY_TCP_SYN_SENT };
		memcpy(e.key[0].src, &i, sizeof i);
		memcpy(e.key[1].dst, &i, sizeof i);
		carry_place(c, 0, &e, now()); /* in most buckets */
	}
	assert_true(is_carried(&f, 0) && is_carried(&f, 1));
	flow_new(&other, 4);
	sent = 0;
	goes(&other, 0, TCP_SYN, 0);
	goes(&other, 1, TCP_SYN | TCP_ACK, 0);
	goes(&other, 0, TCP_ACK, 0);
	assert_int_equal(sent, 0);
	assert_true(is_carried(&other, 0) && is_carried(&other, 1));
	tables_equal();
	end();
}

/* Nothing is carried two seconds after the last beat, and everything again after the next one. */
static void good_for_two_seconds(void **state)
{
	struct flow f;

	established(&f, 0);
	uint64_t ends = tables.head->beat[0] + CARRY_GOOD_NS - CARRY_AHEAD_NS;
	carries.gate[0].now = plain.gate[0].now = ends - 1;
	assert_true(is_carried(&f, 0));
	carries.gate[0].now = plain.gate[0].now = ends + CARRY_BEAT_NS;
	assert_false(is_carried(&f, 0) || is_carried(&f, 1));
	time_goes(0);
	assert_true(is_carried(&f, 0));
	tables.head->beat[0] = now() + NS_PER_S; /* no worker can have written it */
	assert_false(is_carried(&f, 0));
	tables_equal();
	end();
}

/* Whose outer checksum the programs could not follow, where it is translated. */
static void tunnels(void **state)
{
	nat = nats[1];
	begin(1);
	for (uint32_t vxlan = 0; vxlan < 2; vxlan++) {
		struct flow f;
		flow_new(&f, 2);
		f.port = vxlan ? 4789 : 4788;
		for (uint32_t i = 0; i < 2 * CARRIED_AFTER; i++) {
			goes(&f, i & 1, 0, 100);
			time_goes(NS_PER_MS);
		}
		assert_int_equal(is_carried(&f, 0) && is_carried(&f, 1), !vxlan);
	}
	tables_equal();
	end();
}

/* A session that is idle ends when any other would; one that is carried all the time does not. */
static void idle(void **state)
{
	struct flow f[2];

	for (uint32_t tcp = 0; tcp < 2; tcp++) {
		established(&f[0], tcp ? 0 : 2);
		for (uint32_t i = 0; i < 40; i++) {
			assert_true(is_carried(&f[0], i & 1));
			time_goes(NS_PER_S);
		}
		tables_equal();
		for (uint32_t i = 0; i < 10000 && fw_counters(plain.gate[0].fw)->sessions_now > 0; i++) {
			time_goes(tcp ? 7 * NS_PER_S : NS_PER_S);
			assert_int_equal(fw_counters(carries.gate[0].fw)->sessions_now,
				fw_counters(plain.gate[0].fw)->sessions_now);
		}
		assert_int_equal(fw_counters(plain.gate[0].fw)->sessions_now, 0);
		assert_int_equal(carry_used(carries.gate[0].p.carried.carry), 0);
		end();
	}
}

/* Numbers that a process left in a record make no session live longer than one that has just sent. */
static void time_to_come(void **state)
{
	struct flow f;

	established(&f, 0);
	struct fw_key key = flow_key(&f);
	const struct fw_session *s = find(&carries, &key);
	if (s)
		kernel_records[s->carried - 1].count[0].last = UINT64_MAX / 2;
	time_goes(NS_PER_S);
	s = find(&carries, &key);
	assert_true(s && s->last_seen <= now() + CARRY_GOOD_NS && s->expires <= now() + 24 * 3600 * NS_PER_S);
	end();
}

static void datagram_goes(uint32_t host, uint32_t d)
{
	char src[ADDR_TEXT_MAX];
	struct packet_spec s = { .src = d ? "203.0.113.9" : src,
		.dst = d ? src : "203.0.113.9",
		.proto = IP_UDP,
		.src_port = d ? 9 : 2000,
		.dst_port = d ? 2000 : 9,
		.payload_n = 50 };

	snprintf(src, sizeof src, "10.1.0.%u", host);
	struct train t = packet_make(&packet, &s);
	both(d ? GATE_WAN : GATE_LAN, &t);
}

/* SYNs that nobody answers: a record rests for a second when its session is evicted, and a flood has more of them in a second than
 * there are records. */
static void flood_of_syns(void **state)
{
	struct flow f;

	nat = nats[0];
	begin(1);
	for (uint32_t i = 0; i < CARRY_RECORDS_MAX + 1000; i++) {
		const struct packet_spec s = { .src = "10.1.0.2",
			.dst = i < 60000 ? "203.0.113.9" : "203.0.113.10",
			.proto = IP_TCP,
			.src_port = (uint16_t)(1000 + i % 60000),
			.dst_port = 80,
			.flags = TCP_SYN,
			.seq = i };
		struct train t = packet_make(&packet, &s);
		both(GATE_LAN, &t);
	}
	assert_true(fw_counters(carries.gate[0].fw)->half_open_evicted > CARRY_RECORDS_MAX / 2);
	flow_new(&f, 0);
	goes(&f, 0, TCP_SYN, 0);
	goes(&f, 1, TCP_SYN | TCP_ACK, 0);
	for (uint32_t i = 0; i < CARRIED_AFTER; i++)
		goes(&f, i & 1, TCP_ACK, 100);
	assert_true(is_carried(&f, 0) && is_carried(&f, 1));
	assert_true(carries.gate[0].p.carried.no_room == 0);
	end();
}

/* As many hosts as a link may well have: what becomes of one that no carried session is sent to changes nothing. */
static void many_neighbours(void **state)
{
	enum { HOSTS = 200 };
	struct route_neighbour n = {
		.link = GATE_LAN, .state = ROUTE_NEIGHBOUR_VALID, .mac = { 2, 0, 0, 9 }
	};

	nat = nats[0];
	begin(1);
	for (uint32_t i = 3; i < 3 + HOSTS + 1; i++) {
		n.addr = addr_v4((const uint8_t[]){ 10, 1, 0, (uint8_t)i });
		n.mac[5] = (uint8_t)i;
		assert_int_equal(route_neighbour_set(carries.gate[0].routes, &n), RC_OK);
		assert_int_equal(route_neighbour_set(plain.gate[0].routes, &n), RC_OK);
	}
	for (uint32_t i = 3; i < 3 + HOSTS; i++)
		for (uint32_t k = 0; k < CARRIED_AFTER + 2; k++)
			datagram_goes(i, k & 1);
	assert_int_equal(carry_used(carries.gate[0].p.carried.carry), HOSTS);
	uint32_t epoch = tables.head->epoch;
	for (uint32_t k = 0; k < 3; k++) { /* n: the one after the last */
		n.state = k == 0   ? ROUTE_NEIGHBOUR_STALE
			  : k == 1 ? ROUTE_NEIGHBOUR_FAILED
				   : ROUTE_NEIGHBOUR_VALID;
		assert_int_equal(route_neighbour_set(carries.gate[0].routes, &n), RC_OK);
		pipeline_neighbour(&carries.gate[0].p, GATE_LAN, &n.addr, now());
	}
	assert_int_equal(tables.head->epoch, epoch);
	n.addr = addr_v4((const uint8_t[]){ 10, 1, 0, 3 }); /* and of one that is, something */
	assert_int_equal(route_neighbour_set(carries.gate[0].routes, &n), RC_OK);
	pipeline_neighbour(&carries.gate[0].p, GATE_LAN, &n.addr, now());
	assert_int_equal(tables.head->epoch, epoch + 1);
	end();
}

/* What opens or breaks a connection takes it back, also when it is forged; it is carried again after a while. A FIN does not. */
static void taken_back(void **state)
{
	static const uint8_t flags[] = { TCP_SYN, TCP_RST | TCP_ACK };
	struct flow f;

	established(&f, 0);
	for (uint32_t i = 0; i < COUNT_OF(flags); i++) {
		struct train t = of_flow(&f, 0, flags[i], 0);
		t.ip[t.l4_offset ? t.l4_offset + 4 : 24] ^=
			0x40; /* a number that nobody expects, and its checksum */
		both(GATE_LAN, &t);
		assert_false(is_carried(&f, 0));
		assert_false(is_carried(&f, 1));
		time_goes(110 * NS_PER_MS);
		goes(&f, 0, TCP_ACK, 10);
		assert_true(is_carried(&f, 0) && is_carried(&f, 1));
	}
	goes(&f, 0, TCP_FIN | TCP_ACK, 10); /* comes here, as one with data does */
	assert_true(is_carried(&f, 1));
	time_goes(NS_PER_S);
	assert_true(is_carried(&f, 1));
	tables_equal();
	end();
}

/* A commit, a route, a link, a trace: the next packet comes here. */
static void changes(void **state)
{
	const struct packet_filters all = { .count = 3 };
	struct gate *g = &carries.gate[0];
	struct flow f;

	established(&f, 0);
	for (uint32_t k = 0; k < 2; k++) {
		struct gate *one = k ? &plain.gate[0] : g;
		gate_load(one, team_text(), nat);
	}
	assert_false(is_carried(&f, 0)); /* at once: the commit is answered before anything else */
	assert_false(is_carried(&f, 1));
	assert_true(is_carried(&f, 0));
	pipeline_trace(&g->p, &all);
	pipeline_carry_pass(&g->p);
	for (uint32_t i = 0; i < 3; i++)
		assert_false(is_carried(&f, i & 1));
	assert_non_null(strstr(g->traced, "egress"));
	assert_false(is_carried(&f, 1));
	assert_true(is_carried(&f, 0));
	/* A capture that wants nothing of it, and is on for long. */
	static struct capture_ring ring;
	const struct msg_capture what = { .packets = { .n = 1, .list = { { .proto = IP_SCTP } } } };
	pipeline_capture(&g->p, &ring, &what);
	pipeline_carry_pass(&g->p);
	for (uint32_t i = 0; i < 10; i++)
		assert_false(is_carried(&f, i & 1));
	pipeline_capture(&g->p, NULL, NULL);
	assert_false(is_carried(&f, 0));
	assert_true(is_carried(&f, 1) && is_carried(&f, 0));
	/* The policy denies it from now on. */
	for (uint32_t k = 0; k < 2; k++) {
		struct gate *one = k ? &plain.gate[0] : g;
		char denies[8192], *out;
		snprintf(denies, sizeof denies, "%s", gate_text);
		out = strstr(denies, "load web ping gre");
		memcpy(out + 5, "   ", 3);
		gate_load(one, denies, nat);
	}
	assert_false(is_carried(&f, 0));
	assert_int_equal(fw_counters(g->fw)->sessions_now, 0);
	rules_differ = true;
	tables_equal();
	end();
}

/* More than half of the numbers' range between two looks, as a fast stream moves them in a second. */
static void fast_stream(void **state)
{
	struct flow f;

	established(&f, 0);
	const struct fw_key k = flow_key(&f);
	for (uint32_t i = 0; i < 4; i++) {
		const struct fw_session *s = find(&carries, &k);
		assert_non_null(s);
		assert_true(fw_is_carried(s));
		struct carry_record *r = &tables.records[s->carried - 1];
		r->side[0].end += 0xa0000000;
		r->side[0].max_end += 0xa0000000;
		r->side[1].ack += 0xa0000000;
		const struct carry_record now_is = *r;
		assert_ptr_equal(find(&carries, &k), s);
		for (uint32_t d = 0; d < 2; d++)
			assert_true(s->tcp[d].end == now_is.side[d].end &&
				    s->tcp[d].ack == now_is.side[d].ack &&
				    s->tcp[d].max_end == now_is.side[d].max_end);
		assert_memory_equal(r->side, now_is.side, sizeof r->side);
	}
	end();
}

static void take_back_all(void *context)
{
	struct gate *g = context;

	for (uint32_t i = 0; i < fw_sessions_used(g->fw); i++)
		fw_session_end(g->fw, i, g->now);
}

/* Taken back between both programs: the packet is lost, and counted. */
static void between_programs(void **state)
{
	struct kernel_packet frame;
	struct flow f;

	established(&f, 0);
	struct train t = of_flow(&f, 0, TCP_ACK, 10);
	uint8_t *bytes = frame_of(&t, 0, &frame, GATE_LAN);
	between = take_back_all;
	assert_int_equal(programs_run(&frame), LOST);
	assert_int_equal(tables.head->lost, 1);
	assert_int_equal(programs_run(&frame), PASSED);
	free(bytes);
	end();
}

static void one_worker(void **state)
{
	for (uint64_t i = 1; i <= 4; i++)
		model(1, i, 10000);
}

static void two_workers(void **state)
{
	model(2, 11, 10000);
}

static void four_workers(void **state)
{
	model(4, 12, 10000);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(short_connection),
		cmocka_unit_test(opening),
		cmocka_unit_test(good_for_two_seconds),
		cmocka_unit_test(tunnels),
		cmocka_unit_test(idle),
		cmocka_unit_test(time_to_come),
		cmocka_unit_test(flood_of_syns),
		cmocka_unit_test(many_neighbours),
		cmocka_unit_test(taken_back),
		cmocka_unit_test(changes),
		cmocka_unit_test(between_programs),
		cmocka_unit_test(fast_stream),
		cmocka_unit_test(one_worker),
		cmocka_unit_test(two_workers),
		cmocka_unit_test(four_workers),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
