/*
 * What control does not do by accident: close everything, or cut off who commits. Over the fixture of
 * test_control.c; with the path of plaingate-control as that process in its sandbox.
 */
#include "control_fixture.h"

#include <fcntl.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#define SSH  "zones { zone a { interfaces e0; host-inbound ssh; } }\n"
#define SHUT "zones { zone a { interfaces e0; host-inbound ping; } }\n"

static void write_running(const char *text)
{
	char path[200];
	FILE *f;

	snprintf(path, sizeof path, "%s/running.conf", dir);
	f = fopen(path, "w");
	assert_non_null(f);
	fputs(text, f);
	fclose(f);
}

static struct ipc_link commit_as(const char *text, uint32_t flags, const char *interface)
{
	struct msg_cli_request q = { .command = CLI_COMMIT, .name = "site.conf", .flags = flags };
	int fd = memory_of(text);

	if (interface) {
		assert_int_equal(addr_parse(&q.from.remote, "192.0.2.7"), RC_OK);
		assert_int_equal(addr_parse(&q.from.local, "192.0.2.1"), RC_OK);
		q.from.local_port = 22;
		snprintf(q.from.interface, sizeof q.from.interface, "%s", interface);
	}
	struct ipc_link l = ask(q, fd);
	close(fd);
	pump();
	return l;
}

static void is_refused(const char *text, const char *why, const char *runs)
{
	struct ipc_link l = commit_as(text, 0, "e0");

	ends(&l, RC_DENIED, why);
	enter(LEDGER_CONFIG_REFUSED, RC_OK, why);
	expect_nothing(&peers[PROC_SUPERVISOR]);
	file_is("running.conf", runs);
}

static void is_taken(struct ipc_link l, uint64_t generation)
{
	enter(LEDGER_CONFIG_COMMIT, RC_OK, "");
	take_all(generation);
	ends(&l, RC_OK, "is running");
}

static void nothing_closes_all_by_accident(void **state)
{
	static const char *const texts[] = { "", "# all gone\n", "system { host-name hq; }\n",
		"zones { zone a { host-inbound ssh; } }\n" };

	commit_good(GOOD, 1);
	for (size_t i = 0; i < COUNT_OF(texts); i++)
		is_refused(texts[i], "site.conf: no zone has an interface", GOOD);
	is_refused("zones { zone a { interfaces e0; } }\n", "site.conf: no rule permits anything", GOOD);
	commit_good(OTHER, 2);
}

static void check_says_the_same(void **state)
{
	struct msg_cli_request q = { .command = CLI_CHECK, .name = "site.conf" };
	int fd = memory_of("");
	struct ipc_link l = ask(q, fd);

	ends(&l, RC_DENIED, "no zone has an interface");
	q.flags = COMMIT_CLOSE_ALL;
	l = ask(q, fd);
	ends(&l, RC_OK, "");
	close(fd);
}

static void all_is_closed_when_it_is_meant(void **state)
{
	struct ipc_link l;

	commit_good(GOOD, 1);
	l = commit_as("", COMMIT_CLOSE_ALL, NULL);
	enter(LEDGER_CONFIG_OVERRIDE, RC_OK,
		"\"generation\":2,\"option\":\"--close-all\",\"warning\":\"site.conf: no zone");
	is_taken(l, 2);
	stop();
	started(2); /* it loads as any other */
	/* What is closed needs no override, and gets no entry. */
	l = commit_as(GOOD, COMMIT_CLOSE_ALL | COMMIT_CUT_OFF, NULL);
	is_taken(l, 3);
}

/* A start with a text that an accident made takes it: closed is what a lost configuration is, too. */
static void emptied_file_is_closed(void **state)
{
	commit_good(GOOD, 1);
	stop();
	write_running("# cut by a full disk\nsystem { host-name hq; }\n");
	started(2);
}

static void who_commits_is_not_cut_off_by_accident(void **state)
{
	struct ipc_link l = commit_as(SSH, 0, "e0");

	is_taken(l, 1);
	is_refused(SHUT,
		"the connection from 192.0.2.7 by which this commit comes would no longer be admitted", SSH);
	is_refused(
		"zones { zone b { interfaces e1; host-inbound ssh; } }", "interface e0 is in no zone", SSH);
	l = commit_as(SHUT, COMMIT_CLOSE_ALL, "e0"); /* the other option says nothing of this */
	ends(&l, RC_DENIED, "--cut-off");
	enter(LEDGER_CONFIG_REFUSED, RC_OK, "");
	l = commit_as(SHUT, COMMIT_CUT_OFF, "e0");
	enter(LEDGER_CONFIG_OVERRIDE, RC_OK,
		"\"option\":\"--cut-off\",\"warning\":\"zone 'a' does not open TCP port 22");
	is_taken(l, 2);
	/* At the console nobody is cut off. */
	l = commit_as(SSH, 0, NULL);
	is_taken(l, 3);
	l = commit_as(SHUT, 0, NULL);
	is_taken(l, 4);
}

/* The text of the request is a stranger's as long as it is not checked. */
static void unsound_connection(void **state)
{
	struct msg_cli_request q = { .command = CLI_COMMIT, .name = "site.conf" };
	int fd = memory_of(SSH);
	struct ipc_link l;

	memset(&q.from, 'x', sizeof q.from);
	l = ask(q, fd);
	is_taken(l, 1);
	q.from.remote.family = q.from.local.family = ADDR_V4;
	close(fd);
	fd = memory_of(SHUT);
	l = ask(q, fd);
	is_taken(l, 2);
	close(fd);
}

/* Whoever may connect may also ask nothing, a hundred times: commits go on. */
static void hanging_clients(void **state)
{
	struct sockaddr_un at = { .sun_family = AF_UNIX };
	int fds[100];

	memcpy(at.sun_path, sock, strlen(sock) + 1);
	for (size_t i = 0; i < COUNT_OF(fds); i++) {
		fds[i] = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);
		assert_int_equal(connect(fds[i], (const struct sockaddr *)&at, sizeof at), 0);
		pump();
	}
	commit_good(GOOD, 1);
	for (size_t i = 0; i < COUNT_OF(fds); i++)
		close(fds[i]);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, fresh, cleared)

int main(int argc, char **argv)
{
	if (!executable_from(argc, argv))
		return 77;
	const struct CMUnitTest tests[] = {
		TEST(nothing_closes_all_by_accident),
		TEST(check_says_the_same),
		TEST(all_is_closed_when_it_is_meant),
		TEST(emptied_file_is_closed),
		TEST(who_commits_is_not_cut_off_by_accident),
		TEST(unsound_connection),
		TEST(hanging_clients),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
