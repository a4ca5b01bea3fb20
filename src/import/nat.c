/*
 * NAT. There a rule stands in a set that says where a connection comes from and goes to, here it says so itself: of a set from several zones come
 * several rules. The sets that name an interface go before those that name a zone, as there.
 */
#include "import/translate.h"

#include <stdio.h>
#include <string.h>

/* Where a rule set's connections come from, or go to. */
struct sides {
	const char *zones[SIDES_MAX]; /* "": any */
	size_t n;
	const char *why; /* it cannot be said here */
};

struct rule {
	struct node *node;
	const char *why;
	struct out match, then;
};

static void cannot(struct import *m, struct rule *r, struct node *at, const char *why)
{
	if (!r->why)
		r->why = why;
	say(m, at, IMPORT_WRONG, "%s", why);
}

#define said(m, ...) pool_printf(&(m)->tree.pool, __VA_ARGS__)

/* ---- sides ---- */

static void one_side(struct import *m, struct sides *s, struct node *kind, struct node *v)
{
	const char *word = NULL;
	bool alone;

	if (strcmp(kind->word, "zone") == 0 && zone_named(m, v->word)) {
		word = zone_named(m, v->word)->as;
	} else if (strcmp(kind->word, "interface") == 0 && zone_of_interface(m, v->word, &alone)) {
		word = zone_of_interface(m, v->word, &alone)->as;
		if (!alone)
			say(m, v, IMPORT_CHANGED, "the interface's zone '%s', which has others as well",
				word);
	} else if (strcmp(kind->word, "routing-instance") == 0 && strcmp(v->word, "default") == 0) {
		word = "";
	}
	if (!word) {
		s->why = strcmp(kind->word, "routing-instance") == 0
				 ? "rules of NAT know zones, and no routing instances"
			 : strcmp(kind->word, "zone") == 0
				 ? said(m, "there is no zone '%s'", v->word)
				 : said(m, "no zone has the interface '%s'", v->word);
		say(m, v, IMPORT_WRONG, "%s", s->why);
	} else if (s->n < SIDES_MAX) {
		s->zones[s->n++] = word;
		done(v);
	} else {
		s->why = "more zones than rules are made for";
	}
}

static struct sides sides_of(struct import *m, const struct node *set, const char *direction)
{
	struct sides s = { 0 };
	struct node *from = node_child(set, direction);

	for (struct node *kind = from ? from->child : NULL; kind; kind = kind->next) {
		for (struct node *v = kind->child; v; v = v->next)
			one_side(m, &s, kind, v);
	}
	if (!s.n && !s.why)
		s.zones[s.n++] = "";
	return s;
}

static bool by_interface(const struct node *set)
{
	return node_at(set, "from", "interface", NULL) || node_at(set, "to", "interface", NULL);
}

/* ---- match ---- */

static void match_addresses(struct import *m, struct rule *r, struct node *list, const char *here, bool named)
{
	for (struct node *a = list->child; a; a = a->next) {
		const char *why = NULL,
			   *as = named ? address_as(m, NULL, a->word, &why) : address_for(m, a->word);
		done(a);
		if (!as)
			cannot(m, r, a,
				why ? why : said(m, "'%s' is neither an address nor a prefix", a->word));
		else if (strcmp(as, "any") != 0)
			out_line(&r->match, "%s %s", here, as);
	}
}

/* Ports, for each protocol that the rule names, or for TCP and UDP. */
static void match_ports(struct import *m, struct rule *r, const struct node *match, struct node *ports)
{
	static const char *const both[] = { "tcp", "udp" };
	struct node *protocol = node_child(match, "protocol");

	for (struct node *v = ports->child; v; v = v->next) {
		const struct node *to = node_child(v, "to");
		const char *range = to && to->last
					    ? pool_printf(&m->tree.pool, "%s-%s", v->word, to->last->word)
					    : v->word;
		done_all(v);
		for (size_t i = 0; i < 2 && !protocol; i++) {
			const char *as = application_for(m, both[i], range);
			if (as)
				out_line(&r->match, "application %s", as);
			else
				cannot(m, r, v,
					said(m, "'%s' is neither a port nor a range of ports", range));
		}
		for (struct node *p = protocol ? protocol->child : NULL; p; p = p->next) {
			const char *as = application_for(m, p->word, range);
			done(p);
			if (as)
				out_line(&r->match, "application %s", as);
			else
				cannot(m, r, p, said(m, "'%s' has no ports", p->word));
		}
	}
}

