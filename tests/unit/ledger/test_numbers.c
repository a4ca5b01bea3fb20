/*
 * Whose numbers are whose: the ledger's shell over real links, with this test as supervisor and as somebody
 * else in ike who prepares for the clean ike that is started in its place.
 */
#include "proc/ledger/shell.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <fcntl.h>
#include <sched.h>
#include <sys/mount.h>
#include <sys/socket.h>
#include <unistd.h>

#include "ledger/types.h"

#include <cmocka.h>

#include "cli/directory.h"

static struct ledger_shell shell;
static struct child child;
static struct ipc_link supervisor, ike;
static char dir[] = "/tmp/plaingate-numbers-XXXXXX";

/* UTC as somebody has set it; by link_args --wrap=clock_utc. */
static int64_t utc_set;
utc_us __real_clock_utc(void);
utc_us __wrap_clock_utc(void);

utc_us __wrap_clock_utc(void)
{
	return __real_clock_utc() + (uint64_t)utc_set;
}

static void rounds(void)
{
	for (int i = 0; i < 8; i++)
		assert_int_equal(loop_once(&child.loop, 0, NULL), RC_OK);
}

static void ike_started(uint32_t run)
{
	struct msg_link m = { .peer = PROC_IKE, .run = run };
	int fds[2];

	ipc_link_close(&ike);
	assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, fds), 0);
	ipc_link_open(&ike, fds[0], PROC_IKE, PROC_LEDGER);
	assert_int_equal(ipc_send_LINK(&supervisor, 0, &m, fds[1]), RC_OK);
	close(fds[1]);
	rounds();
}

static bool with_a_witness; /* that nobody connects to */

static void witness_named(void)
{
	struct snap_evidence v = { .count = 1, .quorum = 1, .heartbeat_s = 1 };

	snprintf(v.witness[0].name, sizeof v.witness[0].name, "one");
	snprintf(v.witness[0].key, sizeof v.witness[0].key, "%s",
		"witness.example/one+46c502a1+BE6A7tN9W2q9zhw1JJL9jg+L6D5lDh2i8zP+bkWvXVSl");
	v.witness[0].at =
		(struct endpoint){ .addr = addr_v4((const uint8_t[]){ 192, 0, 2, 7 }), .port = 7380 };
	assert_int_equal(ipc_send_WITNESSES(&supervisor, 0, &v), RC_OK);
}

/* A start of the ledger in the boot, over what is on the disk. */
static void ledger_started(uint64_t restarts)
{
	struct msg_resource r = { .kind = RESOURCE_LEDGER_DIR };
	struct msg_start start = { .boot_id = { 1 }, .restarts = restarts };
	int fds[2], fd;

	ike = IPC_LINK_NONE;
	assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, fds), 0);
	ipc_link_open(&supervisor, fds[0], PROC_SUPERVISOR, PROC_LEDGER);
	ledger_shell_init(&shell, &child);
	child_init(&child, PROC_LEDGER, &ledger_shell_ops, &shell, LEDGER_LEDGER_OUTAGE, fds[1]);
	fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	assert_int_equal(ipc_send_RESOURCE(&supervisor, 0, &r, fd), RC_OK);
	close(fd);
	fd = open("/tmp", O_TMPFILE | O_RDWR | O_CLOEXEC, 0600); /* the directory may be read only */
	assert_int_equal(write(fd, "0123456789abcdef0123456789abcdef", 32), 32);
	r.kind = RESOURCE_LEDGER_KEY;
	assert_int_equal(ipc_send_RESOURCE(&supervisor, 0, &r, fd), RC_OK);
	close(fd);
	if (with_a_witness)
		witness_named();
	assert_int_equal(ipc_send_START(&supervisor, 0, &start), RC_OK);
	rounds();
	assert_true(child.started);
	ike_started(0);
}

static void ledger_ended(void)
{
	loop_stop(&child.loop);
	child_run(&child);
	ipc_link_close(&supervisor);
	ipc_link_close(&ike);
}

static int setup(void **state)
{
	strcpy(dir + sizeof dir - 7, "XXXXXX");
	assert_non_null(mkdtemp(dir));
	ledger_started(0);
	return 0;
}

static int teardown(void **state)
{
	char command[100];

	ledger_ended();
	snprintf(command, sizeof command, "rm -r %s", dir);
	return system(command);
}

