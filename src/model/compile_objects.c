/*
 * Addresses, applications and sets of them: found by name, expanded once, shared by the
 * rules that name a single object. Ranges of one span are sorted (IPv4 first), disjoint and not adjacent.
 * Part of the compiler.
 */
#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "base/icmp.h"
#include "base/nearest.h"
#include "model/applications.h"
#include "model/compile.h"
#include "model/dynamic.h"
#include "model/text_hash.h"

static const struct built_in {
	const char *name;
	uint8_t proto;
	uint16_t first, last;
} built_ins[] = {
#define E(name, proto, first, last) { name, proto, first, last },
	BUILT_IN_APPLICATIONS(E)
#undef E
};

static int by_name(const void *a, const void *b)
{
	return strcmp(((const struct object *)a)->name, ((const struct object *)b)->name);
}

/* Its slot, or the one where it belongs. */
static uint32_t *slot_of(const struct objects *o, const char *name)
{
	assert(o->slots_n > o->n);
	for (size_t i = text_hash(0, name, strlen(name));; i++) {
		uint32_t *slot = &o->slots[i & (o->slots_n - 1)];
		if (*slot == 0 || strcmp(o->at[*slot - 1].name, name) == 0)
			return slot;
	}
}

static struct object *object_find(const struct objects *o, const char *name)
{
	uint32_t at = *slot_of(o, name);

	return at ? &o->at[at - 1] : NULL;
}

/* Of all: a large policy names its objects more often than a search by halves is cheap. */
static enum rc objects_index(struct objects *o, struct compiler *c)
{
	uint32_t *slot;

	o->slots_n = 64;
	while (o->slots_n < 2 * o->n)
		o->slots_n *= 2;
	if (!(o->slots = calloc(o->slots_n, sizeof *o->slots)))
		return compile_no_memory(c);
	for (size_t i = 0; i < o->n; i++)
		if (*(slot = slot_of(o, o->at[i].name)) == 0) /* of two with one name the first */
			*slot = (uint32_t)i + 1;
	return RC_OK;
}

void objects_done(struct objects *o)
{
	for (size_t i = 0; i < o->n; i++)
		vec_done(&o->at[i].members);
	free(o->at);
	free(o->slots);
	*o = (struct objects){ 0 };
}

static enum rc no_such_object(struct compiler *c, const struct objects *o, const struct lyd_node *name)
{
	const char *value = lyd_get_value(name);
	struct nearest near = nearest_to(value, strlen(value));
	char hint[NEAREST_HINT_MAX], off[LOST_HINT_MAX];
	struct ip_addr addr;

	if (o == &c->addresses && addr_parse(&addr, value) == RC_OK) /* may be a name, and is none here */
		return tree_fault(c->faults, name,
			"found '%s'; rules name addresses: define 'address NAME { prefix %s; }' in address-book, and use NAME here",
			value, value);
	for (size_t i = 0; i < o->n; i++)
		nearest_offer(&near, o->at[i].name, strlen(o->at[i].name));
	lost_hint(off, &c->m->lost, o->kind, value);
	return tree_fault(c->faults, name, "found '%.60s', expected the name of an %s that exists%s", value,
		o->kind, off[0] ? off : nearest_hint(hint, &near));
}

static void objects_from(struct objects *o, const struct lyd_node *first, bool is_set)
{
	for (const struct lyd_node *node = first; node; node = tree_next(node))
		o->at[o->n++] =
			(struct object){ .name = tree_value(node, "name"), .node = node, .is_set = is_set };
}

static size_t siblings(const struct lyd_node *first)
{
	size_t n = 0;

	for (; first; first = tree_next(first))
		n++;
	return n;
}

/* Sorts; one name may stand for one thing only. */
static enum rc objects_sort(struct objects *o, struct compiler *c)
{
	qsort(o->at, o->n, sizeof *o->at, by_name);
	for (size_t i = 1; i < o->n; i++) {
		struct object *a = &o->at[i - 1], *b = &o->at[i];
		if (strcmp(a->name, b->name) == 0)
			return tree_fault(c->faults, b->node, "'%s' is an %s already, in line %u", b->name,
				a->node->schema->name, tree_place(a->node).line);
	}
	return RC_OK;
}

