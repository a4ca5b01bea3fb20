/*
 * A firewall and whatever strangers make of it: the input is a row of steps (packets built from a few
 * addresses and ports, raw packets, fragments, answers to and errors about what came out, time, commits,
 * restarts). After each step:
 *   - what passed is as long as its header says, one hop on, and all its sums are right if they were;
 *   - what was dropped is as it came in, octet for octet;
 *   - a translated port is in the range, and only sessions of NAT64 change the family;
 *   - counters agree with the table of sessions.
 */
#include "base/rd.h"
#include "must.h"
#include "wire/fragment.h"
#include "world.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

#define SESSIONS 16
#define RAW_MAX	 2000

static struct world w;
static struct snapshot *policies[2];
static uint8_t before[TRAIN_BYTES_MAX], last[TRAIN_BYTES_MAX];
static uint32_t last_n;

static void policies_make(void)
{
	for (int i = 0; i < 2; i++) {
		struct policy p;
		policy_init(&p);
		p.half_open_max = 6;
		p.nat_port_last = (uint16_t)(p.nat_port_first + 9);
		policy_opens(&p, UNTRUST, "tcp/22 icmp/8 icmp6/128", "any");
		p.zones[UNTRUST].flags = ZONE_LOG_HOST_INBOUND;
		if (i == 1) {
			p.zones[TRUST].flags |= ZONE_TCP_LOOSE;
			p.zones[TRUST].source_sessions_max = 3;
			p.zones[UNTRUST].destination_sessions_max = 2;
			p.zones[UNTRUST].sessions_max = 4;
		}
		p.sessions_max = i == 0 ? SESSIONS_MAX : 8;
		p.aging = i == 0 ? (struct snap_aging){ 75, 25, 1 } : (struct snap_aging){ 0 };
		p.tcp_mss = 1200;
		policy_rule(&p, "web", TRUST, UNTRUST, "any", "any", "tcp/80 udp/53 icmp/8 icmp6/128",
			RULE_PERMIT)
			->flags = RULE_LOG_INIT | RULE_LOG_CLOSE;
		if (i == 0)
			policy_rule(&p, "more", TRUST, UNTRUST, "any", "any", "any", RULE_PERMIT);
		else
			policy_rule(&p, "more", TRUST, UNTRUST, "any", "any", "any", RULE_REJECT);
		policy_rule(&p, "in", UNTRUST, DMZ, "any", "any", "tcp/80", RULE_PERMIT);
		policy_nat(&p, "nat", TRUST, UNTRUST, "10.0.0.0/30", "any", NAT_INTERFACE, NULL);
		policy_nat(&p, "nat6", TRUST, UNTRUST, "2001:db8:1::/64", "any", NAT_INTERFACE6, NULL);
		policy_dnat(&p, "four", TRUST, "any", "2001:db8:64::/96", "any", "2001:db8:64::/96", 0, 0)
			->action = DNAT_NAT64;
		struct snap_nat_rule *nat64 = policy_nat(
			&p, "nat64", TRUST, UNTRUST, "2001:db8:1::/64", "any", NAT_INTERFACE, NULL);
		if (i == 1) {
			nat64->filtering = NAT_FILTER_ENDPOINT_INDEPENDENT;
			nat64->binding_timeout_s = 120;
			nat64->bindings_max = 100;
		}
		policies[i] = policy_snapshot(&p);
		policy_done(&p);
	}
}

static void counters_agree(void)
{
	const struct fw_counters *c = fw_counters(w.fw);
	uint32_t cursor = 0, n = 0, half_open = 0;

	for (const struct fw_session *s; (s = fw_session_next(w.fw, &cursor)); n++)
		half_open += !!(s->flags & FW_SESSION_HALF_OPEN);
	MUST(c->sessions_now == n + c->bindings_now && c->half_open_now == half_open);
}

