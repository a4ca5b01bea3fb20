/*
 * The order of values and leaves: leaves follow from values; what is late is told from what is not; the bound
 * on what an order can say is not below what it can say.
 */
#include "verify/order.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include <math.h>

static struct order *order;
static struct ledger_entry entry;

static int begin(void **state)
{
	entry = (struct ledger_entry){ 0 };
	order = order_new();
	return order ? 0 : -1;
}

static int end(void **state)
{
	order_free(order);
	return 0;
}

static enum rc named(uint64_t epoch, uint64_t count, uint64_t leaf)
{
	struct err e = { 0 };

	return order_named(order, &(struct order_place){ epoch, count, leaf }, &entry, &e);
}

static void leaves_follow_from_values(void **state)
{
	assert_int_equal(named(0, 1, 10), RC_OK);
	assert_int_equal(named(0, 4, 13), RC_OK);
	assert_int_equal(named(0, 5, 0), RC_OK); /* a child without an exchange of its own */
	assert_int_equal(named(0, 2, 11), RC_OK);
	assert_int_equal(named(0, 3, 14), RC_AUTH);
	assert_int_equal(named(0, 6, 12), RC_AUTH);
	assert_int_equal(named(1, 1, 9), RC_AUTH); /* nor across epochs */
	assert_int_equal(named(1, 2, 20), RC_OK);
}

static void what_is_late(void **state)
{
	entry.mono_us = 1000000;
	assert_int_equal(named(0, 3, 0), RC_OK);
	entry.mono_us = 2000000;
	assert_int_equal(named(0, 9, 0), RC_OK);
	entry.mono_us = 7500000;
	assert_int_equal(named(0, 2, 0), RC_OK);
	assert_int_equal(named(0, 10, 0), RC_OK);
	struct order_report r = order_state(order);
	assert_int_equal(r.named, 4);
	assert_int_equal(r.late, 1);
	assert_int_equal(r.distance, 2);
	assert_int_equal(r.late_s, 6);
	entry.boot[0] = 1; /* another clock */
	entry.mono_us = 1ull << 60;
	assert_int_equal(named(0, 8, 0), RC_OK);
	assert_int_equal(order_state(order).late_s, 6);
}

static void the_window(void **state)
{
	assert_int_equal(named(0, 100, 0), RC_OK);
	assert_int_equal(named(0, 100 + PUBLIC_ORDER_WINDOW, 0), RC_OK);
	assert_int_equal(named(0, 99, 0), RC_AUTH);
	assert_int_equal(named(0, 101, 0), RC_OK);
	assert_int_equal(named(1, 1, 0), RC_OK);
	assert_int_equal(named(0, 102, 0), RC_OK);
	assert_int_equal(named(1, PUBLIC_ORDER_WINDOW + 1, 0), RC_OK);
	assert_int_equal(named(0, 103, 0), RC_AUTH);
	/* Long rows, of which the oldest are forgotten. */
	for (uint64_t i = 2; i < 3 * PUBLIC_ORDER_WINDOW; i++)
		assert_int_equal(named(2, i, i), RC_OK);
	assert_int_equal(named(2, 1, 1), RC_AUTH);
}

/* All orders of six with so many late and so late: the bound covers their number, for each kind that occurs.
 */
static void the_bound_holds(void **state)
{
	enum { N = 6, ALL = 720 };
	unsigned found[N][N] = { 0 };

	for (unsigned which = 0; which < ALL; which++) {
		unsigned left[N] = { 1, 2, 3, 4, 5, 6 }, w = which, fact = ALL / N;
		struct order *o = order_new();
		assert_non_null(o);
		for (unsigned i = 0; i < N; i++) {
			unsigned k = w / fact;
			struct err e = { 0 };
			assert_int_equal(
				order_named(o, &(struct order_place){ 0, left[k], 0 }, &entry, &e), RC_OK);
			memmove(left + k, left + k + 1, (N - 1 - k) * sizeof *left);
			w %= fact;
			fact /= i + 1 < N - 1 ? N - 1 - i : 1;
		}
		found[order_state(o).late][order_state(o).distance]++;
		order_free(o);
	}
	assert_int_equal(found[0][0], 1);
	for (unsigned late = 1; late < N; late++)
		for (unsigned distance = 1, upto = 0; distance < N; distance++) {
			upto += found[late][distance];
			assert_true(upto == 0 || log2(upto) <= order_bits(N, late, distance, 0) + 1e-9);
		}
	/* Left out: C(10, 3) ways. */
	assert_true(fabs(order_bits(7, 0, 0, 3) - log2(120)) < 1e-9);
	assert_true(order_bits(0, 0, 0, 0) == 0 && order_bits(10, 10, 1, 0) == 0);
}

int main(void)
{
#define T(f) cmocka_unit_test_setup_teardown(f, begin, end)
	const struct CMUnitTest tests[] = {
		T(leaves_follow_from_values),
		T(what_is_late),
		T(the_window),
		T(the_bound_holds),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
