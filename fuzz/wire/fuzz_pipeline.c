/*
 * A whole gateway's data plane and what comes from its links, its tunnel and its host, in bursts, while
 * routes, neighbours, SAs and the configuration change. After each step:
 *   - nothing between the tunnel's two sides has left by a link, or come from one and gone further;
 *   - what left by a link has the sums it should have, and no more octets than the link takes;
 *   - as many sealed packets as the tunnel was given leave, each longer than what is in it;
 *   - a second one, which got the trains of each burst one by one, has dropped the same and has the same
 *     sessions.
 */
#include "base/rd.h"
#include "gate.h"
#include "must.h"

#include <stdio.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

#define BURST_MAX 6
#define RAW_MAX	  1600

static struct gate gates[2]; /* by bursts; train by train */
#define g gates[0]
static void *blocks[4];
static struct packet rooms[2][BURST_MAX];

static void blocks_make(void)
{
	static const char nat[] =
		"nat { source { rule all { from trust; to untrust; then { source-nat interface; } } } }";
	/* a rule of NAT64, whose own address is also one of the tunnel's side */
	static const char nat64[] =
		"address-book { address far { prefix 10.2.0.0/24; } } nat { nat64 { rule four { from trust; prefix "
		"2001:db8:64::/96; } } source { rule far { from trust; to untrust; match { destination far; } then { "
		"source-nat 10.1.0.200/32; } } rule all { from trust; to untrust; then { source-nat interface; } } } }";
	static char shared[1 << 14], read[1 << 14];
	const char *at = strstr(gate_text, "zone vpn; local");

	MUST(at);
	/* the third: the tunnel's zone has a link too */
	snprintf(shared, sizeof shared, "%.*szone untrust; local%s", (int)(at - gate_text), gate_text,
		at + strlen("zone vpn; local"));
	at = strstr(gate_text, "host-name gate;");
	MUST(at);
	/* the second: texts are read */
	snprintf(read, sizeof read, "%.*salg { ftp; tftp; } %s", (int)(at - gate_text), gate_text, at);
	blocks[0] = gate_compile(gate_text, "");
	blocks[1] = gate_compile(read, nat);
	blocks[2] = gate_compile(shared, "");
	blocks[3] = gate_compile(gate_text, nat64);
}

/* ---- what left ---- */

static bool in4(const uint8_t *a, uint8_t second)
{
	return a[0] == 10 && a[1] == second && a[2] == 0;
}

static bool in6(const uint8_t *a, uint8_t third)
{
	return memcmp(a, (const uint8_t[]){ 0x20, 1, 0x0d, 0xb8, 0, third, 0, 0 }, 8) == 0;
}

static bool between_the_sides(const uint8_t *ip)
{
	if (ip[0] >> 4 == 4)
		return in4(ip + IP4_SRC, 1) && in4(ip + IP4_DST, 2);
	return in6(ip + IP6_SRC, 1) && in6(ip + IP6_DST, 2);
}

static void look_at(const struct gate_out *o, bool sealed_came_in)
{
	bool v4 = o->kind != GATE_OUT_TUNNEL && o->bytes[0] >> 4 == 4;

	if (o->kind == GATE_OUT_TUNNEL) {
		MUST(o->n > ESP_SIZE_MIN && load_be32(o->bytes) == GATE_SPI_OUT);
		return;
	}
	MUST(o->n >= 20 && (v4 || (o->n >= 40 && o->bytes[0] >> 4 == 6)));
	if (o->kind == GATE_OUT_LINK) {
		MUST(!between_the_sides(o->bytes)); /* in clear */
		MUST(o->offload.gso_size || o->n <= g.p.interfaces[o->interface].mtu);
	}
	/* what is of the other side came sealed */
	bool theirs = v4 ? in4(o->bytes + IP4_SRC, 2) && in4(o->bytes + IP4_DST, 1)
			 : in6(o->bytes + IP6_SRC, 2) && in6(o->bytes + IP6_DST, 1);
	bool reset = o->bytes[v4 ? 9 : 6] == IP_TCP &&
		     o->bytes[(v4 ? 20 : 40) + 13] & TCP_RST; /* may be our own */
	MUST(!theirs || sealed_came_in || reset);
	if (v4)
		MUST(plain_checksum(0, o->bytes, 4u * (o->bytes[0] & 15)) == 0);
	MUST((v4 ? load_be16(o->bytes + 2) : 40u + load_be16(o->bytes + 4)) == o->n || o->offload.gso_size);
	/* no kernel cuts what stands in a tunnel of others */
	uint8_t proto = o->bytes[v4 ? 9 : 6];
	MUST(!o->offload.gso_size || (proto != IP_GRE && proto != IP_IPIP && proto != IP_IPV6));
}

