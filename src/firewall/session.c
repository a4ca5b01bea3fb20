/*
 * The session table: a list of free records and a timer wheel over the records, beside the index (index.c);
 * shares.c says which of them may be evicted. A record becomes valid by its `live` word, written
 * last, and invalid by the same word, cleared first: so a kill at any instruction leaves only whole sessions.
 * Called on the worker's thread only.
 */
#include "firewall/internal.h"

#include <assert.h>
#include <stdlib.h>

_Static_assert(
	sizeof(struct fw_zones) == 8 && offsetof(struct fw_session, zones) % 8 == 0, "stored as one word");

static void wheel_remove(struct firewall *fw, uint32_t index)
{
	struct fw_place *t = &fw->place[index];

	if (t->slot == FW_NONE)
		return;
	assert(t->slot < FW_WHEEL_SLOTS);
	assert((t->prev != FW_NONE ? fw->place[t->prev].next : fw->wheel[t->slot]) == index);
	if (t->prev != FW_NONE)
		fw->place[t->prev].next = t->next;
	else
		fw->wheel[t->slot] = t->next;
	if (t->next != FW_NONE)
		fw->place[t->next].prev = t->prev;
	t->slot = FW_NONE;
}

/* Not before second `earliest`. Beyond one turn of the wheel: examined when its slot comes up, and moved
 * on. */
static void wheel_add(struct firewall *fw, uint32_t index, mono_ns at, uint64_t earliest)
{
	struct fw_place *t = &fw->place[index];
	uint64_t second = MAX_OF(at / NS_PER_S + 1, earliest);

	assert(t->slot == FW_NONE && earliest >= fw->wheel_at_s);
	second = MIN_OF(second, fw->wheel_at_s + FW_WHEEL_SLOTS - 1);
	t->slot = (uint32_t)(second % FW_WHEEL_SLOTS);
	t->prev = FW_NONE;
	t->next = fw->wheel[t->slot];
	if (t->next != FW_NONE)
		fw->place[t->next].prev = index;
	fw->wheel[t->slot] = index;
}

/*
 * The timeout is renewed by each packet; the wheel is touched only when the end comes nearer. Otherwise the
 * session is found not to be over when its slot comes up, and is moved on.
 */
void fw_session_arm(struct firewall *fw, uint32_t index, mono_ns now, uint32_t seconds)
{
	struct fw_session *s = &fw->sessions[index];
	mono_ns expires = now + (uint64_t)seconds * NS_PER_S;
	bool nearer = expires + NS_PER_S < s->expires;

	s->expires = expires;
	if (fw->place[index].away_until_s && expires / NS_PER_S > fw->place[index].away_until_s)
		fw_away_announce(fw, index);
	if (nearer || fw->place[index].slot == FW_NONE) {
		wheel_remove(fw, index);
		wheel_add(fw, index, expires, fw->wheel_at_s);
	}
}

void fw_session_rearm(struct firewall *fw, uint32_t index)
{
	wheel_add(fw, index, fw->sessions[index].expires, fw->wheel_at_s);
}

uint32_t fw_session_new(struct firewall *fw, const struct fw_key key[2], mono_ns now)
{
	uint32_t index = fw->free_first;

	if (index != FW_NONE)
		fw->free_first = fw->place[index].next;
	else if (fw->state->used < fw->limits.sessions_max)
		index = fw->state->used;
	else
		return FW_NONE;
	struct fw_session *s = &fw->sessions[index];
	assert(index < fw->state->used ? !s->live : index == fw->state->used);
	fw->place[index] = fw_place_empty();
	memset(s, 0, sizeof *s);
	/* After the memset: what another layout of the memory left there is never taken for a session. */
	if (index == fw->state->used)
		__atomic_store_n(&fw->state->used, index + 1, __ATOMIC_RELEASE);
	s->key[0] = key[0];
	s->key[1] = key[1];
	s->id = fw->state->next_id += fw->limits.workers;
	s->rule = s->nat_rule = TRAIN_NONE;
	s->dnat_rule = FW_DNAT_NONE;
	s->created = s->last_seen = now;
	return index;
}

void fw_session_begin(struct firewall *fw, uint32_t index)
{
	assert(!fw->sessions[index].live && fw->counters.sessions_now < fw->limits.sessions_max);
	fw_index_add(fw, index); /* first: what is valid is found by the next process */
	__atomic_store_n(&fw->sessions[index].live, FW_SESSION_LIVE, __ATOMIC_RELEASE);
	fw_shares_add(fw, index);
	fw_nat_bound(fw->policy, &fw->sessions[index], 1);
	fw_limit_count(fw, fw->policy, &fw->sessions[index], 1);
	fw_away_begin(fw, index);
	fw->changes++;
	fw->counters.sessions_created += !fw_is_binding(&fw->sessions[index]);
	fw->counters.blocks_now += fw_is_block(&fw->sessions[index]);
	fw->counters.bindings_now +=
		fw_is_binding(&fw->sessions[index]) && !fw_is_block(&fw->sessions[index]);
	fw->counters.sessions_now++;
}

