/*
 * The text form: what is right is accepted and comes out the same, what is wrong is refused at its place.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "model/model.h"
#include "model/snapshot.h"
#include "sample.h"

static struct model *load(const char *text)
{
	struct model *m = NULL;
	struct err e = { 0 };

	if (model_load_text(text, strlen(text), "t", &m, &e) != RC_OK)
		fail_msg("%s", e.text);
	return m;
}

/* Loads, prints, loads that, prints it: both prints are the same. Returns the first; the caller frees it. */
static char *print_twice(const char *text)
{
	struct model *m = load(text), *again;
	size_t n = 0, again_n = 0;
	char *once = model_print(m, &n), *twice;

	assert_non_null(once);
	assert_int_equal(strlen(once), n);
	again = load(once);
	twice = model_print(again, &again_n);
	assert_string_equal(once, twice);
	free(twice);
	model_free(again);
	model_free(m);
	return once;
}

static void examples_are_a_fixed_point(void **state)
{
	for (unsigned i = 0; i < 2; i++) {
		char *text = sample_from_docs(i), *printed = print_twice(text);
		/* The page shows the examples as they are printed, but for empty lines between groups. */
		assert_non_null(strstr(printed, "    from trust to vpn {\n        rule to-"));
		free(printed);
		free(text);
	}
}

static void empty_text_is_a_configuration(void **state)
{
	char *printed = print_twice("# nothing\n");
	assert_string_equal(printed, "");
	free(printed);
}

static void random_texts_are_a_fixed_point(void **state)
{
	for (uint64_t seed = 1; seed <= 300; seed++) {
		char *text = sample_random(seed), *printed = print_twice(text);
		assert_true(strlen(printed) > 100);
		free(printed);
		free(text);
	}
}

static void quotes_and_comments(void **state)
{
	char *printed = print_twice(
		"system { host-name \"hq\"; } # } \n/* { */ ike { peer \"p\" { remote-address any;"
		"remote-id \"a\\\"b\\\\c#d/*e\"; pre-shared-key k; proposals x; } "
		"proposal x { encryption aes128gcm16; dh-group ecp256; } }");
	assert_non_null(strstr(printed, "host-name hq;\n"));
	assert_non_null(strstr(printed, "remote-id \"a\\\"b\\\\c#d/*e\";\n"));
	free(printed);
}

#define FOUR(n, m) "1.1." n "." m "0 1.1." n "." m "1 1.1." n "." m "2 1.1." n "." m "3 "
#define SIXTEEN(n) FOUR(n, "1") FOUR(n, "2") FOUR(n, "3") FOUR(n, "4")

