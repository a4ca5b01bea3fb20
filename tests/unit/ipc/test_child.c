/* ipc/child.h: a child's life over socket pairs, without a sandbox; a forked process plays the child. */
#include "ipc/child.h"

#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

static void pair(int ret_fds[2])
{
	assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ret_fds), 0);
}

/* The child: control's part. What happens to it is told as rows to the CLI's port, which the test holds. */
static void tell(struct child *c, const char *what)
{
	struct msg_row row = { 0 };

	row.n = (uint32_t)snprintf(row.json, sizeof row.json, "%s", what);
	ipc_send_CLI_ROW(child_link(c, PROC_CLI), 0, &row);
}

static enum rc on_resource(struct child *c, const struct msg_resource *r, int fd, struct err *e)
{
	char text[100];

	snprintf(text, sizeof text, "resource %s %s %d", resource_name(r->kind), r->name,
		fcntl(fd, F_GETFD) == FD_CLOEXEC);
	tell(c, text);
	close(fd);
	ipc_send_SHOW(child_link(c, PROC_IKE), 0, &(struct msg_show){ 0 });
	return RC_OK;
}

static enum rc on_start(struct child *c, const struct msg_start *s, struct err *e)
{
	char text[100];

	snprintf(text, sizeof text, "start %llu", (unsigned long long)s->restarts);
	tell(c, text);
	return s->restarts == 13 ? err_add(e, RC_IO, "unlucky") : RC_OK;
}

static void on_link(struct child *c, enum proc peer)
{
	char text[100];

	snprintf(text, sizeof text, "link %s", proc_name(peer));
	tell(c, text);
}

static void on_link_lost(struct child *c, enum proc peer)
{
	char text[100];

	snprintf(text, sizeof text, "lost %s", proc_name(peer));
	tell(c, text);
}

static void on_message(struct child *c, enum proc peer, struct ipc_frame *f)
{
	char text[100];

	snprintf(text, sizeof text, "%s from %s", ipc_name(f->head.id), proc_name(peer));
	tell(c, text);
}

static void on_receipt(void *context, uint64_t cookie, const struct msg_ledger_receipt *r)
{
	char text[100];

	snprintf(text, sizeof text, "receipt %llu %s", (unsigned long long)cookie, rc_text(r->rc));
	tell((struct child *)context, text);
}

static void on_stop(struct child *c)
{
	tell(c, "stop");
}

static void on_message_append(struct child *c, enum proc peer, struct ipc_frame *f)
{
	on_message(c, peer, f);
	if (f->head.id == IPC_CLI_REQUEST &&
		child_append(c, LEDGER_GATE, 3, "{}", 2, on_receipt, 42) != RC_OK)
		tell(c, "refused");
}

static const struct child_ops ops = {
	.on_resource = on_resource,
	.on_start = on_start,
	.on_link = on_link,
	.on_link_lost = on_link_lost,
	.on_message = on_message_append,
	.on_stop = on_stop,
};

struct stage {
	struct ipc_link supervisor, cli;
	pid_t pid;
};

static void give_link(struct stage *s, enum proc peer, struct ipc_link *ret_link)
{
	int fds[2];

	pair(fds);
	ipc_link_open(ret_link, fds[0], peer, PROC_CONTROL);
	assert_int_equal(ipc_send_LINK(&s->supervisor, 0, &(struct msg_link){ .peer = peer }, fds[1]), RC_OK);
	close(fds[1]);
}

static void recv_wait(struct ipc_link *l, struct ipc_frame *ret_frame, enum rc want)
{
	struct pollfd p = { .fd = l->fd, .events = POLLIN };

	assert_int_equal(poll(&p, 1, 20000), 1);
	assert_int_equal(ipc_recv(l, ret_frame, NULL), want);
}

static void expect(struct stage *s, const char *what)
{
	static struct ipc_frame f;

	recv_wait(&s->cli, &f, RC_OK);
	assert_int_equal(f.head.id, IPC_CLI_ROW);
	assert_string_equal(f.u.CLI_ROW.json, what);
}

static void begin(struct stage *s)
{
	int fds[2];

	pair(fds);
	fflush(NULL);
	s->pid = fork();
	if (s->pid == 0) {
		static struct child c;
		alarm(20);
		close(fds[0]);
		child_init(&c, PROC_CONTROL, &ops, NULL, 99, fds[1]);
		_exit(child_run(&c));
	}
	assert_true(s->pid > 0);
	close(fds[1]);
	ipc_link_open(&s->supervisor, fds[0], PROC_SUPERVISOR, PROC_CONTROL);
	give_link(s, PROC_CLI, &s->cli);
	expect(s, "link cli");
}

