/* The importer: what becomes of single statements, and what it must not do. Whole configurations are in tests/unit/test_import.py. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "import/import.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static struct import *imported(enum import_kind kind, const char *text, const char *interfaces)
{
	struct import *m;
	struct err e = { 0 };

	if (import_text(&m, kind, text, strlen(text), interfaces, &e) != RC_OK)
		fail_msg("%s", e.text);
	return m;
}

static const char *outcome_of(const struct import *m, uint32_t line)
{
	enum import_outcome worst = IMPORT_UNSAID;
	struct import_row row;

	for (size_t i = 0; !import_row(&row, m, i); i++) {
		if (row.line == line && row.outcome > worst)
			worst = row.outcome;
	}
	return import_outcome_word(worst);
}

#define ZONES                                                                                                \
	"set security zones security-zone trust interfaces ge-0/0/1.0\n"                                     \
	"set security zones security-zone untrust interfaces ge-0/0/0.0\n"                                   \
	"set security address-book global address lan 10.1.0.5/24\n"
#define RULE  "set security policies from-zone trust to-zone untrust policy p "
#define MATCH RULE "match source-address lan\n" RULE "match destination-address any\n"

/* clang-format off */
/* Lines after ZONES (so the first is line 4): what the configuration has, what it has not, and the outcome of a line. */
static const struct {
	const char *name, *text, *has, *has_not;
	uint32_t line;
	const char *outcome;
} cases[] = {
	{ "a rule", MATCH RULE "match application junos-ssh\n" RULE "then permit\n", "application ssh;", "is not here", 7, "translated" },
	{ "host bits of a prefix", "", "prefix 10.1.0.0/24;", "10.1.0.5", 3, "translated" },
	{ "an unknown statement", "set security mystery on\n", "", "mystery", 4, "unknown" },
	{ "a condition that does not exist", MATCH RULE "match application any\n" RULE "match source-identity guests\n" RULE "then permit\n",
	  "# rule p (line 4) is not here", "permit;", 7, "wrong" },
	{ "a rule that denies is told of", MATCH RULE "match application nothing\n" RULE "then deny\n", "WHAT IT DENIED MAY BE PERMITTED", "deny;", 6, "wrong" },
	{ "an address that is not defined", RULE "match source-address nobody\n" RULE "match destination-address any\n" RULE "match application any\n" RULE "then permit\n",
	  "# rule p", "permit;", 4, "wrong" },
	{ "permit with a condition", MATCH RULE "match application any\n" RULE "then permit firewall-authentication web-authentication\n", "# rule p", "permit;", 7, "wrong" },
	{ "what only looks into traffic", MATCH RULE "match application any\n" RULE "then permit application-services idp\n", "permit;", "# rule p", 7, "none" },
	{ "any and others are any", MATCH RULE "match application [ any junos-ssh ]\n" RULE "then permit\n", "application any;", "application ssh;", 6, "translated" },
	{ "an inactive rule", MATCH RULE "match application any\n" RULE "then permit\ndeactivate security policies from-zone trust to-zone untrust policy p\n",
	  "inactive: rule p", "# rule p", 7, "translated" },
	{ "a rule that was taken back", MATCH RULE "match application any\n" RULE "then permit\ndelete security policies from-zone trust to-zone untrust policy p\n",
	  "zone trust", "rule p", 7, "" },
	{ "a set that lacks a member", "set security address-book global address-set s address [ lan gone ]\n", "address lan", "address-set s", 4, "wrong" },
	{ "a set in itself", "set security address-book global address-set s address-set s\n", "address lan", "address-set s", 4, "wrong" },
	{ "terms are a set", "set applications application a term one protocol tcp destination-port 1\nset applications application a term two protocol udp destination-port 2\n",
	  "application-set a", "", 5, "translated" },
	{ "an application of one line", "set applications application a protocol icmp icmp-type 8 inactivity-timeout 60\n", "icmp-type 8;", "", 4, "translated" },
	{ "ICMP that begins nothing", "set applications application a protocol icmp icmp-type 5\n", "", "icmp-type 5", 4, "wrong" },
	{ "a password is not told", "set system root-authentication encrypted-password \"$6$abc\"\n", "", "$6$abc", 4, "host" },
	{ "an administrator", "set system login user Alice class operator\nset system login user Alice authentication ssh-ed25519 \"ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIBjz1RVFmSG5ns3cfjse+7qpZlEXRnTeDgonBTefaAvT alice@laptop\"\n",
	  "administrator alice {\n            role operator;\n            key \"ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIBjz1RVFmSG5ns3cfjse+7qpZlEXRnTeDgonBTefaAvT\";", "alice@laptop", 5, "translated" },
	{ "an administrator who may everything", "set system login user bob class super-user\n", "role engineer;", "super-user", 4, "changed" },
	{ "a class of one's own", "set system login user bob class helpdesk\n", "", "administrator bob", 4, "wrong" },
	{ "a password of an administrator", "set system login user bob class read-only\nset system login user bob authentication encrypted-password \"$6$abc\"\n",
	  "role read-only;", "$6$abc", 5, "none" },
	{ "a key that is too short", "set system login user bob class read-only\nset system login user bob authentication ssh-rsa \"ssh-rsa AAAAB3NzaC1yc2EAAAADAQABAAABAQCw/rmPYgj5awXmxmgqWCB2OjN3cGKdVWEi1igJsGcXKZytkt4ITTWElxbRhASVQ64dySJPQxdof0zBEuJ5"
	  "xWTpHMBZ2J8iLPC76kPsLTPDxVzuCsarP8+RJJ/tAXyhDyeFDOlxh3PDHEt9TJkLgEU73yFgaIy9lwGPn21+UiX5l7T+CpucTnk/c//KdPdszMCTDxymeysI"
	  "jhLJO09ipZyHUAjDTBeSBPGb8CjARBxgiSUZBYAQQztdut3ImUoxVK6Hk4Ua8rc5Up+Z8TToXw7lHAgNgAjqKxJB5TSaXSVRwO/iLBP8Pk9q1n7oww54W/4w"
	  "R6rW88kSAm/DeV80zTqp weak\"\n",
	  "administrator bob {", "ssh-rsa", 5, "wrong" },
	{ "a name of the machine's", "set system login user plaingate-ike class operator\n", "", "administrator", 4, "wrong" },
	{ "two who would have one name", "set system login user bob_1 class operator\nset system login user bob.1 class operator\n", "administrator bob-1 {", "bob.1 {", 5, "wrong" },
	{ "a route is the host's", "set routing-options static route 0.0.0.0/0 next-hop 198.51.100.1\n", "", "198.51.100.1", 4, "host" },
	{ "source NAT", "set security nat source rule-set s from zone trust\nset security nat source rule-set s to zone untrust\nset security nat source rule-set s rule r then source-nat interface\n",
	  "source-nat interface;", "", 6, "translated" },
	{ "NAT of a routing instance", "set security nat source rule-set s from routing-instance v\nset security nat source rule-set s rule r then source-nat interface\n",
	  "# rule r", "source-nat", 5, "wrong" },
	{ "a pool", "set security nat source pool p address 198.51.100.10/32 to 198.51.100.20/32\nset security nat source rule-set s from zone trust\n"
	  "set security nat source rule-set s rule r then source-nat pool p\n", "source-nat 198.51.100.10-198.51.100.20;", "", 4, "translated" },
	{ "a port of a server", "set security nat destination pool p address 10.1.0.9/32 port 8080\nset security nat destination rule-set d from zone untrust\n"
	  "set security nat destination rule-set d rule r match destination-address 198.51.100.2/32\nset security nat destination rule-set d rule r match destination-port 80\n"
	  "set security nat destination rule-set d rule r match protocol tcp\nset security nat destination rule-set d rule r then destination-nat pool p\n",
	  "destination-nat 10.1.0.9;", "udp", 4, "translated" },
	{ "a MODP group", "set security ike proposal p dh-group group14\nset security ike proposal p encryption-algorithm aes-256-gcm\n"
	  "set security ike policy i proposals p\nset security ike gateway g address 203.0.113.2\nset security ike gateway g ike-policy i\n", "legacy-algorithms;", "dh-group ecp256", 4, "changed" },
	{ "AES-CBC with an HMAC", "set security ike proposal p encryption-algorithm aes-128-cbc\nset security ike proposal p authentication-algorithm sha-256\n"
	  "set security ike policy i proposals p\nset security ike gateway g address 203.0.113.2\nset security ike gateway g ike-policy i\n",
	  "encryption aes128cbcsha256;\n        prf prfsha256;\n        dh-group ecp256;\n        legacy-algorithms;", "aes128gcm16", 5, "translated" },
	{ "AES-CBC with a PRF that is not here", "set security ike proposal p encryption-algorithm aes-256-cbc\nset security ike proposal p authentication-algorithm sha-512\n"
	  "set security ike policy i proposals p\nset security ike gateway g address 203.0.113.2\nset security ike gateway g ike-policy i\n", "aes256gcm16", "cbc", 4, "changed" },
	{ "AES-CBC with SHA-1", "set security ike proposal p encryption-algorithm aes-256-cbc\nset security ike proposal p authentication-algorithm sha1\n"
	  "set security ike policy i proposals p\nset security ike gateway g address 203.0.113.2\nset security ike gateway g ike-policy i\n", "aes256gcm16", "cbc", 4, "changed" },
	{ "groups are not expanded", "set groups g system host-name x\nset apply-groups g\n", "", "host-name", 4, "unknown" },
	{ "what a zone opens", "set security zones security-zone trust host-inbound-traffic system-services all\n", "host-inbound ssh;", "", 4, "changed" },
	{ "what one of two interfaces opens", "set security zones security-zone trust interfaces ge-0/0/2.0 host-inbound-traffic system-services ssh\n", "interfaces ge-0-0-2;", "host-inbound ssh", 4, "changed" },
	{ "a word that is a name here", "set security address-book global address any 10.9.0.0/16\n", "address any_", "address any {", 4, "changed" },
	{ "two books, one name", "set security address-book b address lan 10.2.0.0/24\nset security address-book b attach zone untrust\n", "address lan.2", "", 4, "changed" },
	{ "text that would leave a comment", MATCH RULE "match application \"x } ; permit \\\" {\"\n" RULE "then permit\n", "# rule p", "\npermit", 6, "wrong" },
	{ "an own application with a name that is built in", "set applications application ssh protocol tcp\n" MATCH RULE "match application junos-ssh\n" RULE "then permit\n",
	  "application ssh;", "application ssh {", 4, "translated" },
	{ "a protocol by its number", "set applications application a protocol 6 destination-port 22\n", "destination-port 22;", "protocol 6;", 4, "translated" },
	{ "ports of a protocol without", "set applications application a protocol 47 destination-port 22\n", "", "application a", 4, "wrong" },
	{ "an inactive default", "set security policies default-policy permit-all\ndeactivate security policies default-policy\n", "", "permit;", 4, "changed" },
	{ "an inactive global", "set security policies global policy g match source-address any\nset security policies global policy g match destination-address any\n"
	  "set security policies global policy g match application any\nset security policies global policy g then permit\ndeactivate security policies global\n", "", "permit;", 7, "changed" },
	{ "an inactive term", "set applications application a term one protocol tcp\nset applications application a term two protocol udp\n"
	  "deactivate applications application a term two\n", "application a-one", "a-two", 5, "changed" },
	{ "a condition that is inactive", MATCH RULE "match application junos-ssh\n" RULE "then permit\ndeactivate security policies from-zone trust to-zone untrust policy p match application\n",
	  "# rule p", "permit;", 6, "wrong" },
	{ "an inactive policy of IKE", "set security ike policy i pre-shared-key ascii-text x\nset security ike gateway g address 203.0.113.2\n"
	  "set security ike gateway g ike-policy i\ndeactivate security ike policy i\n", "", "peer g", 5, "wrong" },
	{ "an inactive value", "set security ike gateway g address 203.0.113.2\ndeactivate security ike gateway g address 203.0.113.2\n", "", "203.0.113.2", 4, "changed" },
	{ "a service but for one", "set security zones security-zone trust host-inbound-traffic system-services all\n"
	  "set security zones security-zone trust host-inbound-traffic system-services ssh except\n", "host-inbound ping;", "host-inbound ssh", 5, "translated" },
	{ "the interface's list counts", "set security zones security-zone trust host-inbound-traffic system-services ssh\n"
	  "set security zones security-zone trust interfaces ge-0/0/1.0 host-inbound-traffic system-services ping\n", "host-inbound ping;", "host-inbound ssh", 4, "changed" },
	{ "what all interfaces open", "set security zones security-zone trust host-inbound-traffic system-services [ ssh ping ]\n"
	  "set security zones security-zone trust interfaces ge-0/0/2.0 host-inbound-traffic system-services ping\n", "host-inbound ping;", "host-inbound ssh", 5, "changed" },
	{ "a long name in DNS", "set security address-book global address n dns-name a-name-that-is-longer-than-sixty-three-letters.of-a-cloud.example.net\n",
	  "fqdn a-name-that-is-longer-than-sixty-three-letters.of-a-cloud.example.net;", "", 4, "translated" },
	{ "a gateway by name", "set security ike policy i pre-shared-key ascii-text x\nset security ike gateway g address vpn.example.net\nset security ike gateway g ike-policy i\n",
	  "remote-address vpn.example.net;", "any;", 5, "changed" },
	{ "one of two authorities", "set security pki ca-profile a ca-identity a\nset security pki ca-profile b ca-identity b\nset security ike policy i certificate local-certificate c\n"
	  "set security ike policy i certificate trusted-ca ca-profile b\nset security ike gateway g address 203.0.113.2\nset security ike gateway g ike-policy i\n",
	  "trusted-ca b;", "trusted-ca a;", 7, "translated" },
};
/* clang-format on */