static const struct {
	const char *what, *old, *new; /* a change of the head office's example */
	unsigned line, column;	      /* 0: not looked at */
	const char *says;
} mistakes[] = {
	{ "misspelt keyword", "interfaces lan0", "interface lan0", 7, 9, "did you mean 'interfaces'?" },
	{ "misspelt group", "policy {", "polcy {", 0, 1, "did you mean 'policy'?" },
	{ "keyword says what is left", "host-name hq;", "host-name hq; x;", 2, 19,
		"one of: nat-ports, host-ports" },
	{ "unknown algorithm", "encryption aes256gcm16", "encryption aes256gcm", 0, 20,
		"did you mean 'aes256gcm16'?" },
	{ "missing semicolon", "host-name hq;", "host-name hq", 2, 17, "found '}' in line 3, expected ';'" },
	{ "missing semicolon within a line", "host-name hq;", "host-name hq tcp-mss 1400;", 2, 18,
		"found 'tcp-mss', expected ';'" },
	{ "missing semicolon behind a comment", "host-name hq;", "host-name hq # ;", 2, 17,
		"found '}' in line 3" },
	{ "missing brace", "    zone trust {", "    zone trust", 0, 15,
		"found 'interfaces' in line 7, expected '{'" },
	{ "missing braces, two levels", "                permit;\n                log {",
		"                permit;\n}\npolicy {", 0, 0, "" },
	{ "lines of 'set'", "system {", "set system host-name hq\nsystem {", 1, 1,
		"statements are written in braces" },
	{ "pair of zones as elsewhere", "from trust to vpn", "from-zone trust to-zone vpn", 0, 5,
		"write: from ZONE to ZONE" },
	{ "seconds with their unit", "inactivity-timeout 3600", "inactivity-timeout 3600s", 0, 28,
		"did you mean 3600?" },
	{ "hours", "inactivity-timeout 3600", "inactivity-timeout 8h", 0, 28, "did you mean 28800?" },
	{ "comment of slashes", "host-name hq;", "// the head office\n    host-name hq;", 2, 5,
		"comments begin with #" },
	{ "comment of slashes behind", "host-name hq;", "host-name hq; // the head office", 2, 19,
		"comments begin with #" },
	{ "switched off with what needs it", "    zone trust {", "    inactive: zone trust {", 0, 10,
		"expected the name of a zone that exists" },
	{ "switched off twice", "    zone trust {", "    inactive: inactive: zone trust {", 0, 15,
		"'inactive:' stands once" },
	{ "switched off without a colon", "    zone trust {", "    inactive zone trust {", 0, 5,
		"with its colon" },
	{ "mistake in what is switched off", "    zone trust {", "    inactive: zone tr'ust {", 0, 20,
		"made of letters" },
	{ "switched off and given again", "host-name hq;", "inactive: host-name a; host-name hq;", 2, 28,
		"given twice" },
	{ "what is needed switched off", "                source hq-lan;",
		"                inactive: source hq-lan;", 0, 13, "match lacks source" },
	{ "description of nothing", "            match {\n                source hq-lan;",
		"            description \"\";\n            match {\n                source hq-lan;", 0, 25,
		"1 to 255 characters" },
	{ "single quotes", "host-name hq;", "host-name 'hq';", 2, 15,
		"strings are written in double quotes" },
	{ "single quotes where all may stand", "remote-id branch.example.net;", "remote-id 'a b';", 0, 0,
		"strings are written in double quotes" },
	{ "brackets missing", "interfaces lan0;", "interfaces lan0 lan1;", 7, 25,
		"found 'lan1', expected ';'; several values are written in brackets: interfaces [ ... lan1 ];" },
	{ "brackets missing in a list", "host-inbound [ ping ssh ];", "host-inbound ping ssh;", 8, 27,
		"several values are written in brackets: host-inbound [ ... ssh ];" },
	{ "commas", "[ ping ssh ]", "[ ping, ssh ]", 8, 24, "separated by white space, without commas" },
	{ "description", "host-name hq;", "description hq;", 2, 5, "write a comment" },
	{ "name of a peer's address", "remote-address 203.0.113.2;", "remote-address *.example.com;", 0, 24,
		"a domain name such as vpn.example.com" },
	{ "no-break space", "host-name hq;", "host-name\xc2\xa0hq;", 2, 14, "no-break space" },
	{ "typographic quotes", "host-name hq;", "host-name \xe2\x80\x9chq\xe2\x80\x9d;", 2, 15,
		"write '\"'" },
	{ "a brace too many", "        host-inbound [ ping ssh ];\n    }",
		"        host-inbound [ ping ssh ];\n    } }", 0, 5,
		"it belongs in 'zones', which begins in line 5: is there a '}' too many before it?" },
	{ "missing value", "host-name hq;", "host-name;", 2, 14, "found ';', expected" },
	{ "number below its range", "inactivity-timeout 3600", "inactivity-timeout 0", 0, 28, "1..604800" },
	{ "no number", "inactivity-timeout 3600", "inactivity-timeout 1h", 0, 28, "1..604800" },
	{ "unknown zone", "from trust to vpn", "from trust to vnp", 0, 19, "did you mean 'vpn'?" },
	{ "pair without to", "from trust to vpn", "from trust vpn", 0, 16, "expected 'to'" },
	{ "no action", "                permit;\n                log", "                log", 0, 13,
		"lacks one of: permit, deny, reject" },
	{ "no source", "                source hq-lan;\n", "", 0, 13, "match lacks source" },
	{ "no match at all", "            match {\n                source any;",
		"            /*match {\n */ then { /*", 0, 0, "" },
	{ "two actions", "                permit;", "                permit; deny;", 0, 25,
		"combined with permit" },
	{ "interface in two zones", "interfaces wan0", "interfaces lan0", 0, 20,
		"interface 'lan0' belongs to zone 'trust' already" },
	{ "reserved name", "address hq-lan {", "address any {", 0, 13, "'any' stands for everything" },
	{ "name with a space", "address hq-lan {", "address \"hq lan\" {", 0, 13, "made of letters" },
	{ "name with a quote", "address hq-lan {", "address hq'lan {", 0, 13, "made of letters" },
	{ "name too long", "address hq-lan {",
		"address x123456789012345678901234567890123456789012345678901234567890123 {", 0, 13,
		"63 characters" },
	{ "rule given twice", "rule web {", "rule no-telnet {", 0, 9, "given twice, first in line" },
	{ "leaf given twice", "host-name hq;", "host-name hq; host-name hq;", 2, 19, "given twice" },
	{ "group given twice", "zones {", "system { }\nzones {", 0, 1, "given twice, first in line 1" },
	{ "value given twice", "[ ping ssh ]", "[ ping ssh ping ]", 8, 33, "given twice" },
	{ "ports without ports", "protocol tcp", "protocol icmp", 0, 0, "only tcp, udp and sctp have ports" },
	{ "unknown peer", "        peer branch;", "        peer brunch;", 0, 14, "did you mean 'branch'?" },
	{ "no remote address", "        remote-address 203.0.113.2;", "", 0, 5, "lacks remote-address" },
	{ "any peer started", "remote-address 203.0.113.2;", "remote-address any;", 0, 5,
		"cannot be initiated" },
	{ "no authentication", "pre-shared-key hq-branch;", "", 0, 5,
		"lacks one of: pre-shared-key, identity-keys, private-key" },
	{ "half authentication", "pre-shared-key hq-branch;", "private-key hq;", 0, 5, "belong together" },
	{ "both authentications", "pre-shared-key hq-branch;", "pre-shared-key hq-branch; private-key hq;", 0,
		0, "private-key cannot be combined with pre-shared-key" },
	{ "too many selectors", "local 10.1.0.0/24;",
		"local [ " SIXTEEN("1") SIXTEEN("2") SIXTEEN("3") SIXTEEN("4") "1.1.5.0 ];", 0, 0,
		"more than 64 times 'local'" },
	{ "no such byte", "host-name hq;", "host-name h\xc3\xbcq;", 2, 16, "byte 0xc3" },
	{ "control byte", "host-name hq;", "host-name h\001q;", 2, 16, "byte 0x01" },
	{ "unclosed comment", "ipsec {", "/* ipsec {", 0, 1, "expected '*/'" },
	{ "unclosed quote", "host-name hq;", "host-name \"hq;", 2, 0, "end on its line" },
	{ "unknown escape", "host-name hq;", "host-name \"h\\n\";", 2, 17, "found '\\'" },
	{ "value where a group belongs", "zones {", "zones all {", 0, 7, "expected '{'" },
	{ "list of an empty leaf", "count;", "count [ a ];", 0, 0, "expected ';'" },
	{ "unclosed list", "[ ping ssh ]", "[ ping ssh ;", 8, 33, "expected one of: a value, ]" },
	{ "empty list", "[ ping ssh ]", "[ ]", 8, 24, "found ']'" },
	{ "byte-order mark", "system {", "\xef\xbb\xbfsystem {", 1, 1, "found a byte-order mark" },
	{ "address in a rule", "source hq-lan;", "source 10.1.0.0/24;", 0, 24,
		"rules name addresses: define 'address NAME" },
	{ "IPv6 address in a rule", "source hq-lan;", "source fd00:1::2;", 0, 24, "{ prefix fd00:1::2; }" },
	{ "zone that is not like any", "zone vpn;", "zone elsewhere;", 0, 14,
		"that exists (trust, untrust, vpn)" },
	{ "brace that is missing inside", "        host-inbound [ ping ssh ];\n    }",
		"        host-inbound [ ping ssh ];\n", 0, 5,
		"is the '}' of zone 'trust', which begins in line" },
};

