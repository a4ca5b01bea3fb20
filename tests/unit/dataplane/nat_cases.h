/*
 * Configurations with NAT of each kind, for gate_text (gate.h).
 */
#ifndef TESTS_DATAPLANE_NAT_CASES_H
#define TESTS_DATAPLANE_NAT_CASES_H

/* Are replies at home at another worker than their session? */
enum nat_away { AWAY_NONE, AWAY_SOME, AWAY_MOST };

/* ports: the gateway chooses some, so they are not the same with several workers. */
static const struct nat_case {
	const char *name, *text;
	bool ports;
	enum nat_away away;
} nat_cases[] = {
	{ "none", "", false, AWAY_NONE },
	{ "source",
		"nat { source { rule all { from trust; to untrust; then { source-nat interface; } }\n"
		"  rule all6 { from trust; to untrust; then { source-nat interface-ipv6; } } } }",
		true, AWAY_NONE },
	{ "pool",
		"nat { source { rule all { from trust; to untrust; then { source-nat 203.0.113.16-203.0.113.31; } }\n"
		"  rule all6 { from trust; to untrust; then { source-nat 2001:db8:77::10-2001:db8:77::1f; } } } }",
		true, AWAY_NONE },
	{ "persistent",
		"nat { source { rule all { from trust; to untrust; then { source-nat interface;\n"
		"    persistent-nat address-and-port-dependent; } }\n"
		"  rule all6 { from trust; to untrust; then { source-nat 2001:db8:77::10-2001:db8:77::1f;\n"
		"    persistent-nat address-and-port-dependent; } } } }",
		true, AWAY_MOST },
	{ "few ports",
		"nat { source { rule all { from trust; to untrust; then { source-nat interface; ports 41000-41015; } }\n"
		"  rule all6 { from trust; to untrust; then { source-nat interface-ipv6; ports 41000-41015; } } } }",
		true, AWAY_SOME },
	{ "static",
		"nat { static {\n"
		"  rule a { from untrust; match { destination 203.0.113.0/30; } then { static-nat 10.1.0.0/30; } }\n"
		"  rule b { from untrust; match { destination 2001:db8:77::/126; } then { static-nat 2001:db8:1::/126; } }\n"
		"} }",
		false, AWAY_MOST },
	{ "nat64",
		"nat { nat64 { rule four { from trust; prefix 2001:db8:99::/96; } }\n"
		"  source { rule all { from trust; to untrust; then { source-nat interface; } } } }",
		true, AWAY_NONE },
	{ "nat64 persistent",
		"nat { nat64 { rule four { from trust; prefix 2001:db8:99::/96; } }\n"
		"  source { rule all { from trust; to untrust; then { source-nat interface;\n"
		"    persistent-nat address-and-port-dependent; } } } }",
		true, AWAY_MOST },
	{ "nptv6",
		"nat { static {\n"
		"  rule a { from untrust; match { destination 203.0.113.0/30; } then { static-nat 10.1.0.0/30; } }\n"
		"  rule b { from untrust; match { destination 2001:db8:77::/48; } then { nptv6 2001:db8:1::/48; } }\n"
		"} }",
		false, AWAY_MOST },
	{ "destination",
		"address-book { address a { prefix 192.0.2.80; } address b { prefix 2001:db8:99::9; } }\n"
		"nat { destination {\n"
		"  rule a { from trust; match { destination a; } then { destination-nat 192.0.2.100-192.0.2.103; } }\n"
		"  rule b { from trust; match { destination b; } then { destination-nat 2001:db8:98::1; } }\n"
		"} }",
		false, AWAY_MOST },
	{ "both",
		"address-book { address a { prefix 192.0.2.80; } }\n"
		"nat { destination {\n"
		"  rule a { from trust; match { destination a; } then { destination-nat 192.0.2.100-192.0.2.103; } }\n"
		"} source { rule all { from trust; to untrust; then { source-nat interface; } } } }",
		true, AWAY_NONE },
	{ "blocks",
		"nat { source { rule all { from trust; to untrust; then { source-nat 203.0.113.16-203.0.113.31; ports 41000-42999;\n"
		"    port-block-size 64; host-address-base 10.1.0.0/24; } }\n"
		"  rule all6 { from trust; to untrust; then { source-nat 2001:db8:77::10-2001:db8:77::1f; } } } }",
		true, AWAY_NONE },
	{ "dynamic blocks",
		"nat { source { rule all { from trust; to untrust; then { source-nat 203.0.113.16-203.0.113.31; ports 41000-42999;\n"
		"    port-block-size 256; maximum-blocks-per-host 4; } }\n"
		"  rule all6 { from trust; to untrust; then { source-nat 2001:db8:77::10-2001:db8:77::1f; } } } }",
		true, AWAY_MOST },
};

#endif
