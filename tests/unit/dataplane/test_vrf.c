/*
 * VRFs: what the mirror makes of the kernel's messages about them, and two networks with the same addresses and the same
 * connections in two VRFs, which have one uplink together. The kernel of the tests has no such device: the messages are
 * made here, as Linux sends them; system/test_boot.py has a kernel that has it.
 */
#include "gate.h"
#include "proc/dataplane/dataplane.h"

#include <libmnl/libmnl.h>
#include <linux/fib_rules.h>
#include <linux/if_link.h>
#include <linux/rtnetlink.h>
#include <net/if.h>
#include <net/if_arp.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>

#include <cmocka.h>

enum { RED = 21, BLUE, RED0, RED1, BLUE0, BLUE1 }; /* the kernel's indices of the links */

#define RED_TABLE  10u
#define BLUE_TABLE 20u

static struct ip_addr addr(const char *text)
{
	struct ip_addr a;

	assert_int_equal(addr_parse(&a, text), RC_OK);
	return a;
}

static void link_set(struct route_table *t, uint32_t index, const char *name, uint32_t master, uint32_t vrf)
{
	struct route_link l = { .index = index,
		.mac = { 2, 0, 0, 0, 0, (uint8_t)index },
		.up = true,
		.has_mac = true,
		.mtu = 1500,
		.master = master,
		.vrf = vrf };

	snprintf(l.name, sizeof l.name, "%s", name);
	assert_int_equal(route_link_set(t, &l), RC_OK);
}

static void route(struct route_table *t, uint32_t table, const char *dst, uint32_t link, const char *via)
{
	struct route_entry e = {
		.link = link, .kind = link == ROUTE_NONE ? ROUTE_UNREACHABLE : ROUTE_UNICAST, .table = table
	};

	assert_int_equal(prefix_parse(&e.dst, dst), RC_OK);
	if (via)
		e.gateway = addr(via);
	assert_int_equal(route_set(t, &e, ROUTE_APPEND), RC_OK);
}

static void rules(struct route_table *t)
{
	struct route_rule r = { .family = ADDR_V4, .suppress_bits = -1, .table = ROUTE_TABLE_LOCAL };

	assert_int_equal(route_rule_add(t, &r), RC_OK);
	r.priority = 1000;
	r.table = 0;
	r.vrf = true;
	assert_int_equal(route_rule_add(t, &r), RC_OK);
	r.priority = 32766;
	r.table = ROUTE_TABLE_MAIN;
	r.vrf = false;
	assert_int_equal(route_rule_add(t, &r), RC_OK);
}

/* A VRF with two links, 10.7.0.1/24 and 10.8.0.1/24, a host behind each. */
static void vrf_make(struct route_table *t, uint32_t device, const char *name, uint32_t table, uint32_t first)
{
	char text[ROUTE_LINK_NAME_BYTES];

	link_set(t, device, name, 0, table);
	for (uint32_t i = 0; i < 2; i++) {
		const char *net = i ? "10.8.0.0/24" : "10.7.0.0/24", *host = i ? "10.8.0.2" : "10.7.0.2";
		struct route_local l = {
			.link = first + i, .addr = addr(i ? "10.8.0.1" : "10.7.0.1"), .bits = 24
		};
		struct route_neighbour n = { .addr = addr(host),
			.link = first + i,
			.mac = { 2, 0, 0, 0, 1, (uint8_t)(first + i) },
			.state = ROUTE_NEIGHBOUR_VALID };
		snprintf(text, sizeof text, "%s%u", name, i);
		link_set(t, first + i, text, device, 0);
		assert_int_equal(route_local_set(t, &l), RC_OK);
		route(t, table, net, first + i, NULL);
		assert_int_equal(route_neighbour_set(t, &n), RC_OK);
	}
}

/* ---- the core ---- */

static struct route_answer look(const struct route_table *t, uint32_t in, const char *dst)
{
	struct route_flow f = {
		.src = addr("10.7.0.2"), .dst = addr(dst), .in_link = in, .vrf = route_vrf_of(t, in)
	};
	struct route_answer a;

	route_lookup_flow(t, &f, NULL, &a);
	return a;
}

