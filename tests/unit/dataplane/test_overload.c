/*
 * What strangers and other machines can make the data plane do besides forwarding: IKE messages to port 4500,
 * trains of a great many tiny segments, memory that another version left.
 */
#include "gate.h"
#include "proc/dataplane/dataplane.h"

#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

static struct dataplane d;
static struct worker first;

/* ---- IKE to port 4500 ---- */

static struct ipc_link ike;
static int ends[2];

static int setup_link(void **state)
{
	first = (struct worker){ .dataplane = &d };
	d = (struct dataplane){ .workers = { &first }, .workers_n = 1 };
	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends) < 0)
		return -1;
	ipc_link_open(child_link(&d.child, PROC_IKE), ends[0], PROC_DATAPLANE, PROC_IKE);
	ipc_link_open(&ike, ends[1], PROC_IKE, PROC_DATAPLANE);
	return 0;
}

static int teardown_link(void **state)
{
	ipc_link_close(child_link(&d.child, PROC_IKE));
	ipc_link_close(&ike);
	return 0;
}

/* The size of the frame that ike got, 0: none. */
static size_t got(void)
{
	static char bytes[65536];
	ssize_t n = recv(ends[1], bytes, sizeof bytes, MSG_DONTWAIT);

	return n > 0 ? (size_t)n : 0;
}

static size_t datagram(uint32_t source, uint32_t n)
{
	static const uint8_t bytes[DATAGRAM_MAX + 1];
	struct endpoint local = { .port = 4500 }, remote = { .port = 4500 };

	remote.addr.family = ADDR_V4;
	store_be32(remote.addr.b, source);
	control_ike_datagram(&first, &local, &remote, bytes, n);
	return got();
}

static void as_large_as_needed(void **state)
{
	assert_in_range(datagram(1, 28), 1, 1700);
	assert_in_range(datagram(1, DATAGRAM_SHORT_MAX), 1, 1700);
	assert_in_range(datagram(1, DATAGRAM_SHORT_MAX + 1), 8000, 9000);
	assert_in_range(datagram(1, DATAGRAM_MAX), 8000, 9000);
	assert_int_equal(datagram(1, DATAGRAM_MAX + 1), 0);
	assert_int_equal(first.pipeline.drops[DROP_TOO_BIG], 1);
}

static void a_flood_is_bounded(void **state)
{
	uint32_t handed = 0;

	for (uint32_t i = 0; i < 20000; i++) /* from one source, in far less than a second */
		handed += datagram(1, 28) > 0;
	assert_in_range(handed, 900, 1000 + 500 * 10);
	assert_int_equal(first.pipeline.drops[DROP_IKE_LIMIT], 20000 - handed);
	assert_true(datagram(2, 28) > 0); /* another one */
	handed = 0;
	uint32_t n = 200000;
	mono_ns begun = clock_mono();
	for (uint32_t i = 0; i < n; i++) /* each from another */
		handed += datagram(1000 + i, 28) > 0;
	double seconds = (double)(clock_mono() - begun) / NS_PER_S;
	assert_true(handed <= 4000 + 40000 * (seconds + 0.1));
}

/* ---- trains ---- */

/* One frame of a virtual machine is bounded work, and nothing that Linux's TCP sends is out of bounds. */
static void tiny_segments(void **state)
{
	static struct gate g;
	static struct packet packet;
	struct packet_spec s = { .src = "10.1.0.2",
		.dst = "10.2.0.9",
		.proto = IP_UDP,
		.src_port = 1000,
		.dst_port = 9,
		.payload_n = 60000,
		.partial = true };

	gate_init(&g, gate_text, "", 64);
	gate_sa(&g, false);
	g.counts_only = true;
	for (uint16_t size = 1; size < 1300; size++) {
		struct train t = packet_make(&packet, &s);
		uint32_t packets = (60000u + size - 1) / size;
		bool too_many = packets > TRAIN_PACKETS_MAX;
		uint64_t sent = g.sent_tunnel, dropped = g.p.drops[DROP_SEGMENT_LIMIT];
		t.segment_size = size;
		assert_int_equal(gate_from_link(&g, GATE_LAN, t), too_many ? DROP_SEGMENT_LIMIT : DROP_NONE);
		assert_int_equal(g.sent_tunnel - sent, too_many ? 0 : packets);
		assert_int_equal(g.p.drops[DROP_SEGMENT_LIMIT] - dropped, too_many ? packets : 0);
		assert_true(!too_many || size < 48 - 12); /* its least segment with timestamps */
	}
	gate_done(&g);
}