static void match_rule(struct import *m, struct rule *r, bool applications)
{
	struct node *match = node_child(r->node, "match");

	for (struct node *c = match ? match->child : NULL; c; c = c->next) {
		bool named = strstr(c->word, "-name") != NULL;
		if (strncmp(c->word, "source-address", 14) == 0) {
			match_addresses(m, r, c, "source", named);
		} else if (strncmp(c->word, "destination-address", 19) == 0) {
			match_addresses(m, r, c, "destination", named);
		} else if (applications && strcmp(c->word, "destination-port") == 0) {
			match_ports(m, r, match, c);
		} else if (applications && strcmp(c->word, "application") == 0) {
			for (struct node *a = c->child; a; a = a->next) {
				const char *why = NULL, *as = application_as(m, a->word, &why);
				done(a);
				if (why)
					cannot(m, r, a, why);
				else if (strcmp(as, "any") != 0)
					out_line(&r->match, "application %s", as);
			}
		} else if (!applications || strcmp(c->word, "protocol") != 0 ||
			   !node_child(match, "destination-port")) {
			cannot(m, r, c, said(m, "a rule of NAT of this kind has no condition '%s'", c->word));
		}
	}
}

/* ---- source ---- */

/* An address, `A to B`, or a prefix, as a pool has it; NULL: none of these. */
static const char *pool_part(struct import *m, struct node *a)
{
	const struct node *to = node_child(a, "to");
	const char *slash, *first = prefix_of(m, a->word),
			   *last = to && to->last ? prefix_of(m, to->last->word) : NULL;

	done_all(a);
	if (!to || !first || !last)
		return to ? NULL : first;
	/* A range is of addresses, whatever prefix length stands beside them. */
	slash = strchr(a->word, '/');
	first = address_of(m, slash ? pool_text(&m->tree.pool, a->word, (size_t)(slash - a->word)) : a->word);
	slash = strchr(to->last->word, '/');
	last = address_of(
		m, slash ? pool_text(&m->tree.pool, to->last->word, (size_t)(slash - to->last->word))
			 : to->last->word);
	return first && last && in_order(first, last) ? pool_printf(&m->tree.pool, "%s-%s", first, last)
						      : NULL;
}

static void source_pool(struct import *m, struct rule *r, struct node *v)
{
	struct node *pool = node_at(&m->tree.root, "security", "nat", "source", "pool", v->word, NULL),
		    *addresses = node_child(pool, "address");
	size_t parts = 0;

	done(v);
	done(pool);
	for (struct node *a = addresses ? addresses->child : NULL; a; a = a->next) {
		const char *text = pool_part(m, a);
		if (text)
			out_line(&r->then, "source-nat %s", text);
		else
			cannot(m, r, a, said(m, "'%s' is not an address of a pool", a->word));
		parts++;
	}
	if (!parts)
		cannot(m, r, v, said(m, "the pool '%s' has no address", v->word));
	if (node_at(pool, "port", "no-translation", NULL)) {
		done(node_at(pool, "port", "no-translation", NULL));
		out_line(&r->then, "port-no-translation");
	}
	if (node_child(pool, "host-address-base"))
		cannot(m, r, node_child(pool, "host-address-base"),
			"host-address-base needs the pool as a prefix: write the rule here");
	if (node_child(pool, "routing-instance"))
		cannot(m, r, node_child(pool, "routing-instance"), "a pool has no routing instance");
	say(m, node_child(pool, "description"), IMPORT_NONE,
		"pools are written in their rules, which have descriptions");
	say(m, node_at(pool, "port", NULL), IMPORT_NONE,
		"source NAT uses the ports of `system { nat-ports }`");
	say(m, node_child(pool, "overflow-pool"), IMPORT_NONE,
		"a pool that is exhausted drops, and counts it");
}

static void persistent(struct import *m, struct rule *r, const struct node *of)
{
	const struct node *p = node_child(of, "persistent-nat");
	const char *permit = p ? value(m, p, "permit") : NULL,
		   *timeout = p ? value(m, p, "inactivity-timeout") : NULL, *limit;

	if (!permit)
		return;
	limit = value(m, p, "max-session-number");
	out_line(&r->then, "persistent-nat %s",
		strcmp(permit, "any-remote-host") == 0 ? "endpoint-independent"
		: strcmp(permit, "target-host") == 0   ? "address-dependent"
						       : "address-and-port-dependent");
	if (timeout && is_number(timeout, 120, 86400))
		out_line(&r->then, "persistent-nat-timeout %s", timeout);
	if (limit)
		say(m, value_node(p, "max-session-number"), IMPORT_CHANGED,
			"there of sessions of a binding; here bindings of a host are limited, at 2048");
}

