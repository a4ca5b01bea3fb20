/*
 * The kernel's filter beside the data plane: in a network namespace of its own, random rules to the gateway itself and random
 * host-inbound become the rule set of the supervisor, random packets come by two links, whole and in fragments, and the kernel
 * must let in exactly those that the pipeline leaves to it. Skipped where no namespace can be made, or nft is missing.
 */
#include "gate.h"
#include "kernel_namespace.h"
#include "proc/supervisor/supervisor.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <linux/if_tun.h>
#include <net/if.h>
#include <sched.h>
#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#define ROUNDS	12u
#define PACKETS 300u

static uint64_t state = 7;
static struct gate g;
static struct packet packet;
static int tap[3]; /* by the number of the link */

static uint32_t some(uint32_t n)
{
	return next_random(&state) % n;
}

#define SOME(list) (list)[some(COUNT_OF(list))]

static const char head[] =
	"system { host-name gate; }\n"
	"address-book { address near { prefix [ 10.1.0.0/25 2001:db8:1::/112 ]; }\n"
	"  address far { prefix [ 192.0.2.0/24 10.1.0.128/25 2001:db8:80::/64 ]; }\n"
	"  address gw { prefix [ 10.1.0.1/32 2001:db8:ff::2/128 ]; } address four { prefix 0.0.0.0/0; } address six { prefix ::/0; } }\n"
	"applications {\n"
	"  application low { protocol tcp; destination-port 1-1023; }\n"
	"  application from { protocol udp; source-port 53; destination-port 1000-50000; }\n"
	"  application high { protocol udp; destination-port 1024-65535; }\n"
	"  application all-tcp { protocol tcp; destination-port 0-65535; }\n"
	"  application sctp { protocol sctp; destination-port 80; }\n"
	"  application ospf { protocol 89; }\n"
	"}\n";

static const char *const books[] = { "any", "any", "any", "near", "far", "gw", "four", "six", "[ near gw ]" };
static const char *const applications[] = { "any", "any", "low", "from", "high", "high", "all-tcp", "sctp",
	"ospf", "gre", "ping", "ssh", "[ ping low ]" };
static const char *const actions[] = { "permit", "permit", "permit", "deny", "reject" };
static const char *const inbound[] = { "", "", "host-inbound ping;", "host-inbound [ ssh dns ];",
	"host-inbound ssh { from near; }", "host-inbound tcp/2000-2100;" };

/* A configuration with %s for nothing more. */
static const char *configuration(void)
{
	static char text[16384];
	static const char *const zones[] = { "trust", "untrust" };
	size_t n = (size_t)snprintf(text, sizeof text, "%szones {\n", head);

	for (int z = 0; z < 2; z++)
		n += (size_t)snprintf(text + n, sizeof text - n, "  zone %s { interfaces %s; %s }\n",
			zones[z], z ? "wan0" : "lan0", SOME(inbound));
	n += (size_t)snprintf(text + n, sizeof text - n, "}\npolicy {\n");
	for (int z = 0; z < 2; z++) {
		uint32_t rules = some(5);
		if (rules)
			n += (size_t)snprintf(text + n, sizeof text - n, "  from %s to self {\n", zones[z]);
		for (uint32_t i = 0; i < rules; i++)
			n += (size_t)snprintf(text + n, sizeof text - n,
				"    rule r%u { match { source %s; destination %s; application %s; } then { %s; } }\n",
				i, SOME(books), some(2) ? "any" : SOME(books), SOME(applications),
				SOME(actions));
		if (rules)
			n += (size_t)snprintf(text + n, sizeof text - n, "  }\n");
	}
	snprintf(text + n, sizeof text - n, "}\n%%s\n");
	return text;
}

/* ---- the kernel ---- */

