/* The token bucket: so many at once, so many a second on end, and no more after a rest; of one thread and of several. */
#include "base/rate.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>
#include <pthread.h>

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
	assert_false(rate_shared_left(&empty_until, 100, 10, now));
	assert_true(
		rate_shared_left(&empty_until, 100, 10, now + NS_PER_S / 100)); /* and it is still there */
	assert_true(rate_shared_take(&empty_until, 100, 10, now + NS_PER_S / 100));
	now += 3600 * NS_PER_S; /* a long rest fills it once, not more */
	taken = 0;
	for (int i = 0; i < 50; i++)
		taken += rate_take(&empty_until, 100, 10, now);
	assert_int_equal(taken, 10);
}

/* ---- several threads ---- */

#define THREADS 4
#define TRIES	200000

static mono_ns shared;

/* Each has the same clock, 200 milliseconds long, whenever it runs. */
static void *take(void *context)
{
	mono_ns now = 1000 * NS_PER_S;
	uintptr_t taken = 0;

	(void)context;
	for (int i = 0; i < TRIES; i++) {
		now += 1000;
		taken += rate_shared_take(&shared, 10000, 500, now);
	}
	return (void *)taken;
}

static void test_shared(void **state)
{
	pthread_t threads[THREADS];
	uintptr_t all = 0;

	(void)state;
	for (int i = 0; i < THREADS; i++)
		assert_int_equal(pthread_create(&threads[i], NULL, take, NULL), 0);
	for (int i = 0; i < THREADS; i++) {
		void *taken;
		assert_int_equal(pthread_join(threads[i], &taken), 0);
		all += (uintptr_t)taken;
	}
	/* What one thread takes in that time, and nobody gets a token twice. */
	assert_in_range(all, 2499, 2501);
}

int main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(test_rate), cmocka_unit_test(test_shared) };

	return cmocka_run_group_tests(tests, NULL, NULL);
}
