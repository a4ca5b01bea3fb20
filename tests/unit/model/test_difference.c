/*
 * Which statements a commit changes, by pairs of texts with what must be told of them.
 */
#include "model/difference.h"
#include "model/model.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "base/bytes.h"

#define RULE(name, then)                                                                                     \
	"rule " name " { match { source any; destination any; application any; } then { " then "; } } "
#define POLICY(rules)	  "policy { from a to b { " rules "} } "
#define ADMIN(name, role) "administrator " name " { role " role "; } "

static const struct {
	const char *what, *before, *after, *paths; /* told, sorted as they come, with | behind each */
} pairs[] = {
	{ "nothing", "", "", "" },
	{ "comments and layout", "system { host-name a; }", "# x\nsystem {\n # y\n host-name a; # z\n}\n#",
		"" },
	{ "a value", "system { host-name a; }", "system { host-name b; }", "system host-name|" },
	{ "a number written otherwise", "system { session-limit 4096; }", "system { session-limit 04096; }",
		"" },
	{ "a default that is written out", "system { host-name a; }", "system { host-name a; workers 1; }",
		"system workers|" },
	{ "a group that is empty", "", "system { }", "system|" },
	{ "an entry", "zones { zone a { interfaces e0; } }",
		"zones { zone a { interfaces e0; } zone b { tcp-rst; } }", "zones zone|zones zone tcp-rst|" },
	{ "one that went", "zones { zone a { interfaces e0; } zone b { tcp-rst; } }",
		"zones { zone a { interfaces e0; } }", "zones zone|zones zone tcp-rst|" },
	{ "a value of several", "zones { zone a { interfaces [ e0 e1 ]; } }",
		"zones { zone a { interfaces [ e0 e2 ]; } }", "zones zone interfaces|" },
	{ "a rule", POLICY(RULE("x", "permit") RULE("y", "deny")),
		POLICY(RULE("x", "permit") RULE("y", "permit")),
		"policy from rule then deny|policy from rule then permit|" },
	{ "the order of rules", POLICY(RULE("x", "permit") RULE("y", "permit")),
		POLICY(RULE("y", "permit") RULE("x", "permit")),
		"policy from rule|policy from rule match|policy from rule match source|policy from rule match destination|"
		"policy from rule match application|policy from rule then|policy from rule then permit|" },
	{ "the order of zones, which does not count", "zones { zone a { tcp-rst; } zone b { tcp-rst; } }",
		"zones { zone b { tcp-rst; } zone a { tcp-rst; } }", "" },
	{ "the order of statements, which does not count",
		"system { host-name a; workers 2; } zones { zone a { tcp-rst; } }",
		"zones { zone a { tcp-rst; } } system { workers 2; host-name a; }", "" },
	{ "a rule before another one", POLICY(RULE("y", "deny")), POLICY("rule x; " RULE("y", "deny")),
		"policy from rule|" },
	{ "activated", "system { inactive: host-name a; }", "system { host-name a; }", "system host-name|" },
	{ "deactivated, all that is in it", "system { administrators { " ADMIN("alice", "engineer") "} }",
		"system { inactive: administrators { " ADMIN("alice", "engineer") "} }",
		"system administrators|system administrators administrator|system administrators administrator role|" },
	{ "written and inactive", "", "inactive: system { administrators { " ADMIN("alice", "engineer") "} }",
		"system|system administrators|system administrators administrator|system administrators administrator role|" },
	{ "what is inactive is another one",
		"system { administrators { inactive: " ADMIN("alice", "auditor") "} }",
		"system { administrators { inactive: " ADMIN("alice", "engineer") "} }",
		"system administrators administrator role|" },
	{ "a role in the midst of much else",
		"system { host-name a; administrators { " ADMIN("alice", "auditor") "} } " POLICY(
			RULE("x", "permit")),
		"system { host-name b; administrators { " ADMIN("alice", "engineer") "} } " POLICY(
			RULE("x", "deny")),
		"policy from rule then deny|policy from rule then permit|system administrators administrator role|system host-name|" },
	{ "the order of keys",
		"system { administrators { administrator a { role auditor; key [ one two ]; } } }",
		"system { administrators { administrator a { role auditor; key [ two one ]; } } }",
		"system administrators administrator key|" },
	{ "a prefix among many",
		"address-book { address n { prefix [ 10.0.0.0/8 10.1.0.0/16 10.2.0.0/16 ]; } }",
		"address-book { address n { prefix [ 10.0.0.0/8 10.1.0.0/16 10.3.0.0/16 ]; } }",
		"address-book address prefix|" },
	{ "one more",
		"address-book { address n { prefix [ 10.0.0.0/8 10.1.0.0/16 ]; } address m { prefix 10.9.0.0/16; } }",
		"address-book { address n { prefix [ 10.0.0.0/8 10.1.0.0/16 10.3.0.0/16 ]; } address m { prefix 10.9.0.0/16; } }",
		"address-book address prefix|" },
	{ "the same many",
		"address-book { address n { prefix [ 10.0.0.0/8 10.1.0.0/16 ]; } address m { prefix 10.9.0.0/16; } }",
		"address-book { address m { prefix 10.9.0.0/16; } address n { prefix [ 10.0.0.0/8 10.1.0.0/16 ]; } }",
		"" },
	{ "a range among many",
		"address-book { address n { range [ 10.0.0.1-10.0.0.2 10.0.0.4-10.0.0.5 ]; } }",
		"address-book { address n { range [ 10.0.0.1-10.0.0.2 10.0.0.4-10.0.0.9 ]; } }",
		"address-book address range|" },
	{ "one of many, inactive",
		"address-book { address n { prefix [ 10.0.0.0/8 10.1.0.0/16 ]; inactive: prefix 10.2.0.0/16; } }",
		"address-book { address n { prefix [ 10.0.0.0/8 10.1.0.0/16 ]; inactive: prefix 10.3.0.0/16; } }",
		"address-book address prefix|" },
};

