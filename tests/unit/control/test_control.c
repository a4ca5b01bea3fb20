/*
 * control without the other processes: the test is the supervisor, the ledger, the keeper, ike, the data
 * plane and the administrator's program, over real sockets. What is checked is the order of things: nothing
 * happens before the ledger's receipt, a refused commit changes nothing, who may do what, and that answers
 * find their way.
 *
 * Without an argument control's code runs in this process. With the path of plaingate-control it runs as
 * that, in its sandbox (needs root and the users of tools/make-users): the same tests then show that the
 * sandbox leaves it what it needs. Tests that look into its memory are skipped there.
 */
#include "control_fixture.h"

#include <fcntl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

static void receipt_before_act(void **state)
{
	struct ipc_link l = commit(GOOD);

	for (size_t i = 0; i < COUNT_OF(receivers); i++)
		expect_nothing(&peers[receivers[i]]);
	file_is("running.conf", NULL);
	enter(LEDGER_CONFIG_COMMIT, RC_OK, "\"admin\":\"root (console)\"");
	file_is("running.conf", GOOD);
	expect_nothing(&l); /* not before it is taken */
	for (size_t i = 0; i < COUNT_OF(receivers); i++) {
		expect_nothing(&l);
		take_snapshot(receivers[i], 1, true, RC_OK);
	}
	ends(&l, RC_OK, "generation 1 is running");
}

static void next_row_is(struct ipc_link *l, const char *json)
{
	struct ipc_frame *f = expect(l, IPC_CLI_ROW);

	assert_true(f->u.CLI_ROW.n < sizeof f->u.CLI_ROW.json);
	f->u.CLI_ROW.json[f->u.CLI_ROW.n] = '\0';
	if (strncmp(f->u.CLI_ROW.json, json, strlen(json)) != 0)
		fail_msg("not '%s' but '%s'", json, f->u.CLI_ROW.json);
}

/* Each fault comes with its place, more of them than the answer itself has room for. */
static void all_faults_are_told(void **state)
{
	static const char head[] = "zones { zone a { interfaces e0; } }\npolicy {\n";
	char text[8000], row[100];
	struct ipc_link l;
	size_t n = (size_t)snprintf(text, sizeof text, "%s", head);

	for (int i = 0; i < 25; i++)
		n += (size_t)snprintf(text + n, sizeof text - n, " from a to none%d { }\n", i);
	snprintf(text + n, sizeof text - n, "}\n");
	for (int again = 0; again < 2; again++) {
		int fd = memory_of(text);
		l = again ? commit(text)
			  : ask((struct msg_cli_request){ .command = CLI_CHECK, .name = "site.conf" }, fd);
		close(fd);
		for (int i = 0; i < FAULTS_KEPT; i++) {
			snprintf(row, sizeof row,
				"{\"line\":%d,\"column\":12,\"text\":\"found 'none%d', expected the name of a zone",
				i + 3, i);
			next_row_is(&l, row);
		}
		next_row_is(&l, "{\"text\":\"5 more\"}");
		ends(&l, RC_MALFORMED, "\n19 more"); /* which have no room here */
	}
	enter(LEDGER_CONFIG_REFUSED, RC_OK, "site.conf:3:12");
}

static void refused_text_changes_nothing(void **state)
{
	struct ipc_link l = commit("zones {\n  zoen a { }\n}");

	next_row_is(&l, "{\"line\":2,\"column\":3,\"text\":\"found 'zoen'");
	ends(&l, RC_MALFORMED, "site.conf:2:3: found 'zoen'");
	enter(LEDGER_CONFIG_REFUSED, RC_OK, "site.conf:2:3");
	for (size_t i = 0; i < COUNT_OF(receivers); i++)
		expect_nothing(&peers[receivers[i]]);
	file_is("running.conf", NULL);
	commit_good(GOOD, 1);
}

static void refused_entry_changes_nothing(void **state)
{
	struct ipc_link l = commit(GOOD);

	enter(LEDGER_CONFIG_COMMIT, RC_IO, "");
	ends(&l, RC_DENIED, "the disk is full");
	file_is("running.conf", NULL);
	enter(LEDGER_CONFIG_REFUSED, RC_OK, "so nothing is changed");
	expect_nothing(&peers[PROC_DATAPLANE]);
}

static void no_ledger_no_commit(void **state)
{
	struct ipc_link l;

	ipc_link_close(&peers[PROC_LEDGER]);
	pump();
	l = commit(GOOD);
	ends(&l, RC_DENIED, "the ledger is not running, so nothing is changed");
	file_is("running.conf", NULL);
	expect_nothing(&peers[PROC_DATAPLANE]);
	/* It comes back: the gap is stated, the refusal follows. */
	give_link(PROC_LEDGER);
	enter(LEDGER_LEDGER_OUTAGE, RC_OK, "\"refused\":1");
	enter(LEDGER_CONFIG_REFUSED, RC_OK, "the ledger is not running");
	commit_good(GOOD, 1);
}