static void statements(void **state)
{
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		char text[4096];
		snprintf(text, sizeof text, "%s%s", ZONES, cases[i].text);
		struct import *m = imported(IMPORT_JUNOS, text, NULL);
		const char *made = import_configuration(m);
		if (!strstr(made, cases[i].has) || (*cases[i].has_not && strstr(made, cases[i].has_not)) ||
			strcmp(outcome_of(m, cases[i].line), cases[i].outcome) != 0)
			fail_msg("%s: %s\n%s", cases[i].name, outcome_of(m, cases[i].line), made);
		import_free(m);
	}
}

static void braces_say_the_same(void **state)
{
	struct import *lines =
		imported(IMPORT_JUNOS, ZONES "deactivate security address-book global address lan\n", NULL);
	struct import *braces = imported(IMPORT_JUNOS,
		"/* of\n a file */\nsecurity {\n zones {\n security-zone trust { interfaces { ge-0/0/1.0; } }\n"
		"security-zone untrust { interfaces ge-0/0/0.0; } }\n address-book { global {\n inactive: address lan 10.1.0.5/24; # far\n } } }\n",
		NULL);
	assert_string_equal(
		strchr(import_configuration(lines), '{'), strchr(import_configuration(braces), '{'));
	import_free(lines);
	import_free(braces);
}

