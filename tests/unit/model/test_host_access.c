/* What a configuration means for the gateway itself: open, or closed to the connection that a commit comes
 * by. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "compiled.h"
#include "model/model.h"
#include "model/host_access.h"

#define PERMIT(from, to)                                                                                     \
	"policy { from " from " to " to                                                                      \
	" { rule r { match { source any; destination any; application any; } "                               \
	"then { permit; } } } }"

#define GLOBAL(action)                                                                                       \
	"policy { global { rule r { match { source any; destination any; application any; } then { " action  \
	"; } } } }"

static void is_closed(const char *text, const char *why)
{
	struct snapshot *s = compiled(text);
	struct err e = { 0 };

	assert_int_equal(snapshot_check_not_closed(s, "t", &e), RC_DENIED);
	assert_non_null(strstr(e.text, why));
	free(s);
}

static void what_closes_all(void **state)
{
	static const char *const nothing[] = { "", "\n\n", "# nothing but a comment\n", "/* another */",
		"system { host-name hq; }", "zones;", "zones { zone a; zone b { host-inbound ssh; } }",
		"zones { zone a; }" GLOBAL("deny") };
	/* Texts whose later part is gone, and what only seems to permit something. */
	static const char *const denied[] = { "zones { zone a { interfaces e0; } }",
		"zones { zone a { interfaces e0; host-inbound-log; } zone b { interfaces e1; } }",
		"zones { zone a { interfaces e0; } zone b { host-inbound ssh; } }",
		"zones { zone a { interfaces e0; } zone b; }" PERMIT("a", "b"),
		"zones { zone a { interfaces e0; } }" GLOBAL("reject") };
	static const char *const something[] = { "zones { zone a { interfaces e0; host-inbound ping; } }",
		"zones { zone a; zone b { interfaces not-there; host-inbound ping; } }",
		"zones { zone a { interfaces e0; } zone b { interfaces e1; } }" PERMIT("a", "b"),
		"zones { zone a { interfaces e0; } }" GLOBAL("permit") };

	for (size_t i = 0; i < COUNT_OF(nothing); i++)
		is_closed(nothing[i], "t: no zone has an interface");
	for (size_t i = 0; i < COUNT_OF(denied); i++)
		is_closed(denied[i], "t: no rule permits anything");
	for (size_t i = 0; i < COUNT_OF(something); i++) {
		struct snapshot *s = compiled(something[i]);
		assert_int_equal(snapshot_check_not_closed(s, "t", NULL), RC_OK);
		free(s);
	}
}

#define VPN(remote, service)                                                                                 \
	"zones { zone lan { interfaces lan0; host-inbound ssh; } zone wan { interfaces wan0; host-inbound "  \
	"ike; }"                                                                                             \
	" zone vpn { host-inbound " service "; } } "                                                         \
	"ike { proposal p { encryption aes256gcm16; prf prfsha384; dh-group x25519; } "                      \
	"peer b { remote-address 203.0.113.2; pre-shared-key b; proposals p; } } "                           \
	"ipsec { proposal p { encryption aes256gcm16; } "                                                    \
	"tunnel b { peer b; zone vpn; local 10.1.0.0/24; remote " remote "; proposals p; } }"

/* A tunnel to everywhere in front of it, by which the host's packets to 10.2.0.0/24 do not go. */
#define TWO(service)                                                                                         \
	"zones { zone lan { interfaces lan0; host-inbound ssh; } zone wan { interfaces wan0; host-inbound "  \
	"ike; }"                                                                                             \
	" zone all; zone vpn { host-inbound " service "; } } "                                               \
	"ike { proposal p { encryption aes256gcm16; prf prfsha384; dh-group x25519; } "                      \
	"peer a { remote-address 203.0.113.9; pre-shared-key a; proposals p; } "                             \
	"peer b { remote-address 203.0.113.2; pre-shared-key b; proposals p; } } "                           \
	"ipsec { proposal p { encryption aes256gcm16; } "                                                    \
	"tunnel a { peer a; zone all; local 10.1.0.0/24; remote 0.0.0.0/0; proposals p; } "                  \
	"tunnel b { peer b; zone vpn; local 10.1.0.0/24; remote 10.2.0.0/24; proposals p; } }"

