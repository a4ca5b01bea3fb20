/*
 * Static NAT, NAT64 and destination NAT to records, in one array: static rules first, because they come first. Part of
 * the compiler.
 */
#include <stdio.h>
#include <string.h>

#include "model/compile.h"

static struct snap_dnat_rule *rule_new(struct compiler *c, const struct lyd_node *node)
{
	struct snap_dnat_rule *r = vec_add(&c->dnat_rules);

	if (!r)
		return NULL;
	snprintf(r->name, sizeof r->name, "%s", tree_value(node, "name"));
	r->from_zone = tree_value(node, "from") ? value_zone(c, tree_value(node, "from")) : ZONE_ANY;
	return r;
}

static enum rc servers(struct compiler *c, const struct lyd_node *leaf, struct ip_range *ret_range)
{
	enum rc rc = value_range(c, leaf, ret_range);

	if (!rc && (value_is_no_host(&ret_range->first) || value_is_no_host(&ret_range->last)))
		return tree_fault(c->faults, leaf,
			"'%s' is not a host's address: loopback, link-local and multicast addresses are not "
			"forwarded",
			lyd_get_value(leaf));
	return rc;
}

/* ---- static ---- */

static enum rc nptv6_prefix(struct compiler *c, const struct lyd_node *real, const struct ip_prefix *p)
{
	if (p->addr.family != ADDR_V6)
		return tree_fault(c->faults, real,
			"'%s' is not IPv6: NPTv6 maps IPv6 prefixes, expected static-nat",
			lyd_get_value(real));
	if (p->bits > NPTV6_BITS_MAX)
		return tree_fault(c->faults, real,
			"'%s' is longer than /%d: NPTv6 keeps checksums by a word outside of the prefix, expected a shorter "
			"prefix or static-nat",
			lyd_get_value(real), NPTV6_BITS_MAX);
	return RC_OK;
}

static enum rc static_rule(struct compiler *c, const struct lyd_node *node)
{
	const struct lyd_node *match = tree_child(c->m, node, "match"),
			      *then = tree_child(c->m, node, "then");
	const struct lyd_node *published = match ? tree_child(c->m, match, "destination") : NULL;
	const struct lyd_node *nptv6 = then ? tree_child(c->m, then, "nptv6") : NULL;
	const struct lyd_node *real = nptv6 || !then ? nptv6 : tree_child(c->m, then, "static-nat");
	struct snap_dnat_rule *r = rule_new(c, node);
	struct ip_range range;
	struct ip_prefix a, b;
	enum rc rc;

	if (!r)
		return compile_no_memory(c);
	if (!published || !real)
		return RC_OK; /* the shape of the tree tells it */
	r->action = nptv6 ? DNAT_NPTV6 : DNAT_STATIC;
	if ((rc = servers(c, published, &range)) || (rc = servers(c, real, &r->to)))
		return rc;
	if (prefix_parse(&a, lyd_get_value(published)) || prefix_parse(&b, lyd_get_value(real)) ||
		a.addr.family != b.addr.family)
		return tree_fault(c->faults, real,
			"'%s' is not of the family of the published '%s': expected both IPv4 or both IPv6",
			lyd_get_value(real), lyd_get_value(published));
	if (a.bits != b.bits)
		return tree_fault(c->faults, real,
			"'%s' is not as large as the published '%s': expected a prefix of the same length, /%u",
			lyd_get_value(real), lyd_get_value(published), (unsigned)a.bits);
	if (nptv6 && (rc = nptv6_prefix(c, nptv6, &b)))
		return rc;
	struct ip_range *place = vec_add(&c->ranges);
	if (!place)
		return compile_no_memory(c);
	*place = range;
	r->dst = (struct span){ (uint32_t)c->ranges.n - 1, 1 };
	return RC_OK;
}

/* ---- NAT64 ---- */

static enum rc nat64_rule(struct compiler *c, const struct lyd_node *node)
{
	const struct lyd_node *leaf = tree_child(c->m, node, "prefix");
	struct snap_dnat_rule *r = rule_new(c, node);
	struct ip_prefix p;

