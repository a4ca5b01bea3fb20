/* What an operator gets wrong about NAT and uplinks: the error says where, what was found and what to do; what is valid and will not do
 * what was meant is warned of. */
#include "compiled.h"
#include "base/bytes.h"
#include "model/model.h"
#include "model/warnings.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#define ZONES	     "zones { zone a { interfaces e0; } zone b { interfaces e1; } }\n"
#define SOURCE(then) ZONES "nat { source { rule r { then { " then " } } } }"
#define STATIC(to)                                                                                           \
	ZONES "nat { static { rule r { from b; match { destination 192.0.2.16/30; } then { " to " } } } }"
#define UPLINKS(a, b)                                                                                        \
	ZONES "uplinks { uplink one { interface e1; " a " }\nuplink two { interface e1; " b " } }"
#define RULE(src, app)                                                                                       \
	ZONES "policy { from a to b { rule r { match { source " src "; destination any; application " app    \
	      "; } then { permit; } } } }"

static const struct {
	const char *text, *says; /* a part of it */
} mistakes[] = {
	{ STATIC("static-nat fd00::/126;"),
		"t:2:88: 'fd00::/126' is not of the family of the published '192.0.2.16/30'" },
	{ STATIC("static-nat 10.0.0.0/29;"),
		"t:2:88: '10.0.0.0/29' is not as large as the published '192.0.2.16/30': expected a prefix of the same length, /30" },
	{ SOURCE("source-nat 192.0.2.0/30; port-block-size 512;"),
		"needs host-address-base, the prefix of the hosts that have a block each, "
		"or maximum-blocks-per-host" },
	{ SOURCE("source-nat 192.0.2.0/30; port-block-size 512; host-address-base 10.0.0.0/30; port-no-translation;"),
		"remove one of them" },
	{ SOURCE("source-nat 192.0.2.0/30; port-block-size 512; maximum-blocks-per-host 2; port-no-translation;"),
		"remove one of them" },
	{ SOURCE("source-nat 192.0.2.0/30; host-address-base 10.0.0.0/28;"),
		"or port-block-size, for a block of ports of each host" },
	{ SOURCE("source-nat 192.0.2.0/30; port-block-size 8192; host-address-base 10.0.0.0/27;"),
		"use smaller blocks, more addresses or fewer hosts" },
	{ UPLINKS("probe 192.0.2.1;", "probe 192.0.2.2;"),
		"t:3:1: uplink 'two' has the interface and the next hop of uplink 'one': expected one uplink for a router" },
	{ UPLINKS("next-hop 192.0.2.9; probe 192.0.2.1;", "next-hop 192.0.2.9; probe 192.0.2.2;"),
		"has the interface and the next hop" },
	{ RULE("10.1.0.2", "any"),
		"t:2:48: found '10.1.0.2'; rules name addresses: define 'address NAME { prefix 10.1.0.2; }' in address-book" },
	{ RULE("any", "tcp/8080"),
		"found 'tcp/8080'; rules name applications: define 'application NAME { protocol tcp; destination-port 8080; }' in applications" },
	/* Words of other firewalls. */
	{ "interfaces { e0 { } }", "addresses and routes are the operating system's" },
	{ ZONES "nat { source { pool p { } } }", "its addresses are written in the rule" },
	{ ZONES "nat { source { rule-set s { } } }",
		"rules stand in source, destination and static themselves" },
	{ ZONES "policy { from a to b { rule r { match { source any; destination any; service http; } } } }",
		"rules name applications" },
	{ ZONES "policy { from a to b { rule r { then { accept; } } } }", "write: permit" },
	{ "ike { proposal p { dh-group modp1024; } }", "configure x25519, ecp256 or ecp384 at both ends" },
	{ "ike { proposal p { encryption aes256gcm16; dh-group modp2048; } }",
		"if the peer has none of them add 'legacy-algorithms;' to this proposal" },
	{ "ipsec { proposal p { encryption aes256gcm16; pfs modp4096; } }",
		"if the peer has none of them add 'legacy-algorithms;' to this proposal" },
	{ "ike { proposal p { encryption aes256cbcsha256; dh-group x25519; } }", "AES-CBC is for old peers" },
	{ "ipsec { proposal p { encryption aes128cbcsha512; } }",
		"if the peer has no AEAD add 'legacy-algorithms;' to this proposal" },
	{ "ike { proposal p { encryption aes-256-cbc; } }", "only ciphers that authenticate as well (AEAD)" },
	{ "ike { peer p { rekey-time 3600; } }", "write: lifetime SECONDS" },
	{ "system { syslog { } }", "syslog is: log { stream NAME { host ADDRESS; transport tcp; } }" },
	{ "system { alg { pptp; } }", "there is no ALG for it" },
	{ "applications { application p { protocol icmp; icmp-type echo-request; } }",
		"an ICMP type is its number: an echo request is 8" },
	{ "applications { application p { protocol tcp; icmp-code 0; } }",
		"only icmp and icmp6 have an icmp-code" },
	{ "screens { screen s { tcp { port-scan 5000; } } }",
		"found '5000', expected '{'; its values are statements of their own, in braces" },
	/* A string whose type says what is expected, and one whose type says what it is. */
	{ "log { stream s { host siem.example.org; } }",
		"t:1:23: found 'siem.example.org', expected an IPv4 or IPv6 address; host names are not looked up: write the address" },
	{ "schedulers { scheduler s { daily { start-time 8:00; stop-time 18:00; } } }",
		"found '8:00', expected a time such as 08:00 or 17:30:00" },
	{ "address-book { address a { country DEU; } }",
		"found 'DEU'; a country is a code of two letters (ISO 3166-1), as DE" },
	{ "zones { zone a { description guests of the house; } }",
		"t:1:37: found 'of', expected ';'; a value with spaces is written in double quotes" },
};

