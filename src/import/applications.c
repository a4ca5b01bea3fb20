/* Applications: those that Junos has built in, and the configuration's own, whose terms become applications of a set. */
#include "import/translate.h"

#include "model/applications.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { FRESH, UNDER_WAY, MADE, FAILED }; /* node.state */

/* clang-format off */
/* Junos's applications: ours by name, or else a protocol with ports (or types of ICMP), for which one is made. */
static const struct {
	const char *theirs, *ours, *protocol, *ports;
} built_in[] = {
	{ "junos-http",          "http",       NULL, NULL }, { "junos-https",        "https",      NULL, NULL },
	{ "junos-dns",           "dns",        NULL, NULL }, { "junos-snmp",         "snmp",       NULL, NULL }, /* of ScreenOS */
	{ "junos-traceroute",    "traceroute", NULL, NULL },
	{ "junos-ssh",           "ssh",        NULL, NULL }, { "junos-telnet",       "telnet",     NULL, NULL },
	{ "junos-ftp",           "ftp",        NULL, NULL }, { "junos-tftp",         "tftp",       NULL, NULL },
	{ "junos-smtp",          "smtp",       NULL, NULL }, { "junos-smtps",        "smtps",      NULL, NULL },
	{ "junos-pop3",          "pop3",       NULL, NULL }, { "junos-pop3s",        "pop3s",      NULL, NULL },
	{ "junos-imap",          "imap",       NULL, NULL }, { "junos-imaps",        "imaps",      NULL, NULL },
	{ "junos-ntp",           "ntp",        NULL, NULL }, { "junos-ike",          "ike",        NULL, NULL },
	{ "junos-bgp",           "bgp",        NULL, NULL }, { "junos-ospf",         "ospf",       NULL, NULL },
	{ "junos-gre",           "gre",        NULL, NULL }, { "junos-icmp-all",     "icmp",       NULL, NULL },
	{ "junos-icmp6-all",     "icmp6",      NULL, NULL }, { "junos-sip",          "sip",        NULL, NULL },
	{ "junos-ldap",          "ldap",       NULL, NULL }, { "junos-ms-sql",       NULL,         "tcp", "1433" },
	{ "junos-dns-udp",       NULL,         "udp", "53" }, { "junos-dns-tcp",     NULL,         "tcp", "53" },
	{ "junos-ping",          NULL,         "icmp", "8" }, { "junos-icmp-ping",   NULL,         "icmp", "8" },
	{ "junos-pingv6",        NULL,         "icmp6", "128" }, { "junos-icmp6-echo-request", NULL, "icmp6", "128" },
	{ "junos-ike-nat",       NULL,         "udp", "4500" }, { "junos-syslog",    "syslog",     NULL, NULL },
	{ "junos-radius",        NULL,         "udp", "1812" }, { "junos-radacct",   NULL,         "udp", "1813" },
	{ "junos-tacacs",        NULL,         "tcp", "49" }, { "junos-tacacs-ds",   NULL,         "tcp", "65" },
	{ "junos-smb-session",   "smb",        NULL, NULL }, { "junos-netbios-session", NULL,      "tcp", "139" },
	{ "junos-nbname",        NULL,         "udp", "137" }, { "junos-nbds",       NULL,         "udp", "138" },
	{ "junos-nfs",           NULL,         "udp", "111" }, { "junos-nfsd-tcp",   "nfs",        NULL, NULL },
	{ "junos-nfsd-udp",      NULL,         "udp", "2049" }, { "junos-rsh",       NULL,         "tcp", "514" },
	{ "junos-finger",        NULL,         "tcp", "79" }, { "junos-whois",       NULL,         "tcp", "43" },
	{ "junos-gopher",        NULL,         "tcp", "70" }, { "junos-ident",       NULL,         "tcp", "113" },
	{ "junos-nntp",          NULL,         "tcp", "119" }, { "junos-rlogin",     NULL,         "tcp", "513" },
	{ "junos-lpr",           NULL,         "tcp", "515" }, { "junos-vnc",        NULL,         "tcp", "5800-5900" },
	{ "junos-pptp",          NULL,         "tcp", "1723" }, { "junos-l2tp",      NULL,         "udp", "1701" },
	{ "junos-rtsp",          NULL,         "tcp", "554" }, { "junos-h323",       NULL,         "tcp", "1720" },
	{ "junos-bootps",        NULL,         "udp", "67" }, { "junos-bootpc",      NULL,         "udp", "68" },
	{ "junos-dhcp-server",   NULL,         "udp", "67" }, { "junos-dhcp-client", NULL,         "udp", "68" },
	{ "junos-dhcp-relay",    NULL,         "udp", "67" }, { "junos-rip",         NULL,         "udp", "520" },
	{ "junos-tcp-any",       "tcp-any",    NULL, NULL }, { "junos-udp-any",      "udp-any",    NULL, NULL },
	{ "junos-internet-locator-service", NULL, "tcp", "389" }, { "junos-sqlnet-v2", NULL,       "tcp", "1521" },
	{ "junos-mgcp-ua",       NULL,         "udp", "2427" }, { "junos-discard",   NULL,         "udp", "9" },
	{ "junos-echo",          NULL,         "udp", "7" }, { "junos-chargen",      NULL,         "udp", "19" },
};
/* Ports that Junos knows by name. */
static const struct {
	const char *name, *port;
} port_names[] = {
	{ "bgp", "179" }, { "bootpc", "68" }, { "bootps", "67" }, { "dhcp", "67" }, { "domain", "53" }, { "finger", "79" }, { "ftp", "21" },
	{ "ftp-data", "20" }, { "http", "80" }, { "https", "443" }, { "ident", "113" }, { "imap", "143" }, { "kerberos-sec", "88" }, { "ldap", "389" },
	{ "login", "513" }, { "netbios-dgm", "138" }, { "netbios-ns", "137" }, { "netbios-ssn", "139" }, { "nfsd", "2049" }, { "nntp", "119" },
	{ "ntp", "123" }, { "pop3", "110" }, { "pptp", "1723" }, { "printer", "515" }, { "radacct", "1813" }, { "radius", "1812" }, { "rip", "520" },
	{ "smtp", "25" }, { "snmp", "161" }, { "snmptrap", "162" }, { "socks", "1080" }, { "ssh", "22" }, { "sunrpc", "111" }, { "syslog", "514" },
	{ "tacacs", "49" }, { "telnet", "23" }, { "tftp", "69" }, { "who", "513" }, { "xdmcp", "177" },
};
static const struct {
	const char *name, *number; /* number NULL: it has its name here, too */
} protocols[] = {
	{ "6", "tcp" }, { "17", "udp" }, { "1", "icmp" }, { "58", "icmp6" }, { "132", "sctp" },
	{ "tcp", NULL }, { "udp", NULL }, { "icmp", NULL }, { "icmp6", NULL }, { "icmpv6", "icmp6" }, { "sctp", NULL }, { "gre", "47" }, { "esp", "50" },
	{ "ah", "51" }, { "ospf", "89" }, { "egp", "8" }, { "igmp", "2" }, { "ipip", "4" }, { "pim", "103" }, { "rsvp", "46" }, { "ip", "0" },
};
static const char *const names_here[] = {
#define NAME_HERE(name, protocol, first, last) name,
	BUILT_IN_APPLICATIONS(NAME_HERE)
#undef NAME_HERE
};
/* Types of ICMP that begin something; of others nothing is made a session. */
static const char *const queries[] = { "8", "13", "15", "17", "42", "128", "139", "144", "146", "160" };
static const struct {
	const char *name, *number;
} types[] = { { "echo-request", "8" }, { "timestamp", "13" }, { "info-request", "15" }, { "mask-request", "17" } };
/* clang-format on */

