/*
 * Addresses that change without a commit: what the compiler makes of them, what it refuses, and the snapshot with addresses in
 * their place against rules and sets as they are written.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "compiled.h"
#include "model/dynamic.h"
#include "model/shadow.h"
#include "model/warnings.h"

#define RULES(in)                                                                                            \
	"zones { zone a { interfaces lan0; } zone b { interfaces wan0; } } policy { from a to b { " in " } } "
#define RULE(name, src, dst)                                                                                 \
	"rule " name " { match { source " src "; destination " dst "; application any; } then { permit; } } "

static void records(void **state)
{
	struct snapshot *s = compiled(
		"address-book { address x { fqdn WWW.Example.COM.; fqdn www.example.com; prefix 192.0.2.0/24; } "
		"address-set y { address x; } } "
		"dynamic-address { dns { minimum-ttl 1; maximum-ttl 60; hold-time 0; refuse-private; } } " RULES(
			RULE("r", "any", "y")));
	const struct snap_dynamic *d = snap_dynamics(s);
	const struct snap_rule *r = snap_rules(s);
	const struct ip_range *ranges = snap_ranges(s) + r->dst.first;

	assert_int_equal(s->dynamics.count, 1);
	assert_string_equal(d->object, "x");
	assert_string_equal(d->name, "www.example.com");
	assert_int_equal(d->kind, DYNAMIC_FQDN);
	assert_int_equal(d->flags, DYNAMIC_REFUSE_PRIVATE);
	assert_true(d->ttl_min_s == 1 && d->ttl_max_s == 60 && d->hold_s == 0);
	assert_int_equal(r->dst.count, 2);
	assert_int_equal(ranges[0].first.family, ADDR_V4);
	assert_true(range_is_dynamic(&ranges[1]) && range_dynamic(&ranges[1]) == 0);
	struct ip_addr none = addr_v4("\0\0\0\0");
	assert_false(range_holds(&ranges[1], &none));
	free(s);
}

static void feeds(void **state)
{
	struct snapshot *s = compiled(
		"address-book { address x { feed a; } } dynamic-address { feed a { file a.json; format json; "
		"member [ ip_prefix cidr ]; update-interval 60; } feed b { file b; } }");
	const struct snap_dynamic *d = snap_dynamics(s);

	assert_int_equal(s->dynamics.count, 1);
	assert_int_equal(d->kind, DYNAMIC_FEED);
	assert_string_equal(d->name, "a");
	assert_string_equal(d->file, "a.json");
	assert_true(d->format == DYNAMIC_JSON && d->interval_s == 60);
	assert_true(strcmp(d->member[0], "cidr") == 0 || strcmp(d->member[1], "cidr") == 0);
	assert_int_equal(d->member[2][0], '\0');
	free(s);
}

static void countries(void **state)
{
	struct snapshot *s = compiled(
		"address-book { address x { country [ de FR DE ]; prefix 192.0.2.0/24; } } dynamic-address { geoip { file c.mmdb; "
		"update-interval 60; } } " RULES(RULE("r", "any", "x")));
	const struct snap_dynamic *d = snap_dynamics(s);

	assert_int_equal(s->dynamics.count, 2);
	for (int i = 0; i < 2; i++) {
		assert_int_equal(d[i].kind, DYNAMIC_COUNTRY);
		assert_string_equal(d[i].object, "x");
		assert_string_equal(d[i].file, "c.mmdb");
		assert_int_equal(d[i].interval_s, 60);
	}
	/* libyang 3 sorts */
	assert_true(strcmp(d[0].name, "DE") == 0 || strcmp(d[1].name, "DE") == 0);
	assert_true(strcmp(d[0].name, "FR") == 0 || strcmp(d[1].name, "FR") == 0);
	assert_int_equal(snap_rules(s)[0].dst.count, 3);
	free(s);
}

static const struct {
	const char *text, *words;
} refused[] = {
	{ "address-book { address x { country DEU; } } dynamic-address { geoip { file c; } }",
		"two letters" },
	{ "address-book { address x { country DE; } }", "geoip { file NAME; }" },
	{ "dynamic-address { geoip { update-interval 1; } }", "file" },

	{ "address-book { address x { fqdn 192.0.2.1; } }", "prefix 192.0.2.1" },
	{ "address-book { address x { fqdn m\xc3\xbcnchen.example; } }", "xn--" },
	{ "address-book { address x { fqdn *.example.com; } }", "wildcard" },
	{ "address-book { address x { fqdn a..b; } }", "domain name" },
	{ "address-book { address x { fqdn .; } }", "domain name" },
	{ "address-book { address x { fqdn a.b/c; } }", "domain name" },
	{ "address-book { address x { dns-name a.b; } }", "fqdn" },
	{ "address-book { address x { feed lst; } } dynamic-address { feed list { file l; } }",
		"did you mean 'list'" },
	{ "dynamic-address { feed list { file ../l; } }", "" },
	{ "dynamic-address { feed list { file l; member cidr; } }", "format json" },
	{ "dynamic-address { dns { minimum-ttl 100; maximum-ttl 10; } }", "maximum-ttl" },
	{ "address-book { address x { fqdn a.b; } } zones { zone a { interfaces lan0; host-inbound ssh { from x; } } }",
		"without a commit" },
};

