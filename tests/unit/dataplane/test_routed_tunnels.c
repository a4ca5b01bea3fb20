/*
 * Tunnels with an interface: which packets enter which tunnel, among links, tunnels that selectors choose, and routes of all kinds,
 * held against a model that walks the list of routes; what the host sends and gets by such an interface; and where packets may
 * come from.
 */
#include "gate.h"
#include "model/sa.h"
#include "wire/fragment.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#define RULE(name)                                                                                           \
	"rule " name " { match { source any; destination any; application any; } then { permit; } }"
#define TUNNEL(name, peer, interface)                                                                        \
	"  tunnel " name " { peer " peer "; zone vpn; interface " interface "; local [ 0.0.0.0/0 ::/0 ]; "   \
	"remote [ 0.0.0.0/0 ::/0 ]; proposals p; }\n"
#define PEER(name, local, remote)                                                                            \
	"  peer " name " { local-address " local "; remote-address " remote "; local-id gate.example.net; "  \
	"remote-id " name ".example.net; pre-shared-key branch; proposals p; start never; }\n"

static const char text[] =
	"system { host-name gate; }\n"
	"zones { zone trust { interfaces lan0; host-inbound ping; } zone untrust { interfaces wan0; }\n"
	"  zone vpn { host-inbound [ ping ospf ]; } zone other; }\n"
	"policy { from trust to vpn { " RULE("a") " } from vpn to trust { " RULE(
		"b") " }\n"
		     "  from trust to untrust { " RULE("c") " } from untrust to trust { " RULE(
			     "d") " }\n"
				  "  from vpn to vpn { " RULE(
					  "e") " } }\n"
					       "ike { proposal p { encryption aes256gcm16; dh-group x25519; }\n" PEER(
						       "branch", "198.51.100.2", "198.51.100.3") PEER("one",
						       "198.51.100.2",
						       "198.51.100.4") PEER("two", "198.51.100.2",
						       "198.51.100.5") "}\n"
								       "ipsec { proposal p { encryption aes256gcm16; }\n"
								       "  tunnel branch { peer branch; zone vpn; local 10.1.0.0/24; remote 10.2.0.0/24; proposals p; }\n" TUNNEL(
									       "one", "one", "st0.1")
									       TUNNEL("two", "two",
										       "st0.2") "}\n%s\n";

enum { BRANCH, ONE, TWO, TUNNELS };
enum { ST1 = 7, ST2 };
static const uint32_t device[TUNNELS] = { ROUTE_NONE, ST1, ST2 };

static struct gate g;
static struct packet packet;
static bool is_up[TUNNELS];

static uint32_t number(const char *name)
{
	for (uint32_t i = 0; i < g.p.snapshot->tunnels.count; i++)
		if (strcmp(snap_tunnels(g.p.snapshot)[i].name, name) == 0)
			return i;
	abort();
}

static uint32_t tunnel_no(uint32_t t)
{
	static const char *const names[] = { "branch", "one", "two" };

	return number(names[t]);
}

static struct ip_addr addr(const char *a)
{
	struct ip_addr r;

	assert_int_equal(addr_parse(&r, a), RC_OK);
	return r;
}

static void device_set(uint32_t t, bool up)
{
	struct route_link l = { .index = device[t], .up = up, .bare = true, .mtu = 1400 };

	snprintf(l.name, sizeof l.name, "st0.%u", t);
	assert_int_equal(route_link_set(g.routes, &l), RC_OK);
}

/* Where its peer is, which may move to IPv6 (RFC 4555). */
static bool peers_moved;
static struct ip_addr peer_of(uint32_t t)
{
	static const char *const at[2][TUNNELS] = { { "198.51.100.3", "198.51.100.4", "198.51.100.5" },
		{ "2001:db8:ff::3", "2001:db8:ff::4", "2001:db8:ff::5" } };

	return addr(at[peers_moved][t]);
}

/* Its SA, and the carrier of its interface, as the supervisor sets it. */
static void tunnel_set(uint32_t t, bool up)
{
	struct sa_install sa = { .tunnel = tunnel_no(t),
		.spi_in = 0x1000 + t,
		.spi_out = 0x2000 + t,
		.flags = CHILD_ENCAP | CHILD_ESN,
		.encr = ENCR_AES_GCM_16,
		.encr_bits = 256,
		.key_n = 36,
		.local_n = 1,
		.remote_n = 1 };
	struct err e = { 0 };

	if (up == is_up[t])
		return;
	is_up[t] = up;
	sa.local = (struct endpoint){ .addr = addr(peers_moved ? "2001:db8:ff::2" : "198.51.100.2"),
		.port = 4500 };
	sa.remote = (struct endpoint){ .addr = peer_of(t), .port = 4500 };
	const struct snap_tunnel *c = &snap_tunnels(g.p.snapshot)[sa.tunnel];
	sa.local_n = (uint16_t)c->local.count;
	sa.remote_n = (uint16_t)c->remote.count;
	memcpy(sa.local_ts, snap_selectors(g.p.snapshot) + c->local.first, sa.local_n * sizeof *sa.local_ts);
	memcpy(sa.remote_ts, snap_selectors(g.p.snapshot) + c->remote.first,
		sa.remote_n * sizeof *sa.remote_ts);
	memset(sa.key_in, 1, sa.key_n);
	memset(sa.key_out, 2, sa.key_n);
	if (up) {
		assert_int_equal(esp_install(g.esp, &sa, c->name, 64, NULL, g.now, &e), RC_OK);
		assert_int_equal(esp_activate(g.esp, sa.spi_in), RC_OK);
	} else {
		assert_int_equal(esp_remove(g.esp, sa.spi_in), RC_OK);
	}
	if (device[t] != ROUTE_NONE)
		device_set(t, up);
	pipeline_changed(&g.p);
}

