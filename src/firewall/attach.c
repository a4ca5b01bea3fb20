/*
 * Taking over the memory that outlives the process: its contents were written by a process that may have been
 * killed at any instruction, so nothing is used that is not checked here. Called once at start.
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
	return FW_STATE_BYTES + (size_t)sessions_max * RECORD_BYTES;
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

/* An epoch whose names are stored. */
static bool zones_sound(const struct fw_state *st, const struct fw_session *s)
{
	uint32_t epoch = s->zones.epoch;

	if (st->epoch - epoch > st->epoch - st->oldest)
		return false;
	for (int d = 0; d < 2; d++)
		if (s->zones.zone[d] != FW_ZONE_HOST && s->zones.zone[d] >= st->zones_n[epoch % FW_EPOCHS])
			return false;
	return true;
}

static bool key_sound(const struct fw_key *k)
{
	uint16_t asks = k->kind & (FW_KEY_QUERY | FW_KEY_ANSWER);
	bool query = asks == FW_KEY_QUERY || asks == FW_KEY_ANSWER;

	if ((k->family != ADDR_V4 && k->family != ADDR_V6) || query != fw_is_icmp(k->proto) ||
		(query ? fw_icmp_kind(k->proto, (uint8_t)k->kind) != (FW_KEY_QUERY | (k->kind & 0xff))
		       : k->kind != 0))
		return false;
	/* Stray octets after an IPv4 address would make a key that no packet has. */
	for (size_t i = 4; k->family == ADDR_V4 && i < 16; i++)
		if (k->src[i] || k->dst[i])
			return false;
	return true;
}

/* The key of replies is the reverse of the first one but for what NAT changes: addresses, and ports of protocols that
 * have them; then the flag says so. */
static bool keys_sound(const struct fw_session *s)
{
	struct fw_key plain = fw_key_reverse(&s->key[0]), reply = s->key[1];
	bool translated = !fw_key_equal(&plain, &reply);

	if (!key_sound(&s->key[0]) || !key_sound(&s->key[1]) ||
		translated != !!(s->flags & FW_SESSION_TRANSLATED))
		return false;
	/* the identifier stands in both */
	if (fw_is_icmp(reply.proto) &&
		(s->key[1].src_port != s->key[1].dst_port || s->key[0].src_port != s->key[0].dst_port))
		return false;
	memcpy(reply.src, plain.src, sizeof reply.src);
	memcpy(reply.dst, plain.dst, sizeof reply.dst);
	if (fw_key_has_port(&reply)) {
		reply.src_port = plain.src_port;
		reply.dst_port = plain.dst_port;
	}
	return fw_key_equal(&reply, &plain);
}

static bool record_sound(const struct fw_state *st, const struct fw_session *s)
{
	if (s->live != FW_SESSION_LIVE || s->tcp_state >= FW_TCP_STATE_COUNT || !zones_sound(st, s))
		return false;
	if (fw_is_binding(s))
		return fw_binding_sound(s);
	if ((s->tcp_state == FW_TCP_NONE) != (s->key[0].proto != IP_TCP) ||
		(s->flags & FW_SESSION_LOOSE && s->tcp_state == FW_TCP_NONE))
		return false;
	if (s->tcp[0].scale > FW_TCP_SCALE_MAX || s->tcp[1].scale > FW_TCP_SCALE_MAX ||
		s->noted.scale > FW_TCP_SCALE_MAX)
		return false;
	if (s->flags & FW_SESSION_INWARD &&
		(!fw_destination_translated(s) || !fw_has_bindings(s->key[0].proto)))
		return false;
	return keys_sound(s);
}

/* Into the epoch of the header, where the process died before it had evaluated the session: what the policy says
 * is decided when it is loaded. False: its zone is gone. */
static bool zones_adopt(struct firewall *fw, struct fw_session *s)
{
	struct fw_zones z = { { (uint16_t)fw_zone_now(fw, s, 0), (uint16_t)fw_zone_now(fw, s, 1) },
		fw->state->epoch };

	for (int d = 0; d < 2 && fw_is_binding(s); d++) /* it may be in use */
		z.zone[d] = z.zone[d] == FW_ZONE_GONE ? FW_ZONE_HOST : z.zone[d];
	if (z.zone[0] == FW_ZONE_GONE || z.zone[1] == FW_ZONE_GONE)
		return false;
	fw_zones_store(s, z);
	return true;
}

