/*
 * Sessions that others begin by a binding of persistent NAT, in the whole pipeline: with one worker and with several, packets
 * arriving at any of them, the verdicts are the same and the packets go to the same places. The worker of the binding has
 * such a session, wherever its packets arrive.
 */
#include "gate.h"
#include "wire/ip.h"

#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>
#include <stdio.h>

#define HOST	  "10.1.0.2"
#define NEIGHBOUR "10.1.0.3"
#define OUTSIDE	  "198.51.100.2"
#define INTERNET  "192.0.2.80"
#define STRANGER  "192.0.2.99"
#define SEEDS	  40
#define ENDS	  6 /* inside ports */

static const char text[] =
	"system { host-name gate; }\n"
	"zones { zone trust { interfaces lan0; } zone untrust { interfaces wan0; } }\n"
	"address-book { address outside { prefix 198.51.100.2; } }\n"
	"applications { application published { protocol udp; destination-port 50443; } }\n"
	"policy { from trust to untrust { rule out { match { source any; destination any; application any; }\n"
	"  then { permit; } } }\n"
	"from trust to trust { rule among { match { source any; destination any; application any; }\n"
	"  then { permit; } } } }\n%s\n";

struct side {
	struct gate team[WORKERS_MAX];
	struct gate_queue queues[WORKERS_MAX];
	uint32_t n, on_the_way;
	enum drop_reason drop; /* of the last packet */
	uint16_t mapped[ENDS];
	struct train out; /* that came out last */
	bool is_out;
};

static struct side sides[2]; /* with one worker, and with several */
static struct packet packet;
static uint32_t numbers;

static uint32_t pick(uint32_t n)
{
	numbers = numbers * 1664525 + 1013904223;
	return (numbers >> 8) % n;
}

static void is_there(struct gate *g, const char *addr)
{
	struct route_neighbour n = {
		.link = GATE_LAN, .mac = { 2, 0, 0, 0, 1, 3 }, .state = ROUTE_NEIGHBOUR_VALID
	};

	assert_int_equal(addr_parse(&n.addr, addr), RC_OK);
	assert_int_equal(route_neighbour_set(g->routes, &n), RC_OK);
}

static void begin(uint32_t seed, uint32_t workers, const char *nat)
{
	numbers = seed;
	gate_flow_key[0] = (uint8_t)seed;
	for (int k = 0; k < 2; k++) {
		struct side *s = &sides[k];
		s->n = k ? workers : 1;
		gate_init_team(s->team, s->n, text, nat, 128);
		is_there(&s->team[0], NEIGHBOUR);
		for (uint32_t i = 0; i < s->n; i++) {
			pthread_mutex_init(&s->queues[i].lock, NULL);
			s->team[i].queues = s->queues;
			s->team[i].on_the_way = &s->on_the_way;
			pipeline_changed(&s->team[i].p);
		}
	}
}

static void end(void)
{
	for (int k = 0; k < 2; k++)
		for (uint32_t i = sides[k].n; i-- > 0;)
			gate_done(&sides[k].team[i]);
}

static void everything_runs(struct side *s)
{
	while (s->on_the_way > 0)
		for (uint32_t i = 0; i < s->n; i++)
			gate_queue_run(&s->team[i], true);
}

static uint64_t drops_of(const struct side *s, int reason)
{
	uint64_t n = 0;

	for (uint32_t i = 0; i < s->n; i++)
		n += s->team[i].p.drops[reason];
	return n;
}

static void outputs_read(struct side *s)
{
	s->is_out = false;
	for (uint32_t i = 0; i < s->n && s->drop == DROP_NONE; i++)
		for (uint32_t o = 0; o < s->team[i].out_n; o++) {
			assert_false(s->is_out);
			s->is_out = true;
			s->out = (struct train){ .ip = s->team[i].out[o].bytes,
				.len = s->team[i].out[o].n,
				.csum = TRAIN_CSUM_UNKNOWN };
			assert_int_equal(train_parse(&s->out), DROP_NONE);
			assert_true(packet_sound(s->out.ip, s->out.len));
		}
}

/* It arrives at any worker. */
static enum drop_reason arrives(struct side *s, uint32_t link, const struct packet_spec *spec)
{
	uint64_t before[DROP_COUNT];

	for (uint32_t i = 0; i < s->n; i++)
		gate_clear(&s->team[i]);
	for (int r = 0; r < DROP_COUNT; r++)
		before[r] = drops_of(s, r);
	gate_from_link(&s->team[pick(s->n)], link, packet_make(&packet, spec));
	everything_runs(s);
	s->drop = DROP_NONE;
	for (int r = 1; r < DROP_COUNT; r++)
		if (before[r] != drops_of(s, r))
			s->drop = (enum drop_reason)r;
	outputs_read(s);
	return s->drop;
}

static enum drop_reason udp(
	struct side *s, uint32_t link, const char *src, uint16_t src_port, const char *dst, uint16_t dst_port)
{
	const struct packet_spec spec = {
		.src = src, .dst = dst, .proto = IP_UDP, .src_port = src_port, .dst_port = dst_port
	};

	return arrives(s, link, &spec);
}

static void came_out(
	const struct side *s, const char *src, uint16_t src_port, const char *dst, uint16_t dst_port)
{
	char addr[ADDR_TEXT_MAX];

	assert_true(s->is_out);
	assert_string_equal(addr_text(addr, &s->out.src), src);
	assert_string_equal(addr_text(addr, &s->out.dst), dst);
	assert_int_equal(s->out.dst_port, dst_port);
	if (src_port)
		assert_int_equal(s->out.src_port, src_port);
}

