/* sshd's lines, with what strangers put into them; and how many of them are entered. */
#include "ssh/failures.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <cmocka.h>

static struct failure read_one(const char *line)
{
	struct failure f;

	assert_true(failure_read(&f, line, strlen(line)));
	return f;
}

static void test_lines_of_sshd(void **state)
{
	struct failure f = read_one("Invalid user bob from 192.0.2.7 port 40000");

	assert_int_equal(f.kind, FAILURE_UNKNOWN_USER);
	assert_string_equal(f.name, "bob");
	assert_string_equal(f.source, "192.0.2.7");
	f = read_one(
		"Failed publickey for alice from 2001:db8::7 port 40000 ssh2: ED25519 SHA256:abc/def+ ID x");
	assert_int_equal(f.kind, FAILURE_KEY);
	assert_string_equal(f.name, "alice");
	assert_string_equal(f.source, "2001:db8::7");
	assert_string_equal(f.key, "SHA256:abc/def+");
	f = read_one("User root from 192.0.2.7 not allowed because listed in DenyUsers");
	assert_int_equal(f.kind, FAILURE_NOT_ALLOWED);
	assert_string_equal(f.name, "root");
}

static void test_strangers_words_move_nothing(void **state)
{
	struct failure f = read_one("Invalid user x from 198.51.100.1 port 1 from 192.0.2.7 port 40000");

	assert_string_equal(f.source, "192.0.2.7");
	assert_string_equal(f.name, "x from 198.51.100.1 port 1");
	f = read_one(
		"Failed publickey for alice from 192.0.2.7 port 40000 ssh2: ED25519-CERT SHA256:abc ID y from 198.51.100.1 port 1 (serial 0)");
	assert_string_equal(f.source, "192.0.2.7");
	f = read_one("Invalid user <<< \\045s(un='\\045s') = \\045u from 192.0.2.7 port 1");
	assert_string_equal(f.source, "192.0.2.7");
}

static void test_other_lines(void **state)
{
	static const char *const lines[] = { "", "Invalid user ", "Invalid user x", "Invalid user x from",
		"Invalid user x from  port 1", "Invalid user x from a b port 1",
		"Failed none for alice from 192.0.2.7 port 1 ssh2",
		"Accepted publickey for alice from 192.0.2.7 port 1",
		"Failed publickey for invalid user x from 192.0.2.7 port 1 ssh2", "User x from 192.0.2.7",
		"Connection closed by 192.0.2.7 port 1" };
	struct failure f;

	for (size_t i = 0; i < sizeof lines / sizeof lines[0]; i++)
		assert_false(failure_read(&f, lines[i], strlen(lines[i])));
}

static void test_every_end_of_a_line(void **state)
{
	static const char line[] =
		"Failed publickey for alice from 192.0.2.7 port 40000 ssh2: ED25519 SHA256:abc";
	static char huge[8192];
	struct failure f;

	for (size_t n = 0; n <= sizeof line - 1; n++)
		if (failure_read(&f, line, n))
			assert_string_equal(f.source, "192.0.2.7");
	memset(huge, 'a', sizeof huge);
	memcpy(huge, "Invalid user ", 13);
	assert_false(failure_read(&f, huge, sizeof huge));
}

static struct failures all;

static unsigned entered(mono_ns now)
{
	struct failure f;
	unsigned n = 0;

	while (failures_next(&all, &f, now))
		n++;
	return n;
}

static void test_sums(void **state)
{
	struct failure f = read_one("Invalid user bob from 192.0.2.7 port 1"), out;
	mono_ns now = 5 * NS_PER_S;

	memset(&all, 0, sizeof all);
	failures_add(&all, &f, now);
	assert_true(failures_next(&all, &out, now));
	assert_int_equal(out.count, 1);
	for (int i = 0; i < 1000; i++)
		failures_add(&all, &f, now + NS_PER_S);
	assert_int_equal(entered(now + 2 * NS_PER_S), 0);
	assert_true(failures_next(&all, &out, now + FAILURES_ROUND_NS));
	assert_int_equal(out.count, 1000);
	assert_int_equal(entered(now + 2 * FAILURES_ROUND_NS), 0);
	assert_int_equal(all.total, 1001);
}

static void test_many_sources_are_bounded(void **state)
{
	mono_ns now = 5 * NS_PER_S;

	memset(&all, 0, sizeof all);
	for (unsigned i = 0; i < 10000; i++) {
		struct failure f = read_one("Invalid user bob from 192.0.2.7 port 1");
		snprintf(f.source, sizeof f.source, "10.0.%u.%u", i / 256, i % 256);
		failures_add(&all, &f, now + i);
	}
	assert_int_equal(entered(now + NS_PER_S), FAILURES_EACH_MINUTE);
	assert_int_equal(entered(now + 2 * NS_PER_S), 0);
	assert_int_equal(entered(now + NS_PER_S + FAILURES_ROUND_NS), FAILURES_EACH_MINUTE);
	assert_int_equal(all.left_out, 10000 - FAILURES_SOURCES);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_lines_of_sshd),
		cmocka_unit_test(test_strangers_words_move_nothing),
		cmocka_unit_test(test_other_lines),
		cmocka_unit_test(test_every_end_of_a_line),
		cmocka_unit_test(test_sums),
		cmocka_unit_test(test_many_sources_are_bounded),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
