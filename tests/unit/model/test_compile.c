/*
 * What the compiler makes of a text, record by record; and what it refuses that YANG cannot say.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "compiled.h"
#include "model/model.h"
#include "model/warnings.h"
#include "sample.h"

static const char *range_str(const struct snapshot *s, uint32_t i)
{
	static char text[RANGE_TEXT_MAX];
	return range_text(text, &snap_ranges(s)[i]);
}

static void empty_text_denies_all(void **state)
{
	struct snapshot *s = compiled("");

	assert_int_equal(s->generation, 7);
	assert_int_equal(s->text_sha256[2], 3);
	assert_string_equal(s->host_name, "plaingate");
	assert_int_equal(s->zones.count + s->rules.count + s->nat_rules.count + s->tunnels.count, 0);
	assert_int_equal(s->nat_port_first, 40960);
	assert_int_equal(s->nat_port_last, 65535);
	assert_int_equal(s->host_port_first, 32768);
	assert_int_equal(s->host_port_last, 40959);
#define E(id, word, seconds) assert_int_equal(s->timeout_s[TIMEOUT_##id], seconds);
	SESSION_TIMEOUTS(E)
#undef E
	assert_int_equal(s->algs, 0);
	free(s);
	s = compiled("system { alg { ftp; tftp; } }");
	assert_int_equal(s->algs, ALG_FTP | ALG_TFTP);
	free(s);
}

static void example_zones_and_rules(void **state)
{
	char *text = sample_from_docs(0);
	struct snapshot *s = compiled(text);
	const struct snap_zone *z = snap_zones(s);
	const struct snap_rule *r = snap_rules(s);
	const struct snap_service *v;

	assert_int_equal(s->zones.count, 3);
	assert_string_equal(z[1].name, "untrust");
	assert_int_equal(z[1].host_services.count, 5); /* ike and ping */
	assert_int_equal(s->interfaces.count, 2);
	assert_string_equal(snap_interfaces(s)[1].name, "wan0");
	assert_int_equal(snap_interfaces(s)[1].zone, 1);

	assert_int_equal(s->rules.count, 5);
	assert_string_equal(r[0].name, "to-branch");
	assert_int_equal(r[0].from_zone, 0);
	assert_int_equal(r[0].to_zone, 2);
	assert_int_equal(r[0].action, RULE_PERMIT);
	assert_int_equal(r[0].flags, RULE_LOG_CLOSE | RULE_COUNT);
	assert_int_equal(r[0].src.count, 1);
	assert_string_equal(range_str(s, r[0].src.first), "10.1.0.0/24");
	assert_string_equal(range_str(s, r[0].dst.first), "10.2.0.0/24");
	/* office: ping of both families, http, https, intranet; sorted by protocol and port */
	assert_int_equal(r[0].services.count, 5);
	v = &snap_services(s)[r[0].services.first];
	assert_int_equal(v[0].proto, 1);
	assert_int_equal(v[0].dst_first, 8);
	for (uint32_t i = 0; i < 5; i++)
		assert_int_equal(v[i].timeout_s, v[i].dst_first == 8000 ? 3600 : 0);
	/* rules that name one object share its span */
	assert_int_equal(r[0].src.first, r[1].dst.first);

	assert_string_equal(r[4].name, "rest");
	assert_int_equal(r[4].from_zone, ZONE_ANY);
	assert_int_equal(r[4].to_zone, ZONE_ANY);
	assert_int_equal(r[4].src.count + r[4].dst.count + r[4].services.count, 0);
	assert_int_equal(r[2].action, RULE_REJECT);

	assert_int_equal(s->nat_rules.count, 1);
	assert_int_equal(snap_nat_rules(s)[0].action, NAT_INTERFACE);
	assert_int_equal(snap_nat_rules(s)[0].to_zone, 1);
	free(s);
	free(text);
}

static void example_vpn(void **state)
{
	char *text = sample_from_docs(0);
	struct snapshot *s = compiled(text);
	const struct snap_peer *p = snap_peers(s);
	const struct snap_ike_proposal *k = snap_ike_proposals(s);
	const struct snap_esp_proposal *x = snap_esp_proposals(s);
	const struct snap_tunnel *t = snap_tunnels(s);

	assert_int_equal(s->peers.count, 1);
	assert_int_equal(p->auth, PEER_AUTH_PSK);
	assert_string_equal(p->key_name, "hq-branch");
	assert_int_equal(p->remote_id.type, ID_FQDN);
	assert_memory_equal(p->remote_id.data, "branch.example.net", p->remote_id.len);
	assert_int_equal(p->start, PEER_START_ALWAYS);
	assert_int_equal(p->proposals.count, 2);
	assert_int_equal(k[0].encr, ENCR_AES_GCM_16);
	assert_int_equal(k[0].encr_bits, 256);
	assert_int_equal(k[0].prf, PRF_HMAC_SHA2_384);
	assert_int_equal(k[0].dh, DH_CURVE25519);
	assert_int_equal(k[1].encr, ENCR_CHACHA20_POLY1305);
	assert_int_equal(k[1].prf, PRF_HMAC_SHA2_256);
	assert_int_equal(p->dpd_s, 30);
	assert_int_equal(p->fragment_size, 1280);

	assert_int_equal(s->tunnels.count, 1);
	assert_int_equal(t->zone, 2);
	assert_int_equal(t->flags, TUNNEL_PFS);
	assert_int_equal(t->replay_window, 1024);
	assert_int_equal(t->local.count, 1);
	assert_int_equal(t->remote.count, 1);
	assert_int_equal(x[0].dh, DH_CURVE25519);
	assert_int_equal(x[0].esn, 2);
	assert_int_equal(snap_selectors(s)[t->remote.first].port_last, UINT16_MAX);
	free(s);
	free(text);
}

#define ZONE	    "zones { zone a; } "
#define RULE(match) "policy { from a to a { rule r { match { " match " } then { deny; } } } } "

