/*
 * A new policy while sessions exist. Sessions name zones by index in memory that outlives the process, so the
 * names of an epoch's zones are stored in the same memory: a session is moved to the next epoch by one store,
 * and a process that takes over in the middle of the move can finish it.
 *
 * Then every session is evaluated again: a removed rule or a new deny takes effect on established sessions.
 */
#include "firewall/internal.h"

#include <assert.h>

_Static_assert(
	ZONES_MAX < UINT16_MAX - 1, "no zone has the number of the gateway, or of a zone that is gone");

static uint16_t zone_by_name(const struct fw_state *st, uint32_t table, const char *name)
{
	for (uint32_t i = 0; i < st->zones_n[table]; i++)
		if (strcmp(st->zone_names[table][i], name) == 0)
			return (uint16_t)i;
	return UINT16_MAX - 1; /* gone */
}

/* Moves every session to the next epoch, whose names are stored already; those whose zone is gone end. The
 * loaded policy is still the one that their old numbers refer to. */
static void zones_move(struct firewall *fw, mono_ns now)
{
	struct fw_state *st = fw->state;
	uint32_t from = st->epoch % 2, to = 1 - from;
	uint16_t map[ZONES_MAX];

	for (uint32_t i = 0; i < st->zones_n[from]; i++)
		map[i] = zone_by_name(st, to, st->zone_names[from][i]);
	for (uint32_t i = 0; i < fw->state->used; i++) {
		struct fw_session *s = &fw->sessions[i];
		struct fw_zones z = s->zones;
		bool gone = false;
		if (!s->live || z.epoch != st->epoch)
			continue;
		for (int d = 0; d < 2; d++)
			if (z.zone[d] != FW_ZONE_HOST) {
				z.zone[d] = map[z.zone[d]];
				gone |= z.zone[d] >= st->zones_n[to];
			}
		z.epoch = st->epoch + 1;
		if (gone && fw_is_binding(s)) /* no rule serves it now; it may be in use */
			z.zone[0] = z.zone[1] = FW_ZONE_HOST;
		if (gone && !fw_is_binding(s))
			fw_session_end_by(fw, i, FW_END_POLICY_CHANGED, now);
		else
			fw_zones_store(s, z);
	}
	__atomic_store_n(&st->epoch, st->epoch + 1, __ATOMIC_RELEASE);
	fw_shares_renumber(fw);
}

void fw_zones_adopt(struct firewall *fw, mono_ns now)
{
	for (uint32_t i = 0; i < fw->state->used; i++)
		if (fw->sessions[i].live && fw->sessions[i].zones.epoch != fw->state->epoch) {
			zones_move(fw, now);
			return;
		}
}

static void zones_load(struct firewall *fw, const struct snapshot *s, mono_ns now)
{
	struct fw_state *st = fw->state;
	uint32_t to = 1 - st->epoch % 2;

	assert(s->zones.count <= ZONES_MAX);
	st->zones_n[to] = s->zones.count;
	for (uint32_t i = 0; i < s->zones.count; i++)
		memcpy(st->zone_names[to][i], snap_zones(s)[i].name, NAME_MAX_BYTES);
	zones_move(fw, now); /* stores with release: after a kill in between the names are there */
}

static bool decide(
	struct firewall *fw, const struct fw_session *s, uint32_t *ret_rule, uint32_t *ret_timeout_s)
{
	struct fw_tuple t = fw_tuple_of_key(&s->key[0], s->zones.zone[0], s->zones.zone[1]);

	*ret_rule = TRAIN_NONE;
	*ret_timeout_s = 0;
	if (t.from == FW_ZONE_HOST)
		return true;
	if (s->flags & FW_SESSION_LOOSE && !fw_zone_is_loose(fw, t.from))
		return false; /* its numbers are not known, so it cannot be checked from now on */
	if (t.to == FW_ZONE_HOST)
		return fw_host_allows(fw, &t);
	return fw_policy_lookup(fw, &t, ret_rule, ret_timeout_s) == RULE_PERMIT;
}

static void sessions_reevaluate(struct firewall *fw, const struct fw_policy *old, mono_ns now)
{
	for (uint32_t i = 0; i < fw->state->used; i++) {
		struct fw_session *s = &fw->sessions[i];
		if (!s->live || fw_is_binding(s))
			continue;
		assert(s->zones.epoch == fw->state->epoch);
		uint32_t rule, timeout_s;
		if (!decide(fw, s, &rule, &timeout_s)) {
			fw_log_close(fw, old, s, FW_END_POLICY_CHANGED, now);
			fw_session_finish(fw, i, now);
			continue;
		}
		s->rule = rule;
		s->timeout_s = timeout_s;
		/* Its translation does not change; the rule that would make it now is for `show` only. */
		struct fw_tuple t = fw_tuple_of_key(&s->key[0], s->zones.zone[0], s->zones.zone[1]);
		s->nat_rule = s->flags & FW_SESSION_TRANSLATED ? fw_nat_lookup(fw, &t) : TRAIN_NONE;
		s->forwarding[0].generation = s->forwarding[1].generation = 0;
		s->interface[0] = s->interface[1] = TRAIN_NONE;
	}
}

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

/* Rules mostly keep their order, so the search continues after the last one found. */
static void hits_carry(struct fw_policy *to, const struct fw_policy *from)
{
	const struct snapshot *a = to->snapshot, *b = from->snapshot;

	for (uint32_t i = 0, at = 0; i < a->rules.count; i++)
		for (uint32_t k = 0; k < MIN_OF(b->rules.count, 1000u); k++) {
			uint32_t j = (at + k) % b->rules.count;
			if (same_rule(a, &snap_rules(a)[i], b, &snap_rules(b)[j])) {
				to->rule_hits[i] = from->rule_hits[j];
				at = j + 1;
				break;
			}
		}
	for (uint32_t i = 0, at = 0; i < a->nat_rules.count; i++)
		for (uint32_t k = 0; k < b->nat_rules.count; k++) {
			uint32_t j = (at + k) % b->nat_rules.count;
			if (strcmp(snap_nat_rules(a)[i].name, snap_nat_rules(b)[j].name) == 0) {
				to->nat_hits[i] = from->nat_hits[j];
				at = j + 1;
				break;
			}
		}
}

enum rc fw_load(struct firewall *fw, const struct snapshot *s, mono_ns now, struct err *e)
{
	struct fw_policy *next = fw_policy_new(s), *old = fw->policy;
	uint32_t limit = MIN_OF(s->sessions_max, fw->limits.sessions_max);

	if (!next)
		return err_add(e, RC_LIMIT, "out of memory for a policy of %u rules", s->rules.count);
	if (!fw_index_resize(fw, limit)) {
		fw_policy_free(next);
		return err_add(e, RC_LIMIT, "out of memory for the index of %u sessions", limit);
	}
	if (old)
		hits_carry(next, old);
	memcpy(fw->timeout_s, s->timeout_s, sizeof fw->timeout_s);
	fw->half_open_max = s->half_open_max;
	bool other_limit = fw->sessions_limit != limit;
	fw->sessions_limit = limit;
	fw_log_report_suppressed(fw, now);
	zones_load(fw, s, now);
	fw->policy = next;
	sessions_reevaluate(fw, old, now);
	fw_bindings_reevaluate(fw, now);
	fw_evict_over_limit(fw, now);
	if (other_limit)
		fw_shares_recount(fw);
	fw_log_policy_retire(fw, old, now);
	return RC_OK;
}
