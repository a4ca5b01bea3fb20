/*
 * Unix users of administrators who come by ssh: who stays keeps theirs, and nobody gets one that was somebody's a moment ago.
 */
#include "admin/speaker.h"
#include "admin/ssh_uids.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

static struct administrators some;

static void named(const char *const *names, uint32_t n)
{
	some.n = n;
	for (uint32_t i = 0; i < n; i++)
		snprintf(some.at[i].name, sizeof some.at[i].name, "%s", names[i]);
}

#define NAMED(...)                                                                                           \
	named((const char *const[]){ __VA_ARGS__ },                                                          \
		sizeof((const char *const[]){ __VA_ARGS__ }) / sizeof(char *))

static void test_who_stays_keeps(void **state)
{
	struct ssh_uids u = { 0 };

	NAMED("alice", "bob");
	ssh_uids_assign(&u, &some);
	assert_int_equal(ssh_uid_of(&u, "alice"), SSH_UID_FIRST);
	assert_int_equal(ssh_uid_of(&u, "bob"), SSH_UID_FIRST + 1);
	NAMED("carol", "bob");
	ssh_uids_assign(&u, &some);
	assert_int_equal(ssh_uid_of(&u, "bob"), SSH_UID_FIRST + 1);
	assert_int_equal(ssh_uid_of(&u, "alice"), 0);
	assert_int_equal(ssh_uid_of(&u, "carol"), SSH_UID_FIRST + 2);
	assert_null(ssh_uid_name(&u, SSH_UID_FIRST));
	NAMED("alice", "bob", "carol");
	ssh_uids_assign(&u, &some);
	assert_int_equal(ssh_uid_of(&u, "alice"), SSH_UID_FIRST + 3); /* who comes back is somebody new */
	ssh_uids_assign(&u, NULL);
	assert_int_equal(u.n, 0);
}

/* As long as there is another one, a user that was given back is not given again. */
static void test_longest_ago(void **state)
{
	struct ssh_uids u = { 0 };
	uint32_t seen[SSH_UIDS] = { 0 };
	char name[ADMIN_NAME_MAX + 1];

	NAMED("steady");
	ssh_uids_assign(&u, &some);
	for (uint32_t i = 1; i < 3 * SSH_UIDS; i++) {
		snprintf(name, sizeof name, "n%u", i);
		NAMED("steady", name);
		ssh_uids_assign(&u, &some);
		uint32_t uid = ssh_uid_of(&u, name) - SSH_UID_FIRST;
		assert_in_range(uid, 1, SSH_UIDS - 1);
		if (seen[uid])
			assert_int_equal(i - seen[uid], SSH_UIDS - 1);
		seen[uid] = i;
	}
	assert_int_equal(ssh_uid_of(&u, "steady"), SSH_UID_FIRST);
}

static void test_text(void **state)
{
	struct ssh_uids u = { 0 }, back;
	char text[SSH_UIDS_TEXT_MAX], again[SSH_UIDS_TEXT_MAX], name[ADMIN_NAME_MAX + 1];

	some.n = ADMINISTRATORS_MAX;
	for (uint32_t i = 0; i < some.n; i++) {
		snprintf(name, sizeof name, "administrator-with-long-name-%02u", i % 100);
		memcpy(some.at[i].name, name, sizeof name);
	}
	u.next = SSH_UIDS - 3;
	ssh_uids_assign(&u, &some);
	size_t n = ssh_uids_write(text, &u);
	assert_int_equal(n, strlen(text));
	assert_int_equal(ssh_uids_read(&back, text, NULL), RC_OK);
	ssh_uids_write(again, &back);
	assert_string_equal(text, again);
	/* every shorter text is refused, or is whole lines */
	for (size_t cut = 0; cut < n; cut++) {
		char kept = text[cut];
		text[cut] = '\0';
		enum rc rc = ssh_uids_read(&back, text, NULL);
		assert_int_equal(rc, cut > 0 && text[cut - 1] == '\n' ? RC_OK : RC_MALFORMED);
		if (rc)
			assert_int_equal(back.n, 0);
		text[cut] = kept;
	}
}

static void test_refused(void **state)
{
	static const char *const bad[] = {
		"",
		"next 1",
		"next 1024\n",
		"next -1\n",
		"next 1\nalice 57999\n",
		"next 1\nalice 59024\n",
		"next 1\nalice 58000\nalice 58001\n",
		"next 1\nalice 58000\nbob 58000\n",
		"next 1\n 58000\n",
		"next 1\nalice 0\n",
		"next 1\nalice 58000 \n",
		"next 1\nalice\n",
		"next 1\n\n",
		"next 1\nname-of-more-than-thirty-one-octets 58000\n",
	};
	struct ssh_uids u;

	for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
		struct err e = { 0 };
		assert_int_equal(ssh_uids_read(&u, bad[i], &e), RC_MALFORMED);
		assert_int_equal(u.n, 0);
	}
}

/* Who speaks follows from the user alone. */
static void test_speakers(void **state)
{
	struct ssh_uids u = { 0 };
	char text[SPEAKER_TEXT_MAX];
	static const struct {
		uint32_t uid;
		const char *text;
		uint32_t role;
	} rows[] = {
		{ 0, "root (console)", ROLE_ROOT },
		{ 1000, "alice (local)", ROLE_ENGINEER },
		{ 1001, "uid 1001", ROLE_READ_ONLY },
		{ SSH_UID_FIRST, "alice (ssh)", ROLE_ENGINEER },
		{ SSH_UID_FIRST + 1, "bob (ssh)", ROLE_AUDITOR },
		{ SSH_UID_FIRST + 2, "uid 58002", ROLE_NONE },
		{ SSH_UID_FIRST + SSH_UIDS - 1, "uid 59023", ROLE_NONE },
		{ SSH_UID_FIRST + SSH_UIDS, "uid 59024", ROLE_READ_ONLY },
		{ UINT32_MAX, "uid 4294967295", ROLE_READ_ONLY },
	};

	NAMED("alice", "bob");
	some.at[0].uid = 1000;
	some.at[0].role = ROLE_ENGINEER;
	some.at[1].role = ROLE_AUDITOR; /* has no account: uid 0 is not his */
	ssh_uids_assign(&u, &some);
	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		struct speaker s = speaker_of(&some, &u, rows[i].uid);
		assert_string_equal(speaker_text(text, &s), rows[i].text);
		assert_int_equal(s.role, rows[i].role);
		s = speaker_of(NULL, NULL, rows[i].uid);
		assert_int_equal(s.role, rows[i].uid == 0		? ROLE_ROOT
					 : ssh_uid_is_ours(rows[i].uid) ? ROLE_NONE
									: ROLE_READ_ONLY);
	}
	/* the user is still there and the administrator is not */
	some.n = 0;
	struct speaker gone = speaker_of(&some, &u, SSH_UID_FIRST);
	assert_int_equal(gone.role, ROLE_NONE);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_who_stays_keeps),
		cmocka_unit_test(test_longest_ago),
		cmocka_unit_test(test_text),
		cmocka_unit_test(test_refused),
		cmocka_unit_test(test_speakers),
	};

	return cmocka_run_group_tests_name("admin ssh_uids", tests, NULL, NULL);
}
