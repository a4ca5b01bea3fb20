/*
 * Source NAT: which ports and addresses are given, when there are none left, and that every octet behind it
 * is right: each translated packet's checksums are computed anew by the test, also those of packets that ICMP
 * errors quote.
 */
#include "scene.h"

#include <stdio.h>

#define OUTSIDE	 "198.51.100.9"
#define OUTSIDE6 "2001:db8:99::9"
#define GATE	 "203.0.113.1"
#define GATE6	 "2001:db8:3::1"

static int setup_with(uint32_t sessions)
{
	scene_begin(sessions);
	policy_rule(&p, "out", TRUST, UNTRUST, "any", "any", "any", RULE_PERMIT);
	policy_rule(&p, "dmz", TRUST, DMZ, "any", "any", "any", RULE_PERMIT);
	policy_nat(&p, "not-these", TRUST, UNTRUST, "10.0.9.0/24", "any", NAT_OFF, NULL);
	policy_nat(&p, "pool", TRUST, UNTRUST, "10.0.8.0/24", "any", NAT_POOL, "203.0.113.16-203.0.113.31");
	policy_nat(&p, "all", TRUST, UNTRUST, "any", "any", NAT_INTERFACE, NULL);
	policy_nat(&p, "all6", TRUST, UNTRUST, "any", "any", NAT_INTERFACE6, NULL);
	world_load(&w, &p);
	return 0;
}

static int setup(void **state)
{
	(void)state;
	return setup_with(WORLD_SESSIONS);
}

static int setup_large(void **state)
{
	(void)state;
	return setup_with(40000);
}

static enum drop_reason try(const struct packet_spec *s)
{
	enum drop_reason d = world_send(&w, s);

	if (d == DROP_NONE)
		assert_true(
			s->partial ? packet_sound_partial(w.t.ip, w.t.len) : packet_sound(w.t.ip, w.t.len));
	return d;
}

static void expect(enum drop_reason want, const struct packet_spec *s)
{
	enum drop_reason d = try(s);

	if (d != want)
		fail_msg("%s to %s: %s, not %s", s->src, s->dst, drop_name(d), drop_name(want));
}

static struct packet_spec udp(const char *src, uint16_t src_port, const char *dst, uint16_t dst_port)
{
	return (struct packet_spec){ .src = src,
		.dst = dst,
		.proto = IP_UDP,
		.src_port = src_port,
		.dst_port = dst_port,
		.payload_n = 21 };
}

static void is(const struct ip_addr *a, const char *want)
{
	char text[ADDR_TEXT_MAX];

	assert_string_equal(addr_text(text, a), want);
}

/* Parsed fields and octets say the same. */
static void head_is(const char *src, uint16_t src_port, const char *dst, uint16_t dst_port)
{
	struct train t = { .ip = w.t.ip, .len = w.t.len, .csum = w.t.csum, .segment_size = w.t.segment_size };

	assert_int_equal(train_parse(&t), DROP_NONE);
	for (int k = 0; k < 2; k++) {
		const struct train *x = k ? &t : &w.t;
		is(&x->src, src);
		is(&x->dst, dst);
		assert_int_equal(x->src_port, src_port);
		assert_int_equal(x->dst_port, dst_port);
	}
}

/* Every protocol there and back, IPv4 and IPv6, complete and partial checksums, odd and even lengths. */
static void test_there_and_back(void **state)
{
	static const uint8_t protos[] = { IP_TCP, IP_UDP, IP_ICMP };

	(void)state;
	for (uint32_t round = 0; round < 3 * 2 * 2 * 5; round++) {
		uint8_t proto = protos[round % 3];
		bool v6 = round / 3 % 2, partial = round / 6 % 2, icmp = proto == IP_ICMP;
		struct packet_spec s = { .src = v6 ? "2001:db8:1::2" : "10.0.0.2",
			.dst = v6 ? OUTSIDE6 : OUTSIDE,
			.proto = icmp && v6 ? IP_ICMPV6 : proto,
			.src_port = (uint16_t)(1000 + round),
			.dst_port = icmp ? 0 : 53,
			.flags = TCP_SYN,
			.seq = 77,
			.icmp_type = v6 ? ICMP6_ECHO : ICMP4_ECHO,
			.payload_n = proto == IP_TCP ? 0 : round,
			.partial = partial && !icmp };
		expect(DROP_NONE, &s);
		uint16_t port = w.t.src_port;
		assert_in_range(port, 40960, 65535);
		assert_true(w.t.flags & TRAIN_TRANSLATED);
		head_is(v6 ? GATE6 : GATE, port, s.dst, icmp ? port : 53);
		struct packet_spec back = { .src = s.dst,
			.dst = v6 ? GATE6 : GATE,
			.proto = s.proto,
			.src_port = icmp ? port : 53,
			.dst_port = icmp ? 0 : port,
			.flags = TCP_SYN | TCP_ACK,
			.ack = 78,
			.icmp_type = v6 ? ICMP6_ECHO_REPLY : ICMP4_ECHO_REPLY,
			.payload_n = s.payload_n,
			.partial = s.partial };
		expect(DROP_NONE, &back);
		head_is(s.dst, icmp ? s.src_port : 53, s.src, s.src_port);
		/* a stranger's to the same port */
		back.src = v6 ? "2001:db8:99::8" : "198.51.100.8";
		if (!icmp && proto != IP_TCP)
			expect(DROP_HOST_INBOUND, &back);
		w.now += NS_PER_S;
		world_done(&w);
		world_init(&w, WORLD_SESSIONS);
		world_load(&w, &p);
	}
}

