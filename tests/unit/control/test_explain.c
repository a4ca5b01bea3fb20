/* `vpn explain`: each step of a tunnel that does not hold, told from what the tables say. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "cli/explain.h"
#include "model/model.h"

static const char config[] =
	"zones { zone inside { interfaces lan0; } zone outside { interfaces wan0; host-inbound ike; } zone shut { interfaces dmz0; } zone vpn; }\n"
	"policy { from inside to vpn { rule out { match { source any; destination any; application any; } then { permit; } } } }\n"
	"ike { proposal p { encryption aes256gcm16; prf prfsha384; dh-group x25519; }\n"
	"  peer one { local-address 192.0.2.1; remote-address 203.0.113.1; local-id a.example; remote-id b.example; pre-shared-key k1; ppk q1; proposals p; }\n"
	"  peer two { local-address 192.0.2.9; remote-address 198.51.100.9; local-id a.example; remote-id c.example; pre-shared-key k2; proposals p; start never; }\n"
	"  peer lonely { local-address 192.0.2.77; remote-address 203.0.113.3; local-id a.example; remote-id d.example; pre-shared-key k3; proposals p; }\n"
	"  peer named { remote-address vpn.example.com; pre-shared-key k1; proposals p; }\n"
	"  peer branches { remote-address any; local-id a.example; remote-id *.branch.example; connections-limit 3; pre-shared-key k1; proposals p; }\n"
	"}\n"
	"ipsec { proposal p { encryption aes256gcm16; }\n"
	"  tunnel t1 { peer one; zone vpn; local 10.1.0.0/24; remote 10.2.0.0/24; proposals p; }\n"
	"  tunnel t2 { peer two; zone vpn; local 10.1.0.0/24; remote 10.3.0.0/24; proposals p; }\n"
	"  tunnel t4 { peer named; zone vpn; local 10.1.0.0/24; remote 10.4.0.0/24; proposals p; }\n"
	"  tunnel t3 { peer branches; zone vpn; local 10.1.0.0/24; remote 10.64.0.0/16; proposals p; }\n"
	"}\n";

/* What the tables say; a test changes one and asks. */
static const char *interfaces, *routes, *keys, *ike, *tunnels;
static void *snapshot;
static char said[8000];
static uint32_t faults;

static int setup(void **state)
{
	interfaces =
		"[{\"interface\":\"wan0\",\"state\":\"up\",\"addresses\":[\"192.0.2.1/24\",\"2001:db8::1/64\"]},"
		"{\"interface\":\"dmz0\",\"state\":\"down\",\"addresses\":[\"192.0.2.9/32\"]}]";
	routes =
		"[{\"prefix\":\"203.0.113.0/24\",\"interface\":\"gone0\",\"metric\":0,\"state\":\"uplink down\"},"
		"{\"prefix\":\"203.0.113.0/24\",\"interface\":\"wan0\",\"metric\":100},"
		"{\"prefix\":\"203.0.113.0/24\",\"interface\":\"wan1\",\"metric\":200},{\"prefix\":\"203.0.0.0/8\",\"interface\":\"dmz0\"},"
		"{\"prefix\":\"0.0.0.0/0\",\"interface\":\"dmz0\",\"table\":7}]";
	keys = "[{\"name\":\"k1\",\"kind\":\"pre-shared\",\"state\":\"loaded\"},{\"name\":\"q1\",\"kind\":\"post-quantum\",\"state\":\"loaded\"},"
	       "{\"name\":\"k2\",\"kind\":\"ed25519\",\"state\":\"loaded\"}]";
	ike = "[{\"peer\":\"one\",\"tunnels\":\"t1\",\"state\":\"established\",\"remote\":\"203.0.113.1:500\",\"algorithms\":\"x-ppk\",\"age_s\":7}]";
	tunnels =
		"[{\"tunnel\":\"t1\",\"state\":\"up\",\"sas\":1,\"packets_in\":5,\"packets_out\":6,\"unauthentic\":0,\"refused\":0},"
		"{\"tunnel\":\"t2\",\"state\":\"down\"}]";
	return 0;
}

static void take(void *context, const struct explain_step *step)
{
	size_t n = strlen(said);

	snprintf(said + n, sizeof said - n, "%c %s: %s -> %s\n", "+?-"[step->state], step -> step,
		step -> text, step -> mend);
}

static enum rc explain(const char *name, struct err *e)
{
	struct explain_tables t = { 0 };

#define E(member, table)                                                                                     \
	t.member = json_loads(member, 0, NULL);                                                              \
	assert_non_null(t.member);
	EXPLAIN_TABLES(E)
#undef E
	said[0] = '\0';
	faults = 0;
	enum rc rc = explain_peer(snapshot, name, &t, take, NULL, &faults, e);
#define E(member, table) json_decref(t.member);
	EXPLAIN_TABLES(E)
#undef E
	return rc;
}

static void says(const char *text)
{
	if (!strstr(said, text))
		fail_msg("expected \"%s\" in:\n%s", text, said);
}

