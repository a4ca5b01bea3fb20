/*
 * How long a process may take until it is ready: the clock is turned back for what is armed, so that nobody
 * waits.
 */
#include "proc/supervisor/supervisor.h"

#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdlib.h>
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

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(who_says_nothing_is_killed),
		cmocka_unit_test(who_makes_progress_has_time),
		cmocka_unit_test(who_stops_is_killed),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
