/*
 * Sessions that others begin by a binding of persistent NAT, in the whole pipeline: with one worker and with several, packets
 * arriving at any of them, the verdicts are the same and the packets go to the same places. The worker of the binding has
 * such a session, wherever its packets arrive.
 */
#include "sides.h"
#include "wire/ip.h"

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

static uint16_t mapped[2][ENDS];

static void is_there(struct gate *g, const char *addr)
{
	struct route_neighbour n = {
		.link = GATE_LAN, .mac = { 2, 0, 0, 0, 1, 3 }, .state = ROUTE_NEIGHBOUR_VALID
	};

	assert_int_equal(addr_parse(&n.addr, addr), RC_OK);
	assert_int_equal(route_neighbour_set(g->routes, &n), RC_OK);
}

static void begin(uint32_t seed, const char *nat)
{
	sides_begin(seed, 2 + seed % 2 * 2, text, nat, 128);
	for (int k = 0; k < 2; k++) {
		is_there(&sides[k].team[0], NEIGHBOUR);
		for (uint32_t i = 0; i < sides[k].n; i++)
			pipeline_changed(&sides[k].team[i].p);
	}
}

static enum drop_reason udp(
	struct side *s, uint32_t link, const char *src, uint16_t src_port, const char *dst, uint16_t dst_port)
{
	const struct packet_spec spec = {
		.src = src, .dst = dst, .proto = IP_UDP, .src_port = src_port, .dst_port = dst_port
	};

	return side_arrives(s, link, &spec);
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
		mapped[s - sides][i] = s->out.src_port;
		for (uint16_t k = 0; k < 4; k++) {
			assert_int_equal(
				udp(s, GATE_LAN, HOST, (uint16_t)(1000 + i), INTERNET, (uint16_t)(1000 + k)),
				DROP_NONE);
			assert_int_equal(s->out.src_port, mapped[s - sides][i]);
		}
	}
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
	side_run(s);
	assert_int_equal(side_sessions(s), 0);
}

static void strangers(struct side *s, bool by_address)
{
	for (uint16_t i = 0; i < ENDS; i++)
		for (uint16_t k = 0; k < 8; k++) {
			uint16_t from = (uint16_t)(2000 + k), inside = (uint16_t)(1000 + i);
			enum drop_reason d = udp(s, GATE_WAN, STRANGER, from, OUTSIDE, mapped[s - sides][i]);
			assert_int_equal(d, by_address ? DROP_NAT_FILTERED : DROP_NONE);
			const char *who = by_address ? INTERNET : STRANGER;
			assert_int_equal(
				udp(s, GATE_WAN, who, from, OUTSIDE, mapped[s - sides][i]), DROP_NONE);
			came_out(s, who, from, HOST, inside);
			assert_int_equal(udp(s, GATE_LAN, HOST, inside, who, from), DROP_NONE);
			came_out(s, OUTSIDE, mapped[s - sides][i], who, from);
			assert_int_equal(
				udp(s, GATE_WAN, who, from, OUTSIDE, mapped[s - sides][i]), DROP_NONE);
			came_out(s, who, from, HOST, inside);
		}
}

static void hairpins(struct side *s)
{
	for (uint16_t i = 0; i < ENDS; i++) {
		assert_int_equal(
			udp(s, GATE_LAN, NEIGHBOUR, (uint16_t)(3000 + i), OUTSIDE, mapped[s - sides][i]),
			DROP_NONE);
		came_out(s, OUTSIDE, 0, HOST, (uint16_t)(1000 + i));
		uint16_t back = s->out.src_port;
		assert_int_equal(udp(s, GATE_LAN, HOST, (uint16_t)(1000 + i), OUTSIDE, back), DROP_NONE);
		came_out(s, OUTSIDE, mapped[s - sides][i], NEIGHBOUR, (uint16_t)(3000 + i));
	}
}

#define NAT(filtering)                                                                                       \
	"nat { source { rule all { from trust; to untrust; then { source-nat interface;\n"                   \
	"  persistent-nat " filtering "; } } } }"

static void anybody(void **state)
{
	(void)state;
	for (uint32_t seed = 1; seed <= SEEDS; seed++) {
		begin(seed, NAT("endpoint-independent"));
		for (int k = 0; k < 2; k++) {
			map_all(&sides[k]);
			strangers(&sides[k], false);
			hairpins(&sides[k]);
		}
		assert_int_equal(side_sessions(&sides[0]), side_sessions(&sides[1]));
		for (int k = 0; k < 2; k++)
			all_ends(&sides[k]);
		sides_end();
	}
}

static void by_address(void **state)
{
	(void)state;
	for (uint32_t seed = 1; seed <= SEEDS; seed++) {
		begin(seed, NAT("address-dependent"));
		for (int k = 0; k < 2; k++) {
			map_all(&sides[k]);
			strangers(&sides[k], true);
			assert_int_equal(udp(&sides[k], GATE_LAN, NEIGHBOUR, 3000, OUTSIDE, mapped[k][0]),
				DROP_NAT_FILTERED);
		}
		assert_int_equal(side_sessions(&sides[0]), side_sessions(&sides[1]));
		for (int k = 0; k < 2; k++)
			all_ends(&sides[k]);
		sides_end();
	}
}

/* What is published stays so, at every worker, and inside hosts cannot take it by binding its port. */
static void published_ports(void **state)
{
	(void)state;
	for (uint32_t seed = 1; seed <= 8; seed++) {
		begin(seed,
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
		sides_end();
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
