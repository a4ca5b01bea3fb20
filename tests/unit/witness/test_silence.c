/* Who fell silent, and when it is told: by a clock of the test's own. */
#include "proc/witness/silence.h"
#include "base/bytes.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#define START (1000 * NS_PER_S)

/* The first and the last are one log with two keys. */
static const struct note_key logs[] = { { .name = "a" }, { .name = "b" }, { .name = "a" } };

static void told_once(void **state)
{
	struct silence s;
	mono_ns silent;

	assert_true(silence_init(&s, logs, COUNT_OF(logs), 90));
	assert_null(silence_next(&s, START, &silent)); /* nobody was ever heard */
	assert_false(silence_heard(&s, "a", START, &silent));
	assert_false(silence_heard(&s, "b", START + 10 * NS_PER_S, &silent));
	assert_false(silence_heard(&s, "c", START, &silent));
	assert_null(silence_next(&s, START + 90 * NS_PER_S - 1, &silent));
	assert_string_equal(silence_next(&s, START + 90 * NS_PER_S, &silent), "a");
	assert_int_equal(silent, 90 * NS_PER_S);
	assert_null(silence_next(&s, START + 90 * NS_PER_S, &silent));
	assert_string_equal(silence_next(&s, START + 500 * NS_PER_S, &silent), "b");
	assert_null(silence_next(&s, START + 5000 * NS_PER_S, &silent));
	/* back, and gone again */
	assert_true(silence_heard(&s, "a", START + 600 * NS_PER_S, &silent));
	assert_int_equal(silent, 600 * NS_PER_S);
	assert_false(silence_heard(&s, "a", START + 601 * NS_PER_S, &silent));
	assert_string_equal(silence_next(&s, START + 700 * NS_PER_S, &silent), "a");
	silence_done(&s);
}

static void switched_off(void **state)
{
	struct silence s;
	mono_ns silent;

	assert_true(silence_init(&s, logs, COUNT_OF(logs), 0));
	assert_false(silence_heard(&s, "a", START, &silent));
	assert_null(silence_next(&s, START + 5000 * NS_PER_S, &silent));
	silence_done(&s);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(told_once),
		cmocka_unit_test(switched_off),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