static void filter_set(void)
{
	static char text[1 << 20];
	static const char probe[] =
		"add table inet probe\ndelete table inet probe\ntable inet probe {\n"
		" set seen4 { typeof ip id; size 65535; flags dynamic; }\n"
		" set seen6 { typeof ip6 flowlabel; size 65535; flags dynamic; }\n"
		" chain after { type filter hook input priority 10; policy drop;\n"
		"  meta nfproto ipv4 add @seen4 { ip id }\n  meta nfproto ipv6 add @seen6 { ip6 flowlabel }\n }\n}\n";
	struct zone_interface interfaces[2] = { { .name = "lan0", .index = GATE_LAN },
		{ .name = "wan0", .index = GATE_WAN } };
	size_t n = filter_text(text, sizeof text, g.snapshot, 0, interfaces, 2);
	FILE *f = popen("nft -f -", "w");

	assert_true(n > 0);
	assert_non_null(f);
	assert_int_equal(fwrite(text, 1, n, f), n);
	fputs(probe, f);
	assert_int_equal(pclose(f), 0);
}

static bool seen[2][PACKETS + 1];

static void seen_read(void)
{
	memset(seen, 0, sizeof seen);
	for (int v6 = 0; v6 < 2; v6++) {
		FILE *f = popen(
			v6 ? "nft -n list set inet probe seen6" : "nft -n list set inet probe seen4", "r");
		static char text[1 << 20];
		size_t n = fread(text, 1, sizeof text - 1, f);
		text[n] = '\0';
		assert_int_equal(pclose(f), 0);
		for (char *at = strstr(text, "elements = {"); at && *at && *at != '}';) {
			at += strcspn(at, "0123456789}");
			unsigned long number = *at == '}' ? 0 : strtoul(at, &at, 0);
			if (!v6)
				number -= MIN_OF(number, 0x1234ul); /* where packet_make() begins */
			if (number >= 1 && number <= PACKETS)
				seen[v6][number] = true;
		}
	}
}

static void frame_send(uint32_t link, const uint8_t *ip, size_t n)
{
	uint8_t frame[14 + 2048] = { 2, 0, 0, 0, 0, (uint8_t)link, 2, 0, 0, 0, 9, 9 };

	store_be16(frame + 12, ip[0] >> 4 == 4 ? 0x0800 : 0x86dd);
	memcpy(frame + 14, ip, n);
	assert_int_equal(write(tap[link], frame, 14 + n), 14 + n);
}

/* ---- packets ---- */

static const char *const sources4[] = { "10.1.0.2", "10.1.0.200", "192.0.2.80", "203.0.113.9" };
static const char *const sources6[] = { "2001:db8:1::2", "2001:db8:1::1:2", "2001:db8:80::80",
	"2001:db8:77::1" };
static const char *const ours4[] = { "10.1.0.1", "198.51.100.2" };
static const char *const ours6[] = { "2001:db8:1::1", "2001:db8:ff::2" };
static const uint16_t ports[] = { 22, 53, 80, 443, 1000, 2050, 5000, 20000, 45000, 60000 };
static const uint8_t protocols[] = { IP_TCP, IP_TCP, IP_UDP, IP_UDP, IP_ICMP, 132, 89, 47 };

/* *ret_drop: what became of it in the pipeline. */
static void arrives(uint32_t link, const uint8_t *ip, size_t n, enum drop_reason *ret_drop)
{
	static struct packet copy;
	struct train t = {
		.ip = copy.room + TRAIN_HEAD_ROOM, .len = (uint32_t)n, .csum = TRAIN_CSUM_UNKNOWN
	};

	memcpy(t.ip, ip, n);
	frame_send(link, ip, n);
	enum drop_reason drop = gate_from_link(&g, link, t);
	*ret_drop = drop ? drop : *ret_drop;
}

static uint8_t piece[2048];

static void fragments4(uint32_t link, const uint8_t *ip, size_t n, enum drop_reason *ret_drop)
{
	size_t cut = some(2) ? 8 : 16;

	for (size_t at = 0; at < n - 20; at += cut) {
		size_t part = MIN_OF(cut, n - 20 - at);
		memcpy(piece, ip, 20);
		memcpy(piece + 20, ip + 20 + at, part);
		store_be16(piece + 2, (uint16_t)(20 + part));
		store_be16(piece + 6, (uint16_t)(at / 8 | (at + part < n - 20 ? 0x2000 : 0)));
		memset(piece + 10, 0, 2);
		uint16_t sum = plain_checksum(0, piece, 20);
		store_be16(piece + 10, sum);
		arrives(link, piece, 20 + part, ret_drop);
	}
}

