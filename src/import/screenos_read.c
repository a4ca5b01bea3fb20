/*
 * ScreenOS, as `get config` prints it, said in Junos's words, from which the other parts translate. A line is a command; of policies and
 * services there are also lines that go on with the one before (`set policy id 7`, `set dst-address ...`, `exit`; `set service NAME + ...`).
 */
#include "import/tree.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define NAME_OCTETS 128

/* Between two lines. */
struct reading {
	struct tree *t;
	uint32_t line;
	const char *const *w;
	size_t n;
	char from[NAME_OCTETS], to[NAME_OCTETS],
		id[NAME_OCTETS]; /* of the last policy; id "": there was none */
	bool inside;		 /* lines of it follow */
};

/* A word for tree_say(), in quotes where it has to be. */
static const char *q(struct reading *r, const char *word)
{
	char *text = pool_room(&r->t->pool, 2 * strlen(word) + 3), *at = text;

	*at++ = '"';
	for (; *word; word++) {
		if (*word == '"' || *word == '\\')
			*at++ = '\\';
		*at++ = *word;
	}
	*at = '"';
	return text;
}

static bool is(const struct reading *r, size_t i, const char *word)
{
	return i < r->n && strcmp(r->w[i], word) == 0;
}

/* The word after `word`, from i on; NULL: there is none. */
static const char *after(const struct reading *r, size_t i, const char *word)
{
	for (; i + 1 < r->n; i++) {
		if (strcmp(r->w[i], word) == 0)
			return r->w[i + 1];
	}
	return NULL;
}

/* 255.255.255.0 is 24; -1: it is no mask. */
static int mask_bits(const char *mask)
{
	unsigned o[4];
	char end;

	if (sscanf(mask, "%3u.%3u.%3u.%3u%c", &o[0], &o[1], &o[2], &o[3], &end) != 4 ||
		(o[0] | o[1] | o[2] | o[3]) > 255)
		return -1;
	uint32_t bits = o[0] << 24 | o[1] << 16 | o[2] << 8 | o[3];
	int n = __builtin_popcount(bits);
	return bits == (n ? ~0u << (32 - n) : 0) ? n : -1;
}

/* Words of this line as one statement that is not understood, or belongs to nobody here. */
static void as_it_is(struct reading *r, enum import_outcome outcome, const char *note)
{
	struct node *n = tree_state(r->t, &r->t->root, r->w, r->n, r->line);

	if (n->outcome < outcome) {
		n->outcome = outcome;
		n->note = note;
	}
}

/* Its zones are Junos's in small letters only where they are the same word: names stay as they are. */
static const char *zone(const char *word)
{
	return strcmp(word, "Self") == 0 || strcmp(word, "self") == 0 ? "junos-host" : word;
}

/* ---- zones and interfaces ---- */

/* clang-format off */
static const char *const screens[][2] = {
	{ "tear-drop", "ip tear-drop" }, { "syn-flood", "tcp syn-flood attack-threshold 200" }, { "ping-death", "icmp ping-death" },
	{ "ip-filter-src", "ip source-route-option" }, { "land", "tcp land" }, { "winnuke", "tcp winnuke" }, { "port-scan", "tcp port-scan threshold 5000" },
	{ "ip-sweep", "icmp ip-sweep threshold 5000" }, { "icmp-flood", "icmp flood threshold 1000" }, { "udp-flood", "udp flood threshold 1000" },
	{ "syn-frag", "tcp syn-frag" }, { "tcp-no-flag", "tcp tcp-no-flag" }, { "syn-fin", "tcp syn-fin" }, { "fin-no-ack", "tcp fin-no-ack" },
	{ "icmp-fragment", "icmp fragment" }, { "icmp-large", "icmp large" }, { "ip-bad-option", "ip bad-option" },
	{ "ip-record-route", "ip record-route-option" }, { "ip-timestamp-opt", "ip timestamp-option" }, { "ip-security-opt", "ip security-option" },
	{ "ip-loose-src-route", "ip loose-source-route-option" }, { "ip-strict-src-route", "ip strict-source-route-option" },
	{ "ip-stream-opt", "ip stream-option" }, { "block-frag", "ip block-frag" }, { "ip-spoofing", "ip spoofing" },
	{ "unknown-protocol", "ip unknown-protocol" }, { "alarm-without-drop", "alarm-without-drop" },
};
/* clang-format on */