/* ---- values ---- */

/* Of an application whose statements may stand in one line, one below the other. */
static struct node *attribute(const struct node *n, const char *word)
{
	for (struct node *c = n->child; c; c = c->next) {
		if (strcmp(c->word, word) == 0)
			return c;
	}
	for (struct node *c = n->child; c; c = c->next) {
		if (strcmp(c->word, "term") == 0 || strcmp(c->word, "description") == 0)
			continue;
		for (struct node *v = c->child; v; v = v->next) {
			struct node *found = attribute(v, word);
			if (found)
				return found;
		}
	}
	return NULL;
}

static struct node *attribute_value(const struct node *n, const char *word)
{
	struct node *a = attribute(n, word);

	return a ? a->last : NULL;
}

/* A port or a range, of numbers or a name; NULL: neither. */
static const char *ports_of(struct import *m, const char *word)
{
	const char *dash = strchr(word, '-');
	char first[PORTS_TEXT_MAX];

	for (size_t i = 0; i < sizeof port_names / sizeof *port_names; i++) {
		if (strcmp(word, port_names[i].name) == 0)
			return port_names[i].port;
	}
	if (!dash)
		return is_number(word, 0, 65535) ? word : NULL;
	if ((size_t)(dash - word) >= sizeof first)
		return NULL;
	memcpy(first, word, (size_t)(dash - word));
	first[dash - word] = '\0';
	if (!is_number(first, 0, 65535) || !is_number(dash + 1, 0, 65535) ||
		strtoul(first, NULL, 10) > strtoul(dash + 1, NULL, 10))
		return NULL;
	return strcmp(first, dash + 1) == 0 ? pool_text(&m->tree.pool, first, strlen(first)) : word;
}

