/*
 * Taking over the memory that outlives the process: its contents were written by a process that may have been
 * killed at any instruction, so nothing is used that is not checked: the header here, at the start, each record when it
 * is adopted (adopt.c).
 */
#include "firewall/internal.h"

#include <assert.h>
#include <stdlib.h>

_Static_assert(sizeof(struct fw_state) <= FW_STATE_BYTES, "the records follow the header");
_Static_assert(SESSIONS_MAX <= FW_RECORDS_MAX, "a link of the index can name every record");

#define RECORD_BYTES sizeof(struct fw_session)
_Static_assert(RECORD_BYTES == 320, "five cache lines, of which session-limit many are kept");
_Static_assert(RECORD_BYTES % 64 == 0 && FW_STATE_BYTES % 64 == 0, "no two sessions share a cache line");

size_t fw_state_bytes(uint32_t sessions_max)
{
	return fw_index_at(sessions_max, FW_INDEXES);
}

static bool state_sound(const struct fw_state *st)
{
	if (st->magic != FW_STATE_MAGIC || st->record_bytes != RECORD_BYTES)
		return false;
	if (st->epoch - st->oldest >= FW_EPOCHS)
		return false;
	for (int k = 0; k < FW_EPOCHS; k++) {
		if (st->zones_n[k] > ZONES_MAX)
			return false;
		for (uint32_t i = 0; i < st->zones_n[k]; i++)
			if (!memchr(st->zone_names[k][i], 0, NAME_MAX_BYTES))
				return false;
	}
	return true;
}

static bool tables_allocate(struct firewall *fw)
{
	size_t n = fw->limits.sessions_max;

	/* For all records that fit the memory: what is not used is not touched and costs nothing. */
	fw->place = fw_table_new(fw, sizeof *fw->place * n);
	fw->protected_by_source = calloc(FW_SOURCES, sizeof *fw->protected_by_source);
	fw->bindings_by_source = calloc(FW_SOURCES, sizeof *fw->bindings_by_source);
	fw->claims = fw_claims_new(fw);
	fw->log = calloc(FW_LOG_RING, sizeof *fw->log);
	fw->log_rates = calloc(1, sizeof *fw->log_rates);
	if (!fw->place || !fw->protected_by_source || !fw->bindings_by_source || !fw->claims || !fw->log ||
		!fw->log_rates)
		return false;
	memset(fw->wheel, 0xff, sizeof fw->wheel);
	fw->free_first = FW_NONE;
	fw_shares_init(fw);
	fw_expected_init(fw);
	return fw_away_attach(fw) && fw_permits_attach(fw) && fw_reassembly_attach(fw);
}

struct firewall *fw_attach(
	void *memory, size_t bytes, bool fresh, const struct fw_limits *limits, mono_ns now, struct err *e)
{
	uint32_t n = limits->sessions_max;

	if (n == 0 || n > FW_RECORDS_MAX || bytes < fw_state_bytes(n) || (uintptr_t)memory % 64 != 0) {
		err_add(e, RC_RANGE, "the session memory has %zu octets: %u sessions need %zu, aligned to 64",
			bytes, n, fw_state_bytes(n));
		return NULL;
	}
	struct firewall *fw = lines_new(1, sizeof *fw);
	if (!fw)
		goto no_memory;
	fw->limits = *limits;
	fw->limits.workers = MAX_OF(limits->workers, 1u);
	assert(fw->limits.worker < fw->limits.workers);
	fw->all[0] = fw;
	fw->all_n = 1;
	fw->state = memory;
	fw->sessions = (void *)((uint8_t *)memory + FW_STATE_BYTES);
	fw->wheel_at_s = now / NS_PER_S;
	fw_timeouts_default(fw);
	fw->half_open_max = FW_HALF_OPEN_MAX;
	fw->sessions_limit = n; /* until a policy says it */
	if (!fresh && !state_sound(fw->state))
		memset(fw->state, 0, sizeof *fw->state); /* used is 0: the records count as never written */
	/* no two workers give the same one */
	fw->state->next_id = fw->state->next_id / fw->limits.workers * fw->limits.workers + fw->limits.worker;
	if (!tables_allocate(fw) || !fw_adopt_begin(fw, fresh, now))
		goto no_memory;
	for (uint32_t i = 0; i < FW_EPOCHS * ZONES_MAX; i++)
		fw->zone_renamed[i / ZONES_MAX][i % ZONES_MAX] = FW_ZONE_GONE; /* is not known any more */
	fw_zone_maps_make(fw);
	fw->state->record_bytes = RECORD_BYTES;
	fw->state->sessions_max = n;
	__atomic_store_n(&fw->state->magic, FW_STATE_MAGIC, __ATOMIC_RELEASE);
	return fw;
no_memory:
	err_add(e, RC_LIMIT, "out of memory for the index of %u sessions", n);
	fw_detach(fw);
	return NULL;
}

void fw_detach(struct firewall *fw)
{
	if (!fw)
		return;
	fw_leave(fw);
	fw_reassembly_detach(fw);
	fw_away_detach(fw);
	fw_permits_detach(fw);
	fw_policy_free(fw->retired);
	fw_policy_free(fw->policy);
	for (uint32_t i = 0; i < FW_EPOCHS; i++)
		fw_policy_free(fw->past[i]);
	shed_some(&fw->shed, &(uint32_t){ UINT32_MAX });
	free(fw->log);
	free(fw->log_rates);
	fw_claims_free(fw, fw->claims);
	free(fw->bindings_by_source);
	free(fw->protected_by_source);
	fw_table_free(fw, fw->place, sizeof *fw->place * fw->limits.sessions_max);
	free(fw->adopt.known);
	free(fw->adopt.stale);
	free(fw);
}