/* The packet stands in w.packet. sound: its sums were right. */
static void run(uint32_t n, bool sound)
{
	uint8_t *ip = w.packet.room + TRAIN_HEAD_ROOM;

	fw_reassemble_done(w.fw);
	memcpy(before, ip, n);
	w.t = (struct train){ .ip = ip,
		.len = n,
		.csum = sound ? TRAIN_CSUM_VALID : TRAIN_CSUM_UNKNOWN,
		.tunnel = TRAIN_NONE,
		.session = TRAIN_NONE,
		.rule = TRAIN_NONE };
	enum drop_reason d = world_run(&w);
	bool kept = w.t.flags & TRAIN_FRAGMENT && d == DROP_NONE, whole = w.t.flags & TRAIN_REASSEMBLED;
	MUST(d == w.t.drop && d < DROP_COUNT);
	if (d != DROP_NONE || kept) {
		MUST(memcmp(before, ip, n) == 0);
		return;
	}
	MUST(w.t.len <= TRAIN_BYTES_MAX && w.t.payload_offset <= w.t.len);
	bool v4 = w.t.ip[0] >> 4 == 4;
	MUST((v4 ? load_be16(w.t.ip + 2) : 40u + load_be16(w.t.ip + 4)) == w.t.len ||
		w.t.ip[v4 ? 2 : 4] == 0);
	if (v4)
		MUST(plain_checksum(0, w.t.ip, 4u * (w.t.ip[0] & 15)) == 0);
	if (sound && !whole)
		MUST(packet_sound(w.t.ip, w.t.len));
	const struct fw_session *s = fw_session(w.fw, w.t.session);
	if (s && s->flags & FW_SESSION_TRANSLATED) {
		uint16_t port = s->key[1].dst_port;
		uint8_t proto = s->key[1].proto;
		bool ports = proto == IP_TCP || proto == IP_UDP || proto == IP_ICMP || proto == IP_ICMPV6;
		MUST(ports ? port >= 40960 && port <= 40969 : port == 0);
	}
	bool was_v4 = before[0] >> 4 == 4;
	MUST(v4 == was_v4 || (s && fw_is_nat64(s)));
	if (s && !whole)
		MUST(w.t.hop_limit ==
			before[was_v4 ? IP4_TTL : IP6_HOPS] -
				(s->zones.zone[0] != FW_ZONE_HOST && s->zones.zone[1] != FW_ZONE_HOST));
	last_n = w.t.len;
	memcpy(last, w.t.ip, last_n);
}

static const char *const ends4[] = { "10.0.0.1", "10.0.0.2", "10.0.0.9", "198.51.100.9", "198.51.100.8",
	"192.168.1.1", "203.0.113.1", "10.0.0.3" };
static const char *const ends6[] = { "2001:db8:1::1", "2001:db8:1::2", "2001:db8:99::9",
	"2001:db8:64::c633:6409", "2001:db8:2::1", "2001:db8:3::1", "fe80::1", "2001:db8:64::a00:1" };

/* Ten octets make a packet that means something. */
static struct packet_spec spec_read(struct rd *r)
{
	static const uint8_t protos[] = { IP_TCP, IP_TCP, IP_UDP, IP_ICMP, 47, IP_TCP, IP_UDP, IP_ICMP };
	static const uint16_t ports[] = { 80, 53, 1000, 1001, 40960, 40961, 40965, 22 };
	static const uint8_t types4[] = { ICMP4_ECHO, ICMP4_ECHO_REPLY, 13, ICMP4_REDIRECT };
	static const uint8_t types6[] = { ICMP6_ECHO, ICMP6_ECHO_REPLY, 135, 137 };
	static const uint8_t options[] = { 2, 4, 5, 180, 1, 3, 3, 7 };
	uint8_t a = rd_u8(r), b = rd_u8(r), c = rd_u8(r), flags = rd_u8(r);
	bool v6 = a & 0x40;
	uint8_t proto = protos[a >> 3 & 7];

