/*
 * A burst is its packets one by one, only faster, and a train is its packets: the same verdicts, the same
 * packets out, the same sessions afterwards. Random conversations over a small session table, seed by seed,
 * and captures of real traffic where they are there.
 */
#include "capture.h"
#include "talks.h"

#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>
#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>

#define SEEDS	 150
#define ROUNDS	 40
#define BURST	 16
#define SESSIONS 24

static const char nat[] =
	"nat { source { rule all { from trust; to untrust; then { source-nat interface; } } } }";

static struct gate single, burst;
static struct packet rooms[2][TRAIN_BURST_MAX];
/* ---- two gates ---- */

/* What left by one output, in its order: a burst's sealed packets leave when it is over. */
static bool same_outputs(enum gate_out_kind kind, uint32_t interface)
{
	uint32_t a = 0, b = 0;

	for (;;) {
		while (a < single.out_n &&
			(single.out[a].kind != kind || single.out[a].interface != interface))
			a++;
		while (b < burst.out_n && (burst.out[b].kind != kind || burst.out[b].interface != interface))
			b++;
		if (a == single.out_n || b == burst.out_n)
			return a == single.out_n && b == burst.out_n;
		if (single.out[a].n != burst.out[b].n ||
			memcmp(single.out[a].bytes, burst.out[b].bytes, burst.out[b].n))
			return false;
		a++;
		b++;
	}
}

static void same_sessions(const char *what)
{
	uint32_t a = 0, b = 0;

	for (;;) {
		const struct fw_session *s = fw_session_next(single.fw, &a),
					*m = fw_session_next(burst.fw, &b);
		if (!s != !m || a != b)
			fail_msg("%s: not as many sessions", what);
		if (!s)
			return;
		if (memcmp(s, m, sizeof *s) != 0)
			fail_msg("%s: session %u: state %s and %s, packets %lu/%lu and %lu/%lu", what, s->id,
				fw_protocol_state_name(s->state), fw_protocol_state_name(m->state),
				(unsigned long)s->packets[0], (unsigned long)s->packets[1],
				(unsigned long)m->packets[0], (unsigned long)m->packets[1]);
	}
}

static void gates_begin(const char *text, const char *more, uint32_t sessions)
{
	gate_init(&single, text, more, sessions);
	gate_init(&burst, text, more, sessions);
}

static void tunnels_begin(void)
{
	gate_sa(&single, false);
	gate_sa(&burst, false);
}

static void gates_end(void)
{
	gate_done(&single);
	gate_done(&burst);
}

/* Time goes on, tables change: the same in both. */
static void meanwhile(void)
{
	struct gate *const gates[] = { &single, &burst };
	uint32_t what = pick(12);
	mono_ns pause = pick(4) ? pick(1000) * 1000000ull : pick(300) * NS_PER_S;

	for (int i = 0; i < 2; i++) {
		struct gate *g = gates[i];
		g->now += pause;
		fw_expire(g->fw, g->now, 1000);
		pipeline_tick(&g->p, g->now);
		if (what == 0)
			pipeline_changed(&g->p);
		if (what == 1 && esp_remove(g->esp, GATE_SPI_IN) != RC_OK)
			gate_sa(g, false);
	}
}

/* n trains, through one gate in their turn, through the other at once. */
static void run(struct train a[], struct train b[], uint32_t n, const char *what)
{
	gate_clear(&single);
	gate_clear(&burst);
	for (uint32_t i = 0; i < n; i++)
		pipeline_burst(&single.p, &a[i], 1, single.now);
	pipeline_burst(&burst.p, b, n, burst.now);
	for (uint32_t i = 0; i < n; i++)
		if (a[i].drop != b[i].drop)
			fail_msg("%s, packet %u of %u: %s alone, %s in the burst", what, i, n,
				drop_name(a[i].drop), drop_name(b[i].drop));
	if (memcmp(single.p.drops, burst.p.drops, sizeof burst.p.drops) != 0)
		fail_msg("%s: not the same counters", what);
	if (!same_outputs(GATE_OUT_LINK, 0) || !same_outputs(GATE_OUT_LINK, 1) ||
		!same_outputs(GATE_OUT_TUNNEL, 0))
		fail_msg("%s: not the same packets out", what);
	same_sessions(what);
}

