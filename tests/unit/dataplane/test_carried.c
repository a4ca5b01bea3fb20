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

#define FLOWS	 16
#define SESSIONS 256

static const char *const nats[] = { "",
	"nat { source { rule all { from trust; to untrust; then { source-nat interface; } } } }",
	"nat { source { rule all { from trust; to untrust; then { source-nat interface; } }\n"
	"  rule all6 { from trust; to untrust; then { source-nat interface-ipv6; } } } }" };
static const char *nat;

struct team carries, plain;
static struct carry_tables tables;
bool rules_differ;
uint64_t seed;
static uint64_t sent, passed, lost;

uint32_t some(uint32_t n)
{
	return next_random(&seed) % n;
}

/* ---- two gateways ---- */

/* gate_text with a mark and counters in the rule that all packets fall under. */
static const char *text(void)
{
	static char marked[8192];
	const char *rule = strstr(strstr(gate_text, "from trust to untrust"), "rule out"),
		   *permit = strstr(rule, "permit;") + strlen("permit;");

	snprintf(marked, sizeof marked, "%.*s dscp af11; count; %s", (int)(permit - gate_text), gate_text,
		permit);
	return marked;
}

static void team_begin(struct team *t, uint32_t n)
{
	t->n = n;
	t->on_the_way = 0;
	gate_init_team(t->gate, n, text(), nat, SESSIONS);
	gate_link_team(t->gate, n, t->queues, &t->on_the_way);
}

static void tables_new(void)
{
	kernel_init();
	kernel_link(GATE_LAN);
	kernel_link(GATE_WAN);
	tables = (struct carry_tables){ kernel_head, kernel_buckets, kernel_records };
	carry_tables_begin(&tables, gate_flow_key, false);
}

static void begin(uint32_t workers)
{
	tables_new();
	team_begin(&carries, workers);
	team_begin(&plain, workers);
	for (uint32_t i = 0; i < workers; i++)
		assert_true(pipeline_carry(&carries.gate[i].p, &tables));
	sent = passed = lost = 0;
	rules_differ = false;
}

static void team_done(struct team *t)
{
	for (uint32_t i = t->n; i-- > 0;)
		gate_done(&t->gate[i]);
}

static void end(void)
{
	team_done(&carries);
	team_done(&plain);
	kernel_done();
}

mono_ns now(void)
{
	return plain.gate[0].now;
}

static void team_time(struct team *t, mono_ns step)
{
	for (uint32_t i = 0; i < t->n; i++) {
		struct gate *g = &t->gate[i];
		g->now += step;
		pipeline_carry_check(&g->p);
		pipeline_carry_timers(&g->p, g->now);
		while (fw_expire(g->fw, g->now, 1000) <= g->now)
			;
		fw_sweep(g->fw, g->now, 1 + some(40));
		pipeline_notes(&g->p);
	}
	gate_run_team(t->gate, t->n);
}

static void time_goes(mono_ns step)
{
	uint64_t then = seed;

	team_time(&carries, step);
	seed = then;
	team_time(&plain, step);
}

/* ---- what leaves ---- */

struct seen {
	uint32_t n;
	struct gate_out out[64];
	enum drop_reason drop;
};

static void drops_sum(const struct team *t, uint64_t ret_drops[DROP_COUNT])
{
	memset(ret_drops, 0, sizeof(uint64_t) * DROP_COUNT);
	for (uint32_t i = 0; i < t->n; i++)
		for (uint32_t k = 0; k < DROP_COUNT; k++)
			ret_drops[k] += t->gate[i].p.drops[k];
}

static void through_pipeline(
	struct team *t, uint32_t worker, uint32_t link, const struct train *train, struct seen *ret_seen)
{
	uint64_t before[DROP_COUNT], after[DROP_COUNT];
	static struct packet copies[2];
	struct packet *copy = &copies[t == &plain];
	struct train mine = *train;

	memcpy(copy->room + TRAIN_HEAD_ROOM, train->ip, train->len);
	mine.ip = copy->room + TRAIN_HEAD_ROOM;
	drops_sum(t, before);
	gate_from_link(&t->gate[worker], link, mine);
	gate_run_team(t->gate, t->n);
	drops_sum(t, after);
	for (uint32_t k = DROP_NONE + 1; k < DROP_COUNT; k++)
		if (after[k] != before[k])
			ret_seen->drop = (enum drop_reason)k;
	for (uint32_t i = 0; i < t->n; i++)
		for (uint32_t k = 0; k < t->gate[i].out_n && ret_seen->n < COUNT_OF(ret_seen->out); k++)
			ret_seen->out[ret_seen->n++] = t->gate[i].out[k];
}