static bool is_any(const char *ports)
{
	return strcmp(ports, "0-65535") == 0 || strcmp(ports, "1-65535") == 0;
}

static const char *protocol_of(const char *word)
{
	for (size_t i = 0; i < sizeof protocols / sizeof *protocols; i++) {
		if (strcmp(word, protocols[i].name) == 0)
			return protocols[i].number ? protocols[i].number : word;
	}
	return is_number(word, 1, 255) ? word : NULL;
}

/* ---- one application, or one term ---- */

__attribute__((format(printf, 3, 4))) static const char *failed(
	struct import *m, struct node *n, const char *fmt, ...)
{
	char text[256];
	va_list args;

	va_start(args, fmt);
	vsnprintf(text, sizeof text, fmt, args);
	va_end(args);
	n->state = FAILED;
	say(m, n, IMPORT_WRONG, "%s", text);
	return NULL;
}

static const char *ports_statement(struct import *m, struct node *n, struct out *lines, const char *word)
{
	struct node *v = attribute_value(n, word);
	const char *ports = v ? ports_of(m, v->word) : "";

	if (!ports)
		return failed(m, n, "'%s' is neither a port nor a range of ports", v->word);
	done(v);
	if (*ports && !is_any(ports))
		out_line(lines, "%s %s", word, ports);
	return ports;
}

static const char *icmp_statement(
	struct import *m, struct node *n, struct out *lines, const char *word, const char *here)
{
	struct node *v = attribute_value(n, word);
	const char *text = v ? v->word : "";
	bool known = !*text || strcmp(here, "icmp-code") == 0;

	for (size_t i = 0; v && i < sizeof types / sizeof *types; i++) {
		if (strcmp(text, types[i].name) == 0)
			text = types[i].number;
	}
	for (size_t i = 0; i < sizeof queries / sizeof *queries; i++)
		known |= strcmp(text, queries[i]) == 0;
	if (!known || (*text && !is_number(text, 0, 255)))
		return failed(m, n,
			"ICMP of type '%s' begins no session: errors and answers pass with the session that they belong to",
			text);
	done(v);
	if (*text)
		out_line(lines, "%s %s", here, text);
	return text;
}

static bool icmp(struct import *m, struct node *n, struct out *lines, const char *type, const char *code)
{
	if (attribute(n, code) && !attribute(n, type))
		return failed(m, n, "%s without %s: a code says something of its type only", code, type);
	return icmp_statement(m, n, lines, type, "icmp-type") &&
	       icmp_statement(m, n, lines, code, "icmp-code");
}

static void timeout_statement(struct import *m, const struct node *n, struct out *lines)
{
	struct node *v = attribute_value(n, "inactivity-timeout");

	if (!v)
		return;
	done(v);
	if (strcmp(v->word, "never") == 0)
		say(m, v, IMPORT_CHANGED, "a week, the longest timeout");
	else if (!is_number(v->word, 1, 604800))
		say(m, v, IMPORT_WRONG, "not a number of seconds, at most 604800");
	if (v->outcome != IMPORT_WRONG)
		out_line(lines, "inactivity-timeout %s", strcmp(v->word, "never") == 0 ? "604800" : v->word);
}

