/*
 * Who may ask control for what: each role for each command, what a commit changes, and the ways around that. Over the fixture of test_control.c; with
 * the path of plaingate-control as that process in its sandbox. Needs root: the kernel notes who connects.
 */
#include "control_fixture.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#define KEYS                                                                                                             \
	"key [ "                                                                                                         \
	"\""                                                                                                             \
	"ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIBjz1RVFmSG5ns3cfjse+7qpZlEXRnTeDgonBTefaAvT a"                             \
	"\""                                                                                                             \
	" "                                                                                                              \
	"\""                                                                                                             \
	"ecdsa-sha2-nistp521 AAAAE2VjZHNhLXNoYTItbmlzdHA1MjEAAAAIbmlzdHA1MjEAAACFBABLAixvdmbJKIX2EPoAqnkKMrGs/6WJVuckmI" \
	"IQG6A2ON17h9OfPrcedbJh7ko2mMsYoKsaO+FMA1n8AWElMHus3gA4mHtuGbZJpzrBkEo0XQNJC+oaE1+UKAhOCpZEJ2+Q1Z0jwtdjWTjXHNA/" \
	"iNagHwHl/auS97IzQ/HLPhjTyK3BoQ== d"                                                                             \
	"\""                                                                                                             \
	" "                                                                                                              \
	"\""                                                                                                             \
	"ssh-rsa AAAAB3NzaC1yc2EAAAADAQABAAACAQCkZ3cHoNVqct6K4BfsoxRusC3JwOTm5K4NfLRontfkbyrQikc2N5RjZ2/SYJ1aQHO5ETNX8x" \
	"b+iUIie8NpwckubPW7QxpHrH/ro3ERZL93UBNnaXDtbuMita+2lejSA0Sq9LglaRDhVxxZ5UizfQw0YTNQ2IYSY1ANoAeMkf3de8JFJ3JGoCMH" \
	"PjNORL6lLOFfWpyKuMwvuROQRqv5wQFkxosc5f+m+5pU9Jbd8OwaIyisZmd9OaP9pxo81mqoa4JpO10vkyTOZmN5IZdBcqIopJIuVrZsVnXWNM" \
	"dDEpP3Y8u0REhRCSkmzPa/g3mSdTVFxrUwJJv8r/f68u0cWjhi52DzxW8TvCEtVsF2qrQpRC2XoWvakTpUrPchl8aBfWW8yf82jmg2ql97sWQl" \
	"7C3NKVEK6nlhVfo6MfOJJaEyqOze2c8nu3BpOmLwYhDaLlKjGBpHoebKl6SPn8lkQz4RvsgcqdbnYjtYOXhMTtuIwMp72YGeh8087tZrD8qByy" \
	"6rLZ7gQKG39hoYigOeYZIwX98TLnJBhhwTkvM4BhqpYnxKLRCJZULvSOTHPiMaN+84jTZFgfYvGtd/in4DKvStysQA/Lmfa8XTb+CA0zEqBk21" \
	"MQox6lbTFtsRmmjLfaZ0QyCwmljUxHFssgyzAk9AHNHk2reratHVdrVHzGzSUw== strong"                                        \
	"\""                                                                                                             \
	" ]; "

#define WATCHER	 2001 /* read-only */
#define OPERATOR 2002
#define ENGINEER 2003
#define OFFICER	 2004
#define AUDITOR	 2005
#define HELPDESK 2006
#define STRANGER 2007

#define ZONE(inbound) "zones { zone a { interfaces e0; host-inbound " inbound "; } }\n"
#define PEOPLE(more)                                                                                                                        \
	"system { administrators {\n"                                                                                                       \
	"role helpdesk { permit [ show commit vpn ]; deny \"show sessions\"; permit-path zones; deny-path \"zones zone host-inbound\"; }\n" \
	"administrator watcher { role read-only; uid 2001; }\n"                                                                             \
	"administrator operator { role operator; uid 2002; }\n"                                                                             \
	"administrator engineer { role engineer; uid 2003; " KEYS "}\n"                                                                     \
	"administrator officer { role security-officer; uid 2004; }\n"                                                                      \
	"administrator auditor { role auditor; uid 2005; }\n"                                                                               \
	"administrator helpdesk { role helpdesk; uid 2006; }\n" more "} }\n"
