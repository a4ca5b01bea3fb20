/* What the compiler makes of proxy-arp, proxy-ndp and health-check, and what it refuses of them. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "compiled.h"
#include "model/model.h"

#define ZONE	"zones { zone a { interfaces e0; } } "
#define ZONE_E0 "zones { zone z { interfaces e0; } } "
#define DNAT(match, then)                                                                                    \
	"zones { zone z { interfaces e0; } } address-book { address x { prefix 203.0.113.7; } } "            \
	"nat { destination { rule d { match { " match " } then { destination-nat " then "; } } } }"

#define NPTV6(published, then)                                                                               \
	ZONE "nat { static { rule n { from a; match { destination " published "; } then { " then " } } } }"

#define NAT64(prefix) ZONE "nat { nat64 { rule n { from a; prefix " prefix "; } } }"

static void proxies(void **state)
{
	struct snapshot *s =
		compiled("zones { zone z { interfaces [ e0 e1 ]; } } nat { "
			 "proxy-ndp e1 { address 2001:db8::/120; } proxy-arp e1 { address 203.0.113.9; } "
			 "proxy-arp e0 { address [ 203.0.113.8/30 203.0.113.2-203.0.113.7 ]; } }");
	static const struct {
		uint32_t interface;
		const char *range;
	} sorted[] = { { 0, "203.0.113.2-203.0.113.7" }, { 0, "203.0.113.8/30" }, { 1, "203.0.113.9/32" },
		{ 1, "2001:db8::/120" } };
	char text[RANGE_TEXT_MAX];

	assert_int_equal(s->proxies.count, 4);
	for (uint32_t i = 0; i < 4; i++) {
		assert_int_equal(snap_proxies(s)[i].interface, sorted[i].interface);
		assert_string_equal(range_text(text, &snap_proxies(s)[i].addrs), sorted[i].range);
	}
	free(s);
}

static void nptv6(void **state)
{
	struct snapshot *s = compiled(ZONE
		"nat { static { rule n { from a; match { destination 2001:db8:1::/48; } then { nptv6 fd01:203:405::/48; } } "
		"rule s { from a; match { destination 203.0.113.7; } then { static-nat 10.0.0.7; } } } }");
	const struct snap_dnat_rule *r = snap_dnat_rules(s);
	char text[RANGE_TEXT_MAX];

	assert_int_equal(s->dnat_rules.count, 2);
	assert_int_equal(r[0].action, DNAT_NPTV6);
	assert_string_equal(range_text(text, &r[0].to), "fd01:203:405::/48");
	assert_string_equal(range_text(text, &snap_ranges(s)[r[0].dst.first]), "2001:db8:1::/48");
	assert_int_equal(r[1].action, DNAT_STATIC);
	free(s);
}

static void nat64(void **state)
{
	struct snapshot *s = compiled(ZONE
		"address-book { address x { prefix 203.0.113.7; } } nat { "
		"destination { rule d { match { destination x; } then { destination-nat 10.0.0.1; } } } "
		"nat64 { rule n { from a; prefix 2001:db8:64::/96; } rule w { prefix 64:ff9b::/96; } } "
		"static { rule s { from a; match { destination 203.0.113.8; } then { static-nat 10.0.0.7; } } } }");
	const struct snap_dnat_rule *r = snap_dnat_rules(s);
	char text[RANGE_TEXT_MAX];

	assert_int_equal(s->dnat_rules.count, 4);
	assert_int_equal(r[0].action, DNAT_STATIC);
	assert_int_equal(r[1].action, DNAT_NAT64);
	assert_int_equal(r[1].from_zone, 0);
	assert_int_equal(r[2].action, DNAT_NAT64);
	assert_int_equal(r[2].from_zone, ZONE_ANY);
	assert_int_equal(r[3].action, DNAT_SERVERS);
	assert_string_equal(range_text(text, &r[1].to), "2001:db8:64::/96");
	assert_string_equal(range_text(text, &snap_ranges(s)[r[2].dst.first]), "64:ff9b::/96");
	/* what no compiler makes */
	struct snap_dnat_rule *forged = (struct snap_dnat_rule *)(void *)((uint8_t *)s + s->dnat_rules.first);
	struct err e = { 0 };
	assert_int_equal(snapshot_check(s, s->bytes, &e), RC_OK);
	forged[1].to.last.b[15] = 0x7f;
	assert_int_not_equal(snapshot_check(s, s->bytes, &e), RC_OK);
	free(s);
}

/* A snapshot that no compiler makes. */
static void nptv6_forged(void **state)
{
	struct snapshot *s = compiled(ZONE
		"nat { static { rule n { from a; match { destination 2001:db8:1::/64; } then { static-nat "
		"fd01:203:405::/64; } } } }");
	size_t n = s->bytes;
	struct snap_dnat_rule *r = (struct snap_dnat_rule *)(void *)((uint8_t *)s + s->dnat_rules.first);
	struct ip_range *published =
		(struct ip_range *)(void *)((uint8_t *)s + s->ranges.first) + r->dst.first;
	struct err e = { 0 };

	r->action = DNAT_NPTV6;
	assert_int_equal(snapshot_check(s, n, &e), RC_OK);
	published->last.b[8] = r->to.last.b[8] = 0x7f; /* /65 */
	assert_int_not_equal(snapshot_check(s, n, &e), RC_OK);
	r->action = DNAT_STATIC;
	assert_int_equal(snapshot_check(s, n, &e), RC_OK);
	free(s);
}