static void sets_are_unions(void **state)
{
	struct snapshot *s = compiled(
		ZONE "address-book { address x { prefix [ 10.0.1.0/24 2001:db8::/33 ]; }"
		     "address y { range 10.0.2.0-10.0.3.7; } address z { prefix 10.0.1.128/25; }"
		     "address top { range 255.255.255.0-255.255.255.255; }"
		     "address-set in { address [ x y ]; } address-set out { address [ top z ];"
		     "address-set in; } }" RULE("source out; destination [ x y z ]; application any;"));
	const struct snap_rule *r = snap_rules(s);

	assert_int_equal(r->src.count, 3);
	assert_string_equal(range_str(s, r->src.first), "10.0.1.0-10.0.3.7"); /* adjacent ones are joined */
	assert_string_equal(range_str(s, r->src.first + 1), "255.255.255.0/24");
	assert_string_equal(range_str(s, r->src.first + 2), "2001:db8::/33");
	assert_int_equal(r->dst.count, 2);
	free(s);
}

/* A rule's timeout stands in the rule; without one it is 0. */
static void timeout_of_a_rule(void **state)
{
#define THEN(then)                                                                                             \
	"policy { from a to a { rule r { match { source any; destination any; application any; } then { " then \
	" } } } }"
	struct snapshot *s = compiled(ZONE THEN("permit; timeout 90;"));

	assert_int_equal(snap_rules(s)[0].timeout_s, 90);
	assert_int_equal(snap_rules(s)[0].sessions_max, 0);
	assert_int_equal(snap_zones(s)[0].flags | snap_zones(s)[0].sessions_max, 0);
	free(s);
	s = compiled(
		"zones { zone a { interfaces i0; tcp-loose; session-limit { total 9; source 2; destination 3; } } }" THEN(
			"permit; session-limit 7;"));
	assert_int_equal(snap_rules(s)[0].sessions_max, 7);
	assert_int_equal(snap_zones(s)[0].sessions_max, 9);
	assert_int_equal(snap_zones(s)[0].source_sessions_max, 2);
	assert_int_equal(snap_zones(s)[0].destination_sessions_max, 3);
	assert_int_equal(snap_zones(s)[0].flags, ZONE_TCP_LOOSE);
	free(s);
	s = compiled(ZONE THEN("permit;"));
	assert_int_equal(snap_rules(s)[0].timeout_s, 0);
	free(s);
#undef THEN
}

/* In the text, or of the names of zones and rule. */
static void identifiers_of_rules(void **state)
{
#define R(name, more)                                                                                        \
	"rule " name " { " more " match { source any; destination any; application any; } then { deny; } } "
	struct snapshot *s = compiled("zones { zone a; zone b; } policy { from a to b { " R("x", "id 101;")
			R("y", "description \"why it is here\";") "} from b to a { " R(
				"y", "") "} global { " R("y", "") "} }");
	const struct snap_rule *r = snap_rules(s);
	char text[RULE_ID_TEXT_MAX];

	assert_string_equal(snap_rule_id_text(text, r[0].id), "101");
	assert_string_equal(snap_text(s, r[0].description), "");
	assert_string_equal(snap_text(s, r[1].description), "why it is here");
	assert_true(r[1].id == snap_rule_id_of("a", "b", "y") && r[2].id == snap_rule_id_of("b", "a", "y") &&
		    r[3].id == snap_rule_id_of("any", "any", "y"));
	assert_int_equal(strlen(snap_rule_id_text(text, r[1].id)), 16);
	assert_true(r[1].id != r[2].id && r[2].id != r[3].id);
	free(s);
#undef R
}

static void services_of_the_gateway(void **state)
{
	struct snapshot *s = compiled(
		"address-book { address x { prefix [ 10.0.1.0/24 2001:db8::/33 ]; } address y { prefix "
		"10.0.3.0/24; } address-set z { address [ x y ]; } } zones { zone a { host-inbound [ dns "
		"tcp/2222 udp/9100-9200 ]; host-inbound ssh { from z; } host-inbound https { from any; } } "
		"zone b; zone c { host-inbound vrrp { } } }");
	const struct snap_zone *zones = snap_zones(s);
	const struct snap_host_service *v = snap_host_services(s);
	struct ip_addr in, out;

	assert_int_equal(zones[0].host_services.count, 6); /* dns is two */
	assert_int_equal(zones[1].host_services.count, 0);
	assert_int_equal(zones[2].host_services.first, 6);
	assert_int_equal(v[6].proto, 112);
	assert_int_equal(v[3].proto, 17);
	assert_int_equal(v[3].first, 9100);
	assert_int_equal(v[3].last, 9200);
	assert_int_equal(v[4].from.count, 3);
	assert_int_equal(v[5].from.count, 0);
	assert_int_equal(addr_parse(&in, "2001:db8:1::1"), RC_OK);
	assert_int_equal(addr_parse(&out, "10.0.2.255"), RC_OK);
	assert_true(snap_zone_opens(s, 0, 6, 22, &in));
	assert_false(snap_zone_opens(s, 0, 6, 22, &out));
	assert_true(snap_zone_opens(s, 0, 6, 53, &out) && snap_zone_opens(s, 0, 17, 53, &in));
	assert_true(snap_zone_opens(s, 0, 6, 2222, &out) && !snap_zone_opens(s, 0, 17, 2222, &out));
	assert_true(snap_zone_opens(s, 0, 17, 9200, &out) && !snap_zone_opens(s, 0, 17, 9201, &out));
	assert_false(snap_zone_opens(s, 1, 6, 22, &in));
	assert_true(snap_zone_opens(s, 2, 112, 0, &in) && !snap_zone_opens(s, 2, 89, 0, &in));
	free(s);
}

static void own_application_replaces_built_in(void **state)
{
	struct snapshot *s = compiled(ZONE
		"applications { application http { protocol tcp; destination-port 8080; source-port 1-9; }"
		"application e { protocol icmp6; icmp-type 128; } application g { protocol 47; } }" RULE(
			"source any; destination any; application [ http e g ];"));
	const struct snap_service *v = &snap_services(s)[snap_rules(s)->services.first];

	assert_int_equal(snap_rules(s)->services.count, 3);
	assert_int_equal(v[0].proto, 6);
	assert_int_equal(v[0].dst_first, 8080);
	assert_int_equal(v[0].dst_last, 8080);
	assert_int_equal(v[0].src_last, 9);
	assert_int_equal(v[1].proto, 47);
	assert_int_equal(v[1].dst_last, UINT16_MAX);
	assert_int_equal(v[2].proto, 58);
	assert_int_equal(v[2].dst_first, 128);
	free(s);
}