/* Built-in applications that the configuration does not replace. `own` of the index is sorted already. */
static void add_built_ins(struct objects *o, size_t own)
{
	for (size_t i = 0; i < COUNT_OF(built_ins); i++) {
		const struct object row = { .name = built_ins[i].name };
		bool first_row = i == 0 || strcmp(built_ins[i].name, built_ins[i - 1].name) != 0;
		if (first_row && !bsearch(&row, o->at, own, sizeof *o->at, by_name))
			o->at[o->n++] = row;
	}
	qsort(o->at, o->n, sizeof *o->at, by_name);
}

/* Also of names that are given twice, so that the faults of others are their own. */
static enum rc index_of(struct objects *o, struct compiler *c, const char *group, const char *kind,
	const char *set, bool built_in)
{
	const struct lyd_node *at = tree_child(c->m, NULL, group);
	const struct lyd_node *one = at ? tree_child(c->m, at, kind) : NULL;
	const struct lyd_node *sets = at ? tree_child(c->m, at, set) : NULL;

	o->kind = kind;
	o->at = calloc(siblings(one) + siblings(sets) + COUNT_OF(built_ins), sizeof *o->at);
	if (!o->at)
		return compile_no_memory(c);
	objects_from(o, one, false);
	objects_from(o, sets, true);
	enum rc rc = objects_sort(o, c);
	if (built_in)
		add_built_ins(o, o->n);
	return faults_join(rc, objects_index(o, c));
}

/* ---- ranges and services as sets ---- */

/* Sorted, overlapping and adjacent ones joined. */
static void ranges_merge(struct vec *v)
{
	v->n = ranges_join((void *)v->at, (uint32_t)v->n);
}

static int service_order(const void *a, const void *b)
{
	return memcmp(a, b, sizeof(struct snap_service));
}

static void services_merge(struct vec *v)
{
	struct snap_service *s = (void *)v->at;
	size_t n = 0;

	if (v->n == 0)
		return;
	qsort(s, v->n, sizeof *s, service_order);
	for (size_t i = 1; i < v->n; i++) {
		if (service_order(&s[i], &s[n]) != 0)
			s[++n] = s[i];
	}
	v->n = n + 1;
}

/* ---- expansion ---- */

struct kind {
	struct objects *objects;
	size_t record;
	const char *names[2]; /* leaf-lists of a set that hold members' names */
	enum rc (*expand_one)(struct compiler *c, struct object *o);
	void (*merge)(struct vec *v);
	struct vec *array; /* the snapshot's */
	uint32_t max;
};

static enum rc vec_append(struct compiler *c, struct vec *to, const struct vec *from)
{
	for (size_t i = 0; i < from->n; i++) {
		void *record = vec_add(to);
		if (!record)
			return compile_no_memory(c);
		memcpy(record, from->at + i * from->record, from->record);
	}
	return RC_OK;
}

static enum rc expand_address(struct compiler *c, struct object *o)
{
	const struct many *many = &c->m->many;
	const struct lyd_node *leaf = tree_child(c->m, o->node, "wildcard-address");
	enum rc rc = RC_OK;

	for (enum many_kind kind = MANY_NONE + 1; kind < MANY_KINDS; kind++) {
		const struct many_value *v = many_next(many, tree_place(o->node), kind, NULL);
		for (; v && compile_continues(c, rc); v = many_next(many, v->in, kind, v)) {
			struct ip_range *range = vec_add(&o->members);
			rc = faults_join(rc, range ? value_range_at(c, many_text(many, v), v->at, range)
						   : compile_no_memory(c));
		}
	}
	for (; leaf && compile_continues(c, rc); leaf = tree_next(leaf)) {
		struct ip_range *range = vec_add(&o->members);
		rc = faults_join(rc, range ? value_wildcard(c, leaf, range) : compile_no_memory(c));
	}
	return compile_continues(c, rc) ? faults_join(rc, compile_dynamic(c, o)) : rc;
}