static uint8_t *frame_of(
	const struct train *t, uint32_t padding, struct kernel_packet *ret_frame, uint32_t link)
{
	uint8_t *bytes = calloc(1, ETHERNET_SIZE + t->len + padding);

	store_be16(bytes + 12, t->ip[0] >> 4 == 4 ? 0x0800 : 0x86dd);
	memcpy(bytes + ETHERNET_SIZE, t->ip, t->len);
	*ret_frame = (struct kernel_packet){ .b = { .len = ETHERNET_SIZE + t->len + padding,
						     .ifindex = link,
						     .gso_size = t->segment_size },
		.frame = bytes,
		.partial = t->csum == TRAIN_CSUM_PARTIAL };
	return bytes;
}

enum verdict { PASSED, SENT, LOST };
static void (*between)(void *context); /* both programs, once: as another processor would */

/* Both, as the kernel runs them. */
static enum verdict programs_run(struct kernel_packet *k)
{
	kernel_now = now();
	int kept = kernel_tap(k);
	if (between)
		between(&carries.gate[0]);
	between = NULL;
	int verdict = kernel_carry(k);
	if (verdict == TC_ACT_SHOT)
		return LOST;
	assert_true(verdict == TC_ACT_UNSPEC || verdict == TC_ACT_REDIRECT);
	assert_int_equal(kept == 0, verdict == TC_ACT_REDIRECT); /* to the socket or sent, never both */
	return verdict == TC_ACT_REDIRECT ? SENT : PASSED;
}

/* Through the programs, and what they leave through the pipeline. */
static void through_programs(uint32_t worker, uint32_t link, const struct train *train, struct seen *ret_seen)
{
	struct kernel_packet f;
	uint32_t padding = train->segment_size ? 0 : some(4) ? 0 : some(20);
	uint8_t *bytes = frame_of(train, padding, &f, link);
	struct train padded = *train;

	switch (programs_run(&f)) {
	case SENT:
		sent++;
		ret_seen->n = 1;
		ret_seen->out[0] = (struct gate_out){ .kind = GATE_OUT_LINK,
			.interface = gate_interface(&carries.gate[0], f.sent_to),
			.bytes = malloc(f.b.len - ETHERNET_SIZE),
			.n = f.b.len - ETHERNET_SIZE };
		memcpy(ret_seen->out[0].bytes, f.frame + ETHERNET_SIZE, f.b.len - ETHERNET_SIZE);
		memcpy(ret_seen->out[0].mac, f.frame, 6);
		assert_int_equal(
			ret_seen->out[0].bytes[0] >> 4 == 4 ? 0x0800 : 0x86dd, load_be16(f.frame + 12));
		break;
	case LOST:
		lost++;
		break;
	case PASSED:
		passed++;
		padded.ip = f.frame + ETHERNET_SIZE;
		padded.len = f.b.len - ETHERNET_SIZE;
		through_pipeline(&carries, worker, link, &padded, ret_seen);
	}
	free(bytes);
}

static void seen_equal(const struct seen *a, const struct seen *b)
{
	assert_int_equal(a->drop, b->drop);
	assert_int_equal(a->n, b->n);
	for (uint32_t i = 0; i < a->n; i++) {
		assert_int_equal(a->out[i].kind, b->out[i].kind);
		assert_int_equal(a->out[i].interface, b->out[i].interface);
		assert_memory_equal(a->out[i].mac, b->out[i].mac, 6);
		assert_int_equal(a->out[i].n, b->out[i].n);
		assert_memory_equal(a->out[i].bytes, b->out[i].bytes, a->out[i].n);
	}
}