static void ledger_dies_under_a_commit(void **state)
{
	struct ipc_link l = commit(GOOD);

	expect(&peers[PROC_LEDGER], IPC_LEDGER_APPEND);
	ipc_link_close(&peers[PROC_LEDGER]);
	ends(&l, RC_DENIED, "nothing is changed");
	file_is("running.conf", NULL);
	expect_nothing(&peers[PROC_DATAPLANE]);
}

static void disk_refuses_the_text(void **state)
{
	struct ipc_link l;

	/* A directory in the way: the file cannot be made. */
	char path[200];

	snprintf(path, sizeof path, "%s/running.conf.new", dir);
	assert_int_equal(mkdir(path, 0700), 0);
	l = commit(GOOD);
	enter(LEDGER_CONFIG_COMMIT, RC_OK, "");
	ends(&l, RC_IO, "so nothing is changed");
	enter(LEDGER_CONFIG_REFUSED, RC_OK, "running.conf.new");
	expect_nothing(&peers[PROC_DATAPLANE]);
	assert_int_equal(rmdir(path), 0);
	commit_good(GOOD, 1); /* the number was not used */
}

/* Room for the new text, and none for the copy of the old one: the way back that there is stays. */
static void disk_refuses_the_history(void **state)
{
	struct ipc_link l;
	char path[200];

	commit_good(GOOD, 1);
	commit_good(OTHER, 2);
	snprintf(path, sizeof path, "%s/rollback.1.new", dir);
	assert_int_equal(mkdir(path, 0700), 0);
	for (int i = 0; i < 2; i++) {
		l = commit(GOOD);
		enter(LEDGER_CONFIG_COMMIT, RC_OK, "");
		ends(&l, RC_IO, "so nothing is changed");
		enter(LEDGER_CONFIG_REFUSED, RC_OK, "rollback.1.new");
		file_is("running.conf", OTHER);
		file_is("rollback.1", GOOD);
		file_is("running.conf.new", NULL);
	}
	assert_int_equal(rmdir(path), 0);
	commit_good(GOOD, 3);
	file_is("rollback.1", OTHER);
	file_is("rollback.2", GOOD);
}

static void one_commit_at_a_time(void **state)
{
	struct ipc_link first = commit(GOOD), second = commit(OTHER);

	ends(&second, RC_AGAIN, "another commit");
	enter(LEDGER_CONFIG_COMMIT, RC_OK, "");
	take_all(1);
	ends(&first, RC_OK, "generation 1");
}

static void client_goes_commit_stays(void **state)
{
	struct ipc_link l = commit(GOOD);

	ipc_link_close(&l);
	pump();
	enter(LEDGER_CONFIG_COMMIT, RC_OK, "");
	take_all(1);
	pump();
	file_is("running.conf", GOOD);
	commit_good(OTHER, 2);
}

static void history_is_bounded(void **state)
{
	for (uint64_t i = 1; i <= ROLLBACKS_MAX + 3; i++)
		commit_good(i % 2 ? GOOD : OTHER, i);
	file_is("rollback.50", GOOD);
	file_is("rollback.51", NULL);
}

static void history_and_restart(void **state)
{
	commit_good(GOOD, 1);
	commit_good(OTHER, 2);
	commit_good(GOOD, 3);
	file_is("running.conf", GOOD);
	file_is("rollback.1", OTHER);
	file_is("rollback.2", GOOD);
	stop();
	started(3); /* the same text is the same generation */
	stop();
	/* Changed by hand: it runs, as another generation, and its load is entered. */
	{
		char path[200];
		FILE *f;
		snprintf(path, sizeof path, "%s/running.conf", dir);
		f = fopen(path, "w");
		fputs(OTHER, f);
		fclose(f);
	}
	started(4);
}

static void broken_file_denies_all(void **state)
{
	char path[200];
	FILE *f;

	stop();
	snprintf(path, sizeof path, "%s/running.conf", dir);
	f = fopen(path, "w");
	fputs("zones { zone any; }", f);
	fclose(f);
	start();
	take_all(1);
	enter(LEDGER_CONFIG_REFUSED, RC_OK, "running.conf:1:14");
	enter(LEDGER_CONFIG_LOAD, RC_OK, "\"generation\":1");
	if (look_inside()) {
		const struct snapshot *s = (const struct snapshot *)control.running.block;

		/* Nobody passes, and no zone has a service. */
		assert_int_equal(s->rules.count, 0);
		assert_int_equal(s->zones.count, 0);
	}
}

