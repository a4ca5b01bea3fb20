/*
 * The data plane's process as it is, with its threads, over socket pairs in the place of links and of the other
 * processes: what arrives at any worker leaves once and in order, while the main thread shows, clears, traces, and loads
 * configurations that name another number of workers. With ThreadSanitizer: -Db_sanitize=thread.
 */
#include "gate.h"
#include "base/lines.h"
#include "proc/dataplane/dataplane.h"

#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

#define STATE_BYTES (96 << 20)
#define FLOWS	    40
#define EACH	    60 /* packets of a flow */
#define WAIT_MS	    20000

static struct gate g; /* its routes and its configuration; its pipeline is not used */
static struct dataplane *d;
static pthread_t process;
static int outer[2][WORKERS_MAX], supervisor_fd, memory;
static struct ipc_link supervisor, control;
static uint32_t workers, tags;
static const char *more_text = "", *answers_from = "192.0.2.80";

/* ---- the other processes ---- */

static int other_end(int *ret_fd)
{
	int fds[2];

	assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, fds), 0);
	*ret_fd = fds[1];
	return fds[0];
}

static void resource_send(enum resource kind, const char *name, uint32_t index, uint32_t worker, int fd)
{
	struct msg_resource m = { .kind = kind, .index = index, .worker = worker };

	snprintf(m.name, sizeof m.name, "%s", name);
	assert_int_equal(ipc_send_RESOURCE(&supervisor, 0, &m, fd), RC_OK);
}

static void link_send_fds(const char *name, uint32_t index, uint32_t n)
{
	for (uint32_t i = 0; i < n; i++) {
		int fd;
		outer[index - GATE_LAN][i] = other_end(&fd);
		resource_send(RESOURCE_INTERFACE, name, index, i, fd);
		close(fd);
	}
}

static struct ipc_frame frame; /* never with a file */

/* The next message of this kind to control; what comes before it is forgotten. */
static const struct ipc_frame *wait_for(enum ipc_id id)
{
	struct err e = { 0 };

	for (;;) {
		struct pollfd p = { .fd = control.fd, .events = POLLIN };
		assert_int_equal(poll(&p, 1, WAIT_MS), 1);
		enum rc rc = ipc_recv(&control, &frame, &e);
		if (rc == RC_AGAIN)
			continue;
		if (rc != RC_OK)
			fail_msg("%s", e.text);
		if (frame.head.id == id)
			return &frame;
	}
}

static void configure(uint32_t n)
{
	struct snapshot *s = gate_compile(gate_text, more_text);
	int fd = memfd_create("snapshot", MFD_CLOEXEC | MFD_ALLOW_SEALING);

	s->workers = n;
	struct msg_snapshot m = { .generation = 1, .bytes = s->bytes };
	assert_int_equal(write(fd, s, s->bytes), s->bytes);
	assert_int_equal(fcntl(fd, F_ADD_SEALS, F_SEAL_WRITE | F_SEAL_GROW | F_SEAL_SHRINK | F_SEAL_SEAL), 0);
	assert_int_equal(ipc_send_SNAPSHOT(&control, ++tags, &m, fd), RC_OK);
	close(fd);
	free(s);
	if (wait_for(IPC_SNAPSHOT_TAKEN)->u.SNAPSHOT_TAKEN.rc != RC_OK)
		fail_msg("%s", frame.u.SNAPSHOT_TAKEN.text);
}

/* A table of show, in pieces. Returns how many rows there were; with a counter's name, its value. */
static uint64_t show(enum show_table table, const char *counter)
{
	struct msg_show m = { .table = table };
	uint64_t n = 0, value = 0;
	char key[80];

	snprintf(key, sizeof key, "\"counter\":\"%s\",\"value\":", counter ? counter : "");
	do {
		assert_int_equal(ipc_send_SHOW(&control, ++tags, &m), RC_OK);
		for (;;) {
			struct pollfd p = { .fd = control.fd, .events = POLLIN };
			assert_int_equal(poll(&p, 1, WAIT_MS), 1);
			if (ipc_recv(&control, &frame, NULL) != RC_OK)
				continue;
			if (frame.head.id != IPC_SHOW_ROW)
				break;
			const char *at = strstr(frame.u.SHOW_ROW.json, key);
			if (counter && at)
				value = strtoull(at + strlen(key), NULL, 10);
		}
		assert_int_equal(frame.head.id, IPC_SHOW_END);
		n += frame.u.SHOW_END.count;
		m.from = frame.u.SHOW_END.next;
	} while (m.from);
	return counter ? value : n;
}

