/*
 * Rules that permit through one tunnel only (`then { permit; tunnel NAME; }`). Selectors choose a packet's tunnel before policy is
 * asked, and what they choose never leaves in clear; so it is enough to see here that whatever such a rule matches belongs to
 * its tunnel. A rule of which that is not certain is refused, with the names of both. Part of the compiler.
 */
#include <stdlib.h>
#include <string.h>

#include "base/nearest.h"
#include "model/compile.h"
#include "model/dynamic.h"

struct asked {
	struct compiler *c;
	const struct lyd_node *leaf; /* that names the tunnel */
	const struct snap_rule *rule;
	const struct snap_tunnel *tunnel;
};

/* The whole of it too. */
static bool range_within(const struct ip_range *inner, const struct ip_range *outer)
{
	return range_holds(outer, &inner->first) && range_holds(outer, &inner->last);
}

static const struct selector *selector(const struct compiler *c, struct span span, uint32_t i)
{
	return (const struct selector *)(const void *)c->selectors.at + span.first + i;
}

static const struct ip_range *range(const struct compiler *c, struct span span, uint32_t i)
{
	return (const struct ip_range *)(const void *)c->ranges.at + span.first + i;
}

/* Has the rule an address among these? Without a range it has all. */
static bool side_meets(const struct compiler *c, struct span rule, struct span side)
{
	for (uint32_t k = 0; k < side.count; k++) {
		if (rule.count == 0)
			return true;
		for (uint32_t i = 0; i < rule.count; i++)
			if (ranges_meet(range(c, rule, i), &selector(c, side, k)->addrs))
				return true;
	}
	return false;
}

/* The first of the rule's ranges that is not among the networks of this side; NULL: all are. */
static enum rc side_lacks(
	const struct asked *a, struct span rule, struct span side, const struct ip_range **ret_range)
{
	static const struct ip_range any = { { .family = ADDR_V4 }, { .family = ADDR_V4 } };
	struct ip_range *all = calloc(side.count + 1u, sizeof *all);
	uint32_t n = side.count;

	*ret_range = NULL;
	if (!all)
		return compile_no_memory(a->c);
	for (uint32_t k = 0; k < n; k++)
		all[k] = selector(a->c, side, k)->addrs;
	n = ranges_join(all, n);
	if (rule.count == 0)
		*ret_range = &any;
	for (uint32_t i = 0; i < rule.count && !*ret_range; i++) {
		const struct ip_range *r = range(a->c, rule, i);
		bool inside = false;
		for (uint32_t k = 0; k < n && !inside && !range_is_wildcard(r); k++)
			inside = range_within(r, &all[k]);
		*ret_range = inside ? NULL : r;
	}
	free(all);
	return RC_OK;
}

static enum rc lacks(
	const struct asked *a, const char *end, struct span rule, struct span side, const char *name)
{
	const struct ip_range *missing;
	char text[RANGE_TEXT_MAX] = "any";
	enum rc rc = side_lacks(a, rule, side, &missing);

	if (rc || !missing)
		return rc;
	if (rule.count > 0 && range_is_dynamic(missing))
		memcpy(text, "addresses that change", sizeof "addresses that change");
	else if (rule.count > 0)
		range_text(text, missing);
	return tree_fault(a->c->faults, a->leaf,
		"rule '%s' permits through tunnel '%s' only, but its %s (%s) is not within the networks that are %s of that tunnel: narrow the rule, or give the tunnel a zone of its own",
		a->rule->name, a->tunnel->name, end, text, name);
}

/* Another tunnel that takes part of what the rule matches. Of those out of here the more specific one wins. */
static enum rc others_take(const struct asked *a, struct span here, struct span there, bool out)
{
	const struct compiler *c = a->c;
	const struct snap_tunnel *all = (const void *)c->tunnels.at;

	for (uint32_t i = 0; i < c->tunnels.n; i++) {
		const struct snap_tunnel *t = &all[i];
		if (t == a->tunnel || snap_tunnel_is_routed(t) || (!out && t->zone != a->tunnel->zone) ||
			!side_meets(c, here, t->local) || !side_meets(c, there, t->remote))
			continue;
		bool wins = !out;
		for (uint32_t k = 0; k < t->remote.count && !wins; k++)
			for (uint32_t m = 0; m < a->tunnel->remote.count && !wins; m++)
				wins = range_within(&selector(c, t->remote, k)->addrs,
					&selector(c, a->tunnel->remote, m)->addrs);
		if (wins)
			return tree_fault(c->faults, a->leaf,
				"rule '%s' permits through tunnel '%s' only, but tunnel '%s' has networks of both its ends as well: narrow the rule, or give the tunnel a zone of its own",
				a->rule->name, a->tunnel->name, t->name);
	}
	return RC_OK;
}

