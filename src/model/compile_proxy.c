/* proxy-arp and proxy-ndp to records, sorted for who looks an address up. Part of the compiler. */
#include "model/compile.h"

#include <stdlib.h>
#include <string.h>

static int compare(const void *a, const void *b)
{
	const struct snap_proxy *x = a, *y = b;

	if (x->interface != y->interface)
		return x->interface < y->interface ? -1 : 1;
	return addr_compare(&x->addrs.first, &y->addrs.first);
}

static bool overlaps(const struct ip_range *a, const struct ip_range *b)
{
	return a->first.family == b->first.family && addr_compare(&a->first, &b->last) <= 0 &&
	       addr_compare(&b->first, &a->last) <= 0;
}

static enum rc address(
	struct compiler *c, const struct lyd_node *leaf, uint32_t interface, size_t from, uint8_t family)
{
	struct snap_proxy p = { .interface = interface };
	enum rc rc = value_range(c, leaf, &p.addrs);

	if (rc)
		return rc;
	if (p.addrs.first.family != family)
		return tree_fault(c->faults, leaf,
			"'%s' is not an %s address: expected one here, the other family in %s",
			lyd_get_value(leaf), family == ADDR_V4 ? "IPv4" : "IPv6",
			family == ADDR_V4 ? "proxy-ndp" : "proxy-arp");
	if (value_is_no_host(&p.addrs.first) || value_is_no_host(&p.addrs.last))
		return tree_fault(c->faults, leaf,
			"'%s' is not addresses of hosts: expected unicast addresses", lyd_get_value(leaf));
	for (size_t i = from; i < c->proxies.n; i++)
		if (overlaps(&((const struct snap_proxy *)(const void *)c->proxies.at)[i].addrs, &p.addrs))
			return tree_fault(c->faults, leaf,
				"'%s' overlaps an address before it: expected each once",
				lyd_get_value(leaf));
	if (c->proxies.n == PROXIES_MAX)
		return fault_is_limit(tree_fault(c->faults, leaf,
			"more than %d addresses and ranges in proxy-arp and proxy-ndp together",
			PROXIES_MAX));
	struct snap_proxy *place = vec_add(&c->proxies);
	if (!place)
		return compile_no_memory(c);
	*place = p;
	return RC_OK;
}

static enum rc of_family(struct compiler *c, const struct lyd_node *nat, const char *list, uint8_t family)
{
	const struct lyd_node *node = tree_child(c->m, nat, list);
	enum rc rc = RC_OK;

	for (; node && compile_continues(c, rc); node = tree_next(node)) {
		uint32_t interface = compile_interface(c, node, tree_value(node, "interface"));
		const struct lyd_node *leaf = tree_child(c->m, node, "address");
		size_t from = c->proxies.n;
		if (interface == INDEX_NONE)
			rc = faults_join(rc, RC_MALFORMED);
		for (; interface != INDEX_NONE && leaf && compile_continues(c, rc); leaf = tree_next(leaf))
			rc = faults_join(rc, address(c, leaf, interface, from, family));
	}
	return rc;
}

enum rc compile_proxies(struct compiler *c)
{
	const struct lyd_node *nat = tree_child(c->m, NULL, "nat");
	enum rc rc = RC_OK;

	if (!nat)
		return RC_OK;
	rc = of_family(c, nat, "proxy-arp", ADDR_V4);
	if (compile_continues(c, rc))
		rc = faults_join(rc, of_family(c, nat, "proxy-ndp", ADDR_V6));
	if (c->proxies.n > 0)
		qsort(c->proxies.at, c->proxies.n, sizeof(struct snap_proxy), compare);
	return rc;
}