	return (struct packet_spec){ .src = v6 ? ends6[a & 7] : ends4[a & 7],
		.dst = v6 ? ends6[b & 7] : ends4[b & 7],
		.proto = v6 && proto == IP_ICMP ? IP_ICMPV6 : proto,
		.src_port = ports[c & 7],
		.dst_port = ports[c >> 3 & 7],
		.flags = flags & 63,
		.icmp_type = v6 ? types6[c >> 6] : types4[c >> 6],
		.options = options,
		.options_n = flags & 0x80 ? sizeof options : 0,
		.hops = b & 0x80 ? 1 : 64,
		.seq = 1000 + rd_u16(r),
		.ack = 1000 + rd_u16(r),
		.window = rd_u16(r),
		.payload_n = rd_u8(r) };
}

/* What came out last, answered: addresses and ports the other way round, other flags. */
static void answer(struct rd *r)
{
	uint8_t *ip = w.packet.room + TRAIN_HEAD_ROOM, flags = rd_u8(r);
	struct train t = { .ip = last, .len = last_n };
	char src[ADDR_TEXT_MAX], dst[ADDR_TEXT_MAX];

	if (last_n == 0 || train_parse(&t) != DROP_NONE)
		return;
	bool echo = t.icmp_type == ICMP4_ECHO || t.icmp_type == ICMP6_ECHO;
	struct packet_spec s = { .src = addr_text(src, &t.dst),
		.dst = addr_text(dst, &t.src),
		.proto = t.proto,
		.src_port = t.dst_port,
		.dst_port = t.src_port,
		.flags = flags & 63 ? flags & 63 : TCP_SYN | TCP_ACK,
		.icmp_type = t.proto == IP_ICMP ? (echo ? ICMP4_ECHO_REPLY : ICMP4_ECHO)
						: (echo ? ICMP6_ECHO_REPLY : ICMP6_ECHO),
		.payload_n = flags >> 6 };
	if (t.proto == IP_TCP) {
		s.seq = load_be32(t.ip + t.l4_offset + 8);
		s.ack = load_be32(t.ip + t.l4_offset + 4) + !!(t.tcp_flags & TCP_SYN) + t.len -
			t.payload_offset;
	}
	struct train made = packet_make(&w.packet, &s);
	MUST(made.ip == ip);
	run(made.len, true);
}

/* An error about what came out last, quoting some of it. */
static void error(struct rd *r)
{
	static uint8_t quote[600];
	uint16_t n = rd_u16(r);
	uint8_t what = rd_u8(r);
	struct train t = { .ip = last, .len = last_n };
	char dst[ADDR_TEXT_MAX];

	if (last_n == 0 || train_parse(&t) != DROP_NONE)
		return;
	bool v6 = t.src.family == ADDR_V6;
	n = (uint16_t)MIN_OF(MIN_OF((uint32_t)n % 600, last_n), sizeof quote);
	memcpy(quote, last, n);
	if (what & 0x80 && n)
		quote[what % n] ^= 0x11;
	struct packet_spec s = { .src = v6 ? ends6[what & 7] : ends4[what & 7],
		.dst = addr_text(dst, &t.src),
		.proto = v6 ? IP_ICMPV6 : IP_ICMP,
		.icmp_type = v6 ? 1 + (what >> 3 & 3) : (const uint8_t[]){ 3, 11, 12, 5 }[what >> 3 & 3],
		.payload = quote,
		.payload_n = n };
	struct train made = packet_make(&w.packet, &s);
	run(made.len, true);
}