static void nat_persistent(void **state)
{
	struct snapshot *s = compiled(
		"nat { source { rule a { then { source-nat interface; ports 50000-50999; persistent-nat "
		"address-and-port-dependent; persistent-nat-timeout 600; } } rule b { then { source-nat 192.0.2.7; "
		"persistent-nat address-and-port-dependent; } } rule c { then { source-nat interface; } } rule d { then "
		"{ source-nat off; } } } }");
	const struct snap_nat_rule *r = snap_nat_rules(s);

	(void)state;
	assert_int_equal(r[0].filtering, NAT_FILTER_ADDRESS_AND_PORT_DEPENDENT);
	assert_int_equal(r[0].binding_timeout_s, 600);
	assert_int_equal(r[0].bindings_max, 2048);
	assert_int_equal(r[0].port_first, 50000);
	assert_int_equal(r[0].port_last, 50999);
	assert_int_equal(r[1].binding_timeout_s, 300);
	assert_int_equal(r[1].port_first, 40960);
	assert_int_equal(r[1].port_last, 65535);
	assert_int_equal(r[2].filtering, NAT_NOT_PERSISTENT);
	assert_int_equal(r[2].bindings_max, 0);
	assert_int_equal(r[3].port_last, 0);
	free(s);
}

static void nat_pool_options(void **state)
{
	struct snapshot *s = compiled(
		"nat { source { rule a { then { source-nat 192.0.2.0/28; host-address-base 10.1.0.16/28; } } rule b { "
		"then { source-nat 192.0.2.0/28; port-no-translation; } } rule c { then { source-nat interface; "
		"port-parity; } } } }");
	const struct snap_nat_rule *r = snap_nat_rules(s);

	(void)state;
	assert_int_equal(r[0].flags, NAT_KEEP_PORT | NAT_MAP_PREFIX);
	assert_int_equal(r[0].base.first.b[3], 16);
	assert_int_equal(r[0].base.last.b[3], 31);
	assert_int_equal(r[0].pool.last.b[3], 15);
	assert_int_equal(r[1].flags, NAT_KEEP_PORT);
	assert_int_equal(r[2].flags, NAT_KEEP_PARITY);
	free(s);
}

static void destination_nat(void **state)
{
	struct snapshot *s = compiled(
		"zones { zone z { interfaces [ e0 e1 ]; } } address-book { address x { prefix 203.0.113.7; } }"
		"applications { application many { protocol tcp; destination-port 8000-8009; } }"
		"nat { destination { rule a { from z; match { source x; destination x; application [ http many ]; }"
		"then { destination-nat 10.0.0.1-10.0.0.3; port 80; } }"
		"rule b { match { destination-interface [ e1 e0 ]; } then { destination-nat off; } }"
		"rule c { match { destination-interface e1; application many; }"
		"then { destination-nat 2001:db8::1; port 1000-1009; } } }"
		"static { rule d { from z; match { destination 203.0.113.16/28; } then { static-nat 10.0.0.32/28; } } } }");
	const struct snap_dnat_rule *r = snap_dnat_rules(s);
	char text[RANGE_TEXT_MAX];

	assert_int_equal(s->dnat_rules.count, 4);
	assert_string_equal(r[0].name, "d"); /* static rules first, wherever they stand */
	assert_int_equal(r[0].action, DNAT_STATIC);
	assert_string_equal(range_text(text, &snap_ranges(s)[r[0].dst.first]), "203.0.113.16/28");
	assert_string_equal(range_text(text, &r[0].to), "10.0.0.32/28");
	assert_int_equal(r[1].action, DNAT_SERVERS);
	assert_int_equal(r[1].from_zone, 0);
	assert_int_equal(r[1].services.count, 2);
	assert_int_equal(r[1].port_first, 80);
	assert_int_equal(r[1].port_last, 80);
	assert_string_equal(range_text(text, &r[1].to), "10.0.0.1-10.0.0.3");
	assert_int_equal(r[2].action, DNAT_OFF);
	assert_int_equal(r[2].from_zone, ZONE_ANY);
	assert_int_equal(r[2].interfaces, 3);
	assert_int_equal(r[3].interfaces, 2);
	assert_int_equal(r[3].port_last, 1009);
	free(s);
}

#define PEER(rest)                                                                                           \
	"ike { proposal k { encryption aes128gcm16; dh-group ecp384; } peer p { proposals k; " rest " } }"

static void identities(void **state)
{
	static const struct {
		const char *text;
		uint8_t type, len;
		const char *data;
	} cases[] = {
		{ "hq.example.net", ID_FQDN, 14, "hq.example.net" },
		{ "a@example.net", ID_RFC822, 13, "a@example.net" },
		{ "192.0.2.1", ID_IPV4, 4, "\xc0\x00\x02\x01" },
		{ "2001:db8::1", ID_IPV6, 16, "\x20\x01\x0d\xb8\0\0\0\0\0\0\0\0\0\0\0\1" },
		{ "keyid:c0ffee", ID_KEY_ID, 3, "\xc0\xff\xee" },
	};

	for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
		char text[400];
		struct snapshot *s;
		const struct snap_peer *p;

		snprintf(text, sizeof text, PEER("remote-address any; remote-id %s; pre-shared-key k;"),
			cases[i].text);
		s = compiled(text);
		p = snap_peers(s);
		assert_int_equal(p->remote_id.type, cases[i].type);
		assert_int_equal(p->remote_id.len, cases[i].len);
		assert_memory_equal(p->remote_id.data, cases[i].data, cases[i].len);
		assert_int_equal(p->flags, PEER_REMOTE_ANY);
		assert_int_equal(p->start, PEER_START_NEVER);
		assert_int_equal(p->local_id.type, ID_NONE);
		free(s);
		if (cases[i].type != ID_FQDN && cases[i].type != ID_RFC822)
			continue;
		snprintf(text, sizeof text, PEER("remote-address any; remote-id *%s; pre-shared-key k;"),
			strpbrk(cases[i].text, ".@"));
		s = compiled(text);
		p = snap_peers(s);
		assert_int_equal(p->remote_id.type, cases[i].type);
		assert_memory_equal(p->remote_id.data, strpbrk(cases[i].text, ".@"), p->remote_id.len);
		assert_int_equal(p->flags, PEER_REMOTE_ANY | PEER_ID_PATTERN);
		assert_int_equal(p->connections_max, 64);
		free(s);
	}
}