/* The tunnels with an interface are in this zone, vpn or untrust, which has a link as well. */
static void begin_in(const char *zone, const char *more)
{
	static const char was[] = "zone vpn; interface";
	char in[sizeof text + 100] = "";

	for (const char *from = text, *at;; from = at + strlen(was)) {
		at = strstr(from, was);
		snprintf(in + strlen(in), sizeof in - strlen(in), "%.*s",
			at ? (int)(at - from) : (int)strlen(from), from);
		if (!at)
			break;
		snprintf(in + strlen(in), sizeof in - strlen(in), "zone %s; interface", zone);
	}
	memset(is_up, 0, sizeof is_up);
	gate_init(&g, in, more, 512);
	for (uint32_t t = ONE; t < TUNNELS; t++) {
		struct route_local l = { .link = device[t], .bits = 30 };
		device_set(t, false);
		assert_int_equal(
			pipeline_device_bind(&g.p, t == ONE ? "st0.1" : "st0.2", device[t]), tunnel_no(t));
		l.addr = addr(t == ONE ? "10.255.1.1" : "10.255.2.1");
		assert_int_equal(route_local_set(g.routes, &l), RC_OK);
		tunnel_set(t, true);
	}
	tunnel_set(BRANCH, true);
	pipeline_changed(&g.p);
}

static void begin(void)
{
	begin_in("vpn", "");
}

static struct route_entry entry(const char *to, uint32_t link, uint32_t metric)
{
	struct route_entry e = { .link = link, .kind = ROUTE_UNICAST, .metric = metric };

	assert_int_equal(prefix_parse(&e.dst, to), RC_OK);
	if (link == GATE_WAN)
		e.gateway = addr("198.51.100.1");
	return e;
}

static void route(const char *to, uint32_t link, uint32_t metric)
{
	const struct route_entry e = entry(to, link, metric);

	assert_int_equal(route_set(g.routes, &e, ROUTE_APPEND), RC_OK);
	pipeline_changed(&g.p);
}

static struct train datagram(const char *src, const char *dst, uint16_t port)
{
	const struct packet_spec s = {
		.src = src, .dst = dst, .proto = IP_UDP, .src_port = port, .dst_port = 9, .payload_n = 32
	};

	return packet_make(&packet, &s);
}

/* What answers it. */
static struct train answer(const char *src, const char *dst, uint16_t port)
{
	const struct packet_spec s = {
		.src = src, .dst = dst, .proto = IP_UDP, .src_port = 9, .dst_port = port, .payload_n = 32
	};

	return packet_make(&packet, &s);
}

static uint32_t spi_of(const struct gate_out *o)
{
	return load_be32(o->bytes);
}

static enum drop_reason from_tunnel(uint32_t t, struct train train)
{
	uint64_t before[DROP_COUNT];

	memcpy(before, g.p.drops, sizeof before);
	pipeline_train_from_tunnel(&g.p, &train, tunnel_no(t));
	train.csum = TRAIN_CSUM_VALID;
	pipeline_burst(&g.p, &train, 1, g.now);
	for (int r = 1; r < DROP_COUNT; r++)
		if (g.p.drops[r] != before[r])
			return (enum drop_reason)r;
	return DROP_NONE;
}

static enum drop_reason from_device(uint32_t t, struct train train)
{
	uint64_t before[DROP_COUNT];

	memcpy(before, g.p.drops, sizeof before);
	pipeline_train_from_device(&train, tunnel_no(t));
	train.csum = TRAIN_CSUM_VALID;
	pipeline_burst(&g.p, &train, 1, g.now);
	for (int r = 1; r < DROP_COUNT; r++)
		if (g.p.drops[r] != before[r])
			return (enum drop_reason)r;
	return DROP_NONE;
}

/* ---- routes, against a model ---- */

#define ROUTES_MAX 12
static struct modelled {
	const char *to;
	uint32_t bits, first, link, metric; /* first: the third octet where it begins, of 10.9.0.0/16 */
} modelled[ROUTES_MAX];
static uint32_t modelled_n;

static bool link_is_up(uint32_t link)
{
	return link == GATE_WAN || link == GATE_LAN || (link == ST1 ? is_up[ONE] : is_up[TWO]);
}

static bool is_device(uint32_t link)
{
	return link == ST1 || link == ST2;
}

/* The best route to 10.9.OCTET.1 by a link that is up, or, if held, by one of a tunnel; the default route is there always. */
static uint32_t best(uint32_t octet, bool held)
{
	uint32_t link = GATE_WAN, bits = 0, metric = 0;

	for (uint32_t i = 0; i < modelled_n; i++) {
		const struct modelled *m = &modelled[i];
		uint32_t span = 1u << (24 - m->bits);
		if (octet < m->first || octet >= m->first + span ||
			!(link_is_up(m->link) || (held && is_device(m->link))) ||
			(bits > 0 && (m->bits < bits || (m->bits == bits && m->metric > metric))))
			continue;
		link = m->link;
		bits = m->bits;
		metric = m->metric;
	}
	return link;
}