/* One train through both. */
static void both(uint32_t link, const struct train *t)
{
	struct seen a = { 0 }, b = { 0 };
	uint32_t worker = some(plain.n);
	uint64_t carried = sent;

	through_pipeline(&plain, worker, link, t, &b);
	through_programs(worker, link, t, &a);
	seen_equal(&a, &b);
	if (sent != carried)
		free(a.out[0].bytes);
	for (uint32_t i = 0; i < plain.n; i++) {
		gate_clear(&plain.gate[i]);
		gate_clear(&carries.gate[i]);
	}
}

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
	if (f->tcp && (!session || session->state != FW_TCP_ESTABLISHED)) {
		s.payload_n = segment = 0;
		s.window = 5000;
		if (!session || session->state >= FW_TCP_CLOSING) {
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
		if (some(60) == 0) { /* the end that most connections of a short life have */
			s.flags = (uint8_t)(TCP_RST | (some(2) ? TCP_ACK : 0));
			s.seq = session->tcp[d].end;
			s.payload_n = segment = 0;
		}
	}
	struct train t = packet_make(&p, &s);
	t.segment_size = segment;
	if (!segment)
		oddities(&t, f->v6);
	both(d ? GATE_WAN : GATE_LAN, &t);
	if (!session && some(4) == 0)
		flow_new(f, n);
}

/* The process dies, perhaps with packets carried that it has not entered; the next one goes on with its memory. */
static void team_restarts(struct team *t)
{
	for (uint32_t i = 0; i < t->n; i++) {
		struct gate *g = &t->gate[i];
		struct fw_limits limits = g->fw->limits;
		fw_detach(g->fw);
		g->p.fw = g->fw = fw_attach(g->memory, g->memory_n, false, &limits, g->now, NULL);
		assert_non_null(g->fw);
		if (t == &carries)
			assert_true(pipeline_carry(&g->p, &tables));
		assert_int_equal(fw_load(g->fw, g->snapshot, g->now, NULL), RC_OK);
		pipeline_changed(&g->p);
	}
	gate_join_team(t->gate, t->n);
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
			gate_load(&t->gate[0], text(), nat);
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

static const uint8_t *options; /* four octets of them, of the packets below */

static struct train of_flow(struct flow *f, uint32_t d, uint8_t flags, size_t payload)
{
	struct fw_key key = flow_key(f);
	const struct fw_session *s = find(&plain, &key);
	struct ip_addr from = fw_key_src(s ? &s->key[d] : &key), to = fw_key_dst(s ? &s->key[d] : &key);
	char src[ADDR_TEXT_MAX], dst[ADDR_TEXT_MAX];
	struct packet_spec spec = { .src = addr_text(src, &from),
		.dst = addr_text(dst, &to),
		.proto = key.proto,
		.src_port = s ? s->key[d].src_port : key.src_port,
		.dst_port = s ? s->key[d].dst_port : key.dst_port,
		.flags = flags,
		.seq = s ? s->tcp[d].end : 100,
		.ack = s ? s->tcp[1 - d].end : 0,
		.options = options,
		.options_n = options ? 4 : 0,
		.payload_n = payload };

	return packet_make(&packet, &spec);
}

static void goes(struct flow *f, uint32_t d, uint8_t flags, size_t payload)
{
	struct train t = of_flow(f, d, flags, payload);

	both(d ? GATE_WAN : GATE_LAN, &t);
}

/* Is the next packet of it carried? */
static bool is_carried(struct flow *f, uint32_t d)
{
	uint64_t before = sent;

	goes(f, d, TCP_ACK, 10);
	return sent > before;
}

static void established(struct flow *f, uint32_t n)
{
	nat = nats[1];
	begin(1);
	flow_new(f, n);
	if (f->tcp) {
		goes(f, 0, TCP_SYN, 0);
		goes(f, 1, TCP_SYN | TCP_ACK, 0);
	}
	for (uint32_t i = 0; i < CARRIED_AFTER; i++) {
		goes(f, i & 1, TCP_ACK, 100);
		time_goes(NS_PER_MS);
	}
	assert_true(is_carried(f, 0) && is_carried(f, 1));
}

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
		gate_load(k ? &plain.gate[0] : &carries.gate[0], text(), nat);
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

/* What opens or ends a connection takes it back, also when it is forged; it is carried again after a while. */
static void taken_back(void **state)
{
	static const uint8_t flags[] = { TCP_SYN, TCP_RST | TCP_ACK, TCP_FIN | TCP_ACK };
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
	goes(&f, 0, TCP_FIN | TCP_ACK, 0);
	time_goes(NS_PER_S);
	assert_false(is_carried(&f, 1));
	assert_false(is_carried(&f, 1));
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
		gate_load(one, text(), nat);
	}
	pipeline_carry_check(&g->p);
	assert_false(is_carried(&f, 0));
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
	pipeline_carry_check(&g->p);
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