#define RUNS PEOPLE("") ZONE("ping")

static struct ipc_link ask_as(uint32_t uid, struct msg_cli_request q, int file)
{
	chmod(dir, 0755);
	chmod(sock, 0666);
	assert_int_equal(seteuid(uid), 0);
	struct ipc_link l = reach();
	assert_int_equal(seteuid(0), 0);
	ask_on(&l, q, file);
	pump();
	return l;
}

/* The rows before the answer are of faults and warnings. */
static void ends_behind_rows(struct ipc_link *l, enum rc rc, const char *says)
{
	struct ipc_frame f;

	for (int i = 0; i < 5000; i++) {
		pump();
		if (ipc_recv(l, &f, NULL) != RC_OK || f.head.id == IPC_CLI_ROW)
			continue;
		assert_int_equal(f.head.id, IPC_CLI_END);
		assert_int_equal(f.u.CLI_END.rc, rc);
		if (!strstr(f.u.CLI_END.text, says))
			fail_msg("'%s' is not in: %s", says, f.u.CLI_END.text);
		ipc_link_close(l);
		return;
	}
	fail_msg("no answer");
}

static struct ipc_link commit_as(uint32_t uid, const char *text, const char *name, uint32_t minutes)
{
	struct msg_cli_request q = { .command = CLI_COMMIT, .confirm_minutes = minutes };
	int fd = memory_of(text);

	snprintf(q.name, sizeof q.name, "%s", name);
	struct ipc_link l = ask_as(uid, q, fd);
	close(fd);
	return l;
}

/* Whose commit it is, in the ledger. */
static void takes(uint32_t uid, const char *text, uint64_t generation, const char *who)
{
	struct ipc_link l = commit_as(uid, text, "site.conf", 0);

	enter(LEDGER_CONFIG_COMMIT, RC_OK, who);
	take_all(generation);
	ends_behind_rows(&l, RC_OK, "is running");
}

static void refuses(uint32_t uid, const char *text, const char *why)
{
	struct ipc_link l = commit_as(uid, text, "site.conf", 0);

	enter(LEDGER_CONFIG_REFUSED, RC_OK, why);
	ends(&l, RC_DENIED, why);
	expect_nothing(&peers[PROC_SUPERVISOR]);
}

static int people(void **state)
{
	int rc = fresh(state);

	if (geteuid() == 0 && rc == 0)
		commit_good(RUNS, 1);
	return rc;
}

/* What would come back undoes nobody else's commit: others wait, whoever may confirms. */
static void one_unconfirmed_at_a_time(void **state)
{
	if (geteuid() != 0)
		skip();
	struct ipc_link l = commit_as(0, RUNS "# root's\n", "site.conf", 5);
	enter(LEDGER_CONFIG_COMMIT, RC_OK, "root (console)");
	take_all(2);
	ends_behind_rows(&l, RC_OK, "unless 'plaingate confirm' is run by");
	for (int again = 0; again < 2; again++) {
		l = commit_as(ENGINEER, RUNS "# the engineer's\n", "site.conf", 0);
		ends(&l, RC_AGAIN, "generation 2 by root (console) waits until 2");
		stop();
		started(2);
	}
	l = commit_as(0, RUNS "# root's again\n", "site.conf", 5);
	enter(LEDGER_CONFIG_COMMIT, RC_OK, "root (console)");
	take_all(3);
	ends_behind_rows(&l, RC_OK, "unless 'plaingate confirm' is run by");
	l = ask_as(ENGINEER, (struct msg_cli_request){ .command = CLI_CONFIRM }, -1);
	enter(LEDGER_ADMIN_ACT, RC_OK, "engineer (local)");
	ends(&l, RC_OK, "is confirmed");
	takes(ENGINEER, RUNS "# the engineer's\n", 4, "engineer (local)");
}

/* ---- commands ---- */

static const struct {
	uint32_t uid;
	const char *may; /* in the order of the requests below */
} grid[] = {
	{ WATCHER, "s----------" },
	{ OPERATOR, "s-yyyyyyyy-" },
	{ ENGINEER, "syyyyyyyyyy" },
	{ OFFICER, "sy--y-----y" },
	{ AUDITOR, "s---yy-----" },
	{ HELPDESK, "-y----yyyy-" },
	{ STRANGER, "s----------" },
};

