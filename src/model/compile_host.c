/*
 * What zones open on the gateway itself: words of HOST_SERVICES and ports of the administrator's own, each to
 * everyone in the zone or to addresses of the book. Part of the compiler.
 */
#include <assert.h>
#include <string.h>

#include "model/compile.h"

static const struct host_word {
	const char *word;
	uint8_t proto;
	uint16_t first, last;
} words[] = {
#define E(word, proto, first, last) { word, proto, first, last },
	HOST_SERVICES(E)
#undef E
};

static enum rc add(struct compiler *c, const struct lyd_node *at, const struct snap_host_service *service)
{
	struct snap_host_service *v;

	if (c->host_services.n == HOST_SERVICES_MAX)
		return tree_fault(c->faults, at,
			"all zones together open more than %d services of the gateway", HOST_SERVICES_MAX);
	if (!(v = vec_add(&c->host_services)))
		return compile_no_memory(c);
	*v = *service;
	return RC_OK;
}

/* tcp/2222, udp/9100-9200. A port of source NAT is closed to the gateway's own programs. */
static enum rc own_ports(struct compiler *c, const struct lyd_node *name, struct snap_host_service *v)
{
	const struct snapshot *h = &c->head;
	const char *text = lyd_get_value(name);
	enum rc rc = value_ports(c, name, &v->first, &v->last);

	if (rc)
		return rc;
	v->proto = text[0] == 't' ? 6 : 17;
	if (v->first == 0)
		return tree_fault(c->faults, name, "found '%s', expected ports from 1 on", text);
	if (v->first <= h->nat_port_last && h->nat_port_first <= v->last)
		return tree_fault(c->faults, name,
			"'%s' overlaps nat-ports (%u-%u), which source NAT uses: no program of the gateway can "
			"be reached there",
			text, h->nat_port_first, h->nat_port_last);
	return add(c, name, v);
}

static enum rc service(struct compiler *c, const struct lyd_node *node, uint32_t *from_n)
{
	const struct lyd_node *name = lyd_child(node);
	const char *word = lyd_get_value(name);
	struct snap_host_service v = { 0 };
	const struct lyd_node *from = tree_child(c->m, node, "from");
	enum rc rc = compile_plain_addresses(c, from, &v.from);

	*from_n += v.from.count;
	if (!rc && *from_n > HOST_FROM_MAX)
		return tree_fault(c->faults, from,
			"services of the gateway are open to more than %d address ranges together",
			HOST_FROM_MAX);
	if (!rc && strchr(word, '/'))
		return own_ports(c, name, &v);
	for (size_t i = 0; i < COUNT_OF(words) && !rc; i++) {
		if (strcmp(words[i].word, word) != 0)
			continue;
		v.proto = words[i].proto;
		v.first = words[i].first;
		v.last = words[i].last;
		rc = add(c, node, &v);
	}
	return rc;
}

enum rc compile_host_services(struct compiler *c)
{
	const struct lyd_node *zones = tree_child(c->m, NULL, "zones");
	const struct lyd_node *zone = zones ? tree_child(c->m, zones, "zone") : NULL;
	uint32_t from_n = 0;
	enum rc rc = RC_OK;

	for (uint32_t i = 0; zone && compile_continues(c, rc); zone = tree_next(zone), i++) {
		struct span *of = &((struct snap_zone *)(void *)c->zones.at)[i].host_services;
		const struct lyd_node *one = tree_child(c->m, zone, "host-inbound");
		assert(i < c->zones.n); /* compile_zones() added one for each */
		of->first = (uint32_t)c->host_services.n;
		for (; one && compile_continues(c, rc); one = tree_next(one))
			rc = faults_join(rc, service(c, one, &from_n));
		of->count = (uint32_t)c->host_services.n - of->first;
	}
	return rc;
}