/* ---- memory of another version ---- */

static void only_used_pages_are_touched(void **state)
{
	const off_t size = 4ll << 30;
	int fd = memfd_create("state", MFD_CLOEXEC);
	static uint8_t filled[1 << 20];
	struct stat st;
	struct err e = { 0 };

	first = (struct worker){ .dataplane = &d };
	d = (struct dataplane){ .state_fd = -1, .workers = { &first }, .workers_n = 1 };
	memset(filled, 0xa5, sizeof filled);
	assert_true(fd >= 0);
	assert_int_equal(ftruncate(fd, size), 0);
	assert_int_equal(pwrite(fd, filled, sizeof filled, 0), sizeof filled); /* head and keys */
	assert_int_equal(pwrite(fd, filled, sizeof filled, 1 << 30), sizeof filled);
	if (memory_attach(&d, fd, &e) != RC_OK)
		fail_msg("%s", e.text);
	assert_false(d.resumed);
	assert_int_equal(d.sessions_max, SESSIONS_MAX);
	assert_int_equal(fw_counters(first.fw)->sessions_now, 0);
	assert_int_equal(fstat(fd, &st), 0);
	assert_true(st.st_blocks * 512ll < 32ll << 20);
	for (off_t at = 0; (at = lseek(fd, at, SEEK_DATA)) >= 0;) { /* and nothing of it is left */
		off_t end = lseek(fd, at, SEEK_HOLE);
		for (; at < end; at += (off_t)sizeof filled) {
			static uint8_t is[sizeof filled];
			ssize_t n = pread(fd, is, sizeof is, at);
			assert_true(n > 0);
			assert_null(memmem(is, (size_t)n, filled, 64));
		}
		at = end;
	}
	memory_detach(&d);
}

/* ---- path MTUs ---- */

/* The peer whose route the kernel was asked for last; 0: none. */
static uint32_t asked_for(int fd)
{
	_Alignas(8) uint8_t bytes[256];
	uint32_t last = 0;
	ssize_t n;

	while ((n = recv(fd, bytes, sizeof bytes, MSG_DONTWAIT)) > 0)
		last = load_be32(bytes + n - 4);
	return last;
}

/* Peers that move leave no place behind for good: with all places taken another one's path is asked for as
 * well. */
static void paths_of_many_peers(void **state)
{
	int fd = memfd_create("state", MFD_CLOEXEC), pair[2];
	struct err e = { 0 };
	struct ip_addr remote = { .family = ADDR_V4 };

	first = (struct worker){ .dataplane = &d };
	d = (struct dataplane){ .state_fd = -1, .workers = { &first }, .workers_n = 1 };
	assert_int_equal(ftruncate(fd, 4ll << 30), 0);
	if (memory_attach(&d, fd, &e) != RC_OK)
		fail_msg("%s", e.text);
	assert_int_equal(socketpair(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0, pair), 0);
	d.route_fd = pair[0];
	for (uint32_t i = 1; i <= 3 * PATHS_MAX; i++) {
		store_be32(remote.b, i);
		routes_ask_path(&d, &remote);
		assert_int_equal(asked_for(pair[1]), i);
	}
	/* No SA leads to any of them: a minute later all places are free. */
	for (uint32_t i = 0; i < PATHS_MAX; i++)
		d.paths[i].asked -= 61 * NS_PER_S;
	routes_second(&d);
	assert_int_equal(asked_for(pair[1]), 0);
	for (uint32_t i = 0; i < PATHS_MAX; i++)
		assert_int_equal(d.paths[i].remote.family, ADDR_NONE);
	memory_detach(&d);
	close(pair[0]);
	close(pair[1]);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(as_large_as_needed, setup_link, teardown_link),
		cmocka_unit_test_setup_teardown(a_flood_is_bounded, setup_link, teardown_link),
		cmocka_unit_test(tiny_segments),
		cmocka_unit_test(only_used_pages_are_touched),
		cmocka_unit_test(paths_of_many_peers),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
