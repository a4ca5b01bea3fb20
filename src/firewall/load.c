/*
 * A new policy while sessions exist. fw_load() walks none of them: it begins an epoch, and a session that stands
 * under an earlier one is evaluated before its next packet passes (judge.c), or by fw_sweep(), which the shell
 * calls until nothing is left. So what the new policy forbids ends at once for whoever looks, and a commit costs
 * the same whatever stands in the table.
 *
 * What fw_sweep() does after that is as little urgent: a lower session-limit evicts, and another one gives other
 * shares.
 */
#include "firewall/internal.h"

#include <assert.h>
#include <stdlib.h>

/* Hit counts follow a rule by its own name and its zones' names, so that a commit of something else does
 * not reset them. */
static bool same_rule(const struct snapshot *a, const struct snap_rule *x, const struct snapshot *b,
	const struct snap_rule *y)
{
	if (strcmp(x->name, y->name) != 0 || (x->from_zone == ZONE_ANY) != (y->from_zone == ZONE_ANY) ||
		(x->to_zone == ZONE_ANY) != (y->to_zone == ZONE_ANY))
		return false;
	return (x->from_zone == ZONE_ANY ||
		       strcmp(snap_zones(a)[x->from_zone].name, snap_zones(b)[y->from_zone].name) == 0) &&
	       (x->to_zone == ZONE_ANY ||
		       strcmp(snap_zones(a)[x->to_zone].name, snap_zones(b)[y->to_zone].name) == 0);
}

/* FNV-1a: names are the administrator's. */
static uint32_t name_hash(uint32_t h, const char *name)
{
	for (; *name; name++)
		h = (h ^ (uint8_t)*name) * 16777619u;
	return (h ^ 0xff) * 16777619u;
}

/* Of what same_rule() compares: a name may stand in each pair of zones. */
static uint32_t rule_bucket(const struct snapshot *s, const struct snap_rule *r, uint32_t mask)
{
	uint32_t h = name_hash(2166136261u, r->name);

	h = name_hash(h, r->from_zone == ZONE_ANY ? "" : snap_zones(s)[r->from_zone].name);
	h = name_hash(h, r->to_zone == ZONE_ANY ? "" : snap_zones(s)[r->to_zone].name);
	return (h ^ h >> 15) & mask;
}

/* By hash: a search for each of ten thousand would stop packets for tens of milliseconds. Out of
 * memory: counts begin again. */
static void rule_hits_carry(struct fw_policy *to, const struct fw_policy *from)
{
	const struct snapshot *a = to->snapshot, *b = from->snapshot;
	uint32_t buckets = 64;

	while (buckets < b->rules.count)
		buckets *= 2;
	uint32_t *first = calloc((size_t)buckets + b->rules.count, sizeof *first), *next = first + buckets;
	if (!first)
		return;
	for (uint32_t j = b->rules.count; j-- > 0;) { /* 1 + the rule, 0: none */
		uint32_t *head = &first[rule_bucket(b, &snap_rules(b)[j], buckets - 1)];
		next[j] = *head;
		*head = j + 1;
	}
	for (uint32_t i = 0; i < a->rules.count; i++) {
		uint32_t j = first[rule_bucket(a, &snap_rules(a)[i], buckets - 1)];
		while (j != 0 && !same_rule(a, &snap_rules(a)[i], b, &snap_rules(b)[j - 1]))
			j = next[j - 1];
		if (j != 0)
			to->rule_hits[i] = from->rule_hits[j - 1];
	}
	free(first);
}

/* Rules of NAT are few, and mostly keep their order, so the search continues after the last one found. */
static void hits_carry(struct fw_policy *to, const struct fw_policy *from)
{
	const struct snapshot *a = to->snapshot, *b = from->snapshot;

	rule_hits_carry(to, from);
	for (uint32_t i = 0, at = 0; i < a->nat_rules.count; i++)
		for (uint32_t k = 0; k < b->nat_rules.count; k++) {
			uint32_t j = (at + k) % b->nat_rules.count;
			if (strcmp(snap_nat_rules(a)[i].name, snap_nat_rules(b)[j].name) == 0) {
				to->nat_hits[i] = from->nat_hits[j];
				at = j + 1;
				break;
			}
		}
	for (uint32_t i = 0, at = 0; i < a->dnat_rules.count; i++)
		for (uint32_t k = 0; k < b->dnat_rules.count; k++) {
			uint32_t j = (at + k) % b->dnat_rules.count;
			const struct snap_dnat_rule *x = &snap_dnat_rules(a)[i], *y = &snap_dnat_rules(b)[j];
			if (strcmp(x->name, y->name) == 0 &&
				snap_dnat_is_static(x) == snap_dnat_is_static(y)) {
				to->dnat_hits[i] = from->dnat_hits[j];
				at = j + 1;
				break;
			}
		}
}