static void test_rules(void **state)
{
	struct packet_spec s = udp("10.0.9.2", 1000, OUTSIDE, 53);

	(void)state;
	expect(DROP_NONE, &s); /* NAT off */
	head_is("10.0.9.2", 1000, OUTSIDE, 53);
	assert_false(w.t.flags & TRAIN_TRANSLATED);
	s = udp("10.0.0.2", 1000, "192.168.1.1", 53); /* another zone pair */
	expect(DROP_NONE, &s);
	head_is("10.0.0.2", 1000, "192.168.1.1", 53);
	s = udp("10.0.8.2", 50000, OUTSIDE, 53);
	expect(DROP_NONE, &s);
	assert_true(w.t.src.b[3] >= 16 && w.t.src.b[3] <= 31);
	assert_int_equal(fw_nat_rule_hits(w.fw, 0)->hits, 0);
	assert_int_equal(fw_nat_rule_hits(w.fw, 1)->hits, 1);
	assert_int_equal(fw_nat_rule_hits(w.fw, 2)->hits, 0);
	/* a pool of the other family is not for it: the next rule is */
	policy_nat(&p, "x", TRUST, UNTRUST, "any", "any", NAT_INTERFACE, NULL);
	p.nat_rules[0] = p.nat_rules[1];
	p.nat_rules[0].src = (struct span){ 0, 0 };
	p.nat_rules_n = 1;
	world_load(&w, &p);
	s = udp("2001:db8:1::2", 50000, OUTSIDE6, 53);
	expect(DROP_NONE, &s);
	head_is("2001:db8:1::2", 50000, OUTSIDE6, 53);
}

/* A port of the range is kept where it is free; a second one from another host gets another. */
static void test_port_kept(void **state)
{
	struct packet_spec a = udp("10.0.0.2", 50000, OUTSIDE, 53), b = udp("10.0.0.3", 50000, OUTSIDE, 53),
			   c = udp("10.0.0.3", 50000, OUTSIDE, 54);

	(void)state;
	expect(DROP_NONE, &a);
	assert_int_equal(w.t.src_port, 50000);
	expect(DROP_NONE, &b);
	assert_int_not_equal(w.t.src_port, 50000);
	uint16_t port = w.t.src_port;
	expect(DROP_NONE, &b); /* and keeps that */
	assert_int_equal(w.t.src_port, port);
	expect(DROP_NONE, &c); /* free towards another destination */
	assert_int_equal(w.t.src_port, 50000);
	struct packet_spec back = udp(OUTSIDE, 53, GATE, port);
	expect(DROP_NONE, &back);
	is(&w.t.dst, "10.0.0.3");
}

/* Ports of one rule; parity (RFC 4787 section 4.2.2). */
static void test_ports_of_rule(void **state)
{
	(void)state;
	p.nat_rules[2].port_first = 50001;
	p.nat_rules[2].port_last = 50010;
	p.nat_rules[2].flags = NAT_KEEP_PARITY;
	world_load(&w, &p);
	for (uint16_t i = 0; i < 10; i++) {
		struct packet_spec s = udp("10.0.0.2", (uint16_t)(1000 + i), OUTSIDE, 53);
		expect(DROP_NONE, &s);
		assert_in_range(w.t.src_port, 50001, 50010);
		assert_int_equal(w.t.src_port % 2, i % 2);
	}
	struct packet_spec s = udp("10.0.0.2", 2000, OUTSIDE, 53);
	expect(DROP_NAT_EXHAUSTED, &s);
	/* TCP has none */
	s = (struct packet_spec){
		.src = "10.0.0.2", .dst = OUTSIDE, .proto = IP_TCP, .dst_port = 80, .flags = TCP_SYN
	};
	for (uint16_t i = 0; i < 10; i++) {
		s.src_port = (uint16_t)(1000 + 2 * i);
		expect(DROP_NONE, &s);
	}
}