static void random_route(void)
{
	static const struct {
		const char *to;
		uint32_t bits, first;
	} all[] = { { "10.9.0.0/16", 16, 0 }, { "10.9.0.0/17", 17, 0 }, { "10.9.0.0/23", 23, 0 },
		{ "10.9.1.0/24", 24, 1 }, { "10.9.128.0/17", 17, 128 } };
	static const uint32_t links[] = { GATE_WAN, ST1, ST2, ST1, ST2 };
	uint32_t i = (uint32_t)rand() % COUNT_OF(all);
	struct modelled m = { all[i].to, all[i].bits, all[i].first, links[(uint32_t)rand() % COUNT_OF(links)],
		(uint32_t)rand() % 100 };

	for (uint32_t k = 0; k < modelled_n; k++)
		if (modelled[k].bits == m.bits && modelled[k].first == m.first &&
			modelled[k].metric == m.metric)
			return; /* equal ones have an order of their own */
	route(m.to, m.link, m.metric);
	modelled[modelled_n++] = m;
}

static void check_way(uint32_t octet, uint16_t port)
{
	char to[32];
	uint32_t link = best(octet, false), held = best(octet, true);

	snprintf(to, sizeof to, "10.9.%u.1", octet);
	if (!is_device(link) && is_device(held))
		link = held;
	gate_clear(&g);
	enum drop_reason drop = gate_from_link(&g, GATE_LAN, datagram("10.1.0.2", to, port));
	if (!link_is_up(link)) {
		assert_int_equal(drop, DROP_TUNNEL_DOWN);
		assert_int_equal(g.out_n, 0);
		return;
	}
	assert_int_equal(drop, DROP_NONE);
	assert_int_equal(g.out_n, 1);
	assert_int_equal(g.out[0].kind, is_device(link) ? GATE_OUT_TUNNEL : GATE_OUT_LINK);
	if (is_device(link))
		assert_int_equal(spi_of(&g.out[0]), 0x2000 + (link == ST1 ? ONE : TWO));
	else
		assert_int_equal(g.out[0].interface, gate_interface(&g, link));
}

static void routes_choose(void **state)
{
	srand(7);
	for (uint32_t round = 0; round < 40; round++) {
		begin();
		modelled_n = 0;
		for (uint32_t i = 0; i < ROUTES_MAX; i++)
			random_route();
		for (uint32_t i = 0; i < 40; i++) {
			static const uint32_t octets[] = { 0, 1, 2, 100, 130, 200 };
			if (rand() % 3 == 0)
				tunnel_set(rand() % 2 ? ONE : TWO, rand() % 2);
			/* the same port: a session that has gone another way before */
			check_way(octets[(uint32_t)rand() % COUNT_OF(octets)], (uint16_t)(1000 + rand() % 3));
		}
		gate_done(&g);
	}
}

/* What selectors choose goes on as it was, whatever routes there are. */
static void selectors_come_first(void **state)
{
	begin();
	route("10.2.0.0/16", ST1, 0);
	gate_clear(&g);
	assert_int_equal(gate_from_link(&g, GATE_LAN, datagram("10.1.0.2", "10.2.0.5", 1)), DROP_NONE);
	assert_int_equal(spi_of(&g.out[0]), 0x2000 + BRANCH);
	gate_clear(&g);
	assert_int_equal(gate_from_link(&g, GATE_LAN, datagram("10.1.0.2", "10.2.1.5", 1)), DROP_NONE);
	assert_int_equal(spi_of(&g.out[0]), 0x2000 + ONE);
	gate_done(&g);
}

/* ---- sources ---- */

static void sources(void **state)
{
	begin();
	route("10.9.0.0/16", ST1, 0);
	gate_clear(&g);
	assert_int_equal(from_tunnel(ONE, datagram("10.9.0.1", "10.1.0.2", 1)), DROP_NONE);
	assert_int_equal(g.out[0].kind, GATE_OUT_LINK);
	/* another tunnel of the zone that its source is routed to: routes may be asymmetric */
	assert_int_equal(from_tunnel(TWO, datagram("10.9.0.1", "10.1.0.2", 2)), DROP_NONE);
	assert_int_equal(from_tunnel(ONE, datagram("192.0.2.1", "10.1.0.2", 3)), DROP_SPOOFED);
	assert_int_equal(from_tunnel(ONE, datagram("10.1.0.7", "10.1.0.2", 3)), DROP_SPOOFED);
	/* a network of a tunnel that selectors choose */
	assert_int_equal(from_tunnel(ONE, datagram("10.2.0.1", "10.1.0.2", 3)), DROP_TUNNEL_REQUIRED);
	/* in clear text what is routed into a tunnel, up or down */
	assert_int_equal(gate_from_link(&g, GATE_WAN, datagram("10.9.0.1", "10.1.0.2", 4)), DROP_SPOOFED);
	tunnel_set(ONE, false);
	assert_int_equal(gate_from_link(&g, GATE_WAN, datagram("10.9.0.1", "10.1.0.2", 5)), DROP_SPOOFED);
	gate_done(&g);
}

