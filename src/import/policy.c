/*
 * Rules of policy. A rule is translated whole or not at all: without one of its conditions it would permit more, or deny more, than was
 * meant. Where one is missing a comment stands in its place, and says why; one that denies is told of in particular, since what it
 * denied reaches the rules after it.
 */
#include "import/translate.h"

#include <stdio.h>
#include <string.h>

/* A rule in the making. */
struct rule {
	struct node *node;
	const char *why;		   /* it cannot be translated; NULL: it can */
	struct out match, then, addresses; /* of match, those of addresses alone */
	bool denies;
	struct node *nat; /* ScreenOS: the rule translates, to `interface` or a pool; NULL: it does not */
};

static void cannot(struct import *m, struct rule *r, struct node *at, const char *why)
{
	if (!r->why)
		r->why = why;
	say(m, at, IMPORT_WRONG, "%s", why);
}

/* ---- match ---- */

/* source-address and destination-address. */
static void addresses(
	struct import *m, struct rule *r, struct node *list, const char *here, const struct node *zone)
{
	struct node *all = node_child(list, "any");

	for (struct node *a = list->child; a; a = a->next) {
		const char *why = NULL, *as = left_out(m, a) ? NULL : address_as(m, zone, a->word, &why);
		done(a);
		if (all && !all->inactive && a != all) /* which has the others in it */
			continue;
		if (why)
			cannot(m, r, a, why);
		else if (as)
			out_line(&r->match, "%s %s", here, as);
		else
			cannot(m, r, a, "a condition of it is deactivated there");
		if (as && strcmp(as, "any") != 0)
			out_line(&r->addresses, "%s %s", here, as);
	}
}

static void applications(struct import *m, struct rule *r, struct node *list)
{
	struct node *all = node_child(list, "any");

	for (struct node *a = list->child; a; a = a->next) {
		const char *why = NULL, *as = left_out(m, a) ? NULL : application_as(m, a->word, &why);
		done(a);
		if (all && !all->inactive && a != all)
			continue;
		if (why)
			cannot(m, r, a, why);
		else if (as)
			out_line(&r->match, "application %s", as);
		else
			cannot(m, r, a, "a condition of it is deactivated there");
	}
}

static void match(struct import *m, struct rule *r, const struct node *from, const struct node *to)
{
	struct node *match = node_child(r->node, "match");
	bool has_source = false, has_destination = false, has_application = false;

	for (struct node *c = match ? match->child : NULL; c; c = c->next) {
		if (strcmp(c->word, "source-address") == 0 && c->child) {
			has_source = true;
			addresses(m, r, c, "source", from);
		} else if (strcmp(c->word, "destination-address") == 0 && c->child) {
			has_destination = true;
			addresses(m, r, c, "destination", to);
		} else if (strcmp(c->word, "application") == 0 && c->child) {
			has_application = true;
			applications(m, r, c);
		} else if ((strcmp(c->word, "from-zone") == 0 || strcmp(c->word, "to-zone") == 0) &&
			   c->last && strcmp(c->last->word, "any") == 0) {
			done_all(c);
		} else {
			cannot(m, r, c,
				pool_printf(&m->tree.pool, "there is no condition '%s' here", c->word));
		}
	}
	if (!has_source || !has_destination || !has_application)
		cannot(m, r, r->node,
			pool_printf(&m->tree.pool, "it has no %s",
				!has_source	   ? "source-address"
				: !has_destination ? "destination-address"
						   : "application"));
}

/* ---- then ---- */

/* `permit` with more: what only looks into permitted traffic is left out and said; what decides whether it passes is not. */
static void permit(struct import *m, struct rule *r, struct node *n)
{
	done(n);
	out_line(&r->then, "permit");
	for (struct node *c = n->child; c; c = c->next) {
		struct node *vpn = node_at(c, "ipsec-vpn", NULL);
		if (strcmp(c->word, "nat-src") == 0 && c->last) {
			r->nat = c->last;
			done(c->last);
		} else if (strcmp(c->word, "tunnel") == 0 && vpn && vpn->last) {
			const struct node *tunnel =
				node_at(&m->tree.root, "security", "ipsec", "vpn", vpn->last->word, NULL);
			done_all(c);
			if (!tunnel || !tunnel->as)
				cannot(m, r, vpn->last,
					pool_printf(
						&m->tree.pool, "there is no tunnel '%s'", vpn->last->word));
			else
				say(m, vpn->last, IMPORT_CHANGED,
					"the tunnel's selectors choose what it carries: give '%s' local and remote, and have this rule between its zone and the other one",
					tunnel->as);
		} else if (strcmp(c->word, "application-services") == 0) {
			say(m, c, IMPORT_NONE,
				"the gateway does not look into permitted traffic (IDP, UTM, application firewall)");
		} else if (strcmp(c->word, "tcp-options") == 0) {
			say(m, c, IMPORT_NONE,
				"TCP is always followed: a session begins with a SYN, and segments outside of its windows are dropped");
		} else {
			cannot(m, r, c,
				pool_printf(&m->tree.pool,
					"'permit %s' does not exist here, and without it more would be permitted",
					c->word));
		}
	}
}

