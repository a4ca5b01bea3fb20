/*
 * Destination and static NAT: what a server and a client see, what policy decides about, what an error may tell, and
 * which sessions a commit and a restart leave. Rules are compared with a naive reference at random.
 */
#include "scene.h"

#include <stdio.h>
#include <stdlib.h>

#define OUTSIDE	 "198.51.100.9"
#define OUTSIDE6 "2001:db8:99::9"
#define GATE	 "203.0.113.1"
#define GATE6	 "2001:db8:3::1"
#define PUBLIC	 "203.0.113.10"
#define PUBLIC6	 "2001:db8:3::10"
#define SERVER	 "192.168.0.10"
#define SERVER6	 "2001:db8:2::10"
#define INSIDE	 "10.0.0.2"

static void begin(void)
{
	scene_begin(WORLD_SESSIONS);
	/* to the servers' own addresses and ports, and to nothing that is published */
	policy_rule(&p, "web", UNTRUST, DMZ, "any", "192.168.0.0/24 2001:db8:2::/64",
		"tcp/8080 udp/5000-5009 icmp/8 icmp6/128", RULE_PERMIT);
	policy_rule(&p, "in", UNTRUST, TRUST, "any", "10.0.0.0/24", "tcp/22", RULE_PERMIT);
	policy_rule(&p, "inside", TRUST, TRUST, "any", "10.0.0.0/24", "tcp/22", RULE_PERMIT);
	policy_rule(&p, "out", DMZ, UNTRUST, "any", "any", "any", RULE_PERMIT);
}

static int setup(void **state)
{
	(void)state;
	begin();
	return 0;
}

static void publish(void)
{
	policy_dnat(&p, "not", UNTRUST, "198.51.100.66", PUBLIC, "any", NULL, 0, 0);
	policy_dnat(&p, "web", UNTRUST, "any", PUBLIC, "tcp/80", SERVER, 8080, 8080);
	policy_dnat(&p, "web6", UNTRUST, "any", PUBLIC6, "tcp/80", SERVER6, 8080, 8080);
	policy_dnat(&p, "range", UNTRUST, "any", PUBLIC, "udp/6000-6009", SERVER, 5000, 5009);
	policy_dnat(&p, "ping", UNTRUST, "any", PUBLIC " " PUBLIC6, "icmp/8", SERVER, 0, 0);
	policy_dnat(&p, "ping6", UNTRUST, "any", PUBLIC6, "icmp6/128", SERVER6, 0, 0);
}

/* A limit of destinations is about the server itself, by whichever address it is reached. */
static void test_session_limit_of_a_server(void **state)
{
	(void)state;
	publish();
	policy_dnat(&p, "web-too", UNTRUST, "any", "203.0.113.11", "tcp/80", SERVER, 8080, 8080);
	p.zones[UNTRUST].destination_sessions_max = 2;
	world_load(&w, &p);
	scene_expect(DROP_NONE, scene_packet(IP_TCP, OUTSIDE, 1000, PUBLIC, 80, false));
	scene_expect(DROP_NONE, scene_packet(IP_TCP, OUTSIDE, 1001, "203.0.113.11", 80, false));
	scene_expect(DROP_DESTINATION_SESSION_LIMIT, scene_packet(IP_TCP, OUTSIDE, 1002, PUBLIC, 80, false));
	scene_expect(DROP_DESTINATION_SESSION_LIMIT,
		scene_packet(IP_TCP, OUTSIDE, 1003, "203.0.113.11", 80, false));
	scene_expect(DROP_NONE, scene_packet(IP_TCP, OUTSIDE6, 1000, PUBLIC6, 80, false));
}