static const struct ends {
	const char *net, *far, *near;
} families[] = { { "10.9.0.0/16", "10.9.0.1", "10.1.0.2" },
	{ "2001:db8:9::/64", "2001:db8:9::1", "2001:db8:1::2" } };

static void stale(void)
{
	pipeline_changed(&g.p);
}

/* A packet in clear text whose answers enter a tunnel belongs to no session, however old that one's decisions are. */
static void clear_text_of_a_session(void **state)
{
	for (uint32_t i = 0; i < 2 * COUNT_OF(families); i++) {
		const struct ends *e = &families[i % 2];
		begin_in(i < 2 ? "vpn" : "untrust", "");
		enum drop_reason required = i < 2 ? DROP_SESSION_ZONE_MISMATCH : DROP_TUNNEL_REQUIRED;
		route(e->net, ST1, 0);
		/* begun from here */
		assert_int_equal(gate_from_link(&g, GATE_LAN, datagram(e->near, e->far, 1)), DROP_NONE);
		assert_int_equal(gate_from_link(&g, GATE_WAN, answer(e->far, e->near, 1)), required);
		assert_int_equal(from_tunnel(ONE, answer(e->far, e->near, 1)), DROP_NONE);
		assert_int_equal(gate_from_link(&g, GATE_WAN, answer(e->far, e->near, 1)), required);
		stale();
		assert_int_equal(gate_from_link(&g, GATE_WAN, answer(e->far, e->near, 1)), required);
		stale();
		assert_int_equal(from_tunnel(ONE, answer(e->far, e->near, 1)), DROP_NONE);
		assert_int_equal(gate_from_link(&g, GATE_WAN, answer(e->far, e->near, 1)), required);
		tunnel_set(ONE, false);
		assert_int_equal(gate_from_link(&g, GATE_WAN, answer(e->far, e->near, 1)), required);
		tunnel_set(ONE, true);
		assert_int_equal(gate_from_link(&g, GATE_LAN, datagram(e->near, e->far, 1)), DROP_NONE);
		/* begun from there, and not answered yet: the way back was never decided */
		assert_int_equal(from_tunnel(ONE, datagram(e->far, e->near, 2)), DROP_NONE);
		assert_int_equal(gate_from_link(&g, GATE_WAN, datagram(e->far, e->near, 2)), required);
		stale();
		assert_int_equal(gate_from_link(&g, GATE_WAN, datagram(e->far, e->near, 2)), required);
		assert_int_equal(from_tunnel(ONE, datagram(e->far, e->near, 2)), DROP_NONE);
		gate_done(&g);
	}
}

/* A guard is a route to nowhere for what a tunnel's route has while it is there. */
static void clear_text_behind_a_guard(void **state)
{
	for (uint32_t i = 0; i < 2 * COUNT_OF(families); i++) {
		const struct ends *e = &families[i % 2];
		begin_in(i < 2 ? "vpn" : "untrust", "");
		struct route_entry guard = entry(e->net, 0, 4278198272u), way = entry(e->net, ST1, 0);
		guard.kind = ROUTE_UNREACHABLE;
		assert_int_equal(route_set(g.routes, &guard, ROUTE_APPEND), RC_OK);
		route(e->net, ST1, 0);
		assert_int_equal(gate_from_link(&g, GATE_LAN, datagram(e->near, e->far, 1)), DROP_NONE);
		assert_int_equal(from_tunnel(ONE, datagram(e->far, e->near, 2)), DROP_NONE);
		route_gone(g.routes, &way);
		stale();
		gate_clear(&g);
		assert_int_not_equal(gate_from_link(&g, GATE_WAN, answer(e->far, e->near, 1)), DROP_NONE);
		assert_int_not_equal(gate_from_link(&g, GATE_WAN, datagram(e->far, e->near, 2)), DROP_NONE);
		assert_int_equal(g.out_n, 0);
		gate_done(&g);
	}
}

/* A router on the way of a session in clear text may have an address that is routed into a tunnel here. */
static void errors_of_routers(void **state)
{
	static const struct {
		const char *near, *far, *router, *net;
		uint8_t proto, type, code;
	} cases[] = { { "10.1.0.2", "192.0.2.1", "10.9.0.7", "10.9.0.0/16", IP_ICMP, 3, 4 },
		{ "2001:db8:1::2", "2001:db8:77::1", "2001:db8:9::7", "2001:db8:9::/64", IP_ICMPV6, 2, 0 } };

	for (size_t i = 0; i < COUNT_OF(cases); i++) {
		uint8_t about[128];
		begin();
		route(cases[i].net, ST1, 0);
		struct train t = datagram(cases[i].near, cases[i].far, 1);
		struct packet_spec error = { .src = cases[i].router,
			.dst = cases[i].near,
			.proto = cases[i].proto,
			.icmp_type = cases[i].type,
			.icmp_code = cases[i].code,
			.payload = about,
			.payload_n = t.len };
		assert_true(t.len <= sizeof about);
		memcpy(about, t.ip, t.len);
		assert_int_equal(gate_from_link(&g, GATE_LAN, t), DROP_NONE);
		gate_clear(&g);
		assert_int_equal(gate_from_link(&g, GATE_WAN, packet_make(&packet, &error)), DROP_NONE);
		assert_int_equal(g.out_n, 1);
		gate_done(&g);
	}
}