/* Read, checked as text, printed again; and as if it were not there. */
static void inactive_statements(void **state)
{
	static const char text[] =
		"system {\n    inactive: host-name gone;\n}\nzones {\n    zone a {\n"
		"        description \"our \\\"own\\\" network\";\n        interfaces [ e0 e1 ];\n"
		"        inactive: interfaces [ e2 e3 ];\n        inactive: host-inbound ssh {\n            from nowhere;\n        }\n    }\n"
		"    inactive: zone b {\n        inactive: interfaces e0;\n        interfaces e1;\n    }\n}\n"
		"policy {\n    from a to a {\n        inactive: rule x {\n            match {\n                source gone;\n            }\n        }\n"
		"        inactive: rule y;\n    }\n}\n"
		"inactive: nat {\n    source {\n        rule z;\n    }\n}\n";
	char *printed = print_twice(text);
	struct err e = { 0 };
	void *block;
	size_t n;
	struct faults f;

	assert_string_equal(printed, text);
	free(printed);
	if (model_read(text, strlen(text), "t", 1, NULL, &block, &n, &f, &e) != RC_OK)
		fail_msg("%s", e.text);
	const struct snapshot *s = block;
	assert_string_equal(s->host_name, "plaingate");
	assert_int_equal(s->zones.count, 1);
	assert_int_equal(s->interfaces.count, 2);
	assert_int_equal(s->host_services.count + s->rules.count + s->nat_rules.count, 0);
	free(block);
}