static void refused(void **state)
{
	(void)state;
	for (size_t i = 0; i < COUNT_OF(mistakes); i++) {
		void *block;
		size_t n = 0;
		struct err e = { 0 };

		assert_int_not_equal(compile(mistakes[i].text, 1, &block, &n, &e), RC_OK);
		if (!strstr(e.text, mistakes[i].says))
			fail_msg("'%s' does not say: %s", e.text, mistakes[i].says);
	}
}

/* Routers that differ are two uplinks, and so are the families of one interface; an address may be a name. */
static void accepted(void **state)
{
	(void)state;
	free(compiled(
		UPLINKS("next-hop 192.0.2.8; probe 192.0.2.1;", "next-hop 192.0.2.9; probe 192.0.2.2;")));
	free(compiled(UPLINKS("probe 192.0.2.1;", "probe 2001:db8::1;")));
	free(compiled("address-book { address 10.1.0.2 { prefix 10.1.0.2; } } " RULE("10.1.0.2", "any")));
}

#define BOOK                                                                                                 \
	"address-book { address web { prefix 192.0.2.1; } address all { prefix 192.0.2.0/24; } address both { prefix [ 192.0.2.1 2001:db8::1 ]; } }\n"
#define DNAT(rules) ZONES BOOK "nat { " rules " }"
#define TO(name, from, match, to)                                                                            \
	"rule " name " { " from "match { " match " } then { destination-nat " to "; } } "
#define ONE(name, from, a, b)                                                                                \
	"rule " name " { from " from "; match { destination " a "; } then { static-nat " b "; } } "
#define PUBLISHED(from, match, destination, application)                                                     \
	DNAT("destination { " TO("d", from, "destination web; " match, "10.0.0.1") "}")                      \
	"policy { from a to b { rule p { match { source any; destination " destination                       \
	"; application " application "; } then { permit; } } } }"
#define BLOCKS		    "host-address-base 10.0.0.0/30; port-block-size 512; "
#define POOL(name, to, nat) "rule " name " { " to "match { source web; } then { source-nat " nat " } } "
#define SHARED(rule, blocks)                                                                                 \
	"source NAT rule '" rule "' uses addresses and ports of the blocks of rule '" blocks                 \
	"': which host had them cannot be told from the blocks; use other addresses, or ports of their own\n"
#define BEHIND(kind, rule, before)                                                                           \
	kind " rule '" rule "' is never reached by what comes in: " before                                   \
	     " before it matches all that it could\n"