/* It was in clear text, and now a route leads its packets into a tunnel. */
static void a_route_takes_a_session(void **state)
{
	for (uint32_t i = 0; i < 2 * COUNT_OF(families); i++) {
		const struct ends *e = &families[i % 2];
		begin_in(i < 2 ? "vpn" : "untrust", "");
		assert_int_equal(gate_from_link(&g, GATE_LAN, datagram(e->near, e->far, 1)), DROP_NONE);
		assert_int_equal(gate_from_link(&g, GATE_WAN, answer(e->far, e->near, 1)), DROP_NONE);
		assert_int_equal(gate_from_link(&g, GATE_WAN, datagram(e->far, e->near, 2)), DROP_NONE);
		route(e->net, ST1, 0);
		assert_int_equal(
			gate_from_link(&g, GATE_WAN, answer(e->far, e->near, 1)), DROP_TUNNEL_REQUIRED);
		assert_int_equal(
			gate_from_link(&g, GATE_WAN, datagram(e->far, e->near, 2)), DROP_TUNNEL_REQUIRED);
		gate_clear(&g);
		assert_int_equal(gate_from_link(&g, GATE_LAN, datagram(e->near, e->far, 1)), DROP_NONE);
		assert_int_equal(g.out[0].kind, GATE_OUT_TUNNEL);
		gate_done(&g);
	}
}

/* ---- translation ---- */

/* Nothing is translated into a tunnel: a session whose way goes from the one to the other in the same zone ends, and begins anew. */
static void translated_sessions_end(void **state)
{
	static const char *const nats[] = {
		"nat { source { rule all { from trust; to untrust; then { source-nat interface; } } } }",
		"nat { static { rule one { from untrust; match { destination 198.51.100.10/32; } then { static-nat 10.1.0.2; } } } }"
	};
	struct train t;

	for (uint32_t i = 0; i < 4; i++) {
		const struct route_entry e = entry("10.9.0.0/16", ST1, 0);
		begin_in(i % 2 ? "vpn" : "untrust", nats[i / 2]);
		t = datagram("10.1.0.2", "10.9.0.1", 1);
		assert_int_equal(gate_from_link(&g, GATE_LAN, t), DROP_NONE);
		route("10.9.0.0/16", ST1, 0);
		gate_clear(&g);
		t = datagram("10.1.0.2", "10.9.0.1", 1);
		assert_int_equal(gate_from_link(&g, GATE_LAN, t), DROP_SESSION_ZONE_MISMATCH);
		assert_int_equal(g.out_n, 0);
		t = datagram("10.1.0.2", "10.9.0.1", 1);
		assert_int_equal(gate_from_link(&g, GATE_LAN, t), DROP_NONE);
		assert_int_equal(g.out[0].kind, GATE_OUT_TUNNEL);
		assert_int_equal(from_tunnel(ONE, answer("10.9.0.1", "10.1.0.2", 1)), DROP_NONE);
		/* and back */
		route_gone(g.routes, &e);
		gate_clear(&g);
		t = datagram("10.1.0.2", "10.9.0.1", 1);
		assert_int_equal(gate_from_link(&g, GATE_LAN, t), DROP_SESSION_ZONE_MISMATCH);
		assert_int_equal(g.out_n, 0);
		t = datagram("10.1.0.2", "10.9.0.1", 1);
		assert_int_equal(gate_from_link(&g, GATE_LAN, t), DROP_NONE);
		assert_int_equal(g.out[0].kind, GATE_OUT_LINK);
		assert_memory_equal(g.out[0].bytes + 12, addr(i / 2 ? "198.51.100.10" : "198.51.100.2").b, 4);
		gate_done(&g);
	}
}

/* ---- rules and questions ---- */

static void rules_by_the_interface(void **state)
{
	const struct route_rule rules[] = { { .priority = 0, .table = ROUTE_TABLE_LOCAL },
		{ .priority = 100, .table = 100, .in = "st0.1" },
		{ .priority = 32766, .table = ROUTE_TABLE_MAIN } };
	struct route_entry e = entry("10.7.0.0/16", ST2, 0);

	begin();
	route("10.9.0.0/16", ST1, 0);
	e.table = 100;
	assert_int_equal(route_set(g.routes, &e, ROUTE_APPEND), RC_OK);
	for (size_t i = 0; i < COUNT_OF(rules); i++) {
		struct route_rule r = rules[i];
		r.family = ADDR_V4;
		r.suppress_bits = -1;
		assert_int_equal(route_rule_add(g.routes, &r), RC_OK);
	}
	stale();
	gate_clear(&g);
	assert_int_equal(from_tunnel(ONE, datagram("10.9.0.1", "10.7.0.1", 1)), DROP_NONE);
	assert_int_equal(spi_of(&g.out[0]), 0x2000 + TWO);
	assert_int_equal(from_tunnel(TWO, datagram("10.9.0.1", "10.7.0.1", 2)), DROP_DEFAULT_DENY);
	gate_clear(&g);
	assert_int_equal(gate_from_link(&g, GATE_LAN, datagram("10.1.0.2", "10.7.0.1", 3)), DROP_NONE);
	assert_int_equal(g.out[0].kind, GATE_OUT_LINK);
	gate_done(&g);
}