static void public_keys(void **state)
{
	/* RFC 8410 section 10.1's Ed25519 key, and the same raw key in OpenSSH's form */
	static const char spki[] = "MCowBQYDK2VwAyEAGb9ECWmEzf6FQbrBZ9w7lshQhqowtrbLDFw4rXAxZuE=";
	static const char ssh[] =
		"\"ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIBm/RAlphM3+hUG6wWfcO5bIUIaqMLa2ywxcOK1wMWbh me\"";
	struct snapshot *a, *b;
	char text[600];

	snprintf(text, sizeof text, PEER("remote-address 192.0.2.1; private-key me; public-key %s;"), spki);
	a = compiled(text);
	snprintf(text, sizeof text, PEER("remote-address 192.0.2.1; private-key me; public-key %s;"), ssh);
	b = compiled(text);
	assert_int_equal(snap_peers(a)->auth, PEER_AUTH_PUBLIC_KEY);
	assert_int_equal(snap_peers(a)->public_key_n, 44);
	assert_int_equal(snap_peers(b)->public_key_n, 44);
	assert_memory_equal(snap_peers(a)->public_key, snap_peers(b)->public_key, 44);
	assert_string_equal(snap_peers(a)->key_name, "me");
	assert_int_equal(snap_peers(a)->remote_id.type, ID_IPV4);
	free(a);
	free(b);
}

#define KEYED(key) PEER("remote-address 192.0.2.1; private-key me; public-key " key ";")

/* Verifier keys of the right form; whether the id belongs to the key is not the compiler's affair. */
#define KEY_A		   "w.example/a+0123abcd+BAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"
#define KEY_B		   "w.example/b+0123abcd+BBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBB"
#define KEY_LOG		   "log.example/b+0123abcd+ABBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBB"
#define PEER_P		   PEER("remote-address ::1; pre-shared-key k;")
#define COSIGN(name, peer) "cosign " name " { peer " peer "; key \"" KEY_LOG "\"; } "
#define WITNESS(name, key) "witness " name " { address 192.0.2.7; key \"" key "\"; } "

#define HEX64 "00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff"

/* Two tunnels of one peer; the second one's networks stand last. */
#define TWO(local, remote)                                                                                   \
	ZONE PEER("remote-address ::1; pre-shared-key k;") "ipsec { proposal e { encryption aes128gcm16; } " \
							   "tunnel t { peer p; zone a; proposals e; local "  \
							   "10.1.0.0/24; remote 10.2.0.0/24; } "             \
							   "tunnel u { peer p; zone a; proposals e; "        \
							   "local " local "; remote " remote "; } }"

#define DNAT(match, then)                                                                                    \
	"zones { zone z { interfaces e0; } } address-book { address x { prefix 203.0.113.7; } } "            \
	"nat { destination { rule d { match { " match " } then { destination-nat " then "; } } } }"
#define STATIC(published, real)                                                                              \
	ZONE "nat { static { rule s { from a; match { destination " published "; } then { static-nat " real  \
	     "; } } } }"