/* Ports as they are: other addresses of the pool are tried, then there is none. */
static void test_ports_kept(void **state)
{
	(void)state;
	p.nat_rules[1].flags = NAT_KEEP_PORT;
	p.nat_rules[1].pool = p.ranges[policy_ranges(&p, "203.0.113.16-203.0.113.17").first];
	world_load(&w, &p);
	for (uint32_t i = 0; i < 3; i++) {
		char host[16];
		snprintf(host, sizeof host, "10.0.8.%u", 2 + i);
		struct packet_spec s = udp(host, 1000, OUTSIDE, 53);
		expect(i < 2 ? DROP_NONE : DROP_NAT_EXHAUSTED, &s);
		if (i < 2)
			assert_int_equal(w.t.src_port, 1000);
	}
}

static void prefix_rule(const char *name, const char *base, const char *pool)
{
	struct snap_nat_rule *r = policy_nat(&p, name, TRUST, UNTRUST, "any", "any", NAT_POOL, pool);

	r->flags = NAT_KEEP_PORT | NAT_MAP_PREFIX;
	r->base = p.ranges[policy_ranges(&p, base).first];
}

/* Prefix to prefix, IPv4 and IPv6, protocols without ports as well. */
static void test_prefix_to_prefix(void **state)
{
	(void)state;
	p.nat_rules_n = 0;
	prefix_rule("four", "10.0.8.16-10.0.8.31", "203.0.113.64-203.0.113.79");
	prefix_rule("six", "2001:db8:1:9::-2001:db8:1:9:ffff:ffff:ffff:ffff",
		"2001:db8:3:4::-2001:db8:3:4:ffff:ffff:ffff:ffff");
	world_load(&w, &p);
	for (uint32_t i = 0; i < 16; i++) {
		char inside[16], outside[16];
		snprintf(inside, sizeof inside, "10.0.8.%u", 16 + i);
		snprintf(outside, sizeof outside, "203.0.113.%u", 64 + i);
		struct packet_spec s = udp(inside, 1000, OUTSIDE, 53);
		expect(DROP_NONE, &s);
		head_is(outside, 1000, OUTSIDE, 53);
		struct packet_spec back = udp(OUTSIDE, 53, outside, 1000);
		expect(DROP_NONE, &back);
		head_is(OUTSIDE, 53, inside, 1000);
		s = (struct packet_spec){ .src = inside, .dst = OUTSIDE, .proto = IP_GRE, .payload_n = 21 };
		expect(DROP_NONE, &s);
		is(&w.t.src, outside);
	}
	struct packet_spec s = udp("2001:db8:1:9:a:b:c:d", 1000, OUTSIDE6, 53);
	expect(DROP_NONE, &s);
	head_is("2001:db8:3:4:a:b:c:d", 1000, OUTSIDE6, 53);
	s = udp("10.0.8.15", 1000, OUTSIDE, 53); /* outside the base */
	expect(DROP_NAT_NO_ADDRESS, &s);
}

/* A range of eight ports towards one destination: the ninth is refused by name; freed ports are given again.
 */
static void test_exhausted(void **state)
{
	bool used[8] = { false };

	(void)state;
	p.nat_port_first = 50000;
	p.nat_port_last = 50007;
	world_load(&w, &p);
	for (uint16_t i = 0; i < 8; i++) {
		struct packet_spec s = udp("10.0.0.2", (uint16_t)(1000 + i), OUTSIDE, 53);
		expect(DROP_NONE, &s);
		assert_in_range(w.t.src_port, 50000, 50007);
		assert_false(used[w.t.src_port - 50000]);
		used[w.t.src_port - 50000] = true;
	}
	struct packet_spec s = udp("10.0.0.2", 2000, OUTSIDE, 53), other = udp("10.0.0.2", 2000, OUTSIDE, 54);
	expect(DROP_NAT_EXHAUSTED, &s);
	assert_int_equal(w.t.session, TRAIN_NONE);
	assert_int_equal(fw_counters(w.fw)->sessions_now, 8);
	head_is("10.0.0.2", 2000, OUTSIDE, 53); /* as it came */
	expect(DROP_NONE, &other);
	uint32_t first = 0;
	uint16_t freed = fw_session_next(w.fw, &first)->key[1].dst_port;
	fw_session_end(w.fw, first - 1, w.now);
	expect(DROP_NONE, &s);
	assert_int_equal(w.t.src_port, freed);
	expect(DROP_NONE, &s);
	w.now += 61 * NS_PER_S;
	fw_expire(w.fw, w.now, 1000);
	for (uint16_t i = 0; i < 8; i++) {
		s = udp("10.0.0.3", (uint16_t)(3000 + i), OUTSIDE, 53);
		expect(DROP_NONE, &s);
	}
}

