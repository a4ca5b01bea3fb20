/*
 * The mirror beside the kernel itself: in a network namespace of its own, random routes in several tables and random
 * rules (`ip rule`) are made by iproute2, read by rtnetlink as in the process, and for many random packets the
 * kernel is asked for its route (RTM_GETROUTE with a source, ports and an incoming interface) and must say the
 * same. The kernel is the reference. Skipped where no namespace can be made.
 */
#include "kernel_namespace.h"
#include "proc/dataplane/dataplane.h"

#include <errno.h>
#include <libmnl/libmnl.h>
#include <linux/rtnetlink.h>
#include <net/if.h>
#include <netinet/in.h>
#include <sched.h>
#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define LINKS	4u
#define TABLES	5u
#define ROUNDS	40u
#define PACKETS 250u

static uint64_t state = 88172645463325252ull;

static uint32_t draw(uint32_t n)
{
	state ^= state << 13;
	state ^= state >> 7;
	state ^= state << 17;
	return (uint32_t)(state >> 33) % n;
}

static struct dataplane d;
static struct worker worker;
static int ask_fd;
static char batch[1 << 16];
static size_t batch_n;

static void say(const char *format, ...) __attribute__((format(printf, 1, 2)));
static void say(const char *format, ...)
{
	va_list list;

	va_start(list, format);
	batch_n += (size_t)vsnprintf(batch + batch_n, sizeof batch - batch_n, format, list);
	va_end(list);
	assert_true(batch_n < sizeof batch);
}

/* Runs the lines by iproute2; what the kernel refuses (it is there already) does not count. */
static void run(const char *family)
{
	char command[80];
	snprintf(command, sizeof command, "ip %s -force -batch - >/dev/null 2>&1", family);
	FILE *f = popen(command, "w");

	assert_non_null(f);
	assert_int_equal(fwrite(batch, 1, batch_n, f), batch_n);
	pclose(f);
	batch_n = 0;
}

static int route_socket(uint32_t groups)
{
	struct sockaddr_nl a = { .nl_family = AF_NETLINK, .nl_groups = groups };
	int fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_ROUTE), room = 1 << 22;

	assert_true(fd >= 0);
	setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &room, sizeof room);
	assert_int_equal(bind(fd, (struct sockaddr *)&a, sizeof a), 0);
	return fd;
}

/* All that the kernel has to say has been read. */
static void settle(void)
{
	for (uint32_t quiet = 0; quiet < 3;) {
		if (routes_receive(&d) == 0 && !d.routes_next && !d.dump_wanted)
			quiet++;
		else
			quiet = 0;
		usleep(1000);
	}
}

/* --- random tables --- */

/* Few values, so that prefixes lie in each other and packets meet them. */
static void random_addr_text(char *ret_text, size_t n, bool v6)
{
	if (v6)
		snprintf(ret_text, n, "2001:db8:%x:%x::%x", draw(4), draw(4) << 14, draw(4) << 14);
	else
		snprintf(ret_text, n, "172.%u.%u.%u", 16 + draw(4), draw(4) * 64, draw(4) * 64);
}

static void random_prefix_text(char *ret_text, size_t n, bool v6)
{
	static const uint8_t bits[2][6] = { { 12, 15, 16, 18, 24, 32 }, { 30, 33, 48, 50, 64, 128 } };
	struct ip_prefix p;
	char a[ADDR_TEXT_MAX], text[PREFIX_TEXT_MAX];

	random_addr_text(a, sizeof a, v6);
	assert_int_equal(addr_parse(&p.addr, a), RC_OK);
	p.bits = bits[v6][draw(6)];
	for (uint32_t i = p.bits; i < (v6 ? 128u : 32u); i++)
		p.addr.b[i / 8] &= (uint8_t)~(128 >> i % 8);
	snprintf(ret_text, n, "%s", prefix_text(text, &p));
}

static uint32_t random_table(void)
{
	uint32_t i = draw(TABLES + 2);

	return i < TABLES ? 100 + i : i == TABLES ? ROUTE_TABLE_MAIN : 253;
}