static const struct {
	const char *what, *text, *says;
} refused[] = {
	{ "identifier of two rules",
		ZONE
		"policy { from a to a { rule x { id 7; match { source any; destination any; application any; } then { deny; } } } "
		"global { rule y { id 7; match { source any; destination any; application any; } then { deny; } } } }",
		"id 7 is that of rule 'x' already" },
	{ "a timeout of what has no session",
		ZONE
		"policy { from a to a { rule r { match { source any; destination any; application any; } "
		"then { deny; timeout 90; } } } }",
		"timeout needs permit" },
	{ "unknown address", ZONE RULE("source x; destination any; application any;"), "t:1:" },
	{ "unknown application", ZONE RULE("source any; destination any; application telnt;"),
		"did you mean 'telnet'?" },
	{ "any beside another", ZONE RULE("source any; destination any; application [ any ssh ];"),
		"cannot be combined" },
	{ "a log of nothing",
		ZONE
		"policy { from a to a { rule r { match { source any; destination any; application any; } "
		"then { deny; log; } } } }",
		"t:1:120: log needs session-init, session-close or both" },
	{ "a log of nothing, global",
		ZONE "policy { global { rule r { match { source any; destination any; application any; } "
		     "then { deny; log { } } } } }",
		"log needs session-init, session-close or both" },
	{ "public key of RSA", KEYED("\"ssh-rsa AAAAB3NzaC1yc2EAAA\""),
		"a public key is an \"ssh-ed25519 AAAA...\"" },
	{ "host bits", "address-book { address a { prefix 10.0.0.1/8; } }", "host bits" },
	{ "prefix too long", "address-book { address a { prefix 10.0.0.0/33; } }", "at most 32 bits" },
	{ "no prefix", "address-book { address a { prefix 1.2.3; } }", "a prefix such as" },
	{ "range backwards", "address-book { address a { range 10.0.0.2-10.0.0.1; } }",
		"lower address first" },
	{ "range of two families", "address-book { address a { range 10.0.0.2-::1; } }", "one family" },
	{ "port too high", "applications { application a { protocol tcp; destination-port 65536; } }",
		"0..65535" },
	{ "ports backwards", "applications { application a { protocol udp; source-port 9-8; } }",
		"lower port first" },
	{ "name for two things", "address-book { address a { prefix ::/0; } address-set a { address a; } }",
		"'a' is an address already" },
	{ "set in itself",
		"address-book { address-set a { address-set b; } address-set b { address-set a; } }",
		"contains itself" },
	{ "set among addresses",
		"address-book { address-set a { address b; } address-set b { address-set a; } }",
		"belongs in 'address-set'" },
	{ "member that is not there", "address-book { address-set a { address b; } }", "found 'b'" },
	{ "ports overlap", "system { nat-ports 30000-50000; }", "overlap" },
	{ "ports of services", "system { nat-ports 80-50; host-ports 100-200; }", "lower port first" },
	{ "privileged ports", "system { nat-ports 80-90; }", "below 1024" },
	{ "ports of no NAT", "nat { source { rule a { then { source-nat off; ports 50000; } } } }",
		"without a translation" },
	{ "persistent without NAT",
		"nat { source { rule a { then { source-nat off; persistent-nat address-and-port-dependent; } } } }",
		"without a translation" },
	{ "ports of others",
		"nat { source { rule a { then { source-nat interface; ports 40000-50000; } } } }",
		"within nat-ports (40960-65535)" },
	{ "short timeout",
		"nat { source { rule a { then { source-nat interface; persistent-nat address-and-port-dependent; "
		"persistent-nat-timeout 119; } } } }",
		"120" },
	{ "base of another length",
		"nat { source { rule a { then { source-nat 192.0.2.0/28; host-address-base 10.1.0.0/24; } } } }",
		"same family and length" },
	{ "base of a range",
		"nat { source { rule a { then { source-nat 192.0.2.1-192.0.2.16; host-address-base 10.1.0.0/28; } } } }",
		"same family and length" },
	{ "base without a pool",
		"nat { source { rule a { then { source-nat interface; host-address-base 10.1.0.0/28; } } } }",
		"host-address-base needs a pool" },
	{ "kept ports without a pool",
		"nat { source { rule a { then { source-nat interface; port-no-translation; } } } }",
		"port-no-translation needs a pool" },
	{ "timeout of bindings that there are none of",
		"nat { source { rule a { then { source-nat interface; persistent-nat-timeout 400; } } } }",
		"persistent-nat-timeout has no effect without persistent-nat" },
	{ "limit of bindings that there are none of",
		"nat { source { rule a { then { source-nat off; persistent-nat-limit 2048; } } } }",
		"persistent-nat-limit has no effect without persistent-nat" },
	{ "parity of one port",
		"nat { source { rule a { then { source-nat interface; ports 50000; port-parity; } } } }",
		"an odd and an even port" },
	{ "pool backwards", "nat { source { rule a { then { source-nat 1.1.1.2-1.1.1.1; } } } }",
		"lower address" },
	{ "pool is no address", "nat { source { rule a { then { source-nat 1.1.1.2.3; } } } }", "expected" },
	{ "port of icmp", DNAT("destination x; application ping;", "10.0.0.1; port 80"), "has no ports" },
	{ "port of everything", DNAT("destination x;", "10.0.0.1; port 80"), "needs an application" },
	{ "fewer ports", DNAT("destination x; application traceroute;", "10.0.0.1; port 80-81"),
		"not as many ports" },
	{ "port 0", DNAT("destination x; application http;", "10.0.0.1; port 0"), "port 0 does not exist" },
	{ "off with a port", DNAT("destination x; application http;", "off; port 8"), "has no port" },
	{ "no destination", DNAT("application http;", "10.0.0.1"), "needs a destination" },
	{ "any destination", DNAT("destination any;", "10.0.0.1"), "any destination" },
	{ "interface of no zone", DNAT("destination-interface e7;", "10.0.0.1"), "is in no zone" },
	{ "server is no host", DNAT("destination x;", "127.0.0.1"), "not a host's address" },
	{ "servers backwards", DNAT("destination x;", "10.0.0.2-10.0.0.1"), "lower address" },
	{ "static of two sizes", STATIC("203.0.113.16/28", "10.0.0.32/27"), "the same length" },
	{ "static of two families", STATIC("203.0.113.16/32", "2001:db8::1/128"), "not of the family" },
	{ "families of a peer", PEER("local-address ::1; remote-address 192.0.2.1; pre-shared-key k;"),
		"different families" },
	{ "no address", PEER("remote-address 192.0.2.256; pre-shared-key k;"), "IPv4 or IPv6 address" },
	{ "host bits", "address-book { address a { prefix 10.1.77.1/18; } }",
		"10.1.64.0/18 for the network, 10.1.77.1 for the host" },
	{ "host bits of IPv6", "address-book { address a { prefix 2001:db8:0:ff::1/58; } }",
		"2001:db8:0:c0::/58 for the network" },
	{ "wildcard of names", PEER("remote-address ::1; remote-id *.example.net; pre-shared-key k;"),
		"expected remote-address any" },
	{ "wildcard inside", PEER("remote-address any; remote-id a*.example.net; pre-shared-key k;"),
		"as in *.branch.example" },
	{ "wildcard of all", PEER("remote-address any; remote-id *; pre-shared-key k;"), "without '*'" },
	{ "wildcard of two", PEER("remote-address any; remote-id *.*.net; pre-shared-key k;"),
		"without '*'" },
	{ "wildcard of nothing", PEER("remote-address any; remote-id *.; pre-shared-key k;"),
		"a domain name or the domain" },
	{ "keys of one identity", PEER("remote-address any; remote-id a.example.net; identity-keys;"),
		"needs a remote-id with a wildcard" },
	{ "wildcard of mail", PEER("remote-address ::1; local-id *@example.net; pre-shared-key k;"),
		"without '*'" },
	{ "odd keyid", PEER("remote-address ::1; local-id keyid:abc; pre-shared-key k;"), "hexadecimal" },
	{ "key is no base64", KEYED("aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa!"), "Ed25519" },
	{ "key is something else", KEYED("MCowBQYDK2VuAyEAGb9ECWmEzf6FQbrBZ9w7lshQhqowtrbLDFw4rXAxZuE="),
		"Ed25519" },
	{ "key is short", KEYED("MCowBQYDK2VwAyEAGb9ECWmEzf6FQbrBZ9w7lshQhqowtrbLDFw4rXAx"), "Ed25519" },
	{ "key is cut",
		KEYED("\"ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIBm/RAlphM3+hUG6wWfcO5bIUIaqMLa2ywxcOK1wMWY=\""),
		"Ed25519" },
	{ "kind does not fit the key",
		KEYED("\"ecdsa-sha2-nistp256 "
		      "AAAAC3NzaC1lZDI1NTE5AAAAIBm/RAlphM3+hUG6wWfcO5bIUIaqMLa2ywxcOK1wMWbh\""),
		"Ed25519" },
	{ "peers that are the same",
		"ike { proposal k { encryption aes128gcm16; dh-group ecp384; } peer p { proposals k; "
		"remote-address ::1;"
		"pre-shared-key k; } peer q { proposals k; remote-address ::1; pre-shared-key l; } }",
		"told apart" },
	{ "selectors of two families",
		ZONE PEER("remote-address ::1; pre-shared-key k;") "ipsec { proposal e { encryption "
								   "aes128gcm16; } tunnel t {"
								   "peer p; zone a; proposals e; local "
								   "10.0.0.0/8; remote ::/0; } }",
		"same families" },
	{ "one network on both sides",
		ZONE PEER("remote-address ::1; pre-shared-key k;") "ipsec { proposal e { encryption "
								   "aes128gcm16; } tunnel t {"
								   "peer p; zone a; proposals e; local "
								   "10.0.0.0/8; remote [ 10.1.0.0/16 "
								   "10.0.0.0/8 ]; } }",
		"10.0.0.0/8 is both local and remote of tunnel 't'" },
	{ "type of an ICMP error", "applications { application a { protocol icmp; icmp-type 3; } }",
		"is not a query" },
	{ "code of an ICMP error",
		"applications { application a { protocol icmp; icmp-type 3; icmp-code 4; } }",
		"errors pass with the session that they are about" },
	{ "code without a type", "applications { application a { protocol icmp; icmp-code 0; } }",
		"icmp-code needs icmp-type" },
	{ "type of an ICMP answer", "applications { application a { protocol icmp; icmp-type 14; } }",
		"is the reply to type 13" },
	{ "type between neighbours", "applications { application a { protocol 58; icmp-type 134; } }",
		"queries are 128, 139, 144, 146 and 160" },
	{ "unknown service", "zones { zone a { host-inbound [ ping telnet ]; } }",
		"found 'telnet', expected one of: ike, ping" },
	{ "unknown service nearby", "zones { zone a { host-inbound pin; } }", "did you mean 'ping'?" },
	{ "service twice", "zones { zone a { host-inbound [ ping ssh ping ]; } }",
		"host-inbound 'ping' is given twice" },
	{ "service twice, to others",
		"address-book { address x { prefix ::/0; } } zones { zone a { host-inbound ssh; "
		"host-inbound ssh { from x; } } }",
		"host-inbound 'ssh' is given twice" },
	{ "entries with content in brackets", "zones { zone a { host-inbound [ ping { } ]; } }", "]" },
	{ "no service", "zones { zone a { host-inbound [ ]; } }", "expected" },
	{ "service of nobody", "zones { zone a { host-inbound ssh { from x; } } }", "found 'x'" },
	{ "own port without a protocol", "zones { zone a { host-inbound 2222; } }", "tcp/2222" },
	{ "own port of a protocol without ports", "zones { zone a { host-inbound icmp/8; } }", "tcp/2222" },
	{ "own port too high", "zones { zone a { host-inbound tcp/65536; } }", "0..65535" },
	{ "own port 0", "zones { zone a { host-inbound udp/0-9; } }", "from 1 on" },
	{ "own ports backwards", "zones { zone a { host-inbound udp/9-8; } }", "lower port first" },
	{ "own port of source NAT", "zones { zone a { host-inbound tcp/50000; } }",
		"overlaps nat-ports (40960-65535)" },
	{ "own ports around source NAT's",
		"system { nat-ports 5000-5001; } zones { zone a { host-inbound tcp/4000-6000; } }",
		"overlaps nat-ports (5000-5001)" },
	{ "two tunnels of the same networks", TWO("10.1.0.0/24", "10.2.0.0/24"),
		"tunnel 't' and tunnel 'u' have the same local and remote networks, 10.1.0.0/24 and "
		"10.2.0.0/24" },
	{ "two tunnels that share a pair", TWO("[ 10.9.0.0/24 10.1.0.0/24 ]", "[ 10.2.0.0/24 10.8.0.0/24 ]"),
		"have the same" },
	{ "quorum without witnesses", "evidence { quorum 1; }", "the number of witnesses is 0" },
	{ "quorum of too many", "evidence { " WITNESS("a", KEY_A) "quorum 2; }",
		"the number of witnesses is 1" },
	{ "required of slow witnesses",
		"evidence { " WITNESS("a", KEY_A) "witness b { address ::1; interval 31; key \"" KEY_B
						  "\"; } required commit; }",
		"set quorum to 1 at most" },
	{ "no interval", "evidence { witness a { address ::1; interval 0; key \"" KEY_A "\"; } }",
		"1..86400" },
	{ "required of nobody", "evidence { required commit; }", "at least one witness" },
	{ "one key under two names",
		"evidence { " WITNESS("a", KEY_A) WITNESS(
			"b", "other.example+89abcdef+BAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA") "}",
		"'a' has this key already" },
	{ "key of another form",
		"evidence { " WITNESS(
			"a", "ssh-ed25519 AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA") "}",
		"plaingate-witness --new-key" },
	{ "witness by name", "evidence { witness a { address w.example; key \"" KEY_A "\"; } }", "address" },
	{ "witness without a key", "evidence { witness a { address ::1; } }", "key" },
	{ "witness nowhere", "evidence { witness a { key \"" KEY_A "\"; } }",
		"exactly one of: address, peer, url" },
	{ "witness twice", PEER_P "evidence { witness a { address ::1; peer p; key \"" KEY_A "\"; } }",
		"exactly one of: address, peer, url" },
	{ "witness is no peer", "evidence { witness a { peer q; key \"" KEY_A "\"; } }", "q" },
	{ "witness by address and URL",
		"evidence { witness a { address ::1; url https://w.example; key \"" KEY_A "\"; } }",
		"exactly one of: address, peer, url" },
	{ "URL of another scheme", "evidence { witness a { url ftp://w.example; key \"" KEY_A "\"; } }",
		"t:1:28: 'ftp://w.example' does not begin with https:// or http://" },
	{ "URL with a user", "evidence { witness a { url https://u@w.example; key \"" KEY_A "\"; } }",
		"a user or a password" },
	{ "URL with a query", "evidence { witness a { url \"https://w.example/?a\"; key \"" KEY_A "\"; } }",
		"a query" },
	{ "URL without a name", "evidence { witness a { url https://w_w.example; key \"" KEY_A "\"; } }",
		"neither a name" },
	{ "URL's port beside it",
		"evidence { witness a { url https://w.example; port 443; key \"" KEY_A "\"; } }",
		"the port of a url is part of it" },
	{ "server key of an address",
		"evidence { witness a { address ::1; server-key " HEX64 "; key \"" KEY_A "\"; } }",
		"server-key needs a url" },
	{ "server key without TLS",
		"evidence { witness a { url http://w.example; server-key " HEX64 "; key \"" KEY_A "\"; } }",
		"server-key needs an https url" },
	{ "server key of another form",
		"evidence { witness a { url https://w.example; server-key 0a; key \"" KEY_A "\"; } }",
		"64 hexadecimal digits" },
	{ "two ledgers of a peer", PEER_P "evidence { " COSIGN("a", "p") COSIGN("b", "p") "}",
		"the ledger of peer 'p' is cosigned already, as 'a'" },
	{ "ledger of nobody", "evidence { " COSIGN("a", "q") "}", "q" },
};

