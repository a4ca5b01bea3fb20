/*
 * The session table: records in memory that outlives the process, and an index, a free stack and a timer wheel that do
 * not. A record becomes valid by its `live` word, written last, and invalid by the same word, cleared first: so a kill
 * at any instruction leaves only whole sessions.
 */
#include "base/siphash.h"
#include "firewall/internal.h"

#include <assert.h>
#include <stdlib.h>

_Static_assert(sizeof(struct fw_key) % 8 == 0, "hashed in words of 8 bytes");
_Static_assert(sizeof(struct fw_session) % 8 == 0, "records stand side by side");

size_t fw_state_bytes(uint32_t sessions_max)
{
	return (size_t)sessions_max * sizeof(struct fw_session);
}

uint64_t fw_hash(const struct firewall *fw, const struct fw_key *k)
{
	return siphash13(fw->limits.hash_key, k, sizeof *k);
}

uint32_t fw_find(const struct firewall *fw, const struct fw_key *k, uint64_t hash, uint32_t *ret_direction)
{
	for (uint32_t e = fw->bucket[hash & fw->bucket_mask]; e != FW_NONE; e = fw->chain[e])
		if (memcmp(&fw->sessions[e >> 1].key[e & 1], k, sizeof *k) == 0) {
			*ret_direction = e & 1;
			return e >> 1;
		}
	return FW_NONE;
}

static void index_add(struct firewall *fw, uint32_t index)
{
	for (uint32_t d = 0; d < 2; d++) {
		uint32_t *head = &fw->bucket[fw_hash(fw, &fw->sessions[index].key[d]) & fw->bucket_mask];
		fw->chain[2 * index + d] = *head;
		*head = 2 * index + d;
	}
}

static void index_remove(struct firewall *fw, uint32_t index)
{
	for (uint32_t d = 0; d < 2; d++) {
		uint32_t *at = &fw->bucket[fw_hash(fw, &fw->sessions[index].key[d]) & fw->bucket_mask];
		while (*at != FW_NONE && *at != 2 * index + d)
			at = &fw->chain[*at];
		if (*at != FW_NONE)
			*at = fw->chain[2 * index + d];
	}
}

static void wheel_remove(struct firewall *fw, uint32_t index)
{
	struct fw_timer *t = &fw->timer[index];

	if (t->slot == FW_NONE)
		return;
	if (t->prev != FW_NONE)
		fw->timer[t->prev].next = t->next;
	else
		fw->wheel[t->slot] = t->next;
	if (t->next != FW_NONE)
		fw->timer[t->next].prev = t->prev;
	t->slot = FW_NONE;
}

static void wheel_add(struct firewall *fw, uint32_t index, mono_ns at)
{
	struct fw_timer *t = &fw->timer[index];
	uint64_t second = MAX_OF(at / NS_PER_S + 1, fw->wheel_at_s);
	/* Farther than a turn: looked at when it comes by, and left for the next. */
	second = MIN_OF(second, fw->wheel_at_s + FW_WHEEL_SLOTS - 1);

	t->slot = (uint32_t)(second % FW_WHEEL_SLOTS);
	t->prev = FW_NONE;
	t->next = fw->wheel[t->slot];
	if (t->next != FW_NONE)
		fw->timer[t->next].prev = index;
	fw->wheel[t->slot] = index;
}

/*
 * The time is renewed with each packet; the wheel is touched only when the end comes nearer, else the slot that comes
 * by sees that it is not over and moves the session on.
 */
void fw_session_arm(struct firewall *fw, uint32_t index, mono_ns now, uint32_t seconds)
{
	struct fw_session *s = &fw->sessions[index];
	mono_ns expires = now + (uint64_t)seconds * NS_PER_S;
	bool nearer = expires + NS_PER_S < s->expires;

	s->expires = expires;
	if (nearer || fw->timer[index].slot == FW_NONE) {
		wheel_remove(fw, index);
		wheel_add(fw, index, expires);
	}
}

uint32_t fw_session_new(struct firewall *fw, const struct fw_key key[2], mono_ns now)
{
	if (fw->free_n == 0)
		return FW_NONE;
	uint32_t index = fw->free_stack[--fw->free_n];
	struct fw_session *s = &fw->sessions[index];

	memset(s, 0, sizeof *s);
	s->key[0] = key[0];
	s->key[1] = key[1];
	s->id = ++fw->next_id;
	s->rule = s->nat_rule = FW_NONE;
	s->created = s->last_seen = now;
	index_add(fw, index);
	fw->counters.sessions_created++;
	fw->counters.sessions_now++;
	return index;
}

bool fw_session_remove(struct firewall *fw, uint32_t index)
{
	struct fw_session *s = &fw->sessions[index];

	if (!s->live)
		return false;
	__atomic_store_n(&s->live, 0, __ATOMIC_RELEASE);
	index_remove(fw, index);
	wheel_remove(fw, index);
	fw->free_stack[fw->free_n++] = index;
	fw->counters.sessions_ended++;
	fw->counters.sessions_now--;
	return true;
}