static void refused_texts(void **state)
{
	for (size_t i = 0; i < COUNT_OF(refused); i++) {
		struct err e = { 0 };
		void *block = NULL;
		size_t n;
		if (compile(refused[i].text, 1, &block, &n, &e) == RC_OK || !strstr(e.text, refused[i].words))
			fail_msg("%s: %s", refused[i].text, e.text);
	}
}

static void shadow_note(void *context, const struct snapshot *s, const struct shadow *x)
{
	uint32_t *rules = context;

	assert_int_equal(x->by_n, 1);
	rules[x->rule] = 1 + x->by[0];
}

/* A rule may lose what it matches at any time: it hides nobody. Whatever it will match, what matches all hides it. */
static void shadows(void **state)
{
	struct snapshot *s = compiled(
		"address-book { address x { fqdn a.example; prefix 0.0.0.0/0; prefix ::/0; } address y { fqdn b.example; } "
		"address four { prefix 0.0.0.0/0; } } " RULES(
			RULE("one", "any", "x") RULE("two", "four", "y") RULE("three", "four", "y")
				RULE("four", "any", "any") RULE("five", "any", "y") RULE("six", "any", "x")));
	uint32_t by[6] = { 0 };

	assert_int_equal(snapshot_shadowed(s, shadow_note, by), 0);
	for (int i = 0; i < 4; i++)
		assert_int_equal(by[i], 0);
	assert_true(by[4] == 4 && by[5] == 4);
	free(s);
}

static void warning_note(void *context, const char *text)
{
	snprintf(context, 400, "%s", text);
}

static void warned(void **state)
{
	static const char *const actions[] = { "permit", "deny", "reject" };

	for (size_t i = 0; i < COUNT_OF(actions); i++) {
		char text[500], said[400] = "";
		snprintf(text, sizeof text,
			"address-book { address y { prefix 192.0.2.1; fqdn b.example; } address-set z { address y; } } " RULES(
				"rule r { match { source any; destination z; application any; } then { %s; } }"),
			actions[i]);
		struct snapshot *s = compiled(text);
		snapshot_warnings(s, warning_note, said);
		assert_int_equal(strstr(said, "denies 'y'") != NULL, i > 0);
		free(s);
	}
}

/* ---- the oracle ---- */

#define OBJECTS 5
#define SETS	6 /* of domain names: one or two each */

static uint32_t chance(uint32_t n)
{
	return (uint32_t)rand() % n;
}

static struct ip_addr address(uint32_t i)
{
	const uint8_t b4[4] = { 10, 0, 0, (uint8_t)i };
	const uint8_t b6[16] = { 0xfd, [15] = (uint8_t)i };

	return i < 32 ? addr_v4(b4) : addr_v6(b6);
}

/* Some random ranges among 64 addresses of both families. */
static uint32_t random_set(struct ip_range *ret)
{
	uint32_t n = chance(5);

	for (uint32_t i = 0; i < n; i++) {
		uint32_t family = chance(2) * 32, first = chance(32), last = first + chance(32 - first);
		ret[i] = (struct ip_range){ address(family + first), address(family + last) };
	}
	return ranges_join(ret, n);
}

static bool set_holds(const struct ip_range *r, uint32_t n, const struct ip_addr *a)
{
	for (uint32_t i = 0; i < n; i++)
		if (range_holds(&r[i], a))
			return true;
	return false;
}

/* As it is written: none is anything, and what stands for a name is its set. */
static bool span_holds(
	const struct snapshot *s, struct span span, const struct dynamic_sets *x, const struct ip_addr *a)
{
	const struct ip_range *r = snap_ranges(s) + span.first;

	for (uint32_t i = 0; i < span.count; i++) {
		const struct span *set = range_is_dynamic(&r[i])
						 ? dynamic_set_of(x, &snap_dynamics(s)[range_dynamic(&r[i])])
						 : NULL;
		if (range_holds(&r[i], a) || (set && set_holds(x->range + set->first, set->count, a)))
			return true;
	}
	return span.count == 0;
}

static bool filled_holds(const struct snapshot *s, struct span span, const struct ip_addr *a)
{
	return span.count == 0 || set_holds(snap_ranges(s) + span.first, span.count, a);
}

static struct snapshot *random_configuration(void)
{
	static char text[8000];
	size_t n = (size_t)snprintf(text, sizeof text, "address-book { ");

