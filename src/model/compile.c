/*
 * The compiler: a checked tree becomes one flat snapshot. Steps fill vectors (compile_*.c); then the block is
 * laid out, arrays one after the other on 8 bytes. The result passes snapshot_check() before the caller gets
 * it.
 */
#include "model/compile.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static enum rc system_ports(struct compiler *c, const struct lyd_node *system)
{
	const struct lyd_node *nat = tree_child(c->m, system, "nat-ports");
	const struct lyd_node *host = tree_child(c->m, system, "host-ports");
	struct snapshot *h = &c->head;
	enum rc rc;

	if ((rc = value_ports(c, nat, &h->nat_port_first, &h->nat_port_last)) ||
		(rc = value_ports(c, host, &h->host_port_first, &h->host_port_last)))
		return rc;
	if (h->nat_port_first < 1024 || h->host_port_first < 1024)
		return tree_fault(c->faults, h->nat_port_first < 1024 ? nat : host,
			"ports below 1024 are reserved for services: expected ports from 1024 to 65535");
	if (h->nat_port_first <= h->host_port_last && h->host_port_first <= h->nat_port_last)
		return tree_fault(c->faults, host->priv ? host : nat,
			"nat-ports %s and host-ports %s overlap", lyd_get_value(nat), lyd_get_value(host));
	return RC_OK;
}

/* Every leaf has a default, so that an empty text is a whole configuration: no zones, all denied. */
static enum rc compile_system(struct compiler *c)
{
	const struct lyd_node *system = tree_child(c->m, NULL, "system");
	const struct lyd_node *timeouts = tree_child(c->m, system, "timeouts");
	const struct lyd_node *aging = tree_child(c->m, system, "aging");
	struct snapshot *h = &c->head;

	snprintf(h->host_name, sizeof h->host_name, "%s", tree_value(system, "host-name"));
	h->sessions_max = (uint32_t)value_number(system, "session-limit");
	h->half_open_max = (uint32_t)value_number(system, "half-open-limit");
	h->workers = (uint32_t)value_number(system, "workers");
	h->offload = strcmp(tree_value(system, "offload"), "on") == 0;
	h->tcp_mss = (uint32_t)value_number(system, "tcp-mss");
	const struct lyd_node *alg = tree_child(c->m, system, "alg");
	h->algs = (tree_value(alg, "ftp") ? ALG_FTP : 0u) | (tree_value(alg, "tftp") ? ALG_TFTP : 0u) |
		  (tree_value(alg, "sip") ? ALG_SIP : 0u);
	if (aging)
		h->aging = (struct snap_aging){ (uint16_t)value_number(aging, "high-watermark"),
			(uint16_t)value_number(aging, "low-watermark"),
			(uint32_t)value_number(aging, "early-ageout") };
#define E(id, word, s) h->timeout_s[TIMEOUT_##id] = (uint32_t)value_number(timeouts, word);
	SESSION_TIMEOUTS(E)
#undef E
	return system_ports(c, system);
}

static enum rc zone_interfaces(struct compiler *c, const struct lyd_node *zone)
{
	const struct lyd_node *leaf = tree_child(c->m, zone, "interfaces");

	for (; leaf; leaf = tree_next(leaf)) {
		struct snap_interface *i;
		if (c->interfaces.n == INTERFACES_MAX)
			return fault_is_limit(tree_fault(c->faults, leaf,
				"all zones together have more than %d interfaces", INTERFACES_MAX));
		if (!(i = vec_add(&c->interfaces)))
			return compile_no_memory(c);
		assert(c->zones.n > 0); /* the caller has just added it */
		snprintf(i->name, sizeof i->name, "%s", lyd_get_value(leaf));
		i->zone = (uint32_t)c->zones.n - 1;
	}
	return RC_OK;
}

static enum rc zone(struct compiler *c, const struct lyd_node *node)
{
	struct snap_zone *z = vec_add(&c->zones);

	if (!z)
		return compile_no_memory(c);
	snprintf(z->name, sizeof z->name, "%s", tree_value(node, "name"));
	if (tree_value(node, "tcp-rst"))
		z->flags |= ZONE_TCP_RST;
	if (tree_value(node, "host-inbound-log"))
		z->flags |= ZONE_LOG_HOST_INBOUND;
	if (tree_value(node, "tcp-loose"))
		z->flags |= ZONE_TCP_LOOSE;
	compile_zone_screen(c, tree_value(node, "screen"), z);
	const struct lyd_node *limit = tree_child(c->m, node, "session-limit");
	if (limit) {
		z->sessions_max = (uint32_t)value_number(limit, "total");
		z->source_sessions_max = (uint32_t)value_number(limit, "source");
		z->destination_sessions_max = (uint32_t)value_number(limit, "destination");
	}
	return zone_interfaces(c, node);
}

static enum rc compile_zones(struct compiler *c)
{
	return compile_each(c, "zones", NULL, "zone", zone);
}