#define ONE(zone_of_lan)                                                                                     \
	"zones { zone lan { " zone_of_lan " } zone wan { interfaces wan0; host-inbound [ ike https ]; } }"

static const struct {
	const char *what, *now, *next, *interface, *remote;
	uint16_t port;
	const char *why; /* NULL: it goes on */
	bool own;	 /* the host began it */
} cases[] = {
	{ "nothing changes", ONE("interfaces lan0; host-inbound ssh;"),
		ONE("interfaces lan0; host-inbound ssh;"), "lan0", "10.1.0.2", 22, NULL },
	{ "ssh is closed", ONE("interfaces lan0; host-inbound ssh;"),
		ONE("interfaces lan0; host-inbound ping;"), "lan0", "10.1.0.2", 22,
		"zone 'lan' does not open TCP port 22" },
	{ "ssh is open to others alone", ONE("interfaces lan0; host-inbound ssh;"),
		"address-book { address x { prefix 10.1.0.3; } } " ONE(
			"interfaces lan0; host-inbound ssh { from x; }"),
		"lan0", "10.1.0.2", 22, "zone 'lan' does not open TCP port 22 of the host to 10.1.0.2" },
	{ "ssh is open to this one", ONE("interfaces lan0; host-inbound ssh;"),
		"address-book { address x { prefix 10.1.0.2; } } " ONE(
			"interfaces lan0; host-inbound ssh { from x; }"),
		"lan0", "10.1.0.2", 22, NULL },
	{ "ssh has another port", ONE("interfaces lan0; host-inbound tcp/2222;"),
		ONE("interfaces lan0; host-inbound tcp/2200-2300;"), "lan0", "10.1.0.2", 2222, NULL },
	{ "IPv6 alike", ONE("interfaces lan0; host-inbound ssh;"), ONE("interfaces lan0; host-inbound ping;"),
		"lan0", "fd00:1::2", 22, "zone 'lan' does not open TCP port 22" },
	{ "ssh stays, in another zone", ONE("interfaces lan0; host-inbound ssh;"),
		"zones { zone other { interfaces lan0; host-inbound ssh; } }", "lan0", "10.1.0.2", 22, NULL },
	{ "ssh stays, where the connection is not", ONE("interfaces lan0; host-inbound ssh;"),
		"zones { zone lan { interfaces lan0; } zone mgmt { interfaces e9; host-inbound ssh; } }",
		"lan0", "10.1.0.2", 22, "zone 'lan' does not open TCP port 22" },
	{ "the interface leaves its zone", ONE("interfaces lan0; host-inbound ssh;"),
		ONE("host-inbound ssh;"), "lan0", "10.1.0.2", 22, "interface lan0 is in no zone" },
	{ "another service than ssh", ONE("interfaces lan0; host-inbound ssh;"),
		"zones { zone wan { interfaces wan0; host-inbound ssh; } }", "wan0", "192.0.2.9", 443,
		"zone 'wan' does not open TCP port 443" },
	{ "the first configuration", "", ONE("interfaces lan0; host-inbound ping;"), "lan0", "10.1.0.2", 22,
		"zone 'lan' does not open TCP port 22" },
	{ "a port that no service has", "", ONE("interfaces lan0; host-inbound ssh;"), "lan0", "10.1.0.2",
		2222, "zone 'lan' does not open TCP port 2222" },
	{ "everything is closed", ONE("interfaces lan0; host-inbound ssh;"), "", "lan0", "10.1.0.2", 22,
		"interface lan0 is in no zone" },
	{ "of the host to itself", ONE("interfaces lan0; host-inbound ssh;"), ONE("interfaces lan0;"), "lo",
		"127.0.0.1", 22, NULL },
	{ "the host's own connection to somebody", "", ONE("interfaces lan0;"), "lan0", "10.1.0.2", 33000,
		NULL, true },
	{ "to a service on one of the host's own ports", ONE("interfaces lan0; host-inbound tcp/33000;"),
		ONE("interfaces lan0;"), "lan0", "10.1.0.2", 33000,
		"zone 'lan' does not open TCP port 33000" },
	{ "not understood: it does not pass today either", ONE("interfaces lan0;"), ONE("interfaces lan0;"),
		"lan0", "10.1.0.2", 22, NULL },
	{ "the way is not known, ssh is open somewhere", ONE("interfaces lan0; host-inbound ssh;"),
		ONE("interfaces e5; host-inbound ssh;"), "", "fe80::2", 22, NULL },
	{ "the way is not known, ssh is open nowhere", ONE("interfaces lan0; host-inbound ssh;"),
		ONE("interfaces lan0; host-inbound ping;"), "", "fe80::2", 22, "no zone opens TCP port 22" },
	{ "through a tunnel, which stays", VPN("10.2.0.0/24", "ssh"), VPN("10.2.0.0/16", "ssh"), TUN_NAME,
		"10.2.0.2", 22, NULL },
	{ "through a tunnel whose zone closes ssh", VPN("10.2.0.0/24", "ssh"), VPN("10.2.0.0/24", "ping"),
		TUN_NAME, "10.2.0.2", 22, "zone 'vpn' does not open TCP port 22" },
	{ "through the narrower of two tunnels, whose zone closes ssh", TWO("ssh"), TWO("ping"), TUN_NAME,
		"10.2.0.2", 22, "zone 'vpn' does not open TCP port 22" },
	{ "through the narrower of two tunnels, which stays", TWO("ssh"), TWO("[ ssh ping ]"), TUN_NAME,
		"10.2.0.2", 22, NULL },
	{ "through a tunnel that goes", VPN("10.2.0.0/24", "ssh"), ONE("interfaces lan0; host-inbound ssh;"),
		TUN_NAME, "10.2.0.2", 22, "no tunnel has 10.2.0.2 among its remote networks" },
	{ "answers would go into a tunnel", VPN("10.2.0.0/24", "ssh"), VPN("0.0.0.0/0", "ssh"), "lan0",
		"10.9.0.2", 22, "would go into tunnel 'b'" },
	{ "a tunnel to everywhere keeps its own side", VPN("10.2.0.0/24", "ssh"), VPN("0.0.0.0/0", "ssh"),
		"lan0", "10.1.0.2", 22, NULL },
};

static void connections(void **state)
{
	for (size_t i = 0; i < COUNT_OF(cases); i++) {
		struct snapshot *now = compiled(cases[i].now), *next = compiled(cases[i].next);
		struct host_connection c = { .local_port = cases[i].port, .accepted = !cases[i].own };
		struct err e = { 0 };
		enum rc rc;

		assert_int_equal(addr_parse(&c.remote, cases[i].remote), RC_OK);
		snprintf(c.interface, sizeof c.interface, "%s", cases[i].interface);
		rc = snapshot_keeps_connection(now, next, &c, &e);
		if ((rc != RC_OK) != (cases[i].why != NULL) ||
			!strstr(e.text, cases[i].why ? cases[i].why : ""))
			fail_msg("%s: %s", cases[i].what, e.text[0] ? e.text : "it goes on");
		if (rc)
			assert_non_null(strstr(e.text, "--cut-off"));
		c.remote.family = ADDR_NONE; /* at the console */
		assert_int_equal(snapshot_keeps_connection(now, next, &c, NULL), RC_OK);
		free(now);
		free(next);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_closes_all),
		cmocka_unit_test(connections),
	};
	int failed = cmocka_run_group_tests(tests, NULL, NULL);
	model_done();
	return failed;
}