/* A zone's screens are its own there: each zone gets one screen here. */
static bool set_screen(struct reading *r)
{
	const char *name = q(r, pool_printf(&r->t->pool, "%s-screen", r->w[2]));

	for (size_t i = 0; i < sizeof screens / sizeof *screens; i++) {
		if (strcmp(r->w[4], screens[i][0]) != 0)
			continue;
		if (!node_at(&r->t->root, "security", "zones", "security-zone", r->w[2], "screen", NULL))
			tree_say(r->t, r->line, "security zones security-zone %s screen %s", q(r, r->w[2]),
				name);
		return tree_say(r->t, r->line, "security screen ids-option %s %s", name, screens[i][1]);
	}
	return false;
}

static bool set_zone(struct reading *r)
{
	/* set zone id 100 "DMZ" | set zone "DMZ" vrouter "trust-vr" | set zone "DMZ" ... */
	if (is(r, 2, "id") && r->n >= 5)
		return tree_say(r->t, r->line, "security zones security-zone %s", q(r, r->w[4]));
	if (is(r, 3, "vrouter") && r->n == 5)
		return tree_say(r->t, r->line, "security zones security-zone %s", q(r, r->w[2]));
	if (r->n == 4 && is(r, 3, "tcp-rst"))
		return tree_say(r->t, r->line, "security zones security-zone %s tcp-rst", q(r, r->w[2]));
	return r->n == 5 && is(r, 3, "screen") && set_screen(r);
}

static const char *zone_of(const struct reading *r, const char *interface)
{
	const struct node *zones = node_at(&r->t->root, "security", "zones", "security-zone", NULL);

	for (const struct node *z = zones ? zones->child : NULL; z; z = z->next) {
		if (node_at(z, "interfaces", interface, NULL))
			return z->word;
	}
	return NULL;
}

/* An interface's unit, as Junos has it: ethernet0/0 is unit 0 of it, ethernet0/0.7 unit 7. */
static bool set_address(struct reading *r, const char *interface, const char *address)
{
	const char *dot = strrchr(interface, '.');
	size_t n = dot ? (size_t)(dot - interface) : strlen(interface);

	return tree_say(r->t, r->line, "interfaces %s unit %s family inet address %s",
		q(r, pool_text(&r->t->pool, interface, n)), dot ? dot + 1 : "0", q(r, address));
}

static bool set_manage(struct reading *r, const char *interface)
{
	static const char *const services[][2] = { { "ping", "ping" }, { "ssh", "ssh" }, { "ssl", "https" },
		{ "web", "http" }, { "snmp", "snmp" }, { "telnet", "telnet" },
		{ "ident-reset", "ident-reset" } };

	for (size_t i = 0; i < sizeof services / sizeof *services && r->n == 5; i++) {
		if (strcmp(r->w[4], services[i][0]) == 0 && zone_of(r, interface))
			return tree_say(r->t, r->line,
				"security zones security-zone %s interfaces %s host-inbound-traffic system-services %s",
				q(r, zone_of(r, interface)), q(r, interface), services[i][1]);
	}
	return false;
}

/* clang-format off */
static const char *const service_ports[][2] = { { "HTTP", "80" }, { "HTTPS", "443" }, { "FTP", "21" }, { "MAIL", "25" }, { "SMTP", "25" },
	{ "SSH", "22" }, { "TELNET", "23" },
	{ "DNS", "53" }, { "POP3", "110" }, { "IMAP", "143" }, { "LDAP", "389" }, { "VNC", "5900" } };
/* clang-format on */