static void test_there_and_back(void **state)
{
	(void)state;
	publish();
	world_load(&w, &p);
	scene_expect(DROP_NONE, scene_packet(IP_TCP, OUTSIDE, 1000, PUBLIC, 80, false));
	scene_leaves(OUTSIDE, 1000, SERVER, 8080);
	assert_int_equal(w.t.out_zone, DMZ);
	scene_expect(DROP_NONE, scene_packet(IP_TCP, SERVER, 8080, OUTSIDE, 1000, true));
	scene_leaves(PUBLIC, 80, OUTSIDE, 1000);
	scene_expect(DROP_NONE, scene_packet(IP_TCP, OUTSIDE6, 1000, PUBLIC6, 80, false));
	scene_leaves(OUTSIDE6, 1000, SERVER6, 8080);
	scene_expect(DROP_NONE, scene_packet(IP_TCP, SERVER6, 8080, OUTSIDE6, 1000, true));
	scene_leaves(PUBLIC6, 80, OUTSIDE6, 1000);
	scene_expect(DROP_NONE, scene_packet(IP_UDP, OUTSIDE, 1000, PUBLIC, 6007, false));
	scene_leaves(OUTSIDE, 1000, SERVER, 5007);
	scene_expect(DROP_NONE, scene_packet(IP_UDP, SERVER, 5007, OUTSIDE, 1000, true));
	scene_leaves(PUBLIC, 6007, OUTSIDE, 1000);
	scene_expect(DROP_NONE, scene_packet(IP_ICMP, OUTSIDE, 77, PUBLIC, 0, false));
	scene_leaves(OUTSIDE, 77, SERVER, 77);
	char text[FW_EXPLAIN_MAX];
	assert_non_null(strstr(fw_explain(w.fw, &w.t, text),
		"destination 203.0.113.10 id 77 translated to 192.168.0.10 id 77 by rule ping"));
	scene_expect(DROP_NONE, scene_packet(IP_ICMP, SERVER, 77, OUTSIDE, 0, true));
	scene_leaves(PUBLIC, 77, OUTSIDE, 77);
	scene_expect(DROP_NONE, scene_packet(IP_ICMPV6, OUTSIDE6, 78, PUBLIC6, 0, false));
	scene_leaves(OUTSIDE6, 78, SERVER6, 78);
	scene_expect(DROP_NONE, scene_packet(IP_ICMPV6, SERVER6, 78, OUTSIDE6, 0, true));
	scene_leaves(PUBLIC6, 78, OUTSIDE6, 78);
	assert_int_equal(scene_sessions(), 5);
	assert_int_equal(fw_dnat_rule_hits(w.fw, 1)->hits, 1);
	assert_int_equal(fw_dnat_rule_hits(w.fw, 0)->hits, 0);
}

/* Policy decides about the server; an exception comes first; another port is not published. */
static void test_policy(void **state)
{
	(void)state;
	publish();
	policy_dnat(&p, "closed", UNTRUST, "any", PUBLIC, "tcp/443", SERVER, 0, 0);
	world_load(&w, &p);
	scene_expect(DROP_DEFAULT_DENY, scene_packet(IP_TCP, OUTSIDE, 1000, PUBLIC, 443, false));
	scene_expect(DROP_DEFAULT_DENY, scene_packet(IP_TCP, "198.51.100.66", 1000, PUBLIC, 80, false));
	scene_expect(DROP_DEFAULT_DENY, scene_packet(IP_TCP, OUTSIDE, 1000, PUBLIC, 81, false));
	scene_expect(DROP_DEFAULT_DENY, scene_packet(IP_TCP, INSIDE, 1000, PUBLIC, 80, false));
	assert_int_equal(scene_sessions(), 0);
	/* a packet that begins nothing is no connection */
	struct packet_spec ack = scene_packet(IP_TCP, OUTSIDE, 1000, PUBLIC, 80, false);
	ack.flags = TCP_ACK;
	scene_expect(DROP_NO_SESSION, ack);
	/* the server's own address and port stay what they are */
	scene_expect(DROP_NONE, scene_packet(IP_TCP, OUTSIDE, 1001, SERVER, 8080, false));
	scene_leaves(OUTSIDE, 1001, SERVER, 8080);
	/* the same client and port by the published address: answers could not be told apart */
	scene_expect(DROP_SESSION_COLLISION, scene_packet(IP_TCP, OUTSIDE, 1001, PUBLIC, 80, false));
	/* AH covers its addresses */
	policy_dnat(&p, "all", UNTRUST, "any", "203.0.113.11", "any", SERVER, 0, 0);
	policy_rule(&p, "more", -1, -1, "any", "any", "any", RULE_PERMIT);
	world_load(&w, &p);
	scene_expect(DROP_NAT_PROTOCOL, scene_packet(IP_AH, OUTSIDE, 0, "203.0.113.11", 0, false));
	scene_expect(DROP_NONE, scene_packet(IP_GRE, OUTSIDE, 0, "203.0.113.11", 0, false));
	scene_leaves(OUTSIDE, 0, SERVER, 0);
}