	if (!r)
		return compile_no_memory(c);
	if (!leaf)
		return RC_OK; /* the shape of the tree tells it */
	if (prefix_parse(&p, lyd_get_value(leaf)) || p.addr.family != ADDR_V6 || !snap_nat64_bits_ok(p.bits))
		return tree_fault(c->faults, leaf,
			"'%s' embeds no IPv4 address: expected an IPv6 prefix of 32, 40, 48, 56, 64 or 96 bits (RFC 6052)",
			lyd_get_value(leaf));
	if (p.bits == 96 && p.addr.b[8] != 0)
		return tree_fault(c->faults, leaf,
			"'%s' has bits 64 to 71 that are not zero: expected a prefix as RFC 6052 section 2.2 says",
			lyd_get_value(leaf));
	struct ip_range *place = vec_add(&c->ranges);
	if (!place)
		return compile_no_memory(c);
	*place = r->to = range_from_prefix(&p);
	r->action = DNAT_NAT64;
	r->dst = (struct span){ (uint32_t)c->ranges.n - 1, 1 };
	return RC_OK;
}

/* ---- destination ---- */

uint32_t compile_interface(struct compiler *c, const struct lyd_node *node, const char *name)
{
	const struct snap_interface *all = (const void *)c->interfaces.at;

	for (size_t i = 0; i < c->interfaces.n; i++)
		if (strcmp(all[i].name, name) == 0)
			return (uint32_t)i;
	tree_fault(
		c->faults, node, "interface '%s' is in no zone: expected one of a zone's interfaces", name);
	return INDEX_NONE;
}

static enum rc interfaces(struct compiler *c, const struct lyd_node *leaf, uint64_t *ret_set)
{
	for (; leaf; leaf = tree_next(leaf)) {
		uint32_t i = compile_interface(c, leaf, lyd_get_value(leaf));
		if (i == INDEX_NONE)
			return RC_MALFORMED;
		*ret_set |= 1ull << i;
	}
	return RC_OK;
}

static enum rc server_ports(struct compiler *c, const struct lyd_node *leaf, struct snap_dnat_rule *r)
{
	const struct snap_service *v =
		(const struct snap_service *)(const void *)c->services.at + r->services.first;
	enum rc rc = value_ports(c, leaf, &r->port_first, &r->port_last);

	if (rc)
		return rc;
	if (r->port_first == 0)
		return tree_fault(c->faults, leaf, "port 0 does not exist: expected ports 1..65535");
	if (r->services.count == 0)
		return tree_fault(c->faults, leaf,
			"a rule with a port needs an application: the ports that it translates");
	for (uint32_t i = 0; i < r->services.count; i++) {
		if (v[i].proto != 6 && v[i].proto != 17)
			return tree_fault(c->faults, leaf,
				"an application of the rule has no ports that are translated (protocol %u): expected TCP and UDP only",
				v[i].proto);
		if (r->port_first != r->port_last &&
			v[i].dst_last - v[i].dst_first != r->port_last - r->port_first)
			return tree_fault(c->faults, leaf,
				"%s is not as many ports as the application's %u-%u: expected one port, or a range of "
				"the same size",
				lyd_get_value(leaf), v[i].dst_first, v[i].dst_last);
	}
	return RC_OK;
}

/* ---- health of servers ---- */

static bool overlaps(const struct ip_range *a, const struct ip_range *b)
{
	return a->first.family == b->first.family && addr_compare(&a->first, &b->last) <= 0 &&
	       addr_compare(&b->first, &a->last) <= 0;
}

/* A server is checked once, whichever rules name it. */
static enum rc same_check(struct compiler *c, const struct lyd_node *node, const struct snap_dnat_rule *r)
{
	const struct snap_dnat_rule *all = (const void *)c->dnat_rules.at;
	uint32_t servers = 0;