static void all_is_well(void **state)
{
	struct err e = { 0 };

	assert_int_equal(explain("t1", &e), RC_OK);
	assert_int_equal(faults, 0);
	says("+ configuration: peer one: from 192.0.2.1 to 203.0.113.1, 1 tunnel (t1), started by traffic");
	says("+ route: 203.0.113.1 is reached by 203.0.113.0/24 through wan0"); /* the longest one in use, of the lowest metric */
	says("+ local-address: 192.0.2.1 is on wan0, which is up");
	says("+ host-inbound: zone outside lets IKE in");
	says("+ keys: k1.psk is loaded");
	says("+ keys: q1.ppk is loaded");
	says("+ IKE SA: established 7 s ago with 203.0.113.1:500, x-ppk");
	says("+ child SA: tunnel t1 is up with 1 pair of SAs");
	says("+ traffic: tunnel t1: 5 packets in, 6 out");
	says("? policy: no rule permits anything from zone vpn of tunnel t1 -> policy {");
}

static void what_is_missing_is_named(void **state)
{
	struct err e = { 0 };

	assert_int_equal(explain("two", &e), RC_OK);
	says("- route: there is no route to 198.51.100.9 ->"); /* the default route is of another table */
	says("- local-address: 192.0.2.9 is on dmz0, which is down -> bring the link up");
	says("- host-inbound: zone shut does not let IKE in: only this side can start -> zones { zone shut {");
	says("- keys: there is no key k2.psk -> "); /* k2 is a key of another kind */
	says("- IKE SA: no IKE SA: the peer has not begun");
	says("- child SA: tunnel t2 is down -> ");
	assert_int_equal(faults, 6);
	assert_int_equal(explain("lonely", &e), RC_OK);
	says("- configuration: no tunnel has the peer 'lonely' -> add: ipsec");
	says("- local-address: no interface of a zone has the address 192.0.2.77 ->");
	keys = "[{\"name\":\"k3\",\"kind\":\"\",\"state\":\"refused\",\"error\":\"it is empty\"}]";
	interfaces = routes = ike = tunnels = "[]";
	assert_int_equal(explain("lonely", &e), RC_OK);
	says("- keys: key k3.psk is refused: it is empty ->");
	assert_int_equal(explain("lonly", &e), RC_NOT_FOUND);
	assert_non_null(strstr(e.text, "no peer or tunnel 'lonly'"));
}

/* The name, what DNS said of it last, and what is wrong with it; the route is that of the address that is tried next. */
static void a_peer_by_name(void **state)
{
	struct err e = { 0 };

	(void)state;
	ike = "[{\"peer\":\"named\",\"tunnels\":\"t4\",\"state\":\"down\",\"remote\":\"203.0.113.7\",\"name\":\"vpn.example.com\","
	      "\"name_addresses\":\"2001:db8::7 203.0.113.7\",\"name_answered_s\":9,\"name_error\":\"\",\"reason\":\"being set up\"}]";
	assert_int_equal(explain("t4", &e), RC_OK);
	says("+ configuration: peer named: from the address of the route to vpn.example.com, 1 tunnel (t4)");
	says("+ name: vpn.example.com is 2001:db8::7 203.0.113.7, as DNS said 9 s ago");
	says("+ route: 203.0.113.7 is reached by 203.0.113.0/24 through wan0");
	ike = "[{\"peer\":\"named\",\"tunnels\":\"t4\",\"state\":\"established\",\"remote\":\"203.0.113.7:500\",\"name\":\"vpn.example.com\","
	      "\"name_addresses\":\"203.0.113.7\",\"name_answered_s\":99,\"name_error\":\"no answer from the name servers\"}]";
	assert_int_equal(explain("t4", &e), RC_OK);
	says("? name: vpn.example.com had 203.0.113.7 99 s ago; the last question failed: no answer from the name servers -> /etc/resolv.conf");
	says("+ route: 203.0.113.7 is reached by 203.0.113.0/24 through wan0");
	ike = "[{\"peer\":\"named\",\"tunnels\":\"t4\",\"state\":\"down\",\"remote\":\"\",\"name\":\"vpn.example.com\",\"name_addresses\":\"\","
	      "\"name_error\":\"the name does not exist\",\"reason\":\"no address of vpn.example.com is known: the name does not exist\"}]";
	assert_int_equal(explain("t4", &e), RC_OK);
	says("- name: no address of vpn.example.com is known: the name does not exist -> mend remote-address");
	says("- IKE SA: down: no address of vpn.example.com is known: the name does not exist -> remote-address of the peer");
}