/* No session stands under the former policies any more. */
static void epochs_end(struct firewall *fw, mono_ns now)
{
	struct fw_state *st = fw->state;

	for (uint32_t e = st->oldest; e != st->epoch; e++) {
		fw_log_policy_retire(fw, fw->past[e % FW_EPOCHS], now);
		fw->past[e % FW_EPOCHS] = NULL;
	}
	__atomic_store_n(&st->oldest, st->epoch, __ATOMIC_RELEASE);
}

/* Stores the names first: after a kill in between, nothing refers to them. */
static void epoch_begin(struct firewall *fw, struct fw_policy *next, mono_ns now)
{
	struct fw_state *st = fw->state;
	const struct snapshot *s = next->snapshot;

	if (st->epoch - st->oldest == FW_EPOCHS - 1) {
		for (uint32_t i = 0; i < st->used; i++)
			if (fw->sessions[i].live)
				fw_session_judge(fw, i, now);
		epochs_end(fw, now);
	}
	uint32_t from = st->epoch % FW_EPOCHS, to = (st->epoch + 1) % FW_EPOCHS;
	assert(s->zones.count <= ZONES_MAX && !fw->past[from]);
	st->zones_n[to] = s->zones.count;
	for (uint32_t i = 0; i < s->zones.count; i++)
		memcpy(st->zone_names[to][i], snap_zones(s)[i].name, NAME_MAX_BYTES);
	__atomic_store_n(&st->epoch, st->epoch + 1, __ATOMIC_RELEASE);
	fw->past[from] = fw->policy;
	fw->policy = next;
	fw_zone_maps_make(fw);
	fw_shares_renumber(fw, fw->zone_map[from]);
	fw->changes++;
}

/* Flows are spread evenly among the workers: each may have as many of them as the others. */
static uint32_t share_of_worker(const struct firewall *fw, uint32_t limit)
{
	return (limit + fw->limits.workers - 1) / fw->limits.workers;
}

enum rc fw_load(struct firewall *fw, const struct snapshot *s, mono_ns now, struct err *e)
{
	struct fw_policy *next = fw_policy_new(s);
	uint32_t limit = MIN_OF(share_of_worker(fw, s->sessions_max), fw->limits.sessions_max);

	if (!next)
		return err_add(e, RC_LIMIT, "out of memory for a policy of %u rules", s->rules.count);
	if (fw->policy)
		hits_carry(next, fw->policy);
	fw_servers_apply(fw, next);
	fw_log_report_suppressed(fw, now);
	epoch_begin(fw, next, now);
	memcpy(fw->timeout_s, s->timeout_s, sizeof fw->timeout_s);
	fw->half_open_max = share_of_worker(fw, s->half_open_max);
	fw->sweep =
		(struct fw_sweep){ FW_SWEEP_JUDGE, 0, fw->sweep.other_limit || fw->sessions_limit != limit };
	fw->silent.step = FW_SILENT_IDLE;
	fw->sessions_limit = limit;
	fw_aging_set(fw, &s->aging);
	return RC_OK;
}

/* From record to record. True: that was the last. */
static bool sweep_records(struct firewall *fw, mono_ns now, uint32_t *budget)
{
	struct fw_sweep *w = &fw->sweep;

	for (; w->cursor < fw->state->used && *budget > 0; w->cursor++, --*budget) {
		if (!fw->sessions[w->cursor].live)
			continue;
		if (w->phase == FW_SWEEP_JUDGE)
			fw_session_judge(fw, w->cursor, now);
		else
			fw_shares_recount(fw, w->cursor);
	}
	return w->cursor >= fw->state->used;
}

/* After servers went down: their sessions end where the rule says so. True: all are seen. */
static bool sweep_servers(struct firewall *fw, mono_ns now, uint32_t *budget)
{
	uint32_t *i = &fw->servers.sweep;

	if (fw->servers.n == 0 || !fw->policy)
		*i = FW_NONE;
	for (; *i < fw->state->used && *budget > 0; ++*i, --*budget) {
		const struct fw_session *s = fw_session_current(fw, *i, now);
		if (s && fw_server_ends_session(fw, s))
			fw_session_end_by(fw, *i, FW_END_SERVER_DOWN, now);
	}
	if (*i >= fw->state->used)
		*i = FW_NONE;
	return *i == FW_NONE;
}

bool fw_sweep(struct firewall *fw, mono_ns now, uint32_t budget)
{
	struct fw_sweep *w = &fw->sweep;

	if (w->phase == FW_SWEEP_JUDGE && sweep_records(fw, now, &budget)) {
		epochs_end(fw, now);
		*w = (struct fw_sweep){ FW_SWEEP_EVICT, 0, w->other_limit };
	}
	if (w->phase == FW_SWEEP_EVICT && budget > 0 && fw_evict_over_limit(fw, now, budget))
		w->phase = w->other_limit ? FW_SWEEP_RECOUNT : FW_SWEEP_NONE;
	else if (w->phase == FW_SWEEP_RECOUNT && sweep_records(fw, now, &budget))
		*w = (struct fw_sweep){ FW_SWEEP_NONE, 0, false };
	return sweep_servers(fw, now, &budget) && w->phase == FW_SWEEP_NONE;
}