/* An interface's addresses: the world says that the gateway's address is UNTRUST's. */
static void test_interface(void **state)
{
	(void)state;
	p.interfaces_n = 3;
	for (uint32_t i = 0; i < 3; i++) {
		p.interfaces[i] = (struct snap_interface){ .zone = i };
		snprintf(p.interfaces[i].name, sizeof p.interfaces[i].name, "e%u", i);
	}
	struct snap_dnat_rule *r = policy_dnat(&p, "if", -1, "any", "any", "tcp/22", "10.0.0.7", 0, 0);
	r->interfaces = 1ull << TRUST;
	r = policy_dnat(&p, "if2", -1, "any", "any", "tcp/22", "10.0.0.8", 0, 0);
	r->interfaces = 1ull << UNTRUST;
	world_load(&w, &p);
	scene_expect(DROP_NONE, scene_packet(IP_TCP, OUTSIDE, 1000, GATE, 22, false));
	scene_leaves(OUTSIDE, 1000, "10.0.0.8", 22);
	scene_expect(DROP_DEFAULT_DENY, scene_packet(IP_TCP, OUTSIDE, 1000, PUBLIC, 22, false));
	/* the session is found again by its own rule, and stays */
	world_load(&w, &p);
	assert_int_equal(scene_sessions(), 1);
	scene_expect(DROP_NONE, scene_packet(IP_TCP, "10.0.0.8", 22, OUTSIDE, 1000, true));
	scene_leaves(GATE, 22, OUTSIDE, 1000);
	/* the address is another interface's now */
	struct packet_spec s = scene_packet(IP_TCP, OUTSIDE, 1000, GATE, 22, false);
	s.flags = TCP_ACK;
	s.seq = 2;
	s.ack = 2;
	w.t = packet_make(&w.packet, &s);
	assert_int_equal(train_parse(&w.t), DROP_NONE);
	struct train *burst[1] = { &w.t };
	w.t.in_zone = UNTRUST;
	fw_lookup_burst(w.fw, burst, 1, w.now);
	assert_true(w.t.session != TRAIN_NONE && fw_dnat_holds(w.fw, &w.t, 1ull << UNTRUST));
	assert_false(fw_dnat_holds(w.fw, &w.t, 0));
	assert_false(fw_dnat_holds(w.fw, &w.t, 1ull << TRUST));
}

/* Inside clients: the server must answer the gateway. Policy decides as within any zone. */
static void test_hairpin(void **state)
{
	(void)state;
	policy_dnat(&p, "ssh", -1, "any", PUBLIC, "tcp/2222", "10.0.0.7", 22, 22);
	policy_dnat(&p, "web", -1, "any", PUBLIC, "tcp/80", "10.0.0.7", 0, 0);
	world_load(&w, &p);
	scene_expect(DROP_NONE, scene_packet(IP_TCP, INSIDE, 50000, PUBLIC, 2222, false));
	scene_leaves(GATE, 50000, "10.0.0.7", 22);
	scene_expect(DROP_NONE, scene_packet(IP_TCP, "10.0.0.7", 22, GATE, 50000, true));
	scene_leaves(PUBLIC, 2222, INSIDE, 50000);
	scene_expect(DROP_DEFAULT_DENY, scene_packet(IP_TCP, INSIDE, 50000, PUBLIC, 80, false));
	/* from elsewhere the client keeps its address */
	scene_expect(DROP_NONE, scene_packet(IP_TCP, OUTSIDE, 50000, PUBLIC, 2222, false));
	scene_leaves(OUTSIDE, 50000, "10.0.0.7", 22);
	/* also over a commit and a restart */
	world_load(&w, &p);
	world_restart(&w);
	world_load(&w, &p);
	assert_int_equal(scene_sessions(), 2);
	/* where a source rule says off, it is off */
	policy_nat(&p, "never", TRUST, TRUST, "any", "any", NAT_OFF, NULL);
	world_load(&w, &p);
	scene_expect(DROP_NONE, scene_packet(IP_TCP, INSIDE, 50001, PUBLIC, 2222, false));
	scene_leaves(INSIDE, 50001, "10.0.0.7", 22);
}