/* A port of an address, for a server's service. Rules of policy name VIP(address), all servers behind it. */
static bool set_vip(struct reading *r, const char *from)
{
	const char *name = q(r, pool_printf(&r->t->pool, "VIP-%s-%s", r->w[4], r->w[5])),
		   *set = q(r, pool_printf(&r->t->pool, "VIP(%s)", r->w[4])), *port = NULL;
	const char *server = q(r, pool_printf(&r->t->pool, "%s/32", r->w[7]));

	for (size_t i = 0; i < sizeof service_ports / sizeof *service_ports; i++) {
		if (strcmp(r->w[6], service_ports[i][0]) == 0)
			port = service_ports[i][1];
	}
	if (!port || (strchr(r->w[5], '+')))
		return false;
	tree_say(r->t, r->line, "security nat destination pool %s address %s port %s", name, server, port);
	tree_say(r->t, r->line, "security nat destination rule-set vip from zone %s", q(r, from));
	tree_say(r->t, r->line, "security nat destination rule-set vip rule %s match destination-address %s",
		name, q(r, pool_printf(&r->t->pool, "%s/32", r->w[4])));
	tree_say(r->t, r->line, "security nat destination rule-set vip rule %s match destination-port %s",
		name, q(r, r->w[5]));
	tree_say(r->t, r->line, "security nat destination rule-set vip rule %s match protocol tcp", name);
	tree_say(r->t, r->line, "security nat destination rule-set vip rule %s then destination-nat pool %s",
		name, name);
	tree_say(r->t, r->line, "security address-book global address %s %s", name, server);
	return tree_say(r->t, r->line, "security address-book global address-set %s address %s", set, name);
}

/* mip PUBLISHED host REAL netmask MASK [vr ...]: one to one; vip PUBLISHED PORT SERVICE REAL: a port. */
static bool set_published(struct reading *r, const char *interface)
{
	const char *from = zone_of(r, interface), *mask = after(r, 5, "netmask"), *host = after(r, 4, "host");
	int bits = mask ? mask_bits(mask) : 32;

	if (!from)
		return false;
	if (is(r, 3, "vip") && r->n >= 8)
		return set_vip(r, from);
	if (is(r, 3, "mip") && host && bits >= 0) {
		const char *name = q(r, pool_printf(&r->t->pool, "MIP-%s", r->w[4]));
		tree_say(r->t, r->line, "security nat static rule-set mip from zone %s", q(r, from));
		tree_say(r->t, r->line,
			"security nat static rule-set mip rule %s match destination-address %s", name,
			q(r, pool_printf(&r->t->pool, "%s/%d", r->w[4], bits)));
		/* Rules of policy name it as MIP(address), and are evaluated behind the translation here. */
		tree_say(r->t, r->line, "security address-book global address %s %s",
			q(r, pool_printf(&r->t->pool, "MIP(%s)", r->w[4])),
			q(r, pool_printf(&r->t->pool, "%s/%d", host, bits)));
		return tree_say(r->t, r->line,
			"security nat static rule-set mip rule %s then static-nat prefix %s", name,
			q(r, pool_printf(&r->t->pool, "%s/%d", host, bits)));
	}
	return false;
}

/* An interface of a trusted zone in mode NAT: what comes by it and goes to Untrust is translated, whatever its rule says. */
static bool set_mode(struct reading *r, const char *interface)
{
	const char *from = zone_of(r, interface);

	if (!from)
		return false;
	if (is(r, 3, "route") || strcmp(from, "Untrust") == 0)
		return tree_say(r->t, r->line, "security zones security-zone %s", q(r, from));
	const char *name = q(r, pool_printf(&r->t->pool, "mode-nat-%s", from));
	tree_say(r->t, r->line, "security nat source rule-set %s from zone %s", name, q(r, from));
	tree_say(r->t, r->line, "security nat source rule-set %s to zone Untrust", name);
	return tree_say(r->t, r->line, "security nat source rule-set %s rule %s then source-nat interface",
		name, name);
}

static bool set_interface(struct reading *r)
{
	const char *interface = r->w[2];

	if (r->n == 5 && is(r, 3, "zone"))
		return tree_say(r->t, r->line, "security zones security-zone %s interfaces %s", q(r, r->w[4]),
			q(r, strncmp(interface, "tunnel.", 7) == 0
					? pool_printf(&r->t->pool, "st0.%s", interface + 7)
					: interface));
	if (r->n == 5 && is(r, 3, "ip") && strchr(r->w[4], '/'))
		return set_address(r, interface, r->w[4]);
	if (is(r, 3, "manage"))
		return set_manage(r, interface);
	if ((is(r, 3, "mip") || is(r, 3, "vip")) && r->n >= 7)
		return set_published(r, interface);
	if (r->n == 4 && (is(r, 3, "nat") || is(r, 3, "route")))
		return set_mode(r, interface);
	if (r->n == 7 && is(r, 3, "dip") && atoi(r->w[4]) > 0)
		return tree_say(r->t, r->line, "security nat source pool %s address %s to %s",
			q(r, pool_printf(&r->t->pool, "dip-%s", r->w[4])), q(r, r->w[5]), q(r, r->w[6]));
	return false;
}