/* ---- the process ---- */

static void *process_run(void *context)
{
	(void)context;
	assert_int_equal(dataplane_run(d), 0);
	return NULL;
}

static void process_begin(uint32_t n)
{
	struct msg_link link = { .peer = PROC_CONTROL };
	struct msg_start start = { 0 };
	int fd;

	workers = n;
	gate_init(&g, gate_text, "", 64);
	assert_non_null(d = lines_new(1, sizeof *d));
	supervisor_fd = other_end(&fd);
	assert_true(dataplane_init(d, fd));
	d->routes = g.routes;
	ipc_link_open(&supervisor, supervisor_fd, PROC_SUPERVISOR, PROC_DATAPLANE);
	ipc_link_open(&control, other_end(&fd), PROC_CONTROL, PROC_DATAPLANE);
	assert_int_equal(ipc_send_LINK(&supervisor, 0, &link, fd), RC_OK);
	close(fd);
	resource_send(RESOURCE_STATE, "state", 0, 0, memory);
	link_send_fds("lan0", GATE_LAN, n);
	link_send_fds("wan0", GATE_WAN, n);
	assert_int_equal(ipc_send_START(&supervisor, 0, &start), RC_OK);
	assert_int_equal(pthread_create(&process, NULL, process_run, NULL), 0);
	configure(n);
	assert_int_equal(show(SHOW_COUNTERS, "packets-in"), 0); /* the number has changed by then */
}

static void process_end(void)
{
	ipc_link_close(&supervisor);
	assert_int_equal(pthread_join(process, NULL), 0);
	d->routes = NULL;
	dataplane_done(d);
	free(d);
	ipc_link_close(&control);
	for (uint32_t i = 0; i < workers; i++) {
		close(outer[0][i]);
		close(outer[1][i]);
	}
	gate_done(&g);
}

static int memory_setup(void **state)
{
	(void)state;
	memory = memfd_create("state", MFD_CLOEXEC);
	return ftruncate(memory, STATE_BYTES);
}

static int memory_teardown(void **state)
{
	(void)state;
	return close(memory);
}

/* ---- packets ---- */

/* UDP of a flow; its number stands in the payload. back: the answer. */
static void frame_send(uint32_t worker, uint32_t flow, uint32_t number, bool back)
{
	static struct packet room;
	uint8_t payload[64];
	struct packet_spec s = { .src = back ? answers_from : "10.1.0.2",
		.dst = back ? "10.1.0.2" : "192.0.2.80",
		.proto = IP_UDP,
		.src_port = back ? 9 : (uint16_t)(2000 + flow),
		.dst_port = back ? (uint16_t)(2000 + flow) : 9,
		.payload = payload,
		.payload_n = sizeof payload };

	memset(payload, (int)flow, sizeof payload);
	memcpy(payload, &number, sizeof number);
	struct train t = packet_make(&room, &s);
	uint8_t *frame_at = t.ip - GATE_FRAME_HEAD;
	const uint8_t ethernet[ETHERNET_SIZE] = { 2, 0, 0, 0, 0, back ? GATE_WAN : GATE_LAN, 2, 0, 0, 0, 9, 9,
		8, 0 };
	memset(frame_at, 0, VIRTIO_SIZE);
	memcpy(frame_at + VIRTIO_SIZE, ethernet, sizeof ethernet);
	ssize_t n = (ssize_t)(GATE_FRAME_HEAD + t.len);
	assert_int_equal(send(outer[back][worker], frame_at, (size_t)n, 0), n);
}

