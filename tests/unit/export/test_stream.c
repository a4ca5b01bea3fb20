/*
 * A collector over socket pairs: messages with their length, in order, each once over connections that break within one; a
 * queue that is bounded and says what it lost; pauses between connections; collectors that never read, or end at once; other
 * configurations. TLS is the system test's (test_collectors.py).
 */
#include "proc/export/stream.h"

#include "base/bytes.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

static struct loop loop;
static struct stream stream;
static unsigned asked;
static int theirs = -1;
static char received[4 << 20];
static size_t received_n;

static bool ask(struct stream *s)
{
	asked++;
	return true;
}

static void turn(void)
{
	assert_int_equal(loop_once(&loop, 0, NULL), RC_OK);
}

static void pass(mono_ns ns)
{
	loop.now += ns; /* timers are due by this; loop_once() sets it again */
	for (struct timer *t = loop.timers; t; t = t->next)
		t->at = t->at > ns ? t->at - ns : 0;
	turn();
}

static void accept_it(int room)
{
	int fds[2];

	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, fds), 0);
	if (room)
		setsockopt(fds[0], SOL_SOCKET, SO_SNDBUF, &room, sizeof room);
	theirs = fds[1];
	stream_connected(&stream, fds[0]);
	turn();
}

static void take(void)
{
	ssize_t n;

	for (int i = 0; i < 200; i++) {
		turn();
		while ((n = read(theirs, received + received_n, sizeof received - 1 - received_n)) > 0)
			received_n += (size_t)n;
	}
	received[received_n] = '\0';
}

static void put(uint32_t session)
{
	const struct session_record r = { .event = SESSION_EVENT_CLOSE, .session = session, .at = 1 };

	stream_put(&stream, &r);
}

/* Takes one message off; its text, or NULL when there is no whole one. */
static const char *message(void)
{
	static char text[SYSLOG_MESSAGE_MAX + 1];
	char *end;
	unsigned long n = strtoul(received, &end, 10);

	if (received_n == 0 || *end != ' ' || (size_t)(end + 1 - received) + n > received_n)
		return NULL;
	memcpy(text, end + 1, n);
	text[n] = '\0';
	received_n -= (size_t)(end + 1 - received) + n;
	memmove(received, end + 1 + n, received_n + 1);
	return text;
}

static void expect(uint32_t session)
{
	char part[64];
	const char *text = message();

	snprintf(part, sizeof part, "\"session\":%u,", session);
	assert_non_null(text);
	assert_non_null(strstr(text, part));
}

static int scene(void **state)
{
	struct snap_log_stream config = {
		.name = "siem", .to = { .addr = addr_v4("\xc0\0\2\1"), .port = 601 }, .transport = STREAM_TCP
	};

	loop_init(&loop);
	asked = 0;
	received_n = 0;
	stream_init(&stream, &loop, ask, NULL);
	assert_true(stream_begin(&stream, &config, 0, "hq"));
	return 0;
}

static int scene_end(void **state)
{
	stream_end(&stream);
	loop_done(&loop);
	if (theirs >= 0)
		close(theirs);
	theirs = -1;
	return 0;
}

static void form(void **state)
{
	char text[SYSLOG_MESSAGE_MAX];
	struct session_record r = { .event = SESSION_EVENT_LOST, .count = 3 };
	const char *want = "<164>1 1970-01-01T00:00:00.000000Z hq plaingate - records-lost - "
			   "{\"count\":3,\"event\":\"records-lost\",\"utc\":\"1970-01-01T00:00:00.000000Z\"}";

	size_t n = export_syslog(text, &r, "hq", false);
	assert_int_equal(n, strlen(want));
	assert_memory_equal(text, want, n);
	n = export_syslog(text, &r, "hq", true);
	assert_int_equal(strtoul(text, NULL, 10), strlen(want));
	assert_int_equal(n, strlen(want) + 4);
	assert_memory_equal(text + 4, want, strlen(want));
}

