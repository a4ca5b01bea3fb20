/*
 * A policy that is prepared in pieces between bursts, beside the loaded one: a copy of the snapshot, the matchers of
 * its lists (build.c), and for each rule the one of the loaded policy whose hit counts it continues. Until
 * fw_load_prepared() the loaded policy decides alone; what that still does costs the same whatever the rules are.
 */
#include "firewall/internal.h"

#include <assert.h>
#include <stdlib.h>

/* False: the budget is used up. */
static bool snapshot_copy(struct fw_prepared *x, uint32_t *budget)
{
	while (x->copied < x->source->bytes) {
		size_t n = MIN_OF((size_t)*budget * FW_PREPARE_COPY_BYTES, x->source->bytes - x->copied);
		if (n == 0)
			return false;
		memcpy((uint8_t *)x->policy->snapshot + x->copied, (const uint8_t *)x->source + x->copied, n);
		x->copied += n;
		*budget -= (uint32_t)((n + FW_PREPARE_COPY_BYTES - 1) / FW_PREPARE_COPY_BYTES);
	}
	return true;
}

/* The list of policy rules that begins with rule `first`: those of a pair of zones, which are adjacent, or the global
 * ones, which are last (snapshot_check()). */
static struct fw_matcher **rules_list(const struct fw_prepared *x, uint32_t first, uint32_t *ret_n)
{
	const struct snapshot *s = x->policy->snapshot;
	const struct snap_rule *r = snap_rules(s);
	uint32_t next = first + 1;

	if (r[first].from_zone == ZONE_ANY || r[first].to_zone == ZONE_ANY) {
		*ret_n = s->rules.count - first;
		return &x->policy->global;
	}
	while (next < s->rules.count && r[next].from_zone == r[first].from_zone &&
		r[next].to_zone == r[first].to_zone)
		next++;
	*ret_n = next - first;
	return &x->policy->pair[fw_pair_index(s, r[first].from_zone, r[first].to_zone)];
}

/* Begins the next list. False: there is none any more, or no memory (x->build.failed). */
static bool list_begin(struct fw_prepared *x)
{
	const struct snapshot *s = x->policy->snapshot;
	uint32_t first = 0, n = 0;

	if (x->list == FW_LIST_POLICY && x->next < s->rules.count) {
		first = x->next;
		x->place = rules_list(x, first, &n);
		x->next += n;
	} else if (x->list == FW_LIST_POLICY) {
		x->list = FW_LIST_NAT;
		x->place = &x->policy->nat;
		n = s->nat_rules.count;
	} else if (x->list == FW_LIST_NAT) {
		x->list = FW_LIST_DNAT;
		x->place = &x->policy->dnat;
		n = s->dnat_rules.count;
	} else {
		return false;
	}
	if (n == 0)
		return list_begin(x);
	assert(!*x->place);
	x->build.failed = !fw_build_begin(&x->build, first, n, x->list);
	return !x->build.failed;
}

/* From its zone there may be a larger one. */
static void large_note(struct fw_policy *p, const struct snap_rule *first, const struct fw_matcher *made)
{
	if (first->from_zone >= p->snapshot->zones.count || made->count < FW_FETCH_RULES_MIN)
		return; /* global ones, and those of the gateway itself */
	const struct fw_matcher **large = &p->large[first->from_zone];
	if (!*large || (*large)->count < made->count)
		*large = made;
}

static bool matchers_make(struct fw_prepared *x, uint32_t *budget)
{
	for (;;) {
		if (x->place) {
			if (!fw_build_go(&x->build, x->policy->snapshot, budget))
				return false;
			*x->place = fw_build_take(&x->build);
			if (x->list == FW_LIST_POLICY)
				large_note(x->policy, &snap_rules(x->policy->snapshot)[(*x->place)->first],
					*x->place);
			x->place = NULL;
		}
		if (*budget == 0)
			return false;
		*budget -= MIN_OF(*budget, (uint32_t)FW_PREPARE_LIST_UNITS);
		if (!list_begin(x))
			return !x->build.failed;
	}
}

/* ---- hit counts ---- */

/* Hit counts follow a rule by its identifier, so that a commit of something else does not reset them. */
static uint32_t rule_bucket(uint64_t id, uint32_t mask)
{
	return (uint32_t)(id * 0x9e3779b97f4a7c15ull >> 32) & mask;
}