static void taker_refuses(void **state)
{
	struct ipc_link l = commit(GOOD);

	enter(LEDGER_CONFIG_COMMIT, RC_OK, "");
	take_snapshot(PROC_SUPERVISOR, 1, true, RC_OK);
	take_snapshot(PROC_KEEPER, 1, true, RC_OK);
	take_snapshot(PROC_IKE, 1, true, RC_LIMIT);
	take_snapshot(PROC_DATAPLANE, 1, true, RC_OK);
	ends(&l, RC_INTERNAL, "ike: no room");
}

static void taker_is_silent(void **state)
{
	struct ipc_link l = commit(GOOD);

	enter(LEDGER_CONFIG_COMMIT, RC_OK, "");
	take_snapshot(PROC_SUPERVISOR, 1, true, RC_OK);
	take_snapshot(PROC_KEEPER, 1, false, RC_OK);
	take_snapshot(PROC_IKE, 1, true, RC_OK);
	take_snapshot(PROC_DATAPLANE, 1, true, RC_OK);
	expect_nothing(&l);
	if (look_inside()) {
		control.taken_deadline = child.loop.now; /* the time is over */
		usleep(120000);
	} else {
		sleep(TAKEN_WAIT_NS / NS_PER_S);
	}
	ends(&l, RC_AGAIN, "keeper did not take it in time");
}

static void taker_dies_and_comes_back(void **state)
{
	struct ipc_link l = commit(GOOD);

	enter(LEDGER_CONFIG_COMMIT, RC_OK, "");
	take_snapshot(PROC_SUPERVISOR, 1, true, RC_OK);
	take_snapshot(PROC_KEEPER, 1, true, RC_OK);
	take_snapshot(PROC_IKE, 1, true, RC_OK);
	ipc_link_close(&peers[PROC_DATAPLANE]);
	ends(&l, RC_OK, "loaded by supervisor, keeper, ike)");
	give_link(PROC_DATAPLANE);
	take_snapshot(PROC_DATAPLANE, 1, true, RC_OK);
}

static void show_goes_to_its_owner(void **state)
{
	struct msg_cli_request q = { .command = CLI_SHOW, .show = { .table = SHOW_IKE, .limit = 3 } };
	struct msg_row row = { .n = 9, .json = "{\"a\":\"b\"}" }, foreign = { .n = 2, .json = "{}" };
	struct msg_result end = { .rc = RC_OK, .count = 1 };
	struct ipc_link l = ask(q, -1);
	struct ipc_frame *f = expect(&peers[PROC_IKE], IPC_SHOW);
	uint64_t tag = f->head.tag;

	assert_int_equal(f->u.SHOW.limit, 3);
	expect_nothing(&peers[PROC_DATAPLANE]);
	/* The data plane cannot answer for ike. */
	assert_int_equal(ipc_send_SHOW_ROW(&peers[PROC_DATAPLANE], tag, &foreign), RC_OK);
	assert_int_equal(ipc_send_SHOW_END(&peers[PROC_DATAPLANE], tag, &end), RC_OK);
	expect_nothing(&l);
	assert_int_equal(ipc_send_SHOW_ROW(&peers[PROC_IKE], tag, &row), RC_OK);
	f = expect(&l, IPC_CLI_ROW);
	assert_int_equal(f->u.CLI_ROW.n, 9);
	assert_memory_equal(f->u.CLI_ROW.json, row.json, 9);
	assert_int_equal(ipc_send_SHOW_END(&peers[PROC_IKE], tag, &end), RC_OK);
	ends(&l, RC_OK, "");

	l = ask(q, -1);
	expect(&peers[PROC_IKE], IPC_SHOW);
	ipc_link_close(&peers[PROC_IKE]);
	ends(&l, RC_AGAIN, "ike ended before it answered");
	l = ask(q, -1);
	ends(&l, RC_AGAIN, "ike is not running");
	q.show.table = SHOW_TEST_POLICY + 1;
	l = ask(q, -1);
	ends(&l, RC_NOT_FOUND, "no such table");
}