static void journal(void **state)
{
	char text[JOURNAL_ENTRY_MAX];
	struct session_record r = { .event = SESSION_EVENT_DENY,
		.proto = 6,
		.bytes = { 46 },
		.packets = { 1 },
		.src = { .addr = addr_v4("\x0a\1\0\2"), .port = 4000 },
		.dst = { .addr = addr_v4("\xc0\0\2\x50"), .port = 23 },
		.rule = "a\"\nPRIORITY=0" };

	size_t n = export_journal(text, &r);
	assert_int_equal(n, strlen(text));
	assert_string_equal(text,
		"PRIORITY=4\nSYSLOG_FACILITY=20\nSYSLOG_IDENTIFIER=plaingate\n"
		"MESSAGE=session-deny 10.1.0.2:4000 -> 192.0.2.80:23\n"
		"PLAINGATE_BYTES_FORWARD=46\nPLAINGATE_DST=192.0.2.80\nPLAINGATE_DST_PORT=23\nPLAINGATE_EVENT=session-deny\n"
		"PLAINGATE_PACKETS_FORWARD=1\nPLAINGATE_PROTO=6\nPLAINGATE_REASON=none\n"
		"PLAINGATE_RULE=a\\\"\\nPRIORITY=0\nPLAINGATE_SRC=10.1.0.2\nPLAINGATE_SRC_PORT=4000\n"
		"PLAINGATE_UTC=1970-01-01T00:00:00.000000Z\n");
	memset(r.rule, 1, sizeof r.rule - 1);
	memset(r.from, 1, sizeof r.from - 1);
	memset(r.to, 1, sizeof r.to - 1);
	memset(r.user, 1, sizeof r.user - 1);
	assert_true(export_journal(text, &r) > 0);
}

static void in_order(void **state)
{
	put(1);
	pass(NS_PER_S);
	assert_int_equal(asked, 1);
	accept_it(0);
	for (uint32_t i = 2; i <= 300; i++)
		put(i);
	take();
	for (uint32_t i = 1; i <= 300; i++)
		expect(i);
	assert_null(message());
	assert_int_equal(stream.sent, 300);
	assert_string_equal(stream_state_text(&stream), "connected");
}

/* What was cut within is sent again as a whole; what the collector has is not. */
static void breaks(void **state)
{
	pass(NS_PER_S);
	accept_it(2048);
	for (uint32_t i = 1; i <= 100; i++)
		put(i);
	for (int i = 0; i < 20; i++)
		turn();
	assert_true(stream.queued > 0 && stream.message_n > 0);
	stream.message_at = 10; /* as if so much of it had gone */
	close(theirs);
	for (int i = 0; i < 5; i++)
		turn();
	assert_int_equal(stream.state, STREAM_PAUSED);
	assert_int_equal(stream.sent + stream.queued, 100);
	received_n = 0;
	uint32_t next = (uint32_t)stream.sent + 1;
	pass(2 * NS_PER_S);
	assert_int_equal(asked, 2);
	accept_it(0);
	take();
	for (; next <= 100; next++)
		expect(next);
}

static void bounded(void **state)
{
	for (uint32_t i = 1; i <= STREAM_QUEUE_MAX + 1000; i++)
		put(i);
	assert_true(stream.queued <= STREAM_QUEUE_MAX);
	assert_int_equal(stream.queued + stream.lost, STREAM_QUEUE_MAX + 1000);
	pass(NS_PER_S);
	accept_it(0);
	take();
	put(9999);
	take();
	uint32_t kept = 0;
	const char *text;
	uint64_t lost = 0;
	while ((text = message())) {
		kept += strstr(text, "session-close") != NULL;
		const char *count = strstr(text, "{\"count\":");
		lost += count ? strtoull(count + 9, NULL, 10) : 0;
	}
	assert_int_equal(lost, stream.lost);
	assert_int_equal(kept + lost, STREAM_QUEUE_MAX + 1000 + 1);
}

static void pauses_up_to(mono_ns longest)
{
	pass(NS_PER_S);
	assert_int_equal(asked, 1);
	for (unsigned i = 0; i < 10; i++) {
		stream_refused(&stream, "connect: Connection refused");
		assert_int_equal(stream.pause, MIN_OF((1ull << i) * NS_PER_S, longest));
		assert_string_equal(stream.why, "connect: Connection refused");
		pass(stream.pause - NS_PER_S / 2);
		assert_int_equal(asked, i + 1);
		pass(NS_PER_S);
		assert_int_equal(asked, i + 2);
	}
	pass(STREAM_CONNECT_NS + NS_PER_S); /* no answer of the supervisor */
	assert_string_equal(stream.why, "no connection in time");
}

static void pauses(void **state)
{
	pauses_up_to(STREAM_PAUSE_MAX_NS);
}

