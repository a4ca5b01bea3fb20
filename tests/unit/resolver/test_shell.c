/*
 * The resolver over real links, with this test as supervisor, control, ledger and name server: what it is told to find it asks
 * for, what it finds stands in the memory that it shares, and neither silence nor lies take away what is known.
 */
#include "proc/resolver/shell.h"

#include "base/bytes.h"
#include "mmdb.h"

#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <fcntl.h>
#include <poll.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

static struct resolver resolver;
static struct child child;
static struct ipc_link others[PROC_COUNT]; /* our ends */
static struct ipc_frame frame;
static const char *executable; /* NULL: the shell in here */
static pid_t pid;
static struct dynamic_area *area;
static uint64_t given;
static char directory[] = "/tmp/plaingate-resolver-XXXXXX";
static int place; /* it, open */

#define ANSWER_MS 20000

static void turn(int ms)
{
	for (int i = 0; i < PROC_COUNT; i++)
		if (ipc_link_up(&others[i]))
			ipc_flush(&others[i]);
	if (executable)
		poll(NULL, 0, ms);
	else
		assert_int_equal(loop_once(&child.loop, (mono_ns)ms * NS_PER_MS, NULL), RC_OK);
}

static bool comes(enum proc as, int within_ms)
{
	enum rc rc = RC_AGAIN;

	for (int ms = 0; rc == RC_AGAIN && ms < within_ms; ms += 2) {
		rc = ipc_recv(&others[as], &frame, NULL);
		if (rc == RC_AGAIN)
			turn(2);
	}
	return rc == RC_OK;
}

static void next(enum proc as, enum ipc_id id)
{
	assert_true(comes(as, ANSWER_MS));
	if (frame.head.id != (uint16_t)id)
		fail_msg("%s came, %s was expected", ipc_name((enum ipc_id)frame.head.id), ipc_name(id));
}

static void link_to(enum proc peer)
{
	struct msg_link m = { .peer = (uint32_t)peer };
	int fds[2];

	ipc_link_close(&others[peer]);
	assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, fds), 0);
	ipc_link_open(&others[peer], fds[0], peer, PROC_RESOLVER);
	assert_int_equal(ipc_send_LINK(&others[PROC_SUPERVISOR], 0, &m, fds[1]), RC_OK);
	close(fds[1]);
}

static void begin(void)
{
	struct msg_start m = { 0 };
	int fds[2];

	for (int i = 0; i < PROC_COUNT; i++)
		others[i] = IPC_LINK_NONE;
	assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, fds), 0);
	ipc_link_open(&others[PROC_SUPERVISOR], fds[0], PROC_SUPERVISOR, PROC_RESOLVER);
	if (!executable) {
		resolver_init(&resolver, &child, fds[1]);
	} else if ((pid = fork()) == 0) {
		if (dup2(fds[1], CHILD_SUPERVISOR_FD) < 0)
			_exit(126);
		closefrom(CHILD_SUPERVISOR_FD + 1);
		execl(executable, executable, (char *)NULL);
		_exit(127);
	} else {
		assert_true(pid > 0);
		close(fds[1]);
	}
	link_to(PROC_LEDGER);
	link_to(PROC_CONTROL);
	link_to(PROC_IKE);
	const struct msg_resource r = { .kind = RESOURCE_FEED_DIR };
	assert_int_equal(ipc_send_RESOURCE(&others[PROC_SUPERVISOR], 0, &r, place), RC_OK);
	assert_int_equal(ipc_send_START(&others[PROC_SUPERVISOR], 0, &m), RC_OK);
	next(PROC_SUPERVISOR, IPC_READY);
}

static void finish(void)
{
	struct msg_empty m = { 0 };
	int status = 0;

	assert_int_equal(ipc_send_STOP(&others[PROC_SUPERVISOR], 0, &m), RC_OK);
	if (executable) {
		assert_int_equal(waitpid(pid, &status, 0), pid);
		if (!WIFEXITED(status) || WEXITSTATUS(status) != 0)
			fail_msg("it ended with status %#x", (unsigned)status);
	} else {
		assert_int_equal(child_run(&child), 0);
	}
	for (int i = 0; i < PROC_COUNT; i++)
		ipc_link_close(&others[i]);
	if (area)
		munmap(area, sizeof *area);
	area = NULL;
}

