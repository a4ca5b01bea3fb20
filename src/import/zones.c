/* The gateway's name, and zones: their interfaces, which services of the gateway they reach, their screen. */
#include "import/translate.h"

#include <stdio.h>
#include <string.h>

/* clang-format off */
/* What Junos calls a service or protocol of the gateway itself: its words here, "" for none. */
static const struct {
	const char *theirs, *ours, *note;
} services[] = {
	{ "ping",             "ping",             "" },
	{ "ssh",              "ssh",              "" },
	{ "https",            "https",            "" },
	{ "http",             "tcp/80",           "" },
	{ "snmp",             "snmp",             "" },
	{ "dns",              "dns",              "" },
	{ "dhcp",             "dhcp",             "" },
	{ "bootp",            "dhcp",             "" },
	{ "dhcpv6",           "dhcpv6",           "" },
	{ "ntp",              "ntp",              "" },
	{ "ike",              "ike",              "" },
	{ "traceroute",       "traceroute",       "" },
	{ "netconf",          "tcp/830",          "" },
	{ "bgp",              "bgp",              "" },
	{ "ospf",             "ospf",             "" },
	{ "ospf3",            "ospf",             "" },
	{ "vrrp",             "vrrp",             "" },
	{ "igmp",             "igmp",             "" },
	{ "bfd",              "udp/3784-3785",    "" },
	{ "rip",              "udp/520",          "" },
	{ "ripng",            "udp/521",          "" },
	{ "router-discovery", "router-discovery", "" },
	{ "ndp",              "",                 "neighbour discovery is always answered" },
	{ "telnet",           "",                 "the gateway has no telnet" },
};
/* clang-format on */
/* Of `all` and `any-service` these are taken: what runs on the gateway is the host's, and opened by name. */
static const char *const of_all[] = { "ping", "traceroute", "ike", "ssh" };

struct opened {
	const char *names[SERVICES_MAX];
	size_t n;
};

static bool has_service(const struct opened *o, const char *name)
{
	for (size_t i = 0; i < o->n; i++) {
		if (strcmp(o->names[i], name) == 0)
			return true;
	}
	return false;
}

/* `ssh except` closes what `all` opens. */
static bool is_excepted(const struct node *list, const char *ours)
{
	for (const struct node *s = list->child; s; s = s->next) {
		for (size_t i = 0; i < sizeof services / sizeof *services && node_child(s, "except"); i++) {
			if (strcmp(s->word, services[i].theirs) == 0 && strcmp(services[i].ours, ours) == 0)
				return true;
		}
	}
	return false;
}

static void open_service(struct opened *o, const struct node *list, const char *name)
{
	if (!has_service(o, name) && !is_excepted(list, name) && o->n < SERVICES_MAX)
		o->names[o->n++] = name;
}

static void one_service(struct import *m, struct opened *o, struct node *s)
{
	done(node_child(s, "except"));
	if (node_child(s, "except"))
		return;
	if (strcmp(s->word, "all") == 0 || strcmp(s->word, "any-service") == 0) {
		for (size_t i = 0; i < sizeof of_all / sizeof *of_all; i++)
			open_service(o, s->parent, of_all[i]);
		say(m, s, IMPORT_CHANGED,
			"services are opened by name: ping, traceroute, ike and ssh; add what this zone needs");
		return;
	}
	for (size_t i = 0; i < sizeof services / sizeof *services; i++) {
		if (strcmp(s->word, services[i].theirs) != 0)
			continue;
		if (*services[i].ours)
			open_service(o, s->parent, services[i].ours);
		else
			say(m, s, IMPORT_NONE, "%s", services[i].note);
		done(s);
		return;
	}
	say(m, s, IMPORT_NONE,
		"the gateway has no such service; a service of the host is opened by its port, as tcp/2222");
}

/* What the zone, or one interface of it, opens. false: it says nothing of it. */
static bool inbound(struct import *m, struct opened *o, const struct node *of)
{
	struct node *traffic = node_child(of, "host-inbound-traffic");

	for (struct node *s = traffic ? traffic->child : NULL; s; s = s->next) {
		if (strcmp(s->word, "system-services") != 0 && strcmp(s->word, "protocols") != 0)
			continue;
		for (struct node *c = s->child; c; c = c->next)
			one_service(m, o, c);
	}
	return traffic;
}

static bool is_tunnel(const struct node *interface)
{
	return strncmp(interface->word, "st0.", 4) == 0;
}

/* Whether it is one device: interfaces of tunnels are not counted. */
static bool only_device(const struct node *list)
{
	unsigned n = 0;

	for (const struct node *i = list->child; i; i = i->next)
		n += !is_tunnel(i);
	return n <= 1;
}

/*
 * In Junos what an interface opens is its own, and what the zone opens is for the others. Here it is the zone's: so it opens what each of its devices
 * opens there, and says which interfaces open more.
 */
static struct opened opened_of(struct import *m, const struct node *zone)
{
	const struct node *list = node_child(zone, "interfaces");
	struct opened all = { 0 }, both = { 0 };
	bool first = true;

	inbound(m, &all, zone);
	for (struct node *i = list ? list->child : NULL; i; i = i->next) {
		struct opened own = { 0 }, left = both;
		if (is_tunnel(i))
			continue;
		if (!inbound(m, &own, i))
			own = all;
		if (first) {
			both = own;
		} else {
			both.n = 0;
			for (size_t j = 0; j < left.n; j++) {
				if (has_service(&own, left.names[j]))
					both.names[both.n++] = left.names[j];
			}
		}
		first = false;
	}
	if (first)
		both = all;
	for (struct node *i = list ? list->child : NULL; i; i = i->next) {
		struct node *traffic = node_child(i, "host-inbound-traffic");
		if (traffic && !only_device(list))
			say(m, traffic, IMPORT_CHANGED,
				"services are opened to a whole zone: only what all of its interfaces open is opened; add the others to its host-inbound if the whole zone may have them");
		else if (traffic && node_child(zone, "host-inbound-traffic"))
			say(m, node_child(zone, "host-inbound-traffic"), IMPORT_CHANGED,
				"its interface has a list of its own, which is the one that counts");
	}
	return both;
}

