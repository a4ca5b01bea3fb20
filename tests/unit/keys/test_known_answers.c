/*
 * Known answers: the file of the release passes; with any digit of any answer changed, with a function left
 * out or another form it does not, and the error names what.
 */
#include "proc/keeper/known_answers.h"

#include "base/bytes.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <fcntl.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cmocka.h>

static char text[16384], changed[sizeof text];
static size_t n;

static int load(void **state)
{
	FILE *f = fopen("share/known-answers.json", "r");

	if (!f)
		return -1;
	n = fread(text, 1, sizeof text, f);
	fclose(f);
	return n > 100 && n < sizeof text ? 0 : -1;
}

static void the_release_passes(void **state)
{
	struct err e = { 0 };

	if (known_answers_check(text, n, &e) != RC_OK)
		fail_msg("%s", e.text);
}

/* Each 7th digit of each output: every answer is hit many times. */
static void any_other_answer_fails(void **state)
{
	static const char mark[] = "\"output\":\"";
	size_t tried = 0;

	for (const char *at = text; (at = memmem(at, n - (size_t)(at - text), mark, sizeof mark - 1)); at++) {
		size_t first = (size_t)(at - text) + sizeof mark - 1;

		size_t end = (size_t)(strchr(text + first, '"') - text);
		for (size_t i = first; i < end; i += 7) {
			struct err e = { 0 };

			memcpy(changed, text, n);
			changed[i] = text[i] == '0' ? '1' : '0';
			if (known_answers_check(changed, n, &e) != RC_AUTH)
				fail_msg("digit %zu was changed unseen: %s", i, e.text);
			assert_non_null(strstr(e.text, "does not give the known answer"));
			tried++;
		}
	}
	assert_true(tried > 200);
}

/* Every line taken out; a function that has one line only is missed. */
static void left_out(void **state)
{
	size_t lines = 0, missed = 0;

	for (size_t at = strlen("{\"answers\":[\n"); text[at] == '{'; lines++) {
		size_t line_n = (size_t)(strchr(text + at, '\n') + 1 - (text + at));
		struct err e = { 0 };
		bool last = text[at + line_n] == ']';

		memcpy(changed, text, at);
		memcpy(changed + at, text + at + line_n, n - at - line_n);
		if (last)
			memmove(changed + at - 2, changed + at - 1, n - line_n - at + 1);
		enum rc rc = known_answers_check(changed, n - line_n - last, &e);
		assert_true(rc == RC_OK || rc == RC_NOT_FOUND);
		missed += rc == RC_NOT_FOUND;
		at += line_n;
	}
	assert_true(lines >= 8);
	assert_int_equal(missed, 3); /* sha-256, vrf-r255 and kernel-share have one each */
}

static void other_forms(void **state)
{
	static const char *const forms[] = { "", "{}", "{\"answers\":[\n]}\n", "{\"answers\":[\n{}\n]}\n",
		"{\"answers\":[\n{\"function\":\"sha-256\",\"input\":\"zz\",\"output\":\"00\"}\n]}\n",
		"{\"answers\":[\n{\"function\":\"sha-256\",\"input\":\"61\",\"output\":\"\"}\n]}\n",
		"{\"answers\":[\n{\"function\":\"sha-256\",\"input\":\"61 62\",\"output\":\"00\"}\n]}\n",
		"{\"answers\":[\n{\"function\":\"md5\",\"input\":\"61\",\"output\":\"00\"}\n]}\n" };

	for (size_t i = 0; i < COUNT_OF(forms); i++)
		assert_int_not_equal(known_answers_check(forms[i], strlen(forms[i]), NULL), RC_OK);
	for (size_t cut = 0; cut < n; cut++)
		if (known_answers_check(text, cut, NULL) == RC_OK)
			fail_msg("cut at %zu it still passes", cut);
	memcpy(changed, text, n);
	changed[n] = ' ';
	assert_int_equal(known_answers_check(changed, n + 1, NULL), RC_MALFORMED);
}

static void only_sealed(void **state)
{
	int fd = memfd_create("known-answers", MFD_CLOEXEC | MFD_ALLOW_SEALING);

	assert_int_equal(known_answers_check_file(-1, NULL), RC_NOT_FOUND);
	assert_int_equal(write(fd, text, n), (ssize_t)n);
	assert_int_equal(known_answers_check_file(fd, NULL), RC_DENIED);
	assert_int_equal(fcntl(fd, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE), 0);
	assert_int_equal(known_answers_check_file(fd, NULL), RC_OK);
	close(fd);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_release_passes),
		cmocka_unit_test(any_other_answer_fails),
		cmocka_unit_test(left_out),
		cmocka_unit_test(other_forms),
		cmocka_unit_test(only_sealed),
	};
	return cmocka_run_group_tests(tests, load, NULL);
}