/* What has left by this link within wait_ms: each flow's numbers in order, from next[] on. */
static uint32_t frames_read(bool back, uint32_t next[FLOWS], int wait_ms)
{
	struct pollfd p[WORKERS_MAX];
	uint8_t bytes[2048];
	uint32_t n = 0, number;

	for (uint32_t i = 0; i < workers; i++)
		p[i] = (struct pollfd){ .fd = outer[!back][i], .events = POLLIN };
	if (poll(p, workers, wait_ms) <= 0)
		return 0;
	for (uint32_t i = 0; i < workers; i++)
		while (recv(p[i].fd, bytes, sizeof bytes, MSG_DONTWAIT) > 0) {
			const uint8_t *udp = bytes + GATE_FRAME_HEAD + IP4_HEADER_SIZE;
			uint32_t flow = load_be16(udp + (back ? 2 : 0)) - 2000u;
			memcpy(&number, udp + UDP_HEADER_SIZE, sizeof number);
			assert_true(flow < FLOWS);
			if (next[flow] != number)
				fail_msg("flow %u: packet %u in the place of %u", flow, number, next[flow]);
			next[flow]++;
			n++;
		}
	return n;
}

/* A flow arrives at one worker, at random not its home. */
static void traffic(uint32_t first, uint32_t each, bool back, void between(uint32_t round))
{
	uint32_t next[FLOWS], left = 0;

	for (uint32_t i = 0; i < FLOWS; i++)
		next[i] = first;
	for (uint32_t number = first; number < first + each; number++) {
		for (uint32_t flow = 0; flow < FLOWS; flow++)
			frame_send(flow * 7 % workers, flow, number, back);
		left += FLOWS - frames_read(back, next, 0);
		if (between)
			between(number);
		for (uint32_t n; left > FLOWS && (n = frames_read(back, next, WAIT_MS)) > 0;)
			left -= n;
	}
	for (uint32_t n; left > 0 && (n = frames_read(back, next, WAIT_MS)) > 0;)
		left -= n;
	assert_int_equal(left, 0);
}

/* ---- tests ---- */

static void sessions_are(uint32_t n)
{
	assert_int_equal(show(SHOW_SESSIONS, NULL), n);
	assert_int_equal(show(SHOW_COUNTERS, "sessions-now"), n);
}

static void no_drops(void)
{
	char name[80];

	for (int i = DROP_NONE + 1; i < DROP_COUNT; i++) {
		snprintf(name, sizeof name, "drop-%s", drop_name((enum drop_reason)i));
		if (show(SHOW_COUNTERS, name) != 0)
			fail_msg("%s", name);
	}
}

static void show_something(uint32_t round)
{
	show((const enum show_table[]){ SHOW_SESSIONS, SHOW_POLICY, SHOW_COUNTERS,
		     SHOW_INTERFACES }[round % 4],
		NULL);
}

static void passes_both_ways(uint32_t n)
{
	process_begin(n);
	traffic(0, EACH, false, show_something);
	traffic(0, EACH, true, show_something);
	sessions_are(FLOWS);
	assert_int_equal(show(SHOW_COUNTERS, "packets-in"), 2 * FLOWS * EACH);
	assert_int_equal(show(SHOW_COUNTERS, "packets-out"), 2 * FLOWS * EACH);
	if (n > 1)
		assert_true(show(SHOW_COUNTERS, "trains-handed-over") > FLOWS);
	no_drops();
	process_end();
}

static void test_both_ways(void **state)
{
	(void)state;
	passes_both_ways(1);
}

static void test_both_ways_2(void **state)
{
	(void)state;
	passes_both_ways(2);
}

static void test_both_ways_4(void **state)
{
	(void)state;
	passes_both_ways(4);
}

/* Sessions are found by the next process; of another number of workers they end. */
static void test_restart(void **state)
{
	(void)state;
	process_begin(2);
	traffic(0, 2, false, NULL);
	process_end();
	process_begin(2);
	sessions_are(FLOWS);
	traffic(0, 2, true, NULL); /* answers need their session, and its home */
	sessions_are(FLOWS);
	process_end();
	process_begin(4);
	sessions_are(0);
	traffic(0, 2, false, NULL);
	sessions_are(FLOWS);
	process_end();
}