static bool record_adopt(struct firewall *fw, uint32_t i, mono_ns now)
{
	struct fw_session *s = &fw->sessions[i];
	uint32_t d;

	if (!record_sound(fw->state, s) ||
		fw_session_find(fw, &s->key[0], fw_key_hash(fw, &s->key[0]), &d) != FW_NONE ||
		fw_session_find(fw, &s->key[1], fw_key_hash(fw, &s->key[1]), &d) != FW_NONE)
		return false;
	if (!zones_adopt(fw, s)) {
		s->live = 0; /* sound, and over */
		return false;
	}
	s->forwarding[0].generation = s->forwarding[1].generation =
		0; /* generations of routes are counted from the start of this process */
	/* A renewal is one store, so a time far ahead cannot be valid; and rules are numbered by a policy
	 * that is not loaded yet. */
	mono_ns far = now + (uint64_t)UINT32_MAX * NS_PER_S;
	if (s->expires > far)
		s->expires = now;
	s->rule = s->nat_rule = TRAIN_NONE;
	s->dnat_rule = FW_DNAT_NONE;
	s->interface[0] = s->interface[1] = TRAIN_NONE;
	fw->next_id = MAX_OF(fw->next_id, s->id);
	fw_index_add(fw, i);
	fw_session_rearm(fw, i);
	s->flags &= (uint8_t)~FW_SESSION_HALF_OPEN;
	fw_shares_add(fw, i);
	fw->counters.sessions_now++;
	fw->counters.bindings_now += fw_is_binding(s);
	return true;
}

/* The memory is sparse: reading a record that was never written would allocate its page. */
static void table_rebuild(struct firewall *fw, bool fresh, mono_ns now)
{
	uint32_t written = fresh ? 0 : MIN_OF(fw->state->used, fw->limits.sessions_max), used = 0;

	for (uint32_t i = 0; i < written; i++)
		if (fw->sessions[i].live)
			used = i + 1;
	fw->state->used = used;
	for (uint32_t i = used; i-- > 0;) {
		struct fw_session *s = &fw->sessions[i];
		fw->place[i] = fw_place_empty();
		if (s->live && record_adopt(fw, i, now))
			continue;
		fw->counters.records_discarded += s->live != 0;
		s->live = 0;
		fw_session_free(fw, i);
	}
}

static bool tables_allocate(struct firewall *fw)
{
	size_t n = fw->limits.sessions_max;

	/* For all records that fit the memory: what is not used is not touched and costs nothing. */
	fw->place = malloc(sizeof *fw->place * n);
	fw->protected_by_source = calloc(FW_SOURCES, sizeof *fw->protected_by_source);
	fw->bindings_by_source = calloc(FW_SOURCES, sizeof *fw->bindings_by_source);
	fw->log = calloc(FW_LOG_RING, sizeof *fw->log);
	fw->log_rates = calloc(1, sizeof *fw->log_rates);
	if (!fw->place || !fw->protected_by_source || !fw->bindings_by_source || !fw->log || !fw->log_rates)
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
	fw->next_id = fw->limits.worker; /* no two workers give the same one */
	fw->all[0] = fw;
	fw->all_n = 1;
	fw->state = memory;
	fw->sessions = (void *)((uint8_t *)memory + FW_STATE_BYTES);
	fw->wheel_at_s = now / NS_PER_S;
	fw_timeouts_default(fw);
	fw->half_open_max = FW_HALF_OPEN_MAX;
	fw->sessions_limit = n; /* until a policy says it */
	if (!fresh && !state_sound(fw->state)) {
		memset(fw->state, 0, sizeof *fw->state); /* used is 0: the records count as never written */
		fresh = true;
	}
	if (!tables_allocate(fw) || !fw_index_new(fw))
		goto no_memory;
	fw_zone_maps_make(fw);
	table_rebuild(fw, fresh, now);
	fw_bindings_adopt(fw);
	assert(fw->counters.sessions_now <= fw->state->used && fw->state->used <= n);
	__atomic_store_n(&fw->state->oldest, fw->state->epoch, __ATOMIC_RELEASE); /* all have been moved */
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
	free(fw->log);
	free(fw->log_rates);
	free(fw->bindings_by_source);
	free(fw->protected_by_source);
	free(fw->place);
	fw_index_free(fw);
	free(fw);
}