struct told {
	char text[2000], where[2000];
	unsigned stop_after;
};

static bool tell(void *context, const char *path, const char *where)
{
	struct told *t = context;
	size_t n = strlen(t->text), k = strlen(t->where);

	snprintf(t->text + n, sizeof t->text - n, "%s|", path);
	snprintf(t->where + k, sizeof t->where - k, "%s|", where);
	return t->stop_after == 0 || --t->stop_after > 0;
}

/* In both directions it is the same statements. */
static void test_pairs(void **state)
{
	for (size_t i = 0; i < COUNT_OF(pairs); i++) {
		struct told there = { 0 }, back = { 0 };
		struct err e = { 0 };
		const char *a = pairs[i].before, *b = pairs[i].after;
		if (model_difference(a, strlen(a), b, strlen(b), tell, &there, &e) ||
			model_difference(b, strlen(b), a, strlen(a), tell, &back, &e))
			fail_msg("%s: %s", pairs[i].what, e.text);
		if (strcmp(there.text, pairs[i].paths) != 0)
			fail_msg("%s: %s", pairs[i].what, there.text);
		assert_string_equal(there.text, back.text);
	}
}

static void test_where(void **state)
{
	static const char a[] = POLICY(RULE("x", "permit")), b[] = POLICY(RULE("x", "deny"));
	struct told t = { .stop_after = 1 };
	struct err e = { 0 };

	assert_int_equal(model_difference(a, strlen(a), b, strlen(b), tell, &t, &e), RC_OK);
	assert_string_equal(
		t.where, "policy from 'a' to 'b' rule 'x' then deny|"); /* and no more: it was stopped */
}

static void test_malformed(void **state)
{
	static const char good[] = "system { host-name a; }";
	struct told t = { 0 };

	for (size_t n = 1; n < sizeof good - 1; n++) {
		struct err e = { 0 };
		assert_int_equal(
			model_difference(good, sizeof good - 1, good, n, tell, &t, &e), RC_MALFORMED);
		assert_int_equal(
			model_difference(good, n, good, sizeof good - 1, tell, &t, &e), RC_MALFORMED);
	}
	assert_string_equal(t.text, "");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_pairs),
		cmocka_unit_test(test_where),
		cmocka_unit_test(test_malformed),
	};
	int failed = cmocka_run_group_tests_name("model difference", tests, NULL, NULL);

	model_done();
	return failed;
}