/* What only some protocols have: left out, it would be wider. */
static const char *const of_a_protocol[] = { "source-port", "destination-port", "icmp-type", "icmp-code",
	"icmp6-type", "icmp6-code" };

/* Its name here; NULL: it could not be translated, and says so. */
static const char *make_one(struct import *m, struct node *n, const char *name)
{
	struct out *o = &m->sections[SECTION_APPLICATIONS], lines = { .depth = 2 };
	struct node *v = attribute_value(n, "protocol");
	const char *protocol = v ? protocol_of(v->word) : NULL, *as = NULL;
	bool good = true;

	if (attribute(n, NOT_UNDERSTOOD))
		return failed(m, n, "a line of it was not understood");
	if (attribute(n, "uuid") || attribute(n, "rpc-program-number"))
		return failed(m, n, "%s", "RPC programs are not followed: name the ports that they have");
	if (!v)
		return failed(m, n, "%s", "it has no protocol");
	if (!protocol || strcmp(protocol, "0") == 0)
		return failed(m, n, "'%s' is no protocol", v->word);
	done(v);
	out_line(&lines, "protocol %s", protocol);
	if (strcmp(protocol, "tcp") == 0 || strcmp(protocol, "udp") == 0 || strcmp(protocol, "sctp") == 0) {
		good = ports_statement(m, n, &lines, "source-port") &&
		       ports_statement(m, n, &lines, "destination-port");
	} else if (strcmp(protocol, "icmp") == 0) {
		good = icmp(m, n, &lines, "icmp-type", "icmp-code");
	} else if (strcmp(protocol, "icmp6") == 0) {
		good = icmp(m, n, &lines, "icmp6-type", "icmp6-code");
	}
	for (size_t i = 0; good && i < sizeof of_a_protocol / sizeof *of_a_protocol; i++) {
		struct node *unread = attribute_value(n, of_a_protocol[i]);
		if (unread && unread->outcome == IMPORT_UNSAID)
			good = failed(m, n, "protocol '%s' has no %s", v->word, of_a_protocol[i]);
	}
	timeout_statement(m, n, &lines);
	v = attribute_value(n, "application-protocol");
	if (v)
		say(m, v, IMPORT_CHANGED,
			"an application layer gateway (ftp, tftp, sip) is switched on for the whole gateway, by `system { alg }`; others do not exist");
	if (good) {
		as = object_name(m, "application", name);
		out_open(o, "application %s", as);
		out_description(m, o, n);
		out_lines(o, &lines);
		out_close(o);
		done(n);
	}
	out_free(&lines);
	return as;
}

static void make_application(struct import *m, struct node *a)
{
	struct node *terms = node_child(a, "term");
	struct out *o = &m->sections[SECTION_APPLICATIONS], lines = { .depth = 2 };

	if (a->state != FRESH)
		return;
	a->state = left_out(m, a) ? FAILED : MADE;
	if (a->state == MADE && !terms)
		a->as = make_one(m, a, a->word);
	for (struct node *t = terms ? terms->child : NULL; t && a->state == MADE; t = t->next) {
		const char *as = make_one(m, t, pool_printf(&m->tree.pool, "%s-%s", a->word, t->word));
		if (!as)
			failed(m, a, "its term '%s' could not be translated", t->word);
		else
			out_line(&lines, "application %s", as);
	}
	if (terms && a->state == MADE) {
		a->as = object_name(m, "application", a->word);
		out_open(o, "application-set %s", a->as);
		out_description(m, o, a);
		out_lines(o, &lines);
		out_close(o);
		done(a);
	}
	out_free(&lines);
}

/* ---- sets, and what rules name ---- */

