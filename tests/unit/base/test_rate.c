/* The token bucket: so many at once, so many a second on end, and no more after a rest. */
#include "base/rate.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

static void test_rate(void **state)
{
	mono_ns empty_until = 0, now = 1000 * NS_PER_S;
	int taken = 0;

	(void)state;
	for (int i = 0; i < 50; i++)
		taken += rate_take(&empty_until, 100, 10, now);
	assert_int_equal(taken, 10);
	taken = 0;
	for (int i = 0; i < 1000; i++) /* one second */
		taken += rate_take(&empty_until, 100, 10, now += NS_PER_MS);
	assert_in_range(taken, 99, 101);
	now += 3600 * NS_PER_S; /* a long rest fills it once, not more */
	taken = 0;
	for (int i = 0; i < 50; i++)
		taken += rate_take(&empty_until, 100, 10, now);
	assert_int_equal(taken, 10);
}

int main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(test_rate) };

	return cmocka_run_group_tests(tests, NULL, NULL);
}