/* ---- control ---- */

static void found(void)
{
	next(PROC_CONTROL, IPC_DYNAMICS_FOUND);
	given = frame.head.tag;
}

static void take(void)
{
	const struct msg_result m = { .rc = RC_OK };

	assert_int_equal(ipc_send_DYNAMICS_TAKEN(&others[PROC_CONTROL], given, &m), RC_OK);
}

static enum dynamic_kind next_kind = DYNAMIC_FQDN; /* of what is listed */

/* For another list, in place of the one before. */
static int area_new(void)
{
	int fd = memfd_create("addresses", MFD_CLOEXEC);

	if (area)
		munmap(area, sizeof *area);
	assert_true(fd >= 0 && ftruncate(fd, sizeof *area) == 0);
	area = mmap(NULL, sizeof *area, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	assert_true(area != MAP_FAILED);
	return fd;
}

static void list(const char *const *names, uint32_t n)
{
	const struct msg_dynamics m = { .count = n };
	int fd = area_new();

	for (uint32_t i = 0; i < n; i++) {
		area->of[i] = (struct snap_dynamic){
			.kind = next_kind, .ttl_min_s = 1, .ttl_max_s = 60, .hold_s = 1
		};
		snprintf(area->of[i].object, sizeof area->of[i].object, "object-%s", names[i]);
		snprintf(area->of[i].name, sizeof area->of[i].name, "%s", names[i]);
	}
	assert_int_equal(ipc_send_DYNAMICS(&others[PROC_CONTROL], 0, &m, fd), RC_OK);
	close(fd);
}

static void set_is(uint32_t i, uint32_t n, const char *first)
{
	struct ip_addr a;

	assert_true(area->known[i]);
	assert_int_equal(area->set[i].count, n);
	assert_int_equal(addr_parse(&a, first), RC_OK);
	assert_true(n == 0 || addr_equal(&area->range[area->set[i].first].first, &a));
}

/* ---- a name server ---- */

/* The next request for sockets gets one end of a pair. Returns the other one, or -1: it is refused. */
static int server(bool give)
{
	const struct endpoint at = { .addr = addr_v4("\x7f\0\0\1"), .port = 53 };
	struct msg_result end = { .rc = give ? RC_OK : RC_IO, .count = give };
	int fds[2];

	next(PROC_SUPERVISOR, IPC_NAMES_ASK);
	snprintf(end.text, sizeof end.text, "%s", give ? "" : "no name server");
	assert_int_equal(socketpair(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0, fds), 0);
	if (give)
		assert_int_equal(
			ipc_send_NAMES_SOCKET(&others[PROC_SUPERVISOR], frame.head.tag, &at, fds[1]), RC_OK);
	assert_int_equal(ipc_send_NAMES_END(&others[PROC_SUPERVISOR], frame.head.tag, &end), RC_OK);
	close(fds[1]);
	if (give)
		return fds[0];
	close(fds[0]);
	return -1;
}

static size_t question(int fd, uint8_t q[512])
{
	ssize_t n = -1;

	for (int ms = 0; n < 0 && ms < ANSWER_MS; ms += 2) {
		n = recv(fd, q, 512, MSG_DONTWAIT);
		if (n < 0)
			turn(2);
	}
	assert_true(n > 12 + 11);
	return (size_t)n;
}

static size_t of_six; /* addresses that a name has of IPv6 */

/* Both questions, in the order in which they come; of the kind A with these last octets of 192.0.2.0/24. */
static void answer(int fd, uint32_t ttl, const char *octets)
{
	for (int i = 0; i < 2; i++) {
		uint8_t q[512], a[1024];
		size_t n = question(fd, q) - 11; /* EDNS */
		bool v4 = q[n - 3] == 1;
		size_t rows = v4 ? strlen(octets) : of_six;
		memcpy(a, q, n);
		a[2] = 0x81;
		a[3] = 0x80;
		a[7] = (uint8_t)rows;
		a[11] = 0;
		for (size_t k = 0; k < rows; k++) {
			const uint8_t four[16] = { 0xc0, 12, 0, 1, 0, 1, 0, 0, 0, (uint8_t)ttl, 0, 4, 192, 0,
				2, (uint8_t)(v4 ? octets[k] : 0) };
			const uint8_t six[28] = { 0xc0, 12, 0, 28, 0, 1, 0, 0, 0, (uint8_t)ttl, 0, 16, 0x20,
				1, 0xd, 0xb8, [27] = (uint8_t)(k + 1) };
			memcpy(a + n, v4 ? four : six, v4 ? sizeof four : sizeof six);
			n += v4 ? sizeof four : sizeof six;
		}
		assert_int_equal(send(fd, a, n, 0), n);
	}
	close(fd);
}

/* ---- tests ---- */

static void names(void **state)
{
	static const char *const both[] = { "a.example", "b.example" };

	begin();
	list(both, 2);
	found(); /* at once, so that nobody waits */
	assert_true(!area->known[0] && !area->known[1]);
	int a = server(true), b = server(true);
	answer(a, 1, "\5\6");
	answer(b, 60, "\7");
	turn(300);
	turn(300);
	assert_false(area->known[0]); /* control reads: nothing is written */
	take();
	found();
	set_is(0, 1, "192.0.2.5"); /* two addresses side by side are one range */
	set_is(1, 1, "192.0.2.7");
	take();
	/* The name has other addresses after a second; the former ones stay for a second. */
	answer(server(true), 60, "\6");
	found();
	set_is(0, 1, "192.0.2.6");
	take();
	/* With the next configuration the same is known, and what is new is not. */
	static const char *const three[] = { "c.example", "b.example" };
	list(three, 2);
	found();
	assert_false(area->known[0]);
	set_is(1, 1, "192.0.2.7");
	finish();
}

static void silence_and_refusal(void **state)
{
	static const char *const one[] = { "a.example" };

	begin();
	list(one, 1);
	found();
	take();
	assert_int_equal(server(false), -1);
	answer(server(true), 1, "\5"); /* after a second */
	found();
	set_is(0, 1, "192.0.2.5");
	take();
	int fd = server(true), other = -1; /* garbage, and the end of it */
	uint8_t q[512];
	for (int i = 0; i < 2; i++) {
		question(fd, q);
		assert_int_equal(send(fd, "garbage", 7, 0), 7);
		q[2] = 0x81;
		q[3] = 0x82; /* SERVFAIL, of another question */
		q[0] ^= 1;
		assert_int_equal(send(fd, q, 40, 0), 40);
	}
	close(fd);
	assert_false(comes(PROC_CONTROL, 1500)); /* what is known stays as it is */
	set_is(0, 1, "192.0.2.5");
	(void)other;
	finish();
}

/* ---- peers ---- */

static void told_is(uint32_t known, uint32_t n, uint32_t current, const char *first, const char *why)
{
	const struct peer_name_told *t = &frame.u.PEER_NAME;
	struct ip_addr a;

	next(PROC_IKE, IPC_PEER_NAME);
	assert_true(peer_name_ok(t));
	assert_string_equal(t->peer, "object-vpn.example");
	assert_string_equal(t->name, "vpn.example");
	assert_true(t->known == known && t->n == n && t->current == current);
	if (first)
		assert_int_equal(addr_parse(&a, first), RC_OK);
	assert_true(!first || addr_equal(&t->at[0], &a));
	if (!strstr(t->why, why) || (!why[0] && t->why[0]))
		fail_msg("'%s', expected '%s'", t->why, why);
}

/* Of an IKE peer's name ike is told: each answer, each failure, and when it asks. Control learns nothing of it. */
static void peers(void **state)
{
	static const char *const one[] = { "vpn.example" };
	const struct peer_name_ask ask = { .peer = "object-vpn.example" }, nobody = { .peer = "nobody" };

	begin();
	next_kind = DYNAMIC_PEER;
	list(one, 1);
	next_kind = DYNAMIC_FQDN;
	found();
	assert_false(area->known[0]);
	take();
	assert_int_equal(server(false), -1);
	told_is(0, 0, 0, NULL, "no name server");
	mono_ns before = clock_mono();
	answer(server(true), 1, "\5");
	told_is(1, 1, 1, "192.0.2.5", "");
	answer(server(true), 60, "\6\7");
	told_is(1, 3, 2, "192.0.2.6", ""); /* the former one is expected for a time to live */
	assert_int_equal(ipc_send_PEER_NAME_ASK(&others[PROC_IKE], 0, &nobody), RC_OK);
	assert_int_equal(ipc_send_PEER_NAME_ASK(&others[PROC_IKE], 0, &ask), RC_OK);
	told_is(1, 3, 2, "192.0.2.6", "");
	/* DNS was asked a moment ago, unless this machine is so slow. */
	assert_true(!comes(PROC_SUPERVISOR, 300) || clock_mono() - before >= RESOLVER_ASKED_NS);
	link_to(PROC_IKE); /* it has begun anew */
	told_is(1, 3, 2, "192.0.2.6", "");
	assert_false(comes(PROC_CONTROL, 10));
	finish();
}

/* Sixteen addresses are told, and none of the families crowds out the other one. */
static void peers_of_both_families(void **state)
{
	static const char *const one[] = { "vpn.example" };
	static const char many[] = "\1\2\3\4\5\6\7\10\11\12\13\14\15\16\17\20\21\22\23\24";
	static const struct {
		size_t has[2]; /* of IPv6, of IPv4 */
		uint32_t told[2];
	} cases[] = { { { 20, 20 }, { 8, 8 } }, { { 3, 20 }, { 3, 13 } }, { { 20, 2 }, { 14, 2 } },
		{ { 0, 20 }, { 0, 16 } }, { { 20, 0 }, { 16, 0 } }, { { 8, 8 }, { 8, 8 } } };

	for (size_t i = 0; i < COUNT_OF(cases); i++) {
		uint32_t told[2] = { 0 };

		begin();
		next_kind = DYNAMIC_PEER;
		list(one, 1);
		next_kind = DYNAMIC_FQDN;
		found();
		take();
		of_six = cases[i].has[0];
		answer(server(true), 60, many + 20 - cases[i].has[1]);
		of_six = 0;
		next(PROC_IKE, IPC_PEER_NAME);
		assert_true(peer_name_ok(&frame.u.PEER_NAME));
		assert_int_equal(frame.u.PEER_NAME.current, frame.u.PEER_NAME.n);
		for (uint32_t k = 0; k < frame.u.PEER_NAME.n; k++)
			told[frame.u.PEER_NAME.at[k].family == ADDR_V4]++;
		if (memcmp(told, cases[i].told, sizeof told) != 0)
			fail_msg("case %zu: %u of IPv6 and %u of IPv4", i, told[0], told[1]);
		finish();
	}
}

/* ---- feeds ---- */

static void list_of_one(const struct snap_dynamic *of)
{
	const struct msg_dynamics m = { .count = 1 };

	list(NULL, 0);
	found();
	take();
	int fd = area_new();
	area->of[0] = *of;
	assert_int_equal(ipc_send_DYNAMICS(&others[PROC_CONTROL], 0, &m, fd), RC_OK);
	close(fd);
	found();
	take();
}

static void feed_list(uint32_t format)
{
	list_of_one(&(struct snap_dynamic){ .object = "blocked",
		.name = "bad",
		.file = "bad.txt",
		.kind = DYNAMIC_FEED,
		.interval_s = 1,
		.format = format });
}

/* No file of the resolver becomes larger than that, as on a full disk: from the next file that it is given. */
static rlim_t disk = RLIM_INFINITY;

static void disk_is(void)
{
	const struct rlimit limit = { disk, RLIM_INFINITY };

	if (!executable)
		assert_int_equal(setrlimit(RLIMIT_FSIZE, &limit), 0);
}

static void disk_again(void)
{
	disk = RLIM_INFINITY;
	disk_is();
}

static void feed_is(const char *text)
{
	char path[] = "/tmp/plaingate-feed-XXXXXX";
	int fd = mkstemp(path);
	struct msg_feed m = { 0 };

	assert_true(fd >= 0);
	unlink(path);
	assert_int_equal(write(fd, text, strlen(text)), strlen(text));
	next(PROC_SUPERVISOR, IPC_FEED_OPEN);
	assert_string_equal(frame.u.FEED_OPEN.name, "bad");
	disk_is();
	assert_int_equal(ipc_send_FEED_FILE(&others[PROC_SUPERVISOR], frame.head.tag, &m, fd), RC_OK);
	close(fd);
}

static void entered(const char *words)
{
	next(PROC_LEDGER, IPC_LEDGER_APPEND);
	if (!strstr(frame.u.LEDGER_APPEND.body, words))
		fail_msg("%s", frame.u.LEDGER_APPEND.body);
}

static void feeds(void **state)
{
	begin();
	feed_list(DYNAMIC_LIST);
	assert_false(area->known[0]);
	feed_is("192.0.2.0/24\n198.51.100.1 # x\n");
	found();
	set_is(0, 2, "192.0.2.0");
	entered("\"from\":\"file bad.txt\",\"name\":\"bad\",\"object\":\"blocked\"");
	take();
	feed_is("192.0.2.0/24\n198.51.100.1 # x\n"); /* the same: nothing is said */
	feed_is("203.0.113.1\ngarbage\n");	     /* nothing of it is used */
	assert_false(comes(PROC_CONTROL, 300));
	set_is(0, 2, "192.0.2.0");
	feed_is("203.0.113.1\n");
	found();
	set_is(0, 1, "203.0.113.1");
	entered("\"addresses\":1");
	take();
	finish();
	/* The next process knows it at once, without the file. */
	begin();
	feed_list(DYNAMIC_LIST);
	set_is(0, 1, "203.0.113.1");
	entered("last good copy");
	next(PROC_SUPERVISOR, IPC_FEED_OPEN);
	struct msg_result no = { .rc = RC_IO, .text = "no such file" };
	assert_int_equal(ipc_send_FEED_REFUSED(&others[PROC_SUPERVISOR], frame.head.tag, &no), RC_OK);
	assert_false(comes(PROC_CONTROL, 300));
	set_is(0, 1, "203.0.113.1");
	finish();
}

static bool stands(const char *name)
{
	char path[sizeof directory + 24];

	snprintf(path, sizeof path, "%s/%s", directory, name);
	return access(path, F_OK) == 0;
}

/* What was not written as a whole leaves nothing behind; the list is used all the same. */
static void full_disk(void **state)
{
	if (executable) /* its limits are its own */
		return;
	begin();
	feed_list(DYNAMIC_LIST);
	entered("last good copy"); /* of the test before */
	feed_is("192.0.2.0/24\n");
	found();
	set_is(0, 1, "192.0.2.0");
	entered("\"addresses\":1");
	take();
	disk = 16;
	feed_is("198.51.100.0/24\n203.0.113.0/24\n");
	found();
	set_is(0, 2, "198.51.100.0");
	entered("\"addresses\":2");
	take();
	assert_true(stands("blocked@bad"));
	assert_false(stands("blocked@bad.new"));
	disk_again();
	finish();
	/* The copy is the former one, and whole. */
	begin();
	feed_list(DYNAMIC_LIST);
	set_is(0, 1, "192.0.2.0");
	entered("last good copy");
	disk = 16;
	feed_is("198.51.100.0/24\n203.0.113.0/24\n");
	found();
	take();
	disk_again();
	feed_is("198.51.100.0/24\n203.0.113.0/24\n"); /* the same; and there is room for the copy */
	next(PROC_SUPERVISOR, IPC_FEED_OPEN);
	finish();
	begin();
	feed_list(DYNAMIC_LIST);
	set_is(0, 2, "198.51.100.0");
	finish();
}

/* Some fail as fast as they can: everybody has a turn before anybody has another one. */
static void turns(void **state)
{
	enum { FEEDS = 16 };
	struct msg_result no = { .rc = RC_IO, .text = "no such file" };
	const struct msg_dynamics m = { .count = FEEDS };
	bool asked[FEEDS] = { false };

	begin();
	list(NULL, 0);
	found();
	take();
	int fd = area_new();
	for (uint32_t i = 0; i < FEEDS; i++) {
		area->of[i] = (struct snap_dynamic){
			.file = "bad.txt", .kind = DYNAMIC_FEED, .interval_s = 1, .format = DYNAMIC_LIST
		};
		snprintf(area->of[i].object, sizeof area->of[i].object, "object-%02u", i);
		snprintf(area->of[i].name, sizeof area->of[i].name, "%02u", i);
	}
	assert_int_equal(ipc_send_DYNAMICS(&others[PROC_CONTROL], 0, &m, fd), RC_OK);
	close(fd);
	found();
	take();
	for (uint32_t k = 0; k < FEEDS; k++) {
		next(PROC_SUPERVISOR, IPC_FEED_OPEN);
		uint32_t i = (uint32_t)atoi(frame.u.FEED_OPEN.name);
		assert_true(i < FEEDS && !asked[i]);
		asked[i] = true;
		assert_int_equal(ipc_send_FEED_REFUSED(&others[PROC_SUPERVISOR], frame.head.tag, &no), RC_OK);
	}
	finish();
}

/* Somebody whose feed takes all the room takes none of what the others have found: what is largest is left out, and says so. */
static void no_room_for_all(void **state)
{
	static const char *const two[] = { "bad", "a.example.net" };
	char *text = malloc(DYNAMIC_RANGES_MAX * 12u + 1), *at = text;

	if (executable) { /* its own time is the test's */
		free(text);
		return;
	}
	assert_non_null(text);
	for (uint32_t i = 0; i < DYNAMIC_RANGES_MAX; i++)
		at += snprintf(at, 13, "1%02x:%x::\n", i >> 14, i & 0x3fff);
	begin();
	list(two, 0);
	found();
	take();
	list(two, 2);
	area->of[0].kind = DYNAMIC_FEED;
	area->of[0].interval_s = 1;
	snprintf(area->of[0].file, sizeof area->of[0].file, "bad.txt");
	found();
	take();
	answer(server(true), 60, "\1\2");
	found();
	take();
	feed_is(text);
	found();
	set_is(1, 1, "192.0.2.1"); /* two that are next to each other */
	assert_false(area->known[0]);
	/* It has no memory meanwhile; the copy is read where there is room again. */
	assert_null(resolver.entry[0]->feed.list.range);
	assert_int_equal(resolver.entry[0]->feed.list.n, DYNAMIC_RANGES_MAX);
	take();
	list(two, 1);
	area->of[0].kind = DYNAMIC_FEED;
	area->of[0].interval_s = 1;
	snprintf(area->of[0].file, sizeof area->of[0].file, "bad.txt");
	for (found(); !area->known[0]; found())
		take();
	assert_int_equal(area->set[0].count, DYNAMIC_RANGES_MAX);
	finish();
	free(text);
}

#include "crls.h"
#include "ocsp.h"

static void crls(void **state)
{
	static const char first[] = "0first", second[] = "0second";

	begin();
	link_to(PROC_CERTIFIER_OPENSSL);
	link_to(PROC_CERTIFIER_GNUTLS);
	crl_list();
	crl_server("404 Not Found", "", 0);
	crl_state("status 404");
	crl_server("200 OK", first, sizeof first);
	crl_judge(first, sizeof first, RC_OK, RC_OK);
	crl_state("");
	entered("{\"authority\":\"ca\",\"from\":\"http://192.0.2.7:8080/ca.crl\",\"sha256\":\"");
	crl_is("ca.crl", first, sizeof first);
	/* both have to be content */
	crl_server("200 OK", second, sizeof second);
	crl_judge(second, sizeof second, RC_OK, RC_DENIED);
	crl_state("it is older");
	crl_is("ca.crl", first, sizeof first);
	assert_false(stands("ca.crl.new"));
	finish();
	/* The next process begins with it, and asks nobody about the same; without a certifier nothing replaces it. */
	begin();
	link_to(PROC_CERTIFIER_OPENSSL);
	crl_list();
	crl_state("not read yet since the start");
	entered("\"from\":\"the last good copy\"");
	crl_server("200 OK", first, sizeof first);
	crl_state("");
	crl_server("200 OK", second, sizeof second);
	crl_judge_one(PROC_CERTIFIER_OPENSSL, second, sizeof second, RC_OK);
	crl_state("certifier-gnutls, which has to judge it, does not run");
	crl_is("ca.crl", first, sizeof first);
	link_to(PROC_CERTIFIER_GNUTLS);
	crl_server("200 OK", second, sizeof second);
	crl_judge(second, sizeof second, RC_OK, RC_OK);
	crl_state("");
	crl_is("ca.crl", second, sizeof second);
	assert_false(stands("ca.crl.new"));
	/* The same, and somebody has removed it. */
	assert_int_equal(unlinkat(place, "ca.crl", 0), 0);
	crl_server("200 OK", second, sizeof second);
	crl_judge(second, sizeof second, RC_OK, RC_OK);
	crl_state("");
	crl_is("ca.crl", second, sizeof second);
	/* The same in other octets: both know it. One that does not shall have it. */
	crl_server("200 OK", first, sizeof first);
	crl_judge(first, sizeof first, RC_EXISTS, RC_EXISTS);
	crl_state("");
	crl_is("ca.crl", second, sizeof second);
	assert_false(stands("ca.crl.new"));
	crl_server("200 OK", first, sizeof first);
	crl_judge(first, sizeof first, RC_OK, RC_EXISTS);
	crl_state("");
	crl_is("ca.crl", first, sizeof first);
	finish();
}

/* ---- countries ---- */

static void country_list_is(const char *const *codes, uint32_t n)
{
	list(NULL, 0);
	found();
	take();
	const struct msg_dynamics m = { .count = n };
	int fd = area_new();
	for (uint32_t i = 0; i < n; i++) {
		struct snap_dynamic *d = &area->of[i];
		*d = (struct snap_dynamic){
			.object = "there", .file = "c.mmdb", .kind = DYNAMIC_COUNTRY, .interval_s = 1
		};
		snprintf(d->name, sizeof d->name, "%s", codes[i]);
	}
	assert_int_equal(ipc_send_DYNAMICS(&others[PROC_CONTROL], 0, &m, fd), RC_OK);
	close(fd);
	found();
	take();
}

static void database_is(const void *bytes, size_t n)
{
	struct msg_feed m = { 0 };
	int fd = memfd_create("database", MFD_CLOEXEC);

	assert_true(fd >= 0 && write(fd, bytes, n) == (ssize_t)n);
	next(PROC_SUPERVISOR, IPC_FEED_OPEN);
	assert_int_equal(frame.u.FEED_OPEN.kind, DYNAMIC_COUNTRY);
	disk_is();
	assert_int_equal(ipc_send_FEED_FILE(&others[PROC_SUPERVISOR], frame.head.tag, &m, fd), RC_OK);
	close(fd);
}

static uint8_t *database(const char *de, size_t *ret_n)
{
	struct mmdb *m = mmdb_new(6, 24);

	mmdb_put(m, de, MMDB_DATA, mmdb_data(m, "country.iso_code=DE"));
	mmdb_put(m, "2001:db8::/32", MMDB_DATA, mmdb_data(m, "country.iso_code=FR"));
	uint8_t *bytes = mmdb_write(m, ret_n);
	free(m);
	return bytes;
}

/* Of one file, which is replaced, broken, kept over a restart, and asked for more. */
static void countries(void **state)
{
	static const char *const german[] = { "DE", "AQ" }, *const more[] = { "DE", "FR" };
	size_t n, again_n;
	uint8_t *bytes = database("192.0.2.0/24", &n), *again = database("198.51.100.0/24", &again_n);

	begin();
	country_list_is(german, 2);
	assert_false(area->known[0] || area->known[1]);
	database_is(bytes, n);
	found();
	set_is(0, 1, "192.0.2.0");
	assert_true(area->known[1] && area->set[1].count == 0); /* nobody is there */
	entered("\"addresses\":1,\"built\":\"2025-11-30T00:00:00.000000Z\",\"countries\":\"AQ DE\",\"from\":\"file c.mmdb\"");
	take();
	database_is(bytes, n);	   /* the same: nothing is said */
	database_is(bytes, n / 2); /* nothing of it is used */
	database_is("<html>", 6);
	assert_false(comes(PROC_CONTROL, 300));
	assert_false(stands("countries.mmdb.new"));
	if (!executable) {
		disk = 16;
		database_is(again, again_n);
		assert_false(comes(PROC_CONTROL, 300));
		assert_false(stands("countries.mmdb.new"));
		disk_again();
	}
	set_is(0, 1, "192.0.2.0");
	database_is(again, again_n);
	found();
	set_is(0, 1, "198.51.100.0");
	entered("\"addresses\":1");
	take();
	finish();
	/* The next process knows it at once, without the file, and what else is asked for. */
	begin();
	country_list_is(more, 2);
	set_is(0, 1, "198.51.100.0");
	set_is(1, 1, "2001:db8::");
	entered("last good copy");
	finish();
	free(bytes);
	free(again);
}

/* Memory that is too small, or a list that is too long, is not used. */
static void wrong_memory(void **state)
{
	const struct msg_dynamics m = { .count = 1 }, many = { .count = DYNAMICS_MAX + 1 };
	int fd = memfd_create("small", MFD_CLOEXEC);

	begin();
	assert_int_equal(ftruncate(fd, 4096), 0);
	assert_int_equal(ipc_send_DYNAMICS(&others[PROC_CONTROL], 0, &m, fd), RC_OK);
	assert_int_equal(ipc_send_DYNAMICS(&others[PROC_CONTROL], 0, &many, fd), RC_OK);
	assert_false(comes(PROC_CONTROL, 300));
	close(fd);
	list(NULL, 0);
	found();
	finish();
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(names),
		cmocka_unit_test(silence_and_refusal),
		cmocka_unit_test(peers),
		cmocka_unit_test(peers_of_both_families),
		cmocka_unit_test(feeds),
		cmocka_unit_test(full_disk),
		cmocka_unit_test(turns),
		cmocka_unit_test(crls),
		cmocka_unit_test(crl_put_off),
		cmocka_unit_test(crl_with_each_list),
		cmocka_unit_test(ocsp),
		cmocka_unit_test(no_room_for_all),
		cmocka_unit_test(countries),
		cmocka_unit_test(wrong_memory),
	};
	executable = argc > 1 ? argv[1] : NULL;
	if (executable && geteuid() != 0) {
		print_message("needs root\n");
		return 77;
	}
	signal(SIGXFSZ, SIG_IGN); /* the write fails, as on a full disk */
	assert_non_null(mkdtemp(directory));
	assert_int_equal(chmod(directory, 0777), 0);
	place = open(directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	int failed = cmocka_run_group_tests(tests, NULL, NULL);
	static const char *const left[] = { "blocked@bad", "object-bad@bad", "ca.crl", "countries.mmdb" };
	for (size_t i = 0; i < COUNT_OF(left); i++)
		unlinkat(place, left[i], 0);
	rmdir(directory);
	return failed;
}