/* ---- what comes in ---- */

static const char *const ends4[] = { "10.1.0.2", "10.1.7.7", "10.2.0.9", "192.0.2.80", "198.51.100.2",
	"10.1.0.1", "198.51.100.77", "172.16.1.1" };
static const char *const ends6[] = { "2001:db8:1::2", "2001:db8:64::c000:250", "2001:db8:2::9",
	"2001:db8:99::9", "2001:db8:ff::2", "2001:db8:1::1", "2001:db8:64::a02:9", "fe80::1" };

/* A train in a tunnel of others; of UDP to the port that one rule permits. */
static struct train in_tunnel_read(uint8_t kind, uint8_t how, struct packet_spec outer, struct packet *room)
{
	struct packet_spec inner = { .src = kind & 1 ? "fd00:5::1" : "172.16.0.1",
		.dst = kind & 1 ? "fd00:5::2" : "172.16.0.2",
		.proto = kind & 2 ? IP_UDP : IP_TCP,
		.flags = TCP_ACK,
		.payload_n = outer.payload_n,
		.partial = true };

	outer.dst_port = 9;
	struct train t = packet_in(room, (enum packet_tunnel)(how % IN_COUNT), outer, &inner);
	t.segment_size = how == 0xff   ? 9
			 : kind & 0x80 ? 1200
			 : kind & 4    ? 1440
				       : 536; /* 9: too many for one frame */
	return t;
}

static struct train packet_read(struct rd *r, struct packet *room)
{
	static const uint8_t protos[] = { IP_TCP, IP_UDP, IP_UDP, IP_ICMP, 47, IP_TCP, IP_ESP, IP_ICMP };
	static const uint16_t ports[] = { 80, 9, 1000, 40960, 81, 4500, 500, 22 };
	static const uint8_t types4[] = { ICMP4_ECHO, ICMP4_ECHO_REPLY, ICMP4_UNREACHABLE, 13 };
	static const uint8_t types6[] = { ICMP6_ECHO, ICMP6_ECHO_REPLY, ICMP6_TOO_BIG, 135 };
	uint8_t a = rd_u8(r), b = rd_u8(r), c = rd_u8(r), d = rd_u8(r);
	bool v6 = a & 0x40;
	uint8_t proto = protos[a >> 3 & 7];
	static const size_t sizes[] = { 0, 30, 600, 1400, 1460, 3000, 20000, 60000 };
	struct packet_spec s = { .src = v6 ? ends6[a & 7] : ends4[a & 7],
		.dst = v6 ? ends6[b & 7] : ends4[b & 7],
		.proto = v6 && proto == IP_ICMP ? IP_ICMPV6 : proto,
		.src_port = ports[c & 7],
		.dst_port = ports[c >> 3 & 7],
		.flags = (const uint8_t[]){ TCP_SYN, TCP_SYN | TCP_ACK, TCP_ACK, TCP_ACK | TCP_FIN, TCP_RST,
			TCP_ACK | TCP_PSH, 0, TCP_SYN }[d & 7],
		.seq = d & 7 ? 1 : 0,
		.ack = 1,
		.icmp_type = v6 ? types6[c >> 6] : types4[c >> 6],
		.hops = b & 0x80 ? 1 : 64,
		.payload_n = sizes[d >> 3 & 7] };
	if (proto == IP_GRE && s.payload_n > 1460)
		return in_tunnel_read(d, c, s, room);
	bool train = s.payload_n > 1460 && (proto == IP_TCP || proto == IP_UDP);
	s.partial = train || (b & 0x40 && (proto == IP_TCP || proto == IP_UDP));
	struct train t = packet_make(room, &s);
	if (train)
		t.segment_size = d & 0x80 ? 1200 : 1440;
	else if (t.len > 1500)
		t.len = 1500; /* a length that lies */
	if (!v6 && b & 0x20) {
		store_be16(t.ip + 6, b & 0x10 ? IP4_DF : (uint16_t)(IP4_MF | (b & 8 ? 20 : 0)));
		store_be16(t.ip + 10, 0);
		store_be16(t.ip + 10, plain_checksum(0, t.ip, 20));
	}
	return t;
}