static const struct {
	const char *text, *warning; /* all of them */
} valid[] = {
	{ DNAT("destination { " TO("one", "", "destination all;", "10.0.0.1")
			  TO("two", "from a; ", "destination web; application http;", "10.0.0.2") "}"),
		BEHIND("destination NAT", "two", "destination NAT rule 'one'") },
	{ DNAT("destination { " TO("one", "", "destination all; application [ http https ];", "10.0.0.1")
			  TO("two", "", "destination web; application http;", "10.0.0.2") "}"),
		BEHIND("destination NAT", "two", "destination NAT rule 'one'") },
	{ DNAT("destination { " TO("one", "from a; ", "destination all;", "10.0.0.1")
			  TO("two", "", "destination web;", "10.0.0.2") "}"),
		"" },
	{ DNAT("destination { " TO("one", "", "destination web;", "10.0.0.1")
			  TO("two", "", "destination all;", "10.0.0.2") "}"),
		"" },
	{ DNAT("destination { " TO("one", "", "destination web; application http;", "10.0.0.1")
			  TO("two", "", "destination web; application https;", "10.0.0.2")
				  TO("three", "", "destination web;", "10.0.0.3") "}"),
		"" },
	{ DNAT("destination { " TO("one", "", "destination web; source all;", "10.0.0.1")
			  TO("two", "", "destination web;", "10.0.0.2") "}"),
		"" },
	{ DNAT("destination { " TO("one", "", "destination both;", "10.0.0.1")
			  TO("two", "", "destination both;", "fd00::1") "}"),
		"" },
	{ DNAT("destination { " TO("one", "", "destination-interface e0;", "10.0.0.1")
			  TO("two", "", "destination-interface e0;", "10.0.0.2")
				  TO("three", "", "destination-interface [ e0 e1 ];", "10.0.0.3") "}"),
		BEHIND("destination NAT", "two", "destination NAT rule 'one'") },
	/* Policy that names what is published, and not the server; another service, zone or address may come untranslated. */
	{ PUBLISHED("from a; ", "application http;", "web", "http"),
		"rule 'p' from a to b names an address that destination NAT rule 'd' publishes, and matches nothing: policy "
		"decides about the translated destination, so name what is in 10.0.0.1/32, with the port there\n" },
	{ PUBLISHED("", "", "web", "any"),
		"rule 'p' from a to b names an address that destination NAT rule 'd' publishes, and matches nothing: policy "
		"decides about the translated destination, so name what is in 10.0.0.1/32, with the port there\n" },
	{ PUBLISHED("from a; ", "application http;", "web", "[ http https ]"), "" },
	{ PUBLISHED("from b; ", "application http;", "web", "http"), "" },
	{ PUBLISHED("from a; ", "application http;", "all", "http"), "" },
	{ PUBLISHED("from a; ", "application http; source all;", "web", "http"), "" },
	{ PUBLISHED("from a; ", "application http;", "any", "http"), "" },
	/* Static rules are first, wherever they stand. */
	{ DNAT("destination { " TO("web", "", "destination web;", "10.0.0.1") "} static { " ONE(
		  "mail", "b", "192.0.2.0/30", "10.0.0.0/30") ONE("more", "a", "192.0.2.2", "10.0.0.9") "}"),
		BEHIND("static NAT", "more", "static NAT rule 'mail'")
			BEHIND("destination NAT", "web", "static NAT rule 'mail'") },
	{ DNAT("source { " POOL("blocks", "", "192.0.2.8/30; " BLOCKS)
			  POOL("pool", "to b; ", "[ 192.0.2.1 192.0.2.10 ];") "}"),
		SHARED("pool", "blocks") },
	{ DNAT("source { " POOL("pool", "to b; ", "192.0.2.10; ports 40960-41000; ")
			  POOL("blocks", "", "192.0.2.8/30; ports 50000-60000; " BLOCKS) "}"),
		"" },
	{ DNAT("source { " POOL("kept", "to b; ", "192.0.2.10; ports 40960-41000; port-no-translation;")
			  POOL("blocks", "", "192.0.2.8/30; ports 50000-60000; " BLOCKS) "}"),
		SHARED("kept", "blocks") },
	{ DNAT("source { " POOL("one", "to a; ", "192.0.2.8/30; " BLOCKS)
			  POOL("same", "to b; ", "192.0.2.8/30; " BLOCKS) "}"),
		"" },
	{ DNAT("source { " POOL("one", "to a; ", "192.0.2.8/30; " BLOCKS)
			  POOL("other", "to b; ", "192.0.2.8/29; " BLOCKS) "}"),
		SHARED("other", "one") },
	{ DNAT("source { " POOL("one", "to a; ",
		  "192.0.2.8/30; port-block-size 512; maximum-blocks-per-host 2;") POOL("two", "to b; ",
		  "192.0.2.8/29; port-block-size 64; maximum-blocks-per-host 2;") "}"),
		"" },
	{ DNAT("source { " POOL(
		  "one", "to a; ", "192.0.2.8/30; port-block-size 512; maximum-blocks-per-host 2;")
			  POOL("two", "to b; ", "192.0.2.8/29;") "}"),
		SHARED("two", "one") },
};