static void fragments(struct rd *r)
{
	static struct packet whole;
	struct packet_spec s = spec_read(r);
	uint8_t order = rd_u8(r), twist = rd_u8(r);
	struct train t = packet_make(&whole, &s);

	if (train_parse(&t) != DROP_NONE)
		return;
	for (uint32_t k = 0; k < 4; k++) {
		uint8_t *ip = w.packet.room + TRAIN_HEAD_ROOM;
		size_t n = fragment_cut(ip, &t, 100, order >> 2 * k & 3, twist >> 6);
		if (n == 0)
			continue;
		if ((twist & 7) == k + 1) { /* another offset or end */
			bool v4 = ip[0] >> 4 == 4;
			ip[v4 ? 7 : 43] = (uint8_t)(ip[v4 ? 7 : 43] + (v4 ? 1 : 8) * (twist >> 3 & 7));
			if (v4) {
				store_be16(ip + 10, 0);
				store_be16(ip + 10, plain_checksum(0, ip, 20));
			}
		}
		run((uint32_t)n, false);
	}
}

static void raw(struct rd *r)
{
	struct rd packet = rd_block16(r, 0);
	uint8_t *ip = w.packet.room + TRAIN_HEAD_ROOM;
	size_t n = MIN_OF(rd_left(&packet), (size_t)RAW_MAX), head;

	if (packet.bad || n == 0)
		return;
	memcpy(ip, packet.at, n);
	head = 4u * (ip[0] & 15);
	if (ip[0] >> 4 == 4 && head >= 20 && head <= n) {
		store_be16(ip + 10, 0);
		store_be16(ip + 10, plain_checksum(0, ip, head));
	}
	run((uint32_t)n, false);
}

static void commit(unsigned which, bool sweeps)
{
	MUST(fw_load(w.fw, policies[which], w.now, NULL) == RC_OK);
	for (uint32_t i = 0; sweeps && i < fw_sessions_used(w.fw); i++) {
		const struct fw_session *s = fw_session_current(w.fw, i, w.now);
		MUST(!s || s->zones.zone[0] == FW_ZONE_HOST || s->zones.zone[0] < ZONES);
	}
}

static void step(struct rd *r)
{
	uint8_t op = rd_u8(r);
	struct fw_log l;
	char text[FW_EXPLAIN_MAX];

	switch (op & 15) {
	case 0:
	case 1:
	case 2:
	case 3: {
		struct packet_spec s = spec_read(r);
		if (r->bad)
			return;
		struct train t = packet_make(&w.packet, &s);
		run(t.len, true);
		fw_explain(w.fw, &w.t, text);
		MUST(strlen(text) < sizeof text);
		break;
	}
	case 4:
	case 5:
	case 6:
		answer(r);
		break;
	case 7:
	case 8:
		error(r);
		break;
	case 9:
		fragments(r);
		break;
	case 10:
		raw(r);
		break;
	case 11:
		w.now += (op >> 4) * NS_PER_S * 4;
		fw_expire(w.fw, w.now, 1u + (op >> 4));
		fw_sweep(w.fw, w.now, 1u + (op >> 4));
		fw_age(w.fw, w.now, 1u + (op >> 4));
		break;
	case 12:
		commit(op >> 4 & 1, op >> 5 & 1);
		break;
	case 13:
		world_restart(&w);
		commit(op >> 4 & 1, op >> 5 & 1);
		break;
	case 14:
		fw_session_end(w.fw, op >> 4, w.now);
		break;
	default:
		while (fw_log_next(w.fw, &l))
			MUST(l.kind <= FW_LOG_CLOSE);
		break;
	}
	counters_agree();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	struct rd r = rd_over(data, n);

	if (!policies[0])
		policies_make();
	world_init(&w, SESSIONS);
	last_n = 0;
	commit(0, true);
	for (int steps = 0; steps < 200 && rd_left(&r) > 0; steps++)
		step(&r);
	for (int i = 0; i < 2; i++) { /* sessions, then bindings that they held */
		w.now += 4000 * NS_PER_S;
		fw_expire(w.fw, w.now, 10000);
		while (!fw_sweep(w.fw, w.now, 1000))
			;
	}
	MUST(fw_counters(w.fw)->sessions_now == 0);
	world_done(&w);
	return 0;
}