mono_ns fw_expire(struct firewall *fw, mono_ns now, uint32_t budget)
{
	uint64_t now_s = now / NS_PER_S;

	while (fw->wheel_at_s <= now_s) {
		uint32_t slot = (uint32_t)(fw->wheel_at_s % FW_WHEEL_SLOTS);
		uint32_t index = fw->wheel[slot];
		while (index != FW_NONE) {
			uint32_t next = fw->timer[index].next;
			struct fw_session *s = &fw->sessions[index];
			if (budget-- == 0)
				return now;
			if (s->expires <= now) {
				fw_session_end(fw, index);
			} else {
				/* Alive: to a later slot, never this one again in this turn. */
				wheel_remove(fw, index);
				fw->wheel_at_s++;
				wheel_add(fw, index, s->expires);
				fw->wheel_at_s--;
			}
			index = next;
		}
		fw->wheel_at_s++;
	}
	return fw->wheel_at_s * NS_PER_S;
}

/* A record that a killed process left behind is believed only as far as it can be checked. */
static bool record_sound(const struct fw_session *s)
{
	if (s->live != FW_SESSION_LIVE || s->tcp_state > FW_TCP_CLOSED)
		return false;
	for (int d = 0; d < 2; d++)
		if ((s->key[d].family != ADDR_V4 && s->key[d].family != ADDR_V6) || s->key[d].zero)
			return false;
	return s->key[0].proto == s->key[1].proto && s->key[0].family == s->key[1].family;
}

static void index_rebuild(struct firewall *fw, bool fresh, mono_ns now)
{
	for (uint32_t i = fw->limits.sessions_max; i-- > 0;) {
		struct fw_session *s = &fw->sessions[i];
		uint32_t d;
		fw->timer[i].slot = FW_NONE;
		if (fresh || !record_sound(s) || fw_find(fw, &s->key[0], fw_hash(fw, &s->key[0]), &d) != FW_NONE ||
			fw_find(fw, &s->key[1], fw_hash(fw, &s->key[1]), &d) != FW_NONE) {
			if (!fresh)
				s->live = 0;
			fw->free_stack[fw->free_n++] = i;
			continue;
		}
		/* The routes' generation counts anew in the new process. */
		s->way[0].generation = s->way[1].generation = 0;
		fw->next_id = MAX_OF(fw->next_id, s->id);
		index_add(fw, i);
		wheel_add(fw, i, MAX_OF(s->expires, now));
		fw->counters.sessions_now++;
	}
}

struct firewall *fw_attach(void *memory, size_t bytes, bool fresh, const struct fw_limits *limits, mono_ns now,
	struct err *e)
{
	uint32_t n = limits->sessions_max, buckets = 1024;
	struct firewall *fw = calloc(1, sizeof *fw);

	if (n == 0 || n >= FW_NONE / 4 || bytes < fw_state_bytes(n)) {
		free(fw);
		err_add(e, RC_RANGE, "session memory has %zu bytes, %u sessions need %zu", bytes, n, fw_state_bytes(n));
		return NULL;
	}
	while (buckets < 2 * n)
		buckets *= 2;
	if (!fw)
		goto no_memory;
	fw->limits = *limits;
	fw->sessions = memory;
	fw->bucket_mask = buckets - 1;
	fw->bucket = malloc(sizeof *fw->bucket * buckets);
	fw->chain = malloc(sizeof *fw->chain * 2 * n);
	fw->free_stack = malloc(sizeof *fw->free_stack * n);
	fw->timer = malloc(sizeof *fw->timer * n);
	fw->log = calloc(FW_LOG_RING, sizeof *fw->log);
	fw->datagrams = calloc(limits->reassembly_max + 1u, sizeof *fw->datagrams);
	if (!fw->bucket || !fw->chain || !fw->free_stack || !fw->timer || !fw->log || !fw->datagrams)
		goto no_memory;
	for (uint32_t i = 0; i < limits->reassembly_max; i++) {
		fw->datagrams[i].bytes = malloc(TRAIN_HEAD_ROOM + TRAIN_BYTES_MAX + TRAIN_TAIL_ROOM);
		if (!fw->datagrams[i].bytes)
			goto no_memory;
	}
	memset(fw->bucket, 0xff, sizeof *fw->bucket * buckets);
	memset(fw->wheel, 0xff, sizeof fw->wheel);
	fw->wheel_at_s = now / NS_PER_S;
	index_rebuild(fw, fresh, now);
	return fw;
no_memory:
	err_add(e, RC_LIMIT, "no memory for the index of %u sessions", n);
	fw_detach(fw);
	return NULL;
}

void fw_detach(struct firewall *fw)
{
	if (!fw)
		return;
	for (uint32_t i = 0; fw->datagrams && i < fw->limits.reassembly_max; i++)
		free(fw->datagrams[i].bytes);
	free(fw->datagrams);
	free(fw->log);
	free(fw->timer);
	free(fw->free_stack);
	free(fw->chain);
	free(fw->bucket);
	free(fw->policy);
	free(fw->pair);
	free(fw->rule_hits);
	free(fw->nat_hits);
	free(fw);
}

const struct fw_session *fw_session_next(const struct firewall *fw, uint32_t *cursor)
{
	while (*cursor < fw->limits.sessions_max) {
		const struct fw_session *s = &fw->sessions[(*cursor)++];
		if (s->live)
			return s;
	}
	return NULL;
}

const struct fw_session *fw_session(const struct firewall *fw, uint32_t index)
{
	return index < fw->limits.sessions_max && fw->sessions[index].live ? &fw->sessions[index] : NULL;
}

struct ip_addr fw_key_src(const struct fw_key *k)
{
	return k->family == ADDR_V4 ? addr_v4(k->src) : addr_v6(k->src);
}

struct ip_addr fw_key_dst(const struct fw_key *k)
{
	return k->family == ADDR_V4 ? addr_v4(k->dst) : addr_v6(k->dst);
}