static void mistakes_are_placed(void **state)
{
	char *good = sample_from_docs(0);

	for (size_t i = 0; i < sizeof mistakes / sizeof mistakes[0]; i++) {
		char *text = sample_replace(good, mistakes[i].old, mistakes[i].new);
		struct model *m = NULL;
		struct err e = { 0 };
		unsigned line = 0, column = 0;

		if (model_load_text(text, strlen(text), "t", &m, &e) == RC_OK)
			fail_msg("%s: accepted", mistakes[i].what);
		assert_null(m);
		if (sscanf(e.text, "t:%u:%u: ", &line, &column) != 2)
			fail_msg("%s: no place in: %s", mistakes[i].what, e.text);
		if ((mistakes[i].line && line != mistakes[i].line) ||
			(mistakes[i].column && column != mistakes[i].column))
			fail_msg("%s: wrong place: %s", mistakes[i].what, e.text);
		if (!strstr(e.text, mistakes[i].says))
			fail_msg("%s: it does not say '%s': %s", mistakes[i].what, mistakes[i].says, e.text);
		free(text);
	}
	free(good);
}

static void read_faults(const char *text, struct faults *f)
{
	struct err e = { 0 };
	char first[60];
	void *block;
	size_t n;

	assert_int_equal(model_read(text, strlen(text), "t", 1, NULL, &block, &n, f, &e), RC_MALFORMED);
	assert_null(block);
	assert_true(f->n > 0);
	snprintf(first, sizeof first, "t:%u:%u: ", f->at[0].line, f->at[0].column);
	assert_int_equal(strncmp(e.text, first, strlen(first)), 0);
}