static void ask(uint32_t run, uint64_t n)
{
	struct msg_ledger_append m = { .n = n, .type = LEDGER_HANDSHAKE_REFUSED, .run = run };
	struct ledger_body b;

	ledger_body_begin(&b, LEDGER_HANDSHAKE_REFUSED);
	ledger_body_str(&b, "configured", "");
	ledger_body_str(&b, "id", "");
	ledger_body_u64(&b, "left_out", 0);
	ledger_body_str(&b, "local", "");
	ledger_body_str(&b, "offered", "");
	ledger_body_str(&b, "peer", "");
	ledger_body_strf(&b, "reason", "run %u number %llu", run, (unsigned long long)n);
	ledger_body_str(&b, "remote", "");
	m.body_n = (uint16_t)ledger_body_done(&b);
	memcpy(m.body, b.text, m.body_n);
	assert_int_equal(ipc_send_LEDGER_APPEND(&ike, 7, &m), RC_OK);
}

static enum rc answer(void)
{
	static struct ipc_frame f;

	assert_int_equal(ipc_recv(&ike, &f, NULL), RC_OK);
	assert_int_equal(f.head.id, IPC_LEDGER_RECEIPT);
	return (enum rc)f.u.LEDGER_RECEIPT.rc;
}

/* One entry of ike; the receipt's rc. */
static enum rc enter(uint32_t run, uint64_t n)
{
	ask(run, n);
	rounds();
	return answer();
}

/* The successor's entries stand, whatever was tried before: under its run, in its numbers, or by refusals. */
static void successor(void **state)
{
	assert_int_equal(enter(0, 1), RC_OK);
	assert_int_equal(enter(1, 1), RC_DENIED);
	assert_int_equal(enter(1, 1000), RC_DENIED);
	assert_int_equal(enter(UINT32_MAX, 1), RC_DENIED);
	assert_int_equal(enter(0, 2), RC_OK);
	ike_started(1);
	assert_int_equal(enter(0, 3), RC_DENIED);
	assert_int_equal(enter(1, 1), RC_OK);
	assert_int_equal(enter(1, 2), RC_OK);
}

/* No number is so large that none is left. */
static void numbers_left(void **state)
{
	assert_int_equal(enter(0, 1), RC_OK);
	assert_int_equal(enter(0, UINT64_MAX), RC_DENIED);
	assert_int_equal(enter(0, UINT64_MAX - 1), RC_DENIED);
	assert_int_equal(enter(0, 1ull << 40), RC_DENIED);
	assert_int_equal(enter(0, 0), RC_DENIED);
	assert_int_equal(enter(0, 2), RC_OK);
	/* What was left out honestly is stated as a gap. */
	assert_int_equal(enter(0, 5), RC_OK);
	assert_int_equal(enter(0, 6), RC_OK);
}

static int setup_with_a_witness(void **state)
{
	with_a_witness = true;
	setup(state);
	with_a_witness = false;
	return 0;
}

/* The supervisor's receipts until one for this number came: its rc. */
static enum rc supervisor_hears(uint64_t tag)
{
	static struct ipc_frame f;

	for (mono_ns until = clock_mono() + 20 * NS_PER_S; clock_mono() < until;) {
		assert_int_equal(loop_once(&child.loop, NS_PER_MS, NULL), RC_OK);
		while (ipc_recv(&supervisor, &f, NULL) == RC_OK)
			if (f.head.id == IPC_LEDGER_RECEIPT && f.head.tag == tag)
				return (enum rc)f.u.LEDGER_RECEIPT.rc;
	}
	fail_msg("no receipt for %llu", (unsigned long long)tag);
	return RC_INTERNAL;
}

/*
 * While the witnesses are asked, so many entries of the supervisor wait, and no more. Those that waited are
 * entered, and the numbers of the others are a gap behind them.
 */
static void what_waits_at_the_start_is_bounded(void **state)
{
	struct msg_ledger_append m = { .type = LEDGER_PROCESS_EXIT };
	struct ledger_body b;

	assert_true(shell.opening);
	ledger_body_begin(&b, LEDGER_PROCESS_EXIT);
	ledger_body_u64(&b, "pid", 1);
	ledger_body_str(&b, "process", "ike");
	ledger_body_str(&b, "reason", "test");
	m.body_n = (uint16_t)ledger_body_done(&b);
	memcpy(m.body, b.text, m.body_n);
	for (m.n = 1; m.n <= OPENING_ENTRIES + 8; m.n++)
		assert_int_equal(ipc_send_LEDGER_APPEND(&supervisor, m.n, &m), RC_OK);
	for (uint64_t n = OPENING_ENTRIES + 1; n <= OPENING_ENTRIES + 8; n++)
		assert_int_equal(supervisor_hears(n), RC_AGAIN);
	assert_int_equal(shell.early_n, OPENING_ENTRIES);
	for (uint64_t n = 1; n <= OPENING_ENTRIES; n++)
		assert_int_equal(supervisor_hears(n), RC_OK);
	assert_false(shell.opening);
	assert_int_equal(ipc_send_LEDGER_APPEND(&supervisor, m.n, &m), RC_OK);
	assert_int_equal(supervisor_hears(m.n), RC_OK);
	assert_int_equal(ledger_counters_due(&shell.counters, "supervisor", 0), OPENING_ENTRIES + 10);
}