static void refused_texts(void **state)
{
	for (size_t i = 0; i < sizeof refused / sizeof refused[0]; i++) {
		void *block;
		size_t n = 0;
		struct err e = { 0 };

		if (compile(refused[i].text, 1, &block, &n, &e) == RC_OK)
			fail_msg("%s: accepted", refused[i].what);
		assert_null(block);
		if (strncmp(e.text, "t:", 2) != 0 || !strstr(e.text, refused[i].says))
			fail_msg("%s: it does not say '%s': %s", refused[i].what, refused[i].says, e.text);
	}
}

static void witnesses(void **state)
{
	struct snapshot *s = compiled("evidence { " WITNESS(
		"a", KEY_A) "witness b { address 2001:db8::7; port 80; key \"" KEY_B "\"; } "
			    "quorum 1; required [ commit witnesses ]; heartbeat 5; }");
	const struct snap_evidence *v = &s->evidence;

	assert_int_equal(v->count, 2);
	assert_int_equal(v->quorum, 1);
	assert_int_equal(v->required, REQUIRED_COMMIT | REQUIRED_WITNESSES);
	assert_int_equal(v->heartbeat_s, 5);
	assert_string_equal(v->witness[0].name, "a");
	assert_string_equal(v->witness[0].key, KEY_A);
	assert_int_equal(v->witness[0].at.addr.family, ADDR_V4);
	assert_int_equal(v->witness[0].at.port, 7380);
	assert_int_equal(v->witness[1].at.addr.family, ADDR_V6);
	assert_int_equal(v->witness[1].at.port, 80);
	free(s);
	s = compiled("evidence { " WITNESS("a", KEY_A) WITNESS("b", KEY_B) "}");
	assert_int_equal(s->evidence.quorum, 2);
	assert_int_equal(s->evidence.required, 0);
	assert_int_equal(s->evidence.heartbeat_s, 30);
	assert_int_equal(s->evidence.witness[0].interval_s, 0);
	free(s);
	s = compiled("evidence { witness a { address ::1; interval 30; key \"" KEY_A "\"; } "
		     "witness b { address ::1; port 1; interval 3600; key \"" KEY_B
		     "\"; } quorum 1; required commit; }");
	assert_int_equal(s->evidence.witness[0].interval_s, 30);
	assert_int_equal(s->evidence.witness[1].interval_s, 3600);
	free(s);
	s = compiled(
		"evidence { witness a { url https://w.example:8443/x/; server-key " HEX64 "; key \"" KEY_A
		"\"; } witness b { url \"http://[2001:db8::1]\"; interval 600; key \"" KEY_B "\"; } }");
	v = &s->evidence;
	assert_int_equal(v->witness[0].at.addr.family, ADDR_NONE);
	assert_int_equal(v->witness[0].at.port, 0);
	assert_string_equal(v->witness[0].url, "https://w.example:8443/x/");
	assert_memory_equal(v->witness[0].server_key, "\x00\x11\x22\x33", 4);
	assert_int_equal(v->witness[0].server_key[31], 0xff);
	assert_string_equal(v->witness[1].url, "http://[2001:db8::1]");
	assert_int_equal(v->witness[1].server_key[31], 0);
	free(s);
	s = compiled(PEER_P "evidence { witness a { peer p; key \"" KEY_A "\"; } " COSIGN("b", "p") "}");
	v = &s->evidence;
	assert_int_equal(v->count, 1);
	assert_int_equal(v->witness[0].at.addr.family, ADDR_NONE);
	assert_int_equal(v->witness[0].at.port, 0);
	assert_string_equal(v->witness[0].peer, "p");
	assert_int_equal(v->cosign_count, 1);
	assert_string_equal(v->cosign[0].name, "b");
	assert_string_equal(v->cosign[0].peer, "p");
	assert_string_equal(v->cosign[0].key, KEY_LOG);
	free(s);
}

