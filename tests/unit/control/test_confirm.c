/*
 * Commits that have to be confirmed, or that are made from a text that must run still; texts of the history.
 * Over the fixture of test_control.c; with the path of plaingate-control
 * as that process in its sandbox. The time is over in a file that says so, at the next start.
 */
#include "control_fixture.h"
#include "crypto/hash.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#define THIRD "zones { zone c { interfaces e0; host-inbound ping; } }\n"

static void commit_unconfirmed(const char *text, uint64_t generation, uint32_t minutes)
{
	struct msg_cli_request q = { .command = CLI_COMMIT, .name = "site.conf", .confirm_minutes = minutes };
	int fd = memory_of(text);
	struct ipc_link l = ask(q, fd);

	close(fd);
	enter(LEDGER_CONFIG_COMMIT, RC_OK, "");
	take_all(generation);
	ends(&l, RC_OK, "unless 'plaingate confirm' is run by 20");
}

static struct ipc_link confirm(void)
{
	struct ipc_link l = ask((struct msg_cli_request){ .command = CLI_CONFIRM }, -1);

	return l;
}

static void is_there(bool wanted)
{
	char path[200];

	snprintf(path, sizeof path, "%s/unconfirmed", dir);
	for (int i = 0; i < 200 && (access(path, F_OK) == 0) != wanted; i++)
		pump();
	assert_int_equal(access(path, F_OK) == 0, wanted);
}

/* As if the machine had been away for longer than that. */
static void time_is_over(void)
{
	static char text[CONFIG_TEXT_MAX + 1000];
	char path[200], *behind_head;
	size_t n;
	FILE *f;

	snprintf(path, sizeof path, "%s/unconfirmed", dir);
	f = fopen(path, "r");
	assert_non_null(f);
	n = fread(text, 1, sizeof text - 1, f);
	fclose(f);
	text[n] = '\0';
	behind_head = strchr(text, '\n') + 1;
	f = fopen(path, "w");
	fprintf(f, "# 1 5\n%s", behind_head);
	fclose(f);
}

static void confirmed(void **state)
{
	struct ipc_link l = confirm();

	ends(&l, RC_NOT_FOUND, "no commit is waiting");
	commit_good(GOOD, 1);
	commit_unconfirmed(OTHER, 2, 5);
	is_there(true);
	l = confirm();
	enter(LEDGER_ADMIN_ACT, RC_IO, "\"act\":\"confirm\""); /* not without the ledger */
	enter(LEDGER_ADMIN_ACT_ABORTED, RC_OK, "");
	ends(&l, RC_DENIED, "so the action was aborted");
	is_there(true);
	l = confirm();
	enter(LEDGER_ADMIN_ACT, RC_OK, "\"detail\":\"generation 2\"");
	ends(&l, RC_OK, "generation 2 is confirmed");
	is_there(false);
	stop();
	started(2);
}

/* What is entered to be confirmed is confirmed, or nothing: not when it goes back before the receipt comes. */
static void confirmed_too_late(void **state)
{
	struct ipc_link l;
	struct msg_ledger_receipt r = { .rc = RC_OK };
	uint64_t tag;

	if (!look_inside())
		skip();
	commit_good(GOOD, 1);
	commit_unconfirmed(OTHER, 2, 5);
	l = confirm();
	tag = expect(&peers[PROC_LEDGER], IPC_LEDGER_APPEND)->head.tag;
	control.unconfirmed.deadline = 0;
	confirm_expire(&child.loop, &control.confirm_timer);
	assert_int_equal(ipc_send_LEDGER_RECEIPT(&peers[PROC_LEDGER], tag, &r), RC_OK);
	ends(&l, RC_AGAIN, "generation 2 is not confirmed: another commit is in progress");
	enter(LEDGER_CONFIG_COMMIT, RC_OK, "not confirmed");
	enter(LEDGER_ADMIN_ACT_ABORTED, RC_OK, "another commit is in progress");
	take_all(3);
	file_is("running.conf", GOOD);
}

/* The next start would take it back all the same. */
static void not_confirmed_while_the_disk_says_otherwise(void **state)
{
	struct ipc_link l;
	char path[200];

	commit_good(GOOD, 1);
	commit_unconfirmed(OTHER, 2, 5);
	snprintf(path, sizeof path, "%s/unconfirmed", dir);
	assert_int_equal(unlink(path), 0);
	assert_int_equal(mkdir(path, 0700), 0); /* what unlink() refuses, as on a disk that is read only */
	l = confirm();
	enter(LEDGER_ADMIN_ACT, RC_OK, "\"detail\":\"generation 2\"");
	enter(LEDGER_ADMIN_ACT_ABORTED, RC_OK, "remove 'unconfirmed'");
	ends(&l, RC_IO, "generation 2 is not confirmed: remove 'unconfirmed'");
	assert_int_equal(rmdir(path), 0);
	l = confirm();
	enter(LEDGER_ADMIN_ACT, RC_OK, "\"detail\":\"generation 2\"");
	ends(&l, RC_OK, "generation 2 is confirmed");
}