static void interfaces_are_called_as_told(void **state)
{
	struct import *m = imported(IMPORT_JUNOS, ZONES, "ge-0/0/1.0=lan0,ge-0/0/0.0=wan0");

	assert_non_null(strstr(import_configuration(m), "interfaces lan0;"));
	assert_non_null(strstr(import_configuration(m), "interfaces wan0;"));
	import_free(m);
}

static void secrets_are_not_told(void **state)
{
	struct import *m = imported(
		IMPORT_JUNOS, "set security ike policy p pre-shared-key ascii-text \"very secret\"\n", NULL);
	struct import_row row;

	assert_int_equal(import_row(&row, m, 0), RC_OK);
	assert_null(strstr(row.statement, "secret\""));
	assert_non_null(strstr(row.statement, "***"));
	assert_null(strstr(import_configuration(m), "very secret"));
	import_free(m);
	m = imported(IMPORT_SCREENOS,
		"set ike gateway \"g\" address 203.0.113.2 Main preshare \"very secret\"\n", NULL);
	for (size_t i = 0; !import_row(&row, m, i); i++)
		assert_null(strstr(row.statement, "very"));
	assert_null(strstr(import_configuration(m), "very"));
	import_free(m);
	m = imported(IMPORT_SCREENOS,
		"set user \"a\" hash-password \"very\"\nset ike gateway g address 203.0.113.2 seed-preshare very\n",
		NULL);
	for (size_t i = 0; !import_row(&row, m, i); i++)
		assert_null(strstr(row.statement, "very"));
	import_free(m);
}