static uint8_t protocol_number(const char *text)
{
	if (strcmp(text, "tcp") == 0)
		return 6;
	if (strcmp(text, "udp") == 0)
		return 17;
	if (strcmp(text, "sctp") == 0)
		return 132;
	if (strcmp(text, "icmp") == 0)
		return 1;
	if (strcmp(text, "icmp6") == 0)
		return 58;
	return (uint8_t)strtoul(text, NULL, 10);
}

static enum rc expand_built_in(struct compiler *c, struct object *o)
{
	for (size_t i = 0; i < COUNT_OF(built_ins); i++) {
		struct snap_service *s;
		if (strcmp(built_ins[i].name, o->name) != 0)
			continue;
		if (!(s = vec_add(&o->members)))
			return compile_no_memory(c);
		*s = (struct snap_service){ .proto = built_ins[i].proto,
			.src_last = UINT16_MAX,
			.dst_first = built_ins[i].first,
			.dst_last = built_ins[i].last };
	}
	assert(o->members.n > 0);
	return RC_OK;
}

/* Sessions are of queries: what else is named here would never match anything. */
static enum rc icmp_type(struct compiler *c, const struct lyd_node *leaf, struct snap_service *s)
{
	uint8_t type = (uint8_t)strtoul(lyd_get_value(leaf), NULL, 10), query;

	s->dst_first = s->dst_last = type;
	switch (icmp_role(s->proto == 1, type, &query)) {
	case ICMP_ROLE_QUERY:
		return RC_OK;
	case ICMP_ROLE_ANSWER:
		return tree_fault(c->faults, leaf,
			"ICMP type %u is the reply to type %u: use %u, replies pass with its session", type,
			query, query);
	case ICMP_ROLE_OTHER:
		break;
	}
	return tree_fault(c->faults, leaf,
		"ICMP type %u is not a query: errors pass with the session that they are about, messages "
		"between neighbours are not forwarded; queries are %s",
		type, s->proto == 1 ? "8, 13, 15, 17 and 42" : "128, 139, 144, 146 and 160");
}

/* Stands in place of a source port. */
static void icmp_code(const struct lyd_node *leaf, struct snap_service *s)
{
	s->src_first = s->src_last = (uint8_t)strtoul(lyd_get_value(leaf), NULL, 10);
}

/* Of one range of source ports with one of destination ports, or of one ICMP code with one type; NULL: any. */
static enum rc application_member(
	struct compiler *c, struct object *o, const struct lyd_node *source, const struct lyd_node *to)
{
	struct snap_service *s = vec_add(&o->members);
	enum rc rc = RC_OK;

	if (!s)
		return compile_no_memory(c);
	*s = (struct snap_service){ .proto = protocol_number(tree_value(o->node, "protocol")),
		.src_last = UINT16_MAX,
		.dst_last = UINT16_MAX,
		.timeout_s = (uint32_t)value_number(o->node, "inactivity-timeout") };
	if (source && strcmp(source->schema->name, "icmp-code") == 0)
		icmp_code(source, s);
	else if (source)
		rc = value_ports(c, source, &s->src_first, &s->src_last);
	if (rc || !to)
		return rc;
	return strcmp(to->schema->name, "icmp-type") == 0 ? icmp_type(c, to, s)
							  : value_ports(c, to, &s->dst_first, &s->dst_last);
}

static enum rc expand_application(struct compiler *c, struct object *o)
{
	const struct lyd_node *source, *first, *to;
	enum rc rc = RC_OK;

