/* Code points of rules: every name and number, and what is refused. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "compiled.h"
#include "model/model.h"

#define RULE(then)                                                                                               \
	"zones { zone a { interfaces e0; } zone b { interfaces e1; } } policy { from a to b { rule r { match { " \
	"source any; destination any; application any; } then { " then " } } } }"

static uint32_t flags_of(const char *dscp)
{
	char text[512];

	snprintf(text, sizeof text, RULE("permit; dscp %s;"), dscp);
	struct snapshot *s = compiled(text);
	uint32_t flags = snap_rules(s)[0].flags;
	free(s);
	return flags;
}

static void numbers(void **state)
{
	/* The registry of IANA, "Differentiated Services Field Codepoints". */
	static const struct {
		const char *name;
		uint32_t number;
	} names[] = { { "cs0", 0 }, { "cs1", 8 }, { "cs2", 16 }, { "cs3", 24 }, { "cs4", 32 }, { "cs5", 40 },
		{ "cs6", 48 }, { "cs7", 56 }, { "af11", 10 }, { "af12", 12 }, { "af13", 14 }, { "af21", 18 },
		{ "af22", 20 }, { "af23", 22 }, { "af31", 26 }, { "af32", 28 }, { "af33", 30 },
		{ "af41", 34 }, { "af42", 36 }, { "af43", 38 }, { "ef", 46 }, { "va", 44 }, { "le", 1 } };
	char text[16];

	for (size_t i = 0; i < COUNT_OF(names); i++)
		assert_int_equal(flags_of(names[i].name), RULE_DSCP | names[i].number << RULE_DSCP_SHIFT);
	for (uint32_t i = 0; i < 64; i++) {
		snprintf(text, sizeof text, "%u", i);
		assert_int_equal(flags_of(text), RULE_DSCP | i << RULE_DSCP_SHIFT);
	}
}

static void refusals(void **state)
{
	static const char *const texts[] = { RULE("permit; dscp 64;"), RULE("permit; dscp ee;"),
		RULE("deny; dscp ef;"), RULE("reject; dscp ef;") };

	for (size_t i = 0; i < COUNT_OF(texts); i++) {
		void *block;
		size_t n = 0;
		struct err e = { 0 };
		if (compile(texts[i], 1, &block, &n, &e) == RC_OK)
			fail_msg("accepted: %s", texts[i]);
	}
	struct snapshot *s = compiled(RULE("permit;"));
	struct snap_rule *r = (struct snap_rule *)(uintptr_t)snap_rules(s);
	struct err e = { 0 };
	r->flags = 1u << RULE_DSCP_SHIFT; /* a code point that nothing says is one */
	assert_int_equal(snapshot_check(s, s->bytes, &e), RC_MALFORMED);
	r->flags = RULE_DSCP | 64u << RULE_DSCP_SHIFT;
	assert_int_equal(snapshot_check(s, s->bytes, &e), RC_MALFORMED);
	free(s);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(numbers),
		cmocka_unit_test(refusals),
	};

	int failed = cmocka_run_group_tests(tests, NULL, NULL);
	model_done();
	return failed;
}
