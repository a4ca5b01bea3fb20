/*
 * Values of addresses: those that are no nodes of libyang's tree are accepted, refused and found twice as those that are.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "compiled.h"
#include "model/many.h"
#include "model/model.h"
#include "model/schema.h"

static uint64_t random_next(uint64_t *seed)
{
	*seed = *seed * 6364136223846793005u + 1442695040888963407u;
	return *seed >> 33;
}

/* Characters that the types know, and some that they do not; often of a length at a limit. */
static size_t text_random(char *ret_text, uint64_t *seed)
{
	static const char all[] = "0123456789abcdefABCDEF:./-g /-";
	static const size_t lengths[] = { 1, 2, 4, 5, 6, 48, 49, 50, 90, 91, 92 };
	size_t n = random_next(seed) % 2 ? random_next(seed) % 12 + 1 : lengths[random_next(seed) % 11];
	size_t known = random_next(seed) % 2 ? 24 : sizeof all - 1;

	for (size_t i = 0; i < n; i++)
		ret_text[i] = all[random_next(seed) % known];
	if (random_next(seed) % 2)
		ret_text[random_next(seed) % n] = random_next(seed) % 2 ? '/' : '-';
	ret_text[n] = '\0';
	return n;
}

static void fits_what_the_schema_accepts(void **state)
{
	static const char *const paths[] = { [MANY_PREFIX] = "/plaingate:address-book/address/prefix",
		[MANY_RANGE] = "/plaingate:address-book/address/range" };
	struct err e = { 0 };
	uint64_t seed = 1;
	char text[128];

	assert_int_equal(schema_init(&e), RC_OK);
	for (enum many_kind kind = MANY_PREFIX; kind < MANY_KINDS; kind++) {
		const struct lysc_node *leaf = lys_find_path(schema_ctx(), NULL, paths[kind], 0);
		uint32_t accepted = 0;
		assert_int_equal(many_kind(leaf), kind);
		for (int i = 0; i < 100000; i++) {
			size_t n = text_random(text, &seed);
			bool schema = lyd_value_validate(schema_ctx(), leaf, text, n, NULL, NULL, NULL) ==
				      LY_SUCCESS;
			if (many_fits(kind, text, n) != schema)
				fail_msg("'%s': the schema %s it", text, schema ? "accepts" : "refuses");
			accepted += schema;
		}
		assert_in_range(accepted, 1000, 99000);
	}
}

/* What is said of the text without its place, and its ranges. */
static enum rc outcome(const char *text, char *ret_said, size_t size, struct snapshot **ret_snapshot)
{
	struct err e = { 0 };
	void *block = NULL;
	size_t n;
	enum rc rc = compile(text, 1, &block, &n, &e);
	const char *found = strstr(e.text, ": ");

	snprintf(ret_said, size, "%s", found ? found : "");
	*ret_snapshot = block;
	return rc;
}

/* Zones and a rule for the address a, and how it is written. */
static char *text_of(const char *statements)
{
	static char text[1 << 22];
	int n = snprintf(text, sizeof text,
		"zones { zone z { interfaces e0; } }\naddress-book { address a {\n%s\n} }\n"
		"policy { from z to z { rule r { match { source a; destination any; application any; } then { permit; } } } }\n",
		statements);

	assert_in_range(n, 1, sizeof text - 1);
	return text;
}

static void the_first_and_the_others_are_judged_alike(void **state)
{
	static const char *const values[] = { "10.1.0.0/16", "10.1.0.1/16", "10.1.0.0/033", "10.1.0.0/0016",
		"10.1.0", "2001:db8::/32", "2001:db8::1/32", "::", ":", "1", "10.0.0.0/", "/8", "host",
		"10.9.0.1-10.9.0.2", "\"10.1.0.0/16\"", "\"10.1.0.0 /16\"", "any", "10.1.0.0/8/8",
		"10.2.0.9-10.2.0.1", "10.2.0.1-2001:db8::1", "10.2.0.1-", "-10.2.0.1", "10.2.0.1-10.2.0.9",
		"10.2.0.1-10.2.0.x" };
	static const char *const others[] = { "prefix 192.0.2.0/24", "range 192.0.2.0-192.0.2.255" };
	char statements[256], alone[ERR_TEXT_MAX], further[ERR_TEXT_MAX];

	for (size_t i = 0; i < 2 * COUNT_OF(values); i++) {
		const char *word = i % 2 ? "range" : "prefix", *value = values[i / 2];
		struct snapshot *one, *two;
		snprintf(statements, sizeof statements, "%s %s;", word, value);
		enum rc rc = outcome(text_of(statements), alone, sizeof alone, &one);
		snprintf(statements, sizeof statements, "%s;\n%s %s;", others[i % 2], word, value);
		assert_int_equal(outcome(text_of(statements), further, sizeof further, &two), rc);
		assert_string_equal(alone, further);
		if (!rc)
			assert_int_equal(two->ranges.count, one->ranges.count + 1);
		free(one);
		free(two);
	}
}