/* with: octets of destination options in front of the payload; cut 0: one atomic fragment; SIZE_MAX: none. */
static void packets6(uint32_t link, const uint8_t *ip, size_t n, size_t with, size_t cut, uint32_t id,
	enum drop_reason *ret_drop)
{
	static uint8_t body[2048];
	size_t body_n = n - 40 + with;
	uint8_t first = ip[6];

	if (with) {
		memset(body, 0, with);
		body[0] = ip[6];
		body[1] = (uint8_t)(with / 8 - 1);
		body[2] = 1; /* PadN */
		body[3] = (uint8_t)(with - 4);
		first = 60;
	}
	memcpy(body + with, ip + 40, n - 40);
	static uint32_t datagrams; /* what is left of an earlier one with its number would spoil it */
	uint32_t datagram = ++datagrams;
	size_t head_n = cut == SIZE_MAX ? 40 : 48, step = cut == 0 || cut == SIZE_MAX ? body_n : cut;
	for (size_t at = 0; at < body_n; at += step) {
		size_t part = MIN_OF(step, body_n - at);
		memcpy(piece, ip, 40);
		store_be32(piece, 0x60000000 | id);
		store_be16(piece + 4, (uint16_t)(head_n - 40 + part));
		piece[6] = head_n == 40 ? first : 44;
		if (head_n > 40) {
			memset(piece + 40, 0, 8);
			piece[40] = first;
			store_be16(piece + 42, (uint16_t)(at | (at + part < body_n)));
			store_be32(piece + 44, datagram);
		}
		memcpy(piece + head_n, body + at, part);
		arrives(link, piece, head_n + part, ret_drop);
	}
}

struct sent {
	bool v6;
	enum drop_reason drop;
	char what[200];
};

static void packet_send(uint32_t id, struct sent *ret)
{
	uint32_t link = 1 + some(2), how = some(4);
	bool v6 = some(2);
	size_t with = how > 0 && some(2)
			      ? 8
			      : 0; /* where the first fragment lacks headers the kernel drops it (RFC 7112) */
	uint8_t proto = SOME(protocols);
	struct packet_spec s = { .src = v6 ? SOME(sources6) : SOME(sources4),
		.dst = v6 ? SOME(ours6) : SOME(ours4),
		.proto = v6 && proto == IP_ICMP ? IP_ICMPV6 : proto,
		.src_port = some(2) ? 53 : 30000,
		.dst_port = SOME(ports),
		.flags = TCP_SYN,
		.icmp_type = v6 ? 128 : 8,
		.payload_n = 24,
		.number = (uint16_t)id };
	struct train t = packet_make(&packet, &s);

	*ret = (struct sent){ v6, DROP_NONE, { 0 } };
	snprintf(ret->what, sizeof ret->what, "link %u %s to %s protocol %u ports %u to %u how %u with %zu",
		link, s.src, s.dst, s.proto, s.src_port, s.dst_port, how, with);
	if (v6)
		packets6(link, t.ip, t.len, with,
			how == 0   ? 8
			: how == 1 ? 0
			: how == 2 ? 16
				   : SIZE_MAX,
			id, &ret->drop);
	else if (how < 2)
		fragments4(link, t.ip, t.len, &ret->drop);
	else
		arrives(link, t.ip, t.len, &ret->drop);
}

