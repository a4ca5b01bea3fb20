/*
 * The whole pipeline in one process: where packets leave, what is told to their senders, that nothing which
 * belongs in a tunnel goes or comes without it. The firewall's own behaviour is tested in
 * tests/unit/firewall.
 */
#include "gate.h"

#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>

#define HOST	 "10.1.0.2"
#define HOST6	 "2001:db8:1::2"
#define INTERNET "192.0.2.80"
#define FAR	 "10.2.0.9"
#define FAR6	 "2001:db8:2::9"

static const char nat[] =
	"nat { source { rule all { from trust; to untrust; then { source-nat interface; } } } }";

static struct gate g;
static struct packet packet;

static int setup(void **state)
{
	(void)state;
	gate_init(&g, gate_text, "", 64);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	gate_done(&g);
	return 0;
}

static struct packet_spec udp(const char *src, const char *dst, size_t n)
{
	return (struct packet_spec){
		.src = src, .dst = dst, .proto = IP_UDP, .src_port = 1000, .dst_port = 9, .payload_n = n
	};
}

static struct packet_spec reverse(struct packet_spec s)
{
	struct packet_spec r = s;

	r.src = s.dst;
	r.dst = s.src;
	r.src_port = s.dst_port;
	r.dst_port = s.src_port;
	return r;
}

static enum drop_reason from(uint32_t link, struct packet_spec s)
{
	gate_clear(&g);
	return gate_from_link(&g, link, packet_make(&packet, &s));
}

static void is_drop(enum drop_reason want, enum drop_reason got)
{
	assert_string_equal(drop_name(got), drop_name(want));
}

/* The only output is this packet, out of this link, one hop on, with every sum right. */
static const struct gate_out *only(enum gate_out_kind kind, uint32_t link)
{
	assert_int_equal(g.out_n, 1);
	assert_int_equal(g.out[0].kind, kind);
	if (kind == GATE_OUT_LINK) {
		assert_int_equal(g.out[0].interface, gate_interface(&g, link));
		assert_true(packet_sound(g.out[0].bytes, g.out[0].n));
	}
	return &g.out[0];
}

static void nothing_left(void)
{
	assert_int_equal(g.out_n, 0);
}

/* An ICMP error about the last packet, to its sender. */
static void answered(uint32_t link, uint8_t type, uint8_t code)
{
	const struct gate_out *o = only(GATE_OUT_LINK, link);
	bool v4 = o->bytes[0] >> 4 == 4;
	uint32_t head = v4 ? 20 : 40;

	assert_int_equal(o->bytes[v4 ? 9 : 6], v4 ? IP_ICMP : IP_ICMPV6);
	assert_int_equal(o->bytes[head], type);
	assert_int_equal(o->bytes[head + 1], code);
	/* quotes it as it came */
	assert_memory_equal(o->bytes + head + 8, packet.room + TRAIN_HEAD_ROOM, MIN_OF(o->n - head - 8, 28u));
}

static void test_forward(void **state)
{
	static const char *const ends[2][2] = { { HOST, INTERNET }, { HOST6, "2001:db8:99::9" } };

	(void)state;
	for (int v6 = 0; v6 < 2; v6++) {
		struct packet_spec s = udp(ends[v6][0], ends[v6][1], 100);
		for (int i = 0; i < 3; i++) { /* the first looks the way up, the others know it */
			is_drop(DROP_NONE, from(GATE_LAN, s));
			const struct gate_out *o = only(GATE_OUT_LINK, GATE_WAN);
			assert_memory_equal(o->mac, ((uint8_t[]){ 2, 0, 0, 0, 1, 1 }), 6);
			assert_int_equal(o->bytes[v6 ? IP6_HOPS : IP4_TTL], 63);
			assert_int_equal(o->n, (v6 ? 48 : 28) + 100);
			is_drop(DROP_NONE, from(GATE_WAN, reverse(s)));
			o = only(GATE_OUT_LINK, GATE_LAN);
			assert_memory_equal(o->mac, ((uint8_t[]){ 2, 0, 0, 0, 1, 2 }), 6);
		}
		is_drop(DROP_DEFAULT_DENY, from(GATE_WAN, udp(ends[v6][1], ends[v6][0], 1)));
		nothing_left();
	}
	assert_int_equal(g.p.packets_out, 12);
}

