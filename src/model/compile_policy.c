/*
 * Policy and source NAT to records. A rule's pair of zones comes first as in the text; global rules stand
 * last. Part of the compiler.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "model/compile.h"

struct pair {
	uint32_t from, to;
};

static uint32_t rule_action(const struct lyd_node *then)
{
	if (tree_value(then, "permit"))
		return RULE_PERMIT;
	return tree_value(then, "reject") ? RULE_REJECT : RULE_DENY;
}

/* Differentiated services code points by their IANA names. */
static const struct {
	const char *name;
	uint8_t number;
} dscp_names[] = { { "cs0", 0 }, { "cs1", 8 }, { "cs2", 16 }, { "cs3", 24 }, { "cs4", 32 }, { "cs5", 40 },
	{ "cs6", 48 }, { "cs7", 56 }, { "af11", 10 }, { "af12", 12 }, { "af13", 14 }, { "af21", 18 },
	{ "af22", 20 }, { "af23", 22 }, { "af31", 26 }, { "af32", 28 }, { "af33", 30 }, { "af41", 34 },
	{ "af42", 36 }, { "af43", 38 }, { "ef", 46 }, { "va", 44 }, { "le", 1 } };

static uint32_t dscp_flags(const struct lyd_node *then)
{
	const char *text = tree_value(then, "dscp");
	uint32_t number = 0;

	if (!text)
		return 0;
	if (text[0] >= '0' && text[0] <= '9')
		number = (uint32_t)value_number(then, "dscp");
	for (size_t i = 0; i < COUNT_OF(dscp_names); i++)
		if (strcmp(text, dscp_names[i].name) == 0)
			number = dscp_names[i].number;
	return RULE_DSCP | number << RULE_DSCP_SHIFT;
}

static uint32_t rule_flags(const struct compiler *c, const struct lyd_node *then)
{
	const struct lyd_node *log = tree_child(c->m, then, "log");

	return (tree_value(log, "session-init") ? RULE_LOG_INIT : 0u) |
	       (tree_value(log, "session-close") ? RULE_LOG_CLOSE : 0u) |
	       (tree_value(then, "count") ? RULE_COUNT : 0u) | dscp_flags(then);
}

static const char *zone_text(const struct compiler *c, uint32_t zone)
{
	return zone == ZONE_SELF   ? "self"
	       : zone < c->zones.n ? ((const struct snap_zone *)(const void *)c->zones.at)[zone].name
				   : "any";
}

static uint64_t rule_id(
	const struct compiler *c, const struct lyd_node *node, const char *name, struct pair pair)
{
	uint64_t given = value_number(node, "id");

	return given ? given : snap_rule_id_of(zone_text(c, pair.from), zone_text(c, pair.to), name);
}

struct identified {
	uint64_t id;
	size_t order; /* in the text */
	const struct lyd_node *rule;
};

static int by_id(const void *a, const void *b)
{
	const struct identified *x = a, *y = b;

	return x->id != y->id ? (x->id < y->id ? -1 : 1) : (x->order > y->order) - (x->order < y->order);
}

/* One identifier, one rule. */
static enum rc ids_differ(struct compiler *c, const struct identified *all, size_t n)
{
	char words[TREE_WORDS_MAX];
	enum rc rc = RC_OK;

	for (size_t i = 1; i < n && compile_continues(c, rc); i++) {
		if (all[i].id != all[i - 1].id)
			continue;
		const struct lyd_node *first = all[i - 1].rule, *second = all[i].rule,
				      *leaf = tree_child(c->m, second, "id");
		if (!leaf && c->faults->n > 0) /* its zone may be one that does not exist, which is said */
			continue;
		rc = faults_join(rc,
			tree_fault(c->faults, leaf ? leaf : second,
				leaf ? "id %s is that of %s already, in line %u"
				     : "the identifier %s, which follows from its name, is that of %s, in line %u: give one of them an id",
				leaf ? lyd_get_value(leaf) : "", tree_words(words, first),
				tree_place(first).line));
	}
	return rc;
}

static enum rc description(struct compiler *c, const struct lyd_node *node, struct span *ret_span)
{
	const struct lyd_node *leaf = tree_child(c->m, node, "description");
	const char *text = leaf ? lyd_get_value(leaf) : NULL;
	size_t n = text ? strlen(text) + 1 : 0;

