/*
 * A session that stands under an earlier policy than the loaded one: its zones are found again by their names, or
 * where they were renamed by what is in them (the policies themselves say that, so not in a later process), and its
 * rule is looked up by the new policy. That happens before its next packet passes (apply.c), when another session
 * would have its key (admit.c), when it is shown, and otherwise in the sweep (load.c).
 *
 * A session names its zones by index in memory that outlives the process, so the names of each epoch's zones
 * are stored in the same memory, and index and epoch change by one store.
 */
#include "firewall/internal.h"

#include <assert.h>

_Static_assert(ZONES_MAX < FW_ZONE_GONE, "no zone has the number of the gateway, or of a zone that is gone");

static uint16_t zone_by_name(const struct fw_state *st, uint32_t table, const char *name)
{
	for (uint32_t i = 0; i < st->zones_n[table]; i++)
		if (strcmp(st->zone_names[table][i], name) == 0)
			return (uint16_t)i;
	return FW_ZONE_GONE;
}

void fw_zones_renamed(struct firewall *fw, const struct snapshot *next)
{
	uint16_t *to = fw->zone_renamed[fw->state->epoch % FW_EPOCHS];

	for (uint32_t i = 0; i < ZONES_MAX; i++)
		to[i] = FW_ZONE_GONE;
	for (uint32_t i = 0; fw->policy && i < next->zones.count; i++) {
		uint32_t was = snap_zone_was(fw->policy->snapshot, next, i);
		if (was != INDEX_NONE)
			to[was] = (uint16_t)i;
	}
}

/* From epoch to epoch: a zone that was gone in between is another one, although its name is back. */
void fw_zone_maps_make(struct firewall *fw)
{
	const struct fw_state *st = fw->state;

	assert(st->epoch - st->oldest < FW_EPOCHS);
	for (uint32_t e = st->epoch; e-- != st->oldest;) {
		uint32_t from = e % FW_EPOCHS, to = (e + 1) % FW_EPOCHS;
		for (uint32_t i = 0; i < ZONES_MAX; i++) {
			uint16_t z = i < st->zones_n[from] ? zone_by_name(st, to, st->zone_names[from][i])
							   : FW_ZONE_GONE;
			if (z == FW_ZONE_GONE)
				z = fw->zone_renamed[from][i];
			fw->zone_map[from][i] =
				z == FW_ZONE_GONE || e + 1 == st->epoch ? z : fw->zone_map[to][z];
		}
	}
}

/* The session by whose rule this one was permitted (expect.c), if it still lives; NULL: none. */
static const struct fw_session *parent_of(struct firewall *fw, const struct fw_session *s)
{
	if (s->parent)
		fw_adopt_at(fw, s->parent - 1);
	const struct fw_session *p = s->parent ? fw_session(fw, s->parent - 1) : NULL;

	if (!p || fw_is_binding(p) || (int32_t)(p->id - s->id) >= 0 || p->parent ||
		p->flags & FW_SESSION_INWARD || p->zones.zone[0] == FW_ZONE_HOST ||
		p->zones.zone[1] == FW_ZONE_HOST)
		return NULL; /* fw_expect() makes none for these */
	/* Another session may have taken the record of the parent; one between the same ends was permitted to them
	 * as well. */
	struct ip_addr ends[4] = { fw_key_src(&p->key[0]), fw_key_src(&p->key[1]), fw_key_src(&s->key[0]),
		fw_key_src(&s->key[1]) };
	bool same = addr_equal(&ends[0], &ends[2]) && addr_equal(&ends[1], &ends[3]);
	bool other = addr_equal(&ends[0], &ends[3]) && addr_equal(&ends[1], &ends[2]);
	return same || other ? p : NULL;
}

static bool decide(struct firewall *fw, const struct fw_session *s, const struct fw_tuple *t, mono_ns now,
	uint32_t *ret_rule, uint32_t *ret_timeout_s)
{
	*ret_rule = TRAIN_NONE;
	*ret_timeout_s = 0;
	if (t->from == FW_ZONE_GONE || t->to == FW_ZONE_GONE)
		return false;
	if (t->from == FW_ZONE_HOST)
		return fw_own_decide(fw, t, ret_rule, ret_timeout_s) == DROP_NONE;
	if (s->flags & FW_SESSION_LOOSE && !fw_zone_is_loose(fw, t->from))
		return false; /* its numbers are not known, so it cannot be checked from now on */
	if (t->to == FW_ZONE_HOST)
		return fw_host_decide(fw, t, ret_rule, ret_timeout_s) == DROP_NONE;
	if (s->flags & FW_SESSION_INWARD)
		return fw_inward_policy(fw, t, s->key[0].src_port, ret_rule, ret_timeout_s) == RULE_PERMIT;
	/* What an application layer gateway let expect lives by its parent's rule, and ends with what translates that. */
	const struct fw_session *parent = parent_of(fw, s);
	if (!parent)
		return fw_policy_lookup(fw, t, ret_rule, ret_timeout_s) == RULE_PERMIT;
	if (!fw_session_judge(fw, s->parent - 1, now))
		return false;
	*ret_rule = parent->rule;
	return true;
}