static void map_all(struct side *s)
{
	for (uint16_t i = 0; i < ENDS; i++) {
		assert_int_equal(udp(s, GATE_LAN, HOST, (uint16_t)(1000 + i), INTERNET, (uint16_t)(53 + i)),
			DROP_NONE);
		s->mapped[i] = s->out.src_port;
		for (uint16_t k = 0; k < 4; k++) {
			assert_int_equal(
				udp(s, GATE_LAN, HOST, (uint16_t)(1000 + i), INTERNET, (uint16_t)(1000 + k)),
				DROP_NONE);
			assert_int_equal(s->out.src_port, s->mapped[i]);
		}
	}
}

static uint64_t records(const struct side *s)
{
	uint64_t n = 0;

	for (uint32_t i = 0; i < s->n; i++)
		n += fw_counters(s->team[i].fw)->sessions_now;
	return n;
}

static void all_ends(struct side *s)
{
	for (uint32_t i = 0; i < s->n; i++) {
		for (int k = 0; k < 20; k++) { /* bindings end after their sessions */
			s->team[i].p.now = s->team[i].now += 3600 * NS_PER_S;
			fw_expire(s->team[i].fw, s->team[i].now, 100000);
		}
		pipeline_notes(&s->team[i].p);
	}
	everything_runs(s);
	assert_int_equal(records(s), 0);
}

static void strangers(struct side *s, bool by_address)
{
	for (uint16_t i = 0; i < ENDS; i++)
		for (uint16_t k = 0; k < 8; k++) {
			uint16_t from = (uint16_t)(2000 + k), inside = (uint16_t)(1000 + i);
			enum drop_reason d = udp(s, GATE_WAN, STRANGER, from, OUTSIDE, s->mapped[i]);
			assert_int_equal(d, by_address ? DROP_NAT_FILTERED : DROP_NONE);
			const char *who = by_address ? INTERNET : STRANGER;
			assert_int_equal(udp(s, GATE_WAN, who, from, OUTSIDE, s->mapped[i]), DROP_NONE);
			came_out(s, who, from, HOST, inside);
			assert_int_equal(udp(s, GATE_LAN, HOST, inside, who, from), DROP_NONE);
			came_out(s, OUTSIDE, s->mapped[i], who, from);
			assert_int_equal(udp(s, GATE_WAN, who, from, OUTSIDE, s->mapped[i]), DROP_NONE);
			came_out(s, who, from, HOST, inside);
		}
}

static void hairpins(struct side *s)
{
	for (uint16_t i = 0; i < ENDS; i++) {
		assert_int_equal(
			udp(s, GATE_LAN, NEIGHBOUR, (uint16_t)(3000 + i), OUTSIDE, s->mapped[i]), DROP_NONE);
		came_out(s, OUTSIDE, 0, HOST, (uint16_t)(1000 + i));
		uint16_t back = s->out.src_port;
		assert_int_equal(udp(s, GATE_LAN, HOST, (uint16_t)(1000 + i), OUTSIDE, back), DROP_NONE);
		came_out(s, OUTSIDE, s->mapped[i], NEIGHBOUR, (uint16_t)(3000 + i));
	}
}

#define NAT(filtering)                                                                                       \
	"nat { source { rule all { from trust; to untrust; then { source-nat interface;\n"                   \
	"  persistent-nat " filtering "; } } } }"

static void anybody(void **state)
{
	(void)state;
	for (uint32_t seed = 1; seed <= SEEDS; seed++) {
		begin(seed, 2 + seed % 2 * 2, NAT("endpoint-independent"));
		for (int k = 0; k < 2; k++) {
			map_all(&sides[k]);
			strangers(&sides[k], false);
			hairpins(&sides[k]);
		}
		assert_int_equal(records(&sides[0]), records(&sides[1]));
		for (int k = 0; k < 2; k++)
			all_ends(&sides[k]);
		end();
	}
}

static void by_address(void **state)
{
	(void)state;
	for (uint32_t seed = 1; seed <= SEEDS; seed++) {
		begin(seed, 2 + seed % 2 * 2, NAT("address-dependent"));
		for (int k = 0; k < 2; k++) {
			map_all(&sides[k]);
			strangers(&sides[k], true);
			assert_int_equal(
				udp(&sides[k], GATE_LAN, NEIGHBOUR, 3000, OUTSIDE, sides[k].mapped[0]),
				DROP_NAT_FILTERED);
		}
		assert_int_equal(records(&sides[0]), records(&sides[1]));
		for (int k = 0; k < 2; k++)
			all_ends(&sides[k]);
		end();
	}
}

/* What is published stays so, at every worker, and inside hosts cannot take it by binding its port. */
static void published_ports(void **state)
{
	(void)state;
	for (uint32_t seed = 1; seed <= 8; seed++) {
		begin(seed, 2 + seed % 2 * 2,
			"nat { destination { rule web { from untrust; match { destination outside; application published; }\n"
			"  then { destination-nat 10.1.0.3; port 80; } } }\n"
			"source { rule all { from trust; to untrust; then { source-nat interface; ports 50440-50447;\n"
			"  persistent-nat endpoint-independent; } } } }");
		for (int k = 0; k < 2; k++) {
			struct side *s = &sides[k];
			uint16_t inside = 1000;
			for (; inside < 1008; inside++)
				udp(s, GATE_LAN, HOST, inside, INTERNET, 53);
			assert_int_equal(udp(s, GATE_WAN, STRANGER, 7, OUTSIDE, 50443), DROP_DEFAULT_DENY);
		}
		end();
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(anybody),
		cmocka_unit_test(by_address),
		cmocka_unit_test(published_ports),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