static void test_nat(void **state)
{
	struct packet_spec s = udp(HOST, INTERNET, 33);

	(void)state;
	gate_load(&g, gate_text, nat);
	is_drop(DROP_NONE, from(GATE_LAN, s));
	const struct gate_out *o = only(GATE_OUT_LINK, GATE_WAN);
	assert_memory_equal(o->bytes + 12, ((uint8_t[]){ 198, 51, 100, 2 }), 4);
	uint16_t port = load_be16(o->bytes + 20);
	struct packet_spec back = {
		.src = INTERNET, .dst = "198.51.100.2", .proto = IP_UDP, .src_port = 9, .dst_port = port
	};
	is_drop(DROP_NONE, from(GATE_WAN, back));
	o = only(GATE_OUT_LINK, GATE_LAN);
	assert_memory_equal(o->bytes + 16, ((uint8_t[]){ 10, 1, 0, 2 }), 4);
	/* what ends here is quoted as it came, and told to who sent it */
	s.hops = 1;
	is_drop(DROP_TTL, from(GATE_LAN, s));
	answered(GATE_LAN, ICMP4_TIME_EXCEEDED, 0);
	/* what goes into the tunnel is not translated */
	gate_sa(&g, false);
	is_drop(DROP_NONE, from(GATE_LAN, udp(HOST, FAR, 10)));
	assert_int_equal(g.out[0].kind, GATE_OUT_TUNNEL);
	assert_int_equal(fw_nat_rule_hits(g.fw, 0)->hits, 1);
}

/* ---- tunnels ---- */

/* Opens what came out with the other end's SA. */
static uint32_t open_with(struct gate *other, const struct gate_out *o, uint8_t *ret_inner)
{
	struct esp_opened opened;

	assert_int_equal(o->kind, GATE_OUT_TUNNEL);
	assert_int_equal(load_be32(o->bytes), GATE_SPI_OUT);
	esp_open(other->esp, o->bytes, o->n, 0, ret_inner, other->now, &opened);
	is_drop(DROP_NONE, opened.drop);
	return opened.n;
}

static void test_tunnel(void **state)
{
	static struct gate other;
	static uint8_t inner[70000];

	(void)state;
	gate_init(&other, gate_text, "", 64);
	gate_sa(&g, false);
	gate_sa(&other, true);
	for (int v6 = 0; v6 < 2; v6++) {
		struct packet_spec s = udp(v6 ? HOST6 : HOST, v6 ? FAR6 : FAR, 777);
		is_drop(DROP_NONE, from(GATE_LAN, s));
		const struct gate_out *o = only(GATE_OUT_TUNNEL, 0);
		uint32_t n = open_with(&other, o, inner);
		assert_true(packet_sound(inner, n));
		assert_int_equal(inner[v6 ? IP6_HOPS : IP4_TTL], 63);
		struct packet_spec back = reverse(s);
		gate_clear(&g);
		is_drop(DROP_NONE, gate_from_tunnel(&g, packet_make(&packet, &back)));
		only(GATE_OUT_LINK, GATE_LAN);
		/* a stranger's in clear, into the living session and beside it */
		is_drop(DROP_TUNNEL_REQUIRED, from(GATE_WAN, (back.src_port = 7, back)));
		nothing_left();
		back.src_port = 9;
		is_drop(DROP_SESSION_ZONE_MISMATCH, from(GATE_WAN, back));
		nothing_left();
		is_drop(DROP_TUNNEL_REQUIRED, from(GATE_LAN, udp(v6 ? FAR6 : FAR, v6 ? HOST6 : HOST, 7)));
		nothing_left();
	}
	gate_done(&other);
}

/* A train is cut into packets, each sealed; what the other end opens is what went in. */
static void test_tunnel_train(void **state)
{
	static struct gate other;
	static uint8_t inner[70000];
	struct packet_spec s = {
		.src = HOST, .dst = FAR, .proto = IP_TCP, .src_port = 1000, .dst_port = 80, .flags = TCP_SYN
	};

	(void)state;
	gate_init(&other, gate_text, "", 64);
	gate_sa(&g, false);
	gate_sa(&other, true);
	is_drop(DROP_NONE, from(GATE_LAN, s));
	struct packet_spec back = reverse(s);
	back.flags = TCP_SYN | TCP_ACK;
	back.ack = 1;
	gate_clear(&g);
	is_drop(DROP_NONE, gate_from_tunnel(&g, packet_make(&packet, &back)));
	s.flags = TCP_ACK;
	s.seq = s.ack = 1;
	s.payload_n = 40000;
	s.partial = true;
	gate_clear(&g);
	struct train t = packet_make(&packet, &s);
	static uint8_t payload[40000];
	memcpy(payload, t.ip + 40, sizeof payload);
	t.segment_size = 1300;
	is_drop(DROP_NONE, gate_from_link(&g, GATE_LAN, t));
	assert_int_equal(g.out_n, (40000 + 1299) / 1300);
	for (uint32_t i = 0, at = 0; i < g.out_n; i++) {
		uint32_t n = open_with(&other, &g.out[i], inner);
		assert_true(packet_sound(inner, n));
		assert_memory_equal(inner + 40, payload + at, n - 40);
		assert_int_equal(load_be32(inner + 24), 1 + at);
		at += n - 40;
	}
	gate_done(&other);
}