static void a_failure_says_what_to_change(void **state)
{
	static const struct {
		const char *reason, *mend;
	} cases[] = {
		{ "no answer from 203.0.113.1:500 to IKE_SA_INIT", "-> remote-address;" },
		{ "the peer refused the request: NO_PROPOSAL_CHOSEN", "-> the proposals of peer and tunnel" },
		{ "the peer refused: TS_UNACCEPTABLE", "-> local and remote of the tunnel" },
		{ "AUTHENTICATION_FAILED", "-> the key of the peer, and local-id" },
		{ "terminated by an administrator", "-> plaingate vpn up" },
		{ "no answer yet from 203.0.113.1:4500 to IKE_AUTH, sent 4 times",
			"-> vpn explain at the peer" },
		{ "authentication failed: certifier-openssl: a certificate of the chain is revoked",
			"-> the peer needs another certificate" },
		{ "authentication could not be completed here: certifier-gnutls: no valid CRL of an authority of the chain is there",
			"-> show pki says what is wrong with the authority's CRL" },
		{ "authentication failed: certifier-openssl: the certificate does not have the identity that is expected",
			"-> remote-id of the peer, which must be a name in its certificate" },
		{ "we cannot authenticate ourselves to the peer: the first certificate of 'hq.crt' is not that of our key hq.pem",
			"-> install the certificate that was issued for this key" },
	};
	char rows[600];
	struct err e = { 0 };

	for (size_t i = 0; i < COUNT_OF(cases); i++) {
		snprintf(rows, sizeof rows,
			"[{\"peer\":\"one\",\"tunnels\":\"t1\",\"state\":\"down\",\"reason\":\"%s\",\"refused\":\"IKE proposal: no common PRF\","
			"\"refused_s\":9,\"offered\":\"X\",\"configured\":\"Y\"}]",
			cases[i].reason);
		ike = rows;
		assert_int_equal(explain("one", &e), RC_OK);
		says(cases[i].reason);
		says(cases[i].mend);
		says("? refused: 9 s ago the peer was refused: IKE proposal: no common PRF; it offered X; configured is Y -> ike { peer }");
	}
	ike = "[{\"peer\":\"one\",\"tunnels\":\"\",\"state\":\"IKE_SA_INIT sent\",\"reason\":\"no answer yet from X\"},"
	      "{\"peer\":\"one\",\"tunnels\":\"t1\",\"state\":\"down\",\"reason\":\"being set up\"}]";
	tunnels =
		"[{\"tunnel\":\"t1\",\"state\":\"up\",\"sas\":2,\"packets_in\":0,\"packets_out\":6,\"unauthentic\":3,\"refused\":4}]";
	assert_int_equal(explain("one", &e), RC_OK);
	says("- IKE SA: IKE_SA_INIT sent: no answer yet from X ->");
	says("? traffic: tunnel t1: 3 packets were not authentic");
	says("? traffic: tunnel t1: 4 packets came whose addresses are not its networks'");
	says("? traffic: tunnel t1: 6 packets were sent and none came back");
	/* What the gateway sends may lack anything. */
	interfaces = routes = keys = ike = tunnels =
		"[{}, {\"peer\":7,\"addresses\":[1]}, {\"tunnel\":\"t1\",\"peer\":\"one\"}]";
	assert_int_equal(explain("one", &e), RC_OK);
}

static void identities_of_a_template(void **state)
{
	struct err e = { 0 };

	ike = "[{\"peer\":\"branches\",\"identity\":\"x.branch.example\",\"state\":\"established\",\"remote\":\"203.0.113.9:4500\",\"algorithms\":\"y\",\"age_s\":7},"
	      "{\"peer\":\"branches\",\"identity\":\"z.branch.example\",\"state\":\"established\",\"age_s\":8},"
	      "{\"peer\":\"branches\",\"tunnels\":\"t3\",\"state\":\"template\",\"refused\":\"child SA: 10.64.1.0/24 is in use by 'x.branch.example'\",\"refused_s\":9}]";
	assert_int_equal(explain("branches", &e), RC_OK);
	says("+ IKE SA: of at most 3 identities 2 have an IKE SA: x.branch.example, z.branch.example");
	says("? refused: 9 s ago the peer was refused: child SA: 10.64.1.0/24 is in use by 'x.branch.example'");
	assert_int_equal(explain("x.branch.example", &e), RC_OK);
	says("+ IKE SA: x.branch.example established one 7 s ago from 203.0.113.9:4500, y");
	assert_int_equal(explain("w.branch.example", &e), RC_OK);
	says("- IKE SA: w.branch.example has none; 2 other identities use peer branches, whose connections-limit is 3 -> that gateway begins it");
	assert_int_equal(explain("w.branches.example", &e), RC_NOT_FOUND);
	ike = "[]";
	assert_int_equal(explain("t3", &e), RC_OK);
	says("- IKE SA: of at most 3 identities 0 have an IKE SA -> its gateways begin it");
}

int main(void)
{
#define T(f) cmocka_unit_test_setup(f, setup)
	const struct CMUnitTest tests[] = { T(all_is_well), T(what_is_missing_is_named), T(a_peer_by_name),
		T(a_failure_says_what_to_change), T(identities_of_a_template) };
	struct faults found;
	struct err e = { 0 };
	size_t bytes;

	if (model_read(config, sizeof config - 1, "explain.conf", 0, NULL, &snapshot, &bytes, &found, &e) !=
		RC_OK) {
		fprintf(stderr, "%s\n", e.text);
		return 1;
	}
	int failed = cmocka_run_group_tests(tests, NULL, NULL);
	free(snapshot);
	model_done();
	return failed;
}