static void same_as_the_pipeline(void **unused)
{
	static struct sent sent[PACKETS + 1];
	uint32_t passed = 0, differ = 0;

	for (uint32_t round = 0; round < ROUNDS; round++) {
		const char *text = configuration();
		gate_init(&g, text, "", 64);
		filter_set();
		for (uint32_t i = 1; i <= PACKETS; i++) {
			packet_send(i, &sent[i]);
			g.now += NS_PER_S;
		}
		seen_read();
		for (uint32_t i = 1; i <= PACKETS; i++) {
			bool is = seen[sent[i].v6][i];
			passed += is;
			bool decided = sent[i].drop == DROP_NONE || sent[i].drop == DROP_HOST_INBOUND ||
				       sent[i].drop == DROP_POLICY_DENY || sent[i].drop == DROP_POLICY_REJECT;
			if (decided && is != (sent[i].drop == DROP_NONE) && differ++ < 10)
				printf("%s: %s, but the kernel %s\n%s", sent[i].what, drop_name(sent[i].drop),
					is ? "lets it in" : "drops it", text + sizeof head - 1);
		}
		gate_done(&g);
	}
	assert_int_equal(differ, 0);
	assert_in_range(passed, ROUNDS * PACKETS / 20, ROUNDS * PACKETS / 2);
}

/* ---- what answers the host's own connections ---- */

static const char with_tunnels[] =
	"zones { zone trust { interfaces lan0; } zone untrust { interfaces wan0; } zone vpn; }\n"
	"ike { proposal p { encryption aes256gcm16; dh-group x25519; }\n"
	"  peer a { local-address 198.51.100.2; remote-address 198.51.100.3; local-id a.example.net; remote-id b.example.net; pre-shared-key k; proposals p; }\n"
	"  peer b { local-address 198.51.100.2; remote-address 198.51.100.4; local-id a.example.net; remote-id c.example.net; pre-shared-key k; proposals p; } }\n"
	"ipsec { proposal p { encryption aes256gcm16; }\n"
	"  tunnel a { peer a; zone vpn; interface st0.1; local [ 0.0.0.0/0 ::/0 ]; remote [ 0.0.0.0/0 ::/0 ]; proposals p; }\n"
	"  tunnel b { peer b; zone vpn; local 10.1.0.0/24; remote 10.2.0.0/24; proposals p; } }\n%s\n";

static int tun_make(const char *name)
{
	struct ifreq r = { .ifr_flags = IFF_TUN | IFF_NO_PI };
	char command[100];
	int fd = open("/dev/net/tun", O_RDWR | O_CLOEXEC);

	snprintf(r.ifr_name, sizeof r.ifr_name, "%s", name);
	snprintf(command, sizeof command, "ip link set %s up", name);
	assert_true(fd >= 0 && ioctl(fd, TUNSETIFF, &r) == 0);
	assert_int_equal(system(command), 0);
	return fd;
}