/* Whoever is in a process may send without end: the others are heard in their turn, and what waits has a
 * bound. */
static void a_flood_of_one_source(void **state)
{
	struct msg_ledger_append m = { .n = 1, .type = LEDGER_PROCESS_EXIT };
	static struct ipc_frame f;
	struct ledger_body b;
	uint64_t n = 0, rounds_n = 0;
	bool answered = false;

	ledger_body_begin(&b, LEDGER_PROCESS_EXIT);
	ledger_body_u64(&b, "pid", 1);
	ledger_body_str(&b, "process", "ike");
	ledger_body_str(&b, "reason", "test");
	m.body_n = (uint16_t)ledger_body_done(&b);
	memcpy(m.body, b.text, m.body_n);
	for (; !answered && rounds_n < 200; rounds_n++) {
		for (int i = 0; i < 50; i++)
			ask(0, ++n);
		ipc_flush(&ike);
		if (rounds_n == 20)
			assert_int_equal(ipc_send_LEDGER_APPEND(&supervisor, 9, &m), RC_OK);
		assert_int_equal(loop_once(&child.loop, 0, NULL), RC_OK);
		assert_true(shell.waiting_n <= LEDGER_BATCH_MAX);
		while (ipc_recv(&supervisor, &f, NULL) == RC_OK)
			answered |= f.head.id == IPC_LEDGER_RECEIPT && f.head.tag == 9;
	}
	assert_true(answered);
	assert_true(rounds_n <= 20 + 2 * LEDGER_BATCH_MAX / 32); /* two batches at the most */
	/* It takes none of its receipts: what waits for it in the ledger has a bound as well. */
	assert_true(child.ports[PROC_IKE].link.waiting_bytes <= IPC_QUEUE_BYTES_MAX);
}

/* Over many starts in one boot: the counters are stated, each start begins at a statement, and what came
 * before is known by its number and, the last of it, by what it says. */
static void a_long_boot(void **state)
{
	const uint64_t step = 40;
	uint64_t n = 0;

	for (uint64_t start = 1; start <= 4; start++) {
		for (uint64_t end = n + LEDGER_COUNTERS_EVERY + step; n < end;) {
			for (uint64_t i = 0; i < step; i++)
				ask(0, ++n);
			for (int i = 0; i < 64 && shell.waiting_n + ledger_batch_n(shell.log) == 0; i++)
				loop_once(&child.loop, 0, NULL);
			rounds();
			for (uint64_t i = 0; i < step; i++)
				assert_int_equal(answer(), RC_OK);
		}
		if (start == 1)
			assert_true(shell.stated > 0);
		const uint64_t stated = shell.stated;
		ledger_ended();
		ledger_started(start);
		assert_true(shell.stated > 0 && shell.stated + 2 * step >= stated);
		assert_int_equal(enter(0, n), RC_EXISTS);
		assert_int_equal(enter(0, n - LEDGER_RECENT_MAX + 1), RC_EXISTS);
		assert_int_equal(enter(0, 1), RC_DENIED);
		assert_int_equal(enter(0, n + 1), RC_OK);
		assert_int_equal(enter(0, n + 3), RC_OK); /* with a gap stated, and no other */
		n += 3;
	}
	assert_true(shell.stated >= 3 * LEDGER_COUNTERS_EVERY);
}

/* Keys that cannot be written keep all else out: a start stands in the log with its one-time keys behind it
 * or not at all, also when the ledger is started anew meanwhile. */
static void no_start_without_its_keys(void **state)
{
	char command[160];

	ledger_ended();
	snprintf(command, sizeof command, "rm -r %s/* && touch %s/seal", dir, dir);
	assert_int_equal(system(command), 0);
	for (uint64_t start = 1; start <= 2; start++) {
		ledger_started(start);
		for (uint64_t n = 1; n <= 3; n++)
			ask(0, n);
		rounds();
		for (uint64_t n = 1; n <= 3; n++)
			assert_int_not_equal(answer(), RC_OK);
		assert_int_equal(ledger_size(shell.log), 0);
		if (start == 1)
			ledger_ended();
	}
	snprintf(command, sizeof command, "rm %s/seal", dir);
	assert_int_equal(system(command), 0);
	assert_int_equal(enter(0, 4), RC_OK);
	assert_int_equal(shell.own_n, 3); /* ledger_start, seal_epoch, counter_gap */
}