	for (int i = 0; i < OBJECTS; i++)
		n += (size_t)snprintf(text + n, sizeof text - n, "address o%d { fqdn n%d.example; %s%s} ", i,
			i, chance(2) ? "fqdn m.example; " : "",
			chance(2)
				? "prefix 10.0.0.8/29; range fd00::4-fd00::9; wildcard-address 10.0.0.1/255.0.0.3; "
				: "");
	n += (size_t)snprintf(text + n, sizeof text - n,
		"address p { prefix 10.0.0.16/28; } address-set s { address [ o0 o1 p ]; } address-set t { address-set s; address o2; } } " RULES(
			""));
	n -= 4;
	n = (size_t)(strrchr(text, '{') + 1 - text);
	static const char *const names[] = { "any", "o0", "o1", "o2", "o3", "o4", "p", "s", "t", "[ o3 p ]",
		"[ o0 s ]" };
	for (int i = 0; i < 8; i++)
		n += (size_t)snprintf(text + n, sizeof text - n,
			" rule r%d { match { source %s; destination %s; application any; } then { permit; } }",
			i, names[chance(COUNT_OF(names))], names[chance(COUNT_OF(names))]);
	snprintf(text + n, sizeof text - n, " } }");
	return compiled(text);
}

static void against_naive(void **state)
{
	static struct dynamic_area area;
	struct dynamic_sets known = { 0 };

	srand(11);
	for (int run = 0; run < 150; run++) {
		struct snapshot *s = random_configuration();
		struct dynamic_sets next;
		struct err e = { 0 };
		void *block;
		size_t bytes;
		uint32_t n = 0;
		for (uint32_t i = 0; i < s->dynamics.count; i++) {
			struct ip_range r[8];
			area.known[i] = chance(4) > 0;
			uint32_t count = area.known[i] ? random_set(r) : 0;
			area.set[i] = (struct span){ n, count };
			memcpy(area.range + n, r, count * sizeof r[0]);
			n += count;
		}
		assert_int_equal(
			dynamic_sets_copy(&next, &area, snap_dynamics(s), s->dynamics.count, &known, &e),
			RC_OK);
		for (uint32_t i = 0; i < s->dynamics.count; i++) { /* what was known stays */
			const struct span *was = dynamic_set_of(&known, &snap_dynamics(s)[i]);
			assert_int_equal(next.set[i].count, area.known[i] ? area.set[i].count
							    : was	  ? was->count
									  : 0);
		}
		dynamic_sets_done(&known);
		known = next;
		assert_int_equal(dynamic_fill(s, &known, &block, &bytes, &e), RC_OK);
		if (snapshot_check(block, bytes, &e) != RC_OK)
			fail_msg("%s", e.text);
		for (uint32_t i = 0; i < s->rules.count; i++)
			for (uint32_t a = 0; a < 64; a++) {
				const struct ip_addr at = address(a);
				const struct snap_rule *was = &snap_rules(s)[i],
						       *is = &snap_rules((struct snapshot *)block)[i];
				assert_int_equal(span_holds(s, was->src, &known, &at),
					filled_holds(block, is->src, &at));
				assert_int_equal(span_holds(s, was->dst, &known, &at),
					filled_holds(block, is->dst, &at));
			}
		free(block);
		free(s);
	}
	dynamic_sets_done(&known);
}

/* What a compromised resolver could write. */
static void lies(void **state)
{
	static struct dynamic_area area;
	const struct dynamic_sets none = { 0 };
	struct snap_dynamic of[2] = { { .object = "a", .name = "a" }, { .object = "b", .name = "b" } };
	struct dynamic_sets x;
	const struct ip_range one = { address(1), address(2) }, two = { address(2), address(3) };

#define LIES() assert_int_equal(dynamic_sets_copy(&x, &area, of, 2, &none, NULL), RC_MALFORMED)
	area.known[0] = area.known[1] = 1;
	area.range[0] = area.range[2] = one;
	area.range[1] = two;
	area.set[0] = (struct span){ 0, 2 };
	area.set[1] = (struct span){ 2, 0 };
	LIES(); /* they overlap */
	area.set[0].count = 1;
	LIES(); /* a gap */
	area.set[1] = (struct span){ 1, DYNAMIC_RANGES_MAX };
	LIES();
	area.set[1] = (struct span){ 1, UINT32_MAX };
	LIES();
	area.set[1] = (struct span){ 0, 1 };
	LIES();
	area.set[1] = (struct span){ 1, 1 };
	area.range[1] = range_of_dynamic(0);
	LIES();
	area.range[1] = (struct ip_range){ address(3), address(2) };
	LIES();
	area.range[1] = (struct ip_range){ address(3), address(40) };
	LIES();
	area.range[1] = two;
	area.range[1].first.zero[1] = 1;
	LIES();
	memset(&area.range[1], 0, sizeof area.range[1]);
	LIES();
	area.range[1] = two;
	assert_int_equal(dynamic_sets_copy(&x, &area, of, 2, &none, NULL), RC_OK);
	dynamic_sets_done(&x);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(records),
		cmocka_unit_test(feeds),
		cmocka_unit_test(countries),
		cmocka_unit_test(refused_texts),
		cmocka_unit_test(shadows),
		cmocka_unit_test(warned),
		cmocka_unit_test(against_naive),
		cmocka_unit_test(lies),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