	if (!o->node)
		return expand_built_in(c, o);
	source = tree_child(c->m, o->node, "source-port");
	source = source ? source : tree_child(c->m, o->node, "icmp-code");
	first = tree_child(c->m, o->node, "destination-port");
	first = first ? first : tree_child(c->m, o->node, "icmp-type");
	do {
		to = first;
		do {
			rc = faults_join(rc, application_member(c, o, source, to));
			to = to ? tree_next(to) : NULL;
		} while (to && compile_continues(c, rc));
		source = source ? tree_next(source) : NULL;
	} while (source && compile_continues(c, rc));
	return rc;
}

static enum rc expand(struct compiler *c, const struct kind *k, struct object *o,
	const struct lyd_node *named_at, unsigned depth);

static enum rc expand_member(struct compiler *c, const struct kind *k, struct object *set,
	const struct lyd_node *name, bool is_set, unsigned depth)
{
	struct object *member = object_find(k->objects, lyd_get_value(name));
	enum rc rc;

	if (!member)
		return no_such_object(c, k->objects, name);
	if (member->is_set != is_set)
		return tree_fault(c->faults, name, "'%s' is not an %s; it belongs in '%s'", member->name,
			k->names[is_set], k->names[!is_set]);
	rc = expand(c, k, member, name, depth + 1);
	if (!rc)
		rc = vec_append(c, &set->members, &member->members);
	if (!rc && set->members.n > k->max)
		rc = fault_is_limit(tree_fault(
			c->faults, set->node, "the set '%s' has more than %u members", set->name, k->max));
	return rc;
}

static enum rc expand_set(struct compiler *c, const struct kind *k, struct object *set, unsigned depth)
{
	enum rc rc = RC_OK;

	for (size_t i = 0; i < COUNT_OF(k->names); i++) {
		const struct lyd_node *name = tree_child(c->m, set->node, k->names[i]);
		for (; name && compile_continues(c, rc); name = tree_next(name))
			rc = faults_join(rc, expand_member(c, k, set, name, i == 1, depth));
	}
	return rc;
}

/* Fills o->members once. `named_at` is where the name stands, for faults. */
static enum rc expand(struct compiler *c, const struct kind *k, struct object *o,
	const struct lyd_node *named_at, unsigned depth)
{
	enum rc rc;

	if (o->state == OBJECT_DONE)
		return RC_OK;
	if (o->state == OBJECT_OPEN)
		return tree_fault(c->faults, named_at, "the set '%s' contains itself", o->name);
	if (depth > SET_DEPTH_MAX)
		return fault_is_limit(
			tree_fault(c->faults, named_at, "sets are nested more than %d deep", SET_DEPTH_MAX));
	assert(o->members.n == 0);
	o->state = OBJECT_OPEN;
	o->members.record = k->record;
	rc = o->is_set ? expand_set(c, k, o, depth) : k->expand_one(c, o);
	o->state = OBJECT_DONE; /* its faults are noted once */
	if (rc)
		return rc;
	k->merge(&o->members);
	k->objects->expanded += o->members.n;
	if (k->objects->expanded > EXPANDED_MAX)
		return fault_is_limit(tree_fault(
			c->faults, named_at, "all sets together have more than %zu members", EXPANDED_MAX));
	return RC_OK;
}

static enum rc place_members(struct compiler *c, const struct kind *k, const struct vec *members,
	const struct lyd_node *at, struct span *ret_span)
{
	if (k->array->n + members->n > k->max)
		return fault_is_limit(
			tree_fault(c->faults, at, "all rules together name more than %u members of kind '%s'",
				k->max, k->objects->kind));
	*ret_span = (struct span){ (uint32_t)k->array->n, (uint32_t)members->n };
	return vec_append(c, k->array, members);
}

/* Several names: their union, in a span of its own. */
static enum rc place_union(
	struct compiler *c, const struct kind *k, const struct lyd_node *first, struct span *ret_span)
{
	struct vec all = { .record = k->record };
	enum rc rc = RC_OK;