static struct msg_cli_request request_of(size_t i)
{
	static const struct {
		uint32_t command, ike, table;
	} rows[] = { { CLI_SHOW, 0, SHOW_SESSIONS }, { CLI_COMMIT, 0, 0 }, { CLI_CLEAR_SESSIONS, 0, 0 },
		{ CLI_CLEAR_HIT_COUNT, 0, 0 }, { CLI_TRACE, 0, 0 }, { CLI_CAPTURE, 0, 0 },
		{ CLI_IKE, IKE_INITIATE, 0 }, { CLI_IKE, IKE_REKEY_IKE, 0 }, { CLI_IKE, IKE_REKEY_CHILD, 0 },
		{ CLI_IKE, IKE_TERMINATE, 0 }, { CLI_CONFIRM, 0, 0 } };

	return (struct msg_cli_request){ .command = rows[i].command,
		.ike_command = rows[i].ike,
		.show.table = rows[i].table,
		.packets.count = 1,
		.stages = 1,
		.name = "x" };
}

/* What is permitted fails for a reason of its own, or asks the ledger first. */
static void is_let(struct ipc_link *l, const struct msg_cli_request *q)
{
	if (q->command == CLI_SHOW) {
		expect(&peers[PROC_DATAPLANE], IPC_SHOW);
		ipc_link_close(l);
	} else if (q->command == CLI_COMMIT) {
		enter(LEDGER_CONFIG_REFUSED, RC_OK, "(local)");
		ends_behind_rows(l, RC_MALFORMED, "x:1:1");
	} else if (q->command == CLI_CONFIRM) {
		ends(l, RC_NOT_FOUND, "no commit is waiting");
	} else {
		enter(LEDGER_ADMIN_ACT, RC_IO, "(local)");
		enter(LEDGER_ADMIN_ACT_ABORTED, RC_OK, "(local)");
		ends(l, RC_DENIED, "the ledger did not enter it");
	}
}

static void each_role_each_command(void **state)
{
	unsigned refused = 0;

	if (geteuid() != 0)
		skip();
	for (size_t i = 0; i < COUNT_OF(grid); i++) {
		for (size_t k = 0; grid[i].may[k]; k++) {
			struct msg_cli_request q = request_of(k);
			int file = memory_of("nonsense");
			struct ipc_link l = ask_as(grid[i].uid, q, file);
			close(file);
			if (grid[i].may[k] != '-') {
				is_let(&l, &q);
				continue;
			}
			ends(&l, RC_DENIED, "which does not permit '");
			/* A start has a full bucket of entries, and the grid more refusals. */
			enter(LEDGER_ADMIN_REFUSED, RC_OK, grid[i].uid == STRANGER ? "uid 2007" : "(local)");
			if (++refused % 30 == 0) {
				stop();
				started(1);
			}
		}
	}
}

/* The words of a refusal: who, the role, what, and who could. */
static void refusals_say_who_could(void **state)
{
	if (geteuid() != 0)
		skip();
	struct ipc_link l = ask_as(WATCHER, (struct msg_cli_request){ .command = CLI_CLEAR_SESSIONS }, -1);
	ends(&l, RC_DENIED,
		"watcher (local) has the role read-only, which does not permit 'clear sessions': operator, engineer or root may");
	enter(LEDGER_ADMIN_REFUSED, RC_OK,
		"\"admin\":\"watcher (local)\",\"command\":\"clear sessions\",\"role\":\"read-only\",\"unentered\":0");
	l = ask_as(OPERATOR, (struct msg_cli_request){ .command = 4711 }, -1);
	ends(&l, RC_DENIED, "'an unknown request': root may");
	enter(LEDGER_ADMIN_REFUSED, RC_OK, "an unknown request");
	l = ask_as(0, (struct msg_cli_request){ .command = 4711 }, -1);
	ends(&l, RC_UNSUPPORTED, "unknown request 4711");
}