static void test_bursts(void **state)
{
	uint64_t passed = 0, dropped = 0;

	(void)state;
	for (uint64_t number = 1; number <= SEEDS; number++) {
		talks_begin(number);
		gates_begin(gate_text, number % 2 ? nat : "", SESSIONS);
		tunnels_begin();
		for (int round = 0; round < ROUNDS; round++) {
			struct train a[BURST], b[BURST];
			uint32_t n = 1 + pick(BURST);
			char what[64];
			for (uint32_t i = 0; i < n; i++) {
				struct talk_input in = talk_next(single.fw);
				a[i] = talk_train(&rooms[0][i], &in);
				b[i] = talk_train(&rooms[1][i], &in);
				talk_arrives(&single, in.from, &a[i]);
				talk_arrives(&burst, in.from, &b[i]);
			}
			snprintf(what, sizeof what, "seed %lu, round %d", (unsigned long)number, round);
			run(a, b, n, what);
			for (uint32_t i = 0; i < n; i++)
				*(a[i].drop ? &dropped : &passed) += 1;
			meanwhile();
		}
		gates_end();
	}
	assert_true(passed > SEEDS * ROUNDS && dropped > SEEDS * ROUNDS); /* it is about both */
}

/* ---- trains ---- */

/* The payloads that left by links, one behind the other. */
static size_t payloads(const struct gate *g, uint8_t *ret_bytes, size_t room)
{
	size_t n = 0;

	for (uint32_t i = 0; i < g->out_n; i++) {
		struct train t = { .ip = g->out[i].bytes,
			.len = g->out[i].n,
			.segment_size = g->out[i].offload.gso_size,
			.csum = TRAIN_CSUM_VALID };
		if (g->out[i].kind != GATE_OUT_LINK || train_parse(&t) != DROP_NONE)
			continue;
		assert_true(n + t.len - t.payload_offset <= room);
		memcpy(ret_bytes + n, t.ip + t.payload_offset, t.len - t.payload_offset);
		n += t.len - t.payload_offset;
	}
	return n;
}

static void both(uint32_t from, struct packet_spec s)
{
	struct gate *const gates[] = { &single, &burst };

	for (int i = 0; i < 2; i++) {
		struct train t = packet_make(&rooms[i][0], &s);
		talk_arrives(gates[i], from, &t);
		pipeline_burst(&gates[i]->p, &t, 1, gates[i]->now);
		assert_int_equal(t.drop, DROP_NONE);
	}
}

static void train_once(struct packet_spec s, uint32_t size, uint32_t packets)
{
	static uint8_t bytes[2][1 << 17];
	static uint8_t payload[60000];
	uint32_t total = size * (packets - 1) + 1 + pick(size);
	struct train t;

	for (uint32_t i = 0; i < total; i++)
		payload[i] = (uint8_t)pick(256);
	gate_clear(&single);
	gate_clear(&burst);
	s.payload = payload;
	s.payload_n = total;
	s.partial = true;
	t = packet_make(&rooms[1][0], &s);
	t.segment_size = (uint16_t)size;
	talk_arrives(&burst, GATE_LAN, &t);
	pipeline_burst(&burst.p, &t, 1, burst.now);
	s.partial = false;
	uint8_t flags = s.flags;
	for (uint32_t i = 0; i < packets; i++) {
		s.payload = payload + i * size;
		s.payload_n = MIN_OF(size, total - i * size);
		s.flags = i + 1 < packets ? flags & (uint8_t)~(TCP_FIN | TCP_PSH) : flags;
		struct train one = packet_make(&rooms[0][0], &s);
		talk_arrives(&single, GATE_LAN, &one);
		pipeline_burst(&single.p, &one, 1, single.now);
		assert_string_equal(drop_name(one.drop), drop_name(t.drop));
		s.seq += (uint32_t)s.payload_n;
	}
	assert_memory_equal(single.p.drops, burst.p.drops, sizeof burst.p.drops);
	same_sessions("a train");
	assert_int_equal(single.p.packets_in, burst.p.packets_in);
	assert_int_equal(single.p.bytes_in, burst.p.bytes_in);
	if (t.drop != DROP_NONE) /* its sender is told once, in place of once for each packet */
		return;
	size_t n = payloads(&single, bytes[0], sizeof bytes[0]);
	assert_int_equal(n, payloads(&burst, bytes[1], sizeof bytes[1]));
	assert_memory_equal(bytes[0], bytes[1], n);
	assert_int_equal(single.sent_tunnel, burst.sent_tunnel);
	assert_int_equal(single.p.packets_out, burst.p.packets_out);
	assert_int_equal(single.p.bytes_out, burst.p.bytes_out);
}