/* Nine tenths of the whole range towards one destination: all in range, none twice. */
/* One source has all ports towards a destination, answered or not: another one gets one of them, and keeps it
 * while the first goes on. */
static void one_source_has_them_all(bool answered, const char *const hoards[], uint32_t hoards_n)
{
	struct packet_spec s, back, other = udp("10.0.0.3", 2000, OUTSIDE, 53);

	scene_end(NULL);
	setup_with(40000);
	p.nat_port_first = 50000;
	p.nat_port_last = 59999;
	world_load(&w, &p);
	for (uint32_t i = 0; i < 12000; i++) {
		s = udp(hoards[i % hoards_n], (uint16_t)(1000 + i), OUTSIDE, 53);
		if (try(&s) == DROP_NONE && answered) {
			back = udp(OUTSIDE, 53, GATE, w.t.src_port);
			expect(DROP_NONE, &back);
		}
		w.now += NS_PER_MS;
	}
	assert_in_range(fw_counters(w.fw)->sessions_now, 9900, 10000);
	expect(DROP_NONE, &other);
	uint16_t port = w.t.src_port;
	for (uint32_t i = 0; i < 1000; i++) {
		s = udp(hoards[i % hoards_n], (uint16_t)(20000 + i), OUTSIDE, 53);
		try(&s);
	}
	back = udp(OUTSIDE, 53, GATE, port);
	expect(DROP_NONE, &back);
	assert_int_equal(w.t.dst.b[3], 3);
	for (uint32_t i = 0; i < 300; i++) {
		s = udp("10.0.0.4", (uint16_t)(1000 + i), OUTSIDE, 53);
		expect(DROP_NONE, &s);
	}
}

static void test_one_source_leaves_ports(void **state)
{
	static const char *const one[] = { "10.0.0.2" }, *const two[] = { "10.0.0.2", "10.0.0.2",
		"10.0.0.5" };

	(void)state;
	one_source_has_them_all(true, one, 1);
	one_source_has_them_all(false, one, 1);
	one_source_has_them_all(true, two, 3); /* two of three ports */
	one_source_has_them_all(false, two, 3);
}

static void test_many(void **state)
{
	static uint8_t used[65536];

	(void)state;
	memset(used, 0, sizeof used);
	for (uint32_t i = 0; i < 22000; i++) {
		char src[ADDR_TEXT_MAX];
		snprintf(src, sizeof src, "10.1.%u.%u", i >> 8 & 255, i & 255);
		struct packet_spec s = udp(src, (uint16_t)(i % 7 ? 1024 + i : 50000), OUTSIDE, 53);
		expect(DROP_NONE, &s);
		assert_in_range(w.t.src_port, 40960, 65535);
		assert_int_equal(used[w.t.src_port]++, 0);
	}
	/* every answer finds its own host */
	for (uint32_t port = 40960; port < 65536; port++) {
		struct packet_spec back = udp(OUTSIDE, 53, GATE, (uint16_t)port);
		enum drop_reason d = try(&back);
		assert_int_equal(d, used[port] ? DROP_NONE : DROP_HOST_INBOUND);
		if (d)
			continue;
		uint32_t i = (uint32_t)w.t.dst.b[2] << 8 | w.t.dst.b[3];
		assert_true(used[port] == 1 && w.t.dst_port == (i % 7 ? (uint16_t)(1024 + i) : 50000));
		used[port] = 2;
	}
}

static void test_pool(void **state)
{
	struct ip_addr first;
	bool seen[32] = { false };
	uint32_t different = 0;

	(void)state;
	struct packet_spec s = udp("10.0.8.2", 1000, OUTSIDE, 53);
	expect(DROP_NONE, &s);
	first = w.t.src;
	s.dst_port = 54; /* one source keeps one address: RFC 4787 section 4.1 */
	expect(DROP_NONE, &s);
	assert_true(addr_equal(&w.t.src, &first));
	for (int i = 3; i < 40; i++) {
		char src[ADDR_TEXT_MAX];
		snprintf(src, sizeof src, "10.0.8.%d", i);
		s = udp(src, 1000, OUTSIDE, 53);
		expect(DROP_NONE, &s);
		assert_in_range(w.t.src.b[3], 16, 31);
		different += !seen[w.t.src.b[3]];
		seen[w.t.src.b[3]] = true;
	}
	assert_true(different > 8);
	/* when one address has no port left the next gives one */
	p.nat_port_first = p.nat_port_last = 50000;
	p.nat_rules[1].pool.last = p.nat_rules[1].pool.first;
	p.nat_rules[1].pool.last.b[3]++;
	world_done(&w);
	world_init(&w, WORLD_SESSIONS);
	world_load(&w, &p);
	s = udp("10.0.8.2", 1000, OUTSIDE, 53);
	expect(DROP_NONE, &s);
	uint8_t one = w.t.src.b[3];
	s.src_port = 1001;
	expect(DROP_NONE, &s);
	assert_int_equal(w.t.src.b[3], one == 16 ? 17 : 16);
	s.src_port = 1002;
	expect(DROP_NAT_EXHAUSTED, &s);
}