/* One client, one server of the range; all of them are used. */
static void test_servers(void **state)
{
	uint32_t used[4] = { 0 };
	char client[32];

	(void)state;
	policy_dnat(&p, "farm", UNTRUST, "any", PUBLIC, "udp/5000-5009", "192.168.0.20-192.168.0.23", 0, 0);
	world_load(&w, &p);
	for (uint32_t i = 0; i < 60; i++) {
		snprintf(client, sizeof client, "198.51.100.%u", 1 + i / 2);
		scene_expect(
			DROP_NONE, scene_packet(IP_UDP, client, (uint16_t)(1000 + i), PUBLIC, 5001, false));
		uint32_t server = w.t.dst.b[3] - 20u;
		static uint32_t before;
		assert_in_range(server, 0, 3);
		used[server]++;
		if (i % 2)
			assert_int_equal(server, before);
		before = server;
	}
	assert_true(used[0] && used[1] && used[2] && used[3]);
	/* a new process hashes otherwise; sessions keep their server. A server that is taken out loses its own. */
	world_restart(&w);
	world_load(&w, &p);
	assert_int_equal(scene_sessions(), 60);
	assert_int_equal(addr_parse(&p.dnat_rules[0].to.last, "192.168.0.22"), RC_OK);
	world_load(&w, &p);
	assert_int_equal(scene_sessions(), 60 - used[3]);
}

/* One to one, whoever begins; prefix to prefix. */
static void test_static(void **state)
{
	(void)state;
	policy_static(&p, "net", UNTRUST, "203.0.113.16/28", "192.168.0.32/28");
	policy_static(&p, "net6", UNTRUST, "2001:db8:3:5::/64", "2001:db8:2::/64");
	policy_nat(&p, "rest", DMZ, UNTRUST, "any", "any", NAT_INTERFACE, NULL);
	policy_rule(&p, "across", DMZ, TRUST, "any", "any", "any", RULE_PERMIT);
	policy_rule(&p, "inner", TRUST, DMZ, "any", "192.168.0.0/24", "any", RULE_PERMIT);
	world_load(&w, &p);
	scene_expect(DROP_NONE, scene_packet(IP_TCP, OUTSIDE, 1000, "203.0.113.21", 8080, false));
	scene_leaves(OUTSIDE, 1000, "192.168.0.37", 8080);
	scene_expect(DROP_NONE, scene_packet(IP_TCP, "192.168.0.37", 8080, OUTSIDE, 1000, true));
	scene_leaves("203.0.113.21", 8080, OUTSIDE, 1000);
	scene_expect(DROP_NONE, scene_packet(IP_UDP, "192.168.0.37", 53, OUTSIDE, 53, false));
	scene_leaves("203.0.113.21", 53, OUTSIDE, 53);
	scene_expect(DROP_NONE, scene_packet(IP_UDP, OUTSIDE, 53, "203.0.113.21", 53, true));
	scene_leaves(OUTSIDE, 53, "192.168.0.37", 53);
	scene_expect(DROP_NONE, scene_packet(IP_ICMPV6, OUTSIDE6, 9, "2001:db8:3:5::a:b", 0, false));
	scene_leaves(OUTSIDE6, 9, "2001:db8:2::a:b", 9);
	scene_expect(DROP_NONE, scene_packet(IP_UDP, "2001:db8:2::c", 53, OUTSIDE6, 53, false));
	scene_leaves("2001:db8:3:5::c", 53, OUTSIDE6, 53);
	/* outside of the prefix: the source rules; to another zone: no translation */
	scene_expect(DROP_NONE, scene_packet(IP_UDP, "192.168.0.48", 53, OUTSIDE, 53, false));
	assert_int_equal(w.t.src.b[3], 1);
	scene_expect(DROP_NONE, scene_packet(IP_UDP, "192.168.0.37", 53, INSIDE, 53, false));
	scene_leaves("192.168.0.37", 53, INSIDE, 53);
	/* from inside by the published address */
	scene_expect(DROP_NONE, scene_packet(IP_UDP, INSIDE, 60, "203.0.113.21", 61, false));
	scene_leaves(INSIDE, 60, "192.168.0.37", 61);
	assert_int_equal(scene_sessions(), 7);
	world_load(&w, &p);
	assert_int_equal(scene_sessions(), 7);
	/* without the rules: what came in by them ends, what went out keeps its address */
	p.dnat_rules_n = 0;
	world_load(&w, &p);
	assert_int_equal(scene_sessions(), 4);
}

