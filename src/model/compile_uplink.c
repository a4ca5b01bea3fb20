/* Uplinks and their probes to records. Part of the compiler. */
#include "model/compile.h"

#include <stdio.h>
#include <string.h>

static enum rc host_address(struct compiler *c, const struct lyd_node *leaf, struct ip_addr *ret_addr)
{
	enum rc rc = value_address(c, leaf, ret_addr);

	if (rc)
		return rc;
	if (!addr_is_link_local(ret_addr) && value_is_no_host(ret_addr))
		return tree_fault(c->faults, leaf,
			"'%s' is not the address of a host: expected a unicast address", lyd_get_value(leaf));
	return RC_OK;
}

static enum rc probe(struct compiler *c, const struct lyd_node *node, struct snap_uplink *u)
{
	struct snap_probe p = { .kind = PROBE_PING };
	const char *name = tree_value(node, "dns");
	enum rc rc = host_address(c, tree_child(c->m, node, "target"), &p.target);

	if (rc)
		return rc;
	const struct snap_probe *first =
		(const struct snap_probe *)(const void *)c->probes.at + u->probes.first;
	uint8_t family = u->probes.count > 0 ? first->target.family : u->next_hop.family;
	if (family != ADDR_NONE && p.target.family != family)
		return tree_fault(c->faults, node,
			"target '%s' is not of the family of the uplink's next hop and its other targets: expected one family, and another uplink for the other",
			tree_value(node, "target"));
	if (name) {
		size_t n = strlen(name);
		p.kind = PROBE_DNS;
		snprintf(p.name, sizeof p.name, "%.*s", (int)(n > 1 && name[n - 1] == '.' ? n - 1 : n), name);
	}
	if (tree_value(node, "tcp-port")) {
		p.kind = PROBE_TCP;
		p.port = (uint16_t)value_number(node, "tcp-port");
	}
	struct snap_probe *place = vec_add(&c->probes);
	if (!place)
		return compile_no_memory(c);
	*place = p;
	u->probes.count++;
	return RC_OK;
}

static uint8_t family_of(const struct compiler *c, const struct snap_uplink *u)
{
	return ((const struct snap_probe *)(const void *)c->probes.at)[u->probes.first].target.family;
}

/* An uplink before it that decides about the same routes; NULL: none. */
static const struct snap_uplink *same_router(const struct compiler *c, const struct snap_uplink *u)
{
	const struct snap_uplink *all = (const void *)c->uplinks.at;

	for (size_t i = 0; i < c->uplinks.n; i++)
		if (all[i].interface == u->interface && family_of(c, &all[i]) == family_of(c, u) &&
			addr_compare(&all[i].next_hop, &u->next_hop) == 0)
			return &all[i];
	return NULL;
}

static enum rc uplink(struct compiler *c, const struct lyd_node *node)
{
	struct snap_uplink u = { .probes = { (uint32_t)c->probes.n, 0 } };
	const struct lyd_node *next_hop = tree_child(c->m, node, "next-hop");
	const struct lyd_node *one = tree_child(c->m, node, "probe");
	const char *interface = tree_value(node, "interface");
	enum rc rc = RC_OK;

	snprintf(u.name, sizeof u.name, "%s", tree_value(node, "name"));
	u.interface = interface ? compile_interface(c, node, interface) : INDEX_NONE;
	if (interface && u.interface == INDEX_NONE)
		rc = RC_MALFORMED;
	if (next_hop)
		rc = faults_join(rc, host_address(c, next_hop, &u.next_hop));
	if (strcmp(tree_value(node, "down-when"), "any-fails") == 0)
		u.flags |= UPLINK_DOWN_WHEN_ANY;
	u.interval_ms = (uint16_t)value_number(node, "interval");
	u.fall = (uint16_t)value_number(node, "fall");
	u.rise = (uint16_t)value_number(node, "rise");
	for (; one && compile_continues(c, rc); one = tree_next(one))
		rc = faults_join(rc, probe(c, one, &u));
	if (rc)
		return rc;
	const struct snap_uplink *other = same_router(c, &u);
	if (other)
		return tree_fault(c->faults, node,
			"uplink '%s' has the interface and the next hop of uplink '%s': expected one uplink for a router, with all of its targets",
			u.name, other->name);
	struct snap_uplink *place = vec_add(&c->uplinks);
	if (!place)
		return compile_no_memory(c);
	*place = u;
	return RC_OK;
}

enum rc compile_uplinks(struct compiler *c)
{
	return compile_each(c, "uplinks", NULL, "uplink", uplink);
}