/* Of ScreenOS: what a line says more than is understood, and who may manage. */
static void of_screenos(void **state)
{
	static const char text[] =
		"set interface \"e1\" zone \"Trust\"\nset interface e1 manage ssh\nset admin manager-ip 10.1.0.9 255.255.255.255\n"
		"set admin user \"Bob\" password \"nVerySecret\" privilege \"read-only\"\nset admin user \"eve\" password \"nVerySecret\" privilege \"all\"\n"
		"set service \"p\" protocol icmp type 8 code 0\nset service \"q\" protocol tcp dst-port 80-80 mystery 1\n";
	struct import *m = imported(IMPORT_SCREENOS, text, NULL);
	const char *made = import_configuration(m);

	assert_non_null(strstr(made, "from managers;"));
	assert_non_null(strstr(made, "prefix 10.1.0.9/32;"));
	assert_non_null(strstr(made, "icmp-type 8;"));
	assert_null(strstr(made, "application q"));
	assert_non_null(strstr(made, "administrator bob {\n            role read-only;"));
	assert_non_null(strstr(made, "administrator eve {\n            role engineer;"));
	assert_null(strstr(made, "nVerySecret"));
	assert_string_equal(outcome_of(m, 4), "none"); /* the password */
	assert_string_equal(outcome_of(m, 5), "none");
	import_free(m);
}