/* Both ends are translated. */
static void test_twice(void **state)
{
	(void)state;
	publish();
	policy_nat(&p, "in", UNTRUST, DMZ, "any", SERVER, NAT_POOL, "192.168.9.9");
	world_load(&w, &p);
	scene_expect(DROP_NONE, scene_packet(IP_TCP, OUTSIDE, 50000, PUBLIC, 80, false));
	scene_leaves("192.168.9.9", 50000, SERVER, 8080);
	scene_expect(DROP_NONE, scene_packet(IP_TCP, SERVER, 8080, "192.168.9.9", 50000, true));
	scene_leaves(PUBLIC, 80, OUTSIDE, 50000);
	const struct fw_session *s = fw_session(w.fw, w.t.session);
	assert_int_equal(s->nat_rule, 0);
	assert_int_equal(s->dnat_rule, 1);
	char text[FW_EXPLAIN_MAX];
	fw_explain(w.fw, &w.t, text);
	assert_non_null(strstr(
		text, "destination 203.0.113.10 port 80 translated to 192.168.0.10 port 8080 by rule "));
	assert_non_null(strstr(
		text, "source 198.51.100.9 port 50000 translated to 192.168.9.9 port 50000 by rule in"));
	world_restart(&w);
	world_load(&w, &p);
	assert_int_equal(scene_sessions(), 1);
	scene_expect(DROP_NONE, scene_packet(IP_TCP, SERVER, 8080, "192.168.9.9", 50000, true));
	scene_leaves(PUBLIC, 80, OUTSIDE, 50000);
}

static bool holds_octets(const struct ip_addr *a)
{
	size_t n = a->family == ADDR_V4 ? 4 : 16;

	for (uint32_t i = 0; i + n <= w.t.len; i++)
		if (memcmp(w.t.ip + i, a->b, n) == 0)
			return true;
	return false;
}

/* An error about a packet in either direction quotes what its receiver knows, and no inner address leaves. */
static void errors_of(uint8_t proto, bool v6, bool twice)
{
	const char *client = v6 ? OUTSIDE6 : OUTSIDE, *public = v6 ? PUBLIC6 : PUBLIC,
		   *server = v6 ? SERVER6 : SERVER;
	const char *seen = !twice ? client : v6 ? "2001:db8:2::99" : "192.168.9.9";
	const char *router = v6 ? "2001:db8:2::77" : "192.168.0.77";
	uint16_t port = proto == IP_TCP ? 80 : 0, real = proto == IP_TCP ? 8080 : 0;
	uint8_t quote[128], original[128];
	struct packet_spec there = scene_packet(proto, client, 50000, public, port, false);
	struct ip_addr a;

	w.t = packet_make(&w.packet, &there);
	memcpy(original, w.t.ip, w.t.len);
	scene_expect(DROP_NONE, there);
	uint16_t id = w.t.src_port;
	uint32_t n = w.t.len;
	memcpy(quote, w.t.ip, n);
	struct packet_spec e = { .src = router,
		.dst = seen,
		.proto = v6 ? IP_ICMPV6 : IP_ICMP,
		.icmp_type = v6 ? ICMP6_UNREACHABLE : ICMP4_UNREACHABLE,
		.icmp_code = 1,
		.payload = quote,
		.payload_n = n };
	scene_expect(DROP_NONE, e);
	char text[ADDR_TEXT_MAX];
	assert_string_equal(addr_text(text, &w.t.src), public);
	assert_string_equal(addr_text(text, &w.t.dst), client);
	const uint8_t *inner = w.t.ip + (v6 ? 48 : 28);
	assert_memory_equal(inner + (v6 ? 8 : 12), original + (v6 ? 8 : 12), n - (v6 ? 8u : 12u));
	const char *hidden[] = { server, router, twice ? seen : server };
	for (size_t i = 0; i < COUNT_OF(hidden); i++) {
		assert_int_equal(addr_parse(&a, hidden[i]), RC_OK);
		assert_false(holds_octets(&a));
	}
	/* the client's side, about an answer */
	struct packet_spec back = scene_packet(
		proto, server, proto == IP_TCP ? real : id, seen, proto == IP_TCP ? id : 0, true);
	w.t = packet_make(&w.packet, &back);
	memcpy(original, w.t.ip, w.t.len);
	scene_expect(DROP_NONE, back);
	n = w.t.len;
	memcpy(quote, w.t.ip, n);
	e.src = v6 ? "2001:db8:77::1" : "192.0.2.1";
	e.dst = public;
	e.payload_n = n;
	scene_expect(DROP_NONE, e);
	assert_string_equal(addr_text(text, &w.t.dst), server);
	assert_string_equal(addr_text(text, &w.t.src), twice ? seen : e.src);
	inner = w.t.ip + (v6 ? 48 : 28);
	assert_memory_equal(inner + (v6 ? 8 : 12), original + (v6 ? 8 : 12), n - (v6 ? 8u : 12u));
}