	for (size_t i = 0; i < c->dnat_rules.n; i++) {
		const struct snap_dnat_rule *x = &all[i];
		servers += MIN_OF(snap_checked_servers(x), HEALTH_SERVERS_MAX + 1u);
		if (servers > HEALTH_SERVERS_MAX)
			return fault_is_limit(tree_fault(c->faults, node,
				"more than %d servers have a health-check, of all rules together",
				HEALTH_SERVERS_MAX));
		if (x == r || x->check_port != r->check_port || !overlaps(&x->to, &r->to) ||
			(x->check_interval_s == r->check_interval_s &&
				x->check_timeout_s == r->check_timeout_s && x->check_rise == r->check_rise &&
				x->check_fall == r->check_fall))
			continue;
		return tree_fault(c->faults, node,
			"rule '%s' checks the same port of a server otherwise: expected the same interval, timeout, "
			"rise and fall",
			x->name);
	}
	return RC_OK;
}

static enum rc health_check(struct compiler *c, const struct lyd_node *node, struct snap_dnat_rule *r)
{
	if (r->action != DNAT_SERVERS)
		return tree_fault(c->faults, node, "destination-nat off has no servers to check");
	r->check_port = tree_value(node, "port") ? (uint16_t)value_number(node, "port") : r->port_first;
	r->check_interval_s = (uint16_t)value_number(node, "interval");
	r->check_timeout_s = (uint16_t)value_number(node, "timeout");
	r->check_rise = (uint16_t)value_number(node, "rise");
	r->check_fall = (uint16_t)value_number(node, "fall");
	r->check_flags = tree_value(node, "end-sessions") ? HEALTH_END_SESSIONS : 0;
	if (r->check_port == 0)
		return tree_fault(c->faults, node,
			"neither the rule nor its health-check has a port: expected the TCP port that its servers answer at");
	if (snap_checked_servers(r) > HEALTH_RANGE_MAX)
		return fault_is_limit(tree_fault(c->faults, node,
			"more than %d servers in a rule with a health-check", HEALTH_RANGE_MAX));
	return same_check(c, node, r);
}

static enum rc destination_then(struct compiler *c, const struct lyd_node *then, struct snap_dnat_rule *r)
{
	const struct lyd_node *to = then ? tree_child(c->m, then, "destination-nat") : NULL;
	const struct lyd_node *port = then ? tree_child(c->m, then, "port") : NULL;
	const struct lyd_node *check = then ? tree_child(c->m, then, "health-check") : NULL;
	enum rc rc = RC_OK;

	if (to && strcmp(lyd_get_value(to), "off") != 0) {
		r->action = DNAT_SERVERS;
		rc = servers(c, to, &r->to);
	}
	if (port && r->action == DNAT_SERVERS)
		rc = faults_join(rc, server_ports(c, port, r));
	return !rc && to && check ? health_check(c, check, r) : rc;
}

static enum rc destination_rule(struct compiler *c, const struct lyd_node *node)
{
	const struct lyd_node *match = tree_child(c->m, node, "match");
	struct snap_dnat_rule *r = rule_new(c, node);
	enum rc rc = RC_OK;

	if (!r)
		return compile_no_memory(c);
	if (match) {
		rc = compile_plain_addresses(c, tree_child(c->m, match, "source"), &r->src);
		rc = faults_join(
			rc, compile_plain_addresses(c, tree_child(c->m, match, "destination"), &r->dst));
		rc = faults_join(
			rc, compile_applications(c, tree_child(c->m, match, "application"), &r->services));
		rc = faults_join(
			rc, interfaces(c, tree_child(c->m, match, "destination-interface"), &r->interfaces));
	}
	if (!rc && r->dst.count == 0 && (r->interfaces == 0 || tree_child(c->m, match, "destination")))
		rc = tree_fault(c->faults, node,
			"rule '%s' would publish any destination: expected names of addresses", r->name);
	return rc ? rc : destination_then(c, tree_child(c->m, node, "then"), r);
}

enum rc compile_dnat(struct compiler *c)
{
	enum rc rc = compile_each(c, "nat", "static", "rule", static_rule);

	if (compile_continues(c, rc))
		rc = faults_join(rc, compile_each(c, "nat", "nat64", "rule", nat64_rule));
	return compile_continues(c, rc)
		       ? faults_join(rc, compile_each(c, "nat", "destination", "rule", destination_rule))
		       : rc;
}
