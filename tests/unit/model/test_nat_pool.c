/* Pools of source NAT in the configuration: one range, several, and what does not go together. */
#include "compiled.h"
#include "model/model.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

static void nat_pool(void **state)
{
	struct snapshot *s = compiled(
		"nat { source { rule a { then { source-nat 192.0.2.1-192.0.2.9; } }"
		"rule b { then { source-nat off; } } rule c { then { source-nat 192.0.2.7; } } rule d { then { "
		"source-nat [ 192.0.2.16/28 192.0.2.9 192.0.2.1-192.0.2.2 ]; } } } }");
	const struct snap_nat_rule *r = snap_nat_rules(s);
	char text[RANGE_TEXT_MAX];

	assert_int_equal(r[0].action, NAT_POOL);
	assert_string_equal(range_text(text, &r[0].pool), "192.0.2.1-192.0.2.9");
	assert_int_equal(r[0].from_zone, ZONE_ANY);
	assert_int_equal(r[1].action, NAT_OFF);
	assert_int_equal(r[2].action, NAT_POOL);
	assert_string_equal(range_text(text, &r[2].pool), "192.0.2.7/32");
	assert_int_equal(r[2].pool_more.count, 0);
	assert_string_equal(range_text(text, &r[3].pool), "192.0.2.16/28");
	assert_int_equal(r[3].pool_more.count, 2);
	assert_string_equal(
		range_text(text, &snap_ranges(s)[r[3].pool_more.first + 1]), "192.0.2.1-192.0.2.2");
	free(s);
}

static void refused(void **state)
{
	static const struct {
		const char *pool, *says;
	} rows[] = { { "[ 192.0.2.1 2001:db8::1 ]", "of one family" },
		{ "[ 192.0.2.1 interface ]", "stands alone" }, { "[ interface 192.0.2.1 ]", "stands alone" },
		{ "[ off interface ]", "stands alone" } };
	(void)state;
	for (size_t i = 0; i < COUNT_OF(rows); i++) {
		char text[200];
		void *block;
		size_t n = 0;
		struct err e = { 0 };
		snprintf(text, sizeof text, "nat { source { rule a { then { source-nat %s; } } } }",
			rows[i].pool);
		assert_int_not_equal(compile(text, 1, &block, &n, &e), RC_OK);
		assert_non_null(strstr(e.text, rows[i].says));
		free(block);
	}
}

/* What the receiver of a snapshot refuses. */
static void broken(void **state)
{
	(void)state;
	for (int fault = 0; fault < 5; fault++) {
		struct snapshot *s = compiled(
			"nat { source { rule a { then { source-nat [ 192.0.2.1 192.0.2.9 ]; } } } }");
		struct snap_nat_rule *r = (struct snap_nat_rule *)(void *)((uint8_t *)s + s->nat_rules.first);
		struct err e = { 0 };
		if (fault == 0)
			r->pool_more.count = 2; /* beyond the array */
		else if (fault == 1)
			r->pool_more.first = UINT32_MAX;
		else if (fault == 2)
			r->pool.first.family = r->pool.last.family = ADDR_V6;
		else if (fault == 3)
			r->flags = 8;
		else
			r->action = NAT_INTERFACE;
		assert_int_not_equal(snapshot_check(s, s->bytes, &e), RC_OK);
		free(s);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(nat_pool), cmocka_unit_test(refused),
		cmocka_unit_test(broken) };
	return cmocka_run_group_tests(tests, NULL, NULL);
}