/* Networks that lie in each other are two tunnels: the more specific one wins. */
static void overlapping_tunnels(void **state)
{
	free(compiled(TWO("10.1.0.0/24", "10.0.0.0/8")));
	free(compiled(TWO("10.9.0.0/24", "10.2.0.0/24")));
}

static void warn(void *context, const char *text)
{
	strcat(strcat(context, text), "\n");
}

static void without_effect(void **state)
{
#define ANY_RULE(name, source)                                                                               \
	"rule " name " { match { source " source "; destination any; application any; } then { permit; } } "
#define PAIR_AND_GLOBAL(pair, global)                                                                        \
	"zones { zone a { interfaces e0; } zone b { interfaces e1; } } "                                     \
	"address-book { address x { prefix 10.0.0.0/8; } } policy { from a to b { " pair                     \
	"} global { " global "} }"
#define NAT_RULE(name, zones, match, nat) "rule " name " { " zones match "then { source-nat " nat "; } } "
#define NAT(rules)                                                                                           \
	"zones { zone a { interfaces e0; } zone b { interfaces e1; } } "                                     \
	"address-book { address x { prefix 10.0.0.0/8; } } nat { source { " rules "} }"
#define COSIGNED "evidence { " COSIGN("b", "p") "}"
	static const struct {
		const char *text, *warning; /* all of them */
	} texts[] = {
		{ PAIR_AND_GLOBAL(ANY_RULE("one", "x") ANY_RULE("two", "any"), ANY_RULE("three", "x")), "" },
		{ PAIR_AND_GLOBAL(ANY_RULE("one", "any") ANY_RULE("two", "x"), ""),
			"rule 'two' from a to b is never reached: rule 'one' before it matches everything\n" },
		{ PAIR_AND_GLOBAL(ANY_RULE("one", "any"), ANY_RULE("two", "any") ANY_RULE("three", "x")),
			"rule 'three' from any zone to any zone is never reached: rule 'two' before it matches "
			"everything\n" },
		{ NAT(NAT_RULE("one", "to b; ", "match { source x; } ", "off") NAT_RULE("two", "to b; ", "",
			  "interface") NAT_RULE("three", "to b; ", "", "interface-ipv6") NAT_RULE("four",
			  "to a; ", "", "interface") NAT_RULE("five", "", "", "off")),
			"" },
		{ NAT(NAT_RULE("one", "to b; ", "", "interface") NAT_RULE("two", "from a; to b; ", "",
			  "192.0.2.1") NAT_RULE("three", "from a; to b; ", "", "::1")
				  NAT_RULE("four", "from a; ", "", "off")),
			"source NAT rule 'two' is never reached: rule 'one' before it matches all that it could\n" },
		{ NAT(NAT_RULE("one", "", "", "off")
				  NAT_RULE("two", "", "match { source x; } ", "interface-ipv6")),
			"source NAT rule 'two' is never reached: rule 'one' before it matches all that it could\n" },
		{ "zones { zone z { interfaces e0; host-inbound [ ping ssh ike ]; } zone y { interfaces e1; } } "
		  "nat { destination { rule a { match { destination-interface e0; application ssh; } "
		  "then { destination-nat 10.0.0.1; } } rule b { from y; match { destination-interface e0; } "
		  "then { destination-nat 10.0.0.1; } } rule c { match { destination-interface e0; } "
		  "then { destination-nat off; } } } }",
			"destination NAT rule 'a' takes ssh, which zone 'z' opens by host-inbound: the gateway does not "
			"answer it at the rule's addresses\n" },
		{ "zones { zone a { interfaces e0; } zone b; zone c; } policy { from b to a { " ANY_RULE(
			  "one", "any") "} from a to b { " ANY_RULE("two",
			  "any") "} global { " ANY_RULE("three", "any") "} } nat { source { " NAT_RULE("n",
			  "from b; ", "", "off") "} }",
			"zone 'b' has neither an interface nor a tunnel: rules that name it never match (policy rules: 2, "
			"NAT rules: 1)\nzone 'c' has neither an interface nor a tunnel: it has no traffic\n" },
		{ TWO("10.9.0.0/24", "10.2.0.0/24"), "" }, /* a zone of tunnels */
		{ "zones { zone wan { interfaces e0; } zone vpn { host-inbound ike; } } " PEER_P COSIGNED,
			"zone 'vpn' has neither an interface nor a tunnel: it has no traffic\n"
			"no zone has host-inbound ike, or a rule to self for it: IKE messages of peer 'p' are dropped, requests and responses "
			"(peers: 1)\n" },
		{ "zones { zone wan { interfaces e0; host-inbound [ ping tcp/500 udp/501-600 ]; } } " PEER_P
				COSIGNED,
			"no zone has host-inbound ike, or a rule to self for it: IKE messages of peer 'p' are dropped, requests and responses "
			"(peers: 1)\n" },
		{ "zones { zone wan { interfaces e0; host-inbound ike; } } " PEER_P COSIGNED, "" },
		{ "zones { zone wan { interfaces e0; host-inbound udp/400-500; } } " PEER_P COSIGNED, "" },
		{ PEER_P, "peer 'p' has no tunnel, and neither a witness nor a ledger to cosign names it\n" },
		{ PEER_P "evidence { " COSIGN("b", "p") "}", "" },
		{ PEER_P "evidence { witness a { peer p; key \"" KEY_A "\"; } }", "" },
	};

	for (size_t i = 0; i < COUNT_OF(texts); i++) {
		struct snapshot *s = compiled(texts[i].text);
		char text[1000] = "";
		snapshot_warnings(s, warn, text);
		assert_string_equal(text, texts[i].warning);
		free(s);
	}
}