static const struct {
	const char *what, *text, *says; /* all of it, in that order */
} mistaken[] = {
	{ "words, values, a missing semicolon",
		"system { host-nam a; }\nzones {\n zone a { interface e0; }\n zone b { interfaces "
		"e1\n host-inbound ping; }\n"
		" zone c { host-inbound telnet; tcp-rst; }\n}",
		"t:1:10: found 'host-nam'|t:3:11: found 'interface'|t:4:24: found 'host-inbound' in line 5, "
		"expected ';'|t:6:24: found 'telnet'" },
	{ "what follows a fault in the same block",
		"zones { zone a { bad { x y; } interfaces e0; worse 1; } zone a; }",
		"t:1:18: found 'bad'|t:1:46: found 'worse'|t:1:57: zone 'a' is given twice" },
	{ "a brace too few",
		"sistem { }\nzones {\n zone a {\n interfaces e0;\n zone b { interfase e1; }\n}\nsystem { host-nam b; }",
		"t:1:1: found 'sistem'|t:5:2: found 'zone'|t:5:11: found 'interfase'|t:7:10: found 'host-nam'" },
	{ "a brace too few in one line",
		"zones { zone a { interfaces e0; zone b { interfase e1; } }\nsystem { host-nam b; }",
		"t:1:33: found 'zone'|t:1:42: found 'interfase'|t:2:10: found 'host-nam'" },
	{ "two braces too few",
		"zones {\n zone a { interfaces e0;\nsystem { host-nam b; }\naddress-book { address x { prefix y; } }",
		"t:3:1: found 'system'|t:3:10: found 'host-nam'|t:4:35: found 'y'" },
	{ "a group in the wrong place, with all braces",
		"zones { zone a {\n interfaces e0;\n address-book { address x { prefix y; } }\n bad 1; } }\nsystem { host-nam b; }",
		"t:3:2: found 'address-book'|t:4:2: found 'bad'|t:5:10: found 'host-nam'" },
	{ "a brace too many",
		"sistem { }\nzones {\n zone a { interfaces e0; } }\n zone b { interfase e1; }\n}\nsystem { host-nam b; }",
		"t:1:1: found 'sistem'|t:4:2: found 'zone'|t:4:11: found 'interfase'|t:6:10: found 'host-nam'" },
	{ "a brace too many, further in",
		"zones { zone a { interfaces e0; } zone b { interfaces e1; } }\npolicy { from a to b {\n rule r {\n"
		" match { source any; destination any; application any; } }\n then { permit; bad; } }\n rule s { wrong; } } }\n"
		"system { host-nam b; }",
		"t:5:2: found 'then'|t:5:17: found 'bad'|t:6:11: found 'wrong'|t:7:10: found 'host-nam'" },
	{ "bytes that are none, and what is around them",
		"sistem { }\nzones { zone a { interfaces \xc3\xbc; bad 1; }\n zone b { interfaces e1; \xff worse 2; } }\nsystem { host-nam b; }",
		"t:1:1: found 'sistem'|t:2:29: found the byte 0xc3|t:2:32: found 'bad'|t:3:26: found the byte 0xff|t:3:28: found 'worse'|"
		"t:4:10: found 'host-nam'" },
	{ "a byte-order mark", "\xef\xbb\xbfsystem { host-nam a; }",
		"t:1:1: found a byte-order mark|t:1:11: found 'host-nam'" },
	{ "a string without its end, and what is around it",
		"sistem { }\nzones { zone a {\n description \"abc;\n bad 1; } }\nsystem { host-nam b; }",
		"t:1:1: found 'sistem'|t:3:19: a quoted string|t:4:2: found 'bad'|t:5:10: found 'host-nam'" },
	{ "a string without its end and a semicolon",
		"zones { zone a {\n description \"abc\n bad 1; } }\nsystem { host-nam b; }",
		"t:2:18: a quoted string|t:3:2: found 'bad'|t:4:10: found 'host-nam'" },
	{ "a string with what it may not have", "zones { zone a { description \"a\\n\xc3\xbc\"; bad 1; } }",
		"t:1:32: found '\\'|t:1:38: found 'bad'" },
	{ "a string that does not end where a block begins",
		"zones { zone \"a {\n interfaces e0;\n }\n bad 1; }\nsystem { host-nam b; }",
		"t:1:18: a quoted string|t:4:2: found 'bad'|t:5:10: found 'host-nam'" },
	{ "a comment that does not end", "system { host-nam a; }\n/* zones { zoen a; }",
		"t:1:10: found 'host-nam'|t:2:1: the comment" },
	{ "open at the end", "zones {\n zone a {\n interfaces e0;\n",
		"expected '}': zone 'a' begins in line 2" },
	{ "a brace too many at the top", "zones { } }\nsystem { host-nam a; }",
		"t:1:11: found '}'|t:2:10: found 'host-nam'" },
	{ "a byte that is none", "zones { zoen a; zone b { interfaces \x80; } }",
		"t:1:9: found 'zoen'|t:1:37: found the byte 0x80" },
	{ "a missing semicolon, and the statement behind it", "system {\n host-name a\n tcp-mss x;\n}\n",
		"t:2:13: found 'tcp-mss' in line 3|t:3:10: found 'x'" },
	{ "slashes, and what is behind them", "system {\n // don't; host-name a;\n tcp-mss x;\n}\n",
		"t:2:2: found '//'|t:3:10: found 'x'" },
	{ "what is missing",
		"ike {\n peer a { pre-shared-key k; }\n peer b { remote-address ::1; proposals x; }\n}",
		"t:2:2: peer 'a' lacks remote-address|t:3:2: peer 'b' lacks one of|"
		"t:3:41: found 'x', expected the name of a proposal that exists" },
	{ "an empty group, and a name", "system { }\nzones { zone a { interfaces e0; screen x; } }",
		"t:2:40: found 'x', expected the name of a screen that exists" },
	{ "words, what is missing, names and numbers",
		"system { host-nam a; }\n"
		"zones { zone a { interface e0; } zone b { interfaces e1; } }\n"
		"address-book { address x { prefix 10.0.0.1/8; } address y { prefix z; } }\n"
		"policy { from a to b { rule r { match { source any; destination none; application any; } then { permit; } }\n"
		"rule s { match { source x; destination any; } then { permit; } } } }",
		"t:1:10: found 'host-nam'|t:2:18: found 'interface'|t:3:35: found '10.0.0.1/8'|t:3:68: found 'z'|"
		"t:4:65: found 'none', expected the name of an address that exists|t:5:10: match lacks application" },
	{ "what may have been defined where something was not understood",
		"zones { zoen a { interfaces e0; } zone b { interfaces e1; screen s; } zone c { interfaces e2; bad; } }\n"
		"scrans { screen s { } }\n"
		"address-book { adress x { prefix 10.0.0.0/8; } }\n"
		"policy { from a to b { rule r { match { source x; destination y; application any; } then { permit; } } }\n"
		"from c to b { rule r { match { source x; destination any; application any; } then { permit; } } } }",
		"t:1:9: found 'zoen'|t:1:95: found 'bad'|t:2:1: found 'scrans'|t:3:16: found 'adress'|t:4:63: found 'y'" },
	{ "ports that rules are compared with",
		"system { nat-ports 50000-; }\nzones { zone a { interfaces e0; } }\n"
		"nat { source { rule r { from a; then { source-nat interface; ports 20000-20010; } } } }",
		"t:1:20: found '50000-'" },
	{ "names of what is inactive",
		"zones { inactive: zone a { interfaces e0; } zone b { interfaces e1; } }\n"
		"address-book { address x { prefix 10.0.0.0/8; } inactive: address-set y { address x; } }\n"
		"inactive: schedulers { scheduler night { } }\n"
		"policy { from a to b { rule r { scheduler-name night; match { source y; destination any; application any; } "
		"then { permit; } } } }",
		"t:4:15: found 'a', expected the name of a zone that exists; zone 'a', in line 1, is inactive|"
		"t:4:48: found 'night', expected the name of a scheduler that exists; scheduler 'night', in line 3, is inactive|"
		"t:4:70: found 'y', expected the name of an address that exists; address-set 'y', in line 2, is inactive" },
	{ "names and numbers of all kinds, in order of place",
		"zones { zone a { interfaces e0; host-inbound ssh { from adresses; } } }\n"
		"address-book { address admins { prefix 10.1.0.1/24; range 10.2.0.9-10.2.0.1; }\n"
		" address-set s { address [ admin nobody ]; address-set s; } }\n"
		"policy { from a to b { rule r { match { source admns; destination [ s gone ]; application htpt; }\n"
		" then { permit; } } } }\n"
		"ike { peer p { remote-address 1.2.3; local-address 1.2.3.400; pre-shared-key k; proposals q; } }\n"
		"ipsec { tunnel t { peer o; zone a; proposals x; local 10.0.0.0/8; remote 10.0.0.0/40; } }",
		"t:1:57: found 'adresses', expected the name of an address that exists|"
		"t:2:40: found '10.1.0.1/24', expected a prefix whose host bits are zero: 10.1.0.0/24|"
		"t:2:59: found '10.2.0.9-10.2.0.1', expected the lower address first|"
		"t:3:28: found 'admin', expected the name of an address that exists; did you mean 'admins'?|"
		"t:3:34: found 'nobody'|t:3:56: the set 's' contains itself|"
		"t:4:20: found 'b', expected the name of a zone that exists (a)|"
		"t:4:48: found 'admns', expected the name of an address that exists; did you mean 'admins'?|"
		"t:4:71: found 'gone'|t:4:91: found 'htpt', expected the name of an application that exists; did you mean 'http'?|"
		"t:6:31: found '1.2.3'|t:6:52: found '1.2.3.400'|"
		"t:6:91: found 'q', expected the name of a proposal that exists|"
		"t:7:25: found 'o', expected the name of a peer that exists (p)|t:7:46: found 'x'|"
		"t:7:74: found '10.0.0.0/40'" },
};

