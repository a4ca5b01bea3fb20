/*
 * `system { administrators }`, from the text to what control goes by; and what is wrong with one.
 */
#include "admin/administrators.h"
#include "model/model.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "base/bytes.h"

#define ADMINISTRATORS(what) "system { administrators { " what " } }"
#define KEY_A                                                                                                \
	"\""                                                                                                 \
	"ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIBjz1RVFmSG5ns3cfjse+7qpZlEXRnTeDgonBTefaAvT alice@laptop"      \
	"\""
#define KEY_A_AGAIN                                                                                          \
	"\""                                                                                                 \
	"ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIBjz1RVFmSG5ns3cfjse+7qpZlEXRnTeDgonBTefaAvT bob@desk"          \
	"\""
#define KEY_B                                                                                                \
	"\""                                                                                                 \
	"ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIL6Os03yiDQYZlXiblKPt+hn/N2DQKtj8liajh1MfaJM b"                 \
	"\""
#define KEY_CA                                                                                               \
	"\""                                                                                                 \
	"ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIDPhe4ZT5PkMIjiizaKAaH5Zebs8vZHL5SjIerdxtxIp c"                 \
	"\""
#define KEY_LONG                                                                                                         \
	"\""                                                                                                             \
	"ssh-rsa AAAAB3NzaC1yc2EAAAADAQABAAACAQCkZ3cHoNVqct6K4BfsoxRusC3JwOTm5K4NfLRontfkbyrQikc2N5RjZ2/SYJ1aQHO5ETNX8x" \
	"b+iUIie8NpwckubPW7QxpHrH/ro3ERZL93UBNnaXDtbuMita+2lejSA0Sq9LglaRDhVxxZ5UizfQw0YTNQ2IYSY1ANoAeMkf3de8JFJ3JGoCMH" \
	"PjNORL6lLOFfWpyKuMwvuROQRqv5wQFkxosc5f+m+5pU9Jbd8OwaIyisZmd9OaP9pxo81mqoa4JpO10vkyTOZmN5IZdBcqIopJIuVrZsVnXWNM" \
	"dDEpP3Y8u0REhRCSkmzPa/g3mSdTVFxrUwJJv8r/f68u0cWjhi52DzxW8TvCEtVsF2qrQpRC2XoWvakTpUrPchl8aBfWW8yf82jmg2ql97sWQl" \
	"7C3NKVEK6nlhVfo6MfOJJaEyqOze2c8nu3BpOmLwYhDaLlKjGBpHoebKl6SPn8lkQz4RvsgcqdbnYjtYOXhMTtuIwMp72YGeh8087tZrD8qByy" \
	"6rLZ7gQKG39hoYigOeYZIwX98TLnJBhhwTkvM4BhqpYnxKLRCJZULvSOTHPiMaN+84jTZFgfYvGtd/in4DKvStysQA/Lmfa8XTb+CA0zEqBk21" \
	"MQox6lbTFtsRmmjLfaZ0QyCwmljUxHFssgyzAk9AHNHk2reratHVdrVHzGzSUw== strong"                                        \
	"\""
#define KEY_WEAK                                                                                                         \
	"\""                                                                                                             \
	"ssh-rsa AAAAB3NzaC1yc2EAAAADAQABAAABAQCw/rmPYgj5awXmxmgqWCB2OjN3cGKdVWEi1igJsGcXKZytkt4ITTWElxbRhASVQ64dySJPQx" \
	"dof0zBEuJ5xWTpHMBZ2J8iLPC76kPsLTPDxVzuCsarP8+RJJ/tAXyhDyeFDOlxh3PDHEt9TJkLgEU73yFgaIy9lwGPn21+UiX5l7T+CpucTnk/" \
	"c//KdPdszMCTDxymeysIjhLJO09ipZyHUAjDTBeSBPGb8CjARBxgiSUZBYAQQztdut3ImUoxVK6Hk4Ua8rc5Up+Z8TToXw7lHAgNgAjqKxJB5T" \
	"SaXSVRwO/iLBP8Pk9q1n7oww54W/4wR6rW88kSAm/DeV80zTqp weak"                                                        \
	"\""