static void test_tunnel_down(void **state)
{
	(void)state;
	for (int i = 0; i < 3; i++) {
		is_drop(DROP_TUNNEL_DOWN, from(GATE_LAN, udp(HOST, FAR, 10)));
		is_drop(DROP_TUNNEL_DOWN, from(GATE_LAN, udp(HOST6, FAR6, 10)));
		nothing_left();
	}
	assert_int_equal(g.acquired, 1); /* asked for once in a while */
	g.now += 3 * NS_PER_S;
	is_drop(DROP_TUNNEL_DOWN, from(GATE_LAN, udp(HOST, FAR, 10)));
	assert_int_equal(g.acquired, 2);
	gate_sa(&g, false);
	is_drop(DROP_NONE, from(GATE_LAN, udp(HOST, FAR, 10)));
	only(GATE_OUT_TUNNEL, 0);
	/* and down again under a living session: never in clear */
	assert_int_equal(esp_remove(g.esp, GATE_SPI_IN), RC_OK);
	is_drop(DROP_TUNNEL_DOWN, from(GATE_LAN, udp(HOST, FAR, 10)));
	nothing_left();
	pipeline_changed(&g.p);
	is_drop(DROP_TUNNEL_DOWN, from(GATE_LAN, udp(HOST, FAR, 10)));
	nothing_left();
}

/* The tunnel in a zone that has links too: addresses alone tell sealed from clear. */
static void test_shared_zone(void **state)
{
	static char text[8192];
	const char *at = strstr(gate_text, "zone vpn; local");

	(void)state;
	snprintf(text, sizeof text, "%.*szone untrust; local%s", (int)(at - gate_text), gate_text,
		at + strlen("zone vpn; local"));
	gate_load(&g, text, "");
	gate_sa(&g, false);
	struct packet_spec s = udp(HOST, FAR, 10);
	is_drop(DROP_NONE, from(GATE_LAN, s));
	only(GATE_OUT_TUNNEL, 0);
	is_drop(DROP_TUNNEL_REQUIRED, from(GATE_WAN, reverse(s)));
	nothing_left();
	struct packet_spec back = reverse(s);
	gate_clear(&g);
	is_drop(DROP_NONE, gate_from_tunnel(&g, packet_make(&packet, &back)));
	only(GATE_OUT_LINK, GATE_LAN);
}

/* A tunnel to everywhere, but what its own side names stays on this side, and nobody else speaks for it. */
static void test_tunnel_for_everything(void **state)
{
	static const char remote[] = "remote [ 10.2.0.0/24 2001:db8:2::/64 ]";
	static const char *const hosts[] = { HOST, HOST6 },
				 *const neighbours[] = { "10.1.0.9", "2001:db8:1::9" },
				 *const own[] = { "10.1.0.1", "2001:db8:1::1" },
				 *const outside[] = { INTERNET, "2001:db8:99::9" };
	static char text[8192];
	const char *at = strstr(gate_text, remote);

	(void)state;
	snprintf(text, sizeof text, "%.*sremote [ 0.0.0.0/0 ::/0 ]%s", (int)(at - gate_text), gate_text,
		at + strlen(remote));
	gate_load(&g, text, "");
	for (int v6 = 0; v6 < 2; v6++) {
		struct packet_spec out = udp(hosts[v6], outside[v6], 10), back = reverse(out);

		is_drop(DROP_TUNNEL_REQUIRED, from(GATE_WAN, back));
		is_drop(DROP_TUNNEL_DOWN, from(GATE_LAN, out));
		is_drop(DROP_HOST_INBOUND,
			from(GATE_LAN, udp(hosts[v6], own[v6], 10))); /* the host may have it */
		nothing_left();
		is_drop(DROP_SPOOFED, from(GATE_WAN, udp(neighbours[v6], hosts[v6], 10)));
		is_drop(DROP_TUNNEL_REQUIRED, from(GATE_WAN, udp(outside[v6], own[v6], 10)));
		is_drop(DROP_DEFAULT_DENY, from(GATE_LAN, udp(hosts[v6], neighbours[v6], 10)));
	}
	gate_sa(&g, false);
	for (int v6 = 0; v6 < 2; v6++) {
		struct packet_spec in = udp(outside[v6], hosts[v6], 10),
				   back = reverse(udp(hosts[v6], outside[v6], 10)),
				   spoofed = udp(neighbours[v6], hosts[v6], 10);

		is_drop(DROP_SPOOFED, gate_from_tunnel(&g, packet_make(&packet, &spoofed)));
		nothing_left();
		/* nothing began while it was down */
		is_drop(DROP_DEFAULT_DENY, gate_from_tunnel(&g, packet_make(&packet, &back)));
		is_drop(DROP_NONE, gate_from_tunnel(&g, packet_make(&packet, &in)));
		only(GATE_OUT_LINK, GATE_LAN);
		gate_clear(&g);
	}
}