static void acts_are_entered_first(void **state)
{
	struct msg_cli_request q = { .command = CLI_CLEAR_SESSIONS,
		.show.filter = { .proto = 6, .dport = { 443, 443 } } };
	struct msg_result end = { .rc = RC_OK, .count = 4, .text = "4 sessions ended" };
	struct ipc_link l = ask(q, -1);
	struct ipc_frame *f;
	char text[128];
	uint64_t tag;

	expect_nothing(&peers[PROC_DATAPLANE]);
	enter(LEDGER_ADMIN_ACT, RC_OK, "port 443");
	f = expect(&peers[PROC_DATAPLANE], IPC_CLEAR_SESSIONS);
	assert_int_equal(f->u.CLEAR_SESSIONS.dport.first, 443);
	assert_int_equal(ipc_send_CLEARED(&peers[PROC_DATAPLANE], f->head.tag, &end), RC_OK);
	ends(&l, RC_OK, "4 sessions ended");

	q = (struct msg_cli_request){ .command = CLI_IKE, .ike_command = IKE_TERMINATE, .name = "branch" };
	l = ask(q, -1);
	enter(LEDGER_ADMIN_ACT, RC_IO, "terminate branch");
	enter(LEDGER_ADMIN_ACT_ABORTED, RC_OK, "\"entry\":3,\"reason\":\"the disk is full\"");
	ends(&l, RC_DENIED, "the action was aborted");
	expect_nothing(&peers[PROC_IKE]);
	l = ask(q, -1);
	enter(LEDGER_ADMIN_ACT, RC_OK, "\"act\":\"ike\"");
	f = expect(&peers[PROC_IKE], IPC_IKE_COMMAND);
	assert_string_equal(f->u.IKE_COMMAND.name, "branch");
	assert_int_equal(ipc_send_IKE_COMMANDED(
				 &peers[PROC_IKE], f->head.tag, &(struct msg_result){ .rc = RC_NOT_FOUND }),
		RC_OK);
	ends(&l, RC_NOT_FOUND, "");
	/* The administrator goes away before the receipt comes. */
	l = ask(q, -1);
	f = expect(&peers[PROC_LEDGER], IPC_LEDGER_APPEND);
	tag = f->head.tag;
	snprintf(text, sizeof text, "\"entry\":%llu,\"reason\":\"the client disconnected\"",
		(unsigned long long)f->u.LEDGER_APPEND.n);
	ipc_link_close(&l);
	pump();
	enter(LEDGER_ADMIN_ACT_ABORTED, RC_OK, text);
	assert_int_equal(ipc_send_LEDGER_RECEIPT(
				 &peers[PROC_LEDGER], tag, &(struct msg_ledger_receipt){ .rc = RC_OK }),
		RC_OK);
	pump();
	expect_nothing(&peers[PROC_IKE]);
	q.ike_command = 99;
	l = ask(q, -1);
	ends(&l, RC_MALFORMED, "");
}

/* Its memory goes on with the request after the entry, which has stages and filter; one at a time; it ends with its client. */
static void captures(void **state)
{
	struct msg_cli_request q = {
		.command = CLI_CAPTURE, .stages = 5, .packets = { .n = 1, .list = { { .proto = 6 } } }
	};
	struct msg_result refused = { .rc = RC_MALFORMED, .text = "no memory" };
	struct ipc_link l = ask(q, -1), second;
	struct ipc_frame *f;

	expect_nothing(&peers[PROC_DATAPLANE]); /* before its entry */
	enter(LEDGER_ADMIN_ACT, RC_OK,
		"\"act\":\"capture\",\"admin\":\"root (console)\",\"detail\":\"received decrypted: --proto 6\"");
	f = expect(&peers[PROC_DATAPLANE], IPC_CAPTURE);
	assert_int_equal(f->u.CAPTURE.stages, 5);
	assert_int_equal(f->u.CAPTURE.packets.list[0].proto, 6);
	second = ask(q, -1);
	ends(&second, RC_AGAIN, "another capture");
	ipc_link_close(&l);
	expect(&peers[PROC_DATAPLANE], IPC_CAPTURE_END);
	/* The data plane does not take the memory. */
	l = ask(q, -1);
	enter(LEDGER_ADMIN_ACT, RC_OK, "");
	f = expect(&peers[PROC_DATAPLANE], IPC_CAPTURE);
	assert_int_equal(ipc_send_CAPTURE_ENDED(&peers[PROC_DATAPLANE], f->head.tag, &refused), RC_OK);
	ends(&l, RC_MALFORMED, "no memory");
	/* Without the entry there is none. */
	l = ask(q, -1);
	enter(LEDGER_ADMIN_ACT, RC_IO, "");
	ends(&l, RC_DENIED, "aborted");
	expect_nothing(&peers[PROC_DATAPLANE]);
	q.stages = 8;
	l = ask(q, -1);
	ends(&l, RC_MALFORMED, "expected stages");
}