/* Up to the fault's own statement each is skipped, so that the next one is found as well. */
static void all_mistakes_are_said(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof mistaken / sizeof mistaken[0]; i++) {
		char says[2000], *place = NULL;
		struct faults f;
		unsigned k = 0;

		read_faults(mistaken[i].text, &f);
		snprintf(says, sizeof says, "%s", mistaken[i].says);
		for (char *one = strtok_r(says, "|", &place); one; one = strtok_r(NULL, "|", &place), k++) {
			char found[ERR_TEXT_MAX + 40] = "";
			if (k < f.n)
				snprintf(found, sizeof found, "t:%u:%u: %s", f.at[k].line, f.at[k].column,
					f.at[k].text);
			if (!strstr(found, one))
				fail_msg("%s: not '%s' but '%s'", mistaken[i].what, one, found);
		}
		if (f.n != k || f.more)
			fail_msg("%s: %u faults, not %u; the next is '%s'", mistaken[i].what, f.n, k,
				f.at[k].text);
	}
}

/*
 * One word that is not known, in any line of a configuration: one fault, and nothing of what names the things that this line, and those
 * within its braces, would have defined.
 */
static void one_mistake_is_one(void **state)
{
	unsigned lines = 0;

	for (unsigned i = 0; i < 2; i++) {
		static char bad[20000];
		char *good = sample_from_docs(i);

		for (const char *at = good, *end; *at && (end = strchr(at, '\n')); at = end + 1) {
			const char *word = at + strspn(at, " \t");
			struct faults f;
			if (word >= end || *word == '}')
				continue;
			snprintf(bad, sizeof bad, "%.*szz%s", (int)(word - good), good, word);
			read_faults(bad, &f);
			if (f.n + f.more != 1)
				fail_msg("%u faults after 'zz%.*s': %s; %s", f.n, (int)(end - word), word,
					f.at[0].text, f.at[1].text);
			lines++;
		}
		free(good);
	}
	assert_true(lines > 150);
}

