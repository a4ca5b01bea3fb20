/* base/err.h, base/log.h, base/clock.h. */
#include "base/bytes.h"
#include "base/clock.h"
#include "base/err.h"
#include "base/log.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

static void test_chain(void **state)
{
	struct err e = { 0 };

	errno = EACCES;
	assert_int_equal(err_errno(&e, RC_IO, "open '%s'", "b.psk"), RC_IO);
	assert_int_equal(errno, EACCES); /* still there for the caller */
	assert_int_equal(err_add(&e, RC_INTERNAL, "while loading peer '%s'", "b"), RC_INTERNAL);
	assert_string_equal(e.text, "open 'b.psk': Permission denied; while loading peer 'b'");
	assert_int_equal(e.rc, RC_IO); /* the first one stays */
	err_clear(&e);
	assert_int_equal(e.rc, RC_OK);
	assert_string_equal(e.text, "");
}

static void test_nobody_reads_it(void **state)
{
	assert_int_equal(err_add(NULL, RC_LIMIT, "%s", "x"), RC_LIMIT);
	assert_int_equal(err_errno(NULL, RC_IO, "%s", "x"), RC_IO);
	err_clear(NULL);
}

/* However long the chain: terminated, inside its room, the beginning kept. */
static void test_long_chains_are_cut(void **state)
{
	for (size_t step = 1; step < 700; step += 23) {
		struct {
			struct err e;
			char guard[8];
		} g = { .guard = "guarded" };
		char piece[700];
		memset(piece, 'a', step);
		piece[step] = '\0';
		for (int i = 0; i < 40; i++) {
			err_add(&g.e, RC_RANGE, "%s", piece);
			errno = ENOENT;
			err_errno(&g.e, RC_IO, "%s", piece);
		}
		assert_string_equal(g.guard, "guarded");
		assert_true(strlen(g.e.text) < ERR_TEXT_MAX);
		assert_int_equal(g.e.text[0], 'a');
		assert_int_equal(g.e.rc, RC_RANGE);
	}
}

static void test_every_code_has_a_text(void **state)
{
	for (int rc = 0; rc < RC_COUNT; rc++) {
		assert_true(strlen(rc_text((enum rc)rc)) > 0);
		assert_string_not_equal(rc_text((enum rc)rc), "unknown result");
	}
	assert_string_equal(rc_text(RC_COUNT), "unknown result");
	assert_string_equal(rc_text((enum rc) - 1), "unknown result");
}

/* What a stranger sent cannot forge a second line. */
static void test_log_line(void **state)
{
	int pipe_fds[2], saved = dup(STDERR_FILENO);
	char got[8192];

	assert_int_equal(pipe(pipe_fds), 0);
	assert_true(fcntl(pipe_fds[0], F_SETFL, O_NONBLOCK) == 0);
	dup2(pipe_fds[1], STDERR_FILENO);
	log_init("test", LOG_WARN);
	log_info("not shown");
	log_warn("peer said '%s'", "x\n2026 ledger error: forged\x1b[2J\x7f");
	char filler[2000];
	memset(filler, '\1', sizeof filler - 1);
	filler[sizeof filler - 1] = '\0';
	log_error("%s", filler);
	dup2(saved, STDERR_FILENO);
	close(saved);
	ssize_t n = read(pipe_fds[0], got, sizeof got - 1);
	assert_true(n > 0);
	got[n] = '\0';
	char *first_end = strchr(got, '\n'), *second_end = strchr(first_end + 1, '\n');
	assert_ptr_equal(second_end, got + n - 1); /* two lines, no more */
	*first_end = '\0';
	assert_non_null(strstr(got, " test warn: peer said 'x\\x0a2026 ledger error: forged\\x1b[2J\\x7f'"));
	assert_true(strlen(first_end + 1) > 4000 && strlen(first_end + 1) < 4400); /* cut, whole escapes */
	close(pipe_fds[0]);
	close(pipe_fds[1]);
}

static void test_clock(void **state)
{
	char text[UTC_TEXT_MAX];
	mono_ns a = clock_mono(), b = clock_mono();

	assert_true(a > 0 && b >= a);
	assert_string_equal(utc_text(text, 0), "1970-01-01T00:00:00.000000Z");
	assert_string_equal(utc_text(text, 1450375200000001), "2015-12-17T18:00:00.000001Z");
	assert_string_equal(utc_text(text, 1709164800999999), "2024-02-29T00:00:00.999999Z");

	static const uint64_t times[] = { 0, 1, 1450375200000001, 1709164800999999, 253402300799999999 };
	utc_us t;

	for (size_t i = 0; i < COUNT_OF(times); i++) {
		assert_true(utc_read(&t, utc_text(text, times[i])));
		assert_true(t == times[i]);
	}
	for (utc_us day = 0; day < 253402300800000000; day += 13 * 86400000000) {
		assert_true(utc_read(&t, utc_text(text, day)));
		assert_true(t == day);
	}
	static const char *const wrong[] = { "", "9999-99-99T99:99:99.999999Z", "2100-02-29T00:00:00.000000Z",
		"2015-12-17T18:00:00.000001", "2015-12-17T18:00:00.000001Zz", "2015-12-17T18:00:00.1Z",
		"2015-12-17 18:00:00.000001Z", "2015-13-17T18:00:00.000001Z", "2015-02-29T18:00:00.000001Z",
		"2015-12-17T24:00:00.000001Z", "2015-12-17T18:00:60.000001Z", "+015-12-17T18:00:00.000001Z",
		"1969-12-31T23:59:59.999999Z" };
	for (size_t i = 0; i < COUNT_OF(wrong); i++)
		assert_false(utc_read(&t, wrong[i]));
	assert_true(clock_utc() > 1600000000000000);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_chain),
		cmocka_unit_test(test_nobody_reads_it),
		cmocka_unit_test(test_long_chains_are_cut),
		cmocka_unit_test(test_every_code_has_a_text),
		cmocka_unit_test(test_log_line),
		cmocka_unit_test(test_clock),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