#define SCHEDULER(times, rule)                                                                               \
	ZONES "schedulers { scheduler s { " times " } }\npolicy { from a to b { rule r { " rule              \
	      " match { source any; destination any; application any; } then { permit; } } } }"
#define TUNNELS(one, two)                                                                                                                                      \
	"zones { zone a { interfaces e0; host-inbound ike; } }\n"                                                                                              \
	"ike { proposal m { encryption aes256gcm16; prf prfsha384; dh-group x25519; } peer p { remote-address 192.0.2.1; pre-shared-key k; proposals m; } }\n" \
	"ipsec { proposal m { encryption aes256gcm16; } tunnel one { peer p; zone a; proposals m; " one                                                        \
	" } tunnel two { peer p; zone a; proposals m; " two " } }"
#define SYN_FLOOD(thresholds)                                                                                \
	"zones { zone a { interfaces e0; screen x; } } screens { screen x { tcp { syn-flood { " thresholds   \
	" } } } }"
#define COUNTRIES_OF(codes)                                                                                  \
	ZONES "dynamic-address { geoip { file c.mmdb; } } address-book { address near { country " codes      \
	      "; } }"
#define NAT64(source)                                                                                        \
	ZONES "nat { nat64 { rule six { from a; prefix 64:ff9b::/96; } } source { " source " } }"
#define OVERLAP	    "tunnels 'one' and 'two' overlap: "
#define BOTH_FIT(t) "packets that fit both use tunnel '" t "', even while it is down\n"

static const struct {
	const char *text, *warning; /* all of them */
} more[] = {
	{ SCHEDULER("", "scheduler-name s;"),
		"scheduler 's' has no times: its rules are always in force (policy rules: 1); write for example: "
		"daily { start-time 08:00; stop-time 18:00; }\n" },
	{ SCHEDULER("daily { all-day; }", "scheduler-name s;"),
		"scheduler 's' has no times: its rules are always in force (policy rules: 1); write for example: "
		"daily { start-time 08:00; stop-time 18:00; }\n" },
	{ SCHEDULER("daily { exclude; }", "scheduler-name s;"),
		"scheduler 's' excludes every day: its rules are never in force (policy rules: 1)\n" },
	{ SCHEDULER("daily { start-time 08:00; }", ""),
		"no rule of policy has scheduler-name s: this scheduler has no effect\n" },
	{ SCHEDULER("daily { start-time 08:00; stop-time 18:00; }", "scheduler-name s;"), "" },
	{ SCHEDULER("stop-date 2030-01-01.00:00;", "scheduler-name s;"), "" },
	{ "zones { zone a { interfaces e0; screen x; } } screens { screen x { tcp { land; } } screen y { tcp { land; } } }",
		"no zone has screen y: it recognises nothing\n" },
	{ SYN_FLOOD("attack-threshold 100; destination-threshold 100;"), "" },
	{ SYN_FLOOD("attack-threshold 101; destination-threshold 100;"),
		"screen x: SYNs to one destination beyond destination-threshold 100 are dropped, honest ones among them, before "
		"attack-threshold 101 answers them with SYN cookies: give attack-threshold the lower number\n" },
	{ COUNTRIES_OF("[ DE XK gb ]"), "" },
	{ COUNTRIES_OF("[ DE UK zz ]"),
		"country UK of address 'near' is no code of ISO 3166-1, so no database has a network of it; did you mean GB?\n"
		"country ZZ of address 'near' is no code of ISO 3166-1, so no database has a network of it\n" },
	{ NAT64("rule v4 { from a; to b; then { source-nat interface; } }"), "" },
	{ NAT64("rule v4 { then { source-nat 192.0.2.8/30; } }"), "" },
	{ NAT64("rule v6 { from a; to b; then { source-nat 2001:db8::/112; } } rule off { from a; then { source-nat off; } } "
		"rule other { from b; then { source-nat interface; } }"),
		"nat64 rule 'six': no rule of source NAT gives hosts of zone 'a' an IPv4 address, so their connections are dropped "
		"(nat-no-address); write one from a with source-nat interface or a pool of IPv4\n" },
	{ TUNNELS("local 10.1.0.0/24; remote 10.2.0.0/16;", "local 10.1.0.0/24; remote 10.2.0.0/24;"), OVERLAP
		"10.2.0.0/24 of tunnel 'two' is within 10.2.0.0/16 of tunnel 'one'; " BOTH_FIT("two") },
	{ TUNNELS("local 10.1.0.0/25; remote 10.2.0.0/24;", "local 10.1.0.0/24; remote 10.2.0.0/24;"), OVERLAP
		"10.1.0.0/25 of tunnel 'one' is within 10.1.0.0/24 of tunnel 'two'; " BOTH_FIT("one") },
	{ TUNNELS("local 10.1.0.0/24; remote 10.2.0.0-10.2.0.9;",
		  "local 10.1.0.0/24; remote 10.2.0.5-10.2.0.20;"),
		OVERLAP
		"remote 10.2.0.0-10.2.0.9 and 10.2.0.5-10.2.0.20 have addresses in common; packets that fit both "
		"use the tunnel with the narrower networks, even while it is down\n" },
	/* All else by one tunnel, and networks that do not meet on one side. */
	{ TUNNELS("local 10.1.0.0/24; remote 0.0.0.0/0;", "local 10.1.0.0/24; remote 10.2.0.0/24;"), "" },
	{ TUNNELS("local 10.1.0.0/24; remote 10.2.0.0/24;", "local 10.3.0.0/24; remote 10.2.0.0/16;"), "" },
};