static void test_protocol_and_address(void **state)
{
	struct packet_spec gre = { .src = "10.0.0.2", .dst = OUTSIDE, .proto = 47, .payload_n = 40 };
	struct packet_spec s = udp("10.0.0.2", 1000, OUTSIDE, 53);

	(void)state;
	expect(DROP_NONE, &gre);
	gre.src = "10.0.9.2"; /* NAT off carries it */
	expect(DROP_NONE, &gre);
	fw_session_end(w.fw, 0, w.now);
	w.nat4.family = ADDR_NONE; /* the interface has no address */
	expect(DROP_NAT_NO_ADDRESS, &s);
	assert_int_equal(fw_counters(w.fw)->sessions_now, 1);
}

/* Without ports: by address, one inside host for each outside one and protocol, until its session is over. */
static void test_without_ports(void **state)
{
	static const uint8_t protos[] = { IP_GRE, IP_ESP, IP_IPV6, IP_IPIP, IP_UDP_LITE, IP_DCCP, 253 };
	uint8_t quote[28];

	(void)state;
	for (size_t i = 0; i < COUNT_OF(protos); i++) {
		struct packet_spec s = { .src = "10.0.0.2",
			.dst = OUTSIDE,
			.proto = protos[i],
			.payload_n = 40 },
				   other = s,
				   back = {
					   .src = OUTSIDE, .dst = GATE, .proto = protos[i], .payload_n = 40
				   };

		uint8_t sent[8];

		other.src = "10.0.0.3";
		memcpy(sent, packet_make(&w.packet, &s).ip + 20, sizeof sent);
		expect(DROP_NONE, &s);
		is(&w.t.src, GATE);
		memcpy(quote, w.t.ip, sizeof quote);
		expect(DROP_NONE, &back);
		is(&w.t.dst, "10.0.0.2");
		expect(DROP_NAT_PROTOCOL, &other);
		struct packet_spec e = { .src = "192.0.2.1",
			.dst = GATE,
			.proto = IP_ICMP,
			.icmp_type = ICMP4_UNREACHABLE,
			.icmp_code = 4,
			.payload = quote,
			.payload_n = sizeof quote };
		expect(DROP_NONE, &e);
		is(&w.t.dst, "10.0.0.2");
		assert_memory_equal(w.t.ip + 28 + 12, ((uint8_t[]){ 10, 0, 0, 2 }), 4);
		/* the sender's own, the checksum too */
		assert_memory_equal(w.t.ip + 28 + 20, sent, sizeof sent);
		other.dst = "198.51.100.77"; /* another outside host */
		expect(DROP_NONE, &other);
		w.now += 61 * NS_PER_S;
		fw_expire(w.fw, w.now, 100);
		other.dst = OUTSIDE;
		expect(DROP_NONE, &other);
		w.now += 61 * NS_PER_S;
		fw_expire(w.fw, w.now, 100);
	}
	struct packet_spec ah = { .src = "10.0.0.2", .dst = OUTSIDE, .proto = IP_AH, .payload_n = 40 };
	expect(DROP_NAT_PROTOCOL, &ah);
	/* a pool has an address for each of several */
	struct packet_spec gre = { .dst = OUTSIDE, .proto = IP_GRE, .payload_n = 40 };
	gre.src = "10.0.8.2";
	expect(DROP_NONE, &gre);
	gre.src = "10.0.8.3";
	expect(DROP_NONE, &gre);
	/* sealed packets to a zone that speaks IKE with the gateway are the gateway's own */
	policy_opens(&p, UNTRUST, "proto/50", "any");
	world_load(&w, &p);
	struct packet_spec esp = { .src = "10.0.0.5", .dst = OUTSIDE, .proto = IP_ESP, .payload_n = 40 };
	expect(DROP_NAT_PROTOCOL, &esp);
}