static struct train raw_read(struct rd *r, struct packet *room)
{
	struct rd packet = rd_block16(r, 0);
	struct train t = { .ip = room->room + TRAIN_HEAD_ROOM,
		.len = (uint32_t)MIN_OF(rd_left(&packet), (size_t)RAW_MAX) };

	if (!packet.bad)
		memcpy(t.ip, packet.at, t.len);
	size_t head = t.len ? 4u * (t.ip[0] & 15) : 0;
	if (t.len >= 20 && t.ip[0] >> 4 == 4 && head >= 20 && head <= t.len) {
		store_be16(t.ip + 10, 0);
		store_be16(t.ip + 10, plain_checksum(0, t.ip, head));
	}
	return t;
}

static void no_udp_gso(const struct train *trains, uint32_t n)
{
	struct gate *one = &gates[1];

	gate_clear(one);
	for (uint32_t i = 0; i < n; i++) {
		struct train t = trains[i];
		memcpy(&rooms[1][i], &rooms[0][i], sizeof rooms[1][i]);
		t.ip = rooms[1][i].room + (t.ip - rooms[0][i].room);
		pipeline_burst(&one->p, &t, 1, one->now);
	}
}

static void same_sessions(void)
{
	uint32_t a = 0, b = 0;
	const struct fw_session *s, *o;

	MUST(memcmp(gates[0].p.drops, gates[1].p.drops, sizeof g.p.drops) == 0);
	do {
		s = fw_session_next(gates[0].fw, &a);
		o = fw_session_next(gates[1].fw, &b);
		MUST(!s == !o && (!s || memcmp(s, o, sizeof *s) == 0));
	} while (s);
}

static void burst(struct rd *r, uint8_t op)
{
	struct train trains[BURST_MAX];
	uint32_t n = 1 + (op >> 4) % BURST_MAX;
	bool sealed = false;

	for (uint32_t i = 0; i < n; i++) {
		uint8_t where = rd_u8(r);
		struct train t = where & 0x80 ? raw_read(r, &rooms[0][i]) : packet_read(r, &rooms[0][i]);
		bool told = where & 0x40 && where & 7; /* by a header of what the kernel has left undone */
		struct virtio_net_hdr h = { 0 };
		if (told)
			rd_copy(r, &h, sizeof h);
		struct train given = t;
		if (r->bad) {
			n = i;
			break;
		}
		switch (t.inner_l4 ? where | 2 : where & 7) {
		case 0: /* what comes sealed is joined here */
			pipeline_train_from_tunnel(&g.p, &t, 0);
			sealed = true;
			break;
		case 1:
			pipeline_train_from_host(&t);
			sealed = true; /* it may say what it likes */
			break;
		default:
			pipeline_train_from_link(
				&g.p, &t, gate_interface(&g, where & 1 ? GATE_LAN : GATE_WAN));
			break;
		}
		if (told && !pipeline_train_offloads(&t, &h, ETHERNET_SIZE)) {
			n = i;
			break;
		}
		if (!told) {
			t.segment_size = given.segment_size;
			t.csum = given.csum;
			t.inner_l4 = given.inner_l4;
		}
		trains[i] = t;
	}
	no_udp_gso(trains, n);
	gate_clear(&g);
	if (n)
		pipeline_burst(&g.p, trains, n, g.now);
	same_sessions();
	for (uint32_t i = 0; i < g.out_n; i++)
		look_at(&g.out[i], sealed);
}