/* clang-format off */
#define VECTORS(V)	/* field, record */			\
	V(zones,         struct snap_zone)			\
	V(host_services, struct snap_host_service)		\
	V(interfaces,    struct snap_interface)			\
	V(ranges,        struct ip_range)			\
	V(services,      struct snap_service)			\
	V(texts,         struct snap_text)			\
	V(schedules,     struct snap_schedule)			\
	V(rules,         struct snap_rule)			\
	V(nat_rules,     struct snap_nat_rule)			\
	V(dnat_rules,    struct snap_dnat_rule)			\
	V(proxies,       struct snap_proxy)			\
	V(uplinks,       struct snap_uplink)			\
	V(probes,        struct snap_probe)			\
	V(ike_proposals, struct snap_ike_proposal)		\
	V(esp_proposals, struct snap_esp_proposal)		\
	V(peers,         struct snap_peer)			\
	V(selectors,     struct selector)			\
	V(tunnels,       struct snap_tunnel)			\
	V(screens,       struct snap_screen)			\
	V(dynamics,      struct snap_dynamic)			\
	V(certificate_files, struct snap_certificate_file)	\
	V(authorities,   struct snap_authority)			\
	V(trusted,       struct snap_trusted)			\
	V(certificates,  struct snap_certificate)		\
	V(certificate_octets, struct snap_octets) /* these two stay empty, and stand last: certificates.c */
/* clang-format on */

static void compiler_init(struct compiler *c, const struct model *m, struct faults *f, struct err *e)
{
	*c = (struct compiler){ .m = m, .faults = f, .e = e };
#define E(field, type) c->field.record = sizeof(type);
	VECTORS(E)
#undef E
}

static void compiler_done(struct compiler *c)
{
#define E(field, type) vec_done(&c->field);
	VECTORS(E)
#undef E
	objects_done(&c->addresses);
	objects_done(&c->applications);
	administrators_free(c->administrators);
}

/* The array's place after what is placed already. */
static size_t place_array(struct span *ret_span, const struct vec *v, size_t used)
{
	size_t at = (used + 7) / 8 * 8;

	*ret_span = (struct span){ (uint32_t)at, (uint32_t)v->n };
	return at + v->n * v->record;
}

static void copy_array(uint8_t *block, const struct span *span, const struct vec *v)
{
	assert(span->count == v->n && span->first % 8 == 0);
	if (v->n)
		memcpy(block + span->first, v->at, v->n * v->record);
}

static enum rc lay_out(struct compiler *c, void **ret_block, size_t *ret_bytes)
{
	size_t bytes = sizeof c->head;
	uint8_t *block;

#define E(field, type) bytes = place_array(&c->head.field, &c->field, bytes);
	VECTORS(E)
#undef E
	bytes = (bytes + 7) / 8 * 8;
	if (bytes > SNAPSHOT_BYTES_MAX)
		return err_add(c->e, RC_LIMIT, "%s: the configuration is larger than %u bytes when compiled",
			c->m->name, SNAPSHOT_BYTES_MAX);
	assert(bytes % 8 == 0);
	c->head.magic = SNAPSHOT_MAGIC;
	c->head.bytes = (uint32_t)bytes;
	block = calloc(1, bytes);
	if (!block)
		return compile_no_memory(c);
	memcpy(block, &c->head, sizeof c->head);
#define E(field, type) copy_array(block, &c->head.field, &c->field);
	VECTORS(E)
#undef E
	*ret_block = block;
	*ret_bytes = bytes;
	return RC_OK;
}

/* In order: later steps look up what the earlier ones made. */
static enum rc compile_all(struct compiler *c)
{
	static enum rc (*const steps[])(struct compiler *) = { compile_system, compile_screens, compile_zones,
		compile_objects, compile_host_services, compile_schedulers, compile_policy, compile_nat,
		compile_dnat, compile_proxies, compile_uplinks, compile_authorities, compile_peers,
		compile_tunnels, compile_rule_tunnels, compile_administrators, compile_commit,
		compile_evidence, compile_log, compile_metrics };
	enum rc rc = RC_OK;

	for (size_t i = 0; i < COUNT_OF(steps) && compile_continues(c, rc); i++)
		rc = faults_join(rc, steps[i](c));
	return c->faults->n ? RC_MALFORMED : rc;
}

void compile_faults(const struct model *m, struct faults *f)
{
	struct compiler c;

	compiler_init(&c, m, f, NULL);
	compile_all(&c);
	compiler_done(&c);
}

enum rc compile_model(const struct model *m, uint64_t generation, const uint8_t *text_sha256,
	void **ret_block, size_t *ret_bytes, struct administrators **ret_administrators, struct faults *f,
	struct err *e)
{
	struct compiler c;
	void *block = NULL;
	size_t bytes = 0;
	enum rc rc;

	*ret_block = NULL;
	*ret_bytes = 0;
	compiler_init(&c, m, f, e);
	c.head.generation = generation;
	if (text_sha256)
		memcpy(c.head.text_sha256, text_sha256, sizeof c.head.text_sha256);
	if ((rc = compile_all(&c)) || (rc = lay_out(&c, &block, &bytes)))
		goto out;
	rc = snapshot_check(block, bytes, e);
	if (rc) {
		rc = err_add(e, rc, "while checking what '%s' compiles to", m->name);
		free(block);
		goto out;
	}
	*ret_block = block;
	*ret_bytes = bytes;
	if (ret_administrators) {
		*ret_administrators = c.administrators;
		c.administrators = NULL;
	}
out:
	compiler_done(&c);
	return rc;
}