static void source_then(struct import *m, struct rule *r)
{
	struct node *nat = node_at(r->node, "then", "source-nat", NULL), *v = nat ? nat->last : NULL;

	if (!v) {
		cannot(m, r, r->node, "it has no source-nat");
	} else if (strcmp(v->word, "off") == 0 || strcmp(v->word, "interface") == 0) {
		done(v);
		out_line(&r->then, "source-nat %s", v->word);
		persistent(m, r, v);
	} else if (strcmp(v->word, "pool") == 0 && v->last) {
		source_pool(m, r, v->last);
		persistent(m, r, v->last);
		persistent(m, r, v);
	} else {
		cannot(m, r, v, said(m, "source-nat '%s' does not exist here", v->word));
	}
}

/* ---- destination ---- */

static void destination_then(struct import *m, struct rule *r)
{
	struct node *nat = node_at(r->node, "then", "destination-nat", NULL), *v = nat ? nat->last : NULL;
	struct node *pool;
	const struct node *addresses;

	if (v && strcmp(v->word, "off") == 0) {
		done(v);
		out_line(&r->then, "destination-nat off");
		return;
	}
	if (!v || strcmp(v->word, "pool") != 0 || !v->last) {
		cannot(m, r, v ? v : r->node, "it has no destination-nat pool");
		return;
	}
	done(v->last);
	pool = node_at(&m->tree.root, "security", "nat", "destination", "pool", v->last->word, NULL);
	done(pool);
	addresses = node_child(pool, "address");
	if (!addresses || !addresses->child) {
		cannot(m, r, v->last, said(m, "the pool '%s' has no address", v->last->word));
		return;
	}
	for (struct node *a = addresses->child; a; a = a->next) {
		if (strcmp(a->word, "port") == 0)
			continue;
		const char *text = pool_part(m, a), *slash = text ? strchr(text, '/') : NULL;
		if (!text || (slash && strcmp(slash, "/32") != 0 && strcmp(slash, "/128") != 0))
			cannot(m, r, a, said(m, "'%s' is neither a server nor a range of servers", a->word));
		else
			out_line(&r->then, "destination-nat %.*s",
				(int)(slash ? slash - text : (long)strlen(text)), text);
		const char *port = value(m, a, "port");
		if (!port)
			port = value(m, addresses, "port");
		if (port && is_number(port, 1, 65535))
			out_line(&r->then, "port %s", port);
	}
}

/* ---- static ---- */

/* A prefix by itself, or by the name of an address of the global book. */
static const char *static_prefix(struct import *m, struct rule *r, struct node *v, bool named)
{
	const struct node *a =
		named ? node_at(&m->tree.root, "security", "address-book", "global", "address", v->word, NULL)
		      : NULL;
	const char *text = named ? NULL : prefix_of(m, v->word);

	done(v);
	for (struct node *c = a ? a->child : NULL; c && !text; c = c->next)
		text = prefix_of(m, c->word);
	if (!text)
		cannot(m, r, v, said(m, "'%s' is not a prefix", v->word));
	return text;
}

static void static_rule(struct import *m, struct rule *r)
{
	struct node *match = node_child(r->node, "match"),
		    *nat = node_at(r->node, "then", "static-nat", NULL);
	struct node *from = value_node(match, "destination-address"), *to = value_node(nat, "prefix");
	bool from_named = !from, to_named = !to;
	const char *text;

	if (from_named)
		from = value_node(match, "destination-address-name");
	if (to_named)
		to = value_node(nat, "prefix-name");
	for (struct node *c = match ? match->child : NULL; c; c = c->next) {
		if (strncmp(c->word, "destination-address", 19) != 0)
			cannot(m, r, c,
				said(m, "static NAT has no condition '%s' here: use destination NAT",
					c->word));
	}
	if (!from || !to) {
		cannot(m, r, r->node, "it has no destination-address, or no prefix");
		return;
	}
	if ((text = static_prefix(m, r, from, from_named)))
		out_line(&r->match, "destination %s", text);
	if ((text = static_prefix(m, r, to, to_named)))
		out_line(&r->then, "static-nat %s", text);
	for (struct node *c = nat->child; c; c = c->next) {
		if (strcmp(c->word, "prefix") != 0 && strcmp(c->word, "prefix-name") != 0)
			cannot(m, r, c, said(m, "static-nat '%s' does not exist here", c->word));
		for (struct node *more = node_child(c, "routing-instance"); more; more = NULL)
			cannot(m, r, more, "static NAT knows no routing instances");
	}
	if (node_child(to, "mapped-port"))
		cannot(m, r, node_child(to, "mapped-port"), "static NAT keeps ports: use destination NAT");
}

/* ---- rules ---- */