/* An error in clear about a session in clear, whose sender says that it is behind the tunnel. */
static void test_error_in_clear(void **state)
{
	struct packet_spec s = udp(HOST, INTERNET, 30);
	uint8_t quote[58];

	(void)state;
	for (int translated = 0; translated < 2; translated++) {
		gate_load(&g, gate_text, translated ? nat : "");
		s.src_port++;
		is_drop(DROP_NONE, from(GATE_LAN, s));
		memcpy(quote, only(GATE_OUT_LINK, GATE_WAN)->bytes, sizeof quote);
		struct packet_spec e = { .src = "203.0.113.5",
			.dst = translated ? "198.51.100.2" : HOST,
			.proto = IP_ICMP,
			.icmp_type = ICMP4_UNREACHABLE,
			.payload = quote,
			.payload_n = sizeof quote };
		is_drop(DROP_NONE, from(GATE_WAN, e));
		only(GATE_OUT_LINK, GATE_LAN);
		e.src = FAR;
		is_drop(DROP_TUNNEL_REQUIRED, from(GATE_WAN, e));
		nothing_left();
	}
}

/* A commit puts a tunnel where a session was in clear: its answers are not taken in clear any more either. */
static void test_tunnel_added(void **state)
{
	static char text[8192];
	const char *at = strstr(gate_text, "10.2.0.0/24");

	(void)state;
	for (int translated = 0; translated < 2; translated++) {
		snprintf(text, sizeof text, "%.*s10.3.0.0/24%s", (int)(at - gate_text), gate_text, at + 11);
		gate_load(&g, text, translated ? nat : "");
		struct packet_spec s = udp(HOST, FAR, 30);
		s.src_port = (uint16_t)(50000 + translated);
		is_drop(DROP_NONE, from(GATE_LAN, s));
		only(GATE_OUT_LINK, GATE_WAN);
		struct packet_spec back = reverse(s);
		back.dst = translated ? "198.51.100.2" : HOST;
		is_drop(DROP_NONE, from(GATE_WAN, back));
		only(GATE_OUT_LINK, GATE_LAN);
		gate_load(&g, gate_text, translated ? nat : "");
		is_drop(DROP_TUNNEL_REQUIRED, from(GATE_WAN, back));
		nothing_left();
	}
}

/* What comes out of the tunnel goes where routes lead, if policy lets it; errors about it go back sealed. */
static void test_from_tunnel(void **state)
{
	struct packet_spec s = udp(FAR, HOST, 10);

	(void)state;
	gate_sa(&g, false);
	is_drop(DROP_NONE, gate_from_tunnel(&g, packet_make(&packet, &s)));
	only(GATE_OUT_LINK, GATE_LAN);
	gate_clear(&g);
	s.hops = 1;
	is_drop(DROP_TTL, gate_from_tunnel(&g, packet_make(&packet, &s)));
	only(GATE_OUT_TUNNEL, 0);
	gate_clear(&g);
	s.hops = 0;
	s.dst = INTERNET; /* of no tunnel: its SA would not have let it in */
	is_drop(DROP_SPOOFED, gate_from_tunnel(&g, packet_make(&packet, &s)));
	nothing_left();
	g.refuse_tunnel = DROP_TUNNEL_SEND_FAILED;
	is_drop(DROP_TUNNEL_SEND_FAILED, from(GATE_LAN, udp(HOST, FAR, 10)));
}

/* ---- sizes ---- */

