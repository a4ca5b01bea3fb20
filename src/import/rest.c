/*
 * What is not the gateway's: interfaces, routes and services of the host, with the command that does it there; and what has no counterpart. A
 * statement that none of these rows knows either was not understood.
 */
#include "import/translate.h"

#include <stdio.h>
#include <string.h>

/* clang-format off */
/* Words from the beginning, `*` for any; the first row that fits counts. */
static const struct {
	const char *path;
	enum import_outcome outcome;
	const char *note;
} rows[] = {
	{ "groups",                    IMPORT_UNKNOWN, "groups are not expanded: import what `show configuration | display inheritance | display set` prints" },
	{ "apply-groups",              IMPORT_UNKNOWN, "groups are not expanded: import what `show configuration | display inheritance | display set` prints" },
	{ "version",                   IMPORT_NONE, "the release of the source" },
	{ "logical-systems",           IMPORT_NONE, "one gateway is one machine" },
	{ "tenants",                   IMPORT_NONE, "one gateway is one machine" },
	{ "chassis",                   IMPORT_NONE, "there is no cluster" },
	{ "system login class",        IMPORT_WRONG, "a class of one's own is written as `system { administrators { role } }`" },
	{ "system login",              IMPORT_NONE, "of administrators the name, class and keys are taken over" },
	{ "system root-authentication", IMPORT_HOST, "root is the host's; no password is taken over" },
	{ "system services",           IMPORT_HOST, "the host's own services; a zone's host-inbound opens them" },
	{ "system name-server",        IMPORT_HOST, "/etc/resolv.conf" },
	{ "system ntp",                IMPORT_HOST, "the host's chrony or systemd-timesyncd" },
	{ "system time-zone",          IMPORT_HOST, "timedatectl set-timezone" },
	{ "system domain-name",        IMPORT_HOST, "/etc/resolv.conf" },
	{ "system syslog",             IMPORT_NONE, "where records of sessions go is said by `log { stream }`; the host's messages are the host's" },
	{ "system",                    IMPORT_HOST, "settings of the system" },
	{ "snmp",                      IMPORT_HOST, "the host's snmpd; measurements of the gateway: `system { metrics }`" },
	{ "protocols",                 IMPORT_HOST, "FRR on the host, whose routes are the gateway's" },
	{ "policy-options",            IMPORT_HOST, "FRR on the host" },
	{ "routing-options",           IMPORT_HOST, "FRR or the host's own routes" },
	{ "routing-instances",         IMPORT_HOST, "VRFs of the host: ip link add NAME type vrf" },
	{ "vlans",                     IMPORT_HOST, "ip link add link DEVICE name DEVICE.N type vlan id N" },
	{ "access",                    IMPORT_NONE, "there is no remote access" },
	{ "firewall",                  IMPORT_NONE, "filters of packets: what they permit and deny is said by rules of policy" },
	{ "class-of-service",          IMPORT_NONE, "rules mark packets (dscp); queues are the host's (tc)" },
	{ "forwarding-options",        IMPORT_NONE, "" },
	{ "event-options",             IMPORT_NONE, "" },
	{ "services",                  IMPORT_NONE, "" },
	{ "schedulers",                IMPORT_WRONG, "schedulers are not translated: write them here, and give the rules their names" },
	{ "security flow tcp-mss",     IMPORT_CHANGED, "`system { tcp-mss N; }` limits it for all traffic" },
	{ "security flow",             IMPORT_NONE, "" },
	{ "security alg",              IMPORT_CHANGED, "application layer gateways are off unless `system { alg }` names them: ftp, tftp, sip" },
	{ "security log",              IMPORT_NONE, "where records of sessions go is said by `log { stream }`" },
	{ "security screen",           IMPORT_NONE, "there is no such screen" },
	{ "security idp",              IMPORT_NONE, "the gateway does not look into permitted traffic" },
	{ "security utm",              IMPORT_NONE, "the gateway does not look into permitted traffic" },
	{ "security application-tracking", IMPORT_NONE, "" },
	{ "security application-firewall", IMPORT_NONE, "the gateway does not look into permitted traffic" },
	{ "security dynamic-address",  IMPORT_CHANGED, "feeds are written as `dynamic-address { feed NAME }`" },
	{ "security forwarding-options", IMPORT_NONE, "IPv6 is always forwarded" },
	{ "security ssh-known-hosts",  IMPORT_NONE, "" },
	{ "security pki",              IMPORT_HOST, "certificates are files: see docs/operating.md, \"Certificates\"" },
	{ "security policies default-policy", IMPORT_TRANSLATED, "" },
	{ "security policies policy-rematch", IMPORT_TRANSLATED, "sessions are always evaluated again after a commit" },
	{ "security zones functional-zone", IMPORT_NONE, "the host's management interface is in no zone, and is closed; give it one" },
	{ "security zones security-zone * application-tracking", IMPORT_NONE, "" },
	{ "security nat source port-randomization", IMPORT_NONE, "ports are always chosen at random" },
	{ "interfaces * unit * family inet address", IMPORT_HOST, NULL },
	{ "interfaces * unit * family inet6 address", IMPORT_HOST, NULL },
	{ "interfaces * unit * family inet filter", IMPORT_NONE, "filters of packets: what they permit and deny is said by rules of policy" },
	{ "interfaces * unit * vlan-id", IMPORT_HOST, "ip link add link DEVICE name DEVICE.N type vlan id N" },
	{ "interfaces",                IMPORT_HOST, "interfaces are the host's" },
};
/* clang-format on */

static void address(struct import *m, struct node *a)
{
	const struct node *unit = a->parent->parent->parent->parent;
	const char *name = interface_name(
		m, pool_printf(&m->tree.pool, "%s.%s", unit->parent->parent->word, unit->word));

	say(m, a, IMPORT_HOST, "ip address add %s dev %s", a->word, name ? name : unit->parent->parent->word);
}

/* Says it of each node that the path leads to. */
static void mark(struct import *m, struct node *n, const char *path, size_t row)
{
	size_t length = strcspn(path, " ");
	const char *more = path + length + (path[length] == ' ');

	for (struct node *c = n->child; c; c = c->next) {
		if ((length != 1 || *path != '*') &&
			(strlen(c->word) != length || memcmp(c->word, path, length) != 0))
			continue;
		if (*more)
			mark(m, c, more, row);
		else if (rows[row].note && c->outcome == IMPORT_UNSAID)
			say(m, c, rows[row].outcome, "%s", rows[row].note);
		else if (!rows[row].note) {
			for (struct node *a = c->child; a; a = a->next)
				address(m, a);
		}
	}
}

/* A route as the command that makes it. */
static void routes(struct import *m)
{
	struct node *list = node_at(&m->tree.root, "routing-options", "static", "route", NULL);

	for (struct node *r = list ? list->child : NULL; r; r = r->next) {
		const struct node *hop = value_node(r, "next-hop");
		if (!hop)
			continue;
		const char *interface = strchr(hop->word, '.') && !address_of(m, hop->word)
						? interface_name(m, hop->word)
						: NULL;
		say(m, r, IMPORT_HOST, "ip route add %s %s %s", r->word, interface ? "dev" : "via",
			interface ? interface : hop->word);
	}
}

void translate_rest(struct import *m)
{
	routes(m);
	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
		mark(m, &m->tree.root, rows[i].path, i);
}