static void write_rule(
	struct import *m, struct out *o, struct rule *r, const char *kind, const char *from, const char *to)
{
	out_open(o, "%srule %s", r->node->inactive ? "inactive: " : "", object_name(m, kind, r->node->word));
	out_description(m, o, r->node);
	if (*from)
		out_line(o, "from %s", from);
	if (*to)
		out_line(o, "to %s", to);
	if (r->match.n) {
		out_open(o, "match");
		out_lines(o, &r->match);
		out_close(o);
	}
	out_open(o, "then");
	out_lines(o, &r->then);
	out_close(o);
	out_close(o);
}

static void one_rule(struct import *m, struct out *o, const char *kind, struct node *n,
	const struct sides *from, const struct sides *to)
{
	struct rule r = { .node = n, .match.depth = 4, .then.depth = 4 };
	bool fixed = strcmp(kind, "static") == 0;

	if (fixed) {
		static_rule(m, &r);
	} else {
		match_rule(m, &r, strcmp(kind, "destination") == 0);
		if (strcmp(kind, "source") == 0)
			source_then(m, &r);
		else
			destination_then(m, &r);
	}
	if (strcmp(kind, "destination") == 0 && !node_at(n, "match", "destination-address", NULL) &&
		!node_at(n, "match", "destination-address-name", NULL))
		cannot(m, &r, n,
			"it has no destination-address: a rule of destination NAT says which addresses are published");
	if (from->why || to->why)
		cannot(m, &r, n, from->why ? from->why : to->why);
	if (fixed && !r.why && !*from->zones[0])
		cannot(m, &r, n, "static NAT needs the zone in which its addresses are known");
	if (r.why) {
		out_remark(o, "rule %s (line %u) is not here: %s", n->word, n->line, r.why);
		say(m, n, IMPORT_WRONG, "the rule is not translated: %s", r.why);
	}
	for (size_t i = 0; i < from->n && !r.why; i++) {
		for (size_t j = 0; j < to->n; j++)
			write_rule(m, o, &r, kind, from->zones[i], to->zones[j]);
	}
	if (!r.why)
		done(n);
	out_free(&r.match);
	out_free(&r.then);
}

static void rule_sets(struct import *m, const char *kind)
{
	struct node *sets = node_at(&m->tree.root, "security", "nat", kind, "rule-set", NULL);
	struct out *o = &m->sections[SECTION_NAT], lines = { .depth = 2 };

	for (int pass = 0; pass < 2; pass++) {
		for (struct node *set = sets ? sets->child : NULL; set; set = set->next) {
			struct node *rules = node_child(set, "rule");
			if (by_interface(set) != (pass == 0) || left_out(m, set))
				continue;
			struct sides from = sides_of(m, set, "from"), to = sides_of(m, set, "to");
			done(set);
			say(m, node_child(set, "description"), IMPORT_NONE,
				"rules have descriptions, sets of them do not exist");
			for (struct node *r = rules ? rules->child : NULL; r; r = r->next)
				one_rule(m, &lines, kind, r, &from, &to);
		}
	}
	if (strcmp(kind, "source") == 0)
		out_lines(&lines, &m->policy_nat);
	if (lines.n) {
		out_open(o, "%s", kind);
		out_lines(o, &lines);
		out_close(o);
	}
	out_free(&lines);
}

static void proxies(struct import *m, const char *kind)
{
	struct node *interfaces = node_at(&m->tree.root, "security", "nat", kind, "interface", NULL);
	struct out *o = &m->sections[SECTION_NAT];

	for (struct node *i = interfaces ? interfaces->child : NULL; i; i = i->next) {
		struct node *addresses = node_child(i, "address");
		const char *name = interface_name(m, i->word);
		if (left_out(m, i) || !addresses || !name)
			continue;
		out_open(o, "%s %s", kind, name);
		for (struct node *a = addresses->child; a; a = a->next) {
			const char *text = pool_part(m, a);
			if (text)
				out_line(o, "address %s", text);
			else
				say(m, a, IMPORT_WRONG, "neither an address nor `A to B`");
		}
		out_close(o);
	}
}

static void unused(struct import *m, const char *kind)
{
	struct node *pools = node_at(&m->tree.root, "security", "nat", kind, "pool", NULL);

	for (struct node *p = pools ? pools->child : NULL; p; p = p->next) {
		if (p->outcome == IMPORT_UNSAID)
			say(m, p, IMPORT_NONE, "no rule that is translated uses the pool");
	}
}

void translate_nat(struct import *m)
{
	proxies(m, "proxy-arp");
	proxies(m, "proxy-ndp");
	rule_sets(m, "static");
	rule_sets(m, "destination");
	rule_sets(m, "source");
	unused(m, "source");
	unused(m, "destination");
}