static void test_too_big(void **state)
{
	struct packet_spec s = udp(HOST, FAR, 1472);

	(void)state;
	gate_sa(&g, false);
	uint32_t mtu = pipeline_tunnel_mtu(&g.p, 0);
	assert_in_range(mtu, 1400, 1450);
	for (int v6 = 0; v6 < 2; v6++) {
		s = udp(v6 ? HOST6 : HOST, v6 ? FAR6 : FAR, v6 ? 1452 : 1472);
		struct train t = packet_make(&packet, &s);
		if (!v6) {
			store_be16(t.ip + 6, IP4_DF);
			store_be16(t.ip + 10, 0);
			store_be16(t.ip + 10, plain_checksum(0, t.ip, 20));
		}
		gate_clear(&g);
		is_drop(DROP_TOO_BIG, gate_from_link(&g, GATE_LAN, t));
		answered(GATE_LAN, v6 ? ICMP6_TOO_BIG : ICMP4_UNREACHABLE, v6 ? 0 : 4);
		assert_int_equal(v6 ? load_be32(g.out[0].bytes + 44) : load_be16(g.out[0].bytes + 26), mtu);
	}
	s = udp(HOST, FAR, 1472); /* without don't-fragment it is cut */
	is_drop(DROP_NONE, from(GATE_LAN, s));
	assert_int_equal(g.out_n, 2);
	/* just fits */
	s = udp(HOST6, FAR6, mtu - 48);
	is_drop(DROP_NONE, from(GATE_LAN, s));
	only(GATE_OUT_TUNNEL, 0);
	s.payload_n++;
	is_drop(DROP_TOO_BIG, from(GATE_LAN, s));
}

/* A narrow link: fragments that come together again, IPv4 and (what came in fragments) IPv6. */
static void test_narrow_link(void **state)
{
	static uint8_t whole[4000];
	struct route_link l = { .index = GATE_WAN,
		.name = "wan0",
		.mac = { 2, 0, 0, 0, 0, 2 },
		.up = true,
		.has_mac = true,
		.mtu = 700 };

	(void)state;
	assert_int_equal(route_link_set(g.routes, &l), RC_OK);
	pipeline_changed(&g.p);
	struct packet_spec s = udp(HOST, INTERNET, 1400);
	is_drop(DROP_NONE, from(GATE_LAN, s));
	assert_int_equal(g.out_n, 3);
	uint32_t total = 0;
	for (uint32_t i = 0; i < g.out_n; i++) {
		const struct gate_out *o = &g.out[i];
		assert_true(o->n <= 700);
		assert_int_equal(plain_checksum(0, o->bytes, 20), 0);
		uint32_t at = 8u * (load_be16(o->bytes + 6) & IP4_OFFSET_MASK);
		memcpy(whole + at, o->bytes + 20, o->n - 20);
		total += o->n - 20;
	}
	assert_int_equal(total, 1408);
	assert_memory_equal(whole + 8, packet.room + TRAIN_HEAD_ROOM + 28, 1400);
	/* TCP is given smaller segments in place of fragments, and its SYN says so beforehand */
	static const uint8_t mss[] = { 2, 4, 5, 180 };
	s = (struct packet_spec){ .src = HOST,
		.dst = INTERNET,
		.proto = IP_TCP,
		.src_port = 5,
		.dst_port = 80,
		.flags = TCP_SYN,
		.options = mss,
		.options_n = 4 };
	is_drop(DROP_NONE, from(GATE_LAN, s));
	assert_int_equal(load_be16(only(GATE_OUT_LINK, GATE_WAN)->bytes + 42), 660);
}

/* ---- answers ---- */

static void test_reject(void **state)
{
	struct packet_spec s = { .src = HOST,
		.dst = INTERNET,
		.proto = IP_TCP,
		.src_port = 5,
		.dst_port = 81,
		.flags = TCP_SYN,
		.seq = 77 };

	(void)state;
	is_drop(DROP_POLICY_REJECT, from(GATE_LAN, s));
	const struct gate_out *o = only(GATE_OUT_LINK, GATE_LAN);
	assert_int_equal(o->bytes[9], IP_TCP);
	assert_int_equal(o->bytes[33], TCP_RST | TCP_ACK);
	assert_int_equal(load_be32(o->bytes + 28), 78);
	assert_int_equal(load_be16(o->bytes + 22), 5);
}

static void test_no_route(void **state)
{
	struct route_entry e = { .link = GATE_WAN, .kind = ROUTE_UNICAST };

	(void)state;
	assert_int_equal(prefix_parse(&e.dst, "0.0.0.0/0"), RC_OK);
	assert_int_equal(addr_parse(&e.gateway, "198.51.100.1"), RC_OK);
	route_gone(g.routes, &e);
	is_drop(DROP_NO_ROUTE, from(GATE_LAN, udp(HOST, INTERNET, 10)));
	answered(GATE_LAN, ICMP4_UNREACHABLE, 0);
	/* a source that is not behind the link gets no answer: it would go to a stranger */
	is_drop(DROP_NO_ROUTE, from(GATE_LAN, udp("172.16.3.3", INTERNET, 10)));
	nothing_left();
}

static void test_spoofed(void **state)
{
	(void)state;
	is_drop(DROP_SPOOFED, from(GATE_LAN, udp("172.16.3.3", INTERNET, 10)));
	nothing_left();
	is_drop(DROP_SPOOFED, from(GATE_WAN, udp("10.1.3.3", HOST, 10)));
	nothing_left();
	is_drop(DROP_SPOOFED, from(GATE_WAN, udp("198.51.100.2", HOST, 10))); /* our own address */
	nothing_left();
}