/* What a zone was called before; the name that it has where it is a new one. */
static const char *zone_name_was(const struct fw_prepared *x, uint32_t zone)
{
	const struct snapshot *a = x->policy->snapshot, *b = x->before->snapshot;

	if (zone == ZONE_ANY || zone == ZONE_SELF)
		return snap_rule_zone(a, zone);
	uint32_t was = x->zone_was[zone];
	return was == INDEX_NONE ? snap_zones(a)[zone].name : snap_zones(b)[was].name;
}

/* The former rule with this identifier, counted from 1; 0: none. */
static uint32_t rule_with_id(const struct fw_prepared *x, uint64_t id)
{
	const struct snap_rule *rules = snap_rules(x->before->snapshot);
	uint32_t j = x->bucket[rule_bucket(id, x->buckets - 1)];

	while (j != 0 && rules[j - 1].id != id)
		j = x->bucket[x->buckets + j - 1];
	return j;
}

/* The identifier that follows from the names is another one once a zone was renamed, or once the text gives one. */
static uint32_t rule_before(const struct fw_prepared *x, const struct snap_rule *r)
{
	uint32_t j = r->id & RULE_ID_OF_NAMES ? 0 : rule_with_id(x, r->id);

	return j ? j
		 : rule_with_id(x, snap_rule_id_of(zone_name_was(x, r->from_zone),
					   zone_name_was(x, r->to_zone), r->name));
}

/* The former rules by the hash of their identifiers. Without memory for it counts begin again. */
static bool names_hash(struct fw_prepared *x, uint32_t *budget)
{
	const struct snapshot *b = x->before ? x->before->snapshot : NULL;
	uint32_t buckets = 64;

	if (!b)
		return true;
	while (buckets < b->rules.count)
		buckets *= 2;
	if (!x->bucket && !(x->bucket = calloc((size_t)buckets + b->rules.count, sizeof *x->bucket))) {
		x->before = NULL;
		return true;
	}
	x->buckets = buckets;
	for (uint32_t *chain = x->bucket + buckets; x->next < b->rules.count; x->next++) {
		uint32_t j = b->rules.count - 1 - x->next; /* so that the first with the same one is found */
		if (*budget == 0)
			return false;
		*budget -= MIN_OF(*budget, (uint32_t)FW_PREPARE_NAMES_UNITS);
		uint32_t *head = &x->bucket[rule_bucket(snap_rules(b)[j].id, buckets - 1)];
		chain[j] = *head; /* 1 + the rule, 0: none */
		*head = j + 1;
	}
	return true;
}

static bool rules_match(struct fw_prepared *x, uint32_t *budget)
{
	const struct snapshot *s = x->policy->snapshot;

	for (; x->next < s->rules.count; x->next++) {
		const struct snap_rule *r = &snap_rules(s)[x->next];
		if (*budget == 0)
			return false;
		*budget -= MIN_OF(*budget, (uint32_t)FW_PREPARE_NAMES_UNITS);
		fw_hits_prepare(&x->policy->hits[FW_LIST_POLICY], x->next, x->before ? rule_before(x, r) : 0);
	}
	return true;
}

static bool same_nat_rule(const struct snapshot *a, uint32_t i, const struct snapshot *b, uint32_t j)
{
	return strcmp(snap_nat_rules(a)[i].name, snap_nat_rules(b)[j].name) == 0;
}

static bool same_dnat_rule(const struct snapshot *a, uint32_t i, const struct snapshot *b, uint32_t j)
{
	const struct snap_dnat_rule *x = &snap_dnat_rules(a)[i], *y = &snap_dnat_rules(b)[j];

	return strcmp(x->name, y->name) == 0 && snap_dnat_is_static(x) == snap_dnat_is_static(y);
}

/* Rules of NAT are few, and mostly keep their order, so the search continues after the last one found. x->looked: how
 * far it has come for the next rule. */