static void each_has_its_table(void **state)
{
	struct route_table *t = route_new();
	struct ip_addr gateway = addr("10.7.0.1");

	link_set(t, 1, "lan0", 0, 0);
	link_set(t, 2, "wan0", 0, 0);
	vrf_make(t, RED, "red", RED_TABLE, RED0);
	vrf_make(t, BLUE, "blue", BLUE_TABLE, BLUE0);
	rules(t);
	route(t, 0, "0.0.0.0/0", 2, "198.51.100.1");
	assert_int_equal(route_vrf_of(t, RED1), RED_TABLE);
	assert_int_equal(route_vrf_of(t, RED), RED_TABLE);
	assert_int_equal(route_vrf_of(t, 2), 0);
	assert_int_equal(look(t, RED0, "10.8.0.2").link, RED1);
	assert_int_equal(look(t, BLUE0, "10.8.0.2").link, BLUE1);
	assert_int_equal(look(t, 1, "10.8.0.2").link, 2);
	/* Addresses of the host. */
	assert_int_equal(look(t, RED1, "10.7.0.1").kind, ROUTE_LOCAL);
	assert_int_equal(look(t, 1, "10.7.0.1").kind, ROUTE_UNICAST);
	assert_false(route_is_local(t, 0, &gateway));
	assert_true(route_is_local(t, BLUE_TABLE, &gateway));
	/* What a VRF's table does not have the next rule may have, as in the kernel; a last route there says no. */
	assert_int_equal(look(t, RED0, "192.0.2.80").link, 2);
	route(t, RED_TABLE, "0.0.0.0/0", ROUTE_NONE, NULL);
	assert_int_equal(look(t, RED0, "192.0.2.80").kind, ROUTE_UNREACHABLE);
	assert_int_equal(look(t, BLUE0, "192.0.2.80").link, 2);
	/* A link that leaves its VRF is main's, with its address. */
	uint64_t generation = route_generation(t);
	link_set(t, RED0, "red0", 0, 0);
	assert_true(route_generation(t) > generation);
	assert_true(route_is_local(t, 0, &gateway));
	assert_int_equal(look(t, RED0, "10.8.0.2").link, 2);
	route_link_gone(t, BLUE); /* and without the device nothing is in it */
	assert_int_equal(route_vrf_of(t, BLUE0), 0);
	route_free(t);
}

static void routes_lead_from_one_into_another(void **state)
{
	struct route_table *t = route_new();
	struct route_rule rule = { .family = ADDR_V4,
		.suppress_bits = -1,
		.priority = 500,
		.action = ROUTE_RULE_UNREACHABLE,
		.in = "blue" };

	link_set(t, 1, "lan0", 0, 0);
	vrf_make(t, RED, "red", RED_TABLE, RED0);
	vrf_make(t, BLUE, "blue", BLUE_TABLE, BLUE0);
	rules(t);
	route(t, 0, "10.8.0.0/24", RED, NULL); /* ip route add 10.8.0.0/24 dev red */
	assert_int_equal(look(t, 1, "10.8.0.2").link, RED1);
	assert_int_equal(look(t, 1, "10.8.0.3").link, RED1);
	assert_int_equal(
		look(t, 1, "10.8.0.1").kind, ROUTE_UNICAST); /* no address of ours for who is in main */
	route(t, BLUE_TABLE, "10.9.0.0/24", RED, NULL);
	assert_int_equal(look(t, BLUE0, "10.9.0.2").kind, ROUTE_UNREACHABLE);
	route(t, RED_TABLE, "10.9.0.0/24", RED1, "10.8.0.9");
	struct route_answer a = look(t, BLUE0, "10.9.0.2");
	struct ip_addr via = addr("10.8.0.9");
	assert_int_equal(a.link, RED1);
	assert_true(addr_equal(&a.next_hop, &via));
	/* In a circle: nowhere. */
	route(t, RED_TABLE, "10.10.0.0/24", BLUE, NULL);
	route(t, BLUE_TABLE, "10.10.0.0/24", RED, NULL);
	assert_int_equal(look(t, RED0, "10.10.0.2").kind, ROUTE_UNREACHABLE);
	/* A rule may name the VRF as the interface. */
	assert_int_equal(route_rule_add(t, &rule), RC_OK);
	assert_int_equal(look(t, BLUE0, "10.8.0.2").kind, ROUTE_UNREACHABLE);
	assert_int_equal(look(t, RED0, "10.8.0.2").link, RED1);
	route_free(t);
}

/* ---- the kernel's messages ---- */

static struct dataplane d;
static struct worker worker;
static int kernel_fd;

struct said {
	_Alignas(struct nlmsghdr) char room[4096];
	struct nlmsghdr *h;
};

static void say(struct said *s, uint16_t type, const struct nlmsghdr *dump)
{
	s->h = mnl_nlmsg_put_header(s->room);
	s->h->nlmsg_type = type;
	s->h->nlmsg_flags = dump ? NLM_F_MULTI : 0;
	s->h->nlmsg_seq = dump ? dump->nlmsg_seq : 0;
}