static void ranges_are(const char *statements, uint32_t n)
{
	struct snapshot *s = compiled(text_of(statements));

	assert_int_equal(s->ranges.count, n);
	free(s);
}

static void inactive_ones(void **state)
{
	char said[ERR_TEXT_MAX];
	struct snapshot *s;

	ranges_are(
		"inactive: prefix 10.1.0.0/16; prefix 10.3.0.0/16; prefix 10.5.0.0/16; range 10.7.0.1-10.7.0.2;",
		3);
	ranges_are(
		"prefix [ 10.1.0.0/16 10.3.0.0/16 ]; inactive: prefix [ 10.5.0.0/16 10.7.0.0/16 ]; inactive: range 10.9.0.1-10.9.0.2;",
		2);
	ranges_are(
		"prefix 10.1.0.0/16; range 10.3.0.1-10.3.0.2; prefix 10.5.0.0/16; range 10.7.0.1-10.7.0.2;",
		4);
	assert_int_equal(
		outcome(text_of("inactive: prefix [ 10.1.0.0/16 10.3.0.0/16 ];"), said, sizeof said, &s),
		RC_MALFORMED);
	assert_non_null(strstr(said, "an address needs at least one prefix, range"));
	/* Of an address that is switched off as a whole nothing is left. */
	ranges_are(
		"prefix 10.1.0.0/16; }\ninactive: address b { prefix [ 10.3.0.0/16 10.5.0.0/16 ]; }\naddress c { prefix [ 10.7.0.0/16 10.9.0.0/16 ];",
		1);
}

static void given_twice(const char *statements)
{
	char said[ERR_TEXT_MAX];
	struct snapshot *s;

	assert_int_equal(outcome(text_of(statements), said, sizeof said, &s), RC_MALFORMED);
	if (!strstr(said, "prefix '10.1.0.0/16' is given twice, first in line 3"))
		fail_msg("%s", said);
}

static void twice(void **state)
{
	static char many[1 << 21];
	size_t n = (size_t)snprintf(many, sizeof many, "prefix [ 10.1.0.0/16\n");

	given_twice("prefix 10.1.0.0/16; prefix 10.1.0.0/16;");
	given_twice("prefix [ 10.1.0.0/16 10.3.0.0/16 10.1.0.0/16 ];");
	given_twice("prefix 10.1.0.0/16; inactive: prefix 10.1.0.0/16;");
	given_twice("inactive: prefix 10.1.0.0/16; prefix 10.1.0.0/16;");
	for (uint32_t i = 0; i < 50000; i++)
		n += (size_t)snprintf(
			many + n, sizeof many - n, "11.%u.%u.%u\n", i >> 16, i >> 8 & 255, i & 255);
	snprintf(many + n, sizeof many - n, "10.1.0.0/16 ];");
	given_twice(many);
	/* The same in another address is another one. */
	ranges_are(
		"prefix [ 10.1.0.0/16 10.3.0.0/16 ]; }\naddress b { prefix [ 10.3.0.0/16 10.1.0.0/16 ];", 2);
}

static void printed(void **state)
{
	static const char text[] =
		"address-book {\n    address a {\n        prefix [ 10.1.0.0/16 10.3.0.0/16 10.5.0.0/16 ];\n"
		"        inactive: prefix 10.7.0.0/16;\n        range 10.9.0.1-10.9.0.2;\n    }\n"
		"    inactive: address b {\n        prefix [ 10.1.0.0/16 10.3.0.0/16 ];\n    }\n}\n";
	struct model *m = NULL;
	struct err e = { 0 };
	size_t n;

	assert_int_equal(model_load_text(text, strlen(text), "t", &m, &e), RC_OK);
	char *again = model_print(m, &n);
	assert_string_equal(again, text);
	free(again);
	model_free(m);
}

static int done(void **state)
{
	model_done();
	return 0;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(fits_what_the_schema_accepts),
		cmocka_unit_test(the_first_and_the_others_are_judged_alike),
		cmocka_unit_test(inactive_ones),
		cmocka_unit_test(twice),
		cmocka_unit_test(printed),
	};
	return cmocka_run_group_tests(tests, NULL, done);
}