	for (const struct lyd_node *name = first; name && compile_continues(c, rc); name = tree_next(name)) {
		struct object *o;
		enum rc one;
		if (strcmp(lyd_get_value(name), "any") == 0)
			one = tree_fault(c->faults, name,
				"'any' stands for everything and cannot be combined with other names");
		else if (!(o = object_find(k->objects, lyd_get_value(name))))
			one = no_such_object(c, k->objects, name);
		else if (!(one = expand(c, k, o, name, 0)))
			one = vec_append(c, &all, &o->members);
		rc = faults_join(rc, one);
	}
	if (!rc) {
		k->merge(&all);
		rc = place_members(c, k, &all, first, ret_span);
	}
	vec_done(&all);
	return rc;
}

static enum rc place_names(
	struct compiler *c, const struct kind *k, const struct lyd_node *first, struct span *ret_span)
{
	struct object *o;
	enum rc rc;

	*ret_span = (struct span){ 0, 0 };
	if (!first || (!tree_next(first) && strcmp(lyd_get_value(first), "any") == 0))
		return RC_OK;
	if (tree_next(first))
		return place_union(c, k, first, ret_span);
	if (!(o = object_find(k->objects, lyd_get_value(first))))
		return no_such_object(c, k->objects, first);
	rc = expand(c, k, o, first, 0);
	assert(!o->placed || o->span.count == o->members.n);
	if (!rc && !o->placed) {
		rc = place_members(c, k, &o->members, first, &o->span);
		o->placed = !rc;
	}
	*ret_span = o->span;
	return rc;
}

static struct kind addresses_kind(struct compiler *c)
{
	return (struct kind){ &c->addresses, sizeof(struct ip_range), { "address", "address-set" },
		expand_address, ranges_merge, &c->ranges, RANGES_MAX };
}

static struct kind applications_kind(struct compiler *c)
{
	return (struct kind){ &c->applications, sizeof(struct snap_service),
		{ "application", "application-set" }, expand_application, services_merge, &c->services,
		SERVICES_MAX };
}

enum rc compile_addresses(struct compiler *c, const struct lyd_node *first_name, struct span *ret_span)
{
	const struct kind k = addresses_kind(c);
	return place_names(c, &k, first_name, ret_span);
}

enum rc compile_plain_addresses(struct compiler *c, const struct lyd_node *first_name, struct span *ret_span)
{
	enum rc rc = compile_addresses(c, first_name, ret_span);
	const struct ip_range *ranges = (const void *)c->ranges.at;

	for (uint32_t i = 0; !rc && i < ret_span->count; i++)
		if (range_is_wildcard(&ranges[ret_span->first + i]))
			return tree_fault(c->faults, first_name,
				"'%s' has %s: only rules of policy between zones and of source NAT can use it",
				lyd_get_value(first_name),
				range_is_dynamic(&ranges[ret_span->first + i])
					? "addresses that change without a commit"
					: "a wildcard-address");
	return rc;
}

enum rc compile_applications(struct compiler *c, const struct lyd_node *first_name, struct span *ret_span)
{
	const struct kind k = applications_kind(c);
	return place_names(c, &k, first_name, ret_span);
}

/* All of them, used or not: a mistake in an object must not wait for the rule that first names it. */
static enum rc expand_all(struct compiler *c, const struct kind *k)
{
	enum rc rc = RC_OK;

	for (size_t i = 0; i < k->objects->n && compile_continues(c, rc); i++)
		rc = faults_join(rc, expand(c, k, &k->objects->at[i], k->objects->at[i].node, 0));
	return rc;
}

enum rc compile_objects(struct compiler *c)
{
	const struct kind addresses = addresses_kind(c), applications = applications_kind(c);
	enum rc rc;

	rc = index_of(&c->addresses, c, "address-book", "address", "address-set", false);
	rc = faults_join(
		rc, index_of(&c->applications, c, "applications", "application", "application-set", true));
	if (rc)
		return rc;
	rc = expand_all(c, &addresses);
	return compile_continues(c, rc) ? faults_join(rc, expand_all(c, &applications)) : rc;
}