static void random_route(const char *verb, bool v6)
{
	static const char *const types[] = { "unreachable ", "throw " };
	char prefix[PREFIX_TEXT_MAX];
	uint32_t link = draw(LINKS), type = draw(8);
	bool by_gateway = draw(4);
	uint32_t gateway = draw(8);

	random_prefix_text(prefix, sizeof prefix, v6);
	say("route %s %s%s ", verb, type < 2 ? types[type] : "", draw(10) ? prefix : "default");
	if (type >= 2 && by_gateway)
		say(v6 ? "via fd00:%u::1%u dev v%u " : "via 10.10.%u.1%u dev v%u ", link, gateway, link);
	else if (type >= 2)
		say("dev v%u ", link);
	/* Among IPv6 routes of one metric that are not one the kernel prefers by the incoming interface and by what it
	 * knows of the gateways: not here. */
	uint32_t metric = !v6	       ? 100 + draw(2)
			  : type < 2   ? 120 + type
			  : by_gateway ? 100 + gateway
				       : 110 + link;
	say("metric %u table %u\n", metric, random_table());
}

static void random_rule(bool v6)
{
	char prefix[PREFIX_TEXT_MAX];
	uint32_t priority = 100 + draw(40);

	say("rule add pref %u %s", priority, draw(8) ? "" : "not ");
	if (draw(2)) {
		random_prefix_text(prefix, sizeof prefix, v6);
		say("from %s ", prefix);
	}
	if (draw(3) == 0) {
		random_prefix_text(prefix, sizeof prefix, v6);
		say("to %s ", prefix);
	}
	if (draw(3) == 0)
		say("iif v%u ", draw(LINKS));
	if (draw(8) == 0)
		say("oif v%u ", draw(LINKS));
	if (draw(4) == 0)
		say("ipproto %s ", draw(2) ? "tcp" : "udp");
	if (draw(6) == 0)
		say("sport %u-%u ", 1000 + draw(4), 1004 + draw(4));
	if (draw(6) == 0)
		say("dport %u ", 1000 + draw(8));
	uint32_t what = draw(12);
	if (what == 0)
		say("unreachable\n");
	else if (what == 1)
		say("blackhole\n");
	else if (what < 4)
		say("goto %u\n", priority + 1 + draw(20));
	else {
		if (draw(5) == 0)
			say("suppress_prefixlength %u ", draw(v6 ? 65 : 25));
		say("table %u\n", random_table());
	}
}

static void change(uint32_t routes, uint32_t rules, bool v6)
{
	for (uint32_t i = 0; i < routes; i++)
		random_route(draw(3) ? "append" : draw(2) ? "replace" : "del", v6);
	for (uint32_t i = 0; i < rules; i++) {
		random_rule(v6);
		say("rule del pref %u\n", 100 + draw(40));
	}
	run(v6 ? "-6" : "-4");
}

/* --- the kernel's answer --- */

struct kernel_answer {
	bool unicast;
	uint32_t link;
	struct ip_addr next_hop;
};

static int attribute_read(const struct nlattr *a, void *data)
{
	struct kernel_answer *k = data;
	uint16_t type = mnl_attr_get_type(a);

	if (type == RTA_OIF)
		k->link = mnl_attr_get_u32(a);
	if (type == RTA_GATEWAY)
		k->next_hop = mnl_attr_get_payload_len(a) == 4 ? addr_v4(mnl_attr_get_payload(a))
							       : addr_v6(mnl_attr_get_payload(a));
	return MNL_CB_OK;
}

static struct kernel_answer ask(const struct route_flow *f)
{
	static _Alignas(struct nlmsghdr) char buffer[8192];
	static uint32_t sequence;
	struct nlmsghdr *h = mnl_nlmsg_put_header(buffer);
	struct kernel_answer k = { .link = ROUTE_NONE, .next_hop = f->dst };
	uint32_t size = addr_size(&f->dst);

	h->nlmsg_type = RTM_GETROUTE;
	h->nlmsg_flags = NLM_F_REQUEST;
	h->nlmsg_seq = ++sequence;
	struct rtmsg *m = mnl_nlmsg_put_extra_header(h, sizeof *m);
	m->rtm_family = f->dst.family == ADDR_V4 ? AF_INET : AF_INET6;
	m->rtm_dst_len = m->rtm_src_len = (uint8_t)(8 * size);
	mnl_attr_put(h, RTA_DST, size, f->dst.b);
	mnl_attr_put(h, RTA_SRC, size, f->src.b);
	mnl_attr_put_u32(h, RTA_IIF, f->in_link);
	mnl_attr_put_u8(h, RTA_IP_PROTO, f->proto);
	mnl_attr_put_u16(h, RTA_SPORT, htobe16(f->src_port));
	mnl_attr_put_u16(h, RTA_DPORT, htobe16(f->dst_port));
	assert_int_equal(send(ask_fd, h, h->nlmsg_len, 0), h->nlmsg_len);
	ssize_t n = recv(ask_fd, buffer, sizeof buffer, 0);
	assert_true(n > 0 && h->nlmsg_seq == sequence);
	if (h->nlmsg_type != RTM_NEWROUTE)
		return k;
	m = mnl_nlmsg_get_payload(h);
	k.unicast = m->rtm_type == RTN_UNICAST;
	mnl_attr_parse(h, sizeof *m, attribute_read, &k);
	return k;
}