/* ---- objects ---- */

/* Services that ScreenOS has ready, by their names of Junos. */
static const char *service(struct reading *r, const char *word)
{
	static const char *const ready[][2] = { { "ANY", "any" }, { "HTTP", "junos-http" },
		{ "HTTPS", "junos-https" }, { "SSH", "junos-ssh" }, { "TELNET", "junos-telnet" },
		{ "FTP", "junos-ftp" }, { "TFTP", "junos-tftp" }, { "MAIL", "junos-smtp" },
		{ "SMTP", "junos-smtp" }, { "POP3", "junos-pop3" }, { "IMAP", "junos-imap" },
		{ "DNS", "junos-dns" }, { "NTP", "junos-ntp" }, { "PING", "junos-ping" },
		{ "ICMP-ANY", "junos-icmp-all" }, { "SNMP", "junos-snmp" }, { "SYSLOG", "junos-syslog" },
		{ "LDAP", "junos-ldap" }, { "IKE", "junos-ike" }, { "BGP", "junos-bgp" },
		{ "OSPF", "junos-ospf" }, { "GRE", "junos-gre" }, { "SIP", "junos-sip" },
		{ "NFS", "junos-nfs" }, { "SMB", "junos-smb-session" }, { "TCP-ANY", "junos-tcp-any" },
		{ "UDP-ANY", "junos-udp-any" }, { "TRACEROUTE", "junos-traceroute" },
		{ "RADIUS", "junos-radius" }, { "PPTP", "junos-pptp" }, { "H.323", "junos-h323" },
		{ "VNC", "junos-vnc" }, { "MS-SQL", "junos-ms-sql" }, { "WHOIS", "junos-whois" } };

	for (size_t i = 0; i < sizeof ready / sizeof *ready; i++) {
		if (strcmp(word, ready[i][0]) == 0 &&
			!node_at(&r->t->root, "applications", "application", word, NULL))
			return ready[i][1];
	}
	return word;
}

static bool set_object_address(struct reading *r)
{
	/* set address "Zone" "name" ADDRESS MASK ["comment"] | PREFIX | NAME.OF.DNS */
	const char *at;
	int bits;

	if (r->n < 5)
		return false;
	at = q(r, r->w[3]);
	bits = r->n > 5 ? mask_bits(r->w[5]) : -1;
	if (bits >= 0)
		return tree_say(r->t, r->line, "security zones security-zone %s address-book address %s %s",
			q(r, zone(r->w[2])), at, q(r, pool_printf(&r->t->pool, "%s/%d", r->w[4], bits)));
	if (strchr(r->w[4], '/') || strchr(r->w[4], ':'))
		return tree_say(r->t, r->line, "security zones security-zone %s address-book address %s %s",
			q(r, zone(r->w[2])), at, q(r, r->w[4]));
	return tree_say(r->t, r->line, "security zones security-zone %s address-book address %s dns-name %s",
		q(r, zone(r->w[2])), at, q(r, r->w[4]));
}

static bool set_group(struct reading *r)
{
	/* set group address "Zone" "group" add "member" | set group service "group" add "member" */
	const char *member;

	if (is(r, 2, "address") && r->n == 7 && is(r, 5, "add")) {
		const struct node *groups = node_at(&r->t->root, "security", "zones", "security-zone",
			r->w[3], "address-book", "address-set", NULL);
		member = node_child(groups, r->w[6]) ? "address-set" : "address";
		return tree_say(r->t, r->line,
			"security zones security-zone %s address-book address-set %s %s %s", q(r, r->w[3]),
			q(r, r->w[4]), member, q(r, r->w[6]));
	}
	if (is(r, 2, "service") && r->n == 6 && is(r, 4, "add")) {
		member = node_at(&r->t->root, "applications", "application-set", r->w[5], NULL)
				 ? "application-set"
				 : "application";
		return tree_say(r->t, r->line, "applications application-set %s %s %s", q(r, r->w[3]), member,
			q(r, service(r, r->w[5])));
	}
	if (is(r, 2, "address") && r->n == 5) /* it is there; what is in it follows */
		return tree_say(r->t, r->line, "security zones security-zone %s address-book address-set %s",
			q(r, r->w[3]), q(r, r->w[4]));
	if (is(r, 2, "service") && r->n == 4)
		return tree_say(r->t, r->line, "applications application-set %s", q(r, r->w[3]));
	return false;
}