static void end(struct stage *s, int want_status)
{
	int status;

	assert_int_equal(waitpid(s->pid, &status, 0), s->pid);
	assert_true(WIFEXITED(status));
	assert_int_equal(WEXITSTATUS(status), want_status);
	ipc_link_close(&s->supervisor);
	ipc_link_close(&s->cli);
}

static void start(struct stage *s, uint64_t restarts)
{
	assert_int_equal(
		ipc_send_START(&s->supervisor, 0, &(struct msg_start){ .restarts = restarts }), RC_OK);
}

/* Past START and READY. */
static void begin_started(struct stage *s)
{
	static struct ipc_frame f;

	begin(s);
	start(s, 0);
	expect(s, "start 0");
	recv_wait(&s->supervisor, &f, RC_OK);
	assert_int_equal(f.head.id, IPC_READY);
}

static void test_life(void **state)
{
	struct stage s;
	static struct ipc_frame f;
	struct msg_resource r = { .kind = RESOURCE_CLI_SOCKET, .name = "control.sock" };

	begin(&s);
	assert_int_equal(ipc_send_RESOURCE(&s.supervisor, 0, &r, 0), RC_OK);
	expect(&s, "resource CLI_SOCKET control.sock 1");
	start(&s, 3);
	expect(&s, "start 3");
	recv_wait(&s.supervisor, &f, RC_OK);
	assert_int_equal(f.head.id, IPC_READY);
	assert_int_equal(f.u.READY.pid, s.pid);
	assert_int_equal(ipc_send_STOP(&s.supervisor, 0, &(struct msg_empty){ 0 }), RC_OK);
	expect(&s, "stop");
	end(&s, 0);
}

static void test_links_come_and_go(void **state)
{
	struct stage s;
	struct ipc_link ike, ike2;
	static struct ipc_frame f;

	begin_started(&s);
	give_link(&s, PROC_IKE, &ike);
	expect(&s, "link ike");
	assert_int_equal(ipc_send_SHOW_END(&ike, 0, &(struct msg_result){ 0 }), RC_OK);
	expect(&s, "SHOW_END from ike");
	ipc_link_close(&ike);
	expect(&s, "lost ike");
	give_link(&s, PROC_IKE, &ike);
	expect(&s, "link ike");
	give_link(&s, PROC_IKE, &ike2); /* replaced while the old one lives */
	expect(&s, "lost ike");
	expect(&s, "link ike");
	recv_wait(&ike, &f, RC_IO);
	/* what the other end may not say ends the link, not the child */
	ike2.self = PROC_KEEPER;
	ike2.peer = PROC_DATAPLANE;
	assert_int_equal(ipc_send_SA_REMOVE(&ike2, 0, &(struct sa_ref){ 0 }), RC_OK);
	expect(&s, "lost ike");
	recv_wait(&ike2, &f, RC_IO);
	/* no link to itself or to the supervisor can be planted */
	give_link(&s, PROC_SUPERVISOR, &ike);
	give_link(&s, PROC_CONTROL, &ike2);
	recv_wait(&ike, &f, RC_IO);
	recv_wait(&ike2, &f, RC_IO);
	ipc_link_close(&s.supervisor); /* its supervisor died */
	end(&s, 0);
}

/* The peer says something and is replaced before the child gets to read it: crashed, and started anew at
 * once. */
static void test_last_words(void **state)
{
	struct stage s;
	struct ipc_link ike, ike2;
	int status;

	begin_started(&s);
	give_link(&s, PROC_IKE, &ike);
	expect(&s, "link ike");
	assert_int_equal(kill(s.pid, SIGSTOP), 0);
	assert_int_equal(waitpid(s.pid, &status, WUNTRACED), s.pid);
	for (int i = 0; i < 3; i++)
		assert_int_equal(ipc_send_SHOW_END(&ike, 0, &(struct msg_result){ 0 }), RC_OK);
	ipc_link_close(&ike);
	give_link(&s, PROC_IKE, &ike2);
	assert_int_equal(kill(s.pid, SIGCONT), 0);
	for (int i = 0; i < 3; i++)
		expect(&s, "SHOW_END from ike");
	expect(&s, "lost ike");
	expect(&s, "link ike");
	ipc_link_close(&ike2);
	expect(&s, "lost ike");
	ipc_link_close(&s.supervisor);
	end(&s, 0);
}

