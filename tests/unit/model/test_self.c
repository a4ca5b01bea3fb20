/* Rules to and from the gateway itself: what the text becomes, what is refused, what may come in, and what is warned of. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "compiled.h"
#include "model/host_access.h"
#include "model/model.h"
#include "model/warnings.h"

#define RULE(name, src, dst, application, then)                                                              \
	"rule " name " { match { source " src "; destination " dst "; application " application              \
	"; } then { " then "; } } "
#define TO_SELF(rules) "from lan to self { " rules " } "
#define ZONES                                                                                                                          \
	"zones { zone lan { interfaces e0; host-inbound [ ping ssh ]; } zone wan { interfaces e1; host-inbound https { from x; } } } " \
	"address-book { address x { prefix 10.0.0.0/24; } address w { wildcard-address 10.0.0.5/255.0.0.255; } } "

static void becomes_records(void **state)
{
	struct snapshot *s = compiled(ZONES "policy { " TO_SELF(RULE("a", "x", "any", "ssh",
		"permit")) "from self to wan { " RULE("b", "any", "any", "http", "reject") "} }");
	const struct snap_rule *r = snap_rules(s);

	(void)state;
	assert_int_equal(s->rules.count, 2);
	assert_true(r[0].from_zone == 0 && r[0].to_zone == ZONE_SELF);
	assert_true(r[1].from_zone == ZONE_SELF && r[1].to_zone == 1);
	assert_true(r[0].id == snap_rule_id_of("lan", "self", "a"));
	assert_string_equal(snap_rule_zone(s, r[1].from_zone), "self");
	assert_string_equal(snap_rule_zone(s, ZONE_ANY), "any");
	assert_int_equal(snapshot_check(s, s->bytes, NULL), RC_OK);
	/* What its receiver must not accept. */
	struct snap_rule *one = (struct snap_rule *)(void *)((uint8_t *)s + s->rules.first);
	one[1].to_zone = ZONE_SELF;
	assert_int_not_equal(snapshot_check(s, s->bytes, NULL), RC_OK);
	one[1] = one[0]; /* the pair is one run */
	one[1].id++;
	assert_int_equal(snapshot_check(s, s->bytes, NULL), RC_OK);
	one[1].from_zone = ZONE_SELF - 1;
	assert_int_not_equal(snapshot_check(s, s->bytes, NULL), RC_OK);
	free(s);
}

/* An older configuration may have a zone of that name. */
static void a_zone_called_self(void **state)
{
	struct snapshot *s = compiled(
		"zones { zone lan { interfaces e0; } zone self { interfaces e1; } } policy { " TO_SELF(
			RULE("a", "any", "any", "any", "permit")) "from self to self { " RULE("b", "any",
			"any", "any", "permit") "} }");

	(void)state;
	assert_int_equal(snap_rules(s)[0].to_zone, 1);
	assert_int_equal(snap_rules(s)[1].from_zone, 1);
	free(s);
}

static void refused(void **state)
{
	static const struct {
		const char *text, *says;
	} wrong[] = {
		{ "policy { from self to self { " RULE("a", "any", "any", "any", "permit") "} }",
			"one of the two ends is a zone" },
		{ "policy { from lan to slef { " RULE("a", "any", "any", "any", "permit") "} }",
			"did you mean 'self'?" },
		{ "policy { " TO_SELF(RULE("a", "w", "any", "any", "permit")) "}", "has a wildcard-address" },
		{ "policy { from self to lan { " RULE("a", "any", "w", "any", "permit") "} }",
			"has a wildcard-address" },
		{ "policy { " TO_SELF(RULE("a", "any", "any", "any", "deny; session-limit 3")) "}",
			"needs permit" },
	};

	(void)state;
	for (size_t i = 0; i < COUNT_OF(wrong); i++) {
		char text[1000];
		struct model *m = NULL;
		struct err e = { 0 };
		void *block = NULL;
		size_t n;
		snprintf(text, sizeof text, ZONES "%s", wrong[i].text);
		enum rc rc = model_load_text(text, strlen(text), "t", &m, &e);
		if (rc == RC_OK)
			rc = model_compile(m, 1, NULL, &block, &n, &e);
		if (rc == RC_OK || !strstr(e.text, wrong[i].says))
			fail_msg("%s: not '%s' but '%s'", wrong[i].text, wrong[i].says, e.text);
		model_free(m);
	}
}