static void health_check(void **state)
{
	struct snapshot *s = compiled(
		"zones { zone z { interfaces e0; } } address-book { address x { prefix 203.0.113.7; } } nat { destination {"
		"rule a { match { destination x; application http; } then { destination-nat 10.0.0.1-10.0.0.3; port 80; health-check; } }"
		"rule b { match { destination x; } then { destination-nat 10.0.0.3; health-check { port 443; interval 1; timeout 9; "
		"rise 4; fall 7; end-sessions; } } } rule c { match { destination x; } then { destination-nat 10.0.0.9; } } } }");
	const struct snap_dnat_rule *r = snap_dnat_rules(s);

	assert_int_equal(r[0].check_port, 80);
	assert_int_equal(r[0].check_interval_s, 5);
	assert_int_equal(r[0].check_timeout_s, 2);
	assert_int_equal(r[0].check_rise, 2);
	assert_int_equal(r[0].check_fall, 3);
	assert_int_equal(r[0].check_flags, 0);
	assert_int_equal(snap_checked_servers(&r[0]), 3);
	assert_int_equal(r[1].check_port, 443);
	assert_int_equal(r[1].check_interval_s, 1);
	assert_int_equal(r[1].check_timeout_s, 9);
	assert_int_equal(r[1].check_rise, 4);
	assert_int_equal(r[1].check_fall, 7);
	assert_int_equal(r[1].check_flags, HEALTH_END_SESSIONS);
	assert_int_equal(snap_checked_servers(&r[1]), 1);
	assert_int_equal(r[2].check_port, 0);
	assert_int_equal(snap_checked_servers(&r[2]), 0);
	free(s);
}

static const struct {
	const char *what, *text, *says;
} refused[] = {
	{ "nptv6 of other lengths", NPTV6("2001:db8:1::/48", "nptv6 fd01:203:405::/56;"),
		"of the same length" },
	{ "nptv6 of a long prefix", NPTV6("2001:db8:1::/80", "nptv6 fd01:203:405::/80;"), "longer than /64" },
	{ "nptv6 of IPv4", NPTV6("203.0.113.0/28", "nptv6 10.1.0.0/28;"), "is not IPv6" },
	{ "nptv6 beside static-nat", NPTV6("2001:db8:1::/64", "nptv6 fd01::/64; static-nat fd02::/64;"),
		"one of static-nat and nptv6" },
	{ "static without either", NPTV6("2001:db8:1::/64", ""), "one of static-nat and nptv6" },
	{ "nat64 of IPv4", NAT64("192.0.2.0/24"), "embeds no IPv4 address" },
	{ "nat64 of another length", NAT64("2001:db8:64::/72"), "embeds no IPv4 address" },
	{ "nat64 with an octet in between", NAT64("2001:db8:64:0:100::/96"), "bits 64 to 71" },
	{ "health without a port", DNAT("destination x;", "10.0.0.1; health-check"), "has a port" },
	{ "health of nobody", DNAT("destination x;", "off; health-check"), "no servers" },
	{ "health of too many",
		DNAT("destination x; application http;", "10.0.0.0-10.0.0.64; port 80; health-check"),
		"more than 64" },
	{ "health of one server in two ways",
		"zones { zone z { interfaces e0; } } address-book { address x { prefix 203.0.113.7; } } nat { destination { "
		"rule a { match { destination x; } then { destination-nat 10.0.0.1-10.0.0.3; health-check { port 80; } } } "
		"rule b { match { destination x; } then { destination-nat 10.0.0.3; health-check { port 80; fall 9; } } } } }",
		"checks the same port of a server otherwise" },
	{ "proxy of an interface in no zone", ZONE "nat { proxy-arp e7 { address 192.0.2.1; } }",
		"is in no zone" },
	{ "proxy of the other family", ZONE_E0 "nat { proxy-arp e0 { address 2001:db8::1; } }", "proxy-ndp" },
	{ "proxy of multicast", ZONE_E0 "nat { proxy-ndp e0 { address ff02::1; } }", "unicast" },
	{ "proxy of everything", ZONE_E0 "nat { proxy-arp e0 { address 0.0.0.0/0; } }", "unicast" },
	{ "proxies that overlap", ZONE_E0 "nat { proxy-arp e0 { address [ 192.0.2.0/24 192.0.2.7 ]; } }",
		"overlaps" },
};

static void refused_texts(void **state)
{
	for (size_t i = 0; i < sizeof refused / sizeof refused[0]; i++) {
		void *block;
		size_t n = 0;
		struct err e = { 0 };

		if (compile(refused[i].text, 1, &block, &n, &e) == RC_OK)
			fail_msg("%s: accepted", refused[i].what);
		if (strncmp(e.text, "t:", 2) != 0 || !strstr(e.text, refused[i].says))
			fail_msg("%s: it does not say '%s': %s", refused[i].what, refused[i].says, e.text);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(proxies),
		cmocka_unit_test(nptv6),
		cmocka_unit_test(nptv6_forged),
		cmocka_unit_test(nat64),
		cmocka_unit_test(health_check),
		cmocka_unit_test(refused_texts),
	};

	int failed = cmocka_run_group_tests(tests, NULL, NULL);
	model_done();
	return failed;
}