/* As decide() will of what an application layer gateway let expect, but its parent goes on as it is. */
static bool parent_permits(struct firewall *fw, const struct fw_session *parent, uint32_t *ret_rule)
{
	uint32_t timeout_s;

	*ret_rule = parent->rule;
	if (parent->zones.epoch == fw->state->epoch)
		return true;
	struct fw_tuple t =
		fw_tuple_of_session(parent, fw_zone_now(fw, parent, 0), fw_zone_now(fw, parent, 1));
	return t.from != FW_ZONE_GONE && t.to != FW_ZONE_GONE &&
	       fw_policy_lookup(fw, &t, ret_rule, &timeout_s) == RULE_PERMIT;
}

void fw_session_judge_ending(struct firewall *fw, uint32_t index, mono_ns now)
{
	struct fw_session *s = &fw->sessions[index];
	uint32_t from = fw_zone_now(fw, s, 0), to = fw_zone_now(fw, s, 1), rule, timeout_s;

	if (!fw->policy || fw_is_binding(s))
		return;
	const struct fw_session *parent = s->flags & FW_SESSION_INWARD ? NULL : parent_of(fw, s);
	struct fw_tuple t = fw_tuple_of_session(s, from, to);
	if (parent ? !parent_permits(fw, parent, &rule) : !decide(fw, s, &t, now, &rule, &timeout_s))
		return;
	s->rule = rule;
	fw_zones_store(s, (struct fw_zones){ { (uint16_t)from, (uint16_t)to }, fw->state->epoch });
	fw_nat_bound(fw->policy, s, 1); /* whoever ends it takes this back */
	fw_limit_count(fw, fw->policy, s, 1);
}

/* The translation of a source does not change; the rule that would make it now is for `show` only. */
static void source_rules_find(struct firewall *fw, struct fw_session *s, const struct fw_tuple *t)
{
	struct ip_addr published, is = fw_key_dst(&s->key[1]);
	uint32_t rule;

	s->nat_rule = TRAIN_NONE;
	if (!fw_source_translated(s))
		return;
	if (!fw_static_source(fw, t, &published, &rule))
		s->nat_rule = fw_nat_lookup(fw, t);
	else if (s->dnat_rule == FW_DNAT_NONE && addr_equal(&published, &is))
		s->dnat_rule = (uint16_t)rule;
}

/* Do the rules still translate its destination as it is? */
static bool destination_stays(struct firewall *fw, uint32_t index, uint32_t from, mono_ns now,
	uint32_t *ret_nat_rule, uint32_t *ret_dnat_rule)
{
	const struct fw_session *s = &fw->sessions[index];

	*ret_nat_rule = *ret_dnat_rule = TRAIN_NONE;
	if (s->flags & FW_SESSION_INWARD)
		return fw_inward_stays(fw, index, from, now, ret_nat_rule);
	return !fw_destination_translated(s) || fw_dnat_session_stays(fw, s, from, ret_dnat_rule);
}

bool fw_session_judge(struct firewall *fw, uint32_t index, mono_ns now)
{
	struct fw_session *s = &fw->sessions[index];
	if (fw_is_block(s))
		return fw_block_judge(fw, index, now);
	if (fw_is_binding(s))
		return fw_binding_judge(fw, index, now);
	uint32_t from = fw_zone_now(fw, s, 0), to = fw_zone_now(fw, s, 1), rule, timeout_s;
	uint32_t nat_rule, dnat_rule;

	assert(s->live == FW_SESSION_LIVE);
	if (s->zones.epoch == fw->state->epoch)
		return true;
	if (!fw->policy)
		return false;
	struct fw_tuple t = fw_tuple_of_session(s, from, to);
	if (!decide(fw, s, &t, now, &rule, &timeout_s) ||
		!destination_stays(fw, index, from, now, &nat_rule, &dnat_rule)) {
		fw_session_end_by(
			fw, index, FW_END_POLICY_CHANGED, now); /* logged by the rule that made it */
		return false;
	}
	fw_nat_bound(fw_policy_of(fw, s), s, -1);
	fw_limit_count(fw, fw_policy_of(fw, s), s, -1);
	s->rule = rule;
	if (s->alg == EXPECTATION_NONE || s->parent) /* otherwise kept: fw_session_keep() */
		s->timeout_s = timeout_s;
	s->dnat_rule = dnat_rule == TRAIN_NONE ? FW_DNAT_NONE : (uint16_t)dnat_rule;
	source_rules_find(fw, s, &t);
	if (s->flags & FW_SESSION_INWARD)
		s->nat_rule = nat_rule;
	s->forwarding[0].generation = s->forwarding[1].generation = 0;
	s->interface[0] = s->interface[1] = (uint16_t)TRAIN_NONE;
	fw_zones_store(s, (struct fw_zones){ { (uint16_t)from, (uint16_t)to }, fw->state->epoch });
	fw_nat_bound(fw->policy, s, 1);
	fw_limit_count(fw, fw->policy, s, 1);
	return true;
}

const struct fw_session *fw_session_current(struct firewall *fw, uint32_t index, mono_ns now)
{
	fw_adopt_at(fw, index);
	if (!fw_session(fw, index) || !fw_session_judge(fw, index, now))
		return NULL;
	if (fw_is_carried(&fw->sessions[index]))
		fw_carried_sync(fw, index); /* its packets count for the rule that it is under now */
	return &fw->sessions[index];
}