	*ret_span = (struct span){ (uint32_t)c->texts.n, 0 };
	for (size_t at = 0; at < n; at += sizeof(struct snap_text)) {
		struct snap_text *piece;
		if (c->texts.n == TEXTS_MAX)
			return fault_is_limit(tree_fault(c->faults, leaf,
				"all descriptions of rules together are longer than %u octets",
				TEXTS_MAX * (uint32_t)sizeof(struct snap_text)));
		if (!(piece = vec_add(&c->texts)))
			return compile_no_memory(c);
		memcpy(piece->at, text + at, MIN_OF(n - at, sizeof piece->at));
		ret_span->count++;
	}
	return RC_OK;
}

/*
 * A rule to or from the gateway itself becomes text of the kernel's filter as well: so there are limits, and no wildcard
 * masks.
 */
static enum rc self_rule(struct compiler *c, const struct lyd_node *match, struct snap_rule *r)
{
	const struct lyd_node *source = tree_child(c->m, match, "source"),
			      *destination = tree_child(c->m, match, "destination"),
			      *application = tree_child(c->m, match, "application");
	enum rc rc = compile_plain_addresses(c, source, &r->src);

	rc = faults_join(rc, compile_plain_addresses(c, destination, &r->dst));
	rc = faults_join(rc, compile_applications(c, application, &r->services));
	c->self_services += MAX_OF(r->services.count, 1u);
	if (!rc && ++c->self_rules > SELF_RULES_MAX)
		return fault_is_limit(tree_fault(
			c->faults, match, "more than %d rules to and from self together", SELF_RULES_MAX));
	if (!rc && c->self_services > SELF_SERVICES_MAX)
		return fault_is_limit(tree_fault(c->faults, application,
			"the applications of all rules to and from self together are more than %d protocols and ranges of ports",
			SELF_SERVICES_MAX));
	return rc;
}

static enum rc rule(struct compiler *c, const struct lyd_node *node, struct pair pair)
{
	const struct lyd_node *match = tree_child(c->m, node, "match"),
			      *then = tree_child(c->m, node, "then");
	struct snap_rule *r;
	enum rc rc;

	if (c->rules.n == RULES_MAX)
		return fault_is_limit(tree_fault(c->faults, node, "more than %d rules", RULES_MAX));
	if (!(r = vec_add(&c->rules)))
		return compile_no_memory(c);
	snprintf(r->name, sizeof r->name, "%s", tree_value(node, "name"));
	r->id = rule_id(c, node, r->name, pair);
	r->from_zone = pair.from;
	r->to_zone = pair.to;
	r->action = rule_action(then);
	r->flags = rule_flags(c, then);
	r->timeout_s = (uint32_t)value_number(then, "timeout");
	r->sessions_max = (uint32_t)value_number(then, "session-limit");
	r->sessions_rate = (uint32_t)value_number(then, "session-rate");
	rc = description(c, node, &r->description);
	rc = faults_join(rc, compile_scheduler_of(c, node, &r->schedule));
	if (pair.from == ZONE_SELF || pair.to == ZONE_SELF)
		return faults_join(rc, self_rule(c, match, r));
	rc = faults_join(rc, compile_addresses(c, tree_child(c->m, match, "source"), &r->src));
	rc = faults_join(rc, compile_addresses(c, tree_child(c->m, match, "destination"), &r->dst));
	return faults_join(rc, compile_applications(c, tree_child(c->m, match, "application"), &r->services));
}

static enum rc rules_of(
	struct compiler *c, const struct lyd_node *group, struct pair pair, struct vec *identified)
{
	const struct lyd_node *node = group ? tree_child(c->m, group, "rule") : NULL;
	enum rc rc = RC_OK;

	for (; node && compile_continues(c, rc); node = tree_next(node)) {
		struct identified *one = vec_add(identified);
		if (!one)
			return compile_no_memory(c);
		rc = faults_join(rc, rule(c, node, pair));
		const struct snap_rule *r = (const void *)c->rules.at;
		*one = (struct identified){ c->rules.n ? r[c->rules.n - 1].id : 0, identified->n, node };
	}
	return rc;
}

/* A zone of that name comes first: it may be older than the word. */
static uint32_t pair_end(const struct compiler *c, const char *name)
{
	uint32_t zone = value_zone(c, name);

	return zone == INDEX_NONE && name && strcmp(name, "self") == 0 ? ZONE_SELF : zone;
}

enum rc compile_policy(struct compiler *c)
{
	const struct lyd_node *policy = tree_child(c->m, NULL, "policy");
	const struct lyd_node *group = policy ? tree_child(c->m, policy, "zone-pair") : NULL;
	struct vec identified = { .record = sizeof(struct identified) };
	enum rc rc = RC_OK;