static void test_trains(void **state)
{
	static const char *const ends[][2] = { { "10.1.0.2", "192.0.2.80" },
		{ "2001:db8:1::2", "2001:db8:99::9" }, { "10.1.0.2", "10.2.0.9" },
		{ "2001:db8:1::2", "2001:db8:2::9" } };

	(void)state;
	for (uint64_t number = 1; number <= 60; number++) {
		talks_begin(number);
		const char *const *e = ends[number % COUNT_OF(ends)];
		bool tcp = number % 3, tunnelled = number % COUNT_OF(ends) > 1;
		struct packet_spec s = { .src = e[0],
			.dst = e[1],
			.proto = tcp ? IP_TCP : IP_UDP,
			.src_port = 1000,
			.dst_port = tcp ? 80 : 9,
			.flags = TCP_SYN };
		struct packet_spec r = { .src = e[1],
			.dst = e[0],
			.proto = s.proto,
			.src_port = s.dst_port,
			.dst_port = 1000,
			.flags = TCP_SYN | TCP_ACK,
			.ack = 1 };
		gates_begin(gate_text, "", SESSIONS);
		tunnels_begin();
		if (tcp) {
			both(GATE_LAN, s);
			both(tunnelled ? TALK_TUNNEL : GATE_WAN, r);
			s.flags = TCP_ACK;
			s.seq = s.ack = 1;
			both(GATE_LAN, s);
		}
		s.flags = tcp ? (uint8_t)(TCP_ACK | TCP_PSH | (pick(2) ? TCP_FIN : 0)) : 0;
		if (pick(6) == 0)
			s.dst_port = 4; /* denied, or of no session */
		s.hops = pick(6) ? 64 : 1;
		train_once(s, 100 + pick(1200), 2 + pick(30));
		gates_end();
	}
}

/* ---- trains in tunnels of others ---- */

/* A burst of them, and the same packets one by one: what leaves is the same octet for octet. */
static void tunnels_once(const char *src, const char *dst)
{
	static uint8_t payload[20000];
	uint32_t packets = 0;

	gate_clear(&single);
	gate_clear(&burst);
	struct train trains[BURST];
	uint32_t n = 1 + pick(BURST);
	for (uint32_t i = 0; i < n; i++) {
		enum packet_tunnel how = (enum packet_tunnel)pick(IN_COUNT);
		bool v6 = pick(2), tcp = pick(2);
		uint32_t size = 200 + pick(1100), total = 1 + pick(sizeof payload);
		struct packet_spec outer = { .src = src,
			.dst = dst,
			.src_port = (uint16_t)(1000 + pick(2)),
			.dst_port = pick(8) ? 9 : 4, /* denied */
			.hops = pick(8) ? 64 : 1 };
		struct packet_spec inner = { .src = v6 ? "fd00:5::1" : "172.16.0.1",
			.dst = v6 ? "fd00:5::2" : "172.16.0.2",
			.proto = tcp ? IP_TCP : IP_UDP,
			.flags = TCP_ACK,
			.payload_n = total,
			.payload = payload,
			.partial = true };
		for (uint32_t k = 0; k < total; k++)
			payload[k] = (uint8_t)pick(256);
		trains[i] = packet_in(&rooms[1][i], how, outer, &inner);
		trains[i].segment_size = (uint16_t)size;
		talk_arrives(&burst, GATE_LAN, &trains[i]);
		inner.partial = false;
		for (uint32_t done = 0; done < total; done += size) {
			inner.payload = payload + done;
			inner.payload_n = MIN_OF(size, total - done);
			inner.number = outer.number = (uint16_t)(done / size);
			struct train one = packet_in(&rooms[0][0], how, outer, &inner);
			talk_arrives(&single, GATE_LAN, &one);
			pipeline_burst(&single.p, &one, 1, single.now);
			inner.seq += (uint32_t)inner.payload_n;
			packets++;
		}
	}
	pipeline_burst(&burst.p, trains, n, burst.now);
	assert_memory_equal(single.p.drops, burst.p.drops, sizeof burst.p.drops);
	assert_int_equal(single.p.packets_in, burst.p.packets_in);
	assert_int_equal(burst.p.packets_in, packets);
	assert_int_equal(single.p.bytes_in, burst.p.bytes_in);
	/* without the answers: the sender of a train is told once */
	assert_int_equal(single.p.packets_out - single.p.error_replies_sent,
		burst.p.packets_out - burst.p.error_replies_sent);
	assert_true(same_outputs(GATE_OUT_LINK, gate_interface(&burst, GATE_WAN)));
	assert_int_equal(single.sent_tunnel, burst.sent_tunnel);
	same_sessions("trains in tunnels");
}