/* The same when the child has noticed by a send that failed, before it read. */
static void test_last_words_after_a_failed_send(void **state)
{
	struct msg_resource r = { .kind = RESOURCE_CLI_SOCKET, .name = "control.sock" };
	struct stage s;
	struct ipc_link ike, ike2;
	int status;

	begin_started(&s);
	give_link(&s, PROC_IKE, &ike);
	expect(&s, "link ike");
	assert_int_equal(kill(s.pid, SIGSTOP), 0);
	assert_int_equal(waitpid(s.pid, &status, WUNTRACED), s.pid);
	assert_int_equal(ipc_send_SHOW_END(&ike, 0, &(struct msg_result){ 0 }), RC_OK);
	ipc_link_close(&ike);
	assert_int_equal(ipc_send_RESOURCE(&s.supervisor, 0, &r, 0), RC_OK);
	give_link(&s, PROC_IKE, &ike2);
	assert_int_equal(kill(s.pid, SIGCONT), 0);
	expect(&s, "resource CLI_SOCKET control.sock 1");
	expect(&s, "SHOW_END from ike");
	expect(&s, "lost ike");
	expect(&s, "link ike");
	ipc_link_close(&ike2);
	expect(&s, "lost ike");
	ipc_link_close(&s.supervisor);
	end(&s, 0);
}

static void request(struct stage *s)
{
	assert_int_equal(ipc_send_CLI_REQUEST(&s->cli, 0, &(struct msg_cli_request){ 0 }), RC_OK);
	expect(s, "CLI_REQUEST from cli");
}

static void test_ledger_receipts(void **state)
{
	struct stage s;
	struct ipc_link ledger;
	static struct ipc_frame f;

	begin_started(&s);
	request(&s);
	expect(&s, "refused");
	give_link(&s, PROC_LEDGER, &ledger);
	expect(&s, "link ledger");
	recv_wait(&ledger, &f, RC_OK);
	assert_int_equal(f.u.LEDGER_APPEND.type, 99); /* the gap: one gate was refused */
	request(&s);
	recv_wait(&ledger, &f, RC_OK);
	assert_int_equal(f.u.LEDGER_APPEND.type, 3);
	assert_int_equal(
		ipc_send_LEDGER_RECEIPT(&ledger, f.head.tag, &(struct msg_ledger_receipt){ 0 }), RC_OK);
	expect(&s, "receipt 42 ok");
	request(&s);
	recv_wait(&ledger, &f, RC_OK);
	ipc_link_close(&ledger);
	expect(&s, "receipt 42 not allowed");
	expect(&s, "lost ledger");
	ipc_link_close(&s.supervisor);
	end(&s, 0);
}

/* What peers say before START waits; it is neither lost nor handled too early. */
static void test_nobody_is_heard_before_start(void **state)
{
	struct stage s;
	struct ipc_link ike;

	begin(&s);
	give_link(&s, PROC_IKE, &ike);
	expect(&s, "link ike");
	assert_int_equal(ipc_send_SHOW_END(&ike, 0, &(struct msg_result){ 0 }), RC_OK);
	usleep(50000);
	start(&s, 0);
	expect(&s, "start 0");
	expect(&s, "SHOW_END from ike");
	ipc_link_close(&s.supervisor);
	end(&s, 0);
	ipc_link_close(&ike);
}

static void test_failed_start_ends_the_process(void **state)
{
	struct stage s;
	static struct ipc_frame f;

	begin(&s);
	kill(s.pid, SIGSTOP); /* both are there when it reads */
	start(&s, 13);
	assert_int_equal(ipc_send_SHOW_END(&s.supervisor, 0, &(struct msg_result){ 0 }), RC_OK);
	kill(s.pid, SIGCONT);
	expect(&s, "start 13");
	expect(&s, "stop");
	recv_wait(&s.supervisor, &f, RC_IO); /* no READY */
	end(&s, 1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_life),
		cmocka_unit_test(test_links_come_and_go),
		cmocka_unit_test(test_last_words),
		cmocka_unit_test(test_last_words_after_a_failed_send),
		cmocka_unit_test(test_ledger_receipts),
		cmocka_unit_test(test_nobody_is_heard_before_start),
		cmocka_unit_test(test_failed_start_ends_the_process),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
