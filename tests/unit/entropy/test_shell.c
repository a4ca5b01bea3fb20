/*
 * The entropy process over real links, with this test as supervisor, keeper and ledger: shares that were
 * asked for come, each once; a source that fails says so to both and gives nothing any more.
 */
#include "proc/entropy/shell.h"

#include "ledger/types.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pwd.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

static struct entropy entropy;
static struct child child;
static struct ipc_link others[PROC_COUNT]; /* our ends */
static struct ipc_frame frame;

static const char *executable;			  /* NULL: the shell in here */
static uint64_t (*clock_at_start)(void *context); /* NULL: this machine's */
static pid_t pid;

#define ANSWER_MS  20000
#define SILENCE_MS 100

static bool receive(enum proc as, enum ipc_id id, int wait_ms)
{
	struct pollfd p = { .fd = others[as].fd, .events = POLLIN };
	enum rc rc = RC_AGAIN;

	for (int ms = 0; rc == RC_AGAIN && ms < wait_ms; ms += 2) {
		if (!executable)
			assert_int_equal(loop_once(&child.loop, 2 * NS_PER_MS, NULL), RC_OK);
		else
			poll(&p, 1, 2);
		rc = ipc_recv(&others[as], &frame, NULL);
	}
	if (rc == RC_AGAIN)
		return false;
	assert_int_equal(rc, RC_OK);
	if (frame.head.id != (uint16_t)id)
		fail_msg("%s came, %s was expected", ipc_name((enum ipc_id)frame.head.id), ipc_name(id));
	return true;
}

static bool next(enum proc as, enum ipc_id id)
{
	return receive(as, id, ANSWER_MS);
}

static bool silent(enum proc as)
{
	return !receive(as, IPC_LINK, SILENCE_MS);
}

static void link_to(enum proc peer)
{
	struct msg_link m = { .peer = (uint32_t)peer };
	int fds[2];

	ipc_link_close(&others[peer]);
	assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, fds), 0);
	ipc_link_open(&others[peer], fds[0], peer, PROC_ENTROPY);
	assert_int_equal(ipc_send_LINK(&others[PROC_SUPERVISOR], 0, &m, fds[1]), RC_OK);
	close(fds[1]);
}

static void execute(int link_fd)
{
	pid = fork();
	assert_true(pid >= 0);
	if (pid > 0) {
		close(link_fd);
		return;
	}
	if (dup2(link_fd, CHILD_SUPERVISOR_FD) < 0)
		_exit(126);
	closefrom(CHILD_SUPERVISOR_FD + 1);
	execl(executable, executable, (char *)NULL);
	_exit(127);
}

static int start(void **state)
{
	struct msg_start m = { 0 };
	int fds[2];

	for (int i = 0; i < PROC_COUNT; i++)
		others[i] = IPC_LINK_NONE;
	assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, fds), 0);
	ipc_link_open(&others[PROC_SUPERVISOR], fds[0], PROC_SUPERVISOR, PROC_ENTROPY);
	if (executable)
		execute(fds[1]);
	else
		entropy_init(&entropy, &child, fds[1]);
	entropy.noise.clock = clock_at_start;
	link_to(PROC_LEDGER);
	link_to(PROC_KEEPER);
	assert_int_equal(ipc_send_START(&others[PROC_SUPERVISOR], 0, &m), RC_OK);
	assert_true(next(PROC_SUPERVISOR, IPC_READY));
	return 0;
}

static int stop(void **state)
{
	struct msg_empty m = { 0 };
	int status = 0;

	if (executable) {
		assert_int_equal(ipc_send_STOP(&others[PROC_SUPERVISOR], 0, &m), RC_OK);
		assert_int_equal(waitpid(pid, &status, 0), pid);
		if (!WIFEXITED(status) || WEXITSTATUS(status) != 0)
			fail_msg("it ended with status %#x", (unsigned)status);
	} else {
		for (int i = 0; i < PROC_COUNT; i++)
			port_close(&child.ports[i]);
		ledger_client_done(&child.ledger);
		loop_done(&child.loop);
	}
	for (int i = 0; i < PROC_COUNT; i++)
		ipc_link_close(&others[i]);
	return 0;
}

static void entered(enum ledger_type type, const char *text)
{
	struct msg_ledger_receipt m = { .rc = RC_OK };

	assert_true(next(PROC_LEDGER, IPC_LEDGER_APPEND));
	assert_int_equal(frame.u.LEDGER_APPEND.type, type);
	assert_int_equal(
		ledger_body_check(type, frame.u.LEDGER_APPEND.body, frame.u.LEDGER_APPEND.body_n, NULL),
		RC_OK);
	if (!strstr(frame.u.LEDGER_APPEND.body, text))
		fail_msg("%s has no %s", frame.u.LEDGER_APPEND.body, text);
	assert_int_equal(ipc_send_LEDGER_RECEIPT(&others[PROC_LEDGER], frame.head.tag, &m), RC_OK);
}

static void ask(uint32_t count)
{
	struct msg_entropy_ask m = { .count = count };

	assert_int_equal(ipc_send_ENTROPY_ASK(&others[PROC_KEEPER], 0, &m), RC_OK);
}

static void shares_come_as_asked(void **state)
{
	uint8_t share[12][SHARE_BYTES];

	entered(LEDGER_ENTROPY_START, "processor jitter");
	assert_true(silent(PROC_KEEPER)); /* nothing that was not asked for */
	ask(10);
	ask(2);
	for (size_t i = 0; i < COUNT_OF(share); i++) {
		assert_true(next(PROC_KEEPER, IPC_ENTROPY_SHARE));
		memcpy(share[i], frame.u.ENTROPY_SHARE.share, SHARE_BYTES);
		for (size_t k = 0; k < i; k++)
			assert_memory_not_equal(share[i], share[k], SHARE_BYTES);
	}
	assert_true(silent(PROC_KEEPER));
	ask(0);
	assert_true(silent(PROC_KEEPER));
	assert_true(silent(PROC_LEDGER));
}