#define KEY_HUGE /* RSA of 5120 bits */                                                                        \
	"\""                                                                                                   \
	"ssh-rsa AAAAB3NzaC1yc2EAAAADAQABAAACgQDsQrF1DRuVkl3R1LqHx9MNot9l55trfxwN0DkA+AHaMJnfJU/QfHaujbJxS80C" \
	"vHRhOr1hgL+Zgh1Y0nOd3wOY4UU7+79j1/7Q9nnUFyM26tB8qZ5SnfrSpBDlOACa1RwXRJG+YsyM626VYy+6Ba8nyMQiQkHQavWu" \
	"joDYmuChIBPXgn4SHk2g9bk2Hj8mzqFmYOdXYAokbjZwiCZS9A/E4Fl8WRgGEjZAoNSlE7Rl8VBcyEseIrM6VCI4p5TzHcxu2Fq4" \
	"EXLftEEdYNWe1eDJQnfp7JnGuKGUrRViy8dpo3SCMdTDK3zSmLyX4Dd7ciWK7BAwQSwpd/FeehnJk3xKDPgK+N/+9RdWokpbEGzR" \
	"wLq8al63bAfcUu+wfDtR0P7qkZvSQKZnZGoeQLkzebYMUeLQqbjc30wwHDx21wNApOGl5Jwc2Cgu+c86KcbaXistlUSLWPL2gJYo" \
	"Z6T61Wqbjz4RwLBhOIiANoq3fIhEqqAxHfICmcmiTd9+eZ/2sLVNzRpNePLx8Dg9FCprQ7L6RvRbsaSpfhsuqqz6XQAlnRgKNQjx" \
	"8YaLFCwN7wLDk/HKKsG45tn3XkDWp5xvSKJZXi0YnsfbUfis9TcQU2FSJpS4zsvjZVJY6A+1CO5dwTlvOZ9pCJVkv0QihGRhM2yl" \
	"XUzBYGz5FnNA49TP+nNexUYNvDsQGRGGFB0Kk/Rt0pD9JfxD6YCmyrZiaAVhhhTRE5beOZhEW1VXNfMPP1zG2+D6MKd/ybU4BFp2" \
	"Z3IpkyqH6fYeSpprsjh1JA45wanDdkaWWB9heEqk80q7PFTi/4I4NW5jHn4EdEI8wvFpZbgDd6/QjdxOyTXukfsI0ZKn huge"    \
	"\""
#define SIGNER(key)                                                                                          \
	"system { administrators { administrator a { role security-officer; key " key                        \
	"; } } commit { signatures-required 1; } }"

static enum rc read_text(const char *text, struct administrators **ret, struct err *e)
{
	struct faults f;
	void *block = NULL;
	size_t n;

	*ret = NULL;
	enum rc rc = model_read_administrators(text, strlen(text), "t", 1, NULL, &block, &n, ret, &f, e);
	free(block);
	if (rc)
		assert_null(*ret);
	return rc;
}

static void test_read(void **state)
{
	static const char text[] = ADMINISTRATORS(
		"role helpdesk { permit [ show vpn ]; deny \"show configuration\"; permit-path \"zones zone host-inbound\"; deny-path policy; }"
		"administrator alice { role engineer; key [ " KEY_A " ]; uid 1000; }"
		"administrator bob { description \"second shift\"; role helpdesk; key [ " KEY_B " " KEY_LONG
		" ]; }"
		"inactive: administrator carol { role auditor; uid 1000; }"
		"authority " KEY_CA ";");
	struct administrators *a;
	struct err e = { 0 };

	if (read_text(text, &a, &e))
		fail_msg("%s", e.text);
	assert_int_equal(a->n, 2);
	assert_string_equal(a->at[0].name, "alice");
	assert_int_equal(a->at[0].role, ROLE_ENGINEER);
	assert_int_equal(a->at[0].uid, 1000);
	assert_int_equal(a->at[0].keys.n, 1);
	assert_string_equal(a->at[1].name, "bob");
	assert_int_equal(a->at[1].uid, 0);
	assert_string_equal(role_word(a, a->at[1].role), "helpdesk");
	assert_true(role_may_command(a, a->at[1].role, "show ike"));
	assert_false(role_may_command(a, a->at[1].role, "show configuration"));
	assert_true(role_may_change(a, a->at[1].role, "zones zone host-inbound"));
	assert_int_equal(a->authorities.n, 1);
	administrators_free(a);

	assert_int_equal(read_text("", &a, &e), RC_OK);
	assert_int_equal(a->n, 0);
	administrators_free(a);
}