static void traces(void **state)
{
	struct msg_cli_request q = { .command = CLI_TRACE, .packets = { .count = 2 } };
	struct msg_row line = { .n = 2, .json = "{}" }, last = { .n = 0 };
	struct ipc_link l = ask(q, -1), second;
	struct ipc_frame *f;
	uint64_t tag;

	enter(LEDGER_ADMIN_ACT, RC_OK, "\"act\":\"trace\"");
	f = expect(&peers[PROC_DATAPLANE], IPC_TRACE);
	tag = f->head.tag;
	assert_int_equal(f->u.TRACE.count, 2);
	second = ask(q, -1);
	ends(&second, RC_AGAIN, "another trace");
	assert_int_equal(ipc_send_TRACE_LINE(&peers[PROC_DATAPLANE], tag, &line), RC_OK);
	expect(&l, IPC_CLI_ROW);
	assert_int_equal(ipc_send_TRACE_LINE(&peers[PROC_DATAPLANE], tag, &last), RC_OK);
	ends(&l, RC_OK, "done");
	expect_nothing(&peers[PROC_DATAPLANE]);

	/* The administrator goes away: the data plane is told to stop. */
	l = ask(q, -1);
	enter(LEDGER_ADMIN_ACT, RC_OK, "");
	expect(&peers[PROC_DATAPLANE], IPC_TRACE);
	ipc_link_close(&l);
	f = expect(&peers[PROC_DATAPLANE], IPC_TRACE);
	assert_int_equal(f->u.TRACE.count, 0);
}

/* Somebody who is not root may connect when the socket's mode lets him, and may look only. */
static void others_may_only_look(void **state)
{
	static const uint32_t acts[] = { CLI_COMMIT, CLI_CLEAR_SESSIONS, CLI_TRACE, CLI_IKE, CLI_CONFIRM,
		CLI_CAPTURE };

	if (geteuid() != 0)
		skip();
	for (size_t i = 0; i < COUNT_OF(acts); i++) {
		struct msg_cli_request q = { .command = acts[i], .packets.count = 1 };
		struct ipc_link l;
		/* The kernel notes who connects: as somebody else for that moment. */
		chmod(dir, 0755);
		chmod(sock, 0666);
		assert_int_equal(seteuid(65534), 0);
		l = ask(q, -1);
		assert_int_equal(seteuid(0), 0);
		ends(&l, RC_DENIED, "uid 65534, who is no administrator, has the role read-only");
		enter(LEDGER_ADMIN_REFUSED, RC_OK, "\"admin\":\"uid 65534\"");
	}
	assert_int_equal(seteuid(65534), 0);
	struct ipc_link l =
		ask((struct msg_cli_request){ .command = CLI_SHOW, .show.table = SHOW_LEDGER }, -1);
	assert_int_equal(seteuid(0), 0);
	expect(&peers[PROC_LEDGER], IPC_SHOW);
	ipc_link_close(&l);
}

static void configuration_is_told(void **state)
{
	struct msg_cli_request q = { .command = CLI_CONFIG };
	char text[200] = "";
	struct ipc_link l;
	int fd = memory_of("");

	commit_good(GOOD, 1);
	l = ask(q, fd);
	ends(&l, RC_OK, "generation 1");
	assert_int_equal(pread(fd, text, sizeof text, 0), strlen(GOOD));
	assert_string_equal(text, GOOD);
	close(fd);
}

static void too_many_and_too_much(void **state)
{
	struct msg_cli_request q = { .command = CLI_SHOW, .show.table = SHOW_SESSIONS };
	struct ipc_link l[CLIENTS_MAX];
	struct ipc_frame f;
	enum rc rc = RC_AGAIN;

	for (int i = 0; i < CLIENTS_MAX; i++) {
		l[i] = ask(q, -1);
		expect(&peers[PROC_DATAPLANE], IPC_SHOW);
	}
	assert_true(ask_in_vain(q, PROC_DATAPLANE));
	/* A second request on one connection ends it. */
	assert_int_equal(ipc_send_CLI_REQUEST(&l[0], 1, &q), RC_OK);
	for (int i = 0; i < 500 && rc == RC_AGAIN; i++) {
		pump();
		rc = ipc_recv(&l[0], &f, NULL);
	}
	assert_int_equal(rc, RC_IO);
	for (int i = 0; i < CLIENTS_MAX; i++)
		ipc_link_close(&l[i]);
	pump();
	/* The executable may not have seen them close yet. */
	for (int i = 0; i < 500 && ask_in_vain(q, PROC_DATAPLANE); i++)
		assert_true(executable && i < 499);
}

/* A table in pieces: the next one is asked for where the last one ended, up to the limit; the client sees one
 * table. */