static void test_neighbour(void **state)
{
	struct route_neighbour n = {
		.link = GATE_LAN, .mac = { 2, 0, 0, 0, 1, 9 }, .state = ROUTE_NEIGHBOUR_VALID
	};
	struct packet_spec s = udp(FAR, "10.1.0.9", 10);

	(void)state;
	gate_sa(&g, false);
	assert_int_equal(addr_parse(&n.addr, "10.1.0.9"), RC_OK);
	is_drop(DROP_NONE, gate_from_tunnel(&g, packet_make(&packet, &s)));
	nothing_left();
	assert_int_equal(g.asked, 1);
	for (int i = 0; i < NEIGHBOUR_QUEUE_EACH_MAX; i++) {
		enum drop_reason d = gate_from_tunnel(&g, packet_make(&packet, &s));
		is_drop(i + 1 < NEIGHBOUR_QUEUE_EACH_MAX ? DROP_NONE : DROP_NEIGHBOUR, d);
	}
	assert_int_equal(g.asked, 1);
	assert_int_equal(route_neighbour_set(g.routes, &n), RC_OK);
	pipeline_neighbour(&g.p, GATE_LAN, &n.addr, g.now);
	assert_int_equal(g.out_n, NEIGHBOUR_QUEUE_EACH_MAX);
	for (uint32_t i = 0; i < g.out_n; i++) {
		assert_int_equal(g.out[i].mac[5], 9);
		assert_true(packet_sound(g.out[i].bytes, g.out[i].n));
	}
	/* one that never answers: told to the sender, through the tunnel it came from or not at all */
	gate_clear(&g);
	is_drop(DROP_NONE, from(GATE_LAN, udp(HOST, "198.51.100.77", 10)));
	g.now += 4 * NS_PER_S;
	pipeline_tick(&g.p, g.now);
	assert_int_equal(g.p.drops[DROP_NEIGHBOUR], 2);
	answered(GATE_LAN, ICMP4_UNREACHABLE, 1);
}

static void test_link_down(void **state)
{
	struct route_link l = { .index = GATE_WAN, .name = "wan0", .mtu = 1500 };

	(void)state;
	assert_int_equal(route_link_set(g.routes, &l), RC_OK);
	pipeline_changed(&g.p);
	enum drop_reason d = from(GATE_LAN, udp(HOST, INTERNET, 10));
	assert_true(d == DROP_LINK_SEND_FAILED || d == DROP_NO_ROUTE);
}

/*
 * A hundred a second to one host and a thousand to all of a zone, twenty and fifty at once: no more errors
 * than that, whatever is asked, and what one host asks takes nothing from another.
 */
static void test_answers_limited(void **state)
{
	struct packet_spec s = udp(HOST, INTERNET, 10);

	(void)state;
	s.hops = 1;
	for (int i = 0; i < 500; i++)
		from(GATE_LAN, s);
	assert_in_range(g.p.error_replies_sent, 18, 22);
	assert_int_equal(g.p.error_replies_sent + g.p.error_replies_suppressed, 500);
	assert_int_equal(g.p.drops[DROP_TTL], 500);
	s.src = "10.1.0.3";
	from(GATE_LAN, s);
	struct route_neighbour n = { .link = GATE_LAN, .mac = { 2 }, .state = ROUTE_NEIGHBOUR_VALID };
	assert_int_equal(addr_parse(&n.addr, s.src), RC_OK);
	assert_int_equal(route_neighbour_set(g.routes, &n), RC_OK);
	is_drop(DROP_TTL, from(GATE_LAN, s));
	answered(GATE_LAN, ICMP4_TIME_EXCEEDED, 0);
	for (int i = 0; i < 200;
		i++) { /* many that say to be others use up their zone's share, not another's */
		char src[ADDR_TEXT_MAX];
		snprintf(src, sizeof src, "10.1.2.%d", i);
		s.src = src;
		from(GATE_LAN, s);
	}
	assert_in_range(g.p.error_replies_sent, 45, 55);
	gate_sa(&g, false);
	struct packet_spec far = udp(FAR, HOST, 10);
	far.hops = 1;
	gate_clear(&g);
	is_drop(DROP_TTL, gate_from_tunnel(&g, packet_make(&packet, &far)));
	only(GATE_OUT_TUNNEL, 0);
}

/* ---- the host ---- */

