/* The number of workers in the configuration, what several of them share, and whether the kernel carries sessions for them. */
#include "compiled.h"
#include "model/model.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

static enum rc workers_of(const char *text, uint32_t *ret_workers, struct err *e)
{
	void *block;
	size_t n = 0;
	enum rc rc = compile(text, 1, &block, &n, e);

	if (rc == RC_OK) {
		struct snapshot *s = block;
		*ret_workers = s->workers;
		assert_int_equal(snapshot_check(block, n, e), RC_OK);
		s->workers = 2;
		assert_int_equal(snapshot_check(block, n, e), RC_OK);
		s->workers = WORKERS_MAX + 1; /* as a compromised control would send it */
		assert_int_equal(snapshot_check(block, n, e), RC_MALFORMED);
		s->workers = 0;
		assert_int_equal(snapshot_check(block, n, e), RC_MALFORMED);
	}
	free(block);
	return rc;
}

static void numbers(void **state)
{
	uint32_t workers = 0;
	struct err e = { 0 };

	(void)state;
	assert_int_equal(workers_of("system { host-name a; }", &workers, &e), RC_OK);
	assert_int_equal(workers, 1);
	assert_int_equal(workers_of("system { host-name a; workers 16; }", &workers, &e), RC_OK);
	assert_int_equal(workers, WORKERS_MAX);
	assert_int_not_equal(workers_of("system { host-name a; workers 17; }", &workers, &e), RC_OK);
	assert_int_not_equal(workers_of("system { host-name a; workers 0; }", &workers, &e), RC_OK);
}

/* Limits are counted over all; persistent NAT has one worker for all of an inside address and port; what one expects the
 * others are told. */
static void what_they_share(void **state)
{
	static const char *const texts[] = {
		"zones { zone a { interfaces e0; session-limit { source 3; } } }",
		"zones { zone a { interfaces e0; } } policy { from a to a { rule r { match { source any; destination any; "
		"application any; } then { permit; session-limit 5; } } } }",
		"zones { zone a { interfaces e0; } zone b { interfaces e1; } } nat { source { rule r { from a; to b; "
		"match { source any; } then { source-nat interface; persistent-nat address-and-port-dependent; } } } }",
	};

	(void)state;
	for (size_t i = 0; i < COUNT_OF(texts); i++) {
		uint32_t workers = 0;
		struct err e = { 0 };
		char text[512];
		snprintf(text, sizeof text, "system { host-name a; workers 4; alg { ftp; tftp; } } %s",
			texts[i]);
		if (workers_of(text, &workers, &e) != RC_OK)
			fail_msg("%s", e.text);
		assert_int_equal(workers, 4);
	}
}

static void offload(void **state)
{
	static const struct {
		const char *text;
		uint32_t want;
	} rows[] = { { "system { host-name a; }", 1 }, { "system { host-name a; offload on; }", 1 },
		{ "system { host-name a; offload off; }", 0 } };
	struct err e = { 0 };
	void *block;
	size_t n = 0;

	(void)state;
	for (size_t i = 0; i < COUNT_OF(rows); i++) {
		assert_int_equal(compile(rows[i].text, 1, &block, &n, &e), RC_OK);
		struct snapshot *s = block;
		assert_int_equal(s->offload, rows[i].want);
		s->offload = 2;
		assert_int_equal(snapshot_check(block, n, &e), RC_MALFORMED);
		free(block);
	}
	assert_int_not_equal(compile("system { host-name a; offload yes; }", 1, &block, &n, &e), RC_OK);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(numbers),
		cmocka_unit_test(what_they_share),
		cmocka_unit_test(offload),
	};
	int failed = cmocka_run_group_tests(tests, NULL, NULL);

	model_done();
	return failed;
}
