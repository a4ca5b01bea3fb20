/* Health of servers: what the data plane is told of servers that answer, refuse, or are silent; over commits. */
#include "proc/supervisor/supervisor.h"

#include "model/model.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

static struct supervisor s;
static struct ipc_link theirs; /* the data plane's end */
static struct snapshot *block;

/* 127.0.0.1 to .3 at this port, which the test chooses. */
static void commit(uint16_t port, const char *check)
{
	char text[600];
	size_t n;
	struct err e = { 0 };
	struct faults f = { 0 };

	free(block);
	snprintf(text, sizeof text,
		"zones { zone z { } } address-book { address x { prefix 203.0.113.7; } } nat { destination { "
		"rule a { match { destination x; } then { destination-nat 10.0.0.1-10.0.0.3; %s } } } }",
		check);
	if (model_read(text, strlen(text), "t", 1, NULL, (void **)&block, &n, &f, &e) != RC_OK)
		fail_msg("%s", e.text);
	struct snap_dnat_rule *r = (struct snap_dnat_rule *)(uintptr_t)snap_dnat_rules(block);
	r->to.first.b[0] = r->to.last.b[0] = 127;
	if (r->check_port)
		r->check_port = port;
	s.snapshot = block;
	health_apply(&s);
}

static int listen_at(uint8_t last, uint16_t *port)
{
	struct sockaddr_in a = { .sin_family = AF_INET, .sin_port = htons(*port) };
	socklen_t n = sizeof a;
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0), one = 1;

	a.sin_addr.s_addr = htonl(0x7f000000u + last);
	assert_true(fd >= 0);
	setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one);
	assert_int_equal(bind(fd, (struct sockaddr *)&a, sizeof a), 0);
	assert_int_equal(listen(fd, 8), 0);
	assert_int_equal(getsockname(fd, (struct sockaddr *)&a, &n), 0);
	*port = ntohs(a.sin_port);
	return fd;
}

/* What the data plane believes: a bit for each server that is down. */
static uint32_t down;

static void run(uint32_t ms)
{
	mono_ns end = clock_mono() + ms * NS_PER_MS;
	static struct ipc_frame f;
	struct err e = { 0 };

	while (clock_mono() < end) {
		assert_int_equal(loop_once(&s.loop, 10 * NS_PER_MS, &e), RC_OK);
		while (ipc_recv(&theirs, &f, &e) == RC_OK) {
			assert_int_equal(f.head.id, IPC_SERVER);
			uint32_t bit = 1u << (f.u.SERVER.at.addr.b[3] - 1);
			assert_true(((down & bit) != 0) == (f.u.SERVER.up != 0)); /* changes only */
			down ^= bit;
		}
	}
}

static int start(void **state)
{
	int fds[2];

	memset(&s, 0, sizeof s);
	down = 0;
	loop_init(&s.loop);
	children_init(&s);
	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, fds) < 0)
		return -1;
	port_open(&child_of(&s, PROC_DATAPLANE)->port, &s.loop, fds[0], PROC_SUPERVISOR, PROC_DATAPLANE);
	ipc_link_open(&theirs, fds[1], PROC_DATAPLANE, PROC_SUPERVISOR);
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

#define FAST "health-check { port 1; interval 1; timeout 1; rise 1; fall 1; }"

static void up_and_down(void **state)
{
	uint16_t port = 0;
	int one = listen_at(1, &port), two = listen_at(2, &port);

	commit(port, FAST);
	run(300);
	assert_int_equal(down, 4); /* nobody listens at the third */
	close(two);
	run(1200);
	assert_int_equal(down, 6);
	two = listen_at(2, &port);
	run(1200);
	assert_int_equal(down, 4);
	/* a commit that names them again knows them; one that does not brings all up */
	commit(port, FAST);
	run(100);
	assert_int_equal(down, 4);
	commit(port, "");
	run(1200);
	assert_int_equal(down, 0);
	close(one);
	close(two);
}

static void so_many_in_a_row(void **state)
{
	uint16_t port = 0;
	int one = listen_at(1, &port), two = listen_at(2, &port), three = listen_at(3, &port);

	commit(port, "health-check { port 1; interval 1; timeout 1; rise 2; fall 2; }");
	run(300);
	assert_int_equal(down, 0);
	close(three);
	run(1000);
	assert_int_equal(down, 0); /* once */
	run(1000);
	assert_int_equal(down, 4);
	three = listen_at(3, &port);
	run(1000);
	assert_int_equal(down, 4);
	run(1000);
	assert_int_equal(down, 0);
	close(one);
	close(two);
	close(three);
}

/* A full queue of connections: the SYN is not answered. */
static void silence(void **state)
{
	uint16_t port = 0;
	int one = listen_at(1, &port), two = listen_at(2, &port), three = listen_at(3, &port), full[40];
	struct sockaddr_in a = {
		.sin_family = AF_INET, .sin_port = htons(port), .sin_addr.s_addr = htonl(0x7f000003u)
	};

	assert_int_equal(listen(three, 0), 0);
	for (size_t i = 0; i < 40; i++) {
		full[i] = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
		connect(full[i], (struct sockaddr *)&a, sizeof a);
	}
	commit(port, FAST);
	run(700);
	assert_int_equal(down, 0);
	run(800);
	assert_int_equal(down, 4);
	for (size_t i = 0; i < 40; i++)
		close(full[i]);
	close(one);
	close(two);
	close(three);
}

/* A new data plane is told what the former one knew. */
static void told_again(void **state)
{
	uint16_t port = 0;
	int one = listen_at(1, &port);

	commit(port, FAST);
	run(300);
	assert_int_equal(down, 6);
	down = 0;
	health_give(&s);
	run(50);
	assert_int_equal(down, 6);
	close(one);
}

#define T(f) cmocka_unit_test_setup_teardown(f, start, stop)

int main(void)
{
	static const struct CMUnitTest tests[] = {
		T(up_and_down),
		T(so_many_in_a_row),
		cmocka_unit_test_setup_teardown(silence, start, stop),
		T(told_again),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