static bool nat_rules_match(struct fw_prepared *x, enum fw_list list,
	bool (*same)(const struct snapshot *, uint32_t, const struct snapshot *, uint32_t), uint32_t *budget)
{
	struct fw_hits *h = &x->policy->hits[list];
	uint32_t former_n = x->before ? x->before->hits[list].n : 0;

	for (; x->next < h->n; x->next++, x->looked = 0) {
		uint32_t was = 0;
		for (; x->looked < former_n && was == 0; x->looked++) {
			uint32_t j = (x->found + x->looked) % former_n;
			if (*budget == 0)
				return false;
			--*budget;
			if (same(x->policy->snapshot, x->next, x->before->snapshot, j))
				x->found = was = j + 1;
		}
		fw_hits_prepare(h, x->next, was);
	}
	return true;
}

/* What packets ask of all rules of NAT together. */
static void nat_rules_note(struct fw_policy *p)
{
	const struct snapshot *s = p->snapshot;

	while (p->statics_n < s->dnat_rules.count && snap_dnat_is_static(&snap_dnat_rules(s)[p->statics_n]))
		p->statics_n++;
	for (uint32_t i = 0; i < s->nat_rules.count; i++) {
		uint32_t filtering = snap_nat_rules(s)[i].filtering;
		p->persistent |=
			filtering != NAT_NOT_PERSISTENT || snap_nat_has_dynamic_blocks(&snap_nat_rules(s)[i]);
		if (filtering == NAT_FILTER_ENDPOINT_INDEPENDENT || filtering == NAT_FILTER_ADDRESS_DEPENDENT)
			p->wide[p->wide_n++] = i;
	}
	for (uint32_t i = 0; i < s->dnat_rules.count; i++)
		p->dnat_interfaces |= snap_dnat_rules(s)[i].interfaces != 0;
}

/* ---- all of it ---- */

/* True: this step is over. */
static bool step_go(struct fw_prepared *x, uint32_t *budget)
{
	switch (x->step) {
	case FW_PREPARE_COPY:
		return snapshot_copy(x, budget);
	case FW_PREPARE_MATCHERS:
		return matchers_make(x, budget);
	case FW_PREPARE_NAMES:
		return names_hash(x, budget);
	case FW_PREPARE_RULES:
		return rules_match(x, budget);
	case FW_PREPARE_NAT:
		return nat_rules_match(x, FW_LIST_NAT, same_nat_rule, budget);
	case FW_PREPARE_DNAT:
		if (!nat_rules_match(x, FW_LIST_DNAT, same_dnat_rule, budget))
			return false;
		nat_rules_note(x->policy);
		return true;
	case FW_PREPARE_READY:
		break;
	}
	return true;
}

struct fw_prepared *fw_prepare(const struct firewall *fw, const struct snapshot *s, struct err *e)
{
	struct fw_prepared *x = calloc(1, sizeof *x);

	if (x) {
		*x = (struct fw_prepared){ .source = s, .before = fw->policy, .loaded = fw->policy };
		x->policy = fw_policy_new(s);
	}
	for (uint32_t i = 0; x && x->policy && x->before && i < s->zones.count; i++)
		x->zone_was[i] = snap_zone_was(x->before->snapshot, s, i);
	if (!x || !x->policy) {
		fw_prepared_free(x);
		err_add(e, RC_LIMIT, "out of memory for a policy of %u rules", s->rules.count);
		return NULL;
	}
	return x;
}

enum rc fw_prepare_go(struct fw_prepared *x, uint32_t budget, bool *ret_ready, struct err *e)
{
	while (x->step != FW_PREPARE_READY && step_go(x, &budget)) {
		x->step++;
		x->next = x->looked = x->found = 0;
	}
	*ret_ready = x->step == FW_PREPARE_READY;
	if (x->build.failed)
		return err_add(e, RC_LIMIT, "out of memory for the search in %u rules",
			x->policy->snapshot->rules.count);
	return RC_OK;
}

struct fw_policy *fw_prepared_take(struct firewall *fw, struct fw_prepared *x, mono_ns now)
{
	struct fw_policy *p = x->policy;

	assert(x->step == FW_PREPARE_READY && x->loaded == fw->policy);
	p->snapshot->schedules_off = fw->schedules_off;
	for (uint32_t i = 0; i < FW_LISTS; i++)
		fw_hits_begin(&p->hits[i], x->before ? &fw->policy->hits[i] : NULL, now);
	x->policy = NULL;
	fw_prepared_free(x);
	return p;
}

void fw_prepared_free(struct fw_prepared *x)
{
	if (!x)
		return;
	fw_build_done(&x->build);
	fw_policy_free(x->policy);
	free(x->bucket);
	free(x);
}