/* What ran before it, whatever was committed meanwhile, and over the end of control. */
static void goes_back(void **state)
{
	commit_good(GOOD, 1);
	commit_unconfirmed(OTHER, 2, 5);
	commit_unconfirmed(THIRD, 3, 0); /* confirms nothing */
	commit_unconfirmed(OTHER, 4, 9); /* nor does this: it has its own time, and the same way back */
	expect_nothing(&peers[PROC_LEDGER]);
	stop();
	time_is_over();
	started(4);
	file_is("running.conf", OTHER);
	enter(LEDGER_CONFIG_COMMIT, RC_OK,
		"\"admin\":\"\",\"comment\":\"generation 4 was not confirmed within 5 min\"");
	take_all(5);
	file_is("running.conf", GOOD);
	is_there(false);
	commit_good(THIRD, 6);
}

static void goes_back_when_the_ledger_takes_it(void **state)
{
	commit_good(GOOD, 1);
	commit_unconfirmed(OTHER, 2, 5);
	stop();
	time_is_over();
	started(2);
	enter(LEDGER_CONFIG_COMMIT, RC_IO, "not confirmed");
	enter(LEDGER_CONFIG_REFUSED, RC_OK, "the ledger did not enter the commit");
	file_is("running.conf", OTHER);
	is_there(true);
	if (look_inside()) {
		control.unconfirmed.deadline = 0; /* the pause before the next try is over */
		enter(LEDGER_CONFIG_COMMIT, RC_OK, "not confirmed");
		take_all(3);
		file_is("running.conf", GOOD);
	}
}

/* What a commit takes at the most, the way back takes as well; one byte more is refused with the limit. */
static void goes_back_to_the_longest_text(void **state)
{
	char *text = malloc(CONFIG_TEXT_MAX + 2), path[200];
	struct ipc_link l;
	struct stat st;

	assert_non_null(text);
	memset(text, '#', CONFIG_TEXT_MAX + 1);
	memcpy(text, GOOD, strlen(GOOD));
	text[CONFIG_TEXT_MAX + 1] = '\0';
	l = commit(text);
	enter(LEDGER_CONFIG_REFUSED, RC_OK, "67108865 bytes, at most 67108864 are allowed");
	ends(&l, RC_LIMIT, "the configuration has 67108865 bytes, at most 67108864 are allowed");
	text[CONFIG_TEXT_MAX] = '\0';
	commit_good(text, 1);
	commit_unconfirmed(OTHER, 2, 5);
	commit_unconfirmed(THIRD, 3, 7); /* reads it as well */
	stop();
	time_is_over();
	started(3);
	enter(LEDGER_CONFIG_COMMIT, RC_OK, "not confirmed");
	take_all(4);
	is_there(false);
	snprintf(path, sizeof path, "%s/running.conf", dir);
	assert_int_equal(stat(path, &st), 0);
	assert_int_equal(st.st_size, CONFIG_TEXT_MAX);
	free(text);
}

static void refused_commit_waits_for_nothing(void **state)
{
	struct msg_cli_request q = { .command = CLI_COMMIT, .name = "site.conf", .confirm_minutes = 5 };
	int fd = memory_of(OTHER);
	struct ipc_link l;

	commit_good(GOOD, 1);
	l = ask(q, fd);
	enter(LEDGER_CONFIG_COMMIT, RC_IO, "");
	ends(&l, RC_DENIED, "nothing is changed");
	enter(LEDGER_CONFIG_REFUSED, RC_OK, "");
	is_there(false);
	l = confirm();
	ends(&l, RC_NOT_FOUND, "");
	close(fd);
}