static void send_it(const struct said *s)
{
	assert_int_equal(send(kernel_fd, s->h, s->h->nlmsg_len, 0), s->h->nlmsg_len);
}

static void say_link(const struct nlmsghdr *dump, uint32_t index, const char *name, const char *kind,
	uint32_t table, uint32_t master)
{
	struct said s;

	say(&s, RTM_NEWLINK, dump);
	struct ifinfomsg *m = mnl_nlmsg_put_extra_header(s.h, sizeof *m);
	m->ifi_index = (int)index;
	m->ifi_type = ARPHRD_ETHER;
	m->ifi_flags = IFF_UP | IFF_RUNNING;
	mnl_attr_put(s.h, IFLA_ADDRESS, 6, (uint8_t[]){ 2, 0, 0, 0, 0, (uint8_t)index });
	mnl_attr_put_strz(s.h, IFLA_IFNAME, name);
	mnl_attr_put_u32(s.h, IFLA_MTU, 1500);
	if (master)
		mnl_attr_put_u32(s.h, IFLA_MASTER, master);
	struct nlattr *info = mnl_attr_nest_start(s.h, IFLA_LINKINFO);
	mnl_attr_put_strz(s.h, IFLA_INFO_KIND, kind);
	struct nlattr *data = mnl_attr_nest_start(s.h, IFLA_INFO_DATA);
	if (table)
		mnl_attr_put_u32(s.h, IFLA_VRF_TABLE, table);
	mnl_attr_nest_end(s.h, data);
	mnl_attr_nest_end(s.h, info);
	send_it(&s);
}

static void say_rule(const struct nlmsghdr *dump, uint8_t family)
{
	struct said s;

	say(&s, RTM_NEWRULE, dump);
	struct fib_rule_hdr *m = mnl_nlmsg_put_extra_header(s.h, sizeof *m);
	m->family = family;
	m->action = FR_ACT_TO_TBL;
	mnl_attr_put_u32(s.h, FRA_SUPPRESS_PREFIXLEN, UINT32_MAX);
	mnl_attr_put_u8(s.h, FRA_PROTOCOL, RTPROT_KERNEL);
	mnl_attr_put_u32(s.h, FRA_TABLE, 0);
	mnl_attr_put_u32(s.h, FRA_PRIORITY, 1000);
	mnl_attr_put_u8(s.h, FRA_L3MDEV, 1);
	send_it(&s);
}

/* The answers to the dumps of a mirror; of a kernel that has what `links` says. */
static void kernel_answers(void (*links)(const struct nlmsghdr *dump))
{
	_Alignas(struct nlmsghdr) char asked[256];

	while (d.routes_next) {
		const struct nlmsghdr *h = (const void *)asked;
		struct said s;
		assert_true(recv(kernel_fd, asked, sizeof asked, 0) >= (ssize_t)sizeof *h);
		if (h->nlmsg_type == RTM_GETLINK)
			links(h);
		if (h->nlmsg_type == RTM_GETRULE) {
			say_rule(h, AF_INET);
			say_rule(h, AF_INET6);
		}
		say(&s, NLMSG_DONE, h);
		mnl_nlmsg_put_extra_header(s.h, sizeof(int));
		send_it(&s);
		routes_receive(&d);
	}
}

static void links_of_the_kernel(const struct nlmsghdr *dump)
{
	say_link(dump, RED0, "red0", "veth", 0, RED); /* before its device */
	say_link(dump, RED, "red", "vrf", 4000000000u, 0);
	say_link(dump, 30, "port", "veth", 0, 31);
	say_link(dump, 31, "bridge", "bridge", 0, 0);
}

static void the_kernels_messages(void **state)
{
	int fds[2];
	struct err e = { 0 };
	struct said s;

	assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET, 0, fds), 0);
	kernel_fd = fds[1];
	d.workers[0] = &worker;
	d.workers_n = 1;
	d.route_fd = -1;
	assert_int_equal(routes_open(&d, fds[0], &e), RC_OK);
	kernel_answers(links_of_the_kernel);
	assert_int_equal(route_vrf_of(d.routes, RED0), 4000000000u);
	assert_int_equal(route_vrf_of(d.routes, 30), 0);
	assert_int_equal(d.rules_unfollowed, 0);
	assert_int_equal(d.rules_n, 2); /* `show routes` names the rule of each family */
	assert_string_equal(d.rules[0].text, "IPv4 VRF");
	/* What goes with a link that leaves, or comes, is not all announced: everything is read anew. */
	say_link(NULL, RED0, "red0", "veth", 0, 0);
	routes_receive(&d);
	assert_non_null(d.routes_next);
	assert_int_equal(route_vrf_of(d.routes, RED0), 0);
	kernel_answers(links_of_the_kernel);
	assert_int_equal(route_vrf_of(d.routes, RED0), 4000000000u);
	/* A port that leaves its bridge, as the bridge tells it, is still a link. */
	say(&s, RTM_DELLINK, NULL);
	struct ifinfomsg *m = mnl_nlmsg_put_extra_header(s.h, sizeof *m);
	m->ifi_family = AF_BRIDGE;
	m->ifi_index = 30;
	send_it(&s);
	routes_receive(&d);
	assert_non_null(route_link_find(d.routes, 30));
	route_free(d.routes);
	route_free(d.routes_gone);
	close(fds[0]);
	close(fds[1]);
}