static void pauses_of_datagrams(void **state)
{
	stream.config.transport = STREAM_UDP;
	pauses_up_to(STREAM_PAUSE_DATAGRAM_NS);
}

/* Whoever accepts and ends at once is asked less and less; a connection that stood begins the pauses again. */
static void ends_at_each_message(void **state)
{
	for (unsigned i = 0; i < 8; i++) {
		pass(stream.state == STREAM_PAUSED ? 64 * NS_PER_S : 0);
		assert_int_equal(stream.state, STREAM_ASKED);
		accept_it(0);
		put(i);
		turn();
		close(theirs);
		for (int k = 0; k < 5 && stream.state == STREAM_OPEN; k++)
			turn();
		assert_int_equal(stream.state, STREAM_PAUSED);
		assert_int_equal(stream.pause, MIN_OF((1ull << i) * NS_PER_S, STREAM_PAUSE_MAX_NS));
		assert_int_equal(stream.sent + stream.queued, i + 1);
	}
	pass(64 * NS_PER_S);
	accept_it(0);
	assert_int_equal(stream.state, STREAM_OPEN);
	stream.opened_at -= STREAM_STEADY_NS;
	close(theirs);
	theirs = -1;
	turn();
	assert_int_equal(stream.pause, STREAM_PAUSE_MIN_NS);
}

/* It accepts and never reads: as much waits as may, the rest is counted, and the state says so until it reads. */
static void never_reads(void **state)
{
	const uint32_t n = 2 * STREAM_QUEUE_MAX;

	pass(NS_PER_S);
	accept_it(2048);
	for (uint32_t i = 1; i <= n; i++) {
		put(i);
		if (i % 64 == 0)
			turn();
	}
	assert_int_equal(stream.queued, STREAM_QUEUE_MAX - 1);
	assert_true(stream.full_said);
	assert_int_equal(stream.sent + stream.queued + stream.lost, n);
	assert_string_equal(stream_state_text(&stream), "connected");
	stream.moved_at = loop.now - STREAM_STALLED_NS;
	assert_string_equal(stream_state_text(&stream), "stalled");
	assert_int_equal(stream_stalled(&stream), STREAM_STALLED_NS);
	while (stream.queued > 0)
		take();
	assert_string_equal(stream_state_text(&stream), "connected");
	assert_false(stream.full_said);
	expect(1);
}

/* What waits outlives a commit that sends it elsewhere, in another format; a socket that was asked for under another number is not taken. */
static void another_configuration(void **state)
{
	struct snap_log_stream config = stream.config;
	uint8_t version[2];
	int fds[2];

	put(1);
	pass(NS_PER_S);
	assert_int_equal(stream.state, STREAM_ASKED);
	assert_true(stream_begin(&stream, &config, 3, "hq"));
	assert_int_equal(stream.state, STREAM_PAUSED);
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, fds), 0);
	stream_connected(&stream, fds[0]);
	assert_int_equal(read(fds[1], version, 1), 0);
	close(fds[1]);
	pass(NS_PER_S);
	accept_it(0);
	take();
	expect(1);
	assert_true(
		stream_begin(&stream, &config, 0, "hq")); /* connected: the number is none of its business */
	assert_int_equal(stream.state, STREAM_OPEN);
	put(2);
	config.format = STREAM_IPFIX;
	config.to.port = 4739;
	assert_true(stream_begin(&stream, &config, 0, "hq"));
	assert_int_equal(stream.queued, 1);
	close(theirs);
	pass(NS_PER_S);
	accept_it(0);
	turn();
	assert_int_equal(read(theirs, version, 2), 2);
	assert_int_equal(version[1], 10);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(form),
		cmocka_unit_test(journal),
		cmocka_unit_test_setup_teardown(in_order, scene, scene_end),
		cmocka_unit_test_setup_teardown(breaks, scene, scene_end),
		cmocka_unit_test_setup_teardown(bounded, scene, scene_end),
		cmocka_unit_test_setup_teardown(ends_at_each_message, scene, scene_end),
		cmocka_unit_test_setup_teardown(never_reads, scene, scene_end),
		cmocka_unit_test_setup_teardown(another_configuration, scene, scene_end),
		cmocka_unit_test_setup_teardown(pauses, scene, scene_end),
		cmocka_unit_test_setup_teardown(pauses_of_datagrams, scene, scene_end),
	};

	alarm(200); /* longer than a busy machine takes */
	return cmocka_run_group_tests(tests, NULL, NULL);
}
