/*
 * The data plane's process as it is, with its threads, over socket pairs in the place of links and of the other
 * processes: what arrives at any worker leaves once and in order, while the main thread shows, clears, traces, and loads
 * configurations that name another number of workers. With ThreadSanitizer: -Db_sanitize=thread.
 */
#include "process_fixture.h"

#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>
#include <poll.h>
#include <stdio.h>
#include <sys/socket.h>
#include <unistd.h>

#define FLOWS 40
#define EACH  60 /* packets of a flow */

static const char *answers_from = "192.0.2.80";

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
	traffic(0, EACH, false, reconfigure); /* while it is on its way between workers, too */
	no_drops();
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
	assert_int_equal(wait_for(&control, IPC_CLEARED)->u.CLEARED.count, FLOWS);
	sessions_are(0);
	process_end();
}

/* As many packets as were asked for, of all workers, each with all its lines, numbered from 1. */
static void test_trace(void **state)
{
	struct packet_filters filter = { .count = 30 };
	uint32_t lines[31] = { 0 }, packet;

	(void)state;
	process_begin(4);
	assert_int_equal(ipc_send_TRACE(&control, ++tags, &filter), RC_OK);
	show(SHOW_INTERFACES, NULL); /* the filter is in place */
	traffic(0, 2, false, NULL);
	while (wait_for(&control, IPC_TRACE_LINE)->u.TRACE_LINE.n > 0) {
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