static void what_comes_in(void **state)
{
	static const struct {
		const char *rules, *from;
		uint16_t port;
		enum self_access want;
	} cases[] = {
		{ "", "10.0.0.1", 22, SELF_OPEN },
		{ "", "10.0.0.1", 443, SELF_CLOSED },
		{ RULE("a", "any", "any", "any", "deny"), "10.0.0.1", 22, SELF_CLOSED },
		{ RULE("a", "any", "any", "any", "reject"), NULL, 22, SELF_CLOSED },
		{ RULE("a", "x", "any", "https", "permit"), "10.0.0.1", 443, SELF_OPEN },
		{ RULE("a", "x", "any", "https", "permit"), "10.0.1.1", 443, SELF_CLOSED },
		{ RULE("a", "x", "any", "https", "permit"), NULL, 443, SELF_MAYBE },
		{ RULE("a", "x", "any", "ssh", "deny"), NULL, 22, SELF_MAYBE },
		{ RULE("a", "any", "x", "ssh", "deny"), "10.0.0.1", 22, SELF_MAYBE },
		{ RULE("a", "any", "x", "https", "permit") RULE("b", "any", "any", "any", "deny"), "10.0.0.1",
			443, SELF_MAYBE },
		{ RULE("a", "any", "x", "https", "permit") RULE("b", "any", "any", "any", "permit"),
			"10.0.0.1", 443, SELF_OPEN },
	};

	(void)state;
	for (size_t i = 0; i < COUNT_OF(cases); i++) {
		char text[2000];
		struct ip_addr a;
		snprintf(text, sizeof text, ZONES "policy { from lan to self { %s } }",
			cases[i].rules[0] ? cases[i].rules : RULE("none", "any", "any", "bgp", "permit"));
		struct snapshot *s = compiled(text);
		if (cases[i].from)
			assert_int_equal(addr_parse(&a, cases[i].from), RC_OK);
		enum self_access is = snap_self_access(s, 0, 6, cases[i].port, cases[i].from ? &a : NULL);
		if (is != cases[i].want)
			fail_msg("case %zu: %d", i, is);
		free(s);
	}
	struct snapshot *s = compiled(ZONES);
	assert_int_equal(snap_self_access(s, 1, 6, 443, NULL), SELF_MAYBE); /* host-inbound for some */
	free(s);
}

static void warned(void *context, const char *text)
{
	strcat((char *)context, text);
}

static void warnings(void **state)
{
	static const struct {
		const char *text, *says;
	} cases[] = {
		{ ZONES "policy { " TO_SELF(
			  RULE("a", "any", "any", "ssh", "log { session-init; session-close; } permit")) "}",
			"rule 'a' from lan to self: log session-close has no effect" },
		{ ZONES "policy { " TO_SELF(
			  RULE("a", "any", "any", "any", "permit") RULE("b", "x", "any", "ssh", "deny")) "}",
			"rule 'b' from lan to self is never reached" },
		{ "zones { zone self { interfaces e0; } }", "no rule can name the gateway itself" },
	};

	(void)state;
	for (size_t i = 0; i < COUNT_OF(cases); i++) {
		struct snapshot *s = compiled(cases[i].text);
		char text[4000] = "";
		snapshot_warnings(s, warned, text);
		if (!strstr(text, cases[i].says))
			fail_msg("not '%s' but '%s'", cases[i].says, text);
		free(s);
	}
}

/* It counts as something that is open, and the connection of the administrator may come by it. */
static void the_administrators_way(void **state)
{
	static const char zones[] =
		"zones { zone lan { interfaces e0; } } address-book { address x { prefix 10.0.0.0/24; } } policy { ";
	struct host_connection c = { .interface = "e0", .local_port = 22, .accepted = true };
	char text[1000];

	(void)state;
	assert_int_equal(addr_parse(&c.remote, "10.0.0.9"), RC_OK);
	snprintf(text, sizeof text, "%s%s", zones, TO_SELF(RULE("a", "x", "any", "ssh", "permit")) "}");
	struct snapshot *now = compiled(text);
	snprintf(text, sizeof text, "%s%s", zones, TO_SELF(RULE("a", "x", "any", "ssh", "deny")) "}");
	struct snapshot *next = compiled(text);
	struct err e = { 0 };
	assert_int_equal(snapshot_check_not_closed(now, "t", NULL), RC_OK);
	assert_int_equal(snapshot_check_not_closed(next, "t", NULL), RC_DENIED);
	assert_int_equal(snapshot_keeps_connection(now, now, &c, NULL), RC_OK);
	assert_int_equal(snapshot_keeps_connection(now, next, &c, &e), RC_DENIED);
	assert_non_null(strstr(e.text, "by a rule to self or by host-inbound"));
	free(now);
	free(next);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(becomes_records),
		cmocka_unit_test(a_zone_called_self),
		cmocka_unit_test(refused),
		cmocka_unit_test(what_comes_in),
		cmocka_unit_test(warnings),
		cmocka_unit_test(the_administrators_way),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