static void interfaces(struct import *m, struct out *o, const struct node *zone)
{
	struct node *list = node_child(zone, "interfaces");

	for (struct node *i = list ? list->child : NULL; i; i = i->next) {
		done(i);
		if (is_tunnel(i))
			continue; /* with its tunnel */
		const char *name = interface_name(m, i->word);
		if (!name)
			say(m, i, IMPORT_WRONG,
				"its name is too long for an interface of Linux: say with --interfaces how it is called here");
		else if (strncmp(i->word, "lo0", 3) == 0)
			say(m, i, IMPORT_HOST, "addresses of the loopback interface need no zone");
		else
			out_line(o, "interfaces %s", name);
	}
}

/* ScreenOS: from where the gateway is managed; NULL: from anywhere. */
static const char *managers(struct import *m)
{
	struct node *list = node_at(&m->tree.root, "screenos", "manager-ip", NULL);
	struct out *o = &m->sections[SECTION_ADDRESSES];

	if (!list || list->as)
		return list ? list->as : NULL;
	list->as = object_name(m, "address", "managers");
	out_open(o, "address %s", list->as);
	for (struct node *a = list->child; a; a = a->next) {
		if (prefix_of(m, a->word))
			out_line(o, "prefix %s", prefix_of(m, a->word));
		done(a);
	}
	out_close(o);
	return list->as;
}

static void write_opened(struct import *m, struct out *o, const struct opened *opened)
{
	static const char *const of_managers[] = { "ssh", "https", "tcp/80", "snmp" };

	for (size_t i = 0; i < opened->n; i++) {
		bool managed = false;
		for (size_t j = 0; j < sizeof of_managers / sizeof *of_managers; j++)
			managed |= strcmp(opened->names[i], of_managers[j]) == 0;
		const char *from = managed ? managers(m) : NULL;
		if (!from) {
			out_line(o, "host-inbound %s", opened->names[i]);
			continue;
		}
		out_open(o, "host-inbound %s", opened->names[i]);
		out_line(o, "from %s", from);
		out_close(o);
	}
}

static void one_zone(struct import *m, struct node *zone)
{
	struct out *o = &m->sections[SECTION_ZONES];
	struct opened opened;
	const char *screen = value(m, zone, "screen");

	done(zone);
	out_open(o, "zone %s", zone->as);
	out_description(m, o, zone);
	opened = opened_of(m, zone);
	interfaces(m, o, zone);
	write_opened(m, o, &opened);
	if (screen && node_at(&m->tree.root, "security", "screen", "ids-option", screen, NULL))
		out_line(o, "screen %s",
			node_at(&m->tree.root, "security", "screen", "ids-option", screen, NULL)->as);
	else if (screen)
		say(m, value_node(zone, "screen"), IMPORT_WRONG, "there is no ids-option '%s'", screen);
	if (is_set(zone, "tcp-rst"))
		out_line(o, "tcp-rst");
	out_close(o);
}

void translate_zones(struct import *m)
{
	struct node *zones = node_at(&m->tree.root, "security", "zones", "security-zone", NULL);

	for (struct node *z = zones ? zones->child : NULL; z; z = z->next) {
		if (!left_out(m, z))
			one_zone(m, z);
	}
}

struct node *zone_named(const struct import *m, const char *word)
{
	struct node *z = node_at(&m->tree.root, "security", "zones", "security-zone", word, NULL);

	return z && !z->inactive ? z : NULL;
}

struct node *zone_of_interface(const struct import *m, const char *interface, bool *ret_alone)
{
	struct node *zones = node_at(&m->tree.root, "security", "zones", "security-zone", NULL);

	for (struct node *z = zones ? zones->child : NULL; z; z = z->next) {
		struct node *list = node_child(z, "interfaces");
		if (z->inactive || !node_child(list, interface))
			continue;
		*ret_alone = only_device(list);
		return z;
	}
	return NULL;
}

void translate_system(struct import *m)
{
	const struct node *system = node_child(&m->tree.root, "system");
	const char *name = value(m, system, "host-name"), *here;

	/* Names first: zones and screens name each other. */
	struct node *zones = node_at(&m->tree.root, "security", "zones", "security-zone", NULL);
	for (struct node *z = zones ? zones->child : NULL; z; z = z->next)
		z->as = object_name(m, "zone", z->word);
	struct node *screens = node_at(&m->tree.root, "security", "screen", "ids-option", NULL);
	for (struct node *s = screens ? screens->child : NULL; s; s = s->next)
		s->as = object_name(m, "screen", s->word);
	if (!name)
		return;
	char text[64];
	size_t n = 0;
	for (here = letters_of(m, name, "-", 63); *here; here++)
		text[n++] = *here == '_' ? '-' : *here;
	while (n && text[n - 1] == '-')
		n--;
	text[n] = '\0';
	here = text + strspn(text, "-");
	if (*here)
		out_line(&m->sections[SECTION_SYSTEM], "host-name %s", here);
	if (strcmp(here, name) != 0)
		say(m, value_node(system, "host-name"), IMPORT_CHANGED,
			"'%s' here: a host name is made of letters, digits and '-'", here);
}