static void note(void *context, const char *text)
{
	strcat(strcat(context, text), "\n");
}

static void says(const char *configuration, const char *warnings)
{
	struct snapshot *s = compiled(configuration);
	char text[1000] = "";

	snapshot_warnings(s, note, text);
	assert_string_equal(text, warnings);
	free(s);
}

static void warned(void **state)
{
	(void)state;
	for (size_t i = 0; i < COUNT_OF(valid); i++)
		says(valid[i].text, valid[i].warning);
	for (size_t i = 0; i < COUNT_OF(more); i++)
		says(more[i].text, more[i].warning);
}

#define IDENTIFIED(from, name, source)                                                                       \
	ZONES BOOK "policy { from " from                                                                     \
		   " { rule first { id 8; match { source any; destination any; application http; } "         \
		   "then { deny; } } rule " name " { id 7; match { source " source                           \
		   "; destination any; application any; } then { permit; } } } }"

/* Of the identifier 7: renamed, moved, changed, and given to another rule. */
static void identifiers_move(void **state)
{
	static const struct {
		const char *text;
		bool warns;
	} next[] = {
		{ IDENTIFIED("a to b", "r", "web"), false },
		{ IDENTIFIED("b to a", "q", "web"), false },
		{ IDENTIFIED("a to b", "r", "all"), false },
		{ IDENTIFIED("b to a", "q", "all"), true },
		{ ZONES, false },
	};
	struct snapshot *old = compiled(IDENTIFIED("a to b", "r", "web"));

	(void)state;
	for (size_t i = 0; i < COUNT_OF(next); i++) {
		struct snapshot *s = compiled(next[i].text);
		char text[1000] = "";

		snapshot_change_warnings(old, s, note, text);
		assert_string_equal(text,
			next[i].warns
				? "id 7 was that of rule 'r' from a to b, and is now that of rule 'q' from b to a, which matches "
				  "other packets: hits and counts go on under it; give a new rule an id of its own\n"
				: "");
		snapshot_change_warnings(s, s, note, text);
		free(s);
	}
	free(old);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(refused),
		cmocka_unit_test(accepted),
		cmocka_unit_test(warned),
		cmocka_unit_test(identifiers_move),
	};

	int failed = cmocka_run_group_tests(tests, NULL, NULL);
	model_done();
	return failed;
}
