/*
 * What the supervisor opens for the ledger and for the courier, and what it opens for nobody, whoever asks:
 * in a network of the test's own, where only the loopback is there and nothing leaves. Needs root.
 */
#include "proc/supervisor/supervisor.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <arpa/inet.h>
#include <fcntl.h>
#include <net/if.h>
#include <sched.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

static struct supervisor s;
static struct ipc_link theirs; /* of who asks */
static struct ipc_frame frame;
static char resolv_conf[] = "/tmp/plaingate-resolv-XXXXXX";

static int start(void **state)
{
	static const char *const urls[] = { "https://w.example/x", "https://192.0.2.9:8443",
		"http://[2001:db8::9]" };

	memset(&s, 0, sizeof s);
	loop_init(&s.loop);
	children_init(&s);
	s.evidence = (struct snap_evidence){ .count = 4, .quorum = 1, .heartbeat_s = 30 };
	for (size_t i = 0; i < 4; i++) {
		struct snap_witness *w = &s.evidence.witness[i];
		snprintf(w->name, sizeof w->name, "w%zu", i);
		snprintf(w->key, sizeof w->key, "k");
		if (i < 3)
			snprintf(w->url, sizeof w->url, "%s", urls[i]);
	}
	s.evidence.witness[3].at = (struct endpoint){ .addr = addr_v4("\x7f\0\0\x07"), .port = 7380 };
	return snapshot_evidence_check(&s.evidence, NULL) == RC_OK ? 0 : -1;
}

static int stop(void **state)
{
	loop_done(&s.loop);
	return 0;
}

static struct child_process *asks(enum proc who)
{
	struct child_process *c = child_of(&s, who);
	int fds[2];

	assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, fds), 0);
	port_open(&c->port, &s.loop, fds[0], PROC_SUPERVISOR, who);
	ipc_link_open(&theirs, fds[1], who, PROC_SUPERVISOR);
	return c;
}

static void over(struct child_process *c)
{
	port_close(&c->port);
	ipc_link_close(&theirs);
}

/* NULL: a connection was begun; else why there is none. */
static const char *refusal(struct child_process *c, const char *address, uint16_t port)
{
	static char text[ERR_TEXT_MAX];
	struct ipc_frame f = {
		.head.id = IPC_WITNESS_CONNECT, .head.tag = 5, .u.WITNESS_CONNECT.port = port
	};

	if (address)
		assert_int_equal(addr_parse(&f.u.WITNESS_CONNECT.addr, address), RC_OK);
	witness_connect(&s, c, &f);
	assert_int_equal(ipc_recv(&theirs, &frame, NULL), RC_OK);
	assert_int_equal(frame.head.tag, 5);
	bool begun = frame.head.id == IPC_WITNESS_SOCKET;
	snprintf(text, sizeof text, "%s", begun ? "" : frame.u.WITNESS_REFUSED.text);
	ipc_frame_done(&frame);
	return begun ? NULL : text;
}

static void who_gets_which_connection(void **state)
{
	static const struct {
		const char *address;
		uint16_t port;
		bool courier, ledger;
	}
	/* clang-format off */
	rows[] = {
		{ "198.51.100.1",     443,  true,  false },	/* any address, for a name */
		{ "2001:db8::1",      443,  true,  false },
		{ "192.0.2.9",        8443, true,  false },	/* the one in the URL */
		{ "2001:db8::9",      80,   true,  false },
		{ "198.51.100.1",     8443, false, false },	/* none but that */
		{ "2001:db8::1",      80,   false, false },
		{ "198.51.100.1",     22,   false, false },
		{ "198.51.100.1",     53,   false, false },
		{ "198.51.100.1",     0,    false, false },
		{ "198.51.100.1",     7380, false, false },
		{ "127.0.0.7",        7380, false, true },	/* by address: the ledger's */
		{ "127.0.0.8",        7380, false, false },
		{ "127.0.0.1",        443,  false, false },	/* ourselves, whatever a name server says */
		{ "127.255.255.255",  443,  false, false },
		{ "0.0.0.0",          443,  false, false },
		{ "::1",              443,  false, false },
		{ "::",               443,  false, false },
		{ "::ffff:127.0.0.1", 443,  false, false },
		{ "::127.0.0.1",      443,  false, false },
		{ "192.0.2.77",       443,  false, false },	/* an interface's, of the test's network */
		{ "2001:db8:77::1",   443,  false, false },
		{ "169.254.169.254",  443,  false, false },	/* of a link alone */
		{ "fe80::1",          443,  false, false },
		{ "febf::1",          443,  false, false },
		{ "fec0::1",          443,  true,  false },
		{ "169.253.0.1",      443,  true,  false },
		{ "224.0.0.1",        443,  false, false },
		{ "255.255.255.255",  443,  false, false },
		{ "ff02::1",          443,  false, false },
		{ NULL,               443,  false, false },
		{ NULL,               0,    false, false },
	};
	/* clang-format on */

	for (size_t i = 0; i < COUNT_OF(rows); i++)
		for (int k = 0; k < 2; k++) {
			struct child_process *c = asks(k ? PROC_LEDGER : PROC_COURIER);
			const char *why = refusal(c, rows[i].address, rows[i].port);
			bool may = k ? rows[i].ledger : rows[i].courier;
			/* there is no way to anywhere else in this network, so an attempt fails with that */
			if (may ? why && !strstr(why, "unreachable")
				: !why || !strstr(why, "is not a witness of the configuration"))
				fail_msg("%s to %s port %u: %s", proc_name(c->id), rows[i].address,
					rows[i].port, why ? why : "a connection");
			over(c);
			c->connects = 0;
		}
}

