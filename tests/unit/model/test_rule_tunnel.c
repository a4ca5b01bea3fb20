/*
 * Rules that permit through one tunnel only: which are taken, and what is said of those of which it is not certain.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "compiled.h"
#include "model/model.h"

#define BASE                                                                                                 \
	"address-book { address here { prefix 10.1.0.0/24; } address part { range 10.1.0.5-10.1.0.9; } "     \
	"address there { prefix 10.2.0.0/24; prefix 10.2.1.0/24; } address wide { prefix 10.0.0.0/8; } "     \
	"address name { fqdn a.example; } address six { prefix 2001:db8::/64; } } "                          \
	"ike { proposal i { encryption aes256gcm16; prf prfsha256; dh-group ecp256; } "                      \
	"peer p { remote-address 192.0.2.1; pre-shared-key k; proposals i; } } "
#define TUNNEL(name, zone, local, remote)                                                                    \
	"tunnel " name " { peer p; zone " zone "; proposals e; local " local "; remote " remote "; } "
#define IPSEC(tunnels) "ipsec { proposal e { encryption aes256gcm16; } " tunnels " } "
#define SITE	       TUNNEL("site", "b", "10.1.0.0/24", "[ 10.2.0.0/24 10.2.1.0/24 ]")
#define ALL	       TUNNEL("all", "b", "10.0.0.0/8", "0.0.0.0/0")
#define PART	       TUNNEL("part", "c", "10.1.0.0/24", "10.2.0.128/25")
#define ZONES                                                                                                \
	"zones { zone a { interfaces lan0; } zone b { interfaces wan0; } zone c { interfaces wan1; } zone own; } "
#define RULE(from, to, src, dst, then)                                                                       \
	"policy { from " from " to " to " { rule r { match { source " src "; destination " dst               \
	"; application any; } then { " then " } } } } "

static const struct {
	const char *text, *words; /* NULL: it is taken */
} cases[] = {
	{ IPSEC(SITE) RULE("a", "b", "here", "there", "permit; tunnel site;"), NULL },
	{ IPSEC(SITE) RULE("a", "b", "part", "there", "permit; tunnel site;"), NULL },
	{ IPSEC(SITE) RULE("b", "a", "there", "part", "permit; tunnel site;"), NULL },
	{ IPSEC(SITE ALL) RULE("a", "b", "here", "there", "permit; tunnel site;"),
		NULL }, /* the wider one loses */
	{ IPSEC(TUNNEL("site", "own", "10.1.0.0/24", "10.2.0.0/24"))
			RULE("a", "own", "any", "any", "permit; tunnel site;"),
		NULL },
	{ IPSEC(TUNNEL("site", "own", "10.1.0.0/24", "10.2.0.0/24"))
			RULE("own", "a", "name", "any", "permit; tunnel site;"),
		NULL },
	{ IPSEC(SITE) RULE("a", "b", "any", "there", "permit; tunnel site;"),
		"rule 'r' permits through tunnel 'site' only, but its source (any)" },
	{ IPSEC(SITE) RULE("a", "b", "here", "wide", "permit; tunnel site;"),
		"its destination (10.0.0.0/8) is not within" },
	{ IPSEC(SITE) RULE("a", "b", "here", "name", "permit; tunnel site;"),
		"its destination (addresses that change)" },
	{ IPSEC(SITE) RULE("a", "b", "[ here six ]", "there", "permit; tunnel site;"),
		"its source (2001:db8::/64)" },
	{ IPSEC(SITE) RULE("a", "b", "there", "here", "permit; tunnel site;"),
		"is not within the networks that are local" },
	{ IPSEC(SITE) RULE("b", "a", "here", "there", "permit; tunnel site;"),
		"is not within the networks that are local" },
	{ IPSEC(SITE PART) RULE("a", "b", "here", "there", "permit; tunnel site;"),
		"but tunnel 'part' has networks of both its ends" },
	{ IPSEC(SITE ALL) RULE("b", "a", "there", "here", "permit; tunnel site;"),
		"but tunnel 'all' has networks of both its ends" },
	{ IPSEC(ALL) RULE("a", "b", "here", "there", "permit; tunnel all;"), "which are not behind it" },
	{ IPSEC(SITE) RULE("a", "c", "here", "there", "permit; tunnel site;"),
		"one end of it is the zone of that tunnel" },
	{ IPSEC(SITE) RULE("b", "b", "here", "there", "permit; tunnel site;"),
		"one end of it is the zone of that tunnel" },
	{ IPSEC(SITE) RULE("b", "self", "there", "here", "permit; tunnel site;"), "not self" },
	{ IPSEC(SITE) RULE("a", "b", "here", "there", "permit; tunnel sitte;"), "did you mean 'site'" },
	{ IPSEC(SITE) RULE("a", "b", "here", "there", "deny; tunnel site;"), "tunnel needs permit" },
};

static void taken_and_refused(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
		char text[4000];
		struct err e = { 0 };
		void *block = NULL;
		size_t n;

		snprintf(text, sizeof text, "%s%s%s", ZONES, BASE, cases[i].text);
		enum rc rc = compile(text, 1, &block, &n, &e);
		if ((rc == RC_OK) != !cases[i].words || (rc != RC_OK && !strstr(e.text, cases[i].words)))
			fail_msg("case %zu, '%s': %s", i, cases[i].words ? cases[i].words : "", e.text);
		free(block);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(taken_and_refused) };

	return cmocka_run_group_tests(tests, NULL, NULL);
}