/* ---- packets ---- */

/* Interfaces in the order of their names: libyang 3 sorts them, and the first VRF of two that look alike is used. */
static const char text[] =
	"system { host-name gate; }\n"
	"zones { zone inside { interfaces [ lan0 red0 red1 sky0 sky1 ]; host-inbound ping; }\n"
	"  zone outside { interfaces wan0; } }\n"
	"policy { from inside to inside { rule all { match { source any; destination any; application any; } then { permit; } } }\n"
	"  from inside to outside { rule all { match { source any; destination any; application any; } then { permit; } } } }\n"
	"nat { source { rule out { from inside; to outside; then { source-nat interface; } } } }\n%s";

static struct gate g;
static struct packet room;

static void gate_with_vrfs(uint32_t red_table, uint32_t blue_table)
{
	static const char *const names[] = { "red0", "red1", "sky0", "sky1" };

	gate_init(&g, text, "", 1000);
	vrf_make(g.routes, RED, "red", red_table, RED0);
	vrf_make(g.routes, BLUE, "sky", blue_table, BLUE0);
	rules(g.routes);
	for (uint32_t i = 0; i < COUNT_OF(names); i++)
		pipeline_bind(&g.p, names[i], RED0 + i);
	route(g.routes, red_table, "0.0.0.0/0", GATE_WAN, "198.51.100.1");
	route(g.routes, blue_table, "0.0.0.0/0", GATE_WAN, "198.51.100.1");
	pipeline_changed(&g.p);
}

static struct train udp(const char *src, uint16_t src_port, const char *dst, uint16_t dst_port)
{
	return packet_make(&room, &(struct packet_spec){ .src = src,
					  .dst = dst,
					  .proto = IP_UDP,
					  .src_port = src_port,
					  .dst_port = dst_port,
					  .payload_n = 8 });
}

/* One packet from a link, and where it has left. */
static uint32_t out_of(uint32_t in, struct train t)
{
	gate_clear(&g);
	assert_string_equal(drop_name(gate_from_link(&g, in, t)), drop_name(DROP_NONE));
	assert_int_equal(g.out_n, 1);
	assert_int_equal(g.out[0].kind, GATE_OUT_LINK);
	return g.p.interfaces[g.out[0].interface].link;
}

static void equal_addresses(void **state)
{
	uint16_t ports[2];
	char dst[] = "198.51.100.2";

	gate_with_vrfs(RED_TABLE, BLUE_TABLE);
	/* Between links of a VRF: the same connection in both, in one zone. */
	for (uint32_t i = 0; i < 2; i++) {
		assert_int_equal(out_of(RED0, udp("10.7.0.2", 1000, "10.8.0.2", 9)), RED1);
		assert_int_equal(out_of(BLUE0, udp("10.7.0.2", 1000, "10.8.0.2", 9)), BLUE1);
		assert_int_equal(out_of(BLUE1, udp("10.8.0.2", 9, "10.7.0.2", 1000)), BLUE0);
		assert_int_equal(out_of(RED1, udp("10.8.0.2", 9, "10.7.0.2", 1000)), RED0);
	}
	assert_int_equal(fw_counters(g.fw)->sessions_now, 2);
	/* By one uplink: answers find back by their session, whatever main has for this address. */
	for (uint32_t i = 0; i < 2; i++) {
		assert_int_equal(out_of(i ? BLUE0 : RED0, udp("10.7.0.2", 1000, "192.0.2.80", 9)), GATE_WAN);
		ports[i] = load_be16(g.out[0].bytes + IP4_HEADER_SIZE);
	}
	assert_int_not_equal(ports[0], ports[1]);
	for (uint32_t i = 0; i < 2; i++)
		assert_int_equal(out_of(GATE_WAN, udp("192.0.2.80", 9, dst, ports[i])), i ? BLUE0 : RED0);
	/* From main into none of them, and to no address of ours there. */
	assert_int_equal(out_of(GATE_LAN, udp("10.1.0.2", 1000, "10.8.0.2", 9)), GATE_WAN);
	assert_int_equal(gate_from_link(&g, RED0, udp("10.1.0.2", 1000, "10.8.0.2", 9)), DROP_SPOOFED);
	assert_int_equal(gate_from_link(&g, RED0, udp("10.7.0.2", 1000, "10.7.0.1", 9)), DROP_HOST_INBOUND);
	gate_done(&g);
}