static const char *made_here(struct import *m, const char *name, const char *protocol, const char *ports)
{
	struct out *o = &m->sections[SECTION_APPLICATIONS];
	struct node *n = tree_enter(&m->tree, tree_enter(&m->tree, m->names, "made here", 0), name, 0);

	if (!n->as) {
		n->as = object_name(m, "application", name);
		out_open(o, "application %s", n->as);
		out_line(o, "protocol %s", protocol);
		if (*ports)
			out_line(o, "%s %s",
				strncmp(protocol, "icmp", 4) == 0 ? "icmp-type" : "destination-port", ports);
		out_close(o);
	}
	return n->as;
}

const char *application_for(struct import *m, const char *protocol, const char *ports)
{
	const char *good = *ports ? ports_of(m, ports) : "", *name = protocol_of(protocol);

	if (!good || !name)
		return NULL;
	return made_here(m, pool_printf(&m->tree.pool, *good ? "%s-%s" : "%s", protocol, good), name, good);
}

static bool application_is_set(const struct import *m, const char *word)
{
	const struct node *own = node_at(&m->tree.root, "applications", "application", word, NULL);

	return own ? node_child(own, "term") != NULL
		   : node_at(&m->tree.root, "applications", "application-set", word, NULL) != NULL;
}

static void make_set(struct import *m, struct node *set)
{
	struct out *o = &m->sections[SECTION_APPLICATIONS], lines = { .depth = 2 };

	if (set->state == UNDER_WAY)
		failed(m, set, "the set '%s' contains itself", set->word);
	if (m->nested == NESTED_MAX)
		failed(m, set, "the set '%s' is within too many sets", set->word);
	if (set->state != FRESH)
		return;
	set->state = left_out(m, set) ? FAILED : UNDER_WAY;
	m->nested++;
	for (struct node *list = set->child; list && set->state == UNDER_WAY; list = list->next) {
		bool sets = strcmp(list->word, "application-set") == 0;
		if (!sets && strcmp(list->word, "application") != 0)
			continue;
		for (struct node *member = list->child; member; member = member->next) {
			const char *why = NULL,
				   *as = left_out(m, member) ? NULL : application_as(m, member->word, &why);
			done(member);
			if (why)
				failed(m, set, "%s; rules that use the set are not translated either", why);
			else if (as)
				out_line(&lines, "%s %s",
					application_is_set(m, member->word) ? "application-set"
									    : "application",
					as);
		}
	}
	m->nested--;
	if (set->state == UNDER_WAY && !lines.n)
		failed(m, set, "the set '%s' is empty", set->word);
	if (set->state == UNDER_WAY) {
		set->state = MADE;
		set->as = object_name(m, "application", set->word);
		out_open(o, "application-set %s", set->as);
		out_description(m, o, set);
		out_lines(o, &lines);
		out_close(o);
		done(set);
	}
	out_free(&lines);
}

const char *application_as(struct import *m, const char *word, const char **ret_why)
{
	struct node *own = node_at(&m->tree.root, "applications", "application", word, NULL);

	if (strcmp(word, "any") == 0)
		return "any";
	if (own) {
		make_application(m, own);
	} else if ((own = node_at(&m->tree.root, "applications", "application-set", word, NULL))) {
		make_set(m, own);
	} else {
		for (size_t i = 0; i < sizeof built_in / sizeof *built_in; i++) {
			if (strcmp(word, built_in[i].theirs) == 0)
				return built_in[i].ours
					       ? built_in[i].ours
					       : made_here(m, word, built_in[i].protocol, built_in[i].ports);
		}
	}
	if (own && own->state == MADE)
		return own->as;
	*ret_why = pool_printf(&m->tree.pool,
		own ? "the application '%s' could not be translated" : "the application '%s' is not defined",
		word);
	return NULL;
}

void translate_applications(struct import *m)
{
	struct node *list = node_at(&m->tree.root, "applications", "application", NULL),
		    *sets = node_at(&m->tree.root, "applications", "application-set", NULL);

	/* One of the configuration's would take the place of one that is built in, in rules that mean the latter. */
	for (size_t i = 0; i < sizeof names_here / sizeof *names_here; i++)
		tree_enter(&m->tree, tree_enter(&m->tree, m->names, "application", 0), names_here[i], 0);
	for (struct node *a = list ? list->child : NULL; a; a = a->next)
		make_application(m, a);
	for (struct node *s = sets ? sets->child : NULL; s; s = s->next)
		make_set(m, s);
}