/* Into the tunnel (out), or out of it: by addresses. What is on both sides of a tunnel stands on this one. */
static enum rc by_addresses(const struct asked *a, bool out)
{
	struct span here = out ? a->rule->src : a->rule->dst, there = out ? a->rule->dst : a->rule->src;
	enum rc rc = lacks(a, out ? "source" : "destination", here, a->tunnel->local, "local");

	if (!rc)
		rc = lacks(a, out ? "destination" : "source", there, a->tunnel->remote, "remote");
	if (!rc && side_meets(a->c, there, a->tunnel->local))
		rc = tree_fault(a->c->faults, a->leaf,
			"rule '%s' permits through tunnel '%s' only, but its %s has addresses of that tunnel's local networks, which are not behind it: narrow the rule",
			a->rule->name, a->tunnel->name, out ? "destination" : "source");
	return rc ? rc : others_take(a, here, there, out);
}

/* Nothing but this tunnel leads to its zone. */
static bool has_own_zone(const struct compiler *c, const struct snap_tunnel *t)
{
	const struct snap_interface *interfaces = (const void *)c->interfaces.at;
	const struct snap_tunnel *all = (const void *)c->tunnels.at;
	uint32_t others = 0;

	for (uint32_t i = 0; i < c->interfaces.n; i++)
		others += interfaces[i].zone == t->zone;
	for (uint32_t i = 0; i < c->tunnels.n; i++)
		others += &all[i] != t && all[i].zone == t->zone;
	return others == 0;
}

static enum rc rule_tunnel(struct compiler *c, const struct lyd_node *leaf, const struct snap_rule *rule)
{
	const char *name = lyd_get_value(leaf);
	const struct snap_tunnel *all = (const void *)c->tunnels.at;
	struct nearest near = nearest_to(name, strlen(name));
	struct asked a = { .c = c, .leaf = leaf, .rule = rule };
	char hint[NEAREST_HINT_MAX];

	for (uint32_t i = 0; i < c->tunnels.n; i++) {
		nearest_offer(&near, all[i].name, strlen(all[i].name));
		if (strcmp(all[i].name, name) == 0)
			a.tunnel = &all[i];
	}
	if (!a.tunnel)
		return tree_fault(c->faults, leaf,
			"found '%.60s', expected the name of a tunnel that exists%s", name,
			nearest_hint(hint, &near));
	bool in = rule->from_zone == a.tunnel->zone, out = rule->to_zone == a.tunnel->zone;
	if (in == out || rule->from_zone == ZONE_SELF || rule->to_zone == ZONE_SELF)
		return tree_fault(c->faults, leaf,
			"rule '%s' permits through tunnel '%s' only, so one end of it is the zone of that tunnel, and the other one another zone that is not self",
			rule->name, a.tunnel->name);
	if (has_own_zone(c, a.tunnel))
		return RC_OK;
	if (snap_tunnel_is_routed(a.tunnel))
		return tree_fault(c->faults, leaf,
			"rule '%s' permits through tunnel '%s' only, but routes choose that tunnel, and its zone has other ways: give the tunnel a zone of its own",
			rule->name, a.tunnel->name);
	return by_addresses(&a, out);
}

/* Rules stand in the compiler as in the text. */
static enum rc rules_of(struct compiler *c, const struct lyd_node *group, uint32_t *at)
{
	const struct lyd_node *node = group ? tree_child(c->m, group, "rule") : NULL;
	enum rc rc = RC_OK;

	for (; node && *at < c->rules.n && compile_continues(c, rc); node = tree_next(node)) {
		const struct snap_rule *rule = (const struct snap_rule *)(const void *)c->rules.at + (*at)++;
		const struct lyd_node *leaf = tree_child(c->m, tree_child(c->m, node, "then"), "tunnel");
		if (leaf)
			rc = faults_join(rc, rule_tunnel(c, leaf, rule));
	}
	return rc;
}

enum rc compile_rule_tunnels(struct compiler *c)
{
	const struct lyd_node *policy = tree_child(c->m, NULL, "policy");
	const struct lyd_node *group = policy ? tree_child(c->m, policy, "zone-pair") : NULL;
	uint32_t at = 0;
	enum rc rc = RC_OK;

	for (; group && compile_continues(c, rc); group = tree_next(group))
		rc = faults_join(rc, rules_of(c, group, &at));
	if (policy && compile_continues(c, rc))
		rc = faults_join(rc, rules_of(c, tree_child(c->m, policy, "global"), &at));
	return rc;
}