static void a_quoted_quote(void **state)
{
	struct import *m = imported(IMPORT_JUNOS,
		"applications { application X { description \"5\\\" disk\"; destination-port 22; protocol tcp; } }\n",
		NULL);

	assert_non_null(strstr(import_configuration(m), "destination-port 22;"));
	import_free(m);
}

static void what_is_no_such_text(void **state)
{
	static const struct {
		const char *text, *said;
	} wrong[] = { { "a {\nb;\n", "ends within" }, { "a;\n}\n", "line 2: '}'" },
		{ "set a \"b\nset c d\n", "line 1: a quote" }, { "set a\001b\n", "line 1: an octet" },
		{ "/* a\n", "comment" } };

	for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
		struct import *m;
		struct err e = { 0 };
		assert_int_equal(
			import_text(&m, IMPORT_JUNOS, wrong[i].text, strlen(wrong[i].text), NULL, &e),
			RC_MALFORMED);
		if (!strstr(e.text, wrong[i].said))
			fail_msg("%s", e.text);
		assert_null(m);
	}
}

/* Every beginning of a text is a text, or refused. */
static void truncated(void **state)
{
	static const char text[] = ZONES MATCH RULE "match application [ junos-http junos-ssh ]\n" RULE
						    "then permit\n" RULE "description \"a \\\" b\"\n";

	for (size_t n = 0; n <= sizeof text - 1; n++) {
		char *copy = malloc(n ? n : 1);
		struct import *m;
		assert_non_null(copy);
		memcpy(copy, text, n);
		import_text(&m, IMPORT_JUNOS, copy, n, NULL, NULL);
		import_free(m);
		import_text(&m, IMPORT_SCREENOS, copy, n, NULL, NULL);
		import_free(m);
		free(copy);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(statements),
		cmocka_unit_test(braces_say_the_same),
		cmocka_unit_test(interfaces_are_called_as_told),
		cmocka_unit_test(secrets_are_not_told),
		cmocka_unit_test(of_screenos),
		cmocka_unit_test(a_quoted_quote),
		cmocka_unit_test(what_is_no_such_text),
		cmocka_unit_test(truncated),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