static void test_trains_in_tunnels(void **state)
{
	uint64_t clear = 0, sent = 0, dropped = 0;

	(void)state;
	for (uint64_t number = 1; number <= 120; number++) {
		talks_begin(number);
		bool v6 = number & 1, sealed = number & 2;
		gates_begin(gate_text, number & 4 ? nat : "", 64);
		tunnels_begin();
		tunnels_once(
			v6 ? "2001:db8:1::2" : "10.1.0.2", sealed ? (v6 ? "2001:db8:2::9" : "10.2.0.9")
								  : (v6 ? "2001:db8:99::9" : "192.0.2.80"));
		clear += burst.sent_link;
		sent += burst.sent_tunnel;
		dropped += burst.p.drops[DROP_TTL] + burst.p.drops[DROP_DEFAULT_DENY];
		gates_end();
	}
	assert_true(clear > 1000 && sent > 1000 && dropped > 1000);
}

/* ---- captures ---- */

/* Who speaks first stands inside: routes are laid as the capture shows them. */
static void route_inside(struct gate *g, const struct ip_addr *a)
{
	struct route_entry e = {
		.dst = { *a, a->family == ADDR_V4 ? 32 : 128 }, .link = GATE_LAN, .kind = ROUTE_UNICAST
	};

	assert_int_equal(addr_parse(&e.gateway, a->family == ADDR_V4 ? "10.1.0.2" : "2001:db8:1::2"), RC_OK);
	assert_int_equal(route_set(g->routes, &e, ROUTE_REPLACE), RC_OK);
}

static bool is_inside(const struct ip_addr *a)
{
	struct route_answer r;

	route_lookup(single.routes, 0, a, &r);
	return r.link == GATE_LAN;
}

static uint64_t play(const char *path, const char *text, const char *more)
{
	struct train a[TRAIN_BURST_MAX], b[TRAIN_BURST_MAX];
	struct capture c;
	const uint8_t *ip;
	size_t n;
	uint64_t total = 0;
	uint32_t k = 0, want = 1;
	bool left = true;

	if (!capture_open(&c, path))
		return 0;
	gates_begin(text, more, 4096);
	while (left && total < 20000) {
		left = capture_next(&c, &ip, &n);
		if (left && (!ip || n == 0 || n > TRAIN_BYTES_MAX))
			continue;
		if (left) {
			struct train *t[2] = { &a[k], &b[k] };
			for (int i = 0; i < 2; i++) {
				*t[i] = (struct train){ .ip = rooms[i][k].room + TRAIN_HEAD_ROOM,
					.len = (uint32_t)n };
				memcpy(t[i]->ip, ip, n);
			}
			struct train parsed = a[k];
			if (train_parse(&parsed) == DROP_NONE && !is_inside(&parsed.src) &&
				!is_inside(&parsed.dst)) {
				route_inside(&single, &parsed.src);
				route_inside(&burst, &parsed.src);
			}
			uint32_t from = parsed.src.family && is_inside(&parsed.src) ? GATE_LAN : GATE_WAN;
			talk_arrives(&single, from, &a[k]);
			talk_arrives(&burst, from, &b[k]);
			k++;
			total++;
		}
		if (k == want || (!left && k)) {
			run(a, b, k, path);
			k = 0;
			want = 1 + pick(TRAIN_BURST_MAX);
		}
	}
	capture_close(&c);
	gates_end();
	return total;
}

static char open_text[8192]; /* all may go out */
static uint64_t played;

static int play_file(const char *path, const struct stat *st, int kind, struct FTW *where)
{
	(void)st;
	(void)where;
	talks_begin(played);
	if (kind == FTW_F)
		played += play(path, open_text, pick(2) ? nat : "");
	return 0;
}

static void test_captures(void **state)
{
	const char *folder = captures_folder();
	const char *at = strstr(gate_text, "policy {");

	(void)state;
	if (!folder)
		skip();
	snprintf(open_text, sizeof open_text,
		"%.*spolicy { from trust to untrust { rule all { match { source any; destination any; "
		"application any; } then { "
		"permit; } } } }\n%%s\n",
		(int)(at - gate_text), gate_text);
	assert_int_equal(nftw(folder, play_file, 16, FTW_PHYS), 0);
	assert_true(played > 1000);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_bursts),
		cmocka_unit_test(test_trains),
		cmocka_unit_test(test_trains_in_tunnels),
		cmocka_unit_test(test_captures),
	};
	return cmocka_run_group_tests_name("dataplane/bursts", tests, NULL, NULL);
}
