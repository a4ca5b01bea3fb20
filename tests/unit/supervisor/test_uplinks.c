/*
 * Uplinks in the supervisor: what a data plane that starts is told, what is believed of one that runs, and, in a network
 * namespace of its own, what the kernel does with the host's own packets while an uplink is down. Where no namespace can be
 * made that one is skipped.
 */
#include "model/host_access.h"
#include "model/model.h"
#include "proc/supervisor/supervisor.h"

#include <net/if.h>
#include <sched.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>

#include <cmocka.h>

static struct supervisor s;
static struct ipc_link theirs; /* the data plane's end */
static struct snapshot *block;

/* Uplinks of these names, on v0 and v1. */
static void commit(const char *const *names, size_t n)
{
	char text[600] = "zones { zone z { interfaces [ v0 v1 ]; } } uplinks {";
	size_t bytes;
	struct err e = { 0 };
	struct faults f = { 0 };

	free(block);
	for (size_t i = 0; i < n; i++)
		snprintf(text + strlen(text), sizeof text - strlen(text),
			" uplink %s { interface v%zu; probe 192.0.2.%zu; }", names[i], i, i + 1);
	strcat(text, " }");
	if (model_read(text, strlen(text), "t", 1, NULL, (void **)&block, &bytes, &f, &e) != RC_OK)
		fail_msg("%s", e.text);
	s.snapshot = block;
	uplinks_apply(&s);
}

static int start(void **state)
{
	static const char *const names[] = { "one", "two" };
	int fds[2];

	memset(&s, 0, sizeof s);
	for (size_t i = 0; i < RESOURCES_MAX; i++)
		s.resources[i].fd = -1;
	loop_init(&s.loop);
	children_init(&s);
	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, fds) < 0)
		return -1;
	port_open(&child_of(&s, PROC_DATAPLANE)->port, &s.loop, fds[0], PROC_SUPERVISOR, PROC_DATAPLANE);
	ipc_link_open(&theirs, fds[1], PROC_DATAPLANE, PROC_SUPERVISOR);
	commit(names, 2);
	return 0;
}

static int stop(void **state)
{
	port_close(&child_of(&s, PROC_DATAPLANE)->port);
	ipc_link_close(&theirs);
	ledger_client_done(&s.ledger);
	loop_done(&s.loop);
	free(block);
	block = NULL;
	return 0;
}

static void report(const char *name, bool up)
{
	struct msg_uplink m = { .up = up };

	snprintf(m.name, sizeof m.name, "%s", name);
	uplink_take(&s, &m);
}

/* The names that a data plane hears, in the order of the alphabet, with spaces between. */
static const char *told(void)
{
	static struct ipc_frame f;
	static char text[80];
	bool one = false, two = false;

	uplinks_give(&s);
	assert_int_equal(loop_once(&s.loop, 0, NULL), RC_OK);
	while (ipc_recv(&theirs, &f, NULL) == RC_OK) {
		assert_int_equal(f.head.id, IPC_UPLINK);
		assert_int_equal(f.u.UPLINK.up, 0);
		one |= strcmp(f.u.UPLINK.name, "one") == 0;
		two |= strcmp(f.u.UPLINK.name, "two") == 0;
	}
	snprintf(text, sizeof text, "%s%s", one ? "one " : "", two ? "two " : "");
	return text;
}

static void told_again(void **state)
{
	assert_string_equal(told(), "");
	report("two", false);
	report("two", false);
	assert_int_equal(s.uplinks_n, 1);
	assert_string_equal(told(), "two ");
	report("one", false);
	assert_string_equal(told(), "one two ");
	report("two", true);
	report("two", true);
	assert_string_equal(told(), "one ");
}

static void what_is_not_believed(void **state)
{
	struct msg_uplink m = { .up = 0 };

	report("three", false);
	memset(m.name, 'a', sizeof m.name);
	uplink_take(&s, &m);
	snprintf(m.name, sizeof m.name, "one");
	memset(m.why, 'a', sizeof m.why);
	uplink_take(&s, &m);
	assert_string_equal(told(), "");
}

static void commits(void **state)
{
	static const char *const first[] = { "one" }, *const other[] = { "three" };

	report("one", false);
	report("two", false);
	commit(first, 1);
	assert_string_equal(told(), "one ");
	commit(other, 1);
	assert_int_equal(s.uplinks_n, 0);
}