/* Words of a service's line, each with its value: what Junos calls it, and what means any. */
static const struct {
	const char *word, *theirs, *any;
} service_words[] = { { "src-port", "source-port", "0-65535" }, { "dst-port", "destination-port", "0-65535" },
	{ "type", "icmp-type", "" }, { "code", "icmp-code", "" } };

/* set service "name" protocol tcp src-port 0-65535 dst-port 80-80 [timeout N] | set service "name" + tcp ... | set service "name" timeout N */
static bool set_service(struct reading *r)
{
	const char *name = q(r, r->w[2]), *term;
	const struct node *own = node_at(&r->t->root, "applications", "application", r->w[2], "term", NULL);
	size_t i = is(r, 3, "protocol") || is(r, 3, "+") ? 5 : 3;
	bool good = i <= r->n;
	unsigned n = 1;

	for (const struct node *t = own ? own->child : NULL; t; t = t->next)
		n++;
	term = i == 5 ? pool_printf(&r->t->pool, "%s term t%u", name, n) : name;
	if (i == 5 && good)
		tree_say(r->t, r->line, "applications application %s protocol %s", term, q(r, r->w[4]));
	for (; good && i + 1 < r->n; i += 2) {
		bool known = is(r, i, "timeout");
		if (known && strcmp(r->w[i + 1], "never") == 0)
			tree_say(r->t, r->line, "applications application %s inactivity-timeout never", term);
		else if (known)
			tree_say(r->t, r->line, "applications application %s inactivity-timeout %lu", term,
				60 * strtoul(r->w[i + 1], NULL, 10));
		for (size_t j = 0; j < sizeof service_words / sizeof *service_words && !known; j++) {
			known = is(r, i, service_words[j].word);
			if (known && strcmp(r->w[i + 1], service_words[j].any) != 0)
				tree_say(r->t, r->line, "applications application %s %s %s", term,
					service_words[j].theirs, q(r, r->w[i + 1]));
		}
		good = known;
	}
	if (!good || i < r->n)
		tree_say(r->t, r->line, "applications application %s " NOT_UNDERSTOOD, term);
	return good && i == r->n;
}

/* ---- policies ---- */

static const char *object(const char *word)
{
	return strcmp(word, "Any") == 0 || strcmp(word, "ANY") == 0 ? "any"
	       : strcmp(word, "Any-IPv4") == 0			    ? "any-ipv4"
	       : strcmp(word, "Any-IPv6") == 0			    ? "any-ipv6"
								    : word;
}

/* A statement of the policy whose lines these are. */
__attribute__((format(printf, 2, 3))) static bool of_policy(struct reading *r, const char *fmt, ...)
{
	char words[512];
	va_list args;

	va_start(args, fmt);
	vsnprintf(words, sizeof words, fmt, args);
	va_end(args);
	return tree_say(r->t, r->line, "security policies from-zone %s to-zone %s policy %s %s",
		q(r, r->from), q(r, r->to), q(r, r->id), words);
}

/* What stands behind the service: nat src [dip-id N] | tunnel vpn "v" | permit | deny | reject | log | count | ... */
static bool policy_action(struct reading *r, size_t i)
{
	bool good = true;

	for (; i < r->n; i++) {
		if (is(r, i, "nat") && is(r, i + 1, "src")) {
			bool pool = is(r, i + 2, "dip-id") && i + 3 < r->n;
			of_policy(r, "then permit nat-src %s",
				pool ? q(r, pool_printf(&r->t->pool, "dip-%s", r->w[i + 3])) : "interface");
			i += pool ? 3 : 1;
		} else if (is(r, i, "permit") || is(r, i, "deny") || is(r, i, "reject")) {
			of_policy(r, "then %s", r->w[i]);
		} else if (is(r, i, "log")) {
			of_policy(r, "then log session-close");
		} else if (is(r, i, "count")) {
			of_policy(r, "then count");
		} else if (is(r, i, "tunnel") && is(r, i + 1, "vpn") && i + 2 < r->n) {
			of_policy(r, "then permit tunnel ipsec-vpn %s", q(r, r->w[i + 2]));
			i += 2;
		} else {
			of_policy(r, "then permit %s", q(r, r->w[i]));
			good = false;
		}
	}
	return good;
}