static const struct {
	const char *text, *says;
} mistakes[] = {
	{ ADMINISTRATORS("administrator alice { role enginer; }"), "t:1:54: there is no role 'enginer'" },
	{ ADMINISTRATORS("administrator alice { uid 1000; }"), "administrator 'alice' lacks role" },
	{ ADMINISTRATORS("administrator root { role auditor; }"), "users of the machine" },
	{ ADMINISTRATORS("administrator plaingate-ike { role auditor; }"), "users of the machine" },
	{ ADMINISTRATORS("administrator Alice { role auditor; }"), "is made of a-z" },
	{ ADMINISTRATORS("administrator alice { role auditor; uid 0; }"), "1..4294967294" },
	{ ADMINISTRATORS("administrator alice { role auditor; uid 58000; }"),
		"administrators who come by ssh" },
	{ ADMINISTRATORS("administrator alice { role auditor; uid 59023; }"),
		"administrators who come by ssh" },
	{ ADMINISTRATORS(
		  "administrator alice { role auditor; uid 7; } administrator bob { role auditor; uid 7; }"),
		"uid 7 is that of administrator 'alice'" },
	{ ADMINISTRATORS("administrator alice { role auditor; key " KEY_A
			 "; } administrator bob { role engineer; key " KEY_A "; }"),
		"administrator 'alice' has this key already" },
	{ ADMINISTRATORS("administrator alice { role auditor; key " KEY_A "; } authority " KEY_A ";"),
		"administrator 'alice' has this key already" },
	{ ADMINISTRATORS("administrator a { role auditor; key " KEY_WEAK "; }"), "3072" },
	{ ADMINISTRATORS("administrator a { role auditor; key \"ssh-dss AAAA\"; }"), "t:1:" },
	{ ADMINISTRATORS("administrator a { role auditor; key \"command=x ssh-ed25519 AAAA\"; }"), "t:1:" },
	{ ADMINISTRATORS("role engineer { permit show; }"), "role 'engineer' is predefined" },
	{ ADMINISTRATORS("role root { permit show; }"), "role 'root' is predefined" },
	{ ADMINISTRATORS("role none { permit show; }"), "role 'none' is predefined" },
	{ ADMINISTRATORS("role r { permit show; deny \"show configurations\"; }"),
		"'show configurations' is not a command" },
	{ ADMINISTRATORS("role r { permit \"show \"; }"), "'show ' is not a command" },
	{ ADMINISTRATORS("role r { permit reboot; }"), "'reboot' is not a command" },
	{ ADMINISTRATORS("role r { permit-path \"policy rule\"; }"), "'policy rule' is not a place" },
	{ ADMINISTRATORS("role r { deny-path \" \"; }"), "is not a place" },
};

static void test_mistakes(void **state)
{
	for (size_t i = 0; i < COUNT_OF(mistakes); i++) {
		struct administrators *a;
		struct err e = { 0 };
		if (read_text(mistakes[i].text, &a, &e) == RC_OK)
			fail_msg("accepted: %s", mistakes[i].text);
		if (!strstr(e.text, mistakes[i].says))
			fail_msg("it does not say '%s': %s", mistakes[i].says, e.text);
	}
}

/* Nobody can sign whose only key makes signatures that are longer than what is taken; the largest that are can. */
static void test_who_can_sign(void **state)
{
	struct administrators *a;
	struct err e = { 0 };

	assert_int_equal(read_text(SIGNER(KEY_A), &a, &e), RC_OK);
	administrators_free(a);
	assert_int_equal(read_text(SIGNER(KEY_LONG), &a, &e), RC_OK);
	administrators_free(a);
	assert_int_not_equal(read_text(SIGNER(KEY_HUGE), &a, &e), RC_OK);
	assert_non_null(strstr(e.text, "0 administrators can give one"));
}

/* Each limit, and one more. */
static void test_limits(void **state)
{
	static char text[200000];
	struct administrators *a;

	for (unsigned more = 0; more < 2; more++) {
		struct err e = { 0 };
		size_t n = (size_t)snprintf(text, sizeof text, "system { administrators { ");
		for (unsigned i = 0; i < ADMINISTRATORS_MAX + more; i++)
			n += (size_t)snprintf(
				text + n, sizeof text - n, "administrator a%u { role auditor; }\n", i);
		snprintf(text + n, sizeof text - n, "} }");
		assert_int_equal(read_text(text, &a, &e) == RC_OK, more == 0);
		administrators_free(a);
		n = (size_t)snprintf(text, sizeof text, "system { administrators { ");
		for (unsigned i = 0; i < ADMIN_ROLES_MAX + more; i++)
			n += (size_t)snprintf(text + n, sizeof text - n, "role a%u { permit show; }\n", i);
		snprintf(text + n, sizeof text - n, "} }");
		assert_int_equal(read_text(text, &a, &e) == RC_OK, more == 0);
		administrators_free(a);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_read),
		cmocka_unit_test(test_mistakes),
		cmocka_unit_test(test_who_can_sign),
		cmocka_unit_test(test_limits),
	};
	int failed = cmocka_run_group_tests_name("model administrators", tests, NULL, NULL);

	model_done();
	return failed;
}