static void test_host(void **state)
{
	struct packet_spec ping = { .src = HOST,
		.dst = "10.1.0.1",
		.proto = IP_ICMP,
		.icmp_type = ICMP4_ECHO,
		.src_port = 7,
		.payload_n = 8 };
	struct packet_spec ssh = { .src = INTERNET,
		.dst = "198.51.100.2",
		.proto = IP_TCP,
		.src_port = 700,
		.dst_port = 22,
		.flags = TCP_SYN };

	(void)state;
	gate_sa(&g, false);
	is_drop(DROP_NONE, from(GATE_LAN, ping)); /* the kernel has a copy and answers */
	nothing_left();
	is_drop(DROP_HOST_INBOUND, from(GATE_WAN, ssh));
	nothing_left();
	/* out of the tunnel the kernel has no copy: it gets it */
	ping.src = FAR;
	gate_clear(&g);
	is_drop(DROP_NONE, gate_from_tunnel(&g, packet_make(&packet, &ping)));
	only(GATE_OUT_HOST, 0);
	struct packet_spec pong = reverse(ping);
	pong.src_port = 7;
	pong.icmp_type = ICMP4_ECHO_REPLY;
	gate_clear(&g);
	is_drop(DROP_NONE, gate_from_host(&g, packet_make(&packet, &pong)));
	only(GATE_OUT_TUNNEL, 0);
	g.refuse_host = DROP_HOST_SEND_FAILED;
	gate_clear(&g);
	is_drop(DROP_HOST_SEND_FAILED, gate_from_tunnel(&g, packet_make(&packet, &ping)));
	/* the host's other packets have no way here: its kernel sends them itself */
	struct packet_spec own = udp("10.1.0.1", INTERNET, 10);
	gate_clear(&g);
	is_drop(DROP_NO_ROUTE, gate_from_host(&g, packet_make(&packet, &own)));
}

static void test_multicast(void **state)
{
	(void)state;
	is_drop(DROP_MULTICAST, from(GATE_LAN, udp(HOST, "239.1.2.3", 10)));
	is_drop(DROP_MULTICAST, from(GATE_LAN, udp(HOST6, "ff02::1", 10)));
	nothing_left();
}

/*
 * A route moved: both directions of a session look their way up anew. The first train of the burst ends the
 * session, the answer behind it in the same burst finds none, and comes from where its source is not.
 */
static void test_session_ends_within_a_burst(void **state)
{
	static struct packet rooms[2];
	struct packet_spec s = udp(HOST, INTERNET, 10), back = reverse(s);
	struct route_entry e = { .link = GATE_LAN, .kind = ROUTE_UNICAST };
	struct train t[2];

	(void)state;
	is_drop(DROP_NONE, from(GATE_LAN, s));
	is_drop(DROP_NONE, from(GATE_WAN, back));
	assert_int_equal(prefix_parse(&e.dst, "192.0.2.0/24"), RC_OK);
	assert_int_equal(route_set(g.routes, &e, ROUTE_REPLACE), RC_OK);
	t[0] = packet_make(&rooms[0], &s);
	t[1] = packet_make(&rooms[1], &back);
	pipeline_train_from_link(&g.p, &t[0], gate_interface(&g, GATE_LAN));
	pipeline_train_from_link(&g.p, &t[1], gate_interface(&g, GATE_WAN));
	gate_clear(&g);
	pipeline_burst(&g.p, t, 2, g.now);
	is_drop(DROP_DEFAULT_DENY, t[0].drop); /* trust to trust: no rule */
	is_drop(DROP_SPOOFED, t[1].drop);
	nothing_left();
}

/* What is dropped further on begins no session, so no error about it comes in either. */
static void test_nothing_begins(void **state)
{
	struct packet_spec s = udp(HOST, INTERNET, 10), ping = s, big = udp(HOST6, "2001:db8:99::9", 1500);
	struct route_link l = {
		.index = GATE_WAN, .name = "wan0", .mac = { 2 }, .has_mac = true, .mtu = 1500
	};

	(void)state;
	ping.proto = IP_ICMP;
	ping.icmp_type = ICMP4_ECHO;
	s.hops = ping.hops = 1;
	is_drop(DROP_TTL, from(GATE_LAN, ping));
	answered(GATE_LAN, ICMP4_TIME_EXCEEDED, 0);
	is_drop(DROP_TTL, from(GATE_LAN, s));
	is_drop(DROP_TOO_BIG, from(GATE_LAN, big));
	is_drop(DROP_TUNNEL_DOWN, from(GATE_LAN, udp(HOST, FAR, 10)));
	assert_int_equal(route_link_set(g.routes, &l), RC_OK);
	pipeline_changed(&g.p);
	enum drop_reason d = from(GATE_LAN, udp(HOST, INTERNET, 10));
	assert_true(d == DROP_LINK_SEND_FAILED || d == DROP_NO_ROUTE);
	assert_int_equal(fw_counters(g.fw)->sessions_created, 0);
}