/* The checksums of UDP-Lite and DCCP count the addresses (RFC 3828 section 3.2, RFC 4340 section 9.1). */
static void test_checksums_of_others(void **state)
{
	(void)state;
	for (int k = 0; k < 2; k++) {
		struct packet_spec s = {
			.src = "10.0.0.2", .dst = OUTSIDE, .proto = k ? IP_DCCP : IP_UDP_LITE, .payload_n = 40
		};
		uint8_t pseudo[12] = { 10, 0, 0, 2, 0, 0, 0, 0, 0, s.proto, 0, 40 };

		w.t = packet_make(&w.packet, &s);
		memcpy(pseudo + 4, w.t.ip + 16, 4);
		store_be16(w.t.ip + 26, 0);
		uint16_t sum = plain_checksum((uint16_t)~plain_checksum(0, pseudo, 12), w.t.ip + 20, 40);
		store_be16(w.t.ip + 26, sum);
		assert_int_equal(world_run(&w), DROP_NONE);
		memcpy(pseudo, w.t.ip + 12, 8);
		assert_int_equal(
			plain_checksum((uint16_t)~plain_checksum(0, pseudo, 12), w.t.ip + 20, 40), 0);
	}
	/* three octets of one: nothing beyond is touched */
	struct packet_spec s = {
		.src = "10.0.0.4", .dst = "198.51.100.77", .proto = IP_UDP_LITE, .payload_n = 3
	};
	expect(DROP_NONE, &s);
}

/* Two hosts with one identifier towards one destination. */
static void test_echo(void **state)
{
	static const char *const hosts[] = { "10.0.0.2", "10.0.0.3", "10.0.0.4" };
	uint16_t id[3];

	(void)state;
	for (int i = 0; i < 3; i++) {
		struct packet_spec s = { .src = hosts[i],
			.dst = OUTSIDE,
			.proto = IP_ICMP,
			.icmp_type = ICMP4_ECHO,
			.src_port = 7,
			.payload_n = 56 };
		expect(DROP_NONE, &s);
		id[i] = load_be16(w.t.ip + 24);
		assert_in_range(id[i], 40960, 65535);
		for (int k = 0; k < i; k++)
			assert_int_not_equal(id[i], id[k]);
	}
	for (int i = 0; i < 3; i++) {
		struct packet_spec s = { .src = OUTSIDE,
			.dst = GATE,
			.proto = IP_ICMP,
			.icmp_type = ICMP4_ECHO_REPLY,
			.src_port = id[i],
			.payload_n = 56 };
		expect(DROP_NONE, &s);
		is(&w.t.dst, hosts[i]);
		assert_int_equal(load_be16(w.t.ip + 24), 7);
	}
}

/* An answer that becomes all zeros: its checksum is all ones, for nothing adds up to zero but nothing. */
static void test_echo_of_zeros(void **state)
{
	static const uint8_t zeros[4];
	struct packet_spec s = {
		.src = "10.0.0.2", .dst = OUTSIDE, .proto = IP_ICMP, .icmp_type = ICMP4_ECHO
	};

	(void)state;
	expect(DROP_NONE, &s);
	s = (struct packet_spec){ .src = OUTSIDE,
		.dst = GATE,
		.proto = IP_ICMP,
		.icmp_type = ICMP4_ECHO_REPLY,
		.src_port = load_be16(w.t.ip + 24),
		.payload = zeros,
		.payload_n = sizeof zeros };
	expect(DROP_NONE, &s);
	assert_int_equal(load_be16(w.t.ip + 24), 0);
	assert_true(packet_sound(w.t.ip, w.t.len));
}

/* The host's own connection stands where a translated one would: it is told, not mixed up. */
static void test_collision(void **state)
{
	struct packet_spec mine = udp(GATE, 50000, OUTSIDE, 53), theirs = udp("10.0.0.2", 50000, OUTSIDE, 53);

	(void)state;
	w.t = packet_make(&w.packet, &mine);
	w.t.flags = TRAIN_FROM_HOST;
	assert_int_equal(world_run(&w), DROP_NONE);
	expect(DROP_NONE, &theirs);
	assert_int_not_equal(w.t.src_port, 50000);
	theirs.src_port = 50001;
	expect(DROP_NONE, &theirs);
	assert_int_equal(w.t.src_port, 50001);
	mine.src_port = 50001;
	w.t = packet_make(&w.packet, &mine);
	w.t.flags = TRAIN_FROM_HOST;
	assert_int_equal(world_run(&w), DROP_SESSION_COLLISION);
}

/* ---- what an error quotes ---- */

struct flow {
	struct packet_spec there, back; /* as the hosts inside and outside send them */
	uint16_t port;			/* the translated one */
};

static struct flow flow_begin(bool v6, uint8_t proto, uint16_t src_port)
{
	bool icmp = proto == IP_ICMP || proto == IP_ICMPV6;
	struct flow f = { .there = { .src = v6 ? "2001:db8:1::2" : "10.0.0.2",
				  .dst = v6 ? OUTSIDE6 : OUTSIDE,
				  .proto = proto,
				  .src_port = src_port,
				  .dst_port = icmp ? 0 : 80,
				  .flags = TCP_SYN,
				  .icmp_type = v6 ? ICMP6_ECHO : ICMP4_ECHO,
				  .payload_n = 33 } };