/* However much is asked for, and how often: no more is owed than this. */
static void what_is_owed_is_bounded(void **state)
{
	if (executable)
		skip();
	entered(LEDGER_ENTROPY_START, "samples");
	for (uint32_t i = 0; i < 5; i++) {
		ask(i % 2 ? SHARES_OWED_MAX : UINT32_MAX);
		assert_true(next(PROC_KEEPER, IPC_ENTROPY_SHARE));
		assert_in_range(entropy.owed, 1, SHARES_OWED_MAX);
	}
	link_to(PROC_KEEPER);
	assert_true(silent(PROC_KEEPER));
}

static void a_new_keeper_asks_anew(void **state)
{
	entered(LEDGER_ENTROPY_START, "samples");
	ask(SHARES_OWED_MAX);
	assert_true(next(PROC_KEEPER, IPC_ENTROPY_SHARE));
	link_to(PROC_KEEPER);
	assert_true(silent(PROC_KEEPER));
	ask(1);
	assert_true(next(PROC_KEEPER, IPC_ENTROPY_SHARE));
	assert_true(silent(PROC_KEEPER));
}

static uint64_t stopped(void *context)
{
	return 5;
}

static int start_with_stopped_clock(void **state)
{
	clock_at_start = stopped;
	int r = start(state);
	clock_at_start = NULL;
	return r;
}

/* At the start: the process stays, and tells whoever asks what is wrong. */
static void fails_at_the_start(void **state)
{
	entered(LEDGER_ENTROPY_FAILED, "\"source\":\"processor jitter\",\"test\":\"repetition count\"");
	assert_true(next(PROC_KEEPER, IPC_ENTROPY_END));
	assert_non_null(strstr(frame.u.ENTROPY_END.text, "repetition count"));
	ask(3);
	assert_true(next(PROC_KEEPER, IPC_ENTROPY_END));
	link_to(PROC_KEEPER);
	ask(3);
	assert_true(next(PROC_KEEPER, IPC_ENTROPY_END));
	assert_true(silent(PROC_KEEPER));
	assert_true(silent(PROC_LEDGER)); /* entered once */
}

/* In the middle of its work. */
static void fails_later(void **state)
{
	entered(LEDGER_ENTROPY_START, "samples");
	ask(100);
	assert_true(next(PROC_KEEPER, IPC_ENTROPY_SHARE));
	entropy.noise.clock = stopped;
	do
		assert_int_equal(loop_once(&child.loop, NS_PER_MS, NULL), RC_OK);
	while (!entropy.failed);
	entered(LEDGER_ENTROPY_FAILED, "processor jitter");
	while (ipc_recv(&others[PROC_KEEPER], &frame, NULL) == RC_OK && frame.head.id == IPC_ENTROPY_SHARE)
		;
	assert_int_equal(frame.head.id, IPC_ENTROPY_END);
	entropy.noise.clock = NULL;
	ask(1);
	assert_true(next(PROC_KEEPER, IPC_ENTROPY_END));
	assert_true(silent(PROC_KEEPER));
}

static ssize_t gives(void *ret_bytes, size_t n, unsigned flags)
{
	return (ssize_t)n;
}

static ssize_t refuses(void *ret_bytes, size_t n, unsigned flags)
{
	errno = EACCES;
	return -1;
}

/* Either way to the kernel's generator is one too many. Outside of the sandbox both are open. */
static void not_without_its_sandbox(void **state)
{
	const struct {
		struct entropy_calls ways;
		const char *text;
	} cases[] = {
		{ { gives, refuses }, "getrandom() of the C library" },
		{ { refuses, gives }, "the system call getrandom" },
		{ { gives, gives }, "the system call getrandom" },
	};
	struct err e = { 0 };

	for (size_t i = 0; i < COUNT_OF(cases); i++) {
		e = (struct err){ 0 };
		assert_int_equal(entropy_is_apart(&cases[i].ways, &e), RC_DENIED);
		assert_non_null(strstr(e.text, cases[i].text));
	}
	assert_int_equal(entropy_is_apart(&(struct entropy_calls){ refuses, refuses }, &e), RC_OK);
	assert_int_equal(entropy_is_apart(NULL, &e), RC_DENIED);
}

int main(int argc, char **argv)
{
#define T(f) cmocka_unit_test_setup_teardown(f, start, stop)
	const struct CMUnitTest tests[] = {
		T(shares_come_as_asked),
		T(what_is_owed_is_bounded),
		T(a_new_keeper_asks_anew),
		cmocka_unit_test_setup_teardown(fails_at_the_start, start_with_stopped_clock, stop),
		T(fails_later),
		cmocka_unit_test(not_without_its_sandbox),
	};

	executable = argc > 1 ? argv[1] : NULL;
	if (!executable)
		return cmocka_run_group_tests(tests, NULL, NULL);
	if (getuid() != 0 || !getpwnam("plaingate-entropy")) {
		printf("needs root and the user plaingate-entropy (tools/make-users)\n");
		return 77;
	}
	/* Inside the sandbox nobody can stop its clock. */
	const struct CMUnitTest confined[] = { T(shares_come_as_asked), T(a_new_keeper_asks_anew) };
	return cmocka_run_group_tests(confined, NULL, NULL);
}