/* ---- what changes around it ---- */

static void route_change(uint8_t what)
{
	static const char *const prefixes[] = { "192.0.2.0/24", "10.2.0.0/24", "0.0.0.0/0", "10.1.7.0/24",
		"::/0", "2001:db8:99::/48", "10.1.0.0/16", "2001:db8:2::/48" };
	struct route_entry e = { .link = what & 8 ? GATE_LAN : GATE_WAN,
		.kind = what & 0x40 ? ROUTE_UNREACHABLE : ROUTE_UNICAST,
		.mtu = what & 0x80 ? 900 : 0 };

	MUST(prefix_parse(&e.dst, prefixes[what & 7]) == RC_OK);
	for (int i = 0; i < 2; i++)
		if (what & 16)
			route_gone(gates[i].routes, &e);
		else
			route_set(gates[i].routes, &e, what & 32 ? ROUTE_REPLACE : ROUTE_APPEND);
}

static void neighbour_change(uint8_t what)
{
	static const char *const addrs[] = { "10.1.7.7", "198.51.100.77", "192.0.2.80", "198.51.100.1",
		"2001:db8:1::9", "2001:db8:ff::77", "2001:db8:99::9", "10.1.0.2" };
	struct route_neighbour n = { .link = what & 8 ? GATE_LAN : GATE_WAN,
		.mac = { 2, 0, 0, 0, 3, what },
		.state = (uint8_t)(1 + (what >> 4) % ROUTE_NEIGHBOUR_FAILED) };

	MUST(addr_parse(&n.addr, addrs[what & 7]) == RC_OK);
	for (int i = 0; i < 2; i++) {
		route_neighbour_set(gates[i].routes, &n);
		gate_clear(&gates[i]);
		pipeline_neighbour(&gates[i].p, n.link, &n.addr, gates[i].now);
	}
	for (uint32_t i = 0; i < g.out_n; i++)
		look_at(&g.out[i], true);
}

/* What happens to a gate beside its trains. */
static void change(struct gate *one, uint8_t op, uint8_t what)
{
	struct packet_filters filter = {
		.count = what & 7, .n = what & 3 ? 0 : 1, .list = { { .proto = IP_UDP } }
	};

	switch (op & 15) {
	case 11:
		one->now += (op >> 4) * NS_PER_S / 2;
		gate_clear(one);
		pipeline_tick(&one->p, one->now);
		fw_expire(one->fw, one->now, 100);
		break;
	case 12:
		gate_load_block(one, blocks[(op >> 4) % 4]);
		break;
	case 13:
		if (esp_remove(one->esp, GATE_SPI_IN) != RC_OK)
			gate_sa(one, false);
		if (op & 16)
			pipeline_changed(&one->p);
		break;
	case 14:
		if (what & 1)
			pipeline_path_mtu(&one->p, 0, what * 8u);
		else
			fw_session_end(one->fw, what >> 1 & 31, one->now);
		break;
	case 15:
		pipeline_trace(&one->p, &filter);
		break;
	}
}

static void step(struct rd *r)
{
	uint8_t op = rd_u8(r), what = (op & 15) == 14 || (op & 15) == 15 ? rd_u8(r) : 0;

	switch (op & 15) {
	default:
		burst(r, op);
		break;
	case 9:
		route_change(rd_u8(r));
		break;
	case 10:
		neighbour_change(rd_u8(r));
		break;
	case 11 ... 15:
		for (int i = 0; i < 2; i++)
			change(&gates[i], op, what);
		break;
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	struct rd r = rd_over(data, n);

	if (!blocks[0])
		blocks_make();
	for (int i = 0; i < 2; i++) {
		gate_init_bare(&gates[i], 32);
		gate_load_block(&gates[i], blocks[n % 4]);
		gate_sa(&gates[i], false);
	}
	for (int steps = 0; steps < 60 && rd_left(&r) > 0; steps++)
		step(&r);
	gate_done(&gates[0]);
	gate_done(&gates[1]);
	return 0;
}