/* A deep chain of sets is refused, not followed. */
static void deep_sets(void **state)
{
	char *text = malloc(100000);
	size_t n = 0;
	void *block;
	struct err e = { 0 };

	assert_non_null(text);
	n += (size_t)sprintf(
		text, "address-book { address a { prefix ::/0; } address-set s999 { address a; }");
	for (int i = 0; i < 999; i++)
		n += (size_t)sprintf(text + n, "address-set s%d { address-set s%d; }", i, i + 1);
	sprintf(text + n, "}");
	assert_int_not_equal(compile(text, 1, &block, &n, &e), RC_OK);
	assert_non_null(strstr(e.text, "nested"));
	free(text);
}

/* The same configuration compiles to the same bytes, however its text was laid out. */
static void layout_does_not_matter(void **state)
{
	for (uint64_t seed = 1; seed <= 100; seed++) {
		char *text = sample_random(seed), *printed;
		struct model *m = NULL;
		void *a, *b;
		size_t an = 0, bn = 0, n = 0;
		struct err e = { 0 };

		if (compile(text, seed, &a, &an, &e) != RC_OK)
			fail_msg("seed %d: %s", (int)seed, e.text);
		assert_int_equal(model_load_text(text, strlen(text), "t", &m, &e), RC_OK);
		printed = model_print(m, &n);
		assert_int_equal(compile(printed, seed, &b, &bn, &e), RC_OK);
		assert_int_equal(an, bn);
		assert_memory_equal(a, b, an);
		model_free(m);
		free(printed);
		free(text);
		free(a);
		free(b);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(empty_text_denies_all),
		cmocka_unit_test(example_zones_and_rules),
		cmocka_unit_test(example_vpn),
		cmocka_unit_test(sets_are_unions),
		cmocka_unit_test(timeout_of_a_rule),
		cmocka_unit_test(identifiers_of_rules),
		cmocka_unit_test(services_of_the_gateway),
		cmocka_unit_test(own_application_replaces_built_in),
		cmocka_unit_test(nat_persistent),
		cmocka_unit_test(nat_pool_options),
		cmocka_unit_test(destination_nat),
		cmocka_unit_test(identities),
		cmocka_unit_test(public_keys),
		cmocka_unit_test(refused_texts),
		cmocka_unit_test(overlapping_tunnels),
		cmocka_unit_test(without_effect),
		cmocka_unit_test(witnesses),
		cmocka_unit_test(deep_sets),
		cmocka_unit_test(layout_does_not_matter),
	};
	int failed = cmocka_run_group_tests(tests, NULL, NULL);
	model_done();
	return failed;
}