static struct policy_answer asked(const char *src, const char *dst, uint32_t zone)
{
	const struct policy_question q = { .src = addr(src),
		.dst = addr(dst),
		.proto = IP_UDP,
		.src_port = 1,
		.dst_port = 9,
		.zone = zone,
		.interface = TRAIN_NONE,
		.tunnel = TRAIN_NONE };
	struct policy_answer a;
	struct err e = { 0 };

	assert_int_equal(pipeline_ask(&g.p, &q, g.now, &a, &e), RC_OK);
	return a;
}

/* `test policy`: a source comes by the tunnel that it is routed to, up or down. */
static void questions(void **state)
{
	begin();
	uint32_t vpn = g.p.tunnels[tunnel_no(ONE)].zone;
	for (uint32_t i = 0; i < 2 * COUNT_OF(families); i++) {
		const struct ends *e = &families[i % 2];
		route(e->net, ST2, 0);
		tunnel_set(TWO, i < 2);
		struct policy_answer a = asked(e->far, e->near, i % 2 ? vpn : TRAIN_NONE);
		assert_int_equal(a.in_tunnel, tunnel_no(TWO));
		assert_true(a.decided);
		assert_int_equal(a.train.drop, DROP_NONE);
		assert_int_equal(
			asked(e->near, e->far, TRAIN_NONE).train.drop, i < 2 ? DROP_NONE : DROP_TUNNEL_DOWN);
	}
	struct policy_answer a = asked("192.0.2.1", "10.1.0.2", vpn);
	assert_true(g.p.tunnels[a.in_tunnel].routed);
	assert_int_equal(a.train.drop, DROP_SPOOFED);
	gate_done(&g);
}

/* ---- fragments ---- */

static struct packet pieces[2];

/* Two fragments of a datagram. */
static struct train piece(const char *src, const char *dst, uint8_t proto, uint32_t i)
{
	const struct packet_spec s = { .src = src,
		.dst = dst,
		.proto = proto,
		.src_port = 1,
		.dst_port = 9,
		.payload_n = 1200,
		.hops = 2 };
	struct train whole = packet_make(&packet, &s), t;

	assert_int_equal(train_parse(&whole) & ~(unsigned)DROP_MULTICAST, 0);
	whole.drop = DROP_NONE;
	t = whole;
	t.ip = pieces[i].room + TRAIN_HEAD_ROOM;
	t.len = (uint32_t)fragment_cut(t.ip, &whole, 900, i, 4711);
	assert_true(t.len > 0);
	return t;
}

static void groups_in_fragments(void **state)
{
	static const struct ends groups[] = { { NULL, "10.255.1.2", "224.0.0.5" },
		{ NULL, "fe80::2", "ff02::5" }, { NULL, "fe80::2", "fe80::1" } };

	begin();
	const struct route_local l = { .link = ST1, .bits = 64, .addr = addr("fe80::1") };
	assert_int_equal(route_local_set(g.routes, &l), RC_OK);
	stale();
	for (uint32_t i = 0; i < 2; i++) {
		const struct ends *e = &groups[i];
		gate_clear(&g);
		assert_int_equal(from_tunnel(ONE, piece(e->far, e->near, 89, 1)), DROP_NONE);
		assert_int_equal(g.out_n, 0);
		assert_int_equal(from_tunnel(ONE, piece(e->far, e->near, 89, 0)), DROP_NONE);
		assert_int_equal(g.out_n, 1);
		assert_int_equal(g.out[0].kind, GATE_OUT_HOST);
		assert_int_equal(g.out[0].tunnel, tunnel_no(ONE));
		assert_int_equal(g.out[0].n, (i ? 40 : 20) + 1200);
		assert_true(packet_sound(g.out[0].bytes, g.out[0].n));
		/* and from here */
		gate_clear(&g);
		assert_int_equal(
			from_device(ONE, piece(i ? "fe80::1" : "10.255.1.1", e->near, 89, 0)), DROP_NONE);
		assert_int_equal(
			from_device(ONE, piece(i ? "fe80::1" : "10.255.1.1", e->near, 89, 1)), DROP_NONE);
		assert_int_equal(g.out_n, 2);
		assert_int_equal(spi_of(&g.out[0]), 0x2000 + ONE);
		assert_int_equal(spi_of(&g.out[1]), 0x2000 + ONE);
	}
	gate_clear(&g);
	for (uint32_t i = 0; i < 2; i++) {
		assert_int_equal(from_tunnel(ONE, piece("10.255.1.2", "239.1.1.1", 89, i)), DROP_MULTICAST);
		assert_int_equal(from_tunnel(BRANCH, piece("10.2.0.1", "224.0.0.5", 89, i)), DROP_MULTICAST);
	}
	assert_int_equal(g.out_n, 0);
	gate_done(&g);
}