	for (; group && compile_continues(c, rc); group = tree_next(group)) {
		struct pair pair = { pair_end(c, tree_value(group, "from")),
			pair_end(c, tree_value(group, "to")) };
		rc = faults_join(rc, rules_of(c, group, pair, &identified));
	}
	if (policy && compile_continues(c, rc))
		rc = faults_join(rc, rules_of(c, tree_child(c->m, policy, "global"),
					     (struct pair){ ZONE_ANY, ZONE_ANY }, &identified));
	if (identified.n)
		qsort(identified.at, identified.n, identified.record, by_id);
	if (compile_continues(c, rc))
		rc = faults_join(rc, ids_differ(c, (const void *)identified.at, identified.n));
	vec_done(&identified);
	return rc;
}

/* interface, interface-ipv6, off, an address or a range */
static enum nat_action nat_action_of(const struct lyd_node *leaf)
{
	const char *text = lyd_get_value(leaf);

	return strcmp(text, "interface") == 0	     ? NAT_INTERFACE
	       : strcmp(text, "interface-ipv6") == 0 ? NAT_INTERFACE6
	       : strcmp(text, "off") == 0	     ? NAT_OFF
						     : NAT_POOL;
}

/* The further ranges of a pool. */
static enum rc nat_pool_more(struct compiler *c, const struct lyd_node *leaf, struct snap_nat_rule *r)
{
	enum rc rc = RC_OK;

	r->pool_more.first = (uint32_t)c->ranges.n;
	for (; leaf && compile_continues(c, rc); leaf = tree_next(leaf)) {
		struct ip_range *range = vec_add(&c->ranges);
		if (!range)
			return compile_no_memory(c);
		r->pool_more.count++;
		if (nat_action_of(leaf) != NAT_POOL)
			rc = tree_fault(c->faults, leaf, "'%s' stands alone: the others are addresses",
				lyd_get_value(leaf));
		else if (!(rc = value_range(c, leaf, range)) && range->first.family != r->pool.first.family)
			rc = tree_fault(c->faults, leaf,
				"a pool has addresses of one family: '%s' is of the other one",
				lyd_get_value(leaf));
	}
	return rc;
}

static enum rc nat_action(struct compiler *c, const struct lyd_node *leaf, struct snap_nat_rule *r)
{
	const struct lyd_node *next = tree_next(leaf);
	enum rc rc;

	r->action = nat_action_of(leaf);
	if (r->action != NAT_POOL)
		return next ? tree_fault(c->faults, next, "'%s' before it stands alone", lyd_get_value(leaf))
			    : RC_OK;
	rc = value_range(c, leaf, &r->pool);
	return rc || !next ? rc : nat_pool_more(c, next, r);
}

/* The translated ports of one rule, from source NAT's. */
static enum rc nat_ports(struct compiler *c, const struct lyd_node *leaf, struct snap_nat_rule *r)
{
	const struct snapshot *h = &c->head;

	if (r->action == NAT_OFF)
		return leaf ? tree_fault(c->faults, leaf, "ports without a translation: source-nat is off")
			    : RC_OK;
	r->port_first = h->nat_port_first;
	r->port_last = h->nat_port_last;
	if (!leaf)
		return RC_OK;
	enum rc rc = value_ports(c, leaf, &r->port_first, &r->port_last);
	if (rc == RC_OK && (r->port_first < h->nat_port_first || r->port_last > h->nat_port_last))
		return tree_fault(c->faults, leaf, "found '%s', expected ports within nat-ports (%u-%u)",
			lyd_get_value(leaf), h->nat_port_first, h->nat_port_last);
	return rc;
}

/* What only has a meaning with persistent-nat, and a default without being given. */
static enum rc nat_needs_persistent(struct compiler *c, const struct lyd_node *then, const char *statement)
{
	const struct lyd_node *leaf = tree_child(c->m, then, statement);

	if (!leaf || leaf->flags & LYD_DEFAULT)
		return RC_OK;
	return tree_fault(c->faults, leaf, "%s has no effect without persistent-nat: add it, or remove %s",
		statement, statement);
}

static enum rc nat_persistent(struct compiler *c, const struct lyd_node *then, struct snap_nat_rule *r)
{
	const struct lyd_node *leaf = tree_child(c->m, then, "persistent-nat");
	const char *text = leaf ? lyd_get_value(leaf) : NULL;