static void log_of(struct import *m, struct rule *r, struct node *log)
{
	bool init = is_set(log, "session-init"), close = is_set(log, "session-close");

	(void)m;
	if (!init && !close)
		return;
	out_open(&r->then, "log");
	if (init)
		out_line(&r->then, "session-init");
	if (close)
		out_line(&r->then, "session-close");
	out_close(&r->then);
}

static void then(struct import *m, struct rule *r)
{
	struct node *then = node_child(r->node, "then");
	unsigned actions = 0;

	for (struct node *c = then ? then->child : NULL; c; c = c->next) {
		if (strcmp(c->word, "permit") == 0) {
			permit(m, r, c);
			actions++;
		} else if (strcmp(c->word, "deny") == 0 || strcmp(c->word, "reject") == 0) {
			done(c);
			out_line(&r->then, "%s", c->word);
			r->denies = true;
			actions++;
			for (struct node *more = c->child; more; more = more->next)
				say(m, more, IMPORT_NONE, "who is refused gets no page");
		} else if (strcmp(c->word, "log") == 0) {
			log_of(m, r, c);
		} else if (strcmp(c->word, "count") == 0) {
			done(c);
			out_line(&r->then, "count");
			for (struct node *more = c->child; more; more = more->next)
				say(m, more, IMPORT_NONE,
					"counters raise no alarms: Prometheus does, from `metrics`");
		} else {
			cannot(m, r, c, pool_printf(&m->tree.pool, "there is no action '%s' here", c->word));
		}
	}
	if (actions != 1)
		cannot(m, r, r->node,
			actions ? "it has several actions" : "it has no action: permit, deny or reject");
}

/* ---- rules, and whose they are ---- */

/* ScreenOS translates by rules of policy, here translation has rules of its own. */
static void translation(
	struct import *m, const struct rule *r, const struct node *from, const struct node *to)
{
	struct out *o = &m->policy_nat;
	struct node *pool = node_at(&m->tree.root, "security", "nat", "source", "pool", r->nat->word,
			    "address", NULL),
		    *a = pool ? pool->child : NULL;
	const struct node *last = a ? node_at(a, "to", NULL) : NULL;
	const char *first = a ? address_of(m, a->word) : NULL;

	o->depth = 2;
	done_all(pool ? pool->parent : NULL);
	out_open(o, "rule %s",
		object_name(m, "source", pool_printf(&m->tree.pool, "policy-%s", r->node->word)));
	out_line(o, "from %s", from->as);
	out_line(o, "to %s", to->as);
	if (r->addresses.n) {
		out_open(o, "match");
		out_lines(o, &r->addresses);
		out_close(o);
	}
	out_open(o, "then");
	if (first && last && last->last && address_of(m, last->last->word))
		out_line(o, "source-nat %s-%s", first, address_of(m, last->last->word));
	else
		out_line(o, "source-nat interface");
	out_close(o);
	out_close(o);
	if (strcmp(r->nat->word, "interface") != 0 && !first)
		say(m, r->nat, IMPORT_WRONG, "there is no such pool: the interface's address is taken");
	if (node_at(r->node, "match", "application", NULL) &&
		!node_at(r->node, "match", "application", "any", NULL))
		say(m, r->nat, IMPORT_CHANGED,
			"source NAT is not chosen by application: all that goes from these addresses to those is translated");
}

/* ScreenOS: to published ports, whatever the service. */
static bool of_published_ports(const struct node *n)
{
	const struct node *to = node_at(n, "match", "destination-address", NULL);
	bool published = false;

	for (const struct node *a = to ? to->child : NULL; a; a = a->next)
		published |= strncmp(a->word, "VIP(", 4) == 0;
	return published && node_at(n, "match", "application", "any", NULL);
}

