/*
 * How long a process may take until it is ready: the clock is turned back for what is armed, so that nobody
 * waits; and what the ledger may have the supervisor do.
 */
#include "proc/supervisor/supervisor.h"

#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

static struct supervisor s;
static struct child_process *ledger;

/* A ledger that was started `ago` and is not ready. */
static void started(mono_ns ago)
{
	loop_init(&s.loop);
	children_init(&s);
	ledger = child_of(&s, PROC_LEDGER);
	ledger->pid = fork();
	assert_true(ledger->pid >= 0);
	if (ledger->pid == 0)
		for (;;)
			pause();
	ledger->life = LIFE_STARTING;
	s.loop.now = clock_mono() - ago;
	loop_arm(&s.loop, &ledger->timer, READY_WAIT_NS, 0);
}

/* What it says, `ago`. */
static void says(enum ipc_id id, mono_ns ago)
{
	struct ipc_frame f = { .head.id = id };

	f.u.PROGRESS = (struct msg_progress){ .done = 3, .all = 7 };
	s.loop.now = clock_mono() - ago;
	ledger->port.on_frame(&ledger->port, &f);
}

static bool lives(void)
{
	struct err e = { 0 };

	assert_int_equal(loop_once(&s.loop, 0, &e), RC_OK);
	if (!ledger->killed)
		return true;
	int status = 0;
	assert_int_equal(waitpid(ledger->pid, &status, 0), ledger->pid);
	assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
	return false;
}

static void over(void)
{
	if (!ledger->killed) {
		kill(ledger->pid, SIGKILL);
		waitpid(ledger->pid, NULL, 0);
	}
	loop_done(&s.loop);
}

static void who_says_nothing_is_killed(void **state)
{
	started(READY_WAIT_NS - 5 * NS_PER_S);
	assert_true(lives());
	over();
	started(READY_WAIT_NS);
	assert_false(lives());
	over();
}

static void who_makes_progress_has_time(void **state)
{
	/* Three times as long as it may be silent. */
	started(3 * READY_WAIT_NS);
	for (mono_ns ago = 3 * READY_WAIT_NS - 5 * NS_PER_S; ago > 5 * NS_PER_S; ago -= 5 * NS_PER_S)
		says(IPC_PROGRESS, ago);
	assert_true(lives());
	assert_string_equal(ledger->why, "reading what was written before, 3 of 7");
	says(IPC_READY, 0);
	assert_int_equal(ledger->life, LIFE_READY);
	assert_false(ledger->timer.armed);
	says(IPC_PROGRESS, READY_WAIT_NS);
	assert_true(lives());
	assert_string_equal(ledger->why, "");
	over();
}

/* The last word counts, not that there was one. */
static void who_stops_is_killed(void **state)
{
	started(3 * READY_WAIT_NS);
	says(IPC_PROGRESS, 2 * READY_WAIT_NS);
	says(IPC_PROGRESS, READY_WAIT_NS);
	assert_false(lives());
	over();
}

/* ---- what the ledger asks for ---- */

/* So many connections in a second and no more, to witnesses of the configuration alone; in the next one there
 * are others. */
static void connections_are_bounded(void **state)
{
	static struct ipc_frame answer;
	struct ipc_frame f = { .head.id = IPC_WITNESS_CONNECT };
	struct ipc_link other;
	int pair[2];

	loop_init(&s.loop);
	children_init(&s);
	ledger = child_of(&s, PROC_LEDGER);
	assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair), 0);
	ipc_link_open(&ledger->port.link, pair[0], PROC_SUPERVISOR, PROC_LEDGER);
	ipc_link_open(&other, pair[1], PROC_LEDGER, PROC_SUPERVISOR);
	s.evidence.count = 1;
	s.evidence.witness[0].at = (struct endpoint){ .port = 9 };
	assert_int_equal(addr_parse(&s.evidence.witness[0].at.addr, "127.0.0.1"), RC_OK);
	for (uint32_t second = 0; second < 2; second++) {
		s.loop.now += 2 * NS_PER_S;
		for (uint32_t i = 0, refused = 0; i < 100; i++) {
			f.u.WITNESS_CONNECT = s.evidence.witness[0].at;
			witness_connect(&s, ledger, &f);
			assert_int_equal(ipc_recv(&other, &answer, NULL), RC_OK);
			refused += answer.head.id == IPC_WITNESS_REFUSED &&
				   answer.u.WITNESS_REFUSED.rc == RC_LIMIT;
			ipc_frame_done(&answer);
			assert_int_equal(refused, i < 64 ? 0 : i - 63);
		}
	}
	s.loop.now += 2 * NS_PER_S;
	f.u.WITNESS_CONNECT.port = 10;
	witness_connect(&s, ledger, &f);
	assert_int_equal(ipc_recv(&other, &answer, NULL), RC_OK);
	assert_int_equal(answer.u.WITNESS_REFUSED.rc, RC_DENIED);
	ipc_frame_done(&answer);
	ipc_link_close(&ledger->port.link);
	ipc_link_close(&other);
	s.evidence.count = 0;
	loop_done(&s.loop);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(who_says_nothing_is_killed),
		cmocka_unit_test(who_makes_progress_has_time),
		cmocka_unit_test(who_stops_is_killed),
		cmocka_unit_test(connections_are_bounded),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