/* The route of a session leads into another VRF: its answers would not be its own any more. */
static void the_way_out_moves(void **state)
{
	gate_with_vrfs(RED_TABLE, BLUE_TABLE);
	route(g.routes, RED_TABLE, "10.9.0.0/24", RED1, "10.8.0.2");
	pipeline_changed(&g.p);
	assert_int_equal(out_of(RED0, udp("10.7.0.2", 1000, "10.9.0.2", 9)), RED1);
	struct route_entry e = { .link = BLUE, .kind = ROUTE_UNICAST, .table = RED_TABLE };
	assert_int_equal(prefix_parse(&e.dst, "10.9.0.0/24"), RC_OK);
	assert_int_equal(route_set(g.routes, &e, ROUTE_REPLACE), RC_OK);
	route(g.routes, BLUE_TABLE, "10.9.0.0/24", BLUE1, "10.8.0.2");
	pipeline_changed(&g.p);
	assert_int_equal(out_of(RED0, udp("10.7.0.2", 1000, "10.9.0.2", 9)), BLUE1);
	assert_int_equal(fw_counters(g.fw)->sessions_now, 1);
	assert_int_equal(out_of(BLUE1, udp("10.9.0.2", 9, "10.7.0.2", 1000)), RED0);
	assert_int_equal(
		gate_from_link(&g, RED1, udp("10.9.0.2", 9, "10.7.0.2", 1000)), DROP_SESSION_COLLISION);
	gate_done(&g);
}

/* The next process finds them by the same keys. */
static void over_a_death(void **state)
{
	struct fw_limits limits = { .sessions_max = 1000, .reassembly_max = 80 };

	gate_with_vrfs(RED_TABLE, BLUE_TABLE);
	out_of(RED0, udp("10.7.0.2", 1000, "10.8.0.2", 9));
	out_of(BLUE0, udp("10.7.0.2", 1000, "10.8.0.2", 9));
	out_of(BLUE0, udp("10.7.0.2", 1001, "192.0.2.80", 9));
	uint16_t port = load_be16(g.out[0].bytes + IP4_HEADER_SIZE);
	fw_detach(g.fw);
	g.fw = g.p.fw = fw_attach(g.memory, g.memory_n, false, &limits, g.now, NULL);
	assert_non_null(g.fw);
	gate_load(&g, text, "");
	for (uint32_t i = 0; i < 4; i++)
		pipeline_bind(&g.p, (const char *[]){ "red0", "red1", "sky0", "sky1" }[i], RED0 + i);
	assert_int_equal(out_of(BLUE1, udp("10.8.0.2", 9, "10.7.0.2", 1000)), BLUE0);
	assert_int_equal(out_of(RED1, udp("10.8.0.2", 9, "10.7.0.2", 1000)), RED0);
	assert_int_equal(out_of(GATE_WAN, udp("192.0.2.80", 9, "198.51.100.2", port)), BLUE0);
	gate_done(&g);
}

/* Two tables that keys cannot tell apart: the second VRF is not used. */
static void tables_that_look_alike(void **state)
{
	gate_with_vrfs(RED_TABLE, RED_TABLE + 251);
	assert_int_equal(out_of(RED0, udp("10.7.0.2", 1000, "10.8.0.2", 9)), RED1);
	assert_int_equal(gate_from_link(&g, BLUE0, udp("10.7.0.2", 1000, "10.8.0.2", 9)), DROP_NO_ROUTE);
	assert_int_equal(gate_from_link(&g, BLUE0, udp("10.7.0.2", 1000, "192.0.2.80", 9)), DROP_NO_ROUTE);
	gate_done(&g);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(each_has_its_table),
		cmocka_unit_test(routes_lead_from_one_into_another),
		cmocka_unit_test(the_kernels_messages),
		cmocka_unit_test(equal_addresses),
		cmocka_unit_test(the_way_out_moves),
		cmocka_unit_test(over_a_death),
		cmocka_unit_test(tables_that_look_alike),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