	if (!leaf)
		return faults_join(nat_needs_persistent(c, then, "persistent-nat-timeout"),
			nat_needs_persistent(c, then, "persistent-nat-limit"));
	if (r->action == NAT_OFF)
		return tree_fault(c->faults, leaf, "persistent-nat without a translation: source-nat is off");
	r->filtering = strcmp(text, "endpoint-independent") == 0 ? NAT_FILTER_ENDPOINT_INDEPENDENT
		       : strcmp(text, "address-dependent") == 0	 ? NAT_FILTER_ADDRESS_DEPENDENT
								 : NAT_FILTER_ADDRESS_AND_PORT_DEPENDENT;
	r->binding_timeout_s = (uint32_t)value_number(then, "persistent-nat-timeout");
	r->bindings_max = (uint32_t)value_number(then, "persistent-nat-limit");
	return RC_OK;
}

/* What only has a meaning with dynamic blocks, and a default without being given. */
static enum rc nat_needs_dynamic(struct compiler *c, const struct lyd_node *then, const char *statement)
{
	const struct lyd_node *leaf = tree_child(c->m, then, statement);

	if (!leaf || leaf->flags & LYD_DEFAULT)
		return RC_OK;
	return tree_fault(c->faults, leaf,
		"%s has no effect without maximum-blocks-per-host: add it, or remove %s", statement,
		statement);
}

#define BLOCKS_OR_KEPT                                                                                       \
	"port-block-size takes the port from the host's block, and port-no-translation keeps it: remove one of them"

/* Blocks that hosts get as they need them. */
static enum rc nat_dynamic_blocks(struct compiler *c, const struct lyd_node *then,
	const struct lyd_node *block, struct snap_nat_rule *r)
{
	if (tree_child(c->m, then, "host-address-base"))
		return tree_fault(c->faults, block,
			"host-address-base is for deterministic blocks, maximum-blocks-per-host for dynamic ones: remove one of them");
	if (tree_child(c->m, then, "port-no-translation"))
		return tree_fault(c->faults, block, BLOCKS_OR_KEPT);
	r->block_size = (uint32_t)value_number(then, "port-block-size");
	r->blocks_max = (uint32_t)value_number(then, "maximum-blocks-per-host");
	r->block_active_s = (uint32_t)value_number(then, "active-block-timeout");
	r->block_recycle_s = (uint32_t)value_number(then, "block-recycle-timeout");
	r->flags = tree_child(c->m, then, "port-parity") ? NAT_KEEP_PARITY : 0;
	if (r->action != NAT_POOL || r->pool.first.family != ADDR_V4)
		return tree_fault(
			c->faults, block, "port-block-size needs a pool of IPv4 addresses as source-nat");
	if (r->block_size % NAT_BLOCK_MIN != 0)
		return tree_fault(c->faults, block,
			"found %u ports, expected a multiple of %u for blocks with maximum-blocks-per-host",
			r->block_size, NAT_BLOCK_MIN);
	if (snap_nat_blocks_each(r) == 0)
		return tree_fault(c->faults, block,
			"no block of %u ports that begins at a multiple of %u fits into the ports %u-%u: use smaller blocks or more ports",
			r->block_size, NAT_BLOCK_MIN, r->port_first, r->port_last);
	uint64_t all = snap_nat_block_addresses(
		(const void *)c->ranges.at, (const void *)c->nat_rules.at, c->nat_rules.n);
	return all <= NAT_BLOCK_ADDRESSES
		       ? RC_OK
		       : tree_fault(c->faults, block,
				 "the pools of rules with maximum-blocks-per-host have %lu addresses, expected at most %u of all of them",
				 (unsigned long)all, NAT_BLOCK_ADDRESSES);
}

/* Each host of host-address-base has a block of the pool's ports of its own. */
static enum rc nat_blocks(struct compiler *c, const struct lyd_node *then, const struct lyd_node *block,
	struct snap_nat_rule *r)
{
	const struct lyd_node *base = tree_child(c->m, then, "host-address-base");
	enum rc rc;

