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

/* No session stands under the former policies any more. */
static void epochs_end(struct firewall *fw, mono_ns now)
{
	struct fw_state *st = fw->state;

	for (uint32_t i = 0; i < FW_LISTS && fw->policy; i++)
		assert(!fw->policy->hits[i].before);
	for (uint32_t e = st->oldest; e != st->epoch; e++) {
		fw_log_policy_retire(fw, fw->past[e % FW_EPOCHS], now);
		fw->past[e % FW_EPOCHS] = NULL;
	}
	__atomic_store_n(&st->oldest, st->epoch, __ATOMIC_RELEASE);
}

bool fw_load_has_room(const struct firewall *fw)
{
	return fw->state->epoch - __atomic_load_n(&fw->state->oldest, __ATOMIC_ACQUIRE) < FW_EPOCHS - 1;
}

/* Of all lists, from sweep.list on. True: no hit counts are left in former policies. */
static bool hits_settle(struct firewall *fw, uint32_t *budget)
{
	struct fw_sweep *w = &fw->sweep;

	for (; w->list < FW_LISTS; w->list++, w->cursor = 0)
		if (fw->policy && !fw_hits_settle(&fw->policy->hits[w->list], &w->cursor, budget))
			return false;
	return true;
}

/* Stores the names first: after a kill in between, nothing refers to them. */
static void epoch_begin(struct firewall *fw, struct fw_policy *next, mono_ns now)
{
	struct fw_state *st = fw->state;
	const struct snapshot *s = next->snapshot;

	if (!fw_load_has_room(fw)) {
		fw_adopt_all(fw);
		for (uint32_t i = 0; i < st->used; i++)
			if (fw->sessions[i].live)
				fw_session_judge(fw, i, now);
		uint32_t all = UINT32_MAX;
		fw->sweep.list = fw->sweep.cursor = 0;
		hits_settle(fw, &all);
		epochs_end(fw, now);
	}
	uint32_t from = st->epoch % FW_EPOCHS, to = (st->epoch + 1) % FW_EPOCHS;
	assert(s->zones.count <= ZONES_MAX && !fw->past[from]);
	fw_zones_renamed(fw, s);
	st->zones_n[to] = s->zones.count;
	for (uint32_t i = 0; i < s->zones.count; i++)
		memcpy(st->zone_names[to][i], snap_zones(s)[i].name, NAME_MAX_BYTES);
	__atomic_store_n(&st->epoch, st->epoch + 1, __ATOMIC_RELEASE);
	fw->past[from] = fw->policy;
	fw->policy = next;
	memset(fw->fetched, 0, sizeof fw->fetched);
	fw_zone_maps_make(fw);
	fw_shares_renumber(fw, fw->zone_map[from]);
	fw_expected_renumber(fw);
	fw->changes++;
}

/* Flows are spread evenly among the workers: each may have as many of them as the others. */
static uint32_t share_of_worker(const struct firewall *fw, uint32_t limit)
{
	return (limit + fw->limits.workers - 1) / fw->limits.workers;
}

void fw_schedules_set(struct firewall *fw, uint64_t off)
{
	fw->schedules_off = off;
}

void fw_load_prepared(struct firewall *fw, struct fw_prepared *x, mono_ns now)
{
	struct fw_policy *next = fw_prepared_take(fw, x, now);
	const struct snapshot *s = next->snapshot;
	uint32_t limit = MIN_OF(share_of_worker(fw, s->sessions_max), fw->limits.sessions_max);

	if (fw->all[0] == fw)
		fw_claims_purge(fw);
	fw_servers_apply(fw, next);
	if (fw->servers.n > 0)
		fw->servers.sweep = 0; /* by its rules other sessions may end with them */
	fw_log_report_suppressed(fw, now);
	epoch_begin(fw, next, now);
	memcpy(fw->timeout_s, s->timeout_s, sizeof fw->timeout_s);
	fw->half_open_max = share_of_worker(fw, s->half_open_max);
	fw->sweep = (struct fw_sweep){ .phase = FW_SWEEP_JUDGE,
		.other_limit = fw->sweep.other_limit || fw->sessions_limit != limit };
	fw->silent.step = FW_SILENT_IDLE;
	fw->sessions_limit = limit;
	fw_aging_set(fw, &s->aging);
}

enum rc fw_load(struct firewall *fw, const struct snapshot *s, mono_ns now, struct err *e)
{
	struct fw_prepared *x = fw_prepare(fw, s, e);
	bool ready = false;

	while (x && !ready) {
		if (fw_prepare_go(x, UINT32_MAX, &ready, e) != RC_OK) {
			fw_prepared_free(x);
			return RC_LIMIT;
		}
	}
	if (!x)
		return RC_LIMIT;
	fw_load_prepared(fw, x, now);
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

	bool cleared = fw_index_clear(fw, &budget);

	if (!fw_adopt(fw, now, &budget))
		return false;
	if (w->phase == FW_SWEEP_JUDGE && sweep_records(fw, now, &budget))
		*w = (struct fw_sweep){ .phase = FW_SWEEP_HITS, .other_limit = w->other_limit };
	if (w->phase == FW_SWEEP_HITS && hits_settle(fw, &budget)) {
		epochs_end(fw, now);
		*w = (struct fw_sweep){ .phase = FW_SWEEP_EVICT, .other_limit = w->other_limit };
	}
	if (w->phase == FW_SWEEP_EVICT && budget > 0 && fw_evict_over_limit(fw, now, budget))
		w->phase = w->other_limit ? FW_SWEEP_RECOUNT : FW_SWEEP_NONE;
	else if (w->phase == FW_SWEEP_RECOUNT && sweep_records(fw, now, &budget))
		*w = (struct fw_sweep){ 0 };
	bool shed = shed_some(&fw->shed, &budget);
	return sweep_servers(fw, now, &budget) && w->phase == FW_SWEEP_NONE &&
	       fw->adopt.phase == FW_ADOPT_NONE && cleared && shed;
}