/* While it is in use it does not expire; the timeout of its rule begins with the end of its last session. The wheel is
 * not touched: fw_expire() ends sessions, and its slot comes up no later than that timeout. */
void fw_session_hold(struct firewall *fw, uint32_t binding)
{
	struct fw_session *b = &fw->sessions[binding];

	assert(b->live == FW_SESSION_LIVE && fw_is_binding(b) && fw->place[binding].uses < UINT32_MAX);
	fw->place[binding].uses++;
	fw_shares_update(fw, binding);
}

void fw_session_release(struct firewall *fw, uint32_t binding, mono_ns now)
{
	struct fw_session *b = &fw->sessions[binding];

	assert(b->live == FW_SESSION_LIVE && fw_is_binding(b) && fw->place[binding].uses > 0);
	if (--fw->place[binding].uses > 0)
		return;
	b->last_seen = now;
	b->expires = now + (uint64_t)b->timeout_s * NS_PER_S;
	fw_shares_update(fw, binding);
}

void fw_session_free(struct firewall *fw, uint32_t index)
{
	assert(index < fw->state->used && !fw->sessions[index].live);
	fw->place[index] = fw_place_empty();
	fw->place[index].next = fw->free_first;
	fw->free_first = index;
}

static void session_finish(struct firewall *fw, uint32_t index, enum fw_end why, mono_ns now)
{
	struct fw_session *s = &fw->sessions[index];
	uint32_t binding = fw->place[index].binding;
	bool is_binding = fw_is_binding(s), is_block = fw_is_block(s);
	struct ip_addr as = fw_key_dst(&s->key[1]);

	assert(s->live == FW_SESSION_LIVE && fw->counters.sessions_now > 0 && fw->place[index].uses == 0);
	fw_nat_bound(fw_policy_of(fw, s), s, -1);
	fw_limit_count(fw, fw_policy_of(fw, s), s, -1);
	if (binding != FW_NONE) {
		fw_permit_count(fw, binding, s, -1);
		fw_session_release(fw, binding, now);
	}
	if (is_block)
		fw_claim_give(fw->all[0]->claims, &as, s->key[1].dst_port, fw_block_size(s));
	else if (is_binding)
		fw_count(&fw->bindings_by_source[fw_bindings_slot(fw, &s->key[0])], -1);
	fw_expected_end_of(fw, index);
	fw_shares_remove(fw, index);
	fw_away_end(fw, index);
	__atomic_store_n(&s->live, 0, __ATOMIC_RELEASE);
	fw_index_remove(fw, index);
	wheel_remove(fw, index);
	fw_session_free(fw, index);
	fw->changes++;
	fw->counters.sessions_ended += !is_binding;
	fw->counters.ended_by[why] += !is_binding;
	fw->counters.blocks_now -= is_block;
	fw->counters.bindings_now -= is_binding && !is_block;
	fw->counters.sessions_now--;
}

void fw_session_end_by(struct firewall *fw, uint32_t index, enum fw_end why, mono_ns now)
{
	if (index >= fw->state->used || !fw_is_known(fw, index) || !fw->sessions[index].live)
		return;
	if (fw_is_carried(&fw->sessions[index]))
		fw_carried_end(fw, index);
	fw_log_close(fw, fw_policy_of(fw, &fw->sessions[index]), &fw->sessions[index], why, now);
	if (fw_is_block(&fw->sessions[index]))
		fw_log_block(fw, fw_policy_of(fw, &fw->sessions[index]), index, FW_LOG_BLOCK_GIVEN, why, now);
	session_finish(fw, index, why, now);
}

/* The record, its index and its translation stay: policy would decide the same about the same addresses. */
void fw_session_reopen(struct firewall *fw, uint32_t index, mono_ns now)
{
	struct fw_session *s = &fw->sessions[index];

	assert(s->live == FW_SESSION_LIVE && fw_phase(s) != FW_PHASE_STATELESS);
	fw_log_close(fw, fw->policy, s, FW_END_REUSED, now);
	fw_expected_end_of(fw, index);
	s->id = fw->state->next_id += fw->limits.workers;
	s->created = now;
	memset(s->packets, 0, sizeof s->packets);
	memset(s->bytes, 0, sizeof s->bytes);
	fw->changes++;
	fw->counters.sessions_ended++;
	fw->counters.ended_by[FW_END_REUSED]++;
	fw->counters.sessions_created++;
	fw_rule_hit(fw, s->rule, now);
	if (fw->policy && s->rule != TRAIN_NONE)
		fw_log_begin(fw, s, now);
}

void fw_session_end(struct firewall *fw, uint32_t index, mono_ns now)
{
	fw_session_end_by(fw, index, FW_END_CLEARED, now);
}