static void test_errors(void **state)
{
	(void)state;
	for (int k = 0; k < 8; k++) {
		bool v6 = k & 1, icmp = k & 2, twice = k & 4;
		scene_end(NULL);
		begin();
		publish();
		if (twice) {
			policy_nat(&p, "in", UNTRUST, DMZ, "any", "any", NAT_POOL, "192.168.9.9");
			policy_nat(&p, "in6", UNTRUST, DMZ, "any", "any", NAT_POOL, "2001:db8:2::99");
		}
		world_load(&w, &p);
		errors_of(!icmp ? IP_TCP : v6 ? IP_ICMPV6 : IP_ICMP, v6, twice);
	}
}

/* What the rules no longer say ends; what they say otherwise, too. A source rule ends nothing. */
static void test_commits(void **state)
{
	(void)state;
	publish();
	world_load(&w, &p);
	scene_expect(DROP_NONE, scene_packet(IP_TCP, OUTSIDE, 1000, PUBLIC, 80, false));
	scene_expect(DROP_NONE, scene_packet(IP_UDP, OUTSIDE, 1000, PUBLIC, 6007, false));
	scene_expect(DROP_NONE, scene_packet(IP_ICMP, OUTSIDE, 77, PUBLIC, 0, false));
	world_load(&w, &p);
	assert_int_equal(scene_sessions(), 3);
	assert_int_equal(fw_dnat_rule_hits(w.fw, 1)->hits, 1); /* hits follow the name */
	world_restart(&w);
	assert_int_equal(fw_counters(w.fw)->records_discarded, 0);
	scene_expect(DROP_NONE,
		scene_packet(IP_UDP, SERVER, 5007, OUTSIDE, 1000, true)); /* before the configuration came */
	scene_leaves(PUBLIC, 6007, OUTSIDE, 1000);
	world_load(&w, &p);
	assert_int_equal(scene_sessions(), 3);
	p.dnat_rules[3].port_first--; /* udp/6007 would go to 5006 */
	p.dnat_rules[3].port_last--;
	world_load(&w, &p);
	assert_int_equal(scene_sessions(), 2);
	assert_int_equal(addr_parse(&p.dnat_rules[1].to.first, "192.168.0.11"), RC_OK);
	p.dnat_rules[1].to.last = p.dnat_rules[1].to.first;
	world_load(&w, &p);
	assert_int_equal(scene_sessions(), 1);
	policy_nat(&p, "in", UNTRUST, DMZ, "any", SERVER, NAT_POOL, "192.168.9.9");
	world_load(&w, &p);
	assert_int_equal(scene_sessions(), 1);
	p.dnat_rules[0].src = policy_ranges(&p, "any"); /* the exception is for all */
	world_load(&w, &p);
	assert_int_equal(scene_sessions(), 0);
}

/* ---- a naive reference ---- */

static bool in_span(const struct snapshot *s, struct span span, const struct ip_addr *a)
{
	bool any = span.count == 0;

	for (uint32_t i = 0; i < span.count; i++)
		any |= range_holds(&snap_ranges(s)[span.first + i], a);
	return any;
}

static struct fw_dnat naive(const struct snapshot *s, const struct train *t, uint64_t interfaces)
{
	for (uint32_t i = 0; i < s->dnat_rules.count; i++) {
		const struct snap_dnat_rule *r = &snap_dnat_rules(s)[i];
		bool zone =
			r->action == DNAT_STATIC || r->from_zone == ZONE_ANY || r->from_zone == t->in_zone;
		bool dst = (r->dst.count && in_span(s, r->dst, &t->dst)) || r->interfaces & interfaces;
		bool service = r->services.count == 0;
		uint16_t port = t->dst_port;
		for (uint32_t k = 0; k < r->services.count && !service; k++) {
			const struct snap_service *v = &snap_services(s)[r->services.first + k];
			service = v->proto == t->proto && t->dst_port >= v->dst_first &&
				  t->dst_port <= v->dst_last;
			if (service && r->port_first)
				port = (uint16_t)(r->port_first == r->port_last
							  ? r->port_first
							  : r->port_first + t->dst_port - v->dst_first);
		}
		if (!zone || !dst || !service || !in_span(s, r->src, &t->src))
			continue;
		if (r->action == DNAT_OFF)
			break;
		struct fw_dnat d = { .dst = r->to.first, .port = port, .rule = i };
		if (r->action == DNAT_STATIC)
			d.dst.b[3] =
				(uint8_t)(d.dst.b[3] + t->dst.b[3] - snap_ranges(s)[r->dst.first].first.b[3]);
		return d;
	}
	return (struct fw_dnat){ 0 };
}