/* Each makes a whole of its own. */
static void fragments_of_two_tunnels(void **state)
{
	for (size_t i = 0; i < COUNT_OF(families); i++) {
		const struct ends *e = &families[i];
		begin();
		route(e->net, ST1, 0);
		gate_clear(&g);
		assert_int_equal(from_tunnel(ONE, piece(e->far, e->near, IP_UDP, 0)), DROP_NONE);
		assert_int_equal(from_tunnel(TWO, piece(e->far, e->near, IP_UDP, 1)), DROP_NONE);
		assert_int_equal(g.out_n, 0);
		assert_int_equal(from_device(ONE, piece(e->near, e->far, IP_UDP, 0)), DROP_NONE);
		assert_int_equal(from_device(TWO, piece(e->near, e->far, IP_UDP, 1)), DROP_NONE);
		assert_int_equal(g.out_n, 0);
		assert_int_equal(from_tunnel(TWO, piece(e->far, e->near, IP_UDP, 0)), DROP_NONE);
		assert_int_equal(g.out_n, 2); /* in fragments again */
		assert_int_equal(from_tunnel(ONE, piece(e->far, e->near, IP_UDP, 1)), DROP_NONE);
		assert_int_equal(g.out_n, 4);
		/* tunnels have other numbers after a commit */
		assert_int_equal(from_tunnel(ONE, piece(e->far, e->near, IP_UDP, 0)), DROP_NONE);
		gate_load(&g, text, "");
		assert_int_equal(pipeline_device_bind(&g.p, "st0.1", ST1), tunnel_no(ONE));
		assert_int_equal(from_tunnel(ONE, piece(e->far, e->near, IP_UDP, 1)), DROP_NONE);
		assert_int_equal(g.out_n, 4);
		gate_done(&g);
	}
}

/* ---- the host ---- */

static struct train of_ospf(const char *src, const char *dst)
{
	const struct packet_spec s = { .src = src, .dst = dst, .proto = 89, .payload_n = 44, .hops = 1 };

	return packet_make(&packet, &s);
}

static void the_host(void **state)
{
	begin();
	route("10.255.1.0/30", ST1, 0);
	for (uint32_t t = ONE; t < TUNNELS; t++) {
		gate_clear(&g);
		/* whatever routes and selectors say of the destination */
		assert_int_equal(from_device(t, datagram("10.255.1.1", "10.2.0.5", 1)), DROP_NONE);
		assert_int_equal(from_device(t, of_ospf("10.255.1.1", "224.0.0.5")), DROP_NONE);
		assert_int_equal(from_device(t, of_ospf("fe80::1", "ff02::5")), DROP_NONE);
		assert_int_equal(from_device(t, of_ospf("10.255.1.1", "239.1.1.1")), DROP_MULTICAST);
		assert_int_equal(g.out_n, 3);
		for (uint32_t i = 0; i < g.out_n; i++) {
			assert_int_equal(g.out[i].kind, GATE_OUT_TUNNEL);
			assert_int_equal(spi_of(&g.out[i]), 0x2000 + t);
		}
	}
	tunnel_set(ONE, false);
	assert_int_equal(from_device(ONE, of_ospf("10.255.1.1", "224.0.0.5")), DROP_TUNNEL_DOWN);
	tunnel_set(ONE, true);
	gate_clear(&g);
	assert_int_equal(from_tunnel(ONE, of_ospf("10.255.1.2", "224.0.0.5")), DROP_NONE);
	assert_int_equal(from_tunnel(ONE, of_ospf("fe80::2", "ff02::5")), DROP_NONE);
	assert_int_equal(from_tunnel(ONE, of_ospf("10.255.1.2", "10.255.1.1")), DROP_NONE);
	assert_int_equal(g.out_n, 3);
	for (uint32_t i = 0; i < g.out_n; i++) {
		assert_int_equal(g.out[i].kind, GATE_OUT_HOST);
		assert_int_equal(g.out[i].tunnel, tunnel_no(ONE));
	}
	/* the zone opens no such port; and selectors bring no groups */
	assert_int_equal(from_tunnel(ONE, datagram("10.255.1.2", "10.255.1.1", 7)), DROP_HOST_INBOUND);
	assert_int_equal(from_tunnel(BRANCH, of_ospf("10.2.0.1", "224.0.0.5")), DROP_MULTICAST);
	assert_int_equal(from_tunnel(ONE, datagram("10.1.0.9", "10.255.1.1", 7)), DROP_SPOOFED);
	gate_done(&g);
}

static struct train sealed(uint8_t proto, uint32_t to)
{
	static char dst[ADDR_TEXT_MAX];
	const struct ip_addr a = peer_of(to);
	const struct packet_spec s = { .src = peers_moved ? "2001:db8:ff::2" : "198.51.100.2",
		.dst = addr_text(dst, &a),
		.proto = proto,
		.src_port = 4500,
		.dst_port = 4500,
		.payload_n = 32 };

	return packet_make(&packet, &s);
}