static void one_rule(struct import *m, struct out *o, struct node *n, const struct node *from,
	const struct node *to, const char *zone_missing)
{
	struct rule r = {
		.node = n, .match.depth = o->depth + 2, .then.depth = o->depth + 2, .addresses.depth = 4
	};
	const char *scheduler;

	n->as = object_name(m, pool_printf(&m->tree.pool, "rule %p", (void *)n->parent), n->word);
	match(m, &r, from, to);
	then(m, &r);
	if (zone_missing)
		cannot(m, &r, n, zone_missing);
	scheduler = value(m, n, "scheduler-name");
	if (scheduler)
		cannot(m, &r, value_node(n, "scheduler-name"),
			"schedulers are not translated: write it here, and give the rule its name");
	if (r.why) {
		out_remark(o, "rule %s (line %u) is not here: %s%s", n->as, n->line, r.why,
			r.denies ? "; WHAT IT DENIED MAY BE PERMITTED BY THE RULES AFTER IT" : "");
		say(m, n, IMPORT_WRONG, "the rule is not translated: %s%s", r.why,
			r.denies ? "; what it denied may be permitted by the rules after it" : "");
	} else {
		if (m->kind == IMPORT_SCREENOS && of_published_ports(n))
			say(m, n, IMPORT_CHANGED,
				"VIP(...) is the servers' addresses here: a rule for ANY service permits all of their ports to who reaches them by another way");
		done(n);
		out_open(o, "%srule %s", n->inactive ? "inactive: " : "", n->as);
		out_description(m, o, n);
		out_open(o, "match");
		out_lines(o, &r.match);
		out_close(o);
		out_open(o, "then");
		out_lines(o, &r.then);
		out_close(o);
		out_close(o);
		if (r.nat && from && to && !n->inactive)
			translation(m, &r, from, to);
	}
	out_free(&r.addresses);
	out_free(&r.match);
	out_free(&r.then);
}

static void rules(struct import *m, struct out *o, struct node *list, const struct node *from,
	const struct node *to, const char *zone_missing)
{
	for (struct node *n = list ? list->child : NULL; n; n = n->next)
		one_rule(m, o, n, from, to, zone_missing);
}

/* The gateway itself is called junos-host there. */
static const char *zone_word(const struct import *m, const char *word)
{
	const struct node *zone = zone_named(m, word);

	return strcmp(word, "junos-host") == 0 ? "self" : zone ? zone->as : NULL;
}

static void pair(struct import *m, struct node *from, struct node *to)
{
	struct out *o = &m->sections[SECTION_POLICY];
	const char *source = zone_word(m, from->word), *destination = zone_word(m, to->word), *missing = NULL;

	if (!source || !destination)
		missing = pool_printf(&m->tree.pool, "there is no zone '%s'", source ? to->word : from->word);
	if (missing)
		say(m, to, IMPORT_WRONG, "%s", missing);
	else if (from->inactive || to->inactive)
		missing = "its pair of zones is deactivated there";
	if (missing)
		out_remark(o, "from %s to %s:", from->word, to->word);
	else
		out_open(o, "from %s to %s", source, destination);
	rules(m, o, node_child(to, "policy"), zone_named(m, from->word), zone_named(m, to->word), missing);
	if (!missing)
		out_close(o);
}

/* What no rule decides about is denied here as there, unless the configuration says otherwise. */
static void preset(struct import *m, struct out *o, struct node *policies)
{
	struct node *preset = value_node(policies, "default-policy");

	if (!preset)
		return;
	done(preset);
	if (strcmp(preset->word, "permit-all") != 0)
		return;
	say(m, preset, IMPORT_CHANGED,
		"a rule at the end of global that permits everything: look whether that is meant");
	out_open(o, "rule default-policy");
	out_open(o, "match");
	out_line(o, "source any");
	out_line(o, "destination any");
	out_line(o, "application any");
	out_close(o);
	out_open(o, "then");
	out_line(o, "permit");
	out_close(o);
	out_close(o);
}

void translate_policy(struct import *m)
{
	struct node *policies = node_at(&m->tree.root, "security", "policies", NULL),
		    *from = node_child(policies, "from-zone");
	struct out *o = &m->sections[SECTION_POLICY], global = { .depth = 2 };

	for (struct node *f = from ? from->child : NULL; f; f = f->next) {
		struct node *to = node_child(f, "to-zone");
		for (struct node *t = to ? to->child : NULL; t; t = t->next)
			pair(m, f, t);
	}
	rules(m, &global, node_at(policies, "global", "policy", NULL), NULL, NULL, NULL);
	preset(m, &global, policies);
	if (global.n) {
		out_open(o, "global");
		out_lines(o, &global);
		out_close(o);
	}
	out_free(&global);
}