	if (tree_child(c->m, then, "maximum-blocks-per-host"))
		return nat_dynamic_blocks(c, then, block, r);
	if (!base)
		return tree_fault(c->faults, block,
			"port-block-size needs host-address-base, the prefix of the hosts that have a block each, or maximum-blocks-per-host, for blocks as hosts need them");
	if (tree_child(c->m, then, "port-no-translation"))
		return tree_fault(c->faults, block, BLOCKS_OR_KEPT);
	if ((rc = value_range(c, base, &r->base)))
		return rc;
	r->block_size = (uint32_t)value_number(then, "port-block-size");
	r->flags = tree_child(c->m, then, "port-parity") ? NAT_KEEP_PARITY : 0;
	if (r->base.first.family != ADDR_V4 || r->pool.first.family != ADDR_V4)
		return tree_fault(c->faults, block,
			"port-block-size is for IPv4: expected a pool and a host-address-base of IPv4");
	const struct ip_range *ranges = (const void *)c->ranges.at;
	uint64_t hosts = snap_nat_hosts(r), blocks = snap_nat_blocks(ranges + r->pool_more.first, r);
	if (hosts > blocks)
		return tree_fault(c->faults, block,
			"found %u ports for each of the %lu hosts of host-address-base, but the pool and its ports have only %lu such blocks: use smaller blocks, more addresses or fewer hosts",
			r->block_size, (unsigned long)hosts, (unsigned long)blocks);
	return RC_OK;
}

/* What blocks may have, without blocks. */
static enum rc nat_needs_blocks(struct compiler *c, const struct lyd_node *then)
{
	const struct lyd_node *max = tree_child(c->m, then, "maximum-blocks-per-host");

	if (max && !tree_child(c->m, then, "port-block-size"))
		return tree_fault(c->faults, max,
			"maximum-blocks-per-host has no effect without port-block-size: add it, or remove maximum-blocks-per-host");
	if (max)
		return RC_OK;
	return faults_join(nat_needs_dynamic(c, then, "active-block-timeout"),
		nat_needs_dynamic(c, then, "block-recycle-timeout"));
}

static enum rc nat_flags(struct compiler *c, const struct lyd_node *then, struct snap_nat_rule *r)
{
	const struct lyd_node *keep = tree_child(c->m, then, "port-no-translation"),
			      *base = tree_child(c->m, then, "host-address-base"),
			      *parity = tree_child(c->m, then, "port-parity");
	const struct lyd_node *of_pool = keep ? keep : base,
			      *block = tree_child(c->m, then, "port-block-size");
	enum rc rc;

	if (of_pool && r->action != NAT_POOL)
		return tree_fault(c->faults, of_pool, "%s needs a pool of addresses as source-nat",
			keep ? "port-no-translation" : "host-address-base");
	if (parity && r->action == NAT_OFF)
		return tree_fault(c->faults, parity, "port-parity without a translation: source-nat is off");
	if (parity && r->port_first == r->port_last)
		return tree_fault(c->faults, parity, "port-parity needs an odd and an even port");
	if (block)
		return nat_blocks(c, then, block, r);
	r->flags = (keep || base ? NAT_KEEP_PORT : 0u) | (base ? NAT_MAP_PREFIX : 0u) |
		   (parity ? NAT_KEEP_PARITY : 0u);
	if (!base)
		return RC_OK;
	if ((rc = value_range(c, base, &r->base)))
		return rc;
	return r->pool_more.count == 0 && snap_prefixes_fit(&r->base, &r->pool)
		       ? RC_OK
		       : tree_fault(c->faults, base,
				 "found '%s', expected a prefix, and source-nat a prefix of the same family and length; or port-block-size, for a block of ports of each host",
				 lyd_get_value(base));
}

static uint32_t nat_zone(const struct compiler *c, const char *name)
{
	return name ? value_zone(c, name) : ZONE_ANY;
}

static enum rc nat_rule(struct compiler *c, const struct lyd_node *node)
{
	const struct lyd_node *match = tree_child(c->m, node, "match"),
			      *then = tree_child(c->m, node, "then");
	struct snap_nat_rule *r = vec_add(&c->nat_rules);
	enum rc rc;

	if (!r)
		return compile_no_memory(c);
	snprintf(r->name, sizeof r->name, "%s", tree_value(node, "name"));
	r->from_zone = nat_zone(c, tree_value(node, "from"));
	r->to_zone = nat_zone(c, tree_value(node, "to"));
	rc = nat_action(c, tree_child(c->m, then, "source-nat"), r);
	if (rc == RC_OK)
		rc = nat_ports(c, tree_child(c->m, then, "ports"), r);
	if (rc == RC_OK) /* in this order: parity looks at the ports */
		rc = faults_join(nat_persistent(c, then, r),
			faults_join(nat_flags(c, then, r), nat_needs_blocks(c, then)));
	if (!match)
		return rc;
	rc = faults_join(rc, compile_addresses(c, tree_child(c->m, match, "source"), &r->src));
	return faults_join(rc, compile_addresses(c, tree_child(c->m, match, "destination"), &r->dst));
}

enum rc compile_nat(struct compiler *c)
{
	return compile_each(c, "nat", "source", "rule", nat_rule);
}