/* What else stands in the address book, and the applications, are found all the same. */
static void name_of_two_things_is_one(void **state)
{
	struct faults f;

	(void)state;
	read_faults("zones { zone a { interfaces x0; } zone b { interfaces y0; } }\n"
		    "address-book { address s { prefix 10.0.0.0/24; } address-set s { address s; } }\n"
		    "policy { from a to b { rule r { match { source s; destination any; application https; }"
		    " then { permit; } } } }\n",
		&f);
	assert_int_equal(f.n + f.more, 1);
	assert_non_null(strstr(f.at[0].text, "'s' is an address already, in line 2"));
}

/* With a mistake behind it all: that is told as well, and nothing else. */
static void is_one(const char *what, const char *good, const char *at, const char *put, const char *rest)
{
	static char bad[20000];
	struct faults f;

	snprintf(bad, sizeof bad, "%.*s%s%s\nsistem { }\n", (int)(at - good), good, put, rest);
	read_faults(bad, &f);
	/* behind a brace that is missing at the very end the end of the text is the second one */
	if (f.n + f.more != 2 ||
		(!strstr(f.at[0].text, "found 'sistem'") && !strstr(f.at[1].text, "found 'sistem'")))
		fail_msg("%u faults with %s before '%.40s': %s; %s", f.n, what, at, f.at[0].text,
			f.at[1].text);
}

/* The same with a byte that cannot be read, a string without its end, and a brace too few or too many, in any line. */
static void other_mistakes_are_one(void **state)
{
	(void)state;
	for (unsigned i = 0; i < 2; i++) {
		char *good = sample_from_docs(i);

		for (const char *at = good, *end; *at && (end = strchr(at, '\n')); at = end + 1) {
			const char *word = at + strspn(at, " \t");
			if (word >= end || *word == '#' || *word == '/' || *word == '*')
				continue;
			is_one("a byte", good, word, "\x80 ", word);
			if (*word == '}') {
				is_one("a brace too many", good, word, "}", word);
				is_one("a brace too few", good, word, "", word + 1);
				continue;
			}
			is_one("half a word", good, word, "zz\xc3\xbc", word);
			is_one("a quote", good, word, "\"", word);
		}
		free(good);
	}
}