/* Answers that are at home elsewhere find the worker that has their session, in the next process too. */
static void test_restart_away(void **state)
{
	(void)state;
	more_text =
		"address-book { address a { prefix 192.0.2.80; } } nat { destination { rule a { from trust; "
		"match { destination a; } then { destination-nat 192.0.2.100; } } } }";
	answers_from = "192.0.2.100";
	process_begin(4);
	traffic(0, 2, false, NULL);
	traffic(0, 2, true, NULL);
	uint64_t redirects = show(SHOW_COUNTERS, "redirects-now");
	print_message("redirects: %lu\n", (unsigned long)redirects); /* by the key's chance; sometimes none */
	process_end();
	process_begin(4);
	sessions_are(FLOWS); /* by now all are adopted; the notes about them are on their way */
	for (uint32_t tries = 0; tries < 1000 && show(SHOW_COUNTERS, "redirects-now") < redirects; tries++)
		usleep(10000);
	assert_int_equal(show(SHOW_COUNTERS, "redirects-now"), redirects);
	traffic(0, 2, true, NULL);
	no_drops();
	process_end();
	more_text = "";
	answers_from = "192.0.2.80";
}

static void reconfigure(uint32_t round)
{
	if (round % 8 == 0)
		configure(2);
}

static void test_commits(void **state)
{
	(void)state;
	process_begin(2);
	/* What is on its way between two workers while a configuration is loaded is dropped, and counted; so the
	 * traffic waits. */
	for (uint32_t i = 0; i < 20; i++) {
		traffic(i, 1, false, NULL);
		reconfigure(i);
	}
	sessions_are(FLOWS);
	configure(1); /* and its sessions end */
	sessions_are(0);
	process_end();
}

static void test_clear(void **state)
{
	struct session_filter all = { 0 };

	(void)state;
	process_begin(4);
	traffic(0, 1, false, NULL);
	assert_int_equal(ipc_send_CLEAR_SESSIONS(&control, ++tags, &all), RC_OK);
	assert_int_equal(wait_for(IPC_CLEARED)->u.CLEARED.count, FLOWS);
	sessions_are(0);
	process_end();
}

/* As many packets as were asked for, of all workers, each with all its lines, numbered from 1. */
static void test_trace(void **state)
{
	struct session_filter filter = { .count = 30 };
	uint32_t lines[31] = { 0 }, packet;

	(void)state;
	process_begin(4);
	assert_int_equal(ipc_send_TRACE(&control, ++tags, &filter), RC_OK);
	show(SHOW_INTERFACES, NULL); /* the filter is in place */
	traffic(0, 2, false, NULL);
	while (wait_for(IPC_TRACE_LINE)->u.TRACE_LINE.n > 0) {
		assert_int_equal(sscanf(frame.u.TRACE_LINE.json, "{\"packet\":%u", &packet), 1);
		assert_in_range(packet, 1, 30);
		lines[packet]++;
	}
	for (uint32_t i = 1; i <= 30; i++)
		assert_in_range(lines[i], 3, 12);
	process_end();
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_both_ways, memory_setup, memory_teardown),
		cmocka_unit_test_setup_teardown(test_both_ways_2, memory_setup, memory_teardown),
		cmocka_unit_test_setup_teardown(test_both_ways_4, memory_setup, memory_teardown),
		cmocka_unit_test_setup_teardown(test_restart, memory_setup, memory_teardown),
		cmocka_unit_test_setup_teardown(test_restart_away, memory_setup, memory_teardown),
		cmocka_unit_test_setup_teardown(test_commits, memory_setup, memory_teardown),
		cmocka_unit_test_setup_teardown(test_clear, memory_setup, memory_teardown),
		cmocka_unit_test_setup_teardown(test_trace, memory_setup, memory_teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