static void not_more_than_so_many(void **state)
{
	struct child_process *c = asks(PROC_COURIER);
	unsigned begun = 0;

	s.loop.now = clock_mono();
	for (int i = 0; i < 200; i++) {
		const char *why = refusal(c, "198.51.100.1", 443);
		begun += why && strstr(why, "unreachable");
	}
	assert_int_equal(begun, 64);
	assert_non_null(strstr(refusal(c, "198.51.100.1", 443), "connections in a second"));
	/* and the name servers count with them */
	names_ask(&s, c, 6);
	assert_int_equal(ipc_recv(&theirs, &frame, NULL), RC_OK);
	assert_int_equal(frame.head.id, IPC_NAMES_END);
	assert_true(frame.u.NAMES_END.count == 0 && frame.u.NAMES_END.rc != RC_OK);
	/* but the ledger, whose are others, is kept from nothing by what the courier does */
	over(c);
	c = asks(PROC_LEDGER);
	assert_null(refusal(c, "127.0.0.7", 7380));
	over(c);
	c = asks(PROC_COURIER);
	s.loop.now += NS_PER_S;
	assert_non_null(strstr(refusal(c, "198.51.100.1", 443), "unreachable"));
	over(c);
}

static void resolv_write(const char *text)
{
	int fd = open(resolv_conf, O_WRONLY | O_TRUNC | O_CLOEXEC);

	assert_int_equal(write(fd, text, strlen(text)), strlen(text));
	close(fd);
}

/* The addresses of the sockets that come, "one, two". */
static const char *servers(void)
{
	static char text[256];
	struct child_process *c = asks(PROC_COURIER);
	struct sockaddr_storage a;
	char at[INET6_ADDRSTRLEN];
	unsigned count = 0;
	size_t n = 0;

	text[0] = '\0';
	c->connects = 0;
	names_ask(&s, c, 9);
	while (ipc_recv(&theirs, &frame, NULL) == RC_OK && frame.head.id == IPC_NAMES_SOCKET) {
		socklen_t size = sizeof a;
		int fd = ipc_frame_take(&frame), kind = 0;
		assert_int_equal(getpeername(fd, (struct sockaddr *)&a, &size), 0);
		size = sizeof kind;
		assert_int_equal(getsockopt(fd, SOL_SOCKET, SO_TYPE, &kind, &size), 0);
		assert_int_equal(kind, SOCK_DGRAM);
		const struct sockaddr_in *a4 = (void *)&a;
		const struct sockaddr_in6 *a6 = (void *)&a;
		bool v4 = a.ss_family == AF_INET;
		assert_int_equal(ntohs(v4 ? a4->sin_port : a6->sin6_port), 53);
		inet_ntop(a.ss_family, v4 ? (const void *)&a4->sin_addr : &a6->sin6_addr, at, sizeof at);
		n += (size_t)snprintf(text + n, sizeof text - n, "%s%s", count++ ? ", " : "", at);
		close(fd);
	}
	assert_int_equal(frame.head.id, IPC_NAMES_END);
	assert_int_equal(frame.u.NAMES_END.count, count);
	assert_true(count > 0 || frame.u.NAMES_END.text[0]);
	over(c);
	return text;
}

static void name_servers(void **state)
{
	resolv_write("# by hand\nsearch example.org\nnameserver 127.0.0.53\n\tnameserver "
		     "127.0.0.9\nnameserver\t::1 ; x\n"
		     "nameserver127.0.0.8\nnameservers 127.0.0.8\nnameserver "
		     "127.0.0.300\nnameserver\nnameserver w.example\n");
	assert_string_equal(servers(), "127.0.0.53, ::1");
	resolv_write(
		"nameserver 127.0.0.1\nnameserver 127.0.0.2\nnameserver 127.0.0.3\nnameserver 127.0.0.4\n");
	assert_string_equal(servers(), "127.0.0.1, 127.0.0.2, 127.0.0.3");
	resolv_write("");
	assert_string_equal(servers(), "127.0.0.1");
	resolv_write("nameserver 192.0.2.53\n"); /* out of reach, and nobody else is asked */
	assert_string_equal(servers(), "");
	resolv_write("nameserver 192.0.2.53\nnameserver 127.0.0.2");
	assert_string_equal(servers(), "127.0.0.2");
}

static bool network_begin(void)
{
	struct ifreq lo = { .ifr_name = "lo", .ifr_flags = IFF_UP };
	int fd = -1, file = mkstemp(resolv_conf);
	bool good = file >= 0 && unshare(CLONE_NEWNET | CLONE_NEWNS) == 0 &&
		    mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) == 0 &&
		    mount(resolv_conf, "/etc/resolv.conf", NULL, MS_BIND, NULL) == 0 &&
		    (fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0)) >= 0 &&
		    ioctl(fd, SIOCSIFFLAGS, &lo) == 0 &&
		    system("ip addr add 192.0.2.77/32 dev lo && ip addr add 2001:db8:77::1/128 dev lo") == 0;

	if (fd >= 0)
		close(fd);
	if (file >= 0)
		close(file);
	return good;
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, start, stop)
	const struct CMUnitTest tests[] = {
		TEST(who_gets_which_connection),
		TEST(not_more_than_so_many),
		TEST(name_servers),
	};

	if (geteuid() != 0) {
		fprintf(stderr, "skipped: needs root for a network of its own\n");
		return 77;
	}
	if (!network_begin()) {
		perror("a network of its own, with a resolv.conf");
		return 1;
	}
	int failed = cmocka_run_group_tests(tests, NULL, NULL);
	unlink(resolv_conf);
	return failed;
}