/* The last acknowledgement of a connection and the SYN of the next, on the same ports, in one burst. */
static void test_port_again_within_a_burst(void **state)
{
	static struct packet rooms[2];
	struct packet_spec c = { .src = HOST,
		.dst = INTERNET,
		.proto = IP_TCP,
		.src_port = 1000,
		.dst_port = 80,
		.flags = TCP_SYN },
			   r = reverse(c);
	struct train t[2];

	(void)state;
	is_drop(DROP_NONE, from(GATE_LAN, c));
	r.flags = TCP_SYN | TCP_ACK;
	r.ack = 1;
	is_drop(DROP_NONE, from(GATE_WAN, r));
	c.flags = TCP_ACK | TCP_FIN;
	c.seq = c.ack = r.seq = 1;
	is_drop(DROP_NONE, from(GATE_LAN, c));
	r.flags = TCP_ACK | TCP_FIN;
	r.ack = 2;
	is_drop(DROP_NONE, from(GATE_WAN, r));
	c.flags = TCP_ACK;
	c.seq = c.ack = 2;
	t[0] = packet_make(&rooms[0], &c);
	c.flags = TCP_SYN;
	c.seq = 70000;
	t[1] = packet_make(&rooms[1], &c);
	for (int i = 0; i < 2; i++)
		pipeline_train_from_link(&g.p, &t[i], gate_interface(&g, GATE_LAN));
	pipeline_burst(&g.p, t, 2, g.now);
	is_drop(DROP_NONE, t[0].drop);
	is_drop(DROP_NONE, t[1].drop);
	r.flags = TCP_SYN | TCP_ACK;
	r.seq = 50000;
	r.ack = 70001;
	is_drop(DROP_NONE, from(GATE_WAN, r));
	assert_int_equal(fw_counters(g.fw)->sessions_created, 2);
}

/* tcp-rst is about the gateway's own services as well. */
static void test_reset_of_host_inbound(void **state)
{
	static char text[8192];
	const char *at = strstr(gate_text, "interfaces lan0;");
	struct packet_spec ssh = { .src = HOST,
		.dst = "10.1.0.1",
		.proto = IP_TCP,
		.src_port = 7,
		.dst_port = 22,
		.flags = TCP_SYN,
		.seq = 9 };

	(void)state;
	is_drop(DROP_HOST_INBOUND, from(GATE_LAN, ssh));
	nothing_left();
	snprintf(text, sizeof text, "%.*stcp-rst; %s", (int)(at - gate_text), gate_text, at);
	gate_load(&g, text, "");
	is_drop(DROP_HOST_INBOUND, from(GATE_LAN, ssh));
	const struct gate_out *o = only(GATE_OUT_LINK, GATE_LAN);
	assert_int_equal(o->bytes[33], TCP_RST | TCP_ACK);
	assert_int_equal(load_be32(o->bytes + 28), 10);
	ssh.proto = IP_UDP;
	is_drop(DROP_HOST_INBOUND, from(GATE_LAN, ssh));
	nothing_left();
}

/* Before a configuration came nothing is forwarded. */
static void test_unconfigured(void **state)
{
	struct pipeline bare;
	struct packet_spec s = udp(HOST, INTERNET, 10);
	struct train t = packet_make(&packet, &s);

	(void)state;
	assert_true(pipeline_init(&bare, &g.p.io, g.fw, g.esp, g.routes, g.p.hash_key));
	gate_clear(&g);
	pipeline_train_from_link(&bare, &t, TRAIN_NONE);
	pipeline_burst(&bare, &t, 1, g.now);
	is_drop(DROP_NO_ZONE, t.drop);
	nothing_left();
	pipeline_done(&bare);
}

#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(test_forward),
		T(test_nat),
		T(test_tunnel),
		T(test_tunnel_train),
		T(test_tunnel_down),
		T(test_shared_zone),
		T(test_tunnel_for_everything),
		T(test_error_in_clear),
		T(test_tunnel_added),
		T(test_from_tunnel),
		T(test_too_big),
		T(test_narrow_link),
		T(test_reject),
		T(test_no_route),
		T(test_spoofed),
		T(test_neighbour),
		T(test_link_down),
		T(test_answers_limited),
		T(test_host),
		T(test_multicast),
		T(test_session_ends_within_a_burst),
		T(test_nothing_begins),
		T(test_reset_of_host_inbound),
		T(test_port_again_within_a_burst),
		T(test_unconfigured),
	};
	return cmocka_run_group_tests_name("dataplane/pipeline", tests, NULL, NULL);
}