/* A flood of refused requests leaves few entries, and none of them is forgotten. */
static void entries_of_refusals_are_bounded(void **state)
{
	unsigned asked = 0, entered = 0;
	uint64_t unentered = 0;
	time_t begun = time(NULL);

	if (geteuid() != 0)
		skip();
	while (asked < 100 || unentered == 0) {
		struct ipc_frame f;
		struct ipc_link l = ask_as(STRANGER, (struct msg_cli_request){ .command = CLI_CONFIRM }, -1);
		ends(&l, RC_DENIED, "uid 2007");
		asked++;
		for (pump(); ipc_recv(&peers[PROC_LEDGER], &f, NULL) == RC_OK; pump()) {
			const char *at =
				memmem(f.u.LEDGER_APPEND.body, f.u.LEDGER_APPEND.body_n, "unentered\":", 11);
			assert_int_equal(f.u.LEDGER_APPEND.type, LEDGER_ADMIN_REFUSED);
			assert_non_null(at);
			unentered += strtoull(at + 11, NULL, 10);
			entered++;
		}
	}
	assert_true(entered <= 33 + (unsigned)(time(NULL) - begun)); /* one a second */
	if (look_inside())
		assert_int_equal(entered + unentered + control.refusals_unentered, asked);
}

/* ---- what a commit changes ---- */

static void a_commit_changes_what_its_role_may(void **state)
{
	if (geteuid() != 0)
		skip();
	takes(ENGINEER, PEOPLE("") ZONE("ssh"), 2, "\"admin\":\"engineer (local)\"");
	takes(OFFICER, PEOPLE("administrator new { role auditor; }") ZONE("ssh"), 3,
		"\"admin\":\"officer (local)\"");
	refuses(OFFICER, PEOPLE("administrator new { role auditor; }") ZONE("ping"),
		"'zones zone 'a' host-inbound 'p");
	takes(HELPDESK,
		PEOPLE("administrator new { role auditor; }") "zones { zone a { interfaces e0; host-inbound ssh; tcp-rst; } }\n",
		4, "helpdesk (local)");
	refuses(HELPDESK, PEOPLE("administrator new { role auditor; }") ZONE("ping"), "host-inbound");
	takes(0, RUNS, 5, "\"admin\":\"root (console)\"");
}

/* Each would make its author, or somebody else, more than what runs says. */
static void no_way_around(void **state)
{
	static const struct {
		uint32_t uid;
		const char *text, *why;
	} rows[] = {
		/* in the midst of a change that is permitted */
		{ ENGINEER,
			PEOPLE("administrator mallory { role security-officer; uid 2009; }")
				ZONE("[ ping ssh ]"),
			"'system administrators administrator 'mallory'': security-officer or root may" },
		/* alone; a key more */
		{ ENGINEER,
			PEOPLE("authority "
			       "\""
			       "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIL6Os03yiDQYZlXiblKPt+hn/N2DQKtj8liajh1MfaJM b"
			       "\""
			       ";") ZONE("ping"),
			"system administrators authority" },
		/* that has no effect yet */
		{ ENGINEER, PEOPLE("inactive: administrator mallory { role security-officer; }") ZONE("ping"),
			"'mallory'" },
		/* all of it gone, by one mark, and by an empty text */
		{ ENGINEER, "inactive: " RUNS, "system administrators" },
		{ ENGINEER, ZONE("ping"), "system administrators" },
		/* others */
		{ ENGINEER, RUNS "evidence { heartbeat 20; }\n", "'evidence'" },
		{ ENGINEER, RUNS "log { stream s { host 192.0.2.1; } }\n", "'log'" },
		{ OFFICER,
			RUNS
			"policy { from a to a { rule x { match { source any; destination any; application any; } then { permit; } } } }\n",
			"'policy'" },
		{ OFFICER, PEOPLE("") "zones { zone a { interfaces e0; inactive: host-inbound ping; } }\n",
			"host-inbound" },
		{ HELPDESK, PEOPLE("") ZONE("[ ping ssh ]"), "helpdesk (local) has the role helpdesk" },
	};

	if (geteuid() != 0)
		skip();
	for (size_t i = 0; i < COUNT_OF(rows); i++)
		refuses(rows[i].uid, rows[i].text, rows[i].why);
	expect_nothing(&peers[PROC_DATAPLANE]);
}