/* Sends one datagram from this port of ours to port 9 of the other end; the socket hears what answers. */
static int asks(const char *from, const char *to, uint16_t port)
{
	bool v6 = strchr(to, ':');
	struct sockaddr_in6 six[2] = { { .sin6_family = AF_INET6, .sin6_port = htons(port) },
		{ .sin6_family = AF_INET6, .sin6_port = htons(9) } };
	struct sockaddr_in four[2] = { { .sin_family = AF_INET, .sin_port = htons(port) },
		{ .sin_family = AF_INET, .sin_port = htons(9) } };
	int fd = socket(v6 ? AF_INET6 : AF_INET, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

	for (int end = 0; end < 2; end++)
		assert_int_equal(inet_pton(v6 ? AF_INET6 : AF_INET, end ? to : from,
					 v6 ? (void *)&six[end].sin6_addr : (void *)&four[end].sin_addr),
			1);
	socklen_t n = v6 ? sizeof six[0] : sizeof four[0];
	const struct sockaddr *own = v6 ? (void *)&six[0] : (void *)&four[0],
			      *other = v6 ? (void *)&six[1] : (void *)&four[1];
	assert_true(fd >= 0 && bind(fd, own, n) == 0 && connect(fd, other, n) == 0);
	assert_int_equal(send(fd, "?", 1, 0), 1);
	return fd;
}

/* By a link, or by the interface of a tunnel. */
static void answers(int by_tunnel, uint32_t link, const char *from, const char *to, uint16_t port, char what)
{
	const uint8_t payload = (uint8_t)what;
	struct packet_spec s = { .src = from,
		.dst = to,
		.proto = IP_UDP,
		.src_port = 9,
		.dst_port = port,
		.payload = &payload,
		.payload_n = 1 };
	struct train t = packet_make(&packet, &s);

	if (by_tunnel >= 0)
		assert_int_equal(write(by_tunnel, t.ip, t.len), t.len);
	else
		frame_send(link, t.ip, t.len);
}

/* They are heard from a tunnel alone where the route to their source enters one, and by any link otherwise. */
static void answers_come_out_of_the_tunnel(void **unused)
{
	static const struct {
		const char *from, *to;
		bool tunnelled;
	} cases[] = { { "198.51.100.2", "10.9.0.1", true }, { "2001:db8:ff::2", "2001:db8:9::1", true },
		{ "10.1.0.1", "10.2.0.1", true }, { "198.51.100.2", "192.0.2.80", false },
		{ "2001:db8:ff::2", "2001:db8:77::1", false } };
	int st = tun_make("st0.1"), pg = tun_make(TUN_NAME);

	gate_init(&g, with_tunnels, "", 64);
	filter_set();
	assert_int_equal(
		system("nft delete table inet probe && ip route add 10.9.0.0/16 dev st0.1 && ip -6 route add 2001:db8:9::/64 dev st0.1 && "
		       "ip route add 10.2.0.0/24 dev " TUN_NAME
		       " && ip neigh add 198.51.100.1 lladdr 02:00:00:00:09:09 dev wan0 && ip -6 neigh add 2001:db8:ff::1 lladdr 02:00:00:00:09:09 dev wan0"),
		0);
	for (size_t i = 0; i < COUNT_OF(cases); i++) {
		uint16_t port = (uint16_t)(g.p.snapshot->host_port_first + i);
		const char *src = cases[i].from, *dst = cases[i].to;
		int fd = asks(src, dst, port);
		char heard[8] = "", c;
		answers(-1, GATE_LAN, dst, src, port, 'l');
		answers(-1, GATE_WAN, dst, src, port, 'w');
		answers(i == 2 ? pg : st, 0, dst, src, port, 't');
		for (size_t n = 0; n < 3 && recv(fd, &c, 1, 0) == 1; n++)
			heard[n] = c;
		assert_string_equal(heard, cases[i].tunnelled ? "t" : "lwt");
		close(fd);
	}
	gate_done(&g);
	close(st);
	close(pg);
}

static int link_make(uint32_t link, const char *name, const char *v4, const char *v6)
{
	struct ifreq r = { .ifr_flags = IFF_TAP | IFF_NO_PI };
	char command[400];
	int fd = open("/dev/net/tun", O_RDWR | O_CLOEXEC);

	snprintf(r.ifr_name, sizeof r.ifr_name, "%s", name);
	if (fd < 0 || ioctl(fd, TUNSETIFF, &r) < 0)
		return -1;
	snprintf(command, sizeof command,
		"ip link set %s address 02:00:00:00:00:0%u && ip addr add %s dev %s && ip -6 addr add %s dev %s nodad && ip link set %s up",
		name, link, v4, name, v6, name, name);
	return system(command) == 0 ? fd : -1;
}

int main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(same_as_the_pipeline),
		cmocka_unit_test(answers_come_out_of_the_tunnel) };

	if (unshare(CLONE_NEWNET) != 0 || system("nft -v >/dev/null 2>&1 && ip link set lo up") != 0)
		return SKIPPED;
	sysctl_write("/proc/sys/net/ipv4/conf/all/rp_filter", "0");
	sysctl_write("/proc/sys/net/ipv4/conf/default/rp_filter", "0");
	tap[GATE_LAN] = link_make(GATE_LAN, "lan0", "10.1.0.1/24", "2001:db8:1::1/64");
	tap[GATE_WAN] = link_make(GATE_WAN, "wan0", "198.51.100.2/24", "2001:db8:ff::2/64");
	if (tap[GATE_LAN] < 0 || tap[GATE_WAN] < 0 ||
		system("ip route add default via 198.51.100.1 && ip -6 route add default via 2001:db8:ff::1") !=
			0)
		return SKIPPED;
	return cmocka_run_group_tests_name("kernel filter", tests, NULL, NULL);
}