static bool set_policy(struct reading *r)
{
	/* set policy [global] id 7 [name "n"] from "Trust" to "Untrust" "src" "dst" "svc" action... | set policy id 7 | set policy id 7 disable */
	size_t i = 2;
	const char *id = after(r, 2, "id"), *name = NULL;

	if (!id || is(r, 2, "global"))
		return false;
	i += 2;
	bool disable = is(r, i, "disable") && i + 1 == r->n;
	if (disable || i == r->n) { /* of the policy before; its further lines follow */
		struct node *policy = node_at(&r->t->root, "security", "policies", "from-zone", r->from,
			"to-zone", r->to, "policy", r->id, NULL);
		if (!policy || strcmp(r->id, id) != 0)
			return false;
		policy->inactive |= disable;
		r->inside = !disable;
		tree_end(r->t, policy, r->line);
		return true;
	}
	if (is(r, i, "name") && i + 1 < r->n) {
		name = r->w[i + 1];
		i += 2;
	}
	if (!is(r, i, "from") || !is(r, i + 2, "to") || i + 7 >= r->n)
		return false;
	snprintf(r->from, sizeof r->from, "%s", zone(r->w[i + 1]));
	snprintf(r->to, sizeof r->to, "%s", zone(r->w[i + 3]));
	snprintf(r->id, sizeof r->id, "%s", id);
	of_policy(r, "match source-address %s", q(r, object(r->w[i + 4])));
	of_policy(r, "match destination-address %s", q(r, object(r->w[i + 5])));
	of_policy(r, "match application %s", q(r, service(r, r->w[i + 6])));
	if (name)
		of_policy(r, "description %s", q(r, name));
	return policy_action(r, i + 7);
}

/* ---- tunnels and routes ---- */

static bool set_ike(struct reading *r)
{
	/* set ike gateway "gw" address 1.2.3.4 [Main|Aggr] [local-id "x"] outgoing-interface "e" preshare "..." ...
	 * set ike gateway ikev2 "gw" ... */
	size_t i = is(r, 3, "ikev2") ? 4 : 3;
	const char *address = after(r, i, "address"), *outgoing = after(r, i, "outgoing-interface"),
		   *local = after(r, i, "local-id"), *name;
	const char *peer = after(r, i, "peer-id");

	if (!is(r, 2, "gateway") || r->n <= i + 1 || (!address && !peer))
		return false;
	name = q(r, r->w[i]);
	tree_say(r->t, r->line, "security ike policy %s pre-shared-key ascii-text hidden", name);
	tree_say(r->t, r->line, "security ike gateway %s ike-policy %s", name, name);
	if (address && strcmp(address, "0.0.0.0") != 0)
		tree_say(r->t, r->line, "security ike gateway %s address %s", name, q(r, address));
	if (peer)
		tree_say(r->t, r->line, "security ike gateway %s dynamic hostname %s", name, q(r, peer));
	if (outgoing && zone_of(r, outgoing)) /* where a tunnel ends IKE is let in by itself there */
		tree_say(r->t, r->line,
			"security zones security-zone %s host-inbound-traffic system-services ike",
			q(r, zone_of(r, outgoing)));
	if (outgoing)
		tree_say(r->t, r->line, "security ike gateway %s external-interface %s", name,
			q(r, strchr(outgoing, '.') ? outgoing : pool_printf(&r->t->pool, "%s.0", outgoing)));
	if (local)
		tree_say(r->t, r->line, "security ike gateway %s local-identity hostname %s", name,
			q(r, local));
	if (i == 4)
		tree_say(r->t, r->line, "security ike gateway %s version v2-only", name);
	tree_say(r->t, r->line, "security ike policy %s proposal-set standard", name);
	return true;
}