/* Nothing is changed, the time that the one before it has least of all. */
static void failed_commit_lengthens_nothing(void **state)
{
	struct msg_cli_request q = { .command = CLI_COMMIT, .name = "site.conf", .confirm_minutes = 1440 };
	char before[1000] = "", path[200];
	struct ipc_link l;
	FILE *f;
	int fd;

	commit_good(GOOD, 1);
	commit_unconfirmed(OTHER, 2, 5);
	snprintf(path, sizeof path, "%s/unconfirmed", dir);
	f = fopen(path, "r");
	assert_non_null(f);
	before[fread(before, 1, sizeof before - 1, f)] = '\0';
	fclose(f);
	snprintf(path, sizeof path, "%s/running.conf.new", dir);
	assert_int_equal(mkdir(path, 0700), 0);
	fd = memory_of(THIRD);
	l = ask(q, fd);
	close(fd);
	enter(LEDGER_CONFIG_COMMIT, RC_OK, "");
	ends(&l, RC_IO, "so nothing is changed");
	enter(LEDGER_CONFIG_REFUSED, RC_OK, "running.conf.new");
	file_is("unconfirmed", before);
	if (look_inside())
		assert_int_equal(control.unconfirmed.minutes, 5);
	assert_int_equal(rmdir(path), 0);
	commit_unconfirmed(THIRD, 3, 7);
	is_there(true);
	if (look_inside())
		assert_int_equal(control.unconfirmed.minutes, 7);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, fresh, cleared)

/* Texts of the history: those that there are, by their number. */
static void history_is_told(void **state)
{
	struct msg_cli_request q = { .command = CLI_CONFIG, .rollback = 1 };
	char text[200] = "";
	int fd = memory_of("");

	commit_good(GOOD, 1);
	commit_good(OTHER, 2);
	struct ipc_link l = ask(q, fd);
	ends(&l, RC_OK, "rollback 1");
	assert_int_equal(pread(fd, text, sizeof text, 0), strlen(GOOD));
	assert_string_equal(text, GOOD);
	q.rollback = 7;
	l = ask(q, fd);
	ends(&l, RC_NOT_FOUND, "no rollback 7");
	q.rollback = UINT32_MAX;
	l = ask(q, fd);
	ends(&l, RC_RANGE, "50 configurations are kept");
	close(fd);
}

static void row_has(struct ipc_link *l, const char *a, const char *b)
{
	struct ipc_frame *f = expect(l, IPC_CLI_ROW);

	if (!strstr(f->u.CLI_ROW.json, a) || !strstr(f->u.CLI_ROW.json, b))
		fail_msg("%s", f->u.CLI_ROW.json);
}

/* Who committed what, beside each text; where that is lost, the ledger has it. */
static void commits_are_told(void **state)
{
	struct msg_cli_request q = { .command = CLI_SHOW, .show.table = SHOW_COMMITS };
	char path[200];

	commit_good(GOOD, 1);
	commit_good(OTHER, 2);
	commit_good(THIRD, 3);
	snprintf(path, sizeof path, "%s/rollback.2.commit", dir);
	assert_int_equal(unlink(path), 0);
	struct ipc_link l = ask(q, -1);
	row_has(&l, "\"rollback\":0,\"generation\":3,\"time\":\"2", "\"admin\":\"root (console)\"");
	row_has(&l, "\"rollback\":1,\"generation\":2", "\"sha256\":\"");
	row_has(&l, "\"rollback\":2,\"reason\"", "ledger");
	row_has(&l, "\"rollback\":3,\"reason\"", "ledger"); /* the empty one from before the first commit */
	ends(&l, RC_OK, "");
	q.show.limit = 1;
	l = ask(q, -1);
	row_has(&l, "\"rollback\":0", "\"comment\":\"");
	ends(&l, RC_OK, "");
	expect_nothing(&peers[PROC_LEDGER]);
}

/* Over the text that it was made from, and over no other one. */
static void a_commit_over_another_base(void **state)
{
	struct msg_cli_request q = { .command = CLI_COMMIT, .flags = COMMIT_BASE, .name = "candidate" };
	int fd = memory_of(OTHER);

	commit_good(GOOD, 1);
	struct ipc_link l = ask(q, fd);
	ends(&l, RC_STALE, "another configuration has been committed");
	expect_nothing(&peers[PROC_LEDGER]);
	file_is("running.conf", GOOD);
	sha256(q.base, GOOD, strlen(GOOD));
	l = ask(q, fd);
	enter(LEDGER_CONFIG_COMMIT, RC_OK, "");
	take_all(2);
	ends(&l, RC_OK, "generation 2");
	l = ask(q, fd); /* the same again: it is another one that runs now */
	ends(&l, RC_STALE, "generation 2 runs now");
	close(fd);
}

int main(int argc, char **argv)
{
	if (!executable_from(argc, argv))
		return 77;
	const struct CMUnitTest tests[] = {
		TEST(confirmed),
		TEST(confirmed_too_late),
		TEST(not_confirmed_while_the_disk_says_otherwise),
		TEST(goes_back),
		TEST(goes_back_when_the_ledger_takes_it),
		TEST(goes_back_to_the_longest_text),
		TEST(refused_commit_waits_for_nothing),
		TEST(failed_commit_lengthens_nothing),
		TEST(history_is_told),
		TEST(commits_are_told),
		TEST(a_commit_over_another_base),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