/* As root, or as root of a namespace of our own. */
static bool mounts_are_ours(void)
{
	char map[32];
	int n = snprintf(map, sizeof map, "0 %u 1", (unsigned)geteuid());

	if (geteuid() != 0) {
		if (unshare(CLONE_NEWUSER | CLONE_NEWNS) < 0)
			return false;
		int fd = open("/proc/self/uid_map", O_WRONLY | O_CLOEXEC);
		bool mapped = fd >= 0 && write(fd, map, (size_t)n) == n;
		if (fd >= 0)
			close(fd);
		if (!mapped)
			return false;
	} else if (unshare(CLONE_NEWNS) < 0)
		return false;
	return mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) == 0;
}

/* A file system that has gone read only (as after an error of the disk): the ledger starts over what is
 * there, refuses, and takes entries again when it is writable, under the numbers that are due. */
static void a_read_only_disk(void **state)
{
	assert_int_equal(enter(0, 1), RC_OK);
	ledger_ended();
	assert_true(mounts_are_ours());
	assert_int_equal(mount(dir, dir, NULL, MS_BIND, NULL), 0);
	assert_int_equal(mount(NULL, dir, NULL, MS_REMOUNT | MS_BIND | MS_RDONLY, NULL), 0);
	ledger_started(1);
	uint64_t size = ledger_size(shell.log);
	assert_int_equal(size, 3); /* ledger_start, seal_epoch, the entry */
	for (uint64_t n = 2; n <= 4; n++)
		assert_int_not_equal(enter(0, n), RC_OK);
	assert_int_equal(ledger_size(shell.log), size);
	assert_int_equal(mount(NULL, dir, NULL, MS_REMOUNT | MS_BIND, NULL), 0);
	assert_int_equal(enter(0, 5), RC_OK);
	assert_int_equal(enter(0, 1), RC_EXISTS);
	ledger_ended();
	assert_int_equal(umount2(dir, MNT_DETACH), 0);
	ledger_started(2);
	assert_int_equal(enter(0, 5), RC_EXISTS);
}

/* UTC goes back by an hour, ahead again, and back by a leap second (the kernel counts the last second twice):
 * entries are taken as ever, in the order of the monotonic clock, also over a start that lies before what the
 * last entry says; and verification names each step. */
static void a_clock_that_goes_back(void **state)
{
	static const int64_t steps[] = { -3600, 3600, -1, -86400 * 365ll };
	static struct verify_report r;
	struct err e = { 0 };
	uint64_t n = 0;

	assert_int_equal(enter(0, ++n), RC_OK);
	for (size_t i = 0; i < COUNT_OF(steps); i++) {
		utc_set += steps[i] * 1000000;
		assert_int_equal(enter(0, ++n), RC_OK);
		assert_int_equal(enter(0, ++n), RC_OK);
		if (i == 0) { /* a start of the ledger in the same boot */
			ledger_ended();
			ledger_started(1);
			assert_int_equal(enter(0, n), RC_EXISTS);
			assert_int_equal(enter(0, ++n), RC_OK);
		}
	}
	ledger_ended();
	int fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	struct verify_source source = directory_source(&fd);
	const struct verify_options o = { .sealed_starts = true };
	if (verify_ledger(&source, &o, &r, &e) != RC_OK)
		fail_msg("%s", e.text);
	close(fd);
	utc_set = 0;
	ledger_started(2);
	assert_int_equal(r.clock_steps, COUNT_OF(steps));
	for (size_t i = 0; i < COUNT_OF(steps); i++) {
		assert_int_equal(r.clock_step[i].back, steps[i] < 0);
		assert_in_range(r.clock_step[i].us, (uint64_t)llabs(steps[i]) * 1000000 - 500000,
			(uint64_t)llabs(steps[i]) * 1000000 + 500000);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(successor, setup, teardown),
		cmocka_unit_test_setup_teardown(numbers_left, setup, teardown),
		cmocka_unit_test_setup_teardown(a_flood_of_one_source, setup, teardown),
		cmocka_unit_test_setup_teardown(
			what_waits_at_the_start_is_bounded, setup_with_a_witness, teardown),
		cmocka_unit_test_setup_teardown(a_long_boot, setup, teardown),
		cmocka_unit_test_setup_teardown(no_start_without_its_keys, setup, teardown),
		cmocka_unit_test_setup_teardown(a_clock_that_goes_back, setup, teardown),
		cmocka_unit_test_setup_teardown(a_read_only_disk, setup, teardown),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
