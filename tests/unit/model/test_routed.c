/* What the compiler makes of tunnels with an interface, what it refuses of them, and its warnings. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "compiled.h"
#include "model/model.h"
#include "model/warnings.h"

/* Zone a has the link e0; of the peers, p starts on traffic and q always. */
#define ROUTED(name, peer, interface)                                                                        \
	"tunnel " name " { peer " peer "; zone a; proposals e; interface " interface "; "                    \
	"local [ 0.0.0.0/0 ::/0 ]; remote [ 0.0.0.0/0 ::/0 ]; } "
#define TUNNELS(one, other)                                                                                  \
	"zones { zone a { interfaces e0; host-inbound ike; } zone b { interfaces e1; } } "                   \
	"ike { proposal k { encryption aes128gcm16; dh-group ecp384; } "                                     \
	"peer p { proposals k; remote-address 192.0.2.1; pre-shared-key k; } "                               \
	"peer q { proposals k; remote-address 192.0.2.2; pre-shared-key k; start always; } } "               \
	"ipsec { proposal e { encryption aes128gcm16; } " one other "}"
#define SELECTED "tunnel u { peer q; zone a; proposals e; local 10.1.0.0/24; remote 10.2.0.0/24; } "

static void interfaces(void **state)
{
	struct snapshot *s = compiled(TUNNELS(ROUTED("t", "q", "st0.1"), SELECTED));
	const struct snap_tunnel *t = snap_tunnels(s);

	for (uint32_t i = 0; i < s->tunnels.count; i++)
		assert_string_equal(t[i].interface, strcmp(t[i].name, "t") == 0 ? "st0.1" : "");
	free(s);
	free(compiled(TUNNELS(ROUTED("t", "p", "st0.1"), ROUTED("u", "q", "st0.2"))));
}

static void refused(void **state)
{
	static const struct {
		const char *text, *says;
	} texts[] = {
		{ TUNNELS(ROUTED("t", "q", "e0"), ""), "interface e0 is one of a zone's interfaces" },
		{ TUNNELS(ROUTED("t", "q", "pg0"), ""), "found 'pg0', expected a name for a new interface" },
		{ TUNNELS(ROUTED("t", "q", "lo"), ""), "found 'lo', expected a name for a new interface" },
		{ TUNNELS(ROUTED("t", "q", "\"st 0\""), ""), "an interface's name is made of" },
		{ TUNNELS(ROUTED("t", "p", "st0.1"), ROUTED("u", "q", "st0.1")),
			"interface st0.1 is that of tunnel" },
		{ TUNNELS(ROUTED("t", "q", "st0.1"), ROUTED("u", "q", "st0.2")),
			"neither end could tell them apart" },
		{ TUNNELS(ROUTED("t", "p", "st0.1"),
			  ROUTED("u", "q",
				  "st0.2")) "policy { from a to b { rule r { match { source any; destination any; "
					    "application any; } then { permit; tunnel t; } } } }",
			"routes choose that tunnel" },
	};

	for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++) {
		void *block = NULL;
		struct model *m = NULL;
		struct err e = { 0 };
		size_t n;
		enum rc rc = model_load_text(texts[i].text, strlen(texts[i].text), "t", &m, &e);
		if (rc == RC_OK)
			rc = model_compile(m, 1, NULL, &block, &n, &e);
		if (rc == RC_OK || !strstr(e.text, texts[i].says))
			fail_msg("it does not say '%s': %s", texts[i].says, e.text);
		model_free(m);
		free(block);
	}
}

static void note(void *context, const char *text)
{
	strcat(context, text);
}

static void warnings(void **state)
{
	static const struct {
		const char *text, *says; /* "": nothing of tunnels */
	} texts[] = {
		{ TUNNELS(ROUTED("t", "q", "st0.1"), SELECTED), "" },
		{ TUNNELS(ROUTED("t", "p", "st0.1"), SELECTED), "let peer 'p' start always" },
	};

	for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++) {
		char all[4096] = "";
		struct snapshot *s = compiled(texts[i].text);
		snapshot_warnings(s, note, all);
		if (texts[i].says[0] ? !strstr(all, texts[i].says) : strstr(all, "tunnel '") != NULL)
			fail_msg("%s: %s", texts[i].says, all);
		free(s);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(interfaces),
		cmocka_unit_test(refused),
		cmocka_unit_test(warnings),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