static bool set_vpn(struct reading *r)
{
	/* set vpn "v" gateway "gw" ... | set vpn "v" id N bind interface tunnel.1 | set vpn "v" proxy-id local-ip A remote-ip B "ANY" */
	const char *name = q(r, r->w[2]),
		   *interface = is(r, 3, "id") ? after(r, 5, "interface") : after(r, 3, "interface");
	const char *local = after(r, 3, "local-ip"), *remote = after(r, 3, "remote-ip");

	if (is(r, 3, "gateway") && r->n > 4) {
		tree_say(r->t, r->line, "security ipsec policy %s proposal-set standard", name);
		tree_say(r->t, r->line, "security ipsec vpn %s ike ipsec-policy %s", name, name);
		return tree_say(r->t, r->line, "security ipsec vpn %s ike gateway %s", name, q(r, r->w[4]));
	}
	if (interface && strncmp(interface, "tunnel.", 7) == 0)
		return tree_say(
			r->t, r->line, "security ipsec vpn %s bind-interface st0.%s", name, interface + 7);
	if (local && remote) {
		tree_say(r->t, r->line, "security ipsec vpn %s ike proxy-identity local %s", name,
			q(r, local));
		return tree_say(r->t, r->line, "security ipsec vpn %s ike proxy-identity remote %s", name,
			q(r, remote));
	}
	return false;
}

static bool set_route(struct reading *r)
{
	const char *gateway = after(r, 3, "gateway"), *interface = after(r, 3, "interface");

	if (gateway)
		return tree_say(r->t, r->line, "routing-options static route %s next-hop %s", q(r, r->w[2]),
			q(r, gateway));
	if (interface)
		return tree_say(r->t, r->line, "routing-options static route %s next-hop %s", q(r, r->w[2]),
			q(r, strncmp(interface, "tunnel.", 7) == 0
					? pool_printf(&r->t->pool, "st0.%s", interface + 7)
					: pool_printf(&r->t->pool, "%s.0", interface)));
	return false;
}

static bool further_line(struct reading *r)
{
	if (!r->inside || r->n != 3)
		return false;
	if (is(r, 1, "src-address"))
		return of_policy(r, "match source-address %s", q(r, object(r->w[2])));
	if (is(r, 1, "dst-address"))
		return of_policy(r, "match destination-address %s", q(r, object(r->w[2])));
	if (is(r, 1, "service"))
		return of_policy(r, "match application %s", q(r, service(r, r->w[2])));
	return is(r, 1, "log") && of_policy(r, "then log session-init");
}

/* ---- lines ---- */

/* clang-format off */
static const struct {
	const char *word;
	enum import_outcome outcome;
	const char *note;
} others[] = {
	{ "admin",       IMPORT_HOST, "root is the host's; no password is taken over" },
	{ "clock",       IMPORT_HOST, "timedatectl" },
	{ "ntp",         IMPORT_HOST, "the host's chrony or systemd-timesyncd" },
	{ "dns",         IMPORT_HOST, "/etc/resolv.conf" },
	{ "domain",      IMPORT_HOST, "/etc/resolv.conf" },
	{ "ssh",         IMPORT_HOST, "the host's sshd" },
	{ "scp",         IMPORT_HOST, "the host's sshd" },
	{ "ssl",         IMPORT_NONE, "there is no web interface" },
	{ "snmp",        IMPORT_HOST, "the host's snmpd; measurements of the gateway: `system { metrics }`" },
	{ "console",     IMPORT_HOST, "" },
	{ "vrouter",     IMPORT_NONE, "the routing tables are the host's, as are VRFs" },
	{ "auth",        IMPORT_NONE, "there are no users behind addresses" },
	{ "auth-server", IMPORT_NONE, "there are no users behind addresses" },
	{ "user",        IMPORT_NONE, "there are no users behind addresses" },
	{ "syslog",      IMPORT_NONE, "where records of sessions go is said by `log { stream }`" },
	{ "pki",         IMPORT_HOST, "certificates are files: see docs/operating.md, \"Certificates\"" },
	{ "alg",         IMPORT_NONE, "application layer gateways are off unless `system { alg }` names them" },
	{ "flow",        IMPORT_NONE, "" },
	{ "nsmgmt",      IMPORT_NONE, "" },
	{ "nsrp",        IMPORT_NONE, "there is no cluster" },
	{ "config",      IMPORT_NONE, "" },
	{ "license-key", IMPORT_NONE, "" },
	{ "url",         IMPORT_NONE, "the gateway does not look into permitted traffic" },
	{ "av",          IMPORT_NONE, "the gateway does not look into permitted traffic" },
	{ "attack",      IMPORT_NONE, "the gateway does not look into permitted traffic" },
	{ "scheduler",   IMPORT_WRONG, "schedulers are not translated: write them here, and give the rules their names" },
};
/* clang-format on */