static uint32_t asked, unicast, several;

/* Of several next hops the kernel's choice is another one than ours: it must be one of ours. */
static bool is_among(const struct route_flow *f, const struct kernel_answer *want)
{
	struct route_answer hops[64];
	uint32_t n = route_next_hops(d.routes, f, hops, COUNT_OF(hops));

	several += n > 1;
	for (uint32_t i = 0; i < n; i++)
		if (hops[i].kind == ROUTE_UNICAST && hops[i].link == want->link &&
			addr_equal(&hops[i].next_hop, &want->next_hop))
			return true;
	return false;
}

static void compare(bool v6, const char *const *in_names, uint32_t in_n)
{
	char text[ADDR_TEXT_MAX], other[ADDR_TEXT_MAX];

	for (uint32_t i = 0; i < PACKETS; i++) {
		struct route_flow f = { .in_link = if_nametoindex(in_names[draw(in_n)]),
			.proto = draw(2) ? IPPROTO_TCP : IPPROTO_UDP,
			.ports = true,
			.src_port = (uint16_t)(1000 + draw(8)),
			.dst_port = (uint16_t)(1000 + draw(8)) };
		struct route_answer have;
		random_addr_text(text, sizeof text, v6);
		assert_int_equal(addr_parse(&f.src, text), RC_OK);
		random_addr_text(text, sizeof text, v6);
		assert_int_equal(addr_parse(&f.dst, text), RC_OK);
		struct kernel_answer want = ask(&f);
		route_lookup_flow(d.routes, &f, NULL, &have);
		asked++;
		unicast += want.unicast;
		if (!want.unicast ? have.kind != ROUTE_UNICAST : is_among(&f, &want))
			continue;
		print_message(
			"from %s to %s in %u proto %u ports %u %u: the kernel %s link %u, here kind %u link %u\n",
			addr_text(other, &f.src), text, f.in_link, f.proto, f.src_port, f.dst_port,
			want.unicast ? "routes" : "does not route", want.link, have.kind, have.link);
		if (system("ip rule; ip -6 rule; ip route show table all; ip -6 route show table all") != 0)
			print_message("without ip\n");
		fail();
	}
}

static const char *const links[LINKS] = { "v0", "v1", "v2", "v3" };

static void rules_and_tables(void **unused)
{
	for (uint32_t round = 0; round < ROUNDS; round++) {
		change(round == 0 ? 200 : 20, round == 0 ? 30 : 8, false);
		change(round == 0 ? 200 : 20, round == 0 ? 30 : 8, true);
		settle();
		compare(false, links, LINKS);
		compare(true, links, LINKS);
	}
	print_message(
		"%u packets, %u of them with a route, %u with several next hops\n", asked, unicast, several);
	assert_true(unicast > asked / 10 && unicast < asked);
}

/* More tables than the mirror takes: what a tunnel's interface has in those that it does not take is withheld, and what another
 * link has is not; when some are gone the mirror is made anew, and has room. */