void fw_session_end_of(struct firewall *fw, struct train *t, enum fw_end why, mono_ns now)
{
	fw_session_end_by(fw, t->session, why, now);
	t->session = t->rule = TRAIN_NONE;
}

/* A closed connection is kept until its timeout. */
static enum fw_end expired_by(const struct fw_session *s)
{
	static const uint8_t ends[FW_PROTOCOL_STATE_COUNT] = {
#define E(id, proto, name, phase, timeout, end) [FW_##id] = FW_END_##end,
		FW_PROTOCOL_STATES(E)
#undef E
	};

	assert(s->state < FW_PROTOCOL_STATE_COUNT);
	return (enum fw_end)ends[s->state];
}

void fw_session_fetch(const struct firewall *fw, uint32_t index)
{
	if (index >= fw->limits.sessions_max)
		return;
	for (size_t line = 0; line < sizeof(struct fw_session); line += 64)
		__builtin_prefetch((const uint8_t *)&fw->sessions[index] + line, 1);
	__builtin_prefetch(&fw->place[index], 1);
}

/* The next ones in a slot, whose records were written long ago: all that ending them reads is fetched at once, not one after
 * the other. */
static void expire_fetch(const struct firewall *fw, uint32_t first)
{
	uint32_t n = 0;

	for (uint32_t i = first; i != FW_NONE && n < FW_EXPIRE_FETCH; i = fw->place[i].next, n++)
		fw_session_fetch(fw, i);
	for (uint32_t i = first; n > 0; i = fw->place[i].next, n--)
		fw_index_prefetch(fw, i);
}

mono_ns fw_wheel_turn(struct firewall *fw, mono_ns now, uint32_t budget, fw_end_fn *end)
{
	uint64_t now_s = now / NS_PER_S;
	uint32_t fetched = 0;

	for (; fw->wheel_at_s <= now_s; fw->wheel_at_s++, fetched = 0) {
		uint32_t index = fw->wheel[fw->wheel_at_s % FW_WHEEL_SLOTS];
		while (index != FW_NONE) {
			uint32_t next = fw->place[index].next;
			if (budget-- == 0)
				return now;
			if (fetched-- == 0) {
				expire_fetch(fw, index);
				fetched = FW_EXPIRE_FETCH - 1;
			}
			assert(fw->place[index].slot == fw->wheel_at_s % FW_WHEEL_SLOTS);
			if (fw_is_carried(&fw->sessions[index]) && fw->sessions[index].expires <= now)
				fw_carried_sync(fw, index);
			if (fw->place[index].uses > 0 ||
				(fw_bindings_held(fw) && fw_is_binding(&fw->sessions[index])))
				fw->sessions[index].expires =
					now + (uint64_t)fw->sessions[index].timeout_s * NS_PER_S;
			else if (fw_is_block(&fw->sessions[index]) && !fw_log_has_room(fw) &&
				 fw->sessions[index].expires <= now)
				fw->sessions[index].expires =
					now + NS_PER_S; /* until its record has a place */
			if (fw->sessions[index].expires <= now) {
				end(fw, index, expired_by(&fw->sessions[index]), now);
			} else { /* not over: to a later slot */
				wheel_remove(fw, index);
				wheel_add(fw, index, fw->sessions[index].expires, fw->wheel_at_s + 1);
			}
			index = next;
		}
	}
	return fw->wheel_at_s * NS_PER_S;
}

/* ---- inspection ---- */

const struct fw_session *fw_session_next(const struct firewall *fw, uint32_t *cursor)
{
	while (*cursor < fw->state->used) {
		const struct fw_session *s = fw_session(fw, (*cursor)++);
		if (s)
			return s;
	}
	return NULL;
}

uint32_t fw_sessions_used(const struct firewall *fw)
{
	assert(fw->state->used <= fw->limits.sessions_max);
	return fw->state->used;
}

const struct fw_session *fw_session(const struct firewall *fw, uint32_t index)
{
	return index < fw->state->used && fw_is_known(fw, index) && fw->sessions[index].live &&
			       !fw_is_binding(&fw->sessions[index])
		       ? &fw->sessions[index]
		       : NULL;
}

struct fw_forwarding *fw_session_forwarding(struct firewall *fw, const struct train *t)
{
	assert(t->session != TRAIN_NONE);
	return &fw->sessions[t->session].forwarding[fw_direction(t)];
}

const struct fw_counters *fw_counters(const struct firewall *fw)
{
	return &fw->counters;
}

void fw_session_join(struct firewall *fw, uint32_t index, const struct tcp_join *j)
{
	struct fw_session *s = &fw->sessions[index];

	assert(s->live == FW_SESSION_LIVE && s->key[0].proto == IP_TCP && j->flags & TCP_JOIN_ON);
	s->join = *j;
}
