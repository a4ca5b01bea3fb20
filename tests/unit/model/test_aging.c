/* Early ageing in the configuration: its defaults, its values, and watermarks that are not in order. */
#include "compiled.h"
#include "model/model.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

static enum rc aging_of(const char *text, struct snap_aging *ret_aging, struct err *e)
{
	void *block;
	size_t n = 0;
	enum rc rc = compile(text, 1, &block, &n, e);

	if (rc == RC_OK) {
		assert_int_equal(snapshot_check(block, n, e), RC_OK);
		*ret_aging = ((const struct snapshot *)block)->aging;
	}
	free(block);
	return rc;
}

static void becomes(const char *text, struct snap_aging wanted)
{
	struct snap_aging is = { 0 };
	struct err e = { 0 };

	assert_int_equal(aging_of(text, &is, &e), RC_OK);
	assert_memory_equal(&is, &wanted, sizeof is);
}

static void values(void **state)
{
	becomes("system { host-name a; }", (struct snap_aging){ 0, 0, 0 });
	becomes("system { host-name a; aging { } }", (struct snap_aging){ 90, 80, 20 });
	becomes("system { host-name a; aging { high-watermark 70; low-watermark 5; early-ageout 300; } }",
		(struct snap_aging){ 70, 5, 300 });
}

static void not_in_order(void **state)
{
	static const char *const wrong[] = { "high-watermark 80;", "low-watermark 90;",
		"high-watermark 50; low-watermark 50;" };
	struct snap_aging is;

	for (size_t i = 0; i < COUNT_OF(wrong); i++) {
		char text[128];
		struct err e = { 0 };
		snprintf(text, sizeof text, "system { host-name a; aging { %s } }", wrong[i]);
		assert_int_not_equal(aging_of(text, &is, &e), RC_OK);
		assert_non_null(strstr(e.text, "t:1:"));
		assert_non_null(strstr(e.text, "low-watermark is not below high-watermark"));
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(values),
		cmocka_unit_test(not_in_order),
	};
	int failed = cmocka_run_group_tests(tests, NULL, NULL);

	model_done();
	return failed;
}