static void a_table_in_pieces(void **state)
{
	struct msg_cli_request q = { .command = CLI_SHOW, .show = { .table = SHOW_IKE, .limit = 10 } };
	struct msg_row row = { .n = 5, .json = "{}\n{}" };
	struct msg_result end = { .rc = RC_OK, .count = 4, .next = 4096 };
	struct ipc_link l = ask(q, -1);
	struct ipc_frame *f;

	for (uint32_t i = 0; i < 3; i++) {
		f = expect(&peers[PROC_IKE], IPC_SHOW);
		assert_int_equal(f->u.SHOW.from, i * 4096);
		assert_int_equal(f->u.SHOW.limit, 10 - 4 * i);
		uint64_t tag = f->head.tag;
		assert_int_equal(ipc_send_SHOW_ROW(&peers[PROC_IKE], tag, &row), RC_OK);
		end.next = (i + 1) * 4096;
		end.count = i < 2 ? 4 : 2;
		assert_int_equal(ipc_send_SHOW_END(&peers[PROC_IKE], tag, &end), RC_OK);
		expect(&l, IPC_CLI_ROW);
	}
	ends(&l, RC_OK, "");
	expect_nothing(&peers[PROC_IKE]);
}

/* An owner whose table comes back to where it was: the client has an end all the same. */
static void a_table_without_end(void **state)
{
	struct msg_cli_request q = { .command = CLI_SHOW, .show = { .table = SHOW_IKE } };
	struct msg_result end = { .rc = RC_OK, .next = 7 };
	struct ipc_link l = ask(q, -1);

	for (int i = 0; i < 2; i++) {
		uint64_t tag = expect(&peers[PROC_IKE], IPC_SHOW)->head.tag;
		assert_int_equal(ipc_send_SHOW_END(&peers[PROC_IKE], tag, &end), RC_OK);
	}
	ends(&l, RC_INTERNAL, "the answer of ike does not advance");
	expect_nothing(&peers[PROC_IKE]);
}

/* Pieces of its table come until the first client has to take something. How many. */
static unsigned pieces_until_paused(void)
{
	static struct msg_row row = { .n = ROW_MAX };
	struct msg_result end = { .rc = RC_OK, .count = 1 };
	unsigned pieces = 0;

	memset(row.json, ' ', sizeof row.json);
	for (; control.clients[0].work != CLIENT_PAUSED && pieces < 1000; pieces++) {
		uint64_t tag = expect(&peers[PROC_DATAPLANE], IPC_SHOW)->head.tag;
		end.next = pieces + 1;
		assert_int_equal(ipc_send_SHOW_ROW(&peers[PROC_DATAPLANE], tag, &row), RC_OK);
		assert_int_equal(ipc_send_SHOW_END(&peers[PROC_DATAPLANE], tag, &end), RC_OK);
		pump();
	}
	assert_int_equal(control.clients[0].work, CLIENT_PAUSED);
	return pieces;
}

/* All places are taken: whose turn it has been for longest makes room, and that is not who has just come. */
static void who_stands_still_makes_room(void **state)
{
	if (!look_inside())
		skip();
	struct msg_cli_request q = { .command = CLI_SHOW, .show.table = SHOW_SESSIONS };
	struct sockaddr_un at = { .sun_family = AF_UNIX };
	int fds[CLIENTS_MAX];
	struct ipc_link l = ask(q, -1);

	pieces_until_paused();
	memcpy(at.sun_path, sock, strlen(sock) + 1);
	for (size_t i = 1; i < CLIENTS_MAX; i++) {
		fds[i] = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);
		assert_int_equal(connect(fds[i], (const struct sockaddr *)&at, sizeof at), 0);
		pump();
		assert_int_equal(control.clients[i].work, CLIENT_NEW);
	}
	struct ipc_link other = ask(q, -1);
	uint64_t tag = expect(&peers[PROC_DATAPLANE], IPC_SHOW)->head.tag;
	assert_int_equal(
		control.clients[0].work, CLIENT_RELAY); /* it has the place of the one that stood still */
	for (size_t i = 1; i < CLIENTS_MAX; i++)
		assert_int_equal(control.clients[i].work, CLIENT_NEW);
	assert_int_equal(ipc_send_SHOW_END(&peers[PROC_DATAPLANE], tag, &(struct msg_result){ 0 }), RC_OK);
	ends(&other, RC_OK, "");
	ipc_link_close(&l);
	/* A user with many places makes room, whoever has waited longer. */
	pump();
	assert_int_equal(control.clients[0].work, CLIENT_FREE);
	fds[0] = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);
	assert_int_equal(connect(fds[0], (const struct sockaddr *)&at, sizeof at), 0);
	pump();
	for (size_t i = 2; i < CLIENTS_MAX; i++)
		control.clients[i].uid = 1000;
	other = ask(q, -1);
	tag = expect(&peers[PROC_DATAPLANE], IPC_SHOW)->head.tag;
	assert_int_equal(control.clients[1].work, CLIENT_NEW);
	assert_int_equal(control.clients[2].work, CLIENT_RELAY);
	assert_int_equal(ipc_send_SHOW_END(&peers[PROC_DATAPLANE], tag, &(struct msg_result){ 0 }), RC_OK);
	ends(&other, RC_OK, "");
	close(fds[0]);
	for (size_t i = 1; i < CLIENTS_MAX; i++)
		close(fds[i]);
}