/* set admin user NAME password HASH privilege all | read-only: as Junos says it, with a password that nobody takes. */
static bool set_administrator(struct reading *r)
{
	const char *privilege = "read-only"; /* the default there */

	for (size_t i = 4; i + 1 < r->n; i++)
		if (is(r, i, "privilege"))
			privilege = is(r, i + 1, "all") ? "super-user" : r->w[i + 1];
	tree_say(r->t, r->line, "system login user %s class %s", q(r, r->w[3]), q(r, privilege));
	return tree_say(r->t, r->line, "system login user %s authentication password", q(r, r->w[3]));
}

static void one_line(struct reading *r)
{
	static const struct {
		const char *word;
		bool (*fn)(struct reading *r);
		size_t least;
	} commands[] = { { "zone", set_zone, 4 }, { "interface", set_interface, 4 },
		{ "address", set_object_address, 4 }, { "group", set_group, 4 },
		{ "service", set_service, 4 }, { "policy", set_policy, 4 }, { "ike", set_ike, 4 },
		{ "vpn", set_vpn, 4 }, { "route", set_route, 4 } };
	bool known = further_line(r);

	if (is(r, 0, "exit")) {
		r->inside = false;
		return;
	} else if (is(r, 0, "set") && is(r, 1, "hostname") && r->n == 3) {
		known = tree_say(r->t, r->line, "system host-name %s", q(r, r->w[2]));
	} else if (is(r, 0, "set") && !known) {
		for (size_t i = 0; i < sizeof commands / sizeof *commands; i++) {
			if (is(r, 1, commands[i].word) && r->n >= commands[i].least)
				known = commands[i].fn(r);
		}
	}
	if (!known && is(r, 0, "set") && is(r, 1, "admin") && is(r, 2, "manager-ip") && r->n >= 4) {
		int bits = r->n > 4 ? mask_bits(r->w[4]) : 32;
		known = tree_say(r->t, r->line, "screenos manager-ip %s",
			q(r, pool_printf(&r->t->pool, "%s/%d", r->w[3], bits < 0 ? 32 : bits)));
	}
	if (!known && is(r, 0, "set") && is(r, 1, "admin") && is(r, 2, "user") && r->n >= 4)
		known = set_administrator(r);
	for (size_t i = 0; i < sizeof others / sizeof *others && !known; i++) {
		if (is(r, 1, others[i].word)) {
			as_it_is(r, others[i].outcome, others[i].note);
			known = true;
		}
	}
	if (!known)
		as_it_is(r, is(r, 0, "unset") ? IMPORT_NONE : IMPORT_UNKNOWN,
			is(r, 0, "unset") ? "what is switched off there" : "");
}

/* The line as it stands there, without what is secret. */
static const char *own_words(struct reading *r)
{
	const char *text = "";
	bool hidden = false;

	for (size_t i = 0; i < r->n; i++) {
		text = pool_printf(&r->t->pool, "%s%s%s", text, i ? " " : "",
			hidden		       ? "***"
			: strchr(r->w[i], ' ') ? q(r, r->w[i])
					       : r->w[i]);
		if (strlen(text) > IMPORT_STATEMENT_MAX)
			break;
		hidden |= word_is_secret(r->w[i]);
	}
	return text;
}

enum rc screenos_read(struct tree *t, const char *text, size_t n, struct err *e)
{
	struct reading r = { .t = t };
	const char *words[LINE_WORDS_MAX], *end = text + n;

	while (text < end) {
		const char *to = memchr(text, '\n', (size_t)(end - text));
		struct err said = { 0 };
		if (!to)
			to = end;
		r.line++;
		if (*text != '#') {
			enum rc rc = line_words(t, text, (size_t)(to - text), words, &r.n, &said);
			if (rc)
				return err_add(e, rc, "line %u: %s", r.line, said.text);
			r.w = words;
			size_t before = t->ends_n;
			if (r.n)
				one_line(&r);
			const char *said_there = t->ends_n > before ? own_words(&r) : NULL;
			for (size_t i = before; i < t->ends_n; i++)
				t->ends[i].said = said_there;
		}
		text = to + (to < end);
	}
	return RC_OK;
}