	expect(DROP_NONE, &f.there);
	f.port = w.t.src_port;
	f.back = f.there;
	f.back.src = f.there.dst;
	f.back.dst = v6 ? GATE6 : GATE;
	f.back.src_port = icmp ? f.port : 80;
	f.back.dst_port = f.port;
	f.back.flags = TCP_SYN | TCP_ACK;
	f.back.ack = 34;
	f.back.icmp_type = v6 ? ICMP6_ECHO_REPLY : ICMP4_ECHO_REPLY;
	expect(DROP_NONE, &f.back);
	return f;
}

/* The quotation ends within TCP's checksum: half of one cannot be translated. */
static bool half_sum(const struct packet_spec *s, size_t l4_n)
{
	return s->proto == IP_TCP && l4_n == 17;
}

/* The first n octets of the translated packet come back in an error: behind the gateway they are those of the
 * original.
 */
static void error_there(const struct flow *f, bool v6, size_t n)
{
	static struct packet original;
	uint8_t quote[256], router[] = "192.0.2.1", router6[] = "2001:db8:77::1";
	struct train t = packet_make(&original, &f->there);
	size_t head = v6 ? 40 : 20;

	assert_int_equal(try(&f->there), DROP_NONE);
	n = MIN_OF(n, (size_t)w.t.len);
	memcpy(quote, w.t.ip, n); /* as it left us */
	struct packet_spec e = { .src = (char *)(v6 ? router6 : router),
		.dst = v6 ? GATE6 : GATE,
		.proto = v6 ? IP_ICMPV6 : IP_ICMP,
		.icmp_type = v6 ? ICMP6_UNREACHABLE : ICMP4_UNREACHABLE,
		.icmp_code = 1,
		.payload = quote,
		.payload_n = n };
	expect(DROP_NONE, &e);
	is(&w.t.dst, f->there.src);
	is(&w.t.src, e.src);
	const uint8_t *inner = w.t.ip + head + 8;
	assert_memory_equal(inner + (v6 ? 8 : 12), t.ip + (v6 ? 8 : 12), v6 ? 32 : 8);
	/* all that is quoted of the L4 header is the original's, the checksum included */
	assert_memory_equal(
		inner + head, t.ip + head, half_sum(&f->there, n - head) ? n - head - 1 : n - head);
	if (!v6)
		assert_int_equal(plain_checksum(0, inner, 20), 0);
	if (n == t.len)
		assert_true(packet_sound(inner, n));
}

/* An error from inside about what came from outside: nothing in it tells an inner address. */
static void error_back(const struct flow *f, bool v6, size_t n)
{
	static struct packet original;
	uint8_t quote[256];
	struct train t = packet_make(&original, &f->back);
	size_t head = v6 ? 40 : 20;

	assert_int_equal(try(&f->back), DROP_NONE);
	n = MIN_OF(n, (size_t)w.t.len);
	memcpy(quote, w.t.ip, n);
	struct packet_spec e = { .src = f->there.src,
		.dst = f->there.dst,
		.proto = v6 ? IP_ICMPV6 : IP_ICMP,
		.icmp_type = v6 ? ICMP6_UNREACHABLE : ICMP4_UNREACHABLE,
		.icmp_code = 3,
		.payload = quote,
		.payload_n = n };
	expect(DROP_NONE, &e);
	is(&w.t.src, v6 ? GATE6 : GATE);
	is(&w.t.dst, f->there.dst);
	const uint8_t *inner = w.t.ip + head + 8;
	assert_memory_equal(inner + (v6 ? 8 : 12), t.ip + (v6 ? 8 : 12), v6 ? 32 : 8);
	assert_memory_equal(
		inner + head, t.ip + head, half_sum(&f->there, n - head) ? n - head - 1 : n - head);
	if (!v6)
		assert_int_equal(plain_checksum(0, inner, 20), 0);
}

static void test_errors(void **state)
{
	static const struct {
		bool v6;
		uint8_t proto;
	} kinds[] = { { false, IP_TCP }, { false, IP_UDP }, { false, IP_ICMP }, { true, IP_TCP },
		{ true, IP_UDP }, { true, IP_ICMPV6 } };

	(void)state;
	for (size_t i = 0; i < COUNT_OF(kinds); i++) {
		struct flow f = flow_begin(kinds[i].v6, kinds[i].proto, (uint16_t)(1000 + i));
		size_t head = kinds[i].v6 ? 40 : 20;
		for (size_t n = head + 8; n < head + 60; n++) {
			error_there(&f, kinds[i].v6, n);
			error_back(&f, kinds[i].v6, n);
		}
	}
}