/* Between two pieces a client may stand still, as a pager does: its owner is not asked meanwhile, and others
 * are served. */
static void a_client_that_pauses(void **state)
{
	if (!look_inside())
		skip();
	struct msg_cli_request q = { .command = CLI_SHOW, .show.table = SHOW_SESSIONS };
	struct ipc_link l = ask(q, -1), other;
	struct ipc_frame f;
	struct err e = { 0 };
	unsigned pieces = pieces_until_paused(), rows = 0;

	relay_tick(&control);
	expect_nothing(&peers[PROC_DATAPLANE]);
	assert_false(control.held[PROC_DATAPLANE]);
	other = ask(q, -1);
	uint64_t tag = expect(&peers[PROC_DATAPLANE], IPC_SHOW)->head.tag;
	assert_int_equal(ipc_send_SHOW_END(&peers[PROC_DATAPLANE], tag, &(struct msg_result){ 0 }), RC_OK);
	ends(&other, RC_OK, "");
	while (rows < pieces) { /* it goes on */
		pump();
		rows += ipc_recv(&l, &f, &e) == RC_OK;
	}
	relay_tick(&control);
	tag = expect(&peers[PROC_DATAPLANE], IPC_SHOW)->head.tag;
	assert_int_equal(ipc_send_SHOW_END(&peers[PROC_DATAPLANE], tag, &(struct msg_result){ 0 }), RC_OK);
	ends(&l, RC_OK, "");
}

/* A client that does not read: its owner is held back, then the client is given up and the owner read again.
 */
static void slow_client(void **state)
{
	if (!look_inside())
		skip();
	struct msg_cli_request q = { .command = CLI_SHOW, .show.table = SHOW_SESSIONS };
	struct msg_row row = { .n = 2, .json = "{}" };
	struct ipc_link l = ask(q, -1);
	uint64_t tag = expect(&peers[PROC_DATAPLANE], IPC_SHOW)->head.tag;
	unsigned sent = 0;

	for (int i = 0; i < 400 && !control.held[PROC_DATAPLANE]; i++) {
		for (int j = 0; j < 20 && !ipc_link_waiting(&peers[PROC_DATAPLANE]); j++, sent++)
			assert_int_equal(ipc_send_SHOW_ROW(&peers[PROC_DATAPLANE], tag, &row), RC_OK);
		ipc_flush(&peers[PROC_DATAPLANE]);
		pump();
		relay_tick(&control);
	}
	assert_true(control.held[PROC_DATAPLANE]);
	assert_true(sent > 100);
	for (int i = 0; i < CLIENTS_MAX; i++) {
		if (control.clients[i].full_since)
			control.clients[i].full_since -= 6 * NS_PER_S;
	}
	relay_tick(&control);
	assert_false(control.held[PROC_DATAPLANE]);
	usleep(120000);
	pump();
	ipc_link_close(&l);
	ipc_flush(&peers[PROC_DATAPLANE]);
	pump();
	l = ask(q, -1);
	expect(&peers[PROC_DATAPLANE], IPC_SHOW);
	ipc_link_close(&l);
}

/* ---- the administrator's program itself, against the executable ---- */

static const char *program; /* NULL: not given */
static int program_out;
static pid_t program_pid;

static void program_run(const char *const *words)
{
	char *argv[12] = { strdup("plaingate"), strdup("--socket"), sock };
	int pipes[2], n = 3;

	assert_int_equal(pipe2(pipes, O_CLOEXEC), 0);
	while (*words && n < 11)
		argv[n++] = strdup(*words++);
	program_pid = fork();
	assert_true(program_pid >= 0);
	if (program_pid == 0) {
		dup2(pipes[1], 1);
		dup2(pipes[1], 2);
		execv(program, argv);
		_exit(127);
	}
	close(pipes[1]);
	program_out = pipes[0];
	for (int i = 0; i < n; i++) {
		if (i != 2)
			free(argv[i]);
	}
}