/* What the text says of roles begins when it runs: who writes it is judged by what runs now. */
static void nobody_raises_oneself(void **state)
{
	char text[sizeof RUNS + 200];
	const char *at = strstr(RUNS, "deny-path");

	if (geteuid() != 0)
		skip();
	/* the own role permits more, and that is used in the same commit */
	snprintf(text, sizeof text, "%.*spermit-path system; %s", (int)(at - RUNS), RUNS, at);
	refuses(HELPDESK, text, "system administrators role");
	at = strstr(RUNS, "role engineer; uid 2003");
	snprintf(text, sizeof text, "%.*srole security-officer; uid 2003%s", (int)(at - RUNS), RUNS, at + 23);
	refuses(ENGINEER, text, "system administrators administrator 'engineer' role");
	/* the name of somebody who may, with one's own account */
	at = strstr(RUNS, "uid 2004");
	snprintf(text, sizeof text, "%.*suid 2010%s", (int)(at - RUNS), RUNS, at + 8);
	refuses(ENGINEER, text, "system administrators administrator 'officer' uid");
	/* an officer may, and is an engineer from then on, and no officer any more */
	at = strstr(RUNS, "role security-officer; uid 2004");
	snprintf(text, sizeof text,
		"%.*srole engineer; uid 2004; } administrator other { role security-officer; uid 2011%s",
		(int)(at - RUNS), RUNS, at + 31);
	takes(OFFICER, text, 2, "officer (local)");
	refuses(OFFICER, RUNS, "officer (local) has the role engineer");
}

/* Comments say nothing to the gateway; a text of the history is one as any other. */
static void comments_and_history(void **state)
{
	if (geteuid() != 0)
		skip();
	takes(ENGINEER, "# of an engineer\n" RUNS, 2, "engineer (local)");
	takes(0, PEOPLE("administrator new { role auditor; }") ZONE("ping"), 3, "root (console)");
	struct ipc_link l = commit_as(ENGINEER, RUNS, "rollback.1", 0);
	enter(LEDGER_CONFIG_REFUSED, RC_OK, "administrator 'new'");
	ends(&l, RC_DENIED, "administrator 'new'");
	l = commit_as(OFFICER, RUNS, "rollback.1", 0);
	enter(LEDGER_CONFIG_COMMIT, RC_OK, "officer (local)");
	take_all(4);
	ends(&l, RC_OK, "is running");
}

/* While one is on its way there is no other, so none is judged by what does not run any more when it takes effect. */
static void two_at_once(void **state)
{
	struct ipc_link first, second;

	if (geteuid() != 0)
		skip();
	first = commit_as(
		OFFICER, PEOPLE("administrator new { role auditor; }") ZONE("ping"), "site.conf", 0);
	second = commit_as(ENGINEER, PEOPLE("") ZONE("ssh"), "site.conf", 0);
	ends(&second, RC_AGAIN, "another commit is in progress");
	enter(LEDGER_CONFIG_COMMIT, RC_OK, "officer (local)");
	take_all(2);
	ends(&first, RC_OK, "is running");
	refuses(ENGINEER, PEOPLE("") ZONE("ssh"),
		"administrator 'new'"); /* it would take back what came between */
}

/* A commit that waits is confirmed by who may confirm; each under the own name. */
static void others_confirm(void **state)
{
	struct ipc_link l;

	if (geteuid() != 0)
		skip();
	l = commit_as(ENGINEER, PEOPLE("") ZONE("ssh"), "site.conf", 5);
	enter(LEDGER_CONFIG_COMMIT, RC_OK, "engineer (local)");
	take_all(2);
	ends(&l, RC_OK, "unless 'plaingate confirm'");
	l = ask_as(OPERATOR, (struct msg_cli_request){ .command = CLI_CONFIRM }, -1);
	ends(&l, RC_DENIED, "'confirm': engineer, security-officer or root may");
	enter(LEDGER_ADMIN_REFUSED, RC_OK, "operator (local)");
	l = ask_as(OFFICER, (struct msg_cli_request){ .command = CLI_CONFIRM }, -1);
	enter(LEDGER_ADMIN_ACT, RC_OK, "\"act\":\"confirm\",\"admin\":\"officer (local)\"");
	ends(&l, RC_OK, "generation 2 is confirmed");
}