/* A line that is left out: whatever is said of the rest, nothing crashes. */
static void lines_left_out(void **state)
{
	static char bad[20000];
	char *good = sample_from_docs(0);

	for (const char *at = good, *end; *at && (end = strchr(at, '\n')); at = end + 1) {
		struct faults f;
		struct err e = { 0 };
		void *block;
		size_t n;

		snprintf(bad, sizeof bad, "%.*szz;%s", (int)(at - good), good, end);
		assert_int_equal(
			model_read(bad, strlen(bad), "t", 1, NULL, &block, &n, &f, &e), RC_MALFORMED);
		assert_null(block);
	}
	free(good);
}

/* There is room for a few only, and an end. */
static void endless_mistakes_end(void **state)
{
	char *text = calloc(1, 200000);
	struct model *m = NULL;
	struct faults f;
	struct err e = { 0 };

	for (size_t i = 0; i < 10000; i++)
		memcpy(text + 9 * i, "bad { } \n", 9);
	assert_int_equal(model_load_text(text, strlen(text), "t", &m, &e), RC_MALFORMED);
	assert_non_null(strstr(e.text, "t:1:1:"));
	assert_non_null(strstr(e.text, " more at the least"));
	read_faults(text, &f);
	assert_int_equal(f.n, FAULTS_KEPT);
	assert_int_equal(f.n + f.more, FAULTS_COUNTED);
	for (unsigned i = 0; i < f.n; i++)
		assert_int_equal(f.at[i].line, i + 1);
	free(text);
}

/* Every truncation inside the text is refused or is a configuration; nothing crashes (sanitizers watch). */
static void truncations(void **state)
{
	char *good = sample_from_docs(1);
	size_t n = strlen(good), accepted = 0;

	for (size_t i = 0; i < n; i++) {
		char *part = malloc(i ? i : 1); /* exact, so that a read beyond it is found */
		struct model *m = NULL;
		struct err e = { 0 };

		assert_non_null(part);
		memcpy(part, good, i);
		if (model_load_text(part, i, "t", &m, &e) == RC_OK)
			accepted++;
		else
			assert_int_equal(strncmp(e.text, "t:", 2), 0);
		model_free(m);
		free(part);
	}
	/* Only between the groups at the top can a prefix be whole; the groups refer to later ones. */
	assert_true(accepted > 0 && accepted < n / 4);
	free(good);
}

static void refuses(const char *text, size_t n, enum rc want)
{
	struct model *m = NULL;
	struct err e = { 0 };

	assert_int_equal(model_load_text(text, n, "t", &m, &e), want);
	assert_null(m);
}

static void limits(void **state)
{
	char *big = malloc(CONFIG_TEXT_MAX + 1), *word = malloc(2000);

	assert_true(big && word);
	memset(big, ' ', CONFIG_TEXT_MAX + 1);
	refuses(big, CONFIG_TEXT_MAX + 1, RC_LIMIT);
	memset(big, '{', CONFIG_TEXT_MAX);
	refuses(big, CONFIG_TEXT_MAX, RC_MALFORMED);
	memset(word, 'x', 2000);
	refuses(word, 2000, RC_MALFORMED);
	memcpy(word, "system { host-name \"", 20);
	refuses(word, 2000, RC_MALFORMED);
	refuses("\0", 1, RC_MALFORMED);
	free(big);
	free(word);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(examples_are_a_fixed_point),
		cmocka_unit_test(empty_text_is_a_configuration),
		cmocka_unit_test(random_texts_are_a_fixed_point),
		cmocka_unit_test(quotes_and_comments),
		cmocka_unit_test(inactive_statements),
		cmocka_unit_test(mistakes_are_placed),
		cmocka_unit_test(all_mistakes_are_said),
		cmocka_unit_test(one_mistake_is_one),
		cmocka_unit_test(name_of_two_things_is_one),
		cmocka_unit_test(other_mistakes_are_one),
		cmocka_unit_test(lines_left_out),
		cmocka_unit_test(endless_mistakes_end),
		cmocka_unit_test(truncations),
		cmocka_unit_test(limits),
	};
	int failed = cmocka_run_group_tests(tests, NULL, NULL);
	model_done();
	return failed;
}
