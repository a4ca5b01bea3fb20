/* What sshd reads: nothing but administrators in it, and no line that a name or a key could add. */
#include "ssh/files.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <cmocka.h>

#define KEY "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIIfMsAcEH+9yx0QspgXhM0BG5yriSVkkQe/hMhtwsPoi"

static struct ssh_setup some;
static char text[SSH_FILE_TEXT_MAX];

static void fill(void)
{
	memset(&some, 0, sizeof some);
	some.is_on = 1;
	some.port = 2222;
	some.idle_s = 600;
	some.accounts_n = 1;
	some.account[0].uid = SSH_UID_FIRST;
	some.account[0].keys_n = 1;
	snprintf(some.account[0].name, sizeof some.account[0].name, "alice");
	snprintf(some.account[0].key[0], sizeof some.account[0].key[0], "%s", KEY);
}

static void test_a_good_one(void **state)
{
	fill();
	assert_int_equal(ssh_setup_check(&some, NULL), RC_OK);
	assert_non_null(ssh_account_find(&some, "alice"));
	assert_null(ssh_account_find(&some, "root"));
}

static void test_names_and_keys_that_are_none(void **state)
{
	static const char *const names[] = { "", "root", "sshd", "Alice", "a b", "a:b", "a\nb", "-a", "0a",
		"../a", "a/b" };
	static const char *const keys[] = { "", "ssh-ed25519", "command=\"sh\" " KEY, KEY " comment",
		KEY "\n" KEY, "ssh-ed25519 AA,BB", "cert-authority ssh-ed25519" };

	for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
		fill();
		snprintf(some.account[0].name, sizeof some.account[0].name, "%s", names[i]);
		assert_int_not_equal(ssh_setup_check(&some, NULL), RC_OK);
	}
	for (size_t i = 0; i < sizeof keys / sizeof keys[0]; i++) {
		fill();
		snprintf(some.account[0].key[0], sizeof some.account[0].key[0], "%s", keys[i]);
		assert_int_not_equal(ssh_setup_check(&some, NULL), RC_OK);
	}
	fill();
	memset(some.account[0].name, 'a', sizeof some.account[0].name); /* without an end */
	assert_int_not_equal(ssh_setup_check(&some, NULL), RC_OK);
	fill();
	memset(some.account[0].key[0] + sizeof KEY - 1, 'A', sizeof some.account[0].key[0] - sizeof KEY + 1);
	assert_int_not_equal(ssh_setup_check(&some, NULL), RC_OK);
}

static void test_numbers_out_of_range(void **state)
{
	static const uint32_t uids[] = { 0, 1, 1000, SSH_UID_FIRST - 1, SSH_UID_FIRST + SSH_UIDS,
		UINT32_MAX };

	for (size_t i = 0; i < sizeof uids / sizeof uids[0]; i++) {
		fill();
		some.account[0].uid = uids[i];
		assert_int_not_equal(ssh_setup_check(&some, NULL), RC_OK);
	}
	fill();
	some.port = 0;
	assert_int_not_equal(ssh_setup_check(&some, NULL), RC_OK);
	fill();
	some.accounts_n = SSH_ACCOUNTS_MAX + 1;
	assert_int_not_equal(ssh_setup_check(&some, NULL), RC_OK);
	fill();
	some.authorities_n = SSH_AUTHORITIES_MAX + 1;
	assert_int_not_equal(ssh_setup_check(&some, NULL), RC_OK);
	fill();
	some.account[0].keys_n = SSH_KEYS_MAX + 1;
	assert_int_not_equal(ssh_setup_check(&some, NULL), RC_OK);
	fill();
	some.accounts_n = 2;
	some.account[1] = some.account[0];
	snprintf(some.account[1].name, sizeof some.account[1].name, "bob");
	assert_int_equal(ssh_setup_check(&some, NULL), RC_EXISTS);
}

static void test_accounts(void **state)
{
	fill();
	assert_true(ssh_passwd_text(text, sizeof text, &some, 990, 991) > 0);
	assert_string_equal(text,
		"root:x:0:0::/:/usr/sbin/nologin\nsshd:x:990:991::/run/sshd:/usr/sbin/nologin\n"
		"alice:x:58000:58000::/home/alice:/shell/plaingate\n");
	assert_true(ssh_shadow_text(text, sizeof text, &some) > 0);
	assert_string_equal(text, "root:*:1::::::\nsshd:*:1::::::\nalice:*:1::::::\n");
	assert_true(ssh_group_text(text, sizeof text, &some, 991) > 0);
	assert_string_equal(text, "root:x:0:\ntty:x:5:\nsshd:x:991:\nalice:x:58000:\n");
	assert_true(ssh_keys_text(text, sizeof text, &some.account[0]) > 0);
	assert_string_equal(text, KEY "\n");
	assert_int_equal(ssh_passwd_text(text, 20, &some, 990, 991), 0);
}

/* Written down a second time: what must never be otherwise. */
static void test_what_sshd_is_told(void **state)
{
	static const char *const lines[] = { "\nPasswordAuthentication no\n",
		"\nKbdInteractiveAuthentication no\n", "\nUsePAM no\n", "\nAuthenticationMethods publickey\n",
		"\nPermitRootLogin no\n", "\nForceCommand /shell/plaingate shell\n",
		"\nAllowTcpForwarding no\n", "\nAllowStreamLocalForwarding no\n", "\nX11Forwarding no\n",
		"\nPermitTunnel no\n", "\nPermitUserEnvironment no\n", "\nPermitUserRC no\n",
		"\nGSSAPIAuthentication no\n", "\nHostbasedAuthentication no\n",
		"\nAuthorizedKeysFile /etc/ssh/keys/%u\n", "\nChannelTimeout session:*=600s\n",
		"\nDenyUsers root sshd\n" };

	for (int version = SSH_ANY; version <= SSH_SPLIT; version++) {
		fill();
		assert_true(ssh_config_text(text, sizeof text, &some, (enum ssh_since)version) > 0);
		assert_memory_equal(text, "Port 2222\n", 10);
		for (size_t i = 0; i < sizeof lines / sizeof lines[0]; i++)
			assert_non_null(strstr(text, lines[i]));
		assert_null(strstr(text, "Subsystem"));
		assert_null(strstr(text, "AcceptEnv"));
		assert_null(strstr(text, "Include"));
		assert_true((strstr(text, "PerSourcePenalties") != NULL) == (version == SSH_SPLIT));
		assert_true((strstr(text, "mlkem768x25519") != NULL) == (version == SSH_SPLIT));
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_a_good_one),
		cmocka_unit_test(test_names_and_keys_that_are_none),
		cmocka_unit_test(test_numbers_out_of_range),
		cmocka_unit_test(test_accounts),
		cmocka_unit_test(test_what_sshd_is_told),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