/* UDP without a checksum gets none, in a quotation neither. */
static void test_no_checksum(void **state)
{
	struct packet_spec s = udp("10.0.0.2", 1000, OUTSIDE, 53);
	uint8_t quote[64];

	(void)state;
	w.t = packet_make(&w.packet, &s);
	store_be16(w.t.ip + 26, 0);
	assert_int_equal(world_run(&w), DROP_NONE);
	assert_int_equal(load_be16(w.t.ip + 26), 0);
	memcpy(quote, w.t.ip, w.t.len);
	struct packet_spec e = { .src = "192.0.2.1",
		.dst = GATE,
		.proto = IP_ICMP,
		.icmp_type = ICMP4_UNREACHABLE,
		.payload = quote,
		.payload_n = w.t.len };
	expect(DROP_NONE, &e);
	assert_int_equal(load_be16(w.t.ip + 28 + 26), 0);
}

/* RFC 768: a sum of zero goes as all ones; all ports are tried so that some sums are zero. */
static void test_zero_sum(void **state)
{
	uint32_t ones = 0;
	uint8_t payload[2];

	(void)state;
	struct packet_spec s = udp("10.0.0.2", 50000, OUTSIDE, 53);
	s.payload = payload;
	s.payload_n = 2;
	for (uint32_t v = 0; v < 65536; v++) {
		store_be16(payload, (uint16_t)v);
		w.t = packet_make(&w.packet, &s);
		assert_int_equal(world_run(&w), DROP_NONE);
		assert_true(packet_sound(w.t.ip, w.t.len));
		assert_int_not_equal(load_be16(w.t.ip + 26), 0);
		ones += load_be16(w.t.ip + 26) == 0xffff;
	}
	assert_true(ones >= 1);
}

/* A wrong checksum stays wrong: translation does not repair what it has not seen. */
static void test_wrong_stays_wrong(void **state)
{
	struct packet_spec s = udp("10.0.0.2", 1000, OUTSIDE, 53);

	(void)state;
	expect(DROP_NONE, &s);
	w.t = packet_make(&w.packet, &s);
	w.t.csum = TRAIN_CSUM_UNKNOWN;
	w.t.ip[30] ^= 4;
	assert_int_equal(world_run(&w), DROP_NONE);
	assert_false(packet_sound(w.t.ip, w.t.len));
	struct packet_spec first = udp("10.0.0.3", 1000, OUTSIDE, 53); /* what begins a session is checked */
	w.t = packet_make(&w.packet, &first);
	w.t.csum = TRAIN_CSUM_UNKNOWN;
	w.t.ip[30] ^= 4;
	assert_int_equal(world_run(&w), DROP_L4_CHECKSUM);
}

/* A train of segments: the field holds the pseudo-header's sum, and only addresses are in it. */
static void test_train(void **state)
{
	struct packet_spec s = { .src = "10.0.0.2",
		.dst = OUTSIDE,
		.proto = IP_TCP,
		.src_port = 1000,
		.dst_port = 80,
		.flags = TCP_SYN,
		.partial = true };

	(void)state;
	expect(DROP_NONE, &s);
	uint16_t port = w.t.src_port;
	struct packet_spec back = { .src = OUTSIDE,
		.dst = GATE,
		.proto = IP_TCP,
		.src_port = 80,
		.dst_port = port,
		.flags = TCP_SYN | TCP_ACK,
		.ack = 1 };
	expect(DROP_NONE, &back);
	s.flags = TCP_ACK;
	s.seq = 1;
	s.ack = 1;
	s.payload_n = 60000;
	w.t = packet_make(&w.packet, &s);
	w.t.segment_size = 1448;
	assert_int_equal(world_run(&w), DROP_NONE);
	assert_true(packet_sound_partial(w.t.ip, w.t.len));
	head_is(GATE, port, OUTSIDE, 80);
	assert_int_equal(fw_session(w.fw, w.t.session)->packets[0], 1 + (60000 + 1447) / 1448);
}

#define T(f) cmocka_unit_test_setup_teardown(f, setup, scene_end)

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(test_there_and_back),
		T(test_rules),
		T(test_port_kept),
		T(test_ports_of_rule),
		T(test_ports_kept),
		T(test_prefix_to_prefix),
		T(test_exhausted),
		T(test_one_source_leaves_ports),
		cmocka_unit_test_setup_teardown(test_many, setup_large, scene_end),
		T(test_pool),
		T(test_protocol_and_address),
		T(test_without_ports),
		T(test_checksums_of_others),
		T(test_echo),
		T(test_echo_of_zeros),
		T(test_collision),
		T(test_errors),
		T(test_no_checksum),
		T(test_zero_sum),
		T(test_wrong_stays_wrong),
		T(test_train),
	};
	return cmocka_run_group_tests_name("firewall/nat", tests, NULL, NULL);
}