static void program_says(int want_status, const char *says)
{
	char text[2000] = "";
	size_t n = 0;
	ssize_t part;
	int status = 0;

	while ((part = read(program_out, text + n, sizeof text - 1 - n)) > 0)
		n += (size_t)part;
	close(program_out);
	assert_int_equal(waitpid(program_pid, &status, 0), program_pid);
	if (!WIFEXITED(status) || WEXITSTATUS(status) != want_status || !strstr(text, says))
		fail_msg("status %d and '%s' expected; not 0x%x and: %s", want_status, says, (unsigned)status,
			text);
}

#define PROGRAM(...) program_run((const char *const[]){ __VA_ARGS__, NULL })

static void write_text(const char *path, const char *text)
{
	FILE *f = fopen(path, "w");

	assert_non_null(f);
	fputs(text, f);
	fclose(f);
}

static void the_program(void **state)
{
	struct msg_row row = { .n = 26, .json = "{\"peer\":\"b\",\"state\":\"up\"}" };
	struct msg_result end = { .rc = RC_OK };
	char path[200];
	uint64_t tag;

	if (!program)
		skip();
	snprintf(path, sizeof path, "%s/site.conf", dir);
	write_text(path, GOOD);
	PROGRAM("commit", path, "--comment", "a reason");
	enter(LEDGER_CONFIG_COMMIT, RC_OK, "\"comment\":\"a reason\"");
	take_all(1);
	program_says(0, "generation 1 is running");
	PROGRAM("show", "configuration");
	program_says(0, GOOD);
	PROGRAM("show", "configuration", "--json");
	program_says(0, "[\n{\"line\":1,\"text\":\"zones { zone a");
	write_text(path, "zones {\n}}");
	PROGRAM("commit", path);
	enter(LEDGER_CONFIG_REFUSED, RC_OK, "site.conf:2:2");
	program_says(1, "plaingate: site.conf:2:2: found '}'");
	write_text(path,
		"zones {\n zone a { interfaces e0; }\n}\npolicy {\n from b to a { }\n from c to a { }\n}\n");
	for (int json = 0; json < 2; json++) {
		PROGRAM("commit", path, json ? "--json" : NULL);
		enter(LEDGER_CONFIG_REFUSED, RC_OK, "site.conf:5:7");
		program_says(1,
			json ? "[\n{\"kind\":\"error\",\"text\":\"found 'b', expected the name of a zone that "
			       "exists (a)\",\"line\":5,\"column\":7},\n{\"kind\":\"error\",\"text\":\"found 'c'"
			     : "plaingate: site.conf:5:7: found 'b', expected the name of a zone that exists (a)\n"
			       "plaingate: site.conf:6:7: found 'c'");
	}
	for (int json = 0; json < 2; json++) {
		PROGRAM("show", "ike", json ? "--json" : NULL);
		tag = expect(&peers[PROC_IKE], IPC_SHOW)->head.tag;
		assert_int_equal(ipc_send_SHOW_ROW(&peers[PROC_IKE], tag, &row), RC_OK);
		assert_int_equal(ipc_send_SHOW_END(&peers[PROC_IKE], tag, &end), RC_OK);
		program_says(
			0, json ? "[\n{\"peer\":\"b\",\"state\":\"up\"}\n]\n" : "peer  state\nb     up\n");
	}
	ipc_link_close(&peers[PROC_IKE]);
	pump();
	PROGRAM("show", "ike");
	program_says(1, "ike is not running");
	PROGRAM("show");
	program_says(2, "show needs TABLE");
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, fresh, cleared)

int main(int argc, char **argv)
{
	program = argc > 2 ? argv[2] : NULL;
	if (!executable_from(argc, argv))
		return 77;
	const struct CMUnitTest tests[] = {
		TEST(receipt_before_act),
		TEST(refused_text_changes_nothing),
		TEST(all_faults_are_told),
		TEST(refused_entry_changes_nothing),
		TEST(no_ledger_no_commit),
		TEST(ledger_dies_under_a_commit),
		TEST(disk_refuses_the_text),
		TEST(disk_refuses_the_history),
		TEST(one_commit_at_a_time),
		TEST(client_goes_commit_stays),
		TEST(history_is_bounded),
		TEST(history_and_restart),
		TEST(broken_file_denies_all),
		TEST(taker_refuses),
		TEST(taker_is_silent),
		TEST(taker_dies_and_comes_back),
		TEST(show_goes_to_its_owner),
		TEST(acts_are_entered_first),
		TEST(traces),
		TEST(captures),
		TEST(others_may_only_look),
		TEST(configuration_is_told),
		TEST(too_many_and_too_much),
		TEST(a_table_in_pieces),
		TEST(a_table_without_end),
		TEST(a_client_that_pauses),
		TEST(who_stands_still_makes_room),
		TEST(slow_client),
		TEST(the_program),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