/* A tunnel does not carry itself, nor by way of another one; but it carries another one. */
static void recursion(void **state)
{
	static const uint8_t protos[] = { IP_UDP, IP_ESP };
	static const char *const to_two[] = { "198.51.100.5/32", "2001:db8:ff::5/128" };

	for (uint32_t i = 0; i < 4; i++) {
		uint8_t proto = protos[i % 2];
		peers_moved = i / 2;
		begin();
		gate_clear(&g);
		assert_int_equal(from_device(ONE, sealed(proto, ONE)), DROP_TUNNEL_RECURSION);
		assert_int_equal(from_device(TWO, sealed(proto, TWO)), DROP_TUNNEL_RECURSION);
		assert_int_equal(g.out_n, 0);
		assert_int_equal(from_device(TWO, sealed(proto, ONE)), DROP_NONE);
		assert_int_equal(g.out_n, 1);
		/* what else goes to the peer's address is carried */
		char one[ADDR_TEXT_MAX];
		const struct ip_addr a = peer_of(ONE);
		assert_int_equal(from_device(ONE, datagram(peers_moved ? "2001:db8:ff::2" : "198.51.100.2",
							  addr_text(one, &a), 1)),
			DROP_NONE);
		/* each by the other */
		struct route_entry e = entry(to_two[peers_moved], ST1, 0),
				   f = entry(to_two[peers_moved], ST2, 0);
		f.dst.addr = a;
		assert_int_equal(route_set(g.routes, &e, ROUTE_APPEND), RC_OK);
		assert_int_equal(from_device(TWO, sealed(proto, ONE)), DROP_NONE);
		assert_int_equal(route_set(g.routes, &f, ROUTE_APPEND), RC_OK);
		assert_int_equal(from_device(TWO, sealed(proto, ONE)), DROP_TUNNEL_RECURSION);
		assert_int_equal(from_device(ONE, sealed(proto, TWO)), DROP_TUNNEL_RECURSION);
		/* whether there is an SA or not: no IKE would make one by this way */
		peers_moved = false;
		tunnel_set(ONE, false);
		assert_int_equal(from_device(ONE, sealed(proto, ONE)), DROP_TUNNEL_RECURSION);
		gate_done(&g);
	}
}

/* A route that found no room in the mirror is not passed by. */
static void withheld_routes(void **state)
{
	for (size_t i = 0; i < COUNT_OF(families); i++) {
		const struct ends *e = &families[i];
		struct ip_prefix to;
		begin();
		assert_int_equal(gate_from_link(&g, GATE_LAN, datagram(e->near, e->far, 1)), DROP_NONE);
		assert_int_equal(gate_from_link(&g, GATE_WAN, datagram(e->far, e->near, 2)), DROP_NONE);
		assert_int_equal(prefix_parse(&to, e->net), RC_OK);
		route_withhold(g.routes, &to);
		gate_clear(&g);
		assert_int_equal(
			gate_from_link(&g, GATE_LAN, datagram(e->near, e->far, 1)), DROP_ROUTE_LIMIT);
		assert_int_equal(
			gate_from_link(&g, GATE_LAN, datagram(e->near, e->far, 3)), DROP_ROUTE_LIMIT);
		assert_int_equal(
			gate_from_link(&g, GATE_WAN, answer(e->far, e->near, 1)), DROP_TUNNEL_REQUIRED);
		assert_int_equal(
			gate_from_link(&g, GATE_WAN, datagram(e->far, e->near, 4)), DROP_TUNNEL_REQUIRED);
		assert_int_equal(g.out_n, 0);
		assert_int_equal(gate_from_link(&g, GATE_LAN,
					 datagram(e->near, i ? "2001:db8:77::1" : "192.0.2.1", 5)),
			DROP_NONE);
		/* what a tunnel has is not withheld */
		route(e->net, ST1, 0);
		gate_clear(&g);
		assert_int_equal(gate_from_link(&g, GATE_LAN, datagram(e->near, e->far, 3)), DROP_NONE);
		assert_int_equal(g.out[0].kind, GATE_OUT_TUNNEL);
		gate_done(&g);
	}
}

/* The sender of what cannot go on hears of it by the tunnel that it came by: from the interface's address, or where it has none of the
 * family from one of a link. */
static void errors_go_back(void **state)
{
	static const struct {
		const char *src, *dst;
	} cases[] = { { "10.9.0.1", "10.1.0.9" }, { "2001:db8:9::1", "2001:db8:1::9" },
		{ "10.9.0.1", "10.8.0.9" }, { "2001:db8:9::1", "2001:db8:8::9" } };

	begin();
	route("10.9.0.0/24", ST1, 0);
	route("2001:db8:9::/64", ST1, 0);
	route("10.8.0.0/24", ST2, 0); /* from tunnel to tunnel: no link of ours is concerned */
	route("2001:db8:8::/64", ST2, 0);
	for (size_t i = 0; i < COUNT_OF(cases); i++) {
		const struct packet_spec s = { .src = cases[i].src,
			.dst = cases[i].dst,
			.proto = IP_UDP,
			.src_port = 1,
			.dst_port = 9,
			.payload_n = 32,
			.hops = 1 };
		gate_clear(&g);
		assert_int_equal(from_tunnel(ONE, packet_make(&packet, &s)), DROP_TTL);
		assert_int_equal(g.out_n, 1);
		assert_int_equal(g.out[0].kind, GATE_OUT_TUNNEL);
		assert_int_equal(spi_of(&g.out[0]), 0x2001);
	}
	gate_done(&g);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(routes_choose),
		cmocka_unit_test(selectors_come_first),
		cmocka_unit_test(sources),
		cmocka_unit_test(clear_text_of_a_session),
		cmocka_unit_test(clear_text_behind_a_guard),
		cmocka_unit_test(errors_of_routers),
		cmocka_unit_test(a_route_takes_a_session),
		cmocka_unit_test(translated_sessions_end),
		cmocka_unit_test(rules_by_the_interface),
		cmocka_unit_test(questions),
		cmocka_unit_test(groups_in_fragments),
		cmocka_unit_test(fragments_of_two_tunnels),
		cmocka_unit_test(the_host),
		cmocka_unit_test(recursion),
		cmocka_unit_test(withheld_routes),
		cmocka_unit_test(errors_go_back),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