/* Who is taken out of the configuration, or may less, has no request left. */
static void who_is_removed_is_out(void **state)
{
	struct msg_cli_request q = { .command = CLI_TRACE, .packets.count = 1 };
	const char *at = strstr(RUNS, "administrator operator");
	char text[sizeof RUNS];

	if (geteuid() != 0)
		skip();
	struct ipc_link l = ask_as(OPERATOR, q, -1);
	enter(LEDGER_ADMIN_ACT, RC_OK, "operator (local)");
	expect(&peers[PROC_DATAPLANE], IPC_TRACE);
	snprintf(text, sizeof text, "%.*s%s", (int)(at - RUNS), RUNS, strchr(at, '\n'));
	struct ipc_link officer = commit_as(OFFICER, text, "site.conf", 0);
	enter(LEDGER_CONFIG_COMMIT, RC_OK, "officer (local)");
	assert_int_equal(
		expect(&peers[PROC_DATAPLANE], IPC_TRACE)->u.TRACE.count, 0); /* it is stopped, first */
	take_all(2);
	ends(&officer, RC_OK, "is running");
	ends(&l, RC_DENIED, "does not permit this to uid 2002 any more");
	l = ask_as(OPERATOR, q, -1);
	ends(&l, RC_DENIED, "uid 2002, who is no administrator");
	enter(LEDGER_ADMIN_REFUSED, RC_OK, "uid 2002");
}

/* The last one who may change administrators does not lose the way in by accident. */
static void somebody_can_always_enter(void **state)
{
	static const char nobody[] =
		"system { administrators { administrator engineer { role engineer; uid 2003; } } }\n" ZONE(
			"ping");
	struct msg_cli_request q = { .command = CLI_COMMIT, .name = "site.conf", .flags = COMMIT_CUT_OFF };
	int fd;

	if (geteuid() != 0)
		skip();
	refuses(OFFICER, nobody, "no administrator who may change administrators");
	takes(0, nobody, 2, "root (console)"); /* who is told, and stays */
	takes(0, RUNS, 3, "root (console)");
	fd = memory_of(nobody);
	struct ipc_link l = ask_as(OFFICER, q, fd);
	close(fd);
	enter(LEDGER_CONFIG_OVERRIDE, RC_OK, "no administrator who may change administrators");
	enter(LEDGER_CONFIG_COMMIT, RC_OK, "officer (local)");
	take_all(4);
	ends(&l, RC_OK, "is running");
}

/* A user of the pool of ssh who is nobody may not even look. */
static void administrators_are_shown(void **state)
{
	struct msg_cli_request q = { .command = CLI_SHOW, .show.table = SHOW_ADMINISTRATORS };

	if (geteuid() != 0)
		skip();
	struct ipc_link l = ask_as(AUDITOR, q, -1);
	for (int i = 0; i < 6; i++) {
		struct ipc_frame *f = expect(&l, IPC_CLI_ROW);
		const char *json = f->u.CLI_ROW.json;
		assert_int_equal(
			strstr(json, "\"self\":true") != NULL, strstr(json, "\"name\":\"auditor\"") != NULL);
		assert_int_equal(
			strstr(json, "SHA256:") != NULL, strstr(json, "\"name\":\"engineer\"") != NULL);
	}
	ends(&l, RC_OK, "");
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, people, cleared)

int main(int argc, char **argv)
{
	if (!executable_from(argc, argv))
		return 77;
	const struct CMUnitTest tests[] = {
		TEST(each_role_each_command),
		TEST(refusals_say_who_could),
		TEST(entries_of_refusals_are_bounded),
		TEST(a_commit_changes_what_its_role_may),
		TEST(no_way_around),
		TEST(nobody_raises_oneself),
		TEST(comments_and_history),
		TEST(two_at_once),
		TEST(others_confirm),
		TEST(one_unconfirmed_at_a_time),
		TEST(who_is_removed_is_out),
		TEST(somebody_can_always_enter),
		TEST(administrators_are_shown),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