static void routes_without_room(void **unused)
{
	enum { FIRST = 1000, MANY = ROUTE_TABLES_MAX + 20 };
	const char *const families[] = { "-4", "-6" };

	for (int v6 = 0; v6 < 2; v6++) {
		uint32_t withheld = 0, of_links = 0;
		char text[64];
		struct ip_addr a;
		d.devices[0] = (struct tunnel_device){ .link = if_nametoindex("v0"), .fd = 0 };
		d.devices_n = 1;
		for (uint32_t i = 0; i < MANY; i++)
			if (v6)
				say("route add 2001:db8:aa:%x::/64 dev v%u table %u\n", i, i % 2, FIRST + i);
			else
				say("route add 10.%u.%u.0/24 dev v%u table %u\n", 100 + i / 256, i % 256,
					i % 2, FIRST + i);
		run(families[v6]);
		d.dump_wanted = true;
		routes_second(&d);
		settle();
		for (uint32_t i = 0; i < MANY; i++) {
			if (v6)
				snprintf(text, sizeof text, "2001:db8:aa:%x::1", i);
			else
				snprintf(text, sizeof text, "10.%u.%u.1", 100 + i / 256, i % 256);
			assert_int_equal(addr_parse(&a, text), RC_OK);
			bool is = route_is_withheld(d.routes, &a);
			withheld += is && i % 2 == 0;
			of_links += is && i % 2 == 1;
		}
		assert_true(withheld > 0 && of_links == 0);
		for (uint32_t i = 0; i < MANY; i++)
			if (v6)
				say("route del 2001:db8:aa:%x::/64 table %u\n", i, FIRST + i);
			else
				say("route del 10.%u.%u.0/24 table %u\n", 100 + i / 256, i % 256, FIRST + i);
		run(families[v6]);
		settle();
		assert_true(route_withheld(d.routes) > 0 && d.withheld_again);
		d.dumped = 0; /* a minute ago */
		routes_second(&d);
		settle();
		assert_int_equal(route_withheld(d.routes), 0);
		d.devices_n = 0;
	}
}

/* While the first mirror is read, which is while a process starts, the workers have no routes yet. */
static void a_neighbour_before_the_workers_have_routes(void **unused)
{
	struct ip_addr a;

	assert_null(worker.pipeline.routes);
	say("neigh add 10.10.0.9 lladdr 02:00:00:00:00:09 dev v0\n");
	run("");
	settle();
	assert_int_equal(addr_parse(&a, "10.10.0.9"), RC_OK);
	const struct route_neighbour *n = route_neighbour_find(d.routes, if_nametoindex("v0"), &a);
	assert_non_null(n);
	assert_int_equal(n->state, ROUTE_NEIGHBOUR_VALID);
	say("neigh change 10.10.0.9 lladdr 02:00:00:00:00:08 dev v0\n"); /* an event, not a dump's answer */
	run("");
	settle();
	n = route_neighbour_find(d.routes, if_nametoindex("v0"), &a);
	assert_non_null(n);
	assert_int_equal(n->mac[5], 8);
}

/* --- the namespace --- */

static bool namespace_enter(void)
{
	if (unshare(CLONE_NEWNET) != 0)
		return false;
	for (uint32_t i = 0; i < LINKS; i++) {
		say("link add v%u type veth peer name p%u\nlink set p%u up\nlink set v%u up\n", i, i, i, i);
		say("addr add 10.10.%u.1/24 dev v%u\naddr add fd00:%u::1/64 dev v%u nodad\n", i, i, i, i);
	}
	say("link set lo up\n");
	run("");
	sysctl_write("/proc/sys/net/ipv4/ip_forward", "1");
	sysctl_write("/proc/sys/net/ipv6/conf/all/forwarding", "1");
	sysctl_write("/proc/sys/net/ipv4/conf/all/rp_filter", "0");
	for (uint32_t i = 0; i < LINKS; i++) {
		char path[80];
		snprintf(path, sizeof path, "/proc/sys/net/ipv4/conf/v%u/rp_filter", i);
		sysctl_write(path, "0");
	}
	return if_nametoindex("v3") != 0;
}

int main(void)
{
	struct err e = { 0 };
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_neighbour_before_the_workers_have_routes),
		cmocka_unit_test(routes_without_room),
		cmocka_unit_test(rules_and_tables),
	};

	if (!namespace_enter())
		return SKIPPED;
	d.workers[0] = &worker;
	d.workers_n = 1;
	d.route_fd = -1;
	ask_fd = route_socket(0);
	if (routes_open(&d,
		    route_socket(RTMGRP_LINK | RTMGRP_NEIGH | RTMGRP_IPV4_IFADDR | RTMGRP_IPV4_ROUTE |
				 RTMGRP_IPV6_IFADDR | RTMGRP_IPV6_ROUTE | RTMGRP_IPV4_RULE |
				 1u << (RTNLGRP_IPV6_RULE - 1)),
		    &e) != RC_OK)
		return 1;
	return cmocka_run_group_tests(tests, NULL, NULL);
}