static void rules_at_random(uint64_t *seed, uint32_t n)
{
	char name[16], src[32], dst[48], services[48], to[32];

	for (uint32_t i = 0; i < n; i++) {
		uint32_t x = next_random(seed), port = 10 + next_random(seed) % 8, width = x >> 8 & 3;
		bool ports = x & 1, off = (x >> 1) % 8 == 0;
		snprintf(name, sizeof name, "r%u", i);
		snprintf(src, sizeof src, "198.51.100.%u/30", (x >> 10 & 7) * 4);
		snprintf(dst, sizeof dst, "203.0.113.%u-203.0.113.%u", 8 + (x >> 13 & 3), 12 + (x >> 15 & 3));
		snprintf(services, sizeof services, "%s/%u-%u", x & 0x20000 ? "tcp" : "udp", port,
			port + width);
		snprintf(to, sizeof to, "192.168.0.%u", i + 1);
		struct snap_dnat_rule *r = policy_dnat(&p, name, x >> 18 & 1 ? UNTRUST : -1,
			x >> 19 & 1 ? src : "any", dst, ports ? services : "any", off ? NULL : to,
			(uint16_t)(ports && !off && x >> 20 & 1 ? 8000 : 0),
			(uint16_t)(ports && !off && x >> 20 & 1 ? 8000 + width : 0));
		if (x >> 21 & 1)
			r->interfaces = 1ull << (x >> 22 & 1);
		if (x >> 23 & 1 && r->interfaces)
			r->dst = (struct span){ 0, 0 };
	}
}

static void test_reference(void **state)
{
	uint64_t seed = 20;

	(void)state;
	for (uint32_t round = 0; round < 60; round++) {
		scene_end(NULL);
		begin();
		p.interfaces_n = 2;
		for (uint32_t i = 0; i < 2; i++)
			snprintf(p.interfaces[i].name, sizeof p.interfaces[i].name, "e%u", i);
		if (round % 3 == 0)
			policy_static(&p, "s", UNTRUST, "203.0.113.12/30", "192.168.7.8/30");
		rules_at_random(&seed, round % 2 ? 8 : 40); /* one after the other, and by dimensions */
		world_load(&w, &p);
		struct snapshot *s = policy_snapshot(&p);
		for (uint32_t k = 0; k < 2000; k++) {
			uint32_t x = next_random(&seed);
			struct train t = { .src = { .b = { 198, 51, 100, (uint8_t)(x & 31) },
						   .family = ADDR_V4 },
				.dst = { .b = { 203, 0, 113, (uint8_t)(6 + (x >> 5 & 15)) },
					.family = ADDR_V4 },
				.proto = x >> 9 & 1 ? IP_TCP : IP_UDP,
				.src_port = 1000,
				.dst_port = (uint16_t)(9 + (x >> 10 & 15)),
				.in_zone = x >> 14 & 1 ? UNTRUST : TRUST };
			uint64_t interfaces = x >> 15 & 3;
			struct fw_dnat is = fw_dnat(w.fw, &t, interfaces), want = naive(s, &t, interfaces);
			assert_memory_equal(&is.dst, &want.dst, sizeof is.dst);
			if (fw_dnat_translates(&want)) {
				assert_int_equal(is.rule, want.rule);
				assert_int_equal(is.port, want.port);
			}
		}
		free(s);
	}
}

#define T(f) cmocka_unit_test_setup_teardown(f, setup, scene_end)

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(test_session_limit_of_a_server),
		T(test_there_and_back),
		T(test_policy),
		T(test_interface),
		T(test_hairpin),
		T(test_servers),
		T(test_static),
		T(test_twice),
		T(test_errors),
		T(test_commits),
		T(test_reference),
	};
	return cmocka_run_group_tests_name("firewall/dnat", tests, NULL, NULL);
}