/* ---- the kernel ---- */

static void ip(const char *command)
{
	char text[260];

	snprintf(text, sizeof text, "ip %s", command);
	if (system(text) != 0)
		fail_msg("%s", text);
}

/* By which of the links the host's packets to this address go. */
static char link_to(const char *address)
{
	char text[200], line[300] = "";

	snprintf(text, sizeof text, "ip route get %s", address);
	FILE *f = popen(text, "r");
	assert_non_null(f);
	assert_non_null(fgets(line, sizeof line, f));
	pclose(f);
	const char *dev = strstr(line, "dev v");
	assert_non_null(dev);
	return dev[5];
}

static uint32_t rules_n(const char *family)
{
	char text[100];
	unsigned n = 99;

	snprintf(text, sizeof text, "ip %s rule list priority %u | wc -l", family, DETOUR_RULE);
	FILE *f = popen(text, "r");
	assert_non_null(f);
	assert_int_equal(fscanf(f, "%u", &n), 1);
	pclose(f);
	return n;
}

static void detour(uint8_t family, const char *link, const char *gateway)
{
	struct msg_detour m = { .family = family, .link = link ? if_nametoindex(link) : 0 };

	if (gateway)
		assert_int_equal(addr_parse(&m.gateway, gateway), RC_OK);
	detour_take(&s, &m);
}

static void the_default_route_moves(void **state)
{
	if (unshare(CLONE_NEWNET) != 0)
		skip();
	for (int i = 0; i < 3; i++) {
		char text[200];
		snprintf(text, sizeof text,
			"link add v%d type veth peer name p%d && ip link set p%d up && ip link set v%d up && "
			"ip addr add 10.0.%d.1/24 dev v%d && ip addr add fd00:%d::1/64 dev v%d nodad",
			i, i, i, i, i, i, i, i);
		ip(text);
	}
	ip("route add default via 10.0.0.9");
	ip("-6 route add default via fd00:0::9");
	ip("route add 192.0.2.0/24 via 10.0.0.9");
	for (uint32_t i = 0; i < 2; i++)
		s.resources[i] = (struct open_resource){ .holder = PROC_DATAPLANE,
			.m = { .kind = RESOURCE_INTERFACE, .index = if_nametoindex(i ? "v1" : "v0") } };
	assert_int_equal(link_to("198.51.100.1"), '0');
	for (int twice = 0; twice < 2; twice++) {
		detour(ADDR_V4, "v1", "10.0.1.9");
		assert_int_equal(link_to("198.51.100.1"), '1');
		assert_int_equal(link_to("192.0.2.1"), '0'); /* it has a route of its own */
		assert_int_equal(link_to("2001:db8::1"), '0');
		assert_int_equal(rules_n("-4"), 2);
		assert_int_equal(rules_n("-6"), 0);
	}
	detour(ADDR_V6, "v1", "fd00:1::9");
	assert_int_equal(link_to("2001:db8::1"), '1');
	/* to another router, of the other family, and to a link without one */
	detour(ADDR_V4, "v0", "fd00:0::8");
	assert_int_equal(link_to("198.51.100.1"), '0');
	detour(ADDR_V4, "v1", NULL);
	assert_int_equal(link_to("198.51.100.1"), '1');
	/* not by a link that the data plane does not have, and of no other family */
	detour(ADDR_V4, "v2", "10.0.2.9");
	detour(ADDR_NONE, "v0", "10.0.0.9");
	assert_int_equal(link_to("198.51.100.1"), '1');
	detour(ADDR_V4, NULL, NULL);
	assert_int_equal(link_to("198.51.100.1"), '0');
	assert_int_equal(link_to("2001:db8::1"), '1');
	detour(ADDR_V4, "v1", "10.0.1.9");
	detours_flush();
	assert_int_equal(link_to("198.51.100.1"), '0');
	assert_int_equal(link_to("2001:db8::1"), '0');
	assert_int_equal(rules_n("-4") + rules_n("-6"), 0);
}

#define T(f) cmocka_unit_test_setup_teardown(f, start, stop)

int main(void)
{
	static const struct CMUnitTest tests[] = { T(told_again), T(what_is_not_believed), T(commits),
		T(the_default_route_moves) };

	return cmocka_run_group_tests(tests, NULL, NULL);
}
